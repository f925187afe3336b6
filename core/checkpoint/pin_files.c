#include "core/checkpoint/pin_book.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/sums.h"

#define GONE       ".gone" /* of a checkpoint on its way out */
#define NEW_PREFIX ".new-" /* of a pin's file until it is whole */

/* ---- names ---- */

int checkpoints_path(const struct store *s, const struct network *n, char *out, size_t size,
		     struct err *err)
{
	return store_network_path(s, n, "checkpoints", out, size, err);
}

static int pins_path(const struct store *s, const struct network *n, char out[PINS_PATH_SIZE],
		     struct err *err)
{
	return store_network_path(s, n, "pins", out, PINS_PATH_SIZE, err);
}

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool pin_name_is_good(const char *name)
{
	size_t size = strlen(name);

	if (size == 0 || size > PIN_NAME_MAX || !is_word_byte(name[0]))
		return false;
	for (size_t i = 1; i < size; i++)
		if (!is_word_byte(name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

/* A folder of the network, made where it is not there. */
int pin_folder_open(const char *path, bool make, struct err *err)
{
	bool made = make && mkdir(path, 0777) == 0;

	if (make && !made && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The folder itself has to survive as well. */
	AUTO(base_closep)
	int above = made && fd >= 0 ? openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (above >= 0 && fsync(above) < 0) {
		int rc = err_set(err, -errno, "%s: %s", path, strerror(errno));

		base_closep(&fd);
		return rc;
	}

	return fd < 0 ? err_set(err, -errno, "%s: %s", path, strerror(errno)) : fd;
}

/* The file is whole and on the disk, or not there. */
static int write_file(int folder, const char *name, const char *text, struct err *err)
{
	char fresh[PIN_NAME_MAX + sizeof NEW_PREFIX];

	snprintf(fresh, sizeof fresh, NEW_PREFIX "%s", name);
	errno = 0; /* a write that is cut short sets none */
	AUTO(base_closep)
	int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	size_t size = strlen(text);

	if (fd < 0 || write(fd, text, size) != (ssize_t)size || fsync(fd) < 0 ||
	    renameat(folder, fresh, folder, name) < 0 || fsync(folder) < 0) {
		int rc = errno ? -errno : -EIO;

		unlinkat(folder, fresh, 0);
		return err_set(err, rc, "the pin %s cannot be written: %s", name, strerror(-rc));
	}
	return 0;
}

int pin_save(const struct store *s, const struct network *n, const char *name, uint64_t height,
	     struct err *err)
{
	char path[PINS_PATH_SIZE], text[32];
	int rc = pins_path(s, n, path, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int folder = pin_folder_open(path, true, err);
	if (folder < 0)
		return folder;
	snprintf(text, sizeof text, "%" PRIu64 "\n", height);
	return write_file(folder, name, text, err);
}

int pin_unsave(const struct store *s, const struct network *n, const char *name, struct err *err)
{
	char path[PINS_PATH_SIZE];
	int rc = pins_path(s, n, path, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int folder = pin_folder_open(path, false, err);
	if (folder < 0)
		return folder;
	if ((unlinkat(folder, name, 0) < 0 && errno != ENOENT) || fsync(folder) < 0)
		return err_set(err, -errno, "the pin %s cannot be removed: %s", name,
			       strerror(errno));
	return 0;
}

void checkpoint_sweep(int parent, const char *name)
{
	int rc = files_remove_tree(parent, name);

	if (rc < 0)
		trace_warn("checkpoint", "a folder cannot be removed, the next start tries again",
			   "name=%s errno=%d", name, -rc);
}

/* Takes a checkpoint's folder out of sight at once, and then away. */
void checkpoint_remove(int folder, const char *name)
{
	char gone[CHECKPOINT_NAME_SIZE + sizeof GONE],
		part[CHECKPOINT_NAME_SIZE + sizeof PART_SUFFIX];

	checkpoint_sums_remove(folder, name);
	snprintf(gone, sizeof gone, "%s" GONE, name);
	snprintf(part, sizeof part, "%s" PART_SUFFIX, name);
	checkpoint_sweep(folder, gone);
	if (renameat(folder, name, folder, gone) == 0)
		checkpoint_sweep(folder, gone);
	checkpoint_sweep(folder, part);
}

/* ---- reading ---- */
/* A pin that is passed over would lose its checkpoint: it is an error instead. */
static int load_pin(struct book *b, int folder, const char *name, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(8192);
	AUTO(base_freep) struct pin_entry *r = calloc(1, sizeof *r);
	struct stat st;
	bool found;

	if (!r)
		return err_set(err, -ENOMEM, "no memory for a pin");
	if (b->pin_count == PINS_MAX)
		return err_set(err, -EMSGSIZE, "network %s has more than %d pins",
			       network_name(b->network), PINS_MAX);
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -errno, "the pin %s: %s", name, strerror(errno));
	memcpy(r->is.name, name, MIN(strlen(name), (size_t)PIN_NAME_MAX));
	r->made_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	int rc = files_read_plain(folder, name, 4096, &text, NULL);

	if (rc == 0 &&
	    (text.n < 2 || text.p[text.n - 1] != '\n' ||
	     dec_get((const char *)text.p, text.n - 1, UINT64_MAX - 1, &r->is.height) < 0 ||
	     r->is.height == 0))
		rc = -EBADMSG;
	if (rc < 0) {
		r->damaged = true;
		r->is.height = 0;
		r->is.state = PIN_FAILED;
		snprintf(r->is.failure, sizeof r->is.failure,
			 "its file does not tell a height; remove the pin and make it again");
		trace_warn("checkpoint",
			   "a pin cannot be read; until it is removed no checkpoint is taken away",
			   "network=%s pin=%s", network_name(b->network), name);
	}
	size_t at = book_place(b, name, &found);

	book_put(b, at, TAKE(r));
	return 0;
}

/* 1, 0 when there is no such folder. */
static int list_open(const char *path, DIR **out, struct err *err)
{
	*out = opendir(path);
	if (*out)
		return 1;
	return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path, strerror(errno));
}

int book_load_pins(const struct store *s, struct book *b, struct err *err)
{
	char path[PINS_PATH_SIZE];
	int rc = pins_path(s, b->network, path, err);

	if (rc < 0)
		return rc;
	AUTO(files_dir_closep) DIR *d = NULL;

	rc = list_open(path, &d, err);
	if (rc <= 0)
		return rc;
	int folder = dirfd(d);

	rc = 0;
	for (struct dirent *e; rc == 0 && (e = readdir(d));) {
		if (strncmp(e->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0)
			unlinkat(folder, e->d_name, 0);
		else if (pin_name_is_good(e->d_name))
			rc = load_pin(b, folder, e->d_name, err);
	}
	return rc;
}

static bool ends_with(const char *name, const char *end)
{
	size_t size = strlen(name), end_size = strlen(end);

	return size > end_size && strcmp(name + size - end_size, end) == 0;
}

static void load_checkpoint(struct book *b, int folder, const char *name)
{
	AUTO(base_freep) struct checkpoint_entry *e = calloc(1, sizeof *e);
	AUTO(base_freep) struct checkpoint_info *info = calloc(1, sizeof *info);
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_INFO_MAX);
	AUTO(base_closep)
	int at = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct err err = ERR_INIT;
	struct stat st;

	if (!e || !info || strlen(name) >= sizeof e->name ||
	    checkpoint_name_read(name, &e->height, e->prefix) < 0 || at < 0)
		return;
	int rc = fstatat(at, "SHA256SUMS", &st, AT_SYMLINK_NOFOLLOW) < 0 ?
			 -errno :
			 files_read_plain(at, "info", CHECKPOINT_INFO_MAX, &text, &err);

	if (rc == 0 && checkpoint_info_read(buf_slice(&text), info, &err) < 0) {
		/* Damaged is not absent: it stays listed, and who reads the file is told. */
		struct block_row row;

		AUTO(base_closep)
		int file = openat(at, "info", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		checkpoint_damaged(b->network, name, "info", file, err.text);
		info->shard_count = 1;
		if (network_block(b->network, 0, e->height, &row) == 1)
			info->shards[0].time = row.time;
	} else if (rc < 0) {
		trace_warn("checkpoint", "a folder is no checkpoint and is left alone",
			   "network=%s name=%s error=\"%s\"", network_name(b->network), name,
			   err.text);
		return;
	}
	memcpy(e->name, name, strlen(name) + 1);
	e->time = info->shards[0].time;
	e->complete = true;
	for (uint32_t i = 0; i < info->shard_count; i++)
		e->records += info->shards[i].legacy.records + info->shards[i].retained;
	e->records_total = e->records;
	if (!book_checkpoint(b, e->height) && book_checkpoint_put(b, e))
		e = NULL;
}

int book_load_checkpoints(const struct store *s, struct book *b, struct err *err)
{
	char path[PINS_PATH_SIZE];
	int rc = checkpoints_path(s, b->network, path, sizeof path, err);

	if (rc < 0)
		return rc;
	AUTO(files_dir_closep) DIR *d = NULL;

	rc = list_open(path, &d, err);
	if (rc <= 0)
		return rc;
	int folder = dirfd(d);

	rc = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (ends_with(e->d_name, GONE) || ends_with(e->d_name, PART_SUFFIX) ||
		    strcmp(e->d_name, CHECKPOINT_MEND_FOLDER) == 0)
			checkpoint_sweep(folder, e->d_name);
		else if (e->d_name[0] != '.')
			load_checkpoint(b, folder, e->d_name);
	}
	return 0;
}
