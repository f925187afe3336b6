/* blake3_simd.h: an engine in GCC vector extensions, built once for each instruction set.
 *
 * blake3_sse41.c, blake3_avx2.c and blake3_avx512.c define ENGINE (the engine's symbol),
 * USABLE (what __builtin_cpu_supports() must say) and LANES_MOST, then include this file; the flags
 * of each are in the Makefile. Little-endian only.
 *
 * Two ways to be parallel. One block: the 4x4 state is four row vectors, and a round mixes the four
 * columns at once, then the four diagonals. Many chunks or parents: one vector is the same state
 * word of as many inputs as there are lanes, and nothing is ever shuffled but input and output. */
#include "core/base/blake3_impl.h"

#define INLINE static inline __attribute__((always_inline))

/* ---- one block ---- */

typedef uint32_t row __attribute__((vector_size(16)));
typedef uint8_t row_bytes __attribute__((vector_size(16)));

#define PICK(a, b, i, j, k, l) __builtin_shufflevector((a), (b), i, j, k, l)
#define TURN(a, i, j, k, l) __builtin_shufflevector((a), (a), i, j, k, l)

INLINE row row_at(const void *p)
{
	row v;

	memcpy(&v, p, sizeof v);
	return v;
}

/* Without a rotate instruction, whole bytes are moved by one shuffle. */
INLINE row row_rotate(row v, int bits)
{
#ifndef __AVX512VL__
	if (bits == 16)
		return (row)__builtin_shufflevector((row_bytes)v, (row_bytes)v, 2, 3, 0, 1, 6, 7, 4,
						    5, 10, 11, 8, 9, 14, 15, 12, 13);
	if (bits == 8)
		return (row)__builtin_shufflevector((row_bytes)v, (row_bytes)v, 1, 2, 3, 0, 5, 6, 7,
						    4, 9, 10, 11, 8, 13, 14, 15, 12);
#endif
	return v >> bits | v << (32 - bits);
}

#define ROW_MIX(x, y)                                                                          \
	do {                                                                                   \
		r0 += (x);                                                                     \
		r0 += r1;                                                                      \
		r3 = row_rotate(r3 ^ r0, 16);                                                  \
		r2 += r3;                                                                      \
		r1 = row_rotate(r1 ^ r2, 12);                                                  \
		r0 += (y);                                                                     \
		r0 += r1;                                                                      \
		r3 = row_rotate(r3 ^ r0, 8);                                                   \
		r2 += r3;                                                                      \
		r1 = row_rotate(r1 ^ r2, 7);                                                   \
	} while (0)

/* The diagonals become columns by turning the other rows against r1, because r1 is ready last and
 * waits for nothing so. Lane 0 then holds the fourth diagonal, which the words below allow for. */
#define ROW_ROUND()                                                                            \
	do {                                                                                   \
		ROW_MIX(a, b);                                                                 \
		r0 = TURN(r0, 3, 0, 1, 2);                                                     \
		r3 = TURN(r3, 2, 3, 0, 1);                                                     \
		r2 = TURN(r2, 1, 2, 3, 0);                                                     \
		ROW_MIX(c, d);                                                                 \
		r0 = TURN(r0, 1, 2, 3, 0);                                                     \
		r3 = TURN(r3, 2, 3, 0, 1);                                                     \
		r2 = TURN(r2, 3, 0, 1, 2);                                                     \
	} while (0)

/* The message words of a round, as its four mixes take them:
 *     a = 0 2 4 6     b = 1 3 5 7     c = 14 8 10 12     d = 15 9 11 13
 * and the same of the next round, whose word i is this round's word 2 6 3 10 7 0 4 13 1 11 12 5 9
 * 14 15 8:
 *     a = 2 3 7 4     b = 6 10 0 13   c = 15 1 12 9      d = 8 11 5 14 */
#define ROW_PERMUTE()                                                                          \
	do {                                                                                   \
		row a0 = a, b0 = b, c0 = c, d0 = d;                                            \
		row ca = PICK(a0, c0, 3, 6, 0, 6), bd = PICK(d0, b0, 0, 4, 0, 1);              \
		a = TURN(PICK(a0, b0, 1, 2, 5, 7), 0, 2, 3, 1);                                \
		b = PICK(ca, d0, 0, 1, 2, 7);                                                  \
		c = PICK(bd, PICK(c0, d0, 3, 3, 5, 5), 0, 1, 4, 6);                            \
		d = TURN(PICK(PICK(c0, d0, 1, 0, 6, 6), b0, 0, 1, 2, 6), 0, 2, 3, 1);          \
	} while (0)

INLINE void row_compress(row *low, row *high, const uint8_t *block, uint32_t size, uint64_t counter,
			 uint32_t flags)
{
	row m0 = row_at(block), m1 = row_at(block + 16), m2 = row_at(block + 32),
	    m3 = row_at(block + 48);
	row a = PICK(m0, m1, 0, 2, 4, 6), b = PICK(m0, m1, 1, 3, 5, 7);
	row c = TURN(PICK(m2, m3, 0, 2, 4, 6), 3, 0, 1, 2);
	row d = TURN(PICK(m2, m3, 1, 3, 5, 7), 3, 0, 1, 2);
	row r0 = *low, r1 = *high, r2 = row_at(blake3_iv);
	row r3 = { (uint32_t)counter, (uint32_t)(counter >> 32), size, flags };

	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	ROW_PERMUTE();
	ROW_ROUND();
	*low = r0 ^ r2;
	*high = r1 ^ r3;
}

static void compress(uint32_t cv[8], const uint8_t block[BLAKE3_BLOCK_SIZE], uint32_t size,
		     uint64_t counter, uint32_t flags)
{
	row low = row_at(cv), high = row_at(cv + 4);

	row_compress(&low, &high, block, size, counter, flags);
	memcpy(cv, &low, sizeof low);
	memcpy(cv + 4, &high, sizeof high);
}

static void blocks(uint32_t cv[8], const uint8_t *in, size_t count, uint64_t counter,
		   uint32_t first_flags)
{
	row low = row_at(cv), high = row_at(cv + 4);

	for (; count > 0; count--, in += BLAKE3_BLOCK_SIZE) {
		row_compress(&low, &high, in, BLAKE3_BLOCK_SIZE, counter, first_flags);
		first_flags = 0;
	}
	memcpy(cv, &low, sizeof low);
	memcpy(cv + 4, &high, sizeof high);
}

/* ---- many at once ---- */

/* What all inputs of one call have in common: chunks are 16 blocks 1,024 bytes apart and counted,
 * parents one block 64 bytes apart and all numbered 0. */
struct job {
	size_t   stride, blocks;
	uint64_t counter;
	bool     counts;
	uint32_t flags, first_flags, last_flags;
};

#define LANES 4
#include "core/base/blake3_lanes.h"
#undef LANES

#if LANES_MOST >= 8
#define LANES 8
#include "core/base/blake3_lanes.h"
#undef LANES
#endif

#if LANES_MOST >= 16
#define LANES 16
#include "core/base/blake3_lanes.h"
#undef LANES
#endif

/* Lanes that would be idle do the last input once more, into a place nobody reads: four lanes cost
 * little more than one. */
static void run(const uint8_t *in, size_t count, struct job job, uint32_t (*out)[8])
{
	while (count) {
		size_t lanes = 4;

#if LANES_MOST >= 16
		if (count > 8)
			lanes = 16;
		else
#endif
#if LANES_MOST >= 8
		if (count > 4)
			lanes = 8;
#endif
		const uint8_t *at[LANES_MOST];
		uint32_t cvs[LANES_MOST][8];
		size_t n = MIN(count, lanes);

		for (size_t i = 0; i < lanes; i++)
			at[i] = in + MIN(i, n - 1) * job.stride;
#if LANES_MOST >= 16
		if (lanes == 16)
			lanes_16(at, &job, cvs);
		else
#endif
#if LANES_MOST >= 8
		if (lanes == 8)
			lanes_8(at, &job, cvs);
		else
#endif
			lanes_4(at, &job, cvs);
		memcpy(out, cvs, n * sizeof *out);
		in += n * job.stride;
		out += n;
		count -= n;
		if (job.counts)
			job.counter += n;
	}
}

static void chunks(const uint8_t *in, size_t count, uint64_t index, uint32_t (*out)[8])
{
	if (count == 1) {
		memcpy(*out, blake3_iv, sizeof *out);
		blocks(*out, in, 15, index, BLAKE3_CHUNK_START);
		compress(*out, in + 15 * BLAKE3_BLOCK_SIZE, BLAKE3_BLOCK_SIZE, index,
			 BLAKE3_CHUNK_END);
		return;
	}
	run(in, count,
	    (struct job){ BLAKE3_CHUNK_SIZE, 16, index, true, 0, BLAKE3_CHUNK_START,
			  BLAKE3_CHUNK_END },
	    out);
}

static void parents(const uint32_t (*children)[8], size_t count, uint32_t (*out)[8])
{
	if (count == 1) {
		uint32_t cv[8];

		memcpy(cv, blake3_iv, sizeof cv);
		compress(cv, (const uint8_t *)children, BLAKE3_BLOCK_SIZE, 0, BLAKE3_PARENT);
		memcpy(*out, cv, sizeof cv);
		return;
	}
	run((const uint8_t *)children, count,
	    (struct job){ BLAKE3_BLOCK_SIZE, 1, 0, false, BLAKE3_PARENT, 0, 0 }, out);
}

static bool usable(void)
{
	return USABLE;
}

const struct blake3_engine ENGINE = { ENGINE_NAME, usable, compress, blocks, chunks, parents };
