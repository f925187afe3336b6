#include "core/control/verb.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/control/mount_options.h"
#include "core/ingest/gate.h"
#include "core/store/network.h"
#include "core/sync/follow.h"

#define LINE_SIZE 4096

const struct exit_row exit_rows[] = {
	{ EXIT_DONE, "done" },
	{ EXIT_USAGE, "the command line is wrong" },
	{ EXIT_SYSTEM, "the system refused something: permissions, I/O, memory" },
	{ EXIT_ABSENT, "no such store, archive, network or height" },
	{ EXIT_FAULTS, "done, but blocks were refused or data did not verify" },
	{ EXIT_BUSY, "another process holds the store, or uses the mount" },
	{ EXIT_SPACE, "the disk is too full to go on safely" },
	{ EXIT_INTERRUPTED,
	  "interrupted; what was acknowledged is kept, the same command goes on" },
	{ EXIT_MOUNT, "the mount failed" },
	{ EXIT_GIVEN_UP, "worker after worker died, and the mount was given up" },
	{ EXIT_STORAGE,
	  "the storage library stopped at an I/O error; nothing acknowledged is lost" },
};
const size_t exit_row_count = ARRAY_LEN(exit_rows);

const struct option_row option_rows[OPTION_COUNT] = {
	[OPTION_NETWORK] = { "network", 0, "NAME",
			     "the network: a folder of that name in the mount" },
	[OPTION_CONFIG] = { "config", 0, "FILE",
			    "parameters of the network; goes before presets and the archive" },
	[OPTION_RANGE] = { "range", 0, "[SHARD:]FIRST-LAST",
			   "only these heights; without a shard: of the main one, and what it "
			   "witnesses of the others" },
	[OPTION_HYPER] = { "hyper", 0, "on|off",
			   "keep what legacy prunes; written to the store (default off)" },
	[OPTION_ALLOW_UNCOMMITTED] = { "allow-uncommitted", 0, NULL,
				       "take blocks that come without a certificate" },
	[OPTION_TRUST_ARCHIVE] = { "trust-archive", 0, NULL,
				   "let the archive's validators go before a preset's" },
	[OPTION_JSON] = { "json", 0, NULL, "print JSON" },
	[OPTION_QUIET] = { "quiet", 'q', NULL, "no progress" },
	[OPTION_FOREGROUND] = { "foreground", 'f', NULL, "stay in front" },
	[OPTION_OPTIONS] = { "options", 'o', "LIST",
			     "mount options, with commas between them" },
	[OPTION_SHARD] = { "shard", 0, "N", "only this shard" },
	[OPTION_LAZY] = { "lazy", 'z', NULL, "detach now, end when the last user is gone" },
	[OPTION_SEED] = { "seed", 0, "N", "seed of the generated chain" },
	[OPTION_BLOCKS] = { "blocks", 0, "N", "blocks to generate, over all shards" },
	[OPTION_MESSAGES] = { "messages", 0, "N", "messages to generate" },
	[OPTION_ACCOUNTS] = { "accounts", 0, "N", "accounts of the generated chain" },
	[OPTION_BARE] = { "bare", 0, NULL,
			  "blocks alone, of one data shard: no people, no certificates" },
	[OPTION_CHECKERS] = { "checkers", 0, "N",
			      "threads that check blocks (default: one a core)" },
	[OPTION_STORED] = { "stored", 0, NULL,
			    "show the results stored at import, check nothing again" },
	[OPTION_NO_MOUNT] = { "no-mount", 0, NULL, "stop after the import" },
	[OPTION_NO_SYNC] = { "no-sync", 0, NULL,
			     "leave out fsync: for chains that can be made again" },
	[OPTION_SETTINGS] = { "settings", 0, "FILE", "read settings from this file and no other" },
	[OPTION_SET] = { "set", 0, "KEY=VALUE,…",
			 "settings that go before those of file and environment" },
	[OPTION_RPC] = { "rpc", 0, "SOCKET",
			 "ask the daemon behind this socket (STORE/control) instead of opening a "
			 "store" },
	[OPTION_BLOCK] = { "block", 0, "HEIGHT", "as of this main height" },
	[OPTION_CONTEXT] = { "context", 0, "legacy|hyper|both", "which context (default both)" },
	[OPTION_LATEST] = { "latest", 0, "N", "the newest N heights" },
	[OPTION_TAIL] = { "tail", 0, NULL, "go on printing until interrupted" },
	[OPTION_REPAIR] = { "repair", 0, NULL,
			    "make gaps of what is damaged, so that it is fetched or imported "
			    "again" },
	[OPTION_ORIGIN] = { "origin", 0, NULL, "say where each value comes from" },
	[OPTION_HEIGHT] = { "height", 0, "HEIGHT",
			    "a main height (default: the newest that is replayed)" },
	[OPTION_EVIDENCE] = { "evidence", 0, "FILE",
			      "a signed block, as a source gives it" },
	[OPTION_FORCE] = { "force", 0, NULL, "roll back what contradicts it" },
	[OPTION_NAME] = { "name", 0, "NAME", "name of it" },
	[OPTION_WATCH] = { "watch", 'w', NULL, "go on, once a second, until interrupted" },
	[OPTION_HELP] = { "help", 'h', NULL, "this text" },
};
static_assert(OPTION_COUNT <= 64, "options are a 64-bit set");

int exit_of(int rc)
{
	switch (-rc) {
	case 0:
		return EXIT_DONE;
	case EINVAL:
		return EXIT_USAGE;
	case ENOENT:
	case ENODATA:
	case ENOTDIR:
		return EXIT_ABSENT;
	case EBADMSG:
	case EKEYREJECTED:
	case EUCLEAN:
	case EEXIST:
		return EXIT_FAULTS;
	case EBUSY:
		return EXIT_BUSY;
	case ENOSPC:
		return EXIT_SPACE;
	case EINTR:
		return EXIT_INTERRUPTED;
	default:
		return EXIT_SYSTEM;
	}
}

static void print_to(void (*to)(void *, const char *, size_t), void *arg, const char *format,
		     va_list ap)
{
	char line[LINE_SIZE];
	int n = vsnprintf(line, sizeof line, format, ap);
	if (n > 0)
		to(arg, line, MIN((size_t)n, sizeof line - 1));
}

void verb_print(struct verb_call *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	print_to(c->io->out, c->io->arg, format, ap);
	va_end(ap);
}

void verb_say(struct verb_call *c, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	print_to(c->io->err, c->io->arg, format, ap);
	va_end(ap);
}

void verb_write(struct verb_call *c, struct slice text)
{
	if (text.n)
		c->io->out(c->io->arg, (const char *)text.p, text.n);
}

int verb_fail(struct verb_call *c, int rc, const struct err *err)
{
	verb_say(c, "chainfs %s: %s\n", c->verb->name, err_text(err, rc));
	return exit_of(rc);
}

bool verb_stopped(const struct verb_call *c)
{
	return c->io->stop && atomic_load(c->io->stop);
}

bool verb_has(const struct verb_call *c, enum option_id id)
{
	return c->options[id] != NULL;
}

int verb_path(const struct verb_call *c, const char *text, char *out, size_t size)
{
	int n = text[0] == '/' || !c->cwd ? snprintf(out, size, "%s", text)
					  : snprintf(out, size, "%s/%s", c->cwd, text);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int verb_network(struct verb_call *c, struct network **out, struct err *err)
{
	const char *name = c->options[OPTION_NETWORK];
	size_t count = store_network_count(c->store);
	if (name)
		*out = store_network_find(c->store, name);
	else
		*out = count == 1 ? store_network_at(c->store, 0) : NULL;
	if (*out)
		return 0;
	if (name)
		return err_set(err, -ENOENT, "%s holds no network %s", store_path(c->store), name);
	return err_set(err, -ENOENT,
		       count ? "%s holds %zu networks; say which with --network NAME"
			     : "%s holds no network yet",
		       store_path(c->store), count);
}

int verb_hyper(const struct verb_call *c, bool *on, struct err *err)
{
	const char *word = c->options[OPTION_HYPER];
	if (!word)
		return 0;
	*on = strcmp(word, "on") == 0;
	if (*on || strcmp(word, "off") == 0)
		return 0;
	return err_set(err, -EINVAL, "--hyper %s: it is on or off", word);
}

int verb_checkers(const struct verb_call *c, unsigned *out, struct err *err)
{
	const char *text = c->options[OPTION_CHECKERS];
	uint64_t n = settings_number(c->settings, SETTING_LIMITS_CHECKERS);
	if (text && dec_get(text, strlen(text), 64, &n) < 0)
		return err_set(err, -EINVAL, "--checkers %s: it is a number up to 64", text);
	*out = (unsigned)n;
	return 0;
}

int verb_range_read(const char *text, bool *has_shard, uint32_t *shard, struct range *out,
		    struct err *err)
{
	const char *colon = strchr(text, ':'), *at = colon ? colon + 1 : text,
		   *dash = strchr(at, '-');
	uint64_t s = 0, first, last;
	if ((colon && dec_get(text, (size_t)(colon - text), SHARD_MAX - 1, &s) < 0) || !dash ||
	    dec_get(at, (size_t)(dash - at), UINT64_MAX - 2, &first) < 0 ||
	    dec_get(dash + 1, strlen(dash + 1), UINT64_MAX - 2, &last) < 0 || first == 0 ||
	    last < first)
		return err_set(err, -EINVAL,
			       "--range %s: it is [SHARD:]FIRST-LAST, both included, from 1", text);
	*has_shard = colon != NULL;
	*shard = (uint32_t)s;
	*out = (struct range){ first, last + 1 };
	return 0;
}

int verb_range(const struct verb_call *c, bool *has_shard, uint32_t *shard, struct range *out,
	       struct err *err)
{
	const char *text = c->options[OPTION_RANGE];
	*has_shard = false;
	*shard = 0;
	*out = (struct range){ 1, UINT64_MAX };
	return text ? verb_range_read(text, has_shard, shard, out, err) : 0;
}

int verb_wait(struct verb_call *c, const char *who, struct err *err)
{
	if (!gate_closing(c->gate))
		return 0;
	const char *line = c->io->terminal ? "\r\033[K" : "";
	verb_say(c, "%s%s: %s\n", line, who,
		 gate_is_paused(c->gate) ? "paused; it goes on when 0 is written to ctl/pause"
					 : "frozen; it goes on when ctl/freeze thaws");
	int rc = gate_enter(c->gate, c->io->stop);
	if (rc < 0)
		return err_set(err, rc, "interrupted; the same command goes on from here");
	gate_leave(c->gate);
	verb_say(c, "%s: goes on\n", who);
	return 0;
}

/* ---- parsing ---- */

uint64_t verb_options(const struct verb *v)
{
	return v->options | (v->need == STORE_NONE ? 0 : OPT(SETTINGS) | OPT(SET));
}

/* Names of two words are two words of the command line, too. *used: how many. */
const struct verb *verb_find(const struct verb *table, size_t count, int argc, char **argv,
			     int *used)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = table[i].name, *space = strchr(name, ' ');
		size_t first = space ? (size_t)(space - name) : strlen(name);
		if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], name, first) != 0)
			continue;
		if (space && (argc < 2 || strcmp(argv[1], space + 1) != 0))
			continue;
		*used = space ? 2 : 1;
		return &table[i];
	}
	return NULL;
}

/* "hyper" alone, or with a word that is none of its verbs: say which there are. */
static void say_unknown(struct verb_call *c, const struct verb *table, size_t count, int argc,
			char **argv)
{
	size_t size = argc > 0 ? strlen(argv[0]) : 0, found = 0;
	for (size_t i = 0; size && i < count; i++) {
		if (strncmp(table[i].name, argv[0], size) != 0 || table[i].name[size] != ' ')
			continue;
		if (!found++)
			verb_say(c, "chainfs %s: it needs another word:\n", argv[0]);
		verb_say(c, "  chainfs %s %s\n", table[i].name, table[i].words);
	}
	if (!found)
		verb_say(c, "chainfs: there is no verb \"%s\"; chainfs help lists them.\n",
			 argc > 0 ? argv[0] : "");
}

/* The option that argv[*at] gives, with its argument; negative id: none of that name. */
static int parse_option(int argc, char **argv, int *at, const char **argument)
{
	const char *word = argv[*at];
	const char *equals = strchr(word, '=');
	bool is_long = word[1] == '-';
	size_t size =
		is_long && equals ? (size_t)(equals - word) - 2 : strlen(word) - (is_long ? 2 : 1);
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		bool match = is_long ? strlen(row->name) == size &&
					       memcmp(row->name, word + 2, size) == 0
				     : row->letter && word[1] == row->letter &&
					       (word[2] == 0 || row->argument);
		if (!match)
			continue;
		*argument = "";
		if (!row->argument && !(is_long && equals))
			return id;
		if (!row->argument)
			return -1;
		if (is_long && equals)
			*argument = equals + 1;
		else if (!is_long && word[2])
			*argument = word + 2;
		else if (*at + 1 < argc)
			*argument = argv[++*at];
		else
			return -1;
		return id;
	}
	return -1;
}

/* `format` takes the word. */
static int usage(struct verb_call *c, const char *format, const char *word)
{
	verb_say(c, "chainfs %s: ", c->verb->name);
	verb_say(c, format, word);
	verb_say(c, "\nusage: chainfs %s %s\nchainfs %s --help says more.\n", c->verb->name,
		 c->verb->words, c->verb->name);
	return EXIT_USAGE;
}

/* As everywhere where things are mounted, -o may be given several times. False: too long. */
static bool join_options(struct verb_call *c, const char **list)
{
	const char *before = c->options[OPTION_OPTIONS];
	if (!before)
		return true;
	size_t at = strlen(before), size = strlen(*list);
	if (at + size + 2 > sizeof c->joined)
		return false;
	memmove(c->joined, before, at);
	c->joined[at] = ',';
	memcpy(c->joined + at + 1, *list, size + 1);
	*list = c->joined;
	return true;
}

/* A variable of a script that nobody set becomes a word without a letter. Behind those that a verb
 * needs it is as good as none. */
static int refuse_empty(struct verb_call *c)
{
	char name[64];
	const char *names = c->verb->words + (c->verb->words[0] == '[');

	for (int i = 0; i < c->word_count && i < MAX(c->verb->words_min, 1); i++) {
		size_t n = strcspn(names, " ]");

		snprintf(name, sizeof name, "%.*s", (int)n, names);
		if (!c->words[i][0])
			return usage(c, "%s is empty", name);
		names += n + (names[n] != 0);
	}
	return -1;
}

int verb_parse(const struct verb *table, size_t count, int argc, char **argv, struct verb_call *c)
{
	int used = 0;
	c->verb = verb_find(table, count, argc, argv, &used);
	if (!c->verb) {
		say_unknown(c, table, count, argc, argv);
		return EXIT_USAGE;
	}
	bool only_words = false;
	size_t set_count = 0;
	for (int i = used; i < argc; i++) {
		if (!only_words && strcmp(argv[i], "--") == 0) {
			only_words = true;
			continue;
		}
		if (only_words || argv[i][0] != '-' || argv[i][1] == 0) {
			if (c->word_count == c->verb->words_max)
				return usage(c, "\"%s\" is one word too many", argv[i]);
			c->words[c->word_count++] = argv[i];
			continue;
		}
		const char *word = argv[i], *argument;
		int id = parse_option(argc, argv, &i, &argument);
		if (id == OPTION_HELP) {
			AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
			verb_help(c->verb, &text);
			verb_write(c, buf_slice(&text));
			return EXIT_DONE;
		}
		if (id < 0 || !(verb_options(c->verb) & (1ull << id)))
			return usage(c, "it has no option %s, or its argument is missing", word);
		if (id == OPTION_SET && set_count == VERB_SETS_MAX)
			return usage(c,
				     "--set %s is one too many; put several into one, with commas",
				     argument);
		if (id == OPTION_SET)
			c->sets[set_count++] = argument;
		if (id == OPTION_OPTIONS && !join_options(c, &argument))
			return usage(c, "-o %s is more than there is room for", argument);
		c->options[id] = argument;
	}
	/* The daemon behind a socket has its store. */
	int words = c->word_count + verb_has(c, OPTION_RPC);
	if (words > c->verb->words_max)
		return usage(c, "--rpc %s stands for the store: name one of them",
			     c->options[OPTION_RPC]);
	if (words < c->verb->words_min)
		return usage(c, "it needs %s", c->verb->words);
	return refuse_empty(c);
}

/* ---- help ---- */

void verb_help(const struct verb *v, struct buf *out)
{
	buf_fmt(out, "usage: chainfs %s %s\n\n%s\n", v->name, v->words, v->about);
	bool any = false;
	for (int id = 0; id < OPTION_COUNT; id++) {
		const struct option_row *row = &option_rows[id];
		if (!(verb_options(v) & (1ull << id)))
			continue;
		if (!any)
			buf_str(out, "\n");
		any = true;
		char left[80];
		snprintf(left, sizeof left, "--%s%s%s", row->name, row->argument ? " " : "",
			 row->argument ? row->argument : "");
		if (row->letter)
			buf_fmt(out, "  -%c, %-28s %s\n", row->letter, left, row->help);
		else
			buf_fmt(out, "      %-28s %s\n", left, row->help);
	}
	if (v->options & OPT(OPTIONS))
		mount_options_help(out);
}

void verb_help_all(const struct verb *table, size_t count, struct buf *out)
{
	buf_str(out, "chainfs mounts a blockchain: blocks, accounts, gaps and diffs are files and "
		     "folders.\n\n"
		     "usage: chainfs VERB WORDS…\n\n");
	for (size_t i = 0; i < count; i++)
		if (!table[i].hidden)
			buf_fmt(out, "  %-14s %-26s %s\n", table[i].name, table[i].words,
				table[i].summary);
	buf_str(out, "\nchainfs VERB --help says more of each. Exit codes:\n\n");
	for (size_t i = 0; i < exit_row_count; i++)
		buf_fmt(out, "  %3d  %s\n", exit_rows[i].code, exit_rows[i].meaning);
}

void verb_turn(const struct verb_call *c, const struct network *n, struct turn *out)
{
	struct follows *l = c->env ? c->env->follows : NULL;

	*out = (struct turn){ .follows = l, .follow = follows_get(l, n) };
	follow_stand_back(out->follow);
}

void turn_release(struct turn *t)
{
	follow_go_on(t->follow);
	follows_put(t->follows, &t->follow);
}
