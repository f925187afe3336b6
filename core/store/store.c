#include "core/store/store.h"

#include "core/base/files.h"
#include "core/base/trace.h"
#include "core/store/inside.h"
#include "core/store/lock.h"
#include "core/store/room.h"
#include "core/store/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE          4096
#define CACHE_SIZE_DEFAULT (256u << 20)
#define FORMAT_FILE        "chainfs-store"
#define FORMAT_WORDS       "chainfs store "
#define NEW_SUFFIX         ".new" /* a network being made: ".NAME.new", no network's name */

struct store {
	char                *path;
	int                  lock;
	struct network_place place;
	struct damage_listener on_damage;
	char                *networks_folder;

	pthread_mutex_t networks_lock; /* guards the list; a leaf. Readers of the mount walk it */
	struct network *networks[NETWORKS_MAX]; /* ascending names; none leaves before the store */
	size_t          network_count;

	bool mend, damaged_too;
	struct {
		char       name[NETWORK_NAME_MAX + 1];
		struct err why;
	} *damaged;
	size_t damaged_count;
};

/* ---- small things about paths ---- */

static int path_of(char out[PATH_SIZE], const char *folder, const char *name, struct err *err)
{
	int n = snprintf(out, PATH_SIZE, "%s/%s", folder, name);

	if (n < 0 || n >= PATH_SIZE)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	return 0;
}

static int sync_folder(const char *path, struct err *err)
{
	AUTO(base_closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? files_error(err, path) : 0;
}

/* The entry of a new folder is in the one above. Best effort: that one need not be ours to open. */
static void sync_above(const char *path)
{
	char above[PATH_SIZE];

	if (path_of(above, path, "..", NULL) == 0 && sync_folder(above, NULL) < 0)
		trace_warn("store", "the folder above a new store cannot be synced", "store=%s",
			   path);
}

static bool name_is_good(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > NETWORK_NAME_MAX || name[0] == '.' || name[0] == '_' || name[0] == '-')
		return false;
	if (strcmp(name, "status") == 0 || strcmp(name, "ctl") == 0)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* ---- the format file ---- */

int store_format(const char *path, uint64_t *format, struct err *err)
{
	char file[PATH_SIZE], text[128] = "";
	AUTO(base_closep) int fd = -1;
	int rc = path_of(file, path, FORMAT_FILE, err);

	if (rc < 0)
		return rc;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : files_error(err, file);
	ssize_t n = read(fd, text, sizeof text - 1);

	if (n < 0)
		return files_error(err, file);
	size_t words = strlen(FORMAT_WORDS), end = strcspn(text, "\n");

	if (strncmp(text, FORMAT_WORDS, words) != 0 ||
	    dec_get(text + words, end - words, UINT32_MAX, format) < 0)
		return err_set(err, -EPROTONOSUPPORT, "%s does not say \"" FORMAT_WORDS "N\"",
			       file);
	return 1;
}

/* *out: which, when it says one. */
static int read_format(const char *path, unsigned *out, struct err *err)
{
	uint64_t format;
	int rc = store_format(path, &format, err);

	if (rc > 0 && (format < STORE_FORMAT_OLDEST || format > STORE_FORMAT))
		return err_set(err, -EPROTONOSUPPORT,
			       "%s has format %" PRIu64 "; this program reads formats %d to %d",
			       path, format, STORE_FORMAT_OLDEST, STORE_FORMAT);
	if (rc > 0)
		*out = (unsigned)format;
	return rc;
}

static int write_format(const char *path, struct err *err)
{
	char fresh[PATH_SIZE], file[PATH_SIZE], text[64];
	AUTO(base_closep) int fd = -1;
	int n = snprintf(text, sizeof text, FORMAT_WORDS "%d\n", STORE_FORMAT);
	int rc = path_of(fresh, path, FORMAT_FILE NEW_SUFFIX, err);

	if (rc == 0)
		rc = path_of(file, path, FORMAT_FILE, err);
	if (rc < 0)
		return rc;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)n) != n || fsync(fd) < 0 || rename(fresh, file) < 0)
		return files_error(err, file);
	return sync_folder(path, err);
}

/* 1: what lies at `path` is a store, or may become one; 0: there is nothing. A folder with anything
 * in it that a store being made does not have is somebody else's. */
static int look(const char *path, struct err *err)
{
	static const char *const ours[] = { ".", "..", "lock", FORMAT_FILE NEW_SUFFIX };
	AUTO(files_dir_closep) DIR *dir = opendir(path);
	const struct dirent *entry;
	char foreign[64] = "";

	if (!dir)
		return errno == ENOENT ? 0 : files_error(err, path);
	while ((entry = readdir(dir))) {
		bool known = false;

		if (strcmp(entry->d_name, FORMAT_FILE) == 0)
			return 1;
		for (size_t i = 0; i < ARRAY_LEN(ours); i++)
			known |= strcmp(entry->d_name, ours[i]) == 0;
		if (!known)
			snprintf(foreign, sizeof foreign, "%.60s", entry->d_name);
	}
	if (foreign[0])
		return err_set(err, -ENOTEMPTY, "%s is not empty and not a store (it has %s)", path,
			       foreign);
	return 1;
}

/* ---- room on the disk ---- */

int store_reserve_release(struct store *s, struct err *err)
{
	return room_reserve_release(s->path, err);
}

int store_space(const struct store *s, struct err *err)
{
	uint64_t left = room_free(s->path);

	if (left < 2ull * STORE_RESERVE_SIZE)
		return err_set(err, -ENOSPC, "%s: %" PRIu64 " bytes are free, %u have to be",
			       s->path, left, 2 * STORE_RESERVE_SIZE);
	return 0;
}

int store_writable(const struct store *s, struct err *err)
{
	if (s->place.full)
		return err_set(err, -ENOSPC,
			       "%s was opened for reading alone, because the disk was full",
			       s->path);
	if (s->place.read_only)
		return err_set(err, -EROFS, "%s is on a file system that is read-only", s->path);
	return store_space(s, err);
}

static uint64_t folder_size(const char *path, bool top)
{
	AUTO(files_dir_closep) DIR *dir = opendir(path);
	const struct dirent *entry;
	uint64_t bytes = 0;

	while (dir && (entry = readdir(dir))) {
		char child[PATH_SIZE];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    (top && strcmp(entry->d_name, "reserve") == 0) ||
		    path_of(child, path, entry->d_name, NULL) < 0 || lstat(child, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			bytes += folder_size(child, false);
		else if (S_ISREG(st.st_mode))
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

uint64_t store_size(const struct store *s)
{
	return folder_size(s->path, true);
}

/* ---- networks ---- */

int store_network_path(const struct store *s, const struct network *n, const char *part, char *out,
		       size_t size, struct err *err)
{
	int got = snprintf(out, size, "%s/%s/%s", s->networks_folder, network_name(n), part);

	return got < 0 || (size_t)got >= size
		       ? err_set(err, -ENAMETOOLONG, "%s: the path is too long", s->path)
		       : 0;
}

size_t store_network_count(const struct store *s)
{
	LOCKED((pthread_mutex_t *)&s->networks_lock);
	return s->network_count;
}

struct network *store_network_at(const struct store *s, size_t i)
{
	LOCKED((pthread_mutex_t *)&s->networks_lock);
	return i < s->network_count ? s->networks[i] : NULL;
}

struct network *store_network_find(const struct store *s, const char *name)
{
	LOCKED((pthread_mutex_t *)&s->networks_lock);
	for (size_t i = 0; i < s->network_count; i++)
		if (strcmp(network_name(s->networks[i]), name) == 0)
			return s->networks[i];
	return NULL;
}

static int add_network(struct store *s, const char *name, struct network **out, struct err *err)
{
	size_t at = 0;

	if (store_network_count(s) == NETWORKS_MAX)
		return err_set(err, -ENOSPC, "a store holds %d networks at most", NETWORKS_MAX);
	int rc = network_open(&s->place, name, out, err);

	if (rc < 0)
		return rc;
	LOCKED(&s->networks_lock);
	while (at < s->network_count && strcmp(network_name(s->networks[at]), name) < 0)
		at++;
	memmove(s->networks + at + 1, s->networks + at,
		(s->network_count - at) * sizeof(struct network *));
	s->networks[at] = *out;
	s->network_count++;
	return 0;
}

/* What damage makes of opening one. */
static bool is_damage(int rc)
{
	return rc == -EBADMSG || rc == -EUCLEAN || rc == -EIO || rc == -ENOENT;
}

static int note_damaged(struct store *s, const char *name, const struct err *why)
{
	void *list = realloc(s->damaged, (s->damaged_count + 1) * sizeof *s->damaged);

	if (!list)
		return -ENOMEM;
	s->damaged = list;
	snprintf(s->damaged[s->damaged_count].name, sizeof s->damaged->name, "%.*s",
		 NETWORK_NAME_MAX, name);
	s->damaged[s->damaged_count++].why = *why;
	return 0;
}

const char *store_damaged(const struct store *s, size_t i, const struct err **why)
{
	if (i >= s->damaged_count)
		return NULL;
	*why = &s->damaged[i].why;
	return s->damaged[i].name;
}

static int remove_tree(const char *path, struct err *err)
{
	int rc = files_remove_tree(AT_FDCWD, path);

	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

static int open_networks(struct store *s, struct err *err)
{
	AUTO(files_dir_closep) DIR *dir = opendir(s->networks_folder);
	const struct dirent *entry;
	int rc = 0;

	if (!dir)
		return files_error(err, s->networks_folder);
	while (rc == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		size_t n = strlen(name), suffix = strlen(NEW_SUFFIX);
		struct network *network;

		if (name_is_good(name)) {
			struct err why = ERR_INIT;

			rc = add_network(s, name, &network, &why);
			if (is_damage(rc) && s->damaged_too)
				rc = note_damaged(s, name, &why);
			else if (is_damage(rc))
				err_set(err, rc, "%.400s; chainfs fsck --repair makes it anew",
					err_text(&why, rc));
			else if (rc < 0)
				err_set(err, rc, "%s", err_text(&why, rc));
		} else if (name[0] == '.' && n > suffix + 1 &&
			   strcmp(name + n - suffix, NEW_SUFFIX) == 0) {
			char path[PATH_SIZE];

			if (s->place.read_only)
				continue;
			trace_warn("store", "a network that was never made whole is removed",
				   "folder=%s", name);
			rc = path_of(path, s->networks_folder, name, err);
			if (rc == 0)
				rc = remove_tree(path, err);
		}
	}
	return rc;
}

/* Made beside its place and then moved there, so that a network is whole or not there. */
static int make_network(struct store *s, const char *name, const struct chain_ops *ops,
			struct slice params, const char *trust, struct err *err)
{
	char hidden[NETWORK_NAME_MAX + 16], from[PATH_SIZE], to[PATH_SIZE];
	unsigned index = 0;

	for (size_t i = 0; i < s->network_count; i++)
		index = MAX(index, network_index(s->networks[i]));
	snprintf(hidden, sizeof hidden, ".%s" NEW_SUFFIX, name);
	int rc = path_of(from, s->networks_folder, hidden, err);

	if (rc == 0)
		rc = path_of(to, s->networks_folder, name, err);
	if (rc == 0)
		rc = remove_tree(from, err);
	if (rc == 0)
		rc = network_create(&s->place, hidden, ops, params, trust, index + 1, err);
	if (rc == 0)
		rc = sync_folder(from, err);
	if (rc < 0)
		return rc;
	if (rename(from, to) < 0)
		return files_error(err, to);
	return sync_folder(s->networks_folder, err);
}

/* ---- a network made anew ---- */

static int beside(struct store *s, const char *name, char hidden[NETWORK_NAME_MAX + 16],
		  char path[PATH_SIZE], struct err *err)
{
	snprintf(hidden, NETWORK_NAME_MAX + 16, ".%s" NEW_SUFFIX, name);
	return path_of(path, s->networks_folder, hidden, err);
}

int store_network_beside(struct store *s, const char *name, const struct chain_ops *ops,
			 struct slice params, const char *trust, unsigned index,
			 struct network **out, struct err *err)
{
	char hidden[NETWORK_NAME_MAX + 16], path[PATH_SIZE];
	int rc = beside(s, name, hidden, path, err);

	if (rc == 0)
		rc = remove_tree(path, err);
	if (rc == 0)
		rc = network_create(&s->place, hidden, ops, params, trust, index, err);
	if (rc == 0)
		rc = network_open(&s->place, hidden, out, err);
	return rc;
}

static struct network *take_from_list(struct store *s, const char *name)
{
	LOCKED(&s->networks_lock);
	for (size_t i = 0; i < s->network_count; i++) {
		struct network *n = s->networks[i];

		if (strcmp(network_name(n), name) != 0)
			continue;
		s->network_count--;
		memmove(s->networks + i, s->networks + i + 1,
			(s->network_count - i) * sizeof(struct network *));
		return n;
	}
	return NULL;
}

void store_network_close(struct store *s, const char *name)
{
	struct network *n = take_from_list(s, name);

	/* Closing a database waits for what it is writing: not under the lock of the list. */
	network_closep(&n);
}

/* Files are linked, folders made: the same bytes at two places. */
static int link_tree(const char *from, const char *to, struct err *err)
{
	AUTO(files_dir_closep) DIR *dir = opendir(from);
	const struct dirent *entry;
	int rc = 0;

	if (!dir)
		return errno == ENOENT ? 0 : files_error(err, from);
	if (mkdir(to, 0700) < 0)
		return files_error(err, to);
	while (rc == 0 && (entry = readdir(dir))) {
		char source[PATH_SIZE], target[PATH_SIZE];
		struct stat st;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		rc = path_of(source, from, entry->d_name, err);
		if (rc == 0)
			rc = path_of(target, to, entry->d_name, err);
		if (rc < 0)
			return rc;
		if (lstat(source, &st) < 0)
			return files_error(err, source);
		if (S_ISDIR(st.st_mode))
			rc = link_tree(source, target, err);
		else if (link(source, target) < 0)
			rc = files_error(err, target);
	}
	return rc < 0 ? rc : sync_folder(to, err);
}

int store_network_replace(struct store *s, const char *name, struct network **out, struct err *err)
{
	static const char *const kept[] = { "pins", "checkpoints", "trust", "sources" };
	char hidden[NETWORK_NAME_MAX + 16], fresh[PATH_SIZE], place[PATH_SIZE];
	int rc = beside(s, name, hidden, fresh, err);

	if (rc == 0)
		rc = path_of(place, s->networks_folder, name, err);
	for (size_t i = 0; i < ARRAY_LEN(kept) && rc == 0; i++) {
		char from[PATH_SIZE], to[PATH_SIZE];

		rc = path_of(from, place, kept[i], err);
		if (rc == 0)
			rc = path_of(to, fresh, kept[i], err);
		if (rc == 0)
			rc = link_tree(from, to, err);
	}
	if (rc == 0)
		rc = sync_folder(fresh, err);
	if (rc < 0)
		return rc;
	/* At once: who opens the store finds the one or the other at its place, and takes what is
	 * beside it away. */
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, place, RENAME_EXCHANGE) < 0)
		return files_error(err, place);
	rc = sync_folder(s->networks_folder, err);
	if (rc == 0)
		rc = remove_tree(fresh, err);
	return rc < 0 ? rc : add_network(s, name, out, err);
}

bool store_read_only(const struct store *s)
{
	return s->place.read_only && !s->place.full;
}

bool store_opened_full(const struct store *s)
{
	return s->place.full;
}

int store_network_new(struct store *s, const char *name, const struct chain_ops *ops,
		      struct slice params, const char *trust, struct network **out, struct err *err)
{
	if (s->place.read_only)
		return store_writable(s, err);
	if (!name_is_good(name))
		return err_set(
			err, -EINVAL,
			"%.80s is no name for a network: letters a-z, digits, . _ -, at most %d, "
			"not status or ctl",
			name, NETWORK_NAME_MAX);
	if (store_network_find(s, name))
		return err_set(err, -EEXIST, "%s holds network %s already", s->path, name);
	int rc = make_network(s, name, ops, params, trust, err);

	if (rc == 0)
		rc = add_network(s, name, out, err);
	return rc < 0 ? err_note(err, rc, "network %s cannot be made", name) : 0;
}

/* ---- opening ---- */

const char *store_path(const struct store *s)
{
	return s->path;
}

void store_on_damage(struct store *s, store_damage_call *call, void *arg)
{
	s->on_damage = (struct damage_listener){ call, arg };
}

int store_holder(const char *path, char *out, size_t out_size)
{
	char lock[PATH_SIZE];
	int rc = path_of(lock, path, "lock", NULL);

	return rc < 0 ? rc : lock_holder(lock, out, out_size);
}

void store_closep(struct store **at)
{
	struct store *s = TAKE(*at);

	if (!s)
		return;
	for (size_t i = 0; i < s->network_count; i++)
		network_closep(&s->networks[i]);
	pthread_mutex_destroy(&s->networks_lock);
	db_cache_freep(&s->place.db_cache);
	lock_putp(&s->lock);
	free(s->damaged);
	free(s->networks_folder);
	free(s->path);
	free(s);
}

/* Is every network there one of ours, and is there one? */
static bool networks_vouch(const struct store *s)
{
	AUTO(files_dir_closep) DIR *dir = opendir(s->networks_folder);
	const struct dirent *entry;
	bool any = false;

	while (dir && (entry = readdir(dir))) {
		AUTO(buf_release) struct buf row = BUF_INIT(32u << 20);
		char path[PATH_SIZE];

		if (!name_is_good(entry->d_name))
			continue;
		if (path_of(path, s->networks_folder, entry->d_name, NULL) < 0 ||
		    identity_read(path, &row) != 1)
			return false;
		any = true;
	}
	return any;
}

/* It says nothing that is a format. One that names a later program's is believed: who reads that
 * as ours damages all the rest. */
static bool format_is_damaged(const struct store *s)
{
	uint64_t format;

	return store_format(s->path, &format, NULL) == -EPROTONOSUPPORT && networks_vouch(s);
}

/* Under the lock: what was damaged before it may have been mended by who held it. */
int store_format_mend(const struct store *s, struct err *err)
{
	if (s->place.read_only || !format_is_damaged(s))
		return 0;
	trace_warn("store", "the format file is written anew; every network is ours", "store=%s",
		   s->path);
	int rc = write_format(s->path, err);

	return rc < 0 ? rc : 1;
}

/* The folder, ours or nobody's yet, and its lock. */
static int take_folder(struct store *s, const struct store_options *options, struct err *err)
{
	char lock[PATH_SIZE];
	unsigned format;
	int rc = look(s->path, err);

	if (rc < 0)
		return rc;
	if (rc == 0 && !options->create)
		return err_set(err, -ENOENT, "there is no store at %s", s->path);
	if (rc == 0 && mkdir(s->path, 0700) == 0)
		sync_above(s->path);
	else if (rc == 0 && errno != EEXIST)
		return files_error(err, s->path);
	/* The format decides before anything in the folder is touched, the lock included. */
	struct err why = ERR_INIT;
	bool mendable = format_is_damaged(s), damaged = s->mend && mendable;

	rc = damaged ? 1 : read_format(s->path, &format, &why);
	if (rc < 0)
		return err_set(err, rc, "%s%s", err_text(&why, rc),
			       mendable ? "; chainfs fsck --repair writes it anew" : "");
	if (rc == 0 && !options->create)
		return err_set(err, -ENOENT, "%s is an empty folder, not a store", s->path);
	rc = path_of(lock, s->path, "lock", err);
	if (rc == 0)
		rc = lock_take(lock, options->holder, &s->lock, err);
	/* A snapshot of a disk, or a disk mounted so: nobody can write it, so nobody has to be kept
	 * out. */
	if (rc == -EROFS && !options->create) {
		s->place.read_only = true;
		rc = 0;
	} else if (rc == 0 && damaged) {
		rc = store_format_mend(s, err);
	}
	return rc < 0 ? err_note(err, rc, "store %s", s->path) : 0;
}

/* Opening writes, and the database's library may end the process where it cannot. So a full disk
 * gets the reserve back, and when that is not enough, the store is opened for reading alone. */
static int make_room(struct store *s, struct err *err)
{
	uint64_t needed = room_to_open(s->networks_folder);

	if (room_free(s->path) >= needed)
		return 0;
	int rc = room_reserve_release(s->path, err);

	if (rc < 0)
		return rc;
	uint64_t left = room_free(s->path);

	if (left >= needed) {
		trace_warn("store",
			   "the disk is full: the reserve is let go, so that the store opens",
			   "store=%s free=%" PRIu64, s->path, left);
		return 0;
	}
	s->place.read_only = s->place.full = true;
	trace_warn("store", "the disk is full: the store is opened for reading alone",
		   "store=%s free=%" PRIu64 " needed=%" PRIu64, s->path, left, needed);
	return 0;
}

/* Again, once the databases are open and the room that is left is known. */
static void keep_reserve(struct store *s)
{
	struct err err = ERR_INIT;

	if (s->place.read_only || room_reserve_keep(s->path, ROOM_TO_OPEN, &err) == 0)
		return;
	trace_warn("store", "the reserve cannot be kept; going on without", "store=%s why=\"%s\"",
		   s->path, err.text);
}

static int make_layout(struct store *s, const struct store_options *options, struct err *err)
{
	unsigned format = STORE_FORMAT;
	int rc = read_format(s->path, &format, err);

	if (rc < 0)
		return rc;
	bool made = rc == 1;

	s->place.keep_told = format < 3;
	s->place.keep_keys = format < 3;

	if (s->place.read_only)
		return 0;

	/* The format comes first: a folder with anything else and without it is not ours. */
	rc = made ? 0 : write_format(s->path, err);
	if (rc < 0)
		return rc;
	if (mkdir(s->networks_folder, 0700) == 0)
		rc = sync_folder(s->path, err);
	else if (errno != EEXIST)
		rc = files_error(err, s->networks_folder);
	if (rc < 0)
		return rc;
	return made ? make_room(s, err) : room_reserve_keep(s->path, 0, err);
}

int store_migrate(const char *path, struct err *err)
{
	AUTO(lock_putp) int lock = -1;
	char file[PATH_SIZE];
	unsigned format = STORE_FORMAT;
	int rc = path_of(file, path, "lock", err);

	if (rc == 0)
		rc = read_format(path, &format, err);
	if (rc == 0)
		return err_set(err, -ENOENT, "%s is not a store: it names no format", path);
	if (rc > 0)
		rc = lock_take(file, "migrate", &lock, err);
	/* Again, under the lock: somebody may have done it meanwhile. */
	if (rc == 0)
		rc = read_format(path, &format, err);
	if (rc < 0)
		return err_note(err, rc, "store %s", path);
	if (format == STORE_FORMAT)
		return 0;
	rc = write_format(path, err);
	return rc < 0 ? rc : 1;
}

static int open_parts(struct store *s, const char *path, const struct store_options *options,
		      struct err *err)
{
	char networks[PATH_SIZE];
	size_t cache_size = options->cache_size ? options->cache_size : CACHE_SIZE_DEFAULT;
	int rc = path_of(networks, path, "networks", err);

	if (rc < 0)
		return rc;
	s->path = strdup(path);
	s->networks_folder = strdup(networks);
	/* Rows are asked for far more often than bytes of blocks, which the kernel caches too. */
	s->place.db_cache = db_cache_new(cache_size - cache_size / 4);
	if (!s->path || !s->networks_folder || !s->place.db_cache)
		return err_set(err, -ENOMEM, "no memory for store %s", path);
	s->place.folder = s->networks_folder;
	s->damaged_too = options->damaged_too;
	s->mend = options->mend;
	s->place.frame_cache_size = cache_size / 4;
	s->place.state_rows_max =
		MIN(MAX(cache_size / 4, (size_t)STATE_ROWS_MIN), (size_t)STATE_ROWS_MAX);
	s->place.sync_off = options->sync_off;
	s->place.on_damage = &s->on_damage;
	s->place.kind = options->kind ? options->kind : chain_kind;
	rc = take_folder(s, options, err);
	if (rc == 0)
		rc = make_layout(s, options, err);
	if (rc == 0)
		rc = open_networks(s, err);
	if (rc == 0)
		keep_reserve(s);
	return rc;
}

int store_open(const char *path, const struct store_options *options, struct store **out,
	       struct err *err)
{
	AUTO(store_closep) struct store *s = calloc(1, sizeof *s);

	if (!s)
		return err_set(err, -ENOMEM, "no memory for store %s", path);
	s->lock = -1;
	pthread_mutex_init(&s->networks_lock, NULL);
	int rc = open_parts(s, path, options, err);

	if (rc < 0)
		return rc;
	*out = TAKE(s);
	return 0;
}
