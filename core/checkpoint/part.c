#include "core/checkpoint/part.h"

#include "core/base/files.h"
#include "core/store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".part"

static int remove_tree(const char *path, struct err *err)
{
	int rc = files_remove_tree(AT_FDCWD, path);

	return rc < 0 ? err_set(err, rc, "%s: %s", path, strerror(-rc)) : 0;
}

int part_begin(const char *path, char part[PART_PATH_MAX], struct err *err)
{
	size_t size = strlen(path);
	char holder[256];
	struct stat st;

	while (size > 1 && path[size - 1] == '/') /* "store/" is made beside its place, not in it */
		size--;
	if ((size_t)snprintf(part, PART_PATH_MAX, "%.*s" SUFFIX, (int)MIN(size, PART_PATH_MAX),
			     path) >= PART_PATH_MAX)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", path);
	if (lstat(path, &st) == 0)
		return err_set(err, -EEXIST, "%s is there already; a new store is made", path);
	if (store_holder(part, holder, sizeof holder) == 0)
		return err_set(err, -EBUSY, "%s is being made: %s", part, holder);
	return remove_tree(part, err);
}

static int sync_parent(const char *path, struct err *err)
{
	char parent[PART_PATH_MAX];
	const char *slash = strrchr(path, '/');

	snprintf(parent, sizeof parent, "%.*s", slash ? (int)MAX(slash - path, 1) : 1,
		 slash ? path : ".");
	AUTO(base_closep) int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? files_error(err, parent) : 0;
}

int part_place(const char *part, const char *path, struct err *err)
{
	if (renameat2(AT_FDCWD, part, AT_FDCWD, path, RENAME_NOREPLACE) < 0) {
		if (errno == EEXIST)
			return err_set(err, -EEXIST, "%s came to be meanwhile", path);
		if (errno != EINVAL)
			return files_error(err, path);
		/* A file system without that word: rename() replaces an empty folder at most. */
		if (rename(part, path) < 0)
			return files_error(err, path);
	}
	return sync_parent(path, err);
}

int part_drop(const char *part, int rc, struct err *err)
{
	return remove_tree(part, NULL) < 0
		       ? err_note(err, rc, "%s could not be taken away again", part)
		       : rc;
}
