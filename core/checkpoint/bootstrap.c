#include "core/checkpoint/bootstrap_inside.h"

#include "core/checkpoint/part.h"
#include "core/ingest/ingest.h"

#include <stdio.h>
#include <sys/stat.h>

#define METADATA_SIZE_MAX (256u << 20)
#define TELL_BLOCKS       64u
#define SNAPSHOTS_MAX     256u /* of a shard; a node keeps a few */

static void boot_release(struct boot *b)
{
	fill_release(&b->fill);
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		chain_block_freep(&b->at[s]);
	store_closep(&b->store);
	if (b->params)
		b->ops->params_free(b->params);
	b->params = NULL;
}

int boot_stopped(const struct boot *b, struct err *err)
{
	return b->stop && atomic_load(b->stop)
		       ? err_set(err, -EINTR, "interrupted; nothing was made")
		       : 0;
}

/* ---- blocks ---- */

int boot_decode(struct boot *b, uint32_t shard, struct slice received, bool verify,
		struct chain_block **out, struct err *err)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = b->ops->split(received, shard == 0, &canonical, &certificate, err);

	return rc < 0 ? rc
		      : b->ops->decode(b->params, shard == 0, verify, &canonical, &certificate, out,
				       err);
}

int boot_block(struct boot *b, uint32_t shard, uint64_t height, bool verify,
	       struct chain_block **out, struct err *err)
{
	AUTO(buf_release) struct buf received = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = b->from->block ? b->from->block(b->from->arg, shard, height, &received, err) : 0;

	if (rc != 1)
		return rc;
	b->out->shards[shard].bytes += received.n;
	rc = boot_decode(b, shard, buf_slice(&received), verify, out, err);
	if (rc == 0 && ((*out)->shard != shard || (*out)->height != height))
		rc = err_set(err, -EPROTO, "block %" PRIu64 " of shard %u came instead",
			     (*out)->height, (*out)->shard);
	return rc < 0 ? err_note(err, rc, "shard %u height %" PRIu64, shard, height) : 1;
}

/* ---- which snapshot ---- */

/* Does the block prove itself, and signed by whom it must be? */
static int trusted(const struct boot *b, const struct chain_block *at, uint32_t shard,
		   uint64_t height, struct err *err)
{
	static const enum level asked[] = { LEVEL_STRUCTURE, LEVEL_HEADER, LEVEL_COMMIT };

	if (at->shard != shard || at->height != height)
		return err_set(err, -EBADMSG,
			       "the snapshot of height %" PRIu64 " has another block", height);
	for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
		const struct level_result *l = &at->levels[asked[i]];
		bool ok = l->verdict == VERDICT_OK ||
			  (asked[i] == LEVEL_STRUCTURE && l->verdict == VERDICT_PENDING);

		if (!ok)
			return err_set(err, asked[i] == LEVEL_COMMIT ? -EKEYREJECTED : -EBADMSG,
				       "the block of height %" PRIu64 " is not trusted: %s: %s%s%s",
				       height, level_names[asked[i]], verdict_names[l->verdict],
				       l->reason[0] ? ": " : "", l->reason);
	}
	return 0;
}

/* The highest that is offered below `ceiling`: 1, and *out. */
static int next_snapshot(const struct boot *b, struct slice message, uint64_t ceiling,
			 struct chain_snapshot *out, struct err *err)
{
	struct chain_snapshot s;
	int found = 0, rc;

	for (size_t i = 0; (rc = b->ops->replica_snapshot(message, i, &s, err)) == 1; i++) {
		if (i == SNAPSHOTS_MAX)
			return err_set(err, -EMSGSIZE, "more than %u are offered", SNAPSHOTS_MAX);
		if (!s.height || s.height >= ceiling || !s.block.n ||
		    (b->o->height && s.height != b->o->height) || (found && s.height < out->height))
			continue;
		*out = s;
		found = 1;
	}
	return rc < 0 ? rc : found;
}

static int choose(struct boot *b, uint32_t shard, struct err *err)
{
	AUTO(buf_release) struct buf message = BUF_INIT(METADATA_SIZE_MAX);
	struct chain_snapshot s = { .height = UINT64_MAX };
	struct err why = ERR_INIT, newest = ERR_INIT;
	int rc = b->from->metadata(b->from->arg, shard, &message, err), newest_rc = 0;

	b->out->shards[shard].bytes += message.n;
	while (rc == 0 && (rc = next_snapshot(b, buf_slice(&message), s.height, &s, err)) == 1) {
		chain_block_freep(&b->at[shard]);
		rc = boot_decode(b, shard, s.block, true, &b->at[shard], &why);
		if (rc == 0)
			rc = trusted(b, b->at[shard], shard, s.height, &why);
		if (rc == 0)
			return 0;
		if (rc == -ENOMEM)
			break;
		if (!newest_rc) {
			newest_rc = rc;
			newest = why;
		}
		rc = 0;
	}
	if (rc < 0)
		return err_note(err, rc, "shard %u: snapshots", shard);
	if (newest_rc)
		return err_set(err, newest_rc, "shard %u: no snapshot is trusted: %.300s", shard,
			       err_text(&newest, newest_rc));
	if (b->o->height)
		return err_set(err, -ENODATA,
			       "shard %u: no snapshot of height %" PRIu64 " is offered", shard,
			       b->o->height);
	return err_set(err, -ENODATA, "shard %u: no snapshot is offered", shard);
}

/* ---- shard 0, from its first block on ---- */

/* What the data shards stand at is behind this block. */
static bool covers(const struct boot *b, const struct chain_block *main)
{
	uint32_t covered = 1;

	for (size_t i = 0; i < main->witness_count; i++)
		if (main->witnesses[i].shard < b->out->shard_count)
			covered += main->witnesses[i].height >=
				   b->at[main->witnesses[i].shard]->height;
	return covered >= b->out->shard_count;
}

static int submit_main(struct boot *b, struct ingest *in, struct err *err)
{
	for (uint64_t h = 1;; h++) {
		AUTO(buf_release) struct buf received = BUF_INIT(BLOCK_SIZE_MAX);
		AUTO(chain_block_freep) struct chain_block *block = NULL;
		int rc = boot_stopped(b, err);

		if (rc == 0)
			rc = b->from->block(b->from->arg, 0, h, &received, err);
		if (rc != 1)
			return rc; /* there are no more: shard 0 stays behind the others */
		b->out->shards[0].bytes += received.n;
		rc = boot_decode(b, 0, buf_slice(&received), false, &block, err);
		if (rc == 0)
			rc = ingest_submit(in, 0, h, &received, err);
		if (rc < 0)
			return err_note(err, rc, "shard 0 height %" PRIu64, h);
		b->out->shards[0].records = h;
		if (b->o->progress && h % TELL_BLOCKS == 0)
			b->o->progress(b->o->arg, 0, 0, h);
		if (covers(b, block))
			return 0;
	}
}

static int main_refused(struct boot *b, struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(b->network);
	const struct gaps *g = &v->shards[0].gaps;

	if (!g->fault_count)
		return err_set(err, -EBADMSG, "a block of shard 0 is refused");
	return err_set(err, g->faults[0].reason == GAP_STATE ? -EUCLEAN : -EBADMSG,
		       "shard 0 height %" PRIu64 " is refused: %s", g->faults[0].height,
		       g->faults[0].error);
}

static int replay_main(struct boot *b, struct err *err)
{
	AUTO(ingest_freep) struct ingest *in = NULL;
	struct ingest_options options = { .stop = b->stop };
	struct ingest_totals totals;
	struct err end = ERR_INIT;
	int rc = ingest_start(b->network, &options, &in, err);

	if (rc == 0 && b->o->hyper)
		rc = ingest_set_hyper(in, true, err);
	if (rc < 0)
		return rc;
	if (b->from->block)
		rc = submit_main(b, in, err);
	int finished = ingest_finish(in, &end);

	if (finished < 0 && rc == 0) {
		*err = end;
		rc = finished;
	}
	ingest_totals(in, &totals);
	if (rc == 0 && totals.refused)
		rc = main_refused(b, err);
	AUTO(view_putp) struct view *v = network_view_get(b->network);

	b->out->shards[0].height = v->shards[0].replayed;
	b->out->shards[0].root = v->shards[0].legacy;
	return rc;
}

/* ---- the data shards ---- */

static int put_place(struct boot *b, uint32_t shard, struct err *err)
{
	const struct chain_block *at = b->at[shard];
	struct commit *c = b->fill.commit;
	struct roots_row roots = { .legacy = b->out->shards[shard].root };
	int rc = ingest_restored(c, at, err);

	if (rc < 0)
		return rc;
	struct shard_view *sv = &commit_view(c)->shards[shard];

	roots.hyper = roots.legacy;
	sv->begins = sv->kept_from = sv->replayed = at->height;
	sv->replayed_time = at->time;
	memcpy(sv->replayed_hash, at->hash, HASH_SIZE);
	sv->legacy = sv->hyper = roots.legacy;
	sv->hyper_on = b->o->hyper;
	sv->base_height = b->o->hyper ? at->height : 0;
	sv->base_root_size = b->o->hyper ? roots.legacy.root_size : 0;
	memcpy(sv->base_root, roots.legacy.root, sv->base_root_size);
	rc = commit_roots(c, shard, at->height, &roots);
	return rc < 0 ? err_set(err, rc, "no memory for the roots of shard %u", shard) : 0;
}

static int fill_shards(struct boot *b, struct err *err)
{
	int rc = fill_init(&b->fill, b->store, b->network, err);

	for (uint32_t s = 1; rc == 0 && s < b->out->shard_count; s++) {
		rc = boot_pages(b, s, err);
		b->out->shards[s].height = b->at[s]->height;
	}
	for (uint32_t s = 1; rc == 0 && s < b->out->shard_count; s++)
		rc = put_place(b, s, err);
	return rc == 0 ? commit_apply(b->fill.commit, err) : rc;
}

static int make(struct boot *b, const char *part, struct err *err)
{
	struct store_options options = {
		.create = true,
		.holder = "bootstrap",
		.sync_off = b->o->sync_off,
	};
	int rc = store_open(part, &options, &b->store, err);

	if (rc == 0)
		rc = store_space(b->store, err);
	if (rc == 0)
		rc = store_network_new(b->store, b->o->network, b->ops, b->o->params,
				       b->o->trust ? b->o->trust : "archive", &b->network, err);
	if (rc == 0)
		rc = replay_main(b, err);
	if (rc == 0)
		rc = fill_shards(b, err);
	return rc;
}

int bootstrap(const struct replica *from, const char *path, const struct bootstrap_options *o,
	      const atomic_bool *stop, struct bootstrap_result *out, struct err *err)
{
	AUTO(boot_release)
	struct boot b = { .from = from, .o = o, .ops = o->ops, .stop = stop, .out = out };
	char part[PART_PATH_MAX];
	struct stat st;

	*out = (struct bootstrap_result){ .shard_count = 0 };
	if (lstat(path, &st) == 0)
		return err_set(err, -EEXIST, "%s is there already; a bootstrap makes a new store",
			       path);
	if (!o->ops->replica_new)
		return err_set(err, -EOPNOTSUPP, "a chain of kind %s has no state to hand out",
			       o->ops->kind);
	int rc = o->ops->params_parse(o->params, &b.params, err);

	if (rc < 0)
		return err_note(err, rc, "parameters");
	out->shard_count = MIN(o->ops->shard_count(b.params), SHARD_MAX);
	for (uint32_t s = 1; rc == 0 && s < out->shard_count; s++)
		rc = choose(&b, s, err);
	if (rc == 0)
		rc = part_begin(path, part, err);
	if (rc < 0)
		return rc;
	rc = make(&b, part, err);
	if (rc == 0)
		rc = boot_stopped(&b, err);
	if (rc == 0) {
		boot_release(&b);
		rc = part_place(part, path, err);
	}
	if (rc < 0) {
		boot_release(&b);
		rc = part_drop(part, rc, err);
	}
	return rc;
}

/* ---- marks ---- */

int bootstrap_marked(struct network *n, uint32_t shard, bootstrap_mark *each, void *arg,
		     struct err *err)
{
	const struct chain_ops *ops = network_ops(n);
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	struct slice key, value;
	int count = 0;

	if (!ops->mark_prefix)
		return 0;
	ops->mark_prefix(&prefix);
	int rc = buf_done(&prefix);

	if (rc == 0)
		rc = state_open(n, shard, UINT64_MAX, &st, err);
	if (rc == 0)
		rc = state_scan_new(st, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		char text[REASON_SIZE];
		uint64_t account;

		rc = ops->mark_read(key, value, &account, text);
		if (rc == 0 && each)
			rc = each(arg, account, text);
		if (rc)
			return rc < 0 ? err_note(err, rc, "marks of shard %u", shard) : rc;
		count++;
	}
	return rc < 0 ? err_note(err, rc, "marks of shard %u", shard) : count;
}
