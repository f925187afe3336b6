/* A chain of one shard, made block by block from the test's own messages, to try a rule at a time.
 *
 *     lab_open(&l, 1);
 *     lab_register(&l, 7, 1);                 fid 7, with one unit of storage
 *     lab_run(&l);
 *     a = lab_cast(&l, 7, 100, "hello");      at 100 s of the lab's time
 *     lab_run(&l);
 *     assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_CASTS, a.hash));
 *
 * Each block is proposed, aborted, and then replayed with hyper on against what was proposed. Every
 * transaction is signed by one key, which lab_register() makes a signer of its fid. */
#ifndef CHAINFS_TESTS_REPLAY_LAB_H
#define CHAINFS_TESTS_REPLAY_LAB_H

#include "core/chain/snapchain/listing.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/replay.h"
#include "tests/unit/test_snapchain.h"

#define LAB_START 1800000000u /* unix; units rented then are of the newest kind */
#define LAB_ITEMS 256
#define LAB_LIMIT 3           /* records a unit, in every store */

struct lab {
	struct chain_params params;
	struct state       *state;
	struct replay      *replay;
	struct arena       *arena;
	struct sc_block     block;
	struct chain_item   items[LAB_ITEMS];
	struct sc_transaction transactions[16];
	struct sc_message   users[LAB_ITEMS];
	struct sc_system    systems[LAB_ITEMS];
	size_t              user_count, system_count;
	uint64_t            next_object;
	uint32_t            events; /* onchain events so far: each has a block of its own */
	struct chain_result result;
	struct slice        account_roots[16];
	bool                keep_clock; /* the next block has the time that the test set */
	struct chain_outcome outcomes[LAB_ITEMS]; /* of the newest block */
};

struct sent { /* a message of the block that is being made */
	uint32_t item;
	uint8_t  hash[HASH20_SIZE];
};

static inline uint32_t lab_time(uint32_t s)
{
	return LAB_START - SC_EPOCH + s;
}

static inline void lab_begin_block(struct lab *l)
{
	uint64_t height = l->block.base.height + 1, time = l->block.base.time + 1000;

	l->block = (struct sc_block){ .base = { .height = height,
						.time = time,
						.shard = l->replay->shard,
						.items = l->items },
				      .time_fc = (uint32_t)(time - SC_EPOCH),
				      .transactions = l->transactions };
	l->user_count = l->system_count = 0;
	memset(l->items, 0, sizeof l->items);
}

static inline void lab_open(struct lab *l, uint32_t shard)
{
	struct err err = ERR_INIT;

	*l = (struct lab){ .params = { .network = SC_DEVNET, .data_shards = 1 }, .next_object = 1,
			   .arena = arena_new(64u << 20) };
	for (size_t i = 0; i < SC_UNIT_TYPES; i++)
		for (size_t j = 0; j < SC_STORE_LIMITS; j++)
			l->params.limits[i][j] = LAB_LIMIT;
	assert_int_equal(state_open(NULL, shard, UINT64_MAX, &l->state, &err), 0);
	assert_int_equal(sc_replay_new(&l->params, shard, &l->replay, &err), 0);
	l->block.base.time = LAB_START;
	lab_begin_block(l);
}

static inline void lab_release(struct lab *l)
{
	sc_replay_free(l->replay);
	state_freep(&l->state);
	arena_freep(&l->arena);
}

static inline struct sc_transaction *lab_transaction(struct lab *l, uint64_t fid)
{
	size_t n = l->block.transaction_count;

	if (n && l->transactions[n - 1].fid == fid)
		return &l->transactions[n - 1];
	assert_true(n < ARRAY_LEN(l->transactions));
	l->block.transaction_count++;
	l->transactions[n] = (struct sc_transaction){ .fid = fid,
						      .system = l->systems + l->system_count,
						      .user = l->users + l->user_count };
	return &l->transactions[n];
}

static inline uint32_t lab_item(struct lab *l)
{
	uint32_t item = (uint32_t)l->block.base.item_count++;

	assert_true(item < LAB_ITEMS);
	l->items[item].line_size = l->items[item].inner_line_size = 100 + item;
	return item;
}

static inline struct sc_system *lab_system(struct lab *l, uint64_t fid)
{
	struct sc_transaction *tx = lab_transaction(l, fid);
	struct sc_system      *s = &l->systems[l->system_count++];

	tx->system_count++;
	*s = (struct sc_system){ .item = lab_item(l) };
	return s;
}

/* The event lives in the lab's arena; block, log and transaction hash are given. */
static inline uint32_t lab_onchain(struct lab *l, Sc__OnChainEvent e)
{
	Sc__OnChainEvent *kept = arena_alloc(l->arena, sizeof *kept);
	uint8_t          *hash = arena_zalloc(l->arena, 1, 32);
	struct sc_system *s = lab_system(l, e.fid);

	put_be32(hash, ++l->events);
	e.block_number = l->events;
	e.transaction_hash = bytes_of(hash, 32);
	if (!e.block_timestamp)
		e.block_timestamp = LAB_START;
	*kept = e;
	s->onchain = kept;
	return s->item;
}

static inline void lab_rent(struct lab *l, uint64_t fid, uint32_t units)
{
	Sc__OnChainEvent          e = SC__ON_CHAIN_EVENT__INIT;
	Sc__StorageRentEventBody *rent = arena_alloc(l->arena, sizeof *rent);

	*rent = (Sc__StorageRentEventBody)SC__STORAGE_RENT_EVENT_BODY__INIT;
	rent->units = units;
	e.type = SC_ONCHAIN_RENT;
	e.fid = fid;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_STORAGE_RENT;
	e.storage_rent = rent;
	lab_onchain(l, e);
}

static inline void lab_signer(struct lab *l, uint64_t fid, int32_t event_type)
{
	static const uint8_t seed[ED25519_SEED_SIZE] = { 7 };
	uint8_t secret[ED25519_SECRET_SIZE], *key = arena_alloc(l->arena, ED25519_KEY_SIZE);
	Sc__OnChainEvent     e = SC__ON_CHAIN_EVENT__INIT;
	Sc__SignerEventBody *signer = arena_alloc(l->arena, sizeof *signer);

	ed25519_from_seed(seed, key, secret);
	*signer = (Sc__SignerEventBody)SC__SIGNER_EVENT_BODY__INIT;
	signer->key = bytes_of(key, ED25519_KEY_SIZE);
	signer->key_type = 1;
	signer->event_type = event_type;
	e.type = SC_ONCHAIN_SIGNER;
	e.fid = fid;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_SIGNER;
	e.signer = signer;
	lab_onchain(l, e);
}

static inline void lab_register(struct lab *l, uint64_t fid, uint32_t units)
{
	static const uint8_t custody[20] = { 1 };
	Sc__OnChainEvent     e = SC__ON_CHAIN_EVENT__INIT;
	Sc__IdRegisterEventBody *id = arena_alloc(l->arena, sizeof *id);

	*id = (Sc__IdRegisterEventBody)SC__ID_REGISTER_EVENT_BODY__INIT;
	id->to = bytes_of(custody, sizeof custody);
	id->event_type = 1;
	e.type = SC_ONCHAIN_ID;
	e.fid = fid;
	e.body_case = SC__ON_CHAIN_EVENT__BODY_ID_REGISTER;
	e.id_register = id;
	lab_onchain(l, e);
	lab_signer(l, fid, 1);
	if (units)
		lab_rent(l, fid, units);
}

static inline Sc__MessageData lab_data(int32_t type, uint64_t fid, uint32_t s)
{
	Sc__MessageData d = SC__MESSAGE_DATA__INIT;

	d.type = type;
	d.fid = fid;
	d.timestamp = lab_time(s);
	d.network = SC_DEVNET;
	return d;
}

static inline void lab_message(struct lab *l, const Sc__MessageData *d, struct sc_message *out)
{
	AUTO(buf_release) struct buf data = BUF_INIT(1u << 20);
	AUTO(buf_release) struct buf raw = BUF_INIT(1u << 20);
	struct err err = ERR_INIT;

	encode(&d->base, &data);
	message_make(buf_slice(&data), NULL, buf_slice(&data), &raw);
	uint8_t *kept = arena_alloc(l->arena, raw.n);

	memcpy(kept, raw.p, raw.n);
	assert_int_equal(sc_message_decode(SLICE(kept, raw.n), l->arena, true, out, &err), 0);
	assert_true(out->hash_ok && out->signature_ok);
}

static inline struct sent lab_send(struct lab *l, const Sc__MessageData *d)
{
	struct sc_transaction *tx = lab_transaction(l, d->fid);
	struct sc_message     *m = &l->users[l->user_count++];
	struct sent            sent;

	lab_message(l, d, m);
	m->item = sent.item = lab_item(l);
	tx->user_count++;
	memcpy(sent.hash, m->pb->hash.data, HASH20_SIZE);
	return sent;
}

/* A message that comes by way of shard 0. */
static inline struct sent lab_block_event(struct lab *l, uint64_t seqnum, const Sc__MessageData *d)
{
	struct sc_block_event *e = arena_zalloc(l->arena, 1, sizeof *e);
	Sc__BlockEvent        *pb = arena_alloc(l->arena, sizeof *pb);
	Sc__BlockEventData    *data = arena_alloc(l->arena, sizeof *data);
	struct sc_system      *s = lab_system(l, d->fid);
	struct sent            sent = { .item = s->item };

	*pb = (Sc__BlockEvent)SC__BLOCK_EVENT__INIT;
	*data = (Sc__BlockEventData)SC__BLOCK_EVENT_DATA__INIT;
	data->seqnum = seqnum;
	data->block_timestamp = l->block.time_fc;
	pb->data = data;
	lab_message(l, d, &e->message);
	e->has_message = e->message.inner = true;
	e->pb = pb;
	e->item = e->message.item = s->item;
	s->event = e;
	memcpy(sent.hash, e->message.pb->hash.data, HASH20_SIZE);
	return sent;
}

static inline uint32_t lab_name(struct lab *l, uint64_t from, uint64_t to, const char *name,
				uint32_t s)
{
	static const uint8_t owner[20] = { 2 };
	Sc__FnameTransfer   *t = arena_alloc(l->arena, sizeof *t);
	Sc__UserNameProof   *p = arena_alloc(l->arena, sizeof *p);
	struct sc_system    *sys = lab_system(l, to ? to : from);

	*t = (Sc__FnameTransfer)SC__FNAME_TRANSFER__INIT;
	*p = (Sc__UserNameProof)SC__USER_NAME_PROOF__INIT;
	p->timestamp = LAB_START + s;
	p->name = text_of(name);
	p->owner = bytes_of(owner, sizeof owner);
	p->fid = to;
	p->type = 1;
	t->from_fid = from;
	t->proof = p;
	sys->fname = t;
	return sys->item;
}

static inline void lab_replay(struct lab *l, int expected)
{
	struct err err = ERR_INIT;
	int        rc;

	assert_int_equal(state_block_begin(l->state, l->block.base.height), 0);
	rc = sc_replay_block(l->replay, l->state, &l->block.base, l->next_object, true, &l->result,
			     &err);
	if (rc != expected)
		fail_msg("height %" PRIu64 ": %d %s", l->block.base.height, rc, err.text);
}

/* Gives the block the roots that it must have. */
static inline void lab_propose(struct lab *l)
{
	struct sc_proposal p;
	struct err         err = ERR_INIT;

	assert_int_equal(state_block_begin(l->state, l->block.base.height), 0);
	if (sc_replay_propose(l->replay, l->state, &l->block.base, l->next_object, &p, &err) < 0)
		fail_msg("height %" PRIu64 ": %s", l->block.base.height, err.text);
	for (size_t i = 0; i < l->block.transaction_count; i++) {
		uint8_t *root = arena_alloc(l->arena, HASH20_SIZE);

		memcpy(root, p.account_roots[i].p, p.account_roots[i].n);
		l->transactions[i].account_root = SLICE(root, p.account_roots[i].n);
		l->account_roots[i] = l->transactions[i].account_root;
	}
	memcpy(l->block.base.root, p.root.p, p.root.n);
	l->block.base.root_size = (uint8_t)p.root.n;
	state_block_abort(l->state);
	sc_replay_abort(l->replay);
}

static inline void lab_keep(struct lab *l)
{
	memcpy(l->outcomes, l->result.outcomes, l->result.outcome_count * sizeof *l->outcomes);
	assert_int_equal(state_block_end(l->state), 0);
	l->next_object += 2 * l->block.base.item_count;
	lab_begin_block(l);
}

static inline void lab_run(struct lab *l)
{
	lab_propose(l);
	lab_replay(l, 0);
	lab_keep(l);
}

/* ---- looking ---- */

static inline bool lab_merged(const struct lab *l, uint32_t item)
{
	return l->outcomes[item].outcome == OUTCOME_MERGED;
}

static inline bool lab_refused(const struct lab *l, uint32_t item, const char *because)
{
	return l->outcomes[item].outcome == OUTCOME_REFUSED &&
	       strstr(l->outcomes[item].reason, because);
}

/* Records of a set, or those with the hash. */
static inline size_t lab_count(struct lab *l, unsigned spaces, uint64_t fid, enum sc_set set,
			       const uint8_t *hash)
{
	AUTO(buf_release) struct buf prefix = BUF_INIT(64);
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	struct slice key, value;
	size_t       n = 0;

	sc_set_prefix(fid, (uint8_t)(set + 1), &prefix);
	assert_int_equal(
		state_scan_new(l->state, spaces, buf_slice(&prefix), SLICE_EMPTY, false, &scan), 0);
	while (state_scan_next(scan, &key, &value) == 1)
		n += !hash || memcmp(key.p + key.n - HASH20_SIZE, hash, HASH20_SIZE) == 0;
	return n;
}

static inline bool lab_holds(struct lab *l, unsigned spaces, uint64_t fid, enum sc_set set,
			     const uint8_t *hash)
{
	return lab_count(l, spaces, fid, set, hash) == 1;
}

/* ---- messages ---- */

static inline struct sent lab_cast(struct lab *l, uint64_t fid, uint32_t s, const char *text)
{
	Sc__MessageData d = lab_data(SC_CAST_ADD, fid, s);
	Sc__CastAddBody b = SC__CAST_ADD_BODY__INIT;

	b.text = text_of(text);
	d.body_case = SC__MESSAGE_DATA__BODY_CAST_ADD;
	d.cast_add = &b;
	return lab_send(l, &d);
}

static inline struct sent lab_uncast(struct lab *l, uint64_t fid, uint32_t s,
				     const uint8_t target[HASH20_SIZE])
{
	Sc__MessageData    d = lab_data(SC_CAST_REMOVE, fid, s);
	Sc__CastRemoveBody b = SC__CAST_REMOVE_BODY__INIT;

	b.target_hash = bytes_of(target, HASH20_SIZE);
	d.body_case = SC__MESSAGE_DATA__BODY_CAST_REMOVE;
	d.cast_remove = &b;
	return lab_send(l, &d);
}

static inline struct sent lab_link(struct lab *l, int32_t type, uint64_t fid, uint32_t s,
				   const char *kind, uint64_t target)
{
	Sc__MessageData d = lab_data(type, fid, s);
	Sc__LinkBody    b = SC__LINK_BODY__INIT;

	b.type = text_of(kind);
	b.target_case = SC__LINK_BODY__TARGET_TARGET_FID;
	b.target_fid = target;
	d.body_case = SC__MESSAGE_DATA__BODY_LINK;
	d.link = &b;
	return lab_send(l, &d);
}

static inline struct sent lab_compact(struct lab *l, uint64_t fid, uint32_t s, const char *kind,
				      const uint64_t *targets, size_t count)
{
	Sc__MessageData          d = lab_data(SC_LINK_COMPACT, fid, s);
	Sc__LinkCompactStateBody b = SC__LINK_COMPACT_STATE_BODY__INIT;

	b.type = text_of(kind);
	b.target_fids = (uint64_t *)(uintptr_t)targets;
	b.n_target_fids = count;
	d.body_case = SC__MESSAGE_DATA__BODY_LINK_COMPACT;
	d.link_compact = &b;
	return lab_send(l, &d);
}

static inline struct sent lab_user_data(struct lab *l, uint64_t fid, uint32_t s, int32_t type,
					const char *value)
{
	Sc__MessageData  d = lab_data(SC_USER_DATA, fid, s);
	Sc__UserDataBody b = SC__USER_DATA_BODY__INIT;

	b.type = type;
	b.value = text_of(value);
	d.body_case = SC__MESSAGE_DATA__BODY_USER_DATA;
	d.user_data = &b;
	return lab_send(l, &d);
}

#endif
