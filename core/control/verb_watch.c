/* chainfs status --watch: what a daemon is doing, once a second: bars on a terminal, a line
 * else. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/control/verb.h"
#include "core/control/verb_status.h"
#include "core/store/network.h"
#include "core/sync/sight.h"

#define SCREEN_SIZE_MAX (1u << 20)
#define LOOK_MS         50u /* between two looks at whether somebody gave up */
#define PERIOD_MS       1000u
#define BAR_MAX         60u

#define HOME  "\033[H" /* to the top, */
#define END   "\033[K" /* nothing behind a line, */
#define BELOW "\033[J" /* and nothing below the last one */

static void bar(double share, unsigned width, struct buf *out)
{
	unsigned full = (unsigned)((double)width * MIN(MAX(share, 0), 1));

	buf_u8(out, '[');
	for (unsigned i = 0; i < width; i++)
		buf_u8(out, i < full ? '#' : '.');
	buf_u8(out, ']');
}

/* Every line is cut at the width: a longer one would wrap, and the next screen stand askew. */
static void end_line(struct buf *out, size_t start, unsigned columns)
{
	if (out->n - start > columns)
		out->n = start + columns;
	buf_str(out, END "\n");
}

static const char *amount(double bytes, char text[32])
{
	static const char units[] = " kMGT";
	size_t unit = 0;

	for (; bytes >= 1024 && units[unit + 1]; unit++)
		bytes /= 1024;
	snprintf(text, 32, "%.1f %s%cB/s", bytes, "", units[unit]);
	return text;
}

/* How much of the lane's part is held: forward of what is above its base, backward of what lies
 * below it. */
static double held_share(const struct follow_shard_sight *s, enum lane lane)
{
	uint64_t base = s->sync.base, all = base ? base - 1 : 0, missing = s->sync.missing[lane];

	if (lane == LANE_FORWARD)
		all = sight_head(s) >= base ? sight_head(s) - base + 1 : 0;
	return all ? 1 - (double)MIN(missing, all) / (double)all : 1;
}

static void lane_bar(const struct follow_shard_sight *s, uint32_t shard, enum lane lane,
		     unsigned columns, struct buf *out)
{
	const struct follow_rate *r = &s->lane[lane];
	char eta[SIGHT_TIME_SIZE], rate[32];
	size_t start = out->n;

	buf_fmt(out, "%5" PRIu32 " %-8s ", shard, lane_names[lane]);
	bar(held_share(s, lane), MIN(BAR_MAX, columns > 80 ? columns - 60 : 20), out);
	buf_fmt(out, " %5.1f%% %" PRIu64 " left, %.0f/s, %s, %s", 100 * held_share(s, lane),
		s->sync.missing[lane], r->heights_s, amount(r->bytes_s, rate),
		sight_duration(r->eta_s, eta));
	end_line(out, start, columns);
}

static void source_line(const struct sight *s, const struct follow_source_sight *of,
			unsigned columns, struct buf *out)
{
	size_t start = out->n;

	buf_fmt(out, "%-24.24s score %.2f, %u out, %" PRIu64 " blocks, ", of->entry.name,
		of->sync.score, of->sync.requests, of->sync.heights);
	sight_source_state(s, of, out);
	end_line(out, start, columns);
}

static void screen_of(const struct view *v, const struct sight *s, unsigned columns,
		      struct buf *out)
{
	size_t start = out->n;

	buf_fmt(out, "%s: %u of %zu sources connected%s%s%s", network_name(v->network),
		sight_connected(s), s->source_count, s->all.paused ? ", backward off" : "",
		s->all.gate_closed ? ", imports held" : "", s->all.stopped[0] ? ", stopped: " : "");
	buf_str(out, s->all.stopped);
	end_line(out, start, columns);
	for (uint32_t k = 0; k < s->all.shard_count; k++) {
		const struct follow_shard_sight *y = &s->all.shards[k];

		start = out->n;
		buf_fmt(out,
			"shard %" PRIu32 ": held to %" PRIu64 " of %" PRIu64 ", lag %" PRIu64
			" (%.1f s), replayed %" PRIu64 ", confirmed %" PRIu64,
			k, v->shards[k].tip, sight_head(y), y->lag, (double)y->lag_ms / 1000,
			v->shards[k].replayed, y->sync.confirmed);
		end_line(out, start, columns);
		for (enum lane lane = 0; lane < LANE_COUNT; lane++)
			lane_bar(y, k, lane, columns, out);
	}
	for (size_t i = 0; i < s->source_count; i++)
		source_line(s, &s->sources[i], columns, out);
	start = out->n;
	buf_str(out, "caches:");
	for (enum tier t = 0; t < TIER_COUNT; t++)
		buf_fmt(out, " %s %.1f%%", tier_names[t], sight_percent(&s->tiers[t]));
	end_line(out, start, columns);
}

/* time network shard held head lag forward-left backward-left heights/s connected/sources */
static void lines_of(const struct view *v, const struct sight *s, struct buf *out)
{
	char time[TIME_TEXT_SIZE];

	time_text(s->unix_ms / 1000, time);
	buf_fmt(out, "%s %s connected=%u/%zu", time, network_name(v->network), sight_connected(s),
		s->source_count);
	for (uint32_t k = 0; k < s->all.shard_count; k++) {
		const struct follow_shard_sight *y = &s->all.shards[k];

		buf_fmt(out,
			" shard=%" PRIu32 " held=%" PRIu64 " head=%" PRIu64 " lag=%" PRIu64
			" forward=%" PRIu64 " backward=%" PRIu64 " heights_s=%.1f",
			k, v->shards[k].tip, sight_head(y), y->lag, y->sync.missing[LANE_FORWARD],
			y->sync.missing[LANE_BACKWARD],
			y->lane[LANE_FORWARD].heights_s + y->lane[LANE_BACKWARD].heights_s);
	}
	buf_u8(out, '\n');
}

static void nobody_follows(const struct view *v, unsigned columns, struct buf *out)
{
	size_t start = out->n;
	char time[TIME_TEXT_SIZE];

	time_text(clock_unix_s(), time);
	buf_fmt(out, "%s %s held=%" PRIu64 ": nobody follows it", time, network_name(v->network),
		v->shards[0].tip);
	if (columns)
		end_line(out, start, columns);
	else
		buf_u8(out, '\n');
}

static int one_look(struct verb_call *c, const struct network *only, struct buf *out)
{
	unsigned columns = c->io->columns;

	if (columns)
		buf_str(out, HOME);
	for (size_t i = 0; i < store_network_count(c->store); i++) {
		struct network *n = store_network_at(c->store, i);

		if (only && n != only)
			continue;
		AUTO(view_putp) struct view *v = network_view_get(n);
		AUTO(sight_release) struct sight s;
		int rc = sight_take(c->follows, n, &s);

		if (rc < 0)
			return rc;
		if (rc == 0)
			nobody_follows(v, columns, out);
		else if (columns)
			screen_of(v, &s, columns, out);
		else
			lines_of(v, &s, out);
	}
	if (columns)
		buf_str(out, BELOW);
	return buf_done(out);
}

int verb_status_watch(struct verb_call *c, const struct network *only)
{
	struct err err = ERR_INIT;
	struct timespec pause = { .tv_nsec = LOOK_MS * 1000000 };

	if (!c->env) {
		err_set(&err, -ENODATA, "no daemon holds %s: nothing happens to it",
			store_path(c->store));
		return verb_fail(c, -ENODATA, &err);
	}
	if (c->io->columns)
		verb_print(c, "\033[2J");
	for (;;) {
		AUTO(buf_release) struct buf out = BUF_INIT(SCREEN_SIZE_MAX);
		uint64_t due = clock_mono_ms() + PERIOD_MS;
		int rc = one_look(c, only, &out);

		if (rc < 0)
			return verb_fail(c, rc, NULL);
		verb_write(c, buf_slice(&out));
		while (!verb_stopped(c) && clock_mono_ms() < due)
			nanosleep(&pause, NULL);
		if (verb_stopped(c))
			return EXIT_DONE;
	}
}
