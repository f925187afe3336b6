#include "core/sync/quorum.h"

#include "core/base/hash.h"
#include "core/base/sign.h"

const char *const quorum_scheme_names[SCHEME_COUNT] = {
	[SCHEME_ED25519] = "ed25519",
	[SCHEME_SECP256K1_RECOVER] = "secp256k1-recover",
	[SCHEME_SECP256K1] = "secp256k1",
	[SCHEME_BLS12381] = "bls12381",
};

/* ---- schemes ---- */

static bool check_ed25519(struct slice key, struct slice signature, struct slice message)
{
	return key.n == ED25519_KEY_SIZE && signature.n == ED25519_SIGNATURE_SIZE &&
	       ed25519_verify(key.p, signature.p, message);
}

static bool check_recover(struct slice key, struct slice signature, struct slice message)
{
	static const uint8_t nobody[ETH_ADDRESS_SIZE];
	uint8_t rsv[ETH_SIGNATURE_SIZE], address[ETH_ADDRESS_SIZE];

	if (key.n != ETH_ADDRESS_SIZE || signature.n != sizeof rsv || message.n != 32)
		return false;
	memcpy(rsv, signature.p, sizeof rsv);
	uint8_t *v = &rsv[sizeof rsv - 1];

	if (*v == 0 || *v == 1)
		*v += 27;
	if (*v != 27 && *v != 28)
		return false;
	return eth_recover(message.p, rsv, address) &&
	       memcmp(address, nobody, sizeof address) != 0 &&
	       memcmp(address, key.p, sizeof address) == 0;
}

static bool check_secp256k1(struct slice key, struct slice signature, struct slice message)
{
	return message.n == 32 && signature.n == ECDSA_SIGNATURE_SIZE &&
	       ecdsa_verify(key, signature.p, message.p);
}

static const struct {
	bool (*check)(struct slice key, struct slice signature, struct slice message);
} schemes[SCHEME_COUNT] = {
	[SCHEME_ED25519] = { check_ed25519 },
	[SCHEME_SECP256K1_RECOVER] = { check_recover },
	[SCHEME_SECP256K1] = { check_secp256k1 },
};

/* ---- the rule ---- */

/* a * b as two halves. */
static void multiply(quorum_weight a, uint64_t b, quorum_weight *high, quorum_weight *low)
{
	quorum_weight bottom = (quorum_weight)(uint64_t)a * b;
	quorum_weight top = (a >> 64) * b + (bottom >> 64);

	*high = top >> 64;
	*low = top << 64 | (uint64_t)bottom;
}

bool quorum_is_met(const struct quorum_rule *rule, quorum_weight s, quorum_weight t)
{
	quorum_weight have_high, have_low, need_high, need_low;

	if (t == 0 || rule->den == 0)
		return false;
	multiply(s, rule->den, &have_high, &have_low);
	multiply(t, rule->num, &need_high, &need_low);
	if (have_high != need_high)
		return have_high > need_high;
	return rule->strict ? have_low > need_low : have_low >= need_low;
}

uint64_t quorum_least(const struct quorum_rule *rule, uint64_t t)
{
	quorum_weight product = (quorum_weight)t * rule->num;

	return (uint64_t)(rule->strict ? product / rule->den + 1
				       : (product + rule->den - 1) / rule->den);
}

/* ---- the set ---- */

struct place { /* of a member, sorted by its key */
	const struct quorum_member *member;
	size_t index;
	bool signed_;
};

static struct slice key_of(const struct quorum_member *m)
{
	return SLICE(m->key, m->key_size);
}

static int by_key(const void *left, const void *right)
{
	const struct quorum_member *a = ((const struct place *)left)->member;
	const struct quorum_member *b = ((const struct place *)right)->member;

	return slice_cmp(key_of(a), key_of(b));
}

static int sort_set(const struct quorum_member *members, size_t count, struct place **out)
{
	struct place *set = calloc(count, sizeof *set);

	if (!set)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		set[i] = (struct place){ .member = &members[i], .index = i };
	qsort(set, count, sizeof *set, by_key);
	*out = set;
	return 0;
}

static struct place *find(struct place *set, size_t count, struct slice key)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int rc = slice_cmp(key_of(set[middle].member), key);

		if (rc == 0)
			return &set[middle];
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static quorum_weight weight_of(const struct quorum_rule *rule, const struct quorum_member *m)
{
	return rule->by_count ? 1 : m->weight;
}

static int weigh(const struct quorum_rule *rule, const struct place *set, size_t count,
		 quorum_weight *total, struct err *err)
{
	*total = 0;
	for (size_t i = 0; i < count; i++) {
		const struct quorum_member *m = set[i].member;

		if (m->key_size == 0 || m->key_size > QUORUM_KEY_SIZE_MAX)
			return err_set(err, -EINVAL, "a member's key has %u bytes", m->key_size);
		if (m->scheme >= SCHEME_COUNT || !schemes[m->scheme].check)
			return err_set(err, -ENOTSUP,
				       "signatures of the scheme %s cannot be checked yet",
				       m->scheme < SCHEME_COUNT ? quorum_scheme_names[m->scheme]
								: "of that number");
		if (i > 0 && by_key(&set[i - 1], &set[i]) == 0)
			return err_set(err, -EINVAL, "two members of the set have one key");
		if (ckd_add(total, *total, weight_of(rule, m)))
			return err_set(err, -EINVAL, "the weights of the set do not fit 128 bits");
	}
	return *total ? 0 : err_set(err, -EINVAL, "the members of the set weigh nothing");
}

static int check_rule(const struct quorum_rule *rule, size_t member_count, struct err *err)
{
	if (rule->num == 0 || rule->den == 0 || rule->num > rule->den ||
	    (rule->strict && rule->num == rule->den))
		return err_set(err, -EINVAL,
			       "a rule of %" PRIu64 "/%" PRIu64 " approves everything or nothing",
			       rule->num, rule->den);
	if (member_count == 0 || member_count > QUORUM_MEMBERS_MAX)
		return err_set(err, -EINVAL, "a set of %zu members; there are 1 to %u",
			       member_count, QUORUM_MEMBERS_MAX);
	return 0;
}

/* ---- the contract ---- */

/* Whether it counts; a signature that does not says why. */
static bool is_valid(const struct place *place, const struct quorum_signature *s,
		     enum quorum_fault *fault)
{
	if (!place)
		*fault = QUORUM_UNKNOWN;
	else if (place->signed_)
		*fault = QUORUM_REPEATED;
	else if (!schemes[place->member->scheme].check(s->key, s->signature, s->message))
		*fault = QUORUM_FORGED;
	else
		return true;
	return false;
}

static void count_one(const struct quorum_rule *rule, struct place *place,
		      const struct quorum_signature *s, size_t at, struct quorum_result *out)
{
	size_t *const counts[QUORUM_FAULT_COUNT] = {
		[QUORUM_FORGED] = &out->forged,
		[QUORUM_UNKNOWN] = &out->unknown,
		[QUORUM_REPEATED] = &out->repeated,
	};
	enum quorum_fault fault;

	if (is_valid(place, s, &fault)) {
		place->signed_ = true;
		out->valid++;
		out->signed_weight += weight_of(rule, place->member);
		return;
	}
	if (out->forged + out->unknown + out->repeated == 0) {
		out->first_fault_at = at;
		out->first_fault = (uint8_t)fault;
	}
	++*counts[fault];
}

int quorum_verify(const struct quorum_rule *rule, const struct quorum_member *members,
		  size_t member_count, const struct quorum_signature *signatures,
		  size_t signature_count, void (*signer)(void *arg, size_t member), void *arg,
		  struct quorum_result *out, struct err *err)
{
	AUTO(base_freep) struct place *set = NULL;

	*out = (struct quorum_result){ 0 };
	int rc = check_rule(rule, member_count, err);

	if (rc == 0 && sort_set(members, member_count, &set) < 0)
		rc = err_set(err, -ENOMEM, "no memory for a set of %zu members", member_count);
	if (rc == 0)
		rc = weigh(rule, set, member_count, &out->total_weight, err);
	if (rc < 0)
		return rc;
	for (size_t i = 0; i < signature_count; i++)
		count_one(rule, find(set, member_count, signatures[i].key), &signatures[i], i, out);
	for (size_t i = 0; signer && i < member_count; i++)
		if (set[i].signed_)
			signer(arg, set[i].index);
	if (quorum_is_met(rule, out->signed_weight, out->total_weight))
		return 0;
	return err_set(err, -EKEYREJECTED,
		       "%zu of %zu members signed, which is not %s %" PRIu64 "/%" PRIu64 " %s",
		       out->valid, member_count, rule->strict ? "more than" : "at least", rule->num,
		       rule->den, rule->by_count ? "of them" : "of the weight");
}

int quorum_set_hash(const struct quorum_member *members, size_t member_count, uint8_t out[32])
{
	AUTO(base_freep) struct place *set = NULL;
	struct sha256 h;

	if (member_count == 0 || sort_set(members, member_count, &set) < 0)
		return member_count == 0 ? -EINVAL : -ENOMEM;
	hash_sha256_init(&h);
	for (size_t i = 0; i < member_count; i++) {
		const struct quorum_member *m = set[i].member;
		uint8_t head[2] = { m->scheme, m->key_size }, weight[16];

		for (size_t k = 0; k < sizeof weight; k++)
			weight[k] = (uint8_t)(m->weight >> (8 * (sizeof weight - 1 - k)));
		hash_sha256_add(&h, SLICE_ARRAY(head));
		hash_sha256_add(&h, SLICE(m->key, m->key_size));
		hash_sha256_add(&h, SLICE_ARRAY(weight));
	}
	hash_sha256_end(&h, out);
	return 0;
}
