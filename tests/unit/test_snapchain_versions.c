#include "core/chain/snapchain/versions.h"

#include "core/chain/snapchain/params.h"
#include "tests/support/support.h"

static void a_version_begins_at_its_second(void **state)
{
	assert_int_equal(sc_engine_version(SC_MAINNET, 0), 0);
	assert_int_equal(sc_engine_version(SC_MAINNET, 1761757199), 13);
	assert_int_equal(sc_engine_version(SC_MAINNET, 1761757200), 14);
	assert_int_equal(sc_engine_version(SC_MAINNET, 1786640399), 19);
	assert_int_equal(sc_engine_version(SC_MAINNET, UINT64_MAX), 20);
	assert_int_equal(sc_engine_version(SC_TESTNET, 1748969999), 0);
	assert_int_equal(sc_engine_version(SC_TESTNET, 1748970000), 5);
	assert_int_equal(sc_engine_version(SC_TESTNET, 1786035600), 20);
}

static void other_networks_have_the_newest(void **state)
{
	assert_int_equal(sc_engine_version(SC_DEVNET, 0), SC_ENGINE_NEWEST);
	assert_int_equal(sc_engine_version(0, 0), SC_ENGINE_NEWEST);
	assert_int_equal(sc_engine_version(77, 0), SC_ENGINE_NEWEST);
}

static void headers_name_protocol_versions(void **state)
{
	static const uint8_t wanted[] = { 1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7,
					  8, 8, 8, 9, 10, 11, 12, 13, 13, 13, 13 };

	for (unsigned engine = 0; engine < ARRAY_LEN(wanted); engine++)
		assert_int_equal(sc_protocol_version(engine), wanted[engine]);
	assert_int_equal(sc_protocol_version(SC_ENGINE_NEWEST), SC_PROTOCOL_NEWEST);
}

static void networks_have_names(void **state)
{
	assert_string_equal(sc_network_name(SC_MAINNET), "mainnet");
	assert_string_equal(sc_network_name(SC_DEVNET), "devnet");
	assert_null(sc_network_name(0));
	assert_null(sc_network_name(4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_begins_at_its_second),
		cmocka_unit_test(other_networks_have_the_newest),
		cmocka_unit_test(headers_name_protocol_versions),
		cmocka_unit_test(networks_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
