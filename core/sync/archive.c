#include "core/sync/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define READ_SIZE (128u << 10)
#define PATH_SIZE 4096

struct stream {
	char          path[PATH_SIZE];
	int           fd;
	bool          present, failed;
	uint64_t      file_size, read_size;
	ZSTD_DStream *unpack;            /* NULL for a plain file */
	uint8_t      *in;                /* READ_SIZE bytes of the file */
	size_t        in_size, in_used;
	uint8_t      *out;               /* READ_SIZE unpacked bytes; plain files use `in` */
	size_t        out_size, out_used;
	bool          frame_open;        /* zstd expects more input */
	uint64_t      offset;            /* unpacked position, for messages */
};

struct archive {
	struct buf    config;
	struct stream streams[SHARD_MAX];
	uint32_t      shard_count;
};

static int read_all(int fd, const char *path, size_t size_max, struct buf *out, struct err *err)
{
	for (;;) {
		if (out->n > size_max)
			return err_set(err, -EMSGSIZE, "%s: larger than %zu bytes", path, size_max);
		int rc = buf_reserve(out, 4096);
		if (rc < 0)
			return err_set(err, rc, "%s: larger than %zu bytes", path, size_max);
		ssize_t n = read(fd, out->p + out->n, out->cap - out->n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "%s: %s", path, strerror(errno));
		if (n == 0)
			return 0;
		out->n += (size_t)n;
	}
}

int archive_file_read(const char *path, size_t size_max, struct buf *out, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	return read_all(fd, path, size_max, out, err);
}

int archive_plain_read(const char *path, size_t size_max, struct buf *out, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	if (fd < 0 && errno == ELOOP)
		return err_set(err, -EBADMSG, "%s: not a regular file", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: not a regular file", path);
	return read_all(fd, path, size_max, out, err);
}

static void stream_close(struct stream *s)
{
	base_closep(&s->fd);
	s->fd = -1;
	ZSTD_freeDStream(s->unpack);
	s->unpack = NULL;
	free(s->in);
	free(s->out);
	s->in = s->out = NULL;
}

static int stream_start(struct stream *s, struct err *err)
{
	if (lseek(s->fd, 0, SEEK_SET) < 0)
		return err_set(err, -errno, "%s: %s", s->path, strerror(errno));
	if (s->unpack)
		ZSTD_initDStream(s->unpack);
	s->read_size = s->offset = 0;
	s->in_size = s->in_used = s->out_size = s->out_used = 0;
	s->frame_open = s->failed = false;
	return 0;
}

/* 1 when the stream's file exists, 0 when not. */
static int stream_open(struct stream *s, const char *folder, const char *name, bool packed,
		       struct err *err)
{
	int n = snprintf(s->path, sizeof s->path, "%s/%s", folder, name);
	if (n < 0 || (size_t)n >= sizeof s->path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	s->fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a fifo must not hold us */
	if (s->fd < 0 && errno == ENOENT)
		return 0;
	struct stat st;
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return err_set(err, -errno, "%s: %s", s->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "%s: not a regular file", s->path);
	s->file_size = (uint64_t)st.st_size;
	s->in = malloc(READ_SIZE);
	s->out = packed ? malloc(READ_SIZE) : NULL;
	s->unpack = packed ? ZSTD_createDStream() : NULL;
	if (!s->in || (packed && (!s->out || !s->unpack)))
		return err_set(err, -ENOMEM, "%s: no memory to read it", s->path);
	s->present = true;
	int rc = stream_start(s, err);
	return rc < 0 ? rc : 1;
}

int archive_open(const char *folder, struct archive **out, struct err *err)
{
	AUTO(archive_closep) struct archive *a = calloc(1, sizeof *a);
	if (!a)
		return err_set(err, -ENOMEM, "%s: no memory", folder);
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		a->streams[s].fd = -1;
	a->config = (struct buf)BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);

	struct stat st;
	if (stat(folder, &st) < 0)
		return err_set(err, -errno, "%s: %s", folder, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return err_set(err, -ENOTDIR,
			       "%s: an archive is a folder with blocks-0.pbs, chunks-1.pbs …",
			       folder);
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		for (int packed = 0; packed < 2 && !a->streams[s].present; packed++) {
			char name[64];
			snprintf(name, sizeof name, "%s-%u.pbs%s", s ? "chunks" : "blocks", s,
				 packed ? ".zst" : "");
			int rc = stream_open(&a->streams[s], folder, name, packed, err);
			if (rc < 0)
				return rc;
			if (rc)
				a->shard_count = s + 1;
		}
	}
	if (!a->shard_count)
		return err_set(err, -ENODATA,
			       "%s: no blocks-0.pbs nor chunks-S.pbs in it, so it is no archive",
			       folder);

	char path[PATH_SIZE + 16];
	snprintf(path, sizeof path, "%s/network.json", folder);
	if (access(path, F_OK) == 0) {
		int rc = archive_plain_read(path, ARCHIVE_CONFIG_SIZE_MAX, &a->config, err);
		if (rc < 0)
			return rc;
	}
	*out = TAKE(a);
	return 0;
}

void archive_closep(struct archive **a)
{
	if (!*a)
		return;
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		stream_close(&(*a)->streams[s]);
	buf_release(&(*a)->config);
	free(*a);
	*a = NULL;
}

struct slice archive_config(const struct archive *a)
{
	return buf_slice(&a->config);
}

uint64_t archive_bytes(const struct archive *a)
{
	uint64_t sum = 0;
	for (uint32_t s = 0; s < a->shard_count; s++)
		sum += a->streams[s].file_size;
	return sum;
}

uint64_t archive_bytes_read(const struct archive *a)
{
	uint64_t sum = 0;
	for (uint32_t s = 0; s < a->shard_count; s++)
		sum += a->streams[s].read_size;
	return sum;
}

uint32_t archive_shards(const struct archive *a)
{
	return a->shard_count;
}

bool archive_has(const struct archive *a, uint32_t shard)
{
	return shard < a->shard_count && a->streams[shard].present;
}

int archive_rewind(struct archive *a, uint32_t shard, struct err *err)
{
	return archive_has(a, shard) ? stream_start(&a->streams[shard], err) : 0;
}

/* Refills the file buffer: 1 bytes came, 0 end of file. */
static int refill_file(struct stream *s, struct err *err)
{
	ssize_t n;
	do {
		n = read(s->fd, s->in, READ_SIZE);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set(err, -errno, "%s: %s", s->path, strerror(errno));
	s->in_size = (size_t)n;
	s->in_used = 0;
	s->read_size += (uint64_t)n;
	return n > 0;
}

/* Makes at least one unpacked byte available: 1 yes, 0 end of stream. */
static int refill(struct stream *s, struct err *err)
{
	if (!s->unpack)
		return refill_file(s, err);
	for (;;) {
		if (s->in_used == s->in_size) {
			int rc = refill_file(s, err);
			if (rc < 0)
				return rc;
			if (rc == 0 && s->frame_open)
				return err_set(err, -EBADMSG,
					       "%s: the compressed stream ends in the middle",
					       s->path);
			if (rc == 0)
				return 0;
		}
		ZSTD_inBuffer in = { s->in, s->in_size, s->in_used };
		ZSTD_outBuffer out = { s->out, READ_SIZE, 0 };
		size_t left = ZSTD_decompressStream(s->unpack, &out, &in);
		if (ZSTD_isError(left))
			return err_set(err, -EBADMSG,
				       "%s: not a zstd stream at file byte %" PRIu64 ": %s",
				       s->path, s->read_size - s->in_size + s->in_used,
				       ZSTD_getErrorName(left));
		s->in_used = in.pos;
		s->out_size = out.pos;
		s->out_used = 0;
		s->frame_open = left != 0;
		if (out.pos)
			return 1;
	}
}

/* Up to n bytes to p; returns how many, fewer only at the end. */
static ssize_t take(struct stream *s, uint8_t *p, size_t n, struct err *err)
{
	size_t done = 0;
	while (done < n) {
		uint8_t *from = s->unpack ? s->out : s->in;
		size_t *used = s->unpack ? &s->out_used : &s->in_used;
		size_t size = s->unpack ? s->out_size : s->in_size;
		if (*used == size) {
			int rc = refill(s, err);
			if (rc < 0)
				return rc;
			if (rc == 0)
				break;
			continue;
		}
		size_t part = MIN(n - done, size - *used);
		memcpy(p + done, from + *used, part);
		*used += part;
		done += part;
	}
	s->offset += done;
	return (ssize_t)done;
}

static int next_message(struct stream *s, struct buf *out, struct err *err)
{
	uint64_t start = s->offset, size = 0;
	for (unsigned shift = 0;; shift += 7) {
		uint8_t byte;
		ssize_t n = take(s, &byte, 1, err);
		if (n < 0)
			return (int)n;
		if (n == 0 && shift == 0)
			return 0;
		if (n == 0)
			return err_set(err, -EBADMSG,
				       "%s: byte %" PRIu64 ": cut off in the size of a message",
				       s->path, start);
		if (shift > 28)
			return err_set(err, -EBADMSG,
				       "%s: byte %" PRIu64 ": no size of a message stands here",
				       s->path, start);
		size |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	if (size == 0 || size > BLOCK_SIZE_MAX)
		return err_set(err, -EBADMSG,
			       "%s: byte %" PRIu64 ": a message of %" PRIu64
			       " bytes; 1 to %u are possible",
			       s->path, start, size, BLOCK_SIZE_MAX);
	buf_clear(out);
	/* In parts, so that a size that lies costs no more memory than the bytes that really
	 * follow. */
	while (out->n < size) {
		size_t part = MIN((size_t)size - out->n, (size_t)READ_SIZE);
		int rc = buf_reserve(out, part);
		if (rc < 0)
			return err_set(err, rc, "%s: no memory for a message of %" PRIu64 " bytes",
				       s->path, size);
		ssize_t n = take(s, out->p + out->n, part, err);
		if (n < 0)
			return (int)n;
		out->n += (size_t)n;
		if ((size_t)n < part)
			return err_set(err, -EBADMSG,
				       "%s: byte %" PRIu64 ": a message of %" PRIu64
				       " bytes is cut off after %zu",
				       s->path, start, size, out->n);
	}
	return 1;
}

int archive_next(struct archive *a, uint32_t shard, struct buf *out, struct err *err)
{
	if (!archive_has(a, shard) || a->streams[shard].failed)
		return 0;
	int rc = next_message(&a->streams[shard], out, err);
	a->streams[shard].failed = rc < 0;
	return rc;
}
