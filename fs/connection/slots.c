#include "fs/connection/slots.h"

#include <sys/mman.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "fs/connection/ino.h"
#include "fs/tree/sights.h"

#define CHUNK      1024u  /* slots allocated together; they never move and go with the table */
#define SHARDS     64u
#define CHAINS     256u   /* of a shard */
#define PAST_MAX   64u    /* free slots that are asked what they were */
#define SHOUT_MS   10000u /* between two trace lines that say the same */

struct shard {
	pthread_mutex_t shard_lock;     /* guards the chains and who is in them; a leaf */
	uint32_t        chains[CHAINS]; /* number + 1 of the first slot; 0: empty */
};

struct slots {
	uint32_t             slots_max;
	struct keep         *keep;  /* NULL: of us alone */
	struct keep_slots   *kept;
	struct slot *_Atomic chunks[INO_SLOTS / CHUNK];
	struct shard         shards[SHARDS];
	pthread_mutex_t      free_lock;  /* guards the next three; a leaf */
	uint32_t             free_first; /* number + 1 */
	uint32_t             made, used;
	atomic_uint_fast64_t shouted_ms;
};

static struct keep_slots *kept_alone(void)
{
	void *at = mmap(NULL, sizeof(struct keep_slots), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

struct slots *slots_new(uint32_t slots_max, struct keep *keep, struct keep_slots *kept)
{
	assert(slots_max > 0 && slots_max <= INO_SLOTS);
	struct slots *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->slots_max = slots_max;
	s->keep = keep;
	s->kept = keep ? kept : kept_alone();
	if (!s->kept) {
		free(s);
		return NULL;
	}
	/* A handle from an earlier mount names a slot that is something else by now. */
	uint32_t first = 0;

	if (getrandom(&first, sizeof first, GRND_NONBLOCK) < 0)
		first = (uint32_t)clock_mono_ms();
	if (!s->kept->generation_first)
		s->kept->generation_first = (first & INT32_MAX) + 1;
	pthread_mutex_init(&s->free_lock, NULL);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&s->shards[i].shard_lock, NULL);
	return s;
}

/* The heights of the shard that must stay readable. */
static size_t heights_of(const struct network *n, const struct scope *scope, uint64_t out[2])
{
	size_t count = 0;

	if (n && scope_has_height(scope))
		out[count++] = scope->height;
	if (n && scope->kind == SCOPE_SPAN)
		out[count++] = scope->from;
	return count;
}

/* What a slot holds on to: nothing once this was called. */
static void let_go(struct slot *slot)
{
	uint64_t heights[2];
	size_t count = heights_of(slot->network, &slot->scope, heights);

	while (count)
		network_unpin(slot->network, slot->scope.shard, heights[--count]);
	shared_view_putp(&slot->view);
	sight_version_putp(&slot->sight);
	/* The scope stays: it says what this was. */
	slot->network = NULL;
}

/* ---- what is written down ---- */

static void write_down(struct slots *s, struct slot *slot)
{
	struct keep_slot *k = slot->kept;
	const struct scope *c = &slot->scope;

	atomic_store(&k->given, 0);
	k->generation = slot->generation;
	k->network = slot->network ? network_index(slot->network) : 0;
	k->kind = c->kind;
	k->context = c->context;
	k->shard = c->shard;
	k->height = c->height;
	k->from = c->from;
	k->view_number = c->view_number;
	k->branch = c->branch;
	k->view = s->keep && slot->view ? keep_view_save(s->keep, shared_view_of(slot->view)) : 0;
	atomic_store(&k->used, 1);
}

/* The generation first: whoever takes over gives a free slot with a higher one. */
static void strike_out(struct slots *s, struct slot *slot)
{
	struct keep_slot *k = slot->kept;

	k->generation = slot->generation + 1;
	if (!atomic_exchange(&k->used, 0))
		return;
	if (s->keep)
		keep_view_drop(s->keep, k->view);
	k->view = 0;
}

void slots_freep(struct slots **at)
{
	struct slots *s = TAKE(*at);

	if (!s)
		return;
	for (uint32_t i = 0; i < s->made; i++)
		let_go(&atomic_load(&s->chunks[i / CHUNK])[i % CHUNK]);
	for (size_t i = 0; i < ARRAY_LEN(s->chunks); i++)
		free(atomic_load(&s->chunks[i]));
	if (!s->keep)
		munmap(s->kept, sizeof *s->kept);
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_destroy(&s->shards[i].shard_lock);
	pthread_mutex_destroy(&s->free_lock);
	free(s);
}

uint32_t slots_used(struct slots *s)
{
	LOCKED(&s->free_lock);
	return s->used;
}

/* ---- taking and giving back ---- */

static struct slot *slot_at(struct slots *s, uint32_t number)
{
	struct slot *chunk = atomic_load_explicit(&s->chunks[number / CHUNK], memory_order_acquire);

	return chunk ? &chunk[number % CHUNK] : NULL;
}

static int chunk_make(struct slots *s, uint32_t number)
{
	struct slot *chunk = calloc(CHUNK, sizeof *chunk), *none = NULL;

	if (!chunk)
		return -ENOMEM;
	for (uint32_t i = 0; i < CHUNK; i++) {
		chunk[i].number = number / CHUNK * CHUNK + i;
		chunk[i].kept = &s->kept->slots[chunk[i].number];
		chunk[i].generation = chunk[i].kept->generation;
		if (!chunk[i].generation)
			chunk[i].generation = s->kept->generation_first;
	}
	if (!atomic_compare_exchange_strong(&s->chunks[number / CHUNK], &none, chunk))
		free(chunk); /* another thread was faster */
	return 0;
}

/* Was this the same part of the same view? Then it says the same again, by the same numbers. */
static bool was(const struct slot *slot, const struct network *n, const struct scope *scope)
{
	return scope->kind == SCOPE_VIEW && slot->past == n && scope_eq(&slot->scope, scope);
}

/* Of the slots freed last the one that was this before, else the one that was freed first. */
static struct slot *take_past(struct slots *s, const struct network *n, const struct scope *scope)
{
	uint32_t *at = &s->free_first;
	struct slot *slot = slot_at(s, *at - 1);

	for (unsigned i = 1; i < PAST_MAX && slot->next && !was(slot, n, scope); i++) {
		at = &slot->next;
		slot = slot_at(s, *at - 1);
	}
	*at = slot->next;
	if (!was(slot, n, scope))
		slot->generation++;
	return slot;
}

/* A free slot, or -ENFILE; -EAGAIN: *number needs its chunk first. */
static int take_free(struct slots *s, const struct network *n, const struct scope *scope,
		     struct slot **out, uint32_t *number)
{
	LOCKED(&s->free_lock);
	if (s->free_first) {
		*out = take_past(s, n, scope);
	} else if (s->made == s->slots_max) {
		return -ENFILE;
	} else {
		*number = s->made;
		*out = slot_at(s, *number);
		if (!*out)
			return -EAGAIN;
		s->made++;
		atomic_store(&s->kept->made, s->made);
	}
	s->used++;
	return 0;
}

static void give_free(struct slots *s, struct slot *slot)
{
	LOCKED(&s->free_lock);
	slot->next = s->free_first;
	s->free_first = slot->number + 1;
	s->used--;
}

static int slot_take(struct slots *s, const struct network *n, const struct scope *scope,
		     struct slot **out)
{
	uint32_t number = 0;
	int rc;

	while ((rc = take_free(s, n, scope, out, &number)) == -EAGAIN) {
		rc = chunk_make(s, number);
		if (rc < 0)
			return rc;
	}
	if (rc < 0) {
		uint64_t now = clock_mono_ms(), last = atomic_load(&s->shouted_ms);

		if ((last == 0 || now - last > SHOUT_MS) &&
		    atomic_compare_exchange_strong(&s->shouted_ms, &last, now))
			trace_error("fs",
				    "all view slots are in use, new folders answer ENFILE until "
				    "the kernel forgets some",
				    "slots=%u", s->slots_max);
	}
	return rc;
}

/* ---- chains ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 29;
}

static uint64_t hash_of(const struct network *n, const struct scope *c)
{
	uint64_t h = mix(UINT64_C(0x9e3779b97f4a7c15), n ? network_index(n) : 0);

	h = mix(h, (uint64_t)c->kind << 40 | (uint64_t)c->context << 32 | c->shard);
	return mix(mix(mix(mix(h, c->height), c->from), c->view_number), c->branch);
}

static struct shard *shard_of(struct slots *s, uint64_t hash)
{
	return &s->shards[hash % SHARDS];
}

static uint32_t *chain_of(struct shard *shard, uint64_t hash)
{
	return &shard->chains[hash / SHARDS % CHAINS];
}


/* False when it is free, or about to be: who counted it down to zero alone may free it. */
static bool count_up(struct slot *slot)
{
	uint_fast64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed);

	while (count)
		if (atomic_compare_exchange_weak_explicit(&slot->count, &count, count + 1,
							  memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

static struct slot *find_and_enter(struct slots *s, uint32_t first, const struct network *n,
				   const struct scope *scope)
{
	for (uint32_t at = first; at; ) {
		struct slot *slot = slot_at(s, at - 1);

		if (slot->network == n && scope_eq(&slot->scope, scope) && count_up(slot))
			return slot;
		at = slot->next;
	}
	return NULL;
}

/* ---- interning ---- */

static int hold(struct slot *slot, struct network *n, const struct scope *scope,
		struct shared_view *view)
{
	uint64_t heights[2];
	size_t count = heights_of(n, scope, heights);

	for (size_t i = 0; i < count; i++) {
		int rc = network_pin(n, scope->shard, heights[i]);

		if (rc == 0)
			continue;
		while (i)
			network_unpin(n, scope->shard, heights[--i]);
		return rc;
	}
	slot->sight = scope->kind == SCOPE_SIGHT ? sights_get(tree_sights(), n, scope->view_number)
						 : NULL;
	if (scope->kind == SCOPE_SIGHT && !slot->sight)
		return -ESTALE;
	slot->network = n;
	slot->past = n;
	slot->scope = *scope;
	slot->view = scope->kind == SCOPE_VIEW ? shared_view_share(view) : NULL;
	return 0;
}

static bool is_of_view(const struct scope *scope, const struct shared_view *view)
{
	const struct view *v = shared_view_of(view);

	return scope->kind != SCOPE_VIEW || !v || v->number == scope->view_number;
}

int slots_intern(struct slots *s, struct network *n, const struct scope *scope,
		 struct shared_view *view, struct slot **out)
{
	uint64_t hash = hash_of(n, scope);
	struct shard *shard = shard_of(s, hash);
	uint32_t *chain = chain_of(shard, hash);
	struct slot *fresh, *found;

	pthread_mutex_lock(&shard->shard_lock);
	found = find_and_enter(s, *chain, n, scope);
	pthread_mutex_unlock(&shard->shard_lock);
	if (found) {
		*out = found;
		return 0;
	}
	if (!is_of_view(scope, view))
		return -ESTALE;
	int rc = slot_take(s, n, scope, &fresh);

	if (rc < 0)
		return rc;
	rc = hold(fresh, n, scope, view);
	if (rc < 0) {
		give_free(s, fresh);
		return rc;
	}
	write_down(s, fresh);
	pthread_mutex_lock(&shard->shard_lock);
	found = find_and_enter(s, *chain, n, scope);
	if (!found) {
		/* A place is owned by the table itself, so that it never comes down to zero. */
		atomic_store_explicit(&fresh->count, scope->kind == SCOPE_PLACE ? 2 : 1,
				      memory_order_release);
		fresh->next = *chain;
		*chain = fresh->number + 1;
	}
	pthread_mutex_unlock(&shard->shard_lock);
	if (found) {
		strike_out(s, fresh);
		let_go(fresh);
		give_free(s, fresh);
	}
	*out = found ? found : fresh;
	return !found;
}

int slots_enter(struct slots *s, uint32_t number, struct slot **out)
{
	struct slot *slot = number < s->slots_max ? slot_at(s, number) : NULL;

	if (!slot || !count_up(slot))
		return -ESTALE;
	if (slot->gone) {
		slots_leave(s, slot);
		return -ESTALE;
	}
	*out = slot;
	return 0;
}

/* ---- taking over ---- */

static struct shared_view *view_again(struct slots *s, struct network *n, const struct keep_slot *k,
				      struct shared_view *views[KEEP_VIEWS])
{
	struct keep_view *kv =
		k->view && k->view <= KEEP_VIEWS ? &s->keep->views[k->view - 1] : NULL;
	struct view *v = NULL;

	if (!kv || kv->size > sizeof kv->bytes || kv->network != k->network ||
	    kv->number != k->view_number)
		return NULL;
	if (!views[k->view - 1] &&
	    network_view_restore(n, SLICE(kv->bytes, kv->size), &v) == 0)
		views[k->view - 1] = shared_view_of_saved(v);
	return views[k->view - 1];
}

/* False: what it was of cannot be had again. */
static bool hold_again(struct slots *s, struct slot *slot, struct network *n,
		       struct shared_view *views[KEEP_VIEWS])
{
	const struct keep_slot *k = slot->kept;
	struct scope scope = { k->kind, k->context,     k->shard, k->height,
			       k->from, k->view_number, k->branch };
	struct shared_view *view = NULL;

	if ((k->network && !n) ||
	    (k->kind == SCOPE_VIEW && n && !(view = view_again(s, n, k, views))))
		return false;
	if (hold(slot, n, &scope, view) < 0)
		return false;
	uint64_t hash = hash_of(n, &scope);
	uint32_t *chain = chain_of(shard_of(s, hash), hash);

	slot->next = *chain;
	*chain = slot->number + 1;
	return true;
}

static void free_again(struct slots *s, struct slot *slot)
{
	strike_out(s, slot);
	slot->generation = slot->kept->generation;
	slot->next = s->free_first;
	s->free_first = slot->number + 1;
}

uint32_t slots_take_over(struct slots *s, struct network *(*network)(void *arg, unsigned index),
			 void *arg)
{
	struct shared_view *views[KEEP_VIEWS] = { NULL };
	uint32_t lost = 0, made = MIN(atomic_load(&s->kept->made), s->slots_max);

	for (uint32_t i = 0; i < made; i++) {
		if (i % CHUNK == 0 && chunk_make(s, i) < 0)
			return made - i + lost;
		struct slot *slot = slot_at(s, i);
		struct keep_slot *k = slot->kept;
		uint64_t given = atomic_load(&k->given);

		s->made = i + 1;
		if (!atomic_load(&k->used) || (!given && k->kind != SCOPE_PLACE)) {
			atomic_store(&k->used, 0);
			free_again(s, slot);
			continue;
		}
		s->used++;
		if (s->keep && k->view && k->view <= KEEP_VIEWS)
			atomic_fetch_add(&s->keep->views[k->view - 1].users, 1);
		slot->gone =
			!hold_again(s, slot, k->network ? network(arg, k->network) : NULL, views);
		lost += slot->gone;
		atomic_store(&slot->count, given + (k->kind == SCOPE_PLACE));
	}
	for (uint32_t i = 0; i < KEEP_VIEWS; i++)
		shared_view_putp(&views[i]);
	return lost;
}

/* ---- counting down ---- */

static void retire(struct slots *s, struct slot *slot)
{
	if (slot->gone) { /* in no chain, and holding nothing */
		slot->gone = false;
		strike_out(s, slot);
		give_free(s, slot);
		return;
	}
	uint64_t hash = hash_of(slot->network, &slot->scope);
	struct shard *shard = shard_of(s, hash);

	pthread_mutex_lock(&shard->shard_lock);
	uint32_t *at = chain_of(shard, hash);

	while (*at != slot->number + 1)
		at = &slot_at(s, *at - 1)->next;
	*at = slot->next;
	pthread_mutex_unlock(&shard->shard_lock);
	strike_out(s, slot);
	let_go(slot);
	give_free(s, slot);
}

static void count_down(struct slots *s, struct slot *slot, uint64_t n)
{
	uint_fast64_t count = atomic_load_explicit(&slot->count, memory_order_relaxed), left;

	do {
		left = count - MIN(n, count);
	} while (!atomic_compare_exchange_weak_explicit(
		&slot->count, &count, left, memory_order_acq_rel, memory_order_relaxed));
	if (n > count)
		trace_error("fs", "more was forgotten of a slot than was given", "slot=%u",
			    slot->number);
	if (left == 0 && count)
		retire(s, slot);
}

void slots_leave(struct slots *s, struct slot *slot)
{
	count_down(s, slot, 1);
}

/* Written down before the kernel has it, and after it has forgotten it. */
void slots_give(struct slot *slot, uint64_t lookups)
{
	atomic_fetch_add_explicit(&slot->kept->given, lookups, memory_order_relaxed);
	atomic_fetch_add_explicit(&slot->count, lookups, memory_order_relaxed);
}

static void forget_written(struct keep_slot *k, uint64_t n)
{
	uint64_t given = atomic_load_explicit(&k->given, memory_order_relaxed);

	while (!atomic_compare_exchange_weak_explicit(&k->given, &given, given - MIN(n, given),
						      memory_order_relaxed, memory_order_relaxed))
		;
}

void slots_forget(struct slots *s, uint32_t number, uint64_t lookups)
{
	struct slot *slot = number < s->slots_max ? slot_at(s, number) : NULL;

	if (!slot || !lookups)
		return;
	forget_written(slot->kept, lookups);
	count_down(s, slot, lookups);
}
