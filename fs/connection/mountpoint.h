/* mountpoint.h: a folder that something is, was or will be mounted on.
 *
 * Errors   a sentence that names the folder. Threads  any. */
#ifndef CHAINFS_FS_MOUNTPOINT_H
#define CHAINFS_FS_MOUNTPOINT_H

#include <limits.h>
#include <sys/types.h>

#include "core/base/err.h"

#define MOUNT_SUBTYPE     "chainfs"     /* shown as fuse.chainfs */
#define MOUNT_SUBTYPE_CTL "chainfs-ctl"
#define MOUNT_SUBTYPE_PLAIN "chainfs-plain"

struct mount_info { /* of the topmost mount on a path */
	char type[64];        /* "fuse.chainfs" */
	char source[PATH_MAX]; /* the store */
	unsigned id;           /* the mount's own, as fdinfo has it */
	unsigned major, minor; /* of the file system */
};

enum unmount_how {
	UNMOUNT_PLAIN,
	UNMOUNT_LAZY, /* detached now, gone when its last user is */
	UNMOUNT_FORCE /* who waits for an answer gets an error first; only root's */
};

/* The absolute path without links; also of a mount point whose daemon died. */
int mountpoint_full(const char *path, char out[PATH_MAX], struct err *err) MUST_CHECK;
/* 1 and what is mounted there, 0 nothing is. */
int mountpoint_find(const char *full, struct mount_info *out, struct err *err) MUST_CHECK;
/* Everything that is mounted, in the order of mounting. */
int mountpoint_each(void (*each)(void *arg, const char *path, const struct mount_info *m),
		    void *arg, struct err *err) MUST_CHECK;
/* 1 when the main tree of ours is mounted there as that process sees it, 0 when not. */
int mountpoint_seen_by(pid_t pid, const char *full, struct err *err) MUST_CHECK;
bool mountpoint_is_ours(const struct mount_info *m); /* the main tree, ctl or plain */

enum mount_answer {
	MOUNT_ANSWERS, /* or nothing of ours is mounted there */
	MOUNT_STALE,   /* its daemon is gone */
	MOUNT_SILENT   /* its daemon does not answer within two seconds */
};
enum mount_answer mountpoint_answer(const char *full);
/* True: something of ours is mounted there and its daemon is gone. */
bool mountpoint_is_stale(const char *full);
/* After this the folder can be mounted on: it exists, is empty, and no dead mount covers it. */
int mountpoint_prepare(const char *full, struct err *err) MUST_CHECK;

/* Ends the connection of a mount, also of one that is detached already: who waits for an answer
 * gets an error, and so does who asks from now on; it stays mounted. For a daemon that is gone or
 * hangs while its descriptor is held by somebody: over rings (transport.h) the kernel would wait
 * for it for ever, and not even kill -9 ends who waits. Asks nothing of the mount. Only who mounted
 * may, and root; `minor` is that of mount_info. -ENOENT: there is no such connection any more. */
int mountpoint_abort(unsigned minor, struct err *err) MUST_CHECK;

/* As root with umount(2), else with fusermount3. -EBUSY: somebody has something below it open. */
int mountpoint_unmount(const char *full, enum unmount_how how, struct err *err) MUST_CHECK;

/* How far the kernel reads ahead of who reads a file from its begin: more than it takes by itself,
 * which root alone may say. Best effort. */
void mountpoint_read_ahead(const char *full, unsigned kib);

#endif
