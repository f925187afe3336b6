/* audit.h: does hyper hold what it should? Checks what replay left of the newest heights of a
 * shard.
 *
 *     gap       every height that is replayed above the base has a hyper root
 *     envelope  the envelope comes out of the rows as long as it was when the block was ingested
 *     hash      the block that it names has the bytes of that hash
 *     retained  retained records grow and shrink by what the change list says
 *     prune     each prune of legacy is a no-op of hyper: the same record is put there by the same
 *               block
 *     root      both roots and the retained records come out of the records again, at the newest
 *               height
 *
 * Reads only. Errors: of the store; a fault is no error. -EINTR. Threads: any. */
#ifndef CHAINFS_HYPER_AUDIT_H
#define CHAINFS_HYPER_AUDIT_H

#include <stdatomic.h>

#include "core/hyper/cuts.h"

struct audit_totals {
	uint64_t heights, prunes, dropped, retained, faults;
	uint32_t roots; /* shards whose roots were made again */
};

typedef void audit_fault(void *arg, uint32_t shard, uint64_t height, const char *what,
			 const char *sentence);

/* Adds to *totals. latest: newest heights of the shard, those above hyper's base alone. */
int audit_shard(const struct view *v, uint32_t shard, uint64_t latest, audit_fault *fault,
		void *arg, const atomic_bool *stop, struct audit_totals *totals, struct err *err)
	MUST_CHECK;

#endif
