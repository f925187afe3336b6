/* ops.h: the kernel's requests to the main tree, answered with what tree.h says. */
#ifndef CHAINFS_FS_OPS_H
#define CHAINFS_FS_OPS_H

#include "fs/connection/known.h"

struct fuse_lowlevel_ops;
/* User data of the session: a struct serving. */
extern const struct fuse_lowlevel_ops serving_ops;
/* For ahead_start(), whose `arg` is the struct serving then. */
void ops_list_ahead(void *arg, struct ahead_part *part);

#endif
