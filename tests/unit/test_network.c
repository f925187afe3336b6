#include "core/store/network.h"
#include "core/store/stats.h"
#include "tests/support/store_fixture.h"

#include <stdatomic.h>

static struct commit *begin(struct fixture *f)
{
	struct commit *c = NULL;

	assert_int_equal(commit_new(f->network, &c), 0);
	return c;
}

static void apply(struct commit *c)
{
	struct err err = ERR_INIT;

	if (commit_apply(c, &err) < 0)
		fail_msg("%s", err.text);
}

/* Bytes of a block that the test can make again. */
static struct slice bytes_of(uint64_t height, size_t n, uint8_t *out)
{
	struct random r = random_of(height);

	random_bytes(&r, out, n);
	memset(out + n / 2, 'x', n - n / 2);
	return SLICE(out, n);
}

static struct block_row row_of(uint64_t height, size_t canonical, size_t certificate)
{
	struct block_row row = {
		.shard = 1,
		.height = height,
		.object = 1000 + height,
		.parent_size = 20,
		.time = 1700000000 + height,
		.items = 3,
		.canonical_size = (uint32_t)canonical,
		.certificate_size = (uint32_t)certificate,
		.line_bytes = 777,
		.header_size = 10,
		.header_json_size = 20,
		.parent_file_size = 30,
		.witness_count = 2,
		.uncommitted = height % 2,
	};
	memset(row.hash, (int)height, HASH_SIZE);
	memset(row.parent, (int)height - 1, 20);
	row.witnesses[1] = (struct chain_witness){ .shard = 2, .height = height * 5 };
	row.witnesses[1].hash[3] = 9;
	row.levels[LEVEL_STRUCTURE].verdict = VERDICT_OK;
	row.levels[LEVEL_COMMIT].verdict = VERDICT_ABSENT;
	strcpy(row.levels[LEVEL_COMMIT].reason, "came without one");
	return row;
}

static void put_block(struct commit *c, uint64_t height, size_t canonical, size_t certificate)
{
	uint8_t *bytes = malloc(canonical + certificate + 1);
	struct block_row row = row_of(height, canonical, certificate);

	bytes_of(height, canonical + certificate, bytes);
	assert_int_equal(commit_bytes(c, SLICE(bytes, canonical),
				      SLICE(bytes + canonical, certificate), &row.bytes, NULL),
			 0);
	assert_int_equal(commit_block(c, &row), 0);
	struct shard_view *sv = &commit_view(c)->shards[1];

	assert_int_equal(gaps_add(&sv->gaps, (struct range){ height, height + 1 }), 0);
	sv->tip = MAX(sv->tip, height);
	free(bytes);
}

static void expect_block(struct network *n, uint64_t height, size_t canonical, size_t certificate)
{
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	uint8_t *wanted = malloc(canonical + certificate + 1);
	struct block_row row, model = row_of(height, canonical, certificate);
	struct err err = ERR_INIT;

	bytes_of(height, canonical + certificate, wanted);
	assert_int_equal(network_block(n, 1, height, &row), 1);
	assert_int_equal(row.canonical_size, canonical);
	assert_int_equal(row.certificate_size, certificate);
	assert_int_equal(row.object, model.object);
	assert_int_equal(row.time, model.time);
	assert_int_equal(row.items, model.items);
	assert_int_equal(row.line_bytes, model.line_bytes);
	assert_int_equal(row.header_json_size, model.header_json_size);
	assert_int_equal(row.uncommitted, model.uncommitted);
	assert_memory_equal(row.hash, model.hash, HASH_SIZE);
	assert_memory_equal(row.parent, model.parent, 20);
	assert_int_equal(row.witness_count, 2);
	assert_int_equal(row.witnesses[1].height, height * 5);
	assert_int_equal(row.witnesses[1].hash[3], 0); /* the block's bytes say it */
	assert_memory_equal(row.levels, model.levels, sizeof row.levels);
	if (network_block_bytes(n, &row, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(bytes->canonical, SLICE(wanted, canonical)));
	assert_true(slice_eq(bytes->certificate, SLICE(wanted + canonical, certificate)));
	free(wanted);
}

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

static struct stat_record stat_of(uint64_t object)
{
	struct random r = random_of(object);
	struct stat_record s = {
		.type = (uint8_t)(OBJECT_BLOCK + random_below(&r, 3)),
		.form = (uint16_t)random_u64(&r),
		.shard = 2,
		.height = 1000 + object / 100,
		.item = (uint32_t)random_u64(&r),
		.time = random_u64(&r),
		.offset = (uint32_t)random_u64(&r),
		.size = (uint32_t)random_u64(&r),
		.json_size = (uint32_t)random_u64(&r),
		.line_size = (uint32_t)random_below(&r, 1000),
		.renderer = 3,
	};
	return s;
}

static bool same_stat(const struct stat_record *a, const struct stat_record *b)
{
	return a->type == b->type && a->form == b->form && a->shard == b->shard &&
	       a->height == b->height && a->item == b->item && a->time == b->time &&
	       a->offset == b->offset && a->size == b->size && a->json_size == b->json_size &&
	       a->line_size == b->line_size && a->renderer == b->renderer &&
	       a->carrier == b->carrier;
}

static void stat_records_come_back_one_by_one(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;

	for (uint64_t object = 1; object < 3000; object += 1 + object % 7 * (object % 3)) {
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
		if (object % 50 == 0)
			apply(c);
	}
	apply(c);
	for (uint64_t object = 1, next = 1; object < 3000; object++) {
		int rc = network_stat(f.network, object, &got);

		wanted = stat_of(object);
		assert_int_equal(rc, object == next);
		assert_true(rc == 0 || same_stat(&got, &wanted));
		if (object == next)
			next += 1 + object % 7 * (object % 3);
	}
	assert_int_equal(network_stat(f.network, 0, &got), 0);
	assert_int_equal(network_stat(f.network, UINT64_MAX, &got), 0);
}

static void a_stat_record_written_again_hides_no_other(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;

	for (uint64_t object = 200; object < 230; object++) {
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	apply(c);
	for (uint64_t object = 205; object < 215; object += 3) {
		wanted = stat_of(object);
		wanted.renderer = 4;
		assert_int_equal(commit_stat(c, object, &wanted), 0);
		apply(c);
	}
	for (uint64_t object = 200; object < 230; object++) {
		wanted = stat_of(object);
		if (object >= 205 && object < 215 && (object - 205) % 3 == 0)
			wanted.renderer = 4;
		assert_int_equal(network_stat(f.network, object, &got), 1);
		assert_true(same_stat(&got, &wanted));
	}
}

/* What is kept of rows read lately must never be what a younger group says otherwise. */
static void a_stat_record_read_before_is_the_newest_after_a_write(void **state)
{
	AUTO(fixture_release) struct fixture f;
	struct random random = random_of_run();
	uint32_t renderers[64] = { 0 };

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);

	for (unsigned turn = 0; turn < 200; turn++) {
		/* Alone, and not in place of a group that it is the first one of. */
		size_t first = turn ? 1 + random_below(&random, STAT_GROUP_MAX - 1) +
					      STAT_GROUP_MAX * random_below(&random, 2)
				    : 0;
		size_t end = turn ? first + 1 : 64;

		for (size_t i = first; i < end; i++) {
			struct stat_record r = stat_of(5000 + i);

			r.renderer = renderers[i] = turn + 1;
			assert_int_equal(commit_stat(c, 5000 + i, &r), 0);
		}
		apply(c);
		for (unsigned k = 0; k < 200; k++) {
			size_t i = random_chance(&random, 50) ? k % 64 : random_below(&random, 64);
			struct stat_record got, wanted = stat_of(5000 + i);

			wanted.renderer = renderers[i];
			assert_int_equal(network_stat(f.network, 5000 + i, &got), 1);
			assert_true(same_stat(&got, &wanted));
		}
	}
}

/* What a store of before carriers holds, and what every record of a held block still becomes. */
static void a_group_of_a_block_is_written_as_ever(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1024);
	struct stat_group g = { .count = 0 };
	struct stat_record r = {
		.type = OBJECT_ITEM, .form = 5, .shard = 2, .height = 300, .time = 1000, .offset = 7,
		.size = 20, .line_size = 90, .json_size = 100, .renderer = 3,
	};
	struct stat_record got;

	assert_true(stat_group_add(&g, 10, &r));
	r.item = 1;
	r.offset = 27;
	r.type = OBJECT_INNER;
	assert_true(stat_group_add(&g, 12, &r));
	stat_group_write(&g, &out);
	static const uint8_t wanted[] = {
		2, 2, 0xac, 2, 3, 2, OBJECT_ITEM, OBJECT_INNER, 5, 5, 0, 2, 0xd0, 0x0f, 0, 20, 20,
		14, 0, 90, 90, 20, 20,
	};
	assert_true(slice_eq(buf_slice(&out), SLICE_ARRAY(wanted)));
	assert_int_equal(stat_group_find(SLICE_ARRAY(wanted), 10, 12, &got), 1);
	assert_true(same_stat(&got, &r));
}

static struct stat_record carried_stat_of(uint64_t object)
{
	struct stat_record s = stat_of(object);

	s.carrier = 1 + object / 1000 % 3;
	s.height = s.time % 5 ? s.time >> 20 : 1 + object; /* of any block, in no order */
	return s;
}

static void stat_records_of_many_blocks_share_a_group_when_they_were_carried(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	struct stat_record got, wanted;
	struct family_check families[NETWORK_FAMILIES];

	for (uint64_t object = 1; object < 3200; object++) {
		wanted = carried_stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	for (uint64_t object = 3200; object < 3210; object++) { /* next to those of a block */
		wanted = stat_of(object);
		assert_int_equal(commit_stat(c, object, &wanted), 0);
	}
	apply(c);
	for (uint64_t object = 1; object < 3210; object++) {
		wanted = object < 3200 ? carried_stat_of(object) : stat_of(object);
		assert_int_equal(network_stat(f.network, object, &got), 1);
		assert_true(same_stat(&got, &wanted));
	}
	assert_int_equal(network_check(f.network, families), 0);
	for (int i = 0; i < NETWORK_FAMILIES; i++)
		if (strcmp(families[i].name, "stats") == 0)
			assert_in_range(families[i].rows, 100, 110);
}

static void a_carried_group_that_is_cut_or_names_no_carrier_is_an_error(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct stat_group g = { .count = 0 };
	struct stat_record r, got;

	for (uint64_t object = 1000; object < 1000 + STAT_GROUP_MAX; object++) {
		r = carried_stat_of(object);
		assert_true(stat_group_add(&g, object, &r));
	}
	stat_group_write(&g, &out);
	assert_int_equal(stat_group_find(buf_slice(&out), 1000, 1031, &got), 1);
	assert_true(same_stat(&got, &r));
	for (size_t n = 0; n < out.n; n++)
		assert_int_equal(stat_group_find(SLICE(out.p, n), 1000, 1031, &got), -EUCLEAN);
	out.p[2] = 0; /* the carrier */
	assert_int_equal(stat_group_find(buf_slice(&out), 1000, 1031, &got), -EUCLEAN);
}

/* ---- bytes that were carried here ---- */

static void expect_object(struct network *n, uint64_t object, struct slice wanted)
{
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat;
	struct slice bytes;
	struct err err = ERR_INIT;

	assert_int_equal(network_stat(n, object, &stat), 1);
	if (network_object_bytes(n, &stat, &owner, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(bytes, wanted));
}

static void put_carried(struct commit *c, struct slice bytes, uint64_t object, uint64_t wanted)
{
	struct stat_record r = { .type = OBJECT_ITEM, .shard = 1, .height = 900 + object };

	assert_int_equal(commit_carried(c, bytes, &r.carrier, NULL), 0);
	assert_int_equal(r.carrier, wanted);
	r.size = (uint32_t)bytes.n / 2;
	assert_int_equal(commit_stat(c, object, &r), 0);
	r.offset = r.size;
	r.size = (uint32_t)bytes.n - r.size;
	assert_int_equal(commit_stat(c, object + 1, &r), 0);
}

static void carried_bytes_come_back_as_the_objects_of_blocks_do(void **state)
{
	AUTO(fixture_release) struct fixture f;
	uint8_t bytes[5000];

	fixture_open(&f);
	struct commit *c = begin(&f);

	put_block(c, 7, 3000, 100);
	struct stat_record of_block = {
		.type = OBJECT_ITEM, .shard = 1, .height = 7, .offset = 50, .size = 60,
	};
	assert_int_equal(commit_stat(c, 5, &of_block), 0);
	put_carried(c, bytes_of(77, sizeof bytes, bytes), 11, 1);
	put_carried(c, SLICE_EMPTY, 21, 2);
	apply(c);
	put_carried(c, bytes_of(78, sizeof bytes, bytes), 31, 3); /* and is never applied */
	commit_freep(&c);
	fixture_reopen(&f);
	c = begin(&f);
	put_carried(c, bytes_of(79, sizeof bytes, bytes), 41, 3);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	expect_object(f.network, 5, slice_sub(bytes_of(7, 3100, bytes), 50, 60));
	bytes_of(77, sizeof bytes, bytes);
	expect_object(f.network, 11, SLICE(bytes, 2500));
	expect_object(f.network, 12, SLICE(bytes + 2500, 2500));
	expect_object(f.network, 21, SLICE_EMPTY);
	expect_object(f.network, 41, SLICE(bytes_of(79, sizeof bytes, bytes).p, 2500));
	uint64_t last = 0;

	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(network_check_carried(f.network, &last, NULL), 1);
		assert_int_equal(last, i);
	}
	assert_int_equal(network_check_carried(f.network, &last, NULL), 0);
}

static void an_object_whose_bytes_are_not_there_is_an_error_of_its_own_kind(void **state)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	struct stat_record stat = { .type = OBJECT_ITEM, .shard = 1, .height = 3, .size = 10 };
	struct slice bytes;
	struct err err = ERR_INIT;
	uint8_t room[64];

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);

	put_carried(c, bytes_of(1, sizeof room, room), 11, 1);
	apply(c);
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -ENODATA);
	stat.carrier = 2;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	stat.carrier = 1;
	stat.offset = 60;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	stat.offset = UINT32_MAX;
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &bytes, &err), -EUCLEAN);
	assert_null(owner);
}

static void damaged_carried_bytes_are_an_error_and_the_rest_is_read(void **state)
{
	AUTO(fixture_release) struct fixture f;
	AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
	uint8_t bytes[1000];
	struct stat_record stat;
	struct slice got;
	struct err err = ERR_INIT;
	char path[300];

	fixture_open(&f);
	struct commit *c = begin(&f);

	put_carried(c, bytes_of(1, sizeof bytes, bytes), 11, 1);
	apply(c);
	put_carried(c, bytes_of(2, sizeof bytes, bytes), 21, 2);
	apply(c);
	commit_freep(&c);
	fixture_reopen(&f);
	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", f.path);
	FILE *file = fopen(path, "r+b");

	assert_non_null(file);
	fseek(file, 40, SEEK_SET);
	fputc(0x33, file);
	fclose(file);
	assert_int_equal(network_stat(f.network, 11, &stat), 1);
	assert_int_equal(network_object_bytes(f.network, &stat, &owner, &got, &err), -EBADMSG);
	expect_object(f.network, 21, SLICE(bytes, 500));
	uint64_t last = 0;

	assert_int_equal(network_check_carried(f.network, &last, &err), -EBADMSG);
	assert_int_equal(last, 1);
	assert_int_equal(network_check_carried(f.network, &last, &err), 1);
	assert_int_equal(network_check_carried(f.network, &last, &err), 0);
}

static void objects_are_found_by_any_number_of_nibbles(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	const uint8_t a[20] = { 0xab, 0xcd, 0xef, 1 }, b[20] = { 0xab, 0xcd, 0xe0, 2 },
		      z[20] = { 0xff };
	struct hash_hit hits[8];

	assert_int_equal(commit_hash(c, SLICE_ARRAY(a), 1, 300, HASH_HIT_BLOCK), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(a), 1, 2, 7), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(b), 0, 5, 0), 0);
	assert_int_equal(commit_hash(c, SLICE_ARRAY(z), 2, 1, 1), 0);
	assert_int_equal(commit_hash(c, SLICE("short", 5), 2, 1, 1), -EINVAL);
	apply(c);
	assert_int_equal(network_by_hash(f.network, a, 0, NULL, hits, 8), 4);
	assert_int_equal(network_by_hash(f.network, a, 1, NULL, hits, 8), 3);
	assert_int_equal(network_by_hash(f.network, a, 5, NULL, hits, 8), 3);
	assert_int_equal(hits[0].height, 5);
	assert_int_equal(hits[1].height, 2);
	assert_int_equal(hits[1].item, 7);
	assert_int_equal(hits[2].height, 300);
	assert_int_equal(hits[2].item, HASH_HIT_BLOCK);
	assert_memory_equal(hits[2].prefix, a, 5);
	assert_int_equal(network_by_hash(f.network, a, 6, NULL, hits, 8), 2);
	assert_int_equal(network_by_hash(f.network, a, 40, NULL, hits, 8), 2);
	assert_int_equal(network_by_hash(f.network, z, 40, NULL, hits, 8), 1);
	assert_int_equal(network_by_hash(f.network, a, 0, NULL, hits, 3), 3);
}

static void hits_that_are_many_come_in_parts(void **state)
{
	AUTO(fixture_release) struct fixture f;

	fixture_open(&f);
	AUTO(commit_freep) struct commit *c = begin(&f);
	uint8_t hash[20] = { 0xab, 0xcd, 0xef, 1, 2, 3 };
	struct hash_hit hits[4], last;
	uint64_t seen = 0;

	/* They begin alike in what the index knows of them, whatever is asked. */
	for (uint32_t i = 0; i < 10; i++) {
		hash[19] = (uint8_t)i;
		assert_int_equal(commit_hash(c, SLICE_ARRAY(hash), 1, 7 + i / 3, i), 0);
	}
	apply(c);
	int count = network_by_hash(f.network, hash, 40, NULL, hits, 4);

	while (count > 0) {
		for (int i = 0; i < count; i++) {
			assert_int_equal(hits[i].item, seen);
			assert_int_equal(hits[i].height, 7 + seen / 3);
			seen++;
		}
		last = hits[count - 1];
		count = network_by_hash(f.network, hash, 40, &last, hits, 4);
	}
	assert_int_equal(count, 0);
	assert_int_equal(seen, 10);
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
		cmocka_unit_test(stat_records_come_back_one_by_one),
		cmocka_unit_test(a_stat_record_written_again_hides_no_other),
		cmocka_unit_test(a_stat_record_read_before_is_the_newest_after_a_write),
		cmocka_unit_test(a_group_of_a_block_is_written_as_ever),
		cmocka_unit_test(stat_records_of_many_blocks_share_a_group_when_they_were_carried),
		cmocka_unit_test(a_carried_group_that_is_cut_or_names_no_carrier_is_an_error),
		cmocka_unit_test(carried_bytes_come_back_as_the_objects_of_blocks_do),
		cmocka_unit_test(an_object_whose_bytes_are_not_there_is_an_error_of_its_own_kind),
		cmocka_unit_test(damaged_carried_bytes_are_an_error_and_the_rest_is_read),
		cmocka_unit_test(objects_are_found_by_any_number_of_nibbles),
		cmocka_unit_test(hits_that_are_many_come_in_parts),
		cmocka_unit_test(views_are_whole_and_live_as_long_as_they_are_held),
		cmocka_unit_test(every_field_of_a_view_is_found_again),
		cmocka_unit_test(what_was_not_applied_never_happened),
		cmocka_unit_test(of_many_who_want_to_write_one_does),
		cmocka_unit_test(each_publication_is_called_out),
		cmocka_unit_test(a_damaged_segment_is_an_error_of_its_blocks_alone),
		cmocka_unit_test(without_memory_a_commit_happens_whole_or_not_at_all),
		cmocka_unit_test(pins_are_counted_by_height),
		cmocka_unit_test(readers_see_whole_views_while_the_writer_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
