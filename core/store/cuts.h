/* cuts.h: what is cut out of a frame's bytes before they are packed, and put back by who reads it.
 *
 * A hash is as random as can be, packs not at all, and of what a block holds is told again by what
 * it is of: leaving out those of messages saves a tenth. Reading puts them back. A signature is as
 * random and nothing tells it, but what is left without them packs better, by two hundredths of
 * the whole, and in half the time: signatures stand apart.
 *
 *     apart   the bytes that stand apart, in their order
 *     left    size of the list of cuts as a varint ‖ the list ‖ the other bytes
 *     a cut, all varints, in the order of the bytes, counted from the end of the last one or from
 *     the beginning:
 *       0      the hash of bytes before it: how far to those; from them to the hash
 *       1      … behind it: how far to the hash; from its end to those
 *              (how many they are is told by the varint in front of them)
 *       2, 3   the same, and how many they are
 *       4 + n  n bytes that stand apart: how far to them
 *
 * Of older frames hashes alone are left out. Their list says of each, ascending: bytes since the
 * last one; how far behind its place what it is the hash of begins, twice, or one less than twice
 * how far before; bytes that it is the hash of.
 * Memory   a struct cuts owns what cuts_make() wrote, until the next call or its release.
 * Errors   -ENOMEM. What comes from a file and is no such list makes cuts_put_back() say false.
 * Threads  a struct cuts belongs to one at a time. */
#ifndef CHAINFS_STORE_CUTS_H
#define CHAINFS_STORE_CUTS_H

#include "core/base/bytes.h"

/* At `at` stand the first 20 bytes of the BLAKE3 of [from, from + size); or, where `from` is `at`,
 * `size` bytes that nothing packs. */
struct told {
	uint32_t at, from, size;
};

struct cuts {
	struct buf apart, left;
	struct buf list, kept; /* scratch */
};

void cuts_init(struct cuts *c, size_t size_max); /* of the bytes that are cut */
void cuts_release(struct cuts *c);

/* 1: c->apart and c->left are what `bytes` are without what is told; 0: nothing is cut out. `told`:
 * ascending by `at`, each with what it is the hash of apart from the others; those that are not, or
 * that do not come out as told, are left as they are. */
int  cuts_make(struct cuts *c, struct slice bytes, const struct told *told,
	       size_t told_count) MUST_CHECK;

/* Exactly `size` bytes into `out`, as they were. False: nothing was ever cut so, and what `out` has
 * is of no use. */
bool cuts_put_back(struct slice apart, struct slice left, uint8_t *out, size_t size) MUST_CHECK;
bool cuts_put_back_older(struct slice left, uint8_t *out, size_t size) MUST_CHECK;

#endif
