/* The trie against roots that others computed, and at its edges.
 * tests/prop/prop_trie.c has the rule. */
#include <cjson/cJSON.h>

#include "core/chain/snapchain/keyspace.h"
#include "core/chain/trie.h"
#include "tests/support/support.h"

static void an_empty_trie_has_no_root(void **state)
{
	struct account_trie *t = account_trie_new((uint8_t[]){ 1, 0, 0, 0, 1 });
	struct trie         *upper = trie_new();
	uint8_t              root[HASH20_SIZE];

	(void)state;
	assert_false(account_trie_root(t, root));
	assert_int_equal(account_trie_delete(t, slice_str("\x08nothing")), 0);
	assert_false(trie_root(upper, root));
	assert_int_equal(trie_set(upper, (uint8_t[]){ 1, 0, 0, 0, 1 }, NULL, 0), 0);
	assert_int_equal(trie_count(upper, SLICE_EMPTY), 0);
	account_trie_freep(&t);
	trie_freep(&upper);
}

static void the_virtual_shard_of_a_fid_is_known(void **state)
{
	static const struct { uint64_t fid; uint8_t vshard; } known[] = {
		{ 0, 152 }, { 1, 168 }, { 42, 141 }, { 100, 89 }, { 918648237462, 153 },
	};
	uint8_t prefix[TRIE_PREFIX_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		sc_prefix(known[i].fid, prefix);
		assert_int_equal(prefix[0], known[i].vshard);
		assert_int_equal(get_be32(prefix + 1), (uint32_t)known[i].fid);
	}
}

/* The chain has no such keys of its own, but nothing keeps it from carrying some. */
static void a_key_that_begins_like_another_is_a_key_of_its_own(void **state)
{
	static const char *const keys[] = { "\x07"
					    "alice",
					    "\x07"
					    "alice and bob",
					    "\x07"
					    "ali",
					    "\x07" };
	struct account_trie *t = account_trie_new((uint8_t[]){ 1, 0, 0, 0, 1 });
	uint8_t              roots[ARRAY_LEN(keys)][HASH20_SIZE], root[HASH20_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		assert_int_equal(account_trie_insert(t, slice_str(keys[i])), 1);
		assert_int_equal(account_trie_insert(t, slice_str(keys[i])), 0);
		assert_true(account_trie_root(t, roots[i]));
	}
	assert_int_equal(account_trie_count_type(t, 7), ARRAY_LEN(keys));
	for (size_t i = ARRAY_LEN(keys); i-- > 1;) {
		assert_true(account_trie_has(t, slice_str(keys[i])));
		assert_int_equal(account_trie_delete(t, slice_str(keys[i])), 1);
		assert_false(account_trie_has(t, slice_str(keys[i])));
		assert_true(account_trie_root(t, root));
		assert_memory_equal(root, roots[i - 1], HASH20_SIZE);
	}
	account_trie_freep(&t);
}

static void without_memory_nothing_changes(void **state)
{
	static const uint8_t prefix[TRIE_PREFIX_SIZE] = { 1, 0, 0, 0, 1 },
			     other[TRIE_PREFIX_SIZE] = { 1, 0, 0, 1, 1 };
	struct account_trie *t = account_trie_new(prefix);
	struct trie         *upper = trie_new();
	uint8_t              before[HASH20_SIZE], after[HASH20_SIZE], above[HASH20_SIZE];

	(void)state;
	assert_int_equal(account_trie_insert(t, slice_str("\x08" "aaaaaaaa")), 1);
	assert_true(account_trie_root(t, before));
	assert_int_equal(trie_set(upper, prefix, before, 1), 0);
	assert_true(trie_root(upper, above));
	FOR_EACH_ALLOC_FAULT {
		int rc = account_trie_insert(t, slice_str("\x08" "aaaaaaab"));

		assert_true(rc == 1 || rc == -ENOMEM);
		if (rc == 1)
			assert_int_equal(account_trie_delete(t, slice_str("\x08" "aaaaaaab")), 1);
		assert_true(account_trie_root(t, after));
		assert_memory_equal(before, after, HASH20_SIZE);
		rc = trie_set(upper, other, before, 1);
		assert_true(rc == 0 || rc == -ENOMEM);
		if (rc == 0)
			assert_int_equal(trie_set(upper, other, NULL, 0), 0);
		assert_int_equal(trie_count(upper, SLICE_EMPTY), 1);
		assert_true(trie_root(upper, after));
		assert_memory_equal(above, after, HASH20_SIZE);
	}
	account_trie_freep(&t);
	trie_freep(&upper);
}

/* ---- upstream's conformance corpus: roots of a state of three onchain
 * events and one message ---- */

static void insert_onchain(struct account_trie *t, uint8_t type, uint8_t fill)
{
	uint8_t rest[1 + 32 + 4] = { type };

	memset(rest + 1, fill, 32);
	assert_int_equal(account_trie_insert(t, SLICE_ARRAY(rest)), 1);
}

static bool check_vector(const cJSON *v)
{
	const cJSON *root_text =
		cJSON_GetObjectItem(cJSON_GetObjectItem(v, "expected_state"), "post_state_root");
	const cJSON *expected = cJSON_GetObjectItem(v, "expected");
	struct trie *upper = trie_new();
	uint8_t      prefix[TRIE_PREFIX_SIZE], data[4096], root[HASH20_SIZE], known[HASH20_SIZE];
	uint8_t      rest[1 + HASH20_SIZE];

	if (!cJSON_IsString(root_text)) {
		trie_freep(&upper);
		return false;
	}
	sc_prefix((uint64_t)cJSON_GetObjectItem(v, "fid")->valuedouble, prefix);
	struct account_trie *t = account_trie_new(prefix);

	insert_onchain(t, 4, 0xa1);
	insert_onchain(t, 3, 0xa2);
	insert_onchain(t, 1, 0xa3);
	size_t n =
		unhex(cJSON_GetObjectItem(expected, "data_bytes")->valuestring, data, sizeof data);

	assert_true(n > 2 && data[0] == 0x08); /* its first field is the type */
	rest[0] = (uint8_t)(data[1] << 3);
	hash_blake3_20(SLICE(data, n), rest + 1);
	assert_int_equal(account_trie_insert(t, SLICE_ARRAY(rest)), 1);
	assert_true(account_trie_root(t, root));
	assert_int_equal(trie_set(upper, prefix, root, account_trie_count(t)), 0);
	assert_true(trie_root(upper, root));
	assert_int_equal(unhex(root_text->valuestring, known, sizeof known), HASH20_SIZE);
	assert_memory_equal(root, known, HASH20_SIZE);
	account_trie_freep(&t);
	trie_freep(&upper);
	return true;
}

static void the_roots_of_the_conformance_corpus_come_out(void **state)
{
	const char *folder = getenv("CHAINFS_CORPUS");
	char        path[512];
	size_t      size, checked = 0;
	cJSON      *manifest, *v;

	(void)state;
	if (!folder) {
		print_message(
			"CHAINFS_CORPUS does not name the folder of the conformance corpus\n");
		skip();
	}
	snprintf(path, sizeof path, "%s/manifest.json", folder);
	uint8_t *text = file_read(path, &size);

	manifest = cJSON_ParseWithLength((char *)text, size);
	free(text);
	assert_non_null(manifest);
	cJSON_ArrayForEach(v, cJSON_GetObjectItem(manifest, "vectors"))
		checked += check_vector(v);
	assert_int_equal(checked, 10);
	cJSON_Delete(manifest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_trie_has_no_root),
		cmocka_unit_test(the_virtual_shard_of_a_fid_is_known),
		cmocka_unit_test(a_key_that_begins_like_another_is_a_key_of_its_own),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(the_roots_of_the_conformance_corpus_come_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
