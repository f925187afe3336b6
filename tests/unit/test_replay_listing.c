/* Names of files, and what hyper says of a block. */
#include "core/chain/snapchain/envelope.h"
#include "core/chain/snapchain/keyspace.h"
#include "core/chain/snapchain/listing.h"
#include "proto/snapchain.pb-c.h"
#include "tests/support/support.h"

static void names_are_escaped_so_that_every_name_is_a_file_name(void **state)
{
	static const struct { const char *name, *escaped;
	} known[] = {
		{ "alice", "alice" },     { "a.b_c-9", "a.b_c-9" }, { "Alice", "%41lice" },
		{ "..", "%2e." },         { "a/b", "a%2fb" },       { "%41", "%2541" },
		{ "\xc3\xa9", "%c3%a9" }, { " ", "%20" },
	};
	char escaped[SC_NAME_MAX + 1], name[400];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		sc_name_escape(slice_str(known[i].name), escaped);
		assert_string_equal(escaped, known[i].escaped);
		assert_true(sc_name_listable(slice_str(escaped)));
	}
	memset(name, 'a', sizeof name);
	sc_name_escape(SLICE(name, SC_NAME_MAX), escaped);
	assert_int_equal(strlen(escaped), SC_NAME_MAX);
	sc_name_escape(SLICE(name, SC_NAME_MAX + 1), escaped);
	assert_int_equal(strlen(escaped), 42);
	assert_memory_equal(escaped, "%h", 2);
	assert_true(sc_name_listable(slice_str(escaped)));
	sc_name_escape(SLICE_EMPTY, escaped);
	assert_memory_equal(escaped, "%h", 2);
}

static void what_is_no_file_name_of_ours_finds_nothing(void **state)
{
	static const struct { enum sc_set set; const char *name;
	} wrong[] = {
		{ SC_SET_CASTS, "" },
		{ SC_SET_CASTS, "1800000000" },
		{ SC_SET_CASTS, "1800000000-00" },
		{ SC_SET_CASTS,
		  "1600000000-00112233445566778899aabbccddeeff00112233" }, /* before the epoch */
		{ SC_SET_CASTS, "1800000000-00112233445566778899AABBCCDDEEFF00112233" },
		{ SC_SET_CASTS, "1800000000_00112233445566778899aabbccddeeff00112233" },
		{ SC_SET_CASTS, "1800000000-00112233445566778899aabbccddeeff0011223344" },
		{ SC_SET_CASTS,
		  "9999999999-00112233445566778899aabbccddeeff00112233" }, /* over 32 bits */
		{ SC_SET_ONCHAIN, "7-0000000001-0000000002" },
		{ SC_SET_ONCHAIN, "1-0000000001-000000002" },
		{ SC_SET_ONCHAIN, "1-4294967296-0000000002" },
		{ SC_SET_ONCHAIN, "1-000000000x-0000000002" },
		{ SC_SET_FNAMES, "Alice" },
		{ SC_SET_FNAMES, "%4" },
		{ SC_SET_FNAMES, ".hidden" },
	};
	AUTO(buf_release) struct buf key = BUF_INIT(256);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(sc_record_key(7, (uint8_t)(wrong[i].set + 1), wrong[i].name, &key),
				 -ENOENT);
	assert_int_equal(sc_record_key(7, 0, "x", &key), -ENOENT);
	assert_int_equal(sc_record_key(7, SC_SET_COUNT + 1, "x", &key), -ENOENT);
	assert_int_equal(sc_name_key("", &key), -ENOENT);
	assert_int_equal(key.n, 0);
	assert_int_equal(sc_record_key(7, SC_SET_CASTS + 1,
				       "1800000000-00112233445566778899aabbccddeeff00112233", &key),
			 0);
}

static void sets_are_in_the_order_of_their_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sc_set_count; i++) {
		assert_int_equal(sc_sets[i].id, i + 1);
		if (i)
			assert_true(strcmp(sc_sets[i - 1].name, sc_sets[i].name) < 0);
	}
}

static void an_envelope_says_what_its_definition_says(void **state)
{
	static const uint8_t key[] = { 1, 2, 3, 4, 5, 8, 9 }, root[20] = { 7 }, parent[32] = { 6 };
	struct chain_retained changes[] = {
		{ .trie_key = SLICE_ARRAY(key), .reason = REASON_PRUNED },
		{ .trie_key = SLICE_ARRAY(key), .dropped = true, .reason = REASON_SUPERSEDED },
	};
	struct chain_envelope e = { .hash = { 9 },
				    .parent = SLICE_ARRAY(parent),
				    .root = SLICE_ARRAY(root),
				    .retained = 12,
				    .base_height = 3,
				    .base_root = SLICE_ARRAY(root),
				    .changes = changes,
				    .change_count = ARRAY_LEN(changes) };
	AUTO(buf_release)
	struct buf out = BUF_INIT(4096),
		   again = BUF_INIT(4096), json = BUF_INIT(4096);

	(void)state;
	assert_int_equal(sc_render_envelope(&e, false, &out), 0);
	Sc__HyperEnvelope *m = sc__hyper_envelope__unpack(NULL, out.n, out.p);

	assert_non_null(m);
	assert_int_equal(m->canonical_block_id.len, HASH_SIZE);
	assert_int_equal(m->canonical_block_id.data[0], 9);
	assert_int_equal(m->extra_rules_version, 1);
	assert_int_equal(m->retained_message_count, 12);
	assert_int_equal(m->payload->base_height, 3);
	assert_int_equal(m->payload->n_changes, 2);
	assert_false(m->payload->changes[0]->dropped);
	assert_true(m->payload->changes[1]->dropped);
	assert_memory_equal(m->payload->changes[1]->reason.data, "superseded", 10);
	assert_int_equal(sc__hyper_envelope__get_packed_size(m), out.n);
	assert_int_equal(buf_reserve(&again, out.n), 0);
	sc__hyper_envelope__pack(m, again.p);
	assert_memory_equal(again.p, out.p, out.n);
	sc__hyper_envelope__free_unpacked(m, NULL);

	assert_int_equal(sc_render_envelope(&e, true, &json), 0);
	buf_u8(&json, 0);
	assert_non_null(strstr((char *)json.p, "\"trie_key\": \"01020304050809\""));
	assert_non_null(strstr((char *)json.p, "\"reason\": \"pruned\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_escaped_so_that_every_name_is_a_file_name),
		cmocka_unit_test(what_is_no_file_name_of_ours_finds_nothing),
		cmocka_unit_test(sets_are_in_the_order_of_their_names),
		cmocka_unit_test(an_envelope_says_what_its_definition_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
