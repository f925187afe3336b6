/* rundir.h: the folders that ctl and plain are mounted on: /run/chainfs/ctl-PID for root, else
 * below the user's run-time folder, else below /tmp/chainfs-UID, which nobody else may be able to
 * write.
 *
 * Making one clears what daemons that died have left there. Threads: one. */
#ifndef CHAINFS_FS_RUNDIR_H
#define CHAINFS_FS_RUNDIR_H

#include <limits.h>
#include <sys/types.h>

#include "core/base/err.h"

/* `what`: "ctl" or "plain". `wanted`: this folder and no other; it is made where it is not there.
 * `pid`: whose it is, as long as that process lives; 0: ours. */
int  rundir_make(const char *what, const char *wanted, pid_t pid, char out[PATH_MAX],
		 struct err *err) MUST_CHECK;
/* What daemons that died have left of this user. */
void rundir_each_dead(void (*each)(void *arg, const char *path), void *arg);
void rundir_clear_dead(void);
void rundir_remove(const char *path); /* once nothing is mounted there any more */

#endif
