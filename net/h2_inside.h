/* h2_inside.h: an HTTP/2 session without a socket: bytes in, bytes out. h2.c carries them over TCP
 * or TLS; tests and fuzzers carry them themselves.
 *
 * Whoever carries calls h2_feed() with what came, h2_take() for what is to go, and h2_over() when
 * it has ended; none of them from within a callback. The session's memory is the carrier's to free,
 * once the user has closed it and no call of the session is running. */
#ifndef CHAINFS_NET_H2_INSIDE_H
#define CHAINFS_NET_H2_INSIDE_H

#include "net/h2.h"

struct h2_carrier {
	void *arg;
	void (*wants_write)(void *arg); /* h2_take() has something soon; may come from a callback */
	void (*close)(void *arg);       /* the user is done with it; may come from a callback */
};

/* Bytes that open the connection are there to be taken. authority: "host:port". */
int  h2_new(const char *authority, bool tls, const struct h2_carrier *by,
	    const struct h2_listener *to, struct h2 **out) MUST_CHECK;
void h2_freep(struct h2 **c);

/* 0, or what ends the connection, with a sentence in `err`; tell h2_over() then. */
int  h2_feed(struct h2 *c, struct slice bytes, struct err *err) MUST_CHECK;
/* What goes next, borrowed until the next call; 0 when there is nothing. */
int  h2_take(struct h2 *c, struct slice *out, struct err *err) MUST_CHECK;
void h2_ping(struct h2 *c);
bool h2_is_ready(const struct h2 *c);
/* Ends all streams, then tells the listener. */
void h2_over(struct h2 *c, int rc, const char *sentence);

#endif
