#include "fs/tree/render.h"

#include <stdio.h>

void render_hex(struct slice bytes, struct buf *out)
{
	if (bytes.n)
		buf_hex(out, bytes);
	else
		buf_u8(out, '-');
}

void render_sentence(const char *text, struct buf *out)
{
	for (; *text; text++)
		buf_u8(out, (uint8_t)*text < 0x20 || *text == 0x7f ? '?' : (uint8_t)*text);
}

/* ---- verify ---- */

static void verify_line(const char *what, const char *verdict, const char *reason, struct buf *out)
{
	buf_fmt(out, "%s\t%s\t", what, verdict);
	render_sentence(reason, out);
	buf_u8(out, '\n');
}

static const char *trust_reason(const char *trust)
{
	if (strcmp(trust, "archive") == 0)
		return "the archive that brought the blocks named them: it vouches for itself";
	return strcmp(trust, "preset") == 0 ? "known to this program"
					    : "given by who runs this node";
}

void render_verify(const struct block_row *row, bool state_known, const char *trust,
		   struct buf *out)
{
	for (int l = 0; l < LEVEL_COUNT; l++) {
		const struct level_result *r = &row->levels[l];

		if (l >= LEVEL_ACCOUNTS && !state_known)
			verify_line(level_names[l], verdict_names[VERDICT_PENDING], "", out);
		else
			verify_line(level_names[l], verdict_names[r->verdict], r->reason, out);
	}
	verify_line("validators", trust, trust_reason(trust), out);
}

/* ---- outcomes.tsv ---- */

void render_outcomes(const struct outcome_list *list, uint32_t items, uint64_t begins,
		     struct buf *out)
{
	char why[64] = "";

	if (begins)
		snprintf(why, sizeof why, "the state here begins at height %" PRIu64, begins);
	for (uint32_t i = 0; i < items; i++) {
		const struct chain_outcome *o =
			list && i < list->outcome_count ? &list->outcomes[i] : NULL;

		buf_fmt(out, "%06" PRIu32 "\t%s\t", i,
			o ? outcome_names[o->outcome] : "not-replayed");
		render_sentence(!o ? why : o->reason ? o->reason : "", out);
		buf_u8(out, '\n');
	}
}
