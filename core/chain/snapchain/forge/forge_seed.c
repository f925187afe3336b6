#include "core/chain/snapchain/forge/forge_seed.h"

void forge_bytes_of(uint64_t seed, const char *label, uint64_t index, uint8_t out[HASH_SIZE])
{
	uint8_t place[16];
	struct blake3 h;

	put_be64(place, seed);
	put_be64(place + 8, index);
	blake3_init(&h);
	blake3_add(&h, slice_str("chainfs forge 1\n"));
	blake3_add(&h, SLICE_ARRAY(place));
	blake3_add(&h, slice_str(label));
	blake3_end(&h, out, HASH_SIZE);
}

struct forge_dice forge_dice_of(uint64_t seed, const char *label, uint64_t index)
{
	uint8_t bytes[HASH_SIZE];

	forge_bytes_of(seed, label, index, bytes);
	return (struct forge_dice){ get_be64(bytes) };
}

/* splitmix64: one word of state, and every start is a good one. */
uint64_t forge_roll(struct forge_dice *d)
{
	uint64_t v = d->state += 0x9e3779b97f4a7c15u;

	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
	return v ^ (v >> 31);
}

uint32_t forge_below(struct forge_dice *d, uint32_t bound)
{
	assert(bound > 0);
	return (uint32_t)(((forge_roll(d) >> 32) * bound) >> 32);
}

void forge_key_of(uint64_t seed, const char *label, uint64_t index, struct forge_key *out)
{
	uint8_t bytes[ED25519_SEED_SIZE];

	forge_bytes_of(seed, label, index, bytes);
	ed25519_from_seed(bytes, out->key, out->secret);
}

void forge_wallet_of(uint64_t seed, const char *label, uint64_t index, struct forge_wallet *out)
{
	forge_bytes_of(seed, label, index, out->secret);
	/* A hash is no secret key once in 2^128: its first bit is cleared and it is not zero. */
	out->secret[0] &= 0x7f;
	int rc = eth_address(out->secret, out->address);
	assert(rc == 0);
	(void)rc;
}
