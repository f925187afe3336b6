/* replica.h: opens somebody to bootstrap a store from (struct replica of
 * core/checkpoint/bootstrap.h), or to compare its state with (struct compare_theirs of
 * core/sync/compare.h), by the scheme of his address and the kind of chain.
 *
 * Threads  their functions wait, one call at a time, on any thread but the loop's.
 * Errors   of opening: -EPROTONOSUPPORT no such protocol; -ENOMEM; of TLS -ENOENT, -EBADMSG: its
 *          authorities. That nobody answers is told by the first call. */
#ifndef CHAINFS_NET_REPLICA_H
#define CHAINFS_NET_REPLICA_H

#include "core/checkpoint/bootstrap.h"
#include "core/sync/compare.h"
#include "net/loop.h"

/* `stop` may be NULL; when it is set, calls end soon with -EINTR. port 0: the protocol's. */
int  replica_open(struct loop *l, const char *chain, const char *scheme, const char *host,
		  uint16_t port, const atomic_bool *stop, struct replica *out, struct err *err)
	MUST_CHECK;
void replica_close(struct replica *r); /* accepts an all-zero one */

/* The same for whose state ours is compared with. */
int  theirs_open(struct loop *l, const char *chain, const char *scheme, const char *host,
		 uint16_t port, const atomic_bool *stop, struct compare_theirs *out,
		 struct err *err) MUST_CHECK;
void theirs_close(struct compare_theirs *t); /* accepts an all-zero one */

#endif
