#include "core/checkpoint/build.h"
#include "core/checkpoint/restore.h"
#include "core/ingest/envelope.h"
#include "core/ingest/rollback.h"
#include "tests/unit/tree_fixture.h"

#include <signal.h>
#include <sys/wait.h>

/* A store restored from a checkpoint is the store that it was made of, from that height on. What
 * holds of all is tried on a chain that we make, where hyper retains much, and on a recorded one;
 * with hyper from the first block, from a later one, and off. */

#define RECORDED "tests/vectors/devnet-a"
#define TREE_MAX (256u << 20)
#define TEXT_MAX (1u << 20)

struct origin {
	struct chain chain;
	char archive[128]; /* of a forged chain; else empty */
	char folder[128];  /* checkpoints are made below it */
	char name[CHECKPOINT_NAME_SIZE];
	uint64_t height, newest;
	uint64_t cuts[SHARD_MAX]; /* that block `height` witnesses */
	bool hyper_off;
};

static struct origin story, recorded, late, off;
static struct origin *const origins[] = { &story, &recorded, &late, &off };

static void build(struct network *n, uint64_t height, const char *parent,
		  char name[CHECKPOINT_NAME_SIZE])
{
	struct build_progress progress = { 0 };
	struct err err = ERR_INIT;

	must(checkpoint_build(n, height, parent, false, &progress, NULL, name, &err), &err);
}

/* share: of its heights, where the checkpoint is. base: main height from which hyper is on; ALL:
 * never. */
static void origin_open(struct origin *o, const char *archive, unsigned share, uint64_t base)
{
	struct block_row row;

	chain_open(&o->chain, archive);
	o->hyper_off = base == ALL;
	for (uint32_t s = 0; base && base != ALL && s < 3; s++)
		chain_feed(&o->chain, s, 1, base, 0);
	chain_feed_all(&o->chain, !o->hyper_off);
	AUTO(view_putp) struct view *v = network_view_get(o->chain.network);

	/* The newest main height whose cuts are replayed in every shard. */
	for (o->newest = v->shards[0].replayed;; o->newest--) {
		bool all = true;

		assert_int_equal(network_block(o->chain.network, 0, o->newest, &row), 1);
		for (uint32_t i = 0; i < row.witness_count; i++)
			all &= row.witnesses[i].height <=
			       v->shards[row.witnesses[i].shard].replayed;
		if (all)
			break;
	}
	o->height = o->newest * share / 100;
	assert_int_equal(network_block(o->chain.network, 0, o->height, &row), 1);
	o->cuts[0] = o->height;
	for (uint32_t i = 0; i < row.witness_count; i++)
		o->cuts[row.witnesses[i].shard] = row.witnesses[i].height;
	fixture_folder(o->folder);
	build(o->chain.network, o->height, o->folder, o->name);
}

static void origin_release(struct origin *o)
{
	chain_release(&o->chain);
	if (o->folder[0])
		fixture_remove(o->folder);
	if (o->archive[0])
		fixture_remove(o->archive);
}

static int make_origins(void **state)
{
	struct forge_options o = { .kind = FORGE_STORY };
	struct err err = ERR_INIT;

	trace_set_sink(fixture_silence, NULL);
	fixture_folder(story.archive);
	must(forge_chain(&o, story.archive, NULL, NULL, &err), &err);
	origin_open(&story, story.archive, 60, 0);
	origin_open(&recorded, RECORDED, 50, 0);
	origin_open(&late, story.archive, 50, 60);
	origin_open(&off, RECORDED, 40, ALL);
	return 0;
}

static int drop_origins(void **state)
{
	origin_release(&story);
	origin_release(&recorded);
	origin_release(&late);
	origin_release(&off);
	return 0;
}

/* ---- restoring ---- */

static void folder_of(const struct origin *o, char out[256])
{
	snprintf(out, 256, "%s/%s", o->folder, o->name);
}

static int restore(const char *folder, const char *path, const struct restore_options *more,
		   const atomic_bool *stop, struct err *err)
{
	AUTO(base_freep) struct proof *proof = calloc(1, sizeof *proof);
	struct restore_options o = more ? *more : (struct restore_options){ 0 };

	o.network = "net";
	o.sync_off = true;
	return checkpoint_restore(folder, path, &o, stop, proof, err);
}

struct restored {
	struct chain chain;
	char parent[128];
};

static void restored_open(struct restored *r, const struct origin *o)
{
	struct store_options options = { .holder = "test",
					 .sync_off = true,
					 .cache_size = 8u << 20 };
	struct err err = ERR_INIT;
	char folder[256];

	*r = (struct restored){ .chain = { .archive = o->chain.archive } };
	fixture_folder(r->parent);
	snprintf(r->chain.path, sizeof r->chain.path, "%.100s/st", r->parent);
	folder_of(o, folder);
	must(restore(folder, r->chain.path, NULL, NULL, &err), &err);
	must(store_open(r->chain.path, &options, &r->chain.store, &err), &err);
	r->chain.network = store_network_find(r->chain.store, "net");
	assert_non_null(r->chain.network);
}

static void restored_release(struct restored *r)
{
	chain_release(&r->chain);
	if (r->parent[0])
		fixture_remove(r->parent);
}

static void feed_rest(struct restored *r, const struct origin *o)
{
	for (uint32_t s =
		     network_ops(r->chain.network)->shard_count(network_params(r->chain.network));
	     s-- > 0;)
		chain_feed(&r->chain, s, o->cuts[s] + 1, ALL, -1);
}

/* ---- comparing ---- */

static void look_at(const struct chain *c)
{
	tree_set_env(&(struct tree_env){ .store = c->store, .ctl_target = "/run/ctl",
					  .plain_target = "/run/plain" });
}

/* ThreadSanitizer makes this dear, and of threads there is nothing in it: there, of the entries of
 * a large folder one in so many is looked into. All are listed. */
#ifdef __SANITIZE_THREAD__
#define LOOK_STEP 8
#else
#define LOOK_STEP 1
#endif

/* A line a file or folder: path, type, size, time, digest. */
static void draw(const char *path, const char *shown, struct buf *out)
{
	AUTO(names_release) struct names names = { .list = NULL };
	struct node n = found(path);
	char child[1024], below[1024];

	list(&n, 1000, &names);
	for (size_t i = 0; i < names.count; i++) {
		const struct name_at *at = &names.list[i];
		struct attr attr = at->attr;

		snprintf(child, sizeof child, "%s/%s", path, at->name);
		snprintf(below, sizeof below, "%s/%s", shown, at->name);
		buf_fmt(out, "%s %d %" PRIu64 " %" PRIu64 " ", below, attr.type, attr.size,
			attr.mtime);
		if (names.count > LOOK_STEP && i % LOOK_STEP) {
			buf_u8(out, '\n');
			continue;
		}
		if (attr.type == NODE_FOLDER) {
			buf_u8(out, '\n');
			draw(child, below, out);
			continue;
		}
		AUTO(buf_release) struct buf bytes = BUF_INIT(TREE_MAX);
		uint8_t hash[HASH_SIZE];

		read_node(&at->node, &bytes);
		assert_int_equal(bytes.n, attr.size);
		hash_blake3(buf_slice(&bytes), hash);
		buf_hex(out, SLICE(hash, sizeof hash));
		buf_u8(out, '\n');
	}
	assert_int_equal(out->failed, 0);
}

static void expect_same_text(const char *what, const struct buf *a, const struct buf *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && a->p[i] == b->p[i])
		i++;
	if (i == a->n && i == b->n)
		return;
	while (i > 0 && a->p[i - 1] != '\n')
		i--;
	fail_msg("%s: \"%.*s\", not \"%.*s\"", what, (int)MIN(b->n - i, 200),
		 (const char *)b->p + i, (int)MIN(a->n - i, 200), (const char *)a->p + i);
}

/* Both chains show the same below `path`. */
static void expect_same_tree(const struct origin *o, const struct restored *r, const char *path)
{
	AUTO(buf_release) struct buf wanted = BUF_INIT(TREE_MAX);
	AUTO(buf_release) struct buf got = BUF_INIT(TREE_MAX);

	look_at(&o->chain);
	draw(path, "", &wanted);
	look_at(&r->chain);
	draw(path, "", &got);
	assert_true(wanted.n > 0);
	expect_same_text(path, &wanted, &got);
}

static void expect_same_state(const struct origin *o, const struct restored *r, uint64_t height)
{
	char path[256];

	for (int c = 0; c < (o->hyper_off ? CONTEXT_HYPER : CONTEXT_COUNT); c++) {
		snprintf(path, sizeof path, "net/%s/at/%" PRIu64, context_rules[c].name, height);
		expect_same_tree(o, r, path);
	}
	if (o->hyper_off)
		return;
	snprintf(path, sizeof path, "net/diffs/%" PRIu64, height);
	expect_same_tree(o, r, path);
}

static void expect_same_checkpoint(const struct origin *o, const struct restored *r,
				   uint64_t height)
{
	char a[128], b[128], name[CHECKPOINT_NAME_SIZE], again[CHECKPOINT_NAME_SIZE], command[512];

	fixture_folder(a);
	fixture_folder(b);
	build(o->chain.network, height, a, name);
	build(r->chain.network, height, b, again);
	assert_string_equal(name, again);
	snprintf(command, sizeof command, "diff -r -x evidence -x verdict %s/%s %s/%s >&2", a, name,
		 b, name);
	assert_int_equal(system(command), 0);
	fixture_remove(a);
	fixture_remove(b);
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void expect_nothing_made(const char *path)
{
	char part[256];

	snprintf(part, sizeof part, "%s.part", path);
	assert_false(is_there(path));
	assert_false(is_there(part));
}

/* ---- what is restored ---- */

static void the_state_is_the_one_that_it_was_and_so_is_a_checkpoint_of_it(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		const struct origin *o = origins[i];
		AUTO(restored_release) struct restored r;

		restored_open(&r, o);
		expect_same_state(o, &r, o->height);
		expect_same_checkpoint(o, &r, o->height);
		AUTO(view_putp) struct view *v = network_view_get(r.chain.network);

		for (uint32_t s = 0; s < v->shard_count; s++) {
			const struct shard_view *sv = &v->shards[s];
			struct roots_row wanted, got;

			memset(&wanted, 0, sizeof wanted);
			memset(&got, 0, sizeof got);

			assert_int_equal(sv->replayed, o->cuts[s]);
			assert_int_equal(sv->tip, o->cuts[s]);
			assert_int_equal(sv->begins, o->cuts[s]);
			assert_int_equal(sv->kept_from, o->cuts[s]);
			assert_int_equal(sv->hyper_on, !o->hyper_off);
			if (!sv->replayed)
				continue;
			assert_int_equal(gaps_held(&sv->gaps), 1);
			assert_int_equal(network_roots(o->chain.network, s, o->cuts[s], &wanted),
					 1);
			assert_int_equal(network_roots(r.chain.network, s, o->cuts[s], &got), 1);
			assert_memory_equal(&wanted.legacy, &got.legacy, sizeof got.legacy);
			assert_memory_equal(&wanted.hyper, &got.hyper, sizeof got.hyper);
			assert_int_equal(wanted.retained, got.retained);
			assert_int_equal(sv->retained, got.retained);
		}
	}
	look_at(&story.chain);
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
	char path[64];

	snprintf(path, sizeof path, "net/diffs/%" PRIu64 "/report", story.height);
	assert_null(strstr(text_at(path, &text), "\nretained 0\n")); /* so that hyper is tried */
}

/* ---- going on ---- */

static void expect_same_heights(const struct origin *o, const struct restored *r)
{
	AUTO(view_putp) struct view *theirs = network_view_get(o->chain.network);
	AUTO(view_putp) struct view *ours = network_view_get(r->chain.network);
	struct err err = ERR_INIT;

	for (uint32_t s = 0; s < ours->shard_count; s++) {
		assert_int_equal(ours->shards[s].replayed, theirs->shards[s].replayed);
		for (uint64_t h = o->cuts[s] + 1; h <= ours->shards[s].replayed; h++) {
			struct roots_row wanted, got;

			memset(&wanted, 0, sizeof wanted);
			memset(&got, 0, sizeof got);
			assert_int_equal(network_roots(o->chain.network, s, h, &wanted), 1);
			assert_int_equal(network_roots(r->chain.network, s, h, &got), 1);
			assert_memory_equal(&wanted.legacy, &got.legacy, sizeof got.legacy);
			assert_memory_equal(&wanted.hyper, &got.hyper, sizeof got.hyper);
			assert_int_equal(wanted.retained, got.retained);
			assert_int_equal(wanted.envelope_size, got.envelope_size);
			for (int json = 0; json < 2 && !o->hyper_off; json++) {
				AUTO(buf_release) struct buf a = BUF_INIT(TREE_MAX);
				AUTO(buf_release) struct buf b = BUF_INIT(TREE_MAX);

				must(envelope_read(theirs, s, h, json, &a, &err), &err);
				must(envelope_read(ours, s, h, json, &b, &err), &err);
				assert_true(slice_eq(buf_slice(&a), buf_slice(&b)));
			}
		}
	}
}

static void what_follows_comes_out_the_same(void **state)
{
	for (size_t i = 0; i < rounds(ARRAY_LEN(origins)); i++) {
		const struct origin *o = origins[i];
		AUTO(restored_release) struct restored r;

		restored_open(&r, o);
		feed_rest(&r, o);
		expect_same_heights(o, &r);
		if (o == &story) {
			expect_same_state(o, &r, o->height);
			expect_same_state(o, &r, o->height + 1);
		}
		expect_same_state(o, &r, o->newest);
		expect_same_checkpoint(o, &r, o->newest);
	}
}

/* There both contexts are one, and hyper begins with the next block. */
static void a_checkpoint_at_hypers_base_goes_on_from_there(void **state)
{
	struct origin at_base = { .chain = late.chain, .newest = late.newest, .height = 60 };
	AUTO(restored_release) struct restored r;
	struct block_row row;

	fixture_folder(at_base.folder);
	build(late.chain.network, at_base.height, at_base.folder, at_base.name);
	assert_int_equal(network_block(late.chain.network, 0, at_base.height, &row), 1);
	at_base.cuts[0] = at_base.height;
	for (uint32_t i = 0; i < row.witness_count; i++)
		at_base.cuts[row.witnesses[i].shard] = row.witnesses[i].height;
	restored_open(&r, &at_base);
	AUTO(view_putp) struct view *v = network_view_get(r.chain.network);

	assert_true(v->shards[0].hyper_on);
	assert_int_equal(v->shards[0].base_height, at_base.height);
	feed_rest(&r, &at_base);
	expect_same_heights(&at_base, &r);
	expect_same_state(&at_base, &r, at_base.newest);
	fixture_remove(at_base.folder);
}

static void a_restored_store_can_be_restored_from(void **state)
{
	const struct origin *o = &story;
	AUTO(restored_release) struct restored first;
	struct origin second = { .newest = o->newest, .height = (o->height + o->newest) / 2 };
	AUTO(restored_release) struct restored r;
	struct block_row row;

	restored_open(&first, o);
	feed_rest(&first, o);
	second.chain = first.chain;
	fixture_folder(second.folder);
	build(first.chain.network, second.height, second.folder, second.name);
	assert_int_equal(network_block(first.chain.network, 0, second.height, &row), 1);
	second.cuts[0] = second.height;
	for (uint32_t i = 0; i < row.witness_count; i++)
		second.cuts[row.witnesses[i].shard] = row.witnesses[i].height;
	restored_open(&r, &second);
	feed_rest(&r, &second);
	expect_same_state(o, &r, second.height);
	expect_same_state(o, &r, o->newest);
	fixture_remove(second.folder);
}

/* ---- what lies below ---- */

static void expect_below(const struct origin *o, uint64_t below)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
	struct err err = ERR_INIT;
	struct node n;
	char path[128], words[128];

	snprintf(words, sizeof words, "begins at height %" PRIu64, o->height);
	for (int c = 0; c < CONTEXT_COUNT; c++) {
		snprintf(path, sizeof path, "net/%s/at/%" PRIu64, context_rules[c].name, below);
		assert_int_equal(find(path, &n, &err), -ENODATA);
		assert_true(strstr(err.text, words) || strstr(err.text, "is a gap"));
	}
	snprintf(path, sizeof path, "net/diffs/%" PRIu64, below);
	assert_int_equal(finding(path), -ENODATA);
	snprintf(path, sizeof path, "net/hyper/envelopes/0000000000-0000000999/%010" PRIu64 ".json",
		 o->height);
	assert_int_equal(finding(path), -ENODATA);
	AUTO(names_release) struct names names = { .list = NULL };
	struct node folder = found("net/hyper/roots");

	list(&folder, 10, &names);
	assert_int_equal(names.count, 1);
	snprintf(words, sizeof words, "%010" PRIu64 "\t", o->height);
	assert_true(slice_starts(
		slice_str(text_at("net/legacy/roots/0000000000-0000000999.tsv", &text)),
		slice_str(words)));
	assert_true(
		slice_starts(slice_str(text_at("net/hyper/roots/0000000000-0000000999.tsv", &text)),
			     slice_str(words)));
}

/* The map of the main shard: what is held below is h and not r. */
static void expect_map(const struct origin *o, char below)
{
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
	const char *map = text_at("net/heights/0.map", &text);

	for (uint64_t h = 1; h <= o->height + 1; h++)
		assert_int_equal(map[h - 1], h < o->height    ? below
					     : h == o->height ? 'r'
							      : map[h - 1]);
}

static void walk_everything(void)
{
	AUTO(walk_release) struct walk w = { .step = 100 };
	struct node root = tree_root();

	walk(&w, "", &root);
	assert_true(w.files > 1000);
}

/* And they come again: as other files than before, and the state is not touched. */
static void let_earlier_ones_go(struct restored *r, const struct origin *o)
{
	struct rollback_options options = { .shard = 1, .reason = "they are false" };
	AUTO(gaps_release) struct gaps which = GAPS_INIT;
	AUTO(view_putp) struct view *before = network_view_get(r->chain.network);
	struct rollback_result result;
	struct err err = ERR_INIT;
	uint64_t begins = before->shards[1].begins;

	assert_true(begins > 12);
	assert_int_equal(gaps_add(&which, (struct range){ 10, 12 }), 0);
	must(rollback_blocks(r->chain.network, &options, &which, &result, &err), &err);
	assert_int_equal(result.blocks, 2);
	AUTO(view_putp) struct view *after = network_view_get(r->chain.network);

	assert_int_equal(after->shards[1].replayed, before->shards[1].replayed);
	assert_int_equal(view_line(after, 1, 9), view_line(before, 1, 9));
	assert_int_not_equal(view_line(after, 1, 10), view_line(before, 1, 10));
	assert_int_equal(view_line(after, 1, begins + 1), view_line(before, 1, begins + 1));
	assert_false(gaps_has(&after->shards[1].gaps, 10));
	chain_feed(&r->chain, 1, 1, begins - 1, -1);
}

static void earlier_blocks_are_held_and_never_replayed(void **state)
{
	const struct origin *o = &story;
	AUTO(restored_release) struct restored r;
	AUTO(buf_release) struct buf text = BUF_INIT(TEXT_MAX);
	char path[128], words[128];

	restored_open(&r, o);
	look_at(&r.chain);
	expect_below(o, o->height - 1);
	expect_map(o, 0);
	snprintf(path, sizeof path, "net/gaps/0/0000000001-%010" PRIu64 "/reason", o->height - 1);
	assert_string_equal(text_at(path, &text), "not-fetched\n");
	snprintf(words, sizeof words, "\nshard 0 begins %" PRIu64 "\n", o->height);
	assert_non_null(strstr(text_at("net/status", &text), words));
	walk_everything();
	feed_rest(&r, o);
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		if (o->cuts[s] > 1)
			chain_feed(&r.chain, s, 1, o->cuts[s] - 1, -1);
	expect_below(o, o->height - 1);
	expect_map(o, 'h');
	AUTO(names_release) struct names gaps = { .list = NULL };
	struct node folder = found("net/gaps");

	list(&folder, 10, &gaps);
	assert_int_equal(gaps.count, 0);
	for (uint64_t h = o->height - 1; h <= o->height; h++) {
		snprintf(words, sizeof words,
			 "not-replayed\tthe state here begins at height %" PRIu64, o->height);
		snprintf(path, sizeof path, "net/legacy/blocks/%" PRIu64 "/outcomes.tsv", h);
		struct attr attr;
		struct node n = found(path);

		attr = attr_of(&n);
		assert_false(attr.settles);
		assert_true(n.of_object);
		if (attr.size)
			assert_non_null(strstr(text_at(path, &text), words));
		snprintf(path, sizeof path, "net/legacy/blocks/%" PRIu64 "/verify", h);
		snprintf(words, sizeof words,
			 "accounts\tpending\tnot replayed: the state here begins at height %" PRIu64
			 "\n",
			 o->height);
		assert_non_null(strstr(text_at(path, &text), words));
	}
	walk_everything();
	let_earlier_ones_go(&r, o);
	expect_same_heights(o, &r);
	expect_same_state(o, &r, o->newest);
	/* All blocks are there now: what is listed of them is the same. */
	expect_same_tree(o, &r,
			 "net/legacy/shards/1/blocks/0000000000-0000000999/0000000020/items");
}

/* ---- what is refused ---- */

static void flip(const char *folder, const char *name, long at)
{
	char path[1024];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "r+b");

	assert_non_null(f);
	fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
	int c = fgetc(f);

	fseek(f, at, at < 0 ? SEEK_END : SEEK_SET);
	fputc(c ^ 1, f);
	fclose(f);
}

static void what_was_tampered_with_makes_nothing(void **state)
{
	const struct origin *o = &story;
	struct {
		const char *file;
		long at;
		int code;
		const char *words;
	} cases[] = {
		{ "info", -10, -EBADMSG, "bytes" },
		{ "blocks/0.pb", 100, -EBADMSG, "bytes" },
		{ "rules/1/both.pb", -3, -EBADMSG, "bytes" },
		{ "rules/1/hyper.pb", -3, -EBADMSG, "bytes" },
		{ "evidence/commits-0.pb", -5, -EKEYREJECTED, "commits" },
	};
	char parent[128], path[256], folder[256], copy[512], command[4096];

	fixture_folder(parent);
	folder_of(o, folder);
	snprintf(path, sizeof path, "%s/st", parent);
	snprintf(copy, sizeof copy, "%s/%s", parent, o->name);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = ERR_INIT;

		snprintf(command, sizeof command, "rm -rf %s && cp -r %s %s", copy, folder, copy);
		assert_int_equal(system(command), 0);
		flip(copy, cases[i].file, cases[i].at);
		assert_int_equal(restore(copy, path, NULL, NULL, &err), cases[i].code);
		if (!strstr(err.text, cases[i].words))
			fail_msg("%s: %s", cases[i].file, err.text);
		expect_nothing_made(path);
	}
	/* One record fewer, and sums that agree: the root does not. */
	struct err err = ERR_INIT;

	snprintf(
		command, sizeof command,
		"rm -rf %s && cp -r %s %s && cd %s && rm $(ls legacy/1/*.pb | head -n 1) && "
		"(find info blocks legacy retained rules -type f | LC_ALL=C sort | xargs sha256sum "
		"> SHA256SUMS)",
		copy, folder, copy, copy);
	assert_int_equal(system(command), 0);
	assert_int_equal(restore(copy, path, NULL, NULL, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "legacy"));
	expect_nothing_made(path);
	fixture_remove(parent);
}

/* The main block's certificate vouches for what it witnesses. */
static void a_data_shard_needs_no_certificate_of_its_own(void **state)
{
	const struct origin *o = &story;
	char parent[128], path[256], folder[256], copy[512], command[4096];
	struct store_options options = { .holder = "test", .sync_off = true };
	AUTO(store_closep) struct store *s = NULL;
	struct err err = ERR_INIT;
	struct block_row row;

	fixture_folder(parent);
	folder_of(o, folder);
	snprintf(path, sizeof path, "%s/st", parent);
	snprintf(copy, sizeof copy, "%s/%s", parent, o->name);
	snprintf(command, sizeof command, "cp -r %s %s && rm %s/evidence/commits-[12].pb", folder,
		 copy, copy);
	assert_int_equal(system(command), 0);
	must(restore(copy, path, NULL, NULL, &err), &err);
	must(store_open(path, &options, &s, &err), &err);
	for (uint32_t shard = 0; shard < 3; shard++) {
		assert_int_equal(network_block(store_network_at(s, 0), shard, o->cuts[shard], &row),
				 1);
		assert_int_equal(row.levels[LEVEL_COMMIT].verdict,
				 shard ? VERDICT_ABSENT : VERDICT_OK);
	}
	store_closep(&s);
	fixture_remove(parent);
}

static void what_is_there_is_left_alone(void **state)
{
	struct err err = ERR_INIT;
	char parent[128], folder[256], path[256];

	fixture_folder(parent);
	folder_of(&story, folder);
	assert_int_equal(restore(folder, parent, NULL, NULL, &err), -EEXIST);
	snprintf(path, sizeof path, "%s/st", parent);
	assert_int_equal(restore(parent, path, NULL, NULL, &err), -ENOENT);
	expect_nothing_made(path);
	fixture_remove(parent);
}

struct stopper {
	atomic_bool stop;
	unsigned calls;
};

static void stop_it(void *arg, uint64_t records, uint64_t total)
{
	struct stopper *s = arg;

	s->calls++;
	atomic_store(&s->stop, true);
}

static void one_that_is_stopped_leaves_nothing(void **state)
{
	struct stopper s = { .calls = 0 };
	struct restore_options o = { .progress = stop_it, .arg = &s };
	struct err err = ERR_INIT;
	char parent[128], folder[256], path[256];

	fixture_folder(parent);
	folder_of(&story, folder);
	snprintf(path, sizeof path, "%s/st", parent);
	assert_int_equal(restore(folder, path, &o, &s.stop, &err), -EINTR);
	assert_int_equal(s.calls, 1);
	expect_nothing_made(path);
	assert_int_equal(restore(folder, path, NULL, &s.stop, &err),
			 -EINTR); /* while it is proved */
	expect_nothing_made(path);
	fixture_remove(parent);
}

/* ---- crashes: this program again, which kills itself at a call of progress ---- */

static unsigned calls_to_live;

static void die(void *arg, uint64_t records, uint64_t total)
{
	if (calls_to_live-- == 0)
		raise(SIGKILL);
}

static int restore_and_die(char **argv)
{
	struct restore_options o = { .progress = die };
	struct err err = ERR_INIT;

	calls_to_live = (unsigned)strtoul(argv[4], NULL, 10);
	int rc = restore(argv[2], argv[3], &o, NULL, &err);

	if (rc < 0)
		fprintf(stderr, "%s\n", err_text(&err, rc));
	return rc < 0;
}

static void one_that_is_killed_leaves_no_store_and_the_next_one_is_whole(void **state)
{
	char parent[128], folder[256], path[256], part[300];
	struct err err = ERR_INIT;
	bool died = true;
	unsigned deaths = 0;

	fixture_folder(parent);
	folder_of(&story, folder);
	snprintf(path, sizeof path, "%s/st", parent);
	snprintf(part, sizeof part, "%s.part", path);
	for (unsigned calls = 0; died; calls++) {
		char number[16];
		int status;

		snprintf(number, sizeof number, "%u", calls);
		pid_t pid = fork();

		if (pid == 0) {
			execl(program_path(), "test_restore", "--die", folder, path, number,
			      NULL);
			_exit(127);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		died = WIFSIGNALED(status);
		assert_true(died || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
		assert_int_equal(is_there(path), !died);
		if (died)
			assert_true(is_there(part)); /* and the next one takes it away */
		deaths += died;
	}
	assert_true(deaths >= 2);
	assert_false(is_there(part));
	assert_int_equal(restore(folder, path, NULL, NULL, &err), -EEXIST);
	fixture_remove(parent);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_state_is_the_one_that_it_was_and_so_is_a_checkpoint_of_it),
		cmocka_unit_test(what_follows_comes_out_the_same),
		cmocka_unit_test(a_checkpoint_at_hypers_base_goes_on_from_there),
		cmocka_unit_test(a_restored_store_can_be_restored_from),
		cmocka_unit_test(earlier_blocks_are_held_and_never_replayed),
		cmocka_unit_test(what_was_tampered_with_makes_nothing),
		cmocka_unit_test(a_data_shard_needs_no_certificate_of_its_own),
		cmocka_unit_test(what_is_there_is_left_alone),
		cmocka_unit_test(one_that_is_stopped_leaves_nothing),
		cmocka_unit_test(one_that_is_killed_leaves_no_store_and_the_next_one_is_whole),
	};

	if (argc == 5 && strcmp(argv[1], "--die") == 0)
		return restore_and_die(argv);
	return cmocka_run_group_tests(tests, make_origins, drop_origins);
}
