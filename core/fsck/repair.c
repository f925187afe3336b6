/* Mending what a walk found, through the one writer. */
#include "core/fsck/inside.h"

#include <stdio.h>

static int one(struct repair *r, const struct fsck_fixes *x, const struct fix *f, char *said,
	       size_t said_size, struct err *err)
{
	struct err why = ERR_INIT;
	int rc;

	switch (f->kind) {
	case FIX_DAMAGED:
		rc = repair_damaged(r, f->shard, f->height, err);
		snprintf(said, said_size,
			 "shard %u height %" PRIu64 ": a gap now; import it again to make it whole",
			 f->shard, f->height);
		break;
	case FIX_REBUILD:
		rc = repair_rows(r, f->shard, f->height, &why);
		/* Bytes that fail now were whole when they were walked: the next walk names
		 * them. */
		if (rc == -EBADMSG || rc == -ENODATA)
			rc = 0;
		else if (rc < 0)
			err_set(err, rc, "%s", err_text(&why, rc));
		snprintf(said, said_size,
			 "shard %u height %" PRIu64 ": its rows are made of its bytes again",
			 f->shard, f->height);
		break;
	case FIX_HASH:
		rc = repair_hash(r, f->prefix, f->shard, f->height, f->item, err);
		snprintf(said, said_size,
			 "shard %u height %" PRIu64 ": a hash that led nowhere is dropped",
			 f->shard, f->height);
		break;
	case FIX_LOSS:
		rc = repair_known(r, f->shard, f->height, NULL, 0, err);
		snprintf(said, said_size, "heights that were lost are gaps now: import them again");
		break;
	default:
		rc = repair_counters(
			r, f->shard, x->sums[f->shard].items, x->sums[f->shard].bytes,
			x->sums[f->shard].refused_known ? &x->sums[f->shard].refused_items : NULL,
			err);
		snprintf(said, said_size, "shard %u: counters are the sums of its blocks again",
			 f->shard);
		break;
	}
	return rc;
}

/* Counters first: they are sums as of the walk, and damaged blocks are taken from them. A block
 * whose rows are made anew may be damaged in none of its bytes, so that comes last. */
int fsck_repair(struct repair *r, const struct fsck_fixes *x,
		void (*told)(void *arg, const char *sentence), void *arg, struct err *err)
{
	static const enum fix_kind order[] = { FIX_LOSS, FIX_RECOUNT, FIX_DAMAGED, FIX_HASH,
						FIX_REBUILD };
	int count = 0, rc = 0;

	for (size_t o = 0; o < ARRAY_LEN(order) && rc == 0; o++)
		for (size_t i = 0; i < x->count && rc == 0; i++) {
			char said[160];

			if (x->list[i].kind != order[o])
				continue;
			rc = one(r, x, &x->list[i], said, sizeof said, err);
			if (rc < 0)
				break;
			count += rc;
			if (rc > 0)
				told(arg, said);
			rc = 0;
		}
	if (rc == 0)
		rc = repair_end(r, err);
	return rc < 0 ? rc : count;
}
