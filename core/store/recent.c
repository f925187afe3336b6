#include "core/store/recent.h"

#include <pthread.h>

struct stat_entry {
	uint64_t epoch, object; /* object 0: empty; no object has that number */
	struct stat_record record;
};

struct block_entry {
	uint64_t epoch; /* height 0: empty; blocks begin at 1 */
	struct block_row row;
};

#define MET 64u

struct recent {
	pthread_mutex_t stats_lock;  /* guards stats and met; a leaf */
	pthread_mutex_t blocks_lock; /* guards blocks; a leaf */
	struct stat_entry stats[RECENT_STATS];
	uint64_t met[MET]; /* first objects of groups */
	struct block_entry blocks[RECENT_BLOCKS];
};

struct recent *recent_new(void)
{
	struct recent *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	pthread_mutex_init(&r->stats_lock, NULL);
	pthread_mutex_init(&r->blocks_lock, NULL);
	return r;
}

void recent_freep(struct recent **at)
{
	struct recent *r = TAKE(*at);

	if (!r)
		return;
	pthread_mutex_destroy(&r->stats_lock);
	pthread_mutex_destroy(&r->blocks_lock);
	free(r);
}

/* Neighbours lie side by side: a group never pushes out its own records. */
static struct stat_entry *stat_place(struct recent *r, uint64_t object)
{
	return &r->stats[object % RECENT_STATS];
}

bool recent_stat(struct recent *r, uint64_t epoch, uint64_t object, struct stat_record *out)
{
	const struct stat_entry *e = stat_place(r, object);

	LOCKED(&r->stats_lock);
	if (object == 0 || e->object != object || e->epoch != epoch)
		return false;
	*out = e->record;
	return true;
}

void recent_stats_add(struct recent *r, uint64_t epoch, const struct stat_group *g, uint64_t last)
{
	LOCKED(&r->stats_lock);
	for (size_t i = 0; i < g->count && g->objects[i] <= last; i++)
		*stat_place(r, g->objects[i]) =
			(struct stat_entry){ epoch, g->objects[i], g->records[i] };
}

bool recent_met(struct recent *r, uint64_t first)
{
	LOCKED(&r->stats_lock);
	uint64_t *at = &r->met[first / STAT_GROUP_MAX % MET];
	bool met = *at == first;

	*at = first;
	return met;
}

static struct block_entry *block_place(struct recent *r, uint32_t shard, uint64_t height)
{
	return &r->blocks[(height * SHARD_MAX + shard) % RECENT_BLOCKS];
}

bool recent_block(struct recent *r, uint64_t epoch, uint32_t shard, uint64_t height,
		  struct block_row *out)
{
	const struct block_entry *e = block_place(r, shard, height);

	LOCKED(&r->blocks_lock);
	if (height == 0 || e->row.height != height || e->row.shard != shard || e->epoch != epoch)
		return false;
	*out = e->row;
	return true;
}

void recent_block_add(struct recent *r, uint64_t epoch, const struct block_row *row)
{
	struct block_entry *e = block_place(r, row->shard, row->height);

	LOCKED(&r->blocks_lock);
	e->epoch = epoch;
	e->row = *row;
}
