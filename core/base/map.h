/* map.h: an ordered map from byte strings to byte strings, all in one arena.
 *
 * Keys compare as unsigned bytes, a shorter prefix first. A value may be a tombstone, which is a
 * present entry that says "deleted" (overlays need the difference to "absent").
 * Memory   keys and values are copied into the map's arena; slices given out stay valid until
 *          map_clear() or map_release(), also after the key was overwritten.
 * Threads  one. */
#ifndef CHAINFS_MAP_H
#define CHAINFS_MAP_H

#include "core/base/bytes.h"

struct map_entry {
	struct slice key, value;
	bool         tombstone;
	uint32_t     tag; /* the caller's own number: a reason, an index */
};

struct map;

struct map *map_new(void);
void   map_freep(struct map **m);
void   map_clear(struct map *m); /* empty, memory kept for reuse */
size_t map_count(const struct map *m);
size_t map_bytes(const struct map *m); /* memory held by keys and values, for bounds */

int map_put(struct map *m, struct slice key, struct slice value, uint32_t tag) MUST_CHECK;
int map_bury(struct map *m, struct slice key, uint32_t tag) MUST_CHECK; /* leaves a tombstone */

const struct map_entry *map_get(const struct map *m, struct slice key); /* NULL: absent */
const struct map_entry *map_seek(const struct map *m, struct slice key); /* first entry >= key */
const struct map_entry *map_next(const struct map *m, const struct map_entry *e);

#endif
