/* signers.h: may this signer speak for this fid? (snapchain-replay.md 6, steps 3, 5 and 9)
 *
 * What is found is kept for the transaction: only system messages change onchain signers, and key
 * messages, which forget it (sc_signers_forget), the others. */
#ifndef CHAINFS_SNAPCHAIN_SIGNERS_H
#define CHAINFS_SNAPCHAIN_SIGNERS_H

#include "core/chain/snapchain/rules.h"

void sc_signers_forget(struct replay *r);

/* An id registration must exist. 0, REFUSED, errno. */
int sc_registered(struct replay *r, uint64_t fid) MUST_CHECK;

/* *ttl: not 0 when the signer is a gasless key, whose use
 * sc_signer_used() notes after all other checks. */
int sc_signer_allowed(struct replay *r, const struct sc_message *m, uint32_t *ttl) MUST_CHECK;
int sc_signer_used(struct replay *r, const struct sc_message *m, uint32_t ttl) MUST_CHECK;

#endif
