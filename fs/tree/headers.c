#include "fs/tree/headers.h"

#define KEPT          16
#define TEXT_SIZE_MAX 8192 /* larger ones are not kept */

struct texts {
	/* What the texts are a function of. The hash covers the header alone; of what follows it
	 * they tell numbers. */
	uint8_t hash[HASH_SIZE];
	uint64_t object;
	uint32_t items, canonical_size;
	uint8_t bytes[TEXT_SIZE_MAX];
	size_t ends[HEADER_FILES];
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next two; a leaf */
static struct texts *kept[KEPT];
static size_t kept_next;

static bool is_of(const struct texts *t, const struct block_row *row)
{
	return t && t->object == row->object && t->items == row->items &&
	       t->canonical_size == row->canonical_size &&
	       memcmp(t->hash, row->hash, HASH_SIZE) == 0;
}

static struct slice text_of(const struct texts *t, enum header_file which)
{
	size_t start = which ? t->ends[which - 1] : 0;

	return SLICE(t->bytes + start, t->ends[which] - start);
}

static bool find(const struct block_row *row, enum header_file which, struct buf *out)
{
	uint8_t copy[TEXT_SIZE_MAX];
	size_t size = 0;
	bool found = false;

	pthread_mutex_lock(&kept_lock);
	for (size_t i = 0; i < KEPT && !found; i++) {
		found = is_of(kept[i], row);
		if (!found)
			continue;
		struct slice text = text_of(kept[i], which);

		size = text.n;
		memcpy(copy, text.p, text.n);
	}
	pthread_mutex_unlock(&kept_lock);
	if (found)
		buf_bytes(out, copy, size);
	return found;
}

static void keep(struct texts *t)
{
	struct texts *old;

	pthread_mutex_lock(&kept_lock);
	old = kept[kept_next];
	kept[kept_next] = t;
	kept_next = (kept_next + 1) % KEPT;
	pthread_mutex_unlock(&kept_lock);
	free(old);
}

static int decode(struct network *n, const struct block_row *row, struct chain_block **out,
		  struct err *err)
{
	AUTO(block_bytes_putp) const struct block_bytes *stored = NULL;
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = network_block_bytes(n, row, &stored, err);

	if (rc < 0)
		return rc;
	buf_add(&canonical, stored->canonical);
	buf_add(&certificate, stored->certificate);
	rc = buf_done(&canonical) < 0 ? buf_done(&canonical) : buf_done(&certificate);
	return rc < 0 ? rc
		      : network_ops(n)->decode(network_params(n), row->shard == 0, false,
					       &canonical, &certificate, out, err);
}

static int render(const struct chain_ops *ops, const struct chain_block *b, struct buf *out,
		  size_t ends[HEADER_FILES])
{
	int rc = 0;

	for (int f = 0; rc == 0 && f < HEADER_FILES; f++) {
		rc = f == HEADER_PARENT ? ops->render_parent(b, out)
					: ops->render_header(b, f == HEADER_JSON, out);
		ends[f] = out->n;
	}
	return rc < 0 ? rc : buf_done(out);
}

int header_read(struct network *n, const struct block_row *row, enum header_file which,
		struct buf *out, struct err *err)
{
	AUTO(buf_release) struct buf all = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(chain_block_freep) struct chain_block *block = NULL;
	size_t ends[HEADER_FILES];

	if (find(row, which, out))
		return buf_done(out);
	int rc = decode(n, row, &block, err);
	if (rc == 0)
		rc = render(network_ops(n), block, &all, ends);
	if (rc < 0)
		return rc;
	size_t start = which ? ends[which - 1] : 0;

	buf_bytes(out, all.p + start, ends[which] - start);
	struct texts *t = all.n <= TEXT_SIZE_MAX ? calloc(1, sizeof *t) : NULL;

	if (t) {
		memcpy(t->hash, row->hash, HASH_SIZE);
		t->object = row->object;
		t->items = row->items;
		t->canonical_size = row->canonical_size;
		memcpy(t->bytes, all.p, all.n);
		memcpy(t->ends, ends, sizeof ends);
		keep(t);
	}
	return buf_done(out);
}
