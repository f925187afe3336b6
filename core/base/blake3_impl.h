/* blake3_impl.h: what blake3.c and its engines share. Nobody else includes it but tests.
 *
 * The compression function mixes a block of 16 words into a chaining value (cv) of 8. A chunk is
 * up to 16 blocks of 64 bytes, a parent is one block made of its two children's cvs.
 * An engine is a set of functions built for one instruction set; all give the same results, the
 * best one that the machine has is taken at the first use. */
#ifndef CHAINFS_BLAKE3_IMPL_H
#define CHAINFS_BLAKE3_IMPL_H

#include "core/base/base.h"

#define BLAKE3_BLOCK_SIZE 64
#define BLAKE3_CHUNK_SIZE 1024

enum blake3_flag {
	BLAKE3_CHUNK_START = 1,
	BLAKE3_CHUNK_END   = 2,
	BLAKE3_PARENT      = 4,
	BLAKE3_ROOT        = 8,
};

extern const uint32_t blake3_iv[8];

/* Mixes whole blocks into cv, one after the other; `first_flags` are added for the first of them.
 * Flags of the last block are the caller's business: it passes that block alone. */
typedef void blake3_blocks(uint32_t cv[8], const uint8_t *blocks, size_t count, uint64_t counter,
			   uint32_t first_flags);

/* Mixes one block of `size` bytes (the rest zero) into cv. */
typedef void blake3_compress(uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE], uint32_t size,
			     uint64_t counter, uint32_t flags);

/* The cvs of `count` whole chunks that lie one behind the other, numbered from `index`. */
typedef void blake3_chunks(const uint8_t *in, size_t count, uint64_t index, uint32_t (*out)[8]);

/* The cvs of `count` parents; their children lie in pairs. `out` may be `children`. */
typedef void blake3_parents(const uint32_t (*children)[8], size_t count, uint32_t (*out)[8]);

struct blake3_engine {
	const char      *name;
	bool           (*usable)(void);
	blake3_compress *compress;
	blake3_blocks   *blocks;
	blake3_chunks   *chunks;
	blake3_parents  *parents;
};

extern const struct blake3_engine blake3_portable;
#if defined(__x86_64__)
extern const struct blake3_engine blake3_sse41, blake3_avx2, blake3_avx512;
#endif

/* All 16 words that a block gives: extendable output wants them, and is never hot. */
void blake3_wide(const uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE], uint32_t size,
		 uint64_t counter, uint32_t flags, uint32_t out[16]);

/* For tests: uses the engine of that name from now on. False when the machine lacks it. */
bool blake3_use(const char *name);
const char *blake3_engine_name(void);

#endif
