/* fsck.h: walks all of a network and computes again whatever can be computed.
 *
 * Everything is read as of one moment: the store may go on meanwhile. Bytes are held against their
 * digest, rows against the blocks they describe, indexes against rows in both directions, the state
 * against the roots that blocks sign, counters against sums. What a fault is:
 *   damaged        bytes that fail their checksum or do not parse
 *   missing        something else says that it is there
 *   contradiction  two that should agree do not
 *   orphan         nothing leads to it; costs room and harms nobody
 *   unsealed       a checkpoint without sums of its own (core/checkpoint/sums.h): what SHA256SUMS does
 *                  not cover is held against nothing
 *
 * Memory   bounded: a batch of blocks, one account, a few bytes for each thousand heights and for
 *          each damaged block.
 * Errors   negative only when it could not be tried (-ENOMEM, -EINTR when *stop became true); what
 *          is wrong with the network goes to report() and is counted.
 * Threads  any; report() and progress() are called on the caller's. */
#ifndef CHAINFS_FSCK_H
#define CHAINFS_FSCK_H

#include "core/ingest/repair.h"
#include "core/store/network.h"

enum fsck_class {
	FSCK_DAMAGED,
	FSCK_MISSING,
	FSCK_CONTRADICTION,
	FSCK_ORPHAN,
	FSCK_UNSEALED,
	FSCK_CLASS_COUNT
};
extern const char *const fsck_class_names[FSCK_CLASS_COUNT];

#define FSCK_NOWHERE UINT64_MAX /* as a height: the fault is at no height */

struct fsck_fault {
	enum fsck_class class;
	const char *part; /* "block", "stat", "hash", "roots", "state", "segment", "pin" … */
	uint32_t shard;
	uint64_t height;
	bool repairable; /* by fsck_repair(); of "pin", by pins_mend() */
	const char *sentence;
};

struct fsck_counts {
	uint64_t faults[FSCK_CLASS_COUNT];
	uint64_t repairable;
	uint64_t beyond; /* those that only making the network anew mends (rebuild.h) */
	uint64_t blocks, items, rows, records, frames, checkpoints;
	uint64_t waiting; /* damaged blocks that are gaps already, until they come again */
	uint64_t unreferenced_bytes; /* of segments: what was healed or refused leaves some */
};

struct fsck_options {
	void (*report)(void *arg, const struct fsck_fault *f);
	void (*progress)(void *arg, const char *stage, uint64_t done, uint64_t total);
	void *arg;
	bool (*stopped)(void *arg);
	const char *checkpoints; /* their folder; NULL: none are looked at */
	const char *pins;        /* the same */
};

struct fsck_fixes; /* what a walk found and a repair can mend; bounded, so a second walk may find
		    * more */

int fsck_run(struct network *n, const struct fsck_options *o, struct fsck_counts *out,
	     struct fsck_fixes **fixes, struct err *err) MUST_CHECK;
/* Only its pins: of a network that does not open. */
int fsck_pins(const struct fsck_options *o, struct fsck_counts *out, struct err *err) MUST_CHECK;
void fsck_fixes_freep(struct fsck_fixes **f);
/* A damaged block's height becomes a gap, so that the same block heals it when it comes again; rows
 * that follow from a block's bytes are written anew; counters are set to their sums. `r` was begun
 * before the walk, so that nobody wrote meanwhile, and is at its end afterwards. Returns how many
 * were mended; `told` gets a sentence for each. */
int fsck_repair(struct repair *r, const struct fsck_fixes *f,
		void (*told)(void *arg, const char *sentence), void *arg, struct err *err)
	MUST_CHECK;

#endif
