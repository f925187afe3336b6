/* verbs.h: the table of verbs. Help, completions, the manual and the daemon's socket read it. */
#ifndef CHAINFS_VERBS_H
#define CHAINFS_VERBS_H

#include "core/control/verb.h"

extern const struct verb verbs[];
extern const size_t verb_count;

/* Set by SIGINT and SIGTERM while a verb runs in front. */
extern atomic_bool verbs_stop;

int verb_demo(struct verb_call *c);
void demo_store(const struct verb_call *c, char *out, size_t size); /* where its store will be */
int verb_doctor(struct verb_call *c);
int verb_forge(struct verb_call *c);
int verb_mount(struct verb_call *c);
int verb_umount(struct verb_call *c);

/* Mounts `store` on `mountpoint` and serves: in front, or in a process of its own that is ready
 * when this returns 0. Prints its own sentence; returns an exit code. */
int mount_serve(struct verb_call *c, const char *store, const char *mountpoint, bool foreground);

#endif
