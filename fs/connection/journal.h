/* journal.h: the requests of a connection that were taken from the kernel and not answered, in
 * memory that outlives us (keep.h), so that the next process answers them.
 *
 * The kernel copies a request straight into its place there: from the moment that it is ours, it is
 * written down. It is struck out when its handler has returned, which is after the reply. So it is
 * answered twice rather than never: all that a request asks for here may be done twice, and the
 * kernel takes the first answer (the second is -ENOENT to fuse_reply_…). FORGET, which has no
 * answer, is struck out first. One that three processes died of is answered with EIO.
 * FUSE_NOTIFY_RESEND would do the same from Linux 6.9 on; this does it on every kernel, and tells
 * what killed us.
 *
 * Threads  each thread has a place of its own; parking by any. */
#ifndef CHAINFS_FS_JOURNAL_H
#define CHAINFS_FS_JOURNAL_H

#include "fs/connection/keep.h"

struct fuse_session;
struct wire;

/* Pages that are there before the kernel writes: a copy that faults while we are being killed ends
 * the request with EIO. Of place `thread`. */
void journal_prepare(struct keep_connection *c, unsigned thread);

/* Takes the next request of the device into a thread's place, and copies it to `bytes` of `size`
 * (the rest of a long one goes there alone, and is not kept). Its size, 0 when the connection has
 * ended, or a negative errno. A cancellation point. */
ssize_t journal_take(struct keep_connection *c, unsigned thread, int fd, void *bytes, size_t size)
	MUST_CHECK;
#define JOURNAL_BYTES_MIN (KEEP_REQUEST_SIZE + 4096u)

/* Around its handler; in between journal_park() knows which it is. */
void journal_begin(struct keep_connection *c, unsigned thread);
void journal_end(struct keep_connection *c, unsigned thread);

/* What the kernel was given before, and what nobody has answered: in this order, before new ones
 * are taken. Returns how many. */
unsigned journal_replay(struct keep_connection *c, struct fuse_session *session, struct wire *wire);

/* Called by a handler that answers later: the request stays written down, until journal_unpark().
 * NULL: there is no room, so it must be answered now. */
struct keep_parked *journal_park(void);
void journal_unpark(struct keep_parked *p);

/* The request under way on this thread as it came; NULL: none, or one that is replayed from
 * INIT. */
const void *journal_request(void);
uint64_t journal_unique(void); /* its number; 0: none */

#endif
