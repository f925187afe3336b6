/* message.h: one Snapchain message as a block carries it, decoded with the slices that are hashed.
 *
 * `content` is what the message says: decoded from data_bytes when that field is present and not
 * empty, else from data (snapchain.md 3.1). Pre-image of hash and signature: the same bytes.
 * Strings are Sc bytes fields; the codec has checked their UTF-8 (a violation fails the structure
 * of the block, as it does upstream; inside of data_bytes the message alone).
 * Memory   protobuf-c structs live in the arena of the block that carries the message; their bytes,
 *          `raw` and the other slices point into its canonical bytes. Where the received bytes do
 *          not give the hash and prost's order does, `preimage` is a copy in the arena.
 * Times    `timestamp` of a message is in Farcaster seconds: unix - SC_EPOCH. */
#ifndef CHAINFS_SNAPCHAIN_MESSAGE_H
#define CHAINFS_SNAPCHAIN_MESSAGE_H

#include "core/chain/chain.h"
#include "proto/arena.h"
#include "proto/snapchain.pb-c.h"

#define SC_EPOCH 1609459200u /* 2021-01-01 UTC */

enum sc_type {
	SC_CAST_ADD = 1, SC_CAST_REMOVE, SC_REACTION_ADD, SC_REACTION_REMOVE, SC_LINK_ADD,
	SC_LINK_REMOVE, SC_VERIFICATION_ADD, SC_VERIFICATION_REMOVE, SC_USER_DATA = 11,
	SC_USERNAME_PROOF, SC_FRAME_ACTION, SC_LINK_COMPACT, SC_LEND, SC_KEY_ADD, SC_KEY_REMOVE,
	SC_CHANNEL_UPDATE, SC_CHANNEL_MEMBER, SC_CHANNEL_PIN, SC_CHANNEL_MODERATE
};

enum sc_form { /* what a slice of a block is; chain_item.form */
	SC_FORM_MESSAGE = 1,  /* Message */
	SC_FORM_ONCHAIN,      /* OnChainEvent */
	SC_FORM_FNAME,        /* FnameTransfer */
	SC_FORM_PROOF,        /* UserNameProof */
	SC_FORM_BLOCK_EVENT,  /* BlockEvent */
	SC_FORM_SYSTEM        /* a ValidatorMessage that carries none of the three */
};

struct sc_message {
	struct slice           raw;      /* the whole Message */
	struct slice preimage; /* what hash and signature cover; empty when there is nothing */
	const Sc__Message     *pb;
	const Sc__MessageData
		*content; /* NULL when the message has no data or data_bytes do not parse */
	bool                   differs;  /* data and data_bytes are both there and disagree */
	bool hash_ok, signature_ok;      /* scheme 1, BLAKE3-20 resp. Ed25519 over the hash */
	uint32_t               item;     /* index of the item it is, or is inside of */
	bool                   inner;    /* it is the inner record of that item */
};

/* Decodes a Message; hash_ok and signature_ok are computed here (the signature only when asked).
 * -EBADMSG when the bytes do not parse, -ENOMEM. */
int sc_message_decode(struct slice raw, struct arena *arena, bool verify, struct sc_message *out,
		      struct err *err) MUST_CHECK;

#endif
