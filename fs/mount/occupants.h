/* occupants.h: who keeps a mount busy: processes with a folder, a file or a program of it in use,
 * and what is mounted inside it.
 *
 * Read from /proc, nothing is asked of the mount itself: its daemon may be the one that does not
 * answer. What this user may not look at is counted, not guessed at.
 * Threads  any. */
#ifndef CHAINFS_FS_OCCUPANTS_H
#define CHAINFS_FS_OCCUPANTS_H

#include <limits.h>
#include <sys/types.h>

#include "core/base/err.h"

struct occupant {
	pid_t pid;              /* 0: no process, a mount inside */
	char  command[32];      /* printable; "" for a mount */
	char  what[PATH_MAX + 64]; /* "its working folder is /mnt/x" */
};

/* Calls `on` for each, the processes in ascending order of what /proc lists. *hidden: how many
 * processes may not be looked at. */
int occupants_find(const char *full, void (*on)(void *arg, const struct occupant *o), void *arg,
		   size_t *hidden, struct err *err) MUST_CHECK;

#endif
