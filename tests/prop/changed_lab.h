/* changed_lab.h: a recorded chain, and what becomes of a block of it that was changed, met where it
 * stands: decoded, and replayed on the state of the height below it. */
#ifndef CHAINFS_TESTS_CHANGED_LAB_H
#define CHAINFS_TESTS_CHANGED_LAB_H

#include "tests/support/support.h"

#include <string.h>

#include "core/base/sign.h"
#include "core/store/state.h"
#include "core/sync/archive.h"
#include "proto/snapchain.pb-c.h"
#include "proto/wire.h"

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

static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *d,
						uint32_t number)
{
	return protobuf_c_message_descriptor_get_field(d, number);
}

/* "OnChainEvent.block_hash": the innermost field that holds the byte at `at`. */
static inline void name_field(const ProtobufCMessageDescriptor *d, struct slice message, size_t at,
			      char out[FIELD_SIZE])
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
static struct chain_block *decode(struct chain *c, uint32_t shard, struct slice received,
				  struct err *why)
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
static bool reports(const struct chain_block *b, const struct chain_block *honest,
		    const struct chain_result *res)
{
	for (size_t i = 0; i < b->item_count; i++) {
		const struct chain_item *it = &b->items[i];
		const struct chain_item *was = i < honest->item_count ? &honest->items[i] : NULL;
		bool differs = !was || !slice_eq(SLICE(b->canonical.p + it->offset, it->size),
					 SLICE(honest->canonical.p + was->offset, was->size));
		if (differs && (it->refusal || res->outcomes[i].outcome == OUTCOME_REFUSED))
			return true;
	}
	return false;
}

/* The level that refuses the block on the state as it stands, or -1; `item` tells of a refused
 * item. standing: which items are not refused, room for all of b's; or NULL. */
static int refuses(struct chain *c, uint32_t shard, const struct chain_block *b,
		   const struct chain_block *honest, bool *item, bool *standing)
{
	struct chain_result res = { 0 };
	struct err why = ERR_INIT;
	for (int l = LEVEL_STRUCTURE; l <= LEVEL_COMMIT; l++) {
		if (b->levels[l].verdict == VERDICT_OK)
			continue;
		assert_true(b->levels[l].reason[0] != 0 || b->levels[l].verdict == VERDICT_ABSENT);
		return l;
	}
	if (b->shard != shard ||
	    c->ops->link(b, b->height == 1 ? NULL : c->last_hash[shard], &why) < 0)
		return LEVEL_HEADER;
	assert_int_equal(state_block_begin(c->state[shard], b->height), 0);
	int rc = c->ops->replay_block(c->replay[shard], c->state[shard], b, c->objects, true, &res,
				      &why);
	bool reported = rc == 0 && reports(b, honest, &res);
	for (size_t i = 0; rc == 0 && standing && i < b->item_count; i++)
		standing[i] = !b->items[i].refusal && res.outcomes[i].outcome != OUTCOME_REFUSED;
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

static inline void advance(struct chain *c, uint32_t shard, const struct chain_block *b)
{
	struct chain_result res = { 0 };
	struct err why = ERR_INIT;
	assert_int_equal(state_block_begin(c->state[shard], b->height), 0);
	assert_int_equal(c->ops->replay_block(c->replay[shard], c->state[shard], b, c->objects,
					      true, &res, &why),
			 0);
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

/* What the page on trust names as covered by nothing: other parts name fields that are covered.
 * Free with free(). */
static char *read_trust(void)
{
	size_t size;
	char *text = (char *)file_read(TRUST, &size);
	text = realloc(text, size + 1);
	assert_non_null(text);
	text[size] = 0;
	char *from = strstr(text, "\n### By name\n");
	assert_non_null(from);
	char *to = strstr(from + 1, "\n### ");
	assert_non_null(to);
	memmove(text, from, (size_t)(to - from));
	text[to - from] = 0;
	return text;
}

#endif
