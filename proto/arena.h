/* arena.h: memory that is freed as a whole, also as the allocator that protobuf-c unpacks with.
 *
 * Bounded: arena_alloc() gives NULL beyond size_max, so that a hostile message cannot grow it.
 * Threads  one arena, one thread at a time. */
#ifndef CHAINFS_PROTO_ARENA_H
#define CHAINFS_PROTO_ARENA_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/base.h"

struct arena;

struct arena *arena_new(size_t size_max);
void   arena_freep(struct arena **a);
void  *arena_alloc(struct arena *a, size_t size); /* aligned for any type; NULL at the bound */
void  *arena_zalloc(struct arena *a, size_t count, size_t size);
size_t arena_used(const struct arena *a);
bool   arena_full(const struct arena *a); /* a NULL was for the bound, not for want of memory */
ProtobufCAllocator *arena_allocator(struct arena *a); /* its free does nothing */

#endif
