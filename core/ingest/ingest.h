/* ingest.h: the one writer of a network: check -> place -> replay -> roots -> commit -> publish.
 *
 * Blocks are submitted in any order of shards and heights. Each is checked on the pipeline's cores,
 * then ingest alone, in order of submission: refuses what fails (its height becomes a gap with the
 * reason), stores what does not, replays as far as the shard is without a gap, and commits runs of
 * blocks as one atomic batch. Blocks beyond a gap wait; filling the gap replays them.
 *
 * Acknowledged is what a published view holds: the batch behind it was synced.
 * Errors   a fault of a block is not an error here; -EIO, -ENOSPC and the like stop the ingest,
 *          every later call returns the same code and sentence, and what was acknowledged stays.
 * Threads  one submitter; ingest runs threads of its own. One struct ingest a network at a time. */
#ifndef CHAINFS_INGEST_H
#define CHAINFS_INGEST_H

#include "core/control/events.h"
#include "core/ingest/gate.h"
#include "core/store/network.h"

struct ingest;

struct ingest_options {
	unsigned checkers;          /* threads that check; 0: one a core */
	bool     allow_uncommitted; /* take blocks without a certificate */
	/* Newest heights of the main shard as of which the state stays readable, and of every other
	 * shard what they witness; what is older is let go, unless it is pinned. 0: nothing is. */
	uint64_t history_keep;
	uint64_t commit_ms;         /* a run of blocks is committed at this age; 0: a default */
	struct events *events;      /* NULL: nobody listens */
	struct gate *gate;          /* where it waits between two commits; NULL: nowhere */
	const atomic_bool *stop;    /* ends that wait: -EINTR; NULL */
};

/* Of this ingest, since it started. */
struct ingest_totals {
	uint64_t blocks;    /* taken and committed */
	uint64_t held;      /* were held already */
	uint64_t refused;   /* failed a check, or the state's root */
	uint64_t replayed;  /* entered the state */
	uint64_t items, bytes;
	uint64_t commits;
};

int  ingest_start(struct network *n, const struct ingest_options *o, struct ingest **out,
		  struct err *err) MUST_CHECK;
/* Switches hyper from the next block on; before anything was submitted. Off to on starts a hyper
 * base at the height replayed so far, and drops what an earlier base had retained. */
int  ingest_set_hyper(struct ingest *in, bool on, struct err *err) MUST_CHECK;
/* Takes `received` over. Waits for room. `expected` is the height by its place in a stream; 0 when
 * that is not known. */
int  ingest_submit(struct ingest *in, uint32_t shard, uint64_t expected, struct buf *received,
		   struct err *err) MUST_CHECK;
/* The same with a block that was split already, as a store keeps it; the bytes are copied. */
int  ingest_submit_split(struct ingest *in, uint32_t shard, uint64_t height, struct slice canonical,
			 struct slice certificate, struct err *err) MUST_CHECK;
/* Drains, commits and stops. Called once, also after an error. */
int  ingest_finish(struct ingest *in, struct err *err) MUST_CHECK;
void ingest_totals(struct ingest *in, struct ingest_totals *out);
void ingest_freep(struct ingest **in);

/* For a restore: the rows of a block whose state was carried here, as an import leaves them, but of
 * what replay adds. The block is held from then on. */
int ingest_restored(struct commit *c, const struct chain_block *b, struct err *err) MUST_CHECK;

#endif
