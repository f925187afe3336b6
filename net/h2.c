#include "net/h2_inside.h"

#include <netdb.h>
#include <stdio.h>
#include <uv.h>

#include "net/tls.h"

#define READ_SIZE  (64u << 10)
#define OUT_MAX    (64u << 10) /* on its way out at a time */
#define GRACE_MS   200u
#define PLAIN_SIZE (16u << 10)

enum stage { NAMES, CONNECTING, HANDSHAKE, OPEN, OVER };

/* A connection's socket. Its memory goes when each of its handles and requests has called back. */
struct wire {
	struct h2 *session;
	struct loop *loop;
	struct tls *tls; /* NULL: cleartext */
	char host[H2_HOST_MAX];
	char label[H2_HOST_MAX + 8]; /* host:port, for sentences */
	uint16_t port;
	uint32_t silent_ms;
	enum stage stage;
	bool user_gone;

	uv_getaddrinfo_t names;
	struct addrinfo *addresses, *next;
	uv_tcp_t tcp;
	uv_connect_t connect;
	uv_write_t write;
	uv_idle_t flush; /* runs when something is to be sent */
	struct loop_timer *timer;
	unsigned handles; /* that will call back once more */
	bool tcp_there, writing, heard_any, asked, graced;
	uint64_t deadline_ms; /* of being connected */
	uint64_t heard_ms;
	int attempt_rc; /* why the last address failed */
	struct buf out;
	uint8_t in[READ_SIZE];
};

/* ---- the end ---- */

static void handle_gone(struct wire *w)
{
	if (--w->handles || !w->user_gone)
		return;
	h2_freep(&w->session);
	tls_freep(&w->tls);
	buf_release(&w->out);
	free(w);
}

static void handle_closed(uv_handle_t *handle)
{
	handle_gone(handle->data);
}

/* Lets go of everything that the loop holds for us. */
static void wire_close(struct wire *w)
{
	if (w->stage == OVER)
		return;
	if (w->stage == NAMES)
		uv_cancel((uv_req_t *)&w->names); /* calls back in any case */
	w->stage = OVER;
	loop_timer_freep(&w->timer);
	if (w->tcp_there && !uv_is_closing((uv_handle_t *)&w->tcp))
		uv_close((uv_handle_t *)&w->tcp, handle_closed);
	w->tcp_there = false;
	uv_close((uv_handle_t *)&w->flush, handle_closed);
	uv_freeaddrinfo(w->addresses);
	w->addresses = w->next = NULL;
}

static void wire_over(struct wire *w, int rc, const char *sentence)
{
	if (w->stage == OVER)
		return;
	char text[ERR_TEXT_SIZE];
	snprintf(text, sizeof text, "%s: %s", w->label, sentence);
	wire_close(w);
	w->handles++; /* stays until the listener has been told */
	h2_over(w->session, rc, text);
	handle_gone(w);
}

static void user_closes(void *arg)
{
	struct wire *w = arg;
	w->handles++;
	w->user_gone = true;
	wire_close(w);
	/* Perhaps from within a callback of the session: its memory waits for the loop. */
	if (w->handles > 1) {
		w->handles--;
		return;
	}
	uv_idle_init(loop_uv(w->loop), &w->flush);
	w->flush.data = w;
	uv_close((uv_handle_t *)&w->flush, handle_closed);
}

/* ---- out ---- */

static void flush_soon(void *arg);

static void written(uv_write_t *request, int status)
{
	struct wire *w = request->data;
	w->writing = false;
	buf_clear(&w->out);
	if (w->stage == OVER)
		return;
	if (status < 0)
		wire_over(w, status, uv_strerror(status));
	else
		flush_soon(w);
}

/* Gathers what the session has to send, through TLS when there is one. */
static int gather(struct wire *w, struct err *err)
{
	int rc = 0;
	struct slice part = SLICE_EMPTY;
	while (w->stage == OPEN && (w->tls ? tls_out(w->tls)->n : w->out.n) < OUT_MAX) {
		rc = h2_take(w->session, &part, err);
		if (rc < 0 || !part.n)
			break;
		rc = w->tls ? tls_write(w->tls, part, err) : 0;
		if (rc < 0)
			break;
		if (!w->tls)
			buf_add(&w->out, part);
	}
	if (w->stage == OVER)
		return 0;
	if (w->tls) {
		buf_add(&w->out, buf_slice(tls_out(w->tls)));
		buf_clear(tls_out(w->tls));
	}
	int memory = buf_done(&w->out);
	return memory < 0 ? err_set(err, memory, "no memory for what is sent") : rc;
}

static void flush(uv_idle_t *idle)
{
	struct wire *w = idle->data;
	struct err err = ERR_INIT;
	uv_idle_stop(idle);
	if (w->writing || w->stage == OVER || w->stage < HANDSHAKE)
		return;
	int rc = gather(w, &err);
	if (w->stage != OVER && w->out.n) {
		uv_buf_t bytes = uv_buf_init((char *)w->out.p, (unsigned)w->out.n);
		w->write.data = w;
		int wrote = uv_write(&w->write, (uv_stream_t *)&w->tcp, &bytes, 1, written);
		w->writing = wrote == 0;
		if (wrote < 0 && rc == 0)
			rc = err_set(&err, wrote, "%s", uv_strerror(wrote));
	}
	if (rc < 0)
		wire_over(w, rc, err_text(&err, rc));
}

static void flush_soon(void *arg)
{
	struct wire *w = arg;
	if (w->stage != OVER && !w->writing)
		uv_idle_start(&w->flush, flush);
}

/* ---- in ---- */

static void give_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct wire *w = handle->data;
	*out = uv_buf_init((char *)w->in, sizeof w->in);
}

static int handshake(struct wire *w, struct err *err)
{
	int rc = tls_handshake(w->tls, err);
	if (rc == 0)
		w->stage = OPEN;
	flush_soon(w);
	return rc == -EAGAIN ? 0 : rc;
}

static int feed_tls(struct wire *w, struct slice bytes, struct err *err)
{
	uint8_t plain[PLAIN_SIZE];
	ssize_t n = 1;
	int rc = 0;
	tls_give(w->tls, bytes);
	if (w->stage == HANDSHAKE)
		rc = handshake(w, err);
	while (rc == 0 && w->stage == OPEN && (n = tls_read(w->tls, plain, sizeof plain, err)) > 0)
		rc = h2_feed(w->session, SLICE(plain, n), err);
	if (rc < 0 || w->stage != OPEN)
		return rc;
	if (n == 0)
		return err_set(err, -ECONNRESET, "the peer ended the connection");
	return n == -EAGAIN ? 0 : (int)n;
}

/* ---- silence ---- */

/* Before it is ready a connection has until its deadline. Then it is asked after a while of
 * silence, and gone after another; but what lies in the socket is read first, should it be we who
 * slept. */
static void watch(struct wire *w)
{
	uint64_t since = w->heard_ms + w->silent_ms * (w->asked ? 2ull : 1ull);
	loop_timer_at(w->timer, !h2_is_ready(w->session) ? w->deadline_ms
				: w->graced              ? since + GRACE_MS
							 : since);
}

/* The usual slip; without it all that is told is an invalid frame, or silence. */
static int feed_plain(struct wire *w, struct slice bytes, struct err *err)
{
	static const uint8_t alert[] = { 0x15, 0x03 }; /* of TLS, which no frame begins with */

	if (!w->heard_any && slice_starts(bytes, SLICE(alert, sizeof alert)))
		return err_set(err, -EPROTO,
			       "it speaks TLS there: the address begins with grpcs://");
	w->heard_any = true;
	return h2_feed(w->session, bytes, err);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct wire *w = stream->data;
	struct err err = ERR_INIT;
	int rc = 0;
	if (n == 0 || w->stage == OVER)
		return;
	bool was_ready = h2_is_ready(w->session);
	w->heard_ms = loop_now_ms(w->loop);
	w->asked = w->graced = false;
	if (n == UV_EOF && !w->tls && !w->heard_any)
		rc = err_set(&err, -ECONNRESET,
			     "the peer ended the connection without a word of HTTP/2; where TLS is "
			     "spoken the address begins with grpcs://");
	else if (n == UV_EOF)
		rc = err_set(&err, -ECONNRESET, "the peer ended the connection");
	else if (n < 0)
		rc = err_set(&err, (int)n, "%s", uv_strerror((int)n));
	else if (w->tls)
		rc = feed_tls(w, SLICE(buf->base, n), &err);
	else
		rc = feed_plain(w, SLICE(buf->base, n), &err);
	if (rc < 0)
		wire_over(w, rc, err_text(&err, rc));
	else if (!was_ready && w->stage != OVER && h2_is_ready(w->session))
		watch(w);
}

static void open_timer_due(struct wire *w)
{
	uint64_t now = loop_now_ms(w->loop), quiet = now - MIN(now, w->heard_ms);
	if (!h2_is_ready(w->session)) {
		if (now >= w->deadline_ms) {
			wire_over(w, -ETIMEDOUT, "connected, but no HTTP/2 came in time");
			return;
		}
	} else if (quiet < w->silent_ms) {
		w->asked = w->graced = false;
	} else if (!w->asked) {
		w->asked = true;
		w->heard_ms = now - w->silent_ms; /* the answer gets its full time from now on */
		h2_ping(w->session);
	} else if (quiet >= 2ull * w->silent_ms) {
		if (w->graced) {
			char text[96];
			snprintf(text, sizeof text, "silent, also to a PING, for %u s",
				 (unsigned)(quiet / 1000));
			wire_over(w, -ETIMEDOUT, text);
			return;
		}
		w->graced = true;
		w->heard_ms = now - 2ull * w->silent_ms;
	}
	watch(w);
}

/* ---- connecting ---- */

static void try_next(struct wire *w);

static void attempt_closed(uv_handle_t *handle)
{
	struct wire *w = handle->data;
	if (w->stage == CONNECTING)
		try_next(w);
	handle_gone(w);
}

static void attempt_failed(struct wire *w, int rc)
{
	w->attempt_rc = rc;
	w->tcp_there = false;
	uv_close((uv_handle_t *)&w->tcp, attempt_closed);
}

static void is_open(struct wire *w)
{
	struct err err = ERR_INIT;
	int rc = uv_read_start((uv_stream_t *)&w->tcp, give_memory, received);
	uv_tcp_nodelay(&w->tcp, 1);
	w->heard_ms = loop_now_ms(w->loop);
	w->stage = w->tls ? HANDSHAKE : OPEN;
	if (rc == 0 && w->tls)
		rc = handshake(w, &err);
	if (rc < 0) {
		wire_over(w, rc, err_text(&err, rc));
		return;
	}
	flush_soon(w);
	watch(w);
}

static void connected(uv_connect_t *request, int status)
{
	struct wire *w = request->data;
	if (w->stage != CONNECTING || uv_is_closing((uv_handle_t *)&w->tcp))
		return;
	if (status < 0)
		attempt_failed(w, status);
	else
		is_open(w);
}

/* An address that does not answer must leave time for the others. */
static void attempt_deadline(struct wire *w)
{
	uint64_t now = loop_now_ms(w->loop), left = 0;
	for (struct addrinfo *a = w->next; a; a = a->ai_next)
		left++;
	uint64_t time = w->deadline_ms > now ? w->deadline_ms - now : 0;
	loop_timer_at(w->timer, now + time / (left + 1));
}

static void try_next(struct wire *w)
{
	struct addrinfo *a = w->next;
	if (!a) {
		wire_over(w, w->attempt_rc,
			  w->attempt_rc == -ETIMEDOUT ? "no connection in time"
						      : uv_strerror(w->attempt_rc));
		return;
	}
	w->next = a->ai_next;
	uv_tcp_init(loop_uv(w->loop), &w->tcp);
	w->tcp.data = w;
	w->tcp_there = true;
	w->handles++;
	w->connect.data = w;
	int rc = uv_tcp_connect(&w->connect, &w->tcp, a->ai_addr, connected);
	if (rc < 0)
		attempt_failed(w, rc);
	else
		attempt_deadline(w);
}

static void resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
	struct wire *w = request->data;
	if (w->stage != NAMES) {
		uv_freeaddrinfo(found);
		handle_gone(w);
		return;
	}
	w->stage = CONNECTING;
	w->addresses = w->next = found;
	if (status < 0)
		wire_over(w, -EHOSTUNREACH, uv_strerror(status));
	else
		try_next(w);
	handle_gone(w);
}

static void timer_due(void *arg)
{
	struct wire *w = arg;
	switch (w->stage) {
	case NAMES:
		wire_over(w, -ETIMEDOUT, "the name does not resolve in time");
		break;
	case CONNECTING:
		if (w->tcp_there)
			attempt_failed(w, -ETIMEDOUT);
		break;
	case HANDSHAKE:
	case OPEN:
		open_timer_due(w);
		break;
	case OVER:
		break;
	}
}

/* ---- opening ---- */

static void sessionless_freep(struct wire **w)
{
	if (!*w)
		return;
	tls_freep(&(*w)->tls);
	h2_freep(&(*w)->session);
	free(*w);
	*w = NULL;
}

static struct wire *wire_new(struct loop *l, const struct h2_options *o)
{
	struct wire *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->loop = l;
	w->port = o->port;
	w->silent_ms = o->silent_ms ? o->silent_ms : H2_SILENT_MS;
	w->deadline_ms = loop_now_ms(l) + (o->connect_ms ? o->connect_ms : H2_CONNECT_MS);
	w->out.size_max = TLS_OUT_MAX + OUT_MAX;
	snprintf(w->host, sizeof w->host, "%s", o->host);
	snprintf(w->label, sizeof w->label, strchr(w->host, ':') ? "[%s]:%u" : "%s:%u", w->host,
		 (unsigned)o->port);
	return w;
}

static int resolve(struct wire *w)
{
	char port[8];
	snprintf(port, sizeof port, "%u", (unsigned)w->port);
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	w->names.data = w;
	return uv_getaddrinfo(loop_uv(w->loop), &w->names, resolved, w->host, port, &hints);
}

int h2_open(struct loop *l, const struct h2_options *o, const struct h2_listener *to,
	    struct h2 **out, struct err *err)
{
	if (strlen(o->host) >= H2_HOST_MAX)
		return err_set(err, -EINVAL, "a host's name has up to %u bytes", H2_HOST_MAX - 1);
	AUTO(sessionless_freep) struct wire *w = wire_new(l, o);
	if (!w)
		return err_set(err, -ENOMEM, "no memory for a connection");
	const struct h2_carrier by = { w, flush_soon, user_closes };
	int rc = h2_new(w->label, o->tls, &by, to, &w->session);
	if (rc == 0 && o->tls && (rc = tls_client_new(w->host, o->ca_file, &w->tls, err)) < 0)
		return rc;
	if (rc == 0)
		rc = loop_timer_new(l, timer_due, w, &w->timer);
	if (rc < 0)
		return err_set(err, rc, "no memory for a connection");
	rc = resolve(w);
	if (rc < 0) {
		loop_timer_freep(&w->timer);
		return err_set(err, rc, "%s: %s", w->label, uv_strerror(rc));
	}
	uv_idle_init(loop_uv(l), &w->flush);
	w->flush.data = w;
	w->handles = 2; /* the name and the idle handle */
	loop_timer_at(w->timer, w->deadline_ms);
	*out = w->session;
	w = NULL;
	return 0;
}
