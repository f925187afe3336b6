/* User data contests its type. kind: the type; text: the value, of the types that rules ask for. */
#include "core/chain/snapchain/user_data.h"

#include "core/chain/snapchain/text.h"

static const char *facts(const struct sc_message *m, struct sc_record *out)
{
	const Sc__UserDataBody *b = m->content->user_data;

	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_USER_DATA))
		return "user data without its body";
	out->kind = (uint32_t)b->type;
	if (b->type == SC_USER_ETH_ADDRESS || b->type == SC_USER_SOL_ADDRESS)
		out->text = sc_bytes(b->value);
	return NULL;
}

static void conflict(const struct sc_record *rec, struct sc_key *k)
{
	if ((int32_t)rec->kind > 0)
		sc_key_u8(k, (uint8_t)rec->kind);
}

const struct sc_store sc_user_data = {
	.set = SC_SET_USER_DATA, .add = SC_USER_DATA, .add_selector = 0x61,
	.facts = facts, .conflict = conflict,
};

/* With two rows of a type (8.4) there is no telling which is meant, and none is. */
static int only_row(struct replay *r, const struct account *a, enum sc_user_data_type type,
		    struct sc_record *out)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_key    prefix;
	struct sc_record rec;
	struct slice     key, value;
	int              found = 0, rc;

	sc_key_set(&prefix, a->prefix, SC_SET_USER_DATA);
	rc = state_scan_new(r->st, SPACE_BOTH, sc_key_slice(&prefix), SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = sc_record_decode(key, value, &rec);
		if (rc == 0 && rec.kind == (uint32_t)type && found++ == 0) {
			uint8_t *kept = arena_alloc(r->arena, MAX(rec.text.n, (size_t)1));

			if (!kept)
				return -ENOMEM;
			*out = rec;
			if (rec.text.n)
				memcpy(kept, rec.text.p, rec.text.n);
			out->text = SLICE(kept, rec.text.n);
		}
	}
	return rc < 0 ? rc : found == 1;
}

int sc_user_data_revoke(struct replay *r, uint64_t fid, enum sc_user_data_type type,
			const struct slice *value)
{
	struct account  *a = account_of(r, fid);
	struct sc_record rec;
	int              rc;

	if (!a)
		return -ENOMEM;
	rc = only_row(r, a, type, &rec);
	if (rc != 1 || (value && !slice_eq(rec.text, *value)))
		return MIN(rc, 0);
	return sc_store_remove(r, &sc_user_data, &rec, REASON_REVOKED);
}

int sc_revoke_primary_addresses(struct replay *r)
{
	int rc = 0;

	for (size_t i = 0; i < r->revocations.count && rc == 0; i++) {
		const struct sc_revocation *v = &r->revocations.list[i];
		bool         sol = v->protocol == 1;
		char         text[SC_BASE58_TEXT_SIZE];
		struct slice value;

		if (v->address.n != (sol ? 32u : 20u))
			continue; /* no address text is that of other sizes */
		if (sol)
			sc_base58(v->address, text);
		else
			sc_eip55(v->address.p, text);
		value = slice_str(text);
		rc = sc_user_data_revoke(r, v->fid, sol ? SC_USER_SOL_ADDRESS : SC_USER_ETH_ADDRESS,
					 &value);
	}
	return rc;
}
