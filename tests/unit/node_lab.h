/* node_lab.h: a node for tests, in C: HTTP/2 on a socket of its own and a thread that serves one
 * connection after another, in cleartext or TLS. It holds blocks that say their height and are
 * otherwise filler, and does what a test orders: prunes, lags, falls silent, hangs up, refuses. */
#ifndef CHAINFS_TESTS_NODE_LAB_H
#define CHAINFS_TESTS_NODE_LAB_H

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/base.h"
#include "net/snapchain_calls.h"
#include "proto/wire.h"
#include "tests/support/support.h"

#define NODE_SHARDS 3

struct node {
	int listener;
	uint16_t port;
	pthread_t thread;
	atomic_bool end;
	bool tls, no_alpn;
	gnutls_certificate_credentials_t credentials;

	pthread_mutex_t node_lock; /* guards the rest; a leaf */
	uint64_t max[NODE_SHARDS], first[NODE_SHARDS];
	uint64_t told[NODE_SHARDS]; /* what GetInfo says, if not 0 */
	size_t filler;              /* bytes of a block besides its header */
	const char *version;
	unsigned hidden; /* answers about the newest height that are empty still */
	unsigned extra;  /* blocks over those asked for */
	bool silent;     /* reads, and answers nothing any more */
	bool hang_up, goaway, reset;
	int status;   /* of GetBlocks and GetShardChunks; 0: it answers */
	bool garbage; /* chunks that do not parse */
	uint64_t trie_records; /* of whatever node of its trie is asked for; 0: it tells none */
	unsigned asked, connections, events;
	uint64_t event[64][2]; /* (shard, height): told to who has subscribed */
	unsigned event_count;
	struct {
		uint32_t shard;
		uint64_t start, stop;
	} asks[256];
};

struct node_stream {
	struct node_stream *next;
	int32_t id;
	char path[96];
	struct buf in, out;
	size_t sent;
	bool open; /* a subscription: more will come */
	unsigned events_sent;
	int status;
	const char *sentence;
};

struct node_link { /* one connection */
	struct node *node;
	int fd;
	gnutls_session_t tls;
	nghttp2_session *session;
	struct node_stream *streams;
};

#define NODE_DOES(n, order)              \
	do {                             \
		LOCKED(&(n)->node_lock); \
		order;                   \
	} while (0)

#define NODE_HAS(n, field)               \
	__extension__({                  \
		LOCKED(&(n)->node_lock); \
		(n)->field;              \
	})

/* ---- what it answers ---- */

static inline void node_block(const struct node *n, uint32_t shard, uint64_t height,
			      struct buf *out)
{
	AUTO(buf_release) struct buf at = BUF_INIT(64), header = BUF_INIT(128);
	wire_put_varint(&at, 1, shard);
	wire_put_varint(&at, 2, height);
	wire_put_message(&header, 1, buf_slice(&at));
	wire_put_message(out, 1, buf_slice(&header));
	AUTO(base_freep) uint8_t *filler = malloc(n->filler + 1);
	memset(filler, (int)height & 0xff, n->filler);
	wire_put_bytes(out, 2, SLICE(filler, n->filler));
}

static inline void node_frame(struct buf *out, struct slice message)
{
	buf_u8(out, 0);
	buf_be32(out, (uint32_t)message.n);
	buf_add(out, message);
}

static inline void node_info(const struct node *n, struct node_stream *s)
{
	AUTO(buf_release) struct buf m = BUF_INIT(4096);
	wire_put_bytes(&m, 1, slice_str(n->version));
	wire_put_bytes(&m, 6, slice_str("12D3KooWtest"));
	wire_put_varint(&m, 8, NODE_SHARDS - 1);
	for (uint32_t i = 0; i < NODE_SHARDS; i++) {
		AUTO(buf_release) struct buf shard = BUF_INIT(64);
		wire_put_varint(&shard, 1, i);
		wire_put_varint(&shard, 2, n->told[i] ? n->told[i] : n->max[i]);
		wire_put_message(&m, 9, buf_slice(&shard));
	}
	node_frame(&s->out, buf_slice(&m));
}

static inline void node_blocks(struct node *n, struct node_stream *s, bool chunks)
{
	uint64_t shard = 0, start = 1, stop = UINT64_MAX;
	struct wire w = wire_of(SLICE(s->in.p + 5, s->in.n - 5));
	struct wire_field f;
	while (wire_next(&w, &f)) {
		shard = chunks && f.number == 1 ? f.value : shard;
		start = f.number == 2 ? f.value : start;
		stop = f.number == 3 ? f.value : stop;
	}
	if (n->asked < ARRAY_LEN(n->asks)) {
		n->asks[n->asked].shard = (uint32_t)shard;
		n->asks[n->asked].start = start;
		n->asks[n->asked].stop = stop;
	}
	n->asked++;
	if (n->status || shard >= NODE_SHARDS) {
		s->status = n->status ? n->status : GRPC_UNKNOWN;
		s->sentence = "refused%2c because \"of\" %C3%A4";
		return;
	}
	bool hide = n->hidden && start == n->max[shard];
	n->hidden -= hide;
	AUTO(buf_release) struct buf all = BUF_INIT(64u << 20);
	stop = MIN(stop, n->max[shard] + 1) + n->extra;
	for (uint64_t h = MAX(start, n->first[shard]); h < stop && !hide; h++) {
		AUTO(buf_release) struct buf block = BUF_INIT(16u << 20);
		node_block(n, (uint32_t)shard, h, &block);
		if (chunks)
			wire_put_message(&all, 1, buf_slice(&block));
		else
			node_frame(&s->out, buf_slice(&block));
	}
	if (chunks && n->garbage)
		buf_str(&all, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
	if (chunks)
		node_frame(&s->out, buf_slice(&all));
}

/* Events that were told since, to those who have subscribed. */
static inline bool node_events(struct node *n, struct node_stream *s)
{
	bool any = false;
	for (; s->open && s->events_sent < n->event_count; s->events_sent++) {
		const uint64_t *e = n->event[s->events_sent];
		AUTO(buf_release) struct buf body = BUF_INIT(64), m = BUF_INIT(128);
		wire_put_varint(&body, 1, e[1]);
		wire_put_varint(&body, 2, e[0]);
		wire_put_varint(&m, 1, 11);
		wire_put_message(&m, 16, buf_slice(&body));
		node_frame(&s->out, buf_slice(&m));
		any = true;
	}
	return any;
}

static inline void node_answer(struct node *n, struct node_stream *s)
{
	LOCKED(&n->node_lock);
	if (strcmp(s->path, CALL_GET_INFO) == 0) {
		node_info(n, s);
	} else if (strcmp(s->path, CALL_GET_BLOCKS) == 0 || strcmp(s->path, CALL_GET_CHUNKS) == 0) {
		node_blocks(n, s, strcmp(s->path, CALL_GET_CHUNKS) == 0);
	} else if (strcmp(s->path, CALL_SUBSCRIBE) == 0) {
		s->open = true;
		s->events_sent = n->event_count;
		n->events++;
	} else if (strcmp(s->path, CALL_TRIE) == 0 && n->trie_records) {
		AUTO(buf_release) struct buf m = BUF_INIT(128);
		wire_put_varint(&m, 2, n->trie_records);
		wire_put_bytes(&m, 3, slice_str("a1b2c3"));
		node_frame(&s->out, buf_slice(&m));
	} else {
		s->status = GRPC_UNIMPLEMENTED;
	}
}

/* ---- HTTP/2 ---- */

static inline struct node_stream *node_stream_of(struct node_link *l, int32_t id)
{
	struct node_stream *s = l->streams;
	while (s && s->id != id)
		s = s->next;
	return s;
}

static ssize_t node_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct node_stream *s = node_stream_of(arg, id);
	size_t n = MIN(size, s->out.n - s->sent);
	if (n)
		memcpy(out, s->out.p + s->sent, n);
	s->sent += n;
	if (s->sent < s->out.n)
		return (ssize_t)n;
	if (s->open)
		return n ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
	char status[12];
	snprintf(status, sizeof status, "%d", s->status);
	nghttp2_nv trailer = { (uint8_t *)(uintptr_t) "grpc-status", (uint8_t *)status, 11,
			       strlen(status), NGHTTP2_NV_FLAG_NONE };
	*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	nghttp2_submit_trailer(session, id, &trailer, 1);
	return (ssize_t)n;
}

static inline nghttp2_nv node_field(const char *name, const char *value)
{
	return (nghttp2_nv){ (uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			     strlen(value), NGHTTP2_NV_FLAG_NONE };
}

static inline void node_respond(struct node_link *l, struct node_stream *s)
{
	node_answer(l->node, s);
	if (NODE_HAS(l->node, reset)) {
		nghttp2_submit_rst_stream(l->session, 0, s->id, NGHTTP2_CANCEL);
		return;
	}
	char status[12];
	snprintf(status, sizeof status, "%d", s->status);
	nghttp2_nv fields[] = { node_field(":status", "200"),
				node_field("content-type", "application/grpc"),
				node_field("grpc-status", status),
				node_field("grpc-message", s->sentence ? s->sentence : "") };
	nghttp2_data_provider body = { .read_callback = node_body };
	nghttp2_submit_response(l->session, s->id, fields, s->status ? 4 : 2,
				s->status ? NULL : &body);
}

static int node_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		       size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
		       void *arg)
{
	struct node_link *l = arg;
	struct node_stream *s = node_stream_of(l, frame->hd.stream_id);
	if (!s) {
		s = calloc(1, sizeof *s);
		s->id = frame->hd.stream_id;
		s->in = (struct buf)BUF_INIT(1u << 20);
		s->out = (struct buf)BUF_INIT(128u << 20);
		s->next = l->streams;
		l->streams = s;
	}
	if (name_size == 5 && memcmp(name, ":path", 5) == 0)
		snprintf(s->path, sizeof s->path, "%.*s", (int)value_size, (const char *)value);
	return 0;
}

static int node_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		     size_t size, void *arg)
{
	buf_bytes(&node_stream_of(arg, id)->in, data, size);
	return 0;
}

static int node_frame_came(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct node_link *l = arg;
	if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
		node_respond(l, node_stream_of(l, frame->hd.stream_id));
	return 0;
}

static int node_stream_gone(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
	struct node_link *l = arg;
	struct node_stream **at = &l->streams;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	struct node_stream *s = *at;
	if (s) {
		*at = s->next;
		buf_release(&s->in);
		buf_release(&s->out);
		free(s);
	}
	return 0;
}

static ssize_t node_send(nghttp2_session *session, const uint8_t *data, size_t size, int flags,
			 void *arg)
{
	struct node_link *l = arg;
	ssize_t n = l->tls ? gnutls_record_send(l->tls, data, size)
			   : send(l->fd, data, size, MSG_NOSIGNAL);
	return n <= 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : n;
}

static inline bool node_order(struct node_link *l)
{
	struct node *n = l->node;
	LOCKED(&n->node_lock);
	if (n->hang_up) {
		n->hang_up = false;
		return false;
	}
	if (n->goaway) {
		n->goaway = false;
		nghttp2_session_terminate_session(l->session, NGHTTP2_NO_ERROR);
	}
	for (struct node_stream *s = l->streams; s; s = s->next)
		if (node_events(n, s))
			nghttp2_session_resume_data(l->session, s->id);
	return true;
}

static inline bool node_is_silent(struct node *n)
{
	LOCKED(&n->node_lock);
	return n->silent;
}

static inline bool node_step(struct node_link *l)
{
	uint8_t bytes[16384];
	struct pollfd p = { .fd = l->fd, .events = POLLIN };
	bool waiting = l->tls && gnutls_record_check_pending(l->tls);
	if (!node_order(l))
		return false;
	if (node_is_silent(l->node)) {
		poll(NULL, 0, 2);
		return true;
	}
	if (nghttp2_session_send(l->session) != 0)
		return false;
	if (!nghttp2_session_want_read(l->session) && !nghttp2_session_want_write(l->session))
		return false;
	if (!waiting && poll(&p, 1, 2) <= 0)
		return true;
	ssize_t n = l->tls ? gnutls_record_recv(l->tls, bytes, sizeof bytes)
			   : recv(l->fd, bytes, sizeof bytes, 0);
	return n > 0 && nghttp2_session_mem_recv(l->session, bytes, (size_t)n) == n;
}

static inline bool node_hand_shake(struct node_link *l)
{
	static const gnutls_datum_t h2 = { (unsigned char *)(uintptr_t) "h2", 2 };
	gnutls_init(&l->tls, GNUTLS_SERVER);
	gnutls_set_default_priority(l->tls);
	gnutls_credentials_set(l->tls, GNUTLS_CRD_CERTIFICATE, l->node->credentials);
	if (!l->node->no_alpn)
		gnutls_alpn_set_protocols(l->tls, &h2, 1, 0);
	gnutls_transport_set_int(l->tls, l->fd);
	int rc;
	do {
		rc = gnutls_handshake(l->tls);
	} while (rc < 0 && !gnutls_error_is_fatal(rc));
	return rc == 0;
}

static inline void node_serve(struct node *n, int fd)
{
	struct node_link l = { .node = n, .fd = fd };
	nghttp2_session_callbacks *calls;
	nghttp2_session_callbacks_new(&calls);
	nghttp2_session_callbacks_set_on_header_callback(calls, node_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(calls, node_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(calls, node_frame_came);
	nghttp2_session_callbacks_set_on_stream_close_callback(calls, node_stream_gone);
	nghttp2_session_callbacks_set_send_callback(calls, node_send);
	nghttp2_session_server_new(&l.session, calls, &l);
	nghttp2_session_callbacks_del(calls);
	if (!n->tls || node_hand_shake(&l)) {
		nghttp2_submit_settings(l.session, 0, NULL, 0);
		while (!atomic_load(&n->end) && node_step(&l))
			;
	}
	nghttp2_session_del(l.session);
	while (l.streams)
		node_stream_gone(NULL, l.streams->id, 0, &l);
	if (l.tls)
		gnutls_deinit(l.tls);
}

static void *node_thread(void *arg)
{
	struct node *n = arg;
	while (!atomic_load(&n->end)) {
		struct pollfd p = { .fd = n->listener, .events = POLLIN };
		if (poll(&p, 1, 5) <= 0)
			continue;
		AUTO(base_closep) int fd = accept(n->listener, NULL, NULL);
		if (fd < 0)
			continue;
		pthread_mutex_lock(&n->node_lock);
		n->connections++;
		pthread_mutex_unlock(&n->node_lock);
		node_serve(n, fd);
	}
	return NULL;
}

static inline void node_listen(struct node *n)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(n->port) };
	socklen_t size = sizeof at;
	int one = 1;
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	n->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(n->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	assert_int_equal(bind(n->listener, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(n->listener, 8), 0);
	assert_int_equal(getsockname(n->listener, (struct sockaddr *)&at, &size), 0);
	n->port = ntohs(at.sin_port);
}

static inline void node_init(struct node *n, uint64_t max)
{
	*n = (struct node){ .version = "0.14.2", .filler = 100 };
	for (int i = 0; i < NODE_SHARDS; i++) {
		n->max[i] = max;
		n->first[i] = 1;
	}
	pthread_mutex_init(&n->node_lock, NULL);
	node_listen(n);
}

static inline void node_start(struct node *n)
{
	atomic_store(&n->end, false);
	assert_int_equal(pthread_create(&n->thread, NULL, node_thread, n), 0);
}

static inline void node_release(struct node *n)
{
	atomic_store(&n->end, true);
	pthread_join(n->thread, NULL);
	close(n->listener);
	if (n->credentials)
		gnutls_certificate_free_credentials(n->credentials);
	pthread_mutex_destroy(&n->node_lock);
}

#endif
