/* Completions: for each shell one function, and the tables as it can ask them. */
#include <stdio.h>

#include "mount-helpers/papers.h"

static const char made[] = "made by `chainfs papers` from the program's own tables; do not edit";

/* ---- words ---- */

/* Text between single quotes; `also` is escaped with a backslash, inside the quotes of those shells
 * whose quotes it does not end. */
static void put_quoted(struct buf *out, const char *text, const char *also, const char *quote)
{
	buf_str(out, "'");
	for (; *text; text++) {
		if (*text == '\'')
			buf_str(out, quote);
		else if (strchr(also, *text))
			buf_fmt(out, "\\%c", *text);
		else
			buf_u8(out, (uint8_t)(*text == '\n' ? ' ' : *text));
	}
	buf_str(out, "'");
}

/* "on|off" with blanks. */
static void put_choices(struct buf *out, const char *text)
{
	for (; *text; text++)
		buf_u8(out, (uint8_t)(*text == '|' ? ' ' : *text));
}

static void put_networks(struct buf *out)
{
	const struct chain_ops *ops;
	const char *name, *blank = "";
	for (size_t i = 0; (ops = chain_kind_at(i)); i++) {
		for (size_t k = 0; ops->preset_name && (name = ops->preset_name(k)); k++) {
			buf_fmt(out, "%s%s", blank, name);
			blank = " ";
		}
	}
}

static void put_settings(struct buf *out)
{
	for (enum setting_id id = 0; id < SETTING_COUNT; id++)
		buf_fmt(out, "%s%s=", id ? " " : "", setting_rows[id].key);
}

/* The first words of verbs, once each; with `first` the second words of it. */
static bool next_name(size_t *at, const char *first, char name[PAPERS_NAME_MAX],
		      const char **summary)
{
	for (; *at < verb_count; (*at)++) {
		const struct verb *v = &verbs[*at];
		const char *space = strchr(v->name, ' ');
		size_t n = strcspn(v->name, " ");
		bool seen = false;
		if (v->hidden ||
		    (first && (!space || strlen(first) != n || strncmp(first, v->name, n) != 0)))
			continue;
		for (size_t i = 0; !first && i < *at; i++)
			seen |= !verbs[i].hidden && strcspn(verbs[i].name, " ") == n &&
				strncmp(verbs[i].name, v->name, n) == 0;
		if (seen)
			continue;
		if (first)
			snprintf(name, PAPERS_NAME_MAX, "%s", space + 1);
		else
			snprintf(name, PAPERS_NAME_MAX, "%.*s", (int)n, v->name);
		*summary = first || !space ? v->summary : "needs another word";
		(*at)++;
		return true;
	}
	return false;
}

static void put_names(struct buf *out, const char *first)
{
	char name[PAPERS_NAME_MAX];
	const char *summary;
	for (size_t at = 0, n = 0; next_name(&at, first, name, &summary); n++)
		buf_fmt(out, "%s%s", n ? " " : "", name);
}

/* Is it the first word of verbs of two? */
static bool is_subject(const char *name)
{
	char second[PAPERS_NAME_MAX];
	const char *summary;
	size_t at = 0;
	return next_name(&at, name, second, &summary);
}

static void put_options(struct buf *out, const struct verb *v)
{
	const char *blank = "";
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		if (!(verb_options(v) & (1ull << id)))
			continue;
		buf_fmt(out, "%s--%s", blank, row->name);
		if (row->letter)
			buf_fmt(out, " -%c", row->letter);
		blank = " ";
	}
}

/* ---- what bash and zsh have in common: the tables as functions of `case` ---- */

/* "folder", "file", "verbs", "words on off", "settings", "any" */
static void put_kind(struct buf *out, enum word_kind kind, const char *choices)
{
	switch (kind) {
	case WORD_FOLDER:
		buf_str(out, "folder");
		return;
	case WORD_FILE:
		buf_str(out, "file");
		return;
	case WORD_VERB:
		buf_str(out, "words ");
		put_names(out, NULL);
		return;
	case WORD_NETWORK:
		buf_str(out, "words ");
		put_networks(out);
		return;
	case WORD_SETTING:
		buf_str(out, "settings ");
		put_settings(out);
		return;
	case WORD_CHOICE:
		buf_str(out, "words ");
		put_choices(out, choices);
		return;
	case WORD_ANY:
		break;
	}
	buf_str(out, "any");
}

static void put_tables(struct buf *out)
{
	char name[PAPERS_NAME_MAX];
	const char *summary;
	enum word_kind kind;

	buf_str(out, "# The second words of what begins verbs of two.\n_chainfs_seconds() {\n"
		     "\tcase $1 in\n");
	for (size_t at = 0; next_name(&at, NULL, name, &summary);) {
		if (!is_subject(name))
			continue;
		buf_fmt(out, "\t%s) echo '", name);
		put_names(out, name);
		buf_str(out, "' ;;\n");
	}
	buf_str(out, "\tesac\n}\n\n_chainfs_options() {\n\tcase $1 in\n");
	for (size_t i = 0; i < verb_count; i++) {
		if (verbs[i].hidden)
			continue;
		buf_fmt(out, "\t'%s') echo '", verbs[i].name);
		put_options(out, &verbs[i]);
		buf_str(out, "' ;;\n");
	}
	buf_str(out, "\tesac\n}\n\n# What follows an option; nothing: it has no argument.\n"
		     "_chainfs_argument() {\n\tcase $1 in\n");
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		if (!row->argument)
			continue;
		buf_fmt(out, "\t--%s", row->name);
		if (row->letter)
			buf_fmt(out, " | -%c", row->letter);
		buf_str(out, ") echo '");
		put_kind(out, papers_argument_kind(row), row->argument);
		buf_str(out, "' ;;\n");
	}
	buf_str(out, "\tesac\n}\n\n# What a verb's word is, counted from 0.\n"
		     "_chainfs_word() {\n\tcase $1,$2 in\n");
	for (size_t i = 0; i < verb_count; i++) {
		for (size_t k = 0; !verbs[i].hidden && papers_word(&verbs[i], k, name, &kind);
		     k++) {
			buf_fmt(out, "\t'%s',%zu) echo '", verbs[i].name, k);
			put_kind(out, kind, NULL);
			buf_str(out, "' ;;\n");
		}
	}
	buf_str(out, "\tesac\n}\n\n");
}

/* From `words`, the line as words without the program's name and without the one that is completed:
 * the verb into `verb`, how many words of its own came into `count`, the option that waits for its
 * argument into `option`. */
static const char parse_line[] =
	"\tverb= count=0 option=\n"
	"\tfor word in \"${words[@]}\"; do\n"
	"\t\tif [ -n \"$option\" ]; then\n"
	"\t\t\toption=\n"
	"\t\telif [ -z \"$verb\" ]; then\n"
	"\t\t\tverb=$word\n"
	"\t\telif [ \"$count\" = 0 ] && [ -n \"$(_chainfs_seconds \"$verb\")\" ]; then\n"
	"\t\t\tverb=\"$verb $word\"\n"
	"\t\telse\n"
	"\t\t\tcase $word in\n"
	"\t\t\t--*=*) ;;\n"
	"\t\t\t-*) [ -z \"$(_chainfs_argument \"$word\")\" ] || option=$word ;;\n"
	"\t\t\t*) count=$((count + 1)) ;;\n"
	"\t\t\tesac\n"
	"\t\tfi\n"
	"\tdone\n";

/* ---- bash ---- */

void papers_bash(struct buf *out)
{
	buf_fmt(out, "# bash completion of chainfs: %s\n\n", made);
	put_tables(out);
	buf_str(out, "_chainfs_first='");
	put_names(out, NULL);
	buf_str(out, "'\n\n"
		     "# $1: \"words on off\" and the like, $2: what was typed of it\n"
		     "_chainfs_give() {\n"
		     "\tcase $1 in\n"
		     "\tfolder) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < "
		     "<(compgen -d -- \"$2\") ;;\n"
		     "\tfile) compopt -o filenames 2> /dev/null; mapfile -t COMPREPLY < <(compgen "
		     "-f -- \"$2\") ;;\n"
		     "\tsettings*) compopt -o nospace 2> /dev/null\n"
		     "\t\tmapfile -t COMPREPLY < <(compgen -W \"${1#settings }\" -- \"$2\") ;;\n"
		     "\twords*) mapfile -t COMPREPLY < <(compgen -W \"${1#words }\" -- \"$2\") ;;\n"
		     "\tesac\n"
		     "}\n\n"
		     "_chainfs() {\n"
		     "\tlocal current=${COMP_WORDS[COMP_CWORD]} verb count option word words\n"
		     "\twords=(\"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n"
		     "\tCOMPREPLY=()\n"
		     "\t# \"--hyper=o\" comes as three words.\n"
		     "\tif [ \"$current\" = = ]; then\n"
		     "\t\tcurrent=\n"
		     "\telif [ \"${words[*]: -1}\" = = ]; then\n"
		     "\t\tunset 'words[-1]'\n"
		     "\tfi\n");
	buf_str(out, parse_line);
	buf_str(out, "\tif [ -n \"$option\" ]; then\n"
		     "\t\t_chainfs_give \"$(_chainfs_argument \"$option\")\" \"$current\"\n"
		     "\telif [ -z \"$verb\" ]; then\n"
		     "\t\t_chainfs_give \"words $_chainfs_first --help --version\" \"$current\"\n"
		     "\telif [ -n \"$(_chainfs_seconds \"$verb\")\" ]; then\n"
		     "\t\t_chainfs_give \"words $(_chainfs_seconds \"$verb\")\" \"$current\"\n"
		     "\telif [[ $current == -* ]]; then\n"
		     "\t\t_chainfs_give \"words $(_chainfs_options \"$verb\")\" \"$current\"\n"
		     "\telse\n"
		     "\t\t_chainfs_give \"$(_chainfs_word \"$verb\" \"$count\")\" \"$current\"\n"
		     "\tfi\n"
		     "}\n\n"
		     "complete -F _chainfs chainfs\n");
}

/* ---- zsh ---- */

void papers_zsh(struct buf *out)
{
	char name[PAPERS_NAME_MAX];
	const char *summary;
	buf_fmt(out, "#compdef chainfs\n# zsh completion of chainfs: %s\n\n", made);
	put_tables(out);
	buf_str(out, "_chainfs_help() {\n\tcase $1 in\n");
	for (size_t at = 0; next_name(&at, NULL, name, &summary);) {
		buf_fmt(out, "\t%s) echo ", name);
		put_quoted(out, summary, "", "'\\''");
		buf_str(out, " ;;\n");
	}
	for (int id = 0; id < OPTION_COUNT; id++) {
		buf_fmt(out, "\t--%s) echo ", option_rows[id].name);
		put_quoted(out, option_rows[id].help, "", "'\\''");
		buf_str(out, " ;;\n");
	}
	buf_str(out, "\tesac\n}\n\n_chainfs_first='");
	put_names(out, NULL);
	buf_str(out, "'\n\n"
		     "# $1: \"words on off\" and the like\n"
		     "_chainfs_give() {\n"
		     "\tlocal word about described=()\n"
		     "\tcase $1 in\n"
		     "\tfolder) _path_files -/ ;;\n"
		     "\tfile) _files ;;\n"
		     "\tsettings*) compadd -S '' -- ${=1#settings } ;;\n"
		     "\twords*)\n"
		     "\t\tfor word in ${=1#words }; do\n"
		     "\t\t\tabout=$(_chainfs_help $word)\n"
		     "\t\t\tdescribed+=(\"$word${about:+:$about}\")\n"
		     "\t\tdone\n"
		     "\t\t_describe -V chainfs described ;;\n"
		     "\tesac\n"
		     "}\n\n"
		     "_chainfs() {\n"
		     "\tlocal current=$words[CURRENT] verb count option word\n"
		     "\tlocal line=(\"${(@)words[2,CURRENT-1]}\")\n"
		     "\tlocal words=(\"${line[@]}\")\n");
	buf_str(out, parse_line);
	buf_str(out, "\tif [ -n \"$option\" ]; then\n"
		     "\t\t_chainfs_give \"$(_chainfs_argument $option)\"\n"
		     "\telif [[ $current == --*=* ]]; then\n"
		     "\t\toption=${current%%=*}\n"
		     "\t\tcompset -P 1 '*='\n"
		     "\t\t_chainfs_give \"$(_chainfs_argument $option)\"\n"
		     "\telif [ -z \"$verb\" ]; then\n"
		     "\t\t_chainfs_give \"words $_chainfs_first\"\n"
		     "\telif [ -n \"$(_chainfs_seconds $verb)\" ]; then\n"
		     "\t\t_chainfs_give \"words $(_chainfs_seconds $verb)\"\n"
		     "\telif [[ $current == -* ]]; then\n"
		     "\t\t_chainfs_give \"words $(_chainfs_options $verb)\"\n"
		     "\telse\n"
		     "\t\t_chainfs_give \"$(_chainfs_word $verb $count)\"\n"
		     "\tfi\n"
		     "}\n\n"
		     "# Loaded by itself it completes at once; sourced it waits to be asked.\n"
		     "if [ \"${funcstack[1]-}\" = _chainfs ]; then\n"
		     "\t_chainfs \"$@\"\n"
		     "elif (( $+functions[compdef] )); then\n"
		     "\tcompdef _chainfs chainfs\n"
		     "fi\n");
}

/* ---- fish ---- */

static void fish_quoted(struct buf *out, const char *text)
{
	put_quoted(out, text, "\\", "\\'");
}

/* How `complete` is told what a word may be. */
static void fish_kind(struct buf *out, enum word_kind kind, const char *choices)
{
	switch (kind) {
	case WORD_FOLDER:
		buf_str(out, " -x -a '(__fish_complete_directories (commandline -ct))'");
		return;
	case WORD_FILE:
		buf_str(out, " -r -F");
		return;
	case WORD_SETTING:
	case WORD_VERB:
	case WORD_NETWORK:
	case WORD_CHOICE:
		buf_str(out, " -x -a '");
		if (kind == WORD_VERB)
			put_names(out, NULL);
		else if (kind == WORD_NETWORK)
			put_networks(out);
		else if (kind == WORD_SETTING)
			put_settings(out);
		else
			put_choices(out, choices);
		buf_str(out, "'");
		return;
	case WORD_ANY:
		break;
	}
	buf_str(out, " -x");
}

static void fish_verb(struct buf *out, const struct verb *v)
{
	char name[PAPERS_NAME_MAX];
	enum word_kind kind;
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		if (!(verb_options(v) & (1ull << id)))
			continue;
		buf_fmt(out, "complete -c chainfs -n '__chainfs_verb \"%s\"' -l %s", v->name,
			row->name);
		if (row->letter)
			buf_fmt(out, " -s %c", row->letter);
		if (row->argument)
			fish_kind(out, papers_argument_kind(row), row->argument);
		buf_str(out, " -d ");
		fish_quoted(out, row->help);
		buf_str(out, "\n");
	}
	for (size_t k = 0; papers_word(v, k, name, &kind); k++) {
		if (kind == WORD_ANY)
			continue;
		buf_fmt(out, "complete -c chainfs -n '__chainfs_word \"%s\" %zu'", v->name, k);
		fish_kind(out, kind, NULL);
		buf_str(out, "\n");
	}
}

static void fish_names(struct buf *out, const char *first)
{
	char name[PAPERS_NAME_MAX];
	const char *summary;
	for (size_t at = 0; next_name(&at, first, name, &summary);) {
		if (first)
			buf_fmt(out, "complete -c chainfs -n '__chainfs_second %s' -x -a %s -d ",
				first, name);
		else
			buf_fmt(out, "complete -c chainfs -n __chainfs_first -x -a %s -d ", name);
		fish_quoted(out, summary);
		buf_str(out, "\n");
	}
}

void papers_fish(struct buf *out)
{
	char name[PAPERS_NAME_MAX];
	const char *summary;
	buf_fmt(out, "# fish completion of chainfs: %s\n\n", made);
	buf_str(out,
		"# The verb, then how many words of its own came; nothing while there is none.\n"
		"function __chainfs_line\n"
		"\tset -l words (commandline -opc)[2..-1]\n"
		"\tset -l verb\n"
		"\tset -l count 0\n"
		"\tset -l waits 0\n"
		"\tfor word in $words\n"
		"\t\tif test $waits = 1\n"
		"\t\t\tset waits 0\n"
		"\t\telse if test -z \"$verb\"\n"
		"\t\t\tset verb $word\n"
		"\t\telse if test $count = 0; and contains -- $verb $__chainfs_subjects\n"
		"\t\t\tset verb \"$verb $word\"\n"
		"\t\telse if contains -- $word $__chainfs_arguments\n"
		"\t\t\tset waits 1\n"
		"\t\telse if not string match -q -- '-*' $word\n"
		"\t\t\tset count (math $count + 1)\n"
		"\t\tend\n"
		"\tend\n"
		"\techo \"$verb\"\n"
		"\techo $count\n"
		"end\n\n"
		"function __chainfs_first\n"
		"\tset -l line (__chainfs_line)\n"
		"\ttest -z \"$line[1]\"\n"
		"end\n\n"
		"function __chainfs_second\n"
		"\t__chainfs_verb $argv[1]\n"
		"end\n\n"
		"function __chainfs_verb\n"
		"\tset -l line (__chainfs_line)\n"
		"\ttest \"$line[1]\" = $argv[1]\n"
		"end\n\n"
		"function __chainfs_word\n"
		"\tset -l line (__chainfs_line)\n"
		"\ttest \"$line[1]\" = $argv[1]; and test $line[2] = $argv[2]\n"
		"end\n\n"
		"set -g __chainfs_subjects");
	for (size_t at = 0; next_name(&at, NULL, name, &summary);)
		if (is_subject(name))
			buf_fmt(out, " %s", name);
	buf_str(out, "\nset -g __chainfs_arguments");
	for (int id = 0; id < OPTION_COUNT; id++) {
		if (!option_rows[id].argument)
			continue;
		buf_fmt(out, " --%s", option_rows[id].name);
		if (option_rows[id].letter)
			buf_fmt(out, " -%c", option_rows[id].letter);
	}
	buf_str(out, "\n\ncomplete -c chainfs -f\n");
	fish_names(out, NULL);
	for (size_t at = 0; next_name(&at, NULL, name, &summary);)
		if (is_subject(name))
			fish_names(out, name);
	for (size_t i = 0; i < verb_count; i++)
		if (!verbs[i].hidden)
			fish_verb(out, &verbs[i]);
}
