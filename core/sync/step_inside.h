/* step_inside.h: what the files of the coordinator share. step.c takes events in, step_plan.c
 * decides what goes out, step_sight.c tells others. */
#ifndef CHAINFS_SYNC_STEP_INSIDE_H
#define CHAINFS_SYNC_STEP_INSIDE_H

#include "core/sync/step.h"

#define OPERATORS_MAX 8u

static_assert(SYNC_SOURCES_MAX <= 32, "a bit each");

struct request {
	uint64_t id; /* 0: free */
	unsigned source;
	uint32_t shard;
	enum lane lane;
	struct range range;
	uint64_t asked_ms, deadline_ms;
	uint64_t bytes;  /* foreseen */
	bool tip_check;
	uint64_t twin;   /* the other one for the same range; 0: none */
};

struct arrived { /* came, and was not checked yet */
	uint32_t shard;
	struct range range;
	unsigned source;
	uint32_t operator;
	enum lane lane;
	uint64_t bytes;
};

struct rest { /* refused, or not there yet */
	uint32_t shard;
	struct range range;
	uint32_t tries;
	uint32_t refusers; /* bit i: what source i gave was refused; others are asked before it */
	uint64_t until_ms;
	char error[REASON_SIZE];
};

struct sync_source {
	bool there;
	uint32_t operator;
	struct score score;
	struct rate rate;
	struct range offers[SHARD_MAX];
	unsigned requests;
	uint64_t heights, bytes;
	uint64_t heard_ms; /* when it last answered */
};

struct tip { /* of which it is asked whether others have it too */
	uint64_t height; /* 0: none */
	uint8_t hash[HASH_SIZE];
	uint32_t operators[OPERATORS_MAX];
	unsigned operator_count;
	uint32_t others; /* bit i: source i has another one, and is not asked again */
};

struct shard {
	struct gaps held;
	uint64_t base, head, tip;
	struct tip newest, asked; /* one is asked about at a time, the newest by then */
	uint64_t confirmed;
};

struct want {
	uint32_t shard;
	struct range range;
};

struct sync {
	struct sync_options options;
	struct share share;
	uint64_t now_ms, random;
	uint64_t request_last;
	bool paused;
	struct request requests[SYNC_REQUESTS_MAX];
	struct arrived *arrived;
	size_t arrived_count, arrived_cap;
	struct rest *rests;
	size_t rest_count, rest_cap;
	struct want *wants;
	size_t want_count, want_cap;
	struct sync_source sources[SYNC_SOURCES_MAX];
	struct shard shards[SHARD_MAX];
	uint64_t bytes[LANE_COUNT], heights[LANE_COUNT];
};

/* Everything that can go out now, at most as much as there is room for. */
void sync_plan(struct sync *s, struct sync_actions *out);

struct request *request_find(struct sync *s, uint64_t id);
void request_end(struct sync *s, struct request *r); /* frees it; its twin stands alone then */
/* Ends it and says so; what was foreseen of it is not counted any more. */
void request_cancel(struct sync *s, struct request *r, struct sync_actions *out);
/* All of a source. */
void requests_cancel(struct sync *s, unsigned source, struct sync_actions *out);
/* Was it refused what that source gave for the height, while there are others to be asked? */
bool source_refused(const struct sync *s, unsigned source, uint32_t shard, uint64_t height);
/* The same of what rests. */
bool rest_refuses(const struct sync *s, const struct rest *rest, unsigned source);
bool action_room(const struct sync_actions *out);
struct sync_action *action_add(struct sync_actions *out, enum sync_action_kind kind);

static inline bool range_has(struct range r, uint64_t height)
{
	return r.first <= height && height < r.end;
}

static inline bool ranges_meet(struct range a, struct range b)
{
	return a.first < b.end && b.first < a.end;
}

#endif
