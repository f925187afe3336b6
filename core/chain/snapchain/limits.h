/* limits.h: storage that an account rented, lent and borrowed, and what goes when it is full
 * (snapchain-replay.md 8). All of it reads what was there before the block (C). */
#ifndef CHAINFS_SNAPCHAIN_LIMITS_H
#define CHAINFS_SNAPCHAIN_LIMITS_H

#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/stores.h"

/* What units are counted against. now: unix seconds. */
struct sc_units_clock {
	uint64_t now;
	unsigned version;
};

/* Which of them count; pending: rents of a transaction of shard 0,
 * joined after the committed ones. */
struct sc_units_asked {
	bool lent, borrowed;
	const struct sc_system *pending;
	size_t   pending_count;
	uint64_t fid;
};

/* Columns of chain_params.limits. */
enum sc_limit {
	SC_LIMIT_CASTS, SC_LIMIT_LINKS, SC_LIMIT_REACTIONS, SC_LIMIT_USER_DATA, SC_LIMIT_PROOFS,
	SC_LIMIT_VERIFICATIONS, SC_LIMIT_LENDS
};
extern const char *const sc_limit_names[SC_STORE_LIMITS];
/* Per unit as the chain has it; a network's own table is for data shards. */
extern const uint32_t sc_limits_default[SC_UNIT_TYPES][SC_STORE_LIMITS];

/* Joins b into a while b is active; arithmetic wraps at 32 bits as upstream's does. */
void sc_units_join(struct sc_slot_units *a, const struct sc_slot_units *b, uint64_t now);
void sc_units_subtract(struct sc_slot_units *a, const struct sc_slot_units *b, uint64_t now);
struct sc_slot_units sc_units_of_lend(uint64_t units, uint32_t unit_type);
uint32_t sc_units_limit(const struct sc_slot_units *s,
			const uint32_t table[SC_UNIT_TYPES][SC_STORE_LIMITS], enum sc_limit store);

/* REFUSED when a rent event of the account cannot be read: then it
 * has no limits, and nothing is pruned. */
int sc_units(struct state *st, uint32_t network, const uint8_t prefix[TRIE_PREFIX_SIZE],
	     const struct sc_units_clock *clock, const struct sc_units_asked *asked,
	     struct sc_slot_units *out) MUST_CHECK;

/* The clock of the block; `at_wall`: the rules too are those of the wall clock's time (15). */
struct sc_units_clock sc_units_clock(const struct replay *r, bool at_wall);

/* Prunes the store of a message type, for the account of the transaction. */
int sc_prune(struct replay *r, uint64_t fid, int32_t type) MUST_CHECK;

/* Does the account have a running pro subscription (8.5)? 1, 0. */
int sc_pro(struct replay *r, uint64_t fid) MUST_CHECK;

#endif
