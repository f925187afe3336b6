/* session.h: one FUSE connection: mounted, served by a transport, unmounted.
 *
 * Threads  open, start, end and closep by one thread; handlers run on the transport's. */
#ifndef CHAINFS_FS_SESSION_H
#define CHAINFS_FS_SESSION_H

#include "core/base/err.h"

struct fuse_session;
struct fuse_lowlevel_ops;
struct keep_connection;
struct session;
struct transport_ops;
struct wire;

struct session_options {
	const char *mountpoint;  /* absolute and prepared (mountpoint.h) */
	const char *source;      /* what mount(8) lists as mounted there */
	const char *subtype;
	bool        allow_other;
	bool        read_only;   /* for the kernel: every change is EROFS without asking us */
	bool        parallel;    /* several names of one folder may be asked for at a time */
	const struct transport_ops *transport; /* NULL: classic */
	/* What outlives us of it (keep.h); with a descriptor in it the file system is mounted, and
	 * this goes on with it. NULL: nothing outlives us. */
	struct keep_connection *kept;
	bool        or_classic;  /* which serves, should that one not start */
	unsigned    stack_depth; /* wished for, so that files can be passed through; 0: none */
};

/* Mounts. Nothing is answered before session_start(). */
int session_open(const struct fuse_lowlevel_ops *ops, void *user, const struct session_options *o,
		 struct session **out, struct err *err) MUST_CHECK;
bool session_others_allowed(void); /* may this user say allow_other? */
struct fuse_session *session_fuse(struct session *s); /* for notifications */
struct wire *session_wire(struct session *s); /* says what was agreed on; NULL: nothing is wished
					       * for */
const char  *session_transport(struct session *s); /* the name of what serves now */
bool session_survives(struct session *s); /* can another process go on when this one dies? */
/* `ended` is called once, from another thread, when the file system was unmounted. */
int session_start(struct session *s, unsigned threads, void (*ended)(void *arg), void *arg,
		  struct err *err) MUST_CHECK;
/* Unmounts unless somebody uses it (tried for so long), answers what is in hand, takes no more. */
void session_end(struct session *s, unsigned wait_ms);
/* Answers what is in hand and takes no more, for another process that goes on: nothing is
 * unmounted, by session_closep() neither. */
void session_pause(struct session *s);
/* Who still uses it gets ENOTCONN from now on; what is still mounted is detached. */
void session_closep(struct session **s);

#endif
