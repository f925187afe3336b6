#include "core/base/map.h"
#include "tests/support/support.h"

static void put(struct map *m, const char *key, const char *value, uint32_t tag)
{
	assert_int_equal(map_put(m, slice_str(key), slice_str(value), tag), 0);
}

static bool is(const struct map_entry *e, const char *key, const char *value)
{
	return e && slice_eq(e->key, slice_str(key)) && slice_eq(e->value, slice_str(value));
}

static void what_was_put_is_got_with_its_tag(void **state)
{
	AUTO(map_freep) struct map *m = map_new();

	assert_null(map_get(m, slice_str("a")));
	put(m, "a", "1", 7);
	put(m, "", "empty key", 8);
	assert_true(is(map_get(m, slice_str("a")), "a", "1"));
	assert_int_equal(map_get(m, slice_str("a"))->tag, 7);
	assert_true(is(map_get(m, SLICE_EMPTY), "", "empty key"));
	assert_null(map_get(m, slice_str("b")));
	assert_int_equal(map_count(m), 2);
	assert_int_equal(map_bytes(m), 1 + 1 + 9);
}

static void overwriting_leaves_old_slices_valid(void **state)
{
	AUTO(map_freep) struct map *m = map_new();

	put(m, "k", "old value", 1);
	struct slice old = map_get(m, slice_str("k"))->value;

	put(m, "k", "new", 2);
	assert_true(slice_eq(old, slice_str("old value")));
	assert_true(is(map_get(m, slice_str("k")), "k", "new"));
	assert_int_equal(map_get(m, slice_str("k"))->tag, 2);
	assert_int_equal(map_count(m), 1);
}

static void a_tombstone_is_present_and_says_deleted(void **state)
{
	AUTO(map_freep) struct map *m = map_new();

	put(m, "k", "v", 1);
	assert_int_equal(map_bury(m, slice_str("k"), 5), 0);
	assert_int_equal(map_bury(m, slice_str("never there"), 6), 0);
	assert_true(map_get(m, slice_str("k"))->tombstone);
	assert_int_equal(map_get(m, slice_str("k"))->tag, 5);
	assert_int_equal(map_get(m, slice_str("k"))->value.n, 0);
	assert_true(map_get(m, slice_str("never there"))->tombstone);
	assert_int_equal(map_count(m), 2);
	put(m, "k", "back", 7);
	assert_false(map_get(m, slice_str("k"))->tombstone);
}

static void entries_come_in_byte_order_a_shorter_prefix_first(void **state)
{
	static const char *const sorted[] = {
		"", "\x01", "a", "aa", "ab", "b", "\x7f", "\x80", "\xff",
	};
	AUTO(map_freep) struct map *m = map_new();
	size_t n = ARRAY_LEN(sorted);

	for (size_t i = 0; i < n; i++)
		put(m, sorted[(i * 5 + 3) % n], "v", 0);

	const struct map_entry *e = map_seek(m, SLICE_EMPTY);

	for (size_t i = 0; i < n; i++, e = map_next(m, e))
		assert_true(is(e, sorted[i], "v"));
	assert_null(e);
}

static void zeros_at_the_end_of_a_key_count(void **state)
{
	AUTO(map_freep) struct map *m = map_new();
	uint8_t key[24] = "prefix";

	for (size_t size = sizeof key; size >= 1; size--)
		assert_int_equal(map_put(m, SLICE(key, size), SLICE(&size, sizeof size), 0), 0);
	assert_int_equal(map_count(m), sizeof key);

	const struct map_entry *e = map_seek(m, SLICE_EMPTY);

	for (size_t size = 1; size <= sizeof key; size++, e = map_next(m, e))
		assert_int_equal(e->key.n, size);
	assert_null(e);
}

static void seek_finds_the_first_entry_not_before(void **state)
{
	AUTO(map_freep) struct map *m = map_new();

	assert_null(map_seek(m, SLICE_EMPTY));
	for (unsigned i = 0; i < 1000; i++) {
		uint8_t key[4];

		put_be32(key, 2 * i + 1);
		assert_int_equal(map_put(m, SLICE_ARRAY(key), SLICE_EMPTY, i), 0);
	}
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t key[4];

		put_be32(key, i);
		assert_int_equal(map_seek(m, SLICE_ARRAY(key))->tag, i / 2);
	}
	assert_null(map_seek(m, SLICE("\xff", 1)));
}

static void clearing_empties_and_the_map_is_used_again(void **state)
{
	AUTO(map_freep) struct map *m = map_new();

	for (unsigned round = 0; round < 20; round++) {
		/* A large round, then small ones: both ways of clearing the table are taken. */
		unsigned count = round % 5 == 0 ? 5000 : 3;

		for (unsigned i = 0; i < count; i++) {
			uint8_t key[8];

			put_be64(key, i * 0x9e3779b97f4a7c15);
			assert_int_equal(map_put(m, SLICE_ARRAY(key), SLICE_ARRAY(key), i), 0);
		}
		assert_int_equal(map_count(m), count);
		map_clear(m);
		assert_int_equal(map_count(m), 0);
		assert_int_equal(map_bytes(m), 0);
		assert_null(map_seek(m, SLICE_EMPTY));
		for (unsigned i = 0; i < count; i++) {
			uint8_t key[8];

			put_be64(key, i * 0x9e3779b97f4a7c15);
			assert_null(map_get(m, SLICE_ARRAY(key)));
		}
	}
}

static void a_value_larger_than_any_chunk_fits(void **state)
{
	AUTO(map_freep) struct map *m = map_new();
	size_t size = 5u << 20;
	AUTO(base_freep) uint8_t *large = malloc(size);

	memset(large, 'x', size);
	put(m, "before", "1", 0);
	assert_int_equal(map_put(m, slice_str("large"), SLICE(large, size), 0), 0);
	put(m, "after", "2", 0);
	assert_true(slice_eq(map_get(m, slice_str("large"))->value, SLICE(large, size)));
	assert_true(is(map_get(m, slice_str("after")), "after", "2"));
}

static void a_failed_allocation_leaves_the_map_as_it_was(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(map_freep) struct map *m = map_new();
		uint8_t big[3000] = { 0 };
		size_t count = 0;

		for (unsigned i = 0; m && i < 700; i++) {
			uint8_t key[4];

			put_be32(key, i * 2654435761u);

			int rc = map_put(m, SLICE_ARRAY(key), SLICE(big, i % sizeof big), i);

			assert_true(rc == 0 || rc == -ENOMEM);
			if (rc < 0)
				assert_null(map_get(m, SLICE_ARRAY(key)));
			else
				count++;
			assert_int_equal(map_count(m), count);
		}
		size_t walked = 0;
		const struct map_entry *e = m ? map_seek(m, SLICE_EMPTY) : NULL, *previous = NULL;

		for (; e; previous = e, e = map_next(m, e), walked++)
			assert_true(!previous || slice_cmp(previous->key, e->key) < 0);
		assert_int_equal(walked, count);
	}
}

static void freeing_nothing_is_allowed(void **state)
{
	struct map *none = NULL;

	map_freep(&none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_got_with_its_tag),
		cmocka_unit_test(overwriting_leaves_old_slices_valid),
		cmocka_unit_test(a_tombstone_is_present_and_says_deleted),
		cmocka_unit_test(entries_come_in_byte_order_a_shorter_prefix_first),
		cmocka_unit_test(zeros_at_the_end_of_a_key_count),
		cmocka_unit_test(seek_finds_the_first_entry_not_before),
		cmocka_unit_test(clearing_empties_and_the_map_is_used_again),
		cmocka_unit_test(a_value_larger_than_any_chunk_fits),
		cmocka_unit_test(a_failed_allocation_leaves_the_map_as_it_was),
		cmocka_unit_test(freeing_nothing_is_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
