/* report.h: hyper against legacy at one main height: roots, what is retained, and why.
 *
 * Counts come from account rows: hyper has a row of its own of each account with retained records,
 * and only of those. An account's storage is in its own shard; what it has in another is pruned
 * there with the next of its kind, so reasons tell the two apart.
 * Errors   cuts.h; -EUCLEAN when our own rows contradict each other. Threads: any. */
#ifndef CHAINFS_HYPER_REPORT_H
#define CHAINFS_HYPER_REPORT_H

#include "core/base/json.h"
#include "core/hyper/cuts.h"

enum home { HOME_OWN, HOME_FOREIGN, HOME_COUNT }; /* is it the account's own shard? */
extern const char *const home_names[HOME_COUNT];

struct diff_shard {
	uint32_t shard;
	uint64_t height;
	struct roots_row roots;
	uint64_t base_height;
	struct chain_root base;
	uint64_t sets[SET_MAX]; /* retained, by place in chain_ops.sets */
	struct retained_count {
		uint64_t records, accounts;
	} why[SET_MAX][HOME_COUNT];
};

struct diff_report {
	const struct chain_ops *ops;
	uint64_t height, time;
	uint8_t hash[HASH_SIZE];
	struct diff_shard shards[SHARD_MAX];
	uint32_t shard_count;
};

int report_make(const struct view *v, uint64_t height, struct diff_report *out, struct err *err)
	MUST_CHECK;
/* Roots of a shard as of a height; 0: before its first block. */
int report_roots(const struct view *v, uint32_t shard, uint64_t height, struct roots_row *out,
		 struct err *err) MUST_CHECK;

void report_render(const struct diff_report *r, bool json, struct buf *out);
/* The fields of the JSON object. */
void report_json(const struct diff_report *r, struct json *j);
/* reasons.tsv: shard, set, reason, own or foreign, records, accounts. What hyper retains was
 * pruned: no other end of a record in legacy leaves it in hyper. */
void report_reasons(const struct diff_report *r, struct buf *out);

#endif
