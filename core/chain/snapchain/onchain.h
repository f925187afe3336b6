/* onchain.h: what happened on other chains, as Snapchain's consensus carries it
 * (snapchain-replay.md 9).
 *
 * Every event is a record, at type ‖ block ‖ log. Its value behind the head: varint message type as
 * carried, blob transaction hash, varint unix time, varint body field number, then by body
 *   signer 9          blob key, varint key type, varint event type
 *   storage rent 12   varint units
 *   tier purchase 15  varint tier, varint days
 * The newest event of a signer and of an id are pointed to by rows
 * of their own, with what the rules ask. */
#ifndef CHAINFS_SNAPCHAIN_ONCHAIN_H
#define CHAINFS_SNAPCHAIN_ONCHAIN_H

#include "core/chain/snapchain/records.h"

enum sc_onchain_type {
	SC_ONCHAIN_SIGNER = 1, SC_ONCHAIN_MIGRATED, SC_ONCHAIN_ID, SC_ONCHAIN_RENT, SC_ONCHAIN_TIER,
	SC_ONCHAIN_CHANNEL
};

struct sc_onchain { /* a row, read again */
	uint8_t      type; /* of the key: 0 for a type nobody knows */
	uint32_t     block, log;
	uint64_t     object;
	uint32_t     line_size;
	uint32_t     raw_type;
	struct slice tx_hash;
	uint64_t     time; /* unix */
	uint32_t     body; /* field number */
	struct slice key;
	uint64_t     number[2];
};

int sc_onchain_read(struct slice key, struct slice value, struct sc_onchain *out)
	MUST_CHECK; /* -EUCLEAN */
int sc_onchain_trie_rest(struct slice key, struct slice value, uint8_t out[TRIE_REST_MAX])
	MUST_CHECK;

/* The row that an event becomes. */
void sc_onchain_row(const Sc__OnChainEvent *e, uint64_t object, uint32_t line_size,
		    struct sc_key *key, struct buf *value);
int sc_onchain_merge(struct replay *r, const Sc__OnChainEvent *e) MUST_CHECK;
/* What follows from an event beyond its record: pointers, and the registry. */
int sc_onchain_effects(struct replay *r, const Sc__OnChainEvent *e) MUST_CHECK;
/* The registry of channels alone, as block events bring it to data shards. */
int sc_channel_fold(struct replay *r, const Sc__OnChainEvent *e) MUST_CHECK;

/* Events of one type of an account, committed before this block, in order (C). */
struct sc_onchain_scan { struct state_scan *scan; };
int  sc_onchain_scan(struct state *st, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type,
		     struct sc_onchain_scan *out) MUST_CHECK;
int sc_onchain_next(struct sc_onchain_scan *s, struct sc_onchain *out) MUST_CHECK; /* 1, 0, errno */
void sc_onchain_scan_release(struct sc_onchain_scan *s);

/* Custody address of a fid's registration (G): 1 registered, 0 not. */
int sc_custody(struct replay *r, uint64_t fid, struct slice *address) MUST_CHECK;
/* Is there an active signer event for the key (G)? 1, 0. */
int sc_signer_active(struct replay *r, uint64_t fid, struct slice key) MUST_CHECK;

struct sc_channel_owner {
	struct slice address;
	uint64_t     expiry;
};
/* Owner of the channel that a label stands for (G): 1, 0. */
int sc_channel_owner(struct replay *r, const uint8_t label[32], struct sc_channel_owner *out)
	MUST_CHECK;

#endif
