/* room.h: what is left of the disk that a store lies on, and the reserve that a full one gives
 * back.
 *
 * The reserve is a file of STORE_RESERVE_SIZE bytes that holds nothing. While there is room it is
 * kept; a store that has to be opened on a full disk lets go of it first, since opening writes too.
 * Errors   negative errno and a sentence.
 * Threads  any; the reserve's only while the store is opened or closed. */
#ifndef CHAINFS_STORE_ROOM_H
#define CHAINFS_STORE_ROOM_H

#include "core/base/err.h"

/* What opening may write, beside the tables that are made of the databases' logs. */
#define ROOM_TO_OPEN (8u << 20)

/* Bytes that may be written below `path`; UINT64_MAX when the system does not say. */
uint64_t room_free(const char *path);
uint64_t room_free_at(int folder);
/* Bytes that opening the networks below `networks` writes at most: their logs become tables. */
uint64_t room_to_open(const char *networks);

/* Keeps the reserve of the store in `path`, or what there is of it, where `spare` bytes are left
 * beside it. -ENOSPC: there is no room for it. */
int room_reserve_keep(const char *path, uint64_t spare, struct err *err) MUST_CHECK;
int room_reserve_release(const char *path, struct err *err) MUST_CHECK;

#endif
