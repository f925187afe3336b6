/* names.h: fnames, the names that a registry off the chain gives out (snapchain-replay.md 10).
 *
 * A name's newest proof is a rule row, found by the name; a proof for fid 0 is a marker that the
 * name has no owner, kept apart so that names/ lists owners. Row: varint type, varint fid, varint
 * timestamp, blob owner, blob signature, blob name.
 * The name in its account's folder is a record of its own, present as long as its trie key is: a
 * renewal takes both away, by the rules. Its value behind the head: varint timestamp, blob name. */
#ifndef CHAINFS_SNAPCHAIN_NAMES_H
#define CHAINFS_SNAPCHAIN_NAMES_H

#include "core/chain/snapchain/records.h"

#define SC_FNAME_TYPE \
	1 /* of three kinds of username proofs; the only one in the trie by its name */
#define SC_NAME_SIZE_MAX (TRIE_REST_MAX - 1)

struct sc_fname {
	uint64_t     type, fid, timestamp;
	struct slice owner, signature, name;
};

int sc_fname_read(struct slice value, struct sc_fname *out) MUST_CHECK; /* -EUCLEAN */
void sc_fname_encode(const struct sc_fname *f, struct buf *out);
void sc_fname_of(const Sc__UserNameProof *p, struct sc_fname *out);
int sc_fname_get(struct replay *r, struct slice name, struct sc_fname *out)
	MUST_CHECK; /* G: 1, 0 */
int sc_fname_trie_rest(struct slice value, uint8_t out[TRIE_REST_MAX]) MUST_CHECK;

/* What its bytes and the registry's signature say against a proof, or NULL. */
const char *sc_fname_fault(const struct chain_params *params, const Sc__UserNameProof *p);
/* The record in the account's folder that a proof becomes. */
void sc_fname_row(const Sc__UserNameProof *p, uint64_t object, uint32_t line_size,
		  struct sc_key *key, struct buf *value);
int sc_fname_transfer(struct replay *r, const Sc__FnameTransfer *t) MUST_CHECK;

#endif
