/* load.h: the files of a checkpoint that was proved become the rows of a new network.
 *
 * Records get object ids of this store and their bytes a carrier (core/store); accounts and counts
 * are derived from them again, what the rules need is taken as it is. The network then stands as of
 * the checkpoint, holding one block a shard.
 *
 * Written in several batches: after an error, or a crash, the network is a part of one and has to
 * go.
 * Errors   -EBADMSG: the files are not those that were proved; -ENOSPC; -EINTR.
 * Threads  the only writer of the network. Memory: bounded, whatever the files' size. */
#ifndef CHAINFS_CHECKPOINT_LOAD_H
#define CHAINFS_CHECKPOINT_LOAD_H

#include <stdatomic.h>

#include "core/checkpoint/folder.h"
#include "core/store/network.h"

struct load {
	const char *folder;
	const struct checkpoint_info *info; /* as proved */
	const atomic_bool *stop;            /* NULL: nobody stops it */
	void (*progress)(void *arg, uint64_t records, uint64_t records_total); /* may be NULL */
	void *arg;
};

/* `n` is new: nothing was ever committed to it. */
int checkpoint_load(const struct load *from, const struct store *s, struct network *n,
		    struct err *err) MUST_CHECK;

#endif
