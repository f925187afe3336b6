/* chainfs trust add, pin and list; distrust; rollback. */
#include "core/base/clock.h"
#include "core/base/files.h"
#include "core/checkpoint/trust.h"
#include "core/control/trust_orders.h"
#include "core/control/verb.h"

#define PATH_SIZE       4096
#define REPORT_SIZE_MAX ((size_t)TRUST_ROWS_MAX * 1024)

static int shard_of(const struct verb_call *c, uint32_t *out, struct err *err)
{
	const char *text = c->options[OPTION_SHARD];
	uint64_t shard = 0;

	if (text && dec_get(text, strlen(text), SHARD_MAX - 1, &shard) < 0)
		return err_set(err, -EINVAL, "--shard %s: it is a number below %d", text,
			       SHARD_MAX);
	*out = (uint32_t)shard;
	return 0;
}

/* What every order needs; `said` gets its lines. */
static int begin(struct verb_call *c, struct buf *said, struct trust_order *o, uint32_t *shard,
		 struct err *err)
{
	*o = (struct trust_order){
		.store = c->store,
		.events = c->events,
		.gate = c->gate,
		.stop = c->io->stop,
		.said = said,
		.follows = c->env ? c->env->follows : NULL,
	};
	*shard = 0;
	int rc = verb_network(c, &o->network, err);

	if (rc == 0)
		rc = shard_of(c, shard, err);
	if (rc == 0)
		rc = verb_wait(c, network_name(o->network), err);
	return rc;
}

static int end(struct verb_call *c, int rc, const struct buf *said, const struct err *err)
{
	verb_write(c, buf_slice(said)); /* also what was done before the rest failed */
	return rc < 0 ? verb_fail(c, rc, err) : EXIT_DONE;
}

static int read_evidence(struct verb_call *c, struct buf *out, struct err *err)
{
	char path[PATH_SIZE];
	int rc = verb_path(c, c->options[OPTION_EVIDENCE], path, sizeof path);

	if (rc == 0)
		rc = files_read(path, BLOCK_SIZE_MAX, out, err);
	return rc == 0 && out->n == 0 ? err_set(err, -EBADMSG, "%s is empty", path) : rc;
}

int verb_trust_add(struct verb_call *c)
{
	AUTO(buf_release) struct buf said = BUF_INIT(1u << 16);
	AUTO(buf_release) struct buf block = BUF_INIT(BLOCK_SIZE_MAX);
	struct err err = ERR_INIT;
	struct trust_order o;
	uint64_t height = 0;
	uint32_t shard;
	const char *text = c->options[OPTION_HEIGHT];
	int rc = begin(c, &said, &o, &shard, &err);

	if (rc == 0 && text &&
	    (dec_get(text, strlen(text), UINT64_MAX - 1, &height) < 0 || !height))
		rc = err_set(&err, -EINVAL, "--height %s: it is a height", text);
	if (rc == 0 && verb_has(c, OPTION_EVIDENCE))
		rc = read_evidence(c, &block, &err);
	if (rc == 0)
		rc = trust_order_add(&o, shard, height, buf_slice(&block), &err);
	return end(c, rc, &said, &err);
}

int verb_trust_pin(struct verb_call *c)
{
	AUTO(buf_release) struct buf said = BUF_INIT(1u << 16);
	struct err err = ERR_INIT;
	struct trust_order o;
	uint8_t hash[HASH_SIZE];
	uint64_t height;
	uint32_t shard;
	int rc = begin(c, &said, &o, &shard, &err);

	if (rc == 0 && dec_get(c->words[1], strlen(c->words[1]), UINT64_MAX - 1, &height) < 0)
		rc = err_set(&err, -EINVAL, "%s is no height", c->words[1]);
	if (rc == 0 && hex_get(c->words[2], strlen(c->words[2]), hash, HASH_SIZE) < 0)
		rc = err_set(&err, -EINVAL, "%s is no hash of %d hex digits", c->words[2],
			     2 * HASH_SIZE);
	if (rc == 0)
		rc = trust_order_pin(&o, shard, height, hash, verb_has(c, OPTION_FORCE),
				     c->word_count > 3 ? c->words[3] : NULL, &err);
	return end(c, rc, &said, &err);
}

int verb_distrust(struct verb_call *c)
{
	AUTO(buf_release) struct buf said = BUF_INIT(1u << 16);
	struct err err = ERR_INIT;
	struct trust_order o;
	uint32_t shard;
	int rc = begin(c, &said, &o, &shard, &err);

	if (rc == 0)
		rc = trust_order_distrust(&o, shard, c->words[1], c->words[2], &err);
	return end(c, rc, &said, &err);
}

static int rollback_json(struct verb_call *c, const struct trust_order *o,
			 const struct rollback_result *r)
{
	AUTO(buf_release) struct buf out = BUF_INIT(1u << 16);
	AUTO(view_putp) struct view *v = network_view_get(o->network);
	struct json j = json_of(&out, JSON_LINE);

	json_object(&j, NULL);
	json_u64(&j, "blocks", r->blocks);
	json_u64(&j, "branch", r->branch);
	json_array(&j, "heights");
	for (uint32_t s = 0; s < v->shard_count; s++)
		json_u64(&j, NULL, r->heights[s]);
	json_end(&j);
	json_u64(&j, "items", r->items);
	json_str(&j, "network", network_name(o->network));
	json_u64(&j, "replayed", r->replayed);
	json_end(&j);
	int rc = json_done(&j);

	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}

int verb_rollback(struct verb_call *c)
{
	AUTO(buf_release) struct buf said = BUF_INIT(1u << 16);
	struct rollback_result result;
	struct err err = ERR_INIT;
	struct trust_order o;
	uint32_t shard;
	int rc = begin(c, &said, &o, &shard, &err);

	if (rc == 0)
		rc = trust_order_rollback(&o, c->words[1], c->word_count > 2 ? c->words[2] : NULL,
					  &result, &err);
	if (rc == 0 && verb_has(c, OPTION_JSON))
		return rollback_json(c, &o, &result);
	return end(c, rc, &said, &err);
}

/* ---- list ---- */

static void row_json(struct json *j, const struct trust_row *r)
{
	char time[TIME_TEXT_SIZE];

	time_text(r->time, time);
	json_object(j, NULL);
	json_str(j, "evidence", r->evidence);
	json_hex(j, "hash", SLICE_ARRAY(r->hash));
	json_u64(j, "height", r->height);
	json_str(j, "reason", r->reason);
	json_hex(j, "root", SLICE(r->root, r->root_size));
	json_hex(j, "set", SLICE(r->set, r->has_set ? HASH_SIZE : 0));
	json_u64(j, "shard", r->shard);
	json_str(j, "source", trust_source_names[r->source]);
	json_str(j, "state", trust_state_names[r->state]);
	json_str(j, "time", time);
	json_str(j, "who", r->who);
	json_end(j);
}

int verb_trust_list(struct verb_call *c)
{
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	AUTO(trust_release) struct trust t = { 0 };
	struct json j = json_of(&out, JSON_PRETTY);
	struct err err = ERR_INIT;
	struct network *n;
	int rc = verb_network(c, &n, &err);

	if (rc == 0)
		rc = trust_load(network_folder(n), &t, &err);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	if (verb_has(c, OPTION_JSON)) {
		json_array(&j, NULL);
		for (size_t i = 0; i < t.count; i++)
			row_json(&j, &t.rows[i]);
		json_end(&j);
		rc = json_done(&j);
	} else {
		trust_render(&t, &out);
		rc = buf_done(&out);
	}
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}
