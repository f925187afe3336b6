/* chainfs mount: from the words of a person, or of a program before us, to a keeper that has a
 * worker (serving.h). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "fs/mount/mount.h"
#include "mount-helpers/following.h"
#include "mount-helpers/keeper.h"
#include "mount-helpers/leaving.h"
#include "mount-helpers/serving.h"
#include "mount-helpers/verbs.h"

#define PATH_SIZE     4096
#define LIST_SIZE_MAX (2 * PATH_SIZE)
#define NO_STORE                                                                  \
	"there is no store at %s; chainfs import, restore and bootstrap make one, " \
	"and the address of a node, grpc://HOST:PORT, is followed into one"
#define NOT_MOUNTED "interrupted, nothing is mounted"

#define AGAIN_MAX (VERB_SETS_MAX * 2 + 16)

struct mounting { /* what a start is made of */
	struct verb_call *call;
	const struct mount_options *options;
	char  *store, *settings_file;     /* absolute, for a daemon that leaves its folder */
	char   mountpoint[PATH_MAX];
	struct supervisor supervisor;
	struct settings_sources sources;
	struct settings *settings;        /* where the call has not got those that count */
	bool   in_front;
	int    ready_fd, keep_fd;         /* -1: none */
	char  *again[AGAIN_MAX];          /* how the program goes on after an upgrade */
	struct buf list;                  /* of mount options, as it will be told */
};

static void mounting_release(struct mounting *m)
{
	buf_release(&m->list);
	supervisor_release(&m->supervisor);
	if (m->settings)
		m->call->settings = NULL;
	settings_freep(&m->settings);
	free(m->settings_file);
	free(m->store);
}

/* The worker: an exit code. */
static int serve(void *arg, struct worker *w, struct err *err)
{
	const struct mounting *m = arg;
	const struct serving s = { m->call, m->options, m->store, m->mountpoint, &m->sources,
				   m->in_front };
	return serving_run(&s, w, err);
}

static int keep(struct mounting *m, struct err *err)
{
	struct keeper_task task = {
		.store = m->store,
		.mountpoint = m->mountpoint,
		.supervisor = &m->supervisor,
		.ready_fd = &m->ready_fd,
		.again = m->again,
		.keep_fd = m->keep_fd,
		.work = serve,
		.arg = m,
	};
	return keeper_run(&task, err);
}

/* The daemon's process: keeps, and tells the parent's pipe how the start went: a zero byte when
 * the mount answers, else the sentence. */
__attribute__((noreturn)) static void daemon_process(struct mounting *m, int ready_fd)
{
	struct err err = ERR_INIT;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (trace_get_level() < TRACE_DEBUG)
			dup2(null, STDERR_FILENO);
	}
	if (chdir("/") < 0)
		trace_warn("mount", "stays in the folder where it was started", "errno=%d", errno);
	m->ready_fd = ready_fd;
	int code = keep(m, &err);
	if (code != EXIT_DONE && m->ready_fd >= 0) {
		char line[ERR_TEXT_SIZE + 8];
		int n = snprintf(line, sizeof line, "%c%s", code, err_text(&err, -EIO));
		if (write(m->ready_fd, line, (size_t)n) < 0) /* the parent has gone */
			_exit(EXIT_MOUNT);
	}
	_exit(code);
}

/* What the daemon says, and its exit code. Ctrl-C stops it, too, whenever it comes. */
static int wait_for_daemon(pid_t pid, int fd, struct err *err)
{
	char line[ERR_TEXT_SIZE + 8];
	ssize_t n;
	verbs_wait(fd);
	if (atomic_load(&verbs_stop))
		kill(pid, SIGTERM);
	while ((n = read(fd, line, sizeof line - 1)) < 0 && errno == EINTR)
		;
	if (n == 1 && line[0] == 0) {
		if (!atomic_load(&verbs_stop))
			return EXIT_DONE;
		kill(pid, SIGTERM); /* it was ready before it was told */
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	line[MAX(n, 0)] = 0;
	if (n > 1) {
		err_set(err, -EIO, "%s", line + 1);
		return line[0];
	}
	if (atomic_load(&verbs_stop)) {
		err_set(err, -EINTR, NOT_MOUNTED);
		return EXIT_INTERRUPTED;
	}
	err_set(err, -EIO, "the daemon ended before the mount was ready");
	return EXIT_MOUNT;
}

/* -o settings= and a call without settings of its own (mount.chainfs): those that count are read
 * here. */
static int settle_settings(struct mounting *m, struct err *err)
{
	struct verb_call *c = m->call;
	const char *file =
		m->options->settings ? m->options->settings : c->options[OPTION_SETTINGS];
	if (file && !(m->settings_file = realpath(file, NULL)))
		return err_set(err, -errno, "%s: %s", file, strerror(errno));
	m->sources = (struct settings_sources){
		.file = m->settings_file, .store = m->store, .sets = c->sets, .environment = environ
	};
	if (c->settings && !m->options->settings)
		return 0;
	int rc = settings_load(&m->sources, &m->settings, err);
	if (rc < 0)
		return rc;
	c->settings = m->settings;
	following_authorities(m->settings);
	trace_set_level((enum trace_level)settings_number(m->settings, SETTING_LOG_LEVEL));
	return 0;
}

static int start_daemon(struct mounting *m, struct err *err)
{
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return mount_exit(err_set(err, -errno, "no pipe: %s", strerror(errno)));
	pid_t pid = fork();
	if (pid == 0) {
		close(pipe_fds[0]);
		daemon_process(m, pipe_fds[1]);
	}
	int rc = pid < 0 ? err_set(err, -errno, "no process for the daemon: %s", strerror(errno))
			 : 0;
	close(pipe_fds[1]);
	int code = rc < 0 ? mount_exit(rc) : wait_for_daemon(pid, pipe_fds[0], err);
	close(pipe_fds[0]);
	/* The service manager believes the process that it started, and from now on the daemon. */
	if (code == EXIT_DONE)
		supervisor_tell(&m->supervisor, "MAINPID=%d\nREADY=1\nSTATUS=%s serves %s",
				(int)pid, m->mountpoint, m->store);
	return code;
}

/* The same mount in words; the second of them is the keeper's. Whether hyper is kept stands in the
 * store by then. */
static int say_again(struct mounting *m, struct err *err)
{
	static char *const head[] = { "chainfs", "keep", NULL };
	size_t n = ARRAY_LEN(head);

	m->list = (struct buf)BUF_INIT(LIST_SIZE_MAX);
	mount_options_write(m->options, &m->list);
	buf_u8(&m->list, 0);
	if (buf_done(&m->list) < 0)
		return err_set(err, -ENOMEM, "no memory for the mount options");
	memcpy(m->again, head, sizeof head);
	m->again[n++] = m->store;
	m->again[n++] = m->mountpoint;
	m->again[n++] = "-o";
	m->again[n++] = (char *)m->list.p;
	if (m->in_front)
		m->again[n++] = "--foreground";
	if (m->settings_file) {
		m->again[n++] = "--settings";
		m->again[n++] = m->settings_file;
	}
	for (size_t i = 0; i < VERB_SETS_MAX && m->call->sets[i]; i++) {
		m->again[n++] = "--set";
		m->again[n++] = (char *)m->call->sets[i];
	}
	m->again[n] = NULL;
	return 0;
}

int mount_start(struct verb_call *c, const struct mount_options *o, const char *store,
		const char *mountpoint, bool foreground, struct err *err)
{
	AUTO(mounting_release) struct mounting m = { .call = c, .options = o,
						     .in_front = foreground, .ready_fd = -1,
						     .keep_fd = -1 };
	int rc = 0;
	supervisor_open(&m.supervisor);
	if (!(m.store = realpath(store, NULL)))
		rc = errno == ENOENT ? err_set(err, -ENOENT, NO_STORE, store) :
				       err_set(err, -errno, "%s: %s", store, strerror(errno));
	if (rc == 0)
		rc = mountpoint_full(mountpoint, m.mountpoint, err);
	if (rc == -ENOENT && m.store)
		rc = err_set(err, rc, "there is no folder %s to mount on; mkdir makes it",
			     mountpoint);
	if (rc == 0)
		rc = settle_settings(&m, err);
	if (rc == 0)
		rc = say_again(&m, err);
	if (rc < 0)
		return mount_exit(rc);
	leaving_wait(m.store);
	if (atomic_load(&verbs_stop)) {
		err_set(err, -EINTR, NOT_MOUNTED);
		return EXIT_INTERRUPTED;
	}
	return foreground ? keep(&m, err) : start_daemon(&m, err);
}

/* What a program of an earlier version left in its place: descriptors, and the words that mean the
 * same mount. "meaning" asks what it would take over. */
int verb_keep(struct verb_call *c)
{
	AUTO(mount_options_release) struct mount_options o = { 0 };
	struct err err = ERR_INIT;
	unsigned long watchdog_ms;
	int stores;
	if (strcmp(c->words[0], "meaning") == 0) {
		verb_print(c, "%016" PRIx64 "\n", keep_meaning());
		return EXIT_DONE;
	}
	AUTO(mounting_release) struct mounting m = { .call = c, .options = &o,
						     .supervisor = SUPERVISOR_NONE,
						     .in_front = verb_has(c, OPTION_FOREGROUND),
						     .ready_fd = -1 };
	if (c->word_count != 3 || sscanf(c->words[0], "%d,%d,%lu,%d", &m.keep_fd, &m.supervisor.fd,
					 &watchdog_ms, &stores) != 4)
		return EXIT_USAGE;
	m.supervisor.watchdog_ms = watchdog_ms;
	m.supervisor.stores = stores;
	if (m.supervisor.fd >= 0)
		fcntl(m.supervisor.fd, F_SETFD, FD_CLOEXEC);
	snprintf(m.mountpoint, sizeof m.mountpoint, "%s", c->words[2]);
	int rc = mount_options_parse(c->options[OPTION_OPTIONS], false, getuid(), getgid(), &o,
				     &err);
	if (rc == 0 && !(m.store = strdup(c->words[1])))
		rc = -ENOMEM;
	if (rc == 0)
		rc = settle_settings(&m, &err);
	if (rc == 0)
		rc = say_again(&m, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	int code = keep(&m, &err);
	if (code != EXIT_DONE)
		verb_say(c, "chainfs: %s\n", err_text(&err, -EIO));
	return code;
}

int mount_serve(struct verb_call *c, const char *store, const char *mountpoint, bool foreground)
{
	AUTO(mount_options_release) struct mount_options o;
	struct err err = ERR_INIT;
	int rc = mount_options_parse(c->options[OPTION_OPTIONS], false, getuid(), getgid(), &o,
				     &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	char path[PATH_SIZE];
	rc = following_prepare(c, &o, store, path, sizeof path, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	/* What was loaded knew of no store: that one's own file counts, too. */
	if (strcmp(path, store) != 0)
		c->settings = NULL;
	int code = mount_start(c, &o, path, mountpoint, foreground, &err);
	if (code != EXIT_DONE)
		verb_say(c, "chainfs %s: %s\n", c->verb->name, err_text(&err, -EIO));
	return code;
}

int verb_mount(struct verb_call *c)
{
	return mount_serve(c, c->words[0], c->words[1], verb_has(c, OPTION_FOREGROUND));
}
