#include "mount-helpers/leaving.h"

#include <limits.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/store/store.h"
#include "fs/connection/mountpoint.h"
#include "mount-helpers/verbs.h"

#define WAIT_MAX_MS  10000
#define WAIT_STEP_US 10000
#define HOLDER_SIZE  512
#define HOLDER_HEAD  "mount at "
#define HOLDER_TAIL  ", pid "

/* The words are those that a daemon leaves in the lock. One that is only coming has no mount yet,
 * too: waiting for it ends when it has. */
static bool is_leaving(const char *store)
{
	char holder[HOLDER_SIZE], *tail = NULL;

	if (store_holder(store, holder, sizeof holder) < 0 ||
	    strncmp(holder, HOLDER_HEAD, strlen(HOLDER_HEAD)) != 0)
		return false;
	for (char *at = holder; (at = strstr(at, HOLDER_TAIL)); at++)
		tail = at; /* a path may have the words as well */
	if (!tail)
		return false;
	*tail = '\0';
	long pid = strtol(tail + strlen(HOLDER_TAIL), NULL, 10);

	return pid > 0 && mountpoint_seen_by((pid_t)pid, holder + strlen(HOLDER_HEAD), NULL) == 0;
}

bool leaving_wait(const char *store)
{
	uint64_t end = clock_mono_ms() + WAIT_MAX_MS;
	char holder[HOLDER_SIZE];
	bool waited = false;

	while (is_leaving(store)) {
		if (atomic_load(&verbs_stop) || clock_mono_ms() >= end)
			return false;
		waited = true;
		usleep(WAIT_STEP_US);
	}
	return waited && store_holder(store, holder, sizeof holder) == -ENOENT;
}
