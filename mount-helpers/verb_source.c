/* chainfs source add, remove, pardon, list: who serves blocks of a network. */
#include "mount-helpers/verbs.h"

#include <stdio.h>

#include "core/base/json.h"
#include "core/store/network.h"
#include "net/live.h"

#define LINE_MAX_SIZE (1u << 16)

static struct live *live_of(const struct verb_call *c)
{
	return c->env ? c->env->live : NULL;
}

int verb_source_add(struct verb_call *c)
{
	struct source_entry e = { .name = "" };
	AUTO(buf_release) struct buf line = BUF_INIT(SOURCES_TEXT_MAX);
	struct network *n = NULL;
	struct err err = ERR_INIT;
	const char *name = c->options[OPTION_NAME];
	char own[SOURCE_NAME_MAX + 1];
	size_t count = 0;
	int rc = verb_network(c, &n, &err);

	source_name_of(c->words[1], own);
	/* As a line of the file, so that all of it is checked as that is. */
	buf_fmt(&line, "%s %s %s", name ? name : own, c->words[1],
		c->word_count > 2 ? c->words[2] : "");
	if (rc == 0)
		rc = buf_done(&line);
	if (rc == 0)
		rc = source_entries_read(buf_slice(&line), &e, 1, &count, &err);
	if (rc == 0 && count != 1)
		rc = err_set(&err, -EINVAL, "\"%.80s\" is no name of a source", name ? name : own);
	if (rc == 0)
		rc = store_writable(c->store, &err);
	if (rc == 0)
		rc = live_of(c) ? live_source_add(live_of(c), n, &e, &err)
				: live_file_add(c->store, n, &e, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	verb_print(c, "%s\n", e.name);
	return EXIT_DONE;
}

int verb_source_remove(struct verb_call *c)
{
	struct network *n = NULL;
	struct err err = ERR_INIT;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = store_writable(c->store, &err);
	if (rc == 0)
		rc = live_of(c) ? live_source_remove(live_of(c), n, c->words[1], &err)
				: live_file_remove(c->store, n, c->words[1], &err);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

int verb_source_pardon(struct verb_call *c)
{
	struct network *n = NULL;
	struct err err = ERR_INIT;
	int rc = verb_network(c, &n, &err);

	if (rc < 0)
		return verb_fail(c, rc, &err);
	struct follows *l = c->env ? c->env->follows : NULL;
	struct follow *f = follows_get(l, n);

	if (!f)
		rc = err_set(&err, -ENOENT, "nobody follows %s: no daemon, or no sources",
			     network_name(n));
	else if ((rc = follow_pardon(f, c->words[1])) == -ENOENT)
		err_set(&err, rc, "network %s has no source %s", network_name(n), c->words[1]);
	follows_put(l, &f);
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}

/* ---- list ---- */

static const char *state_of(const struct follow_source_sight *s)
{
	if (!s)
		return "-";
	if (s->sync.circuit != CIRCUIT_CLOSED)
		return circuit_names[s->sync.circuit];
	return s->words.connected ? "connected" : "connecting";
}

static void print_source(struct verb_call *c, struct network *n, const struct source_entry *e,
			 const struct follow_source_sight *s)
{
	AUTO(buf_release) struct buf out = BUF_INIT(LINE_MAX_SIZE);
	uint64_t score = s ? (uint64_t)(s->sync.score * 1000 + 0.5) : 0;
	const char *error = s ? s->sync.detail.reason : "";

	if (!verb_has(c, OPTION_JSON)) {
		verb_print(c, "%s\t%s\t%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%s\n",
			   network_name(n), e->name, e->url, e->operator_name, state_of(s), score,
			   s ? s->sync.heights : 0, s ? s->sync.bytes : 0, error);
		return;
	}
	struct json j = json_of(&out, JSON_LINE);

	json_object(&j, NULL);
	json_str(&j, "address", e->url);
	json_u64(&j, "bytes", s ? s->sync.bytes : 0);
	json_str(&j, "error", error);
	json_u64(&j, "heights", s ? s->sync.heights : 0);
	json_str(&j, "name", e->name);
	json_str(&j, "network", network_name(n));
	json_str(&j, "operator", e->operator_name);
	json_u64(&j, "score", score);
	json_str(&j, "state", state_of(s));
	json_str(&j, "version", s ? s->words.version : "");
	json_end(&j);
	if (json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
}

static int list_network(struct verb_call *c, struct network *n, struct err *err)
{
	struct follows *l = c->env ? c->env->follows : NULL;
	struct follow *f = follows_get(l, n);
	struct source_entry list[SYNC_SOURCES_MAX];
	struct follow_source_sight s;
	size_t count = 0;
	int rc = live_file_read(c->store, n, list, &count, err);

	for (size_t i = 0; rc == 0 && i < count; i++) {
		bool found = false;

		for (unsigned k = 0; f && !found && follow_source_sight(f, k, &s); k = s.number + 1)
			found = strcmp(s.entry.name, list[i].name) == 0;
		print_source(c, n, &list[i], found ? &s : NULL);
	}
	follows_put(l, &f);
	return rc;
}

int verb_source_list(struct verb_call *c)
{
	struct network *one = NULL;
	struct err err = ERR_INIT;
	int rc = verb_has(c, OPTION_NETWORK) ? verb_network(c, &one, &err) : 0;

	for (size_t i = 0; rc == 0 && i < store_network_count(c->store); i++) {
		struct network *n = store_network_at(c->store, i);

		if (!one || one == n)
			rc = list_network(c, n, &err);
	}
	return rc < 0 ? verb_fail(c, rc, &err) : EXIT_DONE;
}
