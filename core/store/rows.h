/* rows.h: versioned rows: keys with the place they were written at, read as of a place.
 *
 *     key    space 1 ‖ shard 1 ‖ escaped key ‖ ~height 8 ‖ ~index 4 ‖ branch 4
 *     value  flags 1 ‖ the row's bytes
 *            flags: 0 a row; 0x80 | reason a tombstone
 *     escaped key: 00 becomes 00 ff, then 00 00 ends it; no key is a prefix of another, order is
 *     kept
 *
 * So the versions of a key lie together, newest first, and the first one seen at or below a height
 * is the row as of it. A block has one version of a key at most: its last write. The index tells
 * nothing then, and is the same in all keys; older stores have the turn of the write there.
 * So they are written and read here; on the disk most places are their height alone (keys.h).
 * Threads  a reader belongs to one thread at a time; what it reads may change under it only by
 *          commits, which it sees from its next call on.
 * Errors   -EIO with RocksDB's words in the trace; -EUCLEAN for a row that does not parse. */
#ifndef CHAINFS_STORE_ROWS_H
#define CHAINFS_STORE_ROWS_H

#include "core/base/bytes.h"
#include "core/chain/chain.h"
#include "core/store/branch.h"
#include "core/store/state.h"

#define ROW_KEY_MAX     STATE_KEY_MAX /* bytes of a key before it is escaped */
#define ROW_SUFFIX_SIZE 16
#define PLACE_INDEX     0

struct db;
struct dead;
struct rows;
struct rows_scan;

/* Where a version was written. */
struct place {
	uint64_t height;
	uint32_t index, branch;
};

struct row_version {
	struct place place;
	bool         tombstone;
	uint8_t      reason; /* enum reason, of a tombstone */
	struct slice value;
};

void row_key_write(struct buf *out, enum space space, uint32_t shard, struct slice key,
		   struct place place);
struct place row_place(struct slice stored); /* of a stored key, which is longer than its place */
/* Without the place: what the versions of a key share. */
void row_key_stem(struct buf *out, enum space space, uint32_t shard, struct slice key);
/* What the stored keys share of all keys that begin so. */
void row_key_open(struct buf *out, enum space space, uint32_t shard, struct slice begin);
/* Behind all places of a stem: its terminator 00 00 has no successor but 00 ff. */
void row_key_behind(struct buf *out, struct slice stem);
/* `key` receives the unescaped key. -EUCLEAN: not a key of ours. */
int  row_key_read(struct slice in, enum space *space, uint32_t *shard, struct buf *key,
		  struct place *place) MUST_CHECK;
void row_value_write(struct buf *out, bool tombstone, enum reason reason, struct slice value);
int  row_value_read(struct slice in, struct row_version *out) MUST_CHECK;

/* A reader of one shard as of (branch of the lineage, height). Takes the lineage over. */
int  rows_new(struct db *db, uint32_t shard, uint64_t height, struct lineage *lineage,
	      struct rows **out) MUST_CHECK;
/* Scans tell `dead` of stretches without a row, and ask it; it outlives the reader. */
void rows_remember(struct rows *r, struct dead *dead);
void rows_freep(struct rows **r);

/* 1: the row; 0: absent or deleted. The slice holds until the next rows_get of this reader. */
int rows_get(struct rows *r, enum space space, struct slice key, struct slice *value) MUST_CHECK;

/* Rows of one space whose keys begin with `prefix`, ascending, from the first key >= prefix + from.
 * The slices hold until the next step. A scan ends before its reader does. */
int  rows_scan_new(struct rows *r, enum space space, struct slice prefix, struct slice from,
		   struct rows_scan **out) MUST_CHECK;
int  rows_scan_next(struct rows_scan *s, struct slice *key, struct slice *value) MUST_CHECK;
void rows_scan_freep(struct rows_scan **s);

#endif
