#include "core/chain/snapchain/forge/forge.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "core/base/sign.h"
#include "core/chain/chain.h"
#include "core/store/state.h"
#include "core/sync/archive_writer.h"
#include "tests/support/support.h"

/* ---- archives on disk ---- */

struct archive_folder {
	char path[64];
};

static void folder_release(struct archive_folder *f)
{
	DIR *d = opendir(f->path);
	struct dirent *e;
	char path[sizeof f->path + 256];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof path, "%s/%s", f->path, e->d_name);
		if (e->d_name[0] != '.')
			unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(f->path);
}

static struct archive_folder folder_new(void)
{
	struct archive_folder f = { "/tmp/chainfs-forge-XXXXXX" };

	assert_non_null(mkdtemp(f.path));
	return f;
}

static uint8_t *read_in(const struct archive_folder *f, const char *name, size_t *size)
{
	char path[sizeof f->path + 64];

	snprintf(path, sizeof path, "%s/%s", f->path, name);
	return file_read(path, size);
}

static uint8_t *read_stream(const struct archive_folder *f, uint32_t shard, size_t *size)
{
	char name[32];

	snprintf(name, sizeof name, "%s-%u.pbs", shard ? "chunks" : "blocks", (unsigned)shard);
	return read_in(f, name, size);
}

static void make(const struct archive_folder *f, const struct forge_options *o)
{
	struct err err = ERR_INIT;
	int rc = forge_chain(o, f->path, NULL, NULL, &err);

	if (rc < 0)
		fail_msg("%s", err_text(&err, rc));
}

static bool same_file(const struct archive_folder *a, const struct archive_folder *b,
		      const char *name)
{
	size_t size_a, size_b;
	AUTO(base_freep) uint8_t *bytes_a = read_in(a, name, &size_a);
	AUTO(base_freep) uint8_t *bytes_b = read_in(b, name, &size_b);

	return size_a == size_b && memcmp(bytes_a, bytes_b, size_a) == 0;
}

/* ---- the product's own checks of what was made ---- */

struct seen { /* of all shards together */
	uint64_t blocks, items, witnessed;
	uint64_t outcomes[OUTCOME_COUNT], reasons[REASON_COUNT], retained, dropped;
	uint64_t kinds_count;
	char     kinds[64][32];
};

static void see_kind(struct seen *s, const char *kind)
{
	for (uint64_t i = 0; i < s->kinds_count; i++)
		if (strcmp(s->kinds[i], kind) == 0)
			return;
	assert_in_range(s->kinds_count, 0, ARRAY_LEN(s->kinds) - 1);
	snprintf(s->kinds[s->kinds_count++], sizeof s->kinds[0], "%s", kind);
}

static void see_result(struct seen *s, const struct chain_result *r)
{
	for (size_t i = 0; i < r->outcome_count; i++)
		s->outcomes[r->outcomes[i].outcome]++;
	for (size_t i = 0; i < r->change_count; i++) {
		const struct chain_change *c = &r->changes[i];

		if (c->space == SPACE_BOTH && (c->deleted || c->reason == REASON_MERGED))
			s->reasons[c->reason]++;
		if (c->space == SPACE_HYPER)
			*(c->deleted ? &s->dropped : &s->retained) += 1;
	}
}

static bool uncommitted; /* no block has a certificate */

static void check_levels(const struct chain_block *b)
{
	static const enum level levels[] = { LEVEL_STRUCTURE, LEVEL_HEADER, LEVEL_COMMIT,
					     LEVEL_MESSAGES };

	for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
		const struct level_result *l = &b->levels[levels[i]];

		if (levels[i] == LEVEL_COMMIT && uncommitted)
			assert_int_equal(l->verdict, VERDICT_ABSENT);
		else if (l->verdict != VERDICT_OK)
			fail_msg("shard %u height %" PRIu64 ": %s: %s: %s", (unsigned)b->shard,
				 b->height, level_names[levels[i]], verdict_names[l->verdict],
				 l->reason);
	}
}

struct follower { /* of one shard, with hyper on */
	const struct chain_ops    *ops;
	const struct chain_params *params;
	struct replay             *replay;
	struct state              *state;
	uint64_t                   height, next_object;
	uint8_t                    hash[HASH_SIZE];
};

static void follow(struct follower *f, struct slice received, bool main_shard, struct seen *seen)
{
	struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX), certificate = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_block *b = NULL;
	struct chain_result result;
	struct err err = ERR_INIT;
	int rc = f->ops->split(received, main_shard, &canonical, &certificate, &err);

	if (rc == 0)
		rc = f->ops->decode(f->params, main_shard, true, &canonical, &certificate, &b,
				    &err);
	if (rc < 0)
		fail_msg("height %" PRIu64 ": %s", f->height + 1, err_text(&err, rc));
	assert_int_equal(b->height, f->height + 1);
	rc = f->ops->link(b, f->height ? f->hash : NULL, &err);
	if (rc < 0)
		fail_msg("height %" PRIu64 ": %s", b->height, err_text(&err, rc));
	check_levels(b);

	assert_int_equal(state_block_begin(f->state, b->height), 0);
	rc = f->ops->replay_block(f->replay, f->state, b, f->next_object, true, &result, &err);
	if (rc < 0)
		fail_msg("shard %u height %" PRIu64 ": %s", (unsigned)b->shard, b->height,
			 err_text(&err, rc));
	see_result(seen, &result);
	for (size_t i = 0; i < b->item_count; i++)
		see_kind(seen, b->items[i].kind);
	assert_int_equal(state_block_end(f->state), 0);

	f->height = b->height;
	memcpy(f->hash, b->hash, HASH_SIZE);
	f->next_object += 2 * b->item_count;
	seen->blocks++;
	seen->items += b->item_count;
	if (b->witness_count)
		seen->witnessed = b->witnesses[0].height;
	f->ops->block_free(b);
}

static void check_archive(const struct archive_folder *f, uint32_t shards, struct seen *seen)
{
	const struct chain_ops *ops = chain_kind("snapchain");
	struct chain_params *params = NULL;
	struct err err = ERR_INIT;
	size_t size;
	AUTO(base_freep) uint8_t *config = read_in(f, "network.json", &size);
	int rc = ops->params_parse(SLICE(config, size), &params, &err);

	if (rc < 0)
		fail_msg("network.json: %s", err_text(&err, rc));
	assert_int_equal(ops->shard_count(params), shards);
	for (uint32_t s = 0; s < shards; s++) {
		struct follower one = { .ops = ops, .params = params, .next_object = 1 };
		AUTO(base_freep) uint8_t *stream = read_stream(f, s, &size);
		struct rd r = rd_of(SLICE(stream, size));

		assert_int_equal(state_open(NULL, s, UINT64_MAX, &one.state, &err), 0);
		assert_int_equal(ops->replay_new(params, s, &one.replay, &err), 0);
		while (rd_left(&r))
			follow(&one, rd_blob(&r), s == 0, seen);
		assert_int_equal(rd_done(&r), 0);
		ops->replay_free(one.replay);
		state_freep(&one.state);
	}
	ops->params_free(params);
}

/* ---- tests ---- */

static void the_same_seed_gives_the_same_bytes(void **state)
{
	static const char *const names[] = { "blocks-0.pbs", "chunks-1.pbs", "chunks-2.pbs",
					     "network.json" };
	AUTO(folder_release)
	struct archive_folder a = folder_new(),
			      b = folder_new(), c = folder_new();
	struct forge_options o = { .kind = FORGE_STORY, .seed = 7 };

	make(&a, &o);
	make(&b, &o);
	o.seed = 8;
	make(&c, &o);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_true(same_file(&a, &b, names[i]));
		assert_false(same_file(&a, &c, names[i]));
	}
}

/* Changes with the story itself, and with nothing else. */
static void the_story_is_the_same_on_every_machine(void **state)
{
	static const char *const digests[] = {
		"73d94ce406f6a09e931bd8616d24742cbfdee2ce615cf579eade36c75eef87bc",
		"172ac8a2095ab854741306d5c36793c0d6c36bb678c846e910e50539b80a0968",
		"6225399ecbff7f9a2780c7e3ee44ae6bd4a3f0feef51941eb3ea9ecb1d99567e",
	};
	AUTO(folder_release) struct archive_folder f = folder_new();

	make(&f, &(struct forge_options){ .kind = FORGE_STORY });
	for (uint32_t s = 0; s < ARRAY_LEN(digests); s++) {
		size_t size;
		AUTO(base_freep) uint8_t *stream = read_stream(&f, s, &size);
		uint8_t hash[HASH_SIZE];
		char text[2 * HASH_SIZE + 1];

		hash_sha256(SLICE(stream, size), hash);
		hex_put(text, hash, sizeof hash);
		assert_string_equal(text, digests[s]);
	}
}

static void the_story_has_every_kind_of_item_and_every_reason(void **state)
{
	static const char *const kinds[] = {
		"cast-add",
		"cast-remove",
		"reaction-add",
		"reaction-remove",
		"link-add",
		"link-remove",
		"link-compact",
		"user-data",
		"username-proof",
		"verification-add",
		"verification-remove",
		"lend",
		"key-add",
		"key-remove",
		"channel-update",
		"channel-member",
		"channel-pin",
		"channel-moderate",
		"fname-transfer",
		"onchain-signer",
		"onchain-id-register",
		"onchain-storage-rent",
		"onchain-tier-purchase",
		"onchain-channel-register",
		"block-event-heartbeat",
		"block-event-message",
		"block-event-onchain",
	};
	AUTO(folder_release) struct archive_folder f = folder_new();
	AUTO(base_freep) struct seen *seen = calloc(1, sizeof *seen);

	make(&f, &(struct forge_options){ .kind = FORGE_STORY });
	check_archive(&f, 3, seen);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		uint64_t before = seen->kinds_count;

		see_kind(seen, kinds[i]);
		if (seen->kinds_count != before)
			fail_msg("the story has no %s", kinds[i]);
	}
	/* Nothing of a Snapchain expires by itself. */
	for (int reason = 0; reason < REASON_COUNT; reason++)
		if (reason != REASON_EXPIRED && !seen->reasons[reason])
			fail_msg("nothing was %s", reason_names[reason]);
	assert_in_range(seen->outcomes[OUTCOME_REFUSED], 10, 200);
	assert_in_range(seen->retained, 300, 5000);
	assert_in_range(seen->dropped, 10, 5000);
	assert_true(seen->retained > seen->dropped);
	assert_in_range(seen->blocks, 890, 900);
}

static void a_crowd_of_any_shape_is_a_valid_chain(void **state)
{
	static const struct forge_options shapes[] = {
		{ .kind = FORGE_CROWD,
		  .seed = 1,
		  .blocks = 300,
		  .messages = 900,
		  .small_limits = true },
		{ .kind = FORGE_CROWD,
		  .seed = 2,
		  .blocks = 250,
		  .messages = 500,
		  .validators = 7,
		  .data_shards = 4 },
		{ .kind = FORGE_CROWD,
		  .seed = 3,
		  .blocks = 61,
		  .messages = 100,
		  .validators = 1,
		  .data_shards = 1,
		  .accounts = 3 },
	};

	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		AUTO(folder_release) struct archive_folder f = folder_new();
		AUTO(base_freep) struct seen *seen = calloc(1, sizeof *seen);
		uint32_t shards = shapes[i].data_shards ? shapes[i].data_shards + 1 : 3;

		make(&f, &shapes[i]);
		check_archive(&f, shards, seen);
		assert_in_range(seen->blocks, shapes[i].blocks, shapes[i].blocks + shards);
		assert_true(seen->reasons[REASON_MERGED] > shapes[i].messages / 2);
		assert_int_equal(seen->witnessed, seen->blocks / shards);
	}
}

static void options_that_make_no_chain_are_refused(void **state)
{
	static const struct forge_options bad[] = {
		{ .kind = FORGE_STORY, .blocks = 300 },
		{ .validators = 33 },
		{ .data_shards = 16 },
		{ .kind = FORGE_CROWD, .blocks = 3000, .block_time_s = 100000 },
		{ .start_time = 1700000000 },
		{ .kind = FORGE_CROWD, .accounts = 10000000 },
	};
	AUTO(folder_release) struct archive_folder f = folder_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(forge_chain(&bad[i], f.path, NULL, NULL, &err), -EINVAL);
		assert_true(err.text[0] != '\0');
	}
}

static void an_archive_that_is_there_is_left_alone(void **state)
{
	AUTO(folder_release) struct archive_folder f = folder_new();
	struct forge_options o = { .kind = FORGE_CROWD, .blocks = 9, .messages = 3, .seed = 1 };
	struct err err = ERR_INIT;
	size_t before, after;

	make(&f, &o);
	AUTO(base_freep) uint8_t *first = read_stream(&f, 0, &before);
	o.seed = 2;
	assert_int_equal(forge_chain(&o, f.path, NULL, NULL, &err), -ENOTEMPTY);
	AUTO(base_freep) uint8_t *second = read_stream(&f, 0, &after);
	assert_int_equal(before, after);
	assert_memory_equal(first, second, before);
}

static void a_compressed_stream_unpacks_to_the_plain_one(void **state)
{
	AUTO(folder_release) struct archive_folder plain = folder_new(), packed = folder_new();
	struct forge_options o = { .kind = FORGE_CROWD, .blocks = 90, .messages = 300 };
	size_t size, packed_size;

	make(&plain, &o);
	o.compress = true;
	make(&packed, &o);
	AUTO(base_freep) uint8_t *wanted = read_stream(&plain, 1, &size);
	AUTO(base_freep) uint8_t *bytes = read_in(&packed, "chunks-1.pbs.zst", &packed_size);
	AUTO(base_freep) uint8_t *got = malloc(size + 1);
	ZSTD_DStream *d = ZSTD_createDStream();
	ZSTD_inBuffer in = { bytes, packed_size, 0 };
	ZSTD_outBuffer out = { got, size + 1, 0 };
	size_t left = 1;

	while (in.pos < in.size && !ZSTD_isError(left))
		left = ZSTD_decompressStream(d, &out, &in);
	ZSTD_freeDStream(d);
	assert_int_equal(left, 0);
	assert_int_equal(out.pos, size);
	assert_memory_equal(got, wanted, size);
}

static int count_step(void *arg, uint64_t done, uint64_t all)
{
	uint64_t *last = arg;

	assert_int_equal(done, *last + 1);
	assert_int_equal(all, 10);
	*last = done;
	return 0;
}

static void progress_counts_the_steps(void **state)
{
	AUTO(folder_release) struct archive_folder f = folder_new();
	uint64_t last = 0;

	assert_int_equal(
		forge_chain(
			&(struct forge_options){ .kind = FORGE_CROWD, .blocks = 28, .messages = 9 },
			f.path, count_step, &last, NULL),
		0);
	assert_int_equal(last, 10);
}

/* ---- the writer alone ---- */

static const size_t sizes[] = { 0, 1, 127, 128, 200000, 300000, 5, 262144 };

static void messages_of_any_size_come_out_as_they_were(void **state)
{
	AUTO(folder_release) struct archive_folder f = folder_new();
	AUTO(archive_writer_closep) struct archive_writer *w = NULL;
	AUTO(base_freep) uint8_t *message = malloc(300000);
	struct random r = random_of(1);
	size_t size;

	random_bytes(&r, message, 300000);
	assert_int_equal(archive_writer_open(f.path, 2, false, &w, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_int_equal(archive_writer_add(w, 1, SLICE(message, sizes[i]), NULL), 0);
	assert_int_equal(archive_writer_finish(w, slice_str("{}\n"), NULL), 0);

	AUTO(base_freep) uint8_t *stream = read_stream(&f, 1, &size);
	assert_int_equal(size, archive_writer_bytes(w));
	struct rd rd = rd_of(SLICE(stream, size));
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		assert_true(slice_eq(rd_blob(&rd), SLICE(message, sizes[i])));
	assert_int_equal(rd_done(&rd), 0);
}

static void without_memory_a_writer_says_so(void **state)
{
	uint8_t message[1000] = { 0 };

	FOR_EACH_ALLOC_FAULT {
		AUTO(archive_writer_closep) struct archive_writer *w = NULL;
		AUTO(folder_release) struct archive_folder f = folder_new();
		int rc = archive_writer_open(f.path, 2, true, &w, NULL);

		if (rc == 0)
			rc = archive_writer_add(w, 0, SLICE_ARRAY(message), NULL);
		if (rc == 0)
			rc = archive_writer_finish(w, slice_str("{}\n"), NULL);
		assert_true(rc == 0 || rc == -ENOMEM);
	}
}

static void a_bare_chain_is_valid_but_for_certificates(void **state)
{
	AUTO(folder_release) struct archive_folder f = folder_new();
	struct seen seen = { 0 };

	make(&f, &(struct forge_options){ .kind = FORGE_BARE, .blocks = 400 });
	uncommitted = true;
	check_archive(&f, 2, &seen);
	uncommitted = false;
	assert_int_equal(seen.blocks, 400);
	/* Shard 0 says every so often that it is there, and shard 1 carries it. */
	assert_int_equal(seen.outcomes[OUTCOME_REFUSED], 0);
	assert_int_equal(seen.witnessed, 200);
}

static void without_memory_a_chain_says_so(void **state)
{
	struct forge_options o = {
		.kind = FORGE_CROWD, .blocks = 30, .messages = 20, .accounts = 4
	};
	uint64_t met = 1;

	/* Every one in turn would take minutes. */
	for (uint64_t nth = 0; met; nth += nth / 16 + 1) {
		AUTO(folder_release) struct archive_folder f = folder_new();

		alloc_fault_at(nth);
		int rc = forge_chain(&o, f.path, NULL, NULL, NULL);
		met = alloc_fault_met();
		alloc_fault_at(ALLOC_FAULT_NONE);
		assert_int_equal(rc, met ? -ENOMEM : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_seed_gives_the_same_bytes),
		cmocka_unit_test(the_story_is_the_same_on_every_machine),
		cmocka_unit_test(the_story_has_every_kind_of_item_and_every_reason),
		cmocka_unit_test(a_crowd_of_any_shape_is_a_valid_chain),
		cmocka_unit_test(options_that_make_no_chain_are_refused),
		cmocka_unit_test(an_archive_that_is_there_is_left_alone),
		cmocka_unit_test(a_compressed_stream_unpacks_to_the_plain_one),
		cmocka_unit_test(progress_counts_the_steps),
		cmocka_unit_test(messages_of_any_size_come_out_as_they_were),
		cmocka_unit_test(without_memory_a_writer_says_so),
		cmocka_unit_test(a_bare_chain_is_valid_but_for_certificates),
		cmocka_unit_test(without_memory_a_chain_says_so),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
