/* versions.h: which rules hold when. One schedule a network, by unix time.
 *
 * The engine version decides rules of state (snapchain-replay.md 14); the protocol version is what
 * a header of shard 0 names (snapchain.md 1.4). Networks without a schedule (devnets, and numbers
 * that we know nothing of) have the newest rules from the beginning. */
#ifndef CHAINFS_SNAPCHAIN_VERSIONS_H
#define CHAINFS_SNAPCHAIN_VERSIONS_H

#include "core/base/base.h"

#define SC_ENGINE_NEWEST   21u
#define SC_ENGINE_OLDEST   14u /* rules of state before it are not known to this program */
#define SC_PROTOCOL_NEWEST 13u

/* network: enum sc_network or any other number. */
unsigned sc_engine_version(uint32_t network, uint64_t unix_s);
uint32_t sc_protocol_version(unsigned engine_version);

/* "mainnet", "testnet", "devnet"; NULL for a number without a name. */
const char *sc_network_name(uint32_t network);

#endif
