/* chainfs bootstrap: a store that begins with the state that a node hands out. Here and not in
 * core/control, because it is a node that is asked. */
#include "core/base/clock.h"
#include "core/checkpoint/bootstrap.h"
#include "core/checkpoint/recorded.h"
#include "core/control/parameters.h"
#include "core/control/verb.h"
#include "core/sync/source.h"
#include "mount-helpers/verbs.h"
#include "net/replica.h"

#include <stdio.h>

#define PATH_SIZE       4096
#define REPORT_SIZE_MAX (1u << 20)
#define PROGRESS_TTY_MS 200u
#define PROGRESS_MS     5000u

struct told { /* what progress remembers between two calls */
	struct verb_call *call;
	uint64_t started_ms, shown_ms;
};

static void progress(void *arg, uint32_t shard, unsigned vshards, uint64_t records)
{
	struct told *t = arg;
	struct verb_call *c = t->call;
	uint64_t now = clock_mono_ms();

	if (verb_has(c, OPTION_QUIET) ||
	    now - t->shown_ms < (c->io->terminal ? PROGRESS_TTY_MS : PROGRESS_MS))
		return;
	t->shown_ms = now;
	verb_say(c, "%s", c->io->terminal ? "\r\033[K" : "");
	if (shard)
		verb_say(c, "bootstrap: shard %u: %u of 256 vshards, %" PRIu64 " record rows",
			 shard, vshards, records);
	else
		verb_say(c, "bootstrap: shard 0: %" PRIu64 " blocks", records);
	verb_say(c, "%s", c->io->terminal ? "" : "\n");
}

static void end_progress(const struct told *t)
{
	if (t->call->io->terminal && t->shown_ms)
		verb_say(t->call, "\r\033[K");
}

/* ---- who gives the pages ---- */

struct giver {
	struct loop *loop;
	struct replica replica;
	bool over_net;
	struct recorded *recorded;
};

static void giver_release(struct giver *g)
{
	if (g->over_net)
		replica_close(&g->replica);
	g->over_net = false;
	recorded_closep(&g->recorded);
	loop_closep(&g->loop);
}

static int open_net(struct verb_call *c, const char *scheme, const char *host, uint16_t port,
		    struct parameters *p, struct giver *out, struct err *err)
{
	int rc = parameters_choose(c, "node", SLICE_EMPTY, p, err);

	if (rc == 0)
		rc = loop_open("bootstrap", &out->loop, err);
	if (rc == 0)
		rc = replica_open(out->loop, p->ops->kind, scheme, host, port, c->io->stop,
				  &out->replica, err);
	out->over_net = rc == 0;
	return rc;
}

static int open_folder(struct verb_call *c, struct parameters *p, struct giver *out,
		       uint64_t *height, struct err *err)
{
	char folder[PATH_SIZE];
	int rc = verb_path(c, c->words[1], folder, sizeof folder);

	if (rc == 0)
		rc = recorded_open(folder, chain_kind("snapchain"), &out->recorded, err);
	if (rc == 0)
		rc = parameters_choose(c, "folder", recorded_config(out->recorded), p, err);
	if (rc < 0)
		return rc;
	out->replica = recorded_replica(out->recorded);
	if (!*height)
		*height = recorded_height(out->recorded);
	return 0;
}

static int height_of(struct verb_call *c, uint64_t *out, struct err *err)
{
	const char *text = c->options[OPTION_HEIGHT];
	char *end = NULL;

	*out = 0;
	if (!text)
		return 0;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || !*out)
		return err_set(err, -EINVAL, "--height %.40s is no height", text);
	return 0;
}

/* ---- what is told in the end ---- */

static const char *root_text(const struct chain_root *r, char out[2 * ROOT_SIZE_MAX + 1])
{
	snprintf(out, 2, "-");
	if (r->root_size)
		hex_put(out, r->root, r->root_size);
	return out;
}

static void report_text(struct verb_call *c, const char *network, bool hyper,
			const struct bootstrap_result *r, uint64_t ms)
{
	char hex[2 * ROOT_SIZE_MAX + 1];
	uint64_t bytes = 0, records = 0;

	for (uint32_t s = 0; s < r->shard_count; s++) {
		bytes += r->shards[s].bytes;
		if (!s) {
			verb_print(c,
				   "shard 0: replayed from its first block to %" PRIu64
				   ": legacy root %s, %" PRIu64 " records\n",
				   r->shards[s].height, root_text(&r->shards[s].root, hex),
				   r->shards[s].root.records);
			continue;
		}
		records += r->shards[s].records;
		verb_print(c,
			   "shard %u begins at height %" PRIu64 ": legacy root %s, %" PRIu64
			   " records, as validators signed it; %" PRIu64 " pages, %" PRIu64
			   " refused\n",
			   s, r->shards[s].height, root_text(&r->shards[s].root, hex),
			   r->shards[s].root.records, r->shards[s].pages,
			   r->shards[s].refused_pages);
		if (hyper)
			verb_print(c, "shard %u: hyper's base is height %" PRIu64 "\n", s,
				   r->shards[s].height);
		if (r->shards[s].guessed_accounts)
			verb_print(c, "shard %u: %" PRIu64 " accounts with something guessed\n", s,
				   r->shards[s].guessed_accounts);
		if (r->shards[s].sequence_guessed)
			verb_print(c,
				   "shard %u: which block events it has applied is guessed: its "
				   "blocks "
				   "below were not given\n",
				   s);
	}
	verb_print(c, "%s: network %s, %" PRIu64 " record rows out of %" PRIu64 " bytes, %.2f s\n",
		   c->words[0], network, records, bytes, (double)ms / 1000);
}

static void report_json(struct verb_call *c, const char *network, bool hyper,
			const struct bootstrap_result *r, uint64_t ms)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	char hex[2 * ROOT_SIZE_MAX + 1];

	json_object(&j, NULL);
	json_bool(&j, "hyper", hyper);
	json_u64(&j, "milliseconds", ms);
	json_str(&j, "network", network);
	json_array(&j, "shards");
	for (uint32_t s = 0; s < r->shard_count; s++) {
		json_object(&j, NULL);
		json_u64(&j, "bytes", r->shards[s].bytes);
		json_u64(&j, "guessed_accounts", r->shards[s].guessed_accounts);
		json_u64(&j, "height", r->shards[s].height);
		json_str(&j, "legacy_root", root_text(&r->shards[s].root, hex));
		json_u64(&j, "pages", r->shards[s].pages);
		json_u64(&j, "records", r->shards[s].root.records);
		json_u64(&j, "refused_pages", r->shards[s].refused_pages);
		json_bool(&j, "sequence_guessed", r->shards[s].sequence_guessed);
		json_u64(&j, "shard", s);
		json_end(&j);
	}
	json_end(&j);
	json_str(&j, "store", c->words[0]);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

int verb_bootstrap(struct verb_call *c)
{
	AUTO(parameters_release) struct parameters p = PARAMETERS_INIT;
	AUTO(giver_release) struct giver from = { .loop = NULL };
	struct told told = { .call = c, .started_ms = clock_mono_ms() };
	struct bootstrap_result result;
	struct err err = ERR_INIT;
	char path[PATH_SIZE], scheme[16], host[SOURCE_URL_MAX + 1];
	bool address = strstr(c->words[1], "://");
	uint64_t height = 0;
	uint16_t port = 0;
	bool hyper = settings_number(c->settings, SETTING_HYPER_ENABLED);
	int rc = verb_path(c, c->words[0], path, sizeof path);

	if (rc == 0)
		rc = height_of(c, &height, &err);
	if (rc == 0)
		rc = verb_hyper(c, &hyper, &err);
	if (rc == 0 && address)
		rc = source_url_parse(c->words[1], scheme, host, &port, &err);
	if (rc == 0)
		rc = address ? open_net(c, scheme, host, port, &p, &from, &err)
			     : open_folder(c, &p, &from, &height, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	struct bootstrap_options o = {
		.network = p.name,
		.ops = p.ops,
		.params = buf_slice(&p.text),
		.trust = p.trust,
		.hyper = hyper,
		.sync_off = verb_has(c, OPTION_NO_SYNC),
		.height = height,
		.progress = progress,
		.arg = &told,
	};

	rc = bootstrap(&from.replica, path, &o, c->io->stop, &result, &err);
	end_progress(&told);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	(verb_has(c, OPTION_JSON) ? report_json : report_text)(c, p.name, hyper, &result,
							       clock_mono_ms() - told.started_ms);
	return EXIT_DONE;
}
