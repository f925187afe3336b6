/* Blocks on their way: from a source into ingest, and what became of them to the coordinator. */
#include "core/sync/follow_inside.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/trace.h"

#define GATE_MS 250u /* until a closed gate is looked at again */

/* ---- what came ---- */

static int room_for_given(struct follow *f)
{
	if (f->given_end < f->given_cap)
		return 0;
	if (f->given_first > f->given_cap / 2) {
		size_t moved = f->given_first;

		memmove(f->given, f->given + moved, (f->given_end - moved) * sizeof *f->given);
		f->given_first = 0;
		f->given_submitted -= moved;
		f->given_end -= moved;
		return 0;
	}
	return base_grow(&f->given, &f->given_cap, f->given_cap + 1, sizeof *f->given);
}

/* It follows the chain closely, so nothing below it is still behind history in the queue. */
static bool is_near(const struct follow *f, const struct asked *a, uint64_t height)
{
	struct sync_shard_status st;

	if (a->lane != LANE_FORWARD || height + f->options.sync.look_ahead < f->head[a->shard])
		return false;
	sync_shard_status(f->sync, a->shard, &st);
	return st.tip + f->options.sync.look_ahead >= st.head;
}

/* Its place in the queue: a tip goes before what else has no room in ingest yet. */
static struct given *place_of(struct follow *f, bool near)
{
	size_t at = f->given_end++;

	while (near && at > f->given_submitted && !f->given[at - 1].near_head) {
		f->given[at] = f->given[at - 1];
		at--;
	}
	return &f->given[at];
}

void follow_block(struct follow *f, struct asked *a, uint64_t height, struct buf *received)
{
	if (room_for_given(f) < 0) { /* it counts as not given */
		f->seats[a->source].ops->cancel(f->seats[a->source].source, a->id);
		follow_request_over(f, a, FAULT_KIND_COUNT, NULL);
		return;
	}
	bool near = is_near(f, a, height);
	struct given *g = place_of(f, near);

	*g = (struct given){
		.tag = ++f->tag_last,
		.request = a->id,
		.source = a->source,
		.generation = f->seats[a->source].generation,
		.lane = a->lane,
		.shard = a->shard,
		.height = height,
		.came_ns = clock_mono_ns(),
		.near_head = near,
		.received = *received,
	};
	*received = (struct buf)BUF_INIT(received->size_max);
	if (a->came.first == a->came.end)
		a->came.first = height;
	a->came.end = height + 1;
	a->bytes += g->received.n;
	f->waiting_bytes += g->received.n;
	follow_submit(f);
}

/* ---- into ingest ---- */

static void set_stopped(struct follow *f, const char *sentence)
{
	LOCKED(&f->follow_lock);
	snprintf(f->stopped, sizeof f->stopped, "%s", sentence);
	f->changed = true;
}

/* It has ended by itself, or there is no memory to go on with it. */
static void end_ingest(struct follow *f, const char *sentence)
{
	struct err err = ERR_INIT;

	atomic_store(&f->ingest_stop, true); /* nobody waits here for what it has still to replay */
	int rc = ingest_finish(f->ingest, &err);
	const char *why = rc < 0 ? err_text(&err, rc) : sentence;

	ingest_freep(&f->ingest);
	f->ingest_gone = true;
	f->again_ms = follow_now_ms(f) + FOLLOW_AGAIN_MS;
	set_stopped(f, why);
	follow_event(f, "follow", "state=stopped reason=\"%s\"", why);
	LOCKED(&f->follow_lock);
	f->has_ingest = false;
	pthread_cond_broadcast(&f->progress);
}

void follow_submit(struct follow *f)
{
	while (f->ingest && f->given_submitted < f->given_end) {
		struct given *g = &f->given[f->given_submitted];
		size_t bytes = g->received.n;
		struct err err = ERR_INIT;
		int rc = ingest_try_submit(f->ingest, g->shard, g->height, g->tag,
					   g->near_head, &g->received, &err);

		if (rc == -EAGAIN)
			return;
		if (rc < 0) {
			end_ingest(f, err_text(&err, rc));
			follow_hear(f);
			return;
		}
		buf_release(&g->received);
		f->waiting_bytes -= bytes;
		f->given_submitted++;
	}
}

/* On the ingest thread. */
static void on_report(void *arg, const struct ingest_report *list, size_t count)
{
	struct follow *f = arg;
	uint64_t now_ns = clock_mono_ns();
	{
		LOCKED(&f->reports_lock);
		if (f->report_count + count > f->report_cap) {
			size_t cap = MAX(f->report_cap * 2, f->report_count + count + 64);
			struct told *more = realloc(f->reports, cap * sizeof *more);

			f->report_lost = f->report_lost || !more;
			f->reports = more ? more : f->reports;
			f->report_cap = more ? cap : f->report_cap;
		}
		for (size_t i = 0; i < count && f->report_count < f->report_cap; i++)
			f->reports[f->report_count++] = (struct told){ list[i], now_ns };
	}
	f->env.wake(f->env.arg);
}

bool follow_may_begin(struct follow *f)
{
	LOCKED(&f->follow_lock);
	return !f->has_ingest && !f->standing;
}

static void begin_ingest(struct follow *f, uint64_t now_ms)
{
	struct ingest_options o = f->options.ingest;
	struct err err = ERR_INIT;

	/* It may have to commit what readers found damaged, and the loop waits for nobody. */
	if (gate_closing(f->env.gate)) {
		f->again_ms = now_ms + GATE_MS;
		return;
	}
	f->again_ms = now_ms + FOLLOW_AGAIN_MS;
	atomic_store(&f->ingest_stop, false);
	o.events = f->env.events;
	o.gate = f->env.gate;
	o.stop = &f->ingest_stop;
	o.report = on_report;
	o.report_arg = f;
	int rc = ingest_start(f->env.network, &o, &f->ingest, &err);

	if (rc < 0) {
		set_stopped(f, err_text(&err, rc));
		return;
	}
	{
		LOCKED(&f->follow_lock);
		f->stopped[0] = '\0';
		f->has_ingest = true;
		f->changed = true;
	}
	follow_compare(f);
}

void follow_ingest_tend(struct follow *f, uint64_t now_ms)
{
	bool back;
	{
		LOCKED(&f->follow_lock);
		back = f->standing > 0;
		if (back && f->ingest) {
			f->handed = TAKE(f->ingest);
			f->ingest_gone = true;
			f->again_ms = 0;
			pthread_cond_broadcast(&f->progress);
		}
	}
	if (!back && !f->closing && now_ms >= f->again_ms && follow_may_begin(f)) {
		follow_hear(f); /* of the one before */
		begin_ingest(f, now_ms);
	}
}

/* ---- what became of it ---- */

static bool same_source(const struct follow *f, const struct given *g)
{
	return f->seats[g->source].used && f->seats[g->source].generation == g->generation;
}

/* Somebody gave the same header with other contents, and its root did not come out: with these it
 * did. */
static void convict(struct follow *f, const struct given *g, const struct ingest_report *r)
{
	for (size_t i = 0; i < SUSPECTS_MAX; i++) {
		struct giver *s = &f->suspects[i];

		if (s->height != g->height || s->shard != g->shard || !s->height ||
		    memcmp(s->hash, r->hash, HASH_SIZE) != 0)
			continue;
		/* With the very same it did not come out for what lay below. */
		bool same = memcmp(s->digest, r->digest, BLOCK_DIGEST_SIZE) == 0;
		bool there =
			f->seats[s->source].used && f->seats[s->source].generation == s->generation;

		if (there && !same && s->source != g->source) {
			char text[REASON_SIZE];

			snprintf(text, sizeof text,
				 "shard %u height %" PRIu64
				 ": contents that are not those of its header, as another source "
				 "showed",
				 g->shard, g->height);
			follow_enqueue(f,
				       &(struct sync_event){ .kind = SYNC_FAULT,
							     .source = s->source,
							     .fault = FAULT_LIE },
				       text);
		}
		s->height = 0;
	}
}

/* It gave contents with which the root of the block does not come out. Where another one gave the
 * same block and it did not come out either, something below is false. */
static void suspect(struct follow *f, unsigned source, uint64_t generation,
		    const struct ingest_report *r)
{
	struct giver *s = NULL;
	bool others = false;

	for (size_t i = 0; i < SUSPECTS_MAX; i++) {
		struct giver *at = &f->suspects[i];

		if (at->height != r->height || at->shard != r->shard ||
		    memcmp(at->hash, r->hash, HASH_SIZE) != 0)
			continue;
		if (at->generation == generation)
			s = at;
		else
			others = true;
	}
	if (!s)
		s = &f->suspects[f->suspect_next++ % SUSPECTS_MAX];
	*s = (struct giver){ .height = r->height,
			     .shard = r->shard,
			     .source = source,
			     .generation = generation };
	memcpy(s->hash, r->hash, HASH_SIZE);
	memcpy(s->digest, r->digest, BLOCK_DIGEST_SIZE);
	if (others)
		follow_doubt_root(f, r->shard, r->height);
}

static void count_taken(struct follow *f, const struct given *g, const struct told *t)
{
	follow_meter(f, g->shard, g->lane, 1, t->report.bytes, follow_now_ms(f));
	if (t->report.fate == FATE_HELD) {
		LOCKED(&f->follow_lock);
		f->fetched_twice++;
		return;
	}
	if (g->near_head)
		follow_latency(f, (t->at_ns - g->came_ns) / 1000);
	follow_doubt_gave(f, g);
	convict(f, g, &t->report);
}

/* Of blocks of one request that stand behind each other the coordinator hears at once. */
static void tell_taken(struct follow *f, const struct given *g, const struct ingest_report *r)
{
	struct queued *last = f->queue_end > f->queue_first ? &f->queue[f->queue_end - 1] : NULL;

	if (last && last->event.kind == SYNC_TAKEN && last->event.request == g->request &&
	    last->event.shard == g->shard && last->event.range.end == g->height) {
		last->event.range.end++;
		last->event.bytes += r->bytes;
		last->event.check_us += r->check_us;
		memcpy(last->event.hash, r->hash, HASH_SIZE);
		return;
	}
	struct sync_event e = {
		.kind = SYNC_TAKEN,
		.request = g->request,
		.shard = g->shard,
		.range = { g->height, g->height + 1 },
		.bytes = r->bytes,
		.check_us = r->check_us,
	};

	memcpy(e.hash, r->hash, HASH_SIZE);
	follow_enqueue(f, &e, NULL);
}

static void note_refusal(struct follow *f, uint32_t shard, uint64_t height)
{
	LOCKED(&f->follow_lock);
	uint64_t number = ++f->refusal_last;

	f->refusals[number % REFUSALS_MAX] = (struct refusal){ shard, height, number };
}

/* What is known of it besides what its block says. */
static const char *cause_of(struct follow *f, const struct ingest_report *r)
{
	const struct cause *known = &f->causes[r->shard];

	return known->height == r->height && !r->names_account ? known->text : r->sentence;
}

static void tell_refused(struct follow *f, const struct given *g, const struct ingest_report *r)
{
	bool there = same_source(f, g);

	note_refusal(f, g->shard, g->height);
	follow_enqueue(f,
		       &(struct sync_event){
			       .kind = SYNC_REFUSED,
			       .source = g->source,
			       .shard = g->shard,
			       .range = { g->height, g->height + 1 },
			       .bytes = r->bytes,
			       .check_us = r->check_us,
			       .fault = r->lie && there ? FAULT_LIE : FAULT_BROKEN,
			       .on = there,
		       },
		       r->fate == FATE_STATE ? cause_of(f, r) : r->sentence);
	if (r->fate == FATE_STATE) {
		if (!r->names_account)
			follow_compare_begin(f, r->shard, r->height);
		suspect(f, g->source, g->generation, r);
	}
}

static void tell(struct follow *f, const struct given *g, const struct ingest_report *r)
{
	if (r->fate == FATE_TAKEN || r->fate == FATE_HELD)
		tell_taken(f, g, r);
	else
		tell_refused(f, g, r);
}

/* While its request is out the coordinator does not know that the block came. */
static void tell_or_keep(struct follow *f, const struct given *g, const struct ingest_report *r)
{
	if (!follow_asked(f, g->request)) {
		tell(f, g, r);
		return;
	}
	if (base_grow(&f->early, &f->early_cap, f->early_count + 1, sizeof *f->early) < 0) {
		tell(f, g, r);
		return;
	}
	f->early[f->early_count++] = (struct kept){ .given = *g, .report = *r };
}

void follow_request_let_go(struct follow *f, uint64_t request)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->early_count; i++) {
		if (f->early[i].given.request == request)
			tell(f, &f->early[i].given, &f->early[i].report);
		else
			f->early[kept++] = f->early[i];
	}
	f->early_count = kept;
}

static void tell_lost(struct follow *f, const struct ingest_report *r)
{
	static const uint8_t none[HASH_SIZE];
	uint64_t giver = follow_doubt_giver(f, r->shard, r->height);
	struct range range = { r->height, r->height + 1 };

	follow_enqueue(f,
		       &(struct sync_event){ .kind = SYNC_LOST, .shard = r->shard, .range = range },
		       NULL);
	follow_doubt_lost(f, r->shard, r->height);
	if (memcmp(r->hash, none, HASH_SIZE) == 0)
		return;
	const struct seat *seat = giver ? follow_doubt_seat(f, giver) : NULL;

	/* Its root did not come out. */
	follow_enqueue(f,
		       &(struct sync_event){ .kind = SYNC_REFUSED,
					     .source = seat ? seat->number : 0,
					     .on = seat != NULL,
					     .shard = r->shard,
					     .range = range,
					     .fault = FAULT_BROKEN },
		       cause_of(f, r));
	if (!r->names_account)
		follow_compare_begin(f, r->shard, r->height);
	if (seat)
		suspect(f, seat->number, giver, r);
}

/* What ingest was given and did not report was never written. */
static void drop_unreported(struct follow *f)
{
	static const struct ingest_report dropped = { .fate = FATE_REFUSED,
						      .sentence = "ingest ended before it" };

	while (f->given_first < f->given_submitted) {
		struct given g = f->given[f->given_first++];

		if (g.tag)
			tell_or_keep(f, &g, &dropped);
	}
}

static void hear_one(struct follow *f, const struct told *t)
{
	if (t->report.fate == FATE_LOST) {
		tell_lost(f, &t->report);
		return;
	}
	for (size_t i = f->given_first; i < f->given_submitted; i++) {
		struct given *g = &f->given[i];

		if (g->tag != t->report.tag)
			continue;
		if (t->report.fate == FATE_TAKEN || t->report.fate == FATE_HELD)
			count_taken(f, g, t);
		tell_or_keep(f, g, &t->report);
		g->tag = 0;
		break;
	}
	while (f->given_first < f->given_submitted && !f->given[f->given_first].tag)
		f->given_first++;
}

void follow_hear(struct follow *f)
{
	struct told *list = NULL;
	size_t count = 0;
	bool lost = false, ended;
	{
		LOCKED(&f->follow_lock);
		ended = !f->has_ingest;
	}
	{
		LOCKED(&f->reports_lock);
		list = TAKE(f->reports);
		count = f->report_count;
		f->report_count = f->report_cap = 0;
		lost = f->report_lost;
		f->report_lost = false;
	}
	for (size_t i = 0; i < count; i++)
		hear_one(f, &list[i]);
	free(list);
	if (f->ingest_gone && ended) { /* all that it had to say was said before it ended */
		f->ingest_gone = false;
		drop_unreported(f);
	}
	if (count) {
		f->changed = true;
		follow_pump(f);
		LOCKED(&f->follow_lock);
		pthread_cond_broadcast(&f->progress);
	}
	if (lost && f->ingest)
		end_ingest(f, "no memory to hear what became of blocks");
}

/* ---- what is held ---- */

/* Feeds one event for each part of `of` that is not in `without`. */
static void feed_differing(struct follow *f, uint32_t shard, const struct gaps *of,
			   const struct gaps *without, enum sync_event_kind kind)
{
	for (size_t i = 0; i < of->held_count; i++) {
		struct range r = of->held[i];

		for (size_t k = gaps_range_at(without, r.first);
		     k < without->held_count && r.first < r.end; k++) {
			const struct range *w = &without->held[k];

			if (w->first >= r.end)
				break;
			if (r.first < w->first)
				follow_enqueue(
					f,
					&(struct sync_event){ .kind = kind,
							      .shard = shard,
							      .range = { r.first, w->first } },
					NULL);
			r.first = w->end;
		}
		if (r.first < r.end)
			follow_enqueue(
				f, &(struct sync_event){ .kind = kind, .shard = shard, .range = r },
				NULL);
	}
}

void follow_compare(struct follow *f)
{
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);

	for (uint32_t s = 0; s < f->shard_count; s++) {
		feed_differing(f, s, sync_held(f->sync, s), &v->shards[s].gaps, SYNC_LOST);
		feed_differing(f, s, &v->shards[s].gaps, sync_held(f->sync, s), SYNC_TAKEN);
	}
}

void follow_blocks_release(struct follow *f)
{
	struct err err = ERR_INIT;

	if (f->ingest) {
		atomic_store(&f->ingest_stop, true); /* what waits is left to the next one */
		int rc = ingest_finish(f->ingest, &err);

		if (rc < 0 && rc != -EINTR)
			trace_warn("follow", "ingest ended with a fault", "network=%s error=\"%s\"",
				   network_name(f->env.network), err_text(&err, rc));
		ingest_freep(&f->ingest);
	}
	for (size_t i = f->given_first; i < f->given_end; i++)
		buf_release(&f->given[i].received);
	free(f->given);
	free(f->early);
	free(f->reports);
}
