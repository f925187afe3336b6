#include "core/store/rows.h"

#include "core/base/trace.h"
#include "core/store/db.h"
#include "core/store/dead.h"
#include "core/store/keys.h"

#define ROW_TOMBSTONE  0x80
#define STEPS_BEFORE_SEEK 8 /* stepping is ten times cheaper than seeking anew */
#define DEAD_ASKED        16 /* keys without a row until somebody is asked where they end */
#define DEAD_TOLD         64 /* and until it is worth to be told */

struct rows {
	struct db      *db;
	uint32_t        shard;
	uint64_t        height;
	struct lineage  lineage;
	struct dead    *dead; /* NULL: nothing is remembered */
	struct db_iter *point;
	struct buf      key;
};

struct rows_scan {
	struct rows    *rows;
	struct db_iter *it;
	struct buf      prefix; /* as stored */
	size_t          begin_size; /* of the prefix, unescaped: what `key` always begins with */
	struct buf      start;
	struct buf      stem;   /* of the key given last */
	struct buf      key;    /* unescaped, what is given out */
	struct buf      dead_first; /* of the stretch that is being walked over */
	uint64_t        epoch;
	bool            begun, done;
	bool            given;  /* a row, since it began */
};

/* ---- layout ---- */

static void write_place(struct buf *out, struct place place)
{
	buf_be64(out, ~place.height);
	buf_be32(out, ~place.index);
	buf_be32(out, place.branch);
}

void row_key_stem(struct buf *out, enum space space, uint32_t shard, struct slice key)
{
	buf_u8(out, (uint8_t)space);
	buf_u8(out, (uint8_t)shard);
	key_escape(out, key);
}

void row_key_open(struct buf *out, enum space space, uint32_t shard, struct slice begin)
{
	row_key_stem(out, space, shard, begin);
	if (out->n >= 2)
		out->n -= 2;
}

void row_key_behind(struct buf *out, struct slice stem)
{
	buf_add(out, SLICE(stem.p, stem.n - 1));
	buf_u8(out, 1);
}

void row_key_write(struct buf *out, enum space space, uint32_t shard, struct slice key,
		   struct place place)
{
	row_key_stem(out, space, shard, key);
	write_place(out, place);
}

struct place row_place(struct slice stored)
{
	const uint8_t *p = stored.p + stored.n - ROW_SUFFIX_SIZE;

	return (struct place){ .height = ~get_be64(p),
			       .index = ~get_be32(p + 8),
			       .branch = get_be32(p + 12) };
}

int row_key_read(struct slice in, enum space *space, uint32_t *shard, struct buf *key,
		 struct place *place)
{
	struct rd r = rd_of(in);

	*space = rd_u8(&r);
	*shard = rd_u8(&r);
	if (!rd_ok(&r) || (*space != SPACE_BOTH && *space != SPACE_HYPER))
		return -EUCLEAN;
	int rc = key_unescape(&r, key);

	if (rc < 0)
		return rc;
	if (rd_left(&r) != ROW_SUFFIX_SIZE)
		return -EUCLEAN;
	*place = row_place(in);
	return 0;
}

void row_value_write(struct buf *out, bool tombstone, enum reason reason, struct slice value)
{
	buf_u8(out, tombstone ? ROW_TOMBSTONE | (uint8_t)reason : 0);
	if (!tombstone)
		buf_add(out, value);
}

int row_value_read(struct slice in, struct row_version *out)
{
	if (in.n == 0)
		return -EUCLEAN;
	uint8_t flags = in.p[0];

	out->tombstone = flags & ROW_TOMBSTONE;
	out->reason = flags & (uint8_t)~ROW_TOMBSTONE;
	out->value = SLICE(in.p + 1, in.n - 1);
	if (out->tombstone ? out->reason >= REASON_COUNT || in.n != 1 : flags != 0)
		return -EUCLEAN;
	return 0;
}

static int unclean(struct slice stored)
{
	char hex[2 * 64 + 1];

	hex_put(hex, stored.p, MIN(stored.n, 64));
	trace_error("store", "a row does not parse", "key=%s", hex);
	return -EUCLEAN;
}

/* ---- readers ---- */

int rows_new(struct db *db, uint32_t shard, uint64_t height, struct lineage *lineage,
	     struct rows **out)
{
	struct rows *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	r->db = db;
	r->shard = shard;
	r->height = height;
	r->lineage = *lineage;
	*lineage = (struct lineage){ 0 };
	r->key = (struct buf)BUF_INIT(ROW_STORED_KEY_MAX);
	*out = r;
	return 0;
}

void rows_remember(struct rows *r, struct dead *dead)
{
	/* The newest rows change within what an epoch is of others. */
	r->dead = r->height == UINT64_MAX ? NULL : dead;
}

void rows_freep(struct rows **at)
{
	struct rows *r = TAKE(*at);

	if (!r)
		return;
	db_iter_freep(&r->point);
	lineage_release(&r->lineage);
	buf_release(&r->key);
	free(r);
}

static bool sees(const struct rows *r, struct place place)
{
	return place.height <= r->height && lineage_sees(&r->lineage, place.branch, place.height);
}

static int point_iterator(struct rows *r)
{
	if (r->point && db_iter_is_current(r->point))
		return 0;
	db_iter_freep(&r->point);
	return db_iter_new(r->db, FAMILY_ROWS, DB_STEM, &r->point);
}

int rows_get(struct rows *r, enum space space, struct slice key, struct slice *value)
{
	int rc = point_iterator(r);

	if (rc < 0)
		return rc;
	buf_clear(&r->key);
	row_key_stem(&r->key, space, r->shard, key);
	struct slice stem = buf_slice(&r->key);

	/* All places at or below the height sort at or behind this one. */
	write_place(&r->key, (struct place){ .height = r->height, .index = UINT32_MAX });
	rc = buf_done(&r->key);
	if (rc < 0)
		return rc;
	stem.p = r->key.p; /* it may have moved */
	for (rc = db_iter_seek(r->point, buf_slice(&r->key), NULL); rc == 1;
	     rc = db_iter_next(r->point, NULL)) {
		struct slice stored = db_iter_key(r->point);
		struct row_version version;

		if (stored.n != r->key.n || !slice_starts(stored, stem))
			return 0;
		if (!sees(r, row_place(stored)))
			continue;
		if (row_value_read(db_iter_value(r->point), &version) < 0)
			return unclean(stored);
		*value = version.value;
		return !version.tombstone;
	}
	return rc;
}

/* ---- scans ---- */

/* An escaped key without its terminator: what the escaped keys that begin with `key` share. */
static void open_prefix(struct buf *out, enum space space, uint32_t shard, struct slice a,
			struct slice b)
{
	struct slice parts[] = { a, b };

	buf_u8(out, (uint8_t)space);
	buf_u8(out, (uint8_t)shard);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		key_escape(out, parts[i]);
		if (out->n >= 2)
			out->n -= 2;
	}
}

int rows_scan_new(struct rows *r, enum space space, struct slice prefix, struct slice from,
		  struct rows_scan **out)
{
	AUTO(rows_scan_freep) struct rows_scan *s = calloc(1, sizeof *s);

	if (!s)
		return -ENOMEM;
	s->rows = r;
	s->prefix = s->stem = s->key = s->dead_first = (struct buf)BUF_INIT(ROW_STORED_KEY_MAX);
	s->epoch = db_epoch(r->db);
	s->start = (struct buf)BUF_INIT(2 * ROW_STORED_KEY_MAX);
	open_prefix(&s->prefix, space, r->shard, prefix, SLICE_EMPTY);
	buf_add(&s->key, prefix);
	s->begin_size = prefix.n;
	open_prefix(&s->start, space, r->shard, prefix, from);
	int rc = buf_done(&s->prefix);

	if (rc == 0)
		rc = buf_done(&s->start);
	if (rc == 0)
		rc = buf_done(&s->key);
	if (rc == 0)
		rc = db_iter_new(r->db, FAMILY_ROWS, DB_ORDERED, &s->it);
	if (rc < 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

void rows_scan_freep(struct rows_scan **at)
{
	struct rows_scan *s = TAKE(*at);

	if (!s)
		return;
	db_iter_freep(&s->it);
	buf_release(&s->prefix);
	buf_release(&s->start);
	buf_release(&s->stem);
	buf_release(&s->key);
	buf_release(&s->dead_first);
	free(s);
}

/* Moves to the first stored key behind all versions of s->stem. */
static int leave_stem(struct rows_scan *s)
{
	for (int step = 0; step < STEPS_BEFORE_SEEK; step++) {
		int rc = db_iter_next(s->it, NULL);

		if (rc <= 0 || !slice_starts(db_iter_key(s->it), buf_slice(&s->stem)))
			return rc;
	}
	buf_clear(&s->start);
	row_key_behind(&s->start, buf_slice(&s->stem));
	int rc = buf_done(&s->start);

	return rc < 0 ? rc : db_iter_seek(s->it, buf_slice(&s->start), NULL);
}

/* Moves among the versions of s->stem to the first one that the reader sees. 1: stands on it;
 * 0: there is none, and the iterator has left the stem or stands at its end (*ended). */
static int find_seen(struct rows_scan *s, bool *ended)
{
	const struct rows *r = s->rows;
	int steps = 0;

	for (int rc = 1;;) {
		struct slice stored = db_iter_key(s->it);

		if (!slice_starts(stored, buf_slice(&s->stem)))
			return 0;
		struct place place = row_place(stored);

		if (sees(r, place))
			return 1;
		if (place.height > r->height && ++steps > STEPS_BEFORE_SEEK) {
			buf_clear(&s->start);
			buf_add(&s->start, buf_slice(&s->stem));
			write_place(&s->start,
				    (struct place){ .height = r->height, .index = UINT32_MAX });
			rc = buf_done(&s->start);
			if (rc == 0)
				rc = db_iter_seek(s->it, buf_slice(&s->start), NULL);
		} else {
			rc = db_iter_next(s->it, NULL);
		}
		*ended = rc == 0;
		if (rc <= 0)
			return rc;
	}
}

static int begin(struct rows_scan *s)
{
	s->begun = true;
	return db_iter_seek(s->it, buf_slice(&s->start), NULL);
}

/* ---- stretches without a row ---- */

static struct dead_place place_of_reader(const struct rows_scan *s)
{
	const struct lineage *l = &s->rows->lineage;

	return (struct dead_place){ s->epoch, s->rows->height, l->steps[l->count - 1].branch };
}

/* s->stem has no row: the stretch begins there, or goes on. */
static int walk_on(struct rows_scan *s, unsigned *walked)
{
	if ((*walked)++)
		return 0;
	buf_clear(&s->dead_first);
	buf_add(&s->dead_first, buf_slice(&s->stem));
	return buf_done(&s->dead_first);
}

/* Over the rest of a stretch that is known. 1 or 0 as a move has it; -EAGAIN: none is. */
static int jump(struct rows_scan *s)
{
	const struct dead_place at = place_of_reader(s);

	buf_clear(&s->start);
	if (!s->rows->dead || !dead_find(s->rows->dead, &at, buf_slice(&s->stem), &s->start))
		return -EAGAIN;
	int rc = buf_done(&s->start);

	return rc < 0 ? rc : db_iter_seek(s->it, buf_slice(&s->start), NULL);
}

/* It ends before this key. */
static void walked_to(struct rows_scan *s, unsigned walked, struct slice end)
{
	const struct dead_place at = place_of_reader(s);

	if (walked >= DEAD_TOLD && s->rows->dead)
		dead_add(s->rows->dead, &at, buf_slice(&s->dead_first), end);
}

/* Behind all keys that begin with the scan's prefix. */
static void walked_to_end(struct rows_scan *s, unsigned walked)
{
	buf_clear(&s->start);
	buf_add(&s->start, buf_slice(&s->prefix));
	while (s->start.n && s->start.p[s->start.n - 1] == 0xff)
		s->start.n--;
	if (!s->start.n || buf_done(&s->start) < 0)
		return;
	s->start.p[s->start.n - 1]++;
	walked_to(s, walked, buf_slice(&s->start));
}

/* ---- on ---- */

/* To the next key, whose newest version was not looked at yet: 1 stands on it, 0 there is none. */
static int leave_dead(struct rows_scan *s, unsigned *walked, bool left)
{
	int rc = walk_on(s, walked);

	/* Where a listing goes on is often within one. */
	if (rc == 0 && (*walked == DEAD_ASKED || (*walked == 1 && !s->given))) {
		rc = jump(s);
		if (rc != -EAGAIN) {
			*walked = DEAD_TOLD; /* what was walked before it belongs to it */
			return rc;
		}
		rc = 0;
	}
	return rc < 0 ? rc : left ? 1 : leave_stem(s);
}

static int next(struct rows_scan *s, struct slice *key, struct slice *value)
{
	/* 1: the iterator stands on the newest version of a key that was not looked at yet. */
	int rc = s->begun ? leave_stem(s) : begin(s);
	unsigned walked = 0;

	while (rc == 1) {
		struct slice stored = db_iter_key(s->it);
		struct row_version version;
		bool ended = false;

		if (!slice_starts(stored, buf_slice(&s->prefix)))
			break;
		if (stored.n < 2 + 2 + ROW_SUFFIX_SIZE)
			return unclean(stored);
		buf_clear(&s->stem);
		buf_add(&s->stem, SLICE(stored.p, stored.n - ROW_SUFFIX_SIZE));
		rc = buf_done(&s->stem);
		if (rc < 0)
			return rc;
		rc = find_seen(s, &ended);
		if (rc < 0)
			return rc;
		if (ended)
			break;
		if (rc == 0) { /* already on the next key */
			rc = leave_dead(s, &walked, true);
			continue;
		}
		if (row_value_read(db_iter_value(s->it), &version) < 0)
			return unclean(db_iter_key(s->it));
		if (version.tombstone) {
			rc = leave_dead(s, &walked, false);
			continue;
		}
		walked_to(s, walked, buf_slice(&s->stem));
		struct rd r = rd_of(SLICE(s->stem.p + s->prefix.n, s->stem.n - s->prefix.n));

		s->key.n = s->begin_size;
		rc = key_unescape(&r, &s->key);
		if (rc < 0)
			return rc;
		*key = buf_slice(&s->key);
		*value = version.value;
		s->given = true;
		return 1;
	}
	if (rc >= 0)
		walked_to_end(s, walked);
	return MIN(rc, 0);
}

int rows_scan_next(struct rows_scan *s, struct slice *key, struct slice *value)
{
	if (s->done)
		return 0;
	int rc = next(s, key, value);

	s->done = rc != 1; /* an iterator at its end does not move */
	return rc;
}
