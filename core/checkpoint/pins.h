/* pins.h: the checkpoints of a store: which are asked for by name, which retention keeps, which are
 * there.
 *
 *     STORE/networks/NAME/pins/PIN         its main height (pin_file.h). Synced before pins_add()
 *                                          returns
 *     STORE/networks/NAME/checkpoints/…    what build.h makes
 *
 * A pin says that a height's checkpoint shall be there; one thread builds what is missing, the
 * oldest pin first, also after a restart. Several pins may share a checkpoint. Retention adds pins
 * of its own: every `every`-th main height that is replayed, of which the newest `keep` stay. A
 * checkpoint that no pin wants is taken away. A state that is pinned and not built yet is held
 * against the collector. A crash leaves what the next open puts right: names.part and names.gone
 * are taken away, builds begin again. A pin's file of which a half is damaged is told of and
 * written anew, by who may write. While no half of one is whole, nobody knows what it wants, and no
 * checkpoint is taken away.
 *
 * Threads  any; one lock, a leaf, never held while a file is read or written.
 * Errors   -EEXIST, -ENOENT; -EINVAL for a bad name; -ENODATA when that height's state cannot be
 *          read; -EPERM for a pin that retention would make again; -EMSGSIZE over PINS_MAX; -EAGAIN
 *          while held; a build that fails is told by pins_get() and in an event, and tried again at
 *          the next open or pins_retry(). */
#ifndef CHAINFS_CHECKPOINT_PINS_H
#define CHAINFS_CHECKPOINT_PINS_H

#include "core/checkpoint/build.h"
#include "core/control/events.h"

struct pins;

#define PIN_NAME_MAX 64 /* [A-Za-z0-9][A-Za-z0-9._-]*; those of retention begin with "auto-" */

#define PINS_MAX 1024 /* of a network */

struct retention {
	uint64_t every; /* main heights; 0: none by itself */
	uint64_t keep;  /* at least 1 when `every` is set */
};

/* Of every network of the store, those that are made later too. Starts the thread; with r NULL
 * there is none, nothing is built, and what no pin wants goes when they are closed. `events` may be
 * NULL. */
int pins_open(struct store *s, struct events *events, const struct retention *r, struct pins **out,
	      struct err *err) MUST_CHECK;
void pins_closep(struct pins **p); /* stops a build; it begins again at the next open */

/* height UINT64_MAX: the newest main height whose state, and that of its cuts, is replayed. Of a
 * checkpoint that is complete no state is needed any more. */
int pins_add(struct pins *p, struct network *n, const char *name, uint64_t height, struct err *err)
	MUST_CHECK;
int pins_remove(struct pins *p, struct network *n, const char *name, struct err *err) MUST_CHECK;
/* Writes damaged files of the network's pins anew: of a half that is whole, or of what `p` read
 * before there was none. `p`: NULL when nobody has the pins of this store open. told() gets a
 * sentence for each; returns how many. -EAGAIN while held. */
int pins_mend(struct pins *p, const struct store *s, struct network *n,
	      void (*told)(void *arg, const char *sentence), void *arg, struct err *err)
	MUST_CHECK;

enum pin_state { PIN_WAITING, PIN_BUILDING, PIN_COMPLETE, PIN_FAILED };
extern const char *const pin_state_names[];
struct pin {
	char name[PIN_NAME_MAX + 1];
	uint64_t height;
	char checkpoint[CHECKPOINT_NAME_SIZE];
	uint8_t state;                   /* enum pin_state */
	uint64_t records, records_total; /* while it is built */
	char failure[256];               /* PIN_FAILED: the sentence */
};
/* In order of name: the first one behind `after` ("" for the first); 1, 0. */
int pins_next(struct pins *p, struct network *n, const char *after, struct pin *out) MUST_CHECK;
int pins_get(struct pins *p, struct network *n, const char *name, struct pin *out)
	MUST_CHECK; /* 1, 0 */

/* ---- what stands in checkpoints/: complete ones, and those that are being built ---- */
struct checkpoint_entry {
	char name[CHECKPOINT_NAME_SIZE];
	uint64_t height, time;
	uint8_t prefix[4]; /* of the hash */
	bool complete;
	uint64_t records, records_total; /* of a build */
};
int checkpoints_next(struct pins *p, struct network *n, uint64_t height_after,
		     struct checkpoint_entry *out) MUST_CHECK; /* ascending; 1, 0 */
int checkpoints_get(struct pins *p, struct network *n, uint64_t height,
		    struct checkpoint_entry *out) MUST_CHECK;
/* The folder of the network's checkpoints on disk. */
int checkpoints_path(const struct store *s, const struct network *n, char *out, size_t size,
		     struct err *err) MUST_CHECK;

/* Called after something of the above changed, holding no lock; any thread. One listener; NULL
 * returns when no call is under way. */
void pins_on_change(struct pins *p, void (*call)(void *arg, struct network *n), void *arg);
void pins_retry(struct pins *p);
/* A network published a view: retention looks at it soon. Does not wait. */
void pins_published(struct pins *p);
/* Returns when nothing of theirs is being written, and nothing will be until it is let go: a build
 * is stopped, and begins again then. */
void pins_hold(struct pins *p, bool on);

#endif
