/* replay.h: Snapchain's rules of state, engine versions 14 to 21, replayed from blocks alone.
 *
 * Where to read on: replay.c takes a block apart, shard_data.c and shard_main.c run a transaction
 * of a data shard and of shard 0 (snapchain-replay.md 3 and 16), stores.c merges what supersedes
 * each other; records.c is where both contexts are written.
 * core/chain/README.md has the invariants.
 *
 * sc_replay_* are functions of struct chain_ops; core/chain/chain.h says what they do. A block
 * whose roots do not come out may be replayed a few times over, with the clock of units moved (15):
 * then replay aborts the block in `st` and begins it again.
 * Threads  ingest, one replay a shard. */
#ifndef CHAINFS_SNAPCHAIN_REPLAY_H
#define CHAINFS_SNAPCHAIN_REPLAY_H

#include "core/chain/snapchain/rules.h"

int sc_replay_new(const struct chain_params *p, uint32_t shard, struct replay **out,
		  struct err *err);
void sc_replay_free(struct replay *r);
int sc_replay_block(struct replay *r, struct state *st, const struct chain_block *b,
		    uint64_t object_first, bool hyper, struct chain_result *out, struct err *err);
void sc_replay_abort(struct replay *r);

/* For chains that we make ourselves: what the block would have to say. Nothing that the block says
 * of roots and block events is looked at. Lives until the next block begins. */
struct sc_proposal {
	struct slice          root;
	const struct slice   *account_roots; /* one a transaction */
	const struct chain_outcome *outcomes;
	/* What becomes block events of shard 0, in order; a heartbeat comes last. */
	const struct sc_emitted *events;
	size_t                event_count;
	struct chain_result   result;
};
int sc_replay_propose(struct replay *r, struct state *st, const struct chain_block *b,
		      uint64_t object_first, struct sc_proposal *out, struct err *err) MUST_CHECK;

/* ---- between the files of replay ---- */

int sc_data_transaction(struct replay *r, const struct sc_transaction *tx) MUST_CHECK;
int sc_main_transaction(struct replay *r, const struct sc_transaction *tx) MUST_CHECK;

/* Onchain events first, stably by block and log; the others keep their
 * order. In the block's arena. */
int sc_system_sorted(struct replay *r, const struct sc_transaction *tx,
		     const struct sc_system ***out) MUST_CHECK;

/* Which item is replayed; inner: the record inside of it. */
void sc_cause_is(struct replay *r, uint32_t item, bool inner);
void sc_cause_none(struct replay *r);
/* Notes what became of the item. Passes an errno on; 0 and REFUSED end here. */
int  sc_outcome(struct replay *r, uint32_t item, int rc) MUST_CHECK;
int  sc_emit(struct replay *r, uint32_t item, bool onchain, struct slice raw) MUST_CHECK;

#endif
