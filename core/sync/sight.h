/* sight.h: what is told of following, as of one moment: a copy of all that a follower says of
 * itself and of its sources, and the words for it. Files of the mount, `chainfs status` and metrics
 * are made of the same copy, so that they agree.
 *
 * Times  of the follower's own clock in what it copies; sight_unix_s() turns one into a date.
 * Memory a struct sight owns its list.
 * Threads any. Taking one holds the follower's lock as often as there are sources, and waits for
 *        nothing else. */
#ifndef CHAINFS_SYNC_SIGHT_H
#define CHAINFS_SYNC_SIGHT_H

#include "core/store/network.h"
#include "core/store/tiers.h"
#include "core/sync/follow.h"

struct sight {
	uint64_t unix_ms; /* when it was taken */
	struct follow_sight all;
	size_t source_count;
	struct follow_source_sight *sources; /* ascending names */
	struct tier_counts tiers[TIER_COUNT];
};

/* 1; 0: nobody follows the network; -ENOMEM. `l` may be NULL: nobody follows anything. */
int sight_take(struct follows *l, const struct network *n, struct sight *out) MUST_CHECK;
void sight_release(struct sight *s);

unsigned sight_connected(const struct sight *s); /* sources */
const struct follow_source_sight *sight_source(const struct sight *s, const char *name);
/* The date of a time of a clock that read now_ms at the date unix_ms. */
uint64_t sight_unix_s(uint64_t unix_ms, uint64_t now_ms, uint64_t time_ms);
/* Equal for sights with sources of the same names. */
uint64_t sight_names(const struct sight *s);
/* The height that sources offer; at least what is held. */
uint64_t sight_head(const struct follow_shard_sight *s);

/* "connected", "connecting", either with ", on trial: REASON" behind it (one request at a time),
 * "open 8 s: REASON" (not asked for so long), "banned until TIME: REASON" */
void sight_source_state(const struct sight *s, const struct follow_source_sight *of,
			struct buf *out);
/* "asked NAME until TIME", "checking", "resting until TIME", "not offered", "waiting": what is done
 * about a missing height. */
struct sight_claim {
	struct sync_claim claim;
	uint64_t now_ms, unix_ms; /* both as of when it was asked */
};
void sight_claim_words(const struct sight *s, const struct sight_claim *c, struct buf *out);
/* How long it takes: "3 s", "12 min", "5.2 h", "3.1 d"; "-" for UINT64_MAX. */
#define SIGHT_TIME_SIZE 32
const char *sight_duration(uint64_t seconds, char out[SIGHT_TIME_SIZE]);
/* Of 100; 0 of nothing. */
double sight_percent(const struct tier_counts *t);

#endif
