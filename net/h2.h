/* h2.h: a client's HTTP/2 connection (nghttp2 on a loop): cleartext with prior knowledge, or TLS
 * with ALPN h2.
 *
 * One struct h2 is one connection; who has it opens another when it has ended. A peer that says
 * nothing for H2_SILENT_MS is asked by a PING, and is gone when that has no answer for as long: a
 * stopped process keeps its sockets.
 * Bounds   H2_WINDOW bytes a stream and H2_CONNECTION_WINDOW a connection that were not consumed;
 *          header lists up to H2_HEADERS_MAX. h2_consumed() opens the window again, so that a
 *          reader who does not keep up holds the peer back.
 * Threads  the loop's. No callback comes from within a call, but h2_* may be called in callbacks.
 * Parts    h2.c is the socket, tls.c what is between it and h2_session.c, which speaks HTTP/2 and
 *          knows no socket (h2_inside.h). */
#ifndef CHAINFS_NET_H2_H
#define CHAINFS_NET_H2_H

#include "core/base/bytes.h"
#include "net/loop.h"

#define H2_SILENT_MS         10000u
#define H2_CONNECT_MS        10000u
#define H2_WINDOW            (1u << 20)
#define H2_CONNECTION_WINDOW (4u << 20)
#define H2_HEADERS_MAX       (32u << 10)
#define H2_HOST_MAX          256

struct h2;
struct h2_stream;

struct h2_options {
	const char *host;    /* a name or an address; an IPv6 one without brackets */
	uint16_t    port;
	bool        tls;     /* certificates by the system's store, or: */
	const char *ca_file; /* NULL: $SSL_CERT_FILE, else the system's */
	uint32_t    silent_ms, connect_ms; /* 0: as above */
};

struct h2_listener {
	void *arg;
	void (*ready)(void *arg); /* connected, the peer's SETTINGS came */
	/* All streams have ended before. rc: -ECONNREFUSED, -ETIMEDOUT … of the socket; -EPROTO:
	 * not HTTP/2; -EKEYREJECTED: its certificate; -ESHUTDOWN: it said goodbye. h2_closep() is
	 * still to be called, here or later. */
	void (*ended)(void *arg, int rc, const char *sentence);
};

struct h2_stream_listener {
	void *arg;
	/* A header or trailer field; borrowed. */
	void (*header)(void *arg, struct slice name, struct slice value);
	void (*data)(void *arg, struct slice bytes); /* borrowed; tell h2_consumed() */
	/* 0: the peer ended it properly; -ECONNRESET: RST_STREAM, error_code says which; -EMSGSIZE:
	 * its header list is over the bound; other: the connection ended. The stream is gone. */
	void (*closed)(void *arg, int rc, uint32_t error_code);
};

/* -ENOMEM. Everything else, also a name that does not resolve, is told by ended(). */
int  h2_open(struct loop *l, const struct h2_options *o, const struct h2_listener *to,
	     struct h2 **out, struct err *err) MUST_CHECK;
void h2_closep(struct h2 **c); /* nothing is told from now on, streams included */

/* A POST with these fields besides :method, :scheme, :path, :authority, and this body, which is
 * copied. Up to 16 fields. -ENOTCONN: the connection takes no more requests. */
struct h2_field {
	const char *name, *value;
};
int  h2_post(struct h2 *c, const char *path, const struct h2_field *fields, size_t field_count,
	     struct slice body, const struct h2_stream_listener *to, struct h2_stream **out)
	MUST_CHECK;
void h2_consumed(struct h2_stream *s, size_t bytes);
void h2_cancel(struct h2_stream *s); /* RST_STREAM; nothing is told of it from now on */

#endif
