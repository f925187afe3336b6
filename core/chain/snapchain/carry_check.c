/* Does a record's row follow from the record's own bytes? It is made of them again, and
 * compared. */
#include "core/chain/snapchain/carry.h"

#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/compact.h"
#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/render.h"
#include "core/chain/snapchain/stores.h"

struct check {
	const struct chain_params *params;
	struct slice key, rest;
	const struct chain_object *object;
	struct arena *arena;
	struct buf scratch, value;
	struct err *err;
};

static void check_release(struct check *c)
{
	arena_freep(&c->arena);
	buf_release(&c->scratch);
	buf_release(&c->value);
}

static int differs(struct check *c, const char *what)
{
	return err_set(c->err, -EBADMSG, "%s", what);
}

static int unpack(struct check *c, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	int rc = wire_unpack(type, c->object->bytes, &sc_strict, c->arena, out, c->err);

	return rc == -EMSGSIZE ? -EBADMSG : rc;
}

static int line_size(struct check *c, const struct sc_object *o, uint32_t *out)
{
	uint32_t json_size;
	int rc = sc_object_sizes(o, &c->scratch, &json_size, out);

	return rc < 0 ? err_set(c->err, rc, "its rendering") : 0;
}

/* The row that its bytes make, against the one that is there. c->value has it, with object id 0. */
static int compare(struct check *c, const struct sc_key *key, uint64_t time)
{
	struct slice rest;
	uint64_t object;
	int rc = buf_done(&c->value);

	if (rc < 0 || sc_record_split(buf_slice(&c->value), &object, &rest) < 0)
		return err_set(c->err, rc < 0 ? rc : -EBADMSG, "its row");
	if (!slice_eq(sc_key_slice(key), c->key))
		return differs(c, "its key is not that of its bytes");
	if (!slice_eq(rest, c->rest))
		return differs(c, "its row does not say what its bytes say");
	return time == c->object->time ? 0 : differs(c, "its time is not that of its bytes");
}

/* ---- messages ---- */

const char *sc_record_facts(const struct sc_message *m, struct sc_record *out)
{
	int32_t type = m->content->type;
	const struct sc_store *s = sc_store_of(type);

	if (s) {
		out->set = s->set;
		return s->facts(m, out);
	}
	if (type == SC_LINK_COMPACT) {
		if (!sc_body_is(m, SC__MESSAGE_DATA__BODY_LINK_COMPACT))
			return "a compact state without its body";
		sc_compact_facts(m, out);
		return NULL;
	}
	if (type == SC_KEY_ADD || type == SC_KEY_REMOVE)
		return sc_key_facts(m, out) ? NULL : "a key message without its body";
	if (sc_is_channel_type(type))
		return sc_channel_facts(m, out) ? NULL : "a channel message without its body";
	return "a message of no type that is kept";
}

static int check_message(struct check *c)
{
	bool borrow = c->key.p[SC_RECORD_HEAD - 1] == SC_SET_BORROWS + 1;
	ProtobufCMessage *pb = NULL;
	struct sc_message m;
	struct sc_record rec;
	struct sc_key key;
	int rc = unpack(c, &sc__message__descriptor, &pb);

	if (rc == 0)
		rc = sc_message_of((const Sc__Message *)pb, c->arena, true, &m, c->err);
	if (rc < 0)
		return rc == -EMSGSIZE ? -EBADMSG : rc;
	if (!m.hash_ok)
		return differs(c, "its hash differs");
	if (!m.signature_ok)
		return err_set(c->err, -EKEYREJECTED, "its signature fails");
	if (!m.content || m.differs)
		return differs(c, m.content ? "data and data_bytes differ"
					    : "data_bytes do not parse");
	sc_record_order(&m, &rec);
	const char *why = sc_record_facts(&m, &rec);

	if (why)
		return differs(c, why);
	rc = line_size(c, &(struct sc_object){ .form = SC_FORM_MESSAGE, .message = &m },
		       &rec.line_size);
	if (rc < 0)
		return rc;
	sc_record_encode(&rec, &c->value);
	if (borrow) { /* the same row, where the lend goes */
		if (rec.set != SC_SET_LENDS)
			return differs(c, "a borrow that is no lend");
		sc_prefix(rec.a, rec.prefix);
		rec.set = SC_SET_BORROWS;
	}
	sc_key_record(&key, rec.prefix, rec.set, rec.order);
	return compare(c, &key, (uint64_t)m.content->timestamp + SC_EPOCH);
}

int sc_object_key(uint16_t form, struct slice bytes, struct buf *key)
{
	AUTO(arena_freep) struct arena *arena = NULL;
	struct sc_message m;
	struct sc_record rec;
	struct sc_key made;

	if (form != SC_FORM_MESSAGE || bytes.n > BLOCK_SIZE_MAX)
		return -EBADMSG;
	arena = arena_new(SC_ARENA_SIZE(bytes.n));
	if (!arena)
		return -ENOMEM;
	int rc = sc_message_decode(bytes, arena, false, &m, NULL);

	if (rc < 0)
		return rc == -EMSGSIZE ? -EBADMSG : rc;
	if (!m.content || m.pb->hash.len != HASH20_SIZE)
		return -EBADMSG;
	sc_record_order(&m, &rec);
	if (sc_record_facts(&m, &rec))
		return -EBADMSG;
	sc_key_record(&made, rec.prefix, rec.set, rec.order);
	buf_add(key, sc_key_slice(&made));
	return buf_done(key);
}

/* ---- what is no message ---- */

static int check_onchain(struct check *c)
{
	ProtobufCMessage *pb = NULL;
	struct sc_key key;
	uint32_t size;
	int rc = unpack(c, &sc__on_chain_event__descriptor, &pb);

	if (rc == 0)
		rc = line_size(c, &(struct sc_object){ .form = SC_FORM_ONCHAIN, .pb = pb }, &size);
	if (rc < 0)
		return rc;
	const Sc__OnChainEvent *e = (const Sc__OnChainEvent *)pb;

	sc_onchain_row(e, 0, size, &key, &c->value);
	return compare(c, &key, e->block_timestamp);
}

static int check_fname(struct check *c)
{
	ProtobufCMessage *pb = NULL;
	struct sc_key key;
	uint32_t size;
	int rc = unpack(c, &sc__user_name_proof__descriptor, &pb);

	if (rc == 0)
		rc = line_size(c, &(struct sc_object){ .form = SC_FORM_PROOF, .pb = pb }, &size);
	if (rc < 0)
		return rc;
	const Sc__UserNameProof *p = (const Sc__UserNameProof *)pb;
	const char *why = sc_fname_fault(c->params, p);

	if (why)
		return err_set(c->err, -EKEYREJECTED, "%s", why);
	sc_fname_row(p, 0, size, &key, &c->value);
	return compare(c, &key, p->timestamp);
}

int sc_record_check(const struct chain_params *p, struct slice key, struct slice rest,
		    const struct chain_object *o, struct err *err)
{
	AUTO(check_release)
	struct check c = {
		.params = p,
		.key = key,
		.rest = rest,
		.object = o,
		.err = err,
		.scratch = BUF_INIT(BLOCK_SIZE_MAX),
		.value = BUF_INIT(STATE_VALUE_MAX),
	};
	static const struct {
		uint8_t set;
		uint16_t form;
		int (*check)(struct check *c);
	} others[] = {
		{ SC_SET_ONCHAIN, SC_FORM_ONCHAIN, check_onchain },
		{ SC_SET_FNAMES, SC_FORM_PROOF, check_fname },
	};
	uint16_t form = SC_FORM_MESSAGE;
	int (*check)(struct check *) = check_message;

	if (key.n <= SC_RECORD_HEAD || key.p[0] != 'R' || o->bytes.n > BLOCK_SIZE_MAX)
		return differs(&c, "no record's key");
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (key.p[SC_RECORD_HEAD - 1] == others[i].set + 1) {
			form = others[i].form;
			check = others[i].check;
		}
	}
	if (o->form != form)
		return differs(&c, "its form is not that of its set");
	c.arena = arena_new(SC_ARENA_SIZE(o->bytes.n));
	return c.arena ? check(&c) : err_set(err, -ENOMEM, "no memory for a record");
}
