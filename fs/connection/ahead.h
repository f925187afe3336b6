/* ahead.h: what was read ahead of listings of large folders.
 *
 * The kernel asks for a listing in pieces, and for each piece the place in the database has to be
 * found again, with what lies before it in the same second and what was pruned there. So more is
 * listed at a time than was asked for, names alone, and the next requests get what is left.
 * Keys     what a folder was asked as (answers.h), the offset to go on behind, and how it was asked.
 * Memory   AHEAD_PARTS of AHEAD_SIZE bytes at most, and those that requests under way have; nothing
 *          is left of a listing that was read to its end. One makes way that nobody came for in
 *          AHEAD_OLD_MS, or of a folder that changed since: where more are listed at once, the
 *          others are listed piece by piece, since parts that push each other out would be listed
 *          whole for every piece.
 * Threads  any. Whoever takes a part has it alone. */
#ifndef CHAINFS_FS_AHEAD_H
#define CHAINFS_FS_AHEAD_H

#include "fs/connection/answers.h"

#define AHEAD_PARTS  4u
#define AHEAD_SIZE   ((size_t)128 << 10)
#define AHEAD_OLD_MS 1000u

struct ahead;
struct ahead *ahead_new(void); /* NULL: no memory */
void ahead_freep(struct ahead **a);

struct ahead_part {
	struct asked_as of;
	uint64_t offset; /* of the entry given last */
	bool plus;       /* as READDIRPLUS has entries */
	char *bytes;     /* owned; the entries are in [at, end) */
	size_t at, end;
	uint64_t put_ms;
};

bool ahead_take(struct ahead *a, const struct asked_as *of, uint64_t offset, bool plus,
		struct ahead_part *out);
/* Is it worth to list ahead there now? Times are clock_mono_ms()'s. */
bool ahead_has_room(struct ahead *a, const struct asked_as *of, uint64_t now_ms);
/* Takes its bytes over. A part without entries, or without room, is released. */
void ahead_put(struct ahead *a, struct ahead_part *part, uint64_t now_ms);
void ahead_part_release(struct ahead_part *part);

/* The size of the whole entries at its beginning that fit into `room`; the part goes on behind
 * them. */
size_t ahead_cut(struct ahead_part *part, size_t room);

#endif
