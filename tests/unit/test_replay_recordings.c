/* Recorded networks, replayed from blocks alone: every root of every height. */
#include <cjson/cJSON.h>

#include "core/chain/snapchain/keyspace.h"
#include "core/chain/trie.h"
#include "tests/unit/replay_run.h"

/* Every recorded shard from first_shard on. */
#define FOR_EACH_RUN(r, first_shard)                                                           \
	for (size_t i_ = 0; i_ < 3 * ARRAY_LEN(recordings); i_++)                              \
		for (struct run r = { .folder = NULL };                                        \
		     !r.folder && (int)(i_ % 3) >= (int)(first_shard) &&                       \
		     (run_open(&r, i_ / 3, (uint32_t)(i_ % 3)), true);                         \
		     run_release(&r))

/* ---- roots ---- */

static void every_root_comes_out(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 0) {
		uint64_t heights = 0;

		while (run_next(&r, true))
			heights++;
		assert_true(heights > 250);
	}
}

static void a_fresh_replay_goes_on_where_another_stopped(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 0) {
		for (uint64_t n = 0; run_next(&r, true); n++)
			if (n % 23 == 0)
				run_anew(&r);
	}
}

static bool result_eq(const struct chain_result *a, const struct chain_result *b)
{
	return !memcmp(a->legacy.root, b->legacy.root, HASH20_SIZE) &&
	       a->legacy.records == b->legacy.records &&
	       !memcmp(a->hyper.root, b->hyper.root, HASH20_SIZE) &&
	       a->hyper.records == b->hyper.records && a->retained == b->retained &&
	       a->change_count == b->change_count;
}

static void an_aborted_block_leaves_nothing_behind(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 0) {
		while (run_read(&r)) {
			struct chain_result first;

			run_replay(&r, true);
			first = r.result;
			state_block_abort(r.state);
			sc_replay_abort(r.replay);
			run_replay(&r, true);
			assert_true(result_eq(&first, &r.result));
			run_keep(&r);
		}
	}
}

/* ---- hyper, against an independent program ---- */

struct expected_hyper {
	cJSON *whole, *change; /* of one shard: the next change */
	size_t retained;
	uint64_t legacy, hyper;
	char     root[2 * HASH20_SIZE + 1];
};

static void expected_open(struct expected_hyper *e, const char *folder, uint32_t shard)
{
	char    path[256], name[8];
	size_t  size;
	cJSON  *of_shard;

	snprintf(path, sizeof path, "%s/expected/hyper-by-checker.json", folder);
	snprintf(name, sizeof name, "%u", shard);
	uint8_t *text = file_read(path, &size);

	*e = (struct expected_hyper){ .whole = cJSON_ParseWithLength((char *)text, size) };
	free(text);
	of_shard = cJSON_GetObjectItem(e->whole, name);
	assert_non_null(of_shard);
	e->change = cJSON_GetObjectItem(of_shard, "changes")->child;
	e->retained = (size_t)cJSON_GetArraySize(cJSON_GetObjectItem(of_shard, "retained"));
}

static void expected_at(struct expected_hyper *e, uint64_t height)
{
	while (e->change && cJSON_GetArrayItem(e->change, 0)->valuedouble <= (double)height) {
		e->legacy = (uint64_t)cJSON_GetArrayItem(e->change, 1)->valuedouble;
		e->hyper = (uint64_t)cJSON_GetArrayItem(e->change, 2)->valuedouble;
		snprintf(e->root, sizeof e->root, "%s",
			 cJSON_GetArrayItem(e->change, 3)->valuestring);
		e->change = e->change->next;
	}
}

static void hyper_is_what_another_program_says(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 1) {
		struct expected_hyper e;

		expected_open(&e, r.folder, r.shard);
		while (run_next(&r, true)) {
			char root[2 * HASH20_SIZE + 1];

			expected_at(&e, r.block->base.height);
			hex_put(root, r.result.hyper.root, r.result.hyper.root_size);
			assert_string_equal(root, e.root);
			assert_int_equal(r.result.legacy.records, e.legacy);
			assert_int_equal(r.result.hyper.records, e.hyper);
		}
		assert_int_equal(r.result.retained, e.retained);
		cJSON_Delete(e.whole);
	}
}

static void hyper_turned_on_later_starts_equal(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 1) {
		uint64_t n = 0;

		while (run_next(&r, n++ > 100)) {
			if (n <= 101) {
				assert_int_equal(r.result.retained, 0);
				assert_memory_equal(r.result.legacy.root, r.result.hyper.root,
						    HASH20_SIZE);
			}
			assert_true(r.result.hyper.records >=
				    r.result.legacy.records + r.result.retained);
		}
		assert_true(r.result.retained > 0);
	}
}

/* What ingest does for a new hyper base: rows of the old one go within the first block. */
static void a_new_hyper_base_forgets_what_was_retained(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 1) {
		for (uint64_t n = 0; run_read(&r); n++) {
			AUTO(state_scan_freep) struct state_scan *scan = NULL;
			struct slice key, value;
			struct err   err = ERR_INIT;

			assert_int_equal(state_block_begin(r.state, r.block->base.height), 0);
			if (n == 150) {
				assert_true(r.result.retained > 0);
				assert_int_equal(state_scan_new(r.state, SPACE_HYPER, SLICE_EMPTY,
								SLICE_EMPTY, false, &scan),
						 0);
				while (state_scan_next(scan, &key, &value) == 1)
					assert_int_equal(state_delete(r.state, SPACE_HYPER, key,
								      REASON_EXPIRED),
							 0);
			}
			assert_int_equal(sc_replay_block(r.replay, r.state, &r.block->base,
							 r.next_object, true, &r.result, &err),
					 0);
			if (n == 150)
				assert_int_equal(r.result.hyper.records,
						 r.result.legacy.records + r.result.retained);
			run_keep(&r);
		}
	}
}

/* ---- the change list, against the node's own events ---- */

enum { EVENT_MERGE = 1, EVENT_PRUNE = 2, EVENT_REVOKE = 3, EVENT_NAME = 6 };

struct told { /* by an event: a record that came or went */
	bool    gone;
	uint8_t hash[HASH20_SIZE];
};

struct telling {
	struct told list[4096];
	size_t      count;
};

static void tell(struct telling *t, bool gone, struct slice hash)
{
	assert_int_equal(hash.n, HASH20_SIZE);
	assert_true(t->count < ARRAY_LEN(t->list));
	t->list[t->count].gone = gone;
	memcpy(t->list[t->count++].hash, hash.p, HASH20_SIZE);
}

static struct slice field(struct slice message, uint32_t number)
{
	struct wire       w = wire_of(message);
	struct wire_field f;
	struct slice      last = SLICE_EMPTY;

	while (wire_next(&w, &f))
		if (f.number == number)
			last = f.bytes;
	return last;
}

static uint64_t number_field(struct slice message, uint32_t number)
{
	struct wire       w = wire_of(message);
	struct wire_field f;
	uint64_t          last = 0;

	while (wire_next(&w, &f))
		if (f.number == number)
			last = f.value;
	return last;
}

static bool is_key_message(struct slice message)
{
	struct slice data = field(message, 7);
	uint64_t     type = number_field(data.n ? data : field(message, 1), 1);

	return type == SC_KEY_ADD || type == SC_KEY_REMOVE;
}

/* Messages that an event says came, then those that it says went. */
static void read_event(struct slice event, struct telling *t)
{
	static const struct { uint8_t type, body, came, went; } kinds[] = {
		{ EVENT_MERGE, 3, 1, 2 }, { EVENT_PRUNE, 4, 0, 1 }, { EVENT_REVOKE, 5, 0, 1 },
		{ EVENT_NAME, 8, 3, 4 },
	};
	uint64_t type = number_field(event, 1);

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct wire       w = wire_of(field(event, kinds[i].body));
		struct wire_field f;

		if (kinds[i].type != type || is_key_message(field(w.rest, 1)))
			continue;
		while (wire_next(&w, &f))
			if (f.number == kinds[i].came || f.number == kinds[i].went)
				tell(t, f.number == kinds[i].went, field(f.bytes, 2));
	}
}

/* The node leaves out what a compact state swept, and tells again of records that are gone already.
 * So each change is looked for in order, and what is stepped
 * over must be a record that went before. */
static void compare_events(const struct run *r, const struct telling *t)
{
	size_t at = 0;

	for (size_t i = 0; i < r->result.change_count; i++) {
		const struct chain_change *c = &r->result.changes[i];
		uint8_t set = (uint8_t)(c->key.p[SC_RECORD_HEAD - 1] - 1);
		bool unstored = set == SC_SET_KEYS || set == SC_SET_BORROWS ||
				set == SC_SET_ONCHAIN || set == SC_SET_FNAMES;
		const uint8_t *hash = c->key.p + c->key.n - HASH20_SIZE;

		if (c->space != SPACE_BOTH || unstored || c->reason == REASON_COMPACTED ||
		    (set == SC_SET_LINK_COMPACTS && c->deleted))
			continue;
		while (at < t->count && t->list[at].gone &&
		       (!c->deleted || memcmp(t->list[at].hash, hash, HASH20_SIZE) != 0))
			at++; /* told once more */
		if (at == t->count || t->list[at].gone != c->deleted ||
		    memcmp(t->list[at].hash, hash, HASH20_SIZE) != 0)
			fail_msg("%s shard %u height %" PRIu64 ": change %zu is in no event",
				 r->folder, r->shard, r->block->base.height, i);
		at++;
	}
	for (; at < t->count; at++)
		assert_true(t->list[at].gone);
}

static void changes_are_those_of_the_nodes_events(void **state)
{
	struct telling *t = calloc(1, sizeof *t);

	(void)state;
	assert_non_null(t);
	FOR_EACH_RUN(r, 1) {
		char name[32];

		snprintf(name, sizeof name, "events-%u", r.shard);
		AUTO(buf_release) struct buf events = recording_read(r.folder, name);
		struct rd    rest = rd_of(buf_slice(&events));
		struct slice event = rd_blob(&rest);

		while (run_next(&r, false)) {
			t->count = 0;
			while (event.n && number_field(event, 12) == r.block->base.height) {
				read_event(event, t);
				event = rd_left(&rest) ? rd_blob(&rest) : SLICE_EMPTY;
			}
			compare_events(&r, t);
		}
	}
	free(t);
}

/* ---- rows, against the roots ---- */

struct census {
	struct trie *upper;
	uint32_t     accounts[256];
};

/* An account from its rows alone: counts, sizes, names that find their rows, and the root. */
static void check_account(struct run *r, unsigned spaces, struct slice row_key, struct slice row,
			  struct census *c)
{
	struct chain_account a;
	uint64_t             account;
	uint8_t              prefix[TRIE_PREFIX_SIZE], root[HASH20_SIZE];
	struct account_trie *trie;

	assert_int_equal(sc_account_of_key(row_key, &account), 0);
	assert_int_equal(sc_account_read(row, &a), 0);
	sc_prefix(account, prefix);
	trie = account_trie_new(prefix);
	for (size_t i = 0; i < sc_set_count; i++) {
		AUTO(buf_release) struct buf set = BUF_INIT(256);
		AUTO(state_scan_freep) struct state_scan *scan = NULL;
		struct slice key, value;
		char         last[RECORD_NAME_SIZE] = "";
		uint64_t     records = 0, line_bytes = 0;

		sc_set_prefix(account, sc_sets[i].id, &set);
		assert_int_equal(state_scan_new(r->state, spaces, buf_slice(&set), SLICE_EMPTY,
						false, &scan),
				 0);
		while (state_scan_next(scan, &key, &value) == 1) {
			AUTO(buf_release) struct buf again = BUF_INIT(256);
			AUTO(buf_release) struct buf full = BUF_INIT(1024);
			struct chain_record rec;

			assert_int_equal(sc_record_read(key, value, &rec), 0);
			assert_true(strcmp(last, rec.name) < 0);
			strcpy(last, rec.name);
			assert_true(rec.line_size > 0 && rec.object > 0 &&
				    rec.object < r->next_object);
			assert_int_equal(sc_record_key(account, sc_sets[i].id, rec.name, &again),
					 0);
			assert_true(slice_eq(buf_slice(&again), key));
			assert_int_equal(sc_trie_key(key, value, &full), 0);
			assert_memory_equal(full.p, prefix, sizeof prefix);
			assert_true(account_trie_insert(trie, SLICE(full.p + 5, full.n - 5)) >= 0);
			records++;
			line_bytes += rec.line_size;
		}
		assert_int_equal(a.sets[i].records, records);
		assert_int_equal(a.sets[i].line_bytes, line_bytes);
	}
	assert_true(account_trie_root(trie, root));
	assert_memory_equal(a.root, root, HASH20_SIZE);
	assert_int_equal(a.records, account_trie_count(trie));
	assert_int_equal(trie_set(c->upper, prefix, root, a.records), 0);
	c->accounts[sc_vshard_of(account)]++;
	account_trie_freep(&trie);
}

static void check_context(struct run *r, unsigned spaces, const struct chain_root *expected)
{
	struct census c = { .upper = trie_new() };
	uint8_t       root[HASH20_SIZE];

	for (unsigned v = 0; v < 256; v++) {
		AUTO(buf_release) struct buf prefix = BUF_INIT(64);
		AUTO(state_scan_freep) struct state_scan *scan = NULL;
		struct slice key, value;
		uint32_t     counted = 0;

		sc_account_prefix(v, &prefix);
		assert_int_equal(state_scan_new(r->state, spaces, buf_slice(&prefix), SLICE_EMPTY,
						false, &scan),
				 0);
		while (state_scan_next(scan, &key, &value) == 1)
			check_account(r, spaces, key, value, &c);
		buf_clear(&prefix);
		sc_vshard_key(v, &prefix);
		if ((spaces & SPACE_HYPER &&
		     state_get_committed(r->state, SPACE_HYPER, buf_slice(&prefix), &value) == 1) ||
		    state_get_committed(r->state, SPACE_BOTH, buf_slice(&prefix), &value) == 1)
			counted = get_be32(value.p);
		assert_int_equal(c.accounts[v], counted);
	}
	assert_true(trie_root(c.upper, root));
	assert_memory_equal(root, expected->root, HASH20_SIZE);
	assert_int_equal(trie_count(c.upper, SLICE_EMPTY), expected->records);
	trie_freep(&c.upper);
}

static void rows_alone_give_counts_and_roots_of_both_contexts(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 0) {
		while (run_next(&r, true))
			;
		check_context(&r, SPACES_LEGACY, &r.result.legacy);
		check_context(&r, SPACES_HYPER, &r.result.hyper);
	}
}

static void names_are_listed_by_their_owners(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 1) {
		AUTO(buf_release) struct buf prefix = BUF_INIT(64);
		AUTO(state_scan_freep) struct state_scan *scan = NULL;
		struct slice key, value;
		size_t       names = 0;

		while (run_next(&r, false))
			;
		sc_names_prefix(&prefix);
		assert_int_equal(state_scan_new(r.state, SPACE_BOTH, buf_slice(&prefix),
						SLICE_EMPTY, false, &scan),
				 0);
		while (state_scan_next(scan, &key, &value) == 1) {
			AUTO(buf_release) struct buf text = BUF_INIT(1024), again = BUF_INIT(256);
			char     name[RECORD_NAME_SIZE];
			uint64_t time;

			assert_int_equal(sc_name_read(key, value, name, &text, &time), 0);
			assert_int_equal(sc_name_key(name, &again), 0);
			assert_true(slice_eq(buf_slice(&again), key));
			assert_true(slice_starts(buf_slice(&text), slice_str("name ")));
			assert_int_equal(text.p[text.n - 1], '\n');
			assert_true(time > SC_EPOCH);
			names++;
		}
		assert_true(names > 0);
	}
}

/* ---- limits, against what the node told ---- */

static void limits_are_those_that_the_node_told(void **state)
{
	static const struct { const char *theirs; const char *ours; } stores[] = {
		{ "CASTS", "casts" }, { "LINKS", "links" }, { "REACTIONS", "reactions" },
		{ "USER_DATA", "user-data" }, { "USERNAME_PROOFS", "username-proofs" },
		{ "VERIFICATIONS", "verifications" }, { "STORAGE_LENDS", "lends" },
	};

	(void)state;
	FOR_EACH_RUN(r, 1) {
		char   path[256], line[64];
		size_t size, checked = 0;
		cJSON *fids, *fid;

		while (run_next(&r, false))
			;
		snprintf(path, sizeof path, "%s/expected/fids.json", r.folder);
		uint8_t *text = file_read(path, &size);

		fids = cJSON_ParseWithLength((char *)text, size);
		free(text);
		cJSON_ArrayForEach(fid, fids) {
			AUTO(buf_release) struct buf limits = BUF_INIT(1024);
			uint64_t account = strtoull(fid->string, NULL, 10);
			cJSON   *told = cJSON_GetObjectItem(fid, "limits");

			if (sc_shard_of(r.params, account) != r.shard || !told)
				continue;
			assert_int_equal(sc_render_limits(r.params, r.state, account,
							  r.block->base.time, &limits),
					 0);
			buf_u8(&limits, 0);
			for (size_t i = 0; i < ARRAY_LEN(stores); i++) {
				cJSON *both = cJSON_GetObjectItem(told, stores[i].theirs);

				if (!both)
					continue;
				snprintf(line, sizeof line, "%s %.0f\n", stores[i].ours,
					 cJSON_GetArrayItem(both, 0)->valuedouble);
				if (!strstr((const char *)limits.p, line))
					fail_msg("%s fid %s: no \"%s\" in:\n%s", r.folder,
						 fid->string, line, limits.p);
				checked++;
			}
		}
		assert_true(checked > 50);
		cJSON_Delete(fids);
	}
}

/* ---- refusals ---- */

static void a_wrong_account_root_is_named_and_leaves_nothing(void **state)
{
	static const uint8_t wrong[HASH20_SIZE] = { 0xbb };

	(void)state;
	FOR_EACH_RUN(r, 0) {
		bool tried = false;

		while (run_read(&r)) {
			if (r.block->transaction_count && r.block->base.height > 40 && !tried) {
				struct sc_transaction *tx =
					&r.block->transactions[r.block->transaction_count - 1];
				struct slice right = tx->account_root;
				struct err   err = ERR_INIT;
				char         fid[32];

				tx->account_root = SLICE_ARRAY(wrong);
				snprintf(fid, sizeof fid, "fid %" PRIu64, tx->fid);
				assert_int_equal(state_block_begin(r.state, r.block->base.height),
						 0);
				assert_int_equal(sc_replay_block(r.replay, r.state, &r.block->base,
								 r.next_object, true, &r.result,
								 &err),
						 -EUCLEAN);
				assert_int_equal(r.result.accounts.verdict, VERDICT_FAILED);
				assert_non_null(strstr(r.result.accounts.reason, fid));
				assert_int_equal(r.result.state.verdict, VERDICT_OK);
				state_block_abort(r.state);
				sc_replay_abort(r.replay);
				tx->account_root = right;
				tried = true;
			}
			run_replay(&r, true);
			run_keep(&r);
		}
		assert_true(tried);
	}
}

/* The block with one more transaction, of a fid and a root and nothing else. */
static int replay_with(struct run *r, uint64_t fid, struct slice root)
{
	struct sc_transaction *was = r->block->transactions;
	size_t count = r->block->transaction_count;
	struct sc_transaction *list = calloc(count + 1, sizeof *list);
	struct err err = ERR_INIT;

	assert_non_null(list);
	memcpy(list, was, count * sizeof *list);
	list[count] = (struct sc_transaction){ .fid = fid, .account_root = root };
	r->block->transactions = list;
	r->block->transaction_count++;
	assert_int_equal(state_block_begin(r->state, r->block->base.height), 0);
	int rc = sc_replay_block(r->replay, r->state, &r->block->base, r->next_object, true,
				 &r->result, &err);

	state_block_abort(r->state);
	sc_replay_abort(r->replay);
	r->block->transactions = was;
	r->block->transaction_count = count;
	free(list);
	return rc;
}

static void a_root_of_a_transaction_without_messages_is_held_against_the_account(void **state)
{
	static const uint8_t wrong[HASH20_SIZE] = { 0xbb };

	(void)state;
	FOR_EACH_RUN(r, 1) {
		size_t tried = 0;

		while (run_read(&r)) {
			size_t count = r.block->transaction_count;
			const struct sc_transaction *last =
				count ? &r.block->transactions[count - 1] : NULL;

			if (last && last->account_root.n && tried < 20) {
				uint64_t fid = last->fid;

				assert_int_equal(replay_with(&r, fid, last->account_root), 0);
				assert_int_equal(replay_with(&r, fid, SLICE_EMPTY), -EUCLEAN);
				assert_int_equal(replay_with(&r, fid, SLICE_ARRAY(wrong)),
						 -EUCLEAN);
				assert_int_equal(r.result.accounts.verdict, VERDICT_FAILED);
				assert_int_equal(r.result.state.verdict, VERDICT_OK);
				tried++;
			}
			run_replay(&r, true);
			run_keep(&r);
		}
		assert_true(tried > 0);
	}
}

static void shard_0_may_not_tell_of_what_it_did_not_do(void **state)
{
	struct run r;
	bool       tried = false;

	(void)state;
	run_open(&r, 0, 0);
	while (run_read(&r)) {
		struct err err = ERR_INIT;

		if (r.block->event_count && !tried) {
			r.block->event_count--;
			assert_int_equal(state_block_begin(r.state, r.block->base.height), 0);
			assert_int_equal(sc_replay_block(r.replay, r.state, &r.block->base,
							 r.next_object, true, &r.result, &err),
					 -EUCLEAN);
			assert_int_equal(r.result.state.verdict, VERDICT_FAILED);
			state_block_abort(r.state);
			sc_replay_abort(r.replay);
			r.block->event_count++;
			tried = true;
		}
		run_replay(&r, false);
		run_keep(&r);
	}
	assert_true(tried);
	run_release(&r);
}

static void rules_of_an_older_version_are_refused(void **state)
{
	struct run r;
	struct err err = ERR_INIT;

	(void)state;
	run_open(&r, 0, 1);
	assert_true(run_read(&r));
	uint64_t time = r.block->base.time;

	r.params->network = SC_MAINNET;
	r.block->base.time = 1757523600; /* version 9 */
	assert_int_equal(state_block_begin(r.state, 1), 0);
	assert_int_equal(
		sc_replay_block(r.replay, r.state, &r.block->base, 1, true, &r.result, &err),
		-EOPNOTSUPP);
	assert_non_null(strstr(err.text, "older"));
	r.params->network = SC_DEVNET;
	r.block->base.time = time;
	run_release(&r);
}

/* ---- proposing ---- */

static void a_proposal_says_what_the_block_says(void **state)
{
	(void)state;
	FOR_EACH_RUN(r, 0) {
		while (run_read(&r)) {
			struct sc_proposal p;
			struct err         err = ERR_INIT;

			assert_int_equal(state_block_begin(r.state, r.block->base.height), 0);
			assert_int_equal(sc_replay_propose(r.replay, r.state, &r.block->base,
							   r.next_object, &p, &err),
					 0);
			assert_true(slice_eq(p.root,
					     SLICE(r.block->base.root, r.block->base.root_size)));
			for (size_t i = 0; i < r.block->transaction_count; i++)
				assert_true(slice_eq(p.account_roots[i],
						     r.block->transactions[i].account_root));
			assert_int_equal(p.event_count, r.block->event_count);
			run_keep(&r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_root_comes_out),
		cmocka_unit_test(a_fresh_replay_goes_on_where_another_stopped),
		cmocka_unit_test(an_aborted_block_leaves_nothing_behind),
		cmocka_unit_test(hyper_is_what_another_program_says),
		cmocka_unit_test(hyper_turned_on_later_starts_equal),
		cmocka_unit_test(a_new_hyper_base_forgets_what_was_retained),
		cmocka_unit_test(changes_are_those_of_the_nodes_events),
		cmocka_unit_test(rows_alone_give_counts_and_roots_of_both_contexts),
		cmocka_unit_test(names_are_listed_by_their_owners),
		cmocka_unit_test(limits_are_those_that_the_node_told),
		cmocka_unit_test(a_wrong_account_root_is_named_and_leaves_nothing),
		cmocka_unit_test(
			a_root_of_a_transaction_without_messages_is_held_against_the_account),
		cmocka_unit_test(shard_0_may_not_tell_of_what_it_did_not_do),
		cmocka_unit_test(rules_of_an_older_version_are_refused),
		cmocka_unit_test(a_proposal_says_what_the_block_says),
	};

	if (sign_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, recorded_release);
}
