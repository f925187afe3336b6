/* state.h: the rows of one shard as of a place, and what a block being replayed writes on top.
 *
 * Three layers: the block (written by the block that is being replayed), the run (blocks replayed
 * since the last commit), the store (versioned rows as of the place it was opened at). Two ways of
 * reading, and for some chains the difference is consensus:
 *   G  state_get()            the block's own writes first, then committed
 *   C  state_get_committed(), state_scan*()   what was there before this block: run and store
 *
 * Keys    any bytes up to STATE_KEY_MAX; the store encodes them so that none is a prefix of another
 *         and their order is kept. Values: any bytes up to STATE_VALUE_MAX.
 * Memory  slices given out stay valid until the block after next begins (state_block_begin), and
 *         for scans until the next step.
 * Threads one at a time. A state on a view for reading (limits) is opened and released by its
 * reader. Without a network (NULL) it is memory alone: tests and chains that we make. */
#ifndef CHAINFS_STATE_H
#define CHAINFS_STATE_H

#include "core/chain/chain.h"

#define STATE_KEY_MAX   4096
#define STATE_VALUE_MAX (1u << 20)
/* Bytes of rows that a state keeps because they were read lately: a quarter of the store's cache,
 * within these. A state that is kept for days comes to its bound. */
#define STATE_ROWS_MIN (1u << 20)
#define STATE_ROWS_MAX (64u << 20)

struct network;
struct state;
struct state_scan;

/* height: rows as of it, UINT64_MAX for the newest. state_open() reads the newest view's branch. A
 * height is pinned while its state is open; -ENODATA: the collector went past it already. */
int  state_open(struct network *net, uint32_t shard, uint64_t height, struct state **out,
		struct err *err) MUST_CHECK;
int  state_open_at(struct network *net, uint32_t branch, uint32_t shard, uint64_t height,
		   struct state **out, struct err *err) MUST_CHECK;
void state_freep(struct state **st);

uint32_t state_branch(const struct state *st); /* which it reads */

/* 1 found, 0 absent, negative: the store failed. `space` is one space, not both. */
int state_get(struct state *st, enum space space, struct slice key, struct slice *value) MUST_CHECK;
/* The same for who only looks: *value is valid until the next call with this state. */
int state_peek(struct state *st, enum space space, struct slice key, struct slice *value)
	MUST_CHECK;
int state_get_committed(struct state *st, enum space space, struct slice key,
			struct slice *value) MUST_CHECK;

/* Ascending keys that begin with `prefix`, tombstones left out. `spaces` may be SPACES_HYPER: the
 * two merged in key order, hyper's row winning where both have one. with_block: also see the
 * block's own writes (G). from: start at the first key >= prefix + from (empty: all).
 * Writing while a scan is open is allowed; whether it sees the write is not defined with_block. */
int  state_scan_new(struct state *st, unsigned spaces, struct slice prefix, struct slice from,
		    bool with_block, struct state_scan **out) MUST_CHECK;
int  state_scan_next(struct state_scan *s, struct slice *key, struct slice *value)
	MUST_CHECK; /* 1, 0, <0 */
void state_scan_freep(struct state_scan **s);

/* Writes go to the block. fresh: the caller knows that no such row exists as of now, which saves
 * asking the store for a predecessor; false is always right. A wrong `true` lets an old row come
 * back when this one is collected. A delete of what is not there leaves nothing. */
int state_put(struct state *st, enum space space, struct slice key, struct slice value, bool fresh)
	MUST_CHECK;
int state_delete(struct state *st, enum space space, struct slice key, enum reason reason)
	MUST_CHECK;

int  state_block_begin(struct state *st, uint64_t height) MUST_CHECK;
int  state_block_end(struct state *st) MUST_CHECK; /* the block joins the run as versions of its
						    * height */
void state_block_abort(struct state *st);

size_t state_run_bytes(const struct state *st); /* what the run holds in memory; a bound for
						 * batches */
size_t state_memory(const struct state *st);    /* all of it, rows that were read lately among it */
size_t state_rows_max(const struct state *st);  /* of those; who keeps more of them measures by
						 * it */

#endif
