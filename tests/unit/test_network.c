/* Blocks, what replay left of them, views and commits come back as they were written. What becomes
 * of objects is in test_objects.c. */
#include "tests/unit/network_lab.h"

#include <stdatomic.h>

static void blocks_come_back_whether_they_share_a_frame_or_not(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct block_row row;

	for (uint64_t h = 1; h <= 100; h++)
		put_block(c, h, 3000 + h, h % 3 * 100);
	put_block(c, 101, 5u << 20, 1000);
	put_block(c, 102, 0, 0);
	put_block(c, 103, 1, 0);
	assert_true(commit_bytes_held(c) > 0);
	assert_int_equal(network_block(f.network, 1, 1, &row), 0);
	apply(c);
	for (int again = 0; again < 2; again++) {
		for (uint64_t h = 1; h <= 100; h++)
			expect_block(f.network, h, 3000 + h, h % 3 * 100);
		expect_block(f.network, 101, 5u << 20, 1000);
		expect_block(f.network, 102, 0, 0);
		expect_block(f.network, 103, 1, 0);
		assert_int_equal(network_block(f.network, 1, 104, &row), 0);
		assert_int_equal(network_block(f.network, 2, 1, &row), 0);
		commit_freep(&c);
		fixture_reopen(&f);
	}
	/* Row 1 and 2 lie in one frame, which is packed. */
	struct block_row other;

	assert_int_equal(network_block(f.network, 1, 1, &row), 1);
	assert_int_equal(network_block(f.network, 1, 2, &other), 1);
	assert_int_equal(row.bytes.offset, other.bytes.offset);
	assert_true(row.bytes.stored < row.bytes.size);
	assert_true(row.bytes.size <= 512u << 10);
}

static void the_last_word_about_a_block_counts(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct block_row row;

	put_block(c, 1, 100, 0);
	put_block(c, 2, 100, 0);
	assert_int_equal(commit_block_remove(c, 1, 1), 0);
	apply(c);
	assert_int_equal(network_block(f.network, 1, 1, &row), 0);
	expect_block(f.network, 2, 100, 0);
	/* A row that was read is written again with other levels; its bytes stay where they are. */
	assert_int_equal(network_block(f.network, 1, 2, &row), 1);
	row.levels[LEVEL_STATE].verdict = VERDICT_OK;
	assert_int_equal(commit_block(c, &row), 0);
	assert_int_equal(commit_aside(c, 1, 7, &row.bytes), 0);
	apply(c);
	assert_int_equal(network_block(f.network, 1, 2, &row), 1);
	assert_int_equal(row.levels[LEVEL_STATE].verdict, VERDICT_OK);
	AUTO(block_bytes_putp) const struct block_bytes *aside = NULL, *own = NULL;

	assert_int_equal(network_aside(f.network, 1, 8, &aside, NULL), 0);
	assert_int_equal(network_aside(f.network, 1, 7, &aside, NULL), 1);
	assert_int_equal(network_block_bytes(f.network, &row, &own, NULL), 0);
	assert_true(slice_eq(aside->canonical, own->canonical));
}

static void blocks_are_scanned_in_order_of_heights(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	AUTO(block_scan_freep) struct block_scan *s = NULL;
	struct block_row row;
	static const uint64_t heights[] = { 300, 2, 70000, 1, 255, 256 };
	static const uint64_t wanted[] = { 2, 255, 256, 300, 70000 };

	for (size_t i = 0; i < ARRAY_LEN(heights); i++)
		put_block(c, heights[i], 10, 0);
	apply(c);
	assert_int_equal(block_scan_new(f.network, 1, 2, &s), 0);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		assert_int_equal(block_scan_next(s, &row), 1);
		assert_int_equal(row.height, wanted[i]);
	}
	assert_int_equal(block_scan_next(s, &row), 0);
	assert_int_equal(block_scan_next(s, &row), 0);
	block_scan_freep(&s);
	assert_int_equal(block_scan_new(f.network, 0, 0, &s), 0);
	assert_int_equal(block_scan_next(s, &row), 0);
}

static void what_replay_left_comes_back(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	const struct chain_change changes[] = {
		{ SPACE_BOTH, false, REASON_MERGED, 0, 500, slice_str("record one"), false },
		{ SPACE_BOTH, true, REASON_PRUNED, CHANGE_NO_ITEM, 40, slice_str("record zero"),
		  false },
		{ SPACE_HYPER, false, REASON_PRUNED, CHANGE_NO_ITEM, 40, slice_str("record zero"),
		  false },
		{ SPACE_HYPER, true, REASON_EXPIRED, 7, UINT64_MAX, SLICE_EMPTY, false },
	};
	const struct chain_outcome outcomes[] = {
		{ OUTCOME_MERGED, NULL },
		{ OUTCOME_REFUSED, "signature does not match" },
		{ OUTCOME_NONE, NULL },
		{ OUTCOME_REFUSED, "" },
	};
	const struct roots_row roots = {
		.legacy = { { 1, 2 }, 20, 77 },
		.hyper = { { 3, 4 }, 20, 80 },
		.has_hyper = true,
		.retained = 3,
		.envelope_size = 400,
		.envelope_json_size = 900,
	};
	const struct roots_row equal = { .legacy = { { 5 }, 20, 1 },
					 .hyper = { { 5 }, 20, 1 },
					 .has_hyper = true };
	const struct range_row range = { 10, 20, { 30, 40 }, 50 };

	assert_int_equal(commit_changes(c, 1, 5, changes, ARRAY_LEN(changes)), 0);
	assert_int_equal(commit_changes(c, 1, 6, NULL, 0), 0);
	assert_int_equal(commit_outcomes(c, 1, 5, outcomes, ARRAY_LEN(outcomes)), 0);
	assert_int_equal(commit_roots(c, 1, 5, &roots), 0);
	assert_int_equal(commit_roots(c, 1, 6, &equal), 0);
	assert_int_equal(commit_roots(c, 1, 9, &roots), 0);
	assert_int_equal(commit_range(c, 1, 0, &range), 0);
	commit_view(c)->shards[1].replayed = 8;
	apply(c);

	AUTO(change_list_release) struct change_list l = { 0 }, none = { 0 };
	AUTO(outcome_list_release) struct outcome_list o = { 0 };
	struct roots_row got;
	struct range_row got_range;
	uint64_t height;

	assert_int_equal(network_changes(f.network, 1, 5, &l), 1);
	assert_int_equal(l.change_count, ARRAY_LEN(changes));
	for (size_t i = 0; i < l.change_count; i++) {
		assert_int_equal(l.changes[i].space, changes[i].space);
		assert_int_equal(l.changes[i].deleted, changes[i].deleted);
		assert_int_equal(l.changes[i].reason, changes[i].reason);
		assert_int_equal(l.changes[i].item, changes[i].item);
		assert_int_equal(l.changes[i].object, changes[i].object);
		assert_true(slice_eq(l.changes[i].key, changes[i].key));
	}
	assert_int_equal(network_changes(f.network, 1, 6, &none), 1);
	assert_int_equal(none.change_count, 0);
	assert_int_equal(network_changes(f.network, 1, 7, &none), 0);
	assert_int_equal(network_outcomes(f.network, 1, 5, &o), 1);
	assert_int_equal(o.outcome_count, ARRAY_LEN(outcomes));
	assert_null(o.outcomes[0].reason);
	assert_string_equal(o.outcomes[1].reason, "signature does not match");
	assert_string_equal(o.outcomes[3].reason, "");
	assert_int_equal(network_roots(f.network, 1, 5, &got), 1);
	assert_memory_equal(got.hyper.root, roots.hyper.root, ROOT_SIZE_MAX);
	assert_int_equal(got.hyper.records, 80);
	assert_int_equal(got.retained, 3);
	assert_int_equal(got.envelope_json_size, 900);
	assert_int_equal(network_roots(f.network, 1, 6, &got), 1);
	assert_memory_equal(got.hyper.root, equal.legacy.root, ROOT_SIZE_MAX);
	assert_int_equal(network_range(f.network, 1, 0, &got_range), 1);
	assert_int_equal(got_range.roots_bytes[1], 40);
	assert_int_equal(got_range.time, 50);
	assert_int_equal(network_range(f.network, 1, 1, &got_range), 0);

	/* Height 9 is marked too, but lies above what is replayed. */
	assert_int_equal(network_diverged_next(f.network, 1, 0, &height), 1);
	assert_int_equal(height, 5);
	assert_int_equal(network_diverged_next(f.network, 1, 6, &height), 0);
	assert_int_equal(network_diverged_next(f.network, 2, 0, &height), 0);
}

static void a_change_list_is_packed_against_its_block(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct chain_change list[100];
	uint8_t bytes[4000];
	struct slice canonical = bytes_of(7, sizeof bytes, bytes);

	/* Keys as they are: parts of the block's own bytes. */
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i] = (struct chain_change){
			.space = SPACE_BOTH,
			.item = (uint32_t)i,
			.object = i,
			.key = SLICE(bytes + 19 * i, 24),
		};
	put_block(c, 7, sizeof bytes, 0);
	size_t before = commit_bytes_held(c);

	assert_int_equal(commit_changes_of(c, 1, 7, canonical, list, ARRAY_LEN(list)), 0);
	assert_true(commit_bytes_held(c) - before < 100 * 12);
	assert_int_equal(commit_changes_of(c, 1, 8, canonical, list, ARRAY_LEN(list)), 0);
	assert_int_equal(commit_changes_of(c, 1, 9, canonical, list, 0), 0);
	apply(c);
	AUTO(change_list_release) struct change_list l = { 0 };

	assert_int_equal(network_changes(f.network, 1, 7, &l), 1);
	assert_int_equal(l.change_count, ARRAY_LEN(list));
	for (size_t i = 0; i < l.change_count; i++)
		assert_true(slice_eq(l.changes[i].key, list[i].key) && l.changes[i].object == i);
	change_list_release(&l);
	assert_int_equal(network_changes(f.network, 1, 8, &l), -ENODATA);
	assert_int_equal(network_changes(f.network, 1, 9, &l), 1);
	assert_int_equal(l.change_count, 0);
}

static void views_are_whole_and_live_as_long_as_they_are_held(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	AUTO(view_putp) struct view *empty = network_view_get(f.network);

	commit_view(c)->next_object = 55;
	put_block(c, 5, 10, 0);
	AUTO(view_putp) struct view *before = network_view_get(f.network);

	assert_ptr_equal(before, empty);
	apply(c);
	AUTO(view_putp) struct view *after = network_view_get(f.network);

	assert_true(after->number > before->number);
	assert_int_equal(after->next_object, 55);
	assert_true(gaps_has(&after->shards[1].gaps, 5));
	assert_false(gaps_has(&before->shards[1].gaps, 5));
	assert_int_equal(before->next_object, 1);
	/* The next one is a copy: changing it is not seen. */
	assert_int_equal(gaps_add(&commit_view(c)->shards[1].gaps, (struct range){ 6, 7 }), 0);
	assert_false(gaps_has(&after->shards[1].gaps, 6));
	commit_freep(&c);
	c = begin(&f);
	assert_false(gaps_has(&commit_view(c)->shards[1].gaps, 6));
}

static void every_field_of_a_view_is_found_again(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct shard_view *sv = &commit_view(c)->shards[2];
	struct gaps gaps = sv->gaps;

	/* Each byte of the struct gets a value of its own, but where the type allows only some. */
	memset(sv, 7, sizeof *sv);
	sv->gaps = gaps;
	sv->hyper_on = true;
	sv->legacy.root_size = 20;
	memset(sv->legacy.root + 20, 0, ROOT_SIZE_MAX - 20);
	sv->base_root_size = 0;
	memset(sv->base_root, 0, ROOT_SIZE_MAX);
	sv->hyper.root_size = 32;
	assert_int_equal(gaps_fault(&sv->gaps, 9, GAP_STATE, "why"), 0);
	struct shard_view wanted = *sv;

	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	AUTO(view_putp) struct view *v = network_view_get(f.network);
	const struct shard_view *got = &v->shards[2];

	assert_memory_equal(got->changes, wanted.changes, sizeof wanted.changes);
	assert_memory_equal(got->tip_hash, wanted.tip_hash, HASH_SIZE);
	assert_memory_equal(got->replayed_hash, wanted.replayed_hash, HASH_SIZE);
	assert_memory_equal(got->legacy.root, wanted.legacy.root, ROOT_SIZE_MAX);
	assert_memory_equal(got->hyper.root, wanted.hyper.root, ROOT_SIZE_MAX);
	assert_int_equal(got->hyper.root_size, 32);
	assert_int_equal(got->legacy.records, wanted.legacy.records);
	assert_int_equal(got->first_held, wanted.first_held);
	assert_int_equal(got->tip, wanted.tip);
	assert_int_equal(got->known, wanted.known);
	assert_int_equal(got->replayed, wanted.replayed);
	assert_int_equal(got->kept_from, wanted.kept_from);
	assert_int_equal(got->tip_time, wanted.tip_time);
	assert_int_equal(got->replayed_time, wanted.replayed_time);
	assert_int_equal(got->retained, wanted.retained);
	assert_int_equal(got->hyper_bytes, wanted.hyper_bytes);
	assert_int_equal(got->begins, wanted.begins);
	assert_int_equal(got->diverged, wanted.diverged);
	assert_true(got->hyper_on);
	assert_int_equal(got->base_height, wanted.base_height);
	assert_int_equal(got->items, wanted.items);
	assert_int_equal(got->bytes, wanted.bytes);
	assert_int_equal(got->refused_items, wanted.refused_items);
	assert_int_equal(got->gaps.fault_count, 1);
	assert_string_equal(got->gaps.faults[0].error, "why");
}

static void what_was_not_applied_never_happened(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f), *second = NULL;
	struct block_row row;
	struct stat_record s = { .type = OBJECT_BLOCK };

	assert_int_equal(commit_new(f.network, &second), -EBUSY);
	put_block(c, 1, 200000, 0);
	assert_int_equal(commit_stat(c, 1, &s), 0);
	commit_freep(&c);
	assert_int_equal(network_block(f.network, 1, 1, &row), 0);
	assert_int_equal(network_stat(f.network, 1, &s), 0);
	c = begin(&f);
	put_block(c, 2, 200000, 0);
	apply(c);
	expect_block(f.network, 2, 200000, 0);
	commit_freep(&c);
	fixture_reopen(&f);
	expect_block(f.network, 2, 200000, 0);
}

/* Numbers go on where the process before this one was, also of a network that it made and nothing
 * more. */
static void a_network_that_another_process_made_opens_after_its_first_commit(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	network_views_after(f.network, 1);
	AUTO(commit_freep) struct commit *c = begin(&f);

	put_block(c, 1, 2000, 0);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	expect_block(f.network, 1, 2000, 0);
}

struct claims {
	struct network *network;
	atomic_int open;
	atomic_uint got, together;
};

static void *claim_on(void *arg)
{
	struct claims *l = arg;

	for (unsigned i = 0; i < 20000; i++) {
		AUTO(commit_freep) struct commit *c = NULL;

		if (commit_new(l->network, &c) < 0)
			continue;
		atomic_fetch_add(&l->got, 1);
		if (atomic_fetch_add(&l->open, 1) != 0)
			atomic_fetch_add(&l->together, 1);
		atomic_fetch_sub(&l->open, 1);
	}
	return NULL;
}

static void of_many_who_want_to_write_one_does(void **state)
{
	AUTO(fixture_release) struct fixture f;
	pthread_t threads[4];

	fixture_open(&f);
	struct claims l = { .network = f.network };

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, claim_on, &l), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(l.got > 0);
	assert_int_equal(l.together, 0);
}

static void note(void *arg)
{
	++*(int *)arg;
}

static void each_publication_is_called_out(void **state)
{
	AUTO(fixture_release) struct fixture f;
	int count = 0;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);

	network_on_publish(f.network, note, &count);
	apply(c);
	apply(c);
	assert_int_equal(count, 2);
	network_on_publish(f.network, NULL, NULL);
	apply(c);
	assert_int_equal(count, 2);
}

static void a_damaged_segment_is_an_error_of_its_blocks_alone(void **state)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	struct block_row good, bad;
	struct err err = ERR_INIT;
	char path[300];

	fixture_open(&f);
	struct commit *c = begin(&f);

	put_block(c, 1, 1000, 0);
	apply(c);
	put_block(c, 2, 1000, 0);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	assert_int_equal(network_block(f.network, 1, 1, &good), 1);
	assert_int_equal(network_block(f.network, 1, 2, &bad), 1);
	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", f.path);
	FILE *file = fopen(path, "r+b");

	assert_non_null(file);
	fseek(file, (long)bad.bytes.offset + 40, SEEK_SET);
	fputc(0x33, file);
	fclose(file);
	assert_int_equal(network_block_bytes(f.network, &bad, &bytes, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "checksum"));
	assert_null(bytes);
	expect_block(f.network, 1, 1000, 0);
}

/* One block with everything that hangs on it; the first failure. */
static int whole_block(struct network *n, struct commit *c, struct state *st, uint64_t height)
{
	struct shard_view *sv = &commit_view(c)->shards[1];
	struct block_row row = row_of(height, 300, 0);
	const struct stat_record stat = { .type = OBJECT_BLOCK, .shard = 1, .height = height };
	const struct chain_change change = { SPACE_BOTH, false,         REASON_MERGED, 0,
					     1,          SLICE("k", 1), false };
	const struct chain_outcome outcome = { OUTCOME_REFUSED, "why" };
	const struct roots_row roots = { .has_hyper = true, .hyper.root_size = 20 };
	uint8_t bytes[300];
	int rc = commit_bytes(c, bytes_of(height, 300, bytes), SLICE_EMPTY, &row.bytes, NULL);

	rc = rc < 0 ? rc : commit_block(c, &row);
	rc = rc < 0 ? rc : commit_stat(c, height, &stat);
	rc = rc < 0 ? rc : commit_hash(c, SLICE(row.hash, HASH_SIZE), 1, height, 0);
	rc = rc < 0 ? rc : commit_changes_of(c, 1, height, SLICE_ARRAY(bytes), &change, 1);
	rc = rc < 0 ? rc : commit_outcomes(c, 1, height, &outcome, 1);
	rc = rc < 0 ? rc : commit_roots(c, 1, height, &roots);
	rc = rc < 0 ? rc : state_block_begin(st, height);
	if (rc == 0) {
		rc = state_put(st, SPACE_BOTH, slice_str("k"), SLICE(&height, 8), false);
		rc = rc < 0 ? rc : state_block_end(st);
		if (rc < 0)
			state_block_abort(st);
	}
	rc = rc < 0 ? rc : gaps_add(&sv->gaps, (struct range){ height, height + 1 });
	sv->tip = sv->replayed = height;
	rc = rc < 0 ? rc : commit_state(c, st);
	return rc < 0 ? rc : commit_apply(c, NULL);
}

static void without_memory_a_commit_happens_whole_or_not_at_all(void **state)
{
	AUTO(fixture_release) struct fixture f;
	uint64_t tip = 0;

	fixture_open(&f);
	FOR_EACH_ALLOC_FAULT {
		struct commit *c = NULL;
		struct state *st = NULL;
		int rc = commit_new(f.network, &c);

		rc = rc < 0 ? rc : state_open(f.network, 1, UINT64_MAX, &st, NULL);
		rc = rc < 0 ? rc : whole_block(f.network, c, st, tip + 1);
		assert_true(rc == 0 || rc == -ENOMEM);
		state_freep(&st);
		commit_freep(&c);
		alloc_fault_pause();
		struct view *v = network_view_get(f.network);

		assert_true(v->shards[1].tip == tip + (rc == 0));
		tip = v->shards[1].tip;
		assert_int_equal(gaps_held(&v->shards[1].gaps), tip);
		view_putp(&v);
		alloc_fault_resume();
	}
	fixture_reopen(&f);
	for (uint64_t h = 1; h <= tip; h++)
		expect_block(f.network, h, 300, 0);
	assert_true(tip > 0);
}

static void pins_are_counted_by_height(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	assert_int_equal(network_pinned_lowest(f.network, 1), UINT64_MAX);
	for (uint64_t h = 100; h > 50; h--)
		assert_int_equal(network_pin(f.network, 1, h), 0);
	assert_int_equal(network_pin(f.network, 1, 51), 0);
	assert_int_equal(network_pinned_lowest(f.network, 1), 51);
	assert_int_equal(network_pinned_lowest(f.network, 2), UINT64_MAX);
	network_unpin(f.network, 1, 51);
	assert_int_equal(network_pinned_lowest(f.network, 1), 51);
	network_unpin(f.network, 1, 51);
	assert_int_equal(network_pinned_lowest(f.network, 1), 52);
	for (uint64_t h = 52; h <= 100; h++)
		network_unpin(f.network, 1, h);
	assert_int_equal(network_pinned_lowest(f.network, 1), UINT64_MAX);
	assert_int_equal(network_pin(f.network, SHARD_MAX, 1), -EINVAL);
}

/* ---- readers beside the writer ---- */

struct readers {
	struct network *network;
	_Atomic bool    stop;
	_Atomic uint64_t reads;
};

/* What a view says is held can be read, whatever the writer does meanwhile. */
static void *read_on(void *arg)
{
	struct readers *all = arg;
	struct random r = random_of((uintptr_t)&r);

	while (!all->stop) {
		AUTO(view_putp) struct view *v = network_view_get(all->network);
		const struct shard_view *sv = &v->shards[1];

		if (sv->tip == 0)
			continue;
		uint64_t height = 1 + random_below(&r, sv->tip);
		AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
		struct block_row row;
		uint8_t wanted[600];

		assert(gaps_has(&sv->gaps, height) && gaps_held(&sv->gaps) == sv->tip);
		assert(network_block(all->network, 1, height, &row) == 1);
		assert(network_block_bytes(all->network, &row, &bytes, NULL) == 0);
		assert(slice_eq(bytes->canonical, bytes_of(height, 600, wanted)));
		all->reads++;
	}
	return NULL;
}

static void readers_see_whole_views_while_the_writer_goes_on(void **state)
{
	AUTO(fixture_release) struct fixture f;
	pthread_t threads[3];

	fixture_open(&f);
	struct readers all = { .network = f.network };

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on, &all), 0);
	AUTO(commit_freep) struct commit *c = begin(&f);

	for (uint64_t h = 1; h <= 600; h++) {
		put_block(c, h, 600, 0);
		if (h % 3 == 0)
			apply(c);
	}
	while (all.reads < 100)
		usleep(1000);
	all.stop = true;
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_come_back_whether_they_share_a_frame_or_not),
		cmocka_unit_test(the_last_word_about_a_block_counts),
		cmocka_unit_test(blocks_are_scanned_in_order_of_heights),
		cmocka_unit_test(what_replay_left_comes_back),
		cmocka_unit_test(a_change_list_is_packed_against_its_block),
		cmocka_unit_test(views_are_whole_and_live_as_long_as_they_are_held),
		cmocka_unit_test(every_field_of_a_view_is_found_again),
		cmocka_unit_test(what_was_not_applied_never_happened),
		cmocka_unit_test(a_network_that_another_process_made_opens_after_its_first_commit),
		cmocka_unit_test(of_many_who_want_to_write_one_does),
		cmocka_unit_test(each_publication_is_called_out),
		cmocka_unit_test(a_damaged_segment_is_an_error_of_its_blocks_alone),
		cmocka_unit_test(without_memory_a_commit_happens_whole_or_not_at_all),
		cmocka_unit_test(pins_are_counted_by_height),
		cmocka_unit_test(readers_see_whole_views_while_the_writer_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
