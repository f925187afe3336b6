/* fields_lab.h: a message as the list of its fields. */
#ifndef CHAINFS_TESTS_FIELDS_LAB_H
#define CHAINFS_TESTS_FIELDS_LAB_H

#include "tests/prop/changed_lab.h"

#include <stdlib.h>

#define FIELDS_MAX 4096u
#define DEPTH_MAX  16u

/* The fields of a message, as many as there is room for. */
static size_t fields_of(struct slice message, struct wire_field *list)
{
	struct wire w = wire_of(message);
	size_t count = 0;

	while (count < FIELDS_MAX && wire_next(&w, &list[count]))
		count++;
	return count;
}

struct fields {
	struct wire_field *list;
	size_t count;
};

static void fields_release(struct fields *f)
{
	free(f->list);
}

static struct fields fields_read(struct slice message)
{
	struct wire w = wire_of(message);
	struct wire_field f;
	struct fields out = { NULL, 0 };

	while (out.count < FIELDS_MAX && wire_next(&w, &f))
		out.count++;
	out.list = calloc(out.count + 1, sizeof *out.list);
	assert_non_null(out.list);
	out.count = fields_of(message, out.list);
	return out;
}

#endif
