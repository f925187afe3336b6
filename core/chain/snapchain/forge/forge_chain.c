#include "core/chain/snapchain/forge/forge_chain.h"

#include "core/chain/snapchain/block.h"
#include "core/chain/snapchain/forge/forge_pool.h"
#include "core/chain/snapchain/replay.h"
#include "core/chain/snapchain/versions.h"
#include "core/store/state.h"
#include "proto/wire.h"

#define AHEAD_MAX        64 /* chunks that shard 0 has not witnessed yet */
#define EVENTS_KEPT      64 /* that every shard has carried: dropped so many at a time */

/* What a genesis names as its parent (snapchain.md 1.4). */
static const char genesis_block[] =
	"It occurs to me that our survival may depend upon our talking to "
	"one another.";
static const uint8_t genesis_chunk[] = { 0x00, 0x20 };

struct seal { /* what others say of a block */
	uint64_t height;
	uint8_t  hash[HASH_SIZE];
	uint8_t  root[HASH20_SIZE];
	uint8_t  root_size;
};

struct forged_shard {
	uint32_t          shard;
	struct forge_pool pool;
	struct state     *state;
	struct replay    *replay;
	uint64_t          next_object;
	struct seal       newest;           /* height 0: no block yet */
	struct seal       ahead[AHEAD_MAX]; /* data shards: not witnessed, a ring */
	size_t            ahead_first, ahead_count;
	struct seal       witnessed;        /* the one that shard 0 named last */
	uint64_t          seqnum;           /* newest block event carried, resp. made */
};

struct event { /* that shard 0 made, as a ValidatorMessage */
	uint64_t   seqnum, fid;
	struct buf bytes;
};

struct forge_chain {
	struct forge_chain_options  options;
	const struct chain_params  *params;
	struct archive_writer      *archive;
	struct forge_validators     validators;
	struct forged_shard         shards[SHARD_MAX];
	uint32_t                    shard_count;
	struct event *events; /* ascending seqnum; those that some shard has not carried */
	size_t                      event_count, event_cap;
	uint64_t                    steps, messages;
	int                         failed;
	struct buf                  block, header, scratch, more; /* used again by each block */
};

/* ---- making and freeing ---- */

int forge_chain_new(const struct forge_chain_options *o, const struct chain_params *params,
		    struct archive_writer *archive, struct forge_chain **out, struct err *err)
{
	assert(params->data_shards > 0 && params->data_shards <= FORGE_SHARDS_MAX);
	AUTO(forge_chain_freep) struct forge_chain *c = calloc(1, sizeof *c);
	if (!c)
		return err_set(err, -ENOMEM, "no memory for a chain");
	struct buf *bufs[] = { &c->block, &c->header, &c->scratch, &c->more };
	for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
		*bufs[i] = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	c->options = *o;
	c->params = params;
	c->archive = archive;
	c->shard_count = params->data_shards + 1;
	forge_validators_of(o->seed, o->validators, &c->validators);
	for (uint32_t s = 0; s < c->shard_count; s++) {
		struct forged_shard *sh = &c->shards[s];

		sh->shard = s;
		sh->next_object = 1;
		int rc = state_open(NULL, s, UINT64_MAX, &sh->state, err);
		if (rc == 0)
			rc = sc_replay_new(params, s, &sh->replay, err);
		if (rc < 0)
			return rc;
	}
	*out = TAKE(c);
	return 0;
}

void forge_chain_freep(struct forge_chain **at)
{
	struct forge_chain *c = TAKE(*at);

	if (!c)
		return;
	for (uint32_t s = 0; s < SHARD_MAX; s++) {
		forge_pool_release(&c->shards[s].pool);
		sc_replay_free(c->shards[s].replay);
		state_freep(&c->shards[s].state);
	}
	for (size_t i = 0; i < c->event_cap; i++)
		buf_release(&c->events[i].bytes);
	free(c->events);
	buf_release(&c->block);
	buf_release(&c->header);
	buf_release(&c->scratch);
	buf_release(&c->more);
	free(c);
}

uint64_t forge_chain_steps(const struct forge_chain *c)
{
	return c->steps;
}

uint64_t forge_chain_now(const struct forge_chain *c)
{
	return c->options.start_time + c->steps * c->options.block_time_s;
}

uint64_t forge_chain_height(const struct forge_chain *c, uint32_t shard)
{
	return c->shards[shard].newest.height;
}

uint64_t forge_chain_messages(const struct forge_chain *c)
{
	return c->messages;
}

static uint32_t now_fc(const struct forge_chain *c)
{
	return (uint32_t)(forge_chain_now(c) - SC_EPOCH);
}

static void latch(struct forge_chain *c, int rc)
{
	if (rc < 0 && !c->failed)
		c->failed = rc;
}

void forge_chain_user(struct forge_chain *c, uint32_t shard, uint64_t fid,
		      const struct forge_message *m)
{
	latch(c, buf_done(&m->bytes));
	forge_pool_user(&c->shards[shard].pool, fid, buf_slice(&m->bytes));
	c->messages++;
}

void forge_chain_system(struct forge_chain *c, uint32_t shard, uint64_t fid, struct slice event)
{
	forge_pool_system(&c->shards[shard].pool, fid, event);
}

/* ---- block events: shard 0 makes them, every data shard carries each once, in order ---- */

static struct event *event_new(struct forge_chain *c)
{
	if (c->event_count == c->event_cap) {
		size_t cap = c->event_cap ? 2 * c->event_cap : 16;
		struct event *list = realloc(c->events, cap * sizeof *list);

		if (!list)
			return NULL;
		for (size_t i = c->event_cap; i < cap; i++)
			list[i] = (struct event){ .bytes = BUF_INIT(BLOCK_SIZE_MAX) };
		c->events = list;
		c->event_cap = cap;
	}
	struct event *e = &c->events[c->event_count++];
	buf_clear(&e->bytes);
	return e;
}

/* The newest one that all shards have carried stays: it may be repeated. */
static void events_forget(struct forge_chain *c)
{
	uint64_t carried = UINT64_MAX;
	size_t gone = 0;

	for (uint32_t s = 1; s < c->shard_count; s++)
		carried = MIN(carried, c->shards[s].seqnum);
	while (gone < c->event_count && c->events[gone].seqnum < carried)
		gone++;
	if (gone < EVENTS_KEPT)
		return;
	for (size_t i = gone; i < c->event_count; i++) {
		struct event kept = c->events[i];

		c->events[i] = c->events[i - gone];
		c->events[i - gone] = kept;
	}
	c->event_count -= gone;
}

/* Puts what a data shard has not carried yet before everything else in its pool. An account has one
 * transaction a block: events wait for the next chunk where that would change their order. */
static void events_carry(struct forge_chain *c, struct forged_shard *sh, bool repeat)
{
	struct forge_pool first = { 0 };

	for (size_t i = 0; i < c->event_count; i++) {
		const struct event *e = &c->events[i];
		bool again = repeat && e->seqnum == sh->seqnum;

		if (e->seqnum <= sh->seqnum && !again)
			continue;
		const struct forge_transaction *t = forge_pool_find(&first, e->fid);
		if (t && t != &first.list[first.count - 1])
			break;
		forge_pool_system(&first, e->fid, buf_slice(&e->bytes));
		if (!again)
			sh->seqnum = e->seqnum;
	}
	if (first.count) {
		struct forge_pool waiting = sh->pool;

		forge_pool_append(&first, &waiting);
		sh->pool = first;
		first = waiting;
	}
	forge_pool_release(&first);
}

struct events { /* of the block that is being made */
	uint64_t      height;
	uint32_t      count;
	struct buf   *out;    /* as fields of the block */
	struct blake3 hashes; /* of all their hashes */
};

/* Adds one to the block, and to what data shards have to carry. field: of the body, 7 or 8, with
 * its one field's content; 0: a heartbeat. */
static void event_make(struct forge_chain *c, struct events *made, uint64_t fid, uint32_t field,
		       struct slice content)
{
	struct event *e = event_new(c);
	struct buf *data = &c->scratch;
	uint8_t hash[HASH_SIZE];

	if (!e) {
		latch(c, -ENOMEM);
		return;
	}
	e->seqnum = ++c->shards[0].seqnum;
	e->fid = fid;
	buf_clear(&c->more);
	if (field)
		wire_put_message(&c->more, 1, content);
	buf_clear(data);
	wire_put_varint(data, 1, e->seqnum);
	wire_put_varint(data, 2, field ? field - 6 : 0); /* bodies 6, 7, 8 are types 0, 1, 2 */
	wire_put_varint(data, 3, made->height);
	wire_put_varint(data, 4, made->count++);
	wire_put_varint(data, 5, now_fc(c));
	wire_put_message(data, field ? field : 6, buf_slice(&c->more));
	hash_blake3(buf_slice(data), hash);
	blake3_add(&made->hashes, SLICE_ARRAY(hash));

	buf_clear(&c->more);
	wire_put_bytes(&c->more, 1, SLICE_ARRAY(hash));
	wire_put_message(&c->more, 2, buf_slice(data));
	wire_put_message(&e->bytes, 3, buf_slice(&c->more));
	wire_put_message(made->out, 6, buf_slice(&c->more));
	latch(c, data->failed ? data->failed : c->more.failed);
	latch(c, buf_done(&e->bytes));
}

/* Whose transaction carries an item of a block. */
static uint64_t fid_of(const struct sc_block *b, uint32_t item)
{
	size_t i = 0, first = 0;

	for (; i + 1 < b->transaction_count; i++) {
		first += b->transactions[i].system_count + b->transactions[i].user_count;
		if (item < first)
			break;
	}
	return b->transactions[i].fid;
}

/* Every event of a block; gives the hash of all of them, or nothing when there is none. */
static struct slice put_events(struct forge_chain *c, const struct sc_block *draft,
			       const struct sc_proposal *p, struct buf *out,
			       uint8_t hash[HASH_SIZE])
{
	struct events made = { .height = draft->base.height, .out = out };

	blake3_init(&made.hashes);
	for (size_t i = 0; i < p->event_count; i++) {
		const struct sc_emitted *e = &p->events[i];

		if (e->item == CHANGE_NO_ITEM)
			event_make(c, &made, 0, 0, SLICE_EMPTY);
		else
			event_make(c, &made, fid_of(draft, e->item), e->onchain ? 8 : 7, e->raw);
	}
	blake3_end(&made.hashes, hash, HASH_SIZE);
	return made.count ? SLICE(hash, HASH_SIZE) : SLICE_EMPTY;
}

/* ---- blocks ---- */

/* Fields 1 and 2 of either kind of header: enough for a block to be replayed. */
static void header_begin(struct forge_chain *c, const struct forged_shard *sh)
{
	buf_clear(&c->header);
	forge_put_height(&c->header, 1, sh->shard, sh->newest.height + 1);
	wire_put_varint(&c->header, 2, now_fc(c));
}

/* Replays the pool as the next block of a shard. */
static int propose(struct forge_chain *c, struct forged_shard *sh, struct sc_block **draft,
		   struct sc_proposal *out, struct err *err)
{
	static const uint8_t unknown[HASH_SIZE];
	AUTO(buf_release) struct buf bytes = BUF_INIT(BLOCK_SIZE_MAX), none = BUF_INIT(0);

	header_begin(c, sh);
	wire_put_message(&bytes, 1, buf_slice(&c->header));
	wire_put_bytes(&bytes, 2, SLICE_ARRAY(unknown));
	forge_pool_write(&sh->pool, NULL, sh->shard ? 3 : 5, &bytes);
	latch(c, bytes.failed);
	if (c->failed)
		return err_set(err, c->failed, "a block does not fit");

	int rc = sc_block_decode(c->params, sh->shard == 0, true, &bytes, &none, draft, err);
	if (rc == 0)
		rc = state_block_begin(sh->state, sh->newest.height + 1);
	if (rc == 0)
		rc = sc_replay_propose(sh->replay, sh->state, &(*draft)->base, sh->next_object, out,
				       err);
	if (rc < 0)
		return rc;
	sh->next_object += 2 * (*draft)->base.item_count;
	return state_block_end(sh->state);
}

/* The header in c->header becomes the newest block's. */
static void seal_header(struct forge_chain *c, struct forged_shard *sh, struct slice root)
{
	assert(root.n <= sizeof sh->newest.root);
	sh->newest.height++;
	sh->newest.root_size = (uint8_t)root.n;
	if (root.n)
		memcpy(sh->newest.root, root.p, root.n);
	hash_blake3(buf_slice(&c->header), sh->newest.hash);
}

static void put_certificate(struct forge_chain *c, const struct forged_shard *sh, uint32_t away)
{
	if (c->options.uncommitted)
		return;
	buf_clear(&c->scratch);
	forge_certificate(&c->validators, sh->shard, sh->newest.height, sh->newest.hash, away,
			  &c->scratch);
	wire_put_message(&c->block, 4, buf_slice(&c->scratch));
	latch(c, c->scratch.failed);
}

static int block_write(struct forge_chain *c, struct forged_shard *sh, struct err *err)
{
	forge_pool_clear(&sh->pool);
	latch(c, c->header.failed ? c->header.failed : c->block.failed);
	if (c->failed)
		return err_set(err, c->failed, "a block does not fit");
	return archive_writer_add(c->archive, sh->shard, buf_slice(&c->block), err);
}

static int make_chunk(struct forge_chain *c, struct forged_shard *sh, const struct forge_pace *pace,
		      struct err *err)
{
	AUTO(sc_block_freep) struct sc_block *draft = NULL;
	struct sc_proposal roots;

	if (sh->ahead_count == AHEAD_MAX)
		return err_set(err, -EINVAL, "shard %" PRIu32 " is %d heights ahead of shard 0",
			       sh->shard, AHEAD_MAX);
	events_carry(c, sh, pace->repeat_event);
	int rc = propose(c, sh, &draft, &roots, err);
	if (rc < 0)
		return rc;

	struct slice parent = SLICE_ARRAY(sh->newest.hash);
	header_begin(c, sh);
	wire_put_bytes(&c->header, 3, sh->newest.height ? parent : SLICE_ARRAY(genesis_chunk));
	wire_put_bytes(&c->header, 4, roots.root);
	seal_header(c, sh, roots.root);

	buf_clear(&c->block);
	wire_put_message(&c->block, 1, buf_slice(&c->header));
	wire_put_bytes(&c->block, 2, SLICE_ARRAY(sh->newest.hash));
	forge_pool_write(&sh->pool, roots.account_roots, 3, &c->block);
	put_certificate(c, sh, pace->away);
	sh->ahead[(sh->ahead_first + sh->ahead_count++) % AHEAD_MAX] = sh->newest;
	return block_write(c, sh, err);
}

/* The next chunk of every data shard, or again the last one named where there is none. */
static void put_witness(struct forge_chain *c, struct buf *out)
{
	for (uint32_t s = 1; s < c->shard_count; s++) {
		struct forged_shard *sh = &c->shards[s];

		if (sh->ahead_count) {
			sh->witnessed = sh->ahead[sh->ahead_first];
			sh->ahead_first = (sh->ahead_first + 1) % AHEAD_MAX;
			sh->ahead_count--;
		}
		buf_clear(&c->scratch);
		forge_put_height(&c->scratch, 1, s, sh->witnessed.height);
		wire_put_bytes(&c->scratch, 2, SLICE(sh->witnessed.root, sh->witnessed.root_size));
		wire_put_bytes(&c->scratch, 3, SLICE_ARRAY(sh->witnessed.hash));
		wire_put_message(out, 1, buf_slice(&c->scratch));
	}
}

static int make_block(struct forge_chain *c, const struct forge_pace *pace, struct err *err)
{
	AUTO(sc_block_freep) struct sc_block *draft = NULL;
	AUTO(buf_release)
	struct buf witness = BUF_INIT(BLOCK_SIZE_MAX),
		   events = BUF_INIT(BLOCK_SIZE_MAX);
	struct forged_shard *sh = &c->shards[0];
	struct sc_proposal roots;
	uint8_t witness_hash[HASH_SIZE], events_hash[HASH_SIZE];
	int rc = propose(c, sh, &draft, &roots, err);

	if (rc < 0)
		return rc;
	struct slice told = put_events(c, draft, &roots, &events, events_hash);
	put_witness(c, &witness);
	hash_blake3(buf_slice(&witness), witness_hash);
	latch(c, witness.failed ? witness.failed : events.failed);

	struct slice parent = SLICE_ARRAY(sh->newest.hash);
	header_begin(c, sh);
	wire_put_varint(&c->header, 3, SC_PROTOCOL_NEWEST);
	wire_put_varint(&c->header, 4, c->params->network);
	wire_put_bytes(&c->header, 5, SLICE_ARRAY(witness_hash));
	wire_put_bytes(&c->header, 6, sh->newest.height ? parent : slice_str(genesis_block));
	wire_put_bytes(&c->header, 7, roots.root);
	wire_put_bytes(&c->header, 8, told);
	seal_header(c, sh, roots.root);

	buf_clear(&c->block);
	wire_put_message(&c->block, 1, buf_slice(&c->header));
	wire_put_bytes(&c->block, 2, SLICE_ARRAY(sh->newest.hash));
	wire_put_message(&c->block, 3, buf_slice(&witness));
	put_certificate(c, sh, pace->away);
	forge_pool_write(&sh->pool, roots.account_roots, 5, &c->block);
	buf_add(&c->block, buf_slice(&events));
	return block_write(c, sh, err);
}

int forge_chain_step(struct forge_chain *c, const struct forge_pace *given, struct err *err)
{
	static const struct forge_pace usual = { 0 };
	const struct forge_pace *pace = given ? given : &usual;
	int rc = 0;

	for (uint32_t s = 1; s < c->shard_count && rc == 0; s++)
		if (!(pace->silent_bits >> s & 1))
			rc = make_chunk(c, &c->shards[s], pace, err);
	if (rc == 0 && !(pace->silent_bits & 1))
		rc = make_block(c, pace, err);
	if (rc < 0)
		return rc;
	events_forget(c);
	c->steps++;
	return 0;
}
