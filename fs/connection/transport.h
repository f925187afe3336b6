/* transport.h: carries requests from the kernel to the handlers of a FUSE session, on threads.
 *
 * transport_classic.c reads them from /dev/fuse, one read(2) a request: works with every kernel,
 * and a crash of ours leaves nothing hanging.
 * Threads  start and stop by one thread. Few of them serve: more make a single client slower,
 *          because wake-ups bounce between processors. When all have been blocked for a while,
 *          more come; they go when they are idle again. */
#ifndef CHAINFS_FS_TRANSPORT_H
#define CHAINFS_FS_TRANSPORT_H

#include "core/base/err.h"

struct fuse_session;
struct transport;

#define TRANSPORT_THREADS     2u  /* a default */
#define TRANSPORT_THREADS_MAX 64u
#define TRANSPORT_GROWTH      16u /* threads that blocked ones may bring it to */

/* `ended` is called once, from one of the threads, when the kernel has closed the connection. */
int transport_start(struct fuse_session *session, unsigned threads, void (*ended)(void *arg),
		    void *arg, struct transport **out, struct err *err) MUST_CHECK;
/* Waits for the requests in hand to be answered; takes no new ones. Accepts NULL. */
void transport_stopp(struct transport **t);

#endif
