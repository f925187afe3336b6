/* archive.h: a folder of recorded streams of blocks, as received: the offline source.
 *
 *     network.json                 parameters of the network
 *     blocks-0.pbs[.zst]           main shard: (varint size, message) after each other
 *     chunks-S.pbs[.zst]           shard S; other files are not ours and are left alone
 *
 * Streams ascend in height; they need not begin at 1 nor be without holes.
 * Memory   a message given out is moved to the caller; at most one is held a stream.
 * Errors   -ENOENT no such folder, -ENOTDIR, -ENODATA a folder without streams, -EBADMSG with
 *          stream, byte offset and what is wrong there (truncated, a size over BLOCK_SIZE_MAX).
 *          After an error a stream gives nothing more: sizes behind a damaged one cannot be
 *          trusted.
 * Threads  one. */
#ifndef CHAINFS_SYNC_ARCHIVE_H
#define CHAINFS_SYNC_ARCHIVE_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/chain/chain.h"

#define ARCHIVE_CONFIG_SIZE_MAX (4u << 20)

struct archive;

int  archive_open(const char *folder, struct archive **out, struct err *err) MUST_CHECK;
void archive_closep(struct archive **a);
/* The text of network.json; empty when the folder has none. Lives as long as the archive. */
struct slice archive_config(const struct archive *a);
uint64_t archive_bytes(const struct archive *a);        /* of all streams, as files */
uint64_t archive_bytes_read(const struct archive *a);   /* for progress: position in the files */
uint32_t archive_shards(const struct archive *a);       /* streams present are below this number */
bool     archive_has(const struct archive *a, uint32_t shard);

/* The next message of a shard's stream into `out` (BUF_INIT; replaced). 1 given, 0 at the end. */
int archive_next(struct archive *a, uint32_t shard, struct buf *out, struct err *err) MUST_CHECK;
/* Starts a shard's stream again from its first message. */
int archive_rewind(struct archive *a, uint32_t shard, struct err *err) MUST_CHECK;

/* A whole file of at most size_max bytes, for configuration: a person named it, so it may be a pipe. */
int archive_file_read(const char *path, size_t size_max, struct buf *out, struct err *err)
	MUST_CHECK;
/* The same of a file in a folder that came from elsewhere. -EBADMSG: a link, a fifo, a device, a folder. */
int archive_plain_read(const char *path, size_t size_max, struct buf *out, struct err *err)
	MUST_CHECK;

#endif
