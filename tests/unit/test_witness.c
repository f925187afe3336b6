/* What stands beside a database: whoever flips a byte of it is found, and so is a database that
 * lost the end of what was acknowledged. */
#include "core/store/inside.h"
#include "core/store/witness.h"
#include "tests/support/store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static struct witness some(void)
{
	struct witness w = { .sequence = 77, .shard_count = 2 };

	w.shards[1] = (struct witness_shard){
		.known = 9, .begins = 3, .base_height = 4, .hyper_on = true
	};
	return w;
}

static void flip(const char *folder, const char *name, long at)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "r+b");

	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int byte = fgetc(f);

	fseek(f, at, SEEK_SET);
	fputc(byte ^ 16, f);
	fclose(f);
}

static void what_was_written_is_read_and_a_flip_says_nothing(void **state)
{
	AUTO(buf_release) struct buf row = BUF_INIT(1u << 20);
	struct witness w = some(), got;
	char folder[128];

	(void)state;
	fixture_folder(folder);
	assert_int_equal(witness_read(folder, &got), 0);
	witness_write(folder, &w);
	assert_int_equal(witness_read(folder, &got), 1);
	assert_memory_equal(&w, &got, sizeof w);
	for (long at = 0; at < 100; at++) {
		flip(folder, "acknowledged", at);
		assert_int_equal(witness_read(folder, &got), 0);
		flip(folder, "acknowledged", at);
	}
	assert_int_equal(witness_read(folder, &got), 1);

	assert_int_equal(identity_read(folder, &row), 0);
	assert_int_equal(identity_write(folder, slice_str("who it is"), false, NULL), 0);
	assert_int_equal(identity_read(folder, &row), 1);
	assert_true(slice_eq(buf_slice(&row), slice_str("who it is")));
	flip(folder, "identity", 20);
	buf_clear(&row);
	assert_int_equal(identity_read(folder, &row), 0);
	fixture_remove(folder);
}

static void a_list_of_files_that_lost_its_end_is_damaged(void **state)
{
	char folder[128], path[256];
	struct witness w = some();
	struct manifest m;
	struct err err = ERR_INIT;

	(void)state;
	fixture_folder(folder);
	snprintf(path, sizeof path, "%s/db", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof path, "%s/db/CURRENT", folder);
	FILE *f = fopen(path, "w");

	fputs("MANIFEST-000012\n", f);
	fclose(f);
	snprintf(path, sizeof path, "%s/db/MANIFEST-000012", folder);
	f = fopen(path, "w");
	fputs("one edit, ", f);
	fflush(f);
	manifest_open(&m, folder);
	manifest_follow(&m, &w);
	assert_int_equal(w.manifest_size, 10);
	fputs("another edit", f);
	fflush(f);
	/* It grew since: what was there is there. */
	assert_int_equal(witness_manifest(folder, &w, &err), 0);
	manifest_follow(&m, &w);
	assert_int_equal(w.manifest_size, 22);
	assert_int_equal(witness_manifest(folder, &w, &err), 0);
	fclose(f);
	flip(folder, "db/MANIFEST-000012", 15);
	assert_int_equal(witness_manifest(folder, &w, &err), -EBADMSG);
	flip(folder, "db/MANIFEST-000012", 15);
	assert_int_equal(truncate(path, 21), 0);
	assert_int_equal(witness_manifest(folder, &w, &err), -EBADMSG);
	/* One that a later start began is another. */
	w.manifest = 11;
	assert_int_equal(witness_manifest(folder, &w, &err), 0);
	manifest_close(&m);
	fixture_remove(folder);
}

static void a_database_behind_what_was_acknowledged_is_lost_and_its_heights_are_gaps(void **state)
{
	struct fixture f;
	struct witness w;
	char folder[192];

	(void)state;
	fixture_open(&f);
	snprintf(folder, sizeof folder, "%s/networks/net", f.path);
	fixture_reopen(&f);
	assert_false(f.network->lost);
	assert_int_equal(witness_read(folder, &w), 1);
	store_closep(&f.store);
	w.sequence += 5;
	w.manifest = 0;
	w.shard_count = FIXTURE_SHARDS;
	w.shards[1].known = 12;
	witness_write(folder, &w);
	trace_set_sink(fixture_silence, NULL);
	for (int i = 0; i < 2; i++) { /* until somebody commits */
		fixture_reopen(&f);
		assert_true(f.network->lost);
		struct view *v = network_view_get(f.network);

		assert_int_equal(v->shards[1].known, 12);
		view_putp(&v);
	}
	struct commit *c = NULL;

	assert_int_equal(commit_new(f.network, &c), 0);
	assert_int_equal(commit_apply(c, NULL), 0);
	commit_freep(&c);
	fixture_reopen(&f);
	assert_false(f.network->lost);
	struct view *v = network_view_get(f.network);

	assert_int_equal(v->shards[1].known, 12);
	view_putp(&v);
	trace_set_sink(NULL, NULL);
	fixture_release(&f);
}

static void a_damaged_format_file_is_written_anew_where_the_networks_vouch(void **state)
{
	struct fixture f;
	struct store_options options = fixture_options();
	struct err err = ERR_INIT;
	uint64_t format;
	char file[256];

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	fixture_open(&f);
	store_closep(&f.store);
	options.create = false;
	flip(f.path, "chainfs-store", 9);
	assert_int_equal(store_open(f.path, &options, &f.store, &err), -EPROTONOSUPPORT);
	options.mend = true;
	assert_int_equal(store_open(f.path, &options, &f.store, &err), 0);
	/* Somebody holds the store: what lies there is his. */
	struct store *other = NULL;

	flip(f.path, "chainfs-store", 9);
	assert_int_equal(store_open(f.path, &options, &other, &err), -EBUSY);
	assert_int_equal(store_format(f.path, &format, NULL), -EPROTONOSUPPORT);
	store_closep(&f.store);
	assert_int_equal(store_open(f.path, &options, &f.store, &err), 0);
	assert_int_equal(store_format(f.path, &format, NULL), 1);
	store_closep(&f.store);
	flip(f.path, "chainfs-store", 9);
	flip(f.path, "networks/net/identity", 9);
	assert_int_equal(store_open(f.path, &options, &f.store, &err), -EPROTONOSUPPORT);
	flip(f.path, "networks/net/identity", 9);
	options.mend = false;
	flip(f.path, "chainfs-store", 9);
	assert_int_equal(store_open(f.path, &options, &f.store, &err), 0);
	snprintf(file, sizeof file, "%s/chainfs-store", f.path);
	assert_int_equal(access(file, F_OK), 0);
	trace_set_sink(NULL, NULL);
	fixture_release(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_and_a_flip_says_nothing),
		cmocka_unit_test(a_list_of_files_that_lost_its_end_is_damaged),
		cmocka_unit_test(
			a_database_behind_what_was_acknowledged_is_lost_and_its_heights_are_gaps),
		cmocka_unit_test(a_damaged_format_file_is_written_anew_where_the_networks_vouch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
