/* The rules that are easily got wrong, one at a time, on a chain made here. */
#include "core/chain/snapchain/user_data.h"
#include "tests/unit/replay_lab.h"

#define WITH_LAB(l, shard)                                                             \
	for (struct lab l = { .next_object = 0 }; !l.next_object && (lab_open(&l, shard), true); \
	     lab_release(&l))

/* A lab with fid 7 registered: `units` of storage, LAB_LIMIT records a unit. */
#define WITH_FID(l, units) \
	WITH_LAB(l, 1)     \
	for (bool once_ = (lab_register(&l, 7, units), lab_run(&l), true); once_; once_ = false)

static void who_may_not_speak_is_refused(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent unknown = lab_cast(&l, 8, 0, "who am I"),
			    good = lab_cast(&l, 7, 0, "I am");

		lab_run(&l);
		assert_true(lab_refused(&l, unknown.item, "not registered"));
		assert_true(lab_merged(&l, good.item));
		lab_signer(&l, 7, 2); /* removed */
		good = lab_cast(&l, 7, 1, "I was");
		lab_run(&l);
		assert_true(lab_refused(&l, good.item, "not a signer"));
	}
}

static void a_signer_of_the_same_block_counts(void **state)
{
	(void)state;
	WITH_LAB(l, 1) {
		lab_register(&l, 7, 1);
		struct sent m = lab_cast(&l, 7, 0, "at once");

		lab_run(&l);
		assert_true(lab_merged(&l, m.item));
		/* But its storage does not: nothing was rented
		 * before this block, so nothing is pruned yet. */
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_CASTS, m.hash));
	}
}

static void a_cast_remove_beats_its_add_at_any_timestamp(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent add = lab_cast(&l, 7, 100, "gone"), remove, again;

		lab_run(&l);
		remove = lab_uncast(&l, 7, 50, add.hash);
		lab_run(&l);
		assert_true(lab_merged(&l, remove.item));
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, add.hash), 0);
		again = lab_cast(&l, 7, 100, "gone");
		lab_run(&l);
		assert_true(lab_refused(&l, again.item, "remove"));
	}
}

static void of_two_links_the_newer_wins_and_a_remove_at_the_same_time(void **state)
{
	(void)state;
	WITH_FID(l, 2) {
		struct sent old = lab_link(&l, SC_LINK_ADD, 7, 10, "follow", 9), newer, late,
			    remove;

		newer = lab_link(&l, SC_LINK_ADD, 7, 20, "follow", 9);
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_LINKS, old.hash), 0);
		late = lab_link(&l, SC_LINK_ADD, 7, 15, "follow", 9);
		remove = lab_link(&l, SC_LINK_REMOVE, 7, 20, "follow", 9);
		lab_run(&l);
		assert_true(lab_refused(&l, late.item, "newer"));
		assert_true(lab_merged(&l, remove.item));
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_LINKS, newer.hash), 0);
		newer = lab_link(&l, SC_LINK_ADD, 7, 20, "follow", 9);
		lab_run(&l);
		assert_false(lab_merged(&l, newer.item));
	}
}

/* ---- pruning and what hyper keeps ---- */

static void pruning_takes_the_oldest_and_hyper_keeps_them(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent c[LAB_LIMIT + 2];
		char        text[2] = "a";

		for (uint32_t i = 0; i < ARRAY_LEN(c); i++, text[0]++) {
			c[i] = lab_cast(&l, 7, 100 + i, text);
			lab_run(&l);
		}
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, NULL), LAB_LIMIT);
		assert_int_equal(lab_count(&l, SPACE_HYPER, 7, SC_SET_CASTS, NULL), 2);
		assert_true(lab_holds(&l, SPACE_HYPER, 7, SC_SET_CASTS, c[0].hash));
		assert_int_equal(l.result.retained, 2);
		assert_memory_not_equal(l.result.legacy.root, l.result.hyper.root, HASH20_SIZE);
	}
}

static void rows_of_the_block_itself_are_never_pruned(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		char text[2] = "a";

		for (uint32_t i = 0; i < LAB_LIMIT + 3; i++, text[0]++)
			lab_cast(&l, 7, 100 + i, text);
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, NULL), LAB_LIMIT + 3);
		lab_cast(&l, 7, 200, "one more");
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, NULL), LAB_LIMIT);
	}
}

/* Fills the casts and lets `first` be pruned. */
static struct sent prune_first(struct lab *l)
{
	struct sent first = lab_cast(l, 7, 10, "first");
	char        text[2] = "a";

	lab_run(l);
	for (uint32_t i = 0; i < LAB_LIMIT; i++, text[0]++)
		lab_cast(l, 7, 100 + i, text);
	lab_run(l);
	assert_true(lab_holds(l, SPACE_HYPER, 7, SC_SET_CASTS, first.hash));
	return first;
}

static void a_pruned_record_merged_again_is_held_by_both(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent first = prune_first(&l);
		uint64_t    keys = l.result.hyper.records;

		lab_cast(&l, 7, 10, "first");
		lab_rent(&l, 7, 5);
		lab_run(&l);
		/* It came, and went again: there was no room before this block. */
		assert_true(lab_holds(&l, SPACES_HYPER, 7, SC_SET_CASTS, first.hash));
		lab_cast(&l, 7, 10, "first");
		lab_run(&l);
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_CASTS, first.hash));
		assert_int_equal(lab_count(&l, SPACE_HYPER, 7, SC_SET_CASTS, first.hash), 0);
		assert_int_equal(l.result.hyper.records, keys + 1); /* the rent */
	}
}

static void a_remove_takes_its_pruned_add_out_of_hyper(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent first = prune_first(&l);
		bool        dropped = false;

		lab_uncast(&l, 7, 5, first.hash); /* older than the add: casts do not care */
		lab_propose(&l);
		lab_replay(&l, 0);
		for (size_t i = 0; i < l.result.change_count; i++) {
			const struct chain_change *c = &l.result.changes[i];

			dropped |= c->space == SPACE_HYPER && c->deleted &&
				   c->reason == REASON_REMOVED;
		}
		lab_keep(&l);
		assert_true(dropped);
		assert_int_equal(lab_count(&l, SPACES_HYPER, 7, SC_SET_CASTS, first.hash), 0);
	}
}

static void a_record_that_lost_its_selector_no_longer_contests(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent old, newer, newest;
		uint64_t    target = 100;

		old = lab_link(&l, SC_LINK_ADD, 7, 1, "follow", 9);
		while (target < 100 + LAB_LIMIT - 1)
			lab_link(&l, SC_LINK_ADD, 7, 50, "follow", target++);
		lab_run(&l);
		/* The old row is replaced, and then pruned once more:
		 * the selector of the new one goes. */
		newer = lab_link(&l, SC_LINK_ADD, 7, 20, "follow", 9);
		lab_link(&l, SC_LINK_ADD, 7, 60, "follow", 200);
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACES_HYPER, 7, SC_SET_LINKS, old.hash), 0);
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, newer.hash));
		lab_rent(&l, 7, 5);
		lab_run(&l);
		newest = lab_link(&l, SC_LINK_ADD, 7, 30, "follow", 9);
		lab_run(&l);
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, newer.hash));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, newest.hash));
	}
}

/* ---- compact states ---- */

static void a_compact_state_sweeps_what_was_there_before_its_block(void **state)
{
	static const uint64_t kept[] = { 3, 1 };

	(void)state;
	WITH_FID(l, 4) {
		struct sent listed = lab_link(&l, SC_LINK_ADD, 7, 10, "follow", 1);
		struct sent unlisted = lab_link(&l, SC_LINK_ADD, 7, 10, "follow", 2);
		struct sent other_type = lab_link(&l, SC_LINK_ADD, 7, 10, "block", 2);
		struct sent newer = lab_link(&l, SC_LINK_ADD, 7, 90, "follow", 5), same_block, late;

		lab_run(&l);
		same_block = lab_link(&l, SC_LINK_ADD, 7, 20, "follow", 6);
		lab_compact(&l, 7, 50, "follow", kept, ARRAY_LEN(kept));
		lab_run(&l);
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, listed.hash));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, other_type.hash));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, newer.hash));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LINKS, same_block.hash));
		assert_int_equal(lab_count(&l, SPACES_HYPER, 7, SC_SET_LINKS, unlisted.hash), 0);
		late = lab_link(&l, SC_LINK_ADD, 7, 49, "follow", 8);
		listed = lab_link(&l, SC_LINK_ADD, 7, 49, "follow", 3);
		newer = lab_link(&l, SC_LINK_ADD, 7, 50, "follow", 8);
		lab_run(&l);
		assert_true(lab_refused(&l, late.item, "compact"));
		assert_true(lab_merged(&l, listed.item));
		assert_true(lab_merged(&l, newer.item));
	}
}

static void a_compact_state_sweeps_retained_links_too(void **state)
{
	static const uint64_t kept[] = { 900 };

	(void)state;
	WITH_FID(l, 1) {
		for (uint64_t target = 1; target <= LAB_LIMIT + 2; target++) {
			lab_link(&l, SC_LINK_ADD, 7, (uint32_t)target, "follow", target);
			lab_run(&l);
		}
		assert_int_equal(lab_count(&l, SPACE_HYPER, 7, SC_SET_LINKS, NULL), 2);
		lab_compact(&l, 7, 100, "follow", kept, ARRAY_LEN(kept));
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACES_HYPER, 7, SC_SET_LINKS, NULL), 0);
		assert_int_equal(l.result.retained, 0);
		assert_memory_equal(l.result.legacy.root, l.result.hyper.root, HASH20_SIZE);
	}
}

/* ---- names ---- */

static void a_renewed_name_leaves_the_account(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		uint32_t item = lab_name(&l, 0, 7, "alice", 1);

		lab_run(&l);
		assert_true(lab_merged(&l, item));
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_FNAMES, NULL), 1);
		item = lab_name(&l, 7, 7, "alice", 2);
		lab_run(&l);
		assert_true(lab_merged(&l, item));
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_FNAMES, NULL), 0);
		item = lab_name(&l, 7, 7, "alice", 1);
		lab_run(&l);
		assert_true(lab_refused(&l, item, "newer"));
	}
}

static void a_transfer_revokes_the_username_even_when_it_is_refused(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		struct sent taken, not_its;
		uint32_t    item;

		lab_name(&l, 0, 7, "alice", 1);
		lab_name(&l, 0, 8, "bob", 1);
		lab_run(&l);
		taken = lab_user_data(&l, 7, 10, SC_USER_NAME, "alice");
		not_its = lab_user_data(&l, 7, 11, SC_USER_NAME, "bob");
		lab_run(&l);
		assert_true(lab_merged(&l, taken.item));
		assert_true(lab_refused(&l, not_its.item, "not its fid's"));
		item = lab_name(&l, 7, 9, "bob", 1); /* a duplicate, about another name */
		lab_run(&l);
		assert_false(lab_merged(&l, item));
		assert_int_equal(lab_count(&l, SPACES_HYPER, 7, SC_SET_USER_DATA, NULL), 0);
	}
}

/* The name is all that fid 9 has here; once it is gone the account's
 * root is still told as it was. */
static void an_emptied_account_is_told_by_its_root_of_before(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		uint8_t before[HASH20_SIZE];

		lab_name(&l, 0, 9, "carol", 1);
		lab_run(&l);
		assert_int_equal(l.account_roots[0].n, HASH20_SIZE);
		memcpy(before, l.account_roots[0].p, HASH20_SIZE);
		lab_name(&l, 9, 0, "carol", 2);
		lab_run(&l);
		assert_int_equal(l.transactions[0].fid, 9);
		assert_memory_equal(l.account_roots[0].p, before, HASH20_SIZE);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 9, SC_SET_FNAMES, NULL), 0);
		lab_name(&l, 9, 0, "carol",
			 1); /* refused: nothing happens, and it is empty for good */
		lab_run(&l);
		assert_int_equal(l.account_roots[0].n, 0);
	}
}

/* ---- lends ---- */

static Sc__MessageData lend(Sc__LendStorageBody *b, uint64_t from, uint64_t to, uint64_t units,
			    uint32_t s)
{
	Sc__MessageData d = lab_data(SC_LEND, from, s);

	*b = (Sc__LendStorageBody)SC__LEND_STORAGE_BODY__INIT;
	b->to_fid = to;
	b->num_units = units;
	b->unit_type = 2;
	d.body_case = SC__MESSAGE_DATA__BODY_LEND;
	d.lend = b;
	return d;
}

static void a_lend_stands_twice_and_one_of_zero_units_takes_it_back(void **state)
{
	(void)state;
	WITH_FID(l, 5) {
		Sc__LendStorageBody b;
		Sc__MessageData     d = lend(&b, 7, 9, 2, 10);
		struct sent         first = lab_block_event(&l, 1, &d), second;

		lab_run(&l);
		assert_true(lab_merged(&l, first.item));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_LENDS, first.hash));
		assert_true(lab_holds(&l, SPACE_BOTH, 9, SC_SET_BORROWS, first.hash));
		d = lend(&b, 7, 9, 0, 20);
		second = lab_block_event(&l, 2, &d);
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_LENDS, NULL), 0);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 9, SC_SET_BORROWS, NULL), 0);
		/* Hyper keeps the tombstone, once as a record, until a newer lend of the two. */
		assert_true(lab_holds(&l, SPACE_HYPER, 7, SC_SET_LENDS, second.hash));
		assert_true(lab_holds(&l, SPACE_HYPER, 9, SC_SET_BORROWS, second.hash));
		assert_int_equal(l.result.retained, 1);
		assert_int_equal(l.result.hyper.records, l.result.legacy.records + 2);
		d = lend(&b, 7, 9, 1, 30);
		lab_block_event(&l, 3, &d);
		lab_run(&l);
		assert_int_equal(l.result.retained, 0);
		assert_int_equal(lab_count(&l, SPACE_HYPER, 9, SC_SET_BORROWS, NULL), 0);
	}
}

static void a_lend_to_oneself_is_counted_once(void **state)
{
	(void)state;
	WITH_FID(l, 5) {
		Sc__LendStorageBody b;
		Sc__MessageData     d = lend(&b, 7, 7, 2, 10);
		uint64_t            keys = l.result.legacy.records;

		lab_block_event(&l, 1, &d);
		lab_run(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_LENDS, NULL), 1);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_BORROWS, NULL), 1);
		assert_int_equal(l.result.legacy.records, keys + 1);
		d = lend(&b, 7, 7, 0, 20);
		lab_block_event(&l, 2, &d);
		lab_run(&l);
		assert_int_equal(l.result.legacy.records, keys);
		assert_int_equal(l.result.hyper.records, keys + 1);
		assert_int_equal(l.result.retained, 1);
	}
}

/* More lent than rented: the difference wraps, and nothing is pruned. */
static void storage_is_subtracted_modulo_32_bits(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		Sc__LendStorageBody b;
		Sc__MessageData     d = lend(&b, 7, 9, 2, 10);
		char                text[2] = "a";

		lab_block_event(&l, 1, &d);
		lab_run(&l);
		for (uint32_t i = 0; i < LAB_LIMIT + 2; i++, text[0]++) {
			lab_cast(&l, 7, 100 + i, text);
			lab_run(&l);
		}
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, NULL), LAB_LIMIT + 2);
	}
}

/* ---- block events ---- */

static void block_events_apply_in_sequence_only(void **state)
{
	(void)state;
	WITH_FID(l, 5) {
		Sc__LendStorageBody b;
		Sc__MessageData     d = lend(&b, 7, 9, 2, 10);
		struct sent         early = lab_block_event(&l, 2, &d);

		lab_run(&l);
		assert_true(lab_refused(&l, early.item, "out of sequence"));
		struct sent now = lab_block_event(&l, 1, &d), twice = lab_block_event(&l, 1, &d);

		lab_run(&l);
		assert_true(lab_merged(&l, now.item));
		assert_true(lab_refused(&l, twice.item, "out of sequence"));
		/* One that fails has had its turn. */
		struct sent failing = lab_block_event(&l, 2, &d);

		d = lend(&b, 7, 9, 1, 20);
		now = lab_block_event(&l, 3, &d);
		lab_run(&l);
		assert_true(lab_refused(&l, failing.item, "duplicate"));
		assert_true(lab_merged(&l, now.item));
	}
}

static void verifications_come_by_block_events_alone(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		static const uint8_t address[20] = { 0xab };
		Sc__MessageData             d = lab_data(SC_VERIFICATION_REMOVE, 7, 20);
		Sc__VerificationRemoveBody  b = SC__VERIFICATION_REMOVE_BODY__INIT;
		struct sent                 direct, told, older;

		b.address = bytes_of(address, sizeof address);
		d.body_case = SC__MESSAGE_DATA__BODY_VERIFICATION_REMOVE;
		d.verification_remove = &b;
		direct = lab_send(&l, &d);
		lab_run(&l);
		assert_true(lab_refused(&l, direct.item, "shard 0"));
		told = lab_block_event(&l, 1, &d);
		lab_run(&l);
		assert_true(lab_merged(&l, told.item));
		d.timestamp = lab_time(10);
		older = lab_block_event(&l, 2, &d); /* forced: the last to come holds the address */
		lab_run(&l);
		assert_true(lab_merged(&l, older.item));
		assert_true(lab_holds(&l, SPACE_BOTH, 7, SC_SET_VERIFICATIONS, older.hash));
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_VERIFICATIONS, NULL), 1);
	}
}

/* ---- odd onchain events ---- */

static void two_rents_of_one_transaction_and_log_count_twice(void **state)
{
	(void)state;
	WITH_LAB(l, 1) {
		uint8_t same[32] = { 9 };

		lab_register(&l, 7, 1);
		lab_rent(&l, 7, 1);
		for (size_t i = 0; i < l.system_count; i++)
			if (l.systems[i].onchain->type == SC_ONCHAIN_RENT)
				((Sc__OnChainEvent *)(uintptr_t)l.systems[i].onchain)
					->transaction_hash = bytes_of(same, sizeof same);
		lab_run(&l);
		assert_int_equal(l.result.outcome_count, 4);
		assert_int_equal(l.result.legacy.records, 3); /* one trie key for the two */
		AUTO(buf_release) struct buf limits = BUF_INIT(1024);

		assert_int_equal(sc_render_limits(&l.params, l.state, 7, LAB_START + 2000, &limits),
				 0);
		assert_memory_equal(limits.p, "casts 6\n", 8);
	}
}

static void an_onchain_event_comes_once(void **state)
{
	(void)state;
	WITH_LAB(l, 1) {
		Sc__OnChainEvent e = SC__ON_CHAIN_EVENT__INIT;
		uint32_t         first, second;

		e.type = SC_ONCHAIN_MIGRATED;
		e.fid = 7;
		first = lab_onchain(&l, e);
		l.events--;
		second = lab_onchain(&l, e);
		lab_run(&l);
		assert_true(lab_merged(&l, first));
		assert_true(lab_refused(&l, second, "duplicate"));
	}
}

static void what_no_row_holds_costs_its_block_and_not_the_store(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		size_t   size = 2u << 20;
		uint8_t *key = arena_zalloc(l.arena, 1, size);

		lab_signer(&l, 7, 1);
		((Sc__OnChainEvent *)(uintptr_t)l.systems[0].onchain)->signer->key =
			bytes_of(key, size);
		lab_replay(&l, -EUCLEAN);
		assert_int_equal(l.result.state.verdict, VERDICT_FAILED);
		assert_non_null(strstr(l.result.state.reason, "larger than a row"));
		state_block_abort(l.state);
		sc_replay_abort(l.replay);
		l.block.transaction_count = l.block.base.item_count = 0;
		l.user_count = l.system_count = 0;
		lab_cast(&l, 7, 0, "and on it goes");
		lab_run(&l);
		assert_true(lab_merged(&l, 0));
	}
}

/* ---- the clock that nobody signs ---- */

/* The block is made by a clock by which storage has run out, and told
 * by one by which it has not. */
static void a_root_may_come_out_by_a_clock_two_seconds_off(void **state)
{
	(void)state;
	WITH_FID(l, 1) {
		uint64_t expiry = LAB_START + 31536000u;

		lab_cast(&l, 7, 100, "one");
		lab_run(&l);
		l.block.base.time = expiry + 1;
		l.block.time_fc = (uint32_t)(expiry + 1 - SC_EPOCH);
		lab_cast(&l, 7, 200, "two");
		l.block.base.time = expiry - 1;
		lab_propose(&l);
		l.block.base.time = expiry + 1;
		lab_replay(&l, 0);
		assert_non_null(strstr(l.result.accounts.reason, "another clock: -2 s"));
		assert_int_equal(l.result.accounts.verdict, VERDICT_OK);
		lab_keep(&l);
		assert_int_equal(lab_count(&l, SPACE_BOTH, 7, SC_SET_CASTS, NULL), 2);

		/* By a whole minute it may not. */
		lab_cast(&l, 7, 300, "three");
		l.block.base.time = expiry - 1;
		lab_propose(&l);
		l.block.base.time = expiry + 60;
		lab_replay(&l, -EUCLEAN);
		assert_int_equal(l.result.accounts.verdict, VERDICT_FAILED);
		state_block_abort(l.state);
		sc_replay_abort(l.replay);
	}
}

/* ---- memory ---- */

static void without_memory_a_block_is_as_if_it_had_not_been(void **state)
{
	static const uint64_t kept[] = { 5 };

	(void)state;
	WITH_FID(l, 1) {
		char text[2] = "a";

		for (uint32_t i = 0; i < LAB_LIMIT + 1; i++, text[0]++)
			lab_cast(&l, 7, 100 + i, text);
		lab_run(&l);
		lab_cast(&l, 7, 300, "one more");
		lab_link(&l, SC_LINK_ADD, 7, 300, "follow", 9);
		lab_compact(&l, 7, 400, "follow", kept, 1);
		lab_name(&l, 0, 7, "alice", 1);
		lab_rent(&l, 7, 1);
		lab_propose(&l);
		FOR_EACH_ALLOC_FAULT {
			struct err err = ERR_INIT;
			int        rc = state_block_begin(l.state, l.block.base.height);

			if (rc == 0)
				rc = sc_replay_block(l.replay, l.state, &l.block.base,
						     l.next_object, true, &l.result, &err);
			assert_true(rc == 0 || rc == -ENOMEM);
			state_block_abort(l.state);
			sc_replay_abort(l.replay);
		}
		lab_replay(&l, 0);
		lab_keep(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_may_not_speak_is_refused),
		cmocka_unit_test(a_signer_of_the_same_block_counts),
		cmocka_unit_test(a_cast_remove_beats_its_add_at_any_timestamp),
		cmocka_unit_test(of_two_links_the_newer_wins_and_a_remove_at_the_same_time),
		cmocka_unit_test(pruning_takes_the_oldest_and_hyper_keeps_them),
		cmocka_unit_test(rows_of_the_block_itself_are_never_pruned),
		cmocka_unit_test(a_pruned_record_merged_again_is_held_by_both),
		cmocka_unit_test(a_remove_takes_its_pruned_add_out_of_hyper),
		cmocka_unit_test(a_record_that_lost_its_selector_no_longer_contests),
		cmocka_unit_test(a_compact_state_sweeps_what_was_there_before_its_block),
		cmocka_unit_test(a_compact_state_sweeps_retained_links_too),
		cmocka_unit_test(a_renewed_name_leaves_the_account),
		cmocka_unit_test(a_transfer_revokes_the_username_even_when_it_is_refused),
		cmocka_unit_test(an_emptied_account_is_told_by_its_root_of_before),
		cmocka_unit_test(a_lend_stands_twice_and_one_of_zero_units_takes_it_back),
		cmocka_unit_test(a_lend_to_oneself_is_counted_once),
		cmocka_unit_test(storage_is_subtracted_modulo_32_bits),
		cmocka_unit_test(block_events_apply_in_sequence_only),
		cmocka_unit_test(verifications_come_by_block_events_alone),
		cmocka_unit_test(two_rents_of_one_transaction_and_log_count_twice),
		cmocka_unit_test(an_onchain_event_comes_once),
		cmocka_unit_test(what_no_row_holds_costs_its_block_and_not_the_store),
		cmocka_unit_test(a_root_may_come_out_by_a_clock_two_seconds_off),
		cmocka_unit_test(without_memory_a_block_is_as_if_it_had_not_been),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
