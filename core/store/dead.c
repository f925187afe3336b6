#include "core/store/dead.h"

#define KEPT    64u
#define KEY_MAX 128u /* longer ones are not kept */

struct stretch {
	struct dead_place place; /* epoch 0: empty */
	uint8_t first_size, end_size;
	uint8_t first[KEY_MAX], end[KEY_MAX];
};

struct dead {
	pthread_mutex_t dead_lock; /* guards the rest; a leaf */
	size_t next;
	struct stretch kept[KEPT];
};

struct dead *dead_new(void)
{
	struct dead *d = calloc(1, sizeof *d);

	if (d)
		pthread_mutex_init(&d->dead_lock, NULL);
	return d;
}

void dead_freep(struct dead **at)
{
	struct dead *d = TAKE(*at);

	if (!d)
		return;
	pthread_mutex_destroy(&d->dead_lock);
	free(d);
}

static bool is_of(const struct stretch *s, const struct dead_place *at)
{
	return s->place.epoch == at->epoch && s->place.height == at->height &&
	       s->place.branch == at->branch;
}

static struct slice first_of(const struct stretch *s)
{
	return SLICE(s->first, s->first_size);
}

static struct slice end_of(const struct stretch *s)
{
	return SLICE(s->end, s->end_size);
}

/* The one that ends there and begins later, which the new one covers; else the oldest. */
static struct stretch *place_for(struct dead *d, const struct dead_place *at, struct slice first,
				 struct slice end)
{
	for (size_t i = 0; i < KEPT; i++) {
		struct stretch *s = &d->kept[i];

		if (is_of(s, at) && slice_eq(end_of(s), end))
			return slice_cmp(first_of(s), first) > 0 ? s : NULL;
	}
	return &d->kept[d->next++ % KEPT];
}

void dead_add(struct dead *d, const struct dead_place *at, struct slice first, struct slice end)
{
	if (first.n > KEY_MAX || end.n > KEY_MAX || slice_cmp(first, end) >= 0)
		return;
	LOCKED(&d->dead_lock);
	struct stretch *s = place_for(d, at, first, end);

	if (!s)
		return;
	s->place = *at;
	s->first_size = (uint8_t)first.n;
	s->end_size = (uint8_t)end.n;
	memcpy(s->first, first.p, first.n);
	memcpy(s->end, end.p, end.n);
}

bool dead_find(struct dead *d, const struct dead_place *at, struct slice key, struct buf *end)
{
	LOCKED(&d->dead_lock);
	for (size_t i = 0; i < KEPT; i++) {
		const struct stretch *s = &d->kept[i];

		if (is_of(s, at) && slice_cmp(first_of(s), key) <= 0 &&
		    slice_cmp(key, end_of(s)) < 0) {
			buf_add(end, end_of(s));
			return true;
		}
	}
	return false;
}
