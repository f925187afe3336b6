/* Views that slots name, as bytes. */
#include "fs/connection/keep.h"

void keep_views_recount(struct keep *k)
{
	for (uint32_t i = 0; i < KEEP_VIEWS; i++)
		atomic_store(&k->views[i].users, 0);
}

static uint32_t view_share(struct keep *k, const struct view *v)
{
	for (uint32_t i = 0; i < KEEP_VIEWS; i++) {
		struct keep_view *kv = &k->views[i];

		if (atomic_load(&kv->users) && kv->number == v->number &&
		    kv->network == network_index(v->network)) {
			atomic_fetch_add(&kv->users, 1);
			return i + 1;
		}
	}
	return 0;
}

/* Slots of views are made at most a few times a publication. */
static pthread_mutex_t views_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the views of a keep */

uint32_t keep_view_save(struct keep *k, const struct view *v)
{
	AUTO(buf_release) struct buf saved = BUF_INIT(KEEP_VIEW_SIZE);
	int rc = network_view_save(v, &saved);

	LOCKED(&views_lock);
	uint32_t shared = view_share(k, v);

	if (shared || rc < 0)
		return shared;
	for (uint32_t i = 0; i < KEEP_VIEWS; i++) {
		struct keep_view *kv = &k->views[i];

		if (atomic_load(&kv->users))
			continue;
		kv->network = network_index(v->network);
		kv->number = v->number;
		kv->size = (uint32_t)saved.n;
		memcpy(kv->bytes, saved.p, saved.n);
		atomic_store(&kv->users, 1);
		return i + 1;
	}
	return 0;
}

void keep_view_drop(struct keep *k, uint32_t view)
{
	if (!view || view > KEEP_VIEWS)
		return;
	LOCKED(&views_lock);
	struct keep_view *kv = &k->views[view - 1];

	if (atomic_load(&kv->users))
		atomic_fetch_sub(&kv->users, 1);
}
