/* ends.h: where listings of folders that do not change ended lately.
 *
 * The kernel asks once more behind the last entry of every listing. For the small folders that
 * there are the most of, finding out again that nothing follows costs as much as the listing did.
 * Memory   a table of fixed size; a newer end takes the place of an older one.
 * Threads  any. */
#ifndef CHAINFS_FS_ENDS_H
#define CHAINFS_FS_ENDS_H

#include "core/base/base.h"

struct ends;
struct ends *ends_new(void); /* NULL: no memory */
void ends_freep(struct ends **e);

/* Nothing comes behind `offset` in the folder of this number. The generation tells numbers apart
 * that were given twice. */
void ends_add(struct ends *e, uint64_t ino, uint64_t generation, uint64_t offset);
bool ends_has(struct ends *e, uint64_t ino, uint64_t generation, uint64_t offset);

#endif
