/* grpc.h: calls of gRPC on an HTTP/2 connection: framing, status, deadlines.
 *
 * Unary calls and calls that answer with a stream. Messages are not compressed (nobody here offers
 * it). A call ends exactly once, with a status.
 * Threads  the loop's. Memory: one message at a time, at most message_max bytes; none when it is
 *          taken in pieces. */
#ifndef CHAINFS_NET_GRPC_H
#define CHAINFS_NET_GRPC_H

#include "net/h2.h"

#define GRPC_SENTENCE_MAX 400u

enum grpc_status { /* those that are acted upon; others pass through as numbers */
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16,
};
const char *grpc_status_name(int status); /* "UNAVAILABLE"; "status" for numbers without a name */

struct grpc_call;

struct grpc_listener {
	void *arg;
	void (*message)(void *arg, struct buf *message); /* takes it over */
	/* In its stead, when set: a message as it comes, borrowed; left: bytes that are still to
	 * come of it. Called at least once a message, with no bytes for an empty one. */
	void (*piece)(void *arg, struct slice bytes, size_t left);
	/* status: the peer's grpc-status, its sentence decoded; or what we say in its stead,
	 * `local`: 4 when our deadline passed, 8 when an answer is over its bounds, 14 when the
	 * connection ended, 13 when frames are not gRPC's. The call goes with it. The sentence is
	 * printable. */
	void (*ended)(void *arg, int status, bool local, const char *sentence);
};

struct grpc_options {
	uint32_t timeout_ms;    /* for all of the call; 0: none (a stream that stays open) */
	size_t   message_max;   /* of one message */
	uint64_t bytes_max;     /* of all messages; 0: none */
};

/* path: "/HubService/GetInfo". Callbacks may cancel the call. -ENOTCONN: the connection takes no
 * more calls; -ENOMEM. `l` may be NULL when timeout_ms is 0. */
int  grpc_start(struct h2 *c, struct loop *l, const char *path, struct slice request,
		const struct grpc_options *o, const struct grpc_listener *to,
		struct grpc_call **out) MUST_CHECK;
void grpc_cancel(struct grpc_call **call); /* nothing is told of it from now on */

#endif
