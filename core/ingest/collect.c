/* Old states are let go, a step with each batch. */
#include "core/ingest/writer.h"

#define STEP_DEATHS 20000u /* of a shard and a batch: some milliseconds, and a few megabytes */

/* The lowest height of a shard that stays readable; 0: all of them do. */
static int lowest_kept(struct writer *w, uint32_t shard, uint64_t *out, struct err *err)
{
	const struct view *v = commit_view(w->commit);
	uint64_t keep = w->options.history_keep, main = v->shards[0].replayed,
		 own = v->shards[shard].replayed;
	struct block_row row;
	*out = 0;
	if (!keep || main < keep || own < keep)
		return 0;
	if (shard == 0) {
		*out = main - keep + 1;
		return 0;
	}
	/* at/H cuts the other shards where block H witnesses them, which may be further back. */
	int rc = network_block(w->network, 0, main - keep + 1, &row);
	if (rc < 0)
		return err_set(err, rc, "shard 0 height %" PRIu64 ": its row cannot be read",
			       main - keep + 1);
	for (uint32_t i = 0; rc && i < row.witness_count; i++)
		if (row.witnesses[i].shard == shard)
			*out = MIN(row.witnesses[i].height, own - keep + 1);
	return 0;
}

int writer_collect(struct writer *w, struct err *err)
{
	uint32_t shards = commit_view(w->commit)->shard_count;
	bool more = false;
	for (uint32_t s = 0; w->options.history_keep && s < shards; s++) {
		uint64_t lowest;
		int rc = lowest_kept(w, s, &lowest, err);
		if (rc == 0 && lowest > commit_view(w->commit)->shards[s].kept_from)
			rc = collector_choose(w->network, s, lowest, STEP_DEATHS, w->commit, err);
		if (rc < 0)
			return rc;
		more |= rc > 0;
	}
	w->dirty |= more;
	return more;
}
