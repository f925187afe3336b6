/* The state: every version of every row, the newest ones against their objects and against the
 * roots that follow from them, and the deaths by which old versions go. */
#include "core/fsck/inside.h"
#include "core/store/deaths.h"

#include <stdio.h>

#define KEY_BYTES_MAX (4 * ROW_KEY_MAX)

/* ---- rows of one space and shard, key by key ---- */

struct walker {
	struct fsck *k;
	struct db_iter *it;
	const struct lineage *lineage;
	enum space space;
	uint32_t shard;
	uint64_t height; /* the state is as of it */
	bool begun, done;
	struct buf stem;  /* of the versions being read */
	struct buf key;   /* unescaped */
	struct buf value; /* of the newest version that is seen */
	bool live;        /* it is a row, no tombstone */
	uint64_t written; /* at this height */
	uint64_t deaths;  /* that its versions have to have */
};

static void walker_release(struct walker *w)
{
	buf_release(&w->stem);
	buf_release(&w->key);
	buf_release(&w->value);
}

static struct walker walker_of(struct fsck *k, struct db_iter *it, const struct lineage *l,
			       enum space space, uint32_t shard)
{
	return (struct walker){
		.k = k,
		.it = it,
		.lineage = l,
		.space = space,
		.shard = shard,
		.height = k->view->shards[shard].replayed,
		.stem = BUF_INIT(KEY_BYTES_MAX),
		.key = BUF_INIT(KEY_BYTES_MAX),
		.value = BUF_INIT(VALUE_BYTES_MAX),
	};
}

static void odd_key(struct walker *w, struct slice stored)
{
	char hex[2 * 40 + 1];

	hex_put(hex, stored.p, MIN(stored.n, 40));
	fault(w->k, FSCK_DAMAGED, "state", NOWHERE(w->shard), false, "the row %s does not parse",
	      hex);
}

/* 1 stands on a version of the space and shard; 0 the end. */
static int step(struct walker *w)
{
	uint8_t prefix[2] = { (uint8_t)w->space, (uint8_t)w->shard };
	struct err why = ERR_INIT;
	int rc = w->begun ? db_iter_next(w->it, &why)
			  : db_iter_seek(w->it, SLICE_ARRAY(prefix), &why);

	w->begun = true;
	if (rc == 1 && slice_starts(db_iter_key(w->it), SLICE_ARRAY(prefix)))
		return 1;
	w->done = true;
	return rc < 0 ? unreadable(w->k, FAMILY_ROWS, rc, &why) : 0;
}

/* Begins a key with the version under the iterator: 0, or -EUCLEAN when it does not parse. */
static int begin_key(struct walker *w)
{
	struct slice stored = db_iter_key(w->it);
	struct place place;
	enum space space;
	uint32_t shard;

	buf_clear(&w->key);
	if (stored.n <= ROW_SUFFIX_SIZE ||
	    row_key_read(stored, &space, &shard, &w->key, &place) < 0)
		return -EUCLEAN;
	buf_clear(&w->stem);
	buf_add(&w->stem, slice_sub(stored, 0, stored.n - ROW_SUFFIX_SIZE));
	buf_clear(&w->value);
	w->live = false;
	w->written = 0;
	return buf_done(&w->stem);
}

/* The next key and its newest row; 1, 0 the end, negative. */
static int next_key(struct walker *w)
{
	bool met = false, owes = false, older = false;
	int rc;

	if (w->done)
		return 0;
	rc = w->begun ? 1 : step(w);
	while (rc == 1 && (rc = begin_key(w)) == -EUCLEAN) {
		odd_key(w, db_iter_key(w->it));
		rc = step(w);
	}
	if (rc < 0 || w->done)
		return rc;
	/* Each version owes a death when it is a tombstone, or when a row lies below it. */
	do {
		struct slice stored = db_iter_key(w->it);
		struct row_version v;

		if (stored.n != w->stem.n + ROW_SUFFIX_SIZE ||
		    !slice_starts(stored, buf_slice(&w->stem)))
			break;
		if (row_value_read(db_iter_value(w->it), &v) < 0) {
			odd_key(w, stored);
			continue;
		}
		v.place = row_place(stored);
		w->deaths += older && owes && !v.tombstone;
		w->deaths += v.tombstone;
		owes = !v.tombstone;
		older = true;
		if (!lineage_sees(w->lineage, v.place.branch, v.place.height))
			continue;
		if (v.place.height > w->height) {
			fault(w->k, FSCK_CONTRADICTION, "state", AT(w->shard, v.place.height),
			      false, "a row of a height that is not in the state");
		} else if (!met) {
			met = true;
			w->live = !v.tombstone;
			w->written = v.place.height;
			buf_add(&w->value, v.value);
			if (buf_done(&w->value) < 0)
				return buf_done(&w->value);
		}
	} while ((rc = step(w)) == 1);
	return rc < 0 ? rc : 1;
}

static int next_live(struct walker *w)
{
	int rc;

	do {
		rc = next_key(w);
		if (rc == 1 && ++w->k->counts->records % 16384 == 0) {
			progress(w->k, "rows of the state", w->k->counts->records, 0);
			if (stopped(w->k) < 0)
				return -EINTR;
		}
	} while (rc == 1 && !w->live);
	return rc;
}

/* ---- records against their objects ---- */

static void odd_record(struct fsck *k, enum fsck_class class, const struct walker *w,
		       const char *sentence)
{
	char hex[2 * 40 + 1];

	hex_put(hex, w->key.p, MIN(w->key.n, 40));
	fault(k, class, "record", AT(w->shard, w->written), false, "%s: %s", hex, sentence);
}

static int check_record(struct fsck *k, const struct walker *w)
{
	struct chain_record record;
	struct stat_record stat;
	struct block_row row;
	struct slice rest;
	uint64_t object;

	if (k->ops->record_split(buf_slice(&w->value), &object, &rest) < 0) {
		odd_record(k, FSCK_DAMAGED, w, "its row does not parse");
		return 0;
	}
	if (object == 0 || object >= k->view->next_object) {
		odd_record(k, FSCK_CONTRADICTION, w, "its object was never given");
		return 0;
	}
	int rc = find_stat(k, object, &stat);

	if (rc == -ENOMEM)
		return rc;
	if (rc != 1) {
		odd_record(k, rc ? FSCK_DAMAGED : FSCK_MISSING, w,
			   rc ? "its stat record cannot be read" : "it has no stat record");
		return 0;
	}
	if (k->ops->record_read(buf_slice(&w->key), buf_slice(&w->value), &record) == 0 &&
	    record.line_size != stat.line_size)
		odd_record(k, FSCK_CONTRADICTION, w,
			   "its line has another size in its stat record");
	if (stat.carrier || stat.shard >= k->view->shard_count ||
	    gaps_has(&k->view->shards[stat.shard].gaps, stat.height) ||
	    look_block_row(k, stat.shard, stat.height, &row) == 1)
		return 0;
	odd_record(k, FSCK_MISSING, w, "its bytes lie in a block that is not held");
	return 0;
}

/* ---- the state of a shard ---- */

struct rooting {
	struct fsck *k;
	const struct lineage *lineage;
	uint32_t shard;
	uint64_t derived; /* rows that follow from the records */
	struct buf seek;
};

static void rooting_release(struct rooting *r)
{
	buf_release(&r->seek);
}

/* The newest row of a key that the line sees: 1, 0 absent, negative. */
static int newest_row(struct rooting *r, enum space space, struct slice key, struct slice *value)
{
	struct db_iter *it = r->k->look[FAMILY_ROWS];

	buf_clear(&r->seek);
	row_key_stem(&r->seek, space, r->shard, key);
	if (buf_done(&r->seek) < 0)
		return buf_done(&r->seek);
	int rc = db_iter_seek(it, buf_slice(&r->seek), NULL);

	for (; rc == 1; rc = db_iter_next(it, NULL)) {
		struct slice stored = db_iter_key(it);
		struct row_version v;

		if (stored.n != r->seek.n + ROW_SUFFIX_SIZE ||
		    !slice_starts(stored, buf_slice(&r->seek)))
			return 0;
		if (row_value_read(db_iter_value(it), &v) < 0)
			return -EUCLEAN;
		v.place = row_place(stored);
		if (v.place.height > r->k->view->shards[r->shard].replayed ||
		    !lineage_sees(r->lineage, v.place.branch, v.place.height))
			continue;
		*value = v.value;
		return !v.tombstone;
	}
	return rc;
}

/* A row that follows from the records: is it there, and the same? */
static int compare_derived(void *arg, enum space space, struct slice key, struct slice value)
{
	struct rooting *r = arg;
	struct slice stored = SLICE_EMPTY;
	int rc = newest_row(r, space, key, &stored);

	if (rc == -ENOMEM)
		return rc;
	r->derived++;
	if (rc == 1 && slice_eq(stored, value))
		return 0;
	uint64_t account = 0;
	char whose[48] = "a count of accounts";

	if (r->k->ops->account_of_key(key, &account) == 0)
		snprintf(whose, sizeof whose, "account %" PRIu64, account);
	fault(r->k, rc == 0 ? FSCK_MISSING : FSCK_CONTRADICTION, "state",
	      AT(r->shard, r->k->view->shards[r->shard].replayed), false,
	      "%s of %s: its root, counts or sizes %s; fsck --repair makes the network anew",
	      whose, space == SPACE_HYPER ? "hyper" : "both contexts",
	      rc == 0 ? "are not there" : "are not those that its records make");
	return 0;
}

static void compare_roots(struct fsck *k, uint32_t shard, bool hyper,
			  const struct chain_root made[CONTEXT_COUNT], uint64_t retained)
{
	const struct shard_view *sv = &k->view->shards[shard];
	struct at at = AT(shard, sv->replayed);

	if (!chain_root_eq(&made[CONTEXT_LEGACY], &sv->legacy))
		fault(k, FSCK_CONTRADICTION, "state", at, false,
		      "the records of legacy do not make the root that the block signs; fsck "
		      "--repair makes the network anew");
	if (!hyper)
		return;
	if (!chain_root_eq(&made[CONTEXT_HYPER], &sv->hyper))
		fault(k, FSCK_CONTRADICTION, "state", at, false,
		      "the records of hyper do not make its root; fsck --repair makes the "
		      "network anew");
	if (retained != sv->retained)
		fault(k, FSCK_CONTRADICTION, "state", at, false,
		      "%" PRIu64 " records are retained, the view says %" PRIu64, retained,
		      sv->retained);
}

/* The row that stands first in key order; NULL at the end of both. */
static struct walker *first_of(struct walker *both, struct walker *hyper, bool has_both,
			       bool has_hyper)
{
	if (!has_both || !has_hyper)
		return has_both ? both : has_hyper ? hyper : NULL;
	return slice_cmp(buf_slice(&both->key), buf_slice(&hyper->key)) <= 0 ? both : hyper;
}

static int add_rows(struct fsck *k, struct chain_rooter *rooter, struct walker *both,
		    struct walker *hyper, bool hyper_on, uint64_t *derived)
{
	bool broken = false;
	int b = next_live(both), h = b < 0 ? b : next_live(hyper);

	while (b >= 0 && h >= 0 && (b || h)) {
		struct walker *w = first_of(both, hyper, b == 1, h == 1);
		enum chain_row kind = k->ops->row_kind(buf_slice(&w->key));
		struct err why = ERR_INIT;
		int rc = 0;

		/* What lies in hyper before its base belongs to an earlier one. */
		bool counts = w == both || hyper_on;

		if (kind == CHAIN_ROW_DERIVED)
			*derived += counts;
		if (kind == CHAIN_ROW_RECORD && counts) {
			rc = check_record(k, w);
			int added = rc == 0 && !broken ?
					    k->ops->root_add(rooter, w->space, buf_slice(&w->key),
							     buf_slice(&w->value), &why) :
					    0;

			if (added == -ENOMEM)
				return added; /* no fault of the store */
			if (added < 0) {
				broken = true;
				odd_record(k, FSCK_CONTRADICTION, w, why.text);
			}
		}
		if (rc < 0)
			return rc;
		*(w == both ? &b : &h) = next_live(w);
	}
	return b < 0 ? b : h < 0 ? h : !broken;
}

static int walk_rows(struct fsck *k, uint32_t shard, const struct lineage *lineage,
		     uint64_t *deaths)
{
	const struct shard_view *sv = &k->view->shards[shard];
	bool hyper_on = sv->hyper_on && (sv->base_height == 0 || sv->replayed > sv->base_height);
	AUTO(walker_release)
	struct walker both = walker_of(k, k->walk[FAMILY_ROWS], lineage, SPACE_BOTH, shard);
	AUTO(walker_release)
	struct walker hyper = walker_of(k, k->walk_hyper, lineage, SPACE_HYPER, shard);
	AUTO(rooting_release) struct rooting r = { .k = k, .lineage = lineage, .shard = shard };
	struct chain_root made[CONTEXT_COUNT] = { 0 };
	struct chain_rooter *rooter = NULL;
	struct err why = ERR_INIT;
	uint64_t retained = 0, derived = 0, faults = k->counts->faults[FSCK_DAMAGED];

	r.seek = (struct buf)BUF_INIT(KEY_BYTES_MAX);
	int rc = k->ops->root_new(shard, hyper_on, compare_derived, &r, &rooter, &why);

	if (rc < 0)
		return rc;
	rc = add_rows(k, rooter, &both, &hyper, hyper_on, &derived);
	int end = rc == 1 ? k->ops->root_end(rooter, made, &retained, &why) : 0;

	k->ops->root_free(rooter);
	*deaths = both.deaths + hyper.deaths;
	if (rc < 0 || end == -ENOMEM)
		return MIN(rc, end);
	/* What could not be read was told; nothing comes out then. */
	if (rc == 1 && faults == k->counts->faults[FSCK_DAMAGED]) {
		compare_roots(k, shard, hyper_on, made, retained);
		if (derived != r.derived)
			fault(k, FSCK_CONTRADICTION, "state", AT(shard, sv->replayed), false,
			      "%" PRIu64 " rows of accounts and counts, %" PRIu64
			      " follow from the records",
			      derived, r.derived);
	}
	return 0;
}

/* ---- deaths ---- */

/* Does the death of this key at this place belong to a version, and does the version owe one? 1
 * owes, 0 there is one that does not, -ENOENT there is none. */
static int death_of(struct fsck *k, struct slice stem, uint64_t height, uint32_t branch)
{
	struct db_iter *it = k->look[FAMILY_ROWS];
	uint8_t place[8];

	put_be64(place, ~height);
	buf_clear(&k->scratch);
	buf_add(&k->scratch, stem);
	buf_add(&k->scratch, SLICE_ARRAY(place));
	if (buf_done(&k->scratch) < 0)
		return buf_done(&k->scratch);
	int rc = db_iter_seek(it, buf_slice(&k->scratch), NULL);
	bool met = false;

	for (; rc == 1; rc = db_iter_next(it, NULL)) {
		struct slice stored = db_iter_key(it);
		struct row_version v;

		if (stored.n != stem.n + ROW_SUFFIX_SIZE || !slice_starts(stored, stem) ||
		    row_value_read(db_iter_value(it), &v) < 0)
			break;
		v.place = row_place(stored);
		if (met)
			return !v.tombstone;
		if (v.place.height != height)
			break;
		if (v.place.branch != branch)
			continue;
		if (v.tombstone)
			return 1;
		met = true;
	}
	return rc < 0 ? rc : met ? 0 : -ENOENT;
}

/* The same of all keys that begin as `key` does and are longer: how many owe, -ENOENT when none was
 * written then. */
static int deaths_of_cut(struct fsck *k, const struct death *d, uint32_t shard, uint64_t height,
			 uint32_t branch, struct buf *stem)
{
	AUTO(buf_release) struct buf open = BUF_INIT(KEY_BYTES_MAX);
	AUTO(buf_release) struct buf seek = BUF_INIT(KEY_BYTES_MAX);
	struct db_iter *it = k->look[FAMILY_ROWS];
	int owed = 0;
	bool met = false;

	row_key_open(&open, d->space, shard, d->key);
	buf_add(&seek, buf_slice(&open));
	for (;;) {
		int rc = buf_done(&open);

		if (rc == 0)
			rc = buf_done(&seek);
		if (rc == 0)
			rc = db_iter_seek(it, buf_slice(&seek), NULL);
		if (rc < 0)
			return rc;
		struct slice stored = rc ? db_iter_key(it) : SLICE_EMPTY;

		if (stored.n < open.n + ROW_SUFFIX_SIZE || !slice_starts(stored, buf_slice(&open)))
			return met ? owed : -ENOENT;
		buf_clear(stem);
		buf_add(stem, slice_sub(stored, 0, stored.n - ROW_SUFFIX_SIZE));
		rc = buf_done(stem);
		if (rc == 0) /* nothing but the terminator behind it: it is named by itself */
			rc = stem->n == open.n + 2 ? -ENOENT
						   : death_of(k, buf_slice(stem), height, branch);
		if (rc < 0 && rc != -ENOENT)
			return rc;
		met |= rc != -ENOENT;
		owed += rc == 1;
		buf_clear(&seek);
		row_key_behind(&seek, buf_slice(stem));
	}
}

/* The rows that one block's row of deaths names; how many owed one. */
static int check_deaths(struct fsck *k, uint32_t shard, uint64_t height, uint32_t branch,
			struct slice list, struct deaths_reader *reader, struct buf *stem)
{
	struct death death;
	int owed = 0, rc;

	deaths_read(reader, list);
	while ((rc = deaths_next(reader, &death)) == 1) {
		buf_clear(stem);
		row_key_stem(stem, death.space, shard, death.key);
		if (buf_done(stem) < 0)
			return buf_done(stem);
		rc = death.cut ? deaths_of_cut(k, &death, shard, height, branch, stem)
			       : death_of(k, buf_slice(stem), height, branch);
		if (rc == -ENOENT) {
			char hex[2 * 40 + 1];

			hex_put(hex, death.key.p, MIN(death.key.n, 40));
			fault(k, FSCK_ORPHAN, "death", AT(shard, height), false,
			      "it names %s, of which there is no such version", hex);
		} else if (rc < 0) {
			return rc;
		}
		owed += MAX(rc, 0);
	}
	return rc < 0 ? rc : owed;
}

static int walk_deaths(struct fsck *k, const uint64_t owed[SHARD_MAX])
{
	AUTO(deaths_reader_release) struct deaths_reader reader = DEATHS_READER_INIT;
	AUTO(buf_release) struct buf stem = BUF_INIT(KEY_BYTES_MAX);
	struct db_iter *it = k->walk[FAMILY_DEATHS];
	struct err why = ERR_INIT;
	uint64_t found[SHARD_MAX] = { 0 }, rows = 0;
	int rc = db_iter_seek(it, SLICE_EMPTY, &why);

	for (; rc == 1; rc = db_iter_next(it, &why)) {
		struct slice stored = db_iter_key(it);
		uint64_t height;
		uint32_t shard;

		if (++rows % 256 == 0) {
			progress(k, "deaths", rows, 0);
			if (stopped(k) < 0)
				return -EINTR;
		}
		if (key_deaths_read(stored, &shard, &height) < 0 || shard >= k->view->shard_count) {
			fault(k, FSCK_DAMAGED, "death", NOWHERE(0), false, "a key does not parse");
			continue;
		}
		int n = check_deaths(k, shard, height, get_be32(stored.p + stored.n - 4),
				     db_iter_value(it), &reader, &stem);

		if (n == -EUCLEAN)
			fault(k, FSCK_DAMAGED, "death", AT(shard, height), false,
			      "its row does not parse");
		else if (n < 0)
			return n == -EIO ? unreadable(k, FAMILY_ROWS, n, &why) : n;
		else
			found[shard] += (uint64_t)n;
	}
	if (rc < 0)
		return unreadable(k, FAMILY_DEATHS, rc, &why);
	for (uint32_t s = 0; s < k->view->shard_count; s++)
		/* After a rollback some owe none: the line that they were fresh on was left. */
		if (k->branches.count == 1 && found[s] != owed[s])
			fault(k, FSCK_MISSING, "death", NOWHERE(s), false,
			      "%" PRIu64 " versions were overwritten or deleted, %" PRIu64
			      " deaths say so; the others are never collected",
			      owed[s], found[s]);
	return 0;
}

int walk_state(struct fsck *k)
{
	uint64_t owed[SHARD_MAX] = { 0 };
	int rc = 0;

	for (uint32_t s = 0; s < k->view->shard_count && rc == 0; s++) {
		AUTO(lineage_release) struct lineage lineage = { 0 };

		rc = lineage_of(&k->branches, k->view->branch, s, &lineage);
		if (rc == 0)
			rc = walk_rows(k, s, &lineage, &owed[s]);
	}
	return rc < 0 ? rc : walk_deaths(k, owed);
}
