/* The follower with scripted sources: all that honest ones have arrives, and nothing else does. */
#include "core/base/sign.h"
#include "core/sync/follow_inside.h"
#include "tests/unit/follow_lab.h"

#include <stdio.h>

#define ARCHIVE "tests/vectors/devnet-a"

static struct lab lab; /* large */

static struct follow_source_sight sight_of(const char *name)
{
	struct follow_source_sight s;

	for (unsigned i = 0; follow_source_sight(lab.follow, i, &s); i = s.number + 1)
		if (strcmp(s.entry.name, name) == 0)
			return s;
	fail_msg("no source %s", name);
	return s;
}

static enum circuit circuit_of(const char *name, char reason[REASON_SIZE])
{
	struct follow_source_sight s = sight_of(name);

	snprintf(reason, REASON_SIZE, "%s", s.sync.detail.reason);
	return s.sync.circuit;
}

static bool is_banned(const char *name)
{
	char reason[REASON_SIZE];

	return circuit_of(name, reason) == CIRCUIT_BANNED;
}

static void an_honest_source_gives_all_of_it_once(void **state)
{
	(void)state;
	lab_begin(&lab, ARCHIVE);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		for (uint64_t h = 1; h <= lab.head[s]; h++)
			assert_int_equal(lab.given_times[s][h], 1);
	follow_step(lab.follow);
	struct follow_sight sight = lab_sight(&lab);

	assert_int_equal(sight.fetched_twice, 0);
	assert_int_equal(sight.source_count, 1);
	assert_string_equal(sight.stopped, "");
	for (uint32_t s = 0; s < LAB_SHARDS; s++) {
		assert_int_equal(sight.shards[s].lag, 0);
		assert_int_equal(sight.shards[s].sync.head, lab.head[s]);
	}
	lab_release(&lab);
}

static uint64_t held_of(uint32_t shard)
{
	AUTO(view_putp) struct view *v = network_view_get(lab.chain.network);

	return gaps_held(&v->shards[shard].gaps);
}

static bool tips_are_heads(void)
{
	struct follow_sight sight = lab_sight(&lab);

	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		if (sight.shards[s].sync.tip != lab.head[s])
			return false;
	return true;
}

static void from_the_head_what_is_newest_comes_first_and_history_behind(void **state)
{
	struct follow_options o = lab_options_from_head();

	(void)state;
	lab_open(&lab, ARCHIVE);
	o.paused = true;
	lab_follow(&lab, &o);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	struct follow_sight sight = lab_sight(&lab);

	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		assert_int_equal(sight.shards[s].sync.base, lab.head[s] - 8 + 1);
	lab_until(&lab, tips_are_heads());
	{
		AUTO(view_putp) struct view *v = network_view_get(lab.chain.network);

		assert_int_equal(gaps_held(&v->shards[1].gaps), 8);
		assert_int_equal(v->shards[1].replayed, 0);
	}
	follow_pause_backward(lab.follow, false);
	lab_until(&lab, lab_is_whole(&lab));
	lab_release(&lab);
}

static void lies_are_banned_and_nothing_false_is_stored(void **state)
{
	static const enum script lies[] = { SCRIPT_HASH, SCRIPT_NOISE, SCRIPT_CONTENTS };
	char reason[REASON_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		lab_begin(&lab, ARCHIVE);
		/* It is the only one at first, so that it is believed once. */
		struct source *liar = lab_source(&lab, "liar", lies[i]);
		lab_until(&lab, liar->given > 0);
		lab_source(&lab, "honest", SCRIPT_HONEST);
		lab_until(&lab, lab_is_whole(&lab));
		lab_until(&lab, is_banned("liar"));
		assert_int_equal(circuit_of("liar", reason), CIRCUIT_BANNED);
		assert_true(reason[0]);
		assert_int_equal(circuit_of("honest", reason), CIRCUIT_CLOSED);
		assert_int_equal(follow_pardon(lab.follow, "nobody"), -ENOENT);
		liar->script = SCRIPT_HONEST; /* else it is banned again before we look */
		assert_int_equal(follow_pardon(lab.follow, "liar"), 0);
		lab_until(&lab, !is_banned("liar"));
		lab_release(&lab);
	}
}

/* Of a block as it is held: is it the one of the recording? */
static bool is_recorded(uint32_t shard, uint64_t height)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	const struct block_bytes *held = NULL;
	struct err err = ERR_INIT;
	struct block_row row;

	if (network_block(lab.chain.network, shard, height, &row) != 1)
		return false;
	must(network_ops(lab.chain.network)
		     ->split(buf_slice(&lab.blocks[shard][height]), shard == 0, &canonical,
			     &certificate, &err),
	     &err);
	must(network_block_bytes(lab.chain.network, &row, &held, &err), &err);
	bool same = slice_eq(held->canonical, buf_slice(&canonical));

	block_bytes_putp(&held);
	return same;
}

static bool all_is_recorded(void)
{
	if (lab_sight(&lab).doubted || !lab_is_whole(&lab))
		return false;
	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		for (uint64_t h = 1; h <= lab.head[s]; h++)
			if (!is_recorded(s, h))
				return false;
	return true;
}

/* No root covers a transaction that changes no record: such blocks are believed, until a root that
 * does tells who gave them. What the liar tells of is held by then, but for what no root comes out
 * with. */
static struct source *believed_liar(void)
{
	lab_begin(&lab, ARCHIVE);
	struct source *liar = lab_source(&lab, "liar", SCRIPT_MISSING);

	lab_until(&lab, held_of(0) == lab.head[0] && held_of(1) > 100 && held_of(2) > 100);
	return liar;
}

static void what_a_liar_gave_is_compared_and_taken_back(void **state)
{
	(void)state;
	struct source *liar = believed_liar();

	assert_false(is_banned("liar"));
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, is_banned("liar"));
	lab_until(&lab, all_is_recorded());
	assert_int_equal(circuit_of("honest", (char[REASON_SIZE]){ "" }), CIRCUIT_CLOSED);
	assert_true(liar->given > 0);
	lab_release(&lab);
}

static bool was_told(const char *words)
{
	AUTO(buf_release) struct buf lines = BUF_INIT(1u << 20);
	uint64_t next = 1;

	assert_int_equal(events_read(lab.events, &next, 1u << 20, &lines), 0);
	buf_u8(&lines, 0);
	assert_int_equal(buf_done(&lines), 0);
	return strstr((const char *)lines.p, words) != NULL;
}

/* Of history nothing was replayed yet: what is false of it goes alone, also where the main shard has a
 * hole below, and nothing says where the others would have to be cut. */
static void false_history_is_taken_back_alone(void **state)
{
	struct follow_options o = lab_options_from_head();

	(void)state;
	lab_open(&lab, ARCHIVE);
	o.sync.bounds.heights_max = 4;
	o.sync.bytes_max = 1u << 18; /* so that not all of it comes at once */
	lab_follow(&lab, &o);
	struct source *liar = lab_source(&lab, "liar", SCRIPT_MISSING);

	lab_until(&lab, held_of(0) > 8 && held_of(1) > 16 && held_of(2) > 16);
	follow_pause_backward(lab.follow, true);
	lab_run_once(&lab);
	lab_until(&lab, lab_sight(&lab).sync.bytes_out == 0);
	uint64_t held = held_of(0);

	assert_true(held < lab.head[0] && held_of(1) < lab.head[1]);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	liar->to.fault(liar->to.arg, FAULT_LIE, "it was seen");
	lab_until(&lab, lab_sight(&lab).doubted > 0);
	lab_until(&lab, (assert_true(held_of(0) >= held), lab_sight(&lab).doubted == 0));
	assert_true(was_told("contents state=taken-back"));
	assert_false(was_told("contents state=kept"));
	follow_pause_backward(lab.follow, false);
	lab_until(&lab, all_is_recorded());
	lab_release(&lab);
}

/* The rollback waits at the gate, and our ingest was ended for it. */
static void closing_does_not_wait_for_what_is_being_taken_back(void **state)
{
	(void)state;
	struct source *liar = believed_liar();

	gate_pause(lab.gate, true);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	liar->to.fault(liar->to.arg, FAULT_LIE, "it was seen");
	lab_until(&lab, lab_sight(&lab).doubted > 1);
	lab_until(&lab, lab_sight(&lab).doubted == 1);
	uint64_t held = held_of(1);

	lab_run_once(&lab);
	assert_int_equal(held_of(1), held);
	lab_release(&lab);
}

static bool stands_back(void)
{
	LOCKED(&lab.follow->follow_lock);
	return lab.follow->standing > 0;
}

/* Ingest may begin again and tell of blocks before the thread that takes back has ended. */
static void closing_while_it_is_taken_back_asks_nobody(void **state)
{
	(void)state;
	believed_liar();
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, stands_back());
	atomic_store(&lab.wake_ms, 20);
	lab_release(&lab);
}

/* What the thread that takes back does last, it does slowly: ingest begins again meanwhile, and
 * what it takes is none of what goes. */
static void what_is_taken_again_does_not_go_with_what_was_false(void **state)
{
	(void)state;
	believed_liar();
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, stands_back());
	atomic_store(&lab.wake_ms, 200);
	lab_until(&lab, all_is_recorded());
	assert_int_equal(lab_sight(&lab).fetched_twice, 0);
	lab_release(&lab);
}

/* Two sources differ about a block; one of them goes, and another one sits in its place when a
 * third word decides. */
static void who_sits_where_a_witness_sat_is_not_named_for_it(void **state)
{
	char reason[REASON_SIZE];

	(void)state;
	believed_liar();
	struct source *witness = lab_source(&lab, "witness", SCRIPT_HONEST);
	unsigned place = sight_of("witness").number;

	follow_doubt_root(lab.follow, 1, held_of(1) + 1);
	lab_until(&lab, witness->cut_short > 0);
	follow_source_remove(lab.follow, place);
	lab_source(&lab, "newcomer", SCRIPT_HONEST);
	assert_int_equal(sight_of("newcomer").number, place);
	lab_until(&lab, is_banned("liar"));
	circuit_of("liar", reason);
	assert_non_null(strstr(reason, "as another source showed"));
	lab_until(&lab, all_is_recorded());
	lab_release(&lab);
}

static bool is_confirmed(uint32_t shard)
{
	return lab_sight(&lab).shards[shard].sync.confirmed == lab.head[shard];
}

/* A tip is confirmed when another operator has the same. */
static void tips_are_confirmed_by_two_operators(void **state)
{
	(void)state;
	lab_begin(&lab, ARCHIVE);
	lab_source(&lab, "one", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	assert_int_equal(lab_sight(&lab).shards[0].sync.confirmed, 0);
	lab_source(&lab, "other", SCRIPT_HONEST);
	lab_until(&lab, is_confirmed(0) && is_confirmed(1) && is_confirmed(2));
	lab_release(&lab);
}

/* The same header with other contents is not the same. */
static void other_contents_do_not_confirm_a_tip(void **state)
{
	(void)state;
	lab_begin(&lab, ARCHIVE);
	assert_true(lab.head[0] % 5 && lab.head[1] % 5 == 0 && lab.head[2] % 5 == 0);
	lab_source(&lab, "one", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	struct source *other = lab_source(&lab, "other", SCRIPT_MISSING);

	lab_until(&lab, other->given >= LAB_SHARDS);
	lab_until(&lab, is_confirmed(0));
	assert_false(is_confirmed(1) || is_confirmed(2));
	lab_release(&lab);
}

static void who_hangs_or_refuses_or_breaks_off_holds_nobody_up(void **state)
{
	static const enum script scripts[] = { SCRIPT_HANGING, SCRIPT_REFUSING, SCRIPT_REORDERED,
					       SCRIPT_CUT };

	(void)state;
	lab_begin(&lab, ARCHIVE);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		char name[16];

		snprintf(name, sizeof name, "bad-%zu", i);
		lab_source(&lab, name, scripts[i]);
	}
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		char name[16];

		snprintf(name, sizeof name, "bad-%zu", i);
		assert_false(is_banned(name));
	}
	lab_release(&lab);
}

struct writing {
	atomic_bool done;
	int rc;
};

static void *write_meanwhile(void *arg)
{
	struct writing *w = arg;
	struct ingest_options o = { .checkers = 1 };
	AUTO(ingest_freep) struct ingest *in = NULL;
	struct err err = ERR_INIT;

	follow_stand_back(lab.follow);
	w->rc = ingest_start(lab.chain.network, &o, &in, &err);
	for (uint64_t h = 1; w->rc == 0 && h <= lab.head[0]; h++) {
		AUTO(buf_release) struct buf copy = BUF_INIT(BLOCK_SIZE_MAX);

		buf_add(&copy, buf_slice(&lab.blocks[0][h]));
		w->rc = ingest_submit(in, 0, h, &copy, &err);
	}
	if (w->rc == 0)
		w->rc = ingest_finish(in, &err);
	ingest_freep(&in);
	follow_go_on(lab.follow);
	atomic_store(&w->done, true);
	return NULL;
}

static void it_stands_back_for_another_writer_and_knows_what_he_wrote(void **state)
{
	struct writing w = { .rc = -1 };
	pthread_t thread;

	(void)state;
	lab_begin(&lab, ARCHIVE);
	follow_step(lab.follow); /* it writes by now */
	pthread_create(&thread, NULL, write_meanwhile, &w);
	lab_until(&lab, atomic_load(&w.done));
	pthread_join(thread, NULL);
	assert_int_equal(w.rc, 0);
	lab_until(&lab, !lab_missing(&lab, 0, lab.head[0]));
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	for (uint64_t h = 1; h <= lab.head[0]; h++)
		assert_int_equal(lab.given_times[0][h], 0);
	lab_release(&lab);
}

static void what_a_reader_finds_damaged_is_fetched_again(void **state)
{
	const struct block_bytes *bytes = NULL;
	struct err err = ERR_INIT;
	struct block_row row;
	unsigned healed = 0;

	(void)state;
	lab_begin(&lab, ARCHIVE);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	char path[256];

	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", lab.chain.path);
	FILE *f = fopen(path, "r+b");

	assert_non_null(f);
	fseek(f, 100, SEEK_SET);
	int byte = fgetc(f);

	fseek(f, 100, SEEK_SET);
	fputc(byte ^ 4, f);
	fclose(f);
	for (uint32_t s = 0; s < LAB_SHARDS; s++)
		for (uint64_t h = 1; h <= lab.head[s]; h++) {
			assert_int_equal(network_block(lab.chain.network, s, h, &row), 1);
			if (network_block_bytes(lab.chain.network, &row, &bytes, &err) == -EBADMSG)
				healed++;
			block_bytes_putp(&bytes);
		}
	assert_true(healed > 0);
	lab_until(&lab, ({
		unsigned again = 0;
		for (uint32_t s = 0; s < LAB_SHARDS; s++)
			for (uint64_t h = 1; h <= lab.head[s]; h++)
				again += lab.given_times[s][h] > 1;
		again >= healed;
	}));
	lab_until(&lab, lab_is_whole(&lab));
	lab_until(&lab, held_of(0) == lab.head[0] && held_of(1) == lab.head[1] &&
				held_of(2) == lab.head[2]);
	lab_release(&lab);
}

struct wanting {
	uint32_t shard;
	uint64_t height;
	atomic_int rc;
	atomic_bool done;
};

static void *want(void *arg)
{
	struct wanting *w = arg;

	atomic_store(&w->rc, follow_want(lab.follow, w->shard,
					 (struct range){ w->height, w->height + 1 }, 10000));
	atomic_store(&w->done, true);
	return NULL;
}

static void what_somebody_waits_for_comes_though_history_is_paused(void **state)
{
	struct follow_options o = lab_options_from_head();
	struct wanting offered = { .shard = 1, .height = 3, .rc = 1 },
		       beyond = { .shard = 1, .height = 1000000, .rc = 1 };
	pthread_t threads[2];

	(void)state;
	lab_open(&lab, ARCHIVE);
	o.paused = true;
	lab_follow(&lab, &o);
	lab_source(&lab, "honest", SCRIPT_HONEST);
	pthread_create(&threads[0], NULL, want, &offered);
	pthread_create(&threads[1], NULL, want, &beyond);
	lab_until(&lab, atomic_load(&offered.done) && atomic_load(&beyond.done));
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(atomic_load(&offered.rc), 0);
	assert_int_equal(atomic_load(&beyond.rc), -EHOSTUNREACH);
	lab_release(&lab);
}

static void a_pause_of_imports_holds_it_and_closing_does_not_wait(void **state)
{
	struct source *honest;

	(void)state;
	lab_begin(&lab, ARCHIVE);
	follow_step(lab.follow);
	gate_pause(lab.gate, true);
	honest = lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, honest->given > 0);
	assert_int_equal(held_of(0), 0);
	lab_release(&lab);
}

/* What a batch waits for is that nothing comes, for two milliseconds. */
static void a_tip_that_comes_alone_is_committed_at_once(void **state)
{
	struct follow_options o = lab_options();
	uint64_t last[LAB_SHARDS];
	struct source *s;

	(void)state;
	lab_open(&lab, ARCHIVE);
	memcpy(last, lab.head, sizeof last);
	for (uint32_t i = 0; i < LAB_SHARDS; i++)
		lab.head[i] = MIN(last[i], 100);
	o.sync.look_ahead = 4;
	lab_follow(&lab, &o);
	s = lab_source(&lab, "honest", SCRIPT_HONEST);
	lab_until(&lab, lab_is_whole(&lab));
	for (unsigned i = 0; i < 60; i++) {
		lab.head[0]++;
		s->to.offers(s->to.arg, 0, (struct range){ 1, lab.head[0] + 1 });
		lab_until(&lab, lab_is_whole(&lab));
	}
	follow_step(lab.follow);
	struct follow_sight sight = lab_sight(&lab);

	print_message("p50 %" PRIu64 " us, p99 %" PRIu64 " us\n", sight.latency_us[0],
		      sight.latency_us[1]);
	assert_in_range(sight.latency_us[0], 1, 500000);
	lab_release(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_honest_source_gives_all_of_it_once),
		cmocka_unit_test(from_the_head_what_is_newest_comes_first_and_history_behind),
		cmocka_unit_test(lies_are_banned_and_nothing_false_is_stored),
		cmocka_unit_test(what_a_liar_gave_is_compared_and_taken_back),
		cmocka_unit_test(false_history_is_taken_back_alone),
		cmocka_unit_test(closing_does_not_wait_for_what_is_being_taken_back),
		cmocka_unit_test(closing_while_it_is_taken_back_asks_nobody),
		cmocka_unit_test(what_is_taken_again_does_not_go_with_what_was_false),
		cmocka_unit_test(who_sits_where_a_witness_sat_is_not_named_for_it),
		cmocka_unit_test(tips_are_confirmed_by_two_operators),
		cmocka_unit_test(other_contents_do_not_confirm_a_tip),
		cmocka_unit_test(who_hangs_or_refuses_or_breaks_off_holds_nobody_up),
		cmocka_unit_test(it_stands_back_for_another_writer_and_knows_what_he_wrote),
		cmocka_unit_test(what_a_reader_finds_damaged_is_fetched_again),
		cmocka_unit_test(what_somebody_waits_for_comes_though_history_is_paused),
		cmocka_unit_test(a_tip_that_comes_alone_is_committed_at_once),
		cmocka_unit_test(a_pause_of_imports_holds_it_and_closing_does_not_wait),
	};

	trace_set_sink(fixture_silence, NULL);
	assert(sign_init() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
