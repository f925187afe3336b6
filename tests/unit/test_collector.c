#include "core/store/db.h"
#include "core/store/inside.h"
#include "tests/support/store_fixture.h"

#define SHARD 1u

struct line {
	struct fixture  f;
	struct state   *st;
	struct commit  *c;
};

static void line_open(struct line *l)
{
	fixture_open(&l->f);
	l->st = NULL;
	l->c = NULL;
	assert_int_equal(state_open(l->f.network, SHARD, UINT64_MAX, &l->st, NULL), 0);
	assert_int_equal(commit_new(l->f.network, &l->c), 0);
}

static void line_release(struct line *l)
{
	state_freep(&l->st);
	commit_freep(&l->c);
	fixture_release(&l->f);
}

static void apply(struct line *l)
{
	assert_int_equal(commit_state(l->c, l->st), 0);
	assert_int_equal(commit_apply(l->c, NULL), 0);
}

/* Block `height` puts `value` at `key`, or deletes it. */
static void block(struct line *l, uint64_t height, const char *key, const char *value, bool fresh)
{
	assert_int_equal(state_block_begin(l->st, height), 0);
	assert_int_equal(
		value ? state_put(l->st, SPACE_BOTH, slice_str(key), slice_str(value), fresh)
		      : state_delete(l->st, SPACE_BOTH, slice_str(key), REASON_REMOVED),
		0);
	assert_int_equal(state_block_end(l->st), 0);
	commit_view(l->c)->shards[SHARD].replayed = height;
	apply(l);
}

static int collect(struct line *l, uint64_t horizon, size_t most)
{
	int count = collector_choose(l->f.network, SHARD, horizon, most, l->c, NULL);

	apply(l);
	return count;
}

static size_t count_of(struct line *l, enum family family)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	size_t count = 0;
	int rc;

	assert_int_equal(db_iter_new(l->f.network->db, family, DB_ORDERED, &it), 0);
	for (rc = db_iter_seek(it, SLICE_EMPTY, NULL); rc == 1; rc = db_iter_next(it, NULL))
		count++;
	assert_int_equal(rc, 0);
	return count;
}

static void expect_at(struct line *l, uint64_t height, const char *key, const char *value)
{
	AUTO(state_freep) struct state *st = NULL;
	struct slice got;

	assert_int_equal(state_open(l->f.network, SHARD, height, &st, NULL), 0);
	assert_int_equal(state_get(st, SPACE_BOTH, slice_str(key), &got), value != NULL);
	assert_true(!value || slice_eq(got, slice_str(value)));
}

static void versions_behind_the_horizon_go_and_those_above_stay(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	block(&l, 10, "a", "10", true);
	block(&l, 20, "a", "20", false);
	block(&l, 30, "a", "30", false);
	block(&l, 40, "a", "40", false);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 4);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 3);
	assert_int_equal(collect(&l, 30, 100), 2);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 2);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 1);
	expect_at(&l, 30, "a", "30");
	expect_at(&l, 39, "a", "30");
	expect_at(&l, 40, "a", "40");
	AUTO(view_putp) struct view *v = network_view_get(l.f.network);

	assert_int_equal(v->shards[SHARD].kept_from, 30);
	view_putp(&v);
	assert_int_equal(collect(&l, 39, 100), 0);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 1);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 1);
	expect_at(&l, UINT64_MAX, "a", "40");
}

static size_t first_three(struct slice key)
{
	return MIN(key.n, 3u);
}

static void a_death_whose_key_is_cut_finds_the_rows_that_died_then(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	struct chain_ops ops = *l.f.network->ops;

	ops.key_short = first_three;
	l.f.network->ops = &ops;
	block(&l, 10, "abc1", "10", true);
	block(&l, 11, "abc2", "11", true);
	block(&l, 12, "abc3", "12", true);
	block(&l, 13, "abd", "13", true);
	assert_int_equal(state_block_begin(l.st, 20), 0);
	assert_int_equal(state_put(l.st, SPACE_BOTH, slice_str("abc1"), slice_str("20"), false), 0);
	assert_int_equal(state_delete(l.st, SPACE_BOTH, slice_str("abc2"), REASON_REMOVED), 0);
	assert_int_equal(state_put(l.st, SPACE_BOTH, slice_str("abc4"), slice_str("20"), true), 0);
	assert_int_equal(state_block_end(l.st), 0);
	commit_view(l.c)->shards[SHARD].replayed = 20;
	apply(&l);
	block(&l, 30, "abc3", "30", false);
	block(&l, 31, "abd", "31", false);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 9);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 3);
	assert_int_equal(collect(&l, 20, 100), 1); /* the two are cut alike */
	assert_int_equal(count_of(&l, FAMILY_ROWS), 6);
	expect_at(&l, 20, "abc1", "20");
	expect_at(&l, 20, "abc2", NULL);
	expect_at(&l, 29, "abc3", "12");
	expect_at(&l, 29, "abc4", "20");
	expect_at(&l, 30, "abd", "13");
	assert_int_equal(collect(&l, UINT64_MAX, 100), 2);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 4);
	expect_at(&l, 31, "abc3", "30");
	expect_at(&l, 31, "abd", "31");
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 0);
}

static void a_tombstone_goes_with_what_it_buried(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	block(&l, 10, "a", "10", true);
	block(&l, 20, "a", NULL, false);
	assert_int_equal(collect(&l, 19, 100), 0);
	expect_at(&l, 19, "a", "10");
	assert_int_equal(collect(&l, 20, 100), 1);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 0);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 0);
	block(&l, 30, "a", "again", true);
	expect_at(&l, 29, "a", NULL);
	expect_at(&l, 30, "a", "again");
}

static void few_at_a_time_is_the_same_in_the_end(void **state)
{
	AUTO(line_release) struct line l;
	char value[16];
	int total = 0, count;

	line_open(&l);
	for (uint64_t h = 1; h <= 60; h++) {
		snprintf(value, sizeof value, "%" PRIu64, h);
		block(&l, h, h % 2 ? "odd" : "even", h % 10 ? value : NULL, false);
	}
	while ((count = collect(&l, 55, 7)) > 0) {
		AUTO(view_putp) struct view *v = network_view_get(l.f.network);

		total += count;
		for (uint64_t h = v->shards[SHARD].kept_from; h <= 60; h++) {
			uint64_t even = h & ~1ull;

			snprintf(value, sizeof value, "%" PRIu64, even);
			expect_at(&l, h, "even", even % 10 ? value : NULL);
		}
	}
	assert_int_equal(
		total,
		55 - 7); /* two first writes and five behind a tombstone found nothing older */
}

static void what_nobody_wrote_again_has_no_death(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	block(&l, 1, "a", "1", true);
	block(&l, 2, "b", "1", true);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 0);
	/* Not promised, but so: the state asks. */
	block(&l, 3, "c", "1", false);
	block(&l, 4, "d", NULL, false);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 3);
	assert_int_equal(count_of(&l, FAMILY_DEATHS), 0);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 0);
}

static void a_pin_holds_the_horizon_back(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	for (uint64_t h = 10; h <= 50; h += 10)
		block(&l, h, "a", "v", false);
	assert_int_equal(network_pin(l.f.network, SHARD, 25), 0);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 1);
	expect_at(&l, 25, "a", "v");
	network_unpin(l.f.network, SHARD, 25);
	assert_int_equal(network_pin(l.f.network, SHARD, 20), 0);
	network_unpin(l.f.network, SHARD, 20);
	assert_int_equal(network_pin(l.f.network, SHARD, 19), -ESTALE);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 3);
	assert_int_equal(network_pin(l.f.network, SHARD, 49), -ESTALE);
	/* A new process is told the same. */
	state_freep(&l.st);
	commit_freep(&l.c);
	fixture_reopen(&l.f);
	assert_int_equal(network_pin(l.f.network, SHARD, 49), -ESTALE);
	assert_int_equal(network_pin(l.f.network, SHARD, 50), 0);
	network_unpin(l.f.network, SHARD, 50);
	assert_int_equal(commit_new(l.f.network, &l.c), 0);
	assert_int_equal(state_open(l.f.network, SHARD, UINT64_MAX, &l.st, NULL), 0);
}

static void a_view_that_is_held_holds_the_horizon_back(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	block(&l, 10, "a", "10", false);
	block(&l, 20, "a", "20", false);
	AUTO(view_putp) struct view *v = network_view_get(l.f.network);

	block(&l, 30, "a", "30", false);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 1);
	expect_at(&l, 20, "a", "20");
	view_putp(&v);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 1);
}

static void a_line_that_was_left_holds_the_horizon_back_while_it_is_read(void **state)
{
	AUTO(line_release) struct line l;
	uint64_t heights[SHARD_MAX] = { 15, 15, 15 };
	uint32_t branch;

	line_open(&l);
	block(&l, 10, "a", "10", false);
	block(&l, 20, "a", "20", false);
	AUTO(view_putp) struct view *left = network_view_get(l.f.network);
	AUTO(buf_release) struct buf saved = BUF_INIT(1u << 20);

	assert_int_equal(network_view_save(left, &saved), 0);
	assert_int_equal(commit_branch_open(l.c, 0, heights, &branch), 0);
	commit_view(l.c)->shards[SHARD].replayed = 15;
	apply(&l);
	state_freep(&l.st);
	assert_int_equal(state_open(l.f.network, SHARD, UINT64_MAX, &l.st, NULL), 0);
	expect_at(&l, UINT64_MAX, "a", "10");
	block(&l, 18, "a", "18", false);
	block(&l, 30, "a", "30", false);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 0);
	expect_at(&l, 17, "a", "10");
	AUTO(state_freep) struct state *old = NULL;
	struct slice value;

	assert_int_equal(state_open_at(l.f.network, 0, SHARD, 25, &old, NULL), 0);
	assert_int_equal(state_get(old, SPACE_BOTH, slice_str("a"), &value), 1);
	assert_true(slice_eq(value, slice_str("20")));
	state_freep(&old);
	view_putp(&left);
	/* As a later process would have it again; nobody reads it yet. */
	assert_int_equal(network_view_restore(l.f.network, buf_slice(&saved), &left), 0);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 0);
	view_putp(&left);
	assert_int_equal(collect(&l, UINT64_MAX, 100), 3);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 1);
	expect_at(&l, UINT64_MAX, "a", "30");
	assert_int_equal(network_view_restore(l.f.network, buf_slice(&saved), &left), -ESTALE);
	assert_int_equal(commit_branch_open(l.c, branch, heights, &branch), -ESTALE);
	heights[SHARD] = 30;
	assert_int_equal(commit_branch_open(l.c, 77, heights, &branch), -EINVAL);
}

static void shards_are_collected_apart(void **state)
{
	AUTO(line_release) struct line l;

	line_open(&l);
	block(&l, 10, "a", "10", false);
	block(&l, 20, "a", "20", false);
	assert_int_equal(collector_choose(l.f.network, 2, UINT64_MAX, 100, l.c, NULL), 0);
	assert_int_equal(collector_choose(l.f.network, 0, UINT64_MAX, 100, l.c, NULL), 0);
	assert_int_equal(collector_choose(l.f.network, SHARD_MAX, UINT64_MAX, 100, l.c, NULL),
			 -EINVAL);
	apply(&l);
	assert_int_equal(count_of(&l, FAMILY_ROWS), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(versions_behind_the_horizon_go_and_those_above_stay),
		cmocka_unit_test(a_tombstone_goes_with_what_it_buried),
		cmocka_unit_test(few_at_a_time_is_the_same_in_the_end),
		cmocka_unit_test(a_death_whose_key_is_cut_finds_the_rows_that_died_then),
		cmocka_unit_test(what_nobody_wrote_again_has_no_death),
		cmocka_unit_test(a_pin_holds_the_horizon_back),
		cmocka_unit_test(a_view_that_is_held_holds_the_horizon_back),
		cmocka_unit_test(a_line_that_was_left_holds_the_horizon_back_while_it_is_read),
		cmocka_unit_test(shards_are_collected_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
