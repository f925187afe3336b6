#include "core/store/salvage.h"

#include "core/base/files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

uint64_t salvage_newest(const char *folder)
{
	AUTO(files_dir_closep) DIR *dir = opendir(folder);
	const struct dirent *e;
	uint64_t newest = 0;

	while (dir && (e = readdir(dir))) {
		char *end;
		uint64_t number = strtoull(e->d_name, &end, 10);

		if (end != e->d_name && strcmp(end, ".sst") == 0)
			newest = MAX(newest, number);
	}
	return newest;
}

/* The number behind `mark`; *words goes on behind it. */
static bool number_behind(const char **words, const char *mark, uint64_t *out)
{
	const char *at = strstr(*words, mark);
	char *end;

	if (!at)
		return false;
	*out = strtoull(at + strlen(mark), &end, 10);
	*words = end;
	return end != at + strlen(mark);
}

bool salvage_drop(const char *folder, const char *words, uint64_t newest)
{
	uint64_t a, b;
	char table[32];

	if (!number_behind(&words, "L0 file #", &a) || !number_behind(&words, " vs. file #", &b))
		return false;
	/* A log has all that its table has; of tables, what was there first is whole. */
	bool of_log = MAX(a, b) > newest;
	AUTO(base_closep) int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	snprintf(table, sizeof table, "%06" PRIu64 ".sst", of_log ? MIN(a, b) : MAX(a, b));
	return at >= 0 && unlinkat(at, table, 0) == 0;
}
