/* events.h: what happened, as lines that people and scripts follow (ctl/events), the newest few
 * thousand of them kept in memory.
 *
 * A line is "TIME NETWORK KIND key=value …": UTC time, then a word of a fixed vocabulary (that of
 * the README in ctl), then pairs in a fixed order. Numbered from 1.
 * Threads  any. events_post() never waits for a reader; a reader too slow loses the oldest lines
 *          and is told how many ("… lost=N"). */
#ifndef CHAINFS_CONTROL_EVENTS_H
#define CHAINFS_CONTROL_EVENTS_H

#include "core/base/bytes.h"

struct events;

#define EVENT_LINE_MAX 2048 /* longer ones are cut */

struct events *events_new(size_t lines_max);
void events_freep(struct events **e);
/* Before the first post: numbers and sizes go on behind those of a process before, whose lines are
 * lost. */
void events_go_on(struct events *e, uint64_t last, uint64_t size);
void events_post(struct events *e, const char *network, const char *kind, const char *format, ...)
	PRINTF_LIKE(4, 5);
uint64_t events_last(struct events *e); /* number of the newest line, 0: none */
/* Appends whole lines from number *next on, at most size_max bytes; moves *next behind the last
 * one given. 0 bytes: nothing new, or size_max is below EVENT_LINE_MAX and the next line does
 * not fit. */
int events_read(struct events *e, uint64_t *next, size_t size_max, struct buf *out) MUST_CHECK;
/* The lines as one text that only grows: its size so far, and its bytes from `offset` on, at most
 * size_max. Where lines were lost there are newlines. */
uint64_t events_size(struct events *e);
int events_read_at(struct events *e, uint64_t offset, size_t size_max, struct buf *out) MUST_CHECK;
/* Called after each post, holding no lock. One listener; NULL returns when no call is under way. */
void events_on_post(struct events *e, void (*call)(void *arg), void *arg);

#endif
