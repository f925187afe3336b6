/* What replay left, row by row; carried bytes; and the counters of the view that sum it up. */
#include "core/fsck/inside.h"

struct tally {
	uint64_t roots, diverged, marks; /* of heights that are replayed */
};

static bool differ(const struct roots_row *r)
{
	return r->has_hyper && !slice_eq(SLICE(r->legacy.root, r->legacy.root_size),
					 SLICE(r->hyper.root, r->hyper.root_size));
}

static void check_newest(struct fsck *k, uint32_t shard, const struct roots_row *r)
{
	const struct shard_view *sv = &k->view->shards[shard];
	struct at at = AT(shard, sv->replayed);

	if (!chain_root_eq(&r->legacy, &sv->legacy))
		fault(k, FSCK_CONTRADICTION, "counters", at, false,
		      "the view's legacy root is not that of its newest block");
	/* hyper may have been switched since the block. */
	if (r->has_hyper && sv->hyper_on && sv->base_height < sv->replayed &&
	    (!chain_root_eq(&r->hyper, &sv->hyper) || r->retained != sv->retained))
		fault(k, FSCK_CONTRADICTION, "counters", at, false,
		      "the view's hyper root, or what it retains, is not that of its newest block");
}

static int check_place(struct fsck *k, const char *part, struct at at, struct slice value)
{
	struct slice canonical, certificate;
	struct segment_ref ref;
	struct err why = ERR_INIT;

	if (segment_ref_read(value, &ref) < 0) {
		fault(k, FSCK_DAMAGED, part, at, false, "its row does not parse");
		return 0;
	}
	int rc = piece_bytes(k, &ref, &canonical, &certificate, &why);

	if (rc == -ENOMEM)
		return rc;
	if (rc < 0)
		fault(k, FSCK_DAMAGED, part, at, false, "%s", why.text);
	return 0;
}

static void row_of_nobody(struct fsck *k, const char *part, struct at at)
{
	struct block_row row;

	if (at.shard >= k->view->shard_count || look_block_row(k, at.shard, at.height, &row) != 1)
		fault(k, FSCK_ORPHAN, part, at, false, "there is no block of this height");
}

static int check_row(struct fsck *k, uint8_t kind, struct at at, struct slice value,
		     struct tally tallies[SHARD_MAX])
{
	bool known = at.shard < k->view->shard_count;
	const struct shard_view *sv = known ? &k->view->shards[at.shard] : NULL;
	struct tally *t = &tallies[known ? at.shard : 0];
	bool replayed = known && at.height <= sv->replayed;
	struct roots_row roots;
	struct range_row range;

	switch (kind) {
	case REPLAY_ROOTS:
		row_of_nobody(k, "roots", at);
		if (roots_row_read(value, &roots) < 0) {
			if (!known || walked_is_bad(&k->walked[at.shard], at.height))
				fault(k, FSCK_DAMAGED, "roots", at, false,
				      "its row does not parse");
			return 0;
		}
		t->roots += replayed;
		t->diverged += replayed && differ(&roots);
		if (known && at.height == sv->replayed)
			check_newest(k, at.shard, &roots);
		return 0;
	case REPLAY_CHANGES:
		row_of_nobody(k, "changes", at);
		return 0; /* read with its block */
	case REPLAY_OUTCOMES:
		row_of_nobody(k, "outcomes", at);
		return 0;
	case REPLAY_DIVERGED:
		t->marks += replayed;
		return 0;
	case REPLAY_ASIDE:
		return check_place(k, "aside", at, value);
	case REPLAY_CARRIED:
		if (at.height == 0 || at.height > k->carriers)
			fault(k, FSCK_ORPHAN, "carrier", at, false,
			      "it has a number that was never given");
		return check_place(k, "carrier", at, value);
	case REPLAY_RANGE:
		if (range_row_read(value, &range) < 0)
			fault(k, FSCK_DAMAGED, "range", at, false, "its row does not parse");
		return 0;
	default:
		fault(k, FSCK_ORPHAN, "replay", at, false, "a row of a kind that nobody writes");
		return 0;
	}
}

static int check_carriers(struct fsck *k)
{
	for (uint64_t i = 1; i <= k->carriers; i++) {
		struct slice value;
		int rc = look_up(k, FAMILY_REPLAY, key_replay(REPLAY_CARRIED, 0, i), &value);

		if (rc == 0)
			fault(k, FSCK_MISSING, "carrier", AT(0, i), false, "its row is not there");
		if (rc == -ENOMEM || stopped(k) < 0)
			return rc < 0 ? rc : -EINTR;
	}
	return 0;
}

/* Sums are known where every block from the first one on is in the state, and can be read. */
static void check_sums(struct fsck *k, uint32_t shard, const struct tally *t)
{
	const struct shard_view *sv = &k->view->shards[shard];
	const struct walked *w = &k->walked[shard];

	if (sv->replayed && t->roots == sv->replayed && t->diverged != sv->diverged)
		fault(k, FSCK_CONTRADICTION, "counters", NOWHERE(shard), false,
		      "the view counts %" PRIu64 " heights whose roots differ, the rows %" PRIu64,
		      sv->diverged, t->diverged);
	if (t->marks != t->diverged)
		fault(k, t->marks > t->diverged ? FSCK_ORPHAN : FSCK_MISSING, "diverged",
		      NOWHERE(shard), false,
		      "%" PRIu64 " heights are marked as those whose roots differ, %" PRIu64 " do",
		      t->marks, t->diverged);
	if (sv->begins || w->replayed != sv->replayed || k->view->branch)
		return;
	for (int r = 0; r < REASON_COUNT; r++)
		if (w->changes[r] != sv->changes[r])
			fault(k, FSCK_CONTRADICTION, "counters", NOWHERE(shard), false,
			      "the view counts %" PRIu64 " records %s, the change lists %" PRIu64,
			      sv->changes[r], reason_names[r], w->changes[r]);
}

int walk_replay(struct fsck *k)
{
	struct db_iter *it = k->walk[FAMILY_REPLAY];
	struct tally tallies[SHARD_MAX] = { 0 };
	struct err why = ERR_INIT;
	uint64_t rows = 0;
	int rc = db_iter_seek(it, SLICE_EMPTY, &why);

	for (; rc == 1; rc = db_iter_next(it, &why)) {
		struct at at;
		uint8_t kind;

		if (++rows % 4096 == 0)
			progress(k, "what replay left", rows, 0);
		if (key_replay_read(db_iter_key(it), &kind, &at.shard, &at.height) < 0) {
			fault(k, FSCK_DAMAGED, "replay", NOWHERE(0), false, "a key does not parse");
			continue;
		}
		int bad = check_row(k, kind, at, db_iter_value(it), tallies);

		if (bad == 0)
			bad = stopped(k);
		if (bad < 0)
			return bad;
	}
	if (rc < 0)
		return unreadable(k, FAMILY_REPLAY, rc, &why);
	for (uint32_t s = 0; s < k->view->shard_count; s++)
		check_sums(k, s, &tallies[s]);
	return check_carriers(k);
}
