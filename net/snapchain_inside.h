/* snapchain_inside.h: what the files of a Snapchain source share. snapchain_source.c connects and
 * knows what the node has, snapchain_fetch.c gets blocks from it. */
#ifndef CHAINFS_NET_SNAPCHAIN_INSIDE_H
#define CHAINFS_NET_SNAPCHAIN_INSIDE_H

#include "net/grpc.h"
#include "net/snapchain_calls.h"
#include "net/snapchain_source.h"

#define FETCHES_MAX 64u
#define NEAR_HEAD   16u /* heights: an empty answer there may mean "not yet" */

struct fetch {
	struct source *of;
	bool     there;
	uint64_t serial;      /* tells a slot from its next use */
	uint64_t id;
	uint32_t shard;
	struct range range;
	uint64_t bytes_max, deadline_ms;
	struct grpc_call *call;
	struct splitter split;
	uint64_t blocks;      /* given so far */
	uint64_t first;       /* height of the first */
	unsigned tries;
	uint64_t again_ms;    /* when it is to be asked; UINT64_MAX: it is out */
	bool     fails;       /* at again_ms, with: */
	enum fault_kind fault;
	char     sentence[REASON_SIZE];
};

struct shard_state {
	bool     there;       /* the node has told of it */
	uint64_t max;         /* its head; 0: no block */
	uint64_t first;       /* the lowest height that is not known to be missing */
	struct range told;    /* to the listener */
	unsigned lower_seen;  /* times in a row that it told a lower head */
	uint64_t lower;
};

struct probe { /* looks for the first height of a shard by halving */
	struct grpc_call *call;
	bool     running, found;
	uint32_t shard;
	uint64_t missing, there;
	struct splitter split;
	uint64_t asked;
};

struct source {
	struct loop *loop;
	struct snapchain_options options;
	char     host[H2_HOST_MAX];
	char     ca_file[4096];
	struct source_listener to;
	unsigned inside;      /* callbacks of ours that run */
	bool     closed;
	struct h2 *h2;        /* NULL: not connected; the next try is at connect_ms */
	bool     h2_ready, connected, was_connected;
	struct loop_timer *timer;
	uint64_t connect_ms, poll_ms, subscribe_ms;
	uint64_t since_ms;    /* of `connected` */
	unsigned failures;    /* of connections in a row */
	unsigned hurry;       /* polls that follow soon, after an event */
	uint64_t event_ms, asked_ms; /* the newest event; when GetInfo was asked */
	unsigned unanswered;  /* GetInfo in a row */
	struct grpc_call *info_call, *event_call;
	struct grpc_call *node_call; /* and what came of it */
	uint64_t node_request;
	struct source_node node;
	int      node_rc;     /* -EPROTO: nothing came yet */
	struct info info;
	struct shard_state shards[SHARD_MAX];
	struct fetch fetches[FETCHES_MAX];
	uint64_t serial;
	struct probe probe;
	char     news[REASON_SIZE]; /* the newest thing to remark */
};

/* Each entry from the loop is between these two: the listener may close us in it. */
void source_enter(struct source *s);
void source_leave(struct source *s);

void source_due_at(struct source *s); /* sets the timer to what is due first */
void source_offer(struct source *s, uint32_t shard); /* tells what it has, if that is news */
void source_changed(struct source *s);
/* Heights below are missing there. */
void source_first_is(struct source *s, uint32_t shard, uint64_t first);

void fetches_due(struct source *s, uint64_t now_ms);
uint64_t fetches_due_ms(const struct source *s);
/* Ends the calls of all; they fail when they are due, which is now. */
void fetches_fail(struct source *s, enum fault_kind fault, const char *sentence);
void fetches_drop(struct source *s); /* nothing is told */
void fetch_begin(struct source *s, uint64_t request, uint32_t shard, struct range range,
		 uint64_t bytes_max, uint32_t timeout_ms);
void fetch_cancel(struct source *s, uint64_t request);

void probe_begin(struct source *s, uint32_t shard, uint64_t missing, uint64_t there);
void probe_stop(struct source *s);

#endif
