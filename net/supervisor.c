#include "net/supervisor.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/trace.h"
#include "net/channel.h"

#define MESSAGE_SIZE 2048

/* "@name" is one of the abstract names, which begin with a zero byte. */
static int connect_to(const char *name)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t size = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || size < 2 || size >= sizeof to.sun_path)
		return -EINVAL;
	memcpy(to.sun_path, name, size);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	AUTO(base_closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)) < 0)
		return -errno;
	int out = fd;

	fd = -1;
	return out;
}

/* Half of what it allows, as sd_watchdog_enabled(3) advises, is the caller's business. */
static uint64_t watchdog_wanted(void)
{
	const char *period = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, whom;

	if (!period || dec_get(period, strlen(period), UINT64_MAX, &us) < 0)
		return 0;
	if (pid && (dec_get(pid, strlen(pid), INT32_MAX, &whom) < 0 || (pid_t)whom != getpid()))
		return 0;
	return us / 1000;
}

void supervisor_open(struct supervisor *s)
{
	const char *name = getenv("NOTIFY_SOCKET");

	*s = (struct supervisor)SUPERVISOR_NONE;
	if (!name || !*name)
		return;
	s->fd = connect_to(name);
	if (s->fd < 0) {
		trace_warn("mount",
			   "the service manager's socket cannot be reached, it is told nothing",
			   "errno=%d", -s->fd);
		s->fd = -1;
	} else {
		s->watchdog_ms = watchdog_wanted();
		/* systemd says so from version 254 on, others where they can. */
		const char *most = getenv("FDSTORE");

		s->stores = most && *most && strcmp(most, "0") != 0;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void supervisor_release(struct supervisor *s)
{
	base_closep(&s->fd);
	*s = (struct supervisor)SUPERVISOR_NONE;
}

void supervisor_tell(const struct supervisor *s, const char *format, ...)
{
	char message[MESSAGE_SIZE];
	va_list ap;

	if (s->fd < 0)
		return;
	va_start(ap, format);
	int n = vsnprintf(message, sizeof message, format, ap);

	va_end(ap);
	if (n > 0)
		supervisor_relay(s, message, MIN((size_t)n, sizeof message - 1));
}

void supervisor_relay(const struct supervisor *s, const char *lines, size_t size)
{
	if (s->fd < 0)
		return;
	/* It never waits for a manager that does not read: the next sign of life comes soon. */
	int rc = s->by_channel ? channel_send(s->fd, SUPERVISOR_RELAYED, lines, size, NULL, 0)
		 : send(s->fd, lines, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno
									     : 0;

	if (rc < 0)
		trace_debug("mount", "the service manager did not take a message", "errno=%d", -rc);
}

void supervisor_store(const struct supervisor *s, const char *name, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof fd)];
	} extra = { .bytes = { 0 } };
	char text[128];
	int n = snprintf(text, sizeof text, "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	struct iovec part = { text, (size_t)n };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = extra.bytes,
			    .msg_controllen = sizeof extra.bytes };

	if (s->fd < 0 || s->by_channel || !s->stores)
		return;
	extra.head.cmsg_level = SOL_SOCKET;
	extra.head.cmsg_type = SCM_RIGHTS;
	extra.head.cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(&extra.head), &fd, sizeof fd);
	if (sendmsg(s->fd, &m, MSG_NOSIGNAL) < 0)
		trace_warn("mount", "the service manager does not store a descriptor",
			   "name=%s errno=%d", name, errno);
}

int supervisor_stored(const char *name)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");
	const char *at = getenv("LISTEN_FDNAMES");
	uint64_t fds, whom;

	if (!count || !pid || !at || dec_get(count, strlen(count), 1024, &fds) < 0 ||
	    dec_get(pid, strlen(pid), INT32_MAX, &whom) < 0 || (pid_t)whom != getpid())
		return -1;
	for (int fd = STDERR_FILENO + 1; fds; fds--, fd++) {
		size_t n = strcspn(at, ":");

		if (n == strlen(name) && strncmp(at, name, n) == 0)
			return fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ? -1 : fd;
		at += n + (at[n] == ':');
	}
	return -1;
}
