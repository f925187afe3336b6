/* account.h: the accounts that a shard's state is made of, warm ones with their tries.
 *
 * A handle costs little; tries are built from the account's record rows when something is first put
 * or deleted, and kept while they are warm, the least recently used going first
 * (ACCOUNTS_BYTES_MAX). Above all accounts are two upper tries, one a
 * context: (root, keys) pairs, held in full.
 *
 * A block touches accounts, then accounts_end() writes their rows and gives the roots, or
 * accounts_abort() forgets them; either may also come after the other's block has been counted as
 * done. Hyper's side of an account exists while it has retained rows; else both contexts share one.
 *
 * Account row: root20, then varints: keys, retained rows, retained records; then for each set with
 * records: its number, records, line bytes.
 * Threads  ingest. Errors  -ENOMEM, what the state says, -EUCLEAN when
 * rows and roots do not agree. */
#ifndef CHAINFS_SNAPCHAIN_ACCOUNT_H
#define CHAINFS_SNAPCHAIN_ACCOUNT_H

#include "core/chain/snapchain/rules.h"
#include "core/chain/trie.h"

/* Of warm accounts: 96 MiB where the rows that a state keeps have 64. */
#define ACCOUNTS_BYTES_MAX(st) (state_rows_max(st) / 2 * 3)

struct sc_counts {
	uint32_t records;
	uint64_t line_bytes;
};

struct account_side {
	struct account_trie *trie; /* hyper: NULL while it is legacy's */
	struct sc_counts     sets[SC_SET_COUNT];
};

struct account_root {
	uint8_t  root[HASH20_SIZE];
	uint64_t keys; /* 0: empty, and no root */
};

/* Message types whose keys are counted (snapchain-replay.md 4). */
#define SC_COUNTED_TYPES 15

struct sc_slot_units { /* storage of an account (limits.h) */
	uint32_t units[SC_UNIT_TYPES];
	uint32_t until;
};

/* Where the oldest row of a set is, so that pruning need not step over all that it has taken away
 * before. A lower bound: no row below `order` is committed. Block `pruned_in` has pruned up to
 * `pruned`, which holds from the block after it on, but for what
 * it put below that: `put` and above. */
struct sc_oldest {
	uint8_t  order[SC_ORDER_SIZE], pruned[SC_ORDER_SIZE], put[SC_ORDER_SIZE];
	uint64_t pruned_in, put_in;
};

enum sc_pruned { SC_PRUNED_CASTS, SC_PRUNED_LINKS, SC_PRUNED_REACTIONS, SC_PRUNED_COUNT };

struct account {
	uint32_t            fid;
	uint8_t             prefix[TRIE_PREFIX_SIZE];
	bool                loaded; /* tries and counts are here */
	struct account_side side[CONTEXT_COUNT];
	uint64_t            retained_rows, retained_records; /* the first counts borrows too */
	uint32_t            counts[SC_COUNTED_TYPES];        /* legacy's keys by message type */

	/* Before the block of `touched`. */
	uint64_t            touched;
	bool                changed; /* since then */
	struct account_root before[CONTEXT_COUNT];
	bool                had_row[CONTEXT_COUNT];
	uint64_t            retained_before;
	uint32_t            counts_before[SC_COUNTED_TYPES];

	/* Storage as of the block of `slot_stamp` (limits.c says how long that holds), and the
	 * block that last put or deleted what it is made of. */
	uint64_t             slot_stamp, slot_changed, slot_from;
	uint32_t             slot_until;
	bool                 slot_longer_year;
	struct sc_slot_units slot;

	struct sc_oldest oldest[SC_PRUNED_COUNT];

	/* Found once; a registration is never taken back, and a signer event forgets the signer. */
	bool    registered, has_signer;
	uint8_t signer[32];

	struct account *next_in_bucket, *newer, *older;
	uint64_t        used;
	size_t          bytes;
};

struct accounts *accounts_new(void);
void accounts_freep(struct accounts **as);
size_t accounts_bytes(const struct accounts *as); /* of those that are warm */
/* Reads every account row, as committed, into the upper tries. */
int  accounts_load(struct replay *r, struct err *err) MUST_CHECK;
/* 1: what was retained has been taken away since the last block;
 * everything must be loaded again. */
int  accounts_rebased(struct replay *r) MUST_CHECK;
void accounts_begin(struct replay *r);
int  accounts_end(struct replay *r, struct chain_result *out) MUST_CHECK;
void accounts_abort(struct replay *r);

/* The handle; NULL: no memory. Valid until the block after this one begins. */
struct account *account_of(struct replay *r, uint64_t fid);
/* Makes its tries and its counts before the block available; every change comes after this. */
int account_touch(struct replay *r, struct account *a) MUST_CHECK;
/* Hyper's side becomes a copy of legacy's, for the first retained row. */
int account_part(struct account *a) MUST_CHECK;

/* The bound of a set, as it is for this block; NULL for sets without one. */
struct sc_oldest *account_oldest(struct replay *r, struct account *a, enum sc_set set);

/* The legacy trie got a key of that first byte (by 1), or lost one (by -1). */
void account_counted(struct account *a, uint8_t trie_type, int by);

/* Keys of a message type: now, or before this block when there are none now (the stale read). */
int account_count(struct replay *r, struct account *a, int32_t type, uint64_t *out) MUST_CHECK;
/* Root after a transaction; the one before this block when the account is empty now (stale too). */
int account_root_of(struct replay *r, struct account *a, struct account_root *out) MUST_CHECK;

#define ACCOUNT_ROW_SIZE_MAX 512
/* The row of one side: of legacy's with nothing retained. */
void account_row_write(const struct account_root *root, uint64_t retained_rows,
		       uint64_t retained_records, const struct sc_counts sets[SC_SET_COUNT],
		       struct buf *out);
int account_row_read(struct slice value, struct account_root *root, uint64_t *retained_rows,
		     uint64_t *retained_records, struct sc_counts sets[SC_SET_COUNT]) MUST_CHECK;

#endif
