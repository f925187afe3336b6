#include "fs/connection/ahead.h"

#include <linux/fuse.h>
#include <pthread.h>

/* A place is of a part from when it is wished for until it is taken. */
struct place {
	enum { PLACE_FREE, PLACE_WISHED, PLACE_LISTED, PLACE_KEPT } is; /* LISTED: right now */
	struct ahead_part part;
};

struct ahead {
	pthread_mutex_t ahead_lock; /* guards the places and `stopping`; a leaf */
	pthread_cond_t wished, listed;
	struct place places[AHEAD_PARTS];
	bool stopping;

	ahead_list *list; /* set before the first request comes; NULL: there is no thread */
	void *arg;
	pthread_t thread;
};

struct ahead *ahead_new(void)
{
	struct ahead *a = calloc(1, sizeof *a);

	if (!a)
		return NULL;
	pthread_mutex_init(&a->ahead_lock, NULL);
	pthread_cond_init(&a->wished, NULL);
	pthread_cond_init(&a->listed, NULL);
	return a;
}

void ahead_freep(struct ahead **at)
{
	struct ahead *a = TAKE(*at);

	if (!a)
		return;
	ahead_stop(a);
	for (size_t i = 0; i < AHEAD_PARTS; i++)
		free(a->places[i].part.bytes);
	pthread_cond_destroy(&a->listed);
	pthread_cond_destroy(&a->wished);
	pthread_mutex_destroy(&a->ahead_lock);
	free(a);
}

void ahead_part_release(struct ahead_part *part)
{
	free(part->bytes);
	*part = (struct ahead_part){ .bytes = NULL };
}

static bool is_empty(const struct ahead_part *p)
{
	return !p->bytes || p->at == p->end;
}

/* ---- places ---- */

static bool is_next(const struct place *p, const struct asked_as *of, uint64_t offset, bool plus)
{
	const struct ahead_part *is = &p->part;

	return p->is != PLACE_FREE && is->of.ino == of->ino &&
	       is->of.generation == of->generation && is->of.stamp == of->stamp &&
	       is->offset == offset && is->plus == plus;
}

/* Holding the lock. What was listed already goes before what only will be. NULL: there is none. */
static struct place *find(struct ahead *a, const struct asked_as *of, uint64_t offset, bool plus)
{
	struct place *found = NULL;

	for (struct place *p = a->places; p < a->places + AHEAD_PARTS; p++)
		if (is_next(p, of, offset, plus) && (!found || p->is > found->is))
			found = p;
	return found;
}

/* Of the same folder as it was before: nobody asks for that again. */
static bool is_passed(const struct place *p, const struct asked_as *of)
{
	return p->is != PLACE_LISTED && p->part.of.ino == of->ino &&
	       (p->part.of.generation != of->generation || p->part.of.stamp != of->stamp);
}

/* Holding the lock. NULL: there is none. */
static struct place *room_for(struct ahead *a, const struct asked_as *of, uint64_t now_ms)
{
	struct place *oldest = NULL;

	for (struct place *p = a->places; p < a->places + AHEAD_PARTS; p++) {
		if (p->is == PLACE_FREE || is_passed(p, of))
			return p;
		if (p->is != PLACE_LISTED && (!oldest || p->part.put_ms < oldest->part.put_ms))
			oldest = p;
	}
	return oldest && now_ms >= oldest->part.put_ms + AHEAD_OLD_MS ? oldest : NULL;
}

bool ahead_has_room(struct ahead *a, const struct asked_as *of, uint64_t now_ms)
{
	LOCKED(&a->ahead_lock);
	return room_for(a, of, now_ms);
}

/* Holding the lock. What is to be freed. */
static char *place(struct ahead *a, int as, const struct ahead_part *part, uint64_t now_ms)
{
	struct place *room = room_for(a, &part->of, now_ms);

	if (!room)
		return part->bytes;
	char *before = room->part.bytes;

	room->is = as;
	room->part = *part;
	room->part.put_ms = now_ms;
	return before;
}

/* Holding the lock: what is behind `part` is to be listed, and only once. What is to be freed. */
static char *wish_behind(struct ahead *a, struct ahead_part *part, uint64_t now_ms)
{
	const struct ahead_part behind = { .of = part->of,
					   .offset = part->last,
					   .plus = part->plus };

	if (!part->taken || !part->last || !a->list || a->stopping)
		return NULL;
	part->last = 0;
	pthread_cond_signal(&a->wished);
	return place(a, PLACE_WISHED, &behind, now_ms);
}

void ahead_put(struct ahead *a, struct ahead_part *part, uint64_t now_ms)
{
	AUTO(base_freep) char *gone = NULL;
	AUTO(base_freep) char *rest = part->bytes;
	{
		LOCKED(&a->ahead_lock);
		gone = wish_behind(a, part, now_ms);
		if (!is_empty(part))
			rest = place(a, PLACE_KEPT, part, now_ms);
	}
	*part = (struct ahead_part){ .bytes = NULL };
}

bool ahead_take(struct ahead *a, const struct asked_as *of, uint64_t offset, bool plus,
		struct ahead_part *out)
{
	struct place *p;

	LOCKED(&a->ahead_lock);
	while ((p = find(a, of, offset, plus)) && p->is == PLACE_LISTED)
		pthread_cond_wait(&a->listed, &a->ahead_lock);
	if (!p)
		return false;
	bool kept = p->is == PLACE_KEPT; /* else who asks is as fast as the thread would be */

	p->is = PLACE_FREE;
	*out = p->part;
	out->taken = true;
	p->part = (struct ahead_part){ .bytes = NULL };
	return kept;
}

/* ---- the thread ---- */

/* Holding the lock. NULL: there is none. */
static struct place *oldest_wish(struct ahead *a)
{
	struct place *oldest = NULL;

	for (struct place *p = a->places; p < a->places + AHEAD_PARTS; p++)
		if (p->is == PLACE_WISHED && (!oldest || p->part.put_ms < oldest->part.put_ms))
			oldest = p;
	return oldest;
}

/* False: it stops. */
static bool next_wish(struct ahead *a, struct place **out)
{
	LOCKED(&a->ahead_lock);
	while (!a->stopping && !(*out = oldest_wish(a)))
		pthread_cond_wait(&a->wished, &a->ahead_lock);
	if (!a->stopping)
		(*out)->is = PLACE_LISTED;
	return !a->stopping;
}

static void *run(void *arg)
{
	struct ahead *a = arg;
	struct place *p = NULL;

	while (next_wish(a, &p)) {
		struct ahead_part part = p->part; /* nobody touches what is being listed */

		a->list(a->arg, &part);
		if (is_empty(&part))
			ahead_part_release(&part);
		LOCKED(&a->ahead_lock);
		p->is = part.bytes ? PLACE_KEPT : PLACE_FREE;
		p->part = part;
		pthread_cond_broadcast(&a->listed);
	}
	return NULL;
}

int ahead_start(struct ahead *a, ahead_list *list, void *arg, struct err *err)
{
	a->list = list;
	a->arg = arg;
	int rc = -pthread_create(&a->thread, NULL, run, a);

	if (rc < 0)
		a->list = NULL;
	return rc < 0 ? err_set(err, rc, "no thread to list ahead: %s", strerror(-rc)) : 0;
}

void ahead_stop(struct ahead *a)
{
	if (!a->list || a->stopping)
		return;
	pthread_mutex_lock(&a->ahead_lock);
	a->stopping = true;
	pthread_cond_signal(&a->wished);
	pthread_mutex_unlock(&a->ahead_lock);
	pthread_join(a->thread, NULL);
}

/* ---- a part ---- */

size_t ahead_cut(struct ahead_part *part, size_t room)
{
	const size_t head = part->plus ? sizeof(struct fuse_entry_out) : 0;
	const size_t from = part->at;

	while (part->end - part->at >= head + FUSE_NAME_OFFSET) {
		struct fuse_dirent entry;

		memcpy(&entry, part->bytes + part->at + head, FUSE_NAME_OFFSET);
		size_t size = FUSE_DIRENT_ALIGN(head + FUSE_NAME_OFFSET + entry.namelen);

		if (size > part->end - part->at || part->at + size - from > room)
			break;
		part->at += size;
		part->offset = entry.off;
	}
	return part->at - from;
}
