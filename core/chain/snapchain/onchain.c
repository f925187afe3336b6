#include "core/chain/snapchain/onchain.h"

#define REGISTERED 1 /* signer and channel events: what happened */
#define CHANGE_RECOVERY 3
#define ADMIN_RESET 3
#define KEY_TYPE_ED25519 1

enum { BODY_SIGNER = 9, BODY_ID = 11, BODY_RENT = 12, BODY_TIER = 15, BODY_CHANNEL = 16 };

/* ---- rows ---- */

static void write_body(const Sc__OnChainEvent *e, struct buf *out)
{
	buf_varint(out, (uint64_t)e->body_case);
	switch ((int)e->body_case) {
	case BODY_SIGNER:
		buf_blob(out, sc_bytes(e->signer->key));
		buf_varint(out, e->signer->key_type);
		buf_varint(out, (uint32_t)e->signer->event_type);
		break;
	case BODY_RENT:
		buf_varint(out, e->storage_rent->units);
		break;
	case BODY_TIER:
		buf_varint(out, (uint32_t)e->tier_purchase->tier_type);
		buf_varint(out, e->tier_purchase->for_days);
		break;
	default:
		break;
	}
}

static void row_key(const Sc__OnChainEvent *e, const uint8_t prefix[TRIE_PREFIX_SIZE],
		    struct sc_key *out)
{
	bool known = e->type >= SC_ONCHAIN_SIGNER && e->type <= SC_ONCHAIN_CHANNEL;

	sc_key_onchain(out, prefix, known ? (uint8_t)e->type : 0, e->block_number, e->log_index);
}

static void row_value(const Sc__OnChainEvent *e, uint64_t object, uint32_t line_size,
		      struct buf *out)
{
	sc_value_head(out, object, line_size, (uint32_t)e->type);
	buf_blob(out, sc_bytes(e->transaction_hash));
	buf_varint(out, e->block_timestamp);
	write_body(e, out);
}

void sc_onchain_row(const Sc__OnChainEvent *e, uint64_t object, uint32_t line_size,
		    struct sc_key *key, struct buf *value)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];

	sc_prefix(e->fid, prefix);
	row_key(e, prefix, key);
	row_value(e, object, line_size, value);
}

int sc_onchain_read(struct slice key, struct slice value, struct sc_onchain *out)
{
	struct rd in = rd_of(value), at = rd_of(slice_sub(key, SC_RECORD_HEAD, key.n));

	memset(out, 0, sizeof *out);
	out->type = rd_u8(&at);
	out->block = rd_be32(&at);
	out->log = rd_be32(&at);
	out->object = rd_varint(&in);
	out->line_size = (uint32_t)rd_varint(&in);
	out->raw_type = (uint32_t)rd_varint(&in);
	out->tx_hash = rd_blob(&in);
	out->time = rd_varint(&in);
	out->body = (uint32_t)rd_varint(&in);
	if (out->body == BODY_SIGNER)
		out->key = rd_blob(&in);
	if (out->body == BODY_SIGNER || out->body == BODY_RENT || out->body == BODY_TIER)
		out->number[0] = rd_varint(&in);
	if (out->body == BODY_SIGNER || out->body == BODY_TIER)
		out->number[1] = rd_varint(&in);
	return rd_done(&in) < 0 || rd_done(&at) < 0 ? -EUCLEAN : 0;
}

static size_t trie_rest(uint32_t type, struct slice tx_hash, uint32_t log,
			uint8_t out[TRIE_REST_MAX])
{
	out[0] = (uint8_t)type;
	if (tx_hash.n)
		memcpy(out + 1, tx_hash.p, tx_hash.n);
	put_be32(out + 1 + tx_hash.n, log);
	return 1 + tx_hash.n + 4;
}

int sc_onchain_trie_rest(struct slice key, struct slice value, uint8_t out[TRIE_REST_MAX])
{
	struct sc_onchain e;

	if (sc_onchain_read(key, value, &e) < 0 || e.tx_hash.n > TRIE_REST_MAX - 5)
		return -EUCLEAN;
	return (int)trie_rest(e.raw_type, e.tx_hash, e.log, out);
}

int sc_onchain_scan(struct state *st, const uint8_t prefix[TRIE_PREFIX_SIZE], uint8_t type,
		    struct sc_onchain_scan *out)
{
	struct sc_key key;

	out->scan = NULL;
	sc_key_onchain_type(&key, prefix, type);
	return state_scan_new(st, SPACE_BOTH, sc_key_slice(&key), SLICE_EMPTY, false, &out->scan);
}

int sc_onchain_next(struct sc_onchain_scan *s, struct sc_onchain *out)
{
	struct slice key, value;
	int          rc = state_scan_next(s->scan, &key, &value);

	if (rc != 1)
		return rc;
	rc = sc_onchain_read(key, value, out);
	return rc < 0 ? rc : 1;
}

void sc_onchain_scan_release(struct sc_onchain_scan *s)
{
	state_scan_freep(&s->scan);
}

/* ---- pointers to the newest event ---- */

/* Block of the event that stands there; the later processed of two in one block wins. */
static int outdated(struct replay *r, const struct sc_key *key, uint32_t block)
{
	struct slice value;
	int          rc = sc_get(r, key, &value);

	if (rc != 1)
		return rc;
	return value.n < 4 ? -EUCLEAN : get_be32(value.p) > block;
}

static int point_at_id(struct replay *r, const Sc__OnChainEvent *e)
{
	struct slice  to = sc_bytes(e->id_register->to);
	struct sc_key key;
	int           rc;

	if (e->id_register->event_type == CHANGE_RECOVERY)
		return 0;
	sc_key_custody(&key, (uint32_t)e->fid);
	rc = outdated(r, &key, e->block_number);
	if (rc)
		return MIN(rc, 0);
	buf_clear(&r->row_value);
	buf_be32(&r->row_value, e->block_number);
	buf_bytes(&r->row_value, to.p, to.n);
	rc = buf_done(&r->row_value);
	return rc < 0 ? rc : sc_put(r, &key, buf_slice(&r->row_value));
}

static int put_signer(struct replay *r, const struct sc_key *key, uint32_t block,
		      uint32_t event_type, uint32_t key_type)
{
	buf_clear(&r->row_value);
	buf_be32(&r->row_value, block);
	buf_varint(&r->row_value, event_type);
	buf_varint(&r->row_value, key_type);
	return buf_done(&r->row_value) < 0 ? -ENOMEM : sc_put(r, key, buf_slice(&r->row_value));
}

/* An admin's reset points to the first ADD of the key that was committed before this block. */
static int reset_signer(struct replay *r, const struct sc_key *pointer, const Sc__OnChainEvent *e)
{
	AUTO(sc_onchain_scan_release) struct sc_onchain_scan scan = { NULL };
	struct account   *a = account_of(r, e->fid);
	struct sc_onchain old;
	int               rc;

	if (!a)
		return -ENOMEM;
	rc = sc_onchain_scan(r->st, a->prefix, SC_ONCHAIN_SIGNER, &scan);
	while (rc == 0 && (rc = sc_onchain_next(&scan, &old)) == 1) {
		if (old.body == BODY_SIGNER && old.number[1] == REGISTERED &&
		    slice_eq(old.key, sc_bytes(e->signer->key)))
			return put_signer(r, pointer, old.block, (uint32_t)old.number[1],
					  (uint32_t)old.number[0]);
		rc = 0;
	}
	return rc;
}

static int point_at_signer(struct replay *r, const Sc__OnChainEvent *e)
{
	struct account *a = account_of(r, e->fid);
	struct sc_key   key;
	int             rc;

	if (!a)
		return -ENOMEM;
	a->has_signer = false;
	sc_key_signer(&key, (uint32_t)e->fid, sc_bytes(e->signer->key));
	rc = outdated(r, &key, e->block_number);
	if (rc)
		return MIN(rc, 0);
	if (e->signer->event_type == ADMIN_RESET)
		return reset_signer(r, &key, e);
	return put_signer(r, &key, e->block_number, (uint32_t)e->signer->event_type,
			  e->signer->key_type);
}

int sc_custody(struct replay *r, uint64_t fid, struct slice *address)
{
	struct sc_key key;
	struct slice  value;
	int           rc;

	sc_key_custody(&key, (uint32_t)fid);
	rc = sc_get(r, &key, &value);
	if (rc == 1)
		*address = slice_sub(value, 4, value.n);
	return rc;
}

int sc_signer_active(struct replay *r, uint64_t fid, struct slice signer)
{
	struct sc_key key;
	struct slice  value;
	struct rd     in;
	uint64_t      event_type, key_type;
	int           rc;

	sc_key_signer(&key, (uint32_t)fid, signer);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc;
	in = rd_of(slice_sub(value, 4, value.n));
	event_type = rd_varint(&in);
	key_type = rd_varint(&in);
	if (rd_done(&in) < 0)
		return -EUCLEAN;
	return event_type == REGISTERED && key_type == KEY_TYPE_ED25519;
}

/* ---- the registry of channels ---- */

#define LABEL_SIZE 32
#define OWNER_SIZE 20
#define PLACE_SIZE 12 /* block, transaction, log: later events win */

enum { CHANNEL_REGISTER = 1, CHANNEL_RENEW, CHANNEL_TRANSFER };

struct channel { /* row: owner20, place, varint expiry */
	const uint8_t *owner, *place;
	uint64_t       expiry;
};

static int channel_get(struct replay *r, struct slice channel_key, struct channel *out)
{
	struct sc_key key;
	struct slice  value;
	struct rd     in;
	int           rc;

	sc_key_channel(&key, channel_key);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc;
	in = rd_of(value);
	out->owner = rd_bytes(&in, OWNER_SIZE).p;
	out->place = rd_bytes(&in, PLACE_SIZE).p;
	out->expiry = rd_varint(&in);
	return rd_done(&in) < 0 ? -EUCLEAN : 1;
}

static int channel_put(struct replay *r, struct slice channel_key, const uint8_t owner[OWNER_SIZE],
		       uint64_t expiry, const uint8_t place[PLACE_SIZE])
{
	uint8_t       value[OWNER_SIZE + PLACE_SIZE + 10];
	struct sc_key key;
	size_t        n = OWNER_SIZE + PLACE_SIZE;

	memcpy(value, owner, OWNER_SIZE);
	memcpy(value + OWNER_SIZE, place, PLACE_SIZE);
	n += varint_put(value + n, expiry);
	sc_key_channel(&key, channel_key);
	return sc_put(r, &key, SLICE(value, n));
}

static bool label_is_of(struct slice channel_key, const uint8_t label[LABEL_SIZE])
{
	uint8_t digest[HASH_SIZE];

	hash_keccak256(channel_key, digest);
	return memcmp(digest, label, LABEL_SIZE) == 0;
}

static int register_channel(struct replay *r, const Sc__ChannelRegisterBody *b,
			    const uint8_t *place)
{
	struct slice   channel_key = sc_bytes(b->channel_key);
	struct channel old;
	struct sc_key  key;
	int            rc;

	if (b->owner_address.len != OWNER_SIZE || !label_is_of(channel_key, b->label.data))
		return 0;
	rc = channel_get(r, channel_key, &old);
	if (rc < 0 || (rc == 1 && memcmp(place, old.place, PLACE_SIZE) < 0))
		return MIN(rc, 0);
	sc_key_channel_label(&key, b->label.data);
	rc = sc_put(r, &key, channel_key);
	return rc < 0 ? rc : channel_put(r, channel_key, b->owner_address.data, b->expiry, place);
}

/* A renewal moves the expiry, a transfer the owner. */
static int amend_channel(struct replay *r, struct slice channel_key, const uint8_t *owner,
			 const uint64_t *expiry, const uint8_t *place)
{
	struct channel old;
	uint8_t        kept[OWNER_SIZE];
	int            rc = channel_get(r, channel_key, &old);

	if (rc != 1 || memcmp(place, old.place, PLACE_SIZE) < 0)
		return MIN(rc, 0);
	memcpy(kept, owner ? owner : old.owner, OWNER_SIZE);
	return channel_put(r, channel_key, kept, expiry ? *expiry : old.expiry, place);
}

int sc_channel_fold(struct replay *r, const Sc__OnChainEvent *e)
{
	const Sc__ChannelRegisterBody *b = e->channel_register;
	uint8_t       place[PLACE_SIZE];
	struct sc_key key;
	struct slice  channel_key;
	int           rc;

	if (b->label.len != LABEL_SIZE)
		return 0;
	put_be32(place, e->block_number);
	put_be32(place + 4, e->tx_index);
	put_be32(place + 8, e->log_index);
	switch (b->event_type) {
	case CHANNEL_REGISTER:
		return register_channel(r, b, place);
	case CHANNEL_RENEW:
		if (!label_is_of(sc_bytes(b->channel_key), b->label.data))
			return 0;
		return amend_channel(r, sc_bytes(b->channel_key), NULL, &b->expiry, place);
	case CHANNEL_TRANSFER:
		if (b->owner_address.len != OWNER_SIZE)
			return 0;
		sc_key_channel_label(&key, b->label.data);
		rc = sc_get(r, &key, &channel_key);
		return rc != 1 ? rc
			       : amend_channel(r, channel_key, b->owner_address.data, NULL, place);
	default:
		return 0;
	}
}

int sc_channel_owner(struct replay *r, const uint8_t label[32], struct sc_channel_owner *out)
{
	struct sc_key  key;
	struct slice   channel_key;
	struct channel c;
	int            rc;

	sc_key_channel_label(&key, label);
	rc = sc_get(r, &key, &channel_key);
	if (rc == 1)
		rc = channel_get(r, channel_key, &c);
	if (rc == 1)
		*out = (struct sc_channel_owner){ SLICE(c.owner, OWNER_SIZE), c.expiry };
	return rc;
}

/* ---- merging ---- */

int sc_onchain_effects(struct replay *r, const Sc__OnChainEvent *e)
{
	switch ((int)e->body_case) {
	case BODY_ID:
		return point_at_id(r, e);
	case BODY_SIGNER:
		return point_at_signer(r, e);
	case BODY_CHANNEL:
		return sc_channel_fold(r, e);
	default:
		return 0;
	}
}

int sc_onchain_merge(struct replay *r, const Sc__OnChainEvent *e)
{
	struct account *a = account_of(r, e->fid);
	struct slice    tx_hash = sc_bytes(e->transaction_hash), value;
	uint8_t         rest[TRIE_REST_MAX];
	struct sc_row   row = { .account = a, .set = SC_SET_ONCHAIN, .object = r->cause.object,
				.line_size = r->cause.line_size };
	int             rc;

	if (!a)
		return -ENOMEM;
	if (e->type == SC_ONCHAIN_CHANNEL && r->version < SC_V_CHANNELS)
		return refuse(r, "channels are not known before version 21 of the rules");
	if (tx_hash.n > TRIE_REST_MAX - 5)
		return refuse(r, "a transaction hash over what a trie key holds");
	row_key(e, a->prefix, &row.key);
	rc = sc_get(r, &row.key, &value);
	if (rc)
		return rc < 0 ? rc : refuse(r, "duplicate onchain event");
	buf_clear(&r->row_value);
	row_value(e, row.object, row.line_size, &r->row_value);
	rc = buf_done(&r->row_value);
	if (rc < 0)
		return rc;
	row.value = buf_slice(&r->row_value);
	row.rest = SLICE(rest, trie_rest((uint32_t)e->type, tx_hash, e->log_index, rest));
	rc = sc_row_put(r, &row);
	if (rc == 0) {
		/* Another event says the same transaction and log: one trie key, but two rows. */
		row.rest = SLICE_EMPTY;
		rc = sc_row_put(r, &row);
	}
	return rc < 0 ? rc : sc_onchain_effects(r, e);
}
