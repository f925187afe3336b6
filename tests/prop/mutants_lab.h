/* mutants_lab.h: how a message or a block is changed; what comes of it is judged_lab.h's.
 *
 * Half of the mutants are changed byte by byte, which mostly does not decode any more; the other
 * half field by field: sizes and sums of what encloses the change are right again, and a message
 * may be signed anew by a key that is nobody's. The same numbers give the same mutants. */
#ifndef CHAINFS_TESTS_MUTANTS_LAB_H
#define CHAINFS_TESTS_MUTANTS_LAB_H

#include "tests/prop/fields_lab.h"

/* ---- changing ---- */

static void put_many(struct random *r, struct buf *b, size_t n)
{
	for (; n; n--)
		buf_u8(b, (uint8_t)random_u64(r));
}

/* One change; `other` lends bytes. */
static void change(struct random *r, struct slice in, struct slice other, struct buf *out)
{
	size_t at = random_below(r, in.n + 1), n = random_below(r, 1u << random_below(r, 7)) + 1;
	struct slice rest = slice_sub(in, at, in.n);

	buf_add(out, slice_sub(in, 0, at));
	switch (random_below(r, 8)) {
	case 0: /* a bit */
		buf_add(out, rest);
		if (rest.n)
			out->p[at] ^= (uint8_t)(1u << random_below(r, 8));
		return;
	case 1: /* some bytes become others */
		put_many(r, out, MIN(n, rest.n));
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	case 2: /* cut off */
		return;
	case 3: /* taken out */
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	case 4: /* put in */
		put_many(r, out, n);
		buf_add(out, rest);
		return;
	case 5: /* said twice */
		buf_add(out, slice_sub(rest, 0, n));
		buf_add(out, rest);
		return;
	case 6: /* of another one */
		buf_add(out, slice_sub(other, random_below(r, other.n + 1), n));
		buf_add(out, slice_sub(rest, n, rest.n));
		return;
	default: /* one more, one less: sizes, tags and numbers */
		buf_add(out, rest);
		if (rest.n)
			out->p[at] = (uint8_t)(out->p[at] + (random_chance(r, 50) ? 1 : 255));
	}
}

/* Several changes, most often one. */
static void mutate(struct random *r, struct slice in, struct slice other, struct buf *out)
{
	AUTO(buf_release) struct buf step = BUF_INIT(BLOCK_SIZE_MAX);
	unsigned more = random_chance(r, 70) ? 0 : (unsigned)random_below(r, 4);

	change(r, in, other, out);
	for (; more; more--) {
		buf_clear(&step);
		change(r, buf_slice(out), other, &step);
		struct buf swap = *out;
		*out = step;
		step = swap;
	}
}

/* ---- changing field by field ---- */

/* What lies in a field, if that is a message. */
static const ProtobufCMessageDescriptor *inner_of(const ProtobufCMessageDescriptor *d,
						  const struct wire_field *f)
{
	const ProtobufCFieldDescriptor *field = field_of(d, f->number);

	if (f->type != WIRE_BYTES || !field)
		return NULL;
	if (d == &sc__message__descriptor && strcmp(field->name, "data_bytes") == 0)
		return &sc__message_data__descriptor;
	return field->type == PROTOBUF_C_TYPE_MESSAGE ? field->descriptor : NULL;
}

static void put_field(struct buf *out, uint32_t number, struct slice content)
{
	buf_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
	buf_blob(out, content);
}

/* A number that is near what bounds are made of. */
static uint64_t edge(struct random *r, uint64_t v)
{
	static const uint64_t edges[] = { 0,         1,          127,       128,
					  INT32_MAX, UINT32_MAX, INT64_MAX, UINT64_MAX };

	switch (random_below(r, 5)) {
	case 0:
		return edges[random_below(r, ARRAY_LEN(edges))];
	case 1: /* all the same to who cuts it to 32 bits */
		return v ^ random_u64(r) << 32;
	case 2:
		return v + 1;
	case 3:
		return v - 1;
	default:
		return v ^ UINT64_C(1) << random_below(r, 64);
	}
}

/* The same field, and something else in it. */
static void reshape_field(struct random *r, const struct wire_field *f, struct buf *out)
{
	AUTO(buf_release) struct buf content = BUF_INIT(BLOCK_SIZE_MAX);

	if (f->type == WIRE_VARINT) {
		buf_varint(out, (uint64_t)f->number << 3);
		buf_varint(out, edge(r, f->value));
		return;
	}
	if (f->type != WIRE_BYTES) {
		buf_add(out, f->whole);
		return;
	}
	switch (random_below(r, 5)) {
	case 0: /* nothing */
		break;
	case 1: /* cut off */
		buf_add(&content, slice_sub(f->bytes, 0, random_below(r, f->bytes.n + 1)));
		break;
	case 2: /* longer */
		buf_add(&content, f->bytes);
		put_many(r, &content, 1 + random_below(r, 8));
		break;
	case 3: /* as long, others */
		put_many(r, &content, f->bytes.n);
		break;
	default:
		change(r, f->bytes, f->bytes, &content);
	}
	put_field(out, f->number, buf_slice(&content));
}

/* A change of the list of fields. `other` lends some, of a message of the same kind. */
static void reshape_list(struct random *r, const struct fields *in, const struct fields *other,
			 struct buf *out)
{
	size_t at = random_below(r, in->count), to = random_below(r, in->count);
	unsigned kind = (unsigned)random_below(r, 8);
	const struct wire_field *mine = &in->list[at], *lent = NULL;

	for (size_t i = 0, n = random_below(r, other->count + 1); i < other->count; i++) {
		const struct wire_field *f = &other->list[(i + n) % other->count];

		if (f->number == mine->number && (!lent || !slice_eq(f->whole, mine->whole)))
			lent = f;
	}
	for (size_t i = 0; i < in->count; i++) {
		const struct wire_field *f = &in->list[i];

		if (kind == 0 && i == at) /* missing */
			continue;
		if (kind == 1 && i == at) /* twice */
			buf_add(out, f->whole);
		if (kind == 2 && (i == at || i == to)) /* each other's place */
			f = &in->list[i == at ? to : at];
		if (kind == 3 && i == to) /* once more, elsewhere */
			buf_add(out, mine->whole);
		if (kind == 4 && i == at && lent) /* another one's */
			f = lent;
		if (kind == 5 && i == at && lent) /* another one's besides */
			buf_add(out, lent->whole);
		if (kind == 6 && i == at && f->type == WIRE_BYTES) { /* under another number */
			put_field(out, 1 + (uint32_t)random_below(r, 24), f->bytes);
			continue;
		}
		if (kind == 7 && i == at) { /* something else in it */
			reshape_field(r, f, out);
			continue;
		}
		buf_add(out, f->whole);
	}
}

/* A message whose hash is right, signed by a key that nobody gave. */
static void sign_anew(struct random *r, struct slice message, struct buf *out)
{
	AUTO(fields_release) struct fields all = fields_read(message);
	uint8_t seed[ED25519_SEED_SIZE], key[ED25519_KEY_SIZE], secret[ED25519_SECRET_SIZE];
	uint8_t signature[ED25519_SIGNATURE_SIZE], hash[HASH20_SIZE];
	struct slice said = SLICE_EMPTY;

	for (size_t i = 0; i < all.count; i++)
		if (all.list[i].type == WIRE_BYTES &&
		    (all.list[i].number == 7 || (all.list[i].number == 1 && !said.n)))
			said = all.list[i].bytes;
	hash_blake3_20(said, hash);
	random_bytes(r, seed, sizeof seed);
	ed25519_from_seed(seed, key, secret);
	ed25519_sign(secret, SLICE(hash, sizeof hash), signature);
	for (size_t i = 0; i < all.count; i++)
		switch (all.list[i].number) {
		case 2:
			put_field(out, 2, SLICE(hash, sizeof hash));
			break;
		case 4:
			put_field(out, 4, SLICE(signature, sizeof signature));
			break;
		case 6:
			put_field(out, 6, SLICE(key, sizeof key));
			break;
		default:
			buf_add(out, all.list[i].whole);
		}
}

/* One change of a message or of one inside it; what encloses it fits again. */
static void reshape(struct random *r, const ProtobufCMessageDescriptor *d, struct slice in,
		    struct slice other, bool sign, unsigned depth, struct buf *out)
{
	AUTO(fields_release) struct fields mine = fields_read(in), theirs = fields_read(other);
	AUTO(buf_release) struct buf content = BUF_INIT(BLOCK_SIZE_MAX);

	if (!mine.count)
		return;
	if (sign && d == &sc__message__descriptor && random_chance(r, 50)) {
		if (random_chance(r, 80))
			reshape(r, d, in, other, false, depth + 1, &content);
		else
			buf_add(&content, in);
		sign_anew(r, buf_slice(&content), out);
		return;
	}
	size_t at = random_below(r, mine.count);
	const ProtobufCMessageDescriptor *inner = inner_of(d, &mine.list[at]);

	if (!inner || depth == DEPTH_MAX || random_chance(r, 25)) {
		reshape_list(r, &mine, &theirs, out);
		return;
	}
	struct slice lent = mine.list[at].bytes;

	for (size_t i = 0, n = random_below(r, theirs.count + 1); i < theirs.count; i++) {
		const struct wire_field *f = &theirs.list[(i + n) % theirs.count];

		if (f->number == mine.list[at].number && f->type == WIRE_BYTES)
			lent = f->bytes;
	}
	reshape(r, inner, mine.list[at].bytes, lent, sign, depth + 1, &content);
	for (size_t i = 0; i < mine.count; i++)
		if (i == at)
			put_field(out, mine.list[i].number, buf_slice(&content));
		else
			buf_add(out, mine.list[i].whole);
}

/* sign: what is signed anew may be one. True: it was changed field by field. */
static bool make_mutant(struct random *r, const ProtobufCMessageDescriptor *d, struct slice in,
			struct slice other, bool sign, struct buf *out)
{
	if (random_chance(r, 50)) {
		mutate(r, in, other, out);
		return false;
	}
	AUTO(buf_release) struct buf step = BUF_INIT(BLOCK_SIZE_MAX);

	reshape(r, d, in, other, sign, 0, out);
	for (unsigned more = random_chance(r, 70) ? 0 : (unsigned)random_below(r, 4); more;
	     more--) {
		buf_clear(&step);
		reshape(r, d, buf_slice(out), other, sign, 0, &step);
		struct buf swap = *out;
		*out = step;
		step = swap;
	}
	return true;
}

#endif
