/* forge_pool.h: what waits for the next block of a shard, a transaction an account.
 *
 * Memory  the pool owns its transactions; one emptied keeps its memory for the next block.
 * Errors  of adding latch in `failed`. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_POOL_H
#define CHAINFS_SNAPCHAIN_FORGE_POOL_H

#include "core/base/bytes.h"

struct forge_transaction {
	uint64_t   fid;
	struct buf user, system; /* fields 2 and 3 of a Transaction, as they will stand */
};

struct forge_pool {
	struct forge_transaction *list; /* in the order of the block */
	size_t                    count, cap;
	int                       failed;
};

void forge_pool_release(struct forge_pool *p);
void forge_pool_clear(struct forge_pool *p);

struct forge_transaction *forge_pool_find(const struct forge_pool *p, uint64_t fid);
/* message: a Message resp. a ValidatorMessage. */
void forge_pool_user(struct forge_pool *p, uint64_t fid, struct slice message);
void forge_pool_system(struct forge_pool *p, uint64_t fid, struct slice message);
/* Everything of `from` behind what is there; an account that has a transaction keeps its place. */
void forge_pool_append(struct forge_pool *p, const struct forge_pool *from);

/* Appends the pool as field `number` of a block. roots: account_root of each, by place, or NULL. */
void forge_pool_write(const struct forge_pool *p, const struct slice *roots, uint32_t number,
		      struct buf *out);

#endif
