/* metrics.h: the numbers of a store and its daemon in Prometheus' text format (ctl/metrics).
 *
 * Names begin with chainfs_, units are in the name, HELP and TYPE come from one table. Values are
 * read from the newest views and from counters that anybody may add to. Any thread. */
#ifndef CHAINFS_CONTROL_METRICS_H
#define CHAINFS_CONTROL_METRICS_H

#include "core/store/store.h"

enum counter { /* process-wide, only ever grow */
	COUNTER_FUSE_REQUESTS, COUNTER_FUSE_ERRORS, COUNTER_FUSE_BYTES, COUNTER_FUSE_CHANGES,
	COUNTER_RENDERINGS,
	COUNTER_BLOCKS_IMPORTED, COUNTER_BLOCKS_REFUSED, COUNTER_COMMITS,
	COUNTER_PRUNE_NOOPS, COUNTER_COUNT
};

void     metrics_add(enum counter which, uint64_t n);
uint64_t metrics_read(enum counter which);
int      metrics_render(const struct store *s, struct buf *out) MUST_CHECK;

#endif
