/* Username proofs (ENS, basenames) contest a name among all accounts. text: the name; a: the fid
 * that the proof itself names. */
#include "core/chain/snapchain/stores.h"

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_USERNAME_PROOF))
		return "a username proof without a proof's body";
	out->text = sc_bytes(m->content->username_proof->name);
	out->a = m->content->username_proof->fid;
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	sc_key_tail(k, rec->text);
}

static int holder(struct replay *r, const struct sc_record *rec, uint32_t *fid)
{
	struct sc_key key;
	struct slice  value;
	int           rc;

	sc_key_proof_owner(&key, rec->text);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc;
	if (value.n != 4)
		return -EUCLEAN;
	*fid = get_be32(value.p);
	return *fid != 0;
}

static int index_name(struct replay *r, const struct sc_record *rec, bool put)
{
	struct sc_key key;

	sc_key_proof_owner(&key, rec->text);
	return put ? sc_put(r, &key, SLICE(rec->prefix + 1, 4)) : sc_delete(r, &key);
}

const struct sc_store sc_proofs = {
	.set = SC_SET_PROOFS, .add = SC_USERNAME_PROOF, .add_selector = 0x63,
	.facts = facts, .conflict = conflict, .holder = holder, .index = index_name,
};
