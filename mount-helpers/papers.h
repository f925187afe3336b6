/* papers.h: manual pages and completions, made of the tables of verbs, options, exit codes,
 * settings and of the tree. What is in a table is written there and nowhere else; what is not
 * (descriptions of the whole, examples) are parts in docs/man/parts/, one a page and section:
 *
 *     chainfs.1.description.scd    behind the description that the tables give
 *     chainfs.1.end.scd            before SEE ALSO: # EXAMPLES, # FILES …
 *
 * Pages are sources of scdoc(5). Memory: appended to `out`, whose owner asks for failures at the
 * end. */
#ifndef CHAINFS_PAPERS_H
#define CHAINFS_PAPERS_H

#include "mount-helpers/verbs.h"

/* What may stand at a place of the command line. */
enum word_kind {
	WORD_ANY,     /* a number, a name of the user's own */
	WORD_FOLDER,
	WORD_FILE,
	WORD_VERB,
	WORD_NETWORK, /* one whose parameters are known */
	WORD_SETTING, /* KEY=VALUE */
	WORD_CHOICE   /* "on|off" */
};

#define PAPERS_NAME_MAX 32

/* Of an option's argument; WORD_CHOICE: the words are in the text itself, "on|off". */
enum word_kind papers_argument_kind(const struct option_row *row);
/* The i-th word of a verb, from 0: its name ("ARCHIVE") into `name`; false behind the last. */
bool papers_word(const struct verb *v, size_t i, char name[PAPERS_NAME_MAX], enum word_kind *kind);
/* "hyper diff" as "hyper-diff". */
void papers_page_name(const struct verb *v, char *out, size_t size);

/* `parts`: the folder of parts; NULL: none. */
void papers_man_verb(const struct verb *v, const char *parts, struct buf *out);
void papers_man_overview(const char *parts, struct buf *out);
void papers_man_helper(const char *parts, struct buf *out);
void papers_man_settings(const char *parts, struct buf *out);
void papers_man_tree(const char *parts, struct buf *out);

void papers_bash(struct buf *out);
void papers_zsh(struct buf *out);
void papers_fish(struct buf *out);

int verb_papers(struct verb_call *c);

#endif
