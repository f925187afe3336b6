/* stats.h: stat records, kept in groups: neighbours of one block share a row.
 *
 * A group holds records of ascending objects of one (shard, height), at most STAT_GROUP_MAX of them
 * within STAT_GROUP_SPAN objects, under the first one's id. One row a record would cost three times
 * the bytes and, when blocks are imported, most of the time.
 *
 *     count, shard, height, renderer, then field by field for all records: distance of the object
 *     from the one before, type, form, item, time, size, offset, line_size, json_size; as
 *     differences where neighbours are alike
 *
 * Records whose bytes lie in one carrier are grouped as well, though they come from many blocks:
 * STAT_CARRIED is added to the count, the carrier stands in place of the height, and each record's
 * height is a field behind its form.
 *
 * An object that is written again alone stands in a younger group of its own that lies between: who
 * looks for an object goes back from the nearest group until it is found or out of every span. */
#ifndef CHAINFS_STORE_STATS_H
#define CHAINFS_STORE_STATS_H

#include "core/store/network.h"

#define STAT_GROUP_MAX  32
#define STAT_GROUP_SPAN 64
#define STAT_CARRIED    64 /* added to the count of a group whose bytes were carried */

static_assert(STAT_GROUP_MAX < STAT_CARRIED, "a count and the mark beside it");

struct stat_group {
	size_t             count;
	uint64_t           objects[STAT_GROUP_MAX];
	struct stat_record records[STAT_GROUP_MAX];
};

/* False: it belongs to the next group; the caller writes this one and empties it. */
bool stat_group_add(struct stat_group *g, uint64_t object, const struct stat_record *r);
void stat_group_write(const struct stat_group *g, struct buf *out);
/* All of the group that begins at `first`. -EUCLEAN. */
int  stat_group_read(struct slice in, uint64_t first, struct stat_group *out) MUST_CHECK;
/* 1: the group that begins at `first` has `object`; 0: it does not; -EUCLEAN. */
int  stat_group_find(struct slice in, uint64_t first, uint64_t object,
		     struct stat_record *out) MUST_CHECK;

#endif
