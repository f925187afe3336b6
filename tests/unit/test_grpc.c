/* gRPC over HTTP/2, by what a node's server sent in recordings (tests/vectors/devnet-r/h2). */
#include "tests/unit/h2_lab.h"

/* Feeds a recording to one call; `step` bytes at a time. */
static void replay(struct lab *l, struct lab_call *c, const char *name, const char *path,
		   size_t step, size_t message_max, uint64_t bytes_max)
{
	bool end;
	AUTO(buf_release) struct buf server = lab_side(name, 'S', &end);
	assert_int_equal(lab_open(l), 0);
	assert_int_equal(lab_start(l, c, path, SLICE_EMPTY, message_max, bytes_max), 0);
	lab_feed(l, buf_slice(&server), step);
	if (end)
		lab_end(l);
}

struct expectation {
	const char *name;
	int status;
	bool local;
	unsigned messages;
	const char *sentence; /* a part of it */
};

static const struct expectation recordings[] = {
	{ "getinfo", 0, false, 1, "" },
	{ "getblocks-1-600", 0, false, 599, "" },
	{ "getblocks-beyond-tip", 0, false, 0, "" },
	{ "getshardchunks-1-1-300", 0, false, 1, "" },
	{ "getshardchunks-beyond-tip", 0, false, 1, "" },
	{ "getblocks-killed", 14, true, 74, "the connection ended" },
	{ "subscribe-killed", 14, true, 8, "the connection ended" },
	{ "error-decode", 13, false, 0, "failed to decode Protobuf message" },
	{ "error-rst-panic", 1, true, 0, "HTTP/2 error 8" },
	{ "error-shard0-events", 3, false, 0, "Shard not found" },
	{ "error-timeout", 0, false, 1, "" },
	{ "error-unimplemented", 12, false, 0, "" },
	{ "error-unknown-shard", 2, false, 0, "invalid_internal_state/Missing shard store" },
	{ "replication-refused", 13, false, 0, "KeyRemove" },
};

static void each_recording_ends_as_its_server_meant(void **state)
{
	static const size_t steps[] = { SIZE_MAX, 1, 7, 4096 };
	for (size_t i = 0; i < ARRAY_LEN(recordings) * ARRAY_LEN(steps); i++) {
		const struct expectation *e = &recordings[i / ARRAY_LEN(steps)];
		struct lab l;
		struct lab_call c;
		lab_call_init(&c);
		c.pieces = i % 2;
		replay(&l, &c, e->name, "/HubService/Any", steps[i % ARRAY_LEN(steps)], 16u << 20,
		       0);
		if (c.ended != 1 || c.status != e->status || c.messages != e->messages ||
		    !strstr(c.sentence, e->sentence))
			print_error("%s: ended %u status %d messages %u \"%s\"\n", e->name, c.ended,
				    c.status, c.messages, c.sentence);
		assert_int_equal(c.ended, 1);
		assert_int_equal(c.status, e->status);
		assert_int_equal(c.local, e->local);
		assert_int_equal(c.messages, e->messages);
		assert_non_null(strstr(c.sentence, e->sentence));
		assert_int_equal(l.ready, 1);
		lab_release(&l);
		lab_call_release(&c);
	}
}

/* ---- cut, damaged, too large ---- */

static void feed_cut(const char *name, struct slice server, size_t cut)
{
	struct lab l;
	struct lab_call c;
	lab_call_init(&c);
	assert_int_equal(lab_open(&l), 0);
	assert_int_equal(lab_start(&l, &c, "/HubService/Any", SLICE_EMPTY, 16u << 20, 0), 0);
	lab_feed(&l, slice_sub(server, 0, cut), SIZE_MAX);
	unsigned before = c.ended;
	lab_end(&l);
	if (c.ended != 1)
		fail_msg("%s cut at %zu: ended %u times", name, cut, c.ended);
	/* What was not ended by the peer is not taken for whole. */
	if (!before && (!c.local || c.status == GRPC_OK))
		fail_msg("%s cut at %zu of %zu: status %d", name, cut, server.n, c.status);
	assert_int_equal(l.over, 1);
	assert_null(c.call);
	lab_release(&l);
	lab_call_release(&c);
}

static void wherever_a_connection_is_cut_its_call_ends_once(void **state)
{
	bool end;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		AUTO(buf_release) struct buf server = lab_side(recordings[i].name, 'S', &end);
		size_t step = server.n < 2000 ? 1 : 1 + server.n / 300;
		for (size_t cut = 0; cut <= server.n; cut += step)
			feed_cut(recordings[i].name, buf_slice(&server), cut);
	}
}

static void damaged_bytes_end_each_call_once(void **state)
{
	struct random r = random_of_run();
	bool end;
	for (uint64_t round = 0; round < rounds(4000); round++) {
		const char *name = recordings[random_below(&r, ARRAY_LEN(recordings))].name;
		AUTO(buf_release) struct buf server = lab_side(name, 'S', &end);
		struct lab l;
		struct lab_call c[2];
		/* Behind the SETTINGS, so that more than their refusal is tried. */
		for (uint64_t n = 1 + random_below(&r, 4); n; n--)
			server.p[49 % server.n +
				 random_below(&r, MIN(server.n, (size_t)400) - 49 % server.n)] ^=
				(uint8_t)(1u << random_below(&r, 8));
		assert_int_equal(lab_open(&l), 0);
		for (int i = 0; i < 2; i++) {
			lab_call_init(&c[i]);
			c[i].pieces = i;
			assert_int_equal(lab_start(&l, &c[i], "/HubService/Any", SLICE_EMPTY,
						   1u << 20, 4u << 20),
					 0);
		}
		lab_feed(&l, buf_slice(&server), 1 + random_below(&r, 5000));
		lab_end(&l);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(c[i].ended, 1);
			lab_call_release(&c[i]);
		}
		assert_int_equal(l.over, 1);
		lab_release(&l);
	}
}

static void an_answer_over_its_bound_is_cut_off(void **state)
{
	const struct {
		const char *name;
		size_t message_max;
		uint64_t bytes_max;
		unsigned messages;
	} cases[] = {
		{ "getshardchunks-1-1-300", 300000, 0, 0 },
		{ "getblocks-1-600", 16u << 20, 10000, 15 },
		{ "getblocks-1-600", 598, 0, 0 },
		{ "getinfo", 124, 0, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct lab l;
		struct lab_call c;
		lab_call_init(&c);
		replay(&l, &c, cases[i].name, "/HubService/Any", 4096, cases[i].message_max,
		       cases[i].bytes_max);
		assert_int_equal(c.ended, 1);
		assert_int_equal(c.status, GRPC_RESOURCE_EXHAUSTED);
		assert_true(c.local);
		assert_true(c.all.n <= (cases[i].bytes_max ? 10200 : 600));
		assert_non_null(strstr(c.sentence, "over its bound"));
		/* The connection goes on; only the stream was reset. */
		assert_int_equal(l.over, 0);
		lab_release(&l);
		lab_call_release(&c);
	}
}

static void what_is_no_http2_is_said_so(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\0\0\0\0\0\0\0\0\0",
	};
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		struct lab l;
		struct lab_call c;
		lab_call_init(&c);
		assert_int_equal(lab_open(&l), 0);
		assert_int_equal(lab_start(&l, &c, "/HubService/Any", SLICE_EMPTY, 100, 0), 0);
		lab_feed(&l, SLICE(answers[i], i == 2 ? 9 : strlen(answers[i])), SIZE_MAX);
		lab_end(&l);
		assert_int_equal(l.ready, 0);
		assert_int_equal(l.over, 1);
		assert_true(l.rc == -EPROTO || l.rc == -ECONNRESET);
		assert_int_equal(c.ended, 1);
		assert_int_equal(c.status, GRPC_UNAVAILABLE);
		lab_release(&l);
		lab_call_release(&c);
	}
}

static void a_call_may_cancel_itself_amid_its_messages(void **state)
{
	struct lab l;
	struct lab_call c;
	lab_call_init(&c);
	c.cancel_at = 3;
	replay(&l, &c, "getblocks-1-600", "/HubService/GetBlocks", SIZE_MAX, 16u << 20, 0);
	assert_int_equal(c.messages, 3);
	assert_int_equal(c.ended, 0);
	assert_null(c.call);
	lab_release(&l);
	lab_call_release(&c);
}

static void a_connection_may_be_closed_with_its_calls(void **state)
{
	struct lab l;
	struct lab_call c;
	lab_call_init(&c);
	assert_int_equal(lab_open(&l), 0);
	assert_int_equal(lab_start(&l, &c, "/HubService/Any", SLICE_EMPTY, 100, 0), 0);
	h2_closep(&l.h2);
	assert_true(l.closed);
	h2_over(l.h2_memory, -ECONNRESET, "gone");
	assert_int_equal(c.ended, 0);
	grpc_cancel(&c.call);
	lab_release(&l);
	lab_call_release(&c);
}

static void without_memory_a_call_is_refused_or_ends_once(void **state)
{
	bool end;
	AUTO(buf_release) struct buf server = lab_side("getinfo", 'S', &end);
	FOR_EACH_ALLOC_FAULT {
		struct lab l;
		struct lab_call c;
		lab_call_init(&c);
		int rc = lab_open(&l);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc == 0) {
			rc = lab_start(&l, &c, "/HubService/GetInfo", SLICE_EMPTY, 1000, 0);
			assert_true(rc == -ENOMEM || rc == 0);
			lab_feed(&l, buf_slice(&server), SIZE_MAX);
			lab_end(&l);
			assert_int_equal(c.ended, rc == 0);
		}
		lab_release(&l);
		lab_call_release(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_recording_ends_as_its_server_meant),
		cmocka_unit_test(wherever_a_connection_is_cut_its_call_ends_once),
		cmocka_unit_test(damaged_bytes_end_each_call_once),
		cmocka_unit_test(an_answer_over_its_bound_is_cut_off),
		cmocka_unit_test(what_is_no_http2_is_said_so),
		cmocka_unit_test(a_call_may_cancel_itself_amid_its_messages),
		cmocka_unit_test(a_connection_may_be_closed_with_its_calls),
		cmocka_unit_test(without_memory_a_call_is_refused_or_ends_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
