/* inside.h: what the files of fsck share. It reads families row by row as the store keeps them, so
 * it knows the inside of core/store; nobody else outside of that folder does. */
#ifndef CHAINFS_FSCK_INSIDE_H
#define CHAINFS_FSCK_INSIDE_H

#include "core/fsck/fsck.h"
#include "core/ingest/pipeline.h"
#include "core/store/blocks.h"
#include "core/store/inside.h"
#include "core/store/stats.h"

#define VALUE_BYTES_MAX (512u << 20)

enum fix_kind { FIX_DAMAGED, FIX_REBUILD, FIX_HASH, FIX_RECOUNT, FIX_LOSS };

struct fix {
	uint8_t kind; /* enum fix_kind */
	uint32_t shard;
	uint64_t height;
	uint32_t item; /* of FIX_HASH */
	uint8_t prefix[8];
};

struct sums { /* of a shard's held blocks */
	uint64_t items, bytes, refused_items;
	bool refused_known; /* every block decoded, and none waits to be healed */
};

struct fsck_fixes {
	struct fix *list;
	size_t count, cap;
	struct sums sums[SHARD_MAX];
};

/* What is found of one shard while its blocks are walked. */
struct walked {
	struct sums sums;
	uint64_t rows;                  /* of held heights */
	uint64_t replayed;              /* held blocks that say they are in the state */
	uint64_t changes[REASON_COUNT]; /* as shard_view.changes */
	uint64_t groups;                /* stat groups found as they have to be */
	bool groups_odd;                /* some objects stand in other groups */
	bool holes;                     /* held heights without a row: indexes say more than rows */
	uint32_t *hashes;               /* rows found, by height / RANGE_SIZE */
	size_t hash_buckets;
	uint64_t *bad; /* heights whose bytes say nothing, ascending */
	size_t bad_count, bad_cap;
	bool has_prev;
	uint64_t prev_height;
	uint8_t prev_hash[HASH_SIZE];
};

struct frame_bytes { /* the frame unpacked last */
	struct segment_ref ref;
	uint8_t *bytes;
	int rc;
	struct err why;
};

struct fsck {
	struct network *network;
	const struct chain_ops *ops;
	const struct fsck_options *options;
	struct fsck_counts *counts;
	struct fsck_fixes *fixes;
	uint64_t lines; /* reported one by one */

	/* The moment: the view as its rows say it, and iterators made together. */
	struct view *view;
	struct branches branches;
	struct segments_end end;
	uint64_t carriers;
	struct db_iter *walk[FAMILY_COUNT], *look[FAMILY_COUNT], *walk_hyper;

	struct walked walked[SHARD_MAX];
	struct frame_bytes frame;
	struct pipeline *pipeline;
	uint64_t *referenced; /* unpacked bytes that rows refer to, by segment */
	struct buf scratch;
};

/* ---- fsck.c ---- */
struct at { /* where a fault is */
	uint32_t shard;
	uint64_t height;
};
#define NOWHERE(s) ((struct at){ (s), FSCK_NOWHERE })
#define AT(s, h)   ((struct at){ (s), (h) })

void fault(struct fsck *k, enum fsck_class class, const char *part, struct at at, bool repairable,
	   const char *format, ...) PRINTF_LIKE(6, 7);
/* Remembers what a repair would do; false: there is no room, or no need. */
bool fix(struct fsck *k, struct fix f);
void progress(struct fsck *k, const char *stage, uint64_t done, uint64_t total);
int stopped(struct fsck *k); /* -EINTR or 0 */
/* A family cannot be read any further: said once; 0, or -ENOMEM. */
int unreadable(struct fsck *k, enum family family, int rc, const struct err *why);
/* The row of exactly this key as of the moment: 1, 0, negative. */
int look_up(struct fsck *k, enum family family, struct short_key key, struct slice *value);
/* 1: there is a row of the height, held or waiting; it parses. */
int look_block_row(struct fsck *k, uint32_t shard, uint64_t height, struct block_row *out);
/* As network_stat(), as of the moment. blocks.c */
int find_stat(struct fsck *k, uint64_t object, struct stat_record *out);
bool walked_is_bad(const struct walked *w, uint64_t height);

/* ---- the walks, in this order; each reports and goes on ---- */
int walk_blocks(struct fsck *k)
	MUST_CHECK;                        /* blocks.c: and all that follows from a block's bytes */
int walk_index(struct fsck *k) MUST_CHECK; /* index.c: stat records and hashes, back to blocks */
int walk_replay(struct fsck *k)
	MUST_CHECK;                        /* replay.c: what replay left, carried bytes, counters */
int walk_state(struct fsck *k) MUST_CHECK; /* state.c: rows, roots, deaths */
int walk_segments(struct fsck *k) MUST_CHECK; /* segments.c */
int walk_checkpoints(struct fsck *k) MUST_CHECK;
int walk_pins(struct fsck *k) MUST_CHECK;

/* A block as a job that is not checked yet: 0; -EBADMSG with the reason; negative. blocks.c */
int block_job(struct fsck *k, const struct block_row *row, struct job **out, struct err *why);
/* A piece's frame, unpacked and kept until the next one: 0, -EBADMSG. */
int piece_bytes(struct fsck *k, const struct segment_ref *ref, struct slice *canonical,
		struct slice *certificate, struct err *why);

#endif
