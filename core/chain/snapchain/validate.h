/* validate.h: what a message must be, whatever the state says (snapchain-replay.md 5).
 *
 * Only whether the author has a pro subscription is asked of the state (C), and only where it
 * decides. The body that is there selects the check, whatever the message's type says. */
#ifndef CHAINFS_SNAPCHAIN_VALIDATE_H
#define CHAINFS_SNAPCHAIN_VALIDATE_H

#include "core/chain/snapchain/rules.h"

struct sc_check {
	struct replay           *r;
	const struct sc_message *m;
	int                      pro; /* -1: not asked yet */
};

/* 0, REFUSED or an errno. */
int sc_validate(struct replay *r, const struct sc_message *m) MUST_CHECK;

/* The author's subscription: 1, 0, errno. */
int sc_check_pro(struct sc_check *c) MUST_CHECK;

/* validate_content.c */
int sc_validate_cast_add(struct sc_check *c) MUST_CHECK;
int sc_validate_cast_remove(struct sc_check *c) MUST_CHECK;
int sc_validate_reaction(struct sc_check *c) MUST_CHECK;
int sc_validate_link(struct sc_check *c) MUST_CHECK;
int sc_validate_link_compact(struct sc_check *c) MUST_CHECK;
/* validate_profile.c */
int sc_validate_user_data(struct sc_check *c) MUST_CHECK;
int sc_validate_username_proof(struct sc_check *c) MUST_CHECK;
/* validate_account.c */
int sc_validate_verification_add(struct sc_check *c) MUST_CHECK;
int sc_validate_verification_remove(struct sc_check *c) MUST_CHECK;
int sc_validate_lend(struct sc_check *c) MUST_CHECK;
int sc_validate_key_add(struct sc_check *c) MUST_CHECK;
int sc_validate_key_remove(struct sc_check *c) MUST_CHECK;
int sc_validate_channel(struct sc_check *c) MUST_CHECK;

#endif
