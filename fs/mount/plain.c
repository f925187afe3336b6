#include "fs/mount/plain.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/ops.h"
#include "fs/connection/session.h"
#include "fs/connection/wire.h"
#include "fs/mount/rundir.h"

#define END_WAIT_MS  200u        /* for a busy one, before it is detached */
#define RENDER_CACHE (64u << 10) /* one line is rendered there: of a checkpoint that is built */
#define STACK_DEPTH  1u          /* the store may not lie on an overlay; ours may lie below one */

struct plain {
	struct serving serving;
	struct session *session;
	bool running, paused;
	char path[PATH_MAX];
};

static bool trim(void *arg)
{
	return render_cache_trim(((struct plain *)arg)->serving.cache);
}

int plain_open(struct views *v, struct meter *m, const struct store *s,
	       const struct plain_options *o, struct plain **out, struct err *err)
{
	AUTO(plain_closep) struct plain *p = calloc(1, sizeof *p);
	struct serving_options so = {
		.on = ON_PLAIN,
		.uid = o->uid,
		.gid = o->gid,
		.umask = o->umask,
		.render_cache = RENDER_CACHE,
		.trim = trim,
		.arg = p,
		.keep = o->keep,
		.kept = &o->keep->plain,
	};
	struct keep_connection *kept = &o->keep->connections[KEEP_PLAIN];

	if (!p)
		return err_set(err, -ENOMEM, "no memory for the mount");
	p->serving.store = s;
	p->serving.views = v;
	p->serving.meter = m;
	int rc = serving_init(&p->serving, &so, err);

	if (rc == 0)
		rc = opened_new(&o->keep->opened, &p->serving.opened, err);
	if (rc < 0)
		return rc;
	if (kept->fd >= 0) {
		snprintf(p->path, sizeof p->path, "%s", o->keep->plain_path);
		p->paused = true; /* who comes no further leaves it to the next */
	} else if ((rc = rundir_make("plain", NULL, (pid_t)o->keep->keeper, p->path, err)) < 0) {
		p->path[0] = '\0';
		return rc;
	}
	snprintf(o->keep->plain_path, sizeof o->keep->plain_path, "%s", p->path);
	struct session_options session = {
		.mountpoint = p->path,
		.source = store_path(s),
		.subtype = MOUNT_SUBTYPE_PLAIN,
		.allow_other = o->allow_other,
		.read_only = true,
		.stack_depth = geteuid() == 0 ? STACK_DEPTH : 0,
		.kept = kept,
	};

	rc = session_open(&serving_ops, &p->serving, &session, &p->session, err);
	if (rc < 0)
		return rc;
	*out = TAKE(p);
	return 0;
}

static void on_agreed(void *arg, struct wire_bits what)
{
	struct plain *p = arg;

	mountpoint_read_ahead(p->path, READ_AHEAD_KIB); /* INIT has set it back */
	if (what.stack_depth)
		opened_pass(p->serving.opened, fuse_session_fd(session_fuse(p->session)));
	trace_info("mount",
		   what.stack_depth ? "plain files are passed through"
				    : "plain files are read by the daemon",
		   "path=%s", p->path);
}

static void on_ended(void *arg)
{
	trace_debug("fs", "plain was unmounted", "");
}

int plain_start(struct plain *p, struct err *err)
{
	struct wire *wire = session_wire(p->session);

	if (wire)
		wire_on_agreed(wire, on_agreed, p);
	int rc = session_start(p->session, 0, on_ended, p, err);

	/* Not earlier: libfuse tells the kernel nothing before it knows of INIT. */
	if (rc == 0)
		rc = notifier_start(p->serving.notifier, session_fuse(p->session), err);
	if (rc < 0)
		return rc;
	p->running = true;
	p->paused = false;
	return 0;
}

int plain_fd(const struct plain *p)
{
	return fuse_session_fd(session_fuse(p->session));
}

void plain_pause(struct plain *p)
{
	if (p)
		p->paused = true;
}

const char *plain_path(const struct plain *p)
{
	return p->path;
}

void plain_published(struct plain *p, unsigned network)
{
	if (p)
		notifier_published(p->serving.notifier, network);
}

void plain_changed(struct plain *p, unsigned network)
{
	if (!p)
		return;
	serving_changed(&p->serving);
	notifier_published(p->serving.notifier, network);
}

/* First who speaks to the kernel, while those who answer it still do. */
void plain_end(struct plain *p)
{
	if (!p || !p->serving.notifier)
		return;
	notifier_stop(p->serving.notifier);
	if (p->session && p->paused)
		session_pause(p->session);
	else if (p->running)
		session_end(p->session, END_WAIT_MS);
	p->running = false;
	session_closep(&p->session);
	slots_freep(&p->serving.slots);
}

void plain_closep(struct plain **at)
{
	struct plain *p = TAKE(*at);

	if (!p)
		return;
	plain_end(p);
	if (p->path[0] && !p->paused)
		rundir_remove(p->path);
	serving_release(&p->serving);
	free(p);
}
