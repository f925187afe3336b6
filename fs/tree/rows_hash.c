/* by-hash/: a hash, or the first digits of one, leads to the block or item that has it. */
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

#include <stdio.h>

#define DIGITS_MIN 8
#define HITS_MAX   256

static int by_hash_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, 0)->tip_time;
	out->grows = true;
	return 0;
}

struct wanted {
	uint8_t bytes[HASH_SIZE];
	size_t digits;
};

static int read_digits(const char *name, struct wanted *out)
{
	char padded[2 * HASH_SIZE];
	size_t n = strlen(name);

	if (n < DIGITS_MIN || n > sizeof padded)
		return -ENOENT;
	memset(padded, '0', sizeof padded);
	memcpy(padded, name, n);
	out->digits = n;
	return hex_get(padded, sizeof padded, out->bytes, HASH_SIZE) < 0 ? -ENOENT : 0;
}

static bool begins(const struct wanted *w, const uint8_t *hash, size_t hash_size)
{
	size_t whole = w->digits / 2;

	if (2 * hash_size < w->digits || memcmp(w->bytes, hash, whole) != 0)
		return false;
	return w->digits % 2 == 0 || (w->bytes[whole] ^ hash[whole]) >> 4 == 0;
}

struct found {
	uint8_t hash[HASH_SIZE];
	uint8_t hash_size; /* 0: nothing yet */
	uint64_t object;
	struct hash_hit at;
};

static bool is_lower(const struct hash_hit *a, const struct hash_hit *b)
{
	/* HASH_HIT_BLOCK + 1 is 0: the block before its items. */
	uint32_t item_a = a->item + 1, item_b = b->item + 1;

	if (a->shard != b->shard)
		return a->shard < b->shard;
	return a->height != b->height ? a->height < b->height : item_a < item_b;
}

/* One thing with a whole hash that begins as wanted. */
static int take(struct look *l, const struct wanted *w, const uint8_t *hash, uint8_t hash_size,
		uint64_t object, const struct hash_hit *hit, struct found *f)
{
	if (!begins(w, hash, hash_size))
		return 0;
	if (f->hash_size && !slice_eq(SLICE(f->hash, f->hash_size), SLICE(hash, hash_size)))
		return err_set(l->err, -ENOTUNIQ, "several hashes begin so: give more digits");
	if (f->hash_size && !is_lower(hit, &f->at))
		return 0;
	memcpy(f->hash, hash, hash_size);
	f->hash_size = hash_size;
	f->object = object;
	f->at = *hit;
	return 0;
}

/* The index knows the first bytes of a hash alone; the rest is in the block's row, or in the item's
 * bytes, or in those of the record inside of it. */
static int check_hit(struct look *l, const struct wanted *w, const struct hash_hit *hit,
		     struct found *f)
{
	const struct block_row *row;
	uint8_t hash[HASH_SIZE], hash_size;
	int rc = look_block(l, hit->shard, hit->height, &row);

	if (rc == -ENOENT || rc == -ENODATA || rc == -ESTALE)
		return 0; /* not held */
	if (rc < 0)
		return rc;
	if (hit->item == HASH_HIT_BLOCK)
		return take(l, w, row->hash, HASH_SIZE, row->object, hit, f);
	for (uint64_t inner = 0; inner < 2; inner++) {
		uint64_t item = row->object + 1 + 2 * (uint64_t)hit->item, object = item + inner;

		rc = object_hash(l, object, hash, &hash_size);
		if (rc == -ESTALE && inner)
			break; /* it carries no record */
		if (rc == 0)
			rc = take(l, w, hash, hash_size, item, hit, f);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int hash_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	AUTO(base_freep) struct hash_hit *hits = calloc(HITS_MAX, sizeof *hits);
	struct found found = { .hash_size = 0 };
	struct wanted wanted;
	int rc = read_digits(name, &wanted);

	if (rc < 0)
		return rc;
	if (!hits)
		return -ENOMEM;
	const struct hash_hit *after = NULL;
	struct hash_hit last;
	int count;

	do {
		count = network_by_hash(l->view->network, wanted.bytes, wanted.digits, after, hits,
					HITS_MAX);
		if (count < 0)
			return count;
		for (int i = 0; i < count; i++) {
			rc = check_hit(l, &wanted, &hits[i], &found);
			if (rc < 0)
				return rc;
		}
		last = hits[MAX(count, 1) - 1];
		after = &last;
	} while (count == HITS_MAX);
	if (!found.hash_size)
		return err_set(l->err, -ENOENT,
			       "no block or item that is held has a hash that begins so");
	node_of_object(out, ROW_HASH, found.object);
	return 0;
}

/* From by-hash/ to the block's or item's place in legacy, which hyper has too. */
static int hash_read(struct look *l, const struct node *n, struct buf *out)
{
	char range[PATH_NAME_SIZE], height[PATH_NAME_SIZE], item[ITEM_NAME_SIZE];
	const struct block_row *row;
	struct stat_record stat;
	int rc = look_stat(l, n->key, &stat);

	if (rc < 0)
		return rc;
	path_range_name(path_range_of(stat.height / RANGE_SIZE), range);
	path_height_name(stat.height, height);
	buf_str(out, "../legacy/");
	if (stat.shard)
		buf_fmt(out, "shards/%" PRIu32 "/", stat.shard);
	buf_fmt(out, "blocks/%s/%s", range, height);
	if (stat.type == OBJECT_BLOCK)
		return buf_done(out);
	rc = look_block(l, stat.shard, stat.height, &row);
	if (rc == 0)
		rc = item_name(l, row, stat.item, item);
	if (rc == 0)
		buf_fmt(out, "/items/%s.json", item);
	return rc < 0 ? rc : buf_done(out);
}

static int hash_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	struct stat_record stat;
	int rc = look_stat(l, n->key, &stat);

	if (rc == 0)
		rc = hash_read(l, n, &text);
	if (rc < 0)
		return rc;
	out->size = text.n;
	out->mtime = stat.time;
	out->settles = true; /* a block yet to come may have a hash that begins so too */
	return 0;
}

const struct entry_ops by_hash_ops = { .attr = by_hash_attr };
const struct entry_ops hash_ops = { .find = hash_find, .attr = hash_attr, .read = hash_read };
