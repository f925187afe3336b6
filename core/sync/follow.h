/* follow.h: follows one network: the coordinator (step.h) wired to sources, to ingest and to those
 * who look on.
 *
 *     sources -> block() -> ingest -> report -> sync_step() -> fetch() -> sources
 *
 * Knows no socket: net/live.c runs it on a loop, adds the sources that the store's file names, and
 * calls follow_step() when it was woken or its time has come. What is asked for or not yet
 * committed is bounded in bytes (sync_options.bytes_max); a block is acknowledged to the
 * coordinator when the batch that holds it is synced.
 * A stored block that turns out damaged, by a reader or by fsck, is lost to the coordinator and
 * fetched again.
 * Threads  functions of the loop: the loop's. Orders and sight: any; they hold the follower's lock
 *          for less than a millisecond and wait for nothing else, except where it is said.
 * Errors   a source's faults are no errors here. ingest that stops (-EIO, -ENOSPC) stops the
 *          follower: follow_sight.stopped says the sentence, and it begins again every
 *          FOLLOW_AGAIN_MS. */
#ifndef CHAINFS_SYNC_FOLLOW_H
#define CHAINFS_SYNC_FOLLOW_H

#include "core/ingest/ingest.h"
#include "core/sync/source.h"
#include "core/sync/step.h"

#define FOLLOW_AGAIN_MS 5000u
#define FOLLOW_NEAR     8192u /* heights that are made up for upwards, from what is held */

struct follow;

/* Where forward begins on a shard that no restore gave a state; with one it is the height above
 * it, always. */
enum follow_from {
	/* Behind what is held, when that is FOLLOW_NEAR or less behind the head; else a little
	 * below the head, and what lies under it comes newest first. Its state follows when history
	 * is whole. */
	FOLLOW_FROM_HEAD,
	/* At height 1: everything upwards, replayed as it comes. */
	FOLLOW_FROM_START
};

struct follow_options {
	struct sync_options sync;     /* shard_count is taken from the network */
	struct ingest_options ingest; /* events, gate, stop and report are the follower's; a block
				       * without a certificate is never taken */
	enum follow_from from;
	bool paused;                  /* backward, until somebody says otherwise */
};

struct follow_env { /* all of these live longer */
	struct network *network;
	struct events  *events;
	struct gate    *gate;
	/* Any thread, holding no lock: follow_step() is due. */
	void (*wake)(void *arg);
	uint64_t (*now_ms)(void *arg); /* never goes back */
	void *arg;
};

int  follow_open(const struct follow_env *env, const struct follow_options *o, struct follow **out,
		 struct err *err) MUST_CHECK;
/* Closes the sources, commits what ingest has by then; what waits for room in it is let go. Nobody
 * stands it back meanwhile. */
void follow_closep(struct follow **f);

/* ---- the loop's ---- */
/* Reserves a place among the sources: the number, and the listener that its protocol tells.
 * follow_source_open() gives it the source; until then it is "connecting". -ENOSPC:
 * SYNC_SOURCES_MAX are there; -EEXIST: one of that name is. */
int  follow_source_add(struct follow *f, const struct source_entry *e, struct source_listener *out,
		       struct err *err) MUST_CHECK;
void follow_source_open(struct follow *f, unsigned number, const struct source_ops *ops,
			struct source *s);
void follow_source_remove(struct follow *f, unsigned number); /* closes it */
/* Does what is due; when it is due again, UINT64_MAX: when it is woken. */
uint64_t follow_step(struct follow *f);

/* ---- orders: any thread ---- */
void follow_pause_backward(struct follow *f, bool on);
void follow_cap(struct follow *f, uint64_t bytes_a_second); /* 0: none */
int  follow_pardon(struct follow *f, const char *source) MUST_CHECK; /* -ENOENT */
/* Somebody wants these heights now. Waits up to wait_ms until the first of them is held or was
 * refused: 0 held; -ETIMEDOUT; -EHOSTUNREACH: no source offers it; -EBADMSG: it came and was
 * refused. wait_ms 0: only asks. */
int  follow_want(struct follow *f, uint32_t shard, struct range range, unsigned wait_ms) MUST_CHECK;
/* Our copies of these heights are no good (fsck, a reader). */
void follow_lost(struct follow *f, uint32_t shard, struct range range);

/* The network has one writer at a time: who wants to be it has the follower stand back, which ends
 * its ingest (what that has is committed; the caller waits for it), and lets it go on afterwards.
 * What the other one wrote or took away is known to the follower then. Sources are asked on
 * meanwhile, as far as memory goes. Counted; accepts NULL. Not on the loop's thread. */
void follow_stand_back(struct follow *f);
void follow_go_on(struct follow *f);

/* ---- sight: any thread ---- */
struct follow_rate { /* of a lane and shard, with a half-life of some seconds */
	double heights_s, bytes_s;
	uint64_t left;  /* heights that are missing */
	uint64_t eta_s; /* UINT64_MAX: not at this rate */
};

struct follow_shard_sight {
	struct sync_shard_status sync;
	uint64_t lag;          /* heights from what is held to the head that sources offer */
	uint64_t lag_ms;       /* age of the newest held block, while sources offer a newer one;
				* else 0 */
	struct follow_rate lane[LANE_COUNT];
};

struct follow_sight {
	bool     paused;          /* backward */
	bool     gate_closed;     /* pause or freeze: nothing is imported */
	uint64_t cap;             /* bytes a second; 0: none */
	char     stopped[ERR_TEXT_SIZE]; /* "" unless ingest has stopped, and why */
	struct sync_status sync;
	uint32_t shard_count;
	struct follow_shard_sight shards[SHARD_MAX];
	unsigned source_count;    /* numbers below SYNC_SOURCES_MAX, with holes */
	uint64_t fetched_twice;   /* blocks that came and were held already */
	uint64_t doubted;         /* heights whose contents are compared with another source's, or are
				   * being taken back */
	uint64_t latency_us[2];   /* p50, p99 of the newest tips: from "it came" to published */
};
void follow_sight(struct follow *f, struct follow_sight *out);

struct follow_source_sight {
	unsigned number;
	struct source_entry  entry;
	struct source_words  words;
	struct sync_source_status sync;
	uint64_t now_ms; /* what `sync`'s times are relative to */
};
/* The first source with a number of at least `from`; false: there is none. */
bool follow_source_sight(struct follow *f, unsigned from, struct follow_source_sight *out);
void follow_claim(struct follow *f, uint32_t shard, uint64_t height, struct sync_claim *out,
		  uint64_t *now_ms);
/* Called after something that sight shows has changed, at most ten times a second, on the loop's
 * thread and holding no lock. One listener. */
void follow_on_change(struct follow *f, void (*call)(void *arg), void *arg);

/* ---- the followers of a daemon, by network ---- */
struct follows;
struct follows *follows_new(void); /* NULL: no memory */
void follows_freep(struct follows **l);
int  follows_add(struct follows *l, struct network *n, struct follow *f) MUST_CHECK;
/* Nobody gets it any more when this returns, and who had it has put it back. */
void follows_remove(struct follows *l, struct network *n);
/* From now on nobody gets any; returns when all are put back. Not on the loop that steps them: who
 * has one may wait for a step. */
void follows_end(struct follows *l);
/* Counted; NULL: nobody follows that network. Accepts l NULL. */
struct follow *follows_get(struct follows *l, const struct network *n);
void follows_put(struct follows *l, struct follow **f);

#endif
