#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "tests/support/support.h"

static struct {
	char             line[2048];
	size_t           size;
	enum trace_level level;
	int              count;
} seen;

static void keep(enum trace_level level, const char *line, size_t line_size, void *arg)
{
	assert_ptr_equal(arg, &seen);
	assert_true(line_size < sizeof seen.line);
	memcpy(seen.line, line, line_size);
	seen.line[line_size] = '\0';
	seen.size = line_size;
	seen.level = level;
	seen.count++;
}

static int start(void **state)
{
	memset(&seen, 0, sizeof seen);
	trace_set_sink(keep, &seen);
	trace_set_level(TRACE_INFO);
	return 0;
}

static int stop(void **state)
{
	trace_set_sink(NULL, NULL);
	trace_set_level(TRACE_INFO);
	return 0;
}

static void a_line_is_time_level_part_sentence_and_fields(void **state)
{
	trace_warn("ingest", "block refused, its height is a gap", "shard=%u height=%" PRIu64, 1u,
		   (uint64_t)7);
	assert_int_equal(seen.level, TRACE_WARN);
	/* 2026-11-21T15:03:11.042Z */
	assert_int_equal(seen.line[10], 'T');
	assert_int_equal(seen.line[19], '.');
	assert_string_equal(seen.line + 23,
			    "Z warn ingest: block refused, its height is a gap shard=1 height=7");
}

static void a_line_without_fields_ends_with_its_sentence(void **state)
{
	trace_info("store", "opened", "");
	assert_string_equal(seen.line + 23, "Z info store: opened");
}

static void levels_above_the_set_one_are_silent(void **state)
{
	trace_debug("a", "b", "c=%d", 1);
	assert_int_equal(seen.count, 0);
	trace_set_level(TRACE_DEBUG);
	assert_int_equal(trace_get_level(), TRACE_DEBUG);
	trace_debug("a", "b", "c=%d", 1);
	assert_int_equal(seen.count, 1);
	trace_set_level(TRACE_ERROR);
	trace_warn("a", "b", "c=%d", 1);
	assert_int_equal(seen.count, 1);
	trace_error("a", "b", "c=%d", 1);
	assert_int_equal(seen.count, 2);
}

static void one_line_stays_one_line(void **state)
{
	trace_info("a", "b", "c=%s", "x\ny\r\nz");
	assert_null(strpbrk(seen.line, "\r\n"));
}

static void a_long_line_is_cut(void **state)
{
	char text[3000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	trace_info("a", "b", "c=%s", text);
	assert_int_equal(seen.count, 1);
	assert_true(seen.size < 1100);
}

static void tracing_keeps_errno(void **state)
{
	errno = EXDEV;
	trace_info("a", "b", "c=%d", 1);
	assert_int_equal(errno, EXDEV);
}

static void without_a_sink_lines_go_to_standard_error(void **state)
{
	char got[256] = "";
	int ends[2], saved = dup(STDERR_FILENO);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	trace_set_sink(NULL, NULL);
	dup2(ends[1], STDERR_FILENO);
	trace_error("part", "sentence", "key=%d", 5);
	dup2(saved, STDERR_FILENO);
	assert_true(read(ends[0], got, sizeof got - 1) > 0);
	assert_string_equal(got + 23, "Z error part: sentence key=5\n");
	close(saved);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(seen.count, 0);
}

static void text_of_a_peer_is_escaped_and_cut_whole(void **state)
{
	char out[16];

	trace_escape(out, sizeof out, "ok", 2);
	assert_string_equal(out, "ok");
	trace_escape(out, sizeof out, "a\n\\\xff", 4);
	assert_string_equal(out, "a\\x0a\\x5c\\xff");
	trace_escape(out, sizeof out, "0123456789abcdef", 16);
	assert_string_equal(out, "0123456789abcde");
	trace_escape(out, sizeof out, "0123456789ab\n", 13);
	assert_string_equal(out, "0123456789ab");
	trace_escape(out, 1, "x", 1);
	assert_string_equal(out, "");
	trace_escape(out, 0, "x", 1);
}

static void times_print_in_utc_and_sort(void **state)
{
	char out[TIME_TEXT_SIZE];

	time_text(0, out);
	assert_string_equal(out, "1970-01-01T00:00:00Z");
	time_text(1795273391, out);
	assert_string_equal(out, "2026-11-21T15:03:11Z");
	time_text(UINT64_MAX, out);
	assert_string_equal(out, "9999-12-31T23:59:59Z");
	assert_true(clock_mono_ms() <= clock_mono_ns() / 1000000);
	assert_true(clock_unix_s() > 1600000000);
}

#define trace_test(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		trace_test(a_line_is_time_level_part_sentence_and_fields),
		trace_test(a_line_without_fields_ends_with_its_sentence),
		trace_test(levels_above_the_set_one_are_silent),
		trace_test(one_line_stays_one_line),
		trace_test(a_long_line_is_cut),
		trace_test(tracing_keeps_errno),
		trace_test(without_a_sink_lines_go_to_standard_error),
		trace_test(text_of_a_peer_is_escaped_and_cut_whole),
		cmocka_unit_test(times_print_in_utc_and_sort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
