#include "core/base/sign.h"
#include "core/checkpoint/bootstrap.h"
#include "core/checkpoint/recorded.h"
#include "proto/wire.h"
#include "tests/unit/tree_fixture.h"

#include <unistd.h>

/* A store that begins with a replicated state is the one that a full import makes, from that height
 * on; and a page that was touched makes none. */

#define RECORDED "tests/vectors/devnet-r"

static struct chain whole;

static int make_whole(void **state)
{
	trace_set_sink(fixture_silence, NULL);
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
	struct store_options options = { .holder = "test",
					 .sync_off = true,
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
		{ 'X', 0xff, 0 },
		{ 'X', 0x0a, 0 },
		{ 'X', 0x0b, 0 },
		{ 'X', 0x17, 0x68 },
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

/* ---- one who gives what was recorded, and lists, and lies ---- */

enum lie {
	LIE_NONE,
	LIE_BIT,
	LIE_CUT,
	LIE_EMPTY,
	LIE_OTHER,
	LIE_WITHOUT_ONE,
	LIE_ONE_TWICE,
	LIE_SWAPPED,
	LIE_CLAIM,
	LIE_TOKEN,
	LIE_TWO_ROOTS,
	LIE_ENDLESS,
	LIE_OTHER_SHARD,
	LIE_COUNT,
	LIE_SNAPSHOTS /* of the metadata */
};

#define SNAPSHOTS 100000

struct liar {
	struct recorded *recorded;
	struct replica honest;
	uint64_t height;
	enum lie lie;
	uint32_t shard, vshard; /* of the page */
	uint64_t seed;
	bool lied;
	unsigned asked;
};

static int metadata(void *arg, uint32_t shard, struct buf *out, struct err *err)
{
	struct liar *l = arg;
	static const uint8_t of_a_height[] = { 0x10, 1 };

	for (int i = 0; l->lie == LIE_SNAPSHOTS && i < SNAPSHOTS; i++)
		wire_put_message(out, 1, SLICE_ARRAY(of_a_height));
	return l->honest.metadata(l->honest.arg, shard, out, err);
}

static int block(void *arg, uint32_t shard, uint64_t height, struct buf *out, struct err *err)
{
	struct liar *l = arg;

	return l->honest.block(l->honest.arg, shard, height, out, err);
}

/* The lists of a node: by the state of the imported store. */
static int account(void *arg, uint32_t shard, uint64_t fid, unsigned list, struct slice token,
		   struct buf *out, struct err *err)
{
	static const char *const sets[] = { "casts",     "reactions",     "links", "link-compacts",
					    "user-data", "verifications", "lends", "fnames" };
	const struct chain_ops *ops = network_ops(whole.network);
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	struct liar *l = arg;
	struct slice key, value, rest;
	uint64_t object;
	size_t set = 0;

	if (list >= ARRAY_LEN(sets)) /* shard 0 has them, too */
		return err_set(err, -ENODATA, "no such list");
	while (strcmp(ops->sets[set].name, sets[list]) != 0)
		set++;
	ops->set_prefix(fid, ops->sets[set].id, &prefix);
	must(state_open(whole.network, shard, l->height, &st, err), err);
	must(state_scan_new(st, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY, false, &scan), NULL);
	while (state_scan_next(scan, &key, &value) == 1) {
		AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
		struct stat_record stat;
		struct slice bytes;

		must(ops->record_split(value, &object, &rest), NULL);
		assert_int_equal(network_stat(whole.network, object, &stat), 1);
		must(network_object_bytes(whole.network, &stat, &owner, &bytes, err), err);
		wire_put_message(out, 1, bytes);
	}
	return buf_done(out);
}

static uint64_t draw(struct liar *l, uint64_t below)
{
	l->seed = l->seed * 6364136223846793005u + 1442695040888963407u;
	return (l->seed >> 33) % below;
}

/* Fields of a page, to be put together again otherwise. */
struct parts {
	struct slice items[2000], claims[100], token;
	size_t item_count, claim_count;
};

static void take_apart(struct slice page, struct parts *out)
{
	struct wire w = wire_of(page);
	struct wire_field f;

	memset(out, 0, sizeof *out);
	while (wire_next(&w, &f)) {
		if (f.number == 1)
			out->items[out->item_count++] = f.bytes;
		else if (f.number == 2)
			out->claims[out->claim_count++] = f.bytes;
		else
			out->token = f.bytes;
	}
}

/* A bit of what something signs for: of a key, a message, a claim. Onchain events and names are
 * bound by their keys alone. */
static bool flip(struct liar *l, struct buf *page)
{
	struct wire w = wire_of(buf_slice(page));
	struct wire_field f, in;
	struct slice bound[2000];
	size_t count = 0;

	while (wire_next(&w, &f)) {
		struct wire inner = wire_of(f.bytes);

		if (f.number == 3)
			continue;
		while (wire_next(&inner, &in))
			if (count < ARRAY_LEN(bound) && in.bytes.n &&
			    (f.number == 2 || in.number <= 2))
				bound[count++] = in.bytes;
	}
	if (!count)
		return false;
	struct slice s = bound[draw(l, count)];
	size_t at = (size_t)(s.p - page->p) + draw(l, s.n);

	page->p[at] ^= (uint8_t)(1u << draw(l, 8));
	return true;
}

static bool tamper(struct liar *l, struct buf *page)
{
	static struct parts p;
	AUTO(buf_release) struct buf copy = BUF_INIT(BLOCK_SIZE_MAX);
	size_t one, other;

	if (l->lie == LIE_BIT)
		return flip(l, page);
	if (l->lie == LIE_CUT) {
		page->n -= 1 + draw(l, page->n - 1);
		return true;
	}
	if (l->lie == LIE_EMPTY) {
		buf_clear(page);
		return true;
	}
	buf_add(&copy, buf_slice(page));
	take_apart(buf_slice(&copy), &p);
	one = draw(l, p.item_count);
	other = draw(l, p.item_count);
	if (l->lie == LIE_SWAPPED && one == other)
		return false;
	if (l->lie == LIE_CLAIM)
		p.claims[p.claim_count++] = p.claims[0];
	if (l->lie == LIE_SWAPPED) {
		struct slice s = p.items[one];

		p.items[one] = p.items[other];
		p.items[other] = s;
	}
	buf_clear(page);
	for (size_t i = 0; i < p.item_count; i++)
		for (int times = l->lie == LIE_WITHOUT_ONE && i == one ? 0
				 : l->lie == LIE_ONE_TWICE && i == one ? 2
								       : 1;
		     times; times--)
			wire_put_message(page, 1, p.items[i]);
	for (size_t i = l->lie == LIE_CLAIM ? 2 : 0; i < p.claim_count; i++)
		wire_put_message(page, 2, p.claims[i]);
	if (l->lie == LIE_TWO_ROOTS)
		wire_put_message(page, 2, p.claims[0]);
	if (l->lie == LIE_TOKEN)
		wire_put_bytes(page, 3, SLICE("again", 5));
	return true;
}

static int page(void *arg, uint32_t shard, uint64_t height, uint32_t vshard, struct slice token,
		struct buf *out, struct err *err)
{
	struct liar *l = arg;
	bool mine = l->lie != LIE_NONE && shard == l->shard && vshard == l->vshard;

	if (mine && l->lie == LIE_OTHER)
		vshard = vshard == 26 ? 6 : 26;
	if (mine && l->lie == LIE_OTHER_SHARD)
		shard = 3 - shard;
	if (mine && l->lie == LIE_ENDLESS) { /* always another token, and never an item */
		char next[32];

		snprintf(next, sizeof next, "endless %u", l->asked++);
		l->lied = true;
		wire_put_bytes(out, 3, slice_str(next));
		return l->asked < SNAPSHOTS ? 0 : err_set(err, -ETIME, "nobody ended it");
	}
	if (token.n == 5 && memcmp(token.p, "again", 5) == 0)
		token = SLICE_EMPTY;
	int rc = l->honest.page(l->honest.arg, shard, height, vshard, token, out, err);

	if (rc == 0 && mine && (l->lie == LIE_OTHER || l->lie == LIE_OTHER_SHARD))
		l->lied = true;
	else if (rc == 0 && mine && out->n)
		l->lied |= tamper(l, out);
	return rc < 0 ? rc : buf_done(out);
}

static void liar_open(struct liar *l, const char *folder, uint64_t height)
{
	struct err err = ERR_INIT;

	*l = (struct liar){ .height = height };
	must(recorded_open(folder, chain_kind("snapchain"), &l->recorded, &err), &err);
	assert_int_equal(recorded_height(l->recorded), height);
	l->honest = recorded_replica(l->recorded);
}

static void liar_release(struct liar *l)
{
	recorded_closep(&l->recorded);
}

static struct replica replica_of(struct liar *l)
{
	return (struct replica){ l, metadata, page, block, account };
}

/* ---- what must hold ---- */

static const struct {
	const char *folder;
	uint64_t height;
	unsigned refused;
} states[] = {
	{ RECORDED "/replication", 340, 0 },
	{ RECORDED "/replication-with-keys", 640, 1 },
};

static void begins_like(const struct made *m, uint32_t shard, size_t i, bool hyper)
{
	AUTO(view_putp) struct view *v = network_view_get(m->chain.network);
	struct roots_row roots;

	assert_int_equal(v->shards[shard].begins, states[i].height);
	assert_int_equal(v->shards[shard].hyper_on, hyper);
	assert_int_equal(v->shards[shard].base_height, hyper ? states[i].height : 0);
	assert_int_equal(network_roots(whole.network, shard, states[i].height, &roots), 1);
	assert_true(chain_root_eq(&roots.legacy, &v->shards[shard].legacy));
	assert_int_equal(m->result.shards[shard].height, states[i].height);
	assert_int_equal(m->result.shards[shard].refused_pages, states[i].refused);
	assert_false(m->result.shards[shard].sequence_guessed);
}

static void a_bootstrapped_store_has_the_rows_of_an_imported_one(void **state)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < 2 * ARRAY_LEN(states); i++) {
		AUTO(liar_release) struct liar l;
		AUTO(made_release) struct made m;

		liar_open(&l, states[i / 2].folder, states[i / 2].height);
		struct replica from = replica_of(&l);

		must(make(&m, &from, states[i / 2].height, i % 2, &err), &err);
		for (uint32_t s = 1; s < 3; s++) {
			begins_like(&m, s, i / 2, i % 2);
			compare_rows(whole.network, m.chain.network, s, states[i / 2].height,
				     guessed);
			assert_int_equal(
				bootstrap_marked(m.chain.network, s, print_mark, NULL, &err),
				m.result.shards[s].guessed_accounts);
		}
	}
}

static void replay_goes_on_from_there_and_every_root_comes_out(void **state)
{
	struct err err = ERR_INIT;

	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		AUTO(liar_release) struct liar l;
		AUTO(made_release) struct made m;

		liar_open(&l, states[i].folder, states[i].height);
		struct replica from = replica_of(&l);

		must(make(&m, &from, states[i].height, true, &err), &err);
		chain_feed_all(&m.chain, -1);
		AUTO(view_putp) struct view *v = network_view_get(m.chain.network);

		for (uint32_t s = 0; s < 3; s++) {
			assert_int_equal(v->shards[s].replayed, 644);
			for (uint64_t h = s ? states[i].height : 1; h <= 644; h++) {
				struct roots_row a, b;

				assert_int_equal(network_roots(whole.network, s, h, &a), 1);
				assert_int_equal(network_roots(m.chain.network, s, h, &b), 1);
				assert_true(chain_root_eq(&a.legacy, &b.legacy));
			}
		}
		for (uint64_t h = states[i].height; h <= 644; h += 38)
			for (uint32_t s = 1; s < 3; s++)
				compare_rows(whole.network, m.chain.network, s, h, guessed);
		compare_rows(whole.network, m.chain.network, 1, 644, guessed);
	}
}

static void a_page_that_was_touched_is_refused_and_named(void **state)
{
	static const struct {
		uint32_t shard, vshard;
	} pages[] = {
		{ 1, 6 }, { 1, 26 }, { 1, 52 }, { 2, 7 }, { 2, 13 }, { 2, 21 },
	};
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 10) : 1;
	unsigned told = 0;

	print_message("seed %" PRIu64 "\n", seed);
	for (int lie = LIE_BIT; lie < LIE_COUNT; lie++) {
		for (int times = 0; times < 3; times++) {
			AUTO(liar_release) struct liar l;
			AUTO(made_release) struct made m;
			struct err err = ERR_INIT;
			char name[64];

			liar_open(&l, states[0].folder, states[0].height);
			l.seed = seed + (uint64_t)(100 * lie + times);
			size_t at = draw(&l, ARRAY_LEN(pages));

			l.lie = (enum lie)lie;
			l.shard = pages[at].shard;
			l.vshard = pages[at].vshard;
			struct replica from = replica_of(&l);
			int rc = make(&m, &from, states[0].height, false, &err);

			if (!l.lied) /* there was nothing to swap */
				continue;
			told++;
			snprintf(name, sizeof name, "shard %u", l.shard);
			if (rc >= 0 || !strstr(err.text, name))
				fail_msg("lie %d of %s: %s", lie, name, err_text(&err, rc));
			snprintf(name, sizeof name, "vshard %02x", l.vshard);
			/* Who is at home elsewhere may be in this shard, or not: its root alone
			 * tells. */
			if (lie != LIE_OTHER_SHARD && !strstr(err.text, name))
				fail_msg("lie %d of %s: %s", lie, name, err_text(&err, rc));
			assert_int_not_equal(access(m.chain.path, F_OK), 0);
		}
	}
	assert_true(told > 20);
}

static void a_block_that_nobody_signed_is_not_trusted(void **state)
{
	AUTO(liar_release) struct liar l;
	AUTO(made_release) struct made m;
	struct err err = ERR_INIT;

	liar_open(&l, states[0].folder, states[0].height);
	struct replica from = replica_of(&l);

	assert_int_equal(make(&m, &from, 341, false, &err), -ENODATA);
	made_release(&m);
	err = (struct err)ERR_INIT;
	/* Validators of another network. */
	AUTO(chain_release) struct chain other;

	chain_open(&other, "tests/vectors/devnet-a");
	struct bootstrap_options o = {
		.network = "net",
		.ops = chain_kind("snapchain"),
		.params = network_params_text(other.network),
		.sync_off = true,
	};
	char path[160];

	snprintf(path, sizeof path, "%s/none", other.path);
	m = (struct made){ .chain = { .archive = NULL } };
	assert_int_equal(bootstrap(&from, path, &o, NULL, &m.result, &err), -EKEYREJECTED);
	assert_int_not_equal(access(path, F_OK), 0);
}

/* Whoever makes the answer must not choose how long it takes to look through it. */
static void snapshots_without_end_are_refused_at_once(void **state)
{
	AUTO(liar_release) struct liar l;
	AUTO(made_release) struct made m;
	struct err err = ERR_INIT;

	liar_open(&l, states[0].folder, states[0].height);
	l.lie = LIE_SNAPSHOTS;
	struct replica from = replica_of(&l);

	alarm(60);
	assert_int_equal(make(&m, &from, 0, false, &err), -EMSGSIZE);
	alarm(0);
	assert_non_null(strstr(err.text, "shard 1"));
}

/* A key of shard 2 is used at 366. Its last use is guessed to be long ago: the block is replayed as
 * if it were not; without the mark it is a gap. */
static void a_wrong_guess_is_put_right_by_the_root_that_is_signed(void **state)
{
	static const uint8_t used[] = { 'X', 0x17, 0x68 }, long_ago[] = { 0, 0, 0, 1 };

	for (int marked = 0; marked < 2; marked++) {
		AUTO(chain_release) struct chain c;
		AUTO(commit_freep) struct commit *commit = NULL;
		AUTO(state_freep) struct state *st = NULL;
		struct err err = ERR_INIT;
		struct slice key, value;
		uint8_t name[64], mark[6] = { 'X', 0xff };
		size_t size;

		chain_open(&c, RECORDED);
		chain_feed(&c, 2, 1, 365, 0);
		must(commit_new(c.network, &commit), &err);
		must(state_open(c.network, 2, UINT64_MAX, &st, &err), &err);
		{
			AUTO(state_scan_freep) struct state_scan *scan = NULL;

			must(state_scan_new(st, SPACE_BOTH, SLICE_ARRAY(used), SLICE_EMPTY, false,
					    &scan),
			     NULL);
			assert_int_equal(state_scan_next(scan, &key, &value), 1);
			size = key.n;
			memcpy(name, key.p, size);
			memcpy(mark + 2, key.p + 3, 4);
		}
		must(state_block_begin(st, 365), NULL);
		must(state_put(st, SPACE_BOTH, SLICE(name, size), SLICE_ARRAY(long_ago), false),
		     NULL);
		if (marked)
			must(state_put(st, SPACE_BOTH, SLICE_ARRAY(mark), SLICE("\2", 1), false),
			     NULL);
		must(state_block_end(st), NULL);
		must(commit_state(commit, st), NULL);
		must(commit_apply(commit, &err), &err);
		state_freep(&st);
		commit_freep(&commit);
		assert_int_equal(bootstrap_marked(c.network, 2, print_mark, NULL, &err), marked);
		chain_feed(&c, 2, 366, ALL, -1);
		AUTO(view_putp) struct view *v = network_view_get(c.network);

		assert_int_equal(v->shards[2].replayed, marked ? 644 : 365);
		if (marked) {
			struct block_row row;

			assert_int_equal(network_block(c.network, 2, 366, &row), 1);
			assert_non_null(strstr(row.levels[LEVEL_ACCOUNTS].reason, "bootstrap"));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bootstrapped_store_has_the_rows_of_an_imported_one),
		cmocka_unit_test(replay_goes_on_from_there_and_every_root_comes_out),
		cmocka_unit_test(a_page_that_was_touched_is_refused_and_named),
		cmocka_unit_test(a_wrong_guess_is_put_right_by_the_root_that_is_signed),
		cmocka_unit_test(a_block_that_nobody_signed_is_not_trusted),
		cmocka_unit_test(snapshots_without_end_are_refused_at_once),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
