/* checkpoints/: folders of plain files on the disk (core/checkpoint/folder.h), shown as they are
 * but for their times: those are the main block's.
 *
 * A checkpoint that was taken away and made again may differ in what is this node's own. So a
 * making of it is part of the scope, told by the file that was written last; a node of an earlier
 * one is -ESTALE. */
#include "core/base/files.h"
#include "core/checkpoint/pins.h"
#include "core/checkpoint/sums.h"
#include "fs/tree/path.h"
#include "fs/tree/rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_SIZE      4096
#define FILE_PATH_SIZE 64
#define SHARD_SHIFT    8 /* of a key: the shard above the vshard */
#define KEY_MASK       ((UINT64_C(1) << NODE_KEY_BITS) - 1)
#define SUMS           "SHA256SUMS"

static struct pins *pins_of(void)
{
	return tree_env()->pins;
}

/* ---- the folder on the disk ---- */

static uint32_t making_of(const struct stat *st)
{
	uint64_t h = (uint64_t)st->st_ino * UINT64_C(0x9e3779b97f4a7c15);

	h ^= (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(h >> 32) | 1; /* 0 is one that is being built */
}

/* Its folder, opened, and which making of it this is. -ENOENT: it is not there. */
static int open_checkpoint(struct look *l, const struct checkpoint_entry *e, uint32_t *making)
{
	char path[PATH_SIZE];
	struct stat st;
	int rc = checkpoints_path(tree_env()->store, l->view->network, path, sizeof path, l->err);

	if (rc < 0)
		return rc;
	AUTO(base_closep) int parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return -errno;
	AUTO(base_closep)
	int fd = openat(parent, e->name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstatat(fd, SUMS, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	*making = making_of(&st);
	int folder = fd;

	fd = -1;
	return folder;
}

/* What the node's scope names, and its entry. -ESTALE: that making of it is gone. A scope without a
 * making is the one that is built, and goes on as what has become of it. */
static int entry_of(struct look *l, const struct scope *s, struct checkpoint_entry *out)
{
	if (!pins_of())
		return -ESTALE;
	int rc = checkpoints_get(pins_of(), l->view->network, s->height, out);

	if (rc < 0)
		return rc;
	if (rc == 0 || get_be32(out->prefix) != s->view_number || (s->shard && !out->complete))
		return err_set(l->err, -ESTALE, "the checkpoint of height %" PRIu64 " is gone",
			       s->height);
	return 0;
}

/* The folder of a complete one; -ENOENT while it is built. */
static int open_node(struct look *l, const struct node *n, struct checkpoint_entry *e)
{
	uint32_t making;
	int rc = entry_of(l, &n->scope, e);

	if (rc < 0 || !e->complete)
		return rc < 0 ? rc : -ENOENT;
	int folder = open_checkpoint(l, e, &making);

	if (folder == -ENOENT || (folder >= 0 && n->scope.shard && making != n->scope.shard)) {
		base_closep(&folder);
		return err_set(l->err, -ESTALE, "the checkpoint %s is gone", e->name);
	}
	return folder;
}

/* ---- which file a node is ---- */

static unsigned key_shard(const struct node *n)
{
	return (unsigned)(n->key >> SHARD_SHIFT);
}

/* The path of its row below the checkpoint's own folder, with its numbers; "" of that folder. */
static void path_of(const struct node *n, char out[FILE_PATH_SIZE])
{
	const char *at = tree[n->row].path + strlen(tree[ROW_CHECKPOINT].path);
	size_t used = 0;

	out[0] = '\0';
	for (at += *at == '/'; *at; at += strcspn(at, "}") + 1) {
		size_t plain = strcspn(at, "{");
		const char *name = at + plain;

		used += (size_t)snprintf(out + used, FILE_PATH_SIZE - used, "%.*s", (int)plain,
					 at);
		if (!*name)
			break;
		bool shard = strncmp(name, "{shard}", strlen("{shard}")) == 0;

		used += (size_t)snprintf(out + used, FILE_PATH_SIZE - used, shard ? "%u" : "%02x",
					 shard ? key_shard(n) : (unsigned)(n->key & 0xff));
		at = name;
	}
	assert(used < FILE_PATH_SIZE);
}

/* Makes `out`, which has its row and key, a node of the folder's checkpoint; it must be there. */
static int find_on_disk(struct look *l, const struct node *folder, struct node *out)
{
	struct checkpoint_entry e;
	struct stat st;
	char path[FILE_PATH_SIZE];
	AUTO(base_closep) int at = open_node(l, folder, &e);

	if (at < 0)
		return at;
	/* Below a folder that was looked at while it was built, all is of the making there is
	 * now. */
	if (!out->scope.shard) {
		if (fstatat(at, SUMS, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return -ESTALE;
		out->scope.shard = making_of(&st);
	}
	path_of(out, path);
	if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : -errno;
	bool fits = tree[out->row].type == NODE_FOLDER ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode);

	return fits ? 0 : -ENOENT;
}

static int plain_make(struct look *l, const struct node *folder, struct node *out)
{
	return find_on_disk(l, folder, out);
}

static int disk_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct checkpoint_entry e;
	struct stat st;
	char path[FILE_PATH_SIZE];
	AUTO(base_closep) int at = open_node(l, n, &e);

	if (at < 0)
		return at == -ENOENT ? -ESTALE : at;
	out->mtime = e.time;
	if (out->type == NODE_FOLDER)
		return 0;
	path_of(n, path);
	if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	out->size = (uint64_t)st.st_size;
	return 0;
}

static int check_sum(struct look *l, int folder, const char *name, const char *path, int fd)
{
	struct err why = ERR_INIT;
	int rc = checkpoint_sums_check(folder, name, path, fd, &why);

	if (rc == -EBADMSG)
		checkpoint_damaged(l->view->network, name, path, fd, why.text);
	return rc < 0 ? err_set(l->err, rc, "%s", err_text(&why, rc)) : rc;
}

static int disk_open(struct look *l, const struct node *n)
{
	struct checkpoint_entry e;
	char path[FILE_PATH_SIZE];
	AUTO(base_closep) int at = open_node(l, n, &e);

	if (at < 0)
		return at == -ENOENT ? -ESTALE : at;
	path_of(n, path);
	/* A fifo that came to be there must not hold a thread. */
	AUTO(base_closep) int fd = openat(at, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char parent[PATH_SIZE];

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	int rc = checkpoints_path(tree_env()->store, l->view->network, parent, sizeof parent,
				  l->err);
	AUTO(base_closep)
	int folder = rc < 0 ? -1 : open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (rc < 0 || folder < 0)
		return rc < 0 ? rc : -errno;
	rc = check_sum(l, folder, e.name, path, fd);
	if (rc < 0)
		return rc;
	int own = fd;

	fd = -1;
	return own;
}

/* ---- checkpoints/ ---- */

static int checkpoints_attr(struct look *l, const struct node *n, struct attr *out)
{
	out->mtime = l->view->shards[0].tip_time;
	out->grows = true;
	return 0;
}

static int enter(struct look *l, const struct checkpoint_entry *e, struct node *out)
{
	uint32_t making = 0;

	if (e->complete) {
		AUTO(base_closep) int folder = open_checkpoint(l, e, &making);

		if (folder < 0)
			return folder;
	}
	out->key = 0;
	out->scope = (struct scope){
		.kind = SCOPE_CHECKPOINT,
		.shard = making,
		.height = e->height,
		.view_number = get_be32(e->prefix),
	};
	return 0;
}

static int checkpoint_find(struct look *l, const struct node *folder, const char *name,
			   struct node *out)
{
	struct checkpoint_entry e;
	uint64_t height;
	uint8_t prefix[4];

	if (!pins_of() || checkpoint_name_read(name, &height, prefix) < 0)
		return -ENOENT;
	int rc = checkpoints_get(pins_of(), l->view->network, height, &e);

	if (rc <= 0)
		return rc < 0 ? rc : -ENOENT;
	return strcmp(e.name, name) == 0 ? enter(l, &e, out) : -ENOENT;
}

static int checkpoint_list(struct look *l, const struct node *folder, const struct node *child,
			   uint64_t after, struct lister *to)
{
	struct checkpoint_entry e = { .height = after };
	int rc = 0;

	while (pins_of() &&
	       (rc = checkpoints_next(pins_of(), l->view->network, e.height, &e)) == 1) {
		struct node n = *child;

		if (enter(l, &e, &n) < 0)
			continue; /* taken away meanwhile */
		if (!lister_give(to, e.name, &n, e.height, NULL))
			return 0;
	}
	return MIN(rc, 0);
}

static int checkpoint_parent(struct look *l, const struct node *n, struct node *out)
{
	out->scope = (struct scope){ .kind = SCOPE_PLACE };
	return 0;
}

/* Its name has no cache life: the checkpoint may be taken away. */
static int checkpoint_attr(struct look *l, const struct node *n, struct attr *out)
{
	struct checkpoint_entry e;
	int rc = entry_of(l, &n->scope, &e);

	if (rc < 0)
		return rc;
	if (n->scope.shard)
		rc = disk_attr(l, n, out);
	out->mtime = e.time;
	out->settles = true;
	out->grows = !n->scope.shard;
	return rc;
}

/* ---- one that is being built ---- */

/* The records that were written when it was looked up: its key. One width, whatever they are. */
static int building_make(struct look *l, const struct node *folder, struct node *out)
{
	struct checkpoint_entry e;
	int rc = entry_of(l, &folder->scope, &e);

	if (rc < 0)
		return rc;
	if (e.complete)
		return -ENOENT;
	out->key = e.records & KEY_MASK;
	return 0;
}

static int building_read(struct look *l, const struct node *n, struct buf *out)
{
	struct checkpoint_entry e;
	int rc = entry_of(l, &n->scope, &e);

	if (rc < 0)
		return rc;
	buf_fmt(out, "records %010" PRIu64 " of %010" PRIu64 "\n", n->key,
		MAX(e.records_total, n->key));
	return buf_done(out);
}

static int building_attr(struct look *l, const struct node *n, struct attr *out)
{
	AUTO(buf_release) struct buf text = BUF_INIT(256);
	struct checkpoint_entry e;
	int rc = entry_of(l, &n->scope, &e);

	if (rc == 0)
		rc = building_read(l, n, &text);
	if (rc < 0)
		return rc;
	out->size = text.n;
	out->mtime = e.time;
	out->settles = true;
	return 0;
}

/* ---- rows whose names are numbers ---- */

/* What a name of this row says: its key. */
static int key_of(uint8_t row, const char *name, uint64_t above, uint64_t *key)
{
	size_t size = strlen(name);
	unsigned vshard;
	uint64_t shard;

	switch (row) {
	case ROW_CP_LEGACY_PACK:
	case ROW_CP_RETAINED_PACK:
		if (!path_ends(name, ".pb", &size) || path_byte(name, size, &vshard) < 0)
			return -ENOENT;
		*key = above | vshard;
		return 0;
	case ROW_CP_COMMITS:
		if (strncmp(name, "commits-", 8) != 0)
			return -ENOENT;
		name += 8;
		/* fall through */
	case ROW_CP_BLOCK:
		if (!path_ends(name, ".pb", &size))
			return -ENOENT;
	}
	if (path_padded(name, size, 1, &shard) < 0 || shard >= SHARD_MAX)
		return -ENOENT;
	*key = shard << SHARD_SHIFT;
	return 0;
}

static int numbered_find(struct look *l, const struct node *folder, const char *name,
			 struct node *out)
{
	int rc = key_of(out->row, name, folder->key, &out->key);

	return rc < 0 ? rc : find_on_disk(l, folder, out);
}

/* What lies in the folder on the disk and has a name of this row. */
static int numbered_list(struct look *l, const struct node *folder, const struct node *child,
			 uint64_t after, struct lister *to)
{
	struct checkpoint_entry e;
	char path[FILE_PATH_SIZE];
	AUTO(base_closep) int at = open_node(l, folder, &e);

	if (at < 0)
		return at;
	path_of(folder, path);
	int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO(files_dir_closep) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		base_closep(&fd);
		return -ENOENT;
	}
	for (struct dirent *entry; (entry = readdir(d));) {
		struct node n = *child;

		if (key_of(n.row, entry->d_name, folder->key, &n.key) < 0)
			continue;
		if (!lister_give(to, entry->d_name, &n, n.key + 1, NULL))
			return 0;
	}
	return 0;
}

const struct entry_ops checkpoints_ops = { .attr = checkpoints_attr };
const struct entry_ops checkpoint_ops = {
	.find = checkpoint_find,
	.list = checkpoint_list,
	.attr = checkpoint_attr,
	.parent = checkpoint_parent,
};
const struct entry_ops cp_building_ops = {
	.make = building_make,
	.attr = building_attr,
	.read = building_read,
};
const struct entry_ops cp_file_ops = { .make = plain_make, .attr = disk_attr, .open = disk_open };
const struct entry_ops cp_folder_ops = { .make = plain_make, .attr = disk_attr };
const struct entry_ops cp_shard_ops = {
	.find = numbered_find,
	.list = numbered_list,
	.few = true,
	.attr = disk_attr,
};
const struct entry_ops cp_block_ops = {
	.find = numbered_find,
	.list = numbered_list,
	.few = true,
	.attr = disk_attr,
	.open = disk_open,
};
const struct entry_ops cp_pack_ops = {
	.find = numbered_find,
	.list = numbered_list,
	.few = true,
	.attr = disk_attr,
	.open = disk_open,
};
const struct entry_ops cp_commits_ops = {
	.find = numbered_find,
	.list = numbered_list,
	.few = true,
	.attr = disk_attr,
	.open = disk_open,
};
