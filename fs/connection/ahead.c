#include "fs/connection/ahead.h"

#include <linux/fuse.h>
#include <pthread.h>

struct ahead {
	pthread_mutex_t ahead_lock;           /* guards the rest; a leaf */
	struct ahead_part parts[AHEAD_PARTS]; /* bytes NULL: no part */
};

struct ahead *ahead_new(void)
{
	struct ahead *a = calloc(1, sizeof *a);

	if (a)
		pthread_mutex_init(&a->ahead_lock, NULL);
	return a;
}

void ahead_freep(struct ahead **at)
{
	struct ahead *a = TAKE(*at);

	if (!a)
		return;
	for (size_t i = 0; i < AHEAD_PARTS; i++)
		free(a->parts[i].bytes);
	pthread_mutex_destroy(&a->ahead_lock);
	free(a);
}

void ahead_part_release(struct ahead_part *part)
{
	free(part->bytes);
	*part = (struct ahead_part){ .bytes = NULL };
}

static bool is_next(const struct ahead_part *p, const struct asked_as *of, uint64_t offset,
		    bool plus)
{
	return p->bytes && p->of.ino == of->ino && p->of.generation == of->generation &&
	       p->of.stamp == of->stamp && p->offset == offset && p->plus == plus;
}

bool ahead_take(struct ahead *a, const struct asked_as *of, uint64_t offset, bool plus,
		struct ahead_part *out)
{
	LOCKED(&a->ahead_lock);
	for (size_t i = 0; i < AHEAD_PARTS; i++) {
		if (!is_next(&a->parts[i], of, offset, plus))
			continue;
		*out = a->parts[i];
		a->parts[i] = (struct ahead_part){ .bytes = NULL };
		return true;
	}
	return false;
}

/* Of the same folder as it was before: nobody asks for that again. */
static bool is_passed(const struct ahead_part *p, const struct asked_as *of)
{
	return p->of.ino == of->ino &&
	       (p->of.generation != of->generation || p->of.stamp != of->stamp);
}

/* Holding the lock. NULL: there is none. */
static struct ahead_part *room_for(struct ahead *a, const struct asked_as *of, uint64_t now_ms)
{
	struct ahead_part *oldest = a->parts;

	for (struct ahead_part *p = a->parts; p < a->parts + AHEAD_PARTS; p++) {
		if (!p->bytes || is_passed(p, of))
			return p;
		if (p->put_ms < oldest->put_ms)
			oldest = p;
	}
	return now_ms >= oldest->put_ms + AHEAD_OLD_MS ? oldest : NULL;
}

bool ahead_has_room(struct ahead *a, const struct asked_as *of, uint64_t now_ms)
{
	LOCKED(&a->ahead_lock);
	return room_for(a, of, now_ms);
}

/* What is to be freed. */
static char *place(struct ahead *a, struct ahead_part *part, uint64_t now_ms)
{
	LOCKED(&a->ahead_lock);
	struct ahead_part *room = room_for(a, &part->of, now_ms);

	if (!room)
		return part->bytes;
	char *before = room->bytes;

	*room = *part;
	room->put_ms = now_ms;
	return before;
}

void ahead_put(struct ahead *a, struct ahead_part *part, uint64_t now_ms)
{
	free(part->bytes && part->at < part->end ? place(a, part, now_ms) : part->bytes);
	*part = (struct ahead_part){ .bytes = NULL };
}

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
