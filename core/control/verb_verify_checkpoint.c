/* chainfs verify FOLDER: checks a checkpoint, from its files alone. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "core/checkpoint/prove.h"
#include "core/control/verb.h"
#include "core/sync/archive.h"

#define REPORT_SIZE_MAX (64u << 20)
#define DEFAULT_KIND    "snapchain"

struct faults { /* as they are met */
	struct verb_call *call;
	struct buf text;
	struct json json; /* an array that is open, with --json */
};

static void faults_release(struct faults *f)
{
	buf_release(&f->text);
}

/* A store has no such files; a checkpoint that lost one of the two is still one. */
int verb_verify_check(struct verb_call *c)
{
	static const char *const files[] = { "info", "SHA256SUMS" };
	char folder[PATH_MAX], path[PATH_MAX + 16];

	if (verb_path(c, c->words[0], folder, sizeof folder) < 0)
		return EXIT_DONE;
	snprintf(path, sizeof path, "%s/networks", folder);
	if (access(path, F_OK) == 0)
		return EXIT_DONE;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, files[i]);
		if (access(path, F_OK) == 0)
			return CHECK_APART;
	}
	return EXIT_DONE;
}

/* ---- parameters ---- */

static const struct chain_ops *kind_of(const char *folder)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_INFO_MAX);
	struct checkpoint_info info;
	char path[PATH_MAX + 16];
	const struct chain_ops *ops = NULL;

	snprintf(path, sizeof path, "%s/info", folder);
	if (archive_plain_read(path, CHECKPOINT_INFO_MAX, &text, NULL) == 0 &&
	    checkpoint_info_read(buf_slice(&text), &info, NULL) == 0)
		ops = chain_kind(info.kind);
	return ops ? ops : chain_kind(DEFAULT_KIND);
}

/* --config, or the preset that --network names; *out stays NULL without either. */
static int parameters(struct verb_call *c, const struct chain_ops *ops, struct chain_params **out,
		      struct err *err)
{
	AUTO(buf_release) struct buf config = BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);
	const char *name = c->options[OPTION_NETWORK];
	char path[PATH_MAX];

	if (c->options[OPTION_CONFIG]) {
		int rc = verb_path(c, c->options[OPTION_CONFIG], path, sizeof path);

		if (rc == 0)
			rc = archive_file_read(path, ARCHIVE_CONFIG_SIZE_MAX, &config, err);
		if (rc < 0)
			return rc;
		rc = ops->params_parse(buf_slice(&config), out, err);
		return rc < 0 ? err_note(err, rc, "%s", path) : 0;
	}
	if (!name)
		return 0;
	const char *preset = ops->preset ? ops->preset(name) : NULL;

	return preset ? ops->params_parse(slice_str(preset), out, err)
		      : err_set(err, -EINVAL,
				"--network %.80s: this program has no parameters of it; give them "
				"with --config FILE",
				name);
}

/* ---- what is printed ---- */

static void tell(void *arg, enum proof_level level, const char *path, const char *sentence)
{
	struct faults *f = arg;

	if (!verb_has(f->call, OPTION_JSON)) {
		verb_print(f->call, "%s\t%s\t%s\n", path, proof_names[level], sentence);
		return;
	}
	json_object(&f->json, NULL);
	json_str(&f->json, "error", sentence);
	json_str(&f->json, "file", path);
	json_str(&f->json, "level", proof_names[level]);
	json_end(&f->json);
}

static void report_text(struct verb_call *c, const struct proof *p)
{
	for (int i = 0; i < PROOF_COUNT; i++)
		verb_print(c, "%-8s %s%s%s\n", proof_names[i], verdict_names[p->levels[i].verdict],
			   p->levels[i].reason[0] ? "  " : "", p->levels[i].reason);
}

static void report_json(struct faults *f, const struct proof *p)
{
	static const uint8_t by_name[] = { PROOF_BLOCKS, PROOF_BYTES,  PROOF_COMMITS,
					   PROOF_HYPER,  PROOF_LEGACY, PROOF_RECORDS };
	static_assert(ARRAY_LEN(by_name) == PROOF_COUNT, "keys of JSON are sorted");
	struct json *j = &f->json;

	json_end(j);
	if (p->info.shard_count) {
		json_hex(j, "hash", SLICE(p->info.shards[0].hash, HASH_SIZE));
		json_u64(j, "height", p->info.shards[0].height);
	}
	json_bool(j, "holds", proof_holds(p));
	json_object(j, "levels");
	for (size_t n = 0; n < ARRAY_LEN(by_name); n++) {
		int i = by_name[n];

		json_object(j, proof_names[i]);
		json_str(j, "reason", p->levels[i].reason);
		json_str(j, "verdict", verdict_names[p->levels[i].verdict]);
		json_end(j);
	}
	json_end(j);
	json_u64(j, "records", p->records);
	json_end(j);
	if (json_done(j) == 0)
		verb_write(f->call, buf_slice(&f->text));
}

int verb_verify_checkpoint(struct verb_call *c)
{
	AUTO(faults_release)
	struct faults faults = { .call = c, .text = BUF_INIT(REPORT_SIZE_MAX) };
	struct err err = ERR_INIT;
	struct proof proof;
	struct chain_params *params = NULL;
	char folder[PATH_MAX];
	int rc = verb_path(c, c->words[0], folder, sizeof folder);

	if (rc == 0 && verb_has(c, OPTION_STORED))
		rc = err_set(&err, -EINVAL, "--stored is of a store, this is a checkpoint");
	if (rc < 0)
		return verb_fail(c, rc, &err);
	const struct chain_ops *ops = kind_of(folder);

	rc = parameters(c, ops, &params, &err);
	if (verb_has(c, OPTION_JSON)) {
		faults.json = json_of(&faults.text, JSON_PRETTY);
		json_object(&faults.json, NULL);
		json_array(&faults.json, "faults");
	}
	if (rc == 0)
		rc = checkpoint_prove_each(folder, params, c->io->stop, tell, &faults, &proof,
					   &err);
	if (params)
		ops->params_free(params);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (verb_has(c, OPTION_JSON))
		report_json(&faults, &proof);
	else
		report_text(c, &proof);
	return proof_holds(&proof) ? EXIT_DONE : EXIT_FAULTS;
}
