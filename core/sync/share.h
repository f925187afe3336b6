/* share.h: which of two lanes goes next, so that both get their part of the line and of the
 * processors.
 *
 * Each lane has a weight; what it used of bytes and of checking time is counted with a half-life,
 * and the lane goes next that has used least of its part in what it uses most of. Nothing is kept
 * back for a lane that wants nothing, and it saves up nothing. A cap in bytes a second is a bucket
 * that both share.
 * Plain data. Times are milliseconds of a clock that never goes back. */
#ifndef CHAINFS_SYNC_SHARE_H
#define CHAINFS_SYNC_SHARE_H

#include "core/base/base.h"

enum lane { LANE_FORWARD, LANE_BACKWARD, LANE_COUNT };
extern const char *const lane_names[LANE_COUNT];

#define SHARE_HALF_LIFE_MS 5000u

struct share {
	double   weight[LANE_COUNT]; /* sum 1 */
	double   bytes[LANE_COUNT], check_us[LANE_COUNT];
	uint64_t at_ms;
	uint64_t cap;    /* bytes a second; 0: none */
	double   bucket; /* bytes that may be asked for now */
};

void share_init(struct share *s, const unsigned weight[LANE_COUNT], uint64_t now_ms);
void share_cap(struct share *s, uint64_t bytes_a_second, uint64_t now_ms);

/* The lane that goes next of those that want to; LANE_COUNT: none does. */
enum lane share_next(const struct share *s, const bool wants[LANE_COUNT]);
/* What is asked for is counted when it is asked, and put right when it came. */
void share_bytes(struct share *s, enum lane lane, double bytes, uint64_t now_ms);
void share_check(struct share *s, enum lane lane, double check_us, uint64_t now_ms);

/* May something be asked for now, as far as the cap goes? Else *at_ms is when. */
bool share_open(struct share *s, uint64_t now_ms, uint64_t *at_ms);

#endif
