/* forge_chain.h: makes a chain block by block: its own validators, mempools and replayed state.
 *
 * A step is one moment of the chain: a chunk of every data shard, then a block of shard 0 that
 * witnesses them. Between steps messages and events are put into the pools of shards; the next
 * step's blocks carry all of them. Roots come from replaying each block by the rules that check it.
 *
 *     chain_user(c, shard, fid, &message);  …  rc = forge_chain_step(c, NULL, err);
 *
 * What data shards must hear of shard 0's blocks (heartbeats, verifications, lends, keys, channels)
 * is carried by itself.
 * Memory   the states of all shards, and one step; blocks go to the archive.
 * Errors   of adding latch and come out of the next step. -EUCLEAN: the rules refuse our own block.
 * Threads  one. */
#ifndef CHAINFS_SNAPCHAIN_FORGE_CHAIN_H
#define CHAINFS_SNAPCHAIN_FORGE_CHAIN_H

#include "core/chain/snapchain/forge/forge_messages.h"
#include "core/chain/snapchain/forge/forge_votes.h"
#include "core/chain/snapchain/params.h"
#include "core/sync/archive_writer.h"

#define FORGE_SHARDS_MAX (SHARD_MAX - 1) /* data shards */

struct forge_chain;

struct forge_chain_options {
	uint64_t seed;
	uint32_t validators;
	uint64_t start_time;  /* unix, of height 1 */
	uint32_t block_time_s;
	bool     uncommitted; /* blocks have no certificate */
};

/* params and archive are borrowed until the chain is freed. */
int  forge_chain_new(const struct forge_chain_options *o, const struct chain_params *params,
		     struct archive_writer *archive, struct forge_chain **out,
		     struct err *err) MUST_CHECK;
void forge_chain_freep(struct forge_chain **c);

uint64_t forge_chain_steps(const struct forge_chain *c);    /* steps made so far */
uint64_t forge_chain_now(const struct forge_chain *c); /* unix time of the next step */
uint64_t forge_chain_height(const struct forge_chain *c, uint32_t shard);
uint64_t forge_chain_messages(const struct forge_chain *c); /* user messages added so far */

/* The account's transaction in the shard's next block gets a message, or a ValidatorMessage. */
void forge_chain_user(struct forge_chain *c, uint32_t shard, uint64_t fid,
		      const struct forge_message *m);
void forge_chain_system(struct forge_chain *c, uint32_t shard, uint64_t fid, struct slice event);

struct forge_pace { /* how a step departs from the usual */
	uint32_t silent_bits; /* bit s: shard s makes no block, its pool waits */
	uint32_t away;         /* a validator who is not there: forge_certificate() */
	bool     repeat_event; /* chunks carry their newest block event once more, without effect */
};

/* pace NULL: as usual. */
int forge_chain_step(struct forge_chain *c, const struct forge_pace *pace, struct err *err)
	MUST_CHECK;

#endif
