#include "core/hyper/cuts.h"

#include "core/control/metrics.h"

#define ROWS_BYTES_MAX (32u << 20)

int cuts_at(const struct view *v, uint64_t height, struct cuts *out, struct err *err)
{
	const struct shard_view *sv = &v->shards[0];
	struct block_row row;

	*out = (struct cuts){ .heights = { height } };
	if (height == 0)
		return 0;
	if (height > sv->known)
		return err_set(err, -ENOENT,
			       "height %" PRIu64 " is not known to exist, %" PRIu64
			       " is the newest",
			       height, sv->known);
	if (!gaps_has(&sv->gaps, height))
		return err_set(err, -ENODATA, "height %" PRIu64 " is a gap", height);
	int rc = network_block(v->network, 0, height, &row);
	if (rc <= 0)
		return err_set(err, rc ? rc : -ESTALE,
			       "height %" PRIu64 ": its block cannot be read", height);
	out->time = row.time;
	memcpy(out->hash, row.hash, HASH_SIZE);
	for (uint32_t i = 0; i < row.witness_count; i++)
		if (row.witnesses[i].shard && row.witnesses[i].shard < v->shard_count)
			out->heights[row.witnesses[i].shard] = row.witnesses[i].height;
	return 0;
}

int cuts_readable(const struct view *v, const struct cuts *c, struct err *err)
{
	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];
		uint64_t height = c->heights[s];

		if (height > sv->replayed)
			return err_set(err, -ENODATA,
				       "shard %u: replayed up to height %" PRIu64 " only", s,
				       sv->replayed);
		if (height < sv->begins)
			return err_set(err, -ENODATA,
				       "shard %u: the state here begins at height %" PRIu64, s,
				       sv->begins);
		if (height && height < sv->kept_from)
			return err_set(err, -ENODATA,
				       "shard %u: the state is kept from height %" PRIu64 " on", s,
				       sv->kept_from);
	}
	return 0;
}

int cuts_in_hyper(const struct view *v, const struct cuts *c, struct err *err)
{
	for (uint32_t s = 0; s < v->shard_count; s++) {
		const struct shard_view *sv = &v->shards[s];

		if (!sv->hyper_on)
			return err_set(err, -ENODATA, "hyper is off");
		if (sv->base_height > 0 && c->heights[s] <= sv->base_height)
			return err_set(err, -ENODATA,
				       "shard %u: hyper begins above height %" PRIu64, s,
				       sv->base_height);
	}
	return 0;
}

unsigned cuts_spaces(const struct shard_view *sv, enum context context, uint64_t height)
{
	if (context != CONTEXT_HYPER || !sv->hyper_on)
		return SPACES_LEGACY;
	return sv->base_height == 0 || height > sv->base_height ? SPACES_HYPER : SPACES_LEGACY;
}

int hyper_ended(int rc)
{
	/* That something is not there, not now or too much is an answer. */
	if (rc == -EUCLEAN || rc == -EBADMSG || rc == -EIO || rc == -ENOMEM || rc == -ESTALE)
		metrics_add(COUNTER_HYPER_DIFF_FAILURES, 1);
	return rc;
}

/* ---- states ---- */

int held_state_open(const struct view *v, uint32_t shard, uint64_t height, struct held_state *out,
		    struct err *err)
{
	*out = (struct held_state){ .shard = shard, .height = height };
	if (height == 0)
		return 0;
	int rc = network_pin(v->network, shard, height);

	if (rc < 0)
		return err_set(err, rc == -ESTALE ? -ENODATA : rc,
			       "shard %u: the state as of height %" PRIu64 " is not kept any more",
			       shard, height);
	out->network = v->network;
	rc = state_open(v->network, shard, height, &out->state, err);
	if (rc < 0)
		held_state_release(out);
	return rc;
}

int held_state_trim(struct held_state *h, struct err *err)
{
	if (!h->state || state_memory(h->state) < ROWS_BYTES_MAX)
		return 0;
	state_freep(&h->state);
	return state_open(h->network, h->shard, h->height, &h->state, err);
}

void held_state_release(struct held_state *h)
{
	state_freep(&h->state);
	if (h->network)
		network_unpin(h->network, h->shard, h->height);
	h->network = NULL;
}

int held_state_get(struct held_state *h, unsigned spaces, struct slice key, struct slice *value)
{
	int rc = 0;

	if (h->state && spaces & SPACE_HYPER)
		rc = state_get(h->state, SPACE_HYPER, key, value);
	if (h->state && rc == 0 && spaces & SPACE_BOTH)
		rc = state_get(h->state, SPACE_BOTH, key, value);
	return rc;
}
