#include "mount-helpers/watch.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"

#define KEPT_FIRST 100

/* ---- the one that asks ---- */

/* A byte in, a look at the mount, its errno out. The end of the pipe is the end of us. */
__attribute__((noreturn)) static void ask_forever(const char *mountpoint, int in, int out)
{
	struct statfs st;
	char byte;
	sigset_t none;

	/* Whoever stops the daemon, stops it: we end with its pipe. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (chdir("/") < 0)
		_exit(1);
	/* What is not ours to hold: a shell may wait for the end of its pipe. */
	int null = open("/dev/null", O_RDWR);

	for (int fd = 0; null >= 0 && fd <= STDERR_FILENO; fd++)
		dup2(null, fd);
	while (read(in, &byte, 1) == 1) {
		byte = statfs(mountpoint, &st) == 0 ? 0 : (char)errno;
		if (write(out, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

static int make_pipes(int in[2], int out[2], int stop[2])
{
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 ||
	    pipe2(stop, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int watch_fork(struct watch *w, const struct supervisor *s, const char *mountpoint, struct err *err)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	*w = (struct watch)WATCH_NONE;
	w->supervisor = s;
	w->mountpoint = mountpoint;
	if (!s->watchdog_ms)
		return 0;
	int rc = make_pipes(in, out, w->stop);

	if (rc == 0 && (w->child = fork()) < 0)
		rc = -errno;
	if (rc == 0 && w->child == 0) {
		/* Two numbers above all others, so that all others can be closed at once. */
		int kept_in = fcntl(in[0], F_DUPFD, KEPT_FIRST);
		int kept_out = kept_in < 0 ? -1 : fcntl(out[1], F_DUPFD, kept_in + 1);

		if (kept_out < 0)
			_exit(1);
		close_range(STDERR_FILENO + 1, (unsigned)kept_in - 1, 0);
		ask_forever(mountpoint, kept_in, kept_out);
	}
	base_closep(&in[0]);
	base_closep(&out[1]);
	w->ask = in[1];
	w->answer = out[0];
	if (rc == 0)
		return 0;
	w->child = 0;
	watch_release(w);
	return err_set(err, rc, "no process to watch the mount: %s", strerror(-rc));
}

/* ---- the one that waits for answers ---- */

enum waited { ANSWERED, LATE, STOPPED, BROKEN };

/* For the answer, at most so long; for the stop alone where no answer is due. */
static enum waited wait_for(struct watch *w, bool due, uint64_t ms, char *answer)
{
	uint64_t end = clock_mono_ms() + ms;
	struct pollfd fds[] = { { .fd = w->stop[0], .events = POLLIN },
				{ .fd = due ? w->answer : -1, .events = POLLIN } };

	for (;;) {
		uint64_t now = clock_mono_ms();
		int n = poll(fds, ARRAY_LEN(fds), now < end ? (int)MIN(end - now, 1000000u) : 0);

		if (n < 0 && errno != EINTR)
			return BROKEN;
		if (n > 0 && fds[0].revents)
			return STOPPED;
		if (n > 0 && fds[1].revents)
			return read(w->answer, answer, 1) == 1 ? ANSWERED : BROKEN;
		if (clock_mono_ms() >= end)
			return LATE;
	}
}

static void *watch_mount(void *arg)
{
	struct watch *w = arg;
	uint64_t half = MAX(w->supervisor->watchdog_ms / 2, 1u), asked = 0;
	bool due = false, late = false;
	char answer = 0;
	enum waited got = ANSWERED;

	while (got != STOPPED && got != BROKEN) {
		if (!due) {
			if (write(w->ask, "", 1) != 1)
				break;
			asked = clock_mono_ms();
			due = true;
		}
		got = wait_for(w, true, half, &answer);
		if (got == LATE) {
			late = true;
			supervisor_tell(w->supervisor,
					"STATUS=%s has not answered for %" PRIu64 " ms",
					w->mountpoint, clock_mono_ms() - asked);
			trace_warn("mount", "no answer through the mount, no sign of life is sent",
				   "path=%s waited_ms=%" PRIu64, w->mountpoint,
				   clock_mono_ms() - asked);
		}
		if (got != ANSWERED)
			continue;
		due = false;
		if (answer) {
			supervisor_tell(w->supervisor, "STATUS=%s answers: %s", w->mountpoint,
					strerror(answer));
		} else {
			supervisor_tell(w->supervisor,
					late ? "WATCHDOG=1\nSTATUS=%s answers again" : "WATCHDOG=1",
					w->mountpoint);
			late = false;
		}
		uint64_t took = clock_mono_ms() - asked;

		got = wait_for(w, false, took < half ? half - took : 0, &answer);
	}
	if (got != STOPPED)
		trace_error("mount",
			    "the process that looks at the mount is gone, no sign of life is sent",
			    "path=%s", w->mountpoint);
	return NULL;
}

int watch_start(struct watch *w, struct err *err)
{
	if (!w->child)
		return 0;
	int rc = -pthread_create(&w->thread, NULL, watch_mount, w);

	if (rc < 0)
		return err_set(err, rc, "no thread for the watch: %s", strerror(-rc));
	w->running = true;
	return 0;
}

void watch_stop(struct watch *w)
{
	if (w->stop[1] >= 0 && write(w->stop[1], "", 1) < 0)
		trace_warn("mount", "the watch cannot be told to stop", "errno=%d", errno);
}

void watch_release(struct watch *w)
{
	if (w->running) {
		watch_stop(w);
		pthread_join(w->thread, NULL);
	}
	base_closep(&w->ask);
	base_closep(&w->answer);
	base_closep(&w->stop[0]);
	base_closep(&w->stop[1]);
	if (w->child) /* it may be waiting for a mount that ends only with us: no wait for it */
		waitpid(w->child, NULL, WNOHANG);
	*w = (struct watch)WATCH_NONE;
}
