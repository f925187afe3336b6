#include "fs/connection/opened.h"
#include "tests/support/store_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

static struct opened *table(void)
{
	struct opened *o = NULL;

	assert_int_equal(opened_new(NULL, &o, NULL), 0);
	return o;
}

static int some_file(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static int first(struct opened *o, uint64_t ino, int fd)
{
	struct opened_file file = { .size = ino + 1, .time = 7 };

	return opened_first(o, ino, fd, true, &file, NULL);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void a_file_is_one_record_however_often_it_is_open(void **state)
{
	AUTO(opened_freep) struct opened *o = table();
	struct opened_file file;
	int fd = some_file();

	assert_int_equal(opened_again(o, 5, &file), -ENOENT);
	assert_int_equal(first(o, 5, fd), 0);
	for (int i = 0; i < 100000; i++)
		assert_int_equal(opened_again(o, 5, &file), 0);
	assert_int_equal(file.fd, fd);
	assert_int_equal(file.size, 6);
	assert_int_equal(file.time, 7);
	assert_int_equal(file.backing, 0); /* nobody said that anything is passed through */
	assert_int_equal(opened_count(o), 1);
	for (int i = 0; i < 100000; i++)
		opened_release(o, 5, 0);
	assert_true(is_open(fd));
	opened_release(o, 5, 0);
	assert_false(is_open(fd));
	assert_int_equal(opened_get(o, 5, &file), -ENOENT);
}

static void a_release_of_what_nobody_knows_changes_nothing(void **state)
{
	AUTO(opened_freep) struct opened *o = table();
	struct opened_file file;

	opened_release(o, 9, 0);
	assert_int_equal(first(o, 5, some_file()), 0);
	opened_release(o, 9, 0);
	assert_int_equal(opened_get(o, 5, &file), 0);
	assert_int_equal(opened_count(o), 1);
}

static void two_that_open_first_share_the_descriptor_of_one(void **state)
{
	AUTO(opened_freep) struct opened *o = table();
	int one = some_file(), other = some_file();

	assert_int_equal(first(o, 5, one), 0);
	assert_int_equal(first(o, 5, other), 0);
	assert_true(is_open(one));
	assert_false(is_open(other));
	opened_release(o, 5, 0);
	assert_true(is_open(one));
	opened_release(o, 5, 0);
	assert_false(is_open(one));
}

static void over_the_bound_no_more_files_and_nothing_leaks(void **state)
{
	AUTO(opened_freep) struct opened *o = table();
	struct err err = ERR_INIT;
	struct opened_file file = { .size = 0 };

	/* No descriptor: they stand for files that are passed through, or of a process before. */
	for (uint64_t ino = 1; ino <= OPENED_MAX; ino++)
		assert_int_equal(first(o, ino << 45, -1), 0);
	int fd = some_file();

	assert_int_equal(opened_first(o, 3, fd, true, &file, &err), -ENFILE);
	assert_non_null(strstr(err.text, "open"));
	assert_false(is_open(fd));
	assert_int_equal(opened_again(o, UINT64_C(1) << 45, &file), 0);
	opened_release(o, UINT64_C(2) << 45, 0);
	assert_int_equal(first(o, 3, some_file()), 0);
}

/* Whatever the order of opens and releases, the table counts as an array does. */
static void it_counts_like_an_array(void **state)
{
	AUTO(opened_freep) struct opened *o = table();
	enum { FILES = 500 };
	unsigned opens[FILES] = { 0 };
	uint64_t random = 88172645463325252u;

	for (int i = 0; i < 200000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		size_t n = random % FILES;
		uint64_t ino = (n + 1) << (n % 3 * 20); /* of which some share a place */
		struct opened_file file;

		if (random >> 40 & 1) {
			if (opened_again(o, ino, &file) < 0)
				assert_int_equal(first(o, ino, -1), 0);
			opens[n]++;
		} else {
			opened_release(o, ino, 0);
			opens[n] -= opens[n] > 0;
		}
		assert_int_equal(opened_get(o, ino, &file), opens[n] ? 0 : -ENOENT);
		assert_true(!opens[n] || file.size == ino + 1);
	}
	size_t count = 0;

	for (size_t n = 0; n < FILES; n++)
		count += opens[n] > 0;
	assert_int_equal(opened_count(o), count);
}

static void a_process_after_us_knows_all_but_the_descriptors(void **state)
{
	AUTO(base_freep) struct opened_records *kept = calloc(1, sizeof *kept);
	struct opened *before = NULL;
	struct opened_file file;
	int fd = some_file();

	assert_int_equal(opened_new(kept, &before, NULL), 0);
	assert_int_equal(first(before, 5, fd), 0);
	assert_int_equal(opened_again(before, 5, &file), 0);
	opened_freep(&before);
	assert_false(is_open(fd));
	AUTO(opened_freep) struct opened *o = NULL;
	assert_int_equal(opened_new(kept, &o, NULL), 0);
	assert_int_equal(opened_count(o), 1);
	assert_int_equal(opened_get(o, 5, &file), 0);
	assert_int_equal(file.fd, -1);
	assert_int_equal(file.size, 6);
	assert_int_equal(first(o, 6, some_file()), 0);
	opened_release(o, 5, 0);
	assert_int_equal(opened_count(o), 2);
	opened_release(o, 5, 0);
	assert_int_equal(opened_count(o), 1);
	assert_int_equal(opened_get(o, 6, &file), 0);
}

/* Whoever died between a release and its answer did it; the next process is asked again. */
static void a_release_that_is_replayed_counts_once(void **state)
{
	AUTO(base_freep) struct opened_records *kept = calloc(1, sizeof *kept);
	struct opened_file file;

	for (int process = 0; process < 3; process++) {
		AUTO(opened_freep) struct opened *o = NULL;

		assert_int_equal(opened_new(kept, &o, NULL), 0);
		if (process == 0) {
			assert_int_equal(first(o, 5, some_file()), 0);
			assert_int_equal(opened_again(o, 5, &file), 0);
		}
		opened_release(o, 5, 77);
		assert_int_equal(opened_count(o), 1);
		assert_int_equal(kept->records[OPENED_MAX - 1].opens, 1);
	}
	AUTO(opened_freep) struct opened *o = NULL;
	assert_int_equal(opened_new(kept, &o, NULL), 0);
	opened_release(o, 5, 78);
	assert_int_equal(opened_count(o), 0);
	assert_int_equal(first(o, 5, some_file()), 0);
	opened_release(o, 5, 78);
	assert_int_equal(opened_count(o), 0);
}

/* Killed between the last count and the end of the record: the release comes again. */
static void a_record_that_nobody_has_open_goes_with_its_release(void **state)
{
	AUTO(base_freep) struct opened_records *kept = calloc(1, sizeof *kept);

	kept->records[3] = (struct opened_record){ .ino = 5, .size = 6, .released = 77 };
	AUTO(opened_freep) struct opened *o = NULL;
	assert_int_equal(opened_new(kept, &o, NULL), 0);
	assert_int_equal(opened_count(o), 1);
	opened_release(o, 5, 77);
	assert_int_equal(opened_count(o), 0);
	assert_int_equal(kept->records[3].ino, 0);
}

static void allocations_that_fail_leave_nothing(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(opened_freep) struct opened *o = NULL;
		int rc = opened_new(NULL, &o, NULL);

		assert_true(rc == 0 ? o != NULL : rc == -ENOMEM && !o);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_one_record_however_often_it_is_open),
		cmocka_unit_test(a_release_of_what_nobody_knows_changes_nothing),
		cmocka_unit_test(two_that_open_first_share_the_descriptor_of_one),
		cmocka_unit_test(over_the_bound_no_more_files_and_nothing_leaks),
		cmocka_unit_test(it_counts_like_an_array),
		cmocka_unit_test(a_process_after_us_knows_all_but_the_descriptors),
		cmocka_unit_test(a_release_that_is_replayed_counts_once),
		cmocka_unit_test(a_record_that_nobody_has_open_goes_with_its_release),
		cmocka_unit_test(allocations_that_fail_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
