#include "fs/mount/occupants.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/files.h"
#include "core/base/trace.h"
#include "fs/connection/mountpoint.h"

#define PROC_PATH 64

struct search {
	struct mount_info mount;
	void (*on)(void *arg, const struct occupant *o);
	void *arg;
	size_t hidden;
	struct occupant found;
};

/* ---- what stands on which mount ---- */

/* "mnt_id:" of an open descriptor; 0: unknown, which no mount has. */
static unsigned fdinfo_mount(const char *path)
{
	AUTO(files_stream_closep) FILE *info = fopen(path, "re");
	char line[256];
	unsigned id = 0;

	while (info && fgets(line, sizeof line, info))
		if (sscanf(line, "mnt_id: %u", &id) == 1)
			break;
	return id;
}

/* The mount behind a link of /proc. O_PATH asks nothing of the file system behind it. */
static unsigned link_mount(const char *link)
{
	AUTO(base_closep) int fd = open(link, O_PATH | O_CLOEXEC);
	char path[PROC_PATH];

	if (fd < 0)
		return 0;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	return fdinfo_mount(path);
}

/* Where a link leads, as far as it can be read, in printable characters. */
static void link_target(const char *link, char *out, size_t out_size)
{
	char raw[PATH_MAX];
	ssize_t n = readlink(link, raw, sizeof raw);

	trace_escape(out, out_size, n > 0 ? raw : "?", n > 0 ? (size_t)n : 1);
}

static void tell(struct search *s, const char *words, const char *target)
{
	snprintf(s->found.what, sizeof s->found.what, "%s %s", words, target);
	s->on(s->arg, &s->found);
}

/* ---- one process ---- */

static void look_at_links(struct search *s, const char *process)
{
	static const struct {
		const char *name, *words;
	} links[] = {
		{ "cwd", "its working folder is" },
		{ "root", "its root is" },
		{ "exe", "it runs" },
	};
	char link[PROC_PATH + 8], target[PATH_MAX];

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		snprintf(link, sizeof link, "%s/%s", process, links[i].name);
		if (link_mount(link) != s->mount.id)
			continue;
		link_target(link, target, sizeof target);
		tell(s, links[i].words, target);
	}
}

static void look_at_files(struct search *s, const char *process)
{
	char path[PROC_PATH + 300], target[PATH_MAX];

	snprintf(path, sizeof path, "%s/fd", process);
	AUTO(files_dir_closep) DIR *files = opendir(path);
	const struct dirent *e;

	while (files && (e = readdir(files))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/fdinfo/%s", process, e->d_name);
		if (fdinfo_mount(path) != s->mount.id)
			continue;
		snprintf(path, sizeof path, "%s/fd/%s", process, e->d_name);
		link_target(path, target, sizeof target);
		tell(s, "it has open", target);
	}
}

/* "7f0000-7f1000 r--p 00000000 00:35 123   /path". The same file is mapped in parts, one after the
 * other. */
static void look_at_maps(struct search *s, const char *process)
{
	char path[PROC_PATH + 8];
	uint64_t last = 0;

	snprintf(path, sizeof path, "%s/maps", process);
	AUTO(files_stream_closep) FILE *maps = fopen(path, "re");
	AUTO(base_freep) char *line = NULL;
	size_t cap = 0;

	while (maps && getline(&line, &cap, maps) > 0) {
		unsigned major, minor;
		uint64_t ino;
		int name = 0;

		if (sscanf(line, "%*s %*s %*s %x:%x %" SCNu64 " %n", &major, &minor, &ino, &name) <
			    3 ||
		    !name || major != s->mount.major || minor != s->mount.minor || ino == last)
			continue;
		last = ino;
		line[strcspn(line, "\n")] = '\0';
		char target[PATH_MAX];

		trace_escape(target, sizeof target, line + name, strlen(line + name));
		tell(s, "it maps", target);
	}
}

static void look_at_process(struct search *s, const char *pid)
{
	char process[PROC_PATH], path[PROC_PATH + 8], raw[32];
	ssize_t n;

	snprintf(process, sizeof process, "/proc/%.20s", pid);
	s->found.pid = (pid_t)strtol(pid, NULL, 10);
	if (s->found.pid == getpid())
		return;
	snprintf(path, sizeof path, "%s/comm", process);
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return; /* it ended meanwhile */
	n = read(fd, raw, sizeof raw);
	trace_escape(s->found.command, sizeof s->found.command, raw,
		     n > 0 ? (size_t)n - (raw[n - 1] == '\n') : 0);
	snprintf(path, sizeof path, "%s/cwd", process);
	if (readlink(path, raw, sizeof raw) < 0) {
		/* A process that ended, or a thread of the kernel, has none. */
		s->hidden += errno == EACCES || errno == EPERM;
		return;
	}
	look_at_links(s, process);
	look_at_files(s, process);
	look_at_maps(s, process);
}

/* ---- what is mounted inside ---- */

static void look_at_mounts(struct search *s)
{
	AUTO(files_stream_closep) FILE *list = fopen("/proc/self/mountinfo", "re");
	AUTO(base_freep) char *line = NULL;
	size_t cap = 0;

	s->found.pid = 0;
	s->found.command[0] = '\0';
	while (list && getline(&line, &cap, list) > 0) {
		unsigned id, parent;
		int name = 0, end = 0;

		if (sscanf(line, "%u %u %*s %*s %n%*s%n", &id, &parent, &name, &end) < 2 || !end ||
		    parent != s->mount.id)
			continue;
		line[end] = '\0';
		tell(s, "inside it is mounted", line + name); /* escaped by the kernel */
	}
}

int occupants_find(const char *full, void (*on)(void *arg, const struct occupant *o), void *arg,
		   size_t *hidden, struct err *err)
{
	struct search s = { .on = on, .arg = arg };
	int rc = mountpoint_find(full, &s.mount, err);

	if (rc <= 0)
		return rc;
	AUTO(files_dir_closep) DIR *proc = opendir("/proc");
	const struct dirent *e;

	if (!proc)
		return err_set(err, -errno, "/proc: %s", strerror(errno));
	while ((e = readdir(proc)))
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9')
			look_at_process(&s, e->d_name);
	look_at_mounts(&s);
	*hidden = s.hidden;
	return 0;
}
