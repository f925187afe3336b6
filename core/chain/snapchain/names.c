#include "core/chain/snapchain/names.h"

#include "core/chain/snapchain/eip712.h"
#include "core/chain/snapchain/user_data.h"

#define TRIE_TYPE 0x07
#define PAD_TO    20

/* ---- rows ---- */

int sc_fname_read(struct slice value, struct sc_fname *out)
{
	struct rd in = rd_of(value);

	out->type = rd_varint(&in);
	out->fid = rd_varint(&in);
	out->timestamp = rd_varint(&in);
	out->owner = rd_blob(&in);
	out->signature = rd_blob(&in);
	out->name = rd_blob(&in);
	return rd_done(&in) < 0 ? -EUCLEAN : 0;
}

void sc_fname_encode(const struct sc_fname *f, struct buf *out)
{
	buf_varint(out, f->type);
	buf_varint(out, f->fid);
	buf_varint(out, f->timestamp);
	buf_blob(out, f->owner);
	buf_blob(out, f->signature);
	buf_blob(out, f->name);
}

void sc_fname_of(const Sc__UserNameProof *p, struct sc_fname *out)
{
	*out = (struct sc_fname){ .type = (uint32_t)p->type, .fid = p->fid,
				  .timestamp = p->timestamp, .owner = sc_bytes(p->owner),
				  .signature = sc_bytes(p->signature), .name = sc_bytes(p->name) };
}

int sc_fname_get(struct replay *r, struct slice name, struct sc_fname *out)
{
	struct sc_key key;
	struct slice  value;
	int           rc;

	sc_key_fname(&key, name);
	rc = sc_get(r, &key, &value);
	if (rc == 0) {
		sc_key_fname_gone(&key, name);
		rc = sc_get(r, &key, &value);
	}
	if (rc != 1)
		return rc;
	rc = sc_fname_read(value, out);
	return rc < 0 ? rc : 1;
}

static int put(struct replay *r, const struct sc_fname *f)
{
	struct sc_key held, gone;
	int           rc;

	sc_key_fname(&held, f->name);
	sc_key_fname_gone(&gone, f->name);
	buf_clear(&r->row_value);
	sc_fname_encode(f, &r->row_value);
	rc = buf_done(&r->row_value);
	if (rc == 0)
		rc = sc_delete(r, f->fid ? &gone : &held);
	return rc < 0 ? rc : sc_put(r, f->fid ? &held : &gone, buf_slice(&r->row_value));
}

/* ---- the record in an account's folder ---- */

static size_t trie_rest(struct slice name, uint8_t out[TRIE_REST_MAX])
{
	size_t n = MAX(name.n, (size_t)PAD_TO);

	memset(out, 0, 1 + n);
	out[0] = TRIE_TYPE;
	if (name.n)
		memcpy(out + 1, name.p, name.n);
	return 1 + n;
}

int sc_fname_trie_rest(struct slice value, uint8_t out[TRIE_REST_MAX])
{
	struct rd    in = rd_of(value);
	struct slice name;

	for (int i = 0; i < 4; i++) /* object, line size, type, timestamp */
		(void)rd_varint(&in);
	name = rd_blob(&in);
	if (rd_done(&in) < 0 || name.n > SC_NAME_SIZE_MAX)
		return -EUCLEAN;
	return (int)trie_rest(name, out);
}

static void row_value(uint64_t timestamp, struct slice name, uint64_t object, uint32_t line_size,
		      struct buf *out)
{
	sc_value_head(out, object, line_size, SC_FNAME_TYPE);
	buf_varint(out, timestamp);
	buf_blob(out, name);
}

void sc_fname_row(const Sc__UserNameProof *p, uint64_t object, uint32_t line_size,
		  struct sc_key *key, struct buf *value)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];

	sc_prefix(p->fid, prefix);
	sc_key_fname_record(key, prefix, sc_bytes(p->name));
	row_value(p->timestamp, sc_bytes(p->name), object, line_size, value);
}

static int row_of(struct replay *r, uint64_t fid, struct slice name, struct sc_row *row,
		  uint8_t rest[TRIE_REST_MAX])
{
	*row = (struct sc_row){ .account = account_of(r, fid), .set = SC_SET_FNAMES };
	if (!row->account)
		return -ENOMEM;
	sc_key_fname_record(&row->key, row->account->prefix, name);
	row->rest = SLICE(rest, trie_rest(name, rest));
	return 0;
}

static int record_put(struct replay *r, const struct sc_fname *f)
{
	struct sc_row row;
	uint8_t       rest[TRIE_REST_MAX];
	int           rc = row_of(r, f->fid, f->name, &row, rest);

	if (rc < 0)
		return rc;
	row.object = r->cause.object;
	row.line_size = r->cause.line_size;
	buf_clear(&r->row_value);
	row_value(f->timestamp, f->name, row.object, row.line_size, &r->row_value);
	rc = buf_done(&r->row_value);
	row.value = buf_slice(&r->row_value);
	return rc < 0 ? rc : sc_row_put(r, &row);
}

static int record_delete(struct replay *r, const struct sc_fname *f, enum reason reason)
{
	struct sc_row row;
	struct rd     in;
	uint8_t       rest[TRIE_REST_MAX];
	struct slice  value;
	int           rc = row_of(r, f->fid, f->name, &row, rest);

	if (rc == 0)
		rc = sc_get(r, &row.key, &value);
	if (rc != 1)
		return rc;
	in = rd_of(value);
	row.object = rd_varint(&in);
	row.line_size = (uint32_t)rd_varint(&in);
	return sc_row_delete(r, &row, reason);
}

/* Trie: the new name in, then the old one out, also when they are one.
 * So a renewal takes the name away. */
static int move_record(struct replay *r, const struct sc_fname *new, const struct sc_fname *old)
{
	bool in = new->type == SC_FNAME_TYPE && new->fid, out = old && old->type == SC_FNAME_TYPE;
	bool same = in && out && (uint32_t)new->fid == (uint32_t)old->fid;
	int  rc = 0;

	if (in && !same)
		rc = record_put(r, new);
	if (out && rc >= 0)
		rc = record_delete(r, old,
				   same       ? REASON_SUPERSEDED
				   : new->fid ? REASON_MOVED
					      : REASON_REMOVED);
	return MIN(rc, 0);
}

/* ---- transfers ---- */

const char *sc_fname_fault(const struct chain_params *params, const Sc__UserNameProof *p)
{
	uint8_t signer[ETH_ADDRESS_SIZE];

	if (!utf8_valid(sc_bytes(p->name)))
		return "a name that is not UTF-8";
	if (p->owner.len != ETH_ADDRESS_SIZE)
		return "the owner of a name is 20 bytes";
	if (p->name.len > SC_NAME_SIZE_MAX)
		return "a name over what a trie key holds";
	if (params->network == SC_DEVNET)
		return NULL;
	if (!sc_eip712_fname_signer(p, signer))
		return "the signature over a name does not parse";
	return memcmp(signer, params->fname_signer, sizeof signer) == 0
		       ? NULL
		       : "a name signed by another registry";
}

static int by_age(const struct sc_fname *a, const struct sc_fname *b)
{
	if (a->timestamp != b->timestamp)
		return a->timestamp < b->timestamp ? -1 : 1;
	return slice_cmp(a->signature, b->signature);
}

static int merge(struct replay *r, const Sc__UserNameProof *p)
{
	struct sc_fname new, old;
	int had, rc;

	sc_fname_of(p, &new);
	had = sc_fname_get(r, new.name, &old);
	if (had < 0)
		return had;
	if (had && by_age(&old, &new) >= 0)
		return refuse(r, by_age(&old, &new) ? "a newer proof of the name is there"
						    : "duplicate");
	if (!had && !new.fid)
		return refuse(r, "the name had no owner");
	rc = put(r, &new);
	return rc < 0 ? rc : move_record(r, &new, had ? &old : NULL);
}

int sc_fname_transfer(struct replay *r, const Sc__FnameTransfer *t)
{
	const char *why;
	int         rc, revoked;

	if (!t->proof)
		return refuse(r, "a transfer without a proof");
	why = sc_fname_fault(r->params, t->proof);
	if (why)
		return refuse(r, why);
	rc = merge(r, t->proof);
	if (rc < 0 || !t->from_fid)
		return rc;
	/* Also when the proof was refused, and whatever name the username row holds. */
	revoked = sc_user_data_revoke(r, t->from_fid, SC_USER_NAME, NULL);
	return revoked < 0 ? revoked : rc;
}

