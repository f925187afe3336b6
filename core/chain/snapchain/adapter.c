#include "core/chain/snapchain/block.h"
#include "core/chain/snapchain/carry.h"
#include "core/chain/snapchain/commit.h"
#include "core/chain/snapchain/envelope.h"
#include "core/chain/snapchain/item_name.h"
#include "core/chain/snapchain/keyspace.h"
#include "core/chain/snapchain/listing.h"
#include "core/chain/snapchain/presets.h"
#include "core/chain/snapchain/render.h"
#include "core/chain/snapchain/replay.h"
#include "core/chain/snapchain/replica.h"

extern const struct chain_ops snapchain_ops;

static uint32_t shard_count(const struct chain_params *p)
{
	return p->data_shards + 1;
}

static int decode(const struct chain_params *p, bool main_shard, bool verify,
		  struct buf *canonical, struct buf *certificate, struct chain_block **out,
		  struct err *err)
{
	struct sc_block *b = NULL;
	int rc = sc_block_decode(p, main_shard, verify, canonical, certificate, &b, err);

	if (rc < 0)
		return rc;
	b->base.ops = &snapchain_ops;
	*out = &b->base;
	return 0;
}

static void block_free(struct chain_block *b)
{
	struct sc_block *own = (struct sc_block *)(void *)b;

	sc_block_freep(&own);
}

const struct chain_ops snapchain_ops = {
	.kind = "snapchain",
	.block_suffix = ".pb",
	.renderer = SC_RENDERER,

	.preset = sc_preset,
	.preset_name = sc_preset_name,
	.params_parse = sc_params_parse,
	.params_write = sc_params_write,
	.params_free = sc_params_free,
	.shard_count = shard_count,

	.peek = sc_block_peek,
	.split = sc_block_split,
	.join = sc_block_join,
	.decode = decode,
	.block_free = block_free,
	.link = sc_block_link,

	.replay_new = sc_replay_new,
	.replay_free = sc_replay_free,
	.replay_block = sc_replay_block,
	.replay_abort = sc_replay_abort,

	.sets = sc_sets,
	.set_count = SC_SET_COUNT,
	.account_key = sc_account_key,
	.account_prefix = sc_account_prefix,
	.account_of_key = sc_account_of_key,
	.vshard_of = sc_vshard_of,
	.shard_of = sc_shard_of,
	.vshard_key = sc_vshard_key,
	.set_prefix = sc_set_prefix,
	.account_read = sc_account_read,
	.record_read = sc_record_read,
	.record_key = sc_record_key,
	.names_prefix = sc_names_prefix,
	.name_read = sc_name_read,
	.name_key = sc_name_key,

	.render_object = sc_render_object,
	.item_name = sc_item_name,
	.render_header = sc_render_header,
	.render_parent = sc_render_parent,
	.signer_count = sc_signer_count,
	.render_signers = sc_render_signers,
	.signer_set = sc_signer_set,
	.signers_end = sc_signers_end,
	.render_limits = sc_render_limits,
	.trie_key = sc_trie_key,
	.row_kind = sc_row_kind,
	.record_place = sc_record_listed,
	.record_vshard = sc_record_vshard,
	.record_split = sc_record_split,
	.record_join = sc_record_join,
	.record_check = sc_record_check,
	.object_key = sc_object_key,
	.key_short = sc_key_short,
	.root_new = sc_root_new,
	.root_add = sc_root_add,
	.root_end = sc_root_end,
	.root_free = sc_root_free,
	.replica_snapshot = sc_replica_snapshot,
	.replica_page = sc_replica_page,
	.replica_list_name = sc_replica_list_name,
	.replica_list = sc_replica_list,
	.replica_page_release = sc_replica_page_release,
	.replica_new = sc_replica_new,
	.replica_free = sc_replica_free,
	.replica_below = sc_replica_below,
	.replica_main = sc_replica_main,
	.replica_add = sc_replica_add,
	.replica_add_told = sc_replica_add_told,
	.replica_account = sc_replica_account,
	.replica_end = sc_replica_end,
	.replica_drop = sc_replica_drop,
	.replica_shared = sc_replica_shared,
	.mark_prefix = sc_mark_prefix,
	.mark_read = sc_mark_read,
	.render_envelope = sc_render_envelope,
};
