/* recent.h: rows that were read lately, as values: stat records by object, block rows by height.
 *
 * A seek of the database costs microseconds, and the kernel's requests ask for the same few rows
 * again and again: a name is looked up, then its attributes, then its bytes.
 * An entry is good for one epoch of the database (db.h): any write makes all of them old. So it
 * says what a read says that began when the entry was made, and nothing has to be told of changes.
 * Memory   tables of fixed size; a newer entry takes the place of an older one.
 * Threads  any. */
#ifndef CHAINFS_STORE_RECENT_H
#define CHAINFS_STORE_RECENT_H

#include "core/store/stats.h"

#define RECENT_STATS  16384u /* powers of two */
#define RECENT_BLOCKS 512u

struct recent;
struct recent *recent_new(void); /* NULL: no memory */
void recent_freep(struct recent **r);

/* `epoch` is the database's as of before the row is read; true: *out is what it says. */
bool recent_stat(struct recent *r, uint64_t epoch, uint64_t object, struct stat_record *out);
/* Those of the group up to object `last`: what a younger group may say (stats.h) is not taken. */
void recent_stats_add(struct recent *r, uint64_t epoch, const struct stat_group *g, uint64_t last);
/* Was the group that begins at `first` met lately? Then it is worth to learn how far it goes. */
bool recent_met(struct recent *r, uint64_t first);
bool recent_block(struct recent *r, uint64_t epoch, uint32_t shard, uint64_t height,
		  struct block_row *out);
void recent_block_add(struct recent *r, uint64_t epoch, const struct block_row *row);

#endif
