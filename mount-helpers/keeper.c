#include "mount-helpers/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/verb.h"
#include "fs/connection/mountpoint.h"
#include "fs/mount/rundir.h"
#include "mount-helpers/verbs.h"
#include "net/channel.h"

#define DELAY_MS     100u /* of the second start of one that died before it served; doubles */
#define DELAY_MAX_MS 5000u
#define BUSY_MS      200u /* between two looks at a store that another process holds */
#define QUICK_MS     250u /* one that served no longer than this died quickly; */
#define QUICK_MAX    20u  /* so many in a row may, before they wait, too */
#define PATH_SIZE    4096

enum said {
	SAID_MOUNTED = 'M',
	SAID_READY = 'R',
	SAID_FAILED = 'F',
	ASKS_UPGRADE = 'U',
	YES = 'Y',
	NO = 'N'
};

struct keeper {
	const struct keeper_task *task;
	struct keep *keep;
	int keep_fd, signals, channel;
	char program[PATH_SIZE];
	sigset_t mask_before;

	pid_t worker;      /* 0: none */
	uint64_t ready_ms; /* when it was; 0: not yet */
	unsigned strikes, quick;
	bool served;   /* one of them was ready */
	bool mounted;  /* what stands at the mount point is ours */
	bool survives; /* the transport; known once a worker is ready */
	bool stored;   /* the service manager has all of it */
	bool ending;   /* SIGTERM or SIGINT came */
	bool upgrading, leaving;
	char code; /* of a start that failed; with why */
	struct err why;
};

static_assert(KEEP_PLACES <= CHANNEL_FDS_MAX, "a message has the descriptors of all connections");

/* How a service manager calls them. */
static const char *const stored_names[KEEP_PLACES] = {
	[KEEP_MAIN] = "chainfs-main", [KEEP_CTL] = "chainfs-ctl", [KEEP_PLAIN] = "chainfs-plain"
};

static int main_fd_of(const struct keeper *k)
{
	return k->keep->connections[KEEP_MAIN].fd;
}

/* ---- the worker's side ---- */

void worker_mounted(struct worker *w, int main_fd, int ctl_fd, int plain_fd)
{
	int fds[KEEP_PLACES] = { [KEEP_MAIN] = main_fd, [KEEP_CTL] = ctl_fd,
				 [KEEP_PLAIN] = plain_fd };

	channel_send(w->channel, SAID_MOUNTED, NULL, 0, fds, ARRAY_LEN(fds));
}

void worker_ready(struct worker *w, bool survives)
{
	channel_send(w->channel, SAID_READY, survives ? "1" : "0", 1, NULL, 0);
}

int worker_upgrade(struct worker *w, struct err *err)
{
	struct channel_message m;
	int rc = channel_send(w->channel, ASKS_UPGRADE, NULL, 0, NULL, 0);

	if (rc == 0)
		rc = channel_receive(w->channel, true, &m);
	if (rc < 0)
		return err_set(err, rc, "the keeper of the mount does not answer");
	return rc == 1 && m.kind == YES ? 0 : err_set(err, -ENOEXEC, "%s", m.text);
}

#ifdef CHAINFS_COVERAGE
void __gcov_dump(void);
#endif

/* The end of a process that was forked: its streams are those of the other one. What counts lines
 * does so at an exit that never comes here. */
__attribute__((noreturn)) static void leave(int code)
{
#ifdef CHAINFS_COVERAGE
	__gcov_dump();
#endif
	_exit(code);
}

static int start_worker(struct keeper *k, struct err *err)
{
	int ends[2];
	int rc = channel_new(ends, err);
	pid_t keeper = getpid();

	if (rc < 0)
		return rc;
	k->ready_ms = 0;
	k->worker = fork();
	if (k->worker == 0) {
		struct worker w = { .keep = k->keep,
				    .channel = ends[1],
				    .supervisor = *k->task->supervisor };
		struct err why = ERR_INIT;

		/* A manager that holds the descriptors starts the next keeper; else it is over. */
		prctl(PR_SET_PDEATHSIG, k->task->supervisor->stores ? SIGUSR2 : SIGTERM);
		close(ends[0]);
		close(k->signals);
		if (*k->task->ready_fd >= 0)
			close(*k->task->ready_fd);
		if (w.supervisor.fd >= 0) {
			close(w.supervisor.fd);
			w.supervisor.fd = w.channel;
			w.supervisor.by_channel = true;
		}
		if (getppid() != keeper)
			_exit(EXIT_MOUNT);
		/* What is for the worker waits until it listens: nothing is lost on its way
		 * there. */
		sigset_t mask = k->mask_before;

		sigaddset(&mask, SIGTERM);
		sigaddset(&mask, SIGINT);
		sigaddset(&mask, SIGHUP);
		sigaddset(&mask, SIGUSR2);
		sigprocmask(SIG_SETMASK, &mask, NULL);
		int code = k->task->work(k->task->arg, &w, &why);

		if (code != EXIT_DONE && code != WORKER_HANDED_OVER) {
			char text[ERR_TEXT_SIZE + 8];
			int n = snprintf(text, sizeof text, "%c%s", code, err_text(&why, -EIO));

			channel_send(w.channel, SAID_FAILED, text,
				     MIN((size_t)n, (size_t)CHANNEL_TEXT_MAX), NULL, 0);
		}
		leave(code);
	}
	close(ends[1]);
	k->channel = ends[0];
	if (k->worker > 0)
		return 0;
	rc = err_set(err, -errno, "no process for the worker: %s", strerror(errno));
	base_closep(&k->channel);
	k->channel = -1;
	k->worker = 0;
	return rc;
}

/* ---- upgrading ---- */

/* Where our program lies, whatever lies there by now. */
static void find_program(struct keeper *k)
{
	ssize_t n = readlink("/proc/self/exe", k->program, sizeof k->program - 1);
	static const char gone[] = " (deleted)";

	k->program[MAX(n, 0)] = '\0';
	if (n > (ssize_t)strlen(gone) && strcmp(k->program + n - strlen(gone), gone) == 0)
		k->program[n - (ssize_t)strlen(gone)] = '\0';
}

/* What that program says of what it would take over. */
static int ask_program(const struct keeper *k, char *out, size_t out_size)
{
	char *argv[] = { "chainfs", "keep", "meaning", NULL };
	int ends[2], status = 0;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();

	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &k->mask_before, NULL);
		dup2(ends[1], STDOUT_FILENO);
		execv(k->program, argv);
		_exit(EXIT_SYSTEM);
	}
	close(ends[1]);
	ssize_t n = pid < 0 ? -1 : read(ends[0], out, out_size - 1);

	close(ends[0]);
	out[MAX(n, 0)] = '\0';
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && n > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ENOEXEC;
}

static int check_program(struct keeper *k, struct err *err)
{
	char said[64], own[64];

	find_program(k);
	snprintf(own, sizeof own, "%016" PRIx64 "\n", keep_meaning());
	if (ask_program(k, said, sizeof said) < 0)
		return err_set(err, -ENOEXEC, "%s does not start, or cannot take over", k->program);
	if (strcmp(said, own) != 0)
		return err_set(err, -ENOEXEC,
			       "%s means something else by the inode numbers that are in use: "
			       "unmount, and mount with it",
			       k->program);
	if (main_fd_of(k) < 0 || !k->survives)
		return err_set(
			err, -EOPNOTSUPP,
			"the transport of this mount dies with its process; only classic can "
			"be handed over");
	return 0;
}

static void hand_over(struct keeper *k, bool leaving)
{
	k->leaving = leaving;
	k->upgrading = !leaving;
	if (k->worker)
		kill(k->worker, SIGUSR2);
}

/* Returns only when it did not come to be. */
static void become_program(struct keeper *k)
{
	char kept[64];
	int fds[KEEP_PLACES + 2] = { k->keep_fd, k->task->supervisor->fd };

	for (size_t i = 0; i < KEEP_PLACES; i++)
		fds[2 + i] = k->keep->connections[i].fd;
	find_program(k);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			fcntl(fds[i], F_SETFD, 0);
	snprintf(kept, sizeof kept, "%d,%d,%" PRIu64 ",%d", k->keep_fd, k->task->supervisor->fd,
		 k->task->supervisor->watchdog_ms, k->task->supervisor->stores);
	k->task->again[2] = kept;
	sigprocmask(SIG_SETMASK, &k->mask_before, NULL);
	execv(k->program, k->task->again);
	trace_error("mount", "the program cannot be started, the old one goes on",
		    "path=%s errno=%d", k->program, errno);
	sigset_t mask;

	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		if (fds[i] >= 0)
			fcntl(fds[i], F_SETFD, FD_CLOEXEC);
}

/* ---- what the worker says ---- */

static void take_mounted(struct keeper *k, struct channel_message *m)
{
	for (size_t i = 0; i < KEEP_PLACES; i++) {
		k->keep->connections[i].fd = m->fds[i];
		m->fds[i] = -1;
	}
	k->mounted = true;
	k->stored = false;
}

static void store_all(struct keeper *k)
{
	supervisor_store(k->task->supervisor, "chainfs-keep", k->keep_fd);
	for (size_t i = 0; i < KEEP_PLACES; i++)
		supervisor_store(k->task->supervisor, stored_names[i], k->keep->connections[i].fd);
	k->stored = true;
}

static void take_ready(struct keeper *k, bool survives)
{
	const struct keeper_task *t = k->task;
	char byte = 0;

	k->ready_ms = clock_mono_ms();
	k->strikes = 0;
	k->served = true;
	k->survives = survives;
	if (survives && !k->stored)
		store_all(k);
	atomic_fetch_add(&k->keep->served, 1);
	if (*t->ready_fd >= 0) {
		/* Not earlier: an automounter knows by the process group whom it must not keep
		 * waiting. From here on nobody reads our words but a log; the shell gets its
		 * prompt back. */
		setsid();
		if (write(*t->ready_fd, &byte, 1) < 0)
			trace_warn("mount", "nobody waited for the mount", "errno=%d", errno);
		base_closep(t->ready_fd);
		*t->ready_fd = -1;
	} else {
		supervisor_tell(t->supervisor, "READY=1\nSTATUS=%s serves %s", t->mountpoint,
				t->store);
	}
}

static void answer_upgrade(struct keeper *k)
{
	struct err why = ERR_INIT;
	int rc = check_program(k, &why);
	const char *text = rc < 0 ? err_text(&why, rc) : "";

	channel_send(k->channel, rc < 0 ? NO : YES, text, strlen(text), NULL, 0);
	if (rc == 0)
		hand_over(k, false);
}

static void take_message(struct keeper *k, struct channel_message *m)
{
	switch (m->kind) {
	case SAID_MOUNTED:
		take_mounted(k, m);
		break;
	case SAID_READY:
		take_ready(k, m->text[0] == '1');
		break;
	case SAID_FAILED:
		k->code = m->text[0];
		err_set(&k->why, -EIO, "%s", m->size > 1 ? m->text + 1 : "");
		break;
	case ASKS_UPGRADE:
		answer_upgrade(k);
		break;
	case SUPERVISOR_RELAYED:
		supervisor_relay(k->task->supervisor, m->text, m->size);
		break;
	default:
		break;
	}
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		base_closep(&m->fds[i]);
}

static void take_messages(struct keeper *k)
{
	struct channel_message m;
	int rc;

	while (k->channel >= 0 && (rc = channel_receive(k->channel, false, &m)) != 0) {
		if (rc == 1) {
			take_message(k, &m);
			continue;
		}
		base_closep(&k->channel);
		k->channel = -1;
	}
}

/* ---- waiting ---- */

static void take_signals(struct keeper *k)
{
	struct signalfd_siginfo s;

	while (read(k->signals, &s, sizeof s) == sizeof s) {
		int number = (int)s.ssi_signo;
		struct err why = ERR_INIT;

		if (number == SIGCHLD)
			continue;
		if (number == SIGUSR2) {
			int rc = k->task->supervisor->stores ? 0 : check_program(k, &why);

			if (rc == 0)
				hand_over(k, k->task->supervisor->stores);
			else
				trace_error("mount", "the worker stays as it is", "why=\"%s\"",
					    err_text(&why, rc));
			continue;
		}
		if (number != SIGHUP)
			k->ending = true;
		if (k->worker)
			kill(k->worker, number);
	}
}

static bool connection_ended(const struct keeper *k)
{
	struct pollfd device = { .fd = main_fd_of(k) };

	return device.fd >= 0 && poll(&device, 1, 0) > 0 && device.revents & POLLERR;
}

/* For whatever comes first; the end of the connection is looked for where no worker does. */
static void wait_for_news(struct keeper *k, int timeout_ms)
{
	struct pollfd fds[] = { { .fd = k->signals, .events = POLLIN },
				{ .fd = k->channel, .events = POLLIN },
				{ .fd = k->worker ? -1 : main_fd_of(k) } };

	poll(fds, ARRAY_LEN(fds), timeout_ms);
	take_messages(k);
	take_signals(k);
}

/* The status of the worker, which has ended by then and has said all. */
static int wait_for_worker(struct keeper *k)
{
	int status = 0;

	while (waitpid(k->worker, &status, WNOHANG) != k->worker)
		wait_for_news(k, -1);
	k->worker = 0;
	take_messages(k);
	base_closep(&k->channel);
	k->channel = -1;
	return status;
}

/* False: it is to end, or there is nothing left to serve. */
static bool wait_before_next(struct keeper *k, unsigned delay_ms)
{
	uint64_t due = clock_mono_ms() + delay_ms;

	while (!k->ending && !connection_ended(k) && clock_mono_ms() < due)
		wait_for_news(k, (int)(due - clock_mono_ms()));
	take_signals(k);
	return !k->ending && !connection_ended(k);
}

/* ---- ending ---- */

static void detach(const char *path)
{
	struct mount_info m;
	struct err why = ERR_INIT;

	if (!path[0] || mountpoint_find(path, &m, NULL) != 1 || !mountpoint_is_ours(&m))
		return;
	int rc = mountpoint_unmount(path, UNMOUNT_LAZY, &why);

	if (rc < 0)
		trace_warn("mount", "it cannot be detached", "path=%s reason=\"%s\"", path,
			   err_text(&why, rc));
}

/* Who waits for an answer gets an error; nobody could give one. */
static void abort_connection(const char *path)
{
	struct mount_info m;
	struct err why = ERR_INIT;

	if (mountpoint_find(path, &m, NULL) != 1 || !mountpoint_is_ours(&m))
		return;
	int rc = mountpoint_abort(m.minor, &why);

	if (rc < 0) /* closing its descriptors ends it, too, once the kernel has let go of rings */
		trace_info("mount", "a connection is not aborted", "path=%s reason=\"%s\"", path,
			   err_text(&why, rc));
}

/* Descriptors first: with the last of them the kernel lets go of who waits. */
static void take_down(struct keeper *k)
{
	struct keep *keep = k->keep;

	if (!k->mounted)
		return;
	k->mounted = false;
	if (!k->survives && main_fd_of(k) >= 0)
		abort_connection(k->task->mountpoint);
	bool ended = connection_ended(k);

	for (size_t i = 0; i < KEEP_PLACES; i++) {
		base_closep(&keep->connections[i].fd);
		keep->connections[i].fd = -1;
	}
	if (!ended)
		detach(k->task->mountpoint);
	const char *beside[] = { keep->ctl.path, keep->plain_path };

	for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
		detach(beside[i]);
		if (beside[i][0])
			rundir_remove(beside[i]);
	}
}

static uint64_t identity_of(const struct keeper_task *t)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (const char *p = t->store; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	h = (h ^ '\n') * UINT64_C(0x100000001b3);
	for (const char *p = t->mountpoint; *p; p++)
		h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
	return h;
}

/* What was kept is of a connection that is gone. */
static int begin_anew(struct keeper *k, struct err *err)
{
	take_down(k);
	keep_closep(&k->keep);
	base_closep(&k->keep_fd);
	int rc = keep_new(&k->keep_fd, &k->keep, err);

	if (rc == 0) {
		k->keep->keeper = (uint32_t)getpid();
		k->keep->identity = identity_of(k->task);
	}
	return rc;
}

/* ---- one worker after the other ---- */

static unsigned delay_of(unsigned n)
{
	return n < 2 ? 0 : MIN(DELAY_MS << MIN(n - 2, 10u), DELAY_MAX_MS);
}

/* How long to wait before the next; UINT_MAX: there is no next. */
static unsigned judge(struct keeper *k, int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BUSY)
		return BUSY_MS;
	if (!k->ready_ms)
		return ++k->strikes >= KEEPER_STRIKES ? UINT_MAX : delay_of(k->strikes);
	k->quick = clock_mono_ms() - k->ready_ms < QUICK_MS ? k->quick + 1 : 0;
	return k->quick < QUICK_MAX ? 0 : delay_of(2 + k->quick - QUICK_MAX);
}

static void tell_death(struct keeper *k, int status, unsigned delay_ms)
{
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof how, "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof how, "code %d", WEXITSTATUS(status));
	trace_warn("mount", "the worker died, another one starts", "with=\"%s\" delay_ms=%u", how,
		   delay_ms);
	supervisor_tell(k->task->supervisor, "STATUS=the worker died (%s), another one starts",
			how);
}

static int give_up(struct keeper *k, struct err *err)
{
	take_down(k);
	supervisor_tell(k->task->supervisor, "STATUS=worker after worker died, %s is given up",
			k->task->mountpoint);
	err_set(err, -EIO, "%u workers in a row died before they served %s, it is unmounted%s%s",
		k->strikes, k->task->mountpoint, k->code ? ": " : "",
		k->code ? err_text(&k->why, -EIO) : "");
	trace_error("mount", "given up", "why=\"%s\"", err_text(err, -EIO));
	return EXIT_GIVEN_UP;
}

static int failed_start(struct keeper *k, int status, struct err *err)
{
	if (k->code)
		err_set(err, -EIO, "%s", err_text(&k->why, -EIO));
	else
		err_set(err, -EIO, "the daemon ended before the mount was ready");
	take_down(k);
	return k->code ? k->code : WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_MOUNT;
}

/* True: it is over, with *code. */
static bool goes_on(struct keeper *k, int status, int *code, struct err *err)
{
	bool ended = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE;

	if (WIFEXITED(status) && WEXITSTATUS(status) == WORKER_HANDED_OVER) {
		if (k->leaving) {
			*code = EXIT_DONE;
			return false;
		}
		if (k->upgrading)
			become_program(k);
		k->upgrading = false;
		return true;
	}
	if (ended || k->ending) {
		take_down(k);
		*code = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SYSTEM;
		return false;
	}
	if (!k->served) {
		*code = failed_start(k, status, err);
		return false;
	}
	unsigned delay_ms = judge(k, status);

	if (delay_ms == UINT_MAX) {
		*code = give_up(k, err);
		return false;
	}
	tell_death(k, status, delay_ms);
	k->code = 0;
	if (!k->survives && begin_anew(k, err) < 0) {
		*code = EXIT_GIVEN_UP;
		return false;
	}
	if (wait_before_next(k, delay_ms))
		return true;
	take_down(k);
	*code = EXIT_DONE;
	return false;
}

/* What a service manager stored for us: all of it, or nothing. */
static bool take_stored(struct keeper *k)
{
	AUTO(base_closep) int keep_fd = supervisor_stored("chainfs-keep");
	int fds[KEEP_PLACES];
	struct err why = ERR_INIT;
	int rc = keep_fd < 0 ? -ENOENT : 0;

	for (size_t i = 0; i < KEEP_PLACES; i++) {
		fds[i] = supervisor_stored(stored_names[i]);
		if (fds[i] < 0)
			rc = -ENOENT;
	}
	if (rc == 0)
		rc = keep_open(keep_fd, &k->keep, &why);

	if (rc == 0 && k->keep->identity != identity_of(k->task)) {
		keep_closep(&k->keep);
		rc = err_set(&why, -EPROTO, "it is of another mount");
	}
	if (rc < 0)
		for (size_t i = 0; i < KEEP_PLACES; i++)
			base_closep(&fds[i]);
	if (rc == -ENOENT && keep_fd < 0)
		return false;
	if (rc < 0) {
		trace_warn("mount", "what the service manager stored is not taken over",
			   "why=\"%s\"", err_text(&why, rc));
		return false;
	}
	k->keep_fd = keep_fd;
	keep_fd = -1;
	for (size_t i = 0; i < KEEP_PLACES; i++)
		k->keep->connections[i].fd = fds[i];
	k->mounted = k->survives = k->stored = true;
	return true;
}

static int open_keep(struct keeper *k, struct err *err)
{
	int rc = 0;

	if (k->task->keep_fd >= 0) {
		k->keep_fd = k->task->keep_fd;
		rc = keep_open(k->keep_fd, &k->keep, err);
		k->served = k->mounted = k->survives = k->stored = true;
		for (size_t i = 0; rc == 0 && i < KEEP_PLACES; i++)
			if (k->keep->connections[i].fd >= 0)
				fcntl(k->keep->connections[i].fd, F_SETFD, FD_CLOEXEC);
		fcntl(k->keep_fd, F_SETFD, FD_CLOEXEC);
	} else if (take_stored(k)) {
		k->served = !connection_ended(k);
		if (!k->served)
			rc = begin_anew(k, err);
	} else {
		rc = keep_new(&k->keep_fd, &k->keep, err);
	}
	if (rc == 0) {
		k->keep->keeper = (uint32_t)getpid();
		k->keep->identity = identity_of(k->task);
	}
	return rc;
}

int keeper_run(const struct keeper_task *task, struct err *err)
{
	struct keeper k = { .task = task, .keep_fd = -1, .channel = -1 };
	sigset_t mask;
	int code = EXIT_MOUNT;

	find_program(&k);
	if (open_keep(&k, err) < 0)
		return EXIT_MOUNT;
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	sigaddset(&mask, SIGUSR2);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, &k.mask_before);
	k.signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (k.signals < 0) {
		err_set(err, -errno, "no descriptor for signals: %s", strerror(errno));
		return EXIT_MOUNT;
	}
	if (atomic_load(&verbs_stop)) { /* it came before it was blocked, to main()'s handler */
		k.ending = true;
		code = EXIT_DONE;
		take_down(&k);
	}
	do {
		if (k.ending)
			break;
		if (start_worker(&k, err) < 0) {
			take_down(&k);
			break;
		}
	} while (goes_on(&k, wait_for_worker(&k), &code, err));
	sigprocmask(SIG_SETMASK, &k.mask_before, NULL);
	base_closep(&k.signals);
	base_closep(&k.keep_fd);
	keep_closep(&k.keep);
	return code;
}
