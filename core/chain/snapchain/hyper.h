/* hyper.h: what becomes of retained records when their authors act again (snapchain.md 3.5).
 *
 * Legacy has forgotten them, so its rules cannot act on them. Extra rule 1: when a message merges,
 * each retained record with the same conflict key and a lower order, in that store's own order,
 * goes from hyper too; a compact state sweeps retained links as it sweeps live ones. One of higher
 * order stays. A revoke names exactly what goes and touches nothing here. */
#ifndef CHAINFS_SNAPCHAIN_HYPER_H
#define CHAINFS_SNAPCHAIN_HYPER_H

#include "core/chain/snapchain/stores.h"

#define HYPER_EXTRA_RULES 1

int hyper_supersede(struct replay *r, const struct sc_store *s, const struct sc_record *by,
		    const struct sc_key *conflict) MUST_CHECK;

/* Retained records of one set of an account, each given to `keep`; those it does not keep go. */
int hyper_sweep(struct replay *r, struct account *a, const struct sc_store *s,
		bool (*keep)(const struct sc_record *rec, const void *arg), const void *arg,
		enum reason reason) MUST_CHECK;

#endif
