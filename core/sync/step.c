#include "core/sync/step_inside.h"

#include <stdio.h>

#define REST_MIN_MS   1000u
#define REST_MAX_MS   600000u
#define NOT_YET_MS    25u /* a source tells of a block a little before it gives it */
#define NEAR_HEAD     8u  /* heights below a source's head that this may concern */
#define STALE_HEIGHTS 64u /* behind the others */
#define RESTS_MAX     1024u
#define WANTS_MAX     256u

const struct sync_options sync_options_default = {
	.shard_count = 1,
	.weight = { [LANE_FORWARD] = 70, [LANE_BACKWARD] = 30 },
	.bytes_max = 64u << 20,
	.requests = { [LANE_FORWARD] = 4, [LANE_BACKWARD] = 8 },
	.source_requests = 4,
	.look_ahead = 64,
	.operators = 2,
	.bounds = { .heights_max = 1000, .bytes_max = 8u << 20, .target_ms = 500 },
};

const char *const sync_event_names[SYNC_EVENT_COUNT] = {
	[SYNC_TIME] = "time",
	[SYNC_SOURCE_ADDED] = "source-added",
	[SYNC_SOURCE_REMOVED] = "source-removed",
	[SYNC_SOURCE_PARDON] = "source-pardon",
	[SYNC_OFFERS] = "offers",
	[SYNC_CAME] = "came",
	[SYNC_FAILED] = "failed",
	[SYNC_FAULT] = "fault",
	[SYNC_TAKEN] = "taken",
	[SYNC_REFUSED] = "refused",
	[SYNC_LOST] = "lost",
	[SYNC_ANCHOR] = "anchor",
	[SYNC_WANT] = "want",
	[SYNC_PAUSE] = "pause",
	[SYNC_CAP] = "cap",
	[SYNC_CAUSE] = "cause",
};

struct sync *sync_new(const struct sync_options *o, uint64_t now_ms)
{
	assert(o->shard_count > 0 && o->shard_count <= SHARD_MAX);
	struct sync *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->options = *o;
	s->now_ms = now_ms;
	s->random = o->seed;
	share_init(&s->share, o->weight, now_ms);
	share_cap(&s->share, o->cap, now_ms);
	return s;
}

void sync_freep(struct sync **at)
{
	struct sync *s = TAKE(*at);

	if (!s)
		return;
	for (uint32_t i = 0; i < s->options.shard_count; i++)
		gaps_release(&s->shards[i].held);
	free(s->arrived);
	free(s->rests);
	free(s->wants);
	free(s);
}

/* ---- actions ---- */

bool action_room(const struct sync_actions *out)
{
	/* A ban or a silence may cancel all that is out, and that must not be lost. */
	return out->count + SYNC_REQUESTS_MAX < SYNC_ACTIONS_MAX;
}

struct sync_action *action_add(struct sync_actions *out, enum sync_action_kind kind)
{
	assert(out->count < SYNC_ACTIONS_MAX);
	struct sync_action *a = &out->list[out->count++];

	*a = (struct sync_action){ .kind = kind };
	return a;
}

/* ---- requests ---- */

struct request *request_find(struct sync *s, uint64_t id)
{
	for (size_t i = 0; id && i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id == id)
			return &s->requests[i];
	return NULL;
}

void request_end(struct sync *s, struct request *r)
{
	struct request *twin = request_find(s, r->twin);

	if (twin)
		twin->twin = 0;
	s->sources[r->source].requests--;
	*r = (struct request){ .id = 0 };
}

/* What was foreseen of it is not on the line any more. */
static void uncharge(struct sync *s, const struct request *r)
{
	share_bytes(&s->share, r->lane, -(double)r->bytes, s->now_ms);
}

void request_cancel(struct sync *s, struct request *r, struct sync_actions *out)
{
	struct sync_action *a = action_add(out, SYNC_CANCEL);

	a->request = r->id;
	a->source = r->source;
	a->shard = r->shard;
	a->range = r->range;
	a->lane = r->lane;
	uncharge(s, r);
	request_end(s, r);
}

void requests_cancel(struct sync *s, unsigned source, struct sync_actions *out)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id && s->requests[i].source == source)
			request_cancel(s, &s->requests[i], out);
}

/* ---- lists that grow ---- */

/* One event takes out of the middle of a range at most, which leaves one more. */
static int reserve(struct sync *s)
{
	int rc = base_grow(&s->arrived, &s->arrived_cap, s->arrived_count + 2, sizeof *s->arrived);

	if (rc == 0)
		rc = base_grow(&s->rests, &s->rest_cap, s->rest_count + 2, sizeof *s->rests);
	if (rc == 0)
		rc = base_grow(&s->wants, &s->want_cap, s->want_count + 2, sizeof *s->wants);
	return rc;
}

/* ---- what rests ---- */

static struct rest *rest_of(const struct sync *s, uint32_t shard, uint64_t first)
{
	for (size_t i = 0; i < s->rest_count; i++)
		if (s->rests[i].shard == shard && range_has(s->rests[i].range, first))
			return &s->rests[i];
	return NULL;
}

/* Is there a source to be asked for what all these were refused? */
static bool others_offer(const struct sync *s, uint32_t refusers, uint32_t shard, uint64_t height)
{
	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		const struct sync_source *src = &s->sources[i];

		if (!(refusers & 1u << i) && src->there && range_has(src->offers[shard], height) &&
		    score_usable(&src->score, s->now_ms))
			return true;
	}
	return false;
}

bool rest_refuses(const struct sync *s, const struct rest *rest, unsigned source)
{
	return (rest->refusers & 1u << source) &&
	       others_offer(s, rest->refusers, rest->shard, rest->range.first);
}

bool source_refused(const struct sync *s, unsigned source, uint32_t shard, uint64_t height)
{
	const struct rest *rest = rest_of(s, shard, height);

	return rest && rest_refuses(s, rest, source);
}

static void drop_rest(struct sync *s, size_t i)
{
	s->rests[i] = s->rests[--s->rest_count];
}

static void clear_rests(struct sync *s, uint32_t shard, struct range r)
{
	for (size_t i = s->rest_count; i-- > 0;)
		if (s->rests[i].shard == shard && s->rests[i].range.first >= r.first &&
		    s->rests[i].range.end <= r.end)
			drop_rest(s, i);
}

/* A list that is full forgets who is due first: it would be asked for soon anyway. */
static struct rest *new_rest(struct sync *s)
{
	size_t first = 0;

	if (s->rest_count < RESTS_MAX)
		return &s->rests[s->rest_count++];
	for (size_t i = 1; i < s->rest_count; i++)
		if (s->rests[i].until_ms < s->rests[first].until_ms)
			first = i;
	return &s->rests[first];
}

static void let_rest(struct sync *s, uint32_t shard, struct range r, uint64_t first_ms,
		     const char *error)
{
	struct rest *rest = rest_of(s, shard, r.first);
	uint32_t tries = rest ? rest->tries : 0, refusers = rest ? rest->refusers : 0;

	if (!rest)
		rest = new_rest(s);
	*rest = (struct rest){
		.shard = shard,
		.range = r,
		.tries = tries + 1,
		.refusers = refusers,
		.until_ms = s->now_ms + MIN(first_ms << MIN(tries, 16u), (uint64_t)REST_MAX_MS),
	};
	snprintf(rest->error, sizeof rest->error, "%s", error ? error : "");
}

/* ---- what is being checked ---- */

static void add_arrived(struct sync *s, const struct request *r, struct range came, uint64_t bytes)
{
	s->arrived[s->arrived_count++] = (struct arrived){
		.shard = r->shard,
		.range = came,
		.source = r->source,
		.operator= s->sources[r->source].operator,
		.lane = r->lane,
		.bytes = bytes,
	};
}

/* Takes a range out; *lane and *operator are of who it came from. False: nothing of it was
 * there. */
static bool take_arrived(struct sync *s, uint32_t shard, struct range r, enum lane *lane,
			 uint32_t *operator)
{
	bool met = false;

	for (size_t i = s->arrived_count; i-- > 0;) {
		struct arrived *a = &s->arrived[i];

		if (a->shard != shard || !ranges_meet(a->range, r))
			continue;
		struct range below = { a->range.first, MAX(r.first, a->range.first) };
		struct range above = { MIN(r.end, a->range.end), a->range.end };
		uint64_t heights = a->range.end - a->range.first, bytes = a->bytes;
		struct arrived rest = *a;

		*lane = a->lane;
		*operator= a->operator;
		met = true;
		s->arrived[i] = s->arrived[--s->arrived_count];
		if (below.first < below.end) {
			rest.range = below;
			rest.bytes = bytes / heights * (below.end - below.first);
			s->arrived[s->arrived_count++] = rest;
		}
		if (above.first < above.end) {
			rest.range = above;
			rest.bytes = bytes / heights * (above.end - above.first);
			assert(s->arrived_count < s->arrived_cap);
			s->arrived[s->arrived_count++] = rest;
		}
	}
	return met;
}

/* ---- shards ---- */

static void find_head(struct sync *s, struct shard *sh, uint32_t shard)
{
	sh->head = 0;
	for (size_t i = 0; i < SYNC_SOURCES_MAX; i++) {
		const struct sync_source *src = &s->sources[i];

		if (src->there && src->offers[shard].end > 1 &&
		    score_circuit(&src->score, s->now_ms) != CIRCUIT_BANNED)
			sh->head = MAX(sh->head, src->offers[shard].end - 1);
	}
}

static void find_tip(struct shard *sh)
{
	size_t i = gaps_range_at(&sh->held, sh->base);

	sh->tip = sh->base ? sh->base - 1 : 0;
	if (sh->base && i < sh->held.held_count && sh->held.held[i].first <= sh->base)
		sh->tip = sh->held.held[i].end - 1;
}

/* Where forward begins, once somebody said how far the chain goes: behind what is held, if that is
 * near, or near the head. */
static void find_base(struct sync *s, struct shard *sh)
{
	size_t n = sh->held.held_count;

	if (sh->base || !sh->head)
		return;
	if (n)
		sh->base = sh->held.held[n - 1].end;
	else
		sh->base =
			sh->head > s->options.look_ahead ? sh->head - s->options.look_ahead + 1 : 1;
	find_tip(sh);
}

/* ---- events ---- */

static int on_source_added(struct sync *s, const struct sync_event *e)
{
	struct sync_source *src = &s->sources[e->source];

	if (src->there)
		return -EINVAL;
	/* What it did is not forgotten with its connection. */
	if (src->operator!= e->operator|| src->score.at_ms == 0)
		score_init(&src->score, s->now_ms);
	memset(src->offers, 0, sizeof src->offers);
	rate_init(&src->rate);
	src->operator= e->operator;
	src->there = true;
	return 0;
}

static int on_source_removed(struct sync *s, const struct sync_event *e)
{
	struct sync_source *src = &s->sources[e->source];

	if (!src->there)
		return -EINVAL;
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id && s->requests[i].source == e->source) {
			uncharge(s, &s->requests[i]);
			request_end(s, &s->requests[i]);
		}
	score_let_go(&src->score);
	src->there = false;
	for (size_t i = 0; i < s->rest_count; i++)
		s->rests[i].refusers &= ~(1u << e->source);
	memset(src->offers, 0, sizeof src->offers);
	for (uint32_t i = 0; i < s->options.shard_count; i++)
		find_head(s, &s->shards[i], i);
	return 0;
}

static bool offers_any(const struct sync *s, const struct sync_source *src)
{
	for (uint32_t i = 0; i < s->options.shard_count; i++)
		if (src->offers[i].first < src->offers[i].end)
			return true;
	return false;
}

static int on_offers(struct sync *s, const struct sync_event *e)
{
	struct sync_source *src = &s->sources[e->source];
	struct shard *sh = &s->shards[e->shard];

	if (!src->there)
		return -EINVAL;
	bool had = offers_any(s, src);

	src->offers[e->shard] = e->range;
	if (!had && offers_any(s, src))
		score_reached(&src->score, s->now_ms);
	find_head(s, sh, e->shard);
	find_base(s, sh);
	for (size_t i = 0; i < s->rest_count; i++) { /* it has not been asked yet */
		struct rest *rest = &s->rests[i];

		if (rest->shard == e->shard && rest->refusers &&
		    !(rest->refusers & 1u << e->source) && range_has(e->range, rest->range.first))
			rest->until_ms = MIN(rest->until_ms, s->now_ms);
	}
	if (e->range.first < e->range.end && e->range.end + STALE_HEIGHTS < sh->head)
		score_fault(&src->score, FAULT_STALE, "its head is far behind that of others",
			    s->now_ms);
	return 0;
}

/* A source that gives nothing of what it offers has let it go, or does not have it yet. */
static void came_short(struct sync *s, const struct request *r, struct range came)
{
	struct sync_source *src = &s->sources[r->source];
	struct range *offers = &src->offers[r->shard];
	bool empty = came.first >= came.end;

	if (empty && r->range.first + NEAR_HEAD >= offers->end) {
		let_rest(s, r->shard, r->range, NOT_YET_MS, "the source does not have it yet");
	} else if (empty) {
		score_fault(&src->score, FAULT_EMPTY, "it gave nothing of what it offers",
			    s->now_ms);
		offers->first = MAX(offers->first, r->range.end);
	} else if (came.first > r->range.first) {
		offers->first = MAX(offers->first, came.first);
	}
}

static void vote(struct sync *s, uint32_t shard, uint32_t operator, struct sync_actions * out)
{
	struct shard *sh = &s->shards[shard];
	struct tip *t = &sh->asked;

	for (unsigned i = 0; i < t->operator_count; i++)
		if (t->operators[i] == operator)
			return;
	if (t->operator_count < OPERATORS_MAX)
		t->operators[t->operator_count++] = operator;
	if (t->operator_count < s->options.operators)
		return;
	if (t->height > sh->confirmed) {
		sh->confirmed = t->height;
		struct sync_action *a = action_add(out, SYNC_CONFIRMED);

		a->shard = shard;
		a->range = (struct range){ t->height, t->height + 1 };
	}
	t->height = 0;
}

static void tip_checked(struct sync *s, const struct request *r, const struct sync_event *e,
			struct sync_actions *out)
{
	struct tip *t = &s->shards[r->shard].asked;
	const struct sync_source *src = &s->sources[r->source];

	if (t->height == r->range.first && e->range.first < e->range.end &&
	    memcmp(t->hash, e->hash, HASH_SIZE) == 0)
		vote(s, r->shard, src->operator, out);
	else if (t->height == r->range.first)
		t->others |= 1u << r->source; /* the next tip is asked about instead */
}

/* Another source was asked the same later, and answered first. Who gave nothing at all meanwhile is
 * as silent as one that lets its time pass, which it never could while others step in for it. */
static void overtaken(struct sync *s, const struct request *r, struct sync_actions *out)
{
	struct sync_source *src = &s->sources[r->source];

	if (s->now_ms < r->asked_ms + RATE_TIMEOUT_MIN_MS || src->heard_ms >= r->asked_ms)
		return;
	rate_timed_out(&src->rate);
	score_fault(&src->score, FAULT_TIMEOUT, "it did not answer, and another source did",
		    s->now_ms);
	requests_cancel(s, r->source, out);
}

static int on_came(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	struct request *found = request_find(s, e->request);

	if (!found)
		return 0; /* it was cancelled meanwhile */
	struct request r = *found;
	struct sync_source *src = &s->sources[r.source];
	uint64_t heights = e->range.end > e->range.first ? e->range.end - e->range.first : 0;

	if (heights && (e->range.first < r.range.first || e->range.end > r.range.end))
		return -EINVAL;
	request_end(s, found);
	src->heard_ms = s->now_ms;
	share_bytes(&s->share, r.lane, (double)e->bytes - (double)r.bytes, s->now_ms);
	rate_answered(&src->rate, &s->options.bounds, heights, e->bytes,
		      (uint32_t)(s->now_ms - r.asked_ms));
	if (r.tip_check) {
		score_answered(&src->score, s->now_ms);
		tip_checked(s, &r, e, out);
		return 0;
	}
	struct request *twin = request_find(s, r.twin);

	if (heights && twin) {
		struct request other = *twin;

		request_cancel(s, twin, out);
		overtaken(s, &other, out);
	}
	src->heights += heights;
	src->bytes += e->bytes;
	s->heights[r.lane] += heights;
	s->bytes[r.lane] += e->bytes;
	if (heights) {
		score_answered(&src->score, s->now_ms);
		add_arrived(s, &r, e->range, e->bytes);
	} else {
		score_let_go(&src->score);
	}
	if (heights < r.range.end - r.range.first)
		came_short(s, &r, e->range);
	return 0;
}

/* A ban, as soon as it is proved; known ones are not banned twice. */
static void source_lied(struct sync *s, unsigned source, const char *text, struct sync_actions *out)
{
	struct sync_source *src = &s->sources[source];
	bool known = score_circuit(&src->score, s->now_ms) == CIRCUIT_BANNED;

	score_fault(&src->score, FAULT_LIE, text ? text : "it lied", s->now_ms);
	if (known)
		return;
	requests_cancel(s, source, out);
	struct sync_action *a = action_add(out, SYNC_BAN);

	a->source = source;
	snprintf(a->text, sizeof a->text, "%s", src->score.reason);
	for (uint32_t i = 0; i < s->options.shard_count; i++)
		find_head(s, &s->shards[i], i);
}

static int on_fault(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	struct sync_source *src = &s->sources[e->source];

	if (!src->there)
		return -EINVAL;
	if (e->fault == FAULT_LIE)
		source_lied(s, e->source, e->text, out);
	else
		score_fault(&src->score, e->fault, e->text ? e->text : fault_kind_names[e->fault],
			    s->now_ms);
	return 0;
}

static int on_failed(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	struct request *r = request_find(s, e->request);

	if (!r)
		return 0;
	unsigned source = r->source;
	struct sync_source *src = &s->sources[source];
	uint64_t heights = e->range.end > e->range.first ? e->range.end - e->range.first : 0;

	if (heights && (e->range.first < r->range.first || e->range.end > r->range.end))
		return -EINVAL;
	if (heights && !r->tip_check) {
		add_arrived(s, r, e->range, e->bytes);
		src->heard_ms = s->now_ms;
		src->heights += heights;
		src->bytes += e->bytes;
		s->heights[r->lane] += heights;
		s->bytes[r->lane] += e->bytes;
		share_bytes(&s->share, r->lane, (double)e->bytes, s->now_ms);
	}
	if (e->fault == FAULT_TIMEOUT)
		rate_timed_out(&src->rate);
	else if (e->fault == FAULT_PROTOCOL && r->range.end - r->range.first > 1)
		rate_too_large(&src->rate, r->range.end - r->range.first);
	if (r->tip_check)
		s->shards[r->shard].asked.height = 0;
	uncharge(s, r);
	request_end(s, r);
	if (e->fault == FAULT_LIE)
		source_lied(s, source, e->text, out);
	else
		score_fault(&src->score, e->fault, e->text ? e->text : fault_kind_names[e->fault],
			    s->now_ms);
	return 0;
}

static void new_tip(struct sync *s, const struct sync_event *e, uint32_t operator,
		    struct sync_actions * out)
{
	struct shard *sh = &s->shards[e->shard];

	if (e->range.end - 1 <= sh->newest.height)
		return;
	sh->newest = (struct tip){ .height = e->range.end - 1,
				   .operators = { operator}, .operator_count = 1 };
	memcpy(sh->newest.hash, e->hash, HASH_SIZE);
	if (s->options.operators > 1)
		return;
	sh->asked = sh->newest;
	vote(s, e->shard, operator, out);
}

static int on_taken(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	struct shard *sh = &s->shards[e->shard];
	enum lane lane = LANE_BACKWARD;
	uint32_t operator= 0;

	if (e->range.first >= e->range.end)
		return -EINVAL;
	int rc = gaps_add(&sh->held, e->range);

	if (rc < 0)
		return rc;
	if (take_arrived(s, e->shard, e->range, &lane, &operator)) {
		share_check(&s->share, lane, (double)e->check_us, s->now_ms);
		if (lane == LANE_FORWARD)
			new_tip(s, e, operator, out);
	}
	clear_rests(s, e->shard, e->range);
	find_tip(sh);
	return 0;
}

/* Another one may have it right: no need to wait for that, once. */
static void refused_of(struct sync *s, const struct sync_event *e)
{
	struct rest *rest = rest_of(s, e->shard, e->range.first);
	uint32_t bit = 1u << e->source;

	if (!rest)
		return;
	if (!(rest->refusers & bit) &&
	    others_offer(s, rest->refusers | bit, e->shard, e->range.first))
		rest->until_ms = s->now_ms;
	rest->refusers |= bit;
}

static int on_refused(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	bool lie = e->fault == FAULT_LIE;
	enum lane lane = LANE_BACKWARD;
	uint32_t operator;

	if (e->range.first >= e->range.end)
		return -EINVAL;
	if (take_arrived(s, e->shard, e->range, &lane, &operator))
		share_check(&s->share, lane, (double)e->check_us, s->now_ms);
	let_rest(s, e->shard, e->range, lie ? 0 : REST_MIN_MS, e->text);
	if (e->on)
		refused_of(s, e);
	if (lie)
		source_lied(s, e->source, e->text, out);
	return 0;
}

static int on_lost(struct sync *s, const struct sync_event *e)
{
	struct shard *sh = &s->shards[e->shard];
	int rc = gaps_remove(&sh->held, e->range);

	if (rc == 0) {
		clear_rests(s, e->shard, e->range);
		find_tip(sh);
	}
	return rc;
}

static int on_want(struct sync *s, const struct sync_event *e)
{
	if (e->range.first >= e->range.end)
		return -EINVAL;
	if (s->want_count < WANTS_MAX)
		s->wants[s->want_count++] = (struct want){ e->shard, e->range };
	return 0;
}

static int on_anchor(struct sync *s, const struct sync_event *e)
{
	struct shard *sh = &s->shards[e->shard];

	sh->base = e->range.first;
	find_tip(sh);
	return 0;
}

static int on_cause(struct sync *s, const struct sync_event *e)
{
	struct rest *rest = rest_of(s, e->shard, e->range.first);

	if (rest)
		snprintf(rest->error, sizeof rest->error, "%s", e->text ? e->text : "");
	return 0;
}

static int on_event(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	switch (e->kind) {
	case SYNC_TIME:
		return 0;
	case SYNC_SOURCE_ADDED:
		return on_source_added(s, e);
	case SYNC_SOURCE_REMOVED:
		return on_source_removed(s, e);
	case SYNC_SOURCE_PARDON:
		score_pardon(&s->sources[e->source].score, s->now_ms);
		return 0;
	case SYNC_OFFERS:
		return on_offers(s, e);
	case SYNC_CAME:
		return on_came(s, e, out);
	case SYNC_FAILED:
		return on_failed(s, e, out);
	case SYNC_FAULT:
		return on_fault(s, e, out);
	case SYNC_TAKEN:
		return on_taken(s, e, out);
	case SYNC_REFUSED:
		return on_refused(s, e, out);
	case SYNC_LOST:
		return on_lost(s, e);
	case SYNC_ANCHOR:
		return on_anchor(s, e);
	case SYNC_WANT:
		return on_want(s, e);
	case SYNC_PAUSE:
		s->paused = e->on;
		return 0;
	case SYNC_CAP:
		share_cap(&s->share, e->bytes, s->now_ms);
		return 0;
	case SYNC_CAUSE:
		return on_cause(s, e);
	default:
		return -EINVAL;
	}
}

int sync_step(struct sync *s, const struct sync_event *e, struct sync_actions *out)
{
	out->count = 0;
	out->wake_ms = UINT64_MAX;
	s->now_ms = MAX(s->now_ms, e->now_ms);
	if (e->source >= SYNC_SOURCES_MAX || e->shard >= s->options.shard_count)
		return -EINVAL;
	int rc = reserve(s);

	if (rc == 0)
		rc = on_event(s, e, out);
	if (rc < 0)
		return rc;
	sync_plan(s, out);
	return 0;
}
