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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_recording_ends_as_its_server_meant),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
