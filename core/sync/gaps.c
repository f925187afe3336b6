#include "core/sync/gaps.h"

#define GAPS_FORMAT        1
#define GAPS_FORMAT_ROLLED 2 /* the same, and behind it what a rollback let go */
/* Every range costs two bytes and every fault five, so that a count over the bytes left lies. */
#define FAULT_BYTES_MIN 5

const char *const gap_reason_names[GAP_REASON_COUNT] = {
	[GAP_NOT_FETCHED] = "not-fetched", [GAP_REFUSED] = "refused",         [GAP_STATE] = "state",
	[GAP_DAMAGED] = "damaged",         [GAP_ROLLED_BACK] = "rolled-back",
};

void gaps_release(struct gaps *g)
{
	free(g->held);
	free(g->faults);
	*g = (struct gaps)GAPS_INIT;
}

static int room_for_range(struct gaps *g, size_t need)
{
	return base_grow(&g->held, &g->held_cap, need, sizeof *g->held);
}

static int room_for_fault(struct gaps *g, size_t need)
{
	return base_grow(&g->faults, &g->fault_cap, need, sizeof *g->faults);
}

int gaps_copy(struct gaps *to, const struct gaps *from)
{
	int rc = room_for_range(to, from->held_count);

	if (rc == 0)
		rc = room_for_fault(to, from->fault_count);
	if (rc < 0)
		return rc;
	if (from->held_count)
		memcpy(to->held, from->held, from->held_count * sizeof *to->held);
	if (from->fault_count)
		memcpy(to->faults, from->faults, from->fault_count * sizeof *to->faults);
	to->held_count = from->held_count;
	to->fault_count = from->fault_count;
	to->rolled = from->rolled;
	to->rolled_end = from->rolled_end;
	return 0;
}

size_t gaps_range_at(const struct gaps *g, uint64_t height)
{
	size_t low = 0, high = g->held_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->held[middle].end > height)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* Index of the first fault at or above `height`. */
static size_t fault_at(const struct gaps *g, uint64_t height)
{
	size_t low = 0, high = g->fault_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (g->faults[middle].height >= height)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

bool gaps_has(const struct gaps *g, uint64_t height)
{
	size_t i = gaps_range_at(g, height);

	return i < g->held_count && g->held[i].first <= height;
}

uint64_t gaps_held(const struct gaps *g)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < g->held_count; i++)
		sum += g->held[i].end - g->held[i].first;
	return sum;
}

/* Replaces `count` ranges from index `at` on by `fresh_count` others; the room is there. */
static void replace(struct gaps *g, size_t at, size_t count, const struct range *fresh,
		    size_t fresh_count)
{
	size_t behind = g->held_count - at - count;

	memmove(g->held + at + fresh_count, g->held + at + count, behind * sizeof *g->held);
	for (size_t i = 0; i < fresh_count; i++)
		g->held[at + i] = fresh[i];
	g->held_count = at + fresh_count + behind;
}

static void clear_faults(struct gaps *g, struct range r)
{
	size_t from = fault_at(g, r.first), to = fault_at(g, r.end);

	if (from == to)
		return;
	memmove(g->faults + from, g->faults + to, (g->fault_count - to) * sizeof *g->faults);
	g->fault_count -= to - from;
}

/* What a rollback let go shrinks from both ends as it comes again. */
static void shrink_rolled(struct gaps *g, struct range held)
{
	if (held.first <= g->rolled.height && held.end > g->rolled.height)
		g->rolled.height = held.end;
	if (held.end >= g->rolled_end && held.first < g->rolled_end)
		g->rolled_end = held.first;
	if (g->rolled.height >= g->rolled_end) {
		g->rolled = (struct fault){ 0 };
		g->rolled_end = 0;
	}
}

int gaps_add(struct gaps *g, struct range r)
{
	if (r.first >= r.end)
		return -EINVAL;
	int rc = room_for_range(g, g->held_count + 1);

	if (rc < 0)
		return rc;
	/* Ranges that overlap or touch r melt into one: they end at r.first or later and begin at
	 * r.end or before. */
	size_t at = r.first ? gaps_range_at(g, r.first - 1) : 0, end = at;
	struct range whole = r;

	for (; end < g->held_count && g->held[end].first <= r.end; end++) {
		whole.first = MIN(whole.first, g->held[end].first);
		whole.end = MAX(whole.end, g->held[end].end);
	}
	replace(g, at, end - at, &whole, 1);

	clear_faults(g, r);
	if (g->rolled_end)
		shrink_rolled(g, whole);
	return 0;
}

int gaps_remove(struct gaps *g, struct range r)
{
	if (r.first >= r.end)
		return -EINVAL;
	int rc = room_for_range(g, g->held_count + 1);

	if (rc < 0)
		return rc;
	size_t at = gaps_range_at(g, r.first), end = at, rest = 0;
	struct range left[2];

	while (end < g->held_count && g->held[end].first < r.end)
		end++;
	if (end == at)
		return 0;
	if (g->held[at].first < r.first)
		left[rest++] = (struct range){ g->held[at].first, r.first };
	if (g->held[end - 1].end > r.end)
		left[rest++] = (struct range){ r.end, g->held[end - 1].end };
	replace(g, at, end - at, left, rest);
	return 0;
}

static void set_error(struct fault *f, const char *error)
{
	size_t size = error ? strnlen(error, REASON_SIZE - 1) : 0;

	memset(f->error, 0, sizeof f->error);
	memcpy(f->error, error ? error : "", size);
}

int gaps_roll_back(struct gaps *g, uint64_t first, uint64_t last, const char *error)
{
	if (first == 0 || last < first || last == UINT64_MAX)
		return -EINVAL;
	int rc = gaps_remove(g, (struct range){ first, UINT64_MAX });

	if (rc < 0)
		return rc;
	clear_faults(g, (struct range){ first, UINT64_MAX });
	/* What an earlier rollback let go, and is still missing, stays so. */
	uint64_t from = g->rolled_end ? MIN(g->rolled.height, first) : first;

	g->rolled_end = MAX(g->rolled_end, last + 1);
	g->rolled = (struct fault){ .height = from, .reason = GAP_ROLLED_BACK };
	set_error(&g->rolled, error);
	return 0;
}

int gaps_fault(struct gaps *g, uint64_t height, enum gap_reason reason, const char *error)
{
	if (gaps_has(g, height))
		return -EEXIST;
	size_t at = fault_at(g, height);

	if (at == g->fault_count || g->faults[at].height != height) {
		int rc = room_for_fault(g, g->fault_count + 1);

		if (rc < 0)
			return rc;
		memmove(g->faults + at + 1, g->faults + at,
			(g->fault_count - at) * sizeof *g->faults);
		g->faults[at] = (struct fault){ .height = height };
		g->fault_count++;
	}
	struct fault *f = &g->faults[at];

	f->reason = (uint8_t)reason;
	f->tries += f->tries < UINT32_MAX;
	set_error(f, error);
	return 0;
}

/* A run without faults of its own, cut where what a rollback let go begins or ends. */
static void split_rolled(const struct gaps *g, struct gap *out)
{
	uint64_t first = out->range.first;

	if (first < g->rolled.height && g->rolled_end) {
		out->range.end = MIN(out->range.end, g->rolled.height);
	} else if (first < g->rolled_end) {
		out->range.end = MIN(out->range.end, g->rolled_end);
		out->fault = &g->rolled;
	}
}

bool gaps_next(const struct gaps *g, uint64_t ceiling, uint64_t *cursor, struct gap *out)
{
	uint64_t end =
		ceiling == UINT64_MAX ? ceiling : ceiling + 1; /* the last height needs an end */
	uint64_t first = MAX(*cursor, 1);

	for (size_t i = gaps_range_at(g, first); i < g->held_count && g->held[i].first <= first;
	     i++)
		first = g->held[i].end;
	if (first >= end)
		return false;

	size_t i = gaps_range_at(g, first), f = fault_at(g, first);

	out->range = (struct range){ first, end };
	out->fault = NULL;
	if (i < g->held_count)
		out->range.end = MIN(out->range.end, g->held[i].first);
	if (f < g->fault_count && g->faults[f].height == first) {
		out->range.end = first + 1;
		out->fault = &g->faults[f];
	} else {
		if (f < g->fault_count)
			out->range.end = MIN(out->range.end, g->faults[f].height);
		split_rolled(g, out);
	}
	*cursor = out->range.end;
	return true;
}

/* ---- bytes: the format, then ranges and faults by distance from the one before ---- */

int gaps_write(const struct gaps *g, struct buf *out)
{
	uint64_t last = 0;

	buf_u8(out, g->rolled_end ? GAPS_FORMAT_ROLLED : GAPS_FORMAT);
	buf_varint(out, g->held_count);
	for (size_t i = 0; i < g->held_count; i++) {
		buf_varint(out, g->held[i].first - last);
		buf_varint(out, g->held[i].end - g->held[i].first);
		last = g->held[i].end;
	}
	last = 0;
	buf_varint(out, g->fault_count);
	for (size_t i = 0; i < g->fault_count; i++) {
		const struct fault *f = &g->faults[i];

		buf_varint(out, f->height - last);
		buf_u8(out, f->reason);
		buf_varint(out, f->tries);
		buf_varint(out, f->next_try);
		buf_blob(out, SLICE(f->error, strnlen(f->error, REASON_SIZE - 1)));
		last = f->height;
	}
	if (g->rolled_end) {
		buf_varint(out, g->rolled.height);
		buf_varint(out, g->rolled_end - g->rolled.height);
		buf_blob(out, SLICE(g->rolled.error, strnlen(g->rolled.error, REASON_SIZE - 1)));
	}
	return buf_done(out);
}

static int read_held(struct rd *r, struct gaps *g)
{
	uint64_t count = rd_varint(r), last = 0;

	if (count > rd_left(r) / 2)
		return -EBADMSG;
	int rc = room_for_range(g, count);

	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		struct range *range = &g->held[i];
		uint64_t distance = rd_varint(r), size = rd_varint(r);

		if (ckd_add(&range->first, last, distance) ||
		    ckd_add(&range->end, range->first, size) || !rd_ok(r) || size == 0 ||
		    (i > 0 && distance == 0))
			return -EBADMSG;
		last = range->end;
		g->held_count++;
	}
	return rc;
}

static int read_faults(struct rd *r, struct gaps *g)
{
	uint64_t count = rd_varint(r), last = 0;

	if (count > rd_left(r) / FAULT_BYTES_MIN)
		return -EBADMSG;
	int rc = room_for_fault(g, count);

	for (uint64_t i = 0; rc == 0 && i < count; i++) {
		struct fault *f = &g->faults[i];
		uint64_t distance = rd_varint(r);

		*f = (struct fault){ .reason = rd_u8(r) };
		uint64_t tries = rd_varint(r);

		f->tries = (uint32_t)tries;
		f->next_try = rd_varint(r);
		struct slice error = rd_blob(r);

		if (ckd_add(&f->height, last, distance) || !rd_ok(r) || tries > UINT32_MAX ||
		    f->reason >= GAP_REASON_COUNT || error.n >= REASON_SIZE ||
		    (error.n && memchr(error.p, '\0', error.n)) || (i > 0 && distance == 0) ||
		    gaps_has(g, f->height))
			return -EBADMSG;
		if (error.n)
			memcpy(f->error, error.p, error.n);
		last = f->height;
		g->fault_count++;
	}
	return rc;
}

static int read_rolled(struct rd *r, struct gaps *g)
{
	uint64_t first = rd_varint(r), size = rd_varint(r);
	struct slice error = rd_blob(r);

	if (!rd_ok(r) || first == 0 || size == 0 || ckd_add(&g->rolled_end, first, size) ||
	    error.n >= REASON_SIZE || (error.n && memchr(error.p, '\0', error.n)))
		return -EBADMSG;
	g->rolled = (struct fault){ .height = first, .reason = GAP_ROLLED_BACK };
	if (error.n)
		memcpy(g->rolled.error, error.p, error.n);
	return 0;
}

int gaps_read(struct slice in, struct gaps *out)
{
	AUTO(gaps_release) struct gaps g = GAPS_INIT;
	struct rd r = rd_of(in);

	uint8_t format = rd_u8(&r);

	if (format != GAPS_FORMAT && format != GAPS_FORMAT_ROLLED)
		return -EBADMSG;
	int rc = read_held(&r, &g);

	if (rc == 0)
		rc = read_faults(&r, &g);
	if (rc == 0 && format == GAPS_FORMAT_ROLLED)
		rc = read_rolled(&r, &g);
	if (rc == 0)
		rc = rd_done(&r);
	if (rc < 0)
		return rc;
	*out = g;
	g = (struct gaps)GAPS_INIT;
	return 0;
}
