/* opened.h: the files that somebody has open, on a connection that answers OPEN.
 *
 * A record a file, not one an open: an open handle has no number of its own (fh is 0), and what is
 * known of it is found by the file's inode number. A file is either passed through, that is, the
 * kernel was given the plain file and reads it by itself, or read by us through one descriptor; as
 * long as it is open anywhere it stays so, since the kernel takes no other answer. The last RELEASE
 * lets go of it.
 *
 * Who is passed through holds no descriptor of ours. What is deleted meanwhile goes on being read,
 * either way.
 *
 * The records lie in memory that outlives us (keep.h), and each is right whenever the writer is
 * killed: at worst a file is held longer than it is open, until the mount ends. The next process
 * knows all again but the descriptors. A file without one is to be opened again by who reads it, if
 * it is still there. OPEN and RELEASE may be replayed, so what was done for a request is not done a
 * second time: both come with its number.
 *
 * Threads  any; one lock, a leaf. The descriptor of a file is good while it is open: READ comes
 *          only in between.
 * Errors   -ENFILE over OPENED_MAX files; -ENOENT: not open. */
#ifndef CHAINFS_FS_OPENED_H
#define CHAINFS_FS_OPENED_H

#include <stdatomic.h>

#include "core/base/err.h"

#define OPENED_MAX 6144u /* files, however often each is open */

struct opened_record {
	_Atomic uint64_t ino; /* written last, cleared first; 0: there is none */
	uint64_t size, time;
	uint64_t released;    /* number of the newest RELEASE */
	uint32_t backing;
	_Atomic uint32_t opens;
};

struct opened_records { /* all zero: nothing is open */
	struct opened_record records[OPENED_MAX];
};

struct opened;

struct opened_file {
	uint64_t size, time; /* as of the first open; neither changes */
	uint32_t backing;    /* the kernel's number for what it passes through to; 0: read by us */
	int fd;              /* to be read from; -1: none */
};

/* `kept`: with what another process left there; it has to outlive us. NULL: nothing does. */
int opened_new(struct opened_records *kept, struct opened **out, struct err *err) MUST_CHECK;
void opened_freep(struct opened **o); /* closes descriptors; the kernel forgets its own numbers */

/* INIT was answered: files are passed through on this connection from now on. */
void opened_pass(struct opened *o, int connection);
bool opened_passes(struct opened *o);

/* One more open of a file that is open. */
int opened_again(struct opened *o, uint64_t ino, struct opened_file *out) MUST_CHECK;
/* The first one, or one that raced with it. Takes `fd`, whatever comes of it. `pass`: its bytes are
 * all of the plain file, and stay so. out->size and out->time come filled in. */
int opened_first(struct opened *o, uint64_t ino, int fd, bool pass, struct opened_file *out,
		 struct err *err) MUST_CHECK;
/* Of one that nobody knows, nothing happens. `unique`: the request's; 0: none asked. */
void opened_release(struct opened *o, uint64_t ino, uint64_t unique);
int opened_get(struct opened *o, uint64_t ino, struct opened_file *out) MUST_CHECK;
/* Between the last use of a descriptor that opened_get() told and the answer: the kernel sends
 * RELEASE after it, and this makes that an order of memory, too. */
void opened_was_read(struct opened *o);
size_t opened_count(struct opened *o);

#endif
