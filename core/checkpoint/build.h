/* build.h: writes a checkpoint from a store, while the store goes on.
 *
 * Everything is read as of the main height and what its block witnesses of the other shards; the
 * heights are pinned against the collector while it lasts. Files go to PARENT/NAME.part, are
 * synced, and the folder gets its name with SHA256SUMS in it: there is never half a checkpoint of
 * that name. A .part that an earlier try left is taken away first.
 *
 * What was written is put through the adapter's rooter: a store that lost a row makes no
 * checkpoint.
 *
 * Errors   -ENODATA when the state of that height cannot be read (not replayed, collected, not
 *          held); -ENOSPC; -EINTR when *stop became true; -ESTALE when the chain was rolled back
 *          meanwhile; -EUCLEAN when the rows do not give the roots that replay left; -EEXIST is
 *          none: what is complete is left alone.
 * Threads  any; one build a folder at a time. Memory: bounded by a window of about 128 Ki records
 *          (build.c), or by one pack where that is more. */
#ifndef CHAINFS_CHECKPOINT_BUILD_H
#define CHAINFS_CHECKPOINT_BUILD_H

#include <stdatomic.h>

#include "core/checkpoint/folder.h"
#include "core/store/network.h"

struct build_progress {                              /* may be read by others while it lasts */
	atomic_uint_fast64_t records, records_total; /* of all shards, retained ones too */
	atomic_uint_fast64_t bytes;
};

/* sealed: `parent` has those of a store (folder_writer_seal()). */
int checkpoint_build(struct network *n, uint64_t main_height, const char *parent, bool sealed,
		     struct build_progress *progress, const atomic_bool *stop,
		     char name[CHECKPOINT_NAME_SIZE], struct err *err) MUST_CHECK;
/* The newest main height whose state, and that of what it witnesses, is replayed; -ENODATA: none
 * is. */
int checkpoint_newest(struct network *n, uint64_t *main_height, struct err *err) MUST_CHECK;

#endif
