/* write.h: writes the folder of a checkpoint: files with their sums, and the name when all is
 * there.
 *
 * Files go to PARENT/NAME.part, each is synced when it is closed; folder_writer_end() writes
 * SHA256SUMS of those that are listed, syncs the folders and gives the folder its name. What was
 * not ended is taken away by folder_writer_freep(), or by the next folder_writer_new() of that name
 * after a crash.
 * Errors   those of the file system, with the path.
 * Threads  a writer and its files belong to one. Memory: a buffer a file that is open, the sums. */
#ifndef CHAINFS_CHECKPOINT_WRITE_H
#define CHAINFS_CHECKPOINT_WRITE_H

#include "core/checkpoint/folder.h"

struct folder_writer;
struct folder_file; /* one that is being written */

/* 1: a folder of that name is complete already, and nothing was begun. */
int folder_writer_new(const char *parent, const char *name, struct folder_writer **out,
		      struct err *err) MUST_CHECK;
/* It is one of a store: before it has its name, its sums (sums.h) lie beside that. */
void folder_writer_seal(struct folder_writer *w);
int folder_writer_end(struct folder_writer *w, struct err *err) MUST_CHECK;
void folder_writer_freep(struct folder_writer **w);
uint64_t folder_writer_bytes(const struct folder_writer *w); /* of all files so far */

/* listed: named by SHA256SUMS. Folders of `path` are made as they are needed. */
int folder_file_new(struct folder_writer *w, const char *path, bool listed,
		    struct folder_file **out, struct err *err) MUST_CHECK;
/* Where to append; folder_file_flush() is to be called after each entry, and writes when it
 * pays. */
struct buf *folder_file_buf(struct folder_file *f);
int folder_file_flush(struct folder_file *f, struct err *err) MUST_CHECK;
int folder_file_end(struct folder_file **f, struct err *err) MUST_CHECK;
void folder_file_freep(struct folder_file **f); /* of one that was not ended */

/* A whole file at once. */
int folder_file_put(struct folder_writer *w, const char *path, bool listed, struct slice bytes,
		    struct err *err) MUST_CHECK;

#endif
