/* After a giver turned out a liar, or below a root that does not come out with anybody's block:
 * what is doubted (doubt.h) is asked of another operator once more, one request at a time and
 * newest first, and compared by digest. Where the giver is no liar yet and a third operator is
 * there, that one decides. What was false is taken back on a thread of its own, and comes again by
 * the coordinator: alone where no state was made from it, else by a rollback to below the lowest
 * such height. */
#include "core/sync/follow_inside.h"

#include <stdio.h>
#include <unistd.h>

#include "core/base/hash.h"
#include "core/base/trace.h"
#include "core/ingest/rollback.h"
#include "core/sync/doubt.h"

#define REQUEST_BIT   (UINT64_C(1) << 63) /* the coordinator counts from 1 */
#define HEIGHTS_MAX   64u
#define TIMEOUT_MS    30000u
#define AGAIN_MS      10000u /* until who could not answer is asked again */
#define WAIT_US       1000u
#define LOOK_AGAIN_MS 1000u /* until it is looked again who could */
#define SPANS_AT_ONCE 16u   /* that somebody is looked for */
#define REACH_FIRST   2048u /* heights that are doubted below a root that does not come out */
#define REACH_MAX     65536u

struct reach {
	uint64_t height; /* whose root it was */
	uint64_t heights;
};

struct question {         /* the request that is out */
	uint64_t request; /* 0: none */
	unsigned source;
	uint32_t shard;
	struct range range;
	uint64_t next; /* the lowest height that may come */
};

struct contest { /* one word against another */
	bool open;
	uint32_t shard;
	uint64_t height;
	uint64_t generation; /* of who says otherwise */
	uint32_t operator;
};

struct doubts {
	struct doubt *words;
	struct question out;
	struct contest contest;
	struct reach reach[SHARD_MAX];
	uint64_t request_last, look_ms;
	uint64_t not_before_ms[SYNC_SOURCES_MAX];
	struct gaps wrong[SHARD_MAX]; /* "held": heights whose contents are false */
	char reason[REASON_SIZE];     /* of the newest of them */

	pthread_t thread; /* while `taking` */
	bool taking;
	atomic_bool stop, ended;
	/* The thread's, until it has ended. */
	uint64_t cuts[SHARD_MAX]; /* UINT64_MAX: not cut */
	uint64_t blocks;
	int rc;
	struct err err;
};

int follow_doubt_new(struct follow *f)
{
	f->doubts = calloc(1, sizeof *f->doubts);
	if (f->doubts)
		f->doubts->words = doubt_new(f->shard_count);
	return f->doubts && f->doubts->words ? 0 : -ENOMEM;
}

/* ---- who gave what ---- */

const struct seat *follow_doubt_seat(const struct follow *f, uint64_t voice)
{
	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++)
		if (f->seats[i].used && f->seats[i].generation == voice)
			return &f->seats[i];
	return NULL;
}

static bool status_of(struct follow *f, unsigned source, struct sync_source_status *out)
{
	LOCKED(&f->follow_lock);
	return sync_source_status(f->sync, source, follow_now_ms(f), out);
}

static bool is_liar(struct follow *f, const struct seat *seat)
{
	struct sync_source_status status;

	return seat && status_of(f, seat->number, &status) && status.circuit == CIRCUIT_BANNED;
}

static bool any_false(const struct follow *f)
{
	for (uint32_t s = 0; s < f->shard_count; s++)
		if (f->doubts->wrong[s].held_count)
			return true;
	return false;
}

/* What others are told of it. */
static void count(struct follow *f)
{
	const struct doubts *d = f->doubts;
	uint64_t left = d->taking || any_false(f);

	for (uint32_t s = 0; s < f->shard_count; s++)
		left += doubt_left(d->words, s);
	LOCKED(&f->follow_lock);
	f->changed = f->changed || f->doubted != left;
	f->doubted = left;
}

void follow_doubt_gave(struct follow *f, const struct given *g)
{
	struct doubt *words = f->doubts->words;
	struct range r = { g->height, g->height + 1 };
	int rc = doubt_gave(words, g->shard, g->height, g->generation);

	/* It lied while this was on its way. */
	if (rc == 0 && is_liar(f, follow_doubt_seat(f, g->generation))) {
		rc = doubt_range(words, g->shard, r);
		f->doubts->look_ms = 0;
	}
	if (rc < 0) { /* it counts as nobody's */
		doubt_forget(words, g->shard, r);
		trace_debug("follow", "no memory for who gave a block", "network=%s",
			    network_name(f->env.network));
	}
}

uint64_t follow_doubt_giver(const struct follow *f, uint32_t shard, uint64_t height)
{
	return doubt_voice(f->doubts->words, shard, height);
}

void follow_doubt_lost(struct follow *f, uint32_t shard, uint64_t height)
{
	doubt_forget(f->doubts->words, shard, (struct range){ height, height + 1 });
}

void follow_doubt_liar(struct follow *f, unsigned source)
{
	doubt_all_of(f->doubts->words, f->seats[source].generation);
	f->doubts->look_ms = 0;
	count(f);
}

void follow_doubt_root(struct follow *f, uint32_t shard, uint64_t height)
{
	struct doubts *d = f->doubts;
	struct reach *reach = &d->reach[shard];
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);
	uint64_t begins = v->shards[shard].begins;

	if (doubt_left(d->words, shard) || d->taking)
		return;
	*reach =
		(struct reach){ height, reach->height == height ? MIN(8 * reach->heights, REACH_MAX)
								: REACH_FIRST };
	uint64_t first = height > reach->heights ? height - reach->heights : 1;
	struct range r = { MAX(first, begins + 1), height };

	if (r.first < r.end && doubt_range(d->words, shard, r) < 0)
		trace_warn("follow", "no memory for what is doubted", "network=%s",
			   network_name(f->env.network));
	d->look_ms = 0;
	count(f);
}

/* ---- a question ---- */

/* Who can be asked about a height: of another operator than who gave it, and than who says
 * otherwise; the one that is trusted most. NULL: nobody. */
static struct seat *choose(struct follow *f, uint32_t shard, uint64_t height, uint64_t voice,
			   const struct contest *c)
{
	const struct seat *giver = follow_doubt_seat(f, voice);
	struct sync_source_status status, by;
	struct seat *best = NULL;
	double score = 0;
	bool known = giver && status_of(f, giver->number, &by);

	for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++) {
		struct seat *seat = &f->seats[i];

		if (!seat->used || !seat->source || !seat->words.connected ||
		    follow_now_ms(f) < f->doubts->not_before_ms[i] || !status_of(f, i, &status) ||
		    status.circuit != CIRCUIT_CLOSED || status.score <= score ||
		    height < status.offers[shard].first || height >= status.offers[shard].end ||
		    (known && status.operator== by.operator) ||
		    (c->open && status.operator== c->operator))
			continue;
		best = seat;
		score = status.score;
	}
	return best;
}

static bool is_held(struct follow *f, uint32_t shard, uint64_t height, struct block_row *row)
{
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);

	return gaps_has(&v->shards[shard].gaps, height) &&
	       network_block(f->env.network, shard, height, row) == 1 && row->has_digest;
}

/* Of the doubted heights the uppermost that one answer may carry; what is not held is let go.
 * False: nothing is left of them. */
static bool shape(struct follow *f, uint32_t shard, struct doubt_span *span, uint64_t offered_from)
{
	uint64_t bytes = 0, end = span->range.end, h = end;
	struct block_row row;

	while (h > MAX(span->range.first, offered_from) && end - h < HEIGHTS_MAX) {
		if (!is_held(f, shard, h - 1, &row)) {
			follow_doubt_lost(f, shard, h - 1);
			if (h < end)
				break;
			end = h - 1;
		} else if (h < end &&
			   bytes + row.canonical_size > f->options.sync.bounds.bytes_max) {
			break;
		} else {
			bytes += row.canonical_size;
		}
		h--;
	}
	span->range = (struct range){ h, end };
	return h < end;
}

static bool ask(struct follow *f, uint32_t shard, struct doubt_span span)
{
	struct doubts *d = f->doubts;
	struct sync_source_status status;
	struct seat *seat = choose(f, shard, span.range.end - 1, span.voice, &d->contest);

	if (!seat || !status_of(f, seat->number, &status) ||
	    !shape(f, shard, &span, status.offers[shard].first))
		return false;
	uint64_t bytes_max = span.range.end - span.range.first == 1
				     ? (uint64_t)BLOCK_SIZE_MAX
				     : 2 * f->options.sync.bounds.bytes_max;

	d->out = (struct question){
		.request = ++d->request_last | REQUEST_BIT,
		.source = seat->number,
		.shard = shard,
		.range = span.range,
		.next = span.range.first,
	};
	seat->ops->fetch(seat->source, d->out.request, shard, span.range, bytes_max, TIMEOUT_MS);
	return true;
}

/* ---- an answer ---- */

static void fault_of(struct follow *f, unsigned source, enum fault_kind fault, const char *text)
{
	follow_enqueue(f,
		       &(struct sync_event){ .kind = SYNC_FAULT, .source = source, .fault = fault },
		       text);
}

static void compared(struct follow *f, uint32_t shard, uint64_t height)
{
	struct range r = { height, height + 1 };

	if (doubt_compared(f->doubts->words, shard, r) < 0)
		doubt_forget(f->doubts->words, shard, r);
}

/* What is held is not what the header's block carries. */
static void is_false(struct follow *f, uint32_t shard, uint64_t height, enum fault_kind fault,
		     const char *shown_by)
{
	struct doubts *d = f->doubts;
	const struct seat *giver = follow_doubt_seat(f, doubt_voice(d->words, shard, height));

	snprintf(d->reason, sizeof d->reason,
		 "shard %u height %" PRIu64
		 ": contents that are not those of its header, as %.40s showed",
		 shard, height, shown_by);
	trace_warn("follow", "the contents of a held block are false", "network=%s reason=\"%s\"",
		   network_name(f->env.network), d->reason);
	follow_event(f, "contents", "state=false shard=%u height=%" PRIu64 " giver=%s shown_by=%s",
		     shard, height, giver ? giver->entry.name : "-", shown_by);
	if (gaps_add(&d->wrong[shard], (struct range){ height, height + 1 }) == 0)
		compared(f, shard, height); /* else it stays doubted, and is asked for once more */
	if (giver && !is_liar(f, giver))
		fault_of(f, giver->number, fault, d->reason);
}

/* A third one had the same as we: who said otherwise is alone with it. */
static void contest_won(struct follow *f)
{
	struct contest *c = &f->doubts->contest;
	const struct seat *seat = follow_doubt_seat(f, c->generation);
	char text[REASON_SIZE];

	snprintf(text, sizeof text,
		 "shard %u height %" PRIu64 ": contents that two others do not have", c->shard,
		 c->height);
	if (seat)
		fault_of(f, seat->number, FAULT_PROTOCOL, text);
	c->open = false;
}

/* A third one does not have it either, which proves it; or there is none, and it may be
 * either's. */
static void contest_lost(struct follow *f, bool proved)
{
	struct contest *c = &f->doubts->contest;
	const struct seat *seat = follow_doubt_seat(f, c->generation);

	c->open = false;
	is_false(f, c->shard, c->height, proved ? FAULT_LIE : FAULT_PROTOCOL,
		 seat ? seat->entry.name : "another source");
}

static void end_question(struct follow *f, bool ask_others)
{
	struct doubts *d = f->doubts;

	if (ask_others)
		d->not_before_ms[d->out.source] = follow_now_ms(f) + AGAIN_MS;
	d->out.request = 0;
	d->look_ms = 0;
	f->env.wake(f->env.arg);
}

/* It is not heard further. */
static void break_off(struct follow *f, enum fault_kind fault, const char *text)
{
	struct seat *seat = &f->seats[f->doubts->out.source];

	seat->ops->cancel(seat->source, f->doubts->out.request);
	if (fault != FAULT_KIND_COUNT)
		fault_of(f, seat->number, fault, text);
	end_question(f, fault != FAULT_KIND_COUNT);
}

enum answer { SAME, OTHER, NO_ANSWER };

static enum answer compare(const struct follow *f, const struct block_row *row,
			   const struct chain_peek *peek, struct slice received, struct err *err)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	uint8_t digest[HASH_SIZE];
	int rc;

	if (!slice_eq(peek->hash, SLICE(row->hash, HASH_SIZE))) {
		err_set(err, -EBADMSG, "its hash is not that of the block which validators signed");
		return NO_ANSWER;
	}
	rc = network_ops(f->env.network)
		     ->split(received, row->shard == 0, &canonical, &certificate, err);
	if (rc < 0)
		return NO_ANSWER;
	hash_blake3(buf_slice(&canonical), digest);
	return memcmp(digest, row->digest, BLOCK_DIGEST_SIZE) == 0 ? SAME : OTHER;
}

bool follow_doubt_agrees(struct follow *f, const struct chain_peek *peek, struct slice received)
{
	struct err err = ERR_INIT;
	struct block_row row;

	return !is_held(f, peek->shard, peek->height, &row) ||
	       compare(f, &row, peek, received, &err) == SAME;
}

static void judge(struct follow *f, const struct seat *seat, const struct block_row *row,
		  enum answer answer)
{
	struct doubts *d = f->doubts;
	struct contest *c = &d->contest;
	uint64_t voice = doubt_voice(d->words, row->shard, row->height);
	bool contested = c->open && c->shard == row->shard && c->height == row->height;
	struct sync_source_status status;

	if (answer == SAME) {
		if (contested)
			contest_won(f);
		compared(f, row->shard, row->height);
	} else if (contested) {
		contest_lost(f, true);
	} else if (is_liar(f, follow_doubt_seat(f, voice)) ||
		   !status_of(f, seat->number, &status)) {
		is_false(f, row->shard, row->height, FAULT_LIE, seat->entry.name);
	} else {
		*c = (struct contest){ .open = true,
				       .shard = row->shard,
				       .height = row->height,
				       .generation = seat->generation,
				       .operator= status.operator, };
	}
}

bool follow_doubt_block(struct follow *f, const struct seat *seat, uint64_t request,
			struct slice received)
{
	struct question *q = &f->doubts->out;
	struct chain_peek peek = { 0 };
	struct err err = ERR_INIT;
	struct block_row row;

	if (!(request & REQUEST_BIT))
		return false;
	if (q->request != request || q->source != seat->number)
		return true;
	if (network_ops(f->env.network)->peek(received, q->shard == 0, &peek, &err) < 0) {
		break_off(f, FAULT_LIE, "what it gave is no block");
		return true;
	}
	if (peek.shard != q->shard || peek.height < q->next || peek.height >= q->range.end) {
		break_off(f, FAULT_PROTOCOL, "a block came that was not asked for");
		return true;
	}
	q->next = peek.height + 1;
	if (!is_held(f, q->shard, peek.height, &row)) {
		follow_doubt_lost(f, q->shard, peek.height);
		return true;
	}
	enum answer answer = compare(f, &row, &peek, received, &err);

	if (answer == NO_ANSWER) {
		break_off(f, FAULT_PROTOCOL, err_text(&err, -EBADMSG));
		return true;
	}
	judge(f, seat, &row, answer);
	if (f->doubts->contest.open) /* a third one is heard first */
		break_off(f, FAULT_KIND_COUNT, NULL);
	return true;
}

bool follow_doubt_over(struct follow *f, const struct seat *seat, uint64_t request,
		       enum fault_kind fault, const char *text)
{
	struct question *q = &f->doubts->out;

	if (!(request & REQUEST_BIT))
		return false;
	if (q->request != request || q->source != seat->number)
		return true;
	if (fault != FAULT_KIND_COUNT)
		fault_of(f, seat->number, fault, text);
	end_question(f, fault != FAULT_KIND_COUNT || q->next < q->range.end);
	follow_pump(f);
	return true;
}

void follow_doubt_gone(struct follow *f, unsigned source)
{
	struct doubts *d = f->doubts;

	if (d->out.request && d->out.source == source)
		end_question(f, false);
	d->not_before_ms[source] = 0;
}

/* ---- taken back ---- */

static uint64_t highest_held_below(const struct gaps *g, uint64_t height)
{
	size_t i = gaps_range_at(g, height - 1);

	if (i < g->held_count && g->held[i].first < height)
		return height - 1;
	return i ? g->held[i - 1].end - 1 : 0;
}

static struct rollback_options options_of(struct follow *f, uint32_t shard)
{
	return (struct rollback_options){
		.shard = shard,
		.reason = f->doubts->reason,
		.events = f->env.events,
		.gate = f->env.gate,
		.stop = &f->doubts->stop,
	};
}

/* What the state was made from takes all with it that was built upon it. */
static int roll_back(struct follow *f, uint32_t shard)
{
	struct doubts *d = f->doubts;
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);
	const struct shard_view *sv = &v->shards[shard];
	const struct gaps *wrong = &d->wrong[shard];
	size_t i = gaps_range_at(wrong, sv->begins + 1);
	struct rollback_options o = options_of(f, shard);
	struct rollback_result result;

	if (i == wrong->held_count)
		return 0;
	uint64_t lowest = MAX(wrong->held[i].first, sv->begins + 1);

	if (lowest > sv->replayed)
		return 0;
	o.height = shard ? lowest - 1 : highest_held_below(&sv->gaps, lowest);
	int rc = rollback(f->env.network, &o, &result, &d->err);

	for (uint32_t s = 0; rc == 0 && s < f->shard_count; s++)
		d->cuts[s] = MIN(d->cuts[s], result.heights[s]);
	d->blocks += rc == 0 ? result.blocks : 0;
	return rc;
}

/* The others go alone. */
static int let_go(struct follow *f, uint32_t shard)
{
	struct doubts *d = f->doubts;
	AUTO(gaps_release) struct gaps alone = GAPS_INIT;
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);
	const struct shard_view *sv = &v->shards[shard];
	struct rollback_options o = options_of(f, shard);
	struct rollback_result result;
	struct err err = ERR_INIT;
	int rc = gaps_copy(&alone, &d->wrong[shard]);

	if (rc == 0 && sv->replayed > sv->begins)
		rc = gaps_remove(&alone, (struct range){ sv->begins + 1, sv->replayed + 1 });
	if (rc == 0)
		rc = rollback_blocks(f->env.network, &o, &alone, &result, &err);
	if (rc == -EINVAL) /* a rollback took them, too */
		return 0;
	if (rc < 0)
		d->err = err;
	d->blocks += rc == 0 ? result.blocks : 0;
	return rc;
}

static void *take_back(void *arg)
{
	struct follow *f = arg;
	struct doubts *d = f->doubts;

	follow_stand_back(f);
	for (uint32_t s = 0; s < f->shard_count && d->rc == 0; s++)
		d->rc = roll_back(f, s);
	for (uint32_t s = 0; s < f->shard_count && d->rc != -EBUSY; s++) {
		int rc = let_go(f, s);

		d->rc = d->rc < 0 ? d->rc : rc;
	}
	/* First: what ingest takes from then on is not to be counted as lost with what is gone. */
	atomic_store(&d->ended, true);
	follow_go_on(f);
	return NULL;
}

static void begin_taking(struct follow *f)
{
	struct doubts *d = f->doubts;

	d->rc = 0;
	d->blocks = 0;
	d->err = (struct err)ERR_INIT;
	for (uint32_t s = 0; s < f->shard_count; s++)
		d->cuts[s] = UINT64_MAX;
	atomic_store(&d->ended, false);
	d->taking = pthread_create(&d->thread, NULL, take_back, f) == 0;
	if (!d->taking)
		d->look_ms = follow_now_ms(f) + LOOK_AGAIN_MS;
}

/* Nothing that was learnt of it counts. */
static void is_gone(struct follow *f, uint32_t shard, struct range r)
{
	doubt_forget(f->doubts->words, shard, r);
	follow_enqueue(f, &(struct sync_event){ .kind = SYNC_LOST, .shard = shard, .range = r },
		       NULL);
	f->doubts->reach[shard].height = 0;
}

/* What lies above the cuts is not held any more, nor is what went alone. */
static void forget_taken(struct follow *f)
{
	struct doubts *d = f->doubts;
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);

	for (uint32_t s = 0; s < f->shard_count; s++) {
		if (d->cuts[s] != UINT64_MAX)
			is_gone(f, s, (struct range){ d->cuts[s] + 1, UINT64_MAX });
		for (size_t i = 0; i < d->wrong[s].held_count; i++) {
			struct range r = d->wrong[s].held[i];

			for (uint64_t h = r.first; h < r.end; h++)
				if (h <= d->cuts[s] && !gaps_has(&v->shards[s].gaps, h))
					is_gone(f, s, (struct range){ h, h + 1 });
		}
	}
}

static void end_taking(struct follow *f)
{
	struct doubts *d = f->doubts;

	pthread_join(d->thread, NULL);
	d->taking = false;
	d->look_ms = 0;
	forget_taken(f);
	if (d->rc == -EBUSY) { /* somebody writes */
		d->look_ms = follow_now_ms(f) + LOOK_AGAIN_MS;
		return;
	}
	for (uint32_t s = 0; s < f->shard_count; s++)
		gaps_release(&d->wrong[s]);
	if (d->rc == 0) {
		follow_event(f, "contents", "state=taken-back blocks=%" PRIu64 " reason=\"%s\"",
			     d->blocks, d->reason);
		return;
	}
	trace_error("follow", "false contents cannot be taken back", "network=%s error=\"%s\"",
		    network_name(f->env.network), err_text(&d->err, d->rc));
	follow_event(f, "contents", "state=kept reason=\"%s\" error=\"%s\"", d->reason,
		     err_text(&d->err, d->rc));
}

/* ---- the loop's step ---- */

/* Who says otherwise is heard against who gave it. Without a third one what is held goes, since a
 * root that does not come out is what brought it up, and is asked for again. */
static bool ask_third(struct follow *f)
{
	struct doubts *d = f->doubts;
	struct contest *c = &d->contest;
	struct block_row row;
	struct doubt_span span = { .range = { c->height, c->height + 1 },
				   .voice = doubt_voice(d->words, c->shard, c->height) };

	if (ask(f, c->shard, span))
		return true;
	if (is_held(f, c->shard, c->height, &row))
		contest_lost(f, false);
	c->open = false;
	return false;
}

static bool ask_next(struct follow *f)
{
	struct doubt_span span;

	if (f->doubts->contest.open && ask_third(f))
		return true;
	for (uint32_t s = 0; s < f->shard_count; s++) {
		uint64_t below = UINT64_MAX;

		for (unsigned i = 0; i < SPANS_AT_ONCE; i++) {
			if (!doubt_next(f->doubts->words, s, below, &span))
				break;
			below = span.range.first;
			if (ask(f, s, span))
				return true;
		}
	}
	return false;
}

void follow_doubt_tend(struct follow *f)
{
	struct doubts *d = f->doubts;

	if (d->taking && atomic_load(&d->ended))
		end_taking(f);
	if (d->taking || d->out.request || follow_now_ms(f) < d->look_ms)
		return;
	d->look_ms = UINT64_MAX;
	if (!ask_next(f) && any_false(f))
		begin_taking(f);
	count(f);
	if (!d->out.request && !d->taking && f->doubted)
		d->look_ms = MIN(d->look_ms, follow_now_ms(f) + LOOK_AGAIN_MS);
}

uint64_t follow_doubt_due(const struct follow *f)
{
	const struct doubts *d = f->doubts;

	return d->taking || d->out.request ? UINT64_MAX : d->look_ms;
}

void follow_doubt_release(struct follow *f)
{
	struct doubts *d = f->doubts;

	if (!d)
		return;
	atomic_store(&d->stop, true);
	while (d->taking && !atomic_load(&d->ended)) { /* it may wait for our ingest */
		follow_ingest_tend(f, follow_now_ms(f));
		usleep(WAIT_US);
	}
	if (d->taking)
		pthread_join(d->thread, NULL);
	doubt_freep(&d->words);
	for (uint32_t s = 0; s < f->shard_count; s++)
		gaps_release(&d->wrong[s]);
	free(TAKE(f->doubts));
}
