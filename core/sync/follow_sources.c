/* What sources tell, as their listener; and who they are: places are taken, opened and let go. */
#include "core/sync/follow_inside.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/trace.h"

#define AWAIT_MS 25u /* a tip comes within it, or is not waited for */

/* ---- what sources tell ---- */

void follow_request_over(struct follow *f, struct asked *a, enum fault_kind fault, const char *text)
{
	struct asked q = *a;
	struct sync_event e = {
		.kind = fault == FAULT_KIND_COUNT ? SYNC_CAME : SYNC_FAILED,
		.request = q.id,
		.source = q.source,
		.shard = q.shard,
		.range = q.came,
		.bytes = q.bytes,
		.fault = fault,
	};

	memcpy(e.hash, q.hash, HASH_SIZE);
	*a = (struct asked){ .id = 0 };
	follow_enqueue(f, &e, text);
	follow_request_let_go(f, q.id);
	follow_pump(f);
}

static void on_changed(void *arg)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;
	struct source_words words = { 0 };
	bool was = seat->words.connected;

	if (!seat->source)
		return;
	seat->ops->words(seat->source, &words);
	{
		LOCKED(&f->follow_lock);
		seat->words = words;
	}
	f->changed = true;
	if (words.connected && !was) {
		trace_info("follow", "a source is connected", "network=%s source=%s version=\"%s\"",
			   network_name(f->env.network), seat->entry.name, words.version);
		follow_event(f, "source", "name=%s state=connected version=\"%s\"",
			     seat->entry.name, words.version);
	} else if (!words.connected && was) {
		follow_event(f, "source", "name=%s state=lost remark=\"%s\"", seat->entry.name,
			     words.remark);
	}
	/* What it offered is offered no more. */
	for (uint32_t s = 0; s < f->shard_count && was && !words.connected; s++)
		follow_feed(f,
			    &(struct sync_event){
				    .kind = SYNC_OFFERS, .source = seat->number, .shard = s },
			    NULL);
	follow_listened(f);
}

/* Where forward begins; before the coordinator would choose. */
static void anchor(struct follow *f, uint32_t shard, uint64_t head)
{
	if (f->anchored[shard])
		return;
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);
	const struct shard_view *sv = &v->shards[shard];
	uint64_t ahead = f->options.sync.look_ahead;
	uint64_t held_end = sv->gaps.held_count ? sv->gaps.held[sv->gaps.held_count - 1].end : 0;
	uint64_t base = sv->begins + 1;

	f->anchored[shard] = true;
	if (f->options.from == FOLLOW_FROM_HEAD && !sv->begins) {
		base = head > ahead ? head - ahead + 1 : 1;
		if (held_end && head < held_end + FOLLOW_NEAR)
			base = held_end;
	}
	follow_event(f, "follow", "shard=%u head=%" PRIu64 " forward_from=%" PRIu64, shard, head,
		     base);
	follow_feed(f,
		    &(struct sync_event){
			    .kind = SYNC_ANCHOR, .shard = shard, .range = { base, base } },
		    NULL);
}

/* A new tip, of a chain that is followed closely, is fetched and comes in a moment, and those of the
 * other shards with it: they shall find nobody busy with history. */
static void head_is(struct follow *f, uint32_t shard, uint64_t head)
{
	struct sync_shard_status st;

	if (head <= f->head[shard])
		return;
	f->head[shard] = head;
	sync_shard_status(f->sync, shard, &st);
	if (f->ingest && st.tip + f->options.sync.look_ahead >= head)
		ingest_await(f->ingest, AWAIT_MS);
}

static void on_offers(void *arg, uint32_t shard, struct range has)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;

	if (shard >= f->shard_count)
		return;
	if (has.first < has.end && has.end > 1) {
		anchor(f, shard, has.end - 1);
		head_is(f, shard, has.end - 1);
	}
	follow_feed(
		f,
		&(struct sync_event){
			.kind = SYNC_OFFERS, .source = seat->number, .shard = shard, .range = has },
		NULL);
	follow_listened(f);
}

/* A block of a request that does not fit ends it: what came before counts. */
static void broke_off(struct follow *f, struct asked *a, enum fault_kind fault, const char *format,
		      ...) PRINTF_LIKE(4, 5);
static void broke_off(struct follow *f, struct asked *a, enum fault_kind fault, const char *format,
		      ...)
{
	struct seat *seat = &f->seats[a->source];
	char text[REASON_SIZE];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	seat->ops->cancel(seat->source, a->id);
	follow_request_over(f, a, fault, text);
}

static void on_block(void *arg, uint64_t request, struct buf *received)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;
	AUTO(buf_release) struct buf bytes = *received;
	struct asked *a = follow_asked(f, request);
	struct chain_peek peek = { 0 };
	struct err err = ERR_INIT;

	*received = (struct buf)BUF_INIT(received->size_max);
	if (follow_doubt_block(f, seat, request, buf_slice(&bytes))) {
		follow_pump(f);
		follow_listened(f);
		return;
	}
	if (!a || a->source != seat->number)
		return;
	int rc = network_ops(f->env.network)->peek(buf_slice(&bytes), a->shard == 0, &peek, &err);

	if (rc < 0) {
		broke_off(f, a, FAULT_LIE,
			  "what it gave for height %" PRIu64 " is no block: %.100s", a->came.end,
			  err_text(&err, rc));
	} else if (peek.shard != a->shard || !(peek.height >= a->came.end) ||
		   peek.height >= a->range.end) {
		broke_off(f, a, FAULT_PROTOCOL,
			  "shard %u height %" PRIu64 " came where shard %u height %" PRIu64
			  " was to come",
			  peek.shard, peek.height, a->shard, a->came.end);
	} else if (peek.height > a->came.end && a->came.end > a->came.first) {
		broke_off(f, a, FAULT_KIND_COUNT, "a hole"); /* what is behind is asked for anew */
	} else if (a->tip_check) {
		a->came = (struct range){ peek.height, peek.height + 1 };
		a->bytes += bytes.n;
		if (peek.hash.n == HASH_SIZE && follow_doubt_agrees(f, &peek, buf_slice(&bytes)))
			memcpy(a->hash, peek.hash.p, HASH_SIZE);
	} else {
		follow_block(f, a, peek.height, &bytes);
	}
	follow_listened(f);
}

static void on_came(void *arg, uint64_t request)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;
	struct asked *a = follow_asked(f, request);

	if (a && a->source == seat->number)
		follow_request_over(f, a, FAULT_KIND_COUNT, NULL);
	else if (!follow_doubt_over(f, seat, request, FAULT_KIND_COUNT, NULL))
		return;
	follow_listened(f);
}

static void on_failed(void *arg, uint64_t request, enum fault_kind fault, const char *sentence)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;
	struct asked *a = follow_asked(f, request);

	if (a && a->source == seat->number)
		follow_request_over(f, a, fault, sentence);
	else if (!follow_doubt_over(f, seat, request, fault, sentence))
		return;
	follow_listened(f);
}

static void on_node(void *arg, uint64_t request, int rc, const struct source_node *node,
		    const char *sentence)
{
	struct seat *seat = arg;

	follow_compare_node(seat->follow, seat->number, request, rc, node, sentence);
}

static void on_fault(void *arg, enum fault_kind fault, const char *sentence)
{
	struct seat *seat = arg;
	struct follow *f = seat->follow;

	trace_info("follow", "a source has a fault", "network=%s source=%s fault=%s reason=\"%s\"",
		   network_name(f->env.network), seat->entry.name, fault_kind_names[fault],
		   sentence);
	follow_feed(
		f,
		&(struct sync_event){ .kind = SYNC_FAULT, .source = seat->number, .fault = fault },
		sentence);
	follow_listened(f);
}

/* ---- sources ---- */

static uint32_t operator_of(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

int follow_source_add(struct follow *f, const struct source_entry *e, struct source_listener *out,
		      struct err *err)
{
	struct seat *seat = NULL;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		struct seat *at = &f->seats[i];

		if (at->used && strcmp(at->entry.name, e->name) == 0)
			return err_set(err, -EEXIST, "there is a source %s already", e->name);
		if (!at->used && !seat)
			seat = at;
	}
	if (!seat)
		return err_set(err, -ENOSPC, "there are %u sources already", SYNC_SOURCES_MAX);
	{
		LOCKED(&f->follow_lock);
		*seat = (struct seat){
			.used = true,
			.follow = f,
			.number = (unsigned)(seat - f->seats),
			.generation = ++f->generation_last,
			.entry = *e,
		};
	}
	*out = (struct source_listener){
		.arg = seat,
		.changed = on_changed,
		.offers = on_offers,
		.block = on_block,
		.came = on_came,
		.failed = on_failed,
		.node = on_node,
		.fault = on_fault,
	};
	f->changed = true;
	return (int)seat->number;
}

void follow_source_open(struct follow *f, unsigned number, const struct source_ops *ops,
			struct source *s)
{
	struct seat *seat = &f->seats[number];

	assert(seat->used && !seat->source);
	{
		LOCKED(&f->follow_lock);
		seat->ops = ops;
		seat->source = s;
	}
	follow_feed(f,
		    &(struct sync_event){ .kind = SYNC_SOURCE_ADDED,
					  .source = number,
					  .operator= operator_of(seat->entry.operator_name) },
		    NULL);
	on_changed(seat);
}

void follow_source_remove(struct follow *f, unsigned number)
{
	struct seat *seat = &f->seats[number];

	if (number >= SYNC_SOURCES_MAX || !seat->used)
		return;
	for (size_t i = 0; i < ARRAY_LEN(f->asked); i++) {
		struct asked *a = &f->asked[i];

		if (!a->id || a->source != number)
			continue;
		uint64_t request = a->id;

		*a = (struct asked){ .id = 0 };
		follow_request_let_go(f, request);
	}
	struct source *source = seat->source;
	const struct source_ops *ops = seat->ops;

	follow_doubt_gone(f, number);
	{
		LOCKED(&f->follow_lock);
		seat->used = false;
		seat->source = NULL;
	}
	if (source) {
		follow_enqueue(
			f, &(struct sync_event){ .kind = SYNC_SOURCE_REMOVED, .source = number },
			NULL);
		ops->close(source);
	}
	follow_compare_gone(f, number);
	follow_pump(f);
	f->changed = true;
	follow_listened(f);
}
