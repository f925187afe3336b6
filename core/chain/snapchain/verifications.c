/* Verifications contest an address, whatever its protocol. text: the address; kind: protocol. */
#include "core/chain/snapchain/stores.h"

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	const Sc__MessageData *d = m->content;
	int32_t protocol;

	if (d->type == SC_VERIFICATION_ADD &&
	    sc_body_is(m, SC__MESSAGE_DATA__BODY_VERIFICATION_ADD)) {
		out->text = sc_bytes(d->verification_add->address);
		protocol = d->verification_add->protocol;
	} else if (d->type == SC_VERIFICATION_REMOVE &&
		   sc_body_is(m, SC__MESSAGE_DATA__BODY_VERIFICATION_REMOVE)) {
		out->text = sc_bytes(d->verification_remove->address);
		protocol = d->verification_remove->protocol;
	} else {
		return "a verification without its own body";
	}
	if (protocol != 0 && protocol != 1)
		return "a verification of an unknown protocol";
	out->kind = (uint32_t)protocol;
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	sc_key_tail(k, rec->text);
}

/* Who verified an address: shard 0 asks for channel owners. */
static int index_address(struct replay *r, const struct sc_record *rec, bool put)
{
	struct sc_key key;

	sc_key_by_address(&key, rec->text);
	sc_key_be32(&key, sc_record_fid(rec));
	return put ? sc_put(r, &key, SLICE_ARRAY(rec->order)) : sc_delete(r, &key);
}

/* Also one that a newer add of the same address replaced. */
static int replaced(struct replay *r, const struct sc_record *old)
{
	struct sc_revocation *v;
	uint8_t              *address;

	if (old->type != SC_VERIFICATION_ADD)
		return 0;
	v = SC_PUSH(&r->revocations);
	address = arena_alloc(r->arena, MAX(old->text.n, (size_t)1));
	if (!v || !address)
		return -ENOMEM;
	memcpy(address, old->text.p, old->text.n);
	*v = (struct sc_revocation){ .fid = sc_record_fid(old), .protocol = old->kind,
				     .address = SLICE(address, old->text.n) };
	return 0;
}

const struct sc_store sc_verifications = {
	.set = SC_SET_VERIFICATIONS, .add = SC_VERIFICATION_ADD, .remove = SC_VERIFICATION_REMOVE,
	.add_selector = 0x5d, .remove_selector = 0x5e,
	.facts = facts, .conflict = conflict, .order = sc_order_remove_first,
	.index = index_address, .replaced = replaced,
};
