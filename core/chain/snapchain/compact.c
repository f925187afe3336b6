#include "core/chain/snapchain/compact.h"

#include "core/chain/snapchain/hyper.h"

#define HEAD_SIZE (SC_ORDER_SIZE + 1)

struct compact {
	const uint8_t *order;
	uint8_t        width;
	struct slice   targets;
};

/* 1 found, 0 none. */
static int get(struct replay *r, uint32_t fid, struct slice link_type, struct compact *out)
{
	struct sc_key key;
	struct slice  value;
	int           rc;

	sc_key_compact(&key, fid, link_type);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc;
	if (value.n < HEAD_SIZE)
		return -EUCLEAN;
	out->order = value.p;
	out->width = value.p[SC_ORDER_SIZE];
	out->targets = slice_sub(value, HEAD_SIZE, value.n);
	return (out->width == 4 || out->width == 8) && out->targets.n % out->width == 0 ? 1
											: -EUCLEAN;
}

static bool lists(const struct compact *c, uint64_t target)
{
	size_t first = 0, end = c->targets.n / c->width;

	while (first < end) {
		size_t         middle = first + (end - first) / 2;
		const uint8_t *p = c->targets.p + middle * c->width;
		uint64_t       at = c->width == 4 ? get_be32(p) : get_be64(p);

		if (at == target)
			return true;
		if (at < target)
			first = middle + 1;
		else
			end = middle;
	}
	return false;
}

int sc_compact_gate(struct replay *r, const struct sc_record *link)
{
	struct compact c;
	int            rc = get(r, sc_record_fid(link), link->text, &c);

	if (rc != 1 || sc_record_time(link) >= get_be32(c.order))
		return MIN(rc, 0);
	if (sc_record_is_remove(&sc_links, link))
		return refuse(r, "earlier than the compact state of its type");
	return link->b && !lists(&c, link->a) ? refuse(r, "not in the compact state of its type")
					      : 0;
}

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int sc_compact_row(const struct sc_record *rec, const Sc__LinkCompactStateBody *b,
		   struct arena *arena, struct slice *out)
{
	size_t    count = b->n_target_fids;
	uint64_t *sorted = arena_alloc(arena, MAX(count, (size_t)1) * sizeof *sorted);
	uint8_t  *p = arena_alloc(arena, HEAD_SIZE + count * 8);
	uint8_t   width;

	if (!sorted || !p)
		return -ENOMEM;
	if (count)
		memcpy(sorted, b->target_fids, count * sizeof *sorted);
	qsort(sorted, count, sizeof *sorted, by_number);
	width = count && sorted[count - 1] > UINT32_MAX ? 8 : 4;
	memcpy(p, rec->order, SC_ORDER_SIZE);
	p[SC_ORDER_SIZE] = width;
	for (size_t i = 0; i < count; i++) {
		if (width == 4)
			put_be32(p + HEAD_SIZE + 4 * i, (uint32_t)sorted[i]);
		else
			put_be64(p + HEAD_SIZE + 8 * i, sorted[i]);
	}
	*out = SLICE(p, HEAD_SIZE + count * width);
	return 0;
}

/* The same in the block's arena, and its parts. */
static int row_of(struct replay *r, const struct sc_record *rec, const Sc__LinkCompactStateBody *b,
		  struct slice *out, struct compact *parts)
{
	int rc = sc_compact_row(rec, b, r->arena, out);

	if (rc < 0)
		return rc;
	*parts = (struct compact){ .order = out->p, .width = out->p[SC_ORDER_SIZE],
				   .targets = slice_sub(*out, HEAD_SIZE, out->n) };
	return out->n > STATE_VALUE_MAX ? refuse(r, "a compact state over what a row holds") : 0;
}

struct sweep {
	uint32_t       until;     /* timestamps up to it, included */
	struct slice   link_type; /* compared as it came, not padded */
	bool           any_type;
	struct compact keep;
};

static bool spared(const struct sc_record *link, const void *arg)
{
	const struct sweep *s = arg;

	if (sc_record_time(link) > s->until)
		return true;
	if (!s->any_type && !slice_eq(link->text, s->link_type))
		return true;
	return !sc_record_is_remove(&sc_links, link) && (!link->b || lists(&s->keep, link->a));
}

/* Links committed before this block; those that the block itself brought are never swept. */
static int sweep(struct replay *r, struct account *a, const struct sweep *s)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct sc_key    prefix;
	struct sc_record link;
	struct slice     key, value;
	int              rc;

	sc_key_set(&prefix, a->prefix, SC_SET_LINKS);
	rc = state_scan_new(r->st, SPACE_BOTH, sc_key_slice(&prefix), SLICE_EMPTY, false, &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = sc_record_decode(key, value, &link);
		if (rc < 0 || sc_record_time(&link) > s->until)
			break;
		if (!spared(&link, s))
			rc = sc_store_remove(r, &sc_links, &link, REASON_COMPACTED);
	}
	return rc < 0 ? rc : hyper_sweep(r, a, &sc_links, spared, s, REASON_COMPACTED);
}

void sc_compact_facts(const struct sc_message *m, struct sc_record *out)
{
	out->set = SC_SET_LINK_COMPACTS;
	out->text = sc_bytes(m->content->link_compact->type);
}

int sc_compact_merge(struct replay *r, const struct sc_message *m, unsigned version)
{
	const Sc__LinkCompactStateBody *b = m->content->link_compact;
	struct account  *a = account_of(r, m->content->fid);
	struct sc_record rec, old;
	struct compact   before;
	struct sweep     s;
	struct sc_key    key;
	struct slice     row;
	int              had, rc;

	if (!a)
		return -ENOMEM;
	if (m->pb->signature_scheme != 1 || !sc_body_is(m, SC__MESSAGE_DATA__BODY_LINK_COMPACT) ||
	    m->pb->hash.len != HASH20_SIZE)
		return refuse(r, "a compact state without its body");
	sc_record_begin(r, m, a->prefix, &rec);
	sc_compact_facts(m, &rec);
	had = get(r, a->fid, rec.text, &before);
	if (had < 0)
		return had;
	if (had && get_be32(before.order) >= sc_record_time(&rec))
		return refuse(r, "a compact state as new is there");
	rc = row_of(r, &rec, b, &row, &s.keep);
	if (rc == 0 && had)
		had = sc_record_get(r, a->prefix, SC_SET_LINK_COMPACTS, before.order, &old);
	if (rc == 0)
		rc = had < 0 ? had : MIN(sc_record_put(r, &rec, NULL), 0);
	if (rc == 0 && had)
		rc = MIN(sc_record_delete(r, &old, NULL, REASON_SUPERSEDED), 0);
	if (rc)
		return rc;
	s.until = sc_record_time(&rec);
	s.link_type = rec.text;
	s.any_type = version < SC_V_OWN_LINK_TYPE;
	rc = sweep(r, a, &s);
	sc_key_compact(&key, a->fid, rec.text);
	return rc ? rc : sc_put(r, &key, row);
}
