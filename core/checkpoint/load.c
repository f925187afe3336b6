#include "core/checkpoint/load.h"

#include "core/base/files.h"
#include "core/checkpoint/fill.h"
#include "core/checkpoint/pack.h"
#include "core/ingest/ingest.h"

#include <fcntl.h>
#include <stdio.h>

#define PATH_SIZE      4096
#define VSHARDS        256u
#define TELL_RECORDS   1024u        /* between two looks at *stop, and two calls of progress */

/* ---- files ---- */

/* Nothing is held of what is not there: a pack without records. */
static int hold_file(const char *folder, const char *name, struct files_held *out, struct err *err)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", folder, name) >= sizeof path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	int rc = files_hold(AT_FDCWD, path, out);

	if (rc == -EBADMSG)
		return err_set(err, rc, "%s is no plain file", path);
	return rc == -ENOENT || rc == 0 ? 0 : err_set(err, rc, "%s: %s", path, strerror(-rc));
}

/* ---- one load ---- */

struct loading {
	const struct load *from;
	const struct checkpoint_info *info;
	const struct chain_ops *ops;
	struct network *network;
	struct fill fill;

	const struct checkpoint_shard *shard; /* the one that is being read */
	uint64_t records_total;
};

static void loading_release(struct loading *r)
{
	fill_release(&r->fill);
}

static int stopped(const struct loading *r, struct err *err)
{
	return r->from->stop && atomic_load(r->from->stop)
		       ? err_set(err, -EINTR, "interrupted; nothing was made")
		       : 0;
}

static int changed(const struct loading *r, struct err *err)
{
	return err_set(err, -EBADMSG, "%s was changed while it was read", r->from->folder);
}

static int put_record(struct loading *r, enum space space, const struct pack_record *rec,
		      struct err *err)
{
	int rc = fill_record(&r->fill,
			     &(struct fill_record){
				     .space = space,
				     .key = rec->key,
				     .rest = rec->value,
				     .object = { rec->form, rec->object, rec->time },
				     .height = rec->height,
				     .item = rec->item,
				     .inner = rec->inner,
			     },
			     err);

	if (rc < 0 || r->fill.records % TELL_RECORDS != 0)
		return rc;
	if (r->from->progress)
		r->from->progress(r->from->arg, r->fill.records, r->records_total);
	return stopped(r, err);
}

/* ---- packs ---- */

struct cursor { /* the records of one space, of one vshard */
	struct files_held file;
	struct pack_reader reader;
	struct pack_record next;
	int more; /* 1: `next` is one */
};

static void cursor_release(struct cursor *c)
{
	files_let_go(&c->file);
}

static int cursor_step(struct cursor *c, struct err *err)
{
	c->more = pack_record_next(&c->reader, &c->next, err);
	return MIN(c->more, 0);
}

static int cursor_open(const struct loading *r, const char *context, unsigned vshard,
		     struct cursor *out, struct err *err)
{
	char name[CHECKPOINT_PATH_MAX];

	snprintf(name, sizeof name, "%s/%u/%02x.pb", context, r->shard->shard, vshard);
	int rc = hold_file(r->from->folder, name, &out->file, err);

	out->reader = PACK_READER(out->file.bytes);
	if (rc == 0)
		rc = cursor_step(out, err);
	return rc < 0 ? err_note(err, rc, "%s", name) : 0;
}

/* Both contexts' records of a vshard at once, in the order of their keys: that is what roots are
 * made of. */
static int put_vshard(struct loading *r, unsigned vshard, struct err *err)
{
	AUTO(cursor_release) struct cursor both = { .more = 0 };
	AUTO(cursor_release) struct cursor hyper = { .more = 0 };
	int rc = cursor_open(r, context_rules[CONTEXT_LEGACY].name, vshard, &both, err);

	if (rc == 0 && r->info->hyper)
		rc = cursor_open(r, "retained", vshard, &hyper, err);
	while (rc == 0 && (both.more || hyper.more)) {
		bool first =
			both.more && (!hyper.more || slice_cmp(both.next.key, hyper.next.key) < 0);
		struct cursor *c = first ? &both : &hyper;

		rc = put_record(r, first ? SPACE_BOTH : SPACE_HYPER, &c->next, err);
		if (rc == 0)
			rc = cursor_step(c, err);
	}
	return rc < 0 ? err_note(err, rc, "shard %u, vshard %02x", r->shard->shard, vshard) : 0;
}

static int put_rules(struct loading *r, enum space space, struct err *err)
{
	AUTO(files_let_go) struct files_held file = FILES_HELD_NONE;
	char name[CHECKPOINT_PATH_MAX];
	struct slice key, value;
	uint64_t count = 0;

	snprintf(name, sizeof name, "rules/%u/%s.pb", r->shard->shard,
		 space == SPACE_BOTH ? "both" : "hyper");
	int rc = hold_file(r->from->folder, name, &file, err);
	struct pack_reader reader = PACK_READER(file.bytes);

	while (rc == 0 && (rc = pack_row_next(&reader, &key, &value, err)) == 1) {
		if (r->ops->row_kind(key) != CHAIN_ROW_RULE)
			return err_set(err, -EBADMSG, "%s: a row that is none of the rules'", name);
		rc = fill_rule(&r->fill, space, key, value, err);
		if (rc == 0 && ++count % TELL_RECORDS == 0)
			rc = stopped(r, err);
	}
	return rc < 0 ? err_note(err, rc, "%s", name) : 0;
}

static int end_roots(struct loading *r, struct err *err)
{
	const struct checkpoint_shard *s = r->shard;
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;
	int rc = fill_roots(&r->fill, roots, &retained, err);

	if (rc < 0)
		return rc;
	if (!chain_root_eq(&roots[CONTEXT_LEGACY], &s->legacy) ||
	    (r->info->hyper &&
	     (!chain_root_eq(&roots[CONTEXT_HYPER], &s->hyper) || retained != s->retained)))
		return changed(r, err); /* it was proved to make these roots */
	return 0;
}

/* Rows as of the shard's height, all of which are new. */
static int put_shard(struct loading *r, struct err *err)
{
	int rc = fill_begin(&r->fill, r->shard->shard, r->shard->height, r->info->hyper, err);

	for (unsigned v = 0; rc == 0 && v < VSHARDS; v++)
		rc = put_vshard(r, v, err);
	if (rc == 0)
		rc = end_roots(r, err);
	if (rc == 0)
		rc = put_rules(r, SPACE_BOTH, err);
	if (rc == 0 && r->info->hyper)
		rc = put_rules(r, SPACE_HYPER, err);
	return rc == 0 ? fill_end(&r->fill, err) : rc;
}

/* ---- blocks, and where the shards stand ---- */

static int read_file(const struct loading *r, const char *name, struct buf *out, struct err *err)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", r->from->folder, name) >= sizeof path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", r->from->folder);
	return files_read_plain(AT_FDCWD, path, BLOCK_SIZE_MAX, out, err);
}

/* A block that the main one witnesses may come without a certificate of its own. */
static int put_block(struct loading *r, struct err *err)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(chain_block_freep) struct chain_block *b = NULL;
	char name[CHECKPOINT_PATH_MAX];
	uint32_t shard = r->shard->shard;

	snprintf(name, sizeof name, "blocks/%" PRIu32 "%s", shard, r->ops->block_suffix);
	int rc = read_file(r, name, &canonical, err);

	snprintf(name, sizeof name, "evidence/commits-%" PRIu32 "%s", shard, r->ops->block_suffix);
	if (rc == 0)
		rc = read_file(r, name, &certificate, err);
	if (rc == -ENOENT && shard && canonical.n)
		rc = 0;
	if (rc == 0)
		rc = r->ops->decode(network_params(r->network), shard == 0, true, &canonical,
				    &certificate, &b, err);
	if (rc < 0)
		return rc;
	enum verdict commit = b->levels[LEVEL_COMMIT].verdict;

	if (b->shard != shard || b->height != r->shard->height ||
	    memcmp(b->hash, r->shard->hash, HASH_SIZE) != 0 ||
	    (commit != VERDICT_OK && (shard == 0 || commit != VERDICT_ABSENT)))
		return changed(r, err);
	return ingest_restored(r->fill.commit, b, err);
}

static int put_place(struct loading *r, struct err *err)
{
	const struct checkpoint_shard *s = r->shard;
	struct shard_view *sv = &commit_view(r->fill.commit)->shards[s->shard];
	bool at_base = s->base_height && s->height <= s->base_height;
	struct roots_row roots = {
		.legacy = s->legacy,
		.hyper = r->info->hyper ? s->hyper : s->legacy,
		.has_hyper = r->info->hyper && !at_base,
		.retained = s->retained,
	};

	sv->begins = sv->kept_from = sv->replayed = s->height;
	sv->replayed_time = s->time;
	memcpy(sv->replayed_hash, s->hash, HASH_SIZE);
	sv->legacy = roots.legacy;
	sv->hyper = roots.hyper;
	sv->retained = s->retained;
	sv->base_height = s->base_height;
	sv->base_root_size = s->base_root_size;
	memcpy(sv->base_root, s->base_root, sizeof sv->base_root);
	sv->diverged = roots.has_hyper && !slice_eq(SLICE(s->legacy.root, s->legacy.root_size),
						    SLICE(s->hyper.root, s->hyper.root_size));
	int rc = commit_roots(r->fill.commit, s->shard, s->height, &roots);

	return rc < 0 ? err_set(err, rc, "no memory for the roots of shard %u", s->shard) : 0;
}

static int put_shards(struct loading *r, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->info->shard_count; i++)
		r->records_total += r->info->shards[i].legacy.records + r->info->shards[i].retained;
	for (uint32_t i = 0; rc == 0 && i < r->info->shard_count; i++) {
		r->shard = &r->info->shards[i];
		if (r->shard->shard >= commit_view(r->fill.commit)->shard_count)
			return err_set(err, -EBADMSG, "the network has no shard %u",
				       r->shard->shard);
		rc = put_shard(r, err);
	}
	return rc;
}

static int put_places(struct loading *r, struct err *err)
{
	int rc = 0;

	for (uint32_t s = 0; s < commit_view(r->fill.commit)->shard_count; s++)
		commit_view(r->fill.commit)->shards[s].hyper_on = r->info->hyper;
	for (uint32_t i = 0; rc == 0 && i < r->info->shard_count; i++) {
		r->shard = &r->info->shards[i];
		rc = put_block(r, err);
		if (rc == 0)
			rc = put_place(r, err);
	}
	return rc;
}

int checkpoint_load(const struct load *from, const struct store *s, struct network *n,
		    struct err *err)
{
	AUTO(loading_release)
	struct loading r = {
		.from = from,
		.info = from->info,
		.ops = network_ops(n),
		.network = n,
	};
	int rc = fill_init(&r.fill, s, n, err);

	if (rc == 0)
		rc = put_shards(&r, err);
	if (rc == 0)
		rc = put_places(&r, err);
	if (rc == 0)
		rc = commit_apply(r.fill.commit, err);
	if (rc == 0 && from->progress)
		from->progress(from->arg, r.fill.records, r.fill.records);
	return rc;
}
