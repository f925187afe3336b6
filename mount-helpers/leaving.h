/* leaving.h: the daemon of a store, between its umount and its end.
 *
 * umount(2) returns when the kernel has let go of the mount; the daemon learns of it then, and
 * closes its store after. Who opens the store next waits for that: `umount MNT && chainfs mount
 * STORE MNT` is what restarts are made of. */
#ifndef CHAINFS_LEAVING_H
#define CHAINFS_LEAVING_H

#include <stdbool.h>

/* Returns when the store is not held by a daemon whose mount is gone: true when it waited for one
 * that has let go. False: there is nothing to wait for (nobody holds it, or somebody who stays),
 * SIGINT or SIGTERM came, or it took too long, as behind a lazy umount that still has readers. */
bool leaving_wait(const char *store);

#endif
