/* writer.h: inside ingest: what its one thread works with, and the steps a block goes through.
 * Every function here runs on the ingest thread. Errors stop the ingest (ingest.h). */
#ifndef CHAINFS_INGEST_WRITER_H
#define CHAINFS_INGEST_WRITER_H

#include "core/checkpoint/trust.h"
#include "core/ingest/ingest.h"
#include "core/ingest/links.h"
#include "core/ingest/pipeline.h"
#include "core/ingest/ranges.h"

#define BORDERS_MAX 16 /* of a run; those beyond are recorded by who orders it */

struct shard_writer {
	struct state  *state;
	struct replay *replay;
	bool stopped; /* the rules of its next block are not ours: blocks are kept, not replayed */
	bool     purge;       /* drop what an earlier hyper base retained with the next block */
};

struct writer {
	struct network *network;
	const struct chain_ops *ops;
	struct ingest_options options;
	struct commit *commit;
	struct ranges  ranges;        /* sizes of what the run holds */
	struct links   links;         /* and its hashes */
	uint64_t       borders[BORDERS_MAX]; /* main heights of the run at which a set of signers
					      * ends */
	size_t         border_count;
	struct trust   trust;         /* which blocks may stand where; as of the last commit */
	struct shard_writer shards[SHARD_MAX];
	struct ingest_totals totals;  /* of what is committed */
	struct ingest_totals pending; /* of the run */
	uint64_t run_started_ms;
	uint64_t commit_took_ms;      /* the newest one */
	uint64_t hurry_ms;            /* when the run is due for an urgent block in it; 0: there is
				       * none */
	uint64_t urgent_ms;           /* of the newest urgent block */
	bool     dirty;               /* the run holds something */
	bool     inside;              /* the gate */
	bool     committed;           /* since old states were last looked for */
	struct ingest_report now;      /* of the block that is being placed */
	struct ingest_report *reports; /* of the run */
	size_t   report_count, report_cap;
};

int writer_open(struct writer *w, struct network *n, const struct ingest_options *o,
		struct err *err) MUST_CHECK;
void writer_release(struct writer *w);
/* Writing begins behind the gate, and ends with a commit that leaves nothing of the run. */
int  writer_enter(struct writer *w, struct err *err) MUST_CHECK;
void writer_leave(struct writer *w);
/* Told after the next commit; a tag of 0 is only told with FATE_LOST. */
int  writer_report(struct writer *w, const struct ingest_report *r) MUST_CHECK;
/* The height of a block that was held is a gap from now on: its bytes are damaged, or its root did
 * not come out. named: the sentence says which account differs. */
int  writer_lost(struct writer *w, const struct block_row *row, bool damaged, bool named,
		 const char *sentence) MUST_CHECK;

/* place.c: a checked job becomes rows, or a fault of its height. */
int writer_place(struct writer *w, struct job *job, struct err *err) MUST_CHECK;

/* advance.c: replays `b`, the block that follows the shard's state. `row` gets its levels. 1: in
 * the state; 0: its root does not come out and nothing of it is in the state, or its rules are not
 * ours. */
int writer_replay(struct writer *w, const struct chain_block *b, struct block_row *row,
		  struct err *err) MUST_CHECK;
/* Is there a block that is held and follows the state of the shard? */
bool writer_is_behind(const struct writer *w, uint32_t shard);
/* Replays such blocks for about ADVANCE_MS: there may be a whole history of them, and others
 * wait. */
int writer_advance(struct writer *w, uint32_t shard, struct err *err) MUST_CHECK;
#define ADVANCE_MS 10u

/* collect.c: adds the next step of what is let go to the batch under construction. 1: there may be
 * more. */
int writer_collect(struct writer *w, struct err *err) MUST_CHECK;

/* One batch; the view is published. Nothing when the run is empty. */
int writer_commit(struct writer *w, struct err *err) MUST_CHECK;
/* True when the run should be committed now. */
bool writer_run_full(const struct writer *w, uint64_t now_ms);

/* damage.c: a held block whose bytes are damaged: its height becomes a gap. Its row, its objects
 * and what its replay left stay. Nothing when the height is not held. */
int writer_damaged(struct writer *w, const struct block_row *row, const char *sentence,
		   struct err *err) MUST_CHECK;
/* The same for what readers met since the last call, where it still fails to read. */
int writer_take_damage(struct writer *w, struct err *err) MUST_CHECK;
/* Was `b`'s height held until its bytes were damaged? 1 and its row, 0. */
int writer_was_damaged(struct writer *w, const struct chain_block *b, struct block_row *row,
		       struct err *err) MUST_CHECK;
/* Whether `b` is, byte for byte, the block of that row; a sentence when not. */
const char *writer_differs(const struct chain_block *b, const struct block_row *row);

/* place.c: stat records and hashes of a block. */
int  writer_put_index(struct commit *c, const struct chain_block *b, const struct block_row *row)
	MUST_CHECK;

/* Notes why (shard, height) is missing. */
int writer_fault(struct writer *w, uint32_t shard, uint64_t height, enum gap_reason reason,
		 const char *sentence, struct err *err) MUST_CHECK;

#endif
