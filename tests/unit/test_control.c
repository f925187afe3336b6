#include <stdio.h>
#include <unistd.h>

#include "net/control.h"
#include "tests/support/store_fixture.h"

#define LONG_TEXT_SIZE (3u << 20)

static void *long_text(void)
{
	char *text = malloc(LONG_TEXT_SIZE);
	assert_non_null(text);
	for (size_t i = 0; i < LONG_TEXT_SIZE; i++)
		text[i] = (char)('a' + i % 23);
	return text;
}

/* One write of a text that is longer than any frame. */
static int verb_long(struct verb_call *c)
{
	AUTO(base_freep) char *text = long_text();
	verb_write(c, (struct slice){ (const uint8_t *)text, LONG_TEXT_SIZE });
	return EXIT_FAULTS;
}

/* Waits to be stopped, then says more than a socket's buffer holds. */
static int verb_patient(struct verb_call *c)
{
	verb_say(c, "waiting\n");
	while (!verb_stopped(c))
		usleep(1000);
	verb_long(c);
	return EXIT_INTERRUPTED;
}

static const struct verb table[] = {
	{ "long", "STORE", "", "", STORE_OPEN, 1, 1, 0, false, verb_long, NULL },
	{ "patient", "STORE", "", "", STORE_OPEN, 1, 1, 0, false, verb_patient, NULL },
};

struct reader { /* what a client was given */
	struct buf  out, err;
	atomic_bool stop;
	unsigned    wait_us; /* before each part is taken */
	bool        stops;   /* at the first word on err */
};

static void take_out(void *arg, const char *text, size_t size)
{
	struct reader *r = arg;
	usleep(r->wait_us);
	buf_add(&r->out, (struct slice){ (const uint8_t *)text, size });
}

static void take_err(void *arg, const char *text, size_t size)
{
	struct reader *r = arg;
	buf_add(&r->err, (struct slice){ (const uint8_t *)text, size });
	if (r->stops)
		atomic_store(&r->stop, true);
}

static int call(const char *store, const char *verb, struct reader *r)
{
	struct verb_io io = { take_out, take_err, r, .stop = &r->stop };
	char *argv[] = { (char *)verb, (char *)store };
	struct err err = ERR_INIT;
	int code = -1, rc = control_call(store, ARRAY_LEN(argv), argv, &io, &code, &err);
	if (rc < 0)
		print_error("%s\n", err_text(&err, rc));
	return rc < 0 ? rc : code;
}

static void check_call(const char *verb, int code, bool stops, unsigned wait_us)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(control_server_closep) struct control_server *s = NULL;
	AUTO(base_freep) char *text = long_text();
	fixture_open(&f);
	assert_int_equal(control_server_open(&(struct verb_env){ .store = f.store }, table,
					     ARRAY_LEN(table), &s, NULL),
			 0);
	struct reader r = {
		.out = BUF_INIT(2 * LONG_TEXT_SIZE), .err = BUF_INIT(1u << 16),
		.stops = stops, .wait_us = wait_us,
	};
	assert_int_equal(call(f.path, verb, &r), code);
	assert_int_equal(r.out.n, LONG_TEXT_SIZE);
	assert_memory_equal(r.out.p, text, LONG_TEXT_SIZE);
	buf_release(&r.out);
	buf_release(&r.err);
}

static void a_text_longer_than_a_frame_arrives_whole(void **state)
{
	check_call("long", EXIT_FAULTS, false, 0);
}

static void a_slow_reader_gets_everything(void **state)
{
	check_call("long", EXIT_FAULTS, false, 5000);
}

static void a_stopped_call_still_says_its_last_words_and_its_exit_code(void **state)
{
	check_call("patient", EXIT_INTERRUPTED, true, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_longer_than_a_frame_arrives_whole),
		cmocka_unit_test(a_slow_reader_gets_everything),
		cmocka_unit_test(a_stopped_call_still_says_its_last_words_and_its_exit_code),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
