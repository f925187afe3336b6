/* Reactions contest (type, target). kind: the type; text: a url, or the hash of a cast whose author
 * is a. A url that happens to look like a cast id collides with it, as it does upstream. */
#include "core/chain/snapchain/stores.h"

enum { NO_TARGET, URL, CAST }; /* b */

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	const Sc__ReactionBody *b = m->content->reaction;

	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_REACTION))
		return "a reaction without a reaction's body";
	if (b->target_case == SC__REACTION_BODY__TARGET_TARGET_URL) {
		out->b = URL;
		out->text = sc_bytes(b->target_url);
	} else if (b->target_case == SC__REACTION_BODY__TARGET_TARGET_CAST_ID) {
		out->b = CAST;
		out->a = b->target_cast_id->fid;
		out->text = sc_bytes(b->target_cast_id->hash);
		if (out->text.n > HASH20_SIZE)
			return "a reaction to what is no cast";
	}
	if (out->b != NO_TARGET && b->type == 0)
		return "a reaction of no type";
	out->kind = (uint32_t)b->type;
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	if ((int32_t)rec->kind > 0)
		sc_key_u8(k, (uint8_t)rec->kind);
	if (rec->b == CAST)
		sc_key_be32(k, (uint32_t)rec->a);
	sc_key_tail(k, rec->text);
}

const struct sc_store sc_reactions = {
	.set = SC_SET_REACTIONS, .add = SC_REACTION_ADD, .remove = SC_REACTION_REMOVE,
	.add_selector = 0x5b, .remove_selector = 0x5c,
	.facts = facts, .conflict = conflict, .order = sc_order_remove_first,
};
