/* tls.h: a client's side of TLS as a filter of bytes (GnuTLS, which calls us for them, so that it
 * fits a loop): ciphertext in, plain text out, and back. ALPN "h2" is asked for and insisted on;
 * the certificate must be signed by whom we trust and be the host's.
 * Threads  one at a time (the loop); nothing here waits. */
#ifndef CHAINFS_NET_TLS_H
#define CHAINFS_NET_TLS_H

#include "core/base/bytes.h"
#include "core/base/err.h"

#define TLS_OUT_MAX (256u << 10)

struct tls;

/* ca_file NULL: $SSL_CERT_FILE, else the system's; both are copied. -ENOENT, -EBADMSG: the file of
 * authorities; -ENOMEM. */
int  tls_client_new(const char *host, const char *ca_file, struct tls **out,
		    struct err *err) MUST_CHECK;
void tls_freep(struct tls **t);

/* Ciphertext that came; borrowed until tls_read() or tls_handshake() says -EAGAIN, when all of it
 * was taken and more may be given. */
void tls_give(struct tls *t, struct slice bytes);
/* 0 done; -EAGAIN: more bytes; -EKEYREJECTED: the certificate; -EPROTO. */
int  tls_handshake(struct tls *t, struct err *err) MUST_CHECK;
/* Bytes read; 0: the peer said that it ends; -EAGAIN; -EPROTO. */
ssize_t tls_read(struct tls *t, void *out, size_t size, struct err *err) MUST_CHECK;
/* All of it or -EPROTO, also where more than TLS_OUT_MAX would have to go. */
int  tls_write(struct tls *t, struct slice bytes, struct err *err) MUST_CHECK;
/* Ciphertext that is to go; whoever sent it clears it. */
struct buf *tls_out(struct tls *t);

#endif
