#include "proto/prost.h"

static size_t count_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
	return *(const size_t *)(const void *)((const uint8_t *)m + d->quantifier_offset);
}

static const void *elements_of(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
	return *(void *const *)(const void *)((const uint8_t *)m + d->offset);
}

static bool is_scalar(const ProtobufCFieldDescriptor *d)
{
	return d->type != PROTOBUF_C_TYPE_MESSAGE && d->type != PROTOBUF_C_TYPE_BYTES;
}

static size_t scalar_step(const ProtobufCFieldDescriptor *d)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return 8;
	default:
		return 4;
	}
}

/* The varint of a scalar: negative numbers of 32 bits are extended to 64. */
static uint64_t scalar_at(const ProtobufCFieldDescriptor *d, const void *at)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_UINT32:
		return *(const uint32_t *)at;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		return (uint64_t)(int64_t)*(const int32_t *)at;
	case PROTOBUF_C_TYPE_BOOL:
		return *(const protobuf_c_boolean *)at != 0;
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return *(const uint64_t *)at;
	default:
		assert(!"a field type that prost.c does not know");
		return 0;
	}
}

/* Whether a field is the first of its oneof, where prost writes whichever member is set. */
static const ProtobufCFieldDescriptor *member_set(const ProtobufCMessage *m, unsigned first)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	unsigned offset = type->fields[first].quantifier_offset;
	uint32_t which = *(const uint32_t *)(const void *)((const uint8_t *)m + offset);

	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = &type->fields[i];

		if (!(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) || d->quantifier_offset != offset)
			continue;
		if (i < first)
			return NULL;
		if (d->id == which)
			return d;
	}
	return NULL;
}

/* The field to write at place i of the descriptor, or NULL when nothing is. */
static const ProtobufCFieldDescriptor *field_at(const ProtobufCMessage *m, unsigned i)
{
	const ProtobufCFieldDescriptor *d = &m->descriptor->fields[i];

	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return member_set(m, i);
	if (d->label == PROTOBUF_C_LABEL_REPEATED)
		return count_of(m, d) ? d : NULL;

	const void *at = (const uint8_t *)m + d->offset;

	if (d->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(ProtobufCMessage *const *)at ? d : NULL;
	if (d->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)at)->len ? d : NULL;
	return scalar_at(d, at) ? d : NULL;
}

static size_t blob_size(size_t n)
{
	return varint_size(n) + n;
}

static size_t packed_size(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *d)
{
	const uint8_t *at = elements_of(m, d);
	size_t size = 0;

	for (size_t i = 0; i < count_of(m, d); i++)
		size += varint_size(scalar_at(d, at + i * scalar_step(d)));
	return size;
}

static size_t value_size(const ProtobufCFieldDescriptor *d, const void *at)
{
	if (d->type == PROTOBUF_C_TYPE_MESSAGE)
		return blob_size(prost_size(*(ProtobufCMessage *const *)at));
	if (d->type == PROTOBUF_C_TYPE_BYTES)
		return blob_size(((const ProtobufCBinaryData *)at)->len);
	return varint_size(scalar_at(d, at));
}

static size_t value_step(const ProtobufCFieldDescriptor *d)
{
	return d->type == PROTOBUF_C_TYPE_MESSAGE ? sizeof(ProtobufCMessage *)
						  : sizeof(ProtobufCBinaryData);
}

size_t prost_size(const ProtobufCMessage *m)
{
	size_t size = 0;

	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = field_at(m, i);

		if (!d)
			continue;
		size_t key_size = varint_size((uint64_t)d->id << 3);

		if (d->label != PROTOBUF_C_LABEL_REPEATED) {
			size += key_size + value_size(d, (const uint8_t *)m + d->offset);
		} else if (is_scalar(d)) {
			size += key_size + blob_size(packed_size(m, d));
		} else {
			const uint8_t *at = elements_of(m, d);

			for (size_t n = 0; n < count_of(m, d); n++)
				size += key_size + value_size(d, at + n * value_step(d));
		}
	}
	return size;
}

static void put_value(struct buf *out, const ProtobufCFieldDescriptor *d, const void *at)
{
	buf_varint(out, (uint64_t)d->id << 3 | (is_scalar(d) ? 0 : 2));
	if (d->type == PROTOBUF_C_TYPE_MESSAGE) {
		const ProtobufCMessage *m = *(ProtobufCMessage *const *)at;

		buf_varint(out, prost_size(m));
		prost_encode(m, out);
	} else if (d->type == PROTOBUF_C_TYPE_BYTES) {
		const ProtobufCBinaryData *b = at;

		buf_blob(out, SLICE(b->data, b->len));
	} else {
		buf_varint(out, scalar_at(d, at));
	}
}

static void put_packed(struct buf *out, const ProtobufCMessage *m,
		       const ProtobufCFieldDescriptor *d)
{
	const uint8_t *at = elements_of(m, d);

	buf_varint(out, (uint64_t)d->id << 3 | 2);
	buf_varint(out, packed_size(m, d));
	for (size_t i = 0; i < count_of(m, d); i++)
		buf_varint(out, scalar_at(d, at + i * scalar_step(d)));
}

void prost_encode(const ProtobufCMessage *m, struct buf *out)
{
	for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *d = field_at(m, i);

		if (!d)
			continue;
		if (d->label != PROTOBUF_C_LABEL_REPEATED) {
			put_value(out, d, (const uint8_t *)m + d->offset);
		} else if (is_scalar(d)) {
			put_packed(out, m, d);
		} else {
			const uint8_t *at = elements_of(m, d);

			for (size_t n = 0; n < count_of(m, d); n++)
				put_value(out, d, at + n * value_step(d));
		}
	}
}
