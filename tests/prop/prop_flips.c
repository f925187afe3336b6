/* One flipped bit anywhere in a recorded chain is refused, or reported with block, level and field,
 * or lies in a field that docs/trust.md names as covered by nothing. Each flip meets the chain
 * where it stands: the block is decoded and replayed on the state of the height below it. */
#include "tests/support/support.h"

#include <string.h>

#include "core/base/sign.h"
#include "core/store/state.h"
#include "core/sync/archive.h"
#include "proto/snapchain.pb-c.h"
#include "proto/wire.h"

#define FLIPS       1500u
#define ARCHIVE     "tests/vectors/devnet-a"
#define TRUST       "docs/trust.md"
#define FIELD_SIZE  96

struct chain {
	const struct chain_ops *ops;
	struct chain_params    *params;
	struct archive         *archive;
	struct state           *state[SHARD_MAX];
	struct replay          *replay[SHARD_MAX];
	uint8_t                 last_hash[SHARD_MAX][HASH_SIZE];
	uint64_t                objects;
};

struct tally {
	unsigned flips, refused[LEVEL_COUNT], items, uncovered;
};

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d, uint32_t number)
{
	return protobuf_c_message_descriptor_get_field(d, number);
}

/* "OnChainEvent.block_hash": the innermost field that holds the byte at `at`. */
static void name_field(const ProtobufCMessageDescriptor *d, struct slice message, size_t at, char out[FIELD_SIZE])
{
	struct wire w = wire_of(message);
	struct wire_field f;
	while (wire_next(&w, &f)) {
		size_t start = (size_t)(f.whole.p - message.p);
		const ProtobufCFieldDescriptor *field = field_of(d, f.number);
		if (at < start || at >= start + f.whole.n)
			continue;
		snprintf(out, FIELD_SIZE, "%s.%s", d->short_name, field ? field->name : "?");
		size_t content = f.type == WIRE_BYTES ? (size_t)(f.bytes.p - message.p) : SIZE_MAX;
		if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && at >= content)
			name_field(field->descriptor, f.bytes, at - content, out);
		return;
	}
	snprintf(out, FIELD_SIZE, "%s", d->short_name);
}

static bool is_listed(const char *trust, const char *field)
{
	char quoted[FIELD_SIZE + 4];
	snprintf(quoted, sizeof quoted, "`%s`", field);
	return strstr(trust, quoted) != NULL;
}

/* Decodes what may be a damaged block; NULL and the sentence when it is no block at all. */
static struct chain_block *decode(struct chain *c, uint32_t shard, struct slice received, struct err *why)
{
	AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
	struct chain_block *b = NULL;
	int rc = c->ops->split(received, shard == 0, &canonical, &certificate, why);
	if (rc == 0)
		rc = c->ops->decode(c->params, shard == 0, true, &canonical, &certificate, &b, why);
	return rc == 0 ? b : NULL;
}

/* Is the item that differs from the honest block's one that its outcome calls refused? */
static bool reports(const struct chain_block *b, const struct chain_block *honest, const struct chain_result *res)
{
	for (size_t i = 0; i < b->item_count; i++) {
		const struct chain_item *it = &b->items[i], *was = &honest->items[i];
		bool differs = !slice_eq(SLICE(b->canonical.p + it->offset, it->size),
					 SLICE(honest->canonical.p + was->offset, was->size));
		if (differs && (it->refusal || res->outcomes[i].outcome == OUTCOME_REFUSED))
			return true;
	}
	return false;
}

/* The level that refuses the block on the state as it stands, or -1; `item` tells of a refused
 * item. */
static int refuses(struct chain *c, uint32_t shard, const struct chain_block *b, const struct chain_block *honest,
		   bool *item)
{
	struct chain_result res = { 0 };
	struct err why = ERR_INIT;
	for (int l = LEVEL_STRUCTURE; l <= LEVEL_COMMIT; l++) {
		if (b->levels[l].verdict == VERDICT_OK)
			continue;
		assert_true(b->levels[l].reason[0] != 0 || b->levels[l].verdict == VERDICT_ABSENT);
		return l;
	}
	if (b->shard != shard || c->ops->link(b, b->height == 1 ? NULL : c->last_hash[shard], &why) < 0)
		return LEVEL_HEADER;
	assert_int_equal(state_block_begin(c->state[shard], b->height), 0);
	int rc = c->ops->replay_block(c->replay[shard], c->state[shard], b, c->objects, true, &res, &why);
	bool reported = rc == 0 && reports(b, honest, &res);
	state_block_abort(c->state[shard]);
	c->ops->replay_abort(c->replay[shard]);
	assert_true(rc == 0 || rc == -EUCLEAN);
	if (rc == -EUCLEAN) {
		int level = res.accounts.verdict == VERDICT_FAILED ? LEVEL_ACCOUNTS : LEVEL_STATE;
		assert_true((level == LEVEL_ACCOUNTS ? res.accounts : res.state).reason[0] != 0);
		return level;
	}
	*item = reported;
	return -1;
}

static void flip(struct chain *c, uint32_t shard, struct slice whole, const struct chain_block *honest, struct random *r,
		 const char *trust, struct tally *t)
{
	AUTO(buf_release) struct buf damaged = BUF_INIT(BLOCK_SIZE_MAX);
	struct err why = ERR_INIT;
	char field[FIELD_SIZE];
	size_t at = random_below(r, whole.n);
	buf_add(&damaged, whole);
	damaged.p[at] ^= (uint8_t)(1u << random_below(r, 8));
	t->flips++;

	struct chain_block *b = decode(c, shard, buf_slice(&damaged), &why);
	if (!b) {
		assert_true(why.text[0] != 0);
		t->refused[LEVEL_STRUCTURE]++;
		return;
	}
	bool item = false;
	int level = refuses(c, shard, b, honest, &item);
	c->ops->block_free(b);
	if (level >= 0) {
		t->refused[level]++;
		return;
	}
	if (item) {
		t->items++;
		return;
	}
	name_field(shard ? &sc__shard_chunk__descriptor : &sc__block__descriptor, whole, at, field);
	if (!is_listed(trust, field))
		fail_msg("a flip of byte %zu of a block of shard %u, in %s, is neither refused nor in %s", at, shard, field, TRUST);
	t->uncovered++;
}

static void advance(struct chain *c, uint32_t shard, const struct chain_block *b)
{
	struct chain_result res = { 0 };
	struct err why = ERR_INIT;
	assert_int_equal(state_block_begin(c->state[shard], b->height), 0);
	assert_int_equal(c->ops->replay_block(c->replay[shard], c->state[shard], b, c->objects, true, &res, &why), 0);
	assert_int_equal(state_block_end(c->state[shard]), 0);
	memcpy(c->last_hash[shard], b->hash, HASH_SIZE);
	c->objects += 1 + 2 * b->item_count;
}

static void open_chain(struct chain *c)
{
	struct err err = ERR_INIT;
	c->ops = chain_kind("snapchain");
	c->objects = 1;
	assert_non_null(c->ops);
	assert_int_equal(sign_init(), 0);
	assert_int_equal(archive_open(ARCHIVE, &c->archive, &err), 0);
	assert_int_equal(c->ops->params_parse(archive_config(c->archive), &c->params, &err), 0);
	for (uint32_t s = 0; s < archive_shards(c->archive); s++) {
		assert_int_equal(state_open(NULL, s, UINT64_MAX, &c->state[s], &err), 0);
		assert_int_equal(c->ops->replay_new(c->params, s, &c->replay[s], &err), 0);
	}
}

static void close_chain(struct chain *c)
{
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		if (c->replay[s])
			c->ops->replay_free(c->replay[s]);
		state_freep(&c->state[s]);
	}
	c->ops->params_free(c->params);
	archive_closep(&c->archive);
}

static void a_flipped_bit_is_refused_or_reported_or_named_in_the_page_on_trust(void **state)
{
	(void)state;
	struct random r = random_of_run();
	struct chain c = { 0 };
	struct tally t = { 0 };
	struct err err = ERR_INIT;
	size_t trust_size;
	AUTO(base_freep) char *trust = (char *)file_read(TRUST, &trust_size);
	trust = realloc(trust, trust_size + 1);
	trust[trust_size] = 0;
	open_chain(&c);

	uint64_t all = rounds(FLIPS), blocks = 833;
	for (uint32_t s = 0; s < archive_shards(c.archive); s++) {
		AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
		while (archive_next(c.archive, s, &message, &err) == 1) {
			struct chain_block *honest = decode(&c, s, buf_slice(&message), &err);
			assert_non_null(honest);
			for (uint64_t n = all / blocks + random_chance(&r, (unsigned)(all % blocks * 100 / blocks)); n; n--)
				flip(&c, s, buf_slice(&message), honest, &r, trust, &t);
			advance(&c, s, honest);
			c.ops->block_free(honest);
		}
	}
	print_message("# %u flips: structure %u, header %u, commit %u, accounts %u, state %u refused; items %u reported; %u in "
		      "fields that nothing covers\n",
		      t.flips, t.refused[LEVEL_STRUCTURE], t.refused[LEVEL_HEADER], t.refused[LEVEL_COMMIT],
		      t.refused[LEVEL_ACCOUNTS], t.refused[LEVEL_STATE], t.items, t.uncovered);
	assert_true(t.flips >= all / 2);
	close_chain(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flipped_bit_is_refused_or_reported_or_named_in_the_page_on_trust),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
