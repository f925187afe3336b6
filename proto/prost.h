/* prost.h: encodes a struct of protobuf-c as prost does, byte for byte (snapchain.md 1.1).
 *
 * Fields by ascending number, defaults left out, repeated scalars packed, and a oneof at the place
 * of its lowest number whatever member is set: the last is where protobuf-c's own encoder differs.
 * Used where received bytes do not give the hash they should, and to compare two forms of a
 * message. Unknown fields are not written.
 * Errors  latch in the buf. */
#ifndef CHAINFS_PROTO_PROST_H
#define CHAINFS_PROTO_PROST_H

#include <protobuf-c/protobuf-c.h>

#include "core/base/bytes.h"

size_t prost_size(const ProtobufCMessage *m);
void   prost_encode(const ProtobufCMessage *m, struct buf *out);

#endif
