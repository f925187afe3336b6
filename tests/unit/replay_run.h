/* What the tests of replay share: a recorded shard, block by block. */
#ifndef CHAINFS_TESTS_REPLAY_RUN_H
#define CHAINFS_TESTS_REPLAY_RUN_H

#include "core/chain/snapchain/listing.h"
#include "core/chain/snapchain/replay.h"
#include "tests/unit/test_snapchain.h"

static const char *const recordings[] = {
	"tests/vectors/devnet-a", "tests/vectors/devnet-c", "tests/vectors/devnet-r",
};

/* A stream is decoded once for all tests: most of its time goes to signatures. */
struct recorded {
	struct chain_params *params;
	struct sc_block    **blocks;
	size_t               count;
};

static struct recorded recorded_shards[ARRAY_LEN(recordings)][3];

static inline void recorded_read(struct recorded *out, const char *folder, uint32_t shard)
{
	char name[32];

	snprintf(name, sizeof name, shard ? "chunks-%u" : "blocks-%u", shard);
	AUTO(buf_release) struct buf stream = recording_read(folder, name);
	struct rd rest = rd_of(buf_slice(&stream));

	out->params = recording_params(folder);
	while (rd_left(&rest)) {
		struct err err = ERR_INIT;

		out->blocks = realloc(out->blocks, (out->count + 1) * sizeof(struct sc_block *));
		assert_non_null(out->blocks);
		out->blocks[out->count] = NULL;
		if (block_read(out->params, rd_blob(&rest), shard == 0, &out->blocks[out->count],
			       &err) < 0)
			fail_msg("%s shard %u: %s", folder, shard, err.text);
		out->count++;
	}
}

static inline int recorded_release(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		for (size_t s = 0; s < 3; s++) {
			struct recorded *one = &recorded_shards[i][s];

			for (size_t n = 0; n < one->count; n++)
				sc_block_freep(&one->blocks[n]);
			free(one->blocks);
			params_freep(&one->params);
		}
	}
	return 0;
}

struct run {
	const char          *folder;
	uint32_t             shard;
	const struct recorded *recorded;
	size_t               at;
	struct chain_params *params;
	struct state        *state;
	struct replay       *replay;
	struct sc_block     *block; /* the newest */
	uint64_t             next_object;
	struct chain_result  result;
};

static inline void run_open(struct run *r, size_t recording, uint32_t shard)
{
	struct recorded *from = &recorded_shards[recording][shard];
	struct err       err = ERR_INIT;

	if (!from->params)
		recorded_read(from, recordings[recording], shard);
	*r = (struct run){ .folder = recordings[recording], .shard = shard, .recorded = from,
			   .params = from->params, .next_object = 1 };
	assert_int_equal(state_open(NULL, shard, UINT64_MAX, &r->state, &err), 0);
	assert_int_equal(sc_replay_new(r->params, shard, &r->replay, &err), 0);
}

static inline void run_release(struct run *r)
{
	sc_replay_free(r->replay);
	state_freep(&r->state);
}

/* The next block of the stream. False at the end. */
static inline bool run_read(struct run *r)
{
	if (r->at == r->recorded->count)
		return false;
	r->block = r->recorded->blocks[r->at++];
	return true;
}

/* Replays it, still in the block. */
static inline void run_replay(struct run *r, bool hyper)
{
	struct err err = ERR_INIT;
	int        rc;

	assert_int_equal(state_block_begin(r->state, r->block->base.height), 0);
	rc = sc_replay_block(r->replay, r->state, &r->block->base, r->next_object, hyper,
			     &r->result, &err);
	if (rc < 0)
		fail_msg("%s: %s", r->folder, err_text(&err, rc));
	assert_string_equal(r->result.accounts.reason, ""); /* by the block's own clock */
	assert_int_equal(r->result.accounts.verdict, VERDICT_OK);
	assert_int_equal(r->result.state.verdict, VERDICT_OK);
	assert_int_equal(r->result.outcome_count, r->block->base.item_count);
}

static inline void run_keep(struct run *r)
{
	assert_int_equal(state_block_end(r->state), 0);
	r->next_object += 2 * r->block->base.item_count;
}

static inline bool run_next(struct run *r, bool hyper)
{
	if (!run_read(r))
		return false;
	run_replay(r, hyper);
	run_keep(r);
	return true;
}

static inline void run_anew(struct run *r)
{
	struct err err = ERR_INIT;

	sc_replay_free(r->replay);
	assert_int_equal(sc_replay_new(r->params, r->shard, &r->replay, &err), 0);
}

#endif
