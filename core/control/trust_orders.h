/* trust_orders.h: what a person decides about blocks: by verb, and by a line written to ctl/trust.
 *
 * Every decision is a line of the registry (core/checkpoint/trust.h), written before what follows
 * of it: after a crash in between the same order does the rest.
 * Errors   those of trust.h and rollback.h; -EEXIST: the store holds another block of that height;
 *          -ENOENT: nothing says which block is meant; -EKEYREJECTED: its certificate does not
 *          reach quorum.
 * Threads  any; what rolls back waits while writing is held back. */
#ifndef CHAINFS_CONTROL_TRUST_ORDERS_H
#define CHAINFS_CONTROL_TRUST_ORDERS_H

#include "core/ingest/rollback.h"

struct follows; /* core/sync/follow.h */

struct trust_order {
	struct store *store;
	struct network *network;
	struct events *events;
	struct gate *gate;
	const atomic_bool *stop;
	struct follows *follows; /* who writes otherwise, and stands back meanwhile; NULL: nobody */
	struct buf *said; /* a line for what was done */
};

/* A signed block of `shard`. `received`: as a source gives it; empty: the one held at `height` (0:
 * the newest that is replayed). */
int trust_order_add(const struct trust_order *o, uint32_t shard, uint64_t height,
		    struct slice received, struct err *err) MUST_CHECK;
int trust_order_pin(const struct trust_order *o, uint32_t shard, uint64_t height,
		    const uint8_t hash[HASH_SIZE], bool force, const char *reason, struct err *err)
	MUST_CHECK;
/* `which`: HEIGHT or HEIGHT-HASH. */
int trust_order_distrust(const struct trust_order *o, uint32_t shard, const char *which,
			 const char *reason, struct err *err) MUST_CHECK;
int trust_order_rollback(const struct trust_order *o, const char *which, const char *reason,
			 struct rollback_result *out, struct err *err) MUST_CHECK;

/* "pin NETWORK HEIGHT HASH [REASON]", "distrust NETWORK HEIGHT|CHECKPOINT REASON", "rollback
 * NETWORK HEIGHT|CHECKPOINT [REASON]": of the main shard. `o->network` is set here. -EINVAL: no
 * such words. */
int trust_order_line(struct trust_order *o, const char *line, struct err *err) MUST_CHECK;

#endif
