#include "tests/unit/tree_fixture.h"

/* The tree over stores that are fed piece by piece. */
static char archive[128];

static int make_archive(void **state)
{
	struct err err = ERR_INIT;
	struct forge_options o = { .kind = FORGE_STORY };

	trace_set_sink(fixture_silence, NULL);
	fixture_folder(archive);
	must(forge_chain(&o, archive, NULL, NULL, &err), &err);
	return 0;
}

static int drop_archive(void **state)
{
	fixture_remove(archive);
	return 0;
}

/* ---- what is not held ---- */

static void gaps_are_no_data_and_what_nobody_knows_is_no_name(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;
	struct node n;

	chain_open(&c, archive);
	chain_feed(&c, 1, 1, 20, 0);
	chain_feed(&c, 1, 31, 40, 0);
	chain_feed(&c, 0, 1, 20, 0);
	assert_int_equal(find("net/legacy/shards/1/blocks/25", &n, &err), -ENODATA);
	assert_non_null(strstr(err.text, "not-fetched"));
	assert_int_equal(finding("net/legacy/shards/1/blocks/41"), -ENOENT);
	assert_int_equal(finding("net/legacy/shards/1/blocks/0"), -ENOENT);
	assert_int_equal(finding("net/legacy/shards/1/blocks/0000001000-0000001999"), -ENOENT);
	assert_int_equal(finding("net/legacy/shards/2/blocks/0000000000-0000000999"), -ENODATA);
	assert_int_equal(finding("net/legacy/shards/1/at/20"), 0);
	assert_int_equal(finding("net/legacy/shards/1/at/21"), -ENODATA);
	assert_int_equal(finding("net/legacy/shards/1/at/41"), -ENOENT);
	assert_int_equal(finding("net/legacy/at/20/shards/2"), -ENODATA);
	assert_int_equal(finding("net/legacy/at/20/accounts"), 0);
	assert_int_equal(finding("net/hyper/at/20"), -ENODATA);
	assert_int_equal(finding("net/hyper/state/accounts"), -ENODATA);
	assert_int_equal(finding("net/diffs/20"), -ENODATA);
	assert_int_equal(finding("net/diffs/latest"), -ENODATA);
	assert_memory_equal(text_at("net/heights/1.map", &text),
			    "rrrrrrrrrrrrrrrrrrrr\0\0\0\0\0\0\0\0\0\0hhhhhhhhhh\n", 42);
	assert_string_equal(text_at("net/gaps/1/0000000021-0000000030/reason", &text),
			    "not-fetched\n");
	assert_int_equal(finding("net/gaps/1/0000000022-0000000030"), -ENOENT);
	assert_int_equal(finding("net/gaps/0"), -ENOENT);
	assert_non_null(strstr(text_at("net/README", &text), "Hyper is off"));
	assert_non_null(strstr(text_at("net/status", &text), "\nhyper off\n"));

	AUTO(walk_release) struct walk w = { .step = 7 };
	n = tree_root();
	walk(&w, "", &n);
}

static void a_file_of_a_view_stays_and_its_name_moves_on(void **state)
{
	static const char *const paths[] = {
		"net/legacy/shards/1/blocks/30/verify",
		"net/legacy/shards/1/blocks/30/outcomes.tsv",
		"net/legacy/shards/1/blocks/0000000000-0000000999/index.tsv",
		"net/heights/1.map",
		"net/status",
		"net/README",
		"net/legacy/shards/1/blocks/0000000000-0000000999/items.jsonl",
		"net/legacy/shards/1/roots/0000000000-0000000999.tsv",
		"net/diffs/diverged",
		"net/legacy/state/shards/1/roots.tsv",
	};
	AUTO(chain_release) struct chain c = { .store = NULL };
	struct node before[ARRAY_LEN(paths)];
	struct buf bytes[ARRAY_LEN(paths)];

	chain_open(&c, archive);
	chain_feed(&c, 1, 1, 20, 1);
	chain_feed(&c, 1, 25, 40, -1);
	AUTO(view_putp) struct view *old = network_view_get(c.network);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		bytes[i] = (struct buf)BUF_INIT(1u << 24);
		before[i] = found(paths[i]);
		read_node(&before[i], &bytes[i]);
		assert_int_equal(attr_of(&before[i]).settles, strcmp(paths[i], paths[9]) != 0);
	}
	chain_feed(&c, 1, 21, 60, -1);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		AUTO(buf_release) struct buf again = BUF_INIT(1u << 24);
		struct err err = ERR_INIT;
		struct attr attr;
		struct node now = found(paths[i]);

		assert_false(same_node(&now, &before[i]));
		must(tree_attr(old, &before[i], &attr, &err), &err);
		must(tree_read(old, &before[i], &again, &err), &err);
		assert_int_equal(attr.size, bytes[i].n);
		if (!slice_eq(buf_slice(&again), buf_slice(&bytes[i])))
			fail_msg("%s changed under its reader", paths[i]);
		buf_release(&bytes[i]);
		/* And a node is not asked about with another view than its own. */
		AUTO(view_putp) struct view *newer = network_view_get(c.network);
		assert_int_equal(tree_attr(newer, &before[i], &attr, NULL), -ESTALE);
	}
	struct node verify = found(paths[0]);
	assert_true(verify.of_object);
	assert_false(attr_of(&verify).settles);
}

/* One view, whatever is published meanwhile. */
static void walk_frozen(const struct view *v, const struct node *folder, size_t *files)
{
	AUTO(names_release) struct names names = { .list = NULL, .room = SIZE_MAX };
	struct err err = ERR_INIT;

	must(tree_list(v, folder, 0, true, take_name, &names, &err), &err);
	for (size_t i = 0; i < names.count; i++) {
		AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 26);
		const struct name_at *c = &names.list[i];

		if (c->attr.type == NODE_FOLDER) {
			walk_frozen(v, &c->node, files);
			continue;
		}
		must(tree_read(v, &c->node, &bytes, &err), &err);
		if (bytes.n != c->attr.size)
			fail_msg("%s of %s has %zu bytes, told were %" PRIu64, c->name,
				 tree[folder->row].path, bytes.n, c->attr.size);
		++*files;
	}
}

static void *feed_slowly(void *arg)
{
	for (uint64_t first = 1; first <= 60; first += 20)
		for (uint32_t s = 3; s-- > 0;)
			chain_feed(arg, s, first, first + 19, -1);
	return NULL;
}

static void while_the_chain_grows_every_file_is_whole(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	size_t files = 0;
	pthread_t feeder;
	bool over = false;

	chain_open(&c, archive);
	chain_feed(&c, 0, 1, 1, 1);
	assert_int_equal(pthread_create(&feeder, NULL, feed_slowly, &c), 0);
	while (!over) {
		struct node n = found("net");
		AUTO(view_putp) struct view *v = view_of(&n);

		walk_frozen(v, &n, &files);
		over = v->shards[0].replayed == 60;
	}
	pthread_join(feeder, NULL);
	assert_true(files > 1000);
}

static void hyper_switched_on_later_begins_above_its_base(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);

	chain_open(&c, archive);
	for (uint32_t s = 3; s-- > 0;)
		chain_feed(&c, s, 1, 50, 0);
	for (uint32_t s = 3; s-- > 0;)
		chain_feed(&c, s, 51, 120, 1);
	assert_int_equal(finding("net/hyper/at/50"), -ENODATA);
	assert_int_equal(finding("net/hyper/at/120"), 0);
	assert_int_equal(finding("net/hyper/shards/1/at/50"), -ENODATA);
	assert_int_equal(finding("net/hyper/shards/1/at/51"), 0);
	assert_int_equal(
		finding("net/hyper/shards/1/envelopes/0000000000-0000000999/0000000050.pb"),
		-ENODATA);
	assert_int_equal(
		finding("net/hyper/shards/1/envelopes/0000000000-0000000999/0000000051.pb"), 0);
	assert_int_equal(finding("net/diffs/50"), -ENODATA);
	assert_memory_equal(text_at("net/hyper/shards/1/roots/0000000000-0000000999.tsv", &text),
			    "0000000051\t", 11);

	AUTO(walk_release) struct walk w = { .step = 50 };
	struct node n = tree_root();
	walk(&w, "", &n);
	struct compared sum = { 0 };
	struct node legacy = found("net/legacy/at/120"), hyper = found("net/hyper/at/120");
	compare("at", &legacy, &hyper, &sum);
	legacy = found("net/legacy/state");
	hyper = found("net/hyper/state");
	compare("state", &legacy, &hyper, &sum);
}

/* ---- a range that is whole ---- */

static void a_whole_range_is_one_file_for_ever(void **state)
{
	AUTO(chain_release) struct chain c = { .store = NULL };
	AUTO(names_release) struct names ranges = { .list = NULL };
	struct forge_options o = {
		.kind = FORGE_CROWD,
		.name = "crowd",
		.blocks = 2060,
		.messages = 60,
		.accounts = 6,
		.data_shards = 1,
	};
	struct err err = ERR_INIT;
	char folder[128];

	fixture_folder(folder);
	must(forge_chain(&o, folder, NULL, NULL, &err), &err);
	chain_open(&c, folder);
	chain_feed_all(&c, 1);
	struct node n = found("net/legacy/blocks");
	list(&n, 1, &ranges);
	assert_int_equal(ranges.count, 2);
	assert_false(ranges.list[0].attr.grows);
	assert_true(ranges.list[1].attr.grows);
	for (int f = 0; f < 4; f++) {
		static const char *const files[] = {
			"legacy/blocks/%s/index.tsv",
			"hyper/shards/1/blocks/%s/items.jsonl",
			"legacy/roots/%s.tsv",
			"hyper/shards/1/roots/%s.tsv",
		};
		for (int whole_one = 0; whole_one < 2; whole_one++) {
			AUTO(buf_release) struct buf bytes = BUF_INIT(1u << 26);
			char path[160], pattern[80];

			snprintf(pattern, sizeof pattern, "net/%s", files[f]);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
			snprintf(path, sizeof path, pattern,
				 whole_one ? "0000000000-0000000999" : "0000001000-0000001999");
#pragma GCC diagnostic pop
			n = found(path);
			read_node(&n, &bytes);
			assert_int_equal(attr_of(&n).size, bytes.n);
			assert_int_equal(attr_of(&n).settles, !whole_one);
			assert_int_equal(n.scope.kind, whole_one ? SCOPE_PLACE : SCOPE_VIEW);
		}
	}
	chain_release(&c);
	c = (struct chain){ .store = NULL };
	fixture_remove(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gaps_are_no_data_and_what_nobody_knows_is_no_name),
		cmocka_unit_test(a_file_of_a_view_stays_and_its_name_moves_on),
		cmocka_unit_test(while_the_chain_grows_every_file_is_whole),
		cmocka_unit_test(hyper_switched_on_later_begins_above_its_base),
		cmocka_unit_test(a_whole_range_is_one_file_for_ever),
	};

	return cmocka_run_group_tests(tests, make_archive, drop_archive);
}
