#include "fs/mount/features.h"

#define FUSE_USE_VERSION 314
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/files.h"
#include "core/base/trace.h"
#include "fs/connection/session.h"
#include "fs/connection/transport.h"

#define WAIT_MS      5000
#define MESSAGE_SIZE (1u << 20)

/* Places of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
#define HEAD_SIZE          40u
#define HEAD_OPCODE        4u
#define OPCODE_INIT        26u
#define INIT_MAJOR         HEAD_SIZE
#define INIT_MINOR         (HEAD_SIZE + 4)
#define INIT_FLAGS2        (HEAD_SIZE + 16)
#define FLAGS2_PASSTHROUGH (1u << 5)
#define FLAGS2_URING       (1u << 9)
#define CAPABILITY_ADMIN   21 /* linux/capability.h */

static uint32_t number_at(const uint8_t *message, size_t size, size_t at)
{
	uint32_t v = 0;

	if (at + sizeof v <= size)
		memcpy(&v, message + at, sizeof v);
	return v;
}

static int read_init(int fd, struct fs_features *out)
{
	AUTO(base_freep) uint8_t *message = malloc(MESSAGE_SIZE);
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	if (!message)
		return err_set(&out->why, -ENOMEM, "no memory for a message of the kernel");
	if (poll(&ready, 1, WAIT_MS) != 1)
		return err_set(&out->why, -ETIMEDOUT, "the kernel says nothing on a new mount");
	ssize_t n = read(fd, message, MESSAGE_SIZE);

	if (n < (ssize_t)(INIT_MINOR + 4) ||
	    number_at(message, (size_t)n, HEAD_OPCODE) != OPCODE_INIT)
		return err_set(&out->why, -EPROTO, "the kernel's first message is not INIT");
	out->major = number_at(message, (size_t)n, INIT_MAJOR);
	out->minor = number_at(message, (size_t)n, INIT_MINOR);
	uint32_t flags = number_at(message, (size_t)n, INIT_FLAGS2);

	out->passthrough = flags & FLAGS2_PASSTHROUGH;
	out->uring = flags & FLAGS2_URING;
	return 0;
}

static int try_mount(struct fs_features *out)
{
	static const struct fuse_lowlevel_ops nothing;
	AUTO(session_closep) struct session *s = NULL;
	const char *tmp = getenv("TMPDIR");
	char wanted[PATH_MAX - 32], folder[PATH_MAX];

	snprintf(wanted, sizeof wanted, "%s", tmp && *tmp == '/' ? tmp : "/tmp");
	snprintf(folder, sizeof folder, "%s/chainfs-doctor-XXXXXX", wanted);
	if (!mkdtemp(folder))
		return err_set(&out->why, -errno, "%s: %s", folder, strerror(errno));
	struct session_options o = {
		.mountpoint = folder,
		.source = "doctor",
		.subtype = "chainfs-doctor",
		.read_only = true,
	};
	int rc = session_open(&nothing, NULL, &o, &s, &out->why);

	if (rc == 0)
		rc = read_init(fuse_session_fd(session_fuse(s)), out);
	session_closep(&s);
	rmdir(folder);
	return rc;
}

/* CAP_SYS_ADMIN: what the kernel asks of who has a file passed through. */
static bool may_pass(void)
{
	AUTO(files_stream_closep) FILE *status = fopen("/proc/self/status", "re");
	unsigned long long effective = 0;
	char line[256];

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	return effective >> CAPABILITY_ADMIN & 1;
}

static bool in_path(const char *name)
{
	const char *at = getenv("PATH");
	char file[PATH_MAX];

	while (at && *at) {
		size_t n = strcspn(at, ":");

		snprintf(file, sizeof file, "%.*s/%s", (int)MIN(n, (size_t)PATH_MAX / 2), at, name);
		if (access(file, X_OK) == 0)
			return true;
		at += n + (at[n] == ':');
	}
	return false;
}

void fs_features_look(struct fs_features *out)
{
	AUTO(base_closep) int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	*out = (struct fs_features){ .device = device < 0 ? -errno : 0 };
	out->helper = in_path("fusermount3");
	out->allow_other = session_others_allowed();
	out->may_pass = may_pass();
	/* What is wrong is in `why`; it need not stand in the log besides. */
	enum trace_level level = trace_get_level();

	trace_set_level(MIN(level, TRACE_ERROR));
	out->trial = try_mount(out);
	out->rings = transport_uring.why_not(&out->rings_why);
	if (out->rings == 0 && out->trial == 0 && !out->uring)
		out->rings = err_set(&out->rings_why, -EOPNOTSUPP,
				     "the kernel's switch for it is on, and it does not offer it");
	trace_set_level(level);
}
