#include "net/grpc.h"

#include <stdio.h>

#include "core/base/trace.h"

#define HEAD_SIZE     5u
#define FIRST_RESERVE (64u << 10)

struct grpc_call {
	struct h2_stream *stream; /* NULL: it has ended */
	struct loop_timer *timer;
	struct grpc_listener to;
	struct grpc_options options;
	bool inside; /* a callback of ours runs: memory waits for its end */
	bool gone;
	int http_status; /* 0: not told */
	int status;      /* of grpc; -1: not told */
	bool not_grpc;   /* content-type says so */
	char sentence[GRPC_SENTENCE_MAX];
	/* One message: (compressed byte, be32 size, bytes). */
	uint8_t head[HEAD_SIZE];
	size_t head_size;
	size_t left; /* of the message's bytes */
	uint64_t bytes;
	struct buf message;
};

const char *grpc_status_name(int status)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};
	return status >= 0 && (size_t)status < ARRAY_LEN(names) ? names[status] : "status";
}

/* ---- the end ---- */

static void call_free(struct grpc_call *c)
{
	buf_release(&c->message);
	free(c);
}

static void call_let_go(struct grpc_call *c)
{
	c->gone = true;
	loop_timer_freep(&c->timer);
	if (c->stream)
		h2_cancel(TAKE(c->stream));
	if (!c->inside)
		call_free(c);
}

static void call_end(struct grpc_call *c, int status, bool local, const char *sentence)
{
	if (c->gone)
		return;
	struct grpc_listener to = c->to;
	char text[GRPC_SENTENCE_MAX];
	snprintf(text, sizeof text, "%s", sentence);
	call_let_go(c);
	to.ended(to.arg, status, local, text);
}

void grpc_cancel(struct grpc_call **call)
{
	struct grpc_call *c = *call;
	if (!c)
		return;
	*call = NULL;
	if (!c->gone)
		call_let_go(c);
}

static void deadline(void *arg)
{
	struct grpc_call *c = arg;
	char text[64];
	snprintf(text, sizeof text, "no whole answer within %u ms",
		 (unsigned)c->options.timeout_ms);
	call_end(c, GRPC_DEADLINE_EXCEEDED, true, text);
}

/* ---- what comes ---- */

static bool is(struct slice name, const char *text)
{
	return slice_eq(name, slice_str(text));
}

static int hex_digit(uint8_t c)
{
	uint8_t v;
	const char two[2] = { '0', (char)c };
	return hex_get(two, 2, &v, 1) < 0 ? -1 : v;
}

/* %XX as gRPC writes what is not printable ASCII; what is no escape stands for itself. */
static void sentence_decode(struct grpc_call *c, struct slice value)
{
	uint8_t plain[GRPC_SENTENCE_MAX];
	size_t n = 0;
	for (size_t i = 0; i < value.n && n < sizeof plain; i++) {
		int high = -1, low = -1;
		if (value.p[i] == '%' && i + 2 < value.n) {
			high = hex_digit(value.p[i + 1]);
			low = hex_digit(value.p[i + 2]);
		}
		bool escape = high >= 0 && low >= 0;
		plain[n++] = escape ? (uint8_t)(high << 4 | low) : value.p[i];
		i += escape ? 2 : 0;
	}
	trace_escape(c->sentence, sizeof c->sentence, (const char *)plain, n);
}

static int number(struct slice value)
{
	uint64_t v;
	return dec_get((const char *)value.p, value.n, INT32_MAX, &v) < 0 ? GRPC_UNKNOWN : (int)v;
}

static void header(void *arg, struct slice name, struct slice value)
{
	struct grpc_call *c = arg;
	if (is(name, ":status"))
		c->http_status = number(value);
	else if (is(name, "content-type"))
		c->not_grpc = !slice_starts(value, slice_str("application/grpc"));
	else if (is(name, "grpc-status"))
		c->status = number(value);
	else if (is(name, "grpc-message"))
		sentence_decode(c, value);
}

static void message_bytes(struct grpc_call *c, struct slice part)
{
	c->left -= part.n;
	if (!c->left)
		c->head_size = 0;
	if (c->to.piece) {
		c->to.piece(c->to.arg, part, c->left);
		return;
	}
	buf_add(&c->message, part);
	if (buf_done(&c->message) < 0) {
		call_end(c, GRPC_RESOURCE_EXHAUSTED, true, "no memory for a message");
		return;
	}
	if (c->left)
		return;
	AUTO(buf_release) struct buf whole = c->message;
	c->message = (struct buf)BUF_INIT(c->options.message_max);
	c->to.message(c->to.arg, &whole);
}

static void message_begins(struct grpc_call *c)
{
	const struct grpc_options *o = &c->options;
	size_t size = get_be32(c->head + 1);
	char text[96];
	if (c->head[0]) {
		call_end(c, GRPC_INTERNAL, true,
			 c->head[0] == 1 ? "a compressed message, which nobody asked for"
					 : "frames that are not gRPC's");
		return;
	}
	if (size > o->message_max || (o->bytes_max && size > o->bytes_max - c->bytes)) {
		snprintf(text, sizeof text, "an answer over its bound of %" PRIu64 " bytes",
			 o->bytes_max && o->bytes_max < o->message_max ? o->bytes_max
								       : (uint64_t)o->message_max);
		call_end(c, GRPC_RESOURCE_EXHAUSTED, true, text);
		return;
	}
	c->bytes += size;
	c->left = size;
	/* A size is only a claim: room comes with the bytes. */
	if (!c->to.piece)
		(void)buf_reserve(&c->message, MIN(size, (size_t)FIRST_RESERVE));
	if (!size)
		message_bytes(c, SLICE_EMPTY);
}

static void data(void *arg, struct slice bytes)
{
	struct grpc_call *c = arg;
	h2_consumed(c->stream, bytes.n);
	c->inside = true;
	while (bytes.n && !c->gone) {
		size_t n = c->head_size < HEAD_SIZE ? HEAD_SIZE - c->head_size : c->left;
		n = MIN(n, bytes.n);
		struct slice part = slice_sub(bytes, 0, n);
		bytes = slice_sub(bytes, n, bytes.n - n);
		if (c->head_size == HEAD_SIZE) {
			message_bytes(c, part);
			continue;
		}
		memcpy(c->head + c->head_size, part.p, n);
		c->head_size += n;
		if (c->head_size == HEAD_SIZE)
			message_begins(c);
	}
	c->inside = false;
	if (c->gone)
		call_free(c);
}

/* What gRPC makes of an answer that is not its own (its specification of HTTP statuses). */
static int status_of_http(int status)
{
	switch (status) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

static void ended_properly(struct grpc_call *c)
{
	char text[96];
	if (c->http_status != 200 && c->status < 0) {
		snprintf(text, sizeof text, "HTTP status %d, no gRPC", c->http_status);
		call_end(c, status_of_http(c->http_status), true, text);
	} else if (c->status < 0) {
		call_end(c, c->not_grpc ? GRPC_UNKNOWN : GRPC_INTERNAL, true,
			 c->not_grpc ? "an answer that is no gRPC" : "an answer without a status");
	} else if (c->status == GRPC_OK && (c->head_size || c->not_grpc)) {
		call_end(c, GRPC_INTERNAL, true,
			 c->not_grpc ? "an answer that is no gRPC" : "an answer that is cut off");
	} else {
		call_end(c, c->status, false, c->sentence);
	}
}

static void ended_by_reset(struct grpc_call *c, uint32_t error_code)
{
	enum { REFUSED_STREAM = 7, CANCEL = 8, ENHANCE_YOUR_CALM = 11, INADEQUATE_SECURITY = 12 };
	char text[64];
	snprintf(text, sizeof text, "the stream was reset with HTTP/2 error %u",
		 (unsigned)error_code);
	call_end(c,
		 error_code == REFUSED_STREAM        ? GRPC_UNAVAILABLE
		 : error_code == CANCEL              ? GRPC_CANCELLED
		 : error_code == ENHANCE_YOUR_CALM   ? GRPC_RESOURCE_EXHAUSTED
		 : error_code == INADEQUATE_SECURITY ? GRPC_PERMISSION_DENIED
						     : GRPC_INTERNAL,
		 true, text);
}

static void closed(void *arg, int rc, uint32_t error_code)
{
	struct grpc_call *c = arg;
	c->stream = NULL;
	/* Only then: of a connection that ends amid the trailers the status may be half of one. */
	if (rc == 0)
		ended_properly(c);
	else if (rc == -ECONNRESET && error_code)
		ended_by_reset(c, error_code);
	else if (rc == -EMSGSIZE)
		call_end(c, GRPC_RESOURCE_EXHAUSTED, true, "a header list over its bound");
	else
		call_end(c, GRPC_UNAVAILABLE, true, "the connection ended");
}

/* ---- a call ---- */

static int request_send(struct grpc_call *c, struct h2 *h2, const char *path, struct slice request)
{
	/* No grpc-timeout: nodes count it to the first header only, and then say CANCELLED. */
	static const struct h2_field fields[] = {
		{ "content-type", "application/grpc" },
		{ "te", "trailers" },
		{ "user-agent", "chainfs/" CHAINFS_VERSION },
	};
	const struct h2_stream_listener to = { c, header, data, closed };
	AUTO(buf_release) struct buf body = BUF_INIT(HEAD_SIZE + request.n);
	buf_u8(&body, 0);
	buf_be32(&body, (uint32_t)request.n);
	buf_add(&body, request);
	int rc = buf_done(&body);
	return rc < 0 ? rc
		      : h2_post(h2, path, fields, ARRAY_LEN(fields), buf_slice(&body), &to,
				&c->stream);
}

int grpc_start(struct h2 *h2, struct loop *l, const char *path, struct slice request,
	       const struct grpc_options *o, const struct grpc_listener *to, struct grpc_call **out)
{
	assert(to->ended && (to->message || to->piece) && request.n <= UINT32_MAX);
	struct grpc_call *c = calloc(1, sizeof *c);
	if (!c)
		return -ENOMEM;
	c->to = *to;
	c->options = *o;
	c->status = -1;
	c->message = (struct buf)BUF_INIT(o->message_max);
	int rc = o->timeout_ms ? loop_timer_new(l, deadline, c, &c->timer) : 0;
	if (rc == 0)
		rc = request_send(c, h2, path, request);
	if (rc < 0) {
		loop_timer_freep(&c->timer);
		call_free(c);
		return rc;
	}
	if (c->timer)
		loop_timer_at(c->timer, loop_now_ms(l) + o->timeout_ms);
	*out = c;
	return 0;
}
