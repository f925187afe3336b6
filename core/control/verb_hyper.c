/* chainfs hyper diff, audit and metrics: what hyper has that legacy has not, whether that is right,
 * and how much it is. */
#include <stdio.h>
#include <time.h>

#include "core/base/clock.h"
#include "core/control/metrics.h"
#include "core/control/verb.h"
#include "core/hyper/audit.h"
#include "core/hyper/span.h"

#define LINES_SIZE_MAX  (256u << 20)
#define REPORT_SIZE_MAX (1u << 30)
#define LATEST_DEFAULT  1000u
#define STOP_POLL_MS    50u

/* ---- options ---- */

static int number_of(const struct verb_call *c, enum option_id id, uint64_t most, uint64_t *out,
		     struct err *err)
{
	const char *text = c->options[id];

	if (!text || (dec_get(text, strlen(text), most, out) == 0 && *out))
		return 0;
	return err_set(err, -EINVAL, "--%s %s: it is a number from 1 on", option_rows[id].name,
		       text);
}

static int shard_of(const struct verb_call *c, const struct view *v, bool *one, uint32_t *shard,
		    struct err *err)
{
	const char *text = c->options[OPTION_SHARD];
	uint64_t n = 0;

	*one = text != NULL;
	if (text && dec_get(text, strlen(text), SHARD_MAX - 1, &n) < 0)
		return err_set(err, -EINVAL, "--shard %s: it is a number below %d", text,
			       SHARD_MAX);
	if (n >= v->shard_count)
		return err_set(err, -ENOENT, "--shard %s: %s has %" PRIu32 " shards", text,
			       network_name(v->network), v->shard_count);
	*shard = (uint32_t)n;
	return 0;
}

static int contexts_of(const struct verb_call *c, bool out[CONTEXT_COUNT], struct err *err)
{
	const char *text = c->options[OPTION_CONTEXT];
	bool both = !text || strcmp(text, "both") == 0, any = both;

	for (int i = 0; i < CONTEXT_COUNT; i++) {
		out[i] = both || strcmp(text, context_rules[i].name) == 0;
		any |= out[i];
	}
	return any ? 0 : err_set(err, -EINVAL, "--context %s: it is legacy, hyper or both", text);
}

/* ---- diff ---- */

struct diff {
	struct verb_call *call;
	struct span_options o;
	struct diff_report report;
	struct span span;
};

static void diff_release(struct diff *d)
{
	span_release(&d->span);
}

static void keep_shard(struct diff_report *r, uint32_t shard)
{
	r->shards[0] = r->shards[shard];
	r->shard_count = 1;
}

static int diff_make(struct diff *d, const struct view *v, struct err *err)
{
	struct cuts cuts;
	int rc = cuts_at(v, d->o.to, &cuts, err);

	if (rc == 0 && d->o.contexts[CONTEXT_HYPER])
		rc = cuts_in_hyper(v, &cuts, err);
	if (rc == 0)
		rc = report_make(v, d->o.to, &d->report, err);
	if (rc == 0 && d->o.one_shard)
		keep_shard(&d->report, d->o.shard);
	return rc < 0 ? rc : span_make(v, &d->o, &d->span, err);
}

/* Each line of a context with its name in front. */
static void diff_text(struct diff *d, struct buf *out)
{
	report_render(&d->report, false, out);
	for (int c = 0; c < CONTEXT_COUNT; c++) {
		struct slice lines = buf_slice(&d->span.lines[c]);

		while (lines.n) {
			const uint8_t *end = memchr(lines.p, '\n', lines.n);
			size_t n = (size_t)(end - lines.p) + 1;

			buf_fmt(out, "%s\t", context_rules[c].name);
			buf_bytes(out, lines.p, n);
			lines = slice_sub(lines, n, lines.n);
		}
	}
}

/* One line of a span as an object. */
static void line_json(struct slice line, struct json *j)
{
	struct slice field[7] = { SLICE_EMPTY };
	uint64_t number;

	for (size_t i = 0; i < ARRAY_LEN(field); i++) {
		const uint8_t *tab = line.n ? memchr(line.p, '\t', line.n) : NULL;
		size_t n = tab ? (size_t)(tab - line.p) : line.n;

		field[i] = SLICE(line.p, n);
		line = slice_sub(line, n + 1, line.n);
	}
	static const struct {
		const char *name;
		size_t at;
		bool number;
	} rows[] = { { "account", 3, true }, { "height", 2, true }, { "name", 5, false },
		     { "reason", 6, false }, { "set", 4, false },   { "shard", 1, true },
		     { "sign", 0, false } };

	json_object(j, NULL);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice f = field[rows[i].at];

		if (!rows[i].number)
			json_text(j, rows[i].name, f);
		else if (dec_get((const char *)f.p, f.n, UINT64_MAX, &number) == 0)
			json_u64(j, rows[i].name, number);
	}
	json_end(j);
}

static int diff_json(struct diff *d, struct buf *out)
{
	struct json j = json_of(out, JSON_PRETTY);

	json_object(&j, NULL);
	json_object(&j, "changes");
	for (int c = CONTEXT_COUNT; c-- > 0;) { /* hyper stands before legacy */
		if (!d->o.contexts[c])
			continue;
		json_array(&j, context_rules[c].name);
		for (struct slice lines = buf_slice(&d->span.lines[c]); lines.n;) {
			const uint8_t *end = memchr(lines.p, '\n', lines.n);
			size_t n = (size_t)(end - lines.p);

			line_json(SLICE(lines.p, n), &j);
			lines = slice_sub(lines, n + 1, lines.n);
		}
		json_end(&j);
	}
	json_end(&j);
	json_object(&j, "report");
	report_json(&d->report, &j);
	json_end(&j);
	json_end(&j);
	return json_done(&j);
}

int verb_hyper_diff(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct network *n;
	AUTO(diff_release) struct diff d = { .call = c };
	int rc = verb_network(c, &n, &err);

	if (rc < 0)
		return verb_fail(c, rc, &err);
	AUTO(view_putp) struct view *v = network_view_get(n);
	d.o.lines_size_max = LINES_SIZE_MAX;
	d.o.stop = c->io->stop;
	if (!verb_has(c, OPTION_BLOCK))
		rc = err_set(&err, -EINVAL, "it needs --block HEIGHT");
	if (rc == 0)
		rc = number_of(c, OPTION_BLOCK, UINT64_MAX - 1, &d.o.to, &err);
	if (rc == 0)
		rc = shard_of(c, v, &d.o.one_shard, &d.o.shard, &err);
	if (rc == 0)
		rc = contexts_of(c, d.o.contexts, &err);
	d.o.from = d.o.to - 1;
	if (rc == 0)
		rc = diff_make(&d, v, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	if (verb_has(c, OPTION_JSON))
		rc = diff_json(&d, &out);
	else
		diff_text(&d, &out);
	if (rc == 0)
		rc = buf_done(&out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}

/* ---- audit ---- */

static void audit_line(void *arg, uint32_t shard, uint64_t height, const char *what,
		       const char *sentence)
{
	struct verb_call *c = arg;

	if (!verb_has(c, OPTION_JSON)) {
		verb_print(c, "%02u\t%010" PRIu64 "\t%s\t%s\n", shard, height, what, sentence);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_str(&j, "error", sentence);
	json_str(&j, "fault", what);
	json_u64(&j, "height", height);
	json_u64(&j, "shard", shard);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

static void audit_summary(struct verb_call *c, const struct view *v, const struct audit_totals *t)
{
	if (!verb_has(c, OPTION_JSON)) {
		verb_print(c,
			   "network %s: %" PRIu64 " heights, %" PRIu64
			   " prunes that were no-ops of hyper, %" PRIu64
			   " retained records dropped, %" PRIu64 " retained now\n",
			   network_name(v->network), t->heights, t->prunes, t->dropped,
			   t->retained);
		verb_print(c,
			   "roots of %" PRIu32 " of %" PRIu32
			   " shards made again from their records\n%" PRIu64 " faults\n",
			   t->roots, v->shard_count, t->faults);
		return;
	}
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_u64(&j, "dropped", t->dropped);
	json_u64(&j, "faults", t->faults);
	json_u64(&j, "heights", t->heights);
	json_str(&j, "network", network_name(v->network));
	json_u64(&j, "prunes", t->prunes);
	json_u64(&j, "retained", t->retained);
	json_u64(&j, "roots", t->roots);
	json_u64(&j, "shards", v->shard_count);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

int verb_hyper_audit(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct audit_totals totals = { 0 };
	uint64_t latest = LATEST_DEFAULT;
	struct network *n;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = number_of(c, OPTION_LATEST, UINT64_MAX, &latest, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	AUTO(view_putp) struct view *v = network_view_get(n);
	for (uint32_t s = 0; rc == 0 && s < v->shard_count; s++)
		rc = audit_shard(v, s, latest, audit_line, c, c->io->stop, &totals, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	audit_summary(c, v, &totals);
	return totals.faults ? EXIT_FAULTS : EXIT_DONE;
}

/* ---- metrics ---- */

struct sums {
	uint64_t tip_lag, hyper_lag, replayed, records, retained, bytes;
	bool on;
};

static void add_network(struct network *n, struct sums *sum)
{
	AUTO(view_putp) struct view *v = network_view_get(n);

	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];

		sum->on |= sv->hyper_on;
		sum->replayed += sv->replayed;
		sum->tip_lag += metrics_replay_lag(sv);
		sum->hyper_lag += metrics_hyper_lag(sv);
		sum->records += sv->hyper.records;
		sum->retained += sv->retained;
		sum->bytes += sv->hyper_bytes;
	}
}

static void metrics_line(struct verb_call *c, struct network *only, struct buf *out)
{
	struct sums sum = { 0 };
	char time[TIME_TEXT_SIZE];
	uint64_t cap = settings_number(c->settings, SETTING_HYPER_RETENTION_SOFT_CAP);
	bool past = cap && metrics_hyper_bytes(c->store) > cap;
	const char *name = only ? network_name(only) : "-";

	for (size_t i = 0; i < store_network_count(c->store); i++)
		if (!only || store_network_at(c->store, i) == only)
			add_network(store_network_at(c->store, i), &sum);
	time_text(clock_unix_s(), time);
	if (!verb_has(c, OPTION_JSON)) {
		buf_fmt(out,
			"%s %s hyper=%s replayed=%" PRIu64 " replay_lag=%" PRIu64
			" pipeline_lag=%" PRIu64 " records=%" PRIu64 " retained=%" PRIu64
			" storage_bytes=%" PRIu64 " diff_failures=%" PRIu64 " soft_cap=%" PRIu64
			" exceeded=%d\n",
			time, name, sum.on ? "on" : "off", sum.replayed, sum.tip_lag, sum.hyper_lag,
			sum.records, sum.retained, sum.bytes,
			metrics_read(COUNTER_HYPER_DIFF_FAILURES), cap, past);
		return;
	}
	struct json j = json_of(out, JSON_LINE);
	json_object(&j, NULL);
	json_u64(&j, "diff_failures", metrics_read(COUNTER_HYPER_DIFF_FAILURES));
	json_bool(&j, "exceeded", past);
	json_bool(&j, "hyper", sum.on);
	json_str(&j, "network", name);
	json_u64(&j, "pipeline_lag", sum.hyper_lag);
	json_u64(&j, "records", sum.records);
	json_u64(&j, "replay_lag", sum.tip_lag);
	json_u64(&j, "replayed", sum.replayed);
	json_u64(&j, "retained", sum.retained);
	json_u64(&j, "soft_cap", cap);
	json_u64(&j, "storage_bytes", sum.bytes);
	json_str(&j, "time", time);
	json_end(&j);
	if (json_done(&j) < 0 && !out->failed)
		out->failed = -EINVAL;
}

/* False when somebody wants it to end. */
static bool wait_for(const struct verb_call *c, uint64_t ms)
{
	uint64_t until = clock_mono_ms() + ms;

	for (uint64_t now; !verb_stopped(c) && (now = clock_mono_ms()) < until;) {
		uint64_t left = MIN(until - now, STOP_POLL_MS);
		struct timespec pause = { .tv_nsec = (long)left * 1000000 };

		nanosleep(&pause, NULL);
	}
	return !verb_stopped(c);
}

int verb_hyper_metrics(struct verb_call *c)
{
	uint64_t interval_ms = settings_number(c->settings, SETTING_HYPER_METRICS_INTERVAL);
	struct err err = ERR_INIT;
	struct network *only = NULL;
	int rc = verb_has(c, OPTION_NETWORK) ? verb_network(c, &only, &err) : 0;

	if (rc < 0)
		return verb_fail(c, rc, &err);
	do {
		AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);

		metrics_line(c, only, &out);
		rc = buf_done(&out);
		if (rc < 0)
			return verb_fail(c, rc, NULL);
		verb_write(c, buf_slice(&out));
	} while (verb_has(c, OPTION_TAIL) && wait_for(c, interval_ms));
	return EXIT_DONE; /* to be interrupted is how a tail ends */
}
