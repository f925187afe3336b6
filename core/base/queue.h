/* queue.h: a bounded queue of pointers between threads. Full means: the producer waits.
 *
 * Threads  any number of producers and consumers.
 * Memory   the queue owns nothing; who pops a pointer owns what it points to.
 * Closing  queue_close() lets consumers drain what is left, then queue_pop() gives NULL; a push
 *          after it is refused with -EPIPE and the pointer stays with the caller. */
#ifndef CHAINFS_QUEUE_H
#define CHAINFS_QUEUE_H

#include "core/base/base.h"

struct queue;

struct queue *queue_new(size_t capacity);
void  queue_freep(struct queue **q);
int   queue_push(struct queue *q, void *item) MUST_CHECK;     /* waits for room */
int   queue_try_push(struct queue *q, void *item) MUST_CHECK; /* -EAGAIN when full */
void *queue_pop(struct queue *q);                             /* waits; NULL: closed and empty */
void *queue_try_pop(struct queue *q);                         /* NULL when empty */
void  queue_close(struct queue *q);
size_t queue_count(struct queue *q);

#endif
