#include "core/sync/sight.h"

#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"

static int by_name(const void *a, const void *b)
{
	const struct follow_source_sight *x = a, *y = b;

	return strcmp(x->entry.name, y->entry.name);
}

static int take_sources(struct follow *f, struct sight *out)
{
	unsigned from = 0;

	out->sources = calloc(SYNC_SOURCES_MAX, sizeof *out->sources);
	if (!out->sources)
		return -ENOMEM;
	while (out->source_count < SYNC_SOURCES_MAX && from < SYNC_SOURCES_MAX &&
	       follow_source_sight(f, from, &out->sources[out->source_count]))
		from = out->sources[out->source_count++].number + 1;
	struct follow_source_sight *fitted =
		realloc(out->sources, MAX(out->source_count, 1u) * sizeof *fitted);

	out->sources = fitted ? fitted : out->sources;
	qsort(out->sources, out->source_count, sizeof *out->sources, by_name);
	return 0;
}

int sight_take(struct follows *l, const struct network *n, struct sight *out)
{
	struct timespec now;
	struct follow *f = l ? follows_get(l, n) : NULL;

	*out = (struct sight){ .unix_ms = 0 };
	if (!f)
		return 0;
	clock_gettime(CLOCK_REALTIME, &now);
	out->unix_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	follow_sight(f, &out->all);
	int rc = take_sources(f, out);

	follows_put(l, &f);
	for (enum tier t = 0; t < TIER_COUNT; t++)
		out->tiers[t] = tier_read(t);
	return rc < 0 ? rc : 1;
}

void sight_release(struct sight *s)
{
	free(s->sources);
	*s = (struct sight){ .unix_ms = 0 };
}

unsigned sight_connected(const struct sight *s)
{
	unsigned count = 0;

	for (size_t i = 0; i < s->source_count; i++)
		count += s->sources[i].words.connected;
	return count;
}

const struct follow_source_sight *sight_source(const struct sight *s, const char *name)
{
	for (size_t i = 0; i < s->source_count; i++)
		if (strcmp(s->sources[i].entry.name, name) == 0)
			return &s->sources[i];
	return NULL;
}

uint64_t sight_unix_s(uint64_t unix_ms, uint64_t now_ms, uint64_t time_ms)
{
	return (unix_ms + time_ms - now_ms) / 1000;
}

uint64_t sight_names(const struct sight *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < s->source_count; i++)
		for (const char *p = s->sources[i].entry.name;; p++) {
			h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
			if (!*p)
				break;
		}
	return h;
}

uint64_t sight_head(const struct follow_shard_sight *s)
{
	return MAX(s->sync.head, s->sync.tip);
}

/* ---- words ---- */

static void because(const char *reason, struct buf *out)
{
	if (reason[0])
		buf_fmt(out, ": %s", reason);
}

static void date(uint64_t unix_s, struct buf *out)
{
	char text[TIME_TEXT_SIZE];

	time_text(unix_s, text);
	buf_str(out, text);
}

void sight_source_state(const struct sight *s, const struct follow_source_sight *of,
			struct buf *out)
{
	const struct sync_source_status *y = &of->sync;
	uint64_t left_ms = y->until_ms > of->now_ms ? y->until_ms - of->now_ms : 0;

	switch (y->circuit) {
	case CIRCUIT_BANNED:
		buf_str(out, "banned until ");
		date(sight_unix_s(s->unix_ms, of->now_ms, y->until_ms), out);
		because(y->detail.reason, out);
		return;
	case CIRCUIT_OPEN:
		buf_fmt(out, "open %" PRIu64 " s", (left_ms + 999) / 1000);
		because(y->detail.reason, out);
		return;
	case CIRCUIT_HALF_OPEN:
		buf_fmt(out, "%s, on trial", of->words.connected ? "connected" : "connecting");
		because(y->detail.reason, out);
		return;
	default:
		buf_str(out, of->words.connected ? "connected" : "connecting");
	}
}

static const char *name_of(const struct sight *s, unsigned number)
{
	for (size_t i = 0; i < s->source_count; i++)
		if (s->sources[i].number == number)
			return s->sources[i].entry.name;
	return "a source that was removed";
}

void sight_claim_words(const struct sight *s, const struct sight_claim *c, struct buf *out)
{
	const struct sync_claim *k = &c->claim;

	if (k->asked) {
		buf_fmt(out, "asked %s until ", name_of(s, k->source));
		date(sight_unix_s(c->unix_ms, c->now_ms, k->until_ms), out);
	} else if (k->checking) {
		buf_str(out, "checking");
	} else if (k->next_try_ms > c->now_ms) {
		buf_str(out, "resting until ");
		date(sight_unix_s(c->unix_ms, c->now_ms, k->next_try_ms), out);
	} else {
		buf_str(out, k->offered ? "waiting" : "not offered");
	}
}

const char *sight_duration(uint64_t seconds, char out[SIGHT_TIME_SIZE])
{
	if (seconds == UINT64_MAX)
		snprintf(out, SIGHT_TIME_SIZE, "-");
	else if (seconds < 120)
		snprintf(out, SIGHT_TIME_SIZE, "%" PRIu64 " s", seconds);
	else if (seconds < 120 * 60)
		snprintf(out, SIGHT_TIME_SIZE, "%" PRIu64 " min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(out, SIGHT_TIME_SIZE, "%.1f h", (double)seconds / 3600);
	else
		snprintf(out, SIGHT_TIME_SIZE, "%.1f d", (double)seconds / 86400);
	return out;
}

double sight_percent(const struct tier_counts *t)
{
	uint64_t asked = t->hits + t->misses;

	return asked ? 100.0 * (double)t->hits / (double)asked : 0;
}
