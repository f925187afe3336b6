/* commit.h: does a certificate prove that more than two thirds of the validators signed a header?
 *
 * What a validator signs is a Vote: type 1 (precommit), height, round, value {shard, hash}, voter =
 * its own key; the certificate carries the first fields once, and key and signature of each voter
 * (snapchain.md 2). Beyond what upstream's nodes check, height, shard and hash of the certificate
 * must be the block's own, and signers distinct validators of that height.
 *
 * A certificate is taken whole: a signature that fails or is not a validator's fails the level even
 * when the rest would do, so that no byte of it goes unchecked. Honest nodes give none such; they
 * differ in which signatures they kept. Who signed, and whether it is enough, is decided by
 * core/sync/quorum.h; here stands only what was signed. */
#ifndef CHAINFS_SNAPCHAIN_COMMIT_H
#define CHAINFS_SNAPCHAIN_COMMIT_H

#include "core/chain/snapchain/params.h"
#include "core/sync/quorum.h"

/* How many signatures of n validators decide. */
size_t sc_quorum(size_t validator_count);
/* The set as the verifier takes it; the caller frees it. */
int sc_validators_members(const struct sc_validators *v, struct quorum_member **out) MUST_CHECK;

/* Sets the result of LEVEL_COMMIT. certificate: the content of the commits field; hash: BLAKE3 of
 * the header as received. Failures that say nothing of the block (-ENOMEM) are returned. */
int sc_commit_check(const struct chain_params *p, uint32_t shard, uint64_t height,
		    const uint8_t hash[HASH_SIZE], struct slice certificate,
		    struct level_result *out) MUST_CHECK;

/* signer_count, render_signers, signer_set and signers_end of struct chain_ops. What the
 * certificate says is told, not checked: what was imported has passed sc_commit_check(). */
size_t sc_signer_count(const struct chain_params *p, uint32_t shard, uint64_t height);
int    sc_render_signers(const struct chain_params *p, uint32_t shard, uint64_t height,
			 struct slice certificate, struct buf *out) MUST_CHECK;

int    sc_signer_set(const struct chain_params *p, uint32_t shard, uint64_t height,
		     uint8_t out[HASH_SIZE]) MUST_CHECK;

bool   sc_signers_end(const struct chain_params *p, uint32_t shard, uint64_t height);

#endif
