/* follow_inside.h: what the files of the follower share. follow.c wires, follow_sources.c hears
 * what sources tell, follow_blocks.c takes blocks to ingest and hears what became of them,
 * follow_compare.c finds the account of a root that does not come out, follow_doubt.c has false
 * contents found and taken back, follow_sight.c tells others.
 *
 * What stands above the locks is the loop's thread's alone. Of what a lock guards, `sync`, `seats`
 * and the counters are changed by the loop alone, which need not take the lock to read them. */
#ifndef CHAINFS_SYNC_FOLLOW_INSIDE_H
#define CHAINFS_SYNC_FOLLOW_INSIDE_H

#include "core/sync/follow.h"

#define ORDERS_MAX    256u
#define REFUSALS_MAX  64u
#define SUSPECTS_MAX  64u
#define LATENCIES_MAX 512u

struct seat { /* of a source */
	bool used;
	struct follow *follow;
	unsigned number;
	uint64_t generation; /* who sits there by now */
	struct source_entry entry;
	const struct source_ops *ops;
	struct source *source; /* NULL: not yet */
	struct source_words words;
};

struct asked {       /* a request that is out */
	uint64_t id; /* 0: free */
	unsigned source;
	uint32_t shard;
	struct range range;
	enum lane lane;
	bool tip_check;
	struct range came; /* so far */
	uint64_t bytes;
	uint8_t hash[HASH_SIZE]; /* tip_check */
};

struct given { /* a block on its way through ingest, in the order of tags */
	uint64_t tag, request;
	unsigned source;
	uint64_t generation;
	enum lane lane;
	uint32_t shard;
	uint64_t height;
	uint64_t came_ns;
	bool near_head;
	struct buf received; /* until it is submitted */
};

struct kept { /* of a block whose request is still out */
	struct given given;
	struct ingest_report report;
};

struct told { /* by ingest */
	struct ingest_report report;
	uint64_t at_ns;
};

struct queued {
	struct sync_event event;
	char text[REASON_SIZE];
};

struct giver {           /* who gave a block whose root did not come out */
	uint64_t height; /* 0: free */
	uint32_t shard;
	unsigned source;
	uint64_t generation;
	uint8_t hash[HASH_SIZE], digest[BLOCK_DIGEST_SIZE];
};

struct refusal {
	uint32_t shard;
	uint64_t height, number;
};

struct cause { /* of a shard's height whose root does not come out, as a comparison found it */
	uint64_t height; /* 0: none is known */
	char text[REASON_SIZE];
};

struct comparison; /* follow_compare.c */
struct doubts;     /* follow_doubt.c */

struct meter {
	double heights, bytes;
	uint64_t at_ms;
};

struct follow {
	struct follow_env env;
	struct follow_options options;
	uint32_t shard_count;

	/* ---- the loop's alone ---- */
	struct ingest *ingest;
	bool ingest_gone; /* what it did not report is to be let go */
	atomic_bool ingest_stop;
	uint64_t again_ms; /* when ingest may be tried again */
	struct asked asked[SYNC_REQUESTS_MAX];
	struct given
		*given; /* [given_first, given_end) of given_cap; those below `submitted` are in
			      * ingest */
	size_t given_first, given_submitted, given_end, given_cap;
	uint64_t tag_last, waiting_bytes;
	struct kept *early;
	size_t early_count, early_cap;
	struct queued *queue; /* events for the coordinator */
	size_t queue_first, queue_end, queue_cap;
	bool feeding;
	bool closing; /* nothing is asked of anybody, and no ingest begins */
	struct sync_actions actions;
	uint64_t wake_ms, due_told;
	bool anchored[SHARD_MAX];
	uint64_t head[SHARD_MAX], head_told[SHARD_MAX], head_told_ms;
	bool history_told[SHARD_MAX];
	struct giver suspects[SUSPECTS_MAX];
	size_t suspect_next;
	uint64_t generation_last;
	bool changed;
	uint64_t changed_told_ms;
	struct comparison *comparison; /* NULL: none is under way */
	struct doubts *doubts;
	uint64_t node_request_last;
	struct cause causes[SHARD_MAX];

	pthread_mutex_t reports_lock; /* guards what ingest told; a leaf */
	struct told *reports;
	size_t report_count, report_cap;
	bool report_lost; /* no memory for one */

	pthread_mutex_t follow_lock; /* guards the rest; a leaf */
	pthread_cond_t progress;
	struct sync *sync;
	struct seat seats[SYNC_SOURCES_MAX];
	struct sync_event orders[ORDERS_MAX];
	uint64_t order_last, order_done;
	struct refusal refusals[REFUSALS_MAX];
	uint64_t refusal_last;
	bool paused;
	uint64_t cap;
	char stopped[ERR_TEXT_SIZE];
	void (*on_change)(void *arg);
	void *on_change_arg;
	unsigned standing;     /* how many want to write */
	struct ingest *handed; /* ended by who stands us back */
	bool has_ingest;       /* ours, or one that is being ended */
	struct meter meters[SHARD_MAX][LANE_COUNT];
	uint64_t fetched_twice;
	uint64_t doubted; /* heights */
	uint32_t latencies[LATENCIES_MAX];
	uint64_t latency_count;
};

/* ---- follow.c ---- */
uint64_t follow_now_ms(const struct follow *f);
/* Takes the event to the coordinator, and does what it says; in turn, when that is under way. */
void follow_feed(struct follow *f, const struct sync_event *e, const char *text);
void follow_event(struct follow *f, const char *kind, const char *format, ...) PRINTF_LIKE(3, 4);
struct asked *follow_asked(struct follow *f, uint64_t request);
void follow_pump(struct follow *f);
struct queued *follow_enqueue(struct follow *f, const struct sync_event *e, const char *text);
/* A listener was called outside of follow_step(): who runs us may have to look earlier. */
void follow_listened(struct follow *f);

/* ---- follow_sources.c ---- */
/* A request is over: `fault` FAULT_KIND_COUNT: well. */
void follow_request_over(struct follow *f, struct asked *a, enum fault_kind fault,
			 const char *text);

/* ---- follow_blocks.c ---- */
/* A block of a request that is out; takes it over. */
void follow_block(struct follow *f, struct asked *a, uint64_t height, struct buf *received);
void follow_submit(struct follow *f);
void follow_hear(struct follow *f); /* what ingest told */
void follow_request_let_go(struct follow *f,
			   uint64_t request);               /* tells what became of its blocks */
void follow_ingest_tend(struct follow *f, uint64_t now_ms); /* begins, ends, stands back */
bool follow_may_begin(struct follow *f);                    /* ingest, as soon as its time comes */
void follow_compare(struct follow *f); /* what the coordinator thinks is held with what is */
void follow_blocks_release(struct follow *f);

/* ---- follow_compare.c ---- */
/* The root of this block, which names no account itself, did not come out. */
void follow_compare_begin(struct follow *f, uint32_t shard, uint64_t height);
void follow_compare_node(struct follow *f, unsigned source, uint64_t request, int rc,
			 const struct source_node *node, const char *sentence);
void follow_compare_gone(struct follow *f, unsigned source); /* it answers no more */
void follow_compare_tend(struct follow *f);
void follow_compare_release(struct follow *f);

/* ---- follow_doubt.c ---- */
int follow_doubt_new(struct follow *f) MUST_CHECK; /* -ENOMEM */
void follow_doubt_release(struct follow *f);       /* before that of blocks */
void follow_doubt_gave(struct follow *f, const struct given *g); /* a block that was taken */
/* The generation of who gave it; 0: it is not known. */
uint64_t follow_doubt_giver(const struct follow *f, uint32_t shard, uint64_t height);
const struct seat *follow_doubt_seat(const struct follow *f, uint64_t generation); /* NULL: gone */
void follow_doubt_lost(struct follow *f, uint32_t shard, uint64_t height);
void follow_doubt_liar(struct follow *f, unsigned source); /* it was banned */
/* The root of this block does not come out, whoever of two gives it: something below is false. */
void follow_doubt_root(struct follow *f, uint32_t shard, uint64_t height);
/* Is a block that is held the very one that was received, but for who signed it? */
bool follow_doubt_agrees(struct follow *f, const struct chain_peek *peek, struct slice received);
/* What a source answers; false: the request is none of these. `fault` FAULT_KIND_COUNT: none. */
bool follow_doubt_block(struct follow *f, const struct seat *seat, uint64_t request,
			struct slice received);
bool follow_doubt_over(struct follow *f, const struct seat *seat, uint64_t request,
		       enum fault_kind fault, const char *text);
void follow_doubt_gone(struct follow *f, unsigned source); /* before its place is free */
void follow_doubt_tend(struct follow *f);
uint64_t follow_doubt_due(const struct follow *f); /* ms; UINT64_MAX: when it is woken */

/* ---- follow_sight.c ---- */
void follow_meter(struct follow *f, uint32_t shard, enum lane lane, uint64_t heights,
		  uint64_t bytes, uint64_t now_ms);
void follow_latency(struct follow *f, uint64_t us);

#endif
