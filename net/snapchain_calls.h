/* snapchain_calls.h: what a Snapchain node is asked, as bytes, and what it answers (proto/
 * snapchain_rpc.proto). Nothing here sends.
 *
 * Memory   slices of a request point into the message given; a struct info holds copies. */
#ifndef CHAINFS_NET_SNAPCHAIN_CALLS_H
#define CHAINFS_NET_SNAPCHAIN_CALLS_H

#include "core/sync/gaps.h"
#include "core/sync/source.h"

#define SNAPCHAIN_PORT    3383u
#define CALL_GET_INFO     "/HubService/GetInfo"
#define CALL_GET_BLOCKS   "/HubService/GetBlocks"
#define CALL_GET_CHUNKS   "/HubService/GetShardChunks"
#define CALL_SUBSCRIBE    "/HubService/Subscribe"
#define CALL_TRIE         "/HubService/GetTrieMetadataByPrefix"
#define CALL_SNAPSHOTS    "/ReplicationService/GetShardSnapshotMetadata"
#define CALL_TRANSACTIONS "/ReplicationService/GetShardTransactions"

#define INFO_SIZE_MAX    (64u << 10)
#define REQUEST_SIZE_MAX (4u << 10)

/* Of a chunk or block in its answer besides itself: key and size of the field. */
#define CHUNK_OVERHEAD 16u

struct info {
	char version[SOURCE_VERSION_MAX], peer[SOURCE_VERSION_MAX]; /* printable */
	uint32_t shards;                                            /* data shards, as it says */
	bool has[SHARD_MAX];                                        /* told of */
	uint64_t max[SHARD_MAX];                                    /* 0: no block yet */
	bool announces; /* a next version of the protocol */
};

int info_read(struct slice message, struct info *out, struct err *err) MUST_CHECK;

/* The main shard's with GetBlocks, others' with GetShardChunks. */
const char *call_of_blocks(uint32_t shard);
void request_of_blocks(uint32_t shard, struct range range, struct buf *out);
void request_of_events(struct buf *out); /* BLOCK_CONFIRMED of all shards from now on */
/* False when it is no event of a confirmed block. */
bool event_read(struct slice message, uint32_t *shard, uint64_t *height);
/* The height that a block's header claims, whatever else it is; 0: none. */
uint64_t block_height_of(struct slice block);

/* A node of a trie. */
void request_of_node(uint32_t shard, struct slice prefix, struct buf *out);
int  node_read(struct slice message, struct source_node *out, struct err *err) MUST_CHECK;

/* Takes the messages of a repeated field 1 out of an answer that comes in parts, one at a time. */
struct splitter {
	size_t size_max;
	uint8_t head[20];
	size_t head_size;
	bool item; /* what comes is one, else it is skipped */
	uint64_t left;
	struct buf whole;
};

/* take: takes the item over; false stops. 0; 1 stopped; -EBADMSG: no such message; -EMSGSIZE: an
 * item over size_max; -ENOMEM. */
int splitter_feed(struct splitter *s, struct slice part, bool (*take)(void *arg, struct buf *item),
		  void *arg) MUST_CHECK;
bool splitter_between(const struct splitter *s); /* nothing is begun */
void splitter_release(struct splitter *s);

#endif
