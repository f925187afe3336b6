#include <stdatomic.h>
#include <unistd.h>

#include "fs/tree/render_cache.h"
#include "tests/support/support.h"

#define KEY(n) ((struct render_key){ .ino = (n), .generation = 1 })

static void fill(struct render_cache *c, struct render_key key, size_t size)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1u << 20);
	AUTO(rendering_putp) struct rendering *r = NULL;

	for (size_t i = 0; i < size; i++)
		buf_u8(&b, (uint8_t)(key.ino + key.generation));
	assert_int_equal(render_cache_get(c, key, &r), 0);
	render_cache_fill(c, key, &b, &r);
	assert_int_equal(rendering_bytes(r).n, size);
	assert_null(b.p);
}

static bool has(struct render_cache *c, struct render_key key)
{
	AUTO(rendering_putp) struct rendering *r = NULL;
	int rc = render_cache_get(c, key, &r);

	assert_true(rc >= 0);
	if (rc == 0)
		render_cache_give_up(c, key);
	else if (rendering_bytes(r).n)
		assert_int_equal(rendering_bytes(r).p[0], (uint8_t)(key.ino + key.generation));
	return rc == 1;
}

static void what_was_filled_is_found_again(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(1u << 20, 1u << 16);

	assert_false(has(c, KEY(7)));
	fill(c, KEY(7), 100);
	fill(c, KEY(8), 0);
	assert_true(has(c, KEY(7)));
	assert_true(has(c, KEY(8)));
}

static void another_generation_is_another_file(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(1u << 20, 1u << 16);

	fill(c, ((struct render_key){ .ino = 7, .generation = 1 }), 100);
	assert_false(has(c, ((struct render_key){ .ino = 7, .generation = 2 })));
}

static void the_least_recently_used_goes_first(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(100000, 50000);

	for (uint64_t i = 1; i <= 1000; i++) {
		fill(c, KEY(i), 1000);
		assert_true(has(c, KEY(i)));
		assert_true(render_cache_bytes(c) <= 100000);
	}
	assert_true(render_cache_bytes(c) > 90000);
	assert_false(has(c, KEY(1)));
	fill(c, KEY(5000), 50000);
	assert_true(has(c, KEY(5000)));
	assert_true(render_cache_bytes(c) <= 100000);
}

static void a_reader_keeps_what_the_cache_let_go(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(3000, 2000);
	AUTO(rendering_putp) struct rendering *r = NULL;

	fill(c, KEY(1), 1500);
	assert_int_equal(render_cache_get(c, KEY(1), &r), 1);
	for (uint64_t i = 2; i < 50; i++)
		fill(c, KEY(i), 1500);
	assert_false(has(c, KEY(1)));
	assert_int_equal(rendering_bytes(r).n, 1500);
	assert_int_equal(rendering_bytes(r).p[1499], 2);
}

static void large_ones_stay_while_they_are_read(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(10000, 1000);

	fill(c, KEY(1), 5000);
	fill(c, KEY(2), 5000);
	assert_int_equal(render_cache_bytes(c), 0);
	assert_true(has(c, KEY(1)) && has(c, KEY(2)));
	fill(c, KEY(3), 5000); /* the third displaces the first */
	assert_true(has(c, KEY(3)) && has(c, KEY(2)));
	assert_false(has(c, KEY(1)));
	assert_true(render_cache_trim(c));
	assert_true(has(c, KEY(3)));
	assert_true(render_cache_trim(c));
	assert_false(has(c, KEY(2)));
	assert_false(render_cache_trim(c));
	assert_false(has(c, KEY(3)));
}

struct crowd {
	struct render_cache *cache;
	atomic_int           makers, failed;
	bool                 fails;
};

static void *want(void *arg)
{
	struct crowd *w = arg;
	AUTO(rendering_putp) struct rendering *r = NULL;
	int rc = render_cache_get(w->cache, KEY(5), &r);

	if (rc == 1) {
		assert_int_equal(rendering_bytes(r).n, 4);
		return NULL;
	}
	assert_int_equal(rc, 0);
	atomic_fetch_add(&w->makers, 1);
	usleep(20000);
	if (w->fails) {
		atomic_fetch_add(&w->failed, 1);
		render_cache_give_up(w->cache, KEY(5));
		return NULL;
	}
	AUTO(buf_release) struct buf b = BUF_INIT(64);
	buf_str(&b, "text");
	render_cache_fill(w->cache, KEY(5), &b, &r);
	return NULL;
}

static int crowd_wants(struct crowd *w)
{
	pthread_t threads[8];

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, want, w), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	return atomic_load(&w->makers);
}

static void one_thread_renders_and_the_others_wait(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(1u << 20, 1u << 16);
	struct crowd w = { .cache = c };

	assert_int_equal(crowd_wants(&w), 1);
}

static void after_a_failure_the_next_one_tries(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(1u << 20, 1u << 16);
	struct crowd w = { .cache = c, .fails = true };

	assert_int_equal(crowd_wants(&w), 8);
	assert_int_equal(atomic_load(&w.failed), 8);
	assert_int_equal(render_cache_bytes(c), 0);
}

struct wanderer {
	struct render_cache *cache;
	uint64_t             seed;
};

static void *wander(void *arg)
{
	struct wanderer *w = arg;
	struct random r = random_of(w->seed);

	for (uint64_t i = rounds(20000); i > 0; i--) {
		struct render_key key = { .ino = 1 + random_below(&r, 300),
					  .generation = 1 + random_below(&r, 2) };
		AUTO(rendering_putp) struct rendering *got = NULL;
		AUTO(buf_release) struct buf b = BUF_INIT(1u << 16);
		int rc = render_cache_get(w->cache, key, &got);

		if (rc == 0 && random_chance(&r, 10)) {
			render_cache_give_up(w->cache, key);
			continue;
		}
		if (rc == 0) {
			buf_be64(&b, key.ino);
			buf_be64(&b, key.generation);
			for (uint64_t more = random_below(&r, random_chance(&r, 1) ? 20000 : 500);
			     more; more--)
				buf_u8(&b, 0);
			render_cache_fill(w->cache, key, &b, &got);
		}
		assert_int_equal(get_be64(rendering_bytes(got).p), key.ino);
		assert_int_equal(get_be64(rendering_bytes(got).p + 8), key.generation);
		if (random_chance(&r, 1))
			render_cache_trim(w->cache);
	}
	return NULL;
}

static void among_many_threads_everyone_reads_what_was_asked_for(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(60000, 10000);
	struct random r = random_of_run();
	struct wanderer w[4];
	pthread_t threads[4];

	for (size_t i = 0; i < ARRAY_LEN(w); i++) {
		w[i] = (struct wanderer){ c, random_u64(&r) };
		assert_int_equal(pthread_create(&threads[i], NULL, wander, &w[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		pthread_join(threads[i], NULL);
	assert_true(render_cache_bytes(c) <= 60000);
}

static void without_memory_nothing_is_left_half_made(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(render_cache_freep)
		struct render_cache *c = render_cache_new(1u << 20, 1u << 16);
		AUTO(rendering_putp) struct rendering *r = NULL;
		AUTO(buf_release) struct buf b = BUF_INIT(64);

		if (c) {
			int rc = render_cache_get(c, KEY(3), &r);

			assert_true(rc == 0 || rc == -ENOMEM);
			if (rc == 0) {
				buf_str(&b, "text");
				render_cache_fill(c, KEY(3), &b, &r);
			}
		}
	}
}

static void what_was_offered_is_found_by_all_of_its_key(void **state)
{
	AUTO(render_cache_freep) struct render_cache *c = render_cache_new(1u << 20, 1u << 16);
	const struct render_key key = { 7, 1, 30, 5, 2 };
	const struct render_key others[] = {
		{ 8, 1, 30, 5, 2 }, { 7, 2, 30, 5, 2 }, { 7, 1, 31, 5, 2 }, { 7, 1, 30, 6, 2 },
		{ 7, 1, 30, 5, 3 }, { .ino = 7, .generation = 1 },
	};
	struct rendering *r = NULL;

	assert_false(render_cache_find(c, key, &r));
	render_cache_offer(c, key, SLICE("abc", 3));
	render_cache_offer(c, key, SLICE("xyz", 3)); /* the first one stays */
	assert_true(render_cache_find(c, key, &r));
	assert_memory_equal(rendering_bytes(r).p, "abc", 3);
	rendering_putp(&r);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(render_cache_find(c, others[i], &r));
	assert_int_equal(render_cache_get(c, others[0], &r), 0);
	assert_false(render_cache_find(c, others[0], &r)); /* it is being made: nobody waits */
	render_cache_give_up(c, others[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_filled_is_found_again),
		cmocka_unit_test(another_generation_is_another_file),
		cmocka_unit_test(what_was_offered_is_found_by_all_of_its_key),
		cmocka_unit_test(the_least_recently_used_goes_first),
		cmocka_unit_test(a_reader_keeps_what_the_cache_let_go),
		cmocka_unit_test(large_ones_stay_while_they_are_read),
		cmocka_unit_test(one_thread_renders_and_the_others_wait),
		cmocka_unit_test(after_a_failure_the_next_one_tries),
		cmocka_unit_test(among_many_threads_everyone_reads_what_was_asked_for),
		cmocka_unit_test(without_memory_nothing_is_left_half_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
