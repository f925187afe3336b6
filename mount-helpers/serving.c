#include "mount-helpers/serving.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/checkpoint/pins.h"
#include "core/control/alerts.h"
#include "core/control/metrics.h"
#include "core/control/orders.h"
#include "core/ingest/ingest.h"
#include "core/sync/follow.h"
#include "fs/mount/mount.h"
#include "mount-helpers/verbs.h"
#include "mount-helpers/watch.h"
#include "net/control.h"
#include "net/live.h"

#define EVENTS_MAX 8192
#define PATH_SIZE  4096

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
static int open_all(struct daemon *d, const struct serving *s, struct fs_options *o, bool hyper,
		    struct err *err)
{
	struct verb_call *c = s->call;
	char holder[PATH_SIZE + 64];

	snprintf(holder, sizeof holder, "mount at %s, pid %d", s->mountpoint,
		 (int)d->worker->keep->keeper);
	struct store_options so = {
		.holder = holder,
		.cache_size = cache_size_of(c->settings, SETTING_LIMITS_CACHE, 4),
	};
	int rc = store_open(s->store, &so, &d->store, err);
	if (rc == 0 && !(d->events = events_new(EVENTS_MAX)))
		rc = err_set(err, -ENOMEM, "no memory for events");
	if (rc == 0 && d->taken_over)
		events_go_on(d->events, keep_events_last(o->keep),
			     atomic_load(&o->keep->ctl.events_size));
	if (rc == 0)
		store_on_damage(d->store, tell_damage, d);
	/* Nothing is committed before the heights that the kernel knows of are held again. */
	if (rc == 0 && !d->taken_over &&
	    (verb_has(c, OPTION_HYPER) || s->options->hyper != MOUNT_HYPER_KEEP))
		rc = switch_hyper(d, hyper, err);
	if (rc == 0)
		rc = open_orders(d, c->settings, err);
	o->pins = d->pins;
	o->orders = d->orders;
	o->follows = d->follows;
	o->fetch_ms = s->options->fetch_ms;
	if (rc == 0)
		rc = fs_open(d->store, d->events, s->mountpoint, o, &d->fs, err);
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

int mount_exit(int rc)
{
	int code = exit_of(rc);
	return code == EXIT_SYSTEM ? EXIT_MOUNT : code;
}

int serving_run(const struct serving *s, struct worker *w, struct err *err)
{
	struct verb_call *c = s->call;
	const struct mount_options *options = s->options;
	const char *store = s->store, *mountpoint = s->mountpoint;
	/* A terminal that closes is a stop: without it the mount would stay behind, dead. */
	bool own_terminal = s->in_front && w->supervisor.fd < 0;
	AUTO(daemon_release) struct daemon d = { .in_front = s->in_front,
						 .worker = w,
						 .taken_over = keep_is_taken_over(w->keep),
						 .mountpoint = mountpoint,
						 .supervisor = &w->supervisor,
						 .sources = own_terminal ? NULL : s->sources,
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

	rc = open_all(&d, s, &o, hyper, err);
	if (rc < 0)
		return mount_exit(rc);
	rc = -pthread_create(&d.signals, NULL, watch_signals, &d);
	if (rc < 0)
		return mount_exit(err_set(err, rc, "no thread for signals: %s", strerror(-rc)));
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
