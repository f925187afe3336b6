#include "fs/mount/following.h"

#include "core/sync/sight.h"

static struct {
	pthread_mutex_t following_lock; /* guards the rest */
	struct store *store;            /* NULL: stopped */
	struct follows *follows;
	void (*changed)(void *arg, struct network *n);
	void *arg;
	uint64_t names[NETWORKS_MAX + 1]; /* by the network's index */
	bool heard[NETWORKS_MAX + 1];     /* somebody follows it, and tells us */
} all = { .following_lock = PTHREAD_MUTEX_INITIALIZER };

/* Its follower tells us from now on. */
static bool listen_to(struct network *n, void (*call)(void *arg))
{
	struct follow *f = follows_get(all.follows, n);

	if (!f)
		return false;
	follow_on_change(f, call, NULL);
	follows_put(all.follows, &f);
	return true;
}

static uint64_t names_of(const struct network *n)
{
	struct sight s;
	uint64_t names = 0;

	if (sight_take(all.follows, n, &s) == 1)
		names = s.source_count ? sight_names(&s) : 0;
	sight_release(&s);
	return names;
}

/* Whichever follower called: a change is rare, and there are few of them. */
static void on_change(void *unused)
{
	LOCKED(&all.following_lock);
	for (size_t i = 0; all.store && i < store_network_count(all.store); i++) {
		struct network *n = store_network_at(all.store, i);
		unsigned at = network_index(n);
		uint64_t names = all.heard[at] ? names_of(n) : all.names[at];

		if (names == all.names[at])
			continue;
		all.names[at] = names;
		all.changed(all.arg, n);
	}
}

void following_look(void)
{
	bool news = false;

	pthread_mutex_lock(&all.following_lock);
	for (size_t i = 0; all.store && i < store_network_count(all.store); i++) {
		struct network *n = store_network_at(all.store, i);

		if (!all.heard[network_index(n)] && listen_to(n, on_change))
			all.heard[network_index(n)] = news = true;
	}
	pthread_mutex_unlock(&all.following_lock);
	if (news)
		on_change(NULL);
}

void following_start(struct store *s, struct follows *l,
		     void (*changed)(void *arg, struct network *n), void *arg)
{
	if (!l)
		return;
	pthread_mutex_lock(&all.following_lock);
	all.store = s;
	all.follows = l;
	all.changed = changed;
	all.arg = arg;
	memset(all.names, 0, sizeof all.names);
	memset(all.heard, 0, sizeof all.heard);
	pthread_mutex_unlock(&all.following_lock);
	following_look();
}

void following_stop(void)
{
	LOCKED(&all.following_lock);
	for (size_t i = 0; all.store && i < store_network_count(all.store); i++) {
		struct network *n = store_network_at(all.store, i);

		if (all.heard[network_index(n)])
			listen_to(n, NULL);
	}
	all.store = NULL;
}
