#include "core/store/cache.h"

#include <stdatomic.h>

#define PARTS_COUNT   4    /* readers that meet in one part wait for each other */
#define BUCKETS_COUNT 1024 /* of a part */

/* A frame with what the cache keeps about it in front. */
struct slot {
	_Atomic uint32_t owners;
	struct slot     *chain;          /* of its bucket */
	struct slot     *newer, *older;  /* in order of the last use */
	struct frame     frame;
};

struct part {
	pthread_mutex_t part_lock; /* guards the rest, and the links of the slots listed; a leaf */
	struct slot    *buckets[BUCKETS_COUNT];
	struct slot    *newest, *oldest;
	size_t          bytes, bytes_max;
};

struct cache {
	struct part parts[PARTS_COUNT];
};

struct cache *cache_new(size_t bytes_max)
{
	struct cache *c = calloc(1, sizeof *c);

	for (size_t i = 0; c && i < PARTS_COUNT; i++) {
		pthread_mutex_init(&c->parts[i].part_lock, NULL);
		c->parts[i].bytes_max = bytes_max / PARTS_COUNT;
	}
	return c;
}

static struct slot *slot_of(struct frame *f)
{
	return (struct slot *)(void *)((char *)f - offsetof(struct slot, frame));
}

static uint64_t hash_of(uint32_t segment, uint64_t offset)
{
	uint64_t h = (offset ^ ((uint64_t)segment << 40)) * 0x9e3779b97f4a7c15u;

	return h ^ (h >> 29);
}

static struct part *part_of(struct cache *c, uint64_t hash)
{
	return &c->parts[hash % PARTS_COUNT];
}

static struct slot **bucket_of(struct part *p, uint64_t hash)
{
	return &p->buckets[hash / PARTS_COUNT % BUCKETS_COUNT];
}

struct frame *frame_new(uint32_t segment, uint64_t offset, size_t size)
{
	struct slot *s = malloc(sizeof *s + size);

	if (!s)
		return NULL;
	memset(s, 0, sizeof *s);
	atomic_init(&s->owners, 1);
	s->frame.segment = segment;
	s->frame.offset = offset;
	s->frame.size = size;
	return &s->frame;
}

void frame_putp(struct frame **at)
{
	struct frame *f = TAKE(*at);

	if (f && atomic_fetch_sub(&slot_of(f)->owners, 1) == 1)
		free(slot_of(f));
}

/* ---- order of use; under part_lock ---- */

static void order_remove(struct part *p, struct slot *s)
{
	*(s->newer ? &s->newer->older : &p->newest) = s->older;
	*(s->older ? &s->older->newer : &p->oldest) = s->newer;
	s->newer = s->older = NULL;
}

static void order_add(struct part *p, struct slot *s)
{
	s->older = p->newest;
	*(p->newest ? &p->newest->newer : &p->oldest) = s;
	p->newest = s;
}

static void unlist(struct part *p, struct slot *s)
{
	struct slot **at = bucket_of(p, hash_of(s->frame.segment, s->frame.offset));

	while (*at != s)
		at = &(*at)->chain;
	*at = s->chain;
	order_remove(p, s);
	p->bytes -= s->frame.size;
}

static struct slot *find(struct part *p, uint64_t hash, uint32_t segment, uint64_t offset)
{
	struct slot *s = *bucket_of(p, hash);

	while (s && (s->frame.segment != segment || s->frame.offset != offset))
		s = s->chain;
	return s;
}

struct frame *cache_get(struct cache *c, uint32_t segment, uint64_t offset)
{
	uint64_t hash = hash_of(segment, offset);
	struct part *p = part_of(c, hash);

	LOCKED(&p->part_lock);
	struct slot *s = find(p, hash, segment, offset);

	if (!s)
		return NULL;
	order_remove(p, s);
	order_add(p, s);
	atomic_fetch_add(&s->owners, 1);
	return &s->frame;
}

/* What is pushed out is chained through `chain` and freed by the caller without the lock. */
static struct slot *push_out(struct part *p)
{
	struct slot *out = NULL;

	while (p->bytes > p->bytes_max && p->oldest != p->newest) {
		struct slot *s = p->oldest;

		unlist(p, s);
		s->chain = out;
		out = s;
	}
	return out;
}

static void put_chain(struct slot *s)
{
	while (s) {
		struct frame *f = &s->frame;

		s = s->chain;
		frame_putp(&f);
	}
}

void cache_add(struct cache *c, struct frame *f)
{
	struct slot *s = slot_of(f), *out = NULL;
	uint64_t hash = hash_of(f->segment, f->offset);
	struct part *p = part_of(c, hash);

	pthread_mutex_lock(&p->part_lock);
	if (!find(p, hash, f->segment, f->offset)) {
		struct slot **head = bucket_of(p, hash);

		s->chain = *head;
		*head = s;
		order_add(p, s);
		atomic_fetch_add(&s->owners, 1);
		p->bytes += f->size;
		out = push_out(p);
	}
	pthread_mutex_unlock(&p->part_lock);
	put_chain(out);
}

void cache_freep(struct cache **at)
{
	struct cache *c = TAKE(*at);

	if (!c)
		return;
	for (size_t i = 0; i < PARTS_COUNT; i++) {
		struct part *p = &c->parts[i];

		while (p->oldest) {
			struct frame *f = &p->oldest->frame;

			unlist(p, p->oldest);
			frame_putp(&f);
		}
		pthread_mutex_destroy(&p->part_lock);
	}
	free(c);
}
