#include "core/sync/compare.h"

#include "core/chain/trie.h"

#define VSHARDS       256u
#define ACCOUNT_DEPTH (2 * TRIE_PREFIX_SIZE) /* nibbles above an account's node */

const char *const compare_how_names[COMPARE_HOW_COUNT] = {
	[COMPARE_OTHER_ROOT] = "other-root",
	[COMPARE_MISSING_HERE] = "missing-here",
	[COMPARE_MISSING_THERE] = "missing-there",
};

int compare_list_add(struct compare_list *l, const struct compare_account *a)
{
	if (base_grow(&l->accounts, &l->cap, l->count + 1, sizeof *l->accounts) < 0)
		return -ENOMEM;
	l->accounts[l->count++] = *a;
	return 0;
}

void compare_list_release(struct compare_list *l)
{
	free(l->accounts);
	*l = (struct compare_list){ 0 };
}

/* ---- our nodes: folds of accounts ---- */

struct part { /* accounts [first, end) of the vshard at hand, or one or more vshards */
	size_t first, end;
};

struct walk {
	const struct compare_ours *ours;
	const struct compare_theirs *theirs;
	const struct compare_options *options;
	struct compare_totals *totals;
	struct compare_list list; /* of the vshard at hand */
	struct compare_root vshards[VSHARDS];
	struct err *err;
};

/* The node above these sixteen. */
static void fold(const struct compare_root children[16], struct compare_root *out)
{
	uint8_t hashes[16 * HASH20_SIZE];
	size_t size = 0;

	*out = (struct compare_root){ .there = false };
	for (unsigned i = 0; i < 16; i++) {
		if (!children[i].there)
			continue;
		memcpy(hashes + size, children[i].root, HASH20_SIZE);
		size += HASH20_SIZE;
		out->records += children[i].records;
	}
	if (!size)
		return;
	out->there = true;
	hash_blake3_20(SLICE(hashes, size), out->root);
}

static unsigned nibble_of(uint64_t account, unsigned depth)
{
	return (unsigned)(account >> (4 * (ACCOUNT_DEPTH - 1 - depth))) & 15u;
}

/* Those of `of` whose next nibble, which stands at `depth`, is `nibble`. */
static struct part part_of(const struct walk *w, struct part of, unsigned depth, unsigned nibble)
{
	struct part out = { of.first, of.first };

	while (out.first < of.end && nibble_of(w->list.accounts[out.first].account, depth) < nibble)
		out.first++;
	out.end = out.first;
	while (out.end < of.end && nibble_of(w->list.accounts[out.end].account, depth) == nibble)
		out.end++;
	return out;
}

/* The node at `depth` nibbles, at least two of them, above these. */
static void node_of(const struct walk *w, struct part of, unsigned depth, struct compare_root *out)
{
	struct compare_root children[16];

	*out = (struct compare_root){ .there = false };
	if (of.first == of.end)
		return;
	if (depth == ACCOUNT_DEPTH) {
		*out = w->list.accounts[of.first].root;
		return;
	}
	for (unsigned i = 0; i < 16; i++)
		node_of(w, part_of(w, of, depth, i), depth + 1, &children[i]);
	fold(children, out);
}

static int load_vshard(struct walk *w, unsigned vshard)
{
	w->list.count = 0;
	int rc = w->ours->accounts(w->ours->arg, vshard, &w->list, w->err);

	if (rc < 0)
		return rc;
	for (size_t i = 1; i < w->list.count; i++)
		if (w->list.accounts[i - 1].account >= w->list.accounts[i].account)
			return err_set(w->err, -EUCLEAN,
				       "vshard %02x: its accounts are in no order", vshard);
	return 0;
}

static int fold_ours(struct walk *w)
{
	struct compare_root children[16];

	for (unsigned v = 0; v < VSHARDS; v++) {
		if (w->options->stop && atomic_load(w->options->stop))
			return err_set(w->err, -EINTR, "interrupted");
		int rc = load_vshard(w, v);

		if (rc < 0)
			return rc;
		node_of(w, (struct part){ 0, w->list.count }, 2, &w->vshards[v]);
		w->totals->accounts += w->list.count;
	}
	for (unsigned i = 0; i < 16; i++)
		fold(&w->vshards[16 * i], &children[i]);
	fold(children, &w->totals->here);
	return 0;
}

/* ---- theirs ---- */

static bool same(const struct compare_root *a, const struct compare_root *b)
{
	return a->there == b->there && (!a->there || memcmp(a->root, b->root, HASH20_SIZE) == 0);
}

/* A node of theirs as we fold them. */
struct told {
	struct compare_root root, children[16];
};

static int told_of(const struct source_node *n, struct told *out, struct err *err)
{
	struct compare_root made;

	*out = (struct told){ .root = { .there = true, .records = n->records } };
	if (n->hash_size != HASH20_SIZE)
		return err_set(err, -EBADMSG, "a node of its trie has a hash of %zu bytes",
			       n->hash_size);
	memcpy(out->root.root, n->hash, HASH20_SIZE);
	for (unsigned i = 0; i < 16; i++) {
		if (!n->children[i].there)
			continue;
		if (n->children[i].hash_size != HASH20_SIZE)
			return err_set(err, -EBADMSG, "a node of its trie has a hash of %zu bytes",
				       n->children[i].hash_size);
		out->children[i].there = true;
		out->children[i].records = n->children[i].records;
		memcpy(out->children[i].root, n->children[i].hash, HASH20_SIZE);
	}
	fold(out->children, &made);
	return same(&made, &out->root)
		       ? 0
		       : err_set(err, -ESTALE, "a node of its trie is not that of its children");
}

/* 0; 1: a bound of the walk is reached. */
static int ask(struct walk *w, struct slice prefix, struct told *out)
{
	const struct compare_options *o = w->options;
	struct source_node node;

	if (o->stop && atomic_load(o->stop))
		return err_set(w->err, -EINTR, "interrupted");
	if (w->totals->requests >= (o->requests_max ? o->requests_max : COMPARE_REQUESTS_MAX)) {
		w->totals->cut = true;
		return 1;
	}
	w->totals->requests++;
	struct err why = ERR_INIT;
	int rc = w->theirs->node(w->theirs->arg, o->shard, prefix, &node, &why);

	/* That there is no root is no answer to go by: whoever tells of no trie says so like
	 * this. */
	if (rc == -ENODATA && prefix.n) {
		*out = (struct told){ .root = { .there = false } };
		return 0;
	}
	if (rc < 0)
		return err_set(w->err, rc, "%s", err_text(&why, rc));
	return told_of(&node, out, w->err);
}

/* ---- down ---- */

static int differ(struct walk *w, const uint8_t prefix[TRIE_PREFIX_SIZE], struct part of,
		  const struct compare_root *there)
{
	struct compare_difference d = { .account = get_be32(prefix + 1), .there = *there };

	node_of(w, of, ACCOUNT_DEPTH, &d.here);
	d.how = !d.here.there   ? COMPARE_MISSING_HERE
		: !there->there ? COMPARE_MISSING_THERE
				: COMPARE_OTHER_ROOT;
	w->totals->differences++;
	if (w->options->found)
		w->options->found(w->options->arg, &d);
	if (!w->options->differences_max || w->totals->differences < w->options->differences_max)
		return 0;
	w->totals->cut = true;
	return 1;
}

static int descend(struct walk *w, const uint8_t prefix[TRIE_PREFIX_SIZE], unsigned bytes,
		   struct part of, const struct told *there);

/* The sixteen nodes two nibbles below one of theirs, as far as they differ: those that we have are
 * asked for first, because what differs is most often there on both sides. */
static int find_theirs(struct walk *w, uint8_t prefix[TRIE_PREFIX_SIZE], unsigned bytes,
		       unsigned nibble, const struct compare_root ours[16],
		       const struct compare_root *said, struct told there[16])
{
	struct compare_root as[16], made;
	bool asked[16] = { false };

	for (unsigned i = 0; i < 16; i++)
		as[i] = said->there ? ours[i] : (struct compare_root){ .there = false };
	for (unsigned turn = 0; turn < 32; turn++) {
		unsigned i = turn & 15;

		fold(as, &made);
		if (same(&made, said))
			break;
		if (asked[i] || (turn < 16 && !ours[i].there))
			continue;
		prefix[bytes] = (uint8_t)(nibble << 4 | i);
		int rc = ask(w, SLICE(prefix, bytes + 1), &there[i]);

		if (rc)
			return rc;
		asked[i] = true;
		as[i] = there[i].root;
	}
	fold(as, &made);
	if (!same(&made, said))
		return err_set(w->err, -ESTALE,
			       "what it tells of its trie does not make the root "
			       "that it told first: it moved on, or contradicts itself");
	for (unsigned i = 0; i < 16; i++)
		if (!asked[i])
			there[i].root = as[i];
	return 0;
}

/* Below one of the children of a node, by what both have two nibbles further down. */
static int split(struct walk *w, const uint8_t prefix[TRIE_PREFIX_SIZE], unsigned bytes,
		 unsigned nibble, struct part of, const struct compare_root *said)
{
	AUTO(base_freep) struct told *there = calloc(16, sizeof *there);
	uint8_t at[TRIE_PREFIX_SIZE];
	struct part parts[16] = { { 0, 0 } };
	struct compare_root ours[16];
	int rc = there ? 0 : -ENOMEM;

	if (rc < 0)
		return rc;
	memcpy(at, prefix, sizeof at);
	for (unsigned i = 0; i < 16; i++) {
		if (bytes)
			parts[i] = part_of(w, of, 2 * bytes + 1, i);
		if (bytes)
			node_of(w, parts[i], 2 * bytes + 2, &ours[i]);
		else
			ours[i] = w->vshards[nibble << 4 | i];
	}
	rc = find_theirs(w, at, bytes, nibble, ours, said, there);
	for (unsigned i = 0; rc == 0 && i < 16; i++) {
		if (same(&ours[i], &there[i].root))
			continue;
		at[bytes] = (uint8_t)(nibble << 4 | i);
		if (!bytes) {
			rc = load_vshard(w, at[0]);
			parts[i] = (struct part){ 0, w->list.count };
		}
		if (rc == 0)
			rc = descend(w, at, bytes + 1, parts[i], &there[i]);
	}
	return rc;
}

static int descend(struct walk *w, const uint8_t prefix[TRIE_PREFIX_SIZE], unsigned bytes,
		   struct part of, const struct told *there)
{
	int rc = 0;

	if (bytes == TRIE_PREFIX_SIZE)
		return differ(w, prefix, of, &there->root);
	for (unsigned i = 0; rc == 0 && i < 16; i++) {
		struct part below = bytes ? part_of(w, of, 2 * bytes, i) : of;
		struct compare_root ours;

		if (bytes)
			node_of(w, below, 2 * bytes + 1, &ours);
		else
			fold(&w->vshards[16 * i], &ours);
		if (!same(&ours, &there->children[i]))
			rc = split(w, prefix, bytes, i, below, &there->children[i]);
	}
	return rc;
}

int compare_walk(const struct compare_ours *ours, const struct compare_theirs *theirs,
		 const struct compare_options *o, struct compare_totals *out, struct err *err)
{
	static const uint8_t top[TRIE_PREFIX_SIZE];
	AUTO(base_freep) struct walk *w = calloc(1, sizeof *w);
	struct told root;

	*out = (struct compare_totals){ .requests = 0 };
	if (!w)
		return err_set(err, -ENOMEM, "no memory to compare");
	*w = (struct walk){
		.ours = ours, .theirs = theirs, .options = o, .totals = out, .err = err
	};
	/* Theirs first: what it is then is what is compared. */
	int rc = ask(w, SLICE_EMPTY, &root);

	if (rc == 0) {
		out->there = root.root;
		if (o->root && memcmp(o->root, root.root.root, HASH20_SIZE) != 0)
			rc = err_set(err, -ESTALE, "its trie is not that of the block");
	}
	if (rc == 0)
		rc = fold_ours(w);
	if (rc == 0 && !same(&out->here, &root.root))
		rc = descend(w, top, 0, (struct part){ 0, 0 }, &root);
	compare_list_release(&w->list);
	return MIN(rc, 0);
}
