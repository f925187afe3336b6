/* db.h: a network's key-value database: RocksDB behind the few words we need of it.
 *
 * Reads see the newest write. An iterator sees what was there when it was made, or when another one
 * that it inherits was: iterators that were put back are given out again while nothing was written.
 * Errors   with RocksDB's words: -EBADMSG for a damaged file, never "absent"; -EIO when it could
 *          not be read, -EACCES when this user may not read it; -ENOSPC; -EBUSY: another process
 *          has it open, past the store's own lock. The words go to `err`, or to the trace where err
 *          is NULL; those of a damaged file also to who opened it (db_options), every time.
 * Memory   what an iterator gives holds until it moves.
 * Threads  a struct db: any, writes by one at a time. An iterator or a batch: one. */
#ifndef CHAINFS_STORE_DB_H
#define CHAINFS_STORE_DB_H

#include "core/base/bytes.h"
#include "core/base/err.h"
#include "core/store/keys.h"

struct db;
struct db_cache;
struct db_batch;
struct db_iter;

/* Unpacked blocks of every database that is opened with it. Each of these keeps rows that are not
 * in a file yet besides, up to two thirds as many bytes: 16 to 128 MiB. */
struct db_cache *db_cache_new(size_t bytes);
void db_cache_freep(struct db_cache **c);

struct db_options {
	struct db_cache *cache;
	bool create;   /* it must not be there yet */
	bool packed;   /* when it is made: its keys take fewer bytes (keys.h), for ever */
	bool sync_off; /* no fsync of a write */
	bool read_only; /* nothing below the path is written; what a log holds is read into
			 * memory */
	/* A file is damaged: its name in the folder, "" where the words name none. On the thread
	 * that met it, which holds no lock of ours. NULL: nobody listens. */
	void (*on_damage)(void *arg, const char *file, const char *words);
	void *arg;
};

int  db_open(const char *path, const struct db_options *options, struct db **out,
	     struct err *err) MUST_CHECK;
/* Are keys of rows shorter on the disk than who reads and writes them here sees? */
bool db_is_packed(const struct db *db);
/* Makes a database that does not open into one that does, of the files that can be read: what was
 * in the others is lost, and deleted rows may be back. For a copy. */
int  db_salvage(const char *path, struct err *err) MUST_CHECK;
/* Rows written and deleted, ever: it grows with each write. */
uint64_t db_sequence(struct db *db);
/* Flushes first, so that the next open has nothing to replay, and waits for merges that are due:
 * after writes, at most 5 s and an eighth of the time that it was open. */
void db_closep(struct db **db);

/* 1 and the value appended to `value`; 0 absent. */
int db_get(struct db *db, enum family family, struct slice key, struct buf *value,
	   struct err *err) MUST_CHECK;

int    db_batch_new(struct db *db, struct db_batch **out) MUST_CHECK;
void   db_batch_freep(struct db_batch **b);
void   db_batch_put(struct db_batch *b, enum family family, struct slice key, struct slice value);
void   db_batch_delete(struct db_batch *b, enum family family, struct slice key);
/* Every key from `first` on that is below `end`; one entry of the batch, however many there are. */
void   db_batch_delete_range(struct db_batch *b, enum family family, struct slice first,
			     struct slice end);
void   db_batch_clear(struct db_batch *b);
size_t db_batch_bytes(const struct db_batch *b);
/* All of it or nothing; on the disk when it returns. */
int    db_write(struct db *db, struct db_batch *b, struct err *err) MUST_CHECK;

enum db_order {
	DB_ORDERED, /* any key to any other */
	DB_STEM,    /* only among keys that share the sought key's stem (family_rules.placed) */
	DB_ORDER_COUNT
};
int  db_iter_new(struct db *db, enum family family, enum db_order order,
		 struct db_iter **out) MUST_CHECK;
void db_iter_freep(struct db_iter **it);
/* To the first key >= `key`, or the last one <= it; then on or back. Each move: 1 stands on a key,
 * 0 there is none, negative. */
int  db_iter_seek(struct db_iter *it, struct slice key, struct err *err) MUST_CHECK;
int  db_iter_seek_back(struct db_iter *it, struct slice key, struct err *err) MUST_CHECK;
int  db_iter_next(struct db_iter *it, struct err *err) MUST_CHECK;
int  db_iter_back(struct db_iter *it, struct err *err) MUST_CHECK;
struct slice db_iter_key(const struct db_iter *it);
struct slice db_iter_value(const struct db_iter *it);
/* Another one after every write, and never that of another database. What is read after it was
 * asked is as of it, or newer. */
uint64_t db_epoch(const struct db *db);
bool db_iter_is_current(const struct db_iter *it); /* nothing was written since it was made */

/* Bytes of the files of a family, and an estimate of its keys: for benches and status. */
uint64_t db_family_bytes(struct db *db, enum family family);
/* While it is quiet no file of the database is written or deleted unless somebody calls db_write();
 * waits for flushes and compactions under way, at most wait_ms (-EAGAIN). */
int      db_quiet(struct db *db, bool quiet, unsigned wait_ms, struct err *err) MUST_CHECK;
/* Rewrites everything into its final place; minutes for a big store. */
void db_compact(struct db *db);

#endif
