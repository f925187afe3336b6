#include "fs/mount/mount.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/checkpoint/pins.h"
#include "core/control/metrics.h"
#include "fs/ctl/ctl.h"
#include "fs/connection/keep.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/ops.h"
#include "fs/mount/following.h"
#include "fs/mount/plain.h"
#include "fs/mount/rundir.h"
#include "fs/connection/session.h"
#include "fs/tree/sights.h"
#include "fs/connection/transport.h"

#define END_WAIT_MS    200u   /* for a busy mount, before it is detached */
#define STORE_WAIT_MS  10000u /* after an unmount, until the daemon has let go of the store */
#define STORE_POLL_US  20000u

struct fs {
	struct store   *store;
	struct events  *events;
	struct pins    *pins;
	struct orders  *orders;
	struct follows *follows;
	struct sights  *sights;
	struct serving  serving;
	struct session *session;
	struct ctl     *ctl;
	struct plain   *plain;
	unsigned        threads;
	atomic_size_t   networks_seen;
	char            mountpoint[PATH_MAX], ctl_path[PATH_MAX];
	sem_t           woken;       /* the mount ended, or is to */
	atomic_bool     stop_wanted, unmounted, handing_over;
	struct keep    *keep, *own_keep;
	bool            stopping;    /* under the init_lock of `serving` */
	atomic_bool     survives;    /* known once it is ready */
	bool            taken_over, ran; /* ran: fs_run came to its end */
};

/* ---- what wakes the notifier ---- */

/* Numbers of views rise from process to process: nodes name them. */
static void keep_view_numbers(struct fs *fs, struct network *n)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	unsigned index = network_index(n);

	if (index < ARRAY_LEN(fs->keep->view_last))
		atomic_store(&fs->keep->view_last[index], v->number);
}

/* The kernel knows names of the branch that was left. */
static void tell_rollback(struct fs *fs, struct network *n)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	unsigned index = network_index(n);

	if (index >= ARRAY_LEN(fs->keep->branch_told) ||
	    atomic_load(&fs->keep->branch_told[index]) == v->branch)
		return;
	uint64_t parent = known_network(&fs->serving, n);

	if (parent) /* else the kernel never asked for it */
		notifier_rolled_back(fs->serving.notifier, parent, v->branch,
				     &fs->keep->branch_told[index]);
}

/* A kernel that was told nothing yet. */
static void begin_at_branch(struct fs *fs, struct network *n)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	unsigned index = network_index(n);

	if (index < ARRAY_LEN(fs->keep->branch_told))
		atomic_store(&fs->keep->branch_told[index], v->branch);
}

static void on_publish(void *arg, struct network *n)
{
	struct fs *fs = arg;

	keep_view_numbers(fs, n);
	tell_rollback(fs, n);
	notifier_published(fs->serving.notifier, network_index(n));
	plain_published(fs->plain, network_index(n));
	meter_published(fs->serving.meter);
	if (fs->pins)
		pins_published(fs->pins);
}

static void on_pins(void *arg, struct network *n)
{
	struct fs *fs = arg;

	serving_changed(&fs->serving);
	notifier_published(fs->serving.notifier, network_index(n));
	plain_changed(fs->plain, network_index(n));
}

/* Sources came or went. */
static void on_sources(void *arg, struct network *n)
{
	struct fs *fs = arg;

	serving_changed(&fs->serving);
	notifier_published(fs->serving.notifier, network_index(n));
}

/* A network that came through the daemon is told of by nothing but its first event. */
static void on_event(void *arg)
{
	struct fs *fs = arg;
	size_t count = store_network_count(fs->store);

	if (atomic_exchange(&fs->networks_seen, count) != count) {
		for (size_t i = 0; i < count; i++)
			views_watch(fs->serving.views, store_network_at(fs->store, i));
		notifier_published(fs->serving.notifier, 0);
		plain_published(fs->plain, 0);
	}
	following_look();
	ctl_wake(fs->ctl);
}

static bool trim(void *arg)
{
	return render_cache_trim(((struct fs *)arg)->serving.cache);
}

/* ---- opening ---- */

/* Before the first view is taken and anything can be collected. */
static void take_over(struct fs *fs)
{
	for (size_t i = 0; i < store_network_count(fs->store); i++) {
		struct network *n = store_network_at(fs->store, i);
		unsigned index = network_index(n);

		if (index >= ARRAY_LEN(fs->keep->view_last))
			continue;
		network_views_after(n, atomic_load(&fs->keep->view_last[index]));
		keep_view_numbers(fs, n);
	}
	keep_views_recount(fs->keep);
}

/* Threads come to the help of blocked ones, but not where each has a ring of its own. */
static unsigned fetchers_of(const struct transport_ops *transport, unsigned threads)
{
	return transport->by_ring ? MAX((threads ? threads : TRANSPORT_THREADS) / 2, 1u)
				  : TRANSPORT_GROWTH / 2;
}

static int open_serving(struct fs *fs, const struct fs_options *o, unsigned fetchers,
			struct err *err)
{
	struct serving *s = &fs->serving;
	struct serving_options so = {
		.on = ON_MAIN,
		.uid = o->uid,
		.gid = o->gid,
		.umask = o->umask,
		.render_cache = o->render_cache ? o->render_cache : RENDER_CACHE_BYTES,
		.trim = trim,
		.arg = fs,
		.keep = fs->keep,
		.kept = &fs->keep->main,
		.follows = fs->follows,
		.fetch_ms = o->fetch_ms,
		.fetchers = fetchers,
	};

	s->store = fs->store;
	s->views = views_new(on_publish, fs);
	if (!s->views)
		return err_set(err, -ENOMEM, "no memory for the mount");
	take_over(fs);
	int rc = serving_init(s, &so, err);

	if (rc == 0)
		rc = meter_new(fs->store, &s->meter, err);
	if (rc < 0)
		return rc;
	size_t count = store_network_count(fs->store);

	atomic_store(&fs->networks_seen, count);
	for (size_t i = 0; i < count; i++) {
		struct network *n = store_network_at(fs->store, i);

		views_watch(s->views, n);
		if (fs->taken_over)
			tell_rollback(fs, n); /* of which another process may have died */
		else
			begin_at_branch(fs, n);
	}
	return 0;
}

static int open_ctl(struct fs *fs, const struct fs_options *o, struct err *err)
{
	struct keep_ctl *kept = &fs->keep->ctl;
	int rc = 0;

	if (fs->taken_over)
		snprintf(fs->ctl_path, sizeof fs->ctl_path, "%s", kept->path);
	else
		rc = rundir_make("ctl", o->ctl_dir, (pid_t)fs->keep->keeper, fs->ctl_path, err);
	if (rc < 0) {
		fs->ctl_path[0] = '\0';
		return rc;
	}
	struct ctl_options co = {
		.mountpoint = fs->ctl_path,
		.allow_other = o->allow_other,
		.uid = o->uid,
		.gid = o->gid,
		.umask = o->umask,
		.tree_path = fs->mountpoint,
		.follows = fs->follows,
		.kept = &fs->keep->connections[KEEP_CTL],
		.kept_ctl = kept,
	};

	snprintf(kept->path, sizeof kept->path, "%s", fs->ctl_path);

	return ctl_open(fs->store, fs->events, fs->orders, &co, &fs->ctl, err);
}

static int open_plain(struct fs *fs, const struct fs_options *o, struct err *err)
{
	struct plain_options po = {
		.allow_other = o->allow_other, .uid = o->uid, .gid = o->gid, .umask = o->umask,
		.keep = fs->keep,
	};

	return plain_open(fs->serving.views, fs->serving.meter, fs->store, &po, &fs->plain, err);
}

static struct fs *fs_new(struct store *s, struct events *events, const struct fs_options *o)
{
	struct fs *fs = calloc(1, sizeof *fs);

	if (!fs)
		return NULL;
	fs->store = s;
	fs->events = events;
	fs->pins = o->pins;
	fs->orders = o->orders;
	fs->follows = o->follows;
	fs->threads = o->threads;
	sem_init(&fs->woken, 0, 0);
	return fs;
}

int fs_open(struct store *s, struct events *events, const char *mountpoint,
	    const struct fs_options *o, struct fs **out, struct err *err)
{
	const struct transport_ops *transport;
	int rc = transport_pick(o->transport, &transport, err);

	if (rc < 0)
		return rc;
	AUTO(fs_closep) struct fs *owner = fs_new(s, events, o);
	AUTO(base_closep) int alone = -1;
	struct fs *fs = owner;

	if (!fs)
		return err_set(err, -ENOMEM, "no memory for the mount");

	rc = o->keep ? 0 : keep_new(&alone, &fs->own_keep, err);
	if (rc < 0)
		return rc;
	fs->keep = o->keep ? o->keep : fs->own_keep;
	fs->taken_over = fs->keep->connections[KEEP_MAIN].fd >= 0;
	/* A mount that waits for us to answer is looked at by nobody here. What could be handed
	 * over was served by the classic transport, and the kernel agrees on one but once. */
	if (fs->taken_over) {
		transport = &transport_classic;
		snprintf(fs->mountpoint, sizeof fs->mountpoint, "%s", mountpoint);
	} else {
		rc = mountpoint_full(mountpoint, fs->mountpoint, err);
	}
	if (rc == 0 && !fs->taken_over)
		rc = mountpoint_prepare(fs->mountpoint, err);
	if (rc == 0)
		rc = open_serving(fs, o, fetchers_of(transport, o->threads), err);
	if (rc == 0)
		rc = open_ctl(fs, o, err);
	if (rc == 0 && fs->follows && !(fs->sights = sights_new(fs->follows)))
		rc = err_set(err, -ENOMEM, "no memory for the mount");
	if (rc == 0)
		rc = open_plain(fs, o, err);
	if (rc < 0)
		return rc;
	tree_set_env(&(struct tree_env){ .store = s, .ctl_target = fs->ctl_path,
					  .plain_target = plain_path(fs->plain),
					  .pins = fs->pins, .sights = fs->sights });
	struct session_options so = {
		.mountpoint = fs->mountpoint, .source = store_path(s), .subtype = MOUNT_SUBTYPE,
		.allow_other = o->allow_other, .read_only = true, .parallel = true,
		.transport = transport,
		.or_classic = o->transport && strcmp(o->transport, TRANSPORT_AUTO) == 0,
		.kept = &fs->keep->connections[KEEP_MAIN],
	};

	rc = session_open(&serving_ops, &fs->serving, &so, &fs->session, err);
	if (rc < 0)
		return rc;
	if (!fs->taken_over && o->mounted)
		o->mounted(o->mounted_arg, fuse_session_fd(session_fuse(fs->session)),
			   ctl_fd(fs->ctl), plain_fd(fs->plain));
	*out = TAKE(owner);
	return 0;
}

void fs_closep(struct fs **at)
{
	struct fs *fs = TAKE(*at);

	if (!fs)
		return;
	struct serving *s = &fs->serving;

	if (s->notifier)
		notifier_stop(s->notifier);
	if (s->ahead)
		ahead_stop(s->ahead);
	/* Who took over and comes no further leaves it to the next. */
	if (fs->taken_over && fs->session && !fs->ran) {
		atomic_store(&fs->handing_over, true);
		session_pause(fs->session);
	}
	if (fs->taken_over && fs->ctl && !fs->ran)
		ctl_pause(fs->ctl);
	if (fs->taken_over && !fs->ran)
		plain_pause(fs->plain);
	session_closep(&fs->session);
	events_on_post(fs->events, NULL, NULL);
	following_stop();
	if (fs->pins)
		pins_on_change(fs->pins, NULL, NULL);
	plain_end(fs->plain);
	ctl_closep(&fs->ctl);
	if (fs->ctl_path[0] && !atomic_load(&fs->handing_over) && (!fs->taken_over || fs->ran))
		rundir_remove(fs->ctl_path);
	slots_freep(&s->slots);
	views_freep(&s->views); /* from here on nobody hears of a publication */
	plain_closep(&fs->plain);
	meter_freep(&s->meter);
	serving_release(s);
	sights_freep(&fs->sights);
	keep_closep(&fs->own_keep);
	sem_destroy(&fs->woken);
	free(fs);
}

/* ---- running ---- */

void fs_stop(struct fs *fs)
{
	atomic_store(&fs->stop_wanted, true);
	sem_post(&fs->woken);
}

void fs_hand_over(struct fs *fs)
{
	atomic_store(&fs->handing_over, true);
	fs_stop(fs);
}

static void on_ended(void *arg)
{
	struct fs *fs = arg;

	pthread_mutex_lock(&fs->serving.init_lock);
	fs->serving.ended = true;
	pthread_cond_broadcast(&fs->serving.init_done);
	pthread_mutex_unlock(&fs->serving.init_lock);
	atomic_store(&fs->unmounted, true);
	sem_post(&fs->woken);
}

struct starting {
	struct fs *fs;
	void     (*ready)(void *arg);
	void      *arg;
};

static bool wait_for_init(struct serving *s)
{
	LOCKED(&s->init_lock);
	while (!s->inited && !s->ended)
		pthread_cond_wait(&s->init_done, &s->init_lock);
	return !s->ended;
}

/* Known only once something was asked. NULL: it stops already, and nobody looks at the session. */
static const char *transport_of(struct fs *fs)
{
	LOCKED(&fs->serving.init_lock);
	if (fs->serving.ended || fs->stopping)
		return NULL;
	atomic_store(&fs->survives, session_survives(fs->session));
	return session_transport(fs->session);
}

bool fs_survives(struct fs *fs)
{
	return atomic_load(&fs->survives);
}

static void begin_stop(struct fs *fs)
{
	LOCKED(&fs->serving.init_lock);
	fs->stopping = true;
}

/* A thread of its own, because a look at the mount waits for those that serve it. */
static void *tell_ready(void *arg)
{
	struct starting *start = arg;
	struct fs *fs = start->fs;
	struct statfs st;

	if (!wait_for_init(&fs->serving))
		return NULL;
	/* Its size, which no cache answers. */
	if (statfs(fs->mountpoint, &st) < 0)
		trace_warn("mount", "the root of the mount cannot be looked at", "path=%s errno=%d",
			   fs->mountpoint, errno);
	mountpoint_read_ahead(fs->mountpoint, READ_AHEAD_KIB);
	const char *transport = transport_of(fs);

	if (!transport)
		return NULL;
	metrics_set_transport(transport);
	events_post(fs->events, NULL, "mount", "state=ready path=%s transport=%s", fs->mountpoint,
		    transport);
	if (start->ready)
		start->ready(start->arg);
	return NULL;
}

static int start(struct fs *fs, struct err *err)
{
	int rc = ctl_start(fs->ctl, err);

	if (rc == 0)
		rc = plain_start(fs->plain, err);
	if (rc == 0) {
		events_on_post(fs->events, on_event, fs);
		if (fs->pins)
			pins_on_change(fs->pins, on_pins, fs);
		following_start(fs->store, fs->follows, on_sources, fs);
		rc = ahead_start(fs->serving.ahead, ops_list_ahead, &fs->serving, err);
	}
	if (rc == 0)
		rc = session_start(fs->session, fs->threads, on_ended, fs, err);
	/* Not earlier: libfuse tells the kernel nothing before it knows of INIT. */
	if (rc == 0)
		rc = notifier_start(fs->serving.notifier, session_fuse(fs->session), err);
	return rc;
}

int fs_run(struct fs *fs, void (*ready)(void *arg), void *arg, struct err *err)
{
	struct starting starting = { fs, ready, arg };
	pthread_t starter;
	int rc = start(fs, err);

	if (rc < 0)
		return rc;
	rc = -pthread_create(&starter, NULL, tell_ready, &starting);
	if (rc < 0)
		return err_set(err, rc, "no thread for the mount: %s", strerror(-rc));
	trace_info("mount", "serving", "path=%s store=%s ctl=%s plain=%s", fs->mountpoint,
		   store_path(fs->store), fs->ctl_path, plain_path(fs->plain));
	while (!atomic_load(&fs->unmounted) && !atomic_load(&fs->stop_wanted))
		sem_wait(&fs->woken);
	fs->ran = true;
	begin_stop(fs);
	/* First who speaks to the kernel, while those who answer it still do. */
	notifier_stop(fs->serving.notifier);
	ahead_stop(fs->serving.ahead);
	bool stays = atomic_load(&fs->handing_over) && !atomic_load(&fs->unmounted);

	if (stays)
		session_pause(fs->session);
	else
		session_end(fs->session, END_WAIT_MS);
	on_ended(fs); /* nobody need wait for INIT any more, or look at the session */
	session_closep(&fs->session);
	pthread_join(starter, NULL);
	events_post(fs->events, NULL, "mount", "state=ended path=%s", fs->mountpoint);
	events_on_post(fs->events, NULL, NULL);
	if (stays) {
		ctl_pause(fs->ctl);
		plain_pause(fs->plain);
	}
	atomic_store(&fs->handing_over, stays);
	plain_end(fs->plain);
	ctl_closep(&fs->ctl);
	trace_info("mount", stays ? "handed over" : "ended", "path=%s", fs->mountpoint);
	return 0;
}

/* ---- from outside ---- */

int fs_unmount(const char *mountpoint, enum unmount_how how, struct err *err)
{
	struct mount_info m;
	char full[PATH_MAX], holder[256];
	int rc = mountpoint_full(mountpoint, full, err);

	if (rc == 0)
		rc = mountpoint_find(full, &m, err);
	if (rc < 0)
		return rc;
	if (rc == 0 || strcmp(m.type, "fuse." MOUNT_SUBTYPE) != 0)
		return err_set(err, -EINVAL, "%s: no store is mounted there", full);
	rc = mountpoint_unmount(full, how, err);
	if (rc < 0)
		return rc;
	rundir_clear_dead(); /* ctl and plain go with their daemon, unless it was killed */
	if (how == UNMOUNT_LAZY)
		return 0;
	/* Its daemon may still be closing the store, and who goes on with it should not meet
	 * that. */
	uint64_t end = clock_mono_ms() + STORE_WAIT_MS;

	while (store_holder(m.source, holder, sizeof holder) == 0 && clock_mono_ms() < end)
		usleep(STORE_POLL_US);
	return 0;
}
