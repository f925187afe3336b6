/* map.c: one set of entries, found in two ways.
 *
 * A hash table answers map_get() and overwriting puts with one or two cache lines. Order is kept by
 * a linked list through the entries, and a B+ tree over them finds the place in the list. Nothing
 * is ever removed (a tombstone is an entry), so the tree only grows and splits.
 *
 * Keys of a block's overlay share long prefixes (namespace, shard, account), so a node stores how
 * many bytes all its keys share, and for each the 8 bytes that follow, as a number. Most
 * comparisons are then one of integers that lie side by side. */
#include "core/base/map.h"

#include <sys/random.h>

struct item {
	struct map_entry entry; /* first: a map_entry pointer is an item pointer */
	struct item     *next, *previous;
	uint64_t         hash;
};

#define FANOUT 32

/* items[i] is the smallest key of kids[i], or a smaller one that is yet above all of kids[i - 1];
 * items[0] of an inner node bounds nothing. `shared` counts from the node's first bounding key. */
struct node {
	uint16_t      level, count; /* level 0 is a leaf and has no kids */
	uint32_t      shared;
	uint64_t      heads[FANOUT];
	struct item  *items[FANOUT];
	struct node  *kids[];
};

struct chunk {
	struct chunk *next;
	size_t        size, used;
	max_align_t   bytes[];
};

#define CHUNK_SIZE_FIRST (16u << 10)
#define CHUNK_SIZE_MOST  (1u << 20)

struct slot {
	uint64_t     hash;
	struct item *item;
};

#define SLOTS_FIRST 64

struct map {
	struct chunk *chunks, *chunk; /* those before `chunk` are full, those behind it are empty */
	struct slot  *slots;
	size_t        slot_count; /* a power of two, at least twice `count` */
	size_t        count, bytes;
	struct node  *root;
	struct item  *first;
	uint64_t      seed;
};

/* ---- arena ---- */

static void *chunk_take(struct chunk *c, size_t size)
{
	size_t at = (c->used + 7) & ~(size_t)7;

	if (at > c->size || size > c->size - at)
		return NULL;
	c->used = at + size;
	return (uint8_t *)c->bytes + at;
}

static void *arena_take(struct map *m, size_t size)
{
	void *p = m->chunk ? chunk_take(m->chunk, size) : NULL;

	while (!p && m->chunk && m->chunk->next) {
		m->chunk = m->chunk->next;
		p = chunk_take(m->chunk, size);
	}
	if (p)
		return p;

	size_t grown = m->chunk ? MIN(2 * m->chunk->size, (size_t)CHUNK_SIZE_MOST)
				: (size_t)CHUNK_SIZE_FIRST;
	size_t wanted;

	if (ckd_add(&wanted, MAX(grown, size), sizeof(struct chunk)))
		return NULL;
	struct chunk *c = malloc(wanted);

	if (!c)
		return NULL;
	*c = (struct chunk){ .size = wanted - sizeof *c };
	if (m->chunk)
		m->chunk->next = c;
	else
		m->chunks = c;
	m->chunk = c;
	return chunk_take(c, size);
}

/* ---- keys ---- */

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Sixteen bytes a multiplication. The seed keeps whoever writes blocks from aiming at one slot. */
static uint64_t key_hash(const struct map *m, struct slice key)
{
	const uint64_t odd_1 = 0x9e3779b97f4a7c15, odd_2 = 0xd6e8feb86659fd93;
	const uint8_t *p = key.p;
	size_t n = key.n;
	uint64_t h = m->seed ^ (key.n * odd_1);

	for (; n > 16; p += 16, n -= 16)
		h = fold(load64(p) ^ odd_1 ^ h, load64(p + 8) ^ odd_2);
	if (n >= 8) {
		h = fold(load64(p) ^ odd_1 ^ h, load64(p + n - 8) ^ odd_2);
	} else if (n) {
		uint64_t last = 0;

		memcpy(&last, p, n);
		h = fold(last ^ odd_1 ^ h, odd_2);
	}
	return fold(h ^ odd_2, odd_1 ^ m->seed);
}

/* The 8 bytes of a key from `skip` on, as a number that compares as they do; zeros past its end. */
static uint64_t head_of(struct slice key, size_t skip)
{
	uint8_t bytes[8] = { 0 };

	if (skip + 8 <= key.n)
		return get_be64(key.p + skip);
	if (skip < key.n)
		memcpy(bytes, key.p + skip, key.n - skip);
	return get_be64(bytes);
}

static size_t shared_size(struct slice a, struct slice b)
{
	size_t most = MIN(a.n, b.n), n = 0;

	for (; n + 8 <= most; n += 8) {
		uint64_t differ = get_be64(a.p + n) ^ get_be64(b.p + n);

		if (differ)
			return n + (size_t)__builtin_clzll(differ) / 8;
	}
	while (n < most && a.p[n] == b.p[n])
		n++;
	return n;
}

/* ---- tree ---- */

/* The first position of a node that bounds: an inner node's first kid takes all that is smaller. */
static unsigned bound_first(const struct node *n)
{
	return n->level ? 1 : 0;
}

/* Equal heads say nothing yet: the rest of both keys decides, and the shorter comes first. */
static bool item_less(const struct node *n, unsigned i, struct slice key, uint64_t head)
{
	if (n->heads[i] != head)
		return n->heads[i] < head;
	return slice_cmp(slice_sub(n->items[i]->entry.key, n->shared, SIZE_MAX),
			 slice_sub(key, n->shared, SIZE_MAX)) < 0;
}

/* The first position from bound_first() on whose key is not less than `key`; count when none. */
static unsigned lower_bound(const struct node *n, struct slice key)
{
	unsigned low = bound_first(n), high = n->count;

	if (low == high)
		return low;
	/* A key outside the shared prefix lies before or behind all of the node's. */
	if (n->shared) {
		int order = slice_cmp(slice_sub(key, 0, n->shared),
				      slice_sub(n->items[low]->entry.key, 0, n->shared));

		if (order)
			return order < 0 ? low : high;
	}
	uint64_t head = head_of(key, n->shared);

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (item_less(n, middle, key, head))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The kid of an inner node behind which `key` belongs. A key that is itself a bound goes to the kid
 * on its left, from whose end the list leads on to it. */
static unsigned kid_of(const struct node *n, struct slice key)
{
	return lower_bound(n, key) - 1;
}

static void measure(struct node *n)
{
	unsigned low = bound_first(n);

	n->shared = 0;
	if (n->count > low)
		n->shared = (uint32_t)shared_size(n->items[low]->entry.key,
						  n->items[n->count - 1]->entry.key);
	for (unsigned i = low; i < n->count; i++)
		n->heads[i] = head_of(n->items[i]->entry.key, n->shared);
}

/* Keys between the first and the last share what those two share, so only a new first or last key
 * can change the prefix. */
static void node_insert(struct node *n, unsigned at, struct item *item, struct node *kid)
{
	unsigned behind = n->count - at;

	memmove(n->items + at + 1, n->items + at, behind * sizeof *n->items);
	memmove(n->heads + at + 1, n->heads + at, behind * sizeof *n->heads);
	n->items[at] = item;
	if (n->level) {
		memmove(n->kids + at + 1, n->kids + at, behind * sizeof *n->kids);
		n->kids[at] = kid;
	}
	n->count++;

	unsigned low = bound_first(n), last = n->count - 1;

	if (last > low && (at == low || at == last) &&
	    shared_size(n->items[low]->entry.key, n->items[last]->entry.key) == n->shared)
		n->heads[at] = head_of(item->entry.key, n->shared);
	else if (at == low || at == last)
		measure(n);
	else
		n->heads[at] = head_of(item->entry.key, n->shared);
}

static struct node *node_new(struct map *m, unsigned level)
{
	struct node *n =
		arena_take(m, sizeof *n + (level ? FANOUT * sizeof(struct node *) : 0));

	if (n) {
		n->level = (uint16_t)level;
		n->count = 0;
		n->shared = 0;
	}
	return n;
}

/* Moves the upper part of a full node into `right`. Keys that come in order would leave every node
 * half full if it were always half; so an insert behind the last moves only what comes. */
static void node_split(struct node *n, struct node *right, unsigned insert_at)
{
	unsigned keep = insert_at == n->count ? n->count : n->count / 2u;
	unsigned moved = n->count - keep;

	memcpy(right->items, n->items + keep, moved * sizeof *n->items);
	if (n->level)
		memcpy(right->kids, n->kids + keep, moved * sizeof *n->kids);
	right->count = (uint16_t)moved;
	n->count = (uint16_t)keep;
	measure(n);
	measure(right);
}

#define LEVELS_MOST 20 /* even with the emptiest nodes more than memory holds */

/* Its neighbours by where it goes in a leaf, which is never empty, so that one is at hand. */
static void list_insert(struct map *m, const struct node *leaf, unsigned at, struct item *item)
{
	struct item *next = at < leaf->count ? leaf->items[at] : leaf->items[at - 1]->next;

	item->next = next;
	item->previous = at > 0 ? leaf->items[at - 1] : next->previous;
	if (next)
		next->previous = item;
	if (item->previous)
		item->previous->next = item;
	else
		m->first = item;
}

/* The root was split: one level more, whose second kid begins with `second`. */
static void grow_root(struct map *m, struct node *root, struct item *second, struct node *kid)
{
	root->items[0] = m->first;
	root->kids[0] = m->root;
	root->count = 1;
	node_insert(root, 1, second, kid);
	m->root = root;
}

/* Puts an item that is not there yet into tree and list. All memory is taken before anything
 * changes, so that a failure leaves the map as it was. */
static int tree_insert(struct map *m, struct item *item)
{
	struct node *path[LEVELS_MOST], *fresh[LEVELS_MOST + 1] = { NULL };
	unsigned at[LEVELS_MOST], levels = m->root ? m->root->level + 1u : 0, splits = 0;

	if (!m->root) {
		m->root = node_new(m, 0);
		if (!m->root)
			return -ENOMEM;
		node_insert(m->root, 0, item, NULL);
		m->first = item;
		return 0;
	}
	assert(levels < LEVELS_MOST);
	path[levels - 1] = m->root;
	for (unsigned level = levels - 1; level > 0; level--) {
		at[level] = kid_of(path[level], item->entry.key);
		path[level - 1] = path[level]->kids[at[level]];
	}
	at[0] = lower_bound(path[0], item->entry.key);

	while (splits < levels && path[splits]->count == FANOUT)
		splits++;
	for (unsigned level = 0; level < splits; level++) {
		fresh[level] = node_new(m, level);
		if (!fresh[level])
			return -ENOMEM;
	}
	if (splits == levels) {
		fresh[levels] = node_new(m, levels);
		if (!fresh[levels])
			return -ENOMEM;
	}

	list_insert(m, path[0], at[0], item);

	struct item *put = item;
	struct node *kid = NULL;

	for (unsigned level = 0; level < levels; level++) {
		struct node *n = path[level];
		/* A new kid stands right of its twin. */
		unsigned where = at[level] + (level ? 1 : 0);

		if (level >= splits) {
			node_insert(n, where, put, kid);
			return 0;
		}
		node_split(n, fresh[level], where);
		if (where > n->count || fresh[level]->count == 0)
			node_insert(fresh[level], where - n->count, put, kid);
		else
			node_insert(n, where, put, kid);
		put = fresh[level]->items[0];
		kid = fresh[level];
	}
	grow_root(m, fresh[levels], put, kid);
	return 0;
}

/* ---- hash table ---- */

static struct item *find(const struct map *m, struct slice key, uint64_t hash)
{
	if (!m->slots)
		return NULL;
	for (size_t i = hash & (m->slot_count - 1);; i = (i + 1) & (m->slot_count - 1)) {
		const struct slot *s = &m->slots[i];

		if (!s->item)
			return NULL;
		if (s->hash == hash && slice_eq(s->item->entry.key, key))
			return s->item;
	}
}

static void slot_put(struct slot *slots, size_t slot_count, struct item *item)
{
	size_t i = item->hash & (slot_count - 1);

	while (slots[i].item)
		i = (i + 1) & (slot_count - 1);
	slots[i] = (struct slot){ item->hash, item };
}

/* Room for one item more, with at most half of the slots taken. */
static int slots_reserve(struct map *m)
{
	size_t wanted;

	if (2 * (m->count + 1) <= m->slot_count)
		return 0;
	if (ckd_mul(&wanted, m->slot_count, 2u))
		return -ENOMEM;
	wanted = MAX(wanted, (size_t)SLOTS_FIRST);
	struct slot *slots = calloc(wanted, sizeof *slots);

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->slot_count; i++)
		if (m->slots[i].item)
			slot_put(slots, wanted, m->slots[i].item);
	free(m->slots);
	m->slots = slots;
	m->slot_count = wanted;
	return 0;
}

/* ---- the map ---- */

struct map *map_new(void)
{
	struct map *m = calloc(1, sizeof *m);

	if (!m)
		return NULL;
	/* Before the system has gathered randomness an address has to do. */
	if (getrandom(&m->seed, sizeof m->seed, GRND_NONBLOCK) != (ssize_t)sizeof m->seed)
		m->seed = (uint64_t)(uintptr_t)m * 0x9e3779b97f4a7c15;
	return m;
}

void map_freep(struct map **m)
{
	if (!*m)
		return;
	for (struct chunk *c = (*m)->chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free((*m)->slots);
	free(*m);
	*m = NULL;
}

void map_clear(struct map *m)
{
	/* One large block must not make every small one after it pay for the large table. A probe
	 * may run over slots emptied before: its item is still further on. */
	if (m->count < m->slot_count / 16) {
		for (struct item *item = m->first; item; item = item->next) {
			size_t i = item->hash & (m->slot_count - 1);

			while (m->slots[i].item != item)
				i = (i + 1) & (m->slot_count - 1);
			m->slots[i] = (struct slot){ 0 };
		}
	} else if (m->slots) {
		memset(m->slots, 0, m->slot_count * sizeof *m->slots);
	}
	for (struct chunk *c = m->chunks; c; c = c->next)
		c->used = 0;
	m->chunk = m->chunks;
	m->root = NULL;
	m->first = NULL;
	m->count = 0;
	m->bytes = 0;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

size_t map_bytes(const struct map *m)
{
	return m->bytes;
}

static int set(struct map *m, struct slice key, struct slice value, bool tombstone, uint32_t tag)
{
	uint64_t hash = key_hash(m, key);
	struct item *item = find(m, key, hash);
	size_t size;

	if (item) {
		/* The old value stays where it is, for whoever still looks at it. */
		if (!slice_eq(item->entry.value, value)) {
			uint8_t *copy = arena_take(m, value.n);

			if (!copy)
				return -ENOMEM;
			if (value.n)
				memcpy(copy, value.p, value.n);
			item->entry.value = SLICE(copy, value.n);
			m->bytes += value.n;
		}
		item->entry.tombstone = tombstone;
		item->entry.tag = tag;
		return 0;
	}
	if (ckd_add(&size, key.n, value.n) || ckd_add(&size, size, sizeof *item))
		return -ENOMEM;
	if (slots_reserve(m) < 0)
		return -ENOMEM;
	item = arena_take(m, size);
	if (!item)
		return -ENOMEM;

	uint8_t *bytes = (uint8_t *)(item + 1);

	if (key.n)
		memcpy(bytes, key.p, key.n);
	if (value.n)
		memcpy(bytes + key.n, value.p, value.n);
	*item = (struct item){
		.entry = { SLICE(bytes, key.n), SLICE(bytes + key.n, value.n), tombstone, tag },
		.hash = hash,
	};
	if (tree_insert(m, item) < 0)
		return -ENOMEM;
	slot_put(m->slots, m->slot_count, item);
	m->count++;
	m->bytes += key.n + value.n;
	return 0;
}

int map_put(struct map *m, struct slice key, struct slice value, uint32_t tag)
{
	return set(m, key, value, false, tag);
}

int map_bury(struct map *m, struct slice key, uint32_t tag)
{
	return set(m, key, SLICE_EMPTY, true, tag);
}

const struct map_entry *map_get(const struct map *m, struct slice key)
{
	const struct item *item = find(m, key, key_hash(m, key));

	return item ? &item->entry : NULL;
}

const struct map_entry *map_seek(const struct map *m, struct slice key)
{
	const struct node *n = m->root;

	if (!n)
		return NULL;
	while (n->level)
		n = n->kids[kid_of(n, key)];

	unsigned at = lower_bound(n, key);
	const struct item *item = at < n->count ? n->items[at] : n->items[n->count - 1]->next;

	return item ? &item->entry : NULL;
}

const struct map_entry *map_next(const struct map *m, const struct map_entry *e)
{
	const struct item *item = (const struct item *)e;

	return item->next ? &item->next->entry : NULL;
}
