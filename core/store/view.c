/* Views and pins: what readers hold, and what may therefore not go away. */
#include "core/store/blocks.h"
#include "core/store/inside.h"

#define META_BYTES_MAX (256u << 20) /* gaps of a shard with ten million holes */

/* ---- making and freeing ---- */

struct branch_table *branch_table_new(const struct branches *from)
{
	struct branch_table *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	atomic_init(&t->owners, 1);
	if ((from ? branches_copy(&t->branches, from) : branches_init(&t->branches)) < 0) {
		free(t);
		return NULL;
	}
	return t;
}

void branch_table_put(struct branch_table *t)
{
	if (!t || atomic_fetch_sub(&t->owners, 1) != 1)
		return;
	branches_release(&t->branches);
	free(t);
}

static void box_free(struct view_box *box)
{
	for (size_t s = 0; s < SHARD_MAX; s++)
		gaps_release(&box->view.shards[s].gaps);
	branch_table_put(box->table);
	free(box);
}

void view_freep(struct view_box **box)
{
	if (*box)
		box_free(*box);
	*box = NULL;
}

struct view_box *view_new(struct network *n)
{
	struct view_box *box = calloc(1, sizeof *box);

	if (!box)
		return NULL;
	box->view.network = n;
	box->view.next_object = 1;
	box->owners = 1;
	box->table = branch_table_new(NULL);
	if (!box->table)
		view_freep(&box);
	return box;
}

struct view_box *view_copy(const struct view_box *from)
{
	struct view_box *box = malloc(sizeof *box);

	if (!box)
		return NULL;
	box->view = from->view;
	box->owners = 1;
	box->newer = box->older = NULL;
	box->table = from->table;
	atomic_fetch_add(&box->table->owners, 1);
	for (size_t s = 0; s < SHARD_MAX; s++)
		box->view.shards[s].gaps = (struct gaps)GAPS_INIT;
	for (size_t s = 0; s < SHARD_MAX; s++)
		if (gaps_copy(&box->view.shards[s].gaps, &from->view.shards[s].gaps) < 0) {
			view_freep(&box);
			return NULL;
		}
	return box;
}

/* ---- publishing, taking, putting back ---- */

/* One owner less; under view_lock. What it returns is freed without it. */
static struct view_box *disown(struct network *n, struct view_box *box)
{
	if (--box->owners)
		return NULL;
	*(box->newer ? &box->newer->older : &n->newest) = box->older;
	*(box->older ? &box->older->newer : &n->oldest) = box->newer;
	return box;
}

void view_publish(struct network *n, struct view_box *box)
{
	struct view_box *gone = NULL;

	pthread_mutex_lock(&n->view_lock);
	struct view_box *before = n->newest;

	box->view.number = ++n->publications;
	box->older = before;
	*(before ? &before->newer : &n->oldest) = box;
	n->newest = box;
	if (before)
		gone = disown(n, before);
	pthread_mutex_unlock(&n->view_lock);
	view_freep(&gone);
}

struct view *network_view_get(struct network *n)
{
	LOCKED(&n->view_lock);
	n->newest->owners++;
	return &n->newest->view;
}

void view_putp(struct view **at)
{
	struct view_box *box = (struct view_box *)TAKE(*at);

	if (!box)
		return;
	struct network *n = box->view.network;

	pthread_mutex_lock(&n->view_lock);
	box = disown(n, box);
	pthread_mutex_unlock(&n->view_lock);
	view_freep(&box);
}

void network_on_publish(struct network *n, void (*call)(void *arg), void *arg)
{
	LOCKED(&n->view_lock);
	n->on_publish = call;
	n->on_publish_arg = arg;
}

void network_views_after(struct network *n, uint64_t last)
{
	LOCKED(&n->view_lock);
	if (n->publications > last)
		return;
	n->publications = last + 1;
	n->newest->view.number = n->publications;
}

uint32_t view_line(const struct view *v, uint32_t shard, uint64_t height)
{
	return branches_line(&((const struct view_box *)v)->table->branches, v->branch, shard,
			     height);
}

/* ---- carried to another process ---- */

static int save_shard(const struct shard_view *sv, struct buf *value, struct buf *out)
{
	buf_clear(value);
	shard_view_write(sv, value);
	buf_varint(out, value->n);
	buf_add(out, buf_slice(value));
	buf_clear(value);
	int rc = buf_done(value) < 0 ? buf_done(value) : gaps_write(&sv->gaps, value);

	buf_varint(out, value->n);
	buf_add(out, buf_slice(value));
	return rc < 0 ? rc : buf_done(out);
}

int network_view_save(const struct view *v, struct buf *out)
{
	const struct view_box *box = (const struct view_box *)v;
	AUTO(buf_release) struct buf value = BUF_INIT(META_BYTES_MAX);
	int rc = 0;

	buf_varint(out, v->number);
	buf_varint(out, v->branch);
	buf_varint(out, v->next_object);
	buf_varint(out, v->shard_count);
	branches_write(&box->table->branches, &value);
	buf_varint(out, value.n);
	buf_add(out, buf_slice(&value));
	rc = buf_done(&value);
	for (uint32_t s = 0; rc == 0 && s < v->shard_count; s++)
		rc = save_shard(&v->shards[s], &value, out);
	return rc < 0 ? rc : buf_done(out);
}

static int read_saved(struct slice saved, struct view_box *box)
{
	struct rd r = rd_of(saved);
	struct view *v = &box->view;

	v->number = rd_varint(&r);
	uint64_t branch = rd_varint(&r);

	v->next_object = rd_varint(&r);
	uint64_t shards = rd_varint(&r);
	struct slice branches = rd_bytes(&r, rd_varint(&r));

	branches_release(&box->table->branches);
	if (shards > SHARD_MAX || branches_read(branches, &box->table->branches) < 0 ||
	    branch >= box->table->branches.count)
		return -EBADMSG;
	v->branch = (uint32_t)branch;
	v->shard_count = (uint32_t)shards;
	for (uint32_t s = 0; s < v->shard_count; s++) {
		struct slice row = rd_bytes(&r, rd_varint(&r));
		struct slice gaps = rd_bytes(&r, rd_varint(&r));

		if (shard_view_read(row, &v->shards[s]) < 0 ||
		    gaps_read(gaps, &v->shards[s].gaps) < 0)
			return -EBADMSG;
	}
	return rd_done(&r);
}

/* The branch of a view is the last one of its time, so that the next one left it. */
static bool is_line_gone(const struct branches *now, const struct view *v)
{
	size_t left_by = (size_t)v->branch + 1;

	return v->branch >= now->count || (left_by < now->count && now->list[left_by].settled);
}

int network_view_restore(struct network *n, struct slice saved, struct view **out)
{
	AUTO(view_freep) struct view_box *box = view_new(n);

	if (!box)
		return -ENOMEM;
	int rc = read_saved(saved, box);

	if (rc < 0)
		return rc;
	for (uint32_t s = 0; s < box->view.shard_count; s++)
		if (box->view.shards[s].replayed < horizon_get(n, s))
			return -ESTALE;
	pthread_mutex_lock(&n->view_lock);
	if (is_line_gone(&n->newest->table->branches, &box->view)) {
		pthread_mutex_unlock(&n->view_lock);
		return -ESTALE;
	}
	box->newer = n->oldest;
	n->oldest->older = box;
	n->oldest = box;
	pthread_mutex_unlock(&n->view_lock);
	*out = &box->view;
	box = NULL;
	return 0;
}

uint64_t views_lowest(struct network *n, uint32_t shard)
{
	uint64_t lowest = UINT64_MAX;

	LOCKED(&n->view_lock);
	for (const struct view_box *box = n->oldest; box; box = box->newer)
		lowest = MIN(lowest, box->view.shards[shard].replayed);
	return lowest;
}

bool views_of_one_line(struct network *n)
{
	LOCKED(&n->view_lock);
	for (const struct view_box *box = n->oldest; box; box = box->newer)
		if (box->view.branch != n->newest->view.branch)
			return false;
	return true;
}

/* ---- pins ---- */

static size_t pin_at(const struct held_heights *p, uint64_t height)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->list[middle].height < height)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Room for one pin more is made without the lock; somebody else may have used it meanwhile. */
static int pins_grow(struct network *n, struct held_heights *p, size_t cap)
{
	struct held_height *list = malloc(cap * sizeof *list), *old = NULL;

	if (!list)
		return -ENOMEM;
	pthread_mutex_lock(&n->pins_lock);
	if (p->cap < cap) {
		if (p->count)
			memcpy(list, p->list, p->count * sizeof *list);
		old = p->list;
		p->list = list;
		p->cap = cap;
		list = NULL;
	}
	pthread_mutex_unlock(&n->pins_lock);
	free(list);
	free(old);
	return 0;
}

/* 0, or -EAGAIN and *cap says how much room is needed first. */
static int pin_add(struct network *n, struct held_heights *p, uint64_t height, size_t *cap)
{
	LOCKED(&n->pins_lock);
	size_t at = pin_at(p, height);

	if (height < p->horizon)
		return -ESTALE;
	if (at < p->count && p->list[at].height == height) {
		p->list[at].count++;
		return 0;
	}
	if (p->count == p->cap) {
		*cap = MAX(p->cap * 2, 8);
		return -EAGAIN;
	}
	memmove(p->list + at + 1, p->list + at, (p->count - at) * sizeof *p->list);
	p->list[at] = (struct held_height){ height, 1 };
	p->count++;
	return 0;
}

int network_pin(struct network *n, uint32_t shard, uint64_t height)
{
	size_t cap = 0;

	if (shard >= SHARD_MAX)
		return -EINVAL;
	for (;;) {
		int rc = pin_add(n, &n->pins[shard], height, &cap);

		if (rc == -EAGAIN)
			rc = pins_grow(n, &n->pins[shard], cap);
		else
			return rc;
		if (rc < 0)
			return rc;
	}
}

void network_unpin(struct network *n, uint32_t shard, uint64_t height)
{
	assert(shard < SHARD_MAX);
	struct held_heights *p = &n->pins[shard];

	LOCKED(&n->pins_lock);
	size_t at = pin_at(p, height);

	assert(at < p->count && p->list[at].height == height);
	if (--p->list[at].count)
		return;
	p->count--;
	memmove(p->list + at, p->list + at + 1, (p->count - at) * sizeof *p->list);
}

uint64_t network_pinned_lowest(struct network *n, uint32_t shard)
{
	assert(shard < SHARD_MAX);
	LOCKED(&n->pins_lock);
	return n->pins[shard].count ? n->pins[shard].list[0].height : UINT64_MAX;
}

uint64_t horizon_take(struct network *n, uint32_t shard, uint64_t wanted)
{
	struct held_heights *p = &n->pins[shard];

	LOCKED(&n->pins_lock);
	if (p->count)
		wanted = MIN(wanted, p->list[0].height);
	p->horizon = MAX(p->horizon, wanted);
	return p->horizon;
}

void horizon_set(struct network *n, uint32_t shard, uint64_t horizon)
{
	LOCKED(&n->pins_lock);
	n->pins[shard].horizon = horizon;
}

uint64_t horizon_get(struct network *n, uint32_t shard)
{
	LOCKED(&n->pins_lock);
	return n->pins[shard].horizon;
}

void held_heights_release(struct network *n)
{
	for (size_t s = 0; s < SHARD_MAX; s++)
		free(n->pins[s].list);
}

/* ---- rows ---- */

/* A row that has to be there: it was written with the first commit. */
static int need(struct network *n, struct slice key, struct buf *value, struct err *err)
{
	buf_clear(value);
	int rc = db_get(n->db, FAMILY_META, key, value, err);

	if (rc == 0)
		return err_set(err, -EUCLEAN, "network %s: its row %.*s is not there", n->name,
			       (int)MIN(key.n, 10), (const char *)key.p);
	return rc < 0 ? rc : 0;
}

static int load_shard(struct network *n, uint32_t shard, struct shard_view *sv, struct buf *value,
		      struct err *err)
{
	struct short_key shard_key = key_meta_shard(META_SHARD, shard);
	struct short_key gaps_key = key_meta_shard(META_GAPS, shard);
	int rc = need(n, short_slice(&shard_key), value, err);

	if (rc < 0)
		return rc;
	rc = shard_view_read(buf_slice(value), sv);
	if (rc < 0)
		return err_set(err, rc, "network %s: the row of shard %u does not parse", n->name,
			       shard);
	rc = need(n, short_slice(&gaps_key), value, err);
	if (rc < 0)
		return rc;
	rc = gaps_read(buf_slice(value), &sv->gaps);
	if (rc < 0)
		return err_set(err, rc == -EBADMSG ? -EUCLEAN : rc,
			       "network %s: the gaps of shard %u do not parse", n->name, shard);
	return 0;
}

int view_load(struct network *n, struct view_box **out, struct err *err)
{
	AUTO(view_freep) struct view_box *box = view_new(n);
	AUTO(buf_release) struct buf value = BUF_INIT(META_BYTES_MAX);

	if (!box)
		return err_set(err, -ENOMEM, "no memory for a view");
	struct view *v = &box->view;
	int rc = db_get(n->db, FAMILY_META, slice_str(META_HEAD), &value, err);

	if (rc < 0)
		return rc;
	v->shard_count = n->ops->shard_count(n->params);
	if (v->shard_count < 1 || v->shard_count > SHARD_MAX)
		return err_set(err, -EINVAL, "network %s: %u shards, at most %d can be held",
			       n->name, v->shard_count, SHARD_MAX);
	if (rc == 0) { /* nothing was committed yet */
		*out = TAKE(box);
		return 0;
	}
	struct rd r = rd_of(buf_slice(&value));
	uint64_t branch = rd_varint(&r), shards;

	v->next_object = rd_varint(&r);
	shards = rd_varint(&r);
	if (rd_done(&r) < 0 || shards > v->shard_count)
		return err_set(err, -EUCLEAN, "network %s: its head does not parse", n->name);
	rc = need(n, slice_str(META_BRANCHES), &value, err);
	if (rc < 0)
		return rc;
	branches_release(&box->table->branches);
	rc = branches_read(buf_slice(&value), &box->table->branches);
	if (rc < 0 || branch >= box->table->branches.count)
		return err_set(err, rc == -ENOMEM ? rc : -EUCLEAN,
			       "network %s: its branches do not parse", n->name);
	v->branch = (uint32_t)branch;
	for (uint32_t s = 0; s < shards; s++) {
		rc = load_shard(n, s, &v->shards[s], &value, err);
		if (rc < 0)
			return rc;
		horizon_set(n, s, v->shards[s].kept_from);
	}
	*out = TAKE(box);
	return 0;
}

static bool same_gaps(const struct gaps *a, const struct gaps *b)
{
	return a->held_count == b->held_count && a->fault_count == b->fault_count &&
	       a->rolled_end == b->rolled_end &&
	       (a->rolled_end == 0 || memcmp(&a->rolled, &b->rolled, sizeof a->rolled) == 0) &&
	       (a->held_count == 0 ||
		memcmp(a->held, b->held, a->held_count * sizeof *a->held) == 0) &&
	       (a->fault_count == 0 ||
		memcmp(a->faults, b->faults, a->fault_count * sizeof *a->faults) == 0);
}

static int put_shard(const struct view_box *box, const struct view_box *before, uint32_t shard,
		     struct db_batch *batch, struct buf *value)
{
	const struct shard_view *sv = &box->view.shards[shard];
	struct short_key shard_key = key_meta_shard(META_SHARD, shard);
	struct short_key gaps_key = key_meta_shard(META_GAPS, shard);

	buf_clear(value);
	shard_view_write(sv, value);
	if (buf_done(value) < 0)
		return buf_done(value);
	db_batch_put(batch, FAMILY_META, short_slice(&shard_key), buf_slice(value));
	if (before && same_gaps(&sv->gaps, &before->view.shards[shard].gaps))
		return 0;
	buf_clear(value);
	int rc = gaps_write(&sv->gaps, value);

	if (rc == 0)
		db_batch_put(batch, FAMILY_META, short_slice(&gaps_key), buf_slice(value));
	return rc;
}

int view_write(const struct view_box *box, const struct view_box *before, struct db_batch *batch)
{
	AUTO(buf_release) struct buf value = BUF_INIT(META_BYTES_MAX);
	int rc;

	buf_varint(&value, box->view.branch);
	buf_varint(&value, box->view.next_object);
	buf_varint(&value, box->view.shard_count);
	rc = buf_done(&value);
	if (rc < 0)
		return rc;
	db_batch_put(batch, FAMILY_META, slice_str(META_HEAD), buf_slice(&value));
	if (!before || before->table != box->table) {
		buf_clear(&value);
		branches_write(&box->table->branches, &value);
		rc = buf_done(&value);
		if (rc < 0)
			return rc;
		db_batch_put(batch, FAMILY_META, slice_str(META_BRANCHES), buf_slice(&value));
	}
	for (uint32_t s = 0; rc == 0 && s < box->view.shard_count; s++)
		rc = put_shard(box, before, s, batch, &value);
	return rc;
}
