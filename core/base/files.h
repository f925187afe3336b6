/* files.h: files and folders as wholes.
 *
 * Errors   a negative errno; the sentence is the path and what the system says. What is over
 *          size_max is -EMSGSIZE.
 * Memory   what is read is added to the caller's buf; a file that is held is its holder's, in
 *          memory that goes back to the system as a whole.
 * Threads  any. */
#ifndef CHAINFS_FILES_H
#define CHAINFS_FILES_H

#include <dirent.h>
#include <stdio.h>

#include "core/base/bytes.h"
#include "core/base/err.h"

/* "PATH: what errno says"; returns it, negative. */
int files_error(struct err *err, const char *path);

/* What a person named: it may be a pipe. */
int files_read(const char *path, size_t size_max, struct buf *out, struct err *err) MUST_CHECK;
/* What lies in a folder that came from elsewhere, `path` as openat(2) has it: -EBADMSG when its
 * last part is a link, a pipe, a device or a folder. */
int files_read_plain(int folder, const char *path, size_t size_max, struct buf *out,
		     struct err *err) MUST_CHECK;
int files_write(int fd, struct slice bytes) MUST_CHECK; /* all of it */

#define FILES_HELD_MAX (UINT64_C(4) << 30)

struct files_held {
	struct slice bytes; /* none of an empty file */
	size_t       room;
};
#define FILES_HELD_NONE { { NULL, 0 }, 0 }
/* All of a plain file as above. -EMSGSIZE: over FILES_HELD_MAX. */
int files_hold(int folder, const char *path, struct files_held *out) MUST_CHECK;
void files_let_go(struct files_held *h);

/* Takes away what is of that name, and of a folder all that is below, as far as it goes: the first
 * error is returned. What is not there is no error; another file system is left alone (-EXDEV). */
int files_remove_tree(int folder, const char *name) MUST_CHECK;

/* The next entry: 1; 0: there are no more; negative: the others cannot be had. */
int files_next(DIR *d, const struct dirent **out) MUST_CHECK;
void files_dir_closep(DIR **d);
void files_stream_closep(FILE **f);

#endif
