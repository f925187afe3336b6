#include "core/store/witness.h"

#include "core/base/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define PATH_SIZE      4096
#define SUM_SIZE       16
#define WITNESS_MAX    4096
#define WITNESS_WORDS  "chainfs acknowledged 1\n"
#define IDENTITY_MAX   (17u << 20)
#define IDENTITY_WORDS "chainfs network 1\n"
#define STEP           (64u << 10)
/* More than a file: reading asks for a step more than there is. */
#define ROOM_MAX       (32u << 20)

static int path_of(char out[PATH_SIZE], const char *folder, const char *name)
{
	int n = snprintf(out, PATH_SIZE, "%s/%s", folder, name);

	return n < 0 || n >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

/* ---- a file that begins with words and ends with the sum of all before ---- */

static void seal(struct buf *b)
{
	uint8_t sum[HASH_SIZE];

	hash_blake3(buf_slice(b), sum);
	buf_add(b, SLICE(sum, SUM_SIZE));
}

/* What stands between words and sum; false: not sealed so. */
static bool unseal(struct slice file, const char *words, struct slice *out)
{
	uint8_t sum[HASH_SIZE];
	size_t n = strlen(words);

	if (file.n < n + SUM_SIZE || memcmp(file.p, words, n) != 0)
		return false;
	hash_blake3(SLICE(file.p, file.n - SUM_SIZE), sum);
	if (memcmp(sum, file.p + file.n - SUM_SIZE, SUM_SIZE) != 0)
		return false;
	*out = slice_sub(file, n, file.n - SUM_SIZE - n);
	return true;
}

/* ---- the list of files ---- */

/* The number of the list that CURRENT names; 0: it names none. */
static uint64_t current(const char *folder)
{
	static const char prefix[] = "MANIFEST-";
	char path[PATH_SIZE], text[64];
	uint64_t number;

	if (path_of(path, folder, "db/CURRENT") < 0)
		return 0;
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return 0;
	text[n] = 0;
	size_t end = strcspn(text, "\n"), skip = sizeof prefix - 1;

	if (strncmp(text, prefix, skip) != 0 ||
	    dec_get(text + skip, end - skip, UINT64_MAX, &number) < 0)
		return 0;
	return number;
}

static int open_list(const char *folder, uint64_t number)
{
	char name[64], path[PATH_SIZE];

	snprintf(name, sizeof name, "db/MANIFEST-%06" PRIu64, number);
	return path_of(path, folder, name) < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

/* Takes in what lies behind what was taken in, up to `most` bytes in all. */
static int take_in(struct manifest *m, uint64_t most)
{
	AUTO(base_freep) uint8_t *bytes = malloc(STEP);

	if (!bytes)
		return -ENOMEM;
	while (m->size < most) {
		ssize_t n =
			pread(m->file, bytes, MIN(most - m->size, (uint64_t)STEP), (off_t)m->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		blake3_add(&m->hash, SLICE(bytes, (size_t)n));
		m->size += (uint64_t)n;
	}
	return 0;
}

void manifest_open(struct manifest *m, const char *folder)
{
	*m = (struct manifest){ .file = -1, .number = current(folder) };
	blake3_init(&m->hash);
	if (m->number)
		m->file = open_list(folder, m->number);
}

void manifest_close(struct manifest *m)
{
	base_closep(&m->file);
}

void manifest_follow(struct manifest *m, struct witness *out)
{
	out->manifest = out->manifest_size = 0;
	memset(out->manifest_digest, 0, MANIFEST_DIGEST_SIZE);
	if (m->file < 0 || take_in(m, UINT64_MAX) < 0)
		return;
	out->manifest = m->number;
	out->manifest_size = m->size;
	blake3_end(&m->hash, out->manifest_digest, MANIFEST_DIGEST_SIZE);
}

int witness_manifest(const char *folder, const struct witness *w, struct err *err)
{
	struct manifest m = { .file = -1 };
	uint8_t digest[MANIFEST_DIGEST_SIZE];

	/* A list that was begun since, by a start that did not come to its end, is another. */
	if (!w->manifest || current(folder) != w->manifest)
		return 0;
	blake3_init(&m.hash);
	m.file = open_list(folder, w->manifest);
	if (m.file < 0)
		return 0; /* the database says so itself */
	int rc = take_in(&m, w->manifest_size);

	blake3_end(&m.hash, digest, sizeof digest);
	if (rc == 0 &&
	    (m.size != w->manifest_size || memcmp(digest, w->manifest_digest, sizeof digest) != 0))
		rc = err_set(err, -EBADMSG,
			     "database: Corruption: its list of files MANIFEST-%06" PRIu64
			     " is not what was written",
			     w->manifest);
	else if (rc < 0)
		err_set(err, rc, "database: its list of files: %s", strerror(-rc));
	base_closep(&m.file);
	return rc;
}

/* ---- acknowledged ---- */

int witness_read(const char *folder, struct witness *out)
{
	AUTO(buf_release) struct buf file = BUF_INIT(ROOM_MAX);
	char path[PATH_SIZE];
	struct slice body;

	*out = (struct witness){ .shard_count = 0 };
	if (path_of(path, folder, "acknowledged") < 0 ||
	    files_read_plain(AT_FDCWD, path, WITNESS_MAX, &file, NULL) < 0 ||
	    !unseal(buf_slice(&file), WITNESS_WORDS, &body))
		return 0;
	struct rd r = rd_of(body);

	out->sequence = rd_be64(&r);
	out->manifest = rd_be64(&r);
	out->manifest_size = rd_be64(&r);
	struct slice digest = rd_bytes(&r, MANIFEST_DIGEST_SIZE);
	uint32_t count = rd_be32(&r);

	for (uint32_t s = 0; s < MIN(count, (uint32_t)SHARD_MAX); s++) {
		struct witness_shard *ws = &out->shards[s];

		ws->known = rd_be64(&r);
		ws->begins = rd_be64(&r);
		ws->base_height = rd_be64(&r);
		ws->hyper_on = rd_be32(&r);
	}
	if (rd_done(&r) < 0 || count > SHARD_MAX)
		return 0;
	memcpy(out->manifest_digest, digest.p, digest.n);
	out->shard_count = count;
	return 1;
}

void witness_write(const char *folder, const struct witness *w)
{
	AUTO(buf_release) struct buf file = BUF_INIT(ROOM_MAX);
	char path[PATH_SIZE];

	buf_str(&file, WITNESS_WORDS);
	buf_be64(&file, w->sequence);
	buf_be64(&file, w->manifest);
	buf_be64(&file, w->manifest_size);
	buf_add(&file, SLICE(w->manifest_digest, MANIFEST_DIGEST_SIZE));
	buf_be32(&file, w->shard_count);
	for (uint32_t s = 0; s < w->shard_count; s++) {
		const struct witness_shard *ws = &w->shards[s];

		buf_be64(&file, ws->known);
		buf_be64(&file, ws->begins);
		buf_be64(&file, ws->base_height);
		buf_be32(&file, ws->hyper_on);
	}
	seal(&file);
	if (buf_done(&file) < 0 || path_of(path, folder, "acknowledged") < 0)
		return;
	/* In one call, and of one size as long as the network lives: a kill leaves this or the
	 * last. */
	AUTO(base_closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		(void)!pwrite(fd, file.p, file.n, 0);
}

/* ---- identity ---- */

int identity_read(const char *folder, struct buf *out)
{
	AUTO(buf_release) struct buf file = BUF_INIT(ROOM_MAX);
	char path[PATH_SIZE];
	struct slice body;

	int rc = path_of(path, folder, "identity");

	if (rc == 0)
		rc = files_read_plain(AT_FDCWD, path, IDENTITY_MAX, &file, NULL);
	if (rc == -ENOMEM)
		return rc;
	if (rc < 0 || !unseal(buf_slice(&file), IDENTITY_WORDS, &body))
		return 0;
	buf_add(out, body);
	rc = buf_done(out);
	return rc < 0 ? rc : 1;
}

int identity_write(const char *folder, struct slice row, bool sync, struct err *err)
{
	AUTO(buf_release) struct buf file = BUF_INIT(ROOM_MAX);
	char fresh[PATH_SIZE], path[PATH_SIZE];

	buf_str(&file, IDENTITY_WORDS);
	buf_add(&file, row);
	seal(&file);
	int rc = buf_done(&file);

	if (rc == 0)
		rc = path_of(path, folder, "identity");
	if (rc == 0)
		rc = path_of(fresh, folder, "identity.new");
	if (rc < 0)
		return err_set(err, rc, "%s/identity: %s", folder, strerror(-rc));
	AUTO(base_closep) int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		return files_error(err, fresh);
	rc = files_write(fd, buf_slice(&file));
	if (rc < 0)
		return err_set(err, rc, "%s: %s", fresh, strerror(-rc));
	if ((sync && fsync(fd) < 0) || rename(fresh, path) < 0)
		return files_error(err, path);
	return 0;
}
