/* eip712.h: the typed data that owners of Ethereum keys sign for
 * Snapchain (snapchain-replay.md 12.1).
 *
 * digest = keccak256(1901 ‖ domain ‖ keccak256(type ‖ words)); who signed it is recovered. Each
 * function answers false when the signature is not one of 65 bytes
 * by anybody. Pure, any thread after sign_init(). */
#ifndef CHAINFS_SNAPCHAIN_EIP712_H
#define CHAINFS_SNAPCHAIN_EIP712_H

#include "core/base/sign.h"
#include "core/chain/snapchain/message.h"

/* The claim to an address, with the network that the message names. */
bool sc_eip712_claim_signer(uint64_t fid, int32_t network, const Sc__VerificationAddBody *b,
			    uint8_t signer[ETH_ADDRESS_SIZE]);
bool sc_eip712_fname_signer(const Sc__UserNameProof *p, uint8_t signer[ETH_ADDRESS_SIZE]);
bool sc_eip712_key_add_signer(uint64_t fid, const Sc__KeyAddBody *b,
			      uint8_t signer[ETH_ADDRESS_SIZE]);
bool sc_eip712_key_remove_signer(uint64_t fid, const Sc__KeyRemoveBody *b,
				 uint8_t signer[ETH_ADDRESS_SIZE]);
/* deadline: 32 bytes, as the request has it. */
bool sc_eip712_key_request_signer(uint64_t request_fid, struct slice key, uint64_t deadline,
				  struct slice signature, uint8_t signer[ETH_ADDRESS_SIZE]);

#endif
