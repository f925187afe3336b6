#include "core/base/sign.h"
#include "core/checkpoint/bootstrap.h"
#include "core/checkpoint/recorded.h"
#include "tests/unit/tree_fixture.h"

#include <unistd.h>

/* A store that begins with a replicated state is the one that a full import makes, from that height
 * on; and a page that was touched makes none. */

#define RECORDED "/work/shared/vectors/snapchain/devnet-r"

static bool absent(void)
{
	if (access(RECORDED "/network.json", R_OK) == 0)
		return false;
	print_message("%s is not there: skipped\n", RECORDED);
	return true;
}

static struct chain whole;

static int make_whole(void **state)
{
	trace_set_sink(fixture_silence, NULL);
	if (absent())
		return 0;
	chain_open(&whole, RECORDED);
	chain_feed_all(&whole, 1);
	return 0;
}

static int drop_whole(void **state)
{
	chain_release(&whole);
	return 0;
}

/* ---- a store made of a replica ---- */

struct made {
	struct chain chain;
	char parent[128];
	struct bootstrap_result result;
};

static int make(struct made *m, const struct replica *from, uint64_t height, bool hyper,
		struct err *err)
{
	struct store_options options = { .holder = "test", .sync_off = true,
					 .cache_size = 8u << 20 };
	struct bootstrap_options o = {
		.network = "net",
		.ops = chain_kind("snapchain"),
		.params = network_params_text(whole.network),
		.trust = "config",
		.hyper = hyper,
		.sync_off = true,
		.height = height,
	};

	*m = (struct made){ .chain = { .archive = RECORDED } };
	fixture_folder(m->parent);
	snprintf(m->chain.path, sizeof m->chain.path, "%.100s/st", m->parent);
	int rc = bootstrap(from, m->chain.path, &o, NULL, &m->result, err);

	if (rc < 0)
		return rc;
	must(store_open(m->chain.path, &options, &m->chain.store, err), err);
	m->chain.network = store_network_find(m->chain.store, "net");
	assert_non_null(m->chain.network);
	return 0;
}

static void made_release(struct made *m)
{
	chain_release(&m->chain);
	if (m->parent[0])
		fixture_remove(m->parent);
}

/* ---- row by row ---- */

struct rows {
	struct state *state;
	struct state_scan *scan;
	struct slice key, value;
	int more;
};

static void rows_open(struct rows *r, struct network *n, uint32_t shard, uint64_t height)
{
	struct err err = ERR_INIT;

	*r = (struct rows){ .more = 0 };
	must(state_open(n, shard, height, &r->state, &err), &err);
	must(state_scan_new(r->state, SPACE_BOTH, SLICE_EMPTY, SLICE_EMPTY, false, &r->scan), NULL);
}

static void rows_step(struct rows *r)
{
	r->more = state_scan_next(r->scan, &r->key, &r->value);
	assert_true(r->more >= 0);
}

static void rows_close(struct rows *r)
{
	state_scan_freep(&r->scan);
	state_freep(&r->state);
}

static void show(const char *what, struct slice key, struct slice value)
{
	char k[129] = "", v[129] = "";

	hex_put(k, key.p, MIN(key.n, 64));
	hex_put(v, value.p, MIN(value.n, 64));
	print_message("%s %s = %s\n", what, k, v);
}

/* Rows that differ; kinds of which nobody said that they may are a failure. */
static size_t compare_rows(struct network *a, struct network *b, uint32_t shard, uint64_t height,
			   bool (*may)(struct slice key))
{
	const struct chain_ops *ops = network_ops(a);
	struct rows x, y;
	size_t differ = 0, bad = 0, count = 0;

	rows_open(&x, a, shard, height);
	rows_open(&y, b, shard, height);
	rows_step(&x);
	rows_step(&y);
	while (x.more || y.more) {
		int c = !x.more ? 1 : !y.more ? -1 : slice_cmp(x.key, y.key);
		struct slice key = c <= 0 ? x.key : y.key;
		struct slice v = x.value, w = y.value;
		uint64_t object;

		count++;
		if (c == 0 && ops->row_kind(key) == CHAIN_ROW_RECORD) {
			must(ops->record_split(x.value, &object, &v), NULL);
			must(ops->record_split(y.value, &object, &w), NULL);
		}
		if (c || !slice_eq(v, w)) {
			differ++;
			if (!may(key)) {
				bad++;
				if (c <= 0)
					show("imported    ", x.key, x.value);
				if (c >= 0)
					show("bootstrapped", y.key, y.value);
			}
		}
		if (c <= 0)
			rows_step(&x);
		if (c >= 0)
			rows_step(&y);
	}
	rows_close(&x);
	rows_close(&y);
	print_message("shard %u height %" PRIu64 ": %zu rows, %zu differ\n", shard, height, count,
		      differ);
	assert_int_equal(bad, 0);
	assert_true(count > 0);
	return differ;
}

/* Marks; fname markers and renewed fnames; last uses of gasless keys. */
static bool guessed(struct slice key)
{
	static const uint8_t kinds[][3] = {
		{ 'X', 0xff, 0 }, { 'X', 0x0a, 0 }, { 'X', 0x0b, 0 }, { 'X', 0x17, 0x68 },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_starts(key, SLICE(kinds[i], kinds[i][2] ? 3 : 2)))
			return true;
	return false;
}

static int print_mark(void *arg, uint64_t account, const char *text)
{
	print_message("  account %" PRIu64 ": %s\n", account, text);
	return 0;
}

static void a_bootstrapped_store_has_the_rows_of_an_imported_one(void **state)
{
	struct err err = ERR_INIT;

	if (absent())
		return;
	for (int hyper = 0; hyper < 2; hyper++) {
		AUTO(recorded_closep) struct recorded *r = NULL;
		AUTO(made_release) struct made m;

		must(recorded_open(RECORDED "/replication", chain_kind("snapchain"), &r, &err),
		     &err);
		assert_int_equal(recorded_height(r), 340);
		struct replica from = recorded_replica(r);

		must(make(&m, &from, recorded_height(r), hyper, &err), &err);
		for (uint32_t s = 1; s < 3; s++) {
			compare_rows(whole.network, m.chain.network, s, 340, guessed);
			assert_int_equal(m.result.shards[s].height, 340);
			assert_false(m.result.shards[s].sequence_guessed);
			assert_int_equal(bootstrap_marked(m.chain.network, s, print_mark, NULL, &err),
					 m.result.shards[s].guessed_accounts);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bootstrapped_store_has_the_rows_of_an_imported_one),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
