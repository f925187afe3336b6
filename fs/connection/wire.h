/* wire.h: below libfuse, where its replies become messages to the kernel.
 *
 * The libfuse that we build with (3.14) does not know every bit that a reply to INIT can have, and
 * nothing of transports other than /dev/fuse. Here the reply to INIT gets the bits that were wished
 * for and that the kernel offers, and a transport can take replies that it carries by itself.
 *
 * A wire is attached after the session was mounted and before its first request is processed. Who
 * carries requests shows each to wire_asked() before it is processed: INIT says what is offered.
 * That of a connection which was taken over is a replayed one; what was agreed on follows from it.
 * Threads  attach, on_… and detach by one thread while nobody serves; the rest by any. */
#ifndef CHAINFS_FS_WIRE_H
#define CHAINFS_FS_WIRE_H

#include <sys/uio.h>

#include "core/base/err.h"

struct fuse_session;
struct wire;

struct wire_bits {
	bool     parallel;    /* PARALLEL_DIROPS: libfuse 3.14 has the wish and does not pass it
			       * on */
	bool     uring;       /* FUSE_OVER_IO_URING */
	unsigned payload_max; /* bytes of a request or a reply then; whole pages */
	unsigned stack_depth; /* FUSE_PASSTHROUGH, on file systems so deep; 0: without */
};

int  wire_attach(struct fuse_session *session, struct wire_bits wished, struct wire **out,
		 struct err *err) MUST_CHECK;
void wire_wish(struct wire *w, struct wire_bits wished); /* anew, before INIT is answered */
void wire_detachp(struct wire **w); /* after which its session processes nothing any more */

void wire_asked(struct wire *w, const void *request, size_t size); /* accepts NULL */
/* True once INIT was answered, and what of the wishes came true. */
bool wire_agreed(struct wire *w, struct wire_bits *out);

/* Called when the kernel has the reply to INIT, by the thread that wrote it. */
void wire_on_agreed(struct wire *w, void (*agreed)(void *arg, struct wire_bits what), void *arg);
/* Offered every reply but INIT's: 1 when it was taken, 0 when it is for /dev/fuse, or a negative
 * errno that the handler is told. Notifications are not replies. */
void wire_on_reply(struct wire *w, int (*take)(void *arg, uint64_t unique,
					       const struct iovec *parts, int count),
		   void *arg);

#endif
