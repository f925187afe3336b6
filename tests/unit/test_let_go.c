/* Single blocks leave a store: those that no state was made from, and nothing else with them. */
#include "core/base/sign.h"
#include "core/ingest/rollback.h"
#include "tests/unit/tree_fixture.h"

#define ARCHIVE "tests/vectors/devnet-a"
#define REASON  "shard 1 height 60: somebody said so"

static struct chain chain;

static struct gaps set_of(const uint64_t *heights, size_t count)
{
	struct gaps g = GAPS_INIT;

	for (size_t i = 0; i < count; i++)
		assert_int_equal(gaps_add(&g, (struct range){ heights[i], heights[i] + 1 }), 0);
	return g;
}

static int let_go(uint32_t shard, const uint64_t *heights, size_t count,
		  struct rollback_result *out, struct err *err)
{
	AUTO(gaps_release) struct gaps which = set_of(heights, count);
	struct rollback_options o = { .shard = shard, .reason = REASON };

	return rollback_blocks(chain.network, &o, &which, out, err);
}

static struct block_row row_of(uint32_t shard, uint64_t height)
{
	struct block_row row;

	assert_int_equal(network_block(chain.network, shard, height, &row), 1);
	return row;
}

static void they_go_alone_and_come_again_as_other_objects(void **state)
{
	static const uint64_t heights[] = { 60, 61, 90, 9999 };
	struct rollback_result result;
	struct err err = ERR_INIT;

	(void)state;
	chain_open(&chain, ARCHIVE);
	chain_feed(&chain, 0, 1, 40, 1);
	chain_feed(&chain, 1, 50, 90, -1);
	struct view *before = network_view_get(chain.network);
	const struct shard_view *was = &before->shards[1];
	struct block_row rows[] = { row_of(1, 60), row_of(1, 61), row_of(1, 90) };
	uint64_t items = 0, bytes = 0;

	assert_int_equal(was->replayed, 0);
	assert_int_equal(was->tip, 90);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		items += rows[i].items;
		bytes += rows[i].canonical_size;
	}
	must(let_go(1, heights, ARRAY_LEN(heights), &result, &err), &err);
	assert_int_equal(result.blocks, 3);
	assert_int_equal(result.items, items);
	{
		AUTO(view_putp) struct view *after = network_view_get(chain.network);
		const struct shard_view *is = &after->shards[1];
		uint64_t cursor = 1;
		struct gap gap;

		assert_int_equal(is->items, was->items - items);
		assert_int_equal(is->bytes, was->bytes - bytes);
		assert_int_equal(is->tip, 89);
		assert_memory_equal(is->tip_hash, row_of(1, 89).hash, HASH_SIZE);
		assert_int_equal(is->first_held, 50);
		assert_int_equal(gaps_held(&is->gaps), 41 - 3);
		assert_true(gaps_next(&is->gaps, is->known, &cursor, &gap)); /* 1-49 */
		assert_true(gaps_next(&is->gaps, is->known, &cursor, &gap));
		assert_int_equal(gap.range.first, 60);
		assert_int_equal(gap.fault->reason, GAP_ROLLED_BACK);
		assert_string_equal(gap.fault->error, REASON);
		/* The main shard is as it was, and its state; what may come again is another's. */
		assert_int_equal(after->shards[0].tip, before->shards[0].tip);
		assert_int_equal(after->shards[0].replayed, before->shards[0].replayed);
		assert_int_equal(view_line(after, 0, 40), view_line(before, 0, 40));
		assert_int_not_equal(view_line(after, 1, 60), view_line(before, 1, 60));
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct block_row row;

		assert_int_equal(network_block(chain.network, 1, rows[i].height, &row), 0);
	}
	chain_feed(&chain, 1, 60, 90, -1);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct block_row row = row_of(1, rows[i].height);

		assert_memory_equal(row.digest, rows[i].digest, BLOCK_DIGEST_SIZE);
		assert_int_not_equal(row.object, rows[i].object);
	}
	/* What is replayed comes out with the roots that were signed. */
	chain_feed_all(&chain, -1);
	struct view *whole = network_view_get(chain.network);

	for (uint32_t s = 0; s < whole->shard_count; s++)
		assert_int_equal(whole->shards[s].replayed, whole->shards[s].known);
	view_putp(&before);
	view_putp(&whole);
	chain_release(&chain);
}

static void what_the_state_was_made_from_stays(void **state)
{
	static const uint64_t replayed[] = { 5 }, unknown[] = { 999999 };
	struct rollback_result result;
	struct err err = ERR_INIT;

	(void)state;
	chain_open(&chain, ARCHIVE);
	chain_feed_all(&chain, 1);
	struct view *before = network_view_get(chain.network);

	assert_int_equal(let_go(1, replayed, 1, &result, &err), -ESTALE);
	assert_non_null(strstr(err.text, "shard 1 height 5: the state was made from it"));
	assert_int_equal(let_go(0, replayed, 1, &result, &err), -ESTALE);
	assert_int_equal(let_go(1, unknown, 1, &result, &err), -EINVAL);
	assert_int_equal(let_go(SHARD_MAX, unknown, 1, &result, &err), -EINVAL);
	AUTO(view_putp) struct view *after = network_view_get(chain.network);

	assert_int_equal(after->branch, before->branch);
	assert_int_equal(after->number, before->number);
	assert_int_equal(row_of(1, 5).height, 5);
	view_putp(&before);
	view_putp(&after);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_go_alone_and_come_again_as_other_objects),
		cmocka_unit_test(what_the_state_was_made_from_stays),
	};

	trace_set_sink(fixture_silence, NULL);
	assert(sign_init() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
