/* A state on a store answers as a model that keeps the whole table at each height: block by block,
 * with aborts, commits, reopening, rollbacks, and with the collector taking away what lies behind a
 * random horizon. Nothing readable at or above the horizon ever changes. */
#include "core/store/db.h"
#include "core/store/inside.h"
#include "core/store/state.h"
#include "tests/support/store_fixture.h"

#define KEYS     12
#define HEIGHTS  90
#define SHARD    1u
#define VALUE_SIZE 12

struct cell {
	bool    there;
	uint8_t value[VALUE_SIZE];
};

struct table {
	struct cell cells[2][KEYS]; /* by space: both, hyper */
};

struct line { /* one branch, as a table a height */
	struct table at[HEIGHTS + 1];
	uint64_t     tip;
};

struct world {
	struct fixture  f;
	struct random   r;
	struct state   *st;
	struct commit  *commit;
	struct line line, abandoned; /* the current branch, and the one before the last rollback */
	uint32_t        branch, abandoned_branch;
	bool            has_abandoned;   /* and a view of it, so that it can be read */
	struct view    *abandoned_view;
	uint64_t        stored;          /* height that the store has */
	uint64_t        kept_from;
};

static struct slice key_of(size_t k, uint8_t bytes[4])
{
	/* Keys that are prefixes of each other and hold the bytes that escaping is about. */
	static const struct {
		uint8_t bytes[4], size;
	} keys[KEYS] = {
		{ { 0 }, 0 },       { { 0 }, 1 },          { { 0, 0 }, 2 }, { { 0, 1 }, 2 },
		{ { 0, 0xff }, 2 }, { { 1 }, 1 },          { { 1, 0 }, 2 }, { { 1, 0, 0 }, 3 },
		{ { 1, 1 }, 2 },    { { 1, 0xff, 1 }, 3 }, { { 0xff }, 1 }, { { 0xff, 0xff }, 2 },
	};
	memcpy(bytes, keys[k].bytes, 4);
	return SLICE(bytes, keys[k].size);
}

static enum space space_of(size_t i)
{
	return i ? SPACE_HYPER : SPACE_BOTH;
}

/* ---- checking ---- */

static void expect_cell(int rc, struct slice got, const struct cell *wanted)
{
	assert_int_equal(rc, wanted->there);
	assert_true(!wanted->there || slice_eq(got, SLICE_ARRAY(wanted->value)));
}

static const struct cell *merged(const struct table *t, unsigned spaces, size_t k)
{
	if (spaces & SPACE_HYPER && t->cells[1][k].there)
		return &t->cells[1][k];
	if (spaces & SPACE_BOTH && t->cells[0][k].there)
		return &t->cells[0][k];
	return NULL;
}

static void check_scan(struct world *w, struct state *st, const struct table *t, bool with_block)
{
	static const unsigned choices[] = { SPACES_LEGACY, SPACES_HYPER, SPACE_HYPER };
	unsigned spaces = choices[random_below(&w->r, 3)];
	uint8_t bytes[4], prefix_bytes[4], from_bytes[4];
	struct slice whole = key_of(random_below(&w->r, KEYS), prefix_bytes), key, value;
	struct slice prefix = slice_sub(whole, 0, random_below(&w->r, whole.n + 1));
	struct slice from = random_chance(&w->r, 60)
				    ? SLICE_EMPTY
				    : key_of(random_below(&w->r, KEYS), from_bytes);
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	AUTO(buf_release) struct buf start = BUF_INIT(64);

	buf_add(&start, prefix);
	buf_add(&start, from);
	assert_int_equal(state_scan_new(st, spaces, prefix, from, with_block, &s), 0);
	for (size_t k = 0; k < KEYS; k++) {
		struct slice name = key_of(k, bytes);
		const struct cell *wanted = merged(t, spaces, k);

		if (!wanted || !slice_starts(name, prefix) ||
		    slice_cmp(name, buf_slice(&start)) < 0)
			continue;
		assert_int_equal(state_scan_next(s, &key, &value), 1);
		assert_true(slice_eq(key, name));
		assert_true(slice_eq(value, SLICE_ARRAY(wanted->value)));
	}
	assert_int_equal(state_scan_next(s, &key, &value), 0);
}

static void check_gets(struct world *w, struct state *st, const struct table *committed,
		       const struct table *block, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t space = random_below(&w->r, 2), k = random_below(&w->r, KEYS);
		uint8_t bytes[4];
		struct slice key = key_of(k, bytes), value = SLICE_EMPTY;

		if (block)
			expect_cell(state_get(st, space_of(space), key, &value), value,
				    &block->cells[space][k]);
		expect_cell(state_get_committed(st, space_of(space), key, &value), value,
			    &committed->cells[space][k]);
	}
}

static void check_height(struct world *w, uint32_t branch, const struct line *line, uint64_t height)
{
	AUTO(state_freep) struct state *st = NULL;
	const struct table *t = &line->at[MIN(height, line->tip)];

	assert_int_equal(state_open_at(w->f.network, branch, SHARD, height, &st, NULL), 0);
	check_gets(w, st, t, NULL, 2 * KEYS);
	check_scan(w, st, t, false);
}

static void check_history(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		uint64_t height = w->kept_from + random_below(&w->r, w->stored - w->kept_from + 1);

		check_height(w, w->branch, &w->line, height);
	}
	if (w->has_abandoned)
		check_height(w, w->abandoned_branch, &w->abandoned,
			     w->kept_from +
				     random_below(&w->r, w->abandoned.tip - w->kept_from + 1));
}

/* ---- moving on ---- */

static void open_state(struct world *w)
{
	state_freep(&w->st);
	assert_int_equal(state_open(w->f.network, SHARD, UINT64_MAX, &w->st, NULL), 0);
}

static void apply(struct world *w)
{
	struct err err = ERR_INIT;

	assert_int_equal(commit_state(w->commit, w->st), 0);
	commit_view(w->commit)->shards[SHARD].replayed = w->line.tip;
	if (commit_apply(w->commit, &err) < 0)
		fail_msg("%s", err.text);
	w->stored = w->line.tip;
	assert_int_equal(state_run_bytes(w->st), 0);
}

static void write_one(struct world *w, struct table *block, const struct table *before)
{
	size_t space = random_below(&w->r, 2), k = random_below(&w->r, KEYS);
	struct cell *cell = &block->cells[space][k];
	uint8_t bytes[4];
	struct slice key = key_of(k, bytes);

	if (random_chance(&w->r, 35)) {
		assert_int_equal(state_delete(w->st, space_of(space), key, REASON_PRUNED), 0);
		*cell = (struct cell){ .there = false };
		return;
	}
	/* fresh is promised only where nothing is, and even then not always. */
	bool fresh = !before->cells[space][k].there && !cell->there && random_chance(&w->r, 50);

	cell->there = true;
	random_bytes(&w->r, cell->value, VALUE_SIZE);
	assert_int_equal(state_put(w->st, space_of(space), key, SLICE_ARRAY(cell->value), fresh),
			 0);
}

static void one_block(struct world *w)
{
	const struct table *before = &w->line.at[w->line.tip];
	struct table *block = &w->line.at[w->line.tip + 1];
	size_t writes = random_below(&w->r, 8);

	*block = *before;
	assert_int_equal(state_block_begin(w->st, w->line.tip + 1), 0);
	for (size_t i = 0; i < writes; i++) {
		write_one(w, block, before);
		check_gets(w, w->st, before, block, 2);
		if (random_chance(&w->r, 20)) {
			bool with_block = random_chance(&w->r, 50);

			check_scan(w, w->st, with_block ? block : before, with_block);
		}
	}
	if (random_chance(&w->r, 15)) {
		state_block_abort(w->st);
		check_scan(w, w->st, before, true);
		return;
	}
	assert_int_equal(state_block_end(w->st), 0);
	w->line.tip++;
	check_gets(w, w->st, block, block, 2);
}

/* Nobody reads the line that was left any more. */
static void let_go(struct world *w)
{
	view_putp(&w->abandoned_view);
	w->has_abandoned = false;
}

static void reopen(struct world *w)
{
	apply(w);
	let_go(w);
	state_freep(&w->st);
	commit_freep(&w->commit);
	fixture_reopen(&w->f);
	assert_int_equal(commit_new(w->f.network, &w->commit), 0);
	open_state(w);
}

static void roll_back(struct world *w)
{
	uint64_t heights[SHARD_MAX] = { 0 };
	uint64_t to = w->kept_from + random_below(&w->r, w->line.tip - w->kept_from + 1);

	apply(w);
	for (size_t s = 0; s < SHARD_MAX; s++)
		heights[s] = to;
	let_go(w);
	w->abandoned_view = network_view_get(w->f.network);
	w->abandoned = w->line;
	w->abandoned_branch = w->branch;
	w->has_abandoned = true;
	assert_int_equal(commit_branch_open(w->commit, w->branch, heights, &w->branch), 0);
	w->line.tip = to;
	apply(w);
	open_state(w);
}

static void collect(struct world *w)
{
	uint64_t pin = w->kept_from + random_below(&w->r, w->stored - w->kept_from + 1);
	uint64_t horizon = random_chance(&w->r, 30) ? UINT64_MAX : random_below(&w->r, HEIGHTS);
	bool pinned = random_chance(&w->r, 50);

	apply(w);
	if (random_chance(&w->r, 30))
		let_go(w);
	if (pinned)
		assert_int_equal(network_pin(w->f.network, SHARD, pin), 0);
	int count = collector_choose(w->f.network, SHARD, horizon, 1 + random_below(&w->r, 60),
				     w->commit, NULL);

	assert_true(count >= 0);
	uint64_t kept = commit_view(w->commit)->shards[SHARD].kept_from;

	assert_true(kept >= w->kept_from && kept <= MAX(MIN(horizon, w->stored), w->kept_from));
	assert_true(!pinned || kept <= pin);
	if (pinned)
		network_unpin(w->f.network, SHARD, pin);
	apply(w);
	w->kept_from = kept;
	assert_true(kept == 0 || network_pin(w->f.network, SHARD, kept - 1) == -ESTALE);
}

/* With the horizon at the tip there is one version of each row that is there, and nothing else. */
static void collect_all(struct world *w)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;
	const struct table *t = &w->line.at[w->line.tip];
	size_t rows = 0, wanted = 0;
	int rc, count;

	apply(w);
	let_go(w);
	do {
		count = collector_choose(w->f.network, SHARD, UINT64_MAX, 50, w->commit, NULL);
		assert_true(count >= 0);
		apply(w);
	} while (count > 0);
	w->kept_from = w->line.tip;
	check_history(w);
	for (size_t k = 0; k < KEYS; k++)
		wanted += t->cells[0][k].there + (size_t)t->cells[1][k].there;
	assert_int_equal(db_iter_new(w->f.network->db, FAMILY_ROWS, DB_ORDERED, &it), 0);
	for (rc = db_iter_seek(it, SLICE_EMPTY, NULL); rc == 1; rc = db_iter_next(it, NULL))
		rows++;
	assert_int_equal(rc, 0);
	if (w->branch == 0)
		assert_int_equal(rows, wanted);
	else /* rows that were fresh on an abandoned line stay behind, unseen (collector.c) */
		assert_true(rows >= wanted);
}

static void step(struct world *w)
{
	uint64_t dice = random_below(&w->r, 100);

	if (dice < 60)
		one_block(w);
	else if (dice < 75)
		apply(w);
	else if (dice < 85)
		check_history(w);
	else if (dice < 94)
		collect(w);
	else if (dice < 97)
		reopen(w);
	else
		roll_back(w);
}

static void a_state_matches_a_table_a_height(void **unused)
{
	AUTO(base_freep) struct world *w = calloc(1, sizeof *w);
	struct random r = random_of_run();

	for (uint64_t round = rounds(4); round; round--) {
		memset(w, 0, sizeof *w);
		w->r = random_of(random_u64(&r));
		fixture_open(&w->f);
		assert_int_equal(commit_new(w->f.network, &w->commit), 0);
		open_state(w);
		while (w->line.tip < HEIGHTS)
			step(w);
		apply(w);
		check_history(w);
		collect_all(w);
		state_freep(&w->st);
		commit_freep(&w->commit);
		fixture_release(&w->f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_matches_a_table_a_height),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
