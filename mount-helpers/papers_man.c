/* The manual pages. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/control/mount_options.h"
#include "fs/tree/tree.h"
#include "mount-helpers/papers.h"

#define PART_SIZE_MAX (1u << 20)

/* ---- scdoc ---- */

/* Text that stands for itself. A newline is a blank, an empty line ends the paragraph; `indent`
 * goes before every line. */
static void put_text(struct buf *out, const char *text, const char *indent)
{
	bool begins = true; /* a line: some characters mean something there */
	for (; *text; text++) {
		if (text[0] == '\n' && text[1] == '\n') {
			buf_fmt(out, "\n\n%s", indent);
			while (text[1] == '\n')
				text++;
			begins = true;
			continue;
		}
		if (*text == '\n') {
			buf_str(out, " ");
			continue;
		}
		if (strchr("\\*_", *text) || (begins && strchr("#-;[]|.`'~", *text)) ||
		    (text[0] == '+' && text[1] == '+'))
			buf_str(out, "\\");
		buf_u8(out, (uint8_t)*text);
		begins = false;
	}
}

/* "STORE [MOUNTPOINT]": words in capitals are for the user to fill in. */
static void put_words(struct buf *out, const char *words)
{
	while (*words) {
		size_t n = strspn(words, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (n) {
			buf_fmt(out, "_%.*s_", (int)n, words);
			words += n;
			continue;
		}
		char one[2] = { *words++ };
		if (strchr("*_\\", *one))
			buf_str(out, "\\");
		buf_str(out, one);
	}
}

/* "on|off" are words to type, "NAME" is one to fill in. */
static void put_argument(struct buf *out, const struct option_row *row)
{
	if (papers_argument_kind(row) != WORD_CHOICE) {
		put_words(out, row->argument);
		return;
	}
	for (const char *at = row->argument;;) {
		size_t n = strcspn(at, "|");
		buf_fmt(out, "*%.*s*", (int)n, at);
		if (!at[n])
			return;
		buf_str(out, "|");
		at += n + 1;
	}
}

static void put_head(struct buf *out, const char *name, const char *section, const char *about)
{
	buf_fmt(out, "%s(%s) \"chainfs %s\" \"chainfs\"\n\n# NAME\n\n%s - ", name, section,
		CHAINFS_VERSION, name);
	put_text(out, about, "");
	buf_str(out, "\n\n");
}

/* A part that a person wrote, when there is one. */
static void put_part(struct buf *out, const char *parts, const char *page, const char *section,
		     const char *part)
{
	AUTO(buf_release) struct buf text = BUF_INIT(PART_SIZE_MAX);
	char path[PATH_MAX];
	int n = parts ? snprintf(path, sizeof path, "%s/%s.%s.%s.scd", parts, page, section, part)
		      : 0;
	if (n <= 0 || n >= PATH_MAX || access(path, F_OK) < 0)
		return;
	int rc = files_read(path, PART_SIZE_MAX, &text, NULL);
	if (rc < 0) {
		out->failed = out->failed ? out->failed : rc;
		return;
	}
	buf_add(out, buf_slice(&text));
	buf_str(out, "\n");
}

/* ---- a verb ---- */

static void put_options(struct buf *out, const struct verb *v)
{
	buf_str(out, "# OPTIONS\n\n");
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		if (!(verb_options(v) & (1ull << id)))
			continue;
		if (row->letter)
			buf_fmt(out, "*-%c*, ", row->letter);
		buf_fmt(out, "*--%s*", row->name);
		if (row->argument) {
			buf_str(out, " ");
			put_argument(out, row);
		}
		buf_str(out, "\n\t");
		put_text(out, row->help, "\t");
		buf_str(out, "\n\n");
	}
}

/* ---- mount options ---- */

static void put_mount_options(struct buf *out)
{
	const char *comma = "";
	buf_str(out, "# MOUNT OPTIONS\n\nBehind *-o*, with commas between them.\n\n");
	for (size_t i = 0; i < mount_option_row_count; i++) {
		const struct mount_option_row *row = &mount_option_rows[i];
		if (row->kind == MOUNT_OPTION_IGNORED)
			continue;
		buf_str(out, "*");
		put_text(out, row->name, "");
		bool optional = row->argument && row->argument[0] == '[';

		buf_fmt(out, "%s*", row->argument && !optional ? "=" : "");
		if (optional)
			put_text(out, "[=", ""), put_words(out, row->argument + 2);
		else if (row->argument && strchr(row->argument, '|'))
			put_text(out, row->argument, "");
		else if (row->argument)
			put_words(out, row->argument);
		buf_fmt(out, "\n\t%s", row->kind == MOUNT_OPTION_REFUSED ? "Refused: " : "");
		put_text(out, row->about, "\t");
		buf_str(out, "\n\n");
	}
	buf_str(out, "Ignored, so that a line of fstab may have them: ");
	for (size_t i = 0; i < mount_option_row_count; i++) {
		if (mount_option_rows[i].kind != MOUNT_OPTION_IGNORED)
			continue;
		buf_str(out, comma);
		put_text(out, mount_option_rows[i].name, "");
		comma = ", ";
	}
	buf_str(out, ".\n\n");
}

/* The program under other names, as mount(8) starts it. */
void papers_man_helper(const char *parts, struct buf *out)
{
	buf_fmt(out,
		"mount.chainfs(8) \"chainfs %s\" \"chainfs\"\n\n# NAME\n\n"
		"mount.chainfs, umount.chainfs - mount and unmount a chainfs store\n\n",
		CHAINFS_VERSION);
	put_part(out, parts, "mount.chainfs", "8", "description");
	put_mount_options(out);
	put_part(out, parts, "mount.chainfs", "8", "end");
	buf_str(out, "# SEE ALSO\n\n*chainfs*(1), *chainfs-mount*(1), *mount*(8), *umount*(8), "
		     "*fuse*(8), *systemd.mount*(5)\n");
}

/* ---- the page of a verb ---- */

static bool same_subject(const struct verb *a, const struct verb *b)
{
	size_t n = strcspn(a->name, " ");
	return a != b && !b->hidden && n == strcspn(b->name, " ") &&
	       strncmp(a->name, b->name, n) == 0;
}

void papers_man_verb(const struct verb *v, const char *parts, struct buf *out)
{
	char page[128] = "chainfs-";
	papers_page_name(v, page + strlen(page), sizeof page - strlen(page));
	put_head(out, page, "1", v->summary);
	buf_fmt(out, "# SYNOPSIS\n\n*chainfs %s* [_OPTIONS_...]%s", v->name, *v->words ? " " : "");
	put_words(out, v->words);
	buf_str(out, "\n\n# DESCRIPTION\n\n");
	put_text(out, v->about, "");
	buf_str(out, "\n\n");
	put_part(out, parts, page, "1", "description");
	put_options(out, v);
	if (verb_options(v) & OPT(OPTIONS))
		put_mount_options(out);
	put_part(out, parts, page, "1", "end");
	buf_str(out, "# EXIT STATUS\n\nThose of *chainfs*(1).\n\n# SEE ALSO\n\n*chainfs*(1)");
	if (v->need != STORE_NONE)
		buf_str(out, ", *chainfs.yaml*(5)");
	for (size_t i = 0; i < verb_count; i++) {
		if (!same_subject(v, &verbs[i]))
			continue;
		papers_page_name(&verbs[i], page, sizeof page);
		buf_fmt(out, ", *chainfs-%s*(1)", page);
	}
	buf_str(out, "\n");
}

/* ---- the overview ---- */

void papers_man_overview(const char *parts, struct buf *out)
{
	char page[64];
	put_head(out, "chainfs", "1", "mounts a blockchain");
	buf_str(out,
		"# SYNOPSIS\n\n*chainfs* _VERB_ [_OPTIONS_...] [_WORDS_...]\n\n# DESCRIPTION\n\n");
	put_part(out, parts, "chainfs", "1", "description");
	buf_str(out, "# VERBS\n\n");
	for (size_t i = 0; i < verb_count; i++) {
		const struct verb *v = &verbs[i];
		if (v->hidden)
			continue;
		papers_page_name(v, page, sizeof page);
		buf_fmt(out, "*%s*%s", v->name, *v->words ? " " : "");
		put_words(out, v->words);
		buf_str(out, "\n\t");
		put_text(out, v->summary, "\t");
		buf_fmt(out, ": *chainfs-%s*(1)\n\n", page);
	}
	buf_str(out, "# EXIT STATUS\n\n");
	for (size_t i = 0; i < exit_row_count; i++) {
		buf_fmt(out, "*%d*\n\t", exit_rows[i].code);
		put_text(out, exit_rows[i].meaning, "\t");
		buf_str(out, "\n\n");
	}
	put_part(out, parts, "chainfs", "1", "end");
	buf_str(out, "# SEE ALSO\n\n*chainfs.yaml*(5), *chainfs-tree*(7), *mount*(8), *umount*(8), "
		     "*fusermount3*(1), *diff*(1)\n");
}

/* ---- settings ---- */

static const char *const type_words[] = {
	[SETTING_BOOL] = "true, false, on or off",
	[SETTING_NUMBER] = "a number",
	[SETTING_SIZE] = "a size: bytes, or a number with k, M, G or T (powers of 1024)",
	[SETTING_TIME] = "a time: a number with ms, s, min, h or d",
	[SETTING_TEXT] = "one of ",
	[SETTING_PATH] = "a path from / on, or empty",
};

/* The defaults, as a file would have them. */
static void put_defaults(struct buf *out)
{
	const char *group = "";
	size_t group_size = 0;
	buf_str(out, "# DEFAULTS\n\n```\n");
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const char *key = setting_rows[id].key, *dot = strchr(key, '.');
		size_t n = (size_t)(dot - key);
		if (n != group_size || strncmp(key, group, n) != 0)
			buf_fmt(out, "%.*s:\n", (int)n, key);
		group = key;
		group_size = n;
		buf_fmt(out, "  %s: %s\n", dot + 1,
			*setting_rows[id].standard ? setting_rows[id].standard : "''");
	}
	buf_str(out, "```\n\n");
}

void papers_man_settings(const char *parts, struct buf *out)
{
	char name[64];
	put_head(out, "chainfs.yaml", "5", "settings of chainfs");
	buf_str(out, "# DESCRIPTION\n\n");
	put_part(out, parts, "chainfs.yaml", "5", "description");
	buf_str(out, "# SETTINGS\n\n");
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const struct setting_row *row = &setting_rows[id];
		buf_str(out, "*");
		put_text(out, row->key, "");
		buf_str(out, "*\n\t");
		put_text(out, row->about, "\t");
		setting_variable(id, name, sizeof name);
		buf_str(out, "\n\n\tValue: ");
		put_text(out, type_words[row->type], "\t");
		if (row->words)
			put_text(out, row->words, "\t");
		buf_fmt(out, ". Default: *%s*. Environment: *",
			*row->standard ? row->standard : "nothing");
		put_text(out, name, "");
		buf_str(out, "*.\n\n");
	}
	put_defaults(out);
	put_part(out, parts, "chainfs.yaml", "5", "end");
	buf_str(out, "# SEE ALSO\n\n*chainfs*(1), *chainfs-config-show*(1), "
		     "*chainfs-config-check*(1)\n");
}

/* ---- the tree ---- */

void papers_man_tree(const char *parts, struct buf *out)
{
	static const char *const classes[] = {
		[FIXED] = "fixed",
		[SETTLING] = "settling",
		[FLOWING] = "flowing",
	};
	static const char *const types[] = {
		[NODE_FOLDER] = "folder",
		[NODE_FILE] = "file",
		[NODE_LINK] = "link",
	};
	put_head(out, "chainfs-tree", "7", "what is where in a mount of chainfs");
	buf_str(out, "# DESCRIPTION\n\n");
	put_part(out, parts, "chainfs-tree", "7", "description");
	buf_str(out, "```\n");
	int rc = tree_describe_words(out);
	buf_str(out, "```\n\n# TREE\n\n");
	for (size_t i = 1; rc == 0 && i < tree_count; i++) {
		const struct entry *e = &tree[i];
		buf_fmt(out, "*%s", e->shown == PLAIN_ALONE ? "plain/" : "");
		put_text(out, e->path, "");
		buf_fmt(out, "* (%s, %s%s)\n\t", types[e->type], classes[e->class],
			e->unlisted ? ", not listed" : "");
		put_text(out, e->about, "\t");
		buf_str(out, "\n\n");
	}
	put_part(out, parts, "chainfs-tree", "7", "end");
	buf_str(out, "# SEE ALSO\n\n*chainfs*(1), *chainfs-mount*(1)\n");
}
