/* message_lab.h: messages as sources give them, taken apart and spoiled field by field. */
#ifndef CHAINFS_TESTS_MESSAGE_LAB_H
#define CHAINFS_TESTS_MESSAGE_LAB_H

#include "core/base/bytes.h"

/* Flips the last byte of a top-level field of a message. False: it has no such field. */
static inline bool lab_spoil(struct buf *message, uint64_t field)
{
	struct rd r = rd_of(buf_slice(message));

	while (rd_left(&r)) {
		uint64_t key = rd_varint(&r);
		struct slice body = SLICE_EMPTY;

		if ((key & 7) == 0)
			(void)rd_varint(&r);
		else
			body = rd_blob(&r);
		if (!rd_ok(&r))
			return false;
		if (key >> 3 == field && body.n) {
			message->p[body.p + body.n - 1 - message->p] ^= 1;
			return true;
		}
	}
	return false;
}

/* The first top-level field of that number; SLICE_EMPTY: there is none. */
static inline struct slice lab_field(struct slice message, uint64_t field)
{
	struct rd r = rd_of(message);

	while (rd_left(&r)) {
		const uint8_t *from = message.p + (message.n - rd_left(&r));
		uint64_t key = rd_varint(&r);

		if ((key & 7) == 0)
			(void)rd_varint(&r);
		else
			(void)rd_blob(&r);
		if (!rd_ok(&r))
			break;
		if (key >> 3 == field)
			return SLICE(from, (size_t)(message.p + (message.n - rd_left(&r)) - from));
	}
	return SLICE_EMPTY;
}

#endif
