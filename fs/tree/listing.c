/* Listings: names that stand in many come from their rows one by one and first, the few others are
 * collected and sorted. */
#include "fs/tree/rows.h"
#include "fs/tree/tree_inside.h"

struct name {
	char text[RECORD_NAME_SIZE + 16];
	struct node node;
	uint64_t offset;
};

struct lister {
	struct look *look;
	bool with_attr;
	tree_each *each;
	void *arg;
	uint8_t row; /* whose names are given */
	int rc;
	bool stopped;
	struct name *names; /* not NULL: names are collected to be sorted */
	size_t name_count, name_cap;
};

#define NAMES_USUAL 40   /* an account's folder */
#define NAMES_MAX   4096 /* of a folder whose names are few; far more than there ever are */

static uint64_t offset_of(uint8_t row, uint64_t low)
{
	assert(low <= LISTER_LOW_MAX);
	return (uint64_t)row << LISTER_LOW_BITS | low;
}

static bool collect(struct lister *to, const char *name, const struct node *n, uint64_t offset)
{
	if (to->name_count == to->name_cap) {
		size_t cap = to->name_cap * 2;
		struct name *more = cap > NAMES_MAX ? NULL : realloc(to->names, cap * sizeof *more);

		if (!more) {
			to->rc = err_set(to->look->err, -ENOMEM, "no memory to sort a folder");
			return false;
		}
		to->names = more;
		to->name_cap = cap;
	}
	struct name *at = &to->names[to->name_count++];

	size_t size = strlen(name);

	assert(size < sizeof at->text);
	memcpy(at->text, name, size + 1);
	at->node = *n;
	at->offset = offset;
	return true;
}

/* Attributes of a child; networks are listed without a view, so theirs is fetched. */
static int child_attr(struct look *l, const struct node *n, struct attr *out)
{
	if (!n->network || l->view)
		return tree_attr_of(l, n, out);
	AUTO(view_putp) struct view *v = network_view_get(n->network);
	AUTO(look_release) struct look own = LOOK_INIT(v, l->err);

	return tree_attr_of(&own, n, out);
}

static bool give(struct lister *to, const char *name, const struct node *n, uint64_t offset,
		 const struct attr *attr)
{
	struct tree_child child = { .name = name, .node = *n, .offset = offset };

	if (to->with_attr && attr) {
		child.attr = *attr;
	} else if (to->with_attr) {
		int rc = child_attr(to->look, n, &child.attr);

		if (tree_is_absent(rc) || rc == -ESTALE)
			return true; /* gone since its name was read */
		if (rc < 0) {
			to->rc = rc;
			return false;
		}
	}
	to->stopped = !to->each(to->arg, &child);
	return !to->stopped;
}

bool lister_give(struct lister *to, const char *name, const struct node *n, uint64_t low,
		 const struct attr *attr)
{
	uint64_t offset = offset_of(to->row, low);

	if (to->names)
		return collect(to, name, n, offset);
	return give(to, name, n, offset, attr);
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct name *const *)a)->text,
		      (*(const struct name *const *)b)->text);
}

/* Names that stand in many: the row answers, from the place behind `after` on. */
static int list_many(struct lister *to, const struct node *folder, uint8_t row, uint64_t after)
{
	const struct node child = tree_child_of(folder, row);

	to->row = row;
	int rc = tree[row].ops->list(to->look, folder, &child, after, to);

	if (tree_is_absent(rc))
		rc = 0;
	return to->rc < 0 ? to->rc : rc;
}

static int collect_few(struct lister *to, const struct node *folder, const struct shape *shape)
{
	for (size_t i = 0; i < shape->child_count && to->rc == 0; i++) {
		uint8_t row = shape->children[i];
		const struct entry *e = &tree[row];
		struct node child;
		int rc;

		if (e->unlisted)
			continue;
		if (!tree_shape(row)->plain) {
			rc = e->ops->list && e->ops->few ? list_many(to, folder, row, 0) : 0;
		} else {
			rc = tree_plain_child(to->look, folder, row, &child);
			if (rc == 0)
				collect(to, tree_shape(row)->leaf, &child, offset_of(row, 0));
		}
		if (rc < 0 && !tree_is_absent(rc))
			return rc;
	}
	return to->rc;
}

/* Few names: collected, sorted, and given from behind the one at `offset` on (0: all of them). */
static int list_few(struct lister *to, const struct node *folder, const struct shape *shape,
		    uint64_t offset)
{
	AUTO(base_freep) struct name *names = NULL;
	AUTO(base_freep) const struct name **order = NULL;
	size_t first = 0;

	to->name_cap = NAMES_USUAL;
	to->names = malloc(to->name_cap * sizeof *to->names);
	if (!to->names)
		return err_set(to->look->err, -ENOMEM, "no memory to sort a folder");
	int rc = collect_few(to, folder, shape);
	names = TAKE(to->names);
	order = malloc(MAX(to->name_count, 1u) * sizeof *order);
	if (rc == 0 && !order)
		rc = err_set(to->look->err, -ENOMEM, "no memory to sort a folder");
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < to->name_count; i++)
		order[i] = &names[i];
	qsort(order, to->name_count, sizeof *order, by_name);
	if (offset) {
		while (first < to->name_count && order[first]->offset != offset)
			first++;
		first++; /* one that is gone meanwhile: all of so few names were given with it */
	}
	for (size_t i = first; i < to->name_count && to->rc == 0; i++)
		if (!give(to, order[i]->text, &order[i]->node, order[i]->offset, NULL))
			break;
	return to->rc;
}

int tree_list(const struct view *view, const struct node *folder, uint64_t offset, bool with_attr,
	      tree_each *each, void *arg, struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	struct lister to = { .look = &l, .with_attr = with_attr, .each = each, .arg = arg };
	const struct shape *shape = tree_shape(folder->row);
	uint8_t behind = (uint8_t)(offset >> LISTER_LOW_BITS);
	int rc = tree_check_of(&l, folder);

	if (rc == 0 && tree[folder->row].type != NODE_FOLDER)
		rc = err_set(err, -ENOTDIR, "%s is no folder", tree[folder->row].path);
	for (size_t i = 0; rc == 0 && !to.stopped && i < shape->child_count; i++) {
		uint8_t row = shape->children[i];
		const struct entry *e = &tree[row];

		if (e->unlisted || tree_shape(row)->plain || !e->ops->list || e->ops->few)
			continue;
		if (offset && behind != row)
			continue; /* its names are all given: they come first */
		rc = list_many(&to, folder, row, offset & LISTER_LOW_MAX);
		offset = 0;
	}
	if (rc == 0 && !to.stopped)
		rc = list_few(&to, folder, shape, offset);
	return rc;
}
