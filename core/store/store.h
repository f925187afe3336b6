/* store.h: the folder that holds everything, owned by one process at a time.
 *
 *     STORE/chainfs-store            "chainfs store 3": the format
 *     STORE/lock                     held while open; says who holds it
 *     STORE/reserve                  space kept free for a clean stop
 *     STORE/control                  socket of the daemon that holds the store
 *     STORE/networks/NAME/db/        one RocksDB a network
 *     STORE/networks/NAME/segments/  bytes of blocks, append-only
 *     STORE/networks/NAME/identity, acknowledged   witness.h
 *     STORE/networks/NAME/pins/, checkpoints/  those of core/checkpoint/pins.h
 *
 * Errors   -EBUSY with the holder's words when another process owns it; -ENOTEMPTY for a folder
 *          that is not ours; -EPROTONOSUPPORT for a format that this program does not read.
 * Threads  open and close by one thread; the rest is said at each struct. */
#ifndef CHAINFS_STORE_H
#define CHAINFS_STORE_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/chain/chain.h"

/* What older stores have not, and get from store_migrate() on; they are read, and written to as
 * they are:
 *   2  frames leave out hashes (segment.h); what is written to one now leaves none out
 *   3  frames keep signatures apart; change lists leave out the keys that objects tell, deaths name
 *      rows by a part of the key; the database of a network that is made then is packed (keys.h),
 *      for as long as it is there */
#define STORE_FORMAT        3
#define STORE_FORMAT_OLDEST 1
#define STORE_RESERVE_SIZE (32u << 20)
#define NETWORKS_MAX       127 /* their numbers are part of inode numbers */
/* [a-z0-9][a-z0-9._-]*; not status or ctl, which the mount's root has. */
#define NETWORK_NAME_MAX   64

struct store;
struct network;

struct store_options {
	bool        create;       /* make it where nothing is */
	const char *holder;       /* "import, pid 123": what a second process is told */
	size_t      cache_size;   /* bytes of block cache for all networks; 0: a default */
	bool        sync_off;     /* generated chains and tests: no fsync. Never the default */
	const struct chain_ops *(*kind)(const char *kind); /* adapters by kind; NULL:
							    * chain_kind() */
	/* Networks that do not open, because something of theirs is damaged, are no error but
	 * listed (store_damaged()). */
	bool        damaged_too;
	/* Besides, a format file that names no format is written anew (store_format_mend()). */
	bool        mend;
};

int  store_open(const char *path, const struct store_options *options, struct store **out,
		struct err *err) MUST_CHECK;
void store_closep(struct store **s);
const char *store_path(const struct store *s);
/* The networks found or made so far, ascending by name. They live as long as the store. Any thread;
 * a network made between two calls moves those behind it by one. */
size_t store_network_count(const struct store *s);
struct network *store_network_at(const struct store *s, size_t i);
struct network *store_network_find(const struct store *s, const char *name);
/* STORE/networks/NAME/`part`. -ENAMETOOLONG with a sentence. */
int store_network_path(const struct store *s, const struct network *n, const char *part, char *out,
		       size_t size, struct err *err) MUST_CHECK;
/* Makes a network; -EEXIST when there is one of that name; -EINVAL for a bad name. `params` is the
 * canonical text, kept for good. `trust` says where it came from: "config", "preset", "archive". */
int store_network_new(struct store *s, const char *name, const struct chain_ops *ops,
		      struct slice params, const char *trust, struct network **out,
		      struct err *err) MUST_CHECK;
/* The i-th network that did not open, and why; NULL behind the last. */
const char *store_damaged(const struct store *s, size_t i, const struct err **why);

/* ---- a network made anew, by who has the store alone: nobody else reads or writes it ---- */
/* An empty one beside the place of network `name`, as ".NAME.new", which the next open takes away
 * when it did not get that place. The caller closes it (network_closep). */
int store_network_beside(struct store *s, const char *name, const struct chain_ops *ops,
			 struct slice params, const char *trust, unsigned index,
			 struct network **out, struct err *err) MUST_CHECK;
/* Closes the network of that name, if it is open: its files can be read from then on. */
void store_network_close(struct store *s, const char *name);
/* The one beside, closed by now, gets the place, at once, with what a person chose of the one that
 * was there, which is taken away. -EXDEV and the like: nothing has changed. */
int store_network_replace(struct store *s, const char *name, struct network **out,
			  struct err *err) MUST_CHECK;
/* -ENOSPC when the disk that holds the store has less free than the reserve twice over. */
int store_space(const struct store *s, struct err *err) MUST_CHECK;
/* Can it be written to at this moment? 0; -ENOSPC: the disk is too full, or was when it was opened,
 * and then it is open for reading alone until it is opened again; -EROFS. Any thread. */
int store_writable(const struct store *s, struct err *err) MUST_CHECK;
/* Gives the reserve back to the disk, so that a stop on a full one comes to its end. The next open
 * keeps a new one when there is room. */
int store_reserve_release(struct store *s, struct err *err) MUST_CHECK;
/* Sum of the sizes of its files in bytes, without the reserve; walks the folder. */
uint64_t store_size(const struct store *s);

/* What somebody met that is not what it was when it was written. */
struct store_damage {
	const char *file; /* below STORE/networks/NAME; NULL: the bytes of a block */
	uint32_t shard;   /* of the block */
	uint64_t height;
	const char *sentence;
	const char *mend; /* what a person can do; NULL: nothing, a block is a gap soon */
};
#define STORE_DAMAGE_MORE "*" /* as a file: another one, from which on files are not told */
/* Called when a reader meets damage, once a block, and once a file for as long as the network is
 * open: on the reader's thread, holding no lock; it may not wait. Set before there are readers. */
typedef void store_damage_call(void *arg, struct network *n, const struct store_damage *what);
void store_on_damage(struct store *s, store_damage_call *call, void *arg);

/* The format that the folder says it has: 1; 0 it says none; -EPROTONOSUPPORT: not in our words. */
int store_format(const char *path, uint64_t *format, struct err *err) MUST_CHECK;

/* By who holds the store: a format file that names no format is written anew, where every network
 * there is ours: 1 done, 0 there is no need, or no way. */
int store_format_mend(const struct store *s, struct err *err) MUST_CHECK;

/* Brings a store that nobody holds to STORE_FORMAT: 1 done, 0 it has it. What lies there stays as
 * it is, what is written from then on is not for an older program. */
int store_migrate(const char *path, struct err *err) MUST_CHECK;

/* It lies on a read-only file system and was opened for reading alone: nobody holds a lock,
 * everything that writes is -EROFS with a sentence. */
bool store_read_only(const struct store *s);
/* It was opened for reading alone because not even the reserve made enough room: the lock is held,
 * what writes to a network is -ENOSPC. Files beside it can be removed, which makes room. */
bool store_opened_full(const struct store *s);

/* Who holds the store at `path`: copies the lock's text; -ENOENT when nobody does. */
int store_holder(const char *path, char *out, size_t out_size) MUST_CHECK;

#endif
