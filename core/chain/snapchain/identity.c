#include "core/chain/snapchain/identity.h"

#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/text.h"
#include "core/chain/snapchain/user_data.h"

static const char not_its_name[] = "the name is not its fid's";

static int check_proof(struct replay *r, uint64_t fid, struct slice name)
{
	struct sc_record like = { .set = SC_SET_PROOFS, .text = name }, proof;
	uint32_t         holder;
	int              rc = sc_proofs.holder(r, &like, &holder);

	if (rc == 1) {
		sc_prefix(holder, like.prefix);
		rc = sc_store_holding(r, &sc_proofs, holder, &like, false, &proof);
	}
	if (rc < 0)
		return rc;
	return rc && proof.a == fid ? 0 : refuse(r, not_its_name);
}

static int check_fname(struct replay *r, uint64_t fid, struct slice name)
{
	struct sc_fname f;
	int             rc = sc_fname_get(r, name, &f);

	if (rc < 0)
		return rc;
	return rc && f.fid == fid ? 0 : refuse(r, not_its_name);
}

/* The value has passed validation, so it is an address in the form of its type. */
static bool address_of(struct slice value, bool sol, uint8_t out[SC_BASE58_BYTES_MAX],
		       struct slice *address)
{
	*address = SLICE(out, sol ? 32 : 20);
	if (sol)
		return sc_base58_get(value, out) == 32;
	return value.n == 42 && hex_get((const char *)value.p + 2, 40, out, 20) == 0;
}

static int check_address(struct replay *r, uint64_t fid, struct slice value, bool sol)
{
	struct account  *a = account_of(r, fid);
	uint8_t          bytes[SC_BASE58_BYTES_MAX];
	struct sc_record like = { .set = SC_SET_VERIFICATIONS, .type = SC_VERIFICATION_ADD }, found;
	int              rc;

	if (!a)
		return -ENOMEM;
	if (!address_of(value, sol, bytes, &like.text))
		return refuse(r, "not an address");
	memcpy(like.prefix, a->prefix, sizeof like.prefix);
	rc = sc_store_holding(r, &sc_verifications, a->fid, &like, false, &found);
	if (rc < 0)
		return rc;
	return rc && found.kind == (sol ? 1u : 0u)
		       ? 0
		       : refuse(r, "the address is not one that it verified");
}

int sc_identity_check(struct replay *r, const struct sc_message *m)
{
	const Sc__UserDataBody *b = m->content->user_data;
	struct slice            value, eth = slice_str(".eth");

	if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_USER_DATA) || !b->value.len)
		return 0;
	value = sc_bytes(b->value);
	switch (b->type) {
	case SC_USER_NAME:
		if (value.n >= eth.n && memcmp(value.p + value.n - eth.n, eth.p, eth.n) == 0)
			return check_proof(r, m->content->fid, value);
		return check_fname(r, m->content->fid, value);
	case SC_USER_ETH_ADDRESS:
	case SC_USER_SOL_ADDRESS:
		return check_address(r, m->content->fid, value, b->type == SC_USER_SOL_ADDRESS);
	default:
		return 0;
	}
}
