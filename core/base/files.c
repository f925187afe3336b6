#include "core/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_STEP 4096u

int files_error(struct err *err, const char *path)
{
	int rc = errno ? -errno : -EIO;

	return err_set(err, rc, "%s: %s", path, strerror(-rc));
}

int files_next(DIR *d, const struct dirent **out)
{
	errno = 0; /* nothing else tells an end from an error */
	*out = readdir(d);
	return *out ? 1 : -errno;
}

void files_dir_closep(DIR **d)
{
	if (*d)
		closedir(*d);
	*d = NULL;
}

void files_stream_closep(FILE **f)
{
	if (*f)
		fclose(*f);
	*f = NULL;
}

/* A descriptor of a plain file, which nobody waits for. */
static int open_plain(int folder, const char *path, struct stat *st)
{
	int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int rc = fd < 0                 ? (errno == ELOOP ? -EBADMSG : -errno)
		 : fstat(fd, st) < 0    ? -errno
		 : S_ISREG(st->st_mode) ? 0
					: -EBADMSG;

	if (rc < 0)
		base_closep(&fd);
	return rc < 0 ? rc : fd;
}

/* ---- reading and writing ---- */

static int read_all(int fd, const char *path, size_t size_max, struct buf *out, struct err *err)
{
	for (;;) {
		if (out->n > size_max)
			return err_set(err, -EMSGSIZE, "%s: larger than %zu bytes", path, size_max);
		int rc = buf_reserve(out, READ_STEP);

		if (rc < 0)
			return err_set(err, rc, "%s: larger than %zu bytes", path, size_max);
		ssize_t n = read(fd, out->p + out->n, out->cap - out->n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return files_error(err, path);
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

int files_read(const char *path, size_t size_max, struct buf *out, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? files_error(err, path) : read_all(fd, path, size_max, out, err);
}

int files_read_plain(int folder, const char *path, size_t size_max, struct buf *out,
		     struct err *err)
{
	struct stat st;
	AUTO(base_closep) int fd = open_plain(folder, path, &st);

	if (fd == -EBADMSG)
		return err_set(err, fd, "%s: not a plain file", path);
	return fd < 0 ? err_set(err, fd, "%s: %s", path, strerror(-fd))
		      : read_all(fd, path, size_max, out, err);
}

int files_write(int fd, struct slice bytes)
{
	while (bytes.n) {
		ssize_t n = write(fd, bytes.p, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes = slice_sub(bytes, (size_t)n, bytes.n);
	}
	return 0;
}

/* ---- holding ---- */

/* Read, not mapped: of a file that is cut meanwhile a mapping ends the process. */
int files_hold(int folder, const char *path, struct files_held *out)
{
	struct stat st;
	AUTO(base_closep) int fd = open_plain(folder, path, &st);
	AUTO(files_let_go) struct files_held held = FILES_HELD_NONE;
	size_t got = 0;

	*out = held;
	if (fd < 0)
		return fd;
	if ((uint64_t)st.st_size > FILES_HELD_MAX)
		return -EMSGSIZE;
	if (st.st_size == 0)
		return 0;
	uint8_t *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	held = (struct files_held){ SLICE(p, (size_t)st.st_size), (size_t)st.st_size };
	while (got < held.room) {
		ssize_t n = read(fd, p + got, held.room - got);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	held.bytes.n = got;
	*out = held;
	held = (struct files_held)FILES_HELD_NONE;
	return 0;
}

void files_let_go(struct files_held *h)
{
	if (h->room)
		munmap((void *)(uintptr_t)h->bytes.p, h->room);
	*h = (struct files_held)FILES_HELD_NONE;
}

/* ---- removing ---- */

static int remove_below(int folder, const char *name, const dev_t *device)
{
	struct stat st;

	if (unlinkat(folder, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM)
		return -errno;
	int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(files_dir_closep) DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d || fstat(fd, &st) < 0) {
		int rc = -errno;

		if (!d)
			base_closep(&fd);
		return rc;
	}
	if (device && st.st_dev != *device)
		return -EXDEV;
	const struct dirent *e;
	int first = 0;

	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		int rc = remove_below(fd, e->d_name, &st.st_dev);

		first = first < 0 ? first : rc;
	}
	if (first == 0 && unlinkat(folder, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		first = -errno;
	return first;
}

int files_remove_tree(int folder, const char *name)
{
	return remove_below(folder, name, NULL);
}
