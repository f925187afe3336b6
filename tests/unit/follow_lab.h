/* follow_lab.h: a follower without sockets: sources that are scripts over an archive, and a loop
 * that runs them. */
#ifndef CHAINFS_TESTS_FOLLOW_LAB_H
#define CHAINFS_TESTS_FOLLOW_LAB_H

#include <semaphore.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/sync/follow.h"
#include "tests/unit/message_lab.h"
#include "tests/unit/tree_fixture.h"

#define LAB_SOURCES  6
#define LAB_SHARDS   3
#define LAB_HEIGHTS  4096
#define LAB_WAIT_MS  20000u
#define LAB_REQUESTS 64

enum script {
	SCRIPT_HONEST,
	SCRIPT_HANGING,   /* never answers */
	SCRIPT_REFUSING,  /* every request fails */
	SCRIPT_HASH,      /* hashes that are not those of the headers */
	SCRIPT_CONTENTS,  /* a byte of a transaction is another, under good headers */
	SCRIPT_MISSING,   /* every fifth block lacks a transaction, or has one too many */
	SCRIPT_REORDERED, /* blocks from above to below */
	SCRIPT_NOISE,     /* bytes that are no blocks */
	SCRIPT_CUT        /* half of what was asked, then the connection fails */
};

struct lab_request {
	uint64_t id; /* 0: free */
	uint32_t shard;
	struct range range;
};

struct source {
	struct lab *lab;
	enum script script;
	struct source_listener to;
	struct lab_request requests[LAB_REQUESTS];
	unsigned asked, closed;
	unsigned cut_short; /* comparisons that the follower did not hear to their end */
	uint64_t given;
	bool connected;
};

struct lab {
	struct chain chain;
	struct events *events;
	struct gate *gate;
	struct follow *follow;
	sem_t woken;
	pthread_t loop;
	atomic_uint wake_ms; /* that another thread takes to wake the loop */
	struct source sources[LAB_SOURCES];
	unsigned source_count;
	struct buf blocks[LAB_SHARDS][LAB_HEIGHTS]; /* by height */
	uint64_t head[LAB_SHARDS];
	unsigned given_times[LAB_SHARDS][LAB_HEIGHTS];
};

static inline void lab_wake(void *arg)
{
	struct lab *l = arg;

	sem_post(&l->woken);
	if (!pthread_equal(pthread_self(), l->loop))
		usleep(1000 * atomic_load(&l->wake_ms));
}

static inline uint64_t lab_now(void *arg)
{
	(void)arg;
	return clock_mono_ms();
}

/* ---- the scripts ---- */

static inline void lab_fetch(struct source *s, uint64_t request, uint32_t shard, struct range range,
			     uint64_t bytes_max, uint32_t timeout_ms)
{
	(void)bytes_max;
	(void)timeout_ms;
	if (s->closed)
		fail_msg("a source is asked that was closed");
	s->asked++;
	for (size_t i = 0; i < LAB_REQUESTS; i++)
		if (!s->requests[i].id) {
			s->requests[i] = (struct lab_request){ request, shard, range };
			return;
		}
	fail_msg("more requests than a source is asked at a time");
}

static inline void lab_end(struct source *s, uint64_t request)
{
	for (size_t i = 0; i < LAB_REQUESTS; i++)
		if (s->requests[i].id == request)
			s->requests[i].id = 0;
}

static inline void lab_cancel(struct source *s, uint64_t request)
{
	s->cut_short += request >> 63; /* those of the coordinator count from 1 */
	lab_end(s, request);
}

static inline void lab_words(const struct source *s, struct source_words *out)
{
	*out = (struct source_words){ .connected = s->connected };
	snprintf(out->version, sizeof out->version, "script %d", (int)s->script);
}

static inline void lab_close(struct source *s)
{
	s->closed++;
	s->to.arg = NULL;
}

static const struct source_ops lab_ops = {
	.scheme = "script",
	.chain = "snapchain",
	.fetch = lab_fetch,
	.cancel = lab_cancel,
	.words = lab_words,
	.close = lab_close,
};

/* Leaves the first transaction out, or where there is none adds that of an earlier block, which is
 * well signed and changes nothing any more. */
static inline void lab_miss(const struct lab *l, uint32_t shard, uint64_t height, struct buf *copy)
{
	struct slice whole = buf_slice(&l->blocks[shard][height]);
	struct slice tx = lab_field(whole, 3);

	if (tx.n) {
		buf_clear(copy);
		buf_add(copy, SLICE(whole.p, (size_t)(tx.p - whole.p)));
		buf_add(copy, SLICE(tx.p + tx.n, (size_t)(whole.p + whole.n - tx.p) - tx.n));
		return;
	}
	for (uint64_t h = height; h-- > 1 && !tx.n;)
		tx = lab_field(buf_slice(&l->blocks[shard][h]), 3);
	buf_add(copy, tx);
}

static inline void lab_give(struct source *s, uint64_t request, uint32_t shard, uint64_t height)
{
	AUTO(buf_release) struct buf copy = BUF_INIT(BLOCK_SIZE_MAX);

	buf_add(&copy, buf_slice(&s->lab->blocks[shard][height]));
	assert_int_equal(buf_done(&copy), 0);
	if (s->script == SCRIPT_HASH)
		assert_true(lab_spoil(&copy, 2));
	if (s->script == SCRIPT_CONTENTS && shard > 0)
		lab_spoil(&copy, 3);
	if (s->script == SCRIPT_MISSING && shard > 0 && height % 5 == 0)
		lab_miss(s->lab, shard, height, &copy);
	if (s->script == SCRIPT_NOISE)
		memset(copy.p, 0xff, copy.n);
	s->given++;
	if (s->script == SCRIPT_HONEST)
		s->lab->given_times[shard][height]++;
	s->to.block(s->to.arg, request, &copy);
}

static inline bool lab_asks(const struct source *s, uint64_t request)
{
	for (size_t i = 0; i < LAB_REQUESTS; i++)
		if (s->requests[i].id == request)
			return true;
	return false;
}

static inline void lab_answer(struct source *s, struct lab_request q)
{
	uint64_t end = MIN(q.range.end, s->lab->head[q.shard] + 1);

	if (s->script == SCRIPT_HANGING)
		return;
	if (s->script == SCRIPT_REFUSING) {
		lab_end(s, q.id);
		s->to.failed(s->to.arg, q.id, FAULT_BROKEN, "no");
		return;
	}
	if (s->script == SCRIPT_CUT)
		end = q.range.first + (end - q.range.first + 1) / 2;
	for (uint64_t i = 0; q.range.first + i < end && lab_asks(s, q.id); i++)
		lab_give(s, q.id, q.shard,
			 s->script == SCRIPT_REORDERED ? end - 1 - i : q.range.first + i);
	if (!lab_asks(s, q.id))
		return;
	lab_end(s, q.id);
	if (s->script == SCRIPT_CUT)
		s->to.failed(s->to.arg, q.id, FAULT_BROKEN, "the connection was reset");
	else
		s->to.came(s->to.arg, q.id);
}

/* ---- the lab ---- */

static inline void lab_read(struct lab *l)
{
	AUTO(archive_closep) struct archive *a = NULL;
	struct err err = ERR_INIT;

	must(archive_open(l->chain.archive, &a, &err), &err);
	for (uint32_t s = 0; s < LAB_SHARDS; s++) {
		for (;;) {
			AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
			struct chain_peek peek;
			int rc = archive_next(a, s, &message, &err);

			must(rc, &err);
			if (rc == 0)
				break;
			must(network_ops(l->chain.network)
				     ->peek(buf_slice(&message), s == 0, &peek, &err),
			     &err);
			assert_true(peek.height < LAB_HEIGHTS);
			l->blocks[s][peek.height] = message;
			message = (struct buf)BUF_INIT(0);
			l->head[s] = peek.height;
		}
	}
}

static inline void lab_open(struct lab *l, const char *archive)
{
	memset(l, 0, sizeof *l);
	sem_init(&l->woken, 0, 0);
	l->loop = pthread_self();
	chain_open(&l->chain, archive);
	l->events = events_new(4096);
	l->gate = gate_new();
	lab_read(l);
}

static inline void lab_follow(struct lab *l, const struct follow_options *o)
{
	struct follow_env env = {
		.network = l->chain.network,
		.events = l->events,
		.gate = l->gate,
		.wake = lab_wake,
		.now_ms = lab_now,
		.arg = l,
	};
	struct err err = ERR_INIT;

	must(follow_open(&env, o, &l->follow, &err), &err);
}

static inline struct follow_options lab_options(void)
{
	struct follow_options o = { .sync = sync_options_default, .from = FOLLOW_FROM_START };

	o.ingest.checkers = 2;
	o.sync.bounds.heights_max = 100;
	return o;
}

/* What is newest comes first, history behind. */
static inline struct follow_options lab_options_from_head(void)
{
	struct follow_options o = lab_options();

	o.from = FOLLOW_FROM_HEAD;
	o.sync.look_ahead = 8;
	return o;
}

/* A follower as most of them are, of nobody yet. */
static inline void lab_begin(struct lab *l, const char *archive)
{
	struct follow_options o = lab_options();

	lab_open(l, archive);
	lab_follow(l, &o);
}

static inline struct follow_sight lab_sight(struct lab *l)
{
	struct follow_sight sight;

	follow_sight(l->follow, &sight);
	return sight;
}

static inline struct source *lab_source(struct lab *l, const char *name, enum script script)
{
	struct source *s = &l->sources[l->source_count++];
	struct source_entry e = { 0 };
	struct err err = ERR_INIT;

	snprintf(e.name, sizeof e.name, "%s", name);
	snprintf(e.operator_name, sizeof e.operator_name, "%s", name);
	snprintf(e.url, sizeof e.url, "script://%s", name);
	*s = (struct source){ .lab = l, .script = script, .connected = true };
	int number = follow_source_add(l->follow, &e, &s->to, &err);

	must(number, &err);
	follow_source_open(l->follow, (unsigned)number, &lab_ops, s);
	for (uint32_t shard = 0; shard < LAB_SHARDS; shard++)
		s->to.offers(s->to.arg, shard, (struct range){ 1, l->head[shard] + 1 });
	return s;
}

static inline void lab_run_once(struct lab *l)
{
	struct timespec soon;
	uint64_t due = follow_step(l->follow), now = clock_mono_ms();

	for (unsigned i = 0; i < l->source_count; i++) {
		struct source *s = &l->sources[i];

		for (size_t k = 0; s->to.arg && s->script != SCRIPT_HANGING && k < LAB_REQUESTS;
		     k++)
			if (s->requests[k].id)
				lab_answer(s, s->requests[k]);
	}
	if (due <= now)
		return;
	clock_gettime(CLOCK_REALTIME, &soon);
	soon.tv_nsec += 5000000;
	soon.tv_sec += soon.tv_nsec / 1000000000;
	soon.tv_nsec %= 1000000000;
	sem_timedwait(&l->woken, &soon);
}

static inline bool lab_is_whole(struct lab *l)
{
	AUTO(view_putp) struct view *v = network_view_get(l->chain.network);

	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		if (v->shards[s].replayed != l->head[s])
			return false;
	return true;
}

/* Before a source has told of a head nothing is known of a base: what is missing is what counts. */
static inline bool lab_missing(struct lab *l, uint32_t shard, uint64_t height)
{
	return follow_want(l->follow, shard, (struct range){ height, height + 1 }, 1) != 0;
}

#define lab_until(l, condition)                                               \
	do {                                                                  \
		uint64_t until_ = clock_mono_ms() + patience_ms(LAB_WAIT_MS); \
		while (!(condition) && clock_mono_ms() < until_)              \
			lab_run_once(l);                                      \
		assert_true(condition);                                       \
	} while (0)

static inline void lab_release(struct lab *l)
{
	follow_closep(&l->follow);
	gate_freep(&l->gate);
	events_freep(&l->events);
	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		for (size_t h = 0; h < LAB_HEIGHTS; h++)
			buf_release(&l->blocks[s][h]);
	chain_release(&l->chain);
	sem_destroy(&l->woken);
}

#endif
