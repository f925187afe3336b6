#include "core/ingest/links.h"

#define SIZE_FIRST 64u
#define SIZE_KEPT  4096u /* memory of a run of many small blocks is given back */

void links_release(struct links *l)
{
	free(l->table);
	*l = (struct links){ 0 };
}

void links_clear(struct links *l)
{
	if (l->size > SIZE_KEPT)
		links_release(l);
	else if (l->count)
		memset(l->table, 0, l->size * sizeof *l->table);
	l->count = 0;
}

/* Its place, or the free one where it belongs. The table is never full. */
static struct link *place_of(const struct links *l, uint32_t shard, uint64_t height)
{
	uint64_t key = (height << 8 ^ shard) * UINT64_C(0x9e3779b97f4a7c15);
	size_t at = (size_t)(key >> 32) & (l->size - 1);

	while (l->table[at].there && (l->table[at].height != height || l->table[at].shard != shard))
		at = (at + 1) & (l->size - 1);
	return &l->table[at];
}

static int grow(struct links *l)
{
	struct links more = { .count = l->count, .size = l->size ? l->size * 2 : SIZE_FIRST };

	more.table = calloc(more.size, sizeof *more.table);
	if (!more.table)
		return -ENOMEM;
	for (size_t i = 0; i < l->size; i++)
		if (l->table[i].there)
			*place_of(&more, l->table[i].shard, l->table[i].height) = l->table[i];
	links_release(l);
	*l = more;
	return 0;
}

int links_put(struct links *l, const struct chain_block *b)
{
	int rc = 2 * (l->count + 1) > l->size ? grow(l) : 0;

	if (rc < 0)
		return rc;
	struct link *at = place_of(l, b->shard, b->height);

	l->count += !at->there;
	*at = (struct link){
		.height = b->height, .shard = b->shard, .parent_size = b->parent_size, .there = true
	};
	memcpy(at->hash, b->hash, HASH_SIZE);
	memcpy(at->parent, b->parent, b->parent_size);
	return 0;
}

const struct link *links_find(const struct links *l, uint32_t shard, uint64_t height)
{
	struct link *at = l->count ? place_of(l, shard, height) : NULL;

	return at && at->there ? at : NULL;
}
