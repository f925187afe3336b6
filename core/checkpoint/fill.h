/* fill.h: puts the state of a shard into a network that is new: records, what follows from them,
 * and what the rules need beyond.
 *
 * Records get object ids of this store and their bytes a carrier (core/store); accounts and counts
 * are derived from them again, with the roots. All rows are of one height, and are written in
 * several batches: nobody reads the network before it is complete, and after an error it has to go.
 * Errors   what the store says; fill_record(): what root_add() says of its key.
 * Threads  the only writer of the network. Memory: bounded by a batch. */
#ifndef CHAINFS_CHECKPOINT_FILL_H
#define CHAINFS_CHECKPOINT_FILL_H

#include "core/store/network.h"

struct fill_waiting;

struct fill {
	const struct store *store;
	struct network *network;
	const struct chain_ops *ops;
	struct commit *commit; /* the caller's too, between fill_end() and the next fill_begin() */
	uint64_t records;      /* put so far, of all shards */

	/* Of the shard that is being filled. */
	uint32_t shard;
	uint64_t height;
	struct state *state;
	struct chain_rooter *rooter;
	size_t run_bytes; /* put since the last batch */
	struct buf carried;
	struct fill_waiting *waiting;
	size_t waiting_count, waiting_cap;
	struct buf text, value; /* scratch */
};

struct fill_record { /* one record, and where it was merged as far as that is known */
	enum space space;
	struct slice key, rest; /* rest: the value behind the object id */
	struct chain_object object;
	uint64_t height;
	uint32_t item;
	bool inner;
};

/* `n` is new: nothing was ever committed to it but blocks of other shards. */
int fill_init(struct fill *f, const struct store *s, struct network *n, struct err *err) MUST_CHECK;
void fill_release(struct fill *f);
int fill_begin(struct fill *f, uint32_t shard, uint64_t height, bool hyper, struct err *err)
	MUST_CHECK;
/* Records ascend by key, both spaces together. */
int fill_record(struct fill *f, const struct fill_record *rec, struct err *err) MUST_CHECK;
int fill_rule(struct fill *f, enum space space, struct slice key, struct slice value,
	      struct err *err) MUST_CHECK;
/* After the last record: what they come to. */
int fill_roots(struct fill *f, struct chain_root out[CONTEXT_COUNT], uint64_t *retained,
	       struct err *err) MUST_CHECK;
int fill_end(struct fill *f, struct err *err) MUST_CHECK;

#endif
