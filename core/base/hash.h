/* hash.h: the hash functions of the chains we read. Pure functions, any thread. */
#ifndef CHAINFS_HASH_H
#define CHAINFS_HASH_H

#include "core/base/bytes.h"

#define HASH_SIZE   32 /* BLAKE3, SHA-256 and Keccak-256 in full */
#define HASH20_SIZE 20 /* BLAKE3 cut to 20 bytes: Snapchain messages and tries */

/* BLAKE3 (blake3.c, our own): one call, and a streaming form for data in parts. */
void hash_blake3(struct slice in, uint8_t out[HASH_SIZE]);
void hash_blake3_20(struct slice in, uint8_t out[HASH20_SIZE]);

#define BLAKE3_STACK_DEPTH 54 /* chunks of 1 KiB up to 2^64 bytes */

struct blake3 {
	uint32_t cv[8];
	uint8_t  block[64], block_size;
	uint64_t chunk_index;
	uint8_t  blocks_done, stack_count;
	uint32_t stack[BLAKE3_STACK_DEPTH + 1][8];
};

void blake3_init(struct blake3 *h);
void blake3_add(struct blake3 *h, struct slice in);
void blake3_end(const struct blake3 *h, uint8_t *out, size_t out_size); /* extendable output */

void hash_sha256(struct slice in, uint8_t out[HASH_SIZE]);

struct sha256 { /* in parts; the library's own state lies inside */
	uint64_t opaque[16];
};

void hash_sha256_init(struct sha256 *h);
void hash_sha256_add(struct sha256 *h, struct slice in);
void hash_sha256_end(struct sha256 *h, uint8_t out[HASH_SIZE]); /* and begins anew */

void hash_keccak256(struct slice in, uint8_t out[HASH_SIZE]); /* with Ethereum's older padding */

#endif
