/* The file of a pin: whatever one half of it becomes, it tells its height and never another, and is
 * found. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/checkpoint/pin_file.h"
#include "tests/support/store_fixture.h"

#define HEIGHT UINT64_C(123456)
#define LINE   38 /* bytes */

static char folder[128];
static int parent = -1, fd = -1;
static uint8_t whole[PIN_FILE_SIZE];

static void put_bytes(const void *bytes, size_t n)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(pwrite(fd, bytes, n, 0), n);
}

static int make_file(void **state)
{
	fixture_folder(folder);
	parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = openat(parent, "kept", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	pin_file_text("kept", HEIGHT, whole);
	put_bytes(whole, sizeof whole);
	return 0;
}

static int drop_file(void **state)
{
	base_closep(&fd);
	base_closep(&parent);
	return files_remove_tree(AT_FDCWD, folder);
}

static void expect(int wanted)
{
	struct err err = ERR_INIT;
	uint64_t height = 0;
	int is = pin_file_read(fd, "kept", &height, &err);

	if (is != wanted || (is >= 0 && height != HEIGHT))
		fail_msg("%d, not %d: height %" PRIu64 ", %s", is, wanted, height, err.text);
}

static void expect_mended(void)
{
	uint8_t is[PIN_FILE_SIZE + 1];
	struct err err = ERR_INIT;

	if (pin_file_mend(fd, "kept", HEIGHT, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(pread(fd, is, sizeof is, 0), PIN_FILE_SIZE);
	assert_memory_equal(is, whole, PIN_FILE_SIZE);
	expect(PIN_FILE_WHOLE);
}

static void a_flip_of_any_bit_is_found_and_tells_no_other_height(void **state)
{
	expect(PIN_FILE_WHOLE);
	for (size_t bit = 0; bit < 8 * PIN_FILE_SIZE; bit++) {
		uint8_t byte = whole[bit / 8] ^ (uint8_t)(1u << bit % 8);

		assert_int_equal(pwrite(fd, &byte, 1, (off_t)(bit / 8)), 1);
		expect(PIN_FILE_HURT);
		/* Each byte of the lines is mended, of the rest some. */
		if (bit / 8 % PIN_HALF_SIZE < LINE ? bit % 8 == 3 : bit % 4001 == 0)
			expect_mended();
		else
			assert_int_equal(pwrite(fd, &whole[bit / 8], 1, (off_t)(bit / 8)), 1);
	}
	expect(PIN_FILE_WHOLE);
}

static void bytes_side_by_side_never_take_both_lines(void **state)
{
	struct random r = random_of_run();

	for (unsigned i = 0; i < 20000; i++) {
		uint8_t other[512];
		size_t n = 1 + random_below(&r, sizeof other);
		size_t at = random_below(&r, 2) ? random_below(&r, PIN_FILE_SIZE - n)
						: PIN_HALF_SIZE - n + random_below(&r, n + LINE);

		for (size_t k = 0; k < n; k++)
			other[k] = whole[at + k] ^ (uint8_t)(1 + random_below(&r, 255));
		assert_int_equal(pwrite(fd, other, n, (off_t)at), n);
		expect(PIN_FILE_HURT);
		assert_int_equal(pwrite(fd, whole + at, n, (off_t)at), n);
	}
	expect(PIN_FILE_WHOLE);
}

static void a_file_of_any_other_size_tells_the_same_or_nothing(void **state)
{
	static const uint8_t more[512];

	for (size_t n = 0; n < PIN_FILE_SIZE; n++) {
		put_bytes(whole, n);
		expect(n < LINE ? -EBADMSG : PIN_FILE_HURT);
	}
	expect_mended();
	assert_int_equal(pwrite(fd, more, sizeof more, PIN_FILE_SIZE), sizeof more);
	expect(PIN_FILE_HURT);
	expect_mended();
}

static void with_both_lines_damaged_nothing_tells(void **state)
{
	uint8_t other[PIN_FILE_SIZE];

	for (size_t first = 0; first < LINE; first++)
		for (size_t second = 0; second < LINE; second++) {
			memcpy(other, whole, sizeof other);
			other[first] ^= 1;
			other[PIN_HALF_SIZE + second] ^= 1;
			put_bytes(other, sizeof other);
			expect(-EBADMSG);
		}
	expect_mended(); /* by who knows */
}

static void two_heights_are_none(void **state)
{
	uint8_t other[PIN_FILE_SIZE];

	pin_file_text("kept", HEIGHT + 1, other);
	memcpy(other, whole, PIN_HALF_SIZE);
	put_bytes(other, sizeof other);
	expect(-EBADMSG);
}

static void the_file_of_another_pin_tells_nothing(void **state)
{
	uint8_t other[PIN_FILE_SIZE];

	pin_file_text("kepu", HEIGHT, other);
	put_bytes(other, sizeof other);
	expect(-EBADMSG);
	pin_file_text("kept", 0, other); /* no height is 0 */
	put_bytes(other, sizeof other);
	expect(-EBADMSG);
}

static void a_file_of_an_older_program_is_read(void **state)
{
	static const char *const damaged[] = {
		"",    "123456",    "x\n",      "-1\n",
		"0\n", "0123456\n", "12\n13\n", "99999999999999999999\n",
	};

	put_bytes("123456\n", 7);
	expect(PIN_FILE_OLD);
	expect_mended();
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		put_bytes(damaged[i], strlen(damaged[i]));
		expect(-EBADMSG);
	}
}

static void mending_keeps_when_the_pin_was_made(void **state)
{
	const struct timespec made[2] = { { 1600000000, 1 }, { 1600000000, 123456789 } };
	struct stat st;

	assert_int_equal(pwrite(fd, "x", 1, PIN_HALF_SIZE), 1);
	assert_int_equal(futimens(fd, made), 0);
	expect(PIN_FILE_HURT);
	expect_mended();
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mtim.tv_sec, made[1].tv_sec);
	assert_int_equal(st.st_mtim.tv_nsec, made[1].tv_nsec);
}

static void what_is_no_plain_file_is_refused(void **state)
{
	struct err err = ERR_INIT;

	assert_int_equal(symlinkat("kept", parent, "link"), 0);
	assert_int_equal(mkfifoat(parent, "pipe", 0600), 0);
	assert_int_equal(mkdirat(parent, "folder", 0700), 0);
	assert_int_equal(pin_file_open(parent, "link", false, &err), -EBADMSG);
	assert_int_equal(pin_file_open(parent, "pipe", false, &err), -EBADMSG);
	assert_int_equal(pin_file_open(parent, "folder", true, &err), -EBADMSG);
	assert_int_equal(pin_file_open(parent, "none", false, &err), -ENOENT);
}

#define WITH_FILE(f) cmocka_unit_test_setup_teardown(f, make_file, drop_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FILE(a_flip_of_any_bit_is_found_and_tells_no_other_height),
		WITH_FILE(bytes_side_by_side_never_take_both_lines),
		WITH_FILE(a_file_of_any_other_size_tells_the_same_or_nothing),
		WITH_FILE(with_both_lines_damaged_nothing_tells),
		WITH_FILE(two_heights_are_none),
		WITH_FILE(the_file_of_another_pin_tells_nothing),
		WITH_FILE(a_file_of_an_older_program_is_read),
		WITH_FILE(mending_keeps_when_the_pin_was_made),
		WITH_FILE(what_is_no_plain_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
