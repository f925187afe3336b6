/* What `chainfs status` tells of following. */
#include "core/control/verb_status.h"

#include <stdio.h>

static void lane_text(struct verb_call *c, const struct follow_shard_sight *s, enum lane lane)
{
	const struct follow_rate *r = &s->lane[lane];
	char eta[SIGHT_TIME_SIZE];

	verb_print(c, "  %-8s %" PRIu64 " heights left, %.1f a second, %.0f bytes a second, %s\n",
		   lane_names[lane], s->sync.missing[lane], r->heights_s, r->bytes_s,
		   s->sync.missing[lane] ? sight_duration(r->eta_s, eta) :
		   sight_head(s)         ? "done" :
					   "no source has told its head");
}

static void source_text(struct verb_call *c, const struct sight *s,
			const struct follow_source_sight *of)
{
	AUTO(buf_release) struct buf state = BUF_INIT(1024);

	sight_source_state(s, of, &state);
	buf_u8(&state, 0);
	verb_print(c, "source %s of %s at %s: %s\n", of->entry.name,
		   of->entry.operator_name[0] ? of->entry.operator_name : "nobody else",
		   of->entry.url, buf_done(&state) == 0 ? (const char *)state.p : "");
}

void status_sync_text(struct verb_call *c, const struct sight *s)
{
	const struct follow_sight *a = &s->all;

	verb_print(c, "\nfollowed: %u of %zu sources connected%s%s\n", sight_connected(s),
		   s->source_count, a->paused ? ", backward is off" : "",
		   a->gate_closed ? ", imports are held" : "");
	if (a->stopped[0])
		verb_print(c, "stopped: %s\n", a->stopped);
	if (a->cap)
		verb_print(c, "cap %" PRIu64 " bytes a second\n", a->cap);
	for (uint32_t k = 0; k < a->shard_count; k++) {
		const struct follow_shard_sight *y = &a->shards[k];

		verb_print(c,
			   "shard %" PRIu32 "\n  head     %" PRIu64 ", lag %" PRIu64
			   " heights, %.1f s; confirmed %" PRIu64 "\n",
			   k, sight_head(y), y->lag, (double)y->lag_ms / 1000, y->sync.confirmed);
		for (enum lane lane = 0; lane < LANE_COUNT; lane++)
			lane_text(c, y, lane);
	}
	for (size_t i = 0; i < s->source_count; i++)
		source_text(c, s, &s->sources[i]);
}

/* ---- JSON: members in the order of their names ---- */

static void lane_json(const char *name, const struct follow_rate *r, uint64_t missing,
		      struct json *j)
{
	json_object(j, name);
	json_u64(j, "bytes_s", (uint64_t)r->bytes_s);
	if (r->eta_s != UINT64_MAX)
		json_u64(j, "eta_s", r->eta_s);
	json_u64(j, "heights_s", (uint64_t)r->heights_s);
	json_u64(j, "missing", missing);
	json_end(j);
}

static void shard_json(uint32_t shard, const struct follow_shard_sight *y, struct json *j)
{
	json_object(j, NULL);
	lane_json("backward", &y->lane[LANE_BACKWARD], y->sync.missing[LANE_BACKWARD], j);
	json_u64(j, "base", y->sync.base);
	json_u64(j, "confirmed", y->sync.confirmed);
	lane_json("forward", &y->lane[LANE_FORWARD], y->sync.missing[LANE_FORWARD], j);
	json_u64(j, "head", sight_head(y));
	json_u64(j, "lag", y->lag);
	json_u64(j, "lag_ms", y->lag_ms);
	json_u64(j, "shard", shard);
	json_end(j);
}

static void source_json(const struct sight *s, const struct follow_source_sight *of, struct json *j)
{
	AUTO(buf_release) struct buf state = BUF_INIT(1024);
	char score[16];

	sight_source_state(s, of, &state);
	buf_u8(&state, 0);
	snprintf(score, sizeof score, "%.3f", of->sync.score);
	json_object(j, NULL);
	json_str(j, "address", of->entry.url);
	json_bool(j, "banned", of->sync.circuit == CIRCUIT_BANNED);
	json_u64(j, "bytes", of->sync.bytes);
	json_bool(j, "connected", of->words.connected);
	json_u64(j, "heights", of->sync.heights);
	json_str(j, "last_error", of->sync.detail.reason);
	json_str(j, "name", of->entry.name);
	json_str(j, "operator", of->entry.operator_name);
	json_u64(j, "requests", of->sync.requests);
	json_str(j, "score", score);
	json_str(j, "status", buf_done(&state) == 0 ? (const char *)state.p : "");
	json_str(j, "version", of->words.version);
	json_end(j);
}

void status_sync_json(const struct sight *s, struct json *j)
{
	const struct follow_sight *a = &s->all;

	json_object(j, "sync");
	json_bool(j, "backward_paused", a->paused);
	json_u64(j, "bytes_out", a->sync.bytes_out);
	json_u64(j, "cap", a->cap);
	json_u64(j, "connected", sight_connected(s));
	json_u64(j, "doubted", a->doubted);
	json_u64(j, "fetched_twice", a->fetched_twice);
	json_array(j, "shards");
	for (uint32_t k = 0; k < a->shard_count; k++)
		shard_json(k, &a->shards[k], j);
	json_end(j);
	json_array(j, "sources");
	for (size_t i = 0; i < s->source_count; i++)
		source_json(s, &s->sources[i], j);
	json_end(j);
	json_str(j, "stopped", a->stopped);
	json_u64(j, "tip_latency_us_p50", a->latency_us[0]);
	json_u64(j, "tip_latency_us_p99", a->latency_us[1]);
	json_end(j);
}

void status_caches_json(struct json *j)
{
	static const enum tier order[] = { TIER_BLOCKS, TIER_RENDERINGS, TIER_ROWS };

	static_assert(ARRAY_LEN(order) == TIER_COUNT, "a tier that is not told");
	json_object(j, "caches");
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		struct tier_counts counts = tier_read(order[i]);

		json_object(j, tier_names[order[i]]);
		json_u64(j, "hits", counts.hits);
		json_u64(j, "misses", counts.misses);
		json_end(j);
	}
	json_end(j);
}
