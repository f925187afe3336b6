#include "core/chain/snapchain/keys.h"

#include "core/chain/snapchain/eip712.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/signers.h"

#define KEYS_MAX      1000 /* an account */
#define KEY_SIZE      32
#define METADATA_TYPE 1
#define BY_CUSTODY    1 /* signature types of a KEY_REMOVE */
#define BY_ITSELF     2

/* ---- rows ---- */

int sc_gasless_get(struct replay *r, uint32_t fid, const uint8_t key[32],
		   struct sc_gasless_key *out)
{
	struct sc_key row;
	struct slice  value;
	struct rd     in;
	int           rc;

	sc_key_gasless(&row, SC_GASLESS_RECORD, fid, key);
	rc = sc_get(r, &row, &value);
	if (rc != 1)
		return rc;
	in = rd_of(value);
	out->order = rd_bytes(&in, SC_ORDER_SIZE).p;
	out->request_fid = rd_varint(&in);
	out->ttl = (uint32_t)rd_varint(&in);
	out->scopes = rd_varint(&in);
	return rd_done(&in) < 0 ? -EUCLEAN : 1;
}

/* The newer nonce takes the place of the older one; it stays when the message is refused later. */
static int take_nonce(struct replay *r, enum sc_gasless which, uint64_t fid, uint32_t nonce)
{
	struct sc_key key;
	uint64_t      last;
	int           rc;

	sc_key_gasless(&key, which, (uint32_t)fid, NULL);
	rc = sc_get_number(r, &key, &last);
	if (rc < 0)
		return rc;
	return nonce > last ? sc_put_number(r, &key, nonce) : refuse(r, "its nonce was used");
}

static int add_to_count(struct replay *r, uint32_t fid, int by)
{
	struct sc_key key;
	uint64_t      count;
	int           rc;

	sc_key_gasless(&key, SC_GASLESS_COUNT, fid, NULL);
	rc = sc_get_number(r, &key, &count);
	if (rc < 0)
		return rc;
	return sc_put_number(r, &key, by < 0 && !count ? 0 : count + (uint64_t)(int64_t)by);
}

bool sc_key_facts(const struct sc_message *m, struct sc_record *out)
{
	bool add = m->content->type == SC_KEY_ADD;

	if (!sc_body_is(m,
			add ? SC__MESSAGE_DATA__BODY_KEY_ADD : SC__MESSAGE_DATA__BODY_KEY_REMOVE))
		return false;
	out->set = SC_SET_KEYS;
	out->text = sc_bytes(add ? m->content->key_add->key : m->content->key_remove->key);
	return true;
}

/* The message's own record comes, the KEY_ADD that it ends goes. */
static int swap_records(struct replay *r, struct account *a, const struct sc_message *m,
			const uint8_t *old_order)
{
	enum reason why = m->content->type == SC_KEY_REMOVE ? REASON_REMOVED : REASON_SUPERSEDED;
	struct sc_record rec, old;
	int              rc;

	sc_record_begin(r, m, a->prefix, &rec);
	(void)sc_key_facts(m, &rec); /* its body is there: sc_key_merge() */
	rc = sc_record_put(r, &rec, NULL);
	if (rc < 0 || !old_order)
		return MIN(rc, 0);
	rc = sc_record_get(r, a->prefix, SC_SET_KEYS, old_order, &old);
	return rc == 1 ? MIN(sc_record_delete(r, &old, NULL, why), 0) : rc;
}

/* ---- the application's signed request, as Solidity's ABI encodes it ---- */

struct request {
	uint64_t     fid, deadline;
	uint8_t      signer[ETH_ADDRESS_SIZE];
	struct slice signature;
};

/* A word as a number; one that 64 bits do not hold latches the failure. */
static uint64_t abi_number(struct slice in, uint64_t offset, bool *failed)
{
	if (*failed || in.n < 32 || offset > in.n - 32) {
		*failed = true;
		return 0;
	}
	for (size_t i = 0; i < 24; i++)
		*failed |= in.p[offset + i] != 0;
	return *failed ? 0 : get_be64(in.p + offset + 24);
}

static bool request_read(struct slice in, struct request *out)
{
	bool     failed = false;
	uint64_t base = abi_number(in, 0, &failed), at, size;

	if (failed || base > in.n)
		return false;
	out->fid = abi_number(in, base, &failed);
	at = abi_number(in, base + 64, &failed);
	out->deadline = abi_number(in, base + 96, &failed);
	if (failed || at > in.n)
		return false;
	size = abi_number(in, base + at, &failed);
	if (failed || size > in.n || base + at + 32 + size > in.n)
		return false;
	out->signature = slice_sub(in, base + at + 32, size);
	/* What stands before the address in its word is ignored. */
	memcpy(out->signer, in.p + base + 32 + 12, ETH_ADDRESS_SIZE);
	return true;
}

bool sc_key_requester(const Sc__KeyAddBody *b, uint64_t *fid)
{
	struct request q;

	if (!request_read(sc_bytes(b->metadata), &q))
		return false;
	*fid = q.fid;
	return true;
}

static bool custody_is(struct slice custody, const uint8_t address[ETH_ADDRESS_SIZE])
{
	return slice_eq(custody, SLICE(address, ETH_ADDRESS_SIZE));
}

static int check_request(struct replay *r, const struct sc_message *m, bool foreign,
			 struct request *q)
{
	const Sc__KeyAddBody *b = m->content->key_add;
	uint8_t      signer[ETH_ADDRESS_SIZE];
	struct slice custody;
	int          rc;

	if (b->metadata_type != METADATA_TYPE || !request_read(sc_bytes(b->metadata), q))
		return refuse(r, "its signed request does not parse");
	/* Farcaster seconds against whatever the request holds,
	 * mostly unix seconds: upstream's rule. */
	if (q->deadline < m->content->timestamp)
		return refuse(r, "its signed request has expired");
	if (!sc_eip712_key_request_signer(q->fid, sc_bytes(b->key), q->deadline, q->signature,
					  signer) ||
	    memcmp(signer, q->signer, sizeof signer) != 0)
		return refuse(r, "its request is not signed by the requester");
	if (foreign)
		return 0;
	rc = sc_custody(r, q->fid, &custody);
	if (rc < 0)
		return rc;
	return rc && custody_is(custody, q->signer)
		       ? 0
		       : refuse(r, "the requester does not hold its fid");
}

/* ---- KEY_ADD ---- */

static bool scopes_of(const Sc__KeyAddBody *b, uint64_t *mask)
{
	*mask = 0;
	for (size_t i = 0; i < b->n_scopes; i++) {
		if (b->scopes[i] < 0)
			return false;
		if (b->scopes[i] < 64)
			*mask |= UINT64_C(1) << b->scopes[i];
	}
	return true;
}

static int check_custody(struct replay *r, const struct sc_message *m)
{
	const Sc__KeyAddBody *b = m->content->key_add;
	uint8_t      signer[ETH_ADDRESS_SIZE];
	struct slice custody;
	int          rc;

	if (!sc_eip712_key_add_signer(m->content->fid, b, signer))
		return refuse(r, "its custody signature does not parse");
	rc = sc_custody(r, m->content->fid, &custody);
	if (rc == 1 && custody_is(custody, signer))
		rc = sc_signer_active(r, m->content->fid, sc_bytes(b->key));
	else
		return rc < 0 ? rc : refuse(r, "not signed by its fid's custody address");
	if (rc < 0)
		return rc;
	if (rc)
		return refuse(r, "the key is a signer onchain");
	return b->key.len == KEY_SIZE ? 0 : refuse(r, "a key is 32 bytes");
}

/* Whose the key is now: *old when it is this account's, for the same
 * requester. 1, 0, REFUSED is 2. */
#define TAKEN 2
static int previous(struct replay *r, const struct account *a, const uint8_t key[KEY_SIZE],
		    uint64_t request_fid, struct sc_gasless_key *old)
{
	struct sc_key row;
	uint64_t      owner;
	struct slice  value;
	int           rc;

	sc_key_gasless(&row, SC_GASLESS_OWNER, 0, key);
	rc = sc_get(r, &row, &value);
	if (rc != 1)
		return rc;
	owner = value.n == 4 ? get_be32(value.p) : UINT64_MAX;
	if (owner != a->fid) {
		r->refusal = "the key belongs to another fid";
		return TAKEN;
	}
	rc = sc_gasless_get(r, a->fid, key, old);
	if (rc < 0)
		return rc;
	if (!rc || old->request_fid != request_fid) {
		r->refusal = "the key was requested by another fid";
		return TAKEN;
	}
	return 1;
}

bool sc_gasless_encode(const struct sc_message *m, uint64_t request_fid, struct buf *out)
{
	uint64_t scopes;

	if (!scopes_of(m->content->key_add, &scopes))
		return false;
	buf_be32(out, m->content->timestamp);
	buf_bytes(out, m->pb->hash.data, HASH20_SIZE);
	buf_varint(out, request_fid);
	buf_varint(out, m->content->key_add->ttl);
	buf_varint(out, scopes);
	return true;
}

static int put_record(struct replay *r, const struct account *a, const struct sc_message *m,
		      uint64_t request_fid)
{
	const Sc__KeyAddBody *b = m->content->key_add;
	struct sc_key row;
	uint8_t       time[4];
	int           rc;

	buf_clear(&r->row_value);
	(void)sc_gasless_encode(m, request_fid, &r->row_value); /* key_add() has read its scopes */
	rc = buf_done(&r->row_value);
	if (rc < 0)
		return rc;
	sc_key_gasless(&row, SC_GASLESS_RECORD, a->fid, b->key.data);
	rc = sc_put(r, &row, buf_slice(&r->row_value));
	if (rc == 0) {
		sc_key_gasless(&row, SC_GASLESS_OWNER, 0, b->key.data);
		rc = sc_put(r, &row, SLICE(a->prefix + 1, 4));
	}
	if (rc == 0) {
		put_be32(time, m->content->timestamp);
		sc_key_gasless(&row, SC_GASLESS_USED, a->fid, b->key.data);
		rc = sc_put(r, &row, SLICE_ARRAY(time));
	}
	return rc;
}

static int key_add(struct replay *r, struct account *a, const struct sc_message *m, bool foreign)
{
	const Sc__KeyAddBody *b = m->content->key_add;
	struct request        q;
	struct sc_gasless_key old = { .order = NULL };
	struct sc_key         row;
	uint64_t              scopes, count;
	int                   had, rc;

	rc = check_request(r, m, foreign, &q);
	if (rc == 0 && !scopes_of(b, &scopes))
		rc = refuse(r, "a scope that is no type");
	if (rc == 0)
		rc = check_custody(r, m);
	if (rc)
		return rc;
	had = previous(r, a, b->key.data, q.fid, &old);
	if (had < 0 || had == TAKEN)
		return had < 0 ? had : REFUSED;
	if (!had) {
		sc_key_gasless(&row, SC_GASLESS_COUNT, a->fid, NULL);
		rc = sc_get_number(r, &row, &count);
		if (rc == 0 && count >= KEYS_MAX)
			rc = refuse(r, "the fid has as many keys as it may");
	}
	if (rc == 0)
		rc = take_nonce(r, SC_GASLESS_USER_NONCE, a->fid, b->nonce);
	if (rc == 0 && !had)
		rc = add_to_count(r, a->fid, 1);
	if (rc == 0)
		rc = put_record(r, a, m, q.fid);
	return rc ? rc : swap_records(r, a, m, had ? old.order : NULL);
}

/* ---- KEY_REMOVE ---- */

static int check_remove(struct replay *r, const struct sc_message *m,
			const struct sc_gasless_key *g)
{
	const Sc__KeyRemoveBody *b = m->content->key_remove;
	uint8_t      signer[ETH_ADDRESS_SIZE];
	struct slice custody;
	int          rc;

	if (b->signature_type == BY_ITSELF) {
		if (!slice_eq(sc_bytes(m->pb->signer), sc_bytes(b->key)))
			return refuse(r, "not signed by the key that it removes");
		return take_nonce(r, SC_GASLESS_APP_NONCE, g->request_fid, b->nonce);
	}
	if (b->signature_type != BY_CUSTODY ||
	    !sc_eip712_key_remove_signer(m->content->fid, b, signer))
		return refuse(r, "its signature does not parse");
	rc = sc_custody(r, m->content->fid, &custody);
	if (rc < 0)
		return rc;
	if (!rc || !custody_is(custody, signer))
		return refuse(r, "not signed by its fid's custody address");
	return take_nonce(r, SC_GASLESS_USER_NONCE, m->content->fid, b->nonce);
}

static int key_remove(struct replay *r, struct account *a, const struct sc_message *m)
{
	static const enum sc_gasless gone[] = { SC_GASLESS_RECORD, SC_GASLESS_OWNER,
						SC_GASLESS_USED };
	const Sc__KeyRemoveBody *b = m->content->key_remove;
	struct sc_gasless_key    g;
	struct sc_key            row;
	int                      rc;

	if (b->key.len != KEY_SIZE)
		return refuse(r, "a key is 32 bytes");
	rc = sc_gasless_get(r, a->fid, b->key.data, &g);
	if (rc != 1)
		return rc < 0 ? rc : refuse(r, "there is no such key");
	rc = check_remove(r, m, &g);
	for (size_t i = 0; i < ARRAY_LEN(gone) && rc == 0; i++) {
		sc_key_gasless(&row, gone[i], a->fid, b->key.data);
		rc = sc_delete(r, &row);
	}
	if (rc == 0)
		rc = add_to_count(r, a->fid, -1);
	return rc ? rc : swap_records(r, a, m, g.order);
}

int sc_key_merge(struct replay *r, const struct sc_message *m, bool foreign)
{
	struct account *a = account_of(r, m->content->fid);
	bool            add = m->content->type == SC_KEY_ADD;

	if (!a)
		return -ENOMEM;
	if (m->pb->hash.len != HASH20_SIZE ||
	    !sc_body_is(m,
			add ? SC__MESSAGE_DATA__BODY_KEY_ADD : SC__MESSAGE_DATA__BODY_KEY_REMOVE))
		return refuse(r, "a key message without its body");
	sc_signers_forget(r);
	return add ? key_add(r, a, m, foreign) : key_remove(r, a, m);
}
