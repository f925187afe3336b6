#include "core/chain/snapchain/kinds.h"

static const char *const message_kinds[] = {
	[SC_CAST_ADD] = "cast-add",
	[SC_CAST_REMOVE] = "cast-remove",
	[SC_REACTION_ADD] = "reaction-add",
	[SC_REACTION_REMOVE] = "reaction-remove",
	[SC_LINK_ADD] = "link-add",
	[SC_LINK_REMOVE] = "link-remove",
	[SC_VERIFICATION_ADD] = "verification-add",
	[SC_VERIFICATION_REMOVE] = "verification-remove",
	[SC_USER_DATA] = "user-data",
	[SC_USERNAME_PROOF] = "username-proof",
	[SC_FRAME_ACTION] = "frame-action",
	[SC_LINK_COMPACT] = "link-compact",
	[SC_LEND] = "lend",
	[SC_KEY_ADD] = "key-add",
	[SC_KEY_REMOVE] = "key-remove",
	[SC_CHANNEL_UPDATE] = "channel-update",
	[SC_CHANNEL_MEMBER] = "channel-member",
	[SC_CHANNEL_PIN] = "channel-pin",
	[SC_CHANNEL_MODERATE] = "channel-moderate",
};

static const char *const onchain_kinds[] = {
	[1] = "onchain-signer",
	[2] = "onchain-signer-migrated",
	[3] = "onchain-id-register",
	[4] = "onchain-storage-rent",
	[5] = "onchain-tier-purchase",
	[6] = "onchain-channel-register",
};

static const char *const event_kinds[] = {
	[SC__BLOCK_EVENT_DATA__BODY_HEARTBEAT] = "block-event-heartbeat",
	[SC__BLOCK_EVENT_DATA__BODY_MERGE_MESSAGE] = "block-event-message",
	[SC__BLOCK_EVENT_DATA__BODY_MERGE_ON_CHAIN_EVENT] = "block-event-onchain",
};

static const char *word(const char *const *words, size_t count, int64_t number)
{
	return number < 0 || (uint64_t)number >= count ? NULL : words[number];
}

const char *sc_message_word(int32_t type)
{
	return word(message_kinds, ARRAY_LEN(message_kinds), type);
}

const char *sc_onchain_word(int32_t type)
{
	return word(onchain_kinds, ARRAY_LEN(onchain_kinds), type);
}

const char *sc_message_kind(const struct sc_message *m)
{
	const char *known = m->content ? sc_message_word(m->content->type) : NULL;

	return known ? known : "message";
}

const char *sc_onchain_kind(const Sc__OnChainEvent *e)
{
	const char *known = sc_onchain_word(e->type);

	return known ? known : "onchain";
}

const char *sc_event_kind(const Sc__BlockEvent *e)
{
	const char *known =
		e->data ? word(event_kinds, ARRAY_LEN(event_kinds), e->data->body_case) : NULL;

	return known ? known : "block-event";
}
