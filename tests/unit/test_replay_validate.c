/* What a message must be, whatever the state says: the forms of texts, sizes and numbers. */
#include "core/chain/snapchain/user_data.h"
#include "core/chain/snapchain/validate.h"
#include "tests/unit/test_snapchain.h"

/* Enough of a replay to check one body; its author has no subscription, or has one. */
struct bench {
	struct sc_block   block;
	struct replay     replay;
	Sc__MessageData   data;
	struct sc_message message;
	struct sc_check   check;
};

static void bench_init(struct bench *b, unsigned version, int pro)
{
	memset(b, 0, sizeof *b);
	sc__message_data__init(&b->data);
	b->replay.version = version;
	b->block.time_fc = 180000000;
	b->data.timestamp = 180000000;
	b->replay.block = &b->block;
	b->message.content = &b->data;
	b->check = (struct sc_check){ &b->replay, &b->message, pro };
}

static int user_data(unsigned version, int pro, int32_t type, const char *value)
{
	struct bench     b;
	Sc__UserDataBody body = SC__USER_DATA_BODY__INIT;

	bench_init(&b, version, pro);
	body.type = type;
	body.value = text_of(value);
	b.data.user_data = &body;
	return sc_validate_user_data(&b.check);
}

static void user_data_has_the_form_of_its_type(void **state)
{
	static const struct { int32_t type; const char *value; bool good;
	} cases[] = {
		{ SC_USER_NAME, "", true },
		{ SC_USER_NAME, "alice", true },
		{ SC_USER_NAME, "0-", true },
		{ SC_USER_NAME, "-a", false },
		{ SC_USER_NAME, "Alice", false },
		{ SC_USER_NAME, "abcdefghijklmnop", true },
		{ SC_USER_NAME, "abcdefghijklmnopq", false },
		{ SC_USER_NAME, "alice.eth", true },
		{ SC_USER_NAME, "a.b.eth", false },
		{ SC_USER_NAME, ".eth", false },
		{ SC_USER_NAME, "alice.base.eth", true },
		{ SC_USER_NAME, "abcdefghijklmnop.base.eth", true },
		{ SC_USER_LOCATION, "geo:37.77,-122.42", true },
		{ SC_USER_LOCATION, "geo:-90.00,180.00", true },
		{ SC_USER_LOCATION, "geo:90.01,0.00", false },
		{ SC_USER_LOCATION, "geo:0.0,0.00", false },
		{ SC_USER_LOCATION, "geo:037.77,0.00", false },
		{ SC_USER_LOCATION, "geo:37.77,-122.42 ", false },
		{ SC_USER_LOCATION, "geo:+1.00,1.00", false },
		{ SC_USER_TWITTER, "", true },
		{ SC_USER_TWITTER, "a_1", true },
		{ SC_USER_TWITTER, "A", false },
		{ SC_USER_TWITTER, "aaaaaaaaaaaaaaaa", false },
		{ SC_USER_GITHUB, "", false },
		{ SC_USER_GITHUB, "a-B-9-", true },
		{ SC_USER_GITHUB, "a--b", false },
		{ SC_USER_GITHUB, "-a", false },
		{ SC_USER_GITHUB, "\xd9\xa0x", true }, /* an Arabic zero is a digit here */
		{ SC_USER_GITHUB, "\xc3\xa9", false },
		{ SC_USER_ETH_ADDRESS, "", true },
		{ SC_USER_ETH_ADDRESS, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", true },
		{ SC_USER_ETH_ADDRESS, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", false },
		{ SC_USER_ETH_ADDRESS, "0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", false },
		{ SC_USER_SOL_ADDRESS, "11111111111111111111111111111111", true },
		{ SC_USER_SOL_ADDRESS, "1111111111111111111111111111111", false },
		{ SC_USER_SOL_ADDRESS, "0", false },
		{ SC_USER_PROFILE_TOKEN,
		  "eip155:1/erc20:0x6b175474e89094c44da98b954eedeac495271d0f", true },
		{ SC_USER_PROFILE_TOKEN, "eip155:1/erc721:0x06012c8cf97BEaD5deAe/771769", true },
		{ SC_USER_PROFILE_TOKEN, "eip155:1/er:0x00", false },
		{ SC_USER_PROFILE_TOKEN, "eip155:1/erc20:", false },
		{ SC_USER_PROFILE_TOKEN, "eip155:1/erc20:0x00/", false },
		{ SC_USER_PROFILE_TOKEN, "EIP155:1/erc20:0x00", false },
		{ SC_USER_DISPLAY, "12345678901234567890123456789012", true },
		{ SC_USER_DISPLAY, "123456789012345678901234567890123", false },
		{ SC_USER_BANNER, "x", false },
		{ 0, "x", false },
		{ 4, "x", false },
		{ 15, "x", false },
		{ -1, "x", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if ((user_data(21, 0, cases[i].type, cases[i].value) == 0) != cases[i].good)
			fail_msg("type %d, \"%s\"", cases[i].type, cases[i].value);
	assert_int_equal(user_data(21, 1, SC_USER_BANNER, "x"), 0);
	assert_int_equal(user_data(16, 0, SC_USER_LIVE_AT, "x"), REFUSED);
	assert_int_equal(user_data(17, 0, SC_USER_LIVE_AT, "x"), 0);
}

static int cast(unsigned version, int pro, const Sc__CastAddBody *body)
{
	struct bench b;

	bench_init(&b, version, pro);
	b.data.cast_add = (Sc__CastAddBody *)(uintptr_t)body;
	return sc_validate_cast_add(&b.check);
}

static void a_cast_has_the_size_of_its_type(void **state)
{
	static char     text[10002];
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;
	static const struct { int32_t type; size_t size; int pro; bool good;
	} cases[] = {
		{ 0, 0, 0, false },    { 0, 320, 0, true },    { 0, 321, 0, false },
		{ 1, 320, 0, false },  { 1, 321, 0, true },    { 1, 1024, 0, true },
		{ 1, 1025, 0, false }, { 2, 1025, 0, false },  { 2, 1025, 1, true },
		{ 2, 10000, 1, true }, { 2, 10001, 1, false }, { 3, 10, 0, false },
		{ -1, 10, 0, false },
	};

	(void)state;
	memset(text, 'x', sizeof text);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		c.type = cases[i].type;
		c.text = bytes_of(text, cases[i].size);
		assert_int_equal(cast(21, cases[i].pro, &c) == 0, cases[i].good);
	}
}

static void embeds_are_bounded_by_version_and_subscription(void **state)
{
	Sc__Embed       one, *embeds[5] = { &one, &one, &one, &one, &one };
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;
	static const struct { size_t count; unsigned version; int pro; bool good; } cases[] = {
		{ 2, 19, 0, true }, { 3, 19, 0, false }, { 4, 19, 1, true }, { 4, 20, 0, true },
		{ 5, 20, 0, false }, { 5, 20, 1, false },
	};

	(void)state;
	sc__embed__init(&one);
	one.embed_case = SC__EMBED__EMBED_URL;
	one.url = text_of("https://example.org");
	c.embeds = embeds;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		c.n_embeds = cases[i].count;
		assert_int_equal(cast(cases[i].version, cases[i].pro, &c) == 0, cases[i].good);
	}
	c.n_embeds = 1;
	one.url = text_of("");
	assert_int_equal(cast(21, 0, &c), REFUSED);
	one.embed_case = SC__EMBED__EMBED__NOT_SET;
	assert_int_equal(cast(21, 0, &c), REFUSED);
}

static void mentions_stand_in_order_within_the_text(void **state)
{
	uint64_t        fids[] = { 1, 2 };
	uint32_t        at[] = { 0, 5 };
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;

	(void)state;
	c.text = text_of("hello");
	c.mentions = fids;
	c.mentions_positions = at;
	c.n_mentions = c.n_mentions_positions = 2;
	assert_int_equal(cast(21, 0, &c), 0);
	at[1] = 6;
	assert_int_equal(cast(21, 0, &c), REFUSED);
	at[0] = 3;
	at[1] = 2;
	assert_int_equal(cast(21, 0, &c), REFUSED);
	at[1] = 3;
	fids[0] = 0;
	assert_int_equal(cast(21, 0, &c), REFUSED);
	fids[0] = 1;
	c.n_mentions_positions = 1;
	assert_int_equal(cast(21, 0, &c), REFUSED);
}

static void a_lend_is_young_and_bounded(void **state)
{
	struct bench        b;
	Sc__LendStorageBody l = SC__LEND_STORAGE_BODY__INIT;

	(void)state;
	bench_init(&b, 21, 0);
	b.data.lend = &l;
	l.unit_type = 2;
	l.num_units = 5000;
	assert_int_equal(sc_validate_lend(&b.check), 0);
	l.num_units = 5001;
	assert_int_equal(sc_validate_lend(&b.check), REFUSED);
	l.num_units = 1;
	l.unit_type = 3;
	assert_int_equal(sc_validate_lend(&b.check), REFUSED);
	l.unit_type = 0;
	b.data.timestamp = b.block.time_fc - 600;
	assert_int_equal(sc_validate_lend(&b.check), 0);
	b.data.timestamp--;
	assert_int_equal(sc_validate_lend(&b.check), REFUSED);
}

static void a_key_has_scopes_that_keys_may_have(void **state)
{
	struct bench    b;
	uint8_t         key[32] = { 1 };
	int32_t         scopes[17] = { 1, 15 };
	Sc__KeyAddBody  k = SC__KEY_ADD_BODY__INIT;

	(void)state;
	bench_init(&b, 21, 0);
	b.data.key_add = &k;
	k.key = bytes_of(key, sizeof key);
	k.key_type = k.metadata_type = k.deadline = 1;
	k.ttl = 7776000;
	k.metadata = text_of("m");
	k.scopes = scopes;
	k.n_scopes = 2;
	assert_int_equal(sc_validate_key_add(&b.check), 0);
	scopes[0] = 9;
	assert_int_equal(sc_validate_key_add(&b.check), REFUSED);
	scopes[0] = 16;
	assert_int_equal(sc_validate_key_add(&b.check), REFUSED);
	scopes[0] = 1;
	k.ttl++;
	assert_int_equal(sc_validate_key_add(&b.check), REFUSED);
	k.ttl--;
	k.n_scopes = 0;
	assert_int_equal(sc_validate_key_add(&b.check), REFUSED);
}

static void channels_begin_with_version_21(void **state)
{
	struct bench          b;
	uint8_t               id[32] = { 1 };
	Sc__ChannelMemberBody m = SC__CHANNEL_MEMBER_BODY__INIT;

	(void)state;
	bench_init(&b, 20, 0);
	b.data.body_case = SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER;
	b.data.channel_member = &m;
	m.channel_id = bytes_of(id, sizeof id);
	m.fid = 1;
	m.action = 6;
	assert_int_equal(sc_validate_channel(&b.check), REFUSED);
	b.replay.version = 21;
	assert_int_equal(sc_validate_channel(&b.check), 0);
	m.action = 7;
	assert_int_equal(sc_validate_channel(&b.check), REFUSED);
	m.action = 1;
	m.fid = UINT64_C(1) << 32;
	assert_int_equal(sc_validate_channel(&b.check), REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(user_data_has_the_form_of_its_type),
		cmocka_unit_test(a_cast_has_the_size_of_its_type),
		cmocka_unit_test(embeds_are_bounded_by_version_and_subscription),
		cmocka_unit_test(mentions_stand_in_order_within_the_text),
		cmocka_unit_test(a_lend_is_young_and_bounded),
		cmocka_unit_test(a_key_has_scopes_that_keys_may_have),
		cmocka_unit_test(channels_begin_with_version_21),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
