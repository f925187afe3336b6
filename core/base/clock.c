#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

uint64_t clock_mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t clock_mono_ms(void)
{
	return clock_mono_ns() / 1000000;
}

uint64_t clock_unix_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec;
}

void clock_cond_init(pthread_cond_t *c)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(c, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

bool clock_cond_wait(pthread_cond_t *c, pthread_mutex_t *held, uint64_t due_ms)
{
	struct timespec until = { .tv_sec = (time_t)(due_ms / 1000),
				  .tv_nsec = (long)(due_ms % 1000) * 1000000 };

	return pthread_cond_timedwait(c, held, &until) == ETIMEDOUT;
}

/* Times come from blocks, so any 64-bit number must print. Past what four digits of a year hold
 * the text stays at the last second that sorts rightly. */
#define TIME_LAST 253402300799 /* 9999-12-31T23:59:59Z */

void time_text(uint64_t unix_s, char out[TIME_TEXT_SIZE])
{
	time_t at = (time_t)MIN(unix_s, (uint64_t)TIME_LAST);
	struct tm tm;

	gmtime_r(&at, &tm);
	strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm);
}
