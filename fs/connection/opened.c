#include "fs/connection/opened.h"

#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/trace.h"

#define PLACES 8192u /* a power of two; a quarter of them stays empty */

static_assert(OPENED_MAX <= PLACES / 4 * 3, "searches stay short");
static_assert(OPENED_MAX < UINT16_MAX, "a record has a number of 16 bits");

/* Of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct opened {
	atomic_int connection; /* for ioctls; -1: INIT is not answered, or agreed on nothing */
	atomic_bool refused;   /* the kernel has said that we may not */
	atomic_uint reads;     /* that are through with their descriptors */
	pthread_mutex_t opened_lock;  /* guards the rest; a leaf */
	struct opened_record *records; /* OPENED_MAX of them; they stay where they are */
	uint16_t places[PLACES];      /* plus one, the record: by a hash, or the next empty place */
	uint16_t free[OPENED_MAX];    /* records that are not used */
	int fds[OPENED_MAX];          /* plus one, of the record; 0: none */
	size_t count;
	struct opened_records *own;   /* nobody else has them */
};

/* ---- places ---- */

static size_t place_of(uint64_t ino)
{
	return (ino * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & (PLACES - 1);
}

static uint64_t ino_at(const struct opened *o, size_t at)
{
	return atomic_load_explicit(&o->records[o->places[at] - 1].ino, memory_order_relaxed);
}

/* Of the file, or the empty one where it would be. */
static size_t find(const struct opened *o, uint64_t ino)
{
	size_t at = place_of(ino);

	while (o->places[at] && ino_at(o, at) != ino)
		at = (at + 1) & (PLACES - 1);
	return at;
}

/* Who was pushed on by the one at `hole` moves up, so that no search ends too early. */
static void take_out(struct opened *o, size_t hole)
{
	uint16_t record = o->places[hole] - 1;

	for (size_t at = (hole + 1) & (PLACES - 1); o->places[at];
	     at = (at + 1) & (PLACES - 1)) {
		size_t wanted = place_of(ino_at(o, at));

		if (((at - wanted) & (PLACES - 1)) < ((at - hole) & (PLACES - 1)))
			continue;
		o->places[hole] = o->places[at];
		hole = at;
	}
	o->places[hole] = 0;
	atomic_store(&o->records[record].ino, 0);
	o->fds[record] = 0;
	o->count--;
	o->free[OPENED_MAX - 1 - o->count] = record;
}

static void tell(const struct opened *o, size_t at, struct opened_file *out)
{
	const struct opened_record *r = &o->records[o->places[at] - 1];

	*out = (struct opened_file){ .size = r->size,
				     .time = r->time,
				     .backing = r->backing,
				     .fd = o->fds[o->places[at] - 1] - 1 };
}

/* ---- the kernel's numbers ---- */

/* 0: it does not take this one, or none at all. */
static uint32_t pass(struct opened *o, int fd)
{
	struct backing_map map = { .fd = fd };
	int rc = opened_passes(o) ? ioctl(atomic_load(&o->connection), BACKING_OPEN, &map) : 0;

	if (rc >= 0)
		return (uint32_t)rc;
	int error = errno;

	/* Else it is about this file: one on a file system that stands on others, say. */
	if ((error == EPERM || error == EOPNOTSUPP || error == ENOTTY) &&
	    !atomic_exchange(&o->refused, true))
		trace_info("fs", "the kernel passes nothing through, the daemon reads by itself",
			   "errno=%d", error);
	return 0;
}

static void pass_no_more(struct opened *o, uint32_t backing)
{
	int connection = atomic_load(&o->connection);

	if (backing && connection >= 0 && ioctl(connection, BACKING_CLOSE, &backing) < 0)
		trace_debug("fs", "the kernel did not let go of a file", "errno=%d", errno);
}

/* ---- the contract ---- */

/* The records of another process, and what is free between them. */
static void take_over(struct opened *o)
{
	size_t free_count = 0;

	for (uint16_t i = 0; i < OPENED_MAX; i++) {
		uint64_t ino = atomic_load(&o->records[i].ino);

		if (ino) {
			o->places[find(o, ino)] = i + 1;
			o->count++;
		} else {
			o->free[free_count++] = i;
		}
	}
}

int opened_new(struct opened_records *kept, struct opened **out, struct err *err)
{
	AUTO(opened_freep) struct opened *o = calloc(1, sizeof *o);

	if (!o)
		return err_set(err, -ENOMEM, "no memory for open files");
	atomic_init(&o->connection, -1);
	pthread_mutex_init(&o->opened_lock, NULL);
	if (!kept && !(kept = o->own = calloc(1, sizeof *kept)))
		return err_set(err, -ENOMEM, "no memory for open files");
	o->records = kept->records;
	take_over(o);
	*out = TAKE(o);
	return 0;
}

void opened_freep(struct opened **at)
{
	struct opened *o = TAKE(*at);

	if (!o)
		return;
	for (size_t i = 0; i < OPENED_MAX; i++)
		if (o->fds[i])
			close(o->fds[i] - 1);
	pthread_mutex_destroy(&o->opened_lock);
	free(o->own);
	free(o);
}

void opened_pass(struct opened *o, int connection)
{
	atomic_store(&o->connection, connection);
}

bool opened_passes(struct opened *o)
{
	return atomic_load(&o->connection) >= 0 && !atomic_load(&o->refused);
}

int opened_again(struct opened *o, uint64_t ino, struct opened_file *out)
{
	LOCKED(&o->opened_lock);
	size_t at = find(o, ino);

	if (!o->places[at])
		return -ENOENT;
	atomic_fetch_add(&o->records[o->places[at] - 1].opens, 1);
	tell(o, at, out);
	return 0;
}

/* 1: it was open meanwhile. */
static int put(struct opened *o, uint64_t ino, int fd, struct opened_file *out)
{
	LOCKED(&o->opened_lock);
	size_t at = find(o, ino);

	if (o->places[at]) {
		atomic_fetch_add(&o->records[o->places[at] - 1].opens, 1);
		tell(o, at, out);
		return 1;
	}
	if (o->count >= OPENED_MAX)
		return -ENFILE;
	uint16_t record = o->free[OPENED_MAX - 1 - o->count];
	struct opened_record *r = &o->records[record];

	r->size = out->size;
	r->time = out->time;
	r->released = 0;
	r->backing = out->backing;
	atomic_store(&r->opens, 1);
	atomic_store(&r->ino, ino);
	o->fds[record] = out->backing ? 0 : fd + 1;
	o->places[at] = record + 1;
	o->count++;
	tell(o, at, out);
	return 0;
}

int opened_first(struct opened *o, uint64_t ino, int fd, bool may_pass, struct opened_file *out,
		 struct err *err)
{
	AUTO(base_closep) int owned = fd;
	uint32_t backing = out->backing = may_pass ? pass(o, fd) : 0;
	int rc = put(o, ino, fd, out);

	if (rc != 0)
		pass_no_more(o, backing);
	else if (!backing)
		owned = -1; /* it is the record's by now */
	return rc < 0 ? err_set(err, rc, "%u files are open there, and no more can be", OPENED_MAX)
		      : 0;
}

/* One that came to 0 and is there is of a process that was killed in between. */
static bool count_down(struct opened_record *r, uint64_t unique)
{
	uint32_t opens = atomic_load(&r->opens);

	if (opens && (!unique || r->released != unique)) {
		r->released = unique;
		atomic_signal_fence(memory_order_seq_cst);
		atomic_store(&r->opens, --opens);
	}
	return opens == 0;
}

void opened_release(struct opened *o, uint64_t ino, uint64_t unique)
{
	AUTO(base_closep) int fd = -1;
	uint32_t backing = 0;

	atomic_load_explicit(&o->reads, memory_order_acquire); /* of opened_was_read() */
	pthread_mutex_lock(&o->opened_lock);
	size_t at = find(o, ino);
	size_t record = o->places[at] ? o->places[at] - 1u : 0;

	if (o->places[at] && count_down(&o->records[record], unique)) {
		fd = o->fds[record] - 1;
		backing = o->records[record].backing;
		take_out(o, at);
	}
	pthread_mutex_unlock(&o->opened_lock);
	pass_no_more(o, backing);
}

int opened_get(struct opened *o, uint64_t ino, struct opened_file *out)
{
	LOCKED(&o->opened_lock);
	size_t at = find(o, ino);

	if (!o->places[at])
		return -ENOENT;
	tell(o, at, out);
	return 0;
}

void opened_was_read(struct opened *o)
{
	atomic_fetch_add_explicit(&o->reads, 1, memory_order_release);
}

size_t opened_count(struct opened *o)
{
	LOCKED(&o->opened_lock);
	return o->count;
}
