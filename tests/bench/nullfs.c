/* A null filesystem: a tree in memory behind the same session, transport and settings as the
 * product.
 *
 *     nullfs [-t TRANSPORT] FOLDER MOUNTPOINT     serves until it is unmounted, or SIGTERM
 *     nullfs -t TRANSPORT                         can it be had? Says why not
 *
 * Everything below FOLDER is read into a table before the mount: names, attributes, bytes (large
 * files are mapped). So what a request costs here is what the kernel and the transport cost, and
 * the difference to the product is what the product does behind them. INIT, OPEN and OPENDIR are
 * answered by the product's own handlers; lives of the cache and which folders are listed with
 * attributes are its, too. */
#define FUSE_USE_VERSION 314

#include <dirent.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/base.h"
#include "core/base/trace.h"
#include "fs/connection/mountpoint.h"
#include "fs/connection/ops.h"
#include "fs/connection/session.h"
#include "fs/connection/transport.h"
#include "fs/mount/plain.h"
#include "fs/tree/rows.h"

#define DOT         1
#define DOT_DOT     2
#define MAPPED_MIN  (1u << 20) /* files from here on are mapped */
#define LISTING_MAX (2u << 20) /* of one listing's reply */

struct inode { /* its inode number is its index + 1; children lie side by side, sorted */
	const char *name;
	uint32_t name_size, parent, first, count;
	struct stat st;
	const char *bytes;
};

static struct {
	struct serving serving; /* what the product's handlers look for; the first member */
	struct inode *nodes;
	size_t count, cap;
	uint32_t *names; /* hash table of indices + 1 */
	size_t names_mask;
	sem_t woken;
} null;

static void die(const char *what)
{
	fprintf(stderr, "nullfs: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- the table ---- */

static uint32_t node_new(const char *name, uint32_t parent)
{
	if (null.count == null.cap) {
		null.cap = MAX(2 * null.cap, 1024);
		null.nodes = realloc(null.nodes, null.cap * sizeof *null.nodes);
		if (!null.nodes)
			die("memory");
	}
	struct inode *n = &null.nodes[null.count];

	*n = (struct inode){ .name = strdup(name),
			     .name_size = (uint32_t)strlen(name),
			     .parent = parent };
	if (!n->name)
		die("memory");
	return (uint32_t)null.count++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_child(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static void load_bytes(struct inode *n, int folder, const char *name)
{
	size_t size = (size_t)n->st.st_size;
	AUTO(base_closep) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die(name);
	if (size >= MAPPED_MIN) {
		n->bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
		if (n->bytes == MAP_FAILED)
			die(name);
		return;
	}
	char *bytes = malloc(MAX(size, 1));

	if (!bytes || pread(fd, bytes, size, 0) != (ssize_t)size)
		die(name);
	n->bytes = bytes;
}

/* Level by level, so that children lie side by side. */
static void load_folder(uint32_t at, const char *path)
{
	struct dirent **list;
	AUTO(base_closep) int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int count = folder < 0 ? -1 : scandirat(folder, ".", &list, is_child, by_name);

	if (count < 0)
		die(path);
	null.nodes[at].first = (uint32_t)null.count;
	null.nodes[at].count = (uint32_t)count;
	for (int i = 0; i < count; i++) {
		uint32_t child = node_new(list[i]->d_name, at);
		struct inode *n = &null.nodes[child];
		struct stat st;

		if (fstatat(folder, n->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			die(n->name);
		bool is_folder = S_ISDIR(st.st_mode);

		n->st = (struct stat){
			.st_ino = child + 1,
			.st_mode = is_folder ? S_IFDIR | 0555 : S_IFREG | 0444,
			.st_nlink = 1,
			.st_uid = getuid(),
			.st_gid = getgid(),
			.st_size = is_folder ? 0 : st.st_size,
			.st_blksize = 4096,
			.st_blocks = is_folder ? 0 : (st.st_size + 511) / 512,
			.st_atim = st.st_mtim,
			.st_mtim = st.st_mtim,
			.st_ctim = st.st_mtim,
		};
		if (!is_folder)
			load_bytes(n, folder, n->name);
		free(list[i]);
	}
	free(list);
	for (uint32_t i = 0; i < (uint32_t)count; i++) {
		uint32_t child = null.nodes[at].first + i;
		char below[PATH_MAX];

		if (!S_ISDIR(null.nodes[child].st.st_mode))
			continue;
		if (snprintf(below, sizeof below, "%s/%s", path, null.nodes[child].name) >=
		    (int)sizeof below)
			exit(2);
		load_folder(child, below);
	}
}

static size_t hash_of(uint32_t parent, const char *name)
{
	uint64_t h = parent * UINT64_C(0x9e3779b97f4a7c15) + 1;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 29);
}

static void index_names(void)
{
	size_t size = 1024;

	while (size < 2 * null.count)
		size *= 2;
	null.names_mask = size - 1;
	null.names = calloc(size, sizeof *null.names);
	if (!null.names)
		die("memory");
	for (uint32_t i = 1; i < null.count; i++) {
		size_t at = hash_of(null.nodes[i].parent, null.nodes[i].name) & null.names_mask;

		while (null.names[at])
			at = (at + 1) & null.names_mask;
		null.names[at] = i + 1;
	}
}

static const struct inode *find(uint32_t parent, const char *name)
{
	size_t at = hash_of(parent, name) & null.names_mask;

	for (; null.names[at]; at = (at + 1) & null.names_mask) {
		const struct inode *n = &null.nodes[null.names[at] - 1];

		if (n->parent == parent && strcmp(n->name, name) == 0)
			return n;
	}
	return NULL;
}

static const struct inode *node_at(fuse_ino_t ino)
{
	return &null.nodes[ino - 1];
}

/* ---- requests ---- */

static struct fuse_entry_param entry_of(const struct inode *n)
{
	return (struct fuse_entry_param){
		.ino = n->st.st_ino,
		.attr = n->st,
		.attr_timeout = KNOWN_FOR_EVER,
		.entry_timeout = KNOWN_FOR_EVER,
	};
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	const struct inode *n = find((uint32_t)(parent - 1), name);
	struct fuse_entry_param e = { .entry_timeout = KNOWN_FOR_EVER };

	if (n)
		e = entry_of(n);
	fuse_reply_entry(req, &e);
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	fuse_reply_attr(req, &node_at(ino)->st, KNOWN_FOR_EVER);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	const struct inode *n = node_at(ino);
	size_t left = offset < n->st.st_size ? (size_t)(n->st.st_size - offset) : 0;

	fuse_reply_buf(req, n->bytes + offset, MIN(size, left));
}

/* A folder of names alone is what the product answers above so many. */
static size_t add(fuse_req_t req, char *at, size_t room, bool plus, bool full, const char *name,
		  const struct stat *st, off_t offset)
{
	struct fuse_entry_param e = { .attr = { .st_ino = st->st_ino, .st_mode = st->st_mode } };

	if (!plus)
		return fuse_add_direntry(req, at, room, name, &e.attr, offset);
	if (full) {
		e.ino = st->st_ino;
		e.attr = *st;
		e.attr_timeout = e.entry_timeout = KNOWN_FOR_EVER;
	}
	return fuse_add_direntry_plus(req, at, room, name, &e, offset);
}

static void answer_listing(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, bool plus)
{
	static _Thread_local char bytes[LISTING_MAX];
	const struct inode *folder = node_at(ino);
	bool full = folder->count <= LARGE_FOLDER;
	size_t used = 0, n;

	size = MIN(size, sizeof bytes);
	for (; offset < DOT_DOT + (off_t)folder->count; offset++, used += n) {
		const struct inode *child =
			offset < DOT_DOT ? folder
					 : &null.nodes[folder->first + (uint64_t)offset - DOT_DOT];
		const char *name = offset == 0 ? "." : offset == DOT ? ".." : child->name;

		n = add(req, bytes + used, size - used, plus, full && offset >= DOT_DOT, name,
			&child->st, offset + 1);
		if (n > size - used)
			break;
	}
	fuse_reply_buf(req, bytes, used);
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, false);
}

static void on_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			   struct fuse_file_info *fi)
{
	answer_listing(req, ino, size, offset, true);
}

static void on_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
		     struct fuse_file_info *fi)
{
	if (offset < 0 || offset >= node_at(ino)->st.st_size)
		fuse_reply_err(req, ENXIO);
	else
		fuse_reply_lseek(req, whence == SEEK_DATA ? offset : node_at(ino)->st.st_size);
}

static void on_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

static void on_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	fuse_reply_err(req, EOPNOTSUPP);
}

/* ---- the process ---- */

static void on_signal(int number)
{
	sem_post(&null.woken);
}

static void on_ended(void *arg)
{
	sem_post(&null.woken);
}

static void must(int rc, const struct err *err)
{
	if (rc < 0) {
		fprintf(stderr, "nullfs: %s\n", err_text(err, rc));
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct fuse_lowlevel_ops ops = {
		.init = serving_ops.init,
		.open = serving_ops.open,
		.opendir = serving_ops.opendir,
		.lookup = on_lookup,
		.forget = on_forget,
		.forget_multi = on_forget_multi,
		.getattr = on_getattr,
		.read = on_read,
		.readdir = on_readdir,
		.readdirplus = on_readdirplus,
		.lseek = on_lseek,
		.getxattr = on_getxattr,
		.listxattr = on_listxattr,
	};
	AUTO(session_closep) struct session *session = NULL;
	char full[PATH_MAX];
	struct err err = ERR_INIT;

	const struct transport_ops *transport = &transport_classic;
	bool named = argc > 2 && strcmp(argv[1], "-t") == 0;

	if (named)
		must(transport_pick(argv[2], &transport, &err), &err);
	if (named && argc == 3)
		return 0;
	argv += named ? 2 : 0;
	argc -= named ? 2 : 0;
	if (argc != 3) {
		fprintf(stderr, "usage: nullfs [-t TRANSPORT] FOLDER MOUNTPOINT\n");
		return 1;
	}
	pthread_mutex_init(&null.serving.init_lock, NULL);
	pthread_cond_init(&null.serving.init_done, NULL);
	sem_init(&null.woken, 0, 0);
	node_new("", 0);
	null.nodes[0].st = (struct stat){ .st_ino = 1,
					  .st_mode = S_IFDIR | 0555,
					  .st_nlink = 1,
					  .st_uid = getuid(),
					  .st_gid = getgid(),
					  .st_blksize = 4096 };
	load_folder(0, argv[1]);
	index_names();
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	must(mountpoint_full(argv[2], full, &err), &err);
	struct session_options options = { .mountpoint = full,
					   .source = argv[1],
					   .subtype = "chainfs-null",
					   .read_only = true,
					   .transport = transport };

	must(session_open(&ops, &null.serving, &options, &session, &err), &err);
	must(session_start(session, 0, on_ended, NULL, &err), &err);
	pthread_mutex_lock(&null.serving.init_lock);
	while (!null.serving.inited)
		pthread_cond_wait(&null.serving.init_done, &null.serving.init_lock);
	pthread_mutex_unlock(&null.serving.init_lock);
	mountpoint_read_ahead(full, READ_AHEAD_KIB);
	while (sem_wait(&null.woken) < 0 && errno == EINTR)
		;
	session_end(session, 200);
	return 0;
}
