/* envelope.h: the HyperEnvelope of a block, made of what replay left of it (snapchain.md 3.5).
 *
 * The same bytes come out when the block is ingested (for their size) and whenever they are read:
 * both read the rows of the retained records as of the block and as of the block below it. */
#ifndef CHAINFS_INGEST_ENVELOPE_H
#define CHAINFS_INGEST_ENVELOPE_H

#include "core/store/network.h"

struct envelope_rows {
	int (*after)(void *arg, struct slice key,
		     struct slice *value); /* hyper's row after the block */
	int (*before)(void *arg, struct slice key, struct slice *value); /* 1 found, 0 absent, <0 */
	void *arg;
};

int envelope_render(const struct chain_ops *ops, const uint8_t hash[HASH_SIZE], struct slice parent,
		    const struct roots_row *roots, const struct shard_view *shard,
		    const struct chain_change *changes, size_t change_count,
		    const struct envelope_rows *rows, bool json, struct buf *out) MUST_CHECK;

/* From the store: envelope of (shard, height) as of a view. -ENODATA when hyper keeps none. */
int envelope_read(const struct view *v, uint32_t shard, uint64_t height, bool json, struct buf *out,
		  struct err *err) MUST_CHECK;

#endif
