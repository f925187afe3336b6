/* tiers.h: what the caches of this process had, and what they had to fetch, tier by tier.
 *
 *     renderings   files as the mount shows them, made before
 *     blocks       frames of segments, unpacked before; a miss is a read of a segment
 *     rows         pieces of the database's files
 * Counters only ever grow; whoever wants a ratio of now takes differences. Any thread. */
#ifndef CHAINFS_STORE_TIERS_H
#define CHAINFS_STORE_TIERS_H

#include "core/base/base.h"

enum tier { TIER_RENDERINGS, TIER_BLOCKS, TIER_ROWS, TIER_COUNT };
extern const char *const tier_names[TIER_COUNT];

struct tier_counts {
	uint64_t hits, misses;
};

void tier_add(enum tier which, uint64_t hits, uint64_t misses);
struct tier_counts tier_read(enum tier which);

#endif
