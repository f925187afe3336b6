#include "core/sync/score.h"
#include "tests/support/support.h"

static struct score failed(unsigned times, enum fault_kind kind, uint64_t *now_ms)
{
	struct score s;

	score_init(&s, *now_ms);
	for (unsigned i = 0; i < times; i++) {
		*now_ms = MAX(*now_ms, s.open_until_ms);
		score_fault(&s, kind, "a reason", *now_ms);
	}
	return s;
}

static void who_could_not_be_reached_is_tried_as_soon_as_it_can(void **state)
{
	uint64_t now = 1000;
	struct score s = failed(6, FAULT_BROKEN, &now);

	assert_int_equal(score_circuit(&s, now + 1000), CIRCUIT_OPEN);
	score_reached(&s, now + 1000);
	assert_int_equal(score_circuit(&s, now + 1000), CIRCUIT_HALF_OPEN);
	assert_true(score_usable(&s, now + 1000));
	score_asked(&s, now + 1000);
	assert_false(score_usable(&s, now + 1000));
	/* It counts on: what fails then rests as long as it would have. */
	score_fault(&s, FAULT_TIMEOUT, "again", now + 2000);
	assert_int_equal(score_wakes_ms(&s, now + 2000), now + 2000 + 64 * SCORE_OPEN_MIN_MS);
}

static void who_broke_its_protocol_rests_although_it_connects(void **state)
{
	uint64_t now = 1000;
	struct score s = failed(3, FAULT_PROTOCOL, &now);

	score_fault(&s, FAULT_BROKEN, "gone", now = s.open_until_ms);
	score_reached(&s, now + 1);
	assert_int_equal(score_circuit(&s, now + 1), CIRCUIT_OPEN);
	score_answered(&s, now = s.open_until_ms);
	assert_int_equal(score_circuit(&s, now), CIRCUIT_CLOSED);
	/* All is forgotten by then. */
	score_fault(&s, FAULT_BROKEN, "gone", now);
	score_reached(&s, now + 1);
	assert_int_equal(score_circuit(&s, now + 1), CIRCUIT_HALF_OPEN);
}

static void a_ban_outlasts_connections(void **state)
{
	uint64_t now = 1000;
	struct score s = failed(1, FAULT_LIE, &now);

	score_reached(&s, now + 1);
	assert_int_equal(score_circuit(&s, now + 1), CIRCUIT_BANNED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_could_not_be_reached_is_tried_as_soon_as_it_can),
		cmocka_unit_test(who_broke_its_protocol_rests_although_it_connects),
		cmocka_unit_test(a_ban_outlasts_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
