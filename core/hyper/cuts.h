/* cuts.h: the heights of all shards at a main block, and what can be read there.
 *
 * A main block witnesses a height of every other shard: the cut. Cuts never go down.
 * Errors   -ENOENT: no such height; -ENODATA: it exists and is not held, not replayed so far, or
 *          not kept any more, with the sentence. Threads: any. */
#ifndef CHAINFS_HYPER_CUTS_H
#define CHAINFS_HYPER_CUTS_H

#include "core/store/network.h"

struct cuts {
	uint64_t heights[SHARD_MAX]; /* 0: before the first block */
	uint64_t time;               /* of the main block */
	uint8_t hash[HASH_SIZE];
};

/* Height 0 is the empty state. */
int cuts_at(const struct view *v, uint64_t height, struct cuts *out, struct err *err) MUST_CHECK;
/* Are these states replayed and kept, in legacy? */
int cuts_readable(const struct view *v, const struct cuts *c, struct err *err) MUST_CHECK;

/* Does hyper tell of these heights: is it on, and are they above its base? */
int cuts_in_hyper(const struct view *v, const struct cuts *c, struct err *err) MUST_CHECK;

/* The spaces that a context's records lie in as of a height. At its base hyper is legacy; what lies
 * in its rows then belongs to an earlier base. */
unsigned cuts_spaces(const struct shard_view *sv, enum context context, uint64_t height);

/* Counts an end that is our own fault (chainfs_hyper_diff_failures_total); returns rc. */
int hyper_ended(int rc);

/* A state as of a height, held against the collector while it is open. */
struct held_state {
	struct network *network;
	struct state *state; /* NULL at height 0: there is nothing */
	uint32_t shard;
	uint64_t height;
};

int held_state_open(const struct view *v, uint32_t shard, uint64_t height, struct held_state *out,
		    struct err *err) MUST_CHECK;
/* Forgets the rows read so far when they are many; slices of it end. */
int held_state_trim(struct held_state *h, struct err *err) MUST_CHECK;
void held_state_release(struct held_state *h);
/* 1 found, 0 absent: hyper's row wins over the one in `both`. */
int held_state_get(struct held_state *h, unsigned spaces, struct slice key, struct slice *value)
	MUST_CHECK;

#endif
