/* ctl.h: all that flows or is ordered, on a FUSE connection of its own beside the main one. What
 * there is stands in one table (table.c), which its README comes from; what an order does, in
 * core/control/orders.h.
 *
 * Everything is direct I/O with normal opens. An order is obeyed or refused on the write(2) itself.
 * A read of events that waits holds no thread: it is parked, and answered when a line comes, when
 * it is interrupted, or with the end of the file when ctl goes.
 * An open file survives the process that opened it: a reader of events is told how many lines it
 * lost, a text is made again when it is read from its begin, and is -ESTALE in its middle.
 * Threads  open, start, closep by one thread. */
#ifndef CHAINFS_FS_CTL_H
#define CHAINFS_FS_CTL_H

#include "core/control/events.h"
#include "core/store/store.h"

struct ctl;
struct follows;
struct keep_connection;
struct keep_ctl;
struct orders;

struct ctl_options {
	const char *mountpoint; /* absolute and prepared */
	bool        allow_other;
	uint32_t    uid, gid, umask;
	struct follows *follows; /* NULL: nobody follows anything */
	const char *tree_path; /* where the main tree is mounted: links lead there */
	/* What outlives us of the connection and of open files (keep.h). */
	struct keep_connection *kept;
	struct keep_ctl        *kept_ctl;
};

/* orders NULL: what is ordered is not there. */
int  ctl_open(struct store *s, struct events *e, struct orders *orders, const struct ctl_options *o,
	      struct ctl **out, struct err *err) MUST_CHECK;
int  ctl_start(struct ctl *c, struct err *err) MUST_CHECK;
int  ctl_fd(const struct ctl *c); /* of its connection */
/* For another process that goes on: reads that wait are left to it, ctl_closep() unmounts
 * nothing. */
void ctl_pause(struct ctl *c);
void ctl_wake(struct ctl *c); /* an event was posted; any thread, does not wait */
void ctl_closep(struct ctl **c); /* readers get the end of the file; unmounts */

#endif
