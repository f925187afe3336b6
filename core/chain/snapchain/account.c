#include "core/chain/snapchain/account.h"

#include "core/chain/snapchain/records.h"

#define ROW_SIZE_MAX ACCOUNT_ROW_SIZE_MAX
#define VSHARDS      256

struct accounts {
	struct trie    *upper[CONTEXT_COUNT]; /* [CONTEXT_HYPER]: NULL while hyper is off */
	struct account **buckets;
	size_t          bucket_count, count;
	struct account *newest, *oldest;
	size_t          bytes;
	struct account **touched;
	size_t          touched_count, touched_cap;
	uint64_t        retained;             /* records, of all accounts */
	uint32_t        rows[VSHARDS];        /* accounts with a row in `both` */
	uint32_t        hyper_alone[VSHARDS]; /* accounts with a row in `hyper` only */

	/* As it was before the block. */
	uint64_t retained_before;
	uint32_t rows_before[VSHARDS], hyper_alone_before[VSHARDS];
};

/* In the order of counts_before. */
static const uint8_t counted_types[] = { 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18 };
static_assert(ARRAY_LEN(counted_types) == SC_COUNTED_TYPES, "counts_before has a place for each");

/* ---- the table of handles ---- */

struct accounts *accounts_new(void)
{
	struct accounts *as = calloc(1, sizeof *as);

	if (!as)
		return NULL;
	as->bucket_count = 1024;
	as->buckets = calloc(as->bucket_count, sizeof *as->buckets);
	as->upper[CONTEXT_LEGACY] = trie_new();
	if (!as->buckets || !as->upper[CONTEXT_LEGACY])
		accounts_freep(&as);
	return as;
}

size_t accounts_bytes(const struct accounts *as)
{
	return as->bytes;
}

static void account_free(struct account *a)
{
	for (int c = 0; c < CONTEXT_COUNT; c++)
		account_trie_freep(&a->side[c].trie);
	free(a);
}

static void drop_all(struct accounts *as)
{
	while (as->oldest) {
		struct account *a = as->oldest;

		as->oldest = a->newer;
		account_free(a);
	}
	as->newest = NULL;
	as->count = as->bytes = as->touched_count = 0;
	if (as->buckets)
		memset(as->buckets, 0, as->bucket_count * sizeof *as->buckets);
}

void accounts_freep(struct accounts **as)
{
	if (!*as)
		return;
	drop_all(*as);
	for (int c = 0; c < CONTEXT_COUNT; c++)
		trie_freep(&(*as)->upper[c]);
	free((*as)->buckets);
	free((*as)->touched);
	free(*as);
	*as = NULL;
}

static struct account **bucket_of(struct accounts *as, uint32_t fid)
{
	return &as->buckets[(fid * UINT32_C(2654435761)) & (as->bucket_count - 1)];
}

/* A table that cannot grow stays right, only slower. */
static void grow(struct accounts *as)
{
	struct account **wider = calloc(as->bucket_count * 2, sizeof *wider);

	if (!wider)
		return;
	free(as->buckets);
	as->buckets = wider;
	as->bucket_count *= 2;
	for (struct account *a = as->oldest; a; a = a->newer) {
		struct account **at = bucket_of(as, a->fid);

		a->next_in_bucket = *at;
		*at = a;
	}
}

static void unlink_used(struct accounts *as, struct account *a)
{
	*(a->newer ? &a->newer->older : &as->newest) = a->older;
	*(a->older ? &a->older->newer : &as->oldest) = a->newer;
}

static void link_newest(struct accounts *as, struct account *a)
{
	a->newer = NULL;
	a->older = as->newest;
	*(as->newest ? &as->newest->newer : &as->oldest) = a;
	as->newest = a;
}

static void drop(struct accounts *as, struct account *a)
{
	struct account **at = bucket_of(as, a->fid);

	while (*at != a)
		at = &(*at)->next_in_bucket;
	*at = a->next_in_bucket;
	unlink_used(as, a);
	as->count--;
	as->bytes -= a->bytes;
	account_free(a);
}

struct account *account_of(struct replay *r, uint64_t fid64)
{
	struct accounts *as = r->accounts;
	uint32_t         fid = (uint32_t)fid64;
	struct account **at = bucket_of(as, fid), *a = *at;

	while (a && a->fid != fid)
		a = a->next_in_bucket;
	if (a) {
		if (a->used != r->stamp) {
			a->used = r->stamp;
			unlink_used(as, a);
			link_newest(as, a);
		}
		return a;
	}
	a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	a->fid = fid;
	sc_prefix(fid, a->prefix);
	a->used = r->stamp;
	a->bytes = sizeof *a;
	if (++as->count > as->bucket_count)
		grow(as);
	at = bucket_of(as, fid);
	a->next_in_bucket = *at;
	*at = a;
	link_newest(as, a);
	as->bytes += a->bytes;
	return a;
}

/* ---- rows ---- */

int account_row_read(struct slice value, struct account_root *root, uint64_t *retained_rows,
		     uint64_t *retained_records, struct sc_counts sets[SC_SET_COUNT])
{
	struct rd    in = rd_of(value);
	struct slice bytes = rd_bytes(&in, HASH20_SIZE);

	memset(sets, 0, SC_SET_COUNT * sizeof *sets);
	root->keys = rd_varint(&in);
	*retained_rows = rd_varint(&in);
	*retained_records = rd_varint(&in);
	while (rd_ok(&in) && rd_left(&in)) {
		uint8_t set = rd_u8(&in);

		if (set >= SC_SET_COUNT)
			return -EUCLEAN;
		sets[set].records = (uint32_t)rd_varint(&in);
		sets[set].line_bytes = rd_varint(&in);
	}
	if (rd_done(&in) < 0)
		return -EUCLEAN;
	memcpy(root->root, bytes.p, HASH20_SIZE);
	return 0;
}

void account_row_write(const struct account_root *root, uint64_t retained_rows,
		       uint64_t retained_records, const struct sc_counts sets[SC_SET_COUNT],
		       struct buf *out)
{
	buf_bytes(out, root->root, HASH20_SIZE);
	buf_varint(out, root->keys);
	buf_varint(out, retained_rows);
	buf_varint(out, retained_records);
	for (unsigned set = 0; set < SC_SET_COUNT; set++) {
		if (!sets[set].records)
			continue;
		buf_u8(out, (uint8_t)set);
		buf_varint(out, sets[set].records);
		buf_varint(out, sets[set].line_bytes);
	}
}

static int scan_into(struct replay *r, const struct account *a, enum space space,
		     struct account_trie *t)
{
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	struct sc_key prefix;
	struct slice  key, value;
	uint8_t       rest[TRIE_REST_MAX];
	int           rc;

	sc_key_account_records(&prefix, a->prefix);
	rc = state_scan_new(r->st, space, sc_key_slice(&prefix), SLICE_EMPTY, space == SPACE_HYPER,
			    &s);
	while (rc == 0 && (rc = state_scan_next(s, &key, &value)) == 1) {
		int n = sc_record_trie_rest(key, value, rest);

		rc = n < 0 ? n : account_trie_insert(t, SLICE(rest, (size_t)n));
		rc = MIN(rc, 0);
	}
	return rc;
}

/* Builds one side from its row and its record rows. 1: there; 0: it has no row. Nothing of the
 * account was written in this block yet, but for what a new hyper base
 * took away: so hyper is read as G. */
static int side_load(struct replay *r, struct account *a, enum context context,
		     struct account_root *root)
{
	enum space           space = context == CONTEXT_HYPER ? SPACE_HYPER : SPACE_BOTH;
	struct account_side *side = &a->side[context];
	struct sc_key        key;
	struct slice         value;
	uint64_t             rows, records;
	struct account_root  built;
	int                  rc;

	sc_key_account(&key, a->prefix);
	rc = context == CONTEXT_HYPER
		     ? state_get(r->st, space, sc_key_slice(&key), &value)
		     : state_get_committed(r->st, space, sc_key_slice(&key), &value);
	if (rc != 1)
		return rc;
	rc = account_row_read(value, root, &rows, &records, side->sets);
	if (rc < 0)
		return rc;
	if (context == CONTEXT_HYPER) {
		a->retained_rows = rows;
		a->retained_records = records;
		side->trie = account_trie_copy(a->side[CONTEXT_LEGACY].trie);
		if (!side->trie)
			return -ENOMEM;
	}
	rc = scan_into(r, a, space, side->trie);
	if (rc < 0)
		return rc;
	built.keys = account_trie_count(side->trie);
	if (built.keys != root->keys || !account_trie_root(side->trie, built.root) ||
	    memcmp(built.root, root->root, HASH20_SIZE) != 0)
		return -EUCLEAN;
	return 1;
}

static int load(struct replay *r, struct account *a)
{
	struct account_side *legacy = &a->side[CONTEXT_LEGACY];
	struct account_root  root;
	int                  rc;

	legacy->trie = account_trie_new(a->prefix);
	if (!legacy->trie)
		return -ENOMEM;
	rc = side_load(r, a, CONTEXT_LEGACY, &root);
	if (rc >= 0 && r->hyper)
		rc = side_load(r, a, CONTEXT_HYPER, &root);
	if (rc < 0) {
		account_trie_freep(&legacy->trie);
		account_trie_freep(&a->side[CONTEXT_HYPER].trie);
		return rc;
	}
	for (size_t i = 0; i < SC_COUNTED_TYPES; i++)
		a->counts[i] = (uint32_t)account_trie_count_type(legacy->trie,
								 (uint8_t)(counted_types[i] << 3));
	a->loaded = true;
	return 0;
}

/* ---- touching ---- */

static void root_of(struct account_trie *t, struct account_root *out)
{
	out->keys = account_trie_count(t);
	if (!account_trie_root(t, out->root))
		memset(out->root, 0, HASH20_SIZE);
}

static int counted_place(int32_t type)
{
	for (size_t i = 0; i < SC_COUNTED_TYPES; i++)
		if (counted_types[i] == type)
			return (int)i;
	return -1;
}

void account_counted(struct account *a, uint8_t trie_type, int by)
{
	int place = trie_type & 7 ? -1 : counted_place(trie_type >> 3);

	if (place >= 0)
		a->counts[place] += (uint32_t)by;
}

int account_touch(struct replay *r, struct account *a)
{
	struct accounts *as = r->accounts;
	int              rc;

	if (a->touched == r->stamp)
		return 0;
	if (!a->loaded) {
		rc = load(r, a);
		if (rc < 0)
			return rc;
	}
	if (base_grow(&as->touched, &as->touched_cap, as->touched_count + 1,
		      sizeof(struct account *)) < 0)
		return -ENOMEM;
	as->touched[as->touched_count++] = a;
	a->touched = r->stamp;
	a->changed = false;
	root_of(a->side[CONTEXT_LEGACY].trie, &a->before[CONTEXT_LEGACY]);
	a->had_row[CONTEXT_LEGACY] = a->before[CONTEXT_LEGACY].keys > 0;
	a->before[CONTEXT_HYPER] = a->before[CONTEXT_LEGACY];
	a->had_row[CONTEXT_HYPER] = a->retained_rows > 0;
	if (a->side[CONTEXT_HYPER].trie)
		root_of(a->side[CONTEXT_HYPER].trie, &a->before[CONTEXT_HYPER]);
	a->retained_before = a->retained_records;
	memcpy(a->counts_before, a->counts, sizeof a->counts);
	return 0;
}

int account_part(struct account *a)
{
	struct account_side *legacy = &a->side[CONTEXT_LEGACY], *hyper = &a->side[CONTEXT_HYPER];

	if (hyper->trie)
		return 0;
	hyper->trie = account_trie_copy(legacy->trie);
	if (!hyper->trie)
		return -ENOMEM;
	memcpy(hyper->sets, legacy->sets, sizeof hyper->sets);
	return 0;
}

struct sc_oldest *account_oldest(struct replay *r, struct account *a, enum sc_set set)
{
	static const uint8_t places[SC_SET_COUNT] = {
		[SC_SET_CASTS] = SC_PRUNED_CASTS + 1,
		[SC_SET_LINKS] = SC_PRUNED_LINKS + 1,
		[SC_SET_REACTIONS] = SC_PRUNED_REACTIONS + 1,
	};
	struct sc_oldest *o;

	if (!places[set])
		return NULL;
	o = &a->oldest[places[set] - 1];
	if (o->pruned_in && o->pruned_in < r->stamp) {
		bool lower =
			o->put_in == o->pruned_in && memcmp(o->put, o->pruned, sizeof o->put) < 0;

		memcpy(o->order, lower ? o->put : o->pruned, sizeof o->order);
		o->pruned_in = 0;
	}
	return o;
}

int account_count(struct replay *r, struct account *a, int32_t type, uint64_t *out)
{
	int place = counted_place(type), rc = account_touch(r, a);

	if (rc < 0)
		return rc;
	*out = place < 0 ? 0 : a->counts[place] ? a->counts[place] : a->counts_before[place];
	return 0;
}

int account_root_of(struct replay *r, struct account *a, struct account_root *out)
{
	struct sc_counts sets[SC_SET_COUNT];
	uint64_t         rows, records;
	struct sc_key    key;
	struct slice     value;
	int              rc;

	if (a->loaded) {
		root_of(a->side[CONTEXT_LEGACY].trie, out);
		if (!out->keys && a->touched == r->stamp)
			*out = a->before[CONTEXT_LEGACY];
		return 0;
	}
	/* Nothing of it was changed in this block: its row tells. */
	memset(out, 0, sizeof *out);
	sc_key_account(&key, a->prefix);
	rc = state_get_committed(r->st, SPACE_BOTH, sc_key_slice(&key), &value);
	return rc == 1 ? account_row_read(value, out, &rows, &records, sets) : rc;
}

/* ---- the whole of them ---- */

static int load_context(struct replay *r, enum context context)
{
	AUTO(state_scan_freep) struct state_scan *s = NULL;
	struct accounts    *as = r->accounts;
	struct sc_counts    sets[SC_SET_COUNT];
	struct account_root root;
	struct slice        key, value;
	uint64_t            rows, records;
	bool                hyper = context == CONTEXT_HYPER;
	int rc = state_scan_new(r->st, hyper ? SPACE_HYPER : SPACE_BOTH, slice_str("A"),
				SLICE_EMPTY, hyper, &s);

	while (rc == 0 && (rc = state_scan_next(s, &key, &value)) == 1) {
		if (key.n != 1 + TRIE_PREFIX_SIZE)
			return -EUCLEAN;
		rc = account_row_read(value, &root, &rows, &records, sets);
		if (rc < 0)
			return rc;
		struct slice prefix = slice_sub(key, 1, TRIE_PREFIX_SIZE);

		if (!hyper)
			as->rows[prefix.p[0]]++;
		else if (!trie_count(as->upper[CONTEXT_LEGACY], prefix))
			as->hyper_alone[prefix.p[0]]++;
		if (hyper)
			as->retained += records;
		else if (as->upper[CONTEXT_HYPER])
			rc = trie_set(as->upper[CONTEXT_HYPER], prefix.p, root.root, root.keys);
		if (rc == 0)
			rc = trie_set(as->upper[context], prefix.p, root.root, root.keys);
	}
	return rc;
}

/* Present in `hyper` while anything is retained, so that its absence tells of a new hyper base. */
static const char retained_marker[] = "H";

static int marker_end(struct replay *r)
{
	struct accounts *as = r->accounts;
	struct slice     key = slice_str(retained_marker);

	if (!as->retained == !as->retained_before)
		return 0;
	return as->retained ? state_put(r->st, SPACE_HYPER, key, SLICE_EMPTY, false) :
			      state_delete(r->st, SPACE_HYPER, key, REASON_REMOVED);
}

int accounts_rebased(struct replay *r)
{
	struct slice value;
	int          rc;

	if (!r->loaded || !r->accounts->retained)
		return 0;
	rc = state_get(r->st, SPACE_HYPER, slice_str(retained_marker), &value);
	return rc < 0 ? rc : !rc;
}

int accounts_load(struct replay *r, struct err *err)
{
	struct accounts *as = r->accounts;
	int              rc;

	drop_all(as);
	for (int c = 0; c < CONTEXT_COUNT; c++)
		trie_freep(&as->upper[c]);
	memset(as->rows, 0, sizeof as->rows);
	memset(as->hyper_alone, 0, sizeof as->hyper_alone);
	as->retained = 0;
	as->upper[CONTEXT_LEGACY] = trie_new();
	as->upper[CONTEXT_HYPER] = r->hyper ? trie_new() : NULL;
	if (!as->upper[CONTEXT_LEGACY] || (r->hyper && !as->upper[CONTEXT_HYPER]))
		return err_set(err, -ENOMEM, "no memory for the tries of shard %u", r->shard);
	rc = load_context(r, CONTEXT_LEGACY);
	if (rc == 0 && r->hyper)
		rc = load_context(r, CONTEXT_HYPER);
	return rc < 0 ? err_note(err, rc, "accounts of shard %u", r->shard) : 0;
}

void accounts_begin(struct replay *r)
{
	struct accounts *as = r->accounts;

	as->touched_count = 0;
	as->retained_before = as->retained;
	memcpy(as->rows_before, as->rows, sizeof as->rows);
	memcpy(as->hyper_alone_before, as->hyper_alone, sizeof as->hyper_alone);
}

/* Writes one side's row, or takes it away. */
static int side_end(struct replay *r, struct account *a, enum context context,
		    const struct account_root *root, bool has)
{
	bool       hyper = context == CONTEXT_HYPER;
	enum space space = hyper ? SPACE_HYPER : SPACE_BOTH;
	AUTO(buf_release) struct buf row = BUF_INIT(ROW_SIZE_MAX);
	struct sc_key key;
	int           rc;

	sc_key_account(&key, a->prefix);
	if (!has)
		return !a->had_row[context] ? 0 :
					      state_delete(r->st, space, sc_key_slice(&key),
							   REASON_REMOVED);
	account_row_write(root, hyper ? a->retained_rows : 0, hyper ? a->retained_records : 0,
			  a->side[context].sets, &row);
	rc = buf_done(&row);
	return rc < 0 ? rc : state_put(r->st, space, sc_key_slice(&key), buf_slice(&row), false);
}

static int account_end(struct replay *r, struct account *a)
{
	struct accounts    *as = r->accounts;
	struct account_root legacy, hyper;
	uint8_t             vshard = a->prefix[0];
	bool                has, has_hyper = a->retained_rows > 0;
	int                 rc;

	if (!a->changed)
		return 0;
	root_of(a->side[CONTEXT_LEGACY].trie, &legacy);
	has = legacy.keys > 0;
	rc = side_end(r, a, CONTEXT_LEGACY, &legacy, has);
	if (rc == 0)
		rc = trie_set(as->upper[CONTEXT_LEGACY], a->prefix, legacy.root, legacy.keys);
	if (rc == 0 && as->upper[CONTEXT_HYPER]) {
		if (!has_hyper)
			account_trie_freep(&a->side[CONTEXT_HYPER].trie);
		hyper = legacy;
		if (has_hyper)
			root_of(a->side[CONTEXT_HYPER].trie, &hyper);
		rc = side_end(r, a, CONTEXT_HYPER, &hyper, has_hyper);
		if (rc == 0)
			rc = trie_set(as->upper[CONTEXT_HYPER], a->prefix, hyper.root, hyper.keys);
	}
	as->rows[vshard] += (uint32_t)has - (uint32_t)a->had_row[CONTEXT_LEGACY];
	as->hyper_alone[vshard] +=
		(uint32_t)(has_hyper && !has) -
		(uint32_t)(a->had_row[CONTEXT_HYPER] && !a->had_row[CONTEXT_LEGACY]);
	as->retained += a->retained_records - a->retained_before;
	as->bytes -= a->bytes;
	a->bytes = sizeof *a + account_trie_bytes(a->side[CONTEXT_LEGACY].trie);
	if (a->side[CONTEXT_HYPER].trie)
		a->bytes += account_trie_bytes(a->side[CONTEXT_HYPER].trie);
	as->bytes += a->bytes;
	return rc;
}

static int put_count(struct replay *r, enum space space, uint8_t vshard, uint32_t now,
		     uint32_t before)
{
	struct sc_key key;
	uint8_t       value[4];

	if (now == before)
		return 0;
	sc_key_vshard(&key, vshard);
	put_be32(value, now);
	return now ? state_put(r->st, space, sc_key_slice(&key), SLICE_ARRAY(value), false) :
		     state_delete(r->st, space, sc_key_slice(&key), REASON_REMOVED);
}

/* How many accounts a vshard lists; hyper has a row of its own only while its number differs. */
static int vshards_end(struct replay *r)
{
	struct accounts *as = r->accounts;
	int              rc = 0;

	for (unsigned v = 0; v < VSHARDS && rc == 0; v++) {
		uint32_t alone = as->hyper_alone[v], alone_before = as->hyper_alone_before[v];

		rc = put_count(r, SPACE_BOTH, (uint8_t)v, as->rows[v], as->rows_before[v]);
		if (rc == 0)
			rc = put_count(r, SPACE_HYPER, (uint8_t)v, alone ? as->rows[v] + alone : 0,
				       alone_before ? as->rows_before[v] + alone_before : 0);
	}
	return rc;
}

static void root_result(struct trie *t, struct chain_root *out)
{
	out->records = trie_count(t, SLICE_EMPTY);
	out->root_size = trie_root(t, out->root) ? HASH20_SIZE : 0;
}

/* What was not used in this block goes when the bound is
 * passed; what it touched may yet be aborted. */
static void trim(struct accounts *as, size_t bytes_max, uint64_t stamp)
{
	while (as->bytes > bytes_max && as->oldest && as->oldest->used != stamp)
		drop(as, as->oldest);
}

int accounts_end(struct replay *r, struct chain_result *out)
{
	struct accounts *as = r->accounts;
	int              rc = 0;

	for (size_t i = 0; i < as->touched_count && rc == 0; i++)
		rc = account_end(r, as->touched[i]);
	if (rc == 0)
		rc = vshards_end(r);
	if (rc == 0)
		rc = marker_end(r);
	if (rc < 0)
		return rc;
	root_result(as->upper[CONTEXT_LEGACY], &out->legacy);
	out->hyper = out->legacy;
	if (as->upper[CONTEXT_HYPER])
		root_result(as->upper[CONTEXT_HYPER], &out->hyper);
	out->retained = as->retained;
	trim(as, ACCOUNTS_BYTES_MAX(r->st), r->stamp);
	return 0;
}

void accounts_abort(struct replay *r)
{
	struct accounts *as = r->accounts;

	for (size_t i = 0; i < as->touched_count; i++) {
		struct account *a = as->touched[i];

		for (int c = 0; c < CONTEXT_COUNT; c++) {
			/* A path that was taken away may need memory to
			 * come back; then all is read again. */
			if (as->upper[c] && trie_set(as->upper[c], a->prefix, a->before[c].root,
						     a->before[c].keys) < 0)
				r->loaded = false;
		}
		drop(as, a);
	}
	as->touched_count = 0;
	as->retained = as->retained_before;
	memcpy(as->rows, as->rows_before, sizeof as->rows);
	memcpy(as->hyper_alone, as->hyper_alone_before, sizeof as->hyper_alone);
}
