/* blake3_lanes.h: as many inputs at once as LANES says; included by blake3_simd.h once a width. */

#define LANE_NAME(name) BASE_CONCAT(name##_, LANES)
#define vec LANE_NAME(vec)

typedef uint32_t vec __attribute__((vector_size(4 * LANES)));

INLINE vec LANE_NAME(splat)(uint32_t v)
{
	return v - (vec){ 0 };
}

INLINE vec LANE_NAME(rotate)(vec v, int bits)
{
#ifndef __AVX512VL__
	typedef uint8_t bytes __attribute__((vector_size(4 * LANES)));

#if LANES == 4
	if (bits == 16)
		return (vec)__builtin_shufflevector((bytes)v, (bytes)v,
					2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
	if (bits == 8)
		return (vec)__builtin_shufflevector((bytes)v, (bytes)v,
					1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12);
#elif LANES == 8
	if (bits == 16)
		return (vec)__builtin_shufflevector((bytes)v, (bytes)v,
					2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 18,
					19, 16, 17, 22, 23, 20, 21, 26, 27, 24, 25, 30, 31, 28, 29);
	if (bits == 8)
		return (vec)__builtin_shufflevector((bytes)v, (bytes)v,
					1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 17,
					18, 19, 16, 21, 22, 23, 20, 25, 26, 27, 24, 29, 30, 31, 28);
#endif
#endif
	return v >> bits | v << (32 - bits);
}

/* Puts the words of a and b side by side by pairs, within each 16 bytes: those are the shuffles
 * that cost one cycle on every machine. */
#if LANES == 4
#define WORDS_LOW(a, b)  __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define WORDS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#define PAIRS_LOW(a, b)  __builtin_shufflevector(a, b, 0, 1, 4, 5)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 6, 7)
#elif LANES == 8
#define WORDS_LOW(a, b)  __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define WORDS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define PAIRS_LOW(a, b)  __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define PAIRS_HIGH(a, b) __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define WORDS_LOW(a, b)                                                                        \
	__builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define WORDS_HIGH(a, b)                                                                       \
	__builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define PAIRS_LOW(a, b)                                                                        \
	__builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define PAIRS_HIGH(a, b)                                                                       \
	__builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#endif

/* Four rows of words a b c d, 16 bytes of each, become four columns. */
#define SQUARE(v0, v1, v2, v3)                                                                 \
	do {                                                                                   \
		vec l0 = WORDS_LOW(v0, v1), h0 = WORDS_HIGH(v0, v1);                           \
		vec l1 = WORDS_LOW(v2, v3), h1 = WORDS_HIGH(v2, v3);                           \
		v0 = PAIRS_LOW(l0, l1);                                                        \
		v1 = PAIRS_HIGH(l0, l1);                                                       \
		v2 = PAIRS_LOW(h0, h1);                                                        \
		v3 = PAIRS_HIGH(h0, h1);                                                       \
	} while (0)

/* A vector whose k-th 16 bytes come from input 4k + i, at byte `at`: with the pieces gathered like
 * that, squares are all that is left of a transposition. */
INLINE vec LANE_NAME(gather)(const uint8_t *const *in, size_t i, size_t at)
{
	row p0 = row_at(in[i] + at);

#if LANES == 4
	return p0;
#else
	row p1 = row_at(in[i + 4] + at);
#if LANES == 8
	return __builtin_shufflevector(p0, p1, 0, 1, 2, 3, 4, 5, 6, 7);
#else
	row p2 = row_at(in[i + 8] + at), p3 = row_at(in[i + 12] + at);
	typedef uint32_t half __attribute__((vector_size(32)));
	half h0 = __builtin_shufflevector(p0, p1, 0, 1, 2, 3, 4, 5, 6, 7);
	half h1 = __builtin_shufflevector(p2, p3, 0, 1, 2, 3, 4, 5, 6, 7);

	return __builtin_shufflevector(h0, h1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
				       15);
#endif
#endif
}

/* Word w of every input's block at `at`, for all sixteen w. */
INLINE void LANE_NAME(load)(vec m[16], const uint8_t *const *in, size_t at)
{
#pragma GCC unroll 4
	for (size_t q = 0; q < 4; q++) {
		vec v0 = LANE_NAME(gather)(in, 0, at + 16 * q);
		vec v1 = LANE_NAME(gather)(in, 1, at + 16 * q);
		vec v2 = LANE_NAME(gather)(in, 2, at + 16 * q);
		vec v3 = LANE_NAME(gather)(in, 3, at + 16 * q);

		SQUARE(v0, v1, v2, v3);
		m[4 * q] = v0;
		m[4 * q + 1] = v1;
		m[4 * q + 2] = v2;
		m[4 * q + 3] = v3;
	}
}

#define MIX(a, b, c, d, x, y)                                                                  \
	do {                                                                                   \
		v[a] += v[b] + m[x];                                                           \
		v[d] = LANE_NAME(rotate)(v[d] ^ v[a], 16);                                     \
		v[c] += v[d];                                                                  \
		v[b] = LANE_NAME(rotate)(v[b] ^ v[c], 12);                                     \
		v[a] += v[b] + m[y];                                                           \
		v[d] = LANE_NAME(rotate)(v[d] ^ v[a], 8);                                      \
		v[c] += v[d];                                                                  \
		v[b] = LANE_NAME(rotate)(v[b] ^ v[c], 7);                                      \
	} while (0)

/* Which message word stands where in this round: the permutation done by hand, so that every index
 * is a constant. */
#define ROUND(w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, wa, wb, wc, wd, we, wf)                  \
	do {                                                                                   \
		MIX(0, 4, 8, 12, w0, w1);                                                      \
		MIX(1, 5, 9, 13, w2, w3);                                                      \
		MIX(2, 6, 10, 14, w4, w5);                                                     \
		MIX(3, 7, 11, 15, w6, w7);                                                     \
		MIX(0, 5, 10, 15, w8, w9);                                                     \
		MIX(1, 6, 11, 12, wa, wb);                                                     \
		MIX(2, 7, 8, 13, wc, wd);                                                      \
		MIX(3, 4, 9, 14, we, wf);                                                      \
	} while (0)

static void LANE_NAME(lanes)(const uint8_t *const *in, const struct job *job, uint32_t (*out)[8])
{
	vec h[8], low, high;

#pragma GCC unroll 8
	for (int i = 0; i < 8; i++)
		h[i] = LANE_NAME(splat)(blake3_iv[i]);
	for (unsigned i = 0; i < LANES; i++) {
		uint64_t counter = job->counter + (job->counts ? i : 0);

		low[i] = (uint32_t)counter;
		high[i] = (uint32_t)(counter >> 32);
	}
	for (size_t block = 0; block < job->blocks; block++) {
		uint32_t flags = job->flags | (block == 0 ? job->first_flags : 0) |
				 (block == job->blocks - 1 ? job->last_flags : 0);
		vec m[16], v[16];

		LANE_NAME(load)(m, in, block * BLAKE3_BLOCK_SIZE);
#pragma GCC unroll 8
		for (int i = 0; i < 8; i++)
			v[i] = h[i];
#pragma GCC unroll 4
		for (int i = 0; i < 4; i++)
			v[8 + i] = LANE_NAME(splat)(blake3_iv[i]);
		v[12] = low;
		v[13] = high;
		v[14] = LANE_NAME(splat)(BLAKE3_BLOCK_SIZE);
		v[15] = LANE_NAME(splat)(flags);
		ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
		ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
		ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1);
		ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6);
		ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4);
		ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7);
		ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13);
#pragma GCC unroll 8
		for (int i = 0; i < 8; i++)
			h[i] = v[i] ^ v[i + 8];
	}
	/* Back to one cv an input: 16 bytes of h[0..3] and of h[4..7] each. */
	SQUARE(h[0], h[1], h[2], h[3]);
	SQUARE(h[4], h[5], h[6], h[7]);
#pragma GCC unroll 4
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned k = 0; k < LANES / 4; k++) {
			memcpy(out[4 * k + i], (const uint8_t *)&h[i] + 16 * k, 16);
			memcpy(out[4 * k + i] + 4, (const uint8_t *)&h[4 + i] + 16 * k, 16);
		}
	}
}

#undef LANE_NAME
#undef vec
#undef WORDS_LOW
#undef WORDS_HIGH
#undef PAIRS_LOW
#undef PAIRS_HIGH
#undef SQUARE
#undef MIX
#undef ROUND
