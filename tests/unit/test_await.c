/* What is kept waiting for a tip that is about to come, and for how long at most. */
#include <sched.h>

#include "core/base/clock.h"
#include "core/base/sign.h"
#include "core/ingest/pipeline.h"
#include "tests/unit/tree_fixture.h"

#define ARCHIVE  "tests/vectors/devnet-a"
#define AWAIT_MS 25u
#define BLOCKS   20u
#define LATE_MS  60000u

/* Milliseconds of the next `for_ms` in which a tip is awaited, told anew every `every_ms`. */
static uint64_t awaited(struct patience *p, uint64_t *now_ms, uint64_t for_ms, uint64_t every_ms)
{
	uint64_t until_ms = 0, sum = 0;

	for (uint64_t end_ms = *now_ms + for_ms; *now_ms < end_ms; ++*now_ms) {
		if (*now_ms % every_ms == 0)
			until_ms = patience_until(p, *now_ms, AWAIT_MS);
		sum += *now_ms < until_ms;
	}
	return sum;
}

static void however_often_one_is_told_of_it_history_has_a_third_of_the_time(void **state)
{
	for (uint64_t every_ms = 1; every_ms <= 25; every_ms++) {
		struct patience p = { 0 };
		uint64_t now_ms = 1000000;

		assert_true(awaited(&p, &now_ms, 60000, every_ms) <= 40000 + PATIENCE_MS);
		/* What was saved up is spent by then. */
		uint64_t later = awaited(&p, &now_ms, 60000, every_ms);

		assert_true(later <= 40000 + AWAIT_MS);
		assert_true(later >= 40000 - 40000 / 10);
	}
}

static void tips_of_a_usual_pace_are_awaited_in_full(void **state)
{
	struct patience p = { 0 };

	/* Ten a second, each of three shards that come one after another. */
	for (uint64_t tip_ms = 1000000; tip_ms < 1060000; tip_ms += 100)
		for (uint64_t shard = 0; shard < 3; shard++) {
			uint64_t now_ms = tip_ms + 10 * shard;

			assert_int_equal(patience_until(&p, now_ms, AWAIT_MS), now_ms + AWAIT_MS);
		}
	/* One that is awaited for less takes nothing of what was awaited before. */
	assert_int_equal(patience_until(&p, 2000000, AWAIT_MS), 2000000 + AWAIT_MS);
	assert_int_equal(patience_until(&p, 2000001, 1), 2000000 + AWAIT_MS);
}

static void blocks_are_taken_while_heads_are_told_without_an_end(void **state)
{
	AUTO(archive_closep) struct archive *archive = NULL;
	AUTO(ingest_freep) struct ingest *ingest = NULL;
	struct ingest_options options = { .checkers = 2 };
	struct ingest_totals totals = { .blocks = 0 };
	struct err err = ERR_INIT;
	struct chain chain;

	chain_open(&chain, ARCHIVE);
	must(archive_open(ARCHIVE, &archive, &err), &err);
	must(ingest_start(chain.network, &options, &ingest, &err), &err);
	ingest_await(ingest, AWAIT_MS);
	for (uint64_t height = 1; height <= BLOCKS; height++) {
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);

		assert_int_equal(archive_next(archive, 1, &message, &err), 1);
		must(ingest_submit(ingest, 1, height, &message, &err), &err);
	}
	for (uint64_t began_ms = clock_mono_ms();
	     totals.blocks < BLOCKS && clock_mono_ms() < began_ms + LATE_MS;) {
		ingest_await(ingest, AWAIT_MS);
		sched_yield();
		ingest_totals(ingest, &totals);
	}
	assert_int_equal(totals.blocks, BLOCKS);
	must(ingest_finish(ingest, &err), &err);
	ingest_freep(&ingest);
	chain_release(&chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(however_often_one_is_told_of_it_history_has_a_third_of_the_time),
		cmocka_unit_test(tips_of_a_usual_pace_are_awaited_in_full),
		cmocka_unit_test(blocks_are_taken_while_heads_are_told_without_an_end),
	};

	trace_set_sink(fixture_silence, NULL);
	assert(sign_init() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
