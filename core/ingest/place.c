/* Placing a checked block: where it belongs, whether it may stand there, and the rows it leaves. */
#include "core/base/clock.h"
#include "core/base/trace.h"
#include "core/ingest/index.h"
#include "core/ingest/writer.h"

#include <stdio.h>

static struct shard_view *shard_of(struct writer *w, uint32_t shard)
{
	return &commit_view(w->commit)->shards[shard];
}

int writer_fault(struct writer *w, uint32_t shard, uint64_t height, enum gap_reason reason,
		 const char *sentence, struct err *err)
{
	struct shard_view *sv = shard_of(w, shard);
	w->pending.refused++;
	w->dirty = true;
	trace_warn("ingest", "block refused; its height stays a gap",
		   "network=%s shard=%u height=%" PRIu64 " reason=\"%s\"", network_name(w->network),
		   shard, height, sentence);
	if (w->options.events)
		events_post(w->options.events, network_name(w->network), "refused",
			    "shard=%u height=%" PRIu64 " reason=\"%s\"", shard, height, sentence);
	/* Only the next height may raise what we know to exist: a lie about a far one proves
	 * nothing. */
	if (height == 0 || height > sv->known + 1 || gaps_has(&sv->gaps, height))
		return 0;
	sv->known = MAX(sv->known, height);
	int rc = gaps_fault(&sv->gaps, height, reason, sentence);
	return rc < 0 ? err_set(err, rc, "no memory for the gaps of shard %u", shard) : 0;
}

static int refuse(struct writer *w, const struct job *job, uint64_t height, const char *sentence,
		  struct err *err)
{
	char text[REASON_SIZE + 64];
	if (job->expected && height && height != job->expected)
		snprintf(text, sizeof text, "%.110s (it calls itself height %" PRIu64 ")", sentence,
			 height);
	else
		snprintf(text, sizeof text, "%.150s", sentence);
	w->now.fate = FATE_REFUSED;
	w->now.height = height ? height : job->expected;
	snprintf(w->now.sentence, sizeof w->now.sentence, "%.*s", REASON_SIZE - 1, text);
	return writer_fault(w, job->shard, job->expected ? job->expected : height, GAP_REFUSED,
			    text, err);
}

/* The same of what proves by itself that who gave it lied. */
static int refuse_lie(struct writer *w, const struct job *job, uint64_t height,
		      const char *sentence, struct err *err)
{
	w->now.lie = true;
	return refuse(w, job, height, sentence, err);
}

/* The first level that forbids the block, as a sentence; NULL when it may be stored. *failed: it
 * was checked, and does not hold. */
static const char *forbidden(const struct writer *w, const struct chain_block *b, char *text,
			     size_t size, bool *failed)
{
	for (int l = LEVEL_STRUCTURE; l <= LEVEL_COMMIT; l++) {
		const struct level_result *r = &b->levels[l];
		if (r->verdict == VERDICT_OK ||
		    (r->verdict == VERDICT_ABSENT && w->options.allow_uncommitted))
			continue;
		const char *reason = r->reason[0] ? r->reason : verdict_names[r->verdict];
		*failed = r->verdict == VERDICT_FAILED;
		bool named = strncmp(reason, level_names[l], strlen(level_names[l])) == 0;
		snprintf(text, size, "%s%s%.90s%s", named ? "" : level_names[l], named ? "" : ": ",
			 reason,
			 r->verdict == VERDICT_ABSENT ? "; --allow-uncommitted would take it" : "");
		return text;
	}
	return NULL;
}

/* Of a height that the view says is held, by this run or an earlier one. */
static int held_link(struct writer *w, uint32_t shard, uint64_t height, struct link *out,
		     struct err *err)
{
	const struct link *ours = links_find(&w->links, shard, height);
	struct block_row row;
	if (ours) {
		*out = *ours;
		return 0;
	}
	int rc = network_block(w->network, shard, height, &row);
	if (rc == 1) {
		*out = (struct link){
			.height = height, .shard = shard, .parent_size = row.parent_size
		};
		memcpy(out->hash, row.hash, HASH_SIZE);
		memcpy(out->parent, row.parent, row.parent_size);
		return 0;
	}
	return err_set(err, rc ? rc : -EUCLEAN,
		       "shard %u height %" PRIu64 " is held, but its row is not there", shard,
		       height);
}

/* Do the neighbours that we hold agree with it? A sentence when not. */
static int check_links(struct writer *w, const struct chain_block *b, char *text, size_t size,
		       struct err *err)
{
	const struct shard_view *sv = shard_of(w, b->shard);
	const uint8_t *prev = NULL;
	struct link below, above;
	struct err why = ERR_INIT;

	text[0] = 0;
	if (b->height > 1 && gaps_has(&sv->gaps, b->height - 1)) {
		int rc = held_link(w, b->shard, b->height - 1, &below, err);
		if (rc < 0)
			return rc;
		prev = below.hash;
	}
	if ((prev || b->height == 1) && w->ops->link(b, prev, &why) < 0) {
		snprintf(text, size, "%.140s", why.text);
		return 0;
	}
	if (gaps_has(&sv->gaps, b->height + 1)) {
		int rc = held_link(w, b->shard, b->height + 1, &above, err);
		if (rc < 0)
			return rc;
		if (above.parent_size &&
		    !slice_eq(SLICE(above.parent, above.parent_size), SLICE(b->hash, HASH_SIZE)))
			snprintf(text, size,
				 "header: hash differs from the parent that height %" PRIu64
				 " names",
				 b->height + 1);
	}
	return 0;
}

struct index_place {
	struct commit *commit;
	const struct chain_block *block;
};

static int put_stat(void *arg, uint64_t object, const struct stat_record *r)
{
	const struct index_place *at = arg;
	return commit_stat(at->commit, object, r);
}

static int put_hash(void *arg, struct slice hash, uint32_t item)
{
	const struct index_place *at = arg;
	return commit_hash(at->commit, hash, at->block->shard, at->block->height, item);
}

int writer_put_index(struct commit *c, const struct chain_block *b, const struct block_row *row)
{
	struct index_place at = { c, b };
	return block_index(b, row, &(struct index_visit){ put_stat, put_hash, &at });
}

/* What the block adds to the view of its shard, and what it tells of other shards. again: its items
 * are counted among the refused ones already. */
static int note_held(struct view *v, const struct chain_block *b, bool again, struct err *err)
{
	struct shard_view *sv = &v->shards[b->shard];
	int rc = gaps_add(&sv->gaps, (struct range){ b->height, b->height + 1 });
	if (rc < 0)
		return err_set(err, rc, "no memory for the gaps of shard %u", b->shard);
	sv->items += b->item_count;
	sv->bytes += b->canonical.n;
	for (size_t i = 0; !again && i < b->item_count; i++)
		sv->refused_items += b->items[i].refusal != NULL;
	sv->known = MAX(sv->known, b->height);
	sv->first_held = sv->gaps.held[0].first;
	if (b->height >= sv->tip) {
		sv->tip = b->height;
		sv->tip_time = b->time;
		memcpy(sv->tip_hash, b->hash, HASH_SIZE);
	}
	for (size_t i = 0; i < b->witness_count; i++) {
		const struct chain_witness *wit = &b->witnesses[i];
		if (wit->shard < v->shard_count)
			v->shards[wit->shard].known = MAX(v->shards[wit->shard].known, wit->height);
	}
	return 0;
}

/* The rows of a block and its place in the view, once its bytes lie in the run. */
static int put_rows(struct commit *c, const struct chain_block *b, const struct block_row *row,
		    struct err *err)
{
	int rc = writer_put_index(c, b, row);
	if (rc == 0)
		rc = commit_block(c, row);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": no memory for its rows",
			       b->shard, b->height);
	return note_held(commit_view(c), b, false, err);
}

static int put_canonical(struct commit *c, const struct chain_block *b, struct block_row *row,
			 struct err *err)
{
	int rc = commit_bytes(c, buf_slice(&b->canonical), buf_slice(&b->certificate), &row->bytes,
			      err);
	for (size_t i = 0; i < b->item_count && rc == 0; i++) {
		const struct chain_item *it = &b->items[i];
		if (it->told_size)
			rc = commit_told(c, &row->bytes, it->told_at, it->told_from, it->told_size);
		if (rc == 0 && it->signature_size)
			rc = commit_told(c, &row->bytes, it->signature_at, it->signature_at,
					 it->signature_size);
		if (rc < 0)
			return err_set(err, rc, "shard %u height %" PRIu64 ": item %zu: %s",
				       b->shard, b->height, i, strerror(-rc));
	}
	return rc;
}

static int put_bytes(struct commit *c, const struct chain_block *b, struct block_row *row,
		     struct err *err)
{
	struct view *v = commit_view(c);
	block_fill_row(b, row);
	row->object = v->next_object;
	int rc = put_canonical(c, b, row, err);
	if (rc == 0)
		v->next_object += 1 + 2 * (uint64_t)b->item_count;
	return rc;
}

static void never_replayed(struct block_row *row, uint64_t begins)
{
	for (int l = LEVEL_ACCOUNTS; l <= LEVEL_STATE; l++)
		snprintf(row->levels[l].reason, REASON_SIZE,
			 "not replayed: the state here begins at height %" PRIu64, begins);
}

int ingest_restored(struct commit *c, const struct chain_block *b, struct err *err)
{
	struct block_row row = { 0 };
	int rc = put_bytes(c, b, &row, err);
	if (rc < 0)
		return rc;
	never_replayed(&row, b->height);
	row.levels[LEVEL_STATE].verdict = VERDICT_OK;
	snprintf(row.levels[LEVEL_STATE].reason, REASON_SIZE,
		 "not replayed: the records of a checkpoint make its root");
	return put_rows(c, b, &row, err);
}

static void note_border(struct writer *w, const struct chain_block *b)
{
	const struct trust_row *known = trust_find(&w->trust, b->shard, b->height, b->hash);

	if (b->shard == 0 && b->levels[LEVEL_COMMIT].verdict == VERDICT_OK && !known &&
	    w->border_count < BORDERS_MAX &&
	    w->ops->signers_end(network_params(w->network), b->shard, b->height))
		w->borders[w->border_count++] = b->height;
}

static int count_taken(struct writer *w, const struct chain_block *b, struct err *err)
{
	note_border(w, b);
	w->pending.blocks++;
	w->pending.items += b->item_count;
	w->pending.bytes += b->canonical.n + b->certificate.n;
	if (links_put(&w->links, b) < 0)
		return err_set(err, -ENOMEM, "shard %u height %" PRIu64 ": no memory for its hash",
			       b->shard, b->height);
	return 0;
}

/* A damaged block gets its bytes again. Its objects, and what its replay left, stand as they were:
 * nothing is replayed again. */
static int heal(struct writer *w, const struct chain_block *b, struct block_row *row,
		struct err *err)
{
	int rc = put_canonical(w->commit, b, row, err);
	if (rc < 0)
		return rc;
	w->dirty = true;
	row->canonical_size = (uint32_t)b->canonical.n;
	row->certificate_size = (uint32_t)b->certificate.n;
	row->uncommitted = b->levels[LEVEL_COMMIT].verdict == VERDICT_ABSENT;
	memcpy(row->levels, b->levels, LEVEL_ACCOUNTS * sizeof *row->levels);
	rc = commit_block(w->commit, row);
	if (rc < 0)
		return err_set(err, rc, "shard %u height %" PRIu64 ": no memory for its row",
			       b->shard, b->height);
	rc = note_held(commit_view(w->commit), b, true, err);
	if (rc == 0)
		rc = count_taken(w, b, err);
	if (rc < 0)
		return rc;
	if (w->options.events)
		events_post(w->options.events, network_name(w->network), "healed",
			    "shard=%u height=%" PRIu64, b->shard, b->height);
	return b->height == shard_of(w, b->shard)->replayed + 1 ? writer_advance(w, b->shard, err)
								: 0;
}

static int store_block(struct writer *w, const struct chain_block *b, struct err *err)
{
	struct view *v = commit_view(w->commit);
	struct shard_view *sv = &v->shards[b->shard];
	struct block_row row = { 0 };
	int rc = put_bytes(w->commit, b, &row, err);
	if (rc < 0)
		return rc;
	w->dirty = true;
	memcpy(w->now.digest, row.digest, BLOCK_DIGEST_SIZE);
	if (b->height <= sv->begins)
		never_replayed(&row, sv->begins);

	bool next = b->height == sv->replayed + 1 && !w->shards[b->shard].stopped;
	if (next) {
		rc = writer_replay(w, b, &row, err);
		if (rc < 0)
			return rc;
		if (rc == 0 && !w->shards[b->shard].stopped) {
			rc = commit_aside(w->commit, b->shard, b->height, &row.bytes);
			const char *why = row.levels[LEVEL_ACCOUNTS].verdict == VERDICT_FAILED
						  ? row.levels[LEVEL_ACCOUNTS].reason
						  : row.levels[LEVEL_STATE].reason;
			w->now.fate = FATE_STATE;
			w->now.names_account = row.levels[LEVEL_ACCOUNTS].verdict == VERDICT_FAILED;
			snprintf(w->now.sentence, sizeof w->now.sentence, "%s", why);
			return rc < 0 ? rc
				      : writer_fault(w, b->shard, b->height, GAP_STATE, why, err);
		}
	}
	rc = put_rows(w->commit, b, &row, err);
	if (rc == 0 && ranges_held(&w->ranges, &row) < 0)
		rc = err_set(err, -ENOMEM, "shard %u height %" PRIu64 ": no memory for its range",
			     b->shard, b->height);
	if (rc == 0)
		rc = count_taken(w, b, err);
	if (rc < 0)
		return rc;
	if (w->options.events)
		events_post(w->options.events, network_name(w->network), "block",
			    "shard=%u height=%" PRIu64 " items=%zu", b->shard, b->height,
			    b->item_count);
	return next ? writer_advance(w, b->shard, err) : 0;
}

static int place(struct writer *w, struct job *job, struct err *err)
{
	struct view *v = commit_view(w->commit);
	char text[REASON_SIZE];
	const struct chain_block *b = job->block;
	if (job->rc == -ENOMEM)
		return err_set(err, job->rc, "no memory to check a block of %zu bytes",
			       job->received.n);
	if (job->rc < 0) {
		snprintf(text, sizeof text, "structure: %.140s", err_text(&job->err, job->rc));
		return refuse_lie(w, job, 0, text, err);
	}
	if (b->shard != job->shard || b->shard >= v->shard_count) {
		snprintf(text, sizeof text, "structure: it is of shard %u", b->shard);
		return refuse(w, job, b->height, text, err);
	}
	bool failed = false;
	const char *why = forbidden(w, b, text, sizeof text, &failed);
	if (why)
		return failed ? refuse_lie(w, job, b->height, why, err)
			      : refuse(w, job, b->height, why, err);
	char judged[TRUST_JUDGED_SIZE];
	why = trust_judge(&w->trust, b->shard, b->height, b->hash, judged);
	if (why) /* it may be signed all the same: no lie of who gave it */
		return refuse(w, job, b->height, why, err);
	if (gaps_has(&v->shards[b->shard].gaps, b->height)) {
		struct link held;
		int rc = held_link(w, b->shard, b->height, &held, err);
		if (rc < 0)
			return rc;
		if (memcmp(held.hash, b->hash, HASH_SIZE) != 0)
			return refuse(w, job, b->height,
				      "header: another block of this height is held", err);
		w->pending.held++;
		w->now.fate = FATE_HELD;
		return 0;
	}
	struct block_row row;
	int rc = writer_was_damaged(w, b, &row, err);
	if (rc < 0)
		return rc;
	const char *differs = rc ? writer_differs(b, &row) : NULL;
	if (differs)
		return refuse(w, job, b->height, differs, err);
	if (rc)
		return heal(w, b, &row, err);
	rc = check_links(w, b, text, sizeof text, err);
	if (rc < 0)
		return rc;
	if (text[0])
		return refuse(w, job, b->height, text, err);
	return store_block(w, b, err);
}

int writer_place(struct writer *w, struct job *job, struct err *err)
{
	uint64_t began_ns = clock_mono_ns();
	const struct chain_block *b = job->block;

	w->now = (struct ingest_report){
		.tag = job->tag,
		.fate = FATE_TAKEN,
		.shard = job->shard,
		.height = b ? b->height : job->expected,
		.bytes = job->weight,
	};
	if (b)
		memcpy(w->now.hash, b->hash, HASH_SIZE);
	int rc = place(w, job, err);

	if (rc < 0 || !job->tag)
		return rc;
	w->now.check_us = job->check_us + (clock_mono_ns() - began_ns) / 1000;
	rc = writer_report(w, &w->now);
	return rc < 0 ? err_set(err, rc, "no memory to tell what became of a block") : 0;
}
