#include "core/checkpoint/folder.h"

#include "core/base/clock.h"

#include <stdio.h>
#include <time.h>

#define HEIGHT_DIGITS 10
#define PREFIX_SIZE   4

/* ---- its name ---- */

void checkpoint_name(uint64_t height, const uint8_t hash[HASH_SIZE], char out[CHECKPOINT_NAME_SIZE])
{
	char hex[2 * PREFIX_SIZE + 1];

	hex_put(hex, hash, PREFIX_SIZE);
	snprintf(out, CHECKPOINT_NAME_SIZE, "%0*" PRIu64 "-%s", HEIGHT_DIGITS, height, hex);
}

static bool lower_hex(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strchr("0123456789abcdef", text[i]) || !text[i])
			return false;
	return true;
}

int checkpoint_name_read(const char *name, uint64_t *height, uint8_t prefix[4])
{
	size_t digits = strspn(name, "0123456789");

	/* One name a height: more digits than ten begin with no zero. */
	if (digits < HEIGHT_DIGITS || (digits > HEIGHT_DIGITS && name[0] == '0') ||
	    name[digits] != '-' || strlen(name + digits) != 1 + 2 * PREFIX_SIZE ||
	    !lower_hex(name + digits + 1, 2 * PREFIX_SIZE))
		return -EINVAL;
	int rc = dec_get(name, digits, UINT64_MAX, height);

	return rc < 0 ? rc : hex_get(name + digits + 1, 2 * PREFIX_SIZE, prefix, PREFIX_SIZE);
}

/* ---- info, written ---- */

static const char *const covered[] = {
	"by the root that validators signed: which records legacy/ has, and the bytes of each that "
	"is "
	"named by its hash",
	"by nothing that is signed: retained/ but for the signature of each message, rules/, the "
	"hyper "
	"roots; of every record the height and item that it came with; of records that are not "
	"named by a "
	"hash of theirs (events of other chains, names) all that their names do not say",
};

static void put_number(struct buf *out, const char *name, uint64_t v)
{
	buf_fmt(out, "%s %" PRIu64 "\n", name, v);
}

static void put_bytes(struct buf *out, const char *name, const uint8_t *p, size_t n)
{
	buf_fmt(out, "%s ", name);
	buf_hex(out, SLICE(p, n));
	buf_str(out, n ? "\n" : "-\n");
}

static void put_place(struct buf *out, const struct checkpoint_shard *s)
{
	char utc[TIME_TEXT_SIZE];

	time_text(s->time, utc);
	put_number(out, "height", s->height);
	put_bytes(out, "hash", s->hash, HASH_SIZE);
	buf_fmt(out, "time %s\n", utc);
}

static void put_shard(struct buf *out, const struct checkpoint_shard *s, bool hyper)
{
	put_number(out, "shard", s->shard);
	put_place(out, s);
	put_bytes(out, "legacy_root", s->legacy.root, s->legacy.root_size);
	put_number(out, "legacy_records", s->legacy.records);
	if (!hyper)
		return;
	put_bytes(out, "hyper_root", s->hyper.root, s->hyper.root_size);
	put_number(out, "hyper_records", s->hyper.records);
	put_number(out, "retained", s->retained);
	put_number(out, "base_height", s->base_height);
	put_bytes(out, "base_root", s->base_root, s->base_root_size);
}

static void put_all(struct buf *out, const struct checkpoint_info *info)
{
	put_number(out, "format", CHECKPOINT_FORMAT);
	buf_fmt(out, "kind %s\n", info->kind);
	put_place(out, &info->shards[0]);
	buf_fmt(out, "hyper %s\n", info->hyper ? "on" : "off");
	for (uint32_t i = 0; i < info->shard_count; i++)
		put_shard(out, &info->shards[i], info->hyper);
}

int checkpoint_info_write(const struct checkpoint_info *info, struct buf *out)
{
	assert(info->shard_count > 0 && info->shard_count <= SHARD_MAX);
	put_all(out, info);
	for (size_t i = 0; i < ARRAY_LEN(covered); i++)
		buf_fmt(out, "covered %s\n", covered[i]);
	return buf_done(out);
}

/* ---- info, read ---- */

struct lines {
	struct slice rest, value; /* value: of the line that was taken last */
	unsigned number;
	bool failed;
};

/* Is there a line of that name? Then it is taken. */
static bool next_is(struct lines *l, const char *name)
{
	const uint8_t *end = l->rest.n ? memchr(l->rest.p, '\n', l->rest.n) : NULL;
	size_t n = strlen(name);

	if (l->failed || !end)
		return false;
	struct slice line = SLICE(l->rest.p, (size_t)(end - l->rest.p));

	if (!slice_starts(line, slice_str(name)) || line.n <= n || line.p[n] != ' ')
		return false;
	l->value = slice_sub(line, n + 1, line.n);
	l->rest = slice_sub(l->rest, line.n + 1, l->rest.n);
	l->number++;
	return true;
}

static struct slice get(struct lines *l, const char *name)
{
	if (!next_is(l, name)) {
		l->failed = true;
		return SLICE_EMPTY;
	}
	return l->value;
}

static uint64_t get_number(struct lines *l, const char *name, uint64_t max)
{
	struct slice s = get(l, name);
	uint64_t v = 0;

	if (!l->failed && dec_get((const char *)s.p, s.n, max, &v) < 0)
		l->failed = true;
	return v;
}

static uint8_t get_bytes(struct lines *l, const char *name, uint8_t *out, size_t size_max)
{
	struct slice s = get(l, name);

	if (l->failed || slice_eq(s, slice_str("-")))
		return 0;
	if (!s.n || s.n / 2 > size_max || hex_get((const char *)s.p, s.n, out, s.n / 2) < 0)
		l->failed = true;
	return (uint8_t)(s.n / 2);
}

static uint64_t get_time(struct lines *l)
{
	struct slice s = get(l, "time");
	struct tm tm = { .tm_year = 0 };
	char text[TIME_TEXT_SIZE], again[TIME_TEXT_SIZE];

	if (l->failed || s.n >= sizeof text) {
		l->failed = true;
		return 0;
	}
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t time = timegm(&tm);

	if (!end || *end || time < 0) {
		l->failed = true;
		return 0;
	}
	time_text((uint64_t)time, again);
	l->failed |= strcmp(text, again) != 0;
	return (uint64_t)time;
}

static void get_place(struct lines *l, struct checkpoint_shard *s)
{
	s->height = get_number(l, "height", UINT64_MAX);
	l->failed |= get_bytes(l, "hash", s->hash, HASH_SIZE) != HASH_SIZE;
	s->time = get_time(l);
}

static void get_shard(struct lines *l, bool hyper, struct checkpoint_shard *s)
{
	get_place(l, s);
	s->legacy.root_size = get_bytes(l, "legacy_root", s->legacy.root, ROOT_SIZE_MAX);
	s->legacy.records = get_number(l, "legacy_records", UINT64_MAX);
	if (!hyper)
		return;
	s->hyper.root_size = get_bytes(l, "hyper_root", s->hyper.root, ROOT_SIZE_MAX);
	s->hyper.records = get_number(l, "hyper_records", UINT64_MAX);
	s->retained = get_number(l, "retained", UINT64_MAX);
	s->base_height = get_number(l, "base_height", UINT64_MAX);
	s->base_root_size = get_bytes(l, "base_root", s->base_root, ROOT_SIZE_MAX);
}

static void get_kind(struct lines *l, char out[32])
{
	struct slice s = get(l, "kind");

	if (l->failed || !s.n || s.n >= 32 || memchr(s.p, '\0', s.n)) {
		l->failed = true;
		return;
	}
	memcpy(out, s.p, s.n);
}

static bool ends_well(struct lines *l)
{
	for (size_t i = 0; i < ARRAY_LEN(covered); i++)
		(void)get(l, "covered");
	return !l->failed && !l->rest.n;
}

/* One text a checkpoint: what is read is what would be written. */
static int same_again(struct slice text, const struct checkpoint_info *info, struct err *err)
{
	AUTO(buf_release) struct buf again = BUF_INIT(CHECKPOINT_INFO_MAX);

	put_all(&again, info);
	int rc = buf_done(&again);

	if (rc < 0)
		return err_set(err, rc, "no memory for info");
	return slice_starts(text, buf_slice(&again))
		       ? 0
		       : err_set(err, -EBADMSG, "info is not as it would be written");
}

int checkpoint_info_read(struct slice text, struct checkpoint_info *out, struct err *err)
{
	struct lines l = { .rest = text };
	struct checkpoint_shard main = { .shard = 0 };

	memset(out, 0, sizeof *out);
	if (text.n > CHECKPOINT_INFO_MAX)
		return err_set(err, -EBADMSG, "info of %zu bytes", text.n);
	uint64_t format = get_number(&l, "format", UINT64_MAX);

	if (l.failed)
		return err_set(err, -EBADMSG, "info, line 1: no format");
	if (format != CHECKPOINT_FORMAT)
		return err_set(err, -EPROTONOSUPPORT,
			       "a checkpoint of format %" PRIu64 ", this program reads %d", format,
			       CHECKPOINT_FORMAT);
	get_kind(&l, out->kind);
	get_place(&l, &main);
	struct slice hyper = get(&l, "hyper");

	out->hyper = slice_eq(hyper, slice_str("on"));
	l.failed |= !out->hyper && !slice_eq(hyper, slice_str("off"));
	while (out->shard_count < SHARD_MAX && next_is(&l, "shard")) {
		struct checkpoint_shard *s = &out->shards[out->shard_count];
		uint64_t number = 0;

		l.failed |=
			dec_get((const char *)l.value.p, l.value.n, SHARD_MAX - 1, &number) < 0 ||
			(out->shard_count ? number <= s[-1].shard : number != 0);
		s->shard = (uint32_t)number;
		get_shard(&l, out->hyper, s);
		out->shard_count++;
	}
	if (!out->shard_count || !ends_well(&l))
		return err_set(err, -EBADMSG, "info, line %u: not what stands there", l.number + 1);
	return same_again(text, out, err);
}

/* ---- SHA256SUMS ---- */

void checkpoint_sum_write(const uint8_t sum[HASH_SIZE], const char *path, struct buf *out)
{
	buf_hex(out, SLICE(sum, HASH_SIZE));
	buf_fmt(out, "  %s\n", path);
}

/* Letters, digits, dots between them; one slash between parts, none at the ends. */
static bool good_path(struct slice p)
{
	bool begins = true;

	for (size_t i = 0; i < p.n; i++) {
		uint8_t c = p.p[i];
		bool word =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (begins ? !word : !word && c != '.' && c != '/')
			return false;
		begins = c == '/';
	}
	return p.n > 0 && p.n < CHECKPOINT_PATH_MAX && !begins;
}

int checkpoint_sum_next(struct slice text, size_t *at, char last[CHECKPOINT_PATH_MAX],
			uint8_t sum[HASH_SIZE], struct err *err)
{
	struct slice rest = slice_sub(text, *at, text.n);
	const uint8_t *end = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;

	if (!rest.n)
		return 0;
	struct slice line = SLICE(rest.p, end ? (size_t)(end - rest.p) : 0);
	struct slice path = slice_sub(line, 2 * HASH_SIZE + 2, line.n);

	if (line.n <= 2 * HASH_SIZE + 2 || !lower_hex((const char *)line.p, 2 * HASH_SIZE) ||
	    hex_get((const char *)line.p, 2 * HASH_SIZE, sum, HASH_SIZE) < 0 ||
	    memcmp(line.p + 2 * HASH_SIZE, "  ", 2) != 0 || !good_path(path))
		return err_set(err, -EBADMSG, "SHA256SUMS: byte %zu: not a sum and a path", *at);
	if (last[0] && slice_cmp(path, slice_str(last)) <= 0)
		return err_set(err, -EBADMSG,
			       "SHA256SUMS: byte %zu: its path does not follow the one before it",
			       *at);
	memcpy(last, path.p, path.n);
	last[path.n] = '\0';
	*at += line.n + 1;
	return 1;
}
