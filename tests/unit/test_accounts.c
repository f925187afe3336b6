#include "fs/tree/accounts.h"
#include "tests/support/support.h"

static const struct account_key key = {
	.epoch = 9, .branch = 1, .shard = 2, .spaces = SPACES_LEGACY, .height = 100, .account = 55
};

static void a_row_is_of_all_that_it_depends_on(void **state)
{
	const struct chain_account account = { .records = 77 };
	struct account_key others[] = { key, key, key, key, key, key };
	struct chain_account got = { .records = 0 };

	others[0].epoch++;
	others[1].branch++;
	others[2].shard++;
	others[3].spaces = SPACES_HYPER;
	others[4].height++;
	others[5].account++;
	accounts_keep(&key, &account);
	assert_true(accounts_find(&key, &got));
	assert_int_equal(got.records, 77);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(accounts_find(&others[i], &got));
}

static void a_size_of_limits_is_kept_beside_the_row(void **state)
{
	struct account_key other = key;
	uint64_t size = 0;

	other.height++;
	assert_false(accounts_limits(&key, &size));
	accounts_keep_limits(&key, 240);
	assert_true(accounts_limits(&key, &size));
	assert_int_equal(size, 240);
	assert_false(accounts_limits(&other, &size));
}

static void what_was_pushed_out_is_not_found_as_another(void **state)
{
	struct account_key k = key;
	struct chain_account got;

	for (uint64_t account = 1; account <= 20000; account++) {
		struct chain_account a = { .records = account };

		k.account = account;
		accounts_keep(&k, &a);
	}
	for (uint64_t account = 1; account <= 20000; account++) {
		k.account = account;
		assert_true(!accounts_find(&k, &got) || got.records == account);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_row_is_of_all_that_it_depends_on),
		cmocka_unit_test(a_size_of_limits_is_kept_beside_the_row),
		cmocka_unit_test(what_was_pushed_out_is_not_found_as_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
