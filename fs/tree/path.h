/* path.h: the parts of paths that are numbers: how they are written, and what is read as one.
 *
 * Heights, accounts and times have 10 digits or more, items 6. Written names are padded; where a
 * person types one, any number of digits is read (path_number). Ranges are FIRST-LAST, both
 * included.
 * Errors  -ENOENT: the name is not of that kind. */
#ifndef CHAINFS_FS_PATH_H
#define CHAINFS_FS_PATH_H

#include "core/sync/gaps.h"

#define HEIGHT_DIGITS 10
#define ITEM_DIGITS   6
#define PATH_NAME_SIZE 64

/* The whole text is a decimal number. */
int path_number(const char *text, size_t size, uint64_t *out) MUST_CHECK;
/* … written as we write it: exactly `digits` digits, or more without a zero in front. */
int path_padded(const char *text, size_t size, size_t digits, uint64_t *out) MUST_CHECK;
/* FIRST-LAST as we write it. */
int path_range(const char *text, size_t size, struct range *out) MUST_CHECK;
/* … which is one of the ranges of RANGE_SIZE heights: its number. */
int path_block_range(const char *text, size_t size, uint64_t *number) MUST_CHECK;
/* Two lower-case hex digits. */
int path_byte(const char *text, size_t size, unsigned *out) MUST_CHECK;
/* True, and *size what is before it, when the name ends with `suffix` behind something. */
bool path_ends(const char *name, const char *suffix, size_t *size);

void path_height_name(uint64_t height, char out[PATH_NAME_SIZE]);
void path_range_name(struct range r, char out[PATH_NAME_SIZE]);
/* The heights of a range of RANGE_SIZE; 0, in the first one, is no height. */
struct range path_range_of(uint64_t number);

#endif
