/* snapchain_replica.h: a Snapchain node's replication service, and its lists of one account, as a
 * struct replica (net/replica.h opens it). */
#ifndef CHAINFS_NET_SNAPCHAIN_REPLICA_H
#define CHAINFS_NET_SNAPCHAIN_REPLICA_H

#include "core/checkpoint/bootstrap.h"
#include "core/sync/compare.h"
#include "net/snapchain_client.h"

#define REPLICA_PAGE_MAX BLOCK_SIZE_MAX /* bytes of one answer */

int snapchain_replica_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			   const atomic_bool *stop, struct replica *out, struct err *err)
	MUST_CHECK;
void snapchain_replica_close(struct replica *r);

/* Its heights and its trie, as a struct compare_theirs. */
int  snapchain_theirs_open(struct loop *l, const struct snapchain_options *o, uint32_t patience_ms,
			   const atomic_bool *stop, struct compare_theirs *out,
			   struct err *err) MUST_CHECK;
void snapchain_theirs_close(struct compare_theirs *t);

#endif
