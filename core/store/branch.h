/* branch.h: the lines of state versions, and which versions a line sees.
 *
 * Branch 0 is where a network begins. A rollback to a height opens a branch there: it sees its
 * parent's versions up to that height and its own above. A branch parts at one height a shard: a
 * block of the main shard fixes the heights of the others.
 * Memory   a struct branches and a struct lineage own their arrays.
 * Threads  ingest changes a struct branches under the network's lock; a lineage is its owner's. */
#ifndef CHAINFS_STORE_BRANCH_H
#define CHAINFS_STORE_BRANCH_H

#include "core/base/bytes.h"
#include "core/chain/chain.h"

struct branch {
	uint32_t parent;
	uint64_t heights[SHARD_MAX]; /* the parent's versions up to here are seen, by shard */
	/* Heights [first, end) below those, whose blocks came again on this branch: no version is of
	 * them. first 0: there are none. */
	struct anew { uint64_t first, end; } anew[SHARD_MAX];
	bool     settled;            /* nobody reads other lines than the current one above them */
};

struct branches {
	struct branch *list; /* by id; list[0] is the first line, which has no parent */
	size_t         count, cap;
};

int  branches_init(struct branches *b) MUST_CHECK;
void branches_release(struct branches *b);
int  branches_copy(struct branches *to, const struct branches *from) MUST_CHECK; /* `to` all zero */
/* -EINVAL: no such parent. */
int  branches_open(struct branches *b, uint32_t parent, const uint64_t heights[SHARD_MAX],
		   uint32_t *out) MUST_CHECK;
/* The branch that the block of a height is of, seen from `branch`: the newest that begins below it, or
 * on which it came again. */
uint32_t branches_line(const struct branches *b, uint32_t branch, uint32_t shard, uint64_t height);
/* Lowest height of a shard at which lines parted that can both be read; UINT64_MAX: nowhere. Below
 * it all lines are one, which is how far the collector goes. */
uint64_t branches_lowest(const struct branches *b, uint32_t shard);
void branches_settle(struct branches *b); /* from now on only the current line is read */
void branches_write(const struct branches *b, struct buf *out);
int  branches_read(struct slice in, struct branches *out) MUST_CHECK; /* `out` all zero; -EBADMSG */

/* What one branch sees in one shard. */
struct lineage_step {
	uint32_t branch;
	uint64_t height; /* its versions up to here */
};

struct lineage {
	struct lineage_step *steps; /* ascending branches */
	size_t               count;
};

/* -EINVAL: no such branch. `out` is all zero. */
int  lineage_of(const struct branches *b, uint32_t branch, uint32_t shard, struct lineage *out)
	MUST_CHECK;
void lineage_release(struct lineage *l);
bool lineage_sees(const struct lineage *l, uint32_t branch, uint64_t height);

#endif
