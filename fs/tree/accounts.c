#include "fs/tree/accounts.h"

#include <pthread.h>

#define KEPT 1024u

struct kept {
	struct account_key key; /* epoch 0: empty; no database has that one */
	struct chain_account account;
};

struct kept_size {
	struct account_key key;
	uint64_t size;
};

static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the next two; a leaf */
static struct kept kept[KEPT];
static struct kept_size limits[KEPT];

static size_t place_of(const struct account_key *k)
{
	uint64_t h = k->account << 16 ^ k->height << 8 ^ k->shard << 2 ^ k->spaces;

	return (h * UINT64_C(0x9e3779b97f4a7c15) >> 32) % KEPT;
}

static bool is_same(const struct account_key *a, const struct account_key *b)
{
	return a->epoch == b->epoch && a->branch == b->branch && a->shard == b->shard &&
	       a->spaces == b->spaces && a->height == b->height && a->account == b->account;
}

bool accounts_find(const struct account_key *key, struct chain_account *out)
{
	const struct kept *at = &kept[place_of(key)];

	LOCKED(&kept_lock);
	if (!is_same(&at->key, key))
		return false;
	*out = at->account;
	return true;
}

void accounts_keep(const struct account_key *key, const struct chain_account *account)
{
	struct kept *at = &kept[place_of(key)];

	LOCKED(&kept_lock);
	at->key = *key;
	at->account = *account;
}

bool accounts_limits(const struct account_key *key, uint64_t *size)
{
	const struct kept_size *at = &limits[place_of(key)];

	LOCKED(&kept_lock);
	*size = at->size;
	return is_same(&at->key, key);
}

void accounts_keep_limits(const struct account_key *key, uint64_t size)
{
	struct kept_size *at = &limits[place_of(key)];

	LOCKED(&kept_lock);
	*at = (struct kept_size){ *key, size };
}
