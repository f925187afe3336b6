#include "core/store/overlay.h"

#include <pthread.h>
#include <sys/random.h>

#define LEVEL_MAX    12   /* a skip list with one in four: 4^12 written keys before it slows down */
#define BUCKETS_MIN  64   /* a reader's state asks for a few rows */
#define TRIM_PART    8 /* of the buckets are looked at in one step, so that no block waits long */

struct link {
	struct entry *entry; /* NULL: the head */
	uint8_t       levels;
	struct link  *next[];
};

static_assert(SPACE_BOTH < 3 && SPACE_HYPER < 3, "struct overlay has one order a space");

/* ---- hash: multiply and fold, keyed ---- */

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct overlay *o, enum space space, struct slice key)
{
	uint64_t h = o->seed ^ ((uint64_t)space << 56) ^ key.n;
	size_t at = 0;

	for (; at + 8 <= key.n; at += 8) {
		uint64_t word;

		memcpy(&word, key.p + at, 8);
		h = fold(h ^ word, 0x9e3779b97f4a7c15u);
	}
	uint64_t tail = 0;

	if (at < key.n)
		memcpy(&tail, key.p + at, key.n - at);
	return fold(h ^ tail, 0xd6e8feb86659fd93u ^ o->seed);
}

/* ---- values ---- */

static size_t value_bytes(const struct value *v)
{
	return sizeof *v + v->size;
}

struct value *overlay_value(struct overlay *o, struct slice bytes)
{
	struct value *v = malloc(sizeof *v + bytes.n);

	if (!v)
		return NULL;
	v->retired_next = NULL;
	v->owners = 1;
	v->size = (uint32_t)bytes.n;
	if (bytes.n)
		memcpy(v->bytes, bytes.p, bytes.n);
	o->bytes += value_bytes(v);
	return v;
}

struct value *overlay_own(struct value *v)
{
	if (v)
		v->owners++;
	return v;
}

void overlay_disown(struct overlay *o, struct value *v)
{
	if (!v || --v->owners)
		return;
	struct value **list = &o->retired[o->generation & 1];

	v->retired_next = *list;
	*list = v;
}

static void value_free(struct overlay *o, struct value *v)
{
	o->bytes -= value_bytes(v);
	free(v);
}

static void retired_free(struct overlay *o, struct value **list)
{
	while (*list) {
		struct value *v = *list;

		*list = v->retired_next;
		value_free(o, v);
	}
}

/* ---- entries ---- */

static size_t link_bytes(const struct link *l)
{
	return sizeof *l + l->levels * sizeof l->next[0];
}

static struct link *link_new(unsigned levels, struct entry *e)
{
	struct link *l = calloc(1, sizeof *l + levels * sizeof l->next[0]);

	if (l) {
		l->entry = e;
		l->levels = (uint8_t)levels;
	}
	return l;
}

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed_of_all;

static void make_seed(void)
{
	if (getrandom(&seed_of_all, sizeof seed_of_all, GRND_NONBLOCK) != sizeof seed_of_all)
		seed_of_all = (uintptr_t)&seed_of_all ^ 0xa0761d6478bd642fu;
}

void overlay_init(struct overlay *o)
{
	pthread_once(&seed_once, make_seed);
	*o = (struct overlay){
		.generation = 1, .seed = seed_of_all, .random = (uint32_t)seed_of_all | 1
	};
}

/* What most readers never need is made when the first entry comes. */
static bool make_tables(struct overlay *o)
{
	if (o->bucket_count)
		return true;
	o->buckets = calloc(BUCKETS_MIN, sizeof(struct entry *));
	for (enum space space = SPACE_BOTH; space <= SPACE_HYPER; space++)
		if (!o->first[space])
			o->first[space] = link_new(LEVEL_MAX, NULL);
	if (!o->buckets || !o->first[SPACE_BOTH] || !o->first[SPACE_HYPER]) {
		free(o->buckets);
		o->buckets = NULL;
		return false;
	}
	o->bucket_count = BUCKETS_MIN;
	return true;
}

static void entry_free(struct overlay *o, struct entry *e)
{
	overlay_disown(o, e->committed);
	overlay_disown(o, e->block);
	if (e->link) {
		o->bytes -= link_bytes(e->link);
		free(e->link);
	}
	o->bytes -= sizeof *e + e->key_size;
	free(e);
}

void overlay_release(struct overlay *o)
{
	for (size_t i = 0; i < o->bucket_count; i++)
		while (o->buckets[i]) {
			struct entry *e = o->buckets[i];

			o->buckets[i] = e->chain;
			entry_free(o, e);
		}
	retired_free(o, &o->retired[0]);
	retired_free(o, &o->retired[1]);
	free(o->first[SPACE_BOTH]);
	free(o->first[SPACE_HYPER]);
	free(o->buckets);
	*o = (struct overlay){ 0 };
}

static struct entry **bucket(const struct overlay *o, uint64_t hash)
{
	return &o->buckets[hash & (o->bucket_count - 1)];
}

static struct entry *find_hashed(struct overlay *o, uint64_t hash, enum space space,
				 struct slice key)
{
	for (struct entry *e = *bucket(o, hash); e; e = e->chain)
		if (e->hash == hash && e->space == space && e->key_size == key.n &&
		    (key.n == 0 || memcmp(e->key, key.p, key.n) == 0)) {
			e->touched = o->generation;
			return e;
		}
	return NULL;
}

/* A table that cannot grow only gets slower. */
static void grow(struct overlay *o)
{
	size_t count = o->bucket_count * 2;
	struct entry **buckets = calloc(count, sizeof(struct entry *));

	if (!buckets)
		return;
	for (size_t i = 0; i < o->bucket_count; i++)
		while (o->buckets[i]) {
			struct entry *e = o->buckets[i];
			struct entry **to = &buckets[e->hash & (count - 1)];

			o->buckets[i] = e->chain;
			e->chain = *to;
			*to = e;
		}
	free(o->buckets);
	o->buckets = buckets;
	o->bucket_count = count;
}

struct entry *overlay_need(struct overlay *o, enum space space, struct slice key)
{
	if (!make_tables(o))
		return NULL;
	uint64_t hash = hash_of(o, space, key);
	struct entry *e = find_hashed(o, hash, space, key);

	if (e)
		return e;
	e = calloc(1, sizeof *e + key.n);
	if (!e)
		return NULL;
	e->hash = hash;
	e->space = (uint8_t)space;
	e->touched = o->generation;
	e->key_size = (uint16_t)key.n;
	if (key.n)
		memcpy(e->key, key.p, key.n);
	if (o->entry_count >= o->bucket_count)
		grow(o);
	struct entry **head = bucket(o, hash);

	e->chain = *head;
	*head = e;
	o->entry_count++;
	o->bytes += sizeof *e + key.n;
	return e;
}

/* ---- order ---- */

static struct slice entry_key(const struct entry *e)
{
	return SLICE(e->key, e->key_size);
}

/* The last link of each level before `key`. */
static void path(const struct overlay *o, enum space space, struct slice key,
		 struct link *before[LEVEL_MAX])
{
	struct link *at = o->first[space];

	for (int level = LEVEL_MAX - 1; level >= 0; level--) {
		while (at->next[level] && slice_cmp(entry_key(at->next[level]->entry), key) < 0)
			at = at->next[level];
		before[level] = at;
	}
}

static unsigned random_levels(struct overlay *o)
{
	unsigned levels = 1;

	o->random ^= o->random << 13;
	o->random ^= o->random >> 17;
	o->random ^= o->random << 5;
	for (uint32_t r = o->random; levels < LEVEL_MAX && (r & 3) == 0; r >>= 2)
		levels++;
	return levels;
}

int overlay_link(struct overlay *o, struct entry *e)
{
	struct link *before[LEVEL_MAX];

	if (e->link)
		return 0;
	e->link = link_new(random_levels(o), e);
	if (!e->link)
		return -ENOMEM;
	o->bytes += link_bytes(e->link);
	path(o, e->space, entry_key(e), before);
	for (unsigned level = 0; level < e->link->levels; level++) {
		e->link->next[level] = before[level]->next[level];
		before[level]->next[level] = e->link;
	}
	return 0;
}

struct entry *overlay_seek(const struct overlay *o, enum space space, struct slice key)
{
	struct link *before[LEVEL_MAX];

	if (!o->bucket_count)
		return NULL;
	path(o, space, key, before);
	return before[0]->next[0] ? before[0]->next[0]->entry : NULL;
}

struct entry *overlay_next(const struct entry *e)
{
	return e->link->next[0] ? e->link->next[0]->entry : NULL;
}

static void settle_space(struct overlay *o, enum space space)
{
	struct link *last[LEVEL_MAX];
	struct link *at = o->first[space]->next[0];

	for (unsigned level = 0; level < LEVEL_MAX; level++)
		last[level] = o->first[space];
	while (at) {
		struct link *next = at->next[0];

		if (at->entry->pending || at->entry->block_written) {
			for (unsigned level = 0; level < at->levels; level++) {
				last[level]->next[level] = at;
				last[level] = at;
			}
		} else {
			at->entry->link = NULL;
			o->bytes -= link_bytes(at);
			free(at);
		}
		at = next;
	}
	for (unsigned level = 0; level < LEVEL_MAX; level++)
		last[level]->next[level] = NULL;
}

void overlay_settle(struct overlay *o)
{
	if (!o->bucket_count)
		return;
	settle_space(o, SPACE_BOTH);
	settle_space(o, SPACE_HYPER);
}

/* ---- generations ---- */

/* Slices of an entry that nobody touched in this generation or the one before are not in use. */
static bool droppable(const struct overlay *o, const struct entry *e)
{
	return !e->link && !e->pending && !e->block_written && e->touched + 2 <= o->generation;
}

void overlay_step(struct overlay *o, size_t bytes_max)
{
	o->generation++;
	retired_free(o, &o->retired[o->generation & 1]);
	for (size_t i = 0; i < o->bucket_count / TRIM_PART && o->bytes > bytes_max; i++) {
		struct entry **at = &o->buckets[o->hand++ & (o->bucket_count - 1)];

		while (*at) {
			struct entry *e = *at;

			if (!droppable(o, e)) {
				at = &e->chain;
				continue;
			}
			*at = e->chain;
			o->entry_count--;
			entry_free(o, e);
		}
	}
}
