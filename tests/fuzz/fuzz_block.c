/* A Block of shard 0, as a node sends it: decode refuses it, or what it says of it is exact. */
#include "tests/fuzz/snapchain_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_block(SLICE(data, size), true);
	return 0;
}
