/* metrics_sync.h: the part of metrics.h about following and about caches. */
#ifndef CHAINFS_CONTROL_METRICS_SYNC_H
#define CHAINFS_CONTROL_METRICS_SYNC_H

#include "core/store/store.h"
#include "core/sync/follow.h"

/* Of networks that are followed, and the caches of the process. Errors latch in `out`. */
void metrics_sync(const struct store *s, struct follows *follows, struct buf *out);

#endif
