#include "fs/tree/path.h"
#include "fs/tree/rows.h"
#include "core/base/files.h"
#include "tests/unit/tree_fixture.h"

/* The whole chain with hyper on from the beginning, for every test that only reads. */
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

/* ---- the table ---- */

static void every_row_has_a_path_of_its_own_words_and_a_parent(void **state)
{
	for (size_t i = 0; i < tree_count; i++) {
		const struct entry *e = &tree[i];
		const char *slash = strrchr(e->path, '/');
		size_t parent = slash ? (size_t)(slash - e->path) : 0;
		bool below = i == ROW_ROOT;

		assert_non_null(e->about);
		assert_non_null(e->ops);
		for (size_t k = 0; k < tree_count; k++) {
			const struct entry *f = &tree[k];

			assert_true(k == i || strcmp(e->path, f->path) != 0);
			below |= f->type == NODE_FOLDER && strlen(f->path) == parent &&
				 strncmp(f->path, e->path, parent) == 0;
			below |= f->opens && strlen(f->opens) == parent &&
				 strncmp(f->opens, e->path, parent) == 0;
		}
		if (!below)
			fail_msg("%s stands below no folder", e->path);
	}
}

static void every_row_answers_what_its_kind_is_asked(void **state)
{
	for (size_t i = 1; i < tree_count; i++) {
		const struct entry *e = &tree[i];
		const char *leaf = strrchr(e->path, '/') ? strrchr(e->path, '/') + 1 : e->path;
		/* What a row finds may be the node of another row, which then answers for it. */
		bool elsewhere =
			i == ROW_BLOCK_SHORT || i == ROW_ACCOUNT_SHORT || i == ROW_RETAINED_RECORD;

		assert_true(!strchr(leaf, '{') || e->ops->find);
		assert_true(elsewhere || e->ops->attr);
		assert_true(elsewhere ||
			    (e->type == NODE_FOLDER) == (!e->ops->read && !e->ops->open));
		assert_true(!e->unlisted || !e->ops->list);
	}
}

/* ---- parts of paths ---- */

static void numbers_are_read_as_they_are_written(void **state)
{
	uint64_t v;
	unsigned byte;
	struct range r;

	assert_int_equal(path_padded("0000000012", 10, 10, &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(path_padded("12", 2, 10, &v), -ENOENT);
	assert_int_equal(path_padded("00000000012", 11, 10, &v), -ENOENT);
	assert_int_equal(path_padded("12345678901", 11, 10, &v), 0);
	assert_int_equal(path_padded("000000001x", 10, 10, &v), -ENOENT);
	assert_int_equal(path_number("99999999999999999999999", 23, &v), -ENOENT);
	assert_int_equal(path_number("", 0, &v), -ENOENT);
	assert_int_equal(path_byte("0f", 2, &byte), 0);
	assert_int_equal(byte, 15);
	assert_int_equal(path_byte("0F", 2, &byte), -ENOENT);
	assert_int_equal(path_byte("f", 1, &byte), -ENOENT);
	assert_int_equal(path_range("0000000005-0000000005", 21, &r), 0);
	assert_true(r.first == 5 && r.end == 6);
	assert_int_equal(path_range("0000000005-0000000004", 21, &r), -ENOENT);
	assert_int_equal(path_range("0000000005-18446744073709551615", 31, &r), -ENOENT);
	assert_int_equal(path_range("0000000005", 10, &r), -ENOENT);
	assert_int_equal(path_block_range("0000001000-0000001999", 21, &v), 0);
	assert_int_equal(v, 1);
	assert_int_equal(path_block_range("0000001000-0000001998", 21, &v), -ENOENT);
	assert_int_equal(path_block_range("0000001001-0000002000", 21, &v), -ENOENT);
}

/* ---- all of it ---- */

static int by_node(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct node));
}

static void whatever_is_listed_is_found_and_as_large_as_told(void **state)
{
	AUTO(walk_release) struct walk w = { .step = 300 };
	struct node root = tree_root();

	read_whole();
	walk(&w, "", &root);
	assert_true(w.folders > 1000 && w.files > 5000);
}

static void no_folder_stands_at_two_places(void **state)
{
	static const char *const tops[] = {
		"net/legacy",
		"net/hyper",
		"net/legacy/at/289",
		"net/legacy/at/290",
		"net/hyper/at/290",
		"net/diffs/290",
		"net/legacy/shards/1/at/289",
		"net/legacy/shards/1/at/290",
	};
	AUTO(walk_release) struct walk w = { .step = 1000, .names_only = true };

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(tops); i++) {
		struct node n = found(tops[i]);

		walk(&w, tops[i], &n);
	}
	/* Into zeroed memory, so that equal nodes are equal bytes. */
	struct node *clean = calloc(w.seen_count, sizeof *clean);

	assert_non_null(clean);
	for (size_t i = 0; i < w.seen_count; i++) {
		clean[i].row = w.seen[i].row;
		clean[i].key = w.seen[i].key;
		clean[i].scope.kind = w.seen[i].scope.kind;
		clean[i].scope.context = w.seen[i].scope.context;
		clean[i].scope.shard = w.seen[i].scope.shard;
		clean[i].scope.height = w.seen[i].scope.height;
		clean[i].scope.view_number = w.seen[i].scope.view_number;
	}
	qsort(clean, w.seen_count, sizeof *clean, by_node);
	for (size_t i = 1; i < w.seen_count; i++)
		if (memcmp(&clean[i - 1], &clean[i], sizeof *clean) == 0)
			fail_msg("a folder of %s is listed twice", tree[clean[i].row].path);
	free(clean);
}

static void a_listing_goes_on_behind_any_name(void **state)
{
	static const char *const folders[] = {
		"",
		"net",
		"net/hyper",
		"net/legacy/blocks/0000000000-0000000999",
		"net/legacy/blocks/20/items",
		"net/hyper/shards/1/envelopes/0000000000-0000000999",
		"net/hyper/state/shards/1/accounts",
		"net/hyper/state/shards/1/names",
		"net/diffs/290/retained/1",
		"net/diffs",
	};

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		AUTO(names_release) struct names once = { .list = NULL };
		AUTO(names_release) struct names pieces = { .list = NULL };
		struct node n = found(folders[i]);

		list(&n, SIZE_MAX, &once);
		list(&n, 1, &pieces);
		assert_int_equal(once.count, pieces.count);
		for (size_t k = 0; k < once.count; k++) {
			assert_string_equal(once.list[k].name, pieces.list[k].name);
			assert_int_equal(once.list[k].offset, pieces.list[k].offset);
		}
	}
}

/* ---- two contexts ---- */

static size_t count_files(const struct node *folder)
{
	AUTO(names_release) struct names names = { .list = NULL };
	size_t sum = 0;

	list(folder, 1000, &names);
	for (size_t i = 0; i < names.count; i++)
		sum += names.list[i].attr.type == NODE_FOLDER ? count_files(&names.list[i].node)
							      : 1;
	return sum;
}

static void hyper_differs_from_legacy_by_what_it_retained(void **state)
{
	static const unsigned heights[] = { 1, 100, 200, 290 };
	size_t most = 0;

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(heights); i++) {
		char paths[3][64];
		struct compared sum = { 0 };

		snprintf(paths[0], sizeof paths[0], "net/legacy/at/%u", heights[i]);
		snprintf(paths[1], sizeof paths[1], "net/hyper/at/%u", heights[i]);
		snprintf(paths[2], sizeof paths[2], "net/diffs/%u/retained", heights[i]);
		struct node legacy = found(paths[0]), hyper = found(paths[1]),
			    retained = found(paths[2]);

		compare("at", &legacy, &hyper, &sum);
		assert_int_equal(sum.only_hyper, count_files(&retained));
		most = MAX(most, sum.only_hyper);
	}
	assert_true(most > 0);
}

static void the_same_file_is_the_same_node_in_both_contexts(void **state)
{
	static const char *const files[] = {
		"blocks/20/header",
		"blocks/20/header.json",
		"blocks/20/parent",
		"blocks/20/block.pb",
		"blocks/20/verify",
		"blocks/20/commits.pb",
		"blocks/20/signers",
		"blocks/20/outcomes.tsv",
		"blocks/0000000000-0000000999/index.tsv",
		"blocks/0000000000-0000000999/items.jsonl",
	};

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		for (int lane = 0; lane < 2; lane++) {
			char paths[2][128];

			for (int c = 0; c < 2; c++)
				snprintf(paths[c], sizeof paths[c], "net/%s/%s%s",
					 c ? "hyper" : "legacy", lane ? "shards/1/" : "", files[i]);
			struct node a = found(paths[0]), b = found(paths[1]);

			assert_true(same_node(&a, &b));
		}
}

static void a_retained_record_is_the_file_that_hyper_lists(void **state)
{
	AUTO(names_release) struct names accounts = { .list = NULL };
	AUTO(names_release) struct names sets = { .list = NULL };
	AUTO(names_release) struct names records = { .list = NULL };
	char path[1024];

	read_whole();
	struct node n = found("net/diffs/290/retained/1");
	list(&n, 100, &accounts);
	list(&accounts.list[0].node, 100, &sets);
	list(&sets.list[0].node, 100, &records);
	assert_true(records.count > 0);
	uint64_t fid = strtoull(accounts.list[0].name, NULL, 10);
	snprintf(path, sizeof path, "net/hyper/at/290/shards/1/accounts/%02x/%s/%s/%s",
		 network_ops(whole.network)->vshard_of(fid), accounts.list[0].name,
		 sets.list[0].name, records.list[0].name);
	n = found(path);
	assert_true(same_node(&n, &records.list[0].node));
	memcpy(strstr(path, "hyper"), "legac", 5);
	memmove(strstr(path, "legac") + 6, strstr(path, "legac") + 5,
		strlen(strstr(path, "legac") + 5) + 1);
	strstr(path, "legac")[5] = 'y';
	assert_int_equal(finding(path), -ENOENT);
}

/* ---- names that are not listed ---- */

static void short_names_lead_to_the_same_nodes(void **state)
{
	static const char *const pairs[][2] = {
		{ "net/legacy/blocks/20", "net/legacy/blocks/0000000000-0000000999/0000000020" },
		{ "net/legacy/blocks/0000000020",
		  "net/legacy/blocks/0000000000-0000000999/0000000020" },
		{ "net/hyper/shards/2/blocks/7",
		  "net/hyper/shards/2/blocks/0000000000-0000000999/0000000007" },
		{ "net/hyper/at/0000000020", "net/hyper/at/20" },
		{ "net/hyper/shards/1/at/0000000020", "net/hyper/shards/1/at/20" },
		{ "net/diffs/0000000020", "net/diffs/20" },
	};

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct node a = found(pairs[i][0]), b = found(pairs[i][1]);

		assert_true(same_node(&a, &b));
	}
}

static void an_account_is_found_in_its_own_shard(void **state)
{
	AUTO(names_release) struct names vshards = { .list = NULL };
	AUTO(names_release) struct names accounts = { .list = NULL };
	char path[512];

	read_whole();
	struct node n = found("net/legacy/state/shards/1/accounts");
	list(&n, 100, &vshards);
	for (size_t v = 0; v < vshards.count; v++)
		list(&vshards.list[v].node, 1000, &accounts);
	size_t own = 0;
	for (size_t i = 0; i < accounts.count; i++) {
		uint64_t fid = strtoull(accounts.list[i].name, NULL, 10);

		if (network_ops(whole.network)->shard_of(network_params(whole.network), fid) != 1)
			continue;
		snprintf(path, sizeof path, "net/legacy/state/accounts/%s", accounts.list[i].name);
		n = found(path);
		assert_true(same_node(&n, &accounts.list[i].node));
		own++;
	}
	assert_true(own > 0);
	assert_int_equal(finding("net/legacy/state/accounts/zz"), -ENOENT);
	assert_int_equal(finding("net/legacy/state/accounts/4294967296"), -ENOENT);
	assert_int_equal(finding("net/legacy/state/accounts/18446744073709551616"), -ENOENT);
}

static void raw_bytes_stand_beside_what_is_rendered(void **state)
{
	AUTO(names_release) struct names items = { .list = NULL };
	AUTO(buf_release) struct buf raw = BUF_INIT(1u << 20);
	AUTO(buf_release) struct buf block = BUF_INIT(1u << 26);
	char path[256];
	size_t height = 1;

	read_whole();
	for (; items.count == 0; height++) {
		snprintf(path, sizeof path, "net/legacy/shards/1/blocks/%zu/items", height);
		struct node n = found(path);
		list(&n, 100, &items);
	}
	snprintf(path, sizeof path, "net/legacy/shards/1/blocks/%zu/block.pb", height - 1);
	struct node n = found(path);
	read_node(&n, &block);
	snprintf(path, sizeof path, "net/legacy/shards/1/blocks/%zu/items/%.*s.pb", height - 1,
		 (int)strlen(items.list[0].name) - 5, items.list[0].name);
	n = found(path);
	read_node(&n, &raw);
	assert_int_equal(attr_of(&n).size, raw.n);
	assert_true(raw.n > 0 && memmem(block.p, block.n, raw.p, raw.n) != NULL);
	/* The rest of the name counts too. */
	strstr(path, "/000000-")[9] = 'z';
	assert_int_equal(finding(path), -ENOENT);
}

static void hashes_lead_to_blocks_and_items(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	char path[256], hash[80];

	read_whole();
	snprintf(hash, sizeof hash, "%.64s",
		 strstr(text_at("net/legacy/shards/2/blocks/7/header", &text), "hash ") + 5);
	snprintf(path, sizeof path, "net/by-hash/%s", hash);
	assert_string_equal(text_at(path, &text),
			    "../legacy/shards/2/blocks/0000000000-0000000999/0000000007");
	snprintf(path, sizeof path, "net/by-hash/%.9s", hash);
	assert_string_equal(text_at(path, &text),
			    "../legacy/shards/2/blocks/0000000000-0000000999/0000000007");
	struct node n = found(path);
	assert_true(attr_of(&n).settles);
	assert_int_equal(finding("net/by-hash/0123456"), -ENOENT);
	assert_int_equal(finding("net/by-hash/00000000"), -ENOENT);
	assert_int_equal(finding("net/by-hash/not-hex!"), -ENOENT);

	/* An item by its whole hash, at the lowest place that carries it. */
	AUTO(names_release) struct names items = { .list = NULL };
	n = found("net/legacy/blocks/0000000000-0000000999");
	for (unsigned height = 1; items.count == 0; height++) {
		snprintf(path, sizeof path, "net/legacy/shards/1/blocks/%u/items", height);
		n = found(path);
		list(&n, 100, &items);
	}
	const char *digits =
		items.list[0].name + strlen(items.list[0].name) - strlen("00000000.json");
	snprintf(path, sizeof path, "net/by-hash/%.8s", digits);
	assert_non_null(strstr(text_at(path, &text), digits));
	snprintf(path, sizeof path, "net/by-hash/%s", text_at(path, &text));
	assert_int_equal(finding(path), -ENOENT); /* a target is a path, not a name */
}

static void check_name(const struct chain_ops *ops, uint16_t form, struct slice bytes,
		       const char *kind, const uint8_t *hash, uint8_t hash_size)
{
	char got_kind[ITEM_KIND_SIZE];
	uint8_t got[HASH_SIZE], got_size = 0;

	assert_int_equal(ops->item_name(form, bytes, got_kind, got, &got_size), 0);
	if (kind)
		assert_string_equal(got_kind, kind);
	assert_true(slice_eq(SLICE(got, got_size), SLICE(hash, hash_size)));
}

static void check_names(const struct chain_block *b)
{
	for (size_t i = 0; i < b->item_count; i++) {
		const struct chain_item *it = &b->items[i];
		struct slice all = buf_slice(&b->canonical);

		check_name(b->ops, it->form, slice_sub(all, it->offset, it->size), it->kind,
			   it->hash, it->hash_size);
		if (it->has_inner)
			check_name(b->ops, it->inner_form,
				   slice_sub(all, it->inner_offset, it->inner_size), NULL,
				   it->inner_hash, it->inner_hash_size);
	}
}

static void an_item_is_called_as_decoding_its_block_calls_it(void **state)
{
	const struct chain_ops *ops = network_ops(whole.network);
	struct err err = ERR_INIT;

	for (uint32_t s = 0; s < 3; s++)
		for (uint64_t height = 1; height <= 120; height++) {
			AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
			struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX),
				   certificate = BUF_INIT(BLOCK_SIZE_MAX);
			struct chain_block *b = NULL;
			struct block_row row;

			assert_int_equal(network_block(whole.network, s, height, &row), 1);
			must(network_block_bytes(whole.network, &row, &bytes, &err), &err);
			buf_add(&canonical, bytes->canonical);
			must(ops->decode(network_params(whole.network), s == 0, true, &canonical,
					 &certificate, &b, &err),
			     &err);
			check_names(b);
			ops->block_free(b);
		}
}

/* ---- words, and memory that runs out ---- */

static void the_words_of_the_mount_come_from_the_table(void **state)
{
	AUTO(buf_release) struct buf text = BUF_INIT(1u << 20);
	AUTO(buf_release) struct buf line = BUF_INIT(1u << 20);

	read_whole();
	const char *readme = text_at("README", &text);
	for (size_t i = 1; i < tree_count; i++) {
		assert_non_null(strstr(readme, tree[i].path));
		assert_non_null(strstr(readme, tree[i].about));
	}
	assert_string_equal(text_at("ctl", &line), "/run/ctl");
	assert_non_null(strstr(text_at("status", &line), "net\tsnapchain\t"));
	assert_memory_equal(text_at("net/head", &line), "legacy/blocks/0000000000-0000000999/", 36);
	tree_set_env(&(struct tree_env){ .store = whole.store });
	assert_int_equal(finding("ctl"), -ENOENT);
}

static bool take_three(void *arg, const struct tree_child *c)
{
	return ++*(int *)arg % 3 != 0;
}

static void when_memory_runs_out_a_question_fails_whole(void **state)
{
	static const char *const paths[] = {
		"net/legacy/blocks/0000000000-0000000999",
		"net/legacy/shards/1/blocks/0000000000-0000000999",
		"net/hyper/state/shards/1",
		"net/hyper/state/shards/1/names",
		"net",
		"net/diffs",
	};

	read_whole();
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct node n = found(paths[i]);
		AUTO(view_putp) struct view *v = view_of(&n);

		FOR_EACH_ALLOC_FAULT {
			int taken = 0, rc = tree_list(v, &n, 0, true, take_three, &taken, NULL);

			assert_true(rc == 0 || rc == -ENOMEM);
		}
	}
	struct node header = found("net/legacy/shards/1/blocks/30/header");
	AUTO(view_putp) struct view *v = view_of(&header);
	FOR_EACH_ALLOC_FAULT {
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
		int rc = tree_read(v, &header, &out, NULL);

		assert_true(rc == 0 || rc == -ENOMEM);
	}
}

/* ---- plain ---- */

static void plain_shows_whole_files_alone_and_the_main_tree_no_segments(void **state)
{
	for (uint8_t row = 0; row < tree_count; row++) {
		const char *path = tree[row].path;
		bool segment = strncmp(path, "{network}/segments", 18) == 0;
		bool checkpoint = strncmp(path, "{network}/checkpoints", 21) == 0;
		bool above = row == ROW_ROOT || row == ROW_NETWORK;

		assert_int_equal(tree_shows(ON_MAIN, row), !segment);
		assert_int_equal(tree_shows(ON_PLAIN, row), segment || checkpoint || above);
	}
}

static bool add_name(void *arg, const struct tree_child *c)
{
	char *names = arg;

	snprintf(names + strlen(names), 64, "%s ", c->name);
	return true;
}

static void segments_before_the_last_are_final_and_the_last_is_of_its_view(void **state)
{
	static const char second[] = "committed, and not yet";
	char path[256], names[256] = "";
	struct node folder = found("net/segments"), one, two;
	AUTO(view_putp) struct view *v = view_of(&folder);
	AUTO(buf_release) struct buf out = BUF_INIT(64u << 20);
	struct view later = *v; /* as of when the second one grows */
	struct attr attr;

	read_whole();
	assert_int_equal(tree_lookup(v, &folder, "000001.seg", &one, NULL), 0);
	assert_int_equal(one.scope.kind, SCOPE_VIEW);
	assert_int_equal(tree_attr(v, &one, &attr, NULL), 0);
	assert_true(attr.settles);
	assert_int_equal(attr.size, v->segment_size);
	assert_int_equal(tree_lookup(v, &folder, "000002.seg", &two, NULL), -ENOENT);
	assert_int_equal(tree_lookup(v, &folder, "000000.seg", &two, NULL), -ENOENT);
	assert_int_equal(tree_lookup(v, &folder, "1.seg", &two, NULL), -ENOENT);

	snprintf(path, sizeof path, "%s/networks/net/segments/000002.seg", whole.path);
	AUTO(files_stream_closep) FILE *file = fopen(path, "we");
	assert_non_null(file);
	fputs(second, file);
	fflush(file);
	later.number++;
	later.segment = 2;
	later.segment_size = 9;
	assert_int_equal(tree_lookup(&later, &folder, "000001.seg", &one, NULL), 0);
	assert_int_equal(one.scope.kind, SCOPE_PLACE);
	assert_int_equal(tree_attr(&later, &one, &attr, NULL), 0);
	assert_false(attr.settles);
	assert_int_equal(attr.size, v->segment_size);
	assert_int_equal(tree_lookup(&later, &folder, "000002.seg", &two, NULL), 0);
	assert_int_equal(two.scope.kind, SCOPE_VIEW);
	assert_int_equal(tree_attr(&later, &two, &attr, NULL), 0);
	assert_int_equal(attr.size, 9);
	assert_int_equal(tree_read(&later, &two, &out, NULL), 0);
	assert_true(slice_eq(buf_slice(&out), slice_str("committed")));
	assert_int_equal(tree_list(&later, &folder, 0, true, add_name, names, NULL), 0);
	assert_string_equal(names, "000001.seg 000002.seg ");

	/* A handle may say anything: not that the one that grows is final. */
	two.scope = one.scope;
	assert_int_equal(tree_open(&later, &two, NULL), -ESTALE);
	assert_int_equal(tree_open(v, &one, NULL), -ESTALE);
	unlink(path);
	assert_int_equal(tree_lookup(&later, &folder, "000002.seg", &two, NULL), -ENODATA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_a_path_of_its_own_words_and_a_parent),
		cmocka_unit_test(every_row_answers_what_its_kind_is_asked),
		cmocka_unit_test(numbers_are_read_as_they_are_written),
		cmocka_unit_test(whatever_is_listed_is_found_and_as_large_as_told),
		cmocka_unit_test(no_folder_stands_at_two_places),
		cmocka_unit_test(a_listing_goes_on_behind_any_name),
		cmocka_unit_test(hyper_differs_from_legacy_by_what_it_retained),
		cmocka_unit_test(the_same_file_is_the_same_node_in_both_contexts),
		cmocka_unit_test(a_retained_record_is_the_file_that_hyper_lists),
		cmocka_unit_test(short_names_lead_to_the_same_nodes),
		cmocka_unit_test(an_account_is_found_in_its_own_shard),
		cmocka_unit_test(raw_bytes_stand_beside_what_is_rendered),
		cmocka_unit_test(hashes_lead_to_blocks_and_items),
		cmocka_unit_test(an_item_is_called_as_decoding_its_block_calls_it),
		cmocka_unit_test(the_words_of_the_mount_come_from_the_table),
		cmocka_unit_test(plain_shows_whole_files_alone_and_the_main_tree_no_segments),
		cmocka_unit_test(segments_before_the_last_are_final_and_the_last_is_of_its_view),
		cmocka_unit_test(when_memory_runs_out_a_question_fails_whole),
	};

	return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
