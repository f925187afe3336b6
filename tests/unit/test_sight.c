#include "core/base/sign.h"
#include "core/control/metrics.h"
#include "core/sync/sight.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"
#include "tests/unit/follow_lab.h"

#define NOW_MS  UINT64_C(5000)
#define DATE_MS (UINT64_C(1795000000) * 1000) /* 2026-11-18T11:06:40Z */

#define ARCHIVE "tests/vectors/devnet-a"

/* What a function of this kind writes, as text. */
#define SAYS(text, call)                                               \
	do {                                                           \
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 20); \
		call;                                                  \
		buf_u8(&out, 0);                                       \
		assert_int_equal(buf_done(&out), 0);                   \
		assert_string_equal((const char *)out.p, text);        \
	} while (0)

/* ---- words ---- */

static struct follow_source_sight one_source(enum circuit circuit, bool connected,
					     const char *reason)
{
	struct follow_source_sight s = { .number = 3, .now_ms = NOW_MS };

	snprintf(s.entry.name, sizeof s.entry.name, "alpha");
	snprintf(s.entry.url, sizeof s.entry.url, "grpc://alpha:3383");
	s.words.connected = connected;
	s.sync.circuit = circuit;
	s.sync.score = 0.875;
	s.sync.until_ms = NOW_MS + 7500;
	snprintf(s.sync.detail.reason, sizeof s.sync.detail.reason, "%s", reason);
	return s;
}

static void a_source_says_how_it_stands_and_why(void **state)
{
	struct sight s = { .unix_ms = DATE_MS };
	struct follow_source_sight of = one_source(CIRCUIT_CLOSED, true, "an old fault");

	SAYS("connected", sight_source_state(&s, &of, &out));
	of.words.connected = false;
	SAYS("connecting", sight_source_state(&s, &of, &out));
	of = one_source(CIRCUIT_OPEN, true, "it did not answer");
	SAYS("open 8 s: it did not answer", sight_source_state(&s, &of, &out));
	of.sync.until_ms = NOW_MS - 1;
	SAYS("open 0 s: it did not answer", sight_source_state(&s, &of, &out));
	of = one_source(CIRCUIT_HALF_OPEN, true, "");
	SAYS("connected, on trial", sight_source_state(&s, &of, &out));
	of = one_source(CIRCUIT_BANNED, true, "height 7: hash differs");
	SAYS("banned until 2026-11-18T11:06:47Z: height 7: hash differs",
	     sight_source_state(&s, &of, &out));
}

static void what_a_source_says_of_itself_stays_one_line(void **state)
{
	struct sight s = { .unix_ms = DATE_MS };
	struct follow_source_sight of = one_source(CIRCUIT_OPEN, true, "two\nlines");

	snprintf(of.words.version, sizeof of.words.version, "1.0\x1b[2J");
	SAYS("open 8 s: two?lines\n", render_source_status(&s, &of, &out));
	SAYS("two?lines\n", render_source_error(&s, &of, &out));
	SAYS("1.0?[2J\n", render_source_version(&s, &of, &out));
	SAYS("", render_source_operator(&s, &of, &out));
	SAYS("0.875\n", render_source_score(&s, &of, &out));
	SAYS("grpc://alpha:3383\n", render_source_address(&s, &of, &out));
}

static void a_source_offers_a_line_a_shard(void **state)
{
	struct sight s = { .all.shard_count = 3 };
	struct follow_source_sight of = one_source(CIRCUIT_CLOSED, true, "");

	SAYS("", render_source_range(&s, &of, &out));
	of.sync.offers[0] = (struct range){ 1, 274 };
	of.sync.offers[2] = (struct range){ 2522, 2523 };
	SAYS("0 0000000001 0000000273\n2 0000002522 0000002522\n",
	     render_source_range(&s, &of, &out));
}

static void a_claim_says_what_is_done_about_a_height(void **state)
{
	struct follow_source_sight list[] = { one_source(CIRCUIT_CLOSED, true, "") };
	struct sight s = { .unix_ms = 1, .sources = list, .source_count = 1 };
	struct sight_claim c = { .now_ms = NOW_MS, .unix_ms = DATE_MS };

	SAYS("not offered", sight_claim_words(&s, &c, &out));
	c.claim.offered = true;
	SAYS("waiting", sight_claim_words(&s, &c, &out));
	c.claim.next_try_ms = NOW_MS + 20000;
	SAYS("resting until 2026-11-18T11:07:00Z", sight_claim_words(&s, &c, &out));
	c.claim.next_try_ms = NOW_MS - 1;
	SAYS("waiting", sight_claim_words(&s, &c, &out));
	c.claim.checking = true;
	SAYS("checking", sight_claim_words(&s, &c, &out));
	c.claim.asked = true;
	c.claim.source = 3;
	c.claim.until_ms = NOW_MS + 3000;
	SAYS("asked alpha until 2026-11-18T11:06:43Z", sight_claim_words(&s, &c, &out));
	c.claim.source = 4;
	SAYS("asked a source that was removed until 2026-11-18T11:06:43Z",
	     sight_claim_words(&s, &c, &out));
}

static void a_gap_tells_what_is_stored_and_what_is_going_on(void **state)
{
	struct fault fault = { 7, GAP_REFUSED, 2, 0, "an old reason" };
	struct gap gap = { { 7, 8 }, &fault };
	struct sight s = { .unix_ms = DATE_MS };
	struct sight_claim c = { .now_ms = NOW_MS, .unix_ms = DATE_MS };
	struct gap_sight g = { &s, &c };

	c.claim.tries = 1;
	SAYS("2\n", render_gap_tries(&gap, &g, &out));
	c.claim.tries = 5;
	SAYS("5\n", render_gap_tries(&gap, &g, &out));
	SAYS("an old reason\n", render_gap_error(&gap, &g, &out));
	snprintf(c.claim.error, sizeof c.claim.error, "a new one");
	SAYS("a new one\n", render_gap_error(&gap, &g, &out));
	SAYS("", render_gap_next(&gap, &g, &out));
	c.claim.next_try_ms = NOW_MS + 20000;
	SAYS("2026-11-18T11:07:00Z\n", render_gap_next(&gap, &g, &out));
	SAYS("resting until 2026-11-18T11:07:00Z\n", render_gap_claim(&gap, &g, &out));
	SAYS("", render_gap_claim(&gap, NULL, &out));
	SAYS("an old reason\n", render_gap_error(&gap, NULL, &out));
}

static void durations_are_short(void **state)
{
	char text[SIGHT_TIME_SIZE];

	assert_string_equal(sight_duration(UINT64_MAX, text), "-");
	assert_string_equal(sight_duration(0, text), "0 s");
	assert_string_equal(sight_duration(119, text), "119 s");
	assert_string_equal(sight_duration(7199, text), "119 min");
	assert_string_equal(sight_duration(7200, text), "2.0 h");
	assert_string_equal(sight_duration(3 * 86400, text), "3.0 d");
}

/* ---- versions, of a follower that runs ---- */

struct watched {
	struct lab lab;
	struct follows *follows;
	struct sights *sights;
};

static struct watched w; /* large */

static void watched_open(void)
{
	struct follow_options o = lab_options();

	lab_open(&w.lab, ARCHIVE);
	w.follows = follows_new();
	w.sights = sights_new(w.follows);
	tree_set_env(&(struct tree_env){ .store = w.lab.chain.store, .sights = w.sights });
	lab_follow(&w.lab, &o);
	assert_int_equal(follows_add(w.follows, w.lab.chain.network, w.lab.follow), 0);
}

static void watched_release(void)
{
	follows_remove(w.follows, w.lab.chain.network);
	tree_set_env(&(struct tree_env){ .store = NULL });
	sights_freep(&w.sights);
	follows_freep(&w.follows);
	lab_release(&w.lab);
}

static void lookup_path(struct network *n, const char *path, struct node *out)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	struct err err = ERR_INIT;
	char copy[256], *rest = copy;
	struct node at = tree_root(), child;

	snprintf(copy, sizeof copy, "net/%s", path);
	for (char *word; (word = strsep(&rest, "/")); at = child)
		must(tree_lookup(at.network ? v : NULL, &at, word, &child, &err), &err);
	*out = at;
}

static void version_text(const struct node *n, char *out, size_t size)
{
	AUTO(view_putp) struct view *v = network_view_get(n->network);
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	struct attr attr;

	must(tree_attr(v, n, &attr, &err), &err);
	must(tree_read(v, n, &text, &err), &err);
	assert_int_equal(attr.size, text.n);
	assert_true(attr.settles);
	snprintf(out, size, "%.*s", (int)text.n, (const char *)text.p);
}

static void who_opened_a_file_reads_one_version_of_it(void **state)
{
	struct node before, after;
	char first[4096], again[4096], now[4096];

	watched_open();
	lab_source(&w.lab, "honest", SCRIPT_HONEST);
	lookup_path(w.lab.chain.network, "sources/honest/rate", &before);
	struct sight_version *held =
		sights_get(w.sights, w.lab.chain.network, before.scope.view_number);

	assert_non_null(held);
	version_text(&before, first, sizeof first);
	assert_non_null(strstr(first, "heights 0\n"));
	lab_until(&w.lab, lab_is_whole(&w.lab));
	lookup_path(w.lab.chain.network, "sources/honest/rate", &after);
	assert_true(after.scope.view_number > before.scope.view_number);
	version_text(&after, now, sizeof now);
	assert_null(strstr(now, "heights 0\n"));
	version_text(&before, again, sizeof again);
	assert_string_equal(first, again);
	sight_version_putp(&held);
	watched_release();
}

static void a_version_that_nobody_holds_goes(void **state)
{
	watched_open();
	struct sight_version *v = sights_newest(w.sights, w.lab.chain.network);
	uint64_t number = v->number;

	/* As if it were old: nobody waits here for seconds. */
	v->taken_ms -= 60000;
	sight_version_putp(&v);
	v = sights_newest(w.sights, w.lab.chain.network);
	assert_true(v->number > number);
	assert_null(sights_get(w.sights, w.lab.chain.network, number));
	sight_version_putp(&v);
	watched_release();
}

static void a_claim_is_the_same_as_long_as_its_version(void **state)
{
	struct sight_claim first, again;

	watched_open();
	struct sight_version *v = sights_newest(w.sights, w.lab.chain.network);

	assert_true(sight_version_claim(v, 1, 5, &first));
	assert_false(first.claim.offered);
	lab_source(&w.lab, "hanging", SCRIPT_HANGING);
	lab_until(&w.lab, w.lab.sources[0].asked > 0);
	assert_true(sight_version_claim(v, 1, 5, &again));
	assert_memory_equal(&first, &again, sizeof first);
	for (uint64_t h = 40; h > 0; h--) /* in any order */
		assert_true(sight_version_claim(v, 0, h, &again));
	sight_version_putp(&v);
	watched_release();
}

static void without_a_follower_there_is_nothing_to_tell(void **state)
{
	struct chain c;
	struct sight s;
	AUTO(follows_freep) struct follows *none = follows_new();
	AUTO(sights_freep) struct sights *sights = sights_new(none);
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);

	chain_open(&c, ARCHIVE);
	assert_int_equal(sight_take(NULL, c.network, &s), 0);
	assert_int_equal(sight_take(none, c.network, &s), 0);
	assert_null(sights_newest(sights, c.network));
	assert_null(sights_newest(NULL, c.network));
	assert_int_equal(metrics_render(c.store, none, &text), 0);
	buf_u8(&text, 0);
	assert_null(strstr((const char *)text.p, "chainfs_sync_"));
	assert_non_null(strstr((const char *)text.p, "chainfs_cache_hits_total{tier=\"blocks\"}"));
	chain_release(&c);
}

static void a_line_of_the_root_has_one_size_whoever_follows(void **state)
{
	watched_open();
	lab_source(&w.lab, "honest", SCRIPT_HONEST);
	for (int round = 0; round < 2; round++) {
		AUTO(buf_release) struct buf with = BUF_INIT(4096), without = BUF_INIT(4096);
		struct sight_version *v = sights_newest(w.sights, w.lab.chain.network);

		render_store_line(v->view, &v->sight, &with);
		render_store_line(v->view, NULL, &without);
		assert_int_equal(with.n, without.n);
		sight_version_putp(&v);
		lab_until(&w.lab, lab_is_whole(&w.lab));
	}
	watched_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_says_how_it_stands_and_why),
		cmocka_unit_test(what_a_source_says_of_itself_stays_one_line),
		cmocka_unit_test(a_source_offers_a_line_a_shard),
		cmocka_unit_test(a_claim_says_what_is_done_about_a_height),
		cmocka_unit_test(a_gap_tells_what_is_stored_and_what_is_going_on),
		cmocka_unit_test(durations_are_short),
		cmocka_unit_test(who_opened_a_file_reads_one_version_of_it),
		cmocka_unit_test(a_version_that_nobody_holds_goes),
		cmocka_unit_test(a_claim_is_the_same_as_long_as_its_version),
		cmocka_unit_test(without_a_follower_there_is_nothing_to_tell),
		cmocka_unit_test(a_line_of_the_root_has_one_size_whoever_follows),
	};

	trace_set_sink(fixture_silence, NULL);
	assert(sign_init() == 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
