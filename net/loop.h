/* loop.h: one thread that waits for sockets and timers, on libuv.
 *
 * Everything of net/ that is asynchronous lives on a loop: connections, streams, timers; no lock is
 * needed there. loop_post() and loop_call() are the doors for other threads.
 * Memory   a posted call is a node of its own; posts are few (orders, wake-ups), not data.
 * Signals  are blocked on the thread: they are for others, and a write to a socket that has gone
 *          must not end the program. */
#ifndef CHAINFS_NET_LOOP_H
#define CHAINFS_NET_LOOP_H

#include "core/base/err.h"

struct loop;
struct loop_timer;
struct uv_loop_s;

/* thread_name: up to 15 bytes of it are seen in ps. */
int  loop_open(const char *thread_name, struct loop **out, struct err *err) MUST_CHECK;
/* Every user has closed what he had on it before. What was posted until now still runs; waits for
 * names that are still being resolved. Not from the loop's own thread. */
void loop_closep(struct loop **l);
struct uv_loop_s *loop_uv(struct loop *l);
/* Any thread. Never goes back, also when the wall clock does. */
uint64_t loop_now_ms(struct loop *l);
bool loop_is_here(const struct loop *l); /* this is its thread */

/* Any thread. Runs call(arg) on the loop soon, in order of posting. -ENOMEM; -EPIPE: closing. */
int loop_post(struct loop *l, void (*call)(void *arg), void *arg) MUST_CHECK;
/* Any thread but the loop's. Returns when call(arg) has run there. */
int loop_call(struct loop *l, void (*call)(void *arg), void *arg) MUST_CHECK;

/* The loop's thread. at_ms by loop_now_ms(); a timer fires once and may be set again, also by what
 * it calls; what it calls may free it. UINT64_MAX: not. */
int  loop_timer_new(struct loop *l, void (*call)(void *arg), void *arg,
		    struct loop_timer **out) MUST_CHECK;
void loop_timer_at(struct loop_timer *t, uint64_t at_ms);
void loop_timer_freep(struct loop_timer **t);

#endif
