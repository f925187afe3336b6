/* blocks.h: the rows of blocks and of what replay left of them, as bytes and back.
 *
 * Numbers are varints; the block packing of the database does the rest. What a key says (shard,
 * height) is not written again. What does not parse is -EUCLEAN: our own row contradicts us. */
#ifndef CHAINFS_STORE_BLOCKS_H
#define CHAINFS_STORE_BLOCKS_H

#include "core/store/network.h"

void segment_ref_write(const struct segment_ref *ref, struct buf *out);
int  segment_ref_read(struct slice in, struct segment_ref *out) MUST_CHECK;

/* Written without the place of its bytes, which is known when their frame is written; read
 * whole, but for the hashes of what it witnesses, which rows have only unless places_only. */
void block_row_write_head(const struct block_row *row, bool places_only, struct buf *out);
/* shard and height of `out` are set by the caller. */
int  block_row_read(struct slice in, struct block_row *out) MUST_CHECK;

void roots_row_write(const struct roots_row *r, struct buf *out);
int  roots_row_read(struct slice in, struct roots_row *out) MUST_CHECK;

/* leave_out: keys that are told are left out, and read as empty. */
void changes_write(const struct chain_change *list, size_t count, bool leave_out, struct buf *out);
int  changes_read(struct slice in, struct change_list *out) MUST_CHECK; /* -ENOMEM too */
/* A row's bytes packed against bytes that the reader has too, where that pays:
 * 0 ‖ the bytes, or 1 ‖ size unpacked ‖ zstd without its frame's magic. */
int  packed_write(struct slice bytes, struct slice against, struct buf *out) MUST_CHECK;
bool packed_needs(struct slice in); /* it was packed, and unpacking takes `against` */
int  packed_read(struct slice in, struct slice against, struct buf *out) MUST_CHECK;

void outcomes_write(const struct chain_outcome *list, size_t count, struct buf *out);
int  outcomes_read(struct slice in, struct outcome_list *out) MUST_CHECK;

void range_row_write(const struct range_row *r, struct buf *out);
int  range_row_read(struct slice in, struct range_row *out) MUST_CHECK;

/* Everything of a shard_view but its gaps, which are a row of their own. */
void shard_view_write(const struct shard_view *sv, struct buf *out);
int  shard_view_read(struct slice in, struct shard_view *out) MUST_CHECK;

#endif
