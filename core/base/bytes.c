#include "core/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- slices ---- */

struct slice slice_str(const char *text)
{
	return SLICE(text, text ? strlen(text) : 0);
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t n = MIN(a.n, b.n);
	int order = n ? memcmp(a.p, b.p, n) : 0;

	return order ? order : (a.n > b.n) - (a.n < b.n);
}

struct slice slice_sub(struct slice s, size_t offset, size_t size)
{
	if (offset >= s.n)
		return SLICE_EMPTY;
	return SLICE(s.p + offset, MIN(size, s.n - offset));
}

/* ---- numbers ---- */

size_t varint_size(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

size_t varint_put(uint8_t *p, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		p[n++] = (uint8_t)(v | 0x80);
	p[n++] = (uint8_t)v;
	return n;
}

/* ---- struct buf ---- */

void buf_release(struct buf *b)
{
	free(b->p);
	*b = (struct buf)BUF_INIT(b->size_max);
}

static int latch(struct buf *b, int code)
{
	if (!b->failed)
		b->failed = code;
	return b->failed;
}

int buf_grow(struct buf *b, size_t more)
{
	size_t wanted;

	if (ckd_add(&wanted, b->n, more) || wanted > b->size_max)
		return latch(b, -EMSGSIZE);

	size_t doubled = b->cap > b->size_max / 2 ? b->size_max : MAX(2 * b->cap, (size_t)64);
	size_t cap = MIN(MAX(doubled, wanted), b->size_max);
	uint8_t *p = realloc(b->p, cap);

	if (!p)
		return latch(b, -ENOMEM);
	b->p = p;
	b->cap = cap;
	return 0;
}

void buf_str(struct buf *b, const char *text)
{
	buf_bytes(b, text, strlen(text));
}

void buf_fmt(struct buf *b, const char *format, ...)
{
	va_list args, again;

	if (b->failed)
		return;
	va_start(args, format);
	va_copy(again, args);

	/* vsnprintf() wants a place for its NUL, which the buf does not count. */
	char small[128];
	int wanted = vsnprintf(small, sizeof small, format, args);

	if (wanted < 0) {
		latch(b, -EINVAL);
	} else if ((size_t)wanted < sizeof small) {
		buf_bytes(b, small, (size_t)wanted);
	} else {
		AUTO(base_freep) char *large = malloc((size_t)wanted + 1);

		if (!large) {
			latch(b, -ENOMEM);
		} else {
			vsnprintf(large, (size_t)wanted + 1, format, again);
			buf_bytes(b, large, (size_t)wanted);
		}
	}
	va_end(again);
	va_end(args);
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_bytes(b, &v, 1);
}

void buf_be16(struct buf *b, uint16_t v)
{
	uint8_t bytes[2];

	put_be16(bytes, v);
	buf_bytes(b, bytes, sizeof bytes);
}

void buf_be32(struct buf *b, uint32_t v)
{
	uint8_t bytes[4];

	put_be32(bytes, v);
	buf_bytes(b, bytes, sizeof bytes);
}

void buf_be64(struct buf *b, uint64_t v)
{
	uint8_t bytes[8];

	put_be64(bytes, v);
	buf_bytes(b, bytes, sizeof bytes);
}

void buf_varint(struct buf *b, uint64_t v)
{
	uint8_t bytes[10];

	buf_bytes(b, bytes, varint_put(bytes, v));
}

void buf_blob(struct buf *b, struct slice s)
{
	buf_varint(b, s.n);
	buf_add(b, s);
}

static const char hex_digits[] = "0123456789abcdef";

void buf_hex(struct buf *b, struct slice s)
{
	size_t size;

	if (ckd_mul(&size, s.n, 2)) {
		latch(b, -EMSGSIZE);
		return;
	}
	if (buf_reserve(b, size) < 0)
		return;
	for (size_t i = 0; i < s.n; i++) {
		b->p[b->n++] = (uint8_t)hex_digits[s.p[i] >> 4];
		b->p[b->n++] = (uint8_t)hex_digits[s.p[i] & 15];
	}
}

void buf_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_bytes(b, digits + at, sizeof digits - at);
}

/* ---- struct rd ---- */

uint64_t rd_varint_long(struct rd *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		const uint8_t *p = rd_take(r, 1);

		if (!p)
			return 0;
		/* The tenth byte holds the top bit alone; what does not fit is not a number. */
		if (shift == 63 && *p > 1)
			break;
		v |= (uint64_t)(*p & 0x7f) << shift;
		if (!(*p & 0x80))
			return v;
	}
	r->failed = true;
	return 0;
}

/* ---- text ---- */

size_t dec_put(char *out, uint64_t v, size_t digits)
{
	char text[DEC_SIZE];
	size_t n = 0;

	do
		text[n++] = (char)('0' + v % 10);
	while (v /= 10);
	size_t zeros = digits > n ? digits - n : 0;

	memset(out, '0', zeros);
	for (size_t i = 0; i < n; i++)
		out[zeros + i] = text[n - 1 - i];
	out[zeros + n] = 0;
	return zeros + n;
}

/* Eight digits at once: the nibbles of four bytes are spread over eight, and each becomes its
 * character by adding '0', and 39 more where it is above 9. */
static uint64_t hex_of_4(const uint8_t *p)
{
	const uint64_t low = UINT64_C(0x0f0f0f0f0f0f0f0f);
	uint64_t v = get_be32(p);

	v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
	v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v | v << 4) & low;
	uint64_t above_9 =
		(v + 6 * UINT64_C(0x0101010101010101)) >> 4 & UINT64_C(0x0101010101010101);

	return v + '0' * UINT64_C(0x0101010101010101) + ('a' - '0' - 10) * above_9;
}

void hex_put(char *out, const uint8_t *p, size_t n)
{
	size_t i = 0;

	for (; i + 4 <= n; i += 4)
		put_be64((uint8_t *)out + 2 * i, hex_of_4(p + i));
	for (; i < n; i++) {
		out[2 * i] = hex_digits[p[i] >> 4];
		out[2 * i + 1] = hex_digits[p[i] & 15];
	}
	out[2 * n] = '\0';
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int hex_get(const char *text, size_t text_size, uint8_t *out, size_t n)
{
	if (text_size % 2 || text_size / 2 != n)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int dec_get(const char *text, size_t text_size, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (text_size == 0)
		return -EINVAL;
	for (size_t i = 0; i < text_size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -EINVAL;
		if (ckd_mul(&v, v, 10u) || ckd_add(&v, v, (unsigned)(text[i] - '0')) || v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

/* The size of the UTF-8 character at the front of [p, end), or 0 when there is none. Table 3-7 of
 * the Unicode standard: only the second byte's range depends on the first. */
static size_t utf8_size(const uint8_t *p, const uint8_t *end)
{
	size_t left = (size_t)(end - p), size;
	uint8_t low = 0x80, high = 0xbf;

	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		size = 2;
	} else if ((p[0] & 0xf0) == 0xe0) {
		size = 3;
		if (p[0] == 0xe0)
			low = 0xa0; /* shorter forms */
		if (p[0] == 0xed)
			high = 0x9f; /* surrogates */
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		size = 4;
		if (p[0] == 0xf0)
			low = 0x90;
		if (p[0] == 0xf4)
			high = 0x8f; /* over U+10FFFF */
	} else {
		return 0;
	}
	if (left < size || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

bool utf8_valid(struct slice s)
{
	const uint8_t *p = s.p, *end = s.p ? s.p + s.n : s.p;

	while (p < end) {
		size_t size = utf8_size(p, end);

		if (!size)
			return false;
		p += size;
	}
	return true;
}
