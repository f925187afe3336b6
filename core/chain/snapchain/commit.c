#include "core/chain/snapchain/commit.h"

#include "core/base/sign.h"
#include "core/chain/snapchain/codec.h"

#define VOTE_PRECOMMIT 1
#define VOTE_SIZE_MAX  256

/* More than two thirds of the validators, each of one weight. */
static const struct quorum_rule rule = { .num = 2, .den = 3, .strict = true, .by_count = true };

size_t sc_quorum(size_t validator_count)
{
	return quorum_least(&rule, validator_count);
}

int sc_validators_members(const struct sc_validators *v, struct quorum_member **out)
{
	*out = calloc(MAX(v->key_count, 1), sizeof **out);
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < v->key_count; i++) {
		struct quorum_member *m = &(*out)[i];

		m->scheme = SCHEME_ED25519;
		m->key_size = ED25519_KEY_SIZE;
		m->weight = 1;
		memcpy(m->key, v->keys[i], ED25519_KEY_SIZE);
	}
	return 0;
}

/* Each signer's vote, one behind the other in `votes`. They name their voter, so no two are the
 * same message. */
static int make_votes(const Sc__Commits *c, struct buf *votes, struct quorum_signature *list)
{
	/* All the memory at once: the slices stay where they are. Room for the ends of varints
	 * of the fields that the votes share is in VOTE_SIZE_MAX. */
	int rc = buf_reserve(votes, c->n_signatures * VOTE_SIZE_MAX);

	for (size_t i = 0; i < c->n_signatures && rc == 0; i++) {
		const Sc__CommitSignature *s = c->signatures[i];
		size_t begin = votes->n;

		list[i].key = sc_bytes(s->signer);
		list[i].signature = sc_bytes(s->signature);
		if (list[i].key.n != ED25519_KEY_SIZE)
			continue; /* nobody's, whatever it signs */
		wire_put_varint(votes, 1, VOTE_PRECOMMIT);
		wire_put_message(votes, 2, wire_bytes_of(&c->height->base));
		wire_put_varint(votes, 3, (uint64_t)c->round);
		wire_put_message(votes, 4, wire_bytes_of(&c->value->base));
		wire_put_bytes(votes, 5, list[i].key);
		list[i].message = slice_sub(buf_slice(votes), begin, votes->n - begin);
		rc = buf_done(votes);
	}
	return rc;
}

static int check_signatures(const struct sc_validators *v, const Sc__Commits *c,
			    struct level_result *out)
{
	static const char *const faults[QUORUM_FAULT_COUNT] = {
		[QUORUM_FORGED] = "fails",
		[QUORUM_UNKNOWN] = "is not by a validator of this height",
		[QUORUM_REPEATED] = "is by a signer who came before",
	};
	AUTO(buf_release) struct buf votes = BUF_INIT(VOTE_SIZE_MAX * c->n_signatures);
	AUTO(base_freep) struct quorum_member *members = NULL;
	AUTO(base_freep) struct quorum_signature *list = NULL;
	struct quorum_result r;

	if (c->n_signatures > v->key_count)
		return sc_say(out, VERDICT_FAILED, "commit: %zu signatures of %zu validators",
			      c->n_signatures, v->key_count);
	list = calloc(c->n_signatures, sizeof *list);
	int rc = list ? sc_validators_members(v, &members) : -ENOMEM;

	if (rc == 0)
		rc = make_votes(c, &votes, list);
	if (rc == 0)
		rc = quorum_verify(&rule, members, v->key_count, list, c->n_signatures, NULL, NULL,
				   &r, NULL);
	if (rc < 0 && rc != -EKEYREJECTED)
		return rc;
	bool bad = r.forged + r.unknown + r.repeated > 0;

	if (rc < 0)
		return sc_say(out, VERDICT_FAILED, "commit: %zu of %zu signatures, %zu needed%s%s",
			      r.valid, v->key_count, sc_quorum(v->key_count), bad ? "; one " : "",
			      bad ? faults[r.first_fault] : "");
	if (bad)
		return sc_say(out, VERDICT_FAILED, "commit: signature %zu %s", r.first_fault_at,
			      faults[r.first_fault]);
	return sc_say(out, VERDICT_OK, "%zu of %zu signatures, round %" PRIi64, r.valid,
		      v->key_count, c->round);
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

int sc_signer_set(const struct chain_params *p, uint32_t shard, uint64_t height,
		  uint8_t out[HASH_SIZE])
{
	const struct sc_validators *v = sc_validators_at(p, shard, height);
	AUTO(base_freep) struct quorum_member *members = NULL;

	if (!v)
		return -ENOENT;
	int rc = sc_validators_members(v, &members);

	return rc < 0 ? rc : quorum_set_hash(members, v->key_count, out);
}

bool sc_signers_end(const struct chain_params *p, uint32_t shard, uint64_t height)
{
	const struct sc_validators *now = sc_validators_at(p, shard, height),
				   *then = sc_validators_at(p, shard, height + 1);

	if (now == then || !now || !then)
		return now != then;
	return now->key_count != then->key_count ||
	       memcmp(now->keys, then->keys, now->key_count * sizeof *now->keys) != 0;
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
