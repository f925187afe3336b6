/* Requests as nodes understand them and answers as nodes gave them (recordings), taken apart. */
#include "net/snapchain_calls.h"

#include "proto/wire.h"
#include "tests/unit/h2_lab.h"

/* The one message of a recorded answer. */
static struct buf answer_of(const char *name)
{
	bool end;
	AUTO(buf_release) struct buf server = lab_side(name, 'S', &end);
	struct lab l;
	struct lab_call c;
	lab_call_init(&c);
	assert_int_equal(lab_open(&l), 0);
	assert_int_equal(lab_start(&l, &c, "/a/b", SLICE_EMPTY, 16u << 20, 0), 0);
	lab_feed(&l, buf_slice(&server), SIZE_MAX);
	lab_end(&l);
	assert_int_equal(c.messages, 1);
	struct rd r = rd_of(buf_slice(&c.all));
	struct slice message = rd_blob(&r);
	struct buf out = BUF_INIT(16u << 20);
	buf_add(&out, message);
	assert_int_equal(buf_done(&out), 0);
	lab_release(&l);
	lab_call_release(&c);
	return out;
}

static void requests_are_those_that_nodes_were_asked(void **state)
{
	const struct {
		uint32_t shard;
		struct range range;
		const char *hex;
	} table[] = {
		{ 1, { 1, 300 }, "0801100118ac02" },
		{ 0, { 1, 600 }, "100118d804" },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		AUTO(buf_release) struct buf out = BUF_INIT(100);
		uint8_t want[32];
		size_t n = unhex(table[i].hex, want, sizeof want);
		request_of_blocks(table[i].shard, table[i].range, &out);
		assert_true(slice_eq(buf_slice(&out), SLICE(want, n)));
	}
}

static void what_a_node_says_of_itself_is_read(void **state)
{
	AUTO(buf_release) struct buf m = answer_of("getinfo");
	struct info info;
	assert_int_equal(info_read(buf_slice(&m), &info, NULL), 0);
	assert_string_equal(info.version, "0.14.2");
	assert_int_equal(strncmp(info.peer, "12D3Koo", 7), 0);
	assert_int_equal(info.shards, 2);
	assert_true(info.has[0] && info.has[1] && info.has[2] && !info.has[3]);
	assert_true(info.max[1] > 1000);
	assert_int_equal(info_read(slice_sub(buf_slice(&m), 0, m.n - 1), &info, NULL), -EBADMSG);
}

static void events_of_blocks_are_read_and_others_are_not(void **state)
{
	uint8_t event[128];
	size_t n =
		unhex("080b108080df1f82013708df1f10021898edcc582220ce369e10342eccdabd44b8b24a3a378"
		      "9c45c50f23961b54362a2b33f3a74992028013204080b100138c60660df1f70027898edcc58",
		      event, sizeof event);
	uint32_t shard;
	uint64_t height;
	assert_true(event_read(SLICE(event, n), &shard, &height));
	assert_int_equal(shard, 2);
	assert_int_equal(height, 0xfdf);
	assert_false(event_read(SLICE(event, n - 1), &shard, &height));
	assert_false(event_read(SLICE(event, 6), &shard, &height));
}

/* ---- the splitter ---- */

struct pile {
	struct buf all;
	size_t count, stop_at;
};

static bool pile_up(void *arg, struct buf *item)
{
	struct pile *p = arg;
	buf_blob(&p->all, buf_slice(item));
	buf_release(item);
	return ++p->count != p->stop_at;
}

static int split(struct slice message, size_t step, size_t size_max, struct pile *p, bool *between)
{
	struct splitter s = { .size_max = size_max };
	int rc = 0;
	p->all = (struct buf)BUF_INIT(32u << 20);
	while (rc == 0 && message.n) {
		struct slice part = slice_sub(message, 0, step);
		message = slice_sub(message, part.n, message.n - part.n);
		rc = splitter_feed(&s, part, pile_up, p);
	}
	*between = splitter_between(&s);
	splitter_release(&s);
	return rc;
}

static void chunks_are_taken_out_however_their_answer_comes(void **state)
{
	AUTO(buf_release) struct buf m = answer_of("getshardchunks-1-1-300");
	AUTO(buf_release) struct buf want = BUF_INIT(32u << 20);
	struct wire w = wire_of(buf_slice(&m));
	struct wire_field f;
	bool between;
	size_t count = 0;
	for (; wire_next(&w, &f); count++) {
		assert_int_equal(block_height_of(f.bytes), count + 1);
		buf_blob(&want, f.bytes);
	}
	assert_int_equal(count, 299);
	for (size_t step = 1; step < 1u << 20; step = step * 3 + 1) {
		struct pile p = { 0 };
		assert_int_equal(split(buf_slice(&m), step, BLOCK_SIZE_MAX, &p, &between), 0);
		assert_true(between && slice_eq(buf_slice(&p.all), buf_slice(&want)));
		buf_release(&p.all);
	}
	struct pile p = { .stop_at = 7 };
	assert_int_equal(split(buf_slice(&m), 100, BLOCK_SIZE_MAX, &p, &between), 1);
	assert_int_equal(p.count, 7);
	buf_release(&p.all);
	p = (struct pile){ 0 };
	assert_int_equal(
		split(slice_sub(buf_slice(&m), 0, m.n - 1), 100, BLOCK_SIZE_MAX, &p, &between), 0);
	assert_true(!between && p.count == 298);
	buf_release(&p.all);
	p = (struct pile){ 0 };
	assert_int_equal(split(buf_slice(&m), 100, 1000, &p, &between), -EMSGSIZE);
	buf_release(&p.all);
}

static void other_fields_are_skipped_and_what_is_none_is_refused(void **state)
{
	const struct {
		const char *hex;
		int rc;
		size_t count;
	} table[] = {
		{ "0a00", 0, 1 },
		{ "0a020102", 0, 1 },
		{ "1202ffff0a0101", 0, 1 },
		{ "10ffffffffffffffffff010a0101", 0, 1 },
		{ "110102030405060708150102030400", 0, 0 }, /* the last key waits for its value */
		{ "0b", -EBADMSG, 0 },
		{ "0affffffffffffffffffff01", -EBADMSG, 0 },
		{ "0affffffffffffffffff01", -EMSGSIZE, 0 },
		{ "ffffffffffffffffffff7f", -EBADMSG, 0 },
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (size_t step = 1; step < 20; step++) {
			uint8_t bytes[64];
			struct pile p = { 0 };
			bool between;
			size_t n = unhex(table[i].hex, bytes, sizeof bytes);
			int rc = split(SLICE(bytes, n), step, 1u << 20, &p, &between);
			if (rc != table[i].rc)
				print_error("%s: %d\n", table[i].hex, rc);
			assert_int_equal(rc, table[i].rc);
			assert_int_equal(p.count, table[i].count);
			buf_release(&p.all);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_those_that_nodes_were_asked),
		cmocka_unit_test(what_a_node_says_of_itself_is_read),
		cmocka_unit_test(events_of_blocks_are_read_and_others_are_not),
		cmocka_unit_test(chunks_are_taken_out_however_their_answer_comes),
		cmocka_unit_test(other_fields_are_skipped_and_what_is_none_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
