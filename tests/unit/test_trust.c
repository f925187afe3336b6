#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/checkpoint/trust.h"
#include "tests/support/support.h"

static struct trust_row row_of(uint64_t height, uint8_t hash, enum trust_state state)
{
	struct trust_row row = {
		.time = 1700000000,
		.height = height,
		.state = (uint8_t)state,
		.source = TRUST_PIN,
		.who = "somebody",
		.reason = "for a test",
	};

	memset(row.hash, hash, sizeof row.hash);
	return row;
}

static void append(const char *folder, struct trust_row row)
{
	struct err err = ERR_INIT;

	if (trust_append(folder, &row, SLICE_EMPTY, &err) < 0)
		fail_msg("%s", err.text);
}

static int registry(const char *folder, int flags)
{
	char path[4200];

	snprintf(path, sizeof path, "%s/trust/registry", folder);
	int fd = open(path, flags | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static const char *judged(const struct trust *t, uint64_t height, uint8_t byte)
{
	static char text[TRUST_JUDGED_SIZE];
	uint8_t hash[HASH_SIZE];

	memset(hash, byte, sizeof hash);
	return trust_judge(t, 0, height, hash, text);
}

static void no_registry_decides_nothing(void **state)
{
	AUTO(trust_release) struct trust t = { 0 };

	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_int_equal(t.count, 0);
	assert_null(judged(&t, 7, 1));
	assert_null(trust_at(&t, 0, 7));
}

static void a_row_is_read_as_it_was_written(void **state)
{
	AUTO(trust_release) struct trust t = { 0 };
	struct trust_row row = row_of(UINT64_MAX - 1, 0xab, TRUST_DISTRUSTED);

	row.shard = SHARD_MAX - 1;
	row.root_size = ROOT_SIZE_MAX;
	memset(row.root, 0x5c, sizeof row.root);
	row.has_set = true;
	memset(row.set, 0x11, sizeof row.set);
	row.source = TRUST_EVIDENCE;
	memset(row.reason, 'r', sizeof row.reason - 1);
	memset(row.who, 'w', sizeof row.who - 1);
	assert_int_equal(trust_append(*state, &row, slice_str("the block"), NULL), 0);
	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_int_equal(t.count, 1);
	assert_memory_equal(&t.rows[0].hash, row.hash, sizeof row.hash);
	assert_true(t.rows[0].height == row.height && t.rows[0].shard == row.shard &&
		    t.rows[0].time == row.time && t.rows[0].state == row.state &&
		    t.rows[0].source == row.source && t.rows[0].has_set);
	assert_memory_equal(t.rows[0].root, row.root, sizeof row.root);
	assert_memory_equal(t.rows[0].set, row.set, sizeof row.set);
	assert_string_equal(t.rows[0].reason, row.reason);
	assert_string_equal(t.rows[0].who, row.who);
	assert_true(row.evidence[0]);
	assert_string_equal(t.rows[0].evidence, row.evidence);
}

static void the_newest_line_of_a_block_holds(void **state)
{
	AUTO(trust_release) struct trust t = { 0 };

	append(*state, row_of(7, 1, TRUST_TRUSTED));
	append(*state, row_of(9, 3, TRUST_TRUSTED));
	append(*state, row_of(7, 2, TRUST_DISTRUSTED));
	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_null(judged(&t, 7, 1));
	assert_non_null(strstr(judged(&t, 7, 2), "distrusted: for a test"));
	assert_non_null(strstr(judged(&t, 7, 3), "another block of this height is trusted"));
	assert_null(judged(&t, 8, 3));
	append(*state, row_of(7, 1, TRUST_SUPERSEDED));
	assert_int_equal(trust_refresh(*state, &t, NULL), 0);
	assert_null(judged(&t, 7, 3));
	assert_null(judged(&t, 7, 1));
	append(*state, row_of(7, 2, TRUST_TRUSTED));
	assert_int_equal(trust_refresh(*state, &t, NULL), 0);
	assert_null(judged(&t, 7, 2));
	assert_non_null(judged(&t, 7, 1));
	assert_null(judged(&t, 9, 3));
	assert_int_equal(t.count, 5);
}

static void a_line_that_was_cut_short_is_none_and_makes_way(void **state)
{
	append(*state, row_of(7, 1, TRUST_TRUSTED));
	append(*state, row_of(8, 1, TRUST_TRUSTED));
	AUTO(base_closep) int fd = registry(*state, O_RDWR);
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (off_t size = st.st_size - 1; size >= st.st_size / 2; size--) {
		AUTO(trust_release) struct trust t = { 0 };

		assert_int_equal(ftruncate(fd, size), 0);
		assert_int_equal(trust_load(*state, &t, NULL), 0);
		assert_int_equal(t.count, 1);
	}
	append(*state, row_of(9, 1, TRUST_TRUSTED));
	AUTO(trust_release) struct trust t = { 0 };

	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_int_equal(t.count, 2);
	assert_true(t.rows[1].height == 9);
}

/* Any byte of a whole line: whoever asks is refused, and told which line. */
static void a_changed_byte_is_found(void **state)
{
	struct stat st;

	append(*state, row_of(7, 1, TRUST_DISTRUSTED));
	append(*state, row_of(8, 1, TRUST_TRUSTED));
	AUTO(base_closep) int fd = registry(*state, O_RDWR);

	assert_int_equal(fstat(fd, &st), 0);
	for (off_t at = 0; at < st.st_size; at++) {
		AUTO(trust_release) struct trust t = { 0 };
		struct err err = ERR_INIT;
		char was, now;

		assert_int_equal(pread(fd, &was, 1, at), 1);
		now = (char)(was ^ 1);
		assert_int_equal(pwrite(fd, &now, 1, at), 1);
		int rc = trust_load(*state, &t, &err);

		/* Without the last line end it is a line that was cut short. */
		if (at == st.st_size - 1)
			assert_true(rc == 0 && t.count == 1);
		else
			assert_int_equal(rc, -EUCLEAN);
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
}

static void a_field_that_would_not_be_read_again_is_refused(void **state)
{
	AUTO(trust_release) struct trust t = { 0 };
	struct trust_row row = row_of(7, 1, TRUST_TRUSTED);

	snprintf(row.reason, sizeof row.reason, "two\nlines");
	assert_int_equal(trust_append(*state, &row, SLICE_EMPTY, NULL), -EINVAL);
	snprintf(row.reason, sizeof row.reason, "two\tfields");
	assert_int_equal(trust_append(*state, &row, SLICE_EMPTY, NULL), -EINVAL);
	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_int_equal(t.count, 0);
}

static void lines_of_several_processes_stay_whole(void **state)
{
	enum { PROCESSES = 4, LINES = 40 };
	AUTO(trust_release) struct trust t = { 0 };
	size_t seen[PROCESSES] = { 0 };
	int status;

	for (uint8_t p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			for (uint64_t i = 1; i <= LINES; i++) {
				struct trust_row row = row_of(i, p, TRUST_TRUSTED);

				if (trust_append(*state, &row, SLICE_EMPTY, NULL) < 0)
					_exit(1);
			}
			_exit(0);
		}
	for (int p = 0; p < PROCESSES; p++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(trust_load(*state, &t, NULL), 0);
	assert_int_equal(t.count, PROCESSES * LINES);
	for (size_t i = 0; i < t.count; i++) /* each process's own are in order */
		assert_int_equal(t.rows[i].height, ++seen[t.rows[i].hash[0]]);
}

static void memory_may_be_short(void **state)
{
	append(*state, row_of(7, 1, TRUST_DISTRUSTED));
	FOR_EACH_ALLOC_FAULT {
		AUTO(trust_release) struct trust t = { 0 };
		int rc = trust_load(*state, &t, NULL);

		assert_true(rc == -ENOMEM || (rc == 0 && t.count == 1));
	}
}

static int begin(void **state)
{
	static char folder[64];

	snprintf(folder, sizeof folder, "/tmp/chainfs-trust.XXXXXX");
	*state = mkdtemp(folder);
	return *state ? 0 : -1;
}

static int end(void **state)
{
	return files_remove_tree(AT_FDCWD, *state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_registry_decides_nothing),
		TEST(a_row_is_read_as_it_was_written),
		TEST(the_newest_line_of_a_block_holds),
		TEST(a_line_that_was_cut_short_is_none_and_makes_way),
		TEST(a_changed_byte_is_found),
		TEST(a_field_that_would_not_be_read_again_is_refused),
		TEST(lines_of_several_processes_stay_whole),
		TEST(memory_may_be_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
