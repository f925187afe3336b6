#include "fs/connection/views.h"

#include <stdatomic.h>

#include "fs/connection/ino.h"

struct shared_view {
	atomic_uint  owners;
	uint64_t     published; /* how many publications it knows of */
	struct view *view;
};

struct place { /* of one network */
	struct views        *views;
	struct network *_Atomic network;
	atomic_bool          watched;
	atomic_uint_fast64_t published;   /* publications so far */
	pthread_mutex_t      newest_lock; /* guards newest; a leaf */
	struct shared_view  *newest;
};

struct views {
	void       (*published)(void *arg, struct network *n);
	void        *arg;
	struct place places[1u << INO_NETWORK_BITS];
};

struct views *views_new(void (*published)(void *arg, struct network *n), void *arg)
{
	struct views *v = calloc(1, sizeof *v);

	if (!v)
		return NULL;
	v->published = published;
	v->arg = arg;
	for (size_t i = 0; i < ARRAY_LEN(v->places); i++) {
		v->places[i].views = v;
		pthread_mutex_init(&v->places[i].newest_lock, NULL);
	}
	return v;
}

void views_freep(struct views **at)
{
	struct views *v = TAKE(*at);

	if (!v)
		return;
	for (size_t i = 0; i < ARRAY_LEN(v->places); i++) {
		struct place *p = &v->places[i];

		struct network *n = atomic_load(&p->network);

		if (n)
			network_on_publish(n, NULL, NULL);
		shared_view_putp(&p->newest);
		pthread_mutex_destroy(&p->newest_lock);
	}
	free(v);
}

/* ---- counted ---- */

struct shared_view *shared_view_share(struct shared_view *s)
{
	if (s)
		atomic_fetch_add_explicit(&s->owners, 1, memory_order_relaxed);
	return s;
}

void shared_view_putp(struct shared_view **at)
{
	struct shared_view *s = TAKE(*at);

	if (!s || atomic_fetch_sub_explicit(&s->owners, 1, memory_order_acq_rel) != 1)
		return;
	view_putp(&s->view);
	free(s);
}

struct shared_view *shared_view_of_saved(struct view *v)
{
	struct shared_view *s = malloc(sizeof *s);

	if (!s) {
		view_putp(&v);
		return NULL;
	}
	atomic_init(&s->owners, 1);
	s->published = 0; /* what is asked for now was published later */
	s->view = v;
	return s;
}

const struct view *shared_view_of(const struct shared_view *s)
{
	return s ? s->view : NULL;
}

/* ---- the newest ---- */

static void on_publish(void *arg)
{
	struct place *p = arg;

	atomic_fetch_add(&p->published, 1);
	if (p->views->published)
		p->views->published(p->views->arg, p->network);
}

/* NULL: there is no number for so many networks. */
static struct place *place_of(struct views *v, struct network *n)
{
	unsigned i = network_index(n);

	return i < ARRAY_LEN(v->places) ? &v->places[i] : NULL;
}

void views_watch(struct views *v, struct network *n)
{
	struct place *p = place_of(v, n);

	if (!p)
		return;
	if (atomic_load_explicit(&p->watched, memory_order_relaxed) ||
	    atomic_exchange(&p->watched, true))
		return;
	atomic_store(&p->network, n);
	network_on_publish(n, on_publish, p);
	/* Another thread may have kept a view before, and nobody told us of one published since. */
	atomic_fetch_add(&p->published, 1);
}

struct network *views_network(const struct views *v, unsigned index)
{
	return index < ARRAY_LEN(v->places) ? atomic_load(&v->places[index].network) : NULL;
}

bool views_is_newest(struct views *v, const struct shared_view *s)
{
	const struct place *p = place_of(v, s->view->network);

	return s->published == atomic_load(&p->published);
}

uint64_t shared_view_stamp(const struct shared_view *s)
{
	return s->published;
}

uint64_t views_stamp(const struct views *v, const struct network *n)
{
	unsigned i = network_index(n);

	return i < ARRAY_LEN(v->places) ? atomic_load(&v->places[i].published) : 0;
}

static struct shared_view *current(struct place *p)
{
	LOCKED(&p->newest_lock);
	if (!p->newest || p->newest->published != atomic_load(&p->published))
		return NULL;
	return shared_view_share(p->newest);
}

/* Keeps the newer of the two for the requests to come. */
static void offer(struct place *p, struct shared_view *s)
{
	struct shared_view *old = NULL;

	pthread_mutex_lock(&p->newest_lock);
	if (!p->newest || p->newest->published < s->published) {
		old = p->newest;
		p->newest = shared_view_share(s);
	}
	pthread_mutex_unlock(&p->newest_lock);
	shared_view_putp(&old);
}

struct shared_view *views_newest(struct views *v, struct network *n)
{
	views_watch(v, n);
	struct place *p = place_of(v, n);
	struct shared_view *s = p ? current(p) : NULL;

	if (!p || s)
		return s;
	s = malloc(sizeof *s);
	if (!s)
		return NULL;
	atomic_init(&s->owners, 1);
	/* Counted before the view is taken: one published in between is taken again next time. */
	s->published = atomic_load(&p->published);
	s->view = network_view_get(n);
	offer(p, s);
	return s;
}
