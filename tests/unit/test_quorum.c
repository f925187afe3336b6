#include "core/base/hash.h"
#include "core/base/sign.h"
#include "core/sync/quorum.h"
#include "tests/support/support.h"

#define MEMBERS 7

static const struct quorum_rule more_than_two_thirds = { 2, 3, .strict = true };
static const struct quorum_rule two_thirds = { .num = 2, .den = 3 };

struct voter {
	uint8_t secret[64];
	uint8_t signature[QUORUM_SIGNATURE_SIZE_MAX];
};

static struct quorum_member members[MEMBERS];
static struct voter voters[MEMBERS];
static struct quorum_signature signatures[2 * MEMBERS];
static uint8_t digest[32];

/* Member i has scheme i % 3; all sign the digest. */
static void make_set(void)
{
	memset(members, 0, sizeof members);
	hash_sha256(SLICE("block 7", 7), digest);
	for (size_t i = 0; i < MEMBERS; i++) {
		struct quorum_member *m = &members[i];
		struct voter *v = &voters[i];
		uint8_t seed[32] = { (uint8_t)(i + 1) };
		size_t size = 64;

		m->scheme = (uint8_t)(i % 3);
		m->weight = 1;
		memcpy(v->secret, seed, sizeof seed);
		if (m->scheme == SCHEME_ED25519) {
			m->key_size = ED25519_KEY_SIZE;
			ed25519_from_seed(seed, m->key, v->secret);
			ed25519_sign(v->secret, SLICE_ARRAY(digest), v->signature);
		} else if (m->scheme == SCHEME_SECP256K1_RECOVER) {
			m->key_size = ETH_ADDRESS_SIZE;
			size = ETH_SIGNATURE_SIZE;
			assert_int_equal(eth_address(seed, m->key), 0);
			assert_int_equal(eth_sign(seed, digest, v->signature), 0);
		} else {
			m->key_size = 33;
			assert_int_equal(ecdsa_key(seed, m->key), 0);
			assert_int_equal(ecdsa_sign(seed, digest, v->signature), 0);
		}
		signatures[i] =
			(struct quorum_signature){ SLICE(m->key, m->key_size),
						   SLICE(v->signature, size), SLICE_ARRAY(digest) };
	}
}

static int verify(const struct quorum_rule *rule, size_t signature_count, struct quorum_result *out)
{
	return quorum_verify(rule, members, MEMBERS, signatures, signature_count, NULL, NULL, out,
			     NULL);
}

/* ---- the rule ---- */

static void the_boundary_is_exact(void **state)
{
	const quorum_weight one = 1, wide = one << 64, widest = one << 127;
	const struct {
		quorum_weight t, s_strict, s_least; /* the first that is enough */
	} rows[] = {
		{ 1, 1, 1 },
		{ 2, 2, 2 },
		{ 3, 3, 2 },
		{ 4, 3, 3 },
		{ 5, 4, 4 },
		{ 6, 5, 4 },
		{ wide, wide / 3 * 2 + 1, wide / 3 * 2 + 1 },
		{ widest, widest / 3 * 2 + 2, widest / 3 * 2 + 2 },
		{ ~(quorum_weight)0, ~(quorum_weight)0 / 3 * 2 + 1, ~(quorum_weight)0 / 3 * 2 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_true(quorum_is_met(&more_than_two_thirds, rows[i].s_strict, rows[i].t));
		assert_false(quorum_is_met(&more_than_two_thirds, rows[i].s_strict - 1, rows[i].t));
		assert_true(quorum_is_met(&two_thirds, rows[i].s_least, rows[i].t));
		assert_false(quorum_is_met(&two_thirds, rows[i].s_least - 1, rows[i].t));
	}
	assert_false(quorum_is_met(&two_thirds, 0, 0));
	assert_false(quorum_is_met(&two_thirds, 1, 0));
	assert_false(quorum_is_met(&more_than_two_thirds, 0, 1));
}

/* Small numbers by long division of nothing: 3 S against 2 T. */
static void the_rule_is_the_comparison_of_products(void **state)
{
	for (unsigned t = 1; t < 200; t++)
		for (unsigned s = 0; s <= t; s++) {
			assert_int_equal(quorum_is_met(&more_than_two_thirds, s, t), 3 * s > 2 * t);
			assert_int_equal(quorum_is_met(&two_thirds, s, t), 3 * s >= 2 * t);
		}
	/* 342 of 512 of a sync committee; floor(2T/3)+1 of a stake. */
	assert_true(quorum_is_met(&two_thirds, 342, 512));
	assert_false(quorum_is_met(&two_thirds, 341, 512));
}

/* ---- signatures ---- */

static void every_scheme_counts(void **state)
{
	struct quorum_result r;

	make_set();
	assert_int_equal(verify(&more_than_two_thirds, MEMBERS, &r), 0);
	assert_int_equal(r.valid, MEMBERS);
	assert_true(r.signed_weight == MEMBERS && r.total_weight == MEMBERS);
	assert_int_equal(verify(&more_than_two_thirds, 5, &r), 0);
	assert_int_equal(verify(&more_than_two_thirds, 4, &r), -EKEYREJECTED);
	assert_int_equal(r.valid, 4);
	assert_int_equal(verify(&more_than_two_thirds, 0, &r), -EKEYREJECTED);
}

static void who_signs_twice_counts_once(void **state)
{
	struct quorum_result r;

	make_set();
	for (size_t i = 4; i < MEMBERS; i++)
		signatures[i] = signatures[i % 4];
	assert_int_equal(verify(&more_than_two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.valid, 4);
	assert_int_equal(r.repeated, 3);
}

static void a_forged_signature_does_not_shut_out_the_true_one(void **state)
{
	struct quorum_result r;
	uint8_t wrong[64];

	make_set();
	memcpy(wrong, voters[0].signature, sizeof wrong);
	wrong[10] ^= 1;
	for (size_t i = MEMBERS; i > 0; i--)
		signatures[i] = signatures[i - 1];
	signatures[0].signature = SLICE_ARRAY(wrong);
	assert_int_equal(verify(&more_than_two_thirds, MEMBERS + 1, &r), 0);
	assert_int_equal(r.forged, 1);
	assert_int_equal(r.valid, MEMBERS);
}

static void strangers_weigh_nothing_and_order_does_not_matter(void **state)
{
	struct quorum_result r;
	static const uint8_t stranger[32] = { 9 };

	make_set();
	signatures[5].key = SLICE_ARRAY(stranger);
	signatures[6].key = SLICE_EMPTY;
	struct quorum_signature first = signatures[0];

	signatures[0] = signatures[4];
	signatures[4] = first;
	assert_int_equal(verify(&more_than_two_thirds, MEMBERS, &r), 0);
	assert_int_equal(r.unknown, 2);
	assert_int_equal(r.valid, 5);
}

static void another_message_is_forged(void **state)
{
	struct quorum_result r;
	uint8_t other[32];

	make_set();
	hash_sha256(SLICE("block 8", 7), other);
	for (size_t i = 0; i < MEMBERS; i++)
		signatures[i].message = SLICE_ARRAY(other);
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.forged, MEMBERS);
}

static void a_recovery_id_may_be_0_1_27_or_28(void **state)
{
	struct quorum_result r;

	make_set();
	uint8_t *v = &voters[1].signature[64];
	uint8_t good = *v >= 27 ? *v : (uint8_t)(*v + 27);

	for (unsigned i = 0; i < 256; i++) {
		*v = (uint8_t)i;
		assert_int_equal(verify(&two_thirds, MEMBERS, &r), 0);
		assert_int_equal(r.valid, MEMBERS - (i != good && i != good - 27u));
	}
}

static void a_high_s_is_refused(void **state)
{
	/* n - s for s = 1 is a signature of the same message, if high ones were let through. */
	static const uint8_t order[32] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe,
					   0xba, 0xae, 0xdc, 0xe6, 0xaf, 0x48, 0xa0, 0x3b,
					   0xbf, 0xd2, 0x5e, 0x8c, 0xd0, 0x36, 0x41, 0x41 };
	struct quorum_result r;
	int borrow = 0;

	make_set();
	uint8_t *s = voters[2].signature + 32;

	for (int i = 31; i >= 0; i--) {
		int d = order[i] - s[i] - borrow;

		borrow = d < 0;
		s[i] = (uint8_t)(d + 256 * borrow);
	}
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), 0);
	assert_int_equal(r.forged, 1);
}

/* ---- sets ---- */

static void one_heavy_member_is_enough_by_weight_alone(void **state)
{
	const struct quorum_rule count = { 2, 3, .strict = true, .by_count = true };
	struct quorum_result r;

	make_set();
	members[3].weight = (quorum_weight)1 << 90; /* a stake in the smallest unit */
	signatures[0] = signatures[3];
	assert_int_equal(verify(&more_than_two_thirds, 1, &r), 0);
	assert_int_equal(verify(&count, 1, &r), -EKEYREJECTED);
}

static void a_set_or_rule_that_can_approve_nothing_is_an_error(void **state)
{
	const struct quorum_rule bad[] = { { .num = 0, .den = 3 },
					   { .num = 2, .den = 0 },
					   { .num = 4, .den = 3 },
					   { 3, 3, .strict = true } };
	struct quorum_result r;

	make_set();
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(verify(&bad[i], MEMBERS, &r), -EINVAL);
	assert_int_equal(
		quorum_verify(&two_thirds, members, 0, signatures, 1, NULL, NULL, &r, NULL),
		-EINVAL);
	for (size_t i = 0; i < MEMBERS; i++)
		members[i].weight = 0;
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EINVAL);
	make_set();
	members[0].weight = members[1].weight = (quorum_weight)1 << 127;
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EINVAL);
	make_set();
	members[3] = members[0];
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EINVAL);
	make_set();
	members[0].scheme = SCHEME_BLS12381;
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -ENOTSUP);
}

static void the_hash_of_a_set_is_of_what_decides(void **state)
{
	uint8_t one[32], other[32];

	make_set();
	assert_int_equal(quorum_set_hash(members, MEMBERS, one), 0);
	struct quorum_member first = members[0];

	members[0] = members[5];
	members[5] = first;
	assert_int_equal(quorum_set_hash(members, MEMBERS, other), 0);
	assert_memory_equal(one, other, sizeof one);
	members[2].weight++;
	assert_int_equal(quorum_set_hash(members, MEMBERS, other), 0);
	assert_memory_not_equal(one, other, sizeof one);
}

static void the_least_that_is_enough_is_exact(void **state)
{
	for (uint64_t t = 1; t < 500; t++) {
		uint64_t strict = quorum_least(&more_than_two_thirds, t);
		uint64_t least = quorum_least(&two_thirds, t);

		assert_true(quorum_is_met(&more_than_two_thirds, strict, t));
		assert_false(quorum_is_met(&more_than_two_thirds, strict - 1, t));
		assert_true(quorum_is_met(&two_thirds, least, t));
		assert_false(quorum_is_met(&two_thirds, least - 1, t));
	}
}

static void the_first_signature_that_counts_nothing_is_told(void **state)
{
	static const uint8_t stranger[32] = { 9 };
	struct quorum_result r;

	make_set();
	signatures[5] = signatures[1];
	signatures[6].key = SLICE_ARRAY(stranger);
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), 0);
	assert_int_equal(r.first_fault, QUORUM_REPEATED);
	assert_int_equal(r.first_fault_at, 5);
	signatures[2].key = SLICE_ARRAY(stranger);
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.first_fault, QUORUM_UNKNOWN);
	assert_int_equal(r.first_fault_at, 2);
	voters[0].signature[3] ^= 1;
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.first_fault, QUORUM_FORGED);
	assert_int_equal(r.first_fault_at, 0);
}

/* The whole set counts, whoever signed: one honest signature of the least member is never all. */
static void the_total_is_of_the_set_and_not_of_the_signers(void **state)
{
	struct quorum_result r;

	make_set();
	assert_int_equal(verify(&two_thirds, 1, &r), -EKEYREJECTED);
	assert_true(r.signed_weight == 1 && r.total_weight == MEMBERS);
	/* floor(2T/3), which a rule by division would let through. */
	assert_int_equal(verify(&more_than_two_thirds, 2 * MEMBERS / 3, &r), -EKEYREJECTED);
}

static void a_signature_without_bytes_or_of_zeros_is_forged(void **state)
{
	static const uint8_t zeros[QUORUM_SIGNATURE_SIZE_MAX];
	struct quorum_result r;

	make_set();
	for (size_t i = 0; i < MEMBERS; i++)
		signatures[i].signature = SLICE(zeros, signatures[i].signature.n);
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.forged, MEMBERS);
	for (size_t i = 0; i < MEMBERS; i++)
		signatures[i].signature = SLICE_EMPTY;
	assert_int_equal(verify(&two_thirds, MEMBERS, &r), -EKEYREJECTED);
	assert_int_equal(r.forged, MEMBERS);
}

static void memory_may_be_short(void **state)
{
	make_set();
	FOR_EACH_ALLOC_FAULT {
		struct quorum_result r;
		int rc = verify(&two_thirds, MEMBERS, &r);

		assert_true(rc == 0 || rc == -ENOMEM);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_boundary_is_exact),
		cmocka_unit_test(the_rule_is_the_comparison_of_products),
		cmocka_unit_test(every_scheme_counts),
		cmocka_unit_test(who_signs_twice_counts_once),
		cmocka_unit_test(a_forged_signature_does_not_shut_out_the_true_one),
		cmocka_unit_test(strangers_weigh_nothing_and_order_does_not_matter),
		cmocka_unit_test(another_message_is_forged),
		cmocka_unit_test(a_recovery_id_may_be_0_1_27_or_28),
		cmocka_unit_test(a_high_s_is_refused),
		cmocka_unit_test(one_heavy_member_is_enough_by_weight_alone),
		cmocka_unit_test(a_set_or_rule_that_can_approve_nothing_is_an_error),
		cmocka_unit_test(the_hash_of_a_set_is_of_what_decides),
		cmocka_unit_test(the_least_that_is_enough_is_exact),
		cmocka_unit_test(the_first_signature_that_counts_nothing_is_told),
		cmocka_unit_test(the_total_is_of_the_set_and_not_of_the_signers),
		cmocka_unit_test(a_signature_without_bytes_or_of_zeros_is_forged),
		cmocka_unit_test(memory_may_be_short),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
