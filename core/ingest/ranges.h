/* ranges.h: inside ingest: adds up the sizes of a range's bulk files when the range is complete.
 *
 * Blocks come in any order, so what a run adds is noted by height; when the run is committed, each
 * range that it touched and that is whole by then gets its row in the same batch. What the run did
 * not bring itself is read from the store, once a range.
 * Threads  ingest. */
#ifndef CHAINFS_INGEST_RANGES_H
#define CHAINFS_INGEST_RANGES_H

#include "core/store/network.h"

struct range_note {
	uint32_t shard;
	bool roots; /* of a replayed height; else of a block held */
	uint64_t height;
	size_t turn;   /* the later one of a height counts */
	uint64_t a, b; /* bytes: index and items; or legacy's and hyper's line */
	uint64_t time; /* of a block */
};

struct ranges {
	struct range_note *list;
	size_t count, cap;
};

void ranges_release(struct ranges *r);
int ranges_held(struct ranges *r, const struct block_row *row) MUST_CHECK;
int ranges_replayed(struct ranges *r, uint32_t shard, uint64_t height,
		    const struct roots_row *roots) MUST_CHECK;
/* Puts the rows of the ranges that are whole in the view being built, and forgets the notes. */
int ranges_commit(struct ranges *r, struct network *n, struct commit *c) MUST_CHECK;

#endif
