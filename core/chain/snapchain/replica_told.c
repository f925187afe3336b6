/* What blocks tell that no record says: how many block events were applied, the registry of
 * channels, nonces of gasless keys, and the key messages that a node refuses to hand out. */
#include "core/chain/snapchain/replica.h"

#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/listing.h"
#include "core/chain/snapchain/onchain.h"

#define NUMBERS_ENOUGH 4 /* block events in sequence that leave no doubt */

/* ---- the sequence of block events ---- */

static int push_number(struct chain_replica *r, uint64_t number)
{
	uint64_t *p = SC_PUSH(&r->seqnums);

	if (!p)
		return -ENOMEM;
	*p = number;
	return 0;
}

/* The rule of 13, from the oldest number known: one that is next is applied. From height 1 it
 * begins at 0 and nothing is left to doubt; else the first must have been applied, which holds when
 * all that follow are. */
static void run_sequence(struct chain_replica *r)
{
	uint64_t highest = 0, at;

	if (!r->seqnums.count)
		return;
	at = r->below <= 1 ? 0 : r->seqnums.list[r->seqnums.count - 1] - 1;
	for (size_t i = r->seqnums.count; i-- > 0;) {
		at += r->seqnums.list[i] == at + 1;
		highest = MAX(highest, r->seqnums.list[i]);
	}
	r->seqnum = r->below <= 1 ? at : highest;
	r->seqnum_known = r->below <= 1 || (at == highest && r->seqnums.count >= NUMBERS_ENOUGH);
}

/* Numbers of one block, the last first; block events keep their order. */
int sc_replica_below(struct chain_replica *r, const struct chain_block *base, struct err *err)
{
	const struct sc_block *b = sc_block_of(base);

	for (size_t t = b->transaction_count; t-- > 0;) {
		const struct sc_transaction *tx = &b->transactions[t];

		for (size_t i = tx->system_count; i-- > 0;) {
			const struct sc_block_event *e = tx->system[i].event;

			if (e && e->pb->data && push_number(r, e->pb->data->seqnum) < 0)
				return err_set(err, -ENOMEM, "no memory for block events");
		}
	}
	r->below = base->height;
	run_sequence(r);
	return r->seqnum_known;
}

/* ---- the main shard ---- */

static int tell_key(struct chain_replica *r, const struct sc_message *m)
{
	bool add = m->content->type == SC_KEY_ADD;
	struct sc_key row, nonce;
	uint64_t last, requester;
	uint8_t *p;
	struct sc_told *told;
	int rc;

	if (sc_shard_of(r->params, m->content->fid) != r->shard ||
	    !sc_body_is(m,
			add ? SC__MESSAGE_DATA__BODY_KEY_ADD : SC__MESSAGE_DATA__BODY_KEY_REMOVE) ||
	    (add ? m->content->key_add->key.len : m->content->key_remove->key.len) != 32)
		return 0;
	p = arena_alloc(r->told_arena, m->raw.n);
	told = p ? SC_PUSH(&r->told) : NULL;
	if (!told)
		return -ENOMEM;
	memcpy(p, m->raw.p, m->raw.n);
	*told = (struct sc_told){ (uint32_t)m->content->fid, SLICE(p, m->raw.n) };

	/* Whose the key is, for the nonce of the application that asked for it. */
	sc_key_gasless(&row, SC_GASLESS_RECORD, (uint32_t)m->content->fid,
		       add ? m->content->key_add->key.data : m->content->key_remove->key.data);
	sc_key_gasless(&nonce, SC_GASLESS_USER_NONCE, (uint32_t)m->content->fid, NULL);
	if (add) {
		if (!sc_key_requester(m->content->key_add, &requester))
			return 0;
		rc = sc_put_number(r->shared, &row, requester + 1);
	} else {
		rc = sc_get_number(r->shared, &row, &requester);
		if (rc < 0 || !requester)
			return rc;
		if (m->content->key_remove->signature_type == 2)
			sc_key_gasless(&nonce, SC_GASLESS_APP_NONCE, (uint32_t)(requester - 1),
				       NULL);
		rc = sc_delete(r->shared, &row);
	}
	if (rc == 0)
		rc = sc_get_number(r->shared, &nonce, &last);
	uint64_t is = add ? m->content->key_add->nonce : m->content->key_remove->nonce;

	return rc == 0 && is > last ? sc_put_number(r->shared, &nonce, is) : rc;
}

static int tell(struct chain_replica *r, const struct sc_block_event *e)
{
	const Sc__BlockEventData *d = e->pb->data;

	if (!d || d->seqnum > r->seqnum)
		return 0; /* not applied yet */
	unsigned version = sc_engine_version(r->params->network, d->block_timestamp + SC_EPOCH);

	if (e->has_onchain) {
		const Sc__OnChainEvent *o = d->merge_on_chain_event->on_chain_event;

		return version >= SC_V_CHANNELS && o->type == SC_ONCHAIN_CHANNEL &&
				       o->body_case == SC__ON_CHAIN_EVENT__BODY_CHANNEL_REGISTER
			       ? sc_channel_fold(r->shared, o)
			       : 0;
	}
	if (!e->has_message || !e->message.content || version < SC_V_GASLESS)
		return 0;
	return e->message.content->type == SC_KEY_ADD || e->message.content->type == SC_KEY_REMOVE
		       ? tell_key(r, &e->message)
		       : 0;
}

int sc_replica_main(struct chain_replica *r, const struct chain_block *base, struct err *err)
{
	const struct sc_block *b = sc_block_of(base);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < b->event_count; i++) {
		const Sc__BlockEventData *d = b->events[i].pb->data;

		rc = tell(r, &b->events[i]);
		/* All of them came: nothing is left to guess. */
		r->has_main |= d && d->seqnum >= r->seqnum && r->seqnum;
	}
	return rc < 0 ? err_set(err, rc, "height %" PRIu64 " of the main shard: %s", base->height,
				strerror(-rc))
		      : 0;
}

/* ---- what a node refuses ---- */

static struct slice key_of(const struct sc_message *m)
{
	return sc_bytes(m->content->type == SC_KEY_ADD ? m->content->key_add->key
						       : m->content->key_remove->key);
}

enum chain_shared sc_replica_shared(uint8_t set_id)
{
	switch ((enum sc_set)(set_id - 1)) {
	case SC_SET_BORROWS:
	case SC_SET_LENDS:
	case SC_SET_CHANNEL_UPDATES:
	case SC_SET_CHANNEL_MEMBERS:
	case SC_SET_CHANNEL_PINS:
	case SC_SET_CHANNEL_MODERATIONS:
		return CHAIN_SHARED_ALL;
	case SC_SET_ONCHAIN:
		return CHAIN_SHARED_HOME;
	default:
		return CHAIN_SHARED_NONE;
	}
}

/* Every KEY_REMOVE stays; a KEY_ADD until the next message of its key. */
int sc_replica_add_told(struct chain_replica *r, uint64_t account, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < r->told.count; i++) {
		AUTO(arena_freep) struct arena *arena = NULL;
		struct sc_message m, later;
		bool live = true;

		if (r->told.list[i].fid != (uint32_t)account)
			continue;
		arena = arena_new(SC_ACCOUNT_MAX);
		rc = arena ? sc_replica_message(arena, r->told.list[i].raw, &m, err) : -ENOMEM;
		for (size_t j = i + 1;
		     rc == 0 && live && m.content->type == SC_KEY_ADD && j < r->told.count; j++) {
			if (r->told.list[j].fid != (uint32_t)account)
				continue;
			rc = sc_replica_message(arena, r->told.list[j].raw, &later, err);
			live = rc < 0 || !slice_eq(key_of(&m), key_of(&later));
		}
		struct chain_page_item item = { .form = SC_FORM_MESSAGE,
						.bytes = r->told.list[i].raw };

		if (rc == 0 && live)
			rc = sc_replica_add(r, account, &item, err);
	}
	return rc < 0 ? err_note(err, rc, "key messages of account %" PRIu64, account) : 0;
}
