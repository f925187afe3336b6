#include "core/chain/snapchain/events.h"

#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/merge.h"
#include "core/chain/snapchain/onchain.h"

#define LENDS_SINCE         11 /* versions of the rules */
#define HEARTBEAT           100
#define HEARTBEAT_OF_DEVNET 5

enum { EVENT_HEARTBEAT, EVENT_MESSAGE, EVENT_ONCHAIN };

/* ---- data shards ---- */

/* From which version of the rules on, at the event's own time, a type is replayed. */
static unsigned since(int32_t type)
{
	if (type == SC_LEND)
		return LENDS_SINCE;
	if (type == SC_KEY_ADD || type == SC_KEY_REMOVE)
		return SC_V_GASLESS;
	if (type == SC_VERIFICATION_ADD || type == SC_VERIFICATION_REMOVE ||
	    sc_is_channel_type(type))
		return SC_V_CHANNELS;
	return 0;
}

static int apply_message(struct replay *r, const struct sc_message *m, unsigned version,
			 int32_t *pruned_type)
{
	int32_t type;
	int     rc;

	if (!m->content)
		return refuse(r, "it has no data");
	type = m->content->type;
	if (version < since(type))
		return refuse(r, "not yet replayed at the time of its block");
	if (type != SC_VERIFICATION_ADD && type != SC_VERIFICATION_REMOVE)
		return sc_merge_message(r, m, true);
	rc = sc_store_force(r, &sc_verifications, m);
	if (rc == 0)
		*pruned_type = type;
	return rc;
}

int sc_event_apply(struct replay *r, const struct sc_block_event *e, int32_t *pruned_type)
{
	const Sc__BlockEventData *d = e->pb->data;
	unsigned                  version;
	int                       rc;

	*pruned_type = 0;
	if (!d || d->seqnum != r->seqnum + 1) {
		rc = refuse(r, "out of sequence");
		return sc_outcome(r, e->item, rc);
	}
	r->seqnum++; /* also when it fails */
	version = sc_version_at(r, d->block_timestamp);
	if (e->has_message) {
		sc_cause_is(r, e->item, true);
		return sc_outcome(r, e->item, apply_message(r, &e->message, version, pruned_type));
	}
	if (!e->has_onchain)
		return 0;
	const Sc__OnChainEvent *onchain = d->merge_on_chain_event->on_chain_event;

	if (version < SC_V_CHANNELS)
		rc = refuse(r, "not yet replayed at the time of its block");
	else if (onchain->type == SC_ONCHAIN_CHANNEL &&
		 onchain->body_case == SC__ON_CHAIN_EVENT__BODY_CHANNEL_REGISTER)
		rc = sc_channel_fold(r, onchain);
	else
		rc = 0;
	return sc_outcome(r, e->item, rc);
}

/* ---- shard 0 ---- */

bool sc_event_told(int32_t type)
{
	return type == SC_VERIFICATION_ADD || type == SC_VERIFICATION_REMOVE || type == SC_LEND ||
	       type == SC_KEY_ADD || type == SC_KEY_REMOVE || sc_is_channel_type(type);
}

static bool same(const struct sc_emitted *made, const struct sc_block_event *e)
{
	const Sc__BlockEventData *d = e->pb->data;

	if (made->item == CHANGE_NO_ITEM)
		return d->type == EVENT_HEARTBEAT && !e->has_message && !e->has_onchain;
	if (made->onchain)
		return d->type == EVENT_ONCHAIN && e->has_onchain &&
		       slice_eq(made->raw,
				wire_bytes_of(&d->merge_on_chain_event->on_chain_event->base));
	return d->type == EVENT_MESSAGE && e->has_message && slice_eq(made->raw, e->message.raw);
}

int sc_events_end(struct replay *r, const char **why)
{
	const struct sc_block *b = r->block;
	uint64_t period = r->params->network == SC_MAINNET || r->params->network == SC_TESTNET
				  ? HEARTBEAT
				  : HEARTBEAT_OF_DEVNET;
	size_t   made;

	if (b->base.height % period == 0 && sc_emit(r, CHANGE_NO_ITEM, false, SLICE_EMPTY) < 0)
		return -ENOMEM;
	made = r->emissions.count;
	if (!why) {
		r->seqnum += made;
		return 0;
	}
	*why = made == b->event_count ? NULL
				      : "the block tells of more or fewer events than it made";
	for (size_t i = 0; i < made && !*why; i++) {
		const Sc__BlockEventData *d = b->events[i].pb->data;

		if (!d || d->seqnum != ++r->seqnum || d->event_index != i ||
		    d->block_timestamp != b->time_fc)
			*why = "the block's events are not numbered in sequence";
		else if (!same(&r->emissions.list[i], &b->events[i]))
			*why = "the block tells of an event that it did not make";
	}
	return 0;
}
