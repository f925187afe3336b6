/* Every way into core that allocates, with its nth allocation and all after it failing, for n from
 * the first to the one that it does without: no crash, no leak (under the sanitizer), -ENOMEM or
 * exit code 2, and the store as it was. What other programs of tests/unit do for single modules is
 * not done again.
 *
 * Of a call with many allocations not each n is tried: every one up to 64, then steps that grow by
 * a sixteenth. Only the thread of the test fails; what runs on threads of its own (checkers,
 * ingest) does not. */
#include "tests/unit/tree_fixture.h"

#include "core/base/files.h"
#include "core/base/sign.h"
#include "core/checkpoint/build.h"
#include "core/checkpoint/pins.h"
#include "core/checkpoint/restore.h"
#include "core/checkpoint/sums.h"
#include "core/control/alerts.h"
#include "core/control/metrics.h"
#include "core/control/verb.h"
#include "core/fsck/fsck.h"
#include "core/fsck/rebuild.h"
#include "core/ingest/envelope.h"
#include "core/ingest/pipeline.h"
#include "core/ingest/repair.h"
#include "core/store/inside.h"
#include "core/sync/archive_writer.h"

#include <fcntl.h>

#define ARCHIVE "tests/vectors/devnet-a"
#define HEIGHTS 6u

static struct chain chain;
static char scratch[128], checkpoint[512], checkpoints_folder[256], pins_folder[256];

static void path_in(char out[256], const char *name)
{
	snprintf(out, 256, "%s/%s", scratch, name);
}

/* ---- what is called ---- */

static int read_view_and_blocks(void)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	struct block_scan *scan = NULL;
	struct block_row row;
	int rc = 0;

	for (uint32_t s = 0; s < v->shard_count && rc == 0; s++) {
		rc = block_scan_new(chain.network, s, 1, &scan);
		while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1) {
			AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;

			rc = network_block_bytes(chain.network, &row, &bytes, NULL);
		}
		block_scan_freep(&scan);
	}
	return rc;
}

static int read_what_replay_left(void)
{
	AUTO(change_list_release) struct change_list changes = { .change_count = 0 };
	AUTO(outcome_list_release) struct outcome_list outcomes = { .outcome_count = 0 };
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 24);
	int rc = network_changes(chain.network, 1, 3, &changes);

	if (rc >= 0)
		rc = network_outcomes(chain.network, 1, 3, &outcomes);
	if (rc >= 0)
		rc = envelope_read(v, 1, 3, true, &out, NULL);
	return MIN(rc, 0);
}

static int open_a_state(void)
{
	AUTO(state_freep) struct state *st = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	int rc = state_open(chain.network, 1, UINT64_MAX, &st, NULL);

	if (rc == 0)
		rc = state_scan_new(st, SPACE_BOTH, SLICE_EMPTY, SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1)
		rc = 0;
	return rc;
}

static int open_the_store(void)
{
	AUTO(store_closep) struct store *s = NULL;
	struct store_options options = { .holder = "test",
					 .sync_off = true,
					 .cache_size = 1u << 20 };
	char path[256];

	path_in(path, "closed");
	return store_open(path, &options, &s, NULL);
}

static int check_everything(void)
{
	struct family_check list[NETWORK_FAMILIES];

	return network_check(chain.network, list);
}

static int read_an_archive(void)
{
	AUTO(archive_closep) struct archive *a = NULL;
	AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = archive_open(ARCHIVE, &a, NULL);

	for (int i = 0; i < 3 && rc >= 0; i++)
		rc = archive_next(a, 0, &message, NULL);
	if (rc >= 0)
		rc = archive_rewind(a, 0, NULL);
	return MIN(rc, 0);
}

static int write_an_archive(void)
{
	AUTO(archive_writer_closep) struct archive_writer *w = NULL;
	char path[256];

	path_in(path, "written");
	files_remove_tree(AT_FDCWD, path) < 0 ? abort() : (void)0;
	int rc = archive_writer_open(path, 2, true, &w, NULL);

	if (rc == 0)
		rc = archive_writer_add(w, 0, slice_str("a message"), NULL);
	return rc < 0 ? rc : archive_writer_finish(w, slice_str("{}\n"), NULL);
}

static int check_on_a_pipeline(void)
{
	AUTO(pipeline_freep) struct pipeline *p = NULL;

	return pipeline_new(network_ops(chain.network), network_params(chain.network), 1, &p);
}

static int load_a_job(void)
{
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	struct block_row row;
	int rc = job ? network_block(chain.network, 1, 3, &row) : -ENOMEM;

	if (rc < 0)
		return rc;
	rc = job_load(chain.network, &row, job, NULL);
	if (rc < 0)
		return rc;
	job_check(network_ops(chain.network), network_params(chain.network), job);
	return job->rc;
}

static int start_an_ingest(void)
{
	AUTO(ingest_freep) struct ingest *in = NULL;
	struct ingest_options o = { .checkers = 1 };
	int rc = ingest_start(chain.network, &o, &in, NULL);

	return rc < 0 ? rc : ingest_finish(in, NULL);
}

static int mend_rows(void)
{
	AUTO(repair_freep) struct repair *r = NULL;
	int rc = repair_begin(chain.network, NULL, NULL, NULL, &r, NULL);

	if (rc == 0)
		rc = repair_rows(r, 1, 3, NULL);
	if (rc >= 0)
		rc = repair_damaged(r, 1, 2, NULL);
	if (rc >= 0)
		rc = repair_known(r, 1, 1, NULL, 0, NULL);
	return rc < 0 ? rc : repair_end(r, NULL);
}

static char told[256];

static void note(void *arg, const struct fsck_fault *f)
{
	if (f->class != FSCK_ORPHAN)
		snprintf(told, sizeof told, "%s: %.200s", f->part, f->sentence);
}

static int walk_a_network(void)
{
	AUTO(fsck_fixes_freep) struct fsck_fixes *fixes = NULL;
	struct fsck_options o = { .report = note, .checkpoints = checkpoints_folder,
				  .pins = pins_folder };
	struct fsck_counts counts;
	int rc = fsck_run(chain.network, &o, &counts, &fixes, NULL);

	/* What there is no memory for is no fault of the store. */
	if (rc == 0 && told[0])
		fail_msg("%s", told);
	told[0] = 0;
	return rc;
}

static int make_anew(void)
{
	AUTO(store_closep) struct store *s = NULL;
	struct store_options options = { .holder = "test",
					 .sync_off = true,
					 .cache_size = 1u << 20 };
	struct rebuild_options o = { .stop = NULL };
	struct rebuild_totals t;
	char path[256];

	path_in(path, "anew");
	int rc = store_open(path, &options, &s, NULL);

	if (rc == 0)
		rc = rebuild(s, "net", &o, &t, NULL);
	if (rc == 0)
		assert_true(t.blocks > 0 && t.missing == 0);
	return rc;
}

static int build_a_checkpoint(void)
{
	struct build_progress progress = { 0 };
	char path[256], name[CHECKPOINT_NAME_SIZE] = "";

	path_in(path, "built");
	files_remove_tree(AT_FDCWD, path) < 0 || mkdir(path, 0700) < 0 ? abort() : (void)0;
	int rc = checkpoint_build(chain.network, HEIGHTS, path, true, &progress, NULL, name, NULL);

	if (rc == -ENOMEM && !name[0])
		return rc;
	alloc_fault_pause();
	/* There is none that nothing but its SHA256SUMS seals. */
	AUTO(base_closep) int parent = open(path, O_RDONLY | O_DIRECTORY);
	AUTO(buf_release) struct buf sums = BUF_INIT(2 * CHECKPOINT_SUMS_MAX);

	if (faccessat(parent, name, F_OK, 0) == 0)
		assert_int_equal(checkpoint_sums_read(parent, name, &sums), 1);
	alloc_fault_resume();
	return rc;
}

static int sum_a_checkpoint(void)
{
	char path[256];

	path_in(path, "checkpoints");
	AUTO(base_closep) int parent = open(path, O_RDONLY | O_DIRECTORY);
	const char *name = strrchr(checkpoint, '/') + 1;
	char file[600];

	snprintf(file, sizeof file, "%s/info", checkpoint);
	AUTO(base_closep) int fd = open(file, O_RDONLY);
	int rc = checkpoint_sums_make(parent, name, name, NULL);

	return rc < 0 ? rc : checkpoint_sums_check(parent, name, "info", fd, NULL);
}

/* Wherever it ends, the sums beside the checkpoint are there: without them nobody would know a
 * damaged file of those that SHA256SUMS does not cover. */
static int mend_a_checkpoint(void)
{
	const char *name = strrchr(checkpoint, '/') + 1;
	char path[256];

	path_in(path, "checkpoints");
	int rc = checkpoint_mend(chain.network, path, name, HEIGHTS, NULL, NULL);

	alloc_fault_pause();
	AUTO(base_closep) int parent = open(path, O_RDONLY | O_DIRECTORY);
	AUTO(buf_release) struct buf sums = BUF_INIT(2 * CHECKPOINT_SUMS_MAX);

	assert_int_equal(checkpoint_sums_read(parent, name, &sums), 1);
	alloc_fault_resume();
	return rc;
}

static int prove_a_checkpoint(void)
{
	AUTO(base_freep) struct proof *proof = calloc(1, sizeof *proof);
	struct err err = ERR_INIT;

	return proof ? checkpoint_prove(checkpoint, network_params(chain.network), NULL, proof,
					&err)
		     : -ENOMEM;
}

static int restore_a_store(void)
{
	AUTO(base_freep) struct proof *proof = calloc(1, sizeof *proof);
	struct restore_options o = { .network = "net", .sync_off = true };
	char path[256];

	path_in(path, "restored");
	files_remove_tree(AT_FDCWD, path) < 0 ? abort() : (void)0;
	struct err err = ERR_INIT;
	int rc = proof ? checkpoint_restore(checkpoint, path, &o, NULL, proof, &err) : -ENOMEM;

	if (rc < 0 && rc != -ENOMEM)
		print_message("# %s\n", err.text);
	return rc;
}

static int keep_pins(void)
{
	AUTO(pins_closep) struct pins *p = NULL;
	struct pin pin;
	int rc = pins_open(chain.store, NULL, NULL, &p, NULL);

	if (rc == 0)
		rc = pins_add(p, chain.network, "one", 3, NULL);
	if (rc == 0)
		rc = pins_next(p, chain.network, "", &pin);
	if (rc == 1)
		rc = pins_remove(p, chain.network, "one", NULL);
	/* One whose removal failed is taken away without faults. */
	if (p && rc < 0) {
		alloc_fault_pause();
		int again = pins_remove(p, chain.network, "one", NULL);

		assert_true(again == 0 || again == -ENOENT);
		alloc_fault_resume();
	}
	return rc == -EIO ? -ENOMEM : rc; /* pins whose book cannot be read say no more */
}

static int watch(void)
{
	AUTO(alerts_freep) struct alerts *a = NULL;
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 20);
	AUTO(events_freep) struct events *events = events_new(64);
	int rc = events ? alerts_new(chain.store, events, NULL, NULL, NULL, &a, NULL) : -ENOMEM;

	return rc < 0 ? rc : metrics_render(chain.store, NULL, &out);
}

/* ---- verbs ---- */

static char last_words[256];

static void hear(void *arg, const char *text, size_t size)
{
	snprintf(last_words, sizeof last_words, "%.*s", (int)size, text);
}

static int call(int (*run)(struct verb_call *), const char *name, const char *const *words,
		const char *const options[OPTION_COUNT])
{
	static atomic_bool stop;
	struct verb verb = { .name = name, .run = run };
	struct verb_io io = { hear, hear, .stop = &stop };
	struct verb_call c = { .verb = &verb, .cwd = "/", .io = &io, .store = chain.store };

	for (; words[c.word_count]; c.word_count++)
		c.words[c.word_count] = words[c.word_count];
	memcpy(c.options, options, sizeof c.options);
	int code = run(&c);

	if (code != EXIT_DONE && code != EXIT_SYSTEM)
		fail_msg("%s ends with %d: %s", name, code, last_words);
	return code == EXIT_DONE ? 0 : -ENOMEM;
}

#define VERB(id, name, extra, ...)                                                                \
	static int call_##id(void)                                                                \
	{                                                                                         \
		const char *const words[] = { chain.path, extra, NULL };                          \
		const char *const options[OPTION_COUNT] = { [OPTION_QUIET] = "", ##__VA_ARGS__ }; \
		return call(verb_##id, name, words, options);                                     \
	}
VERB(status, "status", NULL)
VERB(gaps, "gaps", NULL, [OPTION_JSON] = "")
VERB(verify, "verify", NULL)
VERB(fsck, "fsck", NULL)
VERB(hyper_diff, "hyper diff", NULL, [OPTION_BLOCK] = "3")
VERB(hyper_audit, "hyper audit", NULL)
VERB(hyper_metrics, "hyper metrics", NULL)
VERB(checkpoints, "checkpoints", NULL)
VERB(config_show, "config show", NULL)

/* ---- all of them ---- */

static const struct {
	const char *modules;
	int (*run)(void);
} rows[] = {
	{ "store/network store/view store/segment store/cache store/blocks", read_view_and_blocks },
	{ "store/packed ingest/envelope", read_what_replay_left },
	{ "store/state store/rows store/branch", open_a_state },
	{ "store/store store/db store/lock store/witness base/files", open_the_store },
	{ "store/check", check_everything },
	{ "sync/archive", read_an_archive },
	{ "sync/archive_writer", write_an_archive },
	{ "ingest/pipeline", check_on_a_pipeline },
	{ "ingest/index chain/snapchain", load_a_job },
	{ "ingest/ingest ingest/collect ingest/gate", start_an_ingest },
	{ "ingest/repair ingest/damage ingest/ranges store/commit store/stats", mend_rows },
	{ "fsck/*", walk_a_network },
	{ "fsck/rebuild ingest/place ingest/advance", make_anew },
	{ "checkpoint/build checkpoint/write checkpoint/pack", build_a_checkpoint },
	{ "checkpoint/sums", sum_a_checkpoint },
	{ "checkpoint/sums (mend)", mend_a_checkpoint },
	{ "checkpoint/prove checkpoint/prove_state checkpoint/folder", prove_a_checkpoint },
	{ "checkpoint/restore checkpoint/load", restore_a_store },
	{ "checkpoint/pins", keep_pins },
	{ "control/alerts control/metrics control/events", watch },
	{ "control/verb_status", call_status },
	{ "control/verb_status (gaps) base/json", call_gaps },
	{ "control/verb_verify", call_verify },
	{ "control/verb_fsck", call_fsck },
	{ "control/verb_hyper hyper/span hyper/cuts hyper/report", call_hyper_diff },
	{ "control/verb_hyper hyper/audit", call_hyper_audit },
	{ "control/verb_hyper (metrics)", call_hyper_metrics },
	{ "control/verb_pins", call_checkpoints },
	{ "control/verb_config control/settings", call_config_show },
};

/* What must not change, whatever fails. */
static void expect_unchanged(void)
{
	AUTO(view_putp) struct view *v = network_view_get(chain.network);

	for (uint32_t s = 0; s < v->shard_count; s++) {
		assert_int_equal(v->shards[s].tip, HEIGHTS);
		assert_int_equal(v->shards[s].replayed, HEIGHTS);
		assert_int_equal(gaps_held(&v->shards[s].gaps), HEIGHTS);
	}
}

static void whatever_allocation_fails_nothing_breaks(void **state)
{
	uint64_t all = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t runs = 0, met = 1;

		for (uint64_t nth = 0; met; nth += nth < 64 ? 1 : nth / 16) {
			alloc_fault_at(nth);
			int rc = rows[i].run();

			met = alloc_fault_met();
			alloc_fault_at(ALLOC_FAULT_NONE);
			runs++;
			if (rc != 0 && (rc != -ENOMEM || !met))
				fail_msg("%s, allocation %" PRIu64 ": %d", rows[i].modules, nth,
					 rc);
			expect_unchanged();
		}
		all += runs;
		print_message("# %-72s %5" PRIu64 "\n", rows[i].modules, runs);
	}
	print_message("# %zu rows, %" PRIu64 " runs with a failing allocation\n", ARRAY_LEN(rows),
		      all);
}

static void copy_closed_store(const char *name)
{
	char command[512];

	snprintf(command, sizeof command, "cp -r %s %s/%s && rm -f %s/%s/reserve", chain.path,
		 scratch, name, scratch, name);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_allocation_fails_nothing_breaks),
	};
	struct store_options options = { .holder = "test",
					 .sync_off = true,
					 .cache_size = 1u << 20 };
	struct build_progress progress = { 0 };
	struct err err = ERR_INIT;
	char name[CHECKPOINT_NAME_SIZE];

	if (sign_init() < 0)
		return 1;
	trace_set_sink(fixture_silence, NULL);
	fixture_folder(scratch);
	chain_open(&chain, ARCHIVE);
	for (uint32_t s = 3; s-- > 0;)
		chain_feed(&chain, s, 1, HEIGHTS, s == 2 ? 1 : -1);
	store_closep(&chain.store);
	copy_closed_store("closed");
	copy_closed_store("anew");
	must(store_open(chain.path, &options, &chain.store, &err), &err);
	chain.network = store_network_at(chain.store, 0);
	snprintf(checkpoints_folder, sizeof checkpoints_folder, "%s/checkpoints", scratch);
	snprintf(pins_folder, sizeof pins_folder, "%s/networks/net/pins", chain.path);
	mkdir(checkpoints_folder, 0700);
	must(checkpoint_build(chain.network, HEIGHTS, checkpoints_folder, true, &progress, NULL,
			      name, &err),
	     &err);
	snprintf(checkpoint, sizeof checkpoint, "%s/%s", checkpoints_folder, name);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	chain_release(&chain);
	fixture_remove(scratch);
	return failed;
}
