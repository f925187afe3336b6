/* pack.h: packs: records, or rows of the rules, one after another in the order of their keys.
 *
 * A pack is a sequence of messages of proto/checkpoint.proto, each behind its size as a varint, so
 * that any protobuf reader can take it apart:
 *
 *   Record { bytes key; bytes value; uint64 height; uint32 item; bool inner; uint32 form;
 *            uint64 time; bytes object; }
 *       value is the row without its object id, which is local to a store; object is the record's
 *       own bytes as the block (height, item) carries them
 *   Row    { bytes key; bytes value; }
 *
 * A state has one encoding: what is read is what pack_record_write() and pack_row_write() would
 * give for it (fields by number, once, none that is zero or empty, shortest varints); all else is
 * -EBADMSG.
 * Memory   slices given out borrow from the bytes read; an empty key is never written.
 * Errors   -EBADMSG: does not parse, or keys do not ascend; the sentence says where (offset).
 *          Writing: what the buf latches, -EMSGSIZE over PACK_ENTRY_MAX. */
#ifndef CHAINFS_CHECKPOINT_PACK_H
#define CHAINFS_CHECKPOINT_PACK_H

#include "core/chain/chain.h"

/* Bytes of one entry: an object as large as a block may carry, and its row. */
#define PACK_ENTRY_MAX (BLOCK_SIZE_MAX + (2u << 20))

struct pack_record {
	struct slice key, value; /* value: without the object id (chain_ops.record_split) */
	uint64_t height;
	uint32_t item;
	bool inner;
	uint16_t form;
	uint64_t time;
	struct slice object;
};

int pack_record_write(struct buf *out, const struct pack_record *r) MUST_CHECK;
int pack_row_write(struct buf *out, struct slice key, struct slice value) MUST_CHECK;

/* Reads a whole pack that lies in memory (a file that is held). */
struct pack_reader {
	struct slice bytes;
	size_t at;
	struct slice last_key;
};
#define PACK_READER(s) ((struct pack_reader){ .bytes = (s) })
/* 1, 0 at the end, negative. */
int pack_record_next(struct pack_reader *p, struct pack_record *out, struct err *err) MUST_CHECK;
int pack_row_next(struct pack_reader *p, struct slice *key, struct slice *value, struct err *err)
	MUST_CHECK;

#endif
