/* lock.h: one process at a time, and who it is.
 *
 * A lock of the open file (fcntl OFD), not of its existence: it goes with the process however that
 * ends, and the text that a killed holder left is no obstacle; one that is being ended is waited
 * for. The text is always LOCK_TEXT_MAX bytes, written in place: a full disk has room for the next
 * one.
 * Errors  -EBUSY: somebody holds it. */
#ifndef CHAINFS_STORE_LOCK_H
#define CHAINFS_STORE_LOCK_H

#include "core/base/err.h"

#define LOCK_TEXT_MAX 256

/* Takes the lock and leaves `holder` in the file. *fd holds it until lock_putp(). */
int  lock_take(const char *path, const char *holder, int *fd, struct err *err) MUST_CHECK;
void lock_putp(int *fd);
/* Who holds it: copies the text; -ENOENT when nobody does. */
int  lock_holder(const char *path, char *out, size_t out_size) MUST_CHECK;

#endif
