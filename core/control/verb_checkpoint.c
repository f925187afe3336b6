/* chainfs checkpoint: writes a checkpoint of the state into a folder. */
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "core/checkpoint/build.h"
#include "core/control/verb.h"

static int height_of(const struct verb_call *c, struct network *n, uint64_t *out, struct err *err)
{
	const char *text = c->options[OPTION_HEIGHT];

	if (!text)
		return checkpoint_newest(n, out, err);
	return dec_get(text, strlen(text), UINT64_MAX - 1, out) < 0
		       ? err_set(err, -EINVAL, "--height %s is no height", text)
		       : 0;
}

static void report_json(struct verb_call *c, const char *path, uint64_t height,
			const struct build_progress *p)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	struct json j = json_of(&out, JSON_PRETTY);

	json_object(&j, NULL);
	json_u64(&j, "bytes", atomic_load(&p->bytes));
	json_u64(&j, "height", height);
	json_str(&j, "path", path);
	json_u64(&j, "records", atomic_load(&p->records));
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

int verb_checkpoint(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct network *n;
	struct build_progress progress = { .records = 0 };
	char parent[PATH_MAX], name[CHECKPOINT_NAME_SIZE];
	char path[PATH_MAX + CHECKPOINT_NAME_SIZE + 1];
	uint64_t height;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = height_of(c, n, &height, &err);
	if (rc == 0) {
		rc = verb_path(c, c->words[1], parent, sizeof parent);
		if (rc < 0)
			err_set(&err, rc, "%s: too long a path", c->words[1]);
	}
	if (rc == 0 && mkdir(parent, 0777) < 0 && errno != EEXIST) {
		rc = -errno;
		err_set(&err, rc, "%s: %s", parent, strerror(errno));
	}
	if (rc == 0)
		rc = checkpoint_build(n, height, parent, false, &progress, c->io->stop, name, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	snprintf(path, sizeof path, "%s/%s", parent, name);
	if (verb_has(c, OPTION_JSON))
		report_json(c, path, height, &progress);
	else
		verb_print(c, "%s\n", path);
	return EXIT_DONE;
}
