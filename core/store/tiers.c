#include "core/store/tiers.h"

#include <stdatomic.h>

const char *const tier_names[TIER_COUNT] = {
	[TIER_RENDERINGS] = "renderings",
	[TIER_BLOCKS] = "blocks",
	[TIER_ROWS] = "rows",
};

/* A cache line each: readers of one tier do not slow down those of another. */
static struct {
	_Alignas(64) atomic_uint_fast64_t hits;
	atomic_uint_fast64_t misses;
} tiers[TIER_COUNT];

void tier_add(enum tier which, uint64_t hits, uint64_t misses)
{
	if (hits)
		atomic_fetch_add_explicit(&tiers[which].hits, hits, memory_order_relaxed);
	if (misses)
		atomic_fetch_add_explicit(&tiers[which].misses, misses, memory_order_relaxed);
}

struct tier_counts tier_read(enum tier which)
{
	return (struct tier_counts){
		.hits = atomic_load_explicit(&tiers[which].hits, memory_order_relaxed),
		.misses = atomic_load_explicit(&tiers[which].misses, memory_order_relaxed),
	};
}
