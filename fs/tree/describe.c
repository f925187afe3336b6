/* Words about the tree that are made of the table: README files, the manual, the golden listing. */
#include "fs/tree/render.h"
#include "fs/tree/tree.h"

#include <stdio.h>

static const char *const class_names[] = {
	[FIXED] = "fixed", [SETTLING] = "settling", [FLOWING] = "flowing",
};
static const char *const type_marks[] = {
	[NODE_FOLDER] = "/", [NODE_FILE] = "", [NODE_LINK] = " ->",
};

static void row_line(const struct entry *e, struct buf *out)
{
	char path[128];

	snprintf(path, sizeof path, "%s%s%s", e->shown == PLAIN_ALONE ? "plain/" : "", e->path,
		 type_marks[e->type]);
	buf_fmt(out, "%-56s %-9s %s%s\n", path, class_names[e->class],
		e->unlisted ? "(not listed) " : "", e->about);
}

void render_rows(const char *begin, struct buf *out)
{
	for (size_t i = 1; i < tree_count; i++)
		if (strncmp(tree[i].path, begin, strlen(begin)) == 0)
			row_line(&tree[i], out);
}

static const char words[] =
	"chainfs: blockchains as files. Everything here is read-only; ls, cat, grep,\n"
	"find, diff, tar and jq are the tools. What the chain's own rules keep is\n"
	"legacy; all that was ever valid is hyper.\n"
	"\n"
	"    cat NETWORK/status                        what is held, replayed, missing\n"
	"    cat NETWORK/head/header                   the newest block\n"
	"    cat NETWORK/legacy/blocks/HEIGHT/verify   what was checked of a block\n"
	"    ls NETWORK/legacy/state/accounts/FID      an account now; at/HEIGHT: then\n"
	"    diff -r NETWORK/legacy/at/HEIGHT NETWORK/hyper/at/HEIGHT\n"
	"    getfattr -d FILE                          its hash, height, shard, level\n"
	"\n"
	"A fixed file gives the same bytes for ever. A settling one changes until it is\n"
	"final; who opened it reads one whole version. What flows is below ctl. What\n"
	"exists and is not held here answers \"No data available\"; gaps/ says why. {…}\n"
	"stands for a name that the data gives; {lane} and {state} for several folders\n"
	"that hold the same rows; {suffix} for how a chain's own bytes end.\n"
	"\n"
	"{lane}   {network}/{context}, for the main shard, and\n"
	"         {network}/{context}/shards/{shard}\n"
	"{state}  {network}/{context}/state, {lane}/at/{height}, and\n"
	"         {state}/shards/{shard} of either\n"
	"\n";

void render_readme(struct buf *out)
{
	buf_str(out, words);
	render_rows("", out);
}

int tree_describe_words(struct buf *out)
{
	buf_str(out, words);
	return buf_done(out);
}
