#include "core/chain/snapchain/hyper.h"

static int compare(const struct sc_store *s, const struct sc_record *a, const struct sc_record *b)
{
	return s->order ? s->order(a, b) : sc_order_by_place(a, b);
}

/* The retained record that an index key names behind `head` bytes: fid4, then its order. */
static int named(struct replay *r, enum sc_set set, struct slice index, size_t head,
		 struct sc_record *out)
{
	uint8_t       prefix[TRIE_PREFIX_SIZE];
	struct sc_key key;
	struct slice  value;
	int           rc;

	if (index.n != head + 4 + SC_ORDER_SIZE)
		return -EUCLEAN;
	sc_prefix(get_be32(index.p + head), prefix);
	sc_key_record(&key, prefix, set, index.p + head + 4);
	rc = state_get(r->st, SPACE_HYPER, sc_key_slice(&key), &value);
	if (rc != 1)
		return rc < 0 ? rc : -EUCLEAN;
	return sc_record_decode(sc_key_slice(&key), value, out);
}

int hyper_supersede(struct replay *r, const struct sc_store *s, const struct sc_record *by,
		    const struct sc_key *conflict)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	bool             across = s->holder != NULL;
	struct account  *a = account_of(r, sc_record_fid(by));
	struct sc_key    prefix;
	struct sc_record old;
	struct slice     key, value;
	enum reason      reason;
	int              rc;

	if (!r->hyper || (!across && a && !a->retained_rows))
		return 0;
	if (!a)
		return -ENOMEM;
	sc_key_retained(&prefix, s->set, across ? 0 : a->fid, conflict);
	rc = state_scan_new(r->st, SPACE_HYPER, sc_key_slice(&prefix), SLICE_EMPTY, true, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = named(r, s->set, key, prefix.n, &old);
		if (rc < 0)
			return rc;
		if (compare(s, &old, by) >= 0)
			continue;
		reason = sc_record_is_remove(s, by) && !sc_record_is_remove(s, &old)
				 ? REASON_REMOVED
				 : REASON_SUPERSEDED;
		rc = MIN(sc_record_drop(r, &old, conflict, reason), 0);
	}
	return MIN(rc, 0);
}

int hyper_sweep(struct replay *r, struct account *a, const struct sc_store *s,
		bool (*keep)(const struct sc_record *rec, const void *arg), const void *arg,
		enum reason reason)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_key    prefix, conflict;
	struct sc_record rec;
	struct slice     key, value;
	int              rc;

	if (!r->hyper || !a->retained_rows)
		return 0;
	sc_key_set(&prefix, a->prefix, s->set);
	rc = state_scan_new(r->st, SPACE_HYPER, sc_key_slice(&prefix), SLICE_EMPTY, true, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = sc_record_decode(key, value, &rec);
		if (rc < 0)
			return rc;
		if (keep(&rec, arg))
			continue;
		conflict.n = 0;
		s->conflict(&rec, &conflict);
		rc = MIN(sc_record_drop(r, &rec, &conflict, reason), 0);
	}
	return MIN(rc, 0);
}
