/* look.h: one question at the tree, and what was read for it so far.
 *
 * A listing asks about many neighbours, which share a block, an account, a state: a struct look
 * keeps the last of each, so that a folder costs a read, not one a file. It lives for one call.
 *
 * Heights  what a view says is held, replayed and known decides; a row that the store has and the
 *          view does not know yet is not there.
 * Errors   -ENOENT beyond what is known to exist, -ENODATA where we hold nothing, -ESTALE where
 *          what a node named is gone. */
#ifndef CHAINFS_FS_LOOK_H
#define CHAINFS_FS_LOOK_H

#include "core/store/network.h"
#include "fs/tree/accounts.h"
#include "fs/tree/sights.h"
#include "fs/tree/tree.h"

struct look {
	const struct view *view; /* NULL: the root's own rows */
	struct err        *err;

	bool               has_block;
	struct block_row   block;
	struct state      *state;
	uint32_t           state_shard;
	uint64_t           state_height;
	bool               has_account;
	struct chain_account account;
	struct scope       account_scope;
	uint64_t           account_number;
	struct span       *span; /* rows_spans.c's */
	struct sight_version *sight; /* look_sight()'s, or the one that make has taken */
};

#define LOOK_INIT(v, e) { .view = (v), .err = (e) }
void look_release(struct look *l);
void look_span_release(struct look *l);

const struct chain_ops *look_ops(const struct look *l);
const struct shard_view *look_shard(const struct look *l, uint32_t shard);

/* The block row at a height, or of a block's object id. Valid until the next of these two. */
int look_block(struct look *l, uint32_t shard, uint64_t height,
	       const struct block_row **out) MUST_CHECK;
int look_block_object(struct look *l, uint64_t object, const struct block_row **out) MUST_CHECK;
/* Is (shard, height) held? 0, -ENOENT or -ENODATA with the reason. */
int look_held(struct look *l, uint32_t shard, uint64_t height) MUST_CHECK;
int look_stat(struct look *l, uint64_t object, struct stat_record *out) MUST_CHECK;

/* The version that a node of SCOPE_SIGHT is of. -ESTALE: it is gone. Valid until the next one. */
int look_sight(struct look *l, const struct node *n,
	       const struct sight_version **out) MUST_CHECK;
/* Makes a node of the newest version. False: nobody follows the network; the node is as it was. */
bool look_sight_newest(struct look *l, struct node *n);

/* ---- states ---- */

/* Can the state of a shard be read in this context as of a height? 0, -ENOENT, -ENODATA. */
int look_readable(struct look *l, uint8_t context, uint32_t shard, uint64_t height) MUST_CHECK;
/* The same of a main height with its cuts, as at/H shows it: hyper needs each shard above its base,
 * so that it never lacks a folder that legacy has. */
int look_readable_main(struct look *l, uint8_t context, uint64_t height) MUST_CHECK;
/* The height of another shard that the main block `height` witnesses; 0: none yet. */
int look_cut(struct look *l, uint64_t height, uint32_t shard, uint64_t *out) MUST_CHECK;

/* Of SCOPE_VIEW, SCOPE_STATE and SCOPE_SPAN (its upper height): the height and time of the state,
 * and where its rows are. */
uint64_t look_height(const struct look *l, const struct scope *s);
int look_time(struct look *l, const struct scope *s, uint64_t *out) MUST_CHECK;
unsigned look_spaces(const struct look *l, const struct scope *s);
/* Scans on it, and slices of it, end before the state of another place is asked for. */
int look_state(struct look *l, const struct scope *s, struct state **out) MUST_CHECK;
/* 1 found, 0 absent: hyper's row wins over the one in `both`. */
int look_row(struct look *l, const struct scope *s, struct slice key,
	     struct slice *value) MUST_CHECK;
/* -ENOENT: no such account there. Valid until the next one. */
int look_account(struct look *l, const struct scope *s, uint64_t account,
		 const struct chain_account **out) MUST_CHECK;
/* What a row of it is a function of, as of now: before anything is read. */
void look_account_key(const struct look *l, const struct scope *s, uint64_t account,
		      struct account_key *out);
/* Accounts of a vshard. */
int look_vshard(struct look *l, const struct scope *s, unsigned vshard, uint32_t *count) MUST_CHECK;

/* ---- rows with numbers ---- */

/* Rows below a prefix in the order of their keys, each with a number that leads back to it: the
 * first bytes of its key behind the prefix, and its rank among the rows that share them. Numbers
 * ascend, are 1 or more, and are right as long as the state is the same one, which scopes promise.
 * RANKED_BYTES takes four bytes of any kind (54 bits in all). RANKED_TEXT takes four characters of
 * [a-z0-9._%-] and fits NODE_KEY_BITS: the number is a node's key where there is no object id. */
enum ranked_kind { RANKED_BYTES, RANKED_TEXT };

struct ranked {
	struct state_scan *scan;
	enum ranked_kind   kind;
	size_t             prefix_size;
	uint64_t           head, rank;
	bool               begun;
};

/* from: starts at the first row that shares the head of this number (skip what is not meant);
 * 0: all of them. */
int  ranked_open(struct state *st, unsigned spaces, struct slice prefix, enum ranked_kind kind,
		 uint64_t from, struct ranked *out) MUST_CHECK;
/* 1, 0, negative; -EOVERFLOW: more rows share a head than a number can tell apart. */
int  ranked_next(struct ranked *r, uint64_t *number, struct slice *key,
		 struct slice *value) MUST_CHECK;
/* The number of this key, which is there. */
int  ranked_number(struct state *st, unsigned spaces, struct slice prefix, enum ranked_kind kind,
		   struct slice key, uint64_t *out) MUST_CHECK;
void ranked_release(struct ranked *r);

#endif
