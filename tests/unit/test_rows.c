#include "core/store/rows.h"
#include "core/store/db.h"
#include "core/store/dead.h"
#include "tests/support/store_fixture.h"

static struct slice random_key(struct random *r, uint8_t bytes[12])
{
	static const uint8_t alphabet[] = { 0x00, 0x00, 0x01, 0x7f, 0xfe, 0xff };
	size_t n = random_below(r, 12);

	for (size_t i = 0; i < n; i++)
		bytes[i] = alphabet[random_below(r, sizeof alphabet)];
	return SLICE(bytes, n);
}

static void escaped_keys_keep_their_order_and_none_is_a_prefix_of_another(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(20000); round; round--) {
		uint8_t one[12], two[12];
		struct slice a = random_key(&r, one), b = random_key(&r, two);
		AUTO(buf_release)
		struct buf ea = BUF_INIT(64),
			   eb = BUF_INIT(64), back = BUF_INIT(64);

		key_escape(&ea, a);
		key_escape(&eb, b);
		int order = slice_cmp(a, b), escaped = slice_cmp(buf_slice(&ea), buf_slice(&eb));

		assert_int_equal((order > 0) - (order < 0), (escaped > 0) - (escaped < 0));
		assert_true(order == 0 || !slice_starts(buf_slice(&ea), buf_slice(&eb)));
		struct rd in = rd_of(buf_slice(&ea));

		assert_int_equal(key_unescape(&in, &back), 0);
		assert_true(slice_eq(buf_slice(&back), a));
		assert_int_equal(rd_left(&in), 0);
	}
}

static void a_stored_key_comes_back_with_its_place(void **state)
{
	AUTO(buf_release) struct buf stored = BUF_INIT(128), key = BUF_INIT(128);
	struct place place = { .height = 123456789012, .index = 42, .branch = 3 }, back;
	enum space space;
	uint32_t shard;

	row_key_write(&stored, SPACE_HYPER, 5, SLICE("a\0b", 3), place);
	assert_int_equal(row_key_read(buf_slice(&stored), &space, &shard, &key, &back), 0);
	assert_int_equal(space, SPACE_HYPER);
	assert_int_equal(shard, 5);
	assert_true(slice_eq(buf_slice(&key), SLICE("a\0b", 3)));
	assert_int_equal(back.height, place.height);
	assert_int_equal(back.index, place.index);
	assert_int_equal(back.branch, place.branch);
	for (size_t n = 0; n < stored.n; n++) {
		buf_clear(&key);
		assert_int_equal(row_key_read(SLICE(stored.p, n), &space, &shard, &key, &back),
				 -EUCLEAN);
	}
}

static void newer_versions_of_a_key_sort_first(void **state)
{
	static const struct place places[] = {
		/* descending */
		{ UINT64_MAX - 1, 0, 0 }, { 1000, 7, 0 }, { 1000, 6, 9 },
		{ 999, UINT32_MAX, 0 },   { 0, 0, 0 },
	};
	for (size_t i = 1; i < ARRAY_LEN(places); i++) {
		AUTO(buf_release) struct buf newer = BUF_INIT(64), older = BUF_INIT(64);

		row_key_write(&newer, SPACE_BOTH, 1, slice_str("k"), places[i - 1]);
		row_key_write(&older, SPACE_BOTH, 1, slice_str("k"), places[i]);
		assert_true(slice_cmp(buf_slice(&newer), buf_slice(&older)) < 0);
	}
}

/* Small ones, ones of each width, and the highest. */
static struct place random_place(struct random *r)
{
	uint64_t height = random_chance(r, 10) ? UINT64_MAX : random_u64(r) >> random_below(r, 64);

	return (struct place){
		.height = random_chance(r, 30) ? random_below(r, 3) : height,
		.index = PLACE_INDEX,
		.branch = random_chance(r, 60) ? 0 : (uint32_t)random_u64(r),
	};
}

static void packed_keys_keep_their_order_and_come_back(void **state)
{
	static uint8_t back[ROW_STORED_KEY_MAX];
	struct random r = random_of_run();

	for (uint64_t round = rounds(20000); round; round--) {
		AUTO(buf_release) struct buf a = BUF_INIT(64), b = BUF_INIT(64);
		uint8_t one[12], two[12];
		struct slice x = random_key(&r, one), y = random_key(&r, two);
		bool same = random_chance(&r, 50);
		struct place place = random_place(&r);

		row_key_write(&a, SPACE_BOTH, 0, x, place);
		row_key_write(&b, SPACE_BOTH, 0, same ? x : y, random_place(&r));
		struct slice pa = key_row_pack(buf_slice(&a)), pb = key_row_pack(buf_slice(&b));
		int order = slice_cmp(buf_slice(&a), buf_slice(&b)), packed = slice_cmp(pa, pb);

		assert_int_equal((order > 0) - (order < 0), (packed > 0) - (packed < 0));
		assert_true(slice_eq(key_row_unpack(pa, back), buf_slice(&a)));
		assert_int_equal(pa.n, place.branch ? a.n : a.n - 8);
		struct slice sa = SLICE(pa.p, key_row_stem(pa)), sb = SLICE(pb.p, key_row_stem(pb));

		assert_int_equal(slice_eq(sa, sb), same || slice_eq(x, y));
		assert_int_equal(key_row_stem(buf_slice(&a)), a.n - ROW_SUFFIX_SIZE);

		/* What is sought: before all of a height, behind all of a key, before all of it. */
		struct place all = place;

		all.index = UINT32_MAX;
		buf_clear(&b);
		row_key_write(&b, SPACE_BOTH, 0, x, all);
		assert_true(slice_cmp(key_row_pack(buf_slice(&b)), pa) <= 0);
		all.height = place.height ? place.height - 1 : 0;
		buf_clear(&b);
		row_key_write(&b, SPACE_BOTH, 0, x, all);
		assert_true(!place.height || slice_cmp(key_row_pack(buf_slice(&b)), pa) > 0);
		struct slice stem = SLICE(a.p, a.n - ROW_SUFFIX_SIZE);

		buf_clear(&b);
		row_key_behind(&b, stem);
		assert_true(slice_cmp(key_row_pack(buf_slice(&b)), pa) > 0);
		assert_true(slice_cmp(key_row_pack(stem), pa) < 0);
	}
}

static void keys_of_hashes_keep_their_order_and_come_back(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(20000); round; round--) {
		uint8_t hash[8] = { 7 }, back[8];
		bool packed = random_below(&r, 2);
		uint64_t height = random_u64(&r) >> random_below(&r, 64), height_back;
		uint64_t above = random_u64(&r) >> random_below(&r, 64);
		uint32_t item = (uint32_t)(random_u64(&r) >> random_below(&r, 64)), item_back,
			 shard;
		struct short_key k = key_hash(packed, hash, 3, height, item);
		struct short_key other = key_hash(packed, hash, 3, above, item);

		random_bytes(&r, hash + 5, 3);
		k = key_hash(packed, hash, 3, height, item);
		assert_int_equal(key_hash_read(packed, short_slice(&k), back, &shard, &height_back,
					       &item_back),
				 0);
		assert_memory_equal(back, hash, packed ? 5 : 8);
		assert_int_equal(shard, 3);
		assert_int_equal(height_back, height);
		assert_int_equal(item_back, item);
		memset(hash + 5, 0, 3);
		k = key_hash(packed, hash, 3, height, item);
		int order = slice_cmp(short_slice(&k), short_slice(&other));

		assert_int_equal((order > 0) - (order < 0), (height > above) - (height < above));
		for (size_t n = 0; n < k.n; n++)
			assert_int_equal(key_hash_read(packed, SLICE(k.bytes, n), back, &shard,
						       &height_back, &item_back),
					 -EUCLEAN);
	}
}

static void values_that_contradict_themselves_do_not_parse(void **state)
{
	struct row_version v;

	assert_int_equal(row_value_read(SLICE_EMPTY, &v), -EUCLEAN);
	assert_int_equal(row_value_read(SLICE("\x01x", 2), &v), -EUCLEAN);
	assert_int_equal(row_value_read(SLICE("\x80x", 2), &v), -EUCLEAN);
	assert_int_equal(row_value_read(SLICE("\xff", 1), &v), -EUCLEAN);
	assert_int_equal(row_value_read(SLICE("\0x", 2), &v), 0);
	assert_true(!v.tombstone && slice_eq(v.value, slice_str("x")));
	assert_int_equal(row_value_read(SLICE("\x84", 1), &v), 0);
	assert_true(v.tombstone && v.reason == REASON_PRUNED);
}

static void open_lineage(const struct branches *b, uint32_t branch, struct lineage *out)
{
	*out = (struct lineage){ 0 };
	assert_int_equal(lineage_of(b, branch, 1, out), 0);
}

static void a_branch_sees_its_parent_up_to_the_parting(void **state)
{
	AUTO(branches_release) struct branches b = { 0 }, back = { 0 };
	AUTO(lineage_release) struct lineage l = { 0 };
	AUTO(buf_release) struct buf bytes = BUF_INIT(4096);
	uint64_t at20[SHARD_MAX] = { 10, 20 }, at30[SHARD_MAX] = { 10, 30 },
		 at15[SHARD_MAX] = { 5, 15 };
	uint32_t one, two, three;

	assert_int_equal(branches_init(&b), 0);
	assert_int_equal(branches_lowest(&b, 1), UINT64_MAX);
	assert_int_equal(branches_open(&b, 0, at20, &one), 0);
	assert_int_equal(branches_open(&b, one, at30, &two), 0);
	assert_int_equal(branches_open(&b, two, at15, &three), 0);
	assert_int_equal(branches_open(&b, 9, at15, &three), -EINVAL);
	assert_int_equal(branches_lowest(&b, 1), 15);
	branches_write(&b, &bytes);
	assert_int_equal(branches_read(buf_slice(&bytes), &back), 0);

	open_lineage(&back, two, &l);
	assert_true(lineage_sees(&l, two, UINT64_MAX));
	assert_true(lineage_sees(&l, one, 30) && !lineage_sees(&l, one, 31));
	assert_true(lineage_sees(&l, 0, 20) && !lineage_sees(&l, 0, 21));
	assert_false(lineage_sees(&l, three, 1));
	lineage_release(&l);
	/* Parted below where its parent did: it sees neither of the branches above. */
	open_lineage(&back, three, &l);
	assert_true(lineage_sees(&l, 0, 15) && !lineage_sees(&l, 0, 16));
	assert_true(lineage_sees(&l, two, 15) && !lineage_sees(&l, two, 16));
	branches_settle(&b);
	assert_int_equal(branches_lowest(&b, 1), UINT64_MAX);
}

static void blocks_come_again_on_a_branch_below_its_parting(void **state)
{
	AUTO(branches_release) struct branches b = { 0 }, back = { 0 };
	AUTO(buf_release) struct buf bytes = BUF_INIT(4096);
	uint64_t at20[SHARD_MAX] = { 10, 20 }, at30[SHARD_MAX] = { 10, 30 };
	uint32_t one, two;

	assert_int_equal(branches_init(&b), 0);
	assert_int_equal(branches_open(&b, 0, at20, &one), 0);
	assert_int_equal(branches_open(&b, one, at30, &two), 0);
	b.list[one].anew[1] = (struct anew){ 3, 6 };
	b.list[two].anew[1] = (struct anew){ 5, 8 };
	b.list[two].settled = true;
	branches_write(&b, &bytes);
	assert_int_equal(branches_read(buf_slice(&bytes), &back), 0);
	assert_true(back.list[two].settled && !back.list[one].settled);
	static const uint64_t heights[] = { 2, 3, 4, 5, 7, 8, 20, 21, 30, 31 };
	const uint32_t lines[] = { 0, one, one, two, two, 0, 0, one, one, two };

	for (size_t i = 0; i < ARRAY_LEN(heights); i++)
		assert_int_equal(branches_line(&back, two, 1, heights[i]), lines[i]);
	assert_int_equal(branches_line(&back, two, 0, 5), 0); /* of the other shard nothing is */
	for (size_t n = 0; n < bytes.n; n++) {
		AUTO(branches_release) struct branches cut = { 0 };

		assert_int_equal(branches_read(SLICE(bytes.p, n), &cut), -EBADMSG);
	}
}

static void branch_rows_that_do_not_parse_are_refused(void **state)
{
	AUTO(branches_release) struct branches b = { 0 };

	assert_int_equal(branches_read(SLICE_EMPTY, &b), -EBADMSG);
	assert_int_equal(branches_read(SLICE("\x01\x05", 2), &b), -EBADMSG);
	assert_int_equal(branches_read(SLICE("\xff\xff\xff\xff\x0f", 5), &b), -EBADMSG);
}

/* ---- on a database ---- */

struct base {
	char             path[128], db_path[160];
	struct db_cache *cache;
	struct db       *db;
};

static void base_open(struct base *b, const char *path)
{
	struct err err = ERR_INIT;

	*b = (struct base){ .cache = db_cache_new(4u << 20) };
	if (path)
		snprintf(b->path, sizeof b->path, "%s", path);
	else
		fixture_folder(b->path);
	snprintf(b->db_path, sizeof b->db_path, "%s/db", b->path);
	struct db_options options = { .cache = b->cache, .create = path == NULL, .sync_off = true };

	if (db_open(b->db_path, &options, &b->db, &err) < 0)
		fail_msg("%s", err.text);
}

static void base_close(struct base *b)
{
	db_closep(&b->db);
	db_cache_freep(&b->cache);
}

static void base_release(struct base *b)
{
	base_close(b);
	fixture_remove(b->path);
}

static void write_row(struct base *b, const char *key, struct place place, const char *value)
{
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	AUTO(buf_release) struct buf k = BUF_INIT(256), v = BUF_INIT(256);

	assert_int_equal(db_batch_new(b->db, &batch), 0);
	row_key_write(&k, SPACE_BOTH, 1, slice_str(key), place);
	row_value_write(&v, value == NULL, REASON_PRUNED, slice_str(value));
	db_batch_put(batch, FAMILY_ROWS, buf_slice(&k), buf_slice(&v));
	assert_int_equal(db_write(b->db, batch, NULL), 0);
}

static struct rows *read_at(struct base *b, uint64_t height)
{
	AUTO(branches_release) struct branches branches = { 0 };
	AUTO(lineage_release) struct lineage l = { 0 };
	struct rows *r = NULL;

	assert_int_equal(branches_init(&branches), 0);
	open_lineage(&branches, 0, &l);
	assert_int_equal(rows_new(b->db, 1, height, &l, &r), 0);
	return r;
}

static void expect_row(struct rows *r, const char *key, const char *value)
{
	struct slice got;

	assert_int_equal(rows_get(r, SPACE_BOTH, slice_str(key), &got), value != NULL);
	assert_true(!value || slice_eq(got, slice_str(value)));
}

static void one_key_is_not_taken_for_a_longer_one(void **state)
{
	AUTO(base_release) struct base b;

	base_open(&b, NULL);
	write_row(&b, "key", (struct place){ 5, 0, 0 }, "short");
	write_row(&b, "key+more", (struct place){ 6, 0, 0 }, "long");
	AUTO(rows_freep) struct rows *r = read_at(&b, UINT64_MAX);

	expect_row(r, "key", "short");
	expect_row(r, "key+more", "long");
	expect_row(r, "key+", NULL);
	expect_row(r, "ke", NULL);
	expect_row(r, "", NULL);
}

static void a_reader_sees_what_was_written_after_it_was_made(void **state)
{
	AUTO(base_release) struct base b;

	base_open(&b, NULL);
	AUTO(rows_freep) struct rows *r = read_at(&b, UINT64_MAX);

	expect_row(r, "k", NULL);
	write_row(&b, "k", (struct place){ 5, 0, 0 }, "v");
	expect_row(r, "k", "v");
	write_row(&b, "k", (struct place){ 6, 0, 0 }, NULL);
	expect_row(r, "k", NULL);
}

static void a_key_with_a_thousand_versions_is_one_row(void **state)
{
	AUTO(base_release) struct base b;

	base_open(&b, NULL);
	write_row(&b, "a", (struct place){ 1, 0, 0 }, "first");
	for (uint64_t h = 1; h <= 1000; h++) {
		char value[16];

		snprintf(value, sizeof value, "%" PRIu64, h);
		write_row(&b, "m", (struct place){ h, 0, 0 }, h % 100 ? value : NULL);
	}
	write_row(&b, "z", (struct place){ 1, 0, 0 }, "last");
	for (uint64_t h = 0; h <= 1001; h += 7) {
		AUTO(rows_freep) struct rows *r = read_at(&b, h);
		AUTO(rows_scan_freep) struct rows_scan *s = NULL;
		struct slice key, value;
		int count = 0;

		assert_int_equal(rows_scan_new(r, SPACE_BOTH, SLICE_EMPTY, SLICE_EMPTY, &s), 0);
		while (rows_scan_next(s, &key, &value) == 1)
			count++;
		assert_int_equal(count, h == 0 ? 0 : 2 + (h % 100 != 0 && h <= 1000) );
	}
}

/* ---- damage ---- */

static struct random flip_random;
static int flips;

static int flip_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t n = strlen(path);

	if (n < 4 || strcmp(path + n - 4, ".sst") != 0 || st->st_size < 4096)
		return 0;
	FILE *f = fopen(path, "r+b");

	assert_non_null(f);
	/* Data blocks begin a file; its tail holds what is read when it is opened. */
	for (int i = 0; i < 3; i++) {
		long at = (long)random_below(&flip_random, (uint64_t)st->st_size / 2);

		fseek(f, at, SEEK_SET);
		int c = fgetc(f);

		fseek(f, at, SEEK_SET);
		fputc(c ^ 0x5a, f);
		flips++;
	}
	fclose(f);
	return 0;
}

static void a_damaged_file_is_an_error_and_never_an_absent_row(void **state)
{
	AUTO(base_release) struct base b;
	struct random r = random_of_run();
	char key[32], value[32];
	int errors = 0;

	base_open(&b, NULL);
	for (uint64_t i = 0; i < 3000; i++) {
		snprintf(key, sizeof key, "key %06" PRIu64, i * 7919 % 3000);
		snprintf(value, sizeof value, "%016" PRIx64, random_u64(&r));
		write_row(&b, key, (struct place){ i + 1, 0, 0 }, value);
	}
	db_compact(b.db);
	base_close(&b);
	flip_random = r;
	flips = 0;
	nftw(b.path, flip_one, 16, FTW_PHYS);
	assert_true(flips > 0);

	char path[128];

	snprintf(path, sizeof path, "%s", b.path);
	base_open(&b, path);
	AUTO(rows_freep) struct rows *reader = read_at(&b, UINT64_MAX);

	trace_set_sink(fixture_silence, NULL);
	for (uint64_t i = 0; i < 3000; i++) {
		struct slice got;

		snprintf(key, sizeof key, "key %06" PRIu64, i);
		int rc = rows_get(reader, SPACE_BOTH, slice_str(key), &got);

		assert_true(rc == 1 || rc == -EBADMSG);
		errors += rc < 0;
	}
	trace_set_sink(NULL, NULL);
	assert_true(errors > 0);
	rows_freep(&reader);
}

/* ---- stretches that are remembered ---- */

static size_t scan_from(struct rows *r, const char *from, char out[4096])
{
	AUTO(rows_scan_freep) struct rows_scan *s = NULL;
	struct slice key, value;
	size_t n = 0;

	assert_int_equal(rows_scan_new(r, SPACE_BOTH, slice_str("k"), slice_str(from), &s), 0);
	while (rows_scan_next(s, &key, &value) == 1)
		n += (size_t)snprintf(out + n, 4096 - n, "%.*s=%.*s ", (int)key.n, key.p,
				      (int)value.n, value.p);
	out[n] = '\0';
	return n;
}

/* Long runs of tombstones, with a row here and there. */
static void write_history(struct base *b, struct random *random, unsigned first_height)
{
	for (unsigned i = 0; i < 400; i++) {
		char key[8];

		snprintf(key, sizeof key, "k%03u", i);
		write_row(b, key, (struct place){ first_height, i, 0 }, "v");
		if (!random_chance(random, 2))
			write_row(
				b, key,
				(struct place){ first_height + 1 + random_below(random, 3), i, 0 },
				NULL);
	}
	write_row(b, "l", (struct place){ 1, 0, 0 }, "behind");
}

static void compare_scans(struct base *b, struct random *random, struct dead *dead)
{
	char with[4096], without[4096], from[8];
	uint64_t height = 1 + random_below(random, 8);
	AUTO(rows_freep) struct rows *asking = read_at(b, height);
	AUTO(rows_freep) struct rows *plain = read_at(b, height);

	rows_remember(asking, dead);
	snprintf(from, sizeof from, "%03u", (unsigned)random_below(random, 410));
	if (height == 1)
		from[0] = '3'; /* all are there: what is written fits */
	scan_from(asking, from, with);
	scan_from(plain, from, without);
	assert_string_equal(with, without);
}

static void a_scan_says_the_same_whatever_is_remembered(void **state)
{
	AUTO(base_release) struct base b;
	AUTO(dead_freep) struct dead *dead = dead_new();
	struct random random = random_of_run();

	base_open(&b, NULL);
	write_history(&b, &random, 1);
	for (unsigned i = 0; i < 300; i++) {
		char key[8];

		for (unsigned k = 0; k < 3; k++)
			compare_scans(&b, &random, dead);
		if (i % 10)
			continue;
		/* Among the dead, at a place that readers see: what was remembered is old. */
		snprintf(key, sizeof key, "k%03u", (unsigned)random_below(&random, 400));
		write_row(&b, key, (struct place){ 2 + random_below(&random, 6), 1000 + i, 0 },
			  random_chance(&random, 70) ? "new" : NULL);
	}
}

static void a_stretch_is_found_by_what_is_in_it(void **state)
{
	AUTO(dead_freep) struct dead *dead = dead_new();
	AUTO(buf_release) struct buf end = BUF_INIT(64);
	const struct dead_place at = { 7, 5, 0 }, later = { 8, 5, 0 }, above = { 7, 6, 0 };

	dead_add(dead, &at, slice_str("m"), slice_str("p"));
	assert_true(dead_find(dead, &at, slice_str("m"), &end));
	assert_true(slice_eq(buf_slice(&end), slice_str("p")));
	assert_true(dead_find(dead, &at, slice_str("ozz"), &end));
	assert_false(dead_find(dead, &at, slice_str("p"), &end));
	assert_false(dead_find(dead, &at, slice_str("l"), &end));
	assert_false(dead_find(dead, &later, slice_str("n"), &end));
	assert_false(dead_find(dead, &above, slice_str("n"), &end));
	dead_add(dead, &at, slice_str("d"), slice_str("p")); /* it goes further back */
	assert_true(dead_find(dead, &at, slice_str("l"), &end));
	for (unsigned i = 0; i < 1000; i++) {
		char first[8], last[8];

		snprintf(first, sizeof first, "q%03u", i);
		snprintf(last, sizeof last, "q%03ux", i);
		dead_add(dead, &at, slice_str(first), slice_str(last));
	}
	assert_true(dead_find(dead, &at, slice_str("q999"), &end));
	assert_false(dead_find(dead, &at, slice_str("n"), &end)); /* its place was taken */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escaped_keys_keep_their_order_and_none_is_a_prefix_of_another),
		cmocka_unit_test(a_stored_key_comes_back_with_its_place),
		cmocka_unit_test(newer_versions_of_a_key_sort_first),
		cmocka_unit_test(packed_keys_keep_their_order_and_come_back),
		cmocka_unit_test(keys_of_hashes_keep_their_order_and_come_back),
		cmocka_unit_test(values_that_contradict_themselves_do_not_parse),
		cmocka_unit_test(a_branch_sees_its_parent_up_to_the_parting),
		cmocka_unit_test(blocks_come_again_on_a_branch_below_its_parting),
		cmocka_unit_test(branch_rows_that_do_not_parse_are_refused),
		cmocka_unit_test(one_key_is_not_taken_for_a_longer_one),
		cmocka_unit_test(a_reader_sees_what_was_written_after_it_was_made),
		cmocka_unit_test(a_key_with_a_thousand_versions_is_one_row),
		cmocka_unit_test(a_scan_says_the_same_whatever_is_remembered),
		cmocka_unit_test(a_stretch_is_found_by_what_is_in_it),
		cmocka_unit_test(a_damaged_file_is_an_error_and_never_an_absent_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
