/* A ShardChunk, as a node sends it. */
#include "tests/fuzz/snapchain_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_block(SLICE(data, size), false);
	return 0;
}
