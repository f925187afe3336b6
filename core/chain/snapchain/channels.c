#include "core/chain/snapchain/channels.h"

#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/stores.h"

#define CHANNEL_SIZE    32
#define MEMBERS_MAX     8192
#define MODERATED_MAX   16384
#define MODERATORS_MAX  10
#define SLOT_SIZE       (4 + SC_ORDER_SIZE) /* fid4, then the order of the message that fills it */

enum action {
	ADD_MEMBER = 1, REMOVE_MEMBER, ADD_MODERATOR, REMOVE_MODERATOR, BAN, UNBAN
};
enum membership { OPEN = 1, APPROVAL };
enum member_state { STATE_NONE, STATE_MEMBER, STATE_MODERATOR, STATE_REMOVED, STATE_BANNED };
enum role { ROLE_OTHER, ROLE_MEMBER, ROLE_MODERATOR, ROLE_OWNER };

static const enum member_state state_after[] = {
	[ADD_MEMBER] = STATE_MEMBER,       [REMOVE_MEMBER] = STATE_REMOVED,
	[ADD_MODERATOR] = STATE_MODERATOR, [REMOVE_MODERATOR] = STATE_MEMBER,
	[BAN] = STATE_BANNED,              [UNBAN] = STATE_REMOVED,
};

/* One row a kind of channel message. */
static const struct kind {
	int32_t      type, body;
	enum sc_set  set;
	enum sc_slot slot, counter; /* counter 0: the slots have no bound */
	uint32_t     slots_max;
} kinds[] = {
	{ SC_CHANNEL_UPDATE, SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE, SC_SET_CHANNEL_UPDATES,
	  SC_SLOT_UPDATE, 0, 0 },
	{ SC_CHANNEL_MEMBER, SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER, SC_SET_CHANNEL_MEMBERS,
	  SC_SLOT_MEMBER, SC_SLOT_MEMBER_COUNT, MEMBERS_MAX },
	{ SC_CHANNEL_PIN, SC__MESSAGE_DATA__BODY_CHANNEL_PIN, SC_SET_CHANNEL_PINS,
	  SC_SLOT_PIN, 0, 0 },
	{ SC_CHANNEL_MODERATE, SC__MESSAGE_DATA__BODY_CHANNEL_MODERATE, SC_SET_CHANNEL_MODERATIONS,
	  SC_SLOT_MODERATE, SC_SLOT_MODERATE_COUNT, MODERATED_MAX },
};

bool sc_is_channel_type(int32_t type)
{
	return type >= SC_CHANNEL_UPDATE && type <= SC_CHANNEL_MODERATE;
}

static const struct kind *kind_of(const struct sc_message *m)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (kinds[i].type == m->content->type &&
		    kinds[i].body == (int)m->content->body_case)
			return &kinds[i];
	return NULL;
}

/* What the four bodies have in common. */
struct said {
	struct slice channel, suffix;
	uint8_t      target4[4];
	uint64_t     fid;    /* of a member message */
	int32_t      action; /* member, moderate */
	int32_t      membership;
};

static void said_of(const Sc__MessageData *d, struct said *out)
{
	memset(out, 0, sizeof *out);
	switch ((int)d->body_case) {
	case SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE:
		out->channel = sc_bytes(d->channel_update->channel_id);
		if (d->channel_update->_membership_mode_case)
			out->membership = d->channel_update->membership_mode;
		break;
	case SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER:
		out->channel = sc_bytes(d->channel_member->channel_id);
		out->fid = d->channel_member->fid;
		out->action = d->channel_member->action;
		put_be32(out->target4, (uint32_t)out->fid);
		out->suffix = SLICE_ARRAY(out->target4);
		break;
	case SC__MESSAGE_DATA__BODY_CHANNEL_PIN:
		out->channel = sc_bytes(d->channel_pin->channel_id);
		break;
	case SC__MESSAGE_DATA__BODY_CHANNEL_MODERATE:
		out->channel = sc_bytes(d->channel_moderate->channel_id);
		out->suffix = sc_bytes(d->channel_moderate->cast_hash);
		out->action = d->channel_moderate->action;
		break;
	default:
		break;
	}
}

/* Widths and numbers; block events come without any other check. */
static const char *fault(const Sc__MessageData *d, const struct said *s)
{
	const Sc__ChannelUpdateBody *u = d->channel_update;

	if (s->channel.n != CHANNEL_SIZE)
		return "a channel's id is 32 bytes";
	switch ((int)d->body_case) {
	case SC__MESSAGE_DATA__BODY_CHANNEL_UPDATE:
		if (u->_casting_mode_case && (u->casting_mode < 0 || u->casting_mode > 3))
			return "a casting mode that is none";
		return s->membership < 0 || s->membership > APPROVAL
			       ? "a membership mode that is none"
			       : NULL;
	case SC__MESSAGE_DATA__BODY_CHANNEL_MEMBER:
		if (s->action < ADD_MEMBER || s->action > UNBAN)
			return "an action that is none";
		return s->fid > UINT32_MAX ? "a member's fid is over 32 bits" : NULL;
	case SC__MESSAGE_DATA__BODY_CHANNEL_PIN:
		return d->channel_pin->cast_hash.len && d->channel_pin->cast_hash.len != HASH20_SIZE
			       ? "a cast's hash is 20 bytes"
			       : NULL;
	default:
		if (s->suffix.n != HASH20_SIZE)
			return "a cast's hash is 20 bytes";
		return s->action != 1 && s->action != 2 ? "an action that is none" : NULL;
	}
}

/* ---- slots ---- */

/* The message that fills a slot: 1, 0. kind of the record: action, or
 * membership mode of an update. */
static int incumbent(struct replay *r, enum sc_set set, const struct sc_key *slot,
		     struct sc_record *out)
{
	struct slice value;
	uint8_t      prefix[TRIE_PREFIX_SIZE];
	int          rc = sc_get(r, slot, &value);

	if (rc != 1)
		return rc;
	if (value.n != SLOT_SIZE)
		return -EUCLEAN;
	sc_prefix(get_be32(value.p), prefix);
	rc = sc_record_get(r, prefix, set, value.p + 4, out);
	return rc == 0 ? -EUCLEAN : rc;
}

static int member_state(struct replay *r, const uint8_t channel[CHANNEL_SIZE], uint64_t fid,
			enum member_state *out)
{
	struct sc_key    slot;
	struct sc_record rec;
	int              rc;

	sc_key_slot(&slot, SC_SLOT_MEMBER, channel);
	sc_key_be32(&slot, (uint32_t)fid);
	rc = incumbent(r, SC_SET_CHANNEL_MEMBERS, &slot, &rec);
	*out = rc == 1 && rec.kind < ARRAY_LEN(state_after) ? state_after[rec.kind] : STATE_NONE;
	return MIN(rc, 0);
}

/* ---- authority ---- */

/* Among those who verified the owner's address the newest claim, of
 * equal ones the lowest fid. 1, 0. */
static int owner_fid(struct replay *r, struct slice address, uint32_t *fid)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_record best, rec, like = { .set = SC_SET_VERIFICATIONS, .text = address };
	struct sc_key    prefix;
	struct slice     key, value;
	int              found = 0, rc;

	sc_key_by_address(&prefix, address);
	rc = state_scan_new(r->st, SPACE_BOTH, sc_key_slice(&prefix), SLICE_EMPTY, true, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = 0;
		if (key.n != prefix.n + 4u)
			continue;
		sc_prefix(get_be32(key.p + prefix.n), like.prefix);
		rc = sc_store_holding(r, &sc_verifications, sc_record_fid(&like), &like, false,
				      &rec);
		if (rc != 1)
			continue;
		rc = 0;
		int c = found ? sc_order_by_place(&rec, &best) : 1;

		if (c > 0 || (c == 0 && sc_record_fid(&rec) < sc_record_fid(&best)))
			best = rec;
		found = 1;
	}
	if (rc < 0)
		return rc;
	if (found)
		*fid = sc_record_fid(&best);
	return found;
}

struct case_of {
	enum role         role;
	enum member_state target;
	bool              me, owner_is_target;
	enum membership   mode;
};

static const char not_allowed[] = "the author may not do this in the channel";
static const char wrong_state[] = "the member is not in the state that the action needs";

/* The table of 16.2, by action. */
static const char *member_fault(const struct case_of *c, int32_t action)
{
	bool owner = c->role == ROLE_OWNER, trusted = owner || c->role == ROLE_MODERATOR;
	bool outside = c->target == STATE_NONE || c->target == STATE_REMOVED;

	if (action == BAN && c->owner_is_target)
		return "the owner of a channel cannot be banned";
	if (action != UNBAN && c->target == STATE_BANNED)
		return "the member is banned";
	switch (action) {
	case ADD_MEMBER:
		if (!outside)
			return wrong_state;
		return trusted || (c->me && c->mode == OPEN) ? NULL : not_allowed;
	case REMOVE_MEMBER:
		if (c->target == STATE_MEMBER)
			return trusted || c->me ? NULL : not_allowed;
		return c->target == STATE_MODERATOR && c->me ? NULL : wrong_state;
	case ADD_MODERATOR:
		if (!outside && c->target != STATE_MEMBER)
			return wrong_state;
		return owner ? NULL : not_allowed;
	case REMOVE_MODERATOR:
		if (c->target != STATE_MODERATOR)
			return wrong_state;
		return owner ? NULL : not_allowed;
	case BAN:
		return owner || (trusted && c->target != STATE_MODERATOR) ? NULL : not_allowed;
	case UNBAN:
		if (c->target != STATE_BANNED)
			return wrong_state;
		return trusted ? NULL : not_allowed;
	default:
		return "an action that is none";
	}
}

static int member_authority(struct replay *r, const struct sc_message *m, const struct said *s,
			    struct case_of *c)
{
	struct sc_key    slot;
	struct sc_record update;
	const char      *why;
	uint64_t         moderators;
	int              rc = member_state(r, s->channel.p, s->fid, &c->target);

	if (rc < 0)
		return rc;
	sc_key_slot(&slot, SC_SLOT_UPDATE, s->channel.p);
	rc = incumbent(r, SC_SET_CHANNEL_UPDATES, &slot, &update);
	if (rc < 0)
		return rc;
	c->mode = rc && update.kind == OPEN ? OPEN : APPROVAL;
	c->me = s->fid == m->content->fid;
	why = member_fault(c, s->action);
	if (why)
		return refuse(r, why);
	if (s->action != ADD_MODERATOR)
		return 0;
	sc_key_slot(&slot, SC_SLOT_MODERATORS, s->channel.p);
	rc = sc_get_number(r, &slot, &moderators);
	if (rc == 0 && moderators >= MODERATORS_MAX)
		rc = refuse(r, "the channel has as many moderators as it may");
	return rc;
}

int sc_channel_authority(struct replay *r, const struct sc_message *m)
{
	struct sc_channel_owner owner;
	struct case_of    c = { .role = ROLE_OTHER };
	struct said       s;
	enum member_state own;
	uint32_t          fid = 0;
	int               held, rc;

	if (!kind_of(m))
		return refuse(r, "a channel message without its body");
	said_of(m->content, &s);
	if (s.channel.n != CHANNEL_SIZE)
		return refuse(r, "a channel's id is 32 bytes");
	rc = sc_channel_owner(r, s.channel.p, &owner);
	if (rc != 1)
		return rc < 0 ? rc : refuse(r, "there is no such channel");
	held = owner_fid(r, owner.address, &fid);
	if (held < 0)
		return held;
	if (!held && !(m->content->type == SC_CHANNEL_MEMBER && s.action == REMOVE_MEMBER &&
		       s.fid == m->content->fid))
		return refuse(r, "nobody has verified the address that owns the channel");
	rc = member_state(r, s.channel.p, m->content->fid, &own);
	if (rc < 0)
		return rc;
	if (held && fid == m->content->fid)
		c.role = ROLE_OWNER;
	else if (own == STATE_MODERATOR || own == STATE_MEMBER)
		c.role = own == STATE_MODERATOR ? ROLE_MODERATOR : ROLE_MEMBER;
	c.owner_is_target = held && fid == s.fid;
	switch (m->content->type) {
	case SC_CHANNEL_UPDATE:
		return c.role == ROLE_OWNER ? 0 : refuse(r, not_allowed);
	case SC_CHANNEL_MEMBER:
		return member_authority(r, m, &s, &c);
	default:
		return c.role >= ROLE_MODERATOR ? 0 : refuse(r, not_allowed);
	}
}

/* ---- merging ---- */

static bool is_moderator(const struct sc_record *rec)
{
	return rec->type == SC_CHANNEL_MEMBER && rec->kind == ADD_MODERATOR;
}

static int add_to(struct replay *r, enum sc_slot counter, const uint8_t *channel, int by,
		  uint32_t max)
{
	struct sc_key key;
	uint64_t      n;
	int           rc;

	sc_key_slot(&key, counter, channel);
	rc = sc_get_number(r, &key, &n);
	if (rc < 0)
		return rc;
	if (max && n >= max)
		return refuse(r, "the channel has as many slots as it may");
	if (by < 0 && !n)
		return refuse(r, "the channel's moderators were counted wrong");
	return sc_put_number(r, &key, n + (uint64_t)(int64_t)by);
}

static void facts_of(const struct sc_message *m, const struct kind *k, const struct said *s,
		     struct sc_record *out)
{
	out->set = k->set;
	out->kind = (uint32_t)(m->content->type == SC_CHANNEL_UPDATE ? s->membership : s->action);
	out->a = s->fid;
	out->text = s->channel;
}

bool sc_channel_facts(const struct sc_message *m, struct sc_record *out)
{
	const struct kind *k = kind_of(m);
	struct said        s;

	if (!k)
		return false;
	said_of(m->content, &s);
	facts_of(m, k, &s, out);
	return true;
}

bool sc_channel_slot(const struct sc_message *m, struct sc_channel_slot *out)
{
	const struct kind *k = kind_of(m);
	struct said        s;

	if (!k)
		return false;
	said_of(m->content, &s);
	if (fault(m->content, &s))
		return false;
	memcpy(out->channel, s.channel.p, CHANNEL_SIZE);
	sc_key_slot(&out->key, k->slot, s.channel.p);
	sc_key_bytes(&out->key, s.suffix.p, s.suffix.n);
	put_be32(out->value, (uint32_t)m->content->fid);
	put_be32(out->value + 4, m->content->timestamp);
	memcpy(out->value + 8, m->pb->hash.data, HASH20_SIZE);
	out->counter = k->counter;
	out->moderator = m->content->type == SC_CHANNEL_MEMBER && s.action == ADD_MODERATOR;
	return true;
}

int sc_channel_merge(struct replay *r, const struct sc_message *m)
{
	const struct kind *k = kind_of(m);
	struct account    *a = account_of(r, m->content->fid);
	struct sc_record   rec, old = { .set = SC_SET_COUNT };
	struct said        s;
	struct sc_key      slot;
	const char        *why;
	uint8_t            value[SLOT_SIZE];
	bool               was, is;
	int                had, rc = 0;

	if (!a)
		return -ENOMEM;
	if (!k || m->pb->signature_scheme != 1 || m->pb->hash.len != HASH20_SIZE)
		return refuse(r, "a channel message without its body");
	said_of(m->content, &s);
	why = fault(m->content, &s);
	if (!why && m->content->fid > UINT32_MAX)
		why = "its fid is over 32 bits";
	if (why)
		return refuse(r, why);
	sc_record_begin(r, m, a->prefix, &rec);
	facts_of(m, k, &s, &rec);
	sc_key_slot(&slot, k->slot, s.channel.p);
	sc_key_bytes(&slot, s.suffix.p, s.suffix.n);
	had = incumbent(r, k->set, &slot, &old);
	if (had < 0)
		return had;
	if (had && memcmp(old.order + 4, rec.order + 4, HASH20_SIZE) == 0 &&
	    sc_record_fid(&old) == a->fid)
		return refuse(r, "duplicate");
	if (!had && k->counter)
		rc = add_to(r, k->counter, s.channel.p, 1, k->slots_max);
	was = had && is_moderator(&old);
	is = is_moderator(&rec);
	if (rc == 0 && was != is)
		rc = add_to(r, SC_SLOT_MODERATORS, s.channel.p, is ? 1 : -1, 0);
	if (rc == 0)
		rc = MIN(sc_record_put(r, &rec, NULL), 0);
	if (rc == 0 && had)
		rc = MIN(sc_record_delete(r, &old, NULL, REASON_SUPERSEDED), 0);
	memcpy(value, a->prefix + 1, 4);
	memcpy(value + 4, rec.order, SC_ORDER_SIZE);
	return rc ? rc : sc_put(r, &slot, SLICE_ARRAY(value));
}
