/* ctl.h: all that flows, on a FUSE connection of its own beside the main one.
 *
 *     README   what is here
 *     events   a line an event, from the moment of the open; a read waits for the next one
 *     metrics  numbers as of the open
 *
 * Everything is direct I/O with normal opens. A read that waits holds no thread: it is parked, and
 * answered when a line comes, when it is interrupted, or with the end of the file when ctl goes.
 * Threads  open, start, closep by one thread. */
#ifndef CHAINFS_FS_CTL_H
#define CHAINFS_FS_CTL_H

#include "core/control/events.h"
#include "core/store/store.h"

struct ctl;

struct ctl_options {
	const char *mountpoint; /* absolute and prepared */
	bool        allow_other;
	uint32_t    uid, gid, umask;
};

int  ctl_open(struct store *s, struct events *e, const struct ctl_options *o, struct ctl **out,
	      struct err *err) MUST_CHECK;
int  ctl_start(struct ctl *c, struct err *err) MUST_CHECK;
void ctl_wake(struct ctl *c); /* an event was posted; any thread, does not wait */
void ctl_closep(struct ctl **c); /* readers get the end of the file; unmounts */

#endif
