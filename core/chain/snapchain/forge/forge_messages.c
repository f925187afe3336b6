#include "core/chain/snapchain/forge/forge_messages.h"

#include <stdio.h>

#include "core/chain/snapchain/forge/forge_claims.h"
#include "core/chain/snapchain/params.h"
#include "core/chain/snapchain/text.h"
#include "proto/prost.h"
#include "proto/wire.h"

#define SCHEME_BLAKE3  1
#define SCHEME_ED25519 1

void forge_message_release(struct forge_message *m)
{
	buf_release(&m->data);
	buf_release(&m->bytes);
}

/* protobuf-c has no const; nothing that is encoded is written to. */
static ProtobufCBinaryData bytes_of(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)p };
}

static ProtobufCBinaryData text_of(const char *text)
{
	return bytes_of(text, text ? strlen(text) : 0);
}

/* Fields of Message by hand, so that what is hashed is what is sent. */
static void seal(const struct forge_stamp *s, int32_t type, Sc__MessageData *d,
		 struct forge_message *out)
{
	uint8_t signature[ED25519_SIGNATURE_SIZE];

	d->type = type;
	d->fid = s->fid;
	d->timestamp = s->time_fc;
	d->network = SC_DEVNET;
	buf_clear(&out->data);
	buf_clear(&out->bytes);
	prost_encode(&d->base, &out->data);

	struct slice data = buf_slice(&out->data);
	hash_blake3_20(data, out->hash);
	ed25519_sign(s->key->secret, SLICE_ARRAY(out->hash), signature);
	wire_put_message(&out->bytes, 1, data);
	wire_put_bytes(&out->bytes, 2, SLICE_ARRAY(out->hash));
	wire_put_varint(&out->bytes, 3, SCHEME_BLAKE3);
	wire_put_bytes(&out->bytes, 4, SLICE_ARRAY(signature));
	wire_put_varint(&out->bytes, 5, SCHEME_ED25519);
	wire_put_bytes(&out->bytes, 6, SLICE_ARRAY(s->key->key));
	if (s->data_bytes)
		wire_put_bytes(&out->bytes, 7, data);
	if (out->data.failed && !out->bytes.failed)
		out->bytes.failed = out->data.failed;
}

/* Declares data_ with the body of one kind inside, so that each function below says only what is
 * its own. */
#define BODY(Type, init, member, MEMBER)                                                    \
	Sc__##Type body;                                                                    \
	Sc__MessageData data_ = SC__MESSAGE_DATA__INIT;                                     \
	sc__##init##__init(&body);                                                          \
	data_.body_case = SC__MESSAGE_DATA__BODY_##MEMBER;                                  \
	data_.member = &body

static Sc__CastId cast_id(const struct forge_target *t)
{
	Sc__CastId id = SC__CAST_ID__INIT;

	id.fid = t->fid;
	id.hash = bytes_of(t->hash, sizeof t->hash);
	return id;
}

void forge_cast(const struct forge_stamp *s, const struct forge_cast *c, struct forge_message *out)
{
	Sc__CastId parent, quote;
	Sc__Embed embeds[FORGE_EMBED_MAX + 1], *list[FORGE_EMBED_MAX + 1];
	uint64_t mention = c->mention;
	uint32_t mention_at = c->mention_at;

	BODY(CastAddBody, cast_add_body, cast_add, CAST_ADD);
	body.type = c->type;
	body.text = text_of(c->text);
	if (c->parent) {
		parent = cast_id(c->parent);
		body.parent_case = SC__CAST_ADD_BODY__PARENT_PARENT_CAST_ID;
		body.parent_cast_id = &parent;
	} else if (c->parent_url) {
		body.parent_case = SC__CAST_ADD_BODY__PARENT_PARENT_URL;
		body.parent_url = text_of(c->parent_url);
	}
	if (mention) {
		body.n_mentions = body.n_mentions_positions = 1;
		body.mentions = &mention;
		body.mentions_positions = &mention_at;
	}
	assert(c->url_count <= FORGE_EMBED_MAX);
	for (size_t i = 0; i < c->url_count; i++) {
		sc__embed__init(&embeds[i]);
		embeds[i].embed_case = SC__EMBED__EMBED_URL;
		embeds[i].url = text_of(c->urls[i]);
		list[body.n_embeds++] = &embeds[i];
	}
	if (c->quote) {
		Sc__Embed *e = &embeds[body.n_embeds];

		quote = cast_id(c->quote);
		sc__embed__init(e);
		e->embed_case = SC__EMBED__EMBED_CAST_ID;
		e->cast_id = &quote;
		list[body.n_embeds++] = e;
	}
	body.embeds = list;
	seal(s, SC_CAST_ADD, &data_, out);
}

void forge_cast_remove(const struct forge_stamp *s, const uint8_t hash[HASH20_SIZE],
		       struct forge_message *out)
{
	BODY(CastRemoveBody, cast_remove_body, cast_remove, CAST_REMOVE);
	body.target_hash = bytes_of(hash, HASH20_SIZE);
	seal(s, SC_CAST_REMOVE, &data_, out);
}

void forge_reaction(const struct forge_stamp *s, bool remove, enum forge_reaction kind,
		    const struct forge_target *target, const char *url, struct forge_message *out)
{
	Sc__CastId id;

	BODY(ReactionBody, reaction_body, reaction, REACTION);
	body.type = (int32_t)kind;
	if (target) {
		id = cast_id(target);
		body.target_case = SC__REACTION_BODY__TARGET_TARGET_CAST_ID;
		body.target_cast_id = &id;
	} else {
		body.target_case = SC__REACTION_BODY__TARGET_TARGET_URL;
		body.target_url = text_of(url);
	}
	seal(s, remove ? SC_REACTION_REMOVE : SC_REACTION_ADD, &data_, out);
}

void forge_link(const struct forge_stamp *s, bool remove, const char *kind, uint64_t target,
		struct forge_message *out)
{
	BODY(LinkBody, link_body, link, LINK);
	body.type = text_of(kind);
	body.target_case = SC__LINK_BODY__TARGET_TARGET_FID;
	body.target_fid = target;
	seal(s, remove ? SC_LINK_REMOVE : SC_LINK_ADD, &data_, out);
}

void forge_link_compact(const struct forge_stamp *s, const char *kind, const uint64_t *targets,
			size_t target_count, struct forge_message *out)
{
	BODY(LinkCompactStateBody, link_compact_state_body, link_compact, LINK_COMPACT);
	body.type = text_of(kind);
	body.n_target_fids = target_count;
	body.target_fids = (uint64_t *)(uintptr_t)targets;
	seal(s, SC_LINK_COMPACT, &data_, out);
}

void forge_user_data(const struct forge_stamp *s, enum forge_user_data kind, const char *text,
		     struct forge_message *out)
{
	BODY(UserDataBody, user_data_body, user_data, USER_DATA);
	body.type = (int32_t)kind;
	body.value = text_of(text);
	seal(s, SC_USER_DATA, &data_, out);
}

void forge_ens_proof(const struct forge_stamp *s, const char *name,
		     const struct forge_wallet *owner, struct forge_message *out)
{
	uint8_t signature[ETH_SIGNATURE_SIZE];
	uint64_t time = (uint64_t)s->time_fc + SC_EPOCH;

	BODY(UserNameProof, user_name_proof, username_proof, USERNAME_PROOF);
	forge_claim_name(slice_str(name), time, owner, owner->address, signature);
	body.timestamp = time;
	body.name = text_of(name);
	body.owner = bytes_of(owner->address, sizeof owner->address);
	body.signature = bytes_of(signature, sizeof signature);
	body.fid = s->fid;
	body.type = 2;
	seal(s, SC_USERNAME_PROOF, &data_, out);
}

void forge_verify_ethereum(const struct forge_stamp *s, const struct forge_wallet *w,
			   const uint8_t block_hash[HASH_SIZE], struct forge_message *out)
{
	uint8_t signature[ETH_SIGNATURE_SIZE];

	BODY(VerificationAddBody, verification_add_body, verification_add, VERIFICATION_ADD);
	forge_claim_address(s->fid, w, block_hash, SC_DEVNET, signature);
	body.address = bytes_of(w->address, sizeof w->address);
	body.claim_signature = bytes_of(signature, sizeof signature);
	body.block_hash = bytes_of(block_hash, HASH_SIZE);
	seal(s, SC_VERIFICATION_ADD, &data_, out);
}

void forge_verify_solana(const struct forge_stamp *s, const struct forge_key *address,
			 const uint8_t block_hash[HASH_SIZE], struct forge_message *out)
{
	uint8_t signature[ED25519_SIGNATURE_SIZE];
	char owner[SC_BASE58_TEXT_SIZE], block[SC_BASE58_TEXT_SIZE], claim[320];

	BODY(VerificationAddBody, verification_add_body, verification_add, VERIFICATION_ADD);
	sc_base58(SLICE_ARRAY(address->key), owner);
	sc_base58(SLICE(block_hash, HASH_SIZE), block);
	snprintf(claim, sizeof claim,
		 "fid: %" PRIu64 " address: %s network: %d blockHash: %s protocol: 1", s->fid,
		 owner, SC_DEVNET, block);
	ed25519_sign(address->secret, slice_str(claim), signature);
	body.address = bytes_of(address->key, sizeof address->key);
	body.claim_signature = bytes_of(signature, sizeof signature);
	body.block_hash = bytes_of(block_hash, HASH_SIZE);
	body.protocol = 1;
	seal(s, SC_VERIFICATION_ADD, &data_, out);
}

void forge_verification_remove(const struct forge_stamp *s, struct slice address,
			       struct forge_message *out)
{
	BODY(VerificationRemoveBody, verification_remove_body, verification_remove,
	     VERIFICATION_REMOVE);
	body.address = bytes_of(address.p, address.n);
	body.protocol = address.n != ETH_ADDRESS_SIZE;
	seal(s, SC_VERIFICATION_REMOVE, &data_, out);
}

void forge_lend(const struct forge_stamp *s, uint64_t to_fid, uint64_t units, int32_t unit_type,
		struct forge_message *out)
{
	BODY(LendStorageBody, lend_storage_body, lend, LEND);
	body.to_fid = to_fid;
	body.num_units = units;
	body.unit_type = unit_type;
	seal(s, SC_LEND, &data_, out);
}

#define KEY_LIFE_S (30u * 86400) /* deadlines lie this far ahead */

void forge_key_add(const struct forge_stamp *s, const struct forge_key_add *k,
		   struct forge_message *out)
{
	AUTO(buf_release) struct buf metadata = BUF_INIT(FORGE_MESSAGE_SIZE_MAX);
	uint8_t signature[ETH_SIGNATURE_SIZE];

	BODY(KeyAddBody, key_add_body, key_add, KEY_ADD);
	body.key = bytes_of(k->key, ED25519_KEY_SIZE);
	body.key_type = 1;
	body.deadline = s->time_fc + KEY_LIFE_S;
	body.nonce = k->nonce;
	body.metadata_type = 1;
	body.n_scopes = k->scope_count;
	body.scopes = (int32_t *)(uintptr_t)k->scopes;
	body.ttl = k->ttl_s;
	forge_claim_key_add(s->fid, &body, k->custody, signature);
	body.custody_signature = bytes_of(signature, sizeof signature);
	forge_key_request(&metadata, k->request_fid, k->request_custody, k->key, body.deadline);
	body.metadata = bytes_of(metadata.p, metadata.n);
	seal(s, SC_KEY_ADD, &data_, out);
}

void forge_key_remove(const struct forge_stamp *s, const uint8_t key[ED25519_KEY_SIZE],
		      const struct forge_wallet *custody, uint32_t nonce, struct forge_message *out)
{
	uint8_t signature[ETH_SIGNATURE_SIZE];

	BODY(KeyRemoveBody, key_remove_body, key_remove, KEY_REMOVE);
	body.key = bytes_of(key, ED25519_KEY_SIZE);
	body.deadline = s->time_fc + KEY_LIFE_S;
	body.nonce = nonce;
	body.signature_type = custody ? 1 : 2;
	if (custody) {
		forge_claim_key_remove(s->fid, &body, custody, signature);
		body.signature = bytes_of(signature, sizeof signature);
	}
	seal(s, SC_KEY_REMOVE, &data_, out);
}

struct forge_channel forge_channel_of(const char *key)
{
	struct forge_channel c = { .key = key };

	hash_keccak256(slice_str(key), c.id);
	return c;
}

void forge_channel_update(const struct forge_stamp *s, const struct forge_channel *c,
			  const char *name, const char *description, bool open,
			  struct forge_message *out)
{
	BODY(ChannelUpdateBody, channel_update_body, channel_update, CHANNEL_UPDATE);
	body.channel_id = bytes_of(c->id, sizeof c->id);
	body._name_case = SC__CHANNEL_UPDATE_BODY___NAME_NAME;
	body.name = text_of(name);
	body._description_case = SC__CHANNEL_UPDATE_BODY___DESCRIPTION_DESCRIPTION;
	body.description = text_of(description);
	body._casting_mode_case = SC__CHANNEL_UPDATE_BODY___CASTING_MODE_CASTING_MODE;
	body.casting_mode = 1;
	body._membership_mode_case = SC__CHANNEL_UPDATE_BODY___MEMBERSHIP_MODE_MEMBERSHIP_MODE;
	body.membership_mode = open ? 1 : 2;
	seal(s, SC_CHANNEL_UPDATE, &data_, out);
}

void forge_channel_member(const struct forge_stamp *s, const struct forge_channel *c, uint64_t fid,
			  enum forge_member action, struct forge_message *out)
{
	BODY(ChannelMemberBody, channel_member_body, channel_member, CHANNEL_MEMBER);
	body.channel_id = bytes_of(c->id, sizeof c->id);
	body.fid = fid;
	body.action = (int32_t)action;
	seal(s, SC_CHANNEL_MEMBER, &data_, out);
}

void forge_channel_pin(const struct forge_stamp *s, const struct forge_channel *c,
		       const uint8_t *hash, struct forge_message *out)
{
	BODY(ChannelPinBody, channel_pin_body, channel_pin, CHANNEL_PIN);
	body.channel_id = bytes_of(c->id, sizeof c->id);
	body.cast_hash = bytes_of(hash, hash ? HASH20_SIZE : 0);
	seal(s, SC_CHANNEL_PIN, &data_, out);
}

void forge_channel_moderate(const struct forge_stamp *s, const struct forge_channel *c,
			    const uint8_t hash[HASH20_SIZE], bool hide, struct forge_message *out)
{
	BODY(ChannelModerateBody, channel_moderate_body, channel_moderate, CHANNEL_MODERATE);
	body.channel_id = bytes_of(c->id, sizeof c->id);
	body.cast_hash = bytes_of(hash, HASH20_SIZE);
	body.action = hide ? 1 : 2;
	seal(s, SC_CHANNEL_MODERATE, &data_, out);
}
