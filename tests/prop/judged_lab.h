/* judged_lab.h: what a changed message or block came to, as prop_mutants.c tells it.
 *   refused    it does not decode, or some level says no
 *   reported   the block stands, and calls every item that is new in it refused
 *   reordered  the block stands, and has no item that the original has not: each in another place, of
 *              another transaction, again, or missing where replay gives the same state (docs/trust.md)
 *   same       it says what the original says: the canonical bytes are equal, another certificate
 *              holds too
 *   uncovered  what differs lies in fields that docs/trust.md names as covered by nothing; of each
 *              new item that is not refused, set against one of the original
 *   unjudged   of a corpus, and only replay could tell: it stands on no state
 *   accepted   none of these: a failure
 * Nothing here knows how it was changed. */
#ifndef CHAINFS_TESTS_JUDGED_LAB_H
#define CHAINFS_TESTS_JUDGED_LAB_H

#include "core/chain/snapchain/codec.h"
#include "tests/prop/fields_lab.h"

enum judgement {
	JUDGED_REFUSED,
	JUDGED_REPORTED,
	JUDGED_REORDERED,
	JUDGED_SAME,
	JUDGED_UNCOVERED,
	JUDGED_UNJUDGED,
	JUDGED_ACCEPTED,
	JUDGEMENT_COUNT
};

/* ---- where it differs ---- */

static bool only_listed(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			const char *trust, unsigned depth, char field[FIELD_SIZE]);

/* Is it a number of which the upper bits alone are listed, `Name.field >> 32`, and the lower ones are
 * as they were? */
static bool upper_listed(const struct wire_field *was, const struct wire_field *is,
			 const char *trust, const char *field)
{
	char upper[FIELD_SIZE + 8];

	if (!was || !is || was->type != WIRE_VARINT || is->type != WIRE_VARINT)
		return false;
	snprintf(upper, sizeof upper, "`%s >> ", field);
	const char *at = strstr(trust, upper);

	return at && (was->value ^ is->value) << (64 - strtoul(at + strlen(upper), NULL, 10)) == 0;
}

/* Two fields of one number, or one of them alone. */
static bool field_listed(const ProtobufCMessageDescriptor *d, const struct wire_field *was,
			 const struct wire_field *is, const char *trust, unsigned depth,
			 char field[FIELD_SIZE])
{
	const ProtobufCFieldDescriptor *f = field_of(d, was ? was->number : is->number);

	snprintf(field, FIELD_SIZE, "%s.%s", d->short_name, f ? f->name : "?");
	if (is_listed(trust, field) || upper_listed(was, is, trust, field))
		return true;
	if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || !was || !is || was->type != WIRE_BYTES ||
	    is->type != WIRE_BYTES)
		return false;
	return only_listed(f->descriptor, was->bytes, is->bytes, trust, depth + 1, field);
}

/* Are all fields that differ listed? `field` names the last that was looked at. Sizes of what
 * encloses them differ too, so this goes by fields and not by bytes. */
static bool only_listed(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			const char *trust, unsigned depth, char field[FIELD_SIZE])
{
	AUTO(base_freep) struct wire_field *a = calloc(FIELDS_MAX, sizeof *a);
	AUTO(base_freep) struct wire_field *b = calloc(FIELDS_MAX, sizeof *b);

	assert_true(a && b && depth < DEPTH_MAX);
	size_t a_count = fields_of(was, a), b_count = fields_of(is, b), first = 0, tail = 0;
	size_t most = MIN(a_count, b_count);
	bool good = true;

	while (first < most && slice_eq(a[first].whole, b[first].whole))
		first++;
	while (tail < most - first &&
	       slice_eq(a[a_count - 1 - tail].whole, b[b_count - 1 - tail].whole))
		tail++;
	size_t i = first, k = first, a_end = a_count - tail, b_end = b_count - tail;

	while (good && (i < a_end || k < b_end)) {
		bool pair = i < a_end && k < b_end && a[i].number == b[k].number;
		bool left = pair || (i < a_end && (k == b_end || a[i].number < b[k].number));
		bool right = pair || !left;

		if (!pair || !slice_eq(a[i].whole, b[k].whole))
			good = field_listed(d, left ? &a[i] : NULL, right ? &b[k] : NULL, trust,
					    depth, field);
		i += left;
		k += right;
	}
	return good;
}

static bool only_uncovered(const ProtobufCMessageDescriptor *d, struct slice was, struct slice is,
			   const char *trust, char field[FIELD_SIZE])
{
	snprintf(field, FIELD_SIZE, "nowhere");
	return only_listed(d, was, is, trust, 0, field);
}

/* ---- messages ---- */

/* Does it verify, and what does it say? */
static bool verifies(struct slice in, struct buf *says)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(in.n));
	struct sc_message m;

	if (!arena || sc_message_decode(in, arena, true, &m, NULL) < 0 || !m.hash_ok ||
	    !m.signature_ok || !m.content || m.differs)
		return false;
	/* What was hashed, whether it came as data or as data_bytes; who signed it, and how. */
	buf_blob(says, m.preimage);
	buf_blob(says, SLICE(m.pb->signer.data, m.pb->signer.len));
	buf_add(says, SLICE(m.pb->signature.data, m.pb->signature.len));
	return true;
}

/* What `message` became; `other` lent it bytes. */
static enum judgement judge_message(struct slice message, struct slice changed, struct slice other,
				    const char *trust, char field[FIELD_SIZE])
{
	AUTO(buf_release) struct buf says = BUF_INIT(BLOCK_SIZE_MAX);
	AUTO(buf_release) struct buf said = BUF_INIT(BLOCK_SIZE_MAX);

	if (!verifies(changed, &says))
		return JUDGED_REFUSED;
	if (slice_eq(changed, message) ||
	    (verifies(message, &said) && slice_eq(buf_slice(&says), buf_slice(&said))))
		return JUDGED_SAME;
	if (slice_eq(changed, other))
		return JUDGED_SAME; /* it has become the whole other one */
	return only_uncovered(&sc__message__descriptor, message, changed, trust, field)
		       ? JUDGED_UNCOVERED
		       : JUDGED_ACCEPTED;
}

/* ---- blocks ---- */

static const ProtobufCMessageDescriptor *block_descriptor(uint32_t shard)
{
	return shard ? &sc__shard_chunk__descriptor : &sc__block__descriptor;
}

static const ProtobufCMessageDescriptor *descriptor_of(const struct chain_item *it)
{
	switch (it->form) {
	case SC_FORM_MESSAGE:
		return &sc__message__descriptor;
	case SC_FORM_ONCHAIN:
		return &sc__on_chain_event__descriptor;
	case SC_FORM_FNAME:
		return &sc__fname_transfer__descriptor;
	case SC_FORM_BLOCK_EVENT:
		return &sc__block_event__descriptor;
	default:
		return &sc__validator_message__descriptor;
	}
}

static struct slice item_bytes(const struct chain_block *b, size_t i)
{
	return SLICE(b->canonical.p + b->items[i].offset, b->items[i].size);
}

/* Has the original an item of these bytes, or one that differs in listed fields alone? */
static bool has_item(const struct chain_block *b, struct slice bytes)
{
	for (size_t i = 0; i < b->item_count; i++)
		if (slice_eq(item_bytes(b, i), bytes))
			return true;
	return false;
}

static bool has_item_but_listed(const struct chain_block *b, const struct chain_item *it,
				struct slice bytes, const char *trust, char field[FIELD_SIZE])
{
	for (size_t i = 0; i < b->item_count; i++)
		if (b->items[i].form == it->form &&
		    only_uncovered(descriptor_of(it), item_bytes(b, i), bytes, trust, field))
			return true;
	return false;
}

/* Is it a message that says what one of the block's says, though its bytes are others? */
static bool says_the_same(const struct chain_block *b, struct slice message)
{
	AUTO(buf_release) struct buf says = BUF_INIT(BLOCK_SIZE_MAX);

	if (!verifies(message, &says))
		return false;
	for (size_t i = 0; i < b->item_count; i++) {
		AUTO(buf_release) struct buf said = BUF_INIT(BLOCK_SIZE_MAX);

		if (b->items[i].form != SC_FORM_SYSTEM && verifies(item_bytes(b, i), &said) &&
		    slice_eq(buf_slice(&says), buf_slice(&said)))
			return true;
	}
	return false;
}

/* Of a block that every level let stand: so every transaction's root is its account's, whatever stands
 * in it (test_replay_recordings). `standing`: items that are not refused; `field`: where what is
 * accepted was changed. */
static enum judgement judge_block(uint32_t shard, struct slice whole, struct slice changed,
				  const struct chain_block *b, const struct chain_block *honest,
				  const bool *standing, const char *trust, char field[FIELD_SIZE])
{
	bool reported = false, uncovered = false, same = false;

	snprintf(field, FIELD_SIZE, "its transactions");
	if (slice_eq(buf_slice(&b->canonical), buf_slice(&honest->canonical)))
		return JUDGED_SAME;
	if (only_uncovered(block_descriptor(shard), whole, changed, trust, field))
		return JUDGED_UNCOVERED;
	for (size_t i = 0; i < b->item_count; i++) {
		struct slice bytes = item_bytes(b, i);

		if (has_item(honest, bytes))
			continue;
		if (!standing[i])
			reported = true;
		else if (b->items[i].form == SC_FORM_SYSTEM && !bytes.n)
			uncovered = true; /* it says nothing */
		else if (b->items[i].form == SC_FORM_FNAME)
			uncovered = true; /* the root says that no name of the key set was changed */
		else if (b->items[i].form != SC_FORM_SYSTEM && says_the_same(honest, bytes))
			same = true;
		else if (has_item_but_listed(honest, &b->items[i], bytes, trust, field))
			uncovered = true;
		else
			return JUDGED_ACCEPTED;
	}
	if (uncovered)
		return JUDGED_UNCOVERED;
	if (reported)
		return JUDGED_REPORTED;
	return same ? JUDGED_SAME : JUDGED_REORDERED;
}

/* Are all items that the original has not refused for what their bytes say, and are there some? */
static bool reports_refused(const struct chain_block *b, const struct chain_block *was)
{
	bool any = false;

	for (size_t i = 0; i < b->item_count; i++) {
		if (has_item(was, item_bytes(b, i)))
			continue;
		if (!b->items[i].refusal)
			return false;
		any = true;
	}
	return any;
}

/* Of the corpora: their blocks are signed by nobody that this chain knows, so all that decodes is
 * refused by a level. `b`, `was`: NULL where they do not decode. */
static enum judgement judge_foreign(uint32_t shard, struct slice whole, struct slice changed,
				    const struct chain_block *b, const struct chain_block *was,
				    const char *trust)
{
	char field[FIELD_SIZE];
	bool stands = b != NULL;

	for (int l = LEVEL_STRUCTURE; b && l <= LEVEL_COMMIT; l++)
		stands &= b->levels[l].verdict == VERDICT_OK;
	/* Some of them are recorded blocks, and verify. */
	if (!stands)
		return JUDGED_REFUSED;
	if (was && slice_eq(buf_slice(&b->canonical), buf_slice(&was->canonical)))
		return JUDGED_SAME;
	if (was && reports_refused(b, was))
		return JUDGED_REPORTED;
	if (only_uncovered(block_descriptor(shard), whole, changed, trust, field))
		return JUDGED_UNCOVERED;
	/* What only replay could tell, and this block stands on no state. */
	return JUDGED_UNJUDGED;
}

#endif
