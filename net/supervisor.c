#include "net/supervisor.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/trace.h"

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
	if (n <= 0)
		return;
	/* It never waits for a manager that does not read: the next sign of life comes soon. */
	if (send(s->fd, message, MIN((size_t)n, sizeof message - 1), MSG_NOSIGNAL | MSG_DONTWAIT) <
	    0)
		trace_debug("mount", "the service manager did not take a message", "errno=%d",
			    errno);
}
