#include "core/store/state.h"
#include "tests/support/store_fixture.h"

static struct state *open_state(struct network *n, uint64_t height)
{
	struct state *st = NULL;

	assert_int_equal(state_open(n, 1, height, &st, NULL), 0);
	return st;
}

static void begin(struct state *st, uint64_t height)
{
	assert_int_equal(state_block_begin(st, height), 0);
}

static void end(struct state *st)
{
	assert_int_equal(state_block_end(st), 0);
}

static void put(struct state *st, enum space space, const char *key, const char *value)
{
	assert_int_equal(state_put(st, space, slice_str(key), slice_str(value), false), 0);
}

static void drop(struct state *st, enum space space, const char *key)
{
	assert_int_equal(state_delete(st, space, slice_str(key), REASON_PRUNED), 0);
}

/* NULL: absent. */
static void expect(struct state *st, enum space space, const char *key, const char *value)
{
	struct slice got;

	assert_int_equal(state_get(st, space, slice_str(key), &got), value != NULL);
	assert_true(!value || slice_eq(got, slice_str(value)));
}

static void expect_committed(struct state *st, const char *key, const char *value)
{
	struct slice got;

	assert_int_equal(state_get_committed(st, SPACE_BOTH, slice_str(key), &got), value != NULL);
	assert_true(!value || slice_eq(got, slice_str(value)));
}

/* What a scan gives, as "key=value key=value". */
static void expect_scan(struct state *st, unsigned spaces, const char *prefix, const char *from,
			bool with_block, const char *wanted)
{
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	AUTO(buf_release) struct buf text = BUF_INIT(4096);
	struct slice key, value;
	int rc;

	assert_int_equal(
		state_scan_new(st, spaces, slice_str(prefix), slice_str(from), with_block, &s), 0);
	while ((rc = state_scan_next(s, &key, &value)) == 1) {
		buf_str(&text, text.n ? " " : "");
		buf_add(&text, key);
		buf_str(&text, "=");
		buf_add(&text, value);
	}
	assert_int_equal(rc, 0);
	assert_int_equal(state_scan_next(s, &key, &value), 0);
	buf_u8(&text, '\0');
	assert_string_equal((const char *)text.p, wanted);
}

static void get_sees_the_block_and_committed_does_not(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	expect(st, SPACE_BOTH, "a", "1");
	expect_committed(st, "a", NULL);
	end(st);
	expect_committed(st, "a", "1");
	begin(st, 2);
	drop(st, SPACE_BOTH, "a");
	expect(st, SPACE_BOTH, "a", NULL);
	expect_committed(st, "a", "1");
	put(st, SPACE_BOTH, "a", "2");
	put(st, SPACE_BOTH, "a", "3");
	expect(st, SPACE_BOTH, "a", "3");
	end(st);
	expect(st, SPACE_BOTH, "a", "3");
}

static void the_two_spaces_are_apart(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "both");
	expect(st, SPACE_HYPER, "a", NULL);
	put(st, SPACE_HYPER, "a", "hyper");
	drop(st, SPACE_BOTH, "a");
	expect(st, SPACE_BOTH, "a", NULL);
	expect(st, SPACE_HYPER, "a", "hyper");
	end(st);
}

static void an_aborted_block_never_happened(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	end(st);
	begin(st, 2);
	put(st, SPACE_BOTH, "a", "2");
	put(st, SPACE_BOTH, "b", "2");
	drop(st, SPACE_BOTH, "a");
	state_block_abort(st);
	expect(st, SPACE_BOTH, "a", "1");
	expect(st, SPACE_BOTH, "b", NULL);
	expect_scan(st, SPACES_HYPER, "", "", true, "a=1");
}

static void scans_are_in_key_order_and_hyper_wins(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);

	begin(st, 1);
	put(st, SPACE_BOTH, "k2", "b");
	put(st, SPACE_BOTH, "k1", "b");
	put(st, SPACE_BOTH, "k", "b");
	put(st, SPACE_BOTH, "j", "b");
	put(st, SPACE_BOTH, "l", "b");
	put(st, SPACE_HYPER, "k1", "h");
	put(st, SPACE_HYPER, "k3", "h");
	expect_scan(st, SPACES_HYPER, "k", "", false, "");
	expect_scan(st, SPACES_HYPER, "k", "", true, "k=b k1=h k2=b k3=h");
	end(st);
	expect_scan(st, SPACES_HYPER, "k", "", false, "k=b k1=h k2=b k3=h");
	expect_scan(st, SPACES_HYPER, "k", "11", false, "k2=b k3=h");
	expect_scan(st, SPACES_LEGACY, "k", "", false, "k=b k1=b k2=b");
	expect_scan(st, SPACE_HYPER, "", "", false, "k1=h k3=h");
	begin(st, 2);
	drop(st, SPACE_BOTH, "k2");
	drop(st, SPACE_HYPER, "k1");
	put(st, SPACE_BOTH, "k0", "n");
	expect_scan(st, SPACES_HYPER, "k", "", false, "k=b k1=h k2=b k3=h");
	expect_scan(st, SPACES_HYPER, "k", "", true, "k=b k0=n k1=b k3=h");
	end(st);
}

static void rows_deleted_while_scanned_are_still_scanned(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	struct slice key, value;
	int count = 0;

	begin(st, 1);
	for (char k[3] = "k0"; k[1] <= '9'; k[1]++)
		put(st, SPACE_BOTH, k, "v");
	end(st);
	begin(st, 2);
	assert_int_equal(state_scan_new(st, SPACE_BOTH, slice_str("k"), SLICE_EMPTY, false, &s), 0);
	for (; state_scan_next(s, &key, &value) == 1; count++)
		assert_int_equal(state_delete(st, SPACE_BOTH, key, REASON_PRUNED), 0);
	assert_int_equal(count, 10);
	state_scan_freep(&s);
	end(st);
	expect_scan(st, SPACE_BOTH, "", "", true, "");
}

static void keys_and_values_over_their_bounds_are_refused(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);
	AUTO(base_freep) uint8_t *big = calloc(1, STATE_VALUE_MAX + 1);
	struct slice value;

	begin(st, 1);
	assert_int_equal(
		state_put(st, SPACE_BOTH, slice_str("k"), SLICE(big, STATE_VALUE_MAX + 1), false),
		-EMSGSIZE);
	assert_int_equal(
		state_put(st, SPACE_BOTH, SLICE(big, STATE_KEY_MAX + 1), SLICE_EMPTY, false),
		-EMSGSIZE);
	assert_int_equal(state_delete(st, SPACE_BOTH, SLICE(big, STATE_KEY_MAX + 1), REASON_PRUNED),
			 -EMSGSIZE);
	assert_int_equal(state_get(st, SPACE_BOTH, SLICE(big, STATE_KEY_MAX + 1), &value), 0);
	assert_int_equal(state_put(st, SPACE_BOTH, SLICE_EMPTY, SLICE(big, STATE_VALUE_MAX), false),
			 0);
	end(st);
	assert_int_equal(state_get(st, SPACE_BOTH, SLICE_EMPTY, &value), 1);
	assert_int_equal(value.n, STATE_VALUE_MAX);
}

static void slices_hold_through_the_next_block(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);
	struct slice before, block;

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "one");
	end(st);
	begin(st, 2);
	assert_int_equal(state_get(st, SPACE_BOTH, slice_str("a"), &before), 1);
	put(st, SPACE_BOTH, "a", "two");
	assert_int_equal(state_get(st, SPACE_BOTH, slice_str("a"), &block), 1);
	put(st, SPACE_BOTH, "a", "three");
	end(st);
	begin(st, 3);
	drop(st, SPACE_BOTH, "a");
	end(st);
	assert_true(slice_eq(before, slice_str("one")));
	assert_true(slice_eq(block, slice_str("two")));
}

/* ---- with a store below ---- */

static void apply(struct network *n, struct state *st)
{
	AUTO(commit_freep) struct commit *c = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(commit_new(n, &c), 0);
	assert_int_equal(commit_state(c, st), 0);
	if (commit_apply(c, &err) < 0)
		fail_msg("%s", err.text);
}

static void what_was_committed_is_read_through_and_as_of_any_height(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(state_freep) struct state *st = open_state(f.network, UINT64_MAX);

	begin(st, 10);
	put(st, SPACE_BOTH, "a", "10");
	put(st, SPACE_BOTH, "b", "10");
	end(st);
	begin(st, 11);
	put(st, SPACE_BOTH, "a", "11");
	end(st);
	apply(f.network, st);
	assert_int_equal(state_run_bytes(st), 0);
	begin(st, 12);
	drop(st, SPACE_BOTH, "b");
	put(st, SPACE_HYPER, "b", "kept");
	expect_scan(st, SPACES_HYPER, "", "", false, "a=11 b=10");
	expect_scan(st, SPACES_HYPER, "", "", true, "a=11 b=kept");
	end(st);
	assert_true(state_run_bytes(st) > 0);
	expect_scan(st, SPACES_HYPER, "", "", false, "a=11 b=kept");
	apply(f.network, st);

	static const struct {
		uint64_t height;
		const char *legacy, *hyper;
	} wanted[] = {
		{ 9, "", "" },
		{ 10, "a=10 b=10", "a=10 b=10" },
		{ 11, "a=11 b=10", "a=11 b=10" },
		{ 12, "a=11", "a=11 b=kept" },
		{ UINT64_MAX, "a=11", "a=11 b=kept" },
	};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		AUTO(state_freep) struct state *at = open_state(f.network, wanted[i].height);

		expect_scan(at, SPACES_LEGACY, "", "", false, wanted[i].legacy);
		expect_scan(at, SPACES_HYPER, "", "", false, wanted[i].hyper);
	}
}

static void shards_do_not_see_each_other(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(state_freep) struct state *st = open_state(f.network, UINT64_MAX), *other = NULL;

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	end(st);
	apply(f.network, st);
	assert_int_equal(state_open(f.network, 2, UINT64_MAX, &other, NULL), 0);
	expect(other, SPACE_BOTH, "a", NULL);
	expect_scan(other, SPACES_HYPER, "", "", false, "");
	state_freep(&other);
	assert_int_equal(state_open(f.network, SHARD_MAX, UINT64_MAX, &other, NULL), -EINVAL);
}

static void what_a_dropped_commit_took_is_gone_and_the_state_says_so(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(state_freep) struct state *st = open_state(f.network, UINT64_MAX);
	AUTO(commit_freep) struct commit *c = NULL;
	struct slice value;

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	end(st);
	assert_int_equal(commit_new(f.network, &c), 0);
	assert_int_equal(commit_state(c, st), 0);
	expect(st, SPACE_BOTH, "a", "1");
	commit_freep(&c);
	assert_int_equal(state_get(st, SPACE_BOTH, slice_str("a"), &value), -ESTALE);
	state_freep(&st);
	st = open_state(f.network, UINT64_MAX);
	expect(st, SPACE_BOTH, "a", NULL);
}

static void a_state_may_go_before_the_commit_that_took_from_it(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = NULL;
	struct state *st = open_state(f.network, UINT64_MAX);

	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	end(st);
	assert_int_equal(commit_new(f.network, &c), 0);
	assert_int_equal(commit_state(c, st), 0);
	state_freep(&st);
	assert_int_equal(commit_apply(c, NULL), 0);
	st = open_state(f.network, UINT64_MAX);
	expect(st, SPACE_BOTH, "a", "1");
	state_freep(&st);
}

static void blocks_that_end_between_taking_and_applying_stay_in_the_run(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(state_freep) struct state *st = open_state(f.network, UINT64_MAX);
	AUTO(commit_freep) struct commit *c = NULL;

	assert_int_equal(commit_new(f.network, &c), 0);
	begin(st, 1);
	put(st, SPACE_BOTH, "a", "1");
	put(st, SPACE_BOTH, "b", "1");
	end(st);
	assert_int_equal(commit_state(c, st), 0);
	begin(st, 2);
	put(st, SPACE_BOTH, "a", "2");
	end(st);
	assert_int_equal(commit_apply(c, NULL), 0);
	expect_scan(st, SPACE_BOTH, "", "", false, "a=2 b=1");
	AUTO(state_freep) struct state *stored = open_state(f.network, UINT64_MAX);

	expect_scan(stored, SPACE_BOTH, "", "", false, "a=1 b=1");
	assert_int_equal(commit_state(c, st), 0);
	assert_int_equal(commit_apply(c, NULL), 0);
	/* A scan reads the store as it is now; what a state got once it may answer from memory. */
	expect_scan(stored, SPACE_BOTH, "", "", false, "a=2 b=1");
}

static void memory_of_rows_that_were_only_read_is_bounded(void **unused)
{
	AUTO(state_freep) struct state *st = open_state(NULL, UINT64_MAX);
	struct slice value;

	for (uint64_t block = 1; block <= 30; block++) {
		begin(st, block);
		for (uint64_t i = 0; i < 40000; i++) {
			uint64_t key[2] = { block, i };

			assert_int_equal(state_get(st, SPACE_BOTH, SLICE_ARRAY(key), &value), 0);
		}
		end(st);
	}
	assert_true(state_memory(st) < 128u << 20);
}

static void who_has_a_small_cache_keeps_few_rows_that_were_only_read(void **unused)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f); /* with a cache of 8 MiB */
	AUTO(state_freep) struct state *st = open_state(f.network, UINT64_MAX);
	struct slice value;

	assert_int_equal(state_rows_max(st), 2u << 20);
	for (uint64_t block = 1; block <= 200; block++) {
		begin(st, block);
		for (uint64_t i = 0; i < 1000; i++) {
			uint64_t key[2] = { block, i };

			assert_int_equal(state_get(st, SPACE_BOTH, SLICE_ARRAY(key), &value), 0);
		}
		end(st);
	}
	assert_true(state_memory(st) < 4u << 20);
}

static void without_memory_a_block_can_be_aborted_and_tried_again(void **unused)
{
	FOR_EACH_ALLOC_FAULT {
		struct state *st = NULL;
		int rc = state_open(NULL, 1, UINT64_MAX, &st, NULL);

		if (rc == 0)
			begin(st, 1);
		for (int i = 0; rc == 0 && i < 20; i++) {
			char key[4] = { 'k', (char)('a' + i), 0 };

			rc = state_put(st, SPACE_BOTH, slice_str(key), slice_str("v"), true);
		}
		if (rc == 0)
			rc = state_block_end(st);
		else if (st)
			state_block_abort(st);
		assert_true(rc == 0 || rc == -ENOMEM);
		state_freep(&st);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_sees_the_block_and_committed_does_not),
		cmocka_unit_test(the_two_spaces_are_apart),
		cmocka_unit_test(an_aborted_block_never_happened),
		cmocka_unit_test(scans_are_in_key_order_and_hyper_wins),
		cmocka_unit_test(rows_deleted_while_scanned_are_still_scanned),
		cmocka_unit_test(keys_and_values_over_their_bounds_are_refused),
		cmocka_unit_test(slices_hold_through_the_next_block),
		cmocka_unit_test(what_was_committed_is_read_through_and_as_of_any_height),
		cmocka_unit_test(shards_do_not_see_each_other),
		cmocka_unit_test(what_a_dropped_commit_took_is_gone_and_the_state_says_so),
		cmocka_unit_test(a_state_may_go_before_the_commit_that_took_from_it),
		cmocka_unit_test(blocks_that_end_between_taking_and_applying_stay_in_the_run),
		cmocka_unit_test(memory_of_rows_that_were_only_read_is_bounded),
		cmocka_unit_test(who_has_a_small_cache_keeps_few_rows_that_were_only_read),
		cmocka_unit_test(without_memory_a_block_can_be_aborted_and_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
