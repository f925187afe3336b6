/* names/: a file a name, of the rules' own rows, which are one for both contexts. */
#include "fs/tree/rows.h"

#define KEY_BYTES_MAX 512

static int names_open(struct look *l, const struct scope *scope, uint64_t from, struct ranked *out)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	struct state *st;
	int rc = look_state(l, scope, &st);

	look_ops(l)->names_prefix(&prefix);
	if (rc == 0)
		rc = buf_done(&prefix);
	return rc < 0 ? rc
		      : ranked_open(st, SPACE_BOTH, buf_slice(&prefix), RANKED_TEXT, from, out);
}

static int name_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT(KEY_BYTES_MAX);
	AUTO(buf_release) struct buf key = BUF_INIT(KEY_BYTES_MAX);
	struct state *st;
	int rc = look_state(l, &folder->scope, &st);

	if (rc < 0)
		return rc;
	node_common(out);
	look_ops(l)->names_prefix(&prefix);
	rc = look_ops(l)->name_key(name, &key);
	if (rc == 0)
		rc = buf_done(&prefix) < 0 ? buf_done(&prefix) : buf_done(&key);
	if (rc == -EMSGSIZE)
		return -ENOENT;
	return rc < 0 ? rc
		      : ranked_number(st, SPACE_BOTH, buf_slice(&prefix), RANKED_TEXT,
				      buf_slice(&key), &out->key);
}

static int read_row(struct look *l, struct slice key, struct slice value,
		    char name[RECORD_NAME_SIZE], struct buf *text, uint64_t *time)
{
	int rc = look_ops(l)->name_read(key, value, name, text, time);

	return rc < 0 ? err_note(l->err, rc, "a name") : buf_done(text);
}

static int name_list(struct look *l, const struct node *folder, const struct node *child,
		     uint64_t after, struct lister *to)
{
	AUTO(ranked_release) struct ranked rows = { .scan = NULL };
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	struct slice key, value;
	struct node n = *child;
	int rc = names_open(l, &folder->scope, after, &rows);

	node_common(&n);
	while (rc == 0 && (rc = ranked_next(&rows, &n.key, &key, &value)) == 1) {
		struct attr attr = { .type = NODE_FILE };
		char name[RECORD_NAME_SIZE];

		rc = 0;
		if (n.key <= after)
			continue;
		buf_clear(&text);
		rc = read_row(l, key, value, name, &text, &attr.mtime);
		if (rc < 0)
			return rc;
		attr.size = text.n;
		if (!lister_give(to, name, &n, n.key, &attr))
			return 0;
	}
	return MIN(rc, 0);
}

static int name_text(struct look *l, const struct node *n, struct buf *out, uint64_t *time)
{
	AUTO(ranked_release) struct ranked rows = { .scan = NULL };
	char name[RECORD_NAME_SIZE];
	struct slice key, value;
	uint64_t number;
	int rc = names_open(l, &n->scope, n->key, &rows);

	while (rc == 0 && (rc = ranked_next(&rows, &number, &key, &value)) == 1) {
		if (number == n->key)
			return read_row(l, key, value, name, out, time);
		rc = number > n->key ? -ESTALE : 0;
	}
	return rc < 0 ? rc : err_set(l->err, -ESTALE, "the name is gone");
}

static int name_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = name_text(l, n, &text, &out->mtime);

	out->size = text.n;
	return rc;
}

static int name_file(struct look *l, const struct node *n, struct buf *out)
{
	uint64_t time;

	return name_text(l, n, out, &time);
}

const struct entry_ops name_ops = {
	.find = name_find, .list = name_list, .attr = name_attr, .read = name_file,
};
