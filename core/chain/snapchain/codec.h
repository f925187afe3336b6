/* codec.h: how this folder reads Snapchain's bytes (proto/wire.h).
 *
 * Blocks, and the `data` of a message, come as prost writes them: strict. What a user signed as
 * `data_bytes` may be encoded in any legal way: lax. Text is checked in both. */
#ifndef CHAINFS_SNAPCHAIN_CODEC_H
#define CHAINFS_SNAPCHAIN_CODEC_H

#include "core/chain/snapchain/message.h"
#include "proto/wire.h"

extern const struct wire_rules sc_strict, sc_lax;

/* A bound for the arena that `size` bytes are decoded into. A block of nothing but empty messages,
 * which one hostile proposer could get signed, needs about 220 bytes for a byte of it and must be
 * followed; so much is given up to 256 MiB, and beyond them twice what an honest block needs. */
#define SC_ARENA_SIZE(size)                                                                    \
	((64u << 10) + MIN((size_t)(size) * 256, ((size_t)256 << 20) + (size_t)(size) * 8))

static inline struct slice sc_bytes(ProtobufCBinaryData b)
{
	return SLICE(b.data, b.len);
}

/* As sc_message_decode(), of a struct that wire_unpack() made by sc_strict. */
int sc_message_of(const Sc__Message *pb, struct arena *arena, bool verify, struct sc_message *out,
		  struct err *err) MUST_CHECK;

/* An item by itself, by its form. -EINVAL: there is no such form; -EBADMSG, -ENOMEM. */
int sc_item_unpack(uint16_t form, struct slice bytes, struct arena *arena,
		   ProtobufCMessage **out) MUST_CHECK;

/* The member of MessageData.body that is set, or NULL: message and field number in one. */
const ProtobufCFieldDescriptor *sc_body_field(const Sc__MessageData *data,
					      const ProtobufCMessage **body);

/* Sets verdict and reason of a level; always 0, so that a check can end with it. */
int sc_say(struct level_result *out, enum verdict verdict, const char *format, ...)
	PRINTF_LIKE(3, 4);

#endif
