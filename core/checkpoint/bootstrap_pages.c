/* Pages of a shard, in order, one account after the other. */
#include "core/checkpoint/bootstrap_inside.h"

#include <stdio.h>

#define PAGE_SIZE_MAX  (64u << 20)
#define BELOW_MAX      4096 /* blocks that are looked at for the sequence of block events */
#define LIST_PAGES_MAX 10000
#define TOKEN_MAX      4096

struct paging {
	struct boot *boot;
	uint32_t shard;
	uint64_t height;
	struct chain_replica *replica;
	struct err *err;

	unsigned vshard, page; /* that are being read */
	struct buf message, token;
	uint8_t last_key[1024]; /* of the vshard */
	size_t last_key_size;
	bool in_account;
	struct chain_claim claim; /* of the account whose items come */
};

static void paging_release(struct paging *g)
{
	if (g->replica)
		g->boot->ops->replica_free(g->replica);
	g->replica = NULL;
	buf_release(&g->message);
	buf_release(&g->token);
}

static int at_page(struct paging *g, int rc)
{
	return err_note(g->err, rc, "shard %u, vshard %02x, page %u", g->shard, g->vshard, g->page);
}

/* ---- what comes out of the adapter ---- */

static int take_record(void *arg, struct slice key, struct slice rest, const struct chain_object *o)
{
	struct paging *g = arg;

	return fill_record(&g->boot->fill,
			   &(struct fill_record){ .space = SPACE_BOTH,
						  .key = key,
						  .rest = rest,
						  .object = *o,
						  .height = g->height },
			   g->err);
}

static int take_rule(void *arg, struct slice key, struct slice value)
{
	struct paging *g = arg;

	return fill_rule(&g->boot->fill, SPACE_BOTH, key, value, g->err);
}

/* ---- what blocks tell ---- */

/* Blocks below are those that the trusted one names, down by parent hash. */
static int read_below(struct paging *g)
{
	struct boot *b = g->boot;
	const struct chain_block *at = b->at[g->shard];
	struct chain_block *above = NULL;
	AUTO(chain_block_freep) struct chain_block *below = NULL;
	int rc = b->ops->replica_below(g->replica, at, g->err);

	for (unsigned i = 0; rc == 0 && i < BELOW_MAX && at->height > 1 + i; i++) {
		AUTO(chain_block_freep) struct chain_block *prev = TAKE(below);

		above = prev;
		rc = boot_stopped(b, g->err);
		if (rc == 0)
			rc = boot_block(b, g->shard, at->height - 1 - i, false, &below, g->err);
		if (rc == 0 || rc == -ENODATA || rc == -EHOSTUNREACH)
			return 0; /* what was seen so far is the guess */
		if (rc == 1)
			rc = b->ops->link(above ? above : at, below->hash, g->err);
		if (rc == 0)
			rc = b->ops->replica_below(g->replica, below, g->err);
	}
	return rc < 0 ? err_note(g->err, rc, "shard %u: blocks below %" PRIu64, g->shard,
				 at->height)
		      : 0;
}

static int read_main(struct paging *g)
{
	struct boot *b = g->boot;
	AUTO(block_scan_freep) struct block_scan *scan = NULL;
	struct block_row row;
	int rc = block_scan_new(b->network, 0, 1, &scan);

	while (rc == 0 && (rc = block_scan_next(scan, &row)) == 1) {
		AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
		AUTO(buf_release) struct buf canonical = BUF_INIT(BLOCK_SIZE_MAX);
		AUTO(buf_release) struct buf certificate = BUF_INIT(BLOCK_SIZE_MAX);
		AUTO(chain_block_freep) struct chain_block *block = NULL;

		rc = network_block_bytes(b->network, &row, &bytes, g->err);
		if (rc < 0)
			break;
		buf_add(&canonical, bytes->canonical);
		rc = buf_done(&canonical);
		if (rc == 0)
			rc = b->ops->decode(b->params, true, false, &canonical, &certificate,
					    &block, g->err);
		if (rc == 0)
			rc = b->ops->replica_main(g->replica, block, g->err);
	}
	return rc < 0 ? err_note(g->err, rc, "what shard 0 told") : 0;
}

/* ---- one page ---- */

static int by_account(const void *a, const void *b)
{
	uint32_t x = (uint32_t)((const struct chain_claim *)a)->account;
	uint32_t y = (uint32_t)((const struct chain_claim *)b)->account;

	return (x > y) - (x < y);
}

/* A page may hold a hundred thousand of both: whoever makes it must not choose how long it takes to
 * find out that it is false. */
static int sort_claims(struct paging *g, struct chain_page *p)
{
	if (p->claim_count)
		qsort(p->claims, p->claim_count, sizeof *p->claims, by_account);
	for (size_t i = 1; i < p->claim_count; i++)
		if (by_account(&p->claims[i - 1], &p->claims[i]) == 0)
			return err_set(g->err, -EPROTO, "account %" PRIu64 " has two roots",
				       p->claims[i].account);
	return 0;
}

static const struct chain_claim *claim_of(const struct chain_page *p, uint64_t account)
{
	const struct chain_claim key = { .account = account };

	return p->claim_count ? bsearch(&key, p->claims, p->claim_count, sizeof key, by_account)
			      : NULL;
}

static int end_account(struct paging *g)
{
	if (!g->in_account)
		return 0;
	g->in_account = false;
	return g->boot->ops->replica_account(g->replica, g->claim.account, &g->claim, g->err);
}

static bool same_claim(const struct chain_claim *a, const struct chain_claim *b)
{
	return a->account == b->account && a->records == b->records &&
	       slice_eq(SLICE(a->root, a->root_size), SLICE(b->root, b->root_size));
}

/* The account of a trie key: its prefix names it. */
static int turn_to(struct paging *g, const struct chain_page *p, uint64_t account)
{
	const struct chain_claim *claim = claim_of(p, account);

	if (!claim)
		return err_set(g->err, -EPROTO, "account %" PRIu64 " has items and no root",
			       account);
	if (g->in_account && (uint32_t)g->claim.account == (uint32_t)account)
		return same_claim(claim, &g->claim)
			       ? 0
			       : err_set(g->err, -EPROTO,
					 "account %" PRIu64 " has another root than a page before",
					 account);
	int rc = end_account(g);

	g->claim = *claim;
	g->in_account = rc == 0;
	return rc;
}

static int take_item(struct paging *g, const struct chain_page *p, size_t i)
{
	const struct chain_page_item *item = &p->items[i];
	struct slice last = SLICE(g->last_key, g->last_key_size);
	int rc;

	if (item->key.n < 6 || item->key.n > sizeof g->last_key)
		return err_set(g->err, -EBADMSG, "item %zu: a key of %zu bytes", i, item->key.n);
	if (item->key.p[0] != g->vshard)
		return err_set(g->err, -EPROTO, "item %zu is of vshard %02x", i, item->key.p[0]);
	if (last.n && slice_cmp(item->key, last) <= 0)
		return err_set(g->err, -EPROTO, "item %zu %s", i,
			       slice_eq(item->key, last) ? "was there before"
							 : "goes back behind one before");
	uint64_t account = get_be32(item->key.p + 1);

	if (g->boot->ops->vshard_of(account) != g->vshard)
		return err_set(g->err, -EBADMSG,
			       "item %zu: account %" PRIu64 " is of another vshard", i, account);
	rc = turn_to(g, p, account);
	if (rc < 0)
		return rc;
	memcpy(g->last_key, item->key.p, item->key.n);
	g->last_key_size = item->key.n;
	rc = g->boot->ops->replica_add(g->replica, g->claim.account, item, g->err);
	return rc < 0 ? err_note(g->err, rc, "item %zu, account %" PRIu64, i, account) : 0;
}

/* What is claimed has to come: an account without items in its page is one that was left out. The
 * items were taken, so they ascend, and each has its claim. */
static int check_claims(struct paging *g, const struct chain_page *p)
{
	for (size_t i = 0, k = 0; i < p->claim_count; i++) {
		uint32_t account = (uint32_t)p->claims[i].account;

		while (k < p->item_count && get_be32(p->items[k].key.p + 1) < account)
			k++;
		if (k == p->item_count || get_be32(p->items[k].key.p + 1) != account)
			return err_set(g->err, -EBADMSG,
				       "account %" PRIu64 " has a root and no items",
				       p->claims[i].account);
	}
	return 0;
}

/* 1: another page follows, g->token asks for it. */
static int take_page(struct paging *g)
{
	struct boot *b = g->boot;
	struct chain_page page;
	int rc = b->ops->replica_page(buf_slice(&g->message), &page, g->err);

	if (rc < 0)
		return rc;
	rc = sort_claims(g, &page);
	for (size_t i = 0; rc == 0 && i < page.item_count; i++)
		rc = take_item(g, &page, i);
	if (rc == 0)
		rc = check_claims(g, &page);
	if (rc == 0 && page.token.n) {
		if (page.token.n > TOKEN_MAX || !page.item_count ||
		    slice_eq(page.token, buf_slice(&g->token)))
			rc = err_set(g->err, -EPROTO, "its token leads nowhere");
		buf_clear(&g->token);
		buf_add(&g->token, page.token);
		if (rc == 0)
			rc = buf_done(&g->token);
		if (rc == 0)
			rc = 1;
	}
	b->ops->replica_page_release(&page);
	return rc;
}

/* ---- what a page refuses ---- */

static int fill_list(struct paging *g, uint64_t account, unsigned list)
{
	struct boot *b = g->boot;
	AUTO(buf_release) struct buf token = BUF_INIT(TOKEN_MAX);
	int rc = 0;

	for (unsigned i = 0; i < LIST_PAGES_MAX; i++) {
		AUTO(buf_release) struct buf message = BUF_INIT(PAGE_SIZE_MAX);
		struct chain_page page;

		rc = boot_stopped(b, g->err);
		if (rc == 0)
			rc = b->from->account(b->from->arg, g->shard, account, list,
					      buf_slice(&token), &message, g->err);
		if (rc < 0)
			return rc == -ENODATA ? 0 : rc;
		b->out->shards[g->shard].bytes += message.n;
		rc = b->ops->replica_list(list, buf_slice(&message), &page, g->err);
		if (rc < 0)
			return rc;
		for (size_t k = 0; rc == 0 && k < page.item_count; k++)
			rc = b->ops->replica_add(g->replica, account, &page.items[k], g->err);
		bool more = page.token.n && !slice_eq(page.token, buf_slice(&token));

		buf_clear(&token);
		buf_add(&token, page.token);
		b->ops->replica_page_release(&page);
		if (rc == 0)
			rc = buf_done(&token);
		if (rc < 0 || !more)
			return rc;
	}
	return err_set(g->err, -EPROTO, "a list that does not end");
}

static int add_shared(struct paging *g, struct state *main, uint64_t account, uint8_t set)
{
	struct boot *b = g->boot;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	struct slice key, value;

	b->ops->set_prefix(account, set, &prefix);
	int rc = buf_done(&prefix);

	if (rc == 0)
		rc = state_scan_new(main, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY, false,
				    &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		AUTO(block_bytes_putp) const struct block_bytes *owner = NULL;
		struct chain_page_item item = { .form = 0 };
		struct stat_record stat;
		struct slice rest;
		uint64_t object;

		rc = b->ops->record_split(value, &object, &rest);
		if (rc == 0)
			rc = network_stat(b->network, object, &stat);
		if (rc != 1)
			return err_set(g->err, rc < 0 ? rc : -EUCLEAN, "an object of shard 0");
		rc = network_object_bytes(b->network, &stat, &owner, &item.bytes, g->err);
		item.form = stat.form;
		if (rc == 0)
			rc = b->ops->replica_add(g->replica, account, &item, g->err);
	}
	return rc;
}

/* An account out of what else there is: the lists of the node, where it is at home, what shard 0
 * keeps of it, too, and what its blocks told. */
static int fill_account(struct paging *g, struct state *main, uint64_t account)
{
	struct boot *b = g->boot;
	bool home = b->ops->shard_of(b->params, account) == g->shard;
	int rc = 0;

	for (unsigned l = 0; home && rc == 0 && b->ops->replica_list_name(l); l++) {
		rc = fill_list(g, account, l);
		if (rc < 0)
			return err_note(g->err, rc, "account %" PRIu64 ": %s", account,
					b->ops->replica_list_name(l));
	}
	for (size_t i = 0; rc == 0 && i < b->ops->set_count; i++) {
		enum chain_shared shared = b->ops->replica_shared(b->ops->sets[i].id);

		if (shared == CHAIN_SHARED_ALL || (shared == CHAIN_SHARED_HOME && home))
			rc = add_shared(g, main, account, b->ops->sets[i].id);
	}
	if (rc == 0)
		rc = b->ops->replica_add_told(g->replica, account, g->err);
	if (rc == 0)
		rc = b->ops->replica_account(g->replica, account, NULL, g->err);
	return rc < 0 ? err_note(g->err, rc, "account %" PRIu64, account) : 0;
}

/* A page is refused with all that come behind it in its vshard: the accounts of the vshard, as
 * shard 0 knows them, that are not complete. */
static int fill_refused(struct paging *g)
{
	struct boot *b = g->boot;
	AUTO(state_freep) struct state *main = NULL;
	AUTO(state_scan_freep) struct state_scan *scan = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	struct slice key, value;
	struct err why = *g->err;
	uint64_t from = 0, account;

	if (!b->from->account)
		return err_note(g->err, -ENODATA,
				"refused, and nobody gives lists of its accounts");
	b->out->shards[g->shard].refused_pages++;
	if (g->last_key_size)
		from = get_be32(g->last_key + 1) + !g->in_account;
	if (g->in_account)
		b->ops->replica_drop(g->replica);
	g->in_account = false;
	*g->err = (struct err)ERR_INIT;
	b->ops->account_prefix(g->vshard, &prefix);
	int rc = buf_done(&prefix);

	if (rc == 0)
		rc = state_open(b->network, 0, UINT64_MAX, &main, g->err);
	if (rc == 0)
		rc = state_scan_new(main, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY, false,
				    &scan);
	while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
		rc = b->ops->account_of_key(key, &account);
		if (rc == 0 && account >= from)
			rc = fill_account(g, main, account);
	}
	return rc < 0 ? err_note(g->err, rc, "refused (%.100s), and filling it", why.text) : 0;
}

/* ---- all of them ---- */

static int take_vshard(struct paging *g)
{
	struct boot *b = g->boot;
	int rc = 1;

	g->last_key_size = 0;
	buf_clear(&g->token);
	for (g->page = 0; rc == 1; g->page += rc == 1) {
		rc = boot_stopped(b, g->err);
		if (rc < 0)
			return rc;
		buf_clear(&g->message);
		rc = b->from->page(b->from->arg, g->shard, g->height, g->vshard,
				   buf_slice(&g->token), &g->message, g->err);
		if (rc == -ENODATA) {
			rc = fill_refused(g);
			return rc < 0 ? at_page(g, rc) : 0;
		}
		if (rc == 0) {
			b->out->shards[g->shard].pages++;
			b->out->shards[g->shard].bytes += g->message.n;
			rc = take_page(g);
		}
		if (rc < 0)
			return at_page(g, rc);
	}
	rc = end_account(g);
	return rc < 0 ? at_page(g, rc) : 0;
}

/* Who is at home here, by shard 0, and did not come. 1: *account. */
static int first_missing(struct paging *g, uint64_t *account, unsigned *vshard)
{
	struct boot *b = g->boot;
	AUTO(state_freep) struct state *main = NULL;
	AUTO(buf_release) struct buf prefix = BUF_INIT(STATE_KEY_MAX);
	AUTO(buf_release) struct buf own = BUF_INIT(STATE_KEY_MAX);
	int rc = state_open(b->network, 0, UINT64_MAX, &main, g->err);

	for (*vshard = 0; rc == 0 && *vshard < VSHARDS; ++*vshard) {
		AUTO(state_scan_freep) struct state_scan *scan = NULL;
		struct slice key, value, found;

		buf_clear(&prefix);
		b->ops->account_prefix(*vshard, &prefix);
		rc = state_scan_new(main, SPACE_BOTH, buf_slice(&prefix), SLICE_EMPTY, false,
				    &scan);
		while (rc == 0 && (rc = state_scan_next(scan, &key, &value)) == 1) {
			rc = b->ops->account_of_key(key, account);
			if (rc < 0 || b->ops->shard_of(b->params, *account) != g->shard)
				continue;
			buf_clear(&own);
			b->ops->account_key(*account, &own);
			rc = state_get(b->fill.state, SPACE_BOTH, buf_slice(&own), &found);
			if (rc == 0)
				return 1;
			rc = MIN(rc, 0);
		}
	}
	return rc;
}

static int check_root(struct paging *g, const struct chain_root *root)
{
	const struct chain_block *at = g->boot->at[g->shard];
	char is[17] = "(empty)", said[17] = "(empty)", who[128] = "";
	bool filled = g->boot->out->shards[g->shard].refused_pages;
	struct err ignored = ERR_INIT, *err = g->err;
	uint64_t account;
	unsigned vshard;

	if (slice_eq(SLICE(root->root, root->root_size), SLICE(at->root, at->root_size)))
		return 0;
	if (root->root_size)
		hex_put(is, root->root, 8);
	if (at->root_size)
		hex_put(said, at->root, 8);
	g->err = &ignored;
	if (first_missing(g, &account, &vshard) == 1)
		snprintf(who, sizeof who,
			 ", vshard %02x, page 0 or behind: nothing came of account %" PRIu64,
			 vshard, account);
	g->err = err;
	return err_set(err, -EBADMSG,
		       "shard %u%s: %" PRIu64 " records make the root %s, block %" PRIu64
		       " signs %s%s",
		       g->shard, who, root->records, is, at->height, said,
		       filled ? "; pages that were refused are filled from lists" : "");
}

static int take_pages(struct paging *g)
{
	struct boot *b = g->boot;
	struct chain_root roots[CONTEXT_COUNT];
	struct chain_replica_end end = { 0 };
	uint64_t retained, before = b->fill.records;
	int rc = 0;

	for (g->vshard = 0; rc == 0 && g->vshard < VSHARDS; g->vshard++) {
		rc = take_vshard(g);
		b->out->shards[g->shard].records = b->fill.records - before;
		if (rc == 0 && b->o->progress)
			b->o->progress(b->o->arg, g->shard, g->vshard + 1,
				       b->fill.records - before);
	}
	if (rc == 0)
		rc = fill_roots(&b->fill, roots, &retained, g->err);
	if (rc == 0)
		rc = check_root(g, &roots[CONTEXT_LEGACY]);
	if (rc == 0)
		rc = b->ops->replica_end(g->replica, &end, g->err);
	b->out->shards[g->shard].root = roots[CONTEXT_LEGACY];
	b->out->shards[g->shard].guessed_accounts = end.marked;
	b->out->shards[g->shard].sequence_guessed = end.sequence_guessed;
	return rc;
}

int boot_pages(struct boot *b, uint32_t shard, struct err *err)
{
	AUTO(paging_release)
	struct paging g = {
		.boot = b,
		.shard = shard,
		.height = b->at[shard]->height,
		.err = err,
		.message = BUF_INIT(PAGE_SIZE_MAX),
		.token = BUF_INIT(TOKEN_MAX),
	};
	struct chain_replica_sink sink = { &g, take_record, take_rule };
	int rc = b->ops->replica_new(b->params, shard, &sink, &g.replica, err);

	if (rc == 0)
		rc = read_below(&g);
	if (rc == 0)
		rc = read_main(&g);
	if (rc == 0)
		rc = fill_begin(&b->fill, shard, g.height, false, err);
	if (rc == 0)
		rc = take_pages(&g);
	return rc == 0 ? fill_end(&b->fill, err) : rc;
}
