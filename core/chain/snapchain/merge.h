/* merge.h: which rule a message goes to, by its type (snapchain-replay.md 7). */
#ifndef CHAINFS_SNAPCHAIN_MERGE_H
#define CHAINFS_SNAPCHAIN_MERGE_H

#include "core/chain/snapchain/stores.h"

/* On a data shard. channels: whether messages about channels are merged here. */
int sc_merge_message(struct replay *r, const struct sc_message *m, bool channels) MUST_CHECK;

#endif
