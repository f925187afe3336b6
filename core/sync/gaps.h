/* gaps.h: which heights of one shard we hold, as sorted ranges, and what is missing between them.
 *
 * Ranges are half-open, [first, end), in heights; ranges held never touch each other.
 * A fault is a height that arrived and was refused: it splits the gap around it and says why.
 * Memory   a struct gaps owns its arrays; gaps_list() fills one that the caller releases.
 * Threads  ingest alone changes a struct gaps; readers see the list in a struct view.
 * Errors   -EINVAL for an empty range, -ENOMEM. After an error nothing has changed. */
#ifndef CHAINFS_SYNC_GAPS_H
#define CHAINFS_SYNC_GAPS_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/chain/chain.h"

struct range {
	uint64_t first, end;
};

enum gap_reason {
	GAP_NOT_FETCHED, /* nobody gave it to us yet */
	GAP_REFUSED,     /* it came, and failed structure, header or commit */
	GAP_STATE,       /* it came, and the chain's rules give another root than it signs */
	GAP_DAMAGED,     /* we held it, and our copy is damaged */
	GAP_ROLLED_BACK, /* it was held, and somebody ordered that it be let go */
	GAP_REASON_COUNT
};
extern const char *const gap_reason_names[GAP_REASON_COUNT]; /* "not-fetched" … */

struct fault {
	uint64_t height;
	uint8_t  reason; /* enum gap_reason */
	uint32_t tries;
	uint64_t next_try; /* unix s, 0: when asked */
	char     error[REASON_SIZE];
};

struct gaps {
	struct range *held;
	size_t        held_count, held_cap;
	struct fault *faults; /* ascending heights, none of them held */
	size_t        fault_count, fault_cap;
	/* One fault for many heights: those of [rolled.height, rolled_end) that are missing and
	 * have none of their own were let go by a rollback. rolled_end 0: there was none, or all of
	 * them came again. */
	struct fault  rolled;
	uint64_t      rolled_end;
};

#define GAPS_INIT { 0 }

void gaps_release(struct gaps *g);
int  gaps_copy(struct gaps *to, const struct gaps *from) MUST_CHECK; /* `to` is GAPS_INIT */
int  gaps_add(struct gaps *g, struct range r) MUST_CHECK;    /* held from now on; clears faults in
							      * r */
int  gaps_remove(struct gaps *g, struct range r) MUST_CHECK; /* no longer held */
bool gaps_has(const struct gaps *g, uint64_t height);
uint64_t gaps_held(const struct gaps *g); /* number of heights held */
/* Index in `held` of the first range that ends above `height`; held_count when there is none. */
size_t gaps_range_at(const struct gaps *g, uint64_t height);
/* Remembers why a height was refused; a second fault of the height counts a try. -EEXIST for a
 * height that we hold: a bad copy takes nothing from a good one (damaged: gaps_remove() first). */
int gaps_fault(struct gaps *g, uint64_t height, enum gap_reason reason, const char *error)
	MUST_CHECK;

/* A rollback: from `first` on nothing is held, and faults of there are forgotten; what was known up
 * to `last` is missing for that reason until it comes again. */
int gaps_roll_back(struct gaps *g, uint64_t first, uint64_t last, const char *error) MUST_CHECK;

struct gap {
	struct range range;
	const struct fault *fault; /* NULL: not-fetched. Of one height, or `rolled`. Lives as long
				    * as the struct gaps */
};

/* The maximal runs of missing heights in [1, ceiling], split at faults, ascending.
 * *cursor starts at 1; false when there is no further one. */
bool gaps_next(const struct gaps *g, uint64_t ceiling, uint64_t *cursor, struct gap *out);

/* Bytes for the store and back. -EBADMSG when they do not parse. */
int gaps_write(const struct gaps *g, struct buf *out);
int gaps_read(struct slice in, struct gaps *out) MUST_CHECK; /* `out` is GAPS_INIT */

#endif
