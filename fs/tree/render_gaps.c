#include "fs/tree/render.h"

#include "core/base/clock.h"

static uint8_t reason_of(const struct gap *g)
{
	return g->fault ? g->fault->reason : GAP_NOT_FETCHED;
}

void render_gap_status(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	buf_str(out, reason_of(g) == GAP_NOT_FETCHED ? "missing\n" : "refused\n");
}

void render_gap_reason(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	buf_fmt(out, "%s\n", gap_reason_names[reason_of(g)]);
}

void render_gap_error(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	const char *error = s && s->claim->claim.error[0] ? s->claim->claim.error
			    : g->fault			  ? g->fault->error
							  : "";

	if (!error[0])
		return;
	render_sentence(error, out);
	buf_u8(out, '\n');
}

void render_gap_tries(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	uint32_t stored = g->fault ? g->fault->tries : 0;

	buf_fmt(out, "%" PRIu32 "\n", MAX(stored, s ? s->claim->claim.tries : 0));
}

void render_gap_next(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	char time[TIME_TEXT_SIZE];
	uint64_t at = g->fault ? g->fault->next_try : 0;

	if (s && s->claim->claim.next_try_ms)
		at = sight_unix_s(s->claim->unix_ms, s->claim->now_ms,
				  s->claim->claim.next_try_ms);
	if (!at)
		return;
	time_text(at, time);
	buf_fmt(out, "%s\n", time);
}

void render_gap_claim(const struct gap *g, const struct gap_sight *s, struct buf *out)
{
	if (!s)
		return;
	sight_claim_words(s->sight, s->claim, out);
	buf_u8(out, '\n');
}

/* The last character of what is held is decided by how far replay came, and, in a restored store,
 * where its state begins. */
void render_map(const struct shard_view *sv, struct buf *out)
{
	const struct gaps *g = &sv->gaps;
	size_t start = out->n;

	if (sv->known == 0 || buf_reserve(out, sv->known + 1) < 0)
		return;
	memset(out->p + start, 0, sv->known);
	for (size_t i = 0; i < g->held_count; i++) {
		uint64_t first = MAX(g->held[i].first, 1), end = MIN(g->held[i].end, sv->known + 1);
		uint64_t part = MAX(first, MIN(end, sv->replayed + 1));
		uint64_t begin = MAX(first, MIN(part, sv->begins));

		if (first >= end)
			continue;
		memset(out->p + start + first - 1, 'h', begin - first);
		memset(out->p + start + begin - 1, 'r', part - begin);
		memset(out->p + start + part - 1, 'h', end - part);
	}
	for (size_t i = 0; i < g->fault_count; i++)
		if (g->faults[i].height >= 1 && g->faults[i].height <= sv->known)
			out->p[start + g->faults[i].height - 1] = 'x';
	out->n += sv->known;
	buf_u8(out, '\n');
}
