#include "core/sync/archive_writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "core/base/files.h"

#define WRITE_SIZE (256u << 10)
#define PATH_SIZE  4096
#define ZSTD_LEVEL 3

struct archive_stream { /* of one shard */
	char          path[PATH_SIZE];
	int           fd;
	struct buf    held;  /* not written yet */
	ZSTD_CStream *pack;  /* NULL for a plain file */
	uint8_t      *packed;
};

struct archive_writer {
	char        folder[PATH_SIZE];
	struct archive_stream streams[SHARD_MAX];
	uint32_t    shard_count;
	uint64_t    bytes;
};

static int write_whole(int fd, const char *path, const uint8_t *p, size_t n, struct err *err)
{
	int rc = files_write(fd, SLICE(p, n));

	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

static int stream_write(struct archive_stream *stream, struct slice s, ZSTD_EndDirective how,
			struct err *err)
{
	if (!stream->pack)
		return write_whole(stream->fd, stream->path, s.p, s.n, err);
	ZSTD_inBuffer in = { s.p, s.n, 0 };
	for (;;) {
		ZSTD_outBuffer out = { stream->packed, WRITE_SIZE, 0 };
		size_t left = ZSTD_compressStream2(stream->pack, &out, &in, how);

		if (ZSTD_isError(left))
			return err_set(err, -EIO, "%s: %s", stream->path, ZSTD_getErrorName(left));
		int rc = write_whole(stream->fd, stream->path, stream->packed, out.pos, err);
		if (rc < 0)
			return rc;
		if (how == ZSTD_e_end ? left == 0 : in.pos == in.size)
			return 0;
	}
}

static int stream_flush(struct archive_stream *stream, ZSTD_EndDirective how, struct err *err)
{
	int rc = stream_write(stream, buf_slice(&stream->held), how, err);

	buf_clear(&stream->held);
	return rc;
}

static int stream_open(struct archive_stream *stream, const char *folder, uint32_t shard,
		       bool compress, struct err *err)
{
	int n = snprintf(stream->path, sizeof stream->path, "%s/%s-%u.pbs%s", folder,
			 shard ? "chunks" : "blocks", shard, compress ? ".zst" : "");

	if (n < 0 || (size_t)n >= sizeof stream->path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	stream->held = (struct buf)BUF_INIT(WRITE_SIZE);
	stream->fd = open(stream->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (stream->fd < 0)
		return err_set(err, -errno, "%s: %s", stream->path, strerror(errno));
	if (!compress)
		return 0;
	stream->packed = malloc(WRITE_SIZE);
	stream->pack = ZSTD_createCStream();
	if (!stream->packed || !stream->pack ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(stream->pack, ZSTD_c_compressionLevel, ZSTD_LEVEL)))
		return err_set(err, -ENOMEM, "%s: no memory to write it", stream->path);
	return 0;
}

/* Streams of either kind and of any shard would be read as part of what we write. */
static int folder_is_free(const char *folder, struct err *err)
{
	char path[PATH_SIZE];

	for (uint32_t i = 0; i <= 2 * SHARD_MAX; i++) {
		uint32_t shard = i / 2;

		if (i == 2 * SHARD_MAX)
			snprintf(path, sizeof path, "%s/network.json", folder);
		else
			snprintf(path, sizeof path, "%s/%s-%u.pbs%s", folder,
				 shard ? "chunks" : "blocks", shard, i % 2 ? ".zst" : "");
		if (access(path, F_OK) == 0)
			return err_set(err, -ENOTEMPTY, "%s: there is an archive already", folder);
	}
	return 0;
}

int archive_writer_open(const char *folder, uint32_t shard_count, bool compress,
			struct archive_writer **out, struct err *err)
{
	assert(shard_count > 0 && shard_count <= SHARD_MAX);
	AUTO(archive_writer_closep) struct archive_writer *w = calloc(1, sizeof *w);
	if (!w)
		return err_set(err, -ENOMEM, "%s: no memory", folder);
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		w->streams[s].fd = -1;
	w->shard_count = shard_count;
	int n = snprintf(w->folder, sizeof w->folder, "%s", folder);
	if (n < 0 || (size_t)n >= sizeof w->folder - 64)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	if (mkdir(folder, 0755) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", folder, strerror(errno));

	int rc = folder_is_free(folder, err);
	for (uint32_t s = 0; s < shard_count && rc == 0; s++)
		rc = stream_open(&w->streams[s], folder, s, compress, err);
	if (rc < 0)
		return rc;
	*out = TAKE(w);
	return 0;
}

int archive_writer_add(struct archive_writer *w, uint32_t shard, struct slice message,
		       struct err *err)
{
	assert(shard < w->shard_count);
	struct archive_stream *stream = &w->streams[shard];
	size_t whole = varint_size(message.n) + message.n;

	w->bytes += whole;
	if (stream->held.n + whole > WRITE_SIZE) {
		int rc = stream_flush(stream, ZSTD_e_continue, err);
		if (rc < 0)
			return rc;
	}
	if (whole <= WRITE_SIZE) {
		buf_blob(&stream->held, message);
		if (stream->held.failed)
			return err_set(err, stream->held.failed, "%s: no memory to write it",
				       stream->path);
		return 0;
	}
	uint8_t head[10];
	size_t head_size = varint_put(head, message.n);
	int rc = stream_write(stream, SLICE(head, head_size), ZSTD_e_continue, err);
	return rc < 0 ? rc : stream_write(stream, message, ZSTD_e_continue, err);
}

uint64_t archive_writer_bytes(const struct archive_writer *w)
{
	return w->bytes;
}

static int sync_file(int fd, const char *path, struct err *err)
{
	if (fsync(fd) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

int archive_writer_finish(struct archive_writer *w, struct slice network_json, struct err *err)
{
	for (uint32_t s = 0; s < w->shard_count; s++) {
		struct archive_stream *stream = &w->streams[s];
		int rc = stream_flush(stream, ZSTD_e_end, err);

		if (rc == 0)
			rc = sync_file(stream->fd, stream->path, err);
		if (rc < 0)
			return rc;
	}
	char path[PATH_SIZE + 16];
	snprintf(path, sizeof path, "%s/network.json", w->folder);
	AUTO(base_closep) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int rc = write_whole(fd, path, network_json.p, network_json.n, err);
	if (rc == 0)
		rc = sync_file(fd, path, err);
	AUTO(base_closep)
	int folder = rc < 0 ? -1 : open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (rc == 0 && folder < 0)
		rc = err_set(err, -errno, "%s: %s", w->folder, strerror(errno));
	return rc < 0 ? rc : sync_file(folder, w->folder, err);
}

void archive_writer_closep(struct archive_writer **w)
{
	if (!*w)
		return;
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		struct archive_stream *stream = &(*w)->streams[s];

		base_closep(&stream->fd);
		buf_release(&stream->held);
		ZSTD_freeCStream(stream->pack);
		free(stream->packed);
	}
	free(*w);
	*w = NULL;
}
