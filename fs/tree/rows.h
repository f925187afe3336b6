/* rows.h: inside the tree: what a row knows how to answer, and what a question carries along.
 *
 * The table (tree.c) says what there is; each rows_*.c answers for the rows of one subject. A row's
 * functions see the folder or the node they are asked about and a struct look; they keep nothing.
 *
 * Errors   of make and find: -ENOENT, there is no such thing; -ENODATA, it exists and we do not
 *          hold it. A listing leaves both out; anything else ends the question.
 * Threads  any; a struct look belongs to one question. */
#ifndef CHAINFS_FS_ROWS_H
#define CHAINFS_FS_ROWS_H

#include "fs/tree/look.h"
#include "fs/tree/tree.h"

enum row {
	ROW_ROOT, ROW_ROOT_README, ROW_CTL, ROW_PLAIN, ROW_ROOT_STATUS, ROW_NETWORK,
	ROW_README, ROW_STATUS, ROW_HEAD, ROW_BY_HASH, ROW_HASH,
	ROW_CONTEXT, ROW_LANES, ROW_LANE,
	ROW_BLOCKS, ROW_BLOCK_RANGE, ROW_BLOCK_SHORT, ROW_INDEX, ROW_ITEMS_BULK,
	ROW_BLOCK, ROW_BLOCK_BYTES, ROW_COMMITS, ROW_SIGNERS, ROW_HEADER, ROW_HEADER_JSON,
	ROW_PARENT, ROW_VERIFY, ROW_OUTCOMES, ROW_ITEMS, ROW_ITEM, ROW_ITEM_BYTES,
	ROW_ROOTS, ROW_ROOTS_RANGE,
	ROW_ENVELOPES, ROW_ENVELOPE_RANGE, ROW_ENVELOPE, ROW_ENVELOPE_JSON,
	ROW_STATE, ROW_ATS, ROW_AT, ROW_STATE_SHARDS, ROW_STATE_SHARD, ROW_STATE_ROOTS,
	ROW_ACCOUNTS, ROW_VSHARD, ROW_ACCOUNT_SHORT, ROW_ACCOUNT, ROW_ACCOUNT_ROOT, ROW_COUNTS,
	ROW_LIMITS, ROW_SET, ROW_SET_BULK, ROW_RECORD, ROW_RECORD_BYTES, ROW_NAMES, ROW_NAME,
	ROW_GAPS, ROW_GAPS_SHARD, ROW_GAP, ROW_GAP_STATUS, ROW_GAP_REASON, ROW_GAP_ERROR,
	ROW_GAP_TRIES, ROW_GAP_NEXT, ROW_HEIGHTS, ROW_MAP, ROW_TRUST_LIST,
	ROW_DIFFS, ROW_LATEST, ROW_DIVERGED, ROW_DIFF, ROW_REPORT, ROW_REPORT_JSON, ROW_RETAINED,
	ROW_RETAINED_SHARD, ROW_RETAINED_ACCOUNT, ROW_RETAINED_SET, ROW_RETAINED_RECORD,
	ROW_REASONS, ROW_SPAN, ROW_SPAN_HYPER, ROW_SPAN_LEGACY, ROW_SPAN_REASONS, ROW_SPAN_REPORT,
	ROW_SPAN_REPORT_JSON,
	ROW_CHECKPOINTS, ROW_CHECKPOINT, ROW_CP_BUILDING, ROW_CP_INFO, ROW_CP_SUMS, ROW_CP_VERDICT,
	ROW_CP_BLOCKS, ROW_CP_BLOCK, ROW_CP_LEGACY, ROW_CP_LEGACY_SHARD, ROW_CP_LEGACY_PACK,
	ROW_CP_RETAINED, ROW_CP_RETAINED_SHARD, ROW_CP_RETAINED_PACK, ROW_CP_RULES,
	ROW_CP_RULES_SHARD, ROW_CP_RULES_BOTH, ROW_CP_RULES_HYPER, ROW_CP_EVIDENCE,
	ROW_CP_PARAMETERS, ROW_CP_COMMITS,
	ROW_SEGMENTS, ROW_SEGMENT,
	ROW_GAP_CLAIM, ROW_SOURCES, ROW_SOURCE, ROW_SOURCE_ADDRESS, ROW_SOURCE_ERROR,
	ROW_SOURCE_FAULTS, ROW_SOURCE_OPERATOR, ROW_SOURCE_RANGE, ROW_SOURCE_RATE,
	ROW_SOURCE_REMARK, ROW_SOURCE_SCORE, ROW_SOURCE_STATUS, ROW_SOURCE_VERSION,
	ROW_COUNT
};

/* Takes children, in order. `low` (1 .. LISTER_LOW_MAX) leads back to the place behind this child
 * by itself: a height, an account, a row's number. attr may be NULL: it is asked for when needed.
 * False: enough, stop. */
#define LISTER_LOW_BITS 54
#define LISTER_LOW_MAX  ((UINT64_C(1) << LISTER_LOW_BITS) - 1)
struct lister;
bool lister_give(struct lister *to, const char *name, const struct node *n, uint64_t low,
		 const struct attr *attr);

struct entry_ops {
	/* Rows with a plain last part: what stands there, below `folder`. `out` comes with the
	 * folder's network, scope and key, and this row. NULL: it stays so. */
	int (*make)(struct look *l, const struct node *folder, struct node *out);
	/* Rows with a {…} in their last part: the child of that name; `out` comes as above. */
	int (*find)(struct look *l, const struct node *folder, const char *name, struct node *out);
	/* Such rows that are listed: children behind the one that was given with `after`; 0: all of
	 * them. `few`: at most some dozens; listed with 0 alone, in any order. Others come in byte
	 * order, and before every other name of the folder. */
	int (*list)(struct look *l, const struct node *folder, const struct node *child,
		    uint64_t after, struct lister *to);
	bool few;
	/* `out` comes with the row's type. NULL: a folder of no time that never changes. */
	int (*attr)(struct look *l, const struct node *n, struct attr *out);
	int (*read)(struct look *l, const struct node *n, struct buf *out);
	/* Folders: the one that it stands in; `out` comes with the row of that folder, the network
	 * and scope of `n`, and key 0. NULL: it stays so. */
	int (*parent)(struct look *l, const struct node *n, struct node *out);
	/* Files with zeros that nobody wrote: the first such run of whole pages that ends above
	 * `from`, as bytes. False: none. NULL: there are no such files in this row. */
	bool (*hole)(struct look *l, const struct node *n, uint64_t from, struct range *out);
	/* Instead of read: a descriptor of the plain file on the disk that it is. */
	int (*open)(struct look *l, const struct node *n);
};

const struct tree_env *tree_env(void);

#define TEXT_SIZE_MAX  (64u << 20) /* of a file that is rendered to know its size */
#define ITEM_KIND_SIZE 32
#define LARGE_FOLDER   10000u      /* from here on only names are listed */

extern const struct entry_ops
	/* rows_root.c */
	root_ops, root_readme_ops, ctl_ops, plain_ops, root_status_ops, networks_ops,
	network_readme_ops, network_status_ops, trust_list_ops, head_ops, context_ops, lanes_ops, lane_ops,
	/* rows_hash.c */
	by_hash_ops, hash_ops,
	/* rows_ranges.c */
	blocks_ops, block_range_ops, block_short_ops, block_ops, index_ops, items_bulk_ops,
	/* rows_roots.c */
	roots_ops, roots_range_ops, envelopes_ops, envelope_range_ops, envelope_ops,
	envelope_json_ops,
	/* rows_block.c */
	block_bytes_ops, commits_ops, signers_ops, header_ops, header_json_ops, parent_ops,
	verify_ops, outcomes_ops, items_ops, item_ops, item_bytes_ops,
	/* rows_state.c */
	state_ops, ats_ops, at_ops, state_shards_ops, state_shard_ops, state_folder_ops,
	state_roots_ops,
	/* rows_accounts.c */
	vshard_ops, account_short_ops, account_ops, account_root_ops, counts_ops, limits_ops,
	set_ops, set_bulk_ops, record_ops, record_bytes_ops,
	/* rows_names.c */
	name_ops,
	/* rows_gaps.c */
	gaps_ops, gaps_shard_ops, gap_ops, gap_status_ops, gap_reason_ops, gap_error_ops,
	gap_tries_ops, gap_next_ops, gap_claim_ops, heights_ops, map_ops,
	/* rows_sources.c */
	sources_ops, source_ops, source_file_ops,
	/* rows_diffs.c */
	diffs_ops, latest_ops, diverged_ops, diff_ops, report_ops, report_json_ops, retained_ops,
	reasons_ops, retained_shard_ops, retained_account_ops, retained_set_ops,
	retained_record_ops,
	/* rows_spans.c */
	span_ops, span_file_ops,
	/* rows_checkpoints.c */
	checkpoints_ops, checkpoint_ops, cp_building_ops, cp_file_ops, cp_folder_ops, cp_shard_ops,
	cp_block_ops, cp_pack_ops, cp_commits_ops,
	/* rows_segments.c */
	segments_ops, segment_ops;

/* ---- shared between the rows ---- */

/* rows_root.c: of the newest block that any shard holds; 0: none. */
uint64_t newest_time(const struct view *v);
/* rows_ranges.c: held heights of a view. First one at or above `height`; 0: none. */
uint64_t held_from(const struct gaps *g, uint64_t height);
/* Is every height of the range held? */
bool held_whole(const struct shard_view *sv, struct range r);
/* Time of the newest block that is held in a range of blocks/; 0: none. */
int held_time(struct look *l, uint32_t shard, struct range r, uint64_t *out) MUST_CHECK;
/* rows_block.c: the node of a block's folder. */
int node_of_block(struct look *l, struct node *n, const struct block_row *row) MUST_CHECK;

/* The same file wherever it is listed. */
void node_of_object(struct node *n, enum row row, uint64_t object);
/* As of this view; a file that is the same in both contexts stands in legacy's scope. */
void node_of_view(const struct look *l, struct node *n);
void node_common(struct node *n);

/* rows_block.c: what there is to see of an object. */
enum object_view { OBJECT_JSON, OBJECT_LINE, OBJECT_BYTES };
int object_attr(struct look *l, uint64_t object, enum object_view as, struct attr *out) MUST_CHECK;
int object_read(struct look *l, uint64_t object, enum object_view as, struct buf *out) MUST_CHECK;
/* "000003-cast-add-27f49c69" of item `index` of a block. */
#define ITEM_NAME_SIZE 128
int item_name(struct look *l, const struct block_row *row, uint32_t index,
	      char out[ITEM_NAME_SIZE]) MUST_CHECK;
/* Hash of an object that is an item or inside of one; size 0: it has none. */
int object_hash(struct look *l, uint64_t object, uint8_t hash[HASH_SIZE],
		uint8_t *hash_size) MUST_CHECK;
/* The block of a verify or outcomes.tsv, which is of a view or of an object. */
int settling_row(struct look *l, const struct node *n, const struct block_row **out) MUST_CHECK;
/* Renders every item of a block, a line each. */
int items_lines(struct look *l, const struct block_row *row, struct buf *out) MUST_CHECK;

/* rows_state.c: what is to be said of a folder as of a scope: its time. */
int time_attr(struct look *l, const struct node *n, struct attr *out) MUST_CHECK;
/* rows_state.c: the scope of another shard's state beside this main one's: of the same view, or cut
 * as the main block witnesses it. -ENODATA: not replayed so far. */
int scope_of_shard(struct look *l, struct scope *s, uint32_t shard) MUST_CHECK;

/* rows_accounts.c: an account's folder: which of its sets has that name; -ENOENT: none. */
int set_of_name(const struct chain_ops *ops, const char *name, size_t size);
#define SET_BITS 5
static_assert(SET_MAX <= 1 << SET_BITS && 32 + SET_BITS <= NODE_KEY_BITS,
	      "an account and a set do not fit a key");
/* An account and one of its sets as a key. */
static inline uint64_t set_key(uint64_t account, size_t set)
{
	return account << SET_BITS | set;
}
static inline uint64_t key_account(uint64_t key)
{
	return key >> SET_BITS;
}
static inline size_t key_set(uint64_t key)
{
	return key & ((1u << SET_BITS) - 1);
}
int set_parent(struct look *l, const struct node *n, struct node *out) MUST_CHECK;
/* The records of one set in given spaces: all, as the very nodes of ROW_RECORD, and one by name. */
int records_list(struct look *l, const struct scope *scope, unsigned spaces,
		 uint64_t set_of_account, uint64_t after, struct lister *to) MUST_CHECK;
int record_object(struct look *l, const struct scope *scope, unsigned spaces,
		  uint64_t set_of_account, const char *name, const char *suffix,
		  uint64_t *object) MUST_CHECK;

#endif
