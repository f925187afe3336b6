#include "core/store/deaths.h"

#include "core/store/keys.h"

#define DEATH_CUT  0x80
#define BLOCK_SIZE 13 /* shard, height, branch: the key of the row */

void deaths_init(struct deaths *d, size_t size_max)
{
	d->gathered = d->value = (struct buf)BUF_INIT(size_max);
	d->count = 0;
}

void deaths_release(struct deaths *d)
{
	buf_release(&d->gathered);
	buf_release(&d->value);
	d->count = 0;
}

void deaths_clear(struct deaths *d)
{
	buf_clear(&d->gathered);
	d->count = 0;
}

/* Gathered as size 2 ‖ key of the row 13 ‖ space 1 ‖ key, so that sorting groups them by block. */
int deaths_add(struct deaths *d, uint32_t shard, uint64_t height, uint32_t branch, enum space space,
	       struct slice key, size_t enough)
{
	struct short_key block = key_deaths(shard, height, branch);
	struct slice kept = slice_sub(key, 0, enough);

	assert(block.n == BLOCK_SIZE);
	buf_be16(&d->gathered, (uint16_t)(block.n + 1 + kept.n));
	buf_add(&d->gathered, short_slice(&block));
	buf_u8(&d->gathered, (uint8_t)(space | (kept.n < key.n ? DEATH_CUT : 0)));
	buf_add(&d->gathered, kept);
	d->count++;
	return buf_done(&d->gathered);
}

static int compare(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static size_t shared_size(struct slice a, struct slice b)
{
	size_t n = 0, most = MIN(a.n, b.n);

	while (n < most && a.p[n] == b.p[n])
		n++;
	return n;
}

/* One row from the first of `list`; how many went in. */
static size_t put_row(struct deaths *d, const struct slice *list, size_t count,
		      struct db_batch *batch)
{
	struct slice block = SLICE(list[0].p, BLOCK_SIZE), before = SLICE_EMPTY;
	size_t i = 0;

	buf_clear(&d->value);
	for (; i < count && slice_starts(list[i], block); i++) {
		struct slice key = slice_sub(list[i], BLOCK_SIZE + 1, list[i].n);
		size_t shared = shared_size(before, key);

		if (i && slice_eq(list[i], list[i - 1]))
			continue; /* two keys that are cut alike */
		buf_u8(&d->value, list[i].p[BLOCK_SIZE]);
		buf_varint(&d->value, shared);
		buf_blob(&d->value, slice_sub(key, shared, key.n));
		before = key;
	}
	if (!d->value.failed)
		db_batch_put(batch, FAMILY_DEATHS, block, buf_slice(&d->value));
	return i;
}

int deaths_put(struct deaths *d, struct db_batch *batch)
{
	AUTO(base_freep) struct slice *list = NULL;
	struct rd r = rd_of(buf_slice(&d->gathered));

	if (d->count == 0)
		return 0;
	list = malloc(d->count * sizeof *list);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < d->count; i++)
		list[i] = rd_bytes(&r, rd_be16(&r));
	qsort(list, d->count, sizeof *list, compare);
	for (size_t i = 0; i < d->count;) {
		i += put_row(d, list + i, d->count - i, batch);
		if (d->value.failed)
			return d->value.failed;
	}
	return 0;
}

/* ---- reading ---- */

void deaths_reader_release(struct deaths_reader *r)
{
	buf_release(&r->key);
}

void deaths_read(struct deaths_reader *r, struct slice value)
{
	r->rd = rd_of(value);
	buf_clear(&r->key);
}

int deaths_next(struct deaths_reader *r, struct death *out)
{
	if (rd_ok(&r->rd) && !rd_left(&r->rd))
		return 0;
	uint8_t flags = rd_u8(&r->rd), space = flags & (uint8_t)~DEATH_CUT;
	uint64_t shared = rd_varint(&r->rd);
	struct slice rest = rd_blob(&r->rd);

	if (!rd_ok(&r->rd) || shared > r->key.n || rest.n > ROW_KEY_MAX - shared ||
	    (space != SPACE_BOTH && space != SPACE_HYPER))
		return -EUCLEAN;
	r->key.n = shared;
	buf_add(&r->key, rest);
	if (buf_done(&r->key) < 0)
		return buf_done(&r->key);
	*out = (struct death){ space, flags & DEATH_CUT, buf_slice(&r->key) };
	return 1;
}
