/* restore.h: starts a store from a checkpoint.
 *
 * The new store stands where the other one stood at that height: state, rules, roots, hyper base.
 * It holds one block a shard and goes on with the next; earlier ones are a gap and may be imported,
 * but are never replayed. `at/H` is readable from that height on.
 * The checkpoint is proved first (prove.h) and nothing is made when that fails: every level has to
 * be ok, hyper's only where hyper is on. The store is made as PATH.part and gets its name when it
 * is synced: there is never half of one. A PATH.part that an earlier try left is taken away first.
 *
 * Errors   -EEXIST: there is something at `path`; -EBADMSG or -EKEYREJECTED: it does not prove,
 *          with the level; -EBUSY: another restore makes a store there; -ENOSPC; -EINTR. Threads:
 *          any. Memory: bounded, whatever the checkpoint's size. */
#ifndef CHAINFS_CHECKPOINT_RESTORE_H
#define CHAINFS_CHECKPOINT_RESTORE_H

#include "core/checkpoint/prove.h"

struct restore_options {
	const char *network; /* its name in the new store */
	struct slice params; /* canonical text; empty: the checkpoint's evidence */
	const char *trust;   /* as store_network_new() */
	bool sync_off;
	/* Called now and then, NULL for never: records in the store so far, of about so many.
	 * Begins when the checkpoint is proved. */
	void (*progress)(void *arg, uint64_t records, uint64_t records_total);
	void *arg;
};

/* *proof is filled as far as it came, also after an error. */
int checkpoint_restore(const char *folder, const char *path, const struct restore_options *o,
		       const atomic_bool *stop, struct proof *proof, struct err *err) MUST_CHECK;

#endif
