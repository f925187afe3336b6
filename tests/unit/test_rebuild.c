/* A network made anew: what it takes over of the damaged one, and what it finds out where nothing says so
 * any more. */
#include "core/base/sign.h"
#include "core/fsck/rebuild.h"
#include "core/store/inside.h"
#include "tests/unit/tree_fixture.h"

#define ARCHIVE "tests/vectors/devnet-a"
#define SWITCH  100u /* the height of shard 1 at which hyper is switched */
#define LAST    200u

struct found {
	bool hyper_on[SHARD_MAX];
	uint64_t base[SHARD_MAX], retained[SHARD_MAX], replayed[SHARD_MAX];
	struct chain_root hyper[SHARD_MAX];
};

static struct found look(struct chain *c)
{
	AUTO(view_putp) struct view *v = network_view_get(c->network);
	struct found out = { .base = { 0 } };

	for (uint32_t s = 0; s < v->shard_count; s++) {
		out.hyper_on[s] = v->shards[s].hyper_on;
		out.base[s] = v->shards[s].base_height;
		out.retained[s] = v->shards[s].retained;
		out.replayed[s] = v->shards[s].replayed;
		out.hyper[s] = v->shards[s].hyper;
	}
	return out;
}

/* Nothing says any more how far the shards had come and when hyper began. */
static void forget_the_shards(struct chain *c)
{
	struct db_batch *b = NULL;
	char path[256];

	assert_int_equal(db_batch_new(c->network->db, &b), 0);
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		struct short_key key = key_meta_shard(META_SHARD, s);

		db_batch_put(b, FAMILY_META, short_slice(&key), slice_str("damaged"));
	}
	assert_int_equal(db_write(c->network->db, b, NULL), 0);
	db_batch_freep(&b);
	snprintf(path, sizeof path, "%s/networks/net/acknowledged", c->path);
	store_network_close(c->store, "net");
	assert_int_equal(truncate(path, 20), 0);
}

static void make_anew(struct chain *c)
{
	struct rebuild_options o = { .stop = NULL };
	struct rebuild_totals t;
	struct err err = ERR_INIT;

	must(rebuild(c->store, "net", &o, &t, &err), &err);
	assert_int_equal(t.damaged, 0);
	c->network = store_network_find(c->store, "net");
	assert_non_null(c->network);
}

/* before, after: of SWITCH. -1: as it is. */
static void hyper_is_as_it_was(int before, int after)
{
	struct chain c;

	chain_open(&c, ARCHIVE);
	chain_feed(&c, 1, 1, SWITCH, before);
	chain_feed(&c, 1, SWITCH + 1, LAST, after);
	struct found was = look(&c);

	assert_int_equal(was.hyper_on[1], after >= 0 ? after : before);
	forget_the_shards(&c);
	trace_set_sink(fixture_silence, NULL);
	make_anew(&c);
	trace_set_sink(NULL, NULL);
	struct found is = look(&c);

	assert_int_equal(is.replayed[1], was.replayed[1]);
	assert_int_equal(is.hyper_on[1], was.hyper_on[1]);
	if (was.hyper_on[1]) {
		assert_int_equal(is.base[1], was.base[1]);
		assert_int_equal(is.retained[1], was.retained[1]);
		assert_true(chain_root_eq(&is.hyper[1], &was.hyper[1]));
	}
	chain_release(&c);
}

static void hyper_from_the_beginning_is_kept_though_nothing_says_so(void **state)
{
	(void)state;
	hyper_is_as_it_was(1, -1);
}

static void hyper_from_a_height_on_is_kept_though_nothing_says_so(void **state)
{
	(void)state;
	hyper_is_as_it_was(0, 1);
}

static void hyper_that_was_off_stays_off_though_nothing_says_so(void **state)
{
	(void)state;
	hyper_is_as_it_was(0, -1);
	hyper_is_as_it_was(1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hyper_from_the_beginning_is_kept_though_nothing_says_so),
		cmocka_unit_test(hyper_from_a_height_on_is_kept_though_nothing_says_so),
		cmocka_unit_test(hyper_that_was_off_stays_off_though_nothing_says_so),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
