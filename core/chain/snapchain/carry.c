#include "core/chain/snapchain/carry.h"

#include "core/chain/snapchain/records.h"

#define NIBBLES  (2 * TRIE_PREFIX_SIZE) /* levels of the trie above an account */
#define CHILDREN 16

/* ---- rows ---- */

enum chain_row sc_row_kind(struct slice key)
{
	switch (key.n ? key.p[0] : 0) {
	case 'R':
		return CHAIN_ROW_RECORD;
	case 'A':
	case 'V':
		return CHAIN_ROW_DERIVED;
	default:
		return CHAIN_ROW_RULE;
	}
}

int sc_record_vshard(struct slice key, unsigned *vshard)
{
	if (key.n <= SC_RECORD_HEAD || key.p[0] != 'R')
		return -EUCLEAN;
	*vshard = key.p[1];
	return 0;
}

int sc_record_split(struct slice value, uint64_t *object, struct slice *rest)
{
	struct rd in = rd_of(value);

	*object = rd_varint(&in);
	*rest = rd_rest(&in);
	return rd_ok(&in) && rest->n ? 0 : -EUCLEAN;
}

int sc_record_join(uint64_t object, struct slice rest, struct buf *value)
{
	buf_varint(value, object);
	buf_add(value, rest);
	return value->failed;
}

/* ---- the trie above the accounts, of which one path is open at a time ---- */

struct upper {
	uint8_t path[NIBBLES];
	uint8_t children[NIBBLES][CHILDREN * HASH20_SIZE]; /* of the node at that depth, so far */
	uint8_t count[NIBBLES];
	uint64_t keys;
};

/* Nodes below `depth` are complete: each becomes a child of the one above. */
static void close_below(struct upper *u, size_t depth)
{
	for (size_t d = NIBBLES - 1; d > depth; d--) {
		hash_blake3_20(SLICE(u->children[d], (size_t)u->count[d] * HASH20_SIZE),
			       u->children[d - 1] + (size_t)u->count[d - 1] * HASH20_SIZE);
		u->count[d - 1]++;
		u->count[d] = 0;
	}
}

/* Accounts come in ascending order. */
static void upper_add(struct upper *u, const uint8_t prefix[TRIE_PREFIX_SIZE],
		      const struct account_root *root)
{
	uint8_t path[NIBBLES];
	size_t common = 0;

	for (size_t i = 0; i < NIBBLES; i++)
		path[i] = i % 2 ? prefix[i / 2] & 15 : prefix[i / 2] >> 4;
	while (common < NIBBLES && path[common] == u->path[common])
		common++;
	assert(!u->keys || (common < NIBBLES && path[common] > u->path[common]));
	if (u->keys)
		close_below(u, common);
	memcpy(u->path, path, sizeof path);
	memcpy(u->children[NIBBLES - 1] + (size_t)u->count[NIBBLES - 1] * HASH20_SIZE, root->root,
	       HASH20_SIZE);
	u->count[NIBBLES - 1]++;
	u->keys += root->keys;
}

static void upper_end(struct upper *u, struct chain_root *out)
{
	memset(out, 0, sizeof *out);
	if (!u->keys)
		return;
	close_below(u, 0);
	hash_blake3_20(SLICE(u->children[0], (size_t)u->count[0] * HASH20_SIZE), out->root);
	out->root_size = HASH20_SIZE;
	out->records = u->keys;
}

/* ---- the rooter ---- */

struct side {
	struct account_trie *trie; /* hyper's: NULL while nothing of the account is retained */
	struct sc_counts sets[SC_SET_COUNT];
};

struct chain_rooter {
	uint32_t shard;
	bool hyper;
	chain_row_emit *emit;
	void *arg;
	struct upper upper[CONTEXT_COUNT];
	uint64_t retained;
	struct sc_key last; /* n 0: nothing came yet */

	/* Of the account whose records come. */
	struct side side[CONTEXT_COUNT];
	uint64_t retained_rows, retained_records;

	/* Of its vshard. */
	uint32_t rows, hyper_alone; /* accounts with a row in `both`, with one in `hyper` only */
};

int sc_root_new(uint32_t shard, bool hyper, chain_row_emit *emit, void *arg,
		struct chain_rooter **out, struct err *err)
{
	struct chain_rooter *r = calloc(1, sizeof *r);

	if (!r)
		return err_set(err, -ENOMEM, "no memory for the roots of shard %u", shard);
	r->shard = shard;
	r->hyper = hyper;
	r->emit = emit;
	r->arg = arg;
	*out = r;
	return 0;
}

void sc_root_free(struct chain_rooter *r)
{
	if (!r)
		return;
	for (int c = 0; c < CONTEXT_COUNT; c++)
		account_trie_freep(&r->side[c].trie);
	free(r);
}

static int emit_row(struct chain_rooter *r, enum space space, const struct sc_key *key,
		    struct slice value)
{
	return r->emit ? r->emit(r->arg, space, sc_key_slice(key), value) : 0;
}

static int emit_account(struct chain_rooter *r, enum context context,
			const struct account_root *root)
{
	bool hyper = context == CONTEXT_HYPER;
	AUTO(buf_release) struct buf row = BUF_INIT(ACCOUNT_ROW_SIZE_MAX);
	struct sc_key key;

	if (!r->emit)
		return 0;
	sc_key_account(&key, r->last.p + 1);
	account_row_write(root, hyper ? r->retained_rows : 0, hyper ? r->retained_records : 0,
			  r->side[context].sets, &row);
	int rc = buf_done(&row);

	return rc < 0 ? rc : emit_row(r, hyper ? SPACE_HYPER : SPACE_BOTH, &key, buf_slice(&row));
}

static void root_of(struct account_trie *t, struct account_root *out)
{
	memset(out, 0, sizeof *out);
	out->keys = account_trie_count(t);
	if (out->keys && !account_trie_root(t, out->root))
		out->keys = 0;
}

/* The account is complete: accounts.c's account_end(), from nothing. */
static int end_account(struct chain_rooter *r)
{
	struct account_root root, hyper;
	const uint8_t *prefix = r->last.p + 1;
	bool has_hyper = r->retained_rows > 0;
	int rc = 0;

	if (!r->side[CONTEXT_LEGACY].trie)
		return 0;
	root_of(r->side[CONTEXT_LEGACY].trie, &root);
	hyper = root;
	if (root.keys) {
		rc = emit_account(r, CONTEXT_LEGACY, &root);
		upper_add(&r->upper[CONTEXT_LEGACY], prefix, &root);
		r->rows++;
	}
	if (has_hyper) {
		root_of(r->side[CONTEXT_HYPER].trie, &hyper);
		if (rc == 0)
			rc = emit_account(r, CONTEXT_HYPER, &hyper);
		r->hyper_alone += !root.keys;
	}
	if (hyper.keys)
		upper_add(&r->upper[CONTEXT_HYPER], prefix, &hyper);
	r->retained += r->retained_records;
	r->retained_rows = r->retained_records = 0;
	for (int c = 0; c < CONTEXT_COUNT; c++) {
		account_trie_freep(&r->side[c].trie);
		memset(r->side[c].sets, 0, sizeof r->side[c].sets);
	}
	return rc;
}

static int emit_count(struct chain_rooter *r, enum space space, uint32_t count)
{
	struct sc_key key;
	uint8_t value[4];

	if (!count)
		return 0;
	sc_key_vshard(&key, r->last.p[1]);
	put_be32(value, count);
	return emit_row(r, space, &key, SLICE_ARRAY(value));
}

static int end_vshard(struct chain_rooter *r)
{
	int rc = emit_count(r, SPACE_BOTH, r->rows);

	if (rc == 0 && r->hyper_alone)
		rc = emit_count(r, SPACE_HYPER, r->rows + r->hyper_alone);
	r->rows = r->hyper_alone = 0;
	return rc;
}

/* Ends what the next record does not belong to. */
static int turn_to(struct chain_rooter *r, struct slice key, struct err *err)
{
	bool same_vshard = r->last.n && key.p[1] == r->last.p[1];
	bool same = r->last.n && memcmp(key.p + 1, r->last.p + 1, TRIE_PREFIX_SIZE) == 0;
	uint8_t prefix[TRIE_PREFIX_SIZE];
	int rc = same ? 0 : end_account(r);

	if (rc == 0 && !same_vshard && r->last.n)
		rc = end_vshard(r);
	if (rc < 0 || same)
		return rc;
	sc_prefix(get_be32(key.p + 2), prefix);
	if (memcmp(prefix, key.p + 1, sizeof prefix) != 0)
		return err_set(err, -EBADMSG, "account %" PRIu32 " is not of vshard %02x",
			       get_be32(key.p + 2), key.p[1]);
	r->side[CONTEXT_LEGACY].trie = account_trie_new(prefix);
	return r->side[CONTEXT_LEGACY].trie ? 0 : -ENOMEM;
}

/* Hyper's side of the account begins as a copy of what legacy has so far. */
static int part(struct chain_rooter *r)
{
	struct side *legacy = &r->side[CONTEXT_LEGACY], *hyper = &r->side[CONTEXT_HYPER];

	if (hyper->trie)
		return 0;
	hyper->trie = account_trie_copy(legacy->trie);
	if (!hyper->trie)
		return -ENOMEM;
	memcpy(hyper->sets, legacy->sets, sizeof hyper->sets);
	return 0;
}

static int add_to(struct side *s, unsigned set, uint32_t line_size, struct slice rest)
{
	s->sets[set].records++;
	s->sets[set].line_bytes += line_size;
	return account_trie_insert(s->trie, rest); /* 0: two rows may share a trie key */
}

static int add(struct chain_rooter *r, enum space space, struct slice key, struct slice value)
{
	unsigned set = (unsigned)key.p[SC_RECORD_HEAD - 1] - 1;
	struct rd in = rd_of(value);
	uint8_t rest[TRIE_REST_MAX];
	int n = sc_record_trie_rest(key, value, rest), rc = 0;

	if (n < 0)
		return -EBADMSG;
	(void)rd_varint(&in); /* object */
	uint32_t line_size = (uint32_t)rd_varint(&in);

	if (space == SPACE_HYPER) {
		rc = part(r);
		r->retained_rows++;
		r->retained_records += set != SC_SET_BORROWS; /* the same record as the lend */
	} else {
		rc = add_to(&r->side[CONTEXT_LEGACY], set, line_size, SLICE(rest, (size_t)n));
	}
	if (rc >= 0 && r->side[CONTEXT_HYPER].trie)
		rc = add_to(&r->side[CONTEXT_HYPER], set, line_size, SLICE(rest, (size_t)n));
	return MIN(rc, 0);
}

int sc_root_add(struct chain_rooter *r, enum space space, struct slice key, struct slice value,
		struct err *err)
{
	if (key.n <= SC_RECORD_HEAD || key.n > SC_KEY_MAX || key.p[0] != 'R' ||
	    !key.p[SC_RECORD_HEAD - 1] || key.p[SC_RECORD_HEAD - 1] > SC_SET_COUNT)
		return err_set(err, -EBADMSG, "shard %u: a key that is no record's", r->shard);
	if (r->last.n && slice_cmp(key, sc_key_slice(&r->last)) <= 0)
		return err_set(err, -EBADMSG, "shard %u: a record is there twice or out of order",
			       r->shard);
	if (space == SPACE_HYPER && !r->hyper)
		return err_set(err, -EBADMSG, "shard %u: a retained record while hyper is off",
			       r->shard);
	int rc = turn_to(r, key, err);

	if (rc == 0) {
		r->last.n = 0;
		sc_key_bytes(&r->last, key.p, key.n);
		rc = add(r, space, key, value);
		if (rc == -EBADMSG)
			err_set(err, rc, "a row that does not parse");
	}
	return rc < 0 ? err_note(err, rc, "shard %u", r->shard) : 0;
}

int sc_root_end(struct chain_rooter *r, struct chain_root out[CONTEXT_COUNT], uint64_t *retained,
		struct err *err)
{
	int rc = end_account(r);

	if (rc == 0 && r->last.n)
		rc = end_vshard(r);
	if (rc < 0)
		return err_note(err, rc, "roots of shard %u", r->shard);
	upper_end(&r->upper[CONTEXT_LEGACY], &out[CONTEXT_LEGACY]);
	upper_end(&r->upper[CONTEXT_HYPER], &out[CONTEXT_HYPER]);
	*retained = r->retained;
	return 0;
}
