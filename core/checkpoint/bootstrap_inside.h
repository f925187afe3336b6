/* bootstrap_inside.h: between bootstrap.c, which makes the store, and bootstrap_pages.c, which
 * takes a shard's pages. */
#ifndef CHAINFS_CHECKPOINT_BOOTSTRAP_INSIDE_H
#define CHAINFS_CHECKPOINT_BOOTSTRAP_INSIDE_H

#include "core/checkpoint/bootstrap.h"
#include "core/checkpoint/fill.h"

#define VSHARDS 256u

struct boot {
	const struct replica *from;
	const struct bootstrap_options *o;
	const struct chain_ops *ops;
	const atomic_bool *stop;
	struct bootstrap_result *out;
	struct chain_params *params;
	struct store *store;
	struct network *network;
	struct fill fill;
	struct chain_block *at[SHARD_MAX]; /* the trusted block of a data shard */
};

int boot_stopped(const struct boot *b, struct err *err) MUST_CHECK;
/* The state of a data shard as of b->at[shard], rows and all. */
int boot_pages(struct boot *b, uint32_t shard, struct err *err) MUST_CHECK;
/* A block that `from` gives, decoded. 1; 0: it has none. */
int boot_block(struct boot *b, uint32_t shard, uint64_t height, bool verify,
	       struct chain_block **out, struct err *err) MUST_CHECK;
/* Received bytes, decoded; they are taken out of `received`. */
int boot_decode(struct boot *b, uint32_t shard, struct slice received, bool verify,
		struct chain_block **out, struct err *err) MUST_CHECK;

#endif
