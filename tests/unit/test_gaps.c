#include "core/sync/gaps.h"
#include "tests/support/support.h"

static void add(struct gaps *g, uint64_t first, uint64_t end)
{
	assert_int_equal(gaps_add(g, (struct range){ first, end }), 0);
}

static void take(struct gaps *g, uint64_t first, uint64_t end)
{
	assert_int_equal(gaps_remove(g, (struct range){ first, end }), 0);
}

static void expect_held(const struct gaps *g, size_t count, const struct range *held)
{
	assert_int_equal(g->held_count, count);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(g->held[i].first, held[i].first);
		assert_int_equal(g->held[i].end, held[i].end);
	}
}

#define EXPECT_HELD(g, ...)                                                                    \
	expect_held(g, sizeof((struct range[]){ __VA_ARGS__ }) / sizeof(struct range),         \
		    (struct range[]){ __VA_ARGS__ })

static void ranges_that_touch_or_overlap_become_one(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	add(&g, 10, 20);
	add(&g, 30, 40);
	EXPECT_HELD(&g, { 10, 20 }, { 30, 40 });
	add(&g, 20, 25);
	EXPECT_HELD(&g, { 10, 25 }, { 30, 40 });
	add(&g, 25, 30);
	EXPECT_HELD(&g, { 10, 40 });
	add(&g, 5, 100);
	EXPECT_HELD(&g, { 5, 100 });
	add(&g, 7, 9);
	EXPECT_HELD(&g, { 5, 100 });
	add(&g, 0, 1);
	EXPECT_HELD(&g, { 0, 1 }, { 5, 100 });
	assert_int_equal(gaps_held(&g), 96);
}

static void removing_splits_a_range(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	add(&g, 10, 20);
	add(&g, 30, 40);
	take(&g, 12, 13);
	EXPECT_HELD(&g, { 10, 12 }, { 13, 20 }, { 30, 40 });
	take(&g, 15, 35);
	EXPECT_HELD(&g, { 10, 12 }, { 13, 15 }, { 35, 40 });
	take(&g, 50, 60);
	take(&g, 0, 100);
	assert_int_equal(g.held_count, 0);
}

static void an_empty_range_is_refused(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	assert_int_equal(gaps_add(&g, (struct range){ 5, 5 }), -EINVAL);
	assert_int_equal(gaps_remove(&g, (struct range){ 6, 5 }), -EINVAL);
}

static void the_highest_heights_have_no_overflow(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	uint64_t cursor = 1;
	struct gap gap;

	add(&g, UINT64_MAX - 1, UINT64_MAX);
	assert_true(gaps_has(&g, UINT64_MAX - 1));
	assert_true(gaps_next(&g, UINT64_MAX, &cursor, &gap));
	assert_int_equal(gap.range.end, UINT64_MAX - 1);
	assert_false(gaps_next(&g, UINT64_MAX, &cursor, &gap));
}

static void gaps_end_at_the_ceiling_and_begin_at_one(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	uint64_t cursor = 1;
	struct gap gap;

	assert_false(gaps_next(&g, 0, &cursor, &gap));
	assert_true(gaps_next(&g, 5, &cursor, &gap));
	assert_int_equal(gap.range.first, 1);
	assert_int_equal(gap.range.end, 6);
	assert_null(gap.fault);
	assert_false(gaps_next(&g, 5, &cursor, &gap));
	add(&g, 1, 6);
	cursor = 1;
	assert_false(gaps_next(&g, 5, &cursor, &gap));
}

static void a_fault_splits_the_gap_around_it_and_says_why(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	uint64_t cursor = 1;
	struct gap gap;

	add(&g, 1, 10);
	assert_int_equal(gaps_fault(&g, 15, GAP_REFUSED, "header: hash differs"), 0);
	assert_true(gaps_next(&g, 20, &cursor, &gap));
	assert_int_equal(gap.range.first, 10);
	assert_int_equal(gap.range.end, 15);
	assert_null(gap.fault);
	assert_true(gaps_next(&g, 20, &cursor, &gap));
	assert_int_equal(gap.range.first, 15);
	assert_int_equal(gap.range.end, 16);
	assert_string_equal(gap.fault->error, "header: hash differs");
	assert_int_equal(gap.fault->reason, GAP_REFUSED);
	assert_true(gaps_next(&g, 20, &cursor, &gap));
	assert_int_equal(gap.range.first, 16);
	assert_int_equal(gap.range.end, 21);
	assert_false(gaps_next(&g, 20, &cursor, &gap));
}

static void a_second_fault_of_a_height_counts_a_try(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	assert_int_equal(gaps_fault(&g, 15, GAP_REFUSED, "first"), 0);
	assert_int_equal(gaps_fault(&g, 15, GAP_STATE, "second"), 0);
	assert_int_equal(g.fault_count, 1);
	assert_int_equal(g.faults[0].tries, 2);
	assert_int_equal(g.faults[0].reason, GAP_STATE);
	assert_string_equal(g.faults[0].error, "second");
}

static void what_arrives_clears_its_fault(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	for (uint64_t h = 10; h < 20; h++)
		assert_int_equal(gaps_fault(&g, h, GAP_REFUSED, NULL), 0);
	add(&g, 12, 15);
	assert_int_equal(g.fault_count, 7);
	assert_int_equal(g.faults[2].height, 15);
}

static void a_bad_copy_takes_nothing_from_a_height_that_is_held(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;

	add(&g, 10, 20);
	assert_int_equal(gaps_fault(&g, 12, GAP_REFUSED, "again"), -EEXIST);
	assert_true(gaps_has(&g, 12));
	take(&g, 12, 13);
	assert_int_equal(gaps_fault(&g, 12, GAP_DAMAGED, "checksum"), 0);
}

static void a_long_error_is_cut(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	char text[400];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	assert_int_equal(gaps_fault(&g, 1, GAP_REFUSED, text), 0);
	assert_int_equal(strlen(g.faults[0].error), REASON_SIZE - 1);
}

static void fill(struct gaps *g)
{
	add(g, 0, 3);
	add(g, 10, 20);
	add(g, 1000000, 2000000);
	assert_int_equal(gaps_fault(g, 5, GAP_REFUSED, "a sentence"), 0);
	assert_int_equal(gaps_fault(g, 3000000, GAP_STATE, ""), 0);
	g->faults[0].next_try = 1790000000;
}

static void bytes_come_back_as_they_were(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT, back = GAPS_INIT;
	AUTO(buf_release) struct buf out = BUF_INIT(4096), again = BUF_INIT(4096);

	fill(&g);
	assert_int_equal(gaps_write(&g, &out), 0);
	assert_int_equal(gaps_read(buf_slice(&out), &back), 0);
	assert_int_equal(back.faults[0].next_try, 1790000000);
	assert_string_equal(back.faults[0].error, "a sentence");
	assert_int_equal(gaps_write(&back, &again), 0);
	assert_true(slice_eq(buf_slice(&out), buf_slice(&again)));
}

static void cut_or_changed_bytes_never_give_contradictions(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	AUTO(buf_release) struct buf out = BUF_INIT(4096);

	fill(&g);
	assert_int_equal(gaps_write(&g, &out), 0);
	for (size_t n = 0; n < out.n; n++) {
		AUTO(gaps_release) struct gaps cut = GAPS_INIT;

		assert_int_equal(gaps_read(SLICE(out.p, n), &cut), -EBADMSG);
	}
	for (size_t bit = 0; bit < out.n * 8; bit++) {
		AUTO(gaps_release) struct gaps odd = GAPS_INIT;

		out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (gaps_read(buf_slice(&out), &odd) == 0)
			for (size_t i = 0; i < odd.held_count; i++) {
				assert_true(odd.held[i].first < odd.held[i].end);
				assert_true(i == 0 || odd.held[i - 1].end < odd.held[i].first);
			}
		out.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void without_memory_nothing_has_changed(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(gaps_release) struct gaps g = GAPS_INIT, copy = GAPS_INIT;
		int rc = gaps_add(&g, (struct range){ 10, 20 });

		assert_true(rc == 0 || (rc == -ENOMEM && g.held_count == 0));
		rc = gaps_fault(&g, 5, GAP_REFUSED, "why");
		assert_true(rc == 0 || (rc == -ENOMEM && g.fault_count == 0));
		rc = gaps_copy(&copy, &g);
		assert_true(rc == 0 || (rc == -ENOMEM && copy.held_count == 0));
	}
}

static void expect_gap(const struct gaps *g, uint64_t ceiling, uint64_t *cursor, struct range r,
		       int reason)
{
	struct gap gap;

	assert_true(gaps_next(g, ceiling, cursor, &gap));
	assert_int_equal(gap.range.first, r.first);
	assert_int_equal(gap.range.end, r.end);
	assert_int_equal(gap.fault ? gap.fault->reason : GAP_NOT_FETCHED, reason);
}

static void a_rollback_is_one_reason_for_many_heights(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	AUTO(gaps_release) struct gaps again = GAPS_INIT;
	AUTO(buf_release) struct buf bytes = BUF_INIT(1 << 16);
	uint64_t cursor = 1;

	add(&g, 1, 50);
	add(&g, 60, 100);
	assert_int_equal(gaps_fault(&g, 55, GAP_REFUSED, "bad"), 0);
	assert_int_equal(gaps_fault(&g, 5, GAP_REFUSED, "bad"), -EEXIST);
	assert_int_equal(gaps_roll_back(&g, 21, 120, "ordered"), 0);
	EXPECT_HELD(&g, { 1, 21 });
	expect_gap(&g, 130, &cursor, (struct range){ 21, 121 }, GAP_ROLLED_BACK);
	expect_gap(&g, 130, &cursor, (struct range){ 121, 131 }, GAP_NOT_FETCHED);

	/* One that comes and is refused has a reason of its own. */
	assert_int_equal(gaps_fault(&g, 30, GAP_STATE, "root"), 0);
	cursor = 1;
	expect_gap(&g, 120, &cursor, (struct range){ 21, 30 }, GAP_ROLLED_BACK);
	expect_gap(&g, 120, &cursor, (struct range){ 30, 31 }, GAP_STATE);
	expect_gap(&g, 120, &cursor, (struct range){ 31, 121 }, GAP_ROLLED_BACK);

	assert_int_equal(gaps_write(&g, &bytes), 0);
	assert_int_equal(gaps_read(buf_slice(&bytes), &again), 0);
	cursor = 31;
	expect_gap(&again, 120, &cursor, (struct range){ 31, 121 }, GAP_ROLLED_BACK);
	for (size_t cut = 0; cut < bytes.n; cut++) {
		AUTO(gaps_release) struct gaps torn = GAPS_INIT;

		assert_int_equal(gaps_read(SLICE(bytes.p, cut), &torn), -EBADMSG);
	}

	/* It shrinks from both ends, and is forgotten when all came again. */
	add(&g, 21, 60);
	add(&g, 100, 121);
	cursor = 1;
	expect_gap(&g, 130, &cursor, (struct range){ 60, 100 }, GAP_ROLLED_BACK);
	expect_gap(&g, 130, &cursor, (struct range){ 121, 131 }, GAP_NOT_FETCHED);
	add(&g, 60, 100);
	assert_int_equal(g.rolled_end, 0);
	buf_clear(&bytes);
	assert_int_equal(gaps_write(&g, &bytes), 0);
	assert_int_equal(bytes.p[0], 1); /* what older programs read */

	assert_int_equal(gaps_roll_back(&g, 0, 5, ""), -EINVAL);
	assert_int_equal(gaps_roll_back(&g, 6, 5, ""), -EINVAL);
}

static void an_earlier_rollback_that_is_still_missing_is_part_of_the_next(void **state)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	uint64_t cursor = 1;

	add(&g, 1, 100);
	assert_int_equal(gaps_roll_back(&g, 50, 99, "first"), 0);
	add(&g, 60, 80);
	assert_int_equal(gaps_roll_back(&g, 70, 99, "second"), 0);
	expect_gap(&g, 99, &cursor, (struct range){ 50, 60 }, GAP_ROLLED_BACK);
	expect_gap(&g, 99, &cursor, (struct range){ 70, 100 }, GAP_ROLLED_BACK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rollback_is_one_reason_for_many_heights),
		cmocka_unit_test(an_earlier_rollback_that_is_still_missing_is_part_of_the_next),
		cmocka_unit_test(ranges_that_touch_or_overlap_become_one),
		cmocka_unit_test(removing_splits_a_range),
		cmocka_unit_test(an_empty_range_is_refused),
		cmocka_unit_test(the_highest_heights_have_no_overflow),
		cmocka_unit_test(gaps_end_at_the_ceiling_and_begin_at_one),
		cmocka_unit_test(a_fault_splits_the_gap_around_it_and_says_why),
		cmocka_unit_test(a_second_fault_of_a_height_counts_a_try),
		cmocka_unit_test(what_arrives_clears_its_fault),
		cmocka_unit_test(a_bad_copy_takes_nothing_from_a_height_that_is_held),
		cmocka_unit_test(a_long_error_is_cut),
		cmocka_unit_test(bytes_come_back_as_they_were),
		cmocka_unit_test(cut_or_changed_bytes_never_give_contradictions),
		cmocka_unit_test(without_memory_nothing_has_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
