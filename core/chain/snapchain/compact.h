/* compact.h: link compact states: "these are all my links of this type" (snapchain-replay.md 7).
 *
 * One live state a (fid, padded type). Its row, found by the rules: order24, width (4 or 8), then
 * the target fids, sorted, as big-endian numbers of that width, for a search without decoding. */
#ifndef CHAINFS_SNAPCHAIN_COMPACT_H
#define CHAINFS_SNAPCHAIN_COMPACT_H

#include "core/chain/snapchain/records.h"

/* Set and facts of the record, of a message with that body. */
void sc_compact_facts(const struct sc_message *m, struct sc_record *out);
/* The row of a compact state, in the arena. -ENOMEM; a row over STATE_VALUE_MAX is the caller's. */
int sc_compact_row(const struct sc_record *rec, const Sc__LinkCompactStateBody *b,
		   struct arena *arena, struct slice *out) MUST_CHECK;
int sc_compact_merge(struct replay *r, const struct sc_message *m, unsigned version) MUST_CHECK;
/* Refuses a link that an accepted compact state has left behind. */
int sc_compact_gate(struct replay *r, const struct sc_record *link) MUST_CHECK;

#endif
