/* blocks.h: the rows of blocks and of what replay left of them, as bytes and back.
 *
 * Numbers are varints; the block packing of the database does the rest. What a key says (shard,
 * height) is not written again. What does not parse is -EUCLEAN: our own row contradicts us. */
#ifndef CHAINFS_STORE_BLOCKS_H
#define CHAINFS_STORE_BLOCKS_H

#include "core/store/network.h"

void segment_ref_write(const struct segment_ref *ref, struct buf *out);
int  segment_ref_read(struct slice in, struct segment_ref *out) MUST_CHECK;

/* Without the place of its bytes, and the whole row: the place is known when its frame is written. */
void block_row_write_head(const struct block_row *row, struct buf *out);
int  block_row_read(struct slice in, struct block_row *out) MUST_CHECK; /* shard and height are set */

void roots_row_write(const struct roots_row *r, struct buf *out);
int  roots_row_read(struct slice in, struct roots_row *out) MUST_CHECK;

void changes_write(const struct chain_change *list, size_t count, struct buf *out);
int  changes_read(struct slice in, struct change_list *out) MUST_CHECK; /* -ENOMEM too */

void outcomes_write(const struct chain_outcome *list, size_t count, struct buf *out);
int  outcomes_read(struct slice in, struct outcome_list *out) MUST_CHECK;

void range_row_write(const struct range_row *r, struct buf *out);
int  range_row_read(struct slice in, struct range_row *out) MUST_CHECK;

void stat_record_write(const struct stat_record *r, struct buf *out);
int  stat_record_read(struct slice in, struct stat_record *out) MUST_CHECK;

/* Everything of a shard_view but its gaps, which are a row of their own. */
void shard_view_write(const struct shard_view *sv, struct buf *out);
int  shard_view_read(struct slice in, struct shard_view *out) MUST_CHECK;

#endif
