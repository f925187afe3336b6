/* Archives that are too big to keep here: recordings, and the differential archives that put random
 * and hostile messages through the chain's own engine.
 * CHAINFS_ARCHIVES: folders of archives, with colons. */
#include <dirent.h>
#include <sys/stat.h>

#include "core/chain/snapchain/replay.h"
#include "core/sync/archive.h"
#include "tests/unit/test_snapchain.h"

static void replay_shard(struct archive *a, const struct chain_params *p, const char *folder,
			 uint32_t shard)
{
	struct state        *st = NULL;
	struct replay       *r = NULL;
	struct err           err = ERR_INIT;
	struct buf           received = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_result  result;
	uint64_t             object = 1;

	assert_int_equal(state_open(NULL, shard, UINT64_MAX, &st, &err), 0);
	assert_int_equal(sc_replay_new(p, shard, &r, &err), 0);
	while (archive_next(a, shard, &received, &err) == 1) {
		AUTO(sc_block_freep) struct sc_block *b = NULL;

		if (block_read(p, buf_slice(&received), shard == 0, &b, &err) < 0)
			fail_msg("%s shard %u: %s", folder, shard, err.text);
		assert_int_equal(state_block_begin(st, b->base.height), 0);
		if (sc_replay_block(r, st, &b->base, object, true, &result, &err) < 0)
			fail_msg("%s: %s", folder, err.text);
		assert_string_equal(result.accounts.reason, "");
		assert_int_equal(state_block_end(st), 0);
		object += 2 * b->base.item_count;
	}
	assert_string_equal(err.text, "");
	assert_true(object > 1);
	buf_release(&received);
	sc_replay_free(r);
	state_freep(&st);
}

static bool replay_archive(const char *folder)
{
	AUTO(archive_closep) struct archive *a = NULL;
	struct chain_params *p = NULL;
	struct err           err = ERR_INIT;

	if (archive_open(folder, &a, &err) < 0)
		return false;
	if (sc_params_parse(archive_config(a), &p, &err) < 0)
		fail_msg("%s: %s", folder, err.text);
	for (uint32_t s = 0; s < archive_shards(a); s++)
		replay_shard(a, p, folder, s);
	params_freep(&p);
	return true;
}

static size_t replay_all_in(const char *folder)
{
	DIR           *d = opendir(folder);
	struct dirent *e;
	size_t         n = 0;
	char           path[1024];

	if (!d)
		fail_msg("%s cannot be read", folder);
	while ((e = readdir(d))) {
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		if (e->d_name[0] != '.')
			n += replay_archive(path);
	}
	closedir(d);
	return n;
}

static void every_root_of_the_archives_comes_out(void **state)
{
	const char *folders = getenv("CHAINFS_ARCHIVES");

	(void)state;
	if (!folders) {
		print_message("CHAINFS_ARCHIVES does not name folders of recorded archives\n");
		skip();
	}
	AUTO(base_freep) char *list = strdup(folders);
	char  *rest = NULL;
	size_t n = 0;

	for (char *one = strtok_r(list, ":", &rest); one; one = strtok_r(NULL, ":", &rest))
		n += replay_all_in(one);
	print_message("%zu archives\n", n);
	assert_true(n > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_root_of_the_archives_comes_out),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
