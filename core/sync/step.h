/* step.h: the coordinator of one network: what to fetch next, and from whom.
 *
 * One function, sync_step(): what happened and what time it is go in, what is to be done comes out.
 * It knows no socket, no store and no clock, so a simulated day runs in a second and is run again
 * from its seed.
 *
 * Two lanes. *Forward* follows the head: from `base` upwards, lowest height first, a little ahead.
 * A source that is several times slower than another one is asked for the highest of these, since
 * replay waits for the lowest. *Backward* fills what lies below, newest first. The line and the
 * processors are split between them (share.h); heights within `look_ahead` of the head go first of
 * all. What is out or not checked yet is bounded in bytes. When nothing else is to be asked for, a
 * request that takes long is asked of a second source too, one of a slow source at once of a fast
 * one that has nothing to do, and the first answer counts.
 * A height is asked for by one request at a time, and not again before it was checked. What was
 * refused is asked of another source, and rests when there is none, longer each time. A source is
 * asked for what it offers, as much as it gives in a while (rate.h), by how far it is trusted
 * (score.h). A tip is confirmed when sources of several operators have it with our hash.
 *
 * Threads  one at a time (the loop).
 * Memory   a struct sync owns all it needs; what comes out points to nothing.
 * Errors   -ENOMEM: nothing has changed but the time; the event may be given again.
 *          -EINVAL: an event about a source, shard or request that there is not. */
#ifndef CHAINFS_SYNC_STEP_H
#define CHAINFS_SYNC_STEP_H

#include "core/sync/gaps.h"
#include "core/sync/rate.h"
#include "core/sync/score.h"
#include "core/sync/share.h"

#define SYNC_SOURCES_MAX  32u
#define SYNC_REQUESTS_MAX 64u
#define SYNC_ACTIONS_MAX  160u

struct sync_options {
	uint32_t shard_count;          /* the main one included */
	unsigned weight[LANE_COUNT];   /* of the lanes; 70 and 30 */
	uint64_t bytes_max;            /* asked for or not checked yet */
	unsigned requests[LANE_COUNT]; /* out at a time */
	unsigned source_requests;      /* out at a time to one source */
	uint64_t look_ahead;           /* heights */
	unsigned operators;            /* that a tip needs to be confirmed; the giver's counts */
	struct rate_bounds bounds;
	uint64_t cap;                  /* bytes a second; 0: none */
	uint64_t seed;                 /* of choices among sources */
};
extern const struct sync_options sync_options_default;

enum sync_event_kind {
	SYNC_TIME,           /* nothing but time */
	SYNC_SOURCE_ADDED,   /* source, operator: it can be asked */
	SYNC_SOURCE_REMOVED, /* source: it cannot any more; what it was asked is free again */
	SYNC_SOURCE_PARDON,  /* source: whatever it did */
	SYNC_OFFERS,         /* source, shard, range: what it has by now; empty: nothing, as while it
			      * is not connected */
	SYNC_CAME,           /* request, range (empty: nothing), bytes; hash of a request that
			      * confirms */
	SYNC_FAILED,         /* request, fault, text; range (empty: nothing), bytes: what had
			      * come */
	SYNC_FAULT,          /* source, fault, text: of no request */
	SYNC_TAKEN,          /* shard, range, bytes, check_us; hash of the last: checked and committed,
			      * or held from before */
	SYNC_REFUSED,        /* source, shard, range, bytes, check_us, fault (FAULT_LIE: proved; else
			      * nobody's), text; on: that source gave it, and others are asked first */
	SYNC_LOST,           /* shard, range: our copies are no good; what rests there is asked for
			      * again */
	SYNC_ANCHOR,         /* shard, range.first: forward begins here, history ends below */
	SYNC_WANT,           /* shard, range: somebody waits for it */
	SYNC_PAUSE,          /* on: no backward requests until it is off */
	SYNC_CAP,            /* bytes: a second */
	SYNC_CAUSE,          /* shard, range.first, text: why the refused height rests, known by
			      * now */
	SYNC_EVENT_COUNT
};
extern const char *const sync_event_names[SYNC_EVENT_COUNT];

struct sync_event {
	enum sync_event_kind kind;
	uint64_t now_ms;
	unsigned source;    /* below SYNC_SOURCES_MAX; the caller's numbers */
	uint32_t operator;  /* equal for sources of one operator */
	uint32_t shard;
	uint64_t request;
	struct range range;
	uint64_t bytes, check_us;
	enum fault_kind fault;
	bool     on;
	uint8_t  hash[HASH_SIZE];
	const char *text;   /* NULL: none */
};

enum sync_action_kind {
	SYNC_FETCH,     /* request, source, shard, range, lane, timeout_ms */
	SYNC_CHECK_TIP, /* the same, of one height: only its hash is wanted, nothing is stored */
	SYNC_CANCEL,    /* request: nobody waits for it any more */
	SYNC_BAN,       /* source, text */
	SYNC_CONFIRMED, /* shard, range.first: the height */
};

struct sync_action {
	enum sync_action_kind kind;
	uint64_t request;
	unsigned source;
	uint32_t shard;
	struct range range;
	enum lane lane;
	uint32_t timeout_ms;
	char     text[REASON_SIZE];
};

struct sync_actions {
	struct sync_action list[SYNC_ACTIONS_MAX];
	size_t   count;
	uint64_t wake_ms; /* when SYNC_TIME is due, should nothing happen before; UINT64_MAX:
			   * never */
};

struct sync;

struct sync *sync_new(const struct sync_options *o, uint64_t now_ms); /* NULL: no memory */
void sync_freep(struct sync **s);
int  sync_step(struct sync *s, const struct sync_event *e, struct sync_actions *out) MUST_CHECK;

/* ---- sight ---- */

struct sync_shard_status {
	uint64_t base;      /* where forward begins; 0: not known yet */
	uint64_t head;      /* the highest height that any source offers */
	uint64_t tip;       /* held without a hole from base; base - 1: nothing of it */
	uint64_t confirmed; /* 0: none */
	uint64_t missing[LANE_COUNT];
};

struct sync_status {
	uint64_t bytes_out;                /* asked for or not checked yet */
	unsigned requests[LANE_COUNT];     /* out now */
	uint64_t bytes[LANE_COUNT], heights[LANE_COUNT]; /* that came, since the start */
	bool     paused;
};

struct sync_source_status {
	uint32_t operator;
	double   score;
	enum circuit circuit;
	uint64_t until_ms; /* of the circuit or ban */
	unsigned requests; /* out now */
	uint64_t heights, bytes;
	struct rate rate;
	struct score detail;
	struct range offers[SHARD_MAX];
};

/* A missing height, and what is done about it. */
struct sync_claim {
	bool     asked;    /* by a request to `source` until `until_ms` */
	bool     checking; /* it came and is being checked */
	unsigned source;
	uint64_t until_ms;
	uint32_t tries;
	uint64_t next_try_ms; /* 0: it does not rest */
	bool     offered;     /* some source has it */
	char     error[REASON_SIZE];
};

void sync_status(const struct sync *s, struct sync_status *out);
void sync_shard_status(const struct sync *s, uint32_t shard, struct sync_shard_status *out);
bool sync_source_status(const struct sync *s, unsigned source, uint64_t now_ms,
			struct sync_source_status *out); /* false: there is none */
void sync_claim(const struct sync *s, uint32_t shard, uint64_t height, struct sync_claim *out);
const struct gaps *sync_held(const struct sync *s, uint32_t shard);

#endif
