#include "proto/arena.h"

#include <stdalign.h>

#define ALIGNMENT alignof(max_align_t)
#define CHUNK_SIZE_FIRST 4096u
#define CHUNK_SIZE_LARGEST (1u << 20)

struct chunk {
	struct chunk *older;
	alignas(max_align_t) uint8_t bytes[];
};

struct arena {
	ProtobufCAllocator allocator;
	struct chunk      *newest;
	uint8_t           *next, *end; /* free room of the newest chunk */
	size_t             used, size_max, chunk_size;
	bool               full;
};

static void *allocator_alloc(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void allocator_free(void *arena, void *pointer)
{
}

struct arena *arena_new(size_t size_max)
{
	struct arena *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	a->size_max = size_max;
	a->chunk_size = CHUNK_SIZE_FIRST;
	a->allocator = (ProtobufCAllocator){
		.alloc = allocator_alloc,
		.free = allocator_free,
		.allocator_data = a,
	};
	return a;
}

void arena_freep(struct arena **a)
{
	if (!*a)
		return;
	for (struct chunk *c = (*a)->newest; c;) {
		struct chunk *older = c->older;

		free(c);
		c = older;
	}
	free(*a);
	*a = NULL;
}

/* The rest of the chunk before is given up: at most as much as was asked for. */
static int add_chunk(struct arena *a, size_t size)
{
	size_t chunk_size = MAX(size, a->chunk_size);
	struct chunk *c = malloc(offsetof(struct chunk, bytes) + chunk_size);

	if (!c)
		return -ENOMEM;
	c->older = a->newest;
	a->newest = c;
	a->next = c->bytes;
	a->end = c->bytes + chunk_size;
	a->chunk_size = MIN(2 * a->chunk_size, (size_t)CHUNK_SIZE_LARGEST);
	return 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
	size_t rounded, used;

	/* Nothing is something too: a pointer of its own, as malloc(0) may give. */
	if (ckd_add(&rounded, MAX(size, (size_t)1), ALIGNMENT - 1) ||
	    ckd_add(&used, a->used, rounded & ~(ALIGNMENT - 1)) || used > a->size_max) {
		a->full = true;
		return NULL;
	}
	rounded &= ~(ALIGNMENT - 1);
	if (rounded > (size_t)(a->end - a->next) && add_chunk(a, rounded) < 0)
		return NULL;
	void *p = a->next;

	a->next += rounded;
	a->used = used;
	return p;
}

void *arena_zalloc(struct arena *a, size_t count, size_t size)
{
	size_t total;

	if (ckd_mul(&total, count, size)) {
		a->full = true;
		return NULL;
	}
	void *p = arena_alloc(a, total);

	if (p)
		memset(p, 0, total);
	return p;
}

size_t arena_used(const struct arena *a)
{
	return a->used;
}

bool arena_full(const struct arena *a)
{
	return a->full;
}

ProtobufCAllocator *arena_allocator(struct arena *a)
{
	return &a->allocator;
}
