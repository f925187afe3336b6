/* params.h: what a Snapchain network is configured with: who signs, and the limits of storage.
 *
 * Immutable after params_parse; read by any thread. */
#ifndef CHAINFS_SNAPCHAIN_PARAMS_H
#define CHAINFS_SNAPCHAIN_PARAMS_H

#include "core/chain/chain.h"

#define SC_UNIT_TYPES  3 /* legacy, 2024, 2025 */
#define SC_STORE_LIMITS 7 /* casts, links, reactions, user data, proofs, verifications, lends */

enum sc_network { SC_MAINNET = 1, SC_TESTNET = 2, SC_DEVNET = 3 };

struct sc_validators { /* snapchain.md 2.3 */
	uint64_t effective_at; /* height of the shard */
	uint32_t shard_bits;   /* bit s: the entry names shard s */
	uint8_t (*keys)[32];
	size_t   key_count;
};

struct chain_params {
	uint32_t network;     /* enum sc_network, or a number we know nothing of: rules of devnet */
	uint32_t data_shards; /* shards 1..data_shards beside shard 0 */
	struct sc_validators *validators;
	size_t   validators_count;
	uint32_t limits[SC_UNIT_TYPES][SC_STORE_LIMITS];
	uint8_t  fname_signer[20];
	uint64_t wall_clock;  /* unix s against which units expire; 0: the block's own time */
};

/* The validator set that signs (shard, height); NULL when the configuration names none. */
const struct sc_validators *sc_validators_at(const struct chain_params *p, uint32_t shard,
					     uint64_t height);

/* chain_ops of this kind. The text is JSON with fc_network, num_shards (data shards), and as wanted
 *     validators    [{effective_at, shard_ids: [0, …], public_keys: ["hex", …]}, …]
 *     limits        {"0": [7 numbers], …} by unit type, in the order of SC_STORE_LIMITS
 *     fname_signer  address;  wall_clock  unix seconds
 * Other members are ignored. -EINVAL with a sentence for a member of a wrong type. */
int  sc_params_parse(struct slice text, struct chain_params **out, struct err *err) MUST_CHECK;
int  sc_params_write(const struct chain_params *p, struct buf *out) MUST_CHECK;
void sc_params_free(struct chain_params *p);

#endif
