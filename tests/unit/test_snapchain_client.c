/* A node asked by threads that wait: what is tried again, what is told, and blocks in windows. */
#include "core/base/clock.h"
#include "net/grpc.h"
#include "net/snapchain_replica.h"

#include "tests/unit/node_lab.h"

struct desk {
	struct node node;
	struct loop *loop;
	struct replica replica;
	atomic_bool stop;
};

static void desk_open(struct desk *d, uint64_t max, uint32_t patience_ms)
{
	memset(d, 0, sizeof *d);
	node_init(&d->node, max);
	node_start(&d->node);
	const struct snapchain_options o = { .host = "127.0.0.1",
					     .port = d->node.port,
					     .silent_ms = 2000 };
	assert_int_equal(loop_open("test", &d->loop, NULL), 0);
	assert_int_equal(
		snapchain_replica_open(d->loop, &o, patience_ms, &d->stop, &d->replica, NULL), 0);
}

static void desk_release(struct desk *d)
{
	snapchain_replica_close(&d->replica);
	loop_closep(&d->loop);
	node_release(&d->node);
}

static void expect_block(struct desk *d, uint32_t shard, uint64_t height)
{
	AUTO(buf_release) struct buf got = BUF_INIT(0), want = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	int rc = d->replica.block(d->replica.arg, shard, height, &got, &err);
	if (rc != 1)
		print_error("%d %s\n", rc, err_text(&err, rc));
	assert_int_equal(rc, 1);
	node_block(&d->node, shard, height, &want);
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
}

static int block_rc(struct desk *d, uint32_t shard, uint64_t height, struct err *err)
{
	AUTO(buf_release) struct buf got = BUF_INIT(0);
	err->text[0] = '\0';
	return d->replica.block(d->replica.arg, shard, height, &got, err);
}

static void blocks_are_asked_for_in_windows_both_ways(void **state)
{
	struct desk d;
	struct err err = ERR_INIT;
	desk_open(&d, 200, 5000);
	for (uint32_t s = 0; s < 2; s++) {
		unsigned before = NODE_HAS(&d.node, asked);
		for (uint64_t h = 1; h <= 200; h++)
			expect_block(&d, s, h);
		assert_int_equal(NODE_HAS(&d.node, asked) - before, 4);
		assert_int_equal(block_rc(&d, s, 201, &err), 0);
		before = NODE_HAS(&d.node, asked);
		for (uint64_t h = 200; h; h--)
			expect_block(&d, s, h);
		assert_in_range(NODE_HAS(&d.node, asked) - before, 1, 5);
	}
	assert_int_equal(NODE_HAS(&d.node, connections), 1);
	NODE_DOES(&d.node, d.node.first[1] = 100);
	assert_int_equal(block_rc(&d, 1, 60, &err), -ENODATA);
	assert_non_null(strstr(err.text, "perhaps pruned"));
	expect_block(&d, 1, 100);
	desk_release(&d);
}

static void what_may_come_out_is_tried_again_and_a_refusal_is_not(void **state)
{
	struct desk d;
	struct err err = ERR_INIT;
	desk_open(&d, 50, 20000);
	expect_block(&d, 0, 1);
	/* A connection that ends is opened again. */
	NODE_DOES(&d.node, d.node.hang_up = true);
	expect_block(&d, 1, 1);
	for (unsigned i = 0; i < 1000 && NODE_HAS(&d.node, hang_up); i++)
		poll(NULL, 0, 5);
	expect_block(&d, 2, 1);
	unsigned before = NODE_HAS(&d.node, asked);
	NODE_DOES(&d.node, d.node.status = GRPC_INTERNAL);
	assert_int_equal(block_rc(&d, 2, 9, &err), 1); /* came with the first */
	assert_int_equal(block_rc(&d, 1, 9, &err), -ENODATA);
	assert_non_null(strstr(err.text, "GetShardChunks: INTERNAL: refused, because"));
	assert_int_equal(NODE_HAS(&d.node, asked) - before, 1);
	/* A handler that breaks off each time. */
	NODE_DOES(&d.node, d.node.status = 0; d.node.reset = true; before = d.node.asked);
	assert_int_equal(block_rc(&d, 1, 9, &err), -ENODATA);
	assert_int_equal(NODE_HAS(&d.node, asked) - before, 3);
	NODE_DOES(&d.node, d.node.reset = false);
	expect_block(&d, 1, 9);
	desk_release(&d);
}

static void patience_ends_and_a_stop_ends_it_sooner(void **state)
{
	struct desk d;
	struct err err = ERR_INIT;
	desk_open(&d, 50, 700);
	NODE_DOES(&d.node, d.node.status = GRPC_UNAVAILABLE);
	assert_int_equal(block_rc(&d, 1, 1, &err), -EHOSTUNREACH);
	assert_non_null(strstr(err.text, "UNAVAILABLE"));
	NODE_DOES(&d.node, d.node.silent = true);
	assert_int_equal(block_rc(&d, 1, 1, &err), -EHOSTUNREACH);
	atomic_store(&d.stop, true);
	assert_int_equal(block_rc(&d, 1, 1, &err), -EINTR);
	desk_release(&d);
}

static void who_was_never_there_is_not_waited_for_long(void **state)
{
	struct desk d;
	struct err err = ERR_INIT;
	desk_open(&d, 50, 5000);
	const struct snapchain_options o = { .host = "127.0.0.1", .port = 1 };
	AUTO(snapchain_client_closep) struct snapchain_client *c = NULL;
	AUTO(buf_release) struct buf out = BUF_INIT(0);
	uint64_t began = clock_mono_ms();
	assert_int_equal(snapchain_client_open(d.loop, &o, 60000, NULL, &c, NULL), 0);
	assert_int_equal(snapchain_ask(c, CALL_TRIE, SLICE_EMPTY, false, 1000, &out, &err),
			 -EHOSTUNREACH);
	assert_true(clock_mono_ms() - began < 30000);
	assert_non_null(strstr(err.text, "refused"));
	snapchain_client_closep(&c);
	desk_release(&d);
}

static void an_answer_without_bounds_is_refused(void **state)
{
	struct desk d;
	desk_open(&d, 50, 5000);
	NODE_DOES(&d.node, d.node.filler = 100000);
	const struct snapchain_options o = { .host = "127.0.0.1", .port = d.node.port };
	AUTO(snapchain_client_closep) struct snapchain_client *c = NULL;
	AUTO(buf_release) struct buf out = BUF_INIT(0), request = BUF_INIT(100);
	assert_int_equal(snapchain_client_open(d.loop, &o, 5000, NULL, &c, NULL), 0);
	request_of_blocks(1, (struct range){ 1, 10 }, &request);
	assert_int_equal(
		snapchain_ask(c, CALL_GET_CHUNKS, buf_slice(&request), false, 200000, &out, NULL),
		-EMSGSIZE);
	assert_int_equal(
		snapchain_ask(c, CALL_GET_BLOCKS, buf_slice(&request), true, 200000, &out, NULL),
		-EMSGSIZE);
	assert_int_equal(snapchain_ask(c, CALL_TRIE, SLICE_EMPTY, false, 1000, &out, NULL),
			 -ENODATA);
	snapchain_client_closep(&c);
	desk_release(&d);
}

static void a_node_of_the_trie_is_read(void **state)
{
	AUTO(buf_release) struct buf m = BUF_INIT(1000), child = BUF_INIT(100);
	struct source_node t;
	const uint8_t prefix[] = { 1, 2, 13 };
	wire_put_bytes(&child, 1, SLICE_ARRAY(prefix));
	wire_put_varint(&child, 2, 7);
	wire_put_bytes(&child, 3, slice_str("00ff"));
	wire_put_varint(&m, 2, 9);
	wire_put_bytes(&m, 3, slice_str("a1b2c3"));
	wire_put_message(&m, 4, buf_slice(&child));
	assert_int_equal(node_read(buf_slice(&m), &t, NULL), 0);
	assert_int_equal(t.records, 9);
	assert_int_equal(t.hash_size, 3);
	assert_int_equal(t.hash[2], 0xc3);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(t.children[i].there, i == 13);
	assert_int_equal(t.children[13].records, 7);
	assert_int_equal(t.children[13].hash[1], 0xff);
	buf_clear(&child);
	wire_put_varint(&child, 2, 7);
	wire_put_message(&m, 4, buf_slice(&child));
	assert_int_equal(node_read(buf_slice(&m), &t, NULL), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_are_asked_for_in_windows_both_ways),
		cmocka_unit_test(what_may_come_out_is_tried_again_and_a_refusal_is_not),
		cmocka_unit_test(patience_ends_and_a_stop_ends_it_sooner),
		cmocka_unit_test(who_was_never_there_is_not_waited_for_long),
		cmocka_unit_test(an_answer_without_bounds_is_refused),
		cmocka_unit_test(a_node_of_the_trie_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
