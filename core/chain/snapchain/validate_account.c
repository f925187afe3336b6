/* Verifications, lends, keys and channels. */
#include "core/base/sign.h"
#include "core/chain/snapchain/eip712.h"
#include "core/chain/snapchain/text.h"
#include "core/chain/snapchain/validate.h"

#define CLAIM_SIZE_MAX 2048
#define LEND_AGE_MAX_S 600u
#define LEND_UNITS_MAX 5000
#define KEY_TTL_MAX_S  7776000u
#define SCOPES_MAX     16

enum { ETHEREUM, SOLANA };

/* ---- verifications ---- */

static bool is_chain(uint32_t chain_id)
{
	static const uint16_t chains[] = { 0, 1, 5, 10, 420 };

	for (size_t i = 0; i < ARRAY_LEN(chains); i++)
		if (chains[i] == (uint16_t)chain_id)
			return true;
	return false;
}

static const char *ethereum_fault(const Sc__MessageData *d, const Sc__VerificationAddBody *b)
{
	enum { BY_ACCOUNT, BY_CONTRACT };
	uint8_t signer[ETH_ADDRESS_SIZE];

	if (b->address.len != 20 || b->block_hash.len != 32 ||
	    b->claim_signature.len > CLAIM_SIZE_MAX || !is_chain(b->chain_id))
		return "a claim to an Ethereum address that is not well-formed";
	if (b->verification_type == BY_CONTRACT)
		return NULL; /* whoever takes the message asks the contract; consensus does not */
	if (b->verification_type != BY_ACCOUNT)
		return "a verification of an unknown type";
	if (!sc_eip712_claim_signer(d->fid, d->network, b, signer) ||
	    memcmp(signer, b->address.data, sizeof signer) != 0)
		return "a claim that its address has not signed";
	return NULL;
}

static const char *solana_fault(const Sc__MessageData *d, const Sc__VerificationAddBody *b)
{
	char address[SC_BASE58_TEXT_SIZE], block[SC_BASE58_TEXT_SIZE];
	AUTO(buf_release) struct buf text = BUF_INIT(512);

	if (b->address.len != 32 || b->block_hash.len != 32 || b->claim_signature.len != 64)
		return "a claim to a Solana address that is not well-formed";
	sc_base58(sc_bytes(b->address), address);
	sc_base58(sc_bytes(b->block_hash), block);
	buf_fmt(&text,
		"fid: %" PRIu64 " address: %s network: %" PRId32 " blockHash: %s protocol: 1",
		d->fid, address, d->network, block);
	if (buf_done(&text) < 0 ||
	    !ed25519_verify(b->address.data, b->claim_signature.data, buf_slice(&text)))
		return "a claim that its address has not signed";
	return NULL;
}

int sc_validate_verification_add(struct sc_check *c)
{
	const Sc__MessageData *d = c->m->content;
	const char            *why = "a verification of an unknown protocol";

	if (d->verification_add->protocol == ETHEREUM)
		why = ethereum_fault(d, d->verification_add);
	else if (d->verification_add->protocol == SOLANA)
		why = solana_fault(d, d->verification_add);
	return why ? refuse(c->r, why) : 0;
}

int sc_validate_verification_remove(struct sc_check *c)
{
	const Sc__VerificationRemoveBody *b = c->m->content->verification_remove;

	if ((b->protocol == ETHEREUM && b->address.len == 20) ||
	    (b->protocol == SOLANA && b->address.len == 32))
		return 0;
	return refuse(c->r, "a verification of no address");
}

/* ---- lends and keys ---- */

int sc_validate_lend(struct sc_check *c)
{
	const Sc__LendStorageBody *b = c->m->content->lend;

	if ((uint64_t)c->m->content->timestamp + LEND_AGE_MAX_S < c->r->block->time_fc)
		return refuse(c->r, "a lend from more than ten minutes ago");
	if (b->unit_type < 0 || b->unit_type >= SC_UNIT_TYPES)
		return refuse(c->r, "units of an unknown type");
	return b->num_units <= LEND_UNITS_MAX ? 0
					      : refuse(c->r, "more units than one lend may have");
}

static bool is_scope(int32_t type)
{
	return (type >= SC_CAST_ADD && type <= SC_VERIFICATION_REMOVE) ||
	       (type >= SC_USER_DATA && type <= SC_LEND);
}

int sc_validate_key_add(struct sc_check *c)
{
	const Sc__KeyAddBody *b = c->m->content->key_add;

	if (b->key.len != 32 || b->key_type != 1 || !b->deadline || !b->ttl ||
	    b->ttl > KEY_TTL_MAX_S || b->metadata_type != 1 || !b->metadata.len)
		return refuse(c->r, "a key that is not well-formed");
	if (!b->n_scopes || b->n_scopes > SCOPES_MAX)
		return refuse(c->r, "a key has 1 to 16 scopes");
	for (size_t i = 0; i < b->n_scopes; i++)
		if (!is_scope(b->scopes[i]))
			return refuse(c->r, "a scope that no key may have");
	return 0;
}

int sc_validate_key_remove(struct sc_check *c)
{
	const Sc__KeyRemoveBody *b = c->m->content->key_remove;

	return b->key.len == 32 && (b->signature_type == 1 || b->signature_type == 2) && b->deadline
		       ? 0
		       : refuse(c->r, "the removal of a key that is not well-formed");
}

/* ---- channels ---- */

static const char *update_fault(const Sc__ChannelUpdateBody *b)
{
	if (b->_casting_mode_case && (b->casting_mode < 0 || b->casting_mode > 3))
		return "a casting mode that is none";
	if (b->_membership_mode_case && (b->membership_mode < 0 || b->membership_mode > 2))
		return "a membership mode that is none";
	return NULL;
}

static const char *member_fault(const Sc__ChannelMemberBody *b)
{
	if (!b->fid || b->fid > UINT32_MAX)
		return "a member's fid does not fit 32 bits";
	return b->action >= 1 && b->action <= 6 ? NULL : "an action that is none";
}

static const char *moderate_fault(const Sc__ChannelModerateBody *b)
{
	return b->cast_hash.len == HASH20_SIZE && (b->action == 1 || b->action == 2)
		       ? NULL
		       : "moderates no cast";
}

int sc_validate_channel(struct sc_check *c)
{
	const Sc__MessageData *d = c->m->content;
	ProtobufCBinaryData    id = { 0, NULL };
	const char            *why = NULL;

	switch ((int)d->body_case) {
	case SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE:
		id = d->channel_update->channel_id;
		why = update_fault(d->channel_update);
		break;
	case SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER:
		id = d->channel_member->channel_id;
		why = member_fault(d->channel_member);
		break;
	case SC__MESSAGE_DATA__BODY_CHANNEL_PIN:
		id = d->channel_pin->channel_id;
		if (d->channel_pin->cast_hash.len && d->channel_pin->cast_hash.len != HASH20_SIZE)
			why = "pins no cast";
		break;
	default:
		id = d->channel_moderate->channel_id;
		why = moderate_fault(d->channel_moderate);
		break;
	}
	if (c->r->version < SC_V_CHANNELS)
		why = "channels are not known before version 21 of the rules";
	else if (id.len != 32)
		why = "a channel's id is 32 bytes";
	return why ? refuse(c->r, why) : 0;
}
