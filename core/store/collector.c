/* The collector: which versions lie behind everything that anybody may still read.
 *
 * A death at height d says that the version of a row written at d has an older one below it, or is
 * a tombstone. With the horizon at or above d nobody reads below d any more: the older versions go,
 * and a tombstone itself, which then says no more than absence does. Deaths are walked in ascending
 * order and each is deleted with what it named, so that the next call goes on where this one ended.
 * The deaths of a block are one row (deaths.h), and are handled together.
 *
 * Where lines parted that can both be read, the walk stops: above a parting one line's old version
 * may be another one's newest. When no held view is of a line that was left any more, the partings
 * are settled. A version that no line sees goes when it is met; one that was fresh on its line has
 * no death, is never met, and stays unseen. */
#include "core/base/map.h"
#include "core/base/trace.h"
#include "core/store/deaths.h"
#include "core/store/inside.h"

#define KEY_BYTES_MAX (4 * ROW_KEY_MAX)

struct collector {
	struct commit  *commit;
	struct db_iter *rows, *all; /* versions of a key; keys that begin alike */
	struct lineage  lineage;
	struct map     *seen; /* stem → height below which everything is chosen already */
	struct deaths_reader reader;
	struct buf      stem, seek, open;
	uint32_t        shard;
};

static void release(struct collector *w)
{
	db_iter_freep(&w->rows);
	db_iter_freep(&w->all);
	lineage_release(&w->lineage);
	map_freep(&w->seen);
	deaths_reader_release(&w->reader);
	buf_release(&w->stem);
	buf_release(&w->seek);
	buf_release(&w->open);
}

static int unclean(struct slice stored)
{
	char hex[2 * 64 + 1];

	hex_put(hex, stored.p, MIN(stored.n, 64));
	trace_error("store", "a row does not parse", "key=%s", hex);
	return -EUCLEAN;
}

static uint64_t handled(const struct collector *w)
{
	const struct map_entry *e = map_get(w->seen, buf_slice(&w->stem));

	return e ? get_be64(e->value.p) : 0;
}

static int note_handled(struct collector *w, uint64_t height)
{
	uint8_t bytes[8];

	put_be64(bytes, height);
	return map_put(w->seen, buf_slice(&w->stem), SLICE_ARRAY(bytes), 0);
}

/* Deletes what the death of a row at `height` leaves behind. w->stem is the row's. */
static int bury(struct collector *w, uint64_t height)
{
	uint64_t chosen_below = handled(w), newest = 0;
	bool newest_met = false;
	uint8_t place[ROW_SUFFIX_SIZE] = { 0 };

	put_be64(place, ~height);
	buf_clear(&w->seek);
	buf_add(&w->seek, buf_slice(&w->stem));
	buf_add(&w->seek, SLICE_ARRAY(place));
	if (buf_done(&w->seek) < 0)
		return buf_done(&w->seek);
	int rc = db_iter_seek(w->rows, buf_slice(&w->seek), NULL);

	for (; rc == 1; rc = db_iter_next(w->rows, NULL)) {
		struct slice stored = db_iter_key(w->rows), value = db_iter_value(w->rows);
		struct row_version version;

		if (stored.n != w->seek.n || !slice_starts(stored, buf_slice(&w->stem)))
			break;
		if (row_value_read(value, &version) < 0)
			return unclean(stored);
		version.place = row_place(stored);
		if (version.place.height < chosen_below)
			break;
		if (!newest_met &&
		    lineage_sees(&w->lineage, version.place.branch, version.place.height)) {
			newest_met = true;
			newest = version.place.height;
			if (!version.tombstone)
				continue;
		}
		commit_delete(w->commit, FAMILY_ROWS, stored);
	}
	return rc < 0 ? rc : note_handled(w, MAX(newest, chosen_below));
}

/* Of a key that is cut: all that begin so and were written at `height`. One that owes no death has
 * nothing below it, and loses nothing. */
static int bury_cut(struct collector *w, const struct death *d, uint64_t height)
{
	buf_clear(&w->open);
	row_key_open(&w->open, d->space, w->shard, d->key);
	if (buf_done(&w->open) < 0)
		return buf_done(&w->open);
	int rc = db_iter_seek(w->all, buf_slice(&w->open), NULL);

	for (; rc == 1; rc = db_iter_next(w->all, NULL)) {
		struct slice stored = db_iter_key(w->all);

		if (!slice_starts(stored, buf_slice(&w->open)))
			return 0;
		if (stored.n < w->open.n + ROW_SUFFIX_SIZE || row_place(stored).height != height)
			continue;
		buf_clear(&w->stem);
		buf_add(&w->stem, slice_sub(stored, 0, stored.n - ROW_SUFFIX_SIZE));
		rc = buf_done(&w->stem);
		if (rc == 0)
			rc = bury(w, height);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int bury_whole(struct collector *w, const struct death *d, uint64_t height)
{
	buf_clear(&w->stem);
	row_key_stem(&w->stem, d->space, w->shard, d->key);
	int rc = buf_done(&w->stem);

	return rc < 0 ? rc : bury(w, height);
}

/* Buries the rows that one block's row of deaths names; how many. */
static int bury_block(struct collector *w, uint64_t height, struct slice list)
{
	struct death death;
	int count = 0, rc;

	deaths_read(&w->reader, list);
	while ((rc = deaths_next(&w->reader, &death)) == 1) {
		rc = death.cut ? bury_cut(w, &death, height) : bury_whole(w, &death, height);
		if (rc < 0)
			return rc;
		count++;
	}
	return rc < 0 ? rc : count;
}

/* How many deaths were handled; *kept_from is the height of the last one. */
static int choose(struct collector *w, struct db_iter *deaths, uint64_t horizon, size_t most,
		  uint64_t *kept_from)
{
	struct short_key first = key_deaths(w->shard, 0, 0);
	int count = 0;
	int rc = db_iter_seek(deaths, short_slice(&first), NULL);

	for (; rc == 1 && (size_t)count < most; rc = db_iter_next(deaths, NULL)) {
		struct slice key = db_iter_key(deaths);
		uint64_t height;
		uint32_t shard;

		if (key_deaths_read(key, &shard, &height) < 0)
			return unclean(key);
		if (shard != w->shard || height > horizon)
			break;
		int buried = bury_block(w, height, db_iter_value(deaths));

		if (buried < 0)
			return buried == -EUCLEAN ? unclean(key) : buried;
		commit_delete(w->commit, FAMILY_DEATHS, key);
		*kept_from = MAX(*kept_from, height);
		count += buried;
	}
	return rc < 0 ? rc : count;
}

/* The highest horizon that takes nothing away from anybody. Pins come last: from then on nobody can
 * ask for what is chosen. */
static uint64_t clamp(struct network *n, const struct branches *branches, uint32_t shard,
		      uint64_t horizon)
{
	horizon = MIN(horizon, views_lowest(n, shard));
	horizon = MIN(horizon, branches_lowest(branches, shard));
	return horizon_take(n, shard, horizon);
}

static const struct branches *branches_of(struct commit *c)
{
	return &((const struct view_box *)commit_view(c))->table->branches;
}

/* A line that was left is read by views of before it was, and by nobody else. */
static int settle(struct network *n, uint32_t shard, uint64_t horizon, struct commit *c)
{
	if (branches_lowest(branches_of(c), shard) >= horizon || !views_of_one_line(n))
		return 0;
	return commit_branch_settle(c);
}

int collector_choose(struct network *n, uint32_t shard, uint64_t horizon, size_t most,
		     struct commit *c, struct err *err)
{
	AUTO(release) struct collector w = { .commit = c, .shard = shard };
	AUTO(db_iter_freep) struct db_iter *deaths = NULL;

	if (shard >= SHARD_MAX)
		return err_set(err, -EINVAL, "network %s has no shard %u", n->name, shard);
	w.reader = (struct deaths_reader)DEATHS_READER_INIT;
	w.stem = w.seek = w.open = (struct buf)BUF_INIT(KEY_BYTES_MAX);
	w.seen = map_new();
	int rc = w.seen ? settle(n, shard, horizon, c) : -ENOMEM;
	const struct branches *branches = branches_of(c);

	if (rc == 0)
		rc = lineage_of(branches, commit_view(c)->branch, shard, &w.lineage);

	if (rc == 0)
		rc = db_iter_new(n->db, FAMILY_ROWS, DB_STEM, &w.rows);
	if (rc == 0)
		rc = db_iter_new(n->db, FAMILY_ROWS, DB_ORDERED, &w.all);
	if (rc == 0)
		rc = db_iter_new(n->db, FAMILY_DEATHS, DB_ORDERED, &deaths);
	if (rc == 0) {
		uint64_t *kept_from = &commit_view(c)->shards[shard].kept_from;

		rc = choose(&w, deaths, clamp(n, branches, shard, horizon),
			    MIN(most, (size_t)INT32_MAX), kept_from);
		horizon_set(n, shard, *kept_from);
	}
	if (rc < 0)
		return err_set(err, rc, "network %s: collecting shard %u: %s", n->name, shard,
			       strerror(-rc));
	return rc;
}
