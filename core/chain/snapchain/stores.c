#include "core/chain/snapchain/stores.h"

#include "core/chain/snapchain/hyper.h"

static const struct sc_store *const stores[] = {
	&sc_casts,         &sc_links,  &sc_reactions, &sc_user_data,
	&sc_verifications, &sc_proofs, &sc_lends,
};

const struct sc_store *sc_store_of(int32_t type)
{
	for (size_t i = 0; type && i < ARRAY_LEN(stores); i++)
		if (stores[i]->add == type || stores[i]->remove == type)
			return stores[i];
	return NULL;
}

const struct sc_store *sc_store_of_set(enum sc_set set)
{
	for (size_t i = 0; i < ARRAY_LEN(stores); i++)
		if (stores[i]->set == set)
			return stores[i];
	return NULL;
}

bool sc_record_is_remove(const struct sc_store *s, const struct sc_record *rec)
{
	return s->remove && rec->type == (uint32_t)s->remove;
}

int sc_order_by_place(const struct sc_record *a, const struct sc_record *b)
{
	return memcmp(a->order, b->order, SC_ORDER_SIZE);
}

int sc_order_remove_first(const struct sc_record *a, const struct sc_record *b)
{
	int c = memcmp(a->order, b->order, 4);

	/* Of a store's two types the remove has the greater number. */
	if (c == 0 && a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return c ? c : sc_order_by_place(a, b);
}

static int compare(const struct sc_store *s, const struct sc_record *a, const struct sc_record *b)
{
	return s->order ? s->order(a, b) : sc_order_by_place(a, b);
}

int sc_store_order(const struct sc_store *s, const struct sc_record *a, const struct sc_record *b)
{
	return compare(s, a, b);
}

static void selector_key(const struct sc_store *s, uint32_t fid, const struct sc_record *rec,
			 bool remove, struct sc_key *k)
{
	sc_key_selector(k, fid, remove ? s->remove_selector : s->add_selector);
	s->conflict(rec, k);
}

/* ---- who holds the key ---- */

struct holder {
	struct sc_record record;  /* of the selector; its facts only when the row is there */
	bool             has_row; /* a selector may outlive its row */
};

static int find(struct replay *r, const struct sc_store *s, uint32_t fid,
		const struct sc_record *like, bool remove, struct holder *out)
{
	struct sc_key key;
	struct slice  order;
	uint8_t       prefix[TRIE_PREFIX_SIZE];
	int           rc;

	selector_key(s, fid, like, remove, &key);
	rc = sc_get(r, &key, &order);
	if (rc != 1)
		return rc;
	if (order.n != SC_ORDER_SIZE)
		return -EUCLEAN;
	memcpy(prefix, like->prefix, sizeof prefix);
	if (fid != sc_record_fid(like))
		sc_prefix(fid, prefix);
	rc = sc_record_get(r, prefix, s->set, order.p, &out->record);
	if (rc < 0)
		return rc;
	out->has_row = rc == 1;
	if (!out->has_row) {
		out->record = *like;
		memcpy(out->record.prefix, prefix, sizeof prefix);
		memcpy(out->record.order, order.p, SC_ORDER_SIZE);
		out->record.type = (uint32_t)(remove ? s->remove : s->add);
	}
	return 1;
}

int sc_store_holding(struct replay *r, const struct sc_store *s, uint32_t fid,
		     const struct sc_record *like, bool remove, struct sc_record *out)
{
	struct holder h;
	int           rc = find(r, s, fid, like, remove, &h);

	if (rc != 1 || !h.has_row)
		return MIN(rc, 0);
	*out = h.record;
	return 1;
}

struct holders {
	struct holder list[2];
	size_t        count;
};

static int own_holders(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
		       struct holders *out)
{
	for (int remove = s->remove ? 1 : 0; remove >= 0; remove--) {
		int rc = find(r, s, sc_record_fid(rec), rec, remove, &out->list[out->count]);

		if (rc < 0)
			return rc;
		out->count += (size_t)rc;
	}
	return 0;
}

/* A key contested across accounts: whoever the index names holds it. */
static int named_holder(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
			struct holders *out)
{
	uint32_t fid;
	int      rc = s->holder(r, rec, &fid);

	if (rc != 1)
		return rc;
	rc = find(r, s, fid, rec, false, &out->list[0]);
	if (rc == 0)
		return refuse(r, "the index of its name points nowhere");
	if (rc == 1 && out->list[0].has_row)
		out->count = 1;
	return MIN(rc, 0);
}

static int win(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
	       const struct holders *holders)
{
	for (size_t i = 0; i < holders->count; i++) {
		int c = compare(s, &holders->list[i].record, rec);

		if (c > 0)
			return refuse(r, sc_record_is_remove(s, &holders->list[i].record) ?
					      "a remove that wins over it is there" :
					      "a newer record of its key is there");
		if (c == 0)
			return refuse(r, "duplicate");
	}
	return 0;
}

/* ---- writing ---- */

/* Takes away the selector of the record's key, whoever it belongs to, and an add's indexes. */
static int unselect(struct replay *r, const struct sc_store *s, const struct sc_record *rec)
{
	bool          remove = sc_record_is_remove(s, rec);
	struct sc_key key;
	int           rc;

	selector_key(s, sc_record_fid(rec), rec, remove, &key);
	rc = sc_delete(r, &key);
	if (rc == 0 && !remove && s->index)
		rc = s->index(r, rec, false);
	return rc;
}

static int select_record(struct replay *r, const struct sc_store *s, const struct sc_record *rec)
{
	bool          remove = sc_record_is_remove(s, rec);
	struct sc_key key;
	int           rc;

	selector_key(s, sc_record_fid(rec), rec, remove, &key);
	rc = sc_put(r, &key, SLICE_ARRAY(rec->order));
	if (rc == 0 && !remove && s->index)
		rc = s->index(r, rec, true);
	return rc;
}

static int delete_row(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
		      enum reason reason)
{
	struct sc_key conflict = { .n = 0 };
	int           rc;

	s->conflict(rec, &conflict);
	rc = sc_record_delete(r, rec, &conflict, reason);
	return MIN(rc, 0);
}

static enum reason why_replaced(const struct sc_store *s, const struct sc_record *old,
				const struct sc_record *by)
{
	return sc_record_is_remove(s, by) && !sc_record_is_remove(s, old) ? REASON_REMOVED :
									    REASON_SUPERSEDED;
}

/* In the order in which the chain tells of it: the new record, then what it replaced. */
static int replace(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
		   const struct holders *old)
{
	struct sc_key conflict = { .n = 0 };
	int           rc = 0;

	r->replaced_count = 0;
	for (size_t i = 0; i < old->count && rc == 0; i++)
		if (old->list[i].has_row)
			rc = unselect(r, s, &old->list[i].record);
	s->conflict(rec, &conflict);
	if (rc == 0)
		rc = sc_record_put(r, rec, &conflict);
	if (rc >= 0)
		rc = select_record(r, s, rec);
	for (size_t i = 0; i < old->count && rc == 0; i++) {
		const struct sc_record *gone = &old->list[i].record;

		if (!old->list[i].has_row)
			continue;
		r->replaced[r->replaced_count++] =
			(struct sc_replaced){ gone->type, gone->kind, gone->b };
		rc = delete_row(r, s, gone, why_replaced(s, gone, rec));
		if (rc == 0 && s->replaced)
			rc = s->replaced(r, gone);
	}
	if (rc == 0)
		rc = hyper_supersede(r, s, rec, &conflict);
	if (rc == 0 && s->merged)
		rc = s->merged(r, rec);
	return rc;
}

/* The message as a record of the store, or why it cannot be one. */
static int record_of(struct replay *r, const struct sc_store *s, const struct sc_message *m,
		     struct sc_record *out)
{
	struct account *a = account_of(r, m->content->fid);
	const char     *why;

	if (!a)
		return -ENOMEM;
	if (m->pb->signature_scheme != 1 ||
	    m->content->body_case == SC__MESSAGE_DATA__BODY__NOT_SET ||
	    m->pb->hash.len != HASH20_SIZE)
		return refuse(r, "not a message of its store");
	sc_record_begin(r, m, a->prefix, out);
	out->set = s->set;
	why = s->facts(m, out);
	return why ? refuse(r, why) : 0;
}

int sc_store_merge(struct replay *r, const struct sc_store *s, const struct sc_message *m)
{
	struct holders   holders = { .count = 0 };
	struct sc_record rec;
	int              rc = record_of(r, s, m, &rec);

	if (rc == 0 && s->gate)
		rc = s->gate(r, &rec);
	if (rc == 0)
		rc = s->holder ? named_holder(r, s, &rec, &holders)
			       : own_holders(r, s, &rec, &holders);
	if (rc == 0)
		rc = win(r, s, &rec, &holders);
	return rc ? rc : replace(r, s, &rec, &holders);
}

int sc_store_force(struct replay *r, const struct sc_store *s, const struct sc_message *m)
{
	struct holders   holders = { .count = 0 };
	struct sc_record rec;
	int              rc = record_of(r, s, m, &rec);

	if (rc == 0)
		rc = own_holders(r, s, &rec, &holders);
	if (rc)
		return rc;
	for (size_t i = 0; i < holders.count; i++)
		if (memcmp(holders.list[i].record.order + 4, rec.order + 4, HASH20_SIZE) == 0)
			holders.list[i].has_row = false; /* it does not replace itself */
	return replace(r, s, &rec, &holders);
}

int sc_store_remove(struct replay *r, const struct sc_store *s, const struct sc_record *rec,
		    enum reason reason)
{
	int rc = unselect(r, s, rec);

	return rc ? rc : delete_row(r, s, rec, reason);
}
