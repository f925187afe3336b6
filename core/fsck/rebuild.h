/* rebuild.h: a network made anew of its own blocks.
 *
 * What follows from blocks is not mended row by row. Blocks whose rows and bytes can be read are
 * taken out of the damaged network, checked and replayed into an empty one beside it, each root
 * against the one that the chain signs; then that one gets the place (store_network_replace). What
 * could not be read is a gap, which an import fills. A state that began with a checkpoint begins
 * with one that is held; where none proves, nothing is done.
 *
 * A crash leaves the one or the other. The blocks are on the disk twice meanwhile.
 * Object ids, and so inode numbers, are given anew: the caller has the store alone, nothing is
 * mounted.
 * Errors   -ENODATA: nothing tells what the network is, or with what its state began; -EINTR;
 *          -ENOSPC.
 * Threads  one. */
#ifndef CHAINFS_FSCK_REBUILD_H
#define CHAINFS_FSCK_REBUILD_H

#include <stdatomic.h>

#include "core/store/store.h"

struct rebuild_totals {
	uint64_t blocks;  /* taken over */
	uint64_t damaged; /* had a row that leads to them, and could not be read */
	uint64_t missing; /* heights that are gaps now */
};

struct rebuild_options {
	void (*progress)(void *arg, uint64_t blocks);
	void *arg;
	const atomic_bool *stop; /* NULL */
};

/* Of the network `name`, open or not; it is open afterwards. */
int rebuild(struct store *s, const char *name, const struct rebuild_options *o,
	    struct rebuild_totals *out, struct err *err) MUST_CHECK;

#endif
