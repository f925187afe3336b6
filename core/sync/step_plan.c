/* What goes out: which heights, of which lane, to which source. */
#include "core/sync/step_inside.h"

#include <stdio.h>

#define URGENT_ROOM 2u /* requests */
#define TRY_ONE_IN  8u /* backward requests by which a half-open source is tried */
#define MUCH_FASTER 4
#define NEAR_BYTES  (8u << 20) /* of history, while the chain is followed closely */

/* ---- choosing among what is equal ---- */

static uint64_t draw(struct sync *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static double draw_below_one(struct sync *s)
{
	return (double)(draw(s) >> 11) / (double)(UINT64_C(1) << 53);
}

/* ---- what is out ---- */

static uint64_t bytes_out(const struct sync *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		sum += s->requests[i].id ? s->requests[i].bytes : 0;
	for (size_t i = 0; i < s->arrived_count; i++)
		sum += s->arrived[i].bytes;
	return sum;
}

static unsigned requests_out(const struct sync *s, enum lane lane)
{
	unsigned count = 0;

	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		count += s->requests[i].id && s->requests[i].lane == lane &&
			 !s->requests[i].tip_check;
	return count;
}

/* Whatever keeps a height from being asked for: it is asked for, it came, it rests. */
static bool is_busy(const struct sync *s, uint32_t shard, uint64_t height, struct range *by)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		const struct request *r = &s->requests[i];

		if (r->id && !r->tip_check && r->shard == shard && range_has(r->range, height)) {
			*by = r->range;
			return true;
		}
	}
	for (size_t i = 0; i < s->arrived_count; i++)
		if (s->arrived[i].shard == shard && range_has(s->arrived[i].range, height)) {
			*by = s->arrived[i].range;
			return true;
		}
	for (size_t i = 0; i < s->rest_count; i++)
		if (s->rests[i].shard == shard && s->rests[i].until_ms > s->now_ms &&
		    range_has(s->rests[i].range, height)) {
			*by = s->rests[i].range;
			return true;
		}
	return false;
}

/* Where `r` ends so that nothing busy is in it; `up`: seen from its first height, else its last. */
static void cut_at_busy(const struct sync *s, uint32_t shard, bool up, struct range by,
			struct range *r)
{
	if (!ranges_meet(by, *r))
		return;
	if (up)
		r->end = MIN(r->end, by.first);
	else
		r->first = MAX(r->first, by.end);
}

static void cut_free(const struct sync *s, unsigned source, uint32_t shard, bool up,
		     struct range *r)
{
	const struct gaps *g = &s->shards[shard].held;
	size_t i = gaps_range_at(g, up ? r->first : r->end - 1);

	if (up && i < g->held_count)
		cut_at_busy(s, shard, up, g->held[i], r);
	if (!up && i > 0)
		cut_at_busy(s, shard, up, g->held[i - 1], r);
	for (i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id && !s->requests[i].tip_check && s->requests[i].shard == shard)
			cut_at_busy(s, shard, up, s->requests[i].range, r);
	for (i = 0; i < s->arrived_count; i++)
		if (s->arrived[i].shard == shard)
			cut_at_busy(s, shard, up, s->arrived[i].range, r);
	for (i = 0; i < s->rest_count; i++)
		if (s->rests[i].shard == shard &&
		    (s->rests[i].until_ms > s->now_ms || rest_refuses(s, &s->rests[i], source)))
			cut_at_busy(s, shard, up, s->rests[i].range, r);
}

/* The lowest height in `in` that may be asked for; in.end: none. */
static uint64_t lowest_free(const struct sync *s, uint32_t shard, struct range in)
{
	const struct gaps *g = &s->shards[shard].held;
	uint64_t h = in.first;

	while (h < in.end) {
		size_t i = gaps_range_at(g, h);
		struct range by;

		if (i < g->held_count && g->held[i].first <= h)
			h = g->held[i].end;
		else if (is_busy(s, shard, h, &by))
			h = by.end;
		else
			return h;
	}
	return in.end;
}

/* One above the highest height in `in` that may be asked for; in.first: none. */
static uint64_t highest_free(const struct sync *s, uint32_t shard, struct range in)
{
	const struct gaps *g = &s->shards[shard].held;
	uint64_t end = in.end;

	while (end > in.first) {
		size_t i = gaps_range_at(g, end - 1);
		struct range by;

		if (i < g->held_count && g->held[i].first <= end - 1)
			end = g->held[i].first;
		else if (is_busy(s, shard, end - 1, &by))
			end = by.first;
		else
			return end;
	}
	return in.first;
}

/* ---- which source ---- */

/* Some room at a source is for what is urgent alone: history never keeps a tip from being asked
 * for. */
static bool can_ask(const struct sync *s, unsigned source, uint32_t shard, uint64_t height,
		    bool urgent)
{
	const struct sync_source *src = &s->sources[source];

	return src->there && !source_refused(s, source, shard, height) &&
	       src->requests < s->options.source_requests + (urgent ? URGENT_ROOM : 0) &&
	       range_has(src->offers[shard], height) && score_usable(&src->score, s->now_ms);
}

static double weight_of(const struct sync *s, const struct sync_source *src, bool urgent)
{
	double score = score_value(&src->score, s->now_ms);
	unsigned most = s->options.source_requests;
	unsigned room = most > src->requests ? most - src->requests : 1;

	/* Close to the head it counts who answers soon, else who gives most. */
	if (urgent)
		return score * score / MAX(src->rate.round_trip_ms, 1.0);
	/* Who never answered is thought to be as good as any, for one request at a time. */
	double per_ms = src->rate.per_ms;

	if (per_ms <= 0 && !src->requests)
		for (size_t i = 0; i < SYNC_SOURCES_MAX; i++)
			if (s->sources[i].there)
				per_ms = MAX(per_ms, s->sources[i].rate.per_ms);
	return score * room * (per_ms + 0.01);
}

/* SYNC_SOURCES_MAX: nobody that is free now. */
static unsigned pick_source(struct sync *s, uint32_t shard, uint64_t height, enum lane lane,
			    bool urgent)
{
	double weights[SYNC_SOURCES_MAX] = { 0 }, sum = 0;
	bool try_one = lane == LANE_BACKWARD && draw(s) % TRY_ONE_IN == 0;
	unsigned last = SYNC_SOURCES_MAX;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		const struct sync_source *src = &s->sources[i];

		if (!can_ask(s, i, shard, height, urgent))
			continue;
		last = i;
		if (try_one && score_circuit(&src->score, s->now_ms) == CIRCUIT_HALF_OPEN)
			return i;
		sum += weights[i] = weight_of(s, src, urgent);
	}
	double at = draw_below_one(s) * sum;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		if (weights[i] <= 0)
			continue;
		at -= weights[i];
		if (at < 0)
			return i;
	}
	return last;
}

static bool is_offered(const struct sync *s, uint32_t shard, uint64_t height)
{
	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++)
		if (s->sources[i].there && range_has(s->sources[i].offers[shard], height) &&
		    score_circuit(&s->sources[i].score, s->now_ms) != CIRCUIT_BANNED)
			return true;
	return false;
}

/* One above the highest offered height below `end`; 0: there is none. */
static uint64_t offered_below(const struct sync *s, uint32_t shard, uint64_t end)
{
	uint64_t best = 0;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		const struct sync_source *src = &s->sources[i];

		if (src->there && src->offers[shard].first < end &&
		    src->offers[shard].end > src->offers[shard].first &&
		    score_circuit(&src->score, s->now_ms) != CIRCUIT_BANNED)
			best = MAX(best, MIN(src->offers[shard].end, end));
	}
	return best;
}

/* ---- sending ---- */

static struct request *free_request(struct sync *s)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (!s->requests[i].id)
			return &s->requests[i];
	return NULL;
}

static struct request *send(struct sync *s, unsigned source, uint32_t shard, struct range range,
			    enum lane lane, bool tip_check, struct sync_actions *out)
{
	struct request *r = free_request(s);
	struct sync_source *src = &s->sources[source];

	if (!r || !action_room(out))
		return NULL;
	uint32_t timeout_ms = rate_timeout_ms(&src->rate, &s->options.bounds);

	*r = (struct request){
		.id = ++s->request_last,
		.source = source,
		.shard = shard,
		.lane = lane,
		.range = range,
		.asked_ms = s->now_ms,
		.deadline_ms = s->now_ms + timeout_ms,
		.bytes = rate_bytes(&src->rate, range.end - range.first),
		.tip_check = tip_check,
	};
	src->requests++;
	score_asked(&src->score, s->now_ms);
	share_bytes(&s->share, lane, (double)r->bytes, s->now_ms);
	struct sync_action *a = action_add(out, tip_check ? SYNC_CHECK_TIP : SYNC_FETCH);

	a->request = r->id;
	a->source = source;
	a->shard = shard;
	a->range = range;
	a->lane = lane;
	a->timeout_ms = timeout_ms;
	return r;
}

/* ---- which heights ---- */

/* Several times slower than another one that can be asked for the height, if not now then soon; or
 * never heard, where another one was. Who was fast and is banned or gone, or gave a height that was
 * refused, makes nobody slow. */
static bool is_slow(const struct sync *s, const struct sync_source *src, uint32_t shard,
		    uint64_t height)
{
	double best = 0;

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		const struct sync_source *other = &s->sources[i];

		if (other->there && range_has(other->offers[shard], height) &&
		    score_usable(&other->score, s->now_ms) && !source_refused(s, i, shard, height))
			best = MAX(best, other->rate.per_ms);
	}
	return src->rate.per_ms * MUCH_FASTER < best;
}

/* What forward asks of one that is slow lies at the upper end, where nobody waits for it yet: what
 * comes above a hole cannot be replayed. *r stays where it has nothing there. */
static void from_above(const struct sync *s, unsigned source, uint32_t shard, uint64_t size,
		       struct range in, struct range *r)
{
	const struct sync_source *src = &s->sources[source];
	uint64_t end = highest_free(s, shard, in);

	if (!is_slow(s, src, shard, r->first) || end == in.first ||
	    !range_has(src->offers[shard], end - 1) || source_refused(s, source, shard, end - 1))
		return;
	struct range above = { MAX(end > size ? end - size : 1, in.first), end };

	above.first = MAX(above.first, src->offers[shard].first);
	cut_free(s, source, shard, false, &above);
	if (above.first < above.end)
		*r = above;
}

enum sent { SENT, NOTHING_TO_ASK, NOBODY_TO_ASK };

static enum sent send_range(struct sync *s, uint32_t shard, struct range in, enum lane lane,
			    bool urgent, struct sync_actions *out)
{
	bool up = lane == LANE_FORWARD;
	uint64_t height = up ? lowest_free(s, shard, in) : highest_free(s, shard, in);

	if (height == (up ? in.end : in.first))
		return NOTHING_TO_ASK;
	if (!up)
		height--;
	if (!is_offered(s, shard, height)) {
		uint64_t end = up ? 0 : offered_below(s, shard, height);

		return end > in.first ? send_range(s, shard, (struct range){ in.first, end }, lane,
						   urgent, out)
				      : NOTHING_TO_ASK;
	}
	unsigned source = pick_source(s, shard, height, lane, urgent);

	if (source == SYNC_SOURCES_MAX)
		return NOBODY_TO_ASK;
	const struct sync_source *src = &s->sources[source];
	uint64_t size = rate_ask(&src->rate, &s->options.bounds);
	struct range r =
		up ? (struct range){ height, MIN(height + size, in.end) }
		   : (struct range){ height + 1 > size ? height + 1 - size : 1, height + 1 };

	r.first = MAX(MAX(r.first, in.first), src->offers[shard].first);
	r.end = MIN(r.end, src->offers[shard].end);
	cut_free(s, source, shard, up, &r);
	if (up && !urgent)
		from_above(s, source, shard, size, in, &r);
	return send(s, source, shard, r, lane, false, out) ? SENT : NOBODY_TO_ASK;
}

/* What forward may ask for of a shard: a little above the tip. */
static struct range ahead(const struct sync *s, uint32_t shard)
{
	const struct shard *sh = &s->shards[shard];

	if (!sh->base || sh->tip >= sh->head)
		return (struct range){ 1, 1 };
	return (struct range){ sh->tip + 1,
			       MIN(sh->head, sh->tip + MAX(s->options.look_ahead,
							   s->options.bounds.heights_max)) +
				       1 };
}

static struct range behind(const struct sync *s, uint32_t shard)
{
	uint64_t base = s->shards[shard].base;

	return (struct range){ 1, MAX(base, 1u) };
}

/* The shard of that lane that has most to catch up with goes first. */
static enum sent send_lane(struct sync *s, enum lane lane, bool urgent, struct sync_actions *out)
{
	bool tried[SHARD_MAX] = { false };
	enum sent outcome = NOTHING_TO_ASK;

	for (uint32_t n = 0; n < s->options.shard_count; n++) {
		uint32_t best = SHARD_MAX;
		uint64_t most = 0;

		for (uint32_t i = 0; i < s->options.shard_count; i++) {
			struct range r = lane == LANE_FORWARD ? ahead(s, i) : behind(s, i);
			uint64_t due = lane == LANE_FORWARD
					       ? s->shards[i].head - lowest_free(s, i, r) + 2
					       : highest_free(s, i, r);

			if (tried[i] || r.first >= r.end || (best < SHARD_MAX && due <= most))
				continue;
			best = i;
			most = due;
		}
		if (best == SHARD_MAX)
			break;
		tried[best] = true;
		enum sent sent =
			send_range(s, best, lane == LANE_FORWARD ? ahead(s, best) : behind(s, best),
				   lane, urgent, out);

		if (sent == SENT)
			return SENT;
		if (sent == NOBODY_TO_ASK)
			outcome = NOBODY_TO_ASK;
	}
	return outcome;
}

/* Somebody waits for it: before everything else, and whatever is paused. */
static void send_wants(struct sync *s, struct sync_actions *out)
{
	for (size_t i = s->want_count; i-- > 0;) {
		struct want *w = &s->wants[i];
		enum sent sent = send_range(s, w->shard, w->range, LANE_FORWARD, true, out);

		if (sent == NOTHING_TO_ASK)
			*w = s->wants[--s->want_count];
	}
}

/* Is what forward asks for next close to the head? */
static bool is_urgent(const struct sync *s)
{
	for (uint32_t i = 0; i < s->options.shard_count; i++) {
		const struct shard *sh = &s->shards[i];
		struct range r = ahead(s, i);

		if (r.first < r.end && lowest_free(s, i, r) < r.end &&
		    sh->head - sh->tip <= s->options.look_ahead)
			return true;
	}
	return false;
}

/* ---- requests that take long ---- */

static void wake(uint64_t at_ms, struct sync_actions *out)
{
	out->wake_ms = MIN(out->wake_ms, at_ms);
}

static void time_out(struct sync *s, struct sync_actions *out)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		struct request *r = &s->requests[i];

		if (!r->id || r->deadline_ms > s->now_ms)
			continue;
		struct sync_source *src = &s->sources[r->source];

		rate_timed_out(&src->rate);
		score_fault(&src->score, FAULT_TIMEOUT, "it did not answer in time", s->now_ms);
		if (r->tip_check)
			s->shards[r->shard].asked.height = 0;
		bool silent = src->heard_ms < r->asked_ms;
		unsigned source = r->source;

		request_cancel(s, r, out);
		/* Nothing came of what was asked later, either. */
		if (silent)
			requests_cancel(s, source, out);
	}
}

/* Twice as long as an answer of this source takes. */
static uint64_t late_ms(const struct sync *s, const struct request *r)
{
	const struct rate *rate = &s->sources[r->source].rate;
	double heights = (double)(r->range.end - r->range.first);
	double takes = MAX(rate->round_trip_ms, rate->per_ms > 0 ? heights / rate->per_ms : 0);

	return r->asked_ms + MIN((uint64_t)(2 * takes) + 20, (r->deadline_ms - r->asked_ms) / 2);
}

/* Is it held, or did it come and is being checked? */
static bool is_there(const struct sync *s, uint32_t shard, uint64_t height)
{
	if (gaps_has(&s->shards[shard].held, height))
		return true;
	for (size_t i = 0; i < s->arrived_count; i++)
		if (s->arrived[i].shard == shard && range_has(s->arrived[i].range, height))
			return true;
	return false;
}

/* What of a request did not come by another one that ended midway. */
static struct range left_of(const struct sync *s, const struct request *r)
{
	struct range left = r->range;

	while (left.first < left.end && is_there(s, r->shard, left.first))
		left.first++;
	while (left.first < left.end && is_there(s, r->shard, left.end - 1))
		left.end--;
	return left;
}

/* Where nothing else is to be asked of `other`, which has nothing to do: as soon as it could have
 * given the same twice; at once when it is several times as fast. Windows of who is slow or hangs
 * would else hold up the end, and what lies too far above them to be asked for. */
static uint64_t overdue_ms(const struct sync *s, const struct request *r, struct range left,
			   const struct sync_source *other)
{
	double per_ms = other->rate.per_ms;

	if (other->requests || per_ms <= 0 ||
	    score_circuit(&other->score, s->now_ms) != CIRCUIT_CLOSED)
		return UINT64_MAX;
	if (per_ms >= MUCH_FASTER * s->sources[r->source].rate.per_ms)
		return r->asked_ms;
	return r->asked_ms + (uint64_t)(2 * (double)(left.end - left.first) / per_ms) + 20;
}

/* How good it is to ask that one, too: of a single height it counts who answers soon. */
static double twin_value(const struct sync *s, const struct sync_source *src, struct range left)
{
	if (left.end - left.first == 1)
		return weight_of(s, src, true);
	return score_value(&src->score, s->now_ms) * (src->rate.per_ms + 0.0001);
}

/* nothing: there is nothing else that could be asked for. */
static void send_twins(struct sync *s, bool nothing, struct sync_actions *out)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		struct request *r = &s->requests[i];
		unsigned best = SYNC_SOURCES_MAX;

		if (!r->id || r->twin || r->tip_check)
			continue;
		struct range left = left_of(s, r);

		if (left.first == left.end)
			continue;
		uint64_t due_ms = late_ms(s, r);

		for (unsigned k = 0; k < SYNC_SOURCES_MAX; k++) {
			const struct sync_source *other = &s->sources[k];

			if (other->operator== s->sources[r->source].operator|| !can_ask(
				    s, k, r->shard, left.first, true) ||
			    !range_has(other->offers[r->shard], left.end - 1))
				continue;
			if (nothing)
				due_ms = MIN(due_ms, overdue_ms(s, r, left, other));
			if (best == SYNC_SOURCES_MAX ||
			    twin_value(s, other, left) > twin_value(s, &s->sources[best], left))
				best = k;
		}
		if (best != SYNC_SOURCES_MAX && due_ms > s->now_ms) {
			wake(due_ms, out);
			continue;
		}
		if (best == SYNC_SOURCES_MAX)
			continue;
		struct request *twin = send(s, best, r->shard, left, r->lane, false, out);

		if (!twin)
			return;
		twin->twin = r->id;
		r->twin = twin->id;
	}
}

/* ---- tips ---- */

static bool has_voted(const struct tip *t, uint32_t operator)
{
	for (unsigned i = 0; i < t->operator_count; i++)
		if (t->operators[i] == operator)
			return true;
	return false;
}

static bool is_asked_about(const struct sync *s, uint32_t shard)
{
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id && s->requests[i].tip_check && s->requests[i].shard == shard)
			return true;
	return false;
}

static void ask_about_tips(struct sync *s, struct sync_actions *out)
{
	for (uint32_t shard = 0; shard < s->options.shard_count; shard++) {
		struct shard *sh = &s->shards[shard];

		if (s->options.operators < 2 || is_asked_about(s, shard))
			continue;
		if ((!sh->asked.height || sh->asked.others) &&
		    sh->newest.height > MAX(sh->confirmed, sh->asked.height))
			sh->asked = sh->newest;
		for (unsigned i = 0; sh->asked.height && i < SYNC_SOURCES_MAX; i++) {
			const struct sync_source *src = &s->sources[i];
			uint64_t h = sh->asked.height;

			if (has_voted(&sh->asked, src->operator) || (sh->asked.others & 1u << i) ||
			    !can_ask(s, i, shard, h, true))
				continue;
			send(s, i, shard, (struct range){ h, h + 1 }, LANE_FORWARD, true, out);
			break;
		}
	}
}

/* ---- when to be asked again ---- */

static void find_wake(struct sync *s, struct sync_actions *out)
{
	uint64_t open_ms;

	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		const struct request *r = &s->requests[i];

		if (!r->id)
			continue;
		wake(r->deadline_ms, out);
		if (!r->twin && !r->tip_check && late_ms(s, r) > s->now_ms)
			wake(late_ms(s, r), out);
	}
	for (size_t i = 0; i < s->rest_count; i++)
		if (s->rests[i].until_ms > s->now_ms)
			wake(s->rests[i].until_ms, out);
	for (size_t i = 0; i < SYNC_SOURCES_MAX; i++)
		if (s->sources[i].there)
			wake(score_wakes_ms(&s->sources[i].score, s->now_ms), out);
	if (!share_open(&s->share, s->now_ms, &open_ms))
		wake(open_ms, out);
}

/* ---- all of it ---- */

/* Is the chain followed closely, every shard of it? */
static bool is_near(const struct sync *s)
{
	for (uint32_t i = 0; i < s->options.shard_count; i++)
		if (s->shards[i].head > s->shards[i].tip + s->options.look_ahead)
			return false;
	return true;
}

/* An eighth of the memory is for what is urgent alone: history that waits for its checks never
 * keeps a tip from being asked for. Where tips are to come it gets no more than is checked in about
 * a second: a flood of it would hold up the line, and the processors that read it. */
static bool is_bounded(const struct sync *s, enum lane lane, bool urgent)
{
	uint64_t out = bytes_out(s), most = s->options.bytes_max;

	if (!urgent)
		most -= most / 8;
	if (lane == LANE_BACKWARD && is_near(s))
		most = MIN(most, NEAR_BYTES);
	return out > 0 && out >= most;
}

void sync_plan(struct sync *s, struct sync_actions *out)
{
	bool wants[LANE_COUNT] = { true, !s->paused }, idle = true, nothing = true;
	uint64_t open_ms;

	time_out(s, out);
	send_wants(s, out);
	ask_about_tips(s, out);
	while (action_room(out)) {
		for (int i = 0; i < LANE_COUNT; i++)
			wants[i] =
				wants[i] && requests_out(s, (enum lane)i) < s->options.requests[i];
		bool urgent = wants[LANE_FORWARD] && is_urgent(s);
		enum lane lane = urgent ? LANE_FORWARD : share_next(&s->share, wants);

		if (lane == LANE_COUNT)
			break;
		if (is_bounded(s, lane, urgent) || !share_open(&s->share, s->now_ms, &open_ms)) {
			idle = false;
			break;
		}
		enum sent sent = send_lane(s, lane, urgent, out);

		idle = idle && sent != SENT;
		nothing = nothing && sent == NOTHING_TO_ASK;
		if (sent != SENT)
			wants[lane] = false;
	}
	if (idle)
		send_twins(s, nothing, out);
	find_wake(s, out);
}
