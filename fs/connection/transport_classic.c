/* The classic transport: threads that read requests from /dev/fuse. */
#define FUSE_USE_VERSION 314

#include <fuse_lowlevel.h>
#include <stdatomic.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "fs/connection/journal.h"
#include "fs/connection/opcodes.h"
#include "fs/connection/transport.h"
#include "fs/connection/wire.h"

#define TICK_MS    3u  /* all threads busy and none done for two to three: they are blocked */
#define PAGES_MAX  256u /* of a request, as libfuse agrees with the kernel */
#define TICKS_IDLE 50u /* not all busy for so long: the watcher sleeps again */

enum stage { ABSENT, SERVING, LEFT };

struct worker {
	struct transport *transport;
	unsigned          index; /* of its place in the journal */
	pthread_t         thread;
	atomic_int        stage; /* enum stage; LEFT: to be joined by the watcher */
};

struct transport {
	struct fuse_session *session;
	struct wire         *wire;
	struct keep_connection *kept;
	size_t               request_size;
	void               (*ended)(void *arg);
	void                *arg;
	unsigned             threads, threads_max;
	atomic_uint          serving, busy;
	atomic_uint_fast64_t answered;
	atomic_bool          closed, watching;

	pthread_t            watcher;
	pthread_mutex_t      watch_lock; /* guards the next two; a leaf */
	pthread_cond_t       watch_wanted;
	bool                 wanted, stopping;

	struct worker        workers[TRANSPORT_THREADS_MAX];
};

/* ---- a worker ---- */

static void ask_to_watch(struct transport *t)
{
	if (atomic_exchange(&t->watching, true))
		return;
	LOCKED(&t->watch_lock);
	t->wanted = true;
	pthread_cond_signal(&t->watch_wanted);
}

static void answer(struct worker *w, void *bytes, size_t size)
{
	struct transport *t = w->transport;
	unsigned busy = atomic_fetch_add_explicit(&t->busy, 1, memory_order_relaxed) + 1;

	if (busy >= atomic_load_explicit(&t->serving, memory_order_relaxed))
		ask_to_watch(t);
	opcodes_seen(bytes, size);
	wire_asked(t->wire, bytes, size);
	journal_begin(t->kept, w->index);
	fuse_session_process_buf(t->session, &(struct fuse_buf){ .mem = bytes, .size = size });
	journal_end(t->kept, w->index);
	atomic_fetch_sub_explicit(&t->busy, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&t->answered, 1, memory_order_relaxed);
}

/* One that came because others were blocked goes when another one waits for work beside it. */
static bool is_surplus(struct transport *t)
{
	unsigned serving = atomic_load_explicit(&t->serving, memory_order_relaxed);

	while (serving > t->threads && serving - atomic_load(&t->busy) > 1)
		if (atomic_compare_exchange_weak(&t->serving, &serving, serving - 1))
			return true;
	return false;
}

/* Cancellation is how a read of /dev/fuse is ended from outside, so here alone it is allowed. What
 * was read by then and is not answered stays in the journal. */
static ssize_t next_request(struct worker *w, void *bytes)
{
	struct transport *t = w->transport;
	ssize_t n;
	int ignored;

	do {
		if (fuse_session_exited(t->session))
			return 0;
		pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &ignored);
		n = journal_take(t->kept, w->index, fuse_session_fd(t->session), bytes,
				 t->request_size);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
	} while (n == -EINTR || n == -EAGAIN || n == -ENOENT); /* absent: it was interrupted */
	if (n == 0)
		fuse_session_exit(t->session);
	return n;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	struct transport *t = w->transport;
	void *bytes = malloc(t->request_size);
	bool surplus = false;
	volatile ssize_t rc = bytes ? 0 : -ENOMEM; /* a cleanup may jump */
	int ignored;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &ignored);
	pthread_cleanup_push(free, bytes);
	if (bytes)
		journal_prepare(t->kept, w->index);
	while (bytes && !surplus && (rc = next_request(w, bytes)) > 0) {
		answer(w, bytes, (size_t)rc);
		surplus = is_surplus(t);
	}
	pthread_cleanup_pop(1);
	if (!surplus) {
		if (rc < 0)
			trace_error("fs", "the kernel's connection failed, the mount ends",
				    "errno=%d", (int)-rc);
		if (!atomic_exchange(&t->closed, true))
			t->ended(t->arg);
	}
	atomic_store(&w->stage, LEFT);
	return NULL;
}

/* ---- the watcher: the one thread that starts and joins workers ---- */

static int worker_start(struct transport *t)
{
	for (unsigned i = 0; i < t->threads_max; i++) {
		struct worker *w = &t->workers[i];

		if (atomic_load(&w->stage) == LEFT) {
			pthread_join(w->thread, NULL);
			atomic_store(&w->stage, ABSENT);
		}
		if (atomic_load(&w->stage) != ABSENT)
			continue;
		w->transport = t;
		w->index = i;
		atomic_store(&w->stage, SERVING);
		atomic_fetch_add(&t->serving, 1);
		int rc = -pthread_create(&w->thread, NULL, work, w);

		if (rc < 0) {
			atomic_fetch_sub(&t->serving, 1);
			atomic_store(&w->stage, ABSENT);
		}
		return rc;
	}
	return -EAGAIN;
}

/* Until somebody asks, or for a tick. False: the transport stops. */
static bool wait_for(struct transport *t, bool tick)
{
	uint64_t due_ms = clock_mono_ms() + TICK_MS;

	LOCKED(&t->watch_lock);
	while (!t->stopping && (tick || !t->wanted)) {
		if (!tick)
			pthread_cond_wait(&t->watch_wanted, &t->watch_lock);
		else if (clock_cond_wait(&t->watch_wanted, &t->watch_lock, due_ms))
			break;
	}
	t->wanted = false;
	return !t->stopping;
}

static bool all_busy(struct transport *t)
{
	return atomic_load(&t->busy) >= atomic_load(&t->serving);
}

static void *watch(void *arg)
{
	struct transport *t = arg;

	while (wait_for(t, false)) {
		uint64_t answered = atomic_load(&t->answered);

		for (unsigned idle = 0; idle < TICKS_IDLE && wait_for(t, true); ) {
			uint64_t now = atomic_load(&t->answered);

			idle = all_busy(t) ? 0 : idle + 1;
			if (all_busy(t) && now == answered && !atomic_load(&t->closed) &&
			    worker_start(t) == 0)
				trace_debug("fs", "all threads are blocked, one more serves",
					    "threads=%u", atomic_load(&t->serving));
			answered = now;
		}
		atomic_store(&t->watching, false);
		if (all_busy(t)) /* they got so in between, and asked nobody */
			ask_to_watch(t);
	}
	return NULL;
}

/* ---- the contract ---- */

static void clear(struct transport *t)
{
	pthread_cond_destroy(&t->watch_wanted);
	pthread_mutex_destroy(&t->watch_lock);
	free(t);
}

static void stop_workers(struct transport *t)
{
	for (unsigned i = 0; i < TRANSPORT_THREADS_MAX; i++)
		if (atomic_load(&t->workers[i].stage) == SERVING)
			pthread_cancel(t->workers[i].thread);
	for (unsigned i = 0; i < TRANSPORT_THREADS_MAX; i++)
		if (atomic_load(&t->workers[i].stage) != ABSENT)
			pthread_join(t->workers[i].thread, NULL);
}

static int start(const struct transport_task *task, struct transport **out, struct err *err)
{
	struct transport *t = calloc(1, sizeof *t);
	int rc = 0;

	if (!t)
		return err_set(err, -ENOMEM, "no memory for the threads of the mount");
	t->session = task->session;
	t->wire = task->wire;
	t->kept = task->kept;
	t->request_size = MAX(PAGES_MAX * (size_t)sysconf(_SC_PAGESIZE) + 4096, JOURNAL_BYTES_MIN);
	t->ended = task->ended;
	t->arg = task->arg;
	t->threads = MIN(task->threads ? task->threads : TRANSPORT_THREADS, TRANSPORT_THREADS_MAX);
	t->threads_max = MAX(t->threads, TRANSPORT_GROWTH);
	pthread_mutex_init(&t->watch_lock, NULL);
	clock_cond_init(&t->watch_wanted);
	unsigned left = journal_replay(t->kept, t->session, t->wire);

	if (left)
		trace_info("fs", "requests that nobody answered are answered now", "requests=%u",
			   left);
	for (unsigned i = 0; i < t->threads && rc == 0; i++)
		rc = worker_start(t);
	if (rc == 0)
		rc = -pthread_create(&t->watcher, NULL, watch, t);
	if (rc < 0) {
		stop_workers(t);
		clear(t);
		return err_set(err, rc, "no thread for the mount: %s", strerror(-rc));
	}
	*out = t;
	return 0;
}

static void stop(struct transport **at)
{
	struct transport *t = TAKE(*at);

	if (!t)
		return;
	pthread_mutex_lock(&t->watch_lock);
	t->stopping = true;
	pthread_cond_signal(&t->watch_wanted);
	pthread_mutex_unlock(&t->watch_lock);
	pthread_join(t->watcher, NULL);
	stop_workers(t);
	clear(t);
}

static int why_not(struct err *err)
{
	return 0;
}

static const char *serves(const struct transport *t)
{
	return transport_classic.name;
}

static bool survives(struct transport *t)
{
	return true;
}

const struct transport_ops transport_classic = {
	.name = "classic",
	.why_not = why_not,
	.start = start,
	.stop = stop,
	.serves = serves,
	.survives = survives,
};
