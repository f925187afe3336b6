/* events: readers that wait for a line, and who polls for one. */
#include "fs/ctl/inside.h"

#include <linux/fuse.h>
#include <poll.h>
#include <unistd.h>

#include "core/base/trace.h"
#include "fs/connection/journal.h"

#define FILL_SIZE (64u << 10) /* of events taken at a time */

/* ---- waiting readers ---- */

void ctl_wake(struct ctl *c)
{
	if (c->kept) {
		atomic_store(&c->kept->events_last, events_last(c->events));
		atomic_store(&c->kept->events_size, events_size(c->events));
	}
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
		h->kept->next = h->next;
		int rc = events_read(c->events, &h->next, FILL_SIZE, &h->text);

		if (rc < 0)
			return rc;
	}
	struct slice part = slice_sub(buf_slice(&h->text), h->given, size);

	buf_add(out, part);
	if (buf_done(out) == 0)
		h->given += part.n;
	h->kept->cut = part.n && part.p[part.n - 1] != '\n';
	if (h->given == h->text.n)
		h->kept->next = h->next;
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
		if (h->poll) {
			h->kept->poll = 0;
			return TAKE(h->poll);
		}
	return NULL;
}

static void answer_all(struct ctl *c, struct parked *list, bool ending)
{
	struct fuse_pollhandle *poll;

	for (struct parked *next; list; list = next) {
		next = list->next;
		/* A line or an interrupt that comes in between wakes us again, and finds it
		 * parked. */
		if (!answer(c, list->req, list->handle, list->size, ending)) {
			if (park(c, list))
				continue;
			answer(c, list->req, list->handle, list->size, true);
		}
		journal_unpark(list->kept);
		free(list);
	}
	while ((poll = next_poll(c))) {
		fuse_lowlevel_notify_poll(poll);
		fuse_pollhandle_destroy(poll);
	}
}

/* Another process answers them: they are written down. */
static void leave_all(struct parked *list)
{
	for (struct parked *next; list; list = next) {
		next = list->next;
		fuse_reply_none(list->req);
		free(list);
	}
}

void *ctl_answer_parked(void *arg)
{
	struct ctl *c = arg;
	bool ending = false;

	while (!ending) {
		struct parked *list = take_parked(c, &ending);

		if (ending && c->paused)
			leave_all(list);
		else
			answer_all(c, list, ending);
	}
	return NULL;
}

void ctl_stream_add(struct ctl *c, struct handle *h)
{
	LOCKED(&c->parked_lock);
	h->older = c->handles;
	if (h->older)
		h->older->newer = h;
	c->handles = h;
}

void ctl_note_reads(struct handle *h)
{
	h->kept->reads = h->streams ? READS_STREAM : h->at_places ? READS_PLACES : READS_UNKNOWN;
}

/* ---- reads ---- */

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
	*p = (struct parked){ req, h, size, journal_park(), NULL };
	if (!p->kept) { /* too many wait already */
		free(p);
		fuse_reply_err(req, EAGAIN);
		return;
	}
	/* Before it is parked: from then on the other thread may answer it at any moment. */
	fuse_req_interrupt_func(req, on_interrupt, c);
	if (!park(c, p)) {
		journal_unpark(p->kept);
		free(p);
		answer(c, req, h, size, true);
		return;
	}
	ctl_wake(c); /* what came meanwhile was told to nobody */
}

/* cat and its like read from the begin on, and wait for lines; who looked for the end first, as
 * tail does, or reads elsewhere, takes the lines for a text that grows, and comes to its end. */
void ctl_stream_read(fuse_req_t req, struct ctl *c, struct handle *h, size_t size, off_t offset,
		     bool no_wait)
{
	bool streams;

	pthread_mutex_lock(&h->order_lock);
	if (!h->streams && !h->at_places)
		*(offset == 0 ? &h->streams : &h->at_places) = true;
	ctl_note_reads(h);
	streams = h->streams;
	pthread_mutex_unlock(&h->order_lock);
	if (streams) {
		read_events(req, c, h, size, no_wait);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(CTL_TEXT_MAX);
	int rc = events_read_at(c->events, (uint64_t)MAX(offset, 0), size, &out);

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_buf(req, (const char *)out.p, out.n);
}

/* ---- poll ---- */

static bool has_lines(struct ctl *c, struct handle *h)
{
	LOCKED(&h->order_lock);
	return h->given < h->text.n || events_last(c->events) >= h->next;
}

/* libfuse gives it to nobody: the kernel's own name for who polls. */
static uint64_t poll_name(void)
{
	struct fuse_poll_in in;

	if (!journal_request())
		return 0;
	memcpy(&in, (const uint8_t *)journal_request() + sizeof(struct fuse_in_header), sizeof in);
	return in.kh;
}

/* Who polled a process before: read and struck out while nobody asks anything yet. */
size_t ctl_polls_of_before(struct ctl *c, uint64_t out[KEEP_HANDLES])
{
	size_t count = 0;

	for (size_t i = 0; i < KEEP_HANDLES; i++) {
		struct keep_handle *k = &c->kept->handles[i];

		if (atomic_load(&k->used) && k->poll)
			out[count++] = k->poll;
		k->poll = 0;
	}
	return count;
}

/* They ask again. */
void ctl_wake_polls(struct ctl *c, const uint64_t *polls, size_t count)
{
	struct {
		struct fuse_out_header head;
		struct fuse_notify_poll_wakeup_out body;
	} out = { { sizeof out, FUSE_NOTIFY_POLL, 0 }, { 0 } };

	for (size_t i = 0; i < count; i++) {
		out.body.kh = polls[i];
		if (write(ctl_fd(c), &out, sizeof out) < 0)
			trace_debug("fs", "nobody polls any more", "errno=%d", errno);
	}
}

void ctl_on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		 struct fuse_pollhandle *poll)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = ctl_handle_of(c, fi->fh);
	struct fuse_pollhandle *old = poll;
	bool ending;

	if (!h || h->row != ROW_EVENTS) {
		if (poll)
			fuse_pollhandle_destroy(poll);
		fuse_reply_poll(req, POLLIN);
		return;
	}
	pthread_mutex_lock(&c->parked_lock);
	if (poll) {
		old = h->poll;
		h->poll = poll;
		h->kept->poll = poll_name();
	}
	ending = c->ending;
	pthread_mutex_unlock(&c->parked_lock);
	if (old)
		fuse_pollhandle_destroy(old);
	fuse_reply_poll(req, (has_lines(c, h) || ending ? POLLIN : 0u) | (ending ? POLLHUP : 0u));
}
