/* cache.h: frames unpacked lately, bounded in bytes.
 *
 * The bound is cut into parts with a lock each. A frame bigger than its part stays until the next
 * one comes: a file is read slice by slice, and unpacking all of it for each slice costs far more.
 * Frames are immutable and counted: one that was pushed out lives until its last reader puts it.
 * Threads  any. */
#ifndef CHAINFS_STORE_CACHE_H
#define CHAINFS_STORE_CACHE_H

#include "core/base/bytes.h"

struct cache;

struct frame {
	uint32_t segment;
	uint64_t offset; /* the two are its key */
	size_t   size;
	uint8_t  bytes[];
};

struct cache *cache_new(size_t bytes_max);
void cache_freep(struct cache **c); /* every frame was put */

/* Counted; NULL: not there. */
struct frame *cache_get(struct cache *c, uint32_t segment, uint64_t offset);
/* A frame to be filled, known to the caller alone. NULL: no memory. */
struct frame *frame_new(uint32_t segment, uint64_t offset, size_t size);
/* Offers a filled frame to other readers; the caller keeps its count. */
void cache_add(struct cache *c, struct frame *f);
void frame_putp(struct frame **f);

#endif
