#include "core/sync/doubt.h"

struct spans { /* ascending, apart; neighbours of the same voice and word are one */
	struct doubt_span *list;
	size_t count, cap;
};

struct doubt {
	uint32_t shard_count;
	struct spans shards[SHARD_MAX];
};

struct doubt *doubt_new(uint32_t shard_count)
{
	struct doubt *d = calloc(1, sizeof *d);

	assert(shard_count <= SHARD_MAX);
	if (d)
		d->shard_count = shard_count;
	return d;
}

void doubt_freep(struct doubt **at)
{
	struct doubt *d = TAKE(*at);

	if (!d)
		return;
	for (uint32_t s = 0; s < d->shard_count; s++)
		free(d->shards[s].list);
	free(d);
}

/* The first span that ends above the height. */
static size_t at_or_behind(const struct spans *l, uint64_t height)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (l->list[mid].range.end > height)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static void drop(struct spans *l, size_t i, size_t count)
{
	memmove(l->list + i, l->list + i + count, (l->count - i - count) * sizeof *l->list);
	l->count -= count;
}

static void insert(struct spans *l, size_t i, const struct doubt_span *s)
{
	assert(l->count < l->cap);
	memmove(l->list + i + 1, l->list + i, (l->count - i) * sizeof *l->list);
	l->list[i] = *s;
	l->count++;
}

/* Room for what one change may add: a span, and the rests of two that it cuts. */
static int reserve(struct spans *l)
{
	const size_t more = 3;

	for (size_t i = 0; l->count + more > DOUBT_SPANS_MAX;) {
		while (i < l->count && l->list[i].word == WORD_DOUBTED)
			i++;
		if (i == l->count)
			return -ENOMEM;
		drop(l, i, 1);
	}
	if (l->count + more <= l->cap)
		return 0;
	size_t cap = MIN(2 * l->cap + 16, (size_t)DOUBT_SPANS_MAX);
	struct doubt_span *list = realloc(l->list, cap * sizeof *list);

	if (!list)
		return -ENOMEM;
	l->list = list;
	l->cap = cap;
	return 0;
}

/* After it no span reaches over the height. */
static void cut(struct spans *l, uint64_t height)
{
	size_t i = at_or_behind(l, height);

	if (i == l->count || l->list[i].range.first >= height)
		return;
	struct doubt_span above = l->list[i];

	above.range.first = height;
	l->list[i].range.end = height;
	insert(l, i + 1, &above);
}

static bool joins(const struct doubt_span *a, const struct doubt_span *b)
{
	return a->range.end == b->range.first && a->voice == b->voice && a->word == b->word;
}

/* Spans [from, to] that join their left neighbours become one with them. */
static void join(struct spans *l, size_t from, size_t to)
{
	for (size_t i = MIN(to + 1, l->count); i-- > MAX(from, 1);)
		if (joins(&l->list[i - 1], &l->list[i])) {
			l->list[i - 1].range.end = l->list[i].range.end;
			drop(l, i, 1);
		}
}

/* Empties the range: the place in the list where it lies. */
static size_t clear(struct spans *l, struct range r)
{
	cut(l, r.first);
	cut(l, r.end);
	size_t i = at_or_behind(l, r.first), end = i;

	while (end < l->count && l->list[end].range.first < r.end)
		end++;
	drop(l, i, end - i);
	return i;
}

static int paint(struct spans *l, struct range r, uint64_t voice, enum word word)
{
	int rc = r.first < r.end ? reserve(l) : -EINVAL;

	if (rc < 0)
		return rc;
	size_t i = clear(l, r);

	insert(l, i, &(struct doubt_span){ r, voice, word });
	join(l, i, i + 1);
	return 0;
}

int doubt_gave(struct doubt *d, uint32_t shard, uint64_t height, uint64_t voice)
{
	return paint(&d->shards[shard], (struct range){ height, height + 1 }, voice, WORD_TAKEN);
}

int doubt_compared(struct doubt *d, uint32_t shard, struct range r)
{
	return paint(&d->shards[shard], r, doubt_voice(d, shard, r.first), WORD_COMPARED);
}

void doubt_forget(struct doubt *d, uint32_t shard, struct range r)
{
	struct spans *l = &d->shards[shard];

	if (r.first >= r.end || !l->count)
		return;
	if (reserve(l) < 0) /* no room for the rests of spans: all that lies above goes with it */
		l->count = at_or_behind(l, r.first);
	else
		clear(l, r);
}

uint64_t doubt_voice(const struct doubt *d, uint32_t shard, uint64_t height)
{
	const struct spans *l = &d->shards[shard];
	size_t i = at_or_behind(l, height);

	return i < l->count && l->list[i].range.first <= height ? l->list[i].voice : 0;
}

void doubt_all_of(struct doubt *d, uint64_t voice)
{
	for (uint32_t s = 0; s < d->shard_count; s++) {
		struct spans *l = &d->shards[s];

		for (size_t i = 0; i < l->count; i++)
			if (l->list[i].voice == voice && l->list[i].word == WORD_TAKEN)
				l->list[i].word = WORD_DOUBTED;
		join(l, 0, l->count);
	}
}

int doubt_range(struct doubt *d, uint32_t shard, struct range r)
{
	struct spans *l = &d->shards[shard];

	for (uint64_t h = r.first; h < r.end;) {
		size_t i = at_or_behind(l, h);
		bool known = i < l->count && l->list[i].range.first <= h;
		struct doubt_span s = known ? l->list[i] : (struct doubt_span){ .voice = 0 };
		uint64_t behind = known          ? s.range.end
				  : i < l->count ? l->list[i].range.first
						 : r.end;
		struct range part = { h, MIN(behind, r.end) };
		int rc = known && s.word != WORD_TAKEN ? 0 : paint(l, part, s.voice, WORD_DOUBTED);

		if (rc < 0)
			return rc;
		h = part.end;
	}
	return 0;
}

bool doubt_next(const struct doubt *d, uint32_t shard, uint64_t below, struct doubt_span *out)
{
	const struct spans *l = &d->shards[shard];

	for (size_t i = below ? MIN(at_or_behind(l, below - 1) + 1, l->count) : 0; i-- > 0;) {
		*out = l->list[i];
		out->range.end = MIN(out->range.end, below);
		if (out->word == WORD_DOUBTED && out->range.first < out->range.end)
			return true;
	}
	return false;
}

uint64_t doubt_left(const struct doubt *d, uint32_t shard)
{
	const struct spans *l = &d->shards[shard];
	uint64_t heights = 0;

	for (size_t i = 0; i < l->count; i++)
		if (l->list[i].word == WORD_DOUBTED)
			heights += l->list[i].range.end - l->list[i].range.first;
	return heights;
}
