#include "core/base/err.h"
#include "tests/support/support.h"

static void setting_gives_the_code_back_and_keeps_the_sentence(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(err_set(&err, -EBADMSG, "node %02x: hash differs", 0x7f), -EBADMSG);
	assert_string_equal(err_text(&err, -EBADMSG), "node 7f: hash differs");
}

static void nobody_listening_is_allowed(void **state)
{
	assert_int_equal(err_set(NULL, -ENOENT, "nothing"), -ENOENT);
	assert_int_equal(err_note(NULL, -ENOENT, "nothing"), -ENOENT);
	assert_string_equal(err_text(NULL, -ENOENT), "No such file or directory");
}

static void a_note_comes_before_what_was_said(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, -EBADMSG, "hash differs");
	assert_int_equal(err_note(&err, -EBADMSG, "node %d", 7), -EBADMSG);
	err_note(&err, -EBADMSG, "shard 3");
	assert_string_equal(err.text, "shard 3: node 7: hash differs");
}

static void a_note_alone_says_what_the_code_means(void **state)
{
	struct err err = ERR_INIT;

	err_note(&err, -ENOENT, "%s", "store");
	assert_string_equal(err.text, "store: No such file or directory");
}

static void a_sentence_may_quote_the_one_it_replaces(void **state)
{
	struct err err = ERR_INIT;

	err_set(&err, -EIO, "inner");
	err_set(&err, -EIO, "outer (%s)", err.text);
	assert_string_equal(err.text, "outer (inner)");
}

static void an_unknown_code_still_has_a_text(void **state)
{
	assert_string_equal(err_text(NULL, -9999), "unknown error");
}

static void a_long_sentence_is_cut_and_never_overruns(void **state)
{
	struct {
		struct err err;
		char after;
	} s = { ERR_INIT, 'x' };
	char text[2 * ERR_TEXT_SIZE];

	memset(text, 'a', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err_set(&s.err, -EIO, "%s", text);
	assert_int_equal(strlen(s.err.text), ERR_TEXT_SIZE - 1);
	err_note(&s.err, -EIO, "front");
	assert_int_equal(strlen(s.err.text), ERR_TEXT_SIZE - 1);
	assert_memory_equal(s.err.text, "front: aaa", 10);
	err_note(&s.err, -EIO, "%s", text);
	assert_int_equal(strlen(s.err.text), ERR_TEXT_SIZE - 1);
	assert_int_equal(s.after, 'x');
}

static void a_cut_never_halves_a_character(void **state)
{
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\xa6\x84" };

	for (size_t c = 0; c < ARRAY_LEN(characters); c++) {
		for (size_t shift = 0; shift < 4; shift++) {
			char text[2 * ERR_TEXT_SIZE] = "";
			struct err err = ERR_INIT;

			memset(text, '.', shift);
			while (strlen(text) < ERR_TEXT_SIZE + 8)
				strcat(text, characters[c]);
			err_set(&err, -EIO, "%s", text);
			assert_true(utf8_valid(slice_str(err.text)));
			assert_true(strlen(err.text) >= ERR_TEXT_SIZE - 4);
			err_note(&err, -EIO, "front");
			assert_true(utf8_valid(slice_str(err.text)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(setting_gives_the_code_back_and_keeps_the_sentence),
		cmocka_unit_test(nobody_listening_is_allowed),
		cmocka_unit_test(a_note_comes_before_what_was_said),
		cmocka_unit_test(a_note_alone_says_what_the_code_means),
		cmocka_unit_test(a_sentence_may_quote_the_one_it_replaces),
		cmocka_unit_test(an_unknown_code_still_has_a_text),
		cmocka_unit_test(a_long_sentence_is_cut_and_never_overruns),
		cmocka_unit_test(a_cut_never_halves_a_character),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
