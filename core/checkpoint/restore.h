/* restore.h: starts a store from a checkpoint.
 *
 * The new store stands where the other one stood at that height: state, rules, roots, hyper base. It
 * holds one block a shard and goes on with the next; earlier ones are a gap and may be imported, but are
 * never replayed. `at/H` is readable from that height on.
 * The checkpoint is proved first (prove.h) and nothing is made when that fails. The store is made under
 * another name and renamed when it is synced: there is never half of one.
 *
 * Errors   -EEXIST: there is something at `path`; -EBADMSG or -EKEYREJECTED: it does not prove, with the level;
 *          -ENOSPC; -EINTR. Threads: any. Memory: bounded, whatever the checkpoint's size. */
#ifndef CHAINFS_CHECKPOINT_RESTORE_H
#define CHAINFS_CHECKPOINT_RESTORE_H

#include "core/checkpoint/prove.h"

struct restore_options {
	const char *network; /* its name in the new store */
	struct slice params; /* canonical text; empty: the checkpoint's evidence */
	const char *trust;   /* as store_network_new() */
	bool sync_off;
};

int checkpoint_restore(const char *folder, const char *path, const struct restore_options *o,
		       const atomic_bool *stop, struct proof *proof, struct err *err) MUST_CHECK;

#endif
