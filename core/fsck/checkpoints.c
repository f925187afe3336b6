/* Checkpoints: every file of each complete one against its sum. */
#include "core/fsck/inside.h"

#include "core/base/files.h"
#include "core/checkpoint/sums.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#define PATH_SIZE 4096

static int check_file(struct fsck *k, const char *folder, uint64_t height, const char *name,
		       const uint8_t sum[HASH_SIZE])
{
	AUTO(files_let_go) struct files_held m = FILES_HELD_NONE;
	char path[PATH_SIZE];
	uint8_t own[HASH_SIZE];
	int n = snprintf(path, sizeof path, "%s/%s", folder, name);
	int rc = n < PATH_SIZE ? files_hold(AT_FDCWD, path, &m) : -ENAMETOOLONG;

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0) {
		fault(k, rc == -ENOENT ? FSCK_MISSING : FSCK_DAMAGED, "checkpoint", AT(0, height),
		      false, "%.100s: %s; fsck --repair builds it again", name,
		      strerror(-rc));
		return 0;
	}
	hash_sha256(m.bytes, own);
	if (memcmp(own, sum, sizeof own) != 0)
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false,
		      "%.100s is not what its sum says; fsck --repair builds it again",
		      name);
	return 0;
}

/* Every file that the lines name. */
static int check_lines(struct fsck *k, const char *folder, uint64_t height, bool own,
		       struct slice lines)
{
	char name_of_file[CHECKPOINT_PATH_MAX] = "";
	uint8_t sum[HASH_SIZE];
	struct err why = ERR_INIT;
	size_t at = 0;
	int rc;

	while ((rc = own ? checkpoint_sums_next(lines, &at, name_of_file, sum) :
			   checkpoint_sum_next(lines, &at, name_of_file, sum, &why)) == 1) {
		int checked = check_file(k, folder, height, name_of_file, sum);

		if (checked < 0 || stopped(k) < 0)
			return checked < 0 ? checked : -EINTR;
	}
	if (rc < 0)
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false, "%s", why.text);
	return 0;
}

static int check_folder(struct fsck *k, int parent, const char *name, uint64_t height)
{
	AUTO(files_let_go) struct files_held sums = FILES_HELD_NONE;
	AUTO(buf_release) struct buf own = BUF_INIT(2 * CHECKPOINT_SUMS_MAX);
	char folder[PATH_SIZE], path[PATH_SIZE + 16];

	snprintf(folder, sizeof folder, "%.3900s/%s", k->options->checkpoints, name);
	snprintf(path, sizeof path, "%s/SHA256SUMS", folder);
	int rc = files_hold(AT_FDCWD, path, &sums);

	if (rc == -ENOENT)
		return 0; /* it is being made */
	k->counts->checkpoints++;
	progress(k, "checkpoints", k->counts->checkpoints, 0);
	/* The sums of all of them, where there are such; they cover SHA256SUMS too. */
	int all = checkpoint_sums_read(parent, name, &own);

	if (all == -ENOMEM || rc == -ENOMEM)
		return -ENOMEM;
	if (all == 1)
		return check_lines(k, folder, height, true, buf_slice(&own));
	if (all < 0)
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false,
		      "the sums beside it are damaged; fsck --repair builds it again");
	else
		fault(k, FSCK_UNSEALED, "checkpoint", AT(0, height), false,
		      "no sums lie beside it, so that evidence and verdict are held against "
		      "nothing; fsck --repair builds it again, with sums");
	if (rc < 0) {
		fault(k, FSCK_DAMAGED, "checkpoint", AT(0, height), false, "SHA256SUMS: %s",
		      strerror(-rc));
		return 0;
	}
	return check_lines(k, folder, height, false, sums.bytes);
}

int walk_checkpoints(struct fsck *k)
{
	const char *folder = k->options->checkpoints;
	AUTO(files_dir_closep) DIR *dir = folder ? opendir(folder) : NULL;
	int more = dir || !folder || errno == ENOENT ? 0 : -errno;
	const struct dirent *entry;

	while (dir && (more = files_next(dir, &entry)) == 1) {
		uint64_t height;
		uint8_t prefix[4];
		int rc = checkpoint_name_read(entry->d_name, &height, prefix) == 0 ?
				 check_folder(k, dirfd(dir), entry->d_name, height) :
				 0;

		if (rc < 0)
			return rc;
	}
	if (more == -ENOMEM)
		return more;
	if (more < 0)
		fault(k, FSCK_DAMAGED, "checkpoint", NOWHERE(0), false, "their folder: %s",
		      strerror(-more));
	return 0;
}
