/* h2_lab.h: an HTTP/2 connection without a socket, fed by the test: what a server sent in a
 * recording, whole or in parts; and the calls on it, each of which must end exactly once. */
#ifndef CHAINFS_TESTS_H2_LAB_H
#define CHAINFS_TESTS_H2_LAB_H

#include <stdio.h>
#include <zstd.h>

#include "net/grpc.h"
#include "net/h2_inside.h"
#include "tests/support/support.h"

#define LAB_H2 "tests/vectors/devnet-r/h2/"

struct lab_call {
	struct grpc_call *call;
	unsigned ended, messages;
	int status;
	bool local;
	char sentence[GRPC_SENTENCE_MAX];
	struct buf all; /* messages, each behind its size as a varint */
	uint64_t first_size;
	unsigned cancel_at; /* the message within which it cancels itself; 0: never */
	bool pieces, in_piece;
	struct buf piece;
};

struct lab {
	struct h2 *h2, *h2_memory;
	unsigned ready, over;
	bool closed;
	int rc;
	char sentence[ERR_TEXT_SIZE];
};

static void lab_message(void *arg, struct buf *m)
{
	struct lab_call *c = arg;
	assert_int_equal(c->ended, 0);
	buf_blob(&c->all, buf_slice(m));
	buf_release(m);
	if (++c->messages == c->cancel_at)
		grpc_cancel(&c->call);
}

static void lab_piece(void *arg, struct slice part, size_t left)
{
	struct lab_call *c = arg;
	buf_add(&c->piece, part);
	if (left)
		return;
	buf_blob(&c->all, buf_slice(&c->piece));
	buf_clear(&c->piece);
	c->messages++;
}

static void lab_ended(void *arg, int status, bool local, const char *sentence)
{
	struct lab_call *c = arg;
	c->call = NULL;
	c->ended++;
	c->status = status;
	c->local = local;
	snprintf(c->sentence, sizeof c->sentence, "%s", sentence);
}

static inline void lab_call_init(struct lab_call *c)
{
	*c = (struct lab_call){ .all = BUF_INIT(16u << 20), .piece = BUF_INIT(16u << 20) };
}

static inline void lab_call_release(struct lab_call *c)
{
	buf_release(&c->all);
	buf_release(&c->piece);
}

static inline int lab_start(struct lab *l, struct lab_call *c, const char *path,
			    struct slice request, size_t message_max, uint64_t bytes_max)
{
	const struct grpc_options o = { .message_max = message_max, .bytes_max = bytes_max };
	const struct grpc_listener to = { c, lab_message, c->pieces ? lab_piece : NULL, lab_ended };
	return grpc_start(l->h2, NULL, path, request, &o, &to, &c->call);
}

static void lab_wants_write(void *arg)
{
}

static void lab_close(void *arg)
{
	struct lab *l = arg;
	l->closed = true;
}

static void lab_is_ready(void *arg)
{
	struct lab *l = arg;
	l->ready++;
}

static void lab_is_over(void *arg, int rc, const char *sentence)
{
	struct lab *l = arg;
	l->over++;
	l->rc = rc;
	snprintf(l->sentence, sizeof l->sentence, "%s", sentence);
}

static inline int lab_open(struct lab *l)
{
	*l = (struct lab){ 0 };
	const struct h2_carrier by = { l, lab_wants_write, lab_close };
	const struct h2_listener to = { l, lab_is_ready, lab_is_over };
	int rc = h2_new("127.0.0.1:3383", false, &by, &to, &l->h2);
	l->h2_memory = l->h2;
	return rc;
}

/* Throws away what we would send. */
static inline int lab_take(struct lab *l, size_t *total)
{
	struct slice part;
	int rc;
	while ((rc = h2_take(l->h2_memory, &part, NULL)) == 0 && part.n)
		*total += part.n;
	return rc;
}

/* The server's bytes, and then its end. */
static inline void lab_feed(struct lab *l, struct slice bytes, size_t step)
{
	struct err err = ERR_INIT;
	size_t sent = 0;
	int rc = lab_take(l, &sent);
	while (rc == 0 && bytes.n && !l->closed) {
		struct slice part = slice_sub(bytes, 0, step);
		bytes = slice_sub(bytes, part.n, bytes.n - part.n);
		rc = h2_feed(l->h2_memory, part, &err);
		if (rc == 0)
			rc = lab_take(l, &sent);
	}
	if (rc < 0)
		h2_over(l->h2_memory, rc, err_text(&err, rc));
}

static inline void lab_end(struct lab *l)
{
	h2_over(l->h2_memory, -ECONNRESET, "the peer ended the connection");
}

static inline void lab_release(struct lab *l)
{
	h2_closep(&l->h2);
	h2_freep(&l->h2_memory);
}

/* ---- recordings: ('S', 'C' or 'E'; u64be microseconds; u32be size; bytes) ---- */

static inline struct buf lab_unpack(const char *name)
{
	char path[256];
	size_t size;
	snprintf(path, sizeof path, LAB_H2 "%s.cap.zst", name);
	uint8_t *packed = file_read(path, &size);
	unsigned long long plain = ZSTD_getFrameContentSize(packed, size);
	struct buf out = BUF_INIT(4u << 20);
	/* Of a stream the size is not known before. */
	size_t room = plain == ZSTD_CONTENTSIZE_UNKNOWN ? 4u << 20 : (size_t)plain;
	assert_int_equal(buf_reserve(&out, room), 0);
	size_t n = ZSTD_decompress(out.p, room, packed, size);
	assert_false(ZSTD_isError(n));
	out.n = n;
	free(packed);
	return out;
}

/* Everything one side sent; *end: that it then ended the connection. */
static inline struct buf lab_side(const char *name, char side, bool *end)
{
	AUTO(buf_release) struct buf file = lab_unpack(name);
	struct buf out = BUF_INIT(4u << 20);
	struct rd r = rd_of(buf_slice(&file));
	*end = false;
	while (rd_left(&r)) {
		char kind = (char)rd_u8(&r);
		rd_be64(&r);
		struct slice bytes = rd_bytes(&r, rd_be32(&r));
		if (kind == side)
			buf_add(&out, bytes);
		*end = *end || kind == 'E';
	}
	assert_int_equal(rd_done(&r), 0);
	assert_int_equal(buf_done(&out), 0);
	return out;
}

#endif
