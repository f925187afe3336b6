#include "fs/connection/journal.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "fs/connection/opcodes.h"
#include "fs/connection/wire.h"

#define TRIES_MAX 3u

static_assert(KEEP_REQUEST_SIZE % 64 == 0, "a place ends where a line of the cache does");

static _Thread_local struct {
	struct keep_connection *connection;
	const uint8_t *request;
	struct keep_parked *parked; /* it lies there, from before or by now */
} under_way;

/* The length of a request comes first, and is 0 where there is none. */
static uint32_t length(const uint8_t *bytes)
{
	return __atomic_load_n((const uint32_t *)(const void *)bytes, __ATOMIC_ACQUIRE);
}

static void strike(uint8_t *bytes)
{
	__atomic_store_n((uint32_t *)(void *)bytes, 0, __ATOMIC_RELEASE);
}

static struct fuse_in_header head_of(const void *bytes)
{
	struct fuse_in_header head;

	memcpy(&head, bytes, sizeof head);
	return head;
}

static bool has_no_answer(uint32_t opcode)
{
	return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

/* ---- taking ---- */

void journal_prepare(struct keep_connection *c, unsigned thread)
{
	volatile uint8_t *at = c->requests[thread].bytes;

	for (size_t i = 0; i < sizeof c->requests[thread]; i += 4096)
		at[i] = at[i];
	/* Whoever may not lock memory has it swapped at worst, which is seldom and brief. */
	if (mlock(&c->requests[thread], sizeof c->requests[thread]) < 0)
		trace_debug("fs", "the journal may be swapped", "errno=%d", errno);
}

static void keep_init(struct keep_connection *c, const void *bytes, size_t size)
{
	if (size <= sizeof c->init && !atomic_load(&c->init_size)) {
		memcpy(c->init, bytes, size);
		atomic_store(&c->init_size, (uint32_t)size);
	}
}

ssize_t journal_take(struct keep_connection *c, unsigned thread, int fd, void *bytes, size_t size)
{
	struct keep_request *r = &c->requests[thread];
	struct iovec parts[2] = { { r->bytes, sizeof r->bytes },
				  { (uint8_t *)bytes + sizeof r->bytes, size - sizeof r->bytes } };

	r->tries = 0;
	ssize_t n = readv(fd, parts, 2);

	if (n < 0) {
		int rc = errno == ENODEV ? 0 : -errno;

		strike(r->bytes); /* it may have been copied in part; its asker got an error */
		return rc;
	}
	if ((size_t)n < sizeof(struct fuse_in_header))
		return -EIO;
	memcpy(bytes, r->bytes, MIN((size_t)n, sizeof r->bytes));
	struct fuse_in_header head = head_of(bytes);

	if (head.opcode == FUSE_INIT)
		keep_init(c, bytes, (size_t)n);
	if (head.opcode == FUSE_FORGET || head.opcode == FUSE_BATCH_FORGET)
		strike(r->bytes);
	return n;
}

void journal_begin(struct keep_connection *c, unsigned thread)
{
	under_way.connection = c;
	under_way.request = c->requests[thread].bytes;
	under_way.parked = NULL;
}

void journal_end(struct keep_connection *c, unsigned thread)
{
	strike(c->requests[thread].bytes);
	under_way.request = NULL;
}

const void *journal_request(void)
{
	return under_way.request;
}

uint64_t journal_unique(void)
{
	return under_way.request ? head_of(under_way.request).unique : 0;
}

/* ---- parking ---- */

struct keep_parked *journal_park(void)
{
	struct keep_connection *c = under_way.connection;

	if (under_way.parked || !under_way.request)
		return under_way.parked;
	uint32_t size = length(under_way.request);

	if (size == 0 || size > KEEP_PARKED_SIZE)
		return NULL;
	for (size_t i = 0; i < KEEP_PARKED_MAX; i++) {
		uint32_t free_one = 0;

		/* 2: taken, and not written down yet. */
		if (!atomic_compare_exchange_strong(&c->parked[i].used, &free_one, 2))
			continue;
		memcpy(c->parked[i].bytes, under_way.request, size);
		c->parked[i].tries = 0;
		atomic_store(&c->parked[i].used, 1);
		return under_way.parked = &c->parked[i];
	}
	return NULL;
}

void journal_unpark(struct keep_parked *p)
{
	if (p)
		atomic_store(&p->used, 0);
}

/* ---- answering what the one before us left ---- */

struct left { /* a request, copied: its place gets the next one while others are still replayed */
	uint8_t *bytes; /* where it is written down */
	uint32_t *tries;
	struct keep_parked *parked;
	uint64_t unique;
};

static void refuse(struct fuse_session *session, uint64_t unique)
{
	struct fuse_out_header out = { .len = sizeof out, .error = -EIO, .unique = unique };

	trace_error("fs", "a request that kills whoever answers it is refused", "unique=%" PRIu64,
		    unique);
	if (write(fuse_session_fd(session), &out, sizeof out) < 0)
		trace_debug("fs", "nobody waits for it", "errno=%d", errno);
}

static void replay(struct keep_connection *c, const struct left *l, struct fuse_session *session)
{
	uint8_t copy[KEEP_REQUEST_SIZE];
	uint32_t size = length(l->bytes);

	if (++*l->tries > TRIES_MAX || size > sizeof copy || size < sizeof(struct fuse_in_header)) {
		refuse(session, l->unique);
	} else {
		memcpy(copy, l->bytes, size);
		opcodes_seen(copy, size);
		under_way.connection = c;
		under_way.request = copy;
		under_way.parked = l->parked;
		fuse_session_process_buf(session, &(struct fuse_buf){ .mem = copy, .size = size });
		under_way.request = NULL;
	}
	if (!l->parked)
		strike(l->bytes);
	else if (*l->tries > TRIES_MAX)
		journal_unpark(l->parked);
}

static int by_unique(const void *a, const void *b)
{
	const struct left *x = a, *y = b;

	return x->unique < y->unique ? -1 : x->unique > y->unique;
}

static bool is_parked(const struct keep_connection *c, uint64_t unique)
{
	for (size_t i = 0; i < KEEP_PARKED_MAX; i++)
		if (atomic_load(&c->parked[i].used) == 1 &&
		    head_of(c->parked[i].bytes).unique == unique)
			return true;
	return false;
}

/* In the order of asking. Whoever was interrupted is told of last: by then it is under way
 * again. */
static size_t collect(struct keep_connection *c, struct left *out, size_t out_max, bool interrupts)
{
	size_t count = 0;

	for (size_t i = 0; i < KEEP_PARKED_MAX && !interrupts; i++) {
		struct keep_parked *p = &c->parked[i];

		if (atomic_load(&p->used) == 2)
			journal_unpark(p); /* its place as a request still has it */
		if (atomic_load(&p->used) && count < out_max)
			out[count++] =
				(struct left){ p->bytes, &p->tries, p, head_of(p->bytes).unique };
	}
	for (size_t i = 0; i < TRANSPORT_THREADS_MAX && count < out_max; i++) {
		struct keep_request *r = &c->requests[i];

		if (length(r->bytes) == 0)
			continue;
		struct fuse_in_header head = head_of(r->bytes);

		if (head.opcode == FUSE_INIT) {
			keep_init(c, r->bytes, MIN(head.len, sizeof r->bytes));
			strike(r->bytes);
		} else if (has_no_answer(head.opcode) && head.opcode != FUSE_INTERRUPT) {
			strike(r->bytes);
		} else if (!interrupts && is_parked(c, head.unique)) {
			strike(r->bytes);
		} else if ((head.opcode == FUSE_INTERRUPT) == interrupts) {
			out[count++] = (struct left){ r->bytes, &r->tries, NULL, head.unique };
		}
	}
	qsort(out, count, sizeof *out, by_unique);
	return count;
}

unsigned journal_replay(struct keep_connection *c, struct fuse_session *session, struct wire *wire)
{
	static const size_t left_max = KEEP_PARKED_MAX + TRANSPORT_THREADS_MAX;
	AUTO(base_freep) struct left *left = calloc(left_max, sizeof *left);
	uint8_t init[KEEP_INIT_SIZE];

	if (!left)
		return 0;
	size_t count = collect(c, left, left_max, false);
	uint32_t init_size = atomic_load(&c->init_size);

	if (!init_size)
		return 0;
	memcpy(init, c->init, sizeof init);
	wire_asked(wire, init, init_size);
	under_way.request = NULL;
	fuse_session_process_buf(session, &(struct fuse_buf){ .mem = init, .size = init_size });
	for (size_t i = 0; i < count; i++)
		replay(c, &left[i], session);
	unsigned answered = (unsigned)count;

	count = collect(c, left, left_max, true);
	for (size_t i = 0; i < count; i++)
		replay(c, &left[i], session);
	return answered;
}
