/* Packs and the text files of a checkpoint: one encoding, and nothing else is read. */
#include "core/checkpoint/folder.h"
#include "core/checkpoint/pack.h"
#include "proto/checkpoint.pb-c.h"
#include "tests/support/support.h"

static struct pack_record sample(void)
{
	return (struct pack_record){
		.key = slice_str("Rkey"),
		.value = slice_str("value"),
		.height = 300,
		.item = 7,
		.inner = true,
		.form = 2,
		.time = 1700000000,
		.object = slice_str("object"),
	};
}

static bool records_equal(const struct pack_record *a, const struct pack_record *b)
{
	return slice_eq(a->key, b->key) && slice_eq(a->value, b->value) && a->height == b->height &&
	       a->item == b->item && a->inner == b->inner && a->form == b->form &&
	       a->time == b->time && slice_eq(a->object, b->object);
}

static void records_read_back_in_order(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct pack_record one = sample(), two = { .key = slice_str("S") }, got;
	struct err err = ERR_INIT;

	assert_int_equal(pack_record_write(&out, &one), 0);
	assert_int_equal(pack_record_write(&out, &two), 0);
	struct pack_reader p = PACK_READER(buf_slice(&out));

	assert_int_equal(pack_record_next(&p, &got, &err), 1);
	assert_true(records_equal(&got, &one));
	assert_int_equal(pack_record_next(&p, &got, &err), 1);
	assert_true(records_equal(&got, &two));
	assert_int_equal(pack_record_next(&p, &got, &err), 0);
	assert_int_equal(pack_record_next(&p, &got, &err), 0);
}

static void rows_read_back_in_order(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct slice key, value;

	assert_int_equal(pack_row_write(&out, slice_str("K"), SLICE_EMPTY), 0);
	assert_int_equal(pack_row_write(&out, slice_str("X"), slice_str("v")), 0);
	struct pack_reader p = PACK_READER(buf_slice(&out));

	assert_int_equal(pack_row_next(&p, &key, &value, NULL), 1);
	assert_true(slice_eq(key, slice_str("K")) && !value.n);
	assert_int_equal(pack_row_next(&p, &key, &value, NULL), 1);
	assert_true(slice_eq(key, slice_str("X")) && slice_eq(value, slice_str("v")));
	assert_int_equal(pack_row_next(&p, &key, &value, NULL), 0);
}

static void any_protobuf_reader_takes_a_pack_apart(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	AUTO(buf_release) struct buf again = BUF_INIT(1u << 20);
	struct pack_record one = sample();

	assert_int_equal(pack_record_write(&out, &one), 0);
	struct rd in = rd_of(buf_slice(&out));
	struct slice entry = rd_blob(&in);

	assert_int_equal(rd_done(&in), 0);
	Cp__Record *r = cp__record__unpack(NULL, entry.n, entry.p);

	assert_non_null(r);
	assert_true(slice_eq(SLICE(r->key.data, r->key.len), one.key));
	assert_true(slice_eq(SLICE(r->object.data, r->object.len), one.object));
	assert_int_equal(r->height, one.height);
	assert_int_equal(r->item, one.item);
	assert_int_equal(r->form, one.form);
	assert_int_equal(r->time, one.time);
	assert_true(r->inner);
	/* And writes the same bytes again. */
	assert_int_equal(buf_reserve(&again, entry.n), 0);
	again.n = cp__record__pack(r, again.p);
	assert_true(slice_eq(buf_slice(&again), entry));
	cp__record__free_unpacked(r, NULL);
}

static int read_records(struct slice bytes)
{
	struct pack_reader p = PACK_READER(bytes);
	struct pack_record r;
	struct err err = ERR_INIT;
	int rc;

	while ((rc = pack_record_next(&p, &r, &err)) == 1)
		;
	assert_true(rc == 0 || err.text[0]);
	return rc;
}

static void keys_that_do_not_ascend_are_refused(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct pack_record a = { .key = slice_str("b") }, b = { .key = slice_str("a") };

	assert_int_equal(pack_record_write(&out, &a), 0);
	assert_int_equal(pack_record_write(&out, &a), 0);
	assert_int_equal(read_records(buf_slice(&out)), -EBADMSG);
	buf_clear(&out);
	assert_int_equal(pack_record_write(&out, &a), 0);
	assert_int_equal(pack_record_write(&out, &b), 0);
	assert_int_equal(read_records(buf_slice(&out)), -EBADMSG);
}

static void other_encodings_are_refused(void **state)
{
	static const struct {
		const char *why, *hex;
	} cases[] = {
		{ "a size with a byte too many", "8300"
						 "0a0161" },
		{ "cut short", "04"
			       "0a0161" },
		{ "no size", "80" },
		{ "no key", "02"
			    "1801" },
		{ "an empty entry", "00" },
		{ "a zero written out", "05"
					"0a0161"
					"1800" },
		{ "an empty field written out", "05"
						"0a0161"
						"1200" },
		{ "a field twice", "06"
				   "0a0161"
				   "0a0162" },
		{ "fields out of order", "05"
					 "1801"
					 "0a0161" },
		{ "a field nobody knows", "05"
					  "0a0161"
					  "4801" },
		{ "a field of another type", "06"
					     "0a0161"
					     "1a0161" },
		{ "a varint with a byte too many", "06"
						   "0a0161"
						   "188100" },
		{ "a bool of 2", "05"
				 "0a0161"
				 "2802" },
		{ "an item over 32 bits", "09"
					  "0a0161"
					  "208080808010" },
		{ "a form over 16 bits", "07"
					 "0a0161"
					 "30808004" },
	};
	uint8_t bytes[64];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = unhex(cases[i].hex, bytes, sizeof bytes);

		if (read_records(SLICE(bytes, n)) != -EBADMSG)
			fail_msg("%s", cases[i].why);
	}
}

static void every_cut_of_a_pack_is_told(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct pack_record one = sample();

	assert_int_equal(pack_record_write(&out, &one), 0);
	for (size_t n = 1; n < out.n; n++)
		assert_int_equal(read_records(SLICE(out.p, n)), -EBADMSG);
	assert_int_equal(read_records(buf_slice(&out)), 0);
}

/* ---- info ---- */

static struct checkpoint_info sample_info(bool hyper)
{
	struct checkpoint_info i = { .kind = "snapchain", .hyper = hyper, .shard_count = 2 };

	for (uint32_t s = 0; s < 2; s++) {
		struct checkpoint_shard *x = &i.shards[s];

		*x = (struct checkpoint_shard){ .shard = s * 2,
						.height = 12345 + s,
						.time = 1700000000 + s };
		memset(x->hash, 0xa0 + (int)s, sizeof x->hash);
		if (s) {
			memset(x->legacy.root, 0x11, HASH20_SIZE);
			x->legacy.root_size = HASH20_SIZE;
			x->legacy.records = 99;
		}
		if (hyper) {
			x->hyper = x->legacy;
			x->hyper.records += 4 * s;
			x->retained = 4 * s;
			x->base_height = 10;
			memset(x->base_root, 0x22, HASH20_SIZE);
			x->base_root_size = HASH20_SIZE;
		}
	}
	return i;
}

static void info_reads_back(void **state)
{
	for (int hyper = 0; hyper < 2; hyper++) {
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
		AUTO(buf_release) struct buf again = BUF_INIT(1u << 20);
		struct checkpoint_info info = sample_info(hyper), got;
		struct err err = ERR_INIT;

		assert_int_equal(checkpoint_info_write(&info, &out), 0);
		if (checkpoint_info_read(buf_slice(&out), &got, &err) < 0)
			fail_msg("%s", err.text);
		assert_memory_equal(&got, &info, sizeof got);
		assert_int_equal(checkpoint_info_write(&got, &again), 0);
		assert_true(slice_eq(buf_slice(&out), buf_slice(&again)));
	}
}

static void info_begins_as_it_is_documented(void **state)
{
	static const char want[] =
		"format 1\nkind snapchain\nheight 12345\n"
		"hash a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0\n"
		"time 2023-11-14T22:13:20Z\nhyper off\nshard 0\nheight 12345\n"
		"hash a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0\n"
		"time 2023-11-14T22:13:20Z\nlegacy_root -\nlegacy_records 0\nshard 2\n";
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct checkpoint_info info = sample_info(false);

	assert_int_equal(checkpoint_info_write(&info, &out), 0);
	assert_true(slice_starts(buf_slice(&out), slice_str(want)));
}

static void a_line_changed_or_gone_is_told_with_its_number(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct checkpoint_info info = sample_info(true), got;
	size_t lines = 0;

	assert_int_equal(checkpoint_info_write(&info, &out), 0);
	for (const uint8_t *p = out.p; p < out.p + out.n; lines++) {
		AUTO(buf_release) struct buf less = BUF_INIT(1u << 20);
		const uint8_t *end = memchr(p, '\n', (size_t)(out.p + out.n - p)) + 1;
		struct err err = ERR_INIT;

		buf_bytes(&less, out.p, (size_t)(p - out.p));
		buf_bytes(&less, end, (size_t)(out.p + out.n - end));
		assert_int_equal(checkpoint_info_read(buf_slice(&less), &got, &err), -EBADMSG);
		assert_non_null(strstr(err.text, "info"));
		p = end;
	}
	assert_int_equal(lines, 6 + 2 * 11 + 2);
}

static void another_format_is_named(void **state)
{
	struct checkpoint_info got;
	struct err err = ERR_INIT;

	assert_int_equal(checkpoint_info_read(slice_str("format 2\n"), &got, &err),
			 -EPROTONOSUPPORT);
	assert_non_null(strstr(err.text, "format 2"));
}

static void a_time_has_one_way_to_be_written(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	struct checkpoint_info info = sample_info(false), got;

	assert_int_equal(checkpoint_info_write(&info, &out), 0);
	uint8_t *at = memmem(out.p, out.n, "time 2023-11-14", 15);

	memcpy(at, "time 2023-11-44", 15);
	assert_int_equal(checkpoint_info_read(buf_slice(&out), &got, NULL), -EBADMSG);
	memcpy(at, "time \n023-1-014", 15);
	assert_int_equal(checkpoint_info_read(buf_slice(&out), &got, NULL), -EBADMSG);
	memcpy(at, "time 2023-1-014", 15);
	assert_int_equal(checkpoint_info_read(buf_slice(&out), &got, NULL), -EBADMSG);
}

/* ---- names ---- */

static void a_name_tells_height_and_hash(void **state)
{
	uint8_t hash[HASH_SIZE] = { 0xab, 0x12, 0xcd, 0x34, 0x56 }, prefix[4];
	char name[CHECKPOINT_NAME_SIZE];
	uint64_t height;

	checkpoint_name(12345, hash, name);
	assert_string_equal(name, "0000012345-ab12cd34");
	assert_int_equal(checkpoint_name_read(name, &height, prefix), 0);
	assert_int_equal(height, 12345);
	assert_memory_equal(prefix, hash, sizeof prefix);
	checkpoint_name(UINT64_MAX, hash, name);
	assert_int_equal(checkpoint_name_read(name, &height, prefix), 0);
	assert_true(height == UINT64_MAX);
}

static void other_names_are_none(void **state)
{
	static const char *const names[] = {
		"",
		"0000012345",
		"0000012345-",
		"0000012345-ab12cd3",
		"0000012345-ab12cd345",
		"0000012345-AB12CD34",
		"12345-ab12cd34",
		"00000012345-ab12cd34",
		"0000012345-ab12cd34.part",
		"0000012345_ab12cd34",
		"-ab12cd34",
		"99999999999999999999-ab12cd34",
	};
	uint64_t height;
	uint8_t prefix[4];

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (checkpoint_name_read(names[i], &height, prefix) == 0)
			fail_msg("%s", names[i]);
}

/* ---- sums ---- */

static int read_sums(const char *text)
{
	char last[CHECKPOINT_PATH_MAX] = "";
	uint8_t sum[HASH_SIZE];
	size_t at = 0;
	int rc, n = 0;

	while ((rc = checkpoint_sum_next(slice_str(text), &at, last, sum, NULL)) == 1)
		n++;
	return rc < 0 ? rc : n;
}

#define SUM "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void sums_name_files_below_the_folder_in_order(void **state)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	uint8_t sum[HASH_SIZE];

	unhex(SUM, sum, sizeof sum);
	checkpoint_sum_write(sum, "blocks/0.pb", &out);
	checkpoint_sum_write(sum, "info", &out);
	buf_u8(&out, 0);
	assert_string_equal((char *)out.p, SUM "  blocks/0.pb\n" SUM "  info\n");
	assert_int_equal(read_sums((char *)out.p), 2);
	assert_int_equal(read_sums(""), 0);
	assert_int_equal(read_sums(SUM "  info\n" SUM "  blocks/0.pb\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  info\n" SUM "  info\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  ../info\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  a/../info\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  /info\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  a//b\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  a/\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  \n"), -EBADMSG);
	assert_int_equal(read_sums(SUM " info\n"), -EBADMSG);
	assert_int_equal(read_sums(SUM "  info"), -EBADMSG);
	assert_int_equal(read_sums("zz" SUM), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_read_back_in_order),
		cmocka_unit_test(rows_read_back_in_order),
		cmocka_unit_test(any_protobuf_reader_takes_a_pack_apart),
		cmocka_unit_test(keys_that_do_not_ascend_are_refused),
		cmocka_unit_test(other_encodings_are_refused),
		cmocka_unit_test(every_cut_of_a_pack_is_told),
		cmocka_unit_test(info_reads_back),
		cmocka_unit_test(info_begins_as_it_is_documented),
		cmocka_unit_test(a_line_changed_or_gone_is_told_with_its_number),
		cmocka_unit_test(another_format_is_named),
		cmocka_unit_test(a_time_has_one_way_to_be_written),
		cmocka_unit_test(a_name_tells_height_and_hash),
		cmocka_unit_test(other_names_are_none),
		cmocka_unit_test(sums_name_files_below_the_folder_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
