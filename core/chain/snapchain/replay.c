#include "core/chain/snapchain/replay.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/chain/snapchain/account.h"
#include "core/chain/snapchain/events.h"
#include "core/chain/snapchain/replica.h"
#include "core/chain/snapchain/signers.h"

#define ARENA_SIZE_MAX (1u << 30) /* of what one block's changes need in memory */
#define ROW_VALUE_MAX  STATE_VALUE_MAX

struct roots {
	struct slice *list; /* one a transaction, in the arena */
	bool          wanted;
};

/* ---- causes and outcomes ---- */

void sc_cause_is(struct replay *r, uint32_t item, bool inner)
{
	const struct chain_item *i = &r->block->base.items[item];

	r->cause = (struct sc_cause){
		.item = item,
		.object = r->object_first + 2 * (uint64_t)item + inner,
		.line_size = inner ? i->inner_line_size : i->line_size,
	};
}

void sc_cause_none(struct replay *r)
{
	r->cause = (struct sc_cause){ .item = CHANGE_NO_ITEM };
}

int sc_outcome(struct replay *r, uint32_t item, int rc)
{
	if (rc < 0)
		return rc;
	r->outcomes[item] = (struct chain_outcome){
		.outcome = rc == REFUSED ? OUTCOME_REFUSED : OUTCOME_MERGED,
		.reason = rc == REFUSED ? r->refusal : NULL,
	};
	return 0;
}

int sc_emit(struct replay *r, uint32_t item, bool onchain, struct slice raw)
{
	struct sc_emitted *e = SC_PUSH(&r->emissions);

	if (!e)
		return -ENOMEM;
	*e = (struct sc_emitted){ .item = item, .onchain = onchain, .raw = raw };
	return 0;
}

/* ---- order ---- */

static int by_ledger(const void *a, const void *b)
{
	const struct sc_system *x = *(const struct sc_system *const *)a,
			       *y = *(const struct sc_system *const *)b;

	if (!x->onchain != !y->onchain)
		return !x->onchain - !y->onchain;
	if (x->onchain && x->onchain->block_number != y->onchain->block_number)
		return x->onchain->block_number < y->onchain->block_number ? -1 : 1;
	if (x->onchain && x->onchain->log_index != y->onchain->log_index)
		return x->onchain->log_index < y->onchain->log_index ? -1 : 1;
	return (x->item > y->item) - (x->item < y->item); /* stable: items are numbered as given */
}

int sc_system_sorted(struct replay *r, const struct sc_transaction *tx,
		     const struct sc_system ***out)
{
	const struct sc_system **list =
		arena_alloc(r->arena, (tx->system_count + 1) * sizeof(struct sc_system *));

	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < tx->system_count; i++)
		list[i] = &tx->system[i];
	qsort(list, tx->system_count, sizeof *list, by_ledger);
	*out = list;
	return 0;
}

/* ---- life ---- */

int sc_replay_new(const struct chain_params *p, uint32_t shard, struct replay **out,
		  struct err *err)
{
	struct replay *r = calloc(1, sizeof *r);

	if (r)
		r->accounts = accounts_new();
	if (!r || !r->accounts) {
		sc_replay_free(r);
		return err_set(err, -ENOMEM, "no memory to replay shard %u", shard);
	}
	r->params = p;
	r->shard = shard;
	r->row_value = (struct buf)BUF_INIT(ROW_VALUE_MAX);
	*out = r;
	return 0;
}

void sc_replay_free(struct replay *r)
{
	if (!r)
		return;
	accounts_freep(&r->accounts);
	arena_freep(&r->arena);
	buf_release(&r->row_value);
	free(r->changes.list);
	free(r->emissions.list);
	free(r->revocations.list);
	free(r);
}

void sc_replay_abort(struct replay *r)
{
	accounts_abort(r);
}

/* ---- a block ---- */

static int begin(struct replay *r, struct state *st, const struct sc_block *b,
		 uint64_t object_first, bool hyper, const struct sc_clock *clock, struct err *err)
{
	struct sc_key key;
	int           rc;

	/* Whatever comes, what the block before touched is not to be undone any more. */
	accounts_begin(r);
	r->st = st;
	r->block = b;
	r->object_first = object_first;
	r->clock = *clock;
	r->stamp++;
	r->changes.count = r->emissions.count = r->revocations.count = 0;
	r->units_asked = r->keys_asked = false;
	sc_cause_none(r);
	sc_signers_forget(r);
	r->version = sc_engine_version(r->params->network, b->base.time);
	if (r->version < SC_ENGINE_OLDEST)
		return err_set(err, -EOPNOTSUPP,
			       "version %u of the rules is older than this program knows (%u)",
			       r->version, SC_ENGINE_OLDEST);
	arena_freep(&r->arena);
	r->arena = arena_new(ARENA_SIZE_MAX);
	if (!r->arena)
		return -ENOMEM;
	r->outcomes = arena_zalloc(r->arena, b->base.item_count + 1, sizeof *r->outcomes);
	if (!r->outcomes)
		return -ENOMEM;
	for (size_t i = 0; i < b->base.item_count; i++)
		r->outcomes[i].outcome = OUTCOME_NONE;
	rc = accounts_rebased(r);
	if (rc < 0)
		return rc;
	if (!r->loaded || rc || r->hyper != hyper) {
		r->hyper = hyper;
		r->loaded = false;
		rc = accounts_load(r, err);
		if (rc < 0)
			return rc;
		r->loaded = true;
		accounts_begin(r);
	}
	sc_key_block_seqnum(&key);
	rc = sc_get_number(r, &key, &r->seqnum);
	r->seqnum_before = r->seqnum;
	return rc;
}

static void short_hex(struct slice s, char out[17])
{
	hex_put(out, s.p, MIN(s.n, (size_t)8));
}

static void fault(struct level_result *level, const char *format, ...) PRINTF_LIKE(2, 3);
static void fault(struct level_result *level, const char *format, ...)
{
	va_list args;

	if (level->verdict == VERDICT_FAILED)
		return; /* the first is told */
	level->verdict = VERDICT_FAILED;
	va_start(args, format);
	vsnprintf(level->reason, REASON_SIZE, format, args);
	va_end(args);
}

/* A bootstrap had to guess something of the account: that is the likely reason. */
static int blame_guess(struct replay *r, uint64_t fid, struct level_result *level)
{
	char guess[REASON_SIZE], text[3 * REASON_SIZE];
	struct slice value;
	struct sc_key key;
	uint64_t account;
	int rc;

	sc_key_marks(&key);
	sc_key_be32(&key, (uint32_t)fid);
	rc = sc_get(r, &key, &value);
	if (rc == 1)
		rc = sc_mark_read(sc_key_slice(&key), value, &account, guess);
	else
		return rc;
	if (rc == 0) {
		snprintf(text, sizeof text, "%.*s; guessed by a bootstrap: %s", REASON_SIZE - 1,
			 level->reason, guess);
		snprintf(level->reason, REASON_SIZE, "%.*s", REASON_SIZE - 1, text);
	}
	return rc;
}

static int account_check(struct replay *r, const struct sc_transaction *tx, size_t index,
			 struct roots *roots, struct level_result *level)
{
	struct account     *a = account_of(r, tx->fid);
	struct account_root root;
	struct slice        got;
	char                is[17], said[17];
	int                 rc = a ? account_root_of(r, a, &root) : -ENOMEM;

	if (rc < 0)
		return rc;
	got = SLICE(root.root, root.keys ? HASH20_SIZE : 0);
	if (roots->wanted) {
		uint8_t *kept = arena_alloc(r->arena, HASH20_SIZE);

		if (!kept)
			return -ENOMEM;
		memcpy(kept, root.root, HASH20_SIZE);
		roots->list[index] = SLICE(kept, got.n);
		return 0;
	}
	if (!slice_eq(got, tx->account_root)) {
		short_hex(got, is);
		short_hex(tx->account_root, said);
		bool first = level->verdict != VERDICT_FAILED;

		fault(level, "transaction %zu: fid %" PRIu64 " has root %s, the block says %s",
		      index, tx->fid, got.n ? is : "(empty)",
		      tx->account_root.n ? said : "(empty)");
		return first ? blame_guess(r, tx->fid, level) : 0;
	}
	return 0;
}

static int run(struct replay *r, struct roots *roots, struct chain_result *out)
{
	const struct sc_block *b = r->block;
	int                    rc = 0;

	if (roots->wanted) {
		roots->list = arena_zalloc(r->arena, b->transaction_count + 1, sizeof *roots->list);
		if (!roots->list)
			return -ENOMEM;
	}
	for (size_t i = 0; i < b->transaction_count && rc == 0; i++) {
		const struct sc_transaction *tx = &b->transactions[i];

		r->revocations.count = 0;
		sc_signers_forget(r);
		rc = r->shard ? sc_data_transaction(r, tx) : sc_main_transaction(r, tx);
		if (rc == 0)
			rc = account_check(r, tx, i, roots, &out->accounts);
	}
	return rc;
}

static void state_check(struct replay *r, struct chain_result *out)
{
	const struct chain_block *b = &r->block->base;
	struct slice got = SLICE(out->legacy.root, out->legacy.root_size),
		     said = SLICE(b->root, b->root_size);
	char         is[17], text[17];

	if (slice_eq(got, said))
		return;
	short_hex(got, is);
	short_hex(said, text);
	fault(&out->state, "the state has root %s, the block says %s", got.n ? is : "(empty)",
	      said.n ? text : "(empty)");
}

static int end(struct replay *r, struct roots *roots, struct chain_result *out)
{
	const char   *why;
	struct sc_key key;
	int           rc;

	if (r->shard == 0) {
		rc = sc_events_end(r, roots->wanted ? NULL : &why);
		if (rc < 0)
			return rc;
		if (!roots->wanted && why)
			fault(&out->state, "%s", why);
	}
	sc_key_block_seqnum(&key);
	rc = r->seqnum == r->seqnum_before ? 0 : sc_put_number(r, &key, r->seqnum);
	if (rc == 0)
		rc = accounts_end(r, out);
	if (rc < 0)
		return rc;
	if (!roots->wanted)
		state_check(r, out);
	out->changes = r->changes.list;
	out->change_count = r->changes.count;
	out->outcomes = r->outcomes;
	out->outcome_count = r->block->base.item_count;
	return 0;
}

static int attempt(struct replay *r, struct state *st, const struct sc_block *b,
		   uint64_t object_first, bool hyper, const struct sc_clock *clock,
		   struct roots *roots, struct chain_result *out, struct err *err)
{
	int rc;

	memset(out, 0, sizeof *out);
	out->accounts.verdict = out->state.verdict = VERDICT_OK;
	rc = begin(r, st, b, object_first, hyper, clock, err);
	if (rc == 0)
		rc = run(r, roots, out);
	if (rc == 0)
		rc = end(r, roots, out);
	if (rc < 0) {
		accounts_abort(r);
		if (rc ==
		    -EMSGSIZE) { /* no chain of ours has such records: the block is not for us */
			fault(&out->state, "a record is larger than a row may be");
			rc = -EUCLEAN;
		} else if (rc == -EUCLEAN) {
			fault(&out->state, "rows of the store contradict each other");
		}
		return rc == -EOPNOTSUPP ? rc :
					   err_note(err, rc, "shard %u height %" PRIu64,
						    b->base.shard, b->base.height);
	}
	if (out->accounts.verdict == VERDICT_OK && out->state.verdict == VERDICT_OK)
		return 0;
	accounts_abort(r);
	return err_set(err, -EUCLEAN, "%s",
		       out->accounts.verdict == VERDICT_OK ? out->state.reason
							   : out->accounts.reason);
}

/* Nobody signed what upstream's machines took for the time, so a root that does not come out by the
 * block's own may come out by a clock close to it (snapchain-replay.md 15). */
static const struct sc_clock clocks[] = { { .shift = 0 }, { .shift = -2 }, { .shift = 2 },
					  { .other_year = true }, { .keys_live = true } };

int sc_replay_block(struct replay *r, struct state *st, const struct chain_block *b,
		    uint64_t object_first, bool hyper, struct chain_result *out, struct err *err)
{
	const struct sc_block *block = sc_block_of(b);
	struct roots           roots = { .wanted = false };
	struct err             ignored = ERR_INIT;
	int rc = attempt(r, st, block, object_first, hyper, &clocks[0], &roots, out, err);

	bool units = r->units_asked && !r->params->wall_clock, keys = r->keys_asked;

	if (rc != -EUCLEAN || (!units && !keys))
		return rc;
	for (size_t i = 1; i < ARRAY_LEN(clocks); i++) {
		if (clocks[i].keys_live ? !keys : !units)
			continue;
		state_block_abort(st);
		int again = state_block_begin(st, b->height);

		if (again == 0)
			again = attempt(r, st, block, object_first, hyper, &clocks[i], &roots, out,
					&ignored);
		if (again == 0 && clocks[i].keys_live) {
			snprintf(out->accounts.reason, REASON_SIZE,
				 "a gasless key was used later than a bootstrap guessed");
			return 0;
		}
		if (again == 0) {
			snprintf(out->accounts.reason, REASON_SIZE,
				 "storage expired by another clock: %+d s%s", (int)clocks[i].shift,
				 clocks[i].other_year ? ", by the year of the other rules" : "");
			return 0;
		}
		if (again != -EUCLEAN)
			return err_note(err, again, "another try");
	}
	/* What is told, and the rows that are left, are of the block's own clock. */
	state_block_abort(st);
	int again = state_block_begin(st, b->height);

	if (again == 0)
		again = attempt(r, st, block, object_first, hyper, &clocks[0], &roots, out,
				&ignored);
	return again == -EUCLEAN ? rc : err_note(err, again, "another try");
}

int sc_replay_propose(struct replay *r, struct state *st, const struct chain_block *b,
		      uint64_t object_first, struct sc_proposal *out, struct err *err)
{
	struct roots roots = { .wanted = true };
	int rc = attempt(r, st, sc_block_of(b), object_first, false, &clocks[0], &roots,
			 &out->result, err);

	if (rc < 0)
		return rc;
	out->root = SLICE(out->result.legacy.root, out->result.legacy.root_size);
	out->account_roots = roots.list;
	out->outcomes = out->result.outcomes;
	out->events = r->emissions.list;
	out->event_count = r->emissions.count;
	return 0;
}
