#include "core/chain/snapchain/validate.h"

#include "core/chain/snapchain/limits.h"

#define SIZE_MAX_USUAL   2048u
#define SIZE_MAX_LONG    16384u /* casts of pro accounts; username proofs from version 15 on */
#define SIZE_MAX_COMPACT 65536u
#define AHEAD_MAX_S      600u
#define SCHEME           1      /* of hash and signature: there is one each */

int sc_check_pro(struct sc_check *c)
{
	if (c->pro < 0)
		c->pro = sc_pro(c->r, c->m->content->fid);
	return c->pro;
}

static int frame_action(struct sc_check *c)
{
	return refuse(c->r, "frame actions are not kept");
}

static const struct {
	int body;
	int (*check)(struct sc_check *c);
} bodies[] = {
	{ SC__MESSAGE_DATA__BODY_CAST_ADD, sc_validate_cast_add },
	{ SC__MESSAGE_DATA__BODY_CAST_REMOVE, sc_validate_cast_remove },
	{ SC__MESSAGE_DATA__BODY_REACTION, sc_validate_reaction },
	{ SC__MESSAGE_DATA__BODY_VERIFICATION_ADD, sc_validate_verification_add },
	{ SC__MESSAGE_DATA__BODY_VERIFICATION_REMOVE, sc_validate_verification_remove },
	{ SC__MESSAGE_DATA__BODY_USER_DATA, sc_validate_user_data },
	{ SC__MESSAGE_DATA__BODY_LINK, sc_validate_link },
	{ SC__MESSAGE_DATA__BODY_USERNAME_PROOF, sc_validate_username_proof },
	{ SC__MESSAGE_DATA__BODY_FRAME_ACTION, frame_action },
	{ SC__MESSAGE_DATA__BODY_LINK_COMPACT, sc_validate_link_compact },
	{ SC__MESSAGE_DATA__BODY_LEND, sc_validate_lend },
	{ SC__MESSAGE_DATA__BODY_KEY_ADD, sc_validate_key_add },
	{ SC__MESSAGE_DATA__BODY_KEY_REMOVE, sc_validate_key_remove },
	{ SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE, sc_validate_channel },
	{ SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER, sc_validate_channel },
	{ SC__MESSAGE_DATA__BODY_CHANNEL_PIN, sc_validate_channel },
	{ SC__MESSAGE_DATA__BODY_CHANNEL_MODERATE, sc_validate_channel },
};

static int size_of(struct sc_check *c)
{
	size_t  size = c->m->preimage.n, most = SIZE_MAX_USUAL;
	int32_t type = c->m->content->type;
	int     pro;

	if (size <= SIZE_MAX_USUAL)
		return 0;
	if (type == SC_LINK_COMPACT)
		most = SIZE_MAX_COMPACT;
	if (type == SC_USERNAME_PROOF && c->r->version >= SC_V_LONG_PROOFS)
		most = SIZE_MAX_LONG;
	if (type == SC_CAST_ADD) {
		pro = sc_check_pro(c);
		if (pro < 0)
			return pro;
		if (pro)
			most = SIZE_MAX_LONG;
	}
	return size <= most ? 0 : refuse(c->r, "longer than its type may be");
}

static const char *envelope_fault(const struct replay *r, const struct sc_message *m)
{
	const Sc__MessageData *d = m->content;

	if (d->network < SC_MAINNET || d->network > SC_DEVNET ||
	    (r->params->network == SC_MAINNET && d->network != SC_MAINNET))
		return "of another network";
	if (m->pb->hash_scheme != SCHEME || !m->hash_ok)
		return "its hash is not that of its bytes";
	if (m->pb->signature_scheme != SCHEME || !m->signature_ok)
		return "its signature is not its signer's";
	if (d->timestamp > (uint64_t)r->block->time_fc + AHEAD_MAX_S)
		return "from more than ten minutes ahead";
	return NULL;
}

int sc_validate(struct replay *r, const struct sc_message *m)
{
	struct sc_check c = { .r = r, .m = m, .pro = -1 };
	const char     *why;
	int             rc;

	if (!m->content || !m->preimage.n)
		return refuse(r, "it has no data");
	rc = size_of(&c);
	if (rc)
		return rc;
	why = envelope_fault(r, m);
	if (why)
		return refuse(r, why);
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		if (bodies[i].body == (int)m->content->body_case)
			return bodies[i].check(&c);
	return 0; /* no body: it finds no store later */
}
