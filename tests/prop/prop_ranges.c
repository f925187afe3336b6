/* Whatever the order in which heights come, in however many imports, with hyper from the first
 * block or from a later one: a range's bulk files have as many bytes as ingest added up, and every
 * range that is whole has its row. What hyper alone holds is counted right. */
#include "tests/unit/tree_fixture.h"

#define HEIGHTS_MAX 4096

struct received {
	struct buf bytes[SHARD_MAX][HEIGHTS_MAX]; /* by height; 0 is none */
	uint64_t heights[SHARD_MAX];
	uint32_t shards;
};

static char archive[128];
static struct received *all;
static uint64_t hyper_bytes_seen;

static void read_all(void)
{
	AUTO(archive_closep) struct archive *a = NULL;
	struct err err = ERR_INIT;

	must(archive_open(archive, &a, &err), &err);
	all->shards = 3;
	for (uint32_t s = 0; s < all->shards; s++)
		for (;;) {
			uint64_t h = all->heights[s] + 1;

			assert_true(h < HEIGHTS_MAX);
			all->bytes[s][h] = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
			int rc = archive_next(a, s, &all->bytes[s][h], &err);

			must(rc, &err);
			if (rc == 0)
				break;
			all->heights[s] = h;
		}
	assert_true(all->heights[1] > 1500);
}

static int make(void **state)
{
	struct forge_options o = { .kind = FORGE_CROWD,
				   .name = "net",
				   .seed = 5,
				   .blocks = 6300,
				   .messages = 3000,
				   .accounts = 12,
				   .small_limits = true };
	struct err err = ERR_INIT;

	all = calloc(1, sizeof *all);
	assert_non_null(all);
	fixture_folder(archive);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	read_all();
	return 0;
}

static int unmake(void **state)
{
	for (uint32_t s = 0; s < all->shards; s++)
		for (uint64_t h = 0; h < HEIGHTS_MAX; h++)
			buf_release(&all->bytes[s][h]);
	free(all);
	fixture_remove(archive);
	return 0;
}

/* ---- pieces of the chain, in any order ---- */

struct piece {
	uint32_t shard;
	uint64_t first, last;
};

struct plan {
	struct piece list[256];
	size_t count;
};

static void cut(struct plan *p, struct random *r)
{
	p->count = 0;
	for (uint32_t s = 0; s < all->shards; s++)
		for (uint64_t h = 1; h <= all->heights[s];) {
			uint64_t size = 1 + random_below(r, 1400);
			uint64_t last = MIN(h + size - 1, all->heights[s]);

			assert_true(p->count < ARRAY_LEN(p->list));
			p->list[p->count++] = (struct piece){ s, h, last };
			h = last + 1;
		}
	for (size_t i = p->count; i > 1; i--) {
		size_t k = (size_t)random_below(r, i);
		struct piece other = p->list[k];

		p->list[k] = p->list[i - 1];
		p->list[i - 1] = other;
	}
}

static void feed(struct network *n, const struct piece *list, size_t count, int hyper)
{
	AUTO(ingest_freep) struct ingest *in = NULL;
	struct ingest_options o = { .checkers = 2 };
	struct err err = ERR_INIT;

	must(ingest_start(n, &o, &in, &err), &err);
	if (hyper >= 0)
		must(ingest_set_hyper(in, hyper, &err), &err);
	for (size_t i = 0; i < count; i++)
		for (uint64_t h = list[i].first; h <= list[i].last; h++) {
			AUTO(buf_release) struct buf copy = BUF_INIT(BLOCK_SIZE_MAX);

			buf_add(&copy, buf_slice(&all->bytes[list[i].shard][h]));
			must(ingest_submit(in, list[i].shard, h, &copy, &err), &err);
		}
	must(ingest_finish(in, &err), &err);
}

/* ---- what must hold ---- */

static uint64_t bytes_at(const char *format, uint32_t shard, uint64_t range, bool *there)
{
	AUTO(buf_release) struct buf text = BUF_INIT(64u << 20);
	char name[PATH_NAME_SIZE], path[256];
	struct node n;
	char lane[32] = "";

	if (shard)
		snprintf(lane, sizeof lane, "shards/%u/", shard);
	path_range_name(path_range_of(range), name);
	snprintf(path, sizeof path, format, lane, name);
	*there = find(path, &n, NULL) == 0;
	if (!*there)
		return 0;
	read_node(&n, &text);
	struct attr a = attr_of(&n);
	if (a.size != text.n)
		fail_msg("%s: %zu bytes, told were %" PRIu64, path, text.n, a.size);
	return text.n;
}

static size_t check_range(struct network *n, const struct view *v, uint32_t s, uint64_t range)
{
	const struct shard_view *sv = &v->shards[s];
	struct range r = path_range_of(range);
	struct range_row row = { 0 };
	uint64_t cursor = MAX(r.first, 1);
	struct gap gap;
	bool there;
	bool whole = !gaps_next(&sv->gaps, r.end - 1, &cursor, &gap);

	assert_true(network_range(n, s, range, &row) >= 0);
	uint64_t index = bytes_at("net/legacy/%sblocks/%s/index.tsv", s, range, &there);
	uint64_t items = bytes_at("net/legacy/%sblocks/%s/items.jsonl", s, range, &there);
	uint64_t legacy = bytes_at("net/legacy/%sroots/%s.tsv", s, range, &there);
	uint64_t hyper = bytes_at("net/hyper/%sroots/%s.tsv", s, range, &there);

	if (whole) {
		assert_int_equal(row.index_bytes, index);
		assert_int_equal(row.items_bytes, items);
		struct block_row last;

		assert_int_equal(network_block(n, s, r.end - 1, &last), 1);
		assert_int_equal(row.time, last.time);
	}
	if (sv->replayed < r.end - 1)
		return whole;
	assert_int_equal(row.roots_bytes[CONTEXT_LEGACY], legacy);
	if (sv->hyper_on && (sv->base_height == 0 || sv->base_height < MAX(r.first, 1)))
		assert_int_equal(row.roots_bytes[CONTEXT_HYPER], hyper);
	return whole;
}

/* What hyper alone holds is counted as it comes and goes, and is what a scan finds. */
static void check_hyper_bytes(struct network *n, uint32_t s, uint64_t counted)
{
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	uint64_t bytes = 0;
	int rc = state_open(n, s, UINT64_MAX, &st, NULL);

	if (rc == 0)
		rc = state_scan_new(st, SPACE_HYPER, SLICE_EMPTY, SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		bytes += key.n + value.n;
		rc = 0;
	}
	assert_int_equal(rc, 0);
	assert_int_equal(bytes, counted);
	hyper_bytes_seen += bytes;
}

static size_t check_all(struct network *n)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	size_t whole = 0;

	for (uint32_t s = 0; s < v->shard_count; s++) {
		for (uint64_t range = 0; range * RANGE_SIZE <= all->heights[s]; range++)
			whole += check_range(n, v, s, range);
		check_hyper_bytes(n, s, v->shards[s].hyper_bytes);
	}
	return whole;
}

static void sizes_are_the_bytes_in_any_order(void **state)
{
	struct random r = random_of_run();

	for (uint64_t round = rounds(3); round; round--) {
		struct chain c;
		struct plan p;
		size_t done = 0, whole = 0, base = round > 1 ? random_below(&r, 3) : 0;

		cut(&p, &r);
		chain_open(&c, archive);
		/* Hyper from the start, or from some height on. */
		if (base == 0)
			feed(c.network, NULL, 0, true);
		while (done < p.count) {
			size_t some = 1 + (size_t)random_below(&r, 6),
			       most = MIN(p.count - done, some);

			feed(c.network, p.list + done, most, done && base ? true : -1);
			done += most;
			if (done == p.count || random_chance(&r, 30))
				whole = check_all(c.network);
		}
		assert_int_equal(whole, 2 * all->shards);
		chain_release(&c);
	}
	assert_true(hyper_bytes_seen > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_bytes_in_any_order),
	};

	trace_set_level(TRACE_ERROR);
	return cmocka_run_group_tests(tests, make, unmake);
}
