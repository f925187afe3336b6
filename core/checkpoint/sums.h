/* sums.h: what the files of a checkpoint below a store were when it was built, all of them: also
 * those that SHA256SUMS does not cover because they are this node's own (evidence/, verdict), and
 * SHA256SUMS itself.
 *
 *     checkpoints/.NAME.sums     lines as in SHA256SUMS, then the SHA-256 of these lines
 *
 * A folder that has none, or one that fails its own sum, is held against its SHA256SUMS.
 * Threads  any. */
#ifndef CHAINFS_CHECKPOINT_SUMS_H
#define CHAINFS_CHECKPOINT_SUMS_H

#include <stdatomic.h>

#include "core/checkpoint/folder.h"
#include "core/store/network.h"

/* `parent`: a descriptor of the folder of checkpoints, here and below. */
/* Of the files in `folder`, for the checkpoint whose name it has or gets. */
int checkpoint_sums_make(int parent, const char *folder, const char *name, struct err *err)
	MUST_CHECK;
void checkpoint_sums_remove(int parent, const char *name);
/* The lines: 1; 0: there are none; -EBADMSG: they fail their sum. */
int checkpoint_sums_read(int parent, const char *name, struct buf *out) MUST_CHECK;
/* A line of them: 1, 0 at the end. *at begins as 0. */
int  checkpoint_sums_next(struct slice lines, size_t *at, char path[CHECKPOINT_PATH_MAX],
			  uint8_t sum[HASH_SIZE]) MUST_CHECK;
/* Is the file `fd`, of this path in the checkpoint, what it was? Read once for as long as it is not
 * changed, then remembered. -EBADMSG with a sentence; 0 also when nothing tells. */
int checkpoint_sums_check(int parent, const char *name, const char *path, int fd, struct err *err)
	MUST_CHECK;
/* Tells of a file of a checkpoint below the store that is damaged, once (network_damaged_file). Not
 * of one that has been taken away meanwhile. */
void checkpoint_damaged(struct network *n, const char *name, const char *path, int fd,
			const char *sentence);
/* Builds a damaged checkpoint again and puts it into the place of the other at once. `folder`: of
 * all checkpoints. -ENODATA: its state cannot be read any more, and nothing has changed. */
int checkpoint_mend(struct network *n, const char *folder, const char *name, uint64_t height,
		    const atomic_bool *stop, struct err *err) MUST_CHECK;
#define CHECKPOINT_MEND_FOLDER ".mend" /* in it; what a crash leaves of it is worth nothing */
void checkpoint_mend_sweep(const char *folder); /* takes that away */

#endif
