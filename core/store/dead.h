/* dead.h: stretches of keys without a row that is seen, as scans walked over them lately.
 *
 * What was pruned leaves tombstones until the collector comes, often by the ten thousands in a row.
 * A folder is listed in many pieces, and each piece is a scan of its own that would walk over them
 * all again: a large set would cost the square of its size. A stretch is good for one epoch of the
 * database, for readers as of the same place.
 * Memory   a table of fixed size; a newer stretch takes the place of an older one.
 * Threads  any. */
#ifndef CHAINFS_STORE_DEAD_H
#define CHAINFS_STORE_DEAD_H

#include "core/base/bytes.h"

struct dead;
struct dead *dead_new(void); /* NULL: no memory */
void dead_freep(struct dead **d);

struct dead_place { /* who reads */
	uint64_t epoch;
	uint64_t height;
	uint32_t branch;
};

/* No key in [first, end) has a row; keys as stored, without their place. */
void dead_add(struct dead *d, const struct dead_place *at, struct slice first, struct slice end);
/* The end of a stretch that `key` is in, appended to `end`. */
bool dead_find(struct dead *d, const struct dead_place *at, struct slice key, struct buf *end);

#endif
