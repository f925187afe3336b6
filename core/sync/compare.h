/* compare.h: which accounts differ between our state of a shard and that of a node.
 *
 * The other state is asked for node by node of its trie (core/chain/trie.h); the walk goes down
 * only where hashes differ, vshard by vshard, and ends at accounts. A node is known by a prefix of
 * whole bytes and names its children by nibble, so the nodes two nibbles down are asked for one by
 * one until their hashes, with ours for those not asked, make the hash that the node above told of
 * their parent. That is both the end of asking and the proof: what is told of an account follows
 * from the root that was told first, or the comparison fails.
 * Ours is (account, root, records) by vshard; of it the walk holds one vshard and 256 hashes.
 *
 * Requests  about 8 a level and differing account, five levels; bounded.
 * Errors    -ESTALE: what was told does not make the root told first: that trie moved on
 *           meanwhile, or its owner contradicts himself; -EBADMSG: a node without a hash; -EINTR;
 *           -ENOMEM; what the callbacks say. Threads: any, one walk a thread. */
#ifndef CHAINFS_SYNC_COMPARE_H
#define CHAINFS_SYNC_COMPARE_H

#include <stdatomic.h>

#include "core/store/network.h"
#include "core/sync/source.h"

#define COMPARE_REQUESTS_MAX 4096u

enum compare_how {
	COMPARE_OTHER_ROOT,    /* both have the account */
	COMPARE_MISSING_HERE,
	COMPARE_MISSING_THERE,
	COMPARE_HOW_COUNT
};
extern const char *const compare_how_names[COMPARE_HOW_COUNT];

struct compare_root {
	uint8_t  root[HASH20_SIZE];
	bool     there;
	uint64_t records;
};

struct compare_account {
	uint64_t account;
	struct compare_root root;
};

/* Of one vshard, ascending; accounts without records are left out. */
struct compare_list {
	struct compare_account *accounts;
	size_t count, cap;
};
int  compare_list_add(struct compare_list *l, const struct compare_account *a) MUST_CHECK;
void compare_list_release(struct compare_list *l);

struct compare_ours {
	void *arg;
	/* Adds the accounts of a vshard to `out`, which is empty. */
	int (*accounts)(void *arg, unsigned vshard, struct compare_list *out, struct err *err);
};

/* Whoever has the other state. */
struct compare_theirs {
	void *arg;
	/* The newest height that it has of each shard, as it says; 0: none. */
	int (*heights)(void *arg, uint64_t out[SHARD_MAX], struct err *err);
	/* 0; -ENODATA: no such node. */
	int (*node)(void *arg, uint32_t shard, struct slice prefix, struct source_node *out,
		    struct err *err);
};

struct compare_difference {
	uint64_t account;
	enum compare_how how;
	struct compare_root here, there;
};

struct compare_options {
	uint32_t shard;
	uint64_t differences_max; /* told, then it ends; 0: all */
	unsigned requests_max;    /* 0: COMPARE_REQUESTS_MAX */
	/* NULL: any. Otherwise another root of theirs ends it at once, with -ESTALE. */
	const uint8_t *root;
	const atomic_bool *stop;  /* NULL: nobody stops it */
	/* By vshard, then number of the account. */
	void (*found)(void *arg, const struct compare_difference *d);
	void *arg;
};

struct compare_totals {
	struct compare_root here, there; /* of the shard */
	uint64_t accounts;               /* of ours */
	uint64_t differences;
	unsigned requests;
	bool     cut; /* a bound ended it: there may be more */
};

int compare_walk(const struct compare_ours *ours, const struct compare_theirs *theirs,
		 const struct compare_options *o, struct compare_totals *out,
		 struct err *err) MUST_CHECK;

/* ---- our state ---- */

/* As of a height that is replayed and kept; or of the one above the newest replayed, when its block
 * was kept aside because its root does not come out: it is replayed once more, in memory, and what
 * is compared is what came out. That takes memory as for another replay of the shard.
 * -ENODATA: not readable. */
struct compare_state;
int  compare_state_open(const struct view *v, uint32_t shard, uint64_t height,
			struct compare_state **out, struct err *err) MUST_CHECK;
/* The root that the block kept aside of this height signs. */
int  compare_aside_root(const struct view *v, uint32_t shard, uint64_t height,
			struct compare_root *out, struct err *err) MUST_CHECK;
void compare_state_closep(struct compare_state **c);
struct compare_ours compare_state_ours(struct compare_state *c);

#endif
