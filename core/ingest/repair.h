/* repair.h: writes that mend what a check found, by the same one writer as everything else.
 *
 * One struct repair a network at a time, and none while an import runs (-EBUSY). What was mended is
 * true when repair_end() says so; large repairs are committed in parts. Each of them posts an
 * event. Every function gives 1 when it changed something, 0 when there was nothing to do. Each
 * waits while the gate is closed, as an import does; -EINTR when *stop became true meanwhile.
 * Threads  one. */
#ifndef CHAINFS_INGEST_REPAIR_H
#define CHAINFS_INGEST_REPAIR_H

#include "core/control/events.h"
#include "core/ingest/gate.h"
#include "core/store/network.h"

struct repair;

/* gate and stop may be NULL. */
int repair_begin(struct network *n, struct events *events, struct gate *gate,
		 const atomic_bool *stop, struct repair **out, struct err *err) MUST_CHECK;
int repair_end(struct repair *r, struct err *err) MUST_CHECK;
void repair_freep(struct repair **r); /* what was not committed never happened */

/* A block whose bytes fail becomes a gap, until the same block comes again. Looked at again
 * first. */
int repair_damaged(struct repair *r, uint32_t shard, uint64_t height, struct err *err) MUST_CHECK;
/* The row of a held block, its stat records, its hashes and its mark of differing roots, made of
 * its bytes and of what replay left. What only replay can say stays. -EBADMSG: its bytes are
 * damaged; -ENODATA: it is not held. */
int repair_rows(struct repair *r, uint32_t shard, uint64_t height, struct err *err) MUST_CHECK;
/* Takes a row of by-hash away. */
int repair_hash(struct repair *r, const uint8_t prefix[8], uint32_t shard, uint64_t height,
		uint32_t item, struct err *err) MUST_CHECK;
/* The shard's numbers: these sums, and first and newest height by its gaps. refused: NULL leaves
 * it. */
int repair_counters(struct repair *r, uint32_t shard, uint64_t items, uint64_t bytes,
		    const uint64_t *refused, struct err *err) MUST_CHECK;

/* Heights up to `known` exist; what of them is not held is a gap, those of `damaged` with that
 * reason. */
int repair_known(struct repair *r, uint32_t shard, uint64_t known, const uint64_t *damaged,
		 size_t damaged_count, struct err *err) MUST_CHECK;

#endif
