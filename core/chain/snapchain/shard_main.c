/* A transaction of shard 0 (snapchain-replay.md 16.1). */
#include "core/chain/snapchain/account.h"
#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/events.h"
#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/limits.h"
#include "core/chain/snapchain/signers.h"
#include "core/chain/snapchain/validate.h"

#define RENTED_TO_LEND_MIN 1000 /* units; mainnet alone */
#define REMOVES_MIN        256  /* verification removes that an account with storage may keep */

/* What the messages of one transaction share. */
struct budget {
	struct sc_units_clock clock;
	struct sc_slot_units  lends, verifications;
	uint64_t              adds, removes; /* verifications */
};

static bool is_verification(int32_t type)
{
	return type == SC_VERIFICATION_ADD || type == SC_VERIFICATION_REMOVE;
}

/* ---- onchain events ---- */

static int onchain_events(struct replay *r, const struct sc_transaction *tx)
{
	const struct sc_system **list;
	int                      rc = sc_system_sorted(r, tx, &list);

	if (rc == 0 && r->version < SC_V_CHANNELS) /* as given, before */
		for (size_t i = 0; i < tx->system_count; i++)
			list[i] = &tx->system[i];
	for (size_t i = 0; i < tx->system_count && rc == 0; i++) {
		const struct sc_system *s = list[i];

		sc_cause_is(r, s->item, false);
		if (!s->onchain) {
			if (s->fname || s->event)
				rc = sc_outcome(r, s->item, refuse(r, "not for shard 0"));
			continue;
		}
		rc = sc_onchain_merge(r, s->onchain);
		if (rc == 0 && s->onchain->type == SC_ONCHAIN_CHANNEL)
			rc = sc_emit(r, s->item, true, wire_bytes_of(&s->onchain->base));
		rc = sc_outcome(r, s->item, rc);
	}
	return rc;
}

/* ---- what the account may still do ---- */

static int units(struct replay *r, const struct sc_transaction *tx, const struct budget *b,
		 bool borrowed, struct sc_slot_units *out)
{
	struct account       *a = account_of(r, tx->fid);
	struct sc_units_asked asked = { .lent = true, .borrowed = borrowed, .pending = tx->system,
					.pending_count = tx->system_count, .fid = tx->fid };
	int                   rc;

	if (!a)
		return -ENOMEM;
	r->units_asked = true;
	rc = sc_units(r->st, r->params->network, a->prefix, &b->clock, &asked, out);
	if (rc == REFUSED) /* a rent that cannot be read: nothing to lend, nothing to verify with */
		memset(out, 0, sizeof *out);
	return MIN(rc, 0);
}

static int budget_of(struct replay *r, const struct sc_transaction *tx, struct budget *b)
{
	struct account *a = account_of(r, tx->fid);
	bool            verifies = false, needed = false;
	int             rc = 0;

	memset(b, 0, sizeof *b);
	b->clock = sc_units_clock(r, false);
	for (size_t i = 0; i < tx->user_count; i++) {
		const Sc__MessageData *d = tx->user[i].content;

		needed |= d && d->body_case == SC__MESSAGE_DATA__BODY_LEND;
		verifies |= d && is_verification(d->type) && r->version >= SC_V_CHANNELS;
	}
	if (!a)
		return -ENOMEM;
	if (needed || verifies)
		rc = units(r, tx, b, false, &b->lends);
	b->verifications = b->lends;
	if (rc == 0 && verifies)
		rc = units(r, tx, b, true, &b->verifications);
	if (rc == 0 && verifies)
		rc = account_count(r, a, SC_VERIFICATION_ADD, &b->adds);
	if (rc == 0 && verifies)
		rc = account_count(r, a, SC_VERIFICATION_REMOVE, &b->removes);
	return rc;
}

/* ---- validation ---- */

static int lend_allowed(struct replay *r, const struct sc_message *m, const struct budget *b)
{
	const Sc__LendStorageBody  *lend = m->content->lend;
	const struct sc_slot_units *left =
		is_verification(m->content->type) ? &b->verifications : &b->lends;
	struct sc_units_asked       own = { .lent = false };
	struct account             *a = account_of(r, m->content->fid);
	struct sc_slot_units        rented;
	int                         rc;

	if (!a)
		return -ENOMEM;
	if (r->params->network == SC_MAINNET) {
		rc = sc_units(r->st, r->params->network, a->prefix, &b->clock, &own, &rented);
		if (rc < 0)
			return rc;
		if (rc || rented.units[lend->unit_type] < RENTED_TO_LEND_MIN)
			return refuse(r, "it rents too little to lend");
	}
	return left->units[lend->unit_type] >= (uint32_t)(lend->num_units + 1) ?
		       0 : refuse(r, "more than it has to lend");
}

static int verification_allowed(struct replay *r, const struct sc_message *m,
				const struct budget *b)
{
	const Sc__MessageData *d = m->content;
	bool     add = d->body_case == SC__MESSAGE_DATA__BODY_VERIFICATION_ADD;
	uint64_t most =
		sc_units_limit(&b->verifications, sc_limits_default, SC_LIMIT_VERIFICATIONS);
	uint64_t removes_most = most ? MAX(most, (uint64_t)REMOVES_MIN) : 0;
	uint64_t rows_most = MIN(most + removes_most, (uint64_t)UINT32_MAX);
	struct account  *a = account_of(r, d->fid);
	struct sc_record like = { .set = SC_SET_VERIFICATIONS }, found;
	int              has_add, has_remove = 0;

	if (!a)
		return -ENOMEM;
	if (d->type != (add ? SC_VERIFICATION_ADD : SC_VERIFICATION_REMOVE))
		return refuse(r, "a verification without its own body");
	if (sc_version_at(r, d->timestamp) < SC_V_CHANNELS)
		return refuse(r, "older than verifications on shard 0");
	if (add && !most)
		return refuse(r, "its fid has no storage for it");
	memcpy(like.prefix, a->prefix, sizeof like.prefix);
	like.text = sc_bytes(add ? d->verification_add->address : d->verification_remove->address);
	has_add = sc_store_holding(r, &sc_verifications, a->fid, &like, false, &found);
	if (has_add == 0)
		has_remove = sc_store_holding(r, &sc_verifications, a->fid, &like, true, &found);
	if (has_add < 0 || has_remove < 0)
		return MIN(has_add, has_remove);
	if (has_add || (!add && has_remove))
		return 0;
	if (add && b->adds >= most)
		return refuse(r, "its fid has as many verifications as it may");
	if (!add && b->removes >= removes_most)
		return refuse(r, "its fid has as many removed verifications as it may");
	if (!has_remove && b->adds + b->removes >= rows_most)
		return refuse(r, "its fid has as many verifications as it may");
	return 0;
}

static int body_allowed(struct replay *r, const struct sc_message *m, const struct budget *b)
{
	bool channel_type = sc_is_channel_type(m->content->type);

	switch ((int)m->content->body_case) {
	case SC__MESSAGE_DATA__BODY__NOT_SET:
		return refuse(r, "it has no body");
	case SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE:
	case SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER:
	case SC__MESSAGE_DATA__BODY_CHANNEL_PIN:
	case SC__MESSAGE_DATA__BODY_CHANNEL_MODERATE:
		channel_type = true;
		break;
	default:
		break;
	}
	if (channel_type)
		return r->version >= SC_V_CHANNELS ? sc_channel_authority(r, m) :
						     refuse(r, "channels are not known yet");
	switch ((int)m->content->body_case) {
	case SC__MESSAGE_DATA__BODY_LEND:
		return lend_allowed(r, m, b);
	case SC__MESSAGE_DATA__BODY_KEY_ADD:
	case SC__MESSAGE_DATA__BODY_KEY_REMOVE:
		if (r->version >= SC_V_GASLESS)
			return 0;
		break;
	case SC__MESSAGE_DATA__BODY_VERIFICATION_ADD:
	case SC__MESSAGE_DATA__BODY_VERIFICATION_REMOVE:
		if (r->version >= SC_V_CHANNELS)
			return verification_allowed(r, m, b);
		break;
	default:
		break;
	}
	return refuse(r, "not for shard 0");
}

static int validate(struct replay *r, const struct sc_message *m, const struct budget *b)
{
	uint32_t ttl;
	int      rc = sc_validate(r, m);

	if (rc == 0)
		rc = sc_registered(r, m->content->fid);
	if (rc == 0)
		rc = sc_signer_allowed(r, m, &ttl);
	if (rc == 0)
		rc = body_allowed(r, m, b);
	return rc ? rc : sc_signer_used(r, m, ttl);
}

/* ---- merging ---- */

static int merge_lend(struct replay *r, const struct sc_message *m, struct budget *b)
{
	const Sc__LendStorageBody *lend = m->content->lend;
	struct sc_slot_units      *slots[] = { &b->lends, &b->verifications }, given, back;
	int                        rc = sc_store_merge(r, &sc_lends, m);

	if (rc)
		return rc;
	given = sc_units_of_lend(lend->num_units, (uint32_t)lend->unit_type);
	for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
		sc_units_subtract(slots[i], &given, b->clock.now);
		for (size_t j = 0; j < r->replaced_count; j++) {
			back = sc_units_of_lend(r->replaced[j].b, r->replaced[j].kind);
			sc_units_join(slots[i], &back, b->clock.now);
		}
	}
	return 0;
}

static int merge_verification(struct replay *r, const struct sc_message *m, struct budget *b)
{
	int rc = r->version >= SC_V_CHANNELS ? sc_store_merge(r, &sc_verifications, m)
					     : refuse(r, "not for shard 0");

	if (rc)
		return rc;
	for (size_t i = 0; i < r->replaced_count; i++)
		*(r->replaced[i].type == SC_VERIFICATION_ADD ? &b->adds : &b->removes) -= 1;
	*(m->content->type == SC_VERIFICATION_ADD ? &b->adds : &b->removes) += 1;
	return 0;
}

static int merge(struct replay *r, const struct sc_message *m, struct budget *b)
{
	int32_t type = m->content->type;

	if (type == SC_LEND)
		return merge_lend(r, m, b);
	if (is_verification(type))
		return merge_verification(r, m, b);
	if (sc_is_channel_type(type))
		return sc_channel_merge(r, m);
	if ((type == SC_KEY_ADD || type == SC_KEY_REMOVE) &&
	    sc_version_at(r, m->content->timestamp) >= SC_V_GASLESS)
		return sc_key_merge(r, m, false);
	return refuse(r, "not for shard 0");
}

int sc_main_transaction(struct replay *r, const struct sc_transaction *tx)
{
	struct budget budget;
	int           rc = onchain_events(r, tx);

	if (rc == 0)
		rc = budget_of(r, tx, &budget);
	for (size_t i = 0; i < tx->user_count && rc == 0; i++) {
		const struct sc_message *m = &tx->user[i];

		sc_cause_is(r, m->item, false);
		rc = validate(r, m, &budget);
		if (rc == 0)
			rc = merge(r, m, &budget);
		if (rc == 0 && sc_event_told(m->content->type))
			rc = sc_emit(r, m->item, false, m->raw);
		rc = sc_outcome(r, m->item, rc);
	}
	sc_cause_none(r);
	return rc;
}
