/* Names, attributes and listings of ctl. */
#include "fs/ctl/inside.h"

#include <stdio.h>
#include <sys/stat.h>

#define FOR_EVER  (365.0 * 24 * 3600)
#define PIN_FIRST 64 /* of offsets of a listing: behind the rows */

static off_t size_of(struct ctl *c, fuse_ino_t ino)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CTL_TEXT_MAX);
	struct pin_name name;
	struct pin pin;

	switch (ctl_row_of(ino)) {
	case ROW_README:
		ctl_readme(c, &text);
		break;
	case ROW_EVENTS: /* it only grows: tail looks at that */
		return (off_t)events_size(c->events);
	case ROW_PIN_CHECKPOINT:
		if (ctl_pin_of(c, ino, &name, &pin) == 0)
			ctl_pin_link(c, &name, &pin, &text);
		break;
	default: /* what flows has no size */
		break;
	}
	return (off_t)text.n;
}

/* 0, or -ENOENT. */
int ctl_stat(struct ctl *c, fuse_ino_t ino, struct stat *out)
{
	struct timespec time = { .tv_sec = (time_t)c->time };
	enum row row = ctl_row_of(ino);
	struct pin_name name;
	struct pin pin;

	if (row >= ROW_END || (ctl_rows[row].ordered && !c->orders) ||
	    (row >= ROW_PIN && ctl_pin_of(c, ino, &name, &pin) < 0))
		return -ENOENT;
	mode_t writable = row == ROW_PINS || ctl_rows[row].kind == SETTABLE ? c->write_mode : 0;

	*out = (struct stat){
		.st_ino = ino,
		.st_nlink = 1,
		.st_uid = c->uid,
		.st_gid = c->gid,
		.st_blksize = 4096,
		.st_mode = ctl_rows[row].kind == FOLDER ? S_IFDIR | c->folder_mode | writable
			   : ctl_rows[row].kind == LINK ? S_IFLNK | 0777
							: S_IFREG | c->file_mode | writable,
		.st_size = size_of(c, ino),
		.st_atim = time,
		.st_mtim = time,
		.st_ctim = time,
	};
	out->st_blocks = (out->st_size + 511) / 512;
	return 0;
}

/* How long the kernel may keep it: pins come and go, and events grow. */
static double life_of(enum row row)
{
	return row >= ROW_PIN || row == ROW_EVENTS ? 0 : FOR_EVER;
}

static int find(struct ctl *c, fuse_ino_t parent, const char *name, fuse_ino_t *out)
{
	enum row above = ctl_row_of(parent);
	struct network *n;
	struct pin pin;

	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++)
		if (ctl_rows[r].below == above && ctl_rows[r].name &&
		    strcmp(ctl_rows[r].name, name) == 0) {
			*out = ctl_ino_of(r, (size_t)(parent >> ROW_BITS) - 1);
			return 0;
		}
	if (above != ROW_PINS || !c->orders || orders_pin_find(c->orders, name, &n, &pin) < 0)
		return -ENOENT;
	size_t number = ctl_pin_number(c, n, pin.name);

	*out = ctl_ino_of(ROW_PIN, number);
	return number == SIZE_MAX ? -ENOMEM : 0;
}

void ctl_reply_child(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctl *c = fuse_req_userdata(req);
	struct fuse_entry_param e = { .ino = 0 };
	int rc = find(c, parent, name, &e.ino);

	if (rc == 0)
		rc = ctl_stat(c, e.ino, &e.attr);
	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	e.entry_timeout = ctl_row_of(e.ino) >= ROW_PIN ? 0 : FOR_EVER;
	e.attr_timeout = life_of(ctl_row_of(e.ino));
	fuse_reply_entry(req, &e);
}

void ctl_on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	ctl_reply_child(req, parent, name);
}

void ctl_on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = fi ? ctl_handle_of(c, fi->fh) : NULL;
	struct stat st;

	/* With a handle the kernel asks for lseek(2) to the end alone: so tail begins. */
	if (h && h->row == ROW_EVENTS) {
		LOCKED(&h->order_lock);
		h->at_places |= !h->streams;
		ctl_note_reads(h);
	}
	int rc = ctl_stat(c, ino, &st);

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_attr(req, &st, life_of(ctl_row_of(ino)));
}

void ctl_on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	AUTO(buf_release) struct buf text = BUF_INIT(8192);
	struct ctl *c = fuse_req_userdata(req);
	struct pin_name name;
	struct pin pin;
	int rc = ctl_row_of(ino) == ROW_PIN_CHECKPOINT ? ctl_pin_of(c, ino, &name, &pin) : -EINVAL;

	if (rc == 0 && !pin.checkpoint[0])
		rc = -ENODATA; /* it has failed before that was known */
	if (rc == 0) {
		ctl_pin_link(c, &name, &pin, &text);
		buf_u8(&text, 0);
		rc = buf_done(&text);
	}
	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_readlink(req, (const char *)text.p);
}

/* ---- listings ---- */

struct listing {
	fuse_req_t req;
	char *bytes;
	size_t size, used;
};

static bool list_one(struct listing *l, const char *name, fuse_ino_t ino, off_t offset)
{
	enum row row = ctl_row_of(ino);
	struct stat st = {
		.st_ino = ino,
		.st_mode = ctl_rows[row].kind == FOLDER ? S_IFDIR
			   : ctl_rows[row].kind == LINK ? S_IFLNK
							: S_IFREG,
	};
	size_t n =
		fuse_add_direntry(l->req, l->bytes + l->used, l->size - l->used, name, &st, offset);

	if (n > l->size - l->used)
		return false;
	l->used += n;
	return true;
}

/* Behind the pin whose number the offset tells. */
static void list_pins(struct ctl *c, struct listing *l, off_t offset)
{
	struct pin_name after = { .network = NULL };
	char name[ORDER_PIN_NAME_SIZE];
	struct pin pin;

	if (!c->orders ||
	    (offset >= PIN_FIRST && !ctl_pin_name(c, (size_t)(offset - PIN_FIRST), &after)))
		return;
	while (orders_pin_next(c->orders, after.network, after.name, &after.network, &pin, name) ==
	       1) {
		size_t number = ctl_pin_number(c, after.network, pin.name);

		memcpy(after.name, pin.name, sizeof after.name);
		if (number == SIZE_MAX ||
		    !list_one(l, name, ctl_ino_of(ROW_PIN, number), (off_t)number + PIN_FIRST))
			return;
	}
}

static void list(struct ctl *c, struct listing *l, fuse_ino_t ino, off_t offset)
{
	enum row above = ctl_row_of(ino);

	if (offset < 1 && !list_one(l, ".", ino, 1))
		return;
	if (offset < 2 && !list_one(l, "..", ctl_ino_of(ROW_ROOT, 0), 2))
		return;
	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++) {
		if (ctl_rows[r].below != above || !ctl_rows[r].name || offset >= (off_t)r + 2 ||
		    (ctl_rows[r].ordered && !c->orders))
			continue;
		if (!list_one(l, ctl_rows[r].name, ctl_ino_of(r, (size_t)(ino >> ROW_BITS) - 1),
			      (off_t)r + 2))
			return;
	}
	if (above == ROW_PINS)
		list_pins(c, l, offset);
}

void ctl_on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct listing l = { .req = req, .bytes = malloc(size), .size = size };

	if (!l.bytes) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	list(fuse_req_userdata(req), &l, ino, offset);
	fuse_reply_buf(req, l.bytes, l.used);
	free(l.bytes);
}
