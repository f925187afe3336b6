#include "core/chain/snapchain/versions.h"

#include "core/chain/snapchain/params.h"

struct switch_time {
	uint64_t active_at; /* unix seconds */
	unsigned engine_version;
};

/* Ascending; of equal times the last counts. */
static const struct switch_time mainnet[] = {
	{ 0, 0 },
	{ 1747333800, 1 },
	{ 1747352400, 2 },
	{ 1747356000, 3 },
	{ 1747417200, 4 },
	{ 1750093200, 5 },
	{ 1752685200, 6 },
	{ 1756141200, 7 },
	{ 1756918800, 8 },
	{ 1757523600, 9 },
	{ 1758733200, 10 },
	{ 1759942800, 13 }, /* 11 and 12 took effect at the same second */
	{ 1761757200, 14 },
	{ 1765386000, 15 },
	{ 1778173200, 16 },
	{ 1780592400, 17 },
	{ 1782147600, 18 },
	{ 1785160800, 19 },
	{ 1786640400, 20 },
};

static const struct switch_time testnet[] = {
	{ 0, 0 },
	{ 1748970000, 5 },
	{ 1752099060, 6 },
	{ 1755291600, 7 },
	{ 1755709200, 8 },
	{ 1756918800, 9 },
	{ 1757523600, 10 },
	{ 1758733200, 11 },
	{ 1758763200, 12 },
	{ 1758906000, 13 },
	{ 1761152400, 14 },
	{ 1764783794, 15 },
	{ 1777406400, 16 },
	{ 1779382800, 17 },
	{ 1781283600, 18 },
	{ 1784124000, 19 },
	{ 1786035600, 20 },
};

static const struct schedule {
	const char               *name;
	const struct switch_time *switches;
	size_t                    switch_count;
} schedules[] = {
	[SC_MAINNET] = { "mainnet", mainnet, ARRAY_LEN(mainnet) },
	[SC_TESTNET] = { "testnet", testnet, ARRAY_LEN(testnet) },
	[SC_DEVNET] = { "devnet", NULL, 0 },
};

static const uint8_t protocol_versions[SC_ENGINE_NEWEST + 1] = {
	1, 1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 9, 10, 11, 12, 13, 13, 13, 13
};

unsigned sc_engine_version(uint32_t network, uint64_t unix_s)
{
	if (network >= ARRAY_LEN(schedules) || !schedules[network].switches)
		return SC_ENGINE_NEWEST;
	const struct schedule *s = &schedules[network];
	unsigned version = 0;

	for (size_t i = 0; i < s->switch_count && s->switches[i].active_at <= unix_s; i++)
		version = s->switches[i].engine_version;
	return version;
}

uint32_t sc_protocol_version(unsigned engine_version)
{
	return protocol_versions[MIN(engine_version, SC_ENGINE_NEWEST)];
}

const char *sc_network_name(uint32_t network)
{
	return network < ARRAY_LEN(schedules) ? schedules[network].name : NULL;
}
