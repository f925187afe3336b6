#include "fs/tree/xattr.h"

#include "fs/tree/rows.h"

#define PREFIX "user.chain."

/* What is known of a place; what is not there has no attribute. */
struct facts {
	uint8_t hash[HASH_SIZE];
	uint8_t hash_size;
	uint8_t parent[PARENT_SIZE_MAX];
	uint8_t parent_size;
	uint64_t height; /* 0: none */
	bool has_shard;
	uint32_t shard;
	const char *context;
	const char *level;
};

static void set_hash(struct facts *f, const uint8_t *hash, size_t size)
{
	f->hash_size = (uint8_t)MIN(size, HASH_SIZE);
	memcpy(f->hash, hash, f->hash_size);
}

static void set_height(struct facts *f, uint32_t shard, uint64_t height)
{
	f->has_shard = true;
	f->shard = shard;
	f->height = height;
}

static void set_shard(const struct node *n, struct facts *f)
{
	f->has_shard = true;
	f->shard = n->scope.shard;
}

/* ---- facts of what a row is about ---- */

/* A view that does not know the block as replayed must not tell what replay said: cf. verify. */
static const char *level_of(const struct look *l, const struct block_row *row)
{
	bool state_known = row->height <= look_shard(l, row->shard)->replayed;
	const char *last = NULL;

	for (int i = 0; i < LEVEL_COUNT; i++) {
		if (row->levels[i].verdict != VERDICT_OK || (i >= LEVEL_ACCOUNTS && !state_known))
			break;
		last = level_names[i];
	}
	return last;
}

static void of_row(const struct look *l, const struct block_row *row, struct facts *f)
{
	set_height(f, row->shard, row->height);
	set_hash(f, row->hash, HASH_SIZE);
	memcpy(f->parent, row->parent, row->parent_size);
	f->parent_size = row->parent_size;
	f->level = level_of(l, row);
}

/* The level of a block that need not be held: a state may have come without its blocks. */
static int add_level(struct look *l, uint32_t shard, uint64_t height, struct facts *f)
{
	const struct block_row *row;
	int rc = height ? look_block(l, shard, height, &row) : -ENODATA;

	if (rc == 0)
		f->level = level_of(l, row);
	return rc == -ENODATA || rc == -ENOENT ? 0 : rc;
}

static int of_nothing(struct look *l, const struct node *n, struct facts *f)
{
	return 0;
}

static int of_lane(struct look *l, const struct node *n, struct facts *f)
{
	set_shard(n, f);
	return 0;
}

static int of_block(struct look *l, const struct node *n, struct facts *f)
{
	const struct block_row *row;
	int rc = look_block_object(l, n->key, &row);

	if (rc == 0)
		of_row(l, row, f);
	return rc;
}

static int of_settling(struct look *l, const struct node *n, struct facts *f)
{
	const struct block_row *row;
	int rc = settling_row(l, n, &row);

	if (rc == 0)
		of_row(l, row, f);
	return rc;
}

static int of_object(struct look *l, const struct node *n, struct facts *f)
{
	struct stat_record stat;
	int rc = look_stat(l, n->key, &stat);

	if (rc < 0)
		return rc;
	set_height(f, stat.shard, stat.height);
	rc = object_hash(l, n->key, f->hash, &f->hash_size);
	return rc < 0 ? rc : add_level(l, stat.shard, stat.height, f);
}

static int of_envelope(struct look *l, const struct node *n, struct facts *f)
{
	set_height(f, n->scope.shard, n->key);
	return add_level(l, n->scope.shard, n->key, f);
}

/* Something of a state that has no hash of its own. */
static int in_state(struct look *l, const struct node *n, struct facts *f)
{
	uint64_t height = look_height(l, &n->scope);

	set_height(f, n->scope.shard, height);
	return add_level(l, n->scope.shard, height, f);
}

static int of_state(struct look *l, const struct node *n, struct facts *f)
{
	const struct shard_view *sv = look_shard(l, n->scope.shard);
	bool hyper = n->scope.context == CONTEXT_HYPER;
	struct roots_row roots = { .has_hyper = sv->hyper_on };
	int rc = in_state(l, n, f);

	if (rc == 0 && n->scope.kind != SCOPE_STATE) {
		roots.legacy = sv->legacy;
		roots.hyper = sv->hyper;
	} else if (rc == 0 && f->height) {
		rc = network_roots(l->view->network, n->scope.shard, f->height, &roots);
	}
	if (rc < 0)
		return rc;
	/* At its base hyper is legacy. */
	const struct chain_root *root = hyper && roots.has_hyper ? &roots.hyper : &roots.legacy;

	if (!hyper || sv->hyper_on)
		set_hash(f, root->root, root->root_size);
	return 0;
}

static int of_account(struct look *l, const struct node *n, struct facts *f)
{
	const struct chain_account *account;
	int rc = in_state(l, n, f);

	if (rc == 0)
		rc = look_account(l, &n->scope, n->key, &account);
	if (rc == 0)
		set_hash(f, account->root, account->root_size);
	return rc;
}

/* diffs/H is about a main block, and is of no context. */
static int of_main_block(struct look *l, const struct node *n, struct facts *f)
{
	const struct block_row *row;
	int rc = look_block(l, 0, n->scope.height, &row);

	if (rc == 0)
		of_row(l, row, f);
	return rc;
}

/* What is read of the block is of the one that the checkpoint is named after, if that is held. */
static int of_checkpoint(struct look *l, const struct node *n, struct facts *f)
{
	const struct block_row *row;
	int rc = look_block(l, 0, n->scope.height, &row);

	set_height(f, 0, n->scope.height);
	if (rc == 0 && get_be32(row->hash) == n->scope.view_number)
		of_row(l, row, f);
	return rc == -ENODATA || rc == -ENOENT ? 0 : rc;
}

/* ---- the rows ---- */

enum whose { NEITHER, ITS_SCOPE, BOTH };

/* A row that is not here has no attributes. */
static const struct {
	int (*facts)(struct look *l, const struct node *n, struct facts *f);
	uint8_t context; /* enum whose */
} rows[ROW_COUNT] = {
	[ROW_CONTEXT] = { of_nothing, ITS_SCOPE },
	[ROW_LANES] = { of_nothing, ITS_SCOPE },
	[ROW_LANE] = { of_lane, ITS_SCOPE },
	[ROW_BLOCKS] = { of_lane, ITS_SCOPE },
	[ROW_BLOCK_RANGE] = { of_lane, ITS_SCOPE },
	[ROW_INDEX] = { of_lane, BOTH },
	[ROW_ITEMS_BULK] = { of_lane, BOTH },
	[ROW_ROOTS] = { of_lane, ITS_SCOPE },
	[ROW_ROOTS_RANGE] = { of_lane, ITS_SCOPE },
	[ROW_ENVELOPES] = { of_lane, ITS_SCOPE },
	[ROW_ENVELOPE_RANGE] = { of_lane, ITS_SCOPE },
	[ROW_ENVELOPE] = { of_envelope, ITS_SCOPE },
	[ROW_ENVELOPE_JSON] = { of_envelope, ITS_SCOPE },
	[ROW_ATS] = { of_lane, ITS_SCOPE },

	[ROW_BLOCK] = { of_block, ITS_SCOPE },
	[ROW_ITEMS] = { of_block, ITS_SCOPE },
	[ROW_BLOCK_BYTES] = { of_block, BOTH },
	[ROW_COMMITS] = { of_block, BOTH },
	[ROW_SIGNERS] = { of_block, BOTH },
	[ROW_HEADER] = { of_block, BOTH },
	[ROW_HEADER_JSON] = { of_block, BOTH },
	[ROW_PARENT] = { of_block, BOTH },
	[ROW_VERIFY] = { of_settling, BOTH },
	[ROW_OUTCOMES] = { of_settling, BOTH },
	[ROW_ITEM] = { of_object, BOTH },
	[ROW_ITEM_BYTES] = { of_object, BOTH },
	[ROW_RECORD] = { of_object, BOTH },
	[ROW_RECORD_BYTES] = { of_object, BOTH },

	[ROW_STATE] = { of_state, ITS_SCOPE },
	[ROW_AT] = { of_state, ITS_SCOPE },
	[ROW_STATE_SHARD] = { of_state, ITS_SCOPE },
	[ROW_STATE_ROOTS] = { of_state, ITS_SCOPE },
	[ROW_STATE_SHARDS] = { in_state, ITS_SCOPE },
	[ROW_ACCOUNTS] = { in_state, ITS_SCOPE },
	[ROW_VSHARD] = { in_state, ITS_SCOPE },
	[ROW_ACCOUNT] = { of_account, ITS_SCOPE },
	[ROW_ACCOUNT_ROOT] = { of_account, ITS_SCOPE },
	[ROW_COUNTS] = { of_account, ITS_SCOPE },
	[ROW_LIMITS] = { in_state, BOTH },
	[ROW_SET] = { in_state, ITS_SCOPE },
	[ROW_SET_BULK] = { in_state, ITS_SCOPE },
	[ROW_NAMES] = { in_state, ITS_SCOPE },
	[ROW_NAME] = { in_state, BOTH },

	[ROW_DIFF] = { of_main_block, NEITHER },
	[ROW_REPORT] = { of_main_block, NEITHER },
	[ROW_REPORT_JSON] = { of_main_block, NEITHER },
	[ROW_RETAINED] = { of_main_block, NEITHER },
	[ROW_RETAINED_SHARD] = { in_state, NEITHER },
	[ROW_RETAINED_ACCOUNT] = { in_state, NEITHER },
	[ROW_RETAINED_SET] = { in_state, NEITHER },

	[ROW_CHECKPOINT] = { of_checkpoint, NEITHER },
	[ROW_CP_INFO] = { of_checkpoint, NEITHER },
	[ROW_CP_SUMS] = { of_checkpoint, NEITHER },
	[ROW_CP_VERDICT] = { of_checkpoint, NEITHER },
	[ROW_CP_BLOCKS] = { of_checkpoint, NEITHER },
	[ROW_CP_BLOCK] = { of_checkpoint, NEITHER },
	[ROW_CP_LEGACY] = { of_checkpoint, NEITHER },
	[ROW_CP_LEGACY_SHARD] = { of_checkpoint, NEITHER },
	[ROW_CP_LEGACY_PACK] = { of_checkpoint, NEITHER },
	[ROW_CP_RETAINED] = { of_checkpoint, NEITHER },
	[ROW_CP_RETAINED_SHARD] = { of_checkpoint, NEITHER },
	[ROW_CP_RETAINED_PACK] = { of_checkpoint, NEITHER },
	[ROW_CP_RULES] = { of_checkpoint, NEITHER },
	[ROW_CP_RULES_SHARD] = { of_checkpoint, NEITHER },
	[ROW_CP_RULES_BOTH] = { of_checkpoint, NEITHER },
	[ROW_CP_RULES_HYPER] = { of_checkpoint, NEITHER },
	[ROW_CP_EVIDENCE] = { of_checkpoint, NEITHER },
	[ROW_CP_PARAMETERS] = { of_checkpoint, NEITHER },
	[ROW_CP_COMMITS] = { of_checkpoint, NEITHER },

	[ROW_GAPS_SHARD] = { of_lane, NEITHER },
	[ROW_GAP] = { of_lane, NEITHER },
	[ROW_GAP_ERROR] = { of_lane, NEITHER },
	[ROW_GAP_NEXT] = { of_lane, NEITHER },
	[ROW_GAP_REASON] = { of_lane, NEITHER },
	[ROW_GAP_STATUS] = { of_lane, NEITHER },
	[ROW_GAP_TRIES] = { of_lane, NEITHER },
	[ROW_GAP_CLAIM] = { of_lane, NEITHER },
	[ROW_MAP] = { of_lane, NEITHER },
};

/* An attribute that was asked for cannot be told: that is said, and never a list cut short. */
static int facts_of(struct look *l, const struct node *n, struct facts *f)
{
	*f = (struct facts){ .hash_size = 0 };
	if (!rows[n->row].facts)
		return 0;
	if (rows[n->row].context == ITS_SCOPE)
		f->context = context_rules[n->scope.context].name;
	else if (rows[n->row].context == BOTH)
		f->context = "both";
	return rows[n->row].facts(l, n, f);
}

/* ---- the names ---- */

static void put_context(const struct facts *f, struct buf *out)
{
	buf_str(out, f->context ? f->context : "");
}

static void put_hash(const struct facts *f, struct buf *out)
{
	buf_hex(out, SLICE(f->hash, f->hash_size));
}

static void put_height(const struct facts *f, struct buf *out)
{
	if (f->height)
		buf_u64(out, f->height);
}

static void put_level(const struct facts *f, struct buf *out)
{
	buf_str(out, f->level ? f->level : "");
}

static void put_parent(const struct facts *f, struct buf *out)
{
	buf_hex(out, SLICE(f->parent, f->parent_size));
}

static void put_shard(const struct facts *f, struct buf *out)
{
	if (f->has_shard)
		buf_u64(out, f->shard);
}

/* A value is never empty: a place that would say nothing has not got the attribute. */
static const struct {
	const char *name;
	void (*put)(const struct facts *f, struct buf *out);
} names[] = {
	{ PREFIX "context", put_context }, { PREFIX "hash", put_hash },
	{ PREFIX "height", put_height },   { PREFIX "level", put_level },
	{ PREFIX "parent", put_parent },   { PREFIX "shard", put_shard },
};

static int place_facts(const struct view *view, const struct node *n, struct facts *f,
		       struct err *err)
{
	AUTO(look_release) struct look l = LOOK_INIT(view, err);
	int rc = tree_check(view, n, err);

	return rc < 0 ? rc : facts_of(&l, n, f);
}

int xattr_get(const struct view *view, const struct node *n, const char *name, struct buf *out,
	      struct err *err)
{
	struct facts f;
	size_t i = 0;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
		return -EOPNOTSUPP;
	while (i < ARRAY_LEN(names) && strcmp(names[i].name, name) != 0)
		i++;
	if (i == ARRAY_LEN(names))
		return -ENODATA;
	int rc = place_facts(view, n, &f, err);

	if (rc < 0)
		return rc;
	names[i].put(&f, out);
	rc = buf_done(out);
	return rc == 0 && out->n == 0 ? -ENODATA : rc;
}

int xattr_list(const struct view *view, const struct node *n, struct buf *out, struct err *err)
{
	AUTO(buf_release) struct buf value = BUF_INIT(XATTR_TEXT_MAX);
	struct facts f;
	int rc = place_facts(view, n, &f, err);

	if (rc < 0)
		return rc;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_clear(&value);
		names[i].put(&f, &value);
		rc = buf_done(&value);
		if (rc < 0)
			return rc;
		if (value.n) {
			buf_str(out, names[i].name);
			buf_u8(out, 0);
		}
	}
	return buf_done(out);
}
