/* The coordinator among scripted sources: silent, slow, lying, forgetful, flapping, and at least
 * one that is honest. Each run is made of its seed alone: SIM_SEED runs one again, SIM_RUNS says
 * how many. Whatever the sources do, everything arrives, nothing that is false is held, liars are
 * banned, and what is out stays within its bounds. */
#include "tests/sim/sync_world.h"

#include <stdlib.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define RUNS 300u
#else
#define RUNS 10000u
#endif

/* ---- a world of a seed ---- */

static void make_peer(struct world *w, unsigned i)
{
	struct random *r = &w->random;
	struct peer *p = &w->peers[i];

	*p = (struct peer){
		.nature = i == 0 ? HONEST : (enum nature)random_below(r, NATURE_COUNT),
		.operator= i,
		.delay_ms = 1 + (uint32_t)random_below(r, 50),
		.bytes_per_ms = 200 + (double)random_below(r, 4000),
		.kept_from = { 1, 1 },
		.size_max = UINT64_MAX,
	};
	if (p->nature == SLOW) {
		p->delay_ms *= 40;
		p->bytes_per_ms /= 20;
	}
	if (p->nature == PRUNED)
		for (uint32_t s = 0; s < SHARDS; s++)
			p->kept_from[s] = 1 + random_below(r, w->head[s] + 1);
	if (p->nature == SMALL)
		p->size_max = 1 + random_below(r, 30);
	if (p->nature == BEHIND)
		p->lag = 1 + random_below(r, 200);
}

static struct world *world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->random = random_of(seed);
	w->options = sync_options_default;
	w->options.shard_count = SHARDS;
	w->options.seed = seed;
	w->options.look_ahead = 1 + random_below(&w->random, 64);
	w->options.bytes_max = 20000 + random_below(&w->random, 4u << 20);
	w->options.bounds.heights_max = 1 + random_below(&w->random, 400);
	w->options.bounds.target_ms = 50 + (uint32_t)random_below(&w->random, 500);
	w->height_bytes = 100 + random_below(&w->random, 2000);
	w->block_ms = 100 + (uint32_t)random_below(&w->random, 1000);
	w->now_ms = 1000;
	w->wake_ms = UINT64_MAX;
	for (uint32_t s = 0; s < SHARDS; s++)
		w->head[s] = 1 + random_below(&w->random, 400);
	w->height_last = 400 + random_below(&w->random, 100);
	for (uint32_t s = 0; s < SHARDS; s++) {
		w->held[s] = calloc(w->height_last + 2, 1);
		assert_non_null(w->held[s]);
	}
	w->sync = sync_new(&w->options, w->now_ms);
	assert_non_null(w->sync);
	for (unsigned i = 0; i < SOURCES; i++)
		make_peer(w, i);
	for (unsigned i = 0; i < SOURCES; i++) {
		set_up(w, i, true);
		if (w->peers[i].nature == FLAPPING)
			push(w, (struct future){
					.kind = FLAP, .source = i, .at_ms = w->now_ms + 300 });
	}
	push(w, (struct future){ .kind = GROWTH, .at_ms = w->now_ms + w->block_ms });
	push(w, (struct future){ .kind = TURN, .at_ms = w->now_ms + 1000 });
	return w;
}

static void world_free(struct world *w)
{
	for (uint32_t s = 0; s < SHARDS; s++)
		free(w->held[s]);
	sync_freep(&w->sync);
	free(w);
}

static void run_seed(uint64_t seed)
{
	struct world *w = world_new(seed);
	unsigned honest = 0;

	run(w, DAY_MS);
	for (unsigned i = 0; i < SOURCES; i++)
		honest += w->peers[i].nature == HONEST;
	if (!is_complete(w)) {
		struct sync_shard_status st;

		for (uint32_t s = 0; s < SHARDS; s++) {
			sync_shard_status(w->sync, s, &st);
			print_message("shard %u: base %" PRIu64 " head %" PRIu64 " tip %" PRIu64
				      " missing %" PRIu64 " and %" PRIu64 " of %" PRIu64 "\n",
				      s, st.base, st.head, st.tip, st.missing[0], st.missing[1],
				      w->height_last);
		}
		fail_msg("SIM_SEED=%" PRIu64 ": something is missing after a day", seed);
	}
	assert_int_equal(w->banned_honest, 0);
	uint64_t one = w->options.bounds.heights_max * w->height_bytes * 2 + 4096 * 64;

	assert_true(w->bytes_out_most <= w->options.bytes_max + one);
	/* With two that are honest and at the head the last tips are confirmed by and by. */
	if (honest >= 2)
		for (uint32_t s = 0; s < SHARDS; s++)
			assert_true(w->confirmed[s] > 0 || w->asked_bytes[LANE_FORWARD] == 0);
	world_free(w);
}

static void everything_arrives_whatever_the_sources_do(void **state)
{
	const char *given = getenv("SIM_SEED"), *runs = getenv("SIM_RUNS");
	uint64_t count = runs ? strtoull(runs, NULL, 10) : RUNS;

	if (given) {
		run_seed(strtoull(given, NULL, 10));
		return;
	}
	for (uint64_t seed = 0; seed < count; seed++) {
		if (seed % 1000 == 0)
			print_message("# seeds from %" PRIu64 "\n", seed);
		run_seed(seed);
	}
}

/* ---- worlds of one kind ---- */

struct plain { /* a chain that stands at `head` and grows to `last`, and sources without oddities */
	uint64_t head, last, base;
	uint32_t block_ms;
	bool paused;
};

static struct world *plain_world(const struct plain *p)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	w->random = random_of(7);
	w->options = sync_options_default;
	w->options.shard_count = SHARDS;
	w->height_bytes = 1000;
	w->block_ms = p->block_ms;
	w->now_ms = 1000;
	w->wake_ms = UINT64_MAX;
	w->turns = TURNS + 1;
	w->height_last = p->last;
	for (uint32_t s = 0; s < SHARDS; s++) {
		w->head[s] = p->head;
		w->held[s] = calloc(p->last + 2, 1);
		assert_non_null(w->held[s]);
	}
	w->sync = sync_new(&w->options, w->now_ms);
	assert_non_null(w->sync);
	for (uint32_t s = 0; p->base && s < SHARDS; s++)
		give(w, (struct sync_event){ .kind = SYNC_ANCHOR,
					     .shard = s,
					     .range = { p->base, p->base + 1 } });
	give(w, (struct sync_event){ .kind = SYNC_PAUSE, .on = p->paused });
	if (p->block_ms)
		push(w, (struct future){ .kind = GROWTH, .at_ms = w->now_ms + p->block_ms });
	return w;
}

static void add_peer(struct world *w, unsigned i, enum nature nature, uint32_t delay_ms,
		     double bytes_per_ms)
{
	w->peers[i] = (struct peer){
		.nature = nature,
		.operator= i,
		.delay_ms = delay_ms,
		.bytes_per_ms = bytes_per_ms,
		.kept_from = { 1, 1 },
		.size_max = UINT64_MAX,
	};
	set_up(w, i, true);
}

static uint64_t taken(const struct world *w)
{
	return w->taken[LANE_FORWARD] + w->taken[LANE_BACKWARD];
}

static void two_full_lanes_split_the_line_seventy_to_thirty(void **state)
{
	struct world *w =
		plain_world(&(struct plain){ .head = 200000, .last = 200000, .base = 100000 });

	add_peer(w, 0, HONEST, 10, 1000);
	run(w, 61000);
	double forward = (double)w->taken[LANE_FORWARD] / (double)taken(w);

	print_message("# forward had %.1f %%, %.1f %% of the line was used\n", 100 * forward,
		      (double)taken(w) * (double)w->height_bytes / 60000 / 1000 * 100);
	assert_true(forward > 0.65 && forward < 0.75);
	assert_true((double)taken(w) * (double)w->height_bytes > 0.95 * 60000 * 1000);
	world_free(w);
}

static void an_idle_lane_is_lent(void **state)
{
	struct world *w =
		plain_world(&(struct plain){ .head = 200000, .last = 200000, .base = 200001 });

	add_peer(w, 0, HONEST, 10, 1000);
	run(w, 61000);
	assert_int_equal(w->taken[LANE_FORWARD], 0);
	assert_true((double)w->taken[LANE_BACKWARD] * (double)w->height_bytes >
		    0.95 * 60000 * 1000);
	world_free(w);
}

static uint64_t tip_latency_p99(bool paused)
{
	struct world *w = plain_world(&(struct plain){ .head = 300000,
						       .last = 301000,
						       .base = 300001,
						       .block_ms = 100,
						       .paused = paused });
	uint64_t late[1000], n = 0, tip = 300000, head_at = 0;

	add_peer(w, 0, HONEST, 20, 10000);
	for (uint64_t ms = w->now_ms; ms < 91000; ms++) {
		struct sync_shard_status st;
		uint64_t head = w->head[0];

		run(w, ms);
		if (w->head[0] > head)
			head_at = w->now_ms;
		sync_shard_status(w->sync, 0, &st);
		if (st.tip > tip && st.tip == w->head[0] && n < ARRAY_LEN(late))
			late[n++] = w->now_ms - head_at;
		tip = MAX(tip, st.tip);
	}
	assert_true(n > 500);
	for (uint64_t i = 0; i < n; i++)
		for (uint64_t k = i + 1; k < n; k++)
			if (late[k] < late[i]) {
				uint64_t swap = late[k];

				late[k] = late[i];
				late[i] = swap;
			}
	world_free(w);
	return late[n * 99 / 100];
}

static void history_hardly_delays_the_tip(void **state)
{
	uint64_t alone = tip_latency_p99(true), both = tip_latency_p99(false);

	print_message("# p99 of the tip: %" PRIu64 " ms alone, %" PRIu64 " ms with history\n",
		      alone, both);
	assert_true(both <= 2 * alone);
}

static void history_is_no_flood_while_tips_come(void **state)
{
	struct world *w = plain_world(&(struct plain){
		.head = 300000, .last = 301000, .base = 300001, .block_ms = 100 });
	uint64_t one = 2 * w->options.bounds.bytes_max;

	add_peer(w, 0, HONEST, 20, 100000);
	add_peer(w, 1, HONEST, 20, 100000);
	run(w, 20000);
	assert_true(w->taken[LANE_BACKWARD] > 10000);
	assert_true(w->bytes_out_most <= (8u << 20) + one);
	world_free(w);
}

static void an_honest_source_is_as_fast_among_bad_ones(void **state)
{
	const struct plain chain = { .head = 100000, .last = 100000, .base = 50000 };
	struct world *alone = plain_world(&chain), *among = plain_world(&chain);

	add_peer(alone, 0, HONEST, 10, 1000);
	run(alone, 31000);
	add_peer(among, 0, HONEST, 10, 1000);
	add_peer(among, 1, SLOW, 2000, 10);
	add_peer(among, 2, SILENT, 10, 1000);
	add_peer(among, 3, LIAR, 10, 1000);
	run(among, 31000);
	print_message("# %" PRIu64 " heights alone, %" PRIu64
		      " among a slow, a silent and a lying one\n",
		      taken(alone), taken(among));
	assert_true(taken(among) * 10 >= taken(alone) * 8);
	assert_int_equal(among->banned, 1);
	world_free(alone);
	world_free(among);
}

/* A chain of `last` heights that is to come from its first one on: an honest source alone, or beside
 * a slow one, one that hangs, and one more. */
static struct world *world_of_a_chain(uint64_t seed, uint64_t last, enum nature bad)
{
	struct plain chain = { .head = last, .last = last, .base = 1 };
	struct world *w = plain_world(&chain);

	sync_freep(&w->sync);
	w->options.seed = seed;
	w->sync = sync_new(&w->options, w->now_ms);
	assert_non_null(w->sync);
	for (uint32_t s = 0; s < SHARDS; s++)
		give(w, (struct sync_event){ .kind = SYNC_ANCHOR, .shard = s, .range = { 1, 1 } });
	add_peer(w, 0, HONEST, 2, 1000);
	if (bad != HONEST) {
		add_peer(w, 1, SLOW, 300, 200);
		add_peer(w, 2, HANGING, 2, 1000);
		add_peer(w, 3, bad, 2, 1000);
	}
	return w;
}

/* Milliseconds until it is there. */
static uint64_t whole_after(uint64_t seed, uint64_t last, enum nature bad)
{
	struct world *w = world_of_a_chain(seed, last, bad);
	uint64_t began = w->now_ms, took;

	run(w, 600000);
	assert_true(is_complete(w));
	took = w->now_ms - began;
	world_free(w);
	return took;
}

static void a_whole_chain_comes_as_fast_among_bad_sources(void **state)
{
	static const enum nature bad[] = { LIAR, REORDERED, SILENT, SMALL };
	static const uint64_t lasts[] = { 1000, 2000, 4000 };

	for (size_t l = 0; l < ARRAY_LEN(lasts); l++)
		for (size_t b = 0; b < ARRAY_LEN(bad); b++) {
			double least = 100, sum = 0;

			for (uint64_t seed = 0; seed < 100; seed++) {
				double alone = (double)whole_after(seed, lasts[l], HONEST);
				double ratio = alone / (double)whole_after(seed, lasts[l], bad[b]);

				least = MIN(least, ratio);
				sum += ratio;
			}
			print_message("# %" PRIu64
				      " heights, nature %d: least %.2f, mean %.2f of alone\n",
				      2 * lasts[l], (int)bad[b], least, sum / 100);
			/* Until a source is known to be silent takes a second, which is much of a
			 * chain that is there after two. */
			assert_true(sum / 100 >= 0.9);
			assert_true(least >= (lasts[l] < 4000 ? 0.6 : 0.8));
		}
}

/* Is the height asked for, and of slow sources alone? */
static bool is_with_slow(const struct world *w, uint32_t shard, uint64_t height)
{
	bool slow = false;

	for (size_t i = 0; i < SYNC_REQUESTS_MAX; i++) {
		if (!w->asked[i].id || w->asked[i].tip_check || w->asked[i].shard != shard ||
		    height < w->asked[i].range.first || height >= w->asked[i].range.end)
			continue;
		if (w->peers[w->asked[i].source].nature != SLOW)
			return false;
		slow = true;
	}
	return slow;
}

/* Milliseconds, of each shard, in which the lowest height that is missing is to come from slow
 * sources: replay waits for it, whatever else comes. */
static uint64_t waits_for_slow(uint64_t seed, uint64_t last, uint32_t delay_ms)
{
	struct world *w = world_of_a_chain(seed, last, HONEST);
	uint64_t ms = w->now_ms, waits = 0, next[SHARDS] = { 1, 1 };

	add_peer(w, 1, SLOW, delay_ms, 40);
	add_peer(w, 2, SLOW, delay_ms, 40);
	while (!is_complete(w)) {
		assert_true(ms < 600000);
		run(w, ++ms);
		for (uint32_t s = 0; s < SHARDS; s++) {
			while (next[s] <= last && w->held[s][next[s]])
				next[s]++;
			waits += next[s] <= last && is_with_slow(w, s, next[s]);
		}
	}
	world_free(w);
	return waits;
}

/* Two that are 25 times slower than an honest one, over 8 s of two shards. */
static void replay_does_not_wait_for_a_slow_source(void **state)
{
	static const uint32_t delays_ms[] = { 2, 24, 288 };

	for (size_t d = 0; d < ARRAY_LEN(delays_ms); d++) {
		uint64_t most = 0, sum = 0;

		for (uint64_t seed = 0; seed < 20; seed++) {
			uint64_t waits = waits_for_slow(seed, 4000, delays_ms[d]);

			most = MAX(most, waits);
			sum += waits;
		}
		print_message("# slow ones of %u ms: waits of %" PRIu64 " ms, at most %" PRIu64
			      "\n",
			      delays_ms[d], sum / 20, most);
		/* Until they are known to be slow. */
		assert_true(sum / 20 < 100);
		assert_true(most < 400);
	}
}

/* The longest time for which the tip stood still beside one source of a steady pace, after one that
 * is a hundred times as fast was banned, or has nothing any more, or while some of what it gives is
 * refused. */
static uint64_t stood_still_after(enum nature fast)
{
	const struct plain chain = { .head = 60000, .last = 60000, .base = 50000, .paused = true };
	struct world *w = plain_world(&chain);
	uint64_t tip = 0, moved_ms = 0, longest = 0;

	add_peer(w, 0, HONEST, 10, 1000);
	add_peer(w, 1, fast, 1, 100000);
	while (w->now_ms < 3000 && (fast == LIAR ? !w->banned : taken(w) < 300))
		run(w, w->now_ms + 1);
	for (uint32_t s = 0; fast == HONEST && s < SHARDS; s++)
		give(w, (struct sync_event){ .kind = SYNC_OFFERS, .source = 1, .shard = s });
	while (w->now_ms < 15000) {
		struct sync_shard_status st;

		run(w, w->now_ms + 1);
		sync_shard_status(w->sync, 0, &st);
		if (st.tip > tip || st.tip == st.head)
			moved_ms = w->now_ms;
		tip = st.tip;
		longest = MAX(longest, w->now_ms - moved_ms);
	}
	print_message("# nature %d: the tip stood still for %" PRIu64 " ms at most\n", (int)fast,
		      longest);
	assert_int_equal(w->banned, fast == LIAR);
	world_free(w);
	return longest;
}

static void nobody_is_slow_beside_one_that_cannot_be_asked(void **state)
{
	assert_true(stood_still_after(LIAR) < 1500);
	assert_true(stood_still_after(HONEST) < 1500);
	assert_true(stood_still_after(MISTAKEN) < 600);
}

static void one_operator_alone_confirms_nothing(void **state)
{
	const struct plain chain = { .head = 1000, .last = 1100, .base = 990, .block_ms = 500 };
	struct world *w = plain_world(&chain);

	add_peer(w, 0, HONEST, 10, 1000);
	add_peer(w, 1, HONEST, 10, 1000);
	give(w, (struct sync_event){ .kind = SYNC_SOURCE_REMOVED, .source = 1 });
	w->peers[1].operator= 0;
	set_up(w, 1, true);
	run(w, 20000);
	assert_int_equal(w->confirmed[0], 0);
	add_peer(w, 2, HONEST, 10, 1000);
	run(w, 40000);
	assert_true(w->confirmed[0] > 1000 && w->confirmed[1] > 1000);
	world_free(w);
}

static void a_cap_is_kept(void **state)
{
	struct world *w =
		plain_world(&(struct plain){ .head = 200000, .last = 200000, .base = 100000 });

	give(w, (struct sync_event){ .kind = SYNC_CAP, .bytes = 100000 });
	add_peer(w, 0, HONEST, 10, 1000);
	run(w, 61000);
	double rate = (double)taken(w) * (double)w->height_bytes / 60;

	print_message("# %.0f bytes a second under a cap of 100000\n", rate);
	assert_true(rate > 85000 && rate < 112000);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_full_lanes_split_the_line_seventy_to_thirty),
		cmocka_unit_test(an_idle_lane_is_lent),
		cmocka_unit_test(history_hardly_delays_the_tip),
		cmocka_unit_test(history_is_no_flood_while_tips_come),
		cmocka_unit_test(an_honest_source_is_as_fast_among_bad_ones),
		cmocka_unit_test(a_whole_chain_comes_as_fast_among_bad_sources),
		cmocka_unit_test(replay_does_not_wait_for_a_slow_source),
		cmocka_unit_test(nobody_is_slow_beside_one_that_cannot_be_asked),
		cmocka_unit_test(one_operator_alone_confirms_nothing),
		cmocka_unit_test(a_cap_is_kept),
		cmocka_unit_test(everything_arrives_whatever_the_sources_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
