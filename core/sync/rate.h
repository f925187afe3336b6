/* rate.h: how much to ask of one source at a time, and how long to wait for it.
 *
 * A request is as large as the source answers within a round-trip time that suits it; a first one
 * is small, and sizes double until the source gives no more by it. A timeout, or an answer over its
 * limit, halves the size; that limit is remembered. Each timeout doubles the patience and each
 * answer takes some of it back, so that a slow and honest source is not asked in vain for ever.
 * Plain data: copied freely, nothing to release. Times are milliseconds, sizes are heights. */
#ifndef CHAINFS_SYNC_RATE_H
#define CHAINFS_SYNC_RATE_H

#include "core/base/base.h"

#define RATE_TIMEOUT_MIN_MS 500u
#define RATE_TIMEOUT_MAX_MS 64000u

struct rate {
	double   per_ms;          /* heights that it gives */
	double   bytes_a_height;
	double   round_trip_ms;
	double   patience;        /* factor on a timeout; 1 when all is well */
	uint64_t size;            /* heights that the next request may have */
	uint64_t size_limit;      /* 0: none was met */
	bool     slow_start;
};

struct rate_bounds {
	uint64_t heights_max;   /* of one request */
	uint64_t bytes_max;     /* of one answer, as far as can be foreseen */
	uint32_t target_ms;     /* an answer shall take about so long */
};

void rate_init(struct rate *r);
/* Heights to ask for; at least 1. */
uint64_t rate_ask(const struct rate *r, const struct rate_bounds *b);
uint64_t rate_bytes(const struct rate *r, uint64_t heights); /* foreseen */
uint32_t rate_timeout_ms(const struct rate *r, const struct rate_bounds *b);

void rate_answered(struct rate *r, const struct rate_bounds *b, uint64_t heights, uint64_t bytes,
		   uint32_t took_ms);
void rate_timed_out(struct rate *r);
void rate_too_large(struct rate *r, uint64_t heights); /* that many were refused as too many */

#endif
