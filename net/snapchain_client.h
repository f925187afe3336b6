/* snapchain_client.h: a Snapchain node asked by threads that wait for the answer.
 *
 * A connection is opened when it is needed and again when it ended. What may come out otherwise on
 * another try (no connection, silence, "unavailable") is tried again, for CLIENT_PATIENCE_MS in
 * all, CLIENT_UNMET_MS while nobody was ever there; what the node refuses is not.
 * Threads  any but the loop's, several at once.
 * Errors   -EHOSTUNREACH: no answer in the end, and the last reason; -ENODATA: refused, with the
 *          node's sentence; -EMSGSIZE: an answer over its bound; -EPROTO; -EINTR; -ENOMEM. */
#ifndef CHAINFS_NET_SNAPCHAIN_CLIENT_H
#define CHAINFS_NET_SNAPCHAIN_CLIENT_H

#include <stdatomic.h>

#include "core/base/hash.h"
#include "net/snapchain_source.h"

#define CLIENT_PATIENCE_MS 120000u
#define CLIENT_UNMET_MS    5000u  /* the same, while it was never connected */
#define CLIENT_TIMEOUT_MS  30000u /* of one try */

struct snapchain_client;

/* patience_ms 0: CLIENT_PATIENCE_MS. stop may be NULL. */
int  snapchain_client_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			   const atomic_bool *stop, struct snapchain_client **out,
			   struct err *err) MUST_CHECK;
void snapchain_client_closep(struct snapchain_client **c); /* no call is running */

/* One call: its messages, each behind its size as a varint (`stream`), or its one message. `out` is
 * replaced, and bounded by size_max. */
int  snapchain_ask(struct snapchain_client *c, const char *path, struct slice request, bool stream,
		   size_t size_max, struct buf *out, struct err *err) MUST_CHECK;

/* -ENODATA also when a single record lies there, deeper: nodes do not tell the two apart. Down to
 * accounts there is a node wherever there are records. */
int snapchain_trie_node(struct snapchain_client *c, uint32_t shard, struct slice prefix,
			struct source_node *out, struct err *err) MUST_CHECK;
/* Heights by shard, as the node tells of itself; 0: none. */
int snapchain_heights(struct snapchain_client *c, uint64_t out[SHARD_MAX], struct err *err)
	MUST_CHECK;

#endif
