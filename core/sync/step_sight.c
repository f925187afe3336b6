/* What the coordinator tells of itself. */
#include "core/sync/step_inside.h"

#include <stdio.h>

static uint64_t missing_in(const struct gaps *g, struct range in)
{
	uint64_t held = 0;

	for (size_t i = gaps_range_at(g, in.first); i < g->held_count; i++) {
		struct range r = { MAX(g->held[i].first, in.first), MIN(g->held[i].end, in.end) };

		if (g->held[i].first >= in.end)
			break;
		held += r.end - r.first;
	}
	return in.end > in.first ? in.end - in.first - held : 0;
}

void sync_shard_status(const struct sync *s, uint32_t shard, struct sync_shard_status *out)
{
	const struct shard *sh = &s->shards[shard];

	*out = (struct sync_shard_status){
		.base = sh->base,
		.head = sh->head,
		.tip = sh->tip,
		.confirmed = sh->confirmed,
	};
	if (!sh->base)
		return;
	out->missing[LANE_FORWARD] =
		missing_in(&sh->held, (struct range){ sh->base, sh->head + 1 });
	out->missing[LANE_BACKWARD] = missing_in(&sh->held, (struct range){ 1, sh->base });
}

void sync_status(const struct sync *s, struct sync_status *out)
{
	*out = (struct sync_status){ .paused = s->paused };
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++)
		if (s->requests[i].id) {
			out->bytes_out += s->requests[i].bytes;
			out->requests[s->requests[i].lane]++;
		}
	for (size_t i = 0; i < s->arrived_count; i++)
		out->bytes_out += s->arrived[i].bytes;
	memcpy(out->bytes, s->bytes, sizeof out->bytes);
	memcpy(out->heights, s->heights, sizeof out->heights);
}

bool sync_source_status(const struct sync *s, unsigned source, uint64_t now_ms,
			struct sync_source_status *out)
{
	const struct sync_source *src = &s->sources[source];
	enum circuit circuit = score_circuit(&src->score, now_ms);

	if (source >= SYNC_SOURCES_MAX || !src->there)
		return false;
	*out = (struct sync_source_status){
		.operator= src->operator,
		.score = score_value(&src->score, now_ms),
		.circuit = circuit,
		.until_ms = circuit == CIRCUIT_BANNED ? src->score.banned_until_ms
						      : src->score.open_until_ms,
		.requests = src->requests,
		.heights = src->heights,
		.bytes = src->bytes,
		.rate = src->rate,
		.detail = src->score,
	};
	memcpy(out->offers, src->offers, sizeof out->offers);
	return true;
}

void sync_claim(const struct sync *s, uint32_t shard, uint64_t height, struct sync_claim *out)
{
	*out = (struct sync_claim){ .asked = false };
	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		const struct request *r = &s->requests[i];

		if (!r->id || r->tip_check || r->shard != shard || !range_has(r->range, height))
			continue;
		out->asked = true;
		out->source = r->source;
		out->until_ms = r->deadline_ms;
	}
	for (size_t i = 0; i < s->arrived_count; i++)
		if (s->arrived[i].shard == shard && range_has(s->arrived[i].range, height)) {
			out->checking = true;
			out->source = s->arrived[i].source;
		}
	for (size_t i = 0; i < s->rest_count; i++) {
		const struct rest *r = &s->rests[i];

		if (r->shard != shard || !range_has(r->range, height))
			continue;
		out->tries = r->tries;
		out->next_try_ms = r->until_ms > s->now_ms ? r->until_ms : 0;
		snprintf(out->error, sizeof out->error, "%s", r->error);
	}
	for (size_t i = 0; i < SYNC_SOURCES_MAX; i++)
		out->offered = out->offered || (s->sources[i].there &&
						range_has(s->sources[i].offers[shard], height));
}

const struct gaps *sync_held(const struct sync *s, uint32_t shard)
{
	return &s->shards[shard].held;
}
