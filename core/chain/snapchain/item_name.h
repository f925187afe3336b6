/* item_name.h: what an item is called, from its bytes alone: its kind, and the hash that finds it.
 *
 * The same two as decoding its block gives (block.c): the hash of a message is the one that it
 * carries, of an event its own, of what carries none the BLAKE3-20 of its bytes.
 * Errors  -EBADMSG when the bytes do not parse, -EINVAL for an unknown form, -ENOMEM. */
#ifndef CHAINFS_SNAPCHAIN_ITEM_NAME_H
#define CHAINFS_SNAPCHAIN_ITEM_NAME_H

#include "core/chain/chain.h"

#define SC_KIND_SIZE 32

/* chain_ops of this kind. */
int sc_item_name(uint16_t form, struct slice bytes, char kind[SC_KIND_SIZE],
		 uint8_t hash[HASH_SIZE], uint8_t *hash_size);

#endif
