#include "core/ingest/ingest.h"

#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/control/metrics.h"
#include "core/control/trust_orders.h"
#include "core/ingest/writer.h"

#define RUN_BYTES_MAX  (24u << 20) /* memory of a run before it is committed */
#define RUN_MS_MAX     1000u       /* age of a run: what a reader waits for at most */
#define RUN_MS_NEAR    10u         /* the same while tips come: one may have to wait for its commit */
#define RUN_MS_SLOW    100u        /* the same where a commit takes long: as long as the last one did */
#define COLLECT_MS_MAX 2000u     /* spent on old states after the last block */
#define NEAR_MS        5000u       /* since the last one, that is */
#define IDLE_MS        20u         /* nothing came for so long: commit what there is */
#define HURRY_MS       2u          /* a tip is committed so soon: others may come with it */
#define LOOK_MS        250u        /* while nothing comes: at what readers found damaged */

struct ingest {
	struct writer    writer;
	struct pipeline *pipeline;
	pthread_t        thread;
	bool             started;
	struct patience  patience; /* the submitter's */

	pthread_mutex_t  ingest_lock; /* guards the rest; a leaf */
	struct ingest_totals totals;
	int              failed;
	struct err       why;
};

int writer_enter(struct writer *w, struct err *err)
{
	if (w->inside)
		return 0;
	int rc = gate_enter(w->options.gate, w->options.stop);
	if (rc < 0)
		return err_set(err, rc, "interrupted while writing is held back");
	w->inside = true;
	return 0;
}

void writer_leave(struct writer *w)
{
	if (w->inside)
		gate_leave(w->options.gate);
	w->inside = false;
}

int writer_open(struct writer *w, struct network *n, const struct ingest_options *o,
		struct err *err)
{
	w->network = n;
	w->ops = network_ops(n);
	w->options = *o;
	int rc = commit_new(n, &w->commit);
	if (rc == -EBUSY)
		return err_set(err, rc, "network %s: another import is writing it",
			       network_name(n));
	if (rc == -ENOSPC)
		return err_set(err, rc,
			       "network %s: its store was opened for reading alone, because the "
			       "disk was full",
			       network_name(n));
	if (rc == -EROFS)
		return err_set(err, rc,
			       "network %s: its store is on a file system that is read-only",
			       network_name(n));
	if (rc < 0)
		return err_set(err, rc, "network %s: no memory for a batch", network_name(n));
	rc = trust_load(network_folder(n), &w->trust, err);
	if (rc < 0)
		return rc;
	struct view *v = commit_view(w->commit);
	for (uint32_t s = 0; s < v->shard_count; s++) {
		rc = state_open(n, s, UINT64_MAX, &w->shards[s].state, err);
		if (rc == 0)
			rc = w->ops->replay_new(network_params(n), s, &w->shards[s].replay, err);
		if (rc < 0)
			return err_note(err, rc, "network %s: shard %u", network_name(n), s);
		/* A base of just now, and nobody there yet who dropped what an earlier one had. */
		w->shards[s].purge = v->shards[s].hyper_on && v->shards[s].replayed > 0 &&
				    v->shards[s].base_height == v->shards[s].replayed &&
				    v->shards[s].retained == 0;
	}
	/* The submitter skips what the newest view says is held. */
	rc = writer_take_damage(w, err);
	if (rc < 0 || !w->dirty)
		return rc;
	rc = writer_enter(w, err);
	if (rc == 0)
		rc = writer_commit(w, err);
	writer_leave(w);
	return rc;
}

void writer_release(struct writer *w)
{
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		if (w->shards[s].replay)
			w->ops->replay_free(w->shards[s].replay);
		w->shards[s].replay = NULL;
		state_freep(&w->shards[s].state);
	}
	commit_freep(&w->commit);
	ranges_release(&w->ranges);
	links_release(&w->links);
	trust_release(&w->trust);
	free(w->reports);
	w->reports = NULL;
	w->report_count = w->report_cap = 0;
}

int writer_report(struct writer *w, const struct ingest_report *r)
{
	if (!w->options.report || (!r->tag && r->fate != FATE_LOST))
		return 0;
	if (base_grow(&w->reports, &w->report_cap, w->report_count + 1, sizeof *w->reports) < 0)
		return -ENOMEM;
	w->reports[w->report_count++] = *r;
	return 0;
}

int writer_lost(struct writer *w, const struct block_row *row, bool damaged, bool named,
		const char *sentence)
{
	struct ingest_report r = {
		.fate = FATE_LOST, .shard = row->shard, .height = row->height, .names_account = named
	};

	if (!damaged) {
		memcpy(r.hash, row->hash, HASH_SIZE);
		memcpy(r.digest, row->digest, BLOCK_DIGEST_SIZE);
	}
	snprintf(r.sentence, sizeof r.sentence, "%s", sentence);
	return writer_report(w, &r);
}

static void tell_reports(struct writer *w)
{
	if (w->report_count)
		w->options.report(w->options.report_arg, w->reports, w->report_count);
	w->report_count = 0;
}

bool writer_run_full(const struct writer *w, uint64_t now_ms)
{
	size_t bytes = commit_bytes_held(w->commit);
	uint64_t run_ms = w->options.commit_ms ? w->options.commit_ms : RUN_MS_MAX;
	if (w->urgent_ms && now_ms < w->urgent_ms + NEAR_MS)
		run_ms = MIN(run_ms, MIN(MAX(w->commit_took_ms, RUN_MS_NEAR), RUN_MS_SLOW));
	if (w->hurry_ms && now_ms >= w->hurry_ms)
		return true;
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		bytes += w->shards[s].state ? state_run_bytes(w->shards[s].state) : 0;
	return bytes > RUN_BYTES_MAX || (w->dirty && now_ms - w->run_started_ms > run_ms);
}

static void add_totals(struct ingest_totals *to, const struct ingest_totals *more)
{
	to->blocks += more->blocks;
	to->held += more->held;
	to->refused += more->refused;
	to->replayed += more->replayed;
	to->items += more->items;
	to->bytes += more->bytes;
}

/* For who has to know to the moment what was acknowledged: a line for each shard. */
static void tell_committed(const struct writer *w)
{
	if (trace_get_level() < TRACE_DEBUG)
		return;
	AUTO(view_putp) struct view *v = network_view_get(w->network);
	for (uint32_t s = 0; s < v->shard_count; s++)
		trace_debug("ingest", "acknowledged",
			    "network=%s shard=%u held=%" PRIu64 " replayed=%" PRIu64,
			    network_name(w->network), s, gaps_held(&v->shards[s].gaps),
			    v->shards[s].replayed);
}

/* The last block of a set of signers is what later ones are trusted by: it is written down as a
 * checkpoint with its certificate. It is no loss of the import when that fails. */
static void record_borders(struct writer *w)
{
	for (size_t i = 0; i < w->border_count; i++) {
		AUTO(buf_release) struct buf said = BUF_INIT(1u << 16);
		struct err err = ERR_INIT;
		struct trust_order o = {
			.network = w->network, .events = w->options.events, .said = &said
		};
		int rc = trust_order_add(&o, 0, w->borders[i], SLICE_EMPTY, &err);

		if (rc < 0)
			trace_warn("ingest", "the end of a set of signers is not written down",
				   "network=%s height=%" PRIu64 " error=\"%s\"",
				   network_name(w->network), w->borders[i], err_text(&err, rc));
	}
	w->border_count = 0;
}

int writer_commit(struct writer *w, struct err *err)
{
	if (w->dirty) {
		int rc = 0;
		for (uint32_t s = 0; s < SHARD_MAX && rc == 0; s++)
			if (w->shards[s].state)
				rc = commit_state(w->commit, w->shards[s].state);
		if (rc == 0)
			rc = ranges_commit(&w->ranges, w->network, w->commit);
		if (rc < 0)
			return err_set(err, rc, "network %s: the batch cannot be built: %s",
				       network_name(w->network), strerror(-rc));
		uint64_t began_ms = clock_mono_ms();
		rc = commit_apply(w->commit, err);
		if (rc < 0)
			return err_note(err, rc, "network %s", network_name(w->network));
		w->commit_took_ms = clock_mono_ms() - began_ms;
		links_clear(&w->links);
		w->totals.commits++;
		tell_committed(w);
		metrics_add(COUNTER_COMMITS, 1);
		w->committed = true;
	}
	record_borders(w);
	/* What was decided meanwhile holds from the next run on. */
	int trusted = trust_refresh(network_folder(w->network), &w->trust, err);
	if (trusted < 0)
		return trusted;
	metrics_add(COUNTER_BLOCKS_IMPORTED, w->pending.blocks);
	metrics_add(COUNTER_BLOCKS_REFUSED, w->pending.refused);
	add_totals(&w->totals, &w->pending);
	w->pending = (struct ingest_totals){ 0 };
	w->dirty = false;
	w->hurry_ms = 0;
	/* A block that is placed now is reported when its own rows are committed: what is told here
	 * was placed before. */
	tell_reports(w);
	return 0;
}

/* After what was committed: old states go with the next batch, which follows at once when no block
 * comes. */
static int collect_step(struct writer *w, struct err *err)
{
	if (!w->committed)
		return 0;
	w->committed = false;
	int rc = writer_collect(w, err);
	if (rc == 1)
		w->run_started_ms = clock_mono_ms();
	return MIN(rc, 0);
}

static bool is_behind(const struct writer *w)
{
	for (uint32_t s = 0; s < commit_view(w->commit)->shard_count; s++)
		if (writer_is_behind(w, s))
			return true;
	return false;
}

/* A slice of what waits to be replayed, of each shard. */
static int go_on(struct writer *w, struct err *err)
{
	int rc = 0;

	for (uint32_t s = 0; rc == 0 && s < commit_view(w->commit)->shard_count; s++)
		rc = writer_advance(w, s, err);
	return rc;
}

static bool is_stopped(const struct writer *w)
{
	return w->options.stop && atomic_load(w->options.stop);
}

/* For the next block, with what the run holds by now. */
static unsigned wait_ms_of(const struct writer *w, bool behind)
{
	uint64_t now_ms = clock_mono_ms();

	if (behind)
		return 0;
	if (w->hurry_ms)
		return w->hurry_ms > now_ms ? (unsigned)(w->hurry_ms - now_ms) : 0;
	return w->inside ? IDLE_MS : LOOK_MS;
}

static void *ingest_thread(void *arg)
{
	struct ingest *in = arg;
	struct writer *w = &in->writer;
	struct err err = ERR_INIT;
	bool closed = false, behind = is_behind(w);
	int rc = 0;
	/* Who is stopped leaves what waits to the next one. */
	while (rc == 0 && !(closed && (!behind || is_stopped(w)))) {
		AUTO(job_freep) struct job *job = pipeline_take(in->pipeline, wait_ms_of(w, behind), &closed);
		bool look = !job && !closed && !w->inside && w->options.report &&
			    !gate_closing(w->options.gate);
		if (job || look || behind)
			rc = writer_enter(w, &err);
		if (job && rc == 0) {
			uint64_t now_ms = clock_mono_ms();
			if (!w->dirty)
				w->run_started_ms = now_ms;
			if (job->urgent)
				w->urgent_ms = now_ms;
			if (job->urgent && !w->hurry_ms)
				w->hurry_ms = now_ms + HURRY_MS;
			rc = writer_place(w, job, &err);
		}
		bool closing = gate_closing(w->options.gate);
		if (rc == 0 && w->inside && !closing && !is_stopped(w))
			rc = go_on(w, &err);
		behind = is_behind(w);
		if (rc == 0 && w->inside &&
		    ((!job && !behind) || closing || writer_run_full(w, clock_mono_ms()))) {
			rc = writer_take_damage(w, &err);
			if (rc == 0)
				rc = writer_commit(w, &err);
			if (rc == 0 && !closing)
				rc = collect_step(w, &err);
		}
		if (!w->dirty && (closing || (!job && !closed)))
			writer_leave(w);
		LOCKED(&in->ingest_lock);
		in->totals = w->totals;
		if (rc < 0) {
			in->failed = rc;
			in->why = err;
		}
	}
	if (rc < 0)
		writer_leave(w);
	if (rc < 0 && rc != -EINTR) {
		trace_error("ingest", "stopped; what was acknowledged is kept",
			    "network=%s error=\"%s\"", network_name(w->network),
			    err_text(&err, rc));
	}
	if (rc < 0)
		pipeline_close(in->pipeline);
	return NULL;
}

static int start_thread(struct ingest *in, struct err *err)
{
	if (in->started)
		return 0;
	int rc = pthread_create(&in->thread, NULL, ingest_thread, in);
	if (rc)
		return err_set(err, -rc, "no thread to ingest with: %s", strerror(rc));
	in->started = true;
	return 0;
}

int ingest_start(struct network *n, const struct ingest_options *o, struct ingest **out,
		 struct err *err)
{
	AUTO(ingest_freep) struct ingest *in = calloc(1, sizeof *in);
	if (!in)
		return err_set(err, -ENOMEM, "no memory to ingest");
	pthread_mutex_init(&in->ingest_lock, NULL);
	int rc = writer_open(&in->writer, n, o, err);
	if (rc < 0)
		return rc;
	rc = pipeline_new(network_ops(n), network_params(n), o->checkers, &in->pipeline);
	if (rc == 0 && o->report)
		rc = pipeline_yield(in->pipeline);
	if (rc < 0)
		return err_set(err, rc, "no threads to check blocks with: %s", strerror(-rc));
	/* Who follows may get nothing for long; an import that gets nothing goes on at its end. */
	if (o->report && is_behind(&in->writer))
		rc = start_thread(in, err);
	if (rc == 0)
		*out = TAKE(in);
	return rc;
}

int ingest_set_hyper(struct ingest *in, bool on, struct err *err)
{
	struct writer *w = &in->writer;
	struct view *v = commit_view(w->commit);
	int rc = writer_enter(w, err);
	if (rc < 0)
		return rc;
	for (uint32_t s = 0; s < v->shard_count; s++) {
		struct shard_view *sv = &v->shards[s];
		if (sv->hyper_on == on)
			continue;
		sv->hyper_on = on;
		w->dirty = true;
		if (on) {
			sv->base_height = sv->replayed;
			sv->base_root_size = sv->legacy.root_size;
			memcpy(sv->base_root, sv->legacy.root, sizeof sv->base_root);
			sv->hyper = sv->legacy;
			sv->retained = 0;
			w->shards[s].purge = sv->replayed > 0;
		}
	}
	rc = writer_commit(w, err);
	writer_leave(w);
	return rc;
}

/* Takes the job over. */
static int put_job(struct ingest *in, struct job *job, struct err *err)
{
	int rc = pipeline_put(in->pipeline, job);
	if (rc == 0)
		return 0;
	LOCKED(&in->ingest_lock);
	return err_set(err, in->failed ? in->failed : rc, "%s",
		       in->failed ? in->why.text : "ingest has stopped");
}

int ingest_submit(struct ingest *in, uint32_t shard, uint64_t expected, struct buf *received,
		  struct err *err)
{
	int rc = start_thread(in, err);
	if (rc < 0)
		return rc;
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, -ENOMEM, "no memory for a block of %zu bytes", received->n);
	job->shard = shard;
	job->expected = expected;
	job->received = *received;
	*received = (struct buf)BUF_INIT(received->size_max);
	return put_job(in, job, err);
}

int ingest_try_submit(struct ingest *in, uint32_t shard, uint64_t expected, uint64_t tag,
		      bool urgent, struct buf *received, struct err *err)
{
	int rc = start_thread(in, err);
	if (rc < 0)
		return rc;
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	if (!job)
		return err_set(err, -ENOMEM, "no memory for a block of %zu bytes", received->n);
	job->shard = shard;
	job->expected = expected;
	job->tag = tag;
	job->urgent = urgent;
	job->received = *received;
	rc = pipeline_try_put(in->pipeline, job);
	if (rc == 0) {
		TAKE(job);
		*received = (struct buf)BUF_INIT(received->size_max);
		return 0;
	}
	job->received = (struct buf)BUF_INIT(0);
	if (rc == -EAGAIN)
		return rc;
	LOCKED(&in->ingest_lock);
	return err_set(err, in->failed ? in->failed : rc, "%s",
		       in->failed ? in->why.text : "ingest has stopped");
}

void ingest_await(struct ingest *in, unsigned for_ms)
{
	pipeline_await(in->pipeline, patience_until(&in->patience, clock_mono_ms(), for_ms));
}

int ingest_submit_split(struct ingest *in, uint32_t shard, uint64_t height, struct slice canonical,
			struct slice certificate, struct err *err)
{
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	int rc = start_thread(in, err);
	if (rc < 0)
		return rc;
	if (job) {
		job->shard = shard;
		job->expected = height;
		job->canonical.size_max = job->certificate.size_max = BLOCK_SIZE_MAX;
		buf_add(&job->canonical, canonical);
		buf_add(&job->certificate, certificate);
	}
	if (!job || buf_done(&job->canonical) < 0 || buf_done(&job->certificate) < 0)
		return err_set(err, -ENOMEM, "no memory for a block of %zu bytes", canonical.n);
	return put_job(in, TAKE(job), err);
}

int ingest_finish(struct ingest *in, struct err *err)
{
	if (!in->started && is_behind(&in->writer)) {
		int rc = start_thread(in, err);

		if (rc < 0)
			return rc;
	}
	pipeline_close(in->pipeline);
	if (in->started)
		pthread_join(in->thread, NULL);
	in->started = false;
	if (in->failed)
		return err_set(err, in->failed, "%s", in->why.text);
	struct writer *w = &in->writer;
	int rc = writer_commit(w, err);
	uint64_t until = clock_mono_ms() + COLLECT_MS_MAX;
	/* What is left over, or held back by the gate, goes with the next import. */
	w->committed = w->options.history_keep != 0;
	if (rc == 0 && w->committed && !gate_closing(w->options.gate))
		rc = writer_enter(w, err);
	while (rc == 0 && w->inside && w->committed && clock_mono_ms() < until) {
		rc = collect_step(w, err);
		if (rc == 0)
			rc = writer_commit(w, err);
	}
	writer_leave(w);
	in->totals = w->totals;
	if (rc == 0 && is_stopped(w) && is_behind(w))
		return err_set(err, -EINTR,
			       "interrupted; blocks that are held wait to be replayed, and the same "
			       "command goes on with them");
	return rc;
}

void ingest_totals(struct ingest *in, struct ingest_totals *out)
{
	LOCKED(&in->ingest_lock);
	*out = in->totals;
}

void ingest_freep(struct ingest **out)
{
	struct ingest *in = *out;
	if (!in)
		return;
	if (in->pipeline)
		pipeline_close(in->pipeline);
	if (in->started)
		pthread_join(in->thread, NULL);
	pipeline_freep(&in->pipeline);
	writer_release(&in->writer);
	pthread_mutex_destroy(&in->ingest_lock);
	free(in);
	*out = NULL;
}
