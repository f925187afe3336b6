/* Objects of a network: their stat records, their bytes in blocks or carried here, their hashes. */
#include "core/store/stats.h"
#include "tests/unit/network_lab.h"

static struct stat_record stat_of(uint64_t object)
{
	struct random r = random_of(object);
	struct stat_record s = {
		.type = (uint8_t)(OBJECT_BLOCK + random_below(&r, 3)),
		.form = (uint16_t)random_u64(&r),
		.shard = 2,
		.height = 1000 + object / 100,
		.item = (uint32_t)random_u64(&r),
		.time = random_u64(&r),
		.offset = (uint32_t)random_u64(&r),
		.size = (uint32_t)random_u64(&r),
		.json_size = (uint32_t)random_u64(&r),
		.line_size = (uint32_t)random_below(&r, 1000),
		.renderer = 3,
	};
	return s;
}

static bool same_stat(const struct stat_record *a, const struct stat_record *b)
{
	return a->type == b->type && a->form == b->form && a->shard == b->shard &&
	       a->height == b->height && a->item == b->item && a->time == b->time &&
	       a->offset == b->offset && a->size == b->size && a->json_size == b->json_size &&
	       a->line_size == b->line_size && a->renderer == b->renderer &&
	       a->carrier == b->carrier;
}

static void stat_records_come_back_one_by_one(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;

	for (uint64_t object = 1; object < 3000; object += 1 + object % 7 * (object % 3)) {
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
		if (object % 50 == 0)
			apply(c);
	}
	apply(c);
	for (uint64_t object = 1, next = 1; object < 3000; object++) {
		int rc = network_stat(f.network, object, &got);

		wanted = stat_of(object);
		assert_int_equal(rc, object == next);
		assert_true(rc == 0 || same_stat(&got, &wanted));
		if (object == next)
			next += 1 + object % 7 * (object % 3);
	}
	assert_int_equal(network_stat(f.network, 0, &got), 0);
	assert_int_equal(network_stat(f.network, UINT64_MAX, &got), 0);
}

static void a_stat_record_written_again_hides_no_other(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;

	for (uint64_t object = 200; object < 230; object++) {
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	apply(c);
	for (uint64_t object = 205; object < 215; object += 3) {
		wanted = stat_of(object);
		wanted.renderer = 4;
		assert_int_equal(commit_stat(c, object, &wanted), 0);
		apply(c);
	}
	for (uint64_t object = 200; object < 230; object++) {
		wanted = stat_of(object);
		if (object >= 205 && object < 215 && (object - 205) % 3 == 0)
			wanted.renderer = 4;
		assert_int_equal(network_stat(f.network, object, &got), 1);
		assert_true(same_stat(&got, &wanted));
	}
}

/* What is kept of rows read lately must never be what a younger group says otherwise. */
static void a_stat_record_read_before_is_the_newest_after_a_write(void **state)
{
	AUTO(fixture_release) struct fixture f;
	struct random random = random_of_run();
	uint32_t renderers[64] = { 0 };

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);

	for (unsigned turn = 0; turn < 200; turn++) {
		/* Alone, and not in place of a group that it is the first one of. */
		size_t first = turn ? 1 + random_below(&random, STAT_GROUP_MAX - 1) +
					      STAT_GROUP_MAX * random_below(&random, 2)
				    : 0;
		size_t end = turn ? first + 1 : 64;

		for (size_t i = first; i < end; i++) {
			struct stat_record r = stat_of(5000 + i);

			r.renderer = renderers[i] = turn + 1;
			assert_int_equal(commit_stat(c, 5000 + i, &r), 0);
		}
		apply(c);
		for (unsigned k = 0; k < 200; k++) {
			size_t i = random_chance(&random, 50) ? k % 64 : random_below(&random, 64);
			struct stat_record got, wanted = stat_of(5000 + i);

			wanted.renderer = renderers[i];
			assert_int_equal(network_stat(f.network, 5000 + i, &got), 1);
			assert_true(same_stat(&got, &wanted));
		}
	}
}

/* What a store of before carriers holds, and what every record of a held block still becomes. */
static void a_group_of_a_block_is_written_as_ever(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1024);
	struct stat_group g = { .count = 0 };
	struct stat_record r = {
		.type = OBJECT_ITEM, .form = 5, .shard = 2, .height = 300, .time = 1000,
		.offset = 7, .size = 20, .line_size = 90, .json_size = 100, .renderer = 3,
	};
	struct stat_record got;

	assert_true(stat_group_add(&g, 10, &r));
	r.item = 1;
	r.offset = 27;
	r.type = OBJECT_INNER;
	assert_true(stat_group_add(&g, 12, &r));
	stat_group_write(&g, &out);
	static const uint8_t wanted[] = {
		2, 2, 0xac, 2, 3, 2, OBJECT_ITEM, OBJECT_INNER, 5, 5, 0, 2, 0xd0, 0x0f, 0, 20, 20,
		14, 0, 90, 90, 20, 20,
	};
	assert_true(slice_eq(buf_slice(&out), SLICE_ARRAY(wanted)));
	assert_int_equal(stat_group_find(SLICE_ARRAY(wanted), 10, 12, &got), 1);
	assert_true(same_stat(&got, &r));
}

static struct stat_record carried_stat_of(uint64_t object)
{
	struct stat_record s = stat_of(object);

	s.carrier = 1 + object / 1000 % 3;
	s.height = s.time % 5 ? s.time >> 20 : 1 + object; /* of any block, in no order */
	return s;
}

static void stat_records_of_many_blocks_share_a_group_when_they_were_carried(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;
	struct family_check families[NETWORK_FAMILIES];

	for (uint64_t object = 1; object < 3200; object++) {
		wanted = carried_stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	for (uint64_t object = 3200; object < 3210; object++) { /* next to those of a block */
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	apply(c);
	for (uint64_t object = 1; object < 3210; object++) {
		wanted = object < 3200 ? carried_stat_of(object) : stat_of(object);
		assert_int_equal(network_stat(f.network, object, &got), 1);
		assert_true(same_stat(&got, &wanted));
	}
	assert_int_equal(network_check(f.network, families), 0);
	for (int i = 0; i < NETWORK_FAMILIES; i++)
		if (strcmp(families[i].name, "stats") == 0)
			assert_in_range(families[i].rows, 100, 110);
}

static void a_carried_group_that_is_cut_or_names_no_carrier_is_an_error(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct stat_group g = { .count = 0 };
	struct stat_record r, got;

	for (uint64_t object = 1000; object < 1000 + STAT_GROUP_MAX; object++) {
		r = carried_stat_of(object);
		assert_true(stat_group_add(&g, object, &r));
	}
	stat_group_write(&g, &out);
	assert_int_equal(stat_group_find(buf_slice(&out), 1000, 1031, &got), 1);
	assert_true(same_stat(&got, &r));
	for (size_t n = 0; n < out.n; n++)
		assert_int_equal(stat_group_find(SLICE(out.p, n), 1000, 1031, &got), -EUCLEAN);
	out.p[2] = 0; /* the carrier */
	assert_int_equal(stat_group_find(buf_slice(&out), 1000, 1031, &got), -EUCLEAN);
}

/* ---- bytes that were carried here ---- */

static void expect_object(struct network *n, uint64_t object, struct slice wanted)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	struct slice bytes;
	struct err err = ERR_INIT;

	assert_int_equal(network_stat(n, object, &stat), 1);
	if (network_object_bytes(n, &stat, &owner, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(bytes, wanted));
}

static void put_carried(struct commit *c, struct slice bytes, uint64_t object, uint64_t wanted)
{
	struct stat_record r = { .type = OBJECT_ITEM, .shard = 1, .height = 900 + object };

	assert_int_equal(commit_carried(c, bytes, &r.carrier, NULL), 0);
	assert_int_equal(r.carrier, wanted);
	r.size = (uint32_t)bytes.n / 2;
	assert_int_equal(commit_stat(c, object, &r), 0);
	r.offset = r.size;
	r.size = (uint32_t)bytes.n - r.size;
	assert_int_equal(commit_stat(c, object + 1, &r), 0);
}

static void carried_bytes_come_back_as_the_objects_of_blocks_do(void **state)
{
	AUTO(fixture_release) struct fixture f;
	uint8_t bytes[5000];

	fixture_open(&f);
	struct commit *c = begin(&f);

	put_block(c, 7, 3000, 100);
	struct stat_record of_block = {
		.type = OBJECT_ITEM, .shard = 1, .height = 7, .offset = 50, .size = 60,
	};
	assert_int_equal(commit_stat(c, 5, &of_block), 0);
	put_carried(c, bytes_of(77, sizeof bytes, bytes), 11, 1);
	put_carried(c, SLICE_EMPTY, 21, 2);
	apply(c);
	put_carried(c, bytes_of(78, sizeof bytes, bytes), 31, 3); /* and is never applied */
	commit_freep(&c);
	fixture_reopen(&f);
	c = begin(&f);
	put_carried(c, bytes_of(79, sizeof bytes, bytes), 41, 3);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	expect_object(f.network, 5, slice_sub(bytes_of(7, 3100, bytes), 50, 60));
	bytes_of(77, sizeof bytes, bytes);
	expect_object(f.network, 11, SLICE(bytes, 2500));
	expect_object(f.network, 12, SLICE(bytes + 2500, 2500));
	expect_object(f.network, 21, SLICE_EMPTY);
	expect_object(f.network, 41, SLICE(bytes_of(79, sizeof bytes, bytes).p, 2500));
	uint64_t last = 0;

	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(network_check_carried(f.network, &last, NULL), 1);
		assert_int_equal(last, i);
	}
	assert_int_equal(network_check_carried(f.network, &last, NULL), 0);
}

static void an_object_whose_bytes_are_not_there_is_an_error_of_its_own_kind(void **state)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat = { .type = OBJECT_ITEM, .shard = 1, .height = 3, .size = 10 };
	struct slice bytes;
	struct err err = ERR_INIT;
	uint8_t room[64];

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);

	put_carried(c, bytes_of(1, sizeof room, room), 11, 1);
	apply(c);
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -ENODATA);
	stat.carrier = 2;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	stat.carrier = 1;
	stat.offset = 60;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	stat.offset = UINT32_MAX;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	assert_null(owner);
}

static void damaged_carried_bytes_are_an_error_and_the_rest_is_read(void **state)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	uint8_t bytes[1000];
	struct stat_record stat;
	struct slice got;
	struct err err = ERR_INIT;
	char path[300];

	fixture_open(&f);
	struct commit *c = begin(&f);

	put_carried(c, bytes_of(1, sizeof bytes, bytes), 11, 1);
	apply(c);
	put_carried(c, bytes_of(2, sizeof bytes, bytes), 21, 2);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", f.path);
	FILE *file = fopen(path, "r+b");

	assert_non_null(file);
	fseek(file, 40, SEEK_SET);
	fputc(0x33, file);
	fclose(file);
	assert_int_equal(network_stat(f.network, 11, &stat), 1);
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &got, &err), -EBADMSG);
	expect_object(f.network, 21, SLICE(bytes, 500));
	uint64_t last = 0;

	assert_int_equal(network_check_carried(f.network, &last, &err), -EBADMSG);
	assert_int_equal(last, 1);
	assert_int_equal(network_check_carried(f.network, &last, &err), 1);
	assert_int_equal(network_check_carried(f.network, &last, &err), 0);
}

static void objects_are_found_by_any_number_of_nibbles(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	const uint8_t a[20] = { 0xab, 0xcd, 0xef, 1 }, b[20] = { 0xab, 0xcd, 0xe0, 2 },
		      z[20] = { 0xff };
	struct hash_hit hits[8];

	assert_int_equal(commit_hash(c, SLICE_ARRAY(a), 1, 300, HASH_HIT_BLOCK), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(a), 1, 2, 7), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(b), 0, 5, 0), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(z), 2, 1, 1), 0);
	assert_int_equal(commit_hash(c, SLICE("short", 5), 2, 1, 1), -EINVAL);
	apply(c);
	assert_int_equal(network_by_hash(f.network, a, 0, NULL, hits, 8), 4);
	assert_int_equal(network_by_hash(f.network, a, 1, NULL, hits, 8), 3);
	assert_int_equal(network_by_hash(f.network, a, 5, NULL, hits, 8), 3);
	assert_int_equal(hits[0].height, 5);
	assert_int_equal(hits[1].height, 2);
	assert_int_equal(hits[1].item, 7);
	assert_int_equal(hits[2].height, 300);
	assert_int_equal(hits[2].item, HASH_HIT_BLOCK);
	assert_memory_equal(hits[2].prefix, a, 5);
	assert_int_equal(network_by_hash(f.network, a, 6, NULL, hits, 8), 2);
	assert_int_equal(network_by_hash(f.network, a, 40, NULL, hits, 8), 2);
	assert_int_equal(network_by_hash(f.network, z, 40, NULL, hits, 8), 1);
	assert_int_equal(network_by_hash(f.network, a, 0, NULL, hits, 3), 3);
}

static void hits_that_are_many_come_in_parts(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	uint8_t hash[20] = { 0xab, 0xcd, 0xef, 1, 2, 3 };
	struct hash_hit hits[4], last;
	uint64_t seen = 0;

	/* They begin alike in what the index knows of them, whatever is asked. */
	for (uint32_t i = 0; i < 10; i++) {
		hash[19] = (uint8_t)i;
		assert_int_equal(commit_hash(c, SLICE_ARRAY(hash), 1, 7 + i / 3, i), 0);
	}
	apply(c);
	int count = network_by_hash(f.network, hash, 40, NULL, hits, 4);

	while (count > 0) {
		for (int i = 0; i < count; i++) {
			assert_int_equal(hits[i].item, seen);
			assert_int_equal(hits[i].height, 7 + seen / 3);
			seen++;
		}
		last = hits[count - 1];
		count = network_by_hash(f.network, hash, 40, &last, hits, 4);
	}
	assert_int_equal(count, 0);
	assert_int_equal(seen, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stat_records_come_back_one_by_one),
		cmocka_unit_test(a_stat_record_written_again_hides_no_other),
		cmocka_unit_test(a_stat_record_read_before_is_the_newest_after_a_write),
		cmocka_unit_test(a_group_of_a_block_is_written_as_ever),
		cmocka_unit_test(
			stat_records_of_many_blocks_share_a_group_when_they_were_carried),
		cmocka_unit_test(a_carried_group_that_is_cut_or_names_no_carrier_is_an_error),
		cmocka_unit_test(carried_bytes_come_back_as_the_objects_of_blocks_do),
		cmocka_unit_test(an_object_whose_bytes_are_not_there_is_an_error_of_its_own_kind),
		cmocka_unit_test(damaged_carried_bytes_are_an_error_and_the_rest_is_read),
		cmocka_unit_test(objects_are_found_by_any_number_of_nibbles),
		cmocka_unit_test(hits_that_are_many_come_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
