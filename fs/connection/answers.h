/* answers.h: names that were looked up lately, and where they lead.
 *
 * A cold kernel asks for every name by itself, and most of what it asks for does not change: the
 * answer to a name that neither settles nor grows, as of one view, is the same until a newer view.
 * So an answer is kept with what it is as of, and is none any more once that has moved:
 *   ino, generation   the folder that was asked; the generation tells numbers apart that were given
 *                     twice
 *   stamp             how many publications its view knows of; 0 where the folder is of one view
 * Only children in the scope of their folder, or of an object, are kept: whoever has entered the
 * folder's slot holds all that they need.
 * Memory   a table of fixed size, some megabytes once all of it was used; an older answer makes way
 *          for a newer one. Names of ANSWER_NAME_SIZE bytes or more are not kept.
 * Threads  any. */
#ifndef CHAINFS_FS_ANSWERS_H
#define CHAINFS_FS_ANSWERS_H

#include "fs/tree/tree.h"

#define ANSWER_NAME_SIZE 64

struct answers;
struct answers *answers_new(void); /* NULL: no memory */
void answers_freep(struct answers **a);

struct asked_as {
	uint64_t ino, generation, stamp;
};

struct answer {
	uint64_t ino, size, hole_bytes, mtime;
	uint8_t type; /* enum node_type */
};

bool answers_get(struct answers *a, const struct asked_as *of, const char *name,
		 struct answer *out);
void answers_add(struct answers *a, const struct asked_as *of, const char *name,
		 const struct answer *answer);

#endif
