/* When the blocks of a chain that grows can be read: polls the next one until it is there, and
 * reads its header.
 *
 *     bench_tips SECONDS FOLDER FIRST END [FOLDER FIRST END]…
 *
 * Each folder is one of blocks (legacy/blocks, legacy/shards/1/blocks), looked at by a thread of
 * its own. Prints a line a block: the number of its folder among the words, the height and
 * CLOCK_MONOTONIC in microseconds of when it was read whole. Exit code 1: one did not come in
 * time. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FOLDERS_MAX 8
#define POLL_NS     500000 /* half a millisecond: what a look costs is little beside it */

struct look {
	pthread_t thread;
	const char *folder;
	uint64_t first, end, seen_us[1 << 16];
	int failed; /* errno */
};

static uint64_t until_us;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* 0, or an errno. */
static int read_whole(const char *path)
{
	char bytes[65536];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno;
	while ((n = read(fd, bytes, sizeof bytes)) > 0)
		;
	int rc = n < 0 ? errno : 0;

	close(fd);
	return rc;
}

static void *look(void *arg)
{
	struct look *l = arg;

	for (uint64_t h = l->first; h < l->end && !l->failed; h++) {
		char path[4096];
		int rc;

		snprintf(path, sizeof path, "%s/%llu/header", l->folder, (unsigned long long)h);
		while ((rc = read_whole(path)) && now_us() < until_us)
			nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
		l->failed = rc;
		l->seen_us[h - l->first] = now_us();
		if (rc)
			fprintf(stderr, "bench_tips: %s: %s\n", path, strerror(rc));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct look looks[FOLDERS_MAX];
	size_t count = argc > 2 ? (size_t)(argc - 2) / 3 : 0;
	int failed = 0;

	if (!count || count > FOLDERS_MAX || (size_t)argc != 2 + count * 3) {
		fprintf(stderr,
			"usage: bench_tips SECONDS FOLDER FIRST END [FOLDER FIRST END]...\n");
		return 2;
	}
	until_us = now_us() + strtoull(argv[1], NULL, 10) * 1000000;
	for (size_t i = 0; i < count; i++) {
		struct look *l = &looks[i];

		l->folder = argv[2 + i * 3];
		l->first = strtoull(argv[3 + i * 3], NULL, 10);
		l->end = strtoull(argv[4 + i * 3], NULL, 10);
		if (l->end < l->first ||
		    l->end - l->first > sizeof l->seen_us / sizeof l->seen_us[0] ||
		    pthread_create(&l->thread, NULL, look, l)) {
			fprintf(stderr, "bench_tips: %s: too many heights, or no thread\n",
				l->folder);
			return 2;
		}
	}
	for (size_t i = 0; i < count; i++) {
		struct look *l = &looks[i];

		pthread_join(l->thread, NULL);
		failed |= l->failed != 0;
		for (uint64_t h = l->first; h < l->end && !l->failed; h++)
			printf("%zu %llu %llu\n", i, (unsigned long long)h,
			       (unsigned long long)l->seen_us[h - l->first]);
	}
	return failed;
}
