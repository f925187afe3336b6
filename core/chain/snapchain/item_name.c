#include "core/chain/snapchain/item_name.h"

#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/kinds.h"

#include <stdio.h>

/* What an item carries as its hash, where that may be one; whatever a hostile block has there, the
 * item can be found by something. */
static struct slice carried_hash(uint16_t form, const ProtobufCMessage *pb)
{
	struct slice hash = SLICE_EMPTY;

	if (form == SC_FORM_MESSAGE) {
		hash = sc_bytes(((const Sc__Message *)pb)->hash);
		return hash.n == HASH20_SIZE ? hash : SLICE_EMPTY;
	}
	if (form == SC_FORM_ONCHAIN)
		hash = sc_bytes(((const Sc__OnChainEvent *)pb)->transaction_hash);
	else if (form == SC_FORM_BLOCK_EVENT)
		hash = sc_bytes(((const Sc__BlockEvent *)pb)->hash);
	return hash.n >= HASH20_SIZE && hash.n <= HASH_SIZE ? hash : SLICE_EMPTY;
}

static int kind_of(uint16_t form, const ProtobufCMessage *pb, struct arena *arena,
		   const char **kind)
{
	struct sc_message message;
	int rc;

	switch (form) {
	case SC_FORM_MESSAGE:
		rc = sc_message_of((const Sc__Message *)pb, arena, false, &message, NULL);
		if (rc < 0)
			return rc;
		*kind = sc_message_kind(&message);
		break;
	case SC_FORM_ONCHAIN:
		*kind = sc_onchain_kind((const Sc__OnChainEvent *)pb);
		break;
	case SC_FORM_FNAME:
		*kind = SC_KIND_FNAME;
		break;
	case SC_FORM_PROOF:
		*kind = sc_message_word(SC_USERNAME_PROOF);
		break;
	case SC_FORM_BLOCK_EVENT:
		*kind = sc_event_kind((const Sc__BlockEvent *)pb);
		break;
	default:
		*kind = SC_KIND_SYSTEM;
		break;
	}
	return 0;
}

int sc_item_name(uint16_t form, struct slice bytes, char kind[SC_KIND_SIZE],
		 uint8_t hash[HASH_SIZE], uint8_t *hash_size)
{
	AUTO(arena_freep) struct arena *arena = arena_new(SC_ARENA_SIZE(bytes.n));
	ProtobufCMessage *pb = NULL;
	const char *word = NULL;

	if (!arena)
		return -ENOMEM;
	int rc = sc_item_unpack(form, bytes, arena, &pb);

	if (rc == 0)
		rc = kind_of(form, pb, arena, &word);
	if (rc < 0)
		return rc;
	struct slice carried = carried_hash(form, pb);

	snprintf(kind, SC_KIND_SIZE, "%s", word);
	if (carried.n) {
		memcpy(hash, carried.p, carried.n);
		*hash_size = (uint8_t)carried.n;
	} else {
		hash_blake3_20(bytes, hash);
		*hash_size = HASH20_SIZE;
	}
	return 0;
}
