/* notify.h: the thread that tells the kernel what changed.
 *
 * Without OPENDIR the kernel caches every listing, and the attributes of folders for good. So
 * each growing folder that is given to it is remembered here, and when its network publishes a
 * view, the kernel is told to forget what it cached of the folder. Then it is forgotten here
 * too: the kernel asks again and it is remembered again, as long as it grows. A listing that was
 * on its way meanwhile would be cached after that, so the kernel is told a second time a little
 * later.
 *
 * All that is remembered is written down besides (keep.h); after a process died, the kernel is told
 * of every such folder by the next one, since something may have been published that it was not
 * told.
 *
 * Threads  start and stop by one thread, the rest any. The thread holds no lock while it speaks
 *          to the kernel, which may wait for a request that a worker is answering. */
#ifndef CHAINFS_FS_NOTIFY_H
#define CHAINFS_FS_NOTIFY_H

#include "core/base/err.h"

struct fuse_session;
struct keep_notify;
struct notifier;

#define NOTIFY_FOLDERS_MAX 16384u

/* `trim` is called every few seconds after notifier_trim_later() until it returns false. */
/* `kept`: written down here, with what another process left; NULL: nowhere. NULL: no memory. */
struct notifier *notifier_new(bool (*trim)(void *arg), void *arg, struct keep_notify *kept);
void notifier_freep(struct notifier **n);
int  notifier_start(struct notifier *n, struct fuse_session *session, struct err *err) MUST_CHECK;
void notifier_stop(struct notifier *n);

/* A folder of a network (0: the root's own) that may grow. False: too many are remembered, so
 * nothing of it may have a life in the kernel's cache. */
bool notifier_watch(struct notifier *n, uint64_t ino, unsigned network) MUST_CHECK;
void notifier_published(struct notifier *n, unsigned network);
/* Something older than what is published may just have been given: once more, a little later. */
void notifier_published_before(struct notifier *n, unsigned network);
/* The state of a network went back (view_line): what the kernel knows below its folder `parent` by
 * a name for ever may be another thing now, or nothing. It forgets the names that stand there, and
 * with them all below that nobody has open; *told becomes `branch` when it has. */
void notifier_rolled_back(struct notifier *n, uint64_t parent, uint32_t branch,
			  _Atomic uint32_t *told);
void notifier_trim_later(struct notifier *n);

#endif
