/* What the fuzzers of Snapchain's codecs share. A failed assert is a finding. */
#ifndef CHAINFS_FUZZ_SNAPCHAIN_H
#define CHAINFS_FUZZ_SNAPCHAIN_H

#include "core/base/sign.h"
#include "core/chain/snapchain/block.h"
#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/render.h"
#include "proto/prost.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read strictly is written again as it was, but for the place of a oneof. */
static inline void fuzz_writes_again(const ProtobufCMessage *m, struct slice in)
{
	AUTO(buf_release) struct buf again = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf third = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(in.n));
	ProtobufCMessage *back = NULL;

	prost_encode(m, &again);
	assert(arena && buf_done(&again) == 0 && again.n == in.n && prost_size(m) == in.n);
	assert(wire_unpack(m->descriptor, buf_slice(&again), &sc_strict, arena, &back, NULL) == 0);
	prost_encode(back, &third);
	assert(slice_eq(buf_slice(&again), buf_slice(&third)));
}

/* An object renders to the sizes that were told of it. */
static inline void fuzz_renders(uint16_t form, struct slice bytes, uint32_t json_size,
				uint32_t line_size)
{
	AUTO(buf_release) struct buf out = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_object o = { .form = form, .bytes = bytes };

	assert(sc_render_object(&o, false, &out) == 0 && out.n == json_size);
	buf_clear(&out);
	assert(sc_render_object(&o, true, &out) == 0 && out.n == line_size);
}

static inline struct slice fuzz_slice(const struct chain_block *b, uint32_t offset, uint32_t size)
{
	assert((size_t)offset + size <= b->canonical.n);
	return SLICE(b->canonical.p + offset, size);
}

static inline void fuzz_items(const struct chain_block *b)
{
	for (size_t i = 0; i < b->item_count; i++) {
		const struct chain_item *item = &b->items[i];

		assert(item->hash_size >= HASH20_SIZE && item->hash_size <= HASH_SIZE);
		fuzz_renders(item->form, fuzz_slice(b, item->offset, item->size), item->json_size,
			     item->line_size);
		if (item->has_inner)
			fuzz_renders(item->inner_form,
				     fuzz_slice(b, item->inner_offset, item->inner_size),
				     item->inner_json_size, item->inner_line_size);
	}
}

static inline void fuzz_block(struct slice in, bool main_shard)
{
	static uint8_t key[1][ED25519_KEY_SIZE];
	static struct sc_validators one = { .shard_bits = 7, .keys = key, .key_count = 1 };
	static const struct chain_params params = {
		.network = SC_DEVNET, .data_shards = 2, .validators = &one, .validators_count = 1,
	};
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf out = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(sc_block_freep) struct sc_block *b = NULL;
	struct chain_peek peek;

	assert(sign_init() == 0);
	int peeked = sc_block_peek(in, main_shard, &peek, NULL);

	if (sc_block_split(in, main_shard, &canonical, &certificate, NULL) < 0)
		return;
	if (sc_block_decode(&params, main_shard, true, &canonical, &certificate, &b, NULL) < 0)
		return;
	assert(peeked == 0 && peek.shard == b->base.shard && peek.height == b->base.height);
	fuzz_writes_again(b->block ? &b->block->base : &b->chunk->base,
			  buf_slice(&b->base.canonical));
	fuzz_items(&b->base);
	assert(sc_render_header(&b->base, false, &out) == 0 && out.n == b->base.header_size);
	buf_clear(&out);
	assert(sc_render_header(&b->base, true, &out) == 0 && out.n == b->base.header_json_size);
}

#endif
