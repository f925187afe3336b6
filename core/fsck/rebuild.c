/* Blocks out of a damaged network, into one made anew. */
#include "core/fsck/rebuild.h"

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/load.h"
#include "core/checkpoint/prove.h"
#include "core/ingest/ingest.h"
#include "core/ingest/repair.h"
#include "core/store/blocks.h"
#include "core/store/inside.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE     4096
#define ROW_BYTES_MAX (32u << 20)
#define CACHE_BYTES   (32u << 20)
#define FRAMES_KEPT   16u
#define DAMAGED_MAX   100000u /* heights told apart; all are gaps */
#define SILENCE_MAX   200000u /* heights without a row, one by one, until a shard is at its end */
#define SALVAGE_NAME  "..salvage.new" /* taken away by the next open, whatever happens */

/* ---- what can still be read ---- */

struct kept_frame {
	struct frame_ref ref;
	uint8_t *bytes;
};

struct old {
	char folder[PATH_SIZE], salvage[PATH_SIZE];
	struct db_cache *cache;
	struct db *db;
	struct segments *segments;
	struct kept_frame frames[FRAMES_KEPT];
	size_t next_frame;
};

struct old_shard { /* how far it is read */
	struct db_iter *it;
	bool begun, stepwise,
		ended;   /* stepwise: behind a damaged block of rows, height by height */
	uint64_t height; /* given last */
	uint64_t known, silence;
	uint64_t begins, base_height;
	bool hyper_on;
	uint64_t *damaged;
	size_t damaged_count, damaged_cap;
};

struct rebuilding {
	struct store *store;
	const char *name;
	const struct rebuild_options *options;
	struct rebuild_totals *totals;
	struct old old;
	struct buf identity_row;
	struct identity identity;
	const struct chain_ops *ops;
	struct chain_params *params;
	struct old_shard shards[SHARD_MAX];
	uint32_t shard_count;
	struct network *fresh;
	struct ingest *ingest;
};

static void old_release(struct old *o)
{
	for (size_t i = 0; i < FRAMES_KEPT; i++)
		free(o->frames[i].bytes);
	segments_closep(&o->segments);
	db_closep(&o->db);
	db_cache_freep(&o->cache);
	if (o->salvage[0])
		(void)!files_remove_tree(AT_FDCWD, o->salvage);
	*o = (struct old){ .db = NULL };
}

static void rebuilding_release(struct rebuilding *r)
{
	ingest_freep(&r->ingest);
	network_closep(&r->fresh);
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		db_iter_freep(&r->shards[s].it);
		free(r->shards[s].damaged);
	}
	old_release(&r->old);
	if (r->params)
		r->ops->params_free(r->params);
	buf_release(&r->identity_row);
}

static int copy_file(const char *from, const char *to, struct err *err)
{
	AUTO(buf_release) struct buf bytes = BUF_INIT(UINT32_MAX);
	int rc = files_read_plain(AT_FDCWD, from, UINT32_MAX, &bytes, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int fd = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return files_error(err, to);
	rc = files_write(fd, buf_slice(&bytes));
	return rc < 0 ? err_set(err, rc, "%s: %s", to, strerror(-rc)) : 0;
}

/* The files of the database at a place where they may be changed: tables, which nobody writes in
 * place, are linked. */
static int copy_database(const char *from, const char *to, struct err *err)
{
	AUTO(files_dir_closep) DIR *dir = opendir(from);
	const struct dirent *e;
	int rc = files_remove_tree(AT_FDCWD, to);

	if (!dir)
		return files_error(err, from);
	if (rc < 0 || mkdir(to, 0700) < 0)
		return files_error(err, to);
	while (rc == 0 && (e = readdir(dir))) {
		char source[2 * PATH_SIZE], target[2 * PATH_SIZE];
		size_t n = strlen(e->d_name);
		bool table = n > 4 && strcmp(e->d_name + n - 4, ".sst") == 0;

		if (!table && !(n > 4 && strcmp(e->d_name + n - 4, ".log") == 0) &&
		    strncmp(e->d_name, "MANIFEST-", 9) != 0)
			continue;
		snprintf(source, sizeof source, "%s/%s", from, e->d_name);
		snprintf(target, sizeof target, "%s/%s", to, e->d_name);
		if (!table)
			rc = copy_file(source, target, err);
		else if (link(source, target) < 0)
			rc = files_error(err, target);
	}
	return rc;
}

/* As it is where it opens; else what can be put together of its files. */
static int open_old(struct rebuilding *r, struct err *err)
{
	struct old *o = &r->old;
	struct witness w;
	struct err why = ERR_INIT;
	char path[PATH_SIZE + 16];

	snprintf(o->folder, sizeof o->folder, "%s/networks/%s", store_path(r->store), r->name);
	o->cache = db_cache_new(CACHE_BYTES);
	if (!o->cache)
		return err_set(err, -ENOMEM, "no memory for a cache");
	struct db_options options = { .cache = o->cache, .read_only = true };

	snprintf(path, sizeof path, "%s/segments", o->folder);
	int rc = segments_open_read(path, (struct segments_end){ 0 }, &o->segments, err);

	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%s/db", o->folder);
	rc = witness_read(o->folder, &w) ? witness_manifest(o->folder, &w, &why) : 0;
	if (rc == 0)
		rc = db_open(path, &options, &o->db, &why);
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	trace_warn("fsck", "the database does not open; what its files hold is put together",
		   "network=%s reason=\"%s\"", r->name, err_text(&why, rc));
	snprintf(o->salvage, sizeof o->salvage, "%s/networks/" SALVAGE_NAME, store_path(r->store));
	rc = copy_database(path, o->salvage, err);
	if (rc == 0)
		rc = db_salvage(o->salvage, err);
	options.read_only = false;
	return rc < 0 ? rc : db_open(o->salvage, &options, &o->db, err);
}

/* ---- what the network is ---- */

static int read_identity(struct rebuilding *r, struct err *err)
{
	int rc = db_get(r->old.db, FAMILY_META, slice_str(META_NETWORK), &r->identity_row, NULL);

	if (rc == -ENOMEM)
		return err_set(err, rc, "no memory for its parameters");
	if (rc != 1 || network_identity_read(buf_slice(&r->identity_row), &r->identity) < 0) {
		buf_clear(&r->identity_row);
		rc = identity_read(r->old.folder, &r->identity_row);
		if (rc == -ENOMEM)
			return err_set(err, rc, "no memory for its parameters");
		if (rc != 1 || network_identity_read(buf_slice(&r->identity_row), &r->identity) < 0)
			return err_set(err, -ENODATA,
				       "neither its database nor its file identity says what "
				       "network it is; remove %s and import it anew",
				       r->old.folder);
	}
	r->ops = chain_kind(r->identity.kind);
	if (!r->ops)
		return err_set(err, -EPROTONOSUPPORT,
			       "it is of kind %s, which this program does not know",
			       r->identity.kind);
	rc = r->ops->params_parse(r->identity.params, &r->params, err);
	if (rc == 0)
		r->shard_count = r->ops->shard_count(r->params);
	return rc;
}

/* Where neither row nor file says it: hyper is on if the newest roots that can be read have one of it,
 * and began at the newest that have none. 0 or -ENOMEM. */
static int hyper_of_roots(struct rebuilding *r, uint32_t s)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	struct old_shard *of = &r->shards[s];
	uint64_t height = 0, past = 1; /* so many heights past what cannot be read */
	int rc = db_iter_new(r->old.db, FAMILY_REPLAY, DB_ORDERED, &it);

	while (rc == 0 && past < UINT64_C(1) << 40) {
		struct short_key from = key_replay(REPLAY_ROOTS, s, height + 1);
		struct roots_row roots;
		uint32_t shard;
		uint8_t kind;

		rc = db_iter_seek(it, short_slice(&from), NULL);
		for (; rc == 1; rc = db_iter_next(it, NULL)) {
			if (key_replay_read(db_iter_key(it), &kind, &shard, &height) < 0 ||
			    kind != REPLAY_ROOTS || shard != s)
				return 0;
			past = 1;
			if (roots_row_read(db_iter_value(it), &roots) < 0)
				continue;
			of->hyper_on = roots.has_hyper;
			of->base_height = roots.has_hyper ? of->base_height : height;
		}
		if (rc == 0)
			return 0;
		rc = rc == -ENOMEM ? rc : 0;
		height += past;
		past *= 2;
	}
	return rc;
}

/* Of each shard: how far it is known, and with what its state began. The newer of rows and file. */
static int read_shards(struct rebuilding *r, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(ROW_BYTES_MAX);
	AUTO(base_freep) struct shard_view *sv = malloc(sizeof *sv);
	struct witness w;
	bool witnessed = witness_read(r->old.folder, &w) == 1;

	if (!sv)
		return err_set(err, -ENOMEM, "no memory for a shard");
	for (uint32_t s = 0; s < r->shard_count; s++) {
		struct old_shard *of = &r->shards[s];
		struct short_key key = key_meta_shard(META_SHARD, s);
		int rc = db_iter_new(r->old.db, FAMILY_BLOCKS, DB_ORDERED, &of->it);

		if (rc < 0)
			return err_set(err, rc, "no memory for an iterator");
		buf_clear(&value);
		*sv = (struct shard_view){ .known = 0 };
		bool told = db_get(r->old.db, FAMILY_META, short_slice(&key), &value, NULL) == 1 &&
			    shard_view_read(buf_slice(&value), sv) == 0;
		if (told) {
			of->known = sv->known;
			of->begins = sv->begins;
			of->base_height = sv->base_height;
			of->hyper_on = sv->hyper_on;
		}
		if (witnessed && s < w.shard_count) {
			of->known = MAX(of->known, w.shards[s].known);
			of->begins = w.shards[s].begins;
			of->base_height = w.shards[s].base_height;
			of->hyper_on = w.shards[s].hyper_on;
			told = true;
		}
		if (!told && hyper_of_roots(r, s) < 0)
			return err_set(err, -ENOMEM, "no memory for an iterator");
	}
	return 0;
}

/* ---- rows of blocks, ascending, around what is damaged ---- */

static int note_damaged(struct rebuilding *r, struct old_shard *of, uint64_t height)
{
	r->totals->damaged++;
	if (of->damaged_count == DAMAGED_MAX)
		return 0;
	if (base_grow(&of->damaged, &of->damaged_cap, of->damaged_count + 1,
		      sizeof *of->damaged) < 0)
		return -ENOMEM;
	of->damaged[of->damaged_count++] = height;
	return 0;
}

/* 1: a row; 0: none of that height, or none that can be read. */
static int step(struct rebuilding *r, uint32_t s, struct block_row *row)
{
	AUTO(buf_release) struct buf value = BUF_INIT(ROW_BYTES_MAX);
	struct old_shard *of = &r->shards[s];
	struct short_key key = key_block(s, ++of->height);
	int rc = db_get(r->old.db, FAMILY_BLOCKS, short_slice(&key), &value, NULL);

	if (rc == 1) {
		*row = (struct block_row){ .shard = s, .height = of->height };
		rc = block_row_read(buf_slice(&value), row) < 0 ? -EUCLEAN : 1;
	}
	if (rc < 0 && rc != -ENOMEM)
		rc = note_damaged(r, of, of->height);
	of->silence = rc == 1 ? 0 : of->silence + 1;
	return rc;
}

/* 1, 0 at the end, -ENOMEM. */
static int next_row(struct rebuilding *r, uint32_t s, struct block_row *row)
{
	struct old_shard *of = &r->shards[s];
	struct err why = ERR_INIT;

	while (!of->ended) {
		uint32_t shard;
		uint64_t height;
		int rc;

		if (of->stepwise) {
			rc = step(r, s, row);
			/* Readable again: on with the iterator. */
			of->stepwise = rc == 0;
			of->begun = false;
			of->ended = rc == 0 && (of->known ? of->height >= of->known
							      : of->silence > SILENCE_MAX);
			if (rc)
				return rc;
			continue;
		}
		struct short_key from = key_block(s, of->height + 1);

		rc = of->begun ? db_iter_next(of->it, &why)
				 : db_iter_seek(of->it, short_slice(&from), &why);
		of->begun = true;
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0) {
			of->stepwise = true;
			continue;
		}
		if (rc == 0 || key_block_read(db_iter_key(of->it), &shard, &height) < 0 ||
		    shard != s) {
			of->ended = true;
			break;
		}
		of->height = height;
		*row = (struct block_row){ .shard = s, .height = height };
		if (block_row_read(db_iter_value(of->it), row) == 0)
			return 1;
		rc = note_damaged(r, of, height);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- bytes ---- */

/* 0; -ENOMEM; else it cannot be read. */
static int frame_of(struct old *o, const struct segment_ref *ref, const uint8_t **out)
{
	struct frame_ref where = { ref->segment, ref->offset, ref->stored, ref->size };

	for (size_t i = 0; i < FRAMES_KEPT; i++) {
		const struct kept_frame *f = &o->frames[i];

		if (f->bytes && f->ref.segment == where.segment && f->ref.offset == where.offset &&
		    f->ref.size == where.size) {
			*out = f->bytes;
			return 0;
		}
	}
	if (ref->size > FRAME_SIZE_MAX)
		return -EBADMSG;
	struct kept_frame *f = &o->frames[o->next_frame++ % FRAMES_KEPT];

	free(f->bytes);
	f->ref = where;
	f->bytes = malloc(MAX(ref->size, 1u));
	if (!f->bytes)
		return -ENOMEM;
	int rc = segments_read(o->segments, &where, f->bytes, NULL);

	if (rc < 0) {
		free(f->bytes);
		f->bytes = NULL;
		return rc;
	}
	*out = f->bytes;
	return 0;
}

static int bytes_of(struct old *o, const struct block_row *row, struct slice *canonical,
		    struct slice *certificate)
{
	const struct segment_ref *ref = &row->bytes;
	const uint8_t *frame;
	uint8_t digest[HASH_SIZE];

	if (!ref->segment ||
	    (uint64_t)ref->inner + ref->canonical_size + ref->certificate_size > ref->size)
		return -EBADMSG;
	int rc = frame_of(o, ref, &frame);

	if (rc < 0)
		return rc;
	*canonical = SLICE(frame + ref->inner, ref->canonical_size);
	*certificate = SLICE(frame + ref->inner + ref->canonical_size, ref->certificate_size);
	if (!row->has_digest)
		return 0;
	hash_blake3(*canonical, digest);
	return memcmp(digest, row->digest, sizeof row->digest) == 0 ? 0 : -EBADMSG;
}

/* ---- taking over ---- */

static bool is_stopped(const struct rebuilding *r)
{
	return r->options->stop && atomic_load(r->options->stop);
}

static int take_over(struct rebuilding *r, const struct block_row *row, struct err *err)
{
	struct slice canonical, certificate;
	int rc = bytes_of(&r->old, row, &canonical, &certificate);

	if (rc == -ENOMEM || is_stopped(r))
		return err_set(err, rc < 0 ? rc : -EINTR, "%s",
			       rc < 0 ? "no memory for a frame"
				      : "interrupted; nothing has changed");
	if (rc < 0) {
		rc = note_damaged(r, &r->shards[row->shard], row->height);
		return rc < 0 ? err_set(err, rc, "no memory for the gaps") : 0;
	}
	r->totals->blocks++;
	if (r->options->progress)
		r->options->progress(r->options->arg, r->totals->blocks);
	return ingest_submit_split(r->ingest, row->shard, row->height, canonical, certificate, err);
}

static int begin_ingest(struct rebuilding *r, struct err *err)
{
	/* What was taken without a certificate was allowed then. */
	struct ingest_options o = { .allow_uncommitted = true, .stop = r->options->stop };

	return ingest_start(r->fresh, &o, &r->ingest, err);
}

static int end_ingest(struct rebuilding *r, struct err *err)
{
	int rc = ingest_finish(r->ingest, err);

	ingest_freep(&r->ingest);
	return rc;
}

/* A row that was read and is above the bound waits here for the next round. */
struct waiting {
	struct block_row row;
	bool has;
};

/* Blocks of every shard, in turn, up to a height of each. */
static int feed(struct rebuilding *r, struct waiting waiting[SHARD_MAX], const uint64_t *most,
		struct err *err)
{
	bool any = true;

	while (any) {
		any = false;
		for (uint32_t s = 0; s < r->shard_count; s++) {
			struct waiting *w = &waiting[s];
			int rc = w->has ? 1 : next_row(r, s, &w->row);

			if (rc < 0)
				return err_set(err, rc, "no memory for a row");
			w->has = rc == 1;
			if (!w->has || w->row.height > most[s])
				continue;
			w->has = false;
			any = true;
			rc = take_over(r, &w->row, err);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

/* ---- where the state began ---- */

static int newest_proved(struct rebuilding *r, char out[PATH_SIZE], struct proof *proof,
			 struct err *err)
{
	char folder[PATH_SIZE + 16];
	AUTO(files_dir_closep) DIR *dir = NULL;
	const struct dirent *e;
	uint64_t best = UINT64_MAX;
	AUTO(base_freep) struct proof *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory to prove a checkpoint");
	out[0] = 0;
	snprintf(folder, sizeof folder, "%s/checkpoints", r->old.folder);
	dir = opendir(folder);
	while (dir && (e = readdir(dir))) {
		char path[PATH_SIZE];
		uint64_t height;
		uint8_t prefix[4];

		/* The lowest: what follows it is replayed. */
		if (checkpoint_name_read(e->d_name, &height, prefix) < 0 || height >= best ||
		    (size_t)snprintf(path, sizeof path, "%s/%s", folder, e->d_name) >= sizeof path)
			continue;
		int rc = checkpoint_prove(path, r->params, r->options->stop, p, err);

		if (rc == -EINTR || rc == -ENOMEM)
			return rc;
		if (rc < 0 || proof_failed(p) != PROOF_COUNT)
			continue;
		best = height;
		memcpy(out, path, sizeof path);
		*proof = *p;
	}
	return out[0] ? 0
		      : err_set(err, -ENODATA,
				"its state began with a checkpoint, and none that is held "
				"proves: restore a new store from it, and import the blocks there");
}

static int load_checkpoint(struct rebuilding *r, struct err *err)
{
	AUTO(base_freep) struct proof *proof = calloc(1, sizeof *proof);
	AUTO(base_freep) char *folder = malloc(PATH_SIZE);

	if (!proof || !folder)
		return err_set(err, -ENOMEM, "no memory to prove a checkpoint");
	int rc = newest_proved(r, folder, proof, err);
	struct load load = { .folder = folder, .info = &proof->info, .stop = r->options->stop };

	return rc < 0 ? rc : checkpoint_load(&load, r->store, r->fresh, err);
}

/* ---- the whole ---- */

static int take_blocks(struct rebuilding *r, struct err *err)
{
	AUTO(base_freep) struct waiting *waiting = calloc(SHARD_MAX, sizeof *waiting);
	uint64_t all[SHARD_MAX], base[SHARD_MAX];
	bool restored = false, hyper = false, late = false;

	if (!waiting)
		return err_set(err, -ENOMEM, "no memory for rows");
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		const struct old_shard *of = &r->shards[s];

		all[s] = UINT64_MAX;
		base[s] = of->base_height;
		restored |= of->begins != 0;
		hyper |= of->hyper_on;
		late |= of->hyper_on && of->base_height != 0;
	}
	int rc = restored ? load_checkpoint(r, err) : 0;

	/* Hyper begins where it began. What a checkpoint carried of it says so itself. */
	if (rc == 0 && hyper && late && !restored) {
		rc = begin_ingest(r, err);
		if (rc == 0)
			rc = feed(r, waiting, base, err);
		if (rc == 0)
			rc = end_ingest(r, err);
	}
	if (rc == 0)
		rc = begin_ingest(r, err);
	if (rc == 0 && hyper && !restored)
		rc = ingest_set_hyper(r->ingest, true, err);
	if (rc == 0)
		rc = feed(r, waiting, all, err);
	return rc < 0 ? rc : end_ingest(r, err);
}

static int note_gaps(struct rebuilding *r, struct err *err)
{
	AUTO(repair_freep) struct repair *repair = NULL;
	int rc = repair_begin(r->fresh, NULL, NULL, r->options->stop, &repair, err);

	for (uint32_t s = 0; rc >= 0 && s < r->shard_count; s++)
		rc = repair_known(repair, s, r->shards[s].known, r->shards[s].damaged,
				  r->shards[s].damaged_count, err);
	if (rc >= 0)
		rc = repair_end(repair, err);
	if (rc < 0)
		return rc;
	AUTO(view_putp) struct view *v = network_view_get(r->fresh);

	for (uint32_t s = 0; s < v->shard_count; s++)
		r->totals->missing += v->shards[s].known - gaps_held(&v->shards[s].gaps);
	return 0;
}

int rebuild(struct store *s, const char *name, const struct rebuild_options *o,
	    struct rebuild_totals *out, struct err *err)
{
	AUTO(base_freep) struct rebuilding *all = calloc(1, sizeof *all);
	struct network *made;

	*out = (struct rebuild_totals){ 0 };
	if (!all)
		return err_set(err, -ENOMEM, "no memory to make a network anew");
	*all = (struct rebuilding){ .store = s, .name = name, .options = o, .totals = out };
	all->identity_row = (struct buf)BUF_INIT(ROW_BYTES_MAX);
	store_network_close(s, name);
	int rc = open_old(all, err);

	if (rc == 0)
		rc = read_identity(all, err);
	if (rc == 0)
		rc = read_shards(all, err);
	if (rc == 0)
		rc = store_space(s, err);
	if (rc == 0)
		rc = store_network_beside(s, name, all->ops, all->identity.params,
					  all->identity.trust, all->identity.index, &all->fresh,
					  err);
	if (rc == 0)
		rc = take_blocks(all, err);
	if (rc == 0)
		rc = note_gaps(all, err);
	rebuilding_release(all);
	return rc < 0 ? err_note(err, rc, "network %s cannot be made anew", name)
		      : store_network_replace(s, name, &made, err);
}
