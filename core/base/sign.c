#include "core/base/sign.h"

#include <secp256k1.h>
#include <secp256k1_recovery.h>
#include <sodium.h>

#include "core/base/hash.h"

/* Made once before any thread, then only read, which the library allows from many threads. */
static secp256k1_context *secp;

int sign_init(void)
{
	uint8_t seed[32];

	if (secp)
		return 0;
	if (sodium_init() < 0)
		return -EIO;
	secp256k1_context *made =
		secp256k1_context_create(SECP256K1_CONTEXT_SIGN | SECP256K1_CONTEXT_VERIFY);

	if (!made)
		return -EIO;
	/* Blinds the signing against side channels; it changes no result. */
	randombytes_buf(seed, sizeof seed);
	if (!secp256k1_context_randomize(made, seed)) {
		secp256k1_context_destroy(made);
		return -EIO;
	}
	sodium_memzero(seed, sizeof seed);
	secp = made;
	return 0;
}

bool ed25519_verify(const uint8_t key[ED25519_KEY_SIZE],
		    const uint8_t signature[ED25519_SIGNATURE_SIZE], struct slice message)
{
	return crypto_sign_ed25519_verify_detached(signature, message.p, message.n, key) == 0;
}

void ed25519_from_seed(const uint8_t seed[ED25519_SEED_SIZE], uint8_t key[ED25519_KEY_SIZE],
		       uint8_t secret[ED25519_SECRET_SIZE])
{
	crypto_sign_ed25519_seed_keypair(key, secret, seed);
}

void ed25519_sign(const uint8_t secret[ED25519_SECRET_SIZE], struct slice message,
		  uint8_t signature[ED25519_SIGNATURE_SIZE])
{
	crypto_sign_ed25519_detached(signature, NULL, message.p, message.n, secret);
}

static void address_of(const secp256k1_pubkey *key, uint8_t address[ETH_ADDRESS_SIZE])
{
	uint8_t point[65], hash[HASH_SIZE];
	size_t size = sizeof point;

	secp256k1_ec_pubkey_serialize(secp, point, &size, key, SECP256K1_EC_UNCOMPRESSED);
	hash_keccak256(SLICE(point + 1, sizeof point - 1), hash);
	memcpy(address, hash + HASH_SIZE - ETH_ADDRESS_SIZE, ETH_ADDRESS_SIZE);
}

bool eth_recover(const uint8_t digest[32], const uint8_t signature[ETH_SIGNATURE_SIZE],
		 uint8_t address[ETH_ADDRESS_SIZE])
{
	secp256k1_ecdsa_recoverable_signature parsed;
	secp256k1_pubkey key;
	uint8_t v = signature[64];
	int parity = v != 0x1b && v != 0x00;

	assert(secp);
	/* The library's parser wants r and s below n; recovery then refuses a zero. */
	if (!secp256k1_ecdsa_recoverable_signature_parse_compact(secp, &parsed, signature, parity))
		return false;
	if (!secp256k1_ecdsa_recover(secp, &key, &parsed, digest))
		return false;
	address_of(&key, address);
	return true;
}

int eth_address(const uint8_t secret[32], uint8_t address[ETH_ADDRESS_SIZE])
{
	secp256k1_pubkey key;

	assert(secp);
	if (!secp256k1_ec_pubkey_create(secp, &key, secret))
		return -EINVAL;
	address_of(&key, address);
	return 0;
}

int eth_sign(const uint8_t secret[32], const uint8_t digest[32],
	     uint8_t signature[ETH_SIGNATURE_SIZE])
{
	secp256k1_ecdsa_recoverable_signature made;
	int parity;

	assert(secp);
	if (!secp256k1_ecdsa_sign_recoverable(secp, &made, digest, secret, NULL, NULL))
		return -EINVAL;
	secp256k1_ecdsa_recoverable_signature_serialize_compact(secp, signature, &parity, &made);
	/* r over n happens once in 2^127 signatures, and 65 bytes have no word for it. */
	if (parity > 1)
		return -EINVAL;
	signature[64] = (uint8_t)(0x1b + parity);
	return 0;
}

bool ecdsa_verify(struct slice key, const uint8_t signature[ECDSA_SIGNATURE_SIZE],
		  const uint8_t digest[32])
{
	secp256k1_ecdsa_signature parsed;
	secp256k1_pubkey point;

	assert(secp);
	/* The library verifies the lower s alone. */
	return secp256k1_ec_pubkey_parse(secp, &point, key.p, key.n) &&
	       secp256k1_ecdsa_signature_parse_compact(secp, &parsed, signature) &&
	       secp256k1_ecdsa_verify(secp, &parsed, digest, &point);
}

int ecdsa_key(const uint8_t secret[32], uint8_t key[33])
{
	secp256k1_pubkey point;
	size_t size = 33;

	if (!secp256k1_ec_pubkey_create(secp, &point, secret))
		return -EINVAL;
	secp256k1_ec_pubkey_serialize(secp, key, &size, &point, SECP256K1_EC_COMPRESSED);
	return 0;
}

int ecdsa_sign(const uint8_t secret[32], const uint8_t digest[32],
	       uint8_t signature[ECDSA_SIGNATURE_SIZE])
{
	secp256k1_ecdsa_signature made;

	if (!secp256k1_ecdsa_sign(secp, &made, digest, secret, NULL, NULL))
		return -EINVAL;
	secp256k1_ecdsa_signature_serialize_compact(secp, signature, &made);
	return 0;
}
