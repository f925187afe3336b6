/* render.h: what files say, as plain functions of what they are given: no store, no clock, no lock.
 *
 * One record a line, fields in a fixed order, decimal numbers, lower-case hex, UTC, a final
 * newline; nothing to say is an empty file. Tables (.tsv) part their fields by tabs, other files by
 * blanks. An empty root is a dash. Text from outside has its control bytes replaced, so that a line
 * stays one.
 * Errors  latch in the buf. */
#ifndef CHAINFS_FS_RENDER_H
#define CHAINFS_FS_RENDER_H

#include "core/store/network.h"
#include "core/sync/sight.h"

/* ---- render_block.c ---- */

/* state_known: the block was replayed, or its rules are not ours; else its last two levels are
 * pending. */
void   render_verify(const struct block_row *row, bool state_known, const char *trust,
		     struct buf *out);
/* list NULL: the block is not replayed; begins: height of the state that is why it never will be,
 * or 0. */
void   render_outcomes(const struct outcome_list *list, uint32_t items, uint64_t begins,
		       struct buf *out);

/* ---- render_state.c ---- */

void   render_account_root(const struct chain_account *a, struct buf *out);
void   render_counts(const struct chain_ops *ops, const struct chain_account *a, struct buf *out);
/* A line of roots.tsv of a state: all are ACCOUNT_LINE_SIZE bytes. */
#define ACCOUNT_LINE_ROOT 40
#define ACCOUNT_LINE_SIZE (2 + 1 + 10 + 1 + ACCOUNT_LINE_ROOT + 1 + 10 + 1)
void   render_account_line(unsigned vshard, uint64_t account, const struct chain_account *a,
			   struct buf *out);

#define DIVERGED_LINE_SIZE (2 + 1 + 10 + 1)
void render_diverged_line(uint32_t shard, uint64_t height, struct buf *out);

/* ---- render_gaps.c ---- */

/* What following tells of a gap; NULL below: nobody follows. */
struct gap_sight {
	const struct sight *sight;
	const struct sight_claim *claim;
};

void render_gap_status(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_gap_reason(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_gap_error(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_gap_tries(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_gap_next(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_gap_claim(const struct gap *g, const struct gap_sight *s, struct buf *out);
void render_map(const struct shard_view *sv, struct buf *out);

/* ---- render_status.c ---- */

/* s NULL: nobody follows. A line a network, of one size whatever the numbers are. */
void render_store_line(const struct view *v, const struct sight *s, struct buf *out);
void render_status(const struct view *v, const struct sight *s, struct buf *out);
void render_network_readme(const struct view *v, struct buf *out);

/* ---- render_sources.c ---- */

typedef void render_source(const struct sight *s, const struct follow_source_sight *of,
			   struct buf *out);
render_source render_source_address, render_source_error, render_source_faults,
	render_source_operator, render_source_range, render_source_rate, render_source_remark,
	render_source_score, render_source_status, render_source_version;

/* ---- describe.c ---- */

void render_readme(struct buf *out); /* of the root */
/* One line a row of the tree whose path begins so; "": all. */
void render_rows(const char *begin, struct buf *out);

/* ---- words of all of them ---- */

void render_hex(struct slice bytes, struct buf *out);      /* a dash when there are none */
void render_sentence(const char *text, struct buf *out);   /* without control bytes */

#endif
