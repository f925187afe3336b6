/* pin_book.h: the pins and checkpoints of one network, in memory and as they lie on the disk.
 *
 * Pins are kept in the order of their names, checkpoints in that of their heights; those that are
 * being built stand among them. What a pin still needs is held against the collector.
 * Threads  a book that others see is read and changed under their lock (pins_inside.h); what only
 *          looks at files takes none.
 * Memory   a book owns its entries; what is taken out of one is the caller's.
 * Errors   those of the system, with a sentence; -ENODATA for a state that cannot be read. */
#ifndef CHAINFS_CHECKPOINT_PIN_BOOK_H
#define CHAINFS_CHECKPOINT_PIN_BOOK_H

#include "core/checkpoint/pins.h"

#define PINS_PATH_SIZE 4096
#define PIN_AUTO       "auto-" /* a pin of retention's begins so */
#define PART_SUFFIX    ".part" /* of a checkpoint that is being built */

struct pin_entry { /* one pin, and what it holds */
	struct pin is;
	uint64_t made_ns;            /* the oldest is built first */
	bool saving;                 /* its file is not there yet */
	bool damaged;                /* its file cannot be read: nobody knows its height */
	bool held;                   /* the heights below are pinned in the store */
	uint64_t heights[SHARD_MAX]; /* 0: the main block witnesses nothing of that shard */
};

struct book { /* one network */
	struct network *network;
	struct pin_entry *pins[PINS_MAX]; /* by name */
	size_t pin_count;
	struct checkpoint_entry *checkpoints[PINS_MAX + 1]; /* by height */
	size_t checkpoint_count;
};

/* ---- in memory: pin_book.c ---- */

/* Reads both folders; holds what is not complete. */
int  book_load(const struct store *s, struct network *n, struct book **out, struct err *err)
	MUST_CHECK;
void book_freep(struct book **b);

/* Index of the pin of that name, or where it belongs. */
size_t book_place(const struct book *b, const char *name, bool *found);
void   book_put(struct book *b, size_t at, struct pin_entry *r); /* fewer than PINS_MAX are in it */
struct pin_entry *book_take(struct book *b, size_t at);
bool   book_wants(const struct book *b, uint64_t height);

size_t book_checkpoint_place(const struct book *b, uint64_t height);
struct checkpoint_entry *book_checkpoint(const struct book *b, uint64_t height);
bool book_checkpoint_put(struct book *b, struct checkpoint_entry *e); /* false: it is full */
struct checkpoint_entry *book_checkpoint_take(struct book *b, uint64_t height);

/* Holds what the pin needs against the collector, and names its checkpoint. */
int  pin_hold(struct network *n, struct pin_entry *r, uint64_t *time, struct err *err) MUST_CHECK;
void pin_unhold(struct network *n, struct pin_entry *r); /* accepts what holds nothing */
void pin_fail(struct pin_entry *r, const struct err *err, int rc);

/* ---- on the disk: pin_files.c ---- */

bool pin_name_is_good(const char *name);
/* Both are on the disk when they return. */
int  pin_save(const struct store *s, const struct network *n, const char *name, uint64_t height,
	      struct err *err) MUST_CHECK;
int  pin_unsave(const struct store *s, const struct network *n, const char *name, struct err *err)
	MUST_CHECK;
/* A descriptor of the folder, which is made where it is not there. */
int  pin_folder_open(const char *path, bool make, struct err *err) MUST_CHECK;
/* Takes a checkpoint's folder out of sight at once, and then away; also what a build left. */
void checkpoint_remove(int folder, const char *name);
void checkpoint_sweep(int folder, const char *name); /* a name that nobody sees */
int  book_load_pins(const struct store *s, struct book *b, struct err *err) MUST_CHECK;
int  book_load_checkpoints(const struct store *s, struct book *b, struct err *err) MUST_CHECK;

#endif
