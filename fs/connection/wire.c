#include "fs/connection/wire.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/trace.h"

#define WIRES_MAX 16u /* connections of a process that wish for something */

/* Places of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
#define IN_HEAD_SIZE       40u
#define IN_OPCODE          4u
#define IN_UNIQUE          8u
#define OPCODE_INIT        26u
#define IN_FLAGS           (IN_HEAD_SIZE + 12)
#define IN_FLAGS2          (IN_HEAD_SIZE + 16)
#define OUT_HEAD_SIZE      16u
#define OUT_ERROR          4u
#define OUT_UNIQUE         8u
#define OUT_FLAGS          12u /* behind the head from here on */
#define OUT_MAX_WRITE      20u
#define OUT_MAX_PAGES      28u /* 16 bits */
#define OUT_FLAGS2         32u
#define OUT_STACK_DEPTH    36u
#define OUT_SIZE           64u
#define PAGE               4096u
#define FLAGS_PARALLEL     (1u << 18)
#define FLAGS_EXT          (1u << 30) /* flags2 counts */
#define FLAGS2_PASSTHROUGH (1u << 5)
#define FLAGS2_URING       (1u << 9)

struct wire {
	int fd;
	struct wire_bits wished, agreed;
	atomic_bool init_seen, init_answered;
	uint64_t init_unique;
	uint32_t offered, offered2;

	void (*on_agreed)(void *arg, struct wire_bits what);
	void *on_agreed_arg;
	int (*take)(void *arg, uint64_t unique, const struct iovec *parts, int count);
	void *take_arg;
};

/* libfuse hands on what the handlers were given, and the descriptor: by that we know our own. */
static _Atomic(struct wire *) wires[WIRES_MAX];

static struct wire *find(int fd)
{
	for (size_t i = 0; i < WIRES_MAX; i++) {
		struct wire *w = atomic_load_explicit(&wires[i], memory_order_acquire);

		if (w && w->fd == fd)
			return w;
	}
	return NULL;
}

static uint32_t get32(const uint8_t *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static uint64_t get64(const uint8_t *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof v);
	return v;
}

static void put16(uint8_t *at, uint16_t v)
{
	memcpy(at, &v, sizeof v);
}

static void put32(uint8_t *at, uint32_t v)
{
	memcpy(at, &v, sizeof v);
}

/* ---- INIT ---- */

void wire_asked(struct wire *w, const void *request, size_t size)
{
	const uint8_t *in = request;

	if (!w || atomic_load_explicit(&w->init_seen, memory_order_relaxed) ||
	    size < IN_HEAD_SIZE || get32(in + IN_OPCODE) != OPCODE_INIT)
		return;
	w->init_unique = get64(in + IN_UNIQUE);
	if (size >= IN_FLAGS + 4)
		w->offered = get32(in + IN_FLAGS);
	if (size >= IN_FLAGS2 + 4 && (get32(in + IN_FLAGS) & FLAGS_EXT))
		w->offered2 = get32(in + IN_FLAGS2);
	atomic_store(&w->init_seen, true);
}

static bool answers_init(const struct wire *w, const uint8_t *head)
{
	return !atomic_load_explicit(&w->init_answered, memory_order_acquire) &&
	       atomic_load(&w->init_seen) && get64(head + OUT_UNIQUE) == w->init_unique;
}

static ssize_t answer_init(struct wire *w, const struct iovec *parts, int count)
{
	uint8_t body[OUT_SIZE];
	struct iovec changed[2] = { parts[0], { body, sizeof body } };

	/* An error; or a protocol so old that its reply has no room for what we wish. */
	if (count != 2 || parts[1].iov_len != sizeof body ||
	    get32((const uint8_t *)parts[0].iov_base + OUT_ERROR) != 0)
		return writev(w->fd, parts, count);
	struct wire_bits got = {
		.parallel = w->wished.parallel && (w->offered & FLAGS_PARALLEL),
		.uring = w->wished.uring && (w->offered2 & FLAGS2_URING),
		.payload_max = w->wished.payload_max,
		.stack_depth = w->offered2 & FLAGS2_PASSTHROUGH ? w->wished.stack_depth : 0,
	};

	memcpy(body, parts[1].iov_base, sizeof body);
	uint32_t flags2 = get32(body + OUT_FLAGS) & FLAGS_EXT ? get32(body + OUT_FLAGS2) : 0;

	if (got.uring) {
		flags2 |= FLAGS2_URING;
		put32(body + OUT_MAX_WRITE, got.payload_max);
		put16(body + OUT_MAX_PAGES, (uint16_t)(got.payload_max / PAGE));
	}
	if (got.stack_depth) {
		flags2 |= FLAGS2_PASSTHROUGH;
		put32(body + OUT_STACK_DEPTH, got.stack_depth);
	}
	put32(body + OUT_FLAGS, get32(body + OUT_FLAGS) | (flags2 ? FLAGS_EXT : 0) |
					(got.parallel ? FLAGS_PARALLEL : 0));
	put32(body + OUT_FLAGS2, flags2);
	w->agreed = got;
	/* The kernel refuses an answer to what it has long been answered, when INIT is replayed:
	 * what was agreed on then is the same. */
	ssize_t n = writev(w->fd, changed, 2);
	int error = errno;

	if (n < 0 && error != ENOENT)
		w->agreed = (struct wire_bits){ .parallel = false };
	atomic_store_explicit(&w->init_answered, true, memory_order_release);
	if (w->on_agreed)
		w->on_agreed(w->on_agreed_arg, w->agreed);
	errno = error;
	return n;
}

bool wire_agreed(struct wire *w, struct wire_bits *out)
{
	bool answered = atomic_load_explicit(&w->init_answered, memory_order_acquire);

	*out = answered ? w->agreed : (struct wire_bits){ .parallel = false };
	return answered;
}

/* ---- what libfuse calls ---- */

static ssize_t on_writev(int fd, struct iovec *parts, int count, void *user)
{
	struct wire *w = find(fd);
	const uint8_t *head = count > 0 ? parts[0].iov_base : NULL;

	if (!w || !head || parts[0].iov_len < OUT_HEAD_SIZE)
		return writev(fd, parts, count);
	uint64_t unique = get64(head + OUT_UNIQUE);

	if (unique && answers_init(w, head))
		return answer_init(w, parts, count);
	int rc = unique && w->take ? w->take(w->take_arg, unique, parts, count) : 0;

	if (rc < 0) {
		errno = -rc;
		return -1;
	}
	if (rc == 0)
		return writev(fd, parts, count);
	ssize_t n = 0;

	for (int i = 0; i < count; i++)
		n += (ssize_t)parts[i].iov_len;
	return n;
}

static ssize_t on_read(int fd, void *bytes, size_t size, void *user)
{
	return read(fd, bytes, size);
}

/* ---- the contract ---- */

void wire_wish(struct wire *w, struct wire_bits wished)
{
	w->wished = wished;
}

void wire_on_agreed(struct wire *w, void (*agreed)(void *arg, struct wire_bits what), void *arg)
{
	w->on_agreed = agreed;
	w->on_agreed_arg = arg;
}

void wire_on_reply(struct wire *w,
		   int (*take)(void *arg, uint64_t unique, const struct iovec *parts, int count),
		   void *arg)
{
	w->take = take;
	w->take_arg = arg;
}

int wire_attach(struct fuse_session *session, struct wire_bits wished, struct wire **out,
		struct err *err)
{
	static const struct fuse_custom_io io = { .writev = on_writev, .read = on_read };
	AUTO(base_freep) struct wire *w = calloc(1, sizeof *w);

	if (!w)
		return err_set(err, -ENOMEM, "no memory for the mount");
	w->fd = fuse_session_fd(session);
	w->wished = wished;
	int rc = fuse_session_custom_io(session, &io, w->fd);

	if (rc < 0)
		return err_set(err, rc, "libfuse takes no input and output of ours: %s",
			       strerror(-rc));
	for (size_t i = 0; i < WIRES_MAX; i++) {
		struct wire *none = NULL;

		if (atomic_compare_exchange_strong(&wires[i], &none, w)) {
			*out = TAKE(w);
			return 0;
		}
	}
	return err_set(err, -EMFILE, "too many mounts in one process");
}

void wire_detachp(struct wire **at)
{
	struct wire *w = TAKE(*at);

	for (size_t i = 0; w && i < WIRES_MAX; i++) {
		struct wire *own = w;

		atomic_compare_exchange_strong(&wires[i], &own, NULL);
	}
	free(w);
}
