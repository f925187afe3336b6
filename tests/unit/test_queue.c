#include <unistd.h>

#include "core/base/queue.h"
#include "tests/support/support.h"

static int item[1000];

static void items_come_out_in_the_order_they_went_in(void **state)
{
	AUTO(queue_freep) struct queue *q = queue_new(3);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 3; i++)
			assert_int_equal(queue_push(q, &item[i]), 0);
		assert_int_equal(queue_count(q), 3);
		for (int i = 0; i < 2; i++)
			assert_ptr_equal(queue_pop(q), &item[i]);
		assert_ptr_equal(queue_try_pop(q), &item[2]);
		assert_null(queue_try_pop(q));
	}
}

static void full_and_empty_are_told_without_waiting(void **state)
{
	AUTO(queue_freep) struct queue *q = queue_new(1);

	assert_null(queue_try_pop(q));
	assert_int_equal(queue_try_push(q, &item[0]), 0);
	assert_int_equal(queue_try_push(q, &item[1]), -EAGAIN);
	assert_int_equal(queue_count(q), 1);
}

static void a_closed_queue_drains_and_takes_no_more(void **state)
{
	AUTO(queue_freep) struct queue *q = queue_new(4);

	assert_int_equal(queue_push(q, &item[0]), 0);
	assert_int_equal(queue_push(q, &item[1]), 0);
	queue_close(q);
	assert_int_equal(queue_push(q, &item[2]), -EPIPE);
	assert_int_equal(queue_try_push(q, &item[2]), -EPIPE);
	assert_ptr_equal(queue_pop(q), &item[0]);
	assert_ptr_equal(queue_pop(q), &item[1]);
	assert_null(queue_pop(q));
	assert_null(queue_pop(q));
}

static void *push_one(void *q)
{
	return (void *)(intptr_t)queue_push(q, &item[9]);
}

static void *pop_one(void *q)
{
	return queue_pop(q);
}

static void closing_wakes_whoever_waits(void **state)
{
	AUTO(queue_freep) struct queue *full = queue_new(1);
	AUTO(queue_freep) struct queue *empty = queue_new(1);
	pthread_t pushing, popping;
	void *pushed, *popped;

	assert_int_equal(queue_push(full, &item[0]), 0);
	assert_int_equal(pthread_create(&pushing, NULL, push_one, full), 0);
	assert_int_equal(pthread_create(&popping, NULL, pop_one, empty), 0);
	usleep(10000);
	queue_close(full);
	queue_close(empty);
	pthread_join(pushing, &pushed);
	pthread_join(popping, &popped);
	assert_int_equal((intptr_t)pushed, -EPIPE);
	assert_null(popped);
	assert_ptr_equal(queue_pop(full), &item[0]);
}

static void a_producer_waits_for_room(void **state)
{
	AUTO(queue_freep) struct queue *q = queue_new(1);
	pthread_t pushing;
	void *pushed;

	assert_int_equal(queue_push(q, &item[0]), 0);
	assert_int_equal(pthread_create(&pushing, NULL, push_one, q), 0);
	usleep(10000);
	assert_ptr_equal(queue_pop(q), &item[0]);
	pthread_join(pushing, &pushed);
	assert_int_equal((intptr_t)pushed, 0);
	assert_ptr_equal(queue_pop(q), &item[9]);
}

#define PRODUCERS 4
#define CONSUMERS 4
#define EACH      20000

struct consumer {
	struct queue *queue;
	uint64_t      sum, count;
};

static void *produce(void *arg)
{
	for (uintptr_t i = 1; i <= EACH; i++)
		if (queue_push(arg, (void *)i) < 0)
			return arg;
	return NULL;
}

static void *consume(void *arg)
{
	struct consumer *c = arg;
	void *p;

	while ((p = queue_pop(c->queue))) {
		c->sum += (uintptr_t)p;
		c->count++;
	}
	return NULL;
}

static void among_many_threads_nothing_is_lost_or_doubled(void **state)
{
	AUTO(queue_freep) struct queue *q = queue_new(7);
	pthread_t producers[PRODUCERS], consumers[CONSUMERS];
	struct consumer c[CONSUMERS] = { 0 };
	uint64_t sum = 0, count = 0;

	for (int i = 0; i < CONSUMERS; i++) {
		c[i].queue = q;
		assert_int_equal(pthread_create(&consumers[i], NULL, consume, &c[i]), 0);
	}
	for (int i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_create(&producers[i], NULL, produce, q), 0);
	for (int i = 0; i < PRODUCERS; i++) {
		void *refused;

		pthread_join(producers[i], &refused);
		assert_null(refused);
	}
	queue_close(q);
	for (int i = 0; i < CONSUMERS; i++) {
		pthread_join(consumers[i], NULL);
		sum += c[i].sum;
		count += c[i].count;
	}
	assert_int_equal(count, PRODUCERS * EACH);
	assert_int_equal(sum, (uint64_t)PRODUCERS * EACH * (EACH + 1) / 2);
}

static void a_queue_without_memory_is_null(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(queue_freep) struct queue *q = queue_new(3);

		assert_true(q || alloc_fault_met());
	}
	assert_null(queue_new(SIZE_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(items_come_out_in_the_order_they_went_in),
		cmocka_unit_test(full_and_empty_are_told_without_waiting),
		cmocka_unit_test(a_closed_queue_drains_and_takes_no_more),
		cmocka_unit_test(closing_wakes_whoever_waits),
		cmocka_unit_test(a_producer_waits_for_room),
		cmocka_unit_test(among_many_threads_nothing_is_lost_or_doubled),
		cmocka_unit_test(a_queue_without_memory_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
