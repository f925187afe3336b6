/* following.h: before a mount: a store for what is followed, and the files that name its
 * sources. */
#ifndef CHAINFS_FOLLOWING_H
#define CHAINFS_FOLLOWING_H

#include "core/control/mount_options.h"
#include "core/control/verb.h"

/* What the settings say of whom nodes at grpcs:// addresses are trusted by, for this process and
 * those that it starts. Before it has threads. */
void following_authorities(const struct settings *s);

/* `word` is a store, or the address of a node: "grpc://HOST:PORT". The store's path into `out`; of
 * an address that of a store that names it as a source, made where there was none. Sources of -o
 * source= are named, too.
 * -EINVAL: what a new store needs is not said; -EEXIST: it is there with other parameters; -EBUSY:
 * a process holds it; others as of store_open(). */
int following_prepare(struct verb_call *c, const struct mount_options *o, const char *word,
		      char *out, size_t size, struct err *err) MUST_CHECK;

#endif
