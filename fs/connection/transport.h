/* transport.h: carries requests from the kernel to the handlers of a FUSE session, on threads.
 *
 * One row and one file a transport, picked at run time. transport_classic.c reads requests from
 * /dev/fuse, one read(2) each: works with every kernel, and a crash of ours leaves nothing hanging.
 * transport_uring.c takes them from rings: fast, where the kernel has it.
 * Threads  start and stop by one thread. Few of them serve: more make a single client slower,
 *          because wake-ups bounce between processors. When all have been blocked for a while,
 *          more come; they go when they are idle again.
 * Memory   what `start` gives is the transport's own; `stop` takes it back. */
#ifndef CHAINFS_FS_TRANSPORT_H
#define CHAINFS_FS_TRANSPORT_H

#include "core/base/err.h"

struct fuse_session;
struct keep_connection;
struct transport; /* of whichever transport started it */
struct wire;

#define TRANSPORT_THREADS     2u  /* a default */
#define TRANSPORT_THREADS_MAX 64u
#define TRANSPORT_GROWTH      16u /* threads that blocked ones may bring it to */

struct transport_task {
	struct fuse_session *session; /* mounted */
	struct wire         *wire;    /* of it; NULL: nothing is wished for */
	struct keep_connection *kept; /* what is written down of its requests (journal.h) */
	unsigned             threads; /* 0: a default; of rings: for each processor */
	void               (*ended)(void *arg); /* called once, from one of the threads, when the
						 * kernel has closed the connection */
	void                *arg;
};

struct transport_ops {
	const char *name;
	bool        by_ring; /* has to be agreed on with the kernel, in the reply to INIT */
	/* 0: it can be had here; else a negative errno, and what to do about it. */
	int  (*why_not)(struct err *err);
	int  (*start)(const struct transport_task *task, struct transport **out, struct err *err);
	/* Waits for the requests in hand to be answered; takes no new ones. Accepts NULL. */
	void (*stop)(struct transport **t);
	/* What serves now, "classic" while or because nothing else was agreed on. Any thread. */
	const char *(*serves)(const struct transport *t);
	/* Can another process go on with the connection when this one dies? Known once something
	 * was asked; then a yes stays true. Any thread. */
	bool (*survives)(struct transport *t);
};

extern const struct transport_ops transport_classic, transport_uring;
extern const struct transport_ops *const transports[]; /* ends with NULL */

#define TRANSPORT_AUTO    "auto"
#define TRANSPORT_PAYLOAD (256u << 10) /* bytes of a request or reply in a ring, headers apart */

/* Where the answer to the request that this thread handles will lie for the kernel: what is made
 * there is not copied again. Free to be written until the request is answered. NULL: there is no
 * such place, or it has less room. */
void *transport_room(size_t size);

/* By name; of "auto" the fastest that can be had. NULL is classic. One that was named and cannot be
 * had is refused with a sentence. */
int transport_pick(const char *name, const struct transport_ops **out, struct err *err) MUST_CHECK;

#endif
