/* pins/: names that people make, and the numbers that stand for them in inode numbers. */
#include "fs/ctl/inside.h"

#include <stdio.h>

/* SIZE_MAX: no memory. */
size_t ctl_pin_number(struct ctl *c, struct network *n, const char *name)
{
	LOCKED(&c->names_lock);
	for (size_t i = 0; i < c->name_count; i++)
		if (c->names[i].network == n && !c->names[i].gone &&
		    strcmp(c->names[i].name, name) == 0)
			return i;
	/* A person makes few of them, so this may allocate here. */
	struct pin_name *more = realloc(c->names, (c->name_count + 1) * sizeof *more);

	if (!more)
		return SIZE_MAX;
	c->names = more;
	c->names[c->name_count] = (struct pin_name){ .network = n };
	snprintf(c->names[c->name_count].name, sizeof c->names->name, "%s", name);
	if (c->kept && c->name_count < KEEP_PINS) {
		struct keep_pin *k = &c->kept->pins[c->name_count];

		snprintf(k->name, sizeof k->name, "%s", name);
		k->gone = false;
		k->network = network_index(n); /* last: now it counts */
	}
	return c->name_count++;
}

void ctl_pin_retire(struct ctl *c, struct network *n, const char *name)
{
	LOCKED(&c->names_lock);
	for (size_t i = 0; i < c->name_count; i++)
		if (c->names[i].network == n && strcmp(c->names[i].name, name) == 0) {
			c->names[i].gone = true;
			if (c->kept && i < KEEP_PINS)
				c->kept->pins[i].gone = true;
		}
}

bool ctl_pin_name(struct ctl *c, size_t number, struct pin_name *out)
{
	LOCKED(&c->names_lock);
	if (number >= c->name_count)
		return false;
	*out = c->names[number];
	return true;
}

enum row ctl_row_of(fuse_ino_t ino)
{
	enum row row = ino & ((1u << ROW_BITS) - 1);

	return row < ROW_END ? row : ROW_END;
}

fuse_ino_t ctl_ino_of(enum row row, size_t number)
{
	return (fuse_ino_t)row | (row >= ROW_PIN ? (fuse_ino_t)(number + 1) << ROW_BITS : 0);
}

/* 0, or -ENOENT: it was removed. */
int ctl_pin_of(struct ctl *c, fuse_ino_t ino, struct pin_name *name, struct pin *out)
{
	if (!c->orders || !ctl_pin_name(c, (size_t)(ino >> ROW_BITS) - 1, name) || name->gone)
		return -ENOENT;
	char full[ORDER_PIN_NAME_SIZE];
	struct network *n;

	snprintf(full, sizeof full, "%s:%s", network_name(name->network), name->name);
	return orders_pin_find(c->orders, full, &n, out);
}

void ctl_pin_link(struct ctl *c, const struct pin_name *name, const struct pin *pin,
		  struct buf *out)
{
	buf_fmt(out, "%s/%s/checkpoints/%s", c->tree_path, network_name(name->network),
		pin->checkpoint);
}
