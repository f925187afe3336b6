/* chainfs config, presets and migrate: what is set, what is known, what is written down. */
#include <cjson/cJSON.h>

#include "core/base/files.h"
#include "core/control/verb.h"

#define PATH_SIZE       4096
#define REPORT_SIZE_MAX (4u << 20)

/* ---- settings ---- */

/* What a folder without a store would have is not a store's. */
static int is_store(struct verb_call *c, struct err *err)
{
	char path[PATH_SIZE];
	uint64_t format;
	int rc = c->word_count && !c->env ? verb_path(c, c->words[0], path, sizeof path) : 1;
	if (rc == 0)
		rc = store_format(path, &format, err);
	return rc ? MIN(rc, 0) : err_set(err, -ENOENT, "there is no store at %s", c->words[0]);
}

int verb_config_show(struct verb_call *c)
{
	struct err err = ERR_INIT;
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	bool json = verb_has(c, OPTION_JSON), origin = verb_has(c, OPTION_ORIGIN);
	int rc = is_store(c, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (json) {
		json_object(&j, NULL);
		json_str(&j, "file", settings_file(c->settings));
		json_array(&j, "settings");
	}
	for (enum setting_id id = 0; id < SETTING_COUNT; id++) {
		const struct setting_row *row = &setting_rows[id];
		if (!json) {
			buf_fmt(&out, "%s\t%s%s%s\n", row->key, settings_text(c->settings, id),
				origin ? "\t" : "", origin ? settings_origin(c->settings, id) : "");
			continue;
		}
		json_object(&j, NULL);
		json_str(&j, "about", row->about);
		json_str(&j, "default", row->standard);
		json_str(&j, "key", row->key);
		json_str(&j, "origin", settings_origin(c->settings, id));
		json_str(&j, "value", settings_text(c->settings, id));
		json_end(&j);
	}
	if (json) {
		json_end(&j);
		json_end(&j);
	}
	rc = buf_done(&out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}

int verb_config_check(struct verb_call *c)
{
	AUTO(settings_freep) struct settings *s = NULL;
	AUTO(buf_release) struct buf text = BUF_INIT(2 * SETTINGS_SIZE_MAX);
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct err err = ERR_INIT;
	char path[PATH_SIZE];
	int rc = verb_path(c, c->words[0], path, sizeof path);
	if (rc == 0)
		rc = files_read(path, SETTINGS_SIZE_MAX, &text, &err);
	if (rc == -EMSGSIZE)
		rc = -EINVAL;
	else if (rc == 0)
		rc = settings_read(buf_slice(&text), c->words[0], &s, &err);
	if (rc < 0 && rc != -EINVAL)
		return verb_fail(c, rc, &err);
	struct json j = json_of(&out, JSON_LINE);
	json_object(&j, NULL);
	json_str(&j, "error", err.text);
	json_str(&j, "file", c->words[0]);
	json_bool(&j, "ok", rc == 0);
	json_end(&j);
	if (verb_has(c, OPTION_JSON) && json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
	else if (rc == 0)
		verb_print(c, "%s: ok\n", c->words[0]);
	else
		verb_say(c, "%s\n", err.text);
	return rc == 0 ? EXIT_DONE : EXIT_FAULTS;
}

/* ---- networks that are known ---- */

static void shards_text(const cJSON *shards, struct buf *out)
{
	const cJSON *shard;
	bool any = false;
	cJSON_ArrayForEach(shard, shards)
	{
		buf_fmt(out, "%s%.0f", any ? "," : "", cJSON_GetNumberValue(shard));
		any = true;
	}
}

/* A line, or an object, a set of validators. */
static void preset_sets(const struct chain_ops *ops, const char *name, struct json *j,
			struct buf *out)
{
	cJSON *root = cJSON_Parse(ops->preset(name));
	const cJSON *set;
	cJSON_ArrayForEach(set, cJSON_GetObjectItemCaseSensitive(root, "validators"))
	{
		const cJSON *from = cJSON_GetObjectItemCaseSensitive(set, "effective_at");
		const cJSON *keys = cJSON_GetObjectItemCaseSensitive(set, "public_keys");
		const cJSON *shards = cJSON_GetObjectItemCaseSensitive(set, "shard_ids"), *at;
		uint64_t height = (uint64_t)cJSON_GetNumberValue(from);
		uint64_t count = (uint64_t)cJSON_GetArraySize(keys);
		if (j) {
			json_object(j, NULL);
			json_u64(j, "from", height);
			json_str(j, "kind", ops->kind);
			json_str(j, "network", name);
			json_array(j, "shards");
			cJSON_ArrayForEach(at, shards)
				json_u64(j, NULL, (uint64_t)cJSON_GetNumberValue(at));
			json_end(j);
			json_u64(j, "validators", count);
			json_end(j);
			continue;
		}
		buf_fmt(out, "%s\t%s\t%010" PRIu64 "\t", name, ops->kind, height);
		shards_text(shards, out);
		buf_fmt(out, "\t%" PRIu64 "\n", count);
	}
	cJSON_Delete(root);
}

static int print_preset(struct verb_call *c, const char *name)
{
	struct err err = ERR_INIT;
	const struct chain_ops *ops;
	for (size_t i = 0; (ops = chain_kind_at(i)); i++) {
		const char *text = ops->preset ? ops->preset(name) : NULL;
		if (!text)
			continue;
		verb_write(c, slice_str(text));
		return EXIT_DONE;
	}
	err_set(&err, -ENOENT, "no parameters are known of a network %.80s", name);
	return verb_fail(c, -ENOENT, &err);
}

int verb_presets(struct verb_call *c)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	bool json = verb_has(c, OPTION_JSON);
	const struct chain_ops *ops;
	const char *name;
	if (c->word_count)
		return print_preset(c, c->words[0]);
	if (json)
		json_array(&j, NULL);
	for (size_t i = 0; (ops = chain_kind_at(i)); i++)
		for (size_t k = 0; ops->preset_name && (name = ops->preset_name(k)); k++)
			preset_sets(ops, name, json ? &j : NULL, &out);
	if (json)
		json_end(&j);
	int rc = buf_done(&out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}

/* ---- the format ---- */

int verb_migrate(struct verb_call *c)
{
	struct err err = ERR_INIT;
	uint64_t format = 0;
	int rc = store_format(c->words[0], &format, &err);
	if (rc == 0)
		rc = err_set(&err, -ENOENT, "%s is not a store: it names no format", c->words[0]);
	else if (rc > 0 && format > STORE_FORMAT)
		rc = err_set(&err, -EPROTONOSUPPORT,
			     "%s has format %" PRIu64
			     ", which a later program made; this one reads "
			     "and writes format %d and takes nothing back",
			     c->words[0], format, STORE_FORMAT);
	else if (rc > 0 && format < STORE_FORMAT_OLDEST)
		rc = err_set(&err, -EPROTONOSUPPORT, "%s has format %" PRIu64 ", which never was",
			     c->words[0], format);
	else if (rc > 0)
		rc = store_migrate(c->words[0], &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (verb_has(c, OPTION_JSON))
		verb_print(c, "{\"format\":%d,\"migrated\":%s}\n", STORE_FORMAT,
			   rc ? "true" : "false");
	else if (rc)
		verb_print(c,
			   "%s has format %d now, and had %" PRIu64
			   "; older programs refuse it from here on\n",
			   c->words[0], STORE_FORMAT, format);
	else
		verb_print(c, "%s has format %" PRIu64 ", the one of this program: nothing to do\n",
			   c->words[0], format);
	return EXIT_DONE;
}
