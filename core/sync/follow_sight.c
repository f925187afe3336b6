/* What is told of a follower, to any thread. */
#include "core/sync/follow_inside.h"

#include <math.h>
#include <stdio.h>

#include "core/base/clock.h"

#define RATE_HALF_LIFE_MS 5000.0

/* ---- rates ---- */

static double left_of(const struct meter *m, uint64_t now_ms)
{
	return m->at_ms && now_ms > m->at_ms
		       ? exp2(-(double)(now_ms - m->at_ms) / RATE_HALF_LIFE_MS)
		       : 1;
}

void follow_meter(struct follow *f, uint32_t shard, enum lane lane, uint64_t heights,
		  uint64_t bytes, uint64_t now_ms)
{
	struct meter *m = &f->meters[shard][lane];
	LOCKED(&f->follow_lock);
	double left = left_of(m, now_ms);

	m->heights = m->heights * left + (double)heights;
	m->bytes = m->bytes * left + (double)bytes;
	m->at_ms = now_ms;
}

void follow_latency(struct follow *f, uint64_t us)
{
	LOCKED(&f->follow_lock);
	f->latencies[f->latency_count++ % LATENCIES_MAX] = (uint32_t)MIN(us, UINT32_MAX);
}

/* What a steady flow leaves in a meter is its rate times the mean life of a count there. */
static void rate_of(const struct meter *m, uint64_t missing, uint64_t now_ms,
		    struct follow_rate *out)
{
	double left = left_of(m, now_ms), life_s = RATE_HALF_LIFE_MS / 1000 / M_LN2;

	*out = (struct follow_rate){
		.heights_s = m->heights * left / life_s,
		.bytes_s = m->bytes * left / life_s,
		.left = missing,
		.eta_s = missing ? UINT64_MAX : 0,
	};
	if (missing && out->heights_s > 0.01)
		out->eta_s = (uint64_t)((double)missing / out->heights_s);
}

static int compare_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* ---- all of it ---- */

static void shard_sight(struct follow *f, uint32_t shard, const struct view *v, uint64_t now_ms,
			struct follow_shard_sight *out)
{
	const struct shard_view *sv = &v->shards[shard];
	uint64_t unix_s = clock_unix_s();

	sync_shard_status(f->sync, shard, &out->sync);
	out->lag = out->sync.head > sv->tip ? out->sync.head - sv->tip : 0;
	out->lag_ms =
		out->lag && sv->tip && unix_s > sv->tip_time ? (unix_s - sv->tip_time) * 1000 : 0;
	for (int l = 0; l < LANE_COUNT; l++)
		rate_of(&f->meters[shard][l], out->sync.missing[l], now_ms, &out->lane[l]);
}

void follow_sight(struct follow *f, struct follow_sight *out)
{
	AUTO(view_putp) struct view *v = network_view_get(f->env.network);
	uint64_t now_ms = follow_now_ms(f);
	uint32_t list[LATENCIES_MAX];
	size_t count;

	*out = (struct follow_sight){ .shard_count = f->shard_count };
	out->gate_closed = gate_closing(f->env.gate);
	{
		LOCKED(&f->follow_lock);
		out->paused = f->paused;
		out->cap = f->cap;
		snprintf(out->stopped, sizeof out->stopped, "%s", f->stopped);
		sync_status(f->sync, &out->sync);
		for (uint32_t s = 0; s < f->shard_count; s++)
			shard_sight(f, s, v, now_ms, &out->shards[s]);
		for (unsigned i = 0; i < SYNC_SOURCES_MAX; i++)
			out->source_count += f->seats[i].used;
		out->fetched_twice = f->fetched_twice;
		out->doubted = f->doubted;
		count = (size_t)MIN(f->latency_count, LATENCIES_MAX);
		memcpy(list, f->latencies, count * sizeof *list);
	}
	if (!count)
		return;
	qsort(list, count, sizeof *list, compare_u32);
	out->latency_us[0] = list[count / 2];
	out->latency_us[1] = list[MIN(count - 1, count * 99 / 100)];
}

bool follow_source_sight(struct follow *f, unsigned from, struct follow_source_sight *out)
{
	uint64_t now_ms = follow_now_ms(f);

	LOCKED(&f->follow_lock);
	for (unsigned i = from; i < SYNC_SOURCES_MAX; i++) {
		const struct seat *seat = &f->seats[i];

		if (!seat->used)
			continue;
		*out = (struct follow_source_sight){
			.number = i,
			.entry = seat->entry,
			.words = seat->words,
			.now_ms = now_ms,
		};
		if (!sync_source_status(f->sync, i, now_ms, &out->sync))
			out->sync.score = 1;
		return true;
	}
	return false;
}

void follow_claim(struct follow *f, uint32_t shard, uint64_t height, struct sync_claim *out,
		  uint64_t *now_ms)
{
	*out = (struct sync_claim){ .asked = false };
	*now_ms = follow_now_ms(f);
	if (shard >= f->shard_count)
		return;
	LOCKED(&f->follow_lock);
	sync_claim(f->sync, shard, height, out);
}
