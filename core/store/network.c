/* Opening and making a network, and the rows that are read from it by a key. */
#include "core/store/network.h"

#include "core/base/trace.h"
#include "core/store/blocks.h"
#include "core/store/inside.h"
#include "core/store/stats.h"

#include <stdio.h>
#include <sys/stat.h>

#define PARAMS_BYTES_MAX (16u << 20)
#define PATH_SIZE        4096

/* ---- opening ---- */

void network_closep(struct network **at)
{
	struct network *n = TAKE(*at);

	if (!n)
		return;
	assert(!n->commit);
	/* A view that is still held would outlive its network. */
	assert(n->newest == n->oldest && (!n->newest || n->newest->owners == 1));
	view_freep(&n->newest);
	cache_freep(&n->cache);
	recent_freep(&n->recent);
	dead_freep(&n->dead);
	segments_closep(&n->segments);
	bool opened = n->db != NULL;

	db_closep(&n->db);
	/* Closing wrote out what was in memory: the list of files has grown. */
	if (opened && n->witness.sequence && !n->read_only) {
		manifest_follow(&n->manifest, &n->witness);
		witness_write(n->folder, &n->witness);
	}
	manifest_close(&n->manifest);
	free(n->folder);
	if (n->params)
		n->ops->params_free(n->params);
	buf_release(&n->params_text);
	held_heights_release(n);
	pthread_mutex_destroy(&n->view_lock);
	pthread_mutex_destroy(&n->damage_lock);
	pthread_mutex_destroy(&n->pins_lock);
	free(n);
}

static struct network *network_alloc(const char *name)
{
	struct network *n = calloc(1, sizeof *n);

	if (!n)
		return NULL;
	n->manifest.file = -1;
	snprintf(n->name, sizeof n->name, "%s", name);
	n->params_text = (struct buf)BUF_INIT(PARAMS_BYTES_MAX);
	pthread_mutex_init(&n->view_lock, NULL);
	pthread_mutex_init(&n->damage_lock, NULL);
	pthread_mutex_init(&n->pins_lock, NULL);
	return n;
}

/* Row "network": index, kind, trust, canonical text of the parameters. */
static void write_identity(const struct chain_ops *ops, struct slice params, const char *trust,
			   unsigned index, struct buf *out)
{
	buf_varint(out, index);
	buf_blob(out, slice_str(ops->kind));
	buf_blob(out, slice_str(trust));
	buf_blob(out, params);
}

int network_identity_read(struct slice row, struct identity *out)
{
	struct rd r = rd_of(row);
	uint64_t index = rd_varint(&r);
	struct slice kind = rd_blob(&r), trust = rd_blob(&r), params = rd_blob(&r);

	*out = (struct identity){ .index = (unsigned)index, .params = params };
	if (rd_done(&r) < 0 || index > UINT32_MAX || kind.n >= sizeof out->kind ||
	    trust.n >= sizeof out->trust)
		return -EUCLEAN;
	memcpy(out->kind, kind.p, kind.n);
	memcpy(out->trust, trust.p, trust.n);
	return 0;
}

/* One of an older program has no file of it yet. */
static int keep_identity(struct network *n, const struct network_place *at, struct slice row,
			 struct err *err)
{
	AUTO(buf_release) struct buf kept = BUF_INIT(PARAMS_BYTES_MAX);
	int rc = at->read_only ? 1 : identity_read(n->folder, &kept);

	if (rc < 0)
		return err_set(err, rc, "its identity: %s", strerror(-rc));
	if (rc == 1 && (at->read_only || slice_eq(buf_slice(&kept), row)))
		return 0;
	/* A disk without room is no reason not to open: the next start tries again. */
	(void)!identity_write(n->folder, row, !at->sync_off, NULL);
	return 0;
}

static int read_identity(struct network *n, const struct network_place *at, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(PARAMS_BYTES_MAX);
	struct identity id;
	int rc = db_get(n->db, FAMILY_META, slice_str(META_NETWORK), &value, err);

	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(err, -EUCLEAN, "its row of parameters is not there");
	if (network_identity_read(buf_slice(&value), &id) < 0)
		return err_set(err, -EUCLEAN, "its row of parameters does not parse");
	snprintf(n->trust, sizeof n->trust, "%s", id.trust);
	n->index = id.index;
	buf_add(&n->params_text, id.params);
	if (buf_done(&n->params_text) < 0)
		return err_set(err, -ENOMEM, "no memory for its parameters");
	rc = keep_identity(n, at, buf_slice(&value), err);
	if (rc < 0)
		return rc;
	n->ops = at->kind(id.kind);
	if (!n->ops)
		return err_set(err, -EPROTONOSUPPORT,
			       "it is of kind %s, which this program does not know", id.kind);
	return n->ops->params_parse(buf_slice(&n->params_text), &n->params, err);
}

static int read_segments_end(struct network *n, struct segments_end *out, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(64);
	int rc = db_get(n->db, FAMILY_META, slice_str(META_SEGMENTS), &value, err);
	struct rd r = rd_of(buf_slice(&value));

	*out = (struct segments_end){ 0 };
	if (rc <= 0)
		return rc;
	uint64_t segment = rd_varint(&r);

	out->segment = (uint32_t)segment;
	out->offset = rd_varint(&r);
	return rd_done(&r) < 0 || segment > UINT32_MAX ?
	       err_set(err, -EUCLEAN, "the end of its segments does not parse") : 0;
}

static int read_carriers(struct network *n, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(64);
	int rc = db_get(n->db, FAMILY_META, slice_str(META_CARRIED), &value, err);
	struct rd r = rd_of(buf_slice(&value));

	if (rc <= 0)
		return rc;
	n->carriers = rd_varint(&r);
	return rd_done(&r) < 0 ? err_set(err, -EUCLEAN, "the count of its carriers does not parse")
			       : 0;
}

void network_witness(struct network *n, const struct view *v, uint64_t at_least)
{
	struct witness *w = &n->witness;

	w->sequence = MAX(db_sequence(n->db), at_least);
	w->shard_count = v->shard_count;
	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];

		w->shards[s] = (struct witness_shard){ sv->known, sv->begins, sv->base_height,
						       sv->hyper_on };
	}
	manifest_follow(&n->manifest, w);
	witness_write(n->folder, w);
}

/* A log that is damaged in its middle opens as of what lies before. What was acknowledged behind it
 * is known to exist, and a gap until it is imported again. */
static void find_loss(struct network *n, struct view *v)
{
	const struct witness *w = &n->witness;

	if (!w->sequence || db_sequence(n->db) >= w->sequence)
		return;
	n->lost = true;
	for (uint32_t s = 0; s < MIN(v->shard_count, w->shard_count); s++)
		v->shards[s].known = MAX(v->shards[s].known, w->shards[s].known);
	trace_error("store",
		    "the database lost what was acknowledged: its log is damaged; the heights are "
		    "gaps, an import fills them again",
		    "network=%s", n->name);
}

static int open_parts(struct network *n, const struct network_place *at, struct err *err)
{
	char path[PATH_SIZE];
	struct db_options options = { .cache = at->db_cache,
				      .sync_off = at->sync_off,
				      .read_only = at->read_only,
				      .on_damage = network_damaged_table,
				      .arg = n };

	if (asprintf(&n->folder, "%s/%s", at->folder, n->name) < 0) {
		n->folder = NULL;
		return err_set(err, -ENOMEM, "no memory for a path");
	}
	/* Before the database begins another list of files and drops this one. */
	int rc = witness_read(n->folder, &n->witness) ?
			 witness_manifest(n->folder, &n->witness, err) :
			 0;

	snprintf(path, sizeof path, "%s/%s/db", at->folder, n->name);
	if (rc == 0)
		rc = db_open(path, &options, &n->db, err);
	if (rc == 0)
		manifest_open(&n->manifest, n->folder);
	if (rc == 0)
		rc = read_identity(n, at, err);
	if (rc == 0)
		rc = read_segments_end(n, &n->committed, err);
	if (rc == 0)
		rc = read_carriers(n, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%s/%s/segments", at->folder, n->name);
	n->read_only = at->read_only;
	n->keep_told = at->keep_told;
	n->keep_keys = at->keep_keys;
	n->full = at->full;
	rc = at->read_only ? segments_open_read(path, n->committed, &n->segments, err)
			   : segments_open(path, n->committed, at->sync_off, &n->segments, err);
	if (rc < 0)
		return rc;
	n->state_rows_max = at->state_rows_max;
	n->cache = cache_new(at->frame_cache_size);
	n->recent = recent_new();
	n->dead = dead_new();
	if (!n->cache || !n->recent || !n->dead)
		return err_set(err, -ENOMEM, "no memory for a cache");

	AUTO(view_freep) struct view_box *box = NULL;

	rc = view_load(n, &box, err);
	if (rc < 0)
		return rc;
	box->view.segment = n->committed.segment;
	box->view.segment_size = n->committed.offset;
	find_loss(n, &box->view);
	uint64_t acknowledged = n->lost ? n->witness.sequence : 0;

	/* The database has begun another list of files. */
	if (!at->read_only)
		network_witness(n, &box->view, acknowledged);
	view_publish(n, TAKE(box));
	return 0;
}

int network_open(const struct network_place *at, const char *name, struct network **out,
		 struct err *err)
{
	AUTO(network_closep) struct network *n = network_alloc(name);

	if (!n)
		return err_set(err, -ENOMEM, "no memory for network %s", name);
	n->on_damage = at->on_damage;
	int rc = open_parts(n, at, err);

	if (rc < 0)
		return err_note(err, rc, "network %s", name);
	*out = TAKE(n);
	return 0;
}

int network_create(const struct network_place *at, const char *name, const struct chain_ops *ops,
		   struct slice params, const char *trust, unsigned index, struct err *err)
{
	char path[PATH_SIZE];
	AUTO(db_closep) struct db *db = NULL;
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	AUTO(buf_release) struct buf value = BUF_INIT(PARAMS_BYTES_MAX);
	struct db_options options = { .cache = at->db_cache,
				      .create = true,
				      .packed = !at->keep_keys,
				      .sync_off = at->sync_off };

	write_identity(ops, params, trust, index, &value);
	if (buf_done(&value) < 0)
		return err_set(err, buf_done(&value), "parameters of %zu bytes", params.n);
	snprintf(path, sizeof path, "%s/%s", at->folder, name);
	if (mkdir(path, 0700) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int rc = identity_write(path, buf_slice(&value), !at->sync_off, err);

	snprintf(path, sizeof path, "%s/%s/db", at->folder, name);
	if (rc == 0)
		rc = db_open(path, &options, &db, err);
	if (rc == 0)
		rc = db_batch_new(db, &batch);
	if (rc < 0)
		return rc == -ENOMEM ? err_set(err, rc, "no memory for a batch") : rc;
	db_batch_put(batch, FAMILY_META, slice_str(META_NETWORK), buf_slice(&value));
	return db_write(db, batch, err);
}

/* ---- what it is ---- */

const char *network_folder(const struct network *n)
{
	return n->folder;
}

const char *network_name(const struct network *n)
{
	return n->name;
}

const struct chain_ops *network_ops(const struct network *n)
{
	return n->ops;
}

const struct chain_params *network_params(const struct network *n)
{
	return n->params;
}

struct slice network_params_text(const struct network *n)
{
	return buf_slice(&n->params_text);
}

const char *network_trust(const struct network *n)
{
	return n->trust;
}

unsigned network_index(const struct network *n)
{
	return n->index;
}

uint64_t network_epoch(const struct network *n)
{
	return db_epoch(n->db);
}

int network_rows(struct network *n, uint32_t branch, uint32_t shard, uint64_t height,
		 struct rows **out)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	AUTO(lineage_release) struct lineage lineage = { 0 };
	int rc = lineage_of(&((struct view_box *)v)->table->branches, branch, shard, &lineage);

	if (rc == 0)
		rc = rows_new(n->db, shard, height, &lineage, out);
	if (rc == 0)
		rows_remember(*out, n->dead);
	return rc;
}

/* ---- one row by its key ---- */

int network_unclean(struct network *n, const char *what, uint32_t shard, uint64_t height)
{
	trace_error("store", "a row does not parse", "network=%s row=%s shard=%u height=%" PRIu64,
		    n->name, what, shard, height);
	return -EUCLEAN;
}

int network_block(struct network *n, uint32_t shard, uint64_t height, struct block_row *out)
{
	uint64_t epoch = db_epoch(n->db);

	if (recent_block(n->recent, epoch, shard, height, out))
		return 1;
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	struct short_key key = key_block(shard, height);
	int rc = db_get(n->db, FAMILY_BLOCKS, short_slice(&key), &value, NULL);

	if (rc != 1)
		return rc;
	*out = (struct block_row){ .shard = shard, .height = height };
	if (block_row_read(buf_slice(&value), out) < 0)
		return network_unclean(n, "block", shard, height);
	recent_block_add(n->recent, epoch, out);
	return 1;
}

int network_replay_row(struct network *n, enum replay_kind kind, uint32_t shard, uint64_t height,
		       struct buf *value)
{
	struct short_key key = key_replay(kind, shard, height);

	return db_get(n->db, FAMILY_REPLAY, short_slice(&key), value, NULL);
}

int network_roots(struct network *n, uint32_t shard, uint64_t height, struct roots_row *out)
{
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	int rc = network_replay_row(n, REPLAY_ROOTS, shard, height, &value);

	if (rc != 1)
		return rc;
	return roots_row_read(buf_slice(&value), out) < 0
		       ? network_unclean(n, "roots", shard, height)
		       : 1;
}

/* The keys that a list leaves out, from the bytes of their objects. Those of a block come one after
 * another mostly, so that its bytes are asked for once. */
static int tell_keys(struct network *n, struct change_list *l)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat = { 0 }, last = { 0 };
	uint64_t object = 0;

	l->told = (struct buf)BUF_INIT(NETWORK_ROW_SIZE_MAX);
	for (size_t i = 0; i < l->change_count; i++) {
		struct chain_change *c = &l->changes[i];
		size_t before = l->told.n;
		struct slice bytes;
		int rc = 1;

		if (!c->told)
			continue;
		if (c->object != object)
			rc = network_stat(n, c->object, &stat);
		if (rc != 1 || !n->ops->object_key)
			return rc < 0 ? rc : -EUCLEAN;
		object = c->object;
		if (!owner || stat.carrier != last.carrier || stat.shard != last.shard ||
		    (!stat.carrier && stat.height != last.height)) {
			block_bytes_putp(&owner);
			rc = network_object_bytes(n, &stat, &owner, &bytes, NULL);
			if (rc < 0)
				return rc;
			last = stat;
		}
		bytes = slice_sub(owner->canonical, stat.offset, stat.size);
		rc = bytes.n == stat.size ? n->ops->object_key(stat.form, bytes, &l->told)
					  : -EUCLEAN;
		if (rc < 0)
			return rc == -EBADMSG ? -EUCLEAN : rc;
		c->key.n = l->told.n - before;
	}
	const uint8_t *at = l->told.p;

	for (size_t i = 0; i < l->change_count; i++) {
		if (!l->changes[i].told)
			continue;
		l->changes[i].key.p = at;
		at += l->changes[i].key.n;
	}
	return 0;
}

static int read_changes(struct network *n, uint32_t shard, uint64_t height, bool keys,
			struct change_list *out)
{
	AUTO(change_list_release) struct change_list l = { .change_count = 0 };
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	AUTO(buf_release) struct buf list = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	int rc = network_replay_row(n, REPLAY_CHANGES, shard, height, &value);

	if (rc != 1)
		return rc;
	if (packed_needs(buf_slice(&value))) {
		struct block_row row;

		rc = network_block(n, shard, height, &row);
		if (rc == 0)
			rc = -ENODATA;
		if (rc == 1)
			rc = network_block_bytes(n, &row, &bytes, NULL);
		if (rc < 0)
			return rc;
	}
	rc = packed_read(buf_slice(&value), bytes ? bytes->canonical : SLICE_EMPTY, &list);
	if (rc == 0)
		rc = changes_read(buf_slice(&list), &l);
	if (rc == 0 && keys)
		rc = tell_keys(n, &l);
	if (rc < 0)
		return rc == -EUCLEAN ? network_unclean(n, "changes", shard, height) : rc;
	*out = l;
	l = (struct change_list){ 0 };
	return 1;
}

int network_changes(struct network *n, uint32_t shard, uint64_t height, struct change_list *out)
{
	return read_changes(n, shard, height, true, out);
}

int network_changes_keyless(struct network *n, uint32_t shard, uint64_t height,
			    struct change_list *out)
{
	return read_changes(n, shard, height, false, out);
}

int network_outcomes(struct network *n, uint32_t shard, uint64_t height, struct outcome_list *out)
{
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	int rc = network_replay_row(n, REPLAY_OUTCOMES, shard, height, &value);

	if (rc != 1)
		return rc;
	rc = outcomes_read(buf_slice(&value), out);
	if (rc < 0)
		return rc == -EUCLEAN ? network_unclean(n, "outcomes", shard, height) : rc;
	return 1;
}

int network_range(struct network *n, uint32_t shard, uint64_t range, struct range_row *out)
{
	AUTO(buf_release) struct buf value = BUF_INIT(NETWORK_ROW_SIZE_MAX);
	int rc = network_replay_row(n, REPLAY_RANGE, shard, range, &value);

	if (rc != 1)
		return rc;
	return range_row_read(buf_slice(&value), out) < 0
		       ? network_unclean(n, "range", shard, range)
		       : 1;
}

/* The last object whose newest record is in the group that `it` stands on, if it is read up to
 * `object`. A look at what lies behind costs a seek: not for a group that is met once. */
static uint64_t last_of_group(struct network *n, struct db_iter *it, uint64_t first,
			      uint64_t object)
{
	if (!recent_met(n->recent, first))
		return object;
	int rc = db_iter_next(it, NULL);

	if (rc < 0 || (rc == 1 && db_iter_key(it).n != 8))
		return object;
	return rc == 0 ? UINT64_MAX : get_be64(db_iter_key(it).p) - 1;
}

static int read_group(struct network *n, struct db_iter *it, uint64_t object,
		      struct stat_group *out)
{
	struct slice key = db_iter_key(it);

	if (key.n != 8)
		return network_unclean(n, "stat", 0, object);
	uint64_t first = get_be64(key.p);

	if (object - first >= STAT_GROUP_SPAN)
		return 0;
	return stat_group_read(db_iter_value(it), first, out) < 0
		       ? network_unclean(n, "stat", 0, object)
		       : 1;
}

static bool find_in_group(const struct stat_group *g, uint64_t object, struct stat_record *out)
{
	for (size_t i = 0; i < g->count; i++)
		if (g->objects[i] == object) {
			*out = g->records[i];
			return true;
		}
	return false;
}

int network_stat(struct network *n, uint64_t object, struct stat_record *out)
{
	uint64_t epoch = db_epoch(n->db);

	if (recent_stat(n->recent, epoch, object, out))
		return 1;
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	struct short_key key = key_stat(object);
	struct stat_group group;
	bool nearest = true;
	int rc = db_iter_new(n->db, FAMILY_STATS, DB_ORDERED, &it);

	if (rc == 0)
		rc = db_iter_seek_back(it, short_slice(&key), NULL);
	for (; rc == 1; rc = db_iter_back(it, NULL), nearest = false) {
		rc = read_group(n, it, object, &group);
		if (rc <= 0)
			return rc;
		if (!find_in_group(&group, object, out))
			continue;
		/* Behind an older group younger ones lie that may have what it has. */
		if (nearest)
			recent_stats_add(n->recent, epoch, &group,
					 last_of_group(n, it, group.objects[0], object));
		return 1;
	}
	return rc;
}

/* ---- rows in order ---- */

struct block_scan {
	struct network *network;
	struct db_iter *it;
	uint32_t        shard;
	uint64_t        first;
	bool            begun, done;
};

int block_scan_new(struct network *n, uint32_t shard, uint64_t first, struct block_scan **out)
{
	AUTO(block_scan_freep) struct block_scan *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->network = n;
	s->shard = shard;
	s->first = first;
	int rc = db_iter_new(n->db, FAMILY_BLOCKS, DB_ORDERED, &s->it);

	if (rc == 0)
		*out = TAKE(s);
	return rc;
}

int block_scan_next(struct block_scan *s, struct block_row *out)
{
	struct short_key first = key_block(s->shard, s->first);
	uint32_t shard;
	uint64_t height;

	if (s->done)
		return 0;
	int rc = s->begun ? db_iter_next(s->it, NULL)
			  : db_iter_seek(s->it, short_slice(&first), NULL);

	s->begun = true;
	s->done = rc != 1;
	if (rc != 1)
		return rc;
	if (key_block_read(db_iter_key(s->it), &shard, &height) < 0)
		return network_unclean(s->network, "block", s->shard, s->first);
	if (shard != s->shard) {
		s->done = true;
		return 0;
	}
	*out = (struct block_row){ .shard = shard, .height = height };
	if (block_row_read(db_iter_value(s->it), out) < 0)
		return network_unclean(s->network, "block", shard, height);
	return 1;
}

void block_scan_freep(struct block_scan **s)
{
	if (*s)
		db_iter_freep(&(*s)->it);
	free(*s);
	*s = NULL;
}

int network_diverged_next(struct network *n, uint32_t shard, uint64_t first, uint64_t *height)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	AUTO(view_putp) struct view *v = network_view_get(n);
	struct short_key key = key_replay(REPLAY_DIVERGED, shard, first);
	uint8_t kind;
	uint32_t found;
	int rc = db_iter_new(n->db, FAMILY_REPLAY, DB_ORDERED, &it);

	if (rc == 0)
		rc = db_iter_seek(it, short_slice(&key), NULL);
	if (rc != 1)
		return rc;
	if (key_replay_read(db_iter_key(it), &kind, &found, height) < 0)
		return network_unclean(n, "diverged", shard, first);
	/* Marks above what is replayed are left from before a rollback. */
	return kind == REPLAY_DIVERGED && found == shard && *height <= v->shards[shard].replayed;
}

static bool hash_begins(const uint8_t prefix[8], const uint8_t *wanted, size_t nibbles)
{
	if (memcmp(prefix, wanted, nibbles / 2) != 0)
		return false;
	return nibbles % 2 == 0 || (prefix[nibbles / 2] ^ wanted[nibbles / 2]) >> 4 == 0;
}

int network_by_hash(struct network *n, const uint8_t *prefix, size_t nibbles,
		    const struct hash_hit *after, struct hash_hit *out, size_t out_max)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	bool packed = db_is_packed(n->db);
	uint8_t first[8] = { 0 };
	size_t count = 0;

	/* What is asked beyond the bytes that keys hold the caller checks. */
	nibbles = MIN(nibbles, 2 * (size_t)HASH_PREFIX_SIZE(packed));
	memcpy(first, prefix, (nibbles + 1) / 2);
	if (nibbles % 2)
		first[nibbles / 2] &= 0xf0;
	if (out_max > INT32_MAX)
		return -EINVAL;
	struct short_key from = { .n = HASH_PREFIX_SIZE(packed) };

	memcpy(from.bytes, first, from.n);
	if (after)
		from = key_hash(packed, after->prefix, after->shard, after->height, after->item);
	int rc = db_iter_new(n->db, FAMILY_HASHES, DB_ORDERED, &it);

	if (rc == 0)
		rc = db_iter_seek(it, short_slice(&from), NULL);
	if (rc == 1 && after && slice_eq(db_iter_key(it), short_slice(&from)))
		rc = db_iter_next(it, NULL);
	for (; rc == 1 && count < out_max; rc = db_iter_next(it, NULL)) {
		struct hash_hit *hit = &out[count];

		if (key_hash_read(packed, db_iter_key(it), hit->prefix, &hit->shard, &hit->height,
				  &hit->item) < 0)
			return network_unclean(n, "hash", 0, 0);
		if (!hash_begins(hit->prefix, first, nibbles))
			break;
		count++;
	}
	return rc < 0 ? rc : (int)count;
}

int network_quiet(struct network *n, bool quiet, unsigned wait_ms, struct err *err)
{
	int rc = db_quiet(n->db, quiet, wait_ms, err);

	return rc < 0 ? err_note(err, rc, "network %s", n->name) : 0;
}
