#include "mount-helpers/papers.h"

#include <ctype.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAPER_SIZE_MAX (4u << 20)

/* ---- what a word is, by the name that help gives it ---- */

static const struct {
	const char *name;
	enum word_kind kind;
} kinds[] = {
	{ "STORE", WORD_FOLDER }, { "ARCHIVE", WORD_FOLDER },    { "FOLDER", WORD_FOLDER },
	{ "PARTS", WORD_FOLDER }, { "MOUNTPOINT", WORD_FOLDER }, { "CHECKPOINT", WORD_FOLDER },
	{ "FILE", WORD_FILE },    { "SOCKET", WORD_FILE },       { "VERB", WORD_VERB },
	{ "KEY", WORD_SETTING },
};

static enum word_kind kind_of(const char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strlen(kinds[i].name) == size && memcmp(kinds[i].name, name, size) == 0)
			return kinds[i].kind;
	return WORD_ANY;
}

enum word_kind papers_argument_kind(const struct option_row *row)
{
	if (islower((unsigned char)row->argument[0]) && strchr(row->argument, '|'))
		return WORD_CHOICE;
	return kind_of(row->argument, strspn(row->argument, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"));
}

bool papers_word(const struct verb *v, size_t i, char name[PAPERS_NAME_MAX], enum word_kind *kind)
{
	const char *at = v->words;
	for (;; i--) {
		at += strcspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		size_t n = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
		if (!n)
			return false;
		if (i == 0) {
			snprintf(name, PAPERS_NAME_MAX, "%.*s", (int)n, at);
			*kind = v->run == verb_presets ? WORD_NETWORK : kind_of(at, n);
			return true;
		}
		at += n;
	}
}

void papers_page_name(const struct verb *v, char *out, size_t size)
{
	snprintf(out, size, "%s", v->name);
	for (char *at = out; *at; at++)
		if (*at == ' ')
			*at = '-';
}

/* ---- writing them ---- */

static int write_paper(const char *folder, const char *name, const struct buf *text,
		       struct err *err)
{
	char path[PATH_MAX];
	int rc = buf_done(text), n = snprintf(path, sizeof path, "%s/%s", folder, name);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", name, strerror(-rc));
	if (n >= (int)sizeof path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	AUTO(base_closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	for (size_t done = 0; fd >= 0 && done < text->n;) {
		ssize_t more = write(fd, text->p + done, text->n - done);
		if (more < 0 && errno == EINTR)
			continue;
		if (more <= 0)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
		done += (size_t)more;
	}
	return fd < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : 0;
}

static int write_pages(const char *folder, const char *parts, struct err *err)
{
	static const struct {
		const char *name;
		void (*make)(const char *parts, struct buf *out);
	} pages[] = {
		{ "chainfs.1.scd", papers_man_overview },
		{ "chainfs.yaml.5.scd", papers_man_settings },
		{ "chainfs-tree.7.scd", papers_man_tree },
		{ "mount.chainfs.8.scd", papers_man_helper },
	};
	AUTO(buf_release) struct buf out = BUF_INIT(PAPER_SIZE_MAX);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(pages); i++) {
		buf_clear(&out);
		pages[i].make(parts, &out);
		rc = write_paper(folder, pages[i].name, &out, err);
	}
	for (size_t i = 0; rc == 0 && i < verb_count; i++) {
		char page[64], name[96];
		if (verbs[i].hidden)
			continue;
		buf_clear(&out);
		papers_man_verb(&verbs[i], parts, &out);
		papers_page_name(&verbs[i], page, sizeof page);
		snprintf(name, sizeof name, "chainfs-%s.1.scd", page);
		rc = write_paper(folder, name, &out, err);
	}
	return rc;
}

static int write_completions(const char *folder, struct err *err)
{
	static const struct {
		const char *name;
		void (*make)(struct buf *out);
	} shells[] = {
		{ "chainfs.bash", papers_bash },
		{ "_chainfs", papers_zsh },
		{ "chainfs.fish", papers_fish },
	};
	AUTO(buf_release) struct buf out = BUF_INIT(PAPER_SIZE_MAX);
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(shells); i++) {
		buf_clear(&out);
		shells[i].make(&out);
		rc = write_paper(folder, shells[i].name, &out, err);
	}
	return rc;
}

int verb_papers(struct verb_call *c)
{
	struct err err = ERR_INIT;
	int rc = 0;
	if (mkdir(c->words[0], 0755) < 0 && errno != EEXIST)
		rc = err_set(&err, -errno, "%s: %s", c->words[0], strerror(errno));
	if (rc == 0)
		rc = write_pages(c->words[0], c->words[1], &err);
	if (rc == 0)
		rc = write_completions(c->words[0], &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}
