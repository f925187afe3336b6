#include "core/store/cuts.h"

#include "core/base/hash.h"

void cuts_init(struct cuts *c, size_t size_max)
{
	c->apart = c->left = c->list = c->kept = (struct buf)BUF_INIT(size_max);
}

void cuts_release(struct cuts *c)
{
	buf_release(&c->apart);
	buf_release(&c->left);
	buf_release(&c->list);
	buf_release(&c->kept);
}

/* ---- what is cut out ---- */

enum { CUT_BEFORE, CUT_BEHIND, CUT_SIZED, CUT_APART = 4 }; /* CUT_SIZED is added to the first two */

#define APART_SIZE_MIN 16 /* bytes: fewer are not worth a cut */

struct stretch {
	size_t from, end;
};

/* A varint that ends at `end`, as there is one in front of bytes that say how many they are; it
 * does not begin before `floor`. False: there is none. */
static bool size_in_front(const uint8_t *bytes, size_t floor, size_t end, uint64_t *out)
{
	size_t at = end;

	if (at <= floor || bytes[at - 1] & 0x80)
		return false;
	*out = bytes[--at];
	for (int more = 0; more < 4 && at > floor && bytes[at - 1] & 0x80; more++)
		*out = *out << 7 | (bytes[--at] & 0x7f);
	return true;
}

/* Apart from those before it, whose bytes end at `since`; and it is what it is told to be. */
static bool is_told(struct slice bytes, const struct told *t, size_t since)
{
	size_t from = t->from, end = from + t->size, at = t->at;
	uint8_t hash[HASH20_SIZE];

	if (MIN(at, from) < since || at > bytes.n || bytes.n - at < HASH20_SIZE || end > bytes.n ||
	    (from < at + HASH20_SIZE && end > at))
		return false;
	hash_blake3_20(slice_sub(bytes, from, t->size), hash);
	return memcmp(hash, bytes.p + at, HASH20_SIZE) == 0;
}

/* Neither behind the end, nor before `since`, nor in what a hash is of. */
static bool is_apart(struct slice bytes, const struct told *t, size_t since, struct stretch hashed)
{
	size_t end = (size_t)t->at + t->size;

	return t->size >= APART_SIZE_MIN && t->at >= since && end <= bytes.n &&
	       (end <= hashed.from || t->at >= hashed.end);
}

static void list_hash(struct buf *list, struct slice bytes, const struct told *t, size_t since)
{
	bool before = t->from < t->at;
	size_t at_end = (size_t)t->at + HASH20_SIZE;
	uint64_t told;
	bool sized =
		!size_in_front(bytes.p, before ? since : at_end, t->from, &told) || told != t->size;

	buf_varint(list, (before ? CUT_BEFORE : CUT_BEHIND) + (sized ? CUT_SIZED : 0));
	buf_varint(list, (before ? t->from : t->at) - since);
	buf_varint(list, before ? t->at - (t->from + t->size) : t->from - at_end);
	if (sized)
		buf_varint(list, t->size);
}

int cuts_make(struct cuts *c, struct slice bytes, const struct told *told, size_t told_count)
{
	size_t since = 0;
	struct stretch hashed = { 0 }; /* what the last hash is of */

	buf_clear(&c->list);
	buf_clear(&c->kept);
	buf_clear(&c->apart);
	for (size_t i = 0; i < told_count; i++) {
		const struct told *t = &told[i];
		bool apart = t->from == t->at;

		if (apart ? !is_apart(bytes, t, since, hashed)
			  : !is_told(bytes, t, MAX(since, hashed.end)))
			continue;
		if (apart) {
			buf_varint(&c->list, CUT_APART + (uint64_t)t->size);
			buf_varint(&c->list, t->at - since);
			buf_add(&c->apart, slice_sub(bytes, t->at, t->size));
		} else {
			list_hash(&c->list, bytes, t, since);
			hashed = (struct stretch){ t->from, (size_t)t->from + t->size };
		}
		buf_add(&c->kept, slice_sub(bytes, since, t->at - since));
		since = t->at + (apart ? (size_t)t->size : HASH20_SIZE);
	}
	if (!since)
		return 0;
	buf_clear(&c->left);
	buf_blob(&c->left, buf_slice(&c->list));
	buf_add(&c->left, buf_slice(&c->kept));
	buf_add(&c->left, slice_sub(bytes, since, bytes.n));
	return c->list.failed || c->kept.failed || c->left.failed || c->apart.failed ? -ENOMEM : 1;
}

/* ---- and put back ---- */

struct filling {
	uint8_t *out;
	size_t n, size;
	/* A hash whose bytes come behind it. */
	bool waits, sized;
	size_t at, from;
	uint64_t of;
};

static bool fill(struct filling *f, struct rd *from, uint64_t n)
{
	struct slice piece = rd_bytes(from, (size_t)n);

	if (!rd_ok(from) || piece.n != n || n > f->size - f->n)
		return false;
	if (n)
		memcpy(f->out + f->n, piece.p, piece.n);
	f->n += piece.n;
	return true;
}

/* Room for a hash, `out` where it is. */
static bool leave_room(struct filling *f, size_t *at)
{
	if (f->size - f->n < HASH20_SIZE)
		return false;
	*at = f->n;
	f->n += HASH20_SIZE;
	return true;
}

/* All that it is of is there by now: the next one does not begin before that ends. */
static bool fill_waiting(struct filling *f)
{
	if (!f->waits)
		return true;
	f->waits = false;
	if (f->from > f->n ||
	    (!f->sized && !size_in_front(f->out, f->at + HASH20_SIZE, f->from, &f->of)) ||
	    f->of > f->n - f->from)
		return false;
	hash_blake3_20(SLICE(f->out + f->from, (size_t)f->of), f->out + f->at);
	return true;
}

static bool fill_hash(struct filling *f, uint64_t how, size_t since, struct rd *list,
		      struct rd *rest)
{
	uint64_t gap = rd_varint(list), of = how >= CUT_SIZED ? rd_varint(list) : 0;
	bool sized = how >= CUT_SIZED;
	size_t from = f->n, at;

	if (!rd_ok(list) || !fill_waiting(f))
		return false;
	if (how % CUT_SIZED == CUT_BEHIND) {
		if (!leave_room(f, &at) || gap > f->size - f->n)
			return false;
		f->waits = true;
		f->sized = sized;
		f->at = at;
		f->from = f->n + (size_t)gap;
		f->of = of;
		return true;
	}
	if ((!sized && !size_in_front(f->out, since, from, &of)) || !fill(f, rest, of) ||
	    !fill(f, rest, gap) || !leave_room(f, &at))
		return false;
	hash_blake3_20(SLICE(f->out + from, (size_t)of), f->out + at);
	return true;
}

bool cuts_put_back(struct slice apart, struct slice left, uint8_t *out, size_t size)
{
	struct rd rest = rd_of(left), list = rd_of(rd_blob(&rest)), noise = rd_of(apart);
	struct filling f = { .out = out, .size = size };

	while (rd_ok(&rest) && rd_left(&list)) {
		size_t since = f.n;
		uint64_t how = rd_varint(&list);

		if (!fill(&f, &rest, rd_varint(&list)) || !rd_ok(&list))
			return false;
		if (how >= CUT_APART ? !fill(&f, &noise, how - CUT_APART)
				     : !fill_hash(&f, how, since, &list, &rest))
			return false;
	}
	return rd_ok(&rest) && fill(&f, &rest, rd_left(&rest)) && fill_waiting(&f) && f.n == size &&
	       rd_left(&noise) == 0;
}

/* ---- the older list ---- */

/* The bytes in their places, with room for the hashes; exactly `size` of them. */
static bool spread(struct slice left, uint8_t *out, size_t size)
{
	struct rd r = rd_of(left), list = rd_of(rd_blob(&r));
	size_t n = 0;

	while (rd_ok(&r) && rd_left(&list)) {
		struct slice piece = rd_bytes(&r, (size_t)rd_varint(&list));

		(void)rd_varint(&list);
		(void)rd_varint(&list);
		if (!rd_ok(&r) || !rd_ok(&list) || piece.n > size - n ||
		    size - n - piece.n < HASH20_SIZE)
			return false;
		if (piece.n)
			memcpy(out + n, piece.p, piece.n);
		n += piece.n + HASH20_SIZE;
	}
	struct slice piece = rd_rest(&r);

	if (!rd_ok(&r) || piece.n != size - n)
		return false;
	if (piece.n)
		memcpy(out + n, piece.p, piece.n);
	return true;
}

bool cuts_put_back_older(struct slice left, uint8_t *out, size_t size)
{
	struct rd r = rd_of(left), list = rd_of(rd_blob(&r));
	size_t at = 0;

	if (!spread(left, out, size))
		return false;
	while (rd_left(&list)) {
		at += (size_t)rd_varint(&list);
		uint64_t distance = rd_varint(&list), of = rd_varint(&list);
		uint64_t from = distance % 2 ? at - (distance / 2 + 1) : at + distance / 2;

		if (from > size || of > size - from)
			return false;
		hash_blake3_20(SLICE(out + from, (size_t)of), out + at);
		at += HASH20_SIZE;
	}
	return true;
}
