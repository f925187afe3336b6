/* Versioned rows, written in any order of heights and on any tree of branches, read as of any place
 * as a list of all versions does. */
#include "core/store/db.h"
#include "core/store/rows.h"
#include "tests/support/store_fixture.h"

#define KEYS     14
#define HEIGHTS  50
#define BRANCHES 5
#define VERSIONS 260

struct model_version {
	size_t       key;
	enum space   space;
	uint32_t     shard;
	struct place place;
	bool         tombstone;
	uint8_t      value[24];
	size_t       value_size;
};

struct model {
	struct slice         keys[KEYS]; /* ascending */
	uint8_t              key_bytes[KEYS][6];
	struct branches      branches;
	struct model_version versions[VERSIONS];
	size_t               version_count;
};

static int compare_slices(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static bool has_key(const struct model *m, size_t count, struct slice key)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(m->keys[i], key))
			return true;
	return false;
}

/* Keys that are prefixes of each other, with the bytes that escaping is about. */
static void make_keys(struct model *m, struct random *r)
{
	static const uint8_t alphabet[] = { 0x00, 0x01, 0xfe, 0xff };

	for (size_t i = 0; i < KEYS;) {
		size_t n = random_below(r, sizeof m->key_bytes[i] + 1);

		for (size_t j = 0; j < n; j++)
			m->key_bytes[i][j] = alphabet[random_below(r, sizeof alphabet)];
		m->keys[i] = SLICE(m->key_bytes[i], n);
		i += !has_key(m, i, m->keys[i]);
	}
	qsort(m->keys, KEYS, sizeof m->keys[0], compare_slices);
}

static void make_branches(struct model *m, struct random *r)
{
	assert_int_equal(branches_init(&m->branches), 0);
	for (uint32_t id = 1; id < BRANCHES; id++) {
		uint64_t heights[SHARD_MAX];
		uint32_t out;

		for (size_t s = 0; s < SHARD_MAX; s++)
			heights[s] = random_below(r, HEIGHTS);
		assert_int_equal(
			branches_open(&m->branches, (uint32_t)random_below(r, id), heights, &out),
			0);
	}
}

static bool same_version(const struct model_version *a, const struct model_version *b)
{
	return a->key == b->key && a->space == b->space && a->shard == b->shard &&
	       a->place.height == b->place.height && a->place.branch == b->place.branch;
}

static void make_versions(struct model *m, bool packed, struct random *r)
{
	for (size_t i = 0; i < VERSIONS; i++) {
		struct model_version *v = &m->versions[m->version_count];
		bool known = false;

		v->key = random_below(r, KEYS);
		v->space = random_chance(r, 70) ? SPACE_BOTH : SPACE_HYPER;
		v->shard = (uint32_t)random_below(r, 2);
		v->place.branch = (uint32_t)random_below(r, BRANCHES);
		/* A branch writes above the height at which it parted. */
		uint64_t lowest = v->place.branch
					  ? m->branches.list[v->place.branch].heights[v->shard] + 1
					  : 0;

		v->place.height = lowest + random_below(r, HEIGHTS + 5 - lowest);
		v->place.index = packed ? PLACE_INDEX : (uint32_t)random_u64(r);
		v->tombstone = random_chance(r, 25);
		v->value_size = v->tombstone ? 0 : random_below(r, sizeof v->value);
		random_bytes(r, v->value, v->value_size);
		for (size_t j = 0; j < m->version_count; j++)
			known |= same_version(v, &m->versions[j]);
		m->version_count += !known;
	}
}

static const struct model_version *model_get(const struct model *m, const struct lineage *l,
					     enum space space, uint32_t shard, uint64_t height,
					     size_t key)
{
	const struct model_version *best = NULL;

	for (size_t i = 0; i < m->version_count; i++) {
		const struct model_version *v = &m->versions[i];

		if (v->key == key && v->space == space && v->shard == shard &&
		    v->place.height <= height &&
		    lineage_sees(l, v->place.branch, v->place.height) &&
		    (!best || v->place.height > best->place.height))
			best = v;
	}
	return best && !best->tombstone ? best : NULL;
}

static void check_scan(const struct model *m, struct rows *rows, const struct lineage *l,
		       enum space space, uint32_t shard, uint64_t height, struct random *r)
{
	struct slice whole = m->keys[random_below(r, KEYS)], key, value;
	struct slice prefix = slice_sub(whole, 0, random_below(r, whole.n + 1));
	struct slice from = random_chance(r, 50) ? SLICE_EMPTY :
			    slice_sub(m->keys[random_below(r, KEYS)], 0, random_below(r, 4));
	AUTO(rows_scan_freep) struct rows_scan *s = NULL;
	AUTO(buf_release) struct buf start = BUF_INIT(64);

	buf_add(&start, prefix);
	buf_add(&start, from);
	assert_int_equal(rows_scan_new(rows, space, prefix, from, &s), 0);
	for (size_t k = 0; k < KEYS; k++) {
		const struct model_version *v = model_get(m, l, space, shard, height, k);

		if (!v || !slice_starts(m->keys[k], prefix) ||
		    slice_cmp(m->keys[k], buf_slice(&start)) < 0)
			continue;
		assert_int_equal(rows_scan_next(s, &key, &value), 1);
		assert_true(slice_eq(key, m->keys[k]));
		assert_true(slice_eq(value, SLICE(v->value, v->value_size)));
	}
	assert_int_equal(rows_scan_next(s, &key, &value), 0);
	assert_int_equal(rows_scan_next(s, &key, &value), 0);
}

static void check(const struct model *m, struct db *db, uint32_t shard, uint64_t height,
		  uint32_t branch, struct random *r)
{
	AUTO(lineage_release) struct lineage l = { 0 }, given = { 0 };
	AUTO(rows_freep) struct rows *rows = NULL;

	assert_int_equal(lineage_of(&m->branches, branch, shard, &l), 0);
	assert_int_equal(lineage_of(&m->branches, branch, shard, &given), 0);
	assert_int_equal(rows_new(db, shard, height, &given, &rows), 0);
	for (enum space space = SPACE_BOTH; space <= SPACE_HYPER; space++) {
		for (size_t k = 0; k < KEYS; k++) {
			const struct model_version *v = model_get(m, &l, space, shard, height, k);
			struct slice value;

			assert_int_equal(rows_get(rows, space, m->keys[k], &value), v != NULL);
			assert_true(!v || slice_eq(value, SLICE(v->value, v->value_size)));
		}
		check_scan(m, rows, &l, space, shard, height, r);
	}
}

static void write_version(const struct model *m, struct db *db, const struct model_version *v)
{
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	AUTO(buf_release) struct buf key = BUF_INIT(256), value = BUF_INIT(256);

	assert_int_equal(db_batch_new(db, &batch), 0);
	row_key_write(&key, v->space, v->shard, m->keys[v->key], v->place);
	row_value_write(&value, v->tombstone, REASON_PRUNED, SLICE(v->value, v->value_size));
	db_batch_put(batch, FAMILY_ROWS, buf_slice(&key), buf_slice(&value));
	assert_int_equal(db_write(db, batch, NULL), 0);
}

static void rows_match_a_list_of_versions(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(6); round; round--) {
		char path[128], db_path[160];
		AUTO(db_cache_freep) struct db_cache *cache = db_cache_new(4u << 20);
		struct db_options options = { .cache = cache,
					      .create = true,
					      .packed = random_below(&r, 2),
					      .sync_off = true };
		struct db *db = NULL;
		struct model m = { .version_count = 0 };
		uint64_t compact_at = random_below(&r, 2 * VERSIONS);

		fixture_folder(path);
		snprintf(db_path, sizeof db_path, "%s/db", path);
		assert_int_equal(db_open(db_path, &options, &db, NULL), 0);
		make_keys(&m, &r);
		make_branches(&m, &r);
		make_versions(&m, options.packed, &r);
		for (size_t i = 0; i < m.version_count; i++) {
			write_version(&m, db, &m.versions[i]);
			if (i == compact_at)
				db_compact(db); /* some in files, some in memory */
		}
		for (int i = 0; i < 150; i++)
			check(&m, db, (uint32_t)random_below(&r, 2), random_below(&r, HEIGHTS + 8),
			      (uint32_t)random_below(&r, BRANCHES), &r);
		check(&m, db, 0, UINT64_MAX, 0, &r);
		db_closep(&db);
		branches_release(&m.branches);
		fixture_remove(path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_match_a_list_of_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
