/* Addresses of sources, and the file that names them. */
#include "core/sync/source.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void an_address_is_split_or_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *url, *scheme, *host;
		int port; /* -1: refused */
	} rows[] = {
		{ "grpc://127.0.0.1:3383", "grpc", "127.0.0.1", 3383 },
		{ "grpcs://node.example.org", "grpcs", "node.example.org", 0 },
		{ "grpc://[::1]:3383", "grpc", "::1", 3383 },
		{ "grpc://[fe80::1%eth0]", "grpc", "fe80::1%eth0", 0 },
		{ "127.0.0.1:3383", "", "", -1 },
		{ "://host:1", "", "", -1 },
		{ "grpc://", "", "", -1 },
		{ "grpc://:3383", "", "", -1 },
		{ "grpc://host:0", "", "", -1 },
		{ "grpc://host:65536", "", "", -1 },
		{ "grpc://host:", "", "", -1 },
		{ "grpc://host:80/path", "", "", -1 },
		{ "grpc://host/path", "", "", -1 },
		{ "grpc://ho st:80", "", "", -1 },
		{ "grpc://[::1:3383", "", "", -1 },
		{ "GRPC://host:80", "", "", -1 },
		{ "averyveryverylongscheme://host:80", "", "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char scheme[16] = "", host[SOURCE_URL_MAX + 1] = "";
		struct err err = ERR_INIT;
		uint16_t port = 1;
		int rc = source_url_parse(rows[i].url, scheme, host, &port, &err);

		if (rows[i].port < 0) {
			if (rc != -EINVAL)
				fail_msg("%s was taken", rows[i].url);
			assert_true(err.text[0]);
			continue;
		}
		if (rc != 0)
			fail_msg("%s: %s", rows[i].url, err.text);
		assert_string_equal(scheme, rows[i].scheme);
		assert_string_equal(host, rows[i].host);
		assert_int_equal(port, rows[i].port);
	}
}

static void a_name_comes_from_an_address(void **state)
{
	char name[SOURCE_NAME_MAX + 1];

	(void)state;
	source_name_of("grpc://127.0.0.1:3383", name);
	assert_string_equal(name, "127.0.0.1-3383");
	source_name_of("grpc://[::1]:3383", name);
	assert_string_equal(name, "1-3383");
	source_name_of("grpc://Node.Example.org", name);
	assert_string_equal(name, "node.example.org");
	source_name_of("grpc://[::]", name);
	assert_string_equal(name, "source");
}

static void what_is_written_is_read_again(void **state)
{
	static const char text[] = "# the nodes that we know\n"
				   "\n"
				   "one grpc://10.0.0.1:3383 alice\n"
				   "  two\tgrpcs://[::1]   bob  \n"
				   "three grpc://c:1";
	static const char again[] = "one grpc://10.0.0.1:3383 alice\n"
				    "two grpcs://[::1] bob\n"
				    "three grpc://c:1 three\n";
	AUTO(buf_release) struct buf out = BUF_INIT(SOURCES_TEXT_MAX);
	struct source_entry list[4];
	struct err err = ERR_INIT;
	size_t count = 0;

	(void)state;
	assert_int_equal(source_entries_read(slice_str(text), list, 4, &count, &err), 0);
	assert_int_equal(count, 3);
	assert_int_equal(source_entries_write(list, count, &out), 0);
	buf_u8(&out, 0);
	assert_string_equal((const char *)out.p, again);
}

static void a_line_that_is_none_is_named(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{ "one grpc://a:1 x\nUPPER grpc://b:1 y\n", "line 2" },
		{ "one grpc://a:1 x\n\none grpc://b:1 y\n", "line 3: a second source one" },
		{ "one\n", "no address" },
		{ "one a:1 x\n", "grpc://HOST:PORT" },
		{ "one grpc://a:1 x y\n", "NAME URL OPERATOR" },
		{ "one grpc://a:1 X\n", "operator" },
		{ "a grpc://a:1 x\nb grpc://a:1 x\nc grpc://a:1 x\n", "line 3: more than 2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct source_entry list[2];
		struct err err = ERR_INIT;
		size_t count;

		assert_int_equal(
			source_entries_read(slice_str(rows[i].text), list, 2, &count, &err),
			-EINVAL);
		if (!strstr(err.text, rows[i].says))
			fail_msg("\"%s\" does not say \"%s\"", err.text, rows[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_split_or_refused_with_a_sentence),
		cmocka_unit_test(a_name_comes_from_an_address),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(a_line_that_is_none_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
