#include "core/control/metrics_sync.h"

#include "core/sync/sight.h"

enum per { PER_NETWORK, PER_LANE, PER_SHARD, PER_SHARD_LANE, PER_SOURCE, PER_FAULT, PER_QUANTILE };

/* Which one of what a metric counts. */
struct place {
	const struct follow_sight *all;
	const struct follow_shard_sight *shard;
	const struct follow_source_sight *source;
	unsigned part; /* lane, kind of fault, quantile */
};

#define METRIC(name, expression)                  \
	static double name(const struct place *p) \
	{                                         \
		return (double)(expression);      \
	}
METRIC(paused, p->all->paused)
METRIC(cap, p->all->cap)
METRIC(stopped, p->all->stopped[0] != '\0')
METRIC(bytes_out, p->all->sync.bytes_out)
METRIC(doubted, p->all->doubted)
METRIC(fetched_twice, p->all->fetched_twice)
METRIC(latency, (double)p->all->latency_us[p->part] / 1e6)
METRIC(lane_bytes, p->all->sync.bytes[p->part])
METRIC(lane_heights, p->all->sync.heights[p->part])
METRIC(lane_requests, p->all->sync.requests[p->part])
METRIC(head, sight_head(p->shard))
METRIC(confirmed, p->shard->sync.confirmed)
METRIC(lag, p->shard->lag)
METRIC(lag_seconds, (double)p->shard->lag_ms / 1000)
METRIC(missing, p->shard->sync.missing[p->part])
METRIC(heights_rate, p->shard->lane[p->part].heights_s)
METRIC(bytes_rate, p->shard->lane[p->part].bytes_s)
METRIC(source_connected, p->source->words.connected)
METRIC(source_score, p->source->sync.score)
METRIC(source_banned, p->source->sync.circuit == CIRCUIT_BANNED)
METRIC(source_requests, p->source->sync.requests)
METRIC(source_bytes, p->source->sync.bytes)
METRIC(source_heights, p->source->sync.heights)
METRIC(source_faults, p->source->sync.detail.faults[p->part])

static const struct {
	const char *name, *type, *help;
	enum per per;
	double (*value)(const struct place *p);
} rows[] = {
	{ "chainfs_sync_head", "gauge", "Highest height that any source offers.", PER_SHARD, head },
	{ "chainfs_sync_confirmed", "gauge",
	  "Highest height that sources of several operators have with our hash.", PER_SHARD,
	  confirmed },
	{ "chainfs_sync_lag_heights", "gauge", "Heights from what is held to the head.", PER_SHARD,
	  lag },
	{ "chainfs_sync_lag_seconds", "gauge",
	  "Age of the newest block held while sources offer a newer one.", PER_SHARD, lag_seconds },
	{ "chainfs_sync_heights_missing", "gauge", "Heights that the lane has to fetch.",
	  PER_SHARD_LANE, missing },
	{ "chainfs_sync_rate_heights", "gauge", "Heights a second that the lane fetches.",
	  PER_SHARD_LANE, heights_rate },
	{ "chainfs_sync_rate_bytes", "gauge", "Bytes a second that the lane fetches.",
	  PER_SHARD_LANE, bytes_rate },
	{ "chainfs_sync_bytes_total", "counter", "Bytes of blocks that came.", PER_LANE,
	  lane_bytes },
	{ "chainfs_sync_heights_total", "counter", "Blocks that came.", PER_LANE, lane_heights },
	{ "chainfs_sync_requests", "gauge", "Requests that are out.", PER_LANE, lane_requests },
	{ "chainfs_sync_outstanding_bytes", "gauge", "Bytes asked for or not checked yet.",
	  PER_NETWORK, bytes_out },
	{ "chainfs_sync_doubted_heights", "gauge",
	  "Heights whose contents are compared with another source's, or taken back.", PER_NETWORK,
	  doubted },
	{ "chainfs_sync_fetched_twice_total", "counter", "Blocks that came and were held already.",
	  PER_NETWORK, fetched_twice },
	{ "chainfs_sync_backward_paused", "gauge", "1 while history is not fetched.", PER_NETWORK,
	  paused },
	{ "chainfs_sync_cap_bytes", "gauge", "Bytes a second that following may take; 0: no bound.",
	  PER_NETWORK, cap },
	{ "chainfs_sync_stopped", "gauge", "1 while blocks that come cannot be taken.", PER_NETWORK,
	  stopped },
	{ "chainfs_sync_tip_latency_seconds", "summary",
	  "From the arrival of a newest block to its publication.", PER_QUANTILE, latency },
	{ "chainfs_sync_source_connected", "gauge", "1 while the source is connected.", PER_SOURCE,
	  source_connected },
	{ "chainfs_sync_source_score", "gauge", "How far the source is used, from 0 to 1.",
	  PER_SOURCE, source_score },
	{ "chainfs_sync_source_banned", "gauge", "1 while the source is banned.", PER_SOURCE,
	  source_banned },
	{ "chainfs_sync_source_requests", "gauge", "Requests that are out to the source.",
	  PER_SOURCE, source_requests },
	{ "chainfs_sync_source_bytes_total", "counter", "Bytes of blocks that the source gave.",
	  PER_SOURCE, source_bytes },
	{ "chainfs_sync_source_heights_total", "counter", "Blocks that the source gave.",
	  PER_SOURCE, source_heights },
	{ "chainfs_sync_source_faults_total", "counter", "Faults of the source.", PER_FAULT,
	  source_faults },
};

struct followed {
	const char *name;
	struct sight sight;
};

static void print(double value, struct buf *out)
{
	if (value >= 0 && value < 1e15 && value == (double)(uint64_t)value)
		buf_fmt(out, " %" PRIu64 "\n", (uint64_t)value);
	else
		buf_fmt(out, " %.6g\n", value);
}

static void sources(size_t row, const struct followed *f, struct place *p, struct buf *out)
{
	unsigned parts = rows[row].per == PER_FAULT ? FAULT_KIND_COUNT : 1;

	for (size_t i = 0; i < f->sight.source_count; i++) {
		p->source = &f->sight.sources[i];
		for (p->part = 0; p->part < parts; p->part++) {
			buf_fmt(out, "%s{network=\"%s\",source=\"%s\"", rows[row].name, f->name,
				p->source->entry.name);
			if (parts > 1)
				buf_fmt(out, ",kind=\"%s\"", fault_kind_names[p->part]);
			buf_u8(out, '}');
			print(rows[row].value(p), out);
		}
	}
}

static void shards(size_t row, const struct followed *f, struct place *p, struct buf *out)
{
	unsigned parts = rows[row].per == PER_SHARD_LANE ? LANE_COUNT : 1;

	for (uint32_t s = 0; s < p->all->shard_count; s++) {
		p->shard = &p->all->shards[s];
		for (p->part = 0; p->part < parts; p->part++) {
			buf_fmt(out, "%s{network=\"%s\",shard=\"%" PRIu32 "\"", rows[row].name,
				f->name, s);
			if (parts > 1)
				buf_fmt(out, ",lane=\"%s\"", lane_names[p->part]);
			buf_u8(out, '}');
			print(rows[row].value(p), out);
		}
	}
}

static void whole(size_t row, const struct followed *f, struct place *p, struct buf *out)
{
	static const char *const quantiles[] = { "0.5", "0.99" };
	unsigned parts = rows[row].per == PER_NETWORK ? 1 : 2;

	static_assert(LANE_COUNT == 2, "as many lanes as quantiles");
	for (p->part = 0; p->part < parts; p->part++) {
		buf_fmt(out, "%s{network=\"%s\"", rows[row].name, f->name);
		if (rows[row].per == PER_LANE)
			buf_fmt(out, ",lane=\"%s\"", lane_names[p->part]);
		if (rows[row].per == PER_QUANTILE)
			buf_fmt(out, ",quantile=\"%s\"", quantiles[p->part]);
		buf_u8(out, '}');
		print(rows[row].value(p), out);
	}
}

static void caches(struct buf *out)
{
	static const char *const names[] = { "chainfs_cache_hits_total",
					     "chainfs_cache_misses_total" };
	static const char *const help[] = { "Reads that a cache had.",
					    "Reads that a cache had to fetch or make." };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_fmt(out, "# HELP %s %s\n# TYPE %s counter\n", names[i], help[i], names[i]);
		for (enum tier t = 0; t < TIER_COUNT; t++) {
			struct tier_counts counts = tier_read(t);

			buf_fmt(out, "%s{tier=\"%s\"} %" PRIu64 "\n", names[i], tier_names[t],
				i ? counts.misses : counts.hits);
		}
	}
}

void metrics_sync(const struct store *s, struct follows *follows, struct buf *out)
{
	size_t networks = store_network_count(s), count = 0;
	AUTO(base_freep) struct followed *list = calloc(MAX(networks, 1u), sizeof *list);

	caches(out);
	for (size_t i = 0; list && i < networks; i++) {
		struct network *n = store_network_at(s, i);

		if (sight_take(follows, n, &list[count].sight) == 1)
			list[count++].name = network_name(n);
	}
	for (size_t row = 0; count && row < ARRAY_LEN(rows); row++) {
		buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", rows[row].name, rows[row].help,
			rows[row].name, rows[row].type);
		for (size_t i = 0; i < count; i++) {
			struct place p = { .all = &list[i].sight.all };

			if (rows[row].per == PER_SOURCE || rows[row].per == PER_FAULT)
				sources(row, &list[i], &p, out);
			else if (rows[row].per == PER_SHARD || rows[row].per == PER_SHARD_LANE)
				shards(row, &list[i], &p, out);
			else
				whole(row, &list[i], &p, out);
		}
	}
	for (size_t i = 0; i < count; i++)
		sight_release(&list[i].sight);
}
