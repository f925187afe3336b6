#include "core/checkpoint/pack.h"

#include "proto/wire.h"

/* Numbers of the fields (proto/checkpoint.proto). */
enum {
	RECORD_KEY = 1,
	RECORD_VALUE,
	RECORD_HEIGHT,
	RECORD_ITEM,
	RECORD_INNER,
	RECORD_FORM,
	RECORD_TIME,
	RECORD_OBJECT,
	RECORD_END
};
enum { ROW_KEY = 1, ROW_VALUE, ROW_END };

/* ---- writing ---- */

static size_t bytes_size(struct slice s)
{
	return s.n ? 1 + varint_size(s.n) + s.n : 0;
}

static size_t number_size(uint64_t v)
{
	return v ? 1 + varint_size(v) : 0;
}

/* Room for an entry of that size, and the size before it. */
static int begin(struct buf *out, size_t size)
{
	if (size > PACK_ENTRY_MAX)
		return -EMSGSIZE;
	int rc = buf_reserve(out, varint_size(size) + size);

	if (rc == 0)
		buf_varint(out, size);
	return rc;
}

int pack_record_write(struct buf *out, const struct pack_record *r)
{
	size_t size = bytes_size(r->key) + bytes_size(r->value) + number_size(r->height) +
		      number_size(r->item) + number_size(r->inner) + number_size(r->form) +
		      number_size(r->time) + bytes_size(r->object);
	int rc = begin(out, size);

	if (rc < 0)
		return rc;
	wire_put_bytes(out, RECORD_KEY, r->key);
	wire_put_bytes(out, RECORD_VALUE, r->value);
	wire_put_varint(out, RECORD_HEIGHT, r->height);
	wire_put_varint(out, RECORD_ITEM, r->item);
	wire_put_varint(out, RECORD_INNER, r->inner);
	wire_put_varint(out, RECORD_FORM, r->form);
	wire_put_varint(out, RECORD_TIME, r->time);
	wire_put_bytes(out, RECORD_OBJECT, r->object);
	return buf_done(out);
}

int pack_row_write(struct buf *out, struct slice key, struct slice value)
{
	int rc = begin(out, bytes_size(key) + bytes_size(value));

	if (rc < 0)
		return rc;
	wire_put_bytes(out, ROW_KEY, key);
	wire_put_bytes(out, ROW_VALUE, value);
	return buf_done(out);
}

/* ---- reading ---- */

/* The next entry's bytes: 1, 0 at the end. */
static int entry(struct pack_reader *p, struct slice *out, struct err *err)
{
	struct slice rest = slice_sub(p->bytes, p->at, p->bytes.n);
	struct rd in = rd_of(rest);

	if (!rest.n)
		return 0;
	uint64_t size = rd_varint(&in);
	size_t head = rest.n - rd_left(&in);

	if (!rd_ok(&in) || head != varint_size(size))
		return err_set(err, -EBADMSG, "offset %zu: no size of an entry", p->at);
	if (size > PACK_ENTRY_MAX || size > rd_left(&in))
		return err_set(err, -EBADMSG,
			       "offset %zu: an entry of %" PRIu64 " bytes, %zu are left", p->at,
			       size, rd_left(&in));
	*out = rd_bytes(&in, (size_t)size);
	return 1;
}

static int ascend(struct pack_reader *p, struct slice whole, struct slice key, struct err *err)
{
	if (!key.n)
		return err_set(err, -EBADMSG, "offset %zu: an entry without a key", p->at);
	if (p->last_key.n && slice_cmp(key, p->last_key) <= 0)
		return err_set(err, -EBADMSG,
			       "offset %zu: its key does not follow the one before it", p->at);
	p->last_key = key;
	p->at = (size_t)(whole.p - p->bytes.p) + whole.n;
	return 1;
}

/* A field in its place: of the type that its number has, as short as can be, not zero. */
static bool in_order(const struct wire_field *f, uint32_t after, uint32_t end,
		     uint32_t bytes_fields)
{
	bool is_bytes = f->number < end && (bytes_fields >> f->number & 1);

	return f->number > after && f->number < end && f->shortest &&
	       f->type == (is_bytes ? WIRE_BYTES : WIRE_VARINT) &&
	       (is_bytes ? f->bytes.n > 0 : f->value > 0);
}

static bool take(struct pack_record *r, const struct wire_field *f)
{
	switch (f->number) {
	case RECORD_KEY:
		r->key = f->bytes;
		return true;
	case RECORD_VALUE:
		r->value = f->bytes;
		return true;
	case RECORD_HEIGHT:
		r->height = f->value;
		return true;
	case RECORD_ITEM:
		r->item = (uint32_t)f->value;
		return f->value <= UINT32_MAX;
	case RECORD_INNER:
		r->inner = true;
		return f->value == 1;
	case RECORD_FORM:
		r->form = (uint16_t)f->value;
		return f->value <= UINT16_MAX;
	case RECORD_TIME:
		r->time = f->value;
		return true;
	default:
		r->object = f->bytes;
		return true;
	}
}

int pack_record_next(struct pack_reader *p, struct pack_record *out, struct err *err)
{
	const uint32_t bytes_fields = 1u << RECORD_KEY | 1u << RECORD_VALUE | 1u << RECORD_OBJECT;
	struct slice whole;
	struct wire_field f;
	uint32_t last = 0;
	int rc = entry(p, &whole, err);

	if (rc != 1)
		return rc;
	*out = (struct pack_record){ .height = 0 };
	struct wire w = wire_of(whole);

	while (wire_next(&w, &f)) {
		if (!in_order(&f, last, RECORD_END, bytes_fields) || !take(out, &f))
			return err_set(err, -EBADMSG,
				       "offset %zu: field %u is not as it is written", p->at,
				       f.number);
		last = f.number;
	}
	if (wire_done(&w) < 0)
		return err_set(err, -EBADMSG, "offset %zu: a record that does not parse", p->at);
	return ascend(p, whole, out->key, err);
}

int pack_row_next(struct pack_reader *p, struct slice *key, struct slice *value, struct err *err)
{
	struct slice whole;
	struct wire_field f;
	uint32_t last = 0;
	int rc = entry(p, &whole, err);

	if (rc != 1)
		return rc;
	*key = *value = SLICE_EMPTY;
	struct wire w = wire_of(whole);

	while (wire_next(&w, &f)) {
		if (!in_order(&f, last, ROW_END, 1u << ROW_KEY | 1u << ROW_VALUE))
			return err_set(err, -EBADMSG,
				       "offset %zu: field %u is not as it is written", p->at,
				       f.number);
		*(f.number == ROW_KEY ? key : value) = f.bytes;
		last = f.number;
	}
	if (wire_done(&w) < 0)
		return err_set(err, -EBADMSG, "offset %zu: a row that does not parse", p->at);
	return ascend(p, whole, *key, err);
}
