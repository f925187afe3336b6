/* verb.h: what a verb of the command line is: one row of a table, one function.
 *
 * A verb runs in the process that owns the store: in the program itself when nobody holds it, in
 * the daemon when one does (its socket carries the words in and the lines out). So a verb prints
 * through its call, never to stdout, and takes relative paths from the caller's folder.
 * Threads  one call, one thread; the daemon runs several calls side by side. */
#ifndef CHAINFS_CONTROL_VERB_H
#define CHAINFS_CONTROL_VERB_H

#include <stdatomic.h>

#include "core/base/json.h"
#include "core/control/events.h"
#include "core/control/settings.h"
#include "core/store/store.h"
#include "core/sync/gaps.h"

/* The exit codes of every verb; `chainfs help` and the manual print this table. */
enum exit_code {
	EXIT_DONE = 0,
	EXIT_USAGE = 1,
	EXIT_SYSTEM = 2,
	EXIT_ABSENT = 3,
	EXIT_FAULTS = 4,
	EXIT_BUSY = 5,
	EXIT_SPACE = 6,
	EXIT_INTERRUPTED = 8,
	EXIT_MOUNT = 32,
	EXIT_GIVEN_UP = 70,
	EXIT_STORAGE = 74,
};
struct exit_row {
	int code;
	const char *meaning;
};
extern const struct exit_row exit_rows[];
extern const size_t exit_row_count;

int exit_of(int rc); /* of a negative errno */

enum store_need {
	STORE_NONE,   /* the first word after the verb, if any, is not a store */
	STORE_OPEN,   /* the first word is a store that exists */
	STORE_CREATE, /* the same, made where there is none */
	STORE_LOCAL,  /* needs the store itself, not through a daemon: mount, demo */
	STORE_ASK     /* the first word, if any, is a store; not opened, but a daemon that holds it
		       * answers */
};

enum option_id {
	OPTION_NETWORK, OPTION_CONFIG, OPTION_RANGE, OPTION_HYPER, OPTION_ALLOW_UNCOMMITTED,
	OPTION_TRUST_ARCHIVE, OPTION_JSON, OPTION_QUIET, OPTION_FOREGROUND, OPTION_OPTIONS,
	OPTION_SHARD, OPTION_LAZY, OPTION_SEED, OPTION_BLOCKS, OPTION_MESSAGES, OPTION_ACCOUNTS,
	OPTION_CHECKERS, OPTION_STORED, OPTION_NO_MOUNT, OPTION_NO_SYNC, OPTION_SETTINGS,
	OPTION_SET, OPTION_RPC, OPTION_BLOCK, OPTION_CONTEXT, OPTION_LATEST, OPTION_TAIL,
	OPTION_REPAIR, OPTION_ORIGIN, OPTION_HEIGHT, OPTION_NAME, OPTION_BARE, OPTION_WATCH,
	OPTION_EVIDENCE, OPTION_FORCE, OPTION_HELP,
	OPTION_COUNT
};

struct option_row {
	const char *name;     /* without the dashes */
	char        letter;   /* 0: none */
	const char *argument; /* what follows it, NULL: nothing */
	const char *help;
};
extern const struct option_row option_rows[OPTION_COUNT];

#define VERB_WORDS_MAX 8
#define VERB_SETS_MAX  16

struct verb_call;
struct follows;

struct verb {
	const char *name;                   /* "import"; of two words where verbs share a subject:
					     * "hyper diff" */
	const char *words;                  /* "STORE ARCHIVE" */
	const char *summary;                /* "reads an archive into a store" */
	const char *about;                  /* a paragraph for its own help */
	enum store_need need;
	int         words_min, words_max;
	/* bit OPTION_X: accepted; see also verb_options(). OPTION_RPC: its one word may be left out
	 * for a daemon's socket. */
	uint64_t    options;
	bool        hidden;
	int       (*run)(struct verb_call *c);
	/* NULL, or what must hold before a store is opened or made: EXIT_DONE to go on; CHECK_APART
	 * when this call needs no store after all and runs without one, in the caller's process. */
	int       (*check)(struct verb_call *c);
};
#define CHECK_APART (-1)
#define OPT(id) (1ull << OPTION_##id)

/* Where a call's lines go. */
struct verb_io {
	void (*out)(void *arg, const char *text, size_t size);
	void (*err)(void *arg, const char *text, size_t size);
	void *arg;
	bool  terminal;      /* err is one: progress may be redrawn */
	atomic_bool *stop;   /* set when the caller gave up (Ctrl-C, socket closed) */
	unsigned columns;    /* of out, when that is a terminal; else 0 */
};

#define VERB_JOINED_SIZE 4096

struct verb_call {
	const struct verb *verb;
	const char *words[VERB_WORDS_MAX]; /* after the verb; words[0] may be the store */
	int         word_count;
	const char *options[OPTION_COUNT]; /* NULL: not given; "" for those without argument */
	const char *sets[VERB_SETS_MAX + 1]; /* of every --set, in order; NULL-terminated */
	char        joined[VERB_JOINED_SIZE]; /* of several -o: their lists as one */
	const char *cwd;
	struct verb_io *io;
	struct store   *store;             /* open, where the verb needs one */
	struct events  *events;            /* of the daemon; NULL outside */
	struct pins    *pins;              /* the same */
	struct gate    *gate;              /* the same: where imports wait (core/ingest/gate.h) */
	struct follows *follows;           /* the same: who follows which network */
	const struct settings *settings;   /* as loaded for this process; NULL: the defaults */
	const struct verb_env *env;        /* of the daemon; NULL outside */
};

/* What a daemon lends to the verbs that run in it. */
struct verb_env {
	struct store  *store;
	struct events *events;
	struct pins   *pins;
	struct gate   *gate;
	struct follows *follows; /* core/sync/follow.h */
	struct live   *live;     /* net/live.h, for verbs that may know it; NULL: nothing is
				  * followed */
	const struct settings *settings;
	/* Lets the program that lies at our path by now take over; NULL: nobody can. */
	int          (*upgrade)(void *arg, struct err *err);
	void          *upgrade_arg;
};

/* Parses words and options of `argv` (the verb's name first) into `c`. Prints the fault and gives
 * an exit code >= 0 when the call ends here (usage, help), -1 when the verb should run. The strings
 * are argv's own, or `c->joined`. */
int verb_parse(const struct verb *table, size_t count, int argc, char **argv, struct verb_call *c);
/* The verb that argv begins with; NULL: none. *used: its words, 1 or 2. */
const struct verb *verb_find(const struct verb *table, size_t count, int argc, char **argv,
			     int *used);
/* All that it accepts: its row's, and --settings and --set where settings matter: with a store. */
uint64_t verb_options(const struct verb *v);
void verb_help(const struct verb *v, struct buf *out);
void verb_help_all(const struct verb *table, size_t count, struct buf *out);

void verb_print(struct verb_call *c, const char *format, ...) PRINTF_LIKE(2, 3);
void verb_say(struct verb_call *c, const char *format, ...) PRINTF_LIKE(2, 3); /* to err */
void verb_write(struct verb_call *c, struct slice text);
/* "chainfs VERB: SENTENCE" to err; returns the exit code of rc. */
int verb_fail(struct verb_call *c, int rc, const struct err *err);
bool verb_stopped(const struct verb_call *c);
bool verb_has(const struct verb_call *c, enum option_id id);
/* `text` as seen from the caller's folder. */
int verb_path(const struct verb_call *c, const char *text, char *out, size_t size) MUST_CHECK;
/* The network that --network names, or the only one. -ENOENT with a sentence. */
int verb_network(struct verb_call *c, struct network **out, struct err *err) MUST_CHECK;

/* What --hyper says, checked; *on is left alone when it was not given. */
int verb_hyper(const struct verb_call *c, bool *on, struct err *err) MUST_CHECK;

/* A text as --range has it: heights of a shard, or of the main one and what belongs to it of the
 * others. */
int verb_range_read(const char *text, bool *has_shard, uint32_t *shard, struct range *out,
		    struct err *err) MUST_CHECK;

/* Threads that check blocks: --checkers, else the setting; 0: one a core. */
int verb_checkers(const struct verb_call *c, unsigned *out, struct err *err) MUST_CHECK;

/* What --range says: *has_shard: *shard was named. Everything when it was not given. */
int verb_range(const struct verb_call *c, bool *has_shard, uint32_t *shard, struct range *out,
	       struct err *err) MUST_CHECK;

/* Where what is written is paused or frozen, says so and waits. -EINTR: interrupted meanwhile. */
int verb_wait(struct verb_call *c, const char *who, struct err *err) MUST_CHECK;

/* While a verb writes to a network itself, its follower stands back. */
struct turn {
	struct follows *follows;
	struct follow  *follow; /* NULL: nobody follows it */
};
/* Before anything of the network is opened for writing; waits until what the follower took is
 * committed. */
void verb_turn(const struct verb_call *c, const struct network *n, struct turn *out);
void turn_release(struct turn *t);

/* The verbs of core. Those that mount are in mount-helpers. */
int verb_import(struct verb_call *c);
int verb_import_check(struct verb_call *c); /* is there such an archive? */
int verb_status(struct verb_call *c);
int verb_guessed(struct verb_call *c);
int verb_gaps(struct verb_call *c);
int verb_verify(struct verb_call *c);
int verb_hyper_diff(struct verb_call *c);
int verb_hyper_audit(struct verb_call *c);
int verb_hyper_metrics(struct verb_call *c);
int verb_fsck(struct verb_call *c);
int verb_config_show(struct verb_call *c);
int verb_config_check(struct verb_call *c);
int verb_export(struct verb_call *c);
int verb_migrate(struct verb_call *c);
int verb_presets(struct verb_call *c);
int verb_verify_check(struct verb_call *c); /* is the word a checkpoint's folder? */
int verb_verify_checkpoint(struct verb_call *c);
int verb_checkpoint(struct verb_call *c);
int verb_restore(struct verb_call *c);
int verb_pin(struct verb_call *c);
int verb_unpin(struct verb_call *c);
int verb_checkpoints(struct verb_call *c);
int verb_trust_add(struct verb_call *c);
int verb_trust_pin(struct verb_call *c);
int verb_trust_list(struct verb_call *c);
int verb_distrust(struct verb_call *c);
int verb_rollback(struct verb_call *c);

#endif
