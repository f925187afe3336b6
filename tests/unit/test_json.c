#include "core/base/json.h"
#include "tests/support/support.h"

static void fill(struct json *j)
{
	json_object(j, NULL);
	json_u64(j, "big", UINT64_MAX);
	json_array(j, "empty");
	json_end(j);
	json_i64(j, "low", INT64_MIN);
	json_array(j, "list");
	json_bool(j, NULL, true);
	json_null(j, NULL);
	json_object(j, NULL);
	json_end(j);
	json_object(j, NULL);
	json_hex(j, "hash", SLICE("\x00\xff", 2));
	json_str(j, "text", "a\"b");
	json_end(j);
	json_end(j);
	json_end(j);
}

static void a_line_is_one_line_without_blanks(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(4096);
	struct json j = json_of(&b, JSON_LINE);

	fill(&j);
	assert_int_equal(json_done(&j), 0);
	assert_true(slice_eq(buf_slice(&b),
			     slice_str("{\"big\":18446744073709551615,\"empty\":[],"
				       "\"low\":-9223372036854775808,\"list\":[true,null,{},"
				       "{\"hash\":\"00ff\",\"text\":\"a\\\"b\"}]}\n")));
}

static void pretty_puts_one_field_on_a_line(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(4096);
	struct json j = json_of(&b, JSON_PRETTY);

	fill(&j);
	assert_int_equal(json_done(&j), 0);
	assert_true(slice_eq(buf_slice(&b),
			     slice_str("{\n"
				       "  \"big\": 18446744073709551615,\n"
				       "  \"empty\": [],\n"
				       "  \"low\": -9223372036854775808,\n"
				       "  \"list\": [\n"
				       "    true,\n"
				       "    null,\n"
				       "    {},\n"
				       "    {\n"
				       "      \"hash\": \"00ff\",\n"
				       "      \"text\": \"a\\\"b\"\n"
				       "    }\n"
				       "  ]\n"
				       "}\n")));
}

static void one_writer_makes_many_lines(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(4096);
	struct json j = json_of(&b, JSON_LINE);

	for (uint64_t i = 0; i < 2; i++) {
		json_object(&j, NULL);
		json_u64(&j, "i", i);
		json_end(&j);
	}
	json_u64(&j, NULL, 7);
	assert_int_equal(json_done(&j), 0);
	assert_true(slice_eq(buf_slice(&b), slice_str("{\"i\":0}\n{\"i\":1}\n7\n")));
}

static void text_is(const char *in, size_t in_size, const char *want)
{
	AUTO(buf_release) struct buf b = BUF_INIT(4096);
	struct json j = json_of(&b, JSON_LINE);

	json_text(&j, NULL, SLICE(in, in_size));
	assert_int_equal(json_done(&j), 0);
	b.p[b.n - 1] = '\0';
	assert_string_equal((char *)b.p, want);
}

static void strings_are_escaped_and_stay_utf8(void **state)
{
	text_is(NULL, 0, "\"\"");
	text_is("plain / text", 12, "\"plain / text\"");
	text_is("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\x7f\"");
	text_is("\n\t\r\"\\", 5, "\"\\n\\t\\r\\\"\\\\\"");
	text_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x84", 9,
		"\"\xc3\xa9\xe2\x82\xac\xf0\x9f\xa6\x84\"");
	/* Not UTF-8: alone, overlong, a surrogate, cut off at the end. */
	text_is("a\xff" "b", 3, "\"a\xef\xbf\xbd" "b\"");
	text_is("\xc0\x80", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	text_is("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	text_is("\xf0\x9f\xa6", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	text_is("ok\xe2\x82", 4, "\"ok\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void whatever_the_bytes_the_output_is_utf8(void **state)
{
	struct random r = random_of_run();

	for (int i = 0; i < 2000; i++) {
		AUTO(buf_release) struct buf b = BUF_INIT(4096);
		struct json j = json_of(&b, JSON_LINE);
		uint8_t bytes[64];
		size_t n = random_below(&r, sizeof bytes);

		random_bytes(&r, bytes, n);
		json_text(&j, NULL, SLICE(bytes, n));
		assert_int_equal(json_done(&j), 0);
		assert_true(utf8_valid(buf_slice(&b)));
	}
}

static void a_full_buf_is_told_at_the_end(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(10);
	struct json j = json_of(&b, JSON_LINE);

	json_str(&j, NULL, "0123456789");
	assert_int_equal(json_done(&j), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_one_line_without_blanks),
		cmocka_unit_test(pretty_puts_one_field_on_a_line),
		cmocka_unit_test(one_writer_makes_many_lines),
		cmocka_unit_test(strings_are_escaped_and_stay_utf8),
		cmocka_unit_test(whatever_the_bytes_the_output_is_utf8),
		cmocka_unit_test(a_full_buf_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
