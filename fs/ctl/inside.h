/* inside.h: what the files of fs/ctl share, and nobody else sees.
 *
 * The table (table.c) says what there is; names.c finds and lists it, handles.c opens and reads it,
 * stream.c lets readers of events wait, orders.c takes what is written, pins.c numbers what people
 * named. ctl.c opens and closes all of it. */
#ifndef CHAINFS_FS_CTL_INSIDE_H
#define CHAINFS_FS_CTL_INSIDE_H

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "core/checkpoint/pins.h"
#include "core/control/orders.h"
#include "fs/connection/keep.h"
#include "fs/connection/session.h"
#include "fs/ctl/ctl.h"

#define CTL_TEXT_MAX (16u << 20) /* of metrics */

/* ---- the table ---- */

enum row {
	ROW_ROOT = FUSE_ROOT_ID,
	ROW_README,
	ROW_BACKWARD,
	ROW_CAP,
	ROW_EVENTS,
	ROW_FETCH,
	ROW_FREEZE,
	ROW_LAST_ERROR,
	ROW_LOG_LEVEL,
	ROW_METRICS,
	ROW_PAUSE,
	ROW_PINS,
	ROW_TRUST,
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

extern const struct ctl_row ctl_rows[ROW_END];
void ctl_readme(struct ctl *c, struct buf *out);

/* ---- what there is of one ctl ---- */

/* A pin's number: what it is called, kept for as long as ctl is there. Below it, above the row's
 * bits of an inode number, stand its files. */
#define ROW_BITS 8

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
	struct follows *follows;
	struct session *session;
	char *tree_path;
	uint32_t uid, gid;
	mode_t folder_mode, file_mode, write_mode;
	uint64_t time;
	pthread_t thread;
	bool started, paused;
	struct keep_ctl *kept;
	struct handle *_Atomic open[KEEP_HANDLES]; /* by number; NULL: closed, or not used since we
						    * run */

	pthread_mutex_t names_lock; /* guards the next two; a leaf */
	struct pin_name *names;
	size_t name_count;

	pthread_mutex_t parked_lock; /* guards the rest; a leaf */
	pthread_cond_t woken;
	bool wake, ending;
	struct parked *parked;
	struct handle *handles; /* of events */
};

/* ---- pins.c ---- */

/* SIZE_MAX: no memory. */
size_t ctl_pin_number(struct ctl *c, struct network *n, const char *name);
void   ctl_pin_retire(struct ctl *c, struct network *n, const char *name);
bool   ctl_pin_name(struct ctl *c, size_t number, struct pin_name *out);
enum row   ctl_row_of(fuse_ino_t ino); /* ROW_END: none */
fuse_ino_t ctl_ino_of(enum row row, size_t number);
/* 0, or -ENOENT: it was removed. */
int  ctl_pin_of(struct ctl *c, fuse_ino_t ino, struct pin_name *name, struct pin *out);
void ctl_pin_link(struct ctl *c, const struct pin_name *name, const struct pin *pin,
		  struct buf *out);

/* ---- handles.c ---- */

/* NULL: no such file is open, or there is no memory. */
struct handle *ctl_handle_of(struct ctl *c, uint64_t number);
void ctl_handle_free(struct handle *h);
bool ctl_is_owner(fuse_req_t req, const struct ctl *c);

/* ---- stream.c ---- */

void  ctl_stream_add(struct ctl *c, struct handle *h); /* a reader of events */
void  ctl_note_reads(struct handle *h);
void  ctl_stream_read(fuse_req_t req, struct ctl *c, struct handle *h, size_t size, off_t offset,
		      bool no_wait);
void *ctl_answer_parked(void *ctl); /* the thread that answers who waits */
/* Who polled a process before, and telling them to ask again. */
size_t ctl_polls_of_before(struct ctl *c, uint64_t out[KEEP_HANDLES]);
void   ctl_wake_polls(struct ctl *c, const uint64_t *polls, size_t count);

/* ---- names.c ---- */

int  ctl_stat(struct ctl *c, fuse_ino_t ino, struct stat *out); /* 0, or -ENOENT */
void ctl_reply_child(fuse_req_t req, fuse_ino_t parent, const char *name);

/* ---- requests of the kernel ---- */

void ctl_on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void ctl_on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ctl_on_readlink(fuse_req_t req, fuse_ino_t ino);
void ctl_on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void ctl_on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ctl_on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ctl_on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *fi);
void ctl_on_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		 struct fuse_pollhandle *poll);
void ctl_on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
		  struct fuse_file_info *fi);
void ctl_on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *wanted, int to_set,
		    struct fuse_file_info *fi);
void ctl_on_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void ctl_on_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void ctl_on_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t dev);
void ctl_on_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *fi);
void ctl_on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void ctl_on_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void ctl_on_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
		   const char *to_name, unsigned flags);
void ctl_on_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);
void ctl_on_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags);
void ctl_on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void ctl_on_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
