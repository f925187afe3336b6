/* The pipeline: urgent jobs go before the others, in the check and to who takes them, and have room
 * of their own. */
#include "core/ingest/pipeline.h"

#include <limits.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/support/support.h"

static sem_t go, checked;
static uint64_t order[8];
static size_t order_count;

/* The check of a job that has one byte: its number. The first one of all waits until the test goes
 * on. */
static int split(struct slice received, bool main_shard, struct buf *canonical,
		 struct buf *certificate, struct err *err)
{
	if (order_count == 0)
		sem_wait(&go);
	if (order_count < ARRAY_LEN(order))
		order[order_count++] = received.p[0];
	sem_post(&checked);
	return -EBADMSG;
}

static const struct chain_ops ops = { .kind = "test", .split = split };

static struct job *job_of(uint8_t number, bool urgent)
{
	struct job *j = calloc(1, sizeof *j);

	assert_non_null(j);
	j->urgent = urgent;
	j->tag = number;
	j->received = (struct buf)BUF_INIT(16);
	buf_add(&j->received, SLICE(&number, 1));
	assert_int_equal(buf_done(&j->received), 0);
	return j;
}

static uint64_t take(struct pipeline *p)
{
	bool closed;
	AUTO(job_freep) struct job *j = pipeline_take(p, 10000, &closed);

	assert_non_null(j);
	assert_int_equal(j->rc, -EBADMSG);
	return j->tag;
}

static void urgent_jobs_are_checked_and_taken_before_those_that_waited_longer(void **state)
{
	AUTO(pipeline_freep) struct pipeline *p = NULL;

	order_count = 0;
	sem_init(&go, 0, 0);
	sem_init(&checked, 0, 0);
	assert_int_equal(pipeline_new(&ops, NULL, 1, &p), 0);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(pipeline_put(p, job_of(i, false)), 0);
	assert_int_equal(pipeline_try_put(p, job_of(4, true)), 0);
	assert_int_equal(pipeline_try_put(p, job_of(5, true)), 0);
	sem_post(&go);
	for (int i = 0; i < 5; i++)
		sem_wait(&checked);
	/* The checker may have been at the first one, or not begun yet. */
	size_t at = order[0] == 1;

	assert_int_equal(order[at], 4);
	assert_int_equal(order[at + 1], 5);
	assert_int_equal(order[4], 3);
	static const uint64_t taken[] = { 4, 5, 1, 2, 3 };

	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		assert_int_equal(take(p), taken[i]);
}

static void what_is_usual_never_takes_the_room_of_what_is_urgent(void **state)
{
	AUTO(pipeline_freep) struct pipeline *p = NULL;
	struct job *none = job_of(9, false);
	int rc = 0;

	order_count = 0;
	sem_init(&go, 0, 0);
	sem_init(&checked, 0, 0);
	assert_int_equal(pipeline_new(&ops, NULL, 1, &p), 0);
	for (unsigned i = 0; i < 4096 && rc == 0; i++) {
		struct job *j = job_of(1, false);

		rc = pipeline_try_put(p, j);
		if (rc < 0)
			job_freep(&j);
	}
	assert_int_equal(rc, -EAGAIN);
	assert_int_equal(pipeline_try_put(p, none), -EAGAIN);
	none->urgent = true;
	assert_int_equal(pipeline_try_put(p, none), 0);
	sem_post(&go);
	pipeline_close(p);
}

static atomic_int niceness[8]; /* of who checked job i */

/* Usual jobs wait until the test goes on. */
static int split_urgent(struct slice received, bool main_shard, struct buf *canonical,
			struct buf *certificate, struct err *err)
{
	atomic_store(&niceness[received.p[0]], getpriority(PRIO_PROCESS, (id_t)gettid()));
	if (received.p[0] < 4)
		sem_wait(&go);
	sem_post(&checked);
	return -EBADMSG;
}

static void who_yields_checks_what_is_urgent_while_all_checkers_are_busy(void **state)
{
	static const struct chain_ops ops_urgent = { .kind = "test", .split = split_urgent };
	AUTO(pipeline_freep) struct pipeline *p = NULL;
	int ours = getpriority(PRIO_PROCESS, (id_t)gettid());

	sem_init(&go, 0, 0);
	sem_init(&checked, 0, 0);
	assert_int_equal(pipeline_new(&ops_urgent, NULL, 2, &p), 0);
	assert_int_equal(pipeline_yield(p), 0);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(pipeline_put(p, job_of(i, false)), 0);
	assert_int_equal(pipeline_try_put(p, job_of(4, true)), 0);
	assert_int_equal(take(p), 4);
	assert_int_equal(pipeline_try_put(p, job_of(5, true)), 0);
	assert_int_equal(take(p), 5);
	for (int i = 0; i < 3; i++)
		sem_post(&go);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(take(p), i);
	assert_int_equal(atomic_load(&niceness[4]), ours);
	assert_true(atomic_load(&niceness[1]) > ours || ours >= 19);
	pipeline_close(p);
}

static void what_is_usual_is_not_checked_while_an_urgent_one_is_awaited(void **state)
{
	static const struct chain_ops ops_urgent = { .kind = "test", .split = split_urgent };
	AUTO(pipeline_freep) struct pipeline *p = NULL;

	sem_init(&go, 0, 3);
	sem_init(&checked, 0, 0);
	for (size_t i = 0; i < ARRAY_LEN(niceness); i++)
		atomic_store(&niceness[i], INT_MIN);
	assert_int_equal(pipeline_new(&ops_urgent, NULL, 2, &p), 0);
	assert_int_equal(pipeline_yield(p), 0);
	pipeline_await(p, clock_mono_ms() + 600000);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(pipeline_put(p, job_of(i, false)), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pipeline_try_put(p, job_of(5, true)), 0);
		assert_int_equal(take(p), 5);
	}
	for (size_t i = 1; i <= 3; i++)
		assert_int_equal(atomic_load(&niceness[i]), INT_MIN);
	pipeline_await(p, clock_mono_ms() + 20);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(take(p), i);
	pipeline_await(p, clock_mono_ms() + 600000);
	assert_int_equal(pipeline_put(p, job_of(6, false)), 0);
	pipeline_close(p);
	assert_int_equal(take(p), 6);
}

static void what_is_usual_stays_while_an_urgent_one_is_awaited(void **state)
{
	AUTO(pipeline_freep) struct pipeline *p = NULL;
	bool closed;

	order_count = 1;
	sem_init(&checked, 0, 0);
	assert_int_equal(pipeline_new(&ops, NULL, 1, &p), 0);
	for (uint8_t i = 1; i <= 4; i++)
		assert_int_equal(pipeline_put(p, job_of(i, false)), 0);
	for (int i = 0; i < 4; i++)
		sem_wait(&checked);
	pipeline_await(p, clock_mono_ms() + 600000);
	assert_null(pipeline_take(p, 0, &closed));
	assert_null(pipeline_take(p, 5, &closed));
	assert_int_equal(pipeline_try_put(p, job_of(5, true)), 0);
	assert_int_equal(take(p), 5);
	assert_null(pipeline_take(p, 0, &closed));
	pipeline_await(p, clock_mono_ms() + 20);
	assert_int_equal(take(p), 1); /* who waits for longer gets it when that time is over */
	pipeline_await(p, clock_mono_ms() + 600000);
	pipeline_await(p, 0);
	assert_int_equal(take(p), 2);
	pipeline_await(p, clock_mono_ms() + 600000);
	pipeline_close(p);
	assert_int_equal(take(p), 3);
	assert_int_equal(take(p), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urgent_jobs_are_checked_and_taken_before_those_that_waited_longer),
		cmocka_unit_test(what_is_usual_never_takes_the_room_of_what_is_urgent),
		cmocka_unit_test(who_yields_checks_what_is_urgent_while_all_checkers_are_busy),
		cmocka_unit_test(what_is_usual_is_not_checked_while_an_urgent_one_is_awaited),
		cmocka_unit_test(what_is_usual_stays_while_an_urgent_one_is_awaited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
