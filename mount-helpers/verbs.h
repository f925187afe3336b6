/* verbs.h: the table of verbs. Help, completions, the manual and the daemon's socket read it. */
#ifndef CHAINFS_VERBS_H
#define CHAINFS_VERBS_H

#include "core/control/mount_options.h"
#include "core/control/verb.h"

extern const struct verb verbs[];
extern const size_t verb_count;

/* Set by SIGINT and SIGTERM while a verb runs in front. */
extern atomic_bool verbs_stop;
/* Until something can be read from `fd`, or its other end is closed: true. False: the person wants
 * an end. A signal that comes before the wait ends it as well as one that comes amid it. */
bool verbs_wait(int fd);
/* What a verb ended with, or EXIT_SYSTEM and a sentence where its output could not be written. */
int verbs_tell(int code);

int verb_demo(struct verb_call *c);
void demo_store(const struct verb_call *c, char *out, size_t size); /* where its store will be */
int verb_bootstrap(struct verb_call *c);
int verb_compare(struct verb_call *c);
int verb_doctor(struct verb_call *c);
int verb_forge(struct verb_call *c);
int verb_hand_over(struct verb_call *c);
int verb_keep(struct verb_call *c);
int verb_mount(struct verb_call *c);
int verb_source_add(struct verb_call *c);
int verb_source_list(struct verb_call *c);
int verb_source_pardon(struct verb_call *c);
int verb_source_remove(struct verb_call *c);
int verb_umount(struct verb_call *c);
int verb_upgrade(struct verb_call *c);

/* Mounts `store` on `mountpoint` and serves: in front, or in a process of its own that is ready
 * when this returns 0. Prints its own sentence; returns an exit code. */
int mount_serve(struct verb_call *c, const char *store, const char *mountpoint, bool foreground);
/* The same with options that are parsed already; the sentence goes to `err` instead. */
int mount_start(struct verb_call *c, const struct mount_options *o, const char *store,
		const char *mountpoint, bool foreground, struct err *err);
/* Lines to io's err: who keeps the mount busy. */
void mount_tell_occupants(struct verb_io *io, const char *mountpoint);

/* mount.chainfs, umount.chainfs and the like, as mount(8) calls them: by the program's name, or as
 * `chainfs STORE MOUNTPOINT -o …`, as mount.fuse(8) does. -1: argv is none of these; else the exit
 * code, one of mount(8)'s. */
int helper_main(int argc, char **argv, struct verb_io *io);

#endif
