#include "core/sync/share.h"

#include <math.h>

const char *const lane_names[LANE_COUNT] = {
	[LANE_FORWARD] = "forward",
	[LANE_BACKWARD] = "backward",
};

#define BURST_MS 1000.0 /* how much of a cap may be saved up */

void share_init(struct share *s, const unsigned weight[LANE_COUNT], uint64_t now_ms)
{
	unsigned sum = 0;

	for (int i = 0; i < LANE_COUNT; i++)
		sum += weight[i];
	assert(sum > 0);
	*s = (struct share){ .at_ms = now_ms };
	for (int i = 0; i < LANE_COUNT; i++)
		s->weight[i] = (double)weight[i] / sum;
}

static double bucket_max(const struct share *s)
{
	return (double)s->cap * BURST_MS / 1000;
}

static void pass_time(struct share *s, uint64_t now_ms)
{
	if (now_ms <= s->at_ms)
		return;
	double ms = (double)(now_ms - s->at_ms), left = exp2(-ms / SHARE_HALF_LIFE_MS);

	for (int i = 0; i < LANE_COUNT; i++) {
		s->bytes[i] *= left;
		s->check_us[i] *= left;
	}
	s->bucket = MIN(s->bucket + (double)s->cap * ms / 1000, bucket_max(s));
	s->at_ms = now_ms;
}

void share_cap(struct share *s, uint64_t bytes_a_second, uint64_t now_ms)
{
	pass_time(s, now_ms);
	s->cap = bytes_a_second;
	s->bucket = MIN(s->bucket, bucket_max(s));
}

static double part_of(const double used[LANE_COUNT], int lane)
{
	double sum = used[LANE_FORWARD] + used[LANE_BACKWARD];

	return sum > 0 ? used[lane] / sum : 0;
}

/* How much of its part a lane has had, in what it had most of. */
static double had(const struct share *s, int lane)
{
	double most = MAX(part_of(s->bytes, lane), part_of(s->check_us, lane));

	return s->weight[lane] > 0 ? most / s->weight[lane] : INFINITY;
}

enum lane share_next(const struct share *s, const bool wants[LANE_COUNT])
{
	if (wants[LANE_FORWARD] && wants[LANE_BACKWARD])
		return had(s, LANE_FORWARD) <= had(s, LANE_BACKWARD) ? LANE_FORWARD : LANE_BACKWARD;
	return wants[LANE_FORWARD]    ? LANE_FORWARD
	       : wants[LANE_BACKWARD] ? LANE_BACKWARD
				      : LANE_COUNT;
}

void share_bytes(struct share *s, enum lane lane, double bytes, uint64_t now_ms)
{
	pass_time(s, now_ms);
	s->bytes[lane] = MAX(s->bytes[lane] + bytes, 0.0);
	if (s->cap)
		s->bucket = MIN(s->bucket - bytes, bucket_max(s));
}

void share_check(struct share *s, enum lane lane, double check_us, uint64_t now_ms)
{
	pass_time(s, now_ms);
	s->check_us[lane] += check_us;
}

bool share_open(struct share *s, uint64_t now_ms, uint64_t *at_ms)
{
	pass_time(s, now_ms);
	if (!s->cap || s->bucket >= 0)
		return true;
	*at_ms = now_ms + (uint64_t)(-s->bucket * 1000 / (double)s->cap) + 1;
	return false;
}
