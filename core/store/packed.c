/* Packing a row against bytes that its reader has too (blocks.h). */
#include "core/store/blocks.h"

/* Magicless frames are behind this; they are in every zstd since 1.4 and save four bytes a row. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#define PACKED_PLAIN    0
#define PACKED_ZSTD     1
#define PACKED_SIZE_MAX (256u << 20)
#define ZSTD_LEVEL      3
#define WORTH_PACKING   16 /* bytes: a shorter row is no longer than a frame's own cost */

static void packer_freep(ZSTD_CCtx **c)
{
	ZSTD_freeCCtx(*c);
}

static void unpacker_freep(ZSTD_DCtx **c)
{
	ZSTD_freeDCtx(*c);
}

/* Bytes packed behind out->n, but not counted yet; 0 when it did not come out smaller. */
static size_t pack(struct slice bytes, struct slice against, struct buf *out)
{
	AUTO(packer_freep) ZSTD_CCtx *c = ZSTD_createCCtx();

	if (!c || buf_reserve(out, bytes.n) < 0)
		return 0;
	ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(c, ZSTD_c_format, ZSTD_f_zstd1_magicless);
	ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
	ZSTD_CCtx_refPrefix(c, against.p, against.n);
	size_t n = ZSTD_compress2(c, out->p + out->n, bytes.n, bytes.p, bytes.n);

	return ZSTD_isError(n) ? 0 : n;
}

int packed_write(struct slice bytes, struct slice against, struct buf *out)
{
	size_t begun = out->n, n = 0;

	if (against.n && bytes.n >= WORTH_PACKING) {
		buf_u8(out, PACKED_ZSTD);
		buf_varint(out, bytes.n);
		n = out->failed ? 0 : pack(bytes, against, out);
	}
	if (n && out->n + n - begun <= bytes.n) {
		out->n += n;
		return buf_done(out);
	}
	out->n = out->failed ? out->n : begun;
	buf_u8(out, PACKED_PLAIN);
	buf_add(out, bytes);
	return buf_done(out);
}

bool packed_needs(struct slice in)
{
	return in.n && in.p[0] == PACKED_ZSTD;
}

int packed_read(struct slice in, struct slice against, struct buf *out)
{
	AUTO(unpacker_freep) ZSTD_DCtx *c = NULL;
	struct rd r = rd_of(in);
	uint8_t how = rd_u8(&r);

	if (!rd_ok(&r) || how > PACKED_ZSTD)
		return -EUCLEAN;
	if (how == PACKED_PLAIN) {
		buf_add(out, rd_rest(&r));
		return buf_done(out);
	}
	uint64_t size = rd_varint(&r);
	struct slice packed = rd_rest(&r);

	if (!rd_ok(&r) || size > PACKED_SIZE_MAX)
		return -EUCLEAN;
	c = ZSTD_createDCtx();
	if (!c || buf_reserve(out, size) < 0)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(c, ZSTD_d_format, ZSTD_f_zstd1_magicless);
	ZSTD_DCtx_setParameter(c, ZSTD_d_windowLogMax, ZSTD_WINDOWLOG_MAX);
	ZSTD_DCtx_refPrefix(c, against.p, against.n);
	size_t n = ZSTD_decompressDCtx(c, out->p + out->n, size, packed.p, packed.n);

	if (ZSTD_isError(n) || n != size)
		return -EUCLEAN;
	out->n += size;
	return 0;
}
