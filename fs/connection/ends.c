#include "fs/connection/ends.h"

#include <pthread.h>

#define KEPT 16384u /* a walk comes back to the first folder after all others */

struct end {
	uint64_t ino, generation, offset; /* ino 0: empty; no node has that number */
};

struct ends {
	pthread_mutex_t ends_lock; /* guards the rest; a leaf */
	struct end kept[KEPT];
};

struct ends *ends_new(void)
{
	struct ends *e = calloc(1, sizeof *e);

	if (e)
		pthread_mutex_init(&e->ends_lock, NULL);
	return e;
}

void ends_freep(struct ends **at)
{
	struct ends *e = TAKE(*at);

	if (!e)
		return;
	pthread_mutex_destroy(&e->ends_lock);
	free(e);
}

static struct end *place_of(struct ends *e, uint64_t ino)
{
	return &e->kept[(ino * UINT64_C(0x9e3779b97f4a7c15) >> 32) % KEPT];
}

void ends_add(struct ends *e, uint64_t ino, uint64_t generation, uint64_t offset)
{
	LOCKED(&e->ends_lock);
	*place_of(e, ino) = (struct end){ ino, generation, offset };
}

bool ends_has(struct ends *e, uint64_t ino, uint64_t generation, uint64_t offset)
{
	LOCKED(&e->ends_lock);
	const struct end *at = place_of(e, ino);

	return ino && at->ino == ino && at->generation == generation && at->offset == offset;
}
