#include "core/base/sign.h"
#include "tests/support/support.h"

/* RFC 8032, section 7.1, tests 1 to 3. */
static const struct {
	const char *seed, *key, *message, *signature;
} rfc8032[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
	  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
	  "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
	  "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
	  "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
	  "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
	  "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
	  "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
	  "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
	  "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

static void ed25519_gives_the_answers_of_rfc_8032(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rfc8032); i++) {
		uint8_t seed[32], want_key[32], want[64], message[8], key[32], secret[64], got[64];
		size_t n = unhex(rfc8032[i].message, message, sizeof message);

		unhex(rfc8032[i].seed, seed, sizeof seed);
		unhex(rfc8032[i].key, want_key, sizeof want_key);
		unhex(rfc8032[i].signature, want, sizeof want);
		ed25519_from_seed(seed, key, secret);
		assert_memory_equal(key, want_key, sizeof key);
		ed25519_sign(secret, SLICE(message, n), got);
		assert_memory_equal(got, want, sizeof got);
		assert_true(ed25519_verify(key, got, SLICE(message, n)));
	}
}

static void any_bit_changed_makes_an_ed25519_signature_false(void **state)
{
	uint8_t key[32], signature[64], message[2];

	unhex(rfc8032[2].key, key, sizeof key);
	unhex(rfc8032[2].signature, signature, sizeof signature);
	unhex(rfc8032[2].message, message, sizeof message);
	for (size_t bit = 0; bit < 8 * (32 + 64 + 2); bit++) {
		uint8_t *p = bit < 256 ? key : bit < 768 ? signature : message;
		size_t at = bit < 256 ? bit : bit < 768 ? bit - 256 : bit - 768;

		p[at / 8] ^= (uint8_t)(1 << at % 8);
		assert_false(ed25519_verify(key, signature, SLICE_ARRAY(message)));
		p[at / 8] ^= (uint8_t)(1 << at % 8);
	}
	assert_true(ed25519_verify(key, signature, SLICE_ARRAY(message)));
	assert_false(ed25519_verify(key, signature, SLICE_EMPTY));
}

static void an_s_over_the_group_order_is_refused(void **state)
{
	/* The order L of the group, little-endian: S + L verifies for whoever only reduces it. */
	uint8_t key[32], signature[64], message[2], order[32];
	unsigned carry = 0;

	unhex(rfc8032[2].key, key, sizeof key);
	unhex(rfc8032[2].signature, signature, sizeof signature);
	unhex(rfc8032[2].message, message, sizeof message);
	unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", order,
	      sizeof order);
	for (int i = 0; i < 32; i++) {
		carry += (unsigned)signature[32 + i] + order[i];
		signature[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	assert_false(ed25519_verify(key, signature, SLICE_ARRAY(message)));
}

static void small_order_keys_are_refused(void **state)
{
	static const char *const keys[] = {
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		/* With R neutral and S zero the plain equation holds for some of these. */
		uint8_t key[32], signature[64] = { 1 };

		unhex(keys[i], key, sizeof key);
		for (uint8_t c = 0; c < 32; c++)
			assert_false(ed25519_verify(key, signature, SLICE(&c, 1)));
	}
}

/* The example of EIP-155: key, digest and signature. */
static const char eip155_secret[] =
	"4646464646464646464646464646464646464646464646464646464646464646";
static const char eip155_address[] = "9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f";
static const char eip155_digest[] =
	"daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53";
static const char eip155_signature[] =
	"28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
	"67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d831b";

static uint8_t secret[32], address[ETH_ADDRESS_SIZE], digest[32], signature65[ETH_SIGNATURE_SIZE];

static int load_example(void **state)
{
	unhex(eip155_secret, secret, sizeof secret);
	unhex(eip155_address, address, sizeof address);
	unhex(eip155_digest, digest, sizeof digest);
	unhex(eip155_signature, signature65, sizeof signature65);
	return 0;
}

static void signing_and_recovering_match_the_example_of_eip_155(void **state)
{
	uint8_t got[ETH_ADDRESS_SIZE], made[ETH_SIGNATURE_SIZE];

	assert_int_equal(eth_address(secret, got), 0);
	assert_memory_equal(got, address, sizeof got);
	assert_int_equal(eth_sign(secret, digest, made), 0);
	assert_memory_equal(made, signature65, sizeof made);
	memset(got, 0, sizeof got);
	assert_true(eth_recover(digest, signature65, got));
	assert_memory_equal(got, address, sizeof got);
}

static void the_last_byte_is_parity_and_nothing_else(void **state)
{
	for (unsigned v = 0; v < 256; v++) {
		uint8_t got[ETH_ADDRESS_SIZE];

		signature65[64] = (uint8_t)v;
		/* The other parity is another key, not an error. */
		assert_true(eth_recover(digest, signature65, got));
		assert_int_equal(memcmp(got, address, sizeof got) == 0, v == 0x00 || v == 0x1b);
	}
}

static const uint8_t order_n[32] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	0xff, 0xff, 0xff, 0xff, 0xfe, 0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48,
	0xa0, 0x3b, 0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41,
};

static void a_high_s_recovers_the_same_address(void **state)
{
	uint8_t got[ETH_ADDRESS_SIZE];
	int borrow = 0;

	for (int i = 31; i >= 0; i--) {
		int v = order_n[i] - signature65[32 + i] - borrow;

		borrow = v < 0;
		signature65[32 + i] = (uint8_t)v;
	}
	signature65[64] = 0x1c;
	assert_true(eth_recover(digest, signature65, got));
	assert_memory_equal(got, address, sizeof got);
}

static void r_and_s_outside_their_range_are_refused(void **state)
{
	uint8_t got[ETH_ADDRESS_SIZE], bad[ETH_SIGNATURE_SIZE];

	for (int part = 0; part < 64; part += 32) {
		memcpy(bad, signature65, sizeof bad);
		memset(bad + part, 0, 32);
		assert_false(eth_recover(digest, bad, got));
		memcpy(bad + part, order_n, 32);
		assert_false(eth_recover(digest, bad, got));
		memset(bad + part, 0xff, 32);
		assert_false(eth_recover(digest, bad, got));
	}
}

static void secrets_that_are_no_keys_are_refused(void **state)
{
	uint8_t got[ETH_ADDRESS_SIZE], made[ETH_SIGNATURE_SIZE], zero[32] = { 0 };

	assert_int_equal(eth_address(zero, got), -EINVAL);
	assert_int_equal(eth_address(order_n, got), -EINVAL);
	assert_int_equal(eth_sign(zero, digest, made), -EINVAL);
}

static void what_one_signs_is_recovered_by_all(void **state)
{
	struct random r = random_of_run();

	for (int i = 0; i < 200; i++) {
		uint8_t key[32], of_key[ETH_ADDRESS_SIZE], got[ETH_ADDRESS_SIZE];

		random_bytes(&r, key, sizeof key);
		random_bytes(&r, digest, sizeof digest);
		assert_int_equal(eth_address(key, of_key), 0);
		assert_int_equal(eth_sign(key, digest, signature65), 0);
		assert_true(eth_recover(digest, signature65, got));
		assert_memory_equal(got, of_key, sizeof got);
		digest[i % 32] ^= 1;
		if (eth_recover(digest, signature65, got))
			assert_memory_not_equal(got, of_key, sizeof got);
	}
}

static int start(void **state)
{
	/* Twice, as two parts of a program may. */
	return sign_init() || sign_init();
}

#define with_example(f) cmocka_unit_test_setup(f, load_example)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ed25519_gives_the_answers_of_rfc_8032),
		cmocka_unit_test(any_bit_changed_makes_an_ed25519_signature_false),
		cmocka_unit_test(an_s_over_the_group_order_is_refused),
		cmocka_unit_test(small_order_keys_are_refused),
		with_example(signing_and_recovering_match_the_example_of_eip_155),
		with_example(the_last_byte_is_parity_and_nothing_else),
		with_example(a_high_s_recovers_the_same_address),
		with_example(r_and_s_outside_their_range_are_refused),
		with_example(secrets_that_are_no_keys_are_refused),
		with_example(what_one_signs_is_recovered_by_all),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
