/* Checkpoints: every file of each complete one against its sum. */
#include "core/fsck/inside.h"

#include "core/base/files.h"
#include "core/checkpoint/folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define PATH_SIZE 4096

static void check_file(struct fsck *k, const char *folder, uint64_t height, const char *name,
		       const uint8_t sum[HASH_SIZE])
{
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;
	char path[PATH_SIZE];
	uint8_t own[HASH_SIZE];
	int n = snprintf(path, sizeof path, "%s/%s", folder, name);
	int rc = n < PATH_SIZE ? files_hold(AT_FDCWD, path, &m) : -ENAMETOOLONG;

	if (rc < 0) {
		fault(k, rc == -ENOENT ? FSCK_MISSING : FSCK_DAMAGED, "checkpoint", AT(0, height),
		      false, "%.100s: %s; remove the checkpoint's folder and pin it again", name,
		      strerror(-rc));
		return;
	}
	hash_sha256(m.bytes, own);
	if (memcmp(own, sum, sizeof own) != 0)
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false,
		      "%.100s is not what its sum says; remove the checkpoint's folder and pin it "
		      "again",
		      name);
}

static int check_folder(struct fsck *k, const char *name, uint64_t height)
{
	AUTO(files_let_go) struct files_held sums = FILES_HELD_NONE;
	char name_of_file[CHECKPOINT_PATH_MAX] = "";
	uint8_t sum[HASH_SIZE];
	char folder[PATH_SIZE], path[PATH_SIZE + 16];
	struct err why = ERR_INIT;
	size_t at = 0;

	snprintf(folder, sizeof folder, "%.3900s/%s", k->options->checkpoints, name);
	snprintf(path, sizeof path, "%s/SHA256SUMS", folder);
	int rc = files_hold(AT_FDCWD, path, &sums);

	if (rc == -ENOENT)
		return 0; /* it is being made */
	if (rc < 0) {
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false, "SHA256SUMS: %s",
		      strerror(-rc));
		return 0;
	}
	k->counts->checkpoints++;
	progress(k, "checkpoints", k->counts->checkpoints, 0);
	while ((rc = checkpoint_sum_next(sums.bytes, &at, name_of_file, sum, &why)) ==
	       1) {
		check_file(k, folder, height, name_of_file, sum);
		if (stopped(k) < 0)
			return -EINTR;
	}
	if (rc < 0)
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false, "%s", why.text);
	return 0;
}

int walk_checkpoints(struct fsck *k)
{
	DIR *dir = k->options->checkpoints ? opendir(k->options->checkpoints) : NULL;
	const struct dirent *entry;
	int rc = 0;

	while (dir && rc == 0 && (entry = readdir(dir))) {
		uint64_t height;
		uint8_t prefix[4];

		if (checkpoint_name_read(entry->d_name, &height, prefix) == 0)
			rc = check_folder(k, entry->d_name, height);
	}
	if (dir)
		closedir(dir);
	return rc;
}
