/* mount_options.h: what may stand behind -o, from one table: for `chainfs mount`, mount.chainfs,
 * fstab and the manual.
 *
 * A list is split at commas. A comma within "…" or behind a backslash belongs to the value, as
 * mount(8) and libfuse write it; of an option given twice the later one counts.
 * Errors   -EINVAL with a sentence that names the option. After an error `out` holds nothing.
 * Threads  any. */
#ifndef CHAINFS_CONTROL_MOUNT_OPTIONS_H
#define CHAINFS_CONTROL_MOUNT_OPTIONS_H

#include "core/base/bytes.h"
#include "core/base/err.h"

#define MOUNT_THREADS_MAX 64u
#define MOUNT_FETCH_S     5u /* when -o fetch says no number */
#define MOUNT_FETCH_S_MAX 300u

struct mount_options {
	bool     allow_other;
	uint32_t uid, gid;  /* owner of everything shown */
	uint32_t umask;
	unsigned threads;   /* 0: a default */
	const char *transport; /* a word of mount.transport's; NULL: nobody said */
	unsigned fetch_ms;  /* of -o fetch; 0: nothing is fetched by a look */
	char    *settings;  /* the file of settings; NULL: searched as always */
	/* Of what is followed; NULL: nobody said. */
	char    *network, *config, *store, *source;
	/* KEEP: as the store has it. */
	enum { MOUNT_HYPER_KEEP, MOUNT_HYPER_ON, MOUNT_HYPER_OFF } hyper;
};

enum mount_option_kind {
	MOUNT_OPTION_TAKEN,   /* means something here */
	MOUNT_OPTION_IGNORED, /* mount(8), systemd or libfuse's, or true of every mount of ours
			       * anyway */
	MOUNT_OPTION_REFUSED  /* would promise what this file system does not do */
};

struct mount_option_row {
	const char *name;     /* "x-*": all that begin with x- */
	const char *argument; /* what stands behind "=", "[=…]": may, NULL: nothing has to */
	uint8_t     kind;     /* enum mount_option_kind */
	const char *about;    /* a clause; of one that is refused: why */
};
extern const struct mount_option_row mount_option_rows[];
extern const size_t mount_option_row_count;

/* Owner: `uid` and `gid` unless the list says otherwise. `sloppy`: what nobody knows is ignored,
 * too (mount -s). A list of NULL is an empty one. */
int  mount_options_parse(const char *list, bool sloppy, uint32_t uid, uint32_t gid,
			 struct mount_options *out, struct err *err) MUST_CHECK;
/* What mount_options_parse() reads again as the same, but for the file of settings, hyper and what
 * is followed, which were acted upon. */
void mount_options_write(const struct mount_options *o, struct buf *out);
void mount_options_release(struct mount_options *o);
void mount_options_help(struct buf *out);

#endif
