/* err.h: the sentence that travels with a negative errno.
 *
 * A function that can fail returns 0 or a count, or a negative errno, and takes a struct err as
 * its last argument; NULL is allowed and means that nobody will read the sentence.
 *
 *     if (rc < 0)
 *             return err_note(err, rc, "shard %u", shard);     "shard 3: node 7f…: hash differs"
 *
 * Memory   the text lies in the struct; it is cut at its end, never overrun.
 * Threads  a struct err belongs to one call chain. */
#ifndef CHAINFS_ERR_H
#define CHAINFS_ERR_H

#include "core/base/base.h"

#define ERR_TEXT_SIZE 512

struct err {
	char text[ERR_TEXT_SIZE];
};

#define ERR_INIT { "" }

/* Sets the sentence and returns `code`, which is a negative errno. */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the sentence that is there, or before strerror(code) if there is none. */
int err_note(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The sentence, or strerror(code) when nobody wrote one; never NULL. Valid as long as err. */
const char *err_text(const struct err *err, int code);

#endif
