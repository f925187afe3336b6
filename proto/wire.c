#include "proto/wire.h"

/* How deep groups may nest in unknown fields; prost's own limit. */
#define DEPTH_MAX 100

/* ---- fields ---- */

struct wire wire_of(struct slice message)
{
	return (struct wire){ .rest = message };
}

static bool get_varint(struct slice *in, uint64_t *out, bool *shortest)
{
	uint64_t v = 0;
	size_t n = MIN(in->n, (size_t)10);

	for (size_t i = 0; i < n; i++) {
		uint8_t b = in->p[i];

		v |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b & 0x80)
			continue;
		/* The tenth byte holds the top bit alone. */
		if (i == 9 && b > 1)
			return false;
		if (b == 0 && i > 0)
			*shortest = false;
		in->p += i + 1;
		in->n -= i + 1;
		*out = v;
		return true;
	}
	return false;
}

static bool get_fixed(struct slice *in, size_t size, uint64_t *out)
{
	if (in->n < size)
		return false;
	*out = 0;
	for (size_t i = 0; i < size; i++)
		*out |= (uint64_t)in->p[i] << (8 * i);
	in->p += size;
	in->n -= size;
	return true;
}

static bool get_key(struct slice *in, struct wire_field *f)
{
	uint64_t key;

	if (!get_varint(in, &key, &f->shortest) || key > UINT32_MAX)
		return false;
	f->number = (uint32_t)key >> 3;
	f->type = key & 7;
	return f->number != 0;
}

/* What follows a key. A group's content is walked through to find its end. */
static bool get_value(struct slice *in, struct wire_field *f, unsigned depth)
{
	uint64_t size;

	if (depth == 0)
		return false;
	switch (f->type) {
	case WIRE_VARINT:
		return get_varint(in, &f->value, &f->shortest);
	case WIRE_FIXED64:
		return get_fixed(in, 8, &f->value);
	case WIRE_FIXED32:
		return get_fixed(in, 4, &f->value);
	case WIRE_BYTES:
		if (!get_varint(in, &size, &f->shortest) || size > in->n)
			return false;
		f->bytes = SLICE(in->p, (size_t)size);
		in->p += size;
		in->n -= size;
		return true;
	case WIRE_GROUP:
		for (;;) {
			struct wire_field inner = { .shortest = true };

			if (!get_key(in, &inner))
				return false;
			if (inner.type == WIRE_GROUP_END)
				return inner.number == f->number;
			if (!get_value(in, &inner, depth - 1))
				return false;
		}
	default:
		return false;
	}
}

bool wire_next(struct wire *w, struct wire_field *out)
{
	const uint8_t *start = w->rest.p;

	if (w->failed || w->rest.n == 0)
		return false;
	*out = (struct wire_field){ .shortest = true };
	if (!get_key(&w->rest, out) || !get_value(&w->rest, out, DEPTH_MAX)) {
		w->failed = true;
		return false;
	}
	out->whole = SLICE(start, (size_t)(w->rest.p - start));
	return true;
}

int wire_done(const struct wire *w)
{
	return w->failed ? -EBADMSG : 0;
}

static void put_key(struct buf *out, uint32_t number, enum wire_type type)
{
	buf_varint(out, (uint64_t)number << 3 | type);
}

void wire_put_varint(struct buf *out, uint32_t number, uint64_t v)
{
	if (v == 0)
		return;
	put_key(out, number, WIRE_VARINT);
	buf_varint(out, v);
}

void wire_put_bytes(struct buf *out, uint32_t number, struct slice v)
{
	if (v.n > 0)
		wire_put_message(out, number, v);
}

void wire_put_message(struct buf *out, uint32_t number, struct slice v)
{
	put_key(out, number, WIRE_BYTES);
	buf_blob(out, v);
}

/* ---- structs ---- */

/* A struct made here lies behind the slice that it was read from. */
struct unpacked {
	struct slice     bytes;
	bool             prost_order; /* of the outermost: its own and all inside */
	ProtobufCMessage message;
};

struct unpack {
	const struct wire_rules *rules;
	struct arena            *arena;
	struct err              *err;
	bool                     other_order;
};

/* Where the fields of one message stand: prost writes a oneof at the place of its lowest number,
 * other writers each member at its own. Strict needs one of the two all through. */
struct order {
	uint32_t last_number, last_place;
	bool     by_place, by_number;
};

static struct unpacked *unpacked_of(const ProtobufCMessage *m)
{
	uintptr_t at = (uintptr_t)m - offsetof(struct unpacked, message);

	return (struct unpacked *)at;
}

struct slice wire_bytes_of(const ProtobufCMessage *m)
{
	return unpacked_of(m)->bytes;
}

bool wire_is_in_prost_order(const ProtobufCMessage *m)
{
	return unpacked_of(m)->prost_order;
}

static int no_room(const struct unpack *u)
{
	if (arena_full(u->arena))
		return err_set(u->err, -EMSGSIZE, "needs more memory than its size allows");
	return err_set(u->err, -ENOMEM, "no memory");
}

static ProtobufCMessage *new_message(struct unpack *u, const ProtobufCMessageDescriptor *type)
{
	struct unpacked *n =
		arena_alloc(u->arena, offsetof(struct unpacked, message) + type->sizeof_message);

	if (!n)
		return NULL;
	type->message_init(&n->message);
	return &n->message;
}

/* Fields come in order as a rule, so the search starts where the one before was found. */
static const ProtobufCFieldDescriptor *find(const ProtobufCMessageDescriptor *type,
					    uint32_t number, unsigned *at)
{
	for (unsigned tried = 0; tried < type->n_fields; tried++) {
		if (type->fields[*at].id == number)
			return &type->fields[*at];
		*at = *at + 1 < type->n_fields ? *at + 1 : 0;
	}
	return NULL;
}

static uint64_t texts_of(const struct wire_rules *rules, const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < rules->text_count; i++)
		if (rules->texts[i].message == type)
			return rules->texts[i].numbers;
	return 0;
}

static uint32_t place_of(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *d)
{
	if (!(d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
		return d->id;
	for (unsigned i = 0; i < type->n_fields; i++)
		if ((type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
		    type->fields[i].quantifier_offset == d->quantifier_offset)
			return type->fields[i].id;
	return d->id;
}

static bool is_scalar(const ProtobufCFieldDescriptor *d)
{
	return d->type != PROTOBUF_C_TYPE_MESSAGE && d->type != PROTOBUF_C_TYPE_BYTES;
}

static bool in_order(struct order *o, const ProtobufCMessageDescriptor *type,
		     const ProtobufCFieldDescriptor *d)
{
	uint32_t place = place_of(type, d);
	/* Scalars are packed into one field, so only others come again. */
	bool again =
		d->id == o->last_number && d->label == PROTOBUF_C_LABEL_REPEATED && !is_scalar(d);

	if (!again && place <= o->last_place)
		o->by_place = false;
	if (!again && d->id <= o->last_number)
		o->by_number = false;
	o->last_number = d->id;
	o->last_place = place;
	return o->by_place || o->by_number;
}

static size_t element_size(const ProtobufCFieldDescriptor *d)
{
	switch (d->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_ENUM:
		return 4;
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_UINT64:
		return 8;
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(ProtobufCMessage *);
	default:
		/* Our .proto files have no other types; a mistake of ours, not of a message. */
		assert(!"a field type that wire.c does not know");
		return 0;
	}
}

static int scalar(const struct unpack *u, const ProtobufCFieldDescriptor *d, uint64_t v, void *at)
{
	bool fits = true;

	switch (d->type) {
	case PROTOBUF_C_TYPE_UINT32:
		fits = v <= UINT32_MAX;
		*(uint32_t *)at = (uint32_t)v;
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_ENUM:
		fits = (int64_t)v == (int32_t)v;
		*(int32_t *)at = (int32_t)v;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		fits = v <= 1;
		*(protobuf_c_boolean *)at = v != 0;
		break;
	default:
		*(uint64_t *)at = v;
		break;
	}
	if (!fits && u->rules->strict)
		return err_set(u->err, -EBADMSG, "a number too large for its field");
	return 0;
}

/* Room for `more` elements behind the n there are. The capacity is not stored: it is n rounded up
 * to a power of two, at least 4. */
static size_t capacity_of(size_t n)
{
	size_t cap = n ? 4 : 0;

	while (cap < n)
		cap *= 2;
	return cap;
}

static void *add_elements(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
			  size_t more)
{
	size_t *n = (void *)((uint8_t *)m + d->quantifier_offset);
	uint8_t **elements = (void *)((uint8_t *)m + d->offset);
	size_t size = element_size(d);

	if (*n + more > capacity_of(*n)) {
		uint8_t *grown = arena_alloc(u->arena, capacity_of(*n + more) * size);

		if (!grown)
			return NULL;
		if (*n)
			memcpy(grown, *elements, *n * size);
		*elements = grown;
	}
	void *at = *elements + *n * size;

	*n += more;
	return at;
}

static int add_packed(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
		      struct slice packed)
{
	size_t count = 0, size = element_size(d);
	bool shortest = true;

	for (size_t i = 0; i < packed.n; i++)
		count += !(packed.p[i] & 0x80);
	if (packed.n == 0)
		return u->rules->strict ? err_set(u->err, -EBADMSG, "written though empty") : 0;
	if (count == 0)
		return err_set(u->err, -EBADMSG, "does not parse");
	uint8_t *at = add_elements(u, m, d, count);

	if (!at)
		return no_room(u);
	for (; packed.n > 0; at += size) {
		uint64_t v;

		if (!get_varint(&packed, &v, &shortest))
			return err_set(u->err, -EBADMSG, "does not parse");
		int rc = scalar(u, d, v, at);

		if (rc < 0)
			return rc;
	}
	if (!shortest && u->rules->strict)
		return err_set(u->err, -EBADMSG, "not in the shortest form");
	return 0;
}

static int unpack_into(struct unpack *u, ProtobufCMessage *m, struct slice in);

static int put_message(struct unpack *u, const ProtobufCFieldDescriptor *d, struct slice bytes,
		       ProtobufCMessage **at)
{
	/* A submessage that comes again is read on top of what is there, as prost merges. */
	if (!*at)
		*at = new_message(u, d->descriptor);
	if (!*at)
		return no_room(u);
	return unpack_into(u, *at, bytes);
}

static int put_value(struct unpack *u, const ProtobufCFieldDescriptor *d,
		     const struct wire_field *f, bool is_text, void *at)
{
	if (f->type != (is_scalar(d) ? WIRE_VARINT : WIRE_BYTES))
		return err_set(u->err, -EBADMSG, "of another wire type");
	if (d->type == PROTOBUF_C_TYPE_MESSAGE)
		return put_message(u, d, f->bytes, at);
	if (d->type != PROTOBUF_C_TYPE_BYTES)
		return scalar(u, d, f->value, at);
	if (is_text && !utf8_valid(f->bytes))
		return err_set(u->err, -EBADMSG, "not UTF-8");
	*(ProtobufCBinaryData *)at = (ProtobufCBinaryData){
		.len = f->bytes.n,
		.data = (uint8_t *)(uintptr_t)f->bytes.p,
	};
	return 0;
}

static bool is_default(const ProtobufCFieldDescriptor *d, const struct wire_field *f)
{
	if (d->type == PROTOBUF_C_TYPE_BYTES)
		return f->type == WIRE_BYTES && f->bytes.n == 0;
	return is_scalar(d) && f->type == WIRE_VARINT && f->value == 0;
}

static int put_field(struct unpack *u, ProtobufCMessage *m, const ProtobufCFieldDescriptor *d,
		     const struct wire_field *f, bool is_text)
{
	void *at = (uint8_t *)m + d->offset;

	if (d->label == PROTOBUF_C_LABEL_REPEATED) {
		if (is_scalar(d) && f->type == WIRE_BYTES)
			return add_packed(u, m, d, f->bytes);
		if (is_scalar(d) && u->rules->strict)
			return err_set(u->err, -EBADMSG, "not packed");
		at = add_elements(u, m, d, 1);
		if (!at)
			return no_room(u);
		if (d->type == PROTOBUF_C_TYPE_MESSAGE)
			*(ProtobufCMessage **)at = NULL;
		return put_value(u, d, f, is_text, at);
	}
	if (d->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
		uint32_t *which = (void *)((uint8_t *)m + d->quantifier_offset);

		if (*which && u->rules->strict)
			return err_set(u->err, -EBADMSG, "a second choice");
		if (*which != d->id && d->type == PROTOBUF_C_TYPE_MESSAGE)
			*(ProtobufCMessage **)at = NULL;
		*which = d->id;
	} else if (u->rules->strict && is_default(d, f)) {
		return err_set(u->err, -EBADMSG, "written though empty");
	}
	return put_value(u, d, f, is_text, at);
}

static int note_field(struct unpack *u, int code, const ProtobufCMessage *m,
		      const ProtobufCFieldDescriptor *d)
{
	if (d->label != PROTOBUF_C_LABEL_REPEATED)
		return err_note(u->err, code, "%s", d->name);
	size_t n = *(const size_t *)(const void *)((const uint8_t *)m + d->quantifier_offset);

	return err_note(u->err, code, "%s[%zu]", d->name, n ? n - 1 : 0);
}

static int unpack_into(struct unpack *u, ProtobufCMessage *m, struct slice in)
{
	const ProtobufCMessageDescriptor *type = m->descriptor;
	const bool strict = u->rules->strict;
	const uint64_t texts = texts_of(u->rules, type);
	struct order order = { .by_place = true, .by_number = true };
	struct wire w = wire_of(in);
	struct wire_field f;
	unsigned at = 0;

	unpacked_of(m)->bytes = in;
	while (wire_next(&w, &f)) {
		const ProtobufCFieldDescriptor *d = find(type, f.number, &at);
		int rc = 0;

		if (!d && !strict)
			continue;
		if (!d)
			return err_set(u->err, -EBADMSG, "field %" PRIu32 " is unknown", f.number);
		if (strict && !f.shortest)
			rc = err_set(u->err, -EBADMSG, "not in the shortest form");
		else if (strict && !in_order(&order, type, d))
			rc = err_set(u->err, -EBADMSG, "twice or out of order");
		if (rc == 0)
			rc = put_field(u, m, d, &f, f.number < 64 && (texts >> f.number & 1));
		if (rc < 0)
			return note_field(u, rc, m, d);
	}
	if (wire_done(&w) < 0)
		return err_set(u->err, -EBADMSG, "does not parse");
	u->other_order |= !order.by_place;
	return 0;
}

int wire_unpack(const ProtobufCMessageDescriptor *type, struct slice message,
		const struct wire_rules *rules, struct arena *arena, ProtobufCMessage **out,
		struct err *err)
{
	struct unpack u = { .rules = rules, .arena = arena, .err = err };
	ProtobufCMessage *m = new_message(&u, type);

	if (!m)
		return no_room(&u);
	int rc = unpack_into(&u, m, message);

	if (rc < 0)
		return rc;
	unpacked_of(m)->prost_order = !u.other_order;
	*out = m;
	return 0;
}
