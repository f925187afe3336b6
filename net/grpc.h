/* grpc.h: calls of gRPC on an HTTP/2 connection: framing, status, deadlines.
 *
 * Unary calls and calls that answer with a stream. Messages are not compressed (nobody here offers
 * it). A call ends exactly once, with a status.
 * Threads  the loop's. Memory: one message at a time, at most message_max bytes. */
#ifndef CHAINFS_NET_GRPC_H
#define CHAINFS_NET_GRPC_H

#include "net/h2.h"

enum grpc_status { /* those that are acted upon; others pass through as numbers */
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
};
const char *grpc_status_name(int status);

struct grpc_call;

struct grpc_listener {
	void *arg;
	void (*message)(void *arg, struct buf *message); /* takes it over */
	/* status: the peer's grpc-status, its sentence decoded; or what we say in its stead, `local`:
	 * 4 when our deadline passed, 8 when an answer is over its bounds, 14 when the connection
	 * ended, 13 when frames are not gRPC's. */
	void (*ended)(void *arg, int status, bool local, const char *sentence);
};

struct grpc_options {
	uint32_t timeout_ms;    /* for all of the call; 0: none (a stream that stays open) */
	size_t   message_max;   /* of one message */
	uint64_t bytes_max;     /* of all messages; 0: none */
};

/* path: "/HubService/GetInfo". */
int  grpc_start(struct h2 *c, struct loop *l, const char *path, struct slice request,
		const struct grpc_options *o, const struct grpc_listener *to,
		struct grpc_call **out) MUST_CHECK;
void grpc_cancel(struct grpc_call **call); /* nothing is told of it from now on */

#endif
