/* Blocks: their bytes, their rows, and whatever follows from the two. */
#include "core/fsck/inside.h"

#include "core/ingest/index.h"

#define BATCH_BLOCKS 256u

/* ---- bytes ---- */

int piece_bytes(struct fsck *k, const struct segment_ref *ref, struct slice *canonical,
		struct slice *certificate, struct err *why)
{
	struct frame_bytes *f = &k->frame;
	struct frame_ref where = { ref->segment, ref->offset, ref->stored, ref->size };

	if (ref->size > FRAME_SIZE_MAX || ref->segment > k->end.segment)
		return err_set(why, -EBADMSG, "the place of its bytes is none");
	k->referenced[ref->segment] += (uint64_t)ref->canonical_size + ref->certificate_size;
	if (!f->bytes || f->ref.segment != ref->segment || f->ref.offset != ref->offset ||
	    f->ref.size != ref->size || f->ref.stored != ref->stored) {
		free(f->bytes);
		f->bytes = malloc(MAX(ref->size, 1u));
		if (!f->bytes)
			return err_set(why, -ENOMEM, "no memory for a frame");
		f->ref = *ref;
		f->why = (struct err)ERR_INIT;
		f->rc = segments_read(k->network->segments, &where, f->bytes, &f->why);
		k->counts->frames++;
	}
	if (f->rc < 0)
		return err_set(why, f->rc, "%s", err_text(&f->why, f->rc));
	*canonical = SLICE(f->bytes + ref->inner, ref->canonical_size);
	*certificate = SLICE(f->bytes + ref->inner + ref->canonical_size, ref->certificate_size);
	return 0;
}

int block_job(struct fsck *k, const struct block_row *row, struct job **out, struct err *why)
{
	struct slice canonical, certificate;
	uint8_t digest[HASH_SIZE];
	int rc = piece_bytes(k, &row->bytes, &canonical, &certificate, why);

	if (rc < 0)
		return rc;
	hash_blake3(canonical, digest);
	if (row->has_digest && memcmp(digest, row->digest, sizeof row->digest) != 0)
		return err_set(why, -EBADMSG, "the bytes do not match the digest of their row");
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);

	if (!job)
		return -ENOMEM;
	job->shard = row->shard;
	job->canonical = job->certificate = (struct buf)BUF_INIT(BLOCK_SIZE_MAX);
	buf_add(&job->canonical, canonical);
	buf_add(&job->certificate, certificate);
	rc = buf_done(&job->canonical);
	if (rc == 0)
		rc = buf_done(&job->certificate);
	if (rc == 0)
		*out = TAKE(job);
	return rc;
}

static int note_bad(struct walked *w, uint64_t height)
{
	if (base_grow(&w->bad, &w->bad_cap, w->bad_count + 1, sizeof *w->bad) < 0)
		return -ENOMEM;
	w->bad[w->bad_count++] = height;
	return 0;
}

static int damaged(struct fsck *k, const struct block_row *row, const char *sentence)
{
	bool can = fix(k, (struct fix){ FIX_DAMAGED, .shard = row->shard, .height = row->height });

	fault(k, FSCK_DAMAGED, "block", AT(row->shard, row->height), can, "%s", sentence);
	return note_bad(&k->walked[row->shard], row->height);
}

/* ---- a row against its block ---- */

static bool same_level(const struct level_result *a, const struct level_result *b)
{
	return a->verdict == b->verdict && strcmp(a->reason, b->reason) == 0;
}

/* The first thing that the row says otherwise; NULL. */
static const char *row_differs(const struct block_row *row, const struct block_row *own)
{
	if (memcmp(row->hash, own->hash, HASH_SIZE) != 0)
		return "hash";
	if (!slice_eq(SLICE(row->parent, row->parent_size), SLICE(own->parent, own->parent_size)))
		return "parent";
	if (row->time != own->time)
		return "time";
	if (row->items != own->items)
		return "number of items";
	if (row->line_bytes != own->line_bytes || row->header_size != own->header_size ||
	    row->header_json_size != own->header_json_size ||
	    row->parent_file_size != own->parent_file_size)
		return "size of a rendering";
	if (row->witness_count != own->witness_count)
		return "number of witnesses";
	for (uint32_t i = 0; i < row->witness_count; i++)
		if (row->witnesses[i].shard != own->witnesses[i].shard ||
		    row->witnesses[i].height != own->witnesses[i].height)
			return "witness";
	for (int l = 0; l <= LEVEL_MESSAGES; l++)
		if (!same_level(&row->levels[l], &own->levels[l]))
			return level_names[l];
	return row->uncommitted != own->uncommitted ? "uncommitted" : NULL;
}

/* ---- the index of a block ---- */

struct index_check {
	struct fsck *k;
	const struct block_row *row;
	struct stat_group group;
	struct buf value;
	bool wrong; /* something has to be written anew */
	struct short_key last; /* of a hash; empty: there was none */
};

static bool same_stat(const struct stat_record *a, const struct stat_record *b)
{
	return a->type == b->type && a->form == b->form && a->shard == b->shard &&
	       a->height == b->height && a->item == b->item && a->time == b->time &&
	       a->carrier == b->carrier && a->offset == b->offset && a->size == b->size &&
	       (a->renderer != b->renderer ||
		(a->json_size == b->json_size && a->line_size == b->line_size));
}

int find_stat(struct fsck *k, uint64_t object, struct stat_record *out)
{
	struct short_key key = key_stat(object);
	struct db_iter *it = k->look[FAMILY_STATS];
	int rc = db_iter_seek_back(it, short_slice(&key), NULL);

	for (; rc == 1; rc = db_iter_back(it, NULL)) {
		if (db_iter_key(it).n != 8)
			return -EUCLEAN;
		uint64_t first = get_be64(db_iter_key(it).p);

		if (object - first >= STAT_GROUP_SPAN)
			return 0;
		rc = stat_group_find(db_iter_value(it), first, object, out);
		if (rc)
			return rc;
	}
	return rc;
}

/* One by one, since the group is not what it should be. */
static void check_stats(struct index_check *c)
{
	struct fsck *k = c->k;

	k->walked[c->row->shard].groups_odd = true;
	for (size_t i = 0; i < c->group.count; i++) {
		struct stat_record r;
		int rc = find_stat(k, c->group.objects[i], &r);

		if (rc == 1 && same_stat(&r, &c->group.records[i]))
			continue;
		c->wrong = true;
		fault(k,
		      rc == 0  ? FSCK_MISSING
		      : rc < 0 ? FSCK_DAMAGED
			       : FSCK_CONTRADICTION,
		      "stat", AT(c->row->shard, c->row->height), true,
		      "the stat record of object %" PRIu64 " %s", c->group.objects[i],
		      rc == 0  ? "is not there"
		      : rc < 0 ? "cannot be read"
			       : "says something else than the block");
	}
}

static int end_group(struct index_check *c)
{
	struct slice stored;

	if (!c->group.count)
		return 0;
	buf_clear(&c->value);
	stat_group_write(&c->group, &c->value);
	int rc = buf_done(&c->value);

	if (rc < 0)
		return rc;
	rc = look_up(c->k, FAMILY_STATS, key_stat(c->group.objects[0]), &stored);
	if (rc == 1 && slice_eq(stored, buf_slice(&c->value)))
		c->k->walked[c->row->shard].groups++;
	else
		check_stats(c);
	c->group.count = 0;
	return 0;
}

static int check_stat(void *arg, uint64_t object, const struct stat_record *r)
{
	struct index_check *c = arg;

	if (stat_group_add(&c->group, object, r))
		return 0;
	int rc = end_group(c);

	if (rc == 0 && !stat_group_add(&c->group, object, r))
		rc = -EINVAL;
	return rc;
}

static int count_hash(struct walked *w, uint64_t height)
{
	size_t bucket = height / RANGE_SIZE;

	if (bucket >= w->hash_buckets) {
		size_t wanted = MAX(bucket + 1, w->hash_buckets * 2);
		uint32_t *list = realloc(w->hashes, wanted * sizeof *list);

		if (!list)
			return -ENOMEM;
		memset(list + w->hash_buckets, 0, (wanted - w->hash_buckets) * sizeof *list);
		w->hashes = list;
		w->hash_buckets = wanted;
	}
	w->hashes[bucket]++;
	return 0;
}

static int check_hash(void *arg, struct slice hash, uint32_t item)
{
	struct index_check *c = arg;
	struct slice nothing;

	if (hash.n < 8)
		return -EINVAL;
	struct short_key key = key_hash(db_is_packed(c->k->network->db), hash.p, c->row->shard,
					c->row->height, item);

	/* An item and the record inside it may share a hash, and then a row. */
	if (slice_eq(short_slice(&key), short_slice(&c->last)))
		return 0;
	c->last = key;
	int rc = look_up(c->k, FAMILY_HASHES, key, &nothing);

	if (rc == 1)
		return count_hash(&c->k->walked[c->row->shard], c->row->height);
	c->wrong = true;
	char hex[17];

	hex_put(hex, hash.p, 8);
	fault(c->k, rc < 0 ? FSCK_DAMAGED : FSCK_MISSING, "hash", AT(c->row->shard, c->row->height),
	      rc == 0, "by-hash does not find %s", hex);
	return 0;
}

/* ---- what replay left of a block ---- */

static struct slice root_of(const struct chain_root *r)
{
	return SLICE(r->root, r->root_size);
}

static int check_roots(struct fsck *k, const struct block_row *row, const struct chain_block *b)
{
	struct at at = AT(row->shard, row->height);
	struct roots_row roots;
	struct slice value;
	int rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_ROOTS, row->shard, row->height),
			 &value);

	if (rc == -ENOMEM)
		return rc;
	if (rc != 1 || roots_row_read(value, &roots) < 0) {
		fault(k, rc == 0 ? FSCK_MISSING : FSCK_DAMAGED, "roots", at, false,
		      "the roots after the block %s; fsck --repair makes the network anew",
		      rc == 0 ? "are not there" : "do not parse");
		return 0;
	}
	if (!slice_eq(root_of(&roots.legacy), SLICE(b->root, b->root_size)))
		fault(k, FSCK_CONTRADICTION, "roots", at, false,
		      "the stored legacy root is not the one that the block signs");
	bool differ = roots.has_hyper && !slice_eq(root_of(&roots.legacy), root_of(&roots.hyper));

	rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_DIVERGED, row->shard, row->height),
		     &value);
	if (rc >= 0 && (rc == 1) != differ)
		fault(k, differ ? FSCK_MISSING : FSCK_ORPHAN, "diverged", at,
		      fix(k,
			  (struct fix){ FIX_REBUILD, .shard = row->shard, .height = row->height }),
		      "the mark of heights whose roots differ %s",
		      differ ? "is not there" : "is there, and they do not");
	return rc == -ENOMEM ? rc : 0;
}

static int check_changes(struct fsck *k, const struct block_row *row, const struct chain_block *b)
{
	AUTO(change_list_release) struct change_list l = { .bytes = { 0 } };
	AUTO(buf_release) struct buf list = BUF_INIT(VALUE_BYTES_MAX);
	struct at at = AT(row->shard, row->height);
	struct walked *w = &k->walked[row->shard];
	struct slice value;
	int rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_CHANGES, row->shard, row->height),
			 &value);

	if (rc == 1) {
		int bad = packed_read(value, buf_slice(&b->canonical), &list);

		if (bad == 0)
			bad = changes_read(buf_slice(&list), &l);
		if (bad == -ENOMEM)
			return bad;
		rc = bad < 0 ? bad : 1;
	}
	if (rc != 1) {
		fault(k, rc == 0 ? FSCK_MISSING : FSCK_DAMAGED, "changes", at, false,
		      "the change list %s; fsck --repair makes the network anew",
		      rc == 0 ? "is not there" : "does not parse");
		return rc == -ENOMEM ? rc : 0;
	}
	for (size_t i = 0; i < l.change_count; i++) {
		const struct chain_change *c = &l.changes[i];

		if (c->space == SPACE_BOTH && (c->deleted || c->reason == REASON_MERGED))
			w->changes[c->reason]++;
		if (c->object >= k->view->next_object ||
		    (c->item != CHANGE_NO_ITEM && c->item >= row->items)) {
			fault(k, FSCK_CONTRADICTION, "changes", at, false,
			      "change %zu names an object or item that nobody made", i);
			break;
		}
	}
	return 0;
}

static int check_outcomes(struct fsck *k, const struct block_row *row)
{
	AUTO(outcome_list_release) struct outcome_list l = { .bytes = { 0 } };
	struct slice value;
	int rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_OUTCOMES, row->shard, row->height),
			 &value);

	if (rc == 1 && (rc = outcomes_read(value, &l)) == 0)
		rc = 1;
	if (rc == -ENOMEM)
		return rc;
	if (rc != 1)
		fault(k, rc == 0 ? FSCK_MISSING : FSCK_DAMAGED, "outcomes",
		      AT(row->shard, row->height), false, "the outcomes of its items %s",
		      rc == 0 ? "are not there" : "do not parse");
	else if (l.outcome_count != row->items)
		fault(k, FSCK_CONTRADICTION, "outcomes", AT(row->shard, row->height), false,
		      "%zu outcomes of %u items", l.outcome_count, row->items);
	return 0;
}

static int check_replayed(struct fsck *k, const struct block_row *row, const struct chain_block *b)
{
	struct walked *w = &k->walked[row->shard];
	const struct shard_view *sv = &k->view->shards[row->shard];
	bool in_state = row->levels[LEVEL_STATE].verdict == VERDICT_OK;

	/* A restore gave the state as of this height; it and what lies below was never replayed. */
	if (row->height <= sv->begins)
		return 0;
	if (!in_state) {
		if (row->height <= sv->replayed)
			fault(k, FSCK_CONTRADICTION, "block", AT(row->shard, row->height), false,
			      "the state is as of height %" PRIu64 ", and this block is not in it",
			      sv->replayed);
		return 0;
	}
	if (row->height > sv->replayed) {
		fault(k, FSCK_CONTRADICTION, "block", AT(row->shard, row->height), false,
		      "it says that it is in the state, which is as of height %" PRIu64,
		      sv->replayed);
		return 0;
	}
	w->replayed++;
	int rc = check_roots(k, row, b);

	if (rc == 0)
		rc = check_changes(k, row, b);
	return rc < 0 ? rc : check_outcomes(k, row);
}

/* ---- a decoded block ---- */

static void index_check_release(struct index_check *c)
{
	buf_release(&c->value);
}

static int check_block(struct fsck *k, const struct block_row *row, const struct job *job)
{
	struct walked *w = &k->walked[row->shard];
	struct at at = AT(row->shard, row->height);
	const struct chain_block *b = job->block;
	struct block_row own = { 0 };
	struct err why = ERR_INIT;

	if (job->rc == -ENOMEM)
		return job->rc;
	if (job->rc < 0)
		return damaged(k, row, job->err.text);
	if (b->shard != row->shard || b->height != row->height ||
	    (!row->has_digest && memcmp(b->hash, row->hash, HASH_SIZE) != 0))
		return damaged(k, row, "the bytes are those of another block than the row says");
	bool adjacent = w->has_prev && w->prev_height + 1 == row->height;

	if ((adjacent || row->height == 1) &&
	    k->ops->link(b, adjacent ? w->prev_hash : NULL, &why) < 0)
		fault(k, FSCK_CONTRADICTION, "parent", at, false, "%s", why.text);

	block_fill_row(b, &own);
	const char *differs = row_differs(row, &own);
	AUTO(index_check_release) struct index_check c = { .k = k, .row = row };

	c.value = (struct buf)BUF_INIT(VALUE_BYTES_MAX);
	if (differs) {
		c.wrong = true;
		fault(k, FSCK_CONTRADICTION, "block", at, true,
		      "the row and the block's bytes differ: %s", differs);
	}
	int rc = block_index(b, row, &(struct index_visit){ check_stat, check_hash, &c });

	if (rc == 0)
		rc = end_group(&c);
	if (rc < 0)
		return rc;
	if (c.wrong)
		fix(k, (struct fix){ FIX_REBUILD, .shard = row->shard, .height = row->height });
	for (size_t i = 0; i < b->item_count; i++)
		w->sums.refused_items += b->items[i].refusal != NULL;
	memcpy(w->prev_hash, b->hash, HASH_SIZE);
	w->prev_height = row->height;
	w->has_prev = true;
	return check_replayed(k, row, b);
}

/* ---- all of them ---- */

struct batch {
	struct block_row rows[BATCH_BLOCKS];
	uint32_t count;
};

static int drain(struct fsck *k, struct batch *batch)
{
	int rc = 0;

	for (uint32_t i = 0; i < batch->count;) {
		bool closed;
		AUTO(job_freep) struct job *job = pipeline_take(k->pipeline, 1000, &closed);

		if (!job)
			continue;
		if (rc == 0)
			rc = check_block(k, &batch->rows[i], job);
		i++;
	}
	batch->count = 0;
	return rc;
}

static int put_block(struct fsck *k, const struct block_row *row, struct batch *batch)
{
	struct walked *w = &k->walked[row->shard];
	struct err why = ERR_INIT;
	struct job *job = NULL;

	w->rows++;
	w->sums.items += row->items;
	w->sums.bytes += row->canonical_size;
	k->counts->blocks++;
	k->counts->items += row->items;
	int rc = block_job(k, row, &job, &why);

	if (rc == -EBADMSG || rc == -EIO || rc == -EACCES) {
		rc = drain(k, batch); /* what is bad is remembered in order */
		return rc < 0 ? rc : damaged(k, row, why.text);
	}
	if (rc < 0)
		return rc;
	batch->rows[batch->count++] = *row;
	rc = pipeline_put(k->pipeline, job);
	return rc < 0 || batch->count < BATCH_BLOCKS ? rc : drain(k, batch);
}

/* A row of a height that is a gap: a damaged block that waits to come again. */
static int put_waiting(struct fsck *k, const struct block_row *row, struct batch *batch)
{
	const struct gaps *g = &k->view->shards[row->shard].gaps;
	uint64_t cursor = row->height;
	struct gap gap;
	int rc = drain(k, batch);

	if (rc < 0)
		return rc;
	k->referenced[row->bytes.segment] +=
		(uint64_t)row->bytes.canonical_size + row->bytes.certificate_size;
	if (gaps_next(g, row->height, &cursor, &gap) && gap.fault && gap.fault != &g->rolled)
		k->counts->waiting++;
	else
		fault(k, FSCK_ORPHAN, "block", AT(row->shard, row->height), false,
		      "there is a row of a height that is a gap");
	return note_bad(&k->walked[row->shard], row->height);
}

/* Heights from *next on, below `end`, that are held and have no row. */
static void missing_rows(struct fsck *k, uint32_t shard, uint64_t *next, uint64_t end)
{
	const struct gaps *g = &k->view->shards[shard].gaps;

	for (size_t i = gaps_range_at(g, *next); i < g->held_count && g->held[i].first < end; i++) {
		uint64_t first = MAX(g->held[i].first, *next), last = MIN(g->held[i].end, end);

		if (first < last)
			fault(k, FSCK_MISSING, "block", AT(shard, first), false,
			      "heights to %" PRIu64 " are held, and have no row", last - 1);
	}
	*next = end;
}

static int walk_shard(struct fsck *k, uint32_t shard, struct batch *batch)
{
	struct db_iter *it = k->walk[FAMILY_BLOCKS];
	const struct gaps *g = &k->view->shards[shard].gaps;
	struct short_key from = key_block(shard, 0);
	struct err why = ERR_INIT;
	uint64_t next = 1, total = gaps_held(g);
	int rc = db_iter_seek(it, short_slice(&from), &why);

	for (; rc == 1; rc = db_iter_next(it, &why)) {
		struct block_row row = { 0 };
		uint32_t s;
		int done;

		if (key_block_read(db_iter_key(it), &s, &row.height) < 0) {
			fault(k, FSCK_DAMAGED, "block", NOWHERE(shard), false,
			      "a key of the family does not parse");
			continue;
		}
		if (s != shard)
			break;
		row.shard = s;
		missing_rows(k, shard, &next, row.height);
		next = row.height + 1;
		if (block_row_read(db_iter_value(it), &row) < 0) {
			done = drain(k, batch);
			fault(k, FSCK_DAMAGED, "block", AT(s, row.height), false,
			      "its row does not parse; fsck --repair makes the network anew");
			if (done == 0)
				done = note_bad(&k->walked[s], row.height);
		} else if (gaps_has(g, row.height)) {
			done = put_block(k, &row, batch);
		} else {
			done = put_waiting(k, &row, batch);
		}
		if (done == 0)
			done = stopped(k);
		if (done < 0)
			return done;
		progress(k, "blocks", k->walked[shard].rows, total);
	}
	if (rc < 0)
		return unreadable(k, FAMILY_BLOCKS, rc, &why);
	missing_rows(k, shard, &next, UINT64_MAX);
	return 0;
}

/* The shard's numbers and neighbours against the sums of its blocks. */
static void check_counters(struct fsck *k, uint32_t shard)
{
	const struct shard_view *sv = &k->view->shards[shard];
	const struct gaps *g = &sv->gaps;
	struct walked *w = &k->walked[shard];
	struct block_row row;
	bool wrong = false;

	w->sums.refused_known = w->bad_count == 0;
	k->fixes->sums[shard] = w->sums;
	w->holes = w->rows != gaps_held(g);
	if (w->holes)
		return; /* there are no sums */
	if (sv->items != w->sums.items || sv->bytes != w->sums.bytes) {
		wrong = true;
		fault(k, FSCK_CONTRADICTION, "counters", NOWHERE(shard), true,
		      "the view counts %" PRIu64 " items of %" PRIu64 " bytes, the rows %" PRIu64
		      " of %" PRIu64,
		      sv->items, sv->bytes, w->sums.items, w->sums.bytes);
	}
	if (w->sums.refused_known && sv->refused_items != w->sums.refused_items) {
		wrong = true;
		fault(k, FSCK_CONTRADICTION, "counters", NOWHERE(shard), true,
		      "the view counts %" PRIu64 " refused items, the blocks have %" PRIu64,
		      sv->refused_items, w->sums.refused_items);
	}
	uint64_t first = g->held_count ? g->held[0].first : 0,
		 tip = g->held_count ? g->held[g->held_count - 1].end - 1 : 0;

	if (sv->first_held != first || sv->tip != tip || sv->known < tip) {
		wrong = true;
		fault(k, FSCK_CONTRADICTION, "counters", NOWHERE(shard), true,
		      "the view's first, newest and known height are %" PRIu64 ", %" PRIu64
		      " and %" PRIu64 "; held are %" PRIu64 " to %" PRIu64,
		      sv->first_held, sv->tip, sv->known, first, tip);
	} else if (tip && look_block_row(k, shard, tip, &row) == 1 &&
		   (memcmp(row.hash, sv->tip_hash, HASH_SIZE) != 0 || row.time != sv->tip_time)) {
		wrong = true;
		fault(k, FSCK_CONTRADICTION, "counters", AT(shard, tip), true,
		      "the view's hash or time of the newest block is not the row's");
	}
	if (wrong)
		fix(k, (struct fix){ FIX_RECOUNT, .shard = shard });
	if (sv->replayed && look_block_row(k, shard, sv->replayed, &row) == 1 &&
	    (memcmp(row.hash, sv->replayed_hash, HASH_SIZE) != 0 || row.time != sv->replayed_time))
		fault(k, FSCK_CONTRADICTION, "counters", AT(shard, sv->replayed), false,
		      "the state is as of another block than the row of this height");
}

int walk_blocks(struct fsck *k)
{
	AUTO(base_freep) struct batch *batch = calloc(1, sizeof *batch);
	int rc = batch ? 0 : -ENOMEM;

	for (uint32_t s = 0; s < k->view->shard_count && rc == 0; s++) {
		rc = walk_shard(k, s, batch);
		int end = drain(k, batch);

		rc = rc == 0 ? end : rc;
		if (rc == 0)
			check_counters(k, s);
	}
	return rc;
}
