#include "core/control/trust_orders.h"

#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/checkpoint/folder.h"
#include "core/checkpoint/trust.h"
#include "core/ingest/pipeline.h"
#include "core/sync/follow.h"

#define LINE_SIZE_MAX 4096u

/* Whose process it is. */
static void put_who(char out[TRUST_WHO_SIZE])
{
	char text[1024];
	struct passwd entry, *found = NULL;

	if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) == 0 && found)
		snprintf(out, TRUST_WHO_SIZE, "%.*s", TRUST_WHO_SIZE - 1, entry.pw_name);
	else
		snprintf(out, TRUST_WHO_SIZE, "uid %u", (unsigned)geteuid());
}

static struct trust_row decision(uint32_t shard, uint64_t height, const uint8_t hash[HASH_SIZE],
				 enum trust_state state, enum trust_source source,
				 const char *reason)
{
	struct trust_row row = {
		.time = clock_unix_s(),
		.shard = shard,
		.height = height,
		.state = (uint8_t)state,
		.source = (uint8_t)source,
	};

	memcpy(row.hash, hash, HASH_SIZE);
	put_who(row.who);
	snprintf(row.reason, sizeof row.reason, "%.*s", REASON_SIZE - 1, reason ? reason : "");
	return row;
}

static int append(const struct trust_order *o, struct trust_row *row, struct slice evidence,
		  struct err *err)
{
	char hex[17], text[64];
	int rc = gate_enter(o->gate, o->stop); /* a frozen store is not written */

	if (rc < 0)
		return err_set(err, rc, "interrupted while writing is held back");
	rc = trust_append(network_folder(o->network), row, evidence, err);
	gate_leave(o->gate);
	if (rc < 0)
		return rc;
	hex_put(hex, row->hash, 8);
	snprintf(text, sizeof text, "height=%" PRIu64 " hash=%s", row->height, hex);
	buf_fmt(o->said, "%s: shard %u height %" PRIu64 " %s… is %s (%s)\n",
		network_name(o->network), row->shard, row->height, hex,
		trust_state_names[row->state], trust_source_names[row->source]);
	if (o->events)
		events_post(o->events, network_name(o->network), "trust",
			    "state=%s shard=%u %s source=%s reason=\"%s\"",
			    trust_state_names[row->state], row->shard, text,
			    trust_source_names[row->source], row->reason);
	return 0;
}

/* The block held at a height: 1 and its row, 0. */
static int held(const struct trust_order *o, uint32_t shard, uint64_t height, struct block_row *row,
		struct err *err)
{
	AUTO(view_putp) struct view *v = network_view_get(o->network);

	if (shard >= v->shard_count)
		return err_set(err, -EINVAL, "network %s has no shard %u", network_name(o->network),
			       shard);
	if (!gaps_has(&v->shards[shard].gaps, height))
		return 0;
	int rc = network_block(o->network, shard, height, row);

	return rc < 0 ? err_set(err, rc, "shard %u height %" PRIu64 ": its row cannot be read",
				shard, height)
		      : rc;
}

/* The follower knows afterwards what was taken away. */
static int roll(const struct trust_order *o, uint32_t shard, uint64_t height, const char *reason,
		struct rollback_result *out, struct err *err)
{
	struct follow *follow = follows_get(o->follows, o->network);
	struct rollback_options options = {
		.height = height,
		.shard = shard,
		.reason = reason,
		.events = o->events,
		.gate = o->gate,
		.stop = o->stop,
	};

	follow_stand_back(follow);
	int rc = rollback(o->network, &options, out, err);

	follow_go_on(follow);
	follows_put(o->follows, &follow);
	if (rc == 0)
		buf_fmt(o->said,
			"%s: back at shard %u height %" PRIu64 ": %" PRIu64
			" blocks let go, %" PRIu64 " of them replayed\n",
			network_name(o->network), shard, height, out->blocks, out->replayed);
	return rc;
}

/* HEIGHT, or HEIGHT-HASH. */
static int read_which(const char *which, uint64_t *height, bool *has_prefix, uint8_t prefix[4],
		      struct err *err)
{
	*has_prefix = checkpoint_name_read(which, height, prefix) == 0;
	if (*has_prefix || dec_get(which, strlen(which), UINT64_MAX - 1, height) == 0)
		return 0;
	return err_set(err, -EINVAL, "%.80s is no height, and no checkpoint's name", which);
}

/* ---- a signed block ---- */

static int load_held(const struct trust_order *o, uint32_t shard, uint64_t height, struct job *job,
		     struct err *err)
{
	struct block_row row;

	if (height == 0) {
		AUTO(view_putp) struct view *v = network_view_get(o->network);

		height = shard < v->shard_count ? v->shards[shard].replayed : 0;
	}
	int rc = held(o, shard, height, &row, err);

	if (rc == 0)
		return err_set(err, -ENODATA, "shard %u height %" PRIu64 " is not held", shard,
			       height);
	return rc < 0 ? rc : job_load(o->network, &row, job, err);
}

/* The block as a source would give it, to be kept as evidence. */
static int join(const struct trust_order *o, const struct chain_block *b, struct buf *out)
{
	int rc = network_ops(o->network)
			 ->join(buf_slice(&b->canonical), buf_slice(&b->certificate), b->shard == 0,
				out, NULL);

	return rc < 0 ? rc : buf_done(out);
}

int trust_order_add(const struct trust_order *o, uint32_t shard, uint64_t height,
		    struct slice received, struct err *err)
{
	AUTO(trust_release) struct trust t = { 0 };
	AUTO(buf_release) struct buf evidence = BUF_INIT(2 * (size_t)BLOCK_SIZE_MAX);
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	char judged[TRUST_JUDGED_SIZE];

	if (!job)
		return err_set(err, -ENOMEM, "no memory for a block");
	int rc = 0;

	job->shard = shard;
	if (received.n) {
		job->received = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
		buf_add(&job->received, received);
		rc = buf_done(&job->received);
	} else {
		rc = load_held(o, shard, height, job, err);
	}
	if (rc < 0)
		return rc;
	job_check(network_ops(o->network), network_params(o->network), job);
	if (job->rc < 0)
		return err_set(err, job->rc, "the evidence is no block: %s",
			       err_text(&job->err, job->rc));
	const struct chain_block *b = job->block;

	/* A hash covers the header alone, and the header level that it is of this network. */
	for (int l = LEVEL_STRUCTURE; l <= LEVEL_COMMIT; l++)
		if (b->levels[l].verdict != VERDICT_OK)
			return err_set(err, l == LEVEL_COMMIT ? -EKEYREJECTED : -EBADMSG,
				       "shard %u height %" PRIu64 ": it proves nothing: %s: %s",
				       b->shard, b->height, level_names[l],
				       b->levels[l].reason[0]
					       ? b->levels[l].reason
					       : verdict_names[b->levels[l].verdict]);
	rc = trust_load(network_folder(o->network), &t, err);
	if (rc == 0 && trust_judge(&t, b->shard, b->height, b->hash, judged))
		rc = err_set(err, -EEXIST, "shard %u height %" PRIu64 ": %s", b->shard, b->height,
			     judged);
	if (rc < 0)
		return rc;
	struct trust_row row = decision(b->shard, b->height, b->hash, TRUST_TRUSTED,
					received.n ? TRUST_EVIDENCE : TRUST_VALIDATORS,
					b->levels[LEVEL_COMMIT].reason);

	row.root_size = b->root_size;
	memcpy(row.root, b->root, b->root_size);
	row.has_set =
		network_ops(o->network)
			->signer_set(network_params(o->network), b->shard, b->height, row.set) == 0;
	rc = join(o, b, &evidence);
	if (rc < 0)
		return err_set(err, rc, "the evidence cannot be kept: %s", strerror(-rc));
	return append(o, &row, buf_slice(&evidence), err);
}

/* ---- an operator's word ---- */

/* The block of a height that is trusted now makes way. */
static int supersede(const struct trust_order *o, uint32_t shard, uint64_t height,
		     const uint8_t hash[HASH_SIZE], struct err *err)
{
	AUTO(trust_release) struct trust t = { 0 };
	int rc = trust_load(network_folder(o->network), &t, err);

	for (const struct trust_row *old; rc == 0 && (old = trust_at(&t, shard, height));) {
		if (memcmp(old->hash, hash, HASH_SIZE) == 0)
			return 0;
		struct trust_row row =
			decision(shard, height, old->hash, TRUST_SUPERSEDED, TRUST_PIN,
				 "another block of its height was pinned");

		rc = append(o, &row, SLICE_EMPTY, err);
		if (rc == 0)
			rc = trust_refresh(network_folder(o->network), &t, err);
	}
	return rc;
}

int trust_order_pin(const struct trust_order *o, uint32_t shard, uint64_t height,
		    const uint8_t hash[HASH_SIZE], bool force, const char *reason, struct err *err)
{
	struct rollback_result result;
	struct block_row row;
	char hex[17], text[REASON_SIZE];

	if (height == 0)
		return err_set(err, -EINVAL, "there is no block of height 0");
	int rc = held(o, shard, height, &row, err);

	if (rc < 0)
		return rc;
	bool contradicts = rc == 1 && memcmp(row.hash, hash, HASH_SIZE) != 0;

	hex_put(hex, row.hash, contradicts ? 8 : 0);
	if (contradicts && !force)
		return err_set(err, -EEXIST,
			       "shard %u height %" PRIu64
			       ": the store holds another block, %s…; --force would roll back "
			       "below it",
			       shard, height, hex);
	rc = supersede(o, shard, height, hash, err);
	if (rc < 0)
		return rc;
	struct trust_row pin = decision(shard, height, hash, TRUST_TRUSTED, TRUST_PIN, reason);

	rc = append(o, &pin, SLICE_EMPTY, err);
	if (rc < 0 || !contradicts)
		return rc;
	snprintf(text, sizeof text, "height %" PRIu64 " was pinned to another block than %s…",
		 height, hex);
	return roll(o, shard, height - 1, text, &result, err);
}

/* The whole hash of the block that is meant; *is_held: the store holds it. */
static int find_block(const struct trust_order *o, uint32_t shard, const char *which,
		      uint64_t *height, uint8_t hash[HASH_SIZE], bool *is_held, struct err *err)
{
	AUTO(trust_release) struct trust t = { 0 };
	uint8_t prefix[4];
	bool has_prefix;
	struct block_row row;
	int rc = read_which(which, height, &has_prefix, prefix, err);

	if (rc == 0)
		rc = held(o, shard, *height, &row, err);
	*is_held = rc == 1 && (!has_prefix || memcmp(row.hash, prefix, sizeof prefix) == 0);
	if (*is_held)
		memcpy(hash, row.hash, HASH_SIZE);
	if (rc < 0 || *is_held)
		return MIN(rc, 0);
	rc = trust_load(network_folder(o->network), &t, err);
	for (size_t i = t.count; rc == 0 && has_prefix && i-- > 0;)
		if (t.rows[i].shard == shard && t.rows[i].height == *height &&
		    memcmp(t.rows[i].hash, prefix, sizeof prefix) == 0) {
			memcpy(hash, t.rows[i].hash, HASH_SIZE);
			return 0;
		}
	return rc < 0 ? rc
		      : err_set(err, -ENOENT,
				"shard %u: neither the store nor the registry holds a block %.80s",
				shard, which);
}

int trust_order_distrust(const struct trust_order *o, uint32_t shard, const char *which,
			 const char *reason, struct err *err)
{
	struct rollback_result result;
	uint8_t hash[HASH_SIZE];
	char text[REASON_SIZE];
	uint64_t height;
	bool is_held;
	int rc = find_block(o, shard, which, &height, hash, &is_held, err);

	if (rc < 0)
		return rc;
	struct trust_row row = decision(shard, height, hash, TRUST_DISTRUSTED, TRUST_PIN, reason);

	rc = append(o, &row, SLICE_EMPTY, err);
	if (rc < 0 || !is_held)
		return rc;
	snprintf(text, sizeof text, "height %" PRIu64 " is distrusted: %.100s", height, reason);
	return roll(o, shard, height - 1, text, &result, err);
}

int trust_order_rollback(const struct trust_order *o, const char *which, const char *reason,
			 struct rollback_result *out, struct err *err)
{
	uint64_t height;
	uint8_t prefix[4];
	bool has_prefix;
	struct block_row row;
	int rc = read_which(which, &height, &has_prefix, prefix, err);

	if (rc == 0 && has_prefix) {
		rc = held(o, 0, height, &row, err);
		if (rc == 0 || (rc == 1 && memcmp(row.hash, prefix, sizeof prefix) != 0))
			rc = err_set(err, -ENOENT, "the store does not hold the block %.80s",
				     which);
	}
	return rc < 0 ? rc
		      : roll(o, 0, height, reason && reason[0] ? reason : "it was ordered", out,
			     err);
}

/* ---- as a line ---- */

int trust_order_line(struct trust_order *o, const char *line, struct err *err)
{
	AUTO(base_freep) char *copy = strdup(line);
	struct rollback_result result;
	uint8_t hash[HASH_SIZE];
	uint64_t height;

	if (!copy)
		return -ENOMEM;
	char *rest = copy, *verb = strsep(&rest, " "), *name = rest ? strsep(&rest, " ") : NULL;
	char *which = rest ? strsep(&rest, " ") : NULL;

	if (!which)
		return err_set(
			err, -EINVAL,
			"trust takes pin NETWORK HEIGHT HASH, distrust NETWORK HEIGHT REASON "
			"or rollback NETWORK HEIGHT");
	o->network = store_network_find(o->store, name);
	if (!o->network)
		return err_set(err, -ENOENT, "%s holds no network %.80s", store_path(o->store),
			       name);
	if (strcmp(verb, "rollback") == 0)
		return trust_order_rollback(o, which, rest, &result, err);
	if (strcmp(verb, "distrust") == 0)
		return rest && rest[0] ? trust_order_distrust(o, 0, which, rest, err)
				       : err_set(err, -EINVAL, "distrust takes a reason, too");
	if (strcmp(verb, "pin") != 0)
		return err_set(err, -EINVAL, "trust takes pin, distrust or rollback, not %.40s",
			       verb);
	char *hex = rest ? strsep(&rest, " ") : NULL;

	if (dec_get(which, strlen(which), UINT64_MAX - 1, &height) < 0 || !hex ||
	    hex_get(hex, strlen(hex), hash, HASH_SIZE) < 0)
		return err_set(err, -EINVAL, "pin takes NETWORK, a height and a hash of 64 digits");
	return trust_order_pin(o, 0, height, hash, false, rest, err);
}
