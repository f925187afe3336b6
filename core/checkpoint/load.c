#include "core/checkpoint/load.h"

#include "core/base/files.h"
#include "core/checkpoint/pack.h"
#include "core/ingest/ingest.h"

#include <fcntl.h>
#include <stdio.h>

#define PATH_SIZE      4096
#define VSHARDS        256u
#define CARRIER_TARGET (128u << 10) /* bytes of one carrier: what is unpacked to read one object */
#define RUN_BYTES_MAX  (32u << 20)  /* rows and bytes of a batch */
#define ROW_COST       200u         /* of memory and batch, beside a row's own bytes */
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

struct waiting { /* a stat record that waits for its carrier */
	uint64_t object;
	struct stat_record stat;
};

struct loading {
	const struct load *from;
	const struct checkpoint_info *info;
	const struct chain_ops *ops;
	const struct store *store;
	struct network *network;
	struct commit *commit;

	const struct checkpoint_shard *shard; /* the one that is being read */
	struct state *state;
	struct chain_rooter *rooter;
	size_t run_bytes; /* put since the last commit */
	struct buf carried;
	struct waiting *waiting;
	size_t waiting_count, waiting_cap;
	uint64_t records, records_total;
	struct buf text, value; /* scratch */
};

static void loading_release(struct loading *r)
{
	if (r->rooter)
		r->ops->root_free(r->rooter);
	r->rooter = NULL;
	state_freep(&r->state);
	commit_freep(&r->commit);
	buf_release(&r->carried);
	buf_release(&r->text);
	buf_release(&r->value);
	free(r->waiting);
	r->waiting = NULL;
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

/* ---- batches ---- */

/* Objects whose bytes were gathered get their carrier. */
static int put_carrier(struct loading *r, struct err *err)
{
	uint64_t carrier;

	if (r->waiting_count == 0)
		return 0;
	int rc = commit_carried(r->commit, buf_slice(&r->carried), &carrier, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; rc == 0 && i < r->waiting_count; i++) {
		r->waiting[i].stat.carrier = carrier;
		rc = commit_stat(r->commit, r->waiting[i].object, &r->waiting[i].stat);
	}
	r->waiting_count = 0;
	buf_clear(&r->carried);
	return rc < 0 ? err_set(err, rc, "no memory for stat records") : 0;
}

static int apply(struct loading *r, struct err *err)
{
	int rc = put_carrier(r, err);

	if (rc < 0)
		return rc;
	rc = state_block_end(r->state);
	if (rc == 0)
		rc = commit_state(r->commit, r->state);
	if (rc < 0)
		return err_set(err, rc, "the rows of shard %u cannot be written: %s",
			       r->shard->shard, strerror(-rc));
	rc = store_space(r->store, err);
	if (rc == 0)
		rc = commit_apply(r->commit, err);
	r->run_bytes = 0;
	return rc;
}

/* Rows of one height in several batches: nobody reads the store before the last. */
static int next_batch(struct loading *r, struct err *err)
{
	int rc = r->run_bytes < RUN_BYTES_MAX ? 1 : apply(r, err);

	if (rc)
		return MIN(rc, 0);
	rc = state_block_begin(r->state, r->shard->height);
	return rc < 0 ? err_set(err, rc, "the next batch cannot begin: %s", strerror(-rc)) : 0;
}

static int put_row(void *arg, enum space space, struct slice key, struct slice value)
{
	struct loading *r = arg;

	r->run_bytes += key.n + value.n + ROW_COST;
	return state_put(r->state, space, key, value, true);
}

/* ---- records ---- */

static int object_sizes(struct loading *r, const struct pack_record *rec, struct stat_record *out)
{
	struct chain_object o = { .form = rec->form, .bytes = rec->object, .time = rec->time };

	for (int line = 0; line < 2; line++) {
		buf_clear(&r->text);
		int rc = r->ops->render_object(&o, line, &r->text);

		if (rc == 0)
			rc = buf_done(&r->text);
		if (rc < 0)
			return rc;
		*(line ? &out->line_size : &out->json_size) = (uint32_t)r->text.n;
	}
	return 0;
}

/* The object gets an id of this store; its bytes and stat record wait for their carrier. */
static int put_object(struct loading *r, const struct pack_record *rec, uint64_t *object)
{
	struct view *v = commit_view(r->commit);
	struct stat_record stat = {
		.type = rec->inner ? OBJECT_INNER : OBJECT_ITEM,
		.form = rec->form,
		.shard = r->shard->shard,
		.height = rec->height,
		.item = rec->item,
		.time = rec->time,
		.offset = (uint32_t)r->carried.n,
		.size = (uint32_t)rec->object.n,
		.renderer = r->ops->renderer,
	};
	int rc = object_sizes(r, rec, &stat);

	if (rc < 0)
		return rc;
	if (r->waiting_count == r->waiting_cap) {
		size_t cap = MAX(2 * r->waiting_cap, 1024);
		struct waiting *more = realloc(r->waiting, cap * sizeof *more);

		if (!more)
			return -ENOMEM;
		r->waiting = more;
		r->waiting_cap = cap;
	}
	buf_add(&r->carried, rec->object);
	if (buf_done(&r->carried) < 0)
		return buf_done(&r->carried);
	*object = v->next_object++;
	r->waiting[r->waiting_count++] = (struct waiting){ *object, stat };
	r->run_bytes += rec->object.n + sizeof(struct waiting);
	return 0;
}

static int put_record(struct loading *r, enum space space, const struct pack_record *rec,
		      struct err *err)
{
	uint64_t object = 0;

	if (r->carried.n && r->carried.n + rec->object.n > CARRIER_TARGET) {
		int rc = put_carrier(r, err);

		if (rc < 0)
			return rc;
	}
	int rc = put_object(r, rec, &object);

	buf_clear(&r->value);
	if (rc == 0)
		rc = r->ops->record_join(object, rec->value, &r->value);
	if (rc == 0)
		rc = buf_done(&r->value);
	if (rc == 0)
		rc = put_row(r, space, rec->key, buf_slice(&r->value));
	if (rc < 0)
		return err_set(err, rc, "a record of height %" PRIu64 " cannot be put: %s",
			       rec->height, strerror(-rc));
	rc = r->ops->root_add(r->rooter, space, rec->key, buf_slice(&r->value), err);
	if (rc < 0)
		return rc;
	if (++r->records % TELL_RECORDS == 0) {
		if (r->from->progress)
			r->from->progress(r->from->arg, r->records, r->records_total);
		rc = stopped(r, err);
	}
	return rc < 0 ? rc : next_batch(r, err);
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
		rc = put_row(r, space, key, value);
		if (rc < 0)
			return err_set(err, rc, "%s: a row cannot be put: %s", name, strerror(-rc));
		if (++count % TELL_RECORDS == 0)
			rc = stopped(r, err);
		if (rc == 0)
			rc = next_batch(r, err);
	}
	return rc < 0 ? err_note(err, rc, "%s", name) : 0;
}

static int end_roots(struct loading *r, struct err *err)
{
	const struct checkpoint_shard *s = r->shard;
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;
	int rc = r->ops->root_end(r->rooter, roots, &retained, err);

	r->ops->root_free(TAKE(r->rooter));
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
	uint32_t shard = r->shard->shard;
	int rc = state_open(r->network, shard, UINT64_MAX, &r->state, err);

	if (rc == 0)
		rc = r->ops->root_new(shard, r->info->hyper, put_row, r, &r->rooter, err);
	if (rc < 0)
		return rc;
	rc = state_block_begin(r->state, r->shard->height);
	if (rc < 0)
		return err_set(err, rc, "shard %u: %s", shard, strerror(-rc));
	for (unsigned v = 0; rc == 0 && v < VSHARDS; v++)
		rc = put_vshard(r, v, err);
	if (rc == 0)
		rc = end_roots(r, err);
	if (rc == 0)
		rc = put_rules(r, SPACE_BOTH, err);
	if (rc == 0 && r->info->hyper)
		rc = put_rules(r, SPACE_HYPER, err);
	if (rc == 0)
		rc = apply(r, err);
	state_freep(&r->state);
	return rc;
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
	return ingest_restored(r->commit, b, err);
}

static int put_place(struct loading *r, struct err *err)
{
	const struct checkpoint_shard *s = r->shard;
	struct shard_view *sv = &commit_view(r->commit)->shards[s->shard];
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
	int rc = commit_roots(r->commit, s->shard, s->height, &roots);

	return rc < 0 ? err_set(err, rc, "no memory for the roots of shard %u", s->shard) : 0;
}

static int put_shards(struct loading *r, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < r->info->shard_count; i++)
		r->records_total += r->info->shards[i].legacy.records + r->info->shards[i].retained;
	for (uint32_t i = 0; rc == 0 && i < r->info->shard_count; i++) {
		r->shard = &r->info->shards[i];
		if (r->shard->shard >= commit_view(r->commit)->shard_count)
			return err_set(err, -EBADMSG, "the network has no shard %u",
				       r->shard->shard);
		rc = put_shard(r, err);
	}
	return rc;
}

static int put_places(struct loading *r, struct err *err)
{
	int rc = 0;

	for (uint32_t s = 0; s < commit_view(r->commit)->shard_count; s++)
		commit_view(r->commit)->shards[s].hyper_on = r->info->hyper;
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
		.store = s,
		.network = n,
		.carried = BUF_INIT(CARRIER_TARGET + PACK_ENTRY_MAX),
		.text = BUF_INIT(BLOCK_SIZE_MAX),
		.value = BUF_INIT(STATE_VALUE_MAX),
	};
	int rc = commit_new(n, &r.commit);

	if (rc < 0)
		return err_set(err, rc, "no memory for a batch");
	rc = put_shards(&r, err);
	if (rc == 0)
		rc = put_places(&r, err);
	if (rc == 0)
		rc = commit_apply(r.commit, err);
	if (rc == 0 && from->progress)
		from->progress(from->arg, r.records, r.records);
	return rc;
}
