/* The io_uring transport: the kernel hands requests over through rings, one queue a processor, and
 * takes the answer and gives the next request in one system call, on the processor of who asks.
 *
 * Each queue has a few threads, each with a ring and a single entry of its own. An entry is a place
 * for one request, so who is blocked in it holds up nobody but its own; the kernel gives a request
 * to the entry that became free last, so that the others sleep as long as one is enough. More
 * entries in one ring would queue requests behind a blocked one and gain nothing.
 *
 * INIT, FORGET and INTERRUPT still come through /dev/fuse: a classic transport with one thread
 * reads them, and serves everything when the kernel does not agree to rings. It begins to use them
 * when all queues have an entry, and lets nobody ask before; so whatever can fail is prepared
 * before INIT is answered. What it has put into a queue by then is not given to an entry that comes
 * later, but waits for an answer of an earlier one: so a queue gets all its entries before the last
 * queue gets its first one. When it refuses an entry, it gives up rings for this connection. */
#define FUSE_USE_VERSION 314

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/files.h"
#include "core/base/trace.h"
#include "fs/connection/opcodes.h"
#include "fs/connection/transport.h"
#include "fs/connection/wire.h"

#define SWITCH     "/sys/module/fuse/parameters/enable_uring"
#define POSSIBLE   "/sys/devices/system/cpu/possible"
#define QUEUES_MAX 4096u
#define RING_FLAGS                                                                      \
	(IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | \
	 IORING_SETUP_DEFER_TASKRUN)
#define RING_SIZE 4u /* the entry's command, the poll for a wake-up, and as many again */
#define CLASSIC   1u /* threads that read what comes by no ring */

/* Few processors have few entries, and a blocked request weighs more there. */
#define THREADS_A_QUEUE(queues) ((queues) > 8 ? 2u : 4u)
#define THREADS_A_QUEUE_MAX     16u

/* The kernel's side of a ring, from its linux/fuse.h, which is newer than the one installed. */
enum { COMMAND_REGISTER = 1, COMMAND_COMMIT_AND_FETCH = 2 };

struct command {
	uint64_t flags, commit_id;
	uint16_t queue;
	uint8_t padding[6];
};

struct headers {
	uint8_t in_out[128]; /* the header of a request, then that of its reply */
	uint8_t op_in[128];
	uint64_t flags, commit_id;
	uint32_t payload_size, padding;
	uint64_t reserved;
};
static_assert(sizeof(struct headers) == 288, "as the kernel has it");

#define HEAD_SIZE     40u /* struct fuse_in_header */
#define OUT_HEAD_SIZE sizeof(struct fuse_out_head)
#define PAGE          4096u

struct fuse_out_head {
	uint32_t size;
	int32_t error;
	uint64_t unique;
};

struct ring {
	struct transport *transport;
	unsigned queue;
	bool first; /* of its queue */
	pthread_t thread;
	bool started;
	int wake; /* an eventfd: answered from elsewhere, or stop */
	struct io_uring io;
	bool io_ready;

	uint8_t *memory; /* one mapping, and what lies in it: */
	size_t memory_size;
	struct headers *headers;
	uint8_t *payload; /* TRANSPORT_PAYLOAD */
	uint8_t *request; /* put together for libfuse */

	atomic_uint_fast64_t asked; /* the unique of a request nobody answered yet; 0: none */
	atomic_bool answered;       /* the reply is written, the kernel does not know */
};

enum gate {
	GATE_SHUT,  /* INIT is not answered */
	GATE_FIRST, /* entries may be registered, but for those of the last queue */
	GATE_LAST,  /* all these are; one of the last queue may be */
	GATE_OPEN,  /* the kernel uses the rings; all may */
	GATE_OVER   /* no rings any more */
};

struct transport {
	struct transport *classic;
	struct transport_task task;
	atomic_bool ended;
	atomic_bool stopping;
	unsigned queue_count, ring_count;

	pthread_mutex_t gate_lock; /* guards the next three; a leaf */
	pthread_cond_t gate_moved;
	enum gate gate;
	unsigned prepared, registered;
	int failed;          /* of a thread that prepared itself: a negative errno */
	atomic_bool serving; /* gate == GATE_OPEN */

	struct ring rings[];
};

static _Thread_local struct ring *current; /* whose request this thread answers */

/* ---- can it be had? ---- */

static int look_at_switch(struct err *err)
{
	AUTO(base_closep) int fd = open(SWITCH, O_RDONLY | O_CLOEXEC);
	struct utsname kernel;
	char word[4] = "";

	if (fd >= 0 && read(fd, word, sizeof word - 1) > 0 && (word[0] == 'Y' || word[0] == '1'))
		return 0;
	if (fd >= 0)
		return err_set(err, -EOPNOTSUPP,
			       "the kernel's switch for it is off; root turns it on with: "
			       "echo Y > " SWITCH);
	if (access("/sys/module/fuse", F_OK) < 0)
		return err_set(err, -EOPNOTSUPP,
			       "the kernel's module fuse is not loaded, or /sys is not to be seen");
	uname(&kernel);
	return err_set(err, -EOPNOTSUPP,
		       "this kernel (%s) does not have it; 6.14 is the first that may",
		       kernel.release);
}

static int explain_ring(int rc, struct err *err)
{
	if (rc == -EPERM || rc == -EACCES)
		return err_set(
			err, rc,
			"this process may not use io_uring: sysctl kernel.io_uring_disabled, "
			"or a filter of system calls (SystemCallFilter=, seccomp)");
	if (rc == -ENOSYS)
		return err_set(err, rc,
			       "there is no io_uring: the kernel was built without, or a filter of "
			       "system calls hides it");
	if (rc == -ENOMEM)
		return err_set(err, rc,
			       "no memory for a ring: a limit of memory or of locked memory "
			       "(ulimit -l) is reached");
	return err_set(err, rc, "the kernel gives no ring: %s", strerror(-rc));
}

static int why_not(struct err *err)
{
	struct io_uring_params params = { .flags = RING_FLAGS };
	struct io_uring io;
	int rc = look_at_switch(err);

	if (rc < 0)
		return rc;
	rc = io_uring_queue_init_params(RING_SIZE, &io, &params);
	if (rc < 0)
		return explain_ring(rc, err);
	io_uring_queue_exit(&io);
	return 0;
}

/* "0-3" or "0,2-5": the kernel wants a queue for each that may ever be there. */
static unsigned count_queues(void)
{
	AUTO(files_stream_closep) FILE *list = fopen(POSSIBLE, "re");
	unsigned first, last, count = 0;

	while (list && fscanf(list, "%u", &first) == 1) {
		last = first;
		if (fscanf(list, "-%u", &last) < 0 && !feof(list))
			break;
		count += last >= first ? last - first + 1 : 0;
		if (fgetc(list) != ',')
			break;
	}
	long configured = sysconf(_SC_NPROCESSORS_CONF);

	return MIN(count ? count : (unsigned)MAX(configured, 1L), QUEUES_MAX);
}

/* ---- answers ---- */

void *transport_room(size_t size)
{
	struct ring *r = current;

	return r && size <= TRANSPORT_PAYLOAD && atomic_load(&r->asked) ? r->payload : NULL;
}

/* Only who answers is between `asked` and `answered`, whichever thread that is. */
static int fill(struct ring *r, const struct iovec *parts, int count)
{
	struct fuse_out_head head;
	size_t size = 0;

	memcpy(&head, parts[0].iov_base, sizeof head);
	for (int i = 1; i < count; i++)
		size += parts[i].iov_len;
	bool fits = size <= TRANSPORT_PAYLOAD;

	if (!fits) {
		head.error = -EIO;
		size = 0;
	}
	for (size_t i = 1, at = 0; size > 0 && i < (size_t)count; i++) {
		if (parts[i].iov_base != r->payload + at)
			memmove(r->payload + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	head.size = (uint32_t)(sizeof head + size);
	memcpy(r->headers->in_out, &head, sizeof head);
	r->headers->payload_size = (uint32_t)size;
	return fits ? 1 : -EMSGSIZE;
}

static bool claim(struct ring *r, uint64_t unique)
{
	uint_fast64_t asked = unique;

	return atomic_load(&r->asked) == unique &&
	       atomic_compare_exchange_strong(&r->asked, &asked, 0);
}

static void wake(struct ring *r)
{
	uint64_t one = 1;

	if (write(r->wake, &one, sizeof one) < 0)
		trace_error("fs", "a thread of the mount cannot be woken", "errno=%d", errno);
}

static int on_reply(void *arg, uint64_t unique, const struct iovec *parts, int count)
{
	struct transport *t = arg;

	if (current && claim(current, unique)) {
		int rc = fill(current, parts, count);

		atomic_store_explicit(&current->answered, true, memory_order_relaxed);
		return rc;
	}
	for (unsigned i = 0; i < t->ring_count; i++) {
		struct ring *r = &t->rings[i];

		if (!claim(r, unique))
			continue;
		int rc = fill(r, parts, count);

		atomic_store_explicit(&r->answered, true, memory_order_release);
		wake(r);
		return rc;
	}
	return 0;
}

/* ---- a ring ---- */

static struct io_uring_sqe *get_sqe(struct ring *r)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->io);

	assert(sqe); /* there is room for all that one entry and one poll can have */
	memset(sqe, 0, 2 * sizeof *sqe);
	return sqe;
}

static struct io_uring_sqe *prepare_command(struct ring *r, uint32_t what)
{
	struct io_uring_sqe *sqe = get_sqe(r);
	struct command command = { .queue = (uint16_t)r->queue };

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = fuse_session_fd(r->transport->task.session);
	sqe->cmd_op = what;
	sqe->user_data = (uintptr_t)r;
	if (what == COMMAND_COMMIT_AND_FETCH)
		command.commit_id = r->headers->commit_id;
	memcpy(sqe->cmd, &command, sizeof command);
	return sqe;
}

static void prepare_poll(struct ring *r)
{
	struct io_uring_sqe *sqe = get_sqe(r);

	sqe->opcode = IORING_OP_POLL_ADD;
	sqe->fd = r->wake;
	sqe->poll32_events = POLLIN;
}

/* The header, what is the opcode's own and the rest come apart; libfuse wants them in one piece. */
static int put_together(struct ring *r, struct fuse_buf *out)
{
	uint32_t size, rest = r->headers->payload_size;

	memcpy(&size, r->headers->in_out, sizeof size);
	if (size < HEAD_SIZE || rest > TRANSPORT_PAYLOAD || rest > size - HEAD_SIZE ||
	    size - HEAD_SIZE - rest > sizeof r->headers->op_in)
		return -EPROTO;
	size_t own = size - HEAD_SIZE - rest;

	memcpy(r->request, r->headers->in_out, HEAD_SIZE);
	memcpy(r->request + HEAD_SIZE, r->headers->op_in, own);
	memcpy(r->request + HEAD_SIZE + own, r->payload, rest);
	*out = (struct fuse_buf){ .mem = r->request, .size = size };
	return 0;
}

static int serve(struct ring *r)
{
	struct fuse_buf request;
	int rc = put_together(r, &request);

	if (rc < 0)
		return rc;
	uint64_t unique;

	memcpy(&unique, r->request + 8, sizeof unique);
	opcodes_seen(request.mem, request.size);
	atomic_store(&r->asked, unique);
	current = r;
	fuse_session_process_buf(r->transport->task.session, &request);
	current = NULL;
	return 0;
}

static int handle(struct ring *r, const struct io_uring_cqe *cqe)
{
	uint64_t count;

	if (cqe->user_data == (uintptr_t)r)
		return cqe->res < 0 ? cqe->res : serve(r);
	if (read(r->wake, &count, sizeof count) < 0 && errno != EAGAIN)
		return -errno;
	prepare_poll(r);
	return 0;
}

/* Until the connection ends or the transport stops. */
static int serve_all(struct ring *r)
{
	while (!atomic_load(&r->transport->stopping)) {
		struct io_uring_cqe *cqe;
		int rc = io_uring_submit_and_wait(&r->io, 1);

		if (rc < 0 && rc != -EINTR && rc != -EAGAIN)
			return rc;
		while (io_uring_peek_cqe(&r->io, &cqe) == 0) {
			struct io_uring_cqe seen = *cqe;

			io_uring_cqe_seen(&r->io, cqe);
			rc = handle(r, &seen);
			if (rc < 0)
				return rc;
		}
		if (atomic_exchange_explicit(&r->answered, false, memory_order_acq_rel))
			prepare_command(r, COMMAND_COMMIT_AND_FETCH);
	}
	io_uring_submit(&r->io); /* the last answer; what might be fetched with it nobody takes */
	return 0;
}

/* ---- a thread: it prepares itself, registers when it may, serves ---- */

/* What no setting of ours may forbid: a processor that is off now, or not ours, is none to stay
 * on. */
static void stay_with(unsigned processor)
{
	size_t size = CPU_ALLOC_SIZE(QUEUES_MAX);
	cpu_set_t *set = CPU_ALLOC(QUEUES_MAX);

	if (!set)
		return;
	CPU_ZERO_S(size, set);
	CPU_SET_S(processor, size, set);
	if (sched_setaffinity(0, size, set) < 0)
		trace_debug("fs", "a thread of the mount stays on no processor",
			    "processor=%u errno=%d", processor, errno);
	CPU_FREE(set);
}

/* Pages of it exist only once they are used: the large part is for requests that hardly come. */
static int map_memory(struct ring *r)
{
	size_t size = PAGE + TRANSPORT_PAYLOAD + PAGE + TRANSPORT_PAYLOAD;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return -errno;
	r->memory = memory;
	r->memory_size = size;
	r->headers = memory;
	r->payload = r->memory + PAGE;
	r->request = r->payload + TRANSPORT_PAYLOAD;
	return 0;
}

static int prepare(struct ring *r)
{
	struct io_uring_params params = { .flags = RING_FLAGS };
	int rc = map_memory(r);

	stay_with(r->queue);
	if (rc == 0)
		rc = io_uring_queue_init_params(RING_SIZE, &r->io, &params);
	r->io_ready = rc == 0;
	return rc;
}

static bool is_of_last_queue(const struct ring *r)
{
	return r->queue == r->transport->queue_count - 1;
}

/* False: it is over before it began. */
static bool wait_for_gate(struct ring *r)
{
	struct transport *t = r->transport;
	enum gate wanted = !is_of_last_queue(r) ? GATE_FIRST : r->first ? GATE_LAST : GATE_OPEN;

	LOCKED(&t->gate_lock);
	while (t->gate < wanted)
		pthread_cond_wait(&t->gate_moved, &t->gate_lock);
	return t->gate != GATE_OVER;
}

static void move_gate(struct transport *t, enum gate to)
{
	LOCKED(&t->gate_lock);
	if (t->gate >= to)
		return;
	t->gate = to;
	atomic_store(&t->serving, to == GATE_OPEN);
	pthread_cond_broadcast(&t->gate_moved);
}

/* Entries of all queues but the last are counted, also those that the kernel did not take. */
static bool was_last_before(struct transport *t)
{
	LOCKED(&t->gate_lock);
	return ++t->registered == t->ring_count - t->ring_count / t->queue_count;
}

/* The kernel answers a registration with nothing but the first request, and refuses it at once. */
static int register_entry(struct ring *r)
{
	struct iovec parts[2] = { { r->headers, sizeof *r->headers },
				  { r->payload, TRANSPORT_PAYLOAD } };
	struct io_uring_sqe *sqe = prepare_command(r, COMMAND_REGISTER);
	struct io_uring_cqe *cqe;

	sqe->addr = (uintptr_t)parts;
	sqe->len = ARRAY_LEN(parts);
	int rc = io_uring_submit(&r->io);

	if (rc < 0)
		return rc;
	return io_uring_peek_cqe(&r->io, &cqe) == 0 && cqe->res < 0 ? cqe->res : 0;
}

static void was_registered(struct ring *r, int rc)
{
	struct transport *t = r->transport;

	if (rc < 0 && r->first) {
		move_gate(t, GATE_OVER);
		trace_warn("fs", "the kernel takes no ring, the classic transport serves",
			   "queue=%u errno=%d", r->queue, -rc);
		return;
	}
	if (rc < 0)
		trace_warn("fs", "the kernel takes one ring less, the others serve",
			   "queue=%u errno=%d", r->queue, -rc);
	if (is_of_last_queue(r) && r->first) {
		move_gate(t, GATE_OPEN);
		trace_info("fs", "the kernel hands requests over through rings",
			   "queues=%u threads=%u", t->queue_count, t->ring_count);
	} else if (!is_of_last_queue(r) && was_last_before(t)) {
		move_gate(t, GATE_LAST);
	}
}

static void tell_ended(struct transport *t)
{
	if (!atomic_exchange(&t->ended, true))
		t->task.ended(t->task.arg);
}

static bool is_the_end(int rc)
{
	return rc == -ENOTCONN || rc == -ECONNABORTED || rc == -ENODEV || rc == -ECANCELED;
}

static void *work(void *arg)
{
	struct ring *r = arg;
	struct transport *t = r->transport;
	int rc = prepare(r);

	pthread_mutex_lock(&t->gate_lock);
	t->prepared++;
	if (rc < 0 && t->failed == 0)
		t->failed = rc;
	pthread_cond_broadcast(&t->gate_moved);
	pthread_mutex_unlock(&t->gate_lock);

	if (rc < 0 || !wait_for_gate(r))
		return NULL;
	rc = register_entry(r);
	was_registered(r, rc);
	if (rc == 0) {
		prepare_poll(r);
		rc = serve_all(r);
		if (rc < 0 && !is_the_end(rc)) {
			trace_error("fs", "the kernel's ring failed, the mount ends", "errno=%d",
				    -rc);
			tell_ended(t);
		}
	}
	/* By the thread itself: what the kernel still holds of it is cancelled before it is
	 * gone. */
	io_uring_queue_exit(&r->io);
	r->io_ready = false;
	return NULL;
}

/* ---- the contract ---- */

static void on_classic_ended(void *arg)
{
	tell_ended(arg);
}

static void on_agreed(void *arg, struct wire_bits what)
{
	struct transport *t = arg;

	if (!what.uring)
		trace_warn("fs", "the kernel offers no rings, the classic transport serves", "");
	move_gate(t, !what.uring ? GATE_OVER : t->queue_count > 1 ? GATE_FIRST : GATE_LAST);
}

static void stop(struct transport **at)
{
	struct transport *t = TAKE(*at);

	if (!t)
		return;
	atomic_store(&t->stopping, true);
	move_gate(t, GATE_OVER);
	for (unsigned i = 0; i < t->ring_count; i++)
		if (t->rings[i].started)
			wake(&t->rings[i]);
	for (unsigned i = 0; i < t->ring_count; i++) {
		struct ring *r = &t->rings[i];

		if (r->started)
			pthread_join(r->thread, NULL);
	}
	/* After the rings, so that an INTERRUPT of who waits still arrives. */
	transport_classic.stop(&t->classic);
	wire_on_agreed(t->task.wire, NULL, NULL);
	wire_on_reply(t->task.wire, NULL, NULL);
	for (unsigned i = 0; i < t->ring_count; i++) {
		struct ring *r = &t->rings[i];

		if (r->io_ready)
			io_uring_queue_exit(&r->io);
		if (r->memory)
			munmap(r->memory, r->memory_size);
		base_closep(&r->wake);
	}
	pthread_cond_destroy(&t->gate_moved);
	pthread_mutex_destroy(&t->gate_lock);
	free(t);
}

static int start_ring(struct transport *t, unsigned i, struct err *err)
{
	struct ring *r = &t->rings[i];

	r->queue = i % t->queue_count;
	r->first = i < t->queue_count;
	r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (r->wake < 0)
		return err_set(err, -errno, "no descriptor for a thread of the mount: %s",
			       strerror(errno));
	int rc = -pthread_create(&r->thread, NULL, work, r);

	if (rc < 0)
		return err_set(err, rc, "no thread for the mount: %s", strerror(-rc));
	r->started = true;
	return 0;
}

static int wait_until_prepared(struct transport *t, struct err *err)
{
	LOCKED(&t->gate_lock);
	while (t->prepared < t->ring_count)
		pthread_cond_wait(&t->gate_moved, &t->gate_lock);
	return t->failed < 0 ? explain_ring(t->failed, err) : 0;
}

static int start(const struct transport_task *task, struct transport **out, struct err *err)
{
	unsigned queues = count_queues();
	unsigned each =
		MIN(task->threads ? task->threads : THREADS_A_QUEUE(queues), THREADS_A_QUEUE_MAX);
	AUTO(stop) struct transport *t = calloc(1, sizeof *t + queues * each * sizeof *t->rings);

	if (!t)
		return err_set(err, -ENOMEM, "no memory for the threads of the mount");
	t->task = *task;
	t->queue_count = queues;
	t->ring_count = queues * each;
	pthread_mutex_init(&t->gate_lock, NULL);
	pthread_cond_init(&t->gate_moved, NULL);
	for (unsigned i = 0; i < t->ring_count; i++)
		t->rings[i] = (struct ring){ .transport = t, .wake = -1 };
	int rc = 0;

	for (unsigned i = 0; i < t->ring_count && rc == 0; i++)
		rc = start_ring(t, i, err);
	if (rc == 0)
		rc = wait_until_prepared(t, err);
	if (rc < 0)
		return rc;
	struct transport_task rest = *task;

	rest.threads = CLASSIC;
	rest.ended = on_classic_ended;
	rest.arg = t;
	wire_on_reply(t->task.wire, on_reply, t);
	wire_on_agreed(t->task.wire, on_agreed, t);
	rc = transport_classic.start(&rest, &t->classic, err);
	if (rc < 0)
		return rc;
	*out = TAKE(t);
	return 0;
}

static const char *serves(const struct transport *t)
{
	return t && atomic_load(&t->serving) ? transport_uring.name : transport_classic.name;
}

/* No ring took anything, and none will. */
static bool survives(struct transport *t)
{
	if (!t)
		return false;
	LOCKED(&t->gate_lock);
	return t->gate == GATE_OVER;
}

const struct transport_ops transport_uring = {
	.name = "uring",
	.by_ring = true,
	.why_not = why_not,
	.start = start,
	.stop = stop,
	.serves = serves,
	.survives = survives,
};
