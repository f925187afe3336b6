/* The engine for every machine, and the one to read first: BLAKE3 word by word. */
#include "core/base/blake3_impl.h"

static uint32_t load_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint32_t rotate(uint32_t v, unsigned bits)
{
	return v >> bits | v << (32 - bits);
}

static inline void mix(uint32_t v[16], int a, int b, int c, int d, uint32_t x, uint32_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 12);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 8);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 7);
}

/* After each round the message words change places: word i of the next is word permutation[i]. */
static const uint8_t permutation[16] = { 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8 };

/* The state after all rounds; what becomes of it differs between a cv and root output. */
static void mixed(uint32_t v[16], const uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE],
		  uint32_t size, uint64_t counter, uint32_t flags)
{
	uint32_t m[16];

	memcpy(v, cv, 8 * sizeof *v);
	memcpy(v + 8, blake3_iv, 4 * sizeof *v);
	v[12] = (uint32_t)counter;
	v[13] = (uint32_t)(counter >> 32);
	v[14] = size;
	v[15] = flags;

	for (int i = 0; i < 16; i++)
		m[i] = load_le32(block + 4 * i);
	for (int round = 0;; round++) {
		mix(v, 0, 4, 8, 12, m[0], m[1]);
		mix(v, 1, 5, 9, 13, m[2], m[3]);
		mix(v, 2, 6, 10, 14, m[4], m[5]);
		mix(v, 3, 7, 11, 15, m[6], m[7]);
		mix(v, 0, 5, 10, 15, m[8], m[9]);
		mix(v, 1, 6, 11, 12, m[10], m[11]);
		mix(v, 2, 7, 8, 13, m[12], m[13]);
		mix(v, 3, 4, 9, 14, m[14], m[15]);
		if (round == 6)
			break;
		uint32_t moved[16];

		for (int i = 0; i < 16; i++)
			moved[i] = m[permutation[i]];
		memcpy(m, moved, sizeof m);
	}
}

static void compress(uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE], uint32_t size,
		     uint64_t counter, uint32_t flags)
{
	uint32_t v[16];

	mixed(v, cv, block, size, counter, flags);
	for (int i = 0; i < 8; i++)
		cv[i] = v[i] ^ v[i + 8];
}

void blake3_wide(const uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE], uint32_t size,
		 uint64_t counter, uint32_t flags, uint32_t out[16])
{
	mixed(out, cv, block, size, counter, flags);
	for (int i = 0; i < 8; i++) {
		out[i] ^= out[i + 8];
		out[i + 8] ^= cv[i];
	}
}

static void blocks(uint32_t cv[8], const uint8_t *in, size_t count, uint64_t counter,
		   uint32_t first_flags)
{
	for (size_t i = 0; i < count; i++)
		compress(cv, in + i * BLAKE3_BLOCK_SIZE, BLAKE3_BLOCK_SIZE, counter,
			 i == 0 ? first_flags : 0);
}

static void chunks(const uint8_t *in, size_t count, uint64_t index, uint32_t (*out)[8])
{
	for (size_t i = 0; i < count; i++, in += BLAKE3_CHUNK_SIZE) {
		memcpy(out[i], blake3_iv, sizeof out[i]);
		blocks(out[i], in, 15, index + i, BLAKE3_CHUNK_START);
		compress(out[i], in + 15 * BLAKE3_BLOCK_SIZE, BLAKE3_BLOCK_SIZE, index + i,
			 BLAKE3_CHUNK_END);
	}
}

static void parents(const uint32_t (*children)[8], size_t count, uint32_t (*out)[8])
{
	for (size_t i = 0; i < count; i++) {
		uint8_t block[BLAKE3_BLOCK_SIZE];
		uint32_t cv[8];

		for (int k = 0; k < 16; k++) {
			uint32_t word = children[2 * i + k / 8][k % 8];

			for (int byte = 0; byte < 4; byte++)
				block[4 * k + byte] = (uint8_t)(word >> (8 * byte));
		}
		memcpy(cv, blake3_iv, sizeof cv);
		compress(cv, block, BLAKE3_BLOCK_SIZE, 0, BLAKE3_PARENT);
		memcpy(out[i], cv, sizeof cv);
	}
}

static bool usable(void)
{
	return true;
}

const struct blake3_engine blake3_portable = {
	"portable", usable, compress, blocks, chunks, parents,
};
