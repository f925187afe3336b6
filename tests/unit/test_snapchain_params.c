#include "core/chain/snapchain/params.h"

#include "tests/unit/test_snapchain.h"

#define KEY_A "1111111111111111111111111111111111111111111111111111111111111111"
#define KEY_B "22222222222222222222222222222222222222222222222222222222222222AA"

static struct chain_params *parse(const char *text)
{
	struct chain_params *p = NULL;
	struct err err = ERR_INIT;
	int rc = sc_params_parse(slice_str(text), &p, &err);

	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return p;
}

static void assert_refused(const char *text, const char *sentence)
{
	struct chain_params *p = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(sc_params_parse(slice_str(text), &p, &err), -EINVAL);
	assert_null(p);
	assert_string_equal(err.text, sentence);
}

static void what_is_not_said_has_the_chains_own_value(void **state)
{
	AUTO(params_freep) struct chain_params *p = parse("{\"num_shards\": 2, \"fc_network\": 1}");

	assert_int_equal(p->network, SC_MAINNET);
	assert_int_equal(p->data_shards, 2);
	assert_int_equal(p->limits[0][0], 5000);
	assert_int_equal(p->limits[1][1], 1000);
	assert_int_equal(p->limits[2][6], 1);
	assert_int_equal(p->fname_signer[0], 0xbc);
	assert_int_equal(p->wall_clock, 0);
	assert_null(sc_validators_at(p, 0, 1));
}

static void everything_that_is_said_is_kept(void **state)
{
	AUTO(params_freep)
	struct chain_params *p = parse(
		"{\"fc_network\": 3, \"num_shards\": 1, \"other\": [1, {}], \"wall_clock\": "
		"1795266731,"
		" \"fname_signer\": \"0xC47DADDE2F5E43F4A1CAB6B0E937EBADA3685F05\","
		" \"limits\": {\"1\": [6, 5, 4, 3, 2, 1, 4294967295], \"x\": 1},"
		" \"validators\": [{\"effective_at\": 9, \"shard_ids\": [0, 1], \"public_keys\":"
		" [\"" KEY_B "\", \"" KEY_A "\"]}]}\n");

	assert_int_equal(p->wall_clock, 1795266731);
	assert_int_equal(p->fname_signer[19], 0x05);
	assert_int_equal(p->limits[1][0], 6);
	assert_int_equal(p->limits[1][6], UINT32_MAX);
	assert_int_equal(p->limits[0][0], 5000);
	assert_int_equal(p->validators_count, 1);
	assert_int_equal(p->validators[0].effective_at, 9);
	assert_int_equal(p->validators[0].shard_bits, 3);
	assert_int_equal(p->validators[0].key_count, 2);
	assert_int_equal(p->validators[0].keys[0][0], 0x11);
	assert_int_equal(p->validators[0].keys[1][31], 0xaa);
}

static void equal_parameters_have_equal_text(void **state)
{
	AUTO(params_freep)
	struct chain_params *a = parse(
		"{\"fc_network\": 3, \"num_shards\": 1, \"validators\": [{\"shard_ids\": [1, 0],"
		" \"public_keys\": [\"" KEY_B "\", \"" KEY_A "\"]}]}");
	AUTO(params_freep)
	struct chain_params *b = parse(
		"{\"validators\": [{\"effective_at\": 0, \"public_keys\": [\"" KEY_A "\","
		" \"" KEY_B "\"], \"shard_ids\": [0, 1]}], \"num_shards\": 1, \"fc_network\": 3}");
	AUTO(buf_release) struct buf text_a = BUF_INIT(1 << 16), text_b = BUF_INIT(1 << 16);
	AUTO(buf_release) struct buf text_c = BUF_INIT(1 << 16);

	assert_int_equal(sc_params_write(a, &text_a), 0);
	assert_int_equal(sc_params_write(b, &text_b), 0);
	assert_true(slice_eq(buf_slice(&text_a), buf_slice(&text_b)));

	AUTO(params_freep) struct chain_params *c = NULL;

	assert_int_equal(sc_params_parse(buf_slice(&text_a), &c, NULL), 0);
	assert_int_equal(sc_params_write(c, &text_c), 0);
	assert_true(slice_eq(buf_slice(&text_a), buf_slice(&text_c)));
	assert_true(slice_starts(buf_slice(&text_a), slice_str("{\n  \"fc_network\": 3,\n")));
}

static void a_wrong_type_is_a_sentence(void **state)
{
	assert_refused("", "parameters: not JSON");
	assert_refused("{\"fc_network\": 3, \"num_shards\": 1} x", "parameters: not JSON");
	assert_refused("[]", "parameters: not a JSON object");
	assert_refused("{}", "parameters: fc_network is missing");
	assert_refused("{\"fc_network\": 3}", "parameters: num_shards is missing");
	assert_refused("{\"fc_network\": \"3\"}",
		       "parameters: fc_network is not a whole number up to 4294967295");
	assert_refused("{\"fc_network\": 3, \"num_shards\": 16}",
		       "parameters: num_shards is not a whole number up to 15");
	assert_refused("{\"fc_network\": 3, \"num_shards\": 1.5}",
		       "parameters: num_shards is not a whole number up to 15");
	assert_refused("{\"wall_clock\": -1}",
		       "parameters: wall_clock is not a whole number up to 9007199254740992");
	assert_refused("{\"fname_signer\": 5}", "parameters: fname_signer is not 20 bytes of hex");
	assert_refused("{\"limits\": []}", "parameters: limits is not an object");
	assert_refused("{\"limits\": {\"2\": [1]}}",
		       "parameters: limits of unit type 2 are not 7 numbers");
	assert_refused("{\"validators\": {}}",
		       "parameters: validators is not a list of at most 10000 entries");
	assert_refused("{\"validators\": [1]}", "parameters: validators[0]: not an object");
	assert_refused("{\"validators\": [{}]}",
		       "parameters: validators[0]: shard_ids is not a list");
	assert_refused(
		"{\"validators\": [{\"shard_ids\": [16]}]}",
		"parameters: validators[0]: a shard of shard_ids is not a whole number up to 15");
	assert_refused("{\"validators\": [{\"shard_ids\": [0], \"public_keys\": []}]}",
		       "parameters: validators[0]: public_keys is not a list of 1 to 1000 keys");
	assert_refused("{\"validators\": [{\"shard_ids\": [0], \"public_keys\": [\"aa\"]}]}",
		       "parameters: validators[0]: a public key is not 32 bytes of hex");
	assert_refused("{\"validators\": [{\"shard_ids\": [0], \"public_keys\": [\"" KEY_A
		       "\", \"" KEY_A "\"]}]}",
		       "parameters: validators[0]: public_keys names a key twice");
}

static void the_newest_set_of_a_shard_signs(void **state)
{
	AUTO(params_freep)
	struct chain_params *p = parse(
		"{\"fc_network\": 3, \"num_shards\": 2, \"validators\": ["
		"{\"effective_at\": 0, \"shard_ids\": [0, 1], \"public_keys\": [\"" KEY_A "\"]},"
		"{\"effective_at\": 100, \"shard_ids\": [0], \"public_keys\": [\"" KEY_A "\"]},"
		"{\"effective_at\": 50, \"shard_ids\": [0, 1], \"public_keys\": [\"" KEY_A
		"\"]}]}");

	assert_ptr_equal(sc_validators_at(p, 0, 1), &p->validators[0]);
	assert_ptr_equal(sc_validators_at(p, 0, 50), &p->validators[2]);
	assert_ptr_equal(sc_validators_at(p, 0, 99), &p->validators[2]);
	assert_ptr_equal(sc_validators_at(p, 0, 100), &p->validators[1]);
	assert_ptr_equal(sc_validators_at(p, 1, 1000), &p->validators[2]);
	/* A shard that nobody lists is the first entry's. */
	assert_ptr_equal(sc_validators_at(p, 2, 1000), &p->validators[0]);
}

static void want_of_memory_leaves_nothing(void **state)
{
	FOR_EACH_ALLOC_FAULT {
		AUTO(params_freep) struct chain_params *p = NULL;
		int rc = sc_params_parse(
			slice_str("{\"fc_network\": 3, \"num_shards\": 1, \"validators\":"
				  " [{\"shard_ids\": [0], \"public_keys\": [\"" KEY_A "\"]}]}"),
			&p, NULL);

		assert_true((rc == 0 && p) || (rc == -ENOMEM && !p));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_said_has_the_chains_own_value),
		cmocka_unit_test(everything_that_is_said_is_kept),
		cmocka_unit_test(equal_parameters_have_equal_text),
		cmocka_unit_test(a_wrong_type_is_a_sentence),
		cmocka_unit_test(the_newest_set_of_a_shard_signs),
		cmocka_unit_test(want_of_memory_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
