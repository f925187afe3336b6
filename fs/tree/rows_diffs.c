/* diffs/: hyper against legacy at a main height, the other shards at the heights it witnesses. */
#include "core/hyper/report.h"
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

#define KEY_BYTES_MAX 512
#define VSHARDS       256u
#define NO_ACCOUNT    UINT64_MAX

static int folder_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, 0)->replayed_time;
	out->grows = true;
	return 0;
}

/* ---- heights with a report: every shard is replayed up to its cut, and above hyper's base ---- */

static int all_cuts_replayed(struct look *l, uint64_t height)
{
	for (uint32_t s = 1; s < l->view->shard_count; s++) {
		uint64_t cut;
		int rc = look_cut(l, height, s, &cut);

		if (rc == 0)
			rc = look_readable(l, CONTEXT_LEGACY, s, cut);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int diff_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t height;

	if (path_number(name, strlen(name), &height) < 0 || height == 0)
		return -ENOENT;
	int rc = look_readable_main(l, CONTEXT_HYPER, height);
	if (rc == 0)
		rc = all_cuts_replayed(l, height);
	out->scope =
		(struct scope){ .kind = SCOPE_STATE, .context = CONTEXT_HYPER, .height = height };
	return rc;
}

/* Cuts never go down, so the heights whose cuts are replayed are all below the others. Where a
 * state was restored, its own were; below it nothing is. */
static int newest_diff(struct look *l, uint64_t *out)
{
	uint64_t low = look_shard(l, 0)->begins, high = look_shard(l, 0)->replayed + 1;

	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		int rc = all_cuts_replayed(l, middle);

		if (rc < 0 && rc != -ENODATA && rc != -ENOENT)
			return rc;
		*(rc == 0 ? &low : &high) = middle;
	}
	*out = low;
	if (low == 0)
		return err_set(l->err, -ENODATA, "no height is replayed in every shard yet");
	return look_readable_main(l, CONTEXT_HYPER, low);
}

static int latest_make(struct look *l, const struct node *folder, struct node *out)
{
	int rc = newest_diff(l, &out->key);

	node_of_view(l, out);
	return rc;
}

static int latest_read(struct look *l, const struct node *n, struct buf *out)
{
	buf_fmt(out, "%010" PRIu64, n->key);
	return buf_done(out);
}

static int latest_attr(struct look *l, const struct node *n, struct attr *out)
{
	char name[PATH_NAME_SIZE];

	path_height_name(n->key, name);
	out->size = strlen(name);
	out->mtime = look_shard(l, 0)->replayed_time;
	return 0;
}

/* ---- diverged ---- */

static int diverged_make(struct look *l, const struct node *folder, struct node *out)
{
	node_of_view(l, out);
	return 0;
}

static int diverged_attr(struct look *l, const struct node *n, struct attr *out)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++)
		out->size += l->view->shards[s].diverged * DIVERGED_LINE_SIZE;
	out->mtime = look_shard(l, 0)->replayed_time;
	return 0;
}

static int diverged_read(struct look *l, const struct node *n, struct buf *out)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++) {
		const struct shard_view *sv = look_shard(l, s);
		uint64_t height = 0, count = 0;
		int rc;

		while ((rc = network_diverged_next(l->view->network, s, height + 1, &height)) ==
			       1 &&
		       height <= sv->replayed) {
			render_diverged_line(s, height, out);
			count++;
		}
		if (rc < 0)
			return rc;
		if (count != sv->diverged)
			return err_set(l->err, -EUCLEAN,
				       "shard %u: %" PRIu64
				       " diverged heights, counted were %" PRIu64,
				       s, count, sv->diverged);
	}
	return buf_done(out);
}

/* ---- accounts with retained records: those that have a row of their own in hyper ---- */

static int hyper_accounts(struct look *l, const struct scope *s, unsigned vshard, uint64_t from,
			  struct state_scan **out)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES_MAX);
	struct state *st;
	int rc = look_state(l, s, &st);

	/* Behind its vshard's prefix the key of an account is the account's alone. */
	look_ops(l)->account_prefix(vshard, &prefix);
	look_ops(l)->account_key(from, &key);
	if (rc == 0)
		rc = buf_done(&prefix) < 0 ? buf_done(&prefix) : buf_done(&key);
	return rc < 0 ? rc
		      : state_scan_new(st, SPACE_HYPER, buf_slice(&prefix),
				       slice_sub(buf_slice(&key), prefix.n, SIZE_MAX), false, out);
}

/* The first such account of a vshard at or above `from`; NO_ACCOUNT: none. */
static int next_account(struct look *l, const struct scope *s, unsigned vshard, uint64_t from,
			uint64_t *out)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;

	*out = NO_ACCOUNT;
	if (from > UINT32_MAX)
		return 0;
	int rc = hyper_accounts(l, s, vshard, from, &scan);
	if (rc == 0)
		rc = state_scan_next(scan, &key, &value);
	return rc == 1 ? look_ops(l)->account_of_key(key, out) : rc;
}

/* ---- report ---- */

static int report_read(struct look *l, const struct node *n, struct buf *out)
{
	struct diff_report r;
	int rc = report_make(l->view, n->scope.height, &r, l->err);

	if (rc < 0)
		return rc;
	if (n->row == ROW_REASONS)
		report_reasons(&r, out);
	else
		report_render(&r, n->row == ROW_REPORT_JSON, out);
	return buf_done(out);
}

static int report_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = report_read(l, n, &text);

	out->size = text.n;
	return rc < 0 ? rc : time_attr(l, n, out);
}

/* ---- retained/ ---- */

static int shard_enter(struct look *l, uint32_t shard, struct node *n)
{
	struct roots_row roots;
	int rc = shard ? scope_of_shard(l, &n->scope, shard) : 0;

	if (rc == 0)
		rc = report_roots(l->view, shard, n->scope.height, &roots, l->err);
	return rc < 0 ? rc : roots.retained ? 0 : -ENOENT;
}

static int shard_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t shard;

	if (path_padded(name, strlen(name), 1, &shard) < 0 || shard >= l->view->shard_count)
		return -ENOENT;
	return shard_enter(l, (uint32_t)shard, out);
}

static int shard_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	for (uint32_t s = 0; s < l->view->shard_count; s++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;
		int rc = shard_enter(l, s, &n);

		if (rc == -ENOENT)
			continue;
		snprintf(name, sizeof name, "%" PRIu32, s);
		if (rc < 0 || !lister_give(to, name, &n, s + 1, NULL))
			return rc;
	}
	return 0;
}

static int account_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	uint64_t account, found;

	if (path_padded(name, strlen(name), HEIGHT_DIGITS, &account) < 0 || account > UINT32_MAX)
		return -ENOENT;
	int rc = next_account(l, &folder->scope, look_ops(l)->vshard_of(account), account, &found);
	out->key = account;
	return rc < 0 ? rc : found == account ? 0 : -ENOENT;
}

/* In the order of accounts, while their rows lie in the order of vshards: the next one of each
 * vshard is known, the lowest of them comes next. */
static int account_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	struct attr attr = { .type = NODE_FOLDER };
	uint64_t next[VSHARDS];
	int rc = look_time(l, &folder->scope, &attr.mtime);

	for (unsigned v = 0; rc == 0 && v < VSHARDS; v++)
		rc = next_account(l, &folder->scope, v, after, &next[v]);
	while (rc == 0) {
		unsigned lowest = 0;
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		for (unsigned v = 1; v < VSHARDS; v++)
			if (next[v] < next[lowest])
				lowest = v;
		n.key = next[lowest];
		if (n.key == NO_ACCOUNT)
			return 0;
		path_height_name(n.key, name);
		if (!lister_give(to, name, &n, n.key + 1, &attr))
			return 0;
		rc = next_account(l, &folder->scope, lowest, n.key + 1, &next[lowest]);
	}
	return rc;
}

/* Does the account have retained records of the set? */
static int set_enter(struct look *l, const struct node *folder, size_t set, struct node *out)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	struct slice key, value;
	struct state *st;
	int rc = look_state(l, &folder->scope, &st);

	look_ops(l)->set_prefix(folder->key, look_ops(l)->sets[set].id, &prefix);
	out->key = set_key(folder->key, set);
	if (rc == 0)
		rc = buf_done(&prefix);
	if (rc == 0)
		rc = state_scan_new(st, SPACE_HYPER, buf_slice(&prefix), SLICE_EMPTY, false, &scan);
	if (rc == 0)
		rc = state_scan_next(scan, &key, &value);
	return rc < 0 ? rc : rc == 1 ? 0 : -ENOENT;
}

static int diff_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope = (struct scope){ .kind = SCOPE_PLACE };
	return 0;
}

/* From another shard back to the main height that it was cut by. */
static int shard_parent(struct look *l, const struct node *n, struct node *out)
{
	if (n->scope.shard)
		out->scope.height = n->scope.view_number;
	out->scope.view_number = 0;
	out->scope.shard = 0;
	return 0;
}

static int set_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	int set = set_of_name(look_ops(l), name, strlen(name));

	return set < 0 ? -ENOENT : set_enter(l, folder, (size_t)set, out);
}

static int set_list(struct look *l, const struct node *folder, const struct node *child,
		    uint64_t after, struct lister *to)
{
	for (size_t i = 0; i < look_ops(l)->set_count; i++) {
		struct node n = *child;
		int rc = set_enter(l, folder, i, &n);

		if (rc == -ENOENT)
			continue;
		if (rc < 0 || !lister_give(to, look_ops(l)->sets[i].name, &n, i + 1, NULL))
			return rc;
	}
	return 0;
}

static int record_find(struct look *l, const struct node *folder, const char *name,
		       struct node *out)
{
	uint64_t object;
	int rc = record_object(l, &folder->scope, SPACE_HYPER, folder->key, name, ".json", &object);

	if (rc == 0)
		node_of_object(out, ROW_RECORD, object);
	return rc;
}

static int record_list(struct look *l, const struct node *folder, const struct node *child,
		       uint64_t after, struct lister *to)
{
	return records_list(l, &folder->scope, SPACE_HYPER, folder->key, after, to);
}

const struct entry_ops diffs_ops = { .attr = folder_attr };
const struct entry_ops latest_ops = {
	.make = latest_make, .attr = latest_attr, .read = latest_read,
};
const struct entry_ops diverged_ops = {
	.make = diverged_make, .attr = diverged_attr, .read = diverged_read,
};
const struct entry_ops diff_ops = {
	.find = diff_find, .attr = time_attr, .parent = diff_parent,
};
const struct entry_ops report_ops = { .attr = report_attr, .read = report_read };
const struct entry_ops report_json_ops = { .attr = report_attr, .read = report_read };
const struct entry_ops reasons_ops = { .attr = report_attr, .read = report_read };
const struct entry_ops retained_ops = { .attr = time_attr };
const struct entry_ops retained_shard_ops = {
	.find = shard_find, .list = shard_list, .few = true, .attr = time_attr,
	.parent = shard_parent,
};
const struct entry_ops retained_account_ops = {
	.find = account_find, .list = account_list, .attr = time_attr,
};
const struct entry_ops retained_set_ops = {
	.find = set_find, .list = set_list, .few = true, .attr = time_attr, .parent = set_parent,
};
const struct entry_ops retained_record_ops = { .find = record_find, .list = record_list };
