/* chainfs restore: a store that begins with the state of a checkpoint. */
#include "core/base/clock.h"
#include "core/checkpoint/restore.h"
#include "core/control/parameters.h"
#include "core/control/verb.h"

#include <stdio.h>
#include <unistd.h>

#define PATH_SIZE       4096
#define REPORT_SIZE_MAX (1u << 20)
#define PROGRESS_TTY_MS 200u
#define PROGRESS_MS     5000u

struct told { /* what progress remembers between two calls */
	struct verb_call *call;
	uint64_t started_ms, shown_ms;
	uint64_t records;
};

static void progress(void *arg, uint64_t records, uint64_t total)
{
	struct told *t = arg;
	struct verb_call *c = t->call;
	uint64_t now = clock_mono_ms();

	t->records = records;
	if (verb_has(c, OPTION_QUIET) ||
	    now - t->shown_ms < (c->io->terminal ? PROGRESS_TTY_MS : PROGRESS_MS))
		return;
	t->shown_ms = now;
	verb_say(c, "%srestore: %" PRIu64 " of about %" PRIu64 " records%s",
		 c->io->terminal ? "\r\033[K" : "", records, MAX(records, total),
		 c->io->terminal ? "" : "\n");
}

/* The line on a terminal is not what the next one is written behind. */
static void end_progress(const struct told *t)
{
	if (t->call->io->terminal && t->shown_ms)
		verb_say(t->call, "\r\033[K");
}

static int path_in(const char *folder, const char *name, char out[PATH_SIZE], struct err *err)
{
	if ((size_t)snprintf(out, PATH_SIZE, "%s/%s", folder, name) >= PATH_SIZE)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", folder);
	return 0;
}

/* The checkpoint's own network.json; empty when it has none. */
static int evidence(const char *folder, struct buf *out, struct err *err)
{
	char path[PATH_SIZE];
	int rc = path_in(folder, "info", path, err);

	if (rc == 0 && access(path, F_OK) < 0)
		return err_set(err, -errno, "%s is no checkpoint: info: %s", folder,
			       strerror(errno));
	if (rc == 0)
		rc = path_in(folder, "evidence/network.json", path, err);
	if (rc == 0)
		rc = archive_plain_read(path, ARCHIVE_CONFIG_SIZE_MAX, out, err);
	return rc == -ENOENT ? 0 : rc;
}

static const char *root_text(const struct chain_root *r, char out[2 * ROOT_SIZE_MAX + 1])
{
	snprintf(out, 2, "-");
	if (r->root_size)
		hex_put(out, r->root, r->root_size);
	return out;
}

static void report_text(struct verb_call *c, const char *store, const char *network,
			const struct proof *p, const struct told *t)
{
	char hex[2 * ROOT_SIZE_MAX + 1];

	for (int i = 0; i < PROOF_COUNT; i++)
		verb_print(c, "%-8s %s%s%s\n", proof_names[i], verdict_names[p->levels[i].verdict],
			   p->levels[i].reason[0] ? "  " : "", p->levels[i].reason);
	for (uint32_t i = 0; i < p->info.shard_count; i++) {
		const struct checkpoint_shard *s = &p->info.shards[i];

		verb_print(c, "shard %u height %" PRIu64 ": legacy root %s, %" PRIu64 " records\n",
			   s->shard, s->height, root_text(&s->legacy, hex), s->legacy.records);
		if (p->info.hyper)
			verb_print(c,
				   "shard %u height %" PRIu64 ": hyper root %s, %" PRIu64
				   " records, %" PRIu64 " retained since height %" PRIu64 "\n",
				   s->shard, s->height, root_text(&s->hyper, hex), s->hyper.records,
				   s->retained, s->base_height);
	}
	verb_print(c,
		   "%s: network %s begins at height %" PRIu64 " with %" PRIu64
		   " record rows, %.2f s\n",
		   store, network, p->info.shards[0].height, t->records,
		   (double)(clock_mono_ms() - t->started_ms) / 1000);
}

static void report_json(struct verb_call *c, const char *store, const char *network,
			const struct proof *p, const struct told *t)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	char hex[2 * ROOT_SIZE_MAX + 1];

	json_object(&j, NULL);
	json_u64(&j, "height", p->info.shards[0].height);
	json_bool(&j, "hyper", p->info.hyper);
	json_u64(&j, "milliseconds", clock_mono_ms() - t->started_ms);
	json_str(&j, "network", network);
	json_object(&j, "proof");
	for (int i = 0; i < PROOF_COUNT; i++) {
		json_object(&j, proof_names[i]);
		json_str(&j, "reason", p->levels[i].reason);
		json_str(&j, "verdict", verdict_names[p->levels[i].verdict]);
		json_end(&j);
	}
	json_end(&j);
	json_u64(&j, "records", t->records);
	json_array(&j, "shards");
	for (uint32_t i = 0; i < p->info.shard_count; i++) {
		const struct checkpoint_shard *s = &p->info.shards[i];

		json_object(&j, NULL);
		json_u64(&j, "height", s->height);
		if (p->info.hyper) {
			json_u64(&j, "hyper_base", s->base_height);
			json_u64(&j, "hyper_records", s->hyper.records);
			json_str(&j, "hyper_root", root_text(&s->hyper, hex));
		}
		json_u64(&j, "legacy_records", s->legacy.records);
		json_str(&j, "legacy_root", root_text(&s->legacy, hex));
		if (p->info.hyper)
			json_u64(&j, "retained", s->retained);
		json_u64(&j, "shard", s->shard);
		json_end(&j);
	}
	json_end(&j);
	json_str(&j, "store", store);
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

int verb_restore(struct verb_call *c)
{
	AUTO(parameters_release) struct parameters p = PARAMETERS_INIT;
	AUTO(buf_release) struct buf json = BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);
	AUTO(base_freep) struct proof *proof = calloc(1, sizeof *proof);
	struct told told = { .call = c, .started_ms = clock_mono_ms() };
	struct err err = ERR_INIT;
	char path[PATH_SIZE], folder[PATH_SIZE];

	if (!proof)
		return verb_fail(c, -ENOMEM, NULL);
	int rc = verb_path(c, c->words[0], path, sizeof path);

	if (rc == 0)
		rc = verb_path(c, c->words[1], folder, sizeof folder);
	if (rc == 0)
		rc = evidence(folder, &json, &err);
	if (rc == 0)
		rc = parameters_choose(c, "checkpoint", buf_slice(&json), &p, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	struct restore_options o = {
		.network = p.name,
		.params = buf_slice(&p.text),
		.trust = p.trust,
		.sync_off = verb_has(c, OPTION_NO_SYNC),
		.progress = progress,
		.arg = &told,
	};

	rc = checkpoint_restore(folder, path, &o, c->io->stop, proof, &err);
	end_progress(&told);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	(verb_has(c, OPTION_JSON) ? report_json : report_text)(c, c->words[0], p.name, proof,
							       &told);
	return EXIT_DONE;
}
