/* diffs/FROM..TO/: what each context gained and lost between two main heights. */
#include "core/hyper/span.h"
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

static int readable(struct look *l, uint64_t height)
{
	struct cuts cuts;
	int rc = look_readable_main(l, CONTEXT_HYPER, height);

	if (rc == 0)
		rc = cuts_at(l->view, height, &cuts, l->err);
	return rc < 0 ? rc : cuts_readable(l->view, &cuts, l->err);
}

static int span_find(struct look *l, const struct node *folder, const char *name, struct node *out)
{
	const char *dots = strstr(name, "..");
	uint64_t from, to;

	if (!dots || path_number(name, (size_t)(dots - name), &from) < 0 ||
	    path_number(dots + 2, strlen(dots + 2), &to) < 0)
		return -ENOENT;
	if (from == 0 || from >= to)
		return err_set(l->err, -ENOENT,
			       "%s: a span goes from a height to a higher one, FROM..TO", name);
	int rc = readable(l, from);
	if (rc == 0)
		rc = readable(l, to);
	out->scope = (struct scope){
		.kind = SCOPE_SPAN, .context = CONTEXT_HYPER, .height = to, .from = from
	};
	return rc;
}

/* A listing asks for the sizes of all files: the span is made once. */
static int span_of(struct look *l, const struct scope *s, const struct span **out)
{
	const struct span_options o = { .from = s->from,
					.to = s->height,
					.contexts = { true, true },
					.lines_size_max = TEXT_SIZE_MAX };

	*out = l->span;
	if (l->span && l->span->from == s->from && l->span->to == s->height)
		return 0;
	look_span_release(l);
	struct span *made = calloc(1, sizeof *made);
	if (!made)
		return -ENOMEM;
	int rc = span_make(l->view, &o, made, l->err);
	if (rc < 0) {
		free(made);
		return rc;
	}
	*out = l->span = made;
	return 0;
}

static int file_read(struct look *l, const struct node *n, struct buf *out)
{
	const struct span *s;
	int rc = span_of(l, &n->scope, &s);

	if (rc < 0)
		return rc;
	switch (n->row) {
	case ROW_SPAN_HYPER:
		buf_add(out, buf_slice(&s->lines[CONTEXT_HYPER]));
		break;
	case ROW_SPAN_LEGACY:
		buf_add(out, buf_slice(&s->lines[CONTEXT_LEGACY]));
		break;
	case ROW_SPAN_REASONS:
		span_reasons(s, out);
		break;
	default:
		span_report(s, n->row == ROW_SPAN_REPORT_JSON, out);
		break;
	}
	return buf_done(out);
}

static int file_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_SIZE_MAX);
	int rc = file_read(l, n, &text);

	out->size = text.n;
	return rc < 0 ? rc : time_attr(l, n, out);
}

const struct entry_ops span_ops = { .find = span_find, .attr = time_attr };
const struct entry_ops span_file_ops = { .attr = file_attr, .read = file_read };
