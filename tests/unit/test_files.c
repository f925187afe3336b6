/* Files and folders as wholes. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "tests/support/support.h"

static char folder[64];
static int at = -1; /* the folder */

static int make_folder(void **state)
{
	snprintf(folder, sizeof folder, "/tmp/chainfs-files-XXXXXX");
	assert_non_null(mkdtemp(folder));
	at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(at >= 0);
	return 0;
}

static int drop_folder(void **state)
{
	base_closep(&at);
	return files_remove_tree(AT_FDCWD, folder);
}

static void put(const char *name, const char *text)
{
	AUTO(base_closep) int fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL, 0666);

	assert_true(fd >= 0);
	assert_int_equal(files_write(fd, slice_str(text)), 0);
}

static int truncate_at(const char *name)
{
	AUTO(base_closep) int fd = openat(at, name, O_WRONLY | O_TRUNC);

	return fd < 0 ? -1 : 0;
}

static bool is_there(const char *name)
{
	return faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void what_was_written_is_read_up_to_its_bound(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 16);
	struct err err = ERR_INIT;
	char path[128];

	put("file", "words");
	snprintf(path, sizeof path, "%s/file", folder);
	assert_int_equal(files_read(path, 5, &text, &err), 0);
	assert_true(slice_eq(buf_slice(&text), slice_str("words")));
	buf_clear(&text);
	assert_int_equal(files_read(path, 4, &text, &err), -EMSGSIZE);
	assert_non_null(strstr(err.text, "/file: larger than 4 bytes"));
	buf_clear(&text);
	assert_int_equal(files_read_plain(at, "none", 5, &text, &err), -ENOENT);
	assert_string_equal(err.text, "none: No such file or directory");
}

static void a_link_is_followed_by_its_path_alone(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 16);
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;
	char path[128];

	put("file", "words");
	assert_int_equal(symlinkat("file", at, "link"), 0);
	snprintf(path, sizeof path, "%s/link", folder);
	assert_int_equal(files_read(path, 5, &text, NULL), 0);
	assert_int_equal(files_read_plain(at, "link", 5, &text, NULL), -EBADMSG);
	assert_int_equal(files_hold(at, "link", &m), -EBADMSG);
}

static void plain_files_alone_are_held_and_read_of_a_folder(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 16);
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;

	put("empty", "");
	put("file", "words");
	assert_int_equal(mkdirat(at, "folder", 0777), 0);
	assert_int_equal(mkfifoat(at, "pipe", 0666), 0);
	assert_int_equal(files_hold(at, "empty", &m), 0);
	assert_int_equal(m.bytes.n, 0);
	assert_int_equal(files_read_plain(at, "folder", 5, &text, NULL), -EBADMSG);
	assert_int_equal(files_read_plain(at, "pipe", 5, &text, NULL), -EBADMSG); /* no wait */
	assert_int_equal(files_read_plain(at, "file", 5, &text, NULL), 0);
	assert_int_equal(files_hold(at, "folder", &m), -EBADMSG);
	assert_int_equal(files_hold(at, "pipe", &m), -EBADMSG);
	assert_int_equal(files_hold(at, "none", &m), -ENOENT);
	assert_int_equal(files_hold(at, "file", &m), 0);
	assert_true(slice_eq(m.bytes, slice_str("words")));
	/* What is held stays, whatever becomes of the file. */
	assert_int_equal(truncate_at("file"), 0);
	assert_true(slice_eq(m.bytes, slice_str("words")));
}

static void a_folder_goes_with_all_below_and_nothing_beside(void **state)
{
	assert_int_equal(mkdirat(at, "tree", 0777), 0);
	assert_int_equal(mkdirat(at, "tree/a", 0777), 0);
	assert_int_equal(mkdirat(at, "tree/a/b", 0777), 0);
	assert_int_equal(mkdirat(at, "beside", 0777), 0);
	put("tree/a/b/file", "words");
	put("tree/.hidden", "words");
	put("beside/file", "words");
	assert_int_equal(symlinkat("../beside", at, "tree/link"), 0);
	assert_int_equal(files_remove_tree(at, "tree"), 0);
	assert_false(is_there("tree"));
	assert_true(is_there("beside/file"));
	assert_int_equal(files_remove_tree(at, "tree"), 0);
	assert_int_equal(files_remove_tree(at, "beside/file"), 0);
	assert_false(is_there("beside/file"));
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, drop_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(what_was_written_is_read_up_to_its_bound),
		IN_FOLDER(a_link_is_followed_by_its_path_alone),
		IN_FOLDER(plain_files_alone_are_held_and_read_of_a_folder),
		IN_FOLDER(a_folder_goes_with_all_below_and_nothing_beside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
