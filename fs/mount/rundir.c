#include "fs/mount/rundir.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/trace.h"
#include "fs/connection/mountpoint.h"

#define TRIES 16

static const char *const kinds[] = { "ctl", "plain" };

/* ---- the folder for all of a user's mounts ---- */

static int base_name(char out[PATH_MAX], bool fallback)
{
	const char *own = getenv("XDG_RUNTIME_DIR");
	int n;

	if (!fallback && geteuid() == 0)
		n = snprintf(out, PATH_MAX, "/run/chainfs");
	else if (!fallback && own && *own == '/')
		n = snprintf(out, PATH_MAX, "%s/chainfs", own);
	else
		n = snprintf(out, PATH_MAX, "/tmp/chainfs-%u", (unsigned)geteuid());
	return n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* In /tmp anybody may have made it first, and would then own what ctl is mounted on. */
static int base_make(const char *path, struct err *err)
{
	mode_t mode = geteuid() == 0 ? 0755 : 0700;
	struct stat st;

	if (mkdir(path, mode) == 0) {
		if (chmod(path, mode) < 0) /* whatever the umask is */
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
	} else if (errno != EEXIST) {
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	}
	if (lstat(path, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
		return err_set(err, -EPERM, "%s: it is not a folder that only its owner may write",
			       path);
	return 0;
}

/* ---- what died ---- */

/* What stands behind "ctl-" or "plain-"; NULL: it is no name of ours. */
static const char *behind_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		size_t n = strlen(kinds[i]);

		if (strncmp(name, kinds[i], n) == 0 && name[n] == '-')
			return name + n + 1;
	}
	return NULL;
}

/* One that has ended and that nobody waited for serves nothing any more. */
static bool is_zombie(long pid)
{
	char path[64], text[256] = "";

	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	const char *name_end = fd >= 0 && read(fd, text, sizeof text - 1) > 0 ? strrchr(text, ')')
									      : NULL;

	return name_end && strncmp(name_end, ") Z", 3) == 0;
}

static bool process_lives(const char *number)
{
	char *end;
	long pid = strtol(number, &end, 10);

	if (pid > 0 && is_zombie(pid))
		return false;
	return pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

static void each_dead(const char *base, void (*each)(void *arg, const char *path), void *arg)
{
	AUTO(files_dir_closep) DIR *d = opendir(base);
	const struct dirent *e;
	char path[PATH_MAX];

	while (d && (e = readdir(d))) {
		/* Of processes that are gone alone: a live mount could let us wait for its
		 * daemon. */
		const char *number = behind_kind(e->d_name);

		if (!number || process_lives(number))
			continue;
		if ((size_t)snprintf(path, sizeof path, "%s/%s", base, e->d_name) >= sizeof path)
			continue;
		each(arg, path);
	}
}

static void clear_one(void *arg, const char *path)
{
	if (mountpoint_is_stale(path) && mountpoint_unmount(path, UNMOUNT_LAZY, NULL) == 0)
		trace_info("mount", "left by a daemon that died, removed", "path=%s", path);
	rmdir(path);
}

void rundir_each_dead(void (*each)(void *arg, const char *path), void *arg)
{
	char base[PATH_MAX], fallback[PATH_MAX];

	if (base_name(base, false) == 0)
		each_dead(base, each, arg);
	if (base_name(fallback, true) == 0 && strcmp(base, fallback) != 0)
		each_dead(fallback, each, arg);
}

void rundir_clear_dead(void)
{
	rundir_each_dead(clear_one, NULL);
}

/* ---- one of our own ---- */

static int own_make(const char *base, const char *what, pid_t pid, char out[PATH_MAX],
		    struct err *err)
{
	for (int i = 1; i <= TRIES; i++) {
		int n = snprintf(out, PATH_MAX, i == 1 ? "%s/%s-%d" : "%s/%s-%d-%d", base, what,
				 (int)pid, i);

		if (n >= PATH_MAX)
			return err_set(err, -ENAMETOOLONG, "%s: it is too long", base);
		if (mkdir(out, 0755) == 0)
			return 0;
		if (errno != EEXIST)
			return err_set(err, -errno, "%s: %s", out, strerror(errno));
		if (mountpoint_prepare(out, err) == 0) /* left by a process that had our number */
			return 0;
	}
	return err_set(err, -EEXIST, "%s: all of its names for this process are in use", base);
}

int rundir_make(const char *what, const char *wanted, pid_t pid, char out[PATH_MAX],
		struct err *err)
{
	char base[PATH_MAX];

	if (wanted) {
		if (mkdir(wanted, 0755) < 0 && errno != EEXIST && errno != ENOTCONN)
			return err_set(err, -errno, "%s: %s", wanted, strerror(errno));
		int rc = mountpoint_full(wanted, out, err);

		return rc < 0 ? rc : mountpoint_prepare(out, err);
	}
	int rc = base_name(base, false);

	if (rc == 0)
		rc = base_make(base, err);
	if (rc < 0 && base_name(base, true) == 0)
		rc = base_make(base, err);
	if (rc < 0)
		return err_note(err, rc, "no folder for %s", what);
	each_dead(base, clear_one, NULL);
	return own_make(base, what, pid ? pid : getpid(), out, err);
}

void rundir_remove(const char *path)
{
	char base[PATH_MAX];

	if (rmdir(path) < 0 && errno != ENOENT)
		trace_info("mount", "a run-time folder stays behind", "path=%s errno=%d", path,
			   errno);
	/* The last one takes the folder above with it, when that is one of ours. */
	snprintf(base, sizeof base, "%s", path);
	char *slash = strrchr(base, '/');

	if (!slash || !behind_kind(slash + 1))
		return;
	*slash = '\0';
	slash = strrchr(base, '/');
	if (slash && strncmp(slash + 1, "chainfs", strlen("chainfs")) == 0)
		rmdir(base);
}
