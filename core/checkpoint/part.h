/* part.h: a store is made beside its place, as PATH.part, and gets its name when all of it is
 * there.
 *
 * Errors   -EEXIST there is something at PATH; -EBUSY another one makes a store there; what the
 *          file system says. Threads: any. */
#ifndef CHAINFS_CHECKPOINT_PART_H
#define CHAINFS_CHECKPOINT_PART_H

#include "core/base/bytes.h"
#include "core/base/err.h"

#define PART_PATH_MAX 4096

/* The name, after a look at the place. What an earlier try left there is taken away. */
int part_begin(const char *path, char part[PART_PATH_MAX], struct err *err) MUST_CHECK;
/* The store is closed: it gets its name. */
int part_place(const char *part, const char *path, struct err *err) MUST_CHECK;
/* It came to nothing: rc, with a remark where it could not be taken away. */
int part_drop(const char *part, int rc, struct err *err) MUST_CHECK;

#endif
