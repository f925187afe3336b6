/* text.h: the chain's own ways of writing addresses, and its clock. */
#ifndef CHAINFS_SNAPCHAIN_TEXT_H
#define CHAINFS_SNAPCHAIN_TEXT_H

#include "core/chain/snapchain/message.h"

#define SC_EIP55_SIZE 43 /* "0x", 40 digits, NUL */

/* An Ethereum address whose letters' case is a checksum: upper where Keccak-256 of the lower-case
 * digits has a nibble of 8 or more. */
void sc_eip55(const uint8_t address[20], char out[SC_EIP55_SIZE]);

#define SC_BASE58_BYTES_MAX 64
#define SC_BASE58_TEXT_SIZE 90 /* of 64 bytes, with NUL */

/* Base58 as Bitcoin and Solana write it: no 0, O, I, l; a zero byte in front is a 1. At most
 * SC_BASE58_BYTES_MAX bytes. */
void sc_base58(struct slice bytes, char out[SC_BASE58_TEXT_SIZE]);
/* How many bytes the text says, up to SC_BASE58_BYTES_MAX, or -EINVAL. */
int  sc_base58_get(struct slice text, uint8_t out[SC_BASE58_BYTES_MAX]) MUST_CHECK;

/* Farcaster seconds of a unix time, held to what 32 bits say; 0 before the epoch. */
uint32_t sc_time_of_unix(uint64_t unix_s);

#endif
