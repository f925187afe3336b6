/* bytes.h: borrowed bytes, owned bytes, and reading and writing them without overrun.
 *
 * struct slice   borrows: a pointer and a size in bytes; never outlives its owner.
 * struct buf     owns, grows by doubling, and refuses to grow over its ceiling `size_max`.
 *                A failed append latches: `failed` holds the first negative errno, later appends
 *                do nothing, and buf_done() tells once at the end.
 * struct rd      reads forward through a slice; its first overrun latches, rd_done() tells.
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
bool slice_eq(struct slice a, struct slice b);
int  slice_cmp(struct slice a, struct slice b); /* unsigned bytes, the shorter prefix first */
bool slice_starts(struct slice s, struct slice prefix);
struct slice slice_sub(struct slice s, size_t offset, size_t size); /* cut to what is there */

struct buf {
	uint8_t *p;
	size_t   n, cap, size_max;
	int      failed;
};

#define BUF_INIT(ceiling) { .size_max = (ceiling) }

void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* keeps memory and ceiling; forgets a latched failure */
struct slice buf_slice(const struct buf *b);
int  buf_done(const struct buf *b) MUST_CHECK;
int  buf_reserve(struct buf *b, size_t more); /* room for `more` bytes after n */
void buf_add(struct buf *b, struct slice s);
void buf_bytes(struct buf *b, const void *p, size_t n);
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

struct rd    rd_of(struct slice s);
uint8_t      rd_u8(struct rd *r);
uint16_t     rd_be16(struct rd *r);
uint32_t     rd_be32(struct rd *r);
uint64_t     rd_be64(struct rd *r);
uint64_t     rd_varint(struct rd *r); /* at most 10 bytes */
struct slice rd_bytes(struct rd *r, size_t n);
struct slice rd_blob(struct rd *r);
struct slice rd_rest(struct rd *r);
size_t       rd_left(const struct rd *r);
bool         rd_ok(const struct rd *r);
int          rd_done(const struct rd *r) MUST_CHECK; /* -EBADMSG: it overran, or bytes are left */

uint16_t get_be16(const uint8_t *p);
uint32_t get_be32(const uint8_t *p);
uint64_t get_be64(const uint8_t *p);
void     put_be16(uint8_t *p, uint16_t v);
void     put_be32(uint8_t *p, uint32_t v);
void     put_be64(uint8_t *p, uint64_t v);
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
