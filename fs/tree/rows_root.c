/* The root, the networks, and what stands at the top of each. */
#include "core/checkpoint/trust.h"
#include "fs/tree/path.h"
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#include <stdio.h>

#define TRUST_TEXT_MAX ((size_t)TRUST_ROWS_MAX * 1024)

uint64_t newest_time(const struct view *v)
{
	uint64_t newest = 0;

	for (uint32_t s = 0; s < v->shard_count; s++)
		newest = MAX(newest, v->shards[s].tip_time);
	return newest;
}

/* ---- the root ---- */

static int root_attr(struct look *l, const struct node *n, struct attr *out)
{
	for (size_t i = 0; i < store_network_count(tree_env()->store); i++) {
		AUTO(view_putp)
		struct view *v = network_view_get(store_network_at(tree_env()->store, i));
		out->mtime = MAX(out->mtime, newest_time(v));
	}
	out->grows = true;
	return 0;
}

static int root_readme_read(struct look *l, const struct node *n, struct buf *out)
{
	render_readme(out);
	return buf_done(out);
}

static int root_readme_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = root_readme_read(l, n, &text);

	out->size = text.n;
	return rc;
}

/* Links to the connections beside this one. */
static const char *target_of(const struct node *n)
{
	return n->row == ROW_CTL ? tree_env()->ctl_target : tree_env()->plain_target;
}

static int beside_make(struct look *l, const struct node *folder, struct node *out)
{
	return target_of(out) ? 0 : -ENOENT;
}

static int beside_read(struct look *l, const struct node *n, struct buf *out)
{
	const char *target = target_of(n);

	buf_str(out, target ? target : "");
	return target ? buf_done(out) : -ENOENT;
}

static int beside_attr(struct look *l, const struct node *n, struct attr *out)
{
	const char *target = target_of(n);

	out->size = target ? strlen(target) : 0;
	return target ? 0 : -ENOENT;
}

/* The root belongs to no network, so its status has no view of its own: its key counts what all
 * networks published, and its lines have one size whatever they say. */
static int root_status_make(struct look *l, const struct node *folder, struct node *out)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < store_network_count(tree_env()->store); i++) {
		AUTO(view_putp)
		struct view *v = network_view_get(store_network_at(tree_env()->store, i));
		sum += v->number;
		AUTO(sight_version_putp)
		struct sight_version *s = sights_newest(tree_sights(), v->network);
	}
	sum += sights_stamp(tree_sights());
	out->key = sum & ((UINT64_C(1) << NODE_KEY_BITS) - 1);
	return 0;
}

static int root_status_read(struct look *l, const struct node *n, struct buf *out)
{
	for (size_t i = 0; i < store_network_count(tree_env()->store); i++) {
		AUTO(view_putp)
		struct view *v = network_view_get(store_network_at(tree_env()->store, i));
		AUTO(sight_version_putp)
		struct sight_version *s = sights_newest(tree_sights(), v->network);

		render_store_line(v, s ? &s->sight : NULL, out);
	}
	return buf_done(out);
}

static int root_status_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = root_status_read(l, n, &text);

	out->size = text.n;
	out->settles = true;
	if (rc == 0)
		rc = root_attr(l, n, out);
	out->grows = false;
	return rc;
}

/* ---- networks ---- */

static void enter_network(struct node *n, struct network *network)
{
	n->network = network;
	n->key = 0;
	n->scope = (struct scope){ .kind = SCOPE_PLACE };
}

static int network_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	struct network *network = store_network_find(tree_env()->store, name);

	if (!network)
		return -ENOENT;
	enter_network(out, network);
	return 0;
}

static int network_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	for (size_t i = 0; i < store_network_count(tree_env()->store); i++) {
		struct network *network = store_network_at(tree_env()->store, i);
		struct node n = *child;

		enter_network(&n, network);
		if (!lister_give(to, network_name(network), &n, network_index(network), NULL))
			return 0;
	}
	return 0;
}

static int newest_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = newest_time(l->view);
	out->grows = true;
	return 0;
}

static int view_make(struct look *l, const struct node *folder, struct node *out)
{
	node_of_view(l, out);
	return 0;
}

static int text_attr(struct look *l, void (*render)(const struct view *v, struct buf *out),
		     struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);

	render(l->view, &text);
	out->size = text.n;
	out->mtime = newest_time(l->view);
	return buf_done(&text);
}

static int network_readme_attr(struct look *l, const struct node *n, struct attr *out)
{
	return text_attr(l, render_network_readme, out);
}

static int network_readme_read(struct look *l, const struct node *n, struct buf *out)
{
	render_network_readme(l->view, out);
	return buf_done(out);
}

static int status_make(struct look *l, const struct node *folder, struct node *out)
{
	if (!look_sight_newest(l, out))
		node_of_view(l, out);
	return 0;
}

static int network_status_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct sight_version *v = NULL;
	int rc = n->scope.kind == SCOPE_SIGHT ? look_sight(l, n, &v) : 0;

	if (rc < 0)
		return rc;
	render_status(v ? v->view : l->view, v ? &v->sight : NULL, out);
	return buf_done(out);
}

static int network_status_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = network_status_read(l, n, &text);

	if (rc == 0)
		out->mtime = n->scope.kind == SCOPE_SIGHT ? l->sight->sight.unix_ms / 1000
							  : newest_time(l->view);
	out->size = text.n;
	return rc;
}

/* ---- trust ---- */

/* Decisions are made beside views, and only ever appended: how many there are is the version. */
static int load_trust(struct look *l, const struct node *n, struct trust *out)
{
	int rc = trust_load(network_folder(n->network), out, l->err);

	if (rc == 0 && n->row == ROW_TRUST_LIST)
		out->count = MIN(out->count, n->key);
	return rc;
}

static int trust_make(struct look *l, const struct node *folder, struct node *out)
{
	AUTO(trust_release) struct trust t = { 0 };
	int rc = load_trust(l, folder, &t);

	out->key = t.count;
	return rc;
}

static int trust_read(struct look *l, const struct node *n, struct buf *out)
{
	AUTO(trust_release) struct trust t = { 0 };
	int rc = load_trust(l, n, &t);

	if (rc == 0)
		trust_render(&t, out);
	return rc < 0 ? rc : buf_done(out);
}

static int trust_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TRUST_TEXT_MAX);
	AUTO(trust_release) struct trust t = { 0 };
	int rc = load_trust(l, n, &t);

	if (rc < 0)
		return rc;
	trust_render(&t, &text);
	out->size = text.n;
	out->mtime = t.count ? t.rows[t.count - 1].time : newest_time(l->view);
	out->settles = true;
	return buf_done(&text);
}

/* ---- head ---- */

static int head_make(struct look *l, const struct node *folder, struct node *out)
{
	if (!l->view->shards[0].tip)
		return err_set(l->err, -ENODATA, "no block of the main shard is held yet");
	node_of_view(l, out);
	return 0;
}

static int head_read(struct look *l, const struct node *n, struct buf *out)
{
	uint64_t tip = l->view->shards[0].tip;
	char range[PATH_NAME_SIZE], height[PATH_NAME_SIZE];

	path_range_name(path_range_of(tip / RANGE_SIZE), range);
	path_height_name(tip, height);
	buf_fmt(out, "legacy/blocks/%s/%s", range, height);
	return buf_done(out);
}

static int head_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = head_read(l, n, &text);

	out->size = text.n;
	out->mtime = l->view->shards[0].tip_time;
	return rc;
}

/* ---- contexts, and the shards beside the main one ---- */

static int context_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	for (uint8_t c = 0; c < CONTEXT_COUNT; c++) {
		if (strcmp(name, context_rules[c].name) != 0)
			continue;
		out->scope.context = c;
		return 0;
	}
	return -ENOENT;
}

static int context_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	for (uint8_t c = 0; c < CONTEXT_COUNT; c++) {
		struct node n = *child;

		n.scope.context = c;
		if (!lister_give(to, context_rules[c].name, &n, c + 1u, NULL))
			return 0;
	}
	return 0;
}

static int lanes_make(struct look *l, const struct node *folder, struct node *out)
{
	return l->view->shard_count > 1 ? 0 : -ENOENT;
}

static int lane_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	uint64_t shard;

	if (path_padded(name, strlen(name), 1, &shard) < 0 || shard == 0 ||
	    shard >= l->view->shard_count)
		return -ENOENT;
	out->scope.shard = (uint32_t)shard;
	return 0;
}

static int lane_list(struct look *l, const struct node *folder, const struct node *child,
		     uint64_t after, struct lister *to)
{
	for (uint32_t s = 1; s < l->view->shard_count; s++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;

		n.scope.shard = s;
		snprintf(name, sizeof name, "%" PRIu32, s);
		if (!lister_give(to, name, &n, s, NULL))
			return 0;
	}
	return 0;
}

static int context_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope.context = 0;
	return 0;
}

static int lane_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope.shard = 0;
	return 0;
}

/* No name is added here, but the time moves: that too has no cache life in what grows. */
static int lane_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = look_shard(l, n->scope.shard)->tip_time;
	out->grows = true;
	return 0;
}

const struct entry_ops root_ops = { .attr = root_attr };
const struct entry_ops root_readme_ops = { .attr = root_readme_attr, .read = root_readme_read };
const struct entry_ops ctl_ops = {
	.make = beside_make, .attr = beside_attr, .read = beside_read,
};
const struct entry_ops plain_ops = {
	.make = beside_make, .attr = beside_attr, .read = beside_read,
};
const struct entry_ops root_status_ops = {
	.make = root_status_make, .attr = root_status_attr, .read = root_status_read,
};
const struct entry_ops networks_ops = {
	.find = network_find, .list = network_list, .few = true, .attr = newest_attr,
};
const struct entry_ops network_readme_ops = {
	.make = view_make, .attr = network_readme_attr, .read = network_readme_read,
};
const struct entry_ops network_status_ops = {
	.make = status_make, .attr = network_status_attr, .read = network_status_read,
};
const struct entry_ops trust_list_ops = {
	.make = trust_make, .attr = trust_attr, .read = trust_read,
};
const struct entry_ops head_ops = { .make = head_make, .attr = head_attr, .read = head_read };
const struct entry_ops context_ops = {
	.find = context_find, .list = context_list, .few = true, .attr = newest_attr,
	.parent = context_parent,
};
const struct entry_ops lanes_ops = { .make = lanes_make, .attr = newest_attr };
const struct entry_ops lane_ops = {
	.find = lane_find, .list = lane_list, .few = true, .attr = lane_attr,
	.parent = lane_parent,
};
