/* overlay.h: what a state knows of rows in memory: read once, written by the block, or by the run.
 *
 * An entry is one (space, key). Two values hang on it: `committed`, what is there without the block
 * being replayed (run, else store), and `block`, what that block wrote. An entry that was only read
 * can be dropped and read again; one that was written is also in order, for scans.
 * Memory   counted values; one that lost its last owner is freed when the generation after the next
 *          begins, so a slice given out in one block holds through the whole next one.
 * Threads  one. */
#ifndef CHAINFS_STORE_OVERLAY_H
#define CHAINFS_STORE_OVERLAY_H

#include "core/base/bytes.h"
#include "core/chain/chain.h"

struct value {
	struct value *retired_next;
	uint32_t      owners;
	uint32_t      size;
	uint8_t       bytes[];
};

struct link; /* an entry's place in order */

struct entry {
	struct entry *chain;     /* of its hash bucket */
	struct link  *link;      /* NULL: only read */
	uint64_t      hash;
	struct value *committed; /* NULL with `known`: absent */
	struct value *block;     /* NULL with `block_written`: deleted */
	uint64_t      touched;   /* generation of the last access */
	uint32_t      pending;   /* versions in the run that the store does not have yet */
	uint8_t       space;     /* enum space */
	uint8_t       reason;    /* enum reason, of the block's delete */
	bool          known;     /* committed is known; else the store has to be asked */
	bool          block_written;
	bool          block_fresh; /* there is no row below what the block wrote */
	uint16_t      key_size;
	uint8_t       key[];
};

struct overlay {
	struct entry **buckets;
	size_t         bucket_count, entry_count;
	size_t         bytes;      /* of entries, links and values in use */
	uint64_t       generation;
	uint64_t       seed;       /* keys come from outside: buckets must not be predictable */
	struct value  *retired[2]; /* by the parity of the generation that gave them up */
	struct link   *first[3];   /* head of the order, by space */
	size_t         hand;       /* bucket at which the next trim goes on */
	uint32_t       random;
};

void overlay_init(struct overlay *o); /* takes no memory until the first entry */
void overlay_release(struct overlay *o);

/* The entry of a key, marked as touched; made when it is not there: unknown, unwritten. NULL: no
 * memory. */
struct entry *overlay_need(struct overlay *o, enum space space, struct slice key);
/* Puts an entry in order, for scans. */
int overlay_link(struct overlay *o, struct entry *e) MUST_CHECK;

/* First entry in order with a key >= `key`, and the one behind; NULL: none. */
struct entry *overlay_seek(const struct overlay *o, enum space space, struct slice key);
struct entry *overlay_next(const struct entry *e);

/* A value that the caller owns; NULL: no memory. */
struct value *overlay_value(struct overlay *o, struct slice bytes);
struct value *overlay_own(struct value *v);                       /* one owner more; accepts NULL */
void          overlay_disown(struct overlay *o, struct value *v); /* accepts NULL */
static inline struct slice value_slice(const struct value *v)
{
	return v ? SLICE(v->bytes, v->size) : SLICE_EMPTY;
}

/* The next generation begins: frees what was given up before the last one, then drops entries that
 * were only read, and not lately, until at most `bytes_max` are in use. */
void overlay_step(struct overlay *o, size_t bytes_max);
/* Takes out of order every entry that is neither pending nor written by the block. */
void overlay_settle(struct overlay *o);

#endif
