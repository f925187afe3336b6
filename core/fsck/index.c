/* Indexes, back to the blocks: stat records and hashes that nothing explains. */
#include "core/fsck/inside.h"

#include "core/base/map.h"
#include "core/ingest/index.h"

#define BUCKETS_MAX 64u /* ranges of heights that are looked at row by row, of one walk */

/* ---- stat records ---- */

static void orphan_stat(struct fsck *k, const struct stat_record *r, uint64_t object)
{
	fault(k, FSCK_ORPHAN, "stat", AT(r->shard, r->height), false,
	      "the stat record of object %" PRIu64 " belongs to no block", object);
}

static int check_carried(struct fsck *k, const struct stat_record *r, uint64_t object)
{
	struct slice value;
	int rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_CARRIED, 0, r->carrier), &value);

	if (rc == 0)
		fault(k, FSCK_MISSING, "stat", AT(r->shard, r->height), false,
		      "object %" PRIu64 " lies in carrier %" PRIu64 ", which is not there", object,
		      r->carrier);
	return rc == -ENOMEM ? rc : 0;
}

static int walk_stats(struct fsck *k)
{
	struct db_iter *it = k->walk[FAMILY_STATS];
	struct err why = ERR_INIT;
	struct block_row row = { .shard = UINT32_MAX };
	uint64_t seen[SHARD_MAX] = { 0 }, rows = 0;
	int has_row = 0, rc = db_iter_seek(it, SLICE_EMPTY, &why);

	for (; rc == 1; rc = db_iter_next(it, &why)) {
		struct stat_record r;
		uint64_t first = db_iter_key(it).n == 8 ? get_be64(db_iter_key(it).p) : 0;

		if (++rows % 4096 == 0) {
			progress(k, "stat records", rows, 0);
			if (stopped(k) < 0)
				return -EINTR;
		}
		if (!first || stat_group_find(db_iter_value(it), first, first, &r) != 1) {
			fault(k, FSCK_DAMAGED, "stat", NOWHERE(0), false,
			      "the group of object %" PRIu64 " does not parse", first);
			continue;
		}
		if (first >= k->view->next_object)
			fault(k, FSCK_CONTRADICTION, "stat", AT(r.shard, r.height), false,
			      "object %" PRIu64 " was not given to anybody yet", first);
		if (r.carrier) {
			int bad = check_carried(k, &r, first);

			if (bad < 0)
				return bad;
			continue;
		}
		if (r.shard >= k->view->shard_count) {
			orphan_stat(k, &r, first);
			continue;
		}
		if (row.shard != r.shard || row.height != r.height) {
			has_row = look_block_row(k, r.shard, r.height, &row);
			row.shard = r.shard;
			row.height = r.height;
		}
		if (k->walked[r.shard].holes)
			continue;
		if (has_row != 1 || first < row.object || first > row.object + 2ull * row.items)
			orphan_stat(k, &r, first);
		else if (!walked_is_bad(&k->walked[r.shard], r.height))
			seen[r.shard]++;
	}
	if (rc < 0)
		return unreadable(k, FAMILY_STATS, rc, &why);
	for (uint32_t s = 0; s < k->view->shard_count; s++) {
		const struct walked *w = &k->walked[s];

		if (!w->groups_odd && !w->holes && seen[s] != w->groups)
			fault(k, FSCK_CONTRADICTION, "stat", NOWHERE(s), false,
			      "%" PRIu64 " groups of stat records, the blocks have %" PRIu64,
			      seen[s], w->groups);
	}
	return 0;
}

/* ---- hashes ---- */

struct bucket {
	uint32_t shard;
	uint64_t first;   /* height */
	struct map *keys; /* those that the blocks have */
};

struct expecting {
	struct map *keys;
	const struct block_row *row;
	bool packed;
};

static int expect_nothing(void *arg, uint64_t object, const struct stat_record *r)
{
	return 0;
}

static int expect_hash(void *arg, struct slice hash, uint32_t item)
{
	struct expecting *x = arg;
	struct short_key key = key_hash(x->packed, hash.p, x->row->shard, x->row->height, item);

	return map_put(x->keys, short_slice(&key), SLICE_EMPTY, 0);
}

/* The keys that the blocks of a bucket have. */
static int expect(struct fsck *k, struct bucket *bucket)
{
	const struct gaps *g = &k->view->shards[bucket->shard].gaps;

	bucket->keys = map_new();
	if (!bucket->keys)
		return -ENOMEM;
	for (uint64_t h = bucket->first; h < bucket->first + RANGE_SIZE; h++) {
		AUTO(job_freep) struct job *job = NULL;
		struct block_row row;

		if (!gaps_has(g, h) || walked_is_bad(&k->walked[bucket->shard], h) ||
		    look_block_row(k, bucket->shard, h, &row) != 1)
			continue;
		int rc = block_job(k, &row, &job, NULL);

		if (rc == -EBADMSG)
			continue;
		if (rc < 0)
			return rc;
		job_check(k->ops, network_params(k->network), job);
		if (job->rc < 0)
			continue;
		struct expecting x = { bucket->keys, &row, db_is_packed(k->network->db) };

		rc = block_index(job->block, &row,
				 &(struct index_visit){ expect_nothing, expect_hash, &x });
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A row of hashes that no block explains. Healthy ones never come here. */
static void orphan_hash(struct fsck *k, const struct hash_hit *hit)
{
	struct fix f = { FIX_HASH, .shard = hit->shard, .height = hit->height, .item = hit->item };
	char hex[17];

	memcpy(f.prefix, hit->prefix, 8);
	hex_put(hex, hit->prefix, HASH_PREFIX_SIZE(db_is_packed(k->network->db)));
	fault(k, FSCK_ORPHAN, "hash", AT(hit->shard, hit->height), fix(k, f),
	      "by-hash leads from %s to where no such hash is", hex);
}

/* What the row is by its place alone: 1 of a block that was checked, 0 not to be judged, -1
 * orphan. */
static int place_of(struct fsck *k, const struct hash_hit *hit)
{
	if (hit->shard >= k->view->shard_count)
		return -1;
	if (k->walked[hit->shard].holes || walked_is_bad(&k->walked[hit->shard], hit->height))
		return 0;
	return gaps_has(&k->view->shards[hit->shard].gaps, hit->height) ? 1 : -1;
}

static int read_hit(const struct fsck *k, const struct db_iter *it, struct hash_hit *hit)
{
	return key_hash_read(db_is_packed(k->network->db), db_iter_key(it), hit->prefix,
			     &hit->shard, &hit->height, &hit->item);
}

/* Row by row, those of the buckets that do not come out. */
static int name_orphans(struct fsck *k, const struct bucket *buckets, size_t count)
{
	struct db_iter *it = k->walk[FAMILY_HASHES];
	int rc = db_iter_seek(it, SLICE_EMPTY, NULL);

	for (; rc == 1; rc = db_iter_next(it, NULL)) {
		struct hash_hit hit;

		if (read_hit(k, it, &hit) < 0 || place_of(k, &hit) != 1)
			continue;
		for (size_t i = 0; i < count; i++)
			if (buckets[i].shard == hit.shard &&
			    hit.height - buckets[i].first < RANGE_SIZE &&
			    !map_get(buckets[i].keys, db_iter_key(it)))
				orphan_hash(k, &hit);
	}
	return rc == -ENOMEM ? rc : stopped(k);
}

static int compare_buckets(struct fsck *k, uint32_t *const seen[SHARD_MAX])
{
	struct bucket list[BUCKETS_MAX];
	size_t count = 0;
	int rc = 0;

	for (uint32_t s = 0; s < k->view->shard_count; s++) {
		const struct walked *w = &k->walked[s];

		for (size_t b = 0; b < w->hash_buckets; b++)
			if (!w->holes && seen[s][b] != w->hashes[b] && count < BUCKETS_MAX)
				list[count++] =
					(struct bucket){ .shard = s, .first = b * RANGE_SIZE };
	}
	for (size_t i = 0; i < count && rc == 0; i++)
		rc = expect(k, &list[i]);
	if (rc == 0 && count)
		rc = name_orphans(k, list, count);
	for (size_t i = 0; i < count; i++)
		map_freep(&list[i].keys);
	return rc;
}

static int walk_hashes(struct fsck *k, uint32_t *const seen[SHARD_MAX])
{
	struct db_iter *it = k->walk[FAMILY_HASHES];
	struct err why = ERR_INIT;
	uint64_t rows = 0;
	int rc = db_iter_seek(it, SLICE_EMPTY, &why);

	for (; rc == 1; rc = db_iter_next(it, &why)) {
		struct hash_hit hit;

		if (++rows % 16384 == 0) {
			progress(k, "hashes", rows, 0);
			if (stopped(k) < 0)
				return -EINTR;
		}
		if (read_hit(k, it, &hit) < 0) {
			fault(k, FSCK_DAMAGED, "hash", NOWHERE(0), false, "a key does not parse");
			continue;
		}
		int place = place_of(k, &hit);
		size_t bucket = hit.height / RANGE_SIZE;

		if (place == 1 && bucket < k->walked[hit.shard].hash_buckets)
			seen[hit.shard][bucket]++;
		else if (place)
			orphan_hash(k, &hit);
	}
	return rc < 0 ? unreadable(k, FAMILY_HASHES, rc, &why) : 1;
}

int walk_index(struct fsck *k)
{
	uint32_t *seen[SHARD_MAX] = { NULL };
	int rc = walk_stats(k);

	for (uint32_t s = 0; s < k->view->shard_count && rc == 0; s++) {
		seen[s] = calloc(k->walked[s].hash_buckets + 1, sizeof *seen[s]);
		rc = seen[s] ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = walk_hashes(k, seen);
	if (rc == 1)
		rc = compare_buckets(k, seen);
	for (uint32_t s = 0; s < SHARD_MAX; s++)
		free(seen[s]);
	return rc;
}
