#include "fs/connection/mountpoint.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/trace.h"

#define ANSWER_WAIT_MS 2000
#define STALE_MAX      16 /* dead mounts on top of each other */
#define BUSY           "%s is busy: a file or folder below it is in use"
#define FOREIGN        "a dead mount that is not of chainfs covers it; unmount it first"

extern char **environ;

/* ---- what is mounted ---- */

int mountpoint_full(const char *path, char out[PATH_MAX], struct err *err)
{
	char folder[PATH_MAX];

	if (realpath(path, out))
		return 0;
	if (errno != ENOTCONN)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	/* Its daemon died: the last part cannot be looked at, the folder above can. */
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	size_t name = n;

	while (name > 0 && path[name - 1] != '/')
		name--;
	if (name >= sizeof folder || n - name == 0)
		return err_set(err, -ENAMETOOLONG, "%s: it is too long", path);
	memcpy(folder, path, name);
	folder[name] = '\0';
	if (!realpath(name ? folder : ".", out))
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	size_t used = strlen(out);
	int wrote = snprintf(out + used, PATH_MAX - used, "%s%.*s", used > 1 ? "/" : "",
			     (int)(n - name), path + name);

	if ((size_t)wrote >= PATH_MAX - used)
		return err_set(err, -ENAMETOOLONG, "%s: it is too long", path);
	return 0;
}

/* "\040" is a blank there. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] && from[3]) {
			*to++ = (char)((from[1] - '0') << 6 | (from[2] - '0') << 3 |
				       (from[3] - '0'));
			from += 3;
		} else {
			*to++ = *from;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 /root /mount/point rw,noatime shared:1 - type source options" */
static bool parse_mount(char *line, const char **path, struct mount_info *out)
{
	char *words[5], *rest = line, *behind = strstr(line, " - ");

	if (!behind)
		return false;
	*behind = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!(words[i] = strsep(&rest, " ")))
			return false;
	unescape(words[4]);
	*path = words[4];
	rest = behind + 3;
	char *type = strsep(&rest, " "), *source = strsep(&rest, " ");

	if (!type || !source)
		return false;
	unescape(source);
	snprintf(out->type, sizeof out->type, "%s", type);
	snprintf(out->source, sizeof out->source, "%s", source);
	out->id = (unsigned)strtoul(words[0], NULL, 10);
	if (sscanf(words[2], "%u:%u", &out->major, &out->minor) != 2)
		out->major = out->minor = 0;
	return true;
}

static int each_in(const char *file, void (*each)(void *, const char *, const struct mount_info *),
		   void *arg, struct err *err)
{
	AUTO(files_stream_closep) FILE *list = fopen(file, "re");
	AUTO(base_freep) char *line = NULL;
	struct mount_info m;
	const char *path;
	size_t cap = 0;

	if (!list)
		return err_set(err, -errno, "%s: %s", file, strerror(errno));
	while (getline(&line, &cap, list) > 0)
		if (parse_mount(line, &path, &m))
			each(arg, path, &m);
	return 0;
}

int mountpoint_each(void (*each)(void *arg, const char *path, const struct mount_info *m),
		    void *arg, struct err *err)
{
	return each_in("/proc/self/mountinfo", each, arg, err);
}

struct wanted { /* a path, and what is mounted there */
	const char        *full;
	struct mount_info *out;
	bool               found;
};

static void take_wanted(void *arg, const char *path, const struct mount_info *m)
{
	struct wanted *w = arg;

	if (strcmp(path, w->full) != 0)
		return;
	*w->out = *m; /* the topmost one comes last */
	w->found = true;
}

int mountpoint_find(const char *full, struct mount_info *out, struct err *err)
{
	struct wanted w = { full, out, false };
	int rc = mountpoint_each(take_wanted, &w, err);

	return rc < 0 ? rc : w.found;
}

int mountpoint_seen_by(pid_t pid, const char *full, struct err *err)
{
	struct mount_info m;
	struct wanted w = { full, &m, false };
	char file[64];

	snprintf(file, sizeof file, "/proc/%ld/mountinfo", (long)pid);
	int rc = each_in(file, take_wanted, &w, err);

	return rc < 0 ? rc : w.found && strcmp(m.type, "fuse." MOUNT_SUBTYPE) == 0;
}

bool mountpoint_is_ours(const struct mount_info *m)
{
	return strcmp(m->type, "fuse." MOUNT_SUBTYPE) == 0 ||
	       strcmp(m->type, "fuse." MOUNT_SUBTYPE_CTL) == 0 ||
	       strcmp(m->type, "fuse." MOUNT_SUBTYPE_PLAIN) == 0;
}

/* Not stat(2): the kernel still has the attributes of the root, and gives them. */
static int ask(const char *full)
{
	struct statfs st;

	if (statfs(full, &st) == 0)
		return MOUNT_ANSWERS;
	/* It died before, or while we asked. */
	return errno == ENOTCONN || errno == ECONNABORTED ? MOUNT_STALE : MOUNT_ANSWERS;
}

/* A daemon that is stopped, or hangs, would hold us for ever, and no signal but one ends the wait:
 * a child asks. */
enum mount_answer mountpoint_answer(const char *full)
{
	struct mount_info m;
	int ends[2], status = 0;

	if (mountpoint_find(full, &m, NULL) != 1 || !mountpoint_is_ours(&m))
		return MOUNT_ANSWERS;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return MOUNT_ANSWERS;
	pid_t pid = fork();

	if (pid == 0)
		_exit(ask(full));
	base_closep(&ends[1]); /* the child's end closes when it ends */
	struct pollfd end = { .fd = ends[0] };
	int rc = pid < 0 ? 1 : poll(&end, 1, ANSWER_WAIT_MS);

	base_closep(&ends[0]);
	if (pid < 0)
		return MOUNT_ANSWERS;
	/* One that hangs inside the kernel does not die of a signal either: it is not waited
	 * for. */
	if (rc <= 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, WNOHANG);
		return MOUNT_SILENT;
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? (enum mount_answer)WEXITSTATUS(status) : MOUNT_ANSWERS;
}

bool mountpoint_is_stale(const char *full)
{
	return mountpoint_answer(full) == MOUNT_STALE;
}

/* ---- unmounting ---- */

static int words_of(int fd, char *out, size_t out_size)
{
	size_t n = 0;
	ssize_t more;

	while (n + 1 < out_size &&
	       ((more = read(fd, out + n, out_size - 1 - n)) > 0 || (more < 0 && errno == EINTR)))
		n += more > 0 ? (size_t)more : 0;
	while (n && (out[n - 1] == '\n' || out[n - 1] == ' '))
		n--;
	out[n] = '\0';
	return (int)n;
}

/* What it says on standard error comes back, so that the person reads the reason. */
static int fusermount(const char *full, bool lazy, struct err *err)
{
	char *args[] = { "fusermount3", "-u", lazy ? "-uz" : "-u", "--", (char *)full, NULL };
	posix_spawn_file_actions_t actions;
	char said[256] = "";
	int ends[2], status = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_set(err, -errno, "%s: %s", full, strerror(errno));
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
	int rc = -posix_spawnp(&pid, args[0], &actions, NULL, args, environ);

	posix_spawn_file_actions_destroy(&actions);
	base_closep(&ends[1]);
	if (rc == 0) {
		words_of(ends[0], said, sizeof said);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	base_closep(&ends[0]);
	if (rc < 0)
		return err_set(err, rc, "%s: fusermount3 does not start (package fuse3): %s", full,
			       strerror(-rc));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (strstr(said, "busy"))
		return err_set(err, -EBUSY, BUSY, full);
	return err_set(err, -EPERM, "%s: %s", full, said[0] ? said : "fusermount3 failed");
}

int mountpoint_unmount(const char *full, enum unmount_how how, struct err *err)
{
	static const int flags[] = {
		[UNMOUNT_PLAIN] = 0, [UNMOUNT_LAZY] = MNT_DETACH, [UNMOUNT_FORCE] = MNT_FORCE
	};

	if (geteuid() != 0 && how == UNMOUNT_FORCE)
		return err_set(err, -EPERM, "%s: only root may force it", full);
	if (geteuid() != 0)
		return fusermount(full, how == UNMOUNT_LAZY, err);
	if (umount2(full, UMOUNT_NOFOLLOW | flags[how]) == 0)
		return 0;
	if (errno == EBUSY)
		return err_set(err, -EBUSY, BUSY, full);
	return err_set(err, -errno, "%s: %s", full, strerror(errno));
}

/* ---- aborting ---- */

#define CONNECTIONS   "/sys/fs/fuse/connections"
#define CONTROL_MAGIC 0x65735543 /* of fusectl, for statfs(2) */

/* Where nobody mounted it, root does for the moment, at a place of its own. */
static int open_control(unsigned minor, struct err *err)
{
	char path[128], folder[] = "/tmp/chainfs-fusectl-XXXXXX";

	snprintf(path, sizeof path, CONNECTIONS "/%u/abort", minor);
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	int rc = -errno;
	struct statfs control;

	if (rc != -ENOENT || geteuid() != 0 ||
	    (statfs(CONNECTIONS, &control) == 0 && control.f_type == CONTROL_MAGIC))
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	if (!mkdtemp(folder))
		return err_set(err, -errno, "%s: %s", folder, strerror(errno));
	if (mount("fusectl", folder, "fusectl", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0) {
		snprintf(path, sizeof path, "%s/%u/abort", folder, minor);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		rc = -errno;
		umount2(folder, MNT_DETACH);
	} else {
		rc = -errno;
	}
	rmdir(folder);
	return fd >= 0 ? fd : err_set(err, rc, "%s: %s", path, strerror(-rc));
}

int mountpoint_abort(unsigned minor, struct err *err)
{
	AUTO(base_closep) int fd = open_control(minor, err);

	if (fd < 0)
		return fd;
	if (write(fd, "1", 1) != 1)
		return err_set(err, -errno, "connection %u cannot be aborted: %s", minor,
			       strerror(errno));
	trace_warn("mount", "a connection was aborted, who waited for it gets an error", "minor=%u",
		   minor);
	return 0;
}

/* ---- once mounted ---- */

void mountpoint_read_ahead(const char *full, unsigned kib)
{
	struct mount_info m;
	char file[64];

	if (mountpoint_find(full, &m, NULL) != 1)
		return;
	snprintf(file, sizeof file, "/sys/class/bdi/%u:%u/read_ahead_kb", m.major, m.minor);
	AUTO(base_closep) int fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%u\n", kib) < 0)
		trace_debug("mount", "the kernel reads ahead as far as it does by itself",
			    "path=%s errno=%d", full, errno);
}

/* ---- before mounting ---- */

static int check_empty(const char *full, struct err *err)
{
	AUTO(files_dir_closep) DIR *d = opendir(full);
	const struct dirent *e;

	if (!d)
		return err_set(err, -errno, "%s: %s", full, strerror(errno));
	errno = 0;
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			return err_set(err, -ENOTEMPTY, "%s is not empty: mount on an empty folder",
				       full);
	return errno ? err_set(err, -errno, "%s: %s", full, strerror(errno)) : 0;
}

int mountpoint_prepare(const char *full, struct err *err)
{
	struct mount_info m;
	struct stat st;
	int rc;

	for (int i = 0; i < STALE_MAX && mountpoint_is_stale(full); i++) {
		trace_warn("mount", "the daemon of this mount point is gone, it is detached",
			   "path=%s", full);
		rc = mountpoint_unmount(full, UNMOUNT_LAZY, err);
		if (rc < 0)
			return err_note(err, rc, "a dead mount cannot be detached");
	}
	if (stat(full, &st) < 0)
		return err_set(err, -errno, "%s: %s", full,
			       errno == ENOTCONN ? FOREIGN : strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR, "%s is not a folder", full);
	rc = mountpoint_find(full, &m, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && mountpoint_is_ours(&m))
		return err_set(err, -EBUSY, "%s: %.300s is mounted there already", full, m.source);
	rc = check_empty(full, err);
	if (rc < 0)
		return rc;
	if (geteuid() != 0 && access(full, W_OK) < 0)
		return err_set(err, -EACCES, "%s: only its owner may mount on it", full);
	return 0;
}
