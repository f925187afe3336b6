/* envelope.h: what hyper says of one block: HyperEnvelope of proto/snapchain.proto, ours. */
#ifndef CHAINFS_SNAPCHAIN_ENVELOPE_H
#define CHAINFS_SNAPCHAIN_ENVELOPE_H

#include "core/chain/chain.h"

/* As struct chain_ops has it. Equal envelopes are equal bytes on every machine. */
int sc_render_envelope(const struct chain_envelope *e, bool json, struct buf *out);

#endif
