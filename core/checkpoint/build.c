#include "core/checkpoint/build.h"

#include "core/checkpoint/pack.h"
#include "core/checkpoint/write.h"

#include <stdio.h>

/* Records of whole vshards are gathered until there are so many, and their bytes are fetched in the
 * order of the blocks that carry them: a block is unpacked once a window, not once a record. */
#define WINDOW_RECORDS (128u << 10)
#define WINDOW_BYTES   (32u << 20)       /* of keys and values */
#define ARENA_MAX      ((size_t)8 << 30) /* of one window; a bound on what damage may ask for */
#define STOP_EVERY     1024u             /* records between two looks at *stop */

/* ---- which state ---- */

struct plan { /* heights are pinned while it is there */
	struct network *network;
	struct view *view;
	struct block_row *blocks; /* one a shard of info */
	struct checkpoint_info info;
	uint32_t pinned; /* shards of info, from the first */
};

static void plan_release(struct plan *p)
{
	for (uint32_t i = 0; i < p->pinned; i++)
		network_unpin(p->network, p->info.shards[i].shard, p->info.shards[i].height);
	view_putp(&p->view);
	free(p->blocks);
	*p = (struct plan){ .network = NULL };
}

/* Is the state of (shard, height) there, and its block? */
static int readable(struct plan *p, uint32_t shard, uint64_t height, struct block_row *row,
		    struct err *err)
{
	const struct shard_view *sv = &p->view->shards[shard];

	if (shard >= p->view->shard_count)
		return err_set(err, -EUCLEAN, "shard %u is none of this network", shard);
	if (height > sv->replayed)
		return err_set(err, -ENODATA,
			       "shard %u: replayed up to height %" PRIu64 ", not to %" PRIu64,
			       shard, sv->replayed, height);
	if (height < sv->kept_from)
		return err_set(err, -ENODATA,
			       "shard %u: the state is kept from height %" PRIu64
			       " on, not as of %" PRIu64,
			       shard, sv->kept_from, height);
	int rc = network_block(p->network, shard, height, row);

	if (rc < 0)
		return err_set(err, rc, "shard %u: the row of block %" PRIu64 " cannot be read",
			       shard, height);
	return rc ? 0
		  : err_set(err, -ENODATA, "shard %u: block %" PRIu64 " is not held", shard,
			    height);
}

static int add_shard(struct plan *p, uint32_t shard, uint64_t height, struct err *err)
{
	struct checkpoint_info *info = &p->info;
	struct checkpoint_shard *s = &info->shards[info->shard_count];
	struct block_row *row = &p->blocks[info->shard_count];
	int rc = readable(p, shard, height, row, err);

	if (rc == 0) {
		rc = network_pin(p->network, shard, height);
		if (rc == -ESTALE)
			return err_set(err, -ENODATA,
				       "shard %u: the state as of height %" PRIu64
				       " is being collected",
				       shard, height);
		if (rc < 0)
			return err_set(err, rc, "shard %u: height %" PRIu64 " cannot be pinned",
				       shard, height);
	}
	if (rc < 0)
		return rc;
	s->shard = shard;
	s->height = height;
	s->time = row->time;
	memcpy(s->hash, row->hash, HASH_SIZE);
	info->shard_count++;
	p->pinned++;
	return 0;
}

/* Has hyper retained, or begun to, at every height? */
static bool hyper_holds(const struct plan *p)
{
	for (uint32_t i = 0; i < p->info.shard_count; i++) {
		const struct checkpoint_shard *s = &p->info.shards[i];
		const struct shard_view *sv = &p->view->shards[s->shard];

		if (!sv->hyper_on || s->height < sv->base_height)
			return false;
	}
	return true;
}

static int fill_roots(struct plan *p, struct checkpoint_shard *s, struct err *err)
{
	const struct shard_view *sv = &p->view->shards[s->shard];
	struct roots_row row;
	int rc = network_roots(p->network, s->shard, s->height, &row);

	if (rc != 1)
		return err_set(err, rc < 0 ? rc : -EUCLEAN,
			       "shard %u: the roots of height %" PRIu64 " cannot be read", s->shard,
			       s->height);
	s->legacy = row.legacy;
	if (!p->info.hyper)
		return 0;
	/* At its base hyper is legacy; what lies in its rows then belongs to an earlier base. */
	bool begun = s->height > sv->base_height;

	if (begun && !row.has_hyper)
		return err_set(err, -EUCLEAN, "shard %u: height %" PRIu64 " has no root of hyper",
			       s->shard, s->height);
	s->hyper = begun ? row.hyper : row.legacy;
	s->retained = begun ? row.retained : 0;
	s->base_height = sv->base_height;
	s->base_root_size = sv->base_root_size;
	memcpy(s->base_root, sv->base_root, sizeof s->base_root);
	return 0;
}

static int plan_make(struct network *n, uint64_t main_height, struct plan *p, struct err *err)
{
	*p = (struct plan){ .network = n, .view = network_view_get(n) };
	p->blocks = calloc(SHARD_MAX, sizeof *p->blocks);
	if (!p->blocks)
		return err_set(err, -ENOMEM, "no memory for a checkpoint");
	snprintf(p->info.kind, sizeof p->info.kind, "%s", network_ops(n)->kind);
	if (!main_height)
		return err_set(err, -ENODATA, "there is no state before the first block");
	int rc = add_shard(p, 0, main_height, err);

	for (uint32_t shard = 1; rc == 0 && shard < p->view->shard_count; shard++)
		for (uint32_t i = 0; rc == 0 && i < p->blocks[0].witness_count; i++)
			if (p->blocks[0].witnesses[i].shard == shard &&
			    p->blocks[0].witnesses[i].height)
				rc = add_shard(p, shard, p->blocks[0].witnesses[i].height, err);
	if (rc < 0)
		return rc;
	p->info.hyper = hyper_holds(p);
	for (uint32_t i = 0; i < p->info.shard_count && rc == 0; i++)
		rc = fill_roots(p, &p->info.shards[i], err);
	return rc;
}

/* Is all that the main block witnesses replayed? 1, 0. */
static int cuts_replayed(struct network *n, const struct view *v, uint64_t height)
{
	AUTO(base_freep) struct block_row *row = malloc(sizeof *row);
	int rc = row ? network_block(n, 0, height, row) : -ENOMEM;

	for (uint32_t i = 0; rc == 1 && i < row->witness_count; i++) {
		const struct chain_witness *w = &row->witnesses[i];

		if (w->shard < v->shard_count && w->height > v->shards[w->shard].replayed)
			return 0;
	}
	return rc;
}

int checkpoint_newest(struct network *n, uint64_t *main_height, struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	const struct shard_view *main = &v->shards[0];
	/* What is witnessed never goes back, so the answer lies below the first height that is
	 * not. */
	uint64_t low = MAX(main->kept_from, (uint64_t)1), high = main->replayed + 1, first = low;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		int rc = cuts_replayed(n, v, middle);

		if (rc < 0)
			return err_set(err, rc, "block %" PRIu64 " cannot be read", middle);
		if (rc)
			low = middle + 1;
		else
			high = middle;
	}
	*main_height = low - 1;
	return low > first ? 0
			   : err_set(err, -ENODATA,
				     "network %s: no main height is replayed in all shards",
				     network_name(n));
}

/* ---- a window of records ---- */

struct gathered {
	uint64_t object;
	size_t key, rest, bytes; /* where in the arenas */
	uint32_t key_size, rest_size, bytes_size, item;
	uint64_t height, time;
	uint16_t form;
	uint8_t vshard, space;
	bool inner;
};

struct window {
	struct gathered *list;
	uint32_t *by_object; /* places in the list, in the order of the blocks */
	size_t count, cap;
	struct buf rows, objects;
};

static void window_release(struct window *w)
{
	free(w->list);
	free(w->by_object);
	buf_release(&w->rows);
	buf_release(&w->objects);
}

static int window_grow(struct window *w)
{
	size_t cap = w->cap ? 2 * w->cap : 4096;
	struct gathered *list = realloc(w->list, cap * sizeof *list);

	if (!list)
		return -ENOMEM;
	w->list = list;
	uint32_t *places = realloc(w->by_object, cap * sizeof *places);

	if (!places)
		return -ENOMEM;
	w->by_object = places;
	w->cap = cap;
	return 0;
}

/* ---- a build ---- */

struct build {
	struct plan *plan;
	const struct chain_ops *ops;
	struct folder_writer *folder;
	struct build_progress *progress;
	const atomic_bool *stop;
	struct err *err;
	struct window window;
	uint64_t records;

	/* Of the shard that is being written. */
	const struct checkpoint_shard *shard;
	bool retains; /* rows of hyper are read */
	struct folder_file *rules[2];
	struct chain_rooter *rooter;

	/* The block whose bytes were fetched last. */
	const struct block_bytes *owner;
	struct stat_record owner_stat;
};

static void build_release(struct build *b)
{
	window_release(&b->window);
	for (int i = 0; i < 2; i++)
		folder_file_freep(&b->rules[i]);
	if (b->rooter)
		b->ops->root_free(b->rooter);
	block_bytes_putp(&b->owner);
	folder_writer_freep(&b->folder);
}

static int stopped(struct build *b)
{
	return b->stop && atomic_load_explicit(b->stop, memory_order_relaxed)
		       ? err_set(b->err, -EINTR, "interrupted")
		       : 0;
}

static void count_record(struct build *b)
{
	b->records++;
	if (!b->progress || b->records % STOP_EVERY)
		return;
	atomic_store(&b->progress->records, b->records);
	atomic_store(&b->progress->bytes, folder_writer_bytes(b->folder));
}

/* ---- bytes of the gathered ---- */

static int by_object(const void *a, const void *b, void *list)
{
	const struct gathered *x = (const struct gathered *)list + *(const uint32_t *)a;
	const struct gathered *y = (const struct gathered *)list + *(const uint32_t *)b;

	return (x->object > y->object) - (x->object < y->object);
}

/* The object's bytes; its block's are kept for the next one. */
static int object_bytes(struct build *b, const struct stat_record *st, struct slice *out)
{
	const struct stat_record *last = &b->owner_stat;

	if (b->owner && st->shard == last->shard && st->height == last->height &&
	    st->carrier == last->carrier) {
		*out = slice_sub(b->owner->canonical, st->offset, st->size);
		if (out->n == st->size)
			return 0;
	}
	block_bytes_putp(&b->owner);
	b->owner_stat = *st;
	return network_object_bytes(b->plan->network, st, &b->owner, out, b->err);
}

static int fetch(struct build *b, struct gathered *g)
{
	struct stat_record st;
	struct slice bytes;
	int rc = network_stat(b->plan->network, g->object, &st);

	if (rc != 1)
		return err_set(b->err, rc < 0 ? rc : -EUCLEAN,
			       "object %" PRIu64 ": its stat record cannot be read", g->object);
	if (st.shard != b->shard->shard || st.height > b->shard->height || st.type == OBJECT_BLOCK)
		return err_set(b->err, -EUCLEAN, "object %" PRIu64 " is no record of shard %u",
			       g->object, b->shard->shard);
	rc = object_bytes(b, &st, &bytes);
	if (rc < 0)
		return err_note(b->err, rc, "shard %u height %" PRIu64 " item %" PRIu32, st.shard,
				st.height, st.item);
	g->bytes = b->window.objects.n;
	g->bytes_size = (uint32_t)bytes.n;
	g->height = st.height;
	g->item = st.item;
	g->inner = st.type == OBJECT_INNER;
	g->form = st.form;
	g->time = st.time;
	buf_add(&b->window.objects, bytes);
	rc = buf_done(&b->window.objects);
	return rc < 0 ? err_set(b->err, rc, "no memory for the bytes of records") : 0;
}

static int fetch_all(struct build *b)
{
	struct window *w = &b->window;
	int rc = 0;

	for (size_t i = 0; i < w->count; i++)
		w->by_object[i] = (uint32_t)i;
	if (w->count)
		qsort_r(w->by_object, w->count, sizeof *w->by_object, by_object, w->list);
	for (size_t i = 0; i < w->count && rc == 0; i++) {
		struct gathered *g = &w->list[w->by_object[i]];

		/* A lend is two records of one object. */
		const struct gathered *before = i ? &w->list[w->by_object[i - 1]] : NULL;

		if (before && before->object == g->object) {
			g->bytes = before->bytes;
			g->bytes_size = before->bytes_size;
			g->height = before->height;
			g->item = before->item;
			g->inner = before->inner;
			g->form = before->form;
			g->time = before->time;
			continue;
		}
		rc = i % STOP_EVERY == 0 ? stopped(b) : 0;
		if (rc == 0)
			rc = fetch(b, g);
	}
	return rc;
}

/* ---- packs ---- */

static int write_pack(struct build *b, size_t first, size_t end, enum space space)
{
	AUTO(folder_file_freep) struct folder_file *f = NULL;
	struct window *w = &b->window;
	char path[CHECKPOINT_PATH_MAX];
	int rc = 0;

	snprintf(path, sizeof path, "%s/%" PRIu32 "/%02x.pb",
		 space == SPACE_BOTH ? "legacy" : "retained", b->shard->shard,
		 w->list[first].vshard);
	for (size_t i = first; i < end && rc == 0; i++) {
		const struct gathered *g = &w->list[i];

		if (g->space != space)
			continue;
		const struct pack_record r = {
			.key = SLICE(w->rows.p + g->key, g->key_size),
			.value = SLICE(w->rows.p + g->rest, g->rest_size),
			.height = g->height,
			.item = g->item,
			.inner = g->inner,
			.form = g->form,
			.time = g->time,
			.object = SLICE(w->objects.p + g->bytes, g->bytes_size),
		};
		if (!f)
			rc = folder_file_new(b->folder, path, true, &f, b->err);
		if (rc == 0) {
			rc = pack_record_write(folder_file_buf(f), &r);
			if (rc < 0)
				return err_set(b->err, rc, "%s: %s", path, strerror(-rc));
			rc = folder_file_flush(f, b->err);
		}
		count_record(b);
	}
	return rc == 0 && f ? folder_file_end(&f, b->err) : rc;
}

/* Whole vshards: their bytes, and their packs. */
static int flush(struct build *b)
{
	struct window *w = &b->window;
	int rc = fetch_all(b);

	for (size_t first = 0, end; first < w->count && rc == 0; first = end) {
		for (end = first; end < w->count && w->list[end].vshard == w->list[first].vshard;)
			end++;
		rc = write_pack(b, first, end, SPACE_BOTH);
		if (rc == 0)
			rc = write_pack(b, first, end, SPACE_HYPER);
		if (rc == 0)
			rc = stopped(b);
	}
	w->count = 0;
	buf_clear(&w->rows);
	buf_clear(&w->objects);
	return rc;
}

/* ---- rows ---- */

static int gather(struct build *b, enum space space, struct slice key, struct slice value)
{
	struct window *w = &b->window;
	struct gathered g = { .space = (uint8_t)space };
	struct slice rest;
	unsigned vshard;
	int rc = b->ops->record_vshard(key, &vshard);

	if (rc == 0)
		rc = b->ops->record_split(value, &g.object, &rest);
	if (rc < 0)
		return err_set(b->err, rc, "shard %u: a record's row does not parse",
			       b->shard->shard);
	g.vshard = (uint8_t)vshard;
	if (w->count && w->list[w->count - 1].vshard != g.vshard &&
	    (w->count >= WINDOW_RECORDS || w->rows.n >= WINDOW_BYTES))
		rc = flush(b);
	if (rc == 0 && w->count == w->cap && window_grow(w) < 0)
		rc = err_set(b->err, -ENOMEM, "no memory for the records of a pack");
	if (rc < 0)
		return rc;
	g.key = w->rows.n;
	g.key_size = (uint32_t)key.n;
	buf_add(&w->rows, key);
	g.rest = w->rows.n;
	g.rest_size = (uint32_t)rest.n;
	buf_add(&w->rows, rest);
	w->list[w->count++] = g;
	rc = buf_done(&w->rows);
	if (rc < 0)
		return err_set(b->err, rc, "no memory for the rows of a pack");
	rc = b->ops->root_add(b->rooter, space, key, value, b->err);
	return rc == -EBADMSG ? -EUCLEAN : rc;
}

static int put_rule(struct build *b, enum space space, struct slice key, struct slice value)
{
	struct folder_file **f = &b->rules[space == SPACE_HYPER];
	char path[CHECKPOINT_PATH_MAX];
	int rc = 0;

	if (!*f) {
		snprintf(path, sizeof path, "rules/%" PRIu32 "/%s.pb", b->shard->shard,
			 space == SPACE_HYPER ? "hyper" : "both");
		rc = folder_file_new(b->folder, path, true, f, b->err);
	}
	if (rc == 0)
		rc = pack_row_write(folder_file_buf(*f), key, value);
	return rc < 0 ? err_note(b->err, rc, "a row of the rules") : folder_file_flush(*f, b->err);
}

/* A scan of one space, which stands at a record. */
struct cursor {
	enum space space;
	struct state_scan *scan;
	struct slice key, value;
	int at; /* 1: at a record; 0: at the end */
};

/* On to the next record; the rows of the rules between go to their pack. */
static int advance(struct build *b, struct cursor *f)
{
	int rc;

	while ((rc = state_scan_next(f->scan, &f->key, &f->value)) == 1) {
		enum chain_row kind = b->ops->row_kind(f->key);

		if (kind == CHAIN_ROW_RECORD)
			break;
		if (kind != CHAIN_ROW_RULE)
			continue;
		rc = put_rule(b, f->space, f->key, f->value);
		if (rc < 0)
			return rc;
	}
	f->at = rc;
	return rc < 0 ? err_set(b->err, rc, "shard %u: the state cannot be read", b->shard->shard)
		      : 0;
}

static int scan_both(struct build *b, struct cursor cursors[2], size_t count)
{
	uint64_t n = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = advance(b, &cursors[i]);
	while (rc == 0 && (cursors[0].at || cursors[1].at)) {
		struct cursor *next = &cursors[0];

		if (!cursors[0].at ||
		    (cursors[1].at && slice_cmp(cursors[1].key, cursors[0].key) < 0))
			next = &cursors[1];
		rc = gather(b, next->space, next->key, next->value);
		if (rc == 0)
			rc = advance(b, next);
		if (rc == 0 && ++n % STOP_EVERY == 0)
			rc = stopped(b);
	}
	return rc == 0 ? flush(b) : rc;
}

/* What was written gives the roots that replay left: a store that lost a row makes no
 * checkpoint. */
static int check_roots(struct build *b)
{
	const struct checkpoint_shard *s = b->shard;
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;
	int rc = b->ops->root_end(b->rooter, roots, &retained, b->err);

	if (rc < 0)
		return rc;
	if (!chain_root_eq(&roots[CONTEXT_LEGACY], &s->legacy))
		return err_set(b->err, -EUCLEAN,
			       "shard %u height %" PRIu64
			       ": the records do not give the root of the block",
			       s->shard, s->height);
	if (b->plan->info.hyper &&
	    (!chain_root_eq(&roots[CONTEXT_HYPER], &s->hyper) || retained != s->retained))
		return err_set(b->err, -EUCLEAN,
			       "shard %u height %" PRIu64
			       ": the records do not give the root of hyper",
			       s->shard, s->height);
	return 0;
}

static void cursors_release(struct cursor (*cursors)[2])
{
	for (int i = 0; i < 2; i++)
		state_scan_freep(&(*cursors)[i].scan);
}

static int write_state(struct build *b)
{
	const struct checkpoint_shard *s = b->shard;
	const struct shard_view *sv = &b->plan->view->shards[s->shard];
	AUTO(state_freep) struct state *st = NULL;
	AUTO(cursors_release)
	struct cursor cursors[2] = { { .space = SPACE_BOTH }, { .space = SPACE_HYPER } };
	size_t count = b->plan->info.hyper && s->height > sv->base_height ? 2 : 1;
	int rc = state_open_at(b->plan->network, b->plan->view->branch, s->shard, s->height, &st,
			       b->err);

	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = state_scan_new(st, cursors[i].space, SLICE_EMPTY, SLICE_EMPTY, false,
				    &cursors[i].scan);
		if (rc < 0)
			rc = err_set(b->err, rc, "shard %u: the state cannot be read", s->shard);
	}
	if (rc == 0)
		rc = b->ops->root_new(s->shard, b->plan->info.hyper, NULL, NULL, &b->rooter,
				      b->err);
	if (rc == 0)
		rc = scan_both(b, cursors, count);
	for (int i = 0; i < 2 && rc == 0; i++)
		if (b->rules[i])
			rc = folder_file_end(&b->rules[i], b->err);
	if (rc == 0)
		rc = check_roots(b);
	b->ops->root_free(TAKE(b->rooter));
	return rc;
}

/* ---- the rest of the folder ---- */

static int put_text(struct build *b, const char *path, bool listed, struct buf *text)
{
	int rc = buf_done(text);

	return rc < 0 ? err_set(b->err, rc, "%s: %s", path, strerror(-rc))
		      : folder_file_put(b->folder, path, listed, buf_slice(text), b->err);
}

static int write_block(struct build *b, const struct block_row *row)
{
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	char path[CHECKPOINT_PATH_MAX];
	int rc = network_block_bytes(b->plan->network, row, &bytes, b->err);

	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "blocks/%" PRIu32 "%s", row->shard, b->ops->block_suffix);
	rc = folder_file_put(b->folder, path, true, bytes->canonical, b->err);
	if (rc < 0 || !bytes->certificate.n)
		return rc;
	snprintf(path, sizeof path, "evidence/commits-%" PRIu32 "%s", row->shard,
		 b->ops->block_suffix);
	return folder_file_put(b->folder, path, false, bytes->certificate, b->err);
}

static void add_verdicts(const struct block_row *row, struct buf *out)
{
	for (int l = 0; l < LEVEL_COUNT; l++)
		buf_fmt(out, "%" PRIu32 "\t%s\t%s\t%s\n", row->shard, level_names[l],
			verdict_names[row->levels[l].verdict], row->levels[l].reason);
}

static int write_texts(struct build *b)
{
	AUTO(buf_release) struct buf info = BUF_INIT(CHECKPOINT_INFO_MAX);
	AUTO(buf_release) struct buf verdict = BUF_INIT(1u << 20);
	struct slice params = network_params_text(b->plan->network);
	int rc = checkpoint_info_write(&b->plan->info, &info);

	for (uint32_t i = 0; i < b->plan->info.shard_count; i++)
		add_verdicts(&b->plan->blocks[i], &verdict);
	buf_fmt(&verdict, "-\tvalidators\t%s\t\n", network_trust(b->plan->network));
	if (rc == 0)
		rc = put_text(b, "info", true, &info);
	if (rc == 0)
		rc = put_text(b, "verdict", false, &verdict);
	return rc < 0 ? rc
		      : folder_file_put(b->folder, "evidence/network.json", false, params, b->err);
}

/* Branches share the rows of blocks: after a switch of heads they may be another's. */
static int same_branch(struct build *b)
{
	AUTO(view_putp) struct view *now = network_view_get(b->plan->network);

	return now->branch == b->plan->view->branch
		       ? 0
		       : err_set(b->err, -ESTALE, "the chain was rolled back meanwhile");
}

static void count_all(const struct checkpoint_info *info, struct build_progress *progress)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < info->shard_count; i++)
		total += info->shards[i].legacy.records + info->shards[i].retained;
	atomic_store(&progress->records, 0);
	atomic_store(&progress->bytes, 0);
	atomic_store(&progress->records_total, total);
}

static int write_all(struct build *b)
{
	const struct checkpoint_info *info = &b->plan->info;
	int rc = 0;

	for (uint32_t i = 0; i < info->shard_count && rc == 0; i++) {
		b->shard = &info->shards[i];
		rc = write_block(b, &b->plan->blocks[i]);
		if (rc == 0)
			rc = write_state(b);
	}
	if (rc == 0)
		rc = write_texts(b);
	if (rc == 0)
		rc = same_branch(b);
	if (rc == 0)
		rc = stopped(b);
	return rc == 0 ? folder_writer_end(b->folder, b->err) : rc;
}

int checkpoint_build(struct network *n, uint64_t main_height, const char *parent, bool sealed,
		     struct build_progress *progress, const atomic_bool *stop,
		     char name[CHECKPOINT_NAME_SIZE], struct err *err)
{
	AUTO(plan_release) struct plan p = { .network = NULL };
	struct err own = ERR_INIT; /* sentences are added to on their way up */
	AUTO(build_release)
	struct build b = {
		.plan = &p,
		.ops = network_ops(n),
		.progress = progress,
		.stop = stop,
		.err = err ? err : &own,
		.window = { .rows = BUF_INIT(ARENA_MAX), .objects = BUF_INIT(ARENA_MAX) },
	};
	int rc = plan_make(n, main_height, &p, b.err);

	if (rc < 0)
		return rc;
	checkpoint_name(main_height, p.info.shards[0].hash, name);
	if (progress)
		count_all(&p.info, progress);
	rc = folder_writer_new(parent, name, &b.folder, b.err);
	if (rc == 0 && sealed)
		folder_writer_seal(b.folder);
	if (rc == 0)
		rc = write_all(&b);
	if (rc == 0 && progress) {
		atomic_store(&progress->records, b.records);
		atomic_store(&progress->bytes, folder_writer_bytes(b.folder));
	}
	return rc < 0 ? err_note(b.err, rc, "checkpoint %s", name) : 0;
}
