/* user_data.h: what other rules ask of an account's user data. */
#ifndef CHAINFS_SNAPCHAIN_USER_DATA_H
#define CHAINFS_SNAPCHAIN_USER_DATA_H

#include "core/chain/snapchain/stores.h"

enum sc_user_data_type {
	SC_USER_PFP = 1,
	SC_USER_DISPLAY = 2,
	SC_USER_BIO = 3,
	SC_USER_URL = 5,
	SC_USER_NAME = 6,
	SC_USER_LOCATION = 7,
	SC_USER_TWITTER = 8,
	SC_USER_GITHUB = 9,
	SC_USER_BANNER = 10,
	SC_USER_ETH_ADDRESS = 11,
	SC_USER_SOL_ADDRESS = 12,
	SC_USER_PROFILE_TOKEN = 13,
	SC_USER_LIVE_AT = 14
};

/* Revokes the account's row of a type, as committed before this block (C), when there is exactly
 * one and its value is `value`; value NULL: any. */
int sc_user_data_revoke(struct replay *r, uint64_t fid, enum sc_user_data_type type,
			const struct slice *value) MUST_CHECK;

/* 11.2: primary addresses whose verification went in this transaction. */
int sc_revoke_primary_addresses(struct replay *r) MUST_CHECK;

#endif
