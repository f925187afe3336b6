#include "core/base/bytes.h"
#include "tests/support/support.h"

static void slices_compare_as_unsigned_bytes_prefix_first(void **state)
{
	assert_true(slice_cmp(slice_str("a"), slice_str("b")) < 0);
	assert_true(slice_cmp(slice_str("\x7f"), slice_str("\x80")) < 0);
	assert_true(slice_cmp(slice_str("a"), slice_str("aa")) < 0);
	assert_true(slice_cmp(slice_str("ab"), slice_str("aa")) > 0);
	assert_true(slice_cmp(SLICE_EMPTY, slice_str("")) == 0);
	assert_true(slice_cmp(SLICE_EMPTY, slice_str("a")) < 0);
	assert_true(slice_eq(SLICE_EMPTY, slice_str("")));
	assert_false(slice_eq(slice_str("a"), slice_str("aa")));
	assert_int_equal(slice_str(NULL).n, 0);
}

static void a_slice_starts_with_its_prefixes(void **state)
{
	assert_true(slice_starts(slice_str("abc"), slice_str("ab")));
	assert_true(slice_starts(slice_str("abc"), SLICE_EMPTY));
	assert_true(slice_starts(SLICE_EMPTY, SLICE_EMPTY));
	assert_false(slice_starts(slice_str("abc"), slice_str("b")));
	assert_false(slice_starts(slice_str("abc"), slice_str("abcd")));
}

static void a_sub_slice_is_cut_to_what_is_there(void **state)
{
	struct slice s = slice_str("abcdef");

	assert_true(slice_eq(slice_sub(s, 2, 3), slice_str("cde")));
	assert_true(slice_eq(slice_sub(s, 4, SIZE_MAX), slice_str("ef")));
	assert_int_equal(slice_sub(s, 6, 1).n, 0);
	assert_int_equal(slice_sub(s, SIZE_MAX, SIZE_MAX).n, 0);
	assert_int_equal(slice_sub(SLICE_EMPTY, 0, 9).n, 0);
}

static void a_buf_holds_what_was_added_in_order(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 20);
	static const char want[] = "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"
				   "textmore42 ok\x00\x05" "00ff7" "18446744073709551615" "0";

	buf_u8(&b, 1);
	buf_be16(&b, 0x0203);
	buf_be32(&b, 0x04050607);
	buf_be64(&b, 0x08090a0b0c0d0e0f);
	buf_str(&b, "text");
	buf_add(&b, slice_str("more"));
	buf_fmt(&b, "%d %s", 42, "ok");
	buf_blob(&b, SLICE_EMPTY);
	buf_blob(&b, SLICE("\x30\x30\x66\x66\x37", 5));
	buf_u64(&b, UINT64_MAX);
	buf_u64(&b, 0);
	assert_int_equal(buf_done(&b), 0);
	assert_true(slice_eq(buf_slice(&b), SLICE(want, sizeof want - 1)));
}

static void hex_is_lower_case_and_reads_back_in_either(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(100);
	uint8_t bytes[3];
	char text[7];

	buf_hex(&b, SLICE("\x00\xab\xff", 3));
	assert_true(slice_eq(buf_slice(&b), slice_str("00abff")));
	hex_put(text, (const uint8_t *)"\x00\xab\xff", 3);
	assert_string_equal(text, "00abff");
	assert_int_equal(hex_get("00ABfF", 6, bytes, 3), 0);
	assert_memory_equal(bytes, "\x00\xab\xff", 3);
	assert_int_equal(hex_get("", 0, bytes, 0), 0);
	assert_int_equal(hex_get("00abf", 5, bytes, 3), -EINVAL);
	assert_int_equal(hex_get("00abf", 5, bytes, 2), -EINVAL);
	assert_int_equal(hex_get("00abff", 6, bytes, 2), -EINVAL);
	assert_int_equal(hex_get("0x", 2, bytes, 1), -EINVAL);
	assert_int_equal(hex_get("g0", 2, bytes, 1), -EINVAL);
	assert_int_equal(hex_get("0 ", 2, bytes, 1), -EINVAL);
}

static void a_buf_refuses_to_grow_over_its_ceiling(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(10);

	buf_str(&b, "0123456789");
	assert_int_equal(buf_done(&b), 0);
	buf_u8(&b, 'x');
	assert_int_equal(buf_done(&b), -EMSGSIZE);
	buf_str(&b, "");
	assert_int_equal(buf_done(&b), -EMSGSIZE);
	assert_true(slice_eq(buf_slice(&b), slice_str("0123456789")));
	assert_true(b.cap <= 10);
	buf_clear(&b);
	assert_int_equal(buf_done(&b), 0);
	assert_int_equal(b.size_max, 10);
	buf_fmt(&b, "%s", "01234567890");
	assert_int_equal(buf_done(&b), -EMSGSIZE);
	assert_int_equal(b.n, 0);
}

static void a_reservation_that_overflows_is_refused(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(SIZE_MAX);

	buf_u8(&b, 1);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
	buf_hex(&b, SLICE(NULL, SIZE_MAX));
	assert_int_equal(buf_done(&b), -EMSGSIZE);
}

static void long_formats_are_written_whole(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16);

	for (int width = 100; width < 300; width++) {
		buf_clear(&b);
		buf_fmt(&b, "%*d", width, 7);
		assert_int_equal(b.n, width);
		assert_int_equal(b.p[width - 1], '7');
	}
}

static void a_failed_allocation_latches_and_loses_nothing(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(buf_release) struct buf b = BUF_INIT(1 << 20);
		size_t before = 0;

		for (int i = 0; i < 50 && !b.failed; i++) {
			before = b.n;
			buf_fmt(&b, "%0*d", 10 * i + 1, i);
		}
		assert_true(buf_done(&b) == 0 || (buf_done(&b) == -ENOMEM && b.n == before));
	}
}

static void releasing_an_empty_buf_is_allowed(void **state)
{
	struct buf b = { 0 };

	buf_release(&b);
	buf_release(&b);
	assert_int_equal(buf_slice(&b).n, 0);
}

static void varints_are_as_short_as_they_can_be(void **state)
{
	static const struct {
		uint64_t v;
		size_t   size;
	} cases[] = {
		{ 0, 1 }, { 127, 1 }, { 128, 2 }, { 16383, 2 }, { 16384, 3 },
		{ UINT32_MAX, 5 }, { UINT64_MAX >> 1, 9 }, { UINT64_MAX, 10 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t bytes[10];

		assert_int_equal(varint_size(cases[i].v), cases[i].size);
		assert_int_equal(varint_put(bytes, cases[i].v), cases[i].size);

		struct rd r = rd_of(SLICE(bytes, cases[i].size));

		assert_true(rd_varint(&r) == cases[i].v);
		assert_int_equal(rd_done(&r), 0);
		r = rd_of(SLICE(bytes, cases[i].size - 1));
		assert_true(rd_varint(&r) == 0);
		assert_false(rd_ok(&r));
	}
}

static void a_varint_over_64_bits_is_refused(void **state)
{
	struct rd r = rd_of(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));

	rd_varint(&r);
	assert_false(rd_ok(&r));
	r = rd_of(SLICE("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11));
	rd_varint(&r);
	assert_false(rd_ok(&r));
}

static void a_reader_gives_back_what_was_written(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 20);

	buf_u8(&b, 0xfe);
	buf_be16(&b, 0xfedc);
	buf_be32(&b, 0xfedcba98);
	buf_be64(&b, 0xfedcba9876543210);
	buf_varint(&b, 300);
	buf_blob(&b, slice_str("blob"));
	buf_str(&b, "rest");

	struct rd r = rd_of(buf_slice(&b));

	assert_int_equal(rd_u8(&r), 0xfe);
	assert_int_equal(rd_be16(&r), 0xfedc);
	assert_int_equal(rd_be32(&r), 0xfedcba98);
	assert_true(rd_be64(&r) == 0xfedcba9876543210);
	assert_int_equal(rd_varint(&r), 300);
	assert_true(slice_eq(rd_blob(&r), slice_str("blob")));
	assert_int_equal(rd_left(&r), 4);
	assert_int_equal(rd_done(&r), -EBADMSG);
	assert_true(slice_eq(rd_rest(&r), slice_str("rest")));
	assert_int_equal(rd_done(&r), 0);
}

static void a_reader_latches_its_first_overrun(void **state)
{
	struct rd r = rd_of(SLICE("\x01\x02\x03", 3));

	assert_int_equal(rd_be64(&r), 0);
	assert_false(rd_ok(&r));
	assert_int_equal(rd_u8(&r), 0);
	assert_int_equal(rd_left(&r), 0);
	assert_int_equal(rd_rest(&r).n, 0);
	assert_int_equal(rd_bytes(&r, 0).n, 0);
	assert_int_equal(rd_done(&r), -EBADMSG);

	/* A size from outside, larger than anything. */
	r = rd_of(SLICE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abc", 13));
	assert_int_equal(rd_blob(&r).n, 0);
	assert_false(rd_ok(&r));
	r = rd_of(slice_str("abc"));
	assert_int_equal(rd_bytes(&r, SIZE_MAX).n, 0);
	assert_false(rd_ok(&r));
}

static void an_empty_input_reads_as_done(void **state)
{
	struct rd r = rd_of(SLICE_EMPTY);

	assert_int_equal(rd_done(&r), 0);
	assert_int_equal(rd_rest(&r).n, 0);
	assert_int_equal(rd_bytes(&r, 0).n, 0);
	assert_int_equal(rd_done(&r), 0);
	rd_u8(&r);
	assert_int_equal(rd_done(&r), -EBADMSG);
}

static void decimal_numbers_are_whole_and_bounded(void **state)
{
	static const char *const refused[] = {
		"",    " 1",  "1 ",  "+1",
		"-1",  "0x1", "1.0", "18446744073709551616",
		"99999999999999999999",
	};
	uint64_t v = 7;

	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		assert_int_equal(dec_get(refused[i], strlen(refused[i]), UINT64_MAX, &v), -EINVAL);
	assert_int_equal(dec_get("11", 2, 10, &v), -EINVAL);
	assert_int_equal(v, 7);
	assert_int_equal(dec_get("10", 2, 10, &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(dec_get("0000000012", 10, 12, &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(dec_get("18446744073709551615", 20, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

/* The rule said another way: decode, then ask whether the shortest form has that size. */
static bool utf8_by_decoding(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n) {
		size_t size = p[i] < 0x80 ? 1
			    : p[i] >> 5 == 6 ? 2
			    : p[i] >> 4 == 14 ? 3
			    : p[i] >> 3 == 30 ? 4 : 0;
		uint32_t c = size == 1 ? p[i] : size ? p[i] & (0x7f >> size) : 0;

		if (!size || i + size > n)
			return false;
		for (size_t k = 1; k < size; k++) {
			if (p[i + k] >> 6 != 2)
				return false;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

		if (size != shortest || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
			return false;
		i += size;
	}
	return true;
}

static void utf8_is_strict(void **state)
{
	static const uint8_t tails[] = {
		0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff,
	};
	size_t n = ARRAY_LEN(tails);

	assert_true(utf8_valid(SLICE_EMPTY));
	for (unsigned first = 0; first < 256; first++) {
		for (size_t i = 0; i < n * n * n; i++) {
			uint8_t text[4] = { (uint8_t)first, tails[i / n / n], tails[i / n % n],
					    tails[i % n] };

			for (size_t size = 1; size <= 4; size++)
				assert_int_equal(utf8_valid(SLICE(text, size)),
						 utf8_by_decoding(text, size));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slices_compare_as_unsigned_bytes_prefix_first),
		cmocka_unit_test(a_slice_starts_with_its_prefixes),
		cmocka_unit_test(a_sub_slice_is_cut_to_what_is_there),
		cmocka_unit_test(a_buf_holds_what_was_added_in_order),
		cmocka_unit_test(hex_is_lower_case_and_reads_back_in_either),
		cmocka_unit_test(a_buf_refuses_to_grow_over_its_ceiling),
		cmocka_unit_test(a_reservation_that_overflows_is_refused),
		cmocka_unit_test(long_formats_are_written_whole),
		cmocka_unit_test(a_failed_allocation_latches_and_loses_nothing),
		cmocka_unit_test(releasing_an_empty_buf_is_allowed),
		cmocka_unit_test(varints_are_as_short_as_they_can_be),
		cmocka_unit_test(a_varint_over_64_bits_is_refused),
		cmocka_unit_test(a_reader_gives_back_what_was_written),
		cmocka_unit_test(a_reader_latches_its_first_overrun),
		cmocka_unit_test(an_empty_input_reads_as_done),
		cmocka_unit_test(decimal_numbers_are_whole_and_bounded),
		cmocka_unit_test(utf8_is_strict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
