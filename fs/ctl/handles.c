/* Open files of ctl: each has a place in what outlives the process. */
#include "fs/ctl/inside.h"

#include <fcntl.h>
#include <unistd.h>

#include "core/control/metrics.h"

void ctl_handle_free(struct handle *h)
{
	buf_release(&h->text);
	pthread_mutex_destroy(&h->order_lock);
	free(h);
}

static struct handle *handle_new(struct ctl *c, struct keep_handle *k)
{
	struct handle *h = calloc(1, sizeof *h);

	if (!h)
		return NULL;
	h->kept = k;
	h->ino = k->ino;
	h->row = k->row;
	h->next = k->next;
	h->streams = k->reads == READS_STREAM;
	h->at_places = k->reads == READS_PLACES;
	h->text = (struct buf)BUF_INIT(CTL_TEXT_MAX);
	pthread_mutex_init(&h->order_lock, NULL);
	/* What follows is a line of its own. */
	if (k->cut)
		buf_u8(&h->text, '\n');
	return h;
}

/* A free place for an open file. NULL: there is none. */
static struct keep_handle *place_take(struct ctl *c, fuse_ino_t ino)
{
	for (size_t i = 0; i < KEEP_HANDLES; i++) {
		struct keep_handle *k = &c->kept->handles[i];
		uint32_t free_one = 0;

		/* 2: taken, and nobody has been told yet. */
		if (!atomic_compare_exchange_strong(&k->used, &free_one, 2))
			continue;
		k->ino = ino;
		k->row = ctl_row_of(ino);
		k->next = k->poll = 0;
		k->reads = READS_UNKNOWN;
		k->cut = false;
		return k;
	}
	return NULL;
}

/* NULL: no such file is open, or there is no memory. Those of a process before come to us with the
 * first that is done with them. */
struct handle *ctl_handle_of(struct ctl *c, uint64_t number)
{
	struct handle *h, *none = NULL;

	if (number == 0 || number > KEEP_HANDLES)
		return NULL;
	h = atomic_load(&c->open[number - 1]);
	if (h || atomic_load(&c->kept->handles[number - 1].used) != 1)
		return h;
	h = handle_new(c, &c->kept->handles[number - 1]);
	if (!h)
		return NULL;
	if (!atomic_compare_exchange_strong(&c->open[number - 1], &none, h)) {
		ctl_handle_free(h);
		return none;
	}
	if (h->row == ROW_EVENTS)
		ctl_stream_add(c, h);
	return h;
}

/* ---- open files ---- */

/* The kernel looks at modes; this is for whoever gets past them. */
bool ctl_is_owner(fuse_req_t req, const struct ctl *c)
{
	uid_t uid = fuse_req_ctx(req)->uid;

	return uid == 0 || uid == c->uid || uid == geteuid();
}

/* What a file says at this moment. */
static int fill(struct ctl *c, struct handle *h)
{
	struct pin_name name;
	struct pin pin;
	int rc;

	buf_clear(&h->text);
	switch (h->row) {
	case ROW_README:
		ctl_readme(c, &h->text);
		break;
	case ROW_METRICS:
		return metrics_render(c->store, c->follows, &h->text);
	case ROW_EVENTS:
		h->next = events_last(c->events) + 1;
		break;
	case ROW_PIN_HEIGHT:
	case ROW_PIN_STATE:
		rc = ctl_pin_of(c, h->ino, &name, &pin);
		if (rc < 0)
			return rc;
		if (h->row == ROW_PIN_STATE)
			orders_pin_state(&pin, &h->text);
		else
			buf_fmt(&h->text, "%" PRIu64 "\n", pin.height);
		break;
	default:
		return orders_read(c->orders, ctl_rows[h->row].order, &h->text);
	}
	return buf_done(&h->text);
}

static void handle_close(struct ctl *c, uint64_t number)
{
	struct handle *h = ctl_handle_of(c, number);
	struct fuse_pollhandle *poll;

	if (!h)
		return;
	pthread_mutex_lock(&c->parked_lock);
	if (h->row == ROW_EVENTS) {
		*(h->newer ? &h->newer->older : &c->handles) = h->older;
		if (h->older)
			h->older->newer = h->newer;
	}
	poll = TAKE(h->poll);
	pthread_mutex_unlock(&c->parked_lock);
	if (poll)
		fuse_pollhandle_destroy(poll);
	/* Its last read is answered, but who answered it may not have let go of it yet. */
	pthread_mutex_lock(&h->order_lock);
	pthread_mutex_unlock(&h->order_lock);
	atomic_store(&c->open[number - 1], NULL);
	atomic_store(&h->kept->used, 0);
	ctl_handle_free(h);
}

void ctl_on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;

	if (ctl_row_of(ino) >= ROW_END || (ctl_rows[ctl_row_of(ino)].ordered && !c->orders)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (writes && (ctl_rows[ctl_row_of(ino)].kind != SETTABLE || !ctl_is_owner(req, c))) {
		fuse_reply_err(req, EACCES);
		return;
	}
	struct keep_handle *k = place_take(c, ino);
	struct handle *h = k ? handle_new(c, k) : NULL;

	if (!h) {
		if (k)
			atomic_store(&k->used, 0);
		fuse_reply_err(req, k ? ENOMEM : ENFILE);
		return;
	}
	int rc = fill(c, h);

	if (rc < 0) {
		atomic_store(&k->used, 0);
		ctl_handle_free(h);
		fuse_reply_err(req, -rc);
		return;
	}
	h->filled = true;
	k->next = h->next;
	if (h->row == ROW_EVENTS)
		ctl_stream_add(c, h);
	fi->fh = (uint64_t)(k - c->kept->handles) + 1;
	atomic_store(&c->open[fi->fh - 1], h);
	atomic_store(&k->used, 1);
	fi->direct_io = 1;
	/* Nobody waits for it: a process before us has answered. */
	if (fuse_reply_open(req, fi) < 0)
		handle_close(c, fi->fh);
}

void ctl_on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_close(fuse_req_userdata(req), fi->fh);
	fuse_reply_err(req, 0);
}

void ctl_on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = ctl_handle_of(c, fi->fh);
	int rc = 0;

	if (!h) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (h->row == ROW_EVENTS) {
		ctl_stream_read(req, c, h, size, offset, (fi->flags & O_NONBLOCK) != 0);
		return;
	}
	LOCKED(&h->order_lock);
	if (!h->filled && offset != 0 && h->row != ROW_README)
		rc = -ESTALE; /* its first part was of another process */
	else if (!h->filled || (offset == 0 && ctl_rows[h->row].kind == SETTABLE))
		rc = fill(c, h); /* what was written through it meanwhile */
	h->filled |= rc == 0;
	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	struct slice part = slice_sub(buf_slice(&h->text), (size_t)MAX(offset, 0), size);

	fuse_reply_buf(req, (const char *)part.p, part.n);
}
