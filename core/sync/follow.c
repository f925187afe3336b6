#include "core/sync/follow_inside.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/trace.h"

#define CHANGE_MS    100u  /* between two calls of who looks on */
#define HEAD_TELL_MS 1000u /* between two events about heads */
#define MEMORY_MS    100u  /* until what there was no memory for is tried again */
#define ROOM_MS      5u    /* until what found no room in ingest is */

uint64_t follow_now_ms(const struct follow *f)
{
	return f->env.now_ms(f->env.arg);
}

void follow_event(struct follow *f, const char *kind, const char *format, ...)
{
	char text[EVENT_LINE_MAX];
	va_list list;

	if (!f->env.events)
		return;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	events_post(f->env.events, network_name(f->env.network), kind, "%s", text);
}

/* ---- events go in, actions come out ---- */

static int room_in_queue(struct follow *f)
{
	if (f->queue_end < f->queue_cap)
		return 0;
	if (f->queue_first) {
		memmove(f->queue, f->queue + f->queue_first,
			(f->queue_end - f->queue_first) * sizeof *f->queue);
		f->queue_end -= f->queue_first;
		f->queue_first = 0;
		return 0;
	}
	return base_grow(&f->queue, &f->queue_cap, f->queue_cap + 1, sizeof *f->queue);
}

struct queued *follow_enqueue(struct follow *f, const struct sync_event *e, const char *text)
{
	if (room_in_queue(f) < 0) {
		/* What is held is compared when ingest begins anew; a request ends by its time. */
		trace_error("follow", "no memory for an event, it is lost", "network=%s event=%s",
			    network_name(f->env.network), sync_event_names[e->kind]);
		return NULL;
	}
	struct queued *q = &f->queue[f->queue_end++];

	q->event = *e;
	snprintf(q->text, sizeof q->text, "%s", text ? text : "");
	return q;
}

struct asked *follow_asked(struct follow *f, uint64_t request)
{
	for (size_t i = 0; request && i < ARRAY_LEN(f->asked); i++)
		if (f->asked[i].id == request)
			return &f->asked[i];
	return NULL;
}

static void act_fetch(struct follow *f, const struct sync_action *a)
{
	struct seat *seat = &f->seats[a->source];
	struct asked *q = NULL;

	for (size_t i = 0; i < ARRAY_LEN(f->asked) && !q; i++)
		if (!f->asked[i].id)
			q = &f->asked[i];
	if (!q || !seat->source) {
		follow_enqueue(f,
			       &(struct sync_event){ .kind = SYNC_FAILED,
						     .request = a->request,
						     .fault = FAULT_BROKEN },
			       "it is not connected");
		return;
	}
	*q = (struct asked){
		.id = a->request,
		.source = a->source,
		.shard = a->shard,
		.range = a->range,
		.lane = a->lane,
		.tip_check = a->kind == SYNC_CHECK_TIP,
		.came = { a->range.first, a->range.first },
	};
	/* One block may be as large as blocks are; of several their sizes were foreseen, about. */
	uint64_t bytes_max = a->range.end - a->range.first == 1
				     ? (uint64_t)BLOCK_SIZE_MAX
				     : 2 * f->options.sync.bounds.bytes_max;

	seat->ops->fetch(seat->source, a->request, a->shard, a->range, bytes_max, a->timeout_ms);
}

static void act_cancel(struct follow *f, const struct sync_action *a)
{
	struct seat *seat = &f->seats[a->source];
	struct asked *q = follow_asked(f, a->request);

	if (!q)
		return;
	*q = (struct asked){ .id = 0 };
	if (seat->source)
		seat->ops->cancel(seat->source, a->request);
	follow_request_let_go(f, a->request);
}

static void act(struct follow *f, const struct sync_action *a)
{
	const char *name = f->seats[a->source].entry.name;

	switch (a->kind) {
	case SYNC_FETCH:
	case SYNC_CHECK_TIP:
		act_fetch(f, a);
		break;
	case SYNC_CANCEL:
		act_cancel(f, a);
		break;
	case SYNC_BAN:
		trace_warn("follow", "a source lied, nothing is asked of it for hours",
			   "network=%s source=%s reason=\"%s\"", network_name(f->env.network), name,
			   a->text);
		follow_event(f, "ban", "source=%s reason=\"%s\"", name, a->text);
		follow_doubt_liar(f, a->source);
		break;
	case SYNC_CONFIRMED:
		follow_event(f, "confirmed", "shard=%u height=%" PRIu64, a->shard, a->range.first);
		break;
	}
}

/* Where a lie had put it. */
static void anchor_again(struct follow *f)
{
	for (uint32_t s = 0; s < f->shard_count; s++) {
		struct sync_shard_status st;

		sync_shard_status(f->sync, s, &st);
		f->head[s] = st.head;
		if (f->anchored[s] && st.head && st.base > st.head + 1)
			f->anchored[s] = false;
	}
}

static int step_one(struct follow *f, struct queued *q)
{
	q->event.now_ms = follow_now_ms(f);
	q->event.text = q->text[0] ? q->text : NULL;
	LOCKED(&f->follow_lock);
	int rc = sync_step(f->sync, &q->event, &f->actions);

	if (rc == 0)
		f->wake_ms = f->actions.wake_ms;
	return rc;
}

void follow_pump(struct follow *f)
{
	if (f->feeding || f->closing)
		return;
	f->feeding = true;
	while (f->queue_first < f->queue_end) {
		struct queued q = f->queue[f->queue_first];
		int rc = step_one(f, &q);

		if (rc == -ENOMEM) {
			f->wake_ms = MIN(f->wake_ms, follow_now_ms(f) + MEMORY_MS);
			break;
		}
		f->queue_first++;
		f->changed = true;
		bool banned = false;

		for (size_t i = 0; rc == 0 && i < f->actions.count; i++) {
			struct sync_action a = f->actions.list[i];

			act(f, &a);
			banned = banned || a.kind == SYNC_BAN;
		}
		if (banned || q.event.kind == SYNC_SOURCE_REMOVED)
			anchor_again(f);
	}
	if (f->queue_first == f->queue_end)
		f->queue_first = f->queue_end = 0;
	f->feeding = false;
}

void follow_feed(struct follow *f, const struct sync_event *e, const char *text)
{
	follow_enqueue(f, e, text);
	follow_pump(f);
}

static uint64_t due_ms(struct follow *f)
{
	uint64_t due = f->wake_ms;

	if (f->given_submitted < f->given_end && f->ingest)
		due = MIN(due, follow_now_ms(f) + ROOM_MS);
	if (follow_may_begin(f))
		due = MIN(due, f->again_ms);
	if (f->changed)
		due = MIN(due, f->changed_told_ms + CHANGE_MS);
	if (f->queue_first < f->queue_end)
		due = MIN(due, follow_now_ms(f) + MEMORY_MS);
	return MIN(due, follow_doubt_due(f));
}

void follow_listened(struct follow *f)
{
	if (due_ms(f) < f->due_told) {
		f->due_told = 0;
		f->env.wake(f->env.arg);
	}
}

/* ---- the loop's step ---- */

static void take_orders(struct follow *f)
{
	for (;;) {
		struct sync_event e;
		{
			LOCKED(&f->follow_lock);
			if (f->order_done == f->order_last)
				break;
			e = f->orders[f->order_done % ORDERS_MAX];
			/* As a newcomer: what it gave before does not tell against it any more. */
			if (e.kind == SYNC_SOURCE_PARDON)
				f->seats[e.source].generation = ++f->generation_last;
		}
		follow_feed(f, &e, NULL);
		LOCKED(&f->follow_lock);
		f->order_done++;
		pthread_cond_broadcast(&f->progress);
	}
}

static void tell_heads(struct follow *f, uint64_t now_ms)
{
	if (now_ms < f->head_told_ms + HEAD_TELL_MS)
		return;
	for (uint32_t s = 0; s < f->shard_count; s++) {
		struct sync_shard_status st;

		sync_shard_status(f->sync, s, &st);
		if (st.head && st.head != f->head_told[s]) {
			f->head_told[s] = st.head;
			f->head_told_ms = now_ms;
			follow_event(f, "follow", "shard=%u head=%" PRIu64 " held=%" PRIu64, s,
				     st.head, st.tip);
		}
		bool whole = st.base && !st.missing[LANE_BACKWARD];

		if (whole && !f->history_told[s] && st.base > 1)
			follow_event(f, "follow", "shard=%u history=whole", s);
		f->history_told[s] = whole;
	}
}

static void tell_change(struct follow *f, uint64_t now_ms)
{
	void (*call)(void *arg);
	void *arg;
	{
		LOCKED(&f->follow_lock);
		call = f->on_change;
		arg = f->on_change_arg;
	}
	f->changed = false;
	f->changed_told_ms = now_ms;
	if (call)
		call(arg);
}

uint64_t follow_step(struct follow *f)
{
	uint64_t now_ms = follow_now_ms(f);

	take_orders(f);
	follow_hear(f);
	follow_ingest_tend(f, now_ms);
	follow_submit(f);
	follow_compare_tend(f);
	follow_doubt_tend(f);
	if (f->wake_ms <= now_ms)
		follow_enqueue(f, &(struct sync_event){ .kind = SYNC_TIME }, NULL);
	follow_pump(f);
	tell_heads(f, now_ms);
	if (f->changed && now_ms >= f->changed_told_ms + CHANGE_MS)
		tell_change(f, now_ms);
	return f->due_told = due_ms(f);
}

/* ---- orders ---- */

static uint64_t order(struct follow *f, const struct sync_event *e)
{
	uint64_t number = 0;
	{
		LOCKED(&f->follow_lock);
		if (f->order_last - f->order_done < ORDERS_MAX) {
			f->orders[f->order_last % ORDERS_MAX] = *e;
			number = ++f->order_last;
		}
	}
	f->env.wake(f->env.arg);
	return number;
}

void follow_pause_backward(struct follow *f, bool on)
{
	{
		LOCKED(&f->follow_lock);
		f->paused = on;
	}
	order(f, &(struct sync_event){ .kind = SYNC_PAUSE, .on = on });
}

void follow_cap(struct follow *f, uint64_t bytes_a_second)
{
	{
		LOCKED(&f->follow_lock);
		f->cap = bytes_a_second;
	}
	order(f, &(struct sync_event){ .kind = SYNC_CAP, .bytes = bytes_a_second });
}

int follow_pardon(struct follow *f, const char *source)
{
	unsigned number = SYNC_SOURCES_MAX;
	{
		LOCKED(&f->follow_lock);
		for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++)
			if (f->seats[i].used && strcmp(f->seats[i].entry.name, source) == 0)
				number = i;
	}
	if (number == SYNC_SOURCES_MAX)
		return -ENOENT;
	return order(f, &(struct sync_event){ .kind = SYNC_SOURCE_PARDON, .source = number })
		       ? 0
		       : -EAGAIN;
}

void follow_lost(struct follow *f, uint32_t shard, struct range range)
{
	if (shard < f->shard_count && range.first < range.end)
		order(f, &(struct sync_event){ .kind = SYNC_LOST, .shard = shard, .range = range });
}

static bool refused_since(const struct follow *f, uint32_t shard, uint64_t height, uint64_t since)
{
	for (size_t i = 0; i < REFUSALS_MAX; i++)
		if (f->refusals[i].number > since && f->refusals[i].shard == shard &&
		    f->refusals[i].height == height)
			return true;
	return false;
}

int follow_want(struct follow *f, uint32_t shard, struct range range, unsigned wait_ms)
{
	uint64_t due_ms = clock_mono_ms() + wait_ms, since;

	if (shard >= f->shard_count || range.first >= range.end)
		return -EINVAL;
	{
		LOCKED(&f->follow_lock);
		since = f->refusal_last;
	}
	uint64_t number =
		order(f, &(struct sync_event){ .kind = SYNC_WANT, .shard = shard, .range = range });

	if (!number)
		return -EAGAIN;
	LOCKED(&f->follow_lock);
	while (wait_ms) {
		struct sync_claim claim;

		if (gaps_has(sync_held(f->sync, shard), range.first))
			break;
		if (refused_since(f, shard, range.first, since))
			return -EBADMSG;
		sync_claim(f->sync, shard, range.first, &claim);
		if (f->order_done >= number && !claim.asked && !claim.checking && !claim.offered)
			return -EHOSTUNREACH;
		if (clock_cond_wait(&f->progress, &f->follow_lock, due_ms) &&
		    !gaps_has(sync_held(f->sync, shard), range.first))
			return -ETIMEDOUT;
	}
	return 0;
}

void follow_stand_back(struct follow *f)
{
	struct ingest *ingest = NULL;

	if (!f)
		return;
	{
		LOCKED(&f->follow_lock);
		f->standing++;
	}
	f->env.wake(f->env.arg);
	{
		LOCKED(&f->follow_lock);
		while (f->has_ingest && !f->handed)
			pthread_cond_wait(&f->progress, &f->follow_lock);
		ingest = TAKE(f->handed);
	}
	if (!ingest)
		return;
	/* What waits to be replayed, or behind a closed gate, is left to the next one. */
	atomic_store(&f->ingest_stop, true);
	struct err why = ERR_INIT;
	int rc = ingest_finish(ingest, &why);

	ingest_freep(&ingest);
	if (rc < 0 && rc != -EINTR)
		trace_warn("follow", "ingest ended with a fault", "network=%s error=\"%s\"",
			   network_name(f->env.network), err_text(&why, rc));
	{
		LOCKED(&f->follow_lock);
		f->has_ingest = false;
		pthread_cond_broadcast(&f->progress);
	}
	f->env.wake(f->env.arg);
}

void follow_go_on(struct follow *f)
{
	if (!f)
		return;
	{
		LOCKED(&f->follow_lock);
		assert(f->standing > 0);
		f->standing--;
	}
	f->env.wake(f->env.arg);
}

void follow_on_change(struct follow *f, void (*call)(void *arg), void *arg)
{
	LOCKED(&f->follow_lock);
	f->on_change = call;
	f->on_change_arg = arg;
}

/* ---- open and close ---- */

int follow_open(const struct follow_env *env, const struct follow_options *o, struct follow **out,
		struct err *err)
{
	AUTO(follow_closep) struct follow *f = calloc(1, sizeof *f);
	AUTO(view_putp) struct view *v = network_view_get(env->network);

	if (!f)
		return err_set(err, -ENOMEM, "no memory to follow %s", network_name(env->network));
	f->env = *env;
	f->options = *o;
	f->shard_count = f->options.sync.shard_count = v->shard_count;
	f->options.ingest.allow_uncommitted = false;
	f->paused = o->paused;
	f->cap = o->sync.cap;
	f->wake_ms = UINT64_MAX;
	pthread_mutex_init(&f->follow_lock, NULL);
	pthread_mutex_init(&f->reports_lock, NULL);
	clock_cond_init(&f->progress);
	f->sync = sync_new(&f->options.sync, follow_now_ms(f));
	if (!f->sync)
		return err_set(err, -ENOMEM, "no memory to follow %s", network_name(env->network));
	if (follow_doubt_new(f) < 0)
		return err_set(err, -ENOMEM, "no memory to follow %s", network_name(env->network));
	if (o->paused)
		follow_feed(f, &(struct sync_event){ .kind = SYNC_PAUSE, .on = true }, NULL);
	follow_compare(f);
	follow_pump(f);
	*out = TAKE(f);
	return 0;
}

/* None is asked any more, whatever is still heard of blocks. */
static void close_sources(struct follow *f)
{
	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		struct seat *seat = &f->seats[i];
		struct source *source;
		{
			LOCKED(&f->follow_lock);
			source = TAKE(seat->source);
		}
		if (!source)
			continue;
		seat->ops->close(source);
		follow_enqueue(f, &(struct sync_event){ .kind = SYNC_SOURCE_REMOVED, .source = i },
			       NULL);
	}
}

void follow_closep(struct follow **at)
{
	struct follow *f = TAKE(*at);

	if (!f)
		return;
	f->closing = true;
	close_sources(f);
	follow_compare_release(f);
	follow_doubt_release(f);
	follow_blocks_release(f);
	sync_freep(&f->sync);
	pthread_cond_destroy(&f->progress);
	pthread_mutex_destroy(&f->follow_lock);
	pthread_mutex_destroy(&f->reports_lock);
	free(f->queue);
	free(f);
}
