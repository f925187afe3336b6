/* span.h: what each context gained and lost between two main heights, record by record.
 *
 * Net, as `diff -r CONTEXT/at/FROM CONTEXT/at/TO` has it: a record that came and went in between is
 * not told, and one whose bytes differ at the two heights is lost and gained. Every line is a
 * record of a shard, which is cut at the two heights as at/FROM and at/TO cut it:
 *
 *     sign    + gained, - lost
 *     shard   two digits
 *     height  of that shard: the block that put or deleted it last; ten digits, as the account
 *     account, set, name of the record's file
 *     reason  why: merged; or what took it (enum reason)
 *
 * in the order shard, height, account, set, name, and lost before gained. The reason of a loss in
 * hyper is never pruned.
 * Candidates are the change lists of the blocks in between; whether a record is there is asked of
 * the two states. Memory: SPAN_MEMORY_MAX and twice the lines.
 * Errors   cuts.h; -EFBIG: more than can be told at once, with a smaller span in the sentence;
 *          -EINTR; -EUCLEAN. Threads: any. */
#ifndef CHAINFS_HYPER_SPAN_H
#define CHAINFS_HYPER_SPAN_H

#include <stdatomic.h>

#include "core/hyper/report.h"

#define SPAN_MEMORY_MAX (256u << 20) /* of the changes in one shard */

struct span_shard {
	uint32_t shard;
	uint64_t from, to; /* heights of the shard */
	struct roots_row before, after;
	uint64_t records[CONTEXT_COUNT][2]; /* lost, gained */
};

struct span {
	const struct chain_ops *ops;
	uint64_t from, to; /* main heights */
	uint8_t from_hash[HASH_SIZE], to_hash[HASH_SIZE];
	uint64_t from_time, to_time;
	struct span_shard shards[SHARD_MAX];
	uint32_t shard_count;
	uint64_t reasons[CONTEXT_COUNT][2][REASON_COUNT]; /* lost, gained */
	struct buf lines[CONTEXT_COUNT];                  /* as above */
};

struct span_options {
	uint64_t from, to; /* from may be 0: the empty state */
	bool contexts[CONTEXT_COUNT];
	bool one_shard; /* only this one: */
	uint32_t shard;
	size_t lines_size_max;   /* of each context */
	const atomic_bool *stop; /* NULL: nobody stops it */
};

int span_make(const struct view *v, const struct span_options *o, struct span *out, struct err *err)
	MUST_CHECK;
void span_release(struct span *s);

void span_report(const struct span *s, bool json, struct buf *out);
/* The fields of the JSON object. */
void span_json(const struct span *s, struct json *j);
/* A line a (context, sign, reason) that there is, with how many records. */
void span_reasons(const struct span *s, struct buf *out);

#endif
