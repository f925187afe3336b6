#include "net/tls.h"

#include <gnutls/gnutls.h>
#include <stdio.h>
#include <sys/types.h>

struct tls {
	gnutls_session_t session;
	gnutls_certificate_credentials_t credentials;
	struct slice in;
	struct buf out;
	char host[];
};

static ssize_t pull(gnutls_transport_ptr_t arg, void *out, size_t size)
{
	struct tls *t = arg;
	size_t n = MIN(size, t->in.n);
	if (!n) {
		gnutls_transport_set_errno(t->session, EAGAIN);
		return -1;
	}
	memcpy(out, t->in.p, n);
	t->in = slice_sub(t->in, n, t->in.n - n);
	return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t arg, const void *bytes, size_t size)
{
	struct tls *t = arg;
	if (buf_reserve(&t->out, size) < 0) {
		gnutls_transport_set_errno(t->session, ENOMEM);
		return -1;
	}
	buf_bytes(&t->out, bytes, size);
	return (ssize_t)size;
}

/* Nothing waits here: what is to be read has come. */
static int pull_ready(gnutls_transport_ptr_t arg, unsigned int ms)
{
	struct tls *t = arg;
	return t->in.n > 0;
}

static int trust_load(struct tls *t, const char *ca_file, struct err *err)
{
	if (!ca_file)
		ca_file = getenv("SSL_CERT_FILE");
	if (!ca_file || !*ca_file) {
		int n = gnutls_certificate_set_x509_system_trust(t->credentials);
		return n > 0 ? 0
			     : err_set(err, -ENOENT, "the system trusts no certificate authority");
	}
	int n = gnutls_certificate_set_x509_trust_file(t->credentials, ca_file,
						       GNUTLS_X509_FMT_PEM);
	if (n == GNUTLS_E_FILE_ERROR)
		return err_set(err, -ENOENT, "%s: cannot be read", ca_file);
	if (n <= 0)
		return err_set(err, -EBADMSG, "%s: no certificate of an authority in it", ca_file);
	return 0;
}

static bool is_address(const char *host)
{
	return strchr(host, ':') || !host[strspn(host, "0123456789.")];
}

static int session_make(struct tls *t)
{
	static const gnutls_datum_t h2 = { (unsigned char *)(uintptr_t) "h2", 2 };
	if (gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK) < 0)
		return -ENOMEM;
	if (gnutls_set_default_priority(t->session) < 0 ||
	    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE, t->credentials) < 0 ||
	    gnutls_alpn_set_protocols(t->session, &h2, 1, GNUTLS_ALPN_MANDATORY) < 0)
		return -ENOMEM;
	/* An address is no server name (RFC 6066 3); the certificate is held against it all the
	 * same. */
	if (!is_address(t->host) &&
	    gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, t->host, strlen(t->host)) < 0)
		return -ENOMEM;
	gnutls_session_set_verify_cert(t->session, t->host, 0);
	gnutls_transport_set_ptr(t->session, t);
	gnutls_transport_set_pull_function(t->session, pull);
	gnutls_transport_set_pull_timeout_function(t->session, pull_ready);
	gnutls_transport_set_push_function(t->session, push);
	gnutls_handshake_set_timeout(t->session, GNUTLS_INDEFINITE_TIMEOUT);
	return 0;
}

int tls_client_new(const char *host, const char *ca_file, struct tls **out, struct err *err)
{
	size_t size = strlen(host) + 1;
	AUTO(tls_freep) struct tls *t = calloc(1, sizeof *t + size);
	if (!t || gnutls_certificate_allocate_credentials(&t->credentials) < 0)
		return err_set(err, -ENOMEM, "no memory for TLS");
	t->out.size_max = TLS_OUT_MAX;
	memcpy(t->host, host, size);
	int rc = trust_load(t, ca_file, err);
	if (rc < 0)
		return rc;
	if (session_make(t) < 0)
		return err_set(err, -ENOMEM, "no memory for TLS");
	*out = TAKE(t);
	return 0;
}

void tls_freep(struct tls **out)
{
	struct tls *t = *out;
	if (!t)
		return;
	if (t->session)
		gnutls_deinit(t->session);
	if (t->credentials)
		gnutls_certificate_free_credentials(t->credentials);
	buf_release(&t->out);
	free(t);
	*out = NULL;
}

void tls_give(struct tls *t, struct slice bytes)
{
	assert(t->in.n == 0);
	t->in = bytes;
}

struct buf *tls_out(struct tls *t)
{
	return &t->out;
}

static int certificate_refused(struct tls *t, struct err *err)
{
	unsigned status = gnutls_session_get_verify_cert_status(t->session);
	gnutls_datum_t text = { 0 };
	gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
	size_t n = text.data ? strlen((char *)text.data) : 0;
	while (n && text.data[n - 1] == ' ')
		n--;
	err_set(err, -EKEYREJECTED, "TLS: %.*s", (int)n, text.data ? (char *)text.data : "");
	gnutls_free(text.data);
	return -EKEYREJECTED;
}

static bool speaks_h2(struct tls *t)
{
	gnutls_datum_t chosen;
	return gnutls_alpn_get_selected_protocol(t->session, &chosen) == 0 && chosen.size == 2 &&
	       memcmp(chosen.data, "h2", 2) == 0;
}

/* Goes on after what is no fault. The library also says "again" behind a message of its own, such
 * as a ticket, though more lies here already; then something of it was taken. */
static bool goes_on(const struct tls *t, ssize_t n, size_t before)
{
	return n == GNUTLS_E_AGAIN ? t->in.n && t->in.n < before
				   : n < 0 && !gnutls_error_is_fatal((int)n);
}

/* What is left then would never be taken: the next bytes have to find nothing here (tls_give). */
static int needs_more(const struct tls *t, struct err *err)
{
	return t->in.n ? err_set(err, -EPROTO, "TLS: %zu bytes that came are not taken", t->in.n)
		       : -EAGAIN;
}

int tls_handshake(struct tls *t, struct err *err)
{
	size_t before;
	int rc;

	do {
		before = t->in.n;
		rc = gnutls_handshake(t->session);
	} while (goes_on(t, rc, before));
	if (rc == GNUTLS_E_AGAIN)
		return needs_more(t, err);
	if (rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR)
		return certificate_refused(t, err);
	if (rc < 0)
		return err_set(err, rc == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EPROTO, "TLS: %s",
			       gnutls_strerror(rc));
	return speaks_h2(t) ? 0 : err_set(err, -EPROTO, "TLS: the peer did not agree to HTTP/2");
}

ssize_t tls_read(struct tls *t, void *out, size_t size, struct err *err)
{
	size_t before;
	ssize_t n;

	do {
		before = t->in.n;
		n = gnutls_record_recv(t->session, out, size);
	} while (goes_on(t, n, before));
	if (n == GNUTLS_E_AGAIN)
		return needs_more(t, err);
	if (n < 0)
		return err_set(err, -EPROTO, "TLS: %s", gnutls_strerror((int)n));
	return n;
}

int tls_write(struct tls *t, struct slice bytes, struct err *err)
{
	while (bytes.n) {
		ssize_t n = gnutls_record_send(t->session, bytes.p, bytes.n);
		if (n < 0 && !gnutls_error_is_fatal((int)n) && n != GNUTLS_E_AGAIN)
			continue;
		if (n < 0)
			return err_set(err, -EPROTO, "TLS: %s", gnutls_strerror((int)n));
		bytes = slice_sub(bytes, (size_t)n, bytes.n - (size_t)n);
	}
	return 0;
}
