#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net/control.h"

#include "core/base/clock.h"

#define STOP_PATIENCE_MS 5000u /* of silence, after a stop was passed on */
#define STOP_POLL_MS 100

/* The path of a socket is bounded by 108 bytes, a store's is not: reach it through its folder. */
static int connect_to(const char *folder_path, const char *name, struct err *err)
{
	AUTO(base_closep) int folder = open(folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return err_set(err, -errno, "%s: %s", folder_path, strerror(errno));
	AUTO(base_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set(err, -errno, "no socket: %s", strerror(errno));
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int n = snprintf(to.sun_path, sizeof to.sun_path, "/proc/self/fd/%d/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof to.sun_path)
		return err_set(err, -ENAMETOOLONG, "%s: too long for a socket's name", name);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
		int code = errno == ENOENT ? ECONNREFUSED : errno;
		return err_set(err, -code, "%s/%s: no daemon listens there: %s", folder_path,
			       name, strerror(code));
	}
	int connected = fd;
	fd = -1;
	return connected;
}

static int send_frame(int fd, char kind, const char *text, size_t size)
{
	uint8_t head[CONTROL_HEAD_SIZE] = { (uint8_t)kind };
	put_be32(head + 1, (uint32_t)size);
	struct { const void *p; size_t n; } parts[] = { { head, sizeof head }, { text, size } };
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		size_t done = 0;
		while (done < parts[i].n) {
			ssize_t n = send(fd, (const char *)parts[i].p + done, parts[i].n - done,
					 MSG_NOSIGNAL);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
			done += (size_t)n;
		}
	}
	return 0;
}

/* The request as JSON; NULL without memory. The caller frees it with cJSON_free(). */
static char *request_text(int argc, char **argv, const char *cwd,
			  const struct verb_io *io)
{
	cJSON *root = cJSON_CreateObject(), *words = cJSON_AddArrayToObject(root, "argv");
	bool whole = words != NULL;
	/* A word that is left out would make another command of it. */
	for (int i = 0; i < argc && whole; i++)
		whole = cJSON_AddItemToArray(words, cJSON_CreateString(argv[i]));
	whole = whole && cJSON_AddStringToObject(root, "cwd", cwd) &&
		cJSON_AddBoolToObject(root, "terminal", io->terminal) &&
		cJSON_AddNumberToObject(root, "columns", io->columns);
	char *text = whole ? cJSON_PrintUnformatted(root) : NULL;
	cJSON_Delete(root);
	return text;
}

static int send_request(int fd, int argc, char **argv, const struct verb_io *io, struct err *err)
{
	char cwd[4096];
	if (!getcwd(cwd, sizeof cwd))
		return err_set(err, -errno, "the current folder: %s", strerror(errno));
	char *text = request_text(argc, argv, cwd, io);
	if (!text)
		return err_set(err, -ENOMEM, "no memory to ask the daemon");
	size_t size = strlen(text);
	int rc = size > CONTROL_REQUEST_MAX ? -E2BIG : send_frame(fd, 'c', text, size);
	cJSON_free(text);
	return rc < 0 ? err_set(err, rc, "the daemon cannot be asked: %s", strerror(-rc)) : 0;
}

/* Exactly n bytes, passing a stop on while it waits. A daemon that says nothing after that is
 * stopped itself, or stuck: the caller need not be. *patience_ms: 0, or until when it may. */
static int receive(int fd, void *p, size_t n, struct verb_io *io, uint64_t *patience_ms)
{
	size_t done = 0;
	while (done < n) {
		if (io->stop && atomic_load(io->stop) && !*patience_ms) {
			*patience_ms = clock_mono_ms() + STOP_PATIENCE_MS;
			(void)send_frame(fd, 'k', "", 0);
		}
		if (*patience_ms && clock_mono_ms() > *patience_ms)
			return -EINTR;
		struct pollfd wait = { .fd = fd, .events = POLLIN };
		int ready = poll(&wait, 1, STOP_POLL_MS);
		if (ready == 0 || (ready < 0 && errno == EINTR))
			continue;
		ssize_t got = recv(fd, (char *)p + done, n - done, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ECONNRESET;
		done += (size_t)got;
	}
	return 0;
}

/* `where` is what it is called in sentences. */
static int call(int fd, const char *where, int argc, char **argv, struct verb_io *io,
		int *exit_code, struct err *err)
{
	int rc = send_request(fd, argc, argv, io, err);
	if (rc < 0)
		return rc;
	uint8_t body[CONTROL_PART_MAX];
	uint64_t patience_ms = 0;
	while (rc == 0) {
		uint8_t head[CONTROL_HEAD_SIZE];
		rc = receive(fd, head, sizeof head, io, &patience_ms);
		if (rc < 0)
			break;
		uint32_t size = get_be32(head + 1);
		rc = size > sizeof body ? -EPROTO : receive(fd, body, size, io, &patience_ms);
		if (rc < 0)
			break;
		if (head[0] == 'x' && size == 4) {
			*exit_code = (int)get_be32(body);
			return 0;
		}
		(head[0] == 'o' ? io->out : io->err)(io->arg, (const char *)body, size);
	}
	if (rc == -EINTR)
		return err_set(err, rc,
			       "interrupted; the daemon of %s does not answer, what it "
			       "acknowledged is kept",
			       where);
	return err_set(err, rc,
		       "the daemon of %s went away in the middle: %s; what it acknowledged is kept",
		       where, strerror(-rc));
}

int control_call(const char *store_path, int argc, char **argv, struct verb_io *io, int *exit_code,
		 struct err *err)
{
	AUTO(base_closep) int fd = connect_to(store_path, "control", err);

	return fd < 0 ? fd : call(fd, store_path, argc, argv, io, exit_code, err);
}

int control_call_at(const char *socket_path, int argc, char **argv, struct verb_io *io,
		    int *exit_code, struct err *err)
{
	const char *slash = strrchr(socket_path, '/'), *name = slash ? slash + 1 : socket_path;
	AUTO(base_freep) char *folder =
		slash ? strndup(socket_path, MAX((size_t)(slash - socket_path), 1)) : strdup(".");

	if (!folder)
		return err_set(err, -ENOMEM, "no memory to ask the daemon");
	if (!*name)
		return err_set(err, -EINVAL, "%s: a folder, not a socket", socket_path);
	AUTO(base_closep) int fd = connect_to(folder, name, err);

	return fd < 0 ? fd : call(fd, socket_path, argc, argv, io, exit_code, err);
}
