/* keys.h: every key of a network's database, in one place.
 *
 * Numbers in keys are big-endian, so that byte order is their order. A shard is one byte. The table
 * `families` says what lies in each column family; the functions below write its keys.
 *
 *     meta     "network" | "head" | "branches" | "segments" | "carried" | "form"
 *              "shard" ‖ shard | "gaps" ‖ shard
 *     blocks   shard 1 ‖ height 8                                 → struct block_row
 *     rows     space 1 ‖ shard 1 ‖ escaped key ‖ ~height 8 ‖ ~index 4 ‖ branch 4 → rows.h
 *              (in a database that is packed otherwise on the disk: key_row_pack())
 *     deaths   shard 1 ‖ height of death 8 ‖ branch 4             → keys of rows, deaths.h
 *     stats    first object 8                                     → a group of stat records,
 *              stats.h
 *     hashes   first bytes of the hash 5 ‖ shard 1 ‖ height ‖ item + 1 → nothing
 *              (height and item: seven bits a byte, as many leading ones as bytes follow the
 *              first). In a database that is not packed: 8 of the hash, and height and item each
 *              a byte that counts the bytes, then these
 *     replay   'r' ‖ shard ‖ height → struct roots_row       'c' … → change list
 *              'o' … → outcomes     'd' … → nothing: the roots differ
 *              'a' … → bytes kept aside under a gap          'g' ‖ shard ‖ range → struct range_row
 *              'p' ‖ 0 ‖ carrier → place of carried bytes
 *
 * A database is packed from its first row on or never; its row "form" says so. */
#ifndef CHAINFS_STORE_KEYS_H
#define CHAINFS_STORE_KEYS_H

#include "core/base/bytes.h"
#include "core/chain/chain.h"

enum family {
	FAMILY_META, FAMILY_BLOCKS, FAMILY_ROWS, FAMILY_DEATHS, FAMILY_STATS, FAMILY_HASHES,
	FAMILY_REPLAY,
	FAMILY_COUNT
};

struct family_rules {
	const char *name;
	size_t write_buffer_size; /* bytes in memory before they become a file */
	size_t block_size;        /* bytes packed together: more pack better, fewer read faster */
	int    zstd_level;        /* of the last level, where nearly all bytes come to lie */
	bool   placed;            /* keys end in a place, which their filter leaves out: the rest
				   * is a stem */
	bool   filter;            /* asked for what may be absent */
	bool   mostly_hits;       /* absent keys are rare: no filter on the last level */
};
extern const struct family_rules families[FAMILY_COUNT];

#define META_NETWORK  "network"
#define META_HEAD     "head"
#define META_BRANCHES "branches"
#define META_SEGMENTS "segments"
#define META_CARRIED  "carried" /* how many carriers there were: the number of the newest */
#define META_FORM     "form"    /* how keys are written; none: not packed */
#define META_SHARD    "shard"
#define META_GAPS     "gaps"

enum replay_kind {
	REPLAY_ROOTS = 'r', REPLAY_CHANGES = 'c', REPLAY_OUTCOMES = 'o', REPLAY_DIVERGED = 'd',
	REPLAY_ASIDE = 'a', REPLAY_RANGE = 'g', REPLAY_CARRIED = 'p'
};

/* Short keys fit here: all but those of rows and of meta. */
#define SHORT_KEY_MAX 24

struct short_key {
	uint8_t bytes[SHORT_KEY_MAX];
	size_t  n;
};

static inline struct slice short_slice(const struct short_key *k)
{
	return SLICE(k->bytes, k->n);
}

struct short_key key_meta_shard(const char *what, uint32_t shard);
struct short_key key_block(uint32_t shard, uint64_t height);
struct short_key key_stat(uint64_t object);
/* `hash`: its first eight bytes. packed: the form of the database's keys. */
struct short_key key_hash(bool packed, const uint8_t hash[8], uint32_t shard, uint64_t height,
			  uint32_t item);
struct short_key key_replay(enum replay_kind kind, uint32_t shard, uint64_t height);
struct short_key key_deaths(uint32_t shard, uint64_t height, uint32_t branch);

/* -EUCLEAN when it is not such a key. */
int key_block_read(struct slice key, uint32_t *shard, uint64_t *height) MUST_CHECK;
int key_hash_read(bool packed, struct slice key, uint8_t prefix[8], uint32_t *shard,
		  uint64_t *height, uint32_t *item) MUST_CHECK;
#define HASH_PREFIX_SIZE(packed) ((packed) ? 5u : 8u) /* of the hash in such a key */
int key_replay_read(struct slice key, uint8_t *kind, uint32_t *shard, uint64_t *height) MUST_CHECK;
int key_deaths_read(struct slice key, uint32_t *shard, uint64_t *height) MUST_CHECK;

/* Order-preserving and prefix-free: 00 becomes 00 ff, then 00 00. */
void key_escape(struct buf *out, struct slice key);
/* Reads one escaped key and unescapes it into `out`; the reader stands behind it. */
int  key_unescape(struct rd *r, struct buf *out) MUST_CHECK;

/* ---- keys of rows as a packed database has them ----
 *
 *     … escaped key ‖ ~height 8                   of branch 0
 *     … escaped key ‖ ~height 8 ‖ ~index 4 ‖ branch 4
 *
 * in the same order. The eight bytes of the height stay: what is alike in all keys packs to less
 * than a shorter number that says how long it is, which stands between random bytes. */
#define ROW_STORED_KEY_MAX (2 * 4096 + 2 + 2 + 16)

/* As it is sought or stored: all of `key` or its beginning. Whatever `key` is, a place, a part of one
 * or more: stored keys that lie before it lie before what it is packed to, and the others do not. */
struct slice key_row_pack(struct slice key);
/* Is that its own form? Else it is that of a key which lies behind it. */
bool key_row_is_own(struct slice key, struct slice packed);
/* Back; `key` itself when it is no such key. */
struct slice key_row_unpack(struct slice key, uint8_t out[ROW_STORED_KEY_MAX]);
/* Bytes that all versions of a key share, in either form; 0: it does not end in a place. */
size_t key_row_stem(struct slice key);

#endif
