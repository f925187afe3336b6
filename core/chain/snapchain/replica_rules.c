/* What the rules need beyond records, made of an account's records (snapchain-replay.md 17). */
#include "core/chain/snapchain/replica.h"

#include "core/chain/snapchain/compact.h"
#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/stores.h"

#include <stdio.h>

#define USE_STEP_S  300 /* signers.c: a key's last use moves in steps of more than this */
#define ADMIN_RESET 3

/* ---- marks ---- */

static const struct {
	enum sc_mark bit;
	const char *text;
} marks[] = {
	{ SC_MARK_SELECTORS, "which of two records of one key holds it" },
	{ SC_MARK_KEY_USE, "when a gasless key was used last" },
	{ SC_MARK_NONCES, "nonces of gasless keys" },
	{ SC_MARK_NAME, "the proof of its username" },
	{ SC_MARK_SIGNERS, "the order in which signers were reset" },
};

void sc_mark_prefix(struct buf *out)
{
	struct sc_key k;

	sc_key_marks(&k);
	buf_add(out, sc_key_slice(&k));
}

int sc_mark_read(struct slice key, struct slice value, uint64_t *account, char text[REASON_SIZE])
{
	struct rd in = rd_of(value);
	uint64_t bits = rd_varint(&in);
	struct sc_key k;
	size_t n = 0;

	sc_key_marks(&k);
	if (rd_done(&in) < 0 || key.n != k.n + 4u || !slice_starts(key, sc_key_slice(&k)))
		return -EUCLEAN;
	*account = get_be32(key.p + k.n);
	text[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(marks); i++)
		if (bits & marks[i].bit && n < REASON_SIZE)
			n += (size_t)snprintf(text + n, REASON_SIZE - n, "%s%s", n ? "; " : "",
					      marks[i].text);
	return 0;
}

/* ---- the account ---- */

struct ruling {
	struct chain_replica *r;
	uint32_t fid;
	uint64_t marks;
	struct err *err;
};

static int put(struct ruling *g, const struct sc_key *key, struct slice value)
{
	return sc_replica_rule(g->r, key, value);
}

/* ---- who holds which key ---- */

struct contest {
	struct sc_key key; /* set, then the conflict key */
	const struct sc_store *store;
	const struct sc_record *rec;
};

static int by_contest(const void *a, const void *b)
{
	const struct contest *x = a, *y = b;
	int c = slice_cmp(sc_key_slice(&x->key), sc_key_slice(&y->key));

	return c ? c : -sc_store_order(x->store, x->rec, y->rec); /* who wins comes first */
}

static int put_holder(struct ruling *g, const struct contest *c)
{
	bool remove = sc_record_is_remove(c->store, c->rec);
	struct sc_key key;
	int rc;

	sc_key_selector(&key, g->fid, remove ? c->store->remove_selector : c->store->add_selector);
	c->store->conflict(c->rec, &key);
	rc = put(g, &key, SLICE_ARRAY(c->rec->order));
	if (rc < 0 || remove)
		return rc;
	if (c->store == &sc_verifications) {
		sc_key_by_address(&key, c->rec->text);
		sc_key_be32(&key, g->fid);
		return put(g, &key, SLICE_ARRAY(c->rec->order));
	}
	if (c->store == &sc_proofs) {
		sc_key_proof_owner(&key, c->rec->text);
		return put(g, &key, SLICE(c->rec->prefix + 1, 4));
	}
	return 0;
}

static int put_selectors(struct ruling *g)
{
	const struct chain_replica *r = g->r;
	struct contest *list = arena_alloc(r->arena, (r->rows.count + 1) * sizeof *list);
	size_t count = 0;
	int rc = 0;

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < r->rows.count; i++) {
		const struct sc_replica_row *row = &r->rows.list[i];
		struct contest *c = &list[count];

		if (!row->message || row->rec.set == SC_SET_BORROWS)
			continue;
		c->store = sc_store_of_set(row->rec.set);
		if (!c->store)
			continue;
		c->rec = &row->rec;
		c->key.n = 0;
		sc_key_u8(&c->key, (uint8_t)row->rec.set);
		c->store->conflict(c->rec, &c->key);
		count++;
	}
	if (count)
		qsort(list, count, sizeof *list, by_contest);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		if (i && slice_eq(sc_key_slice(&list[i].key), sc_key_slice(&list[i - 1].key)))
			g->marks |= SC_MARK_SELECTORS;
		else
			rc = put_holder(g, &list[i]);
	}
	return rc;
}

/* ---- onchain events: replayed in a state of their own ---- */

static int decode_onchain(struct ruling *g, const struct sc_replica_row *row,
			  const Sc__OnChainEvent **out)
{
	ProtobufCMessage *pb = NULL;
	int rc = wire_unpack(&sc__on_chain_event__descriptor, row->bytes, &sc_strict, g->r->arena,
			     &pb, g->err);

	*out = (const Sc__OnChainEvent *)pb;
	return rc;
}

static int by_block(const void *a, const void *b)
{
	const Sc__OnChainEvent *x = *(const Sc__OnChainEvent *const *)a,
			       *y = *(const Sc__OnChainEvent *const *)b;

	if (x->block_number != y->block_number)
		return x->block_number < y->block_number ? -1 : 1;
	return (x->log_index > y->log_index) - (x->log_index < y->log_index);
}

struct scratch {
	struct replay *replay;
	struct state *state;
};

static void scratch_release(struct scratch *s)
{
	sc_scratch_free(&s->replay, &s->state);
}

static int emit_all(struct ruling *g, struct state *st)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	int rc = state_scan_new(st, SPACE_BOTH, SLICE("X", 1), SLICE_EMPTY, true, &scan);

	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1)
		rc = g->r->sink.rule(g->r->sink.arg, key, value);
	return rc;
}

static int put_pointers(struct ruling *g)
{
	AUTO(scratch_release) struct scratch s = { NULL, NULL };
	const struct chain_replica *r = g->r;
	const Sc__OnChainEvent **list = arena_alloc(r->arena, (r->rows.count + 1) * sizeof(void *));
	size_t count = 0;
	int rc = list ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < r->rows.count; i++)
		if (r->rows.list[i].form == SC_FORM_ONCHAIN)
			rc = decode_onchain(g, &r->rows.list[i], &list[count++]);
	if (rc < 0 || !count)
		return rc;
	qsort(list, count, sizeof *list, by_block);
	rc = sc_scratch_new(r->params, r->shard, &s.replay, &s.state, g->err);
	/* A reset looks for committed events. */
	for (size_t i = 0; rc == 0 && i < r->rows.count; i++)
		if (r->rows.list[i].form == SC_FORM_ONCHAIN)
			rc = state_put(s.state, SPACE_BOTH, r->rows.list[i].key,
				       r->rows.list[i].value, true);
	if (rc == 0)
		rc = state_block_end(s.state);
	if (rc == 0)
		rc = state_block_begin(s.state, 2);
	for (size_t i = 0; rc == 0 && i < count; i++) {
		bool channel = list[i]->body_case == SC__ON_CHAIN_EVENT__BODY_CHANNEL_REGISTER;

		if (list[i]->body_case == SC__ON_CHAIN_EVENT__BODY_SIGNER &&
		    list[i]->signer->event_type == ADMIN_RESET)
			g->marks |= SC_MARK_SIGNERS;
		rc = sc_onchain_effects(channel ? r->shared : s.replay, list[i]);
	}
	return rc < 0 ? rc : emit_all(g, s.state);
}

/* ---- names ---- */

static int put_name(struct ruling *g, const struct sc_replica_row *row)
{
	ProtobufCMessage *pb = NULL;
	struct sc_fname f;
	struct sc_key key;
	int rc = wire_unpack(&sc__user_name_proof__descriptor, row->bytes, &sc_strict, g->r->arena,
			     &pb, g->err);

	if (rc < 0)
		return rc;
	sc_fname_of((const Sc__UserNameProof *)pb, &f);
	sc_key_fname(&key, f.name);
	buf_clear(&g->r->value);
	sc_fname_encode(&f, &g->r->value);
	rc = buf_done(&g->r->value);
	return rc < 0 ? rc : put(g, &key, buf_slice(&g->r->value));
}

/* A username is allowed by a proof; a renewed fname's is in no trie. */
static bool has_proof(const struct chain_replica *r, struct slice name)
{
	struct sc_key key;
	uint8_t prefix[TRIE_PREFIX_SIZE];

	sc_prefix(r->account, prefix);
	sc_key_fname_record(&key, prefix, name);
	for (size_t i = 0; i < r->rows.count; i++) {
		const struct sc_replica_row *row = &r->rows.list[i];

		if (slice_eq(row->key, sc_key_slice(&key)) ||
		    (row->message && row->rec.set == SC_SET_PROOFS &&
		     slice_eq(row->rec.text, name)))
			return true;
	}
	return false;
}

/* ---- messages that other rows follow from ---- */

static int put_compact(struct ruling *g, const struct sc_replica_row *row,
		       const struct sc_message *m)
{
	struct sc_key key;
	struct slice value;
	int rc = sc_compact_row(&row->rec, m->content->link_compact, g->r->arena, &value);

	sc_key_compact(&key, g->fid, row->rec.text);
	return rc < 0 ? rc : put(g, &key, value);
}

static int count_slot(struct ruling *g, enum sc_slot counter, const uint8_t channel[32])
{
	struct replay *shared = g->r->shared;
	struct sc_key key;
	uint64_t n;

	sc_key_slot(&key, counter, channel);
	int rc = sc_get_number(shared, &key, &n);

	return rc < 0 ? rc : sc_put_number(shared, &key, n + 1);
}

static int put_slot(struct ruling *g, const struct sc_message *m)
{
	struct sc_channel_slot s;
	int rc;

	if (!sc_channel_slot(m, &s))
		return err_set(g->err, -EBADMSG, "a channel message that fills no slot");
	rc = put(g, &s.key, SLICE_ARRAY(s.value));
	if (rc == 0 && s.counter)
		rc = count_slot(g, s.counter, s.channel);
	if (rc == 0 && s.moderator)
		rc = count_slot(g, SC_SLOT_MODERATORS, s.channel);
	return rc;
}

/* ---- gasless keys ---- */

/* Messages that come through shard 0 do not use a key here. */
static bool uses_key(const struct chain_replica *r, const struct sc_replica_row *row)
{
	switch (row->rec.set) {
	case SC_SET_VERIFICATIONS:
		return sc_engine_version(r->params->network, row->time) < SC_V_CHANNELS;
	case SC_SET_BORROWS:
	case SC_SET_LENDS:
	case SC_SET_KEYS:
	case SC_SET_CHANNEL_UPDATES:
	case SC_SET_CHANNEL_MEMBERS:
	case SC_SET_CHANNEL_PINS:
	case SC_SET_CHANNEL_MODERATIONS:
		return false;
	default:
		return row->message;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int last_use(struct ruling *g, struct slice key, uint32_t added, uint32_t *out)
{
	const struct chain_replica *r = g->r;
	uint32_t *times = arena_alloc(r->arena, (r->rows.count + 1) * sizeof *times);
	size_t count = 0;

	if (!times)
		return -ENOMEM;
	for (size_t i = 0; i < r->rows.count; i++)
		if (uses_key(r, &r->rows.list[i]) && slice_eq(r->rows.list[i].signer, key))
			times[count++] = sc_record_time(&r->rows.list[i].rec);
	if (count)
		qsort(times, count, sizeof *times, by_number);
	*out = added;
	for (size_t i = 0; i < count; i++)
		if (times[i] > (uint64_t)*out + USE_STEP_S)
			*out = times[i];
	return 0;
}

static int raise_nonce(struct ruling *g, enum sc_gasless which, uint64_t fid, uint64_t nonce)
{
	struct sc_key key;
	uint64_t last;

	sc_key_gasless(&key, which, (uint32_t)fid, NULL);
	int rc = sc_get_number(g->r->shared, &key, &last);

	return rc == 0 && nonce > last ? sc_put_number(g->r->shared, &key, nonce) : rc;
}

static int put_key(struct ruling *g, const struct sc_message *m, uint64_t *live)
{
	const Sc__KeyAddBody *b = m->content->key_add;
	struct sc_key key;
	uint64_t requester;
	uint32_t used = 0;
	uint8_t time[4];
	int rc;

	if (m->content->type == SC_KEY_REMOVE)
		return g->r->has_main || m->content->key_remove->signature_type == 2
			       ? 0
			       : raise_nonce(g, SC_GASLESS_USER_NONCE, g->fid,
					     m->content->key_remove->nonce);
	buf_clear(&g->r->value);
	if (b->key.len != 32 || !sc_key_requester(b, &requester) ||
	    !sc_gasless_encode(m, requester, &g->r->value))
		return err_set(g->err, -EBADMSG, "a key that could not have been added");
	rc = buf_done(&g->r->value);
	sc_key_gasless(&key, SC_GASLESS_RECORD, g->fid, b->key.data);
	if (rc == 0)
		rc = put(g, &key, buf_slice(&g->r->value));
	sc_key_gasless(&key, SC_GASLESS_OWNER, 0, b->key.data);
	put_be32(time, g->fid);
	if (rc == 0)
		rc = put(g, &key, SLICE_ARRAY(time));
	if (rc == 0)
		rc = last_use(g, sc_bytes(b->key), m->content->timestamp, &used);
	if (rc < 0)
		return rc;
	sc_key_gasless(&key, SC_GASLESS_USED, g->fid, b->key.data);
	put_be32(time, used);
	rc = put(g, &key, SLICE_ARRAY(time));
	g->marks |= SC_MARK_KEY_USE;
	++*live;
	return rc < 0 || g->r->has_main ? rc
					: raise_nonce(g, SC_GASLESS_USER_NONCE, g->fid, b->nonce);
}

/* ---- all of it ---- */

static int put_of_row(struct ruling *g, const struct sc_replica_row *row, uint64_t *live_keys)
{
	AUTO(arena_freep) struct arena *arena = NULL;
	struct sc_message m;
	bool channel = row->message && sc_is_channel_type((int32_t)row->rec.type);

	if (row->form == SC_FORM_PROOF)
		return put_name(g, row);
	if (row->username.n && !has_proof(g->r, row->username))
		g->marks |= SC_MARK_NAME;
	if (!row->message ||
	    (!channel && row->rec.set != SC_SET_KEYS && row->rec.set != SC_SET_LINK_COMPACTS))
		return 0;
	arena = arena_new(SC_ARENA_SIZE(row->bytes.n));
	if (!arena)
		return -ENOMEM;
	int rc = sc_message_decode(row->bytes, arena, false, &m, g->err);

	if (rc < 0)
		return rc;
	if (channel)
		return put_slot(g, &m);
	if (row->rec.set == SC_SET_LINK_COMPACTS)
		return put_compact(g, row, &m);
	if (!g->r->has_main)
		g->marks |= SC_MARK_NONCES;
	return put_key(g, &m, live_keys);
}

int sc_replica_rules(struct chain_replica *r, struct err *err)
{
	struct ruling g = { .r = r, .fid = (uint32_t)r->account, .err = err };
	struct sc_key key;
	uint64_t live_keys = 0;
	uint8_t number[10];
	int rc = put_selectors(&g);

	if (rc == 0)
		rc = put_pointers(&g);
	for (size_t i = 0; rc == 0 && i < r->rows.count; i++)
		rc = put_of_row(&g, &r->rows.list[i], &live_keys);
	if (rc == 0 && live_keys) {
		sc_key_gasless(&key, SC_GASLESS_COUNT, g.fid, NULL);
		rc = put(&g, &key, SLICE(number, varint_put(number, live_keys)));
	}
	if (rc == 0 && g.marks) {
		r->marked++;
		sc_key_marks(&key);
		sc_key_be32(&key, g.fid);
		rc = put(&g, &key, SLICE(number, varint_put(number, g.marks)));
	}
	return rc;
}
