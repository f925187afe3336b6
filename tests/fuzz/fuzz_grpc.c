/* What a server sends: the first byte says how it is cut into reads, the rest is HTTP/2. Two calls
 * are out; each ends exactly once, whatever comes. Chunks of an answer are taken out of it, too,
 * and what they come to is no more than was asked for. */
#include "net/grpc.h"
#include "net/h2_inside.h"
#include "net/snapchain_calls.h"

#define MESSAGE_MAX 20000u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct call {
	struct grpc_call *call;
	unsigned ended;
	size_t bytes;
	struct splitter split;
};

static void message(void *arg, struct buf *m)
{
	struct call *c = arg;
	struct info info;
	uint32_t shard;
	uint64_t height;
	assert(!c->ended && m->n <= MESSAGE_MAX);
	c->bytes += m->n;
	(void)!info_read(buf_slice(m), &info, NULL);
	assert(!event_read(buf_slice(m), &shard, &height) || (shard < SHARD_MAX && height));
	block_height_of(buf_slice(m));
	buf_release(m);
}

static bool chunk(void *arg, struct buf *item)
{
	struct call *c = arg;
	assert(item->n <= MESSAGE_MAX);
	c->bytes += item->n;
	buf_release(item);
	return true;
}

static void piece(void *arg, struct slice part, size_t left)
{
	struct call *c = arg;
	assert(!c->ended);
	if (splitter_feed(&c->split, part, chunk, c) < 0)
		grpc_cancel(&c->call);
}

static void ended(void *arg, int status, bool local, const char *sentence)
{
	struct call *c = arg;
	assert(!c->ended && sentence);
	c->call = NULL;
	c->ended++;
}

static void nothing(void *arg)
{
}

static void over(void *arg, int rc, const char *sentence)
{
	++*(unsigned *)arg;
}

/* 0 while it goes on. */
static int take(struct h2 *h2)
{
	struct slice out;
	int rc;
	while ((rc = h2_take(h2, &out, NULL)) == 0 && out.n)
		;
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned overs = 0;
	const struct h2_carrier by = { NULL, nothing, nothing };
	const struct h2_listener to = { &overs, NULL, over };
	struct h2 *h2 = NULL;
	struct call calls[2] = { { .split = { .size_max = MESSAGE_MAX } },
				 { .split = { .size_max = MESSAGE_MAX } } };
	if (!size || h2_new("a:1", false, &by, &to, &h2) < 0)
		return 0;
	struct h2 *memory = h2;
	bool started[2] = { false, false };
	for (unsigned i = 0; i < 2; i++) {
		const struct grpc_options o = { .message_max = MESSAGE_MAX,
						.bytes_max = i ? 0 : 10 * MESSAGE_MAX };
		const struct grpc_listener l = { &calls[i], message, i ? piece : NULL, ended };
		started[i] = grpc_start(h2, NULL, "/a/b", SLICE_EMPTY, &o, &l, &calls[i].call) == 0;
	}
	size_t step = data[0] ? data[0] : SIZE_MAX;
	int rc = take(memory);
	for (struct slice rest = SLICE(data + 1, size - 1); rc == 0 && rest.n;) {
		struct slice part = slice_sub(rest, 0, step);
		rest = slice_sub(rest, part.n, rest.n - part.n);
		rc = h2_feed(memory, part, NULL);
		if (rc == 0)
			rc = take(memory);
	}
	h2_over(memory, -ECONNRESET, "over");
	assert(overs == 1 && calls[0].ended == started[0]);
	for (unsigned i = 0; i < 2; i++) {
		/* One that was taken back was told nothing more. */
		assert(!calls[i].call);
		splitter_release(&calls[i].split);
	}
	h2_closep(&h2);
	h2_freep(&memory);
	return 0;
}
