/* What a replay keeps of accounts is of the store's cache: a follower's replay lasts for days. */
#include "core/base/files.h"
#include "core/chain/snapchain/account.h"
#include "core/store/network.h"
#include "tests/unit/replay_lab.h"

#include <ftw.h>
#include <stdlib.h>

#define ACCOUNTS  1600u
#define PER_BLOCK 16u

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void store_of(const char *folder, size_t cache_size, struct store **out,
		     struct network **net)
{
	struct store_options options = {
		.create = true, .holder = "test", .sync_off = true, .cache_size = cache_size
	};
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;

	assert_int_equal(files_read("tests/vectors/devnet-a/network.json", 1u << 20, &text, &err),
			 0);
	assert_int_equal(store_open(folder, &options, out, &err), 0);
	assert_int_equal(store_network_new(*out, "net", chain_kind("snapchain"), buf_slice(&text),
					   "config", net, &err),
			 0);
}

/* Bytes of accounts after many were touched, once each. */
static size_t kept_with(size_t cache_size)
{
	const char *tmp = getenv("TMPDIR");
	char folder[128];
	AUTO(store_closep) struct store *s = NULL;
	struct network *net = NULL;
	struct err err = ERR_INIT;
	struct lab l;

	snprintf(folder, sizeof folder, "%s/chainfs-test-XXXXXX",
		 tmp && strlen(tmp) < 64 ? tmp : "/tmp");
	assert_non_null(mkdtemp(folder));
	store_of(folder, cache_size, &s, &net);
	lab_open(&l, 1);
	state_freep(&l.state);
	assert_int_equal(state_open(net, 1, UINT64_MAX, &l.state, &err), 0);
	for (uint64_t fid = 1; fid <= ACCOUNTS; fid += PER_BLOCK) {
		for (uint64_t i = 0; i < PER_BLOCK; i++)
			lab_register(&l, fid + i, 1);
		/* Not lab_run(): hyper on and off by turns begins anew with each block. */
		lab_propose(&l);
		assert_int_equal(state_block_begin(l.state, l.block.base.height), 0);
		assert_int_equal(sc_replay_block(l.replay, l.state, &l.block.base, l.next_object,
						 false, &l.result, &err),
				 0);
		lab_keep(&l);
	}
	size_t bytes = accounts_bytes(l.replay->accounts);

	assert_true(bytes <= ACCOUNTS_BYTES_MAX(l.state));
	lab_release(&l);
	store_closep(&s);
	nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return bytes;
}

static void a_small_cache_keeps_fewer_accounts_warm(void **unused)
{
	size_t small = kept_with(4u << 20), large = kept_with(256u << 20);

	assert_true(small <= 3u << 19);
	assert_true(large > small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_cache_keeps_fewer_accounts_warm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
