/* chainfs guessed: accounts of which no root covers all that the rules need. */
#include "core/checkpoint/bootstrap.h"
#include "core/control/verb.h"

#include <stdio.h>

#define REPORT_SIZE_MAX (256u << 20)

struct listing {
	struct verb_call *call;
	struct json *json; /* NULL: lines */
	uint32_t shard;
};

static int list(void *arg, uint64_t account, const char *text)
{
	struct listing *l = arg;

	if (!l->json) {
		verb_print(l->call, "%u\t%" PRIu64 "\t%s\n", l->shard, account, text);
		return 0;
	}
	json_object(l->json, NULL);
	json_u64(l->json, "account", account);
	json_str(l->json, "guessed", text);
	json_u64(l->json, "shard", l->shard);
	json_end(l->json);
	return 0;
}

int verb_guessed(struct verb_call *c)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	struct listing l = { .call = c, .json = verb_has(c, OPTION_JSON) ? &j : NULL };
	const char *only = c->options[OPTION_SHARD];
	struct err err = ERR_INIT;
	struct network *n;
	char *end = NULL;
	unsigned long shard = only ? strtoul(only, &end, 10) : 0;
	int rc = verb_network(c, &n, &err);

	if (rc == 0 && only && (*end || *only < '0' || *only > '9' || shard >= SHARD_MAX))
		rc = err_set(&err, -EINVAL, "--shard %.40s is no shard", only);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	AUTO(view_putp) struct view *v = network_view_get(n);

	json_array(&j, NULL);
	for (l.shard = 0; rc >= 0 && l.shard < v->shard_count; l.shard++)
		if (!only || l.shard == shard)
			rc = bootstrap_marked(n, l.shard, list, &l, &err);
	json_end(&j);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (l.json && json_done(&j) == 0)
		verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}
