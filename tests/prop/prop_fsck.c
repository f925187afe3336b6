/* What fsck finds. A flipped bit in a segment: exactly the blocks that cannot be served any more,
 * and repair and another import make the store what it was. A row of the database that somebody
 * changed, took away or invented: the part that it belongs to, and what repair mends is whole
 * afterwards. */
#include "tests/unit/tree_fixture.h"

#include <sys/stat.h>

#include "core/base/sign.h"
#include "core/fsck/fsck.h"
#include "core/store/blocks.h"
#include "core/store/inside.h"
#include "core/store/stats.h"

#define ROUNDS  4u
#define HEIGHTS 60u /* of each shard */
#define ARCHIVE "tests/vectors/devnet-a"

/* ---- what fsck said ---- */

struct said {
	uint64_t counts[FSCK_CLASS_COUNT];
	char     parts[512];    /* " class/part" of each fault, once */
	uint64_t blocks;        /* heights named as damaged blocks, as a sum of mixes */
	unsigned repaired;
};

static uint64_t mix_place(uint32_t shard, uint64_t height)
{
	uint64_t h = ((uint64_t)shard << 40 | height) * UINT64_C(0x9e3779b97f4a7c15);

	return (h ^ h >> 31) * UINT64_C(0xbf58476d1ce4e5b9);
}

static void note(void *arg, const struct fsck_fault *f)
{
	struct said *s = arg;
	char part[64];

	snprintf(part, sizeof part, " %s/%s", fsck_class_names[f->class], f->part);
	if (!strstr(s->parts, part))
		strncat(s->parts, part, sizeof s->parts - strlen(s->parts) - 1);
	if (f->class == FSCK_DAMAGED && strcmp(f->part, "block") == 0)
		s->blocks += mix_place(f->shard, f->height);
	assert_true(f->sentence[0] != 0);
}

static void told(void *arg, const char *sentence)
{
	struct said *s = arg;

	s->repaired++;
	assert_true(sentence[0] != 0);
}

static struct said check(struct network *n, bool mend)
{
	AUTO(repair_freep) struct repair *repair = NULL;
	AUTO(fsck_fixes_freep) struct fsck_fixes *fixes = NULL;
	struct said s = { 0 };
	struct fsck_options o = { .report = note, .arg = &s };
	struct fsck_counts counts;
	struct err err = ERR_INIT;

	if (mend)
		must(repair_begin(n, NULL, NULL, NULL, &repair, &err), &err);
	must(fsck_run(n, &o, &counts, &fixes, &err), &err);
	memcpy(s.counts, counts.faults, sizeof s.counts);
	if (mend)
		must(fsck_repair(repair, fixes, told, &s, &err), &err);
	return s;
}

static void assert_clean(struct network *n)
{
	struct said s = check(n, false);

	if (s.parts[0])
		fail_msg("fsck says%s", s.parts);
}

/* ---- a store that is opened again and again ---- */

static void reopen(struct chain *c)
{
	struct store_options options = { .holder = "test", .sync_off = true,
					 .cache_size = 8u << 20 };
	struct err err = ERR_INIT;

	store_closep(&c->store);
	must(store_open(c->path, &options, &c->store, &err), &err);
	c->network = store_network_at(c->store, 0);
}

static void feed(struct chain *c, int hyper)
{
	for (uint32_t s = 3; s-- > 0;)
		chain_feed(c, s, 1, HEIGHTS, hyper);
}

/* Every block's object and bytes, as one digest; `bad` sums up those that cannot be read. */
static void digest_blocks(struct network *n, uint8_t out[HASH_SIZE], uint64_t *bad)
{
	AUTO(view_putp) struct view *v = network_view_get(n);
	struct blake3 h;

	blake3_init(&h);
	*bad = 0;
	for (uint32_t s = 0; s < v->shard_count; s++) {
		AUTO(block_scan_freep) struct block_scan *scan = NULL;
		struct block_row row;

		assert_int_equal(block_scan_new(n, s, 1, &scan), 0);
		while (block_scan_next(scan, &row) == 1) {
			AUTO(block_bytes_putp) const struct block_bytes *bytes = NULL;
			uint8_t place[16];

			put_be64(place, row.object);
			put_be64(place + 8, row.height);
			blake3_add(&h, SLICE_ARRAY(place));
			if (network_block_bytes(n, &row, &bytes, NULL) < 0) {
				*bad += mix_place(s, row.height);
				continue;
			}
			blake3_add(&h, bytes->canonical);
			blake3_add(&h, bytes->certificate);
		}
	}
	blake3_end(&h, out, HASH_SIZE);
}

static void flip_segment(const struct chain *c, struct random *r)
{
	char path[256];
	struct stat st;

	snprintf(path, sizeof path, "%s/networks/net/segments/000001.seg", c->path);
	assert_int_equal(stat(path, &st), 0);
	FILE *f = fopen(path, "r+b");
	long at = (long)random_below(r, (uint64_t)st.st_size);

	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	int byte = fgetc(f);

	fseek(f, at, SEEK_SET);
	fputc(byte ^ 1 << random_below(r, 8), f);
	fclose(f);
}

static void a_flip_in_a_segment_is_found_where_it_changes_what_is_served_and_is_healed(void **state)
{
	struct random r = random_of_run();
	AUTO(chain_release) struct chain c;
	uint8_t before[HASH_SIZE], after[HASH_SIZE];
	uint64_t bad, none;
	unsigned found = 0;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	feed(&c, 1);
	assert_clean(c.network);
	digest_blocks(c.network, before, &none);
	for (uint64_t round = 0; round < rounds(ROUNDS); round++) {
		for (uint64_t n = 1 + random_below(&r, 3); n; n--)
			flip_segment(&c, &r);
		reopen(&c);
		digest_blocks(c.network, after, &bad);
		reopen(&c); /* forgets what the reading noted: fsck finds by itself */
		struct said s = check(c.network, true);

		/* A frame that healing left behind may be hit: nobody is served from it. */
		assert_true(s.blocks == bad);
		found += bad != 0;
		assert_int_equal(bad != 0, s.repaired != 0);
		s = check(c.network, false);
		assert_true(s.blocks == 0);
		if (bad) {
			AUTO(view_putp) struct view *v = network_view_get(c.network);
			uint64_t cursor = 1;
			struct gap gap;
			bool any = false;

			for (uint32_t sh = 0; sh < v->shard_count; sh++, cursor = 1)
				while (gaps_next(&v->shards[sh].gaps, v->shards[sh].known, &cursor,
						 &gap)) {
					assert_non_null(gap.fault);
					assert_int_equal(gap.fault->reason, GAP_DAMAGED);
					any = true;
				}
			assert_true(any);
		}
		feed(&c, -1);
		digest_blocks(c.network, after, &none);
		assert_true(none == 0);
		assert_memory_equal(before, after, HASH_SIZE);
		reopen(&c);
		s = check(c.network, false);
		assert_true(s.counts[FSCK_MISSING] + s.counts[FSCK_CONTRADICTION] +
				    s.counts[FSCK_ORPHAN] == 0);
	}
	assert_true(found > 0);
	trace_set_sink(NULL, NULL);
}

/* ---- rows that somebody changed ---- */

struct edit {
	struct db       *db;
	struct db_batch *batch;
	struct buf       key, value;
	/* The one row that is edited, as it was. */
	enum family      family;
	bool             was_there;
	struct buf       old_key, old_value;
};

static void first_with(struct edit *e, enum family family, struct slice prefix)
{
	AUTO(db_iter_freep) struct db_iter *it = NULL;

	assert_int_equal(db_iter_new(e->db, family, DB_ORDERED, &it), 0);
	assert_int_equal(db_iter_seek(it, prefix, NULL), 1);
	assert_true(slice_starts(db_iter_key(it), prefix));
	buf_clear(&e->key);
	buf_clear(&e->value);
	buf_add(&e->key, db_iter_key(it));
	buf_add(&e->value, db_iter_value(it));
}

static void edit_row(struct edit *e, enum family family, struct slice key,
		     const struct slice *value)
{
	e->family = family;
	buf_add(&e->old_key, key);
	e->was_there = db_get(e->db, family, key, &e->old_value, NULL) == 1;
	if (value)
		db_batch_put(e->batch, family, key, *value);
	else
		db_batch_delete(e->batch, family, key);
}

static void put(struct edit *e, enum family family)
{
	struct slice value = buf_slice(&e->value);

	edit_row(e, family, buf_slice(&e->key), &value);
}

static void take(struct edit *e, enum family family)
{
	edit_row(e, family, buf_slice(&e->key), NULL);
}

static void invent(struct edit *e, enum family family, struct short_key key, struct slice value)
{
	edit_row(e, family, short_slice(&key), &value);
}

static void first_key(struct edit *e, enum family family, struct short_key key)
{
	first_with(e, family, short_slice(&key));
}

static void drop_hash(struct edit *e)
{
	first_with(e, FAMILY_HASHES, SLICE_EMPTY);
	take(e, FAMILY_HASHES);
}

static void invent_hash(struct edit *e)
{
	const uint8_t prefix[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	invent(e, FAMILY_HASHES, key_hash(true, prefix, 1, 20, 0), SLICE_EMPTY);
}

static void drop_stats(struct edit *e)
{
	first_key(e, FAMILY_STATS, key_stat(1));
	take(e, FAMILY_STATS);
}

static void change_stats(struct edit *e)
{
	struct stat_group g = { 0 };
	struct stat_record r;

	first_key(e, FAMILY_STATS, key_stat(1));
	assert_int_equal(stat_group_find(buf_slice(&e->value), 1, 1, &r), 1);
	r.time++;
	assert_true(stat_group_add(&g, 1, &r));
	buf_clear(&e->value);
	stat_group_write(&g, &e->value);
	put(e, FAMILY_STATS);
}

static void change_block(struct edit *e)
{
	struct block_row row = { .shard = 1, .height = 30 };

	first_key(e, FAMILY_BLOCKS, key_block(1, 30));
	assert_int_equal(block_row_read(buf_slice(&e->value), &row), 0);
	row.time++;
	buf_clear(&e->value);
	block_row_write_head(&row, true, &e->value);
	segment_ref_write(&row.bytes, &e->value);
	put(e, FAMILY_BLOCKS);
}

static void drop_block(struct edit *e)
{
	first_key(e, FAMILY_BLOCKS, key_block(1, 30));
	take(e, FAMILY_BLOCKS);
}

static void change_counters(struct edit *e)
{
	struct shard_view sv = { 0 };

	first_key(e, FAMILY_META, key_meta_shard(META_SHARD, 1));
	assert_int_equal(shard_view_read(buf_slice(&e->value), &sv), 0);
	sv.items += 7;
	buf_clear(&e->value);
	shard_view_write(&sv, &e->value);
	put(e, FAMILY_META);
}

static void drop_replay(struct edit *e, enum replay_kind kind)
{
	first_key(e, FAMILY_REPLAY, key_replay(kind, 1, 30));
	take(e, FAMILY_REPLAY);
}

static void drop_roots(struct edit *e)    { drop_replay(e, REPLAY_ROOTS); }
static void drop_changes(struct edit *e)  { drop_replay(e, REPLAY_CHANGES); }
static void drop_outcomes(struct edit *e) { drop_replay(e, REPLAY_OUTCOMES); }

static void invent_mark(struct edit *e)
{
	invent(e, FAMILY_REPLAY, key_replay(REPLAY_DIVERGED, 1, 2), SLICE_EMPTY);
}

/* The first row of a kind in the state of shard 1. */
static void first_row(struct edit *e, char kind)
{
	uint8_t prefix[3] = { SPACE_BOTH, 1, (uint8_t)kind };

	first_with(e, FAMILY_ROWS, SLICE_ARRAY(prefix));
}

static void change_record(struct edit *e)
{
	first_row(e, 'R');
	e->value.p[e->value.n - 1] ^= 1;
	put(e, FAMILY_ROWS);
}

static void drop_record(struct edit *e)
{
	first_row(e, 'R');
	take(e, FAMILY_ROWS);
}

static void drop_account(struct edit *e)
{
	first_row(e, 'A');
	take(e, FAMILY_ROWS);
}

static void change_account(struct edit *e)
{
	first_row(e, 'A');
	e->value.p[2] ^= 0x10; /* of its root */
	put(e, FAMILY_ROWS);
}

static void drop_deaths(struct edit *e)
{
	uint8_t shard = 1;

	first_with(e, FAMILY_DEATHS, SLICE(&shard, 1));
	take(e, FAMILY_DEATHS);
}

static void invent_death(struct edit *e)
{
	buf_clear(&e->value);
	buf_u8(&e->value, SPACE_BOTH);
	buf_varint(&e->value, 0);
	buf_blob(&e->value, slice_str("nobody"));
	invent(e, FAMILY_DEATHS, key_deaths(1, 1, 0), buf_slice(&e->value));
}

/* Of a row no key is so long. */
static void lengthen_death(struct edit *e)
{
	static const uint8_t key[4 * ROW_KEY_MAX + 1];

	buf_clear(&e->value);
	buf_u8(&e->value, SPACE_BOTH);
	buf_varint(&e->value, 0);
	buf_blob(&e->value, SLICE_ARRAY(key));
	invent(e, FAMILY_DEATHS, key_deaths(1, 1, 0), buf_slice(&e->value));
}

static const struct edit_case {
	const char *what;
	void (*edit)(struct edit *e);
	const char *part; /* among what is said; without a class: of any */
	bool mends;
} edits[] = {
	{ "a hash that is gone", drop_hash, " missing/hash", true },
	{ "a hash that leads nowhere", invent_hash, " orphan/hash", true },
	{ "stat records that are gone", drop_stats, " missing/stat", true },
	{ "a stat record that lies", change_stats, " contradiction/stat", true },
	{ "a block's row that lies", change_block, " contradiction/block", true },
	{ "counters that lie", change_counters, " contradiction/counters", true },
	{ "a mark of roots that do not differ", invent_mark, " orphan/diverged", true },
	{ "a block's row that is gone", drop_block, " missing/block", false },
	{ "roots that are gone", drop_roots, " missing/roots", false },
	{ "changes that are gone", drop_changes, " missing/changes", false },
	{ "outcomes that are gone", drop_outcomes, " missing/outcomes", false },
	{ "a record that was changed", change_record, "/record", false },
	{ "a record that is gone", drop_record, " contradiction/state", false },
	{ "an account that is gone", drop_account, "/state", false },
	{ "an account that was changed", change_account, " contradiction/state", false },
	{ "deaths that are gone", drop_deaths, " missing/death", false },
	{ "a death of nobody", invent_death, " orphan/death", false },
	{ "a death whose key is too long", lengthen_death, " damaged/death", false },
};

static void edit_release(struct edit *e)
{
	db_batch_freep(&e->batch);
	buf_release(&e->key);
	buf_release(&e->old_key);
	buf_release(&e->old_value);
	buf_release(&e->value);
}

static void undo(struct network *n, const struct edit *e)
{
	AUTO(db_batch_freep) struct db_batch *batch = NULL;
	struct err err = ERR_INIT;

	assert_int_equal(db_batch_new(n->db, &batch), 0);
	if (e->was_there)
		db_batch_put(batch, e->family, buf_slice(&e->old_key), buf_slice(&e->old_value));
	else
		db_batch_delete(batch, e->family, buf_slice(&e->old_key));
	must(db_write(n->db, batch, &err), &err);
}

static void try_edit(struct chain *c, const struct edit_case *x)
{
	AUTO(edit_release) struct edit e = { .db = c->network->db };
	struct err err = ERR_INIT;

	e.key = e.value = e.old_key = e.old_value = (struct buf)BUF_INIT(1u << 26);
	assert_int_equal(db_batch_new(e.db, &e.batch), 0);
	x->edit(&e);
	must(db_write(e.db, e.batch, &err), &err);
	db_batch_freep(&e.batch);
	reopen(c);
	struct said s = check(c->network, true);

	if (!strstr(s.parts, x->part))
		fail_msg("%s: fsck says only:%s", x->what, s.parts);
	reopen(c);
	s = check(c->network, false);
	if (x->mends != (s.parts[0] == 0))
		fail_msg("%s: after a repair fsck says:%s", x->what, s.parts);
	if (x->mends)
		return;
	undo(c->network, &e);
	reopen(c);
	assert_clean(c->network);
}

static void a_row_that_somebody_changed_is_named_and_mended_where_it_can_be(void **state)
{
	AUTO(chain_release) struct chain c;

	(void)state;
	trace_set_sink(fixture_silence, NULL);
	chain_open(&c, ARCHIVE);
	feed(&c, 1);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++)
		try_edit(&c, &edits[i]);
	trace_set_sink(NULL, NULL);
}

int main(void)
{
	if (sign_init() < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_flip_in_a_segment_is_found_where_it_changes_what_is_served_and_is_healed),
		cmocka_unit_test(a_row_that_somebody_changed_is_named_and_mended_where_it_can_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
