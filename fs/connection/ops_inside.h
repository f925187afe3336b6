/* ops_inside.h: what the files of the main tree's requests share. ops.c has the table, opens and
 * bytes; ops_names.c lookups, attributes and what is forgotten; ops_listing.c listings.
 *
 * A handler answers its request exactly once, or parks it (fetch.h).
 * Threads  those of the transport, many at a time. */
#ifndef CHAINFS_FS_OPS_INSIDE_H
#define CHAINFS_FS_OPS_INSIDE_H

#include "fs/connection/known.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

/* Who serves it; counts the request. */
struct serving *ops_serving(fuse_req_t req);
/* Answers with an error, and traces why. */
void ops_refuse(fuse_req_t req, const char *request, uint64_t ino, int rc, const struct err *err);
/* What grows was answered from a view; where a newer one is out by now, the notifier may have
 * passed before this folder was remembered. */
void ops_answered(const struct asked *a, bool grows);

/* ---- ops_names.c ---- */
void ops_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ops_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void ops_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void ops_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

/* ---- ops_listing.c ---- */
void ops_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void ops_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		     struct fuse_file_info *fi);

#endif
