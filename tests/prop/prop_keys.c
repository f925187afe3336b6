/* Rows in a database, packed or not, against a sorted list of their whole keys: whatever is sought,
 * whole, cut or longer, one stands where the list says; nobody sees how keys lie on the disk. */
#include "core/store/db.h"
#include "core/store/rows.h"
#include "tests/support/store_fixture.h"

#define STEMS     10
#define ROWS_MAX  400
#define STEPS     600
#define KEY_BYTES 64

struct model_row {
	uint8_t key[KEY_BYTES];
	size_t key_size;
	uint64_t value;
};

struct model {
	struct model_row rows[ROWS_MAX]; /* ascending */
	size_t count;
	uint8_t stems[STEMS][8];
	size_t stem_sizes[STEMS];
	bool packed;
};

static struct slice key_of(const struct model_row *row)
{
	return SLICE(row->key, row->key_size);
}

/* The first row at or behind the key. */
static size_t at_or_behind(const struct model *m, struct slice key)
{
	size_t i = 0;

	while (i < m->count && slice_cmp(key_of(&m->rows[i]), key) < 0)
		i++;
	return i;
}

static void model_put(struct model *m, struct slice key, uint64_t value)
{
	size_t i = at_or_behind(m, key);

	if (i == m->count || !slice_eq(key_of(&m->rows[i]), key)) {
		assert_true(m->count < ROWS_MAX && key.n <= KEY_BYTES);
		memmove(m->rows + i + 1, m->rows + i, (m->count - i) * sizeof *m->rows);
		m->count++;
		memcpy(m->rows[i].key, key.p, key.n);
		m->rows[i].key_size = key.n;
	}
	m->rows[i].value = value;
}

static void model_delete(struct model *m, struct slice first, struct slice end)
{
	size_t from = at_or_behind(m, first), to = MAX(at_or_behind(m, end), from);

	memmove(m->rows + from, m->rows + to, (m->count - to) * sizeof *m->rows);
	m->count -= to - from;
}

/* ---- keys ---- */

static void make_stems(struct model *m, struct random *r)
{
	static const uint8_t alphabet[] = { 0x00, 0x01, 0xff };

	for (size_t i = 0; i < STEMS; i++) {
		m->stem_sizes[i] = random_below(r, sizeof m->stems[i]);
		for (size_t k = 0; k < m->stem_sizes[i]; k++)
			m->stems[i][k] = alphabet[random_below(r, sizeof alphabet)];
	}
}

static uint64_t some_height(struct random *r)
{
	static const uint64_t ends[] = { 0, 1, 255, 256, UINT64_MAX - 1, UINT64_MAX };

	return random_chance(r, 50) ? ends[random_below(r, ARRAY_LEN(ends))] : random_below(r, 6);
}

static uint32_t some_number(struct random *r)
{
	static const uint32_t ends[] = { 0, 0, 0, 1, 2, 255, 256, UINT32_MAX - 1, UINT32_MAX };

	return ends[random_below(r, ARRAY_LEN(ends))];
}

static void whole_key(const struct model *m, bool stored, struct random *r, struct buf *out)
{
	size_t stem = random_below(r, STEMS);
	struct place place = { some_height(r), some_number(r), some_number(r) };

	if (stored && m->packed)
		place.index = PLACE_INDEX;
	buf_clear(out);
	row_key_write(out, random_chance(r, 50) ? SPACE_BOTH : SPACE_HYPER,
		      (uint32_t)random_below(r, 2), SLICE(m->stems[stem], m->stem_sizes[stem]),
		      place);
	assert_int_equal(buf_done(out), 0);
}

/* One that is stored, or could be, or its beginning, or more. */
static void sought_key(const struct model *m, struct random *r, struct buf *out)
{
	whole_key(m, random_chance(r, 50), r, out);
	if (m->count && random_chance(r, 50)) {
		buf_clear(out);
		buf_add(out, key_of(&m->rows[random_below(r, m->count)]));
	}
	switch (random_below(r, 6)) {
	case 0: /* within the place */
		out->n -= random_below(r, ROW_SUFFIX_SIZE + 1);
		break;
	case 1:
		out->n = random_below(r, out->n + 1);
		break;
	case 2:
		buf_u8(out, (uint8_t)(random_chance(r, 50) ? 0 : random_u64(r)));
		break;
	case 3: /* behind all of a key */
		out->n -= ROW_SUFFIX_SIZE;
		out->p[out->n - 1] = 1;
		break;
	case 4:
		out->p[out->n - 1 - random_below(r, 8)] ^= (uint8_t)(1 << random_below(r, 8));
		break;
	default:
		break;
	}
	assert_int_equal(buf_done(out), 0);
}

/* ---- the same of both ---- */

static void check_at(const struct model *m, struct db_iter *it, int rc, size_t at)
{
	assert_int_equal(rc, at < m->count);
	if (rc != 1)
		return;
	struct slice value = db_iter_value(it);

	assert_true(slice_eq(db_iter_key(it), key_of(&m->rows[at])));
	assert_true(value.n == 8 && get_be64(value.p) == m->rows[at].value);
}

static void check_walk(const struct model *m, struct db *db, struct slice key, struct random *r)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	bool back = random_chance(r, 50);
	size_t at = at_or_behind(m, key);
	int rc;

	assert_int_equal(db_iter_new(db, FAMILY_ROWS, DB_ORDERED, &it), 0);
	if (back && !(at < m->count && slice_eq(key_of(&m->rows[at]), key)))
		at--; /* none: beyond all */
	rc = back ? db_iter_seek_back(it, key, NULL) : db_iter_seek(it, key, NULL);
	check_at(m, it, rc, at);
	for (uint64_t steps = random_below(r, 12); steps && rc == 1; steps--) {
		back ^= random_chance(r, 20);
		at += back ? SIZE_MAX : 1;
		rc = back ? db_iter_back(it, NULL) : db_iter_next(it, NULL);
		check_at(m, it, rc, at);
	}
}

static void check_get(const struct model *m, struct db *db, struct slice key)
{
	AUTO(buf_release) struct buf value = BUF_INIT(64);
	size_t at = at_or_behind(m, key);
	bool there = at < m->count && slice_eq(key_of(&m->rows[at]), key);

	assert_int_equal(db_get(db, FAMILY_ROWS, key, &value, NULL), there);
	assert_true(!there || get_be64(value.p) == m->rows[at].value);
}

static void check_stem(const struct model *m, struct db *db, struct random *r)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES);

	/* As rows_get() seeks: no place of an index, before all of its height. */
	whole_key(m, true, r, &key);
	memset(key.p + key.n - 8, 0, 8);
	size_t stem = key.n - ROW_SUFFIX_SIZE, at = at_or_behind(m, buf_slice(&key));

	assert_int_equal(db_iter_new(db, FAMILY_ROWS, DB_STEM, &it), 0);
	for (int rc = db_iter_seek(it, buf_slice(&key), NULL);; rc = db_iter_next(it, NULL), at++) {
		bool there =
			at < m->count && slice_starts(key_of(&m->rows[at]), SLICE(key.p, stem));

		if (!there) {
			assert_true(rc == 0 || !slice_starts(db_iter_key(it), SLICE(key.p, stem)));
			return;
		}
		check_at(m, it, rc, at);
	}
}

/* ---- changes ---- */

static void change(struct model *m, struct db *db, struct random *r)
{
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES), end = BUF_INIT(KEY_BYTES);
	uint8_t value[8];

	assert_int_equal(db_batch_new(db, &batch), 0);
	for (uint64_t n = 1 + random_below(r, 4); n && m->count < ROWS_MAX; n--) {
		put_be64(value, random_u64(r));
		whole_key(m, true, r, &key);
		if (random_chance(r, 75)) {
			db_batch_put(batch, FAMILY_ROWS, buf_slice(&key), SLICE_ARRAY(value));
			model_put(m, buf_slice(&key), get_be64(value));
			continue;
		}
		if (random_chance(r, 70)) { /* of what may be there: keys end in a place */
			whole_key(m, random_chance(r, 80), r, &key);
			db_batch_delete(batch, FAMILY_ROWS, buf_slice(&key));
			buf_clear(&end);
			buf_add(&end, buf_slice(&key));
			buf_u8(&end, 0);
			model_delete(m, buf_slice(&key), buf_slice(&end));
			continue;
		}
		sought_key(m, r, &key);
		sought_key(m, r, &end);
		if (slice_cmp(buf_slice(&key), buf_slice(&end)) >= 0)
			continue;
		db_batch_delete_range(batch, FAMILY_ROWS, buf_slice(&key), buf_slice(&end));
		model_delete(m, buf_slice(&key), buf_slice(&end));
	}
	assert_int_equal(db_write(db, batch, NULL), 0);
}

static void whatever_is_sought_one_stands_where_the_list_says(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(4); round; round--) {
		char path[128], db_path[160];
		AUTO(db_cache_freep) struct db_cache *cache = db_cache_new(4u << 20);
		struct db_options options = { .cache = cache,
					      .create = true,
					      .packed = random_chance(&r, 70),
					      .sync_off = true };
		struct model *m = calloc(1, sizeof *m);
		struct db *db = NULL;

		assert_non_null(m);
		m->packed = options.packed;
		fixture_folder(path);
		snprintf(db_path, sizeof db_path, "%s/db", path);
		assert_int_equal(db_open(db_path, &options, &db, NULL), 0);
		make_stems(m, &r);
		for (int step = 0; step < STEPS; step++) {
			AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES);

			if (random_chance(&r, 40))
				change(m, db, &r);
			sought_key(m, &r, &key);
			check_get(m, db, buf_slice(&key));
			check_walk(m, db, buf_slice(&key), &r);
			check_stem(m, db, &r);
			if (random_chance(&r, 1))
				db_compact(db);     /* some in files, some in memory */
			if (random_chance(&r, 1)) { /* what they are is said once */
				db_closep(&db);
				options.create = false;
				assert_int_equal(db_open(db_path, &options, &db, NULL), 0);
				assert_int_equal(db_is_packed(db), m->packed);
			}
		}
		db_closep(&db);
		fixture_remove(path);
		free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_is_sought_one_stands_where_the_list_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
