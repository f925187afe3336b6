/* render_cache.h: whole files as they were rendered, and whole replies of listings: the next piece
 * of one, or the next who asks, costs a lookup.
 *
 * Least recently used go first once `bytes_max` is reached. Contents above `one_max` are not
 * kept with the others: the last two of them stay while they are being read, because the kernel
 * asks for a large file in many pieces, and go with render_cache_trim(). While one thread
 * renders a file, others who want it wait for it.
 * Keys     an inode number and its generation: a number that is used again is another file. Of a
 *          listing also the place in it, what it is as of, and how it was asked for.
 * Memory   a struct rendering is counted and immutable; it outlives the cache's interest in it.
 * Threads  any; the locks are sharded by key. */
#ifndef CHAINFS_FS_RENDER_CACHE_H
#define CHAINFS_FS_RENDER_CACHE_H

#include "core/base/bytes.h"

#define RENDER_CACHE_BYTES   ((size_t)64 << 20) /* a default */
#define RENDER_CACHE_ONE_MAX ((size_t)32 << 20)

struct render_cache;
struct rendering;

struct render_key {
	uint64_t ino, generation;
	uint64_t offset, stamp, how; /* of a listing; `how` is 0 for the bytes of a file */
};

struct render_cache *render_cache_new(size_t bytes_max, size_t one_max);
void render_cache_freep(struct render_cache **c);

/* 1: *out is it, to be put back. 0: nobody has it and the caller is to make it;
 * render_cache_fill() or render_cache_give_up() must follow. -ENOMEM. */
int render_cache_get(struct render_cache *c, struct render_key key, struct rendering **out)
	MUST_CHECK;
/* Takes the bytes over; *out is counted for the caller. */
void render_cache_fill(struct render_cache *c, struct render_key key, struct buf *content,
		       struct rendering **out);
void render_cache_give_up(struct render_cache *c, struct render_key key);

/* For who would rather make it than wait: true, and *out is to be put back. */
bool render_cache_find(struct render_cache *c, struct render_key key, struct rendering **out);
/* A copy, to be found from now on; without memory for it there is none. */
void render_cache_offer(struct render_cache *c, struct render_key key, struct slice content);

struct slice rendering_bytes(const struct rendering *r);
void rendering_putp(struct rendering **r);

/* Lets go of large ones that nobody read since the last call. True: there are still some. */
bool render_cache_trim(struct render_cache *c);
size_t render_cache_bytes(struct render_cache *c); /* of what is kept with the others */

#endif
