/* doubt.h: whose word the contents of held blocks are, and which of them to compare with another's.
 *
 * The hash of a block need not cover all that it carries: Snapchain's is that of the header, and
 * what the block carries is proved by replay, as far as roots reach. A transaction that changes no
 * record can be left out or added, and nothing tells, or only a root much later (an event of the
 * main shard that was left out has all later ones refused). So it is remembered who gave a block;
 * when he turns out a liar, or a root does not come out with anybody's block, heights are doubted:
 * their contents have to be compared with what others give.
 *
 * A *voice* is one giver for as long as he is there; numbers are never used again, 0 is nobody that
 * is known.
 * Memory   a struct doubt owns its spans, at most DOUBT_SPANS_MAX a shard: beyond that, givers of
 *          the lowest heights are forgotten first. Doubts are forgotten only where there is no
 *          memory to forget a part of them.
 * Threads  one at a time (the loop).
 * Errors   -ENOMEM: no memory, or no span but doubts; then nothing has changed, but that
 *          doubt_range() may have done a part from below. -EINVAL for an empty range. */
#ifndef CHAINFS_SYNC_DOUBT_H
#define CHAINFS_SYNC_DOUBT_H

#include "core/sync/gaps.h"

#define DOUBT_SPANS_MAX 16384u

enum word {
	WORD_TAKEN,    /* nobody has reason to ask */
	WORD_DOUBTED,  /* to be compared */
	WORD_COMPARED, /* another one gave the same */
};

struct doubt_span {
	struct range range;
	uint64_t voice;
	enum word word;
};

struct doubt;

struct doubt *doubt_new(uint32_t shard_count); /* NULL: no memory */
void doubt_freep(struct doubt **d);

/* The voice gave this height; whatever was known of it is replaced. */
int  doubt_gave(struct doubt *d, uint32_t shard, uint64_t height, uint64_t voice) MUST_CHECK;
void doubt_forget(struct doubt *d, uint32_t shard, struct range r); /* not held any more */
uint64_t doubt_voice(const struct doubt *d, uint32_t shard, uint64_t height); /* 0: nobody */

/* All that the voice gave and nobody has compared. */
void doubt_all_of(struct doubt *d, uint64_t voice);
/* All of the range that nobody has compared, whoever gave it; of nobody where nothing is known. */
int  doubt_range(struct doubt *d, uint32_t shard, struct range r) MUST_CHECK;
/* The range is of one voice, as doubt_next() told it. */
int  doubt_compared(struct doubt *d, uint32_t shard, struct range r) MUST_CHECK;

/* The highest doubted heights of a shard below `below`, of one voice. False: there are none. */
bool doubt_next(const struct doubt *d, uint32_t shard, uint64_t below, struct doubt_span *out);
uint64_t doubt_left(const struct doubt *d, uint32_t shard); /* heights that are doubted */

#endif
