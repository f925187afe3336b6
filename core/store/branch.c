#include "core/store/branch.h"

enum { FLAG_SETTLED = 1, FLAG_ANEW = 2 };

#define BRANCHES_MAX (1u << 20) /* rollbacks in the life of a network; a bound for reading */

static int make_room(struct branches *b, size_t need)
{
	size_t cap = MAX(need, b->cap * 2);

	if (need <= b->cap)
		return 0;
	struct branch *list = realloc(b->list, cap * sizeof *list);

	if (!list)
		return -ENOMEM;
	b->list = list;
	b->cap = cap;
	return 0;
}

int branches_init(struct branches *b)
{
	*b = (struct branches){ 0 };
	int rc = make_room(b, 1);

	if (rc < 0)
		return rc;
	b->list[0] = (struct branch){ 0 };
	b->count = 1;
	return 0;
}

void branches_release(struct branches *b)
{
	free(b->list);
	*b = (struct branches){ 0 };
}

int branches_copy(struct branches *to, const struct branches *from)
{
	int rc = make_room(to, from->count);

	if (rc < 0)
		return rc;
	memcpy(to->list, from->list, from->count * sizeof *to->list);
	to->count = from->count;
	return 0;
}

int branches_open(struct branches *b, uint32_t parent, const uint64_t heights[SHARD_MAX],
		  uint32_t *out)
{
	if (parent >= b->count)
		return -EINVAL;
	if (b->count >= BRANCHES_MAX)
		return -EMSGSIZE;
	int rc = make_room(b, b->count + 1);

	if (rc < 0)
		return rc;
	struct branch *branch = &b->list[b->count];

	*branch = (struct branch){ .parent = parent };
	memcpy(branch->heights, heights, sizeof branch->heights);
	*out = (uint32_t)b->count++;
	return 0;
}

static bool is_of(const struct branch *b, uint32_t shard, uint64_t height)
{
	const struct anew *a = &b->anew[shard];

	return height > b->heights[shard] || (a->first && height >= a->first && height < a->end);
}

uint32_t branches_line(const struct branches *b, uint32_t branch, uint32_t shard, uint64_t height)
{
	while (branch && !is_of(&b->list[branch], shard, height))
		branch = b->list[branch].parent;
	return branch;
}

uint64_t branches_lowest(const struct branches *b, uint32_t shard)
{
	uint64_t lowest = UINT64_MAX;

	for (size_t i = 1; i < b->count; i++)
		if (!b->list[i].settled)
			lowest = MIN(lowest, b->list[i].heights[shard]);
	return lowest;
}

void branches_settle(struct branches *b)
{
	for (size_t i = 1; i < b->count; i++)
		b->list[i].settled = true;
}

static bool has_anew(const struct branch *b)
{
	for (size_t shard = 0; shard < SHARD_MAX; shard++)
		if (b->anew[shard].first)
			return true;
	return false;
}

/* Branch 0 is not written: count of the others, then parent, flags and the heights of each, and if a
 * flag says so first and end of what is anew in each shard. */
void branches_write(const struct branches *b, struct buf *out)
{
	buf_varint(out, b->count - 1);
	for (size_t i = 1; i < b->count; i++) {
		const struct branch *branch = &b->list[i];
		bool anew = has_anew(branch);

		buf_varint(out, branch->parent);
		buf_u8(out, (branch->settled ? FLAG_SETTLED : 0) | (anew ? FLAG_ANEW : 0));
		for (size_t shard = 0; shard < SHARD_MAX; shard++)
			buf_varint(out, branch->heights[shard]);
		for (size_t shard = 0; anew && shard < SHARD_MAX; shard++) {
			buf_varint(out, branch->anew[shard].first);
			buf_varint(out, branch->anew[shard].end);
		}
	}
}

int branches_read(struct slice in, struct branches *out)
{
	AUTO(branches_release) struct branches b = { 0 };
	struct rd r = rd_of(in);
	uint64_t count = rd_varint(&r);
	int rc = branches_init(&b);

	if (rc == 0 && count >= BRANCHES_MAX)
		return -EBADMSG;
	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		struct branch branch = { 0 };
		uint64_t parent = rd_varint(&r);
		uint8_t flags = rd_u8(&r);
		uint32_t id;

		for (size_t shard = 0; shard < SHARD_MAX; shard++)
			branch.heights[shard] = rd_varint(&r);
		for (size_t shard = 0; flags & FLAG_ANEW && shard < SHARD_MAX; shard++) {
			branch.anew[shard].first = rd_varint(&r);
			branch.anew[shard].end = rd_varint(&r);
		}
		if (!rd_ok(&r) || parent > i || flags & ~(FLAG_SETTLED | FLAG_ANEW))
			return -EBADMSG;
		rc = branches_open(&b, (uint32_t)parent, branch.heights, &id);
		if (rc < 0)
			continue;
		b.list[id].settled = flags & FLAG_SETTLED;
		memcpy(b.list[id].anew, branch.anew, sizeof branch.anew);
	}
	if (rc == 0)
		rc = rd_done(&r);
	if (rc < 0)
		return rc;
	*out = b;
	b = (struct branches){ 0 };
	return 0;
}

/* ---- lineage ---- */

int lineage_of(const struct branches *b, uint32_t branch, uint32_t shard, struct lineage *out)
{
	size_t count = 1;

	if (branch >= b->count || shard >= SHARD_MAX)
		return -EINVAL;
	for (uint32_t id = branch; id; id = b->list[id].parent)
		count++;
	out->steps = malloc(count * sizeof *out->steps);
	if (!out->steps)
		return -ENOMEM;
	out->count = count;

	/* A parent is older than its child, so walking up fills the list from its end. What is seen
	 * of an ancestor ends at the lowest parting on the way to it. */
	uint64_t height = UINT64_MAX;

	for (uint32_t id = branch; count--; id = b->list[id].parent) {
		out->steps[count] = (struct lineage_step){ id, height };
		height = MIN(height, b->list[id].heights[shard]);
	}
	return 0;
}

void lineage_release(struct lineage *l)
{
	free(l->steps);
	*l = (struct lineage){ 0 };
}

bool lineage_sees(const struct lineage *l, uint32_t branch, uint64_t height)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->steps[middle].branch < branch)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->count && l->steps[low].branch == branch && height <= l->steps[low].height;
}
