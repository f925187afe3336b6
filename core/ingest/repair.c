#include "core/ingest/repair.h"

#include "core/base/clock.h"
#include "core/ingest/index.h"
#include "core/ingest/writer.h"
#include "core/store/inside.h" /* rows that no import takes away */

struct repair {
	struct writer writer;
};

int repair_begin(struct network *n, struct events *events, struct gate *gate,
		 const atomic_bool *stop, struct repair **out, struct err *err)
{
	AUTO(repair_freep) struct repair *r = calloc(1, sizeof *r);
	struct ingest_options o = { .events = events, .gate = gate, .stop = stop };
	if (!r)
		return err_set(err, -ENOMEM, "no memory to repair");
	int rc = writer_open(&r->writer, n, &o, err);
	if (rc == 0)
		*out = TAKE(r);
	return rc;
}

void repair_freep(struct repair **at)
{
	struct repair *r = TAKE(*at);
	if (!r)
		return;
	writer_leave(&r->writer);
	writer_release(&r->writer);
	free(r);
}

int repair_end(struct repair *r, struct err *err)
{
	int rc = writer_commit(&r->writer, err);
	if (rc == 0)
		writer_leave(&r->writer);
	return rc;
}

/* A part of a large repair. Rows of the view under construction are looked up in the store. */
static int begin(struct repair *r, struct err *err)
{
	struct writer *w = &r->writer;
	int rc = 0;
	if (w->inside && (gate_closing(w->options.gate) || writer_run_full(w, clock_mono_ms())))
		rc = repair_end(r, err);
	if (rc == 0)
		rc = writer_enter(w, err);
	if (rc == 0 && !w->dirty)
		w->run_started_ms = clock_mono_ms();
	return rc;
}

static void tell(struct repair *r, const char *what, uint32_t shard, uint64_t height)
{
	struct writer *w = &r->writer;
	w->dirty = true;
	if (w->options.events)
		events_post(w->options.events, network_name(w->network), "repaired",
			    "what=%s shard=%u height=%" PRIu64, what, shard, height);
}

static int held_row(struct repair *r, uint32_t shard, uint64_t height, struct block_row *row,
		    struct err *err)
{
	const struct view *v = commit_view(r->writer.commit);
	if (shard >= v->shard_count || !gaps_has(&v->shards[shard].gaps, height))
		return 0;
	int rc = network_block(r->writer.network, shard, height, row);
	return rc < 0 ? err_set(err, rc, "shard %u height %" PRIu64 ": its row cannot be read",
				shard, height)
		      : rc;
}

int repair_damaged(struct repair *r, uint32_t shard, uint64_t height, struct err *err)
{
	struct writer *w = &r->writer;
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	struct err why = ERR_INIT;
	struct block_row row;
	int rc = job ? begin(r, err) : -ENOMEM;
	if (rc == 0)
		rc = held_row(r, shard, height, &row, err);
	if (rc != 1)
		return rc;
	rc = network_block_check(w->network, &row, &why);
	if (rc == 0) { /* whole, but is it the block? */
		rc = job_load(w->network, &row, job, &why);
		if (rc == 0) {
			job_check(w->ops, network_params(w->network), job);
			rc = job->rc;
			why = job->err;
		}
		if (rc == 0 && !row.has_digest &&
		    memcmp(job->block->hash, row.hash, HASH_SIZE) != 0)
			rc = err_set(&why, -EBADMSG, "the bytes are those of another block");
	}
	if (rc == 0)
		return 0;
	if (rc == -ENOMEM)
		return err_set(err, rc, "no memory to look at a block");
	rc = writer_damaged(w, &row, err_text(&why, rc), err);
	if (rc < 0)
		return rc;
	tell(r, "damaged", shard, height);
	return 1;
}

/* Stat records that some other group holds would be found before ours. */
static void drop_stats(struct repair *r, const struct block_row *row)
{
	for (uint64_t o = row->object; o <= row->object + 2 * (uint64_t)row->items; o++) {
		struct short_key key = key_stat(o);
		commit_delete(r->writer.commit, FAMILY_STATS, short_slice(&key));
	}
}

/* The mark of differing roots follows from the roots, which a commit writes together. */
static int mark(struct repair *r, const struct block_row *row)
{
	struct roots_row roots;
	int rc = network_roots(r->writer.network, row->shard, row->height, &roots);
	if (rc != 1)
		return rc == -ENOMEM ? rc : 0;
	struct short_key key = key_replay(REPLAY_DIVERGED, row->shard, row->height);
	commit_delete(r->writer.commit, FAMILY_REPLAY, short_slice(&key));
	return commit_roots(r->writer.commit, row->shard, row->height, &roots);
}

int repair_rows(struct repair *r, uint32_t shard, uint64_t height, struct err *err)
{
	struct writer *w = &r->writer;
	AUTO(job_freep) struct job *job = calloc(1, sizeof *job);
	struct block_row old, row = { 0 };
	int rc = job ? begin(r, err) : -ENOMEM;
	if (rc == 0)
		rc = held_row(r, shard, height, &old, err);
	if (rc == 0)
		return err_set(err, -ENODATA, "shard %u height %" PRIu64 " is not held", shard,
			       height);
	if (rc == 1)
		rc = network_block_check(w->network, &old, err);
	if (rc == 0)
		rc = job_load(w->network, &old, job, err);
	if (rc < 0)
		return rc;
	job_check(w->ops, network_params(w->network), job);
	if (job->rc < 0)
		return err_set(err, job->rc, "%s", err_text(&job->err, job->rc));
	block_fill_row(job->block, &row);
	row.object = old.object;
	row.bytes = old.bytes;
	memcpy(row.levels + LEVEL_ACCOUNTS, old.levels + LEVEL_ACCOUNTS,
	       (LEVEL_COUNT - LEVEL_ACCOUNTS) * sizeof *row.levels);
	drop_stats(r, &row);
	rc = writer_put_index(w->commit, job->block, &row);
	if (rc == 0)
		rc = mark(r, &row);
	if (rc == 0)
		rc = commit_block(w->commit, &row);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": no memory for its rows",
			       shard, height);
	tell(r, "rows", shard, height);
	return 1;
}

int repair_hash(struct repair *r, const uint8_t prefix[8], uint32_t shard, uint64_t height,
		uint32_t item, struct err *err)
{
	struct short_key key =
		key_hash(db_is_packed(r->writer.network->db), prefix, shard, height, item);
	int rc = begin(r, err);
	if (rc < 0)
		return rc;
	commit_delete(r->writer.commit, FAMILY_HASHES, short_slice(&key));
	tell(r, "hash", shard, height);
	return 1;
}

int repair_counters(struct repair *r, uint32_t shard, uint64_t items, uint64_t bytes,
		    const uint64_t *refused, struct err *err)
{
	struct writer *w = &r->writer;
	int rc = begin(r, err);
	if (rc < 0)
		return rc;
	struct shard_view *sv = &commit_view(w->commit)->shards[shard];
	struct block_row row = { 0 };
	uint64_t tip = sv->gaps.held_count ? sv->gaps.held[sv->gaps.held_count - 1].end - 1 : 0;
	rc = tip ? network_block(w->network, shard, tip, &row) : 1;
	if (rc != 1)
		return err_set(err, rc ? rc : -EUCLEAN,
			       "shard %u height %" PRIu64 ": its row cannot be read", shard, tip);
	sv->items = items;
	sv->bytes = bytes;
	if (refused)
		sv->refused_items = *refused;
	sv->first_held = tip ? sv->gaps.held[0].first : 0;
	sv->tip = tip;
	sv->tip_time = row.time;
	memcpy(sv->tip_hash, row.hash, HASH_SIZE);
	sv->known = MAX(sv->known, tip);
	tell(r, "counters", shard, tip);
	return 1;
}

int repair_known(struct repair *r, uint32_t shard, uint64_t known, const uint64_t *damaged,
		 size_t damaged_count, struct err *err)
{
	int rc = begin(r, err);
	if (rc < 0)
		return rc;
	struct shard_view *sv = &commit_view(r->writer.commit)->shards[shard];
	sv->known = MAX(sv->known, known);
	r->writer.network->lost = false; /* once this is committed */
	for (size_t i = 0; i < damaged_count && rc == 0; i++)
		if (damaged[i] <= sv->known && !gaps_has(&sv->gaps, damaged[i]))
			rc = gaps_fault(&sv->gaps, damaged[i], GAP_DAMAGED,
					"its bytes, or the row that leads to them, were damaged");
	if (rc < 0)
		return err_set(err, rc, "no memory for the gaps of shard %u", shard);
	tell(r, "gaps", shard, sv->known);
	return 1;
}
