#include "fs/tree/rows.h"
#include "fs/tree/xattr.h"
#include "tests/unit/tree_fixture.h"

static char archive[128];
static struct chain whole;

static int make_whole(void **state)
{
	struct err err = ERR_INIT;
	struct forge_options o = { .kind = FORGE_STORY };

	trace_set_sink(fixture_silence, NULL);
	fixture_folder(archive);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	chain_open(&whole, archive);
	chain_feed_all(&whole, 1);
	return 0;
}

static int drop_whole(void **state)
{
	chain_release(&whole);
	fixture_remove(archive);
	return 0;
}

static void read_whole(void)
{
	tree_set_env(&(struct tree_env){ .store = whole.store, .ctl_target = "/run/ctl",
					  .plain_target = "/run/plain" });
}

/* The value as text; "" when the place has not got it. */
static const char *value(const struct node *n, const char *name)
{
	static char text[XATTR_TEXT_MAX];
	AUTO(view_putp) struct view *v = view_of(n);
	AUTO(buf_release) struct buf out = BUF_INIT(XATTR_TEXT_MAX);
	struct err err = ERR_INIT;
	char whole_name[64];

	snprintf(whole_name, sizeof whole_name, "user.chain.%s", name);
	int rc = xattr_get(v, n, whole_name, &out, &err);
	if (rc != -ENODATA)
		must(rc, &err);
	snprintf(text, sizeof text, "%.*s", (int)out.n, (const char *)out.p);
	return text;
}

static const char *value_at(const char *path, const char *name)
{
	struct node n = found(path);

	return value(&n, name);
}

/* Every name of the list has a value, and every name with a value is in the list. */
static void list_is_exact(const struct node *n)
{
	static const char *const names[] = {
		"context", "hash", "height", "level", "parent", "shard"
	};
	AUTO(view_putp) struct view *v = view_of(n);
	AUTO(buf_release) struct buf list = BUF_INIT(XATTR_TEXT_MAX);
	struct err err = ERR_INIT;
	size_t at = 0;

	must(xattr_list(v, n, &list, &err), &err);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char name[64];

		if (!*value(n, names[i]))
			continue;
		snprintf(name, sizeof name, "user.chain.%s", names[i]);
		assert_true(at + strlen(name) < list.n);
		assert_string_equal((const char *)list.p + at, name);
		at += strlen(name) + 1;
	}
	assert_int_equal(at, list.n);
}

static void check_lists(const struct node *folder, size_t *seen)
{
	AUTO(names_release) struct names names = { .list = NULL };

	list(folder, 1000, &names);
	for (size_t i = 0; i < names.count; i++) {
		list_is_exact(&names.list[i].node);
		++*seen;
		if (names.list[i].attr.type == NODE_FOLDER)
			check_lists(&names.list[i].node, seen);
	}
}

static void a_list_names_what_there_is_and_nothing_else(void **state)
{
	static const char *const tops[] = {
		"net/gaps",
		"net/heights",
		"net/diffs/290",
		"net/legacy/at/290",
		"net/hyper/state",
		"net/hyper/shards/1/envelopes",
		"net/legacy/shards/1/blocks/0000000000-0000000999",
	};
	size_t seen = 0;

	read_whole();
	struct node root = tree_root(), net = found("net");
	list_is_exact(&root);
	list_is_exact(&net);
	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		struct node n = found(tops[i]);

		list_is_exact(&n);
		check_lists(&n, &seen);
	}
	assert_true(seen > 1000);
}

static void a_block_says_its_hash_height_parent_and_level(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	char line[128];

	read_whole();
	for (int c = 0; c < 2; c++) {
		char path[96];

		snprintf(path, sizeof path, "net/%s/shards/1/blocks/30", context_rules[c].name);
		assert_string_equal(value_at(path, "context"), context_rules[c].name);
		assert_string_equal(value_at(path, "height"), "30");
		assert_string_equal(value_at(path, "shard"), "1");
		assert_string_equal(value_at(path, "level"), "state");
	}
	snprintf(line, sizeof line, "hash %s\n",
		 value_at("net/legacy/shards/1/blocks/30/header", "hash"));
	assert_non_null(strstr(text_at("net/legacy/shards/1/blocks/30/header", &text), line));
	snprintf(line, sizeof line, "29 %s\n",
		 value_at("net/legacy/shards/1/blocks/30/block.pb", "parent"));
	assert_non_null(strstr(text_at("net/legacy/shards/1/blocks/30/parent", &text), line + 3));
	assert_string_equal(value_at("net/hyper/shards/1/blocks/30/header", "context"), "both");
	assert_string_equal(value_at("net/hyper/shards/1/blocks/30/verify", "height"), "30");
}

static void a_state_says_its_root_in_its_context(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	char line[128];

	read_whole();
	for (int c = 0; c < 2; c++) {
		char path[128];

		snprintf(path, sizeof path, "net/%s/shards/1/at/290", context_rules[c].name);
		snprintf(line, sizeof line, "0000000290\t%s\t", value_at(path, "hash"));
		snprintf(path, sizeof path, "net/%s/shards/1/roots/0000000000-0000000999.tsv",
			 context_rules[c].name);
		assert_non_null(strstr(text_at(path, &text), line));
		snprintf(path, sizeof path, "net/%s/state/shards/1", context_rules[c].name);
		assert_true(strlen(value_at(path, "hash")) > 0);
	}
	assert_string_equal(value_at("net/legacy/at/290", "height"), "290");
	assert_string_equal(value_at("net/diffs/290", "height"), "290");
	assert_string_equal(value_at("net/diffs/290", "context"), "");
	assert_string_equal(value_at("net/hyper/at/290/shards/1", "shard"), "1");
}

static void a_record_says_the_hash_that_its_name_has(void **state)
{
	AUTO(names_release) struct names accounts = { .list = NULL };
	AUTO(names_release) struct names sets = { .list = NULL };
	AUTO(names_release) struct names records = { .list = NULL };

	read_whole();
	struct node n = found("net/diffs/290/retained/1");
	list(&n, 100, &accounts);
	list(&accounts.list[0].node, 100, &sets);
	list(&sets.list[0].node, 100, &records);
	for (size_t i = 0; i < records.count; i++) {
		const struct name_at *r = &records.list[i];
		const char *hash = value(&r->node, "hash");

		assert_int_equal(strlen(hash), 40);
		assert_non_null(strstr(r->name, hash));
		assert_string_equal(value(&r->node, "context"), "both");
		assert_string_equal(value(&r->node, "level"), "state");
	}
	assert_true(records.count > 0);
}

static void names_of_others_are_not_supported_and_ours_are_absent(void **state)
{
	static const char *const others[] = { "security.selinux", "system.posix_acl_access",
					      "trusted.x",        "user.x",
					      "user.chainx.hash", "user.chain" };
	AUTO(buf_release) struct buf out = BUF_INIT(XATTR_TEXT_MAX);

	read_whole();
	struct node n = found("net/legacy/blocks/20/header");
	AUTO(view_putp) struct view *v = view_of(&n);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_int_equal(xattr_get(v, &n, others[i], &out, NULL), -EOPNOTSUPP);
	assert_int_equal(xattr_get(v, &n, "user.chain.none", &out, NULL), -ENODATA);
	assert_int_equal(xattr_get(v, &n, "user.chain.", &out, NULL), -ENODATA);
	n = found("net");
	assert_int_equal(xattr_get(v, &n, "user.chain.hash", &out, NULL), -ENODATA);
	assert_int_equal(out.n, 0);
}

static void a_level_is_of_the_view_that_is_asked_with(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	AUTO(buf_release) struct buf out = BUF_INIT(XATTR_TEXT_MAX);
	struct err err = ERR_INIT;

	chain_open(&c, archive);
	chain_feed(&c, 1, 1, 20, 0);
	chain_feed(&c, 1, 25, 40, -1);
	struct node folder = found("net/legacy/shards/1/blocks/30");
	struct node verify = found("net/legacy/shards/1/blocks/30/verify");
	AUTO(view_putp) struct view *old = view_of(&verify);
	assert_string_equal(value(&folder, "level"), "messages");
	assert_string_equal(value(&verify, "level"), "messages");
	assert_string_equal(value_at("net/legacy/shards/1/blocks/20", "level"), "state");
	chain_feed(&c, 1, 21, 60, -1);
	assert_string_equal(value(&folder, "level"), "state");
	must(xattr_get(old, &verify, "user.chain.level", &out, &err), &err);
	assert_true(slice_eq(buf_slice(&out), SLICE("messages", 8)));
	assert_string_equal(value_at("net/legacy/shards/1/blocks/30/verify", "level"), "state");
}

/* ---- holes ---- */

static uint64_t seek(const struct node *n, uint64_t offset, bool data)
{
	AUTO(view_putp) struct view *v = view_of(n);
	struct err err = ERR_INIT;
	uint64_t at = UINT64_MAX;
	int rc = tree_seek(v, n, offset, data, &at, &err);

	if (rc != -ENXIO)
		must(rc, &err);
	return rc == -ENXIO ? UINT64_MAX : at;
}

static void a_file_without_holes_is_one_extent(void **state)
{
	read_whole();
	struct node n = found("net/legacy/blocks/20/header");
	uint64_t size = attr_of(&n).size;

	assert_int_equal(seek(&n, 0, true), 0);
	assert_int_equal(seek(&n, 5, true), 5);
	assert_int_equal(seek(&n, 5, false), size);
	assert_int_equal(seek(&n, size, true), UINT64_MAX);
	assert_int_equal(seek(&n, size, false), UINT64_MAX);
}

/* Gaps of any size at any place: a hole is whole pages of zeros, and all such pages are in
 * holes. */
static void holes_of_a_map_are_the_pages_that_nobody_brought(void **state)
{
	enum { KNOWN = 50000, PAGE = 4096 };
	AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 20);
	struct view v = { .network = whole.network, .number = 7, .shard_count = 1 };
	struct shard_view *sv = &v.shards[0];
	struct node n = { .row = ROW_MAP,
			  .network = whole.network,
			  .scope = { .kind = SCOPE_VIEW, .view_number = 7 } };
	static const struct range held[] = {
		{ 1, 3 }, { 4097, 4098 }, { 8000, 8193 }, { 20000, 20001 }, { 45057, KNOWN + 1 }
	};
	struct attr attr;
	uint64_t holes = 0;

	sv->known = KNOWN;
	sv->replayed = 2;
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		assert_int_equal(gaps_add(&sv->gaps, held[i]), 0);
	assert_int_equal(gaps_fault(&sv->gaps, 30000, GAP_REFUSED, "header"), 0);
	assert_int_equal(tree_read(&v, &n, &bytes, NULL), 0);
	assert_int_equal(tree_attr(&v, &n, &attr, NULL), 0);
	assert_int_equal(attr.size, bytes.n);
	for (uint64_t at = 0; at < bytes.n; at += 17) {
		uint64_t first = at / PAGE * PAGE, data, hole;
		bool zero = first + PAGE <= bytes.n;

		for (uint64_t i = first; zero && i < first + PAGE; i++)
			zero = bytes.p[i] == 0;
		assert_int_equal(tree_seek(&v, &n, at, true, &data, NULL), 0);
		assert_int_equal(tree_seek(&v, &n, at, false, &hole, NULL), 0);
		assert_true(zero ? hole == at && data >= first + PAGE : data == at && hole > at);
		assert_true(data % PAGE == 0 || data == at);
		holes += zero && at - first < 17 ? PAGE : 0;
	}
	assert_int_equal(attr.hole_bytes, holes);
	assert_int_equal(holes, 7 * PAGE);
	gaps_release(&sv->gaps);
}

/* ---- handles ---- */

static void parent_is(const struct node *n, const struct node *wanted)
{
	AUTO(view_putp) struct view *v = view_of(n);
	struct err err = ERR_INIT;
	struct node above;

	must(tree_parent(v, n, &above, &err), &err);
	if (!same_node(&above, wanted))
		fail_msg("%s stands in %s", tree[n->row].path, tree[above.row].path);
}

static void check_parents(const struct node *folder, size_t *seen)
{
	AUTO(names_release) struct names names = { .list = NULL };

	list(folder, 1000, &names);
	for (size_t i = 0; i < names.count; i++) {
		if (names.list[i].attr.type != NODE_FOLDER)
			continue;
		parent_is(&names.list[i].node, folder);
		++*seen;
		check_parents(&names.list[i].node, seen);
	}
}

/* Those that are listed from the root on, the other tests of the tree ask. */
static void a_folder_that_only_resolves_knows_where_it_stands(void **state)
{
	static const char *const pairs[][2] = {
		{ "net/legacy/at/290", "net/legacy/at" },
		{ "net/hyper/at/290", "net/hyper/at" },
		{ "net/hyper/shards/1/at/290", "net/hyper/shards/1/at" },
		{ "net/diffs/290", "net/diffs" },
		{ "net/legacy/blocks/20", "net/legacy/blocks/0000000000-0000000999" },
		{ "net", "" },
		{ "", "" },
	};
	size_t seen = 0;

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct node n = found(pairs[i][0]), above = found(pairs[i][1]);

		parent_is(&n, &above);
		if (i < 4)
			check_parents(&n, &seen);
	}
	assert_true(seen > 100);
	struct node file = found("net/legacy/blocks/20/header"), above;
	AUTO(view_putp) struct view *v = view_of(&file);
	assert_int_equal(tree_parent(v, &file, &above, NULL), -ENOTDIR);
}

static void a_place_that_nobody_gave_is_stale(void **state)
{
	struct attr attr;

	read_whole();
	struct node n = found("net/legacy/state/shards/1/accounts");
	AUTO(view_putp) struct view *v = view_of(&n);
	struct node wrong = { .row = ROW_STATUS };
	assert_int_equal(tree_attr(NULL, &wrong, &attr, NULL), -ESTALE);
	wrong = n;
	wrong.row = ROW_SET;
	wrong.key = set_key(5, SET_MAX - 1);
	assert_int_equal(tree_attr(v, &wrong, &attr, NULL), -ESTALE);
	wrong = n;
	wrong.row = ROW_COUNT;
	assert_int_equal(tree_attr(v, &wrong, &attr, NULL), -ESTALE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_names_what_there_is_and_nothing_else),
		cmocka_unit_test(a_block_says_its_hash_height_parent_and_level),
		cmocka_unit_test(a_state_says_its_root_in_its_context),
		cmocka_unit_test(a_record_says_the_hash_that_its_name_has),
		cmocka_unit_test(names_of_others_are_not_supported_and_ours_are_absent),
		cmocka_unit_test(a_level_is_of_the_view_that_is_asked_with),
		cmocka_unit_test(a_file_without_holes_is_one_extent),
		cmocka_unit_test(holes_of_a_map_are_the_pages_that_nobody_brought),
		cmocka_unit_test(a_folder_that_only_resolves_knows_where_it_stands),
		cmocka_unit_test(a_place_that_nobody_gave_is_stale),
	};

	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
