/* sources/: who serves blocks of a network, while it is followed.
 *
 * A folder is a place, named by a hash of its name: the number that a follower gives a source may
 * be another's later. Its files are of one version each (sights.h). */
#include "fs/tree/render.h"
#include "fs/tree/rows.h"

#define KEY_MASK ((UINT64_C(1) << NODE_KEY_BITS) - 1)

static uint64_t key_of(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (h ^ h >> 37) & KEY_MASK;
}

/* -ESTALE: it was removed. */
static int source_of(struct look *l, const struct sight_version *v, uint64_t key,
		     const struct follow_source_sight **out)
{
	for (size_t i = 0; i < v->sight.source_count; i++)
		if (key_of(v->sight.sources[i].entry.name) == key) {
			*out = &v->sight.sources[i];
			return 0;
		}
	return err_set(l->err, -ESTALE, "there is no such source any more");
}

/* The newest version; NULL: nobody follows. */
static const struct sight_version *newest(struct look *l)
{
	struct node n = { .network = l->view->network };

	return look_sight_newest(l, &n) ? l->sight : NULL;
}

static int folder_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = newest_time(l->view);
	out->grows = true;
	return 0;
}

static int source_find(struct look *l, const struct node *folder, const char *name,
		       struct node *out)
{
	const struct sight_version *v = newest(l);

	if (!v || !sight_source(&v->sight, name))
		return -ENOENT;
	out->key = key_of(name);
	return 0;
}

static int source_list(struct look *l, const struct node *folder, const struct node *child,
		       uint64_t after, struct lister *to)
{
	const struct sight_version *v = newest(l);

	for (size_t i = 0; v && i < v->sight.source_count; i++) {
		const struct follow_source_sight *s = &v->sight.sources[i];
		struct attr attr = { .type = NODE_FOLDER,
				     .mtime = newest_time(v->view),
				     .settles = true };
		struct node n = *child;

		n.key = key_of(s->entry.name);
		if (!lister_give(to, s->entry.name, &n, s->number + 1u, &attr))
			return 0;
	}
	return 0;
}

static int source_attr(struct look *l, const struct node *n, struct attr *out)
{
	const struct follow_source_sight *of = NULL;
	const struct sight_version *v = newest(l);

	if (!v)
		return err_set(l->err, -ESTALE, "nobody follows this network any more");
	out->mtime = newest_time(v->view);
	out->settles = true;
	return source_of(l, v, n->key, &of);
}

static int file_make(struct look *l, const struct node *folder, struct node *out)
{
	return look_sight_newest(l, out) ? 0 : -ENOENT;
}

static render_source *const renderers[ROW_COUNT] = {
	[ROW_SOURCE_ADDRESS] = render_source_address,
	[ROW_SOURCE_ERROR] = render_source_error,
	[ROW_SOURCE_FAULTS] = render_source_faults,
	[ROW_SOURCE_OPERATOR] = render_source_operator,
	[ROW_SOURCE_RANGE] = render_source_range,
	[ROW_SOURCE_RATE] = render_source_rate,
	[ROW_SOURCE_REMARK] = render_source_remark,
	[ROW_SOURCE_SCORE] = render_source_score,
	[ROW_SOURCE_STATUS] = render_source_status,
	[ROW_SOURCE_VERSION] = render_source_version,
};

static int file_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct follow_source_sight *of = NULL;
	const struct sight_version *v;
	int rc = look_sight(l, n, &v);

	if (rc == 0)
		rc = source_of(l, v, n->key, &of);
	if (rc < 0)
		return rc;
	renderers[n->row](&v->sight, of, out);
	return buf_done(out);
}

static int file_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = file_read(l, n, &text);

	if (rc == 0)
		out->mtime = l->sight->sight.unix_ms / 1000;
	out->size = text.n;
	return rc;
}

static int source_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope = (struct scope){ .kind = SCOPE_PLACE };
	return 0;
}

const struct entry_ops sources_ops = { .attr = folder_attr };
const struct entry_ops source_ops = {
	.find = source_find,
	.list = source_list,
	.few = true,
	.attr = source_attr,
	.parent = source_parent,
};
const struct entry_ops source_file_ops = {
	.make = file_make,
	.attr = file_attr,
	.read = file_read,
};
