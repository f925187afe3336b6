#include "net/control.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "core/base/queue.h"
#include "core/base/trace.h"

#define COLUMNS_MAX 1000 /* of a terminal, that a caller may tell */
#define LINES_MAX 256u /* frames that wait for a slow client; then the verb waits */
#define ARGC_MAX  64

struct control_server {
	struct verb_env env;
	const struct verb *table;
	size_t         table_count;
	uv_loop_t      loop;
	uv_pipe_t      listener;
	uv_async_t     wake;       /* a call has frames to send, or the server closes */
	pthread_t      thread;
	bool           started;
	atomic_bool    closing;
	struct call   *calls;      /* loop thread only */
	unsigned       call_count;
	char           path[4096];
};

/* A frame on its way out; freed when it is written. */
struct frame {
	uv_write_t request;
	size_t     size;
	uint8_t    bytes[];
};

/* One connection. The loop owns it; while its verb runs a thread uses io, stop and frames. */
struct call {
	uv_pipe_t       pipe;
	struct control_server *server;
	struct call    *next;
	struct buf      in;
	struct queue   *frames;     /* struct frame, from the verb to the loop */
	pthread_t       thread;
	bool            running, closing;
	atomic_bool     ended;      /* the thread is done and may be joined */
	atomic_bool     stop;
	bool            gone;       /* the client: closes as soon as the thread has ended */
	struct verb_io  io;
	cJSON          *request;
	char           *argv[ARGC_MAX + 1];
	int             argc;
};

static struct frame *frame_new(char kind, const void *p, size_t n)
{
	struct frame *f = malloc(sizeof *f + CONTROL_HEAD_SIZE + n);
	if (!f)
		return NULL;
	f->size = CONTROL_HEAD_SIZE + n;
	f->bytes[0] = (uint8_t)kind;
	put_be32(f->bytes + 1, (uint32_t)n);
	memcpy(f->bytes + CONTROL_HEAD_SIZE, p, n);
	return f;
}

/* From the verb's thread. A queue that is full holds the verb; one that is closed drops the
 * line. */
static void emit(struct call *c, char kind, const void *p, size_t n)
{
	struct frame *f = frame_new(kind, p, n);
	if (f && queue_push(c->frames, f) < 0)
		free(f);
	uv_async_send(&c->server->wake);
}

static void emit_text(struct call *c, char kind, const char *text, size_t size)
{
	for (size_t part; size; text += part, size -= part) {
		part = MIN(size, (size_t)CONTROL_PART_MAX);
		emit(c, kind, text, part);
	}
}

static void emit_out(void *arg, const char *text, size_t size)
{
	emit_text(arg, 'o', text, size);
}

static void emit_err(void *arg, const char *text, size_t size)
{
	emit_text(arg, 'e', text, size);
}

/* ---- the verb's thread ---- */

static int run_verb(struct call *c)
{
	struct control_server *s = c->server;
	const cJSON *cwd = cJSON_GetObjectItemCaseSensitive(c->request, "cwd");
	struct verb_call call = {
		.cwd = cJSON_IsString(cwd) ? cwd->valuestring : NULL,
		.io = &c->io,
		.store = s->env.store,
		.events = s->env.events,
		.pins = s->env.pins,
		.gate = s->env.gate,
		.follows = s->env.follows,
		.settings = s->env.settings,
		.env = &s->env,
	};
	int code = verb_parse(s->table, s->table_count, c->argc, c->argv, &call);
	if (code >= 0)
		return code;
	if (call.verb->need != STORE_OPEN && call.verb->need != STORE_CREATE &&
	    call.verb->need != STORE_ASK) {
		verb_say(&call, "chainfs %s: the store is held by a daemon; umount it first\n",
			 call.verb->name);
		return EXIT_BUSY;
	}
	return call.verb->run(&call);
}

static void *call_thread(void *arg)
{
	struct call *c = arg;
	uint8_t code[4];
	put_be32(code, (uint32_t)run_verb(c));
	emit(c, 'x', code, sizeof code);
	atomic_store(&c->ended, true);
	uv_async_send(&c->server->wake);
	return NULL;
}

/* ---- the loop's thread ---- */

static void call_closed(uv_handle_t *handle)
{
	struct call *c = handle->data, **at = &c->server->calls;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	c->server->call_count--;
	if (c->frames)
		for (struct frame *f; (f = queue_try_pop(c->frames));)
			free(f);
	queue_freep(&c->frames);
	buf_release(&c->in);
	cJSON_Delete(c->request);
	if (atomic_load(&c->server->closing))
		uv_async_send(&c->server->wake); /* perhaps it was the last one */
	free(c);
}

/* Closes when nothing of the call runs any more; until then it is only told to stop. */
static void call_end(struct call *c)
{
	if (c->closing)
		return;
	if (c->running && !atomic_load(&c->ended)) {
		c->gone = true;
		atomic_store(&c->stop, true);
		if (c->frames)
			queue_close(c->frames);
		return;
	}
	if (c->running)
		pthread_join(c->thread, NULL);
	c->running = false;
	c->closing = true;
	uv_close((uv_handle_t *)&c->pipe, call_closed);
}

static void call_flush(struct call *c);

static void written(uv_write_t *request, int status)
{
	struct call *c = request->data;
	free((struct frame *)(void *)request);
	if (status < 0)
		call_end(c);
	else
		call_flush(c);
}

/* Sends what the client has room for; the rest stays in the queue, which holds the verb. Ends the
 * call behind the last frame, also when the exit code found no memory: nobody waits for ever. */
static void call_flush(struct call *c)
{
	/* Read before the queue: whoever has ended pushes nothing more. */
	bool ended = c->running && atomic_load(&c->ended);
	struct frame *f;
	while (!c->closing && c->frames &&
	       uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) < CONTROL_UNREAD_MAX &&
	       (f = queue_try_pop(c->frames))) {
		uv_buf_t buf = uv_buf_init((char *)f->bytes, (unsigned)f->size);
		f->request.data = c;
		if (uv_write(&f->request, (uv_stream_t *)&c->pipe, &buf, 1, written) < 0) {
			free(f);
			call_end(c);
			return;
		}
	}
	bool all_written = !c->closing && ended && queue_count(c->frames) == 0 &&
			   uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) == 0;
	if (all_written || (ended && c->gone))
		call_end(c);
}

/* Reads argv out of the request; false when it is not one. */
static bool parse_request(struct call *c, struct slice body)
{
	c->request = cJSON_ParseWithLength((const char *)body.p, body.n);
	const cJSON *argv = cJSON_GetObjectItemCaseSensitive(c->request, "argv"), *word;
	cJSON_ArrayForEach(word, argv) {
		if (!cJSON_IsString(word) || c->argc == ARGC_MAX)
			return false;
		c->argv[c->argc++] = word->valuestring;
	}
	c->io = (struct verb_io){ emit_out, emit_err, c, .stop = &c->stop };
	c->io.terminal = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(c->request, "terminal"));
	const cJSON *columns = cJSON_GetObjectItemCaseSensitive(c->request, "columns");

	if (cJSON_IsNumber(columns) && columns->valuedouble > 0)
		c->io.columns = (unsigned)MIN(columns->valuedouble, COLUMNS_MAX);
	return c->argc > 0;
}

static void handle_frame(struct call *c, char kind, struct slice body)
{
	if (kind == 'k' && c->running) {
		atomic_store(&c->stop, true);
		return;
	}
	c->frames = kind == 'c' && !c->running ? queue_new(LINES_MAX) : c->frames;
	if (kind != 'c' || c->running || !c->frames || !parse_request(c, body) ||
	    pthread_create(&c->thread, NULL, call_thread, c) != 0) {
		call_end(c);
		return;
	}
	c->running = true;
}

static void give_memory(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct call *c = handle->data;
	size_t want = MIN(suggested, (size_t)4096);
	*out = buf_reserve(&c->in, want) < 0
		       ? uv_buf_init(NULL, 0)
		       : uv_buf_init((char *)c->in.p + c->in.n, (unsigned)want);
}

static void received(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct call *c = stream->data;
	if (n < 0) {
		call_end(c);
		return;
	}
	c->in.n += (size_t)n;
	while (!c->closing && c->in.n >= CONTROL_HEAD_SIZE) {
		size_t size = get_be32(c->in.p + 1), whole = CONTROL_HEAD_SIZE + size;
		if (size > CONTROL_REQUEST_MAX) {
			call_end(c);
			return;
		}
		if (c->in.n < whole)
			return;
		handle_frame(c, (char)c->in.p[0], SLICE(c->in.p + CONTROL_HEAD_SIZE, size));
		memmove(c->in.p, c->in.p + whole, c->in.n - whole);
		c->in.n -= whole;
	}
}

static void connected(uv_stream_t *listener, int status)
{
	struct control_server *s = listener->data;
	struct call *c = status == 0 ? calloc(1, sizeof *c) : NULL;
	if (!c)
		return;
	c->server = s;
	c->in = (struct buf)BUF_INIT(CONTROL_REQUEST_MAX + 2 * 4096);
	c->next = s->calls;
	s->calls = c;
	s->call_count++;
	uv_pipe_init(&s->loop, &c->pipe, 0);
	c->pipe.data = c;
	if (uv_accept(listener, (uv_stream_t *)&c->pipe) < 0 || s->call_count > CONTROL_CALLS_MAX ||
	    atomic_load(&s->closing) ||
	    uv_read_start((uv_stream_t *)&c->pipe, give_memory, received) < 0)
		call_end(c);
}

static void woken(uv_async_t *wake)
{
	struct control_server *s = wake->data;
	for (struct call *c = s->calls, *next; c; c = next) {
		next = c->next;
		call_flush(c);
		if (atomic_load(&s->closing))
			call_end(c);
	}
	if (!atomic_load(&s->closing) || s->calls)
		return;
	if (!uv_is_closing((uv_handle_t *)&s->listener))
		uv_close((uv_handle_t *)&s->listener, NULL);
	if (!uv_is_closing((uv_handle_t *)wake))
		uv_close((uv_handle_t *)wake, NULL);
}

static void *server_thread(void *arg)
{
	struct control_server *s = arg;
	uv_run(&s->loop, UV_RUN_DEFAULT);
	return NULL;
}

/* Bound by hand and reached through the folder's descriptor: a store's path may be longer than a
 * socket's may be. */
static int listen_at(struct control_server *s, const char *folder_path, struct err *err)
{
	AUTO(base_closep) int folder = open(folder_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO(base_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (folder < 0 || fd < 0)
		return err_set(err, -errno, "%s: %s", folder_path, strerror(errno));
	unlinkat(folder, "control", 0);
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/control", folder);
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		return err_set(err, -errno, "%s/control: %s", folder_path, strerror(errno));
	uv_pipe_init(&s->loop, &s->listener, 0);
	s->listener.data = s;
	int rc = uv_pipe_open(&s->listener, fd);
	if (rc == 0) {
		fd = -1;
		rc = uv_listen((uv_stream_t *)&s->listener, 16, connected);
	}
	return rc < 0 ? err_set(err, rc, "%s/control: %s", folder_path, uv_strerror(rc)) : 0;
}

int control_server_open(const struct verb_env *env, const struct verb *table, size_t count,
			struct control_server **out, struct err *err)
{
	struct control_server *s = calloc(1, sizeof *s);
	if (!s)
		return err_set(err, -ENOMEM, "no memory for the control socket");
	s->env = *env;
	s->table = table;
	s->table_count = count;
	snprintf(s->path, sizeof s->path, "%s/control", store_path(env->store));
	int rc = uv_loop_init(&s->loop);
	if (rc < 0) {
		free(s);
		return err_set(err, rc, "no event loop: %s", uv_strerror(rc));
	}
	rc = uv_async_init(&s->loop, &s->wake, woken);
	if (rc < 0) {
		uv_loop_close(&s->loop);
		free(s);
		return err_set(err, rc, "no wake-up for the control socket: %s", uv_strerror(rc));
	}
	s->wake.data = s;
	rc = listen_at(s, store_path(env->store), err);
	if (rc == 0) {
		rc = -pthread_create(&s->thread, NULL, server_thread, s);
		s->started = rc == 0;
		if (rc < 0)
			err_set(err, rc, "no thread for the control socket: %s", strerror(-rc));
	}
	*out = s;
	if (rc < 0)
		control_server_closep(out);
	return rc;
}

void control_server_closep(struct control_server **out)
{
	struct control_server *s = *out;
	if (!s)
		return;
	atomic_store(&s->closing, true);
	if (s->started) {
		uv_async_send(&s->wake);
		pthread_join(s->thread, NULL);
	} else {
		uv_close((uv_handle_t *)&s->wake, NULL);
		if (s->listener.data)
			uv_close((uv_handle_t *)&s->listener, NULL);
		uv_run(&s->loop, UV_RUN_DEFAULT);
	}
	unlink(s->path);
	uv_loop_close(&s->loop);
	free(s);
	*out = NULL;
}
