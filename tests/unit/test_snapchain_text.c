#include "core/chain/snapchain/text.h"

#include "tests/support/support.h"

static void the_case_of_an_address_is_its_checksum(void **state)
{
	/* The examples of EIP-55 itself. */
	static const char *const addresses[] = {
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
		"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	};

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		uint8_t address[20];
		char text[SC_EIP55_SIZE];

		assert_int_equal(hex_get(addresses[i] + 2, 40, address, 20), 0);
		sc_eip55(address, text);
		assert_string_equal(text, addresses[i]);
	}
}

static void assert_base58(const char *hex, const char *wanted)
{
	uint8_t bytes[SC_BASE58_BYTES_MAX], back[SC_BASE58_BYTES_MAX];
	char text[SC_BASE58_TEXT_SIZE];
	size_t size = unhex(hex, bytes, sizeof bytes);

	sc_base58(SLICE(bytes, size), text);
	assert_string_equal(text, wanted);
	assert_int_equal(sc_base58_get(slice_str(wanted), back), size);
	assert_memory_equal(back, bytes, size);
}

static void base58_goes_both_ways(void **state)
{
	assert_base58("", "");
	assert_base58("00", "1");
	assert_base58("0000", "11");
	assert_base58("61", "2g");
	assert_base58("626262", "a3gV");
	assert_base58("73696d706c792061206c6f6e6720737472696e67", "2cFupjhnEsSn59qHXstmK2ffpLv2");
	assert_base58("00eb15231dfceb60925886b67d065299925915aeb172c06647",
		      "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L");
	assert_base58("10c8511e", "Rt5zm");
}

static void any_bytes_come_back_from_base58(void **state)
{
	struct random r = random_of(58);

	for (unsigned round = 0; round < 2000; round++) {
		uint8_t bytes[SC_BASE58_BYTES_MAX], back[SC_BASE58_BYTES_MAX];
		char text[SC_BASE58_TEXT_SIZE];
		size_t size = random_below(&r, sizeof bytes + 1);
		size_t zeros = random_below(&r, 5);

		random_bytes(&r, bytes, size);
		memset(bytes, 0, MIN(zeros, size));
		sc_base58(SLICE(bytes, size), text);
		assert_int_equal(sc_base58_get(slice_str(text), back), size);
		assert_memory_equal(back, bytes, size);
	}
}

static void what_is_not_base58_is_refused(void **state)
{
	uint8_t out[SC_BASE58_BYTES_MAX];
	char ones[66] = { 0 }, large[90] = { 0 };

	assert_int_equal(sc_base58_get(slice_str("0"), out), -EINVAL);
	assert_int_equal(sc_base58_get(slice_str("aI"), out), -EINVAL);
	assert_int_equal(sc_base58_get(SLICE("a\0b", 3), out), -EINVAL);
	memset(ones, '1', 65);
	assert_int_equal(sc_base58_get(slice_str(ones), out), -EINVAL);
	ones[64] = '\0';
	assert_int_equal(sc_base58_get(slice_str(ones), out), 64);
	memset(large, 'z', 89);
	assert_int_equal(sc_base58_get(slice_str(large), out), -EINVAL);
}

static void the_chains_clock_starts_in_2021(void **state)
{
	assert_int_equal(sc_time_of_unix(0), 0);
	assert_int_equal(sc_time_of_unix(SC_EPOCH - 1), 0);
	assert_int_equal(sc_time_of_unix(SC_EPOCH), 0);
	assert_int_equal(sc_time_of_unix(SC_EPOCH + 5), 5);
	assert_int_equal(sc_time_of_unix(UINT64_MAX), UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_case_of_an_address_is_its_checksum),
		cmocka_unit_test(base58_goes_both_ways),
		cmocka_unit_test(any_bytes_come_back_from_base58),
		cmocka_unit_test(what_is_not_base58_is_refused),
		cmocka_unit_test(the_chains_clock_starts_in_2021),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
