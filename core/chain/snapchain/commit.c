#include "core/chain/snapchain/commit.h"

#include "core/base/sign.h"
#include "core/chain/snapchain/codec.h"

#define VOTE_PRECOMMIT 1
#define VOTE_SIZE_MAX  256

size_t sc_quorum(size_t validator_count)
{
	return validator_count * 2 / 3 + 1;
}

static bool is_validator(const struct sc_validators *v, struct slice key)
{
	for (size_t i = 0; i < v->key_count; i++)
		if (slice_eq(SLICE(v->keys[i], ED25519_KEY_SIZE), key))
			return true;
	return false;
}

static bool signed_before(const Sc__Commits *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(sc_bytes(c->signatures[i]->signer),
			     sc_bytes(c->signatures[n]->signer)))
			return true;
	return false;
}

/* What is wrong with signature n, or NULL. */
static const char *fault_of(const struct sc_validators *v, const Sc__Commits *c, size_t n,
			    struct slice vote)
{
	const Sc__CommitSignature *s = c->signatures[n];

	if (!is_validator(v, sc_bytes(s->signer)))
		return "is not by a validator of this height";
	if (signed_before(c, n))
		return "is by a signer who came before";
	if (s->signature.len != ED25519_SIGNATURE_SIZE ||
	    !ed25519_verify(s->signer.data, s->signature.data, vote))
		return "fails";
	return NULL;
}

static int check_signatures(const struct sc_validators *v, const Sc__Commits *c,
			    struct level_result *out)
{
	AUTO(buf_release) struct buf vote = BUF_INIT(VOTE_SIZE_MAX);
	const size_t needed = sc_quorum(v->key_count);
	const char *fault = NULL;
	size_t good = 0, fault_at = 0;

	if (c->n_signatures > v->key_count)
		return sc_say(out, VERDICT_FAILED, "commit: %zu signatures of %zu validators",
			      c->n_signatures, v->key_count);
	/* All the memory at once, so that below only a signer of no length of ours is too large. */
	if (buf_reserve(&vote, VOTE_SIZE_MAX) < 0)
		return buf_done(&vote);
	wire_put_varint(&vote, 1, VOTE_PRECOMMIT);
	wire_put_message(&vote, 2, wire_bytes_of(&c->height->base));
	wire_put_varint(&vote, 3, (uint64_t)c->round);
	wire_put_message(&vote, 4, wire_bytes_of(&c->value->base));

	const size_t shared_size = vote.n;

	for (size_t i = 0; i < c->n_signatures; i++) {
		buf_clear(&vote);
		vote.n = shared_size;
		wire_put_bytes(&vote, 5, sc_bytes(c->signatures[i]->signer));
		const char *found = fault_of(v, c, i, buf_slice(&vote));

		good += !found;
		if (found && !fault) {
			fault = found;
			fault_at = i;
		}
	}
	if (good < needed)
		return sc_say(out, VERDICT_FAILED, "commit: %zu of %zu signatures, %zu needed%s%s",
			      good, v->key_count, needed, fault ? "; one " : "",
			      fault ? fault : "");
	if (fault)
		return sc_say(out, VERDICT_FAILED, "commit: signature %zu %s", fault_at, fault);
	return sc_say(out, VERDICT_OK, "%zu of %zu signatures, round %" PRIi64, good, v->key_count,
		      c->round);
}

int sc_commit_check(const struct chain_params *p, uint32_t shard, uint64_t height,
		    const uint8_t hash[HASH_SIZE], struct slice certificate,
		    struct level_result *out)
{
	if (certificate.n == 0)
		return sc_say(out, VERDICT_ABSENT, "commit: no certificate");

	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(certificate.n));
	ProtobufCMessage *m = NULL;

	if (!arena)
		return -ENOMEM;
	int rc = wire_unpack(&sc__commits__descriptor, certificate, &sc_strict, arena, &m, NULL);

	if (rc == -EBADMSG || rc == -EMSGSIZE)
		return sc_say(out, VERDICT_FAILED, "commit: does not parse");
	if (rc < 0)
		return rc;
	const Sc__Commits *c = (const Sc__Commits *)m;
	const struct sc_validators *v = sc_validators_at(p, shard, height);

	if (c->n_signatures == 0)
		return sc_say(out, VERDICT_ABSENT, "commit: a certificate without signatures");
	if (!v)
		return sc_say(out, VERDICT_FAILED, "commit: no validators are configured");
	if (!c->height || c->height->shard_index != shard || c->height->block_number != height)
		return sc_say(out, VERDICT_FAILED, "commit: height differs");
	if (!c->value || c->value->shard_index != shard)
		return sc_say(out, VERDICT_FAILED, "commit: shard differs");
	if (!slice_eq(sc_bytes(c->value->hash), SLICE(hash, HASH_SIZE)))
		return sc_say(out, VERDICT_FAILED, "commit: hash differs");
	return check_signatures(v, c, out);
}

/* ---- who signed ---- */

size_t sc_signer_count(const struct chain_params *p, uint32_t shard, uint64_t height)
{
	const struct sc_validators *v = sc_validators_at(p, shard, height);

	return v ? v->key_count : 0;
}

static bool has_signed(const Sc__Commits *c, struct slice key)
{
	for (size_t i = 0; i < c->n_signatures; i++)
		if (slice_eq(sc_bytes(c->signatures[i]->signer), key))
			return true;
	return false;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, ED25519_KEY_SIZE);
}

int sc_render_signers(const struct chain_params *p, uint32_t shard, uint64_t height,
		      struct slice certificate, struct buf *out)
{
	const struct sc_validators *v = sc_validators_at(p, shard, height);
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(certificate.n));
	AUTO(base_freep) uint8_t *keys = v ? calloc(v->key_count, ED25519_KEY_SIZE) : NULL;
	ProtobufCMessage *m = NULL;

	if (!v)
		return 0;
	if (!arena || !keys)
		return -ENOMEM;
	int rc = wire_unpack(&sc__commits__descriptor, certificate, &sc_strict, arena, &m, NULL);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < v->key_count; i++)
		memcpy(keys + i * ED25519_KEY_SIZE, v->keys[i], ED25519_KEY_SIZE);
	qsort(keys, v->key_count, ED25519_KEY_SIZE, by_key);
	for (size_t i = 0; i < v->key_count; i++) {
		struct slice key = SLICE(keys + i * ED25519_KEY_SIZE, ED25519_KEY_SIZE);

		buf_hex(out, key);
		buf_str(out, has_signed((const Sc__Commits *)m, key) ? " 1\n" : " 0\n");
	}
	return buf_done(out);
}
