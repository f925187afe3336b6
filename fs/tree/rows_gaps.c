/* gaps/ and heights/: what is missing of each shard, and why. */
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

static int folder_attr(struct look *l, const struct node *n, struct attr *out)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++)
		out->mtime = MAX(out->mtime, l->view->shards[s].tip_time);
	out->grows = true;
	return 0;
}

static int shard_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, n->scope.shard)->tip_time;
	out->grows = n->row == ROW_GAPS_SHARD;
	return 0;
}

/* ---- gaps/SHARD ---- */

static bool has_gaps(const struct shard_view *sv)
{
	uint64_t cursor = 1;
	struct gap gap;

	return gaps_next(&sv->gaps, sv->known, &cursor, &gap);
}

static int shard_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t shard;

	if (path_padded(name, strlen(name), 1, &shard) < 0 || shard >= l->view->shard_count ||
	    !has_gaps(look_shard(l, (uint32_t)shard)))
		return -ENOENT;
	out->scope.shard = (uint32_t)shard;
	return 0;
}

static int shard_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		if (!has_gaps(look_shard(l, s)))
			continue;
		n.scope.shard = s;
		snprintf(name, sizeof name, "%" PRIu32, s);
		if (!lister_give(to, name, &n, s + 1, NULL))
			return 0;
	}
	return 0;
}

/* ---- gaps/SHARD/RANGE ---- */

/* The gap that begins at `first`, as the view has it. */
static bool gap_at(const struct shard_view *sv, uint64_t first, struct gap *out)
{
	uint64_t cursor = first;
	struct gap below;

	if (first == 0 || !gaps_next(&sv->gaps, sv->known, &cursor, out) ||
	    out->range.first != first)
		return false;
	if (first == 1 || gaps_has(&sv->gaps, first - 1))
		return true;
	/* The height below is missing too: this one begins here only where the two were parted. */
	cursor = first - 1;
	return gaps_next(&sv->gaps, sv->known, &cursor, &below) && below.range.end == first;
}

static void gap_node(const struct look *l, uint64_t first, struct node *n)
{
	n->key = first;
	node_of_view(l, n);
}

static int gap_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	struct range r;
	struct gap gap;

	if (path_range(name, strlen(name), &r) < 0 ||
	    !gap_at(look_shard(l, folder->scope.shard), r.first, &gap) || gap.range.end != r.end)
		return -ENOENT;
	gap_node(l, r.first, out);
	return 0;
}

static int gap_list(struct look *l, const struct node *folder, const struct node *child,
		    uint64_t after, struct lister *to)
{
	const struct shard_view *sv = look_shard(l, folder->scope.shard);
	uint64_t cursor = MAX(after, 1);
	struct gap gap;

	while (gaps_next(&sv->gaps, sv->known, &cursor, &gap)) {
		struct attr attr = { .type = NODE_FOLDER, .mtime = sv->tip_time, .settles = true };
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		if (after && gap.range.first == after)
			continue; /* it was given last, whatever it is by now */
		gap_node(l, gap.range.first, &n);
		path_range_name(gap.range, name);
		if (!lister_give(to, name, &n, gap.range.first, &attr))
			return 0;
	}
	return 0;
}

static int gaps_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope = (struct scope){ .kind = SCOPE_PLACE };
	if (n->row == ROW_GAP)
		out->scope.shard = n->scope.shard;
	return 0;
}

static void (*const renderers[ROW_COUNT])(const struct gap *g, struct buf *out) = {
	[ROW_GAP_STATUS] = render_gap_status, [ROW_GAP_REASON] = render_gap_reason,
	[ROW_GAP_ERROR] = render_gap_error,   [ROW_GAP_TRIES] = render_gap_tries,
	[ROW_GAP_NEXT] = render_gap_next,
};

static int file_read(struct look *l, const struct node *n, struct buf *out)
{
	struct gap gap;

	if (!gap_at(look_shard(l, n->scope.shard), n->key, &gap))
		return -ESTALE;
	renderers[n->row](&gap, out);
	return buf_done(out);
}

static int file_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = file_read(l, n, &text);

	out->size = text.n;
	out->mtime = look_shard(l, n->scope.shard)->tip_time;
	return rc;
}

/* ---- heights/SHARD.map ---- */

#define HOLE_PAGE 4096u

static int map_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t shard;
	size_t size;

	if (!path_ends(name, ".map", &size) || path_padded(name, size, 1, &shard) < 0 ||
	    shard >= l->view->shard_count)
		return -ENOENT;
	out->scope.shard = (uint32_t)shard;
	node_of_view(l, out);
	return 0;
}

static int map_list(struct look *l, const struct node *folder, const struct node *child,
		    uint64_t after, struct lister *to)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		n.scope.shard = s;
		node_of_view(l, &n);
		snprintf(name, sizeof name, "%" PRIu32 ".map", s);
		if (!lister_give(to, name, &n, s + 1, NULL))
			return 0;
	}
	return 0;
}

/* Heights that nobody brought read as zero. Only whole pages of them are a hole: who copies a file
 * by its holes asks once a page, not once a height. The byte of height h is h - 1. */
static bool map_hole(struct look *l, const struct node *n, uint64_t from, struct range *out)
{
	const struct shard_view *sv = look_shard(l, n->scope.shard);
	uint64_t cursor = from < UINT64_MAX ? from + 1 : from;
	struct gap gap;

	/* What is missing begins before `from`: a gap is cut at a page, not where the question
	 * is. */
	cursor -= (cursor - 1) % HOLE_PAGE;
	while (gaps_next(&sv->gaps, sv->known, &cursor, &gap)) {
		out->first = (gap.range.first - 1 + HOLE_PAGE - 1) / HOLE_PAGE * HOLE_PAGE;
		out->end = (gap.range.end - 1) / HOLE_PAGE * HOLE_PAGE;
		if (!gap.fault && out->first < out->end && out->end > from)
			return true;
	}
	return false;
}

static int map_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct shard_view *sv = look_shard(l, n->scope.shard);

	struct range hole = { 0, 0 };

	out->size = sv->known ? sv->known + 1 : 0;
	out->mtime = sv->tip_time;
	while (map_hole(l, n, hole.end, &hole))
		out->hole_bytes += hole.end - hole.first;
	return 0;
}


static int map_read(struct look *l, const struct node *n, struct buf *out)
{
	render_map(look_shard(l, n->scope.shard), out);
	return buf_done(out);
}

const struct entry_ops gaps_ops = { .attr = folder_attr };
const struct entry_ops gaps_shard_ops = {
	.find = shard_find, .list = shard_list, .few = true, .attr = shard_attr,
	.parent = gaps_parent,
};
const struct entry_ops gap_ops = {
	.find = gap_find, .list = gap_list, .attr = shard_attr, .parent = gaps_parent,
};
const struct entry_ops gap_status_ops = { .attr = file_attr, .read = file_read };
const struct entry_ops gap_reason_ops = { .attr = file_attr, .read = file_read };
const struct entry_ops gap_error_ops = { .attr = file_attr, .read = file_read };
const struct entry_ops gap_tries_ops = { .attr = file_attr, .read = file_read };
const struct entry_ops gap_next_ops = { .attr = file_attr, .read = file_read };
const struct entry_ops heights_ops = { .attr = folder_attr };
const struct entry_ops map_ops = {
	.find = map_find, .list = map_list, .few = true, .attr = map_attr, .read = map_read,
	.hole = map_hole,
};
