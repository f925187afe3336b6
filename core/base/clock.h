/* clock.h: the two clocks. Only callers at the edge read them; decisions take time as an input. */
#ifndef CHAINFS_CLOCK_H
#define CHAINFS_CLOCK_H

#include "core/base/base.h"

uint64_t clock_mono_ms(void); /* monotonic, for intervals and deadlines */
uint64_t clock_mono_ns(void);
uint64_t clock_unix_s(void);

/* A condition whose deadlines are clock_mono_ms()'s, so that no change of the date moves them. */
void clock_cond_init(pthread_cond_t *c);
/* As pthread_cond_timedwait(). True: due_ms has come. */
bool clock_cond_wait(pthread_cond_t *c, pthread_mutex_t *held, uint64_t due_ms);

#define TIME_TEXT_SIZE 32
/* "2026-11-21T15:03:11Z" of a unix time in seconds. */
void time_text(uint64_t unix_s, char out[TIME_TEXT_SIZE]);

#endif
