/* block.h: a decoded Block (shard 0) or ShardChunk (data shards) of Snapchain.
 *
 * Items are numbered in the order of the bytes: for each transaction its system messages, then its
 * user messages; last the block events that a block of shard 0 makes.
 * The struct is immutable once decoded and freed as a whole. */
#ifndef CHAINFS_SNAPCHAIN_BLOCK_H
#define CHAINFS_SNAPCHAIN_BLOCK_H

#include "core/chain/snapchain/message.h"
#include "core/chain/snapchain/params.h"

struct sc_block_event {
	const Sc__BlockEvent *pb;
	bool                  has_message, has_onchain;
	struct sc_message     message; /* of merge_message */
	uint32_t              item;
};

struct sc_system {
	uint32_t                 item;
	const Sc__OnChainEvent  *onchain;  /* exactly one of the three is not NULL, or none */
	const Sc__FnameTransfer *fname;
	const struct sc_block_event *event;
};

struct sc_transaction {
	uint64_t           fid;
	struct slice       account_root; /* 0 or 20 bytes in an honest block */
	struct sc_system  *system;
	size_t             system_count;
	struct sc_message *user;
	size_t             user_count;
};

struct sc_block {
	struct chain_block     base;      /* first: chain.h sees this */
	struct arena          *arena;
	const Sc__Block       *block;     /* shard 0 */
	const Sc__ShardChunk  *chunk;     /* data shards */
	struct slice           header;    /* received bytes of the header */
	uint32_t               time_fc;   /* header timestamp in Farcaster seconds */
	uint32_t               version;   /* protocol version of a BlockHeader, 0 for chunks */
	bool unlinked; /* an engine's without consensus: no validators, no parent */
	struct sc_transaction *transactions;
	size_t                 transaction_count;
	struct sc_block_event *events;    /* made by this block: shard 0 */
	size_t                 event_count;
};

static inline const struct sc_block *sc_block_of(const struct chain_block *b)
{
	return (const struct sc_block *)(const void *)b;
}

/* chain_ops of this kind; chain.h says what each does. decode leaves base.ops to the adapter. */
/* received.c */
int  sc_block_peek(struct slice received, bool main_shard, struct chain_peek *out, struct err *err);
int  sc_block_split(struct slice received, bool main_shard, struct buf *canonical,
		    struct buf *certificate, struct err *err);
int  sc_block_join(struct slice canonical, struct slice certificate, bool main_shard,
		   struct buf *out, struct err *err);
/* block.c */
int sc_block_decode(const struct chain_params *p, bool main_shard, bool verify,
		    struct buf *canonical, struct buf *certificate, struct sc_block **out,
		    struct err *err) MUST_CHECK;
void sc_block_freep(struct sc_block **b);
int  sc_block_link(const struct chain_block *b, const uint8_t *prev_hash, struct err *err);

#endif
