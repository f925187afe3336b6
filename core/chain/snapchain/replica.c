/* Items of a page become the record rows that replay would have left of them. */
#include "core/chain/snapchain/replica.h"

#include "core/chain/snapchain/carry.h"
#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/render.h"
#include "core/chain/snapchain/replay.h"
#include "core/chain/snapchain/user_data.h"

/* ---- life ---- */

int sc_scratch_new(const struct chain_params *p, uint32_t shard, struct replay **r,
		   struct state **st, struct err *err)
{
	int rc = sc_replay_new(p, shard, r, err);

	if (rc == 0)
		rc = state_open(NULL, shard, UINT64_MAX, st, err);
	if (rc == 0)
		rc = state_block_begin(*st, 1);
	if (rc == 0)
		(*r)->st = *st;
	return rc;
}

void sc_scratch_free(struct replay **r, struct state **st)
{
	sc_replay_free(*r);
	*r = NULL;
	state_freep(st);
}

void sc_replica_free(struct chain_replica *r)
{
	if (!r)
		return;
	arena_freep(&r->arena);
	arena_freep(&r->told_arena);
	account_trie_freep(&r->trie);
	sc_scratch_free(&r->shared, &r->shared_state);
	free(r->rows.list);
	free(r->seqnums.list);
	free(r->told.list);
	buf_release(&r->scratch);
	buf_release(&r->value);
	free(r);
}

int sc_replica_new(const struct chain_params *p, uint32_t shard,
		   const struct chain_replica_sink *sink, struct chain_replica **out,
		   struct err *err)
{
	struct chain_replica *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return err_set(err, -ENOMEM, "no memory for the state of shard %u", shard);
	r->params = p;
	r->shard = shard;
	r->sink = *sink;
	r->scratch = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	r->value = (struct buf)BUF_INIT(STATE_VALUE_MAX);
	r->told_arena = arena_new(SC_ACCOUNT_MAX);
	rc = r->told_arena ? sc_scratch_new(p, shard, &r->shared, &r->shared_state, err) : -ENOMEM;
	if (rc < 0) {
		sc_replica_free(r);
		return err_note(err, rc, "no memory for the state of shard %u", shard);
	}
	*out = r;
	return 0;
}

/* ---- an item becomes rows ---- */

struct adding {
	struct chain_replica *r;
	const struct chain_page_item *item;
	struct arena *arena; /* of the decoded form, which goes when the item is done */
	struct slice bytes;  /* kept */
	struct err *err;
};

static void adding_release(struct adding *a)
{
	arena_freep(&a->arena);
}

static int differs(struct adding *a, const char *what)
{
	return err_set(a->err, -EBADMSG, "%s", what);
}

static int keep(struct chain_replica *r, struct slice s, struct slice *out)
{
	uint8_t *p = arena_alloc(r->arena, MAX(s.n, (size_t)1));

	if (!p)
		return arena_full(r->arena) ? -EMSGSIZE : -ENOMEM;
	if (s.n)
		memcpy(p, s.p, s.n);
	*out = SLICE(p, s.n);
	return 0;
}

static int unpack(struct adding *a, const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	int rc = wire_unpack(type, a->bytes, &sc_strict, a->arena, out, a->err);

	return rc == -EMSGSIZE ? -EBADMSG : rc;
}

static int line_size(struct adding *a, const struct sc_object *o, uint32_t *out)
{
	uint32_t json_size;
	int rc = sc_object_sizes(o, &a->r->scratch, &json_size, out);

	return rc < 0 ? err_set(a->err, rc, "its rendering") : 0;
}

/* The row is told by r->value; its trie key has to be the item's, and joins the account's. */
static int push(struct adding *a, const struct sc_key *key, const struct sc_replica_row *like)
{
	struct chain_replica *r = a->r;
	struct sc_replica_row *row;
	uint8_t trie_key[TRIE_PREFIX_SIZE + TRIE_REST_MAX];
	int n, rc = buf_done(&r->value);

	if (rc < 0)
		return err_set(a->err, rc == -EMSGSIZE ? -EBADMSG : rc, "its row");
	n = sc_record_trie_rest(sc_key_slice(key), buf_slice(&r->value),
				trie_key + TRIE_PREFIX_SIZE);
	if (n < 0)
		return differs(a, "its row");
	memcpy(trie_key, key->p + 1, TRIE_PREFIX_SIZE);
	if (get_be32(trie_key + 1) != (uint32_t)r->account)
		return differs(a, "it is of another account");
	if (a->item->key.n &&
	    !slice_eq(a->item->key, SLICE(trie_key, TRIE_PREFIX_SIZE + (size_t)n)))
		return differs(a, "its key is not that of its bytes");
	row = SC_PUSH(&r->rows);
	if (!row)
		return -ENOMEM;
	*row = *like;
	rc = keep(r, sc_key_slice(key), &row->key);
	if (rc == 0)
		rc = keep(r, buf_slice(&r->value), &row->value);
	if (rc == 0)
		rc = account_trie_insert(r->trie, SLICE(trie_key + TRIE_PREFIX_SIZE, (size_t)n));
	return MIN(rc, 0);
}

int sc_replica_message(struct arena *arena, struct slice raw, struct sc_message *out,
		       struct err *err)
{
	int rc = sc_message_decode(raw, arena, true, out, err);

	if (rc < 0)
		return rc == -EMSGSIZE ? err_set(err, -EBADMSG, "a message over what one may be")
				       : rc;
	if (!out->hash_ok)
		return err_set(err, -EBADMSG, "its hash differs");
	if (!out->signature_ok)
		return err_set(err, -EKEYREJECTED, "its signature fails");
	if (!out->content || out->differs)
		return err_set(err, -EBADMSG, "%s",
			       out->content ? "data and data_bytes differ"
					    : "data_bytes do not parse");
	return 0;
}

/* A lend stands under its author, and as a borrow under who gets it. */
static int add_message(struct adding *a)
{
	struct sc_replica_row row = { .form = SC_FORM_MESSAGE, .bytes = a->bytes, .message = true };
	struct sc_message m;
	struct sc_key key;
	uint8_t author[TRIE_PREFIX_SIZE];
	int rc = sc_replica_message(a->arena, a->bytes, &m, a->err);

	if (rc < 0)
		return rc;
	sc_record_order(&m, &row.rec);
	const char *why = sc_record_facts(&m, &row.rec);

	if (why)
		return differs(a, why);
	rc = line_size(a, &(struct sc_object){ .form = SC_FORM_MESSAGE, .message = &m },
		       &row.rec.line_size);
	if (rc < 0)
		return rc;
	row.time = (uint64_t)m.content->timestamp + SC_EPOCH;
	row.signer = sc_bytes(m.pb->signer);
	if (m.content->type == SC_USER_DATA && row.rec.kind == SC_USER_NAME)
		row.username = sc_bytes(m.content->user_data->value);
	buf_clear(&a->r->value);
	sc_record_encode(&row.rec, &a->r->value);
	memcpy(author, row.rec.prefix, sizeof author);
	if (row.rec.set == SC_SET_LENDS && (uint32_t)row.rec.a == (uint32_t)a->r->account) {
		enum sc_set own = row.rec.set;

		sc_prefix(row.rec.a, row.rec.prefix);
		row.rec.set = SC_SET_BORROWS;
		sc_key_record(&key, row.rec.prefix, row.rec.set, row.rec.order);
		rc = push(a, &key, &row);
		if (rc < 0 || memcmp(author, row.rec.prefix, sizeof author) != 0)
			return rc;
		row.rec.set = own;
	}
	sc_key_record(&key, row.rec.prefix, row.rec.set, row.rec.order);
	return push(a, &key, &row);
}

static int add_onchain(struct adding *a)
{
	struct sc_replica_row row = { .form = SC_FORM_ONCHAIN, .bytes = a->bytes };
	ProtobufCMessage *pb = NULL;
	struct sc_key key;
	uint32_t size;
	int rc = unpack(a, &sc__on_chain_event__descriptor, &pb);

	if (rc == 0)
		rc = line_size(a, &(struct sc_object){ .form = row.form, .pb = pb }, &size);
	if (rc < 0)
		return rc;
	const Sc__OnChainEvent *e = (const Sc__OnChainEvent *)pb;

	if (e->transaction_hash.len > TRIE_REST_MAX - 5)
		return differs(a, "a transaction hash over what a trie key holds");
	row.time = e->block_timestamp;
	buf_clear(&a->r->value);
	sc_onchain_row(e, 0, size, &key, &a->r->value);
	return push(a, &key, &row);
}

static int add_fname(struct adding *a)
{
	struct sc_replica_row row = { .form = SC_FORM_PROOF, .bytes = a->bytes };
	ProtobufCMessage *pb = NULL;
	struct sc_key key;
	uint32_t size;
	int rc = unpack(a, &sc__user_name_proof__descriptor, &pb);

	if (rc == 0)
		rc = line_size(a, &(struct sc_object){ .form = row.form, .pb = pb }, &size);
	if (rc < 0)
		return rc;
	const Sc__UserNameProof *p = (const Sc__UserNameProof *)pb;
	const char *why = sc_fname_fault(a->r->params, p);

	if (why)
		return err_set(a->err, -EKEYREJECTED, "%s", why);
	if (p->type != SC_FNAME_TYPE || !p->fid) /* a list has proofs of other kinds, too */
		return a->item->key.n ? differs(a, "a proof that no trie has") : 0;
	row.time = p->timestamp;
	buf_clear(&a->r->value);
	sc_fname_row(p, 0, size, &key, &a->r->value);
	return push(a, &key, &row);
}

static int begin_account(struct chain_replica *r, uint64_t account)
{
	uint8_t prefix[TRIE_PREFIX_SIZE];

	sc_prefix(account, prefix);
	r->account = account;
	r->rows.count = 0;
	r->arena = arena_new(SC_ACCOUNT_MAX);
	r->trie = account_trie_new(prefix);
	return r->arena && r->trie ? 0 : -ENOMEM;
}

static void end_account(struct chain_replica *r)
{
	arena_freep(&r->arena);
	account_trie_freep(&r->trie);
}

void sc_replica_drop(struct chain_replica *r)
{
	end_account(r);
}

int sc_replica_add(struct chain_replica *r, uint64_t account, const struct chain_page_item *item,
		   struct err *err)
{
	AUTO(adding_release) struct adding a = { .r = r, .item = item, .err = err };
	int rc = 0;

	if (!r->arena)
		rc = begin_account(r, account);
	assert(rc < 0 || r->account == account);
	a.arena = arena_new(SC_ARENA_SIZE(item->bytes.n));
	if (rc == 0 && !a.arena)
		rc = -ENOMEM;
	if (rc == 0)
		rc = keep(r, item->bytes, &a.bytes);
	if (rc == 0) {
		switch (item->form) {
		case SC_FORM_MESSAGE:
			rc = add_message(&a);
			break;
		case SC_FORM_ONCHAIN:
			rc = add_onchain(&a);
			break;
		default:
			rc = add_fname(&a);
		}
	}
	return rc == -ENOMEM ? err_set(err, rc, "no memory for an account")
	       : rc == -EMSGSIZE
		       ? err_set(err, rc, "an account of more than %zu bytes", SC_ACCOUNT_MAX)
		       : rc;
}

/* ---- an account is complete ---- */

static int by_key(const void *a, const void *b)
{
	const struct sc_replica_row *x = a, *y = b;

	return slice_cmp(x->key, y->key);
}

/* Lists may name a record twice. */
static void sort_rows(struct chain_replica *r)
{
	size_t kept = 0;

	if (r->rows.count)
		qsort(r->rows.list, r->rows.count, sizeof *r->rows.list, by_key);
	for (size_t i = 0; i < r->rows.count; i++)
		if (!kept || slice_cmp(r->rows.list[kept - 1].key, r->rows.list[i].key) != 0)
			r->rows.list[kept++] = r->rows.list[i];
	r->rows.count = kept;
}

static int check_claim(struct chain_replica *r, const struct chain_claim *claim, struct err *err)
{
	uint8_t root[HASH20_SIZE];
	bool has = account_trie_root(r->trie, root);
	char is[2 * HASH20_SIZE + 1] = "-", said[2 * ROOT_SIZE_MAX + 1] = "-";

	if (!claim)
		return 0;
	if (claim->root_size == (has ? HASH20_SIZE : 0) &&
	    (!has || memcmp(claim->root, root, HASH20_SIZE) == 0) &&
	    claim->records == account_trie_count(r->trie))
		return 0;
	if (has)
		hex_put(is, root, 8);
	if (claim->root_size)
		hex_put(said, claim->root, MIN(claim->root_size, 8));
	return err_set(err, -EBADMSG,
		       "account %" PRIu64 ": %" PRIu64 " records with root %.16s came, %" PRIu64
		       " with root %.16s were claimed",
		       r->account, account_trie_count(r->trie), is, claim->records, said);
}

static int hand_out(struct chain_replica *r)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->rows.count; i++) {
		const struct sc_replica_row *row = &r->rows.list[i];
		struct chain_object o = { .form = row->form,
					  .bytes = row->bytes,
					  .time = row->time };
		struct slice rest;
		uint64_t object;

		rc = sc_record_split(row->value, &object, &rest);
		if (rc == 0)
			rc = r->sink.record(r->sink.arg, row->key, rest, &o);
	}
	return rc;
}

int sc_replica_account(struct chain_replica *r, uint64_t account, const struct chain_claim *claim,
		       struct err *err)
{
	int rc = r->arena ? 0 : begin_account(r, account);

	if (rc == 0) {
		assert(r->account == account);
		sort_rows(r);
		rc = check_claim(r, claim, err);
	}
	if (rc == 0)
		rc = hand_out(r);
	if (rc == 0)
		rc = sc_replica_rules(r, err);
	end_account(r);
	return rc == 0 ? 0 : err_note(err, rc, "account %" PRIu64, account);
}

/* ---- the shard is complete ---- */

int sc_replica_rule(struct chain_replica *r, const struct sc_key *key, struct slice value)
{
	return r->sink.rule(r->sink.arg, sc_key_slice(key), value);
}

/* What a key of the scratch begins with, where it is one of the store's rows, too. */
static bool is_shared(struct slice key)
{
	static const uint8_t kinds[][3] = {
		{ 'X', 0x0c, 0x37 },
		{ 'X', 0x0c, 0x38 },
		{ 'X', 0x17, SC_GASLESS_USER_NONCE },
		{ 'X', 0x17, SC_GASLESS_APP_NONCE },
		{ 'X', 0x18, SC_SLOT_MEMBER_COUNT },
		{ 'X', 0x18, SC_SLOT_MODERATE_COUNT },
		{ 'X', 0x18, SC_SLOT_MODERATORS },
	};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (slice_starts(key, SLICE_ARRAY(kinds[i])))
			return true;
	return false;
}

int sc_replica_end(struct chain_replica *r, struct chain_replica_end *out, struct err *err)
{
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	struct sc_key row;
	uint8_t number[10];
	int rc = state_scan_new(r->shared_state, SPACE_BOTH, SLICE_EMPTY, SLICE_EMPTY, true, &scan);

	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1)
		rc = is_shared(key) ? r->sink.rule(r->sink.arg, key, value) : 0;
	sc_key_block_seqnum(&row);
	if (rc == 0 && r->seqnum)
		rc = sc_replica_rule(r, &row, SLICE(number, varint_put(number, r->seqnum)));
	*out = (struct chain_replica_end){ r->marked, !r->seqnum_known };
	return rc < 0 ? err_note(err, rc, "what the rules need of shard %u", r->shard) : 0;
}
