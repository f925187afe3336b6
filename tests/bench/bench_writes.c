/* Raw writes: the bytes that an import left in a store, written again by nobody who checks
 * anything.
 *
 *     bench_writes STORE NETWORK COMMITS FOLDER   prints "SEGMENT_BYTES ROWS ROW_BYTES SECONDS",
 *                                               and those of processors
 *
 * The segments' bytes and the rows of every family go into FOLDER, which must not exist, in as many
 * parts as the import committed: a part of the segments is appended and synced, then a batch of
 * rows is written and synced, as an import does. Rows come in the order of a hash of their keys,
 * since those of a chain do not come sorted. Everything is read into memory first, which is not
 * timed. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/store/db.h"

struct row {
	uint64_t rank;
	uint32_t family, key_size, value_size;
	size_t at; /* in `bytes` */
};

static struct row *rows;
static size_t row_count, row_cap;
static struct buf bytes = BUF_INIT((size_t)1 << 36), segments = BUF_INIT((size_t)1 << 36);

static void must(int rc, const struct err *err, const char *what)
{
	if (rc < 0) {
		fprintf(stderr, "bench_writes: %s: %s\n", what, err_text(err, rc));
		exit(2);
	}
}

PRINTF_LIKE(2, 3)
static void join(char path[PATH_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int n = vsnprintf(path, PATH_MAX, format, args);

	va_end(args);
	must(n < PATH_MAX ? 0 : -ENAMETOOLONG, NULL, format);
}

static uint64_t rank_of(struct slice key)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < key.n; i++)
		h = (h ^ key.p[i]) * 1099511628211u;
	return h ^ h >> 31;
}

static void add(size_t family, struct slice key, struct slice value)
{
	if (row_count == row_cap) {
		row_cap = row_cap ? 2 * row_cap : 4096;
		rows = realloc(rows, row_cap * sizeof *rows);
		if (!rows)
			must(-ENOMEM, NULL, "rows");
	}
	rows[row_count++] = (struct row){ .rank = rank_of(key),
					  .family = (uint32_t)family,
					  .key_size = (uint32_t)key.n,
					  .value_size = (uint32_t)value.n,
					  .at = bytes.n };
	buf_add(&bytes, key);
	buf_add(&bytes, value);
}

static bool packed; /* keys lie as they do in what is measured against */

static void load_rows(const char *folder)
{
	AUTO(db_cache_freep) struct db_cache *cache = db_cache_new(8u << 20);
	AUTO(db_closep) struct db *db = NULL;
	char path[PATH_MAX];
	struct err err = ERR_INIT;

	join(path, "%s/db", folder);
	must(db_open(path, &(struct db_options){ .cache = cache, .read_only = true }, &db, &err),
	     &err, path);
	packed = db_is_packed(db);
	for (size_t family = 0; family < FAMILY_COUNT; family++) {
		AUTO(db_iter_freep) struct db_iter *it = NULL;
		int rc = db_iter_new(db, family, DB_ORDERED, &it);

		if (rc == 0)
			rc = db_iter_seek(it, SLICE_EMPTY, &err);
		for (; rc == 1; rc = db_iter_next(it, &err))
			add(family, db_iter_key(it), db_iter_value(it));
		must(rc, &err, "rows");
	}
	must(buf_done(&bytes), NULL, "rows");
}

static void load_segments(const char *folder)
{
	for (unsigned i = 1;; i++) {
		char path[PATH_MAX];
		struct stat st;

		join(path, "%s/segments/%06u.seg", folder, i);
		AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			break;
		must(fstat(fd, &st) < 0 ? -errno : buf_reserve(&segments, (size_t)st.st_size), NULL,
		     path);
		for (off_t at = 0; at < st.st_size;) {
			ssize_t n =
				pread(fd, segments.p + segments.n, (size_t)(st.st_size - at), at);

			must(n > 0 ? 0 : n < 0 ? -errno : -EIO, NULL, path);
			segments.n += (size_t)n;
			at += n;
		}
	}
}

static uint64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int by_rank(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void write_segments(int fd, size_t from, size_t end)
{
	while (from < end) {
		ssize_t n = write(fd, segments.p + from, end - from);

		must(n < 0 ? -errno : 0, NULL, "segment");
		from += (size_t)n;
	}
	must(fdatasync(fd) < 0 ? -errno : 0, NULL, "segment");
}

static void write_rows(struct db *db, struct db_batch *batch, size_t from, size_t end)
{
	struct err err = ERR_INIT;

	db_batch_clear(batch);
	for (size_t i = from; i < end; i++) {
		const struct row *r = &rows[i];

		db_batch_put(batch, r->family, SLICE(bytes.p + r->at, r->key_size),
			     SLICE(bytes.p + r->at + r->key_size, r->value_size));
	}
	must(db_write(db, batch, &err), &err, "batch");
}

int main(int argc, char **argv)
{
	AUTO(db_cache_freep) struct db_cache *cache = db_cache_new(64u << 20);
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	AUTO(db_closep) struct db *db = NULL;
	char path[PATH_MAX];
	struct err err = ERR_INIT;

	if (argc != 5) {
		fprintf(stderr, "usage: bench_writes STORE NETWORK COMMITS FOLDER\n");
		return 1;
	}
	size_t commits = strtoul(argv[3], NULL, 10);

	join(path, "%s/networks/%s", argv[1], argv[2]);
	load_rows(path);
	load_segments(path);
	qsort(rows, row_count, sizeof *rows, by_rank);
	must(mkdir(argv[4], 0700) < 0 ? -errno : 0, NULL, argv[4]);
	join(path, "%s/segment", argv[4]);
	AUTO(base_closep) int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	must(fd < 0 ? -errno : 0, NULL, path);
	join(path, "%s/db", argv[4]);
	uint64_t start = clock_mono_ns(), start_cpu = cpu_ns();

	const struct db_options options = { .cache = cache, .create = true, .packed = packed };

	must(db_open(path, &options, &db, &err), &err, path);
	must(db_batch_new(db, &batch), NULL, path);
	for (size_t i = 0; i < MAX(commits, 1); i++) {
		size_t n = MAX(commits, 1);

		write_segments(fd, segments.n * i / n, segments.n * (i + 1) / n);
		write_rows(db, batch, row_count * i / n, row_count * (i + 1) / n);
	}
	db_closep(&db);
	printf("%zu %zu %zu %.3f %.3f\n", segments.n, row_count, bytes.n,
	       (double)(clock_mono_ns() - start) / 1e9, (double)(cpu_ns() - start_cpu) / 1e9);
	buf_release(&bytes);
	buf_release(&segments);
	free(rows);
	return 0;
}
