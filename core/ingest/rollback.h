/* rollback.h: a network goes back to an earlier height of its main shard, as one commit.
 *
 * The state goes on as a branch that parts at that height, in every other shard where the block of
 * that height witnesses it. Blocks above leave the store: their heights become gaps with the reason
 * rolled-back, and the next import or source brings them again, under new object ids. What they
 * brought into the state stays on the branch that was left, which no view names any more.
 * Counters, roots and hyper are as a store has them that never went further; a hyper base above the
 * height becomes a base at it.
 *
 * Errors   -EINVAL: there is nothing above it; -ENODATA: the block of that height is not held, so
 *          nobody knows where the other shards stand; -ESTALE: its state is not kept any more, or
 *          was never replayed here; -EBUSY while somebody writes; -EINTR.
 * Threads  any; nobody else writes the network meanwhile (commit_new). */
#ifndef CHAINFS_INGEST_ROLLBACK_H
#define CHAINFS_INGEST_ROLLBACK_H

#include "core/control/events.h"
#include "core/ingest/gate.h"
#include "core/store/network.h"

struct rollback_options {
	uint64_t height;    /* of the main shard; 0: before its first block */
	/* Not 0: `height` is one of this other shard, and what is cut of the main one is what
	 * witnesses more of it. */
	uint32_t shard;
	const char *reason; /* a sentence, told by the gaps */
	struct events *events;
	struct gate *gate;
	const atomic_bool *stop;
};

struct rollback_result {
	uint32_t branch;             /* which the state goes on as */
	uint64_t heights[SHARD_MAX]; /* the highest that each shard holds or may hold now */
	uint64_t blocks, items;      /* let go */
	uint64_t replayed;           /* of those blocks: their changes are not seen any more */
};

int rollback(struct network *n, const struct rollback_options *o, struct rollback_result *out,
	     struct err *err) MUST_CHECK;

/* Single blocks of o->shard leave the store, and nothing else does: those held of `which`, where no
 * state here was made from them, above what is replayed or below where the state begins. o->height
 * counts for nothing. -ESTALE: the state was made from one of them; only a rollback takes it back.
 * -EINVAL: none of them is held. */
int rollback_blocks(struct network *n, const struct rollback_options *o, const struct gaps *which,
		    struct rollback_result *out, struct err *err) MUST_CHECK;

#endif
