/* bootstrap.h: starts a store from the state that a node replicates, proved up to the root that
 * validators signed.
 *
 * Each data shard: its newest trusted block (metadata: the whole block with its certificate), the
 * items of all 256 vshards page by page, and from them the rows and the trie, whose root must be
 * the one that the block signs. Shard 0 has no replicated state: its blocks are replayed from the
 * first one on, as far as the data shards' blocks need it. What no root covers is guessed as
 * well as can be (chain's replica_* functions), and accounts for which a guess was needed are
 * marked: bootstrap_marked() lists them, the events of a later block name those whose guess was
 * wrong. The new store begins at those heights (shard_view.begins), hyper starts a base there, and
 * both are said in `status`.
 * The store is made as PATH.part and gets its name when it is synced and everything came out.
 *
 * What a fault is called by: shard, vshard and page, pages counted from 0 within a vshard. A page
 * that was left out ends in a root that does not come out; who is missing is then told by shard 0,
 * which knows every account.
 *
 * Errors   -EBADMSG: an item, a page or the root does not prove, and which; -EKEYREJECTED: the
 *          block; -EPROTO: a page that repeats, skips or goes back; -EHOSTUNREACH: nobody gave a
 *          page in the end; -ENODATA: a page is refused, or a snapshot is not offered, and nothing
 *          fills it; -EEXIST, -EBUSY, -ENOSPC, -EINTR as checkpoint_restore().
 * Threads  any, one call a store. Memory: the largest account, a batch, and what chain's replica_*
 *          functions keep of blocks; not the state's size. */
#ifndef CHAINFS_CHECKPOINT_BOOTSTRAP_H
#define CHAINFS_CHECKPOINT_BOOTSTRAP_H

#include <stdatomic.h>

#include "core/store/network.h"

/* Who gives pages: a node over the network (net/), or recorded files. Calls wait; -EHOSTUNREACH
 * with a sentence when there is no answer in the end; -ENODATA: the other side refuses this page
 * and what comes behind it (its sentence). Messages are those of the protocol, not checked. `out`
 * is empty. */
struct replica {
	void *arg;
	/* Snapshots that are offered of a shard: one message. */
	int (*metadata)(void *arg, uint32_t shard, struct buf *out, struct err *err);
	/* One page; token is empty for the first of a vshard. */
	int (*page)(void *arg, uint32_t shard, uint64_t height, uint32_t vshard, struct slice token,
		    struct buf *out, struct err *err);
	/* The block of a shard at a height, as received. 1 given; 0: there is none. Asked for in
	 * ascending order from 1 of shard 0, descending of the others. */
	int (*block)(void *arg, uint32_t shard, uint64_t height, struct buf *out, struct err *err);
	/* A list of one account's messages or on-chain events, for what a page refused; by number,
	 * as chain_ops.replica_list_name() counts them. token as above. -ENODATA: not there. NULL:
	 * nobody gives lists. */
	int (*account)(void *arg, uint32_t shard, uint64_t account, unsigned list,
		       struct slice token, struct buf *out, struct err *err);
};

struct bootstrap_options {
	const char *network; /* its name in the new store */
	const struct chain_ops *ops;
	struct slice params; /* canonical text */
	const char *trust;   /* as store_network_new() */
	bool hyper;
	bool sync_off;
	uint64_t height; /* of the data shards; 0: the newest that is offered and trusted */
	/* vshards_done: of the shard, of 256; for shard 0 always 0, records are its blocks. NULL:
	 * nobody asks. */
	void (*progress)(void *arg, uint32_t shard, unsigned vshards_done, uint64_t records);
	void *arg;
};

struct bootstrap_result {
	uint32_t shard_count;
	struct {
		/* Where the state of the shard begins; of shard 0, replayed from 1: where its
		 * replay came to. */
		uint64_t height;
		uint64_t records, bytes, pages, refused_pages, guessed_accounts;
		bool sequence_guessed; /* how many block events were applied: no block told for
					* sure */
		struct chain_root root;
	} shards[SHARD_MAX];
};

int bootstrap(const struct replica *from, const char *path, const struct bootstrap_options *o,
	      const atomic_bool *stop, struct bootstrap_result *out, struct err *err) MUST_CHECK;

/* The accounts of a shard, as of its newest replayed height, of which something was guessed; text
 * says what. Ascending; `each` answers 0 to go on. Returns how many there were, or its answer. */
typedef int bootstrap_mark(void *arg, uint64_t account, const char *text);
int bootstrap_marked(struct network *n, uint32_t shard, bootstrap_mark *each, void *arg,
		     struct err *err) MUST_CHECK;

#endif
