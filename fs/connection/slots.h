/* slots.h: scopes interned, so that a directory's inode number can name its scope in 18 bits.
 *
 * A slot is a (network, scope). It is counted as a whole: once for each lookup that the kernel
 * holds in it and for each request under way, never one entry an inode. At zero it is free, and
 * returns only with a higher generation, or as the same part of the same view, where each number
 * means what it did: answers that were kept by number and generation then are right again.
 *   SCOPE_PLACE  stays for good
 *   SCOPE_VIEW   holds its view
 *   SCOPE_STATE  pins its height against the collector
 *   SCOPE_SPAN   pins both of its heights
 *   SCOPE_CHECKPOINT  holds nothing: what it names may go
 *   SCOPE_SIGHT  holds its version; not to be had again by another process
 * What the kernel was given of each is written down (keep.h), with what it is of: a process that
 * takes over has the same numbers and generations, holds the same heights and reads the same views.
 * A slot of what cannot be had again exactly is -ESTALE until the kernel forgets it.
 * Threads  any. Entering and leaving is one atomic operation each; interning takes a lock of one
 *          shard of the table.
 * Errors   -ESTALE for a slot that is free, -ENFILE when all are in use, -ENOMEM. */
#ifndef CHAINFS_FS_SLOTS_H
#define CHAINFS_FS_SLOTS_H

#include <stdatomic.h>

#include "fs/tree/tree.h"
#include "fs/connection/keep.h"
#include "fs/connection/views.h"

struct slot { /* to be read by who has entered it */
	uint32_t            number;
	uint32_t            generation;
	struct network     *network; /* NULL: the root's own rows */
	struct scope        scope;
	struct shared_view *view;    /* SCOPE_VIEW */
	struct sight_version *sight; /* SCOPE_SIGHT */
	/* slots.c alone: */
	struct keep_slot   *kept;
	bool                gone;    /* taken over, and not to be had again */
	atomic_uint_fast64_t count;
	const struct network *past;  /* of the scope, also while it is free */
	uint32_t             next;   /* number + 1, in its chain or the free list */
};

struct slots;

/* At most INO_SLOTS; NULL: no memory. `kept`, of `keep`: with what another process left there, once
 * slots_take_over() was called. NULL: nothing outlives us. */
struct slots *slots_new(uint32_t slots_max, struct keep *keep, struct keep_slots *kept);
/* After keep_views_recount(), before anything can be collected and the first slot is asked for.
 * `network`: of that index, or NULL. Returns how many slots could not be had again. */
uint32_t slots_take_over(struct slots *s, struct network *(*network)(void *arg, unsigned index),
			 void *arg);
/* Lets go of views and pins, whatever the kernel knows; what is written down stays. */
void slots_freep(struct slots **s);
uint32_t slots_used(struct slots *s);

/* Both give a slot that the caller has entered and leaves again. `view` is the one that the
 * question was answered with; a new SCOPE_VIEW slot shares it, and -ESTALE says that it is
 * another. 1: the slot is new, so nothing held its height until now. */
int slots_intern(struct slots *s, struct network *n, const struct scope *scope,
		 struct shared_view *view, struct slot **out) MUST_CHECK;
int  slots_enter(struct slots *s, uint32_t number, struct slot **out) MUST_CHECK;
void slots_leave(struct slots *s, struct slot *slot);

/* The kernel was given, or forgets, that many lookups. Giving needs a slot that is entered. */
void slots_give(struct slot *slot, uint64_t lookups);
void slots_forget(struct slots *s, uint32_t number, uint64_t lookups);

#endif
