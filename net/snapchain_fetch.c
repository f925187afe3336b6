#include <stdio.h>

#include "net/snapchain_inside.h"

#define TRIES_MAX      7u /* of an empty answer close to the head: 2 + 4 … + 64 ms */
#define PROBE_TIMEOUT  10000u
#define PROBE_SIZE_MAX BLOCK_SIZE_MAX

static uint64_t now_of(const struct source *s)
{
	return loop_now_ms(s->loop);
}

static void fetch_stop(struct fetch *f)
{
	grpc_cancel(&f->call);
	splitter_release(&f->split);
}

static void fetch_free(struct fetch *f)
{
	fetch_stop(f);
	f->there = false;
}

/* ---- told to the listener; the slot is free before, for what it asks next ---- */

static void tell_failed(struct fetch *f, enum fault_kind fault, const char *sentence)
{
	struct source *s = f->of;
	uint64_t id = f->id;
	char text[REASON_SIZE];
	snprintf(text, sizeof text, "%s", sentence);
	fetch_free(f);
	s->to.failed(s->to.arg, id, fault, text);
}

static void tell_came(struct fetch *f)
{
	struct source *s = f->of;
	uint64_t id = f->id;
	fetch_free(f);
	s->to.came(s->to.arg, id);
}

/* False: the fetch is over. */
static bool tell_block(struct fetch *f, struct buf *block)
{
	struct source *s = f->of;
	uint64_t serial = f->serial;
	if (f->blocks == f->range.end - f->range.first) {
		tell_failed(f, FAULT_PROTOCOL, "more blocks than it was asked for");
		return false;
	}
	if (!f->blocks++)
		f->first = block_height_of(buf_slice(block));
	s->to.block(s->to.arg, f->id, block);
	return !s->closed && f->there && f->serial == serial;
}

/* ---- what comes ---- */

static bool chunk_came(void *arg, struct buf *chunk)
{
	return tell_block(arg, chunk);
}

static void block_came(void *arg, struct buf *block)
{
	struct fetch *f = arg;
	struct source *s = f->of;
	source_enter(s);
	tell_block(f, block);
	source_leave(s);
}

static void piece_came(void *arg, struct slice part, size_t left)
{
	struct fetch *f = arg;
	struct source *s = f->of;
	source_enter(s);
	int rc = splitter_feed(&f->split, part, chunk_came, f);
	if (rc < 0) {
		tell_failed(f, FAULT_PROTOCOL,
			    rc == -EMSGSIZE ? "a block over the bytes that were asked for"
			    : rc == -ENOMEM ? "no memory for a block"
					    : "an answer that does not parse");
	} else if (rc == 0 && !left && !splitter_between(&f->split)) {
		tell_failed(f, FAULT_PROTOCOL, "an answer that ends within a block");
	}
	source_leave(s);
}

/* It had nothing, or began late. True: it will be asked again. */
static bool look_at_gap(struct fetch *f)
{
	struct source *s = f->of;
	struct shard_state *shard = &s->shards[f->shard];
	uint64_t now = now_of(s), first = f->range.first;
	if (f->blocks) {
		if (f->first > first && f->first <= shard->max)
			source_first_is(s, f->shard, f->first);
		return false;
	}
	if (first > shard->max || first < shard->first)
		return false;
	if (first + NEAR_HEAD > shard->max) {
		if (f->tries >= TRIES_MAX)
			return false;
		f->again_ms = MIN(now + (1u << f->tries++), f->deadline_ms);
		source_due_at(s);
		return true;
	}
	uint64_t end = MIN(f->range.end, shard->max + 1);
	source_first_is(s, f->shard, end);
	if (!s->closed && end <= shard->max)
		probe_begin(s, f->shard, end - 1, shard->max);
	return false;
}

static enum fault_kind fault_of(int status, bool local)
{
	if (status == GRPC_DEADLINE_EXCEEDED)
		return FAULT_TIMEOUT;
	if (local && (status == GRPC_RESOURCE_EXHAUSTED || status == GRPC_INTERNAL ||
		      status == GRPC_UNKNOWN))
		return FAULT_PROTOCOL;
	/* Nodes give their own deadline this status. */
	if (!local && status == GRPC_CANCELLED)
		return FAULT_TIMEOUT;
	return FAULT_BROKEN;
}

static void fetch_ended(void *arg, int status, bool local, const char *sentence)
{
	struct fetch *f = arg;
	struct source *s = f->of;
	uint64_t serial = f->serial;
	source_enter(s);
	f->call = NULL;
	if (status != GRPC_OK) {
		char text[REASON_SIZE];
		snprintf(text, sizeof text, "%s%s%.120s", local ? "" : grpc_status_name(status),
			 local ? "" : ": ", sentence);
		tell_failed(f, fault_of(status, local), text);
	} else if (!look_at_gap(f) && !s->closed && f->there && f->serial == serial) {
		tell_came(f);
	}
	source_leave(s);
}

/* ---- asking ---- */

static void fetch_fails_soon(struct fetch *f, enum fault_kind fault, const char *sentence)
{
	f->fails = true;
	f->fault = fault;
	snprintf(f->sentence, sizeof f->sentence, "%s", sentence);
	f->again_ms = 0;
}

static void fetch_start(struct fetch *f)
{
	struct source *s = f->of;
	uint64_t now = now_of(s);
	f->again_ms = UINT64_MAX;
	if (!s->connected) {
		fetch_fails_soon(f, FAULT_BROKEN, "it is not connected");
		return;
	}
	if (now >= f->deadline_ms) {
		fetch_fails_soon(f, FAULT_TIMEOUT, "nothing came in time");
		return;
	}
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	request_of_blocks(f->shard, f->range, &request);
	uint64_t count = MIN(f->range.end - f->range.first, f->bytes_max);
	const struct grpc_options o = {
		.timeout_ms = (uint32_t)(f->deadline_ms - now),
		.message_max = (size_t)(f->shard ? f->bytes_max + count * CHUNK_OVERHEAD
						 : MIN(f->bytes_max, BLOCK_SIZE_MAX)),
		.bytes_max = f->shard ? 0 : f->bytes_max,
	};
	const struct grpc_listener to = { f, block_came, f->shard ? piece_came : NULL,
					  fetch_ended };
	f->split = (struct splitter){ .size_max = (size_t)MIN(f->bytes_max, BLOCK_SIZE_MAX) };
	int rc = buf_done(&request);
	if (rc == 0)
		rc = grpc_start(s->h2, s->loop, call_of_blocks(f->shard), buf_slice(&request), &o,
				&to, &f->call);
	if (rc < 0)
		fetch_fails_soon(f, FAULT_BROKEN,
				 rc == -ENOMEM ? "no memory to ask it"
					       : "it takes no more requests");
}

void fetch_begin(struct source *s, uint64_t request, uint32_t shard, struct range range,
		 uint64_t bytes_max, uint32_t timeout_ms)
{
	struct fetch *f = s->fetches;
	while (f < s->fetches + FETCHES_MAX && f->there)
		f++;
	assert(f < s->fetches + FETCHES_MAX && range.first < range.end && shard < SHARD_MAX);
	*f = (struct fetch){ .of = s,
			     .there = true,
			     .serial = ++s->serial,
			     .id = request,
			     .shard = shard,
			     .range = range,
			     .bytes_max = MIN(bytes_max, (uint64_t)UINT32_MAX),
			     .deadline_ms = now_of(s) + timeout_ms };
	fetch_start(f);
	source_due_at(s);
}

void fetch_cancel(struct source *s, uint64_t request)
{
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (s->fetches[i].there && s->fetches[i].id == request)
			fetch_free(&s->fetches[i]);
}

void fetches_due(struct source *s, uint64_t now_ms)
{
	for (size_t i = 0; i < FETCHES_MAX && !s->closed; i++) {
		struct fetch *f = &s->fetches[i];
		if (!f->there || f->again_ms > now_ms)
			continue;
		if (!f->fails)
			fetch_start(f);
		if (f->fails)
			tell_failed(f, f->fault, f->sentence);
	}
}

uint64_t fetches_due_ms(const struct source *s)
{
	uint64_t due = UINT64_MAX;
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (s->fetches[i].there)
			due = MIN(due, s->fetches[i].again_ms);
	return due;
}

void fetches_fail(struct source *s, enum fault_kind fault, const char *sentence)
{
	for (size_t i = 0; i < FETCHES_MAX; i++) {
		struct fetch *f = &s->fetches[i];
		if (!f->there || f->fails)
			continue;
		fetch_stop(f);
		fetch_fails_soon(f, fault, sentence);
	}
}

void fetches_drop(struct source *s)
{
	for (size_t i = 0; i < FETCHES_MAX; i++)
		if (s->fetches[i].there)
			fetch_free(&s->fetches[i]);
}

/* ---- where what it has begins ---- */

static void probe_next(struct source *s);

static bool probe_chunk(void *arg, struct buf *chunk)
{
	struct source *s = arg;
	s->probe.found = s->probe.found || block_height_of(buf_slice(chunk)) == s->probe.asked;
	return true;
}

static void probe_message(void *arg, struct buf *block)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf whole = *block;
	*block = (struct buf)BUF_INIT(0);
	s->probe.found = s->probe.found || block_height_of(buf_slice(&whole)) == s->probe.asked;
}

static void probe_piece(void *arg, struct slice part, size_t left)
{
	struct source *s = arg;
	if (splitter_feed(&s->probe.split, part, probe_chunk, s) < 0)
		probe_stop(s);
}

static void probe_ended(void *arg, int status, bool local, const char *sentence)
{
	struct source *s = arg;
	struct probe *p = &s->probe;
	source_enter(s);
	p->call = NULL;
	splitter_release(&p->split);
	if (status != GRPC_OK) {
		/* Whoever asks below is told by another empty answer, and begins it anew. */
		p->running = false;
	} else {
		if (p->found)
			p->there = p->asked;
		else
			p->missing = p->asked;
		probe_next(s);
	}
	source_leave(s);
}

static void probe_next(struct source *s)
{
	struct probe *p = &s->probe;
	if (p->there <= p->missing + 1) {
		p->running = false;
		source_first_is(s, p->shard, p->there);
		return;
	}
	p->asked = p->missing + (p->there - p->missing) / 2;
	p->found = false;
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	request_of_blocks(p->shard, (struct range){ p->asked, p->asked + 1 }, &request);
	const struct grpc_options o = { .timeout_ms = PROBE_TIMEOUT,
					.message_max = PROBE_SIZE_MAX };
	const struct grpc_listener to = { s, probe_message, p->shard ? probe_piece : NULL,
					  probe_ended };
	p->split = (struct splitter){ .size_max = PROBE_SIZE_MAX };
	if (!s->h2 || buf_done(&request) < 0 ||
	    grpc_start(s->h2, s->loop, call_of_blocks(p->shard), buf_slice(&request), &o, &to,
		       &p->call) < 0)
		p->running = false;
}

void probe_begin(struct source *s, uint32_t shard, uint64_t missing, uint64_t there)
{
	if (s->probe.running)
		return;
	s->probe = (struct probe){
		.running = true, .shard = shard, .missing = missing, .there = there
	};
	probe_next(s);
}

void probe_stop(struct source *s)
{
	grpc_cancel(&s->probe.call);
	splitter_release(&s->probe.split);
	s->probe.running = false;
}
