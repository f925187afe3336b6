/* run.h: what a state hands to a commit: the versions that its blocks wrote since the last one.
 *
 * A commit takes the versions, then tells how it went: applied, so that the state may forget them
 * and read them from the store; or dropped, after which the state no longer answers (-ESTALE),
 * since what it built on never happened.
 * Threads  ingest. */
#ifndef CHAINFS_STORE_RUN_H
#define CHAINFS_STORE_RUN_H

#include "core/store/state.h"

struct commit;

struct version {
	struct entry *entry;
	struct value *value; /* NULL: a tombstone */
	uint64_t      height;
	uint8_t       reason; /* enum reason, of a tombstone */
	bool          death;  /* something older may lie below it */
};

struct version_view {
	enum space   space;
	struct slice key, value;
	bool         tombstone;
	uint64_t     height;
	enum reason  reason;
	bool         death;
};

uint32_t state_shard(const struct state *st);
struct network *state_network(const struct state *st);

/* The next version that no commit took yet; false: there is none. They come in order of space and
 * key: the database takes in sorted keys several times faster than scattered ones. */
bool state_take(struct state *st, struct version_view *out);
/* By how much the rows of `hyper` alone have grown in the blocks ended since the last call, in
 * bytes of keys and values. */
int64_t state_take_hyper_bytes(struct state *st);
/* `commit` now has to say how it went. */
void state_taken_by(struct state *st, struct commit *commit);
void state_applied(struct state *st);
void state_dropped(struct state *st);

/* commit.c: `st` goes away before the commit said how it went. */
void commit_forget(struct commit *c, struct state *st);

#endif
