/* forge_seed.h: chance and secrets of a chain that we make: functions of its seed alone.
 *
 * Nothing here depends on the machine, so that the same seed gives the same bytes everywhere.
 * Never for a chain that matters: whoever knows the seed knows every secret.
 * Threads  a struct forge_dice belongs to one; the rest is pure, after sign_init(). */
#ifndef CHAINFS_SNAPCHAIN_FORGE_SEED_H
#define CHAINFS_SNAPCHAIN_FORGE_SEED_H

#include "core/base/bytes.h"
#include "core/base/hash.h"
#include "core/base/sign.h"

struct forge_dice {
	uint64_t state;
};

struct forge_dice forge_dice_of(uint64_t seed, const char *label, uint64_t index);
uint64_t forge_roll(struct forge_dice *d);
uint32_t forge_below(struct forge_dice *d, uint32_t bound); /* 0 to bound - 1; bound > 0 */

struct forge_key { /* Ed25519: signs messages and votes */
	uint8_t key[ED25519_KEY_SIZE];
	uint8_t secret[ED25519_SECRET_SIZE];
};

struct forge_wallet { /* secp256k1: owns an account */
	uint8_t secret[32];
	uint8_t address[ETH_ADDRESS_SIZE];
};

/* 32 bytes that (seed, label, index) name. */
void forge_bytes_of(uint64_t seed, const char *label, uint64_t index, uint8_t out[HASH_SIZE]);
void forge_key_of(uint64_t seed, const char *label, uint64_t index, struct forge_key *out);
void forge_wallet_of(uint64_t seed, const char *label, uint64_t index, struct forge_wallet *out);

#endif
