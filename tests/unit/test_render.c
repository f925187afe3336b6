#include "core/hyper/report.h"
#include "core/store/lines.h"
#include "fs/tree/render.h"
#include "tests/support/support.h"

#define TEXT_MAX (1 << 20)

static void says(const struct buf *b, const char *want)
{
	AUTO(base_freep) char *text = calloc(1, b->n + 1);

	assert_int_equal(b->failed, 0);
	assert_non_null(text);
	if (b->n)
		memcpy(text, b->p, b->n);
	assert_string_equal(text, want);
}

static struct block_row row_of(uint64_t height, uint32_t items, uint32_t bytes)
{
	struct block_row row = { .shard = 1,
				 .height = height,
				 .time = 1795273391,
				 .items = items,
				 .canonical_size = bytes };

	memset(row.hash, 0xab, sizeof row.hash);
	for (int l = 0; l < LEVEL_COUNT; l++)
		row.levels[l].verdict = VERDICT_OK;
	return row;
}

/* ---- blocks ---- */

static void a_line_of_the_index_has_its_five_fields(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct block_row row = row_of(7, 3, 1234);

	line_index(&row, &out);
	says(&out, "0000000007\tabababababababababababababababababababababababababababababababab\t"
		   "2026-11-21T15:03:11Z\t3\t1234\n");
}

static void the_size_of_an_index_line_is_known_before_it_is_written(void **state)
{
	static const uint64_t heights[] = { 0, 1, 9999999999, 10000000000, UINT64_MAX };
	static const uint32_t numbers[] = { 0, 9, 10, 99, 100, UINT32_MAX };

	for (size_t h = 0; h < ARRAY_LEN(heights); h++)
		for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
			for (size_t b = 0; b < ARRAY_LEN(numbers); b++) {
				AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
				struct block_row row = row_of(heights[h], numbers[i], numbers[b]);

				line_index(&row, &out);
				assert_int_equal(out.n, line_index_size(&row));
			}
}

static void verify_has_a_line_a_level_and_says_who_vouches(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct block_row row = row_of(7, 3, 1234);

	strcpy(row.levels[LEVEL_COMMIT].reason, "3 of 4 signatures");
	row.levels[LEVEL_STATE].verdict = VERDICT_FAILED;
	strcpy(row.levels[LEVEL_STATE].reason, "root\tdiffers\nhere");
	render_verify(&row, true, "preset", &out);
	says(&out, "structure\tok\t\nheader\tok\t\ncommit\tok\t3 of 4 "
		   "signatures\nmessages\tok\t\naccounts\tok\t\n"
		   "state\tfailed\troot?differs?here\nvalidators\tpreset\tknown to this program\n");
}

static void what_a_view_does_not_know_yet_is_pending(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct block_row row = row_of(7, 3, 1234);

	render_verify(&row, false, "config", &out);
	says(&out,
	     "structure\tok\t\nheader\tok\t\ncommit\tok\t\nmessages\tok\t\naccounts\tpending\t\n"
	     "state\tpending\t\nvalidators\tconfig\tgiven by who runs this node\n");
}

static void outcomes_have_a_line_an_item_also_before_replay(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct chain_outcome outcomes[] = {
		{ OUTCOME_MERGED, NULL },
		{ OUTCOME_REFUSED, "hash differs" },
		{ OUTCOME_NONE, NULL },
	};
	struct outcome_list list = { .outcomes = outcomes, .outcome_count = ARRAY_LEN(outcomes) };

	render_outcomes(&list, 3, 0, &out);
	says(&out, "000000\tmerged\t\n000001\trefused\thash differs\n000002\tnone\t\n");
	buf_clear(&out);
	render_outcomes(NULL, 2, 0, &out);
	says(&out, "000000\tnot-replayed\t\n000001\tnot-replayed\t\n");
	buf_clear(&out);
	render_outcomes(NULL, 0, 0, &out);
	says(&out, "");
}

/* ---- states ---- */

static const struct chain_set sets[] = { { "casts", 1, "" }, { "links", 2, "" } };
static const struct chain_ops ops = { .sets = sets, .set_count = ARRAY_LEN(sets) };

static struct chain_account account(void)
{
	struct chain_account a = { .root_size = 20, .records = 12 };

	memset(a.root, 0xcd, 20);
	a.sets[0].records = 10;
	a.sets[1].records = 2;
	return a;
}

static void counts_go_set_by_set_and_then_in_total(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct chain_account a = account();

	render_counts(&ops, &a, &out);
	says(&out, "casts 10\nlinks 2\ntotal 12\n");
}

static void an_empty_root_is_an_empty_file_and_a_dash_in_tables(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct chain_account a = account();
	struct chain_root r = { .root_size = 2, .root = { 0x01, 0xff }, .records = 99 };

	render_account_root(&a, &out);
	says(&out, "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n");
	buf_clear(&out);
	a.root_size = 0;
	render_account_root(&a, &out);
	says(&out, "");
	line_roots(5, &r, &out);
	assert_int_equal(out.n, line_roots_size(5, &r));
	says(&out, "0000000005\t01ff\t99\n");
	buf_clear(&out);
	r = (struct chain_root){ .records = 0 };
	line_roots(6, &r, &out);
	assert_int_equal(out.n, line_roots_size(5, &r));
	says(&out, "0000000006\t-\t0\n");
}

static void lines_of_accounts_are_all_as_long(void **state)
{
	struct chain_account a = account();

	for (int empty = 0; empty < 2; empty++) {
		AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);

		a.root_size = empty ? 0 : 20;
		a.records = empty ? 0 : 9999999999;
		render_account_line(empty ? 0 : 255, empty ? 1 : UINT32_MAX, &a, &out);
		assert_int_equal(out.n, ACCOUNT_LINE_SIZE);
		says(&out, empty ? "00\t0000000001\t----------------------------------------"
				   "\t0000000000\n"
				 : "ff\t4294967295\tcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\t99999"
				   "99999\n");
	}
}

/* ---- gaps ---- */

static void a_gap_says_why_and_how_often(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct fault f = { .height = 7, .reason = GAP_STATE, .tries = 2, .next_try = 1795273391 };
	struct gap g = { .range = { 7, 8 }, .fault = &f };

	strcpy(f.error, "account 1013: root differs");
	render_gap_status(&g, NULL, &out);
	render_gap_reason(&g, NULL, &out);
	render_gap_error(&g, NULL, &out);
	render_gap_tries(&g, NULL, &out);
	render_gap_next(&g, NULL, &out);
	says(&out, "refused\nstate\naccount 1013: root differs\n2\n2026-11-21T15:03:11Z\n");
}

static void a_gap_that_nobody_filled_yet_has_no_error(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct gap g = { .range = { 7, 80 } };

	render_gap_error(&g, NULL, &out);
	render_gap_next(&g, NULL, &out);
	says(&out, "");
	render_gap_status(&g, NULL, &out);
	render_gap_reason(&g, NULL, &out);
	render_gap_tries(&g, NULL, &out);
	says(&out, "missing\nnot-fetched\n0\n");
}

static void a_map_has_a_byte_a_height(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct shard_view sv = { .known = 12, .replayed = 4 };
	static const uint8_t map[] = { 'r', 'r', 'r', 'r', 'h', 'h', 0,
				       'x', 'h', 'h', 0,   0,	'\n' };

	assert_int_equal(gaps_add(&sv.gaps, (struct range){ 1, 7 }), 0);
	assert_int_equal(gaps_add(&sv.gaps, (struct range){ 9, 11 }), 0);
	assert_int_equal(gaps_fault(&sv.gaps, 8, GAP_REFUSED, "header"), 0);
	render_map(&sv, &out);
	assert_true(slice_eq(buf_slice(&out), SLICE_ARRAY(map)));
	buf_clear(&out);
	sv.known = 0;
	render_map(&sv, &out);
	says(&out, "");
	gaps_release(&sv.gaps);
}

/* ---- diffs ---- */

static struct diff_report report(void)
{
	struct diff_report r = { .ops = &ops, .height = 9, .time = 1795273391, .shard_count = 2 };

	memset(r.hash, 0x11, sizeof r.hash);
	r.shards[0] = (struct diff_shard){ .shard = 0, .height = 9 };
	r.shards[1] = (struct diff_shard){
		.shard = 1,
		.height = 8,
		.base_height = 3,
		.base = { .root = { 0xbb }, .root_size = 1 },
		.roots = {
			.legacy = { .root = { 0xaa }, .root_size = 1, .records = 5 },
			.hyper = { .root = { 0xbc }, .root_size = 1, .records = 7 },
			.retained = 2,
		},
		.sets = { 2, 0 },
	};
	return r;
}

static void a_report_has_a_line_a_shard_and_a_set(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct diff_report r = report();

	report_render(&r, false, &out);
	says(&out,
	     "height 9\nhash 1111111111111111111111111111111111111111111111111111111111111111\n"
	     "time 2026-11-21T15:03:11Z\nretained 2\nshard 0 9 - - 0 0 0\nshard 1 8 aa bc 5 7 "
	     "2\nbase 0 0 -\n"
	     "base 1 3 bb\nset 1 casts 2\n");
}

static void a_report_as_json_has_sorted_keys(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	struct diff_report r = report();

	r.shard_count = 1;
	r.shards[0] = r.shards[1];
	report_render(&r, true, &out);
	says(&out,
	     "{\n  \"hash\": "
	     "\"1111111111111111111111111111111111111111111111111111111111111111\",\n"
	     "  \"height\": 9,\n  \"retained\": 2,\n  \"shards\": [\n    {\n      \"base\": {\n"
	     "        \"height\": 3,\n        \"root\": \"bb\"\n      },\n      \"height\": 8,\n"
	     "      \"hyper_records\": 7,\n      \"hyper_root\": \"bc\",\n      "
	     "\"legacy_records\": 5,\n"
	     "      \"legacy_root\": \"aa\",\n      \"retained\": 2,\n      \"retained_by_set\": "
	     "{\n"
	     "        \"casts\": 2\n      },\n      \"shard\": 1\n    }\n  ],\n"
	     "  \"time\": \"2026-11-21T15:03:11Z\"\n}\n");
}

static void lines_of_diverged_heights_are_all_as_long(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);

	render_diverged_line(0, 1, &out);
	assert_int_equal(out.n, DIVERGED_LINE_SIZE);
	render_diverged_line(SHARD_MAX - 1, 9999999999, &out);
	says(&out, "00\t0000000001\n15\t9999999999\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_of_the_index_has_its_five_fields),
		cmocka_unit_test(the_size_of_an_index_line_is_known_before_it_is_written),
		cmocka_unit_test(verify_has_a_line_a_level_and_says_who_vouches),
		cmocka_unit_test(what_a_view_does_not_know_yet_is_pending),
		cmocka_unit_test(outcomes_have_a_line_an_item_also_before_replay),
		cmocka_unit_test(counts_go_set_by_set_and_then_in_total),
		cmocka_unit_test(an_empty_root_is_an_empty_file_and_a_dash_in_tables),
		cmocka_unit_test(lines_of_accounts_are_all_as_long),
		cmocka_unit_test(a_gap_says_why_and_how_often),
		cmocka_unit_test(a_gap_that_nobody_filled_yet_has_no_error),
		cmocka_unit_test(a_map_has_a_byte_a_height),
		cmocka_unit_test(a_report_has_a_line_a_shard_and_a_set),
		cmocka_unit_test(a_report_as_json_has_sorted_keys),
		cmocka_unit_test(lines_of_diverged_heights_are_all_as_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
