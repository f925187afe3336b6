/* fail.c: a preloaded library under which system calls on files below a folder fail now and then.
 *
 *     FAIL_BELOW=FOLDER FAIL_CALLS=write,fsync FAIL_ONE_IN=100 FAIL_SEED=7 [FAIL_ERRNO=5] \
 *         LD_PRELOAD=fail.so PROGRAM
 *
 * FAIL_CALLS: write (pwrite too), fsync (fdatasync and sync_file_range too), open (of what is to be
 * written), rename, or all. Which of the calls fail follows from the seed and their number alone;
 * threads may come in another order. libfiu does the same, but not beside jemalloc, which reads
 * files before a preloaded library is set up. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static const char *below, *calls;
static uint64_t seed, one_in;
static int error_number = EIO;
static atomic_uint_fast64_t count;

__attribute__((constructor)) static void set_up(void)
{
	const char *number = getenv("FAIL_ERRNO"), *s = getenv("FAIL_SEED"),
		   *n = getenv("FAIL_ONE_IN");

	seed = s ? strtoull(s, NULL, 10) : 1;
	error_number = number ? atoi(number) : EIO;
	calls = getenv("FAIL_CALLS");
	below = getenv("FAIL_BELOW");
	one_in = n ? strtoull(n, NULL, 10) : 0;
}

static int is_below(const char *path)
{
	size_t n = strlen(below);

	return strncmp(path, below, n) == 0 && (path[n] == '/' || !path[n]);
}

static int is_file_below(int fd)
{
	char link[32], path[4096];

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);

	if (n <= 0)
		return 0;
	path[n] = 0;
	return is_below(path);
}

static int draw(const char *call)
{
	if (!one_in || !below || !calls || (strcmp(calls, "all") != 0 && !strstr(calls, call)))
		return 0;
	uint64_t x = seed * 0x9e3779b97f4a7c15u + atomic_fetch_add(&count, 1) * 0xbf58476d1ce4e5b9u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (x ^ (x >> 31)) % one_in == 0;
}

static int fails(const char *call, int fd)
{
	if (!one_in || fd <= STDERR_FILENO || !is_file_below(fd) || !draw(call))
		return 0;
	errno = error_number;
	return 1;
}

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

ssize_t write(int fd, const void *p, size_t n)
{
	return fails("write", fd) ? -1 : REAL(write)(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return fails("write", fd) ? -1 : REAL(pwrite)(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return fails("write", fd) ? -1 : REAL(pwrite64)(fd, p, n, at);
}

int fsync(int fd)
{
	return fails("fsync", fd) ? -1 : REAL(fsync)(fd);
}

int fdatasync(int fd)
{
	return fails("fsync", fd) ? -1 : REAL(fdatasync)(fd);
}

int sync_file_range(int fd, off64_t at, off64_t n, unsigned flags)
{
	return fails("fsync", fd) ? -1 : REAL(sync_file_range)(fd, at, n, flags);
}

int rename(const char *from, const char *to)
{
	if (one_in && below && is_below(to) && draw("rename")) {
		errno = error_number;
		return -1;
	}
	return REAL(rename)(from, to);
}

static int open_any(const char *name, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;

	if (one_in && below && (flags & O_ACCMODE) != O_RDONLY && is_below(path) && draw("open")) {
		errno = error_number;
		return -1;
	}
	return ((int (*)(const char *, int, ...))real(name))(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	int fd = open_any("open", path, flags, ap);

	va_end(ap);
	return fd;
}

int open64(const char *path, int flags, ...)
{
	va_list ap;

	va_start(ap, flags);
	int fd = open_any("open64", path, flags, ap);

	va_end(ap);
	return fd;
}
