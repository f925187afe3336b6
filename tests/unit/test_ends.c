#include "fs/connection/ends.h"
#include "tests/support/support.h"

static void an_end_is_of_one_folder_and_one_offset(void **state)
{
	AUTO(ends_freep) struct ends *e = ends_new();

	assert_false(ends_has(e, 7, 1, 30));
	ends_add(e, 7, 1, 30);
	assert_true(ends_has(e, 7, 1, 30));
	assert_false(ends_has(e, 7, 1, 29));
	assert_false(ends_has(e, 7, 2, 30));
	assert_false(ends_has(e, 8, 1, 30));
	assert_false(ends_has(e, 0, 0, 0));
}

static void any_number_of_them_is_kept_as_far_as_there_is_room(void **state)
{
	AUTO(ends_freep) struct ends *e = ends_new();
	size_t kept = 0;

	for (uint64_t ino = 1; ino <= 100000; ino++)
		ends_add(e, ino, 1, ino + 2);
	for (uint64_t ino = 1; ino <= 100000; ino++)
		kept += ends_has(e, ino, 1, ino + 2);
	assert_in_range(kept, 1, 16384);
	assert_true(ends_has(e, 100000, 1, 100002));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_end_is_of_one_folder_and_one_offset),
		cmocka_unit_test(any_number_of_them_is_kept_as_far_as_there_is_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
