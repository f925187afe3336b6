/* carry.h: a state as records to carry away, and everything that follows from them.
 *
 * A record's row loses its object id, which is a store's own, and gets another one where it
 * arrives. Rows of accounts and of vshards are not carried: the rooter makes them again, with the
 * roots, as accounts_end() left them; it holds one account at a time, since records come in the
 * order of the trie. chain_ops of this kind; chain.h says what each does.
 * Errors   -EUCLEAN for a row that is none of ours; the rooter -EBADMSG, since its rows come from
 *          outside. */
#ifndef CHAINFS_SNAPCHAIN_CARRY_H
#define CHAINFS_SNAPCHAIN_CARRY_H

#include "core/chain/chain.h"

enum chain_row sc_row_kind(struct slice key);
int sc_record_vshard(struct slice key, unsigned *vshard);
int sc_record_split(struct slice value, uint64_t *object, struct slice *rest);
int sc_record_join(uint64_t object, struct slice rest, struct buf *value);

/* Of messages alone. A lend tells the key under its author, not the borrower's. */
int sc_object_key(uint16_t form, struct slice bytes, struct buf *key) MUST_CHECK;
/* Onchain events are signed by nobody: of them key, row and sizes are checked alone. */
int sc_record_check(const struct chain_params *p, struct slice key, struct slice rest,
		    const struct chain_object *o, struct err *err);

int sc_root_new(uint32_t shard, bool hyper, chain_row_emit *emit, void *arg,
		struct chain_rooter **out, struct err *err);
int sc_root_add(struct chain_rooter *r, enum space space, struct slice key, struct slice value,
		struct err *err);
int sc_root_end(struct chain_rooter *r, struct chain_root out[CONTEXT_COUNT], uint64_t *retained,
		struct err *err);
void sc_root_free(struct chain_rooter *r);

#endif
