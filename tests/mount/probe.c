/* probe: what the scripts of this folder ask of a mount that no shell tool asks exactly so.
 *
 *     probe names SIZE FOLDER   the names by getdents64 alone, with a buffer of SIZE bytes
 * probe seek FOLDER goes back to cookies given earlier: the same names come after each
 * probe again FOLDER the names; for each line on standard input once more, by the same open
 *                               folder, without a look at any path
 * probe sizes of each path on standard input (NUL-terminated): st_size is what is read
 *     probe change FILE FOLDER ABSENT   every call that would change something is refused
 *     probe poll FILE MS        waits for something to read: "ready" or "nothing"
 *     probe nowait FILE         reads without waiting: the bytes, or the error's name
 *     probe map FILE            maps and closes it, says so on standard error, and writes its bytes
 *                               from there once standard input ends
 *     probe opens FILE N        opens it, reads a byte and closes it, so often
 *
 * Built by the scripts with cc. Says what is wrong on standard output, exits with 1 then. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BUFFER_MAX (1 << 20)

static char buffer[BUFFER_MAX];

static int fail(const char *what, const char *path)
{
	printf("%s: %s: %s\n", what, path, strerror(errno));
	return 1;
}

static int open_folder(const char *path)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* ---- names ---- */

struct name {
	char   *text;
	int64_t cookie; /* to go on behind it */
};

static struct name *names;
static size_t name_count, name_cap;

static void keep(const struct dirent64 *e)
{
	if (name_count == name_cap) {
		name_cap = name_cap ? 2 * name_cap : 64;
		names = realloc(names, name_cap * sizeof *names);
		if (!names)
			abort();
	}
	names[name_count++] = (struct name){ strdup(e->d_name), e->d_off };
}

static void forget_names(void)
{
	for (size_t i = 0; i < name_count; i++)
		free(names[i].text);
	name_count = 0;
}

/* All that comes from where the folder stands, at most `most`. */
static int take(int fd, size_t size, size_t most)
{
	long n;

	while (name_count < most && (n = syscall(SYS_getdents64, fd, buffer, size)) != 0) {
		if (n < 0)
			return -errno;
		for (long at = 0; at < n && name_count < most;) {
			const struct dirent64 *e = (const struct dirent64 *)(buffer + at);

			keep(e);
			at += e->d_reclen;
		}
	}
	return 0;
}

static int print_names(int fd, size_t size)
{
	int rc = take(fd, size, SIZE_MAX);

	for (size_t i = 0; i < name_count; i++)
		puts(names[i].text);
	forget_names();
	return rc;
}

static int do_names(const char *size, const char *path)
{
	int fd = open_folder(path), rc;

	if (fd < 0)
		return fail("open", path);
	rc = print_names(fd, (size_t)atol(size));
	errno = -rc;
	return rc < 0 ? fail("getdents", path) : 0;
}

static int do_again(const char *path)
{
	int fd = open_folder(path);
	char line[16];

	if (fd < 0)
		return fail("open", path);
	do {
		if (lseek(fd, 0, SEEK_SET) < 0 || print_names(fd, 32768) < 0)
			return fail("getdents", path);
		puts("--");
		fflush(stdout);
	} while (fgets(line, sizeof line, stdin));
	return 0;
}

static int do_seek(const char *path)
{
	int fd = open_folder(path);

	if (fd < 0 || take(fd, 32768, SIZE_MAX) < 0)
		return fail("list", path);
	struct name *all = names;
	size_t count = name_count, step = count / 37 + 1, bad = 0;

	names = NULL;
	name_count = name_cap = 0;
	for (size_t i = count; i-- > 0;) {
		if (i % step && i + 3 < count)
			continue;
		if (lseek(fd, all[i].cookie, SEEK_SET) < 0 || take(fd, 280, 5) < 0)
			return fail("seek", path);
		size_t left = count - i - 1, want = left < 5 ? left : 5;

		bad += name_count != want;
		for (size_t k = 0; k < name_count && k < want; k++)
			bad += strcmp(names[k].text, all[i + 1 + k].text) != 0;
		forget_names();
	}
	if (bad)
		printf("%zu names differ after a seek: %s\n", bad, path);
	return bad != 0;
}

/* ---- sizes ---- */

static int do_sizes(void)
{
	char *path = NULL;
	size_t cap = 0, files = 0, bad = 0;

	while (getdelim(&path, &cap, '\0', stdin) > 0) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct stat st;
		uint64_t total = 0;
		ssize_t n;

		if (fd < 0 || fstat(fd, &st) < 0) {
			bad += (size_t)fail("open", path);
			continue;
		}
		while ((n = read(fd, buffer, sizeof buffer)) > 0)
			total += (uint64_t)n;
		if (n < 0)
			bad += (size_t)fail("read", path);
		else if (total != (uint64_t)st.st_size)
			printf("%s: %ju bytes told, %ju read\n", path, (uintmax_t)st.st_size,
			       (uintmax_t)total),
				bad++;
		close(fd);
		files++;
	}
	printf("%zu files\n", files);
	return bad != 0;
}

/* ---- changes ---- */

static int refused(const char *call, const char *path, int rc, int want)
{
	int got = errno;

	if (rc < 0 && (got == want || got == EROFS))
		return 0;
	printf("%s(%s): %s, not %s\n", call, path, rc < 0 ? strerrorname_np(got) : "done",
	       strerrorname_np(want));
	return 1;
}

static int do_change(const char *file, const char *folder, const char *absent)
{
	const char *there[] = { file, folder };
	int bad = 0;

	bad += refused("creat", absent, open(absent, O_WRONLY | O_CREAT | O_CLOEXEC, 0644), EROFS);
	bad += refused("open for writing", file, open(file, O_WRONLY | O_CLOEXEC), EROFS);
	bad += refused("open for both", file, open(file, O_RDWR | O_CLOEXEC), EROFS);
	bad += refused("open to append", file, open(file, O_WRONLY | O_APPEND | O_CLOEXEC), EROFS);
	bad += refused("open to cut", file, open(file, O_WRONLY | O_TRUNC | O_CLOEXEC), EROFS);
	bad += refused("tmpfile", folder, open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600),
		       EROFS);
	bad += refused("mkdir", absent, mkdir(absent, 0755), EROFS);
	bad += refused("mknod", absent, mknod(absent, S_IFREG | 0644, 0), EROFS);
	bad += refused("mkfifo", absent, mkfifo(absent, 0644), EROFS);
	bad += refused("symlink", absent, symlink("x", absent), EROFS);
	bad += refused("link", absent, link(file, absent), EROFS);
	bad += refused("unlink", file, unlink(file), EROFS);
	bad += refused("unlink", absent, unlink(absent), EROFS);
	bad += refused("rmdir", folder, rmdir(folder), EROFS);
	bad += refused("rmdir", absent, rmdir(absent), EROFS);
	bad += refused("rename", file, rename(file, absent), EROFS);
	bad += refused("rename", folder, rename(folder, absent), EROFS);
	bad += refused("truncate", file, truncate(file, 0), EROFS);
	bad += refused("chmod of absent", absent, chmod(absent, 0777), ENOENT);
	for (size_t i = 0; i < 2; i++) {
		bad += refused("chmod", there[i], chmod(there[i], 0777), EROFS);
		bad += refused("chown", there[i], chown(there[i], 1, 1), EROFS);
		bad += refused("utimes", there[i], utimes(there[i], NULL), EROFS);
		bad += refused("setxattr", there[i], setxattr(there[i], "user.x", "y", 1, 0),
			       EROFS);
		bad += refused("removexattr", there[i], removexattr(there[i], "user.x"), EROFS);
		bad += refused("getxattr", there[i], (int)getxattr(there[i], "user.x", buffer, 8),
			       EOPNOTSUPP);
		bad += refused("access for writing", there[i], access(there[i], W_OK), EROFS);
	}
	return bad != 0;
}

/* ---- streams ---- */

static int do_poll(const char *path, const char *ms)
{
	struct pollfd p = { .fd = open(path, O_RDONLY | O_CLOEXEC), .events = POLLIN };

	if (p.fd < 0)
		return fail("open", path);
	puts(poll(&p, 1, atoi(ms)) > 0 && (p.revents & POLLIN) ? "ready" : "nothing");
	return 0;
}

static int do_nowait(const char *path)
{
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return fail("open", path);
	ssize_t n = read(fd, buffer, sizeof buffer);

	if (n < 0)
		puts(strerrorname_np(errno));
	else
		fwrite(buffer, 1, (size_t)n, stdout);
	return 0;
}

static int do_map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail("open", path);
	const char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return fail("mmap", path);
	close(fd);
	fprintf(stderr, "mapped\n");
	while (read(0, buffer, sizeof buffer) > 0)
		;
	fwrite(at, 1, (size_t)st.st_size, stdout);
	return 0;
}

static int do_opens(const char *path, const char *times)
{
	for (long i = atol(times); i > 0; i--) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0 || read(fd, buffer, 1) != 1)
			return fail("open", path);
		close(fd);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	if (strcmp(verb, "names") == 0 && argc == 4)
		return do_names(argv[2], argv[3]);
	if (strcmp(verb, "seek") == 0 && argc == 3)
		return do_seek(argv[2]);
	if (strcmp(verb, "again") == 0 && argc == 3)
		return do_again(argv[2]);
	if (strcmp(verb, "sizes") == 0 && argc == 2)
		return do_sizes();
	if (strcmp(verb, "change") == 0 && argc == 5)
		return do_change(argv[2], argv[3], argv[4]);
	if (strcmp(verb, "poll") == 0 && argc == 4)
		return do_poll(argv[2], argv[3]);
	if (strcmp(verb, "nowait") == 0 && argc == 3)
		return do_nowait(argv[2]);
	if (strcmp(verb, "map") == 0 && argc == 3)
		return do_map(argv[2]);
	if (strcmp(verb, "opens") == 0 && argc == 4)
		return do_opens(argv[2], argv[3]);
	fprintf(stderr, "probe: read its head comment\n");
	return 2;
}
