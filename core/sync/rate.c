#include "core/sync/rate.h"

#define SIZE_FIRST       8u
#define BYTES_FIRST      4096.0 /* a height, until one was seen */
#define ROUND_TRIP_FIRST 500.0
#define SMOOTHING        0.1 /* of a measurement against what was known */
#define GROWS            1.1 /* slow start goes on while throughput does so */
#define TIMEOUT_FACTOR   3.0 /* of what an answer of that size should take */
#define PATIENCE_MAX     64.0
#define PATIENCE_DECAY   0.85
#define SURPLUS          1.01 /* a little more than it gave, so that a size can grow at all */

void rate_init(struct rate *r)
{
	*r = (struct rate){
		.bytes_a_height = BYTES_FIRST,
		.round_trip_ms = ROUND_TRIP_FIRST,
		.patience = 1,
		.size = SIZE_FIRST,
		.slow_start = true,
	};
}

uint64_t rate_ask(const struct rate *r, const struct rate_bounds *b)
{
	uint64_t fits = (uint64_t)((double)b->bytes_max / MAX(r->bytes_a_height, 1.0));
	uint64_t size = MIN(MIN(r->size, b->heights_max), fits);

	if (r->size_limit)
		size = MIN(size, r->size_limit);
	return MAX(size, 1u);
}

uint64_t rate_bytes(const struct rate *r, uint64_t heights)
{
	return (uint64_t)(r->bytes_a_height * (double)heights) + 1;
}

uint32_t rate_timeout_ms(const struct rate *r, const struct rate_bounds *b)
{
	double ms = TIMEOUT_FACTOR * MAX(r->round_trip_ms, (double)b->target_ms) * r->patience;

	return (uint32_t)MIN(MAX(ms, (double)RATE_TIMEOUT_MIN_MS), (double)RATE_TIMEOUT_MAX_MS);
}

void rate_answered(struct rate *r, const struct rate_bounds *b, uint64_t heights, uint64_t bytes,
		   uint32_t took_ms)
{
	double took = MAX((double)took_ms, 0.5), per_ms = (double)heights / took;
	bool grew = per_ms > r->per_ms * GROWS;

	r->patience = MAX(1.0, r->patience * PATIENCE_DECAY);
	r->round_trip_ms += SMOOTHING * (took - r->round_trip_ms);
	if (heights == 0)
		return;
	r->bytes_a_height += (r->per_ms > 0 ? SMOOTHING : 1.0) *
			     ((double)bytes / (double)heights - r->bytes_a_height);
	if (r->slow_start) {
		/* What it gives is known only once larger requests bring no more. */
		r->per_ms = MAX(r->per_ms, per_ms);
		r->slow_start = grew && took < (double)b->target_ms && r->size < b->heights_max;
		if (r->slow_start) {
			r->size *= 2;
			return;
		}
	} else {
		r->per_ms += SMOOTHING * (per_ms - r->per_ms);
	}
	double size = 1 + SURPLUS * r->per_ms * (double)b->target_ms;

	r->size = (uint64_t)MIN(size, (double)b->heights_max);
}

void rate_timed_out(struct rate *r)
{
	r->patience = MIN(r->patience * 2, PATIENCE_MAX);
	r->slow_start = false;
	r->per_ms /= 2;
	r->size = MAX(r->size / 2, 1u);
}

void rate_too_large(struct rate *r, uint64_t heights)
{
	uint64_t limit = MAX(heights / 2, 1u);

	r->slow_start = false;
	r->size_limit = r->size_limit ? MIN(r->size_limit, limit) : limit;
	r->size = MIN(r->size, r->size_limit);
}
