#include "net/snapchain_source.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/trace.h"
#include "net/snapchain_inside.h"

#define POLL_MS        1000u
#define INFO_TIMEOUT   5000u
#define INFO_LATE_MAX  2u /* without an answer: another connection is tried */
#define AGAIN_MIN_MS   1000u
#define AGAIN_MAX_MS   10000u
#define STEADY_MS      10000u /* a connection that lasted as long was a good one */
#define SUBSCRIBE_MS   5000u  /* until it is tried again */
#define HURRY_MS       20u    /* from an event to the look at the main shard; doubles */
#define HURRY_MAX      3u
#define EVENT_SIZE_MAX (1u << 20)
#define AHEAD_MAX      1000u /* heights that an event may be ahead of what GetInfo told */
#define LOWER_MAX      2u    /* times that a lower head is told until it is believed */

static void connect_now(struct source *s);
static void poll_now(struct source *s);

/* ---- entries ---- */

static void source_free(struct source *s)
{
	free(s);
}

void source_enter(struct source *s)
{
	s->inside++;
}

void source_leave(struct source *s)
{
	if (--s->inside)
		return;
	if (s->closed)
		source_free(s);
	else
		source_due_at(s);
}

void source_due_at(struct source *s)
{
	if (s->closed)
		return;
	uint64_t due = MIN(s->connect_ms, MIN(s->poll_ms, s->subscribe_ms));
	loop_timer_at(s->timer, MIN(due, fetches_due_ms(s)));
}

static void subscribe(struct source *s);

static void due(void *arg)
{
	struct source *s = arg;
	uint64_t now = loop_now_ms(s->loop);
	source_enter(s);
	if (now >= s->connect_ms)
		connect_now(s);
	if (!s->closed && now >= s->poll_ms)
		poll_now(s);
	if (!s->closed && now >= s->subscribe_ms)
		subscribe(s);
	if (!s->closed)
		fetches_due(s, now);
	source_leave(s);
}

/* ---- what is told ---- */

void source_changed(struct source *s)
{
	if (!s->closed)
		s->to.changed(s->to.arg);
}

static void news(struct source *s, const char *format, ...) PRINTF_LIKE(2, 3);

static void news(struct source *s, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(s->news, sizeof s->news, format, list);
	va_end(list);
	source_changed(s);
}

void source_offer(struct source *s, uint32_t shard)
{
	struct shard_state *st = &s->shards[shard];
	struct range has = { st->first, st->max + 1 };
	if (has.first >= has.end)
		has = (struct range){ 0, 0 };
	if (s->closed || !s->connected || (has.first == st->told.first && has.end == st->told.end))
		return;
	st->told = has;
	s->to.offers(s->to.arg, shard, has);
}

void source_first_is(struct source *s, uint32_t shard, uint64_t first)
{
	struct shard_state *st = &s->shards[shard];
	if (s->closed || first <= st->first)
		return;
	st->first = first;
	source_offer(s, shard);
	source_changed(s);
}

static void words(const struct source *s, struct source_words *out)
{
	*out = (struct source_words){ .connected = s->connected };
	snprintf(out->version, sizeof out->version, "%s", s->info.version);
	snprintf(out->peer, sizeof out->peer, "%s", s->info.peer);
	size_t n = 0;
	for (uint32_t i = 0; i < SHARD_MAX && n < sizeof out->remark; i++)
		if (s->shards[i].first > 1)
			n += (size_t)snprintf(out->remark + n, sizeof out->remark - n,
					      "%sshard %u: heights below %" PRIu64
					      " are pruned there",
					      n ? "; " : "", (unsigned)i, s->shards[i].first);
	if (s->news[0] && n < sizeof out->remark)
		n += (size_t)snprintf(out->remark + n, sizeof out->remark - n, "%s%s",
				      n ? "; " : "", s->news);
	if (s->info.announces && n < sizeof out->remark)
		snprintf(out->remark + n, sizeof out->remark - n,
			 "%sit announces another version of the protocol", n ? "; " : "");
}

/* ---- what the node says of itself ---- */

/* An event runs ahead of GetInfo's answer that was on its way; so a lower head counts when it is
 * told again. */
static void head_told(struct source *s, uint32_t shard, uint64_t max)
{
	struct shard_state *st = &s->shards[shard];
	uint64_t before = st->max;
	if (max >= before) {
		st->max = max;
		st->lower_seen = 0;
		source_offer(s, shard);
		return;
	}
	if (++st->lower_seen < LOWER_MAX)
		return;
	st->lower_seen = 0;
	st->max = max;
	st->first = MIN(st->first, max + 1);
	source_offer(s, shard);
	if (!s->closed)
		news(s, "shard %u: its head went back from %" PRIu64 " to %" PRIu64,
		     (unsigned)shard, before, max);
}

static void first_info(struct source *s)
{
	s->connected = true;
	s->since_ms = loop_now_ms(s->loop);
	/* What it had pruned it may have by now: another empty answer will tell. */
	for (uint32_t i = 0; i < SHARD_MAX; i++) {
		s->shards[i].told = (struct range){ 0, 0 };
		s->shards[i].first = 1;
	}
	if (s->was_connected)
		snprintf(s->news, sizeof s->news, "connected again, connections lost: %u",
			 s->failures);
	s->was_connected = true;
	s->subscribe_ms = 0;
}

static void info_take(struct source *s, const struct info *now)
{
	struct info before = s->info;
	bool first = !s->connected;
	s->info = *now;
	if (first)
		first_info(s);
	if (before.version[0] && strcmp(before.version, now->version) != 0)
		snprintf(s->news, sizeof s->news, "its program changed from %.48s to %.48s",
			 before.version, now->version);
	else if (before.peer[0] && strcmp(before.peer, now->peer) != 0)
		snprintf(s->news, sizeof s->news, "another peer answers there: %.64s", now->peer);
	if (first || strcmp(before.version, now->version) != 0 ||
	    strcmp(before.peer, now->peer) != 0 || before.announces != now->announces)
		source_changed(s);
	uint32_t shards = s->options.shard_count ? s->options.shard_count : SHARD_MAX;
	for (uint32_t i = 0; i < shards && !s->closed; i++)
		if (now->has[i]) {
			s->shards[i].there = true;
			head_told(s, i, now->max[i]);
		}
}

static void info_came(void *arg, struct buf *message)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf whole = *message;
	*message = (struct buf)BUF_INIT(0);
	struct err err = ERR_INIT;
	struct info now;
	source_enter(s);
	uint64_t main_before = s->shards[0].max;
	int rc = info_read(buf_slice(&whole), &now, &err);
	if (rc < 0)
		s->to.fault(s->to.arg, FAULT_PROTOCOL, err_text(&err, rc));
	else
		info_take(s, &now);
	if (s->shards[0].max > main_before && s->asked_ms >= s->event_ms)
		s->hurry = 0;
	source_leave(s);
}

/* ---- connections ---- */

static void connection_drop(struct source *s)
{
	probe_stop(s);
	grpc_cancel(&s->info_call);
	grpc_cancel(&s->event_call);
	grpc_cancel(&s->node_call);
	h2_closep(&s->h2);
	s->h2_ready = false;
	s->poll_ms = s->subscribe_ms = UINT64_MAX;
}

static uint64_t wait_of(unsigned failures)
{
	uint64_t wait = (uint64_t)AGAIN_MIN_MS << MIN(failures, 10u);
	return MIN(wait, (uint64_t)AGAIN_MAX_MS);
}

/* It is tried again, later each time, until a connection lasted. */
static void connection_lost(struct source *s, enum fault_kind fault, const char *sentence)
{
	uint64_t now = loop_now_ms(s->loop);
	bool was = s->connected, asked = s->node_call;
	if (was && now - s->since_ms >= STEADY_MS)
		s->failures = 0;
	s->connect_ms = now + wait_of(s->failures++);
	connection_drop(s);
	fetches_fail(s, fault, sentence);
	if (asked && !s->closed)
		s->to.node(s->to.arg, s->node_request, -EHOSTUNREACH, NULL, sentence);
	s->connected = false;
	s->unanswered = 0;
	snprintf(s->news, sizeof s->news, "%.*s", (int)sizeof s->news - 1, sentence);
	source_changed(s);
	if (!s->closed)
		s->to.fault(s->to.arg, fault, sentence);
}

static void h2_is_ready_now(void *arg)
{
	struct source *s = arg;
	source_enter(s);
	s->h2_ready = true;
	s->poll_ms = 0;
	source_leave(s);
}

static void h2_has_ended(void *arg, int rc, const char *sentence)
{
	struct source *s = arg;
	enum fault_kind fault = rc == -ETIMEDOUT ? FAULT_TIMEOUT
				: rc == -EPROTO  ? FAULT_PROTOCOL
						 : FAULT_BROKEN;
	source_enter(s);
	connection_lost(s, fault, sentence);
	source_leave(s);
}

static void connect_now(struct source *s)
{
	const struct h2_options o = { .host = s->host,
				      .port = s->options.port,
				      .tls = s->options.tls,
				      .ca_file = s->options.ca_file,
				      .silent_ms = s->options.silent_ms };
	const struct h2_listener to = { s, h2_is_ready_now, h2_has_ended };
	struct err err = ERR_INIT;
	s->connect_ms = UINT64_MAX;
	int rc = h2_open(s->loop, &o, &to, &s->h2, &err);
	if (rc < 0)
		connection_lost(s, FAULT_BROKEN, err_text(&err, rc));
}

/* ---- GetInfo ---- */

static void info_ended(void *arg, int status, bool local, const char *sentence)
{
	struct source *s = arg;
	uint64_t now = loop_now_ms(s->loop);
	char text[REASON_SIZE];
	source_enter(s);
	s->info_call = NULL;
	s->poll_ms = now + (s->options.poll_ms ? s->options.poll_ms : POLL_MS);
	if (status == GRPC_OK) {
		s->unanswered = 0;
		if (s->hurry) {
			s->poll_ms = MIN(s->poll_ms, now + (HURRY_MS << (HURRY_MAX - s->hurry)));
			s->hurry--;
		}
		source_leave(s);
		return;
	}
	/* Of a connection that has ended h2_has_ended() says more. */
	bool ends = local && status == GRPC_UNAVAILABLE;
	enum fault_kind fault = status == GRPC_DEADLINE_EXCEEDED ? FAULT_TIMEOUT : FAULT_BROKEN;
	snprintf(text, sizeof text, "GetInfo: %s%s%.120s", local ? "" : grpc_status_name(status),
		 local ? "" : ": ", sentence);
	if (!ends && ++s->unanswered >= INFO_LATE_MAX)
		connection_lost(s, fault, text);
	else if (!ends)
		s->to.fault(s->to.arg, fault, text);
	source_leave(s);
}

static void poll_now(struct source *s)
{
	s->poll_ms = UINT64_MAX;
	if (!s->h2_ready || s->info_call)
		return;
	s->asked_ms = loop_now_ms(s->loop);
	const struct grpc_options o = { .timeout_ms = INFO_TIMEOUT, .message_max = INFO_SIZE_MAX };
	const struct grpc_listener to = { s, info_came, NULL, info_ended };
	int rc = grpc_start(s->h2, s->loop, CALL_GET_INFO, SLICE_EMPTY, &o, &to, &s->info_call);
	/* A connection that takes no more is about to end, and says so. */
	if (rc < 0)
		s->poll_ms = loop_now_ms(s->loop) + POLL_MS;
}

/* ---- events: they wake us, and that is all ---- */

static void event_came(void *arg, struct buf *message)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf whole = *message;
	*message = (struct buf)BUF_INIT(0);
	uint32_t shard;
	uint64_t height;
	source_enter(s);
	if (event_read(buf_slice(&whole), &shard, &height) && s->shards[shard].there) {
		struct shard_state *st = &s->shards[shard];
		uint64_t now = loop_now_ms(s->loop);
		if (height > st->max && height - st->max <= AHEAD_MAX) {
			st->max = height;
			st->lower_seen = 0;
			source_offer(s, shard);
		}
		/* The main shard tells no events; its next block follows soon. */
		s->event_ms = now;
		if (!s->hurry) {
			s->hurry = HURRY_MAX - 1;
			if (!s->info_call)
				s->poll_ms = MIN(s->poll_ms, now + HURRY_MS);
		}
	}
	source_leave(s);
}

static void events_ended(void *arg, int status, bool local, const char *sentence)
{
	struct source *s = arg;
	source_enter(s);
	s->event_call = NULL;
	/* Polling goes on without them. */
	s->subscribe_ms = loop_now_ms(s->loop) + SUBSCRIBE_MS;
	source_leave(s);
}

static void subscribe(struct source *s)
{
	s->subscribe_ms = UINT64_MAX;
	if (!s->h2_ready || s->event_call)
		return;
	AUTO(buf_release) struct buf request = BUF_INIT(REQUEST_SIZE_MAX);
	request_of_events(&request);
	const struct grpc_options o = { .message_max = EVENT_SIZE_MAX };
	const struct grpc_listener to = { s, event_came, NULL, events_ended };
	if (buf_done(&request) < 0 || grpc_start(s->h2, s->loop, CALL_SUBSCRIBE,
						 buf_slice(&request), &o, &to, &s->event_call) < 0)
		s->subscribe_ms = loop_now_ms(s->loop) + SUBSCRIBE_MS;
}

/* ---- a node of its trie ---- */

static void node_came(void *arg, struct buf *message)
{
	struct source *s = arg;
	AUTO(buf_release) struct buf whole = *message;
	*message = (struct buf)BUF_INIT(0);
	s->node_rc = node_read(buf_slice(&whole), &s->node, NULL);
}

static void node_ended(void *arg, int status, bool local, const char *sentence)
{
	struct source *s = arg;
	source_enter(s);
	s->node_call = NULL;
	int rc = status == GRPC_OK ? s->node_rc : local ? -EHOSTUNREACH : -ENODATA;
	s->to.node(s->to.arg, s->node_request, rc, rc == 0 ? &s->node : NULL, sentence);
	source_leave(s);
}

static void node_ask(struct source *s, uint64_t request, uint32_t shard, struct slice prefix,
		     uint32_t timeout_ms)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT(REQUEST_SIZE_MAX);
	const struct grpc_options o = { .timeout_ms = timeout_ms, .message_max = INFO_SIZE_MAX };
	const struct grpc_listener to = { s, node_came, NULL, node_ended };
	request_of_node(shard, prefix, &bytes);
	grpc_cancel(&s->node_call);
	s->node_request = request;
	s->node_rc = -EPROTO;
	if (!s->h2_ready || buf_done(&bytes) < 0 ||
	    grpc_start(s->h2, s->loop, CALL_TRIE, buf_slice(&bytes), &o, &to, &s->node_call) < 0)
		s->to.node(s->to.arg, request, -EHOSTUNREACH, NULL, "it is not connected");
}

/* ---- a source ---- */

static void fetch(struct source *s, uint64_t request, uint32_t shard, struct range range,
		  uint64_t bytes_max, uint32_t timeout_ms)
{
	fetch_begin(s, request, shard, range, bytes_max, timeout_ms);
}

static void source_close(struct source *s)
{
	s->closed = true;
	fetches_drop(s);
	connection_drop(s);
	loop_timer_freep(&s->timer);
	if (!s->inside)
		source_free(s);
}

const struct source_ops snapchain_source_ops = {
	.scheme = "grpc",
	.chain = "snapchain",
	.fetch = fetch,
	.cancel = fetch_cancel,
	.node = node_ask,
	.words = words,
	.close = source_close,
};

int snapchain_source_open(struct loop *l, const struct snapchain_options *o,
			  const struct source_listener *to, struct source **out, struct err *err)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s || loop_timer_new(l, due, s, &s->timer) < 0) {
		free(s);
		return err_set(err, -ENOMEM, "no memory for a source");
	}
	s->loop = l;
	s->options = *o;
	s->to = *to;
	snprintf(s->host, sizeof s->host, "%s", o->host);
	if (o->ca_file) {
		snprintf(s->ca_file, sizeof s->ca_file, "%s", o->ca_file);
		s->options.ca_file = s->ca_file;
	}
	for (uint32_t i = 0; i < SHARD_MAX; i++)
		s->shards[i].first = 1;
	s->poll_ms = s->subscribe_ms = UINT64_MAX;
	s->connect_ms = 0; /* on the loop, when the caller has the source */
	source_due_at(s);
	*out = s;
	return 0;
}
