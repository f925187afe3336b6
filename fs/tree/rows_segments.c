/* segments/: the store's own files of the bytes of blocks (core/store/segment.h).
 *
 * Those before the last one are never written again: each is a node of its place. The last one
 * grows; as of a view it has so many bytes, which never change, and is a node of that view. */
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

#include <stdio.h>
#include <sys/stat.h>

#define DIGITS 6 /* at least; files of more sort last, some 250 terabytes on */

/* Which file of that number there is as of the view. */
static int make(struct look *l, uint32_t segment, struct node *out)
{
	if (segment == 0 || segment > l->view->segment)
		return -ENOENT;
	AUTO(base_closep) int fd = network_segment_open(l->view->network, segment);

	if (fd < 0)
		return err_set(l->err, fd == -ENOENT ? -ENODATA : fd,
			       "the file of segment %" PRIu32 " is gone", segment);
	out->key = segment;
	out->scope = (struct scope){ .kind = SCOPE_PLACE };
	if (segment == l->view->segment)
		node_of_view(l, out);
	return 0;
}

static int segment_find(struct look *l, const struct node *folder, const char *name,
			struct node *out)
{
	size_t size = strlen(name);
	uint64_t number;

	if (!path_ends(name, ".seg", &size) || path_padded(name, size, DIGITS, &number) < 0 ||
	    number > UINT32_MAX)
		return -ENOENT;
	return make(l, (uint32_t)number, out);
}

static int segment_list(struct look *l, const struct node *folder, const struct node *child,
			uint64_t after, struct lister *to)
{
	for (uint64_t number = after + 1; number <= l->view->segment; number++) {
		char name[PATH_NAME_SIZE];
		struct node n = *child;
		int rc = make(l, (uint32_t)number, &n);

		if (rc == -ENODATA)
			continue;
		if (rc < 0)
			return rc;
		snprintf(name, sizeof name, "%0*" PRIu64 ".seg", DIGITS, number);
		if (!lister_give(to, name, &n, number, NULL))
			return 0;
	}
	return 0;
}

/* Not one that a handle made up. */
static bool is_one(const struct view *v, const struct node *n)
{
	if (n->scope.kind == SCOPE_VIEW)
		return n->key && n->key == v->segment;
	return n->scope.kind == SCOPE_PLACE && n->key && n->key < v->segment;
}

static int segment_open(struct look *l, const struct node *n)
{
	if (!is_one(l->view, n))
		return err_set(l->err, -ESTALE, "there never was such a segment");
	return network_segment_open(l->view->network, (uint32_t)n->key);
}

static int segment_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(base_closep) int fd = segment_open(l, n);
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT ? -ESTALE : fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	bool grows = n->scope.kind == SCOPE_VIEW;

	out->size = grows ? l->view->segment_size : (uint64_t)st.st_size;
	out->mtime = grows ? newest_time(l->view) : (uint64_t)MAX(st.st_mtim.tv_sec, 0);
	return 0;
}

static int segments_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = newest_time(l->view);
	out->grows = true;
	return 0;
}

const struct entry_ops segments_ops = { .attr = segments_attr };
const struct entry_ops segment_ops = {
	.find = segment_find,
	.list = segment_list,
	.attr = segment_attr,
	.open = segment_open,
};
