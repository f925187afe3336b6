/* Whatever the order of adds, removals and faults, gaps match a bitmap. */
#include "core/sync/gaps.h"
#include "tests/support/support.h"

#define HEIGHTS 300

struct model {
	bool     held[HEIGHTS];
	uint32_t tries[HEIGHTS]; /* 0: no fault */
};

static void check(const struct gaps *g, const struct model *m)
{
	uint64_t count = 0;

	for (uint64_t h = 0; h < HEIGHTS; h++) {
		assert_int_equal(gaps_has(g, h), m->held[h]);
		count += m->held[h];
	}
	assert_int_equal(gaps_held(g), count);
	for (size_t i = 0; i < g->held_count; i++) {
		assert_true(g->held[i].first < g->held[i].end);
		assert_true(i == 0 || g->held[i - 1].end < g->held[i].first);
	}
}

/* Each missing height lies in exactly one gap, in order, with its own fault or none. */
static void check_gaps(const struct gaps *g, const struct model *m, uint64_t ceiling)
{
	uint64_t cursor = 1, at = 1;
	struct gap gap;

	while (gaps_next(g, ceiling, &cursor, &gap)) {
		for (; at < gap.range.first; at++)
			assert_true(m->held[at]);
		assert_true(gap.range.first == at && gap.range.end > at &&
			    gap.range.end <= ceiling + 1);
		for (; at < gap.range.end; at++) {
			assert_false(m->held[at]);
			assert_int_equal(m->tries[at], gap.fault ? gap.fault->tries : 0);
			assert_true(!gap.fault || gap.fault->height == at);
		}
		/* It is maximal: behind it something is held, faulty, or at the ceiling. */
		assert_true(at > ceiling || m->held[at] || m->tries[at] || gap.fault);
	}
	for (; at <= ceiling; at++)
		assert_true(m->held[at]);
}

static void step(struct gaps *g, struct model *m, struct random *r)
{
	uint64_t first = random_below(r, HEIGHTS), end = first + random_below(r, 30);

	end = MIN(end, HEIGHTS);
	switch (random_below(r, 4)) {
	case 0:
	case 1:
		assert_int_equal(gaps_add(g, (struct range){ first, end }),
				 first < end ? 0 : -EINVAL);
		for (uint64_t h = first; h < end; h++) {
			m->held[h] = true;
			m->tries[h] = 0;
		}
		break;
	case 2:
		assert_int_equal(gaps_remove(g, (struct range){ first, end }),
				 first < end ? 0 : -EINVAL);
		for (uint64_t h = first; h < end; h++)
			m->held[h] = false;
		break;
	default:
		assert_int_equal(gaps_fault(g, first, GAP_REFUSED, "why"),
				 m->held[first] ? -EEXIST : 0);
		m->tries[first] += !m->held[first];
	}
}

static void gaps_match_a_bitmap(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(60); round; round--) {
		AUTO(gaps_release) struct gaps g = GAPS_INIT;
		struct model m = { 0 };

		for (int i = 0; i < 120; i++) {
			AUTO(gaps_release) struct gaps copy = GAPS_INIT, back = GAPS_INIT;
			AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 20);

			step(&g, &m, &r);
			check(&g, &m);
			check_gaps(&g, &m, random_below(&r, HEIGHTS));
			assert_int_equal(gaps_copy(&copy, &g), 0);
			assert_int_equal(gaps_write(&copy, &bytes), 0);
			assert_int_equal(gaps_read(buf_slice(&bytes), &back), 0);
			check(&back, &m);
			check_gaps(&back, &m, HEIGHTS - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_match_a_bitmap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
