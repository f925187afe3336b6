/* xattr.h: what a place says of itself beside its bytes: user.chain.*, so that copies carry it.
 *
 *     user.chain.hash     of a block its hash, of an item or record its own; of a state or an
 *                         account the root of its records in this context
 *     user.chain.height   of the block; of the block that carries an item or record; that a state
 *                         is of
 *     user.chain.shard    whose height that is
 *     user.chain.parent   of a block and its files: the hash of the block before it
 *     user.chain.context  legacy or hyper; both, for a file that is one inode in the two
 *     user.chain.level    the last verification level up to which all of that block's are ok
 *
 * Values are text without a final newline, hashes lower-case hex. What a place has not, it does not
 * list. Values that settle are of the view that is asked with, and the kernel keeps none.
 *
 * Errors   -EOPNOTSUPP for a name outside user.chain.* (coreutils remember that for the whole
 *          device, and ask no more); -ENODATA for one inside that the place has not.
 * Threads  any. No FUSE here. */
#ifndef CHAINFS_FS_XATTR_H
#define CHAINFS_FS_XATTR_H

#include "fs/tree/tree.h"

#define XATTR_TEXT_MAX 4096u /* of a value, and of a list of names */

int xattr_get(const struct view *view, const struct node *n, const char *name, struct buf *out,
	      struct err *err) MUST_CHECK;
/* Names, each with a final NUL byte. */
int xattr_list(const struct view *view, const struct node *n, struct buf *out, struct err *err)
	MUST_CHECK;

#endif
