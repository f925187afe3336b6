#include "core/checkpoint/pins.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/checkpoint/sums.h"

#define PATH_SIZE     4096
#define AUTO_PREFIX   "auto-"
#define GONE          ".gone" /* of a checkpoint on its way out */
#define PART          ".part" /* of one that is being built */
#define NEW_PREFIX    ".new-" /* of a pin's file until it is whole */

struct pin_entry { /* one pin, and what it holds */
	struct pin is;
	uint64_t made_ns;            /* the oldest is built first */
	bool saving;                 /* its file is not there yet */
	bool damaged;                /* its file cannot be read: nobody knows its height */
	bool held;                   /* the heights below are pinned in the store */
	uint64_t heights[SHARD_MAX]; /* 0: the main block witnesses nothing of that shard */
};

struct book { /* one network */
	struct network *network;
	struct pin_entry *pins[PINS_MAX]; /* by name */
	size_t pin_count;
	struct checkpoint_entry
		*checkpoints[PINS_MAX + 1]; /* by height; complete, or being built */
	size_t checkpoint_count;
};

struct pins {
	struct store *store;
	struct events *events;
	struct retention retention;
	pthread_t thread;
	bool started;
	struct build_progress progress;
	atomic_bool build_stop;

	pthread_mutex_t pins_lock; /* guards the rest; below it only that of the store's pins */
	pthread_cond_t wake, idle;
	bool stopping, look;
	bool on_hold;
	unsigned writing;                     /* who writes below the store at this moment */
	struct book *books[NETWORKS_MAX + 1]; /* by the network's index */
	struct book *building;                /* of what is built, */
	char building_name[CHECKPOINT_NAME_SIZE];
	uint64_t building_height;
	void (*on_change)(void *arg, struct network *n);
	void *on_change_arg;
	unsigned calls; /* of the listener, under way */
};

const char *const pin_state_names[] = {
	[PIN_WAITING] = "waiting",
	[PIN_BUILDING] = "building",
	[PIN_COMPLETE] = "complete",
	[PIN_FAILED] = "failed",
};

/* ---- telling ---- */

static void changed(struct pins *p, struct network *n)
{
	pthread_mutex_lock(&p->pins_lock);
	void (*call)(void *arg, struct network *network) = p->on_change;
	void *arg = p->on_change_arg;

	p->calls += call != NULL;
	pthread_mutex_unlock(&p->pins_lock);
	if (!call)
		return;
	call(arg, n);
	LOCKED(&p->pins_lock);
	if (--p->calls == 0)
		pthread_cond_broadcast(&p->idle);
}

void pins_on_change(struct pins *p, void (*call)(void *arg, struct network *n), void *arg)
{
	LOCKED(&p->pins_lock);
	p->on_change = call;
	p->on_change_arg = arg;
	while (!call && p->calls)
		pthread_cond_wait(&p->idle, &p->pins_lock);
}

/* ---- names and files ---- */

int checkpoints_path(const struct store *s, const struct network *n, char *out, size_t size,
		     struct err *err)
{
	return store_network_path(s, n, "checkpoints", out, size, err);
}

static int pins_path(const struct store *s, const struct network *n, char out[PATH_SIZE],
		     struct err *err)
{
	return store_network_path(s, n, "pins", out, PATH_SIZE, err);
}

static bool is_word_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_pin_name(const char *name)
{
	size_t size = strlen(name);

	if (size == 0 || size > PIN_NAME_MAX || !is_word_byte(name[0]))
		return false;
	for (size_t i = 1; i < size; i++)
		if (!is_word_byte(name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

static bool is_automatic(const struct pin_entry *r)
{
	return strncmp(r->is.name, AUTO_PREFIX, strlen(AUTO_PREFIX)) == 0;
}

/* A folder of the network, made where it is not there. */
static int open_folder(const char *path, bool make, struct err *err)
{
	if (make && mkdir(path, 0777) < 0 && errno != EEXIST)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

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

static int save(struct pins *p, struct network *n, const char *name, uint64_t height,
		struct err *err)
{
	char path[PATH_SIZE], text[32];
	int rc = pins_path(p->store, n, path, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int folder = open_folder(path, true, err);
	if (folder < 0)
		return folder;
	/* The folder itself has to survive as well. */
	AUTO(base_closep) int above = openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (above >= 0)
		(void)!fsync(above);
	snprintf(text, sizeof text, "%" PRIu64 "\n", height);
	return write_file(folder, name, text, err);
}

static int unsave(struct pins *p, struct network *n, const char *name, struct err *err)
{
	char path[PATH_SIZE];
	int rc = pins_path(p->store, n, path, err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int folder = open_folder(path, false, err);
	if (folder < 0)
		return folder;
	if ((unlinkat(folder, name, 0) < 0 && errno != ENOENT) || fsync(folder) < 0)
		return err_set(err, -errno, "the pin %s cannot be removed: %s", name,
			       strerror(errno));
	return 0;
}

static void remove_tree(int parent, const char *name)
{
	int rc = files_remove_tree(parent, name);

	if (rc < 0)
		trace_warn("checkpoint", "a folder cannot be removed, the next start tries again",
			   "name=%s errno=%d", name, -rc);
}

/* Takes a checkpoint's folder out of sight at once, and then away. */
static void remove_checkpoint(int folder, const char *name)
{
	char gone[CHECKPOINT_NAME_SIZE + sizeof GONE], part[CHECKPOINT_NAME_SIZE + sizeof PART];

	snprintf(gone, sizeof gone, "%s" GONE, name);
	snprintf(part, sizeof part, "%s" PART, name);
	remove_tree(folder, gone);
	checkpoint_sums_remove(folder, name);
	if (renameat(folder, name, folder, gone) == 0)
		remove_tree(folder, gone);
	remove_tree(folder, part);
}

/* ---- heights ---- */

/* What the main block at `height` witnesses of the other shards. 1: all of it is replayed and can
 * still be read; 0: not so. */
static int heights_of(struct network *n, const struct view *v, uint64_t height,
		      uint64_t out[SHARD_MAX], uint64_t *time, uint8_t hash[HASH_SIZE])
{
	struct block_row row;

	memset(out, 0, SHARD_MAX * sizeof *out);
	if (height == 0 || height > v->shards[0].replayed || height < v->shards[0].kept_from)
		return 0;
	int rc = network_block(n, 0, height, &row);

	if (rc <= 0)
		return rc;
	out[0] = height;
	*time = row.time;
	memcpy(hash, row.hash, HASH_SIZE);
	for (uint32_t i = 0; i < row.witness_count; i++) {
		uint32_t s = row.witnesses[i].shard;
		uint64_t at = row.witnesses[i].height;

		if (s == 0 || s >= v->shard_count || at == 0)
			continue;
		if (at > v->shards[s].replayed || at < v->shards[s].kept_from)
			return 0;
		out[s] = at;
	}
	return 1;
}

static void unhold(struct network *n, struct pin_entry *r)
{
	for (uint32_t s = 0; r->held && s < SHARD_MAX; s++)
		if (r->heights[s])
			network_unpin(n, s, r->heights[s]);
	r->held = false;
}

/* Holds what the pin needs against the collector, and names its checkpoint. */
static int hold(struct network *n, struct pin_entry *r, uint64_t *time, struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	uint8_t hash[HASH_SIZE];
	int rc = heights_of(n, v, r->is.height, r->heights, time, hash);

	if (rc == 0)
		return err_set(err, -ENODATA,
			       "the state of main height %" PRIu64
			       " cannot be read: it is not replayed in all shards, or not kept "
			       "any more",
			       r->is.height);
	for (uint32_t s = 0; rc >= 0 && s < SHARD_MAX; s++) {
		if (!r->heights[s])
			continue;
		rc = network_pin(n, s, r->heights[s]);
		if (rc == 0)
			continue;
		while (s-- > 0)
			if (r->heights[s])
				network_unpin(n, s, r->heights[s]);
		break;
	}
	if (rc == -ESTALE)
		return err_set(err, -ENODATA,
			       "the state of main height %" PRIu64 " is not kept "
			       "any more",
			       r->is.height);
	if (rc < 0)
		return err_set(err, rc, "main height %" PRIu64 ": %s", r->is.height, strerror(-rc));
	r->held = true;
	checkpoint_name(r->is.height, hash, r->is.checkpoint);
	return 0;
}

/* ---- books ---- */

/* Index of the pin of that name, or where it belongs. */
static size_t place_of(const struct book *b, const char *name, bool *found)
{
	size_t low = 0, high = b->pin_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(b->pins[middle]->is.name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*found = low < b->pin_count && strcmp(b->pins[low]->is.name, name) == 0;
	return low;
}

static void put_pin(struct book *b, size_t at, struct pin_entry *r)
{
	memmove(b->pins + at + 1, b->pins + at, (b->pin_count - at) * sizeof *b->pins);
	b->pins[at] = r;
	b->pin_count++;
}

static struct pin_entry *take_pin(struct book *b, size_t at)
{
	struct pin_entry *r = b->pins[at];

	b->pin_count--;
	memmove(b->pins + at, b->pins + at + 1, (b->pin_count - at) * sizeof *b->pins);
	return r;
}

static size_t checkpoint_place(const struct book *b, uint64_t height)
{
	size_t low = 0, high = b->checkpoint_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (b->checkpoints[middle]->height < height)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct checkpoint_entry *checkpoint_at(const struct book *b, uint64_t height)
{
	size_t at = checkpoint_place(b, height);

	return at < b->checkpoint_count && b->checkpoints[at]->height == height ? b->checkpoints[at]
										: NULL;
}

static bool put_checkpoint(struct book *b, struct checkpoint_entry *e)
{
	size_t at = checkpoint_place(b, e->height);

	if (b->checkpoint_count == ARRAY_LEN(b->checkpoints))
		return false;
	memmove(b->checkpoints + at + 1, b->checkpoints + at,
		(b->checkpoint_count - at) * sizeof *b->checkpoints);
	b->checkpoints[at] = e;
	b->checkpoint_count++;
	return true;
}

static struct checkpoint_entry *take_checkpoint(struct book *b, uint64_t height)
{
	struct checkpoint_entry *e = checkpoint_at(b, height);
	size_t at = checkpoint_place(b, height);

	if (!e)
		return NULL;
	b->checkpoint_count--;
	memmove(b->checkpoints + at, b->checkpoints + at + 1,
		(b->checkpoint_count - at) * sizeof *b->checkpoints);
	return e;
}

static void book_freep(struct book **at)
{
	struct book *b = TAKE(*at);

	if (!b)
		return;
	for (size_t i = 0; i < b->pin_count; i++) {
		unhold(b->network, b->pins[i]);
		free(b->pins[i]);
	}
	for (size_t i = 0; i < b->checkpoint_count; i++)
		free(b->checkpoints[i]);
	free(b);
}

/* ---- what lies on the disk ---- */

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
	size_t at = place_of(b, name, &found);

	put_pin(b, at, TAKE(r));
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

static int load_pins(struct pins *p, struct book *b, struct err *err)
{
	char path[PATH_SIZE];
	int rc = pins_path(p->store, b->network, path, err);

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
		else if (is_pin_name(e->d_name))
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

		trace_error("checkpoint", "info is damaged; chainfs fsck --repair builds it again",
			    "network=%s name=%s error=\"%s\"", network_name(b->network), name,
			    err.text);
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
	if (!checkpoint_at(b, e->height) && put_checkpoint(b, e))
		e = NULL;
}

static int load_checkpoints(struct pins *p, struct book *b, struct err *err)
{
	char path[PATH_SIZE];
	int rc = checkpoints_path(p->store, b->network, path, sizeof path, err);

	if (rc < 0)
		return rc;
	AUTO(files_dir_closep) DIR *d = NULL;

	rc = list_open(path, &d, err);
	if (rc <= 0)
		return rc;
	int folder = dirfd(d);

	rc = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (ends_with(e->d_name, GONE) || ends_with(e->d_name, PART) ||
		    strcmp(e->d_name, CHECKPOINT_MEND_FOLDER) == 0)
			remove_tree(folder, e->d_name);
		else if (e->d_name[0] != '.')
			load_checkpoint(b, folder, e->d_name);
	}
	return 0;
}

static void fail(struct pin_entry *r, const struct err *err, int rc)
{
	r->is.state = PIN_FAILED;
	snprintf(r->is.failure, sizeof r->is.failure, "%.*s", (int)sizeof r->is.failure - 1,
		 err_text(err, rc));
}

/* What is complete needs no state any more; the rest is held, or has failed. */
static void settle(struct book *b, struct pin_entry *r)
{
	struct checkpoint_entry *e = r->damaged ? NULL : checkpoint_at(b, r->is.height);
	struct err err = ERR_INIT;
	uint64_t time;

	if (r->damaged)
		return;
	if (e && e->complete) {
		memcpy(r->is.checkpoint, e->name, sizeof r->is.checkpoint);
		r->is.state = PIN_COMPLETE;
		return;
	}
	int rc = hold(b->network, r, &time, &err);

	if (rc < 0)
		fail(r, &err, rc);
}

static int book_load(struct pins *p, struct network *n, struct book **out, struct err *err)
{
	AUTO(book_freep) struct book *b = calloc(1, sizeof *b);

	if (!b)
		return err_set(err, -ENOMEM, "no memory for pins");
	b->network = n;
	int rc = load_pins(p, b, err);

	if (rc == 0)
		rc = load_checkpoints(p, b, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < b->pin_count; i++)
		settle(b, b->pins[i]);
	*out = TAKE(b);
	return 0;
}

/* Its book; read from the disk when the network is asked for the first time. */
static struct book *book_of(struct pins *p, struct network *n, struct err *err)
{
	unsigned i = network_index(n);

	if (i >= ARRAY_LEN(p->books)) {
		err_set(err, -EINVAL, "too many networks");
		return NULL;
	}
	pthread_mutex_lock(&p->pins_lock);
	struct book *b = p->books[i];

	pthread_mutex_unlock(&p->pins_lock);
	if (b)
		return b;
	AUTO(book_freep) struct book *fresh = NULL;

	if (book_load(p, n, &fresh, err) < 0)
		return NULL;
	LOCKED(&p->pins_lock);
	if (!p->books[i])
		p->books[i] = TAKE(fresh);
	return p->books[i];
}

/* ---- adding and removing ---- */

/* -EAGAIN while they are held: nothing may be written. */
static int begin_writing(struct pins *p, struct err *err)
{
	LOCKED(&p->pins_lock);
	if (p->on_hold)
		return err_set(err, -EAGAIN, "the store is frozen");
	p->writing++;
	return 0;
}

static void end_writing(struct pins *p)
{
	LOCKED(&p->pins_lock);
	p->writing--;
	pthread_cond_broadcast(&p->idle);
}

static int enter_pin(struct pins *p, struct book *b, struct pin_entry *r, struct err *err)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = place_of(b, r->is.name, &found);

	if (found)
		return err_set(err, -EEXIST, "there is a pin %s already, of height %" PRIu64,
			       r->is.name, b->pins[at]->is.height);
	if (b->pin_count == PINS_MAX)
		return err_set(err, -EMSGSIZE, "there are %d pins; remove some first", PINS_MAX);
	put_pin(b, at, r);
	return 0;
}

static struct pin_entry *leave_pin(struct pins *p, struct book *b, const char *name)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = place_of(b, name, &found);

	return found ? take_pin(b, at) : NULL;
}

static void entered(struct pins *p, struct book *b, struct pin_entry *r)
{
	LOCKED(&p->pins_lock);
	struct checkpoint_entry *e = checkpoint_at(b, r->is.height);

	r->saving = false;
	if (e && e->complete)
		r->is.state = PIN_COMPLETE;
	else if (p->building == b && p->building_height == r->is.height)
		r->is.state = PIN_BUILDING;
	if (r->is.state == PIN_COMPLETE)
		unhold(b->network, r);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

static int add(struct pins *p, struct book *b, const char *name, uint64_t height, struct err *err)
{
	AUTO(base_freep) struct pin_entry *r = calloc(1, sizeof *r), *owned = NULL;
	uint64_t time;

	if (!r)
		return err_set(err, -ENOMEM, "no memory for a pin");
	snprintf(r->is.name, sizeof r->is.name, "%s", name);
	r->is.height = height;
	r->saving = true;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->made_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	int rc = hold(b->network, r, &time, err);

	if (rc < 0)
		return rc;
	rc = enter_pin(p, b, r, err);
	if (rc < 0) {
		unhold(b->network, r);
		return rc;
	}
	struct pin_entry *entry = TAKE(r);

	rc = save(p, b->network, name, height, err);
	if (rc < 0) {
		owned = leave_pin(p, b, name);
		unhold(b->network, owned);
		return rc;
	}
	entered(p, b, entry);
	changed(p, b->network);
	return 0;
}

int pins_add(struct pins *p, struct network *n, const char *name, uint64_t height, struct err *err)
{
	if (!is_pin_name(name) || strncmp(name, AUTO_PREFIX, strlen(AUTO_PREFIX)) == 0)
		return err_set(
			err, -EINVAL,
			"%.80s: a pin's name is letters, digits, dots, dashes and _, at "
			"most %d, begins with one of the first two and not with " AUTO_PREFIX,
			name, PIN_NAME_MAX);
	int rc = height == UINT64_MAX ? checkpoint_newest(n, &height, err) : 0;

	if (rc < 0)
		return rc;
	struct book *b = book_of(p, n, err);

	rc = b ? begin_writing(p, err) : -EIO;

	if (rc < 0)
		return rc;
	rc = add(p, b, name, height, err);
	end_writing(p);
	return rc;
}

static bool is_wanted(const struct book *b, uint64_t height)
{
	for (size_t i = 0; i < b->pin_count; i++)
		if (b->pins[i]->is.height == height)
			return true;
	return false;
}

/* Stops the build that nobody wants any more. */
static void removed(struct pins *p, const struct book *b)
{
	LOCKED(&p->pins_lock);
	if (p->building == b && !is_wanted(b, p->building_height))
		atomic_store(&p->build_stop, true);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

static bool is_there(struct pins *p, const struct book *b, const char *name)
{
	bool found;

	LOCKED(&p->pins_lock);
	size_t at = place_of(b, name, &found);

	return found && !b->pins[at]->saving;
}

static int drop(struct pins *p, struct book *b, const char *name, struct err *err)
{
	if (!is_there(p, b, name))
		return err_set(err, -ENOENT, "network %s has no pin %.80s",
			       network_name(b->network), name);
	int rc = unsave(p, b->network, name, err);

	if (rc < 0)
		return rc;
	AUTO(base_freep) struct pin_entry *r = leave_pin(p, b, name);

	if (!r)
		return err_set(err, -ENOENT, "network %s has no pin %.80s any more",
			       network_name(b->network), name);
	unhold(b->network, r);
	removed(p, b);
	changed(p, b->network);
	return 0;
}

int pins_remove(struct pins *p, struct network *n, const char *name, struct err *err)
{
	struct book *b = book_of(p, n, err);

	if (!b)
		return -EIO;
	if (p->retention.every && strncmp(name, AUTO_PREFIX, strlen(AUTO_PREFIX)) == 0 &&
	    is_there(p, b, name))
		return err_set(err, -EPERM,
			       "%s is one of retention's: checkpoints.every and checkpoints.keep "
			       "say how long it stays",
			       name);
	int rc = begin_writing(p, err);

	if (rc < 0)
		return rc;
	rc = drop(p, b, name, err);
	end_writing(p);
	return rc;
}

/* ---- looking ---- */

static void copy_pin(struct pins *p, const struct book *b, const struct pin_entry *r,
		     struct pin *out)
{
	*out = r->is;
	if (r->is.state == PIN_BUILDING && p->building == b) {
		out->records = atomic_load(&p->progress.records);
		out->records_total = atomic_load(&p->progress.records_total);
	}
}

int pins_next(struct pins *p, struct network *n, const char *after, struct pin *out)
{
	struct book *b = book_of(p, n, NULL);
	bool found;

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = place_of(b, after, &found);

	for (at += found; at < b->pin_count; at++)
		if (!b->pins[at]->saving) {
			copy_pin(p, b, b->pins[at], out);
			return 1;
		}
	return 0;
}

int pins_get(struct pins *p, struct network *n, const char *name, struct pin *out)
{
	struct book *b = book_of(p, n, NULL);
	bool found;

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = place_of(b, name, &found);

	if (!found || b->pins[at]->saving)
		return 0;
	copy_pin(p, b, b->pins[at], out);
	return 1;
}

static void copy_entry(struct pins *p, const struct book *b, const struct checkpoint_entry *e,
		       struct checkpoint_entry *out)
{
	*out = *e;
	if (!e->complete && p->building == b) {
		out->records = atomic_load(&p->progress.records);
		out->records_total = atomic_load(&p->progress.records_total);
	}
}

int checkpoints_next(struct pins *p, struct network *n, uint64_t height_after,
		     struct checkpoint_entry *out)
{
	struct book *b = book_of(p, n, NULL);

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	size_t at = checkpoint_place(b, height_after);

	if (at < b->checkpoint_count && b->checkpoints[at]->height == height_after)
		at++;
	if (at == b->checkpoint_count)
		return 0;
	copy_entry(p, b, b->checkpoints[at], out);
	return 1;
}

int checkpoints_get(struct pins *p, struct network *n, uint64_t height,
		    struct checkpoint_entry *out)
{
	struct book *b = book_of(p, n, NULL);

	if (!b)
		return -EIO;
	LOCKED(&p->pins_lock);
	const struct checkpoint_entry *e = checkpoint_at(b, height);

	if (!e)
		return 0;
	copy_entry(p, b, e, out);
	return 1;
}

/* ---- retention ---- */

/* An automatic pin that is not among those that stay; the one with the lowest height. What is
 * complete goes when enough newer ones are complete too, so that a failing build costs nothing that
 * is there. */
static bool next_surplus(struct pins *p, const struct book *b, char out[PIN_NAME_MAX + 1])
{
	LOCKED(&p->pins_lock);
	for (size_t i = 0; i < b->pin_count; i++) {
		const struct pin_entry *r = b->pins[i];
		uint64_t newer = 0, complete = 0;

		if (!is_automatic(r) || r->saving || r->damaged)
			continue;
		for (size_t k = 0; k < b->pin_count; k++) {
			const struct pin_entry *other = b->pins[k];
			bool counts = is_automatic(other) && !other->damaged &&
				      other->is.height > r->is.height;

			newer += counts;
			complete += counts && other->is.state == PIN_COMPLETE;
		}
		if ((r->is.state == PIN_COMPLETE ? complete : newer) < p->retention.keep)
			continue;
		memcpy(out, r->is.name, PIN_NAME_MAX + 1);
		return true;
	}
	return false;
}

static void auto_name(uint64_t height, char out[PIN_NAME_MAX + 1])
{
	snprintf(out, PIN_NAME_MAX + 1, AUTO_PREFIX "%010" PRIu64, height);
}

static void keep_newest(struct pins *p, struct book *b)
{
	AUTO(view_putp) struct view *v = network_view_get(b->network);
	uint64_t every = p->retention.every, height = v->shards[0].replayed / every * every;
	char name[PIN_NAME_MAX + 1];
	struct err err = ERR_INIT;

	auto_name(height, name);
	if (height > 0 && !is_there(p, b, name)) {
		height = 0;
		if (checkpoint_newest(b->network, &height, &err) == 0)
			height = height / every * every;
		for (uint64_t i = 0; i < p->retention.keep && height >= every; i++) {
			auto_name(height, name);
			if (!is_there(p, b, name) && add(p, b, name, height, &err) < 0)
				break;
			height -= every;
		}
	}
	while (next_surplus(p, b, name))
		if (drop(p, b, name, &err) < 0) {
			trace_warn("checkpoint", "an automatic pin cannot be let go",
				   "network=%s pin=%s error=\"%s\"", network_name(b->network), name,
				   err.text);
			break;
		}
}

/* ---- the thread ---- */

/* A complete checkpoint that no pin wants leaves the book. */
static bool take_unwanted(struct pins *p, struct book *b, char name[CHECKPOINT_NAME_SIZE])
{
	AUTO(base_freep) struct checkpoint_entry *gone = NULL;

	LOCKED(&p->pins_lock);
	for (size_t i = 0; i < b->pin_count; i++)
		if (b->pins[i]->damaged)
			return false;
	for (size_t i = 0; i < b->checkpoint_count && !gone; i++)
		if (b->checkpoints[i]->complete && !is_wanted(b, b->checkpoints[i]->height))
			gone = take_checkpoint(b, b->checkpoints[i]->height);
	if (gone)
		memcpy(name, gone->name, CHECKPOINT_NAME_SIZE);
	return gone != NULL;
}

static void sweep(struct pins *p, struct book *b)
{
	char path[PATH_SIZE], name[CHECKPOINT_NAME_SIZE];

	while (take_unwanted(p, b, name)) {
		changed(p, b->network);
		AUTO(base_closep) int folder = -1;
		if (checkpoints_path(p->store, b->network, path, sizeof path, NULL) == 0)
			folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folder >= 0)
			remove_checkpoint(folder, name);
		if (p->events)
			events_post(p->events, network_name(b->network), "checkpoint",
				    "state=removed name=%s", name);
	}
}

/* The oldest pin whose checkpoint is missing; its pins are being built from now on. */
static bool choose(struct pins *p)
{
	struct pin_entry *oldest = NULL;
	struct book *of = NULL;

	LOCKED(&p->pins_lock);
	if (p->stopping || p->on_hold)
		return false;
	for (size_t n = 0; n < ARRAY_LEN(p->books); n++)
		for (size_t i = 0; p->books[n] && i < p->books[n]->pin_count; i++) {
			struct pin_entry *r = p->books[n]->pins[i];

			if (r->is.state != PIN_WAITING || r->saving ||
			    (oldest && r->made_ns >= oldest->made_ns))
				continue;
			oldest = r;
			of = p->books[n];
		}
	if (!oldest)
		return false;
	p->building = of;
	p->building_height = oldest->is.height;
	memcpy(p->building_name, oldest->is.checkpoint, sizeof p->building_name);
	for (size_t i = 0; i < of->pin_count; i++)
		if (of->pins[i]->is.height == oldest->is.height && !of->pins[i]->saving &&
		    of->pins[i]->is.state != PIN_FAILED)
			of->pins[i]->is.state = PIN_BUILDING;
	atomic_store(&p->build_stop, false);
	atomic_store(&p->progress.records, 0);
	atomic_store(&p->progress.records_total, 0);
	atomic_store(&p->progress.bytes, 0);
	return true;
}

/* What is being built stands among the checkpoints. NULL: no memory, and it is built unseen. */
static void show_building(struct pins *p)
{
	AUTO(base_freep) struct checkpoint_entry *e = calloc(1, sizeof *e);
	struct block_row row;

	if (!e || network_block(p->building->network, 0, p->building_height, &row) != 1)
		return;
	checkpoint_name(row.height, row.hash, e->name);
	e->height = row.height;
	e->time = row.time;
	memcpy(e->prefix, row.hash, sizeof e->prefix);
	LOCKED(&p->pins_lock);
	if (!checkpoint_at(p->building, e->height) && put_checkpoint(p->building, e))
		e = NULL;
}

/* What the build came to is written into its pins. */
static void note_built(struct pins *p, int rc, const char *name, const struct err *err)
{
	AUTO(base_freep) struct checkpoint_entry *gone = NULL;
	struct book *b = p->building;

	LOCKED(&p->pins_lock);
	struct checkpoint_entry *e = checkpoint_at(b, p->building_height);

	if (e && rc == 0) {
		e->complete = true;
		e->records = e->records_total = atomic_load(&p->progress.records_total);
		snprintf(e->name, sizeof e->name, "%s", name);
	} else {
		gone = take_checkpoint(b, p->building_height);
	}
	for (size_t i = 0; i < b->pin_count; i++) {
		struct pin_entry *r = b->pins[i];

		if (r->is.height != p->building_height || r->is.state != PIN_BUILDING)
			continue;
		if (rc == 0) {
			r->is.state = PIN_COMPLETE;
			snprintf(r->is.checkpoint, sizeof r->is.checkpoint, "%s", name);
			unhold(b->network, r);
		} else if (rc == -EINTR) {
			r->is.state = PIN_WAITING;
		} else {
			fail(r, err, rc);
		}
	}
	p->building = NULL;
}

static void tell_built(struct pins *p, struct network *n, const char *name, int rc,
		       const struct err *err)
{
	uint64_t records = atomic_load(&p->progress.records_total),
		 bytes = atomic_load(&p->progress.bytes);

	if (rc == 0 && p->events)
		events_post(p->events, network_name(n), "checkpoint",
			    "state=complete name=%s records=%" PRIu64 " bytes=%" PRIu64, name,
			    records, bytes);
	if (rc == 0 && p->events) /* in a daemon; a verb tells the person itself */
		trace_info("checkpoint", "complete", "network=%s name=%s bytes=%" PRIu64,
			   network_name(n), name, bytes);
	if (rc == 0 || rc == -EINTR)
		return;
	if (p->events)
		events_post(p->events, network_name(n), "checkpoint",
			    "state=failed name=%s error=\"%s\"", name, err_text(err, rc));
	trace_error("checkpoint", "a checkpoint cannot be built; the next start tries again",
		    "network=%s name=%s error=\"%s\"", network_name(n), name, err_text(err, rc));
}

static void build_one(struct pins *p)
{
	struct network *n = p->building->network;
	char parent[PATH_SIZE], name[CHECKPOINT_NAME_SIZE], wanted[CHECKPOINT_NAME_SIZE];
	struct err err = ERR_INIT;

	memcpy(wanted, p->building_name, sizeof wanted);
	memcpy(name, wanted, sizeof name);
	show_building(p);
	changed(p, n);
	if (p->events)
		events_post(p->events, network_name(n), "checkpoint", "state=building name=%s",
			    wanted);
	int rc = checkpoints_path(p->store, n, parent, sizeof parent, &err);
	AUTO(base_closep) int folder = rc < 0 ? rc : open_folder(parent, true, &err);

	rc = folder < 0 ? folder : 0;
	if (rc == 0)
		rc = checkpoint_build(n, p->building_height, parent, &p->progress, &p->build_stop,
				      name, &err);
	if (rc == 0)
		rc = checkpoint_sums_make(folder, name, &err);
	note_built(p, rc, name, &err);
	if (rc < 0 && folder >= 0) {
		char part[CHECKPOINT_NAME_SIZE + sizeof PART];

		snprintf(part, sizeof part, "%s" PART, wanted);
		remove_tree(folder, part);
	}
	changed(p, n);
	tell_built(p, n, name, rc, &err);
}

/* Every network that is there by now has its book. */
static void for_each_book(struct pins *p, void (*call)(struct pins *p, struct book *b))
{
	for (size_t i = 0; i < store_network_count(p->store); i++) {
		struct err err = ERR_INIT;
		struct book *b = book_of(p, store_network_at(p->store, i), &err);

		if (b)
			call(p, b);
		else
			trace_error("checkpoint", "the pins of a network cannot be read",
				    "error=\"%s\"", err.text);
	}
}

/* False: stop. */
static bool wait_for_work(struct pins *p)
{
	LOCKED(&p->pins_lock);
	while (!p->stopping && (p->on_hold || !p->look))
		pthread_cond_wait(&p->wake, &p->pins_lock);
	p->look = false;
	if (!p->stopping)
		p->writing++;
	return !p->stopping;
}

static bool is_to_rest(struct pins *p)
{
	LOCKED(&p->pins_lock);
	return p->stopping || p->on_hold;
}

static void *run(void *arg)
{
	struct pins *p = arg;

	while (wait_for_work(p)) {
		do {
			if (p->retention.every)
				for_each_book(p, keep_newest);
			for_each_book(p, sweep);
			if (!choose(p))
				break;
			build_one(p);
		} while (!is_to_rest(p));
		end_writing(p);
	}
	return NULL;
}

/* ---- from outside ---- */

static void look_again(struct pins *p)
{
	LOCKED(&p->pins_lock);
	p->look = true;
	pthread_cond_signal(&p->wake);
}

void pins_published(struct pins *p)
{
	if (p->retention.every)
		look_again(p);
}

void pins_retry(struct pins *p)
{
	pthread_mutex_lock(&p->pins_lock);
	for (size_t n = 0; n < ARRAY_LEN(p->books); n++)
		for (size_t i = 0; p->books[n] && i < p->books[n]->pin_count; i++) {
			struct pin_entry *r = p->books[n]->pins[i];

			if (r->is.state != PIN_FAILED || r->damaged || !r->held)
				continue;
			r->is.state = PIN_WAITING;
			r->is.failure[0] = '\0';
		}
	pthread_mutex_unlock(&p->pins_lock);
	look_again(p);
}

void pins_hold(struct pins *p, bool on)
{
	LOCKED(&p->pins_lock);
	p->on_hold = on;
	if (on)
		atomic_store(&p->build_stop, true);
	else
		p->look = true;
	pthread_cond_broadcast(&p->wake);
	while (on && p->writing)
		pthread_cond_wait(&p->idle, &p->pins_lock);
}

/* A book is read when it is asked for: at the open, so that what is pinned is held from then on. */
static void touch(struct pins *p, struct book *b)
{
}

int pins_open(struct store *s, struct events *events, const struct retention *r, struct pins **out,
	      struct err *err)
{
	AUTO(pins_closep) struct pins *p = calloc(1, sizeof *p);

	if (!p)
		return err_set(err, -ENOMEM, "no memory for pins");
	p->store = s;
	p->events = events;
	if (r)
		p->retention = *r;
	if (p->retention.every && !p->retention.keep)
		p->retention.keep = 1;
	pthread_mutex_init(&p->pins_lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	pthread_cond_init(&p->idle, NULL);
	for_each_book(p, touch);
	p->look = true;
	int rc = r ? -pthread_create(&p->thread, NULL, run, p) : 0;

	if (rc < 0)
		return err_set(err, rc, "no thread for checkpoints: %s", strerror(-rc));
	p->started = r != NULL;
	*out = TAKE(p);
	return 0;
}

void pins_closep(struct pins **at)
{
	struct pins *p = TAKE(*at);

	if (!p)
		return;
	pthread_mutex_lock(&p->pins_lock);
	p->stopping = true;
	atomic_store(&p->build_stop, true);
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->pins_lock);
	if (p->started)
		pthread_join(p->thread, NULL);
	else
		for_each_book(p, sweep);
	for (size_t i = 0; i < ARRAY_LEN(p->books); i++)
		book_freep(&p->books[i]);
	pthread_cond_destroy(&p->wake);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->pins_lock);
	free(p);
}
