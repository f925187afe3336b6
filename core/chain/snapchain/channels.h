/* channels.h: messages about channels: slots in consensus order, and who may fill them
 * (snapchain-replay.md 16.2, 16.3). */
#ifndef CHAINFS_SNAPCHAIN_CHANNELS_H
#define CHAINFS_SNAPCHAIN_CHANNELS_H

#include "core/chain/snapchain/records.h"

bool sc_is_channel_type(int32_t type);

/* Shard 0 alone: may the author do this? Bodies decide what it is. */
int sc_channel_authority(struct replay *r, const struct sc_message *m) MUST_CHECK;
/* Set and facts of the record; false: not the body of its type. */
bool sc_channel_facts(const struct sc_message *m, struct sc_record *out);
/* The slot that a message fills, and what it counts for. False: it fills none. */
struct sc_channel_slot {
	struct sc_key key;
	uint8_t       channel[32], value[4 + SC_ORDER_SIZE];
	enum sc_slot  counter; /* 0: none */
	bool          moderator;
};
bool sc_channel_slot(const struct sc_message *m, struct sc_channel_slot *out);
int sc_channel_merge(struct replay *r, const struct sc_message *m) MUST_CHECK;

#endif
