#include "core/chain/snapchain/records.h"

#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/onchain.h"

#define REST_SIZE (1 + HASH20_SIZE) /* of a message's trie key, behind the prefix */

/* ---- a record as bytes ---- */

void sc_value_head(struct buf *out, uint64_t object, uint32_t line_size, uint32_t type)
{
	buf_varint(out, object);
	buf_varint(out, line_size);
	buf_varint(out, type);
}

static void place(const struct sc_message *m, const uint8_t prefix[TRIE_PREFIX_SIZE],
		  struct sc_record *out)
{
	memset(out, 0, sizeof *out);
	memcpy(out->prefix, prefix, TRIE_PREFIX_SIZE);
	put_be32(out->order, m->content->timestamp);
	memcpy(out->order + 4, m->pb->hash.data, HASH20_SIZE);
	out->type = (uint32_t)m->content->type;
}

void sc_record_order(const struct sc_message *m, struct sc_record *out)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];

	sc_prefix(m->content->fid, prefix);
	place(m, prefix, out);
}

void sc_record_begin(const struct replay *r, const struct sc_message *m,
		     const uint8_t prefix[TRIE_PREFIX_SIZE], struct sc_record *out)
{
	place(m, prefix, out);
	out->object = r->cause.object;
	out->line_size = r->cause.line_size;
}

void sc_record_encode(const struct sc_record *rec, struct buf *out)
{
	sc_value_head(out, rec->object, rec->line_size, rec->type);
	buf_varint(out, rec->kind);
	buf_varint(out, rec->a);
	buf_varint(out, rec->b);
	buf_blob(out, rec->text);
}

int sc_record_decode(struct slice key, struct slice value, struct sc_record *out)
{
	struct rd in = rd_of(value);

	if (key.n != SC_RECORD_HEAD + SC_ORDER_SIZE || !key.p[SC_RECORD_HEAD - 1] ||
	    key.p[SC_RECORD_HEAD - 1] > SC_SET_COUNT)
		return -EUCLEAN;
	memcpy(out->prefix, key.p + 1, TRIE_PREFIX_SIZE);
	out->set = (enum sc_set)(key.p[SC_RECORD_HEAD - 1] - 1);
	memcpy(out->order, key.p + SC_RECORD_HEAD, SC_ORDER_SIZE);
	out->object = rd_varint(&in);
	out->line_size = (uint32_t)rd_varint(&in);
	out->type = (uint32_t)rd_varint(&in);
	out->kind = (uint32_t)rd_varint(&in);
	out->a = rd_varint(&in);
	out->b = rd_varint(&in);
	out->text = rd_blob(&in);
	return rd_done(&in) < 0 ? -EUCLEAN : 0;
}

int sc_record_get(struct replay *r, const uint8_t prefix[TRIE_PREFIX_SIZE], enum sc_set set,
		  const uint8_t order[SC_ORDER_SIZE], struct sc_record *out)
{
	struct sc_key key;
	struct slice  value;
	int           rc;

	sc_key_record(&key, prefix, set, order);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc;
	rc = sc_record_decode(sc_key_slice(&key), value, out);
	return rc < 0 ? rc : 1;
}

static void message_rest(uint32_t type, const uint8_t order[SC_ORDER_SIZE], uint8_t out[REST_SIZE])
{
	out[0] = (uint8_t)(type << 3);
	memcpy(out + 1, order + 4, HASH20_SIZE);
}

int sc_record_trie_rest(struct slice key, struct slice value, uint8_t out[TRIE_REST_MAX])
{
	struct sc_record rec;
	int              rc;

	if (key.n > SC_RECORD_HEAD && key.p[SC_RECORD_HEAD - 1] == SC_SET_ONCHAIN + 1)
		return sc_onchain_trie_rest(key, value, out);
	if (key.n > SC_RECORD_HEAD && key.p[SC_RECORD_HEAD - 1] == SC_SET_FNAMES + 1)
		return sc_fname_trie_rest(value, out);
	rc = sc_record_decode(key, value, &rec);
	if (rc < 0)
		return rc;
	message_rest(rec.type, rec.order, out);
	return REST_SIZE;
}

/* ---- rows ---- */

static int note_change(struct replay *r, const struct sc_row *row, enum space space, bool deleted,
		       enum reason reason)
{
	struct chain_change *c = SC_PUSH(&r->changes);
	uint8_t             *key = arena_alloc(r->arena, row->key.n);

	if (!c || !key)
		return -ENOMEM;
	memcpy(key, row->key.p, row->key.n);
	*c = (struct chain_change){
		.space = (uint8_t)space, .deleted = deleted, .told = row->told,
		.reason = (uint8_t)reason,
		.item = r->cause.item, .object = row->object, .key = SLICE(key, row->key.n),
	};
	return 0;
}

/* Storage is counted from rents, lends and borrows. */
static void mark_changed(struct replay *r, struct account *a, enum sc_set set)
{
	a->changed = true;
	if (set == SC_SET_ONCHAIN || set == SC_SET_LENDS || set == SC_SET_BORROWS)
		a->slot_changed = r->stamp;
}

static void count(struct account *a, enum context context, const struct sc_row *row, int by)
{
	struct sc_counts *n = &a->side[context].sets[row->set];

	n->records += (uint32_t)by;
	n->line_bytes += (uint64_t)((int64_t)row->line_size * by);
}

static void count_retained(struct account *a, const struct sc_row *row, int by)
{
	a->retained_rows += (uint64_t)(int64_t)by;
	if (row->set != SC_SET_BORROWS) /* the same record as the lend */
		a->retained_records += (uint64_t)(int64_t)by;
}

#define ROW_REUNITED 2

/* A row that hyper held alone is held by both again. Its bytes may
 * have come in another encoding. */
static int reunite(struct replay *r, const struct sc_row *row)
{
	struct account *a = row->account;
	struct slice    value;
	struct rd       in;
	struct sc_row   old = *row;
	int rc = state_get(r->st, SPACE_HYPER, sc_key_slice(&row->key), &value);

	if (rc != 1)
		return rc;
	in = rd_of(value);
	old.object = rd_varint(&in);
	old.line_size = (uint32_t)rd_varint(&in);
	count(a, CONTEXT_HYPER, &old, -1);
	count_retained(a, row, -1);
	rc = state_delete(r->st, SPACE_HYPER, sc_key_slice(&row->key), REASON_MERGED);
	if (rc == 0)
		rc = note_change(r, &old, SPACE_HYPER, true, REASON_MERGED);
	return rc < 0 ? rc : 1;
}

int sc_row_put(struct replay *r, const struct sc_row *row)
{
	struct account      *a = row->account;
	struct account_trie *hyper;
	int                  rc = account_touch(r, a);

	if (rc == 0 && row->rest.n) {
		rc = account_trie_insert(a->side[CONTEXT_LEGACY].trie, row->rest);
		if (rc == 0)
			return 0;
		if (rc > 0)
			account_counted(a, row->rest.p[0], 1);
	}
	if (rc >= 0)
		rc = state_put(r->st, SPACE_BOTH, sc_key_slice(&row->key), row->value, false);
	if (rc == 0)
		rc = note_change(r, row, SPACE_BOTH, false, REASON_MERGED);
	if (rc < 0)
		return rc;
	mark_changed(r, a, row->set);
	count(a, CONTEXT_LEGACY, row, 1);
	hyper = a->side[CONTEXT_HYPER].trie;
	if (!hyper)
		return 1;
	rc = a->retained_rows ? reunite(r, row) : 0;
	if (rc < 0)
		return rc;
	count(a, CONTEXT_HYPER, row, 1);
	if (rc == 1)
		return ROW_REUNITED;
	if (row->rest.n)
		rc = account_trie_insert(hyper, row->rest);
	return rc < 0 ? rc : 1;
}

/* Both contexts lose it, or legacy alone: then the row is born in hyper, whose trie stays. */
int sc_row_delete(struct replay *r, const struct sc_row *row, enum reason reason)
{
	struct account *a = row->account;
	bool retain = reason == REASON_PRUNED && r->hyper && !context_rules[CONTEXT_HYPER].prunes;
	int             rc = account_touch(r, a);

	if (rc == 0 && retain)
		rc = account_part(a);
	if (rc == 0 && row->rest.n) {
		rc = account_trie_delete(a->side[CONTEXT_LEGACY].trie, row->rest);
		if (rc == 0)
			return 0;
		if (rc > 0)
			account_counted(a, row->rest.p[0], -1);
	}
	if (rc >= 0)
		rc = state_delete(r->st, SPACE_BOTH, sc_key_slice(&row->key), reason);
	if (rc == 0)
		rc = note_change(r, row, SPACE_BOTH, true, reason);
	if (rc < 0)
		return rc;
	mark_changed(r, a, row->set);
	count(a, CONTEXT_LEGACY, row, -1);
	if (retain) {
		count_retained(a, row, 1);
		rc = state_put(r->st, SPACE_HYPER, sc_key_slice(&row->key), row->value, false);
		if (rc == 0)
			rc = note_change(r, row, SPACE_HYPER, false, reason);
		return rc < 0 ? rc : 1;
	}
	if (a->side[CONTEXT_HYPER].trie) {
		if (row->rest.n)
			rc = account_trie_delete(a->side[CONTEXT_HYPER].trie, row->rest);
		count(a, CONTEXT_HYPER, row, -1);
	}
	return rc < 0 ? rc : 1;
}

static int row_drop(struct replay *r, const struct sc_row *row, enum reason reason)
{
	struct account *a = row->account;
	int             rc = account_touch(r, a);

	if (rc == 0 && row->rest.n)
		rc = account_trie_delete(a->side[CONTEXT_HYPER].trie, row->rest);
	if (rc >= 0)
		rc = state_delete(r->st, SPACE_HYPER, sc_key_slice(&row->key), reason);
	if (rc == 0)
		rc = note_change(r, row, SPACE_HYPER, true, reason);
	a->changed = true;
	count(a, CONTEXT_HYPER, row, -1);
	count_retained(a, row, -1);
	return rc < 0 ? rc : 1;
}

/* ---- messages ---- */

/* The rows of a message: its own, and for a lend the borrower's. */
struct rows {
	struct sc_row row[2];
	size_t        count;
	uint8_t       rest[REST_SIZE];
};

static int rows_of(struct replay *r, const struct sc_record *rec, struct rows *out)
{
	struct account *author = account_of(r, sc_record_fid(rec)), *borrower;
	int             rc;

	if (!author)
		return -ENOMEM;
	buf_clear(&r->row_value);
	sc_record_encode(rec, &r->row_value);
	rc = buf_done(&r->row_value);
	if (rc < 0)
		return rc;
	message_rest(rec->type, rec->order, out->rest);
	out->row[0] = (struct sc_row){ .account = author,
				       .set = rec->set,
				       .object = rec->object,
				       .line_size = rec->line_size,
				       .told = rec->object != 0,
				       .value = buf_slice(&r->row_value),
				       .rest = SLICE_ARRAY(out->rest) };
	sc_key_record(&out->row[0].key, rec->prefix, rec->set, rec->order);
	out->count = 1;
	if (rec->set != SC_SET_LENDS)
		return 0;
	borrower = account_of(r, rec->a);
	if (!borrower)
		return -ENOMEM;
	out->row[1] = out->row[0];
	out->row[1].account = borrower;
	out->row[1].set = SC_SET_BORROWS;
	out->row[1].told = false;
	if (borrower == author)
		out->row[1].rest = SLICE_EMPTY; /* one trie key, counted once */
	sc_key_record(&out->row[1].key, borrower->prefix, SC_SET_BORROWS, rec->order);
	out->count = 2;
	return 0;
}

static void retained_key(struct sc_key *k, const struct sc_record *rec,
			 const struct sc_key *conflict)
{
	/* A name is contested across accounts. */
	sc_key_retained(k, rec->set, rec->set == SC_SET_PROOFS ? 0 : sc_record_fid(rec), conflict);
	sc_key_be32(k, sc_record_fid(rec));
	sc_key_bytes(k, rec->order, SC_ORDER_SIZE);
}

/* A record may come that is older than all that are left. */
static void lower_oldest(struct replay *r, struct account *a, const struct sc_record *rec)
{
	struct sc_oldest *o = account_oldest(r, a, rec->set);

	if (!o)
		return;
	if (memcmp(rec->order, o->order, SC_ORDER_SIZE) < 0)
		memcpy(o->order, rec->order, SC_ORDER_SIZE);
	if (o->put_in != r->stamp || memcmp(rec->order, o->put, SC_ORDER_SIZE) < 0)
		memcpy(o->put, rec->order, SC_ORDER_SIZE);
	o->put_in = r->stamp;
}

int sc_record_put(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict)
{
	struct rows   rows = { .count = 0 };
	struct sc_key index;
	int           done = rows_of(r, rec, &rows), rc = 0;

	if (done == 0) {
		lower_oldest(r, rows.row[0].account, rec);
		done = sc_row_put(r, &rows.row[0]);
	}
	if (done >= 1 && rows.count == 2)
		rc = sc_row_put(r, &rows.row[1]);
	if (done == ROW_REUNITED && rc >= 0) {
		retained_key(&index, rec, conflict);
		rc = state_delete(r->st, SPACE_HYPER, sc_key_slice(&index), REASON_MERGED);
	}
	return rc < 0 ? rc : MIN(done, 1);
}

int sc_record_delete(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict,
		     enum reason reason)
{
	struct rows rows = { .count = 0 };
	struct sc_key index;
	int           done = rows_of(r, rec, &rows), rc;

	if (done == 0)
		done = sc_row_delete(r, &rows.row[0], reason);
	if (done == 1 && rows.count == 2) {
		rc = sc_row_delete(r, &rows.row[1], reason);
		done = rc < 0 ? rc : done;
	}
	if (done == 1 && reason == REASON_PRUNED && r->hyper && conflict) {
		retained_key(&index, rec, conflict);
		rc = state_put(r->st, SPACE_HYPER, sc_key_slice(&index), SLICE_EMPTY, false);
		done = rc < 0 ? rc : done;
	}
	return done;
}

int sc_record_drop(struct replay *r, const struct sc_record *rec, const struct sc_key *conflict,
		   enum reason reason)
{
	struct rows rows = { .count = 0 };
	struct sc_key index;
	int           rc = rows_of(r, rec, &rows);

	for (size_t i = 0; i < rows.count && rc >= 0; i++)
		rc = row_drop(r, &rows.row[i], reason);
	if (rc < 0)
		return rc;
	retained_key(&index, rec, conflict);
	rc = state_delete(r->st, SPACE_HYPER, sc_key_slice(&index), reason);
	return rc < 0 ? rc : 1;
}
