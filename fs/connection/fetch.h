/* fetch.h: a lookup of a block that is missing waits for it, where the mount was asked to (-o
 * fetch).
 *
 * The heights are wanted of the network's follower, and the lookup waits until the first one is
 * held or was refused, nobody offers it, the time is over, or whoever asked gave up. Few threads
 * may wait at a time: others are answered at once, so that the rest of the mount goes on.
 * Threads  any. */
#ifndef CHAINFS_FS_FETCH_H
#define CHAINFS_FS_FETCH_H

#include "fs/connection/known.h"

struct fuse_req;

/* After a lookup that said -ENODATA. 0: it is held by now, look again with a newer view; else what
 * to answer: -ENODATA as before, -ETIMEDOUT, -EINTR. */
int fetch_missing(struct fuse_req *req, const struct asked *folder, const char *name,
		  struct err *err);

#endif
