/* chainfs export: what a store holds, as an archive that import reads. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/control/verb.h"
#include "core/ingest/pipeline.h"
#include "core/store/network.h"
#include "core/sync/archive.h"
#include "core/sync/archive_writer.h"

#define PATH_SIZE       4096
#define PROGRESS_TTY_MS 200u
#define PROGRESS_MS     5000u

struct export
{ /* one export */
	struct verb_call *call;
	struct network *network;
	struct view *view; /* as of which it is held */
	struct archive_writer *writer;
	struct range wanted[SHARD_MAX]; /* half-open */
	uint64_t blocks, damaged, all;
	uint64_t started_ms, shown_ms;
};

static void export_release(struct export *x)
{
	archive_writer_closep(&x->writer);
	view_putp(&x->view);
}

/* ---- what ---- */

/* What the newest main block held at or below `height` witnesses of the other shards; zeros when
 * there is none. */
static int witness_cut(struct export *x, uint64_t height, uint64_t out[SHARD_MAX], struct err *err)
{
	const struct gaps *g = &x->view->shards[0].gaps;
	struct block_row row;
	memset(out, 0, SHARD_MAX * sizeof *out);
	size_t at = gaps_range_at(g, height);
	if (at == g->held_count || g->held[at].first > height) {
		if (at == 0)
			return 0;
		height = g->held[at - 1].end - 1;
	}
	int rc = network_block(x->network, 0, height, &row);
	if (rc < 0)
		return err_set(err, rc, "main block %" PRIu64 ": %s", height, strerror(-rc));
	for (uint32_t i = 0; rc == 1 && i < row.witness_count; i++)
		if (row.witnesses[i].shard < SHARD_MAX)
			out[row.witnesses[i].shard] = row.witnesses[i].height;
	return 0;
}

static int choose(struct export *x, struct err *err)
{
	uint64_t below[SHARD_MAX] = { 0 }, last[SHARD_MAX] = { 0 };
	bool given = verb_has(x->call, OPTION_RANGE), has_shard;
	struct range range;
	uint32_t shard;
	int rc = verb_range(x->call, &has_shard, &shard, &range, err);
	if (rc == 0 && given && !has_shard)
		rc = witness_cut(x, range.first - 1, below, err);
	if (rc == 0 && given && !has_shard)
		rc = witness_cut(x, range.end - 1, last, err);
	for (uint32_t s = 0; rc == 0 && s < x->view->shard_count; s++) {
		const struct gaps *g = &x->view->shards[s].gaps;
		struct range *r = &x->wanted[s];
		*r = range;
		if (has_shard && s != shard)
			*r = (struct range){ 0, 0 };
		else if (given && !has_shard && s > 0)
			*r = (struct range){ below[s] + 1, last[s] + 1 };
		for (size_t i = 0; i < g->held_count; i++) {
			uint64_t first = MAX(g->held[i].first, r->first);
			uint64_t end = MIN(g->held[i].end, r->end);
			x->all += end > first ? end - first : 0;
		}
	}
	if (rc == 0 && !x->all)
		return err_set(err, -ENODATA, "%s holds no height %s%s", network_name(x->network),
			       given ? "of --range " : "at all",
			       given ? x->call->options[OPTION_RANGE] : "");
	return rc;
}

/* ---- writing ---- */

static void progress(struct export *x, bool last)
{
	struct verb_call *c = x->call;
	uint64_t now = clock_mono_ms();
	if (verb_has(c, OPTION_QUIET) ||
	    (!last && now - x->shown_ms < (c->io->terminal ? PROGRESS_TTY_MS : PROGRESS_MS)))
		return;
	x->shown_ms = now;
	verb_say(c, "%s%s: %3.0f%%, %" PRIu64 " blocks%s", c->io->terminal ? "\r\033[K" : "",
		 network_name(x->network), (double)(x->blocks + x->damaged) * 100 / (double)x->all,
		 x->blocks, c->io->terminal && !last ? "" : "\n");
}

/* A block whose bytes are damaged here is a gap there. */
static int write_block(struct export *x, const struct block_row *row, struct err *err)
{
	AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	struct err why = ERR_INIT;
	int rc = network_block_bytes(x->network, row, &bytes, &why);
	if (rc == 0)
		rc = network_ops(x->network)
			     ->join(bytes->canonical, bytes->certificate, row->shard == 0, &message,
				    &why);
	if (rc == -EBADMSG) {
		verb_say(x->call, "%sshard %u, height %" PRIu64 " is left out: %s\n",
			 x->call->io->terminal ? "\r\033[K" : "", row->shard, row->height,
			 err_text(&why, rc));
		x->damaged++;
		return 0;
	}
	if (rc < 0)
		return err_set(err, rc, "shard %u, height %" PRIu64 ": %.300s", row->shard,
			       row->height, err_text(&why, rc));
	x->blocks++;
	return archive_writer_add(x->writer, row->shard, buf_slice(&message), err);
}

static int write_shard(struct export *x, uint32_t shard, struct err *err)
{
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	struct range r = x->wanted[shard];
	struct block_row row;
	r.end = MIN(r.end, x->view->shards[shard].tip + 1);
	if (r.first >= r.end)
		return 0;
	int rc = block_scan_new(x->network, shard, r.first, &scan);
	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1 && row.height < r.end) {
		rc = write_block(x, &row, err);
		if (rc < 0)
			return rc;
		progress(x, false);
		if (verb_stopped(x->call))
			return err_set(err, -EINTR,
				       "interrupted; %s has no network.json and is not complete",
				       x->call->words[1]);
	}
	return rc < 0 ? err_set(err, rc, "shard %u: %s", shard, strerror(-rc)) : 0;
}

/* The canonical parameters do not say whose they are; an archive does. */
static int network_json(const struct network *n, struct buf *out)
{
	struct slice text = network_params_text(n);
	size_t open = 0;
	while (open < text.n && text.p[open] != '{')
		open++;
	struct slice rest = slice_sub(text, open + 1, text.n);
	size_t blank = 0;
	while (blank < rest.n && strchr(" \t\r\n", rest.p[blank]))
		blank++;
	buf_fmt(out, "{\n  \"kind\": \"%s\",\n  \"network\": \"%s\"%s", network_ops(n)->kind,
		network_name(n), blank < rest.n && rest.p[blank] == '}' ? "" : ",");
	buf_add(out, rest);
	return buf_done(out);
}

static int write_all(struct export *x, const char *folder, struct err *err)
{
	AUTO(buf_release) struct buf config = BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);
	int rc = archive_writer_open(folder, x->view->shard_count, true, &x->writer, err);
	for (uint32_t s = 0; rc == 0 && s < x->view->shard_count; s++)
		rc = write_shard(x, s, err);
	if (rc == 0)
		rc = network_json(x->network, &config);
	if (rc == 0)
		rc = archive_writer_finish(x->writer, buf_slice(&config), err);
	return rc;
}

static void report(struct export *x)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	uint64_t ms = clock_mono_ms() - x->started_ms;
	if (!verb_has(x->call, OPTION_JSON)) {
		verb_print(x->call,
			   "%s: %" PRIu64 " blocks with %" PRIu64 " bytes written, %" PRIu64
			   " left out, %.2f s\n",
			   network_name(x->network), x->blocks, archive_writer_bytes(x->writer),
			   x->damaged, (double)ms / 1000);
		return;
	}
	json_object(&j, NULL);
	json_u64(&j, "blocks", x->blocks);
	json_u64(&j, "bytes", archive_writer_bytes(x->writer));
	json_u64(&j, "left_out", x->damaged);
	json_u64(&j, "milliseconds", ms);
	json_str(&j, "network", network_name(x->network));
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(x->call, buf_slice(&out));
}

int verb_export(struct verb_call *c)
{
	AUTO(export_release) struct export x = { .call = c, .started_ms = clock_mono_ms() };
	struct err err = ERR_INIT;
	char folder[PATH_SIZE];
	int rc = verb_network(c, &x.network, &err);
	if (rc == 0)
		rc = verb_path(c, c->words[1], folder, sizeof folder);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	x.shown_ms = x.started_ms;
	x.view = network_view_get(x.network);
	rc = choose(&x, &err);
	if (rc == 0)
		rc = write_all(&x, folder, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	progress(&x, true);
	report(&x);
	return x.damaged ? EXIT_FAULTS : EXIT_DONE;
}
