/* following.h: hears of sources that come and go, so that the kernel can be told that a listing of
 * sources/ is old. What their files say is taken when somebody looks (fs/tree/sights.h).
 *
 * Threads  `changed` is called on the thread of a follower or of whoever called following_look(),
 *          and not after following_stop() returned. */
#ifndef CHAINFS_FS_FOLLOWING_H
#define CHAINFS_FS_FOLLOWING_H

#include "core/store/store.h"
#include "core/sync/follow.h"

/* One in a process: a follower has one listener. */
void following_start(struct store *s, struct follows *l,
		     void (*changed)(void *arg, struct network *n), void *arg);
/* Followers may have come since. */
void following_look(void);
void following_stop(void);

#endif
