/* archive_writer.h: writes the folder that archive.h reads: blocks-0.pbs, chunks-S.pbs and
 * network.json.
 *
 * Messages of a shard are appended in the order given; what is written is (varint size, message).
 * network.json is written last, by archive_writer_finish(): a folder without it is not complete.
 * Memory   a buffer of fixed size a shard; a message larger than that is passed through.
 * Errors   -ENOTEMPTY when the folder holds streams or a network.json already, and nothing is
 *          written then; otherwise what the file system says. After an error the writer is of no
 *          use.
 * Threads  one. */
#ifndef CHAINFS_SYNC_ARCHIVE_WRITER_H
#define CHAINFS_SYNC_ARCHIVE_WRITER_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/chain/chain.h"

struct archive_writer;

/* Makes the folder when there is none. compress: the streams are *.pbs.zst. */
int  archive_writer_open(const char *folder, uint32_t shard_count, bool compress,
			 struct archive_writer **out, struct err *err) MUST_CHECK;
int  archive_writer_add(struct archive_writer *w, uint32_t shard, struct slice message,
			struct err *err) MUST_CHECK;
uint64_t archive_writer_bytes(const struct archive_writer *w); /* messages so far, unpacked */
/* Writes what is buffered and network.json, syncs all of it. Only closing may follow. */
int  archive_writer_finish(struct archive_writer *w, struct slice network_json,
			   struct err *err) MUST_CHECK;
/* Without finish: leaves incomplete streams behind. */
void archive_writer_closep(struct archive_writer **w);

#endif
