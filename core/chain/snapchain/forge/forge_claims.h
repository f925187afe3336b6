/* forge_claims.h: what wallets sign for the chain that we make (EIP-712).
 *
 * Written from the texts of the types and domains, sharing nothing with the code that checks claims
 * by their constants: a mistake in either shows as a refused message.
 * Pure functions, after sign_init(). */
#ifndef CHAINFS_SNAPCHAIN_FORGE_CLAIMS_H
#define CHAINFS_SNAPCHAIN_FORGE_CLAIMS_H

#include "core/chain/snapchain/forge/forge_seed.h"
#include "proto/snapchain.pb-c.h"

/* `by` signs that it is an address of fid's. */
void forge_claim_address(uint64_t fid, const struct forge_wallet *by,
			 const uint8_t block_hash[HASH_SIZE], uint8_t network,
			 uint8_t signature[ETH_SIGNATURE_SIZE]);
/* `by`, the registry, signs that `owner` has had the name since `time` (unix). */
void forge_claim_name(struct slice name, uint64_t time, const struct forge_wallet *by,
		      const uint8_t owner[ETH_ADDRESS_SIZE], uint8_t signature[ETH_SIGNATURE_SIZE]);
/* Over the fields of the body that are set already. */
void forge_claim_key_add(uint64_t fid, const Sc__KeyAddBody *body, const struct forge_wallet *by,
			 uint8_t signature[ETH_SIGNATURE_SIZE]);
void forge_claim_key_remove(uint64_t fid, const Sc__KeyRemoveBody *body,
			    const struct forge_wallet *by, uint8_t signature[ETH_SIGNATURE_SIZE]);
/* Appends the metadata of a KeyAddBody: the application's signed request for `key`, as Solidity's
 * ABI encodes it. */
void forge_key_request(struct buf *out, uint64_t request_fid, const struct forge_wallet *by,
		       const uint8_t key[ED25519_KEY_SIZE], uint64_t deadline);

#endif
