/* A store is made beside its place, and gets its name when all of it is there. */
#include "core/checkpoint/restore.h"

#include "core/base/files.h"
#include "core/checkpoint/load.h"
#include "core/checkpoint/part.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define PATH_SIZE       4096
#define PARAMS_SIZE_MAX (16u << 20)

struct restore {
	const char *folder;
	const struct restore_options *options;
	const atomic_bool *stop;
	const struct chain_ops *ops;
	struct chain_params *params;
	struct store *store;
};

static void restore_release(struct restore *r)
{
	store_closep(&r->store);
	if (r->params)
		r->ops->params_free(r->params);
	r->params = NULL;
}

/* ---- the store ---- */

static int make(struct restore *r, const char *part, const struct checkpoint_info *info,
		struct err *err)
{
	const struct restore_options *o = r->options;
	AUTO(buf_release) struct buf params = BUF_INIT(PARAMS_SIZE_MAX);
	struct load load = {
		.folder = r->folder,
		.info = info,
		.stop = r->stop,
		.progress = o->progress,
		.arg = o->arg,
	};
	struct network *n;
	struct store_options options = {
		.create = true,
		.holder = "restore",
		.sync_off = o->sync_off,
	};
	int rc = r->ops->params_write(r->params, &params);

	if (rc == 0)
		rc = buf_done(&params);
	if (rc < 0)
		return err_set(err, rc, "the parameters cannot be written: %s", strerror(-rc));
	rc = store_open(part, &options, &r->store, err);
	if (rc == 0)
		rc = store_space(r->store, err);
	if (rc == 0)
		rc = store_network_new(r->store, o->network, r->ops, buf_slice(&params),
				       o->trust ? o->trust : "archive", &n, err);
	return rc < 0 ? rc : checkpoint_load(&load, r->store, n, err);
}

/* The store is closed, and then has a name: who finds it finds all of it. */
static int place(struct restore *r, const char *part, const char *path, struct err *err)
{
	store_closep(&r->store);
	if (r->stop && atomic_load(r->stop))
		return err_set(err, -EINTR, "interrupted; nothing was made");
	return part_place(part, path, err);
}

/* ---- what is asked, and whether it proves ---- */

static int read_file(const struct restore *r, const char *name, size_t size_max, struct buf *out,
		     struct err *err)
{
	char path[PATH_SIZE];

	if ((size_t)snprintf(path, sizeof path, "%s/%s", r->folder, name) >= sizeof path)
		return err_set(err, -ENAMETOOLONG, "%s: the path is too long", r->folder);
	return files_read_plain(AT_FDCWD, path, size_max, out, err);
}

/* The parameters that it is proved and stored with: the caller's, or those in the evidence. */
static int read_params(struct restore *r, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(PARAMS_SIZE_MAX);
	struct slice given = r->options->params;
	int rc = given.n ? 0 : read_file(r, "evidence/network.json", PARAMS_SIZE_MAX, &text, err);

	if (rc == 0)
		rc = r->ops->params_parse(given.n ? given : buf_slice(&text), &r->params, err);
	return rc < 0 ? err_note(err, rc, "parameters") : 0;
}

static int read_info(struct restore *r, struct checkpoint_info *out, struct err *err)
{
	AUTO(buf_release) struct buf text = BUF_INIT(CHECKPOINT_INFO_MAX);
	int rc = read_file(r, "info", CHECKPOINT_INFO_MAX, &text, err);

	if (rc == 0)
		rc = checkpoint_info_read(buf_slice(&text), out, err);
	if (rc < 0)
		return err_note(err, rc, "%s: info", r->folder);
	r->ops = chain_kind(out->kind);
	return r->ops ? 0
		      : err_set(err, -EPROTONOSUPPORT,
				"%s is of kind %s, which this program does not know", r->folder,
				out->kind);
}

/* The first level that does not hold, in words. */
static int proved(const struct restore *r, const struct proof *proof, struct err *err)
{
	enum proof_level failed = proof_failed(proof);

	if (failed == PROOF_COUNT)
		return 0;
	const struct level_result *l = &proof->levels[failed];

	return err_set(err, failed == PROOF_COMMITS ? -EKEYREJECTED : -EBADMSG,
		       "%s does not prove: %s: %s%s%s", r->folder, proof_names[failed],
		       verdict_names[l->verdict], l->reason[0] ? ": " : "", l->reason);
}

int checkpoint_restore(const char *folder, const char *path, const struct restore_options *o,
		       const atomic_bool *stop, struct proof *proof, struct err *err)
{
	AUTO(restore_release)
	struct restore r = {
		.folder = folder,
		.options = o,
		.stop = stop,
	};
	char part[PART_PATH_MAX];
	struct stat st;
	struct checkpoint_info info;

	*proof = (struct proof){ .records = 0 };
	if (lstat(path, &st) == 0)
		return err_set(err, -EEXIST, "%s is there already; a restore makes a new store",
			       path);
	int rc = read_info(&r, &info, err);

	if (rc == 0)
		rc = read_params(&r, err);
	if (rc == 0)
		rc = checkpoint_prove(folder, r.params, stop, proof, err);
	if (rc == 0)
		rc = proved(&r, proof, err);
	if (rc == 0)
		rc = part_begin(path, part, err);
	if (rc < 0)
		return rc;
	rc = make(&r, part, &proof->info, err);
	if (rc == 0)
		rc = place(&r, part, path, err);
	if (rc < 0) {
		restore_release(&r);
		rc = part_drop(part, rc, err);
	}
	return rc;
}
