/* rules.h: what the modules that replay Snapchain's rules share while a block runs.
 *
 * A rule answers 0, REFUSED with a static sentence in r->refusal, or a negative errno when the
 * store or memory failed. A refused message has no effect; a negative errno ends the block.
 *
 * Reading  G sees what this block wrote, C only what was there before it (snapchain-replay.md 1).
 *          Which of the two a rule uses is consensus: sc_get() is G, scans are C.
 * Clocks   fc: Farcaster seconds. Three versions of the rules occur at a time: that of the block,
 *          of a message's own timestamp, of a block event.
 * Threads  ingest. Memory  slices out of the state live as core/store/state.h says. */
#ifndef CHAINFS_SNAPCHAIN_RULES_H
#define CHAINFS_SNAPCHAIN_RULES_H

#include "core/chain/snapchain/block.h"
#include "core/chain/snapchain/codec.h"
#include "core/chain/snapchain/keyspace.h"
#include "core/chain/snapchain/versions.h"
#include "core/store/state.h"

#define REFUSED 1

/* Engine versions that change the rules (snapchain-replay.md 14). */
enum sc_feature {
	SC_V_LONG_PROOFS = 15, SC_V_GASLESS = 16, SC_V_LIVE_AT = 17, SC_V_UNIT_YEAR = 18,
	SC_V_OWN_LINK_TYPE = 19, SC_V_FOUR_EMBEDS = 20, SC_V_CHANNELS = 21
};

/* The item that is being replayed: what its records are called in the store. */
struct sc_cause {
	uint32_t item;
	uint64_t object;
	uint32_t line_size;
};

struct sc_revocation { /* a verification add that went: may revoke a primary address (11.2) */
	uint32_t     fid;
	uint64_t     protocol;
	struct slice address;
};

struct sc_signer { /* what is known of one signer within a transaction */
	uint64_t fid;
	uint8_t  key[32];
	uint8_t  standing; /* enum in signers.c */
	uint64_t scopes;   /* bit t: may sign type t */
	uint32_t ttl;
};
#define SC_SIGNERS_CACHED 8

struct sc_clock { /* snapchain-replay.md 15: nobody signs what time upstream's machine showed */
	int64_t shift;      /* seconds added to the block's time for the expiry of units */
	bool    other_year; /* as if V18's extra year were not, or were already */
	bool    keys_live;  /* gasless keys whose last use a bootstrap guessed have not expired */
};

struct sc_emitted { /* a merge that shard 0 tells the other shards of (16.4) */
	uint32_t     item;    /* CHANGE_NO_ITEM: the heartbeat */
	bool         onchain; /* an OnChainEvent, else a Message */
	struct slice raw;
};

struct sc_replaced { /* what the last merge of a store replaced */
	uint32_t type, kind;
	uint64_t b;
};

struct sc_changes { struct chain_change *list; size_t count, cap; };
struct sc_revocations { struct sc_revocation *list; size_t count, cap; };
struct sc_emissions { struct sc_emitted *list; size_t count, cap; };

struct accounts;

struct replay {
	const struct chain_params *params;
	uint32_t         shard;
	struct accounts *accounts;
	bool             loaded;  /* the upper tries are those of the state */
	bool             hyper;   /* retained records are kept */
	uint64_t         object_first;

	/* Of the block that is being replayed. */
	struct state          *st;
	const struct sc_block *block;
	struct arena          *arena;
	unsigned               version;      /* at the block's time */
	struct sc_clock        clock;
	bool                   units_asked;  /* the clock of units was looked at */
	bool                   keys_asked;   /* a key had expired by a last use that was guessed */
	struct sc_cause        cause;
	const char            *refusal;
	uint64_t stamp; /* counts blocks, aborted ones too: what is cached of which */
	uint64_t               seqnum;       /* last applied, resp. emitted, block event; G */
	uint64_t               seqnum_before;
	struct sc_changes      changes;
	struct chain_outcome  *outcomes;
	struct sc_emissions    emissions;
	struct buf             row_value;    /* where a row's value is written before it is put */

	struct sc_replaced     replaced[2];
	size_t                 replaced_count;

	/* Of the transaction. */
	struct sc_revocations revocations;
	struct sc_signer      signers[SC_SIGNERS_CACHED];
	size_t                signer_count;
};

static inline int refuse(struct replay *r, const char *sentence)
{
	r->refusal = sentence;
	return REFUSED;
}

static inline unsigned sc_version_at(const struct replay *r, uint64_t fc)
{
	return sc_engine_version(r->params->network, fc + SC_EPOCH);
}

static inline bool sc_body_is(const struct sc_message *m, Sc__MessageData__BodyCase body)
{
	return m->content->body_case == body;
}

/* ---- rule rows, all in SPACE_BOTH. 1 found, 0 absent, negative errno ---- */
int sc_get(struct replay *r, const struct sc_key *key, struct slice *value) MUST_CHECK; /* G */
int sc_put(struct replay *r, const struct sc_key *key, struct slice value) MUST_CHECK;
int sc_delete(struct replay *r, const struct sc_key *key) MUST_CHECK;
/* Numbers; absent is 0, and 0 deletes. */
int sc_get_number(struct replay *r, const struct sc_key *key, uint64_t *out) MUST_CHECK;
int sc_put_number(struct replay *r, const struct sc_key *key, uint64_t v) MUST_CHECK;

/* Grows a vector of the replay by one; NULL: no memory. */
void *sc_push(void *list, size_t *count, size_t *cap, size_t size);
#define SC_PUSH(v) \
	((__typeof__((v)->list))sc_push(&(v)->list, &(v)->count, &(v)->cap, sizeof *(v)->list))

#endif
