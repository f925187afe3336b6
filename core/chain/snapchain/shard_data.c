/* A transaction of a data shard (snapchain-replay.md 3). */
#include "core/chain/snapchain/account.h"
#include "core/chain/snapchain/channels.h"
#include "core/chain/snapchain/events.h"
#include "core/chain/snapchain/identity.h"
#include "core/chain/snapchain/limits.h"
#include "core/chain/snapchain/merge.h"
#include "core/chain/snapchain/names.h"
#include "core/chain/snapchain/signers.h"
#include "core/chain/snapchain/user_data.h"
#include "core/chain/snapchain/validate.h"

/* Message types to prune at the end of the transaction, in the order in which they first merged. */
struct types {
	int32_t list[SC_CHANNEL_MODERATE + 1];
	size_t  count;
};

static void remember(struct types *t, int32_t type)
{
	for (size_t i = 0; i < t->count; i++)
		if (t->list[i] == type)
			return;
	if (type > 0 && type <= SC_CHANNEL_MODERATE)
		t->list[t->count++] = type;
}

/* ---- system messages ---- */

static int system_message(struct replay *r, const struct sc_system *s, struct types *types)
{
	int32_t pruned;
	int     rc;

	sc_cause_is(r, s->item, s->fname != NULL);
	if (s->onchain)
		return sc_outcome(r, s->item, sc_onchain_merge(r, s->onchain));
	if (s->fname)
		return sc_outcome(r, s->item, sc_fname_transfer(r, s->fname));
	if (!s->event)
		return 0;
	rc = sc_event_apply(r, s->event, &pruned);
	remember(types, pruned);
	return rc;
}

static int system_messages(struct replay *r, const struct sc_transaction *tx, struct types *types)
{
	const struct sc_system **sorted;
	int                      rc = sc_system_sorted(r, tx, &sorted);

	for (size_t i = 0; i < tx->system_count && rc == 0; i++)
		rc = system_message(r, sorted[i], types);
	return rc;
}

/* ---- user messages ---- */

static unsigned priority(const Sc__MessageData *d)
{
	if (!d)
		return 5;
	switch (d->type) {
	case SC_VERIFICATION_ADD:
		return 1;
	case SC_USERNAME_PROOF:
		return 2;
	case SC_USER_DATA:
		if (d->body_case != SC__MESSAGE_DATA__BODY_USER_DATA)
			return 4;
		return d->user_data->type == SC_USER_NAME ||
				       d->user_data->type == SC_USER_ETH_ADDRESS ||
				       d->user_data->type == SC_USER_SOL_ADDRESS
			       ? 3
			       : 4;
	default:
		return 5;
	}
}

struct turn {
	const struct sc_message *message;
	unsigned                 priority;
	uint32_t                 timestamp;
};

static int by_turn(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	if (x->timestamp != y->timestamp)
		return x->timestamp < y->timestamp ? -1 : 1;
	return (x->message > y->message) - (x->message < y->message); /* stable */
}

static int validate(struct replay *r, const struct sc_message *m)
{
	int32_t  type;
	uint32_t ttl;
	int      rc = sc_validate(r, m);

	if (rc == 0)
		rc = sc_registered(r, m->content->fid);
	if (rc == 0)
		rc = sc_signer_allowed(r, m, &ttl);
	if (rc)
		return rc;
	type = m->content->type;
	if (type == SC_LEND || sc_is_channel_type(type) ||
	    (r->version >= SC_V_CHANNELS &&
	     (type == SC_VERIFICATION_ADD || type == SC_VERIFICATION_REMOVE)))
		return refuse(r, "messages of its type come through shard 0");
	rc = sc_identity_check(r, m);
	return rc ? rc : sc_signer_used(r, m, ttl);
}

static int user_messages(struct replay *r, const struct sc_transaction *tx, struct types *types)
{
	struct turn *turns = arena_alloc(r->arena, (tx->user_count + 1) * sizeof *turns);
	int          rc = 0;

	if (!turns)
		return -ENOMEM;
	for (size_t i = 0; i < tx->user_count; i++) {
		const Sc__MessageData *d = tx->user[i].content;

		turns[i] = (struct turn){ &tx->user[i], priority(d), d ? d->timestamp : 0 };
	}
	qsort(turns, tx->user_count, sizeof *turns, by_turn);
	for (size_t i = 0; i < tx->user_count && rc == 0; i++) {
		const struct sc_message *m = turns[i].message;

		sc_cause_is(r, m->item, false);
		rc = validate(r, m);
		if (rc == 0)
			rc = sc_merge_message(r, m, r->version >= SC_V_CHANNELS);
		if (rc == 0)
			remember(types, m->content->type);
		rc = sc_outcome(r, m->item, rc);
	}
	return rc;
}

int sc_data_transaction(struct replay *r, const struct sc_transaction *tx)
{
	struct types types = { .count = 0 };
	int          rc = system_messages(r, tx, &types);

	if (rc == 0)
		rc = user_messages(r, tx, &types);
	sc_cause_none(r);
	for (size_t i = 0; i < types.count && rc == 0; i++)
		rc = sc_prune(r, tx->fid, types.list[i]);
	return rc ? rc : sc_revoke_primary_addresses(r);
}
