#include "fs/connection/answers.h"

#include <stdio.h>

#include "tests/support/support.h"

static bool has(struct answers *a, struct asked_as of, const char *name, uint64_t ino)
{
	struct answer got = { .ino = 0 };

	return answers_get(a, &of, name, &got) && got.ino == ino;
}

static void an_answer_is_of_one_folder_one_name_and_one_moment(void **state)
{
	AUTO(answers_freep) struct answers *a = answers_new();
	const struct asked_as of = { 7, 1, 30 };

	assert_false(has(a, of, "a", 5));
	answers_add(a, &of, "a", &(struct answer){ .ino = 5, .size = 1, .mtime = 2 });
	assert_true(has(a, of, "a", 5));
	assert_false(has(a, of, "b", 5));
	assert_false(has(a, of, "", 5));
	assert_false(has(a, of, "ab", 5));
	assert_false(has(a, (struct asked_as){ 8, 1, 30 }, "a", 5));
	assert_false(has(a, (struct asked_as){ 7, 2, 30 }, "a", 5));
	assert_false(has(a, (struct asked_as){ 7, 1, 31 }, "a", 5));
	assert_false(has(a, (struct asked_as){ 0, 0, 0 }, "", 0));

	answers_add(a, &(struct asked_as){ 7, 1, 31 }, "a", &(struct answer){ .ino = 6 });
	assert_true(has(a, (struct asked_as){ 7, 1, 31 }, "a", 6));
	assert_false(has(a, of, "a", 5));
}

static void a_name_that_does_not_fit_is_not_kept(void **state)
{
	AUTO(answers_freep) struct answers *a = answers_new();
	const struct asked_as of = { 7, 1, 30 };
	char name[ANSWER_NAME_SIZE + 1];

	memset(name, 'x', sizeof name);
	name[ANSWER_NAME_SIZE] = 0;
	answers_add(a, &of, name, &(struct answer){ .ino = 5 });
	assert_false(has(a, of, name, 5));
	name[ANSWER_NAME_SIZE - 1] = 0;
	answers_add(a, &of, name, &(struct answer){ .ino = 5 });
	assert_true(has(a, of, name, 5));
}

/* The model is a function: what is there is what was last said of it, whatever was pushed out. */
static void whatever_is_found_is_what_was_said_last(void **state)
{
	AUTO(answers_freep) struct answers *a = answers_new();
	struct random r = random_of_run();
	uint64_t found = 0, stamp = 1;

	for (uint64_t i = rounds(200000); i > 0; i--) {
		struct asked_as of = { 1 + random_below(&r, 4000), random_below(&r, 2), stamp };
		uint64_t name = random_below(&r, 40);
		struct answer got;
		char text[32];

		snprintf(text, sizeof text, "%0*d", 1 + (int)(name % 13), (int)name);
		uint64_t says = of.ino * 1000003 + of.generation * 101 + of.stamp * 7 + name + 1;

		if (answers_get(a, &of, text, &got)) {
			assert_int_equal(got.ino, says);
			assert_int_equal(got.mtime, ~says);
			found++;
		} else {
			answers_add(a, &of, text, &(struct answer){ .ino = says, .mtime = ~says });
			assert_true(has(a, of, text, says));
		}
		if (random_chance(&r, 1) && random_chance(&r, 1))
			stamp++;
	}
	assert_true(found > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_of_one_folder_one_name_and_one_moment),
		cmocka_unit_test(a_name_that_does_not_fit_is_not_kept),
		cmocka_unit_test(whatever_is_found_is_what_was_said_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
