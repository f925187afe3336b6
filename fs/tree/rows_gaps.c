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

static void (*const renderers[ROW_COUNT])(const struct gap *g, const struct gap_sight *s,
					  struct buf *out) = {
	[ROW_GAP_STATUS] = render_gap_status, [ROW_GAP_REASON] = render_gap_reason,
	[ROW_GAP_ERROR] = render_gap_error,   [ROW_GAP_TRIES] = render_gap_tries,
	[ROW_GAP_NEXT] = render_gap_next,     [ROW_GAP_CLAIM] = render_gap_claim,
};

/* Below a folder that is of one view: a version of following shows the same gap, or the file stays
 * as of that view. */
static int file_make(struct look *l, const struct node *folder, struct node *out)
{
	struct node as_of_view = *out;
	struct gap now, then;

	if (look_sight_newest(l, out) &&
	    gap_at(look_shard(l, out->scope.shard), out->key, &then) &&
	    gap_at(&l->sight->view->shards[out->scope.shard], out->key, &now) &&
	    now.range.end == then.range.end)
		return 0;
	*out = as_of_view;
	return 0;
}

/* A gap is asked for piece by piece: of its two ends the one that something is done about. */
static bool claim_of(struct sight_version *v, uint32_t shard, struct range r,
		     struct sight_claim *out)
{
	struct sight_claim last;

	if (!sight_version_claim(v, shard, r.first, out))
		return false;
	if (r.end - r.first > 1 && !out->claim.asked && !out->claim.checking &&
	    sight_version_claim(v, shard, r.end - 1, &last) &&
	    (last.claim.asked || last.claim.checking || last.claim.tries > out->claim.tries))
		*out = last;
	return true;
}

static int file_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct sight_version *v = NULL;
	struct sight_claim claim;
	struct gap gap;
	int rc = n->scope.kind == SCOPE_SIGHT ? look_sight(l, n, &v) : 0;

	if (rc < 0)
		return rc;
	if (n->scope.shard >= (v ? v->view : l->view)->shard_count ||
	    !gap_at(&(v ? v->view : l->view)->shards[n->scope.shard], n->key, &gap))
		return -ESTALE;
	bool told = v && claim_of(l->sight, n->scope.shard, gap.range, &claim);

	renderers[n->row](&gap, told ? &(struct gap_sight){ &v->sight, &claim } : NULL, out);
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
		if ((!gap.fault || gap.fault == &sv->gaps.rolled) && out->first < out->end &&
		    out->end > from)
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
const struct entry_ops gap_status_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops gap_reason_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops gap_error_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops gap_tries_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops gap_next_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops gap_claim_ops = {
	.make = file_make, .attr = file_attr, .read = file_read,
};
const struct entry_ops heights_ops = { .attr = folder_attr };
const struct entry_ops map_ops = {
	.find = map_find, .list = map_list, .few = true, .attr = map_attr, .read = map_read,
	.hole = map_hole,
};
