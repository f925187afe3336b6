/* events.h: block events: what shard 0 tells the data shards (snapchain-replay.md 13, 16.4). */
#ifndef CHAINFS_SNAPCHAIN_EVENTS_H
#define CHAINFS_SNAPCHAIN_EVENTS_H

#include "core/chain/snapchain/replay.h"

/* A data shard hears of it. *pruned_type: a message type to prune afterwards, or 0. */
int sc_event_apply(struct replay *r, const struct sc_block_event *e, int32_t *pruned_type)
	MUST_CHECK;

/* Does shard 0 tell of a merged message of the type? */
bool sc_event_told(int32_t type);
/* After the last transaction of shard 0: adds the heartbeat, and says in *why what is different
 * from the events that the block has, NULL when nothing is. why NULL:
 * the block is being made and has none. */
int sc_events_end(struct replay *r, const char **why) MUST_CHECK;

#endif
