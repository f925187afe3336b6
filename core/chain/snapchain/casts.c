/* Casts: an add contests its own hash, a remove its target's. kind 1: the key is the record's own
 * hash; else text is the key. */
#include "core/chain/snapchain/stores.h"

#define OWN_HASH 1

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	struct slice target;

	if (sc_body_is(m, SC__MESSAGE_DATA__BODY_CAST_ADD)) {
		out->kind = OWN_HASH;
		return NULL;
	}
	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_CAST_REMOVE))
		return "a cast without a cast's body";
	target = sc_bytes(m->content->cast_remove->target_hash);
	if (target.n == HASH20_SIZE)
		out->text = target;
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	if (rec->kind == OWN_HASH)
		sc_key_bytes(k, rec->order + 4, HASH20_SIZE);
	else
		sc_key_bytes(k, rec->text.p, rec->text.n);
}

/* A remove beats an add whatever their timestamps: also one that comes after it. */
static int order(const struct sc_record *a, const struct sc_record *b)
{
	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return sc_order_by_place(a, b);
}

const struct sc_store sc_casts = {
	.set = SC_SET_CASTS, .add = SC_CAST_ADD, .remove = SC_CAST_REMOVE,
	.add_selector = 0x57, .remove_selector = 0x58,
	.facts = facts, .conflict = conflict, .order = order,
};
