#include "net/channel.h"

#include <sys/socket.h>
#include <unistd.h>

int channel_new(int ends[2], struct err *err)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return err_set(err, -errno, "no channel to the worker: %s", strerror(errno));
	return 0;
}

int channel_send(int fd, char kind, const char *text, size_t size, const int *fds, size_t fd_count)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} extra = { .bytes = { 0 } };
	struct iovec parts[2] = { { &kind, 1 }, { (char *)text, size } };
	struct msghdr m = { .msg_iov = parts, .msg_iovlen = size ? 2 : 1 };

	assert(fd_count <= CHANNEL_FDS_MAX && size <= CHANNEL_TEXT_MAX);
	if (fd_count) {
		m.msg_control = extra.bytes;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		extra.head.cmsg_level = SOL_SOCKET;
		extra.head.cmsg_type = SCM_RIGHTS;
		extra.head.cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(&extra.head), fds, sizeof(int) * fd_count);
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static void take_fds(struct msghdr *m, struct channel_message *out)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(m);

	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
		return;
	size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	memcpy(out->fds, CMSG_DATA(c), MIN(count, (size_t)CHANNEL_FDS_MAX) * sizeof(int));
}

int channel_receive(int fd, bool wait, struct channel_message *out)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	} extra;
	struct iovec parts[2] = { { &out->kind, 1 }, { out->text, CHANNEL_TEXT_MAX } };
	struct msghdr m = { .msg_iov = parts,
			    .msg_iovlen = 2,
			    .msg_control = extra.bytes,
			    .msg_controllen = sizeof extra.bytes };
	ssize_t n;

	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		out->fds[i] = -1;
	while ((n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT))) < 0 &&
	       errno == EINTR)
		;
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (n == 0)
		return -EPIPE;
	out->size = (size_t)n - 1;
	out->text[out->size] = '\0';
	take_fds(&m, out);
	return 1;
}
