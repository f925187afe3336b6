/* store_fixture.h: a store in a temporary folder with one network of a kind that understands
 * nothing, for tests of what the store does with bytes. */
#ifndef CHAINFS_TESTS_STORE_FIXTURE_H
#define CHAINFS_TESTS_STORE_FIXTURE_H

#include "core/base/trace.h"
#include "core/store/network.h"
#include "tests/support/support.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#define FIXTURE_SHARDS 3

struct chain_params {
	char text[256];
};

static int fixture_params_parse(struct slice text, struct chain_params **out, struct err *err)
{
	struct chain_params *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory for parameters");
	assert_true(text.n < sizeof p->text);
	if (text.n)
		memcpy(p->text, text.p, text.n);
	*out = p;
	return 0;
}

static void fixture_params_free(struct chain_params *p)
{
	free(p);
}

static uint32_t fixture_shard_count(const struct chain_params *p)
{
	return FIXTURE_SHARDS;
}

static const struct chain_ops fixture_ops = {
	.kind = "fixture",
	.params_parse = fixture_params_parse,
	.params_free = fixture_params_free,
	.shard_count = fixture_shard_count,
};

static inline const struct chain_ops *fixture_kind(const char *kind)
{
	return strcmp(kind, fixture_ops.kind) == 0 ? &fixture_ops : NULL;
}

static inline struct store_options fixture_options(void)
{
	return (struct store_options){
		.create = true, .holder = "fixture", .cache_size = 8u << 20, .sync_off = true,
		.kind = fixture_kind,
	};
}

/* A folder of its own below TMPDIR. */
static inline void fixture_folder(char path[128])
{
	const char *tmp = getenv("TMPDIR");

	snprintf(path, 128, "%s/chainfs-test-XXXXXX", tmp && strlen(tmp) < 64 ? tmp : "/tmp");
	assert_non_null(mkdtemp(path));
}

static inline int fixture_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *ftw)
{
	return remove(path);
}

static inline void fixture_remove(const char *path)
{
	nftw(path, fixture_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* For trace_set_sink(): errors that a test provokes are not shown. */
static inline void fixture_silence(enum trace_level level, const char *line, size_t size, void *arg)
{
}

struct fixture {
	char            path[128];
	struct store   *store;
	struct network *network;
};

static inline void fixture_reopen(struct fixture *f)
{
	struct store_options options = fixture_options();
	struct err err = ERR_INIT;

	store_closep(&f->store);
	if (store_open(f->path, &options, &f->store, &err) < 0)
		fail_msg("%s", err.text);
	f->network = store_network_at(f->store, 0);
}

static inline void fixture_open(struct fixture *f)
{
	struct err err = ERR_INIT;

	*f = (struct fixture){ .store = NULL };
	fixture_folder(f->path);
	fixture_reopen(f);
	if (store_network_new(f->store, "net", &fixture_ops, slice_str("{}\n"), "config",
			      &f->network, &err) < 0)
		fail_msg("%s", err.text);
}

static inline void fixture_release(struct fixture *f)
{
	store_closep(&f->store);
	if (f->path[0])
		fixture_remove(f->path);
}

#endif
