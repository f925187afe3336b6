/* forge_votes.h: the validators of a chain that we make, and what they sign (snapchain.md 2).
 *
 * Memory  values of the caller. Errors latch in *out. Pure but for the dice. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_VOTES_H
#define CHAINFS_SNAPCHAIN_FORGE_VOTES_H

#include "core/chain/snapchain/forge/forge_seed.h"

#define FORGE_VALIDATORS_MAX 32

struct forge_validators {
	struct forge_key  keys[FORGE_VALIDATORS_MAX]; /* ascending */
	uint32_t          count;
	struct forge_dice dice; /* which votes a node happened to see */
};

void forge_validators_of(uint64_t seed, uint32_t count, struct forge_validators *out);

/* Appends Commits for a block: enough votes, and chance decides which beyond that, in the order of
 * keys. away: a validator's place plus one, who votes for nothing and whose turn to propose goes to
 * a second round; 0: all are there. Ignored where the others would be too few. */
void forge_certificate(struct forge_validators *v, uint32_t shard, uint64_t height,
		       const uint8_t hash[HASH_SIZE], uint32_t away, struct buf *out);

/* Height{shard, height} as a field, as in headers, votes and witnesses. */
void forge_put_height(struct buf *out, uint32_t number, uint32_t shard, uint64_t height);

#endif
