/* tree_inside.h: what lookup (tree.c) and listings (listing.c) share.
 * Threads  any. */
#ifndef CHAINFS_FS_TREE_INSIDE_H
#define CHAINFS_FS_TREE_INSIDE_H

#include "fs/tree/rows.h"

#define CHILDREN_MAX 24

/* Which rows stand below which, as their paths have it. */
struct shape {
	const char *leaf; /* the last part of the path */
	bool plain;
	uint8_t children[CHILDREN_MAX];
	size_t child_count;
	uint8_t parent; /* spelled out in its path; of what {lane} and {state} open, see
			 * parent_row() */
};

const struct shape *tree_shape(uint8_t row);

/* tree_check() with the question's own view. */
int tree_check_of(const struct look *l, const struct node *n) MUST_CHECK;
/* That there is nothing, or that we do not hold it: a listing leaves both out. */
bool tree_is_absent(int rc);
/* The place of another row below `folder`, or beside it. */
struct node tree_child_of(const struct node *folder, uint8_t row);
/* What stands there, of a row whose name is spelled out. Errors: as of make (rows.h). */
int tree_plain_child(struct look *l, const struct node *folder, uint8_t row, struct node *out)
	MUST_CHECK;
int tree_attr_of(struct look *l, const struct node *n, struct attr *out) MUST_CHECK;

#endif
