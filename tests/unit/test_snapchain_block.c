#include "core/chain/snapchain/block.h"

#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/item_name.h"
#include "core/chain/snapchain/render.h"
#include "tests/unit/test_snapchain.h"

static const struct stream {
	const char *name;
	bool        main_shard;
} streams[] = { { "blocks-0", true }, { "chunks-1", false }, { "chunks-2", false } };

/* Blocks of the recording that are small and have something in them. */
#define BLOCK_WITH_EVENTS 5   /* shard 0: a heartbeat */
#define BLOCK_WITH_MESSAGE 162 /* shard 0: a message, and the event that carries it on */
#define CHUNK_WITH_EVENT 36   /* shard 1: a block event */

static void assert_ok(const struct sc_block *b)
{
	for (unsigned level = LEVEL_STRUCTURE; level <= LEVEL_MESSAGES; level++) {
		if (level != LEVEL_COMMIT)
			assert_string_equal(b->base.levels[level].reason, "");
		assert_int_equal(b->base.levels[level].verdict, VERDICT_OK);
	}
	assert_int_equal(b->base.levels[LEVEL_ACCOUNTS].verdict, VERDICT_PENDING);
	assert_int_equal(b->base.levels[LEVEL_STATE].verdict, VERDICT_PENDING);
}

static struct sc_block *read_one(const struct chain_params *p, const char *stream, uint64_t nth)
{
	AUTO(buf_release) struct buf bytes = recording_read(RECORDING, stream);
	struct sc_block *b = NULL;
	struct err err = ERR_INIT;
	int rc = block_read(p, stream_at(&bytes, nth), stream[0] == 'b', &b, &err);

	assert_string_equal(err.text, "");
	assert_int_equal(rc, 0);
	return b;
}

/* ---- recordings ---- */

static void every_block_of_a_recording_holds(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	size_t messages = 0, items = 0;

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		AUTO(buf_release) struct buf bytes = recording_read(RECORDING, streams[i].name);
		struct rd r = rd_of(buf_slice(&bytes));
		uint8_t prev[HASH_SIZE];

		for (uint64_t height = 1; rd_left(&r); height++) {
			AUTO(sc_block_freep) struct sc_block *b = NULL;
			struct slice received = rd_blob(&r);
			struct chain_peek peek;

			assert_int_equal(block_read(p, received, streams[i].main_shard, &b, NULL),
					 0);
			assert_ok(b);
			assert_int_equal(b->base.height, height);
			assert_int_equal(b->base.shard, i);
			assert_int_equal(
				sc_block_peek(received, streams[i].main_shard, &peek, NULL), 0);
			assert_int_equal(peek.height, height);
			assert_int_equal(peek.shard, i);
			assert_int_equal(peek.hash.n, HASH_SIZE);
			assert_int_equal(sc_block_link(&b->base, height > 1 ? prev : NULL, NULL),
					 0);
			if (height > 1)
				assert_int_equal(sc_block_link(&b->base, NULL, NULL), -EBADMSG);
			memcpy(prev, b->base.hash, HASH_SIZE);
			for (size_t t = 0; t < b->transaction_count; t++)
				messages += b->transactions[t].user_count;
			items += b->base.item_count;
		}
		assert_int_equal(rd_done(&r), 0);
	}
	assert_int_equal(messages, 2191);
	assert_int_equal(items, 2730);
}

static void two_nodes_have_the_same_bytes_but_for_certificates(void **state)
{
	size_t other_certificates = 0;

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		AUTO(buf_release) struct buf one = recording_read(RECORDING, streams[i].name);
		AUTO(buf_release) struct buf other =
			recording_read(RECORDING_OTHER_NODE, streams[i].name);
		struct rd a = rd_of(buf_slice(&one)), b = rd_of(buf_slice(&other));

		while (rd_left(&a) && rd_left(&b)) {
			AUTO(buf_release) struct buf block_a = BUF_INIT(BLOCK_SIZE_MAX);
			AUTO(buf_release) struct buf block_b = BUF_INIT(BLOCK_SIZE_MAX);
			AUTO(buf_release) struct buf commits_a = BUF_INIT(BLOCK_SIZE_MAX);
			AUTO(buf_release) struct buf commits_b = BUF_INIT(BLOCK_SIZE_MAX);
			struct err err = ERR_INIT;

			assert_int_equal(sc_block_split(rd_blob(&a), streams[i].main_shard,
							&block_a, &commits_a, &err),
					 0);
			assert_int_equal(sc_block_split(rd_blob(&b), streams[i].main_shard,
							&block_b, &commits_b, &err),
					 0);
			assert_true(slice_eq(buf_slice(&block_a), buf_slice(&block_b)));
			other_certificates +=
				!slice_eq(buf_slice(&commits_a), buf_slice(&commits_b));
		}
	}
	assert_true(other_certificates > 100);
}

static void prost_writes_what_was_received(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		AUTO(buf_release) struct buf bytes = recording_read(RECORDING, streams[i].name);
		struct rd r = rd_of(buf_slice(&bytes));

		while (rd_left(&r)) {
			AUTO(sc_block_freep) struct sc_block *b = NULL;
			AUTO(buf_release) struct buf again = BUF_INIT(BLOCK_SIZE_MAX);

			assert_int_equal(
				block_read(p, rd_blob(&r), streams[i].main_shard, &b, NULL), 0);
			encode(b->block ? &b->block->base : &b->chunk->base, &again);
			assert_true(slice_eq(buf_slice(&again), buf_slice(&b->base.canonical)));
		}
	}
}

static void assert_renders(const struct sc_block *b, uint16_t form, uint32_t offset, uint32_t size,
			   uint32_t json_size, uint32_t line_size, struct buf *out)
{
	struct chain_object o = {
		.form = form,
		.bytes = SLICE(b->base.canonical.p + offset, size),
	};

	assert_true(offset + size <= b->base.canonical.n);
	buf_clear(out);
	assert_int_equal(sc_render_object(&o, false, out), 0);
	assert_int_equal(out->n, json_size);
	buf_clear(out);
	assert_int_equal(sc_render_object(&o, true, out), 0);
	assert_int_equal(out->n, line_size);
}

/* The bytes of an item alone give it the name that its block gave it. */
static void assert_named(const struct sc_block *b, const struct chain_item *item)
{
	uint8_t hash[HASH_SIZE], hash_size;
	char kind[SC_KIND_SIZE];

	assert_int_equal(sc_item_name(item->form,
				      SLICE(b->base.canonical.p + item->offset, item->size), kind,
				      hash, &hash_size),
			 0);
	assert_string_equal(kind, item->kind);
	assert_int_equal(hash_size, item->hash_size);
	assert_memory_equal(hash, item->hash, hash_size);
	if (!item->has_inner)
		return;
	assert_int_equal(
		sc_item_name(item->inner_form,
			     SLICE(b->base.canonical.p + item->inner_offset, item->inner_size),
			     kind, hash, &hash_size),
		0);
	assert_int_equal(hash_size, item->inner_hash_size);
	assert_memory_equal(hash, item->inner_hash, hash_size);
}

static void sizes_and_names_are_exact(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf out = BUF_INIT(BLOCK_SIZE_MAX);

	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		AUTO(buf_release) struct buf bytes = recording_read(RECORDING, streams[i].name);
		struct rd r = rd_of(buf_slice(&bytes));

		while (rd_left(&r)) {
			AUTO(sc_block_freep) struct sc_block *b = NULL;

			assert_int_equal(
				block_read(p, rd_blob(&r), streams[i].main_shard, &b, NULL), 0);
			for (size_t n = 0; n < b->base.item_count; n++) {
				const struct chain_item *item = &b->base.items[n];

				assert_named(b, item);
				assert_in_range(item->hash_size, HASH20_SIZE, HASH_SIZE);
				assert_renders(b, item->form, item->offset, item->size,
					       item->json_size, item->line_size, &out);
				if (item->has_inner)
					assert_renders(b, item->inner_form, item->inner_offset,
						       item->inner_size, item->inner_json_size,
						       item->inner_line_size, &out);
			}
			buf_clear(&out);
			assert_int_equal(sc_render_header(&b->base, false, &out), 0);
			assert_int_equal(out.n, b->base.header_size);
			buf_clear(&out);
			assert_int_equal(sc_render_header(&b->base, true, &out), 0);
			assert_int_equal(out.n, b->base.header_json_size);
			buf_clear(&out);
			assert_int_equal(sc_render_parent(&b->base, &out), 0);
			assert_int_equal(out.n, b->base.parent_file_size);
		}
	}
}

static void items_follow_the_bytes(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(sc_block_freep) struct sc_block *b = read_one(p, "blocks-0", BLOCK_WITH_MESSAGE);

	assert_int_equal(b->base.item_count, 2);
	assert_int_equal(b->transaction_count, 1);
	assert_int_equal(b->transactions[0].user_count, 1);
	assert_int_equal(b->event_count, 1);

	const struct sc_message *m = &b->transactions[0].user[0];
	const struct sc_block_event *e = &b->events[0];
	const struct chain_item *first = &b->base.items[0], *second = &b->base.items[1];

	assert_int_equal(m->item, 0);
	assert_false(m->inner);
	assert_int_equal(first->form, SC_FORM_MESSAGE);
	assert_memory_equal(first->hash, m->pb->hash.data, HASH20_SIZE);
	assert_int_equal(first->time, m->content->timestamp + SC_EPOCH);
	assert_int_equal(e->item, 1);
	assert_true(e->has_message && e->message.inner);
	assert_int_equal(e->message.item, 1);
	assert_string_equal(second->kind, "block-event-message");
	assert_int_equal(second->hash_size, HASH_SIZE);
	assert_int_equal(second->time, b->base.time);
	assert_true(second->has_inner);
	assert_int_equal(second->inner_form, SC_FORM_MESSAGE);
	assert_memory_equal(second->inner_hash, first->hash, HASH20_SIZE);
	assert_true(second->inner_offset > second->offset);
	assert_int_equal(b->base.witness_count, 2);
	assert_int_equal(b->base.witnesses[1].shard, 2);
}

/* ---- faults ---- */

static bool is_reported(const struct sc_block *b)
{
	for (unsigned level = LEVEL_STRUCTURE; level <= LEVEL_MESSAGES; level++)
		if (b->base.levels[level].verdict != VERDICT_OK)
			return true;
	return b->base.levels[LEVEL_MESSAGES].reason[0] != '\0';
}

/* Flips each bit of a block. All but those in [free_first, free_end) must be told. */
static void assert_flips_are_told(const struct chain_params *p, const char *stream, uint64_t nth,
				  size_t step, size_t *untold)
{
	AUTO(buf_release) struct buf bytes = recording_read(RECORDING, stream);
	struct slice received = stream_at(&bytes, nth);
	uint8_t *flipped = malloc(received.n);

	assert_non_null(flipped);
	*untold = 0;
	for (size_t bit = 0; bit < received.n * 8; bit += step) {
		AUTO(sc_block_freep) struct sc_block *b = NULL;
		struct err err = ERR_INIT;

		memcpy(flipped, received.p, received.n);
		flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = block_read(p, SLICE(flipped, received.n), stream[0] == 'b', &b, &err);

		assert_true(rc == 0 ||
			    (rc == -EBADMSG && strncmp(err.text, "structure: ", 11) == 0));
		if (rc == 0)
			*untold += !is_reported(b);
	}
	free(flipped);
}

static void a_flipped_bit_is_told(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	size_t untold;

	assert_flips_are_told(p, "blocks-0", BLOCK_WITH_EVENTS, 3, &untold);
	assert_int_equal(untold, 0);
	assert_flips_are_told(p, "chunks-1", CHUNK_WITH_EVENT, 3, &untold);
	assert_int_equal(untold, 0);
	/* What only replay can tell: fid and account_root of the transaction, 22 bytes. */
	assert_flips_are_told(p, "blocks-0", BLOCK_WITH_MESSAGE, 7, &untold);
	assert_in_range(untold, 1, 26);
}

static void assert_says(const struct chain_params *p, struct slice received, bool main_shard,
			enum level level, enum verdict verdict, const char *reason)
{
	AUTO(sc_block_freep) struct sc_block *b = NULL;

	assert_int_equal(block_read(p, received, main_shard, &b, NULL), 0);
	assert_string_equal(b->base.levels[level].reason, reason);
	assert_int_equal(b->base.levels[level].verdict, verdict);
}

static void reasons_name_the_field(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf stream = recording_read(RECORDING, "blocks-0");
	AUTO(buf_release) struct buf copy = BUF_INIT(1 << 20);
	AUTO(sc_block_freep) struct sc_block *b = read_one(p, "blocks-0", BLOCK_WITH_MESSAGE);
	struct slice received = stream_at(&stream, BLOCK_WITH_MESSAGE);

	buf_add(&copy, received);

	const struct {
		const void *at;
		enum level level;
		enum verdict verdict;
		const char *reason;
	} cases[] = {
		{ b->block->hash.data, LEVEL_HEADER, VERDICT_FAILED, "header: hash differs" },
		{ b->block->header->state_root.data, LEVEL_HEADER, VERDICT_FAILED,
		  "header: hash differs" },
		{ b->block->header->state_root.data, LEVEL_COMMIT, VERDICT_FAILED,
		  "commit: hash differs" },
		{ b->block->shard_witness->shard_chunk_witnesses[1]->shard_root.data, LEVEL_HEADER,
		  VERDICT_FAILED, "header: hash of the witnesses differs" },
		{ b->block->events[0]->hash.data, LEVEL_HEADER, VERDICT_FAILED,
		  "header: event 0: hash differs" },
		{ b->events[0].message.pb->signature.data, LEVEL_HEADER, VERDICT_FAILED,
		  "header: event 0: hash differs" },
		{ b->transactions[0].user[0].pb->signature.data, LEVEL_MESSAGES, VERDICT_OK,
		  "1 refused, first item 0: signature fails" },
		{ b->transactions[0].user[0].pb->hash.data, LEVEL_MESSAGES, VERDICT_OK,
		  "1 refused, first item 0: hash differs" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		/* Fields of the block stand in the received message by the same bytes. */
		const uint8_t *field = memmem(received.p, received.n, cases[i].at, HASH20_SIZE);
		size_t offset = (size_t)((const uint8_t *)cases[i].at - b->base.canonical.p);
		size_t commits = received.n - b->base.canonical.n;

		assert_non_null(field);
		if (memcmp(copy.p + offset, cases[i].at, HASH20_SIZE) != 0)
			offset += commits;
		assert_memory_equal(copy.p + offset, cases[i].at, HASH20_SIZE);
		copy.p[offset] ^= 1;
		assert_says(p, buf_slice(&copy), true, cases[i].level, cases[i].verdict,
			    cases[i].reason);
		copy.p[offset] ^= 1;
	}
}

static void what_the_network_is_decides_too(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf stream = recording_read(RECORDING, "blocks-0");
	struct slice received = stream_at(&stream, 5);

	p->network = SC_TESTNET;
	assert_says(p, received, true, LEVEL_HEADER, VERDICT_FAILED, "header: of network 3, not 2");
	p->network = SC_DEVNET;
	p->data_shards = 3;
	assert_says(p, received, true, LEVEL_STRUCTURE, VERDICT_FAILED,
		    "structure: 2 witnesses of 3 shards");
}

static void a_block_without_certificate_stands_by_itself(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf stream = recording_read(RECORDING, "chunks-1");
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(sc_block_freep) struct sc_block *b = NULL;

	assert_int_equal(
		sc_block_split(stream_at(&stream, 9), false, &canonical, &certificate, NULL), 0);
	assert_true(certificate.n > 0);
	assert_int_equal(block_read(p, buf_slice(&canonical), false, &b, NULL), 0);
	assert_int_equal(b->base.levels[LEVEL_COMMIT].verdict, VERDICT_ABSENT);
	assert_int_equal(b->base.levels[LEVEL_HEADER].verdict, VERDICT_OK);
	assert_int_equal(b->base.certificate.n, 0);
}

static void other_bytes_are_refused_with_a_sentence(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf stream = recording_read(RECORDING, "chunks-1");
	struct slice chunk = stream_at(&stream, 9);
	struct sc_block *b = NULL;
	struct chain_peek peek;
	struct err err = ERR_INIT;

	assert_int_equal(block_read(p, SLICE_EMPTY, true, &b, &err), -EBADMSG);
	assert_string_equal(err.text, "structure: no header");
	assert_int_equal(block_read(p, chunk, true, &b, &err), -EBADMSG);
	assert_int_equal(sc_block_peek(chunk, true, &peek, &err), -EBADMSG);
	assert_int_equal(sc_block_peek(SLICE_EMPTY, true, &peek, &err), -EBADMSG);
	assert_int_equal(block_read(p, slice_sub(chunk, 0, chunk.n - 1), false, &b, &err),
			 -EBADMSG);
	assert_int_equal(block_read(p, SLICE("\x22\x00\x22\x00", 4), true, &b, &err), -EBADMSG);
	assert_string_equal(err.text, "structure: commits: twice or malformed");
	assert_int_equal(
		block_read(p, SLICE("\x0a\x06\x0a\x04\x08\x07\x10\x01", 8), false, &b, &err),
		-EBADMSG);
	assert_string_equal(err.text, "structure: header: shard 7 of 2");
	assert_null(b);
}

static void want_of_memory_leaves_nothing(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf stream = recording_read(RECORDING, "blocks-0");
	struct slice received = stream_at(&stream, BLOCK_WITH_MESSAGE);

	FOR_EACH_ALLOC_FAULT {
		AUTO(sc_block_freep) struct sc_block *b = NULL;
		int rc = block_read(p, received, true, &b, NULL);

		assert_true((rc == 0 && b) || (rc == -ENOMEM && !b));
		if (b)
			assert_ok(b);
	}
}

static void a_block_of_nothing_stays_within_its_bound(void **state)
{
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf bytes = BUF_INIT(1 << 20);
	AUTO(sc_block_freep) struct sc_block *b = NULL;

	buf_bytes(&bytes, "\x0a\x06\x0a\x04\x08\x01\x10\x01", 8);
	for (size_t i = 0; i < 5000; i++)
		buf_bytes(&bytes, "\x1a\x04\x12\x00\x12\x00", 6); /* two empty messages */
	assert_int_equal(block_read(p, buf_slice(&bytes), false, &b, NULL), 0);
	assert_int_equal(b->base.item_count, 10000);
	assert_string_equal(b->base.items[0].refusal, "hash differs");
	assert_true(arena_used(b->arena) <= SC_ARENA_SIZE(bytes.n) * 3 / 4);
}

static void another_order_is_followed_and_remarked(void **state)
{
	/* cast_add {text "hi", parent_url "u"}, as prost writes it and as others do. */
	static const struct slice prost = {
		(const uint8_t *)"\x08\x01\x10\x07\x2a\x07\x3a\x01u\x22\x02hi", 13
	};
	static const struct slice other = {
		(const uint8_t *)"\x08\x01\x10\x07\x2a\x07\x22\x02hi\x3a\x01u", 13
	};
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf message = BUF_INIT(1000), transaction = BUF_INIT(1000);
	AUTO(buf_release) struct buf chunk = BUF_INIT(1000);
	AUTO(sc_block_freep) struct sc_block *b = NULL;

	message_make(other, NULL, prost, &message);
	wire_put_message(&transaction, 2, buf_slice(&message));
	buf_bytes(&chunk, "\x0a\x06\x0a\x04\x08\x01\x10\x01", 8);
	wire_put_message(&chunk, 3, buf_slice(&transaction));
	assert_int_equal(block_read(p, buf_slice(&chunk), false, &b, NULL), 0);
	assert_null(b->base.items[0].refusal);
	assert_int_equal(b->base.levels[LEVEL_STRUCTURE].verdict, VERDICT_OK);
	assert_string_equal(b->base.levels[LEVEL_STRUCTURE].reason,
			    "structure: some fields are not where nodes put them");
}

static void only_a_network_without_validators_may_name_no_parent(void **state)
{
	static const char header[] = "\x0a\x04\x08\x01\x10\x01";
	AUTO(params_freep) struct chain_params *p = recording_params(RECORDING);
	AUTO(buf_release) struct buf chunk = BUF_INIT(1000);
	AUTO(sc_block_freep) struct sc_block *b = NULL;
	AUTO(sc_block_freep) struct sc_block *free_one = NULL;
	struct sc_validators *validators = p->validators;
	size_t count = p->validators_count;
	uint8_t hash[HASH_SIZE];

	hash_blake3(SLICE(header, sizeof header - 1), hash);
	wire_put_message(&chunk, 1, SLICE(header, sizeof header - 1));
	wire_put_bytes(&chunk, 2, SLICE_ARRAY(hash));
	assert_int_equal(block_read(p, buf_slice(&chunk), false, &b, NULL), 0);
	assert_int_equal(sc_block_link(&b->base, NULL, NULL), -EBADMSG);
	assert_int_equal(sc_block_link(&b->base, hash, NULL), -EBADMSG);

	p->validators = NULL;
	p->validators_count = 0;
	assert_int_equal(block_read(p, buf_slice(&chunk), false, &free_one, NULL), 0);
	p->validators = validators;
	p->validators_count = count;
	assert_string_equal(free_one->base.levels[LEVEL_HEADER].reason, "header: names no parent");
	assert_int_equal(free_one->base.levels[LEVEL_HEADER].verdict, VERDICT_ABSENT);
	assert_int_equal(sc_block_link(&free_one->base, NULL, NULL), 0);
}

static int setup(void **state)
{
	return sign_init();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_block_of_a_recording_holds),
		cmocka_unit_test(two_nodes_have_the_same_bytes_but_for_certificates),
		cmocka_unit_test(prost_writes_what_was_received),
		cmocka_unit_test(sizes_and_names_are_exact),
		cmocka_unit_test(items_follow_the_bytes),
		cmocka_unit_test(a_flipped_bit_is_told),
		cmocka_unit_test(reasons_name_the_field),
		cmocka_unit_test(what_the_network_is_decides_too),
		cmocka_unit_test(a_block_without_certificate_stands_by_itself),
		cmocka_unit_test(other_bytes_are_refused_with_a_sentence),
		cmocka_unit_test(only_a_network_without_validators_may_name_no_parent),
		cmocka_unit_test(another_order_is_followed_and_remarked),
		cmocka_unit_test(want_of_memory_leaves_nothing),
		cmocka_unit_test(a_block_of_nothing_stays_within_its_bound),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
