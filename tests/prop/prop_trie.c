/* Whatever the order of inserts and deletes, the root is the one
 * that the rule gives for the key set. */
#include "core/chain/trie.h"
#include "tests/support/support.h"

#define KEYS_MAX 300
#define KEY_MAX  48

struct key {
	uint8_t p[KEY_MAX];
	size_t  n;
	bool    in;
};

static size_t nibbles_of(const struct key *k, uint8_t *out)
{
	for (size_t i = 0; i < k->n; i++) {
		out[2 * i] = k->p[i] >> 4;
		out[2 * i + 1] = k->p[i] & 15;
	}
	return 2 * k->n;
}

/* The rule as the reference states it, over the whole key set each time. */
static bool naive_root(const struct key *keys, size_t count, const uint8_t *path, size_t depth,
		       uint8_t out[HASH20_SIZE])
{
	uint8_t nibbles[2 * KEY_MAX], joined[16 * HASH20_SIZE], next[2 * KEY_MAX];
	size_t  below = 0, joined_size = 0;
	const struct key *lone = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!keys[i].in)
			continue;
		nibbles_of(&keys[i], nibbles);
		if (memcmp(nibbles, path, depth) == 0) {
			below++;
			lone = &keys[i];
		}
	}
	if (!below)
		return false;
	if (depth >= 12 && below == 1) {
		hash_blake3_20(SLICE(nibbles, nibbles_of(lone, nibbles)), out);
		return true;
	}
	memmove(next, path, depth);
	for (uint8_t c = 0; c < 16; c++) {
		next[depth] = c;
		if (naive_root(keys, count, next, depth + 1, joined + joined_size))
			joined_size += HASH20_SIZE;
	}
	hash_blake3_20(SLICE(joined, joined_size), out);
	return true;
}

static uint64_t naive_count(const struct key *keys, size_t count, struct slice prefix)
{
	uint64_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += keys[i].in && slice_starts(SLICE(keys[i].p, keys[i].n), prefix);
	return n;
}

/* Keys that meet often: few accounts, few types, hashes that share their beginnings. */
static void random_key(struct random *r, struct key *k)
{
	k->n = random_chance(r, 20) ? 42 : 26;
	memset(k->p, 0, sizeof k->p);
	k->p[0] = (uint8_t)random_below(r, 3);
	k->p[4] = (uint8_t)random_below(r, 4);
	k->p[5] = (uint8_t)(random_below(r, 4) << 3);
	random_bytes(r, k->p + 6, k->n - 6);
	memset(k->p + 6, 0x5a, random_below(r, 12));
	k->in = false;
}

struct model {
	struct key           keys[KEYS_MAX];
	size_t               count;
	struct account_trie *accounts[3][4];
	struct trie         *upper;
};

static struct account_trie **account_of(struct model *m, const struct key *k)
{
	return &m->accounts[k->p[0]][k->p[4]];
}

static void update_upper(struct model *m, const struct key *k)
{
	struct account_trie *t = *account_of(m, k);
	uint8_t root[HASH20_SIZE];
	bool    any = account_trie_root(t, root);

	assert_int_equal(trie_set(m->upper, k->p, any ? root : NULL, account_trie_count(t)), 0);
}

static void change(struct random *r, struct model *m)
{
	struct key  *k = &m->keys[random_below(r, m->count)];
	struct slice rest = SLICE(k->p + TRIE_PREFIX_SIZE, k->n - TRIE_PREFIX_SIZE);
	struct account_trie *t = *account_of(m, k);

	assert_int_equal(account_trie_has(t, rest), k->in);
	if (random_chance(r, 50)) {
		assert_int_equal(account_trie_insert(t, rest), !k->in);
		k->in = true;
	} else {
		assert_int_equal(account_trie_delete(t, rest), k->in);
		k->in = false;
	}
	update_upper(m, k);
	assert_int_equal(account_trie_count(t), naive_count(m->keys, m->count, SLICE(k->p, 5)));
	assert_int_equal(account_trie_count_type(t, k->p[5]),
			 naive_count(m->keys, m->count, SLICE(k->p, 6)));
	assert_int_equal(trie_count(m->upper, SLICE(k->p, 1)),
			 naive_count(m->keys, m->count, SLICE(k->p, 1)));
	assert_int_equal(trie_count(m->upper, SLICE_EMPTY),
			 naive_count(m->keys, m->count, SLICE_EMPTY));
}

static void the_root_follows_the_key_set_alone(void **state)
{
	struct random r = random_of_run();

	(void)state;
	for (uint64_t round = rounds(8); round; round--) {
		struct model m = { .count = 1 + random_below(&r, KEYS_MAX), .upper = trie_new() };

		for (size_t i = 0; i < m.count; i++) {
			random_key(&r, &m.keys[i]);
			for (size_t j = 0; j < i; j++) /* no key twice */
				if (m.keys[i].n == m.keys[j].n &&
				    !memcmp(m.keys[i].p, m.keys[j].p, KEY_MAX))
					random_key(&r, &m.keys[i]);
		}
		for (uint8_t v = 0; v < 3; v++)
			for (uint8_t f = 0; f < 4; f++)
				m.accounts[v][f] = account_trie_new((uint8_t[]){ v, 0, 0, 0, f });
		for (unsigned step = 0; step < 600; step++) {
			change(&r, &m);
			if (step % 150)
				continue;
			uint8_t expected[HASH20_SIZE], got[HASH20_SIZE];
			bool    any = naive_root(m.keys, m.count, expected, 0, expected);

			assert_int_equal(trie_root(m.upper, got), any);
			if (any)
				assert_memory_equal(got, expected, HASH20_SIZE);
		}
		for (size_t i = 0; i < m.count;
		     i++) { /* and empty again: as if nothing had ever been there */
			(void)!account_trie_delete(*account_of(&m, &m.keys[i]),
						   SLICE(m.keys[i].p + 5, m.keys[i].n - 5));
			update_upper(&m, &m.keys[i]);
		}
		assert_false(trie_root(m.upper, (uint8_t[HASH20_SIZE]){ 0 }));
		struct trie *bare = trie_new();

		assert_int_equal(trie_bytes(m.upper), trie_bytes(bare));
		trie_freep(&bare);
		for (size_t i = 0; i < 12; i++)
			account_trie_freep(&m.accounts[i / 4][i % 4]);
		trie_freep(&m.upper);
	}
}

static void a_copy_lives_on_its_own(void **state)
{
	struct random        r = random_of_run();
	struct account_trie *t = account_trie_new((uint8_t[]){ 0, 0, 0, 0, 1 }), *copy;
	uint8_t              before[HASH20_SIZE], after[HASH20_SIZE], key[21];

	(void)state;
	for (int i = 0; i < 200; i++) {
		random_bytes(&r, key, sizeof key);
		assert_int_equal(account_trie_insert(t, SLICE_ARRAY(key)), 1);
	}
	assert_true(account_trie_root(t, before));
	copy = account_trie_copy(t);
	assert_int_equal(account_trie_delete(t, SLICE_ARRAY(key)), 1);
	assert_true(account_trie_has(copy, SLICE_ARRAY(key)));
	assert_true(account_trie_root(copy, after));
	assert_memory_equal(before, after, HASH20_SIZE);
	account_trie_freep(&t);
	account_trie_freep(&copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_root_follows_the_key_set_alone),
		cmocka_unit_test(a_copy_lives_on_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
