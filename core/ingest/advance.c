/* Replaying what follows the state of a shard, in both contexts. */
#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "core/ingest/envelope.h"
#include "core/ingest/writer.h"

#include <stdio.h>

#define ENVELOPE_SIZE_MAX (64u << 20)

static int row_after(void *arg, struct slice key, struct slice *value)
{
	return state_get(arg, SPACE_HYPER, key, value);
}

static int row_before(void *arg, struct slice key, struct slice *value)
{
	return state_get_committed(arg, SPACE_HYPER, key, value);
}

static int envelope_sizes(struct writer *w, const struct chain_block *b,
			  const struct chain_result *res, struct roots_row *roots)
{
	struct envelope_rows rows = { row_after, row_before, w->shards[b->shard].state };
	const struct shard_view *sv = &commit_view(w->commit)->shards[b->shard];
	AUTO(buf_release) struct buf out = BUF_INIT(ENVELOPE_SIZE_MAX);
	for (int json = 0; json < 2; json++) {
		buf_clear(&out);
		int rc = envelope_render(w->ops, b->hash, SLICE(b->parent, b->parent_size), roots,
					 sv, res->changes, res->change_count, &rows, json, &out);
		if (rc == 0)
			rc = buf_done(&out);
		if (rc < 0)
			return rc;
		*(json ? &roots->envelope_json_size : &roots->envelope_size) = (uint32_t)out.n;
	}
	return 0;
}

/* What an earlier hyper base retained goes with the first block of the new one. */
static int purge_retained(struct state *st)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	int rc = state_scan_new(st, SPACE_HYPER, SLICE_EMPTY, SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1)
		rc = state_delete(st, SPACE_HYPER, key, REASON_EXPIRED);
	return rc;
}

static int put_result(struct writer *w, const struct chain_block *b, const struct chain_result *res,
		      struct err *err)
{
	struct shard_view *sv = &commit_view(w->commit)->shards[b->shard];
	struct roots_row roots = {
		.legacy = res->legacy,
		.hyper = res->hyper,
		.has_hyper = sv->hyper_on,
		.retained = res->retained,
	};
	int rc = sv->hyper_on ? envelope_sizes(w, b, res, &roots) : 0;
	if (rc == 0)
		rc = commit_roots(w->commit, b->shard, b->height, &roots);
	if (rc == 0)
		rc = commit_changes_of(w->commit, b->shard, b->height, buf_slice(&b->canonical),
				       res->changes, res->change_count);
	if (rc == 0)
		rc = ranges_replayed(&w->ranges, b->shard, b->height, &roots);
	if (rc == 0)
		rc = commit_outcomes(w->commit, b->shard, b->height, res->outcomes,
				     res->outcome_count);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": what replay left of it: %s",
			       b->shard, b->height, strerror(-rc));
	for (size_t i = 0; i < res->change_count; i++) {
		const struct chain_change *c = &res->changes[i];
		if (c->space == SPACE_BOTH && (c->deleted || c->reason == REASON_MERGED))
			sv->changes[c->reason]++;
		if (c->space == SPACE_HYPER && !c->deleted)
			metrics_add(COUNTER_PRUNE_NOOPS, 1);
	}
	sv->replayed = b->height;
	sv->replayed_time = b->time;
	memcpy(sv->replayed_hash, b->hash, HASH_SIZE);
	sv->legacy = res->legacy;
	sv->hyper = sv->hyper_on ? res->hyper : res->legacy;
	sv->retained = sv->hyper_on ? res->retained : 0;
	sv->diverged += sv->hyper_on && !slice_eq(SLICE(res->legacy.root, res->legacy.root_size),
						  SLICE(res->hyper.root, res->hyper.root_size));
	w->pending.replayed++;
	return 0;
}

int writer_replay(struct writer *w, const struct chain_block *b, struct block_row *row,
		  struct err *err)
{
	struct shard_writer *sw = &w->shards[b->shard];
	const struct shard_view *sv = &commit_view(w->commit)->shards[b->shard];
	struct chain_result res = { 0 };
	struct err why = ERR_INIT;

	int rc = state_block_begin(sw->state, b->height);
	if (rc == 0 && sw->purge)
		rc = purge_retained(sw->state);
	if (rc == 0)
		rc = w->ops->replay_block(sw->replay, sw->state, b, row->object + 1,
					  sv->hyper_on, &res, &why);
	if (rc == -EUCLEAN || rc == -EOPNOTSUPP) {
		state_block_abort(sw->state);
		w->ops->replay_abort(sw->replay);
		sw->stopped = rc == -EOPNOTSUPP;
		row->levels[LEVEL_ACCOUNTS] = res.accounts;
		row->levels[LEVEL_STATE] = res.state;
		if (sw->stopped) {
			for (int l = LEVEL_ACCOUNTS; l <= LEVEL_STATE; l++) {
				row->levels[l].verdict = VERDICT_UNSUPPORTED;
				snprintf(row->levels[l].reason, REASON_SIZE, "%.150s",
					 err_text(&why, rc));
			}
			trace_warn("ingest", "blocks are kept but not replayed",
				   "network=%s shard=%u height=%" PRIu64 " reason=\"%s\"",
				   network_name(w->network), b->shard, b->height,
				   err_text(&why, rc));
		}
		return 0;
	}
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": %.300s", b->shard, b->height,
			       err_text(&why, rc));
	rc = put_result(w, b, &res, err);
	if (rc < 0)
		return rc;
	rc = state_block_end(sw->state);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": its state: %s", b->shard,
			       b->height, strerror(-rc));
	sw->purge = false;
	row->levels[LEVEL_ACCOUNTS] = res.accounts;
	row->levels[LEVEL_STATE] = res.state;
	return 1;
}

/* A block of the store, checked again. -EBADMSG when our copy is damaged. */
static int load(struct writer *w, const struct block_row *row, struct job *job, struct err *err)
{
	int rc = job_load(w->network, row, job, err);
	if (rc == 0)
		job_check(w->ops, network_params(w->network), job);
	return rc < 0 || job->rc == 0 ? rc
				      : err_set(err, job->rc, "%s", err_text(&job->err, job->rc));
}

/* A block that waited as held leaves the shard; its height is a gap again. */
static int take_out(struct writer *w, const struct block_row *row, const struct chain_block *b,
		    struct err *err)
{
	bool named = row->levels[LEVEL_ACCOUNTS].verdict == VERDICT_FAILED;
	const char *sentence = row->levels[named ? LEVEL_ACCOUNTS : LEVEL_STATE].reason;
	struct shard_view *sv = &commit_view(w->commit)->shards[row->shard];
	int rc = gaps_remove(&sv->gaps, (struct range){ row->height, row->height + 1 });
	if (rc == 0)
		rc = commit_block_remove(w->commit, row->shard, row->height);
	if (rc == 0)
		rc = commit_aside(w->commit, row->shard, row->height, &row->bytes);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": it cannot be taken out",
			       row->shard, row->height);
	sv->items -= row->items;
	sv->bytes -= row->canonical_size;
	for (size_t i = 0; i < b->item_count; i++)
		sv->refused_items -= b->items[i].refusal != NULL;
	sv->first_held = sv->gaps.held_count ? sv->gaps.held[0].first : 0;
	if (sv->tip == row->height) { /* it followed the state: what is below it is replayed */
		sv->tip = sv->replayed;
		sv->tip_time = sv->replayed_time;
		memcpy(sv->tip_hash, sv->replayed_hash, HASH_SIZE);
	}
	if (writer_lost(w, row, false, named, sentence) < 0)
		return err_set(err, -ENOMEM, "no memory to tell what was lost");
	return writer_fault(w, row->shard, row->height, GAP_STATE, sentence, err);
}

/* Replays the waiting block of `height`. 1: in the state; 0: the shard stops below it. */
static int replay_waiting(struct writer *w, uint32_t shard, uint64_t height, struct err *err)
{
	struct shard_writer *sw = &w->shards[shard];
	struct block_row row;
	struct err why = ERR_INIT;
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, -ENOMEM, "shard %u height %" PRIu64 ": no memory to replay it",
			       shard, height);
	int rc = network_block(w->network, shard, height, &row);
	if (rc <= 0)
		return err_set(err, rc ? rc : -EUCLEAN,
			       "shard %u height %" PRIu64 " is held, but its row is not there",
			       shard, height);
	rc = load(w, &row, job, &why);
	if (rc == -EBADMSG) {
		w->pending.refused++;
		return writer_damaged(w, &row, err_text(&why, rc), err);
	}
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": %.300s", shard, height,
			       err_text(&why, rc));
	if (!w->dirty)
		w->run_started_ms = clock_mono_ms();
	w->dirty = true;
	rc = writer_replay(w, job->block, &row, err);
	if (rc < 0)
		return rc;
	if (rc == 0 && !sw->stopped)
		return take_out(w, &row, job->block, err);
	int put = commit_block(w->commit, &row);
	if (put < 0)
		return err_set(err, put, "shard %u height %" PRIu64 ": no memory for its row",
			       shard, height);
	return rc;
}

bool writer_is_behind(const struct writer *w, uint32_t shard)
{
	const struct shard_view *sv = &commit_view(w->commit)->shards[shard];

	return !w->shards[shard].stopped && gaps_has(&sv->gaps, sv->replayed + 1);
}

/* What was placed in this run is in no view that can be read yet. The block below is looked at when
 * this one turns out damaged. */
static bool is_readable(const struct writer *w, uint32_t shard, uint64_t height)
{
	AUTO(view_putp) struct view *v = network_view_get(w->network);
	const struct gaps *g = &v->shards[shard].gaps;

	return gaps_has(g, height) && (height == 1 || gaps_has(g, height - 1));
}

int writer_advance(struct writer *w, uint32_t shard, struct err *err)
{
	uint64_t until_ms = clock_mono_ms() + ADVANCE_MS;

	while (writer_is_behind(w, shard)) {
		/* A commit publishes the view and begins another copy. */
		uint64_t height = commit_view(w->commit)->shards[shard].replayed + 1;
		int rc = is_readable(w, shard, height) ? 0 : writer_commit(w, err);

		if (rc == 0)
			rc = replay_waiting(w, shard, height, err);
		if (rc <= 0)
			return rc;
		uint64_t now_ms = clock_mono_ms();
		if (writer_run_full(w, now_ms) && (rc = writer_commit(w, err)) < 0)
			return rc;
		if (now_ms >= until_ms)
			return 0;
	}
	return 0;
}
