/* metrics.h: the numbers of a store and its daemon in Prometheus' text format (ctl/metrics).
 *
 * Names begin with chainfs_, units are in the name, HELP and TYPE come from one table. Values are
 * read from the newest views and from counters that anybody may add to. Any thread. */
#ifndef CHAINFS_CONTROL_METRICS_H
#define CHAINFS_CONTROL_METRICS_H

#include "core/store/network.h"

struct follows;

enum counter { /* process-wide, only ever grow */
	       COUNTER_FUSE_REQUESTS,
	       COUNTER_FUSE_ERRORS,
	       COUNTER_FUSE_BYTES,
	       COUNTER_FUSE_CHANGES,
	       COUNTER_RENDERINGS,
	       COUNTER_PLAIN_OPENS,
	       COUNTER_PLAIN_PASSED,
	       COUNTER_PLAIN_READS,
	       COUNTER_BLOCKS_IMPORTED,
	       COUNTER_BLOCKS_REFUSED,
	       COUNTER_COMMITS,
	       COUNTER_PRUNE_NOOPS,
	       COUNTER_HYPER_DIFF_FAILURES,
	       COUNTER_DAMAGED,
	       COUNTER_COUNT
};

void     metrics_add(enum counter which, uint64_t n);
uint64_t metrics_read(enum counter which);
/* Keys and values of the rows that hyper holds alone, of all networks: counted as they come and
 * go. */
uint64_t metrics_hyper_bytes(const struct store *s);
/* Heights of a shard that are replayed, and hyper has nothing of. Both come out of one replay, so
 * that is none, or, while hyper is off, all of them. */
uint64_t metrics_hyper_lag(const struct shard_view *sv);
uint64_t metrics_replay_lag(const struct shard_view *sv); /* held at most, and not replayed yet */
/* The soft cap that this process goes by; 0: none. */
void     metrics_set_soft_cap(uint64_t bytes);
/* What carries the requests of this process's mount, a name that lives for ever; NULL: no mount. */
void     metrics_set_transport(const char *name);
const char *metrics_transport(void);
/* follows NULL: nobody follows anything. */
int      metrics_render(const struct store *s, struct follows *follows, struct buf *out) MUST_CHECK;

#endif
