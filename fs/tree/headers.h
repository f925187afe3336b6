/* headers.h: the three files that tell a block's header, made together and kept for a while.
 *
 * They need the block decoded, which checks every signature of it again; who reads one of the three
 * reads its neighbours next. The last few blocks' texts are kept, some kilobytes each.
 * Threads  any; one lock, a leaf, under which texts are copied. */
#ifndef CHAINFS_FS_HEADERS_H
#define CHAINFS_FS_HEADERS_H

#include "core/store/network.h"

enum header_file { HEADER_TEXT, HEADER_JSON, HEADER_PARENT, HEADER_FILES };

int header_read(struct network *n, const struct block_row *row, enum header_file which,
		struct buf *out, struct err *err) MUST_CHECK;

#endif
