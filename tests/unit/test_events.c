#include <stdatomic.h>
#include <stdio.h>

#include "core/control/events.h"
#include "tests/support/support.h"

static const char *text_of(struct buf *b)
{
	buf_u8(b, 0);
	assert_int_equal(buf_done(b), 0);
	b->n--;
	return (const char *)b->p;
}

static void a_line_is_time_network_kind_and_pairs(void **state)
{
	AUTO(events_freep) struct events *e = events_new(4);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	uint64_t next = 1;

	events_post(e, "devnet", "block", "shard=%u height=%d", 1u, 7);
	events_post(e, NULL, "mount", "%s", "");
	assert_int_equal(events_last(e), 2);
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	const char *text = text_of(&out);

	/* 2026-11-21T15:03:11Z */
	assert_int_equal(text[19], 'Z');
	assert_int_equal(strncmp(text + 20, " devnet block shard=1 height=7\n", 31), 0);
	assert_string_equal(text + 51 + 20, " - mount\n");
	assert_int_equal(next, 3);
}

static void a_reader_gets_each_line_once(void **state)
{
	AUTO(events_freep) struct events *e = events_new(8);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	uint64_t next = events_last(e) + 1;

	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	assert_int_equal(out.n, 0);
	events_post(e, "n", "block", "a=1");
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	size_t once = out.n;

	assert_true(once > 0);
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	assert_int_equal(out.n, once);
}

static void lines_are_given_whole_or_not_at_all(void **state)
{
	AUTO(events_freep) struct events *e = events_new(8);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	uint64_t next = 1;

	events_post(e, "n", "block", "a=1");
	events_post(e, "n", "block", "a=2");
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	size_t two = out.n;

	buf_clear(&out);
	next = 1;
	assert_int_equal(events_read(e, &next, two - 1, &out), 0);
	assert_int_equal(out.n, two / 2);
	assert_int_equal(next, 2);
	assert_int_equal(events_read(e, &next, two / 2 - 1, &out), 0);
	assert_int_equal(next, 2);
	assert_int_equal(events_read(e, &next, two / 2, &out), 0);
	assert_int_equal(out.n, two);
}

static void a_slow_reader_is_told_how_many_lines_it_lost(void **state)
{
	AUTO(events_freep) struct events *e = events_new(3);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	uint64_t next = 1;

	for (int i = 1; i <= 10; i++)
		events_post(e, "n", "block", "height=%d", i);
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	const char *text = text_of(&out);

	assert_int_equal(strncmp(text + 20, " - events lost=7\n", 17), 0);
	assert_non_null(strstr(text, "height=8\n"));
	assert_non_null(strstr(text, "height=10\n"));
	assert_null(strstr(text, "height=7\n"));
	assert_int_equal(next, 11);
}

static void one_event_stays_one_line(void **state)
{
	AUTO(events_freep) struct events *e = events_new(3);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	char wide[3 * EVENT_LINE_MAX];
	uint64_t next = 1;

	memset(wide, 'x', sizeof wide - 1);
	wide[sizeof wide - 1] = '\0';
	events_post(e, "n", "refused", "reason=\"a\nb\r\tc\x7f\"");
	events_post(e, "n", "refused", "reason=%s", wide);
	assert_int_equal(events_read(e, &next, SIZE_MAX, &out), 0);
	const char *text = text_of(&out), *first_end = strchr(text, '\n');

	assert_non_null(strstr(text, "reason=\"a b  c \"\n"));
	assert_int_equal(strlen(first_end + 1), EVENT_LINE_MAX - 1);
	assert_ptr_equal(strchr(first_end + 1, '\n'), text + out.n - 1);
}

struct count {
	struct events *events;
	atomic_int     calls;
};

static void count_call(void *arg)
{
	struct count *c = arg;

	assert_true(events_last(c->events) > 0); /* the lock is free */
	atomic_fetch_add(&c->calls, 1);
}

static void the_listener_is_called_after_each_post_until_it_leaves(void **state)
{
	AUTO(events_freep) struct events *e = events_new(3);
	struct count c = { e, 0 };

	events_on_post(e, count_call, &c);
	events_post(e, "n", "block", "a=1");
	events_post(e, "n", "block", "a=2");
	events_on_post(e, NULL, NULL);
	events_post(e, "n", "block", "a=3");
	assert_int_equal(atomic_load(&c.calls), 2);
}

static void *post_many(void *arg)
{
	for (int i = 0; i < 5000; i++)
		events_post(arg, "n", "block", "height=%d", i);
	return NULL;
}

static void among_many_threads_every_line_is_given_or_counted_as_lost(void **state)
{
	AUTO(events_freep) struct events *e = events_new(256);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct count c = { e, 0 };
	pthread_t threads[4];
	uint64_t next = 1, given = 0;

	events_on_post(e, count_call, &c);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, post_many, e), 0);
	while (next <= 20000) {
		buf_clear(&out);
		assert_int_equal(events_read(e, &next, 1u << 18, &out), 0);
		const char *text = text_of(&out);

		for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
			unsigned long long lost;

			given += sscanf(line, "%*s - events lost=%llu", &lost) == 1 ? lost : 1;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	events_on_post(e, NULL, NULL);
	assert_int_equal(given, 20000);
	assert_int_equal(atomic_load(&c.calls), 20000);
}

static void without_memory_lines_are_lost_and_said_so(void **state)
{
	assert_null(events_new(0));
	assert_null(events_new(SIZE_MAX));
	FOR_EACH_ALLOC_FAULT {
		AUTO(events_freep) struct events *e = events_new(3);
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
		uint64_t next = 1;

		if (e) {
			events_post(e, "n", "block", "a=1");
			int rc = events_read(e, &next, 4096, &out);

			assert_true(rc == 0 ? out.n > 0 && next == 2 : rc == -ENOMEM && next == 1);
		}
	}
}

static void the_lines_are_one_text_that_grows(void **state)
{
	AUTO(events_freep) struct events *e = events_new(3);
	AUTO(buf_release) struct buf all = BUF_INIT(1u << 16), part = BUF_INIT(1u << 16);
	uint64_t next = 1;

	assert_int_equal(events_size(e), 0);
	assert_int_equal(events_read_at(e, 0, 100, &part), 0);
	assert_int_equal(part.n, 0);
	for (int i = 0; i < 3; i++)
		events_post(e, "net", "block", "height=%d", i * i * i * 1000);
	assert_int_equal(events_read(e, &next, SIZE_MAX, &all), 0);
	assert_int_equal(events_size(e), all.n);
	for (uint64_t at = 0; at <= all.n; at++)
		for (size_t size = 0; size < 64; size += 7) {
			struct slice wanted = slice_sub(buf_slice(&all), at, size);

			buf_clear(&part);
			assert_int_equal(events_read_at(e, at, size, &part), 0);
			assert_true(slice_eq(buf_slice(&part), wanted));
		}
	/* The first line is lost: its place holds newlines. */
	size_t first = (size_t)((uint8_t *)memchr(all.p, '\n', all.n) - all.p) + 1;

	events_post(e, "net", "block", "height=4");
	buf_clear(&part);
	assert_int_equal(events_read_at(e, 0, all.n, &part), 0);
	assert_int_equal(part.n, all.n);
	for (size_t i = 0; i < first; i++)
		assert_int_equal(part.p[i], '\n');
	assert_memory_equal(part.p + first, all.p + first, all.n - first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_time_network_kind_and_pairs),
		cmocka_unit_test(a_reader_gets_each_line_once),
		cmocka_unit_test(lines_are_given_whole_or_not_at_all),
		cmocka_unit_test(a_slow_reader_is_told_how_many_lines_it_lost),
		cmocka_unit_test(one_event_stays_one_line),
		cmocka_unit_test(the_listener_is_called_after_each_post_until_it_leaves),
		cmocka_unit_test(among_many_threads_every_line_is_given_or_counted_as_lost),
		cmocka_unit_test(without_memory_lines_are_lost_and_said_so),
		cmocka_unit_test(the_lines_are_one_text_that_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
