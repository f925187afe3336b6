/* keys.h: signing keys that a custody address grants by message,
 * without gas (snapchain-replay.md 12).
 *
 * The record of a live key: order24 of its KEY_ADD, varints request
 * fid, ttl, scopes (bit t: type t). */
#ifndef CHAINFS_SNAPCHAIN_KEYS_H
#define CHAINFS_SNAPCHAIN_KEYS_H

#include "core/chain/snapchain/records.h"

struct sc_gasless_key {
	const uint8_t *order; /* of the KEY_ADD */
	uint64_t       request_fid, scopes;
	uint32_t       ttl;
};

int sc_gasless_get(struct replay *r, uint32_t fid, const uint8_t key[32],
		   struct sc_gasless_key *out) MUST_CHECK;

/* Who asked for the key, by the request in a KEY_ADD; false: it does not parse. */
bool sc_key_requester(const Sc__KeyAddBody *b, uint64_t *fid);
/* The record of the key that a KEY_ADD makes live; false: a scope that is no type. */
bool sc_gasless_encode(const struct sc_message *m, uint64_t request_fid, struct buf *out);

/* KEY_ADD and KEY_REMOVE. foreign: the request's fid may be registered on another shard, as a data
 * shard has it; shard 0 asks for its custody. */
/* Set and facts of the record; false: not the body of its type. */
bool sc_key_facts(const struct sc_message *m, struct sc_record *out);
int sc_key_merge(struct replay *r, const struct sc_message *m, bool foreign) MUST_CHECK;

#endif
