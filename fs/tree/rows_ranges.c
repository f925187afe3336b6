/* blocks/: ranges of heights, the blocks in them, and a range's bulk files. */
#include "core/store/lines.h"
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

/* ---- what is held ---- */

uint64_t held_from(const struct gaps *g, uint64_t height)
{
	size_t i = gaps_range_at(g, MAX(height, 1));

	return i < g->held_count ? MAX(g->held[i].first, MAX(height, 1)) : 0;
}

bool held_whole(const struct shard_view *sv, struct range r)
{
	uint64_t cursor = MAX(r.first, 1);
	struct gap gap;

	return !gaps_next(&sv->gaps, r.end - 1, &cursor, &gap);
}

/* The highest height held below `end`; 0: none. */
static uint64_t held_below(const struct gaps *g, uint64_t end)
{
	size_t i = gaps_range_at(g, end - 1);

	if (i < g->held_count && g->held[i].first < end)
		return end - 1;
	return i > 0 ? g->held[i - 1].end - 1 : 0;
}

int held_time(struct look *l, uint32_t shard, struct range r, uint64_t *out)
{
	uint64_t height = held_below(&look_shard(l, shard)->gaps, r.end);
	const struct block_row *row;
	struct range_row known;
	int rc = 0;

	*out = 0;
	if (height < MAX(r.first, 1))
		return 0;
	/* A listing of all ranges asks this of each: their rows lie side by side, their blocks do
	 * not. */
	if (height == r.end - 1 && held_whole(look_shard(l, shard), r))
		rc = network_range(l->view->network, shard, r.first / RANGE_SIZE, &known);
	if (rc < 0)
		return rc;
	*out = rc == 1 ? known.time : 0;
	if (*out)
		return 0;
	rc = look_block(l, shard, height, &row);
	if (rc == 0)
		*out = row->time;
	return rc;
}

/* ---- ranges ---- */

static int blocks_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, n->scope.shard)->tip_time;
	out->grows = true;
	return 0;
}

static int range_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	const struct shard_view *sv = look_shard(l, folder->scope.shard);
	uint64_t number;
	int rc = path_block_range(name, strlen(name), &number);

	if (rc < 0)
		return rc;
	struct range r = path_range_of(number);
	uint64_t held = held_from(&sv->gaps, r.first);

	if (r.first > sv->known || sv->known == 0)
		return err_set(l->err, -ENOENT, "shard %u: %" PRIu64 " is the newest height known",
			       folder->scope.shard, sv->known);
	if (!held || held >= r.end)
		return err_set(l->err, -ENODATA, "shard %u: no block of %s is held",
			       folder->scope.shard, name);
	out->key = number;
	return 0;
}

static int range_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	const struct gaps *g = &look_shard(l, folder->scope.shard)->gaps;

	/* What was given last is range after - 1. */
	for (uint64_t held = held_from(g, after * RANGE_SIZE); held;) {
		struct node n = *child;
		char name[PATH_NAME_SIZE];

		n.key = held / RANGE_SIZE;
		path_range_name(path_range_of(n.key), name);
		if (!lister_give(to, name, &n, n.key + 1, NULL))
			return 0;
		held = held_from(g, (n.key + 1) * RANGE_SIZE);
	}
	return 0;
}

static int range_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct range r = path_range_of(n->key);

	out->grows = !held_whole(look_shard(l, n->scope.shard), r);
	return held_time(l, n->scope.shard, r, &out->mtime);
}

/* ---- blocks in a range ---- */

static int block_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	struct range r = path_range_of(folder->key);
	const struct block_row *row;
	uint64_t height;

	if (path_padded(name, strlen(name), HEIGHT_DIGITS, &height) < 0 || height < r.first ||
	    height >= r.end)
		return -ENOENT;
	int rc = look_block(l, folder->scope.shard, height, &row);
	return rc < 0 ? rc : node_of_block(l, out, row);
}

static int short_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	const struct block_row *row;
	uint64_t height;

	if (path_number(name, strlen(name), &height) < 0)
		return -ENOENT;
	int rc = look_block(l, folder->scope.shard, height, &row);
	return rc < 0 ? rc : node_of_block(l, out, row);
}

static int block_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	const struct gaps *g = &look_shard(l, folder->scope.shard)->gaps;
	struct range r = path_range_of(folder->key);
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	struct block_row row;
	int rc = block_scan_new(l->view->network, folder->scope.shard, MAX(r.first, after + 1),
				&scan);

	if (rc < 0)
		return rc;
	while ((rc = block_scan_next(scan, &row)) == 1 && row.height < r.end) {
		struct attr attr = { .type = NODE_FOLDER, .mtime = row.time };
		struct node n = *child;
		char name[PATH_NAME_SIZE];

		if (!gaps_has(g, row.height))
			continue; /* newer than the view */
		rc = node_of_block(l, &n, &row);
		if (rc < 0)
			return rc;
		path_height_name(row.height, name);
		if (!lister_give(to, name, &n, row.height, &attr))
			return 0;
	}
	return MIN(rc, 0);
}

static int block_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc == 0)
		out->mtime = row->time;
	return rc;
}

static int block_parent(struct look *l, const struct node *n, struct node *out)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc == 0)
		out->key = row->height / RANGE_SIZE;
	return rc;
}

/* ---- bulk files ---- */

static uint64_t held_in(const struct gaps *g, struct range r)
{
	uint64_t sum = 0;

	for (size_t i = gaps_range_at(g, r.first); i < g->held_count && g->held[i].first < r.end;
	     i++)
		sum += MIN(g->held[i].end, r.end) - MAX(g->held[i].first, r.first);
	return sum;
}

/* Every block of a range that the view holds, in order. A block that left since makes the view's
 * file stale: it must not come out short. */
static int each_block(struct look *l, const struct node *n, struct range r,
		      int (*call)(struct look *l, const struct block_row *row, void *arg),
		      void *arg)
{
	const struct gaps *g = &look_shard(l, n->scope.shard)->gaps;
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	uint64_t seen = 0;
	struct block_row row;
	int rc = block_scan_new(l->view->network, n->scope.shard, MAX(r.first, 1), &scan);

	if (rc < 0)
		return rc;
	while ((rc = block_scan_next(scan, &row)) == 1 && row.height < r.end) {
		if (!gaps_has(g, row.height))
			continue;
		seen++;
		rc = call(l, &row, arg);
		if (rc < 0)
			return rc;
	}
	if (rc < 0)
		return rc;
	return seen == held_in(g, r)
		       ? 0
		       : err_set(l->err, -ESTALE, "shard %u: a block of this range is gone",
				 n->scope.shard);
}

/* Until all heights are held, a file of this view; then the same one for ever, in both contexts. */
static int bulk_make(struct look *l, const struct node *folder, struct node *out)
{
	node_common(out);
	if (!held_whole(look_shard(l, folder->scope.shard), path_range_of(folder->key)))
		node_of_view(l, out);
	return 0;
}

struct sizes {
	uint64_t index, items;
};

static int add_sizes(struct look *l, const struct block_row *row, void *arg)
{
	struct sizes *sum = arg;

	sum->index += line_index_size(row);
	sum->items += row->line_bytes;
	return 0;
}

static int bulk_sizes(struct look *l, const struct node *n, struct sizes *out)
{
	struct range r = path_range_of(n->key);
	struct range_row row;

	*out = (struct sizes){ 0 };
	if (held_whole(look_shard(l, n->scope.shard), r)) {
		int rc = network_range(l->view->network, n->scope.shard, n->key, &row);
		if (rc < 0)
			return rc;
		if (rc == 1 && row.index_bytes) {
			*out = (struct sizes){ row.index_bytes, row.items_bytes };
			return 0;
		}
	}
	return each_block(l, n, r, add_sizes, out);
}

static int bulk_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct sizes sizes;
	int rc = bulk_sizes(l, n, &sizes);

	if (rc < 0)
		return rc;
	out->size = n->row == ROW_INDEX ? sizes.index : sizes.items;
	return held_time(l, n->scope.shard, path_range_of(n->key), &out->mtime);
}

static int add_index(struct look *l, const struct block_row *row, void *arg)
{
	line_index(row, arg);
	return buf_done(arg);
}

static int index_read(struct look *l, const struct node *n, struct buf *out)
{
	return each_block(l, n, path_range_of(n->key), add_index, out);
}

static int add_items(struct look *l, const struct block_row *row, void *arg)
{
	return items_lines(l, row, arg);
}

static int items_bulk_read(struct look *l, const struct node *n, struct buf *out)
{
	return each_block(l, n, path_range_of(n->key), add_items, out);
}

const struct entry_ops blocks_ops = { .attr = blocks_attr };
const struct entry_ops block_range_ops = {
	.find = range_find, .list = range_list, .attr = range_attr,
};
const struct entry_ops block_short_ops = { .find = short_find };
const struct entry_ops block_ops = {
	.find = block_find, .list = block_list, .attr = block_attr, .parent = block_parent,
};
const struct entry_ops index_ops = { .make = bulk_make, .attr = bulk_attr, .read = index_read };
const struct entry_ops items_bulk_ops = {
	.make = bulk_make, .attr = bulk_attr, .read = items_bulk_read,
};
