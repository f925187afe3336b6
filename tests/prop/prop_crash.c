/* A writer is killed at a random moment, again and again: everything that it acknowledged is there
 * when the store is opened, and blocks, rows, segments and the view tell of the same height. */
#include "core/store/inside.h"
#include "core/store/network.h"
#include "tests/support/store_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SHARD 1u
#define KEYS  40u

/* ---- what the chain says: block h writes one row, and every seventh deletes it instead ---- */

static struct slice bytes_of(uint64_t height, uint8_t out[4096])
{
	struct random r = random_of(height);
	size_t n = 1 + random_below(&r, 4096);

	random_bytes(&r, out, n / 2);
	memset(out + n / 2, 'x', n - n / 2);
	return SLICE(out, n);
}

/* Height of the block that gave `key` its value as of `height`; 0: absent. */
static uint64_t writer_of(uint64_t key, uint64_t height)
{
	uint64_t h = height - (height + KEYS - key) % KEYS;

	return height < key || h == 0 || h % 7 == 0 ? 0 : h;
}

/* ---- the writer ---- */

static int write_block(struct commit *c, struct state *st, uint64_t height)
{
	struct shard_view *sv = &commit_view(c)->shards[SHARD];
	struct block_row row = { .shard = SHARD, .height = height, .object = height };
	struct stat_record stat = { .type = OBJECT_BLOCK, .shard = SHARD, .height = height };
	uint8_t bytes[4096], key[1] = { (uint8_t)(height % KEYS) };
	struct slice canonical = bytes_of(height, bytes);
	int rc = commit_bytes(c, canonical, SLICE_EMPTY, &row.bytes, NULL);

	row.canonical_size = (uint32_t)canonical.n;
	if (rc == 0)
		rc = commit_block(c, &row);
	if (rc == 0)
		rc = commit_stat(c, height, &stat);
	if (rc == 0)
		rc = state_block_begin(st, height);
	if (rc == 0 && height % 7)
		rc = state_put(st, SPACE_BOTH, SLICE_ARRAY(key), SLICE(&height, sizeof height),
			       false);
	else if (rc == 0)
		rc = state_delete(st, SPACE_BOTH, SLICE_ARRAY(key), REASON_PRUNED);
	if (rc == 0)
		rc = state_block_end(st);
	if (rc == 0)
		rc = gaps_add(&sv->gaps, (struct range){ height, height + 1 });
	sv->tip = sv->replayed = height;
	return rc;
}

/* Never comes back. Each acknowledged tip goes into the pipe. */
static void write_on(const char *path, int pipe, uint64_t seed)
{
	struct random r = random_of(seed);
	struct store_options options = fixture_options();
	struct store *s = NULL;
	struct commit *c = NULL;
	struct state *st = NULL;

	options.sync_off = false;
	int rc = store_open(path, &options, &s, NULL);
	struct network *n = rc == 0 ? store_network_at(s, 0) : NULL;

	if (rc == 0)
		rc = commit_new(n, &c);
	if (rc == 0)
		rc = state_open(n, SHARD, UINT64_MAX, &st, NULL);
	while (rc == 0) {
		uint64_t tip = commit_view(c)->shards[SHARD].tip;
		uint64_t end = tip + 1 + random_below(&r, 30);

		while (rc == 0 && tip < end)
			rc = write_block(c, st, ++tip);
		if (rc == 0)
			rc = commit_state(c, st);
		if (rc == 0 && random_chance(&r, 30)) {
			uint64_t horizon = tip > 200 ? tip - 200 : 0;

			rc = collector_choose(n, SHARD, horizon, 100, c, NULL);
			rc = MIN(rc, 0);
		}
		if (rc == 0)
			rc = commit_apply(c, NULL);
		if (rc == 0 && write(pipe, &tip, sizeof tip) != sizeof tip)
			rc = -EIO;
	}
	_exit(1);
}

/* ---- the check ---- */

static void check_blocks(struct network *n, uint64_t tip, struct random *r)
{
	uint64_t first = tip > 300 && random_chance(r, 80) ? tip - 300 : 1;
	struct block_row row;
	struct stat_record stat;

	for (uint64_t h = first; h <= tip; h++) {
		AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
		struct err err = ERR_INIT;
		uint8_t wanted[4096];

		assert_int_equal(network_block(n, SHARD, h, &row), 1);
		if (network_block_bytes(n, &row, &bytes, &err) < 0)
			fail_msg("height %" PRIu64 " of %" PRIu64 ": %s", h, tip, err.text);
		assert_true(slice_eq(bytes->canonical, bytes_of(h, wanted)));
		assert_int_equal(network_stat(n, h, &stat), 1);
	}
	assert_int_equal(network_block(n, SHARD, tip + 1, &row), 0);
	assert_int_equal(network_stat(n, tip + 1, &stat), 0);
}

static void check_rows(struct network *n, uint64_t from, uint64_t tip, struct random *r)
{
	for (int i = 0; i < 10; i++) {
		AUTO(state_freep) struct state *st = NULL;
		uint64_t height = i == 0 ? tip : from + random_below(r, tip - from + 1);

		assert_int_equal(state_open(n, SHARD, i ? height : UINT64_MAX, &st, NULL), 0);
		for (uint64_t k = 0; k < KEYS; k++) {
			uint8_t key[1] = { (uint8_t)k };
			uint64_t wanted = writer_of(k, height);
			struct slice value;

			assert_int_equal(state_get(st, SPACE_BOTH, SLICE_ARRAY(key), &value),
					 wanted != 0);
			assert_true(!wanted || slice_eq(value, SLICE(&wanted, sizeof wanted)));
		}
	}
}

static void check_segments(struct fixture *f)
{
	struct segments_end end = f->network->committed;
	char path[300];
	struct stat st;

	if (end.segment == 0)
		return;
	snprintf(path, sizeof path, "%s/networks/net/segments/%06u.seg", f->path, end.segment);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, end.offset);
}

static uint64_t check(struct fixture *f, uint64_t acknowledged, struct random *r)
{
	fixture_reopen(f);
	AUTO(view_putp) struct view *v = network_view_get(f->network);
	const struct shard_view *sv = &v->shards[SHARD];

	assert_true(sv->tip >= acknowledged);
	assert_int_equal(sv->replayed, sv->tip);
	assert_int_equal(gaps_held(&sv->gaps), sv->tip);
	if (sv->tip) {
		check_blocks(f->network, sv->tip, r);
		check_rows(f->network, sv->kept_from, sv->tip, r);
	}
	check_segments(f);
	return sv->tip;
}

/* A process of its own from the start: one that is forked off a program with threads may not make
 * threads under ThreadSanitizer, and would not be what is killed in life. */
#define WRITER_WORD "--writer"

static void become_writer(const char *path, int pipe_end, uint64_t seed)
{
	char pipe_text[16], seed_text[32];

	snprintf(pipe_text, sizeof pipe_text, "%d", pipe_end);
	snprintf(seed_text, sizeof seed_text, "%" PRIu64, seed);
	execl(program_path(), "prop_crash", WRITER_WORD, path, pipe_text, seed_text, (char *)NULL);
	_exit(1);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
	AUTO(fixture_release) struct fixture f;
	struct random r = random_of_run();
	uint64_t tip = 0;

	fixture_open(&f);
	trace_set_level(TRACE_ERROR);
	for (uint64_t round = rounds(30); round; round--) {
		int pipe_ends[2], status;
		uint64_t acknowledged = tip, seed = random_u64(&r), heard;

		store_closep(&f.store);
		assert_int_equal(pipe(pipe_ends), 0);
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0)
			become_writer(f.path, pipe_ends[1], seed);
		close(pipe_ends[1]);
		/* Now and then it dies while it opens; else it has written something by then. */
		if (random_chance(&r, 75) &&
		    read(pipe_ends[0], &heard, sizeof heard) == sizeof heard)
			acknowledged = heard;
		usleep((useconds_t)random_below(&r, 60000));
		kill(child, SIGKILL);
		while (read(pipe_ends[0], &heard, sizeof heard) == sizeof heard)
			acknowledged = heard;
		close(pipe_ends[0]);
		waitpid(child, &status, 0);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		tip = check(&f, acknowledged, &r);
	}
	trace_set_level(TRACE_INFO);
	print_message("# %" PRIu64 " heights after the last kill\n", tip);
	assert_true(tip > 0);
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], WRITER_WORD) == 0)
		write_on(argv[2], atoi(argv[3]), strtoull(argv[4], NULL, 10));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_acknowledged_survives_a_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
