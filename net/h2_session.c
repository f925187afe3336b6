#include "net/h2_inside.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "core/base/trace.h"

#define FIELDS_MAX 16u

struct h2_stream {
	struct h2_stream *next;
	struct h2 *of;
	struct h2_stream_listener to; /* closed NULL: cancelled */
	int32_t id;
	int rc; /* why we end it ourselves; 0: the peer does */
	size_t header_size;
	size_t unread;     /* bytes of data that were not told to be consumed */
	struct slice body; /* what of the request was not sent; its own memory is behind */
	uint8_t bytes[];
};

struct h2 {
	struct h2_carrier by;
	struct h2_listener to;
	nghttp2_session *session;
	struct h2_stream *streams;
	const char *scheme;
	bool ready, over, closed;
	bool going;    /* GOAWAY came: nothing new is asked here */
	char why[256]; /* what the peer did wrong, or said when it went */
	char authority[];
};

static struct h2_stream **stream_at(struct h2 *c, int32_t id)
{
	struct h2_stream **at = &c->streams;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static struct h2_stream *stream_of(struct h2 *c, int32_t id)
{
	return *stream_at(c, id);
}

static bool stream_told(const struct h2_stream *s)
{
	return s && s->to.closed;
}

/* ---- what nghttp2 tells; nothing of it may send or receive ---- */

static int header_came(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		       size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		       void *arg)
{
	struct h2 *c = arg;
	struct h2_stream *s = stream_of(c, frame->hd.stream_id);
	if (!stream_told(s))
		return 0;
	s->header_size += name_size + value_size + 32; /* as RFC 9113 6.5.2 counts */
	if (s->header_size > H2_HEADERS_MAX) {
		s->rc = -EMSGSIZE;
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	s->to.header(s->to.arg, SLICE(name, name_size), SLICE(value, value_size));
	return 0;
}

static int data_came(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		     size_t size, void *arg)
{
	struct h2 *c = arg;
	struct h2_stream *s = stream_of(c, id);
	if (!stream_told(s)) {
		nghttp2_session_consume(session, id, size);
		c->by.wants_write(c->by.arg);
		return 0;
	}
	s->unread += size;
	s->to.data(s->to.arg, SLICE(data, size));
	return 0;
}

static int stream_closed(nghttp2_session *session, int32_t id, uint32_t error_code, void *arg)
{
	struct h2 *c = arg;
	struct h2_stream **at = stream_at(c, id), *s = *at;
	if (!s)
		return 0;
	*at = s->next;
	if (s->unread)
		nghttp2_session_consume_connection(session, s->unread);
	int rc = s->rc ? s->rc : error_code ? -ECONNRESET : 0;
	if (stream_told(s))
		s->to.closed(s->to.arg, rc, error_code);
	free(s);
	return 0;
}

static void goaway_came(struct h2 *c, const nghttp2_goaway *g)
{
	char said[128];
	trace_escape(said, sizeof said, (const char *)g->opaque_data, g->opaque_data_len);
	snprintf(c->why, sizeof c->why, "the peer closes the connection: %s%s%s",
		 nghttp2_http2_strerror(g->error_code), said[0] ? ": " : "", said);
	c->going = true;
}

static int frame_came(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2 *c = arg;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		goaway_came(c, &frame->goaway);
	if (frame->hd.type != NGHTTP2_SETTINGS || (frame->hd.flags & NGHTTP2_FLAG_ACK) || c->ready)
		return 0;
	c->ready = true;
	if (c->to.ready && !c->closed)
		c->to.ready(c->to.arg);
	return 0;
}

static int library_complained(nghttp2_session *session, int code, const char *text, size_t size,
			      void *arg)
{
	struct h2 *c = arg;
	trace_escape(c->why, sizeof c->why, text, size);
	return 0;
}

static int frame_was_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code,
			     void *arg)
{
	struct h2 *c = arg;
	if (!c->why[0])
		snprintf(c->why, sizeof c->why, "an invalid frame of type %u: %s",
			 (unsigned)frame->hd.type, nghttp2_strerror(code));
	return 0;
}

static ssize_t body_wanted(nghttp2_session *session, int32_t id, uint8_t *out, size_t size,
			   uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2_stream *s = stream_of(arg, id);
	size_t n = s ? MIN(size, s->body.n) : 0;
	if (n) {
		memcpy(out, s->body.p, n);
		s->body = slice_sub(s->body, n, s->body.n - n);
	}
	if (!s || !s->body.n)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* ---- a session ---- */

static int session_new(struct h2 *c)
{
	nghttp2_session_callbacks *calls = NULL;
	nghttp2_option *option = NULL;
	int rc = nghttp2_session_callbacks_new(&calls) ? -ENOMEM : 0;
	if (rc == 0)
		rc = nghttp2_option_new(&option) ? -ENOMEM : 0;
	if (rc == 0) {
		nghttp2_session_callbacks_set_on_header_callback(calls, header_came);
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, data_came);
		nghttp2_session_callbacks_set_on_stream_close_callback(calls, stream_closed);
		nghttp2_session_callbacks_set_on_frame_recv_callback(calls, frame_came);
		nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(calls,
									     frame_was_invalid);
		nghttp2_session_callbacks_set_error_callback2(calls, library_complained);
		nghttp2_option_set_no_auto_window_update(option, 1);
		nghttp2_option_set_no_closed_streams(option, 1);
		rc = nghttp2_session_client_new2(&c->session, calls, c, option) ? -ENOMEM : 0;
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(calls);
	return rc;
}

static int session_open(struct h2 *c)
{
	const nghttp2_settings_entry settings[] = {
		{ NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
		{ NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW },
		{ NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADERS_MAX },
	};
	if (nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ||
	    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
						  H2_CONNECTION_WINDOW))
		return -ENOMEM;
	return 0;
}

int h2_new(const char *authority, bool tls, const struct h2_carrier *by,
	   const struct h2_listener *to, struct h2 **out)
{
	size_t size = strlen(authority) + 1;
	struct h2 *c = calloc(1, sizeof *c + size);
	if (!c)
		return -ENOMEM;
	c->by = *by;
	c->to = *to;
	c->scheme = tls ? "https" : "http";
	memcpy(c->authority, authority, size);
	int rc = session_new(c);
	if (rc == 0)
		rc = session_open(c);
	if (rc < 0) {
		h2_freep(&c);
		return rc;
	}
	*out = c;
	return 0;
}

void h2_freep(struct h2 **out)
{
	struct h2 *c = *out;
	if (!c)
		return;
	nghttp2_session_del(c->session);
	for (struct h2_stream *s = c->streams, *next; s; s = next) {
		next = s->next;
		free(s);
	}
	free(c);
	*out = NULL;
}

/* A session that neither reads nor writes any more is at its end: an error of the protocol, or all
 * that there was has been answered after a GOAWAY. */
static int session_check(struct h2 *c, struct err *err)
{
	if (nghttp2_session_want_read(c->session) || nghttp2_session_want_write(c->session))
		return 0;
	return err_set(err, c->going ? -ESHUTDOWN : -EPROTO, "%s",
		       c->why[0] ? c->why : "the HTTP/2 connection came to its end");
}

int h2_feed(struct h2 *c, struct slice bytes, struct err *err)
{
	if (c->over || c->closed)
		return 0;
	ssize_t n = nghttp2_session_mem_recv(c->session, bytes.p, bytes.n);
	if (n < 0)
		return err_set(err, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO, "HTTP/2: %s",
			       c->why[0] ? c->why : nghttp2_strerror((int)n));
	c->by.wants_write(c->by.arg);
	return session_check(c, err);
}

int h2_take(struct h2 *c, struct slice *out, struct err *err)
{
	const uint8_t *p = NULL;
	*out = SLICE_EMPTY;
	if (c->over || c->closed)
		return 0;
	ssize_t n = nghttp2_session_mem_send(c->session, &p);
	if (n < 0)
		return err_set(err, n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO, "HTTP/2: %s",
			       nghttp2_strerror((int)n));
	*out = SLICE(p, (size_t)n);
	return n ? 0 : session_check(c, err);
}

void h2_ping(struct h2 *c)
{
	if (c->over || c->closed)
		return;
	/* Without memory for it the silence goes on, and is met as that. */
	if (nghttp2_submit_ping(c->session, NGHTTP2_FLAG_NONE, NULL) == 0)
		c->by.wants_write(c->by.arg);
}

bool h2_is_ready(const struct h2 *c)
{
	return c->ready;
}

void h2_over(struct h2 *c, int rc, const char *sentence)
{
	if (c->over)
		return;
	c->over = true;
	while (!c->closed && c->streams) {
		struct h2_stream *s = c->streams;
		c->streams = s->next;
		if (stream_told(s))
			s->to.closed(s->to.arg, rc < 0 ? rc : -ECONNRESET, 0);
		free(s);
	}
	if (!c->closed && c->to.ended)
		c->to.ended(c->to.arg, rc, sentence);
}

void h2_closep(struct h2 **out)
{
	struct h2 *c = *out;
	if (!c)
		return;
	*out = NULL;
	c->closed = true;
	for (struct h2_stream *s = c->streams; s; s = s->next)
		s->to = (struct h2_stream_listener){ 0 };
	c->by.close(c->by.arg);
}

/* ---- requests ---- */

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

int h2_post(struct h2 *c, const char *path, const struct h2_field *fields, size_t field_count,
	    struct slice body, const struct h2_stream_listener *to, struct h2_stream **out)
{
	assert(field_count <= FIELDS_MAX && to->closed && to->header && to->data);
	if (c->over || c->closed || c->going || !nghttp2_session_check_request_allowed(c->session))
		return -ENOTCONN;
	struct h2_stream *s = calloc(1, sizeof *s + body.n);
	if (!s)
		return -ENOMEM;
	s->of = c;
	s->to = *to;
	if (body.n)
		memcpy(s->bytes, body.p, body.n);
	s->body = SLICE(s->bytes, body.n);
	nghttp2_nv list[4 + FIELDS_MAX] = {
		field(":method", "POST"),
		field(":scheme", c->scheme),
		field(":path", path),
		field(":authority", c->authority),
	};
	for (size_t i = 0; i < field_count; i++)
		list[4 + i] = field(fields[i].name, fields[i].value);
	nghttp2_data_provider provider = { .read_callback = body_wanted };
	int32_t id = nghttp2_submit_request(c->session, NULL, list, 4 + field_count, &provider, s);
	if (id < 0) {
		free(s);
		return id == NGHTTP2_ERR_NOMEM ? -ENOMEM : -ENOTCONN;
	}
	s->id = id;
	s->next = c->streams;
	c->streams = s;
	*out = s;
	c->by.wants_write(c->by.arg);
	return 0;
}

void h2_consumed(struct h2_stream *s, size_t bytes)
{
	struct h2 *c = s->of;
	assert(bytes <= s->unread);
	s->unread -= bytes;
	if (c->over || c->closed)
		return;
	nghttp2_session_consume(c->session, s->id, bytes);
	c->by.wants_write(c->by.arg);
}

void h2_cancel(struct h2_stream *s)
{
	struct h2 *c = s->of;
	if (c->over) {
		struct h2_stream **at = stream_at(c, s->id);
		assert(*at == s);
		*at = s->next;
		free(s);
		return;
	}
	/* It goes when nghttp2 has let go of it; until then its data is thrown away. */
	s->to = (struct h2_stream_listener){ 0 };
	if (c->closed)
		return;
	if (s->unread)
		nghttp2_session_consume(c->session, s->id, s->unread);
	s->unread = 0;
	/* Without memory for it the stream comes to its own end unheard. */
	(void)nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
	c->by.wants_write(c->by.arg);
}
