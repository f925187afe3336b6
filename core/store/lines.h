/* lines.h: lines of the tables over blocks, and how many bytes they have.
 *
 * index.tsv has a line a block, roots/RANGE.tsv one a replayed height. Ingest adds up the sizes of
 * a range when it is complete (struct range_row), the mount writes the lines: both from here, so
 * that a file has as many bytes as was said. Errors latch in the buf. */
#ifndef CHAINFS_STORE_LINES_H
#define CHAINFS_STORE_LINES_H

#include "core/store/network.h"

/* Height, hash, time, items, bytes. */
void line_index(const struct block_row *row, struct buf *out);
size_t line_index_size(const struct block_row *row);
/* Height, root (a dash when it is empty), records. */
void line_roots(uint64_t height, const struct chain_root *root, struct buf *out);
size_t line_roots_size(uint64_t height, const struct chain_root *root);

#endif
