/* settings.h: what an operator may choose, from one table: flag > environment > file > default.
 *
 *     chainfs: --set hyper.enabled=true        a flag, as often as wanted; several with commas
 *     CHAINFS_HYPER_ENABLED=true               the environment: the key in capitals, dots and
 *                                              dashes as _
 *     hyper: { enabled: true }                 the file, YAML, checked against the table: an
 *                                              unknown key or a value that does not fit is named
 *                                              with file and line
 *
 * A variable that is set to nothing counts as not set. A file is a mapping of groups of values, at
 * most SETTINGS_SIZE_MAX bytes, without anchors, aliases and tags; nothing in it and a group
 * without values are fine, a key that is there twice is not.
 *
 * The file is --settings FILE, else $CHAINFS_SETTINGS, else STORE/chainfs.yaml, else the user's
 * $XDG_CONFIG_HOME/chainfs/chainfs.yaml, else /etc/chainfs/chainfs.yaml; the first that is there.
 * Parameters of a network (--config) are another thing: they are the chain's, these are the
 * machine's.
 *
 * Values   bool: true, false, on, off; number: decimal; size: bytes with k, M, G, T (powers of
 *          1024); time: with ms, s, min, h, d, or 0; text; path: it begins with /, or is empty.
 *          Numbers are kept in the base unit (bytes, milliseconds).
 * Errors   -EINVAL with "FILE:LINE: sentence"; -ENOENT for a file that was named and is not there;
 *          what the system says of one that is there and cannot be read.
 * Threads  loaded once; immutable from then on, any thread. */
#ifndef CHAINFS_CONTROL_SETTINGS_H
#define CHAINFS_CONTROL_SETTINGS_H

#include "core/base/bytes.h"
#include "core/base/err.h"

#define SETTINGS_SIZE_MAX (64u << 10)

enum setting_id {
	SETTING_HYPER_ENABLED,            /* bool, false */
	SETTING_HYPER_RETENTION_SOFT_CAP, /* size of what hyper retains, all networks; 0: none. Past
					   * it: an alert */
	SETTING_HYPER_METRICS_INTERVAL,   /* time between two lines of `hyper metrics --tail` and
					   * alert checks */
	SETTING_HISTORY_KEEP,             /* heights of each shard as of which the state stays
					   * readable; 0: all */
	SETTING_IMPORT_COMMIT,            /* time after which an import acknowledges what it took,
					   * at most */
	SETTING_CHECKPOINTS_EVERY,        /* main heights between two automatic checkpoints; 0:
					   * none */
	SETTING_CHECKPOINTS_KEEP,         /* newest automatic ones that stay */
	SETTING_MOUNT_THREADS,            /* FUSE workers; 0: a default */
	SETTING_MOUNT_TRANSPORT,          /* text: classic, uring, auto */
	SETTING_MOUNT_RENDER_CACHE,       /* size of renderings kept in memory */
	SETTING_LIMITS_CACHE,             /* size of the database's block cache, all networks */
	SETTING_LIMITS_MEMORY,            /* size: bound of the daemon's address space; 0: none */
	SETTING_LIMITS_DISK,              /* size of a store at which imports stop with a sentence;
					   * 0: none */
	SETTING_LIMITS_CHECKERS,          /* threads that check blocks; 0: one a core */
	SETTING_SYNC_FROM,                /* text: head, start */
	SETTING_SYNC_BACKWARD,            /* bool, true: history is fetched */
	SETTING_SYNC_BANDWIDTH,           /* size: bytes a second of what is fetched; 0: no limit */
	SETTING_SYNC_WEIGHT_FORWARD,      /* percent of the line that is the head's */
	SETTING_SYNC_MEMORY,              /* size of what is asked for or not committed yet, a
					   * network */
	SETTING_SYNC_OPERATORS,           /* that must agree before a tip is confirmed */
	SETTING_SYNC_CA_FILE,             /* path of certificates; "": the system's */
	SETTING_LOG_LEVEL,                /* text: error, warn, info, debug */
	SETTING_COUNT
};

enum setting_type {
	SETTING_BOOL, SETTING_NUMBER, SETTING_SIZE, SETTING_TIME, SETTING_TEXT, SETTING_PATH
};
struct setting_row {
	const char *key;     /* "hyper.enabled" */
	uint8_t     type;    /* enum setting_type */
	const char *standard; /* the default, as text */
	const char *about;   /* for the manual page and `config show` */
	const char *words;   /* of SETTING_TEXT: allowed ones, "error|warn|info|debug"; else NULL */
	uint64_t    least;   /* in the base unit; 0 fits besides where it is the default */
	uint64_t    most;    /* 0: any */
};
extern const struct setting_row setting_rows[SETTING_COUNT];

/* Its variable of the environment: "CHAINFS_HYPER_ENABLED". */
void setting_variable(enum setting_id id, char *out, size_t size);

struct settings;

struct settings_sources {
	const char *file;        /* --settings; NULL: searched as above */
	const char *store;       /* for STORE/chainfs.yaml; NULL */
	const char *const *sets; /* "key=value" of --set, in order; NULL-terminated or NULL */
	char *const *environment; /* environ; NULL: none */
};

int  settings_load(const struct settings_sources *from, struct settings **out, struct err *err)
	MUST_CHECK;
void settings_freep(struct settings **s);
/* Of the text of one file alone; `name` goes before the lines that faults are in. */
int  settings_read(struct slice text, const char *name, struct settings **out, struct err *err)
	MUST_CHECK;
/* The file that was read, "" when there was none. */
const char *settings_file(const struct settings *s);
/* s NULL: the defaults. */
uint64_t    settings_number(const struct settings *s, enum setting_id id); /* bool: 0 or 1 */
/* As canonical text, any type. */
const char *settings_text(const struct settings *s, enum setting_id id);
/* "default", "flag", "environment CHAINFS_…" or "FILE:LINE". */
const char *settings_origin(const struct settings *s, enum setting_id id);

#endif
