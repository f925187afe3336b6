/* Reads that fail: loaded in front of a program (LD_PRELOAD), every EIO_EVERY-th pread of a file
 * whose path has EIO_PATH in it is EIO. EIO_FROM: the first so many go well. Nothing else
 * changes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

typedef ssize_t read_call(int fd, void *buf, size_t n, off_t at);

static int fails(int fd)
{
	static atomic_long calls;
	const char *part = getenv("EIO_PATH"), *every = getenv("EIO_EVERY"),
		   *from = getenv("EIO_FROM");
	char link[64], path[4096];
	int saved = errno;

	if (!part || !every)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof path - 1);

	errno = saved;
	if (n < 0)
		return 0;
	path[n] = 0;
	if (!strstr(path, part))
		return 0;
	long call = atomic_fetch_add(&calls, 1), first = from ? atol(from) : 0;

	return call >= first && (call - first) % atol(every) == 0;
}

static ssize_t pass(const char *name, int fd, void *buf, size_t n, off_t at)
{
	read_call *real = (read_call *)dlsym(RTLD_NEXT, name);

	if (fails(fd)) {
		errno = EIO;
		return -1;
	}
	return real(fd, buf, n, at);
}

ssize_t pread(int fd, void *buf, size_t n, off_t at)
{
	return pass("pread", fd, buf, n, at);
}

ssize_t pread64(int fd, void *buf, size_t n, off_t at)
{
	return pass("pread64", fd, buf, n, at);
}
