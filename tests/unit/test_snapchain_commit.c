#include "core/chain/snapchain/commit.h"

#include "tests/unit/test_snapchain.h"

#define VALIDATORS 4

/* Four validators of ours, one header hash, and a certificate that a test can spoil. */
struct fixture {
	struct chain_params  params;
	struct sc_validators set;
	uint8_t              keys[VALIDATORS][ED25519_KEY_SIZE];
	uint8_t              secrets[VALIDATORS][ED25519_SECRET_SIZE];
	uint8_t              hash[HASH_SIZE];
};

struct certificate {
	uint32_t shard, value_shard;
	uint64_t height;
	int64_t  round;
	uint8_t  hash[HASH_SIZE];
	unsigned signers[VALIDATORS + 1], count;
	uint32_t signed_round; /* what the votes say of the round */
	bool     spoil_last;
};

static void fixture_make(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	for (unsigned i = 0; i < VALIDATORS; i++) {
		uint8_t seed[ED25519_SEED_SIZE] = { (uint8_t)(i + 1) };

		ed25519_from_seed(seed, f->keys[i], f->secrets[i]);
	}
	memset(f->hash, 0xab, sizeof f->hash);
	f->set = (struct sc_validators){
		.shard_bits = 3,
		.keys = f->keys,
		.key_count = VALIDATORS,
	};
	f->params = (struct chain_params){
		.network = SC_DEVNET,
		.data_shards = 1,
		.validators = &f->set,
		.validators_count = 1,
	};
}

static struct certificate certificate_of(const struct fixture *f, unsigned count)
{
	struct certificate c = {
		.shard = 1, .value_shard = 1, .height = 12345, .count = count,
		.signers = { 0, 1, 2, 3 },
	};

	memcpy(c.hash, f->hash, HASH_SIZE);
	return c;
}

static void put_height(struct buf *out, uint32_t number, const struct certificate *c)
{
	AUTO(buf_release) struct buf b = BUF_INIT(100);

	wire_put_varint(&b, 1, c->shard);
	wire_put_varint(&b, 2, c->height);
	wire_put_message(out, number, buf_slice(&b));
}

static void put_value(struct buf *out, uint32_t number, const struct certificate *c)
{
	AUTO(buf_release) struct buf b = BUF_INIT(100);

	wire_put_varint(&b, 1, c->value_shard);
	wire_put_bytes(&b, 2, SLICE_ARRAY(c->hash));
	wire_put_message(out, number, buf_slice(&b));
}

static void put_signature(struct buf *out, const struct fixture *f, const struct certificate *c,
			  unsigned n)
{
	AUTO(buf_release) struct buf vote = BUF_INIT(1000), b = BUF_INIT(1000);
	unsigned who = c->signers[n];
	uint8_t signature[ED25519_SIGNATURE_SIZE];

	wire_put_varint(&vote, 1, 1);
	put_height(&vote, 2, c);
	wire_put_varint(&vote, 3, c->signed_round);
	put_value(&vote, 4, c);
	wire_put_bytes(&vote, 5, SLICE_ARRAY(f->keys[who]));
	ed25519_sign(f->secrets[who], buf_slice(&vote), signature);
	signature[5] ^= c->spoil_last && n + 1 == c->count;
	wire_put_bytes(&b, 1, SLICE_ARRAY(f->keys[who]));
	wire_put_bytes(&b, 2, SLICE_ARRAY(signature));
	wire_put_message(out, 4, buf_slice(&b));
}

static void assert_verdict(const struct fixture *f, const struct certificate *c,
			   enum verdict verdict, const char *reason)
{
	AUTO(buf_release) struct buf b = BUF_INIT(10000);
	struct level_result out;

	put_height(&b, 1, c);
	wire_put_varint(&b, 2, (uint64_t)c->round);
	put_value(&b, 3, c);
	for (unsigned i = 0; i < c->count; i++)
		put_signature(&b, f, c, i);
	assert_int_equal(buf_done(&b), 0);
	assert_int_equal(sc_commit_check(&f->params, 1, 12345, f->hash, buf_slice(&b), &out), 0);
	assert_string_equal(out.reason, reason);
	assert_int_equal(out.verdict, verdict);
}

static void more_than_two_thirds_decide(void **state)
{
	static const size_t quorums[] = { 1, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7 };

	for (size_t n = 1; n < ARRAY_LEN(quorums); n++) {
		assert_int_equal(sc_quorum(n), quorums[n]);
		assert_true(3 * sc_quorum(n) > 2 * n && 3 * (sc_quorum(n) - 1) <= 2 * n);
	}
}

static void a_quorum_of_validators_is_enough(void **state)
{
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 3);

	assert_verdict(&f, &c, VERDICT_OK, "3 of 4 signatures, round 0");
	c = certificate_of(&f, 4);
	c.round = c.signed_round = 2;
	assert_verdict(&f, &c, VERDICT_OK, "4 of 4 signatures, round 2");
	/* In any order. */
	c = certificate_of(&f, 3);
	c.signers[0] = 3;
	assert_verdict(&f, &c, VERDICT_OK, "3 of 4 signatures, round 0");
}

static void less_is_not(void **state)
{
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 2);

	assert_verdict(&f, &c, VERDICT_FAILED, "commit: 2 of 4 signatures, 3 needed");
	c = certificate_of(&f, 3);
	c.spoil_last = true;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: 2 of 4 signatures, 3 needed; one fails");
	c = certificate_of(&f, 3);
	c.signers[2] = 0;
	assert_verdict(&f, &c, VERDICT_FAILED,
		       "commit: 2 of 4 signatures, 3 needed; one is by a signer who came before");
	c = certificate_of(&f, 3);
	c.round = 1; /* the votes were for another round */
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: 0 of 4 signatures, 3 needed; one fails");
}

static void one_bad_signature_spoils_a_quorum(void **state)
{
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 4);

	c.spoil_last = true;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: signature 3 fails");
	c = certificate_of(&f, 4);
	c.signers[3] = 1;
	assert_verdict(&f, &c, VERDICT_FAILED,
		       "commit: signature 3 is by a signer who came before");
	c = certificate_of(&f, 4);
	f.set.key_count = 3; /* the fourth is no longer one */
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: 4 signatures of 3 validators");
	f.set.key_count = 4;

	uint8_t others[VALIDATORS][ED25519_KEY_SIZE];

	memcpy(others, f.keys, sizeof others);
	others[0][0] ^= 1;
	f.set.keys = others;
	c = certificate_of(&f, 4);
	assert_verdict(&f, &c, VERDICT_FAILED,
		       "commit: signature 0 is not by a validator of this height");
}

static void it_must_be_of_this_block(void **state)
{
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 3);

	c.height = 12346;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: height differs");
	c = certificate_of(&f, 3);
	c.shard = 0;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: height differs");
	c = certificate_of(&f, 3);
	c.value_shard = 0;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: shard differs");
	c = certificate_of(&f, 3);
	c.hash[31] ^= 1;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: hash differs");
}

static void nothing_signed_is_absent(void **state)
{
	struct fixture f;
	struct level_result out;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 0);

	assert_verdict(&f, &c, VERDICT_ABSENT, "commit: a certificate without signatures");
	assert_int_equal(sc_commit_check(&f.params, 1, 1, f.hash, SLICE_EMPTY, &out), 0);
	assert_int_equal(out.verdict, VERDICT_ABSENT);
	assert_string_equal(out.reason, "commit: no certificate");
}

static void without_validators_nothing_is_proven(void **state)
{
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 3);

	f.params.validators_count = 0;
	assert_verdict(&f, &c, VERDICT_FAILED, "commit: no validators are configured");
}

static void what_does_not_parse_fails(void **state)
{
	struct fixture f;
	struct level_result out;

	fixture_make(&f);
	assert_int_equal(sc_commit_check(&f.params, 1, 1, f.hash, slice_str("\x7a"), &out), 0);
	assert_int_equal(out.verdict, VERDICT_FAILED);
	assert_string_equal(out.reason, "commit: does not parse");
}

static void a_line_a_validator_says_who_signed(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(10000), out = BUF_INIT(10000);
	struct fixture f;

	fixture_make(&f);
	struct certificate c = certificate_of(&f, 3);

	put_height(&b, 1, &c);
	put_value(&b, 3, &c);
	for (unsigned i = 0; i < c.count; i++)
		put_signature(&b, &f, &c, i);
	assert_int_equal(sc_render_signers(&f.params, 1, 12345, buf_slice(&b), &out), 0);
	assert_int_equal(out.n, SIGNER_LINE_SIZE * sc_signer_count(&f.params, 1, 12345));
	for (size_t i = 0; i < VALIDATORS; i++) {
		const uint8_t *line = out.p + i * SIGNER_LINE_SIZE;
		char           key[2 * ED25519_KEY_SIZE + 1];

		hex_put(key, f.keys[VALIDATORS - 1], ED25519_KEY_SIZE);
		assert_true(i == 0 || memcmp(line - SIGNER_LINE_SIZE, line, 64) < 0);
		assert_int_equal(line[65], memcmp(line, key, 64) == 0 ? '0' : '1');
		assert_int_equal(line[66], '\n');
	}
}

static int setup(void **state)
{
	return sign_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_than_two_thirds_decide),
		cmocka_unit_test(a_quorum_of_validators_is_enough),
		cmocka_unit_test(less_is_not),
		cmocka_unit_test(one_bad_signature_spoils_a_quorum),
		cmocka_unit_test(it_must_be_of_this_block),
		cmocka_unit_test(nothing_signed_is_absent),
		cmocka_unit_test(without_validators_nothing_is_proven),
		cmocka_unit_test(what_does_not_parse_fails),
		cmocka_unit_test(a_line_a_validator_says_who_signed),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
