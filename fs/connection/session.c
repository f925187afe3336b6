#include "fs/connection/session.h"

#define FUSE_USE_VERSION 314
#include <fuse_log.h>
#include <fuse_lowlevel.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/trace.h"
#include "fs/connection/keep.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/transport.h"
#include "fs/connection/wire.h"

#define OPTIONS_SIZE  (3 * PATH_MAX)
#define RETRY_US      20000u

struct session {
	struct fuse_session *fuse;
	struct wire         *wire;
	const struct transport_ops *how;
	bool                 or_classic;
	struct wire_bits wished;
	struct transport    *transport;
	struct keep_connection *kept, *own; /* own: nobody else has it */
	bool                 mounted, paused;
	char                 mountpoint[PATH_MAX];
};

/* ---- what libfuse says ---- */

static _Thread_local char last_words[256];

static void on_log(enum fuse_log_level level, const char *format, va_list args)
{
	vsnprintf(last_words, sizeof last_words, format, args);
	last_words[strcspn(last_words, "\n")] = '\0';
	trace_line(level <= FUSE_LOG_ERR ? TRACE_WARN : TRACE_DEBUG, "fs", "libfuse", "says=\"%s\"",
		   last_words);
}

/* ---- mounting ---- */

/* A list of options is split at commas. */
static void add_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			buf_u8(out, '\\');
		buf_u8(out, (uint8_t)*text);
	}
}

static int write_options(const struct session_options *o, struct buf *out)
{
	buf_str(out, "nosuid,nodev,noexec,default_permissions");
	if (o->read_only)
		buf_str(out, ",ro");
	if (o->allow_other)
		buf_str(out, ",allow_other");
	buf_str(out, ",subtype=");
	buf_str(out, o->subtype);
	buf_str(out, ",fsname=");
	add_escaped(out, o->source);
	buf_u8(out, 0);
	return buf_done(out);
}

/* fusermount3 asks the same, but would tell it to nobody. */
bool session_others_allowed(void)
{
	AUTO(files_stream_closep) FILE *conf = fopen("/etc/fuse.conf", "re");
	AUTO(base_freep) char *line = NULL;
	size_t cap = 0;

	while (conf && getline(&line, &cap, conf) > 0) {
		line[strcspn(line, "\n#")] = '\0';
		line[strcspn(line, " \t")] = '\0';
		if (strcmp(line, "user_allow_other") == 0)
			return true;
	}
	return geteuid() == 0;
}

/* fusermount3 tells its reason to standard error alone, which nobody reads once we are a daemon.
 * What comes there while it runs goes through a file; all of it is passed on, its own line is
 * kept. */
static int mount_and_listen(struct session *s, char *said, size_t said_size)
{
	AUTO(base_closep) int file = geteuid() == 0 ? -1 : memfd_create("fusermount3", MFD_CLOEXEC);
	AUTO(base_closep) int own = file < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	bool listening = own >= 0 && dup2(file, STDERR_FILENO) >= 0;
	int rc = fuse_session_mount(s->fuse, s->mountpoint);

	said[0] = '\0';
	if (!listening)
		return rc;
	dup2(own, STDERR_FILENO);
	ssize_t n = pread(file, said, said_size - 1, 0);

	said[MAX(n, 0)] = '\0';
	if (n > 0 && write(own, said, (size_t)n) < 0)
		trace_debug("fs", "what fusermount3 said is lost", "errno=%d", errno);
	char *line = strstr(said, "fusermount3: ");

	memmove(said, line ? line : "", line ? strlen(line) + 1 : 1);
	said[strcspn(said, "\n")] = '\0';
	return rc;
}

/* Only who wishes for something gets between libfuse and the kernel. */
static int attach_wire(struct session *s, const struct session_options *o, struct err *err)
{
	s->wished = (struct wire_bits){
		.parallel = o->parallel,
		.uring = s->how->by_ring,
		.payload_max = TRANSPORT_PAYLOAD,
		.stack_depth = o->stack_depth,
	};
	if (!s->wished.parallel && !s->wished.uring && !s->wished.stack_depth)
		return 0;
	return wire_attach(s->fuse, s->wished, &s->wire, err);
}

/* libfuse closes the descriptor that it was given; the one in `kept` stays. */
static int take_over(struct session *s, struct err *err)
{
	char path[32];
	int fd = fcntl(s->kept->fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

	if (fd < 0)
		return err_set(err, -errno, "%s: its descriptor is gone: %s", s->mountpoint,
			       strerror(errno));
	snprintf(path, sizeof path, "/dev/fd/%d", fd);
	if (fuse_session_mount(s->fuse, path) == 0)
		return 0;
	close(fd);
	return err_set(err, -EINVAL, "libfuse does not go on with %s: %s", s->mountpoint,
		       last_words);
}

static int mount_anew(struct session *s, struct err *err)
{
	char said[256];

	if (access("/dev/fuse", F_OK) < 0)
		return err_set(err, -ENODEV,
			       "/dev/fuse is not there: the kernel's module fuse is not loaded");
	if (access("/dev/fuse", R_OK | W_OK) < 0 && errno == EACCES)
		return err_set(err, -EACCES,
			       "this user may not open /dev/fuse, which mounting needs: root can "
			       "allow it to everybody (chmod 666 /dev/fuse), or mount");
	if (mount_and_listen(s, said, sizeof said) < 0)
		return err_set(err, -EPERM, "%s cannot be mounted on: %s", s->mountpoint,
			       said[0]	      ? said :
			       last_words[0] ? last_words :
			       "fusermount3 (package fuse3) refused or is not there");
	return 0;
}

int session_open(const struct fuse_lowlevel_ops *ops, void *user, const struct session_options *o,
		 struct session **out, struct err *err)
{
	AUTO(session_closep) struct session *s = calloc(1, sizeof *s);
	AUTO(buf_release) struct buf options = BUF_INIT(OPTIONS_SIZE);
	char *argv[] = { "chainfs", "-o", NULL, NULL };

	if (!s || write_options(o, &options) < 0)
		return err_set(err, -ENOMEM, "no memory for the mount");
	s->how = o->transport ? o->transport : &transport_classic;
	s->kept = o->kept;
	if (!s->kept) {
		void *own = mmap(NULL, sizeof *s->own, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (own == MAP_FAILED)
			return err_set(err, -ENOMEM, "no memory for the mount");
		s->kept = s->own = own;
		s->own->fd = -1;
	}
	s->or_classic = o->or_classic;
	if (o->allow_other && !session_others_allowed())
		return err_set(err, -EPERM,
			       "allow_other is for root, unless /etc/fuse.conf has the line "
			       "user_allow_other");
	snprintf(s->mountpoint, sizeof s->mountpoint, "%s", o->mountpoint);
	argv[2] = (char *)options.p;
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	fuse_set_log_func(on_log);
	last_words[0] = '\0';
	s->fuse = fuse_session_new(&args, ops, sizeof *ops, user);
	fuse_opt_free_args(&args);
	if (!s->fuse)
		return err_set(err, -EINVAL, "libfuse refuses the mount: %s", last_words);
	int rc = s->kept->fd >= 0 ? take_over(s, err) : mount_anew(s, err);

	if (rc < 0)
		return rc;
	s->mounted = true;
	rc = attach_wire(s, o, err);
	if (rc < 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

struct fuse_session *session_fuse(struct session *s)
{
	return s->fuse;
}

struct wire *session_wire(struct session *s)
{
	return s->wire;
}

const char *session_transport(struct session *s)
{
	return s->how->serves(s->transport);
}

bool session_survives(struct session *s)
{
	return s->how->survives(s->transport);
}

int session_start(struct session *s, unsigned threads, void (*ended)(void *arg), void *arg,
		  struct err *err)
{
	struct transport_task task = {
		.session = s->fuse, .wire = s->wire, .kept = s->kept, .threads = threads,
		.ended = ended, .arg = arg,
	};

	struct err why = ERR_INIT;
	int rc = s->how->start(&task, &s->transport, s->or_classic ? &why : err);

	if (rc == 0 || !s->or_classic || s->how == &transport_classic)
		return rc;
	trace_warn("fs", "a transport does not start, the classic one serves",
		   "transport=%s reason=\"%s\"", s->how->name, err_text(&why, rc));
	s->wished.uring = false;
	if (s->wire)
		wire_wish(s->wire, s->wished);
	s->how = &transport_classic;
	return s->how->start(&task, &s->transport, err);
}

/* ---- ending ---- */

void session_end(struct session *s, unsigned wait_ms)
{
	uint64_t deadline = clock_mono_ms() + wait_ms;
	struct err why = ERR_INIT;
	int rc = 0;

	/* libfuse's own unmounting closes the connection first, and cuts off who is being
	 * answered. */
	while (!fuse_session_exited(s->fuse) &&
	       (rc = mountpoint_unmount(s->mountpoint, UNMOUNT_PLAIN, &why)) == -EBUSY &&
	       clock_mono_ms() < deadline)
		usleep(RETRY_US);
	if (rc < 0 && !fuse_session_exited(s->fuse))
		trace_info("mount", "still in use, it is detached", "path=%s reason=\"%s\"",
			   s->mountpoint, err_text(&why, rc));
	s->how->stop(&s->transport);
}

void session_pause(struct session *s)
{
	s->paused = true;
	s->how->stop(&s->transport);
}

/* True once the kernel has let go of the mount. */
static bool has_ended(const struct session *s)
{
	struct pollfd device = { .fd = fuse_session_fd(s->fuse) };

	return fuse_session_exited(s->fuse) ||
	       (poll(&device, 1, 0) > 0 && device.revents & POLLERR);
}

void session_closep(struct session **at)
{
	struct session *s = TAKE(*at);
	struct err why = ERR_INIT;

	if (!s)
		return;
	if (s->transport)
		s->how->stop(&s->transport);
	/* Not libfuse's way of it, which knows nothing of mounts that were taken over. */
	if (s->mounted && !s->paused && !has_ended(s)) {
		int rc = mountpoint_unmount(s->mountpoint, UNMOUNT_LAZY, &why);

		if (rc < 0)
			trace_warn("mount", "it cannot be detached", "path=%s reason=\"%s\"",
				   s->mountpoint, err_text(&why, rc));
	}
	wire_detachp(&s->wire);
	if (s->mounted && !s->paused && has_ended(s))
		fuse_session_unmount(s->fuse); /* what libfuse still holds of it */
	if (s->fuse)
		fuse_session_destroy(s->fuse);
	if (s->own)
		munmap(s->own, sizeof *s->own);
	free(s);
}
