/* accounts/: vshards, accounts, their sets and records, in a state of either context. */
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

#define KEY_BYTES_MAX (8u << 10)
#define VSHARDS       256u

/* ---- vshards ---- */

static int vshard_find(struct look *l, const struct node *folder, const char *name,
		       struct node *out)
{
	unsigned vshard;
	uint32_t count;
	int rc = path_byte(name, strlen(name), &vshard);

	if (rc == 0)
		rc = look_vshard(l, &folder->scope, vshard, &count);
	if (rc < 0)
		return rc;
	out->key = vshard;
	return count ? 0 : -ENOENT;
}

static int vshard_list(struct look *l, const struct node *folder, const struct node *child,
		       uint64_t after, struct lister *to)
{
	for (unsigned v = (unsigned)MIN(after, VSHARDS); v < VSHARDS; v++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;
		uint32_t count;
		int rc = look_vshard(l, &folder->scope, v, &count);

		if (rc < 0)
			return rc;
		if (!count)
			continue;
		n.key = v;
		snprintf(name, sizeof name, "%02x", v);
		if (!lister_give(to, name, &n, v + 1, NULL))
			return 0;
	}
	return 0;
}

static int vshard_attr(struct look *l, const struct node *n, struct attr *out)
{
	uint32_t count;
	int rc = look_vshard(l, &n->scope, (unsigned)n->key, &count);

	if (rc < 0)
		return rc;
	out->large = count > LARGE_FOLDER;
	return time_attr(l, n, out);
}

/* ---- accounts ---- */

static int account_enter(struct look *l, uint64_t account, struct node *out)
{
	const struct chain_account *found;
	int rc = account > UINT32_MAX ? -ENOENT : look_account(l, &out->scope, account, &found);

	out->row = ROW_ACCOUNT;
	out->key = account;
	return rc;
}

static int account_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	uint64_t account;

	if (path_padded(name, strlen(name), HEIGHT_DIGITS, &account) < 0 || account > UINT32_MAX ||
	    look_ops(l)->vshard_of(account) != folder->key)
		return -ENOENT;
	return account_enter(l, account, out);
}

/* Two digits name a vshard. Below the main shard's state an account is the one in its own shard. */
static int short_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t account;

	if (strlen(name) == 2 || path_number(name, strlen(name), &account) < 0 ||
	    account > UINT32_MAX)
		return -ENOENT;
	uint32_t own = look_ops(l)->shard_of(network_params(l->view->network), account);
	int rc = 0;
	if (folder->scope.shard == 0 && own != 0 && own < l->view->shard_count)
		rc = scope_of_shard(l, &out->scope, own);
	return rc < 0 ? rc : account_enter(l, account, out);
}

static int account_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	AUTO(buf_release) struct buf start = BUF_INIT(KEY_BYTES_MAX);
	struct slice from = SLICE_EMPTY, key, value;
	struct attr attr = { .type = NODE_FOLDER };
	struct state *st;
	int rc = look_state(l, &folder->scope, &st);

	look_ops(l)->account_prefix((unsigned)folder->key, &prefix);
	if (after) {
		look_ops(l)->account_key(
			after - 1, &start); /* the one given last; a key names its vshard too */
		from = slice_sub(buf_slice(&start), prefix.n, SIZE_MAX);
	}
	if (rc == 0)
		rc = buf_done(&prefix) < 0 ? buf_done(&prefix) : buf_done(&start);
	if (rc == 0)
		rc = look_time(l, &folder->scope, &attr.mtime);
	if (rc == 0)
		rc = state_scan_new(st, look_spaces(l, &folder->scope), buf_slice(&prefix), from,
				    false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		rc = look_ops(l)->account_of_key(key, &n.key);
		if (rc < 0)
			return rc;
		if (n.key < after)
			continue;
		path_height_name(n.key, name);
		if (!lister_give(to, name, &n, n.key + 1, &attr))
			return 0;
	}
	return MIN(rc, 0);
}

static int account_parent(struct look *l, const struct node *n, struct node *out)
{
	out->key = look_ops(l)->vshard_of(n->key);
	return 0;
}

static int account_of(struct look *l, const struct node *n, const struct chain_account **out)
{
	return look_account(l, &n->scope, n->key, out);
}

static int root_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct chain_account *account;
	int rc = account_of(l, n, &account);

	if (rc == 0)
		render_account_root(account, out);
	return rc < 0 ? rc : buf_done(out);
}

static int counts_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct chain_account *account;
	int rc = account_of(l, n, &account);

	if (rc == 0)
		render_counts(look_ops(l), account, out);
	return rc < 0 ? rc : buf_done(out);
}

/* By rules alone, which are one for both contexts: so is the file. */
static int limits_make(struct look *l, const struct node *folder, struct node *out)
{
	node_common(out);
	return 0;
}

static int limits_read(struct look *l, const struct node *n, struct buf *out)
{
	struct state *st;
	uint64_t time;
	int rc = look_time(l, &n->scope, &time);

	if (rc == 0)
		rc = look_state(l, &n->scope, &st);
	if (rc == 0)
		rc = look_ops(l)->render_limits(network_params(l->view->network), st, n->key, time,
						out);
	return rc < 0 ? rc : buf_done(out);
}

static int text_attr(struct look *l, const struct node *n,
		     int (*read)(struct look *l, const struct node *n, struct buf *out),
		     struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = read(l, n, &text);

	out->size = text.n;
	return rc < 0 ? rc : time_attr(l, n, out);
}

static int root_attr(struct look *l, const struct node *n, struct attr *out)
{
	return text_attr(l, n, root_read, out);
}

static int counts_attr(struct look *l, const struct node *n, struct attr *out)
{
	return text_attr(l, n, counts_read, out);
}

static int limits_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct account_key key;

	look_account_key(l, &n->scope, n->key, &key);
	if (accounts_limits(&key, &out->size))
		return time_attr(l, n, out);
	int rc = text_attr(l, n, limits_read, out);
	/* A state is of the newest branch, which may be younger than the view. */
	if (rc == 0 && state_branch(l->state) == key.branch)
		accounts_keep_limits(&key, out->size);
	return rc;
}

/* ---- sets ---- */

int set_of_name(const struct chain_ops *ops, const char *name, size_t size)
{
	for (size_t i = 0; i < ops->set_count; i++)
		if (strlen(ops->sets[i].name) == size && memcmp(ops->sets[i].name, name, size) == 0)
			return (int)i;
	return -ENOENT;
}

static int set_enter(struct look *l, const struct node *folder, const char *name, size_t size,
		     struct node *out)
{
	int set = set_of_name(look_ops(l), name, size);

	if (set < 0)
		return -ENOENT;
	out->key = set_key(folder->key, (size_t)set);
	return 0;
}

static int set_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	return set_enter(l, folder, name, strlen(name), out);
}

static int bulk_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	size_t size;

	return path_ends(name, ".jsonl", &size) ? set_enter(l, folder, name, size, out) : -ENOENT;
}

static int sets_list(struct look *l, const struct node *child, const char *suffix,
		     struct lister *to)
{
	const struct chain_ops *ops = look_ops(l);

	for (size_t i = 0; i < ops->set_count; i++) {
		char name[RECORD_NAME_SIZE];
		struct node n = *child;

		n.key = set_key(child->key, i);
		strcpy(stpcpy(name, ops->sets[i].name), suffix);
		if (!lister_give(to, name, &n, i + 1, NULL))
			return 0;
	}
	return 0;
}

static int set_list(struct look *l, const struct node *folder, const struct node *child,
		    uint64_t after, struct lister *to)
{
	return sets_list(l, child, "", to);
}

static int bulk_list(struct look *l, const struct node *folder, const struct node *child,
		     uint64_t after, struct lister *to)
{
	return sets_list(l, child, ".jsonl", to);
}

static int set_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct chain_account *account;
	int rc = look_account(l, &n->scope, key_account(n->key), &account);

	if (rc < 0)
		return rc;
	if (n->row == ROW_SET_BULK)
		out->size = account->sets[key_set(n->key)].line_bytes;
	else
		out->large = account->sets[key_set(n->key)].records > LARGE_FOLDER;
	return time_attr(l, n, out);
}

int set_parent(struct look *l, const struct node *n, struct node *out)
{
	out->key = key_account(n->key);
	return 0;
}

/* ---- records ---- */

static int records_open(struct look *l, const struct scope *scope, unsigned spaces,
			uint64_t set_of_account, uint64_t from, struct ranked *out)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	struct state *st;
	int rc = look_state(l, scope, &st);

	look_ops(l)->set_prefix(key_account(set_of_account),
				look_ops(l)->sets[key_set(set_of_account)].id, &prefix);
	if (rc == 0)
		rc = buf_done(&prefix);
	return rc < 0 ? rc : ranked_open(st, spaces, buf_slice(&prefix), RANKED_BYTES, from, out);
}

int records_list(struct look *l, const struct scope *scope, unsigned spaces,
		 uint64_t set_of_account, uint64_t after, struct lister *to)
{
	AUTO(ranked_release) struct ranked rows = { .scan = NULL };
	struct node n = { .network = l->view->network };
	struct slice key, value;
	uint64_t number;
	int rc = records_open(l, scope, spaces, set_of_account, after, &rows);

	while (rc == 0 && (rc = ranked_next(&rows, &number, &key, &value)) == 1) {
		char name[RECORD_NAME_SIZE + 8];
		struct chain_record record;

		rc = 0;
		if (number <= after)
			continue;
		rc = look_ops(l)->record_read(key, value, &record);
		if (rc < 0)
			return err_note(l->err, rc, "account %" PRIu64,
					key_account(set_of_account));
		node_of_object(&n, ROW_RECORD, record.object);
		strcpy(stpcpy(name, record.name), ".json");
		if (!lister_give(to, name, &n, number, NULL))
			return 0;
	}
	return MIN(rc, 0);
}

/* Most sets of most accounts are empty, and the account's row says so. */
static bool is_empty(struct look *l, const struct node *folder)
{
	const struct chain_account *account;

	return look_account(l, &folder->scope, key_account(folder->key), &account) == 0 &&
	       account->sets[key_set(folder->key)].records == 0;
}

static int record_list(struct look *l, const struct node *folder, const struct node *child,
		       uint64_t after, struct lister *to)
{
	if (is_empty(l, folder))
		return 0;
	return records_list(l, &folder->scope, look_spaces(l, &folder->scope), folder->key, after,
			    to);
}

int record_object(struct look *l, const struct scope *scope, unsigned spaces,
		  uint64_t set_of_account, const char *name, const char *suffix, uint64_t *object)
{
	AUTO(buf_release) struct buf row = BUF_INIT(KEY_BYTES_MAX);
	const struct chain_ops *ops = look_ops(l);
	struct chain_record record;
	char stem[RECORD_NAME_SIZE];
	struct slice value;
	struct state *st;
	size_t size;

	if (!path_ends(name, suffix, &size) || size >= sizeof stem)
		return -ENOENT;
	memcpy(stem, name, size);
	stem[size] = 0;
	int rc = ops->record_key(key_account(set_of_account), ops->sets[key_set(set_of_account)].id,
				 stem, &row);
	if (rc == 0)
		rc = buf_done(&row);
	if (rc == 0)
		rc = look_state(l, scope, &st);
	if (rc == 0 && spaces & SPACE_HYPER)
		rc = state_peek(st, SPACE_HYPER, buf_slice(&row), &value);
	if (rc == 0 && spaces & SPACE_BOTH)
		rc = state_peek(st, SPACE_BOTH, buf_slice(&row), &value);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	rc = ops->record_read(buf_slice(&row), value, &record);
	*object = record.object;
	return rc < 0 ? rc : strcmp(record.name, stem) == 0 ? 0 : -ENOENT;
}

static int record_find(struct look *l, const struct node *folder, const char *name,
		       struct node *out)
{
	uint64_t object;
	int rc = record_object(l, &folder->scope, look_spaces(l, &folder->scope), folder->key, name,
			       ".json", &object);

	if (rc == 0)
		node_of_object(out, ROW_RECORD, object);
	return rc;
}

static int record_bytes_find(struct look *l, const struct node *folder, const char *name,
			     struct node *out)
{
	uint64_t object;
	int rc = record_object(l, &folder->scope, look_spaces(l, &folder->scope), folder->key, name,
			       look_ops(l)->block_suffix, &object);

	if (rc == 0)
		node_of_object(out, ROW_RECORD_BYTES, object);
	return rc;
}

static int record_attr(struct look *l, const struct node *n, struct attr *out)
{
	return object_attr(l, n->key, n->row == ROW_RECORD_BYTES ? OBJECT_BYTES : OBJECT_JSON, out);
}

static int record_read(struct look *l, const struct node *n, struct buf *out)
{
	return object_read(l, n->key, n->row == ROW_RECORD_BYTES ? OBJECT_BYTES : OBJECT_JSON, out);
}

static int bulk_read(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(ranked_release) struct ranked rows = { .scan = NULL };
	struct slice key, value;
	uint64_t number;

	if (is_empty(l, n))
		return 0;
	int rc = records_open(l, &n->scope, look_spaces(l, &n->scope), n->key, 0, &rows);

	while (rc == 0 && (rc = ranked_next(&rows, &number, &key, &value)) == 1) {
		struct chain_record record;

		rc = look_ops(l)->record_read(key, value, &record);
		if (rc == 0)
			rc = object_read(l, record.object, OBJECT_LINE, out);
	}
	return MIN(rc, 0);
}

const struct entry_ops vshard_ops = {
	.find = vshard_find, .list = vshard_list, .attr = vshard_attr,
};
const struct entry_ops account_short_ops = { .find = short_find };
const struct entry_ops account_ops = {
	.find = account_find, .list = account_list, .attr = time_attr, .parent = account_parent,
};
const struct entry_ops account_root_ops = { .attr = root_attr, .read = root_read };
const struct entry_ops counts_ops = { .attr = counts_attr, .read = counts_read };
const struct entry_ops limits_ops = {
	.make = limits_make, .attr = limits_attr, .read = limits_read,
};
const struct entry_ops set_ops = {
	.find = set_find, .list = set_list, .few = true, .attr = set_attr, .parent = set_parent,
};
const struct entry_ops set_bulk_ops = {
	.find = bulk_find, .list = bulk_list, .few = true, .attr = set_attr, .read = bulk_read,
};
const struct entry_ops record_ops = {
	.find = record_find, .list = record_list, .attr = record_attr, .read = record_read,
};
const struct entry_ops record_bytes_ops = {
	.find = record_bytes_find, .attr = record_attr, .read = record_read,
};
