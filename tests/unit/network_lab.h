/* network_lab.h: blocks of a network that a test can make again. */
#ifndef CHAINFS_TESTS_NETWORK_LAB_H
#define CHAINFS_TESTS_NETWORK_LAB_H

#include "core/store/network.h"
#include "tests/support/store_fixture.h"

static inline struct commit *begin(struct fixture *f)
{
	struct commit *c = NULL;

	assert_int_equal(commit_new(f->network, &c), 0);
	return c;
}

static inline void apply(struct commit *c)
{
	struct err err = ERR_INIT;

	if (commit_apply(c, &err) < 0)
		fail_msg("%s", err.text);
}

/* Bytes of a block that the test can make again. */
static inline struct slice bytes_of(uint64_t height, size_t n, uint8_t *out)
{
	struct random r = random_of(height);

	random_bytes(&r, out, n);
	memset(out + n / 2, 'x', n - n / 2);
	return SLICE(out, n);
}

static inline struct block_row row_of(uint64_t height, size_t canonical, size_t certificate)
{
	struct block_row row = {
		.shard = 1,
		.height = height,
		.object = 1000 + height,
		.parent_size = 20,
		.time = 1700000000 + height,
		.items = 3,
		.canonical_size = (uint32_t)canonical,
		.certificate_size = (uint32_t)certificate,
		.line_bytes = 777,
		.header_size = 10,
		.header_json_size = 20,
		.parent_file_size = 30,
		.witness_count = 2,
		.uncommitted = height % 2,
	};
	memset(row.hash, (int)height, HASH_SIZE);
	memset(row.parent, (int)height - 1, 20);
	row.witnesses[1] = (struct chain_witness){ .shard = 2, .height = height * 5 };
	row.witnesses[1].hash[3] = 9;
	row.levels[LEVEL_STRUCTURE].verdict = VERDICT_OK;
	row.levels[LEVEL_COMMIT].verdict = VERDICT_ABSENT;
	strcpy(row.levels[LEVEL_COMMIT].reason, "came without one");
	return row;
}

static inline void put_block(struct commit *c, uint64_t height, size_t canonical,
			     size_t certificate)
{
	uint8_t *bytes = malloc(canonical + certificate + 1);
	struct block_row row = row_of(height, canonical, certificate);

	bytes_of(height, canonical + certificate, bytes);
	assert_int_equal(commit_bytes(c, SLICE(bytes, canonical),
				      SLICE(bytes + canonical, certificate), &row.bytes, NULL),
			 0);
	assert_int_equal(commit_block(c, &row), 0);
	struct shard_view *sv = &commit_view(c)->shards[1];

	assert_int_equal(gaps_add(&sv->gaps, (struct range){ height, height + 1 }), 0);
	sv->tip = MAX(sv->tip, height);
	free(bytes);
}

static inline void expect_block(struct network *n, uint64_t height, size_t canonical,
				size_t certificate)
{
	AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
	uint8_t *wanted = malloc(canonical + certificate + 1);
	struct block_row row, model = row_of(height, canonical, certificate);
	struct err err = ERR_INIT;

	bytes_of(height, canonical + certificate, wanted);
	assert_int_equal(network_block(n, 1, height, &row), 1);
	assert_int_equal(row.canonical_size, canonical);
	assert_int_equal(row.certificate_size, certificate);
	assert_int_equal(row.object, model.object);
	assert_int_equal(row.time, model.time);
	assert_int_equal(row.items, model.items);
	assert_int_equal(row.line_bytes, model.line_bytes);
	assert_int_equal(row.header_json_size, model.header_json_size);
	assert_int_equal(row.uncommitted, model.uncommitted);
	assert_memory_equal(row.hash, model.hash, HASH_SIZE);
	assert_memory_equal(row.parent, model.parent, 20);
	assert_int_equal(row.witness_count, 2);
	assert_int_equal(row.witnesses[1].height, height * 5);
	assert_int_equal(row.witnesses[1].hash[3], 0); /* the block's bytes say it */
	assert_memory_equal(row.levels, model.levels, sizeof row.levels);
	if (network_block_bytes(n, &row, &bytes, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(slice_eq(bytes->canonical, SLICE(wanted, canonical)));
	assert_true(slice_eq(bytes->certificate, SLICE(wanted + canonical, certificate)));
	free(wanted);
}

#endif
