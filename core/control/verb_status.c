/* chainfs status and gaps: what a store holds, and what is missing of it. */
#include <stdio.h>

#include "core/base/clock.h"
#include "core/checkpoint/bootstrap.h"
#include "core/control/metrics.h"
#include "core/control/verb_status.h"
#include "core/ingest/gate.h"
#include "core/store/network.h"

#define REPORT_SIZE_MAX (256u << 20)

static const char *root_text(const struct chain_root *r, char out[2 * ROOT_SIZE_MAX + 1])
{
	if (!r->root_size)
		return "-";
	hex_put(out, r->root, r->root_size);
	return out;
}

/* Accounts of which a bootstrap had to guess something. */
static uint64_t guessed(struct network *n, uint32_t shard)
{
	int count = bootstrap_marked(n, shard, NULL, NULL, NULL);

	return count > 0 ? (uint64_t)count : 0;
}

/* s NULL: nobody follows it. */
static void status_json(const struct view *v, const struct sight *s, struct json *j)
{
	char hex[2 * ROOT_SIZE_MAX + 1];
	json_object(j, NULL);
	json_str(j, "kind", network_ops(v->network)->kind);
	json_str(j, "name", network_name(v->network));
	json_array(j, "shards");
	for (uint32_t k = 0; k < v->shard_count; k++) {
		const struct shard_view *sv = &v->shards[k];
		json_object(j, NULL);
		if (sv->begins)
			json_u64(j, "begins", sv->begins);
		json_u64(j, "bytes", sv->bytes);
		if (guessed(v->network, k))
			json_u64(j, "guessed_accounts", guessed(v->network, k));
		json_u64(j, "held", gaps_held(&sv->gaps));
		json_bool(j, "hyper", sv->hyper_on);
		json_u64(j, "hyper_base", sv->base_height);
		json_u64(j, "hyper_bytes", sv->hyper_bytes);
		json_str(j, "hyper_root", root_text(&sv->hyper, hex));
		json_u64(j, "items", sv->items);
		json_u64(j, "known", sv->known);
		json_str(j, "legacy_root", root_text(&sv->legacy, hex));
		json_u64(j, "missing", sv->known - gaps_held(&sv->gaps));
		json_u64(j, "records", sv->legacy.records);
		json_u64(j, "refused_items", sv->refused_items);
		json_u64(j, "replayed", sv->replayed);
		json_u64(j, "retained", sv->retained);
		json_u64(j, "shard", k);
		json_u64(j, "tip", sv->tip);
		json_end(j);
	}
	json_end(j);
	if (s)
		status_sync_json(s, j);
	json_str(j, "validators_from", network_trust(v->network));
	json_end(j);
}

static void status_text(struct verb_call *c, const struct view *v)
{
	char hex[2 * ROOT_SIZE_MAX + 1], time[TIME_TEXT_SIZE];
	const char *trust = network_trust(v->network);
	verb_print(c, "network %s\nkind %s\nvalidators from the %s%s\n", network_name(v->network),
		   network_ops(v->network)->kind, trust,
		   strcmp(trust, "archive") == 0 ? ": it vouches for itself" : "");
	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];
		verb_print(c, "\nshard %u\n", s);
		verb_print(c,
			   "  held     %" PRIu64 " of %" PRIu64 " heights known, %" PRIu64
			   " items, %" PRIu64 " bytes\n",
			   gaps_held(&sv->gaps), sv->known, sv->items, sv->bytes);
		if (sv->tip) {
			time_text(sv->tip_time, time);
			verb_print(c, "  tip      %" PRIu64 " of %s\n", sv->tip, time);
		}
		verb_print(c, "  replayed %" PRIu64, sv->replayed);
		if (sv->begins)
			verb_print(c, ", from the state of a checkpoint at %" PRIu64, sv->begins);
		verb_print(c, "\n");
		if (guessed(v->network, s))
			verb_print(c,
				   "  guessed  something of %" PRIu64
				   " accounts (chainfs guessed)\n",
				   guessed(v->network, s));
		verb_print(c, "  legacy   root %s, %" PRIu64 " records\n",
			   root_text(&sv->legacy, hex), sv->legacy.records);
		if (sv->hyper_on)
			verb_print(c,
				   "  hyper    root %s, %" PRIu64 " records, %" PRIu64
				   " retained since height %" PRIu64 ", %" PRIu64 " bytes\n",
				   root_text(&sv->hyper, hex), sv->hyper.records, sv->retained,
				   sv->base_height, sv->hyper_bytes);
		else
			verb_print(c, "  hyper    off\n");
	}
}

/* The soft cap of what hyper holds alone, where there is one. */
static void soft_cap_text(struct verb_call *c)
{
	uint64_t cap = settings_number(c->settings, SETTING_HYPER_RETENTION_SOFT_CAP);
	uint64_t bytes = metrics_hyper_bytes(c->store);
	if (cap)
		verb_print(c, "hyper soft cap %" PRIu64 " bytes, %" PRIu64 " held alone: %s\n", cap,
			   bytes, bytes > cap ? "exceeded" : "below it");
}

static void soft_cap_json(struct verb_call *c, struct json *j)
{
	uint64_t cap = settings_number(c->settings, SETTING_HYPER_RETENTION_SOFT_CAP);
	uint64_t bytes = metrics_hyper_bytes(c->store);
	json_u64(j, "hyper_bytes", bytes);
	json_u64(j, "hyper_soft_cap", cap);
	json_bool(j, "hyper_soft_cap_exceeded", cap && bytes > cap);
}

static void store_text(struct verb_call *c)
{
	struct err full = ERR_INIT;

	verb_print(c, "store %s\nsize %" PRIu64 " bytes\n", store_path(c->store),
		   store_size(c->store));
	if (store_writable(c->store, &full) < 0)
		verb_print(c, "read-only: %s%s\n",
			   store_read_only(c->store) ? "" : "disk full, ", full.text);
	soft_cap_text(c);
	if (gate_is_paused(c->gate))
		verb_print(c, "imports paused (ctl/pause)\n");
	if (gate_is_frozen(c->gate))
		verb_print(c, "frozen (ctl/freeze)\n");
}

static void store_json(struct verb_call *c, struct json *j)
{
	json_bool(j, "paused", gate_is_paused(c->gate));
	json_u64(j, "size", store_size(c->store));
	json_str(j, "store", store_path(c->store));
	json_bool(j, "writable", store_writable(c->store, NULL) == 0);
}

int verb_status(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct network *only = NULL;
	if (verb_has(c, OPTION_NETWORK)) {
		int rc = verb_network(c, &only, &err);
		if (rc < 0)
			return verb_fail(c, rc, &err);
	}
	if (verb_has(c, OPTION_WATCH))
		return verb_status_watch(c, only);
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_PRETTY);
	bool json = verb_has(c, OPTION_JSON);
	if (json) {
		json_object(&j, NULL);
		status_caches_json(&j);
		soft_cap_json(c, &j);
		json_array(&j, "networks");
	} else {
		store_text(c);
	}
	for (size_t i = 0; i < store_network_count(c->store); i++) {
		struct network *n = store_network_at(c->store, i);
		if (only && n != only)
			continue;
		AUTO(view_putp) struct view *v = network_view_get(n);
		AUTO(sight_release) struct sight s;
		int followed = sight_take(c->follows, n, &s);

		if (followed < 0)
			return verb_fail(c, followed, NULL);
		if (json)
			status_json(v, followed ? &s : NULL, &j);
		else
			status_text(c, v);
		if (!json && followed)
			status_sync_text(c, &s);
	}
	if (!json)
		return EXIT_DONE;
	json_end(&j);
	store_json(c, &j);
	json_end(&j);
	int rc = json_done(&j);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}

int verb_gaps(struct verb_call *c)
{
	struct err err = ERR_INIT;
	struct network *n;
	uint64_t only = UINT64_MAX;
	int rc = verb_network(c, &n, &err);
	const char *shard = c->options[OPTION_SHARD];
	if (rc == 0 && shard && dec_get(shard, strlen(shard), SHARD_MAX - 1, &only) < 0)
		rc = err_set(&err, -EINVAL, "--shard %s: it is a number below %d", shard,
			     SHARD_MAX);
	if (rc < 0)
		return verb_fail(c, rc, &err);
	AUTO(view_putp) struct view *v = network_view_get(n);
	AUTO(buf_release) struct buf out = BUF_INIT(REPORT_SIZE_MAX);
	struct json j = json_of(&out, JSON_LINE);
	for (uint32_t s = 0; s < v->shard_count; s++) {
		uint64_t cursor = 1;
		struct gap gap;
		while ((only == UINT64_MAX || only == s) &&
		       gaps_next(&v->shards[s].gaps, v->shards[s].known, &cursor, &gap)) {
			const char *reason =
				gap_reason_names[gap.fault ? gap.fault->reason : GAP_NOT_FETCHED];
			const char *error = gap.fault ? gap.fault->error : "";
			if (verb_has(c, OPTION_JSON)) {
				json_object(&j, NULL);
				json_str(&j, "error", error);
				json_u64(&j, "first", gap.range.first);
				json_u64(&j, "last", gap.range.end - 1);
				json_str(&j, "reason", reason);
				json_u64(&j, "shard", s);
				json_u64(&j, "tries", gap.fault ? gap.fault->tries : 0);
				json_end(&j);
			} else {
				buf_fmt(&out, "%u\t%010" PRIu64 "-%010" PRIu64 "\t%s\t%s\n", s,
					gap.range.first, gap.range.end - 1, reason, error);
			}
		}
	}
	rc = buf_done(&out);
	if (rc < 0)
		return verb_fail(c, rc, NULL);
	verb_write(c, buf_slice(&out));
	return EXIT_DONE;
}
