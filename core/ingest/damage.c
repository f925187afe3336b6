/* Damaged bytes: a height that was held becomes a gap, and how its block is known again. */
#include "core/base/trace.h"
#include "core/ingest/index.h"
#include "core/ingest/writer.h"

#define TAKEN_AT_ONCE 64u

/* The highest height held, after the one that was it became a gap. */
static int lower_tip(struct writer *w, uint32_t shard, struct shard_view *sv)
{
	struct block_row row = { 0 };
	const struct gaps *g = &sv->gaps;
	int rc = 1;
	if (g->held_count)
		rc = network_block(w->network, shard, g->held[g->held_count - 1].end - 1, &row);
	if (rc < 0)
		return rc;
	if (rc == 0)
		return -EUCLEAN;
	sv->tip = row.height;
	sv->tip_time = row.time;
	memcpy(sv->tip_hash, row.hash, HASH_SIZE);
	return 0;
}

int writer_damaged(struct writer *w, const struct block_row *row, const char *sentence,
		   struct err *err)
{
	struct shard_view *sv = &commit_view(w->commit)->shards[row->shard];
	if (!gaps_has(&sv->gaps, row->height))
		return 0;
	w->dirty = true;
	int rc = gaps_remove(&sv->gaps, (struct range){ row->height, row->height + 1 });
	if (rc == 0)
		rc = gaps_fault(&sv->gaps, row->height, GAP_DAMAGED, sentence);
	if (rc < 0)
		return err_set(err, rc, "no memory for the gaps of shard %u", row->shard);
	sv->items -= MIN(row->items, sv->items);
	sv->bytes -= MIN(row->canonical_size, sv->bytes);
	sv->first_held = sv->gaps.held_count ? sv->gaps.held[0].first : 0;
	rc = sv->tip == row->height ? lower_tip(w, row->shard, sv) : 0;
	if (rc < 0)
		return err_set(err, rc, "shard %u: the row of its newest block cannot be read",
			       row->shard);
	if (w->options.events)
		events_post(w->options.events, network_name(w->network), "gap",
			    "shard=%u first=%" PRIu64 " last=%" PRIu64 " reason=damaged",
			    row->shard, row->height, row->height);
	if (writer_lost(w, row, true, false, sentence) < 0)
		return err_set(err, -ENOMEM, "no memory to tell what was lost");
	return 0;
}

/* Somebody could not read it; it is a gap if we cannot either. */
static int look_again(struct writer *w, const struct damage *d, struct err *err)
{
	struct err why = ERR_INIT;
	struct block_row row;
	if (network_block(w->network, d->shard, d->height, &row) != 1 ||
	    network_block_check(w->network, &row, &why) != -EBADMSG)
		return 0;
	trace_warn("ingest", "a damaged block; its height is a gap until the block comes again",
		   "network=%s shard=%u height=%" PRIu64 " reason=\"%s\"", network_name(w->network),
		   row.shard, row.height, why.text);
	return writer_damaged(w, &row, why.text, err);
}

int writer_take_damage(struct writer *w, struct err *err)
{
	struct damage list[TAKEN_AT_ONCE];
	size_t count;
	int rc = 0;
	do {
		count = network_damage_take(w->network, list, ARRAY_LEN(list));
		for (size_t i = 0; i < count && rc == 0; i++)
			rc = look_again(w, &list[i], err);
	} while (count == ARRAY_LEN(list) && rc == 0);
	return rc;
}

int writer_was_damaged(struct writer *w, const struct chain_block *b, struct block_row *row,
		       struct err *err)
{
	const struct gaps *g = &commit_view(w->commit)->shards[b->shard].gaps;
	uint64_t cursor = b->height;
	struct gap gap;
	/* A height that was damaged is one with a fault, whatever was refused there since. */
	if (!gaps_next(g, b->height, &cursor, &gap) || !gap.fault || gap.fault->height != b->height)
		return 0;
	/* Taken out, maybe by this run, which has not deleted its row yet. */
	if (gap.fault->reason == GAP_STATE)
		return 0;
	int rc = network_block(w->network, b->shard, b->height, row);
	return rc < 0 ? err_set(err, rc, "shard %u height %" PRIu64 ": its row cannot be read",
				b->shard, b->height)
		      : rc;
}

const char *writer_differs(const struct chain_block *b, const struct block_row *row)
{
	struct block_row own = { 0 };
	if (memcmp(b->hash, row->hash, HASH_SIZE) != 0)
		return "header: another block of this height was held, and is damaged";
	block_fill_row(b, &own);
	bool same = row->has_digest ? memcmp(own.digest, row->digest, BLOCK_DIGEST_SIZE) == 0
				    : own.time == row->time && own.items == row->items &&
					      own.canonical_size == row->canonical_size &&
					      own.line_bytes == row->line_bytes;
	return same ? NULL
		    : "structure: the hash is that of the block that was held, the bytes are not";
}
