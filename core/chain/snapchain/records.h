/* records.h: record rows: put, deleted and retained, in both contexts at once.
 *
 * Every record of an account is one row and one trie key, so that the trie can be built again from
 * the rows; the rows hold what the rules need later, so that no rule ever reads block bytes. Value:
 *
 *   varint object, varint line size, varint type, varint kind, varint a, varint b, blob text
 *
 * What kind, a, b and text say is the store's (stores.h) resp. onchain.c's; type is the message's,
 * or that of the onchain event. A lend stands twice, under its author
 * and, as a borrow, under who gets it.
 *
 * Putting a record that is there, and deleting one that is not, changes nothing and says 0: the
 * chain names such records. What is pruned is retained by hyper; a retained record that is merged
 * again is held by both again.
 * Threads  ingest. */
#ifndef CHAINFS_SNAPCHAIN_RECORDS_H
#define CHAINFS_SNAPCHAIN_RECORDS_H

#include "core/chain/snapchain/account.h"

struct sc_record {
	uint8_t      prefix[TRIE_PREFIX_SIZE];
	enum sc_set  set;
	uint8_t      order[SC_ORDER_SIZE]; /* timestamp4 hash20 */
	uint64_t     object;
	uint32_t     line_size;
	uint32_t     type;
	uint32_t     kind;
	uint64_t     a, b;
	struct slice text; /* borrows from the message or the row */
};

static inline uint32_t sc_record_time(const struct sc_record *rec)
{
	return get_be32(rec->order);
}

static inline uint32_t sc_record_fid(const struct sc_record *rec)
{
	return get_be32(rec->prefix + 1);
}

/* Account, order and type of a message with content and a hash of 20 bytes; the rest is zero. */
void sc_record_order(const struct sc_message *m, struct sc_record *out);
/* Set and facts, by the store that would take the message; or why none would. */
const char *sc_record_facts(const struct sc_message *m, struct sc_record *out);
/* The value of its row. */
void sc_record_encode(const struct sc_record *rec, struct buf *out);
/* Order, object and line size of a message that is being merged; set and facts are the store's. */
void sc_record_begin(const struct replay *r, const struct sc_message *m,
		     const uint8_t prefix[TRIE_PREFIX_SIZE], struct sc_record *out);
int sc_record_decode(struct slice key, struct slice value, struct sc_record *out)
	MUST_CHECK; /* -EUCLEAN */
/* The record of a message set by its place; 1 found, 0 absent. */
int  sc_record_get(struct replay *r, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set,
		   const uint8_t order[SC_ORDER_SIZE], struct sc_record *out) MUST_CHECK; /* G */

/* 1 done, 0 nothing to do. `conflict` is the record's conflict key, by
 * which hyper finds it again. */
int sc_record_put(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict)
	MUST_CHECK;
int sc_record_delete(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict,
		     enum reason reason) MUST_CHECK;
/* Takes a retained record out of hyper. */
int sc_record_drop(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict,
		   enum reason reason) MUST_CHECK;

/* Rows that are no messages: onchain events and names. `rest`: the trie key behind the prefix. */
struct sc_row {
	struct account *account;
	enum sc_set     set;
	struct sc_key   key;
	struct slice    value, rest; /* rest empty: another row has the trie key */
	uint64_t        object;
	uint32_t        line_size;
	bool            told; /* sc_object_key() makes the key of the object's bytes */
};
int sc_row_put(struct replay *r, const struct sc_row *row)
	MUST_CHECK; /* 2: it was retained until now */
int sc_row_delete(struct replay *r, const struct sc_row *row, enum reason reason) MUST_CHECK;

/* What stands first in every value. */
void sc_value_head(struct buf *out, uint64_t object, uint32_t line_size, uint32_t type);

/* Trie key behind the prefix of any record row. Its size, or -EUCLEAN. */
int sc_record_trie_rest(struct slice key, struct slice value, uint8_t out[TRIE_REST_MAX])
	MUST_CHECK;

#endif
