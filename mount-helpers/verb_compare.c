/* chainfs compare: the accounts by which the state of a node differs from ours. Here and not in
 * core/control, because it is a node that is asked. */
#include "core/sync/compare.h"

#include <stdio.h>

#include "core/control/verb.h"
#include "mount-helpers/verbs.h"
#include "net/replica.h"

#define REPORT_SIZE_MAX (64u << 20)
#define TRIES_MAX       3u /* while the node's state moves on */
#define SENTENCE_SIZE   256

struct comparing {
	struct verb_call *call;
	struct json *json; /* NULL: lines */
	const struct view *view;
	struct loop *loop;
	struct compare_theirs theirs;
	uint64_t heights[SHARD_MAX];
	uint32_t shard;
	uint64_t at; /* height of ours */
	uint64_t differ;
};

static void comparing_release(struct comparing *c)
{
	theirs_close(&c->theirs);
	loop_closep(&c->loop);
}

/* ---- what is told ---- */

static const char *root_text(const struct compare_root *r, char out[2 * HASH20_SIZE + 1])
{
	snprintf(out, 2, "-");
	if (r->there)
		hex_put(out, r->root, HASH20_SIZE);
	return out;
}

/* What the two heights mean for the answer; "" when they are one. */
static void heights_text(const struct comparing *c, char out[SENTENCE_SIZE])
{
	uint64_t there = c->heights[c->shard], here = c->view->shards[c->shard].replayed;

	out[0] = '\0';
	if (c->at == there && c->at > here)
		snprintf(out, SENTENCE_SIZE,
			 "the root of height %" PRIu64
			 " does not come out here: compared is what came out",
			 c->at);
	else if (c->at == there && c->at < here)
		snprintf(out, SENTENCE_SIZE,
			 "the node is at %" PRIu64 ", this store at %" PRIu64
			 ": compared as of %" PRIu64,
			 there, here, c->at);
	else if (c->at != there)
		snprintf(out, SENTENCE_SIZE,
			 "the node is at %" PRIu64 ", this store at %" PRIu64
			 ": accounts that blocks in between changed differ as well",
			 there, c->at);
}

static void root_json(struct json *j, const char *name, const struct compare_root *r)
{
	char hex[2 * HASH20_SIZE + 1];

	json_object(j, name);
	json_u64(j, "records", r->records);
	json_str(j, "root", r->there ? root_text(r, hex) : "");
	json_end(j);
}

static void found(void *arg, const struct compare_difference *d)
{
	struct comparing *c = arg;
	char here[2 * HASH20_SIZE + 1], there[2 * HASH20_SIZE + 1];

	c->differ++;
	if (!c->json) {
		verb_print(c->call,
			   "shard %u: account %" PRIu64 " %s: here %s, %" PRIu64
			   " records; there %s, %" PRIu64 " records\n",
			   c->shard, d->account, compare_how_names[d->how],
			   root_text(&d->here, here), d->here.records, root_text(&d->there, there),
			   d->there.records);
		return;
	}
	json_object(c->json, NULL);
	json_u64(c->json, "account", d->account);
	root_json(c->json, "here", &d->here);
	json_str(c->json, "how", compare_how_names[d->how]);
	root_json(c->json, "there", &d->there);
	json_end(c->json);
}

static void told(struct comparing *c, const struct compare_totals *t)
{
	char hex[2 * HASH20_SIZE + 1];

	if (c->json) {
		json_end(c->json);
		json_bool(c->json, "equal", !t->differences && !t->cut);
		json_u64(c->json, "height", c->at);
		json_bool(c->json, "more", t->cut);
		json_u64(c->json, "node_height", c->heights[c->shard]);
		json_str(c->json, "node_root", t->there.there ? root_text(&t->there, hex) : "");
		json_u64(c->json, "requests", t->requests);
		json_str(c->json, "root", t->here.there ? root_text(&t->here, hex) : "");
		json_u64(c->json, "shard", c->shard);
		json_end(c->json);
	} else if (!t->differences && !t->cut) {
		verb_print(c->call,
			   "shard %u: equal as of %" PRIu64 ": root %s, %" PRIu64
			   " accounts, %" PRIu64 " records\n",
			   c->shard, c->at, root_text(&t->here, hex), t->accounts, t->here.records);
	} else {
		verb_print(c->call,
			   "shard %u: accounts that differ: %" PRIu64 "%s, accounts here: %" PRIu64
			   ", requests: %u\n",
			   c->shard, t->differences, t->cut ? " and perhaps more" : "", t->accounts,
			   t->requests);
	}
}

/* ---- a shard ---- */

/* As of the node's height, where that can be read here; else the newest. */
static int open_ours(struct comparing *c, struct compare_state **out, struct err *err)
{
	const struct shard_view *sv = &c->view->shards[c->shard];
	uint64_t there = c->heights[c->shard];
	struct err why = ERR_INIT;
	int rc = -ENODATA;

	c->at = there;
	if (there && there != sv->replayed && there <= sv->replayed + 1)
		rc = compare_state_open(c->view, c->shard, there, out, &why);
	if (rc == -ENODATA) {
		c->at = sv->replayed;
		return compare_state_open(c->view, c->shard, c->at, out, err);
	}
	return rc < 0 ? err_set(err, rc, "%s", err_text(&why, rc)) : 0;
}

/* Found accounts are told as they come, so what is found is held until the walk has ended well. */
struct finds {
	struct compare_difference *list;
	size_t count, cap;
	bool lost;
};

static void find(void *arg, const struct compare_difference *d)
{
	struct finds *f = arg;

	if (base_grow(&f->list, &f->cap, f->count + 1, sizeof *f->list) < 0) {
		f->lost = true;
		return;
	}
	f->list[f->count++] = *d;
}

static int compare_once(struct comparing *c, struct finds *f, struct compare_totals *totals,
			struct err *err)
{
	AUTO(compare_state_closep) struct compare_state *state = NULL;
	struct compare_options o = {
		.shard = c->shard, .stop = c->call->io->stop, .found = find, .arg = f
	};
	struct compare_ours ours;

	f->count = 0;
	f->lost = false;
	int rc = c->theirs.heights(c->theirs.arg, c->heights, err);

	if (rc == 0)
		rc = open_ours(c, &state, err);
	if (rc < 0)
		return rc;
	ours = compare_state_ours(state);
	rc = compare_walk(&ours, &c->theirs, &o, totals, err);
	return rc == 0 && f->lost ? err_set(err, -ENOMEM, "no memory for what differs") : rc;
}

static int compare_shard(struct comparing *c, struct err *err)
{
	struct compare_totals totals;
	struct finds f = { .count = 0 };
	char heights[SENTENCE_SIZE];
	int rc = -ESTALE;

	for (unsigned i = 0; rc == -ESTALE && i < TRIES_MAX; i++)
		rc = compare_once(c, &f, &totals, err);
	if (rc == 0) {
		heights_text(c, heights);
		if (c->json) {
			json_object(c->json, NULL);
			json_str(c->json, "about", heights);
			json_array(c->json, "accounts");
		} else if (heights[0]) {
			verb_print(c->call, "shard %u: %s\n", c->shard, heights);
		}
		for (size_t i = 0; i < f.count; i++)
			found(c, &f.list[i]);
		told(c, &totals);
		c->differ += totals.cut;
	}
	free(f.list);
	return rc < 0 ? err_note(err, rc, "shard %u", c->shard) : 0;
}

int verb_compare(struct verb_call *call)
{
	AUTO(comparing_release) struct comparing c = { .call = call };
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	const char *only = call->options[OPTION_SHARD];
	char scheme[16], host[SOURCE_URL_MAX + 1], *end = NULL;
	unsigned long shard = only ? strtoul(only, &end, 10) : 0;
	struct err err = ERR_INIT;
	struct network *n = NULL;
	uint16_t port = 0;
	int rc = source_url_parse(call->words[1], scheme, host, &port, &err);

	if (rc == 0)
		rc = verb_network(call, &n, &err);
	if (rc < 0)
		return verb_fail(call, rc, &err);
	AUTO(view_putp) struct view *v = network_view_get(n);

	c.view = v;
	if (only && (*end || *only < '0' || *only > '9' || shard >= v->shard_count))
		rc = err_set(&err, -EINVAL, "--shard %.40s is no shard", only);
	else if (only && !shard)
		rc = err_set(&err, -EINVAL, "--shard 0: nodes tell no trie of the main shard");
	if (rc == 0)
		rc = loop_open("compare", &c.loop, &err);
	if (rc == 0)
		rc = theirs_open(c.loop, network_ops(n)->kind, scheme, host, port, call->io->stop,
				 &c.theirs, &err);
	c.json = verb_has(call, OPTION_JSON) ? &j : NULL;
	json_array(&j, NULL);
	for (c.shard = 1; rc == 0 && c.shard < v->shard_count; c.shard++)
		if (!only || c.shard == shard)
			rc = compare_shard(&c, &err);
	json_end(&j);
	if (rc < 0)
		return verb_fail(call, rc, &err);
	if (c.json && json_done(&j) == 0)
		verb_write(call, buf_slice(&out));
	return c.differ ? EXIT_FAULTS : EXIT_DONE;
}
