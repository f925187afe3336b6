#include "fs/ctl/ctl.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "core/checkpoint/pins.h"
#include "core/control/orders.h"
#include "fs/connection/journal.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/session.h"

#define THREADS     1u /* no handler waits, but for a freeze; more come then */
#define FOR_EVER    (365.0 * 24 * 3600)
#define TEXT_MAX    (16u << 20) /* of metrics */
#define FILL_SIZE   (64u << 10) /* of events taken at a time */
#define END_WAIT_MS 500u        /* for readers to take the end of the file and close */

/* ---- the table ---- */

enum row {
	ROW_ROOT = FUSE_ROOT_ID,
	ROW_README,
	ROW_EVENTS,
	ROW_FREEZE,
	ROW_LAST_ERROR,
	ROW_LOG_LEVEL,
	ROW_METRICS,
	ROW_PAUSE,
	ROW_PINS,
	ROW_VERIFY,
	ROW_PIN,
	ROW_PIN_CHECKPOINT,
	ROW_PIN_HEIGHT,
	ROW_PIN_STATE,
	ROW_END
};

enum kind { FOLDER, TEXT, STREAM, SETTABLE, LINK };

struct ctl_row {
	const char *name; /* NULL: of pins, as many as there are */
	uint8_t below;    /* enum row */
	uint8_t kind;
	uint8_t order; /* enum order; ORDER_COUNT: none */
	bool ordered;  /* is there only where orders are taken */
	const char *about;
};

static const struct ctl_row rows[ROW_END] = {
	[ROW_ROOT] = { "", 0, FOLDER, ORDER_COUNT, false, "" },
	[ROW_README] = { "README", ROW_ROOT, TEXT, ORDER_COUNT, false, "this page" },
	[ROW_EVENTS] = { "events", ROW_ROOT, STREAM, ORDER_COUNT, false,
			 "a line an event: time, network, kind, key=value pairs. cat waits\n"
			 "for the next one and begins with what comes after its open; tail -f\n"
			 "shows the last lines first and looks for more every second. A\n"
			 "reader that is too slow is told how many lines it lost" },
	[ROW_FREEZE] = { "freeze", ROW_ROOT, SETTABLE, ORDER_FREEZE, true,
			 "1, or \"1 SECONDS\": nothing below the store is written any more, so\n"
			 "that its folder may be copied; 0 thaws, and so does its time, 60 s" },
	[ROW_LAST_ERROR] = { "last_error", ROW_ROOT, TEXT, ORDER_LAST_ERROR, true,
			     "why the last order that was refused was refused" },
	[ROW_LOG_LEVEL] = { "log-level", ROW_ROOT, SETTABLE, ORDER_LOG_LEVEL, true,
			    "error, warn, info or debug" },
	[ROW_METRICS] = { "metrics", ROW_ROOT, TEXT, ORDER_COUNT, false,
			  "numbers in Prometheus' text format" },
	[ROW_PAUSE] = { "pause", ROW_ROOT, SETTABLE, ORDER_PAUSE, true,
			"1: imports of the daemon stop between two commits; 0: they go on" },
	[ROW_PINS] = { "pins", ROW_ROOT, FOLDER, ORDER_COUNT, true,
		       "mkdir pins/NAME asks for a checkpoint of the newest main height, and\n"
		       "pins/NAME@HEIGHT of that one; rmdir lets it go. NETWORK:NAME where there\n"
		       "are several networks" },
	[ROW_VERIFY] = { "verify", ROW_ROOT, SETTABLE, ORDER_VERIFY, true,
			 "NETWORK, \"NETWORK FIRST-LAST\" or \"NETWORK CHECKPOINT\": checked in\n"
			 "the background; what was found is read here" },
	[ROW_PIN] = { NULL, ROW_PINS, FOLDER, ORDER_COUNT, true, "" },
	[ROW_PIN_CHECKPOINT] = { "checkpoint", ROW_PIN, LINK, ORDER_COUNT, true,
				 "where it is, or will be" },
	[ROW_PIN_HEIGHT] = { "height", ROW_PIN, TEXT, ORDER_COUNT, true, "its main height" },
	[ROW_PIN_STATE] = { "state", ROW_PIN, TEXT, ORDER_COUNT, true,
			    "waiting, building N of M, complete, or failed: why" },
};

static const char readme_head[] = "What flows and what is ordered, beside the tree of this mount.\n"
				  "\n";
static const char readme_tail[] =
	"\n"
	"An order is one write of one line, by the owner alone; what is refused fails on the\n"
	"write itself, and last_error says why. Kinds of events: block, checkpoint, freeze, gap,\n"
	"head, hyper, import, mount, pause, refused, verify; of the reader itself: events.\n";

/* A pin's number: what it is called, kept for as long as ctl is there. Below it, above the row's
 * bits of an inode number, stand its files. */
#define ROW_BITS  8
#define PIN_FIRST 64 /* of offsets of a listing: behind the rows */

struct pin_name {
	struct network *network;
	char name[PIN_NAME_MAX + 1];
	bool gone; /* removed by rmdir: the next one of that name gets a number of its own */
};

enum reads { READS_UNKNOWN, READS_STREAM, READS_PLACES };

struct handle { /* an open file; its number is the place in `kept` */
	uint64_t ino;
	enum row row;
	struct keep_handle *kept;
	bool filled; /* `text` is what it said when it was opened, or read from its begin */
	pthread_mutex_t order_lock; /* of reads of one handle; guards the next five */
	struct buf text;            /* the content; of events: taken and not given yet */
	size_t given;               /* of events: how much of it was */
	uint64_t next;              /* number of the next event */
	bool streams;               /* of events: it is read from its begin, and waits for lines; */
	bool at_places;             /* or at places of the text that they all make, as tail does */
	struct fuse_pollhandle *poll; /* under parked_lock, as the list that it is in */
	struct handle *newer, *older;
};

struct parked { /* a read that waits for a line */
	fuse_req_t req;
	struct handle *handle;
	size_t size;
	struct keep_parked *kept;
	struct parked *next;
};

struct ctl {
	struct store *store;
	struct events *events;
	struct orders *orders; /* NULL: what is ordered is not there */
	struct session *session;
	char *tree_path;
	uint32_t uid, gid;
	mode_t folder_mode, file_mode, write_mode;
	uint64_t time;
	pthread_t thread;
	bool started, paused;
	struct keep_ctl *kept;
	struct handle *_Atomic open[KEEP_HANDLES]; /* by number; NULL: closed, or not used since we run */

	pthread_mutex_t names_lock; /* guards the next two; a leaf */
	struct pin_name *names;
	size_t name_count;

	pthread_mutex_t parked_lock; /* guards the rest; a leaf */
	pthread_cond_t woken;
	bool wake, ending;
	struct parked *parked;
	struct handle *handles; /* of events */
};

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

static void *answer_parked(void *arg)
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

/* ---- pins and their numbers ---- */

/* SIZE_MAX: no memory. */
static size_t number_of(struct ctl *c, struct network *n, const char *name)
{
	LOCKED(&c->names_lock);
	for (size_t i = 0; i < c->name_count; i++)
		if (c->names[i].network == n && !c->names[i].gone &&
		    strcmp(c->names[i].name, name) == 0)
			return i;
	/* A person makes few of them, so this may allocate here. */
	struct pin_name *more = realloc(c->names, (c->name_count + 1) * sizeof *more);

	if (!more)
		return SIZE_MAX;
	c->names = more;
	c->names[c->name_count] = (struct pin_name){ .network = n };
	snprintf(c->names[c->name_count].name, sizeof c->names->name, "%s", name);
	if (c->kept && c->name_count < KEEP_PINS) {
		struct keep_pin *k = &c->kept->pins[c->name_count];

		snprintf(k->name, sizeof k->name, "%s", name);
		k->gone = false;
		k->network = network_index(n); /* last: now it counts */
	}
	return c->name_count++;
}

static void retire(struct ctl *c, struct network *n, const char *name)
{
	LOCKED(&c->names_lock);
	for (size_t i = 0; i < c->name_count; i++)
		if (c->names[i].network == n && strcmp(c->names[i].name, name) == 0) {
			c->names[i].gone = true;
			if (c->kept && i < KEEP_PINS)
				c->kept->pins[i].gone = true;
		}
}

static bool name_of(struct ctl *c, size_t number, struct pin_name *out)
{
	LOCKED(&c->names_lock);
	if (number >= c->name_count)
		return false;
	*out = c->names[number];
	return true;
}

static enum row row_of(fuse_ino_t ino)
{
	enum row row = ino & ((1u << ROW_BITS) - 1);

	return row < ROW_END ? row : ROW_END;
}

static fuse_ino_t ino_of(enum row row, size_t number)
{
	return (fuse_ino_t)row | (row >= ROW_PIN ? (fuse_ino_t)(number + 1) << ROW_BITS : 0);
}

/* 0, or -ENOENT: it was removed. */
static int pin_of(struct ctl *c, fuse_ino_t ino, struct pin_name *name, struct pin *out)
{
	if (!c->orders || !name_of(c, (size_t)(ino >> ROW_BITS) - 1, name) || name->gone)
		return -ENOENT;
	char full[ORDER_PIN_NAME_SIZE];
	struct network *n;

	snprintf(full, sizeof full, "%s:%s", network_name(name->network), name->name);
	return orders_pin_find(c->orders, full, &n, out);
}

static void link_text(struct ctl *c, const struct pin_name *name, const struct pin *pin,
		      struct buf *out)
{
	buf_fmt(out, "%s/%s/checkpoints/%s", c->tree_path, network_name(name->network),
		pin->checkpoint);
}

/* ---- handles ---- */

static void handle_free(struct handle *h)
{
	buf_release(&h->text);
	pthread_mutex_destroy(&h->order_lock);
	free(h);
}

static void link_handle(struct ctl *c, struct handle *h)
{
	LOCKED(&c->parked_lock);
	h->older = c->handles;
	if (h->older)
		h->older->newer = h;
	c->handles = h;
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
	h->text = (struct buf)BUF_INIT(TEXT_MAX);
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
		k->row = row_of(ino);
		k->next = k->poll = 0;
		k->reads = READS_UNKNOWN;
		k->cut = false;
		return k;
	}
	return NULL;
}

/* NULL: no such file is open, or there is no memory. Those of a process before come to us with the
 * first that is done with them. */
static struct handle *handle_of(struct ctl *c, uint64_t number)
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
		handle_free(h);
		return none;
	}
	if (h->row == ROW_EVENTS)
		link_handle(c, h);
	return h;
}

/* ---- names and attributes ---- */

static void readme(struct ctl *c, struct buf *out)
{
	buf_str(out, readme_head);
	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++) {
		const struct ctl_row *row = &rows[r];
		char name[32];

		if ((row->ordered && !c->orders) || !row->name)
			continue;
		snprintf(name, sizeof name, "%s%s%s", row->below == ROW_PIN ? "pins/*/" : "",
			 row->name, row->kind == FOLDER ? "/" : "");
		buf_fmt(out, "%-17s ", name);
		for (const char *p = row->about; *p; p++) {
			buf_u8(out, (uint8_t)*p);
			if (*p == '\n')
				buf_fmt(out, "%18s", "");
		}
		buf_u8(out, '\n');
	}
	buf_str(out, readme_tail);
}

static off_t size_of(struct ctl *c, fuse_ino_t ino)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
	struct pin_name name;
	struct pin pin;

	switch (row_of(ino)) {
	case ROW_README:
		readme(c, &text);
		break;
	case ROW_EVENTS: /* it only grows: tail looks at that */
		return (off_t)events_size(c->events);
	case ROW_PIN_CHECKPOINT:
		if (pin_of(c, ino, &name, &pin) == 0)
			link_text(c, &name, &pin, &text);
		break;
	default: /* what flows has no size */
		break;
	}
	return (off_t)text.n;
}

/* 0, or -ENOENT. */
static int stat_of(struct ctl *c, fuse_ino_t ino, struct stat *out)
{
	struct timespec time = { .tv_sec = (time_t)c->time };
	enum row row = row_of(ino);
	struct pin_name name;
	struct pin pin;

	if (row >= ROW_END || (rows[row].ordered && !c->orders) ||
	    (row >= ROW_PIN && pin_of(c, ino, &name, &pin) < 0))
		return -ENOENT;
	mode_t writable = row == ROW_PINS || rows[row].kind == SETTABLE ? c->write_mode : 0;

	*out = (struct stat){
		.st_ino = ino,
		.st_nlink = 1,
		.st_uid = c->uid,
		.st_gid = c->gid,
		.st_blksize = 4096,
		.st_mode = rows[row].kind == FOLDER ? S_IFDIR | c->folder_mode | writable
			   : rows[row].kind == LINK ? S_IFLNK | 0777
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
	enum row above = row_of(parent);
	struct network *n;
	struct pin pin;

	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++)
		if (rows[r].below == above && rows[r].name && strcmp(rows[r].name, name) == 0) {
			*out = ino_of(r, (size_t)(parent >> ROW_BITS) - 1);
			return 0;
		}
	if (above != ROW_PINS || !c->orders || orders_pin_find(c->orders, name, &n, &pin) < 0)
		return -ENOENT;
	size_t number = number_of(c, n, pin.name);

	*out = ino_of(ROW_PIN, number);
	return number == SIZE_MAX ? -ENOMEM : 0;
}

static void reply_child(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctl *c = fuse_req_userdata(req);
	struct fuse_entry_param e = { .ino = 0 };
	int rc = find(c, parent, name, &e.ino);

	if (rc == 0)
		rc = stat_of(c, e.ino, &e.attr);
	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	e.entry_timeout = row_of(e.ino) >= ROW_PIN ? 0 : FOR_EVER;
	e.attr_timeout = life_of(row_of(e.ino));
	fuse_reply_entry(req, &e);
}

static void note_reads(struct handle *h)
{
	h->kept->reads = h->streams ? READS_STREAM : h->at_places ? READS_PLACES : READS_UNKNOWN;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	reply_child(req, parent, name);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = fi ? handle_of(c, fi->fh) : NULL;
	struct stat st;

	/* With a handle the kernel asks for lseek(2) to the end alone: so tail begins. */
	if (h && h->row == ROW_EVENTS) {
		LOCKED(&h->order_lock);
		h->at_places |= !h->streams;
		note_reads(h);
	}
	int rc = stat_of(c, ino, &st);

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_attr(req, &st, life_of(row_of(ino)));
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
	AUTO(buf_release) struct buf text = BUF_INIT(8192);
	struct ctl *c = fuse_req_userdata(req);
	struct pin_name name;
	struct pin pin;
	int rc = row_of(ino) == ROW_PIN_CHECKPOINT ? pin_of(c, ino, &name, &pin) : -EINVAL;

	if (rc == 0 && !pin.checkpoint[0])
		rc = -ENODATA; /* it has failed before that was known */
	if (rc == 0) {
		link_text(c, &name, &pin, &text);
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
	enum row row = row_of(ino);
	struct stat st = {
		.st_ino = ino,
		.st_mode = rows[row].kind == FOLDER ? S_IFDIR
			   : rows[row].kind == LINK ? S_IFLNK
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
	    (offset >= PIN_FIRST && !name_of(c, (size_t)(offset - PIN_FIRST), &after)))
		return;
	while (orders_pin_next(c->orders, after.network, after.name, &after.network, &pin, name) ==
	       1) {
		size_t number = number_of(c, after.network, pin.name);

		memcpy(after.name, pin.name, sizeof after.name);
		if (number == SIZE_MAX ||
		    !list_one(l, name, ino_of(ROW_PIN, number), (off_t)number + PIN_FIRST))
			return;
	}
}

static void list(struct ctl *c, struct listing *l, fuse_ino_t ino, off_t offset)
{
	enum row above = row_of(ino);

	if (offset < 1 && !list_one(l, ".", ino, 1))
		return;
	if (offset < 2 && !list_one(l, "..", ino_of(ROW_ROOT, 0), 2))
		return;
	for (enum row r = ROW_ROOT + 1; r < ROW_END; r++) {
		if (rows[r].below != above || !rows[r].name || offset >= (off_t)r + 2 ||
		    (rows[r].ordered && !c->orders))
			continue;
		if (!list_one(l, rows[r].name, ino_of(r, (size_t)(ino >> ROW_BITS) - 1),
			      (off_t)r + 2))
			return;
	}
	if (above == ROW_PINS)
		list_pins(c, l, offset);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
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

/* ---- open files ---- */

/* The kernel looks at modes; this is for whoever gets past them. */
static bool is_owner(fuse_req_t req, const struct ctl *c)
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
		readme(c, &h->text);
		break;
	case ROW_METRICS:
		return metrics_render(c->store, &h->text);
	case ROW_EVENTS:
		h->next = events_last(c->events) + 1;
		break;
	case ROW_PIN_HEIGHT:
	case ROW_PIN_STATE:
		rc = pin_of(c, h->ino, &name, &pin);
		if (rc < 0)
			return rc;
		if (h->row == ROW_PIN_STATE)
			orders_pin_state(&pin, &h->text);
		else
			buf_fmt(&h->text, "%" PRIu64 "\n", pin.height);
		break;
	default:
		return orders_read(c->orders, rows[h->row].order, &h->text);
	}
	return buf_done(&h->text);
}

static void handle_close(struct ctl *c, uint64_t number)
{
	struct handle *h = handle_of(c, number);
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
	atomic_store(&c->open[number - 1], NULL);
	atomic_store(&h->kept->used, 0);
	handle_free(h);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	bool writes = (fi->flags & O_ACCMODE) != O_RDONLY;

	if (row_of(ino) >= ROW_END || (rows[row_of(ino)].ordered && !c->orders)) {
		fuse_reply_err(req, ENOENT);
		return;
	}
	if (writes && (rows[row_of(ino)].kind != SETTABLE || !is_owner(req, c))) {
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
		handle_free(h);
		fuse_reply_err(req, -rc);
		return;
	}
	h->filled = true;
	k->next = h->next;
	if (h->row == ROW_EVENTS)
		link_handle(c, h);
	fi->fh = (uint64_t)(k - c->kept->handles) + 1;
	atomic_store(&c->open[fi->fh - 1], h);
	atomic_store(&k->used, 1);
	fi->direct_io = 1;
	/* Nobody waits for it: a process before us has answered. */
	if (fuse_reply_open(req, fi) < 0)
		handle_close(c, fi->fh);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	handle_close(fuse_req_userdata(req), fi->fh);
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
static void read_stream(fuse_req_t req, struct ctl *c, struct handle *h, size_t size, off_t offset,
			bool no_wait)
{
	bool streams;

	pthread_mutex_lock(&h->order_lock);
	if (!h->streams && !h->at_places)
		*(offset == 0 ? &h->streams : &h->at_places) = true;
	note_reads(h);
	streams = h->streams;
	pthread_mutex_unlock(&h->order_lock);
	if (streams) {
		read_events(req, c, h, size, no_wait);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(TEXT_MAX);
	int rc = events_read_at(c->events, (uint64_t)MAX(offset, 0), size, &out);

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_buf(req, (const char *)out.p, out.n);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = handle_of(c, fi->fh);
	int rc = 0;

	if (!h) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (h->row == ROW_EVENTS) {
		read_stream(req, c, h, size, offset, (fi->flags & O_NONBLOCK) != 0);
		return;
	}
	LOCKED(&h->order_lock);
	if (!h->filled && offset != 0 && h->row != ROW_README)
		rc = -ESTALE; /* its first part was of another process */
	else if (!h->filled || (offset == 0 && rows[h->row].kind == SETTABLE))
		rc = fill(c, h); /* what was written through it meanwhile */
	h->filled |= rc == 0;
	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	struct slice part = slice_sub(buf_slice(&h->text), (size_t)MAX(offset, 0), size);

	fuse_reply_buf(req, (const char *)part.p, part.n);
}

/* ---- orders ---- */

static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		     struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	int rc = rows[row_of(ino)].kind != SETTABLE || !is_owner(req, c)
			 ? -EACCES
			 : orders_write(c->orders, rows[row_of(ino)].order, SLICE(bytes, size));

	if (rc < 0)
		fuse_reply_err(req, -rc);
	else
		fuse_reply_write(req, size);
}

/* Cutting an order's file is how a shell begins to write it, and changes nothing; nothing else can
 * be set. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int to_set,
		       struct fuse_file_info *fi)
{
	struct ctl *c = fuse_req_userdata(req);
	int others = to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_CTIME |
				FUSE_SET_ATTR_MTIME_NOW);

	if (others || !(to_set & FUSE_SET_ATTR_SIZE) || row_of(ino) >= ROW_END ||
	    rows[row_of(ino)].kind != SETTABLE)
		fuse_reply_err(req, EPERM);
	else if (!is_owner(req, c))
		fuse_reply_err(req, EACCES);
	else
		on_getattr(req, ino, fi);
}

static void on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ctl *c = fuse_req_userdata(req);
	int rc = row_of(parent) != ROW_PINS ? -EPERM
		 : !is_owner(req, c)        ? -EACCES
					    : orders_pin(c->orders, name);
	char listed[ORDER_PIN_NAME_SIZE];

	if (rc < 0) {
		fuse_reply_err(req, -rc);
		return;
	}
	/* Its name has no life: with a height behind it it is listed under another one. */
	snprintf(listed, sizeof listed, "%.*s", (int)strcspn(name, "@"), name);
	reply_child(req, parent, listed);
}

static void on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ctl *c = fuse_req_userdata(req);
	struct network *n;
	struct pin pin;
	int rc = row_of(parent) != ROW_PINS ? -EPERM
		 : !is_owner(req, c)        ? -EACCES
					    : orders_pin_find(c->orders, name, &n, &pin);

	if (rc == 0)
		rc = orders_unpin(c->orders, name);
	if (rc == 0)
		retire(c, n, pin.name);
	fuse_reply_err(req, -rc);
}

/* Names come and go by orders alone. */

static void on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev)
{
	fuse_reply_err(req, EPERM);
}

static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	fuse_reply_err(req, EPERM);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		      const char *to_name, unsigned flags)
{
	fuse_reply_err(req, EPERM);
}

static void on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	fuse_reply_err(req, EPERM);
}

static void on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
			size_t size, int flags)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

static void on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	fuse_reply_err(req, EOPNOTSUPP);
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
static size_t polls_of_before(struct ctl *c, uint64_t out[KEEP_HANDLES])
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
static void wake_polls(struct ctl *c, const uint64_t *polls, size_t count)
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

static void on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *poll)
{
	struct ctl *c = fuse_req_userdata(req);
	struct handle *h = handle_of(c, fi->fh);
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

static const struct fuse_lowlevel_ops ctl_ops = {
	.lookup = on_lookup,
	.getattr = on_getattr,
	.readdir = on_readdir,
	.open = on_open,
	.release = on_release,
	.read = on_read,
	.poll = on_poll,
	.readlink = on_readlink,
	.write = on_write,
	.setattr = on_setattr,
	.mkdir = on_mkdir,
	.rmdir = on_rmdir,
	.mknod = on_mknod,
	.create = on_create,
	.unlink = on_unlink,
	.symlink = on_symlink,
	.rename = on_rename,
	.link = on_link,
	.setxattr = on_setxattr,
	.getxattr = on_getxattr,
	.removexattr = on_removexattr,
};

/* ---- the contract ---- */

/* What a process before left: names that have numbers. An open that nobody was told of is none. */
static int go_on(struct ctl *c)
{
	for (size_t i = 0; i < KEEP_HANDLES; i++) {
		uint32_t taken = 2;

		atomic_compare_exchange_strong(&c->kept->handles[i].used, &taken, 0);
	}
	while (c->name_count < KEEP_PINS && c->kept->pins[c->name_count].network)
		c->name_count++;
	if (!c->name_count)
		return 0;
	c->names = calloc(c->name_count, sizeof *c->names);
	if (!c->names)
		return -ENOMEM;
	for (size_t i = 0; i < c->name_count; i++) {
		const struct keep_pin *k = &c->kept->pins[i];

		for (size_t n = 0; n < store_network_count(c->store); n++)
			if (network_index(store_network_at(c->store, n)) == k->network)
				c->names[i].network = store_network_at(c->store, n);
		snprintf(c->names[i].name, sizeof c->names->name, "%.*s", PIN_NAME_MAX, k->name);
		c->names[i].gone = k->gone || !c->names[i].network;
	}
	return 0;
}

int ctl_fd(const struct ctl *c)
{
	return fuse_session_fd(session_fuse(c->session));
}

void ctl_pause(struct ctl *c)
{
	c->paused = true;
	session_pause(c->session);
}

int ctl_open(struct store *s, struct events *e, struct orders *orders, const struct ctl_options *o,
	     struct ctl **out, struct err *err)
{
	AUTO(ctl_closep) struct ctl *c = calloc(1, sizeof *c);

	if (!c)
		return err_set(err, -ENOMEM, "no memory for ctl");
	c->store = s;
	c->events = e;
	c->orders = orders;
	c->tree_path = strdup(o->tree_path ? o->tree_path : "");
	if (!c->tree_path)
		return err_set(err, -ENOMEM, "no memory for ctl");
	c->uid = o->uid;
	c->gid = o->gid;
	c->folder_mode = 0555 & ~o->umask;
	c->file_mode = 0444 & ~o->umask;
	c->write_mode = 0200;
	c->time = clock_unix_s();
	pthread_mutex_init(&c->parked_lock, NULL);
	pthread_mutex_init(&c->names_lock, NULL);
	pthread_cond_init(&c->woken, NULL);
	c->kept = o->kept_ctl;
	int rc = go_on(c);

	if (rc < 0)
		return err_set(err, rc, "no memory for ctl");
	struct session_options so = {
		.mountpoint = o->mountpoint,
		.source = store_path(s),
		.subtype = MOUNT_SUBTYPE_CTL,
		.allow_other = o->allow_other,
		.read_only = !orders,
		.kept = o->kept,
	};
	rc = session_open(&ctl_ops, c, &so, &c->session, err);

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
	uint64_t polls[KEEP_HANDLES];
	size_t count = polls_of_before(c, polls);
	int rc = -pthread_create(&c->thread, NULL, answer_parked, c);

	if (rc < 0)
		return err_set(err, rc, "no thread for ctl: %s", strerror(-rc));
	c->started = true;
	rc = session_start(c->session, THREADS, on_ended, c, err);
	if (rc == 0)
		wake_polls(c, polls, count);
	return rc;
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
		if (!c->paused)
			session_end(c->session, END_WAIT_MS);
	}
	session_closep(&c->session);
	for (size_t i = 0; i < KEEP_HANDLES; i++) { /* of readers that never closed */
		struct handle *h = atomic_load(&c->open[i]);

		if (h && h->poll)
			fuse_pollhandle_destroy(h->poll);
		if (h)
			handle_free(h);
	}
	pthread_cond_destroy(&c->woken);
	pthread_mutex_destroy(&c->parked_lock);
	pthread_mutex_destroy(&c->names_lock);
	free(c->names);
	free(c->tree_path);
	free(c);
}
