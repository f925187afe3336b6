#include "core/ingest/rollback.h"

#include "core/base/trace.h"
#include "core/ingest/index.h"
#include "core/ingest/pipeline.h"
#include "core/store/inside.h" /* rows that no import takes away */

#include <stdio.h>

/* Hashes that go with their blocks, at most: a key each in the one batch. Those beyond lead
 * nowhere, which by-hash is used to; fsck names and drops them. */
#define HASHES_MAX 2000000u
#define FAULTS_MAX 256u /* single heights whose gaps say why; those of others are plain */

struct objects { /* ids of a block and what it carries: [first, end) */
	uint64_t first, end;
};

struct rollback {
	struct network *network;
	const struct rollback_options *options;
	struct rollback_result *result;
	struct commit *commit;
	uint64_t replayed[SHARD_MAX]; /* of each shard, afterwards */
	struct objects *objects;
	size_t object_count, object_cap;
	size_t hashes;
};

static void release(struct rollback *r)
{
	commit_freep(&r->commit);
	free(r->objects);
	r->objects = NULL;
}

static struct shard_view *shard_of(struct rollback *r, uint32_t shard)
{
	return &commit_view(r->commit)->shards[shard];
}

static int failed(struct err *err, int rc, uint32_t shard, uint64_t height, const char *what)
{
	return err_set(err, rc, "shard %u height %" PRIu64 ": %s: %s", shard, height, what,
		       strerror(-rc));
}

/* ---- where each shard is cut ---- */

static uint64_t witnessed(const struct block_row *row, uint32_t shard)
{
	for (uint32_t i = 0; i < row->witness_count; i++)
		if (row->witnesses[i].shard == shard)
			return row->witnesses[i].height;
	return 0;
}

/* The highest main height that is held and witnesses no more of a shard than `height`. */
static int main_below(struct rollback *r, uint32_t shard, uint64_t height, uint64_t *out,
		      struct err *err)
{
	const struct gaps *g = &commit_view(r->commit)->shards[0].gaps;

	for (size_t i = g->held_count; i-- > 0;)
		for (uint64_t h = g->held[i].end; h-- > g->held[i].first;) {
			struct block_row row;
			int rc = network_block(r->network, 0, h, &row);

			if (rc != 1)
				return failed(err, rc < 0 ? rc : -EUCLEAN, 0, h, "its row");
			if (witnessed(&row, shard) <= height) {
				*out = h;
				return 0;
			}
		}
	*out = 0;
	return 0;
}

/* The main shard is cut at `height`, the others where its block says. */
static int cut_at_main(struct rollback *r, uint64_t height, struct err *err)
{
	const struct view *v = commit_view(r->commit);
	uint64_t *cuts = r->result->heights;
	struct block_row row;

	cuts[0] = height;
	if (height == 0)
		return 0;
	int rc = gaps_has(&v->shards[0].gaps, height) ? network_block(r->network, 0, height, &row)
						      : 0;

	if (rc < 0)
		return failed(err, rc, 0, height, "its row cannot be read");
	if (rc == 0)
		return err_set(err, -ENODATA,
			       "main height %" PRIu64
			       " is not held, so nothing says where the other shards stand",
			       height);
	for (uint32_t s = 1; s < v->shard_count; s++)
		cuts[s] = witnessed(&row, s);
	return 0;
}

static int find_cuts(struct rollback *r, struct err *err)
{
	const struct view *v = commit_view(r->commit);
	uint64_t main_height = r->options->height, *cuts = r->result->heights;
	uint32_t shard = r->options->shard;

	if (shard >= v->shard_count)
		return err_set(err, -EINVAL, "there is no shard %u", shard);
	if (r->options->height >= v->shards[shard].known)
		return err_set(err, -EINVAL,
			       "shard %u: there is nothing above height %" PRIu64 ": %" PRIu64
			       " is the newest that is known",
			       shard, r->options->height, v->shards[shard].known);
	int rc = shard ? main_below(r, shard, r->options->height, &main_height, err) : 0;

	if (rc < 0)
		return rc;
	if (shard == 0 || main_height < v->shards[0].tip)
		rc = cut_at_main(r, main_height, err);
	else /* no block of the main shard witnesses what goes */
		for (uint32_t s = 0; s < v->shard_count; s++)
			cuts[s] = v->shards[s].known;
	if (rc == 0 && shard)
		cuts[shard] = MIN(cuts[shard], r->options->height);
	return rc;
}

/* Can the state go back that far? */
static int check_cuts(struct rollback *r, struct err *err)
{
	const struct view *v = commit_view(r->commit);

	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];

		r->replayed[s] = MIN(sv->replayed, r->result->heights[s]);
		if (r->replayed[s] < sv->begins)
			return err_set(err, -ESTALE,
				       "shard %u: the state here begins at height %" PRIu64
				       ", and this is of %" PRIu64,
				       s, sv->begins, r->replayed[s]);
		if (r->replayed[s] < sv->replayed && r->replayed[s] < sv->kept_from)
			return err_set(err, -ESTALE,
				       "shard %u: the state is kept from height %" PRIu64
				       " on, and this is of %" PRIu64,
				       s, sv->kept_from, r->replayed[s]);
	}
	return 0;
}

/* ---- what goes ---- */

static int note_objects(struct rollback *r, const struct block_row *row)
{
	struct objects o = { row->object, row->object + 2 * (uint64_t)row->items + 1 };
	struct objects *last = r->object_count ? &r->objects[r->object_count - 1] : NULL;

	if (last && last->end == o.first) {
		last->end = o.end;
		return 0;
	}
	if (base_grow(&r->objects, &r->object_cap, r->object_count + 1, sizeof *r->objects) < 0)
		return -ENOMEM;
	r->objects[r->object_count++] = o;
	return 0;
}

static int by_first(const void *a, const void *b)
{
	const struct objects *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

/* Blocks of several shards came in turns, so that sorted they are few stretches. */
static void delete_stats(struct rollback *r)
{
	if (r->object_count > 1)
		qsort(r->objects, r->object_count, sizeof *r->objects, by_first);
	for (size_t i = 0; i < r->object_count;) {
		struct objects o = r->objects[i++];

		while (i < r->object_count && r->objects[i].first == o.end)
			o.end = r->objects[i++].end;
		struct short_key first = key_stat(o.first), end = key_stat(o.end);

		commit_delete_range(r->commit, FAMILY_STATS, short_slice(&first),
				    short_slice(&end));
	}
}

struct hashes {
	struct rollback *rollback;
	const struct block_row *row;
};

static int skip_stat(void *arg, uint64_t object, const struct stat_record *stat)
{
	return 0;
}

static int delete_hash(void *arg, struct slice hash, uint32_t item)
{
	struct hashes *h = arg;
	struct short_key key = key_hash(db_is_packed(h->rollback->network->db), hash.p,
					h->row->shard, h->row->height, item);

	if (h->rollback->hashes++ < HASHES_MAX)
		commit_delete(h->rollback->commit, FAMILY_HASHES, short_slice(&key));
	return 0;
}

/* What only the block's bytes tell: its hashes, and how many of its items were refused, which takes
 * their signatures. Damaged bytes tell neither. */
static int forget_items(struct rollback *r, const struct block_row *row, struct err *err)
{
	struct shard_view *sv = shard_of(r, row->shard);
	const struct chain_ops *ops = network_ops(r->network);
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);

	if (!sv->refused_items && r->hashes >= HASHES_MAX)
		return 0;
	int rc = job ? job_load(r->network, row, job, NULL) : -ENOMEM;

	if (rc == 0)
		rc = ops->decode(network_params(r->network), row->shard == 0, sv->refused_items > 0,
				 &job->canonical, &job->certificate, &job->block, NULL);
	if (rc == -EBADMSG)
		return 0;
	if (rc < 0)
		return failed(err, rc, row->shard, row->height, "it cannot be read");
	for (size_t i = 0; i < job->block->item_count; i++)
		sv->refused_items -= sv->refused_items && job->block->items[i].refusal;
	struct hashes h = { r, row };

	rc = block_index(job->block, row, &(struct index_visit){ skip_stat, delete_hash, &h });
	return rc < 0 ? failed(err, rc, row->shard, row->height, "its hashes") : 0;
}

/* All that it takes away but its row. `held`: else it is damaged, and only its row is left. */
static int forget_block(struct rollback *r, const struct block_row *row, bool held, struct err *err)
{
	struct shard_view *sv = shard_of(r, row->shard);
	int rc = note_objects(r, row);

	if (r->options->stop && atomic_load(r->options->stop))
		return err_set(err, -EINTR, "interrupted; nothing has changed");
	if (rc < 0)
		return failed(err, rc, row->shard, row->height, "its objects");
	rc = forget_items(r, row, err);
	if (rc < 0 || !held)
		return rc;
	sv->items -= MIN(row->items, sv->items);
	sv->bytes -= MIN(row->canonical_size, sv->bytes);
	r->result->blocks++;
	r->result->items += row->items;
	return 0;
}

static int delete_blocks(struct rollback *r, uint32_t shard, struct err *err)
{
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	struct shard_view *sv = shard_of(r, shard);
	uint64_t above = r->result->heights[shard];
	struct block_row row;
	int rc = block_scan_new(r->network, shard, above + 1, &scan);

	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1) {
		rc = forget_block(r, &row, gaps_has(&sv->gaps, row.height), err);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return failed(err, rc, shard, above + 1, "the rows of blocks cannot be read");
	struct short_key first = key_block(shard, above + 1), end = key_block(shard + 1, 0);

	commit_delete_range(r->commit, FAMILY_BLOCKS, short_slice(&first), short_slice(&end));
	return 0;
}

/* What the replay of a height added to the sums of the view. */
static int take_back(struct rollback *r, uint32_t shard, uint64_t height, struct err *err)
{
	AUTO(change_list_release) struct change_list list = { 0 };
	struct shard_view *sv = shard_of(r, shard);
	struct roots_row roots;
	int rc = network_roots(r->network, shard, height, &roots);

	if (rc < 0)
		return failed(err, rc, shard, height, "its roots cannot be read");
	sv->diverged -= rc == 1 && sv->diverged && roots.has_hyper &&
			!slice_eq(SLICE(roots.legacy.root, roots.legacy.root_size),
				  SLICE(roots.hyper.root, roots.hyper.root_size));
	rc = network_changes_keyless(r->network, shard, height, &list);
	if (rc == -EBADMSG || rc == -ENODATA) /* its block is damaged: the sums stay too high */
		return 0;
	if (rc < 0)
		return failed(err, rc, shard, height, "its changes cannot be read");
	for (size_t i = 0; i < list.change_count; i++) {
		const struct chain_change *c = &list.changes[i];

		if (c->space == SPACE_BOTH && (c->deleted || c->reason == REASON_MERGED))
			sv->changes[c->reason] -= sv->changes[c->reason] > 0;
	}
	return 0;
}

static void delete_replay(struct rollback *r, uint32_t shard, enum replay_kind kind, uint64_t from)
{
	struct short_key first = key_replay(kind, shard, from),
			 end = key_replay(kind, shard + 1, 0);

	commit_delete_range(r->commit, FAMILY_REPLAY, short_slice(&first), short_slice(&end));
}

static void delete_results(struct rollback *r, uint32_t shard)
{
	static const enum replay_kind kinds[] = { REPLAY_ROOTS, REPLAY_CHANGES, REPLAY_OUTCOMES,
						  REPLAY_DIVERGED, REPLAY_ASIDE };
	uint64_t above = r->result->heights[shard];

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		delete_replay(r, shard, kinds[i], above + 1);
	/* Ranges that are not whole any more. */
	delete_replay(r, shard, REPLAY_RANGE, (above + 1) / RANGE_SIZE);
}

/* ---- what the view says afterwards ---- */

static int set_block(struct rollback *r, uint32_t shard, uint64_t height, uint64_t *time,
		     uint8_t hash[HASH_SIZE], struct err *err)
{
	struct block_row row = { 0 };
	int rc = height ? network_block(r->network, shard, height, &row) : 1;

	if (rc != 1)
		return failed(err, rc < 0 ? rc : -EUCLEAN, shard, height, "its row");
	*time = row.time;
	memcpy(hash, row.hash, HASH_SIZE);
	return 0;
}

/* Keys and values of the rows that hyper holds alone, as of the height. */
static int count_hyper(struct rollback *r, uint32_t shard, struct err *err)
{
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct shard_view *sv = shard_of(r, shard);
	struct slice key, value;
	int rc = state_open_at(r->network, commit_view(r->commit)->branch, shard,
			       r->replayed[shard], &st, err);

	sv->hyper_bytes = 0;
	if (rc == 0)
		rc = state_scan_new(st, SPACE_HYPER, SLICE_EMPTY, SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		sv->hyper_bytes += key.n + value.n;
		rc = 0;
	}
	return rc < 0 ? failed(err, rc, shard, r->replayed[shard], "what hyper retained") : 0;
}

/* Roots as the block of the height left them. A base that is not below it becomes one at it. */
static int set_roots(struct rollback *r, uint32_t shard, struct err *err)
{
	struct shard_view *sv = shard_of(r, shard);
	struct roots_row roots = { 0 };
	uint64_t height = r->replayed[shard];
	int rc = height ? network_roots(r->network, shard, height, &roots) : 1;

	if (rc < 0)
		return failed(err, rc, shard, height, "its roots cannot be read");
	if (rc == 0)
		return err_set(err, -ESTALE,
			       "shard %u: nothing is left of the replay of height %" PRIu64, shard,
			       height);
	sv->legacy = sv->hyper = roots.legacy;
	sv->retained = 0;
	if (!sv->hyper_on)
		return 0;
	if (sv->base_height < height && roots.has_hyper) {
		sv->hyper = roots.hyper;
		sv->retained = roots.retained;
		return 0;
	}
	sv->base_height = height;
	sv->base_root_size = roots.legacy.root_size;
	memcpy(sv->base_root, roots.legacy.root, sizeof sv->base_root);
	return 0;
}

static int set_state(struct rollback *r, uint32_t shard, struct err *err)
{
	struct shard_view *sv = shard_of(r, shard);
	uint64_t height = r->replayed[shard];

	if (height == sv->replayed)
		return 0;
	for (uint64_t h = height + 1; h <= sv->replayed; h++) {
		int rc = take_back(r, shard, h, err);

		if (rc < 0)
			return rc;
		r->result->replayed++;
	}
	int rc = set_roots(r, shard, err);

	if (rc == 0)
		rc = set_block(r, shard, height, &sv->replayed_time, sv->replayed_hash, err);
	if (rc == 0)
		rc = count_hyper(r, shard, err);
	sv->replayed = height;
	return rc;
}

static int set_ends(struct rollback *r, uint32_t shard, struct err *err)
{
	struct shard_view *sv = shard_of(r, shard);
	const struct gaps *g = &sv->gaps;

	sv->first_held = g->held_count ? g->held[0].first : 0;
	sv->tip = g->held_count ? g->held[g->held_count - 1].end - 1 : 0;
	return set_block(r, shard, sv->tip, &sv->tip_time, sv->tip_hash, err);
}

static int set_held(struct rollback *r, uint32_t shard, struct err *err)
{
	struct shard_view *sv = shard_of(r, shard);
	uint64_t above = r->result->heights[shard];
	int rc = sv->known > above
			 ? gaps_roll_back(&sv->gaps, above + 1, sv->known, r->options->reason)
			 : 0;

	return rc < 0 ? failed(err, rc, shard, above, "its gaps") : set_ends(r, shard, err);
}

/* ---- the order ---- */

static int build(struct rollback *r, struct err *err)
{
	const struct view *v = commit_view(r->commit);
	int rc = find_cuts(r, err);

	if (rc == 0)
		rc = check_cuts(r, err);
	/* Sums are taken back before the gaps and the roots that they are told by go. */
	for (uint32_t s = 0; s < v->shard_count && rc == 0; s++) {
		rc = set_state(r, s, err);
		if (rc == 0)
			rc = delete_blocks(r, s, err);
		if (rc == 0)
			rc = set_held(r, s, err);
		delete_results(r, s);
	}
	if (rc < 0)
		return rc;
	delete_stats(r);
	rc = commit_branch_open(r->commit, v->branch, r->replayed, &r->result->branch);
	return rc < 0 ? err_set(err, rc, "no branch at main height %" PRIu64 ": %s",
				r->options->height, strerror(-rc))
		      : 0;
}

static void tell(const struct rollback *r)
{
	const char *name = network_name(r->network);

	trace_info("ingest", "rolled back",
		   "network=%s height=%" PRIu64 " blocks=%" PRIu64 " branch=%u reason=\"%s\"", name,
		   r->options->height, r->result->blocks, r->result->branch, r->options->reason);
	if (r->options->events)
		events_post(r->options->events, name, "rollback",
			    "height=%" PRIu64 " blocks=%" PRIu64 " reason=\"%s\"",
			    r->options->height, r->result->blocks, r->options->reason);
}

/* ---- single blocks ---- */

static void delete_at(struct rollback *r, enum replay_kind kind, uint32_t shard, uint64_t at)
{
	struct short_key key = key_replay(kind, shard, at);

	commit_delete(r->commit, FAMILY_REPLAY, short_slice(&key));
}

static int let_go(struct rollback *r, uint64_t height, struct err *err)
{
	uint32_t shard = r->options->shard;
	struct shard_view *sv = shard_of(r, shard);
	struct short_key key = key_block(shard, height);
	struct block_row row;
	int rc = network_block(r->network, shard, height, &row);

	if (rc != 1)
		return failed(err, rc < 0 ? rc : -EUCLEAN, shard, height, "its row");
	rc = forget_block(r, &row, true, err);
	if (rc < 0)
		return rc;
	commit_delete(r->commit, FAMILY_BLOCKS, short_slice(&key));
	delete_at(r, REPLAY_ASIDE, shard, height);
	delete_at(r, REPLAY_RANGE, shard, height / RANGE_SIZE);
	rc = gaps_remove(&sv->gaps, (struct range){ height, height + 1 });
	if (rc == 0 && r->result->blocks <= FAULTS_MAX)
		rc = gaps_fault(&sv->gaps, height, GAP_ROLLED_BACK, r->options->reason);
	return rc < 0 ? failed(err, rc, shard, height, "its gap") : 0;
}

static int build_single(struct rollback *r, const struct gaps *which, struct err *err)
{
	uint32_t shard = r->options->shard;
	const struct shard_view *sv = shard_of(r, shard);
	uint64_t lowest = 0;
	int rc = 0;

	for (size_t i = 0; i < which->held_count && rc == 0; i++)
		for (uint64_t h = which->held[i].first; h < which->held[i].end && rc == 0; h++) {
			if (!gaps_has(&sv->gaps, h))
				continue;
			if (h > sv->begins && h <= sv->replayed)
				return err_set(err, -ESTALE,
					       "shard %u height %" PRIu64
					       ": the state was made from it",
					       shard, h);
			lowest = lowest ? lowest : h;
			rc = let_go(r, h, err);
		}
	if (rc == 0 && !lowest)
		return err_set(err, -EINVAL, "shard %u: none of these blocks is held", shard);
	if (rc == 0)
		rc = set_ends(r, shard, err);
	if (rc < 0)
		return rc;
	delete_stats(r);
	rc = commit_branch_anew(r->commit, shard, lowest, &r->result->branch);
	return rc < 0 ? err_set(err, rc, "shard %u: no branch for its blocks: %s", shard,
				strerror(-rc))
		      : 0;
}

/* ---- one commit ---- */

/* which NULL: all above a height. */
static int run(struct rollback *r, const struct gaps *which, struct err *err)
{
	int rc = commit_new(r->network, &r->commit);

	if (rc == -EBUSY)
		return err_set(err, rc, "network %s: an import is writing it",
			       network_name(r->network));
	if (rc < 0)
		return err_set(err, rc, "network %s: it cannot be written: %s",
			       network_name(r->network), strerror(-rc));
	rc = which ? build_single(r, which, err) : build(r, err);
	if (rc == 0)
		rc = commit_apply(r->commit, err);
	return rc < 0 ? err_note(err, rc, "network %s", network_name(r->network)) : 0;
}

static int enter_and_run(struct rollback *r, const struct gaps *which, struct err *err)
{
	const struct rollback_options *o = r->options;

	*r->result = (struct rollback_result){ 0 };
	int rc = gate_enter(o->gate, o->stop);

	if (rc < 0)
		return err_set(err, rc, "interrupted while writing is held back");
	rc = run(r, which, err);
	gate_leave(o->gate);
	return rc;
}

int rollback(struct network *n, const struct rollback_options *o, struct rollback_result *out,
	     struct err *err)
{
	AUTO(release) struct rollback r = { .network = n, .options = o, .result = out };
	int rc = enter_and_run(&r, NULL, err);

	if (rc == 0)
		tell(&r);
	return rc;
}

int rollback_blocks(struct network *n, const struct rollback_options *o, const struct gaps *which,
		    struct rollback_result *out, struct err *err)
{
	AUTO(release) struct rollback r = { .network = n, .options = o, .result = out };

	if (o->shard >= SHARD_MAX)
		return err_set(err, -EINVAL, "there is no shard %u", o->shard);
	int rc = enter_and_run(&r, which, err);

	if (rc == 0)
		trace_info("ingest", "blocks let go",
			   "network=%s shard=%u blocks=%" PRIu64 " branch=%u reason=\"%s\"",
			   network_name(n), o->shard, out->blocks, out->branch, o->reason);
	return rc;
}
