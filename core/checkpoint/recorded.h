/* recorded.h: a folder of pages, as a node once gave them, as one who gives pages.
 *
 *     metadata-S.pb[.zst]        the snapshots that were offered of shard S
 *     index-S.json               [[vshard, page, bytes, items], …], one a request; bytes -1:
 *                                refused
 *     shard-S.pbs[.zst]          (varint size, message) after each other: the answers in that order
 *     fetch.json                 {"shards": {"S": {"height": …}}}: the snapshot that they are of
 *     blocks-0.pbs, chunks-S.pbs here or in the folder above: the archive with the blocks
 *
 * Memory   a plain file is mapped, a packed one unpacked (RECORDED_SIZE_MAX); 256 blocks a shard.
 * Errors   -ENOENT, -EBADMSG with the file. What was not recorded is -EHOSTUNREACH.
 * Threads  one. */
#ifndef CHAINFS_CHECKPOINT_RECORDED_H
#define CHAINFS_CHECKPOINT_RECORDED_H

#include "core/checkpoint/bootstrap.h"

#define RECORDED_SIZE_MAX ((size_t)2 << 30)

struct recorded;

int recorded_open(const char *folder, const struct chain_ops *ops, struct recorded **out,
		  struct err *err) MUST_CHECK;
void recorded_closep(struct recorded **r);
struct replica recorded_replica(struct recorded *r);
/* The height that its pages are of; 0: it does not say. */
uint64_t recorded_height(const struct recorded *r);
/* The text of its network.json; empty when there is none. Lives as long as it does. */
struct slice recorded_config(const struct recorded *r);

#endif
