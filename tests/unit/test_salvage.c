/* A database whose list of files is gone, put together of its files, some of which say the same. */
#include "core/base/files.h"
#include "core/store/db.h"
#include "core/store/salvage.h"
#include "tests/support/store_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROWS 300u

#define PATH_SIZE 512

static char root[128];

static void path_of(char out[PATH_SIZE], const char *folder, const char *file)
{
	snprintf(out, PATH_SIZE, "%s/%s%s%s", root, folder, file[0] ? "/" : "", file);
}

/* Files whose names end so, into a folder that is made where it is not there. How many. */
static unsigned copy(const char *from, const char *to, const char *ending)
{
	char source[PATH_SIZE], target[PATH_SIZE];
	unsigned count = 0;
	const struct dirent *e;

	path_of(source, from, "");
	path_of(target, to, "");
	(void)!mkdir(target, 0700);
	AUTO(files_dir_closep) DIR *dir = opendir(source);

	assert_non_null(dir);
	while ((e = readdir(dir))) {
		AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 24);
		size_t n = strlen(e->d_name), tail = strlen(ending);

		if (e->d_name[0] == '.' || n < tail || strcmp(e->d_name + n - tail, ending) != 0)
			continue;
		path_of(source, from, e->d_name);
		path_of(target, to, e->d_name);
		assert_int_equal(files_read_plain(AT_FDCWD, source, 1u << 24, &bytes, NULL), 0);
		AUTO(base_closep) int fd = open(target, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(files_write(fd, buf_slice(&bytes)), 0);
		count++;
	}
	return count;
}

static struct db *opened(const char *folder, struct db_cache *cache, bool create)
{
	struct db_options o = { .cache = cache, .create = create };
	struct err err = ERR_INIT;
	struct db *db = NULL;
	char path[PATH_SIZE];

	path_of(path, folder, "");
	if (db_open(path, &o, &db, &err) < 0)
		fail_msg("%s", err.text);
	return db;
}

static void put_rows(struct db *db, unsigned from, unsigned end)
{
	AUTO(db_batch_freep) struct db_batch *b = NULL;

	assert_int_equal(db_batch_new(db, &b), 0);
	for (unsigned i = from; i < end; i++) {
		char key[16];

		snprintf(key, sizeof key, "row%06u", i);
		db_batch_put(b, FAMILY_META, slice_str(key), slice_str(key));
	}
	assert_int_equal(db_write(db, b, NULL), 0);
}

static unsigned rows_of(struct db *db)
{
	AUTO(buf_release) struct buf value = BUF_INIT(64);
	unsigned count = 0;

	for (unsigned i = 0; i < ROWS; i++) {
		char key[16];

		snprintf(key, sizeof key, "row%06u", i);
		buf_clear(&value);
		count += db_get(db, FAMILY_META, slice_str(key), &value, NULL) == 1;
	}
	return count;
}

/* As a kill leaves it between the two: rows in a log, and in the table that it was written out to. */
static void a_log_beside_its_table_loses_nothing(void **state)
{
	AUTO(db_cache_freep) struct db_cache *cache = db_cache_new(1u << 20);
	struct err err = ERR_INIT;
	struct db *db = opened("first", cache, true);
	char path[PATH_SIZE];

	(void)state;
	put_rows(db, 0, ROWS / 2);
	put_rows(db, ROWS / 2, ROWS);
	copy("first", "logged", "");
	db_closep(&db);
	assert_true(copy("logged", "both", ".log") > 0);
	db = opened("logged", cache, false); /* which writes its log out */
	assert_true(copy("logged", "both", ".sst") > 0);
	db_closep(&db);

	path_of(path, "both", "");
	uint64_t newest = salvage_newest(path);

	assert_true(newest > 0);
	if (db_salvage(path, &err) < 0)
		fail_msg("%s", err.text);
	db = opened("both", cache, false);
	assert_int_equal(rows_of(db), ROWS);
	db_closep(&db);
}

static void touch(const char *folder, const char *name)
{
	char path[PATH_SIZE];

	path_of(path, folder, "");
	(void)!mkdir(path, 0700);
	path_of(path, folder, name);
	AUTO(base_closep) int fd = open(path, O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
}

static bool is_there(const char *folder, const char *name)
{
	char path[PATH_SIZE];

	path_of(path, folder, name);
	return access(path, F_OK) == 0;
}

static void the_one_that_can_be_spared_goes(void **state)
{
	char path[PATH_SIZE];

	(void)state;
	path_of(path, "named", "");
	assert_int_equal(salvage_newest(path), 0);
	touch("named", "000031.sst");
	touch("named", "000039.sst");
	touch("named", "000040.log");
	assert_int_equal(salvage_newest(path), 39);
	/* Others speak of nothing, or of what is not there. */
	assert_false(salvage_drop(path, "Corruption: bad magic", 39));
	assert_false(salvage_drop(path, "L0 file #", 39));
	assert_false(salvage_drop(path, "L0 file #39 with seqno 1 2", 39));
	assert_false(salvage_drop(path, "L0 file #7 with seqno 1 2 vs. file #5 with", 39));
	/* Of tables the newer, of a log's and a table the table. */
	assert_true(salvage_drop(path, "L0 file #39 with seqno 1 2 vs. file #31 with", 39));
	assert_true(is_there("named", "000031.sst") && !is_there("named", "000039.sst"));
	touch("named", "000039.sst");
	assert_true(salvage_drop(path, "L0 file #39 with seqno 1 2 vs. file #31 with", 31));
	assert_true(!is_there("named", "000031.sst") && is_there("named", "000039.sst"));
}

static int begin(void **state)
{
	(void)state;
	fixture_folder(root);
	return 0;
}

static int end(void **state)
{
	(void)state;
	fixture_remove(root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_log_beside_its_table_loses_nothing, begin, end),
		cmocka_unit_test_setup_teardown(the_one_that_can_be_spared_goes, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
