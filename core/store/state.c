#include "core/store/state.h"

#include "core/store/inside.h"
#include "core/store/overlay.h"
#include "core/store/rows.h"
#include "core/store/run.h"

struct state {
	struct network *network; /* NULL: memory alone */
	struct rows    *rows;    /* NULL: nothing below the overlay */
	uint32_t        shard, branch;
	int             failed;  /* latched: what it built on is gone */
	bool            pinned;  /* as_of is, so that the collector leaves its rows */
	uint64_t        as_of;
	struct view    *view;    /* of when it was pinned: its branch is left alone, too */

	struct overlay  overlay;
	bool            in_block;
	uint64_t        height;  /* of the block */
	struct entry  **written; /* by the block, each once, in order of the first write */
	size_t          written_count, written_cap;

	struct version *versions; /* of the run; the first `taken` are in `commit` */
	size_t          version_count, version_cap, taken;
	size_t          sorted; /* versions up to here are in order */
	size_t          run_bytes;
	int64_t         hyper_bytes; /* see state_take_hyper_bytes() */
	struct commit  *commit;
};

/* ---- opening ---- */

int state_open_at(struct network *net, uint32_t branch, uint32_t shard, uint64_t height,
		  struct state **out, struct err *err)
{
	AUTO(state_freep) struct state *st = calloc(1, sizeof *st);

	if (!st)
		return err_set(err, -ENOMEM, "no memory for the state of shard %u", shard);
	overlay_init(&st->overlay);
	st->shard = shard;
	st->branch = branch;
	if (net) {
		st->network = net;
		/* The newest rows are never collected. */
		int rc = height == UINT64_MAX ? 0 : network_pin(net, shard, height);

		if (rc == -ESTALE)
			return err_set(err, -ENODATA,
				       "shard %u: the state as of height %" PRIu64 " was let go",
				       shard, height);
		st->pinned = rc == 0 && height != UINT64_MAX;
		st->view = st->pinned ? network_view_get(net) : NULL;
		st->as_of = height;
		if (rc == 0)
			rc = network_rows(net, branch, shard, height, &st->rows);
		if (rc < 0)
			return err_note(err, rc, "state of shard %u", shard);
	}
	*out = TAKE(st);
	return 0;
}

int state_open(struct network *net, uint32_t shard, uint64_t height, struct state **out,
	       struct err *err)
{
	AUTO(view_putp) struct view *v = net ? network_view_get(net) : NULL;

	return state_open_at(net, v ? v->branch : 0, shard, height, out, err);
}

void state_freep(struct state **at)
{
	struct state *st = TAKE(*at);

	if (!st)
		return;
	if (st->commit)
		commit_forget(st->commit, st);
	for (size_t i = 0; i < st->version_count; i++)
		overlay_disown(&st->overlay, st->versions[i].value);
	overlay_release(&st->overlay);
	rows_freep(&st->rows);
	if (st->pinned)
		network_unpin(st->network, st->shard, st->as_of);
	view_putp(&st->view);
	free(st->written);
	free(st->versions);
	free(st);
}

uint32_t state_shard(const struct state *st)
{
	return st->shard;
}

uint32_t state_branch(const struct state *st)
{
	return st->branch;
}

struct network *state_network(const struct state *st)
{
	return st->network;
}

size_t state_run_bytes(const struct state *st)
{
	return st->run_bytes;
}

/* Absent ones among them: a replay asks for the same few again and again. */
size_t state_rows_max(const struct state *st)
{
	return st->network ? st->network->state_rows_max : STATE_ROWS_MAX;
}

size_t state_memory(const struct state *st)
{
	return sizeof *st + st->overlay.bytes + st->overlay.bucket_count * sizeof(struct entry *) +
	       st->written_cap * sizeof *st->written + st->version_cap * sizeof *st->versions;
}

/* ---- reading ---- */

/* Makes sure that the entry's committed value is known. */
static int know(struct state *st, struct entry *e)
{
	struct slice bytes;
	struct value *v = NULL;
	int rc = 0;

	if (e->known)
		return 0;
	if (st->rows)
		rc = rows_get(st->rows, e->space, SLICE(e->key, e->key_size), &bytes);
	if (rc < 0)
		return rc;
	if (rc == 1) {
		v = overlay_value(&st->overlay, bytes);
		if (!v)
			return -ENOMEM;
	}
	e->committed = v;
	e->known = true;
	return 0;
}

static int read_row(struct state *st, enum space space, struct slice key, bool with_block,
		    struct slice *value)
{
	if (st->failed)
		return st->failed;
	if (key.n > STATE_KEY_MAX)
		return 0;
	struct entry *e = overlay_need(&st->overlay, space, key);

	if (!e)
		return -ENOMEM;
	if (with_block && e->block_written) {
		*value = value_slice(e->block);
		return e->block != NULL;
	}
	int rc = know(st, e);

	if (rc < 0)
		return rc;
	*value = value_slice(e->committed);
	return e->committed != NULL;
}

int state_get(struct state *st, enum space space, struct slice key, struct slice *value)
{
	return read_row(st, space, key, true, value);
}

int state_get_committed(struct state *st, enum space space, struct slice key, struct slice *value)
{
	return read_row(st, space, key, false, value);
}

int state_peek(struct state *st, enum space space, struct slice key, struct slice *value)
{
	if (st->failed || !st->rows || st->overlay.entry_count)
		return read_row(st, space, key, true, value);
	return key.n > STATE_KEY_MAX ? 0 : rows_get(st->rows, space, key, value);
}

/* ---- writing ---- */

static int write_row(struct state *st, enum space space, struct slice key, struct value *v,
		     enum reason reason, bool fresh)
{
	struct entry *e = overlay_need(&st->overlay, space, key);

	if (!e)
		return -ENOMEM;
	if (!e->block_written) {
		/* Asking once costs less than noting a death that never was, and what is stored
		 * then does not depend on what happened to be asked before. */
		int rc = fresh ? 0 : know(st, e);

		if (rc == 0)
			rc = base_grow(&st->written, &st->written_cap, st->written_count + 1,
				       sizeof *st->written);
		if (rc == 0)
			rc = overlay_link(&st->overlay, e);
		if (rc < 0)
			return rc;
		st->written[st->written_count++] = e;
		e->block_written = true;
		e->block_fresh = fresh || (e->known && !e->committed);
	}
	overlay_disown(&st->overlay, e->block);
	e->block = v;
	e->reason = (uint8_t)reason;
	return 0;
}

int state_put(struct state *st, enum space space, struct slice key, struct slice value, bool fresh)
{
	assert(st->in_block);
	if (st->failed)
		return st->failed;
	if (key.n > STATE_KEY_MAX || value.n > STATE_VALUE_MAX)
		return -EMSGSIZE;
	struct value *v = overlay_value(&st->overlay, value);
	int rc = v ? write_row(st, space, key, v, REASON_MERGED, fresh) : -ENOMEM;

	if (rc < 0)
		overlay_disown(&st->overlay, v);
	return rc;
}

int state_delete(struct state *st, enum space space, struct slice key, enum reason reason)
{
	assert(st->in_block);
	if (st->failed)
		return st->failed;
	if (key.n > STATE_KEY_MAX)
		return -EMSGSIZE;
	return write_row(st, space, key, NULL, reason, false);
}

/* ---- blocks ---- */

int state_block_begin(struct state *st, uint64_t height)
{
	assert(!st->in_block);
	if (st->failed)
		return st->failed;
	overlay_step(&st->overlay, state_rows_max(st));
	st->in_block = true;
	st->height = height;
	return 0;
}

static int64_t row_bytes(const struct entry *e, const struct value *v)
{
	return v ? (int64_t)e->key_size + v->size : 0;
}

/* What the block wrote of one key becomes a version of the run. A key that was not there before the
 * block and is not there after it leaves nothing. */
static void join_run(struct state *st, struct entry *e)
{
	if (st->network && (e->block || !e->block_fresh)) {
		st->versions[st->version_count++] = (struct version){
			.entry = e,
			.value = overlay_own(e->block),
			.height = st->height,
			.reason = e->reason,
			.death = !e->block_fresh,
		};
		st->run_bytes += sizeof(struct version) + e->key_size + value_slice(e->block).n;
		e->pending++;
	}
	if (e->space == SPACE_HYPER)
		st->hyper_bytes += row_bytes(e, e->block) - row_bytes(e, e->committed);
	overlay_disown(&st->overlay, e->committed);
	e->committed = TAKE(e->block);
	e->known = true;
	e->block_written = e->block_fresh = false;
}

int state_block_end(struct state *st)
{
	assert(st->in_block);
	if (st->failed)
		return st->failed;
	for (size_t need = st->version_count + st->written_count; need > st->version_cap;) {
		int rc = base_grow(&st->versions, &st->version_cap, st->version_cap + 1,
				   sizeof *st->versions);

		if (rc < 0)
			return rc;
	}
	for (size_t i = 0; i < st->written_count; i++)
		join_run(st, st->written[i]);
	st->written_count = 0;
	st->in_block = false;
	return 0;
}

void state_block_abort(struct state *st)
{
	for (size_t i = 0; i < st->written_count; i++) {
		struct entry *e = st->written[i];

		overlay_disown(&st->overlay, TAKE(e->block));
		e->block_written = e->block_fresh = false;
	}
	st->written_count = 0;
	st->in_block = false;
}

/* ---- the run ---- */

static int compare_versions(const void *a, const void *b)
{
	const struct version *x = a, *y = b;
	int order = x->entry->space - y->entry->space;

	if (order == 0)
		order = slice_cmp(SLICE(x->entry->key, x->entry->key_size),
				  SLICE(y->entry->key, y->entry->key_size));
	/* A newer version is stored before an older one. */
	return order ? order : (x->height < y->height) - (x->height > y->height);
}

bool state_take(struct state *st, struct version_view *out)
{
	if (st->taken == st->version_count)
		return false;
	if (st->sorted < st->version_count) {
		qsort(st->versions + st->taken, st->version_count - st->taken, sizeof *st->versions,
		      compare_versions);
		st->sorted = st->version_count;
	}
	const struct version *v = &st->versions[st->taken++];

	*out = (struct version_view){
		.space = v->entry->space,
		.key = SLICE(v->entry->key, v->entry->key_size),
		.value = value_slice(v->value),
		.tombstone = !v->value,
		.height = v->height,
		.reason = v->reason,
		.death = v->death,
	};
	return true;
}

int64_t state_take_hyper_bytes(struct state *st)
{
	int64_t grown = st->hyper_bytes;

	st->hyper_bytes = 0;
	return grown;
}

void state_taken_by(struct state *st, struct commit *commit)
{
	st->commit = commit;
}

void state_applied(struct state *st)
{
	for (size_t i = 0; i < st->taken; i++) {
		struct version *v = &st->versions[i];

		st->run_bytes -= sizeof *v + v->entry->key_size + value_slice(v->value).n;
		v->entry->pending--;
		overlay_disown(&st->overlay, v->value);
	}
	st->version_count -= st->taken;
	if (st->version_count)
		memmove(st->versions, st->versions + st->taken,
			st->version_count * sizeof *st->versions);
	st->taken = st->sorted = 0;
	st->commit = NULL;
	overlay_settle(&st->overlay);
}

void state_dropped(struct state *st)
{
	st->failed = -ESTALE;
	st->commit = NULL;
}

/* ---- scanning ---- */

/* One space of a scan: what the overlay says, over what the store says. */
struct side {
	enum space        space;
	struct entry     *at;   /* next entry of the overlay; NULL: none left */
	struct rows_scan *rows; /* NULL: none, or none left */
	bool              rows_loaded, loaded;
	struct slice      rows_key, rows_value;
	struct slice      key, value; /* when loaded: the next row of the space */
};

struct state_scan {
	struct state *st;
	struct buf    prefix;
	bool          with_block;
	struct side   sides[2];
	size_t        side_count;
};

static struct slice key_of(const struct entry *e)
{
	return SLICE(e->key, e->key_size);
}

int state_scan_new(struct state *st, unsigned spaces, struct slice prefix, struct slice from,
		   bool with_block, struct state_scan **out)
{
	static const enum space all[] = { SPACE_BOTH, SPACE_HYPER };
	AUTO(state_scan_freep) struct state_scan *s = calloc(1, sizeof *s);
	AUTO(buf_release) struct buf start = BUF_INIT(2 * STATE_KEY_MAX);

	if (st->failed)
		return st->failed;
	if (!s)
		return -ENOMEM;
	s->st = st;
	s->with_block = with_block;
	s->prefix = (struct buf)BUF_INIT(STATE_KEY_MAX);
	buf_add(&s->prefix, prefix);
	buf_add(&start, prefix);
	buf_add(&start, from);
	int rc = buf_done(&s->prefix);

	if (rc == 0)
		rc = buf_done(&start);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(all); i++) {
		if (!(spaces & all[i]))
			continue;
		struct side *side = &s->sides[s->side_count++];

		side->space = all[i];
		side->at = overlay_seek(&st->overlay, all[i], buf_slice(&start));
		if (st->rows)
			rc = rows_scan_new(st->rows, all[i], prefix, from, &side->rows);
	}
	if (rc < 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

void state_scan_freep(struct state_scan **at)
{
	struct state_scan *s = TAKE(*at);

	if (!s)
		return;
	for (size_t i = 0; i < s->side_count; i++)
		rows_scan_freep(&s->sides[i].rows);
	buf_release(&s->prefix);
	free(s);
}

static int load_rows(struct side *side)
{
	if (side->rows_loaded || !side->rows)
		return 0;
	int rc = rows_scan_next(side->rows, &side->rows_key, &side->rows_value);

	if (rc < 0)
		return rc;
	side->rows_loaded = rc == 1;
	if (rc == 0)
		rows_scan_freep(&side->rows);
	return 0;
}

/* True when the overlay decides about an entry's key; false leaves it to the store. */
static bool decided(const struct state_scan *s, const struct entry *e, const struct value **value)
{
	if (s->with_block && e->block_written) {
		*value = e->block;
		return true;
	}
	*value = e->committed;
	return e->known;
}

/* Loads the next row of one space: 1, 0 at the end. */
static int load(struct state_scan *s, struct side *side)
{
	while (!side->loaded) {
		int rc = load_rows(side);

		if (rc < 0)
			return rc;
		if (side->at && !slice_starts(key_of(side->at), buf_slice(&s->prefix)))
			side->at = NULL;
		if (!side->at && !side->rows_loaded)
			return 0;
		int order = !side->at ? 1 : !side->rows_loaded ? -1 :
			    slice_cmp(key_of(side->at), side->rows_key);

		if (order <= 0) {
			struct entry *e = side->at;
			const struct value *value;

			side->at = overlay_next(e);
			if (decided(s, e, &value)) {
				if (order == 0)
					side->rows_loaded = false;
				if (!value)
					continue;
				side->key = key_of(e);
				side->value = value_slice(value);
				side->loaded = true;
				continue;
			}
			if (order < 0)
				continue;
		}
		side->key = side->rows_key;
		side->value = side->rows_value;
		side->rows_loaded = false;
		side->loaded = true;
	}
	return 1;
}

int state_scan_next(struct state_scan *s, struct slice *key, struct slice *value)
{
	struct side *winner = NULL;

	if (s->st->failed)
		return s->st->failed;
	for (size_t i = 0; i < s->side_count; i++) {
		struct side *side = &s->sides[i];
		int rc = load(s, side);

		if (rc < 0)
			return rc;
		if (rc == 0)
			continue;
		int order = winner ? slice_cmp(side->key, winner->key) : -1;

		if (order == 0) /* hyper's row wins, and stands behind in the list */
			winner->loaded = false;
		if (order <= 0)
			winner = side;
	}
	if (!winner)
		return 0;
	*key = winner->key;
	*value = winner->value;
	winner->loaded = false;
	return 1;
}
