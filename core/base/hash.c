#include "core/base/hash.h"

#include <nettle/sha2.h>
#include <nettle/sha3.h>
#include <sodium/crypto_hash_sha256.h>

void hash_sha256(struct slice in, uint8_t out[HASH_SIZE])
{
	crypto_hash_sha256(out, in.p, in.n);
}

/* Of whole files: this library's uses the processor's own instructions where it has them. */
static_assert(sizeof(struct sha256_ctx) <= sizeof(struct sha256), "the library's state has room");
static_assert(SHA256_DIGEST_SIZE == HASH_SIZE, "a digest is a hash");

void hash_sha256_init(struct sha256 *h)
{
	nettle_sha256_init((struct sha256_ctx *)(void *)h->opaque);
}

void hash_sha256_add(struct sha256 *h, struct slice in)
{
	nettle_sha256_update((struct sha256_ctx *)(void *)h->opaque, in.n, in.p);
}

void hash_sha256_end(struct sha256 *h, uint8_t out[HASH_SIZE])
{
	nettle_sha256_digest((struct sha256_ctx *)(void *)h->opaque, HASH_SIZE, out);
}

/* Ethereum settled on Keccak before SHA-3 changed its padding from 0x01 to 0x06. The library does
 * only the latter, so the sponge is driven here: 1,088 bits of rate, lanes of little-endian. */
#define KECCAK_RATE 136

static void absorb(struct sha3_state *state, const uint8_t block[KECCAK_RATE])
{
	for (size_t i = 0; i < KECCAK_RATE / 8; i++) {
		uint64_t lane;

		memcpy(&lane, block + 8 * i, sizeof lane);
		if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
			lane = __builtin_bswap64(lane);
		state->a[i] ^= lane;
	}
	nettle_sha3_permute(state);
}

void hash_keccak256(struct slice in, uint8_t out[HASH_SIZE])
{
	struct sha3_state state = { { 0 } };
	uint8_t last[KECCAK_RATE] = { 0 };

	for (; in.n >= KECCAK_RATE; in = SLICE(in.p + KECCAK_RATE, in.n - KECCAK_RATE))
		absorb(&state, in.p);
	if (in.n)
		memcpy(last, in.p, in.n);
	last[in.n] ^= 0x01;
	last[KECCAK_RATE - 1] ^= 0x80;
	absorb(&state, last);
	for (size_t i = 0; i < HASH_SIZE; i++)
		out[i] = (uint8_t)(state.a[i / 8] >> (8 * (i % 8)));
}
