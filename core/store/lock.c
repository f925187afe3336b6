#include "core/store/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* A text being written by a holder that has just come is given this long. */
#define TEXT_TRIES   20
#define TEXT_WAIT_US 5000
/* So is one that was killed, until it is gone. */
#define GOING_TRIES   250
#define GOING_WAIT_US 20000

static int read_text(int fd, char *out, size_t out_size)
{
	ssize_t n = pread(fd, out, out_size - 1, 0);

	if (n < 0)
		return -errno;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	for (n = (ssize_t)strlen(out); n > 0 && out[n - 1] == ' '; n--)
		out[n - 1] = '\0';
	return 0;
}

/* 1: somebody else holds it; 0: nobody. */
static int is_held(int fd)
{
	struct flock probe = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_GETLK, &probe) < 0)
		return -errno;
	return probe.l_type != F_UNLCK;
}

int lock_holder(const char *path, char *out, size_t out_size)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	for (int try = 0; try < TEXT_TRIES; try++) {
		int rc = is_held(fd);

		if (rc <= 0)
			return rc < 0 ? rc : -ENOENT;
		rc = read_text(fd, out, out_size);
		if (rc < 0 || out[0])
			return rc;
		usleep(TEXT_WAIT_US);
	}
	snprintf(out, out_size, "somebody");
	return 0;
}

/* Always of the same length, in place: once it is there, it needs no room that a full disk has
 * not. */
static int write_text(int fd, const char *holder)
{
	char text[LOCK_TEXT_MAX];
	size_t n = strlen(holder);

	memset(text, ' ', sizeof text);
	memcpy(text, holder, MIN(n, sizeof text - 1));
	text[sizeof text - 1] = '\n';
	errno = 0;
	return pwrite(fd, text, sizeof text, 0) == sizeof text ? 0 : -1;
}

/* Was the holder ended? The first of its threads to go is told of at once, the file is closed by
 * the last. */
static bool is_going(const char *holder)
{
	const char *number = strstr(holder, "pid ");
	char path[64], line[512];
	AUTO(base_closep) int fd = -1;

	if (!number)
		return false;
	snprintf(path, sizeof path, "/proc/%ld/stat", strtol(number + 4, NULL, 10));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return true;
	ssize_t n = read(fd, line, sizeof line - 1);

	line[MAX(n, 0)] = '\0';
	const char *state = strrchr(line, ')');

	return n <= 0 ||
	       (state && (strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0));
}

static int take(int fd, const char *path, struct err *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[LOCK_TEXT_MAX];

	for (unsigned tries = 0; fcntl(fd, F_OFD_SETLK, &whole) < 0; tries++) {
		if (errno != EAGAIN && errno != EACCES)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
		/* It may have gone meanwhile; the next try of the caller then succeeds. */
		if (lock_holder(path, text, sizeof text) < 0)
			snprintf(text, sizeof text, "somebody");
		if (tries == GOING_TRIES || !is_going(text))
			return err_set(err, -EBUSY, "held by: %s", text);
		usleep(GOING_WAIT_US);
	}
	return 0;
}

int lock_take(const char *path, const char *holder, int *out, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int rc = take(fd, path, err);

	if (rc < 0)
		return rc;
	/* A full disk is no reason: who holds the lock may be about to make room. */
	if (write_text(fd, holder ? holder : "chainfs") < 0 &&
	    ((errno != ENOSPC && errno != EDQUOT) || ftruncate(fd, 0) < 0))
		return err_set(err, errno ? -errno : -EIO, "%s: %s", path, strerror(errno));
	*out = fd;
	fd = -1;
	return 0;
}

void lock_putp(int *fd)
{
	/* When it fails the text stays; nobody reads it without the lock. */
	if (*fd >= 0)
		(void)!write_text(*fd, "");
	base_closep(fd);
}
