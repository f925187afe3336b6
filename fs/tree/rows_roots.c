/* What each height left behind in one context: roots/, and in hyper envelopes/. */
#include "core/ingest/envelope.h"
#include "core/store/lines.h"
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

#include <stdio.h>

/* The heights with a root in this context, or with an envelope, as a range; empty when there is
 * none. Where the state was restored there is its root, and what follows has envelopes. */
static struct range heights_of(const struct look *l, const struct node *n)
{
	const struct scope *s = &n->scope;
	const struct shard_view *sv = look_shard(l, s->shard);
	bool root = n->row == ROW_ROOTS_RANGE;
	uint64_t first = sv->begins ? sv->begins + !root : 1;
	struct range r = { first, sv->replayed + 1 };

	if (s->context == CONTEXT_HYPER && !sv->hyper_on)
		r.end = r.first;
	else if (s->context == CONTEXT_HYPER)
		r.first = MAX(first, sv->base_height + 1);
	r.end = MAX(r.first, r.end);
	return r;
}

/* Those of one range of RANGE_SIZE. */
static struct range heights_in(const struct look *l, const struct node *n)
{
	struct range all = heights_of(l, n), r = path_range_of(n->key);

	r.first = MAX(r.first, all.first);
	r.end = MAX(r.first, MIN(r.end, all.end));
	return r;
}

static bool is_whole(const struct look *l, const struct node *n)
{
	const struct shard_view *sv = look_shard(l, n->scope.shard);
	struct range r = path_range_of(n->key);

	return sv->replayed >= r.end - 1 && sv->begins <= MAX(r.first, 1);
}

static int folder_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, n->scope.shard)->replayed_time;
	out->grows = true;
	return 0;
}

static int range_by_name(struct look *l, const char *name, size_t size, struct node *out)
{
	const struct shard_view *sv = look_shard(l, out->scope.shard);
	uint64_t number;
	int rc = path_block_range(name, size, &number);

	if (rc < 0)
		return rc;
	out->key = number;
	struct range r = heights_in(l, out);
	if (r.first < r.end)
		return 0;
	if (path_range_of(number).first > sv->known)
		return err_set(l->err, -ENOENT, "shard %u: %" PRIu64 " is the newest height known",
			       out->scope.shard, sv->known);
	if (out->scope.context == CONTEXT_HYPER && !sv->hyper_on)
		return err_set(l->err, -ENODATA, "hyper is off");
	return err_set(l->err, -ENODATA, "shard %u: nothing of %s is replayed in this context",
		       out->scope.shard, name);
}

static int ranges_list(struct look *l, const struct node *child, const char *suffix,
		       int (*make)(struct look *l, struct node *n), uint64_t after,
		       struct lister *to)
{
	struct range all = heights_of(l, child);

	for (uint64_t number = MAX(all.first / RANGE_SIZE, after);
	     all.first < all.end && number <= (all.end - 1) / RANGE_SIZE; number++) {
		char name[PATH_NAME_SIZE], whole[PATH_NAME_SIZE + 8];
		struct node n = *child;

		n.key = number;
		int rc = make(l, &n);
		if (rc < 0)
			return rc;
		path_range_name(path_range_of(number), name);
		snprintf(whole, sizeof whole, "%s%s", name, suffix);
		if (!lister_give(to, whole, &n, number + 1, NULL))
			return 0;
	}
	return 0;
}

/* ---- roots/RANGE.tsv ---- */

static int table_make(struct look *l, struct node *n)
{
	if (!is_whole(l, n))
		node_of_view(l, n);
	return 0;
}

static int table_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	size_t size;
	int rc = path_ends(name, ".tsv", &size) ? range_by_name(l, name, size, out) : -ENOENT;

	return rc < 0 ? rc : table_make(l, out);
}

static int table_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	return ranges_list(l, child, ".tsv", table_make, after, to);
}

static int each_root(struct look *l, const struct node *n, uint64_t *size, struct buf *out)
{
	struct range r = heights_in(l, n);

	for (uint64_t h = r.first; h < r.end; h++) {
		struct roots_row row;
		int rc = network_roots(l->view->network, n->scope.shard, h, &row);

		if (rc <= 0)
			return err_set(l->err, rc ? rc : -EUCLEAN,
				       "shard %u height %" PRIu64 ": its roots are missing",
				       n->scope.shard, h);
		const struct chain_root *root =
			n->scope.context == CONTEXT_HYPER ? &row.hyper : &row.legacy;
		*size += line_roots_size(h, root);
		if (out)
			line_roots(h, root, out);
	}
	return out ? buf_done(out) : 0;
}

static int table_read(struct look *l, const struct node *n, struct buf *out)
{
	uint64_t size = 0;

	return each_root(l, n, &size, out);
}

/* What ingest added up; 0: it did not. A row of hyper may tell of an earlier base. */
static uint64_t size_known(const struct look *l, const struct node *n, const struct range_row *row)
{
	const struct shard_view *sv = look_shard(l, n->scope.shard);

	if (n->scope.context == CONTEXT_HYPER && sv->base_height > 0 &&
	    sv->base_height >= path_range_of(n->key).first)
		return 0;
	return row->roots_bytes[n->scope.context];
}

static int table_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct range r = heights_in(l, n);
	const struct block_row *block;
	struct range_row row = { 0 };
	int rc = is_whole(l, n) ? network_range(l->view->network, n->scope.shard, n->key, &row) : 0;

	if (rc < 0)
		return rc;
	if (rc == 1)
		out->size = size_known(l, n, &row);
	if (!out->size)
		rc = each_root(l, n, &out->size, NULL);
	if (rc < 0 || r.first == r.end)
		return rc;
	out->mtime = r.end == path_range_of(n->key).end ? row.time : 0;
	if (out->mtime)
		return 0;
	rc = look_block(l, n->scope.shard, r.end - 1, &block);
	out->mtime = rc < 0 ? 0 : block->time;
	return rc;
}

/* ---- envelopes/ ---- */

static int envelopes_make(struct look *l, const struct node *folder, struct node *out)
{
	return folder->scope.context == CONTEXT_HYPER ? 0 : -ENOENT;
}

static int plain(struct look *l, struct node *n)
{
	return 0;
}

static int envelope_range_find(struct look *l, const struct node *folder, const char *name,
			       struct node *out)
{
	return range_by_name(l, name, strlen(name), out);
}

static int envelope_range_list(struct look *l, const struct node *folder, const struct node *child,
			       uint64_t after, struct lister *to)
{
	return ranges_list(l, child, "", plain, after, to);
}

static int envelope_range_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct range r = heights_in(l, n);
	const struct block_row *block;
	int rc = r.first < r.end ? look_block(l, n->scope.shard, r.end - 1, &block) : -ENODATA;

	if (rc < 0)
		return rc;
	out->mtime = block->time;
	out->grows = !is_whole(l, n);
	return 0;
}

static int envelope_by_name(struct look *l, const struct node *folder, const char *name,
			    const char *suffix, struct node *out)
{
	struct range in = path_range_of(folder->key);
	uint64_t height;
	size_t size;

	if (!path_ends(name, suffix, &size) ||
	    path_padded(name, size, HEIGHT_DIGITS, &height) < 0 || height < MAX(in.first, 1) ||
	    height >= in.end)
		return -ENOENT;
	out->key = height;
	int rc = look_readable(l, CONTEXT_HYPER, folder->scope.shard, height);
	if (rc == 0 && height == look_shard(l, folder->scope.shard)->begins)
		rc = err_set(l->err, -ENODATA,
			     "shard %u: height %" PRIu64 " is where the state here begins: what it "
			     "retained is not told apart",
			     folder->scope.shard, height);
	return rc;
}

static int envelope_find(struct look *l, const struct node *folder, const char *name,
			 struct node *out)
{
	return envelope_by_name(l, folder, name, look_ops(l)->block_suffix, out);
}

static int envelope_json_find(struct look *l, const struct node *folder, const char *name,
			      struct node *out)
{
	return envelope_by_name(l, folder, name, ".json", out);
}

/* Both files of each height, since their names take turns: .json stands before .pb. */
static int envelope_list(struct look *l, const struct node *folder, const struct node *child,
			 uint64_t after, struct lister *to)
{
	struct range r = heights_in(l, folder);

	for (uint64_t low = MAX(after + 1, 2 * r.first); low < 2 * r.end; low++) {
		bool json = low % 2 == 0;
		char name[PATH_NAME_SIZE], whole[PATH_NAME_SIZE + 8];
		struct node n = *child;

		n.row = json ? ROW_ENVELOPE_JSON : ROW_ENVELOPE;
		n.key = low / 2;
		path_height_name(n.key, name);
		snprintf(whole, sizeof whole, "%s%s", name,
			 json ? ".json" : look_ops(l)->block_suffix);
		if (!lister_give(to, whole, &n, low, NULL))
			return 0;
	}
	return 0;
}

static int envelope_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct block_row *block;
	struct roots_row row;
	int rc = look_readable(l, CONTEXT_HYPER, n->scope.shard, n->key);

	if (rc == 0)
		rc = look_block(l, n->scope.shard, n->key, &block);
	if (rc == 0)
		rc = network_roots(l->view->network, n->scope.shard, n->key, &row);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return err_set(l->err, -EUCLEAN,
			       "shard %u height %" PRIu64 ": its roots are missing", n->scope.shard,
			       n->key);
	out->size = n->row == ROW_ENVELOPE_JSON ? row.envelope_json_size : row.envelope_size;
	out->mtime = block->time;
	return 0;
}

static int envelope_bytes(struct look *l, const struct node *n, struct buf *out)
{
	return envelope_read(l->view, n->scope.shard, n->key, n->row == ROW_ENVELOPE_JSON, out,
			     l->err);
}

const struct entry_ops roots_ops = { .attr = folder_attr };
const struct entry_ops roots_range_ops = {
	.find = table_find, .list = table_list, .attr = table_attr, .read = table_read,
};
const struct entry_ops envelopes_ops = { .make = envelopes_make, .attr = folder_attr };
const struct entry_ops envelope_range_ops = {
	.find = envelope_range_find, .list = envelope_range_list, .attr = envelope_range_attr,
};
const struct entry_ops envelope_ops = {
	.find = envelope_find, .list = envelope_list, .attr = envelope_attr, .read = envelope_bytes,
};
const struct entry_ops envelope_json_ops = {
	.find = envelope_json_find, .attr = envelope_attr, .read = envelope_bytes,
};
