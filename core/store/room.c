#include "core/store/room.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base/bytes.h"
#include "core/base/files.h"
#include "core/store/store.h"

#define PATH_SIZE 4096

static uint64_t free_of(const struct statvfs *fs)
{
	/* Some file systems count no files, and say 0 of 0. */
	if (fs->f_files && !fs->f_favail)
		return 0;
	return (uint64_t)fs->f_bavail * fs->f_frsize;
}

uint64_t room_free(const char *path)
{
	struct statvfs fs;

	return statvfs(path, &fs) < 0 ? UINT64_MAX : free_of(&fs);
}

uint64_t room_free_at(int folder)
{
	struct statvfs fs;

	return folder < 0 || fstatvfs(folder, &fs) < 0 ? UINT64_MAX : free_of(&fs);
}

static uint64_t logs_below(const char *db)
{
	AUTO(files_dir_closep) DIR *dir = opendir(db);
	const struct dirent *entry;
	uint64_t bytes = 0;

	while (dir && (entry = readdir(dir))) {
		size_t n = strlen(entry->d_name);
		struct stat st;

		if (n > 4 && strcmp(entry->d_name + n - 4, ".log") == 0 &&
		    fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	return bytes;
}

uint64_t room_to_open(const char *networks)
{
	AUTO(files_dir_closep) DIR *dir = opendir(networks);
	const struct dirent *entry;
	uint64_t bytes = ROOM_TO_OPEN;

	while (dir && (entry = readdir(dir))) {
		char db[PATH_SIZE];

		if (entry->d_name[0] != '.' &&
		    snprintf(db, sizeof db, "%s/%s/db", networks, entry->d_name) < (int)sizeof db)
			bytes += logs_below(db);
	}
	return bytes;
}

static int path_of(const char *path, char out[PATH_SIZE], struct err *err)
{
	int n = snprintf(out, PATH_SIZE, "%s/reserve", path);

	return n < 0 || n >= PATH_SIZE
		       ? err_set(err, -ENAMETOOLONG, "%s: the path is too long", path)
		       : 0;
}

int room_reserve_keep(const char *path, uint64_t spare, struct err *err)
{
	char file[PATH_SIZE];
	struct stat st = { 0 };
	int rc = path_of(path, file, err);

	if (rc < 0)
		return rc;
	if (stat(file, &st) == 0 && st.st_size >= (off_t)STORE_RESERVE_SIZE)
		return 0;
	if (room_free(path) < STORE_RESERVE_SIZE + spare)
		return err_set(err, -ENOSPC, "%s: there is no room for it", file);
	AUTO(base_closep) int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return files_error(err, file);
	rc = -posix_fallocate(fd, 0, STORE_RESERVE_SIZE);
	if (rc == 0)
		return 0;
	/* A part of it would only be in the way. */
	unlink(file);
	return err_set(err, rc, "%s: %s", file, strerror(-rc));
}

int room_reserve_release(const char *path, struct err *err)
{
	char file[PATH_SIZE];
	int rc = path_of(path, file, err);

	if (rc < 0)
		return rc;
	return unlink(file) < 0 && errno != ENOENT ? files_error(err, file) : 0;
}
