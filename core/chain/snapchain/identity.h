/* identity.h: names and addresses that user data may claim only if they are the author's
 * (snapchain-replay.md 6.7). Reads see the block's own writes. */
#ifndef CHAINFS_SNAPCHAIN_IDENTITY_H
#define CHAINFS_SNAPCHAIN_IDENTITY_H

#include "core/chain/snapchain/rules.h"

int sc_identity_check(struct replay *r, const struct sc_message *m) MUST_CHECK;

#endif
