/* Links contest (padded type, target). text: the type as it came; a:
 * target, b: whether there is one. */
#include "core/chain/snapchain/compact.h"
#include "core/chain/snapchain/stores.h"

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	const Sc__LinkBody *b = m->content->link;

	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_LINK))
		return "a link without a link's body";
	out->text = sc_bytes(b->type);
	out->b = b->target_case == SC__LINK_BODY__TARGET_TARGET_FID;
	out->a = out->b ? b->target_fid : 0;
	if (out->text.n > 8 || (out->b && !out->text.n))
		return "a link type is 1 to 8 bytes";
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	sc_key_link_type(k, rec->text);
	if (rec->b)
		sc_key_be32(k, (uint32_t)rec->a);
}

const struct sc_store sc_links = {
	.set = SC_SET_LINKS, .add = SC_LINK_ADD, .remove = SC_LINK_REMOVE,
	.add_selector = 0x59, .remove_selector = 0x5a,
	.facts = facts, .conflict = conflict, .order = sc_order_remove_first,
	.gate = sc_compact_gate,
};
