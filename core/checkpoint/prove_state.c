/* The levels of prove that read the state: records, legacy, hyper. */
#include "core/checkpoint/pack.h"
#include "core/checkpoint/prove_inside.h"

#include <stdio.h>
#include <unistd.h>

#define VSHARDS     256u
#define THREADS_MAX 16
#define STOP_EVERY  256u /* records between two looks at *stop */

static const struct checkpoint_shard *shard_of(const struct prover *p, uint32_t shard)
{
	for (uint32_t i = 0; i < p->out->info.shard_count; i++)
		if (p->out->info.shards[i].shard == shard)
			return &p->out->info.shards[i];
	return NULL;
}

/* ---- records: each file by itself, on all cores ---- */

struct work {
	struct prover *prover;
	atomic_size_t next; /* file */
	atomic_uint_fast64_t records;
	atomic_int failed; /* a negative errno that says nothing of the checkpoint */
};

static int check_record(const struct prover *p, const struct file *f,
			const struct checkpoint_shard *s, const struct pack_record *r,
			struct err *err)
{
	const struct chain_object o = { .form = r->form, .bytes = r->object, .time = r->time };
	unsigned vshard;

	if (p->ops->row_kind(r->key) != CHAIN_ROW_RECORD ||
	    p->ops->record_vshard(r->key, &vshard) < 0)
		return err_set(err, -EBADMSG, "its key is no record's");
	if (vshard != f->vshard)
		return err_set(err, -EBADMSG, "it belongs into pack %02x", vshard);
	if (!r->height || r->height > s->height)
		return err_set(err, -EBADMSG, "of height %" PRIu64 ", which is not up to %" PRIu64,
			       r->height, s->height);
	return p->ops->record_check(p->params, r->key, r->value, &o, err);
}

static int check_records(struct work *w, const struct file *f, const struct checkpoint_shard *s,
			 struct slice bytes, struct err *err)
{
	struct pack_reader reader = PACK_READER(bytes);
	struct pack_record r;
	uint64_t n = 0;
	size_t at = 0;
	int rc;

	while ((rc = pack_record_next(&reader, &r, err)) == 1) {
		rc = check_record(w->prover, f, s, &r, err);
		if (rc < 0) {
			rc = err_note(err, rc, "offset %zu", at);
			break;
		}
		at = reader.at;
		if (++n % STOP_EVERY == 0 && w->prover->stop && atomic_load(w->prover->stop)) {
			rc = -EINTR;
			break;
		}
	}
	atomic_fetch_add(&w->records, n);
	return rc;
}

static int check_rules(struct work *w, struct slice bytes, struct err *err)
{
	struct pack_reader reader = PACK_READER(bytes);
	struct slice key, value;
	int rc;

	while ((rc = pack_row_next(&reader, &key, &value, err)) == 1)
		if (w->prover->ops->row_kind(key) != CHAIN_ROW_RULE)
			return err_set(err, -EBADMSG, "offset %zu: no row of the rules", reader.at);
	return rc;
}

static void check_file(struct work *w, struct file *f)
{
	const struct checkpoint_shard *s = shard_of(w->prover, f->shard);
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;
	int rc;

	if (f->unreadable || !s)
		return;
	rc = prover_hold(w->prover, f, &m, &f->why);
	if (rc < 0 && rc != -ENOMEM)
		rc = -EBADMSG;
	if (rc == 0)
		rc = f->kind == FILE_RULES ? check_rules(w, m.bytes, &f->why)
					   : check_records(w, f, s, m.bytes, &f->why);
	if (rc == -ENOMEM || rc == -EINTR)
		atomic_store(&w->failed, rc);
	else if (rc < 0 && !f->why.text[0])
		err_set(&f->why, rc, "does not check");
}

static void *work_run(void *arg)
{
	struct work *w = arg;
	size_t i;

	while (!atomic_load(&w->failed) &&
	       (i = atomic_fetch_add(&w->next, 1)) < w->prover->file_count) {
		struct file *f = &w->prover->files[i];

		if (f->kind == FILE_LEGACY || f->kind == FILE_RETAINED || f->kind == FILE_RULES)
			check_file(w, f);
	}
	return NULL;
}

int prove_records(struct prover *p)
{
	struct work work = { .prover = p };
	pthread_t threads[THREADS_MAX];
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t started = 0;

	/* This thread works too: one that does not start is no harm. */
	while (started + 1 < (size_t)MAX(cores, 1) && started < THREADS_MAX &&
	       pthread_create(&threads[started], NULL, work_run, &work) == 0)
		started++;
	work_run(&work);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	int rc = atomic_load(&work.failed);

	if (rc < 0)
		return prover_stopped(p) < 0 ? -EINTR
					     : err_set(p->err, rc, "records: %s", strerror(-rc));
	p->out->records = atomic_load(&work.records);
	for (size_t i = 0; i < p->file_count; i++) {
		if (p->files[i].why.text[0])
			prover_fault(p, PROOF_RECORDS, p->files[i].path, "%s",
				     p->files[i].why.text);
		else if (p->files[i].unreadable)
			prover_fault(p, PROOF_RECORDS, p->files[i].path, "cannot be read");
	}
	prover_say(p, PROOF_RECORDS, VERDICT_OK, "%" PRIu64 " records", p->out->records);
	return 0;
}

/* ---- roots: a shard from one end to the other, both packs of a vshard side by side ---- */

struct cursor { /* a pack, which stands at a record */
	enum space space;
	struct file *file; /* NULL: there is none */
	struct files_held held;
	struct pack_reader reader;
	struct pack_record record;
	int at; /* 1: at a record */
};

struct rooting {
	struct prover *prover;
	enum proof_level level;
	struct chain_rooter *rooter;
	struct buf value;
	struct cursor cursors[2];
};

static void rooting_release(struct rooting *r)
{
	if (r->rooter)
		r->prover->ops->root_free(r->rooter);
	buf_release(&r->value);
	for (int i = 0; i < 2; i++)
		files_let_go(&r->cursors[i].held);
}

static int advance(struct rooting *r, struct cursor *f)
{
	struct err why = ERR_INIT;

	f->at = pack_record_next(&f->reader, &f->record, &why);
	if (f->at < 0)
		prover_fault(r->prover, r->level, f->file->path, "%s", why.text);
	return f->at;
}

static int cursor_open(struct rooting *r, struct cursor *f, const char *folder, uint32_t shard,
		     unsigned vshard)
{
	char path[CHECKPOINT_PATH_MAX];
	struct err why = ERR_INIT;

	f->at = 0;
	snprintf(path, sizeof path, "%s/%" PRIu32 "/%02x.pb", folder, shard, vshard);
	f->file = prover_file(r->prover, path);
	if (!f->file)
		return 0;
	int rc = f->file->unreadable ? err_set(&why, -EIO, "cannot be read")
				     : prover_hold(r->prover, f->file, &f->held, &why);

	if (rc < 0) {
		prover_fault(r->prover, r->level, path, "%s", why.text);
		return rc;
	}
	f->reader = PACK_READER(f->held.bytes);
	return advance(r, f);
}

/* -EBADMSG: it was told. */
static int add_record(struct rooting *r, struct cursor *f)
{
	const struct chain_ops *ops = r->prover->ops;
	struct err why = ERR_INIT;

	buf_clear(&r->value);
	/* No object id follows from a record; the root has no part of it. */
	int rc = ops->record_join(0, f->record.value, &r->value);

	if (rc == 0)
		rc = ops->root_add(r->rooter, f->space, f->record.key, buf_slice(&r->value), &why);
	if (rc == -ENOMEM)
		return err_set(r->prover->err, rc, "no memory for a root");
	if (rc < 0) {
		prover_fault(r->prover, r->level, f->file->path, "%s", why.text);
		return -EBADMSG;
	}
	return advance(r, f);
}

/* 1: all of it went in; 0: a fault was told; negative as ever. */
static int add_vshard(struct rooting *r, uint32_t shard, unsigned vshard, bool both)
{
	struct cursor *a = &r->cursors[0], *b = &r->cursors[1];
	int rc = cursor_open(r, a, "legacy", shard, vshard);

	if (rc >= 0 && both)
		rc = cursor_open(r, b, "retained", shard, vshard);
	while (rc >= 0 && (a->at == 1 || b->at == 1))
		rc = add_record(
			r, a->at != 1 || (b->at == 1 && slice_cmp(b->record.key, a->record.key) < 0)
				   ? b
				   : a);
	for (int i = 0; i < 2; i++) {
		files_let_go(&r->cursors[i].held);
		r->cursors[i].at = 0;
	}
	if (rc == -ENOMEM)
		return rc;
	return rc < 0 ? 0 : 1;
}

static bool root_eq(const struct chain_root *a, const struct chain_root *b)
{
	return a->root_size == b->root_size && memcmp(a->root, b->root, a->root_size) == 0;
}

/* What came out, against info; whether info is right of legacy, the level blocks has said. */
static void compare(struct prover *p, enum context context, const struct checkpoint_shard *s,
		    const struct chain_root got[CONTEXT_COUNT], uint64_t retained)
{
	bool hyper = context == CONTEXT_HYPER;
	enum proof_level level = hyper ? PROOF_HYPER : PROOF_LEGACY;
	const struct chain_root *want = hyper ? &s->hyper : &s->legacy;
	char what[64];

	snprintf(what, sizeof what, "%s/%" PRIu32, hyper ? "retained" : "legacy", s->shard);
	if (!root_eq(&got[context], want))
		prover_fault(p, level, what, "the records give another root than the one %s",
			     hyper ? "of info" : "that the block signs");
	else if (got[context].records != want->records)
		prover_fault(p, level, what, "%" PRIu64 " keys, info says %" PRIu64,
			     got[context].records, want->records);
	else if (hyper && retained != s->retained)
		prover_fault(p, level, what, "%" PRIu64 " records are retained, info says %" PRIu64,
			     retained, s->retained);
}

static int prove_shard(struct prover *p, enum context context, const struct checkpoint_shard *s)
{
	bool hyper = context == CONTEXT_HYPER;
	AUTO(rooting_release)
	struct rooting r = {
		.prover = p,
		.level = hyper ? PROOF_HYPER : PROOF_LEGACY,
		.value = BUF_INIT(PACK_ENTRY_MAX),
		.cursors = { { .space = SPACE_BOTH }, { .space = SPACE_HYPER } },
	};
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;
	int rc = p->ops->root_new(s->shard, hyper, NULL, NULL, &r.rooter, p->err);

	if (rc < 0)
		return rc;
	rc = 1;
	for (unsigned v = 0; v < VSHARDS && rc == 1; v++) {
		rc = add_vshard(&r, s->shard, v, hyper);
		if (rc == 1 && prover_stopped(p) < 0)
			return -EINTR;
	}
	if (rc < 1)
		return rc;
	rc = p->ops->root_end(r.rooter, roots, &retained, p->err);
	if (rc == 0)
		compare(p, context, s, roots, retained);
	return rc;
}

int prove_root(struct prover *p, enum context context)
{
	const struct checkpoint_info *info = &p->out->info;
	bool hyper = context == CONTEXT_HYPER;
	enum proof_level level = hyper ? PROOF_HYPER : PROOF_LEGACY;
	uint32_t without = 0;
	int rc = 0;

	if (hyper && !info->hyper) {
		prover_say(p, level, VERDICT_ABSENT, "hyper is off");
		return 0;
	}
	prover_say(p, level, VERDICT_OK, "%s", hyper ? "nobody signed this root" : "");
	for (uint32_t i = 0; i < info->shard_count && rc == 0; i++) {
		rc = prove_shard(p, context, &info->shards[i]);
		without += !p->blocks[i];
	}
	if (!hyper && without)
		prover_say(
			p, level, VERDICT_PENDING,
			"the roots of info come out, but not all blocks that sign them verified");
	return rc;
}
