#include "core/base/base.h"
#include "tests/support/support.h"

static void a_list_grows_and_keeps_what_it_has(void **state)
{
	AUTO(base_freep) uint32_t *list = NULL;
	size_t cap = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		assert_int_equal(base_grow(&list, &cap, i + 1, sizeof *list), 0);
		list[i] = i;
	}
	assert_true(cap >= 1000 && cap < 2048);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(list[i], i);
	assert_int_equal(base_grow(&list, &cap, 5000, sizeof *list), 0);
	assert_true(cap >= 5000);
	assert_int_equal(list[999], 999);
}

static void a_list_that_cannot_grow_stays_as_it_is(void **state)
{
	AUTO(base_freep) uint32_t *list = NULL;
	size_t cap = 0;

	assert_int_equal(base_grow(&list, &cap, 1, sizeof *list), 0);
	const uint32_t *before = list;
	size_t cap_before = cap;

	assert_int_equal(base_grow(&list, &cap, SIZE_MAX / 2, sizeof *list), -ENOMEM);
	assert_ptr_equal(list, before);
	assert_int_equal(cap, cap_before);
	FOR_EACH_ALLOC_FAULT {
		AUTO(base_freep) void *other = NULL;
		size_t other_cap = 0;
		int rc = base_grow(&other, &other_cap, 3, 8);

		assert_true(rc == 0 ? other && other_cap >= 3
				    : rc == -ENOMEM && !other && !other_cap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_grows_and_keeps_what_it_has),
		cmocka_unit_test(a_list_that_cannot_grow_stays_as_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
