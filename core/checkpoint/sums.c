#include "core/checkpoint/sums.h"

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/build.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define NAME_SIZE (CHECKPOINT_NAME_SIZE + 16)
#define SUMS_ROOM (CHECKPOINT_SUMS_MAX + (1u << 20))
#define STEP      (256u << 10)
#define KNOWN_MAX 4096u /* files that were found whole */
#define DEPTH_MAX 4

static void name_of(const char *name, char out[NAME_SIZE])
{
	snprintf(out, NAME_SIZE, ".%s.sums", name);
}

static int sum_of(int fd, uint8_t sum[HASH_SIZE])
{
	AUTO(base_freep) uint8_t *bytes = malloc(STEP);
	struct sha256 h;
	off_t at = 0;

	if (!bytes)
		return -ENOMEM;
	hash_sha256_init(&h);
	for (;;) {
		ssize_t n = pread(fd, bytes, STEP, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		hash_sha256_add(&h, SLICE(bytes, (size_t)n));
		at += n;
	}
	hash_sha256_end(&h, sum);
	return 0;
}

/* ---- making ---- */

struct paths {
	char (*list)[CHECKPOINT_PATH_MAX];
	size_t count, cap;
};

static int compare_paths(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int add_path(struct paths *p, const char *below, const char *name)
{
	int rc = base_grow(&p->list, &p->cap, p->count + 1, sizeof *p->list);

	if (rc < 0)
		return rc;
	int n = snprintf(p->list[p->count], CHECKPOINT_PATH_MAX, "%s%s", below, name);

	if (n >= CHECKPOINT_PATH_MAX)
		return -ENAMETOOLONG;
	p->count++;
	return 0;
}

static int find_files(int folder, const char *below, unsigned depth, struct paths *p)
{
	int fd = openat(folder, *below ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	AUTO(files_dir_closep) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	int rc;

	if (!d) {
		rc = -errno;
		base_closep(&fd);
		return rc;
	}
	while ((rc = files_next(d, &e)) == 1) {
		char next[CHECKPOINT_PATH_MAX];

		if (e->d_name[0] == '.')
			continue;
		if (e->d_type != DT_DIR) {
			rc = add_path(p, below, e->d_name);
			if (rc < 0)
				return rc;
			continue;
		}
		if (depth == 0 || snprintf(next, sizeof next, "%.40s%.20s/", below, e->d_name) >=
					  (int)sizeof next)
			return -ENAMETOOLONG;
		rc = find_files(folder, next, depth - 1, p);
		if (rc < 0)
			return rc;
	}
	return rc;
}

static int put_lines(int folder, struct paths *p, struct buf *out)
{
	uint8_t sum[HASH_SIZE];
	int rc = find_files(folder, "", DEPTH_MAX, p);

	if (rc == 0 && p->count)
		qsort(p->list, p->count, sizeof *p->list, compare_paths);
	for (size_t i = 0; i < p->count && rc == 0; i++) {
		AUTO(base_closep)
		int fd = openat(folder, p->list[i], O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

		rc = fd < 0 ? -errno : sum_of(fd, sum);
		if (rc == 0)
			checkpoint_sum_write(sum, p->list[i], out);
	}
	hash_sha256(buf_slice(out), sum);
	buf_add(out, SLICE(sum, HASH_SIZE));
	return rc < 0 ? rc : buf_done(out);
}

int checkpoint_sums_make(int parent, const char *folder, const char *name, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(SUMS_ROOM);
	AUTO(base_closep)
	int at = openat(parent, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct paths paths = { .count = 0 };
	char file[NAME_SIZE], fresh[NAME_SIZE + 8];

	if (at < 0)
		return files_error(err, folder);
	int rc = put_lines(at, &paths, &text);

	free(paths.list);
	if (rc < 0)
		return err_set(err, rc, "%s: its sums: %s", folder, strerror(-rc));
	name_of(name, file);
	snprintf(fresh, sizeof fresh, "%s.new", file);
	AUTO(base_closep)
	int fd = openat(parent, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return files_error(err, fresh);
	rc = files_write(fd, buf_slice(&text));
	if (rc < 0)
		return err_set(err, rc, "%s: %s", fresh, strerror(-rc));
	return fsync(fd) < 0 || renameat(parent, fresh, parent, file) < 0 ? files_error(err, file)
									  : 0;
}

void checkpoint_sums_remove(int parent, const char *name)
{
	char file[NAME_SIZE];

	name_of(name, file);
	(void)!unlinkat(parent, file, 0);
}

/* ---- holding against them ---- */

int checkpoint_sums_read(int parent, const char *name, struct buf *out)
{
	char file[NAME_SIZE];
	uint8_t sum[HASH_SIZE];

	name_of(name, file);
	int rc = files_read_plain(parent, file, CHECKPOINT_SUMS_MAX, out, NULL);

	if (rc < 0)
		return rc == -ENOENT ? 0 : rc;
	if (out->n < HASH_SIZE)
		return -EBADMSG;
	out->n -= HASH_SIZE;
	hash_sha256(buf_slice(out), sum);
	return memcmp(sum, out->p + out->n, HASH_SIZE) == 0 ? 1 : -EBADMSG;
}

/* They were sealed by us: names are not judged, as those in a SHA256SUMS from elsewhere are. */
int checkpoint_sums_next(struct slice lines, size_t *at, char path[CHECKPOINT_PATH_MAX],
			 uint8_t sum[HASH_SIZE])
{
	struct slice rest = slice_sub(lines, *at, lines.n);
	const uint8_t *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
	size_t n = end ? (size_t)(end - rest.p) : 0, hex = 2 * HASH_SIZE;

	if (n <= hex + 2 || n - hex - 2 >= CHECKPOINT_PATH_MAX ||
	    hex_get((const char *)rest.p, hex, sum, HASH_SIZE) < 0)
		return 0;
	memcpy(path, rest.p + hex + 2, n - hex - 2);
	path[n - hex - 2] = 0;
	*at += n + 1;
	return 1;
}

/* The sum of a path: 1, 0 nothing tells. */
static int wanted(int parent, const char *name, const char *path, uint8_t sum[HASH_SIZE])
{
	AUTO(buf_release) struct buf text = BUF_INIT(SUMS_ROOM);
	char last[CHECKPOINT_PATH_MAX] = "", inside[NAME_SIZE + 16];
	size_t at = 0;
	int rc = checkpoint_sums_read(parent, name, &text);

	if (rc < 0 && rc != -EBADMSG)
		return rc;
	while (rc == 1 && checkpoint_sums_next(buf_slice(&text), &at, last, sum) == 1)
		if (strcmp(last, path) == 0)
			return 1;
	if (rc == 1)
		return 0;
	buf_clear(&text);
	snprintf(inside, sizeof inside, "%s/SHA256SUMS", name);
	if (files_read_plain(parent, inside, CHECKPOINT_SUMS_MAX, &text, NULL) < 0)
		return 0;
	while (checkpoint_sum_next(buf_slice(&text), &at, last, sum, NULL) == 1)
		if (strcmp(last, path) == 0)
			return 1;
	return 0;
}

/* A file that was found whole is known by what changes when it is written. */
struct known {
	uint64_t device, inode, size;
	int64_t changed_s, changed_ns;
};

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER; /* guards known; a leaf */
static struct known known[KNOWN_MAX];

static struct known known_of(const struct stat *st)
{
	return (struct known){ st->st_dev, st->st_ino, (uint64_t)st->st_size, st->st_ctim.tv_sec,
			       st->st_ctim.tv_nsec };
}

static struct known *slot_of(const struct known *k)
{
	return &known[(k->inode * UINT64_C(0x9e3779b97f4a7c15) >> 32) % KNOWN_MAX];
}

static bool is_known(const struct known *k)
{
	LOCKED(&known_lock);
	return memcmp(slot_of(k), k, sizeof *k) == 0;
}

static void remember(const struct known *k)
{
	LOCKED(&known_lock);
	*slot_of(k) = *k;
}

int checkpoint_sums_check(int parent, const char *name, const char *path, int fd, struct err *err)
{
	uint8_t sum[HASH_SIZE], own[HASH_SIZE];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	struct known k = known_of(&st);

	if (is_known(&k))
		return 0;
	int rc = wanted(parent, name, path, sum);

	if (rc == 1) {
		rc = sum_of(fd, own);
		if (rc == 0 && memcmp(sum, own, HASH_SIZE) != 0)
			return err_set(err, -EBADMSG, "checkpoint %s: %s is not what its sum says",
				       name, path);
	}
	if (rc == 0)
		remember(&k);
	return rc < 0 ? err_set(err, rc, "checkpoint %s: %s: %s", name, path, strerror(-rc)) : 0;
}

/* ---- mending ---- */

void checkpoint_damaged(struct network *n, const char *name, const char *path, int fd,
			const char *sentence)
{
	char file[NAME_SIZE + CHECKPOINT_PATH_MAX + 16];
	struct stat st = { .st_nlink = 1 };

	/* Who opened it before it was built again, or removed, has nothing to mend any more. */
	(void)!fstat(fd, &st);
	if (st.st_nlink == 0)
		return;
	/* One that is built again may have got the inode of one that was removed. */
	uint64_t version = st.st_ino ^ ((uint64_t)st.st_ctim.tv_sec * 1000000000 +
					(uint64_t)st.st_ctim.tv_nsec);

	snprintf(file, sizeof file, "checkpoints/%s/%s", name, path);
	network_damaged_file(n, file, version, sentence,
			     "chainfs fsck --repair builds the checkpoint again");
}

void checkpoint_mend_sweep(const char *folder)
{
	AUTO(base_closep) int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = parent < 0 ? 0 : files_remove_tree(parent, CHECKPOINT_MEND_FOLDER);

	if (rc < 0)
		trace_warn("checkpoint",
			   "what a repair left that was killed cannot be removed, the next one "
			   "tries again",
			   "folder=%s errno=%d", folder, -rc);
}

/* The folder, then its sums. Between the two it is held against those of the one before: what is
 * not the same in both, as evidence may be, fails until then. Without any, what SHA256SUMS does not
 * cover would be as damage left it, and nobody would know. */
static int change_places(int from, int parent, const char *name)
{
	char file[NAME_SIZE];

	name_of(name, file);
	bool done = renameat2(from, name, parent, name, RENAME_EXCHANGE) == 0 &&
		    renameat(from, file, parent, file) == 0 && fsync(parent) == 0;

	return done ? 0 : -errno;
}

int checkpoint_mend(struct network *n, const char *folder, const char *name, uint64_t height,
		    const atomic_bool *stop, struct err *err)
{
	struct build_progress progress = { 0 };
	char made[CHECKPOINT_NAME_SIZE], beside[PATH_SIZE];

	if ((size_t)snprintf(beside, sizeof beside, "%s/" CHECKPOINT_MEND_FOLDER, folder) >=
	    sizeof beside)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	AUTO(base_closep) int parent = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (parent < 0)
		return files_error(err, folder);
	int rc = files_remove_tree(parent, CHECKPOINT_MEND_FOLDER);

	if (rc < 0 || mkdirat(parent, CHECKPOINT_MEND_FOLDER, 0700) < 0)
		return files_error(err, beside);
	rc = checkpoint_build(n, height, beside, true, &progress, stop, made, err);
	if (rc == 0 && strcmp(made, name) != 0)
		rc = err_set(err, -EUCLEAN, "the checkpoint of height %" PRIu64 " would be %s",
			     height, made);
	AUTO(base_closep) int from = rc < 0 ? -1 : open(beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rc == 0 && from < 0)
		rc = files_error(err, beside);
	if (rc == 0 && change_places(from, parent, name) < 0)
		rc = files_error(err, folder);
	(void)!files_remove_tree(parent, CHECKPOINT_MEND_FOLDER);
	return rc;
}
