#include <signal.h>
#include <unistd.h>

#include "net/loop.h"
#include "tests/support/support.h"

struct notes {
	struct loop *loop;
	int seen[64];
	size_t count;
};

static struct notes notes;

static void note(void *number)
{
	assert_true(loop_is_here(notes.loop));
	notes.seen[notes.count++] = (int)(intptr_t)number;
}

static void *post_some(void *arg)
{
	for (intptr_t i = 0; i < 10; i++)
		assert_int_equal(loop_post(notes.loop, note, (void *)i), 0);
	return NULL;
}

static void what_is_posted_runs_in_order_on_the_loops_thread(void **state)
{
	notes = (struct notes){ 0 };
	AUTO(loop_closep) struct loop *l = NULL;
	assert_int_equal(loop_open("test", &l, NULL), 0);
	notes.loop = l;
	assert_false(loop_is_here(l));
	post_some(NULL);
	assert_int_equal(loop_call(l, note, (void *)10), 0);
	assert_int_equal(notes.count, 11);
	for (int i = 0; i < 11; i++)
		assert_int_equal(notes.seen[i], i);
}

static void closing_runs_what_was_posted_before(void **state)
{
	notes = (struct notes){ 0 };
	struct loop *l = NULL;
	assert_int_equal(loop_open("test", &l, NULL), 0);
	notes.loop = l;
	pthread_t other;
	assert_int_equal(pthread_create(&other, NULL, post_some, NULL), 0);
	pthread_join(other, NULL);
	loop_closep(&l);
	assert_null(l);
	assert_int_equal(notes.count, 10);
}

/* ---- timers ---- */

struct alarm {
	struct loop *loop;
	struct loop_timer *timer, *other;
	uint64_t due_ms[4], fired_ms[4];
	unsigned fired, again;
	bool frees_itself;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
};

static void alarm_done(struct alarm *a)
{
	LOCKED(&a->lock);
	a->done = true;
	pthread_cond_signal(&a->cond);
}

static void alarm_rings(void *arg)
{
	struct alarm *a = arg;
	a->fired_ms[a->fired++] = loop_now_ms(a->loop);
	if (a->fired <= a->again) {
		a->due_ms[a->fired] = loop_now_ms(a->loop) + 3;
		loop_timer_at(a->timer, a->due_ms[a->fired]);
		return;
	}
	loop_timer_freep(&a->timer);
	loop_timer_freep(&a->other);
	alarm_done(a);
}

static void must_not_ring(void *arg)
{
	fail_msg("a timer that was stopped rang");
}

static void alarm_set(void *arg)
{
	struct alarm *a = arg;
	assert_int_equal(loop_timer_new(a->loop, alarm_rings, a, &a->timer), 0);
	assert_int_equal(loop_timer_new(a->loop, must_not_ring, a, &a->other), 0);
	loop_timer_at(a->other, loop_now_ms(a->loop));
	loop_timer_at(a->other, UINT64_MAX);
	a->due_ms[0] = loop_now_ms(a->loop) + 20;
	loop_timer_at(a->timer, loop_now_ms(a->loop) + 100000);
	loop_timer_at(a->timer, a->due_ms[0]);
}

static void a_timer_fires_once_at_its_time_and_may_be_set_again(void **state)
{
	struct alarm a = { .again = 2,
			   .lock = PTHREAD_MUTEX_INITIALIZER,
			   .cond = PTHREAD_COND_INITIALIZER };
	AUTO(loop_closep) struct loop *l = NULL;
	assert_int_equal(loop_open("test", &l, NULL), 0);
	a.loop = l;
	assert_int_equal(loop_call(l, alarm_set, &a), 0);
	pthread_mutex_lock(&a.lock);
	while (!a.done)
		pthread_cond_wait(&a.cond, &a.lock);
	pthread_mutex_unlock(&a.lock);
	assert_int_equal(a.fired, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(a.fired_ms[i] >= a.due_ms[i]);
}

static void raise_pipe(void *arg)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(write(ends[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
}

static void a_write_to_nobody_does_not_end_the_program(void **state)
{
	AUTO(loop_closep) struct loop *l = NULL;
	assert_int_equal(loop_open("test", &l, NULL), 0);
	assert_int_equal(loop_call(l, raise_pipe, NULL), 0);
}

static void without_memory_there_is_no_loop_and_no_leak(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		struct err err = ERR_INIT;
		AUTO(loop_closep) struct loop *l = NULL;
		int rc = loop_open("test", &l, &err);
		assert_true(rc == 0 || (rc == -ENOMEM && !l && err.text[0]));
		notes = (struct notes){ .loop = l };
		rc = l ? loop_post(l, note, NULL) : -ENOMEM;
		assert_true(rc == 0 || rc == -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_posted_runs_in_order_on_the_loops_thread),
		cmocka_unit_test(closing_runs_what_was_posted_before),
		cmocka_unit_test(a_timer_fires_once_at_its_time_and_may_be_set_again),
		cmocka_unit_test(a_write_to_nobody_does_not_end_the_program),
		cmocka_unit_test(without_memory_there_is_no_loop_and_no_leak),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
