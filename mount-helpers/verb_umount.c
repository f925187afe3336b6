/* chainfs umount, and who keeps a mount busy. */
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/mount/mount.h"
#include "fs/mount/occupants.h"
#include "mount-helpers/verbs.h"

#define TOLD_MAX 20 /* lines about who keeps a mount busy */

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
