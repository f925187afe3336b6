/* keyspace.h: the keys of every row that replay keeps, spelled once.
 *
 *   'R' vshard fid4 set order    a record: one file in an account's folder
 *   'A' vshard fid4              an account: root, counts (account.h)
 *   'V' vshard                   how many accounts a vshard has: be32
 *   'X' …                        what the rules need beyond records; behind the X the bytes are
 *                                those of upstream's own keys: what collides is part of the rules
 *   'K' set fid4 …               retained records by conflict key, in SPACE_HYPER alone (hyper.h)
 *
 * order: timestamp4 hash20 for messages, type block4 log4 for onchain events, the escaped name for
 * fnames. An account is the fid cut to 32 bits, everywhere: that is consensus.
 * The last part of an X key, where users choose its size, is hashed when it is longer than 32 bytes
 * (then 33: a zero byte first): every key has a bound, and none collides that did not before.
 * The marker 'H' stands in SPACE_HYPER while anything is retained (account.c).
 * Memory   a struct sc_key is a value. Pure functions, any thread. */
#ifndef CHAINFS_SNAPCHAIN_KEYSPACE_H
#define CHAINFS_SNAPCHAIN_KEYSPACE_H

#include "core/chain/chain.h"
#include "core/chain/trie.h"

/* The sets of an account; the names and their order are sc_sets in
 * listing.c, the key byte is + 1. */
enum sc_set {
	SC_SET_BORROWS, SC_SET_CASTS, SC_SET_CHANNEL_MEMBERS, SC_SET_CHANNEL_MODERATIONS,
	SC_SET_CHANNEL_PINS, SC_SET_CHANNEL_UPDATES, SC_SET_FNAMES, SC_SET_KEYS, SC_SET_LENDS,
	SC_SET_LINK_COMPACTS, SC_SET_LINKS, SC_SET_ONCHAIN, SC_SET_REACTIONS, SC_SET_USER_DATA,
	SC_SET_PROOFS, SC_SET_VERIFICATIONS,
	SC_SET_COUNT
};
static_assert(SC_SET_COUNT <= SET_MAX, "more sets than an account row has room for");

#define SC_KEY_MAX      248
#define SC_NAME_MAX     200 /* of an escaped name; longer ones are listed by their hash */
#define SC_ORDER_SIZE   (4 + HASH20_SIZE)
#define SC_RECORD_HEAD  (1 + TRIE_PREFIX_SIZE + 1) /* what stands before the order */

struct sc_key {
	uint16_t n;
	uint8_t  p[SC_KEY_MAX];
};

static inline struct slice sc_key_slice(const struct sc_key *k)
{
	return SLICE(k->p, k->n);
}

/* vshard ‖ fid4: how the trie and the rows name an account. */
void sc_prefix(uint64_t fid, uint8_t out[TRIE_PREFIX_SIZE]);
uint32_t sc_fid_hash(uint64_t fid); /* what vshard and shard are taken from */

/* Building blocks, for keys and for the conflict keys of stores. */
void sc_key_bytes(struct sc_key *k, const void *p, size_t n);
void sc_key_u8(struct sc_key *k, uint8_t v);
void sc_key_be32(struct sc_key *k, uint32_t v);
void sc_key_tail(struct sc_key *k, struct slice s); /* hashed when longer than 32 bytes */

/* ---- records and accounts ---- */
void sc_key_set(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set);
void sc_key_record(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set,
		   const uint8_t order[SC_ORDER_SIZE]);
void sc_key_onchain(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type,
		    uint32_t block, uint32_t log);
void sc_key_onchain_type(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type);
void sc_key_account_records(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE]);
void sc_key_account(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE]);
void sc_key_vshard(struct sc_key *k, uint8_t vshard);

/* Bytes of a name outside [a-z0-9._-] as %xx; "%h" and the hash when that is empty or too long. */
void sc_name_escape(struct slice name, char out[SC_NAME_MAX + 1]);
bool sc_name_listable(struct slice escaped); /* could sc_name_escape() have made this? */
/* The part of a name that its trie key tells apart: zero bytes behind
 * short ones are padding there. */
struct slice sc_name_padless(struct slice name);
void sc_key_fname_record(struct sc_key *k, const uint8_t prefix[TRIE_PREFIX_SIZE],
			 struct slice name);

/* ---- what the rules need beyond records ---- */
/* The conflict key follows. */
void sc_key_selector(struct sc_key *k, uint32_t fid, uint8_t selector);
void sc_key_compact(struct sc_key *k, uint32_t fid, struct slice link_type);
void sc_key_link_type(struct sc_key *k, struct slice link_type); /* padded or cut to 8 bytes */
void sc_key_proof_owner(struct sc_key *k, struct slice name);
void sc_key_by_address(struct sc_key *k, struct slice address); /* fid4 follows */
void sc_key_fname(struct sc_key *k, struct slice name);
/* The marker of a name without owner. */
void sc_key_fname_gone(struct sc_key *k, struct slice name);
void sc_key_names(struct sc_key *k);
void sc_key_signer(struct sc_key *k, uint32_t fid, struct slice key);
void sc_key_custody(struct sc_key *k, uint32_t fid);
void sc_key_channel(struct sc_key *k, struct slice channel_key);
void sc_key_channel_label(struct sc_key *k, const uint8_t label[32]);
/* Accounts of which something was guessed (replica.h); fid4 follows. */
void sc_key_marks(struct sc_key *k);
void sc_key_block_seqnum(struct sc_key *k);

/* Keys that an owner signed for without an onchain event (snapchain-replay.md 12). */
enum sc_gasless {
	SC_GASLESS_USER_NONCE = 0x66, SC_GASLESS_APP_NONCE = 0x67, SC_GASLESS_USED = 0x68,
	SC_GASLESS_RECORD = 0x69, SC_GASLESS_OWNER = 0x6a, SC_GASLESS_COUNT = 0x6b
};
/* key NULL: a row of the account alone. SC_GASLESS_OWNER has the key alone. */
void sc_key_gasless(struct sc_key *k, enum sc_gasless what, uint32_t fid, const uint8_t key[32]);

enum sc_slot { /* snapchain-replay.md 2: 18 ix */
	SC_SLOT_UPDATE = 1, SC_SLOT_MEMBER, SC_SLOT_PIN, SC_SLOT_MODERATE,
	SC_SLOT_MEMBER_COUNT, SC_SLOT_MODERATE_COUNT, SC_SLOT_MODERATORS
};
void sc_key_slot(struct sc_key *k, enum sc_slot slot,
		 const uint8_t channel[32]); /* suffix follows */

/* What tells a row's key from nearly all others: of a hash a byte is enough beside account, set and
 * time, and two beside account and set. */
size_t sc_key_short(struct slice key);

/* ---- retained records ---- */
void sc_key_retained(struct sc_key *k, enum sc_set set, uint32_t fid,
		     const struct sc_key *conflict);

#endif
