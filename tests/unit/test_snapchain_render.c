#include "core/chain/snapchain/render.h"

#include "tests/unit/test_snapchain.h"

/* The rendering of an object by its bytes; both forms, and the sizes that are told before. */
static void assert_renders(uint16_t form, struct slice bytes, const char *pretty)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 20);
	struct chain_object o = { .form = form, .bytes = bytes };

	assert_int_equal(sc_render_object(&o, false, &b), 0);
	buf_u8(&b, '\0');
	assert_string_equal((const char *)b.p, pretty);

	/* The line differs in white space alone. */
	AUTO(buf_release) struct buf line = BUF_INIT(1 << 20);
	size_t at = 0;
	bool quoted = false;

	assert_int_equal(sc_render_object(&o, true, &line), 0);
	for (const char *p = pretty; *p; p++) {
		if (*p == '"')
			quoted = !quoted;
		if (!quoted && (*p == ' ' || *p == '\n'))
			continue;
		assert_true(at < line.n);
		assert_int_equal(line.p[at++], (uint8_t)*p);
	}
	assert_int_equal(line.n, at + 1);
	assert_int_equal(line.p[at], '\n');
}

static void assert_message_renders(struct slice data, const struct slice *data_bytes,
				   const char *pretty)
{
	AUTO(buf_release) struct buf raw = BUF_INIT(1 << 20);

	message_make(data, data_bytes, data_bytes ? *data_bytes : data, &raw);
	assert_renders(SC_FORM_MESSAGE, buf_slice(&raw), pretty);
}

#define SIGNER "a2fa2f4a355ba2e907a53009e9e37caddf7ac7e66a08ba07631f553072b3f24c"

static void a_cast_shows_everything_it_says(void **state)
{
	static uint8_t hash[20];
	uint64_t mentions[] = { 3, UINT64_MAX };
	uint32_t positions[] = { 0, 9 };
	Sc__CastId parent = SC__CAST_ID__INIT;
	Sc__Embed url, quoted;
	Sc__Embed *embeds[] = { &url, &quoted };
	Sc__CastAddBody c = SC__CAST_ADD_BODY__INIT;
	Sc__MessageData data = SC__MESSAGE_DATA__INIT;
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16);

	memset(hash, 0xcd, sizeof hash);
	parent.fid = 12;
	parent.hash = bytes_of(hash, sizeof hash);
	sc__embed__init(&url);
	url.embed_case = SC__EMBED__EMBED_URL;
	url.url = text_of("https://example.org/\"a\"");
	sc__embed__init(&quoted);
	quoted.embed_case = SC__EMBED__EMBED_CAST_ID;
	quoted.cast_id = &parent;
	c.n_mentions = c.n_mentions_positions = 2;
	c.mentions = mentions;
	c.mentions_positions = positions;
	c.parent_case = SC__CAST_ADD_BODY__PARENT_PARENT_CAST_ID;
	c.parent_cast_id = &parent;
	c.text = text_of("h\xc3\xa9\n");
	c.n_embeds = 2;
	c.embeds = embeds;
	c.type = 1;
	data.type = SC_CAST_ADD;
	data.fid = 7;
	data.timestamp = 185803629;
	data.network = 3;
	data.body_case = SC__MESSAGE_DATA__BODY_CAST_ADD;
	data.cast_add = &c;
	encode(&data.base, &b);
	assert_message_renders(
		buf_slice(&b), NULL,
		"{\n"
		"  \"body\": {\n"
		"    \"embeds\": [\n"
		"      {\n"
		"        \"url\": \"https://example.org/\\\"a\\\"\"\n"
		"      },\n"
		"      {\n"
		"        \"cast_id\": {\n"
		"          \"fid\": 12,\n"
		"          \"hash\": \"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\"\n"
		"        }\n"
		"      }\n"
		"    ],\n"
		"    \"embeds_deprecated\": [],\n"
		"    \"mentions\": [\n"
		"      3,\n"
		"      18446744073709551615\n"
		"    ],\n"
		"    \"mentions_positions\": [\n"
		"      0,\n"
		"      9\n"
		"    ],\n"
		"    \"parent_cast_id\": {\n"
		"      \"fid\": 12,\n"
		"      \"hash\": \"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\"\n"
		"    },\n"
		"    \"text\": \"h\xc3\xa9\\n\",\n"
		"    \"type\": \"long-cast\"\n"
		"  },\n"
		"  \"body_type\": \"cast_add\",\n"
		"  \"fid\": 7,\n"
		"  \"hash\": \"91b380ca549e608f35e8a255d10d6930f8abce09\",\n"
		"  \"hash_scheme\": \"blake3\",\n"
		"  \"network\": \"devnet\",\n"
		"  \"preimage\": \"data\",\n"
		"  \"signature\": "
		"\"e88eb3a4bf70cb003a10dca10e9da096ae31a5c099468fdcc23b60b176f9ae84"
		"e8b822bb90a2851a01fd8165bda45b5fd556b6e053fdb595bf3d864f06d23e0e\",\n"
		"  \"signature_scheme\": \"ed25519\",\n"
		"  \"signer\": \"" SIGNER "\",\n"
		"  \"time\": \"2026-11-21T12:07:09Z\",\n"
		"  \"timestamp\": 185803629,\n"
		"  \"type\": \"cast-add\"\n"
		"}\n");
}

static void numbers_without_a_word_stay_numbers(void **state)
{
	/* type -1, network 9, reaction {type 77}: enums that the definitions do not name. */
	static const struct slice data = {
		(const uint8_t
			 *)"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x20\x09\x3a\x02\x08\x4d",
		17
	};

	assert_message_renders(
		data, NULL,
		"{\n"
		"  \"body\": {\n"
		"    \"type\": 77\n"
		"  },\n"
		"  \"body_type\": \"reaction\",\n"
		"  \"fid\": 0,\n"
		"  \"hash\": \"b603c04f24d6f5196e24259c8ae5bc4e43256f52\",\n"
		"  \"hash_scheme\": \"blake3\",\n"
		"  \"network\": 9,\n"
		"  \"preimage\": \"data\",\n"
		"  \"signature\": "
		"\"87edf39e3e48b89fea792ef3b219e686b8bbc97e28b149a90bfc085dc03cfc6a"
		"9c4ac362cde492bcd82b5c122ffe49994bd6aa29ba90fd7bcee20d0081446b00\",\n"
		"  \"signature_scheme\": \"ed25519\",\n"
		"  \"signer\": \"" SIGNER "\",\n"
		"  \"time\": \"2021-01-01T00:00:00Z\",\n"
		"  \"timestamp\": 0,\n"
		"  \"type\": -1\n"
		"}\n");
}

static void what_does_not_parse_has_no_content(void **state)
{
	assert_message_renders(
		SLICE_EMPTY, &SLICE("\x08", 1),
		"{\n"
		"  \"hash\": \"2ef3e0dda5293bda965d0adcedfc7d387244ac73\",\n"
		"  \"hash_scheme\": \"blake3\",\n"
		"  \"preimage\": \"data_bytes\",\n"
		"  \"signature\": "
		"\"166e6002cdc83de8fb68b060d9913d3fa75836a98d545555a50c8d426033a226"
		"199f1f66ab499ec627a26e487a5f7f3cd97b76af95512d88cddc24ed45207d05\",\n"
		"  \"signature_scheme\": \"ed25519\",\n"
		"  \"signer\": \"" SIGNER "\",\n"
		"  \"type\": \"message\"\n"
		"}\n");
}

static void an_empty_message_shows_its_empty_fields(void **state)
{
	assert_renders(SC_FORM_MESSAGE, SLICE_EMPTY, "{\n"
		"  \"hash\": \"\",\n"
		"  \"hash_scheme\": \"none\",\n"
		"  \"preimage\": \"none\",\n"
		"  \"signature\": \"\",\n"
		"  \"signature_scheme\": \"none\",\n"
		"  \"signer\": \"\",\n"
		"  \"type\": \"message\"\n"
		"}\n");
}

static void an_onchain_event_shows_both_its_types(void **state)
{
	Sc__SignerEventBody signer = SC__SIGNER_EVENT_BODY__INIT;
	Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16);

	signer.event_type = 3;
	signer.key = text_of("k");
	e.type = 4; /* not what the body is */
	e.chain_id = 10;
	e.block_timestamp = UINT64_MAX;
	e.transaction_hash = text_of("t");
	e.fid = 9;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_SIGNER;
	e.signer = &signer;
	encode(&e.base, &b);
	assert_renders(SC_FORM_ONCHAIN, buf_slice(&b), "{\n"
		"  \"block_hash\": \"\",\n"
		"  \"block_number\": 0,\n"
		"  \"block_timestamp\": 18446744073709551615,\n"
		"  \"body\": {\n"
		"    \"event_type\": \"admin-reset\",\n"
		"    \"key\": \"6b\",\n"
		"    \"key_type\": 0,\n"
		"    \"metadata\": \"\",\n"
		"    \"metadata_type\": 0\n"
		"  },\n"
		"  \"body_type\": \"signer\",\n"
		"  \"chain_id\": 10,\n"
		"  \"fid\": 9,\n"
		"  \"log_index\": 0,\n"
		"  \"time\": \"9999-12-31T23:59:59Z\",\n"
		"  \"transaction_hash\": \"74\",\n"
		"  \"tx_index\": 0,\n"
		"  \"type\": \"onchain-storage-rent\",\n"
		"  \"version\": 0\n"
		"}\n");
}

static void a_name_is_text_when_it_can_be(void **state)
{
	Sc__UserNameProof proof = SC__USER_NAME_PROOF__INIT;
	Sc__FnameTransfer f = SC__FNAME_TRANSFER__INIT;
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16), c = BUF_INIT(1 << 16);

	proof.name = text_of("bob");
	proof.timestamp = 1795262456;
	proof.type = 1;
	f.id = 106;
	f.from_fid = 2;
	f.proof = &proof;
	encode(&f.base, &b);
	assert_renders(SC_FORM_FNAME, buf_slice(&b), "{\n"
		"  \"from_fid\": 2,\n"
		"  \"id\": 106,\n"
		"  \"proof\": {\n"
		"    \"fid\": 0,\n"
		"    \"name\": \"bob\",\n"
		"    \"owner\": \"\",\n"
		"    \"signature\": \"\",\n"
		"    \"time\": \"2026-11-21T12:00:56Z\",\n"
		"    \"timestamp\": 1795262456,\n"
		"    \"type\": \"fname\"\n"
		"  },\n"
		"  \"type\": \"fname-transfer\"\n"
		"}\n");
	proof.name = text_of("\xff\x01");
	encode(&proof.base, &c);
	assert_renders(SC_FORM_PROOF, buf_slice(&c), "{\n"
		"  \"fid\": 0,\n"
		"  \"name\": \"ff01\",\n"
		"  \"owner\": \"\",\n"
		"  \"signature\": \"\",\n"
		"  \"time\": \"2026-11-21T12:00:56Z\",\n"
		"  \"timestamp\": 1795262456,\n"
		"  \"type\": \"fname\"\n"
		"}\n");
}

static void a_block_event_may_be_empty(void **state)
{
	Sc__HeartbeatEventBody heartbeat = SC__HEARTBEAT_EVENT_BODY__INIT;
	Sc__BlockEventData data = SC__BLOCK_EVENT_DATA__INIT;
	Sc__BlockEvent e = SC__BLOCK_EVENT__INIT;
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16);

	assert_renders(SC_FORM_BLOCK_EVENT, SLICE_EMPTY, "{\n"
		"  \"hash\": \"\",\n"
		"  \"type\": \"block-event\"\n"
		"}\n");
	data.seqnum = 4;
	data.block_timestamp = UINT64_MAX;
	data.body_case = SC__BLOCK_EVENT_DATA__BODY_HEARTBEAT;
	data.heartbeat = &heartbeat;
	e.data = &data;
	encode(&e.base, &b);
	assert_renders(SC_FORM_BLOCK_EVENT, buf_slice(&b), "{\n"
		"  \"block_number\": 0,\n"
		"  \"block_timestamp\": 18446744073709551615,\n"
		"  \"event_index\": 0,\n"
		"  \"event_type\": \"heartbeat\",\n"
		"  \"hash\": \"\",\n"
		"  \"seqnum\": 4,\n"
		"  \"time\": \"9999-12-31T23:59:59Z\",\n"
		"  \"type\": \"block-event-heartbeat\"\n"
		"}\n");
	assert_renders(SC_FORM_SYSTEM, SLICE_EMPTY, "{\n"
		"  \"type\": \"system\"\n"
		"}\n");
}

static void other_bytes_do_not_render(void **state)
{
	AUTO(buf_release) struct buf b = BUF_INIT(1 << 16);
	struct chain_object bad = { .form = SC_FORM_MESSAGE, .bytes = SLICE("\x08", 1) };
	struct chain_object unknown = { .form = 99 };

	assert_int_equal(sc_render_object(&bad, false, &b), -EBADMSG);
	assert_int_equal(sc_render_object(&unknown, false, &b), -EINVAL);
	assert_int_equal(b.n, 0);
}

static void assert_header(const struct sc_block *b, bool json, const char *wanted)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1 << 16);

	assert_int_equal(sc_render_header(&b->base, json, &out), 0);
	buf_u8(&out, '\0');
	assert_string_equal((const char *)out.p, wanted);
}

static void a_header_has_one_field_a_line(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf blocks = recording_read(RECORDING, "blocks-0");
	AUTO(buf_release) struct buf chunks = recording_read(RECORDING, "chunks-2");
	AUTO(buf_release) struct buf parent = BUF_INIT(1 << 16);
	AUTO(sc_block_freep) struct sc_block *block = NULL;
	AUTO(sc_block_freep) struct sc_block *chunk = NULL;

	assert_int_equal(block_read(p, stream_at(&blocks, 1), true, &block, NULL), 0);
	assert_header(block, false,
		"shard 0\n"
		"height 1\n"
		"time 2026-11-21T12:07:09Z\n"
		"timestamp 185803629\n"
		"hash b4fbeb135ea2739abd24a75c26c836e028155d9dc56d00e3c37279c1c06c1f93\n"
		"parent 4974206f636375727320746f206d652074686174206f757220737572766976616c206d61792"
		"0646570656e642075706f6e206f75722074616c6b696e6720746f206f6e6520616e6f746865722e\n"
		"root -\n"
		"transactions 0\n"
		"items 0\n"
		"bytes 248\n"
		"version 13\n"
		"chain_id 3\n"
		"events 0\n"
		"witness 1 1 d192f989312aa33b8c3935ddf5f0bd419329b4eb2978d4512270ccc632d121c5 -\n"
		"witness 2 1 b8ece32b403d33020ffd952d06d783330541732978611c88e5b6b88b892692c1 -\n");
	assert_header(block, true,
		      "{\n"
		      "  \"bytes\": 248,\n"
		      "  \"chain_id\": 3,\n"
		      "  \"events\": 0,\n"
		      "  \"hash\": "
		      "\"b4fbeb135ea2739abd24a75c26c836e028155d9dc56d00e3c37279c1c06c1f93\",\n"
		      "  \"height\": 1,\n"
		      "  \"items\": 0,\n"
		      "  \"parent\": "
		      "\"4974206f636375727320746f206d652074686174206f757220737572766976616c206d61"
		      "7920646570656e642075706f6e206f75722074616c6b696e6720746f206f6e6520616e6f7468"
		      "65722e\",\n"
		      "  \"root\": \"\",\n"
		      "  \"shard\": 0,\n"
		      "  \"time\": \"2026-11-21T12:07:09Z\",\n"
		      "  \"timestamp\": 185803629,\n"
		      "  \"transactions\": 0,\n"
		      "  \"version\": 13,\n"
		      "  \"witnesses\": [\n"
		      "    {\n"
		      "      \"hash\": "
		      "\"d192f989312aa33b8c3935ddf5f0bd419329b4eb2978d4512270ccc632d121c5\",\n"
		      "      \"height\": 1,\n"
		      "      \"root\": \"\",\n"
		      "      \"shard\": 1\n"
		      "    },\n"
		      "    {\n"
		      "      \"hash\": "
		      "\"b8ece32b403d33020ffd952d06d783330541732978611c88e5b6b88b892692c1\",\n"
		      "      \"height\": 1,\n"
		      "      \"root\": \"\",\n"
		      "      \"shard\": 2\n"
		      "    }\n"
		      "  ]\n"
		      "}\n");
	assert_int_equal(block_read(p, stream_at(&chunks, 1), false, &chunk, NULL), 0);
	assert_header(chunk, false,
		"shard 2\n"
		"height 1\n"
		"time 2026-11-21T12:07:09Z\n"
		"timestamp 185803629\n"
		"hash b8ece32b403d33020ffd952d06d783330541732978611c88e5b6b88b892692c1\n"
		"parent 0020\n"
		"root -\n"
		"transactions 0\n"
		"items 0\n"
		"bytes 51\n");
	assert_int_equal(sc_render_parent(&chunk->base, &parent), 0);
	assert_true(slice_eq(buf_slice(&parent), slice_str("0 0020\n")));
}

static int setup(void **state)
{
	return sign_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cast_shows_everything_it_says),
		cmocka_unit_test(numbers_without_a_word_stay_numbers),
		cmocka_unit_test(what_does_not_parse_has_no_content),
		cmocka_unit_test(an_empty_message_shows_its_empty_fields),
		cmocka_unit_test(an_onchain_event_shows_both_its_types),
		cmocka_unit_test(a_name_is_text_when_it_can_be),
		cmocka_unit_test(a_block_event_may_be_empty),
		cmocka_unit_test(other_bytes_do_not_render),
		cmocka_unit_test(a_header_has_one_field_a_line),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
