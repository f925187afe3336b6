/* Whatever the order of puts, burials and clears, the map answers as a sorted array does. */
#include "core/base/map.h"
#include "tests/support/support.h"

#define MODEL_MOST 3000

struct model_entry {
	uint8_t  key[130], value[40];
	size_t   key_size, value_size;
	bool     tombstone;
	uint32_t tag;
};

struct model {
	struct model_entry *list;
	size_t              count;
};

static struct slice key_of(const struct model_entry *e)
{
	return SLICE(e->key, e->key_size);
}

static size_t model_seek(const struct model *m, struct slice key)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (slice_cmp(key_of(&m->list[middle]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void model_put(struct model *m, const struct model_entry *e)
{
	size_t at = model_seek(m, key_of(e));

	if (at == m->count || !slice_eq(key_of(&m->list[at]), key_of(e))) {
		memmove(m->list + at + 1, m->list + at, (m->count - at) * sizeof *m->list);
		m->count++;
	}
	m->list[at] = *e;
}

static void check_entry(const struct map_entry *e, const struct model *m, size_t at)
{
	if (at == m->count) {
		assert_null(e);
		return;
	}
	const struct model_entry *want = &m->list[at];

	assert_non_null(e);
	assert_true(slice_eq(e->key, key_of(want)));
	assert_true(slice_eq(e->value, SLICE(want->value, want->value_size)));
	assert_int_equal(e->tombstone, want->tombstone);
	assert_int_equal(e->tag, want->tag);
}

/* Keys as the chain has them (few long prefixes, counters), and keys that are nasty: all of zeros
 * and 0xff, prefixes of each other, empty. */
static void random_key(struct random *r, unsigned kind, struct model_entry *e)
{
	size_t n = 0;

	memset(e->key, 0, sizeof e->key);
	switch (kind) {
	case 0:
		n = random_below(r, 20);
		random_bytes(r, e->key, n);
		break;
	case 1:
		n = random_below(r, sizeof e->key + 1);
		for (size_t i = 0; i < n; i++)
			e->key[i] = random_chance(r, 97) ? 0 : 0xff;
		break;
	case 2:
		n = 60;
		memset(e->key, 0x11, n);
		e->key[10] = (uint8_t)random_below(r, 3);
		e->key[40] = (uint8_t)random_below(r, 3);
		put_be32(e->key + 50, (uint32_t)random_below(r, 500));
		break;
	default:
		n = 12;
		put_be64(e->key + 4, random_below(r, 2000));
		break;
	}
	e->key_size = n;
}

static void the_map_matches_a_sorted_array(void **state)
{
	struct random r = random_of_run();
	struct model model = { malloc((MODEL_MOST + 1) * sizeof *model.list), 0 };
	AUTO(map_freep) struct map *m = map_new();

	for (uint64_t round = rounds(40); round > 0; round--) {
		unsigned steps = (unsigned)random_below(&r, MODEL_MOST);
		unsigned kind = (unsigned)random_below(&r, 5);

		for (unsigned i = 0; i < steps; i++) {
			struct model_entry e;
			struct slice key;

			random_key(&r, kind == 4 ? (unsigned)random_below(&r, 4) : kind, &e);
			/* In order now and then, which splits nodes another way. */
			if (kind == 3 && random_chance(&r, 90))
				put_be64(e.key + 4, i);
			key = key_of(&e);
			e.value_size = random_below(&r, sizeof e.value + 1);
			random_bytes(&r, e.value, e.value_size);
			e.tag = (uint32_t)random_u64(&r);
			e.tombstone = random_chance(&r, 20);
			if (e.tombstone)
				e.value_size = 0;
			switch (random_below(&r, 3)) {
			case 0:
				if (e.tombstone)
					assert_int_equal(map_bury(m, key, e.tag), 0);
				else
					assert_int_equal(map_put(m, key,
								 SLICE(e.value, e.value_size),
								 e.tag), 0);
				model_put(&model, &e);
				break;
			case 1: {
				size_t at = model_seek(&model, key);
				bool there = at < model.count &&
					     slice_eq(key_of(&model.list[at]), key);

				check_entry(map_get(m, key), &model, there ? at : model.count);
				break;
			}
			case 2: {
				size_t at = model_seek(&model, key);
				const struct map_entry *found = map_seek(m, key);

				check_entry(found, &model, at);
				if (found)
					check_entry(map_next(m, found), &model, at + 1);
				break;
			}
			}
			assert_int_equal(map_count(m), model.count);
		}
		const struct map_entry *e = map_seek(m, SLICE_EMPTY);

		for (size_t at = 0; at < model.count; at++, e = map_next(m, e))
			check_entry(e, &model, at);
		assert_null(e);
		map_clear(m);
		model.count = 0;
	}
	free(model.list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_map_matches_a_sorted_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
