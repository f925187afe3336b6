/* The followers of a daemon, by network. */
#include "core/sync/follow.h"

#define FOLLOWS_MAX NETWORKS_MAX

struct entry {
	struct network *network; /* NULL: free */
	struct follow *follow;
	bool leaving; /* nobody gets it any more */
	unsigned users;
};

struct follows {
	pthread_mutex_t follows_lock; /* guards the rest; a leaf */
	pthread_cond_t put;
	bool ended; /* nobody gets any */
	struct entry list[FOLLOWS_MAX];
};

struct follows *follows_new(void)
{
	struct follows *l = calloc(1, sizeof *l);

	if (!l)
		return NULL;
	pthread_mutex_init(&l->follows_lock, NULL);
	pthread_cond_init(&l->put, NULL);
	return l;
}

void follows_freep(struct follows **at)
{
	struct follows *l = TAKE(*at);

	if (!l)
		return;
	pthread_cond_destroy(&l->put);
	pthread_mutex_destroy(&l->follows_lock);
	free(l);
}

static struct entry *find(struct follows *l, const struct network *n)
{
	for (size_t i = 0; i < FOLLOWS_MAX; i++)
		if (l->list[i].network == n)
			return &l->list[i];
	return NULL;
}

int follows_add(struct follows *l, struct network *n, struct follow *f)
{
	LOCKED(&l->follows_lock);
	struct entry *e = find(l, n) ? NULL : find(l, NULL);

	if (!e)
		return -EEXIST;
	*e = (struct entry){ .network = n, .follow = f };
	return 0;
}

void follows_remove(struct follows *l, struct network *n)
{
	LOCKED(&l->follows_lock);
	struct entry *e = find(l, n);

	if (!e)
		return;
	e->leaving = true;
	while (e->users)
		pthread_cond_wait(&l->put, &l->follows_lock);
	*e = (struct entry){ .network = NULL };
}

void follows_end(struct follows *l)
{
	LOCKED(&l->follows_lock);
	l->ended = true;
	for (size_t i = 0; i < FOLLOWS_MAX; i++)
		while (l->list[i].users)
			pthread_cond_wait(&l->put, &l->follows_lock);
}

struct follow *follows_get(struct follows *l, const struct network *n)
{
	if (!l || !n)
		return NULL;
	LOCKED(&l->follows_lock);
	struct entry *e = find(l, n);

	if (!e || e->leaving || l->ended)
		return NULL;
	e->users++;
	return e->follow;
}

void follows_put(struct follows *l, struct follow **f)
{
	struct follow *what = TAKE(*f);

	if (!l || !what)
		return;
	LOCKED(&l->follows_lock);
	for (size_t i = 0; i < FOLLOWS_MAX; i++)
		if (l->list[i].follow == what) {
			assert(l->list[i].users > 0);
			l->list[i].users--;
		}
	pthread_cond_broadcast(&l->put);
}
