/* Damage that a reader met becomes a gap with the next writer; what heals it is the same block,
 * byte for byte. */
#include "tests/unit/message_lab.h"
#include "tests/unit/tree_fixture.h"

#include "core/base/files.h"
#include "core/base/sign.h"
#include "core/checkpoint/sums.h"
#include "core/ingest/index.h"
#include "core/ingest/writer.h"
#include "core/store/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARCHIVE "tests/vectors/devnet-a"
#define HEIGHTS 12u

static struct job *job_of(struct network *n, const struct block_row *row)
{
	struct job *job = calloc(1, sizeof *job);
	struct err err = ERR_INIT;

	assert_non_null(job);
	must(job_load(n, row, job, &err), &err);
	job_check(network_ops(n), network_params(n), job);
	must(job->rc, &job->err);
	return job;
}

static void only_the_same_bytes_heal(void **state)
{
	AUTO(chain_release) struct chain c;
	AUTO(job_freep) struct job *job = NULL;
	struct block_row row, other;

	(void)state;
	chain_open(&c, ARCHIVE);
	chain_feed(&c, 1, 1, HEIGHTS, 1);
	assert_int_equal(network_block(c.network, 1, 5, &row), 1);
	assert_true(row.has_digest);
	job = job_of(c.network, &row);
	assert_null(writer_differs(job->block, &row));
	other = row;
	other.digest[0] ^= 1;
	assert_non_null(strstr(writer_differs(job->block, &other), "the bytes are not"));
	other = row;
	other.hash[0] ^= 1;
	assert_non_null(strstr(writer_differs(job->block, &other), "another block"));
	/* Rows of older programs have no digest: what they say of the block has to do. */
	other = row;
	other.has_digest = false;
	assert_null(writer_differs(job->block, &other));
	other.line_bytes++;
	assert_non_null(writer_differs(job->block, &other));
}

static unsigned told;

static void on_damage(void *arg, struct network *n, const struct store_damage *what)
{
	told++;
	assert_null(what->file);
	assert_int_equal(what->shard, 1);
	assert_true(what->height >= 1 && what->height <= HEIGHTS && what->sentence[0]);
}

static void damage_segment_at(const struct chain *c, long offset)
{
	char path[256];

	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", c->path);
	FILE *f = fopen(path, "r+b");

	assert_non_null(f);
	fseek(f, offset, SEEK_SET);
	int byte = fgetc(f);

	fseek(f, offset, SEEK_SET);
	fputc(byte ^ 4, f);
	fclose(f);
}

static void damage_segment(const struct chain *c)
{
	damage_segment_at(c, 100);
}

static uint64_t missing(struct network *n, enum gap_reason reason)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	const struct shard_view *sv = &v->shards[1];
	uint64_t cursor = 1, count = 0;
	struct gap gap;

	while (gaps_next(&sv->gaps, sv->known, &cursor, &gap))
		if ((gap.fault ? gap.fault->reason : GAP_NOT_FETCHED) == reason)
			count += gap.range.end - gap.range.first;
	return count;
}

static void what_a_reader_met_is_a_gap_with_the_next_writer_and_heals(void **state)
{
	AUTO(chain_release) struct chain c;
	struct store_options options = { .holder = "test", .sync_off = true };
	const struct block_bytes *bytes = NULL;
	struct block_row row, healed;
	struct err err = ERR_INIT;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	told = 0;
	chain_open(&c, ARCHIVE);
	chain_feed(&c, 1, 1, HEIGHTS, 1);
	store_closep(&c.store);
	damage_segment(&c);
	must(store_open(c.path, &options, &c.store, &err), &err);
	c.network = store_network_at(c.store, 0);
	store_on_damage(c.store, on_damage, NULL);

	assert_int_equal(network_block(c.network, 1, 3, &row), 1);
	assert_int_equal(network_block_check(c.network, &row, &err), -EBADMSG);
	assert_int_equal(told, 0); /* who only looks notes nothing */
	for (int i = 0; i < 2; i++)
		assert_int_equal(network_block_bytes(c.network, &row, &bytes, &err), -EBADMSG);
	assert_int_equal(told, 1);
	assert_int_equal(missing(c.network, GAP_DAMAGED), 0);

	/* A writer that is given no block of that height. */
	chain_feed(&c, 0, 1, 1, -1);
	assert_int_equal(missing(c.network, GAP_DAMAGED), 1);
	assert_int_equal(network_block_bytes(c.network, &row, &bytes, &err), -EBADMSG);
	assert_int_equal(told, 1); /* it is a gap: no news */

	chain_feed(&c, 1, 3, 3, -1);
	assert_int_equal(missing(c.network, GAP_DAMAGED), 0);
	assert_int_equal(network_block(c.network, 1, 3, &healed), 1);
	assert_true(healed.object == row.object);
	assert_int_equal(network_block_bytes(c.network, &healed, &bytes, &err), 0);
	block_bytes_putp(&bytes);
	trace_set_sink(NULL, NULL);
}

#define TABLES_MAX 64

struct tables { /* files of the database that were told of */
	char files[TABLES_MAX][64];
	unsigned count;
};

static void on_file(void *arg, struct network *n, const struct store_damage *what)
{
	struct tables *t = arg;

	assert_non_null(what->file);
	assert_non_null(strstr(what->sentence, "checksum"));
	assert_non_null(strstr(what->mend, "chainfs fsck"));
	assert_true(t->count < TABLES_MAX);
	snprintf(t->files[t->count++], sizeof t->files[0], "%s", what->file);
}

/* The last one is the first in the table. */
static void on_last_file(void *arg, struct network *n, const struct store_damage *what)
{
	struct tables *t = arg;

	assert_true(what->file && what->sentence && strstr(what->mend, "chainfs fsck"));
	snprintf(t->files[0], sizeof t->files[0], "%s", what->file);
	t->count++;
}

/* A bit of the first block of the file that holds a family: its name in `out`. */
static void damage_table(const struct chain *c, const char *family, char out[64])
{
	AUTO(buf_release) struct buf sought = BUF_INIT(128);
	AUTO(files_dir_closep) DIR *dir = NULL;
	char folder[256];
	const struct dirent *e;

	/* Its properties, in which a key leaves out what the one before it, "….id", began with. */
	buf_fmt(&sought, "name%s", family);
	snprintf(folder, sizeof folder, "%s/networks/net/db", c->path);
	dir = opendir(folder);
	assert_non_null(dir);
	out[0] = 0;
	while (!out[0] && (e = readdir(dir))) {
		AUTO(buf_release) struct buf bytes = BUF_INIT(64u << 20);

		if (!strstr(e->d_name, ".sst"))
			continue;
		must(files_read_plain(dirfd(dir), e->d_name, 64u << 20, &bytes, NULL), NULL);
		if (!memmem(bytes.p, bytes.n, sought.p, sought.n))
			continue;
		int fd = openat(dirfd(dir), e->d_name, O_RDWR | O_CLOEXEC);

		bytes.p[9] ^= 4;
		assert_int_equal(pwrite(fd, bytes.p + 9, 1, 9), 1);
		close(fd);
		snprintf(out, 64, "db/%.40s", e->d_name);
	}
	assert_true(out[0]);
}

static void a_damaged_file_of_the_database_is_told_once(void **state)
{
	AUTO(chain_release) struct chain c;
	struct store_options options = { .holder = "test", .sync_off = true };
	struct tables tables = { .count = 0 };
	char blocks[64], replay[64];
	struct block_row row;
	struct roots_row roots;
	struct err err = ERR_INIT;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	chain_feed(&c, 0, 1, HEIGHTS, 1);
	chain_feed(&c, 1, 1, HEIGHTS, 1);
	store_closep(&c.store);
	damage_table(&c, "blocks", blocks);
	damage_table(&c, "replay", replay);
	must(store_open(c.path, &options, &c.store, &err), &err);
	c.network = store_network_at(c.store, 0);
	store_on_damage(c.store, on_file, &tables);

	for (int i = 0; i < 100; i++)
		assert_int_equal(network_block(c.network, 1, 1 + i % HEIGHTS, &row), -EBADMSG);
	assert_int_equal(tables.count, 1);
	assert_string_equal(tables.files[0], blocks);

	/* By an iterator it is the same file, and another one is news. */
	AUTO(block_scan_freep) struct block_scan *scan = NULL;

	must(block_scan_new(c.network, 1, 1, &scan), &err);
	assert_int_equal(block_scan_next(scan, &row), -EBADMSG);
	assert_int_equal(tables.count, 1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(network_roots(c.network, 1, 1 + i % HEIGHTS, &roots), -EBADMSG);
	assert_int_equal(tables.count, 2);
	assert_string_equal(tables.files[1], replay);

	/* Who opens it the next time is told as well. */
	block_scan_freep(&scan);
	scan = NULL;
	store_closep(&c.store);
	must(store_open(c.path, &options, &c.store, &err), &err);
	c.network = store_network_at(c.store, 0);
	store_on_damage(c.store, on_file, &tables);
	assert_int_equal(network_block(c.network, 1, 1, &row), -EBADMSG);
	assert_int_equal(tables.count, 3);
	trace_set_sink(NULL, NULL);
}

/* What a restore carried belongs to no height, which could become a gap of it. A segment of it has
 * many frames. */
static void damaged_bytes_of_no_block_are_told_by_their_file(void **state)
{
	AUTO(chain_release) struct chain c;
	const struct block_bytes *owner = NULL;
	struct tables tables = { .count = 0 };
	struct stat_record stats[3];
	uint8_t bytes[512];
	struct slice out;
	struct err err = ERR_INIT;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i >> 3);
	for (size_t i = 0; i < ARRAY_LEN(stats); i++) {
		AUTO(commit_freep) struct commit *commit = NULL;
		AUTO(view_putp) struct view *v = network_view_get(c.network);

		stats[i] = (struct stat_record){ .type = OBJECT_ITEM, .offset = 7, .size = 300 };
		must(commit_new(c.network, &commit), &err);
		must(commit_carried(commit, SLICE(bytes, sizeof bytes), &stats[i].carrier, &err),
		     &err);
		must(commit_apply(commit, &err), &err);
		damage_segment_at(&c, (long)v->segment_size + FRAME_HEADER_SIZE + 1);
	}
	store_on_damage(c.store, on_file, &tables);
	for (size_t i = 0; i < 3 * ARRAY_LEN(stats); i++)
		assert_int_equal(network_object_bytes(c.network, &stats[i % ARRAY_LEN(stats)],
						      &owner, &out, &err),
				 -EBADMSG);
	assert_int_equal(tables.count, 1);
	assert_string_equal(tables.files[0], "segments/000001.seg");
	trace_set_sink(NULL, NULL);
}

static void another_file_of_the_same_name_is_news(void **state)
{
	AUTO(chain_release) struct chain c;
	struct tables tables = { .count = 0 };

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	store_on_damage(c.store, on_file, &tables);
	for (uint64_t i = 0; i < 6; i++)
		network_damaged_file(c.network, "checkpoints/a/info", i / 3, "checksum mismatch",
				     "chainfs fsck --repair");
	assert_int_equal(tables.count, 2);
	network_damaged_file(c.network, "checkpoints/b/info", 0, "checksum mismatch",
			     "chainfs fsck --repair");
	assert_int_equal(tables.count, 3);
	trace_set_sink(NULL, NULL);
}

/* A reader of events learns that he does not learn of all. */
static void behind_the_last_file_that_is_told_one_line_says_that_there_are_more(void **state)
{
	enum { FILES = 260, TOLD = 256 };
	AUTO(chain_release) struct chain c;
	struct tables tables = { .count = 0 };

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	store_on_damage(c.store, on_last_file, &tables);
	for (unsigned i = 0; i < 2 * FILES; i++) {
		char name[32];

		snprintf(name, sizeof name, "checkpoints/%03u/info", i % FILES);
		network_damaged_file(c.network, name, 0, "checksum mismatch",
				     "chainfs fsck --repair");
		assert_int_equal(tables.count, MIN(i + 1, TOLD + 1));
		assert_string_equal(tables.files[0], i < TOLD ? name : "*");
	}
	trace_set_sink(NULL, NULL);
}

/* Until it is told from the one before: the clock of a file system may be as coarse as 4 ms. */
static int make_again(const char *path, struct stat *before)
{
	for (;;) {
		struct stat st;

		unlink(path);
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

		assert_true(fd >= 0);
		assert_int_equal(fstat(fd, &st), 0);
		if (st.st_ctim.tv_sec != before->st_ctim.tv_sec ||
		    st.st_ctim.tv_nsec != before->st_ctim.tv_nsec) {
			*before = st;
			return fd;
		}
		close(fd);
	}
}

/* A file system gives the number of one that was removed to the next. */
static void a_file_that_was_made_again_is_another(void **state)
{
	AUTO(chain_release) struct chain c;
	struct tables tables = { .count = 0 };
	struct stat before = { .st_ino = 0 };
	char path[256];

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	snprintf(path, sizeof path, "%s/info", c.path);
	store_on_damage(c.store, on_file, &tables);
	for (unsigned made = 1; made <= 3; made++) {
		AUTO(base_closep) int fd = make_again(path, &before);

		for (int i = 0; i < 2; i++)
			checkpoint_damaged(c.network, "a", "info", fd, "checksum mismatch");
		assert_int_equal(tables.count, made);
		unlink(path); /* as a repair does, while somebody reads it */
		checkpoint_damaged(c.network, "a", "info", fd, "checksum mismatch");
		assert_int_equal(tables.count, made);
	}
	trace_set_sink(NULL, NULL);
}

/* As the ingest thread does it. */
static void place(struct writer *w, uint64_t height, struct slice message)
{
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	struct err err = ERR_INIT;

	assert_non_null(job);
	job->shard = 1;
	job->expected = height;
	job->received = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	buf_add(&job->received, message);
	job_check(w->ops, network_params(w->network), job);
	must(writer_place(w, job, &err), &err);
}

/* Shard 1's messages from height 1 on; the first height above 2 that has a transaction. */
static uint64_t read_messages(const struct chain *c, struct buf *out, size_t count)
{
	AUTO(archive_closep) struct archive *archive = NULL;
	struct err err = ERR_INIT;
	uint64_t with_transaction = 0;

	must(archive_open(c->archive, &archive, &err), &err);
	for (size_t h = 1; h < count; h++) {
		out[h] = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
		must(archive_next(archive, 1, &out[h], &err), &err);
		if (!with_transaction && h > 2 && lab_field(buf_slice(&out[h]), 3).n)
			with_transaction = h;
	}
	assert_true(with_transaction);
	return with_transaction;
}

/* Both have the same hash, which covers no contents. */
static void what_was_taken_out_makes_room_for_the_right_one_at_once(void **state)
{
	AUTO(chain_release) struct chain c;
	AUTO(writer_release) struct writer w = { .dirty = false };
	struct ingest_options options = { .checkers = 1 };
	struct buf messages[100] = { 0 };
	struct err err = ERR_INIT;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	uint64_t height = read_messages(&c, messages, ARRAY_LEN(messages));
	AUTO(buf_release) struct buf spoiled = BUF_INIT(BLOCK_SIZE_MAX);

	buf_add(&spoiled, buf_slice(&messages[height]));
	assert_true(lab_spoil(&spoiled, 3));
	chain_feed(&c, 1, 1, height - 2, 1);
	must(writer_open(&w, c.network, &options, &err), &err);
	place(&w, height, buf_slice(&spoiled)); /* waits beyond a gap */
	assert_int_equal(w.now.fate, FATE_TAKEN);
	place(&w, height - 1, buf_slice(&messages[height - 1]));
	const struct view *v = commit_view(w.commit);

	assert_int_equal(v->shards[1].replayed, height - 1);
	assert_false(gaps_has(&v->shards[1].gaps, height));
	place(&w, height, buf_slice(&messages[height]));
	assert_int_equal(w.now.fate, FATE_TAKEN);
	must(writer_commit(&w, &err), &err);
	v = commit_view(w.commit);
	assert_int_equal(v->shards[1].replayed, height);
	for (size_t i = 0; i < ARRAY_LEN(messages); i++)
		buf_release(&messages[i]);
	trace_set_sink(NULL, NULL);
}

static void a_state_that_was_let_go_is_no_data(void **state)
{
	AUTO(chain_release) struct chain c;
	AUTO(archive_closep) struct archive *archive = NULL;
	struct ingest_options options = { .checkers = 1, .history_keep = 3 };
	struct state *st = NULL;
	struct err err = ERR_INIT;

	(void)state;
	chain_open(&c, ARCHIVE);
	chain_feed(&c, 0, 1, 20, 1);
	/* One that is open stays whole. */
	must(state_open(c.network, 0, 4, &st, &err), &err);
	for (int open = 1; open >= 0; open--) {
		AUTO(ingest_freep) struct ingest *ingest = NULL;
		AUTO(view_putp) struct view *v = NULL;

		must(ingest_start(c.network, &options, &ingest, &err), &err);
		must(ingest_finish(ingest, &err), &err);
		v = network_view_get(c.network);
		if (open) {
			assert_true(v->shards[0].kept_from <= 4);
			state_freep(&st);
		} else {
			assert_true(v->shards[0].kept_from > 4 && v->shards[0].kept_from <= 18);
		}
	}
	assert_int_equal(state_open(c.network, 0, 4, &st, &err), -ENODATA);
	assert_non_null(strstr(err.text, "was let go"));
	must(state_open(c.network, 0, 18, &st, &err), &err);
	state_freep(&st);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_same_bytes_heal),
		cmocka_unit_test(what_a_reader_met_is_a_gap_with_the_next_writer_and_heals),
		cmocka_unit_test(a_damaged_file_of_the_database_is_told_once),
		cmocka_unit_test(damaged_bytes_of_no_block_are_told_by_their_file),
		cmocka_unit_test(another_file_of_the_same_name_is_news),
		cmocka_unit_test(
			behind_the_last_file_that_is_told_one_line_says_that_there_are_more),
		cmocka_unit_test(a_file_that_was_made_again_is_another),
		cmocka_unit_test(what_was_taken_out_makes_room_for_the_right_one_at_once),
		cmocka_unit_test(a_state_that_was_let_go_is_no_data),
	};
	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
