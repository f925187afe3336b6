#include "core/ingest/ranges.h"

#include "core/store/lines.h"

void ranges_release(struct ranges *r)
{
	free(r->list);
	*r = (struct ranges){ 0 };
}

static int note(struct ranges *r, struct range_note note)
{
	if (base_grow(&r->list, &r->cap, r->count + 1, sizeof *r->list) < 0)
		return -ENOMEM;
	note.turn = r->count;
	r->list[r->count++] = note;
	return 0;
}

int ranges_held(struct ranges *r, const struct block_row *row)
{
	return note(r, (struct range_note){ .shard = row->shard,
					    .height = row->height,
					    .a = line_index_size(row),
					    .b = row->line_bytes,
					    .time = row->time });
}

static uint64_t hyper_line(uint64_t height, const struct roots_row *roots)
{
	return roots->has_hyper ? line_roots_size(height, &roots->hyper) : 0;
}

int ranges_replayed(struct ranges *r, uint32_t shard, uint64_t height,
		    const struct roots_row *roots)
{
	return note(r, (struct range_note){ .shard = shard,
					    .roots = true,
					    .height = height,
					    .a = line_roots_size(height, &roots->legacy),
					    .b = hyper_line(height, roots) });
}

/* ---- one range ---- */

struct sizes {
	bool known;
	uint64_t a, b, time;
};

struct whole { /* by place in the range */
	struct sizes of[RANGE_SIZE];
};

static int stored_blocks(struct network *n, uint32_t shard, struct range r, struct whole *w)
{
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	struct block_row row;
	int rc = block_scan_new(n, shard, r.first, &scan);

	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1 && row.height < r.end) {
		struct sizes *s = &w->of[row.height % RANGE_SIZE];

		if (!s->known)
			*s = (struct sizes){ true, line_index_size(&row), row.line_bytes,
					     row.time };
		rc = 0;
	}
	return MIN(rc, 0);
}

static int stored_roots(struct network *n, uint32_t shard, struct range r, struct whole *w)
{
	for (uint64_t h = r.first; h < r.end; h++) {
		struct sizes *s = &w->of[h % RANGE_SIZE];
		struct roots_row row;
		int rc = s->known ? 0 : network_roots(n, shard, h, &row);

		if (rc < 0)
			return rc;
		if (rc == 1)
			*s = (struct sizes){ true, line_roots_size(h, &row.legacy),
					     hyper_line(h, &row), 0 };
	}
	return 0;
}

/* Sums over the heights of `r`, and the last one's time: those noted first, the others as they are
 * stored. */
static int add_up(struct network *n, const struct range_note *list, size_t count, struct range r,
		  struct sizes *out)
{
	AUTO(base_freep) struct whole *w = calloc(1, sizeof *w);
	uint64_t noted = 0;
	int rc = 0;

	if (!w)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct sizes *s = &w->of[list[i].height % RANGE_SIZE];

		noted += !s->known;
		*s = (struct sizes){ true, list[i].a, list[i].b, list[i].time };
	}
	if (noted < r.end - r.first)
		rc = list->roots ? stored_roots(n, list->shard, r, w)
				 : stored_blocks(n, list->shard, r, w);
	*out = (struct sizes){ .time = w->of[RANGE_SIZE - 1].time };
	for (size_t i = 0; i < RANGE_SIZE; i++) {
		out->a += w->of[i].a;
		out->b += w->of[i].b;
	}
	return rc;
}

static bool is_whole(const struct shard_view *sv, bool roots, struct range r)
{
	uint64_t cursor = r.first;
	struct gap gap;

	if (roots) /* below where a restored state begins nothing was replayed: never whole */
		return sv->replayed >= r.end - 1 && sv->begins <= r.first;
	return !gaps_next(&sv->gaps, r.end - 1, &cursor, &gap);
}

/* Notes of one kind and one range. 1: the row has changed. */
static int fill(struct network *n, const struct shard_view *sv, const struct range_note *list,
		size_t count, struct range_row *row)
{
	uint64_t number = list->height / RANGE_SIZE;
	struct sizes sum;
	struct range r = { MAX(number * RANGE_SIZE, 1), (number + 1) * RANGE_SIZE };

	if (!is_whole(sv, list->roots, r))
		return 0;
	int rc = add_up(n, list, count, r, &sum);

	if (rc < 0)
		return rc;
	if (!list->roots) {
		row->index_bytes = sum.a;
		row->items_bytes = sum.b;
		row->time = sum.time;
	} else {
		/* Hyper's file begins above its base: one that does not hold the whole range is
		 * added up by who asks. */
		bool all = sv->hyper_on && (sv->base_height == 0 || sv->base_height < r.first);

		row->roots_bytes[CONTEXT_LEGACY] = sum.a;
		row->roots_bytes[CONTEXT_HYPER] = all ? sum.b : 0;
	}
	return 1;
}

static int order(const void *x, const void *y)
{
	const struct range_note *a = x, *b = y;
	uint64_t ra = a->height / RANGE_SIZE, rb = b->height / RANGE_SIZE;

	if (a->shard != b->shard)
		return a->shard < b->shard ? -1 : 1;
	if (ra != rb)
		return ra < rb ? -1 : 1;
	if (a->roots != b->roots)
		return a->roots ? 1 : -1;
	return a->turn < b->turn ? -1 : 1;
}

static bool same_range(const struct range_note *a, const struct range_note *b)
{
	return a->shard == b->shard && a->height / RANGE_SIZE == b->height / RANGE_SIZE;
}

/* Both kinds of one range, `count` notes; the first ones are of blocks. */
static int put_range(struct network *n, struct commit *c, const struct range_note *list,
		     size_t count)
{
	const struct shard_view *sv = &commit_view(c)->shards[list->shard];
	uint64_t number = list->height / RANGE_SIZE;
	struct range_row row = { 0 };
	size_t blocks = 0;
	int changed = 0, rc = network_range(n, list->shard, number, &row);

	while (blocks < count && !list[blocks].roots)
		blocks++;
	if (rc >= 0 && blocks)
		rc = changed = fill(n, sv, list, blocks, &row);
	if (rc >= 0 && blocks < count)
		rc = fill(n, sv, list + blocks, count - blocks, &row);
	if (rc < 0)
		return rc;
	return changed || (rc && blocks < count) ? commit_range(c, list->shard, number, &row) : 0;
}

int ranges_commit(struct ranges *r, struct network *n, struct commit *c)
{
	int rc = 0;

	if (r->count > 1)
		qsort(r->list, r->count, sizeof *r->list, order);
	for (size_t i = 0, end; rc == 0 && i < r->count; i = end) {
		for (end = i + 1; end < r->count && same_range(&r->list[i], &r->list[end]);)
			end++;
		rc = put_range(n, c, r->list + i, end - i);
	}
	r->count = 0;
	return rc;
}
