#include "core/chain/trie.h"

#define ACCOUNT_DEPTH (2 * TRIE_PREFIX_SIZE) /* nibbles above an account's subtree */
#define LIFT_DEPTH    12 /* from here on a lone key is a leaf, however deep it ends */

/* A key that ends where another goes on has a branch of its own, before the 16 nibbles: the chain
 * has no such keys in practice, but whatever it carries must have one answer here. */
#define BRANCH_END 0
#define BRANCHES   17

/* Inner nodes hold their children by ascending branch; leaves of an account hold the key behind the
 * prefix; leaves of the upper trie (one an account) hold nothing but
 * the hash that they were given. */
struct node {
	uint64_t count;     /* keys below */
	uint32_t branches;  /* bit b: a child for branch b; 0: a leaf */
	uint16_t size;      /* of a leaf's key */
	bool     fresh;     /* hash is that of the keys below */
	uint8_t  hash[HASH20_SIZE];
	union {
		struct node *child[1];
		uint8_t      key[1];
	} at;
};

#define NODE_HEAD offsetof(struct node, at)

static size_t inner_bytes(unsigned children)
{
	return NODE_HEAD + children * sizeof(struct node *);
}

static size_t node_bytes(const struct node *n)
{
	return n->branches ? inner_bytes((unsigned)__builtin_popcount(n->branches))
			   : NODE_HEAD + n->size;
}

/* What malloc gives for a request: good enough for bounds, and the same on every allocator. */
static size_t heap_bytes(size_t size)
{
	return (size + 15) & ~(size_t)15;
}

static unsigned children_of(const struct node *n)
{
	return (unsigned)__builtin_popcount(n->branches);
}

static unsigned place_of(const struct node *n, unsigned branch)
{
	return (unsigned)__builtin_popcount(n->branches & ((1u << branch) - 1));
}

static struct node **child_at(struct node *n, unsigned branch)
{
	return n->branches & (1u << branch) ? &n->at.child[place_of(n, branch)] : NULL;
}

static const struct node *child_of(const struct node *n, unsigned branch)
{
	return n->branches & (1u << branch) ? n->at.child[place_of(n, branch)] : NULL;
}

/* Branch of the key at nibble i. */
static unsigned branch_of(struct slice key, size_t i)
{
	if (i >= 2 * key.n)
		return BRANCH_END;
	return 1u + (i % 2 ? key.p[i / 2] & 15u : key.p[i / 2] >> 4);
}

/* ---- nodes and the memory they hold ---- */

struct pool {
	size_t bytes;
};

static struct node *leaf_new(struct pool *pool, struct slice key)
{
	struct node *n = calloc(1, MAX(NODE_HEAD + key.n, sizeof *n));

	if (!n)
		return NULL;
	n->count = 1;
	n->size = (uint16_t)key.n;
	if (key.n)
		memcpy(n->at.key, key.p, key.n);
	pool->bytes += heap_bytes(NODE_HEAD + key.n);
	return n;
}

static struct node *inner_new(struct pool *pool, struct node *child, unsigned branch)
{
	struct node *n = calloc(1, MAX(inner_bytes(1), sizeof *n));

	if (!n)
		return NULL;
	n->branches = 1u << branch;
	n->count = child->count;
	n->at.child[0] = child;
	pool->bytes += heap_bytes(inner_bytes(1));
	return n;
}

static void node_free(struct pool *pool, struct node *n)
{
	pool->bytes -= heap_bytes(node_bytes(n));
	free(n);
}

static void tree_free(struct pool *pool, struct node *n)
{
	if (!n)
		return;
	for (unsigned i = 0; i < children_of(n); i++)
		tree_free(pool, n->at.child[i]);
	node_free(pool, n);
}

/* Room for one child more at `branch`; the caller fills the place. */
static int inner_grow(struct pool *pool, struct node **at, unsigned branch)
{
	struct node *n = *at;
	unsigned     children = children_of(n), place = place_of(n, branch);

	n = realloc(n, MAX(inner_bytes(children + 1), sizeof *n));
	if (!n)
		return -ENOMEM;
	memmove(&n->at.child[place + 1], &n->at.child[place],
		(children - place) * sizeof n->at.child[0]);
	n->branches |= 1u << branch;
	pool->bytes += heap_bytes(inner_bytes(children + 1)) - heap_bytes(inner_bytes(children));
	*at = n;
	return 0;
}

/* Forgets the child at `branch`. The memory stays as it was: it shrinks with the next growth. */
static void inner_drop(struct pool *pool, struct node *n, unsigned branch)
{
	unsigned children = children_of(n), place = place_of(n, branch);

	memmove(&n->at.child[place], &n->at.child[place + 1],
		(children - place - 1) * sizeof n->at.child[0]);
	n->branches &= ~(1u << branch);
	pool->bytes -= heap_bytes(inner_bytes(children)) - heap_bytes(inner_bytes(children - 1));
}

/* ---- the part below an account ---- */

struct account_trie {
	struct pool  pool;
	struct node *top; /* the node at ACCOUNT_DEPTH; NULL: no keys */
	uint8_t      prefix[TRIE_PREFIX_SIZE];
};

struct account_trie *account_trie_new(const uint8_t prefix[TRIE_PREFIX_SIZE])
{
	struct account_trie *t = calloc(1, sizeof *t);

	if (t)
		memcpy(t->prefix, prefix, TRIE_PREFIX_SIZE);
	return t;
}

void account_trie_freep(struct account_trie **t)
{
	if (!*t)
		return;
	tree_free(&(*t)->pool, (*t)->top);
	free(*t);
	*t = NULL;
}

/* Takes away the inner nodes from `top` down to `below`, which stays. */
static void chain_free(struct pool *pool, struct node *top, const struct node *below)
{
	while (top != below) {
		struct node *next = top->at.child[0];

		node_free(pool, top);
		top = next;
	}
}

/* A chain of inner nodes for nibbles [i, until) of the key above
 * `below`. NULL: nothing was made. */
static struct node *chain_new(struct pool *pool, struct slice key, size_t i, size_t until,
			      struct node *below)
{
	struct node *top = below;

	while (until > i) {
		struct node *n = inner_new(pool, top, branch_of(key, --until));

		if (!n) {
			chain_free(pool, top, below);
			return NULL;
		}
		top = n;
	}
	return top;
}

/* A subtree of the one key, as it looks at nibble i: forced nodes first, then the leaf. */
static struct node *lone_new(struct pool *pool, struct slice key, size_t i)
{
	struct node *leaf = leaf_new(pool, key), *top;

	if (!leaf)
		return NULL;
	top = chain_new(pool, key, i, MAX(i, LIFT_DEPTH - ACCOUNT_DEPTH), leaf);
	if (!top)
		node_free(pool, leaf);
	return top;
}

/* Two different keys where one leaf was: inner nodes down to where they part. */
static int leaf_split(struct pool *pool, struct node **at, struct slice key, size_t i)
{
	struct node *old = *at, *leaf, *fork, *top = NULL;
	struct slice other = SLICE(old->at.key, old->size);
	size_t       part = i;

	while (branch_of(key, part) == branch_of(other, part))
		part++;
	leaf = leaf_new(pool, key);
	if (!leaf)
		return -ENOMEM;
	fork = inner_new(pool, old, branch_of(other, part));
	if (fork && inner_grow(pool, &fork, branch_of(key, part)) == 0) {
		*child_at(fork, branch_of(key, part)) = leaf;
		fork->count = 2;
		top = chain_new(pool, key, i, part, fork);
	}
	if (!top) {
		if (fork)
			node_free(pool, fork);
		node_free(pool, leaf);
		return -ENOMEM;
	}
	*at = top;
	return 0;
}

static int insert_at(struct pool *pool, struct node **at, struct slice key, size_t i)
{
	struct node *n = *at, **child, *fresh;
	unsigned     branch = branch_of(key, i);
	int          rc;

	if (!n->branches) {
		if (slice_eq(key, SLICE(n->at.key, n->size)))
			return 0;
		rc = leaf_split(pool, at, key, i);
		return rc < 0 ? rc : 1;
	}
	child = child_at(n, branch);
	if (child) {
		rc = insert_at(pool, child, key, i + 1);
	} else {
		fresh = lone_new(pool, key, i + 1);
		if (!fresh)
			return -ENOMEM;
		rc = inner_grow(pool, at, branch);
		if (rc < 0) {
			tree_free(pool, fresh);
			return rc;
		}
		n = *at;
		*child_at(n, branch) = fresh;
		rc = 1;
	}
	if (rc == 1) {
		n->count++;
		n->fresh = false;
	}
	return rc;
}

int account_trie_insert(struct account_trie *t, struct slice rest)
{
	assert(rest.n >= 1 && rest.n <= TRIE_REST_MAX);
	if (t->top)
		return insert_at(&t->pool, &t->top, rest, 0);
	t->top = lone_new(&t->pool, rest, 0);
	return t->top ? 1 : -ENOMEM;
}

static int delete_at(struct pool *pool, struct node **at, struct slice key, size_t i)
{
	struct node *n = *at, **child;
	unsigned     branch = branch_of(key, i);

	if (!n->branches) {
		if (!slice_eq(key, SLICE(n->at.key, n->size)))
			return 0;
		node_free(pool, n);
		*at = NULL;
		return 1;
	}
	child = child_at(n, branch);
	if (!child || !delete_at(pool, child, key, i + 1))
		return 0;
	n->count--;
	n->fresh = false;
	if (!*child)
		inner_drop(pool, n, branch);
	if (!n->count) {
		node_free(pool, n);
		*at = NULL;
	} else if (n->count == 1 && i >= LIFT_DEPTH - ACCOUNT_DEPTH) {
		*at = n->at.child[0]; /* the nodes below have lifted theirs: it is a leaf */
		node_free(pool, n);
	}
	return 1;
}

int account_trie_delete(struct account_trie *t, struct slice rest)
{
	return t->top ? delete_at(&t->pool, &t->top, rest, 0) : 0;
}

static const struct node *descend(const struct account_trie *t, struct slice key, size_t nibbles)
{
	const struct node *n = t->top;

	for (size_t i = 0; n && n->branches && i < nibbles; i++)
		n = child_of(n, branch_of(key, i));
	return n;
}

bool account_trie_has(const struct account_trie *t, struct slice rest)
{
	const struct node *n = descend(t, rest, 2 * rest.n + 1);

	return n && !n->branches && slice_eq(rest, SLICE(n->at.key, n->size));
}

uint64_t account_trie_count(const struct account_trie *t)
{
	return t->top ? t->top->count : 0;
}

uint64_t account_trie_count_type(const struct account_trie *t, uint8_t type)
{
	const struct node *n = descend(t, SLICE(&type, 1), 2);

	return n ? n->count : 0;
}

static void leaf_hash(const uint8_t prefix[TRIE_PREFIX_SIZE], struct node *n)
{
	uint8_t  nibbles[2 * (TRIE_PREFIX_SIZE + TRIE_REST_MAX)], *p = nibbles;

	for (size_t i = 0; i < TRIE_PREFIX_SIZE; i++) {
		*p++ = prefix[i] >> 4;
		*p++ = prefix[i] & 15;
	}
	for (size_t i = 0; i < n->size; i++) {
		*p++ = n->at.key[i] >> 4;
		*p++ = n->at.key[i] & 15;
	}
	hash_blake3_20(SLICE(nibbles, (size_t)(p - nibbles)), n->hash);
}

/* prefix NULL: the upper trie, whose leaves were given their hashes. */
static void refresh(const uint8_t *prefix, struct node *n)
{
	uint8_t hashes[BRANCHES * HASH20_SIZE];
	size_t  children = children_of(n);

	if (n->fresh)
		return;
	n->fresh = true;
	if (!children) {
		leaf_hash(prefix, n);
		return;
	}
	for (size_t i = 0; i < children; i++) {
		refresh(prefix, n->at.child[i]);
		memcpy(hashes + i * HASH20_SIZE, n->at.child[i]->hash, HASH20_SIZE);
	}
	hash_blake3_20(SLICE(hashes, children * HASH20_SIZE), n->hash);
}

bool account_trie_root(struct account_trie *t, uint8_t out[HASH20_SIZE])
{
	if (!t->top)
		return false;
	refresh(t->prefix, t->top);
	memcpy(out, t->top->hash, HASH20_SIZE);
	return true;
}

size_t account_trie_bytes(const struct account_trie *t)
{
	return sizeof *t + t->pool.bytes;
}

static struct node *tree_copy(struct pool *pool, const struct node *from)
{
	size_t       size = node_bytes(from);
	struct node *n = calloc(1, MAX(size, sizeof *n));

	if (!n)
		return NULL;
	memcpy(n, from, size);
	pool->bytes += heap_bytes(size);
	for (unsigned i = 0; i < children_of(from); i++) {
		n->at.child[i] = tree_copy(pool, from->at.child[i]);
		if (!n->at.child[i]) {
			/* Only the children that were copied are its own. */
			for (unsigned j = 0; j < i; j++)
				tree_free(pool, n->at.child[j]);
			node_free(pool, n);
			return NULL;
		}
	}
	return n;
}

struct account_trie *account_trie_copy(const struct account_trie *from)
{
	AUTO(account_trie_freep) struct account_trie *t = account_trie_new(from->prefix);

	if (!t)
		return NULL;
	if (from->top) {
		t->top = tree_copy(&t->pool, from->top);
		if (!t->top)
			return NULL;
	}
	return TAKE(t);
}

/* ---- the part above: one leaf an account ---- */

struct trie {
	struct pool  pool;
	struct node *top;
};

struct trie *trie_new(void)
{
	return calloc(1, sizeof(struct trie));
}

void trie_freep(struct trie **t)
{
	if (!*t)
		return;
	tree_free(&(*t)->pool, (*t)->top);
	free(*t);
	*t = NULL;
}

static void give(struct node *leaf, const uint8_t root[HASH20_SIZE], uint64_t keys)
{
	leaf->count = keys;
	leaf->fresh = true;
	memcpy(leaf->hash, root, HASH20_SIZE);
}

/* `more` keys are below the path's nodes; a negative number wraps to the right sum. */
static void wear_path(struct trie *t, struct slice prefix, uint64_t more)
{
	struct node **at = &t->top;

	for (size_t i = 0; i < ACCOUNT_DEPTH; i++) {
		(*at)->count += more;
		(*at)->fresh = false;
		at = child_at(*at, branch_of(prefix, i));
	}
}

static int account_add(struct trie *t, struct slice prefix, const uint8_t *root, uint64_t keys)
{
	struct node **at = &t->top, *leaf, *chain;
	size_t        i = 0;

	while (*at && i < ACCOUNT_DEPTH) {
		struct node **next = child_at(*at, branch_of(prefix, i));

		if (!next)
			break;
		at = next;
		i++;
	}
	leaf = leaf_new(&t->pool, SLICE_EMPTY);
	if (!leaf)
		return -ENOMEM;
	give(leaf, root, 0); /* its keys are counted once the whole path is there */
	chain = chain_new(&t->pool, prefix, *at ? i + 1 : i, ACCOUNT_DEPTH, leaf);
	if (!chain) {
		node_free(&t->pool, leaf);
		return -ENOMEM;
	}
	if (!*at) {
		*at = chain;
	} else if (inner_grow(&t->pool, at, branch_of(prefix, i)) == 0) {
		*child_at(*at, branch_of(prefix, i)) = chain;
	} else {
		tree_free(&t->pool, chain);
		return -ENOMEM;
	}
	wear_path(t, prefix, keys);
	leaf->count = keys;
	return 0;
}

static void account_drop(struct pool *pool, struct node **at, struct slice prefix, size_t i,
			 uint64_t keys)
{
	struct node *n = *at, **child;

	if (i == ACCOUNT_DEPTH) {
		node_free(pool, n);
		*at = NULL;
		return;
	}
	child = child_at(n, branch_of(prefix, i));
	account_drop(pool, child, prefix, i + 1, keys);
	n->count -= keys;
	n->fresh = false;
	if (!*child)
		inner_drop(pool, n, branch_of(prefix, i));
	if (!n->branches) {
		node_free(pool, n);
		*at = NULL;
	}
}

int trie_set(struct trie *t, const uint8_t prefix[TRIE_PREFIX_SIZE], const uint8_t *root,
	     uint64_t keys)
{
	struct slice key = SLICE(prefix, TRIE_PREFIX_SIZE);
	struct node *n = t->top;

	for (size_t i = 0; n && i < ACCOUNT_DEPTH; i++)
		n = (struct node *)child_of(n, branch_of(key, i));
	if (!root || !keys) {
		if (n)
			account_drop(&t->pool, &t->top, key, 0, n->count);
		return 0;
	}
	if (!n)
		return account_add(t, key, root, keys);
	wear_path(t, key, keys - n->count);
	give(n, root, keys);
	return 0;
}

bool trie_root(struct trie *t, uint8_t out[HASH20_SIZE])
{
	if (!t->top)
		return false;
	refresh(NULL, t->top);
	memcpy(out, t->top->hash, HASH20_SIZE);
	return true;
}

uint64_t trie_count(const struct trie *t, struct slice prefix)
{
	const struct node *n = t->top;

	assert(prefix.n <= TRIE_PREFIX_SIZE);
	for (size_t i = 0; n && i < 2 * prefix.n; i++)
		n = child_of(n, branch_of(prefix, i));
	return n ? n->count : 0;
}

size_t trie_bytes(const struct trie *t)
{
	return sizeof *t + t->pool.bytes;
}
