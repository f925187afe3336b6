/* Our state against the trie that a node told of: which accounts differ. The other trie is made
 * here, from the keys of recorded pages. */
#include "core/base/sign.h"
#include "core/checkpoint/recorded.h"
#include "core/sync/compare.h"
#include "tests/unit/follow_lab.h"

#include <stdio.h>

#define RECORDED "tests/vectors/devnet-r"
#define HEIGHT   340u /* of the recorded pages */
#define SHARD    1u
#define SPLIT    12u /* nibbles: a lone key below is a leaf */

/* ---- the other trie ---- */

struct foreign {
	struct buf bytes; /* of keys: size, then bytes */
	struct slice *keys;
	size_t count;
	unsigned asked;
	bool moves_on; /* what lies below the root is another state's */
};

static int by_bytes(const void *a, const void *b)
{
	return slice_cmp(*(const struct slice *)a, *(const struct slice *)b);
}

static void foreign_open(struct foreign *f)
{
	AUTO(recorded_closep) struct recorded *r = NULL;
	const struct chain_ops *ops = chain_kind("snapchain");
	struct err err = ERR_INIT;

	*f = (struct foreign){ .bytes = BUF_INIT(64u << 20) };
	must(recorded_open(RECORDED "/replication", ops, &r, &err), &err);
	struct replica from = recorded_replica(r);

	for (uint32_t v = 0; v < 256; v++) {
		AUTO(buf_release) struct buf token = BUF_INIT(4096);
		do {
			AUTO(buf_release) struct buf message = BUF_INIT(BLOCK_SIZE_MAX);
			struct chain_page page;

			must(from.page(from.arg, SHARD, HEIGHT, v, buf_slice(&token), &message,
				       &err),
			     &err);
			must(ops->replica_page(buf_slice(&message), &page, &err), &err);
			for (size_t i = 0; i < page.item_count; i++) {
				buf_u8(&f->bytes, (uint8_t)page.items[i].key.n);
				buf_add(&f->bytes, page.items[i].key);
				f->count++;
			}
			buf_clear(&token);
			buf_add(&token, page.token);
			ops->replica_page_release(&page);
		} while (token.n);
	}
	must(buf_done(&f->bytes), NULL);
	f->keys = calloc(f->count, sizeof *f->keys);
	assert_non_null(f->keys);
	for (size_t i = 0, at = 0; i < f->count; at += 1 + f->bytes.p[at], i++)
		f->keys[i] = SLICE(f->bytes.p + at + 1, f->bytes.p[at]);
	qsort(f->keys, f->count, sizeof *f->keys, by_bytes);
}

static void foreign_release(struct foreign *f)
{
	free(f->keys);
	buf_release(&f->bytes);
}

static unsigned nibble(struct slice key, size_t i)
{
	return i % 2 ? key.p[i / 2] & 15u : key.p[i / 2] >> 4;
}

static void foreign_hash(const struct foreign *f, size_t first, size_t end, size_t depth,
			 uint8_t out[HASH20_SIZE])
{
	uint8_t bytes[1024];
	size_t n = 0;

	if (depth >= SPLIT && end - first == 1) {
		for (; n < 2 * f->keys[first].n; n++)
			bytes[n] = (uint8_t)nibble(f->keys[first], n);
		hash_blake3_20(SLICE(bytes, n), out);
		return;
	}
	for (size_t i = first, next; i < end; i = next, n += HASH20_SIZE) {
		for (next = i;
		     next < end && nibble(f->keys[next], depth) == nibble(f->keys[i], depth);)
			next++;
		foreign_hash(f, i, next, depth + 1, bytes + n);
	}
	hash_blake3_20(SLICE(bytes, n), out);
}

static bool begins(struct slice key, struct slice prefix)
{
	return !prefix.n || (key.n >= prefix.n && memcmp(key.p, prefix.p, prefix.n) == 0);
}

static int foreign_node(void *arg, uint32_t shard, struct slice prefix, struct source_node *out,
			struct err *err)
{
	struct foreign *f = arg;
	size_t first = 0, end;

	assert_int_equal(shard, SHARD);
	f->asked++;
	while (first < f->count && !begins(f->keys[first], prefix))
		first++;
	for (end = first; end < f->count && begins(f->keys[end], prefix);)
		end++;
	if (first == end)
		return err_set(err, -ENODATA, "Node not found for the given prefix");
	*out = (struct source_node){ .records = end - first, .hash_size = HASH20_SIZE };
	foreign_hash(f, first, end, 2 * prefix.n, out->hash);
	for (size_t i = first, next; i < end; i = next) {
		unsigned n = nibble(f->keys[i], 2 * prefix.n);

		for (next = i; next < end && nibble(f->keys[next], 2 * prefix.n) == n;)
			next++;
		out->children[n].there = true;
		out->children[n].records = next - i;
		out->children[n].hash_size = HASH20_SIZE;
		foreign_hash(f, i, next, 2 * prefix.n + 1, out->children[n].hash);
	}
	if (f->moves_on && prefix.n) {
		uint8_t hashes[16 * HASH20_SIZE];
		size_t size = 0;

		for (unsigned i = 0; i < 16; i++) {
			if (!out->children[i].there)
				continue;
			out->children[i].hash[0] ^= 1;
			memcpy(hashes + size, out->children[i].hash, HASH20_SIZE);
			size += HASH20_SIZE;
		}
		hash_blake3_20(SLICE(hashes, size), out->hash);
	}
	return 0;
}

/* ---- ours, touched ---- */

enum touch { TOUCH_ROOT, TOUCH_GONE, TOUCH_NEW };

struct ours {
	struct compare_ours whole;
	uint64_t account; /* UINT64_MAX: none is touched */
	enum touch touch;
};

static int touched_accounts(void *arg, unsigned vshard, struct compare_list *out, struct err *err)
{
	struct ours *o = arg;
	int rc = o->whole.accounts(o->whole.arg, vshard, out, err);

	for (size_t i = 0; rc == 0 && i < out->count; i++) {
		if (out->accounts[i].account != o->account)
			continue;
		if (o->touch == TOUCH_ROOT)
			out->accounts[i].root.root[7] ^= 1;
		if (o->touch == TOUCH_GONE) {
			out->count--;
			memmove(out->accounts + i, out->accounts + i + 1,
				(out->count - i) * sizeof *out->accounts);
		}
		if (o->touch == TOUCH_NEW) { /* one behind it */
			struct compare_account more = out->accounts[i];

			more.account++;
			rc = compare_list_add(out, &more);
			memmove(out->accounts + i + 2, out->accounts + i + 1,
				(out->count - i - 2) * sizeof *out->accounts);
			out->accounts[i + 1] = more;
		}
	}
	return rc;
}

struct finds {
	struct compare_difference list[64];
	size_t count;
};

static void note_find(void *arg, const struct compare_difference *d)
{
	struct finds *f = arg;

	assert_true(f->count < ARRAY_LEN(f->list));
	f->list[f->count++] = *d;
}

static struct chain chain;
static struct foreign foreign;
static struct compare_list all; /* our accounts at HEIGHT */

static int prepare(void **state)
{
	AUTO(compare_state_closep) struct compare_state *c = NULL;
	struct err err = ERR_INIT;

	(void)state;
	must(sign_init(), NULL);
	trace_set_sink(fixture_silence, NULL);
	chain_open(&chain, RECORDED);
	chain_feed(&chain, 0, 1, HEIGHT + 1, 0);
	chain_feed(&chain, SHARD, 1, HEIGHT, 0);
	foreign_open(&foreign);
	AUTO(view_putp) struct view *v = network_view_get(chain.network);

	must(compare_state_open(v, SHARD, HEIGHT, &c, &err), &err);
	struct compare_ours ours = compare_state_ours(c);

	for (unsigned i = 0; i < 256; i++)
		must(ours.accounts(ours.arg, i, &all, &err), &err);
	assert_true(all.count > 4);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	compare_list_release(&all);
	foreign_release(&foreign);
	chain_release(&chain);
	return 0;
}

static int compare_with(struct ours *ours, const struct compare_options *extra, struct finds *f,
			struct compare_totals *totals)
{
	AUTO(compare_state_closep) struct compare_state *c = NULL;
	AUTO(view_putp) struct view *v = network_view_get(chain.network);
	struct compare_theirs theirs = { &foreign, NULL, foreign_node };
	struct compare_options o = extra ? *extra : (struct compare_options){ 0 };
	struct err err = ERR_INIT;

	f->count = 0;
	foreign.asked = 0;
	o.shard = SHARD;
	o.found = note_find;
	o.arg = f;
	must(compare_state_open(v, SHARD, HEIGHT, &c, &err), &err);
	ours->whole = compare_state_ours(c);
	struct compare_ours touched = { ours, touched_accounts };

	return compare_walk(&touched, &theirs, &o, totals, &err);
}

static void equal_states_are_known_by_one_node(void **state)
{
	struct ours ours = { .account = UINT64_MAX };
	struct compare_totals t;
	struct finds f;

	(void)state;
	assert_int_equal(compare_with(&ours, NULL, &f, &t), 0);
	assert_int_equal(f.count, 0);
	assert_int_equal(t.requests, 1);
	assert_int_equal(t.accounts, all.count);
	assert_int_equal(t.here.records, foreign.count);
	assert_memory_equal(t.here.root, t.there.root, HASH20_SIZE);
}

static void each_account_that_is_touched_is_named_and_no_other(void **state)
{
	(void)state;
	for (size_t i = 0; i < all.count; i++)
		for (int touch = TOUCH_ROOT; touch <= TOUCH_NEW; touch++) {
			struct ours ours = { .account = all.accounts[i].account,
					     .touch = (enum touch)touch };
			static const enum compare_how how[] = { COMPARE_OTHER_ROOT,
								COMPARE_MISSING_HERE,
								COMPARE_MISSING_THERE };
			struct compare_totals t;
			struct finds f;

			assert_int_equal(compare_with(&ours, NULL, &f, &t), 0);
			assert_int_equal(f.count, 1);
			assert_int_equal(f.list[0].account, ours.account + (touch == TOUCH_NEW));
			assert_int_equal(f.list[0].how, how[touch]);
			assert_int_equal(f.list[0].there.there, touch != TOUCH_NEW);
			if (touch != TOUCH_NEW)
				assert_memory_equal(f.list[0].there.root, all.accounts[i].root.root,
						    HASH20_SIZE);
			assert_true(t.requests <= 1 + 5 * 16);
			assert_int_equal(t.requests, foreign.asked);
		}
}

static void bounds_end_it_and_say_so(void **state)
{
	struct ours ours = { .account = all.accounts[0].account, .touch = TOUCH_GONE };
	struct compare_options few = { .requests_max = 3 }, first = { .differences_max = 1 };
	uint8_t other[HASH20_SIZE] = { 1 };
	struct compare_options signs = { .root = other };
	struct compare_totals t;
	struct finds f;

	(void)state;
	assert_int_equal(compare_with(&ours, &few, &f, &t), 0);
	assert_int_equal(t.requests, 3);
	assert_true(t.cut);
	assert_int_equal(compare_with(&ours, &first, &f, &t), 0);
	assert_int_equal(f.count, 1);
	assert_int_equal(compare_with(&ours, &signs, &f, &t), -ESTALE);
	assert_int_equal(foreign.asked, 1);
	foreign.moves_on = true;
	assert_int_equal(compare_with(&ours, NULL, &f, &t), -ESTALE);
	foreign.moves_on = false;
	assert_int_equal(f.count, 0);
}

/* ---- the follower ---- */

static struct lab lab; /* large */
static struct source_ops node_ops;
static bool node_is_older;

static void lab_node(struct source *s, uint64_t request, uint32_t shard, struct slice prefix,
		     uint32_t timeout_ms)
{
	struct source_node node;
	struct err err = ERR_INIT;
	int rc = foreign_node(&foreign, shard, prefix, &node, &err);

	(void)timeout_ms;
	if (node_is_older && rc == 0)
		node.hash[0] ^= 1;
	s->to.node(s->to.arg, request, rc, rc == 0 ? &node : NULL, err.text);
}

/* A bit of what our own row says is the root of an account. */
static void spoil(struct network *n, uint64_t account, uint64_t height)
{
	AUTO(commit_freep) struct commit *c = NULL;
	AUTO(state_freep) struct state *st = NULL;
	AUTO(buf_release) struct buf key = BUF_INIT(STATE_KEY_MAX);
	AUTO(buf_release) struct buf value = BUF_INIT(STATE_VALUE_MAX);
	struct err err = ERR_INIT;
	struct slice row;

	network_ops(n)->account_key(account, &key);
	must(commit_new(n, &c), NULL);
	must(state_open(n, SHARD, UINT64_MAX, &st, &err), &err);
	must(state_block_begin(st, height), NULL);
	assert_int_equal(state_get(st, SPACE_BOTH, buf_slice(&key), &row), 1);
	buf_add(&value, row);
	value.p[5] ^= 1; /* the root comes first */
	must(state_put(st, SPACE_BOTH, buf_slice(&key), buf_slice(&value), false), NULL);
	must(state_block_end(st), NULL);
	must(commit_state(c, st), NULL);
	must(commit_apply(c, &err), &err);
}

static bool in_events(const char *text)
{
	AUTO(buf_release) struct buf lines = BUF_INIT(1u << 20);
	uint64_t next = 0;

	while (events_read(lab.events, &next, 1u << 16, &lines) == 0 &&
	       next <= events_last(lab.events))
		;
	buf_u8(&lines, 0);
	return strstr((const char *)lines.p, text);
}

/* Follows the block of HEIGHT with an account of our state spoiled; what the gap says of it. */
static void follow_spoiled(uint64_t account, struct sync_claim *claim)
{
	struct follow_options o = lab_options();
	struct source_entry e = { .name = "node", .operator_name = "node", .url = "script://node" };
	struct source *s = &lab.sources[lab.source_count++];
	struct err err = ERR_INIT;
	uint64_t now_ms;

	node_ops = lab_ops;
	node_ops.node = lab_node;
	lab_follow(&lab, &o);
	*s = (struct source){ .lab = &lab, .script = SCRIPT_HONEST, .connected = true };
	int number = follow_source_add(lab.follow, &e, &s->to, &err);

	must(number, &err);
	follow_source_open(lab.follow, (unsigned)number, &node_ops, s);
	for (uint32_t shard = 0; shard <= SHARD; shard++)
		s->to.offers(s->to.arg, shard, (struct range){ 1, lab.head[shard] + 1 });
	if (account) {
		char text[128];

		snprintf(text, sizeof text,
			 " state shard=%u height=%u account=%" PRIu64 " how=other-root", SHARD,
			 HEIGHT, account);
		lab_until(&lab, in_events(text));
	} else {
		lab_until(&lab, foreign.asked > 0 &&
					(follow_claim(lab.follow, SHARD, HEIGHT, claim, &now_ms),
					 claim->tries > 1));
	}
	follow_claim(lab.follow, SHARD, HEIGHT, claim, &now_ms);
}

static void lab_at_height(uint64_t account)
{
	lab_open(&lab, RECORDED);
	chain_feed(&lab.chain, 0, 1, HEIGHT + 1, 0);
	chain_feed(&lab.chain, SHARD, 1, HEIGHT - 1, 0);
	lab.head[0] = HEIGHT + 1;
	lab.head[SHARD] = HEIGHT;
	spoil(lab.chain.network, account, HEIGHT - 1);
	foreign.asked = 0;
}

static void a_follower_names_the_account_of_a_root_that_does_not_come_out(void **state)
{
	uint64_t account = all.accounts[all.count / 2].account;
	struct sync_claim claim;
	char text[64];

	(void)state;
	lab_at_height(account);
	follow_spoiled(account, &claim);
	snprintf(text, sizeof text, "account %" PRIu64 " differs first", account);
	assert_non_null(strstr(claim.error, text));
	assert_true(foreign.asked > 5);
	lab_release(&lab);
}

static void of_a_node_that_is_elsewhere_nothing_is_said(void **state)
{
	struct sync_claim claim;

	(void)state;
	node_is_older = true;
	lab_at_height(all.accounts[0].account);
	follow_spoiled(0, &claim);
	assert_non_null(strstr(claim.error, "the state has root"));
	assert_null(strstr(claim.error, "account"));
	assert_false(in_events(" account="));
	node_is_older = false;
	lab_release(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_states_are_known_by_one_node),
		cmocka_unit_test(each_account_that_is_touched_is_named_and_no_other),
		cmocka_unit_test(bounds_end_it_and_say_so),
		cmocka_unit_test(a_follower_names_the_account_of_a_root_that_does_not_come_out),
		cmocka_unit_test(of_a_node_that_is_elsewhere_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, prepare, clear);
}
