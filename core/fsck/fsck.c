/* One moment of a network, and the walks over it. */
#include "core/fsck/inside.h"

#include <stdarg.h>
#include <stdio.h>

#define LINES_MAX    10000u  /* faults told one by one; all are counted */
#define FIXES_MAX    200000u /* remembered at once */
#define MOMENT_TRIES 100u

const char *const fsck_class_names[FSCK_CLASS_COUNT] = {
	[FSCK_DAMAGED] = "damaged",
	[FSCK_MISSING] = "missing",
	[FSCK_CONTRADICTION] = "contradiction",
	[FSCK_ORPHAN] = "orphan",
	[FSCK_UNSEALED] = "unsealed",
};

/* ---- telling ---- */

void fault(struct fsck *k, enum fsck_class class, const char *part, struct at at, bool repairable,
	   const char *format, ...)
{
	char text[512];
	va_list args;

	k->counts->faults[class]++;
	k->counts->repairable += repairable;
	k->counts->beyond += !repairable && class != FSCK_ORPHAN &&
			     strcmp(part, "checkpoint") != 0 && strcmp(part, "pin") != 0;
	if (k->lines++ >= LINES_MAX)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	struct fsck_fault f = { class, part, at.shard, at.height, repairable, text };

	k->options->report(k->options->arg, &f);
}

bool fix(struct fsck *k, struct fix f)
{
	struct fsck_fixes *x = k->fixes;

	if (x->count == FIXES_MAX)
		return false;
	if (base_grow(&x->list, &x->cap, x->count + 1, sizeof *x->list) < 0)
		return false;
	x->list[x->count++] = f;
	return true;
}

void fsck_fixes_freep(struct fsck_fixes **f)
{
	if (*f)
		free((*f)->list);
	free(*f);
	*f = NULL;
}

void progress(struct fsck *k, const char *stage, uint64_t done, uint64_t total)
{
	if (k->options->progress)
		k->options->progress(k->options->arg, stage, done, total);
}

int stopped(struct fsck *k)
{
	return k->options->stopped && k->options->stopped(k->options->arg) ? -EINTR : 0;
}

int unreadable(struct fsck *k, enum family family, int rc, const struct err *why)
{
	if (rc == -ENOMEM || rc == -EINTR)
		return rc;
	fault(k, FSCK_DAMAGED, families[family].name, NOWHERE(0), false,
	      "the database cannot read on: %.300s; fsck --repair makes the network anew",
	      why->text[0] ? why->text : strerror(-rc));
	return 0;
}

/* ---- reading as of the moment ---- */

int look_up(struct fsck *k, enum family family, struct short_key key, struct slice *value)
{
	int rc = db_iter_seek(k->look[family], short_slice(&key), NULL);

	if (rc != 1 || !slice_eq(db_iter_key(k->look[family]), short_slice(&key)))
		return MIN(rc, 0);
	*value = db_iter_value(k->look[family]);
	return 1;
}

int look_block_row(struct fsck *k, uint32_t shard, uint64_t height, struct block_row *out)
{
	struct slice value;
	int rc = look_up(k, FAMILY_BLOCKS, key_block(shard, height), &value);

	if (rc != 1)
		return rc;
	*out = (struct block_row){ .shard = shard, .height = height };
	return block_row_read(value, out) < 0 ? 0 : 1;
}

bool walked_is_bad(const struct walked *w, uint64_t height)
{
	size_t low = 0, high = w->bad_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (w->bad[middle] < height)
			low = middle + 1;
		else
			high = middle;
	}
	return low < w->bad_count && w->bad[low] == height;
}

static struct short_key meta_key(const char *name)
{
	struct short_key key = { .n = strlen(name) };

	memcpy(key.bytes, name, key.n);
	return key;
}

static int meta_fault(struct fsck *k, struct at at, const char *name, int rc)
{
	fault(k, rc == 0 ? FSCK_MISSING : FSCK_DAMAGED, "view", at, false,
	      "its row \"%s\" %s; fsck --repair makes the network anew", name,
	      rc == 0 ? "is not there" : "does not parse");
	return -EUCLEAN;
}

static int read_shard(struct fsck *k, uint32_t s)
{
	struct shard_view *sv = &k->view->shards[s];
	struct slice value;
	int rc = look_up(k, FAMILY_META, key_meta_shard(META_SHARD, s), &value);

	if (rc != 1 || shard_view_read(value, sv) < 0)
		return meta_fault(k, NOWHERE(s), META_SHARD, rc);
	rc = look_up(k, FAMILY_META, key_meta_shard(META_GAPS, s), &value);
	int parsed = rc == 1 ? gaps_read(value, &sv->gaps) : 0;

	if (parsed == -ENOMEM)
		return parsed;
	return rc != 1 || parsed < 0 ? meta_fault(k, NOWHERE(s), META_GAPS, rc) : 0;
}

/* The view as its rows have it. 1; 0 nothing was ever committed; -EUCLEAN was told. */
static int read_view(struct fsck *k)
{
	struct view *v = k->view;
	struct slice value;
	int rc = look_up(k, FAMILY_META, meta_key(META_HEAD), &value);

	if (rc != 1)
		return rc;
	struct rd r = rd_of(value);
	uint64_t branch = rd_varint(&r), shards;

	v->next_object = rd_varint(&r);
	shards = rd_varint(&r);
	if (rd_done(&r) < 0 || shards < 1 || shards > SHARD_MAX)
		return meta_fault(k, NOWHERE(0), META_HEAD, 1);
	v->shard_count = (uint32_t)shards;
	v->branch = (uint32_t)branch;
	rc = look_up(k, FAMILY_META, meta_key(META_BRANCHES), &value);
	int parsed = rc == 1 ? branches_read(value, &k->branches) : 0;

	if (parsed == -ENOMEM)
		return parsed;
	if (rc != 1 || parsed < 0 || branch >= k->branches.count)
		return meta_fault(k, NOWHERE(0), META_BRANCHES, rc);
	rc = look_up(k, FAMILY_META, meta_key(META_SEGMENTS), &value);
	if (rc == 1) {
		r = rd_of(value);
		k->end.segment = (uint32_t)rd_varint(&r);
		k->end.offset = rd_varint(&r);
		if (rd_done(&r) < 0)
			return meta_fault(k, NOWHERE(0), META_SEGMENTS, rc);
	}
	rc = look_up(k, FAMILY_META, meta_key(META_CARRIED), &value);
	if (rc == 1) {
		r = rd_of(value);
		k->carriers = rd_varint(&r);
		if (rd_done(&r) < 0)
			return meta_fault(k, NOWHERE(0), META_CARRIED, rc);
	}
	for (uint32_t s = 0; s < v->shard_count; s++) {
		rc = read_shard(k, s);
		if (rc < 0)
			return rc;
	}
	return 1;
}

static void drop_iterators(struct fsck *k)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		db_iter_freep(&k->walk[f]);
		db_iter_freep(&k->look[f]);
	}
	db_iter_freep(&k->walk_hyper);
}

static int make_iterators(struct fsck *k)
{
	struct db *db = k->network->db;
	int rc = 0;

	/* Those of the meta family are made first and last. */
	static_assert(FAMILY_META == 0, "the first family");
	for (int f = 0; f < FAMILY_COUNT && rc == 0; f++)
		rc = db_iter_new(db, f, DB_ORDERED, &k->walk[f]);
	if (rc == 0)
		rc = db_iter_new(db, FAMILY_ROWS, DB_ORDERED, &k->walk_hyper);
	for (int f = FAMILY_COUNT - 1; f >= 0 && rc == 0; f--)
		rc = db_iter_new(db, f, DB_ORDERED, &k->look[f]);
	return rc;
}

/* 1: every row of the meta family is the same in both; a commit always changes some. */
static int same_moment(struct fsck *k)
{
	struct db_iter *a = k->walk[FAMILY_META], *b = k->look[FAMILY_META];
	int ra = db_iter_seek(a, SLICE_EMPTY, NULL), rb = db_iter_seek(b, SLICE_EMPTY, NULL);

	while (ra == 1 && rb == 1) {
		if (!slice_eq(db_iter_key(a), db_iter_key(b)) ||
		    !slice_eq(db_iter_value(a), db_iter_value(b)))
			return 0;
		ra = db_iter_next(a, NULL);
		rb = db_iter_next(b, NULL);
	}
	return ra < 0 || rb < 0 ? MIN(ra, rb) : ra == rb;
}

static int take_moment(struct fsck *k, struct err *err)
{
	for (unsigned i = 0; i < MOMENT_TRIES; i++) {
		drop_iterators(k);
		int rc = make_iterators(k);

		if (rc < 0)
			return err_set(err, rc, "the database gives no iterators: %s",
				       strerror(-rc));
		rc = same_moment(k);
		if (rc < 0) {
			struct err why = ERR_INIT;

			return unreadable(k, FAMILY_META, rc, &why);
		}
		if (rc == 1)
			return 1;
	}
	return err_set(err, -EAGAIN, "the store is written too fast to be looked at");
}

/* ---- a family by itself: every row is read, whatever it says ---- */

static int count_rows(struct fsck *k)
{
	for (int f = 0; f < FAMILY_COUNT; f++) {
		struct err why = ERR_INIT;
		uint64_t rows = 0;
		int rc = db_iter_seek(k->walk[f], SLICE_EMPTY, &why);

		for (; rc == 1; rc = db_iter_next(k->walk[f], &why)) {
			k->counts->rows++;
			if (++rows % 65536 == 0) {
				progress(k, families[f].name, rows, 0);
				if (stopped(k) < 0)
					return -EINTR;
			}
		}
		if (rc < 0 && (rc = unreadable(k, f, rc, &why)) < 0)
			return rc;
	}
	return 0;
}

/* ---- the whole ---- */

static void release(struct fsck *k)
{
	drop_iterators(k);
	pipeline_freep(&k->pipeline);
	for (size_t s = 0; s < SHARD_MAX; s++) {
		gaps_release(&k->view->shards[s].gaps);
		free(k->walked[s].hashes);
		free(k->walked[s].bad);
	}
	branches_release(&k->branches);
	buf_release(&k->scratch);
	free(k->frame.bytes);
	free(k->referenced);
	free(k->view);
}

static int walk_all(struct fsck *k)
{
	static int (*const walks[])(struct fsck *) = { count_rows,      walk_blocks, walk_index,
						       walk_replay,     walk_state,  walk_segments,
						       walk_checkpoints, walk_pins };
	for (size_t i = 0; i < ARRAY_LEN(walks); i++) {
		int rc = walks[i](k);

		/* Rows that it needed cannot be read: the next walk needs others. */
		if (rc == -EBADMSG || rc == -EIO || rc == -EUCLEAN)
			fault(k, FSCK_DAMAGED, "database", NOWHERE(0), false,
			      "a walk ended early, its rows cannot be read: %s; fsck --repair "
			      "makes the network anew",
			      strerror(-rc));
		else if (rc < 0)
			return rc;
	}
	return 0;
}

int fsck_run(struct network *n, const struct fsck_options *o, struct fsck_counts *out,
	     struct fsck_fixes **fixes, struct err *err)
{
	AUTO(fsck_fixes_freep) struct fsck_fixes *found = calloc(1, sizeof *found);
	AUTO(base_freep) struct fsck *k = calloc(1, sizeof *k);

	*out = (struct fsck_counts){ 0 };
	if (!found || !k || !(k->view = calloc(1, sizeof *k->view)))
		return err_set(err, -ENOMEM, "no memory to check network %s", network_name(n));
	k->network = n;
	k->ops = network_ops(n);
	k->options = o;
	k->counts = out;
	k->fixes = found;
	k->scratch = (struct buf)BUF_INIT(VALUE_BYTES_MAX);
	int rc = take_moment(k, err);

	if (n->lost)
		fault(k, FSCK_DAMAGED, "log", NOWHERE(0),
		      fix(k, (struct fix){ .kind = FIX_LOSS }),
		      "the database lost what was acknowledged last, with a part of its log; the "
		      "heights are gaps, import them again");
	if (rc == 1)
		rc = read_view(k);
	if (rc == 1) {
		k->referenced = calloc((size_t)k->end.segment + 1, sizeof *k->referenced);
		rc = k->referenced ? pipeline_new(k->ops, network_params(n), 0, &k->pipeline)
				   : -ENOMEM;
		if (rc == 0)
			rc = walk_all(k);
		if (rc < 0)
			err_set(err, rc, "network %s: %s", network_name(n),
				rc == -EINTR ? "interrupted" : strerror(-rc));
	} else if (rc == 0 || rc == -EUCLEAN) { /* nothing to walk, or it was told */
		rc = rc == 0 ? walk_checkpoints(k) : 0;
		rc = rc == 0 ? walk_pins(k) : rc;
	} else if (rc == -ENOMEM) {
		err_set(err, rc, "no memory to check network %s", network_name(n));
	}
	release(k);
	if (rc == 0)
		*fixes = TAKE(found);
	return rc;
}
