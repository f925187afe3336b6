#include "core/chain/snapchain/forge/forge_votes.h"

#include "core/chain/snapchain/commit.h"
#include "proto/wire.h"

#define PRECOMMIT     1
#define VOTE_SIZE_MAX 256

static int by_key(const void *a, const void *b)
{
	return memcmp(((const struct forge_key *)a)->key, ((const struct forge_key *)b)->key,
		      ED25519_KEY_SIZE);
}

void forge_validators_of(uint64_t seed, uint32_t count, struct forge_validators *out)
{
	assert(count > 0 && count <= FORGE_VALIDATORS_MAX);
	out->count = count;
	out->dice = forge_dice_of(seed, "votes", 0);
	for (uint32_t i = 0; i < count; i++)
		forge_key_of(seed, "validator", i, &out->keys[i]);
	qsort(out->keys, count, sizeof *out->keys, by_key);
}

void forge_put_height(struct buf *out, uint32_t number, uint32_t shard, uint64_t height)
{
	size_t size = (shard ? 1 + varint_size(shard) : 0) + (height ? 1 + varint_size(height) : 0);

	buf_varint(out, number << 3 | WIRE_BYTES);
	buf_varint(out, size);
	wire_put_varint(out, 1, shard);
	wire_put_varint(out, 2, height);
}

/* ShardHash{shard, hash} as a field. */
static void put_value(struct buf *out, uint32_t number, uint32_t shard,
		      const uint8_t hash[HASH_SIZE])
{
	size_t size = (shard ? 1 + varint_size(shard) : 0) + 2 + HASH_SIZE;

	buf_varint(out, number << 3 | WIRE_BYTES);
	buf_varint(out, size);
	wire_put_varint(out, 1, shard);
	wire_put_bytes(out, 2, SLICE(hash, HASH_SIZE));
}

void forge_certificate(struct forge_validators *v, uint32_t shard, uint64_t height,
		       const uint8_t hash[HASH_SIZE], uint32_t away, struct buf *out)
{
	AUTO(buf_release) struct buf vote = BUF_INIT(VOTE_SIZE_MAX);
	uint32_t quorum = (uint32_t)sc_quorum(v->count);

	if (away > v->count || v->count - 1 < quorum)
		away = 0;
	uint32_t spare = v->count - quorum - (away ? 1 : 0);
	uint64_t round = away && (height - 1) % v->count == away - 1;

	forge_put_height(out, 1, shard, height);
	wire_put_varint(out, 2, round);
	put_value(out, 3, shard, hash);
	for (uint32_t i = 0; i < v->count; i++) {
		const struct forge_key *k = &v->keys[i];
		uint8_t signature[ED25519_SIGNATURE_SIZE];

		if (i + 1 == away)
			continue;
		if (spare && forge_below(&v->dice, 2)) {
			spare--;
			continue;
		}
		buf_clear(&vote);
		wire_put_varint(&vote, 1, PRECOMMIT);
		forge_put_height(&vote, 2, shard, height);
		wire_put_varint(&vote, 3, round);
		put_value(&vote, 4, shard, hash);
		wire_put_bytes(&vote, 5, SLICE_ARRAY(k->key));
		ed25519_sign(k->secret, buf_slice(&vote), signature);

		buf_clear(&vote);
		wire_put_bytes(&vote, 1, SLICE_ARRAY(k->key));
		wire_put_bytes(&vote, 2, SLICE_ARRAY(signature));
		wire_put_message(out, 4, buf_slice(&vote));
		if (vote.failed && !out->failed)
			out->failed = vote.failed;
	}
}
