/* files.h: files and folders as wholes.
 *
 * Errors   a negative errno; the sentence is the path and what the system says. What is over
 *          size_max is -EMSGSIZE, what is mapped and no plain file -EBADMSG.
 * Memory   what is read is added to the caller's buf. A mapping is its holder's, and a file that is
 *          cut while it is mapped ends the process.
 * Threads  any. */
#ifndef CHAINFS_FILES_H
#define CHAINFS_FILES_H

#include <dirent.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

/* "PATH: what errno says"; returns it, negative. */
int files_error(struct err *err, const char *path);

int files_read(const char *path, size_t size_max, struct buf *out, struct err *err) MUST_CHECK;
/* The same of a name in an open folder. A link is not followed. */
int files_read_at(int folder, const char *name, size_t size_max, struct buf *out, struct err *err)
	MUST_CHECK;
int files_write(int fd, struct slice bytes) MUST_CHECK; /* all of it */

struct files_map {
	struct slice bytes; /* none of an empty file */
};
/* `path` as openat(2) has it. The last part of it may not be a link. */
int files_map(int folder, const char *path, struct files_map *out) MUST_CHECK;
void files_unmap(struct files_map *m);

/* Takes away what is of that name, and of a folder all that is below, as far as it goes: the first
 * error is returned. What is not there is no error; another file system is left alone (-EXDEV). */
int files_remove_tree(int folder, const char *name) MUST_CHECK;

void files_dir_closep(DIR **d);
void files_stream_closep(FILE **f);

#endif
