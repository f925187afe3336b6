#include "core/checkpoint/pin_book.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/pin_file.h"
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

/* The file is whole and on the disk, or not there. made: its modification time; NULL is that of
 * writing. */
static int write_file(int folder, const char *name, uint64_t height, const struct timespec *made,
		      struct err *err)
{
	char fresh[PIN_NAME_MAX + sizeof NEW_PREFIX];
	uint8_t text[PIN_FILE_SIZE];
	const struct timespec now = { .tv_nsec = UTIME_NOW };
	const struct timespec times[2] = { now, made ? *made : now };

	snprintf(fresh, sizeof fresh, NEW_PREFIX "%s", name);
	pin_file_text(name, height, text);
	errno = 0; /* a write that is cut short sets none */
	AUTO(base_closep)
	int fd = openat(folder, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (fd < 0 || write(fd, text, sizeof text) != (ssize_t)sizeof text ||
	    futimens(fd, times) < 0 || fsync(fd) < 0 || renameat(folder, fresh, folder, name) < 0 ||
	    fsync(folder) < 0) {
		int rc = errno ? -errno : -EIO;

		unlinkat(folder, fresh, 0);
		return err_set(err, rc, "the pin %s cannot be written: %s", name, strerror(-rc));
	}
	return 0;
}

int pin_save(const struct store *s, const struct network *n, const char *name, uint64_t height,
	     struct err *err)
{
	char path[PINS_PATH_SIZE];
	int rc = pins_path(s, n, path, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int folder = pin_folder_open(path, true, err);
	if (folder < 0)
		return folder;
	return write_file(folder, name, height, NULL, err);
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

/* Whoever meets it tells it once; `mend`: what a person can do. */
static void tell_damaged(struct network *n, const char *name, int fd, const char *sentence,
			 const char *mend)
{
	char file[PIN_NAME_MAX + sizeof "pins/"];
	struct stat st = { .st_ino = 0 };

	/* One that is made again is another inode; one that was mended was changed since. */
	(void)!fstat(fd, &st);
	snprintf(file, sizeof file, "pins/%s", name);
	network_damaged_file(n, file,
			     (uint64_t)st.st_ino ^ (uint64_t)st.st_ctim.tv_sec << 30 ^
				     (uint64_t)st.st_ctim.tv_nsec,
			     sentence, mend);
}

/* It told a height. Who may write leaves none of these behind. */
static void write_anew(struct network *n, int folder, const char *name, uint64_t height,
		       enum pin_file is, const struct stat *st, struct err *err)
{
	AUTO(base_closep) int fd = -1;
	int rc = 0;

	if (is == PIN_FILE_OLD) {
		rc = write_file(folder, name, height, &st->st_mtim, err);
	} else if (is == PIN_FILE_HURT) {
		fd = pin_file_open(folder, name, true, err);
		rc = fd < 0 ? fd : pin_file_mend(fd, name, height, err);
	}
	if (rc < 0)
		trace_warn("checkpoint",
			   "the file of a pin stays as it is, the next start tries again",
			   "network=%s pin=%s error=\"%s\"", network_name(n), name,
			   err_text(err, rc));
}

/* A pin that is passed over would lose its checkpoint: it is an error instead. */
static int load_pin(const struct store *s, struct book *b, int folder, const char *name,
		    struct err *err)
{
	AUTO(base_freep) struct pin_entry *r = calloc(1, sizeof *r);
	struct err why = ERR_INIT;
	struct stat st;
	bool found, writes = store_writable(s, NULL) == 0;

	if (!r)
		return err_set(err, -ENOMEM, "no memory for a pin");
	if (b->pin_count == PINS_MAX)
		return err_set(err, -EMSGSIZE, "network %s has more than %d pins",
			       network_name(b->network), PINS_MAX);
	if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_set(err, -errno, "the pin %s: %s", name, strerror(errno));
	memcpy(r->is.name, name, MIN(strlen(name), (size_t)PIN_NAME_MAX));
	r->made_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	AUTO(base_closep) int fd = pin_file_open(folder, name, false, &why);
	int rc = fd < 0 ? fd : pin_file_read(fd, name, &r->is.height, &why);

	if (rc == PIN_FILE_HURT)
		tell_damaged(b->network, name, fd, why.text,
			     writes ? "it is written anew of what is whole"
				    : "chainfs fsck --repair writes it anew of what is whole");
	if (rc >= 0 && writes)
		write_anew(b->network, folder, name, r->is.height, (enum pin_file)rc, &st, &why);
	if (rc < 0) {
		r->damaged = true;
		r->is.height = 0;
		r->is.state = PIN_FAILED;
		snprintf(r->is.failure, sizeof r->is.failure,
			 "its file does not tell a height; pin it under another name, then remove "
			 "this one");
		tell_damaged(b->network, name, fd, err_text(&why, rc),
			     "pin its height under another name, then remove this one; until then "
			     "no checkpoint is taken away");
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
	const struct dirent *e;
	int folder = dirfd(d);

	while ((rc = files_next(d, &e)) == 1) {
		if (strncmp(e->d_name, NEW_PREFIX, strlen(NEW_PREFIX)) == 0)
			unlinkat(folder, e->d_name, 0);
		else if (pin_name_is_good(e->d_name))
			rc = load_pin(s, b, folder, e->d_name, err);
		if (rc < 0)
			return rc;
	}
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
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
	int rc = fstatat(at, "SHA256SUMS", &st, AT_SYMLINK_NOFOLLOW) < 0
			 ? -errno
			 : files_read_plain(at, "info", CHECKPOINT_INFO_MAX, &text, &err);

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
	const struct dirent *e;
	int folder = dirfd(d);

	while ((rc = files_next(d, &e)) == 1) {
		if (ends_with(e->d_name, GONE) || ends_with(e->d_name, PART_SUFFIX) ||
		    strcmp(e->d_name, CHECKPOINT_MEND_FOLDER) == 0)
			checkpoint_sweep(folder, e->d_name);
		else if (e->d_name[0] != '.')
			load_checkpoint(b, folder, e->d_name);
	}
	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}
