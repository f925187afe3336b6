/* bytes.h: borrowed bytes, owned bytes, and reading and writing them without overrun.
 *
 * struct slice   borrows: a pointer and a size in bytes; never outlives its owner.
 * struct buf     owns, grows by doubling, and refuses to grow over its ceiling `size_max`.
 *                A failed append latches: `failed` holds the first negative errno, later appends
 *                do nothing, and buf_done() tells once at the end.
 * struct rd      reads forward through a slice; its first overrun latches, rd_done() tells.
 * What a scan does with every row stands here, to be compiled into it.
 * Threads        none is shared. */
#ifndef CHAINFS_BYTES_H
#define CHAINFS_BYTES_H

#include "core/base/base.h"

struct slice {
	const uint8_t *p;
	size_t         n;
};

#define SLICE(pointer, size) ((struct slice){ (const uint8_t *)(pointer), (size) })
#define SLICE_ARRAY(a) SLICE((a), sizeof(a))
#define SLICE_EMPTY ((struct slice){ NULL, 0 })

struct slice slice_str(const char *text); /* without the final NUL */
int  slice_cmp(struct slice a, struct slice b); /* unsigned bytes, the shorter prefix first */
struct slice slice_sub(struct slice s, size_t offset, size_t size); /* cut to what is there */

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

struct buf {
	uint8_t *p;
	size_t   n, cap, size_max;
	int      failed;
};

#define BUF_INIT(ceiling) { .size_max = (ceiling) }

void buf_release(struct buf *b);
int  buf_grow(struct buf *b, size_t more); /* for buf_reserve() */

/* Keeps memory and ceiling; forgets a latched failure. */
static inline void buf_clear(struct buf *b)
{
	b->n = 0;
	b->failed = 0;
}

static inline struct slice buf_slice(const struct buf *b)
{
	return SLICE(b->p, b->n);
}

static inline MUST_CHECK int buf_done(const struct buf *b)
{
	return b->failed;
}

/* Room for `more` bytes after n. */
static inline int buf_reserve(struct buf *b, size_t more)
{
	return b->failed ? b->failed : more <= b->cap - b->n ? 0 : buf_grow(b, more);
}

static inline void buf_bytes(struct buf *b, const void *p, size_t n)
{
	if (buf_reserve(b, n) < 0 || n == 0)
		return;
	memcpy(b->p + b->n, p, n);
	b->n += n;
}

static inline void buf_add(struct buf *b, struct slice s)
{
	buf_bytes(b, s.p, s.n);
}

void buf_str(struct buf *b, const char *text);
void buf_fmt(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_u8(struct buf *b, uint8_t v);
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_be64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);              /* LEB128, as protobuf has it */
void buf_blob(struct buf *b, struct slice s);            /* varint size, then the bytes */
void buf_hex(struct buf *b, struct slice s);             /* lower case */
void buf_u64(struct buf *b, uint64_t v);                 /* decimal digits */

struct rd {
	const uint8_t *p, *end;
	bool           failed;
};

uint64_t rd_varint_long(struct rd *r); /* for rd_varint() */

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap32(v) : v;
}

static inline uint64_t get_be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap64(v) : v;
}

static inline void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put_be32(uint8_t *p, uint32_t v)
{
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}

static inline void put_be64(uint8_t *p, uint64_t v)
{
	if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

static inline struct rd rd_of(struct slice s)
{
	return (struct rd){ .p = s.p, .end = s.p ? s.p + s.n : NULL };
}

static inline bool rd_ok(const struct rd *r)
{
	return !r->failed;
}

static inline size_t rd_left(const struct rd *r)
{
	return r->failed || !r->p ? 0 : (size_t)(r->end - r->p);
}

/* -EBADMSG: it overran, or bytes are left. */
static inline MUST_CHECK int rd_done(const struct rd *r)
{
	return r->failed || rd_left(r) ? -EBADMSG : 0;
}

/* n bytes to read from, or NULL once anything overran. */
static inline const uint8_t *rd_take(struct rd *r, size_t n)
{
	if (n > rd_left(r)) {
		r->failed = true;
		return NULL;
	}
	const uint8_t *p = r->p;

	r->p += n;
	return p;
}

static inline uint8_t rd_u8(struct rd *r)
{
	const uint8_t *p = rd_take(r, 1);

	return p ? *p : 0;
}

static inline uint16_t rd_be16(struct rd *r)
{
	const uint8_t *p = rd_take(r, 2);

	return p ? get_be16(p) : 0;
}

static inline uint32_t rd_be32(struct rd *r)
{
	const uint8_t *p = rd_take(r, 4);

	return p ? get_be32(p) : 0;
}

static inline uint64_t rd_be64(struct rd *r)
{
	const uint8_t *p = rd_take(r, 8);

	return p ? get_be64(p) : 0;
}

/* At most 10 bytes; most numbers are one. */
static inline uint64_t rd_varint(struct rd *r)
{
	if (!r->failed && r->p < r->end && !(*r->p & 0x80))
		return *r->p++;
	return rd_varint_long(r);
}

static inline struct slice rd_bytes(struct rd *r, size_t n)
{
	if (n == 0)
		return r->failed ? SLICE_EMPTY : SLICE(r->p, 0);
	const uint8_t *p = rd_take(r, n);

	return p ? SLICE(p, n) : SLICE_EMPTY;
}

static inline struct slice rd_blob(struct rd *r)
{
	uint64_t n = rd_varint(r);

	if (n > rd_left(r)) {
		r->failed = true;
		return SLICE_EMPTY;
	}
	return rd_bytes(r, (size_t)n);
}

static inline struct slice rd_rest(struct rd *r)
{
	return rd_bytes(r, rd_left(r));
}

size_t   varint_size(uint64_t v);
size_t   varint_put(uint8_t *p, uint64_t v); /* up to 10 bytes; returns how many */

/* hex text of n bytes into out[2n + 1]. */
void hex_put(char *out, const uint8_t *p, size_t n);
/* At least `digits` of them, with a NUL behind; returns how many. */
#define DEC_SIZE 21
size_t dec_put(char *out, uint64_t v, size_t digits);
/* Exactly 2n hex digits of either case, else -EINVAL. */
int  hex_get(const char *text, size_t text_size, uint8_t *out, size_t n) MUST_CHECK;

/* A whole decimal number without sign or leading blank, at most `max`; else -EINVAL. */
int  dec_get(const char *text, size_t text_size, uint64_t max, uint64_t *out) MUST_CHECK;

/* Strict UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool utf8_valid(struct slice s);

#endif
