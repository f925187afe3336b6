/* forge_people.h: accounts of a chain that we make, and what they do all day.
 *
 * A person joins with on-chain events (account, signer, storage), which go to shard 0 and to the
 * shard of the account. From the step after that the person may speak: storage bought in a block
 * does not count in it.
 * Memory   the people own their messages' buffers; the chain is borrowed.
 * Errors   latch in the chain (forge_chain.h). */
#ifndef CHAINFS_SNAPCHAIN_FORGE_PEOPLE_H
#define CHAINFS_SNAPCHAIN_FORGE_PEOPLE_H

#include "core/chain/snapchain/forge/forge_chain.h"
#include "core/chain/snapchain/forge/forge_events.h"
#include "core/chain/snapchain/forge/forge_text.h"

#define FORGE_REMEMBERED 8  /* of one's own casts, reactions and links */
#define FORGE_RECENT     64 /* casts that others react to */

struct forge_person {
	uint64_t              fid;
	uint32_t              shard;
	const char           *name;     /* NULL: without one */
	struct forge_key      key;
	struct forge_wallet   custody;
	bool                  quiet;    /* takes no part in the chatter */
	bool                  verified; /* has said which Solana address is theirs */
	uint32_t              casts, reactions, links, profile; /* counts of those below, ever */
	struct {
		uint8_t hash[HASH20_SIZE];
	} own_casts[FORGE_REMEMBERED];
	struct {
		struct forge_target target;
		uint8_t             kind;
	} own_reactions[FORGE_REMEMBERED];
	uint64_t              own_links[FORGE_REMEMBERED];
};

struct forge_people {
	struct forge_chain        *chain;
	uint64_t                   seed;
	uint32_t                   block_time_s;
	struct forge_dice          dice;
	struct forge_ledger        ledger;
	struct forge_wallet        registry;   /* gives out names */
	uint64_t                   names_given;
	struct forge_person       *list;
	uint32_t                   count, joined; /* those before `joined` are on the chain */
	struct {
		struct forge_target cast;
		const char         *topic;
	} recent[FORGE_RECENT];
	uint32_t                   recent_count;  /* ever */
	struct forge_message       message;       /* the newest one */
	struct buf                 event;
};

/* The wallet that gives out names on the chain of that seed. */
void forge_registry_of(uint64_t seed, struct forge_wallet *out);

/* Accounts fid_first, fid_first + 1, … of people who have not joined yet. */
int  forge_people_init(struct forge_people *p, struct forge_chain *chain,
		       const struct chain_params *params, uint64_t seed, uint32_t block_time_s,
		       uint32_t count, uint64_t fid_first, struct err *err) MUST_CHECK;
void forge_people_release(struct forge_people *p);

/* Delivers p->event to shard 0 and to the shard of the account. */
void forge_tell(struct forge_people *p, const struct forge_person *who);
/* The next person joins; `rent_time` (unix) decides what a unit of storage holds, and how long. */
void forge_join(struct forge_people *p, uint64_t rent_time, uint32_t units);
void forge_rent(struct forge_people *p, const struct forge_person *who, uint64_t rent_time,
		uint32_t units);
/* The registry gives a name to somebody (to NULL: to nobody), perhaps taking it from somebody.
 * age_s: how long ago. */
void forge_give_name(struct forge_people *p, const char *name, const struct forge_person *to,
		     const struct forge_person *from, uint32_t age_s);

/* A stamp of now, resp. of some moment since the last block. */
struct forge_stamp forge_now(struct forge_people *p, const struct forge_person *who);
struct forge_stamp forge_lately(struct forge_people *p, const struct forge_person *who);
/* p->message goes to the person's own shard, resp. to shard 0. */
void forge_post(struct forge_people *p, const struct forge_person *who);
void forge_post_main(struct forge_people *p, const struct forge_person *who);
/* Remembers p->message as a cast of theirs that others may see. */
void forge_was_cast(struct forge_people *p, struct forge_person *who, const char *topic);

enum forge_action { /* what a person does; the weights of a mix */
	FORGE_DO_CAST, FORGE_DO_REPLY, FORGE_DO_REACT, FORGE_DO_UNREACT, FORGE_DO_FOLLOW,
	FORGE_DO_UNFOLLOW, FORGE_DO_PROFILE, FORGE_DO_DELETE, FORGE_DO_VERIFY, FORGE_ACTIONS
};

/* One message of a person, of a kind drawn by weight. */
void forge_chatter(struct forge_people *p, struct forge_person *who,
		   const uint8_t weights[FORGE_ACTIONS]);

#endif
