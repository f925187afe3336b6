/* ingest.h: the one writer of a network: check -> place -> replay -> roots -> commit -> publish.
 *
 * Blocks are submitted in any order of shards and heights. Each is checked on the pipeline's cores,
 * then ingest alone, in order of submission (urgent ones before others): refuses what fails (its
 * height becomes a gap with the reason), stores what does not, replays as far as the shard is
 * without a gap, and commits runs of blocks as one atomic batch. Blocks beyond a gap wait; filling
 * the gap replays them.
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

/* What became of a block that was submitted with a tag. */
enum ingest_fate {
	FATE_TAKEN,   /* held from now on, and synced */
	FATE_HELD,    /* this very block was held already */
	FATE_REFUSED, /* a level failed, or it contradicts a neighbour that is held */
	FATE_STATE,   /* its root does not come out; its bytes are kept aside */
	FATE_LOST,    /* of no tag: a height that was held and is a gap now: its bytes are damaged,
		       * or its root does not come out */
};
/* A lie is what nobody else is needed to prove: bytes that do not parse, that contradict their own
 * hash, a signature or quorum that fails. A block that contradicts a neighbour that is held is
 * refused, and so is one whose root does not come out; but the other one may be the false one, or
 * our rules, so that alone is no lie of who gave it. */
struct ingest_report {
	uint64_t tag;      /* as submitted; 0: FATE_LOST */
	enum ingest_fate fate;
	uint32_t shard;
	uint64_t height;   /* by its own words; of a refused one that has none: the expected one */
	uint8_t  hash[HASH_SIZE]; /* FATE_LOST: zeros where its bytes are damaged */
	uint8_t  digest[BLOCK_DIGEST_SIZE]; /* of what it carries, but for who signed it; zeros
					     * where it was refused, held already, or is damaged */
	uint64_t bytes;    /* as received */
	uint64_t check_us; /* of checkers and of ingest */
	bool     lie;      /* the giver must have known: bytes against their own hash, signatures */
	bool     names_account; /* FATE_STATE, FATE_LOST: the sentence says which one differs */
	char     sentence[REASON_SIZE]; /* of what was refused */
};

struct ingest_options {
	unsigned checkers;          /* threads that check; 0: one a core */
	bool     allow_uncommitted; /* take blocks without a certificate */
	/* Newest heights of the main shard as of which the state stays readable, and of every other
	 * shard what they witness; what is older is let go, unless it is pinned. 0: nothing is. */
	uint64_t history_keep;
	uint64_t commit_ms;         /* a run of blocks is committed at this age; 0: a default. Earlier
				     * when nothing comes, or for an urgent block */
	struct events *events;      /* NULL: nobody listens */
	struct gate *gate;          /* where it waits between two commits; NULL: nowhere */
	const atomic_bool *stop;    /* ends that wait: -EINTR; NULL */
	/* After each commit, what became of the tagged blocks of the run, in the order in which
	 * they were submitted, and what was lost; on the ingest thread, or that of ingest_finish(),
	 * holding no lock. What was submitted and is not reported by the end of ingest_finish() was
	 * dropped. NULL: nobody asks; then readers' damage is looked at with blocks alone. */
	void (*report)(void *arg, const struct ingest_report *list, size_t count);
	void *report_arg;
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
/* The same for who may not wait: -EAGAIN when there is no room. What becomes of it is reported with
 * the tag, which is not 0. An urgent block, as a new tip, goes before all that are not, has room of
 * its own, and is committed within some milliseconds of being placed, however much else comes;
 * while such blocks come, runs are kept short, since one waits for the commit that it meets. After
 * every error `received` is still the caller's. */
int  ingest_try_submit(struct ingest *in, uint32_t shard, uint64_t expected, uint64_t tag,
		       bool urgent, struct buf *received, struct err *err) MUST_CHECK;
/* An urgent block is about to come: for so long nothing else is checked or placed, but for two
 * thirds of all time at most, however often this is called (pipeline.h). The replay of what is held
 * goes on, some milliseconds at a time. */
void ingest_await(struct ingest *in, unsigned for_ms);
/* The same with a block that was split already, as a store keeps it; the bytes are copied. */
int  ingest_submit_split(struct ingest *in, uint32_t shard, uint64_t height, struct slice canonical,
			 struct slice certificate, struct err *err) MUST_CHECK;
/* Drains, commits and stops. Called once, also after an error. What is held and waits to be
 * replayed is replayed first, unless *stop is true: then it is left to the next ingest, and the
 * code is -EINTR. */
int  ingest_finish(struct ingest *in, struct err *err) MUST_CHECK;
void ingest_totals(struct ingest *in, struct ingest_totals *out);
void ingest_freep(struct ingest **in);

/* For a restore: the rows of a block whose state was carried here, as an import leaves them, but of
 * what replay adds. The block is held from then on. */
int ingest_restored(struct commit *c, const struct chain_block *b, struct err *err) MUST_CHECK;

#endif
