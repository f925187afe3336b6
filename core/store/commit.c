/* A commit: what a run of blocks changes, gathered, then made true at once. */
#include "core/store/blocks.h"
#include "core/store/deaths.h"
#include "core/store/inside.h"
#include "core/store/run.h"
#include "core/store/stats.h"

/* Small blocks are gathered up to this many bytes before they are packed: packing together what is
 * alike saves a third, and reading one block still unpacks little. */
#define FRAME_TARGET   (512u << 10)
#define FRAME_CAP_KEPT (4 * FRAME_TARGET) /* memory of a rare big block is given back */
#define ROW_BYTES_MAX  (512u << 20)

/* A row that waits: for the place of its bytes, or only for its turn, since the database takes in
 * ascending keys several times faster than others. Of those with one key the last one counts. */
struct late_row {
	enum family        family;
	struct short_key   key;
	bool               deleted, placed;
	size_t             head, head_size; /* in late_bytes: the value, up to the place */
	struct segment_ref ref;
	size_t             turn;
};

struct commit {
	struct network   *network;
	struct db_batch  *batch;
	struct view_box  *box;        /* the view being built */
	int               failed;     /* latched: it cannot be applied any more */

	struct buf        frame;      /* being gathered */
	struct told      *told;       /* of the frame */
	size_t            told_count, told_cap;
	struct frame_ref *frames;     /* written so far */
	size_t            frame_count, frame_cap;

	uint64_t          carriers;   /* with those of this batch; see network */
	struct late_row  *late;
	size_t            late_count, late_cap;
	struct buf        late_bytes;

	struct stat_group stats;      /* being gathered */
	struct short_key *hashes;     /* sorted before they are put: see run.h */
	size_t            hash_count, hash_cap;
	struct deaths     deaths;

	struct state     *states[SHARD_MAX]; /* that gave versions, and wait to hear */
	size_t            state_count;
	struct buf        key, value; /* scratch */
};

/* ---- life ---- */

/* The one that writes. What the one before left is seen by who claims it after him. */
static int claim(struct network *n, struct commit **out)
{
	struct commit *c, *none = NULL;

	if (atomic_load(&n->commit))
		return -EBUSY;
	c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	if (!atomic_compare_exchange_strong(&n->commit, &none, c)) {
		free(c);
		return -EBUSY;
	}
	c->network = n;
	*out = c;
	return 0;
}

int commit_new(struct network *n, struct commit **out)
{
	AUTO(commit_freep) struct commit *c = NULL;

	if (n->read_only)
		return n->full ? -ENOSPC : -EROFS;
	int rc = claim(n, &c);

	if (rc < 0)
		return rc;
	c->carriers = n->carriers;
	c->frame = (struct buf)BUF_INIT(FRAME_SIZE_MAX);
	c->late_bytes = c->key = c->value = (struct buf)BUF_INIT(ROW_BYTES_MAX);
	deaths_init(&c->deaths, ROW_BYTES_MAX);
	rc = db_batch_new(n->db, &c->batch);
	if (rc < 0)
		return rc;
	c->box = view_copy(n->newest); /* ingest alone publishes: it cannot change under us */
	if (!c->box)
		return -ENOMEM;
	*out = TAKE(c);
	return 0;
}

void commit_freep(struct commit **at)
{
	struct commit *c = TAKE(*at);

	if (!c)
		return;
	while (c->state_count)
		state_dropped(c->states[--c->state_count]);
	segments_rewind(c->network->segments, c->network->committed);
	atomic_store(&c->network->commit, NULL);
	db_batch_freep(&c->batch);
	view_freep(&c->box);
	buf_release(&c->frame);
	buf_release(&c->late_bytes);
	deaths_release(&c->deaths);
	buf_release(&c->key);
	buf_release(&c->value);
	free(c->frames);
	free(c->told);
	free(c->late);
	free(c->hashes);
	free(c);
}

struct view *commit_view(struct commit *c)
{
	return &c->box->view;
}

size_t commit_bytes_held(const struct commit *c)
{
	return db_batch_bytes(c->batch) + c->frame.n + c->late_bytes.n + c->deaths.gathered.n +
	       c->late_count * sizeof *c->late + c->hash_count * sizeof *c->hashes +
	       c->told_count * sizeof *c->told;
}

/* ---- bytes ---- */

static int write_frame(struct commit *c, struct err *err)
{
	if (c->frame.n == 0)
		return 0;
	int rc = base_grow(&c->frames, &c->frame_cap, c->frame_count + 1, sizeof *c->frames);

	if (rc < 0)
		return err_set(err, rc, "no memory for a frame");
	rc = segments_append(c->network->segments, buf_slice(&c->frame), c->told, c->told_count,
			     &c->frames[c->frame_count], err);
	c->told_count = 0;
	if (rc < 0) {
		c->failed = rc; /* rows may refer to it already */
		return rc;
	}
	c->frame_count++;
	if (c->frame.cap > FRAME_CAP_KEPT)
		buf_release(&c->frame);
	buf_clear(&c->frame);
	return 0;
}

int commit_bytes(struct commit *c, struct slice canonical, struct slice certificate,
		 struct segment_ref *out, struct err *err)
{
	size_t n;

	if (c->failed)
		return err_set(err, c->failed, "the batch failed before");
	if (ckd_add(&n, canonical.n, certificate.n) || n > FRAME_SIZE_MAX)
		return err_set(err, -EMSGSIZE, "a block of %zu bytes", canonical.n);
	if (c->frame.n && c->frame.n + n > FRAME_TARGET) {
		int rc = write_frame(c, err);

		if (rc < 0)
			return rc;
	}
	if (buf_reserve(&c->frame, MAX(n, 1)) < 0) {
		/* Nothing of it was added: the batch is whole without this block. */
		c->frame.failed = 0;
		return err_set(err, -ENOMEM, "no memory for a block of %zu bytes", n);
	}
	*out = (struct segment_ref){
		.frame = (uint32_t)c->frame_count + 1,
		.inner = (uint32_t)c->frame.n,
		.canonical_size = (uint32_t)canonical.n,
		.certificate_size = (uint32_t)certificate.n,
	};
	buf_add(&c->frame, canonical);
	buf_add(&c->frame, certificate);
	if (n == 0)
		buf_u8(&c->frame, 0); /* a frame is never empty, so that every place has one */
	return 0;
}

int commit_told(struct commit *c, const struct segment_ref *ref, uint32_t at, uint32_t from,
		uint32_t size)
{
	uint32_t whole = ref->canonical_size;
	bool apart = from == at;

	if (c->failed)
		return c->failed;
	if (ref->frame != c->frame_count + 1 || from > whole || size > whole - from || at > whole ||
	    (!apart && whole - at < HASH20_SIZE))
		return -EINVAL;
	if (c->network->keep_told)
		return 0;
	int rc = base_grow(&c->told, &c->told_cap, c->told_count + 1, sizeof *c->told);

	if (rc < 0)
		return rc; /* the bytes are kept as they are */
	c->told[c->told_count++] = (struct told){ ref->inner + at, ref->inner + from, size };
	return 0;
}

/* ---- rows that name a place of bytes ---- */

static int add_late(struct commit *c, enum family family, struct short_key key,
		    const struct segment_ref *ref, size_t head)
{
	int rc = buf_done(&c->late_bytes);

	if (rc == 0)
		rc = base_grow(&c->late, &c->late_cap, c->late_count + 1, sizeof *c->late);
	if (rc < 0) {
		buf_clear(&c->late_bytes);
		c->failed = rc;
		return rc;
	}
	c->late[c->late_count] = (struct late_row){
		.family = family,
		.key = key,
		.placed = ref != NULL,
		.head = head,
		.head_size = c->late_bytes.n - head,
		.ref = ref ? *ref : (struct segment_ref){ 0 },
		.turn = c->late_count,
	};
	c->late_count++;
	return 0;
}

static int add_deleted(struct commit *c, enum family family, struct short_key key)
{
	int rc = add_late(c, family, key, NULL, c->late_bytes.n);

	if (rc == 0)
		c->late[c->late_count - 1].deleted = true;
	return rc;
}

int commit_block(struct commit *c, const struct block_row *row)
{
	size_t head = c->late_bytes.n;

	if (c->failed)
		return c->failed;
	block_row_write_head(row, !c->network->keep_keys, &c->late_bytes);
	return add_late(c, FAMILY_BLOCKS, key_block(row->shard, row->height), &row->bytes, head);
}

int commit_block_remove(struct commit *c, uint32_t shard, uint64_t height)
{
	if (c->failed)
		return c->failed;
	return add_deleted(c, FAMILY_BLOCKS, key_block(shard, height));
}

int commit_aside(struct commit *c, uint32_t shard, uint64_t height, const struct segment_ref *ref)
{
	if (c->failed)
		return c->failed;
	return add_late(c, FAMILY_REPLAY, key_replay(REPLAY_ASIDE, shard, height), ref,
			c->late_bytes.n);
}

int commit_carried(struct commit *c, struct slice bytes, uint64_t *carrier, struct err *err)
{
	struct segment_ref ref;
	int rc = commit_bytes(c, bytes, SLICE_EMPTY, &ref, err);

	if (rc < 0)
		return rc;
	rc = add_late(c, FAMILY_REPLAY, key_replay(REPLAY_CARRIED, 0, c->carriers + 1), &ref,
		      c->late_bytes.n);
	if (rc < 0)
		return err_set(err, rc, "no memory for the row of carried bytes");
	*carrier = ++c->carriers;
	return 0;
}

static int by_key(const void *x, const void *y)
{
	const struct late_row *a = x, *b = y;
	int order = a->family != b->family ? (a->family < b->family ? -1 : 1)
					   : slice_cmp(short_slice(&a->key), short_slice(&b->key));

	return order ? order : a->turn < b->turn ? -1 : 1;
}

static int put_late(struct commit *c)
{
	if (c->late_count > 1)
		qsort(c->late, c->late_count, sizeof *c->late, by_key);
	for (size_t i = 0; i < c->late_count; i++) {
		const struct late_row *late = &c->late[i];
		struct segment_ref ref = late->ref;

		if (late->deleted) {
			db_batch_delete(c->batch, late->family, short_slice(&late->key));
			continue;
		}
		if (ref.frame) {
			assert(ref.frame <= c->frame_count);
			const struct frame_ref *f = &c->frames[ref.frame - 1];

			ref.segment = f->segment;
			ref.offset = f->offset;
			ref.stored = f->stored;
			ref.size = f->size;
		}
		if (!late->placed) {
			db_batch_put(c->batch, late->family, short_slice(&late->key),
				     SLICE(c->late_bytes.p + late->head, late->head_size));
			continue;
		}
		buf_clear(&c->value);
		buf_bytes(&c->value, c->late_bytes.p + late->head, late->head_size);
		segment_ref_write(&ref, &c->value);
		if (buf_done(&c->value) < 0)
			return buf_done(&c->value);
		db_batch_put(c->batch, late->family, short_slice(&late->key), buf_slice(&c->value));
	}
	return 0;
}

/* ---- other rows ---- */

/* What stands in c->value waits for its turn; a failure to build it fails the commit. */
static int put_replay(struct commit *c, struct short_key key)
{
	size_t head = c->late_bytes.n;
	int rc = buf_done(&c->value);

	if (rc < 0) {
		c->failed = rc;
		return rc;
	}
	buf_add(&c->late_bytes, buf_slice(&c->value));
	return add_late(c, FAMILY_REPLAY, key, NULL, head);
}

/* Puts what stands in c->value; a failure to build it fails the commit. */
static int put_value(struct commit *c, enum family family, struct short_key key)
{
	int rc = buf_done(&c->value);

	if (rc < 0) {
		c->failed = rc;
		return rc;
	}
	db_batch_put(c->batch, family, short_slice(&key), buf_slice(&c->value));
	return 0;
}

static int begin_value(struct commit *c)
{
	buf_clear(&c->value);
	return c->failed;
}

static int put_stats(struct commit *c)
{
	if (c->stats.count == 0)
		return 0;
	buf_clear(&c->value);
	stat_group_write(&c->stats, &c->value);
	c->stats.count = 0;
	return put_value(c, FAMILY_STATS, key_stat(c->stats.objects[0]));
}

int commit_stat(struct commit *c, uint64_t object, const struct stat_record *r)
{
	if (c->failed)
		return c->failed;
	if (stat_group_add(&c->stats, object, r))
		return 0;
	int rc = put_stats(c);

	if (rc == 0 && !stat_group_add(&c->stats, object, r))
		rc = -EINVAL;
	return rc;
}

int commit_hash(struct commit *c, struct slice hash, uint32_t shard, uint64_t height, uint32_t item)
{
	if (hash.n < 8)
		return -EINVAL;
	if (c->failed)
		return c->failed;
	int rc = base_grow(&c->hashes, &c->hash_cap, c->hash_count + 1, sizeof *c->hashes);

	if (rc < 0) {
		c->failed = rc;
		return rc;
	}
	c->hashes[c->hash_count++] =
		key_hash(db_is_packed(c->network->db), hash.p, shard, height, item);
	return 0;
}

static int compare_short(const void *a, const void *b)
{
	return slice_cmp(short_slice(a), short_slice(b));
}

static void put_hashes(struct commit *c)
{
	if (c->hash_count > 1)
		qsort(c->hashes, c->hash_count, sizeof *c->hashes, compare_short);
	for (size_t i = 0; i < c->hash_count; i++)
		db_batch_put(c->batch, FAMILY_HASHES, short_slice(&c->hashes[i]), SLICE_EMPTY);
}

int commit_roots(struct commit *c, uint32_t shard, uint64_t height, const struct roots_row *r)
{
	struct short_key mark = key_replay(REPLAY_DIVERGED, shard, height);
	bool differ = r->has_hyper && !slice_eq(SLICE(r->legacy.root, r->legacy.root_size),
						SLICE(r->hyper.root, r->hyper.root_size));

	if (begin_value(c) < 0)
		return c->failed;
	int rc = 0;

	if (differ)
		rc = add_late(c, FAMILY_REPLAY, mark, NULL, c->late_bytes.n);
	else if (c->box->view.branch) /* a mark may be left from before the rollback */
		rc = add_deleted(c, FAMILY_REPLAY, mark);
	if (rc < 0)
		return rc;
	roots_row_write(r, &c->value);
	return put_replay(c, key_replay(REPLAY_ROOTS, shard, height));
}

int commit_changes_of(struct commit *c, uint32_t shard, uint64_t height, struct slice canonical,
		      const struct chain_change *list, size_t count)
{
	if (begin_value(c) < 0)
		return c->failed;
	buf_clear(&c->key);
	changes_write(list, count, !c->network->keep_keys, &c->key);
	int rc = buf_done(&c->key);

	if (rc == 0)
		rc = packed_write(buf_slice(&c->key), canonical, &c->value);
	if (rc < 0)
		c->failed = rc;
	return rc < 0 ? rc : put_replay(c, key_replay(REPLAY_CHANGES, shard, height));
}

int commit_changes(struct commit *c, uint32_t shard, uint64_t height,
		   const struct chain_change *list, size_t count)
{
	return commit_changes_of(c, shard, height, SLICE_EMPTY, list, count);
}

int commit_outcomes(struct commit *c, uint32_t shard, uint64_t height,
		    const struct chain_outcome *list, size_t count)
{
	if (begin_value(c) < 0)
		return c->failed;
	outcomes_write(list, count, &c->value);
	return put_replay(c, key_replay(REPLAY_OUTCOMES, shard, height));
}

int commit_range(struct commit *c, uint32_t shard, uint64_t range, const struct range_row *r)
{
	if (begin_value(c) < 0)
		return c->failed;
	range_row_write(r, &c->value);
	return put_replay(c, key_replay(REPLAY_RANGE, shard, range));
}

void commit_delete(struct commit *c, enum family family, struct slice key)
{
	db_batch_delete(c->batch, family, key);
}

void commit_delete_range(struct commit *c, enum family family, struct slice first,
			 struct slice end)
{
	db_batch_delete_range(c->batch, family, first, end);
}

/* ---- versions ---- */

static int add_death(struct commit *c, const struct state *st, const struct version_view *v)
{
	const struct chain_ops *ops = c->network->ops;
	bool whole = c->network->keep_keys || !ops->key_short;

	return deaths_add(&c->deaths, state_shard(st), v->height, state_branch(st), v->space,
			  v->key, whole ? v->key.n : ops->key_short(v->key));
}

static int put_version(struct commit *c, const struct state *st, const struct version_view *v)
{
	buf_clear(&c->key);
	buf_clear(&c->value);
	row_key_write(&c->key, v->space, state_shard(st), v->key,
		      (struct place){ v->height, PLACE_INDEX, state_branch(st) });
	row_value_write(&c->value, v->tombstone, v->reason, v->value);
	int rc = buf_done(&c->key);

	if (rc == 0)
		rc = buf_done(&c->value);
	if (rc < 0)
		return rc;
	db_batch_put(c->batch, FAMILY_ROWS, buf_slice(&c->key), buf_slice(&c->value));
	return v->death ? add_death(c, st, v) : 0;
}

int commit_state(struct commit *c, struct state *st)
{
	struct version_view v;
	bool known = false;

	if (c->failed)
		return c->failed;
	if (state_network(st) != c->network)
		return -EINVAL;
	for (size_t i = 0; i < c->state_count; i++)
		known |= c->states[i] == st;
	if (!known) {
		if (c->state_count == ARRAY_LEN(c->states))
			return -EMSGSIZE;
		c->states[c->state_count++] = st;
		state_taken_by(st, c);
	}
	/* A store of before this was counted has rows that it never saw come. */
	uint64_t *bytes = &c->box->view.shards[state_shard(st)].hyper_bytes;
	int64_t grown = state_take_hyper_bytes(st);

	*bytes = grown < 0 && *bytes < (uint64_t)-grown ? 0 : *bytes + (uint64_t)grown;
	while (state_take(st, &v)) {
		int rc = put_version(c, st, &v);

		if (rc < 0) {
			c->failed = rc;
			return rc;
		}
	}
	return 0;
}

void commit_forget(struct commit *c, struct state *st)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->state_count; i++)
		if (c->states[i] != st)
			c->states[kept++] = c->states[i];
	c->state_count = kept;
}

/* ---- branches ---- */

static int own_table(struct commit *c, struct branch_table **out)
{
	*out = NULL;
	if (c->failed)
		return c->failed;
	*out = branch_table_new(&c->box->table->branches);
	return *out ? 0 : -ENOMEM;
}

static void swap_table(struct commit *c, struct branch_table *t)
{
	branch_table_put(c->box->table);
	c->box->table = t;
}

int commit_branch_open(struct commit *c, uint32_t parent, const uint64_t heights[SHARD_MAX],
		       uint32_t *out)
{
	struct branch_table *t;

	for (uint32_t s = 0; s < c->box->view.shard_count; s++)
		if (heights[s] < horizon_get(c->network, s))
			return -ESTALE;
	int rc = own_table(c, &t);

	if (rc < 0)
		return rc;
	rc = branches_open(&t->branches, parent, heights, out);
	if (rc < 0) {
		branch_table_put(t);
		return rc;
	}
	swap_table(c, t);
	c->box->view.branch = *out;
	return 0;
}

int commit_branch_anew(struct commit *c, uint32_t shard, uint64_t first, uint32_t *out)
{
	const struct view *v = &c->box->view;
	uint64_t heights[SHARD_MAX] = { 0 };

	for (uint32_t s = 0; s < v->shard_count; s++)
		heights[s] = v->shards[s].replayed;
	int rc = commit_branch_open(c, v->branch, heights, out);

	/* The table is this commit's own by now. */
	if (rc == 0 && first <= v->shards[shard].begins)
		c->box->table->branches.list[*out].anew[shard] =
			(struct anew){ first, v->shards[shard].begins + 1 };
	return rc;
}

int commit_branch_settle(struct commit *c)
{
	struct branch_table *t;
	int rc = own_table(c, &t);

	if (rc < 0)
		return rc;
	branches_settle(&t->branches);
	swap_table(c, t);
	return 0;
}

/* ---- making it true ---- */

static int put_segments_end(struct commit *c)
{
	struct segments_end end = segments_end(c->network->segments);

	buf_clear(&c->value);
	buf_varint(&c->value, end.segment);
	buf_varint(&c->value, end.offset);
	if (buf_done(&c->value) < 0)
		return buf_done(&c->value);
	db_batch_put(c->batch, FAMILY_META, slice_str(META_SEGMENTS), buf_slice(&c->value));
	return 0;
}

static int put_carriers(struct commit *c)
{
	buf_clear(&c->value);
	buf_varint(&c->value, c->carriers);
	if (buf_done(&c->value) < 0)
		return buf_done(&c->value);
	db_batch_put(c->batch, FAMILY_META, slice_str(META_CARRIED), buf_slice(&c->value));
	return 0;
}

/* Everything that can fail happens before the batch is written; then the network is as the next
 * view says. */
static int write_all(struct commit *c, struct err *err)
{
	struct network *n = c->network;
	/* What the database writes later, of its own accord, is what it got here, twice at most
	 * while it rewrites; a disk that it would find full is called full now, when nothing was
	 * begun. */
	uint64_t room = segments_room(n->segments),
		 needed = STORE_RESERVE_SIZE + 2 * (uint64_t)commit_bytes_held(c);

	if (room < needed)
		return err_set(err, -ENOSPC,
			       "the disk is full: %" PRIu64 " bytes are free, %" PRIu64
			       " have to be",
			       room, needed);
	/* Rows are compared with those that this process wrote; the first time all are written. */
	const struct view_box *before = n->written ? n->newest : NULL;
	int rc = write_frame(c, err);

	if (rc == 0)
		rc = segments_sync(n->segments, err);
	if (rc < 0)
		return rc;
	rc = put_late(c);
	put_hashes(c);
	if (rc == 0)
		rc = put_stats(c);
	if (rc == 0)
		rc = deaths_put(&c->deaths, c->batch);
	if (rc == 0 && c->frame_count)
		rc = put_segments_end(c);
	if (rc == 0 && c->carriers != n->carriers)
		rc = put_carriers(c);
	if (rc == 0)
		rc = view_write(c->box, before, c->batch);
	if (rc < 0)
		return err_set(err, rc, "no memory for the rows of a batch");
	return db_write(n->db, c->batch, err);
}

static void publish(struct network *n, struct view_box *box)
{
	view_publish(n, box);
	pthread_mutex_lock(&n->view_lock);
	void (*call)(void *) = n->on_publish;
	void *arg = n->on_publish_arg;
	pthread_mutex_unlock(&n->view_lock);
	if (call)
		call(arg);
}

int commit_apply(struct commit *c, struct err *err)
{
	struct network *n = c->network;
	AUTO(view_freep) struct view_box *next = view_copy(c->box);

	if (!next)
		return err_set(err, -ENOMEM, "no memory for the next view");
	int rc = c->failed ? err_set(err, c->failed, "the batch could not be built")
			   : write_all(c, err);

	if (rc < 0) {
		/* What is on the disk now is known again when the store is opened again. */
		c->failed = rc;
		return err_note(err, rc, "network %s: commit", n->name);
	}
	n->written = true;
	n->committed = segments_end(n->segments);
	n->carriers = c->carriers;
	c->box->view.segment = n->committed.segment;
	c->box->view.segment_size = n->committed.offset;
	network_witness(n, &c->box->view, 0);
	db_batch_clear(c->batch);
	c->frame_count = c->late_count = c->hash_count = 0;
	buf_clear(&c->late_bytes);
	deaths_clear(&c->deaths);
	while (c->state_count)
		state_applied(c->states[--c->state_count]);
	struct view_box *box = c->box;

	c->box = TAKE(next);
	publish(n, box);
	return 0;
}
