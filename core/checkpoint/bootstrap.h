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
 * Errors   -EBADMSG: an item, a page or the root does not prove, and which; -EKEYREJECTED: the
 *          block; -EPROTO: a page that repeats, skips or goes back; -EHOSTUNREACH: nobody gave a
 *          page in the end; -EEXIST, -EBUSY, -ENOSPC, -EINTR as checkpoint_restore().
 * Threads  any, one call a store. Memory: bounded, whatever the state's size. */
#ifndef CHAINFS_CHECKPOINT_BOOTSTRAP_H
#define CHAINFS_CHECKPOINT_BOOTSTRAP_H

#include <stdatomic.h>

#include "core/store/network.h"

/* Who gives pages: a node over the network (net/), or recorded files. Calls wait; -EHOSTUNREACH
 * with a sentence when there is no answer in the end; -ENODATA: the other side refuses this page
 * and what comes behind it (its sentence). Messages are those of the protocol, not checked. */
struct replica {
	void *arg;
	/* Snapshots that are offered of a shard: one message. */
	int (*metadata)(void *arg, uint32_t shard, struct buf *out, struct err *err);
	/* One page; token is empty for the first of a vshard. */
	int (*page)(void *arg, uint32_t shard, uint64_t height, uint32_t vshard, struct slice token,
		    struct buf *out, struct err *err);
	/* Blocks of a shard in ascending order from `first` on, one call each; 0 at the end. 1 given. */
	int (*block)(void *arg, uint32_t shard, uint64_t height, struct buf *out, struct err *err);
	/* All messages and on-chain events of one account, for what a page refused: what kind of
	 * list is the protocol's business. -ENODATA: not there. */
	int (*account)(void *arg, uint32_t shard, uint64_t account, unsigned list, struct slice token,
		       struct buf *out, struct err *err);
};

struct bootstrap_options {
	const char  *network; /* its name in the new store */
	const struct chain_ops *ops;
	struct slice params;  /* canonical text */
	const char  *trust;   /* as store_network_new() */
	bool         hyper;
	bool         sync_off;
	uint64_t     height;  /* of the data shards; 0: the newest that is offered and trusted */
	void (*progress)(void *arg, uint32_t shard, unsigned vshards_done, uint64_t records);
	void *arg;
};

struct bootstrap_result {
	uint32_t shard_count;
	struct {
		uint64_t height;       /* where the state of the shard begins; 0: replayed from 1 */
		uint64_t records, bytes, pages, refused_pages, guessed_accounts;
		struct chain_root root;
	} shards[SHARD_MAX];
};

int bootstrap(const struct replica *from, const char *path, const struct bootstrap_options *o,
	      const atomic_bool *stop, struct bootstrap_result *out, struct err *err) MUST_CHECK;

#endif
