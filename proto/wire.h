/* wire.h: protobuf's wire format without copies.
 *
 * A message is a sequence of fields: varint key = number << 3 | wire type, then
 *     0 varint    1 eight bytes    2 varint size, bytes    3 group, up to its 4    5 four bytes
 *
 * struct wire    walks over the fields of one message; its first fault latches, wire_done() tells.
 * wire_put_*     write fields as proto3 does: a zero and an empty bytes field are left out.
 * wire_unpack()  fills the structs that protobuf-c generates, by their descriptors. Unlike
 *                protobuf-c's own function it copies nothing: bytes fields point into the message,
 *                and each struct knows its slice of it (wire_bytes_of), which is what gets hashed.
 *
 * Two sets of rules (snapchain.md 1.1):
 *   strict   the one encoding that prost, the writer of the chains we read, would give: fields in
 *            order and once, no unknown ones, no zero written out, shortest varints, scalars
 *            packed. So nobody can change a byte without changing what it says. One liberty:
 *            members of a oneof also at the place of their own number, as other writers put them.
 *   lax      what prost reads: any order, the last of a field counts (submessages merge), unknown
 *            fields are skipped.
 * Memory   structs live in the arena, bytes in the message; both must outlive the result.
 *          The emptiest message needs about 80 bytes a byte; the bound is the arena's.
 * Errors   -EBADMSG with the path to the field; -EMSGSIZE at the arena's bound; -ENOMEM. */
#ifndef CHAINFS_PROTO_WIRE_H
#define CHAINFS_PROTO_WIRE_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "proto/arena.h"

enum wire_type {
	WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32
};

struct wire_field {
	uint32_t     number;
	uint8_t      type;  /* enum wire_type, never WIRE_GROUP_END */
	bool         shortest; /* key, value or size have no byte too many */
	uint64_t     value; /* of a varint or a fixed one */
	struct slice bytes; /* of WIRE_BYTES: the content */
	struct slice whole; /* key and all */
};

struct wire {
	struct slice rest;
	bool         failed;
};

struct wire wire_of(struct slice message);
bool wire_next(struct wire *w, struct wire_field *out); /* false at the end and after a fault */
int  wire_done(const struct wire *w) MUST_CHECK;        /* -EBADMSG after a fault */

void wire_put_varint(struct buf *out, uint32_t number, uint64_t v);       /* nothing for 0 */
void wire_put_bytes(struct buf *out, uint32_t number, struct slice v);    /* nothing for empty */
void wire_put_message(struct buf *out, uint32_t number, struct slice v);  /* an empty one too */

/* Which bytes fields are text by the chain's definition: bit n is field n. */
struct wire_text {
	const ProtobufCMessageDescriptor *message;
	uint64_t                          numbers;
};

struct wire_rules {
	bool                    strict;
	const struct wire_text *texts;
	size_t                  text_count;
};

int wire_unpack(const ProtobufCMessageDescriptor *type, struct slice message,
		const struct wire_rules *rules, struct arena *arena, ProtobufCMessage **out,
		struct err *err) MUST_CHECK;

/* The bytes that a struct made by wire_unpack(), also one inside, was read from. */
struct slice wire_bytes_of(const ProtobufCMessage *m);
/* Of what wire_unpack() gave after strict rules: no oneof stood elsewhere than prost puts it. */
bool wire_is_in_prost_order(const ProtobufCMessage *m);

#endif
