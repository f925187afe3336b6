/* chainfs mount and umount, and the daemon that stays behind. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/alerts.h"
#include "core/checkpoint/pins.h"
#include "core/control/orders.h"
#include "core/ingest/ingest.h"
#include "fs/mount/mount.h"
#include "fs/mount/occupants.h"
#include "mount-helpers/leaving.h"
#include "mount-helpers/verbs.h"
#include "mount-helpers/watch.h"
#include "net/control.h"

#define EVENTS_MAX  8192
#define PATH_SIZE   4096
#define TOLD_MAX    20 /* lines about who keeps a mount busy */

struct daemon { /* everything that a mounted store runs with */
	struct store   *store;
	struct events  *events;
	struct gate    *gate;
	struct pins    *pins;
	struct orders  *orders;
	struct fs      *fs;
	struct control_server *control;
	struct alerts  *alerts;
	int            *ready_fd;  /* -1 in front: told when the mount answers, then closed */
	const char     *mountpoint;
	const struct supervisor *supervisor;
	const struct settings_sources *sources; /* for SIGHUP; NULL: it stops as SIGTERM does */
	struct watch    watch;
	pthread_t       signals;
	bool            watching;
	atomic_bool     ended;     /* the mount, by itself */
	atomic_bool     anew;      /* stopped so as to be started again */
};

struct mounting { /* what a start is made of */
	struct verb_call *call;
	const struct mount_options *options;
	char  *store, *settings_file;     /* absolute, for a daemon that leaves its folder */
	char   mountpoint[PATH_MAX];
	struct supervisor supervisor;
	struct settings_sources sources;
	struct settings *settings;        /* where the call has not got those that count */
};

static void mounting_release(struct mounting *m)
{
	supervisor_release(&m->supervisor);
	if (m->settings)
		m->call->settings = NULL;
	settings_freep(&m->settings);
	free(m->settings_file);
	free(m->store);
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

/* On the alerts' thread. What was opened for reading alone can be written only when it is opened
 * anew: a service manager starts us again, and without one the mount goes on as it is. */
static void tell_room(void *arg, bool room, const char *sentence)
{
	struct daemon *d = arg;
	if (!room) {
		supervisor_tell(d->supervisor, "STATUS=read-only: disk full (%s)", sentence);
		return;
	}
	if (!store_opened_full(d->store)) {
		supervisor_tell(d->supervisor, "STATUS=%s serves %s", d->mountpoint,
				store_path(d->store));
		pins_retry(d->pins);
		return;
	}
	if (d->supervisor->fd < 0) {
		trace_warn("mount",
			   "the disk has room again; to write to the store, mount it anew",
			   "path=%s", d->mountpoint);
		return;
	}
	atomic_store(&d->anew, true);
	watch_stop(&d->watch);
	fs_stop(d->fs);
}

static void signals_of_daemon(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGUSR1); /* our own wake-up; another's changes nothing */
}

/* What can change under a mount that lives: how much it tells. The rest waits for the next
 * start. */
static void reload(struct daemon *d)
{
	AUTO(settings_freep) struct settings *settings = NULL;
	struct err err = ERR_INIT;
	supervisor_tell(d->supervisor,
			"RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=reading settings",
			clock_mono_ns() / 1000);
	int rc = settings_load(d->sources, &settings, &err);
	if (rc < 0) {
		trace_error("mount", "settings cannot be read, the old ones stay", "why=\"%s\"",
			    err_text(&err, rc));
		supervisor_tell(d->supervisor, "READY=1\nSTATUS=the old settings stay: %s",
				err_text(&err, rc));
		return;
	}
	trace_set_level((enum trace_level)settings_number(settings, SETTING_LOG_LEVEL));
	trace_info("mount", "settings read again", "log.level=%s",
		   settings_text(settings, SETTING_LOG_LEVEL));
	supervisor_tell(d->supervisor, "READY=1\nSTATUS=%s serves %s", d->mountpoint,
			store_path(d->store));
}

static void *watch_signals(void *arg)
{
	struct daemon *d = arg;
	sigset_t set;
	int number;
	signals_of_daemon(&set);
	while (sigwait(&set, &number) == 0 && !atomic_load(&d->ended)) {
		if (number == SIGUSR1)
			continue;
		if (number == SIGHUP && d->sources) {
			reload(d);
			continue;
		}
		trace_info("mount", "stopping", "signal=%d", number);
		supervisor_tell(d->supervisor, "STOPPING=1\nSTATUS=stopping, unmounting %s",
				d->mountpoint);
		watch_stop(&d->watch);
		fs_stop(d->fs);
		break;
	}
	return NULL;
}

static void ready(void *arg)
{
	struct daemon *d = arg;
	struct err err = ERR_INIT;
	char byte = 0;
	int rc = watch_start(&d->watch, &err);
	if (rc < 0)
		trace_error("mount", "the service manager gets no sign of life", "why=\"%s\"",
			    err_text(&err, rc));
	if (*d->ready_fd < 0) {
		supervisor_tell(d->supervisor, "READY=1\nSTATUS=%s serves %s", d->mountpoint,
				store_path(d->store));
		return;
	}
	/* Not earlier: an automounter knows by the process group whom it must not keep waiting. */
	setsid();
	/* From here on nobody reads our words but a log; the shell gets its prompt back. */
	if (write(*d->ready_fd, &byte, 1) < 0)
		trace_warn("mount", "nobody waited for the mount", "errno=%d", errno);
	base_closep(d->ready_fd);
	*d->ready_fd = -1;
}

static void daemon_release(struct daemon *d)
{
	control_server_closep(&d->control);
	alerts_freep(&d->alerts);
	if (d->watching) { /* it may be telling the mount to stop */
		atomic_store(&d->ended, true);
		pthread_kill(d->signals, SIGUSR1);
		pthread_join(d->signals, NULL);
	}
	fs_closep(&d->fs);
	watch_release(&d->watch);
	orders_closep(&d->orders);
	pins_closep(&d->pins);
	gate_freep(&d->gate);
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

/* What people order of a daemon: pins are opened before anything can be collected. */
static int open_orders(struct daemon *d, const struct settings *s, struct err *err)
{
	struct retention r = {
		.every = settings_number(s, SETTING_CHECKPOINTS_EVERY),
		.keep = settings_number(s, SETTING_CHECKPOINTS_KEEP),
	};
	d->gate = gate_new();
	if (!d->gate)
		return err_set(err, -ENOMEM, "no memory for imports to wait");
	int rc = pins_open(d->store, d->events, &r, &d->pins, err);
	struct orders_env env = {
		.store = d->store, .events = d->events, .pins = d->pins, .gate = d->gate
	};
	return rc < 0 ? rc : orders_open(&env, &d->orders, err);
}

/* In this order, each standing on those before it; daemon_release() goes back. */
static int open_all(struct daemon *d, const struct mounting *m, struct fs_options *o, bool hyper,
		    struct err *err)
{
	struct verb_call *c = m->call;
	char holder[PATH_SIZE + 64];

	snprintf(holder, sizeof holder, "mount at %s, pid %d", m->mountpoint, (int)getpid());
	struct store_options so = {
		.holder = holder,
		.cache_size = cache_size_of(c->settings, SETTING_LIMITS_CACHE, 4),
	};
	int rc = store_open(m->store, &so, &d->store, err);
	if (rc == 0 && !(d->events = events_new(EVENTS_MAX)))
		rc = err_set(err, -ENOMEM, "no memory for events");
	if (rc == 0)
		store_on_damage(d->store, tell_damage, d);
	if (rc == 0 && (verb_has(c, OPTION_HYPER) || m->options->hyper != MOUNT_HYPER_KEEP))
		rc = switch_hyper(d, hyper, err);
	if (rc == 0)
		rc = open_orders(d, c->settings, err);
	o->pins = d->pins;
	o->orders = d->orders;
	if (rc == 0)
		rc = fs_open(d->store, d->events, m->mountpoint, o, &d->fs, err);
	if (rc < 0 || store_read_only(d->store))
		return rc;
	rc = alerts_new(d->store, d->events, c->settings, tell_room, d, &d->alerts, err);
	if (rc < 0)
		return rc;
	rc = control_server_open(&(struct verb_env){ .store = d->store,
						       .events = d->events,
						       .pins = d->pins,
						       .gate = d->gate,
						       .settings = c->settings },
				   verbs, verb_count, &d->control, err);
	if (rc != -ENOSPC)
		return rc;
	/* A socket takes room, too. Reads are what counts; verbs are told that a process holds it. */
	trace_warn("mount", "the disk is full: this daemon answers no verbs", "why=\"%s\"",
		   err_text(err, rc));
	*err = (struct err)ERR_INIT;
	return 0;
}

static int serve(const struct mounting *m, int *ready_fd, struct err *err)
{
	struct verb_call *c = m->call;
	const struct mount_options *options = m->options;
	const char *store = m->store, *mountpoint = m->mountpoint;
	/* A terminal that closes is a stop: without it the mount would stay behind, dead. */
	bool own_terminal = *ready_fd < 0 && m->supervisor.fd < 0;
	AUTO(daemon_release) struct daemon d = { .ready_fd = ready_fd,
						 .mountpoint = mountpoint,
						 .supervisor = &m->supervisor,
						 .sources = own_terminal ? NULL : &m->sources,
						 .watch = WATCH_NONE };
	struct fs_options o = {
		.allow_other = options->allow_other,
		.uid = options->uid,
		.gid = options->gid,
		.umask = options->umask,
		.threads = options->threads ?
				   options->threads :
				   (unsigned)settings_number(c->settings, SETTING_MOUNT_THREADS),
		.transport = options->transport ?
				     options->transport :
				     settings_text(c->settings, SETTING_MOUNT_TRANSPORT),
		.render_cache = cache_size_of(c->settings, SETTING_MOUNT_RENDER_CACHE, 8),
	};
	sigset_t set;
	bool hyper = options->hyper == MOUNT_HYPER_ON;
	int rc = verb_hyper(c, &hyper, err);
	if (rc == 0)
		rc = limit_memory(c->settings, err);
	if (rc < 0)
		return rc;
	rc = watch_fork(&d.watch, d.supervisor, mountpoint, err);
	if (rc < 0)
		return rc;
	supervisor_tell(d.supervisor, "STATUS=opening %s", store);
	/* Before the first thread, so that all leave these signals to the one that waits. */
	signals_of_daemon(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	rc = open_all(&d, m, &o, hyper, err);
	if (rc == 0)
		rc = -pthread_create(&d.signals, NULL, watch_signals, &d);
	if (rc < 0)
		return rc;
	d.watching = true;
	rc = fs_run(d.fs, ready, &d, err);
	watch_stop(&d.watch);
	supervisor_tell(d.supervisor, "STOPPING=1\nSTATUS=closing %s", store);
	if (rc == 0 && atomic_load(&d.anew))
		rc = err_set(err, -ENOSPC,
			     "the disk has room again: ended, to be started anew and write");
	return rc;
}

/* What the system refuses to a mount is a failed mount. */
static int mount_exit(int rc)
{
	int code = exit_of(rc);
	return code == EXIT_SYSTEM ? EXIT_MOUNT : code;
}

/* The daemon's process: serves, and tells the parent's pipe how the start went: a zero byte when
 * the mount answers, else the sentence. */
__attribute__((noreturn)) static void daemon_process(const struct mounting *m, int ready_fd)
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
	int rc = serve(m, &ready_fd, &err);
	if (rc < 0 && ready_fd >= 0) {
		char line[ERR_TEXT_SIZE + 8];
		int n = snprintf(line, sizeof line, "%c%s", mount_exit(rc), err_text(&err, rc));
		if (write(ready_fd, line, (size_t)n) < 0) /* the parent has gone */
			_exit(EXIT_MOUNT);
	}
	_exit(mount_exit(rc));
}

/* What the daemon says, and its exit code. Ctrl-C stops it, too. */
static int wait_for_daemon(pid_t pid, int fd, struct err *err)
{
	char line[ERR_TEXT_SIZE + 8];
	ssize_t n;
	while ((n = read(fd, line, sizeof line - 1)) < 0 && errno == EINTR)
		if (atomic_load(&verbs_stop))
			kill(pid, SIGTERM);
	if (n == 1 && line[0] == 0 && !atomic_load(&verbs_stop))
		return EXIT_DONE;
	waitpid(pid, NULL, 0);
	line[MAX(n, 0)] = 0;
	if (n > 1) {
		err_set(err, -EIO, "%s", line + 1);
		return line[0];
	}
	if (atomic_load(&verbs_stop)) {
		err_set(err, -EINTR, "interrupted, nothing is mounted");
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
	trace_set_level((enum trace_level)settings_number(m->settings, SETTING_LOG_LEVEL));
	return 0;
}

static int start_daemon(const struct mounting *m, struct err *err)
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

int mount_start(struct verb_call *c, const struct mount_options *o, const char *store,
		const char *mountpoint, bool foreground, struct err *err)
{
	AUTO(mounting_release) struct mounting m = { .call = c, .options = o };
	int nobody = -1, rc = 0;
	supervisor_open(&m.supervisor);
	if (!(m.store = realpath(store, NULL)))
		rc = err_set(err, -errno, "%s: %s", store, strerror(errno));
	if (rc == 0)
		rc = mountpoint_full(mountpoint, m.mountpoint, err);
	if (rc == 0)
		rc = settle_settings(&m, err);
	if (rc < 0)
		return mount_exit(rc);
	leaving_wait(m.store);
	return foreground ? mount_exit(serve(&m, &nobody, err)) : start_daemon(&m, err);
}

int mount_serve(struct verb_call *c, const char *store, const char *mountpoint, bool foreground)
{
	AUTO(mount_options_release) struct mount_options o;
	struct err err = ERR_INIT;
	int rc = mount_options_parse(c->options[OPTION_OPTIONS], false, getuid(), getgid(), &o,
				     &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	int code = mount_start(c, &o, store, mountpoint, foreground, &err);
	if (code != EXIT_DONE)
		verb_say(c, "chainfs %s: %s\n", c->verb->name, err_text(&err, -EIO));
	return code;
}

int verb_mount(struct verb_call *c)
{
	return mount_serve(c, c->words[0], c->words[1], verb_has(c, OPTION_FOREGROUND));
}

/* ---- unmounting ---- */

struct telling {
	struct verb_io *io;
	size_t          count;
};

static void PRINTF_LIKE(2, 3) say(struct verb_io *io, const char *format, ...)
{
	char line[PATH_MAX + 256];
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(line, sizeof line, format, ap);
	va_end(ap);
	if (n > 0)
		io->err(io->arg, line, MIN((size_t)n, sizeof line - 1));
}

static void tell_occupant(void *arg, const struct occupant *o)
{
	struct telling *t = arg;
	if (t->count++ >= TOLD_MAX)
		return;
	if (o->pid)
		say(t->io, "  %d %s: %s\n", (int)o->pid, o->command, o->what);
	else
		say(t->io, "  %s\n", o->what);
}

void mount_tell_occupants(struct verb_io *io, const char *mountpoint)
{
	struct telling t = { .io = io };
	char full[PATH_MAX];
	size_t hidden = 0;
	if (mountpoint_full(mountpoint, full, NULL) < 0 ||
	    occupants_find(full, tell_occupant, &t, &hidden, NULL) < 0)
		return;
	if (t.count > TOLD_MAX)
		say(io, "  and %zu more\n", t.count - TOLD_MAX);
	if (hidden)
		say(io, "  %zu more process%s could not be looked at%s\n", hidden,
		    hidden == 1 ? "" : "es", geteuid() == 0 ? "" : "; root can");
}

int verb_umount(struct verb_call *c)
{
	struct err err = ERR_INIT;
	bool lazy = verb_has(c, OPTION_LAZY);
	int rc = fs_unmount(c->words[0], lazy ? UNMOUNT_LAZY : UNMOUNT_PLAIN, &err);
	if (rc == -EBUSY) {
		verb_say(c, "chainfs %s: %s (--lazy detaches it)\n", c->verb->name,
			 err_text(&err, rc));
		mount_tell_occupants(c->io, c->words[0]);
		return exit_of(rc);
	}
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}
