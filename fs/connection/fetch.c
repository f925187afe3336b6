#include "fs/connection/fetch.h"

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>

#include "core/base/clock.h"
#include "core/sync/follow.h"

#define STEP_MS 200u /* between two looks at whether anybody still waits */

static bool take_place(struct serving *s)
{
	if (atomic_fetch_add(&s->fetching, 1) < s->fetchers)
		return true;
	atomic_fetch_sub(&s->fetching, 1);
	return false;
}

/* One step of waiting: a follower that is to end is not held up for longer. -EHOSTUNREACH: nobody
 * follows. */
static int want(struct serving *s, const struct network *n, uint32_t shard, uint64_t height,
		unsigned wait_ms)
{
	struct follow *f = follows_get(s->follows, n);

	if (!f)
		return -EHOSTUNREACH;
	int rc = follow_want(f, shard, (struct range){ height, height + 1 }, wait_ms);

	follows_put(s->follows, &f);
	return rc;
}

static int wait_for(fuse_req_t req, struct serving *s, const struct network *n, uint32_t shard,
		    uint64_t height, struct err *err)
{
	uint64_t now = clock_mono_ms(), end = now + s->fetch_ms;
	int rc = -ETIMEDOUT;

	for (; rc == -ETIMEDOUT && now < end; now = clock_mono_ms()) {
		rc = want(s, n, shard, height, (unsigned)MIN(end - now, STEP_MS));
		if (rc < 0 && fuse_req_interrupted(req))
			return err_set(err, -EINTR, "interrupted");
	}
	if (rc == -ETIMEDOUT)
		return err_set(err, rc, "shard %u height %" PRIu64 " did not come within %u ms",
			       shard, height, s->fetch_ms);
	return rc < 0 ? -ENODATA : 0; /* nobody offers it, or it was refused: the gap says so */
}

int fetch_missing(fuse_req_t req, const struct asked *folder, const char *name, struct err *err)
{
	struct serving *s = folder->serving;
	uint32_t shard;
	uint64_t height;

	if (!s->fetch_ms || !tree_height(&folder->node, name, &shard, &height) || !take_place(s))
		return -ENODATA;
	int rc = wait_for(req, s, folder->node.network, shard, height, err);

	atomic_fetch_sub(&s->fetching, 1);
	return rc;
}
