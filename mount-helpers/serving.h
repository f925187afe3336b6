/* serving.h: the worker of a mount: opens everything in order, serves, reads settings again when it
 * is told to, and ends in the opposite order. */
#ifndef CHAINFS_SERVING_H
#define CHAINFS_SERVING_H

#include "core/control/mount_options.h"
#include "core/control/verb.h"
#include "mount-helpers/keeper.h"

struct serving { /* what is served; all of it outlives the worker */
	struct verb_call *call; /* with the settings that count, and --hyper */
	const struct mount_options *options;
	const char *store, *mountpoint;         /* absolute */
	const struct settings_sources *sources; /* read again at SIGHUP */
	bool in_front;
};

/* Returns when the mount is over, or left to another worker: an exit code. In a process that the
 * keeper forked, before it has other threads. */
int serving_run(const struct serving *s, struct worker *w, struct err *err);
/* An exit code: what the system refuses to a mount is a failed mount. */
int mount_exit(int rc);

#endif
