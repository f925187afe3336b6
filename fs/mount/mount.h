/* mount.h: a store, mounted. The one contract between the kernel's side and the program.
 *
 * Three connections: the main tree, read-only at VFS level; beside it ctl, and plain, where whole
 * plain files are read at the disk's speed (DESIGN.md 6, 9).
 * Threads  fs_open and fs_closep by one thread; fs_run serves with threads of its own and returns
 *          when the file system was unmounted or fs_stop was called (any thread, also a
 *          signal's). */
#ifndef CHAINFS_FS_MOUNT_H
#define CHAINFS_FS_MOUNT_H

#include "core/control/events.h"
#include "core/store/store.h"
#include "fs/connection/mountpoint.h"

struct follows;
struct fs;
struct keep;
struct orders;
struct pins;

struct fs_options {
	bool     allow_other;
	uint32_t uid, gid;       /* owner of everything shown */
	uint32_t umask;          /* taken from 0444 and 0555 */
	unsigned threads;        /* 0: a default */
	const char *transport;   /* of transport.h, by name, or "auto"; NULL: classic */
	size_t   render_cache;   /* bytes of renderings kept; 0: a default */
	struct pins   *pins;     /* checkpoints; NULL: none are shown */
	struct orders *orders;   /* what ctl takes; NULL: nothing */
	struct follows *follows; /* who follows which network; NULL: nobody any */
	unsigned fetch_ms;       /* a lookup of a missing block waits so long for it; 0: not at
				  * all */
	const char *ctl_dir;     /* where ctl is mounted; NULL: the run-time folder of the user */
	/* What outlives us (fs/connection/keep.h), and who is told of the descriptors in it once
	 * all are mounted; NULL: nothing does. With descriptors in it we go on with those. */
	struct keep *keep;
	void       (*mounted)(void *arg, int main_fd, int ctl_fd, int plain_fd);
	void        *mounted_arg;
};

/* Mounts them all. A stale mount point (a dead daemon's) is cleared first. After this `ls` works as
 * soon as fs_run is serving. */
int  fs_open(struct store *s, struct events *events, const char *mountpoint,
	     const struct fs_options *o, struct fs **out, struct err *err) MUST_CHECK;
int  fs_run(struct fs *fs, void (*ready)(void *arg), void *arg, struct err *err) MUST_CHECK;
void fs_stop(struct fs *fs);
/* Once it is ready: can another process go on with it when this one dies? */
bool fs_survives(struct fs *fs);
/* As fs_stop, but all stay mounted, with what is not answered yet, for the next process. */
void fs_hand_over(struct fs *fs);
void fs_closep(struct fs **fs); /* unmounts what is still mounted */

/* Unmounts as a person would ask for it: fusermount3 or umount(2), with the reason when it is
 * busy. */
int fs_unmount(const char *mountpoint, enum unmount_how how, struct err *err) MUST_CHECK;

#endif
