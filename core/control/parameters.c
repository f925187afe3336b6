#include "core/control/parameters.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#include "core/base/files.h"
#include "core/sync/archive.h"

#define PATH_SIZE    4096
#define DEFAULT_KIND "snapchain"

static bool json_word(struct slice text, const char *key, char *out, size_t size)
{
	cJSON *root = text.n ? cJSON_ParseWithLength((const char *)text.p, text.n) : NULL;
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
	bool found = cJSON_IsString(item) && strlen(item->valuestring) < size;
	if (found)
		snprintf(out, size, "%s", item->valuestring);
	cJSON_Delete(root);
	return found;
}

static int canonical(const struct chain_ops *ops, struct slice text, struct buf *out,
		     struct err *err)
{
	struct chain_params *p = NULL;
	int rc = ops->params_parse(text, &p, err);
	if (rc < 0)
		return rc;
	rc = ops->params_write(p, out);
	ops->params_free(p);
	if (rc == 0)
		rc = buf_done(out);
	return rc < 0 ? err_set(err, rc, "the parameters cannot be written: %s", strerror(-rc)) : 0;
}

int parameters_choose(struct verb_call *c, const char *what, struct slice from_archive,
		      struct parameters *p, struct err *err)
{
	AUTO(buf_release) struct buf config = BUF_INIT(ARCHIVE_CONFIG_SIZE_MAX);
	struct slice text = from_archive;
	if (c->options[OPTION_CONFIG]) {
		char path[PATH_SIZE];
		int rc = verb_path(c, c->options[OPTION_CONFIG], path, sizeof path);
		if (rc == 0)
			rc = files_read(path, ARCHIVE_CONFIG_SIZE_MAX, &config, err);
		if (rc < 0)
			return rc;
		text = buf_slice(&config);
	}
	const char *name = c->options[OPTION_NETWORK];
	if (name && strlen(name) > NETWORK_NAME_MAX)
		return err_set(err, -EINVAL, "--network %.80s: longer than %d letters", name,
			       NETWORK_NAME_MAX);
	if (name)
		snprintf(p->name, sizeof p->name, "%s", name);
	else if (!json_word(text, "network", p->name, sizeof p->name) &&
		 !json_word(from_archive, "network", p->name, sizeof p->name))
		return err_set(err, -EINVAL,
			       "the %s does not name its network; say --network NAME", what);

	char kind[64] = DEFAULT_KIND;
	json_word(text, "kind", kind, sizeof kind);
	p->ops = chain_kind(kind);
	if (!p->ops)
		return err_set(err, -EINVAL,
			       "\"%.60s\" is no kind of network that this program reads", kind);

	const char *preset = p->ops->preset ? p->ops->preset(p->name) : NULL;
	if (c->options[OPTION_CONFIG]) {
		p->trust = "config";
	} else if (preset && !verb_has(c, OPTION_TRUST_ARCHIVE)) {
		p->trust = "preset";
		text = slice_str(preset);
	} else if (from_archive.n) {
		p->trust = "archive";
	} else {
		return err_set(
			err, -EINVAL,
			"the %s has no network.json; give the parameters with --config FILE", what);
	}
	int rc = canonical(p->ops, text, &p->text, err);
	return rc < 0 ? err_note(err, rc, "parameters from the %s", p->trust) : 0;
}

void parameters_release(struct parameters *p)
{
	buf_release(&p->text);
}

int parameters_network(struct verb_call *c, struct slice archive_json, struct network **out,
		       struct err *err)
{
	AUTO(parameters_release)
	struct parameters p = PARAMETERS_INIT;
	int rc = parameters_choose(c, "archive", archive_json, &p, err);
	if (rc < 0)
		return rc;
	*out = store_network_find(c->store, p.name);
	if (!*out)
		return store_network_new(c->store, p.name, p.ops, buf_slice(&p.text), p.trust, out,
					 err);
	if (slice_eq(network_params_text(*out), buf_slice(&p.text)))
		return 0;
	return err_set(err, -EEXIST,
		       "network %s is in the store with other parameters (from the %s); "
		       "use another --network NAME, or the same --config FILE",
		       p.name, network_trust(*out));
}
