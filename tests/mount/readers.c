/* readers FOLDER SECONDS-MAX STOP-FILE: eight kinds of readers loop over a mounted tree until
 * STOP-FILE is there, and compare every answer with what the same call gave before the first of
 * them was disturbed. Prints a line for every call that failed or differed, then "calls N failed N
 * wrong N longest_ms N". */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 4000
#define OPEN_MAX_ 64

struct file {
	char     path[512];
	off_t    size;
	ino_t    ino;
	uint64_t sum;
	int      fd; /* -1: opened each time */
};

static struct file files[FILES_MAX];
static size_t file_count;
static const char *root, *stop_file;
static atomic_ulong calls, failed, wrong, longest_us;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void took(uint64_t since)
{
	unsigned long us = now_us() - since, most = atomic_load(&longest_us);

	atomic_fetch_add(&calls, 1);
	while (us > most && !atomic_compare_exchange_weak(&longest_us, &most, us))
		;
}

static void fail(const char *what, const char *path)
{
	if (atomic_fetch_add(&failed, 1) < 20)
		printf("failed: %s %s: %s\n", what, path, strerror(errno));
}

static void differ(const char *what, const char *path)
{
	if (atomic_fetch_add(&wrong, 1) < 20)
		printf("wrong: %s %s\n", what, path);
}

static uint64_t sum_of(uint64_t h, const uint8_t *p, size_t n)
{
	while (n--)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}

/* Past the page cache of others: what is read here is asked of the server. 0 and the sum, or -1. */
static int read_all(int fd, size_t part, uint64_t *sum, off_t *size)
{
	uint8_t bytes[65536];
	ssize_t n;

	*sum = 1469598103934665603u;
	*size = 0;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	for (;;) {
		uint64_t begun = now_us();

		n = pread(fd, bytes, part < sizeof bytes ? part : sizeof bytes, *size);
		took(begun);
		if (n <= 0)
			return n < 0 ? -1 : 0;
		*sum = sum_of(*sum, bytes, (size_t)n);
		*size += n;
	}
}

static int add_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)ftw;
	if (type != FTW_F || file_count == FILES_MAX || strlen(path) >= sizeof files->path)
		return 0;
	struct file *f = &files[file_count];
	int fd = open(path, O_RDONLY);

	if (fd < 0 || read_all(fd, 65536, &f->sum, &f->size) < 0) {
		printf("# left out: %s: %s\n", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 0;
	}
	snprintf(f->path, sizeof f->path, "%s", path);
	f->ino = st->st_ino;
	f->fd = fd;
	if (file_count++ >= OPEN_MAX_) {
		close(fd);
		f->fd = -1;
	}
	return 0;
}

static int stopped(void)
{
	return access(stop_file, F_OK) == 0;
}

static void check_bytes(const struct file *f, int fd, size_t part)
{
	uint64_t sum;
	off_t size;

	if (read_all(fd, part, &sum, &size) < 0)
		fail("read", f->path);
	else if (sum != f->sum || size != f->size)
		differ("bytes", f->path);
}

/* pread of files opened before anything happened */
static void *read_open(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!stopped()) {
		const struct file *f = &files[(unsigned)rand_r(&seed) %
					      (file_count < OPEN_MAX_ ? file_count : OPEN_MAX_)];

		check_bytes(f, f->fd, 1 + (unsigned)rand_r(&seed) % 65536);
	}
	return NULL;
}

static void *open_and_read(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!stopped()) {
		const struct file *f = &files[(unsigned)rand_r(&seed) % file_count];
		uint64_t begun = now_us();
		int fd = open(f->path, O_RDONLY);

		took(begun);
		if (fd < 0) {
			fail("open", f->path);
			continue;
		}
		check_bytes(f, fd, 4096 << (unsigned)rand_r(&seed) % 5);
		close(fd);
	}
	return NULL;
}

static void *stat_files(void *arg)
{
	unsigned seed = (unsigned)(uintptr_t)arg;

	while (!stopped()) {
		const struct file *f = &files[(unsigned)rand_r(&seed) % file_count];
		struct stat st;
		struct statfs fs;
		uint64_t begun = now_us();
		int rc = stat(f->path, &st);

		took(begun);
		if (rc < 0)
			fail("stat", f->path);
		else if (st.st_size != f->size)
			differ("size", f->path);
		begun = now_us();
		rc = statfs(root, &fs); /* no cache answers this one */
		took(begun);
		if (rc < 0)
			fail("statfs", root);
	}
	return NULL;
}

static __thread unsigned long walked;

static int count_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	walked++;
	if (type == FTW_NS || type == FTW_DNR)
		fail("walk", path);
	return stopped();
}

static void *walk(void *arg)
{
	unsigned long before = 0;

	(void)arg;
	while (!stopped()) {
		uint64_t begun = now_us();

		walked = 0;
		if (nftw(root, count_one, 16, FTW_PHYS) < 0)
			fail("nftw", root);
		atomic_fetch_add(&calls, walked);
		(void)begun;
		if (before && walked != before && !stopped())
			differ("number of names", root);
		before = walked;
	}
	return NULL;
}

/* A folder held open, listed again and again; and the working directory of us all. */
static void *list_kept(void *arg)
{
	DIR *d = opendir(arg);
	long before = -1;

	if (!d) {
		fail("opendir", arg);
		return NULL;
	}
	while (!stopped()) {
		long count = 0;
		uint64_t begun = now_us();

		rewinddir(d);
		errno = 0;
		while (readdir(d))
			count++;
		took(begun);
		if (errno)
			fail("readdir", arg);
		else if (before >= 0 && count != before)
			differ("names", arg);
		before = count;
		int fd = open(".", O_RDONLY | O_DIRECTORY);

		if (fd < 0)
			fail("open", ".");
		else
			close(fd);
	}
	closedir(d);
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[9];
	struct stat st;

	if (argc != 4)
		return 2;
	root = argv[1];
	stop_file = argv[2];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (nftw(root, add_file, 16, FTW_PHYS) < 0 || file_count < OPEN_MAX_ ||
	    chdir(argv[3]) < 0) {
		printf("failed: no files below %s\n", root);
		return 1;
	}
	printf("reading %zu\n", file_count);
	pthread_create(&threads[0], NULL, read_open, (void *)1);
	pthread_create(&threads[1], NULL, read_open, (void *)2);
	pthread_create(&threads[2], NULL, open_and_read, (void *)3);
	pthread_create(&threads[3], NULL, open_and_read, (void *)4);
	pthread_create(&threads[4], NULL, stat_files, (void *)5);
	pthread_create(&threads[5], NULL, stat_files, (void *)6);
	pthread_create(&threads[6], NULL, walk, NULL);
	pthread_create(&threads[7], NULL, list_kept, argv[3]);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < OPEN_MAX_; i++) { /* opened before it all began */
		check_bytes(&files[i], files[i].fd, 65536);
		if (fstat(files[i].fd, &st) < 0)
			fail("fstat", files[i].path);
		else if (st.st_ino != files[i].ino || st.st_size != files[i].size)
			differ("inode", files[i].path);
	}
	printf("calls %lu failed %lu wrong %lu longest_ms %lu\n", atomic_load(&calls),
	       atomic_load(&failed), atomic_load(&wrong), atomic_load(&longest_us) / 1000);
	return atomic_load(&failed) || atomic_load(&wrong);
}
