/* forge_events.h: what validators bring into a chain that we make: events of the chain on which
 * accounts and storage are bought, and names given out by the registry.
 *
 * Each function writes one ValidatorMessage.
 * Times    unix. Errors latch in *out. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_EVENTS_H
#define CHAINFS_SNAPCHAIN_FORGE_EVENTS_H

#include "core/chain/snapchain/forge/forge_messages.h"

/* The other chain, as far as we pretend that there is one: an event is a transaction of its own. */
struct forge_ledger {
	uint64_t seed;
	uint32_t block_number; /* of the newest event */
};

enum forge_id_event { FORGE_ID_REGISTER = 1, FORGE_ID_TRANSFER, FORGE_ID_RECOVERY };
enum forge_signer_event { FORGE_SIGNER_ADD = 1, FORGE_SIGNER_REMOVE };
enum forge_channel_event {
	FORGE_CHANNEL_REGISTER = 1,
	FORGE_CHANNEL_RENEW,
	FORGE_CHANNEL_TRANSFER
};

/* from: the owner before a transfer, else NULL. */
void forge_id_event(struct forge_ledger *l, uint64_t time, uint64_t fid, enum forge_id_event kind,
		    const struct forge_wallet *to, const struct forge_wallet *from,
		    struct buf *out);
void forge_signer_event(struct forge_ledger *l, uint64_t time, uint64_t fid,
			enum forge_signer_event kind, const uint8_t key[ED25519_KEY_SIZE],
			struct buf *out);
/* The time decides the kind of unit, and for how long it holds. */
void forge_rent_event(struct forge_ledger *l, uint64_t time, uint64_t fid, uint32_t units,
		      const struct forge_wallet *payer, struct buf *out);
void forge_pro_event(struct forge_ledger *l, uint64_t time, uint64_t fid, uint64_t days,
		     const struct forge_wallet *payer, struct buf *out);
void forge_channel_event(struct forge_ledger *l, uint64_t time, enum forge_channel_event kind,
			 const struct forge_channel *channel, const struct forge_wallet *owner,
			 struct buf *out);

/* A name given to fid (0: to nobody), taken from from_fid when that is not 0. */
void forge_name_transfer(uint64_t id, uint64_t time, const char *name, uint64_t fid,
			 uint64_t from_fid, const struct forge_wallet *registry,
			 const struct forge_wallet *owner, struct buf *out);

#endif
