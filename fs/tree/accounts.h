/* accounts.h: rows of accounts that were read lately, by the state that they are of.
 *
 * An account's folder is a dozen small folders and two dozen small files, and what each of them is
 * comes from the account's row. An entry is good for one epoch of the network (network_epoch()).
 * Memory   tables of fixed size; a newer entry takes the place of an older one.
 * Threads  any. */
#ifndef CHAINFS_FS_ACCOUNTS_H
#define CHAINFS_FS_ACCOUNTS_H

#include "core/chain/chain.h"

/* All that a row is a function of. */
struct account_key {
	uint64_t epoch; /* from before the state was opened */
	uint32_t branch, shard, spaces;
	uint64_t height, account;
};

bool accounts_find(const struct account_key *key, struct chain_account *out);
void accounts_keep(const struct account_key *key, const struct chain_account *account);
/* The size of the file of its limits, which takes a dozen reads to know. */
bool accounts_limits(const struct account_key *key, uint64_t *size);
void accounts_keep_limits(const struct account_key *key, uint64_t size);

#endif
