/* links.h: inside ingest: the hashes of the blocks that a run holds, and what they name as parents.
 *
 * A block is compared with its neighbours. Those of earlier runs are read from the store; those of
 * this run are in no row that can be read yet, and a commit for each of them would cost two syncs:
 * history comes newest window first, so that nearly every window meets a neighbour of its own run.
 * Memory   a struct links owns its table: 290 to 580 bytes a block of the run, a quarter to half of
 *          it in use.
 * Threads  ingest.
 * Errors   -ENOMEM, and nothing has changed. */
#ifndef CHAINFS_INGEST_LINKS_H
#define CHAINFS_INGEST_LINKS_H

#include "core/chain/chain.h"

struct link {
	uint64_t height;
	uint32_t shard;
	uint8_t hash[HASH_SIZE];
	uint8_t parent[PARENT_SIZE_MAX];
	uint8_t parent_size;
	bool there; /* the place of the table is taken */
};

struct links { /* all zero: empty */
	struct link *table;
	size_t count, size; /* size: a power of two, or 0 */
};

void links_release(struct links *l);
void links_clear(struct links *l); /* the run is committed */
/* The later one of a height counts. */
int links_put(struct links *l, const struct chain_block *b) MUST_CHECK;
/* NULL: the run does not hold it. Until the next put. */
const struct link *links_find(const struct links *l, uint32_t shard, uint64_t height);

#endif
