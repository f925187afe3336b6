/* sights.h: what is told of following, in versions.
 *
 * A file about a follower changes many times a second, and who opened one reads one whole version.
 * So a version is taken when a name is looked up, at most one in SIGHT_AGE_MS unless the network
 * published since, and lives as long as the kernel knows a file of it (slots.h). A version has a
 * view of its network beside it: what a file says of both is of one moment.
 * Threads  any. */
#ifndef CHAINFS_FS_SIGHTS_H
#define CHAINFS_FS_SIGHTS_H

#include "core/sync/sight.h"
#include "fs/tree/tree.h"

#define SIGHT_AGE_MS 100u

struct sights;

struct sight_version {
	uint64_t number; /* rises, also from process to process: made of the date */
	struct sight sight;
	struct view *view;
	/* sights.c alone: */
	struct sights *of;
	struct network *network;
	unsigned owners; /* under the lock of all versions, as `older` */
	uint64_t taken_ms;
	pthread_mutex_t claims_lock; /* guards the next two; a leaf */
	struct known_claim *claims;
	size_t claim_count;
	struct sight_version *older;
};

struct sights *sights_new(struct follows *l); /* NULL: no memory */
void sights_freep(struct sights **s);         /* every version was put */
/* Counted. NULL: nobody follows the network, or no memory. `s` may be NULL. */
struct sight_version *sights_newest(struct sights *s, struct network *n);
/* One that somebody holds; NULL: it is gone. */
struct sight_version *sights_get(struct sights *s, const struct network *n, uint64_t number);
void sight_version_putp(struct sight_version **v);
/* What was done about a missing height when this version was first asked about it. False: nothing
 * is told: nobody follows any more, or it was asked about too many. */
bool sight_version_claim(struct sight_version *v, uint32_t shard, uint64_t height,
			 struct sight_claim *out);
/* Of all networks: another one whenever any has a new version. */
uint64_t sights_stamp(struct sights *s);

#endif
