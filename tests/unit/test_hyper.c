/* Reports, spans and audits over a generated chain, and what an audit finds when rows are wrong. */
#include "core/control/alerts.h"
#include "core/control/metrics.h"
#include "core/hyper/audit.h"
#include "core/hyper/span.h"
#include "tests/unit/tree_fixture.h"

#define LINES_MAX (64u << 20)

static char archive[128];
static struct chain chain;

static int make(void **state)
{
	struct forge_options o = { .kind = FORGE_STORY, .name = "net" };
	struct err err = ERR_INIT;

	fixture_folder(archive);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	chain_open(&chain, archive);
	chain_feed_all(&chain, true);
	return 0;
}

static int unmake(void **state)
{
	chain_release(&chain);
	fixture_remove(archive);
	return 0;
}

/* ---- spans ---- */

static int span_of(uint64_t from, uint64_t to, size_t most, struct span *out, struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	const struct span_options o = {
		.from = from, .to = to, .contexts = { true, true }, .lines_size_max = most
	};

	return span_make(v, &o, out, err);
}

static uint64_t main_tip(void)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);

	return v->shards[0].replayed - 1; /* its cuts are replayed */
}

/* Gained less lost, and how many lines there are. */
static int64_t net_of(const struct span *s, enum context c, uint64_t *lines)
{
	int64_t net = 0;
	uint64_t count = 0;

	for (uint32_t i = 0; i < s->shard_count; i++) {
		net += (int64_t)(s->shards[i].records[c][1] - s->shards[i].records[c][0]);
		count += s->shards[i].records[c][0] + s->shards[i].records[c][1];
	}
	for (size_t i = 0; i < s->lines[c].n; i++)
		count -= s->lines[c].p[i] == '\n';
	assert_int_equal(count, 0);
	for (uint32_t i = 0; i < s->shard_count; i++)
		*lines += s->shards[i].records[c][0] + s->shards[i].records[c][1];
	return net;
}

static void spans_add_up(void **state)
{
	uint64_t tip = main_tip(), lines = 0;
	struct random r = random_of_run();

	for (int round = 0; round < 10; round++) {
		AUTO(span_release) struct span whole = { .from = 0 };
		AUTO(span_release) struct span first = { .from = 0 };
		AUTO(span_release) struct span second = { .from = 0 };
		uint64_t from = random_below(&r, tip - 1);
		uint64_t to = from + 2 + random_below(&r, tip - from - 1);
		uint64_t middle = from + 1 + random_below(&r, to - from - 1);
		struct err err = ERR_INIT;

		must(span_of(from, to, LINES_MAX, &whole, &err), &err);
		must(span_of(from, middle, LINES_MAX, &first, &err), &err);
		must(span_of(middle, to, LINES_MAX, &second, &err), &err);
		for (int c = 0; c < CONTEXT_COUNT; c++)
			assert_int_equal(net_of(&whole, c, &lines),
					 net_of(&first, c, &lines) + net_of(&second, c, &lines));
	}
	assert_true(lines > 100);
}

static void from_nothing_a_span_gains_all_there_is(void **state)
{
	AUTO(span_release) struct span s = { .from = 0 };
	struct err err = ERR_INIT;
	struct diff_report r;
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	uint64_t tip = main_tip(), retained = 0;

	must(span_of(0, tip, LINES_MAX, &s, &err), &err);
	must(report_make(v, tip, &r, &err), &err);
	for (uint32_t i = 0; i < r.shard_count; i++) {
		assert_int_equal(s.shards[i].records[CONTEXT_HYPER][0], 0);
		assert_int_equal(s.shards[i].records[CONTEXT_LEGACY][0], 0);
		for (size_t k = 0; k < r.ops->set_count; k++)
			retained += r.shards[i].sets[k];
	}
	int64_t more = 0;
	for (uint32_t i = 0; i < s.shard_count; i++)
		more += (int64_t)(s.shards[i].records[CONTEXT_HYPER][1] -
				  s.shards[i].records[CONTEXT_LEGACY][1]);
	assert_int_equal(more, retained);
	assert_true(retained > 0);
}

static void too_much_for_a_file_names_a_smaller_span(void **state)
{
	AUTO(span_release) struct span s = { .from = 0 };
	struct err err = ERR_INIT;

	assert_int_equal(span_of(10, 90, 300, &s, &err), -EFBIG);
	assert_non_null(strstr(err.text, "10..50"));
	assert_int_equal(s.lines[0].n, 0);
}

static void what_cannot_be_told_is_an_error_with_a_sentence(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	AUTO(span_release) struct span s = { .from = 0 };
	struct err err = ERR_INIT;
	struct diff_report r;
	atomic_bool stop = true;
	const struct span_options o = { .from = 1,
					.to = 9,
					.contexts = { true, true },
					.lines_size_max = LINES_MAX,
					.stop = &stop };

	assert_int_equal(span_of(5, 100000, LINES_MAX, &s, &err), -ENOENT);
	assert_non_null(strstr(err.text, "100000"));
	assert_int_equal(report_make(v, 100000, &r, &err), -ENOENT);
	assert_int_equal(span_make(v, &o, &s, &err), -EINTR);

	/* A shard that is behind the cut. */
	struct view behind = *v;
	behind.shards[1].replayed = 3;
	assert_int_equal(report_make(&behind, main_tip(), &r, &err), -ENODATA);
	assert_non_null(strstr(err.text, "shard 1"));
	behind = *v;
	behind.shards[0].kept_from = 50;
	assert_int_equal(span_make(&behind, &o, &s, &err), -ENODATA);
	assert_non_null(strstr(err.text, "kept from height 50"));
}

static void one_shard_is_that_shard_of_all(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	AUTO(span_release) struct span all = { .from = 0 };
	uint64_t bytes = 0;
	struct err err = ERR_INIT;

	must(span_of(20, 80, LINES_MAX, &all, &err), &err);
	for (uint32_t i = 0; i < v->shard_count; i++) {
		AUTO(span_release) struct span one = { .from = 0 };
		const struct span_options o = { .from = 20,
						.to = 80,
						.contexts = { true, false },
						.one_shard = true,
						.shard = i,
						.lines_size_max = LINES_MAX };

		must(span_make(v, &o, &one, &err), &err);
		assert_int_equal(one.shard_count, 1);
		assert_int_equal(one.lines[CONTEXT_HYPER].n, 0);
		bytes += one.lines[CONTEXT_LEGACY].n;
	}
	assert_int_equal(bytes, all.lines[CONTEXT_LEGACY].n);
	assert_true(bytes > 0);
}

/* One more main block, that puts a record anew: under its key now stand another one's bytes. */
static void renew_a_record(uint64_t tip, struct slice key, struct slice value)
{
	AUTO(commit_freep) struct commit *c = NULL;
	AUTO(state_freep) struct state *st = NULL;
	const struct chain_change list[] = {
		{ .space = SPACE_BOTH, .deleted = true, .reason = REASON_SUPERSEDED, .key = key },
		{ .space = SPACE_BOTH, .reason = REASON_MERGED, .key = key },
	};
	struct block_row row;
	struct roots_row roots;
	struct err err = ERR_INIT;

	assert_int_equal(network_block(chain.network, 0, tip, &row), 1);
	assert_int_equal(network_roots(chain.network, 0, tip, &roots), 1);
	row.height++;
	must(state_open(chain.network, 0, UINT64_MAX, &st, &err), &err);
	assert_int_equal(commit_new(chain.network, &c), 0);
	struct shard_view *sv = &commit_view(c)->shards[0];
	assert_int_equal(state_block_begin(st, tip + 1), 0);
	assert_int_equal(state_put(st, SPACE_BOTH, key, value, false), 0);
	assert_int_equal(state_block_end(st), 0);
	assert_int_equal(commit_state(c, st), 0);
	assert_int_equal(commit_block(c, &row), 0);
	assert_int_equal(commit_roots(c, 0, tip + 1, &roots), 0);
	assert_int_equal(commit_changes(c, 0, tip + 1, list, ARRAY_LEN(list)), 0);
	assert_int_equal(gaps_add(&sv->gaps, (struct range){ tip + 1, tip + 2 }), 0);
	sv->known = sv->tip = sv->replayed = tip + 1;
	must(commit_apply(c, &err), &err);
}

/* Two records of one set that shard 0 holds. */
static void two_records(struct buf keys[2], struct buf values[2])
{
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	const struct chain_ops *ops = network_ops(chain.network);
	struct slice key, value;
	struct err err = ERR_INIT;
	int count = 0;

	must(state_open(chain.network, 0, UINT64_MAX, &st, &err), &err);
	must(state_scan_new(st, SPACE_BOTH, slice_str("R"), SLICE_EMPTY, false, &scan), &err);
	while (count < 2 && state_scan_next(scan, &key, &value) == 1) {
		uint64_t account;
		uint8_t set;

		assert_int_equal(ops->record_place(key, &account, &set), 0);
		if (strcmp(ops->sets[set - 1].name, "onchain") != 0)
			continue;
		buf_add(&keys[count], key);
		buf_add(&values[count++], value);
	}
	assert_int_equal(count, 2);
}

static void a_record_with_other_bytes_is_lost_and_gained(void **state)
{
	const struct chain_ops *ops = network_ops(chain.network);
	struct buf keys[2] = { BUF_INIT(4096), BUF_INIT(4096) };
	struct buf values[2] = { BUF_INIT(4096), BUF_INIT(4096) };
	AUTO(buf_release) struct buf joined = BUF_INIT(4096);
	AUTO(span_release) struct span s = { .from = 0 };
	uint64_t tip = main_tip() + 1, own, other;
	struct slice rest, other_rest;
	struct err err = ERR_INIT;
	char text[512];

	two_records(keys, values);
	assert_int_equal(ops->record_split(buf_slice(&values[0]), &own, &rest), 0);
	assert_int_equal(ops->record_split(buf_slice(&values[1]), &other, &other_rest), 0);
	assert_int_not_equal(own, other);
	assert_int_equal(ops->record_join(other, rest, &joined), 0);
	renew_a_record(tip, buf_slice(&keys[0]), buf_slice(&joined));
	must(span_of(tip, tip + 1, LINES_MAX, &s, &err), &err);
	for (int c = 0; c < CONTEXT_COUNT; c++) {
		snprintf(text, sizeof text, "%.*s", (int)s.lines[c].n, s.lines[c].p);
		assert_int_equal(s.shards[0].records[c][0], 1);
		assert_int_equal(s.shards[0].records[c][1], 1);
		assert_int_equal(text[0], '-');
		assert_non_null(strstr(text, "superseded\n+"));
		assert_non_null(strstr(text, "merged\n"));
	}
	span_release(&s);

	/* Put back as it was: at the two ends it is the same file. */
	renew_a_record(tip + 1, buf_slice(&keys[0]), buf_slice(&values[0]));
	must(span_of(tip, tip + 2, LINES_MAX, &s, &err), &err);
	assert_int_equal(s.lines[CONTEXT_LEGACY].n + s.lines[CONTEXT_HYPER].n, 0);
	for (int i = 0; i < 2; i++) {
		buf_release(&keys[i]);
		buf_release(&values[i]);
	}
}

/* ---- audits ---- */

struct found {
	size_t count;
	char what[64];
	uint64_t height;
};

static void take(void *arg, uint32_t shard, uint64_t height, const char *what, const char *sentence)
{
	struct found *f = arg;

	f->count++;
	f->height = height;
	if (!strstr(f->what, what))
		snprintf(f->what + strlen(f->what), sizeof f->what - strlen(f->what), "%s ", what);
	assert_true(sentence[0]);
}

static struct found audit(uint64_t latest, struct audit_totals *totals)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	uint64_t failures = metrics_read(COUNTER_HYPER_DIFF_FAILURES);
	struct found f = { 0 };
	struct err err = ERR_INIT;

	*totals = (struct audit_totals){ 0 };
	for (uint32_t s = 0; s < v->shard_count; s++)
		must(audit_shard(v, s, latest, take, &f, NULL, totals, &err), &err);
	assert_int_equal(totals->faults, f.count);
	assert_int_equal(metrics_read(COUNTER_HYPER_DIFF_FAILURES), failures + f.count);
	return f;
}

static void what_replay_left_passes(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	struct audit_totals t;
	uint64_t heights = 0, retained = 0;
	struct found f = audit(UINT64_MAX, &t);

	assert_int_equal(f.count, 0);
	for (uint32_t s = 0; s < v->shard_count; s++) {
		heights += v->shards[s].replayed;
		retained += v->shards[s].retained;
	}
	assert_int_equal(t.heights, heights);
	assert_int_equal(t.retained, retained);
	assert_int_equal(t.roots, v->shard_count);
	assert_true(t.prunes > 20 && t.dropped > 0);
	f = audit(7, &t);
	assert_int_equal(f.count, 0);
	assert_int_equal(t.heights, 7 * v->shard_count);
}

/* Lists leave out most keys: what the objects tell is where the rows are. */
static void change_lists_name_the_rows_that_changed(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	uint64_t told = 0, gone = 0;

	for (uint64_t h = 1; h <= v->shards[1].replayed; h++) {
		AUTO(change_list_release) struct change_list list = { .changes = NULL };
		AUTO(change_list_release) struct change_list keyless = { .changes = NULL };
		AUTO(state_freep) struct state *after = NULL;
		AUTO(state_freep) struct state *before = NULL;
		struct err err = ERR_INIT;

		assert_int_equal(network_changes(chain.network, 1, h, &list), 1);
		assert_int_equal(network_changes_keyless(chain.network, 1, h, &keyless), 1);
		assert_int_equal(list.change_count, keyless.change_count);
		must(state_open(chain.network, 1, h, &after, &err), &err);
		must(state_open(chain.network, 1, h - 1, &before, &err), &err);
		for (size_t i = 0; i < list.change_count; i++) {
			const struct chain_change *c = &list.changes[i];
			const struct chain_change *d = &keyless.changes[i];
			struct slice value = SLICE_EMPTY, rest;
			uint64_t object;

			assert_true(d->object == c->object && d->deleted == c->deleted &&
				    d->reason == c->reason);
			assert_true(c->told ? d->key.n == 0 : slice_eq(d->key, c->key));
			int was = state_get(before, c->space, c->key, &value);
			int rc = was == 1 && c->deleted
					 ? 1
					 : state_get(after, c->space, c->key, &value);

			/* Neither: it came and went within the block. */
			assert_true(rc == 1 || (c->deleted && !was) || was == 0);
			if (rc != 1)
				continue;
			assert_int_equal(
				network_ops(chain.network)->record_split(value, &object, &rest), 0);
			assert_int_equal(object, c->object);
			told += c->told && !c->deleted;
			gone += c->told && c->deleted;
		}
	}
	assert_true(told > 100 && gone > 20);
}

/* A height of shard 1 that retained something, and did before. */
static uint64_t height_with_prunes(struct change_list *out)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);

	for (uint64_t h = v->shards[1].replayed - 1; h > 1; h--) {
		assert_int_equal(network_changes(chain.network, 1, h, out), 1);
		for (size_t i = 0; i < out->change_count; i++)
			if (out->changes[i].space == SPACE_HYPER && !out->changes[i].deleted)
				return h;
		change_list_release(out);
	}
	fail_msg("nothing was pruned");
	return 0;
}

static void put_roots(uint64_t height, const struct roots_row *r)
{
	AUTO(commit_freep) struct commit *c = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(commit_new(chain.network, &c), 0);
	assert_int_equal(commit_roots(c, 1, height, r), 0);
	must(commit_apply(c, &err), &err);
}

static void put_changes(uint64_t height, const struct chain_change *list, size_t count)
{
	AUTO(commit_freep) struct commit *c = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(commit_new(chain.network, &c), 0);
	assert_int_equal(commit_changes(c, 1, height, list, count), 0);
	must(commit_apply(c, &err), &err);
}

static void a_wrong_row_is_a_fault(void **state)
{
	AUTO(change_list_release) struct change_list list = { .changes = NULL };
	uint64_t height = height_with_prunes(&list);
	struct audit_totals t;
	struct roots_row good, bad;
	struct found f;

	assert_int_equal(network_roots(chain.network, 1, height, &good), 1);
	bad = good;
	bad.retained++;
	put_roots(height, &bad);
	f = audit(UINT64_MAX, &t);
	assert_non_null(strstr(f.what, "retained"));
	assert_null(strstr(f.what, "prune"));

	bad = good;
	bad.has_hyper = false;
	put_roots(height, &bad);
	f = audit(UINT64_MAX, &t);
	assert_string_equal(f.what, "gap ");
	assert_int_equal(f.height, height);

	bad = good;
	bad.envelope_json_size++;
	put_roots(height, &bad);
	f = audit(UINT64_MAX, &t);
	assert_string_equal(f.what, "envelope ");
	put_roots(height, &good);

	/* A prune that hyper does not know of. */
	size_t at = 0;
	while (list.changes[at].space != SPACE_HYPER || list.changes[at].deleted)
		at++;
	struct chain_change *less = calloc(list.change_count, sizeof *less);
	assert_non_null(less);
	memcpy(less, list.changes, at * sizeof *less);
	memcpy(less + at, list.changes + at + 1, (list.change_count - at - 1) * sizeof *less);
	put_changes(height, less, list.change_count - 1);
	free(less);
	f = audit(UINT64_MAX, &t);
	assert_non_null(strstr(f.what, "prune"));
	put_changes(height, list.changes, list.change_count);

	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	uint64_t tip = v->shards[1].replayed;
	assert_int_equal(network_roots(chain.network, 1, tip, &good), 1);
	bad = good;
	bad.hyper.root[0] ^= 1;
	put_roots(tip, &bad);
	f = audit(1, &t);
	assert_non_null(strstr(f.what, "root"));
	put_roots(tip, &good);
	f = audit(UINT64_MAX, &t);
	assert_int_equal(f.count, 0);
}

static void hyper_that_is_off_cannot_be_audited(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	struct view off = *v;
	struct audit_totals t = { 0 };
	struct found f = { 0 };
	struct err err = ERR_INIT;
	atomic_bool stop = true;

	off.shards[0].hyper_on = false;
	assert_int_equal(audit_shard(&off, 0, 5, take, &f, NULL, &t, &err), -ENODATA);
	assert_int_equal(audit_shard(v, 0, 5, take, &f, &stop, &t, &err), -EINTR);
	assert_int_equal(f.count, 0);
}

/* ---- the soft cap ---- */

static void an_alert_is_said_once_a_crossing(void **state)
{
	bool past = false;

	assert_int_equal(alert_step(&past, 10, 0), ALERT_NONE);  /* no cap */
	assert_int_equal(alert_step(&past, 10, 10), ALERT_NONE); /* at it is not past it */
	assert_int_equal(alert_step(&past, 11, 10), ALERT_PAST);
	assert_int_equal(alert_step(&past, UINT64_MAX, 10), ALERT_NONE);
	assert_int_equal(alert_step(&past, 10, 10), ALERT_ENDED);
	assert_int_equal(alert_step(&past, 0, 10), ALERT_NONE);
	assert_int_equal(alert_step(&past, 11, 10), ALERT_PAST);
}

static void without_memory_a_span_is_not_made(void **state)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	const struct span_options o = { .from = 40,
					.to = 42,
					.contexts = { true, true },
					.one_shard = true,
					.shard = 1,
					.lines_size_max = LINES_MAX };

	FOR_EACH_ALLOC_FAULT {
		AUTO(span_release) struct span s = { .from = 0 };
		int rc = span_make(v, &o, &s, NULL);

		assert_true(rc == 0 || (rc == -ENOMEM && s.shard_count == 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans_add_up),
		cmocka_unit_test(from_nothing_a_span_gains_all_there_is),
		cmocka_unit_test(too_much_for_a_file_names_a_smaller_span),
		cmocka_unit_test(what_cannot_be_told_is_an_error_with_a_sentence),
		cmocka_unit_test(one_shard_is_that_shard_of_all),
		cmocka_unit_test(what_replay_left_passes),
		cmocka_unit_test(change_lists_name_the_rows_that_changed),
		cmocka_unit_test(a_wrong_row_is_a_fault),
		cmocka_unit_test(hyper_that_is_off_cannot_be_audited),
		cmocka_unit_test(without_memory_a_span_is_not_made),
		cmocka_unit_test(
			a_record_with_other_bytes_is_lost_and_gained), /* the last on the chain */
		cmocka_unit_test(an_alert_is_said_once_a_crossing),
	};

	trace_set_level(TRACE_ERROR);
	return cmocka_run_group_tests(tests, make, unmake);
}
