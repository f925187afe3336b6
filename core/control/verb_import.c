/* chainfs import: an archive into a store, resumable at any moment. */
#include <stdio.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/control/parameters.h"
#include "core/control/verb.h"
#include "core/ingest/ingest.h"
#include "core/ingest/pipeline.h"
#include "core/sync/archive.h"

#define PATH_SIZE       4096
#define PROGRESS_TTY_MS 200u
#define PROGRESS_MS     5000u
#define DISK_STEP       (64u << 10)

struct import { /* one import */
	struct verb_call *call;
	struct network   *network;
	const struct chain_ops *ops;
	struct archive   *archive;
	struct turn       turn;
	struct ingest    *ingest;
	struct range      wanted[SHARD_MAX];   /* half-open; everything by default */
	uint64_t          expected[SHARD_MAX]; /* height that should come next in the stream */
	bool              ended[SHARD_MAX];
	uint64_t          skipped;             /* held already: not checked again */
	uint64_t          stream_faults;       /* streams that broke off */
	uint64_t          started_ms, shown_ms;
	uint64_t          unlooked; /* bytes until the store is measured again */
};

/* ---- ranges ---- */

/* What the newest main block at or below `height` witnesses of the other shards: zeros when the
 * archive has no such block. */
static int witness_cut(struct import *im, uint64_t height, uint64_t out[SHARD_MAX], struct err *err)
{
	AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf newest = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_peek peek;
	memset(out, 0, SHARD_MAX * sizeof *out);
	int rc = archive_rewind(im->archive, 0, err);
	while (rc == 0 && (rc = archive_next(im->archive, 0, &message, err)) == 1) {
		rc = verb_stopped(im->call) ? err_set(err, -EINTR, "interrupted; nothing was begun")
					    : 0;
		if (im->ops->peek(buf_slice(&message), true, &peek, NULL) < 0)
			continue;
		if (peek.height > height)
			break;
		struct buf older = newest;
		newest = message;
		message = older;
	}
	if (rc == 0)
		rc = archive_rewind(im->archive, 0, err);
	if (rc < 0 || !newest.n)
		return rc;

	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, -ENOMEM, "no memory to read the range of the other shards");
	job->received = newest;
	newest = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	job_check(im->ops, network_params(im->network), job);
	if (job->rc < 0)
		return err_set(err, job->rc,
			       "main block %" PRIu64
			       " would tell the range of the other shards, but: %.300s",
			       height, err_text(&job->err, job->rc));
	for (size_t i = 0; i < job->block->witness_count; i++) {
		const struct chain_witness *wit = &job->block->witnesses[i];
		if (wit->shard < SHARD_MAX)
			out[wit->shard] = wit->height;
	}
	return 0;
}

/* A range of main heights says which heights of the other shards belong to it: those that its
 * blocks witness and the block below it does not. */
static int choose_ranges(struct import *im, struct err *err)
{
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		im->wanted[s] = (struct range){ 1, UINT64_MAX };
	if (!verb_has(im->call, OPTION_RANGE))
		return 0;
	bool has_shard = false;
	uint32_t shard = 0;
	struct range range;
	int rc = verb_range(im->call, &has_shard, &shard, &range, err);
	if (rc < 0)
		return rc;
	uint64_t below[SHARD_MAX], last[SHARD_MAX];
	if (!has_shard) {
		rc = witness_cut(im, range.first - 1, below, err);
		if (rc == 0)
			rc = witness_cut(im, range.end - 1, last, err);
		if (rc < 0)
			return rc;
	}
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		if (has_shard)
			im->wanted[s] = s == shard ? range : (struct range){ 0, 0 };
		else
			im->wanted[s] =
				s == 0 ? range : (struct range){ below[s] + 1, last[s] + 1 };
	}
	return 0;
}

/* ---- submitting ---- */

static void progress(struct import *im, bool last)
{
	struct verb_call *c = im->call;
	uint64_t now = clock_mono_ms(), all = archive_bytes(im->archive),
		 done = archive_bytes_read(im->archive);
	if (verb_has(c, OPTION_QUIET) ||
	    (!last && now - im->shown_ms < (c->io->terminal ? PROGRESS_TTY_MS : PROGRESS_MS)))
		return;
	im->shown_ms = now;
	struct ingest_totals t;
	ingest_totals(im->ingest, &t);
	double seconds = (double)(now - im->started_ms) / 1000,
	       share = all ? (double)done / (double)all : 1;
	char eta[32] = "";
	if (!last && share > 0.01)
		snprintf(eta, sizeof eta, ", %.0f s left", seconds * (1 - share) / share);
	verb_say(c, "%s%s: %3.0f%%, %" PRIu64 " blocks, %" PRIu64 " items, %.0f items/s%s%s",
		 c->io->terminal ? "\r\033[K" : "", network_name(im->network), share * 100,
		 t.blocks, t.items, seconds > 0 ? (double)t.items / seconds : 0, eta,
		 c->io->terminal && !last ? "" : "\n");
}

/* Measuring a store walks its folder, so it is done again when a quarter of what was left was
 * submitted: a store takes less than four times what it is given. */
static int check_disk(struct import *im, struct err *err)
{
	const struct settings *s = im->call->settings;
	uint64_t most = settings_number(s, SETTING_LIMITS_DISK);
	if (!most)
		im->unlooked = UINT64_MAX;
	if (im->unlooked)
		return 0;
	uint64_t size = store_size(im->call->store);
	if (size >= most)
		return err_set(err, -ENOSPC,
			       "%s is %" PRIu64 " bytes, and limits.disk is %s (%s); what was "
			       "taken so far is kept",
			       store_path(im->call->store), size,
			       settings_text(s, SETTING_LIMITS_DISK),
			       settings_origin(s, SETTING_LIMITS_DISK));
	im->unlooked = MAX((most - size) / 4, (uint64_t)DISK_STEP);
	return 0;
}

/* Is this the network's first import? The setting is for those alone. */
static bool is_new(struct network *n)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	for (uint32_t s = 0; s < v->shard_count; s++)
		if (v->shards[s].known || v->shards[s].hyper_on)
			return false;
	return true;
}

/* True when the store holds this very block already. */
static bool is_held(struct import *im, const struct view *v, const struct chain_peek *peek)
{
	struct block_row row;
	return peek->shard < v->shard_count &&
	       gaps_has(&v->shards[peek->shard].gaps, peek->height) && peek->hash.n == HASH_SIZE &&
	       network_block(im->network, peek->shard, peek->height, &row) == 1 &&
	       memcmp(row.hash, peek->hash.p, HASH_SIZE) == 0;
}

/* One message of a shard's stream: 1 done, 0 the stream has ended or broken off, negative. */
static int submit_one(struct import *im, const struct view *held, uint32_t shard, struct err *err)
{
	AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	int rc = archive_next(im->archive, shard, &message, &why);
	if (rc < 0) {
		verb_say(im->call, "%s%s; what came before it is kept\n",
			 im->call->io->terminal ? "\r\033[K" : "", why.text);
		im->stream_faults++;
	}
	if (rc <= 0)
		return 0;
	struct chain_peek peek = { 0 };
	uint64_t expected = im->expected[shard];
	bool known = im->ops->peek(buf_slice(&message), shard == 0, &peek, NULL) == 0 &&
		     peek.shard == shard;
	uint64_t height = known ? peek.height : expected;
	im->expected[shard] = height + 1;
	if (height >= im->wanted[shard].end) /* streams ascend, also where one message is damaged */
		return 0;
	if (height < im->wanted[shard].first)
		return 1;
	if (known && is_held(im, held, &peek)) {
		im->skipped++;
		return 1;
	}
	im->unlooked -= MIN(im->unlooked, message.n);
	rc = ingest_submit(im->ingest, shard, expected, &message, err);
	return rc < 0 ? rc : 1;
}

/* Said from here, because who waits for room in the pipeline says nothing. */
static int wait_for_gate(struct import *im, struct err *err)
{
	return verb_wait(im->call, im->network ? network_name(im->network) : "import", err);
}

static int submit_all(struct import *im, struct err *err)
{
	AUTO(view_putp) struct view *held = network_view_get(im->network);
	uint32_t open = archive_shards(im->archive);
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		im->ended[s] = s >= open || !archive_has(im->archive, s);
		im->expected[s] = 1;
	}
	for (bool any = true; any;) {
		any = false;
		for (uint32_t s = 0; s < open; s++) {
			if (im->ended[s])
				continue;
			int rc = wait_for_gate(im, err);
			if (rc == 0)
				rc = submit_one(im, held, s, err);
			if (rc < 0)
				return rc;
			im->ended[s] = rc == 0;
			any |= rc > 0;
		}
		progress(im, false);
		int rc = check_disk(im, err);
		if (rc < 0)
			return rc;
		if (verb_stopped(im->call))
			return err_set(err, -EINTR,
				       "interrupted; the same command goes on from here");
	}
	return 0;
}

static void report(struct import *im, const struct ingest_totals *t, const char *outcome)
{
	struct verb_call *c = im->call;
	AUTO(view_putp) struct view *v = network_view_get(im->network);
	uint64_t missing = 0;
	for (uint32_t s = 0; s < v->shard_count; s++)
		missing += v->shards[s].known - gaps_held(&v->shards[s].gaps);
	double seconds = (double)(clock_mono_ms() - im->started_ms) / 1000;
	if (!verb_has(c, OPTION_JSON)) {
		verb_print(c,
			   "%s: %" PRIu64 " blocks with %" PRIu64 " items taken, %" PRIu64
			   " held already, %" PRIu64 " refused, %" PRIu64
			   " heights missing, %.2f s\n",
			   network_name(im->network), t->blocks, t->items, t->held + im->skipped,
			   t->refused, missing, seconds);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_u64(&j, "blocks", t->blocks);
	json_u64(&j, "bytes", t->bytes);
	json_u64(&j, "commits", t->commits);
	json_u64(&j, "held", t->held + im->skipped);
	json_u64(&j, "items", t->items);
	json_u64(&j, "milliseconds", clock_mono_ms() - im->started_ms);
	json_u64(&j, "missing", missing);
	json_str(&j, "network", network_name(im->network));
	json_str(&j, "outcome", outcome);
	json_u64(&j, "refused", t->refused);
	json_u64(&j, "replayed", t->replayed);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

static void import_release(struct import *im)
{
	ingest_freep(&im->ingest);
	turn_release(&im->turn);
	archive_closep(&im->archive);
}

/* The network's parameters can be had. A pipe can be read once alone, and is not looked into. */
static int check_parameters(struct verb_call *c, const struct archive *a, struct err *err)
{
	AUTO(parameters_release) struct parameters p = PARAMETERS_INIT;
	const char *config = c->options[OPTION_CONFIG];
	char path[PATH_SIZE];
	struct stat st;
	int rc = config ? verb_path(c, config, path, sizeof path) : 0;
	if (rc == 0 && config && stat(path, &st) == 0 && !S_ISREG(st.st_mode) &&
	    !S_ISDIR(st.st_mode))
		return 0;
	return rc < 0 ? rc : parameters_choose(c, "archive", archive_config(a), &p, err);
}

int verb_import_check(struct verb_call *c)
{
	AUTO(archive_closep) struct archive *a = NULL;
	struct err err = ERR_INIT;
	char path[PATH_SIZE];
	struct range range;
	bool has_shard, hyper = false;
	uint32_t shard;
	unsigned checkers;
	/* What is wrong with the command line is said before a store is made. */
	int rc = verb_range(c, &has_shard, &shard, &range, &err);
	if (rc == 0)
		rc = verb_checkers(c, &checkers, &err);
	if (rc == 0)
		rc = verb_hyper(c, &hyper, &err);
	if (rc == 0)
		rc = verb_path(c, c->words[1], path, sizeof path);
	if (rc == 0)
		rc = archive_open(path, &a, &err);
	if (rc == 0)
		rc = check_parameters(c, a, &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

/* A new network is made behind the gate, as all that is written. */
static int find_network(struct import *im, struct err *err)
{
	struct verb_call *c = im->call;
	int rc = wait_for_gate(im, err);
	if (rc == 0)
		rc = gate_enter(c->gate, c->io->stop);
	if (rc < 0)
		return rc;
	rc = parameters_network(c, archive_config(im->archive), &im->network, err);
	gate_leave(c->gate);
	return rc;
}

/* What it is of, where it goes, and whether it may. */
static int begin(struct import *im, struct err *err)
{
	struct verb_call *c = im->call;
	char path[PATH_SIZE];
	int rc = verb_path(c, c->words[1], path, sizeof path);
	if (rc == 0)
		rc = archive_open(path, &im->archive, err);
	if (rc == 0)
		rc = store_space(c->store, err);
	if (rc == 0)
		rc = check_disk(im, err);
	if (rc == 0)
		rc = find_network(im, err);
	if (rc < 0)
		return rc;
	im->ops = network_ops(im->network);
	return choose_ranges(im, err);
}

int verb_import(struct verb_call *c)
{
	AUTO(import_release) struct import im = { .call = c, .started_ms = clock_mono_ms() };
	struct err err = ERR_INIT;
	unsigned checkers = 0;
	bool hyper = settings_number(c->settings, SETTING_HYPER_ENABLED);
	int rc = verb_checkers(c, &checkers, &err);
	if (rc == 0)
		rc = verb_hyper(c, &hyper, &err);
	if (rc == 0)
		rc = begin(&im, &err);
	struct ingest_options o = {
		.checkers = checkers,
		.allow_uncommitted = verb_has(c, OPTION_ALLOW_UNCOMMITTED),
		.events = c->events,
		.gate = c->gate,
		.stop = c->io->stop,
		.commit_ms = settings_number(c->settings, SETTING_IMPORT_COMMIT),
		.history_keep = settings_number(c->settings, SETTING_HISTORY_KEEP),
	};
	if (rc == 0) {
		verb_turn(c, im.network, &im.turn);
		rc = ingest_start(im.network, &o, &im.ingest, &err);
	}
	if (rc == 0 && (verb_has(c, OPTION_HYPER) || (hyper && is_new(im.network))))
		rc = ingest_set_hyper(im.ingest, hyper, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);

	rc = submit_all(&im, &err);
	if (rc == 0)
		rc = wait_for_gate(&im, &err);
	struct err end = ERR_INIT;
	int finished = ingest_finish(im.ingest, &end);
	if (finished < 0) {
		rc = finished;
		err = end;
	}
	struct ingest_totals t;
	ingest_totals(im.ingest, &t);
	if (rc == 0 && verb_has(c, OPTION_RANGE) && !t.blocks && !t.held && !t.refused &&
	    !im.skipped)
		rc = err_set(&err, -ENODATA, "the archive holds no height of --range %s",
			     c->options[OPTION_RANGE]);
	progress(&im, true);
	report(&im, &t, rc == -EINTR ? "interrupted" : rc < 0 ? "stopped" : "done");
	if (rc < 0)
		return verb_fail(c, rc, &err);
	return t.refused || im.stream_faults ? EXIT_FAULTS : EXIT_DONE;
}
