/* chainfs mount and umount, and the daemon that stays behind. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "core/ingest/ingest.h"
#include "fs/mount.h"
#include "mount-helpers/verbs.h"
#include "net/control.h"

#define EVENTS_MAX  8192
#define PATH_SIZE   4096

struct daemon { /* everything that a mounted store runs with */
	struct store   *store;
	struct events  *events;
	struct fs      *fs;
	struct control_server *control;
	int            *ready_fd;  /* -1 in front: told when the mount answers, then closed */
	pthread_t       signals;
	bool            watching;
	atomic_bool     ended;     /* the mount, by itself */
};

/* ---- options ---- */

static int parse_number(const char *text, int base, uint32_t *out)
{
	char *end;
	unsigned long v = strtoul(text, &end, base);
	if (*text < '0' || *text > '9' || *end || v > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

static int parse_mount_options(const char *list, struct fs_options *o, struct err *err)
{
	AUTO(base_freep) char *copy = strdup(list ? list : "");
	if (!copy)
		return err_set(err, -ENOMEM, "no memory for the mount options");
	char *rest = copy;
	for (char *word; (word = strsep(&rest, ","));) {
		uint32_t number = 0;
		if (!*word || strcmp(word, "ro") == 0)
			continue;
		if (strcmp(word, "allow_other") == 0)
			o->allow_other = true;
		else if (strncmp(word, "uid=", 4) == 0 && parse_number(word + 4, 10, &o->uid) == 0)
			continue;
		else if (strncmp(word, "gid=", 4) == 0 && parse_number(word + 4, 10, &o->gid) == 0)
			continue;
		else if (strncmp(word, "umask=", 6) == 0 &&
			 parse_number(word + 6, 8, &o->umask) == 0)
			continue;
		else if (strncmp(word, "threads=", 8) == 0 &&
			 parse_number(word + 8, 10, &number) == 0 && number <= 64)
			o->threads = number;
		else
			return err_set(err, -EINVAL,
				       "-o %s: no such mount option, or a value that does not fit",
				       word);
	}
	return 0;
}

/* ---- the daemon ---- */

static int switch_hyper(struct daemon *d, bool on, struct err *err)
{
	for (size_t i = 0; i < store_network_count(d->store); i++) {
		AUTO(ingest_freep) struct ingest *in = NULL;
		struct ingest_options o = { .checkers = 1 };
		int rc = ingest_start(store_network_at(d->store, i), &o, &in, err);
		if (rc == 0)
			rc = ingest_set_hyper(in, on, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* On the thread of whoever read it. */
static void tell_damage(void *arg, struct network *n, uint32_t shard, uint64_t height,
			const char *sentence)
{
	struct daemon *d = arg;
	events_post(d->events, network_name(n), "damaged",
		    "shard=%u height=%" PRIu64 " reason=\"%s\"", shard, height, sentence);
}

static void *watch_signals(void *arg)
{
	struct daemon *d = arg;
	sigset_t set;
	int number;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1); /* our own wake-up; another's changes nothing */
	while (sigwait(&set, &number) == 0 && !atomic_load(&d->ended)) {
		if (number == SIGUSR1)
			continue;
		trace_info("mount", "stopping", "signal=%d", number);
		fs_stop(d->fs);
		break;
	}
	return NULL;
}

static void ready(void *arg)
{
	struct daemon *d = arg;
	char byte = 0;
	if (*d->ready_fd < 0)
		return;
	/* From here on nobody reads our words but a log; the shell gets its prompt back. */
	if (write(*d->ready_fd, &byte, 1) < 0)
		trace_warn("mount", "nobody waited for the mount", "errno=%d", errno);
	base_closep(d->ready_fd);
	*d->ready_fd = -1;
}

static void daemon_release(struct daemon *d)
{
	control_server_closep(&d->control);
	if (d->watching) { /* it may be telling the mount to stop */
		atomic_store(&d->ended, true);
		pthread_kill(d->signals, SIGUSR1);
		pthread_join(d->signals, NULL);
	}
	fs_closep(&d->fs);
	store_closep(&d->store);
	events_freep(&d->events);
}

/* Caches give way to the limit of memory: what is left is for tables, threads and what they do. */
static size_t cache_size_of(const struct settings *s, enum setting_id id, uint64_t share)
{
	uint64_t most = settings_number(s, SETTING_LIMITS_MEMORY), size = settings_number(s, id);
	return most ? MIN(size, most / share) : size;
}

static int limit_memory(const struct settings *s, struct err *err)
{
	uint64_t most = settings_number(s, SETTING_LIMITS_MEMORY);
	struct rlimit limit;
	if (!most)
		return 0;
	if (getrlimit(RLIMIT_AS, &limit) < 0)
		return err_set(err, -errno, "limits.memory: %s", strerror(errno));
	limit.rlim_cur = MIN((rlim_t)most, limit.rlim_max);
	if (setrlimit(RLIMIT_AS, &limit) < 0)
		return err_set(err, -errno, "limits.memory: %s", strerror(errno));
	return 0;
}

static int serve(struct verb_call *c, const char *store, const char *mountpoint, int *ready_fd,
		 struct err *err)
{
	AUTO(daemon_release) struct daemon d = { .ready_fd = ready_fd };
	struct fs_options o = {
		.uid = getuid(),
		.gid = getgid(),
		.threads = (unsigned)settings_number(c->settings, SETTING_MOUNT_THREADS),
		.render_cache = cache_size_of(c->settings, SETTING_MOUNT_RENDER_CACHE, 8),
	};
	char holder[PATH_SIZE];
	sigset_t set;

	bool hyper = false;
	int rc = parse_mount_options(c->options[OPTION_OPTIONS], &o, err);
	if (rc == 0)
		rc = verb_hyper(c, &hyper, err);
	if (rc == 0)
		rc = limit_memory(c->settings, err);
	if (rc < 0)
		return rc;
	/* Before the first thread, so that all leave these signals to the one that waits. */
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	snprintf(holder, sizeof holder, "mount at %s, pid %d", mountpoint, (int)getpid());
	struct store_options so = {
		.holder = holder,
		.cache_size = cache_size_of(c->settings, SETTING_LIMITS_CACHE, 4),
	};
	rc = store_open(store, &so, &d.store, err);
	if (rc == 0 && !(d.events = events_new(EVENTS_MAX)))
		rc = err_set(err, -ENOMEM, "no memory for events");
	if (rc == 0)
		store_on_damage(d.store, tell_damage, &d);
	if (rc == 0 && verb_has(c, OPTION_HYPER))
		rc = switch_hyper(&d, hyper, err);
	if (rc == 0)
		rc = fs_open(d.store, d.events, mountpoint, &o, &d.fs, err);
	if (rc == 0)
		rc = store_read_only(d.store) ? 0 : control_server_open(
			&(struct verb_env){ .store = d.store,
					    .events = d.events,
					    .settings = c->settings },
			verbs, verb_count, &d.control, err);
	if (rc == 0)
		rc = -pthread_create(&d.signals, NULL, watch_signals, &d);
	if (rc < 0)
		return rc;
	d.watching = true;
	return fs_run(d.fs, ready, &d, err);
}

/* What the system refuses to a mount is a failed mount. */
static int mount_exit(int rc)
{
	int code = exit_of(rc);
	return code == EXIT_SYSTEM ? EXIT_MOUNT : code;
}

/* The daemon's process: serves, and tells the parent's pipe how the start went: a zero byte when
 * the mount answers, else the sentence. */
static void daemon_process(struct verb_call *c, const char *store, const char *mountpoint,
			   int ready_fd)
{
	struct err err = ERR_INIT;
	setsid();
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (trace_get_level() < TRACE_DEBUG)
			dup2(null, STDERR_FILENO);
	}
	if (chdir("/") < 0)
		trace_warn("mount", "stays in the folder where it was started", "errno=%d", errno);
	int rc = serve(c, store, mountpoint, &ready_fd, &err);
	if (rc < 0 && ready_fd >= 0) {
		char line[ERR_TEXT_SIZE + 8];
		int n = snprintf(line, sizeof line, "%c%s", mount_exit(rc), err_text(&err, rc));
		if (write(ready_fd, line, (size_t)n) < 0) /* the parent has gone */
			_exit(EXIT_MOUNT);
	}
	_exit(mount_exit(rc));
}

int mount_serve(struct verb_call *c, const char *store, const char *mountpoint, bool foreground)
{
	struct err err = ERR_INIT;
	AUTO(base_freep) char *store_full = realpath(store, NULL);
	if (!store_full) {
		int rc = err_set(&err, -errno, "%s: %s", store, strerror(errno));
		return verb_fail(c, rc, &err);
	}
	AUTO(base_freep) char *mount_full = realpath(mountpoint, NULL);
	/* A stale mount point answers ENOTCONN to everything; fs_open clears it by name. */
	const char *at = mount_full ? mount_full : mountpoint;
	if (foreground) {
		int nobody = -1, rc = serve(c, store_full, at, &nobody, &err);
		if (rc < 0)
			verb_fail(c, rc, &err);
		return mount_exit(rc);
	}
	int pipe_fds[2];
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return verb_fail(c, -errno, NULL);
	pid_t pid = fork();
	if (pid < 0)
		return verb_fail(c, -errno, NULL);
	if (pid == 0) {
		close(pipe_fds[0]);
		daemon_process(c, store_full, at, pipe_fds[1]);
	}
	close(pipe_fds[1]);
	char line[ERR_TEXT_SIZE + 8];
	ssize_t n;
	do {
		n = read(pipe_fds[0], line, sizeof line - 1);
	} while (n < 0 && errno == EINTR);
	close(pipe_fds[0]);
	if (n == 1 && line[0] == 0)
		return EXIT_DONE;
	line[MAX(n, 0)] = 0;
	waitpid(pid, NULL, 0);
	verb_say(c, "chainfs %s: %s\n", c->verb->name,
		 n > 1 ? line + 1 : "the daemon ended before the mount was ready");
	return n > 1 ? line[0] : EXIT_MOUNT;
}

int verb_mount(struct verb_call *c)
{
	return mount_serve(c, c->words[0], c->words[1], verb_has(c, OPTION_FOREGROUND));
}

int verb_umount(struct verb_call *c)
{
	struct err err = ERR_INIT;
	int rc = fs_unmount(c->words[0], verb_has(c, OPTION_LAZY), &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}
