/* plain.h: the third connection: the tree's whole plain files, checkpoints and segments, with
 * opens.
 *
 * Where the kernel can pass reads through to the file below, and we may tell it to, it reads these
 * files without us, at the disk's speed; else the daemon reads them. The bytes are the same, and
 * who reads does not notice.
 * Threads  open, start, end, closep by one thread; the rest any. */
#ifndef CHAINFS_FS_PLAIN_H
#define CHAINFS_FS_PLAIN_H

#include "core/store/store.h"

#define READ_AHEAD_KIB 1024u /* of files that are read from their begin */

struct keep;
struct meter;
struct plain;
struct views;

struct plain_options {
	bool allow_other;
	uint32_t uid, gid, umask;
	struct keep *keep; /* what outlives us, with the number of the keeper; with a connection of
			    * this kind in it we go on with that */
};

/* Mounts it in the run-time folder. Views and meter are the main connection's. */
int plain_open(struct views *v, struct meter *m, const struct store *s,
	       const struct plain_options *o, struct plain **out, struct err *err) MUST_CHECK;
int plain_start(struct plain *p, struct err *err) MUST_CHECK;
const char *plain_path(const struct plain *p);
/* A network (0: the root) published a view; or something changed beside views. Accept NULL. */
void plain_published(struct plain *p, unsigned network);
void plain_changed(struct plain *p, unsigned network);
/* Unmounts unless somebody reads, which is detached then; answers no more, and holds no view. */
void plain_end(struct plain *p);
int  plain_fd(const struct plain *p); /* of /dev/fuse */
/* Leaves it to the next process: plain_end() and plain_closep() unmount nothing then. */
void plain_pause(struct plain *p);
void plain_closep(struct plain **p); /* once nothing is published any more */

#endif
