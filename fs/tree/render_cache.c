#include "fs/tree/render_cache.h"

#include <stdatomic.h>

#include "core/store/tiers.h"

#define SHARDS    16u
#define CHAINS    2048u /* of a shard */
#define LARGE_MAX 2u
#define OVERHEAD  192u /* of a rendering beside its bytes */

enum stage { MAKING, READY };

struct rendering {
	atomic_uint owners;
	struct render_key key;
	enum stage stage;
	bool large, used;
	struct rendering *chain;         /* next of the same hash */
	struct rendering *newer, *older; /* of READY ones that are not large */
	struct buf content;
};

struct shard {
	pthread_mutex_t shard_lock; /* guards the rest; a leaf */
	pthread_cond_t made;
	struct rendering *chains[CHAINS];
	struct rendering *newest, *oldest;
};

struct render_cache {
	size_t bytes_max, one_max;
	atomic_size_t bytes;
	atomic_uint turn;           /* of the shards, when something has to go */
	pthread_mutex_t large_lock; /* guards large; a leaf */
	struct render_key large[LARGE_MAX];
	struct shard shards[SHARDS];
};

struct render_cache *render_cache_new(size_t bytes_max, size_t one_max)
{
	struct render_cache *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->bytes_max = bytes_max;
	c->one_max = MIN(one_max, bytes_max);
	pthread_mutex_init(&c->large_lock, NULL);
	for (size_t i = 0; i < SHARDS; i++) {
		pthread_mutex_init(&c->shards[i].shard_lock, NULL);
		pthread_cond_init(&c->shards[i].made, NULL);
	}
	return c;
}

void render_cache_freep(struct render_cache **at)
{
	struct render_cache *c = TAKE(*at);

	if (!c)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		for (size_t k = 0; k < CHAINS; k++)
			for (struct rendering *r = c->shards[i].chains[k], *next; r; r = next) {
				next = r->chain;
				rendering_putp(&r);
			}
		pthread_cond_destroy(&c->shards[i].made);
		pthread_mutex_destroy(&c->shards[i].shard_lock);
	}
	pthread_mutex_destroy(&c->large_lock);
	free(c);
}

size_t render_cache_bytes(struct render_cache *c)
{
	return atomic_load(&c->bytes);
}

struct slice rendering_bytes(const struct rendering *r)
{
	return buf_slice(&r->content);
}

void rendering_putp(struct rendering **at)
{
	struct rendering *r = TAKE(*at);

	if (!r || atomic_fetch_sub_explicit(&r->owners, 1, memory_order_acq_rel) != 1)
		return;
	buf_release(&r->content);
	free(r);
}

static struct rendering *share(struct rendering *r)
{
	atomic_fetch_add_explicit(&r->owners, 1, memory_order_relaxed);
	return r;
}

/* ---- one shard ---- */

static uint64_t hash_of(struct render_key key)
{
	uint64_t h = (key.ino ^ key.generation << 32) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ key.offset ^ key.stamp << 40 ^ key.how << 20) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

static struct shard *shard_of(struct render_cache *c, struct render_key key)
{
	return &c->shards[hash_of(key) % SHARDS];
}

static bool key_eq(struct render_key a, struct render_key b)
{
	return a.ino == b.ino && a.generation == b.generation && a.offset == b.offset &&
	       a.stamp == b.stamp && a.how == b.how;
}

/* Where a pointer to the rendering is kept; it holds NULL when there is none. */
static struct rendering **place_of(struct shard *s, struct render_key key)
{
	struct rendering **at = &s->chains[hash_of(key) / SHARDS % CHAINS];

	while (*at && !key_eq((*at)->key, key))
		at = &(*at)->chain;
	return at;
}

static void unlink_order(struct shard *s, struct rendering *r)
{
	*(r->newer ? &r->newer->older : &s->newest) = r->older;
	*(r->older ? &r->older->newer : &s->oldest) = r->newer;
	r->newer = r->older = NULL;
}

static void link_newest(struct shard *s, struct rendering *r)
{
	r->older = s->newest;
	*(s->newest ? &s->newest->newer : &s->oldest) = r;
	s->newest = r;
}

static size_t cost_of(const struct rendering *r)
{
	return r->content.n + OVERHEAD;
}

/* Takes it out of the shard; the shard's ownership goes to the caller. */
static struct rendering *take_out(struct render_cache *c, struct shard *s, struct rendering **at)
{
	struct rendering *r = *at;

	*at = r->chain;
	r->chain = NULL;
	if (r->stage == READY && !r->large) {
		unlink_order(s, r);
		atomic_fetch_sub(&c->bytes, cost_of(r));
	}
	return r;
}

/* ---- bounds ---- */

static struct rendering *take_oldest(struct render_cache *c, struct shard *s,
				     struct render_key keep)
{
	LOCKED(&s->shard_lock);
	if (!s->oldest || key_eq(s->oldest->key, keep) || atomic_load(&c->bytes) <= c->bytes_max)
		return NULL;
	return take_out(c, s, place_of(s, s->oldest->key));
}

/* One from each shard in turn: a bound of each shard's own would refuse what the whole can hold. */
static void shrink(struct render_cache *c, struct render_key keep)
{
	for (size_t idle = 0; idle < SHARDS && atomic_load(&c->bytes) > c->bytes_max;) {
		struct shard *s = &c->shards[atomic_fetch_add(&c->turn, 1) % SHARDS];
		struct rendering *r = take_oldest(c, s, keep);

		idle = r ? 0 : idle + 1;
		rendering_putp(&r);
	}
}

static void drop_large(struct render_cache *c, struct render_key key)
{
	struct shard *s = shard_of(c, key);
	struct rendering *gone = NULL;

	pthread_mutex_lock(&s->shard_lock);
	struct rendering **at = place_of(s, key);

	if (*at && (*at)->large)
		gone = take_out(c, s, at);
	pthread_mutex_unlock(&s->shard_lock);
	rendering_putp(&gone);
}

static void note_large(struct render_cache *c, struct render_key key)
{
	pthread_mutex_lock(&c->large_lock);
	struct render_key displaced = c->large[LARGE_MAX - 1];

	memmove(c->large + 1, c->large, (LARGE_MAX - 1) * sizeof *c->large);
	c->large[0] = key;
	pthread_mutex_unlock(&c->large_lock);
	if (displaced.ino)
		drop_large(c, displaced);
}

static bool was_used(struct render_cache *c, struct render_key key)
{
	struct shard *s = shard_of(c, key);

	LOCKED(&s->shard_lock);
	struct rendering *r = *place_of(s, key);
	bool used = r && r->used;

	if (r)
		r->used = false;
	return used;
}

bool render_cache_trim(struct render_cache *c)
{
	struct render_key keys[LARGE_MAX];
	bool some = false;

	pthread_mutex_lock(&c->large_lock);
	memcpy(keys, c->large, sizeof keys);
	pthread_mutex_unlock(&c->large_lock);
	for (size_t i = 0; i < LARGE_MAX; i++) {
		if (!keys[i].ino)
			continue;
		if (was_used(c, keys[i])) {
			some = true;
			continue;
		}
		pthread_mutex_lock(&c->large_lock);
		for (size_t k = 0; k < LARGE_MAX; k++)
			if (key_eq(c->large[k], keys[i]))
				c->large[k] = (struct render_key){ .ino = 0 };
		pthread_mutex_unlock(&c->large_lock);
		drop_large(c, keys[i]);
	}
	return some;
}

/* ---- the contract ---- */

static struct rendering *use(struct shard *s, struct rendering *r)
{
	r->used = true;
	if (!r->large && s->newest != r) {
		unlink_order(s, r);
		link_newest(s, r);
	}
	return share(r);
}

/* Waits while somebody makes it. */
static struct rendering *find_made(struct shard *s, struct render_key key)
{
	struct rendering *r;

	while ((r = *place_of(s, key)) && r->stage == MAKING)
		pthread_cond_wait(&s->made, &s->shard_lock);
	return r ? use(s, r) : NULL;
}

bool render_cache_find(struct render_cache *c, struct render_key key, struct rendering **out)
{
	struct shard *s = shard_of(c, key);

	LOCKED(&s->shard_lock);
	struct rendering *r = *place_of(s, key);

	*out = r && r->stage == READY ? use(s, r) : NULL;
	if (*out && !key.how) /* of a file: a miss is counted by who makes it */
		tier_add(TIER_RENDERINGS, 1, 0);
	return *out;
}

void render_cache_offer(struct render_cache *c, struct render_key key, struct slice content)
{
	AUTO(rendering_putp) struct rendering *kept = NULL;
	AUTO(buf_release) struct buf copy = BUF_INIT(content.n);

	if (render_cache_get(c, key, &kept) != 0)
		return;
	buf_add(&copy, content);
	if (buf_done(&copy) < 0)
		render_cache_give_up(c, key);
	else
		render_cache_fill(c, key, &copy, &kept);
}

int render_cache_get(struct render_cache *c, struct render_key key, struct rendering **out)
{
	struct shard *s = shard_of(c, key);

	pthread_mutex_lock(&s->shard_lock);
	*out = find_made(s, key);
	pthread_mutex_unlock(&s->shard_lock);
	if (!key.how)
		tier_add(TIER_RENDERINGS, *out != NULL, *out == NULL);
	if (*out)
		return 1;
	struct rendering *r = calloc(1, sizeof *r);

	if (!r)
		return -ENOMEM;
	atomic_init(&r->owners, 1);
	r->key = key;
	pthread_mutex_lock(&s->shard_lock);
	*out = find_made(s, key);
	if (!*out) {
		struct rendering **at = place_of(s, key);

		*at = TAKE(r);
	}
	pthread_mutex_unlock(&s->shard_lock);
	rendering_putp(&r);
	return *out != NULL;
}

void render_cache_fill(struct render_cache *c, struct render_key key, struct buf *content,
		       struct rendering **out)
{
	struct shard *s = shard_of(c, key);
	struct buf own = *content;
	uint8_t *fitted = own.n ? realloc(own.p, own.n) : NULL; /* it grew by doubling */

	if (fitted) {
		own.p = fitted;
		own.cap = own.n;
	}
	*content = (struct buf)BUF_INIT(content->size_max);
	pthread_mutex_lock(&s->shard_lock);
	struct rendering *r = *place_of(s, key);

	assert(r && r->stage == MAKING);
	r->content = own;
	r->stage = READY;
	r->used = true;
	r->large = own.n > c->one_max;
	if (!r->large) {
		link_newest(s, r);
		atomic_fetch_add(&c->bytes, cost_of(r));
	}
	*out = share(r);
	bool large = r->large;

	pthread_cond_broadcast(&s->made);
	pthread_mutex_unlock(&s->shard_lock);
	if (large)
		note_large(c, key);
	else
		shrink(c, key);
}

void render_cache_give_up(struct render_cache *c, struct render_key key)
{
	struct shard *s = shard_of(c, key);

	pthread_mutex_lock(&s->shard_lock);
	struct rendering **at = place_of(s, key);

	assert(*at && (*at)->stage == MAKING);
	struct rendering *gone = take_out(c, s, at);

	pthread_cond_broadcast(&s->made);
	pthread_mutex_unlock(&s->shard_lock);
	rendering_putp(&gone);
}
