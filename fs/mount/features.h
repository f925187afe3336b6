/* features.h: what FUSE can do here, found by trying: a mount in a folder of its own, of which the
 * kernel's first message is read and which is gone again before this returns.
 *
 * Threads  one. */
#ifndef CHAINFS_FS_FEATURES_H
#define CHAINFS_FS_FEATURES_H

#include "core/base/err.h"

struct fs_features {
	int      device;      /* 0: /dev/fuse opens; else a negative errno */
	bool     helper;      /* fusermount3 is there; who is not root needs it */
	bool     allow_other; /* may this user let others read a mount? */
	int      trial;       /* 0: the trial mount came; else a negative errno, and `why` */
	struct err why;
	unsigned major, minor; /* of the protocol that the kernel speaks */
	bool     passthrough, uring; /* it offers them */
	int      rings;        /* 0: transport=uring can be had; else a negative errno, and why */
	struct err rings_why;
	bool     may_pass; /* this process may have files passed through, where that is offered */
};

void fs_features_look(struct fs_features *out);

#endif
