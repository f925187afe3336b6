/* pipeline.h: jobs checked on all cores and taken out in the order they were put in. Urgent ones
 * are a line of their own that goes before the other, with as much room again.
 *
 * The submitter waits while the pipeline is full, by number of jobs or by bytes; the taker gets
 * jobs in order, each after its check. Nothing is dropped: who closes it drains what was put in.
 * Threads  one submitter at a time, one taker, `checkers` threads of the pipeline's own, and one
 *          more after pipeline_yield().
 * Memory   a job and its bytes are the pipeline's from put to take, at most 512 jobs and 16 MiB a
 *          line, or one that is larger.
 * Errors   -ENOMEM; -EAGAIN when a thread cannot be started. A block's own are in its job. */
#ifndef CHAINFS_INGEST_PIPELINE_H
#define CHAINFS_INGEST_PIPELINE_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/store/network.h"

struct job {
	uint32_t   shard;     /* of the stream that it came from */
	uint64_t   expected;  /* height by its place in the stream; 0: not known */
	struct buf received;    /* empty when the block comes from the store, split already: */
	struct buf canonical, certificate;
	size_t     weight;      /* bytes that it had when it was put in */
	uint64_t   tag;         /* of who wants a report; 0: nobody does */
	bool       urgent;      /* checked and taken before those that are not */
	/* set by the check */
	struct chain_block *block; /* NULL when rc < 0 */
	int        rc;
	struct err err;
	uint64_t   check_us;
};

void job_freep(struct job **j);

struct pipeline;

/* checkers 0: as many as there are processors. `ops` and `params` live longer. */
int  pipeline_new(const struct chain_ops *ops, const struct chain_params *params, unsigned checkers,
		  struct pipeline **out) MUST_CHECK;
/* For who follows, once, before the first job: the checkers give way to every other thread of the
 * machine from now on, and one more, which does not, checks what is urgent. So a tip never
 * waits for a processor behind history. */
int  pipeline_yield(struct pipeline *p) MUST_CHECK;
void pipeline_freep(struct pipeline **p); /* closes, drops what was not taken, joins the threads */
int  pipeline_put(struct pipeline *p, struct job *job) MUST_CHECK; /* owns it; -EPIPE after close */
/* -EAGAIN when it would have to wait, -EPIPE after close: the job is still the caller's then. */
int  pipeline_try_put(struct pipeline *p, struct job *job) MUST_CHECK;
void pipeline_close(struct pipeline *p);
/* For who follows: an urgent job is about to come. Until then (clock_mono_ms()), or until it is
 * closed, nothing else is taken, nor its check begun. To give way is not enough: where every
 * processor is busy, another process that wakes up to answer may wait for one much longer than it
 * needs it, since niceness counts within a session alone. */
void pipeline_await(struct pipeline *p, uint64_t until_ms);
/* Until when to await what is told of at `now_ms` and comes within `for_ms`: all of that, but two
 * thirds of all time at most and what was saved up, up to PATIENCE_MS. Who tells of tips may be
 * hostile, and a chain may be fast; what is usual goes on all the same. Plain data, all zero at
 * first. Never earlier than what it said before. */
#define PATIENCE_MS 250u
struct patience {
	uint64_t spent; /* thirds of a millisecond; two come back each millisecond */
	uint64_t at_ms, until_ms;
};
uint64_t patience_until(struct patience *p, uint64_t now_ms, unsigned for_ms);
/* The next job, checked. NULL with *closed: closed and empty; NULL without: nothing for wait_ms. */
struct job *pipeline_take(struct pipeline *p, unsigned wait_ms, bool *closed);

/* A stored block as a job: its bytes, split as they are kept. -EBADMSG: damaged. */
int job_load(struct network *n, const struct block_row *row, struct job *job, struct err *err)
	MUST_CHECK;

/* The check itself, for callers that have one block in hand. */
void job_check(const struct chain_ops *ops, const struct chain_params *params, struct job *job);

#endif
