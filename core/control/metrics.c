#include "core/control/metrics.h"

#include "core/control/metrics_sync.h"

#include <stdatomic.h>

static atomic_uint_fast64_t counters[COUNTER_COUNT];

static const struct {
	const char *name, *help;
} counter_rows[COUNTER_COUNT] = {
	[COUNTER_FUSE_REQUESTS] = { "chainfs_fuse_requests_total",
				    "Requests of the kernel answered." },
	[COUNTER_FUSE_ERRORS] = { "chainfs_fuse_errors_total", "Requests answered with an error." },
	[COUNTER_FUSE_BYTES] = { "chainfs_fuse_read_bytes_total", "Bytes given to readers." },
	[COUNTER_FUSE_CHANGES] = { "chainfs_fuse_changes_total",
				   "Requests that would change a file; the kernel refuses them "
				   "on a read-only mount." },
	[COUNTER_RENDERINGS] = { "chainfs_renderings_total",
				 "Files rendered because no cache held them." },
	[COUNTER_PLAIN_OPENS] = { "chainfs_plain_opens_total", "Opens below plain." },
	[COUNTER_PLAIN_PASSED] = { "chainfs_plain_passed_total",
				   "Opens below plain whose reads the kernel serves by itself." },
	[COUNTER_PLAIN_READS] = { "chainfs_plain_reads_total",
				  "Reads below plain that came to the daemon." },
	[COUNTER_BLOCKS_IMPORTED] = { "chainfs_blocks_taken_total", "Blocks taken and committed." },
	[COUNTER_BLOCKS_REFUSED] = { "chainfs_blocks_refused_total",
				     "Blocks that failed a check." },
	[COUNTER_COMMITS] = { "chainfs_commits_total", "Atomic batches written and synced." },
	[COUNTER_PRUNE_NOOPS] = { "chainfs_hyper_prune_noops_total",
				  "Prunes that hyper answered by retaining the record." },
	[COUNTER_HYPER_DIFF_FAILURES] = { "chainfs_hyper_diff_failures_total",
					  "Reports and spans that failed, and faults that hyper "
					  "audit found." },
	[COUNTER_DAMAGED] = { "chainfs_store_damaged_total",
			      "Damaged blocks and files that readers met, each once." },
};

/* Numbers of a shard, read from its view. */
enum gauge {
	GAUGE_HELD, GAUGE_KNOWN, GAUGE_MISSING, GAUGE_TIP, GAUGE_REPLAYED, GAUGE_ITEMS,
	GAUGE_BYTES, GAUGE_RECORDS, GAUGE_RETAINED, GAUGE_HYPER_BYTES, GAUGE_HYPER_LAG,
	GAUGE_REPLAY_LAG, GAUGE_COUNT
};
static const struct {
	const char *name, *help;
} gauge_rows[GAUGE_COUNT] = {
	[GAUGE_HELD] = { "chainfs_heights_held", "Heights of the shard that are held." },
	[GAUGE_KNOWN] = { "chainfs_height_known", "Highest height known to exist." },
	[GAUGE_MISSING] = { "chainfs_heights_missing", "Heights known to exist and not held." },
	[GAUGE_TIP] = { "chainfs_height_tip", "Highest height held." },
	[GAUGE_REPLAYED] = { "chainfs_height_replayed", "Height that the state is as of." },
	[GAUGE_ITEMS] = { "chainfs_items", "Items of the blocks held." },
	[GAUGE_BYTES] = { "chainfs_block_bytes", "Canonical bytes of the blocks held." },
	[GAUGE_RECORDS] = { "chainfs_records", "Records of the legacy state." },
	[GAUGE_RETAINED] = { "chainfs_hyper_retained_records",
			     "Records that hyper holds and legacy does not." },
	[GAUGE_HYPER_BYTES] = { "chainfs_hyper_storage_bytes",
				"Keys and values of the rows that hyper holds alone." },
	[GAUGE_HYPER_LAG] = { "chainfs_hyper_pipeline_lag_heights",
			      "Heights that are replayed, and hyper has nothing of." },
	[GAUGE_REPLAY_LAG] = { "chainfs_replay_lag_heights",
			       "Heights from the one replayed last to the highest held." },
};

static atomic_uint_fast64_t soft_cap;

void metrics_add(enum counter which, uint64_t n)
{
	atomic_fetch_add_explicit(&counters[which], n, memory_order_relaxed);
}

uint64_t metrics_read(enum counter which)
{
	return atomic_load_explicit(&counters[which], memory_order_relaxed);
}

uint64_t metrics_hyper_lag(const struct shard_view *sv)
{
	return sv->hyper_on ? 0 : sv->replayed;
}

uint64_t metrics_replay_lag(const struct shard_view *sv)
{
	return sv->tip > sv->replayed ? sv->tip - sv->replayed : 0;
}

uint64_t metrics_hyper_bytes(const struct store *s)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store_network_count(s); i++) {
		AUTO(view_putp) struct view *v = network_view_get(store_network_at(s, i));

		for (uint32_t k = 0; k < v->shard_count; k++)
			sum += v->shards[k].hyper_bytes;
	}
	return sum;
}

void metrics_set_soft_cap(uint64_t bytes)
{
	atomic_store(&soft_cap, bytes);
}

static _Atomic(const char *) transport;

void metrics_set_transport(const char *name)
{
	atomic_store(&transport, name);
}

const char *metrics_transport(void)
{
	return atomic_load(&transport);
}

static void render_transport(struct buf *out)
{
	const char *name = metrics_transport();

	if (name)
		buf_fmt(out,
			"# HELP chainfs_fuse_transport_info What carries the mount's requests.\n"
			"# TYPE chainfs_fuse_transport_info gauge\n"
			"chainfs_fuse_transport_info{transport=\"%s\"} 1\n",
			name);
}

static void render_soft_cap(const struct store *s, struct buf *out)
{
	uint64_t cap = atomic_load(&soft_cap);

	buf_fmt(out,
		"# HELP chainfs_hyper_soft_cap_bytes Size of what hyper holds alone from which on "
		"there is an alert; 0: none.\n"
		"# TYPE chainfs_hyper_soft_cap_bytes gauge\n"
		"chainfs_hyper_soft_cap_bytes %" PRIu64 "\n",
		cap);
	buf_fmt(out,
		"# HELP chainfs_hyper_soft_cap_exceeded 1 while hyper is past its soft cap.\n"
		"# TYPE chainfs_hyper_soft_cap_exceeded gauge\n"
		"chainfs_hyper_soft_cap_exceeded %d\n",
		cap && metrics_hyper_bytes(s) > cap);
}

static void render_writable(const struct store *s, struct buf *out)
{
	buf_fmt(out,
		"# HELP chainfs_store_writable 0 while the store is read-only: the disk is full, "
		"or its file system is read-only.\n"
		"# TYPE chainfs_store_writable gauge\n"
		"chainfs_store_writable %d\n",
		store_writable(s, NULL) == 0);
}

static uint64_t gauge(const struct shard_view *sv, enum gauge which)
{
	switch (which) {
	case GAUGE_HELD:     return gaps_held(&sv->gaps);
	case GAUGE_KNOWN:    return sv->known;
	case GAUGE_MISSING:  return sv->known - gaps_held(&sv->gaps);
	case GAUGE_TIP:      return sv->tip;
	case GAUGE_REPLAYED: return sv->replayed;
	case GAUGE_ITEMS:    return sv->items;
	case GAUGE_BYTES:    return sv->bytes;
	case GAUGE_RECORDS:  return sv->legacy.records;
	case GAUGE_RETAINED: return sv->retained;
	case GAUGE_HYPER_BYTES: return sv->hyper_bytes;
	case GAUGE_HYPER_LAG:   return metrics_hyper_lag(sv);
	case GAUGE_REPLAY_LAG:  return metrics_replay_lag(sv);
	case GAUGE_COUNT:    break;
	}
	return 0;
}

int metrics_render(const struct store *s, struct follows *follows, struct buf *out)
{
	for (int i = 0; i < COUNTER_COUNT; i++)
		buf_fmt(out, "# HELP %s %s\n# TYPE %s counter\n%s %" PRIu64 "\n",
			counter_rows[i].name, counter_rows[i].help, counter_rows[i].name,
			counter_rows[i].name, metrics_read(i));
	for (int g = 0; g < GAUGE_COUNT; g++) {
		buf_fmt(out, "# HELP %s %s\n# TYPE %s gauge\n", gauge_rows[g].name,
			gauge_rows[g].help, gauge_rows[g].name);
		for (size_t i = 0; i < store_network_count(s); i++) {
			AUTO(view_putp) struct view *v = network_view_get(store_network_at(s, i));
			for (uint32_t k = 0; k < v->shard_count; k++)
				buf_fmt(out, "%s{network=\"%s\",shard=\"%u\"} %" PRIu64 "\n",
					gauge_rows[g].name, network_name(v->network), k,
					gauge(&v->shards[k], g));
		}
	}
	render_soft_cap(s, out);
	render_transport(out);
	render_writable(s, out);
	metrics_sync(s, follows, out);
	return buf_done(out);
}
