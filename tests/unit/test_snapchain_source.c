/* A node as a source, against a node of the test's own (node_lab.h), over sockets. */
#include "net/grpc.h"
#include "net/snapchain_source.h"

#include "tests/unit/node_lab.h"

#define WAIT_MS 10000u

/* What the listener was told; all of it happens on the loop. */
struct watch {
	struct loop *loop;
	struct source *source;
	struct snapchain_options options;
	struct node *node;
	unsigned close_at; /* the call of the listener within which it closes the source */

	pthread_mutex_t watch_lock; /* guards the rest; a leaf */
	pthread_cond_t cond;
	unsigned calls;
	struct range offers[NODE_SHARDS];
	struct source_words words;
	unsigned faults[FAULT_KIND_COUNT];
	char fault[256];
	unsigned came, failed, blocks[NODE_SHARDS];
	uint64_t last[NODE_SHARDS];
	bool wrong; /* a block that is not the node's, or out of order */
	enum fault_kind failure;
	char sentence[256];
	unsigned nodes; /* answers about its trie, and the last */
	uint64_t node_request, node_records;
	int node_rc;
};

static void told(struct watch *w)
{
	unsigned calls;
	{
		LOCKED(&w->watch_lock);
		pthread_cond_broadcast(&w->cond);
		calls = ++w->calls;
	}
	if (calls == w->close_at && w->source)
		snapchain_source_ops.close(TAKE(w->source));
}

static void on_changed(void *arg)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		if (w->source)
			snapchain_source_ops.words(w->source, &w->words);
	}
	told(w);
}

static void on_offers(void *arg, uint32_t shard, struct range has)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		w->offers[shard] = has;
	}
	told(w);
}

/* Requests' numbers are those of their shards. */
static void on_block(void *arg, uint64_t request, struct buf *received)
{
	struct watch *w = arg;
	uint32_t shard = (uint32_t)request % 10;
	{
		LOCKED(&w->watch_lock);
		AUTO(buf_release) struct buf same = BUF_INIT(16u << 20);
		uint64_t height = block_height_of(buf_slice(received));
		node_block(w->node, shard, height, &same);
		w->wrong = w->wrong || !slice_eq(buf_slice(&same), buf_slice(received)) ||
			   height <= w->last[shard];
		w->last[shard] = height;
		w->blocks[shard]++;
	}
	buf_release(received);
	told(w);
}

static void on_came(void *arg, uint64_t request)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		w->came++;
	}
	told(w);
}

static void on_failed(void *arg, uint64_t request, enum fault_kind fault, const char *sentence)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		w->failed++;
		w->failure = fault;
		snprintf(w->sentence, sizeof w->sentence, "%s", sentence);
	}
	told(w);
}

static void on_fault(void *arg, enum fault_kind fault, const char *sentence)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		w->faults[fault]++;
		snprintf(w->fault, sizeof w->fault, "%s", sentence);
	}
	told(w);
}

static void on_node(void *arg, uint64_t request, int rc, const struct source_node *node,
		    const char *sentence)
{
	struct watch *w = arg;
	{
		LOCKED(&w->watch_lock);
		w->nodes++;
		w->node_request = request;
		w->node_rc = rc;
		w->node_records = node ? node->records : 0;
	}
	told(w);
}

static struct source_listener listener_of(struct watch *w)
{
	return (struct source_listener){ w,       on_changed, on_offers, on_block,
					 on_came, on_failed,  on_fault, on_node };
}

static void do_open(void *arg)
{
	struct watch *w = arg;
	const struct source_listener to = listener_of(w);
	assert_int_equal(snapchain_source_open(w->loop, &w->options, &to, &w->source, NULL), 0);
}

static void do_close(void *arg)
{
	struct watch *w = arg;
	if (w->source)
		snapchain_source_ops.close(TAKE(w->source));
}

static void watch_open(struct watch *w, struct node *n)
{
	assert_int_equal(loop_open("test", &w->loop, NULL), 0);
	w->node = n;
	w->options.host = "127.0.0.1";
	w->options.port = n->port;
	w->options.shard_count = NODE_SHARDS;
	pthread_mutex_init(&w->watch_lock, NULL);
	pthread_cond_init(&w->cond, NULL);
	assert_int_equal(loop_call(w->loop, do_open, w), 0);
}

static void watch_release(struct watch *w)
{
	assert_int_equal(loop_call(w->loop, do_close, w), 0);
	loop_closep(&w->loop);
	pthread_cond_destroy(&w->cond);
	pthread_mutex_destroy(&w->watch_lock);
}

struct order {
	struct watch *w;
	uint64_t request;
	uint32_t shard;
	struct range range;
	uint64_t bytes_max;
	uint32_t timeout_ms;
	bool cancel;
};

static void do_fetch(void *arg)
{
	struct order *o = arg;
	if (!o->w->source)
		return;
	snapchain_source_ops.fetch(o->w->source, o->request, o->shard, o->range, o->bytes_max,
				   o->timeout_ms);
	if (o->cancel)
		snapchain_source_ops.cancel(o->w->source, o->request);
}

static void ask(struct watch *w, uint32_t shard, uint64_t first, uint64_t end, uint64_t bytes_max,
		uint32_t timeout_ms)
{
	struct order o = { w, shard, shard, { first, end }, bytes_max, timeout_ms, false };
	assert_int_equal(loop_call(w->loop, do_fetch, &o), 0);
}

/* Waits until it is so; the test fails when it does not come to that. */
#define EVENTUALLY(w, condition)                                                             \
	do {                                                                                 \
		bool so_ = false;                                                            \
		struct timespec until_;                                                      \
		clock_gettime(CLOCK_REALTIME, &until_);                                      \
		until_.tv_sec += WAIT_MS / 1000;                                             \
		int rc_ = 0;                                                                 \
		pthread_mutex_lock(&(w)->watch_lock);                                        \
		while (!(so_ = (condition)) && rc_ == 0)                                     \
			rc_ = pthread_cond_timedwait(&(w)->cond, &(w)->watch_lock, &until_); \
		pthread_mutex_unlock(&(w)->watch_lock);                                      \
		if (!so_)                                                                    \
			fail_msg("it does not come to: %s (fault \"%s\", sentence \"%s\", "  \
				 "remark \"%s\")",                                           \
				 #condition, (w)->fault, (w)->sentence, (w)->words.remark);  \
	} while (0)

/* ---- tests ---- */

static void blocks_come_as_the_node_has_them(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 200);
	n.filler = 5000;
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[0].end == 201 && w.offers[2].end == 201);
	assert_int_equal(w.offers[1].first, 1);
	assert_true(w.words.connected);
	assert_string_equal(w.words.version, "0.14.2");
	assert_string_equal(w.words.peer, "12D3KooWtest");
	for (uint32_t s = 0; s < NODE_SHARDS; s++)
		ask(&w, s, 1, 201, 64u << 20, 10000);
	EVENTUALLY(&w, w.came == 3);
	for (uint32_t s = 0; s < NODE_SHARDS; s++)
		assert_int_equal(w.blocks[s], 200);
	assert_false(w.wrong);
	assert_int_equal(w.failed, 0);
	/* Beyond the head: nothing, and that is no failure. */
	ask(&w, 1, 300, 310, 1u << 20, 10000);
	EVENTUALLY(&w, w.came == 4);
	watch_release(&w);
	node_release(&n);
}

static void an_answer_over_what_was_asked_is_a_fault(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 100);
	n.filler = 1000;
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[2].end == 101);
	ask(&w, 0, 1, 50, 3000, 10000);
	EVENTUALLY(&w, w.failed == 1);
	assert_int_equal(w.failure, FAULT_PROTOCOL);
	ask(&w, 1, 1, 50, 3000, 10000);
	EVENTUALLY(&w, w.failed == 2);
	assert_int_equal(w.failure, FAULT_PROTOCOL);
	NODE_DOES(&n, n.extra = 2);
	for (uint32_t s = 0; s < 2; s++) {
		unsigned before = w.blocks[s];
		ask(&w, s, 60, 70, 1u << 20, 10000);
		EVENTUALLY(&w, w.failed == 3 + s);
		assert_int_equal(w.failure, FAULT_PROTOCOL);
		assert_non_null(strstr(w.sentence, "more blocks"));
		assert_int_equal(w.blocks[s] - before, 10);
	}
	NODE_DOES(&n, n.extra = 0; n.garbage = true);
	ask(&w, 2, 60, 70, 1u << 20, 10000);
	EVENTUALLY(&w, w.failed == 5);
	assert_int_equal(w.failure, FAULT_PROTOCOL);
	/* All of it on one connection: only the streams were at fault. */
	assert_int_equal(NODE_HAS(&n, connections), 1);
	watch_release(&w);
	node_release(&n);
}

static void what_is_pruned_there_is_not_offered(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 1000);
	n.first[0] = 500;
	n.first[1] = 777;
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[1].end == 1001);
	/* All of it is missing: where it begins is looked for. */
	ask(&w, 1, 1, 65, 1u << 20, 10000);
	EVENTUALLY(&w, w.came == 1 && w.offers[1].first == 777);
	assert_int_equal(w.blocks[1], 0);
	assert_true(NODE_HAS(&n, asked) < 14);
	/* The answer begins late. */
	ask(&w, 0, 490, 510, 1u << 20, 10000);
	EVENTUALLY(&w, w.came == 2 && w.offers[0].first == 500);
	EVENTUALLY(&w, strstr(w.words.remark, "shard 0: heights below 500 are pruned there; "
					      "shard 1: heights below 777 are pruned there"));
	assert_int_equal(w.offers[2].first, 1);
	watch_release(&w);
	node_release(&n);
}

static void an_event_wakes_and_its_block_is_waited_for(void **state)
{
	struct node n;
	struct watch w = { .options = { .poll_ms = 60000 } };
	node_init(&n, 10);
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[1].end == 11);
	for (unsigned i = 0; i < 1000 && !NODE_HAS(&n, events); i++)
		poll(NULL, 0, 5);
	assert_int_equal(NODE_HAS(&n, events), 1);
	NODE_DOES(&n, n.max[1] = 11; n.max[0] = 11; n.hidden = 4; n.event[0][0] = 1;
		  n.event[0][1] = 11; n.event_count = 1);
	EVENTUALLY(&w, w.offers[1].end == 12);
	ask(&w, 1, 11, 12, 1u << 20, 10000);
	EVENTUALLY(&w, w.came == 1);
	/* The first four answers were empty. */
	assert_int_equal(w.blocks[1], 1);
	/* The main shard tells no events, and is looked at all the same. */
	EVENTUALLY(&w, w.offers[0].end == 12);
	/* An event far ahead is not believed. */
	NODE_DOES(&n, n.event[1][0] = 1; n.event[1][1] = UINT64_C(1) << 60; n.event_count = 2);
	NODE_DOES(&n, n.max[2] = 12; n.event[2][0] = 2; n.event[2][1] = 12; n.event_count = 3);
	EVENTUALLY(&w, w.offers[2].end == 13);
	assert_int_equal(w.offers[1].end, 12);
	watch_release(&w);
	node_release(&n);
}

static void a_node_that_restarts_is_met_again(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 50);
	n.filler = 1u << 20;
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[0].end == 51);
	ask(&w, 0, 1, 51, 64u << 20, 10000);
	NODE_DOES(&n, n.hang_up = true; n.version = "0.15.0"; n.max[1] = 40);
	EVENTUALLY(&w, w.faults[FAULT_BROKEN] == 1 && w.failed + w.came == 1);
	EVENTUALLY(&w, w.words.connected && strcmp(w.words.version, "0.15.0") == 0);
	EVENTUALLY(&w, strstr(w.words.remark, "changed from 0.14.2 to 0.15.0"));
	/* Told twice, it is believed that a head went back. */
	EVENTUALLY(&w, w.offers[1].end == 41 && strstr(w.words.remark, "went back from 50 to 40"));
	assert_int_equal(w.failed + w.came, 1);
	assert_int_equal(NODE_HAS(&n, connections), 2);
	watch_release(&w);
	node_release(&n);
}

static void a_silent_node_is_found_out(void **state)
{
	struct node n;
	struct watch w = { .options = { .silent_ms = 400, .poll_ms = 50 } };
	node_init(&n, 50);
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[0].end == 51);
	NODE_DOES(&n, n.silent = true);
	ask(&w, 1, 1, 51, 1u << 20, 60000);
	EVENTUALLY(&w, w.faults[FAULT_TIMEOUT] && w.failed == 1);
	assert_non_null(strstr(w.fault, "silent, also to a PING"));
	assert_false(w.words.connected);
	NODE_DOES(&n, n.silent = false);
	EVENTUALLY(&w, w.words.connected);
	watch_release(&w);
	node_release(&n);
}

static void refusals_and_deadlines_are_told(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 50);
	node_start(&n);
	watch_open(&w, &n);
	ask(&w, 1, 1, 10, 1u << 20, 10000);
	EVENTUALLY(&w, w.failed == 1 && w.failure == FAULT_BROKEN);
	assert_non_null(strstr(w.sentence, "not connected"));
	EVENTUALLY(&w, w.offers[1].end == 51);
	NODE_DOES(&n, n.status = GRPC_INTERNAL);
	ask(&w, 1, 1, 10, 1u << 20, 10000);
	EVENTUALLY(&w, w.failed == 2);
	assert_int_equal(w.failure, FAULT_BROKEN);
	assert_string_equal(w.sentence, "INTERNAL: refused, because \"of\" \\xc3\\xa4");
	NODE_DOES(&n, n.status = 0; n.reset = true);
	ask(&w, 1, 1, 10, 1u << 20, 10000);
	EVENTUALLY(&w, w.failed == 3);
	assert_int_equal(w.failure, FAULT_BROKEN);
	NODE_DOES(&n, n.reset = false; n.silent = true);
	ask(&w, 1, 1, 10, 1u << 20, 50);
	EVENTUALLY(&w, w.failed == 4);
	assert_int_equal(w.failure, FAULT_TIMEOUT);
	NODE_DOES(&n, n.silent = false);
	/* What was taken back is not told of; what is asked after it is. */
	struct order o = { &w, 1, 1, { 1, 10 }, 1u << 20, 10000, true };
	assert_int_equal(loop_call(w.loop, do_fetch, &o), 0);
	ask(&w, 2, 1, 10, 1u << 20, 10000);
	EVENTUALLY(&w, w.came == 1);
	assert_int_equal(w.blocks[1], 0);
	assert_int_equal(w.blocks[2], 9);
	/* Goodbye: the next connection serves on. */
	NODE_DOES(&n, n.goaway = true);
	EVENTUALLY(&w, w.faults[FAULT_BROKEN] >= 1 && w.words.connected);
	watch_release(&w);
	node_release(&n);
}

static void a_listener_may_close_within_any_call(void **state)
{
	for (unsigned at = 1; at < 60; at++) {
		struct node n;
		struct watch w = { .close_at = at, .options = { .poll_ms = 20 } };
		node_init(&n, 20);
		n.first[0] = 5;
		node_start(&n);
		watch_open(&w, &n);
		for (uint32_t s = 0; s < NODE_SHARDS; s++)
			ask(&w, s, 1, 21, 1u << 20, 10000);
		EVENTUALLY(&w, w.calls >= MIN(at, 4u));
		for (uint32_t s = 0; s < NODE_SHARDS; s++)
			ask(&w, s, 1, 21, 1u << 20, 10000);
		NODE_DOES(&n, n.hang_up = at % 5 == 0);
		EVENTUALLY(&w, w.calls >= MIN(at, 10u));
		watch_release(&w);
		node_release(&n);
	}
}

static void nobody_there_is_a_fault_and_tried_again(void **state)
{
	struct node n;
	struct watch w = { 0 };
	node_init(&n, 50);
	close(n.listener);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.faults[FAULT_BROKEN] == 1);
	assert_non_null(strstr(w.fault, "connection refused"));
	node_listen(&n);
	node_start(&n);
	EVENTUALLY(&w, w.words.connected);
	watch_release(&w);
	node_release(&n);
}

static void do_node(void *arg)
{
	static const uint8_t prefix[] = { 0x1e, 0, 0 };
	struct order *o = arg;
	if (o->w->source)
		snapchain_source_ops.node(o->w->source, o->request, o->shard, SLICE_ARRAY(prefix),
					  o->timeout_ms);
}

static void a_node_of_its_trie_is_told_once_for_each_request(void **state)
{
	struct node n;
	struct watch w = { .options = { .silent_ms = 400, .poll_ms = 50 } };
	struct order o = { .w = &w, .request = 7, .shard = 1, .timeout_ms = 10000 };
	node_init(&n, 10);
	node_start(&n);
	watch_open(&w, &n);
	EVENTUALLY(&w, w.offers[2].end == 11);
	assert_int_equal(loop_call(w.loop, do_node, &o), 0);
	EVENTUALLY(&w, w.nodes == 1);
	assert_int_equal(w.node_rc, -ENODATA);
	NODE_DOES(&n, n.trie_records = 9);
	o.request = 8;
	assert_int_equal(loop_call(w.loop, do_node, &o), 0);
	EVENTUALLY(&w, w.nodes == 2);
	assert_int_equal(w.node_rc, 0);
	assert_int_equal(w.node_request, 8);
	assert_int_equal(w.node_records, 9);
	/* A connection that ends answers for it. */
	NODE_DOES(&n, n.silent = true);
	o.request = 9;
	assert_int_equal(loop_call(w.loop, do_node, &o), 0);
	EVENTUALLY(&w, w.nodes == 3);
	assert_int_equal(w.node_rc, -EHOSTUNREACH);
	assert_int_equal(w.node_request, 9);
	watch_release(&w);
	node_release(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_as_the_node_has_them),
		cmocka_unit_test(an_answer_over_what_was_asked_is_a_fault),
		cmocka_unit_test(what_is_pruned_there_is_not_offered),
		cmocka_unit_test(an_event_wakes_and_its_block_is_waited_for),
		cmocka_unit_test(a_node_that_restarts_is_met_again),
		cmocka_unit_test(a_silent_node_is_found_out),
		cmocka_unit_test(refusals_and_deadlines_are_told),
		cmocka_unit_test(a_listener_may_close_within_any_call),
		cmocka_unit_test(nobody_there_is_a_fault_and_tried_again),
		cmocka_unit_test(a_node_of_its_trie_is_told_once_for_each_request),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
