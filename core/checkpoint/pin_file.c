#include "core/checkpoint/pin_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/hash.h"

#define DIGITS    20
#define SUM_SIZE  8
#define LINE_SIZE (DIGITS + 1 + 2 * SUM_SIZE + 1)

static void line_of(const char *name, uint64_t height, char out[LINE_SIZE + 1])
{
	char digits[DIGITS + 1], hex[2 * SUM_SIZE + 1] = "";
	uint8_t sum[HASH_SIZE];
	struct blake3 h;

	snprintf(digits, sizeof digits, "%020" PRIu64, height);
	blake3_init(&h);
	blake3_add(&h, slice_str("chainfs pin 1\n"));
	blake3_add(&h, slice_str(name));
	blake3_add(&h, slice_str("\n"));
	blake3_add(&h, slice_str(digits));
	blake3_end(&h, sum, SUM_SIZE);
	hex_put(hex, sum, SUM_SIZE);
	snprintf(out, LINE_SIZE + 1, "%s %.16s\n", digits, hex);
}

void pin_file_text(const char *name, uint64_t height, uint8_t out[PIN_FILE_SIZE])
{
	char line[LINE_SIZE + 1];

	line_of(name, height, line);
	memset(out, ' ', PIN_FILE_SIZE);
	for (uint8_t *half = out; half < out + PIN_FILE_SIZE; half += PIN_HALF_SIZE) {
		memcpy(half, line, LINE_SIZE);
		half[PIN_HALF_SIZE - 1] = '\n';
	}
}

/* ---- reading ---- */

int pin_file_open(int folder, const char *name, bool mend, struct err *err)
{
	AUTO(base_closep)
	int fd = openat(folder, name,
			(mend ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno != ELOOP && errno != EISDIR)
		return err_set(err, -errno, "the pin %s: %s", name, strerror(errno));
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return err_set(err, -EBADMSG, "the pin %s is no plain file", name);
	int out = fd;

	fd = -1;
	return out;
}

/* How much there is of a half; what cannot be read is not there. */
static size_t read_half(int fd, off_t at, uint8_t out[PIN_HALF_SIZE])
{
	ssize_t n;

	do
		n = pread(fd, out, PIN_HALF_SIZE, at);
	while (n < 0 && errno == EINTR);
	return n < 0 ? 0 : (size_t)n;
}

static bool line_tells(const char *name, const uint8_t *half, size_t n, uint64_t *height)
{
	char line[LINE_SIZE + 1];

	if (n < LINE_SIZE || dec_get((const char *)half, DIGITS, UINT64_MAX - 1, height) < 0)
		return false;
	line_of(name, *height, line);
	return memcmp(line, half, LINE_SIZE) == 0;
}

/* Digits and a newline, as they were written once: none of ours begins so when it is cut. */
static bool old_tells(const uint8_t *text, size_t n, uint64_t *height)
{
	return n >= 2 && n <= DIGITS + 1 && text[n - 1] == '\n' && text[0] != '0' &&
	       dec_get((const char *)text, n - 1, UINT64_MAX - 1, height) == 0;
}

int pin_file_read(int fd, const char *name, uint64_t *height, struct err *err)
{
	uint8_t file[PIN_FILE_SIZE] = "", text[PIN_FILE_SIZE];
	uint64_t heights[2] = { 0, 0 };
	struct stat st;
	size_t n[2];
	bool tells[2];

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	for (int i = 0; i < 2; i++) {
		uint8_t *half = file + i * PIN_HALF_SIZE;

		n[i] = read_half(fd, i * PIN_HALF_SIZE, half);
		tells[i] = line_tells(name, half, n[i], &heights[i]);
	}
	if (!tells[0] && !tells[1] && (uint64_t)st.st_size == n[0] && old_tells(file, n[0], height))
		return PIN_FILE_OLD;
	*height = heights[tells[0] ? 0 : 1];
	if ((!tells[0] && !tells[1]) || *height == 0)
		return err_set(err, -EBADMSG, "neither half tells a height");
	if (tells[0] && tells[1] && heights[0] != heights[1])
		return err_set(err, -EBADMSG, "its halves tell two heights");
	pin_file_text(name, *height, text);
	if (st.st_size == PIN_FILE_SIZE && n[0] + n[1] == PIN_FILE_SIZE &&
	    memcmp(file, text, PIN_FILE_SIZE) == 0)
		return PIN_FILE_WHOLE;
	(void)err_set(err, -EBADMSG, "%s",
		      !tells[0]   ? "its first half fails its sum, the other is whole"
		      : !tells[1] ? "its second half fails its sum, the other is whole"
				  : "something beside its lines is not what was written");
	return PIN_FILE_HURT;
}

/* ---- mending ---- */

static int write_half(int fd, const char *name, off_t at, const uint8_t *half, struct err *err)
{
	uint8_t is[PIN_HALF_SIZE];

	if (read_half(fd, at, is) == PIN_HALF_SIZE && memcmp(is, half, sizeof is) == 0)
		return 0;
	errno = 0; /* a write that is cut short sets none */
	if (pwrite(fd, half, PIN_HALF_SIZE, at) != PIN_HALF_SIZE || fsync(fd) < 0) {
		int rc = errno ? -errno : -EIO;

		return err_set(err, rc, "the pin %s cannot be written anew: %s", name,
			       strerror(-rc));
	}
	return 0;
}

int pin_file_mend(int fd, const char *name, uint64_t height, struct err *err)
{
	uint8_t text[PIN_FILE_SIZE], first[PIN_HALF_SIZE];
	uint64_t told;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_set(err, -errno, "the pin %s: %s", name, strerror(errno));
	const struct timespec times[2] = { st.st_atim, st.st_mtim };

	pin_file_text(name, height, text);
	/* The one that tells nothing goes first. */
	bool second_first = line_tells(name, first, read_half(fd, 0, first), &told);
	int rc = 0;

	for (int i = 0; i < 2 && rc == 0; i++) {
		int half = (i == 0) == second_first;

		rc = write_half(fd, name, half * PIN_HALF_SIZE, text + half * PIN_HALF_SIZE, err);
	}
	if (rc == 0 &&
	    (ftruncate(fd, PIN_FILE_SIZE) < 0 || futimens(fd, times) < 0 || fsync(fd) < 0))
		rc = err_set(err, -errno, "the pin %s cannot be written anew: %s", name,
			     strerror(errno));
	return rc;
}
