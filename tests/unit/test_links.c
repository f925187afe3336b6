/* The hashes of what a run holds: found until it is committed, so that blocks that come newest
 * first are compared with each other without a commit each. */
#include "core/ingest/links.h"

#include "tests/unit/tree_fixture.h"

#define ARCHIVE "tests/vectors/devnet-a"
#define HEIGHTS 16u

static struct chain_block block_of(uint32_t shard, uint64_t height, uint8_t mark)
{
	struct chain_block b = { .shard = shard, .height = height, .parent_size = 2 };

	memset(b.hash, mark, HASH_SIZE);
	memset(b.parent, mark + 1, b.parent_size);
	return b;
}

static void what_was_put_is_found_until_the_run_is_committed(void **state)
{
	AUTO(links_release) struct links l = { 0 };

	(void)state;
	assert_null(links_find(&l, 0, 1));
	for (int run = 0; run < 3; run++) {
		/* Enough for it to grow, and in the last run to be given back. */
		uint64_t count = run < 2 ? 200 : 5000;

		for (uint64_t h = count; h > 0; h--)
			for (uint32_t s = 0; s < 2; s++) {
				struct chain_block b = block_of(s, h, (uint8_t)(h + s));

				assert_int_equal(links_put(&l, &b), 0);
			}
		assert_int_equal(l.count, 2 * count);
		for (uint64_t h = 1; h <= count; h++)
			for (uint32_t s = 0; s < 2; s++) {
				const struct link *at = links_find(&l, s, h);

				assert_non_null(at);
				assert_int_equal(at->hash[HASH_SIZE - 1], (uint8_t)(h + s));
				assert_int_equal(at->parent_size, 2);
				assert_int_equal(at->parent[1], (uint8_t)(h + s + 1));
			}
		assert_null(links_find(&l, 0, count + 1));
		assert_null(links_find(&l, 2, 1));
		links_clear(&l);
		assert_int_equal(l.count, 0);
		assert_null(links_find(&l, 0, 1));
	}
}

static void of_one_height_the_later_block_counts(void **state)
{
	AUTO(links_release) struct links l = { 0 };
	struct chain_block one = block_of(1, 7, 1), other = block_of(1, 7, 9);

	(void)state;
	assert_int_equal(links_put(&l, &one), 0);
	assert_int_equal(links_put(&l, &other), 0);
	assert_int_equal(l.count, 1);
	assert_int_equal(links_find(&l, 1, 7)->hash[0], 9);
}

static void blocks_that_come_newest_first_are_one_run(void **state)
{
	AUTO(chain_release) struct chain c;
	AUTO(archive_closep) struct archive *archive = NULL;
	AUTO(ingest_freep) struct ingest *ingest = NULL;
	struct buf messages[HEIGHTS];
	struct ingest_options options = { .checkers = 2, .commit_ms = 600000 };
	struct ingest_totals totals;
	struct err err = ERR_INIT;

	(void)state;
	chain_open(&c, ARCHIVE);
	must(archive_open(ARCHIVE, &archive, &err), &err);
	for (size_t i = 0; i < HEIGHTS; i++) {
		messages[i] = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
		assert_int_equal(archive_next(archive, 1, &messages[i], &err), 1);
	}
	must(ingest_start(c.network, &options, &ingest, &err), &err);
	for (size_t i = HEIGHTS; i-- > 0;)
		must(ingest_submit(ingest, 1, i + 1, &messages[i], &err), &err);
	must(ingest_finish(ingest, &err), &err);
	ingest_totals(ingest, &totals);
	assert_int_equal(totals.blocks, HEIGHTS);
	assert_int_equal(totals.replayed, HEIGHTS);
	/* One, one more for what is replayed then; on a machine that stops for a while some
	 * more. */
	assert_true(totals.commits < HEIGHTS / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_found_until_the_run_is_committed),
		cmocka_unit_test(of_one_height_the_later_block_counts),
		cmocka_unit_test(blocks_that_come_newest_first_are_one_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
