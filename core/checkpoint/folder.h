/* folder.h: what a checkpoint's folder looks like.
 *
 *     0000012345-ab12cd34/         main height, first 8 digits of the main block's hash
 *         info                     text, below
 *         blocks/S.pb              canonical bytes of the block that each shard's state is as of
 *         legacy/S/VV.pb           records that both contexts hold, by vshard (pack.h)
 *         retained/S/VV.pb         records that hyper alone holds; only where hyper is on
 *         rules/S/both.pb          what the rules need beyond records; no signed root covers it
 *         rules/S/hyper.pb         the same of hyper's own
 *         SHA256SUMS               "<64 hex>  <path>", by path; everything above, nothing below
 *         evidence/network.json    parameters of the network, its validators among them, as this
 *                                  node has them
 *         evidence/commits-S.pb    certificate of blocks/S.pb as this node was given it
 *         verdict                  a line a check of this node, as the block's own `verify` has
 *                                  them
 *
 * A pack without records is not there. `info` is one "name value" a line, in this order:
 *
 *     format 1
 *     kind KIND
 *     height HEIGHT        of the main shard
 *     hash HEX
 *     time UTC
 *     hyper on|off
 *     shard S              then, until the next one, of this shard:
 *     height, hash, time, legacy_root, legacy_records,
 *     with hyper on: hyper_root, hyper_records, retained, base_height, base_root
 *     covered …            twice: what the signed root covers, and what nothing signed does
 *
 * A root of an empty state is "-". Shards that the main block witnesses nothing of yet are left
 * out. Hyper is on when it has retained, or begun to, at every shard's height; at its base itself
 * it is legacy. */
#ifndef CHAINFS_CHECKPOINT_FOLDER_H
#define CHAINFS_CHECKPOINT_FOLDER_H

#include "core/chain/chain.h"

#define CHECKPOINT_FORMAT    1
#define CHECKPOINT_NAME_SIZE 32 /* "0000012345-ab12cd34" and room */

struct checkpoint_shard {
	uint32_t shard;
	uint64_t height, time;
	uint8_t hash[HASH_SIZE];
	struct chain_root legacy, hyper; /* hyper: all zero when it is off */
	uint64_t retained, base_height;
	uint8_t base_root[ROOT_SIZE_MAX], base_root_size;
};

struct checkpoint_info {
	char kind[32];
	bool hyper;
	uint32_t shard_count;
	struct checkpoint_shard shards[SHARD_MAX]; /* ascending; the first is the main one */
};

#define CHECKPOINT_INFO_MAX (64u << 10) /* bytes of an info that is read */
#define CHECKPOINT_SUMS_MAX (4u << 20)  /* of a SHA256SUMS */
#define CHECKPOINT_PATH_MAX 64          /* of a path in it */

/* The folder's name: main height and hash. */
void checkpoint_name(uint64_t height, const uint8_t hash[HASH_SIZE],
		     char out[CHECKPOINT_NAME_SIZE]);
/* -EINVAL: no such name. `prefix`: the 4 bytes of the hash that it tells. */
int checkpoint_name_read(const char *name, uint64_t *height, uint8_t prefix[4]) MUST_CHECK;

int checkpoint_info_write(const struct checkpoint_info *info, struct buf *out) MUST_CHECK;
/* -EBADMSG with the line's number; -EPROTONOSUPPORT for another format. */
int checkpoint_info_read(struct slice text, struct checkpoint_info *out, struct err *err)
	MUST_CHECK;

/* A line of SHA256SUMS, and the next line of one: 1, 0 at the end, -EBADMSG when it is none, names
 * a path that is not below the folder, or does not follow the one before it. *at and *last begin as
 * all zero. */
void checkpoint_sum_write(const uint8_t sum[HASH_SIZE], const char *path, struct buf *out);
int checkpoint_sum_next(struct slice text, size_t *at, char last[CHECKPOINT_PATH_MAX],
			uint8_t sum[HASH_SIZE], struct err *err) MUST_CHECK;

#endif
