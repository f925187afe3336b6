#include "proto/prost.h"

#include "proto/snapchain.pb-c.h"
#include "tests/support/support.h"

static void assert_encodes(const ProtobufCMessage *m, const char *hex)
{
	AUTO(buf_release) struct buf b = BUF_INIT(4096);
	uint8_t wanted[4096];
	size_t size = unhex(hex, wanted, sizeof wanted);

	prost_encode(m, &b);
	assert_int_equal(buf_done(&b), 0);
	assert_int_equal(b.n, size);
	assert_memory_equal(b.p, wanted, size);
	assert_int_equal(prost_size(m), size);
}

static ProtobufCBinaryData bytes(const char *text)
{
	return (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)(uintptr_t)text };
}

static void a_oneof_stands_at_its_lowest_number(void **state)
{
	uint64_t mentions[] = { 1, 300 };
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;

	c.n_mentions = 2;
	c.mentions = mentions;
	c.text = bytes("hi");
	c.parent_case = SC__CAST_ADD_BODY__PARENT_PARENT_URL;
	c.parent_url = bytes("u");
	c.type = 1;
	assert_encodes(&c.base, "120301ac02" "3a0175" "22026869" "4001");
}

static void the_other_bodies_of_an_onchain_event_come_before_its_tail(void **state)
{
	Sc__TierPurchaseBody tier = SC__TIER_PURCHASE_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;

	e.type = 5;
	e.fid = 7;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_TIER_PURCHASE;
	e.tier_purchase = &tier;
	e.tx_index = 3;
	e.version = 4;
	assert_encodes(&e.base, "0805" "4007" "7a00" "6803" "7004");
}

static void defaults_are_left_out_but_not_a_choice_that_is_made(void **state)
{
	Sc__LinkBody link = SC__LINK_BODY__INIT;
	Sc__Embed embed;
	Sc__Embed *embeds[] = { &embed };
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;

	sc__embed__init(&embed);
	assert_encodes(&link.base, "");
	link.target_case = SC__LINK_BODY__TARGET_TARGET_FID;
	assert_encodes(&link.base, "1800");
	c.n_embeds = 1;
	c.embeds = embeds;
	assert_encodes(&c.base, "3200");
}

static void a_negative_enum_has_ten_bytes(void **state)
{
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;

	c.type = -1;
	assert_encodes(&c.base, "40ffffffffffffffffff01");
}

static void a_vote_is_what_the_chain_signs(void **state)
{
	uint8_t hash[32], voter[32];
	Sc__Height height = SC__HEIGHT__INIT;
	Sc__ShardHash value = SC__SHARD_HASH__INIT;
	Sc__Vote vote = SC__VOTE__INIT;

	memset(hash, 0xaa, sizeof hash);
	memset(voter, 0xbb, sizeof voter);
	height.shard_index = value.shard_index = 1;
	height.block_number = 12345;
	value.hash = (ProtobufCBinaryData){ sizeof hash, hash };
	vote.type = 1;
	vote.height = &height;
	vote.value = &value;
	vote.voter = (ProtobufCBinaryData){ sizeof voter, voter };
	assert_encodes(&vote.base,
		       "0801" "1205" "0801" "10b960" "2224" "0801" "1220"
		       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		       "2a20"
		       "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_oneof_stands_at_its_lowest_number),
		cmocka_unit_test(the_other_bodies_of_an_onchain_event_come_before_its_tail),
		cmocka_unit_test(defaults_are_left_out_but_not_a_choice_that_is_made),
		cmocka_unit_test(a_negative_enum_has_ten_bytes),
		cmocka_unit_test(a_vote_is_what_the_chain_signs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
