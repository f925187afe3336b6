/* chainfs mount, umount and upgrade, and the worker of a mount. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/alerts.h"
#include "core/control/metrics.h"
#include "core/checkpoint/pins.h"
#include "core/control/orders.h"
#include "core/ingest/ingest.h"
#include "core/sync/follow.h"
#include "fs/mount/mount.h"
#include "fs/mount/occupants.h"
#include "fs/connection/keep.h"
#include "mount-helpers/keeper.h"
#include "mount-helpers/leaving.h"
#include "mount-helpers/verbs.h"
#include "mount-helpers/watch.h"
#include "mount-helpers/following.h"
#include "net/control.h"
#include "net/live.h"

#define EVENTS_MAX  8192
#define PATH_SIZE   4096
#define LIST_SIZE_MAX (2 * PATH_SIZE)
#define UPGRADE_POLL_US 5000
#define TOLD_MAX    20 /* lines about who keeps a mount busy */
#define NO_STORE                                                                  \
	"there is no store at %s; chainfs import, restore and bootstrap make one, " \
	"and the address of a node, grpc://HOST:PORT, is followed into one"

struct daemon { /* everything that a mounted store runs with */
	struct store   *store;
	struct events  *events;
	struct gate    *gate;
	struct pins    *pins;
	struct orders  *orders;
	struct fs      *fs;
	struct follows *follows;
	struct live    *live;
	struct control_server *control;
	struct alerts  *alerts;
	bool            in_front;
	struct worker  *worker;
	const char     *mountpoint;
	const struct supervisor *supervisor;
	const struct settings_sources *sources; /* for SIGHUP; NULL: it stops as SIGTERM does */
	struct watch    watch;
	pthread_t       signals;
	bool            watching;
	atomic_bool     ended;     /* the mount, by itself */
	atomic_bool     handing_over;
	bool            taken_over; /* from a worker before us */
	atomic_bool     anew;      /* stopped so as to be started again */
};

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
static void tell_damage(void *arg, struct network *n, const struct store_damage *what)
{
	struct daemon *d = arg;
	metrics_add(COUNTER_DAMAGED, 1);
	if (what->file)
		events_post(d->events, network_name(n), "damaged",
			    "file=%s reason=\"%s\" mend=\"%s\"", what->file, what->sentence,
			    what->mend);
	else
		events_post(d->events, network_name(n), "damaged",
			    "shard=%u height=%" PRIu64 " reason=\"%s\"", what->shard, what->height,
			    what->sentence);
}

/* On any thread but those that end with the mount. */
static void hand_over(struct daemon *d)
{
	atomic_store(&d->handing_over, true);
	watch_stop(&d->watch);
	fs_hand_over(d->fs);
}

/* Once the mount answers: the first ls waits for no node. */
static void follow(struct daemon *d)
{
	struct err err = ERR_INIT;
	int rc = store_writable(d->store, &err);
	if (rc == 0 && d->live)
		rc = live_begin(d->live);
	if (rc < 0)
		trace_warn("mount", "nothing is followed; what the store holds is served",
			   "why=\"%s\"", err_text(&err, rc));
}

/* On the alerts' thread. What was opened for reading alone can be written only when it is opened
 * anew: by the next worker, under open files where it can take them over. */
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
		follow(d); /* what it was too full for when it was mounted */
		return;
	}
	trace_info("mount", "the disk has room again, another process goes on and writes",
		   "path=%s", d->mountpoint);
	if (fs_survives(d->fs)) {
		hand_over(d);
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
	sigaddset(set, SIGUSR2); /* the keeper's: leave it to the next worker */
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
		if (number == SIGUSR2) {
			trace_info("mount", "handing over", "");
			hand_over(d);
			break;
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
	int rc = watch_start(&d->watch, &err);
	if (rc < 0)
		trace_error("mount", "the service manager gets no sign of life", "why=\"%s\"",
			    err_text(&err, rc));
	/* As the keeper does, for the same reason; before it has told anybody. */
	if (!d->in_front && !d->taken_over)
		setsid();
	worker_ready(d->worker, fs_survives(d->fs));
	follow(d);
}

static void mounted(void *arg, int main_fd, int ctl_fd, int plain_fd)
{
	struct daemon *d = arg;
	worker_mounted(d->worker, main_fd, ctl_fd, plain_fd);
}

static int upgrade(void *arg, struct err *err)
{
	return worker_upgrade(((struct daemon *)arg)->worker, err);
}

static void daemon_release(struct daemon *d)
{
	control_server_closep(&d->control);
	alerts_freep(&d->alerts); /* it may tell of room, and begin to follow */
	live_closep(&d->live); /* commits what came */
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
	follows_freep(&d->follows);
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
	d->follows = follows_new();
	if (!d->follows)
		return err_set(err, -ENOMEM, "no memory to follow anything");
	int rc = pins_open(d->store, d->events, &r, &d->pins, err);
	struct orders_env env = {
		.store = d->store, .events = d->events, .pins = d->pins, .gate = d->gate,
		.follows = d->follows,
	};
	return rc < 0 ? rc : orders_open(&env, &d->orders, err);
}

/* A socket takes room, too: where there is none, reads are what counts, and verbs are told that a
 * process holds the store. */
static int open_control(struct daemon *d, const struct settings *s, struct err *err)
{
	const struct verb_env env = { .store = d->store,
				      .follows = d->follows,
				      .live = d->live,
				      .events = d->events,
				      .pins = d->pins,
				      .gate = d->gate,
				      .settings = s,
				      .upgrade = upgrade,
				      .upgrade_arg = d };
	int rc = control_server_open(&env, verbs, verb_count, &d->control, err);

	if (rc != -ENOSPC)
		return rc;
	trace_warn("mount", "the disk is full: this daemon answers no verbs", "why=\"%s\"",
		   err_text(err, rc));
	*err = (struct err)ERR_INIT;
	return 0;
}

/* In this order, each standing on those before it; daemon_release() goes back. */
static int open_all(struct daemon *d, const struct mounting *m, struct fs_options *o, bool hyper,
		    struct err *err)
{
	struct verb_call *c = m->call;
	char holder[PATH_SIZE + 64];

	snprintf(holder, sizeof holder, "mount at %s, pid %d", m->mountpoint,
		 (int)d->worker->keep->keeper);
	struct store_options so = {
		.holder = holder,
		.cache_size = cache_size_of(c->settings, SETTING_LIMITS_CACHE, 4),
	};
	int rc = store_open(m->store, &so, &d->store, err);
	if (rc == 0 && !(d->events = events_new(EVENTS_MAX)))
		rc = err_set(err, -ENOMEM, "no memory for events");
	if (rc == 0 && d->taken_over)
		events_go_on(d->events, keep_events_last(o->keep),
			     atomic_load(&o->keep->ctl.events_size));
	if (rc == 0)
		store_on_damage(d->store, tell_damage, d);
	/* Nothing is committed before the heights that the kernel knows of are held again. */
	if (rc == 0 && !d->taken_over &&
	    (verb_has(c, OPTION_HYPER) || m->options->hyper != MOUNT_HYPER_KEEP))
		rc = switch_hyper(d, hyper, err);
	if (rc == 0)
		rc = open_orders(d, c->settings, err);
	o->pins = d->pins;
	o->orders = d->orders;
	o->follows = d->follows;
	o->fetch_ms = m->options->fetch_ms;
	if (rc == 0)
		rc = fs_open(d->store, d->events, m->mountpoint, o, &d->fs, err);
	if (rc < 0 || store_read_only(d->store))
		return rc;
	rc = alerts_new(d->store, d->events, c->settings, tell_room, d, &d->alerts, err);
	if (rc < 0)
		return rc;
	struct live_env live = { .store = d->store,
				 .events = d->events,
				 .gate = d->gate,
				 .follows = d->follows,
				 .settings = c->settings };
	rc = live_open(&live, &d->live, err);
	return rc < 0 ? rc : open_control(d, c->settings, err);
}

/* What the system refuses to a mount is a failed mount. */
static int mount_exit(int rc)
{
	int code = exit_of(rc);
	return code == EXIT_SYSTEM ? EXIT_MOUNT : code;
}

/* The worker: an exit code. */
static int serve(void *arg, struct worker *w, struct err *err)
{
	const struct mounting *m = arg;
	struct verb_call *c = m->call;
	const struct mount_options *options = m->options;
	const char *store = m->store, *mountpoint = m->mountpoint;
	/* A terminal that closes is a stop: without it the mount would stay behind, dead. */
	bool own_terminal = m->in_front && w->supervisor.fd < 0;
	AUTO(daemon_release) struct daemon d = { .in_front = m->in_front,
						 .worker = w,
						 .taken_over = keep_is_taken_over(w->keep),
						 .mountpoint = mountpoint,
						 .supervisor = &w->supervisor,
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
		.keep = w->keep,
		.mounted = mounted,
		.mounted_arg = &d,
	};
	sigset_t set;
	bool hyper = options->hyper == MOUNT_HYPER_ON;
	int rc = verb_hyper(c, &hyper, err);
	if (rc == 0)
		rc = limit_memory(c->settings, err);
	if (rc == 0)
		rc = watch_fork(&d.watch, d.supervisor, mountpoint, err);
	if (rc < 0)
		return mount_exit(rc);
	supervisor_tell(d.supervisor, "STATUS=opening %s", store);
	/* Before the first thread, so that all leave these signals to the one that waits. */
	signals_of_daemon(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);

	rc = open_all(&d, m, &o, hyper, err);
	if (rc == 0)
		rc = -pthread_create(&d.signals, NULL, watch_signals, &d);
	if (rc < 0)
		return mount_exit(rc);
	d.watching = true;
	rc = fs_run(d.fs, ready, &d, err);
	watch_stop(&d.watch);
	if (atomic_load(&d.handing_over))
		return rc < 0 ? mount_exit(rc) : WORKER_HANDED_OVER;
	supervisor_tell(d.supervisor, "STOPPING=1\nSTATUS=closing %s", store);
	if (rc == 0 && atomic_load(&d.anew))
		rc = err_set(err, -ENOSPC,
			     "the disk has room again: ended, to be started anew and write");
	return mount_exit(rc);
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

/* ---- upgrading ---- */

/* In the daemon. Says first who it is: the answer may be cut off by what it asks for. */
int verb_hand_over(struct verb_call *c)
{
	struct err err = ERR_INIT;
	verb_print(c, "%d\n", (int)getpid());
	int rc = c->env && c->env->upgrade ?
			 c->env->upgrade(c->env->upgrade_arg, &err) :
			 err_set(&err, -ENOTSUP, "no daemon holds the store");
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

struct upgrading {
	struct verb_io *io;
	long            before; /* the process that was asked; 0: it did not say */
};

static void take_out(void *arg, const char *text, size_t size)
{
	char word[16];
	snprintf(word, sizeof word, "%.*s", (int)MIN(size, sizeof word - 1), text);
	((struct upgrading *)arg)->before = strtol(word, NULL, 10);
}

static void take_err(void *arg, const char *text, size_t size)
{
	struct verb_io *io = ((struct upgrading *)arg)->io;
	io->err(io->arg, text, size);
}

/* Returns once the next worker answers. */
int verb_upgrade(struct verb_call *c)
{
	char full[PATH_MAX];
	struct mount_info m;
	struct err err = ERR_INIT;
	int code = EXIT_DONE;
	int rc = mountpoint_full(c->words[0], full, &err);
	if (rc == 0)
		rc = mountpoint_find(full, &m, &err);
	if (rc >= 0 && (rc == 0 || strcmp(m.type, "fuse." MOUNT_SUBTYPE) != 0))
		rc = err_set(&err, -EINVAL, "%s: no store is mounted there", full);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	char *argv[] = { "hand-over", m.source, NULL };
	struct upgrading u = { .io = c->io };
	struct verb_io io = { take_out, take_err, &u, .stop = c->io->stop };
	rc = control_call(m.source, 2, argv, &io, &code, &err);
	if (rc == -ECONNREFUSED)
		return verb_fail(c, rc, &err);
	/* Our call may have been cut off by what it asked for. */
	if (rc == 0 && code != EXIT_DONE && code != EXIT_INTERRUPTED)
		return code;
	struct statfs st;
	while (u.before > 0 && (kill((pid_t)u.before, 0) == 0 || errno == EPERM) &&
	       !verb_stopped(c))
		usleep(UPGRADE_POLL_US);
	if (statfs(full, &st) < 0)
		return verb_fail(c, err_set(&err, -errno, "%s: %s", full, strerror(errno)), &err);
	return EXIT_DONE;
}
