#include "core/store/segment.h"

#include "core/base/hash.h"
#include "core/base/trace.h"
#include "core/store/room.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define FRAME_VERSION  1
#define FRAME_ZSTD     0x01
#define FRAME_TOLD     0x02
#define FRAME_CUT      0x04
#define CHECKSUM_SIZE  8
#define ZSTD_LEVEL     9 /* what is left without signatures is half, and packs in the time of 6 */
#define NAME_SIZE      24
#define APART_HEAD_MAX 10 /* the size of what stands apart */

struct segments {
	int folder; /* descriptor of the folder */
	int file;   /* segment being written; -1: none yet */
	bool sync_off, dirty, folder_dirty;
	struct segments_end end;
	ZSTD_CCtx *packer;
	struct buf packed; /* of the frame being written */
	struct cuts cuts;
};

static void name_of(char out[NAME_SIZE], uint32_t segment)
{
	snprintf(out, NAME_SIZE, "%06" PRIu32 ".seg", segment);
}

static int failed(struct err *err, const char *what, uint32_t segment)
{
	int rc = errno ? -errno : -EIO;

	return err_set(err, rc, "segment %u: %s: %s", segment, what, strerror(-rc));
}

/* ---- opening ---- */

/* Number of a segment's file name; 0: not one. */
static uint32_t number_of(const char *name)
{
	const char *dot = strchr(name, '.');
	uint64_t n;

	if (!dot || strcmp(dot, ".seg") != 0 ||
	    dec_get(name, (size_t)(dot - name), UINT32_MAX, &n) < 0)
		return 0;
	return (uint32_t)n;
}

/* Segments behind the end were begun by a commit that did not come to its end. */
static int remove_orphans(struct segments *s, struct err *err)
{
	int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;
	int rc = 0;

	if (!dir) {
		rc = failed(err, "folder", 0);
		base_closep(&fd);
		return rc;
	}
	while (rc == 0 && (entry = readdir(dir))) {
		uint32_t n = number_of(entry->d_name);

		if (n <= s->end.segment)
			continue;
		trace_warn("store", "an uncommitted segment is removed", "segment=%u", n);
		if (unlinkat(s->folder, entry->d_name, 0) < 0)
			rc = failed(err, "unlink", n);
	}
	closedir(dir);
	return rc;
}

/* Every committed segment is there, and the last one ends where the last commit did. */
static int check_files(struct segments *s, bool read_only, struct err *err)
{
	char name[NAME_SIZE];
	struct stat st;

	for (uint32_t n = 1; n <= s->end.segment; n++) {
		name_of(name, n);
		if (fstatat(s->folder, name, &st, 0) == 0)
			continue;
		if (n == s->end.segment || errno != ENOENT)
			return failed(err, "a committed file is gone", n);
		/* Nothing is written to it any more: its blocks alone are damaged. */
		trace_error("store", "a committed segment is gone, its blocks cannot be read",
			    "segment=%u", n);
	}
	if (s->end.segment == 0)
		return 0;
	s->file = openat(s->folder, name, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (s->file < 0)
		return failed(err, "open", s->end.segment);
	if ((uint64_t)st.st_size < s->end.offset)
		return err_set(err, -EBADMSG,
			       "segment %u has %" PRIu64 " bytes, %" PRIu64 " were committed",
			       s->end.segment, (uint64_t)st.st_size, s->end.offset);
	if ((uint64_t)st.st_size == s->end.offset || read_only)
		return 0;
	trace_info("store", "uncommitted bytes are cut", "segment=%u bytes=%" PRIu64,
		   s->end.segment, (uint64_t)st.st_size - s->end.offset);
	return ftruncate(s->file, (off_t)s->end.offset) < 0 ? failed(err, "cut", s->end.segment)
							    : 0;
}

/* The segments are found by way of their folder's own entry. */
static int sync_above(int folder)
{
	AUTO(base_closep) int above = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return above < 0 ? -1 : fsync(above);
}

static int open_folder(const char *folder, struct segments_end end, bool sync_off, bool read_only,
		       struct segments **out, struct err *err)
{
	AUTO(segments_closep) struct segments *s = calloc(1, sizeof *s);

	if (!s)
		return err_set(err, -ENOMEM, "no memory for segments");
	s->folder = s->file = -1;
	s->sync_off = sync_off;
	s->end = end;
	s->packed = (struct buf)BUF_INIT(FRAME_HEADER_SIZE + APART_HEAD_MAX +
					 ZSTD_COMPRESSBOUND(FRAME_SIZE_MAX));
	cuts_init(&s->cuts, FRAME_SIZE_MAX);
	s->packer = ZSTD_createCCtx();
	if (!s->packer)
		return err_set(err, -ENOMEM, "no memory for zstd");
	ZSTD_CCtx_setParameter(s->packer, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	bool made = end.segment == 0 && !read_only && mkdir(folder, 0700) == 0;

	if (!made && end.segment == 0 && !read_only && errno != EEXIST)
		return failed(err, folder, 0);
	s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (made && s->folder >= 0 && !sync_off && sync_above(s->folder) < 0)
		return failed(err, "sync of the folder above", 0);
	/* Nothing was committed: there need not be a folder yet. */
	if (s->folder < 0 && read_only && errno == ENOENT && end.segment == 0) {
		*out = TAKE(s);
		return 0;
	}
	if (s->folder < 0)
		return failed(err, folder, 0);
	int rc = read_only ? 0 : remove_orphans(s, err);

	if (rc == 0)
		rc = check_files(s, read_only, err);
	if (rc < 0)
		return rc;
	*out = TAKE(s);
	return 0;
}

int segments_open(const char *folder, struct segments_end end, bool sync_off, struct segments **out,
		  struct err *err)
{
	return open_folder(folder, end, sync_off, false, out, err);
}

int segments_open_read(const char *folder, struct segments_end end, struct segments **out,
		       struct err *err)
{
	return open_folder(folder, end, true, true, out, err);
}

void segments_closep(struct segments **at)
{
	struct segments *s = TAKE(*at);

	if (!s)
		return;
	base_closep(&s->file);
	base_closep(&s->folder);
	ZSTD_freeCCtx(s->packer);
	buf_release(&s->packed);
	cuts_release(&s->cuts);
	free(s);
}

uint64_t segments_room(const struct segments *s)
{
	return room_free_at(s->folder);
}

struct segments_end segments_end(const struct segments *s)
{
	return s->end;
}

/* ---- frames ---- */

static void checksum(struct slice head, struct slice payload, uint8_t out[CHECKSUM_SIZE])
{
	struct blake3 h;

	blake3_init(&h);
	blake3_add(&h, head);
	blake3_add(&h, payload);
	blake3_end(&h, out, CHECKSUM_SIZE);
}

static void header_write(uint8_t out[FRAME_HEADER_SIZE], uint8_t flags, size_t size,
			 struct slice payload)
{
	memcpy(out, "CFSF", 4);
	out[4] = FRAME_VERSION;
	out[5] = flags;
	out[6] = out[7] = 0;
	put_be32(out + 8, (uint32_t)size);
	put_be32(out + 12, (uint32_t)payload.n);
	checksum(SLICE(out, 16), payload, out + 16);
}

/* ---- writing ---- */

static int begin_segment(struct segments *s, struct err *err)
{
	char name[NAME_SIZE];
	uint32_t next = s->end.segment + 1;
	struct stat st;

	/* A commit that was dropped may have left bytes behind the end of this one, and nothing
	 * will be written over them. */
	if (s->file >= 0 && fstat(s->file, &st) == 0 && (uint64_t)st.st_size > s->end.offset) {
		if (ftruncate(s->file, (off_t)s->end.offset) < 0)
			return failed(err, "cut", s->end.segment);
		s->dirty = true;
	}
	int rc = segments_sync(s, err);

	if (rc < 0)
		return rc;
	name_of(name, next);
	/* A rewound commit may have left a file of that number: its bytes never happened. */
	int file = openat(s->folder, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (file < 0)
		return failed(err, "create", next);
	base_closep(&s->file);
	s->file = file;
	s->folder_dirty = true;
	s->end = (struct segments_end){ .segment = next };
	return 0;
}

static int write_at(int file, struct slice bytes, uint64_t offset)
{
	while (bytes.n) {
		ssize_t n = pwrite(file, bytes.p, bytes.n, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes = slice_sub(bytes, (size_t)n, bytes.n);
		offset += (uint64_t)n;
	}
	return 0;
}

/* The bytes behind what s->packed has, packed where that pays. 1 packed, 0 as they are. */
static int pack(struct segments *s, struct slice bytes, struct err *err)
{
	if (buf_reserve(&s->packed, ZSTD_compressBound(bytes.n)) < 0)
		return err_set(err, -ENOMEM, "no memory to pack %zu bytes", bytes.n);
	size_t n = ZSTD_compress2(s->packer, s->packed.p + s->packed.n, s->packed.cap - s->packed.n,
				  bytes.p, bytes.n);

	if (ZSTD_isError(n))
		return err_set(err, -EIO, "zstd: %s", ZSTD_getErrorName(n));
	bool pays = n < bytes.n - bytes.n / 16;

	if (pays)
		s->packed.n += n;
	else
		buf_add(&s->packed, bytes);
	return pays;
}

int segments_append(struct segments *s, struct slice whole, const struct told *told,
		    size_t told_count, struct frame_ref *out, struct err *err)
{
	static const uint8_t no_header[FRAME_HEADER_SIZE];
	if (whole.n > FRAME_SIZE_MAX)
		return err_set(err, -EMSGSIZE, "%zu bytes are too many for one frame", whole.n);
	int rc = cuts_make(&s->cuts, whole, told, told_count);

	if (rc < 0)
		return err_set(err, rc, "no memory to pack %zu bytes", whole.n);
	uint8_t flags = rc ? FRAME_CUT : 0;

	buf_clear(&s->packed);
	buf_add(&s->packed, SLICE_ARRAY(no_header));
	if (flags)
		buf_blob(&s->packed, buf_slice(&s->cuts.apart));
	rc = buf_done(&s->packed) < 0 ? err_set(err, buf_done(&s->packed), "no memory for a frame")
				      : pack(s, flags ? buf_slice(&s->cuts.left) : whole, err);
	if (rc < 0)
		return rc;
	flags |= rc ? FRAME_ZSTD : 0;
	rc = 0;
	if (s->end.segment == 0 || s->end.offset + s->packed.n > SEGMENT_SIZE_MAX)
		rc = begin_segment(s, err);
	if (rc < 0)
		return rc;
	struct slice payload = slice_sub(buf_slice(&s->packed), FRAME_HEADER_SIZE, s->packed.n);

	header_write(s->packed.p, flags, whole.n, payload);
	s->dirty = true;
	if (write_at(s->file, buf_slice(&s->packed), s->end.offset) < 0)
		return failed(err, "write", s->end.segment);
	*out = (struct frame_ref){
		.segment = s->end.segment,
		.offset = s->end.offset,
		.stored = (uint32_t)payload.n,
		.size = (uint32_t)whole.n,
	};
	s->end.offset += s->packed.n;
	return 0;
}

int segments_sync(struct segments *s, struct err *err)
{
	if (s->dirty && !s->sync_off && fdatasync(s->file) < 0)
		return failed(err, "sync", s->end.segment);
	s->dirty = false;
	if (s->folder_dirty && !s->sync_off && fsync(s->folder) < 0)
		return failed(err, "sync of the folder", s->end.segment);
	s->folder_dirty = false;
	return 0;
}

void segments_rewind(struct segments *s, struct segments_end end)
{
	if (end.segment != s->end.segment) {
		char name[NAME_SIZE];

		base_closep(&s->file);
		if (end.segment) {
			name_of(name, end.segment);
			s->file = openat(s->folder, name, O_RDWR | O_CLOEXEC);
		}
	}
	s->end = end;
}

/* ---- reading ---- */

static int read_at(int file, uint8_t *out, size_t n, uint64_t offset)
{
	while (n) {
		ssize_t got = pread(file, out, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		out += got;
		n -= (size_t)got;
		offset += (uint64_t)got;
	}
	return 0;
}

static int damaged(struct err *err, const struct frame_ref *ref, const char *what)
{
	return err_set(err, -EBADMSG, "segment %u, offset %" PRIu64 ": %s", ref->segment,
		       ref->offset, what);
}

/* What is left of a frame's bytes, as it was before it was packed: `in` itself, or in *room, which
 * the caller frees. */
static int unpack_left(const struct frame_ref *ref, bool zstd, struct slice in, uint8_t **room,
		       struct slice *out, struct err *err)
{
	*out = in;
	if (!zstd)
		return 0;
	/* Fewer bytes than the whole, and a list shorter than what it saves. */
	*room = malloc(MAX(ref->size, 1u));
	if (!*room)
		return err_set(err, -ENOMEM, "no memory for a frame of %u bytes", ref->size);
	size_t n = ZSTD_decompress(*room, ref->size, in.p, in.n);

	if (ZSTD_isError(n))
		return damaged(err, ref, "the payload does not unpack");
	*out = SLICE(*room, n);
	return 0;
}

/* Of a frame from which nothing was left out. */
static int unpack_whole(const struct frame_ref *ref, bool zstd, struct slice payload, uint8_t *out,
			struct err *err)
{
	if (!zstd) {
		if (payload.n != ref->size)
			return damaged(err, ref, "unknown flags");
		if (payload.n)
			memcpy(out, payload.p, payload.n);
		return 0;
	}
	return ZSTD_decompress(out, ref->size, payload.p, payload.n) == ref->size
		       ? 0
		       : damaged(err, ref, "the payload does not unpack");
}

static int open_frame(const struct frame_ref *ref, struct slice frame, uint8_t *out,
		      struct err *err)
{
	struct slice stored = slice_sub(frame, FRAME_HEADER_SIZE, frame.n);
	struct rd payload = rd_of(stored);
	uint8_t sum[CHECKSUM_SIZE];

	checksum(SLICE(frame.p, 16), stored, sum);
	if (memcmp(frame.p, "CFSF", 4) != 0 || memcmp(sum, frame.p + 16, sizeof sum) != 0)
		return damaged(err, ref, "the bytes do not match their checksum");
	if (frame.p[4] != FRAME_VERSION)
		return damaged(err, ref, "a frame version that this program does not read");
	if (get_be32(frame.p + 8) != ref->size || get_be32(frame.p + 12) != ref->stored)
		return damaged(err, ref, "the frame has another size than its row says");
	bool zstd = frame.p[5] & FRAME_ZSTD, told = frame.p[5] & FRAME_TOLD,
	     cut = frame.p[5] & FRAME_CUT;

	if (frame.p[5] & ~(FRAME_ZSTD | FRAME_TOLD | FRAME_CUT) || (told && cut))
		return damaged(err, ref, "unknown flags");
	if (!told && !cut)
		return unpack_whole(ref, zstd, rd_rest(&payload), out, err);
	struct slice apart = cut ? rd_blob(&payload) : SLICE_EMPTY, left;
	AUTO(base_freep) uint8_t *room = NULL;
	int rc = unpack_left(ref, zstd, rd_rest(&payload), &room, &left, err);

	if (rc < 0)
		return rc;
	return (cut ? cuts_put_back(apart, left, out, ref->size)
		    : cuts_put_back_older(left, out, ref->size))
		       ? 0
		       : damaged(err, ref, "what was cut out does not find its place");
}

int segments_read(const struct segments *s, const struct frame_ref *ref, uint8_t *out,
		  struct err *err)
{
	char name[NAME_SIZE];
	AUTO(base_closep) int file = -1;
	size_t n = FRAME_HEADER_SIZE + (size_t)ref->stored;

	if (ref->size > FRAME_SIZE_MAX ||
	    ref->stored > APART_HEAD_MAX + ZSTD_COMPRESSBOUND(FRAME_SIZE_MAX))
		return damaged(err, ref, "a size over every bound");
	name_of(name, ref->segment);
	/* Opened for each read: a descriptor a segment would be thousands; unpacking costs more. */
	file = openat(s->folder, name, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return errno == ENOENT ? damaged(err, ref, "the file is gone")
				       : failed(err, "open", ref->segment);
	AUTO(base_freep) uint8_t *frame = malloc(n);

	if (!frame)
		return err_set(err, -ENOMEM, "no memory for a frame of %zu bytes", n);
	int rc = read_at(file, frame, n, ref->offset);

	if (rc == -EBADMSG)
		return damaged(err, ref, "the file ends before the frame does");
	if (rc < 0)
		return err_set(err, rc, "segment %u: read: %s", ref->segment, strerror(-rc));
	return open_frame(ref, SLICE(frame, n), out, err);
}

/* ---- looking at the files ---- */

int segments_header(const struct segments *s, struct frame_ref *at)
{
	char name[NAME_SIZE];
	uint8_t header[FRAME_HEADER_SIZE];
	struct stat st;

	name_of(name, at->segment);
	AUTO(base_closep) int file = openat(s->folder, name, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &st) < 0)
		return -errno;
	if (at->offset >= (uint64_t)st.st_size)
		return 0;
	int rc = read_at(file, header, sizeof header, at->offset);

	if (rc < 0)
		return rc;
	at->size = get_be32(header + 8);
	at->stored = get_be32(header + 12);
	if (memcmp(header, "CFSF", 4) != 0 || header[4] != FRAME_VERSION ||
	    at->offset + FRAME_HEADER_SIZE + at->stored > (uint64_t)st.st_size)
		return -EBADMSG;
	return 1;
}

int segments_size(const struct segments *s, uint32_t segment, uint64_t *size)
{
	char name[NAME_SIZE];
	struct stat st;

	name_of(name, segment);
	if (fstatat(s->folder, name, &st, 0) < 0)
		return -errno;
	*size = (uint64_t)st.st_size;
	return 0;
}

int segments_file(const struct segments *s, uint32_t segment)
{
	char name[NAME_SIZE];

	name_of(name, segment);
	int file = openat(s->folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return file < 0 ? -errno : file;
}

int segments_strangers(const struct segments *s, uint32_t last,
		       void (*call)(void *arg, const char *name), void *arg)
{
	int fd = openat(s->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (!dir) {
		int rc = -errno;

		base_closep(&fd);
		return rc;
	}
	while ((entry = readdir(dir))) {
		uint32_t n = number_of(entry->d_name);

		if ((n == 0 || n > last) && strcmp(entry->d_name, ".") != 0 &&
		    strcmp(entry->d_name, "..") != 0)
			call(arg, entry->d_name);
	}
	closedir(dir);
	return 0;
}
