/* sign.h: signatures of the chains we read. Any thread after sign_init().
 *
 * Errors  verification answers with a bool; a malformed key or signature is false. */
#ifndef CHAINFS_SIGN_H
#define CHAINFS_SIGN_H

#include "core/base/bytes.h"

#define ED25519_KEY_SIZE       32
#define ED25519_SEED_SIZE      32
#define ED25519_SECRET_SIZE    64
#define ED25519_SIGNATURE_SIZE 64
#define ETH_ADDRESS_SIZE       20
#define ETH_SIGNATURE_SIZE     65

int sign_init(void); /* once, before any thread; -EIO when the library refuses to start */

/* libsodium's check: refuses small-order keys and a non-canonical S, like dalek's verify_strict. */
bool ed25519_verify(const uint8_t key[ED25519_KEY_SIZE],
		    const uint8_t signature[ED25519_SIGNATURE_SIZE], struct slice message);

void ed25519_from_seed(const uint8_t seed[ED25519_SEED_SIZE], uint8_t key[ED25519_KEY_SIZE],
		       uint8_t secret[ED25519_SECRET_SIZE]);
void ed25519_sign(const uint8_t secret[ED25519_SECRET_SIZE], struct slice message,
		  uint8_t signature[ED25519_SIGNATURE_SIZE]);

/* The Ethereum address whose key signed `digest`. r and s in [1, n-1]; a high s is accepted; the
 * last byte decides parity: even for 0x1b and 0x00, odd for any other value. */
bool eth_recover(const uint8_t digest[32], const uint8_t signature[ETH_SIGNATURE_SIZE],
		 uint8_t address[ETH_ADDRESS_SIZE]);

/* Plain ECDSA over secp256k1: r and s, s the lower of its two values; the key is a point,
 * compressed (33 bytes) or not (65). */
#define ECDSA_SIGNATURE_SIZE 64
bool ecdsa_verify(struct slice key, const uint8_t signature[ECDSA_SIGNATURE_SIZE],
		  const uint8_t digest[32]);
int ecdsa_key(const uint8_t secret[32], uint8_t key[33]) MUST_CHECK;
int ecdsa_sign(const uint8_t secret[32], const uint8_t digest[32],
	       uint8_t signature[ECDSA_SIGNATURE_SIZE]) MUST_CHECK;

/* For chains that we make ourselves: address of a secret key, and a 65-byte signature by it. */
int eth_address(const uint8_t secret[32], uint8_t address[ETH_ADDRESS_SIZE]) MUST_CHECK;
int eth_sign(const uint8_t secret[32], const uint8_t digest[32],
	     uint8_t signature[ETH_SIGNATURE_SIZE]) MUST_CHECK;

#endif
