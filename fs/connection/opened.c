#include "fs/connection/opened.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/trace.h"

#define PLACES 8192u /* a power of two; a quarter of them stays empty */

static_assert(OPENED_MAX <= PLACES / 4 * 3, "searches stay short");

/* Of linux/fuse.h, of which an older one may be installed than the kernel that runs. */
struct backing_map {
	int32_t fd;
	uint32_t flags;
	uint64_t padding;
};
#define BACKING_OPEN  _IOW(229, 1, struct backing_map)
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

struct record {       /* in the memory file: no pointers, nothing of this process alone */
	uint64_t ino; /* 0: empty */
	uint64_t size, time;
	uint32_t backing;
	uint32_t opens;
};

struct opened {
	int memory;
	atomic_int connection; /* for ioctls; -1: INIT is not answered, or agreed on nothing */
	atomic_bool refused;   /* the kernel has said that we may not */
	pthread_mutex_t opened_lock; /* guards the rest; a leaf */
	struct record *records;      /* PLACES of them: by a hash, or the next empty place */
	int fds[PLACES];             /* plus one, of the record at the same place; 0: none */
	size_t count;
};

/* ---- places ---- */

static size_t place_of(uint64_t ino)
{
	return (ino * UINT64_C(0x9e3779b97f4a7c15)) >> 40 & (PLACES - 1);
}

/* Of the file, or the empty one where it would be. */
static size_t find(const struct opened *o, uint64_t ino)
{
	size_t at = place_of(ino);

	while (o->records[at].ino && o->records[at].ino != ino)
		at = (at + 1) & (PLACES - 1);
	return at;
}

/* Who was pushed on by the one at `hole` moves up, so that no search ends too early. */
static void take_out(struct opened *o, size_t hole)
{
	for (size_t at = (hole + 1) & (PLACES - 1); o->records[at].ino;
	     at = (at + 1) & (PLACES - 1)) {
		size_t wanted = place_of(o->records[at].ino);

		if (((at - wanted) & (PLACES - 1)) < ((at - hole) & (PLACES - 1)))
			continue;
		o->records[hole] = o->records[at];
		o->fds[hole] = o->fds[at];
		hole = at;
	}
	o->records[hole] = (struct record){ .ino = 0 };
	o->fds[hole] = 0;
	o->count--;
}

static void tell(const struct opened *o, size_t at, struct opened_file *out)
{
	const struct record *r = &o->records[at];

	*out = (struct opened_file){
		.size = r->size, .time = r->time, .backing = r->backing, .fd = o->fds[at] - 1
	};
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

static void count(struct opened *o)
{
	for (size_t i = 0; i < PLACES; i++)
		o->count += o->records[i].ino != 0;
}

int opened_new(int memory, struct opened **out, struct err *err)
{
	struct opened *o = calloc(1, sizeof *o);
	size_t size = PLACES * sizeof *o->records;

	if (!o) {
		base_closep(&memory);
		return err_set(err, -ENOMEM, "no memory for open files");
	}
	o->memory = memory >= 0 ? memory : memfd_create("chainfs-opened", MFD_CLOEXEC);
	atomic_init(&o->connection, -1);
	pthread_mutex_init(&o->opened_lock, NULL);
	AUTO(opened_freep) struct opened *owner = o;
	if (o->memory < 0 || (memory < 0 && ftruncate(o->memory, (off_t)size) < 0))
		return err_set(err, -errno, "no memory for open files: %s", strerror(errno));
	struct stat st;

	if (memory >= 0 && (fstat(memory, &st) < 0 || (size_t)st.st_size != size))
		return err_set(err, -EINVAL, "no records of open files that this program knows");
	void *records = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, o->memory, 0);

	if (records == MAP_FAILED)
		return err_set(err, -errno, "no memory for open files: %s", strerror(errno));
	o->records = records;
	count(o);
	*out = TAKE(owner);
	return 0;
}

void opened_freep(struct opened **at)
{
	struct opened *o = TAKE(*at);

	if (!o)
		return;
	for (size_t i = 0; i < PLACES; i++)
		if (o->fds[i])
			close(o->fds[i] - 1);
	if (o->records)
		munmap(o->records, PLACES * sizeof *o->records);
	base_closep(&o->memory);
	pthread_mutex_destroy(&o->opened_lock);
	free(o);
}

int opened_memory(const struct opened *o)
{
	return o->memory;
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

	if (!o->records[at].ino)
		return -ENOENT;
	o->records[at].opens++;
	tell(o, at, out);
	return 0;
}

/* 1: it was open meanwhile. */
static int put(struct opened *o, uint64_t ino, int fd, struct opened_file *out)
{
	LOCKED(&o->opened_lock);
	size_t at = find(o, ino);
	bool there = o->records[at].ino != 0;

	if (!there && o->count >= OPENED_MAX)
		return -ENFILE;
	if (!there) {
		o->records[at] = (struct record){
			.ino = ino, .size = out->size, .time = out->time, .backing = out->backing
		};
		o->fds[at] = out->backing ? 0 : fd + 1;
		o->count++;
	}
	o->records[at].opens++;
	tell(o, at, out);
	return there;
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

void opened_release(struct opened *o, uint64_t ino)
{
	AUTO(base_closep) int fd = -1;
	uint32_t backing = 0;

	pthread_mutex_lock(&o->opened_lock);
	size_t at = find(o, ino);

	if (o->records[at].ino && --o->records[at].opens == 0) {
		fd = o->fds[at] - 1;
		backing = o->records[at].backing;
		take_out(o, at);
	}
	pthread_mutex_unlock(&o->opened_lock);
	pass_no_more(o, backing);
}

int opened_get(struct opened *o, uint64_t ino, struct opened_file *out)
{
	LOCKED(&o->opened_lock);
	size_t at = find(o, ino);

	if (!o->records[at].ino)
		return -ENOENT;
	tell(o, at, out);
	return 0;
}

size_t opened_count(struct opened *o)
{
	LOCKED(&o->opened_lock);
	return o->count;
}
