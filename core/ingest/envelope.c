#include "core/ingest/envelope.h"

#define TRIE_KEYS_SIZE_MAX (16u << 20)

int envelope_render(const struct chain_ops *ops, const uint8_t hash[HASH_SIZE], struct slice parent,
		    const struct roots_row *roots, const struct shard_view *shard,
		    const struct chain_change *changes, size_t change_count,
		    const struct envelope_rows *rows, bool json, struct buf *out)
{
	AUTO(base_freep) struct chain_retained *list = calloc(change_count + 1, sizeof *list);
	AUTO(base_freep) size_t *ends = calloc(change_count + 1, sizeof *ends);
	AUTO(buf_release) struct buf keys = BUF_INIT(TRIE_KEYS_SIZE_MAX);
	size_t count = 0;
	if (!list || !ends)
		return -ENOMEM;
	for (size_t i = 0; i < change_count; i++) {
		const struct chain_change *c = &changes[i];
		struct slice value;
		if (c->space != SPACE_HYPER)
			continue;
		int rc = c->deleted ? rows->before(rows->arg, c->key, &value)
				    : rows->after(rows->arg, c->key, &value);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue; /* retained and dropped within it: no change of the block */
		rc = ops->trie_key(c->key, value, &keys);
		if (rc < 0)
			return rc;
		ends[count] = keys.n;
		list[count++] =
			(struct chain_retained){ .dropped = c->deleted, .reason = c->reason };
	}
	int rc = buf_done(&keys);
	if (rc < 0)
		return rc;
	for (size_t i = 0, at = 0; i < count; at = ends[i++])
		list[i].trie_key = SLICE(keys.p + at, ends[i] - at);

	struct chain_envelope e = {
		.parent = parent,
		.root = SLICE(roots->hyper.root, roots->hyper.root_size),
		.retained = roots->retained,
		.base_height = shard->base_height,
		.base_root = SLICE(shard->base_root, shard->base_root_size),
		.changes = list,
		.change_count = count,
	};
	memcpy(e.hash, hash, HASH_SIZE);
	return ops->render_envelope(&e, json, out);
}

static int row_of(void *state, struct slice key, struct slice *value)
{
	return state_get_committed(state, SPACE_HYPER, key, value);
}

struct two_states {
	struct state *after, *before;
};

static int row_after(void *arg, struct slice key, struct slice *value)
{
	return row_of(((struct two_states *)arg)->after, key, value);
}

static int row_before(void *arg, struct slice key, struct slice *value)
{
	return row_of(((struct two_states *)arg)->before, key, value);
}

int envelope_read(const struct view *v, uint32_t shard, uint64_t height, bool json, struct buf *out,
		  struct err *err)
{
	const struct shard_view *sv = &v->shards[shard];
	if (!sv->hyper_on || height <= MAX(sv->base_height, sv->begins) || height > sv->replayed)
		return err_set(err, -ENODATA,
			       "shard %u height %" PRIu64 ": hyper keeps no envelope of it", shard,
			       height);
	struct roots_row roots;
	struct block_row block;
	AUTO(change_list_release) struct change_list changes = { .bytes = { 0 } };
	int rc = network_roots(v->network, shard, height, &roots);
	if (rc > 0)
		rc = network_block(v->network, shard, height, &block);
	if (rc > 0)
		rc = network_changes(v->network, shard, height, &changes);
	if (rc <= 0)
		return err_set(err, rc ? rc : -EUCLEAN,
			       "shard %u height %" PRIu64 ": its rows are incomplete", shard,
			       height);

	AUTO(state_freep) struct state *after = NULL;
	AUTO(state_freep) struct state *before = NULL;
	rc = state_open(v->network, shard, height, &after, err);
	if (rc == 0)
		rc = state_open(v->network, shard, height - 1, &before, err);
	if (rc < 0)
		return rc;
	struct two_states states = { after, before };
	struct envelope_rows rows = { row_after, row_before, &states };
	return envelope_render(network_ops(v->network), block.hash,
			       SLICE(block.parent, block.parent_size), &roots, sv, changes.changes,
			       changes.change_count, &rows, json, out);
}
