/* Our side of a comparison: the account rows of a shard, as of a height, or as a block that was
 * refused for its root leaves them. */
#include "core/hyper/cuts.h"
#include "core/sync/compare.h"

struct compare_state {
	const struct chain_ops *ops;
	struct held_state held;
	bool attempted;
	struct replay *replay;
	struct chain_block *block;
};

void compare_state_closep(struct compare_state **at)
{
	struct compare_state *c = TAKE(*at);

	if (!c)
		return;
	if (c->attempted)
		state_block_abort(c->held.state);
	if (c->replay)
		c->ops->replay_free(c->replay);
	if (c->block)
		c->ops->block_free(c->block);
	held_state_release(&c->held);
	free(c);
}

static int decode_aside(struct network *n, uint32_t shard, uint64_t height, bool verify,
			struct chain_block **out, struct err *err)
{
	const struct block_bytes *aside = NULL;
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	int rc = network_aside(n, shard, height, &aside, err);

	if (rc == 0)
		return err_set(err, -ENODATA,
			       "shard %u: height %" PRIu64 " is not replayed, and its block is not "
			       "kept aside",
			       shard, height);
	if (rc < 0)
		return rc;
	buf_add(&canonical, aside->canonical);
	buf_add(&certificate, aside->certificate);
	block_bytes_putp(&aside);
	rc = buf_done(&canonical);
	if (rc == 0)
		rc = buf_done(&certificate);
	if (rc == 0)
		rc = network_ops(n)->decode(network_params(n), shard == 0, verify, &canonical,
					    &certificate, out, err);
	return rc;
}

int compare_aside_root(const struct view *v, uint32_t shard, uint64_t height,
		       struct compare_root *out, struct err *err)
{
	AUTO(chain_block_freep) struct chain_block *b = NULL;
	int rc = decode_aside(v->network, shard, height, false, &b, err);

	*out = (struct compare_root){ .there = rc == 0 && b->root_size == HASH20_SIZE };
	if (out->there)
		memcpy(out->root, b->root, HASH20_SIZE);
	return rc;
}

/* The rows that the block leaves stand in the state as a block's own until it is aborted. */
static int attempt(struct compare_state *c, const struct view *v, uint32_t shard, uint64_t height,
		   struct err *err)
{
	struct chain_result result = { 0 };
	/* An item whose signature fails is none: they are checked again. */
	int rc = decode_aside(v->network, shard, height, true, &c->block, err);

	if (rc == 0)
		rc = c->ops->replay_new(network_params(v->network), shard, &c->replay, err);
	if (rc == 0)
		rc = state_block_begin(c->held.state, height);
	if (rc < 0)
		return rc;
	c->attempted = true;
	/* Numbers of objects that nothing will be read by. */
	rc = c->ops->replay_block(c->replay, c->held.state, c->block, v->next_object, false,
				  &result, err);
	return rc == -EUCLEAN ? 0 : rc;
}

int compare_state_open(const struct view *v, uint32_t shard, uint64_t height,
		       struct compare_state **out, struct err *err)
{
	AUTO(compare_state_closep) struct compare_state *c = calloc(1, sizeof *c);
	uint64_t replayed = v->shards[shard].replayed;
	bool above = height == replayed + 1;

	if (!c)
		return err_set(err, -ENOMEM, "no memory to compare");
	if (height > replayed + 1 || !replayed)
		return err_set(err, -ENODATA, "shard %u: height %" PRIu64 " is not replayed", shard,
			       height);
	c->ops = network_ops(v->network);
	int rc = held_state_open(v, shard, above ? replayed : height, &c->held, err);

	if (rc == 0 && above)
		rc = attempt(c, v, shard, height, err);
	if (rc < 0)
		return rc;
	*out = TAKE(c);
	return 0;
}

static int accounts_of(void *arg, unsigned vshard, struct compare_list *out, struct err *err)
{
	struct compare_state *c = arg;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	struct slice key, value;

	if (!c->held.state)
		return 0;
	c->ops->account_prefix(vshard, &prefix);
	int rc = buf_done(&prefix);

	if (rc == 0 && !c->attempted)
		rc = held_state_trim(&c->held, err);
	if (rc == 0)
		rc = state_scan_new(c->held.state, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY,
				    c->attempted, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		struct compare_account a = { .root = { .there = true } };
		struct chain_account row;

		rc = c->ops->account_of_key(key, &a.account);
		if (rc == 0)
			rc = c->ops->account_read(value, &row);
		if (rc < 0 || !row.records)
			continue;
		if (row.root_size != HASH20_SIZE)
			return err_set(err, -EUCLEAN, "account %" PRIu64 ": its row has no root",
				       a.account);
		memcpy(a.root.root, row.root, HASH20_SIZE);
		a.root.records = row.records;
		rc = compare_list_add(out, &a);
	}
	return rc < 0 ? err_note(err, rc, "accounts of vshard %02x", vshard) : 0;
}

struct compare_ours compare_state_ours(struct compare_state *c)
{
	return (struct compare_ours){ c, accounts_of };
}
