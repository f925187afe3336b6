#include "core/chain/snapchain/limits.h"

#define YEAR_S 31536000u
#define DAY_S  86400u
#define RENT_BODY 12
#define TIER_BODY 15
#define TIER_PRO  1

const char *const sc_limit_names[SC_STORE_LIMITS] = {
	"casts", "links", "reactions", "user-data", "username-proofs", "verifications", "lends",
};

const uint32_t sc_limits_default[SC_UNIT_TYPES][SC_STORE_LIMITS] = {
	{ 5000, 2500, 2500, 50, 5, 25, 1 },
	{ 2000, 1000, 1000, 50, 5, 25, 1 },
	{ 100, 200, 200, 25, 2, 5, 1 },
};

/* ---- units ---- */

void sc_units_join(struct sc_slot_units *a, const struct sc_slot_units *b, uint64_t now)
{
	if (now >= b->until)
		return;
	if (now >= a->until) {
		*a = *b;
		return;
	}
	for (int i = 0; i < SC_UNIT_TYPES; i++)
		a->units[i] += b->units[i];
	a->until = MIN(a->until, b->until);
}

void sc_units_subtract(struct sc_slot_units *a, const struct sc_slot_units *b, uint64_t now)
{
	if (now >= b->until)
		return;
	for (int i = 0; i < SC_UNIT_TYPES; i++)
		a->units[i] -= b->units[i];
}

struct sc_slot_units sc_units_of_lend(uint64_t units, uint32_t unit_type)
{
	struct sc_slot_units s = { .until = UINT32_MAX };

	s.units[unit_type] = (uint32_t)units;
	return s;
}

uint32_t sc_units_limit(const struct sc_slot_units *s,
			const uint32_t table[SC_UNIT_TYPES][SC_STORE_LIMITS], enum sc_limit store)
{
	uint32_t limit = 0;

	for (int i = 0; i < SC_UNIT_TYPES; i++)
		limit += s->units[i] * table[i][store];
	return limit;
}

/* Kinds of units by when they were rented: until when they were sold, how long they last. */
struct vintage {
	uint64_t sold_until[2]; /* unix; mainnet, and every other network */
	uint8_t  unit_type, years;
	bool     extended;      /* by a year from version 18 of the rules on */
};

static const struct vintage vintages[] = {
	{ { 1724889600, 1724889600 }, 0, 3, true },
	{ { 1752685200, 1752426000 }, 1, 2, true },
	{ { 1782147600, 1781283600 }, 2, 1, true },
	{ { UINT64_MAX, UINT64_MAX }, 2, 1, false },
};

static struct sc_slot_units units_of_rent(uint32_t network, unsigned version, uint32_t units,
					  uint64_t rented)
{
	const struct vintage *v = vintages;
	struct sc_slot_units  s = { .until = 0 };

	while (rented >= v->sold_until[network != SC_MAINNET] &&
	       v < &vintages[ARRAY_LEN(vintages) - 1])
		v++;
	s.units[v->unit_type] = units;
	s.until = (uint32_t)(rented + (uint64_t)YEAR_S * (v->years + (v->extended &&
								      version >= SC_V_UNIT_YEAR)));
	return s;
}

static int join_rents(struct state *st, uint32_t network, const uint8_t prefix[TRIE_PREFIX_SIZE],
		      const struct sc_units_clock *clock, struct sc_slot_units *out)
{
	AUTO(sc_onchain_scan_release) struct sc_onchain_scan scan = { NULL };
	struct sc_onchain    e;
	struct sc_slot_units rent;
	int                  rc = sc_onchain_scan(st, prefix, SC_ONCHAIN_RENT, &scan);

	while (rc == 0 && (rc = sc_onchain_next(&scan, &e)) == 1) {
		if (e.body != RENT_BODY)
			return REFUSED;
		rent = units_of_rent(network, clock->version, (uint32_t)e.number[0], e.time);
		sc_units_join(out, &rent, clock->now);
		rc = 0;
	}
	return rc;
}

static int join_pending(uint32_t network, const struct sc_units_clock *clock,
			const struct sc_units_asked *asked, struct sc_slot_units *out)
{
	for (size_t i = 0; i < asked->pending_count; i++) {
		const Sc__OnChainEvent *e = asked->pending[i].onchain;
		struct sc_slot_units    rent;

		if (!e || e->type != SC_ONCHAIN_RENT || e->fid != asked->fid)
			continue;
		if ((int)e->body_case != RENT_BODY)
			return REFUSED;
		rent = units_of_rent(network, clock->version, e->storage_rent->units,
				     e->block_timestamp);
		sc_units_join(out, &rent, clock->now);
	}
	return 0;
}

static int join_lends(struct state *st, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set,
		      const struct sc_units_clock *clock, struct sc_slot_units *out)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_key        set_prefix;
	struct sc_record     rec;
	struct sc_slot_units lend;
	struct slice         key, value;
	int                  rc;

	sc_key_set(&set_prefix, prefix, set);
	rc = state_scan_new(st, SPACE_BOTH, sc_key_slice(&set_prefix), SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = sc_record_decode(key, value, &rec);
		if (rc < 0)
			return rc;
		lend = sc_units_of_lend(rec.b, rec.kind);
		sc_units_join(out, &lend, clock->now);
	}
	return rc;
}

int sc_units(struct state *st, uint32_t network, const uint8_t prefix[TRIE_PREFIX_SIZE],
	     const struct sc_units_clock *clock, const struct sc_units_asked *asked,
	     struct sc_slot_units *out)
{
	struct sc_slot_units lent = { .until = 0 }, borrowed = { .until = 0 };
	int                  rc;

	memset(out, 0, sizeof *out);
	rc = join_rents(st, network, prefix, clock, out);
	if (rc == 0)
		rc = join_pending(network, clock, asked, out);
	if (rc == 0 && asked->lent)
		rc = join_lends(st, prefix, SC_SET_LENDS, clock, &lent);
	if (rc == 0 && asked->borrowed)
		rc = join_lends(st, prefix, SC_SET_BORROWS, clock, &borrowed);
	if (rc)
		return rc;
	sc_units_subtract(out, &lent, clock->now);
	sc_units_join(out, &borrowed, clock->now);
	return 0;
}

struct sc_units_clock sc_units_clock(const struct replay *r, bool at_wall)
{
	struct sc_units_clock c = { .now = r->params->wall_clock, .version = r->version };

	if (c.now) {
		if (at_wall)
			c.version = sc_engine_version(r->params->network, c.now);
		return c;
	}
	c.now = r->block->base.time + (uint64_t)r->clock.shift;
	if (r->clock.other_year)
		c.version = c.version >= SC_V_UNIT_YEAR ? SC_V_UNIT_YEAR - 1 : SC_V_UNIT_YEAR;
	return c;
}

/* ---- pruning ---- */

static const struct prunable {
	enum sc_set   set;
	enum sc_limit limit;
	int32_t       types[3];
} prunables[] = {
	{ SC_SET_CASTS, SC_LIMIT_CASTS, { SC_CAST_ADD, SC_CAST_REMOVE } },
	{ SC_SET_LINKS, SC_LIMIT_LINKS, { SC_LINK_ADD, SC_LINK_REMOVE, SC_LINK_COMPACT } },
	{ SC_SET_REACTIONS, SC_LIMIT_REACTIONS, { SC_REACTION_ADD, SC_REACTION_REMOVE } },
	{ SC_SET_VERIFICATIONS,
	  SC_LIMIT_VERIFICATIONS,
	  { SC_VERIFICATION_ADD, SC_VERIFICATION_REMOVE } },
	{ SC_SET_USER_DATA, SC_LIMIT_USER_DATA, { SC_USER_DATA } },
	{ SC_SET_PROOFS, SC_LIMIT_PROOFS, { SC_USERNAME_PROOF } },
};

static const struct prunable *prunable_of(int32_t type)
{
	for (size_t i = 0; i < ARRAY_LEN(prunables); i++)
		for (size_t j = 0; j < ARRAY_LEN(prunables[i].types); j++)
			if (type && prunables[i].types[j] == type)
				return &prunables[i];
	return NULL;
}

/* What was counted once holds until a unit expires or a row that was counted changes. The change of
 * a block is seen from the next block on: all of it is read as C. */
static bool slot_holds(const struct replay *r, const struct account *a,
		       const struct sc_units_clock *clock)
{
	if (!a->slot_stamp || clock->now < a->slot_from || clock->now >= a->slot_until ||
	    a->slot_longer_year != (clock->version >= SC_V_UNIT_YEAR))
		return false;
	return a->slot_stamp == r->stamp || a->slot_changed < a->slot_stamp;
}

static int slot_of(struct replay *r, struct account *a, struct sc_slot_units *out)
{
	struct sc_units_clock clock = sc_units_clock(r, true);
	struct sc_units_asked asked = { .lent = true, .borrowed = true };
	int                   rc;

	r->units_asked = true;
	if (!slot_holds(r, a, &clock)) {
		a->slot_stamp = 0;
		rc = sc_units(r->st, r->params->network, a->prefix, &clock, &asked, &a->slot);
		if (rc)
			return rc;
		a->slot_stamp = r->stamp;
		a->slot_from = clock.now;
		a->slot_until = a->slot.until > clock.now ? a->slot.until : UINT32_MAX;
		a->slot_longer_year = clock.version >= SC_V_UNIT_YEAR;
	}
	*out = a->slot;
	return 0;
}

/* The oldest go, as they were committed before this block; one that the block has already taken
 * away counts as gone once more. */
static int prune_oldest(struct replay *r, struct account *a, const struct sc_store *s,
			uint64_t over)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_oldest *oldest = account_oldest(r, a, s->set);
	struct sc_key     prefix;
	struct sc_record  rec;
	struct slice      key, value;
	int               rc;

	sc_key_set(&prefix, a->prefix, s->set);
	rc = state_scan_new(r->st, SPACE_BOTH, sc_key_slice(&prefix),
			    oldest ? SLICE_ARRAY(oldest->order) : SLICE_EMPTY, false, &scan);
	while (rc == 0 && over && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = sc_record_decode(key, value, &rec);
		if (rc == 0)
			rc = sc_store_remove(r, s, &rec, REASON_PRUNED);
		if (rc == 0 && oldest) {
			memcpy(oldest->pruned, rec.order, SC_ORDER_SIZE);
			oldest->pruned_in = r->stamp;
		}
		over--;
	}
	return rc;
}

int sc_prune(struct replay *r, uint64_t fid, int32_t type)
{
	const struct prunable *p = prunable_of(type);
	struct account        *a = account_of(r, fid);
	struct sc_slot_units   slot;
	uint64_t               count = 0, of_type, limit;
	int                    rc = 0;

	if (!p)
		return 0;
	if (!a)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_LEN(p->types) && p->types[i]; i++) {
		rc = account_count(r, a, p->types[i], &of_type);
		if (rc < 0)
			return rc;
		count += of_type;
	}
	rc = slot_of(r, a, &slot);
	if (rc)
		return MIN(rc, 0);
	limit = sc_units_limit(&slot, r->params->limits, p->limit);
	return count > limit ? prune_oldest(r, a, sc_store_of_set(p->set), count - limit) : 0;
}

/* ---- pro ---- */

int sc_pro(struct replay *r, uint64_t fid)
{
	AUTO(sc_onchain_scan_release) struct sc_onchain_scan scan = { NULL };
	struct account   *a = account_of(r, fid);
	struct sc_onchain e;
	uint64_t          now = (uint64_t)r->block->time_fc + SC_EPOCH, until = 0;
	int               rc;

	if (!a)
		return -ENOMEM;
	rc = sc_onchain_scan(r->st, a->prefix, SC_ONCHAIN_TIER, &scan);
	while (rc == 0 && (rc = sc_onchain_next(&scan, &e)) == 1) {
		rc = 0;
		if (e.body != TIER_BODY || e.number[0] != TIER_PRO)
			continue;
		if (e.time > now)
			break;
		until = MAX(until, e.time) + e.number[1] * DAY_S;
	}
	return rc < 0 ? rc : until >= now;
}
