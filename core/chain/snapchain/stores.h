/* stores.h: the stores of messages that supersede each other by a
 * conflict key (snapchain-replay.md 7).
 *
 * One table row a store, one file a store beside this one. A store says what it keeps of a message
 * (facts), which key it contests (conflict), and which of two contestants wins (order); merging,
 * pruning and revoking are the same for all.
 *
 * A record's row and its selector (the row that says who holds a conflict key) are separate facts
 * and can drift apart: deleting a record deletes the selector of its conflict key without asking
 * whose it is (8.4). That is consensus.
 *
 * Answers  0, REFUSED, or a negative errno (rules.h). */
#ifndef CHAINFS_SNAPCHAIN_STORES_H
#define CHAINFS_SNAPCHAIN_STORES_H

#include "core/chain/snapchain/records.h"

struct sc_store {
	enum sc_set set;
	int32_t     add, remove; /* message types; remove 0: the store has none */
	uint8_t     add_selector, remove_selector;

	/* Fills kind, a, b and text of the record; NULL, or why the message has no place here. */
	const char *(*facts)(const struct sc_message *m, struct sc_record *out);
	/* The conflict key, behind the selector. */
	void (*conflict)(const struct sc_record *rec, struct sc_key *k);
	/* Below 0: a loses to b. A store without one compares timestamp and hash. */
	int (*order)(const struct sc_record *a, const struct sc_record *b);
	/* The account that holds the conflict key now, when it need not
	 * be the author: 1, 0, errno. */
	int (*holder)(struct replay *r, const struct sc_record *rec, uint32_t *fid);
	/* Further reasons to refuse a message before its conflicts are looked at. */
	int (*gate)(struct replay *r, const struct sc_record *rec);
	/* Indexes of an add: made and taken away with its selector. */
	int (*index)(struct replay *r, const struct sc_record *rec, bool put);
	/* What else follows once a record was replaced, resp. merged. */
	int (*replaced)(struct replay *r, const struct sc_record *old);
	int (*merged)(struct replay *r, const struct sc_record *rec);
};

extern const struct sc_store sc_casts, sc_links, sc_reactions, sc_user_data, sc_verifications,
	sc_proofs, sc_lends;

const struct sc_store *sc_store_of(int32_t type); /* NULL: the type has no such store */
const struct sc_store *sc_store_of_set(enum sc_set set);

int sc_store_merge(struct replay *r, const struct sc_store *s, const struct sc_message *m)
	MUST_CHECK;
/* Replaces whatever holds the key, whatever its order (11.1). */
int sc_store_force(struct replay *r, const struct sc_store *s, const struct sc_message *m)
	MUST_CHECK;
/* Takes a record away with the selector of its key: prune, revoke, sweep. */
int sc_store_remove(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
		    enum reason reason) MUST_CHECK;
/* Who holds the conflict key of `like` in the account: by its add or its remove selector (G). */
int sc_store_holding(struct replay *r, const struct sc_store *s, uint32_t fid,
		     const struct sc_record *like, bool remove, struct sc_record *out)
	MUST_CHECK; /* 1 found, 0 none */

bool sc_record_is_remove(const struct sc_store *s, const struct sc_record *rec);
/* Below 0: a loses to b, by the store's own order. */
int  sc_store_order(const struct sc_store *s, const struct sc_record *a,
		    const struct sc_record *b);
int  sc_order_by_place(const struct sc_record *a, const struct sc_record *b);
/* Timestamp; then a remove beats an add; then the hash. */
int  sc_order_remove_first(const struct sc_record *a, const struct sc_record *b);

#endif
