/* ahead.h: what was listed ahead of who reads large folders.
 *
 * The kernel asks for a listing in pieces, and for each piece the place in the database has to be
 * found again, with what lies before it in the same second and what was pruned there. So more is
 * listed at a time than was asked for, names alone, and the next requests get what is left: a part.
 * As soon as somebody goes on with a part, a thread lists the part behind it, so that who reads and
 * who lists work at the same time.
 * Keys     what a folder was asked as (answers.h), the offset to go on behind, and how it was asked.
 * Memory   AHEAD_PARTS of AHEAD_SIZE bytes at most, and those that requests under way have; nothing
 *          is left of a listing that was read to its end. One makes way that nobody came for in
 *          AHEAD_OLD_MS, or of a folder that changed since: where more are listed at once, the
 *          others are listed piece by piece, since parts that push each other out would be listed
 *          whole for every piece.
 * Threads  any; starting and stopping by one. Whoever takes a part has it alone. */
#ifndef CHAINFS_FS_AHEAD_H
#define CHAINFS_FS_AHEAD_H

#include "core/base/err.h"
#include "fs/connection/answers.h"

#define AHEAD_PARTS  8u
#define AHEAD_SIZE   ((size_t)124 << 10) /* four of 32 KiB less what does not fit into each */
#define AHEAD_OLD_MS 1000u

struct ahead;
struct ahead *ahead_new(void); /* NULL: no memory */
void ahead_freep(struct ahead **a);

struct ahead_part {
	struct asked_as of;
	uint64_t offset; /* of the entry given last */
	bool plus;       /* as READDIRPLUS has entries */
	bool taken;      /* somebody goes on with it */
	uint64_t last;   /* offset of its last entry; 0: what is behind it need not be listed */
	char *bytes;     /* owned; the entries are in [at, end) */
	size_t at, end;
	uint64_t put_ms;
};

/* Lists what comes behind part->offset: its bytes, end and last. None, where that is not to be
 * had as it was asked. */
typedef void ahead_list(void *arg, struct ahead_part *part);
/* Before the first request, and once. Without it nobody lists what is behind a part. */
int  ahead_start(struct ahead *a, ahead_list *list, void *arg, struct err *err) MUST_CHECK;
void ahead_stop(struct ahead *a); /* what is being listed is ended first; accepts any */

/* A part that is being listed is waited for. */
bool ahead_take(struct ahead *a, const struct asked_as *of, uint64_t offset, bool plus,
		struct ahead_part *out);
/* Is it worth to list ahead there now? Times are clock_mono_ms()'s. */
bool ahead_has_room(struct ahead *a, const struct asked_as *of, uint64_t now_ms);
/* Takes its bytes over. A part without entries, or without room, is released. Behind one that was
 * taken the next part is listed from now on: after the answer, so that who asked has the processor
 * that he waits on. */
void ahead_put(struct ahead *a, struct ahead_part *part, uint64_t now_ms);
void ahead_part_release(struct ahead_part *part);

/* The size of the whole entries at its beginning that fit into `room`; the part goes on behind
 * them. */
size_t ahead_cut(struct ahead_part *part, size_t room);

#endif
