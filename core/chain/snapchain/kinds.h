/* kinds.h: the words for what a block carries: chain_item.kind, and "type" in its JSON.
 *
 * At most 31 characters of [a-z0-9-]; static. A number that the chain's definitions do not name has
 * the general word of its form ("message", "onchain", "block-event"). */
#ifndef CHAINFS_SNAPCHAIN_KINDS_H
#define CHAINFS_SNAPCHAIN_KINDS_H

#include "core/chain/snapchain/message.h"

/* NULL for a number without a word. */
const char *sc_message_word(int32_t type);
const char *sc_onchain_word(int32_t type);

const char *sc_message_kind(const struct sc_message *m);
const char *sc_onchain_kind(const Sc__OnChainEvent *e);
const char *sc_event_kind(const Sc__BlockEvent *e); /* by what it carries */
#define SC_KIND_FNAME  "fname-transfer"
#define SC_KIND_SYSTEM "system"

#endif
