/* sync_world.h: a coordinator, sources that follow a script, and a clock that goes on to what comes
 * next. What a world asserts holds whatever its sources do: bounds are kept, nothing false is held.
 */
#ifndef CHAINFS_TESTS_SYNC_WORLD_H
#define CHAINFS_TESTS_SYNC_WORLD_H

#include "core/sync/step.h"
#include "tests/support/support.h"

#define SOURCES     6u
#define SHARDS      2u
#define EVENTS_MAX  4096u
#define FRAME_BYTES 16384u
#define MISTAKE_EVERY 333u
#define TURNS       8u
#define DAY_MS      (UINT64_C(24) * 3600 * 1000)

enum nature {
	HONEST,
	SLOW,
	SILENT,
	LIAR,
	PRUNED,
	FLAPPING,
	SHORT,
	SMALL,
	BEHIND,
	NATURE_COUNT,
	HANGING = NATURE_COUNT, /* silent from its third answer on */
	REORDERED,              /* an answer breaks at each 50th height */
	MISTAKEN,               /* each MISTAKE_EVERY-th block is refused, which proves no lie */
};

struct peer {
	enum nature nature;
	uint32_t operator;
	bool up;
	uint32_t delay_ms; /* of an answer */
	double bytes_per_ms;
	uint64_t kept_from[SHARDS];
	uint64_t lag;        /* heights behind the chain */
	uint64_t size_max;   /* heights of an answer, or it fails */
	uint64_t busy_until; /* answers go one after another over its line */
	unsigned answers;
};

enum coming { ANSWER, CHECKED, GROWTH, FLAP, TURN };

struct future {
	uint64_t at_ms, order;
	enum coming kind;
	uint64_t request;
	unsigned source;
	uint32_t shard;
	struct range range;
	enum lane lane;
	uint64_t bytes;
	bool false_one, tip_check, fails, breaks;
};

struct world {
	struct random random;
	struct sync *sync;
	struct sync_options options;
	uint64_t now_ms, order, wake_ms;
	uint64_t head[SHARDS], height_last;
	uint32_t block_ms;
	uint64_t height_bytes;
	struct peer peers[SOURCES];
	struct future queue[EVENTS_MAX]; /* a heap by (at_ms, order) */
	size_t queued;
	bool out[SYNC_REQUESTS_MAX * 4]; /* by id modulo, for those that were cancelled */
	struct {
		uint64_t id;
		unsigned source;
		uint32_t shard;
		struct range range;
		bool tip_check;
	} asked[SYNC_REQUESTS_MAX];
	uint8_t *held[SHARDS];
	unsigned banned_honest, banned, turns;
	bool paused;
	uint64_t checker_free_ms;
	uint64_t asked_bytes[LANE_COUNT], taken[LANE_COUNT], asked_twice;
	uint64_t confirmed[SHARDS];
	uint64_t bytes_out_most;
};

/* ---- a heap of what comes ---- */

static inline bool is_before(const struct future *a, const struct future *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static inline void push(struct world *w, struct future f)
{
	assert_true(w->queued < EVENTS_MAX);
	f.order = w->order++;
	size_t i = w->queued++;

	while (i && is_before(&f, &w->queue[(i - 1) / 2])) {
		w->queue[i] = w->queue[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->queue[i] = f;
}

static inline struct future pop(struct world *w)
{
	struct future first = w->queue[0], last = w->queue[--w->queued];
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= w->queued)
			break;
		if (child + 1 < w->queued && is_before(&w->queue[child + 1], &w->queue[child]))
			child++;
		if (!is_before(&w->queue[child], &last))
			break;
		w->queue[i] = w->queue[child];
		i = child;
	}
	w->queue[i] = last;
	return first;
}

/* ---- the chain ---- */

static inline void hash_of(uint32_t shard, uint64_t height, uint8_t out[HASH_SIZE])
{
	struct random r = random_of((uint64_t)shard << 48 | height);

	random_bytes(&r, out, HASH_SIZE);
}

static inline uint64_t head_of(const struct world *w, const struct peer *p, uint32_t shard)
{
	return w->head[shard] > p->lag ? w->head[shard] - p->lag : 0;
}

/* ---- giving events in and taking actions out ---- */

static inline void give(struct world *w, struct sync_event e);

static inline void begin_answer(struct world *w, const struct sync_action *a)
{
	struct peer *p = &w->peers[a->source];
	uint64_t heights = a->range.end - a->range.first;
	struct future f = {
		.kind = ANSWER,
		.request = a->request,
		.source = a->source,
		.shard = a->shard,
		.range = a->range,
		.lane = a->lane,
		.tip_check = a->kind == SYNC_CHECK_TIP,
	};

	assert_true(p->up);
	assert_true(a->range.first >= 1 && a->range.first < a->range.end);
	if (p->nature == SILENT || (p->nature == HANGING && p->answers++ >= 2))
		return;
	f.fails = heights > p->size_max;
	f.range.first = MAX(f.range.first, p->kept_from[a->shard]);
	f.range.end = MIN(f.range.end, head_of(w, p, a->shard) + 1);
	if (p->nature == SHORT && heights > 1) {
		uint64_t end = a->range.first + 1 + random_below(&w->random, heights);

		f.range.end = MIN(f.range.end, end);
	}
	if (f.range.first >= f.range.end)
		f.range.end = f.range.first;
	f.bytes = (f.range.end - f.range.first) * w->height_bytes;
	f.false_one = p->nature == LIAR && random_chance(&w->random, 50);
	if (p->nature == REORDERED && f.range.end > f.range.first &&
	    f.range.first / 50 != (f.range.end - 1) / 50) {
		f.range.end = (f.range.first / 50 + 1) * 50;
		f.bytes = (f.range.end - f.range.first) * w->height_bytes;
		f.breaks = true;
	}
	uint64_t ready_ms = w->now_ms + p->delay_ms;
	double line_ms = (double)f.bytes / p->bytes_per_ms;

	/* Streams of one connection take turns frame by frame: what is small waits for a frame of
	 * each other one at most, the rest is as good as one after another. */
	p->busy_until = MAX(p->busy_until, ready_ms) + (uint64_t)line_ms;
	f.at_ms = p->busy_until;
	if (f.bytes <= FRAME_BYTES)
		f.at_ms = MIN(f.at_ms, ready_ms + (uint64_t)(line_ms + w->options.source_requests *
									       FRAME_BYTES /
									       p->bytes_per_ms));
	push(w, f);
}

static inline void note_asked(struct world *w, const struct sync_action *a)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (w->asked[i].id && !w->asked[i].tip_check && a->kind == SYNC_FETCH &&
		    w->asked[i].shard == a->shard && w->asked[i].range.first < a->range.end &&
		    a->range.first < w->asked[i].range.end)
			w->asked_twice++;
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (!w->asked[i].id) {
			w->asked[i].id = a->request;
			w->asked[i].source = a->source;
			w->asked[i].shard = a->shard;
			w->asked[i].range = a->range;
			w->asked[i].tip_check = a->kind == SYNC_CHECK_TIP;
			return;
		}
	fail_msg("more requests are out than there may be");
}

static inline bool forget_asked(struct world *w, uint64_t id)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (w->asked[i].id == id) {
			w->asked[i].id = 0;
			return true;
		}
	return false;
}

static inline void act(struct world *w, const struct sync_actions *out)
{
	struct sync_status status;

	for (size_t i = 0; i < out->count; i++) {
		const struct sync_action *a = &out->list[i];

		switch (a->kind) {
		case SYNC_FETCH:
			for (uint64_t h = a->range.first; h < a->range.end; h++)
				assert_false(w->held[a->shard][h]);
			w->asked_bytes[a->lane] +=
				(a->range.end - a->range.first) * w->height_bytes;
			/* fall through */
		case SYNC_CHECK_TIP:
			note_asked(w, a);
			begin_answer(w, a);
			break;
		case SYNC_CANCEL:
			assert_true(forget_asked(w, a->request));
			break;
		case SYNC_BAN:
			w->banned++;
			w->banned_honest += w->peers[a->source].nature != LIAR;
			break;
		case SYNC_CONFIRMED:
			assert_true(a->range.first > w->confirmed[a->shard]);
			w->confirmed[a->shard] = a->range.first;
			break;
		}
	}
	w->wake_ms = out->wake_ms;
	assert_true(out->wake_ms > w->now_ms);
	sync_status(w->sync, &status);
	w->bytes_out_most = MAX(w->bytes_out_most, status.bytes_out);
}

static inline void give(struct world *w, struct sync_event e)
{
	struct sync_actions out;

	e.now_ms = w->now_ms;
	assert_int_equal(sync_step(w->sync, &e, &out), 0);
	act(w, &out);
}

static inline void offer(struct world *w, unsigned source)
{
	const struct peer *p = &w->peers[source];

	for (uint32_t s = 0; p->up && s < SHARDS; s++)
		give(w, (struct sync_event){ .kind = SYNC_OFFERS,
					     .source = source,
					     .shard = s,
					     .range = { p->kept_from[s], head_of(w, p, s) + 1 } });
}

static inline void set_up(struct world *w, unsigned source, bool up)
{
	w->peers[source].up = up;
	if (!up)
		for (size_t i = 0; i < w->queued; i++)
			if (w->queue[i].kind == ANSWER && w->queue[i].source == source)
				forget_asked(w, w->queue[i].request);
	give(w, (struct sync_event){ .kind = up ? SYNC_SOURCE_ADDED : SYNC_SOURCE_REMOVED,
				     .source = source, .operator = w->peers[source].operator });
	if (up)
		offer(w, source);
}

/* ---- what comes ---- */

static inline void on_answer(struct world *w, const struct future *f)
{
	struct sync_event e = { .request = f->request, .range = f->range, .bytes = f->bytes };

	if (!forget_asked(w, f->request))
		return; /* it was cancelled */
	if (f->fails) { /* after a part of it */
		e.kind = SYNC_FAILED;
		e.fault = FAULT_PROTOCOL;
		e.text = "that is too much at once";
		e.range.end = e.range.first + (e.range.end - e.range.first) / 2;
		e.bytes /= 2;
	} else if (f->breaks) {
		e.kind = SYNC_FAILED;
		e.fault = FAULT_PROTOCOL;
		e.text = "a height came where another was to come";
	} else {
		e.kind = SYNC_CAME;
		hash_of(f->shard, f->range.end - 1, e.hash);
		if (f->false_one)
			e.hash[0] ^= 1;
	}
	give(w, e);
	if (f->tip_check || e.range.first >= e.range.end)
		return;
	/* One checker: blocks are checked one after another. */
	uint64_t heights = e.range.end - e.range.first;
	struct future checked = *f;

	checked.range = e.range;
	checked.bytes = e.bytes;
	checked.fails = false;
	w->checker_free_ms = MAX(w->checker_free_ms, w->now_ms) + heights / 100;
	checked.kind = CHECKED;
	checked.at_ms = w->checker_free_ms;
	push(w, checked);
}

/* The first of them that is a mistake of who gave it; the end: none is. */
static inline uint64_t mistake_in(const struct world *w, const struct future *f)
{
	uint64_t mistake = (f->range.first + MISTAKE_EVERY - 1) / MISTAKE_EVERY * MISTAKE_EVERY;

	return w->peers[f->source].nature == MISTAKEN ? MIN(mistake, f->range.end) : f->range.end;
}

static inline void on_checked(struct world *w, const struct future *f);

/* What lies before the mistake and behind it is right. */
static inline void on_mistake(struct world *w, const struct future *f, uint64_t mistake)
{
	struct future below = *f, above = *f;

	below.range.end = mistake;
	above.range.first = mistake + 1;
	if (below.range.first < below.range.end)
		on_checked(w, &below);
	give(w, (struct sync_event){ .kind = SYNC_REFUSED,
				     .shard = f->shard,
				     .range = { mistake, mistake + 1 },
				     .source = f->source,
				     .fault = FAULT_BROKEN,
				     .on = true,
				     .text = "its root does not come out" });
	if (above.range.first < above.range.end)
		on_checked(w, &above);
}

static inline void on_checked(struct world *w, const struct future *f)
{
	uint64_t mistake = mistake_in(w, f);

	if (mistake < f->range.end) {
		on_mistake(w, f, mistake);
		return;
	}
	struct sync_event e = {
		.shard = f->shard,
		.range = f->range,
		.source = f->source,
		.bytes = f->bytes,
		.check_us = (f->range.end - f->range.first) * 10,
	};

	if (f->false_one) {
		e.kind = SYNC_REFUSED;
		e.fault = FAULT_LIE;
		e.on = true;
		e.text = "the hash is another";
	} else {
		e.kind = SYNC_TAKEN;
		hash_of(f->shard, f->range.end - 1, e.hash);
		w->taken[f->lane] += f->range.end - f->range.first;
		for (uint64_t h = f->range.first; h < f->range.end; h++)
			w->held[f->shard][h] = 1;
	}
	give(w, e);
}

static inline void on_growth(struct world *w, const struct future *f)
{
	bool grows = false;

	for (uint32_t s = 0; s < SHARDS; s++) {
		w->head[s] += w->head[s] < w->height_last;
		grows = grows || w->head[s] < w->height_last;
	}
	for (unsigned i = 0; i < SOURCES; i++)
		if (w->peers[i].nature != SILENT)
			offer(w, i);
	struct future next = *f;

	next.at_ms += w->block_ms;
	if (grows)
		push(w, next);
}

static inline void on_flap(struct world *w, const struct future *f)
{
	struct future next = *f;

	set_up(w, f->source, !w->peers[f->source].up);
	next.at_ms += 200 + random_below(&w->random, 5000);
	push(w, next);
}

/* What people and disks do: copies turn out to be damaged, somebody waits for a height, history
 * pauses. */
static inline void on_turn(struct world *w, const struct future *f)
{
	uint32_t shard = (uint32_t)random_below(&w->random, SHARDS);
	uint64_t first = 1 + random_below(&w->random, w->head[shard]);
	uint64_t end = first + 1 + random_below(&w->random, 20);
	struct range r = { first, MIN(end, w->head[shard] + 1) };
	struct future next = *f;

	switch (random_below(&w->random, 4)) {
	case 0:
		for (uint64_t h = r.first; h < r.end; h++)
			w->held[shard][h] = 0;
		give(w, (struct sync_event){ .kind = SYNC_LOST, .shard = shard, .range = r });
		break;
	case 1:
		give(w, (struct sync_event){ .kind = SYNC_WANT, .shard = shard, .range = r });
		break;
	default:
		w->paused = !w->paused;
		give(w, (struct sync_event){ .kind = SYNC_PAUSE, .on = w->paused });
		break;
	}
	next.at_ms += 500 + random_below(&w->random, 20000);
	if (w->turns++ < TURNS)
		push(w, next);
	else if (w->paused)
		give(w, (struct sync_event){ .kind = SYNC_PAUSE, .on = false });
}

static inline bool is_complete(const struct world *w)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		if (w->turns <= TURNS || w->head[s] < w->height_last ||
		    gaps_held(sync_held(w->sync, s)) < w->height_last)
			return false;
	return true;
}

static inline void run(struct world *w, uint64_t until_ms)
{
	while (!is_complete(w) && w->now_ms < until_ms) {
		uint64_t next = w->queued ? w->queue[0].at_ms : UINT64_MAX;

		if (MIN(next, w->wake_ms) > until_ms) {
			w->now_ms = until_ms;
			return;
		}
		if (w->wake_ms < next) {
			w->now_ms = w->wake_ms;
			give(w, (struct sync_event){ .kind = SYNC_TIME });
			continue;
		}
		struct future f = pop(w);

		w->now_ms = MAX(w->now_ms, f.at_ms);
		switch (f.kind) {
		case ANSWER:
			on_answer(w, &f);
			break;
		case CHECKED:
			on_checked(w, &f);
			break;
		case GROWTH:
			on_growth(w, &f);
			break;
		case FLAP:
			on_flap(w, &f);
			break;
		case TURN:
			on_turn(w, &f);
			break;
		}
	}
}

#endif
