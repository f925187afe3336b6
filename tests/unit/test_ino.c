#include "fs/connection/ino.h"
#include "tests/support/support.h"

static void what_was_packed_comes_out(void **state)
{
	struct random r = random_of_run();

	for (uint64_t i = rounds(100000); i > 0; i--) {
		bool of_object = random_chance(&r, 50);
		struct ino p = {
			.of_object = of_object,
			.row = (uint8_t)random_u64(&r),
			.place = (uint32_t)(of_object ? 1 + random_below(&r, 127)
						      : random_below(&r, INO_SLOTS)),
			.key = random_u64(&r) >>
			       (64 - (of_object ? NODE_OBJECT_BITS : NODE_KEY_BITS)) >>
			       random_below(&r, 48),
		};
		uint64_t number = ino_pack(p);
		struct ino q = ino_unpack(number);

		assert_true(number > INO_ROOT);
		assert_int_equal(q.of_object, p.of_object);
		assert_int_equal(q.row, p.row);
		assert_int_equal(q.place, p.place);
		assert_int_equal(q.key, p.key);
	}
}

static void the_layout_is_as_written(void **state)
{
	assert_int_equal(ino_pack((struct ino){ true, 5, 1, 1 }), UINT64_C(0x0100000000000105));
	assert_int_equal(ino_pack((struct ino){ false, 5, 0, 0 }), UINT64_C(0x8000000000000005));
	assert_int_equal(ino_pack((struct ino){ true, 255, 127, (UINT64_C(1) << 48) - 1 }),
			 INT64_MAX);
	assert_int_equal(
		ino_pack((struct ino){ false, 255, INO_SLOTS - 1, (UINT64_C(1) << 37) - 1 }),
		UINT64_MAX);
}

static void what_does_not_fit_is_refused(void **state)
{
	assert_int_equal(ino_pack((struct ino){ true, 1, 0, 0 }),
			 0); /* would be the root's number */
	assert_int_equal(ino_pack((struct ino){ true, 1, 128, 0 }), 0);
	assert_int_equal(ino_pack((struct ino){ true, 1, 1, UINT64_C(1) << 48 }), 0);
	assert_int_equal(ino_pack((struct ino){ false, 1, INO_SLOTS, 0 }), 0);
	assert_int_equal(ino_pack((struct ino){ false, 1, 1, UINT64_C(1) << 37 }), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_packed_comes_out),
		cmocka_unit_test(the_layout_is_as_written),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
