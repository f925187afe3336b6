/* snapchain_source.h: a Snapchain node as a source of blocks (core/sync/source.h), over gRPC.
 *
 * Connects by itself, and again after 1, 2, 4 … 10 s. GetInfo every second says what heights it
 * has; its events of confirmed blocks say so sooner, and are otherwise not believed. Blocks are
 * handed on byte for byte as they came.
 *
 * Heights that a node has pruned are left out of its answers silently, which looks like "beyond its
 * tip": what is missing below its head is taken for pruned, the first height that is there is
 * looked for by halving, and what it offers begins there.
 *
 * A node tells of a block some moments before it can be read: an empty answer close to the head is
 * asked for again some times within a tenth of a second.
 * Threads  the loop's. */
#ifndef CHAINFS_NET_SNAPCHAIN_SOURCE_H
#define CHAINFS_NET_SNAPCHAIN_SOURCE_H

#include "core/sync/source.h"
#include "net/loop.h"

struct snapchain_options {
	const char *host;
	uint16_t    port;
	bool        tls;
	const char *ca_file;     /* NULL: $SSL_CERT_FILE, else the system's */
	uint32_t    shard_count; /* of the network, the main one included; 0: as the node says */
	uint32_t    silent_ms;   /* 0: H2_SILENT_MS */
	uint32_t    poll_ms;     /* of GetInfo; 0: a second */
};

extern const struct source_ops snapchain_source_ops;

/* Begins to connect. -ENOMEM; -EINVAL: the host; of TLS: -ENOENT, -EBADMSG: authorities. */
int snapchain_source_open(struct loop *l, const struct snapchain_options *o,
			  const struct source_listener *to, struct source **out,
			  struct err *err) MUST_CHECK;

#endif
