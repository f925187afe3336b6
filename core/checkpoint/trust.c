#include "core/checkpoint/trust.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/hash.h"

#define PATH_SIZE      4096
#define LINE_SIZE_MAX  1024
#define FILE_BYTES_MAX ((size_t)TRUST_ROWS_MAX * 512)
#define SUM_DIGITS     16
#define FIELDS         12

const char *const trust_state_names[TRUST_STATE_COUNT] = {
	[TRUST_TRUSTED] = "trusted",
	[TRUST_DISTRUSTED] = "distrusted",
	[TRUST_SUPERSEDED] = "superseded",
};

const char *const trust_source_names[TRUST_SOURCE_COUNT] = {
	[TRUST_VALIDATORS] = "validators",
	[TRUST_EVIDENCE] = "evidence",
	[TRUST_PIN] = "pin",
};

static int path_of(const char *folder, const char *name, char out[PATH_SIZE], struct err *err)
{
	if ((size_t)snprintf(out, PATH_SIZE, "%s/trust%s%s", folder, name[0] ? "/" : "", name) >=
	    PATH_SIZE)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	return 0;
}

/* ---- a line ---- */

static void sum_of(struct slice line, char out[SUM_DIGITS + 1])
{
	uint8_t hash[HASH_SIZE];

	hash_blake3(line, hash);
	hex_put(out, hash, SUM_DIGITS / 2);
}

static void put_hex(struct buf *out, const uint8_t *p, size_t n)
{
	if (n)
		buf_hex(out, SLICE(p, n));
	else
		buf_str(out, "-");
	buf_u8(out, '\t');
}

static void put_text(struct buf *out, const char *text)
{
	buf_fmt(out, "%s\t", text[0] ? text : "-");
}

static void write_line(const struct trust_row *r, struct buf *out)
{
	char sum[SUM_DIGITS + 1];
	size_t begin = out->n;

	buf_fmt(out, "%" PRIu64 "\t%u\t%" PRIu64 "\t", r->time, r->shard, r->height);
	put_hex(out, r->hash, HASH_SIZE);
	put_hex(out, r->root, r->root_size);
	put_text(out, trust_state_names[r->state]);
	put_text(out, trust_source_names[r->source]);
	put_text(out, r->who);
	put_hex(out, r->set, r->has_set ? HASH_SIZE : 0);
	put_text(out, r->evidence);
	put_text(out, r->reason);
	sum_of(slice_sub(buf_slice(out), begin, out->n - begin), sum);
	buf_fmt(out, "%s\n", sum);
}

static bool is_none(struct slice field)
{
	return slice_eq(field, slice_str("-"));
}

static bool get_number(struct slice field, uint64_t max, uint64_t *out)
{
	return dec_get((const char *)field.p, field.n, max, out) == 0;
}

static bool get_hex(struct slice field, uint8_t *out, size_t n)
{
	return hex_get((const char *)field.p, field.n, out, n) == 0;
}

static bool get_text(struct slice field, char *out, size_t size)
{
	if (field.n == 0 || field.n >= size || memchr(field.p, 0, field.n))
		return false;
	memcpy(out, field.p, field.n);
	out[field.n] = '\0';
	if (is_none(field))
		out[0] = '\0';
	return true;
}

static bool get_name(struct slice field, const char *const *names, size_t count, uint8_t *out)
{
	for (size_t i = 0; i < count; i++)
		if (slice_eq(field, slice_str(names[i]))) {
			*out = (uint8_t)i;
			return true;
		}
	return false;
}

static bool read_line(struct slice line, struct trust_row *out)
{
	struct slice f[FIELDS];
	char sum[SUM_DIGITS + 1];
	size_t begin = 0, count = 0;
	uint64_t shard;

	for (size_t i = 0; i <= line.n && count < FIELDS; i++)
		if (i == line.n || line.p[i] == '\t') {
			f[count++] = slice_sub(line, begin, i - begin);
			begin = i + 1;
		}
	if (count != FIELDS || begin != line.n + 1)
		return false;
	sum_of(slice_sub(line, 0, line.n - f[FIELDS - 1].n), sum);
	*out = (struct trust_row){ .root_size = is_none(f[4]) ? 0 : (uint8_t)(f[4].n / 2),
				   .has_set = !is_none(f[8]) };
	bool good = slice_eq(f[FIELDS - 1], slice_str(sum)) &&
		    get_number(f[0], UINT64_MAX, &out->time) &&
		    get_number(f[1], SHARD_MAX - 1, &shard) &&
		    get_number(f[2], UINT64_MAX, &out->height) &&
		    get_hex(f[3], out->hash, HASH_SIZE) && f[4].n <= 2 * ROOT_SIZE_MAX &&
		    (!out->root_size || get_hex(f[4], out->root, out->root_size)) &&
		    get_name(f[5], trust_state_names, TRUST_STATE_COUNT, &out->state) &&
		    get_name(f[6], trust_source_names, TRUST_SOURCE_COUNT, &out->source) &&
		    get_text(f[7], out->who, sizeof out->who) &&
		    (!out->has_set || get_hex(f[8], out->set, HASH_SIZE)) &&
		    get_text(f[9], out->evidence, sizeof out->evidence) &&
		    get_text(f[10], out->reason, sizeof out->reason);

	out->shard = good ? (uint32_t)shard : 0;
	return good;
}

/* ---- reading ---- */

static int compare_rows(const struct trust_row *a, uint32_t shard, uint64_t height,
			const uint8_t *hash)
{
	if (a->shard != shard)
		return a->shard < shard ? -1 : 1;
	if (a->height != height)
		return a->height < height ? -1 : 1;
	return hash ? memcmp(a->hash, hash, HASH_SIZE) : 0;
}

static int by_block(const void *left, const void *right)
{
	const struct trust_row *a = *(struct trust_row *const *)left,
			       *b = *(struct trust_row *const *)right;
	int rc = compare_rows(a, b->shard, b->height, b->hash);

	return rc ? rc : (a > b) - (a < b); /* the order of the file */
}

static int sort(struct trust *t)
{
	size_t kept = 0;

	t->newest = t->count ? malloc(t->count * sizeof *t->newest) : NULL;
	if (t->count && !t->newest)
		return -ENOMEM;
	for (size_t i = 0; i < t->count; i++)
		t->newest[i] = &t->rows[i];
	if (t->count > 1)
		qsort(t->newest, t->count, sizeof *t->newest, by_block);
	for (size_t i = 0; i < t->count; i++) {
		const struct trust_row *next = i + 1 < t->count ? t->newest[i + 1] : NULL;

		if (!next || compare_rows(t->newest[i], next->shard, next->height, next->hash) != 0)
			t->newest[kept++] = t->newest[i];
	}
	t->newest_count = kept;
	return 0;
}

static int add_row(struct trust *t, const struct trust_row *row)
{
	if (base_grow(&t->rows, &t->cap, t->count + 1, sizeof *t->rows) < 0)
		return -ENOMEM;
	t->rows[t->count++] = *row;
	return 0;
}

static int parse(struct slice text, const char *path, struct trust *out, struct err *err)
{
	size_t begin = 0;

	for (size_t i = 0; i < text.n; i++) {
		struct trust_row row;

		if (text.p[i] != '\n')
			continue;
		if (!read_line(slice_sub(text, begin, i - begin), &row))
			return err_set(err, -EUCLEAN,
				       "%s: line %zu is damaged; nothing is decided by this "
				       "registry until it is mended or taken away",
				       path, out->count + 1);
		if (out->count == TRUST_ROWS_MAX)
			return err_set(err, -EMSGSIZE, "%s has more than %u lines", path,
				       TRUST_ROWS_MAX);
		if (add_row(out, &row) < 0)
			return err_set(err, -ENOMEM, "no memory for %s", path);
		begin = i + 1;
	}
	out->size = text.n; /* a line that was cut short is gone with the next append */
	return sort(out) < 0 ? err_set(err, -ENOMEM, "no memory for %s", path) : 0;
}

int trust_load(const char *folder, struct trust *out, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(FILE_BYTES_MAX);
	char path[PATH_SIZE];
	int rc = path_of(folder, "registry", path, err);

	*out = (struct trust){ 0 };
	if (rc < 0 || access(path, F_OK) < 0)
		return rc < 0 ? rc : errno == ENOENT ? 0 : files_error(err, path);
	rc = files_read_plain(AT_FDCWD, path, FILE_BYTES_MAX, &text, err);
	if (rc == 0)
		rc = parse(buf_slice(&text), path, out, err);
	if (rc < 0)
		trust_release(out);
	return rc;
}

void trust_release(struct trust *t)
{
	free(t->rows);
	free(t->newest);
	*t = (struct trust){ 0 };
}

int trust_refresh(const char *folder, struct trust *t, struct err *err)
{
	struct trust fresh;
	struct stat st;
	char path[PATH_SIZE];
	int rc = path_of(folder, "registry", path, err);

	if (rc < 0)
		return rc;
	if (stat(path, &st) < 0) {
		if (errno != ENOENT)
			return files_error(err, path);
		st.st_size = 0;
	}
	if ((uint64_t)st.st_size == t->size)
		return 0;
	rc = trust_load(folder, &fresh, err);
	if (rc < 0)
		return rc;
	trust_release(t);
	*t = fresh;
	return 0;
}

/* ---- appending ---- */

/* Tabs and line ends part fields and lines. */
static bool is_text(const char *text)
{
	for (; *text; text++)
		if ((uint8_t)*text < 0x20 || (uint8_t)*text == 0x7f)
			return false;
	return true;
}

static int make_folder(const char *path, struct err *err)
{
	return mkdir(path, 0777) < 0 && errno != EEXIST ? files_error(err, path) : 0;
}

static int sync_folder(const char *path, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? files_error(err, path) : 0;
}

static int write_evidence(const char *folder, const char *name, struct slice bytes, struct err *err)
{
	char at[PATH_SIZE], path[PATH_SIZE + TRUST_EVIDENCE_SIZE],
		fresh[PATH_SIZE + TRUST_EVIDENCE_SIZE + 8];
	int rc = path_of(folder, "evidence", at, err);

	if (rc == 0)
		rc = make_folder(at, err);
	if (rc < 0)
		return rc;
	snprintf(path, sizeof path, "%s/%s", at, name);
	snprintf(fresh, sizeof fresh, "%s/.new-%s", at, name);
	AUTO(base_closep) int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0)
		return files_error(err, fresh);
	rc = files_write(fd, bytes);
	if (rc < 0 || fsync(fd) < 0 || rename(fresh, path) < 0) {
		rc = rc < 0 ? err_set(err, rc, "%s: %s", fresh, strerror(-rc))
			    : files_error(err, fresh);
		unlink(fresh);
		return rc;
	}
	return sync_folder(at, err);
}

/* Where the last whole line ends. */
static int whole_size(int fd, off_t *out)
{
	struct stat st;
	char tail[LINE_SIZE_MAX + 1];

	if (fstat(fd, &st) < 0)
		return -errno;
	off_t from = MAX(st.st_size - (off_t)sizeof tail, 0);
	ssize_t n = pread(fd, tail, (size_t)(st.st_size - from), from);

	if (n < 0)
		return -errno;
	while (n > 0 && tail[n - 1] != '\n')
		n--;
	*out = from + n;
	/* Longer than any line of ours without an end: it was not cut short, it is damaged. */
	return n == 0 && from > 0 ? -EUCLEAN : 0;
}

static int append_line(const char *path, struct slice line, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	off_t end = 0;

	if (fd < 0 || flock(fd, LOCK_EX) < 0)
		return files_error(err, path);
	int rc = whole_size(fd, &end);

	if (rc == 0 && (ftruncate(fd, end) < 0 || lseek(fd, end, SEEK_SET) < 0))
		rc = -errno;
	if (rc == 0)
		rc = files_write(fd, line);
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

int trust_append(const char *folder, struct trust_row *row, struct slice evidence, struct err *err)
{
	AUTO(buf_release) struct buf line = BUF_INIT(LINE_SIZE_MAX);
	char at[PATH_SIZE], path[PATH_SIZE];
	int rc = path_of(folder, "", at, err);

	if (rc == 0)
		rc = path_of(folder, "registry", path, err);
	if (rc < 0)
		return rc;
	if (!is_text(row->who) || !is_text(row->reason))
		return err_set(err, -EINVAL, "a name or reason of a decision is one line of text");
	rc = make_folder(at, err);
	if (rc == 0 && evidence.n) {
		char hex[9];

		hex_put(hex, row->hash, 4);
		snprintf(row->evidence, sizeof row->evidence, "%u-%010" PRIu64 "-%s.pb", row->shard,
			 row->height, hex);
		rc = write_evidence(folder, row->evidence, evidence, err);
	}
	if (rc < 0)
		return rc;
	write_line(row, &line);
	if (buf_done(&line) < 0)
		return err_set(err, buf_done(&line), "a decision of more than %u bytes",
			       LINE_SIZE_MAX);
	rc = append_line(path, buf_slice(&line), err);
	if (rc == 0)
		rc = sync_folder(at, err);
	return rc == 0 ? sync_folder(folder, err) : rc;
}

/* ---- asking ---- */

/* The first of `newest` at or behind the place. */
static size_t place_of(const struct trust *t, uint32_t shard, uint64_t height)
{
	size_t low = 0, high = t->newest_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_rows(t->newest[middle], shard, height, NULL) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct trust_row *row_at(const struct trust *t, size_t i, uint32_t shard,
				      uint64_t height)
{
	return i < t->newest_count && compare_rows(t->newest[i], shard, height, NULL) == 0
		       ? t->newest[i]
		       : NULL;
}

const struct trust_row *trust_find(const struct trust *t, uint32_t shard, uint64_t height,
				   const uint8_t hash[HASH_SIZE])
{
	const struct trust_row *r;

	for (size_t i = place_of(t, shard, height); (r = row_at(t, i, shard, height)); i++)
		if (memcmp(r->hash, hash, HASH_SIZE) == 0)
			return r;
	return NULL;
}

const struct trust_row *trust_at(const struct trust *t, uint32_t shard, uint64_t height)
{
	const struct trust_row *r, *best = NULL;

	for (size_t i = place_of(t, shard, height); (r = row_at(t, i, shard, height)); i++)
		if (r->state == TRUST_TRUSTED && (!best || r->source == TRUST_PIN))
			best = r;
	return best;
}

const char *trust_judge(const struct trust *t, uint32_t shard, uint64_t height,
			const uint8_t hash[HASH_SIZE], char text[TRUST_JUDGED_SIZE])
{
	const struct trust_row *own = trust_find(t, shard, height, hash);
	const struct trust_row *other = trust_at(t, shard, height);
	char hex[17];

	if (own && own->state == TRUST_DISTRUSTED) {
		snprintf(text, TRUST_JUDGED_SIZE, "trust: this block is distrusted: %s",
			 own->reason[0] ? own->reason : "no reason was given");
		return text;
	}
	if (!other || memcmp(other->hash, hash, HASH_SIZE) == 0)
		return NULL;
	hex_put(hex, other->hash, 8);
	snprintf(text, TRUST_JUDGED_SIZE,
		 "trust: another block of this height is trusted: %s… (%s%s%s)", hex,
		 trust_source_names[other->source], other->who[0] ? ", " : "", other->who);
	return text;
}

void trust_render(const struct trust *t, struct buf *out)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct trust_row *r = &t->rows[i];
		char time[TIME_TEXT_SIZE];

		time_text(r->time, time);
		buf_fmt(out, "%u\t%010" PRIu64 "\t", r->shard, r->height);
		put_hex(out, r->hash, HASH_SIZE);
		put_text(out, trust_state_names[r->state]);
		put_text(out, trust_source_names[r->source]);
		put_text(out, r->who);
		put_text(out, time);
		buf_fmt(out, "%s\n", r->reason[0] ? r->reason : "-");
	}
}
