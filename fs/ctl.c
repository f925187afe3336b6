#include "fs/ctl.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "fs/mountpoint.h"
#include "fs/session.h"

#define THREADS      1u          /* no handler waits for anything */
#define FOR_EVER     (365.0 * 24 * 3600)
#define TEXT_MAX     (16u << 20) /* of metrics */
#define FILL_SIZE    (64u << 10) /* of events taken at a time */
#define END_WAIT_MS  500u        /* for readers to take the end of the file and close */

static const char readme[] =
	"What flows, beside the tree of this mount.\n"
	"\n"
	"events   a line an event: time, network, kind, key=value pairs. Starts with what comes\n"
	"         after its open and goes on until you stop it: cat events. A reader that is too\n"
	"         slow is told how many lines it lost. Kinds: block, gap, refused, head, hyper,\n"
	"         import, mount; of the reader itself: events.\n"
	"metrics  numbers in Prometheus' text format, as of the open.\n";

enum file { ROOT = FUSE_ROOT_ID, README, EVENTS, METRICS, FILE_END };
static const char *const names[FILE_END] = {
	[README] = "README", [EVENTS] = "events", [METRICS] = "metrics"
};

struct handle { /* an open file */
	enum file        file;
	pthread_mutex_t  order_lock; /* of reads of one handle; guards the next three */
	struct buf       text;       /* the content; of events: taken and not given yet */
	size_t           given;      /* of events: how much of it was */
	uint64_t         next;       /* number of the next event */
	struct fuse_pollhandle *poll; /* under parked_lock, as the list that it is in */
	struct handle   *newer, *older;
};

struct parked { /* a read that waits for a line */
	fuse_req_t     req;
	struct handle *handle;
	size_t         size;
	struct parked *next;
};

struct ctl {
	struct store   *store;
	struct events  *events;
	struct session *session;
	uint32_t        uid, gid;
	mode_t          folder_mode, file_mode;
	uint64_t        time;
	pthread_t       thread;
	bool            started;

	pthread_mutex_t parked_lock; /* guards the rest; a leaf */
	pthread_cond_t  woken;
	bool            wake, ending;
	struct parked  *parked;
	struct handle  *handles;     /* of events */
};

/* ---- waiting readers ---- */

void ctl_wake(struct ctl *c)
{
	LOCKED(&c->parked_lock);
	if (!c->handles)
		return;
	c->wake = true;
	pthread_cond_signal(&c->woken);
}

/* libfuse holds a lock of the request here: it is answered by the thread that answers them all. */
static void on_interrupt(fuse_req_t req, void *arg)
{
	ctl_wake(arg);
}

/* Bytes for a reader: what is left of the lines taken before, else new ones; none is no error. */
static int take(struct ctl *c, struct handle *h, size_t size, struct buf *out)
{
	LOCKED(&h->order_lock);
	if (h->given == h->text.n) {
		buf_clear(&h->text);
		h->given = 0;
		int rc = events_read(c->events, &h->next, FILL_SIZE, &h->text);

		if (rc < 0)
			return rc;
	}
	struct slice part = slice_sub(buf_slice(&h->text), h->given, size);

	buf_add(out, part);
	if (buf_done(out) == 0)
		h->given += part.n;
	return buf_done(out);
}

/* False: there is nothing to answer with yet. */
static bool answer(struct ctl *c, fuse_req_t req, struct handle *h, size_t size, bool ending)
{
	AUTO(buf_release) struct buf out = BUF_INIT(FILL_SIZE);

	if (fuse_req_interrupted(req)) {
		fuse_reply_err(req, EINTR);
		return true;
	}
	int rc = take(c, h, size, &out);

	if (rc == 0 && out.n == 0 && !ending)
		return false;
	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_buf(req, (const char *)out.p, out.n);
	return true;
}

/* False: ctl is ending, nothing is parked any more. */
static bool park(struct ctl *c, struct parked *p)
{
	LOCKED(&c->parked_lock);
	if (c->ending)
		return false;
	p->next = c->parked;
	c->parked = p;
	return true;
}

static struct parked *take_parked(struct ctl *c, bool *ending)
{
	LOCKED(&c->parked_lock);
	while (!c->wake && !c->ending)
		pthread_cond_wait(&c->woken, &c->parked_lock);
	c->wake = false;
	*ending = c->ending;
	return TAKE(c->parked);
}

static struct fuse_pollhandle *next_poll(struct ctl *c)
{
	LOCKED(&c->parked_lock);
	for (struct handle *h = c->handles; h; h = h->older)
		if (h->poll)
			return TAKE(h->poll);
	return NULL;
}

static void answer_all(struct ctl *c, struct parked *list, bool ending)
{
	struct fuse_pollhandle *poll;

	for (struct parked *next; list; list = next) {
		next = list->next;
		/* A line or an interrupt that comes in between wakes us again, and finds it
		 * parked. */
		if (answer(c, list->req, list->handle, list->size, ending))
			free(list);
		else if (!park(c, list)) {
			answer(c, list->req, list->handle, list->size, true);
			free(list);
		}
	}
	while ((poll = next_poll(c))) {
		fuse_lowlevel_notify_poll(poll);
		fuse_pollhandle_destroy(poll);
	}
}

static void *answer_parked(void *arg)
{
	struct ctl *c = arg;
	bool ending = false;

	while (!ending) {
		struct parked *list = take_parked(c, &ending);

		answer_all(c, list, ending);
	}
	return NULL;
}

/* ---- files ---- */

static void stat_of(const struct ctl *c, enum file file, struct stat *out)
{
	struct timespec time = { .tv_sec = (time_t)c->time };

	*out = (struct stat){
		.st_ino = file,
		.st_nlink = 1,
		.st_uid = c->uid,
		.st_gid = c->gid,
		.st_blksize = 4096,
		.st_mode = file == ROOT ? S_IFDIR | c->folder_mode : S_IFREG | c->file_mode,
		.st_size = file == README ? (off_t)strlen(readme) : 0, /* what flows has no size */
		.st_atim = time,
		.st_mtim = time,
		.st_ctim = time,
	};
	out->st_blocks = (out->st_size + 511) / 512;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = FOR_EVER, .entry_timeout = FOR_EVER };

	for (enum file f = README; parent == ROOT && f < FILE_END; f++)
		if (strcmp(names[f], name) == 0)
			e.ino = f;
	if (e.ino)
		stat_of(fuse_req_userdata(req), (enum file)e.ino, &e.attr);
	fuse_reply_entry(req, &e);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	stat_of(fuse_req_userdata(req), (enum file)ino, &st);
	fuse_reply_attr(req, &st, FOR_EVER);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	static const char *const listed[] = { ".", "..", "README", "events", "metrics" };
	static const enum file files[] = { ROOT, ROOT, README, EVENTS, METRICS };
	char bytes[512];
	size_t used = 0, room = MIN(size, sizeof bytes);

	for (size_t i = (size_t)MAX(offset, 0); i < ARRAY_LEN(listed); i++) {
		struct stat st;

		stat_of(fuse_req_userdata(req), files[i], &st);
		size_t n = fuse_add_direntry(req, bytes + used, room - used, listed[i], &st,
					     (off_t)i + 1);

		if (n > room - used)
			break;
		used += n;
	}
	fuse_reply_buf(req, bytes, used);
}

/* ---- open files ---- */

static void handle_free(struct handle *h)
{
	buf_release(&h->text);
	pthread_mutex_destroy(&h->order_lock);
	free(h);
}

static int fill(struct ctl *c, struct handle *h)
{
	switch (h->file) {
	case README:
		buf_str(&h->text, readme);
		return buf_done(&h->text);
	case METRICS:
		return metrics_render(c->store, &h->text);
	default:
		h->next = events_last(c->events) + 1;
		return 0;
	}
}

static void link_handle(struct ctl *c, struct handle *h)
{
	LOCKED(&c->parked_lock);
	h->older = c->handles;
	if (h->older)
		h->older->newer = h;
	c->handles = h;
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = calloc(1, sizeof *h);

	if (!h) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	h->file = (enum file)ino;
	h->text = (struct buf)BUF_INIT(TEXT_MAX);
	pthread_mutex_init(&h->order_lock, NULL);
	int rc = fill(c, h);

	if (rc < 0) {
		handle_free(h);
		fuse_reply_err(req, -rc);
		return;
	}
	if (h->file == EVENTS)
		link_handle(c, h);
	fi->fh = (uint64_t)(uintptr_t)h;
	fi->direct_io = 1;
	fi->nonseekable = h->file == EVENTS;
	fuse_reply_open(req, fi); /* where it fails, RELEASE comes nevertheless */
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct fuse_pollhandle *poll;

	pthread_mutex_lock(&c->parked_lock);
	if (h->file == EVENTS) {
		*(h->newer ? &h->newer->older : &c->handles) = h->older;
		if (h->older)
			h->older->newer = h->newer;
	}
	poll = TAKE(h->poll);
	pthread_mutex_unlock(&c->parked_lock);
	if (poll)
		fuse_pollhandle_destroy(poll);
	handle_free(h);
	fuse_reply_err(req, 0);
}

static void read_events(fuse_req_t req, struct ctl *c, struct handle *h, size_t size, bool no_wait)
{
	if (answer(c, req, h, size, false))
		return;
	if (no_wait) {
		fuse_reply_err(req, EAGAIN);
		return;
	}
	struct parked *p = malloc(sizeof *p);

	if (!p) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	*p = (struct parked){ req, h, size, NULL };
	/* Before it is parked: from then on the other thread may answer it at any moment. */
	fuse_req_interrupt_func(req, on_interrupt, c);
	if (!park(c, p)) {
		free(p);
		answer(c, req, h, size, true);
		return;
	}
	ctl_wake(c); /* what came meanwhile was told to nobody */
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;

	if (h->file == EVENTS) {
		read_events(req, c, h, size, (fi->flags & O_NONBLOCK) != 0);
		return;
	}
	struct slice part = slice_sub(buf_slice(&h->text), (size_t)MAX(offset, 0), size);

	fuse_reply_buf(req, (const char *)part.p, part.n);
}

static bool has_lines(struct ctl *c, struct handle *h)
{
	LOCKED(&h->order_lock);
	return h->given < h->text.n || events_last(c->events) >= h->next;
}

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *poll)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = (struct handle *)(uintptr_t)fi->fh;
	struct fuse_pollhandle *old = poll;
	bool ending;

	if (h->file != EVENTS) {
		if (poll)
			fuse_pollhandle_destroy(poll);
		fuse_reply_poll(req, POLLIN);
		return;
	}
	pthread_mutex_lock(&c->parked_lock);
	if (poll) {
		old = h->poll;
		h->poll = poll;
	}
	ending = c->ending;
	pthread_mutex_unlock(&c->parked_lock);
	if (old)
		fuse_pollhandle_destroy(old);
	fuse_reply_poll(req, (has_lines(c, h) || ending ? POLLIN : 0u) | (ending ? POLLHUP : 0u));
}

static const struct fuse_lowlevel_ops ctl_ops = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.readdir = on_readdir,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.poll = on_poll,
};

/* ---- the contract ---- */

int ctl_open(struct store *s, struct events *e, const struct ctl_options *o, struct ctl **out,
	     struct err *err)
{
	AUTO(ctl_closep) struct ctl *c = calloc(1, sizeof *c);

	if (!c)
		return err_set(err, -ENOMEM, "no memory for ctl");
	c->store = s;
	c->events = e;
	c->uid = o->uid;
	c->gid = o->gid;
	c->folder_mode = 0555 & ~o->umask;
	c->file_mode = 0444 & ~o->umask;
	c->time = clock_unix_s();
	pthread_mutex_init(&c->parked_lock, NULL);
	pthread_cond_init(&c->woken, NULL);
	struct session_options so = {
		.mountpoint = o->mountpoint, .source = store_path(s), .subtype = MOUNT_SUBTYPE_CTL,
		.allow_other = o->allow_other, .read_only = true,
	};
	int rc = session_open(&ctl_ops, c, &so, &c->session, err);

	if (rc < 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

static void on_ended(void *arg)
{
	trace_debug("fs", "ctl was unmounted", "");
}

int ctl_start(struct ctl *c, struct err *err)
{
	int rc = -pthread_create(&c->thread, NULL, answer_parked, c);

	if (rc < 0)
		return err_set(err, rc, "no thread for ctl: %s", strerror(-rc));
	c->started = true;
	return session_start(c->session, THREADS, on_ended, c, err);
}

void ctl_closep(struct ctl **at)
{
	struct ctl *c = TAKE(*at);

	if (!c)
		return;
	pthread_mutex_lock(&c->parked_lock);
	c->ending = true;
	pthread_cond_signal(&c->woken);
	pthread_mutex_unlock(&c->parked_lock);
	if (c->started) {
		pthread_join(c->thread, NULL);
		session_end(c->session, END_WAIT_MS);
	}
	session_closep(&c->session);
	while (c->handles) { /* of readers that never closed */
		struct handle *h = c->handles;

		c->handles = h->older;
		if (h->poll)
			fuse_pollhandle_destroy(h->poll);
		handle_free(h);
	}
	pthread_cond_destroy(&c->woken);
	pthread_mutex_destroy(&c->parked_lock);
	free(c);
}
