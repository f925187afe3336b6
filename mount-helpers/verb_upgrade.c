/* chainfs upgrade: what is asked of the daemon, and what it does then. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "fs/mount/mount.h"
#include "mount-helpers/verbs.h"
#include "net/control.h"

#define UPGRADE_POLL_US 5000
#define BETWEEN_MS      5000u /* a mount may be between two workers so long */

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

static bool lives(long pid)
{
	return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

/* Where a worker has just died the mount answers, once there is another one, and so does that. */
static int ask_worker(const char *store, const char *mountpoint, struct upgrading *u, int *code,
		      struct err *err)
{
	char *argv[] = { "hand-over", (char *)store, NULL };
	struct verb_io io = { take_out, take_err, u, .stop = u->io->stop };
	uint64_t end = clock_mono_ms() + BETWEEN_MS;
	struct statfs st;
	int rc;
	while ((rc = control_call(store, 2, argv, &io, code, err)) == -ECONNREFUSED &&
	       clock_mono_ms() < end && !atomic_load(&verbs_stop) && statfs(mountpoint, &st) == 0)
		usleep(UPGRADE_POLL_US);
	return rc;
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
	struct upgrading u = { .io = c->io };
	rc = ask_worker(m.source, full, &u, &code, &err);
	/* Our call may have been cut off by what it asked for. */
	if (rc < 0 && rc != -ECONNRESET)
		return verb_fail(c, rc, &err);
	if (rc == 0 && code != EXIT_DONE && code != EXIT_INTERRUPTED)
		return code;
	struct statfs st;
	while (lives(u.before) && !verb_stopped(c))
		usleep(UPGRADE_POLL_US);
	if (lives(u.before)) {
		rc = err_set(&err, -EINTR, "interrupted; the daemon goes on with the upgrade");
		return verb_fail(c, rc, &err);
	}
	if (statfs(full, &st) < 0)
		return verb_fail(c, err_set(&err, -errno, "%s: %s", full, strerror(errno)), &err);
	return EXIT_DONE;
}
