/* Rows taken apart for carrying, and what follows from records alone. */
#include "core/base/sign.h"
#include "core/chain/snapchain/carry.h"
#include "core/chain/snapchain/keyspace.h"
#include "tests/unit/replay_run.h"

/* ---- a space as it is now ---- */

struct kept_row {
	enum space space;
	struct buf key, value;
};
struct rows {
	struct kept_row *list;
	size_t count, cap;
};

static void rows_add(struct rows *rows, enum space space, struct slice key, struct slice value)
{
	if (rows->count == rows->cap) {
		rows->cap = rows->cap ? 2 * rows->cap : 256;
		rows->list = realloc(rows->list, rows->cap * sizeof *rows->list);
		assert_non_null(rows->list);
	}
	struct kept_row *row = &rows->list[rows->count++];

	*row = (struct kept_row){ .space = space,
				  .key = BUF_INIT(STATE_KEY_MAX),
				  .value = BUF_INIT(STATE_VALUE_MAX) };
	buf_add(&row->key, key);
	buf_add(&row->value, value);
	assert_int_equal(buf_done(&row->key) | buf_done(&row->value), 0);
}

static void rows_release(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		buf_release(&rows->list[i].key);
		buf_release(&rows->list[i].value);
	}
	free(rows->list);
}

static void rows_of_kind(struct state *st, enum space space, enum chain_row kind, struct rows *out)
{
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	struct slice key, value;
	int rc;

	assert_int_equal(state_scan_new(st, space, SLICE_EMPTY, SLICE_EMPTY, false, &s), 0);
	while ((rc = state_scan_next(s, &key, &value)) == 1)
		if (sc_row_kind(key) == kind)
			rows_add(out, space, key, value);
	assert_int_equal(rc, 0);
}

static int by_space_and_key(const void *a, const void *b)
{
	const struct kept_row *x = a, *y = b;

	return x->space != y->space ? (int)x->space - (int)y->space
				    : slice_cmp(buf_slice(&x->key), buf_slice(&y->key));
}

static int by_key(const void *a, const void *b)
{
	const struct kept_row *x = a, *y = b;

	return slice_cmp(buf_slice(&x->key), buf_slice(&y->key));
}

/* ---- the rooter against replay ---- */

static int keep_emitted(void *arg, enum space space, struct slice key, struct slice value)
{
	rows_add(arg, space, key, value);
	return 0;
}

static void root_all(const struct rows *records, bool hyper, struct rows *derived,
		     struct chain_root roots[CONTEXT_COUNT], uint64_t *retained)
{
	struct chain_rooter *r = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(sc_root_new(1, hyper, derived ? keep_emitted : NULL, derived, &r, &err),
			 0);
	for (size_t i = 0; i < records->count; i++)
		if (sc_root_add(r, records->list[i].space, buf_slice(&records->list[i].key),
				buf_slice(&records->list[i].value), &err) < 0)
			fail_msg("%s", err.text);
	if (sc_root_end(r, roots, retained, &err) < 0)
		fail_msg("%s", err.text);
	sc_root_free(r);
}

static void root_equal(const struct chain_root *a, const struct chain_root *b)
{
	assert_int_equal(a->root_size, b->root_size);
	assert_memory_equal(a->root, b->root, a->root_size);
	assert_int_equal(a->records, b->records);
}

static void compare_now(struct run *r, bool hyper)
{
	struct rows records = { .list = NULL }, want = { .list = NULL }, got = { .list = NULL };
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;

	rows_of_kind(r->state, SPACE_BOTH, CHAIN_ROW_RECORD, &records);
	rows_of_kind(r->state, SPACE_HYPER, CHAIN_ROW_RECORD, &records);
	qsort(records.list, records.count, sizeof *records.list, by_key);
	root_all(&records, hyper, &got, roots, &retained);

	root_equal(&roots[CONTEXT_LEGACY], &r->result.legacy);
	root_equal(&roots[CONTEXT_HYPER], &r->result.hyper);
	assert_int_equal(retained, r->result.retained);

	rows_of_kind(r->state, SPACE_BOTH, CHAIN_ROW_DERIVED, &want);
	rows_of_kind(r->state, SPACE_HYPER, CHAIN_ROW_DERIVED, &want);
	qsort(got.list, got.count, sizeof *got.list, by_space_and_key);
	qsort(want.list, want.count, sizeof *want.list, by_space_and_key);
	assert_int_equal(got.count, want.count);
	for (size_t i = 0; i < got.count; i++) {
		assert_int_equal(got.list[i].space, want.list[i].space);
		assert_true(slice_eq(buf_slice(&got.list[i].key), buf_slice(&want.list[i].key)));
		if (!slice_eq(buf_slice(&got.list[i].value), buf_slice(&want.list[i].value)))
			fail_msg("%s shard %u height %" PRIu64 ": row %zu of %zu", r->folder,
				 r->shard, r->block->base.height, i, got.count);
	}
	rows_release(&records);
	rows_release(&want);
	rows_release(&got);
}

static void records_alone_give_every_row_and_root_that_replay_left(void **state)
{
	uint64_t retained = 0;

	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		for (uint32_t s = 0; s < 3; s++) {
			for (int hyper = 0; hyper < 2; hyper++) {
				struct run r;

				run_open(&r, i, s);
				/* Every height at first, then every now and then, and the last. */
				while (run_next(&r, hyper))
					if (r.at < 30 || r.at % 13 == 0 ||
					    r.at == r.recorded->count)
						compare_now(&r, hyper);
				retained += r.result.retained;
				run_release(&r);
			}
		}
	}
	assert_true(retained > 100);
}

static void nothing_has_no_root(void **state)
{
	struct rows none = { .list = NULL };
	struct chain_root roots[CONTEXT_COUNT];
	uint64_t retained;

	root_all(&none, true, NULL, roots, &retained);
	assert_int_equal(roots[CONTEXT_LEGACY].root_size, 0);
	assert_int_equal(roots[CONTEXT_HYPER].root_size, 0);
	assert_int_equal(roots[CONTEXT_LEGACY].records, 0);
	assert_int_equal(retained, 0);
}

/* ---- what comes from outside ---- */

static int refused(const struct kept_row *rows, size_t count, bool hyper)
{
	struct chain_rooter *r = NULL;
	struct err err = ERR_INIT;
	int rc = 0;

	assert_int_equal(sc_root_new(1, hyper, NULL, NULL, &r, &err), 0);
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = sc_root_add(r, rows[i].space, buf_slice(&rows[i].key),
				 buf_slice(&rows[i].value), &err);
	assert_true(rc == 0 || err.text[0]);
	sc_root_free(r);
	return rc;
}

static struct rows some_records(void)
{
	struct rows records = { .list = NULL };
	struct run r;

	run_open(&r, 0, 1);
	while (run_next(&r, true))
		;
	rows_of_kind(r.state, SPACE_BOTH, CHAIN_ROW_RECORD, &records);
	run_release(&r);
	assert_true(records.count > 10);
	return records;
}

static void records_that_cannot_be_are_refused(void **state)
{
	struct rows records = some_records();
	struct kept_row pair[2] = { records.list[1], records.list[0] };
	struct buf *key = &records.list[0].key;

	assert_int_equal(refused(records.list, records.count, false), 0);
	assert_int_equal(refused(pair, 2, true), -EBADMSG);
	pair[1] = pair[0];
	assert_int_equal(refused(pair, 2, true), -EBADMSG);
	pair[0].space = SPACE_HYPER;
	assert_int_equal(refused(pair, 1, true), 0);
	assert_int_equal(refused(pair, 1, false), -EBADMSG);
	/* Another vshard than its account's, another set than there is, no value. */
	key->p[1] ^= 1;
	assert_int_equal(refused(records.list, 1, false), -EBADMSG);
	key->p[1] ^= 1;
	key->p[6] = 0;
	assert_int_equal(refused(records.list, 1, false), -EBADMSG);
	key->p[6] = SC_SET_COUNT + 1;
	assert_int_equal(refused(records.list, 1, false), -EBADMSG);
	key->p[6] = SC_SET_CASTS + 1;
	records.list[0].value.n = 0;
	assert_int_equal(refused(records.list, 1, false), -EBADMSG);
	rows_release(&records);
}

static void a_value_comes_apart_and_together_again(void **state)
{
	struct rows records = some_records();

	for (size_t i = 0; i < records.count; i++) {
		AUTO(buf_release) struct buf again = BUF_INIT(STATE_VALUE_MAX);
		AUTO(buf_release) struct buf other = BUF_INIT(STATE_VALUE_MAX);
		struct slice value = buf_slice(&records.list[i].value), rest, rest_again;
		unsigned vshard;
		uint64_t object;

		assert_int_equal(sc_record_vshard(buf_slice(&records.list[i].key), &vshard), 0);
		assert_int_equal(vshard, records.list[i].key.p[1]);
		assert_int_equal(sc_record_split(value, &object, &rest), 0);
		assert_int_equal(sc_record_join(object, rest, &again), 0);
		assert_true(slice_eq(buf_slice(&again), value));
		assert_int_equal(sc_record_join(UINT64_MAX, rest, &other), 0);
		assert_int_equal(sc_record_split(buf_slice(&other), &object, &rest_again), 0);
		assert_true(object == UINT64_MAX && slice_eq(rest, rest_again));
	}
	rows_release(&records);
}

static void only_records_have_a_vshard_and_an_object(void **state)
{
	uint64_t object;
	struct slice rest;
	unsigned vshard;

	assert_int_equal(sc_record_vshard(slice_str("R"), &vshard), -EUCLEAN);
	assert_int_equal(sc_record_vshard(slice_str("X123456789"), &vshard), -EUCLEAN);
	assert_int_equal(sc_record_split(SLICE_EMPTY, &object, &rest), -EUCLEAN);
	assert_int_equal(sc_record_split(slice_str("\x01"), &object, &rest), -EUCLEAN);
	assert_int_equal(sc_record_split(slice_str("\xff"), &object, &rest), -EUCLEAN);
	assert_int_equal(sc_row_kind(slice_str("R1")), CHAIN_ROW_RECORD);
	assert_int_equal(sc_row_kind(slice_str("A1")), CHAIN_ROW_DERIVED);
	assert_int_equal(sc_row_kind(slice_str("V1")), CHAIN_ROW_DERIVED);
	assert_int_equal(sc_row_kind(slice_str("X1")), CHAIN_ROW_RULE);
	assert_int_equal(sc_row_kind(slice_str("K1")), CHAIN_ROW_RULE);
	assert_int_equal(sc_row_kind(slice_str("H")), CHAIN_ROW_RULE);
}

static void no_allocation_that_fails_is_lost(void **state)
{
	struct rows records = some_records();

	for (size_t i = 0; i < records.count; i++)
		records.list[i].space = i % 3 ? SPACE_BOTH : SPACE_HYPER;
	FOR_EACH_ALLOC_FAULT {
		struct chain_rooter *r = NULL;
		struct chain_root roots[CONTEXT_COUNT];
		uint64_t retained;
		int rc = sc_root_new(1, true, NULL, NULL, &r, NULL);

		for (size_t i = 0; i < 40 && rc == 0; i++)
			rc = sc_root_add(r, records.list[i].space, buf_slice(&records.list[i].key),
					 buf_slice(&records.list[i].value), NULL);
		if (rc == 0)
			rc = sc_root_end(r, roots, &retained, NULL);
		assert_true(rc == 0 || rc == -ENOMEM);
		sc_root_free(r);
	}
	rows_release(&records);
}

/* ---- does a row follow from its bytes? ---- */

/* The bytes of every object that the blocks so far carried. */
struct object_at {
	uint16_t form;
	uint64_t time;
	struct slice bytes;
};

static struct object_at object_find(const struct recorded *from, uint64_t object)
{
	uint64_t first = 1;

	for (size_t i = 0; i < from->count; i++) {
		const struct chain_block *b = &from->blocks[i]->base;

		if (object < first + 2 * b->item_count) {
			const struct chain_item *item = &b->items[(object - first) / 2];

			if ((object - first) % 2)
				return (struct object_at){
					item->inner_form, item->inner_time,
					SLICE(b->canonical.p + item->inner_offset, item->inner_size)
				};
			return (struct object_at){ item->form, item->time,
						   SLICE(b->canonical.p + item->offset,
							 item->size) };
		}
		first += 2 * b->item_count;
	}
	fail_msg("object %" PRIu64 " is in no block", object);
	return (struct object_at){ 0 };
}

static int check_row(const struct recorded *from, const struct kept_row *row, struct err *err)
{
	struct slice rest;
	uint64_t id;

	assert_int_equal(sc_record_split(buf_slice(&row->value), &id, &rest), 0);
	struct object_at at = object_find(from, id);
	const struct chain_object o = { .form = at.form, .bytes = at.bytes, .time = at.time };

	return sc_record_check(from->params, buf_slice(&row->key), rest, &o, err);
}

static void rows_at_the_end(size_t recording, uint32_t shard, struct rows *out)
{
	struct run r;

	run_open(&r, recording, shard);
	while (run_next(&r, true))
		;
	rows_of_kind(r.state, SPACE_BOTH, CHAIN_ROW_RECORD, out);
	rows_of_kind(r.state, SPACE_HYPER, CHAIN_ROW_RECORD, out);
	run_release(&r);
}

static void every_row_follows_from_its_bytes(void **state)
{
	unsigned sets = 0;

	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		for (uint32_t s = 0; s < 3; s++) {
			struct rows rows = { .list = NULL };

			rows_at_the_end(i, s, &rows);
			for (size_t n = 0; n < rows.count; n++) {
				struct err err = ERR_INIT;

				sets |= 1u << rows.list[n].key.p[6];
				if (check_row(&recorded_shards[i][s], &rows.list[n], &err) < 0)
					fail_msg("%s shard %u row %zu: %s", recordings[i], s, n,
						 err.text);
			}
			rows_release(&rows);
		}
	}
	/* All sets but proofs of names elsewhere, which the recordings do not have. */
	assert_int_equal(sets, ((1u << (SC_SET_COUNT + 1)) - 2) & ~(1u << (SC_SET_PROOFS + 1)));
}

static void a_bit_of_a_row_or_of_its_bytes_is_missed_nowhere_but_in_events(void **state)
{
	struct random seed = random_of_run();
	struct rows rows = { .list = NULL };

	rows_at_the_end(0, 1, &rows);
	const struct recorded *from = &recorded_shards[0][1];

	for (uint64_t n = 0; n < rounds(3000); n++) {
		const struct kept_row *row = &rows.list[random_below(&seed, rows.count)];
		AUTO(buf_release) struct buf key = BUF_INIT(STATE_KEY_MAX);
		AUTO(buf_release) struct buf rest = BUF_INIT(STATE_VALUE_MAX);
		AUTO(buf_release) struct buf bytes = BUF_INIT(BLOCK_SIZE_MAX);
		struct buf *parts[] = { &key, &rest, &bytes }, *flip = parts[n % 3];
		struct slice value;
		uint64_t id;
		struct err err = ERR_INIT;

		assert_int_equal(sc_record_split(buf_slice(&row->value), &id, &value), 0);
		struct object_at at = object_find(from, id);

		buf_add(&key, buf_slice(&row->key));
		buf_add(&rest, value);
		buf_add(&bytes, at.bytes);
		flip->p[random_below(&seed, flip->n)] ^= (uint8_t)(1u << random_below(&seed, 8));
		struct chain_object o = { .form = at.form,
					  .bytes = buf_slice(&bytes),
					  .time = at.time };
		int rc = sc_record_check(from->params, buf_slice(&key), buf_slice(&rest), &o, &err);

		if (rc == -EBADMSG || rc == -EKEYREJECTED)
			assert_true(err.text[0] != '\0');
		else if (rc ==
			 0) /* nobody signs what happened on other chains, nor devnet's names */
			assert_true(flip == &bytes && at.form != SC_FORM_MESSAGE);
		else
			fail_msg("%d", rc);
	}
	rows_release(&rows);
}

static void another_form_or_time_is_told(void **state)
{
	struct rows rows = { .list = NULL };

	rows_at_the_end(0, 1, &rows);
	for (size_t n = 0; n < rows.count; n += 50) {
		struct slice rest;
		uint64_t id;

		assert_int_equal(sc_record_split(buf_slice(&rows.list[n].value), &id, &rest), 0);
		struct object_at at = object_find(&recorded_shards[0][1], id);
		struct chain_object o = { .form = at.form, .bytes = at.bytes, .time = at.time + 1 };

		assert_int_equal(sc_record_check(recorded_shards[0][1].params,
						 buf_slice(&rows.list[n].key), rest, &o, NULL),
				 -EBADMSG);
		o.time--;
		for (o.form = 0; o.form < 9; o.form++)
			assert_int_equal(sc_record_check(recorded_shards[0][1].params,
							 buf_slice(&rows.list[n].key), rest, &o,
							 NULL),
					 o.form == at.form ? 0 : -EBADMSG);
	}
	rows_release(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_alone_give_every_row_and_root_that_replay_left),
		cmocka_unit_test(nothing_has_no_root),
		cmocka_unit_test(records_that_cannot_be_are_refused),
		cmocka_unit_test(a_value_comes_apart_and_together_again),
		cmocka_unit_test(only_records_have_a_vshard_and_an_object),
		cmocka_unit_test(no_allocation_that_fails_is_lost),
		cmocka_unit_test(every_row_follows_from_its_bytes),
		cmocka_unit_test(a_bit_of_a_row_or_of_its_bytes_is_missed_nowhere_but_in_events),
		cmocka_unit_test(another_form_or_time_is_told),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, recorded_release);
}
