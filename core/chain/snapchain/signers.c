#include "core/chain/snapchain/signers.h"

#include "core/chain/snapchain/keys.h"
#include "core/chain/snapchain/onchain.h"
#include "core/chain/snapchain/replica.h"

#define USE_STEP_S 300 /* a key's last use moves in steps of more than this */

enum standing { STANDING_NONE, STANDING_ONCHAIN, STANDING_GASLESS };

/* Types by number that a scope may name; an unknown type counts as 0. */
#define KNOWN_TYPES (UINT32_C(0x3ff9ff))

void sc_signers_forget(struct replay *r)
{
	r->signer_count = 0;
}

int sc_registered(struct replay *r, uint64_t fid)
{
	struct account *a = account_of(r, fid);
	struct slice    address;
	int             rc;

	if (!a)
		return -ENOMEM;
	if (a->registered)
		return 0;
	rc = sc_custody(r, fid, &address);
	if (rc < 0)
		return rc;
	a->registered = rc == 1;
	return rc ? 0 : refuse(r, "its fid is not registered");
}

static int look_up(struct replay *r, uint64_t fid, const uint8_t key[32], struct sc_signer *out)
{
	struct account       *a = account_of(r, fid);
	struct sc_gasless_key g;
	int                   rc;

	if (!a)
		return -ENOMEM;
	*out = (struct sc_signer){ .fid = fid, .standing = STANDING_ONCHAIN };
	memcpy(out->key, key, sizeof out->key);
	if (a->has_signer && memcmp(a->signer, key, sizeof a->signer) == 0)
		return 0;
	rc = sc_signer_active(r, fid, SLICE(key, 32));
	if (rc == 1) {
		a->has_signer = true;
		memcpy(a->signer, key, sizeof a->signer);
	}
	if (rc)
		return MIN(rc, 0);
	rc = sc_gasless_get(r, (uint32_t)fid, key, &g);
	if (rc < 0)
		return rc;
	out->standing = rc ? STANDING_GASLESS : STANDING_NONE;
	if (rc) {
		out->scopes = g.scopes;
		out->ttl = g.ttl;
	}
	return 0;
}

static int signer_of(struct replay *r, uint64_t fid, const uint8_t key[32],
		     const struct sc_signer **out)
{
	struct sc_signer *s;
	int               rc;

	for (size_t i = 0; i < MIN(r->signer_count, (size_t)SC_SIGNERS_CACHED); i++) {
		*out = &r->signers[i];
		if ((*out)->fid == fid && memcmp((*out)->key, key, 32) == 0)
			return 0;
	}
	s = &r->signers[r->signer_count % SC_SIGNERS_CACHED];
	rc = look_up(r, fid, key, s);
	if (rc < 0) {
		sc_signers_forget(r);
		return rc;
	}
	/* Beyond the cache's size the places are taken in turn. */
	r->signer_count++;
	*out = s;
	return 0;
}

int sc_signer_allowed(struct replay *r, const struct sc_message *m, uint32_t *ttl)
{
	int32_t                 type = m->content->type;
	const struct sc_signer *s;
	int                     rc;

	*ttl = 0;
	if (type == SC_KEY_ADD || type == SC_KEY_REMOVE)
		return r->version >= SC_V_GASLESS ? 0
						  : refuse(r, "keys without gas are not known yet");
	rc = signer_of(r, m->content->fid, m->pb->signer.data, &s);
	if (rc < 0)
		return rc;
	if (s->standing == STANDING_ONCHAIN)
		return 0;
	if (s->standing == STANDING_NONE)
		return refuse(r, "not a signer of its fid");
	if (type < 0 || type > SC_CHANNEL_MODERATE || !(KNOWN_TYPES >> type & 1))
		type = 0;
	if (!(s->scopes >> type & 1))
		return refuse(r, "the key's scopes do not cover it");
	*ttl = s->ttl;
	return 0;
}

/* A bootstrap guessed it by the messages that lived: it may have been later. 1, 0. */
static int guessed_use(struct replay *r, uint32_t fid)
{
	struct sc_key key;
	uint64_t      marks;
	int           rc;

	sc_key_marks(&key);
	sc_key_be32(&key, fid);
	rc = sc_get_number(r, &key, &marks);
	return rc < 0 ? rc : (marks & SC_MARK_KEY_USE) != 0;
}

int sc_signer_used(struct replay *r, const struct sc_message *m, uint32_t ttl)
{
	struct sc_key key;
	uint64_t      last;
	struct slice  value;
	int           rc;

	if (!ttl)
		return 0;
	sc_key_gasless(&key, SC_GASLESS_USED, (uint32_t)m->content->fid, m->pb->signer.data);
	rc = sc_get(r, &key, &value);
	if (rc != 1)
		return rc < 0 ? rc : refuse(r, "the key was never used");
	if (value.n != 4)
		return -EUCLEAN;
	last = get_be32(value.p);
	if (last + ttl < r->block->time_fc) {
		rc = guessed_use(r, (uint32_t)m->content->fid);
		if (rc < 0)
			return rc;
		r->keys_asked |= rc == 1;
		if (!rc || !r->clock.keys_live)
			return refuse(r, "the key has expired");
	}
	if (m->content->timestamp <= last + USE_STEP_S)
		return 0;
	uint8_t now[4];

	put_be32(now, m->content->timestamp);
	return sc_put(r, &key, SLICE_ARRAY(now));
}
