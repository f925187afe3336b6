#include "proto/arena.h"

#include "tests/support/support.h"

static void memory_is_aligned_and_apart(void **state)
{
	AUTO(arena_freep) struct arena *a = arena_new(1 << 20);
	uint8_t *before = NULL;

	assert_non_null(a);
	for (size_t size = 0; size < 300; size++) {
		uint8_t *p = arena_zalloc(a, 1, size);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		assert_true(p != before);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, size);
		before = p;
	}
}

static void the_bound_is_not_passed(void **state)
{
	AUTO(arena_freep) struct arena *a = arena_new(10000);

	assert_non_null(a);
	assert_null(arena_alloc(a, 10001));
	assert_true(arena_full(a));
	assert_int_equal(arena_used(a), 0);
	for (size_t given = 0; arena_alloc(a, 160); given += 160)
		assert_in_range(arena_used(a), given, 10000);
	assert_int_equal(arena_used(a), 9920);
	assert_non_null(arena_alloc(a, 80));
	assert_null(arena_alloc(a, 1));
}

static void a_size_that_overflows_is_over_the_bound(void **state)
{
	AUTO(arena_freep) struct arena *a = arena_new(SIZE_MAX);

	assert_non_null(a);
	assert_null(arena_alloc(a, SIZE_MAX));
	assert_null(arena_alloc(a, SIZE_MAX - 8));
	assert_null(arena_zalloc(a, SIZE_MAX / 2, 3));
	assert_true(arena_full(a));
}

static void it_serves_protobuf_c(void **state)
{
	AUTO(arena_freep) struct arena *a = arena_new(1000);

	assert_non_null(a);
	ProtobufCAllocator *allocator = arena_allocator(a);
	void *p = allocator->alloc(allocator->allocator_data, 500);

	assert_non_null(p);
	allocator->free(allocator->allocator_data, p);
	assert_null(allocator->alloc(allocator->allocator_data, 600));
}

static void want_of_memory_is_not_the_bound(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(arena_freep) struct arena *a = arena_new(1 << 20);
		void *p = a ? arena_alloc(a, 9000) : NULL;

		assert_true(p || !a || !arena_full(a));
		assert_true(p || !a || arena_used(a) == 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_and_apart),
		cmocka_unit_test(the_bound_is_not_passed),
		cmocka_unit_test(a_size_that_overflows_is_over_the_bound),
		cmocka_unit_test(it_serves_protobuf_c),
		cmocka_unit_test(want_of_memory_is_not_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
