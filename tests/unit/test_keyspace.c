/* core/chain/snapchain/keyspace.c: short forms of keys. */
#include "core/chain/snapchain/keyspace.h"

#include "tests/support/support.h"

#define FID 77u

static size_t cut(const struct sc_key *k)
{
	return sc_key_short(sc_key_slice(k));
}

static struct sc_key selector(uint8_t what, size_t conflict_size)
{
	static const uint8_t hash[64] = { 1, 2, 3, 4 };
	struct sc_key k;

	sc_key_selector(&k, FID, what);
	sc_key_bytes(&k, hash, conflict_size);
	return k;
}

static struct sc_key retained(enum sc_set set, size_t conflict_size)
{
	struct sc_key conflict = { .n = (uint16_t)conflict_size };
	struct sc_key k;

	sc_key_retained(&k, set, FID, &conflict);
	return k;
}

static void hashes_are_cut_and_what_stands_before_them_is_not(void **state)
{
	uint8_t prefix[TRIE_PREFIX_SIZE], order[SC_ORDER_SIZE] = { 0 };
	struct sc_key k;

	sc_prefix(FID, prefix);
	sc_key_record(&k, prefix, SC_SET_LINKS, order);
	assert_int_equal(cut(&k), k.n - HASH20_SIZE + 1);
	k = selector(0x57, HASH20_SIZE);
	assert_int_equal(cut(&k), k.n - HASH20_SIZE + 2);
	k = selector(0x5b, 1 + 4 + HASH20_SIZE);
	assert_int_equal(cut(&k), k.n - HASH20_SIZE + 2);
	k = retained(SC_SET_CASTS, HASH20_SIZE);
	assert_int_equal(cut(&k), k.n - HASH20_SIZE + 2);
	k = retained(SC_SET_REACTIONS, 1 + 4 + HASH20_SIZE);
	assert_int_equal(cut(&k), k.n - HASH20_SIZE + 2);
}

static void what_names_no_hash_stays_whole(void **state)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];
	struct sc_key k;

	sc_prefix(FID, prefix);
	sc_key_account(&k, prefix);
	assert_int_equal(cut(&k), k.n);
	sc_key_vshard(&k, 3);
	assert_int_equal(cut(&k), k.n);
	sc_key_onchain(&k, prefix, 1, 2, 3);
	assert_int_equal(cut(&k), k.n);
	sc_key_custody(&k, FID);
	assert_int_equal(cut(&k), k.n);
	k = selector(0x59, 8 + 4); /* a link: its type and whom it is to */
	assert_int_equal(cut(&k), k.n);
	k = retained(SC_SET_LINKS, 8 + 4);
	assert_int_equal(cut(&k), k.n);
}

/* Else a death would be counted for two rows. */
static void keys_of_a_kind_are_cut_at_one_size(void **state)
{
	for (size_t n = 0; n <= 33; n++) {
		struct sc_key kinds[] = { selector(0x57, n), selector(0x58, n), selector(0x5b, n),
					  selector(0x5c, n), retained(SC_SET_CASTS, n) };

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
			size_t most = i == 2 || i == 3 ? 7 : 2;

			assert_int_equal(cut(&kinds[i]), 7 + MIN(n, most));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_are_cut_and_what_stands_before_them_is_not),
		cmocka_unit_test(what_names_no_hash_stays_whole),
		cmocka_unit_test(keys_of_a_kind_are_cut_at_one_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
