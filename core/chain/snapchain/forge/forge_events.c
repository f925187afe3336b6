#include "core/chain/snapchain/forge/forge_events.h"

#include "core/chain/snapchain/forge/forge_claims.h"
#include "proto/prost.h"

#define OTHER_CHAIN_ID    10
#define EVENT_VERSION     1
#define CHANNEL_RENT_S    31536000u

static ProtobufCBinaryData bytes_of(const void *p, size_t n)
{
	return (ProtobufCBinaryData){ n, (uint8_t *)(uintptr_t)p };
}

static void finish(struct forge_ledger *l, int32_t type, uint64_t time, uint64_t fid,
		   Sc__OnChainEvent *e, struct buf *out)
{
	uint8_t block_hash[HASH_SIZE], transaction_hash[HASH_SIZE];

	l->block_number++;
	forge_bytes_of(l->seed, "ledger block", l->block_number, block_hash);
	forge_bytes_of(l->seed, "ledger transaction", l->block_number, transaction_hash);
	e->type = type;
	e->chain_id = OTHER_CHAIN_ID;
	e->block_number = l->block_number;
	e->block_hash = bytes_of(block_hash, sizeof block_hash);
	e->block_timestamp = time;
	e->transaction_hash = bytes_of(transaction_hash, sizeof transaction_hash);
	e->log_index = l->block_number % 7;
	e->fid = fid;
	e->tx_index = l->block_number % 31;
	e->version = EVENT_VERSION;

	Sc__ValidatorMessage v = SC__VALIDATOR_MESSAGE__INIT;
	v.on_chain_event = e;
	buf_clear(out);
	prost_encode(&v.base, out);
}

void forge_id_event(struct forge_ledger *l, uint64_t time, uint64_t fid, enum forge_id_event kind,
		    const struct forge_wallet *to, const struct forge_wallet *from, struct buf *out)
{
	Sc__IdRegisterEventBody body = SC__ID_REGISTER_EVENT_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;
	uint8_t recovery[HASH_SIZE];

	forge_bytes_of(l->seed, "recovery", fid, recovery);
	body.to = bytes_of(to->address, ETH_ADDRESS_SIZE);
	body.event_type = (int32_t)kind;
	if (from)
		body.from = bytes_of(from->address, ETH_ADDRESS_SIZE);
	body.recovery_address = bytes_of(recovery, ETH_ADDRESS_SIZE);
	e.body_case = SC__ON_CHAIN_EVENT__BODY_ID_REGISTER;
	e.id_register = &body;
	finish(l, 3, time, fid, &e, out);
}

void forge_signer_event(struct forge_ledger *l, uint64_t time, uint64_t fid,
			enum forge_signer_event kind, const uint8_t key[ED25519_KEY_SIZE],
			struct buf *out)
{
	Sc__SignerEventBody body = SC__SIGNER_EVENT_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;

	body.key = bytes_of(key, ED25519_KEY_SIZE);
	body.key_type = 1;
	body.event_type = (int32_t)kind;
	body.metadata_type = 1;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_SIGNER;
	e.signer = &body;
	finish(l, 1, time, fid, &e, out);
}

void forge_rent_event(struct forge_ledger *l, uint64_t time, uint64_t fid, uint32_t units,
		      const struct forge_wallet *payer, struct buf *out)
{
	Sc__StorageRentEventBody body = SC__STORAGE_RENT_EVENT_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;

	body.payer = bytes_of(payer->address, ETH_ADDRESS_SIZE);
	body.units = units;
	body.expiry = (uint32_t)time + 31536000u;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_STORAGE_RENT;
	e.storage_rent = &body;
	finish(l, 4, time, fid, &e, out);
}

void forge_pro_event(struct forge_ledger *l, uint64_t time, uint64_t fid, uint64_t days,
		     const struct forge_wallet *payer, struct buf *out)
{
	Sc__TierPurchaseBody body = SC__TIER_PURCHASE_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;

	body.tier_type = 1;
	body.for_days = days;
	body.payer = bytes_of(payer->address, ETH_ADDRESS_SIZE);
	e.body_case = SC__ON_CHAIN_EVENT__BODY_TIER_PURCHASE;
	e.tier_purchase = &body;
	finish(l, 5, time, fid, &e, out);
}

void forge_channel_event(struct forge_ledger *l, uint64_t time, enum forge_channel_event kind,
			 const struct forge_channel *channel, const struct forge_wallet *owner,
			 struct buf *out)
{
	Sc__ChannelRegisterBody body = SC__CHANNEL_REGISTER_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;

	body.channel_key = bytes_of(channel->key, strlen(channel->key));
	body.expiry = time + CHANNEL_RENT_S;
	body.owner_address = bytes_of(owner->address, ETH_ADDRESS_SIZE);
	body.event_type = (int32_t)kind;
	body.label = bytes_of(channel->id, sizeof channel->id);
	e.body_case = SC__ON_CHAIN_EVENT__BODY_CHANNEL_REGISTER;
	e.channel_register = &body;
	finish(l, 6, time, 0, &e, out);
}

void forge_name_transfer(uint64_t id, uint64_t time, const char *name, uint64_t fid,
			 uint64_t from_fid, const struct forge_wallet *registry,
			 const struct forge_wallet *owner, struct buf *out)
{
	uint8_t signature[ETH_SIGNATURE_SIZE];
	Sc__UserNameProof proof = SC__USER_NAME_PROOF__INIT;
	Sc__FnameTransfer transfer = SC__FNAME_TRANSFER__INIT;
	Sc__ValidatorMessage v = SC__VALIDATOR_MESSAGE__INIT;

	forge_claim_name(slice_str(name), time, registry, owner->address, signature);
	proof.timestamp = time;
	proof.name = bytes_of(name, strlen(name));
	proof.owner = bytes_of(owner->address, ETH_ADDRESS_SIZE);
	proof.signature = bytes_of(signature, sizeof signature);
	proof.fid = fid;
	proof.type = 1;
	transfer.id = id;
	transfer.from_fid = from_fid;
	transfer.proof = &proof;
	v.fname_transfer = &transfer;
	buf_clear(out);
	prost_encode(&v.base, out);
}
