/* Lends contest (author, receiver). a: to whom, b: units, kind: unit type. */
#include "core/chain/snapchain/stores.h"

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	const Sc__LendStorageBody *b = m->content->lend;

	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_LEND))
		return "a lend without a lend's body";
	out->a = b->to_fid;
	out->b = b->num_units;
	out->kind = b->unit_type > 0 && b->unit_type < SC_UNIT_TYPES ? (uint32_t)b->unit_type : 0;
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	sc_key_be32(k, (uint32_t)rec->a);
}

/* Zero units give back what was lent: the lend has replaced the one before it, and goes at once. */
static int merged(struct replay *r, const struct sc_record *rec)
{
	return rec->b ? 0 : sc_store_remove(r, &sc_lends, rec, REASON_PRUNED);
}

const struct sc_store sc_lends = {
	.set = SC_SET_LENDS, .add = SC_LEND, .add_selector = 0x65,
	.facts = facts, .conflict = conflict, .merged = merged,
};
