/* ask: further questions of the scripts of this folder, of which no shell tool asks exactly so.
 *
 *     ask refusals FILE FOLDER ABSENT  a line a call that would change something: what it answers
 *     ask xattrs PATH…                 both calls of each attribute, with every size that matters
 *     ask holes FILE                   a line an extent; holes read as zero, and no page of zeros
 *                                      is without one
 *     ask handles MNT PATH…            handles of all paths, then a line on standard output; after
 *                                      one on standard input each is opened: "ok", or the error's
 *                                      name
 *     ask follow FOLDER                a network's folder: until something comes on standard input,
 *                                      how long the kernel's caches lag behind its status, in ms
 *     ask append FOLDER SIZE           lists FOLDER until input comes: each name once, in order,
 *                                      and none that was listed is lost; telldir and seekdir in
 *                                      between
 *     ask rss PID                      kilobytes of a process
 *
 * Built by the scripts with cc. Says what is wrong on standard output, exits with 1 then. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 20];

static int fail(const char *what, const char *path)
{
	printf("%s: %s: %s\n", what, path, strerror(errno));
	return 1;
}

static bool input_waits(int timeout_ms)
{
	struct pollfd p = { .fd = 0, .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- refusals ---- */

static void say(const char *call, const char *target, long rc)
{
	printf("%s %s %s\n", call, target, rc < 0 ? strerrorname_np(errno) : "done");
	if (rc > 2 && (strncmp(call, "open", 4) == 0 || strcmp(call, "creat") == 0))
		close((int)rc);
}

static long bind_at(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char link_path[64];

	/* A path may be longer than a socket's name: by the folder's descriptor it never is. */
	char *copy = strdup(path), *slash = strrchr(copy, '/');

	*slash = '\0';
	int dir = open(copy, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(link_path, sizeof link_path, "/proc/self/fd/%d/%.24s", dir, slash + 1);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", link_path);
	long rc = bind(fd, (struct sockaddr *)&a, sizeof a);
	int saved = errno;

	close(fd);
	close(dir);
	free(copy);
	errno = saved;
	return rc;
}

static void by_path(const char *path, const char *is, const char *file, const char *absent)
{
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	struct timeval old[2] = { { 1, 0 }, { 1, 0 } };

	say("open-write", is, open(path, O_WRONLY | O_CLOEXEC));
	say("open-both", is, open(path, O_RDWR | O_CLOEXEC));
	say("open-append", is, open(path, O_WRONLY | O_APPEND | O_CLOEXEC));
	say("open-truncate", is, open(path, O_WRONLY | O_TRUNC | O_CLOEXEC));
	say("open-read-truncate", is, open(path, O_RDONLY | O_TRUNC | O_CLOEXEC));
	say("open-create-excl", is, open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	say("open-create-write", is, open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	say("open-tmpfile", is, open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
	say("creat", is, creat(path, 0644));
	say("mkdir", is, mkdir(path, 0755));
	say("rmdir", is, rmdir(path));
	say("unlink", is, unlink(path));
	say("remove", is, remove(path));
	say("rename-away", is, rename(path, absent));
	say("rename-onto", is, rename(file, path));
	say("rename-exchange", is,
	    syscall(SYS_renameat2, AT_FDCWD, file, AT_FDCWD, path, RENAME_EXCHANGE));
	say("link-from", is, link(path, absent));
	say("link-to", is, link(file, path));
	say("symlink", is, symlink("x", path));
	say("mknod-file", is, mknod(path, S_IFREG | 0644, 0));
	say("mknod-fifo", is, mknod(path, S_IFIFO | 0644, 0));
	say("mknod-null", is, mknod(path, S_IFCHR | 0644, 0x103));
	say("bind", is, bind_at(path));
	say("chmod", is, chmod(path, 0777));
	say("fchmodat", is, fchmodat(AT_FDCWD, path, 0777, 0));
	say("chown", is, chown(path, 1, 1));
	say("lchown", is, lchown(path, 1, 1));
	say("truncate", is, truncate(path, 0));
	say("truncate-up", is, truncate(path, 1 << 20));
	say("utimensat", is, utimensat(AT_FDCWD, path, times, 0));
	say("utimensat-now", is, utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW));
	say("utimes", is, utimes(path, old));
	say("setxattr", is, setxattr(path, "user.x", "y", 1, 0));
	say("setxattr-ours", is, setxattr(path, "user.chain.hash", "y", 1, 0));
	say("lsetxattr", is, lsetxattr(path, "user.x", "y", 1, XATTR_CREATE));
	say("removexattr", is, removexattr(path, "user.chain.hash"));
	say("access-write", is, access(path, W_OK));
	say("faccessat-write", is, faccessat(AT_FDCWD, path, W_OK, AT_EACCESS));
}

static void by_descriptor(const char *path, const char *is, const char *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), from = open(file, O_RDONLY | O_CLOEXEC),
	    flags = 0;
	struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
	off_t at = 0, to = 0;
	struct fsxattr fsx = { .fsx_xflags = FS_XFLAG_NODUMP };
	void *map;

	if (fd < 0 || from < 0) {
		say("open-read", is, -1);
		return;
	}
	say("write", is, write(fd, "x", 1));
	say("pwrite", is, pwrite(fd, "x", 1, 0));
	say("ftruncate", is, ftruncate(fd, 0));
	say("fchmod", is, fchmod(fd, 0777));
	say("fchown", is, fchown(fd, 1, 1));
	say("futimens", is, futimens(fd, times));
	say("fsetxattr", is, fsetxattr(fd, "user.x", "y", 1, 0));
	say("fremovexattr", is, fremovexattr(fd, "user.x"));
	say("fallocate", is, fallocate(fd, 0, 0, 4096));
	say("punch-hole", is, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	say("copy_file_range", is, copy_file_range(from, &at, fd, &to, 1, 0));
	flags = FS_NODUMP_FL;
	say("FS_IOC_SETFLAGS", is, ioctl(fd, FS_IOC_SETFLAGS, &flags));
	say("FS_IOC_FSSETXATTR", is, ioctl(fd, FS_IOC_FSSETXATTR, &fsx));
	say("FICLONE", is, ioctl(fd, FICLONE, from));
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	say("mmap-shared-write", is, map == MAP_FAILED ? -1 : 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		say("mprotect-write", is, mprotect(map, 4096, PROT_READ | PROT_WRITE));
		munmap(map, 4096);
	}
	say("flock", is, flock(fd, LOCK_SH));
	close(fd);
	close(from);
}

static int do_refusals(const char *file, const char *folder, const char *absent)
{
	by_path(file, "file", file, absent);
	by_path(folder, "folder", file, absent);
	by_path(absent, "absent", file, absent);
	by_descriptor(file, "file", file);
	by_descriptor(folder, "folder", file);
	return 0;
}

/* ---- attributes ---- */

static int wrong(const char *what, const char *path, long got)
{
	printf("%s: %s: %ld %s\n", path, what, got, got < 0 ? strerrorname_np(errno) : "");
	return 1;
}

static int one_attribute(const char *path, const char *name)
{
	char value[4096], again[4096];
	ssize_t n = getxattr(path, name, NULL, 0);
	int bad = 0;

	if (n <= 0 || n > 4096)
		return wrong(name, path, n);
	ssize_t got = getxattr(path, name, value, (size_t)n);

	bad += got != n && wrong("a buffer as large as it", path, got);
	got = getxattr(path, name, again, sizeof again);
	bad += (got != n || memcmp(value, again, (size_t)n) != 0) &&
	       wrong("a larger one", path, got);
	got = getxattr(path, name, again, (size_t)n - 1);
	bad += n > 1 && (got >= 0 || errno != ERANGE) && wrong("a smaller one", path, got);
	bad += memchr(value, '\n', (size_t)n) != NULL && wrong("a line end in it", path, n);
	return bad;
}

static int absent(const char *path, const char *name, int want)
{
	ssize_t got = getxattr(path, name, buffer, 0);

	return got < 0 && errno == want ? 0 : wrong(name, path, got);
}

static int attributes_of(const char *path)
{
	ssize_t n = listxattr(path, NULL, 0);
	char *list = n > 0 ? malloc((size_t)n) : NULL;
	int bad = 0;

	if (n < 0)
		return wrong("list", path, n);
	bad += absent(path, "security.selinux", EOPNOTSUPP);
	bad += absent(path, "system.posix_acl_access", EOPNOTSUPP);
	if (geteuid() == 0) /* for others the kernel answers by itself */
		bad += absent(path, "trusted.none", EOPNOTSUPP);
	bad += absent(path, "user.other", EOPNOTSUPP);
	bad += absent(path, "user.chain.none", ENODATA);
	if (n == 0)
		return bad + absent(path, "user.chain.hash", ENODATA);
	ssize_t got = listxattr(path, list, (size_t)n);

	bad += got != n && wrong("a list as large as told", path, got);
	got = listxattr(path, list, (size_t)n - 1);
	bad += (got >= 0 || errno != ERANGE) && wrong("a smaller list", path, got);
	got = listxattr(path, list, (size_t)n);
	for (const char *at = list; at < list + got; at += strlen(at) + 1)
		bad += one_attribute(path, at);
	free(list);
	return bad;
}

static int do_xattrs(char **paths)
{
	int bad = 0;

	for (; *paths; paths++)
		bad += attributes_of(*paths);
	return bad != 0;
}

/* ---- holes ---- */

static bool all_zero(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

static int do_holes(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), bad = 0;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail("open", path);
	char *bytes = calloc(1, (size_t)st.st_size + 1);

	if (pread(fd, bytes, (size_t)st.st_size, 0) != st.st_size)
		return fail("read", path);
	for (off_t at = 0, end; at < st.st_size; at = end) {
		off_t data = lseek(fd, at, SEEK_DATA);
		bool hole = data != at;

		end = hole ? (data < 0 ? st.st_size : data) : lseek(fd, at, SEEK_HOLE);
		if (end <= at)
			return fail("no way on", path);
		printf("%s %jd %jd\n", hole ? "hole" : "data", (intmax_t)at, (intmax_t)end);
		if (hole && !all_zero(bytes + at, (size_t)(end - at)))
			bad += wrong("a hole that is not zero", path, at);
		for (off_t p = (at + 4095) / 4096 * 4096; !hole && p + 4096 <= end; p += 4096)
			if (all_zero(bytes + p, 4096))
				bad += wrong("a page of zeros that is no hole", path, p);
	}
	if (lseek(fd, st.st_size, SEEK_DATA) >= 0 || errno != ENXIO)
		bad += wrong("data behind the end", path, 0);
	if (lseek(fd, st.st_size + 5, SEEK_HOLE) >= 0 || errno != ENXIO)
		bad += wrong("a hole behind the end", path, 0);
	return bad != 0;
}

/* ---- handles ---- */

struct handle {
	struct file_handle head;
	char bytes[MAX_HANDLE_SZ];
	struct stat st;
	char first[64]; /* of its bytes, or its path */
	ssize_t size;
};

static ssize_t look_into(int fd, const struct stat *st, char out[64])
{
	char link_path[32], path[4096];
	ssize_t n;

	if (S_ISREG(st->st_mode))
		return pread(fd, out, 64, 0);
	snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
	n = readlink(link_path, path, sizeof path);
	if (n > 64)
		memcpy(out, path + n - 64, 64);
	else if (n > 0)
		memcpy(out, path, (size_t)n);
	return n > 64 ? 64 : n;
}

static int take_handle(const char *path, struct handle *h)
{
	int mount_id, fd = open(path, O_RDONLY | O_CLOEXEC);

	h->head.handle_bytes = MAX_HANDLE_SZ;
	if (fd < 0 || fstat(fd, &h->st) < 0 ||
	    name_to_handle_at(AT_FDCWD, path, &h->head, &mount_id, 0) < 0)
		return fail("handle", path);
	h->size = look_into(fd, &h->st, h->first);
	close(fd);
	return 0;
}

static int use_handle(int mount, const char *path, struct handle *h)
{
	int fd = open_by_handle_at(mount, &h->head, O_RDONLY | O_CLOEXEC);
	char first[64];
	struct stat st;

	if (fd < 0) {
		printf("%s %s\n", strerrorname_np(errno), path);
		return 0;
	}
	bool same = fstat(fd, &st) == 0 && st.st_ino == h->st.st_ino &&
		    st.st_mode == h->st.st_mode && st.st_size == h->st.st_size &&
		    st.st_mtim.tv_sec == h->st.st_mtim.tv_sec &&
		    look_into(fd, &st, first) == h->size &&
		    memcmp(first, h->first, (size_t)h->size) == 0;

	printf("%s %s\n", same ? "ok" : "another", path);
	close(fd);
	return 0;
}

static int do_handles(const char *at, char **paths, size_t count)
{
	struct handle *list = calloc(count, sizeof *list);
	char line[16];

	for (size_t i = 0; i < count; i++)
		if (take_handle(paths[i], &list[i]))
			return 1;
	puts("taken");
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		return 1;
	int mount = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; i < count; i++)
		use_handle(mount, paths[i], &list[i]);
	free(list);
	return 0;
}

/* ---- following ---- */

struct truth {
	uint64_t tip, missing; /* of shard 0 */
};

static uint64_t number_behind(const char *words)
{
	const char *at = strstr(buffer, words);

	return at ? strtoull(at + strlen(words), NULL, 10) : 0;
}

static struct truth truth_of(const char *net)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/status", net);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buffer, sizeof buffer - 1);

	if (fd >= 0)
		close(fd);
	buffer[n < 0 ? 0 : n] = '\0';
	return (struct truth){ number_behind("shard 0 tip "), number_behind("shard 0 missing ") };
}

static uint64_t listed(DIR *dir)
{
	const struct dirent *e;
	uint64_t newest = 0;

	rewinddir(dir);
	while ((e = readdir(dir))) {
		uint64_t height = strtoull(e->d_name, NULL, 10);

		if (e->d_name[0] == '0' && height > newest)
			newest = height;
	}
	return newest;
}

static uint64_t head_of(const char *net)
{
	char path[4096], target[256];

	snprintf(path, sizeof path, "%s/head", net);
	ssize_t n = readlink(path, target, sizeof target - 1);

	target[n < 0 ? 0 : n] = '\0';
	return strrchr(target, '/') ? strtoull(strrchr(target, '/') + 1, NULL, 10) : 0;
}

enum { LISTING, HEAD, NAME, GAP, WAYS };

struct lag {
	double behind_since, most, sum;
	unsigned count;
};

static void note(struct lag *l, bool behind, double now)
{
	if (behind && l->behind_since == 0)
		l->behind_since = now;
	if (behind || l->behind_since == 0)
		return;
	double ms = now - l->behind_since;

	l->most = ms > l->most ? ms : l->most;
	l->sum += ms;
	l->count++;
	l->behind_since = 0;
}

static bool has_gap(DIR *gaps)
{
	const struct dirent *e;
	bool found = false;

	rewinddir(gaps);
	while ((e = readdir(gaps)))
		found |= strcmp(e->d_name, "0") == 0;
	return found;
}

struct followed {
	const char *net;
	DIR *range, *gaps;
	struct lag lags[WAYS];
	uint64_t steps, last;
};

/* What status says is the truth of now: it is asked for each time. Everything else is in caches
 * that the daemon has to clear. */
static void look_once(struct followed *f)
{
	struct truth t = truth_of(f->net);
	struct stat st;
	char path[4096];

	snprintf(path, sizeof path, "%s/legacy/blocks/0000000000-0000000999/%010" PRIu64 "/header",
		 f->net, t.tip);
	f->steps += t.tip != f->last;
	f->last = t.tip;
	note(&f->lags[NAME], t.tip && stat(path, &st) < 0, now_ms());
	note(&f->lags[LISTING], listed(f->range) < t.tip, now_ms());
	note(&f->lags[HEAD], head_of(f->net) < t.tip, now_ms());
	bool listed_gap = has_gap(f->gaps);

	if (truth_of(f->net).missing == t.missing)
		note(&f->lags[GAP], listed_gap != (t.missing > 0), now_ms());
	/* A name that is not there yet must not stay away: asked for again and again. */
	snprintf(path, sizeof path, "%s/legacy/blocks/0000000000-0000000999/%010" PRIu64, f->net,
		 t.tip + 1);
	(void)stat(path, &st);
}

static bool is_behind(const struct followed *f)
{
	for (int w = 0; w < WAYS; w++)
		if (f->lags[w].behind_since != 0)
			return true;
	return false;
}

#define NEVER_MS 10000 /* behind for so long after the end is for ever */

static int do_follow(const char *net)
{
	static const char *const ways[WAYS] = { "listing", "head", "name", "gaps" };
	struct followed f = { .net = net };
	double end = 0;
	char path[4096];

	snprintf(path, sizeof path, "%s/legacy/blocks/0000000000-0000000999", net);
	f.range = opendir(path);
	snprintf(path, sizeof path, "%s/gaps", net);
	f.gaps = opendir(path);
	if (!f.range || !f.gaps)
		return fail("open", path);
	do {
		look_once(&f);
		if (end == 0 && input_waits(0))
			end = now_ms() + NEVER_MS;
	} while (end == 0 || (is_behind(&f) && now_ms() < end));
	printf("steps %" PRIu64 "\n", f.steps);
	for (int w = 0; w < WAYS; w++) {
		struct lag *l = &f.lags[w];

		note(l, false, now_ms());
		printf("%s behind %u most %.1f mean %.2f\n", ways[w], l->count, l->most,
		       l->count ? l->sum / l->count : 0);
	}
	return 0;
}

/* ---- listing what grows ---- */

static int do_append(const char *path, size_t size)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), bad = 0;
	size_t passes = 0, before = 0, most = 0;

	if (fd < 0)
		return fail("open", path);
	do {
		char last[256] = "";
		size_t count = 0;
		long n;

		if (lseek(fd, 0, SEEK_SET) < 0)
			return fail("rewind", path);
		while ((n = syscall(SYS_getdents64, fd, buffer, size)) > 0) {
			off_t cookie = 0;

			for (long at = 0; at < n;) {
				const struct dirent64 *e = (const void *)(buffer + at);

				if (e->d_name[0] == '0') {
					bad += last[0] && strcmp(last, e->d_name) >= 0 &&
					       wrong("out of order", e->d_name, 0);
					snprintf(last, sizeof last, "%s", e->d_name);
					count++;
				}
				cookie = e->d_off;
				at += e->d_reclen;
			}
			/* As telldir and seekdir do. */
			if (lseek(fd, cookie, SEEK_SET) < 0)
				return fail("seek", path);
		}
		if (n < 0)
			return fail("getdents", path);
		if (count < before)
			bad += wrong("names were lost", path, (long)count);
		most = count;
		before = count;
		passes++;
	} while (!input_waits(0) && bad < 10);
	printf("%zu passes, %zu names\n", passes, most);
	return bad != 0;
}

static int do_rss(const char *pid)
{
	char path[64], line[256];
	long kilobytes = 0;

	snprintf(path, sizeof path, "/proc/%s/status", pid);
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kilobytes);
	printf("%ld\n", kilobytes);
	return !f;
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";

	if (strcmp(what, "refusals") == 0 && argc == 5)
		return do_refusals(argv[2], argv[3], argv[4]);
	if (strcmp(what, "xattrs") == 0)
		return do_xattrs(argv + 2);
	if (strcmp(what, "holes") == 0)
		return do_holes(argv[2]);
	if (strcmp(what, "handles") == 0 && argc > 3)
		return do_handles(argv[2], argv + 3, (size_t)argc - 3);
	if (strcmp(what, "follow") == 0)
		return do_follow(argv[2]);
	if (strcmp(what, "append") == 0 && argc == 4)
		return do_append(argv[2], (size_t)atol(argv[3]));
	if (strcmp(what, "rss") == 0)
		return do_rss(argv[2]);
	fputs("ask: see the head of ask.c\n", stderr);
	return 2;
}
