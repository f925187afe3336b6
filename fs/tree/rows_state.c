/* State as of a place: state/, at/HEIGHT, their shards, and the table of all accounts. */
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

#define KEY_BYTES_MAX 512
#define VSHARDS       256u

/* ---- places ---- */

int scope_of_shard(struct look *l, struct scope *s, uint32_t shard)
{
	uint64_t cut, main_height = s->height;

	if (s->kind != SCOPE_STATE) {
		s->shard = shard;
		return 0;
	}
	int rc = look_cut(l, main_height, shard, &cut);
	if (rc == 0)
		rc = look_readable(l, CONTEXT_LEGACY, shard, cut);
	if (rc < 0)
		return rc;
	s->shard = shard;
	s->height = cut;
	s->view_number = main_height;
	return 0;
}

/* A state of hyper shows nothing while hyper is off; at/HEIGHT says so itself. */
static int shown(struct look *l, const struct scope *s)
{
	if (s->kind != SCOPE_STATE && s->context == CONTEXT_HYPER &&
	    !look_shard(l, s->shard)->hyper_on)
		return err_set(l->err, -ENODATA, "hyper is off");
	return 0;
}

static int shown_make(struct look *l, const struct node *folder, struct node *out)
{
	return shown(l, &folder->scope);
}

static int state_make(struct look *l, const struct node *folder, struct node *out)
{
	node_of_view(l, out);
	return 0;
}

int time_attr(struct look *l, const struct node *n, struct attr *out)
{
	return look_time(l, &n->scope, &out->mtime);
}

static int ats_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, n->scope.shard)->replayed_time;
	out->grows = true;
	return 0;
}

static int at_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint32_t shard = folder->scope.shard;
	uint64_t height;

	if (path_number(name, strlen(name), &height) < 0 || height == 0)
		return -ENOENT;
	int rc = shard ? look_readable(l, folder->scope.context, shard, height)
		       : look_readable_main(l, folder->scope.context, height);
	out->scope = (struct scope){
		.kind = SCOPE_STATE,
		.context = folder->scope.context,
		.shard = shard,
		.height = height,
	};
	return rc;
}

/* A shard that is not replayed up to its cut yet will be listed later. */
static int at_attr(struct look *l, const struct node *n, struct attr *out)
{
	for (uint32_t s = 1; n->scope.shard == 0 && s < l->view->shard_count; s++) {
		uint64_t cut;
		int rc = look_cut(l, n->scope.height, s, &cut);

		if (rc < 0)
			return rc;
		out->grows |= cut > look_shard(l, s)->replayed;
	}
	return time_attr(l, n, out);
}

static int shards_make(struct look *l, const struct node *folder, struct node *out)
{
	if (folder->scope.shard != 0 || l->view->shard_count < 2)
		return -ENOENT;
	return shown(l, &folder->scope);
}

static int shards_attr(struct look *l, const struct node *n, struct attr *out)
{
	return n->scope.kind == SCOPE_STATE ? at_attr(l, n, out) : time_attr(l, n, out);
}

static int shard_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t shard;

	if (path_padded(name, strlen(name), 1, &shard) < 0 || shard == 0 ||
	    shard >= l->view->shard_count)
		return -ENOENT;
	int rc = scope_of_shard(l, &out->scope, (uint32_t)shard);
	return rc < 0 ? rc : shown(l, &out->scope);
}

static int shard_list(struct look *l, const struct node *folder, const struct node *child,
		      uint64_t after, struct lister *to)
{
	for (uint32_t s = 1; s < l->view->shard_count; s++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;
		int rc = scope_of_shard(l, &n.scope, s);

		if (rc == 0)
			rc = shown(l, &n.scope);
		if (rc == -ENODATA)
			continue;
		snprintf(name, sizeof name, "%" PRIu32, s);
		if (rc < 0 || !lister_give(to, name, &n, s, NULL))
			return rc;
	}
	return 0;
}

/* state/ and at/HEIGHT stand in a lane, which is always there. */
static int lane_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope = (struct scope){
		.kind = SCOPE_PLACE,
		.context = n->scope.context,
		.shard = n->scope.shard,
	};
	return 0;
}

/* From another shard back to the main height that it was cut by. */
static int shard_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope.shard = 0;
	if (n->scope.kind == SCOPE_STATE) {
		out->scope.height = n->scope.view_number;
		out->scope.view_number = 0;
	}
	return 0;
}

/* ---- roots.tsv ---- */

static int roots_attr(struct look *l, const struct node *n, struct attr *out)
{
	uint64_t accounts = 0;

	for (unsigned v = 0; v < VSHARDS; v++) {
		uint32_t count;
		int rc = look_vshard(l, &n->scope, v, &count);

		if (rc < 0)
			return rc;
		accounts += count;
	}
	out->size = accounts * ACCOUNT_LINE_SIZE;
	return time_attr(l, n, out);
}

static int vshard_lines(struct look *l, const struct node *n, unsigned vshard, struct buf *out)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	struct slice key, value;
	struct state *st;
	int rc = look_state(l, &n->scope, &st);

	look_ops(l)->account_prefix(vshard, &prefix);
	if (rc == 0)
		rc = buf_done(&prefix);
	if (rc == 0)
		rc = state_scan_new(st, look_spaces(l, &n->scope), buf_slice(&prefix), SLICE_EMPTY,
				    false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		struct chain_account account;
		uint64_t number;

		rc = look_ops(l)->account_of_key(key, &number);
		if (rc == 0)
			rc = look_ops(l)->account_read(value, &account);
		if (rc == 0)
			render_account_line(vshard, number, &account, out);
	}
	return rc < 0 ? rc : buf_done(out);
}

static int roots_read(struct look *l, const struct node *n, struct buf *out)
{
	for (unsigned v = 0; v < VSHARDS; v++) {
		uint32_t count;
		int rc = look_vshard(l, &n->scope, v, &count);

		if (rc == 0 && count)
			rc = vshard_lines(l, n, v, out);
		if (rc < 0)
			return rc;
	}
	return buf_done(out);
}

const struct entry_ops state_ops = {
	.make = state_make, .attr = time_attr, .parent = lane_parent,
};
const struct entry_ops ats_ops = { .attr = ats_attr };
const struct entry_ops at_ops = { .find = at_find, .attr = at_attr, .parent = lane_parent };
const struct entry_ops state_shards_ops = { .make = shards_make, .attr = shards_attr };
const struct entry_ops state_shard_ops = {
	.find = shard_find, .list = shard_list, .few = true, .attr = time_attr,
	.parent = shard_parent,
};
const struct entry_ops state_folder_ops = { .make = shown_make, .attr = time_attr };
const struct entry_ops state_roots_ops = {
	.make = shown_make, .attr = roots_attr, .read = roots_read,
};
