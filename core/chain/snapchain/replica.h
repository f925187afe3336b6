/* replica.h: a state as a Snapchain node's replication service hands it out, made into rows
 * (snapchain.md 5.3, snapchain-replay.md 17): the replica_* functions of struct chain_ops.
 *
 * replica_wire.c reads the messages, replica.c makes records of items, account by account,
 * replica_rules.c makes of them what the rules need beyond records, replica_told.c takes from
 * blocks what no record says.
 *
 * What is exact   records, accounts, roots; selectors, indexes and signers that follow from them;
 *                 channels' slots and counters; from the blocks: the sequence of block events, the
 *                 registry of channels, nonces of gasless keys.
 * What is guessed, and marked at the account (enum sc_mark)
 * Memory   the largest account, all of it (SC_ACCOUNT_MAX); what blocks told: about 1 KiB a key
 *          message, 200 bytes a channel.
 * Threads  one. */
#ifndef CHAINFS_SNAPCHAIN_REPLICA_H
#define CHAINFS_SNAPCHAIN_REPLICA_H

#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/rules.h"

#include "core/chain/snapchain/records.h"

#define SC_ACCOUNT_MAX ((size_t)2 << 30)

enum sc_mark { /* bits of a mark's value; the words are in replica_rules.c */
	       SC_MARK_SELECTORS =
		       1, /* two live records of one key: the newest is taken to hold it */
	       SC_MARK_KEY_USE = 2, /* a gasless key: its last use, by the messages that live */
	       SC_MARK_NONCES =
		       4, /* gasless keys: by those that live, without the main shard's blocks */
	       SC_MARK_NAME =
		       8, /* a username whose proof is in no trie: it was renewed, or is gone */
	       SC_MARK_SIGNERS = 16 /* signers were reset: in the order of their blocks */
};

/* The lists that a node gives of one account. */
enum sc_list {
	SC_LIST_CASTS,         /* GetAllCastMessagesByFid */
	SC_LIST_REACTIONS,     /* GetAllReactionMessagesByFid */
	SC_LIST_LINKS,         /* GetAllLinkMessagesByFid */
	SC_LIST_COMPACTS,      /* GetLinkCompactStateMessageByFid */
	SC_LIST_USER_DATA,     /* GetAllUserDataMessagesByFid */
	SC_LIST_VERIFICATIONS, /* GetAllVerificationMessagesByFid */
	SC_LIST_LENDS,         /* GetAllLendStorageMessagesByFid */
	SC_LIST_NAMES,         /* GetUserNameProofsByFid */
	SC_LIST_ONCHAIN,       /* GetOnChainEvents, event_type 1; those behind it: 2 to 6 */
	SC_LIST_COUNT = SC_LIST_ONCHAIN + 6
};

/* ---- replica_wire.c ---- */
int sc_replica_snapshot(struct slice message, size_t i, struct chain_snapshot *out,
			struct err *err);
int sc_replica_page(struct slice message, struct chain_page *out, struct err *err);
const char *sc_replica_list_name(unsigned list);
int sc_replica_list(unsigned list, struct slice message, struct chain_page *out, struct err *err);
void sc_replica_page_release(struct chain_page *p);

/* ---- replica.c ---- */
int sc_replica_new(const struct chain_params *p, uint32_t shard,
		   const struct chain_replica_sink *sink, struct chain_replica **out,
		   struct err *err);
void sc_replica_free(struct chain_replica *r);
int sc_replica_add(struct chain_replica *r, uint64_t account, const struct chain_page_item *item,
		   struct err *err);
int sc_replica_account(struct chain_replica *r, uint64_t account, const struct chain_claim *claim,
		       struct err *err);
void sc_replica_drop(struct chain_replica *r);
int sc_replica_end(struct chain_replica *r, struct chain_replica_end *out, struct err *err);

/* ---- replica_told.c ---- */
int sc_replica_below(struct chain_replica *r, const struct chain_block *b, struct err *err);
int sc_replica_main(struct chain_replica *r, const struct chain_block *b, struct err *err);
int sc_replica_add_told(struct chain_replica *r, uint64_t account, struct err *err);

enum chain_shared sc_replica_shared(uint8_t set_id);

/* ---- replica_rules.c ---- */
void sc_mark_prefix(struct buf *out);
int sc_mark_read(struct slice key, struct slice value, uint64_t *account, char text[REASON_SIZE]);

/* ---- between these files ---- */

struct sc_replica_row {          /* one record of the account; all in its arena */
	struct slice key, value; /* value: with object id 0 */
	struct slice bytes;      /* of the object */
	uint16_t form;
	uint64_t time;
	bool message; /* rec is filled */
	struct sc_record rec;
	struct slice signer, username; /* of a message; of user data that sets one */
};

struct sc_told { /* a key message of an account of this shard, in the order of block events */
	uint32_t fid;
	struct slice raw;
};

struct chain_replica {
	const struct chain_params *params;
	uint32_t shard;
	struct chain_replica_sink sink;

	/* The account whose items come. */
	uint64_t account;
	struct arena *arena;
	struct account_trie *trie;
	struct {
		struct sc_replica_row *list;
		size_t count, cap;
	} rows;
	struct buf scratch, value;

	/* The sequence of block events: numbers, newest first, of the blocks below. */
	struct {
		uint64_t *list;
		size_t count, cap;
	} seqnums;
	uint64_t below;  /* the lowest height that was given */
	uint64_t seqnum; /* the last that was applied; see seqnum_known */
	bool seqnum_known;
	bool has_main; /* blocks of the main shard told what they tell */
	struct arena *told_arena;
	struct {
		struct sc_told *list;
		size_t count, cap;
	} told;

	/* Rules' rows that many accounts contribute to, as replay would write them: a state in
	 * memory alone. */
	struct replay *shared;
	struct state *shared_state;
	uint64_t marked;
};

/* One message in the arena; *out: its bytes are `raw`'s. */
int sc_replica_message(struct arena *arena, struct slice raw, struct sc_message *out,
		       struct err *err) MUST_CHECK;
/* Rules' rows of the account, whose rows are in the order of their keys. */
int sc_replica_rules(struct chain_replica *r, struct err *err) MUST_CHECK;
int sc_replica_rule(struct chain_replica *r, const struct sc_key *key, struct slice value)
	MUST_CHECK;
/* A replay with nothing but a state in memory, in which a block has begun. */
int sc_scratch_new(const struct chain_params *p, uint32_t shard, struct replay **r,
		   struct state **st, struct err *err) MUST_CHECK;
void sc_scratch_free(struct replay **r, struct state **st);

#endif
