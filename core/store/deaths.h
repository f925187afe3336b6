/* deaths.h: which rows a block overwrote or deleted: gathered by a commit, a row a block, and read
 * by the collector and by fsck.
 *
 *     key    shard 1 ‖ height of death 8 ‖ branch 4 (keys.h)
 *     value  for each key, ascending: space 1 ‖ how many bytes it shares with the one before, as a
 *            varint ‖ the rest, its size in front as a varint
 *            in the byte of the space: 0x80 the key is cut, and stands for all rows of this height
 *            whose keys begin so
 *
 * One row a block and not one a death, since there are as many as writes. Keys are cut where the
 * adapter says what is enough: hashes are most of what a row of deaths has.
 * Threads  ingest gathers. A row that was read belongs to who read it.
 * Errors   -ENOMEM; -EUCLEAN for a row that does not parse. */
#ifndef CHAINFS_STORE_DEATHS_H
#define CHAINFS_STORE_DEATHS_H

#include "core/store/db.h"
#include "core/store/rows.h"

/* ---- writing ---- */

struct deaths {
	struct buf gathered, value;
	size_t     count;
};

void deaths_init(struct deaths *d, size_t size_max);
void deaths_release(struct deaths *d);
void deaths_clear(struct deaths *d);

/* `key`: of the row; its first `enough` bytes are kept. */
int  deaths_add(struct deaths *d, uint32_t shard, uint64_t height, uint32_t branch,
		enum space space, struct slice key, size_t enough) MUST_CHECK;
/* The rows of what was gathered, which stays until deaths_clear(). */
int  deaths_put(struct deaths *d, struct db_batch *batch) MUST_CHECK;

/* ---- reading ---- */

struct death {
	enum space   space;
	bool         cut; /* all rows whose keys begin so */
	struct slice key; /* in the reader: until the next one is read */
};

struct deaths_reader {
	struct rd  rd;
	struct buf key;
};

#define DEATHS_READER_INIT { .key = BUF_INIT(ROW_KEY_MAX) }

void deaths_reader_release(struct deaths_reader *r);
/* Begins with the value of a row, which outlives the reading. */
void deaths_read(struct deaths_reader *r, struct slice value);
/* 1: the next death; 0: there is none. */
int  deaths_next(struct deaths_reader *r, struct death *out) MUST_CHECK;

#endif
