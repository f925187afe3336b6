#include "core/checkpoint/write.h"

#include "core/base/files.h"
#include "core/checkpoint/pack.h"
#include "core/checkpoint/sums.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITE_AT   (256u << 10) /* bytes gathered before they are written */
#define BUFFER_MAX (WRITE_AT + 2 * PACK_ENTRY_MAX)
#define PART_SIZE  (CHECKPOINT_NAME_SIZE + 8)
#define DEPTH_MAX  4 /* folders in a checkpoint; more is none of ours */

struct sum {
	char path[CHECKPOINT_PATH_MAX];
	uint8_t sum[HASH_SIZE];
};

struct folder_writer {
	int parent, folder; /* descriptors */
	char name[CHECKPOINT_NAME_SIZE], part[PART_SIZE];
	struct sum *sums;
	size_t sum_count, sum_cap;
	uint64_t bytes;
	bool sealed, ended;
};

struct folder_file {
	struct folder_writer *writer;
	char path[CHECKPOINT_PATH_MAX];
	bool listed;
	int fd;
	struct sha256 sum;
	struct buf buf;
};

/* ---- folders ---- */

/* The folders themselves: what was written into them has its own sync. */
static int sync_tree(int at, const char *name, unsigned depth)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);

	if (!d) {
		int rc = -errno;

		base_closep(&fd);
		return rc;
	}
	const struct dirent *e;
	int rc = fsync(fd) < 0 ? -errno : 0;

	while (rc == 0 && depth && (e = readdir(d)))
		if (e->d_name[0] != '.' && e->d_type == DT_DIR)
			rc = sync_tree(fd, e->d_name, depth - 1);
	closedir(d);
	return rc;
}

static int is_complete(int parent, const char *name)
{
	char path[CHECKPOINT_NAME_SIZE + 16];

	snprintf(path, sizeof path, "%s/SHA256SUMS", name);
	return faccessat(parent, path, F_OK, 0) == 0;
}

int folder_writer_new(const char *parent, const char *name, struct folder_writer **out,
		      struct err *err)
{
	AUTO(folder_writer_freep) struct folder_writer *w = calloc(1, sizeof *w);

	if (!w)
		return err_set(err, -ENOMEM, "no memory for a checkpoint");
	w->parent = w->folder = -1;
	w->ended = true; /* nothing is to be taken away yet */
	w->parent = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->parent < 0)
		return files_error(err, parent);
	if (is_complete(w->parent, name))
		return 1;
	snprintf(w->name, sizeof w->name, "%s", name);
	snprintf(w->part, sizeof w->part, "%s.part", name);
	int rc = files_remove_tree(w->parent, w->part);

	if (rc < 0)
		return err_set(err, rc, "%s/%s: %s", parent, w->part, strerror(-rc));
	if (mkdirat(w->parent, w->part, 0777) < 0)
		return files_error(err, parent);
	w->ended = false;
	w->folder = openat(w->parent, w->part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->folder < 0)
		return files_error(err, parent);
	*out = TAKE(w);
	return 0;
}

uint64_t folder_writer_bytes(const struct folder_writer *w)
{
	return w->bytes;
}

void folder_writer_freep(struct folder_writer **at)
{
	struct folder_writer *w = TAKE(*at);

	if (!w)
		return;
	if (!w->ended)
		(void)!files_remove_tree(w->parent, w->part);
	base_closep(&w->folder);
	base_closep(&w->parent);
	free(w->sums);
	free(w);
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct sum *)a)->path, ((const struct sum *)b)->path);
}

static int put_sums(struct folder_writer *w, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_SUMS_MAX);

	if (w->sum_count)
		qsort(w->sums, w->sum_count, sizeof *w->sums, by_path);
	for (size_t i = 0; i < w->sum_count; i++)
		checkpoint_sum_write(w->sums[i].sum, w->sums[i].path, &text);
	int rc = buf_done(&text);

	return rc < 0 ? err_set(err, rc, "SHA256SUMS: %s", strerror(-rc))
		      : folder_file_put(w, "SHA256SUMS", false, buf_slice(&text), err);
}

void folder_writer_seal(struct folder_writer *w)
{
	w->sealed = true;
}

int folder_writer_end(struct folder_writer *w, struct err *err)
{
	int rc = put_sums(w, err);

	if (rc == 0)
		rc = sync_tree(w->parent, w->part, DEPTH_MAX);
	if (rc == 0 && w->sealed)
		rc = checkpoint_sums_make(w->parent, w->part, w->name, err);
	if (rc < 0)
		return err_note(err, rc, "%s", w->part);
	if (renameat(w->parent, w->part, w->parent, w->name) < 0)
		return files_error(err, w->name);
	w->ended = true;
	return fsync(w->parent) < 0 ? files_error(err, w->name) : 0;
}

/* ---- files ---- */

static int make_folders(struct folder_writer *w, const char *path)
{
	char part[CHECKPOINT_PATH_MAX];

	for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		if (mkdirat(w->folder, part, 0777) < 0 && errno != EEXIST)
			return -errno;
	}
	return 0;
}

int folder_file_new(struct folder_writer *w, const char *path, bool listed,
		    struct folder_file **out, struct err *err)
{
	AUTO(folder_file_freep) struct folder_file *f = calloc(1, sizeof *f);

	if (!f)
		return err_set(err, -ENOMEM, "%s: no memory", path);
	f->writer = w;
	f->fd = -1;
	f->listed = listed;
	f->buf = (struct buf)BUF_INIT(BUFFER_MAX);
	hash_sha256_init(&f->sum);
	snprintf(f->path, sizeof f->path, "%s", path);
	int rc = make_folders(w, path);

	f->fd = rc < 0 ? -1
		       : openat(w->folder, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (rc < 0)
		return err_set(err, rc, "%s: %s", path, strerror(-rc));
	if (f->fd < 0)
		return files_error(err, path);
	*out = TAKE(f);
	return 0;
}

struct buf *folder_file_buf(struct folder_file *f)
{
	return &f->buf;
}

static int write_all(struct folder_file *f, struct err *err)
{
	struct slice rest = buf_slice(&f->buf);

	hash_sha256_add(&f->sum, rest);
	int rc = files_write(f->fd, rest);

	if (rc < 0)
		return err_set(err, rc, "%s: %s", f->path, strerror(-rc));
	f->writer->bytes += f->buf.n;
	if (f->buf.cap > 2 * WRITE_AT)
		buf_release(&f->buf); /* of a rare big entry */
	buf_clear(&f->buf);
	return 0;
}

int folder_file_flush(struct folder_file *f, struct err *err)
{
	int rc = buf_done(&f->buf);

	if (rc < 0)
		return err_set(err, rc, "%s: %s", f->path, strerror(-rc));
	return f->buf.n < WRITE_AT ? 0 : write_all(f, err);
}

static int note_sum(struct folder_file *f)
{
	struct folder_writer *w = f->writer;

	if (base_grow(&w->sums, &w->sum_cap, w->sum_count + 1, sizeof *w->sums) < 0)
		return -ENOMEM;
	struct sum *s = &w->sums[w->sum_count++];

	memcpy(s->path, f->path, sizeof s->path);
	hash_sha256_end(&f->sum, s->sum);
	return 0;
}

int folder_file_end(struct folder_file **at, struct err *err)
{
	AUTO(folder_file_freep) struct folder_file *f = TAKE(*at);
	int rc = buf_done(&f->buf);

	if (rc < 0)
		return err_set(err, rc, "%s: %s", f->path, strerror(-rc));
	rc = write_all(f, err);
	if (rc < 0)
		return rc;
	if (fsync(f->fd) < 0)
		return files_error(err, f->path);
	int fd = f->fd;

	f->fd = -1;
	if (close(fd) < 0)
		return files_error(err, f->path);
	if (f->listed)
		rc = note_sum(f);
	return rc < 0 ? err_set(err, rc, "%s: no memory", f->path) : 0;
}

void folder_file_freep(struct folder_file **at)
{
	struct folder_file *f = TAKE(*at);

	if (!f)
		return;
	base_closep(&f->fd);
	buf_release(&f->buf);
	free(f);
}

int folder_file_put(struct folder_writer *w, const char *path, bool listed, struct slice bytes,
		    struct err *err)
{
	AUTO(folder_file_freep) struct folder_file *f = NULL;
	int rc = folder_file_new(w, path, listed, &f, err);

	if (rc < 0)
		return rc;
	buf_add(&f->buf, bytes);
	return folder_file_end(&f, err);
}
